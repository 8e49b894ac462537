"""A fitted face as a head that can be turned: one mesh with one texture, at rest.

The face model's own mesh, eyes and mouth inside, and around them the relief of everything else. All
that moves it are the 478 landmarks' displacements, spread over its points, and the head's pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from talking_face.arrays import Array, UInt8
from talking_face.curves import smoothstep
from talking_face.face.landmarks import FACE_OVAL, INNER_LIP_LOWER, N_LANDMARKS
from talking_face.face.model import Pose, rotation_angles
from talking_face.head.atlas import assemble, face_picture, unrolled
from talking_face.head.hidden import hidden_side, light_of
from talking_face.head.inside import eye_patch, mouth_patches
from talking_face.head.looks import background_of, relief_pictures
from talking_face.head.patch import Patch, Surface, facing_front
from talking_face.head.relief import OUTLINE, relief_of, silhouette_of
from talking_face.head.rim import cut_face
from talking_face.motion import Motion
from talking_face.picture.contour import drawn_together
from talking_face.picture.matte import cut_out
from talking_face.picture.mesh import face_mesh
from talking_face.picture.renderer import Renderer

REFINEMENTS = 1  # subdivisions of the face mesh: a quarter of the frames' points is enough
CLOSING = (0.0, 0.35, 0.7, 1.0)  # shares of closing lids that eyeballs are kept behind
HAIR, NECK = (0.9, 1.7), (1.25, 2.2)  # canonical: away from the face, and down, where it stays
DRAGGED, NEIGHBOURS = 0.35, 8  # canonical units over which the face drags at what is around it
TURNED = 8.0  # degrees of yaw, from which a face is taken to hide a side of it
BROW = -0.45  # canonical y above which the relief goes on as the face ends: with forehead
ALONE = (
    "The person can't be told from the background, so the head in 3-D is the face alone, without "
    "hair and shoulders. Use a photo with a plainer background."
)
CUT = (
    "The photo cuts the face off, so its head in 3-D ends there, too. Use a photo that shows all "
    "of it."
)


@dataclass(frozen=True, eq=False)
class Head:
    """A head, n points.

    Attributes:
        points: (n, 3) float32, at rest, canonical (the head looks straight ahead).
        uv: (n, 2) float32, texture coordinates from the atlas's left top corner.
        face: (m, 3) int32 triangles of face, eyes and mouth.
        relief: (k, 3) int32 triangles of all else; none where `notes` says so.
        follow: (n,) float32, how far each point follows the head, 0..1.
        spread: (n, 478), how far each point follows each landmark's displacement.
        closing: (2, 478, 3) displacement of the landmarks that closes either eye.
        rest: (478, 3) the landmarks at rest, canonical.
        atlas: (2048, 2048, 3) uint8 RGB; see `talking_face.head.atlas`.
        pose: of the head in the photo's crop.
        crop: side of that crop, pixels.
        background: (h, w, 3) uint8 RGB, the crop without the person; None where it isn't known.
        notes: sentences for people about what is missing.
    """

    points: Array
    uv: Array
    face: Array
    relief: Array
    follow: Array
    spread: sparse.csr_matrix
    closing: Array
    rest: Array
    atlas: UInt8
    pose: Pose
    crop: int
    background: UInt8 | None
    notes: tuple[str, ...] = ()


def resting(frames: int = 1) -> Motion:
    """A motion that only brings the photo's own expression to rest."""
    still = Motion.still(frames)
    return still.replace(rest=np.ones_like(still.rest))


def build_head(renderer: Renderer) -> Head:
    """The head of a renderer's face; the same for the same photo.

    Args:
        renderer: in the "crop" framing, with the photo's own background.
    """
    motion, plate, pose = resting(), renderer.plate, renderer.plate.pose
    rest, image = renderer.deform(motion, 0), renderer.frame(motion, 0)
    mesh = face_mesh(renderer.model.triangles, REFINEMENTS)
    refinement = mesh.refinement
    dense = np.asarray(refinement @ rest[: refinement.shape[1]])
    here = pose.project(dense)
    unit = float(pose.scale)

    mean = refinement @ _symmetric(renderer.model.mean)[: refinement.shape[1]]
    places = unrolled(np.asarray(mean))
    drawn_from = drawn_together(here, mesh, unit)
    triangles = facing_front(here, mesh.triangles)
    cut, yaw = cut_face(here, mesh), float(rotation_angles(pose.rotation)[0])
    far = (here[:, 0] - float(here[:, 0].mean())) * np.sign(yaw) > 0
    far &= abs(yaw) > TURNED
    joined = np.asarray(cut.rows @ places)[cut.contour[(cut.rows @ dense)[cut.contour, 1] < BROW]]
    joined = joined[: len(joined) * (plate.background is not None)]
    picture = face_picture(image, places, here, drawn_from, triangles, joined)
    patches = {"face": Patch(dense, _wide(refinement), triangles, places, picture)}
    inside = mouth_patches(renderer.mouth, rest, mesh.mouth, refinement)
    patches |= dict(zip(("upper", "lower", "cavity")[-len(inside) :], inside, strict=True))
    closing = np.stack([renderer.eyes.close(np.eye(2)[eye]) for eye in (0, 1)])
    for eye, closed in enumerate(closing):
        skins = [
            Surface(refinement @ (rest + share * closed)[: refinement.shape[1]], mesh.triangles)
            for share in CLOSING
        ]
        patches[f"eye {eye}"] = eye_patch(image, pose, rest, dense[mesh.eyes[eye]], skins, eye)

    notes: list[str] = []
    size = np.array(image.shape[1::-1])
    oval = renderer.face.pose.project(renderer.face.shape)[list(FACE_OVAL), :2]
    photo = np.array(renderer.face.photo.shape[1::-1])
    if ((oval < -0.02 * photo) | (oval > 1.02 * photo)).any():
        notes.append(CUT)
    follow = {name: np.ones(len(patch.points)) for name, patch in patches.items()}
    pieces: dict[str, tuple[Array, Array, Array, Array]] = {}
    if plate.background is None:
        notes.append(ALONE)
    else:
        alpha, own = cut_out(plate.image, pose.project(renderer.face.shape)[:, :2], unit)
        outline = silhouette_of(alpha, OUTLINE * unit, here[:, :2].mean(0))
        number, here = cut.contour, np.asarray(cut.rows @ here)
        places, spread = cut.rows @ places, (cut.rows @ patches["face"].spread).tocsr()
        contour, of_contour = here[number], spread[number]
        far = np.asarray(cut.rows @ far) > 0
        limb = ~np.isin(number, mesh.outline) & far[number]
        # On the near side the relief goes on where the face ends; both there would run together.
        there = np.concatenate([cut.kept, cut.left[far[cut.left].all(1)]])
        triangles = facing_front(here, there)
        patches["face"] = Patch(pose.unproject(here), spread, triangles, places, picture)
        follow["face"] = np.ones(len(here))
        hidden = np.setdiff1d(mesh.outline, number)
        behind = here[hidden[far[hidden]]]
        around = relief_of(contour, limb, behind, outline, size, unit)
        looks = relief_pictures(image, own - plate.image, alpha, here, mesh.outline, outline, pose)
        pieces = {
            "front": (around.front, around.front[:, :2], around.front_triangles, looks[0]),
            "back": (around.back, around.back_places, around.back_triangles, looks[1]),
        }
        if abs(yaw) > TURNED:
            near = -1 if yaw > 0 else 1
            front, skin = Surface(around.front, around.front_triangles), Surface(here, triangles)
            side, shows = hidden_side(front, skin, len(contour), pose, outline, near)
            corner = np.maximum(shows.min(0), 0).astype(int)
            end = shows.max(0).astype(int) + 2
            tile = looks[0][corner[1] : end[1], corner[0] : end[0]] * light_of(picture, near)
            lit = np.clip(np.rint(tile), 0, 255).astype(np.uint8)
            pieces["side"] = (side.points, shows - corner, side.triangles, lit)
        for name, (points, shown, corners, look) in pieces.items():
            away, canonical = _outside(points, contour) / unit, pose.unproject(points)
            drag = _drag(points, contour, away, unit) @ of_contour
            if name == "front":
                drag = sparse.vstack([of_contour, drag[len(contour) :]])
            flat = (shown + 0.5) / look.shape[1::-1]
            patches[name] = Patch(canonical, drag, corners, flat, look)
            follow[name] = (1 - smoothstep(away, *HAIR)) * (1 - smoothstep(canonical[:, 1], *NECK))
    atlas, uv = assemble(patches)
    start = np.cumsum([0, *(len(patch.points) for patch in patches.values())])
    numbered = [
        patch.triangles + first for patch, first in zip(patches.values(), start[:-1], strict=True)
    ]
    inner = len(numbered) - len(pieces)
    nothing = np.zeros((0, 3), dtype=np.int32)
    return Head(
        points=np.concatenate([p.points for p in patches.values()]).astype(np.float32),
        uv=np.concatenate([uv[name] for name in patches]),
        face=np.concatenate(numbered[:inner]).astype(np.int32),
        relief=np.concatenate([nothing, *numbered[inner:]]).astype(np.int32),
        follow=np.concatenate([follow[name] for name in patches]).astype(np.float32),
        spread=sparse.vstack([patch.spread for patch in patches.values()]).tocsr(),
        closing=closing,
        rest=rest,
        atlas=atlas,
        pose=pose,
        crop=image.shape[0],
        background=background_of(plate),
        notes=tuple(notes),
    )


def _symmetric(mean: Array) -> Array:
    """The mean face (478, 3) made the same on both sides."""
    partner = mirror_of(mean)
    return np.asarray((mean + mean[partner] * (-1, 1, 1)) / 2)


def mirror_of(mean: Array) -> Array:
    """(478,) of each landmark the one on the other side of the face.

    Args:
        mean: (478, 3) canonical.
    """
    apart = mean.copy()
    apart[list(INNER_LIP_LOWER), 1] += 0.02  # closed lips are in the same places
    return np.asarray(cKDTree(apart).query(apart * (-1, 1, 1))[1])


def _wide(refinement: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows over the mesh's 468 points as rows over all 478 landmarks."""
    irises = sparse.csr_matrix((refinement.shape[0], N_LANDMARKS - refinement.shape[1]))
    return sparse.hstack([refinement, irises]).tocsr().astype(np.float32)


def _outside(points: Array, contour: Array) -> Array:
    """How far points (n, 3) lie outside a contour (k, 3) in the picture, pixels; 0 within."""
    loop = contour[:, None, :2].astype(np.float32)
    away = [-cv2.pointPolygonTest(loop, (float(x), float(y)), True) for x, y in points[:, :2]]
    return np.maximum(away, 0)


def _drag(points: Array, contour: Array, away: Array, unit: float) -> sparse.csr_matrix:
    """(n, k) how far points go along with the points of the face's contour near them."""
    distance, nearest = cKDTree(contour).query(points, k=NEIGHBOURS)
    weights = 1 / (distance + 0.5)
    through = distance.min(1) / unit  # also from front to back
    weights *= (np.exp(-((np.maximum(away, through) / DRAGGED) ** 2)) / weights.sum(1))[:, None]
    rows = np.repeat(np.arange(len(points)), NEIGHBOURS)
    shape = (len(points), len(contour))
    entries = (weights.ravel().astype(np.float32), (rows, nearest.ravel()))
    return sparse.csr_matrix(entries, shape=shape)
