"""The opening of a mouth in one frame: places between the lips, and coordinates on them.

Knows the inner lips' outline in pixels; knows nothing of what is inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from talking_face.arrays import Array

N_PLACES = 49  # equally spaced along the mouth, from its left corner to its right one
PLACES = np.linspace(0, 1, N_PLACES)


@dataclass(frozen=True, eq=False)
class Opening:
    """The lines of the two lips over the line that joins the mouth's corners.

    Attributes:
        corner: (2,) the image-left corner, pixels.
        axes: (2, 2) unit vectors in its rows: along the mouth, and down across it.
        length: between the corners, pixels.
        upper, lower: (49,) pixels below the joining line, at equal steps along it; the lower is
            nowhere above the upper.
    """

    corner: Array
    axes: Array
    length: float
    upper: Array
    lower: Array

    def coordinates(self, x: Array, y: Array) -> tuple[Array, ...]:
        """Where pixels (...) lie: along the mouth 0..1, below the upper lip, above the lower one.

        The latter two are in pixels, negative on the lips.
        """
        along = (
            (x - self.corner[0]) * self.axes[0, 0] + (y - self.corner[1]) * self.axes[0, 1]
        ) / (self.length)
        across = (x - self.corner[0]) * self.axes[1, 0] + (y - self.corner[1]) * self.axes[1, 1]
        below = across - np.interp(along, PLACES, self.upper)
        above = np.interp(along, PLACES, self.lower) - across
        return along, below, above

    def gap_at(self, along: Array) -> Array:
        """How far apart the lips are at places along the mouth 0..1 (...), pixels."""
        return np.interp(along, PLACES, self.lower - self.upper)

    def places(self, rows: int, columns: int) -> tuple[Array, Array]:
        """x and y (rows, columns), pixels, of a grid of cells' middles that fills the opening."""
        along = (np.arange(columns) + 0.5) / columns
        down = ((np.arange(rows) + 0.5) / rows)[:, None]
        upper, lower = np.interp(along, PLACES, self.upper), np.interp(along, PLACES, self.lower)
        across = upper + down * (lower - upper)
        place = along[None, :, None] * self.length * self.axes[0] + across[..., None] * self.axes[1]
        return place[..., 0] + self.corner[0], place[..., 1] + self.corner[1]

    def middle(self) -> Array:
        """Points (49, 2), pixels, half way between the lips."""
        along = self.length * PLACES[:, None]
        across = (self.upper + self.lower)[:, None] / 2
        return self.corner + along * self.axes[0] + across * self.axes[1]


def opening_of(outline: Array) -> Opening:
    """The opening of an outline (n, 2) of the inner lips, pixels, in order around the mouth."""
    left, right = int(np.argmin(outline[:, 0])), int(np.argmax(outline[:, 0]))
    along = outline[right] - outline[left]
    length = max(float(np.linalg.norm(along)), 1e-3)
    along = along / length
    axes = np.array([along, [-along[1], along[0]]])
    turned = np.roll(outline, -left, axis=0)
    split = (right - left) % len(outline)
    lines = []
    for half in (turned[: split + 1], np.concatenate([turned[split:], turned[:1]])[::-1]):
        place = (half - outline[left]) @ axes.T
        lines.append(np.interp(PLACES, np.maximum.accumulate(place[:, 0]) / length, place[:, 1]))
    one, other = lines if lines[0].mean() < lines[1].mean() else lines[::-1]
    return Opening(outline[left], axes, length, one, np.maximum(one, other))
