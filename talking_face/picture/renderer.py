"""Motion to frames: move the photo, then paint what the photo doesn't show.

The fitted mesh and a coarse mesh of everything around the face are deformed together; drawing them
gives, for every pixel of the frame, the place in the plate that it shows; one remap makes the
frame. What that can't show, the inside of the mouth and closed lids, is painted on top by
`talking_face.picture.mouth.painter` and `talking_face.picture.eyes`. A motion of zeros gives back
the plate bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy import sparse
from scipy.spatial import Delaunay, cKDTree

from talking_face.face.face import Face
from talking_face.face.landmarks import (
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    IRIS_CENTRE,
    IRIS_RING,
    N_MESH,
)
from talking_face.face.lips import LipContact, lip_gaps
from talking_face.face.model import EYEBALL_RADIUS, PIVOT, FaceModel, Pose, rotation_matrix
from talking_face.motion import Motion
from talking_face.options import Framing
from talking_face.picture.backdrop import replace_background
from talking_face.picture.brush import sample, smoothstep
from talking_face.picture.eyes import Eyes
from talking_face.picture.mesh import border_loops, draw_map, refine
from talking_face.picture.mouth.painter import Mouth
from talking_face.picture.plate import Plate, cut_plate

# The head follows a pose exactly up to these, and softly to a quarter more: further out, one photo
# has nothing left to show.
MAX_ROTATION = np.array([15.0, 10.0, 12.0])  # degrees of yaw, pitch, roll from the photo's pose
# A side of the face that the photo hides already can't be turned into view as far: for each degree
# that the photo looks away, this much less; but at least so many degrees.
HIDDEN, LEAST_YAW = 0.6, 5.0
MAX_SHIFT = np.array([0.25, 0.18, 0.1])  # canonical units, canonical units, log scale
COVERED = (0.003, 0.03)  # canonical units of lip motion over which lips cover their rim again
REFINEMENTS = 2  # subdivisions of the face mesh
SPACING = 0.025  # of the plate's side: distance of the points around the face
# Canonical units away from the face where following the head begins to fade, and ends: as one
# layer with the background, and as a layer of its own.
NEAR, HAIR = (0.35, 1.1), (0.9, 1.7)
PARTED = 1.5  # pixels of motion from which head and background are fully apart
LIP_RIM = 0.02  # canonical units: how wide the mixed rim of an open mouth's lips is
NECK = (1.3, 2.4)  # canonical y: where neck and hair begin to stay behind, and where they rest


def soft_limit(value: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """The value itself up to the limit, then bending towards a quarter more."""
    size = np.abs(value)
    over = np.maximum(size - limit, 0.0)
    return np.sign(value) * (np.minimum(size, limit) + limit / 4 * np.tanh(4 * over / limit))


@dataclass(frozen=True, eq=False)
class FaceMesh:
    """The refined topology, the same for every face."""

    triangles: np.ndarray  # (n, 3) int32 over the refined points
    refinement: sparse.csr_matrix  # (refined points, 468)
    outline: np.ndarray  # refined points along the face oval
    mouth: np.ndarray  # refined points along the inner lips
    eyes: tuple[np.ndarray, np.ndarray]  # refined points along the lids, image-left eye first


@dataclass(frozen=True, eq=False)
class Flow:
    """Where everything is in one frame, before any colour.

    Attributes:
        shape: (478, 3) the face, canonical.
        pose: of the head.
        points: (478, 3) landmarks in the window, pixels.
        dense: (n, 3) refined points in the window, pixels.
        rigid: (n, 3) the same with the photo's own expression.
        map_x, map_y: (h, w) float32, for each pixel of the window the place that it shows.
    """

    shape: np.ndarray
    pose: Pose
    points: np.ndarray
    dense: np.ndarray
    rigid: np.ndarray
    map_x: np.ndarray
    map_y: np.ndarray


@lru_cache(maxsize=1)
def face_mesh(triangle_bytes: bytes) -> FaceMesh:
    triangles = np.frombuffer(triangle_bytes, dtype=np.int32).reshape(-1, 3)
    refinement = sparse.identity(N_MESH, dtype=np.float32, format="csr")
    for _ in range(REFINEMENTS):
        triangles, matrix = refine(triangles, refinement.shape[0])
        refinement = (matrix @ refinement).tocsr()
    outline, mouth, *eyes = border_loops(triangles)[:4]
    left = next(eye for eye in eyes if 33 in eye)
    right = next(eye for eye in eyes if 263 in eye)
    return FaceMesh(triangles, refinement, outline, mouth, (left, right))


class Renderer:
    """Renders motions on one face; two responsibilities: deform the plate, and call the painters.

    Args:
        face: a fitted face.
        model: the face model that it was fitted with.
        teeth: (48, 128, 4) float32 RGBA row of teeth for a photo that shows none.
        framing: "crop" or "photo"; see `talking_face.picture.plate`.
        size: output size, see `cut_plate`.
        backdrop: (h, w, 3) uint8 RGB to put behind the person; None keeps the photo's background.
        limits_pose: False, for measuring, follows a pose however far it goes.

    Raises:
        OptionInvalid: the person can't be told from the background that is to be replaced.
    """

    def __init__(
        self,
        face: Face,
        model: FaceModel,
        teeth: np.ndarray,
        framing: Framing = "crop",
        size: int | None = None,
        backdrop: np.ndarray | None = None,
        *,
        limits_pose: bool = True,
    ) -> None:
        self.limits_pose = limits_pose
        self.face = face
        self.model = model
        self._shape = part_lips(face.shape)
        self._rim = self._shape - face.shape
        self.plate: Plate = cut_plate(face, framing, size)
        if backdrop is not None:
            here = self.plate.pose.project(face.shape)
            self.plate = replace_background(self.plate, here, backdrop)
        self.mesh = face_mesh(np.ascontiguousarray(model.triangles, dtype=np.int32).tobytes())
        height, width = self.plate.image.shape[:2]
        grid_y, grid_x = np.mgrid[:height, :width].astype(np.float32)
        self._grid = (grid_x, grid_y)
        margin = self.plate.margin
        person = self.plate.person[margin : margin + height, margin : margin + width]
        self._bare = (person == 0).astype(np.float32)

        self._prepare_rest()
        photo_points = self.plate.pose.project(self._shape)
        self._source_face = self._refine(photo_points)
        self._prepare_surroundings()
        self._source = np.ascontiguousarray(
            np.concatenate([self._source_face, self._around_source])[:, :2], dtype=np.float32
        )
        self.eyes = Eyes(self.plate, face, self.mesh.eyes)
        rest = self._shape + self._to_rest
        self.mouth = Mouth(self.plate, face.shape, rest, self.mesh.mouth, teeth)

    def frames(self, motion: Motion) -> Iterator[np.ndarray]:
        """Render a motion: (H, W, 3) uint8 RGB frames, each a new array."""
        for index in range(len(motion)):
            yield self.frame(motion, index)

    def frame(self, motion: Motion, index: int = 0) -> np.ndarray:
        """One frame of a motion, (H, W, 3) uint8 RGB."""
        flow = self.flow(motion, index)
        window = self.composite(flow, motion, index)
        self.paint(window, flow, motion, index)
        return self.plate.place(window)

    def flow(self, motion: Motion, index: int) -> Flow:
        """Deform face and surroundings for one frame."""
        shape = self.deform(motion, index)
        pose = self.head_pose(motion, index)
        points = pose.project(shape)
        dense = self._refine(points)
        rigid = self._refine(pose.project(self._shape))
        return Flow(shape, pose, points, dense, rigid, *self._map(dense, rigid, pose))

    def composite(self, flow: Flow, motion: Motion, index: int) -> np.ndarray:
        """The moved plate over the background that stays, (h, w, 3) uint8 RGB."""
        shifted = motion.translation[index]
        margin = np.float32(self.plate.margin)
        window = sample(self.plate.wide, flow.map_x + margin, flow.map_y + margin)
        background = self.plate.background
        moving = motion.rotation[index].any() or shifted.any()
        if background is not None and (moving or self.plate.replaced):
            window = self._over(background, window, flow.map_x, flow.map_y)
        return window

    def paint(self, window: np.ndarray, flow: Flow, motion: Motion, index: int) -> None:
        """Paint eyes and mouth into a composite, in place."""
        lids, gaze = motion.lids[index], motion.gaze[index]
        self.eyes.paint(window, flow.points, flow.dense, flow.rigid, flow.pose, lids, gaze)
        self.mouth.paint(window, flow.shape, flow.dense, flow.rigid, flow.pose)

    def _over(
        self, background: np.ndarray, window: np.ndarray, map_x: np.ndarray, map_y: np.ndarray
    ) -> np.ndarray:
        """Lay the moved person over the background, which stays."""
        margin = np.float32(self.plate.margin)
        person = sample(self.plate.person, map_x + margin, map_y + margin)
        away = cv2.magnitude(map_x - self._grid[0], map_y - self._grid[1])
        parted = 1.0 if self.plate.replaced else smoothstep(away, 0.0, PARTED)
        # Where the photo shows its background, that is still.
        behind = (1 - person) * np.maximum(parted, self._bare)
        return cv2.blendLinear(window, background, 1 - behind, behind)

    # -- geometry -----------------------------------------------------------------------------

    def _refine(self, points: np.ndarray) -> np.ndarray:
        return self.mesh.refinement @ np.ascontiguousarray(points[:N_MESH], dtype=np.float32)

    def _prepare_rest(self) -> None:
        """The displacement that brings the photo's own mouth to rest, lips touching.

        A mouth that is closed already is at rest as it is, be it in a smile.
        """
        shape = self._shape
        parted = smoothstep(float(lip_gaps(self.face.shape).max()), 0.01, 0.06)
        own = parted * np.einsum("ndk,k->nd", self.model.lower, self.face.lower)
        self._lips = LipContact(shape - own)
        self._to_rest = -own
        self._to_rest[:, 1] += self._lips.widen(-lip_gaps(shape - own))

    def deform(self, motion: Motion, index: int) -> np.ndarray:
        """The canonical shape (478, 3) of one frame, before the head moves."""
        rest = float(motion.rest[index, 0])
        moved = self.model.displacement(motion.lower[index], motion.upper[index])
        base = self._shape - (1 - self._rim_left(motion, index)) * self._rim
        shape = base + rest * self._to_rest + moved
        if rest or motion.lower[index].any():
            own = (1 - rest) * self._lips.correction(base)
            shape[:, 1] += self._lips.correction(shape) - own
        return shape + self.eyes.close(motion.lids[index])

    def _rim_left(self, motion: Motion, index: int) -> float:
        """How much of the mixed rim of an open mouth's lips is seen, 0..1.

        Lips that move from the photo's own opening are as far apart as they are, not rims wider.
        """
        moved = self.model.displacement(motion.lower[index], motion.upper[index])
        change = float(np.abs(moved[[*INNER_LIP_UPPER, *INNER_LIP_LOWER]]).max())
        return 1 - (1 - float(motion.rest[index, 0])) * smoothstep(change, *COVERED)

    def landmarks(self, motion: Motion, index: int) -> np.ndarray:
        """Where a motion wants the landmarks to be, (478, 3), pixels of the frame."""
        shape = self.deform(motion, index) - self._rim_left(motion, index) * self._rim
        for iris in (IRIS_CENTRE[:1] + IRIS_RING[0], IRIS_CENTRE[1:] + IRIS_RING[1]):
            shape[list(iris), :2] += EYEBALL_RADIUS * np.sin(np.radians(motion.gaze[index]))
        corner = np.array([self.plate.left, self.plate.top, 0])
        return self.head_pose(motion, index).project(shape) + corner

    def head_pose(self, motion: Motion, index: int) -> Pose:
        """Where the head is in one frame."""
        angles, shift = motion.rotation[index], motion.translation[index]
        if self.limits_pose:
            shift = soft_limit(shift, MAX_SHIFT)
            angles = soft_limit(angles, self._most_rotation(angles))
        turn = rotation_matrix(angles)
        photo = self.plate.pose
        scale = photo.scale * np.exp(shift[2])
        origin = photo.origin + np.array([shift[0], shift[1], 0.0]) * photo.scale
        return Pose(turn @ photo.rotation, scale, origin)

    def _most_rotation(self, angles: np.ndarray) -> np.ndarray:
        """How far (3,) degrees a head can turn in the directions of angles (3,)."""
        most = MAX_ROTATION.copy()
        away = max(-float(self.face.angles[0] * np.sign(angles[0])), 0.0)
        most[0] = max(most[0] - HIDDEN * away, LEAST_YAW)
        return most

    def _prepare_surroundings(self) -> None:
        """Points around the face: how deep they lie, how far they follow the head."""
        plate, pose = self.plate, self.plate.pose
        height, width = plate.image.shape[:2]
        unit = float(pose.scale)
        outline = self._source_face[self.mesh.outline]
        spacing = max(6.0, SPACING * max(height, width))
        # As one layer with the background, nothing moves at the border.
        layered = plate.background is not None
        margin = plate.margin if layered else 0
        xs = np.linspace(-margin, width - 1 + margin, max(2, round((width + 2 * margin) / spacing)))
        ys = np.linspace(
            -margin, height - 1 + margin, max(2, round((height + 2 * margin) / spacing))
        )
        points = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(np.float32)
        polygon = outline[:, None, :2].astype(np.float32)
        inside = np.array(
            [cv2.pointPolygonTest(polygon, (float(x), float(y)), True) for x, y in points]
        )
        points, away = points[inside < -0.4 * spacing], -inside[inside < -0.4 * spacing] / unit
        distance, nearest = cKDTree(outline[:, :2]).query(points, k=8)

        outline_depth = pose.unproject(self._source_face)[self.mesh.outline, 2]
        near_depth = outline_depth[nearest].mean(1)
        back = np.clip(away / 0.6, 0, 1)
        back = back * back * (3 - 2 * back)
        depth = near_depth + (PIVOT[2] - near_depth) * back
        # A point at a known depth on a pixel: invert the weak-perspective camera.
        x, y = ((points - pose.origin[:2]) / unit).T
        r = pose.rotation
        z = (depth - PIVOT[2] - r[0, 2] * x - r[1, 2] * y) / r[2, 2]
        self._around_canonical = np.stack([x, y, z], axis=1) @ r + PIVOT
        self._around_source = np.concatenate(
            [points, (z * unit + pose.origin[2])[:, None]], axis=1
        ).astype(np.float32)

        follow = 1 - smoothstep(away, *(HAIR if layered else NEAR))
        follow *= 1 - smoothstep(self._around_canonical[:, 1], *NECK)
        column, row = points.T
        edge = np.minimum.reduce([column, width - 1 - column, row, height - 1 - row]) / unit
        if not layered:
            follow *= smoothstep(edge, 0.0, 0.3)
        self._follow = follow[:, None].astype(np.float32)

        weights = 1 / (distance + 0.5)
        weights *= (np.exp(-((away / 0.35) ** 2)) / weights.sum(1))[:, None]
        weights *= smoothstep(edge, 0.0, 0.1)[:, None]
        rows = np.repeat(np.arange(len(points)), nearest.shape[1])
        self._drag = sparse.csr_matrix(
            (weights.ravel().astype(np.float32), (rows, nearest.ravel())),
            shape=(len(points), len(outline)),
        )
        together = np.concatenate([outline[:, :2], points])
        triangles = Delaunay(together).simplices
        middle = together[triangles].mean(1)
        keep = np.array(
            [cv2.pointPolygonTest(polygon, (float(x), float(y)), False) < 0 for x, y in middle]
        )
        index = np.concatenate(
            [self.mesh.outline, len(self._source_face) + np.arange(len(points))]
        ).astype(np.int32)
        self._triangles = np.ascontiguousarray(
            np.concatenate(
                [self.mesh.triangles, index[triangles[keep]], *map(strip, self._holes())]
            ),
            dtype=np.int32,
        )

    def _holes(self) -> list[np.ndarray]:
        return [self.mesh.mouth, *self.mesh.eyes]

    def _map(
        self, dense: np.ndarray, rigid: np.ndarray, pose: Pose
    ) -> tuple[np.ndarray, np.ndarray]:
        """Source coordinates of every pixel of the window."""
        around = self._around_source.copy()
        moved = pose.project(self._around_canonical).astype(np.float32)
        around += self._follow * (moved - self._around_source)
        outline = self.mesh.outline
        around += self._drag @ (dense[outline] - rigid[outline])
        points = np.concatenate([dense, around]).astype(np.float32)
        grid_x, grid_y = self._grid
        map_x, map_y = grid_x.copy(), grid_y.copy()
        buffer = np.full(grid_x.shape, np.inf, dtype=np.float32)
        draw_map(
            np.ascontiguousarray(points[:, :2]),
            np.ascontiguousarray(points[:, 2]),
            self._source,
            self._triangles,
            map_x,
            map_y,
            buffer,
        )
        return map_x, map_y


def part_lips(shape: np.ndarray) -> np.ndarray:
    """Where a photo's mouth is open, move the inner lip line a little into the lips.

    Its pixels mix lip and tooth; were they lip, a closing mouth would keep a bright seam.
    """
    open_by = smoothstep(lip_gaps(shape), 0.01, 0.04) * LIP_RIM
    shape = shape.copy()
    shape[list(INNER_LIP_UPPER), 1] -= open_by
    shape[list(INNER_LIP_LOWER), 1] += open_by
    return shape


def strip(loop: np.ndarray) -> np.ndarray:
    """Triangles (n, 3) that span a closed loop of points like the rungs of a ladder."""
    triangles = []
    low, high = 0, len(loop) - 1
    while high - low > 1:
        triangles.append((loop[low], loop[low + 1], loop[high]))
        if high - low > 2:
            triangles.append((loop[low + 1], loop[high - 1], loop[high]))
        low, high = low + 1, high - 1
    return np.array(triangles, dtype=np.int32)
