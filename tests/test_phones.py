"""Which phones are said, and when; pocketsphinx itself where it is installed."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from talking_face.errors import OptionInvalid
from talking_face.sound.audio import load_audio
from talking_face.training.data.phones import (
    CLASSES,
    NOISE,
    SILENCE,
    Phone,
    Phonetician,
    grid_words,
)

SENTENCE = "place blue by v seven soon"
installed = pytest.mark.skipif(
    not importlib.util.find_spec("pocketsphinx"), reason="pocketsphinx isn't installed"
)


@pytest.fixture(scope="module")
def phonetician() -> Phonetician:
    return Phonetician()


@pytest.fixture(scope="module")
def said(recordings: list[Path]) -> np.ndarray:
    """The waveform of `SENTENCE`."""
    return load_audio(recordings[0].with_name("grid.wav")).waveform


def test_the_name_of_a_sentence_of_grid_tells_its_words() -> None:
    assert grid_words("pbbv7s") == SENTENCE
    assert grid_words("srwazp") == "set red with a zero please"
    assert grid_words("pbbv7") is None
    assert grid_words("pbbv7x") is None
    assert grid_words("f12_000") is None


def test_every_phone_is_of_one_class() -> None:
    names = [name for names in CLASSES.values() for name in names]
    assert len(set(names)) == len(names) == 39  # of the CMU dictionary
    assert Phone("B", 0, 1).kind == "closed"
    assert Phone(SILENCE, 0, 1).kind == SILENCE
    assert Phone(NOISE, 0, 1).kind == NOISE


def test_who_has_no_pocketsphinx_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(OptionInvalid, match=r"pip install -r requirements-phones\.txt") as told:
        Phonetician()
    assert (Path(__file__).parents[1] / "requirements-phones.txt").is_file()
    assert "pocketsphinx" in str(told.value)


@installed
def test_known_words_are_laid_along_the_sound(phonetician: Phonetician, said: np.ndarray) -> None:
    phones = phonetician.hear(said, SENTENCE)
    spoken = [phone for phone in phones if phone.name not in (SILENCE, NOISE)]
    names = "P L EY S B L UW B AY V IY S EH V AH N S UW N".split()
    assert [phone.name for phone in spoken] == names
    assert phones[0].kind == phones[-1].kind == SILENCE
    assert all(a.end == pytest.approx(b.start) for a, b in pairwise(phones))
    assert phones[-1].end == pytest.approx(len(said) / 16_000, abs=0.05)
    loudness = {
        phone: np.sqrt(np.mean(said[int(16e3 * phone.start) : int(16e3 * phone.end)] ** 2))
        for phone in phones
    }
    silent = max(value for phone, value in loudness.items() if phone.kind == SILENCE)
    vowels = min(loudness[p] for p in spoken if p.name in ("EY", "UW", "AY", "IY", "EH"))
    assert vowels > 3 * silent


@installed
def test_what_nobody_said_is_not_aligned_but_heard(
    phonetician: Phonetician, said: np.ndarray
) -> None:
    assert phonetician.align(said, "xyzzy blue") is None  # no such word
    heard = phonetician.hear(said, "xyzzy blue")
    assert heard == phonetician.hear(said, None)
    assert {phone.kind for phone in heard} > {"closed", "rounded", SILENCE}
    assert phonetician.hear(said, SENTENCE) != heard


@installed
def test_silence_has_no_phones(phonetician: Phonetician) -> None:
    heard = phonetician.recognise(np.zeros(16_000, dtype=np.float32))
    assert {phone.kind for phone in heard} <= {SILENCE, NOISE}
