"""Which part of a face its photo shows."""

import cv2
import numpy as np
import pytest
from scipy.spatial import Delaunay

from talking_face.face.landmarks import FACE_OVAL, N_MESH
from talking_face.face.model import Pose, load_face_model, rotation_matrix
from talking_face.picture.contour import drawn_together, facing, shown_part, unrolled
from talking_face.picture.mesh import FaceMesh, border_edges, draw_map, edges_of, face_mesh

UNIT = 60.0  # pixels between the eyes
SIZE = (220, 220)
NOSE = [4, 5, 195]  # tip and lower bridge


@pytest.fixture(scope="module")
def mesh() -> FaceMesh:
    return face_mesh(load_face_model().triangles)


def posed(mesh: FaceMesh, yaw: float, pitch: float = 0.0) -> np.ndarray:
    """The mean face, turned, refined, pixels."""
    pose = Pose(rotation_matrix(np.array([yaw, pitch, 0])), np.array(UNIT), np.array([110, 130, 0]))
    points = pose.project(load_face_model().mean)[:N_MESH].astype(np.float32)
    return np.asarray(mesh.refinement @ points, dtype=np.float32)


def area(polygon: np.ndarray) -> float:
    return float(cv2.contourArea(np.ascontiguousarray(polygon[:, :2], dtype=np.float32)))


@pytest.mark.parametrize("flip", [False, True])
def test_a_ball_faces_the_camera_as_far_as_its_points_are_near(flip: bool) -> None:
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 4000))
    x, y = x[np.hypot(x, y) < 0.95], y[np.hypot(x, y) < 0.95]
    depth = -np.sqrt(1 - x**2 - y**2)
    triangles = Delaunay(np.stack([x, y], axis=1)).simplices
    ball = np.stack([x, y, depth], axis=1) * 50
    seen = facing(ball, triangles[:, ::-1] if flip else triangles)
    inside = np.hypot(x, y) < 0.8
    assert np.abs(seen + depth)[inside].max() < 0.06


@pytest.mark.parametrize("yaw", [-36.0, -20.0, 0.0, 12.0, 30.0])
@pytest.mark.parametrize("pitch", [-15.0, 0.0, 15.0])
def test_what_is_shown_is_one_piece_without_a_fold_at_its_border(
    mesh: FaceMesh, yaw: float, pitch: float
) -> None:
    face = posed(mesh, yaw, pitch)
    shown = shown_part(face, mesh)
    # A disc with the three holes: its border is the contour and theirs.
    points, edges = (
        np.unique(shown.triangles),
        np.unique(np.sort(edges_of(shown.triangles)), axis=0),
    )
    assert len(points) - len(edges) + len(shown.triangles) == 1 - 3
    holes = sum(len(hole) for hole in (mesh.mouth, *mesh.eyes))
    assert len(border_edges(shown.triangles)) == len(shown.contour) + holes
    # Nothing of it lies outside of the contour, but for the few pixels of its own steps.
    drawn = np.zeros(SIZE, dtype=np.uint8)
    cv2.fillPoly(drawn, [np.rint(face[shown.contour, :2]).astype(np.int32)], (1,))
    x, y = np.rint(face[points, :2]).astype(int).T
    assert (cv2.dilate(drawn, np.ones((3, 3)))[y, x] > 0).mean() > 0.995


def test_a_frontal_face_is_shown_but_for_its_flattest_rim(mesh: FaceMesh) -> None:
    face = posed(mesh, 0.0)
    shown = shown_part(face, mesh)
    assert area(face[shown.contour]) > 0.85 * area(face[mesh.outline])


@pytest.mark.parametrize("yaw", [-30.0, 30.0])
def test_the_contour_of_a_turned_face_is_its_far_cheek(mesh: FaceMesh, yaw: float) -> None:
    face = posed(mesh, yaw)
    far = face[:, 0] * np.sign(yaw)  # the larger, the nearer to the far side
    contour = shown_part(face, mesh).contour
    assert far.max() - far[contour].max() < 0.05 * UNIT
    hidden = [i for i in FACE_OVAL if far[i] > np.median(far)]
    assert np.isin(hidden, contour).mean() < 0.5
    assert np.isin([1, 152], shown_part(face, mesh).triangles).all()


@pytest.mark.parametrize("yaw", [-30.0, -22.0, 22.0, 30.0])
def test_a_nose_that_turns_back_hides_no_second_nose(mesh: FaceMesh, yaw: float) -> None:
    photo, back = posed(mesh, yaw), posed(mesh, yaw - np.sign(yaw) * 12)
    rows = photo[NOSE, 1]

    def folded(places: np.ndarray) -> float:
        maps = [np.full(SIZE, np.nan, dtype=np.float32) for _ in range(2)]
        plane, depth = (np.ascontiguousarray(part) for part in (back[:, :2], back[:, 2]))
        nearest = np.full(SIZE, np.inf, dtype=np.float32)
        draw_map(plane, depth, np.ascontiguousarray(places), mesh.triangles, *maps, nearest)
        middle = back[4, 0]
        beside = slice(*sorted((round(middle), round(middle + np.sign(yaw) * 0.35 * UNIT))))
        steps = np.diff(maps[0][round(rows.min()) : round(rows.max()), beside], axis=1)
        return float(-steps[steps < 0].sum())  # pixels of the photo that are shown again

    assert folded(photo[:, :2]) > 3
    assert folded(drawn_together(photo, mesh, UNIT)) < 0.3 * folded(photo[:, :2])


def test_what_the_photo_shows_of_a_face_stays_in_place(mesh: FaceMesh) -> None:
    face = posed(mesh, 25.0)
    moved = np.abs(drawn_together(face, mesh, UNIT) - face[:, :2]).max(1)
    straight = facing(face, mesh.triangles) > 0.6
    near = face[:, 0] < face[4, 0]  # the side that nothing hides
    assert moved[straight & near].max() == 0
    assert 0.05 * UNIT < moved.max() < UNIT


def test_a_lip_that_hides_what_is_under_it_is_not_shown_twice(mesh: FaceMesh) -> None:
    """In the photo the skin under the lower lip lies behind it; then it lies below."""
    unit, size = 200.0, (500, 500)
    pose = Pose(np.eye(3), np.array(unit), np.array([250, 250, 0]))
    after = load_face_model().mean
    under = np.exp(-((np.linalg.norm(after[:, :2] - after[18, :2], axis=1) / 0.08) ** 2))
    under *= after[:, 1] > after[17, 1] + 0.005
    before = after + under[:, None] * np.array([0, -0.14, 0.1])
    photo, frame = (
        np.asarray(mesh.refinement @ pose.project(shape)[:N_MESH].astype(np.float32))
        for shape in (before, after)
    )

    def folded(places: np.ndarray) -> float:
        maps = [np.full(size, np.nan, dtype=np.float32) for _ in range(2)]
        plane, depth = (np.ascontiguousarray(part) for part in (frame[:, :2], frame[:, 2]))
        nearest = np.full(size, np.inf, dtype=np.float32)
        draw_map(plane, depth, np.ascontiguousarray(places), mesh.triangles, *maps, nearest)
        (x, lip), (_, chin) = frame[17, :2], frame[152, :2]
        steps = np.diff(
            maps[1][round(lip - 10) : round(chin), round(x - 12) : round(x + 13)], axis=0
        )
        return float(-steps[steps < 0].sum())  # pixels of the photo that are shown again

    points, drawn_from = unrolled(photo, mesh, unit)
    places = photo[:, :2].copy()
    places[points] = drawn_from
    assert folded(photo[:, :2]) > 50
    assert folded(places) < 0.3 * folded(photo[:, :2])
    assert len(unrolled(frame, mesh, unit)[0]) == 0  # nothing changes where nothing is hidden
