"""Skin: how an expression moves it beyond its landmarks, and darkens and lights it in folds.

Landmarks are regular: the skin of cheeks, nose and brows is seen to move further than they are
tracked. A smile draws lines from nose to mouth, a frown between the brows and beside the nose's
root. Both were learned on real faces, see `talking_face.training.fit.skin`, on a grid that goes
with the face: for each coefficient of the expression where each point of the mesh goes besides,
and a map of logarithms of brightness; maps are added up and multiplied into the moved photo. Where
nothing moves, nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from scipy.spatial import Delaunay

from talking_face.arrays import Array, Float32
from talking_face.curves import smoothstep, soft_limit
from talking_face.face.landmarks import (
    FACE_OVAL,
    LIPS_OUTLINE,
    LOWER_LID,
    N_LANDMARKS,
    N_MESH,
    UPPER_LID,
)
from talking_face.face.model import FaceModel
from talking_face.frozen import Frozen
from talking_face.picture.mesh import draw_map
from talking_face.weights import load_weights

ROWS, COLUMNS = 112, 96  # of the grid
LEFT, TOP, WIDE, HIGH = -0.84, -0.72, 1.68, 1.96  # its extent on the mean face, canonical units
EDGE = 0.2  # canonical units over which it ends towards the outline of the face
# Canonical y, upwards and downwards, over which shades end: above is hair, below the jaw's shadow.
HAIRLINE, JAW = (-0.36, -0.52), (1.0, 1.14)
ABOVE_BROWS = (-0.2, -0.27)  # canonical y over which skin comes to lie above the brows
BROWS = (
    (70, 63, 105, 66, 107, 46, 53, 52, 65, 55),
    (300, 293, 334, 296, 336, 276, 283, 282, 295, 285),
)
NOSTRILS = (98, 97, 2, 326, 327, 250, 458, 238, 20)
COARSE = 2  # pixels of a frame between those whose shade is worked out
FAINT = 0.08  # of a logarithm, which is halved: what is much fainter is no fold
# Of a logarithm: what lights and what darkens as it is, and softly at most. Folds are shadows; skin
# that is lit as much glares.
LIGHTER, DARKER = (0.03, 0.08), (0.1, 0.2)
TINT = (0.93, 1.04, 1.09)  # of it, in red, green and blue: what a fold shades is redder skin


def grid_weights(model: FaceModel) -> Array:
    """(cells, 468): where each cell of the grid is on a face, as a mean of its points.

    Cells outside the mean face lie at its nearest point.
    """
    points = model.mean[:N_MESH, :2]
    y, x = np.mgrid[:ROWS, :COLUMNS]
    cells = np.stack(
        [LEFT + (x + 0.5) / COLUMNS * WIDE, TOP + (y + 0.5) / ROWS * HIGH], axis=-1
    ).reshape(-1, 2)
    mesh = Delaunay(points)
    inside = mesh.find_simplex(cells)
    weights = np.zeros((len(cells), N_MESH), dtype=np.float32)
    for cell, simplex in enumerate(inside):
        if simplex < 0:
            weights[cell, np.argmin(((points - cells[cell]) ** 2).sum(1))] = 1.0
            continue
        matrix = mesh.transform[simplex]
        first = matrix[:2] @ (cells[cell] - matrix[2])
        weights[cell, mesh.simplices[simplex]] = [*first, 1 - first.sum()]
    return weights


def skin_mask(model: FaceModel) -> Float32:
    """(rows, columns) float32: 1 on skin, 0 on brows, eyes, nostrils and lips and off the face."""
    mean = model.mean

    def place(points: Array) -> Array:
        scale = np.array([COLUMNS / WIDE, ROWS / HIGH])
        return np.round((points[:, :2] - [LEFT, TOP]) * scale * 16 - 8).astype(np.int32)

    mask = np.zeros((ROWS, COLUMNS), dtype=np.float32)
    cv2.fillPoly(mask, [place(mean[list(FACE_OVAL)])], (1.0,), cv2.LINE_AA, shift=4)
    cell = WIDE / COLUMNS
    away = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5) * cell
    mask = np.asarray(smoothstep(away, 0.02, EDGE), dtype=np.float32)
    eyes = [[*upper, *lower[::-1]] for upper, lower in zip(UPPER_LID, LOWER_LID, strict=True)]

    def clear(parts: tuple[Sequence[int], ...], none: float, full: float) -> Array:
        here = np.ones((ROWS, COLUMNS), dtype=np.uint8)
        for part in parts:
            cv2.fillPoly(here, [cv2.convexHull(place(mean[list(part)]))], (0,), shift=4)
        return smoothstep(cv2.distanceTransform(here, cv2.DIST_L2, 5) * cell, none, full)

    mask *= clear((*eyes,), 0.02, 0.06) * clear((LIPS_OUTLINE, NOSTRILS), 0.035, 0.08)
    # Furrows begin at the very brow, below it; above it, what rises and sinks are its hairs.
    height = TOP + (np.arange(ROWS)[:, None] + 0.5) / ROWS * HIGH
    above = smoothstep(-height, -ABOVE_BROWS[0], -ABOVE_BROWS[1])
    mask *= above * clear(BROWS, 0.05, 0.12) + (1 - above) * clear(BROWS, 0.01, 0.045)
    mask *= 1 - smoothstep(-height, -HAIRLINE[0], -HAIRLINE[1])
    mask *= 1 - smoothstep(height, *JAW)
    return mask.astype(np.float32)


@dataclass(frozen=True, eq=False)
class SkinModel(Frozen):
    """What was learned.

    Attributes:
        maps: (30, rows, columns) float32, logarithms of brightness a coefficient: lower, upper
            and nuance.
        moves: (468, 2, 30) float32 displacements a coefficient, canonical units, right and down,
            of the mesh's points beyond those of the face model.
    """

    maps: Float32
    moves: Float32

    def moved(self, held: Array) -> Array:
        """What skin does beyond its landmarks, (478, 3) canonical.

        Args:
            held: (30,) coefficients, relative to the photo's.
        """
        moved = np.zeros((N_LANDMARKS, 3))
        moved[:N_MESH, :2] = self.moves @ held.astype(np.float32)
        return moved


@cache
def load_skin() -> SkinModel:
    """The shipped weights.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    return SkinModel(**{n: v.astype(np.float32) for n, v in load_weights("skin").items()})


class Skin:
    """Shades one face.

    Args:
        model: what was learned.
        plate: (h, w) of the plate.
        points: (n, 3) float32 refined points of the photo's face in the plate, pixels.
        mean: (n, 2) the same points of the mean face, canonical.
        triangles: (m, 3) int32.
    """

    def __init__(
        self, model: SkinModel, plate: tuple[int, int], points: Array, mean: Array, triangles: Array
    ) -> None:
        self._maps = model.maps.reshape(len(model.maps), -1)
        column, row = np.full((2, *plate), -1.0, dtype=np.float32)
        cells = (mean - [LEFT, TOP]) * [COLUMNS / WIDE, ROWS / HIGH] - 0.5
        draw_map(
            np.ascontiguousarray(points[:, :2]),
            np.ascontiguousarray(points[:, 2]),
            np.ascontiguousarray(cells, dtype=np.float32),
            triangles,
            column,
            row,
            np.full(plate, np.inf, dtype=np.float32),
        )
        low = np.maximum(points[:, :2].min(0).astype(int), 0)
        high = points[:, :2].max(0).astype(int) + 2
        self._corner = low.astype(np.float32)
        here = slice(low[1], high[1], COARSE), slice(low[0], high[0], COARSE)
        self._cells = np.ascontiguousarray(column[here]), np.ascontiguousarray(row[here])

    def shade(self, window: Array, points: Array, map_x: Array, map_y: Array, held: Array) -> None:
        """Shade a frame in place.

        Args:
            window: (h, w, 3) uint8 RGB, the moved plate.
            points: (n, 3) refined points of the face's outline in it, pixels.
            map_x, map_y: (h, w) float32, the place in the plate that each pixel shows.
            held: (30,) coefficients, relative to the photo's.
        """
        shades = (held.astype(np.float32) @ self._maps).reshape(ROWS, COLUMNS)
        shades *= np.abs(shades) / (np.abs(shades) + FAINT)
        limits = (np.where(shades > 0, *ends) for ends in zip(LIGHTER, DARKER, strict=True))
        shades = soft_limit(shades, *limits).astype(np.float32)
        on_plate = cv2.remap(shades, *self._cells, cv2.INTER_LINEAR)
        left, top = np.maximum(points[:, :2].min(0).astype(int), 0)
        right, bottom = points[:, :2].max(0).astype(int) + 2
        region = window[top:bottom, left:right]
        if not region.size:
            return
        few = slice(top, bottom, COARSE), slice(left, right, COARSE)
        x, y = ((m[few] - c) / COARSE for m, c in zip((map_x, map_y), self._corner, strict=True))
        shade = cv2.remap(on_plate, x, y, cv2.INTER_LINEAR)
        factor = cv2.exp(cv2.merge([share * shade for share in TINT]))
        factor = cv2.resize(factor, region.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        region[:] = cv2.multiply(region, factor, dtype=cv2.CV_8U)
