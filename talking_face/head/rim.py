"""Where a head's face ends and the relief around it begins: a smooth line across the face's mesh.

Whole triangles, left out or kept, would end in teeth where skin is seen from the side: neighbours
are far apart in depth there. So triangles are cut along the line on which the skin faces the camera
by a certain cosine. Knows meshes and points; knows nothing of colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from talking_face.arrays import Array
from talking_face.picture.contour import facing, shown_part
from talking_face.picture.mesh import FaceMesh, border_loops, edges_of, neighbours

GRAZING = 0.05  # cosine of skin to line of sight from which on the relief goes on, not the face
EVEN = 3  # rounds of averaging with neighbours, so that the line doesn't wiggle
SLIVER = 0.12  # of an edge from its end, nearer to which none is cut


@dataclass(frozen=True, eq=False)
class Cut:
    """A mesh cut in two along a line.

    Attributes:
        rows: (n + new points, n) float32, makes the cut mesh's points from the whole one's.
        kept, left: (k, 3) int32 triangles of the cut mesh, on either side.
        contour: (c,) int32 its points along the border of what is kept, in order.
    """

    rows: sparse.csr_matrix
    kept: Array
    left: Array
    contour: Array


def cut_face(face: Array, mesh: FaceMesh, grazing: float = GRAZING) -> Cut:
    """The part of a face that its photo shows, and the rest.

    Args:
        face: (n, 3) the refined face in the photo, pixels.
        grazing: cosine of skin to line of sight where it is cut.
    """
    triangles = mesh.triangles
    part = shown_part(face, mesh, grazing)
    left = ~np.isin(_names(triangles), _names(part.triangles))
    seen = facing(face, triangles) - grazing
    seen = evened(seen, triangles, EVEN)
    # What is hidden elsewhere, such as beside the nose, stays.
    inside = np.ones(len(face), dtype=bool)
    inside[triangles[left]] = False
    whole = np.where(inside, np.abs(seen) + grazing, seen)
    rows, above, below = split(triangles, whole)
    pieces = border_loops(above)
    inner = {int(hole[0]) for hole in (mesh.mouth, *mesh.eyes)}
    contour = next(loop for loop in pieces if not inner & set(loop.tolist()))
    return Cut(rows, above, below, np.asarray(contour, dtype=np.int32))


def evened(values: Array, triangles: Array, rounds: int) -> Array:
    """Values (n,) or (n, k) at the points of triangles (m, 3), averaged with their neighbours'."""
    beside = neighbours(triangles, len(values))
    share = sparse.diags(1 / np.maximum(np.asarray(beside.sum(1)).ravel(), 1))
    for _ in range(rounds):
        values = (values + share @ (beside @ values)) / 2
    return values


def split(triangles: Array, values: Array) -> tuple[sparse.csr_matrix, Array, Array]:
    """Cut triangles along the line where values at their points, linear between them, are 0.

    Args:
        triangles: (m, 3) int32. values: (n,).

    Returns:
        (n + new points, n) what makes the points; (k, 3) int32 the triangles where values are
        positive, and those where they aren't.
    """
    n = len(values)
    edges = np.unique(np.sort(edges_of(triangles), axis=1), axis=0)
    values = values.copy()
    one, two = values[edges].T
    share = np.abs(one) / np.maximum(np.abs(one) + np.abs(two), 1e-12)
    crossing = (one > 0) != (two > 0)
    # A line so near to a point goes through it.
    values[edges[crossing & (share < SLIVER), 0]] = 0
    values[edges[crossing & (share > 1 - SLIVER), 1]] = 0
    one, two = values[edges].T
    cut = one * two < 0
    share = (one / np.where(cut, one - two, 1))[cut]
    number = dict(zip(map(tuple, edges[cut].tolist()), range(n, n + int(cut.sum())), strict=True))
    row = np.concatenate([np.arange(n), np.tile(np.arange(n, n + len(share)), 2)])
    column = np.concatenate([np.arange(n), edges[cut, 0], edges[cut, 1]])
    weight = np.concatenate([np.ones(n), 1 - share, share]).astype(np.float32)
    rows = sparse.csr_matrix((weight, (row, column)), shape=(n + len(share), n))
    sides: tuple[list[list[int]], list[list[int]]] = [], []
    for corners in triangles.tolist():
        for side, sign in zip(sides, (1, -1), strict=True):
            flat = sign > 0 or values[corners].any()
            side += _clipped(corners, sign * values[corners], number) if flat else []
    above, below = (np.array(side, dtype=np.int32).reshape(-1, 3) for side in sides)
    return rows, above, below


def _clipped(
    corners: list[int], values: Array, number: dict[tuple[int, int], int]
) -> list[list[int]]:
    """The triangles of one triangle's part where values are positive."""
    if values.max() <= 0 and values.any():
        return []
    polygon = []
    for i in range(3):
        j = (i + 1) % 3
        if values[i] >= 0:
            polygon.append(corners[i])
        if values[i] * values[j] < 0:
            pair = (min(corners[i], corners[j]), max(corners[i], corners[j]))
            polygon.append(number[pair])
    return [[polygon[0], polygon[k], polygon[k + 1]] for k in range(1, len(polygon) - 1)]


def _names(triangles: Array) -> Array:
    """A number for each triangle (n, 3), the same for the same three points in the same order."""
    return np.asarray(triangles.astype(np.int64) @ (1 << np.array([40, 20, 0])))
