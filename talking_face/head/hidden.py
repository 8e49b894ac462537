"""The side of a turned head that its photo hides: the one that it shows, mirrored.

Heads are about the same on both sides, so hair, ear and neck of the near side stand in for those
of the far one. The photo knows something of them: they lie within the person's silhouette, and
behind what it shows there. Knows points in pixels; of colours only how light the two sides are.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from talking_face.arrays import Array, UInt8
from talking_face.curves import smoothstep
from talking_face.face.model import Pose
from talking_face.head.patch import Surface, depth_of
from talking_face.head.relief import away_from, inwards_of
from talking_face.head.rim import evened

LOWEST = 0.9  # canonical y, the jaw, down to which both sides are the same; collars are below
TUCKED = 0.4  # the same above it, over which the side goes in behind the neck, so that none sees
INWARDS, BACKWARDS = 0.5, 0.3  # where it ends: share of the way to the middle; canonical units
JOINED = 0.35  # canonical units from the face's edge over which the side comes to close onto it
BESIDE = 0.45  # the same from the middle, beyond which it does
EVEN = 3  # rounds of averaging with neighbours, of how far points are moved to get there
INSIDE = 0.02  # canonical units within the silhouette that what is mirrored stays
BEHIND = 0.03  # the same behind what the photo shows
CHEEK = (0.08, 0.3)  # of the face's tile from its border: where both sides' light is compared
GAIN = (0.6, 1.6)  # at least and at most, from one side's light to the other's


def hidden_side(
    front: Surface, face: Surface, rim: int, pose: Pose, outline: Array, near: int
) -> tuple[Surface, Array]:
    """The near side of a relief, mirrored.

    Args:
        front: the relief's. rim: how many of its points, the first ones, lie on the face.
        pose: of the head in the photo.
        outline: (k, 2) of the silhouette, pixels.
        near: -1 or 1, the sign of the near side's canonical x.

    Returns:
        It, and (n, 2) the places of the photo that its points show, pixels.
    """
    unit = float(pose.scale)
    canonical = pose.unproject(front.points)
    kept = (canonical[:, 0] * near > 0) & (canonical[:, 1] < LOWEST)
    used, number = np.unique(front.triangles[kept[front.triangles].all(1)], return_inverse=True)
    mirrored = canonical[used] * (-1, 1, 1)
    tucked = smoothstep(mirrored[:, 1], LOWEST - TUCKED, LOWEST)
    mirrored[:, 0] *= 1 - INWARDS * tucked
    mirrored[:, 2] += BACKWARDS * tucked
    points = pose.project(mirrored)
    triangles = number.reshape(-1, 3)[:, ::-1].astype(np.int32)
    moved = _inside(outline, points, INSIDE * unit) - points
    points = _inside(outline, points + evened(moved, triangles, EVEN), INSIDE * unit)
    shown = np.maximum(*(depth_of(surface, points[:, :2]) for surface in (front, face)))
    points[:, 2] = np.maximum(points[:, 2], shown + BEHIND * unit)
    ends = (used < rim) & (np.abs(mirrored[:, 0]) > BESIDE)
    _join(points, ends, face.points, JOINED * unit)
    return Surface(points, np.ascontiguousarray(triangles)), front.points[used, :2]


def _join(points: Array, ends: Array, face: Array, reach: float) -> None:
    """Bring points (n, 3) that are `ends` onto those of a face, and along with them what is near.

    Args:
        ends: (n,) bool. face: (m, 3). reach: pixels.
    """
    if not ends.any():
        return
    missing = face[cKDTree(face).query(points[ends])[1]] - points[ends]
    away, nearest = cKDTree(points[ends]).query(points)
    points += np.exp(-((away / reach) ** 2))[:, None] * missing[nearest]


def _inside(outline: Array, points: Array, inside: float) -> Array:
    """Points (n, 3), those that are less far within an outline moved there, or nearly."""
    out = away_from(outline, points[:, :2]) > -inside
    nearest = cKDTree(outline).query(points[out, :2])[1]
    points = points.copy()
    points[out, :2] = (outline + inside * inwards_of(outline))[nearest]
    return points


def light_of(face: UInt8, near: int) -> Array:
    """What brings the near side's light to that of the far one, (3,).

    Args:
        face: the face's tile; its left half is the side of negative x.
    """
    first, last = (round(part * face.shape[1]) for part in CHEEK)
    rows = slice(face.shape[0] // 4, 3 * face.shape[0] // 4)
    left, right = (part[rows, first:last].mean((0, 1)) + 1 for part in (face, face[:, ::-1]))
    far, own = (left, right) if near > 0 else (right, left)
    return np.asarray(np.clip(far / own, *GAIN))
