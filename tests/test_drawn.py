"""Eyes of drawn faces: told from photographed ones, and covered by their lids without melting."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from talking_face.face.face import find_faces, fit_face
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo
from talking_face.motion import Motion
from talking_face.picture.drawn import find_drawn_eyes
from talking_face.picture.mouth.shading import load_mouth_light
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.plate import cut_plate
from talking_face.picture.renderer import Renderer
from talking_face.weights import load_weights

SKIN, IRIS, WHITE, INK = (255, 222, 196), (60, 120, 200), (255, 255, 255), (15, 15, 15)
EYES = ((212, 330), (388, 330))
WIDE, HIGH = 58, 72  # half the width and height of an eye


def comic() -> np.ndarray:
    """A comic face, (700, 600, 3) uint8 RGB."""
    picture = np.full((1400, 1200, 3), (255, 238, 200), dtype=np.uint8)

    def oval(middle, axes, colour, line=-1, first=0, last=360):
        middle, axes = [2 * int(v) for v in middle], [2 * int(v) for v in axes]
        cv2.ellipse(picture, middle, axes, 0, first, last, colour, line, cv2.LINE_AA)

    oval((300, 400), (205, 260), SKIN)
    oval((300, 400), (205, 260), (40, 30, 30), 6)
    oval((300, 230), (225, 160), (70, 40, 120), -1, 180, 360)
    for x, y in EYES:
        oval((x, y), (WIDE, HIGH), WHITE)
        oval((x, y + 4), (40, 56), IRIS)
        oval((x, y + 6), (20, 28), INK)
        oval((x, y), (WIDE, HIGH), INK, 6)
        oval((x, y - HIGH - 12), (55, 22), (45, 25, 60), 12, 200, 340)
    oval((300, 520), (45, 28), (170, 60, 50), 8, 20, 160)
    return cv2.resize(picture, (600, 700), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    photo, model = comic(), load_face_model()
    face = fit_face(photo, find_faces(photo), model)
    teeth = draw_teeth(TeethGenerator.from_weights(load_weights("teeth")), 0)
    return Renderer(face, model, teeth, load_mouth_light(), framing="photo")


def blink(renderer: Renderer, closure: float, turn: float = 0.0) -> np.ndarray:
    motion = Motion.still(1).replace(lids=np.full((1, 2), closure), gaze=np.full((1, 2), 5.0))
    return renderer.frame(motion.replace(rotation=np.array([[0, 0, turn]])))


def near(picture: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    return np.abs(picture.astype(int) - colour).max(axis=-1) < 25


def test_a_lid_covers_a_drawn_eye_from_above(renderer: Renderer) -> None:
    still = renderer.face.photo
    for closure in (0.25, 0.5, 0.7):
        picture = blink(renderer, closure)
        for x, y in EYES:
            part = np.s_[y - HIGH : y + HIGH, x - 15 : x + 15]
            open_rows = np.flatnonzero(~near(picture[part], SKIN).all(axis=1))
            assert open_rows[0] > closure * HIGH  # skin above the edge
            below = np.s_[y - HIGH + open_rows[0] + 12 : y + HIGH - 8, x - 15 : x + 15]
            assert (picture[below] == still[below]).all()  # and the eye itself below it


def test_a_closed_drawn_eye_is_skin_and_a_line(renderer: Renderer) -> None:
    picture = blink(renderer, 1.0)
    for x, y in EYES:
        part = picture[y - HIGH - 3 : y + HIGH + 8, x - WIDE : x + WIDE]
        assert near(part, SKIN).mean() > 0.9
        assert not near(part, IRIS).any()
        assert not near(part, WHITE)[5:-5].any()
        assert (part.max(axis=-1) < 90).any(axis=0)[10:-10].all()  # the line, in every column


def test_a_drawn_eye_closes_with_the_head(renderer: Renderer) -> None:
    assert not near(blink(renderer, 1.0, turn=8.0)[200:450], IRIS).any()
    assert near(blink(renderer, 0.0, turn=8.0)[200:450], IRIS).any()
    assert (blink(renderer, 0.0) == renderer.face.photo).all()


def test_raised_brows_do_not_bend_a_drawn_eye(renderer: Renderer) -> None:
    raised = Motion.still(1).replace(upper=np.full((1, 6), 1.5))
    picture, still = renderer.frame(raised), renderer.face.photo
    assert (picture != still).any()
    for x, y in EYES:
        part = np.s_[y - HIGH + 8 : y + HIGH - 8, x - 20 : x + 20]
        assert np.abs(picture[part].astype(int) - still[part]).mean() < 1


def test_photographed_eyes_are_not_taken_for_drawn_ones(portraits: list[Path]) -> None:
    for path in portraits:
        photo = load_photo(path)
        for smooth in (0.0, 2.0):
            seen = photo if smooth == 0 else cv2.GaussianBlur(photo, (0, 0), smooth)
            marks = find_faces(photo)[0]
            unit = float(np.linalg.norm(marks[33] - marks[263]))
            assert find_drawn_eyes(seen, marks[:, :2], unit) is None, path.name


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [48, 64, 96])
def test_eyes_in_pictures_of_few_pixels_are_not_taken_for_drawn_ones(
    size: int, portraits: list[Path]
) -> None:
    for path in portraits:
        if path.stem == "drawn":
            continue
        photo = load_photo(path)
        face = fit_face(photo, find_faces(photo), load_face_model())
        plate = cut_plate(face, "crop", size)
        points = plate.pose.project(face.shape)[:, :2]
        assert find_drawn_eyes(plate.image, points, float(plate.pose.scale)) is None, path.stem
