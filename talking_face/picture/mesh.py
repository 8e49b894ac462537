"""Triangle meshes over the photo: refining them, and drawing them as a map of source coordinates.

Arrays in, arrays out. Drawing a mesh does not produce colours: it produces, for each pixel of the
frame, the place in the photo that it shows, so that one `cv2.remap` makes the frame and a mesh that
has not moved gives back the photo.

Drawing is machine code that numba makes at the first frame and keeps for other processes, beside
this file, in the user's cache, or where $NUMBA_CACHE_DIR says; where it can't, each makes its own.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import cv2
import numpy as np
from scipy import sparse

from talking_face.arrays import Array
from talking_face.face.landmarks import N_MESH

REFINEMENTS = 2  # subdivisions of the face mesh
TEAR = 3.0  # pixels that neighbours in the frame are further apart in the photo where it is torn

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FaceMesh:
    """The refined topology, the same for every face."""

    triangles: Array  # (n, 3) int32 over the refined points, all the same way round
    refinement: sparse.csr_matrix  # (refined points, 468)
    outline: Array  # refined points along the face oval
    mouth: Array  # refined points along the inner lips
    eyes: tuple[Array, Array]  # refined points along the lids, image-left eye first


def refine(triangles: Array, n_points: int) -> tuple[Array, sparse.csr_matrix]:
    """One step of butterfly subdivision (Dyn, Levin and Gregory, 1990).

    It interpolates: the old points stay, each edge gets a point on a smooth surface through them.
    Edges of a hole or of the border get one on a smooth curve along it.

    Args:
        triangles: (n, 3) int32.
        n_points: how many points the mesh has.

    Returns:
        The (4n, 3) int32 triangles of the finer mesh, and the sparse float32 matrix
        (n_points + edges, n_points) that makes its points from the old ones.
    """
    opposite: dict[tuple[int, int], list[int]] = defaultdict(list)
    for a, b, c in triangles.tolist():
        for i, j, k in ((a, b, c), (b, c, a), (c, a, b)):
            opposite[min(i, j), max(i, j)].append(k)
    border: dict[int, list[int]] = defaultdict(list)
    for (i, j), others in opposite.items():
        if len(others) == 1:
            border[i].append(j)
            border[j].append(i)

    rows, columns, values = list(range(n_points)), list(range(n_points)), [1.0] * n_points
    middle: dict[tuple[int, int], int] = {}
    for (i, j), others in opposite.items():
        row = middle[i, j] = n_points + len(middle)
        stencil = {i: 0.5, j: 0.5}
        if len(others) == 1 and len(border[i]) == len(border[j]) == 2:
            for here, there in ((i, j), (j, i)):
                before = next(k for k in border[here] if k != there)
                stencil[here] = stencil.get(here, 0.0) + 1 / 16
                stencil[before] = stencil.get(before, 0.0) - 1 / 16
        elif len(others) == 2:
            wings = {}
            for k in others:
                for end in (i, j):
                    across = opposite[min(end, k), max(end, k)]
                    beyond = [q for q in across if q not in (i, j)]
                    if len(beyond) == 1:
                        wings[end, k] = beyond[0]
            if len(wings) == 4:  # next to the border the edge's middle does
                for k in others:
                    stencil[k] = stencil.get(k, 0.0) + 1 / 8
                for q in wings.values():
                    stencil[q] = stencil.get(q, 0.0) - 1 / 16
        for column, value in stencil.items():
            rows.append(row)
            columns.append(column)
            values.append(value)
    matrix = sparse.csr_matrix(
        (np.array(values, dtype=np.float32), (rows, columns)),
        shape=(n_points + len(middle), n_points),
    )
    finer = []
    for a, b, c in triangles.tolist():
        ab, bc, ca = (middle[min(p, q), max(p, q)] for p, q in ((a, b), (b, c), (c, a)))
        finer += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.array(finer, dtype=np.int32), matrix


def same_way_round(triangles: Array) -> Array:
    """The triangles (n, 3) of one surface, each with its corners the same way round."""
    triangles = triangles.copy()
    beside: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, (a, b, c) in enumerate(triangles.tolist()):
        for i, j in ((a, b), (b, c), (c, a)):
            beside[min(i, j), max(i, j)].append(index)
    seen, waiting = {0}, [0]
    while waiting:
        a, b, c = triangles[waiting.pop()].tolist()
        for i, j in ((a, b), (b, c), (c, a)):
            for index in set(beside[min(i, j), max(i, j)]) - seen:
                p, q, r = triangles[index].tolist()
                if (i, j) in ((p, q), (q, r), (r, p)):
                    triangles[index] = p, r, q
                seen.add(index)
                waiting.append(index)
    return triangles


def border_loops(triangles: Array) -> list[Array]:
    """The closed loops of edges that belong to one triangle only, longest first."""
    count: dict[tuple[int, int], int] = defaultdict(int)
    for a, b, c in triangles.tolist():
        for i, j in ((a, b), (b, c), (c, a)):
            count[min(i, j), max(i, j)] += 1
    neighbours: dict[int, list[int]] = defaultdict(list)
    for (i, j), times in count.items():
        if times == 1:
            neighbours[i].append(j)
            neighbours[j].append(i)
    loops, seen = [], set()
    for start in neighbours:
        if start in seen:
            continue
        loop, previous, here = [start], None, start
        seen.add(start)
        while True:
            following = [k for k in neighbours[here] if k != previous and k not in seen]
            if not following:
                break
            previous, here = here, following[0]
            loop.append(here)
            seen.add(here)
        loops.append(np.array(loop, dtype=np.int32))
    return sorted(loops, key=len, reverse=True)


def strip(loop: Array) -> Array:
    """Triangles (n, 3) that span a closed loop of points like the rungs of a ladder."""
    triangles = []
    low, high = 0, len(loop) - 1
    while high - low > 1:
        triangles.append((loop[low], loop[low + 1], loop[high]))
        if high - low > 2:
            triangles.append((loop[low + 1], loop[high - 1], loop[high]))
        low, high = low + 1, high - 1
    return np.array(triangles, dtype=np.int32)


def face_mesh(triangles: Array) -> FaceMesh:
    """The refined mesh of the face model's triangles (n, 3), worked out once."""
    return _face_mesh(np.ascontiguousarray(triangles, dtype=np.int32).tobytes())


@lru_cache(maxsize=1)
def _face_mesh(triangle_bytes: bytes) -> FaceMesh:
    triangles = same_way_round(np.frombuffer(triangle_bytes, dtype=np.int32).reshape(-1, 3))
    refinement = sparse.identity(N_MESH, dtype=np.float32, format="csr")
    for _ in range(REFINEMENTS):
        triangles, matrix = refine(triangles, refinement.shape[0])
        refinement = (matrix @ refinement).tocsr()
    outline, mouth, *eyes = border_loops(triangles)[:4]
    left = next(eye for eye in eyes if 33 in eye)
    right = next(eye for eye in eyes if 263 in eye)
    return FaceMesh(triangles, refinement, outline, mouth, (left, right))


def draw_map(
    points: Array,
    depth: Array,
    source: Array,
    triangles: Array,
    map_x: Array,
    map_y: Array,
    buffer: Array,
) -> None:
    """Rasterise a moved mesh, nearest surface first, writing source coordinates.

    All arrays are C-contiguous.

    Args:
        points: (n, 2) float32, where the points are in the frame, pixels.
        depth: (n,) float32, smaller is nearer.
        source: (n, 2) float32, where they are in the photo, pixels.
        triangles: (m, 3) int32.
        map_x, map_y: (height, width) float32, written where a triangle covers the pixel's centre.
        buffer: (height, width) float32, the depth drawn so far; start it at infinity.
    """
    _compiled("draw")(points, depth, source, triangles, map_x, map_y, buffer)


def tears(map_x: Array, map_y: Array, layer: Array, margin: int) -> tuple[Array, Array]:
    """The pixels on both sides of where one surface ends in front of another.

    All arrays are C-contiguous.

    Args:
        map_x, map_y: (h, w) float32 source coordinates, see `draw_map`.
        layer: (h + 2 margin, w + 2 margin) float32, 0 where the photo has no surface.

    Returns:
        Their rows and columns, (n,).
    """
    found = np.zeros(map_x.shape, dtype=np.uint8)
    _compiled("tear")(map_x, map_y, layer, margin, found)
    places = cv2.findNonZero(found)
    if places is None:
        return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
    return places[:, 0, 1], places[:, 0, 0]


@cache
def _compiled(name: str) -> Callable[..., None]:
    """`_draw` or `_tear` as machine code."""
    import numba

    plane, row, corners = numba.float32[:, ::1], numba.float32[::1], numba.int32[:, ::1]
    known: dict[str, tuple[Callable[..., None], Any]] = {
        "draw": (_draw, numba.void(plane, row, plane, corners, plane, plane, plane)),
        "tear": (_tear, numba.void(plane, plane, plane, numba.int64, numba.uint8[:, ::1])),
    }
    function, signature = known[name]

    def compiled(cache: bool) -> Callable[..., None]:
        compiler = numba.njit(
            signature, nogil=True, fastmath=True, error_model="numpy", cache=cache
        )
        return compiler(function)

    try:
        return compiled(cache=True)
    except (RuntimeError, OSError) as error:  # no folder can be written, or the disk is full
        logger.debug("the code that draws meshes isn't kept: %s", error)
        return compiled(cache=False)


def _tear(
    map_x: Array, map_y: Array, layer: Array, margin: int, found: Array
) -> None:  # pragma: no cover - numba
    height, width = map_x.shape
    rows, columns = layer.shape
    for y in range(height - 1):
        for x in range(width - 1):
            here_x, here_y = map_x[y, x], map_y[y, x]
            across = abs(map_x[y, x + 1] - here_x - 1) + abs(map_y[y, x + 1] - here_y)
            down = abs(map_x[y + 1, x] - here_x) + abs(map_y[y + 1, x] - here_y - 1)
            if max(across, down) > TEAR:
                p, q = (y, x + 1) if across > down else (y + 1, x)
                for i, j in ((y, x), (p, q)):
                    row = min(max(int(map_y[i, j]) + margin, 0), rows - 1)
                    column = min(max(int(map_x[i, j]) + margin, 0), columns - 1)
                    if layer[row, column] > 0:
                        found[y, x] = found[p, q] = 1


def _draw(
    points: Array,
    depth: Array,
    source: Array,
    triangles: Array,
    map_x: Array,
    map_y: Array,
    buffer: Array,
) -> None:  # pragma: no cover - numba
    height, width = map_x.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
        cx, cy = points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-6:
            continue
        left = max(0, int(np.ceil(min(ax, bx, cx) - 1e-3)))
        right = min(width - 1, int(np.floor(max(ax, bx, cx) + 1e-3)))
        top = max(0, int(np.ceil(min(ay, by, cy) - 1e-3)))
        bottom = min(height - 1, int(np.floor(max(ay, by, cy) + 1e-3)))
        inverse = 1.0 / area
        # A millipixel of overlap leaves no seam between neighbours.
        slack = -1e-3 * np.sqrt(abs(inverse))
        # Displacements are interpolated, not coordinates: exact where nothing moved.
        dax, day = source[a, 0] - ax, source[a, 1] - ay
        dbx, dby = source[b, 0] - bx, source[b, 1] - by
        dcx, dcy = source[c, 0] - cx, source[c, 1] - cy
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                wb = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) * inverse
                wc = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) * inverse
                wa = 1.0 - wb - wc
                if wa >= slack and wb >= slack and wc >= slack:
                    z = wa * depth[a] + wb * depth[b] + wc * depth[c]
                    if z < buffer[y, x]:
                        buffer[y, x] = z
                        map_x[y, x] = x + wa * dax + wb * dbx + wc * dcx
                        map_y[y, x] = y + wa * day + wb * dby + wc * dcy
