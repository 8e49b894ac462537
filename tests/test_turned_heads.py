"""What comes into view when a head is turned: ears, the side that its photo hides, background."""

import numpy as np
import pytest

from talking_face import load_animator
from talking_face.face.model import Pose, rotation_matrix
from talking_face.head import head as heads
from talking_face.head.head import build_head
from talking_face.head.hidden import INSIDE, hidden_side, light_of
from talking_face.head.patch import Surface
from talking_face.head.relief import RISE, away_from, relief_of
from talking_face.picture.inpaint import continued

UNIT = 100.0
ROUND = np.linspace(0, 2 * np.pi, 48, endpoint=False)
CIRCLE = np.stack([np.cos(ROUND), np.sin(ROUND)], axis=1)
NOBODY = np.zeros(48, dtype=bool), np.zeros((0, 3))


def test_ears_do_not_stand_before_the_cheeks_beside_them():
    """A face whose sides lie deep, and a silhouette a fifth of a unit around it."""
    sides = 80 * np.abs(CIRCLE[:, 0])
    contour = np.column_stack([200 + 80 * CIRCLE, sides])
    relief = relief_of(contour, *NOBODY, 200 + 100 * CIRCLE, np.array([400, 400]), UNIT)
    ears = relief.front[48:][np.abs(relief.front[48:, 1] - 200) < 30]
    assert len(ears) > 8
    beside = np.abs(np.hypot(*(ears[:, :2] - 200).T) - 80)
    assert (ears[:, 2] > 80 - RISE * beside - 6).all()


def test_a_hidden_side_is_within_the_silhouette_and_behind_what_is_shown():
    pose = Pose(rotation_matrix(np.array([25.0, 0, 0])), np.asarray(UNIT), np.array([200, 200, 0]))
    x, y = np.meshgrid(np.linspace(-0.9, 0.9, 19), np.linspace(-1, 1, 21))
    grid = np.stack([x, y, x**2], axis=-1).reshape(-1, 3)
    number = np.arange(19 * 21).reshape(21, 19)
    corners = number[:-1, :-1], number[:-1, 1:], number[1:, 1:]
    triangles = np.stack([corner.ravel() for corner in corners], axis=1).astype(np.int32)
    front = Surface(pose.project(grid), triangles)
    outline = np.array([200, 200]) + 70 * CIRCLE
    wall = Surface(
        np.array([[0, 0, 40], [900, 0, 40], [0, 900, 40.0]]), np.array([[0, 1, 2]], "i4")
    )
    side, shows = hidden_side(front, wall, 0, pose, outline, near=-1)
    assert len(side.triangles) > 50
    assert len(shows) == len(side.points)
    assert away_from(outline, side.points[:, :2]).max() < 0.5 * INSIDE * UNIT
    assert side.points[:, 2].min() > 40
    # The places shown are the near side's.
    assert set(map(tuple, shows)) <= set(map(tuple, front.points[grid[:, 0] < 0.01, :2]))


def test_a_hidden_side_has_its_own_light():
    face = np.full((64, 64, 3), 100, dtype=np.uint8)
    face[:, :32] = 80
    assert light_of(face, near=1) == pytest.approx([0.8] * 3, abs=0.01)
    assert light_of(face, near=-1) == pytest.approx([1.25] * 3, abs=0.02)


@pytest.mark.slow
def test_a_turned_photo_s_head_gets_a_second_side(monkeypatch, portrait):
    animator = load_animator()
    renderer = animator.renderer(animator.fit(portrait))
    monkeypatch.setattr(heads, "TURNED", 90.0)
    straight = build_head(renderer)
    monkeypatch.setattr(heads, "TURNED", 0.0)
    turned = build_head(renderer)
    assert len(turned.relief) > len(straight.relief) + 100
    tile = np.s_[1710:2040, 1540:2040]
    assert straight.atlas[tile].max() == 0
    assert turned.atlas[tile].mean() > 10


def test_a_background_goes_on_behind_the_person():
    rows = np.arange(160)
    picture = np.zeros((160, 160, 3), dtype=np.uint8)
    picture[:] = np.where(rows // 8 % 2, 200, 60)[None, :, None]
    hidden = np.zeros((160, 160), dtype=bool)
    hidden[50:, 60:110] = True
    start = np.where(hidden[..., None], np.uint8(130), picture)
    filled = continued(picture, hidden, start)
    off = np.abs(filled.astype(int) - picture)[hidden].mean()
    assert off < 0.4 * np.abs(start.astype(int) - picture)[hidden].mean()
    assert np.array_equal(filled[:40], picture[:40])
    assert np.array_equal(filled, continued(picture, hidden, start))


def test_where_too_little_is_known_the_guess_stays():
    picture = np.full((160, 160, 3), 90, dtype=np.uint8)
    hidden = np.ones((160, 160), dtype=bool)
    hidden[:4] = False
    start = np.full((160, 160, 3), 91, dtype=np.uint8)
    assert np.array_equal(continued(picture, hidden, start), start)
