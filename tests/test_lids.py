"""Eyelids: how they close, and what a closed lid is painted with."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from talking_face import load_animator
from talking_face.face.face import find_faces, fit_face
from talking_face.face.landmarks import IRIS_CENTRE, IRIS_RING, LOWER_LID, UPPER_LID
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo
from talking_face.moods import MOODS
from talking_face.motion import Motion
from talking_face.options import Look
from talking_face.picture.eyes import Eyes
from talking_face.picture.lids import (
    CREASE,
    MEETING,
    OPEN_WIDE,
    WIDEST,
    ClosedLid,
    closing,
    held_apart,
    line_above,
    meeting,
)
from talking_face.picture.mesh import face_mesh
from talking_face.picture.plate import cut_plate


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


IRIS = 0.126  # of the mean face, canonical units


def opened(eye: int, share: float, sunk: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The mean face, and one whose lids are further apart by a share of what they are."""
    face = load_face_model().mean.astype(np.float64)
    upper, lower = list(UPPER_LID[eye])[1:-1], list(LOWER_LID[eye])[1:-1]
    gap = face[lower, 1] - face[upper, 1]
    wide = face.copy()
    wide[upper, 1] -= (share - sunk) * gap
    wide[lower, 1] += sunk * gap
    return face, wide


@pytest.mark.parametrize("eye", [0, 1])
def test_eyes_open_no_wider_than_people_open_theirs(eye: int) -> None:
    upper, lower = list(UPPER_LID[eye])[1:-1], list(LOWER_LID[eye])[1:-1]
    face, wide = opened(eye, 1.2)
    held = held_apart(wide, face, eye, IRIS)
    gap, own = (shape[lower, 1] - shape[upper, 1] for shape in (held, face))
    assert (wide[lower, 1] - wide[upper, 1]).max() > 1.3 * IRIS
    assert 1.05 * IRIS < gap.max() <= OPEN_WIDE * IRIS
    np.testing.assert_allclose(gap / own, gap[0] / own[0], rtol=1e-6, err_msg="their form is kept")
    few, little = opened(eye, 0.05)
    assert held_apart(little, few, eye, IRIS) is little, "a little is done as it is asked for"


def test_a_lower_lid_gives_way_first() -> None:
    lower = list(LOWER_LID[0])[1:-1]
    face, wide = opened(0, 1.2, sunk=0.3)
    held = held_apart(wide, face, 0, IRIS)
    np.testing.assert_allclose(held[lower, 1], face[lower, 1], atol=1e-9)


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


@pytest.mark.parametrize("mood", ["surprised", "fearful"])
def test_a_face_that_is_startled_shows_its_irises_and_hardly_more(
    portrait: Path, mood: str
) -> None:
    animator = load_animator("cpu")
    renderer = animator.renderer(animator.fit(portrait), Look(size=256))
    felt = np.zeros((1, len(MOODS) + 1), dtype=np.float32)
    felt[0, MOODS.index(mood)] = 1.3
    points = renderer.landmarks(animator.expressed(Motion.still(1).replace(feeling=felt)), 0)[:, :2]
    for eye in (0, 1):
        upper, lower = points[list(UPPER_LID[eye])], points[list(LOWER_LID[eye])]
        ring = points[list(IRIS_RING[eye])] - points[IRIS_CENTRE[eye]]
        iris = 2 * np.linalg.norm(ring, axis=1).mean()
        assert 0.95 < np.linalg.norm(lower - upper, axis=1).max() / iris < 1.3


def test_a_blink_leaves_the_frame_of_glasses_where_it_is(portrait: Path) -> None:
    photo = load_photo(portrait)
    marks = find_faces(photo)[0]
    unit = float(np.linalg.norm(marks[33, :2] - marks[263, :2]))
    upper = [marks[list(lid), :2] for lid in UPPER_LID]
    glasses = photo.copy()
    for margin in upper:
        line = (margin - np.array([0, 0.075 * unit])).round().astype(np.int32)
        cv2.polylines(glasses, [line], False, (15, 15, 15), round(0.03 * unit))
    model = load_face_model()
    bent, lid = [], []
    for image in (photo, glasses):
        plate = cut_plate(fit_face(image, [marks], model), "photo")
        face = fit_face(image, [marks], model)
        eyes = Eyes(plate, face, face_mesh(model.triangles).eyes)
        brow_side = [index for crease in CREASE for index in crease[2:7]]
        bent.append(float(np.abs(eyes.close(np.ones(2))[brow_side, 1]).max()))
        points = plate.pose.project(face.shape)[:, :2]
        lines = [line_above(plate, points, eye) for eye in (0, 1)]
        lid.append(ClosedLid(plate, points, 0, lines[0]))
        assert min(lines) > 0.88 if image is glasses else max(lines) < 0.6, lines
    assert bent[1] < 0.6 * bent[0]
    assert lid[1]._skin.mean() > 0.9 * lid[0]._skin.mean()
