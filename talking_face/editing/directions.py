"""Directions of expression in the face model: which coefficients make a smile, a frown, high brows.

Coefficients are scaled to one standard deviation of what people did in front of cameras, so the
likeliest face that does something wanted, say raised mouth corners and lips as far apart as before,
is the shortest vector of coefficients that does it: cheeks, nose and chin move along as they did on
people. With M the wanted measurements of the basis, t their values and σ their tolerances,

    coefficients = Mᵀ (M Mᵀ + diag σ²)⁻¹ t
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talking_face.arrays import Array
from talking_face.face.landmarks import INNER_LIP_LOWER, INNER_LIP_UPPER, MOUTH_CORNERS
from talking_face.face.model import FaceModel

X, Y = 0, 1
UPPER, LOWER = list(INNER_LIP_UPPER), list(INNER_LIP_LOWER)
MIDDLE = slice(3, 6)  # of the inner-lip pairs: where the opening is measured
LIP_MIDDLE = (13, 14)
LIP_THICKNESS = ((13, 0), (17, 14))  # pairs of points (below, above)
CHIN = (152,)
# From the temple to the nose, the brow on the image's left and the one on its right.
OUTER_BROWS, INNER_BROWS = (70, 63, 293, 300), (66, 107, 336, 296)

# Tolerances, canonical units: what is asked for, what is to stay, and what may follow a little.
ASKED, KEPT, LOOSE = 0.003, 0.002, 0.01

Wish = tuple[Array, float, float]  # measurements (n, k), their value, their tolerance


@dataclass(frozen=True, eq=False)
class Directions:
    """What one unit of each expression adds to the coefficients.

    Attributes:
        smile, frown: (16,) lower face; corners of the mouth up and apart, or down; the inner lips
            stay as far apart as they are.
        opening: (16,) lower face; opens the lips by one canonical unit, as speech does.
        gap: (16,) `gap @ lower` is how far the lips are opened, canonical units.
        raised, lowered: (6,) upper face; the whole brows up, or down.
        worried, knit: (6,) upper face; the brows' inner ends up, or down and together.
    """

    smile: Array
    frown: Array
    opening: Array
    gap: Array
    raised: Array
    lowered: Array
    worried: Array
    knit: Array


def find_directions(model: FaceModel) -> Directions:
    """The directions of a face model."""
    lower = model.lower.astype(np.float64)
    upper = model.upper.astype(np.float64)
    gaps = lower[LOWER, Y] - lower[UPPER, Y]
    gap = gaps[MIDDLE].mean(0)
    below, above = np.transpose(LIP_THICKNESS)
    thickness = lower[below, Y] - lower[above, Y]
    corners, middle, chin = (lower[list(p), Y] for p in (MOUTH_CORNERS, LIP_MIDDLE, CHIN))
    apart = _apart(lower, MOUTH_CORNERS)
    closed = (gaps, 0.0, KEPT)
    inner, outer = (upper[list(p), Y] for p in (INNER_BROWS, OUTER_BROWS))
    together = _apart(upper, (107, 336))

    def brows(inside: float, outside: float, nearer: float) -> Array:
        return _shortest(
            [(inner, inside, ASKED), (outer, outside, LOOSE / 2), (together, -nearer, LOOSE / 2)]
        )

    return Directions(
        smile=_shortest(
            [
                (corners, -0.065, ASKED),
                (apart, 0.1, ASKED),
                closed,
                (middle, -0.002, LOOSE),
                (thickness, -0.012, LOOSE),
                (chin, 0.0, LOOSE),
            ]
        ),
        frown=_shortest(
            [
                (corners, 0.05, ASKED),
                (apart, 0.008, ASKED),
                closed,
                (middle, -0.01, LOOSE),
                (chin, -0.006, LOOSE),
            ]
        ),
        opening=gap / (gap @ gap),
        gap=gap,
        raised=brows(-0.06, -0.045, 0.0),
        lowered=brows(0.045, 0.03, 0.01),
        worried=brows(-0.05, 0.0, 0.0),
        knit=brows(0.05, 0.01, 0.05),
    )


def _apart(basis: Array, pair: Sequence[int]) -> Array:
    """(1, k): how much farther apart two points get, from the image's left to its right."""
    left, right = pair
    return basis[[right], X] - basis[[left], X]


def _shortest(wishes: list[Wish]) -> Array:
    """The shortest coefficients (k,) that meet the wishes, each up to its tolerance."""
    measures = np.concatenate([rows for rows, _, _ in wishes])
    values = np.concatenate([np.full(len(rows), value) for rows, value, _ in wishes])
    spread = np.concatenate([np.full(len(rows), tolerance) for rows, _, tolerance in wishes])
    return measures.T @ np.linalg.solve(measures @ measures.T + np.diag(spread**2), values)
