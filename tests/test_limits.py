"""What is said of a limit is true as it is shown: nothing is 0.30 where 0.3 is enough."""

import math
import re

import numpy as np
import pytest

from talking_face.editing.edit import Edit
from talking_face.errors import AudioTooShort, OptionInvalid
from talking_face.options import check_range, rounded_down, shown, whole_number
from talking_face.sound.audio import MIN_SECONDS, Recording


@pytest.mark.parametrize("samples", [14_399, 14_380, 9600, 48])
def test_a_recording_that_is_too_short_is_shown_as_shorter(samples):
    with pytest.raises(AudioTooShort) as caught:
        Recording.from_waveform(np.zeros(samples, "f4"), 48_000)
    lasts, least = map(float, re.findall(r"[\d.]+\d", str(caught.value)))
    assert lasts < least == MIN_SECONDS
    assert lasts == pytest.approx(samples / 48_000, abs=0.01)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.29, 2, "0.29"),
        (0.2999, 2, "0.29"),
        (19.7, 0, "19"),
        (20 - 1e-3, 0, "19"),
        (5.2, 2, "5.20"),
    ],
)
def test_what_is_too_small_is_rounded_down(value, digits, text):
    assert rounded_down(value, digits) == text


@pytest.mark.parametrize("limit", [1.0, 1.5, 0.3, 600.0, 0.0])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_value_beyond_a_limit_is_not_shown_as_the_limit(limit, side):
    value = math.nextafter(limit, side * math.inf)
    ends = (limit, limit + 1) if side < 0 else (limit - 1, limit)
    with pytest.raises(OptionInvalid) as caught:
        check_range("It", value, *ends)
    _, told = str(caught.value).split(", not ")
    assert told.rstrip(".") not in map(shown, ends)


def test_what_is_nearly_whole_is_shown_as_it_is():
    with pytest.raises(OptionInvalid, match=r"whole number, not 512\.0000"):
        whole_number("The size", math.nextafter(512, 600))
    with pytest.raises(OptionInvalid, match=r"not from 2 to 1\.99999"):
        Edit(start=2, stop=math.nextafter(2, 0))


def test_ordinary_numbers_are_short():
    assert [shown(value) for value in (1, 0.1, 1e6)] == ["1", "0.1", "1000000"]
    assert shown(math.nan) == "nan"
    assert shown(10**400) == "so large a number"
