"""How much of a mouth in a photo is expression: what is left when it comes to rest.

The face model splits a shape into person and expression by what is likely, and takes a part of
every broad smile for a broad mouth. That a mouth is open says more: then it is taken to be about
as wide, and its corners to be about as high, as the model's neutral one. A mouth that smiles closed
keeps that at rest, as many a face does, until a mood comes that knows no smile.
"""

from __future__ import annotations

import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep, soft_limit
from talking_face.face.landmarks import INNER_LIP_LOWER, INNER_LIP_UPPER, MOUTH_CORNERS
from talking_face.face.model import FaceModel

# Canonical units: how far the width of a mouth at rest and the height of its corners may lie from
# the neutral ones, for people differ; over the first half of that they are believed.
OWN_WIDTH, OWN_HEIGHT = 0.018, 0.012
TOLERANCE = 0.002  # canonical units, to which width and height are met
GAPS = 0.01  # the same for the lips' gaps, which are to stay
WIDER = (0.02, 0.06)  # canonical units by which a smile widens a mouth, from which it is one
LIP_MIDDLE = [13, 14]


def smile_left(shape: Array, lower: Array, model: FaceModel) -> Array:
    """What is to be added to lower-face coefficients, (16,), so that they hold all of the smile.

    It is the shortest vector that does so; cheeks and nose move along as they did on people.

    Args:
        shape: (478, 3) the face as photographed, canonical.
        lower: (16,) lower-face coefficients of `FaceModel.fit`.
    """
    basis = model.lower.astype(np.float64)
    upper, under = list(INNER_LIP_UPPER), list(INNER_LIP_LOWER)
    measures = np.vstack([_corners(basis), basis[under, 1] - basis[upper, 1]])
    away = _corners(shape - basis @ lower - model.mean)
    most = np.array([OWN_WIDTH, OWN_HEIGHT])
    wanted = np.zeros(len(measures))
    wanted[:2] = away - soft_limit(away, most / 2, most)
    tolerance = np.full(len(measures), GAPS)
    tolerance[:2] = TOLERANCE
    return np.asarray(
        measures.T @ np.linalg.solve(measures @ measures.T + np.diag(tolerance**2), wanted)
    )


def closed_smile(lower: Array, model: FaceModel) -> Array:
    """The smile in a photo's lower-face coefficients, (16,), but for how far it parts the lips.

    Mouths that aren't drawn wide don't smile; what else their coefficients hold is the person's.
    """
    own = model.lips_kept(lower)
    wider = float(_corners(model.lower @ own)[0])
    return np.asarray(smoothstep(wider, *WIDER) * own)


def _corners(shape: Array) -> Array:
    """Width of a mouth and height of its corners below the lips' middle, of (478, 3, ...)."""
    left, right = MOUTH_CORNERS
    height = (shape[left, 1] + shape[right, 1]) / 2 - shape[LIP_MIDDLE, 1].mean(0)
    return np.stack([shape[right, 0] - shape[left, 0], height])
