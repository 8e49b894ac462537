"""What lies around the face: a coarse mesh of points that follow the head, each as far as it does.

Hair and neck go with the head, shoulders hardly, the background not at all; what is next to the
face is dragged along by its expression. Knows points and poses; knows nothing of colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
from scipy.spatial import Delaunay, cKDTree

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.model import PIVOT, Pose
from talking_face.picture.contour import shown_part
from talking_face.picture.mesh import FaceMesh, edge_keys, edges_of, strip

SPACING = 0.025  # of the window's longer side: distance of the points
LEAST_SPACING = 6.0  # pixels
# Canonical units away from the face where following the head begins to fade, and ends: as one
# layer with the background, and as a layer of its own.
NEAR, HAIR = (0.35, 1.1), (0.9, 1.7)
NECK = (1.3, 2.4)  # canonical y: where neck and hair begin to stay behind, and where they rest
BACK = 0.6  # canonical units away from the face over which the surroundings recede to the pivot
DRAGGED = 0.35  # canonical units over which the face's expression drags at what is around it
ALONG = 31  # places on a side of the contour where a triangle is looked for
NEIGHBOURS = 8  # points of the face's contour that a point around it goes by


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The points around a face, m of them.

    Attributes:
        source: (m, 3) float32, where they are in the photo's window, pixels.
        canonical: (m, 3) the same in the head's canonical frame.
        follow: (m, 1) float32 0..1, how far they follow the head.
        contour: (k,) int32 the refined points along the border of the face that the photo shows.
        drag: (m, k) how far they follow each point of the contour.
        triangles: (n, 3) int32 of the whole window: of the face that the photo shows, of its holes,
            and around it; over the face's refined points, then these.
    """

    source: Array
    canonical: Array
    follow: Array
    contour: Array
    drag: sparse.csr_matrix
    triangles: Array

    def move(self, pose: Pose, pull: Array) -> Array:
        """Where the points are in a frame, (m, 3) float32 pixels.

        Args:
            pose: of the head.
            pull: (k, 3) float32 pixels, by how much the face's expression has moved the contour.
        """
        moved = pose.project(self.canonical).astype(np.float32)
        around = self.source + self.follow * (moved - self.source)
        around += self.drag @ pull
        return np.asarray(around)


def surroundings_of(
    face: Array, pose: Pose, mesh: FaceMesh, size: tuple[int, int], margin: int | None
) -> Surroundings:
    """The surroundings of a face in a window of (height, width) pixels.

    Args:
        face: (points of the mesh, 3) float32, the refined face in the photo, pixels.
        pose: of the head in the photo.
        margin: pixels around the window that can come into view; None where the person and the
            background are one layer, so that nothing may move at the window's border.
    """
    height, width = size
    unit = float(pose.scale)
    layered = margin is not None
    shown = shown_part(face, mesh)
    contour = face[shown.contour]
    polygon = contour[:, None, :2].astype(np.float32)
    spacing = max(LEAST_SPACING, SPACING * max(height, width))
    points, away = _grid_outside(polygon, size, margin or 0, spacing)
    away /= unit
    distance, nearest = cKDTree(contour[:, :2]).query(points, k=NEIGHBOURS)

    near_depth = pose.unproject(contour)[:, 2][nearest].mean(1)
    depth = near_depth + (PIVOT[2] - near_depth) * smoothstep(away, 0.0, BACK)
    # A point at a known depth on a pixel: invert the weak-perspective camera.
    x, y = ((points - pose.origin[:2]) / unit).T
    r = pose.rotation
    z = (depth - PIVOT[2] - r[0, 2] * x - r[1, 2] * y) / r[2, 2]
    canonical = np.stack([x, y, z], axis=1) @ r + PIVOT
    source = np.concatenate([points, (z * unit + pose.origin[2])[:, None]], axis=1)

    follow = 1 - smoothstep(away, *(HAIR if layered else NEAR))
    follow *= 1 - smoothstep(canonical[:, 1], *NECK)
    column, row = points.T
    edge = np.minimum.reduce([column, width - 1 - column, row, height - 1 - row]) / unit
    if not layered:
        follow *= smoothstep(edge, 0.0, 0.3)

    weights = 1 / (distance + 0.5)
    weights *= (np.exp(-((away / DRAGGED) ** 2)) / weights.sum(1))[:, None]
    weights *= smoothstep(edge, 0.0, 0.1)[:, None]
    rows = np.repeat(np.arange(len(points)), NEIGHBOURS)
    drag = sparse.csr_matrix(
        (weights.ravel().astype(np.float32), (rows, nearest.ravel())),
        shape=(len(points), len(contour)),
    )
    index = np.concatenate([shown.contour, len(face) + np.arange(len(points))])
    around = index[_ring_triangles(polygon, np.concatenate([contour[:, :2], points]))]
    holes = [strip(hole) for hole in (mesh.mouth, *mesh.eyes)]
    triangles = np.concatenate([shown.triangles, around, *holes])
    return Surroundings(
        source.astype(np.float32),
        canonical,
        follow[:, None].astype(np.float32),
        shown.contour,
        drag,
        np.ascontiguousarray(triangles, dtype=np.int32),
    )


def _grid_outside(
    polygon: Array, size: tuple[int, int], margin: int, spacing: float
) -> tuple[Array, Array]:
    """Points (m, 2) float32 of a grid that are outside a polygon (k, 1, 2), and how far, pixels."""
    down, across = (
        np.linspace(-margin, side - 1 + margin, max(2, round((side + 2 * margin) / spacing)))
        for side in size
    )
    points = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2).astype(np.float32)
    away = -np.array([cv2.pointPolygonTest(polygon, (float(x), float(y)), True) for x, y in points])
    outside = away > 0.4 * spacing
    return points[outside], away[outside]


def _ring_triangles(polygon: Array, points: Array) -> Array:
    """Delaunay's triangles (n, 3) of points (m, 2), without those inside a polygon (k, 1, 2).

    The polygon's corners are the first points. Where a side of it isn't a side of triangles, those
    that it crosses stay, so that nothing is left uncovered.
    """
    mesh = Delaunay(points)
    # None of the other points is inside, so only triangles with a corner of the polygon can be.
    outside = (mesh.simplices >= len(polygon)).all(1)
    for number in np.flatnonzero(~outside):
        x, y = points[mesh.simplices[number]].mean(0).tolist()
        outside[number] = cv2.pointPolygonTest(polygon, (x, y), False) < 0
    sides = np.stack([np.arange(len(polygon)), np.roll(np.arange(len(polygon)), -1)], axis=1)
    missing = sides[~np.isin(edge_keys(sides), edge_keys(edges_of(mesh.simplices)))]
    start, end = points[missing[:, 0]], points[missing[:, 1]]
    along = np.linspace(0.0, 1.0, ALONG + 2)[1:-1, None, None]
    outside[mesh.find_simplex((start + along * (end - start)).reshape(-1, 2))] = True
    return np.asarray(mesh.simplices[outside])
