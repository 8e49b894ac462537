"""Where a head's face ends, and the colours that its relief goes on in."""

import cv2
import numpy as np
import pytest
from scipy.spatial import Delaunay

from talking_face import load_animator
from talking_face.face.landmarks import N_MESH
from talking_face.face.model import Pose, load_face_model, rotation_matrix
from talking_face.head import head as heads
from talking_face.head.atlas import face_picture, unrolled
from talking_face.head.hidden import hidden_side
from talking_face.head.looks import (
    _without_ears,
    back_picture,
    background_of,
    relief_pictures,
)
from talking_face.head.patch import Surface, facing_front
from talking_face.head.rim import cut_face, split
from talking_face.picture.contour import facing
from talking_face.picture.inpaint import continued
from talking_face.picture.mesh import FaceMesh, face_mesh

UNIT = 100.0
ROUND = np.linspace(0, 2 * np.pi, 96, endpoint=False)
CIRCLE = np.stack([np.cos(ROUND), np.sin(ROUND)], axis=1)
PURPLE, HAIR, SKIN = (180, 60, 250), (40, 30, 20), (200, 150, 120)
STRAIGHT = Pose(np.eye(3), np.asarray(UNIT), np.array([200, 200.0, 0]))


@pytest.fixture(scope="module")
def mesh() -> FaceMesh:
    return face_mesh(load_face_model().triangles, heads.REFINEMENTS)


def posed(mesh: FaceMesh, yaw: float) -> np.ndarray:
    """The mean face, turned, refined, pixels."""
    pose = Pose(rotation_matrix(np.array([yaw, 0, 0])), np.array(UNIT), np.array([200, 200.0, 0]))
    return np.asarray(mesh.refinement @ pose.project(load_face_model().mean)[:N_MESH])


def mean_of(mesh: FaceMesh) -> np.ndarray:
    return np.asarray(mesh.refinement @ load_face_model().mean[:N_MESH])


def areas(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    return np.abs(np.cross(b - a, c - a)) / 2


def test_triangles_are_cut_along_a_line_and_none_is_lost() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    triangles = Delaunay(points).simplices.astype(np.int32)
    rows, above, below = split(triangles, points[:, 0] + 0.1)
    cut = np.asarray(rows @ points)
    assert areas(cut, above).sum() + areas(cut, below).sum() == pytest.approx(
        areas(points, triangles).sum(), rel=1e-6
    )
    # Only points that the line nearly goes through lie on the wrong side of it.
    assert cut[above, 0].min() > -0.25
    assert cut[below, 0].max() < 0.05
    assert np.mean(np.abs(cut[len(points) :, 0] + 0.1) < 1e-6) == 1


@pytest.mark.parametrize("yaw", [-4.0, 0.0, 4.0])
def test_a_face_ends_in_a_smooth_line(mesh: FaceMesh, yaw: float) -> None:
    """Neighbours on it are about as deep: whole triangles would leave teeth, seen from aside."""
    face = posed(mesh, yaw)
    cut = cut_face(face, mesh)
    points = np.asarray(cut.rows @ face)
    line = points[cut.contour]
    bends = np.diff(line[:, 2], 2, append=line[:2, 2]) / UNIT
    assert np.abs(bends).max() < 0.1
    seen = facing(points, np.concatenate([cut.kept, cut.left]))
    assert seen[cut.contour].min() > -0.2


@pytest.mark.parametrize("wide", [0, 3])
def test_no_background_shows_at_the_silhouette(mesh: FaceMesh, wide: int) -> None:
    """Neither where it is mixed with hair, nor where the matte takes it for hair, pixels."""
    row, column = np.mgrid[:400, :400]
    away = 150 - np.hypot(row - 200, column - 200)
    image = np.where((away > 0)[..., None], np.uint8(HAIR), np.uint8(PURPLE))
    face = posed(mesh, 0)
    alpha = np.clip(away + wide + 0.5, 0, 1).astype(np.float32)
    outline = 200 + (150 + wide) * CIRCLE
    looks = relief_pictures(
        image, np.zeros(image.shape), alpha, face, mesh.outline, outline, STRAIGHT
    )
    for look in looks:
        inside = away > -wide
        assert np.abs(look[inside] - np.array(HAIR, dtype=float)).max() < 12


@pytest.mark.slow
def test_a_guessed_background_is_out_of_focus(portraits) -> None:
    """Where it was hidden deeply; so that no seam is seen between what it is put together from."""
    animator = load_animator()
    photo = next(one for one in portraits if one.stem == "woman_orange_shirt")
    plate = animator.renderer(animator.fit(photo)).plate
    height, width = plate.image.shape[:2]
    inside = np.s_[plate.margin : plate.margin + height, plate.margin : plate.margin + width]
    hidden = plate.person[inside] > 0
    sharp, drawn = continued(plate.image, hidden, plate.background), background_of(plate)
    deep = cv2.erode(hidden.astype(np.uint8), np.ones((61, 61), np.uint8)) > 0

    def steps(picture: np.ndarray) -> float:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(float)
        return float(np.abs(np.diff(grey, axis=1))[deep[:, 1:]].max())

    assert steps(drawn) < 0.4 * steps(sharp)
    away = cv2.dilate(hidden.astype(np.uint8), np.ones((31, 31), np.uint8)) == 0
    assert np.array_equal(drawn[away], plate.image[away])


def test_what_is_behind_is_of_the_colour_beside_it() -> None:
    """A red collar below doesn't run up behind the neck."""
    front = np.full((200, 200, 3), SKIN, dtype=np.uint8)
    front[150:] = PURPLE
    known = np.zeros((200, 200), dtype=bool)
    known[:150, 20:30], known[150:, 90:110] = True, True
    back = back_picture(front, known, 4.0)
    assert np.abs(back[:128, 30:75] - np.array(SKIN, dtype=float)).max() < 12


def test_behind_ears_is_what_is_above_them_on_their_side() -> None:
    look = np.full((400, 400, 3), 30, dtype=np.uint8)
    look[:, :200] = 60
    look[:110] = 250  # a bald crown
    face, rim = np.zeros((2, 400, 400), dtype=bool)
    face[120:330, 140:260] = True
    look[face] = 200
    look[180:240, 270:290] = 195
    look[190:230, 110:130] = 195
    rim[10:330, 270:290] = rim[10:330, 110:130] = True
    pose = Pose(np.eye(3), np.asarray(UNIT), np.array([200, 295.0, 85.0]))
    back = _without_ears(look, face, rim, pose)
    assert (back[180:240, 270:290] == 30).all()
    assert (back[190:230, 110:130] == 60).all()
    assert np.array_equal(back[:170], look[:170])
    assert np.array_equal(back[face], look[face])


def test_a_light_on_one_side_of_a_bald_head_is_not_its_hair() -> None:
    scalp, light, white = (190, 136, 119), (240, 240, 245), (224, 223, 230)
    face, rim = np.zeros((2, 400, 400), dtype=bool)
    face[120:330, 140:260] = True
    rim[10:330, 270:290] = rim[10:330, 110:130] = True
    pose = Pose(np.eye(3), np.asarray(UNIT), np.array([200, 295.0, 85.0]))

    def behind(left: tuple[int, int, int]) -> np.ndarray:
        look = np.full((400, 400, 3), left, dtype=np.uint8)
        look[:, 200:] = light
        look[face] = look[180:240, 270:290] = SKIN
        return _without_ears(look, face, rim, pose)[180:240, 270:290]

    assert (behind(scalp) == scalp).all()
    assert (behind(white) == light).all()


def test_a_forehead_goes_on_in_its_own_colours(mesh: FaceMesh) -> None:
    """Also where the photo shows it from the side, if that is what is around it."""
    places = unrolled(mean_of(mesh))
    face = posed(mesh, 35)
    image = np.full((400, 400, 3), 90, dtype=np.uint8)
    image[:, int(face[:, 0].mean()) :] = 200
    triangles = facing_front(face, mesh.triangles)
    seen = facing(face, triangles)
    weak = (seen > 0.06) & (seen < 0.12) & (mean_of(mesh)[:, 1] < -0.4)
    assert weak.any()
    corner = np.flatnonzero(weak)[:1]
    at = np.rint(places[corner] * 1023).astype(int)[0]

    def shown(joined: np.ndarray) -> np.ndarray:
        tile = face_picture(image, places, face, face[:, :2], triangles, joined)
        return tile[at[1], at[0]].astype(int)

    own = image[tuple(np.rint(face[corner, 1::-1]).astype(int)[0])].astype(int)
    assert np.abs(shown(places[corner]) - own).max() < 12
    assert np.abs(shown(places[:0]) - own).max() > 30


def test_hair_beside_a_cheek_isn_t_on_it(mesh: FaceMesh) -> None:
    """Where the mesh is wider than the face, the photo shows hair or ears; on both sides alike."""
    places, face = unrolled(mean_of(mesh)), posed(mesh, 0)
    image = np.full((400, 400, 3), SKIN, dtype=np.uint8)
    middle = face[:, 0].mean()
    wide = 0.94 * np.abs(face[:, 0] - middle).max()
    image[:, np.abs(np.arange(400) - middle) > wide] = HAIR
    triangles = facing_front(face, mesh.triangles)
    tile = face_picture(image, places, face, face[:, :2], triangles, places[:0])
    shown = facing(face, triangles) > 0.02
    column, row = np.rint(face[shown, :2]).astype(int).T
    at = np.rint(places[shown] * 1023).astype(int)

    def hair(colours: np.ndarray) -> int:
        return int((np.abs(colours - np.array(SKIN, dtype=float)).max(1) > 25).sum())

    assert hair(image[row, column]) > 40
    assert hair(tile[at[:, 1], at[:, 0]]) < 0.3 * hair(image[row, column])


def test_a_hidden_side_closes_onto_the_face() -> None:
    """What is mirrored begins on the face's far edge, wherever the near one's mirror image is."""
    pose = Pose(rotation_matrix(np.array([25.0, 0, 0])), np.asarray(UNIT), np.array([200, 200, 0]))
    x, y = np.meshgrid(np.linspace(-0.9, -0.5, 9), np.linspace(-1, 0.4, 15))
    near = np.stack([x, y, x**2], axis=-1)
    grid = np.concatenate([near[:, -1], near[:, :-1].reshape(-1, 3)])  # the face's edge first
    number = np.concatenate([15 + np.arange(15 * 8).reshape(15, 8), np.arange(15)[:, None]], axis=1)
    corners = number[:-1, :-1], number[:-1, 1:], number[1:, 1:]
    triangles = np.stack([corner.ravel() for corner in corners], axis=1).astype(np.int32)
    front = Surface(pose.project(grid), triangles)
    far = near[:, -1] * (-1.15, 1, 1.3)
    skin = Surface(pose.project(far), np.zeros((0, 3), np.int32))
    side, shows = hidden_side(front, skin, 15, pose, 200 + 190 * CIRCLE, near=-1)
    edge = np.abs(shows[:, None] - front.points[None, :15, :2]).max(2).min(1) < 1e-6
    assert edge.sum() >= 14
    apart = np.linalg.norm(side.points[edge][:, None] - skin.points[None], axis=2).min(1)
    assert apart.max() < 1e-6
