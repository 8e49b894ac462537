"""Eyelids: how they close, and what a closed lid is painted with."""

import numpy as np
import pytest

from talking_face.face.landmarks import IRIS_CENTRE, LOWER_LID, UPPER_LID
from talking_face.face.model import load_face_model
from talking_face.picture.lids import MEETING, WIDEST, closing, meeting


def test_lids_close_as_told_then_hurry_and_never_turn_back() -> None:
    told = np.linspace(-1, 1.5, 251)
    shown = meeting(told)
    assert (np.diff(shown) >= 0).all()
    assert np.abs(np.diff(shown)).max() < 0.03  # a step of the closure is 0.01
    low, high = MEETING
    as_told = (told >= WIDEST) & (told <= low)
    assert np.array_equal(shown[as_told], told[as_told])
    assert (shown[told >= high] == 1).all()
    assert (shown[told < WIDEST] == WIDEST).all()


@pytest.mark.parametrize("eye", [0, 1])
def test_a_closed_eyes_margins_meet_and_nothing_else_is_torn(eye: int) -> None:
    open_eyes = load_face_model().mean.astype(np.float64)
    moved = closing(open_eyes, eye)
    shut = open_eyes + moved
    upper, lower = list(UPPER_LID[eye]), list(LOWER_LID[eye])
    np.testing.assert_allclose(shut[upper], shut[lower], atol=1e-9)
    assert np.linalg.norm(open_eyes[upper] - open_eyes[lower], axis=1).max() > 0.05
    other = [*UPPER_LID[1 - eye], *LOWER_LID[1 - eye], *IRIS_CENTRE]
    assert not moved[other].any()
    margins = np.abs(moved[upper + lower]).max()
    assert np.abs(moved).max() == margins
