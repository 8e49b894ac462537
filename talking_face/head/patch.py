"""Patches: the pieces that a head is put together from, each a small mesh with its own picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse

from talking_face.arrays import Array
from talking_face.face.landmarks import N_LANDMARKS
from talking_face.picture.mesh import draw_map, same_way_round


@dataclass(frozen=True, eq=False)
class Patch:
    """One piece of a head.

    Attributes:
        points: (n, 3) canonical, at rest.
        spread: (n, 478) how far each point goes along with each landmark's displacement.
        triangles: (m, 3) int32, seen from the front the way round that the image's axes turn.
        places: (n, 2) where the points are in the picture, 0..1 from its left top corner.
        picture: (h, w, 3) uint8 RGB.
    """

    points: Array
    spread: sparse.csr_matrix
    triangles: Array
    places: Array
    picture: Array


@dataclass(frozen=True, eq=False)
class Surface:
    """Points (n, 3), in pixels or in other steps of that size, and triangles (m, 3) int32."""

    points: Array
    triangles: Array


def grid_triangles(rows: int, columns: int) -> Array:
    """The triangles of a grid of points, counted row by row, (n, 3) int32."""
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b = number[:-1, :-1].ravel(), number[:-1, 1:].ravel()
    c, d = number[1:, :-1].ravel(), number[1:, 1:].ravel()
    return np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)]).astype(np.int32)


def facing_front(points: Array, triangles: Array) -> Array:
    """The triangles of one surface, turned so that most of them face the camera of the image."""
    triangles = same_way_round(triangles)
    a, b, c = (points[triangles[:, corner], :2] for corner in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return np.ascontiguousarray(triangles if area.sum() > 0 else triangles[:, ::-1])


def rows_of(weights: dict[int, float], count: int) -> sparse.csr_matrix:
    """`count` equal rows over the landmarks, with these weights."""
    row = np.zeros(N_LANDMARKS, dtype=np.float32)
    row[list(weights)] = list(weights.values())
    return sparse.csr_matrix(np.tile(row, (count, 1)))


def still_rows(count: int) -> sparse.csr_matrix:
    """Rows for points that no landmark moves."""
    return sparse.csr_matrix((count, N_LANDMARKS), dtype=np.float32)


def depth_of(surface: Surface, places: Array) -> Array:
    """How far away the nearest part of a surface is at places (n, 2); -inf where there is none.

    Next to an edge it is the part behind.
    """
    corner = np.floor(places.min(0)) - 1
    width, height = (np.ceil(places.max(0)) - corner).astype(int) + 2
    drawn = np.ascontiguousarray(surface.points - (*corner, 0), dtype=np.float32)
    flat, away = np.ascontiguousarray(drawn[:, :2]), np.ascontiguousarray(drawn[:, 2])
    map_x, map_y = np.zeros((2, height, width), dtype=np.float32)
    depth = np.full((height, width), np.inf, dtype=np.float32)
    draw_map(flat, away, flat, surface.triangles, map_x, map_y, depth)
    depth[np.isinf(depth)] = -np.inf
    furthest = np.asarray(cv2.dilate(depth, np.ones((3, 3), dtype=np.uint8)))
    column, row = np.rint(places - corner).astype(int).T
    return np.asarray(furthest[row, column])
