"""Refining meshes and drawing them as maps."""

import numpy as np
import pytest

from talking_face.face.landmarks import N_MESH, mesh_triangles
from talking_face.picture.mesh import border_loops, draw_map, face_mesh, refine, strip, tears


def test_face_mesh_is_a_surface_with_three_holes() -> None:
    triangles = mesh_triangles()
    edges = {
        tuple(sorted(pair))
        for t in triangles.tolist()
        for pair in zip(t, t[1:] + t[:1], strict=True)
    }
    assert N_MESH - len(edges) + len(triangles) == 1 - 3  # Euler: a disc less eyes and mouth
    assert [len(loop) for loop in border_loops(triangles)] == [36, 20, 16, 16]


def test_refinement_keeps_points_and_reproduces_planes() -> None:
    triangles = mesh_triangles()
    finer, matrix = refine(triangles, N_MESH)
    assert len(finer) == 4 * len(triangles)
    points = np.random.default_rng(0).normal(size=(N_MESH, 2))
    assert np.allclose((matrix @ points)[:N_MESH], points)
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-6)


def _draw(points: np.ndarray, source: np.ndarray, depth: np.ndarray, triangles: np.ndarray):
    y, x = np.mgrid[:40, :40].astype(np.float32)
    map_x, map_y = x.copy(), y.copy()
    draw_map(
        points.astype(np.float32),
        depth.astype(np.float32),
        source.astype(np.float32),
        triangles.astype(np.int32),
        map_x,
        map_y,
        np.full((40, 40), np.inf, dtype=np.float32),
    )
    return map_x - x, map_y - y


def test_unmoved_mesh_is_the_identity() -> None:
    points = np.array([[2.3, 3.1], [37.7, 5.2], [18.4, 36.9]])
    dx, dy = _draw(points, points, np.zeros(3), np.array([[0, 1, 2]]))
    assert np.abs(dx).max() < 1e-5
    assert np.abs(dy).max() < 1e-5


def test_shifted_mesh_is_the_shift_inside_and_nothing_outside() -> None:
    source = np.array([[5.0, 5.0], [30.0, 5.0], [5.0, 30.0]])
    dx, dy = _draw(source + np.array([3, -2]), source, np.zeros(3), np.array([[0, 1, 2]]))
    assert np.isclose(dx[8, 12], -3, atol=1e-5)
    assert np.isclose(dy[8, 12], 2, atol=1e-5)
    assert dx[39, 39] == 0


def test_nearer_surface_wins() -> None:
    square = np.array([[0.0, 0], [39, 0], [39, 39], [0, 39]])
    points = np.concatenate([square, square])
    source = np.concatenate([square + 1, square + 2])
    triangles = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    dx, _ = _draw(points, source, np.repeat([5.0, 1.0], 4), triangles)
    assert np.isclose(dx[20, 20], 2)
    dx, _ = _draw(points, source, np.repeat([1.0, 5.0], 4), triangles)
    assert np.isclose(dx[20, 20], 1)


def test_a_map_is_torn_where_one_surface_ends_before_another() -> None:
    map_y, map_x = np.mgrid[:40, :40].astype(np.float32)
    depth = np.where(map_x < 20, np.float32(5), np.float32(25))
    surface = np.ones((44, 44), dtype=np.float32)
    spans = np.tile(np.int32([0, 40]), (40, 1))
    assert not len(tears(map_x, map_y, depth, spans, surface, 2)[0])
    stretched = np.ascontiguousarray(map_x * 1.8)
    assert not len(tears(stretched, map_y, depth, spans, surface, 2)[0])
    map_x[10:30, 20:] -= 9
    rows, columns = tears(map_x, map_y, depth, spans, surface, 2)
    assert set(columns.tolist()) == {19, 20}
    assert set(rows.tolist()) == set(range(10, 30))
    # Lids that close are one surface.
    assert not len(tears(map_x, map_y, np.zeros_like(depth), spans, surface, 2)[0])
    assert not len(tears(map_x, map_y, depth, spans, 0 * surface, 2)[0])
    # What ends before nothing at all isn't torn, be it beside what is drawn or within.
    nothing = np.where(map_x > 15, np.float32(np.inf), depth)
    assert not len(tears(map_x, map_y, nothing, spans, surface, 2)[0])
    assert not len(tears(map_x, map_y, depth, np.int32([0, 18]) + 0 * spans, surface, 2)[0])


def test_drawing_tells_between_which_columns_it_drew() -> None:
    places = np.float32([[5, 5], [30, 5], [5, 30]])
    y, x = np.mgrid[:40, :40].astype(np.float32)
    depth = np.full((40, 40), np.inf, dtype=np.float32)
    triangles = np.int32([[0, 1, 2]])
    spans = draw_map(places, np.zeros(3, np.float32), places, triangles, x, y, depth)
    assert spans[5].tolist() == [5, 31]
    assert spans[20].tolist() == [5, 16]
    assert (spans[31:, 1] == 0).all()
    for row, (first, end) in enumerate(spans):
        assert np.isinf(depth[row, :first]).all()
        assert np.isinf(depth[row, end:]).all()


def test_strip_spans_the_loop() -> None:
    loop = np.array([4, 7, 1, 0, 9, 3, 2, 5, 8, 6])
    triangles = strip(loop)
    assert len(triangles) == 8
    assert set(triangles.ravel()) == set(loop)
    edges = [frozenset(pair) for t in triangles for pair in zip(t, np.roll(t, 1), strict=True)]
    sides = [frozenset(pair) for pair in zip(loop, np.roll(loop, 1), strict=True)]
    assert {edge for edge in edges if edges.count(edge) == 1} == set(sides)


def test_the_refined_face_is_made_once_and_has_its_borders_named() -> None:
    mesh = face_mesh(mesh_triangles())
    assert face_mesh(mesh_triangles().astype(np.int64)) is mesh
    assert {10, 152, 234, 454} <= set(mesh.outline.tolist())
    assert {78, 308, 13, 14} <= set(mesh.mouth.tolist())
    assert {33, 133} <= set(mesh.eyes[0].tolist())
    assert {263, 362} <= set(mesh.eyes[1].tolist())


def test_points_that_are_nowhere_leave_the_others_alone() -> None:
    """Motions come from anybody, and with them numbers that are none."""
    whole = np.array([[2.3, 3.1], [37.7, 5.2], [18.4, 36.9]])
    wild = [np.nan, np.inf, -np.inf, 1e30, -1e30, 1e-38]
    points = np.concatenate([whole, [(x, y) for x in wild for y in wild]])
    corners = np.random.default_rng(0).integers(3, len(points), (300, 3))
    depth = np.where(np.arange(len(points)) < 3, 0.0, 1.0)
    triangles = np.concatenate([[[0, 1, 2]], corners])
    dx, _ = _draw(points, points + np.array([2.0, 0.0]), depth, triangles)
    alone, _ = _draw(whole, whole + np.array([2.0, 0.0]), np.zeros(3), np.array([[0, 1, 2]]))
    assert (dx[alone > 0] == alone[alone > 0]).all()


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("width", [1, 3])
def test_a_crack_of_a_pixel_is_closed(width: int, upright: bool) -> None:
    """Two planes that part in the middle; what is wider is what is behind."""
    left = np.float32([[0, 0], [10, 0], [0, 20], [10, 20]])
    photo = np.concatenate([left, left + np.float32([10, 0])])
    moved = photo + np.repeat(np.float32([[-0.5, 0], [width - 0.5, 0]]), 4, axis=0)
    if upright:
        photo, moved = (np.ascontiguousarray(one[:, ::-1]) for one in (photo, moved))
    triangles = np.int32([[0, 1, 2], [1, 3, 2], [4, 5, 6], [5, 7, 6]])
    y, x = np.mgrid[:20, :20].astype(np.float32)
    depth = np.full((20, 20), np.inf, np.float32)
    draw_map(moved, np.zeros(8, np.float32), photo, triangles, x, y, depth)
    across, depth = (y.T, depth.T) if upright else (x, depth)
    assert np.isfinite(depth[1:-1, 1:10]).all()
    if width == 1:
        assert np.isfinite(depth[1:-1, 10]).all()
        np.testing.assert_allclose(across[1:-1, 10], 10.5, atol=1e-3)
    else:
        assert np.isinf(depth[:, 10:13]).all()
