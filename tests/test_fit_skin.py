"""What training reads off skin: moves that landmarks miss, and shades that moves don't fake."""

import cv2
import numpy as np
import pytest

from talking_face.face.model import load_face_model
from talking_face.picture.skin import COLUMNS, ROWS, WIDE, grid_weights
from talking_face.training.fit.skin import (
    FINER,
    beyond_landmarks,
    learn,
    mirrored,
    on_mesh,
    shades,
    texture,
)

MODEL = load_face_model()
UNIT = WIDE / (FINER * COLUMNS)  # canonical units of a cell of a texture


@pytest.fixture(scope="module")
def rest() -> np.ndarray:
    """A texture with marks of every size, as skin, brows and nostrils have."""
    chance = np.random.default_rng(0)
    shape = FINER * ROWS, FINER * COLUMNS
    grey = sum(
        size * cv2.GaussianBlur(chance.standard_normal(shape), (0, 0), size) for size in (2, 4, 8)
    )
    return np.clip(120 + 40 * grey[..., None] * [1.0, 0.9, 0.8], 0, 255).astype(np.uint8)


def shifted(texture: np.ndarray, right: float, down: float) -> np.ndarray:
    """What a texture looks like where all of it has moved by cells of it."""
    matrix = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
    size = texture.shape[1::-1]
    return cv2.warpAffine(texture, matrix, size, borderMode=cv2.BORDER_REPLICATE)


def test_moves_that_landmarks_miss_are_found(rest: np.ndarray) -> None:
    moves = beyond_landmarks(rest, np.stack([rest, shifted(rest, 3.0, -5.0)]))
    assert moves.shape == (2, ROWS, COLUMNS, 2)
    inner = moves[:, 20:-20, 20:-20] / UNIT
    assert np.abs(inner[0]).max() < 0.1
    assert np.allclose(np.median(inner[1], axis=(0, 1)), [3.0, -5.0], atol=0.5)


def test_what_has_moved_is_no_shade(rest: np.ndarray) -> None:
    moved = shifted(rest, 0.0, 6.0)
    still = np.zeros((ROWS, COLUMNS, 2), dtype=np.float32)
    back = still + np.array([0.0, 6.0 * UNIT], dtype=np.float32)
    usual = shades(rest, still)
    inner = np.s_[20:-20, 20:-20]
    taken_back = np.abs(shades(moved, back) - usual)[inner].mean()
    assert taken_back < 0.2 * np.abs(shades(moved, still) - usual)[inner].mean()


def test_a_texture_goes_with_the_landmarks() -> None:
    """A dot on the nose's tip is at the same cell wherever the face is."""
    weights, cells = grid_weights(MODEL), []
    for scale, left in ((120.0, 128.0), (90.0, 160.0)):
        marks = MODEL.mean * scale + np.array([left, 110.0, 0.0])
        frame = np.full((256, 288, 3), 200, dtype=np.uint8)
        cv2.circle(frame, tuple(marks[4, :2].round().astype(int).tolist()), 4, (0, 0, 0), -1)
        dark = 255 - texture(frame, marks, weights)[..., 0].astype(float)
        dark[dark < 100] = 0
        y, x = np.indices(dark.shape)
        cells.append([(dark * x).sum() / dark.sum(), (dark * y).sum() / dark.sum()])
    assert np.abs(np.diff(cells, axis=0)).max() < 1.5


def test_what_was_put_in_is_learned_on_both_sides_of_the_face() -> None:
    chance = np.random.default_rng(1)
    held = chance.standard_normal((300, 30))
    truth = np.zeros((30, ROWS, COLUMNS, 2), dtype=np.float32)
    truth[3, 40:50, 20:30] = [0.01, -0.02]
    flip = mirrored(MODEL)
    other = np.einsum("ij,jrcd->ircd", flip, truth[:, :, ::-1] * [-1, 1])
    moves = np.einsum("ni,ircd->nrcd", held, (truth + other) / 2)
    found = learn(held, moves.astype(np.float32), np.arange(300) % 10, MODEL)
    wanted = ((truth + other) / 2)[3, 44, 24]
    assert np.allclose(found[3, 44, 24], wanted, atol=0.3 * np.abs(wanted).max())
    on_points = on_mesh(found, MODEL)
    assert on_points.shape == (468, 2, 30)
    assert not on_points[[10, 152, 234, 454]].any()  # the outline
