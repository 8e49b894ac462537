"""ARKit's 52 blendshapes on our mesh, and motions as their curves.

What each moves was learned by `talking_face.training.fit.blendshapes`; lids and eyeballs move as
the frames' own do. The curves of a motion are the non-negative least squares of its displacements
(Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import nnls

from talking_face.arrays import Array, Float32
from talking_face.face.landmarks import (
    INNER_LIP_CORNERS,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    IRIS_CENTRE,
    IRIS_RING,
    MOUTH_CORNERS,
    N_MESH,
)
from talking_face.face.model import EYEBALL_RADIUS, FaceModel
from talking_face.frozen import Frozen
from talking_face.head.names import ARKIT
from talking_face.motion import Motion
from talking_face.picture.lids import WIDEST, meeting
from talking_face.weights import load_weights

LOOK = 30.0  # degrees of gaze at full strength of an eyeLook…
SIDES = ("Right", "Left")  # the person's own, of the eye on the image's left and on its right
LIPS = 4.0  # how much more lips count than other skin
DEPTH = 0.3  # and how much less depth, which the tracker knows least
SPARSE = 0.003  # canonical units: of two ways that fit as well, the one with smaller weights

_LIDS = [f"{part}{side}" for part in ("eyeBlink", "eyeWide") for side in SIDES]
_LOOKS = [f"eyeLook{way}{side}" for way in ("Up", "Down", "In", "Out") for side in SIDES]
# What the displacements of skin are made of; the others follow from lids and gaze.
_SKIN = [index for index, name in enumerate(ARKIT) if name not in (*_LIDS, *_LOOKS, "tongueOut")]


@dataclass(frozen=True, eq=False)
class Curves(Frozen):
    """A motion as others read it.

    Attributes:
        weights: (frames, 52) float32, 0..1, in the order of `ARKIT`.
        residual: root mean square of what the blendshapes don't explain, over that of all
            displacements; 0 explains everything.
    """

    weights: Float32
    residual: float


@cache
def load_blendshapes() -> Float32:
    """The shipped displacements, (52, 478, 3) canonical, in the order of `ARKIT`.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    return load_weights("arkit")["displacements"].astype(np.float32)


def targets(learned: Array, closing: Array) -> Array:
    """The displacements (52, 478, 3) of one face: lids close as its own do, eyeballs turn.

    Args:
        learned: (52, 478, 3) of `load_blendshapes`.
        closing: (2, 478, 3) what closes either eye, the one on the image's left first.
    """
    shapes = np.array(learned, dtype=np.float64)
    reach = EYEBALL_RADIUS * np.sin(np.radians(LOOK))
    for eye, side in enumerate(SIDES):
        shapes[ARKIT.index(f"eyeBlink{side}")] = closing[eye]
        shapes[ARKIT.index(f"eyeWide{side}")] = WIDEST * closing[eye]
        out = -1 if eye == 0 else 1
        for way, step in (("Up", (0, -1)), ("Down", (0, 1)), ("In", (-out, 0)), ("Out", (out, 0))):
            iris = [IRIS_CENTRE[eye], *IRIS_RING[eye]]
            shape = shapes[ARKIT.index(f"eyeLook{way}{side}")]
            shape[N_MESH:] = 0.0
            shape[iris, :2] = np.multiply(step, reach)
    return shapes


def curves_of(shapes: Array, displacements: Array, lids: Array, gaze: Array) -> Curves:
    """Curves of a motion.

    Args:
        shapes: (52, 478, 3) of `targets`.
        displacements: (frames, 478, 3) of the skin from rest, without lids.
        lids: (frames, 2) closure. gaze: (frames, 2) degrees.
    """
    scale = _importance()
    basis = (shapes[_SKIN][:, :N_MESH] * scale).reshape(len(_SKIN), -1).T
    wanted = (displacements[:, :N_MESH] * scale).reshape(len(displacements), -1)
    ridge = SPARSE * np.sqrt(N_MESH) * np.eye(len(_SKIN))
    system = np.concatenate([basis, ridge])
    gram, sides = system.T @ system, wanted @ basis
    # The same least squares on the factor of their normal equations, which are far smaller.
    factor = np.linalg.cholesky(gram).T
    rights = np.linalg.solve(factor.T, sides.T).T
    weights = np.zeros((len(displacements), len(ARKIT)), dtype=np.float32)
    weights[:, _SKIN] = np.clip([nnls(factor, right)[0] for right in rights], 0, 1)
    left: Array = wanted - weights[:, _SKIN] @ basis.T
    weights[:, [ARKIT.index(name) for name in (*_LIDS, *_LOOKS)]] = _eyes(lids, gaze)
    total = float(np.square(wanted).sum())
    return Curves(weights, float(np.sqrt(np.square(left).sum() / total)) if total else 0.0)


def curves_of_motion(motion: Motion, model: FaceModel, learned: Array) -> Curves:
    """Curves of a motion whoever's it is: as on a face at rest."""
    moved = model.displacement(motion.lower, motion.upper, motion.nuance)
    return curves_of(learned.astype(np.float64), moved, motion.lids, motion.gaze)


def motion_of_curves(weights: Array, model: FaceModel, learned: Array) -> Motion:
    """The motion that curves stand for, with a still head.

    Args:
        weights: (frames, 52) in the order of `ARKIT`.
    """
    moved = np.einsum("fk,knd->fnd", weights[:, _SKIN], learned[_SKIN].astype(np.float64))
    lower, upper = np.split(model.expression(moved), [model.lower.shape[-1]], axis=1)
    at = {name: weights[:, index] for index, name in enumerate(ARKIT)}
    lids = [at[f"eyeBlink{side}"] + WIDEST * at[f"eyeWide{side}"] for side in SIDES]
    right = [
        at["eyeLookInRight"] - at["eyeLookOutRight"],
        at["eyeLookOutLeft"] - at["eyeLookInLeft"],
    ]
    down = [at[f"eyeLookDown{side}"] - at[f"eyeLookUp{side}"] for side in SIDES]
    sines = np.stack([np.mean(right, axis=0), np.mean(down, axis=0)], axis=1)
    gaze = np.degrees(np.arcsin(np.clip(sines * np.sin(np.radians(LOOK)), -1, 1)))
    still = Motion.still(len(weights))
    return still.replace(
        lower=lower,
        upper=upper,
        lids=np.stack(lids, axis=1),
        gaze=gaze,
        rest=np.ones_like(still.rest),
    )


def _importance() -> Array:
    """(468, 3) how much each point and axis counts."""
    scale = np.ones((N_MESH, 3))
    lips = [*INNER_LIP_UPPER, *INNER_LIP_LOWER, *INNER_LIP_CORNERS, *MOUTH_CORNERS]
    scale[lips] = LIPS
    return scale * (1.0, 1.0, DEPTH)


def _eyes(lids: Array, gaze: Array) -> Array:
    """(frames, 12) of lids (frames, 2) and gaze (frames, 2), in the order of _LIDS, _LOOKS."""
    closed = meeting(lids)
    blink, wide = np.clip(closed, 0, 1), np.clip(closed / WIDEST, 0, 1)
    right, down = np.clip(np.sin(np.radians(gaze)) / np.sin(np.radians(LOOK)), -1, 1).T
    by_name = {"Up": (-down, -down), "Down": (down, down), "In": (right, -right)}
    by_name["Out"] = (-right, right)
    looks = [np.maximum(one, 0) for both in by_name.values() for one in both]
    return np.column_stack([*blink.T, *wide.T, *looks])
