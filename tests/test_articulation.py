"""What articulation makes of an expected face: quicker, closed where lips meet, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from talking_face.face.lips import TOUCHING, mouth_readout
from talking_face.face.model import FaceModel, load_face_model
from talking_face.mapping.articulation import ON_TEETH, ROUNDED, articulate, likely_mouth
from talking_face.mapping.listeners import BINS, N_LOWER, N_OUTPUTS, OPENINGS, WIDTHS
from talking_face.mapping.visemes import KINDS

FRAMES = 100
NEVER = np.full(FRAMES, -9.0)  # log-odds that the lips meet


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


def face(hertz: float, model: FaceModel) -> np.ndarray:
    """Coefficients of a mouth that opens and shuts around a tenth of the eyes' distance."""
    weights, bias = mouth_readout(model)
    direction = np.linalg.pinv(weights[:N_LOWER])[0]
    wave = 0.1 - bias[0] + 0.03 * np.sin(2 * np.pi * hertz * np.arange(FRAMES) / 25)
    coefficients = np.zeros((FRAMES, N_OUTPUTS), dtype=np.float32)
    coefficients[:, :N_LOWER] = wave[:, None] * direction
    return coefficients


def said_of(coefficients: np.ndarray, meeting: np.ndarray, model: FaceModel) -> np.ndarray:
    """Of a listener that tells no distribution."""
    return articulate(np.column_stack([coefficients, meeting]), model)


def swing(coefficients: np.ndarray, model: FaceModel) -> float:
    return float((coefficients @ mouth_readout(model)[0])[10:-10, 0].std())


@pytest.mark.parametrize(("hertz", "least", "most"), [(1.0, 0.98, 1.04), (7.0, 1.3, 1.7)])
def test_what_is_slow_stays_and_what_is_quick_grows(
    hertz: float, least: float, most: float, model: FaceModel
) -> None:
    expected = face(hertz, model)
    ratio = swing(said_of(expected, NEVER, model), model) / swing(expected, model)
    assert least < ratio < most


def test_lips_close_where_they_meet_and_nowhere_else(model: FaceModel) -> None:
    expected = face(1.0, model)
    meeting = NEVER.copy()
    meeting[40:44] = 2.0
    weights, bias = mouth_readout(model)
    before, after = (said_of(expected, sure, model) @ weights + bias for sure in (NEVER, meeting))
    assert (after[40:44, 0] < 0).all()
    assert (before[40:44, 0] > 0.05).all()
    np.testing.assert_allclose(after[:, 1], before[:, 1], atol=1e-5)  # as wide as they were
    untouched = np.ones(FRAMES, dtype=bool)
    untouched[40:44] = False
    np.testing.assert_array_equal(after[untouched], before[untouched])


def test_brows_and_the_network_s_own_answer_are_left_alone(model: FaceModel) -> None:
    expected = face(5.0, model)
    expected[:, N_LOWER:] = np.random.default_rng(0).standard_normal((FRAMES, 6))
    kept = expected.copy()
    said = said_of(expected, -NEVER, model)
    np.testing.assert_array_equal(expected, kept)
    np.testing.assert_array_equal(said[:, N_LOWER:], expected[:, N_LOWER:])


@pytest.mark.parametrize("frames", [1, 3, 8])
def test_clips_shorter_than_the_filter_are_fine(frames: int, model: FaceModel) -> None:
    said = said_of(face(1.0, model)[:frames], NEVER[:frames], model)
    assert said.shape == (frames, N_OUTPUTS)
    assert np.isfinite(said).all()


def logits_of(opening: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Of listeners that are nearly sure of a bin of each, (frames, 48)."""
    bins = np.stack([np.searchsorted(OPENINGS, opening), np.searchsorted(WIDTHS, width)], axis=1)
    return 12.0 * np.eye(BINS)[bins].reshape(len(bins), -1)


def test_the_mouth_does_what_is_likely_of_it(model: FaceModel) -> None:
    weights, bias = mouth_readout(model)
    opening = np.repeat([0.0, 0.1075, 0.17, 0.0, 0.05], 20)
    width = np.repeat([0.0, -0.03, 0.03, 0.05, -0.05], 20)
    expected = face(1.0, model)
    answer = np.column_stack([expected, NEVER, logits_of(opening, width)])
    mouth = articulate(answer, model) @ weights + bias
    wide = (width + (expected @ weights)[:, 1]) / 2  # both have their say
    middle = np.arange(10, FRAMES, 20)  # of each passage, away from the steps
    np.testing.assert_allclose(mouth[middle, 0], opening[middle], atol=0.012)
    np.testing.assert_allclose(mouth[middle, 1] - bias[1], wide[middle], atol=0.008)


def test_lips_that_most_would_close_are_closed() -> None:
    closed, open_ = np.zeros((2, 2 * BINS))
    closed[0] = open_[0] = np.log(BINS)  # half and more, and a little less than half
    closed[1:BINS] -= 0.1
    open_[1:BINS] += 0.1
    likely = likely_mouth(np.stack([closed, open_]), np.array([0.0, 0.6]))
    assert likely[0, 0] == 0
    assert likely[1, 0] > 0.02


def said_as(kinds: list[str], model: FaceModel) -> np.ndarray:
    """Openings where listeners are sure that lips meet, and what is said is known as surely."""
    frames = len(kinds)
    weights, bias = mouth_readout(model)
    sure_to_meet = np.full(frames, 9.0)
    likely = logits_of(np.zeros(frames), np.zeros(frames))
    told = 9.0 * np.eye(len(KINDS))[[KINDS.index(kind) for kind in kinds]]
    answer = np.column_stack([face(1.0, model)[:frames], sure_to_meet, likely, told])
    return (articulate(answer, model) @ weights + bias)[:, 0]


def test_an_f_and_a_w_are_not_shut_where_a_p_is(model: FaceModel) -> None:
    for kind, least in (("lip on teeth", ON_TEETH), ("rounded", ROUNDED)):
        np.testing.assert_allclose(said_as([kind] * 20, model), least, atol=1e-5)
    for kind in ("closed", "other"):
        assert (said_as([kind] * 20, model) < 0).all()


def test_lips_are_shut_a_frame_before_a_p_is_heard(model: FaceModel) -> None:
    opening = said_as(["lip on teeth"] * 8 + ["closed"] * 4 + ["lip on teeth"] * 8, model)
    assert (opening[7:12] < TOUCHING).all()
    assert (np.delete(opening, np.arange(7, 12)) > 0.02).all()


def test_what_is_open_wider_stays_so(model: FaceModel) -> None:
    weights, _ = mouth_readout(model)
    wide = logits_of(np.full(40, 0.17), np.zeros(40))
    answer = np.column_stack([face(1.0, model)[:40], NEVER[:40], wide])
    told = 9.0 * np.eye(len(KINDS))[np.full(40, KINDS.index("lip on teeth"))]
    np.testing.assert_allclose(
        articulate(np.column_stack([answer, told]), model) @ weights,
        articulate(answer, model) @ weights,
        atol=1e-6,
    )
