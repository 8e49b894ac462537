"""Lower lips and chins of mouths that are open wide, and the skin under any lip."""

from pathlib import Path

import numpy as np
import pytest

from talking_face.face.face import find_faces, fit_face
from talking_face.face.landmarks import INNER_LIP_LOWER, INNER_LIP_UPPER, interocular
from talking_face.face.lower_lip import look_at_wide_mouth, skin_below_lip
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo
from talking_face.motion import Motion
from talking_face.picture.mouth.shading import load_mouth_light
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.renderer import Renderer
from talking_face.weights import load_weights

LOWER = [17, 84, 314, 14]  # outline and inner edge of the lower lip
UNDER = [18, 83, 313]  # skin just below it


@pytest.mark.slow
@pytest.mark.parametrize("name", ["woman_orange_shirt", "drawn"])
def test_the_lower_lip_of_a_mouth_that_shouts_is_found(portraits: list[Path], name: str) -> None:
    photo = load_photo(next(path for path in portraits if path.stem == name))
    model = load_face_model()
    face = fit_face(photo, find_faces(photo), model)
    teeth = draw_teeth(TeethGenerator.from_weights(load_weights("teeth")), 0)
    renderer = Renderer(face, model, teeth, load_mouth_light())
    gaps = model.lower[list(INNER_LIP_LOWER), 1] - model.lower[list(INNER_LIP_UPPER), 1]
    wide = gaps.mean(0) / np.linalg.norm(gaps.mean(0)) * 6  # half an inter-ocular distance
    motion = Motion.still(1).replace(lower=wide[None].astype(np.float32))
    frame, there = renderer.frame(motion), renderer.landmarks(motion, 0)
    seen = find_faces(frame)[0]
    again = look_at_wide_mouth(frame, seen)

    def error(marks: np.ndarray) -> float:
        return float(np.abs(marks[LOWER, 1] - there[LOWER, 1]).mean() / interocular(there))

    assert error(again) < 0.06 < error(seen)


def test_a_mouth_that_speaks_is_looked_at_once(portrait: Path) -> None:
    photo = load_photo(portrait)
    face = find_faces(photo)[0]
    assert look_at_wide_mouth(photo, face) is face


def test_skin_under_the_lip_is_never_behind_it(portrait: Path) -> None:
    mean = load_face_model().mean
    face = find_faces(load_photo(portrait))[0]
    unit = float(interocular(face))
    assert np.abs(skin_below_lip(face, mean) - face).max() < 0.02 * unit
    wrong = face.copy()
    wrong[UNDER, 1] = face[[17, 84, 314], 1] - 0.03 * unit
    right = skin_below_lip(wrong, mean)
    assert (right[UNDER, 1] > face[[17, 84, 314], 1] + 0.04 * unit).all()
    others = np.setdiff1d(np.arange(len(face)), UNDER)
    assert np.abs(right[others] - wrong[others]).max() < 0.02 * unit


def test_skin_under_the_lip_follows_a_head_that_tilts(portrait: Path) -> None:
    mean = load_face_model().mean
    face = find_faces(load_photo(portrait))[0]
    face[UNDER, 1] -= 0.12 * float(interocular(face))
    angle = np.radians(35)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    tilted = face.copy()
    tilted[:, :2] = face[:, :2] @ turn.T
    upright = skin_below_lip(face, mean)
    assert np.abs(skin_below_lip(tilted, mean)[:, :2] - upright[:, :2] @ turn.T).max() < 0.01


@pytest.mark.slow
def test_a_fitted_face_has_its_skin_below_its_lip(portraits: list[Path]) -> None:
    model = load_face_model()
    for path in portraits:
        photo = load_photo(path)
        shape = fit_face(photo, find_faces(photo), model).shape
        assert (shape[UNDER, 1] > shape[[17, 84, 314], 1] + 0.03).all(), path.name
