"""What lies around the face: how far it follows the head, and how it is covered with triangles."""

import numpy as np
import pytest

from talking_face.face.landmarks import N_MESH
from talking_face.face.model import Pose, load_face_model, rotation_matrix
from talking_face.picture.mesh import FaceMesh, draw_map, face_mesh
from talking_face.picture.surroundings import Surroundings, surroundings_of

UNIT = 60.0  # pixels between the eyes
SIZE = (240, 220)
MARGIN = 30
HERE = Pose(np.eye(3), np.array(UNIT), np.array([110.0, 150.0, 0.0]))


@pytest.fixture(scope="module")
def mesh() -> FaceMesh:
    return face_mesh(load_face_model().triangles)


@pytest.fixture(scope="module")
def face(mesh: FaceMesh) -> np.ndarray:
    points = HERE.project(load_face_model().mean)[:N_MESH].astype(np.float32)
    return np.asarray(mesh.refinement @ points)


def posed(yaw: float, mesh: FaceMesh) -> tuple[Pose, np.ndarray]:
    """The mean face turned sideways, refined, pixels."""
    pose = Pose(rotation_matrix(np.array([yaw, 0.0, 0.0])), HERE.scale, HERE.origin)
    points = pose.project(load_face_model().mean)[:N_MESH].astype(np.float32)
    return pose, np.asarray(mesh.refinement @ points, dtype=np.float32)


def drawn(around: Surroundings, photo: np.ndarray, face: np.ndarray, pose: Pose) -> np.ndarray:
    """For each pixel of a frame, the place in the photo that it shows, (h, w, 2); NaN for none."""
    points = np.concatenate([face, around.move(pose, unpulled(around))]).astype(np.float32)
    source = np.concatenate([photo, around.source])[:, :2].astype(np.float32)
    maps = [np.full(SIZE, np.nan, dtype=np.float32) for _ in range(2)]
    plane, depth = (np.ascontiguousarray(part) for part in (points[:, :2], points[:, 2]))
    nearest = np.full(SIZE, np.inf, dtype=np.float32)
    draw_map(plane, depth, np.ascontiguousarray(source), around.triangles, *maps, nearest)
    return np.stack(maps, axis=-1)


def unpulled(around: Surroundings) -> np.ndarray:
    return np.zeros((len(around.contour), 3), dtype=np.float32)


def on_border(around: Surroundings) -> np.ndarray:
    x, y = around.source[:, :2].T
    return (x == 0) | (x == SIZE[1] - 1) | (y == 0) | (y == SIZE[0] - 1)


@pytest.mark.parametrize("margin", [MARGIN, None])
def test_nothing_moves_where_the_head_is_still(
    face: np.ndarray, mesh: FaceMesh, margin: int | None
) -> None:
    around = surroundings_of(face, HERE, mesh, SIZE, margin)
    np.testing.assert_allclose(around.move(HERE, unpulled(around)), around.source, atol=1e-4)


def test_what_is_near_the_face_turns_with_it_and_what_is_far_stays(
    face: np.ndarray, mesh: FaceMesh
) -> None:
    around = surroundings_of(face, HERE, mesh, SIZE, MARGIN)
    turned = Pose(rotation_matrix(np.array([0.0, 0.0, 8.0])), HERE.scale, HERE.origin)
    moved = np.linalg.norm((around.move(turned, unpulled(around)) - around.source)[:, :2], axis=1)
    wanted = np.linalg.norm((turned.project(around.canonical) - around.source)[:, :2], axis=1)
    away = np.linalg.norm(around.source[:, None, :2] - face[mesh.outline][None, :, :2], axis=2)
    near = (away.min(1) < 0.5 * UNIT) & (around.canonical[:, 1] < 1)
    far = (away.min(1) > 1.8 * UNIT) | (around.canonical[:, 1] > 2.4)
    assert near.any()
    assert far.any()
    np.testing.assert_allclose(moved[near], wanted[near], atol=1e-3)
    assert moved[far].max() < 1e-3


def test_one_layer_stays_at_the_border_of_the_window(face: np.ndarray, mesh: FaceMesh) -> None:
    around = surroundings_of(face, HERE, mesh, SIZE, None)
    shifted = Pose(HERE.rotation, HERE.scale, HERE.origin + np.array([15.0, 0, 0]))
    pull = np.full((len(around.contour), 3), 4.0, dtype=np.float32)
    moved = np.abs(around.move(shifted, pull) - around.source)[:, :2].max(1)
    assert on_border(around).sum() > 20
    assert moved[on_border(around)].max() < 1e-3
    assert moved.max() > 10


def test_a_chin_drags_what_is_next_to_it(face: np.ndarray, mesh: FaceMesh) -> None:
    around = surroundings_of(face, HERE, mesh, SIZE, MARGIN)
    chin = face[around.contour, 1] > face[mesh.outline, 1].max() - 0.3 * UNIT
    pull = np.where(chin[:, None], np.float32([0, 6, 0]), np.float32(0))
    moved = (around.move(HERE, pull) - around.source)[:, 1]
    above = around.source[:, 1] < face[mesh.outline, 1].min()
    assert 2 < moved.max() <= 6
    assert np.abs(moved[above]).max() < 0.01


@pytest.mark.parametrize("margin", [MARGIN, None])
def test_the_triangles_cover_the_window_once(
    face: np.ndarray, mesh: FaceMesh, margin: int | None
) -> None:
    around = surroundings_of(face, HERE, mesh, SIZE, margin)
    points = np.concatenate([face, around.source])[:, :2].astype(np.float64)
    a, b, c = (points[around.triangles[:, corner]] for corner in range(3))
    (ux, uy), (vx, vy) = (b - a).T, (c - a).T
    covered = np.abs(ux * vy - uy * vx).sum() / 2
    beyond = 2 * (margin or 0) - 1
    assert covered == pytest.approx((SIZE[0] + beyond) * (SIZE[1] + beyond), rel=0.02)


@pytest.mark.parametrize("margin", [MARGIN, None])
@pytest.mark.parametrize("yaw", [-33.0, -18.0, 0.0, 25.0])
@pytest.mark.parametrize("turn", [-15.0, 15.0])
def test_no_pixel_of_a_frame_is_left_out(
    mesh: FaceMesh, yaw: float, turn: float, margin: int | None
) -> None:
    pose, photo = posed(yaw, mesh)
    around = surroundings_of(photo, pose, mesh, SIZE, margin)
    assert np.isfinite(drawn(around, photo, *posed(yaw + turn, mesh)[::-1])).all()


@pytest.mark.parametrize("yaw", [-33.0, -25.0, -18.0, 18.0, 25.0, 33.0])
@pytest.mark.parametrize("turn", [6.0, 15.0])
def test_a_face_that_turns_back_shows_its_far_cheek_once(
    mesh: FaceMesh, yaw: float, turn: float
) -> None:
    pose, photo = posed(yaw, mesh)
    around = surroundings_of(photo, pose, mesh, SIZE, MARGIN)
    towards = yaw - np.sign(yaw) * turn
    shown = drawn(around, photo, *posed(towards, mesh)[::-1])[..., 0]
    x, y = photo[:, :2].T
    if yaw > 0:  # the far cheek is on the right: look at it from there
        x, shown = SIZE[1] - 1 - x, SIZE[1] - 1 - shown[:, ::-1]
    for row in range(round(photo[168, 1]), round(photo[152, 1]) - 8):  # from the eyes to the chin
        cheek = x[np.abs(y - row) < 4].min()
        inside = np.flatnonzero(shown[row] > cheek + 0.15 * UNIT)[0]
        assert np.diff(shown[row, : inside + 1]).min() > 0
