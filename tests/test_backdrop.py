"""Another background behind the person, and pictures of what was found in a photo."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from talking_face.clips.overlay import draw_faces, draw_mesh
from talking_face.errors import OptionInvalid, PhotoUnreadable
from talking_face.face.face import Face, find_faces, fit_face
from talking_face.face.landmarks import FACE_OVAL
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo
from talking_face.motion import Motion
from talking_face.picture.backdrop import fill, load_backdrop, replace_background
from talking_face.picture.mouth.shading import load_mouth_light
from talking_face.picture.plate import cut_plate
from talking_face.picture.renderer import Renderer

MODEL = load_face_model()
TEETH = np.ones((48, 128, 4), dtype=np.float32)
GREEN = (16, 144, 48)


@pytest.fixture(scope="module")
def face() -> Face:
    photo = load_photo(Path(__file__).parents[1] / "assets/portraits/woman_long_hair.jpg")
    return fit_face(photo, find_faces(photo), MODEL)


@pytest.fixture(scope="module")
def before_green(face: Face) -> Renderer:
    return Renderer(
        face, MODEL, TEETH, load_mouth_light(), size=256, backdrop=load_backdrop("#109030")
    )


def turned() -> Motion:
    return Motion.still(1).replace(
        rotation=np.array([[12.0, 4.0, 6.0]]), translation=np.array([[0.08, 0.0, 0.0]])
    )


def near(frame: np.ndarray, colour: tuple[int, int, int], off: int = 1) -> np.ndarray:
    return (np.abs(frame.astype(int) - colour) <= off).all(-1)


def inside_face(renderer: Renderer) -> np.ndarray:
    points = renderer.plate.pose.project(renderer.face.shape)[list(FACE_OVAL), :2]
    mask = np.zeros(renderer.plate.image.shape[:2], dtype=np.uint8)
    cv2.fillPoly(mask, [points.astype(np.int32)], (1,))
    return cv2.erode(mask, np.ones((9, 9))).astype(bool)


def test_the_colour_is_behind_the_person_and_the_face_is_the_photos(before_green: Renderer) -> None:
    frame = before_green.frame(Motion.still(1))
    plain = cut_plate(before_green.face, "crop", 256).image
    face = inside_face(before_green)
    assert np.array_equal(frame[face], plain[face])
    person = np.asarray(before_green.plate.person[before_green.plate.margin :])
    behind = near(frame, GREEN)
    assert behind[:12, :12].all()
    assert behind[:12, -12:].all()
    assert not behind[face].any()
    assert 0.1 < behind.mean() < 0.7
    assert person.min() == 0


def test_the_new_background_stays_when_the_head_moves(before_green: Renderer) -> None:
    still, moved = before_green.frame(Motion.still(1)), before_green.frame(turned())
    behind = near(still, GREEN) & near(moved, GREEN)
    assert behind[:100, :10].all()
    assert (still != moved).any(-1).mean() > 0.2
    # Nothing of the old background, a light grey wall, comes out from behind the head.
    wall = cut_plate(before_green.face, "crop", 256).image[2, 2].astype(int)
    above = moved[: int(before_green.plate.pose.origin[1] * 0.5)]
    assert near(above, tuple(wall), 6).mean() < 0.01


def test_a_picture_fills_the_background_of_the_whole_photo(face: Face) -> None:
    picture = np.zeros((80, 300, 3), dtype=np.uint8)
    picture[..., 2] = 200
    renderer = Renderer(
        face, MODEL, TEETH, load_mouth_light(), framing="photo", size=400, backdrop=picture
    )
    frames = [renderer.frame(motion) for motion in (Motion.still(1), turned())]
    for frame in frames:
        assert near(frame, (0, 0, 200))[:20, :20].all()
    plate = renderer.plate
    outside = np.ones(frames[0].shape[:2], dtype=bool)
    height, width = plate.image.shape[:2]
    outside[plate.top : plate.top + height, plate.left : plate.left + width] = False
    assert np.array_equal(frames[0][outside], frames[1][outside])
    assert np.abs(frames[0].astype(int) - plate.canvas).max() <= 2  # no seam around the window


def test_backdrops_are_scaled_to_fill() -> None:
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 100, axis=0).repeat(3, axis=2)
    assert fill(ramp, 50, 50).shape == (50, 50, 3)
    square = fill(ramp, 300, 300)
    assert abs(int(square[:, 0].mean()) - 50) < 3
    assert abs(int(square[:, -1].mean()) - 149) < 3


@pytest.mark.parametrize("colour", ["#12345", "#gggggg", "#1234567", "#"])
def test_what_is_no_colour_is_refused(colour: str) -> None:
    with pytest.raises(OptionInvalid, match="not a colour"):
        load_backdrop(colour)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoUnreadable):
        load_backdrop(tmp_path / "missing.jpg")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(PhotoUnreadable):
        load_backdrop(str(tmp_path / "text.png"))


def test_a_person_that_is_not_told_apart_keeps_the_background(face: Face) -> None:
    plate = replace(cut_plate(face, "crop", 128), background=None)
    with pytest.raises(OptionInvalid, match="can't be told from the background"):
        replace_background(plate, plate.pose.project(face.shape), load_backdrop("#ffffff"))


def test_the_mesh_lies_on_the_face(face: Face) -> None:
    picture = draw_mesh(face, MODEL.triangles)
    changed = (picture != face.photo).any(-1)
    (left, top), (right, bottom) = face.landmarks[:, :2].min(0), face.landmarks[:, :2].max(0)
    rows, columns = np.nonzero(changed)
    assert abs(rows.min() - top) < 12
    assert abs(rows.max() - bottom) < 12
    assert abs(columns.min() - left) < 12
    assert abs(columns.max() - right) < 12
    assert changed[int(top) : int(bottom), int(left) : int(right)].mean() > 0.2


def test_faces_are_outlined_and_numbered() -> None:
    boxes = [(100, 100, 200, 220), (250, 60, 300, 120)]
    photo = np.zeros((300, 400, 3), dtype=np.uint8)
    picture = draw_faces(photo, boxes)
    assert not photo.any()
    for x0, y0, x1, y1 in boxes:
        assert picture[(y0 + y1) // 2, x1].any()
        assert picture[y1, (x0 + x1) // 2].any()
        assert not picture[y0 + (y1 - y0) * 3 // 4, x0 + (x1 - x0) * 3 // 4].any()
    one, two = (picture[y0 : y0 + 12, x0 : x0 + 12] for x0, y0, _, _ in boxes)
    assert not np.array_equal(one, two)
    assert np.array_equal(draw_faces(photo, []), photo)
