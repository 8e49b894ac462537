"""Rendering: known answers, measured on the rendered frames by the tracker."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from talking_face.editing.directions import find_directions
from talking_face.face.face import Face, find_faces, fit_face
from talking_face.face.landmarks import detect_faces, mouth_opening, mouth_width
from talking_face.face.lips import mouth_readout
from talking_face.face.model import load_face_model, rotation_angles
from talking_face.face.photo import load_photo
from talking_face.motion import CHANNELS, Motion
from talking_face.picture.mouth.shading import load_mouth_light
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.renderer import MAX_ROTATION, Renderer, most_rotation
from talking_face.weights import load_weights

TEETH = draw_teeth(TeethGenerator.from_weights(load_weights("teeth")), 0)


def make(path: Path, **options: object) -> Renderer:
    return Renderer(fitted(path), load_face_model(), TEETH, load_mouth_light(), **options)  # type: ignore[arg-type]


@cache
def fitted(path: Path) -> Face:
    photo = load_photo(path)
    return fit_face(photo, find_faces(photo), load_face_model())


def pose(**channels: list[float]) -> Motion:
    """One frame with the given channels; missing numbers are zero."""
    still = Motion.still(1)
    arrays = {}
    for name, values in channels.items():
        arrays[name] = np.zeros((1, CHANNELS[name]), dtype=np.float32)
        arrays[name][0, : len(values)] = values
    return still.replace(**arrays)


def track(frame: np.ndarray) -> np.ndarray:
    return detect_faces(frame)[0]


@pytest.fixture(scope="module")
def closed() -> Renderer:
    return make(Path(__file__).parents[1] / "assets/portraits/woman_long_hair.jpg")


@pytest.fixture(scope="module")
def smiling() -> Renderer:
    return make(Path(__file__).parents[1] / "assets/portraits/astronaut.jpg")


@pytest.mark.slow
@pytest.mark.parametrize("photo", ["woman_orange_shirt", "man_black_shirt", "woman_long_hair"])
def test_lips_that_are_parted_in_the_photo_open_as_far_as_others(
    photo: str, portraits: list[Path]
) -> None:
    renderer = make(portraits[0].with_name(f"{photo}.jpg"))
    weights, bias = mouth_readout(load_face_model())
    towards = weights[:16, 0] / (weights[:16, 0] @ weights[:16, 0])

    def seen(opening: float) -> float:
        motion = pose(rest=[1.0], lower=list((opening - bias[0]) * towards))
        return float(mouth_opening(track(renderer.frame(motion))))

    assert seen(0.15) > 0.76 * 0.15  # 0.1 where the rims of parted lips count as open
    assert seen(-0.01) < 0.02


@pytest.mark.parametrize("framing", ["crop", "photo"])
def test_zero_motion_is_the_photo_bit_for_bit(portraits: list[Path], framing: str) -> None:
    for path in portraits:
        renderer = make(path, framing=framing, size=None if framing == "photo" else 256)
        frame = renderer.frame(Motion.still(1))
        assert np.array_equal(frame, renderer.plate.canvas), path.name
        if framing == "photo":
            photo = renderer.face.photo
            assert np.array_equal(frame, photo[: len(frame), : frame.shape[1]]), path.name


def test_full_photo_moves_only_around_the_head(closed: Renderer) -> None:
    photo = cv2.copyMakeBorder(closed.face.photo, 200, 200, 700, 700, cv2.BORDER_REFLECT)
    faces = sorted(detect_faces(photo), key=lambda f: abs(f[:, 0].mean() - photo.shape[1] / 2))
    renderer = Renderer(
        fit_face(photo, faces[:1], load_face_model()),
        load_face_model(),
        TEETH,
        load_mouth_light(),
        framing="photo",
    )
    frame = renderer.frame(pose(rotation=[8, 5, 4], lower=[1.5], rest=[1]))
    plate = renderer.plate
    outside = np.ones(frame.shape[:2], dtype=bool)
    height, width = plate.image.shape[:2]
    outside[plate.top : plate.top + height, plate.left : plate.left + width] = False
    assert outside.any()
    assert np.array_equal(frame[outside], plate.canvas[outside])
    assert not np.array_equal(frame, plate.canvas)


def test_a_closed_smile_goes_where_more_than_rest_is_asked_for(closed: Renderer) -> None:
    smile = find_directions(load_face_model()).smile
    photo = closed.frame(pose(lower=list(smile)))
    face = fit_face(photo, find_faces(photo), load_face_model())
    again = Renderer(face, load_face_model(), TEETH, load_mouth_light())
    smiling, less, gone = (mouth_width(track(again.frame(pose(rest=[r])))) for r in (1, 1.5, 2))
    assert smiling > less > gone
    assert smiling - gone > 0.015  # of a smile of 0.08, a part of which may be the person's mouth


def test_a_4k_photo_stays_4k(closed: Renderer) -> None:
    face = closed.face.photo
    photo = np.full((2160, 3840, 3), 90, np.uint8)
    photo[400 : 400 + len(face), 900 : 900 + face.shape[1]] = face
    fit = fit_face(photo, find_faces(photo), load_face_model())
    renderer = Renderer(fit, load_face_model(), TEETH, load_mouth_light(), "photo", 3840)
    assert np.array_equal(renderer.frame(Motion.still(1)), photo)
    moved = renderer.frame(pose(rotation=[4, 0, 0]))
    assert moved.shape == photo.shape
    assert np.array_equal(moved[1500:], photo[1500:])


def test_background_that_the_photo_shows_is_still(closed: Renderer) -> None:
    still, turned = (closed.frame(pose(rotation=[yaw, 2, 1])) for yaw in (0.0, 0.4))
    height, width = still.shape[:2]
    margin = closed.plate.margin
    person = closed.plate.person[margin : margin + height, margin : margin + width]
    away = cv2.dilate((person > 0).astype(np.uint8), np.ones((31, 31))) == 0
    assert away.any()
    assert np.array_equal(turned[away], closed.plate.image[away])
    assert np.array_equal(still[away], closed.plate.image[away])


def test_a_turned_face_is_turned_less_to_the_side_that_it_hides() -> None:
    right, left = np.array([30.0, 1.0, 1.0]), np.array([-30.0, 1.0, 1.0])
    frontal = np.zeros(3)
    assert np.array_equal(most_rotation(right, frontal), MAX_ROTATION)
    for own, reveals, hides in ((-25.0, left, right), (25.0, right, left)):
        photo = np.array([own, 20.0, 20.0])
        assert np.array_equal(most_rotation(reveals, photo), MAX_ROTATION)
        assert most_rotation(hides, photo)[0] < 6
        assert np.array_equal(most_rotation(hides, photo)[1:], MAX_ROTATION[1:])


def test_a_pose_is_followed_to_the_limit_unless_told_otherwise(
    closed: Renderer, portrait: Path
) -> None:
    free = make(portrait, size=128, limits_pose=False)
    motion = pose(rotation=[40.0])
    still = rotation_angles(closed.head_pose(pose(), 0).rotation)[0]
    held, followed = (
        rotation_angles(r.head_pose(motion, 0).rotation)[0] - still for r in (closed, free)
    )
    assert 15 < held < 19 < 39 < followed < 41


def test_jaw_opens_the_rendered_mouth(closed: Renderer) -> None:
    openings = [
        float(mouth_opening(track(closed.frame(pose(lower=[amount], rest=[1])))))
        for amount in (0.0, 1.0, 2.0)
    ]
    assert openings[0] < 0.015
    assert openings[0] + 0.04 < openings[1] < openings[2] - 0.04


def test_smile_comes_to_rest_with_closed_lips(smiling: Renderer) -> None:
    before, after = (track(smiling.frame(pose(rest=[rest]))) for rest in (0.0, 1.0))
    assert mouth_opening(before) > 0.05
    assert mouth_opening(after) < 0.02
    assert mouth_width(after) < mouth_width(before) - 0.03


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("angle", [-7.0, 7.0])
def test_head_turns_as_told(closed: Renderer, axis: int, angle: float) -> None:
    model = load_face_model()
    rotation = [0.0, 0.0, 0.0]
    rotation[axis] = angle
    still, _ = model.fit(track(closed.frame(pose())))
    turned, _ = model.fit(track(closed.frame(pose(rotation=rotation))))
    change = rotation_angles(turned.rotation) - rotation_angles(still.rotation)
    assert 0.5 * abs(angle) < np.sign(angle) * change[axis] < 1.5 * abs(angle)


def test_blink_closes_the_eyes_and_nothing_else(closed: Renderer) -> None:
    open_frame, shut = closed.frame(pose()), closed.frame(pose(lids=[1, 1]))

    def eyes(frame: np.ndarray) -> float:
        marks = track(frame)
        return float((marks[[145, 374], 1] - marks[[159, 386], 1]).mean())

    assert eyes(shut) < 0.45 * eyes(open_frame)
    below_nose = int(track(open_frame)[2, 1])
    assert np.array_equal(open_frame[below_nose:], shut[below_nose:])


def test_what_is_not_drawn_of_the_background_makes_no_difference(portrait: Path) -> None:
    less, all_of_it = make(portrait), make(portrait)
    assert len(less._person) < 0.95 * len(less.triangles)
    all_of_it._person = all_of_it.triangles
    for rotation in ([12.0, 5.0, -4.0], [-0.3, 0.1, 0.2], [0.0, 0.0, 0.0]):
        motion = pose(rotation=rotation)
        assert (less.frame(motion) == all_of_it.frame(motion)).all()


@pytest.mark.parametrize("yaw", [-44.0, 44.0])
def test_a_nose_before_an_eye_stays_before_it(portrait: Path, yaw: float) -> None:
    free = make(portrait, limits_pose=False)
    motion = pose(rotation=[yaw, -12.0], gaze=[9, 4])
    flow = free.flow(motion, 0)
    bare = free.composite(flow, motion, 0)
    painted = np.abs(free.frame(motion).astype(int) - bare).max(2) > 40
    eyes = [flow.dense[eye] for eye in free.mesh.eyes]
    far = max(eyes, key=lambda eye: eye[:, 2].mean())
    (left, top), (right, bottom) = (far[:, :2].min(0).astype(int), far[:, :2].max(0).astype(int))
    eye = np.s_[top : bottom + 1, left : right + 1]
    nose = flow.depth[eye] < far[:, 2].min() - 0.15 * float(flow.pose.scale)
    assert nose.mean() > 0.1
    assert not (cv2.erode(nose.astype(np.uint8), np.ones((3, 3))) & painted[eye]).any()


def test_no_eyeball_shows_through_closed_lids() -> None:
    drawn = make(Path(__file__).parents[1] / "assets/portraits/drawn.jpg")
    shut = drawn.frame(pose(lids=[1, 1]))
    marks = drawn.landmarks(pose(lids=[1, 1]), 0)
    for upper, skin in ((159, 230), (386, 450)):
        x, y = marks[upper, :2].round().astype(int)
        column = shut[y : y + 16, x - 24 : x + 25].astype(int)
        below = shut[tuple(marks[skin, 1::-1].round().astype(int))]
        assert (column.max(axis=(0, 1)) < below.astype(int) + 20).all()  # the white is whiter


def test_gaze_moves_the_irises(closed: Renderer) -> None:
    def iris(gaze: list[float]) -> float:
        marks = track(closed.frame(pose(gaze=gaze)))
        corners = marks[[33, 133, 263, 362], 0].mean()
        return float(marks[[468, 473], 0].mean() - corners)

    assert iris([10, 0]) > iris([0, 0]) + 0.5 > iris([-10, 0]) + 1.0


def test_background_and_shoulders_stay_when_the_mouth_moves(closed: Renderer) -> None:
    still = closed.frame(pose())
    moved = closed.frame(pose(lower=[2.0], upper=[1.0], lids=[0.7, 0.7], rest=[1]))
    changed = np.abs(still.astype(int) - moved).max(axis=2) > 8
    height, width = changed.shape
    assert changed.any()
    assert not changed[: height // 10].any()
    assert not changed[-height // 8 :].any()
    assert not changed[:, : width // 8].any()
    assert not changed[:, -width // 8 :].any()


def test_extreme_motion_is_limited_and_finite(closed: Renderer) -> None:
    wild = pose(
        rotation=[90, -80, 70],
        translation=[5, -5, 2],
        lower=[6, -5, 4],
        lids=[3, -3],
        gaze=[80, -80],
        rest=[1],
    )
    frame = closed.frame(wild)
    assert frame.shape == closed.plate.canvas.shape
    assert len(detect_faces(frame)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("size", [256, 1024])
def test_output_size(portrait: Path, size: int) -> None:
    assert make(portrait, size=size).frame(Motion.still(1)).shape == (size, size, 3)
