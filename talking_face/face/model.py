"""The linear 3-D face model: the geometry behind the motion space.

A face in the canonical frame is

    shape = mean + identity @ a + lower_basis @ lower + upper_basis @ upper + nuance_basis @ nuance

and appears in the image under weak perspective (a scaled orthographic camera):

    landmarks = scale * (shape - PIVOT) @ R(yaw, pitch, roll).T + origin

This is the 3-D morphable model of Blanz and Vetter (SIGGRAPH 1999), learned over MediaPipe's mesh
by `python -m talking_face.training.fit.face_model`. Expression coefficients of zero are a neutral
face with its lips closed. Canonical axes are the image's: x right, y down, z away from the camera;
the unit is the mean inter-ocular distance (outer eye corners) and the origin lies between the eyes.

Fitting and projecting know arrays only: no images, no files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from talking_face.arrays import Array
from talking_face.face.landmarks import INNER_LIP_LOWER, INNER_LIP_UPPER, N_LANDMARKS, N_MESH
from talking_face.frozen import Frozen
from talking_face.motion_space import CHANNELS
from talking_face.weights import load_weights

# Where the head turns on the neck, in the canonical frame: below and behind the eyes. Fitted by the
# training command to the tracked clips, then rounded.
PIVOT = np.array([0.0, 0.95, 0.85], dtype=np.float32)
EYEBALL_RADIUS = 0.135  # inter-ocular distances; 12 mm for outer eye corners 90 mm apart


def rotation_matrix(angles: Array) -> Array:
    """Head rotation R = R_yaw R_pitch R_roll.

    Args:
        angles: (..., 3) yaw, pitch, roll in degrees, with the signs of `talking_face.motion`.

    Returns:
        (..., 3, 3) float64; column vectors in the canonical axes (x right, y down, z away).
    """
    yaw, pitch, roll = np.moveaxis(np.radians(np.asarray(angles, dtype=np.float64)), -1, 0)
    cy, sy, cp, sp, cr, sr = (
        np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll),
    )  # fmt: skip
    matrix = np.empty((*yaw.shape, 3, 3))
    matrix[..., 0, 0], matrix[..., 0, 1] = cy * cr - sy * sp * sr, -cy * sr - sy * sp * cr
    matrix[..., 1, 0], matrix[..., 1, 1] = cp * sr, cp * cr
    matrix[..., 2, 0], matrix[..., 2, 1] = sy * cr + cy * sp * sr, cy * sp * cr - sy * sr
    matrix[..., 0, 2], matrix[..., 1, 2], matrix[..., 2, 2] = -sy * cp, -sp, cy * cp
    return matrix


def rotation_angles(matrix: Array) -> Array:
    """The inverse of `rotation_matrix`: (..., 3, 3) → (..., 3) yaw, pitch, roll in degrees."""
    yaw = np.arctan2(-matrix[..., 0, 2], matrix[..., 2, 2])
    pitch = np.arcsin(np.clip(-matrix[..., 1, 2], -1.0, 1.0))
    roll = np.arctan2(matrix[..., 1, 0], matrix[..., 1, 1])
    return np.degrees(np.stack([yaw, pitch, roll], axis=-1))


@dataclass(frozen=True, eq=False)
class Pose(Frozen):
    """Where a head is: `landmarks = scale * (shape - PIVOT) @ rotation.T + origin`.

    Attributes:
        rotation: (..., 3, 3).
        scale: (...) pixels per canonical unit.
        origin: (..., 3) pixels, the pivot in the image.
    """

    rotation: Array
    scale: Array
    origin: Array

    def project(self, shape: Array) -> Array:
        """Canonical (..., n, 3) to pixels (..., n, 3)."""
        turned = (shape - PIVOT) @ np.swapaxes(self.rotation, -1, -2)
        return turned * self.scale[..., None, None] + self.origin[..., None, :]

    def unproject(self, landmarks: Array) -> Array:
        """Pixels (..., n, 3) to canonical (..., n, 3)."""
        centred = (landmarks - self.origin[..., None, :]) / self.scale[..., None, None]
        return centred @ self.rotation + PIVOT


def fit_pose(landmarks: Array, shape: Array, weights: Array) -> Pose:
    """Least-squares similarity from a shape to landmarks (Umeyama, PAMI 1991).

    Args:
        landmarks: (..., n, 3) pixels.
        shape: (n, 3) or (..., n, 3) canonical.
        weights: (n,) how far each point can be trusted to be rigid.
    """
    w = weights / weights.sum()
    shape = np.broadcast_to(shape, landmarks.shape).astype(np.float64)
    landmarks = landmarks.astype(np.float64)
    mean_shape = np.einsum("n,...nd->...d", w, shape)
    mean_marks = np.einsum("n,...nd->...d", w, landmarks)
    a = shape - mean_shape[..., None, :]
    b = landmarks - mean_marks[..., None, :]
    covariance = np.einsum("...ni,n,...nj->...ij", b, w, a)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(u @ vt))
    flip = np.ones_like(singular)
    flip[..., 2] = sign
    rotation = (u * flip[..., None, :]) @ vt
    variance = np.einsum("...ni,n,...ni->...", a, w, a)
    scale = (singular * flip).sum(-1) / variance
    origin = mean_marks - scale[..., None] * np.einsum(
        "...ij,...j->...i", rotation, mean_shape - PIVOT
    )
    return Pose(rotation, np.asarray(scale), origin)


@dataclass(frozen=True, eq=False)
class FaceModel:
    """The learned model; see the module for the equation.

    Attributes:
        mean: (478, 3) neutral mean shape, canonical units.
        identity: (478, 3, 40) scaled to one standard deviation a coefficient.
        lower: (478, 3, 16) expression basis of lips, jaw and cheeks, likewise scaled.
        upper: (478, 3, 6) expression basis of brows and forehead, likewise scaled.
        rigid: (478,) weight of each point in pose fitting.
        triangles: (n, 3) int32 mesh triangles over the 468 points of the skin.
        nuance: (478, 3, 8) expression basis of what lids, brows and the skin around them do
            besides, likewise scaled; learned later, from what the others leave over.
    """

    mean: Array
    identity: Array
    lower: Array
    upper: Array
    rigid: Array
    triangles: Array
    nuance: Array = field(default_factory=lambda: np.zeros((N_LANDMARKS, 3, CHANNELS["nuance"])))

    def displacement(self, lower: Array, upper: Array, nuance: Array | None = None) -> Array:
        """Expression coefficients (..., 16), (..., 6), (..., 8) to displacements (..., 478, 3)."""
        moved = np.einsum("ndk,...k->...nd", self.lower, lower) + np.einsum(
            "ndk,...k->...nd", self.upper, upper
        )
        return (
            moved if nuance is None else moved + np.einsum("ndk,...k->...nd", self.nuance, nuance)
        )

    def lips_kept(self, lower: Array) -> Array:
        """The part of lower-face coefficients (..., 16) that doesn't change the lips' gaps."""
        gaps = self.lower[list(INNER_LIP_LOWER), 1] - self.lower[list(INNER_LIP_UPPER), 1]
        return lower - lower @ np.linalg.pinv(gaps, rcond=0.02) @ gaps

    def expression(self, displacement: Array, damping: float = 0.02) -> Array:
        """Coefficients (..., 22), lower then upper, of displacements (..., 478, 3).

        Ridge regression: `damping` weighs a unit coefficient against a mean squared error in
        canonical units, scaled by the energy of the basis. Depth, the least certain axis of the
        tracker, counts for a tenth.
        """
        return displacement[:, :N_MESH].reshape(len(displacement), -1) @ self._solver(damping)

    def _solver(self, damping: float) -> Array:
        axis = np.array([1.0, 1.0, 0.1])[None, :, None]
        basis = np.concatenate([self.lower, self.upper], axis=-1)[:N_MESH]
        flat = basis.reshape(-1, basis.shape[-1]).astype(np.float64)
        weighted = (basis * axis).reshape(flat.shape)
        gram = weighted.T @ flat
        ridge = damping * np.trace(gram) / len(gram) * np.eye(len(gram))
        return np.linalg.solve(gram + ridge, weighted.T).T

    def fit(self, landmarks: Array, rounds: int = 6) -> tuple[Pose, Array]:
        """Pose, identity and expression of one face in one image.

        Args:
            landmarks: (478, 3) pixels.

        Returns:
            The pose and the expression coefficients (22,), lower face then upper.
        """
        expression_basis = np.concatenate([self.lower, self.upper], axis=-1)[:N_MESH]
        axis = np.repeat([[1.0, 1.0, 0.1]], N_MESH, axis=0).reshape(-1)
        basis = np.concatenate([self.identity[:N_MESH], expression_basis], axis=-1)
        flat = basis.reshape(len(axis), -1).astype(np.float64)
        n_identity = self.identity.shape[-1]
        gram = flat.T @ (flat * axis[:, None])
        # An error of 0.01 inter-ocular distances a point is as likely as one standard deviation.
        normal = gram + np.eye(len(gram)) * 0.01**2 * N_MESH / 20
        shape = self.mean
        coefficients = np.zeros(flat.shape[1])
        pose = fit_pose(landmarks, shape, self.rigid)
        for _ in range(rounds):
            observed = pose.unproject(landmarks)[:N_MESH]
            error = (observed - self.mean[:N_MESH]).reshape(-1)
            coefficients = np.linalg.solve(normal, flat.T @ (axis * error))
            shape = self.mean + self.identity @ coefficients[:n_identity]
            pose = fit_pose(landmarks, shape, self.rigid)
        return pose, coefficients[n_identity:]


@cache
def load_face_model() -> FaceModel:
    """The shipped model, read once.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    return FaceModel(**load_weights("face_model"))
