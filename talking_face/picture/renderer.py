"""Motion to frames: move the photo, then paint what the photo doesn't show.

The fitted mesh and a coarse mesh of everything around the face are deformed together; drawing them
gives, for every pixel of the frame, the place in the plate that it shows; one pass makes the frame.
What that can't show, the inside of the mouth and closed lids, is painted on top by
`talking_face.picture.mouth.painter` and `talking_face.picture.eyes`. A motion of zeros gives back
the plate bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from talking_face.arrays import Array, UInt8
from talking_face.curves import smoothstep, soft_limit
from talking_face.face.face import Face
from talking_face.face.landmarks import (
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    IRIS_CENTRE,
    IRIS_RING,
    N_MESH,
)
from talking_face.face.lips import LipContact, lip_gaps, mouth_readout, part_lips
from talking_face.face.model import EYEBALL_RADIUS, FaceModel, Pose, rotation_matrix
from talking_face.face.rest import closed_smile
from talking_face.motion import Motion
from talking_face.options import Framing
from talking_face.picture.backdrop import replace_background
from talking_face.picture.brush import blend, pixel_grid, region_around
from talking_face.picture.composite import Composite
from talking_face.picture.contour import drawn_together, unrolled
from talking_face.picture.eyes import Eyes
from talking_face.picture.mesh import draw_map, face_mesh
from talking_face.picture.mouth.painter import Mouth
from talking_face.picture.mouth.shading import Shading
from talking_face.picture.plate import Plate, cut_plate
from talking_face.picture.skin import Skin, SkinModel
from talking_face.picture.surroundings import surroundings_of

# The head follows a pose exactly up to these, and softly to a quarter more: further out, one photo
# has nothing left to show.
BEYOND = 1.25  # times these, which it never passes
MAX_ROTATION = np.array([15.0, 10.0, 12.0])  # degrees of yaw, pitch, roll from the photo's pose
# A side of the face that the photo hides already can't be turned into view as far: for each degree
# that the photo looks away, this much less; but at least so many degrees.
HIDDEN, LEAST_YAW = 0.6, 5.0
MAX_SHIFT = np.array([0.25, 0.18, 0.1])  # canonical units, canonical units, log scale
COVERED = (0.003, 0.03)  # canonical units of lip motion over which lips cover their rim again
UNROLLED = (0.005, 0.04)  # inter-ocular distances of the lips' motion over which they unroll
UNFOLDED = 1 - np.cos(np.radians(2.0))  # of a turn of the head, over which the nose unfolds
# Canonical units around an eye, and in front of it, in which something else can hide it.
AROUND_EYE, IN_FRONT = 0.06, 0.12
PARTING = (0.0, 0.1)  # canonical units of opening, over which rims come between parted lips


@dataclass(frozen=True, eq=False)
class Flow:
    """Where everything is in one frame, before any colour.

    Attributes:
        shape: (478, 3) the face, canonical.
        pose: of the head.
        points: (478, 3) landmarks in the window, pixels.
        dense: (n, 3) refined points in the window, pixels.
        rigid: (n, 3) the same with the photo's own expression.
        drawn: (m, 3) float32, these and those around the face, pixels; see `Renderer.triangles`.
        map_x, map_y: (h, w) float32, for each pixel of the window the place that it shows.
        depth: (h, w) float32, and how far away it is, pixels; infinity where nothing is but the
            background that stands still, and map_x, map_y the pixel's own place.
        spans: (h, 2) int32, between which columns of each row something is.
    """

    shape: Array
    pose: Pose
    points: Array
    dense: Array
    rigid: Array
    drawn: Array
    map_x: Array
    map_y: Array
    depth: Array
    spans: Array


class Renderer:
    """Renders motions on one face; two responsibilities: deform the plate, and call the painters.

    Args:
        face: a fitted face.
        model: the face model that it was fitted with.
        teeth: (48, 128, 4) float32 RGBA row of teeth for a photo that shows none.
        shading: the light of open mouths, such as `load_mouth_light()`.
        framing: "crop" or "photo"; see `talking_face.picture.plate`.
        size: output size, see `cut_plate`.
        backdrop: (h, w, 3) uint8 RGB to put behind the person; None keeps the photo's background.
        limits_pose: follow a pose only as far as one photo can show it; False is for measuring.
        skin: how an expression moves skin beyond its landmarks, and shades it, such as
            `load_skin()`; None leaves it as it is.

    Raises:
        OptionInvalid: the person can't be told from the background that is to be replaced.
    """

    def __init__(
        self,
        face: Face,
        model: FaceModel,
        teeth: Array,
        shading: Shading,
        framing: Framing = "crop",
        size: int | None = None,
        backdrop: UInt8 | None = None,
        limits_pose: bool = True,
        skin: SkinModel | None = None,
    ) -> None:
        self.face = face
        self._limits_pose = limits_pose
        self._folds = skin
        self.model = model
        self._shape = part_lips(face.shape)
        self._rim = self._shape - face.shape
        self.plate: Plate = cut_plate(face, framing, size)
        if backdrop is not None:
            here = self.plate.pose.project(face.shape)
            self.plate = replace_background(self.plate, here, backdrop)
        self.mesh = face_mesh(model.triangles)
        height, width = self.plate.image.shape[:2]
        grid_y, grid_x = np.mgrid[:height, :width].astype(np.float32)
        self._grid = (grid_x, grid_y)
        self._composite = Composite(self.plate)

        self._prepare_rest()
        self._own = self._refine(self._shape)
        self._source_face = self._rigid(self.plate.pose)
        self._around = surroundings_of(
            self._source_face,
            self.plate.pose,
            self.mesh,
            (height, width),
            None if self.plate.background is None else self.plate.margin,
        )
        self._source = np.ascontiguousarray(
            np.concatenate([self._source_face, self._around.source])[:, :2], dtype=np.float32
        )
        around = (self.triangles >= len(self._source_face)).any(1)
        shown = ~around | self._composite.shows(self.triangles, self._source)
        self._person = np.ascontiguousarray(self.triangles[shown])
        unit = float(self.plate.pose.scale)
        hidden = drawn_together(self._source_face, self.mesh, unit)
        self._unfolded = self._source.copy()
        self._unfolded[: len(hidden)] = hidden
        self._rolled, self._unrolled = unrolled(self._source_face, self.mesh, unit)
        self.eyes = Eyes(self.plate, face, self.mesh.eyes)
        rest = self._shape + self._to_rest
        self.mouth = Mouth(self.plate, face.shape, rest, self.mesh.mouth, teeth, shading)
        self._skin = None
        if skin is not None:
            mean = self._refine(model.mean)[:, :2]
            size_here = height, width
            self._skin = Skin(skin, size_here, self._source_face, mean, self.mesh.triangles)

    def frames(self, motion: Motion) -> Iterator[UInt8]:
        """Render a motion: (H, W, 3) uint8 RGB frames, each a new array."""
        for index in range(len(motion)):
            yield self.frame(motion, index)

    def frame(self, motion: Motion, index: int = 0) -> UInt8:
        """One frame of a motion, (H, W, 3) uint8 RGB."""
        return self.plate.place(self.window(self.flow(motion, index), motion, index))

    def window(self, flow: Flow, motion: Motion, index: int) -> Array:
        """The part of a frame that moves, finished, (h, w, 3) uint8 RGB."""
        window = self.composite(flow, motion, index)
        self.shade(window, flow, motion, index)
        self.paint(window, flow, motion, index)
        return window

    def flow(self, motion: Motion, index: int) -> Flow:
        """Deform face and surroundings for one frame."""
        shape = self.deform(motion, index)
        pose = self.head_pose(motion, index)
        points = pose.project(shape)
        dense = self._refine(points)
        rigid = self._rigid(pose)
        layered = self._composite.layered(moves(motion, index))
        triangles = self._person if layered else self.triangles
        return Flow(shape, pose, points, dense, rigid, *self._map(dense, rigid, pose, triangles))

    def composite(self, flow: Flow, motion: Motion, index: int) -> Array:
        """The moved plate over the background that stays, (h, w, 3) uint8 RGB."""
        moving = moves(motion, index)
        return self._composite.window(flow.map_x, flow.map_y, flow.depth, flow.spans, moving)

    def shade(self, window: Array, flow: Flow, motion: Motion, index: int) -> None:
        """Change the skin as the change of expression does, in place: beside the corners of a mouth
        that was drawn wide, and dark and light where it folds."""
        self.mouth.heal(window, flow.shape, flow.pose, flow.map_x, flow.map_y)
        held = self._held(motion, index)
        if self._skin is not None and held.any():
            self._skin.shade(window, flow.dense[self.mesh.outline], flow.map_x, flow.map_y, held)

    def paint(self, window: Array, flow: Flow, motion: Motion, index: int) -> None:
        """Paint eyes and mouth into a composite, in place."""
        lids, gaze = motion.lids[index], motion.gaze[index]
        covers = [self._cover(window, flow, flow.dense[eye]) for eye in self.mesh.eyes]
        self.eyes.paint(window, flow.points, flow.dense, flow.rigid, flow.pose, lids, gaze)
        for region, colour, mask in covers:
            blend(region, colour, mask)
        rest = min(float(motion.rest[index, 0]), 1.0)
        self.mouth.paint(window, flow.shape, flow.dense, flow.rigid, flow.pose, rest)

    def _cover(self, window: Array, flow: Flow, eye: Array) -> tuple[Array, Array, Array]:
        """What lies in front of an eye, such as the nose of a head that is turned far.

        Returns:
            A part of the window, the colours in it, and how far they are in front, 0..1.
        """
        unit = float(flow.pose.scale)
        region, (left, top) = region_around(window, eye[:, :2], round(AROUND_EYE * unit))
        height, width = region.shape[:2]
        middle = eye.mean(0)
        around = eye - middle
        spread = around[:, :2].T @ around[:, :2] + np.eye(2)  # a pixel: lids that meet are a line
        slope = np.linalg.solve(spread, around[:, :2].T @ around[:, 2])
        x, y = pixel_grid(region, np.array([left, top]))
        eyes_own = slope[0] * (x - middle[0]) + slope[1] * (y - middle[1]) + middle[2]
        nearer = flow.depth[top : top + height, left : left + width] < eyes_own - IN_FRONT * unit
        if not nearer.any():
            return region[:0], region[:0], nearer[:0]
        return region, region.copy(), cv2.blur(nearer.astype(np.float32), (3, 3))

    @property
    def triangles(self) -> Array:
        """(n, 3) int32 over `Flow.drawn`: all that a frame is drawn from."""
        return self._around.triangles

    # -- geometry -----------------------------------------------------------------------------

    def _refine(self, points: Array) -> Array:
        return self.mesh.refinement @ np.ascontiguousarray(points[:N_MESH], dtype=np.float32)

    def _rigid(self, pose: Pose) -> Array:
        """The refined points with the photo's own expression, (n, 3) float32 pixels."""
        return pose.project(self._own).astype(np.float32)

    def _prepare_rest(self) -> None:
        """The displacement that brings the photo's own mouth to rest, lips touching.

        A mouth that is closed already is at rest as it is, be it in a smile, until it is asked for
        more rest than that.
        """
        shape = self._shape
        parted = smoothstep(float(lip_gaps(self.face.shape).max()), 0.01, 0.06)
        self._parted = parted
        self._smile = (1 - parted) * closed_smile(self.face.lower, self.model)
        own = parted * np.einsum("ndk,k->nd", self.model.lower, self.face.lower)
        weights, bias = mouth_readout(self.model)
        towards = weights[: self.model.lower.shape[-1], 0]
        self._opening = weights[:, 0], float(bias[0])
        self._wider = towards / (towards @ towards) * lip_gaps(self._rim)[3:6].mean()
        self._lips = LipContact(shape - own)
        self._to_rest = -own
        self._to_rest[:, 1] += self._lips.widen(-lip_gaps(shape - own))

    def deform(self, motion: Motion, index: int) -> Array:
        """The canonical shape (478, 3) of one frame, before the head moves."""
        rest, lower = self._speech(motion, index)
        moved = self.model.displacement(lower, motion.upper[index])
        rim = (1 - self._rim_left(rest, moved)) * self._rim
        held = self._held(motion, index)
        if held.any():
            besides = self.model.nuance @ motion.nuance[index]
            if self._folds is not None:
                besides = besides + self._folds.moved(held)
            moved = moved + self.eyes.part(besides, motion.lids[index])
        base = self._shape - rim
        shape = base + self.eyes.hold(rest * self._to_rest + moved)
        if rest or lower.any():
            own = (1 - rest) * self._lips.correction(base)
            shape[:, 1] += self._lips.correction(shape) - own
        return self.eyes.widest(shape + self.eyes.close(motion.lids[index]))

    def _speech(self, motion: Motion, index: int) -> tuple[float, Array]:
        """How far the mouth is brought to rest, and the lower face; none where it is hidden.

        Of lips that are parted in the photo, the rims look like lip but are between them: brought
        to rest, such a mouth has to open as much further as they are wide, to be seen as open as
        is meant.
        """
        lower = motion.lower[index]
        if self.face.mouth_hidden:  # lips would be painted on what covers it
            return 0.0, np.zeros_like(lower)
        rest = float(motion.rest[index, 0])
        more = min(max(rest - 1, 0.0), 1.0)
        rest = min(rest, 1.0)
        weights, bias = self._opening
        opening = bias + float(np.concatenate([lower, motion.upper[index]]) @ weights)
        wider = rest * smoothstep(opening, *PARTING) * self._wider
        return rest, lower - more * self._smile + wider

    def _held(self, motion: Motion, index: int) -> Array:
        """The expression that is held, (30,) coefficients relative to the photo's."""
        rest, lower = self._speech(motion, index)
        gone = rest * self._parted * self.face.lower
        return np.concatenate([lower - gone, motion.upper[index], motion.nuance[index]])

    def _rim_left(self, rest: float, moved: Array) -> float:
        """How much of the mixed rim of an open mouth's lips is seen, 0..1.

        Lips that move from the photo's own opening are as far apart as they are, not rims wider.

        Args:
            rest: how far the mouth is brought to rest, 0..1.
            moved: (478, 3) displacement, canonical.
        """
        change = float(np.abs(moved[[*INNER_LIP_UPPER, *INNER_LIP_LOWER]]).max())
        return 1 - (1 - rest) * smoothstep(change, *COVERED)

    def landmarks(self, motion: Motion, index: int) -> Array:
        """Where a motion wants the landmarks to be, (478, 3), pixels of the frame."""
        rest, lower = self._speech(motion, index)
        moved = self.model.displacement(lower, motion.upper[index])
        shape = self.deform(motion, index) - self._rim_left(rest, moved) * self._rim
        for iris in (IRIS_CENTRE[:1] + IRIS_RING[0], IRIS_CENTRE[1:] + IRIS_RING[1]):
            shape[list(iris), :2] += EYEBALL_RADIUS * np.sin(np.radians(motion.gaze[index]))
        corner = np.array([self.plate.left, self.plate.top, 0])
        return self.head_pose(motion, index).project(shape) + corner

    def head_pose(self, motion: Motion, index: int) -> Pose:
        """Where the head is in one frame."""
        angles, shift = motion.rotation[index], motion.translation[index]
        if self._limits_pose:
            shift = soft_limit(shift, MAX_SHIFT, BEYOND * MAX_SHIFT)
            most = most_rotation(angles, self.face.angles)
            angles = soft_limit(angles, most, BEYOND * most)
        turn = rotation_matrix(angles)
        photo = self.plate.pose
        scale = np.asarray(photo.scale * np.exp(shift[2]))
        origin = photo.origin + np.array([shift[0], shift[1], 0.0]) * photo.scale
        return Pose(turn @ photo.rotation, scale, origin)

    def _map(
        self, dense: Array, rigid: Array, pose: Pose, triangles: Array
    ) -> tuple[Array, Array, Array, Array, Array]:
        """What is drawn; source coordinates and depth of every pixel, and where they are."""
        contour = self._around.contour
        around = self._around.move(pose, dense[contour] - rigid[contour])
        points = np.concatenate([dense, around]).astype(np.float32)
        grid_x, grid_y = self._grid
        map_x, map_y = grid_x.copy(), grid_y.copy()
        buffer = np.full(grid_x.shape, np.inf, dtype=np.float32)
        turned = pose.rotation @ self.plate.pose.rotation.T
        unfolded = smoothstep(1 - turned[2, 2], 0.0, UNFOLDED)
        source = self._source + np.float32(unfolded) * (self._unfolded - self._source)
        mouth = np.abs(dense[self.mesh.mouth] - rigid[self.mesh.mouth]).max() / pose.scale
        rolled = source[self._rolled]
        rolled += np.float32(smoothstep(mouth, *UNROLLED)) * (self._unrolled - rolled)
        source[self._rolled] = rolled
        spans = draw_map(
            np.ascontiguousarray(points[:, :2]),
            np.ascontiguousarray(points[:, 2]),
            source,
            triangles,
            map_x,
            map_y,
            buffer,
        )
        return points, map_x, map_y, buffer, spans


def moves(motion: Motion, index: int) -> bool:
    """Whether the head is anywhere but where the photo has it, in one frame."""
    return bool(motion.rotation[index].any() or motion.translation[index].any())


def most_rotation(angles: Array, photo: Array) -> Array:
    """How far a head is turned at most, before it is held back softly, (3,) degrees.

    Args:
        angles: (3,) yaw, pitch, roll wanted, from the photo's pose; their directions matter.
        photo: (3,) the same of the photo, from the camera.
    """
    most = MAX_ROTATION.copy()
    away = max(-float(photo[0] * np.sign(angles[0])), 0.0)
    most[0] = max(most[0] - HIDDEN * away, LEAST_YAW)
    return most
