"""Hair, ears, neck and shoulders as a relief: it closes onto the face, and rounds off behind.

The person's silhouette in the photo is where the surface turns away from the camera. From there it
comes forward to the face, as high above the silhouette's plane as a cushion whose height h solves a
screened Poisson equation in h² (so that it is round where it turns: Prasad and Fitzgibbon, "Single
view reconstruction of curved surfaces", CVPR 2006, inflate so too), and backwards likewise. Knows
points and masks in pixels; knows nothing of colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve
from scipy.spatial import Delaunay, cKDTree

from talking_face.arrays import Array
from talking_face.picture.mesh import border_edges, neighbours

# All lengths are in canonical units, inter-ocular distances.
SPACING, OUTLINE = 0.085, 0.055  # of the points, and of those along the silhouette
ROUND, FRONT = 0.75, 0.62  # how far in from the silhouette it is round, and how high it gets there
BACK_ROUND, BACK = 0.85, 0.95  # the same behind
ROWS = (0.02, 0.07, 0.16)  # distances from the silhouette at which there are rows of points
EDGE = 0.62  # depth of the silhouette behind the eyes: about the ears', at least
SETTLED = 0.22  # distance from the face over which the relief leaves the face's own depth
FIRM, FIRM_WITHIN = 4.0, 0.2  # near the silhouette the surface stays round, so that it is even
LIMB = 0.12  # distance from where a turned face hides itself, within which it is its own edge
WALL = 0.35  # pixels of the photo that are shown a pixel of what its border cuts open
LEAST = 0.03  # height of the face's contour above the silhouette's plane, at least
RISE = 0.4  # how steeply it comes before the face's contour, at most: hair does, ears don't
BESIDE = 8  # points of the face's contour that the silhouette's depth goes by


@dataclass(frozen=True, eq=False)
class Relief:
    """Points around and behind a face, in the photo's camera frame.

    Attributes:
        front: (n, 3) pixels, depth too; the face's contour first.
        back: (m, 3) pixels; also the walls where the picture's border cuts the person off.
        back_places: (m, 2) which place of the photo each of `back` shows, pixels.
        front_triangles, back_triangles: (k, 3) int32 over either.
    """

    front: Array
    back: Array
    back_places: Array
    front_triangles: Array
    back_triangles: Array


def silhouette_of(mask: Array, spacing: float, centre: Array) -> Array:
    """The outline of a person as points (k, 2) at equal steps, pixels.

    Args:
        mask: (h, w) float32 0..1, how much of a pixel is the person.
        spacing: pixels between the points.
        centre: (2,) pixels, a place in the face.
    """
    solid = cv2.GaussianBlur(mask, (0, 0), spacing / 3)
    # A border, so that an outline that the picture cuts off is closed along the picture's edge.
    padded = cv2.copyMakeBorder((solid > 0.5).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    outlines, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    place = (float(centre[0]) + 1, float(centre[1]) + 1)
    around = [one for one in outlines if cv2.pointPolygonTest(one, place, False) > 0]
    outline = max(around or outlines, key=cv2.contourArea)[:, 0].astype(np.float64) - 1
    closed = np.concatenate([outline, outline[:1]])
    length = np.concatenate([[0], np.linalg.norm(np.diff(closed, axis=0), axis=1).cumsum()])
    steps = np.linspace(0, length[-1], max(int(length[-1] / spacing), 16), endpoint=False)
    return np.stack([np.interp(steps, length, closed[:, axis]) for axis in (0, 1)], axis=1)


def relief_of(
    contour: Array, limb: Array, behind: Array, outline: Array, size: Array, unit: float
) -> Relief:
    """The relief between a face and the silhouette around it.

    Args:
        contour: (c, 3) the face's contour in the photo, pixels, in order.
        limb: (c,) bool, where the face goes on behind its own contour.
        behind: (n, 3) where it ends there, pixels; what lies behind closes onto that.
        outline: (k, 2) of `silhouette_of`.
        size: (2,) width and height of the picture, pixels; where it cuts the person off, the
            surface isn't round but goes straight on.
        unit: inter-ocular distance, pixels.
    """
    spacing, n_contour = SPACING * unit, len(contour)
    inner = _inner_points(outline, spacing, unit)
    outside = inner[away_from(contour[:, :2], inner) > 0.5 * spacing]
    cut = _cut_off(outline, size) & (outline[:, 1] > contour[:, 1].max())
    flat = np.concatenate([outline, outside])
    inwards = _depth_inside(flat, outline[~cut], unit)
    known = np.concatenate([contour[:, :2], flat])
    triangles = _triangles(known, outline, contour[:, :2])
    beside = _near(known, contour[limb, :2], LIMB * unit)  # no wall stands before the far cheek
    triangles = triangles[~beside[triangles].all(1)]
    border = slice(n_contour, n_contour + len(outline))
    fixed = np.zeros(len(known), dtype=bool)
    fixed[:n_contour], fixed[border] = True, ~cut
    plane = _silhouette_depth(known, contour, unit)
    height = np.maximum(plane[:n_contour] - contour[:, 2], LEAST * unit)
    beside_face, away = _beside(flat, contour, unit)
    most = plane[n_contour:] - beside_face + RISE * away
    round_ = np.minimum(FRONT * unit * _rounded(inwards / ROUND), np.maximum(most, 0))
    squared = np.concatenate([height, round_]) ** 2
    firm = np.concatenate([np.zeros(n_contour), FIRM * (inwards < FIRM_WITHIN)])
    squared = _settle(squared, fixed, firm, triangles, SETTLED * unit / spacing)
    front = np.column_stack([known, plane - np.sqrt(np.maximum(squared, 0))])
    front[:n_contour] = contour

    moved = beside[border] & (len(behind) > 0)
    ends = np.zeros((0, 3))
    if moved.any():
        ends = behind[np.abs(outline[moved, 1:] - behind[None, :, 1]).argmin(1)]
    edge = outline.copy()
    if len(ends):
        edge[moved] = ends[:, :2]
        inner = inner[-away_from(edge, inner) > ROWS[0] * unit]
    flat = np.concatenate([edge, inner])
    inwards = _depth_inside(flat, edge[~cut], unit)
    plane = _silhouette_depth(flat, contour, unit)
    back = np.column_stack([flat, plane + BACK * unit * _rounded(inwards / BACK_ROUND)])
    if len(ends):
        back[: len(edge)][moved] = ends
    shell = _triangles(flat, edge, None)
    walls = _walls(shell, len(outline), len(back), cut)
    near, far = front[border], back[: len(outline)]
    mirrored = _mirrored(near[:, :2], far[:, 2] - near[:, 2], size)
    return Relief(
        front,
        np.concatenate([back, near, far]),
        np.concatenate([back[:, :2], near[:, :2], mirrored]),
        triangles.astype(np.int32),
        np.concatenate([shell[:, ::-1], walls]).astype(np.int32),
    )


def _beside(places: Array, contour: Array, unit: float) -> tuple[Array, Array]:
    """How far away the face's contour beside places (n, 2) is, and how far beside, (n,) pixels."""
    distance, nearest = cKDTree(contour[:, :2]).query(places, k=BESIDE)
    weights = 1 / (distance + ROWS[-1] * unit) ** 2
    return (weights * contour[nearest, 2]).sum(1) / weights.sum(1), distance[:, 0]


def _silhouette_depth(places: Array, contour: Array, unit: float) -> Array:
    """How far away the silhouette around places (n, 2) is, (n,) pixels.

    It never comes before the face's contour beside it, or ears would stand in front of cheeks.
    """
    return np.maximum(EDGE * unit, _beside(places, contour, unit)[0] + LEAST * unit)


def _inner_points(outline: Array, spacing: float, unit: float) -> Array:
    """Points (n, 2) inside an outline: rows along it, where the surface bends most, and a grid."""
    inwards = inwards_of(outline)
    points = []
    for step in ROWS:
        row = outline + step * unit * inwards
        points.append(row[-away_from(outline, row) > 0.9 * step * unit])
    grid = _grid(outline, spacing)
    points.append(grid[-away_from(outline, grid) > ROWS[-1] * unit + 0.6 * spacing])
    return np.concatenate(points)


def _near(points: Array, places: Array, reach: float) -> Array:
    """(n,) bool: points within a reach of some places."""
    if not len(places):
        return np.zeros(len(points), dtype=bool)
    return np.asarray(cKDTree(places).query(points)[0] < reach)


def inwards_of(outline: Array) -> Array:
    """Directions (k, 2) of length 1 into an outline (k, 2), whichever way round it goes."""
    along = np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)
    inwards = np.stack([-along[:, 1], along[:, 0]], axis=1)
    inwards /= np.maximum(np.linalg.norm(inwards, axis=1, keepdims=True), 1e-6)
    if away_from(outline, outline + 2 * inwards).mean() > 0:
        inwards = -inwards
    return np.asarray(inwards)


def _grid(outline: Array, spacing: float) -> Array:
    """Points (n, 2) of a grid over an outline."""
    low, high = outline.min(0), outline.max(0)
    across, down = (np.arange(a + spacing / 2, b, spacing) for a, b in zip(low, high, strict=True))
    return np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)


def away_from(polygon: Array, points: Array) -> Array:
    """How far points (n, 2) are outside a polygon (k, 2); negative inside."""
    loop = polygon[:, None].astype(np.float32)
    return -np.array([cv2.pointPolygonTest(loop, (float(x), float(y)), True) for x, y in points])


def _cut_off(outline: Array, size: Array) -> Array:
    """(k,) which points of an outline lie at the picture's border."""
    return np.asarray(((outline < 1.5) | (outline > size - 2.5)).any(1))


def _depth_inside(points: Array, edge: Array, unit: float) -> Array:
    """How far points are from the silhouette, inter-ocular distances; 0 on it."""
    if not len(edge):  # the person fills the picture
        return np.ones(len(points))
    return np.asarray(cKDTree(edge).query(points)[0] / unit)


def _rounded(inwards: Array) -> Array:
    """Height of a quarter circle of radius 1 at distances from where it is upright."""
    return np.sqrt(1 - (1 - np.minimum(inwards, 1)) ** 2)


def _triangles(points: Array, outline: Array, hole: Array | None) -> Array:
    """Delaunay's triangles (n, 3) of points inside an outline and outside of a hole."""
    simplices = Delaunay(points).simplices
    # All the same way round; y points down.
    a, b, c = (points[simplices[:, corner]] for corner in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    simplices = np.where((area > 0)[:, None], simplices, simplices[:, ::-1])
    middle = points[simplices].mean(1)
    kept = (away_from(outline, middle) < 0) & (np.abs(area) > 1e-6)
    if hole is not None:
        kept &= away_from(hole, middle) > 0
    return np.asarray(simplices[kept])


def _settle(values: Array, fixed: Array, firm: Array, triangles: Array, reach: float) -> Array:
    """Values that leave what is fixed smoothly, towards what they were, over `reach` edges.

    Args:
        firm: how much more each stays what it was, in neighbours.
    """
    beside = neighbours(triangles, len(values))
    degree = np.maximum(np.asarray(beside.sum(1)).ravel(), 1)
    pull = degree / 6 / reach**2 + degree * firm
    system = (sparse.diags(degree + pull) - beside).tocsr()
    free = ~fixed
    right = (pull * values)[free] - system[free][:, fixed] @ values[fixed]
    values = values.copy()
    values[free] = spsolve(system[free][:, free].tocsc(), right)
    return values


def _walls(behind: Array, n_outline: int, n_back: int, cut: Array) -> Array:
    """Triangles (n, 3) that close what the picture's border cuts open.

    Args:
        behind: triangles of the back, whose first points are the outline's.
        n_back: number of the first of the outline's points on the front; behind those come the
            outline's points on the back once more.
        cut: (k,) which of the outline's points lie at the picture's border.
    """
    edges = border_edges(behind)
    i, j = edges[(edges < n_outline).all(1) & cut[np.minimum(edges, n_outline - 1)].any(1)].T
    near_i, near_j = n_back + i, n_back + j
    i, j = near_i + n_outline, near_j + n_outline
    return np.concatenate([np.stack([i, j, near_j], axis=1), np.stack([i, near_j, near_i], axis=1)])


def _mirrored(places: Array, depth: Array, size: Array) -> Array:
    """Places (k, 2) at the picture's border, further within it the further they go back, pixels.

    What the border cut off is continued by what is beside it, mirrored.
    """
    last = size - 1
    over = np.concatenate([places, last - places], axis=1)  # from left, top, right, bottom
    inwards = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])[over.argmin(1)]
    return np.clip(places + inwards * WALL * depth[:, None], 0, last)
