"""Triangle meshes over the photo: refining them, and drawing them as a map of source coordinates.

Arrays in, arrays out. Drawing a mesh does not produce colours: it produces, for each pixel of the
frame, the place in the photo that it shows, so that one pass makes the frame and a mesh that has
not moved gives back the photo.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import no_type_check

import numpy as np
from scipy import sparse

from talking_face.arrays import Array
from talking_face.face.landmarks import N_MESH
from talking_face.machine_code import compiled

REFINEMENTS = 2  # subdivisions of the face mesh that frames are drawn with
TEAR = 3.0  # pixels that neighbours are further apart, in photo and in depth, where it is torn
UNDRAWN = np.float32(1e30)  # depths beyond this are of nothing that was drawn


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


def edges_of(triangles: Array) -> Array:
    """The three edges of each triangle (m, 3), one after another, (3 m, 2)."""
    return np.asarray(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2))


def edge_keys(edges: Array) -> Array:
    """One int64 for each edge (n, 2), whichever way round."""
    low, high = np.minimum(*edges.T).astype(np.int64), np.maximum(*edges.T)
    return np.asarray(low << 32 | high)


def neighbours(triangles: Array, count: int) -> sparse.csr_matrix:
    """Which of `count` points share an edge, (count, count) of ones."""
    a, b = np.concatenate([edges_of(triangles), edges_of(triangles)[:, ::-1]]).T
    beside = sparse.csr_matrix((np.ones(len(a)), (a, b)), shape=(count, count))
    beside.data[:] = 1
    return beside


def border_edges(triangles: Array) -> Array:
    """Edges (n, 2) that belong to one triangle only, in the triangles' order."""
    edges = edges_of(triangles)
    _, first, count = np.unique(edge_keys(edges), return_index=True, return_counts=True)
    return np.asarray(np.sort(edges[np.sort(first[count == 1])], axis=1))


def border_loops(triangles: Array) -> list[Array]:
    """The closed loops of edges that belong to one triangle only, longest first."""
    along: dict[int, list[int]] = defaultdict(list)
    for i, j in border_edges(triangles).tolist():
        along[i].append(j)
        along[j].append(i)
    loops, seen = [], set()
    for start in along:
        if start in seen:
            continue
        loop, previous, here = [start], None, start
        seen.add(start)
        while True:
            following = [k for k in along[here] if k != previous and k not in seen]
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


def face_mesh(triangles: Array, refinements: int = REFINEMENTS) -> FaceMesh:
    """The refined mesh of the face model's triangles (n, 3), worked out once."""
    return _face_mesh(np.ascontiguousarray(triangles, dtype=np.int32).tobytes(), refinements)


@lru_cache(maxsize=2)
def _face_mesh(triangle_bytes: bytes, refinements: int) -> FaceMesh:
    triangles = same_way_round(np.frombuffer(triangle_bytes, dtype=np.int32).reshape(-1, 3))
    refinement = sparse.identity(N_MESH, dtype=np.float32, format="csr")
    for _ in range(refinements):
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
) -> Array:
    """Rasterise a moved mesh, nearest surface first, writing source coordinates.

    A single pixel that no triangle covers, between two that are, goes with one of them. All arrays
    are C-contiguous.

    Args:
        points: (n, 2) float32, where the points are in the frame, pixels.
        depth: (n,) float32, smaller is nearer.
        source: (n, 2) float32, where they are in the photo, pixels.
        triangles: (m, 3) int32.
        map_x, map_y: (height, width) float32, written where a triangle covers the pixel's centre.
        buffer: (height, width) float32, the depth drawn so far; start it at infinity.

    Returns:
        (height, 2) int32, of each row the first column that a triangle covers, and the one after
        the last; in an empty row that is 0.
    """
    height, width = map_x.shape
    spans = np.empty((height, 2), dtype=np.int32)
    spans[:] = width, 0
    _draws()(points, depth, source, triangles, map_x, map_y, buffer, spans)
    return spans


def tears(
    map_x: Array, map_y: Array, depth: Array, spans: Array, layer: Array, margin: int
) -> tuple[Array, Array]:
    """The pixels on both sides of where one surface ends in front of another.

    Args: all C-contiguous.
        map_x, map_y: (h, w) float32 source coordinates, see `draw_map`.
        depth, spans: (h, w) float32, (h, 2) int32, of what is drawn; see `draw_map`.
        layer: (h + 2 margin, w + 2 margin) float32, 0 where the photo has no surface.

    Returns:
        Their rows and columns, (n,) int32; some more than once.
    """
    height, width = map_x.shape
    pixels = np.empty((2, 2 * height * width), dtype=np.int32)  # as many as there could be
    count = np.zeros(1, dtype=np.int64)
    _finds_tears()(map_x, map_y, depth, spans, layer, margin, pixels, count)
    rows, columns = pixels[:, : count[0]]
    return rows, columns


@cache
def _draws() -> Callable[..., None]:
    """`_draw` as machine code."""
    plane, row = "float32[:, ::1]", "float32[::1]"
    places = "int32[:, ::1]"
    return compiled(_draw, plane, row, plane, places, plane, plane, plane, places)


@cache
def _finds_tears() -> Callable[..., None]:
    """`_tear` as machine code."""
    plane, places = "float32[:, ::1]", "int32[:, ::1]"
    return compiled(_tear, plane, plane, plane, places, plane, "int64", places, "int64[::1]")


@no_type_check  # so that it is compiled as it stands
def _tear(
    map_x: Array,
    map_y: Array,
    depth: Array,
    spans: Array,
    layer: Array,
    margin: int,
    pixels: Array,
    count: Array,
) -> None:  # pragma: no cover - numba
    rows, columns = layer.shape
    one, most = np.float32(1), np.float32(TEAR)
    found = 0
    for y in range(map_x.shape[0] - 1):
        first = max(spans[y, 0], spans[y + 1, 0])
        last = min(spans[y, 1], spans[y + 1, 1]) - 1
        if last <= first:
            continue
        # Most rows have none: these are passed over, several pixels at once.
        torn = np.float32(0)
        x_here, x_below = map_x[y, first : last + 1], map_x[y + 1, first : last + 1]
        y_here, y_below = map_y[y, first : last + 1], map_y[y + 1, first : last + 1]
        for x in range(len(x_here) - 1):
            across = abs(x_here[x + 1] - x_here[x] - one) + abs(y_here[x + 1] - y_here[x])
            down = abs(x_below[x] - x_here[x]) + abs(y_below[x] - y_here[x] - one)
            torn = max(torn, max(across, down))
        if torn <= most:
            continue
        for x in range(first, last):
            here_x, here_y = map_x[y, x], map_y[y, x]
            across = abs(map_x[y, x + 1] - here_x - 1) + abs(map_y[y, x + 1] - here_y)
            down = abs(map_x[y + 1, x] - here_x) + abs(map_y[y + 1, x] - here_y - 1)
            if max(across, down) > TEAR:
                p, q = (y, x + 1) if across > down else (y + 1, x)
                if abs(depth[p, q] - depth[y, x]) < TEAR:  # such as lids and lips that close
                    continue
                if depth[p, q] > UNDRAWN or depth[y, x] > UNDRAWN:
                    continue
                for i, j in ((y, x), (p, q)):
                    row = min(max(int(map_y[i, j]) + margin, 0), rows - 1)
                    column = min(max(int(map_x[i, j]) + margin, 0), columns - 1)
                    if layer[row, column] > 0:
                        pixels[0, found], pixels[1, found] = y, x
                        pixels[0, found + 1], pixels[1, found + 1] = p, q
                        found += 2
                        break
    count[0] = found


@no_type_check
def _draw(
    points: Array,
    depth: Array,
    source: Array,
    triangles: Array,
    map_x: Array,
    map_y: Array,
    buffer: Array,
    spans: Array,
) -> None:  # pragma: no cover - numba
    height, width = map_x.shape
    one, none = np.float32(1), np.float32(0)
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
        if left > right or top > bottom:
            continue
        inverse = one / area
        # A millipixel of overlap leaves no seam between neighbours.
        slack = np.float32(-1e-3) * np.sqrt(abs(inverse))
        # How the corners' weights grow from one pixel to the next, to the right and down.
        b_right, b_down = (cy - ay) * inverse, (ax - cx) * inverse
        c_right, c_down = (ay - by) * inverse, (bx - ax) * inverse
        a_right = -b_right - c_right
        a_step = one / a_right if a_right != none else none
        b_step = one / b_right if b_right != none else none
        c_step = one / c_right if c_right != none else none
        # Displacements are interpolated, not coordinates: exact where nothing moved.
        dx, dy, z = source[a, 0] - ax, source[a, 1] - ay, depth[a]
        b_dx, b_dy, b_z = source[b, 0] - bx - dx, source[b, 1] - by - dy, depth[b] - z
        c_dx, c_dy, c_z = source[c, 0] - cx - dx, source[c, 1] - cy - dy, depth[c] - z
        for y in range(top, bottom + 1):
            b_edge = (y - ay) * b_down - ax * b_right  # the weights at x = 0
            c_edge = (y - ay) * c_down - ax * c_right
            a_edge = one - b_edge - c_edge
            low, high = np.float32(left), np.float32(right)
            for edge, right_by, step in (
                (a_edge, a_right, a_step),
                (b_edge, b_right, b_step),
                (c_edge, c_right, c_step),
            ):
                if right_by > none:
                    low = max(low, (slack - edge) * step)
                elif right_by < none:
                    high = min(high, (slack - edge) * step)
                elif edge < slack:
                    high = low - one  # nothing of this row is inside
            # Within the frame, whatever the division of something near 0 has given.
            first, last = max(int(np.ceil(low)), left), min(int(np.floor(high)), right)
            if first > last:
                continue
            spans[y, 0], spans[y, 1] = min(spans[y, 0], first), max(spans[y, 1], last + 1)
            for x in range(first, last + 1):
                wb = b_edge + x * b_right
                wc = c_edge + x * c_right
                near = z + wb * b_z + wc * c_z
                if near < buffer[y, x]:
                    buffer[y, x] = near
                    map_x[y, x] = x + (dx + wb * b_dx + wc * c_dx)
                    map_y[y, x] = y + (dy + wb * b_dy + wc * c_dy)
    # Where the contour of a turned face bends, what is around it may part from it by a pixel.
    for y in range(1, height - 1):
        first, last = min(spans[y - 1, 0], spans[y, 0]), max(spans[y - 1, 1], spans[y, 1])
        for x in range(max(first, 1), min(last, width - 1)):
            if buffer[y, x] > UNDRAWN:
                across = max(buffer[y, x - 1], buffer[y, x + 1]) < UNDRAWN
                if across or max(buffer[y - 1, x], buffer[y + 1, x]) < UNDRAWN:
                    i, j = (y, x - 1) if across else (y - 1, x)
                    buffer[y, x] = buffer[i, j]
                    map_x[y, x] = map_x[i, j] + (x - j)
                    map_y[y, x] = map_y[i, j] + (y - i)
                    spans[y, 0], spans[y, 1] = min(spans[y, 0], x), max(spans[y, 1], x + 1)
