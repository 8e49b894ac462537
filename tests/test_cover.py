"""What a photo doesn't show: a covered mouth, a tongue put out, closed eyes."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from talking_face.errors import FaceUnsuitable
from talking_face.face.cover import eyes_closed, eyes_hidden, hand_covers, mouth_hidden, tongue_out
from talking_face.face.face import find_faces, fit_face
from talking_face.face.landmarks import LOWER_LID, UPPER_LID, detect_hands
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo
from talking_face.motion import Motion
from talking_face.picture.mouth.shading import load_mouth_light
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.renderer import Renderer
from talking_face.weights import load_weights


@pytest.fixture(scope="module")
def seen(portraits: list[Path]) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, pixels and landmarks of every portrait."""
    photos = [(path.name, load_photo(path)) for path in portraits]
    return [(name, photo, find_faces(photo)[0]) for name, photo in photos]


@pytest.fixture
def photographed(seen: list, portrait: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, to be painted on, and landmarks of one portrait."""
    photo, marks = next((photo, marks) for name, photo, marks in seen if name == portrait.name)
    return photo.copy(), marks


def ball(photo: np.ndarray, middle: np.ndarray, radius: float, colour: tuple[int, ...]) -> None:
    """Paint a ball lit from the left above, in place."""
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    x, y = (x - middle[0]) / radius, (y - middle[1]) / radius
    front = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    light = 0.3 + 0.8 * np.clip(0.7 * front - 0.3 * x - 0.6 * y, 0, 1)
    inside = front > 0
    photo[inside] = np.clip(np.array(colour) * light[inside][:, None], 0, 255)


@pytest.mark.parametrize("colour", [(30, 30, 32), (150, 152, 156), (85, 86, 90), (30, 60, 150)])
@pytest.mark.parametrize("below", [0.05, 0.3])  # all of the mouth, or its lower half
def test_a_microphone_over_the_mouth_is_noticed(
    photographed: tuple[np.ndarray, np.ndarray], colour: tuple[int, ...], below: float
) -> None:
    photo, marks = photographed
    unit = float(np.linalg.norm(marks[33, :2] - marks[263, :2]))
    assert not mouth_hidden(photo, marks)
    x, y = marks[[13, 14], :2].mean(0)
    ball(photo, np.array([x, y + below * unit]), 0.42 * unit, colour)
    assert mouth_hidden(photo, marks)


def test_a_hand_over_the_lips_covers_them_and_one_beside_does_not(
    photographed: tuple[np.ndarray, np.ndarray],
) -> None:
    _, marks = photographed
    unit = float(np.linalg.norm(marks[33, :2] - marks[263, :2]))
    mouth = marks[[13, 14], :2].mean(0)
    hand = np.random.default_rng(0).uniform(-0.5, 0.5, (21, 2)).astype(np.float32) * unit
    hand[:4] = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.5 * unit
    assert hand_covers(hand + mouth, marks)
    assert not hand_covers(hand + mouth + [unit, 0], marks)
    assert not hand_covers(hand * [0.05, 1] + mouth + [0.2 * unit, 0], marks)  # a finger
    assert not hand_covers(hand + marks[152, :2] + [0, 0.5 * unit], marks)  # under the chin


@pytest.mark.parametrize("light", [(0.3, 0.5, 1), (0.45, 0.6, 1), (0.6, 0.3, 1), (0.4, 0.9, 1)])
def test_coloured_light_hides_no_mouth(seen: list, light: tuple[float, ...]) -> None:
    for name, photo, marks in seen:
        assert not mouth_hidden(np.rint(photo * np.array(light)).astype(np.uint8), marks), name


def test_faded_prints_and_haze_hide_no_mouth(seen: list) -> None:
    """Little contrast all over is none of the mouth's."""
    for name, photo, marks in seen:
        grey = np.repeat(photo.mean(axis=-1, keepdims=True), 3, axis=-1)
        for contrast, black in ((0.35, 120), (0.2, 190), (0.3, 90)):
            faded = (contrast * grey + black).astype(np.uint8)
            assert not mouth_hidden(faded, marks), (name, contrast)


def test_a_dark_mask_is_noticed_without_colours(seen: list) -> None:
    """Its folds are faint beside the face, however dark it is itself."""
    lower = [234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397]
    lower += [288, 361, 323, 454, 280, 195, 50]
    for name, photo, marks in seen:
        if name == "drawn.jpg":
            continue
        masked = np.repeat(photo.mean(axis=-1, keepdims=True), 3, axis=-1)
        inside = np.zeros(photo.shape[:2], np.uint8)
        cv2.fillPoly(inside, [marks[lower, :2].astype(np.int32)], 1)
        y = np.arange(len(photo))[:, None, None]
        folds = 26 + 5 * np.sin(40 * y / np.ptp(marks[:, 1])) + 0 * masked
        masked[inside > 0] = folds[inside > 0]
        assert mouth_hidden(masked.astype(np.uint8), marks), name


def test_light_that_is_too_strong_puts_no_tongue_out(seen: list) -> None:
    for name, photo, marks in seen:
        linear = (photo / 255) ** 2.2
        for more in (2, 3, 4):
            burnt = (255 * np.clip(more * linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)
            assert not tongue_out(burnt, marks), (name, more)


def test_nothing_is_wrong_with_ordinary_portraits(seen: list) -> None:
    for name, photo, marks in seen:
        assert detect_hands(photo, marks) == [], name
        dark = np.rint(photo * 0.12).astype(np.uint8)
        for shown in (photo, dark, np.repeat(photo[..., 1:2], 3, axis=-1)):
            assert not mouth_hidden(shown, marks), name
            assert not tongue_out(shown, marks), name
            assert not eyes_hidden(shown, marks, False), name
        assert not eyes_closed(marks), name


@pytest.mark.parametrize("colour", [(22, 20, 24), (60, 40, 30), (40, 60, 80)])
def test_dark_glasses_hide_the_eyes(seen: list, colour: tuple[int, ...]) -> None:
    for name, photo, marks in seen:
        shaded = photo.copy()
        unit = float(np.linalg.norm(marks[33, :2] - marks[263, :2]))
        for ends in ([33, 133], [263, 362]):
            x, y = marks[ends, :2].mean(0)
            middle = round(float(x)), round(float(y + 0.04 * unit))
            axes = round(0.3 * unit), round(0.22 * unit)
            cv2.ellipse(shaded, middle, axes, 0, 0, 360, colour, -1)
        assert eyes_hidden(shaded, marks, False), name
        face = fit_face(shaded, [marks], load_face_model())
        assert face.eyes_closed
        assert "glasses" in face.notes[-1]


def test_a_rose_before_the_chin_is_no_tongue_and_hides_a_mouth_it_covers(seen: list) -> None:
    for name, photo, marks in seen:
        unit = float(np.linalg.norm(marks[33, :2] - marks[263, :2]))
        for top, hides in ((marks[17, 1] + 0.04 * unit, False), (marks[14, 1] - 0.1 * unit, True)):
            flower = photo.copy()
            bottom = marks[152, 1] + 0.3 * unit
            middle = round(float(marks[17, 0])), round(float(top + bottom) / 2)
            axes = round(0.2 * unit), round(float(bottom - top) / 2)
            cv2.ellipse(flower, middle, axes, 0, 0, 360, (215, 15, 50), -1)
            assert not tongue_out(flower, marks), name
            assert mouth_hidden(flower, marks) == hides, name


@pytest.mark.parametrize("colour", [(205, 95, 105), (190, 110, 110)])
def test_a_tongue_put_out_is_refused(
    photographed: tuple[np.ndarray, np.ndarray], colour: tuple[int, ...]
) -> None:
    photo, marks = photographed
    painted = photo.copy()
    lips = marks[[61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91], :2]
    cv2.fillPoly(painted, [lips.round().astype(np.int32)], (190, 20, 40))
    assert not tongue_out(painted, marks)  # but red lips are no tongue
    left, right, tip = marks[87, :2], marks[317, :2], marks[199, :2]
    width = np.abs(right - left)[0]
    middle, axes = (left + right + 2 * tip) / 4, (0.9 * width, 0.6 * np.linalg.norm(tip - left))
    place = [int(v) for v in middle], [int(v) for v in axes]
    cv2.ellipse(photo, *place, 0, 0, 360, colour, -1, cv2.LINE_AA)
    with pytest.raises(FaceUnsuitable, match="tongue"):
        fit_face(photo, [marks], load_face_model())


def test_closed_eyes_are_said_and_stay(photographed: tuple[np.ndarray, np.ndarray]) -> None:
    photo, marks = photographed
    squint, shut = marks.copy(), marks.copy()
    for upper, lower in zip(UPPER_LID, LOWER_LID, strict=True):
        gap = marks[list(lower)] - marks[list(upper)]
        squint[list(upper)] += 0.5 * gap
        shut[list(upper)] += 0.85 * gap
    assert not eyes_closed(squint)
    assert eyes_closed(shut)
    model = load_face_model()
    face = fit_face(photo, [shut], model)
    assert "eyes are closed" in face.notes[0]
    teeth = draw_teeth(TeethGenerator.from_weights(load_weights("teeth")), 0)
    blink = Motion.still(1).replace(lids=np.ones((1, 2)), gaze=np.full((1, 2), 8.0))
    closed = Renderer(face, model, teeth, load_mouth_light())
    assert (closed.frame(blink) == closed.frame(Motion.still(1))).all()
    opened = Renderer(replace(face, eyes_closed=False), model, teeth, load_mouth_light())
    assert (opened.frame(blink) != opened.frame(Motion.still(1))).any()
