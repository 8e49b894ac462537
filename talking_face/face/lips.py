"""Lip contact: lips that meet exactly, and never pass through each other.

A linear face model closes a mouth only on average: on a given face its closed mouth may gape by a
pixel or overlap. Here the gaps between the nine pairs of opposite inner-lip points are set to what
they should be, and the skin around follows smoothly (Gaussian radial basis functions, one system
for the upper lip and one for the lower, so that neither drags the other).
"""

from __future__ import annotations

import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import (
    INNER_LIP_CORNERS,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    MOUTH_CORNERS,
    N_LANDMARKS,
)
from talking_face.face.model import FaceModel

REACH = 0.11  # width of the radial basis functions, canonical units
TOUCHING = 0.006  # a gap below this, canonical units, is a closed mouth
PARTED = 0.02  # a gap above this is left as it is
RIM = 0.02  # canonical units: how wide the mixed rim of an open mouth's lips is

UPPER = list(INNER_LIP_UPPER)
LOWER = list(INNER_LIP_LOWER)
CORNERS = list(INNER_LIP_CORNERS)


def lip_gaps(shape: Array) -> Array:
    """Vertical gaps (..., 9) between opposite inner-lip points of shapes (..., 478, 3)."""
    return shape[..., LOWER, 1] - shape[..., UPPER, 1]


def contact(gap: Array) -> Array:
    """What a gap becomes: 0 below `TOUCHING`, itself above `PARTED`, smooth between."""
    t = np.clip((gap - TOUCHING) / (PARTED - TOUCHING), 0.0, 1.0)
    # The cubic on [0, 1] with value 0, slope 0 at 0 and value 1, slope s at 1.
    s = (PARTED - TOUCHING) / PARTED
    eased = PARTED * (t * t * (3 - s) + t * t * t * (s - 2))
    return np.where(gap >= PARTED, gap, np.where(gap <= TOUCHING, 0.0, eased))


def mean_opening(shape: Array) -> Array:
    """How far the middle of the lips is apart in shapes (..., 478, 3), canonical units, (...)."""
    return contact(lip_gaps(shape))[..., 3:6].mean(axis=-1)


def part_lips(shape: Array) -> Array:
    """Where a photo's mouth is open, move the inner lip line a little into the lips.

    Its pixels mix lip and tooth; were they lip, a closing mouth would keep a bright seam.
    """
    open_by = smoothstep(lip_gaps(shape), 0.01, 0.04) * RIM
    shape = shape.copy()
    shape[UPPER, 1] -= open_by
    shape[LOWER, 1] += open_by
    return shape


def mouth_readout(model: FaceModel) -> tuple[Array, Array]:
    """Lip opening and mouth width of coefficients, as linear functions of them.

    Returns:
        weights (22, 2) and bias (2,): coefficients @ weights + bias is the vertical gap of the
        three middle inner-lip pairs and the distance of the mouth's corners along x, of the mean
        face. The gap is negative where lips overlap.
    """
    basis = np.concatenate([model.lower, model.upper], axis=-1)
    upper, lower = UPPER[3:6], LOWER[3:6]
    right, left = MOUTH_CORNERS
    weights = np.stack(
        [
            (basis[lower, 1] - basis[upper, 1]).mean(0),
            basis[left, 0] - basis[right, 0],
        ],
        axis=1,
    )
    mean = model.mean
    bias = np.array(
        [(mean[lower, 1] - mean[upper, 1]).mean(), mean[left, 0] - mean[right, 0]],
    )
    return weights.astype(np.float32), bias.astype(np.float32)


class LipContact:
    """Sets lip gaps on shapes of one person.

    Args:
        shape: (478, 3) the person's face, canonical, mouth nearly closed.
    """

    def __init__(self, shape: Array) -> None:
        middle = (shape[UPPER] + shape[LOWER]) / 2
        line = np.concatenate([shape[CORNERS[:1]], middle, shape[CORNERS[1:]]])
        order = np.argsort(line[:, 0])
        below = shape[:, 1] - np.interp(shape[:, 0], line[order, 0], line[order, 1])
        self._up = self._influence(shape, UPPER, below < 0)
        self._down = self._influence(shape, LOWER, below > 0)

    @staticmethod
    def _influence(shape: Array, inner: list[int], side: Array) -> Array:
        """(478, 9): how far each point follows a unit displacement of each inner-lip point."""
        nodes = inner + CORNERS  # the corners are pinned

        def kernel(points: Array) -> Array:
            difference = points[:, None, :2] - shape[None, nodes, :2]
            return np.exp(-(difference**2).sum(-1) / REACH**2)

        system = kernel(shape[nodes]) + 1e-3 * np.eye(len(nodes))
        follow = kernel(shape) @ np.linalg.inv(system)[:, : len(inner)]
        others = np.ones(N_LANDMARKS, dtype=bool)
        others[UPPER + LOWER + CORNERS] = False
        follow[others & ~side] = 0.0
        follow[UPPER + LOWER + CORNERS] = 0.0
        follow[inner] = np.eye(len(inner))
        return follow

    def widen(self, by: Array) -> Array:
        """Displacements (..., 478) along y that change the gaps by the given amounts (..., 9)."""
        return by @ (self._down - self._up).T / 2

    def correction(self, shape: Array) -> Array:
        """Displacements (..., 478) along y that bring the lips of shapes to contact."""
        gap = lip_gaps(shape)
        return self.widen(contact(gap) - gap)
