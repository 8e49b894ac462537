"""The corners of a mouth that smiles in its photo, and of one that doesn't any more."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from talking_face import load_animator
from talking_face.face.face import Face
from talking_face.face.landmarks import MOUTH_CORNERS
from talking_face.files import shipped
from talking_face.motion import Motion
from talking_face.picture.mouth.closing import heal_corners
from talking_face.picture.mouth.light import LUMA
from talking_face.picture.renderer import Renderer

ANIMATOR = load_animator("cpu")
BESIDE, BLOT = 0.05, 0.035  # inter-ocular distances from a corner, outwards, and a blot's radius


@pytest.fixture(scope="module")
def smiling() -> Face:
    return ANIMATOR.fit(shipped("assets") / "portraits" / "astronaut.jpg")


@pytest.fixture(scope="module")
def blotted(smiling: Face) -> Renderer:
    """A smile with a black end of the mouth beyond either of its corners."""
    places = smiling.pose.project(smiling.shape)[:, :2]
    unit, photo = float(smiling.pose.scale), smiling.photo.copy()
    first, last = places[list(MOUTH_CORNERS)]
    outwards = (last - first) / np.linalg.norm(last - first)
    for corner, way in ((first, -1), (last, 1)):
        blot = corner + way * BESIDE * unit * outwards
        cv2.circle(photo, tuple(np.round(blot).astype(int).tolist()), round(BLOT * unit), 0, -1)
    return ANIMATOR.renderer(replace(smiling, photo=photo, digest="b" * 64))


@pytest.fixture(scope="module")
def blunt(smiling: Face) -> Renderer:
    """A smile whose ends are dark and blunt, higher than its landmarks say."""
    places = smiling.pose.project(smiling.shape)[:, :2]
    unit, photo = float(smiling.pose.scale), smiling.photo.copy()
    for corner in places[list(MOUTH_CORNERS)]:
        end = tuple(np.round(corner).astype(int).tolist())
        axes = round(0.025 * unit), round(0.07 * unit)
        cv2.ellipse(photo, end, axes, 0, 0, 360, (60, 20, 20), -1)
    return ANIMATOR.renderer(replace(smiling, photo=photo, digest="d" * 64))


def darkest(renderer: Renderer, motion: Motion, height: float = 0.05) -> list[float]:
    """The darkest grey beside either corner, where its blot is or would be, and so far up and
    down."""
    picture = cv2.blur(renderer.frame(motion), (3, 3)).astype(np.float32) @ LUMA
    flow = renderer.flow(motion, 0)
    unit, found = float(flow.pose.scale), []
    for corner, way in zip(MOUTH_CORNERS, (-1, 1), strict=True):
        x, y = flow.points[corner, :2]
        left, right = sorted((x + way * 0.01 * unit, x + way * 0.16 * unit))
        beside = picture[
            round(y - height * unit) : round(y + height * unit), round(left) : round(right)
        ]
        found.append(float(beside.min()))
    return found


def test_what_lies_behind_a_smile_goes_when_it_comes_to_rest(blotted: Renderer) -> None:
    still = Motion.still(1)
    resting = still.replace(rest=np.ones((1, 1)))
    assert max(darkest(blotted, still)) < 20  # the photo is shown as it is
    skin = blotted.mouth.light.skin @ LUMA * 255
    assert min(darkest(blotted, resting)) > 0.5 * skin


def test_corners_heal_as_far_as_they_move(blotted: Renderer) -> None:
    shares = np.linspace(0, 1, 9)
    greys = [
        min(darkest(blotted, Motion.still(1).replace(rest=share * np.ones((1, 1)))))
        for share in shares
    ]
    assert greys[0] < 20
    assert np.diff(greys).min() > -15
    assert greys[-1] > greys[0] + 60


def test_a_mouth_at_the_border_of_its_photo_is_healed_as_well(blotted: Renderer) -> None:
    face = blotted.face
    column = int(face.pose.project(face.shape)[MOUTH_CORNERS[1], 0]) - 2
    photo = np.ascontiguousarray(face.photo[:, :column])
    renderer = ANIMATOR.renderer(replace(face, photo=photo, digest="c" * 64))
    picture = (
        renderer.frame(Motion.still(1).replace(rest=np.ones((1, 1)))).astype(np.float32) @ LUMA
    )
    flow = renderer.flow(Motion.still(1).replace(rest=np.ones((1, 1))), 0)
    (x, y), unit = flow.points[MOUTH_CORNERS[0], :2], float(flow.pose.scale)
    beside = picture[
        round(y - 0.05 * unit) : round(y + 0.05 * unit), round(x - 0.16 * unit) : round(x)
    ]
    assert cv2.blur(beside, (3, 3)).min() > 0.5 * 255 * renderer.mouth.light.skin @ LUMA


def test_no_whiskers_are_left_of_a_blunt_end_of_a_smile(blunt: Renderer) -> None:
    resting = Motion.still(1).replace(rest=np.ones((1, 1)))
    skin = blunt.mouth.light.skin @ LUMA * 255
    assert min(darkest(blunt, resting, 0.12)) > 0.5 * skin


def test_a_dash_that_is_taken_out_leaves_no_ring() -> None:
    window = np.full((80, 80, 3), 180, np.uint8)
    cv2.ellipse(window, (40, 40), (7, 2), 0, 0, 360, (40, 30, 30), -1)
    window = cv2.GaussianBlur(window, (0, 0), 1.5)
    before = window[40, 40].copy()
    corners = np.full((2, 2, 2), 40.0) + np.array([[-4, 0], [4, 0]])
    heal_corners(window, corners, 135.0, 1.0)
    across = window[34:41, 40].astype(int).mean(axis=1)  # from skin to the dash's middle
    assert window[40, 40].mean() > before.mean() + 30
    assert np.diff(across).max() <= 2  # nowhere a rim that is darker than what it surrounds
