"""Which part of a face its photo shows, and the contour around that part.

The far side of a turned face is hidden behind its own cheek: there its mesh folds back, and what
lies under the fold in the photo is the cheek in front. Drawn when the head turns, it would show
that cheek again, mirrored, beyond the edge of the first. So the face ends where the photo sees it
too flat; what comes next, be it background, hair or an ear, is around it. Knows meshes and points;
knows nothing of poses and colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.picture.mesh import (
    FaceMesh,
    border_edges,
    border_loops,
    draw_map,
    edge_keys,
    edges_of,
    neighbours,
)

# Cosine of the angle between skin and line of sight below which the photo shows it too flat: it
# would be stretched by more than a half where a turn of 10° unfolds it.
GRAZING = 0.3
UNSURE = 0.015  # inter-ocular distances around what hides something that may be either
STEEP = 4.0  # pixels of depth a pixel, from which a surface is seen from the side
NEXT_TO = (0.1, 0.3)  # inter-ocular distances from eyes and lips: drawn as they are, and freely
# Inter-ocular distances from the inner lips: how far a lip reaches, and where its rim ends, which
# is drawn as it is.
LIPS_REACH, LIPS_RIM = 0.3, (0.03, 0.06)
KEPT_RINGS = 2  # triangles around lids and lips that always belong to the face


@dataclass(frozen=True, eq=False)
class Shown:
    """The part of a face that the photo shows.

    Attributes:
        triangles: (n, 3) int32 over the refined points, with the holes of eyes and mouth.
        contour: (k,) int32 refined points along its border, in order.
    """

    triangles: Array
    contour: Array


def shown_part(face: Array, mesh: FaceMesh, grazing: float = GRAZING) -> Shown:
    """The part of a face in the photo that isn't hidden by itself at its border.

    What is hidden within the face, such as the far side of the nose, stays.

    Args:
        face: (points of the mesh, 3), the refined face in the photo, pixels.
        grazing: cosine of the angle between skin and line of sight below which it isn't shown.
    """
    triangles = mesh.triangles
    flat = facing(face, triangles)[triangles].mean(1) < grazing
    flat &= ~_near(triangles, np.concatenate([mesh.mouth, *mesh.eyes]), len(face))
    border = np.isin(triangles, mesh.outline).any(1)
    kept = ~_reached(triangles, flat, border)
    kept = _largest(triangles, kept)
    while True:
        # Where parts touch in one point only there is no border to follow: fill around it.
        edges = border_edges(triangles[kept])
        touching = np.flatnonzero(np.bincount(edges.ravel(), minlength=len(face)) > 2)
        if not len(touching):
            break
        kept |= np.isin(triangles, touching).any(1)
    inner = {int(hole[0]) for hole in (mesh.mouth, *mesh.eyes)}
    loops = border_loops(triangles[kept])
    contour = next(loop for loop in loops if not inner & set(loop.tolist()))
    return Shown(np.ascontiguousarray(triangles[kept]), contour)


def drawn_together(face: Array, mesh: FaceMesh, unit: float) -> Array:
    """Where to draw a face from: what hides behind its nose is gathered where the nose ends.

    A turn of the head brings that into view, and would show again what is before it in the photo;
    so the little that the photo shows on both sides is stretched over it; not near eyes and lips.

    Args:
        face: (points of the mesh, 3), the refined face in the photo, pixels.
        unit: inter-ocular distance, pixels.

    Returns:
        (points of the mesh, 2) float32, the places in the photo to draw the points from.
    """
    triangles = mesh.triangles
    hidden = (facing(face, triangles) < 0) | _covered(face, triangles, UNSURE * unit)
    places = face[:, :2].astype(np.float64)
    if hidden.any():
        holes = face[np.concatenate([mesh.mouth, *mesh.eyes])]
        away = cKDTree(holes).query(face[hidden])[0]
        share = smoothstep(away / unit, *NEXT_TO)[:, None]
        places[hidden] += share * (_gathered(face, triangles, hidden) - places[hidden])
    return places.astype(np.float32)


def unrolled(face: Array, mesh: FaceMesh, unit: float) -> tuple[Array, Array]:
    """Where to draw what a lower lip hides from, once the mouth has changed.

    A lip that is seen from above hides the skin under it. Lips that close bring that into view, and
    would show the lip once more; so it is gathered where the lip ends.

    Args:
        face, unit: see `drawn_together`.

    Returns:
        (k,) indices of the points that the lip hides, and (k, 2) float32 places in the photo to
        draw them from.
    """
    mouth = face[mesh.mouth]
    away = cKDTree(mouth).query(face)[0] / unit
    hidden = (facing(face, mesh.triangles) < 0) | _covered(face, mesh.triangles, 0.0)
    hidden &= (face[:, 1] > mouth[:, 1].mean()) & (away < LIPS_REACH)
    places = face[hidden, :2].astype(np.float64)
    if hidden.any():
        share = smoothstep(away[hidden], *LIPS_RIM)[:, None]
        places += share * (_gathered(face, mesh.triangles, hidden) - places)
    return np.flatnonzero(hidden), places.astype(np.float32)


def _gathered(face: Array, triangles: Array, hidden: Array) -> Array:
    """Smooth places (k, 2) of the k points of a face that are hidden, of (n,) bool, among the
    others'."""
    beside = neighbours(triangles, len(face))
    laplacian = sparse.diags(np.asarray(beside.sum(1)).ravel()) - beside
    rows = laplacian.tocsr()[hidden]
    known = -rows[:, ~hidden] @ face[~hidden, :2].astype(np.float64)
    return np.asarray(spsolve(rows[:, hidden].tocsc(), known)).reshape(-1, 2)


def _covered(face: Array, triangles: Array, margin: float) -> Array:
    """(n,) bool: points of a face that lie behind another part of it, or close to that in 2-D."""
    corner = np.floor(face[:, :2].min(0))
    points = (face[:, :2] - corner).astype(np.float32)
    width, height = np.ceil(points.max(0)).astype(int) + 1
    map_x, map_y = np.zeros((2, height, width), dtype=np.float32)
    nearest = np.full((height, width), np.inf, dtype=np.float32)
    depth = np.ascontiguousarray(face[:, 2], dtype=np.float32)
    draw_map(points, depth, points, triangles, map_x, map_y, nearest)
    side = 2 * round(margin) + 1
    front = np.asarray(cv2.erode(nearest, np.ones((side, side), dtype=np.uint8)))
    column, row = np.rint(points).astype(int).T
    # Skin that is seen, and not from the side, isn't that much deeper than what is so near it.
    return np.asarray(depth > front[row, column] + STEEP * (margin + 1))


def facing(points: Array, triangles: Array) -> Array:
    """How much a surface faces the camera at its points: 1 straight, 0 seen from the side.

    Args:
        points: (n, 3) pixels. triangles: (m, 3), all the same way round.

    Returns:
        (n,) the cosine of the angle between the normal and the line of sight; negative behind.
    """
    corners = points[triangles].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    around = np.zeros((len(points), 3))
    for corner in range(3):
        np.add.at(around, triangles[:, corner], normals)
    size = np.maximum(np.linalg.norm(around, axis=1), 1e-12)
    # Most of what is drawn faces the camera, whichever way round the triangles are.
    return np.asarray(around[:, 2] / size * np.sign(normals[:, 2].sum()))


def _pieces(triangles: Array) -> Array:
    """(m,) which of the pieces that hang together by edges each triangle belongs to."""
    edges = np.unique(edge_keys(edges_of(triangles)), return_inverse=True)[1].ravel()
    rows = np.repeat(np.arange(len(triangles)), 3)
    shape = (len(triangles), int(edges.max(initial=-1)) + 1)
    of_edge = sparse.csr_matrix((np.ones(len(edges)), (rows, edges)), shape=shape)
    return np.asarray(connected_components(of_edge @ of_edge.T, directed=False)[1])


def _reached(triangles: Array, of: Array, start: Array) -> Array:
    """(m,) bool: those `of` the triangles in one piece with one at the `start`."""
    pieces = np.full(len(triangles), -1)
    pieces[of] = _pieces(triangles[of]) if of.any() else 0
    return of & np.isin(pieces, pieces[of & start])


def _largest(triangles: Array, of: Array) -> Array:
    """(m,) bool: the largest piece of some triangles."""
    pieces = np.full(len(triangles), -1)
    pieces[of] = _pieces(triangles[of])
    return np.asarray(pieces == np.bincount(pieces[of]).argmax())


def _near(triangles: Array, points: Array, n_points: int) -> Array:
    """(m,) bool: triangles within a few rings of some points."""
    near = np.zeros(n_points, dtype=bool)
    near[points] = True
    for _ in range(KEPT_RINGS):
        near[triangles[near[triangles].any(1)]] = True
    return np.asarray(near[triangles].all(1))
