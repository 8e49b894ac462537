"""What articulation makes of an expected face: quicker, closed where lips meet, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from talking_face.face.model import FaceModel, load_face_model
from talking_face.mapping.articulation import N_LOWER, articulate, mouth_readout
from talking_face.mapping.listeners import N_OUTPUTS

FRAMES = 100
NEVER = np.zeros(FRAMES)


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


def swing(coefficients: np.ndarray, model: FaceModel) -> float:
    return float((coefficients @ mouth_readout(model)[0])[10:-10, 0].std())


@pytest.mark.parametrize(("hertz", "least", "most"), [(1.0, 0.98, 1.04), (7.0, 1.3, 1.7)])
def test_what_is_slow_stays_and_what_is_quick_grows(
    hertz: float, least: float, most: float, model: FaceModel
) -> None:
    expected = face(hertz, model)
    ratio = swing(articulate(expected, NEVER, model), model) / swing(expected, model)
    assert least < ratio < most


def test_lips_close_where_they_meet_and_nowhere_else(model: FaceModel) -> None:
    expected = face(1.0, model)
    meeting = NEVER.copy()
    meeting[40:44] = 0.9
    weights, bias = mouth_readout(model)
    before, after = (
        articulate(expected, sure, model) @ weights + bias for sure in (NEVER, meeting)
    )
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
    said = articulate(expected, np.ones(FRAMES), model)
    np.testing.assert_array_equal(expected, kept)
    np.testing.assert_array_equal(said[:, N_LOWER:], expected[:, N_LOWER:])


@pytest.mark.parametrize("frames", [1, 3, 8])
def test_clips_shorter_than_the_filter_are_fine(frames: int, model: FaceModel) -> None:
    said = articulate(face(1.0, model)[:frames], NEVER[:frames], model)
    assert said.shape == (frames, N_OUTPUTS)
    assert np.isfinite(said).all()
