"""A smiling mouth at rest: as wide as a neutral one, whoever smiles."""

import numpy as np
import pytest

from talking_face.face.landmarks import MOUTH_CORNERS
from talking_face.face.model import FaceModel, load_face_model
from talking_face.face.rest import OWN_HEIGHT, OWN_WIDTH, closed_smile, smile_left

LEFT, RIGHT = MOUTH_CORNERS


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


def width(shape: np.ndarray) -> float:
    return float(shape[RIGHT, 0] - shape[LEFT, 0])


def height(shape: np.ndarray) -> float:
    return float(shape[[LEFT, RIGHT], 1].mean() - shape[[13, 14], 1].mean())


def test_a_neutral_mouth_has_no_smile_left(model: FaceModel) -> None:
    lower = np.random.default_rng(0).normal(size=16)
    shape = model.mean + model.displacement(lower, np.zeros(6))
    assert np.abs(smile_left(shape, lower, model)).max() < 1e-3


@pytest.mark.parametrize("wider", [0.06, 0.12, -0.06])
def test_a_wide_smile_comes_to_rest_in_width(model: FaceModel, wider: float) -> None:
    shape = model.mean.astype(np.float64)
    shape[[LEFT, RIGHT], 0] += [-wider / 2, wider / 2]
    shape[[LEFT, RIGHT], 1] -= 0.04
    left = smile_left(shape, np.zeros(16), model)
    rest = shape - model.lower @ left
    assert abs(width(rest) - width(model.mean)) < OWN_WIDTH + 0.004 < abs(wider)
    assert abs(height(rest) - height(model.mean)) < OWN_HEIGHT + 0.004 < 0.04
    assert np.linalg.norm(left) < 4  # standard deviations: something that people do


def test_people_keep_some_width_of_their_own(model: FaceModel) -> None:
    def at_rest(by: float) -> float:
        shape = model.mean.astype(np.float64)
        shape[[LEFT, RIGHT], 0] += [-by / 2, by / 2]
        return width(shape - model.lower @ smile_left(shape, np.zeros(16), model))

    assert at_rest(0.008) == pytest.approx(width(model.mean) + 0.008, abs=1e-3)
    assert at_rest(0.05) > at_rest(0.02) > at_rest(0.0) > at_rest(-0.02)


def test_a_mouth_drawn_wide_smiles_and_others_are_as_they_are(model: FaceModel) -> None:
    broad = smile_left(model.mean + 0.1 * _outwards(), np.zeros(16), model)
    assert np.linalg.norm(closed_smile(broad, model)) > 1
    assert not closed_smile(-broad, model).any()
    assert not closed_smile(np.zeros(16), model).any()


def _outwards() -> np.ndarray:
    """(478, 3): a unit between the corners of the mouth."""
    apart = np.zeros((478, 3))
    apart[[LEFT, RIGHT], 0] = [-0.5, 0.5]
    return apart
