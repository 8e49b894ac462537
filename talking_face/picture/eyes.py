"""Eyes: eyeballs that stay with the skull while lids close over them, and irises that move."""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.face import Face
from talking_face.face.landmarks import (
    IRIS_CENTRE,
    IRIS_RING,
    LOWER_LID,
    UPPER_LID,
)
from talking_face.face.model import EYEBALL_RADIUS, Pose
from talking_face.picture.brush import (
    blend,
    pixel_grid,
    polygon_mask,
    region_around,
    sample,
)
from talking_face.picture.drawn import find_drawn_eyes
from talking_face.picture.eyeball import Eyeball
from talking_face.picture.lids import ClosedLid, closing, held_apart, line_above, meeting, parted
from talking_face.picture.plate import Plate

RIM = 0.02  # canonical units: softness of the line between eyeball and lid
MAX_GAZE = 14.0  # degrees; further out the photo has no iris to show
# Canonical units by which lids go further apart than in the photo, from which more of the eyeball
# is seen, and from which all that is uncovered.
WIDER = (0.002, 0.02)


class Eyes:
    """Deforms and paints the two eyes of one face.

    Args:
        plate: the plate that the frames are made from.
        face: the fitted face.
        outlines: indices of the refined points along the lids, image-left eye first.
    """

    def __init__(self, plate: Plate, face: Face, outlines: tuple[Array, Array]) -> None:
        self._plate = plate
        self._unit = float(plate.pose.scale)
        self._outlines = outlines
        self._shape = face.shape
        points = plate.pose.project(face.shape)
        lines = [line_above(plate, points[:, :2], eye) for eye in (0, 1)]
        self._closing = np.stack([closing(face.shape, eye, lines[eye]) for eye in (0, 1)])
        self._stay = face.eyes_closed  # what is behind closed lids isn't known
        self._drawn = find_drawn_eyes(plate.image, points[:, :2], self._unit)
        self._free = None
        if self._drawn is not None:
            held = [drawn.holds(points[:, :2], self._unit) for drawn in self._drawn]
            self._free = 1 - np.max(held, axis=0)[:, None]
            # What makes affine maps, by least squares, of where the points around an eye went.
            known = np.column_stack([points[:, :2], np.ones(len(points))])
            roots = [np.sqrt(weight)[:, None] for weight in held]
            self._around = [np.linalg.pinv(root * known) * root.T for root in roots]
        self._lids = [ClosedLid(plate, points[:, :2], eye, lines[eye]) for eye in (0, 1)]
        self._iris = []
        self._anchors = []
        self._shown = []  # where the photo shows eyeball, and not lid
        self._balls = []
        height, width = plate.image.shape[:2]
        for eye in (0, 1):
            centre = points[IRIS_CENTRE[eye], :2]
            ring = points[list(IRIS_RING[eye]), :2]
            self._iris.append((centre, float(np.linalg.norm(ring - centre, axis=1).mean())))
            opening = points[[*UPPER_LID[eye], *LOWER_LID[eye][-2:0:-1]], :2]
            self._shown.append(polygon_mask(opening, height, width, RIM * self._unit))
            upper, lower = (points[list(lid[eye]), :2] for lid in (UPPER_LID, LOWER_LID))
            self._balls.append(Eyeball(plate.image, upper, lower, *self._iris[eye], self._unit))
            corners = face.shape[[UPPER_LID[eye][0], UPPER_LID[eye][-1]]]
            below = corners.mean(0)
            below[1] += np.linalg.norm(corners[1] - corners[0])
            self._anchors.append(np.vstack([corners, below]))
        self._whole = all(ball.complete for ball in self._balls)  # two eyes look alike

    def hold(self, moved: Array) -> Array:
        """Displacements (478, 3) of an expression without those that would bend drawn eyes."""
        return moved if self._free is None else moved * self._free

    def part(self, moved: Array, lids: Array) -> Array:
        """A displacement (478, 3) of the skin around the eyes, as far as (2,) closures let it part.

        See `lids.parted`; none of the lids of eyes that the photo shows closed.
        """
        for eye in (0, 1):
            moved = parted(
                moved, self._shape, eye, 1.0 if self._stay else float(meeting(lids)[eye])
            )
        return moved

    def widest(self, shape: Array) -> Array:
        """A shape (478, 3) whose lids are no further apart than people's; see `lids.held_apart`."""
        if self._stay or self._drawn is not None:
            return shape
        for eye in (0, 1):
            shape = held_apart(shape, self._shape, eye, 2 * self._iris[eye][1] / self._unit)
        return shape

    def close(self, lids: Array) -> Array:
        """Displacement (478, 3), canonical, of lids closed by (2,) fractions.

        None of drawn eyes, which are painted over, and of those that the photo shows closed.
        """
        if self._stay or self._drawn is not None:
            return np.zeros_like(self._closing[0])
        return np.tensordot(meeting(lids), self._closing, axes=1)

    def paint(
        self,
        window: Array,
        points: Array,
        dense: Array,
        still: Array,
        pose: Pose,
        lids: Array,
        gaze: Array,
    ) -> None:
        """Paint eyeballs and closed lids into a frame, in place.

        Args:
            window: (h, w, 3) uint8 RGB, the moved plate.
            points: (478, 3) landmarks in the frame, pixels.
            dense: (n, 3) refined points in the frame, pixels.
            still: (n, 3) the same with the photo's own expression.
            pose: of the head in this frame.
            lids: (2,) closure. gaze: (2,) degrees.
        """
        if self._stay:
            return
        lids = meeting(lids)
        if self._drawn is not None:
            for eye, drawn in enumerate(self._drawn):
                drawn.paint(window, (self._around[eye] @ points[:, :2]).T, float(lids[eye]))
            return
        gaze = np.clip(gaze, -MAX_GAZE, MAX_GAZE)
        shift = EYEBALL_RADIUS * np.sin(np.radians(gaze)) * self._unit
        for eye in (0, 1):
            outline = self._outlines[eye]
            polygon = dense[outline, :2]
            change = np.abs(polygon - still[outline, :2]).max() + np.abs(shift).max()
            strength = smoothstep(change / self._unit, 0.001, 0.006)
            strength *= 1 - smoothstep(lids[eye], 0.88, 0.98)  # no sliver between closed lids
            if strength > 0:
                wider = self._wider(points[:, :2], eye, pose) if self._whole else 0.0
                self._paint_eyeball(window, eye, polygon, pose, shift, strength, wider)
            self._lids[eye].paint(window, points[:, :2], lids[eye])

    def _paint_eyeball(
        self,
        window: Array,
        eye: int,
        polygon: Array,
        pose: Pose,
        shift: Array,
        strength: float,
        wider: float,
    ) -> None:
        """Show the eyeball, which stays with the skull, through the opening between the lids.

        Args:
            wider: how far what the photo's lids hide is uncovered, 0..1.
        """
        region, corner = region_around(window, polygon, 3)
        if region.size == 0:
            return
        height, width = region.shape[:2]
        mask = polygon_mask(polygon - corner, height, width, 0.004 * self._unit)
        here = pose.project(self._anchors[eye])[:, :2].astype(np.float32)
        there = self._plate.pose.project(self._anchors[eye])[:, :2].astype(np.float32)
        back = cv2.getAffineTransform(here, there)
        x, y = pixel_grid(region, corner)
        source_x = back[0, 0] * x + back[0, 1] * y + back[0, 2]
        source_y = back[1, 0] * x + back[1, 1] * y + back[1, 2]
        # The iris moves as a whole, the white around it stretches.
        centre, radius = self._iris[eye]
        away = np.hypot(source_x - centre[0] - shift[0], source_y - centre[1] - shift[1])
        follow = 1 - smoothstep(away / radius, 1.15, 2.4)
        source_x, source_y = source_x - shift[0] * follow, source_y - shift[1] * follow
        colour = sample(self._plate.image, source_x, source_y)
        if wider > 0:
            whole = self._balls[eye].look(source_x, source_y, mask)
            colour = colour + wider * (whole - colour)
        # What is hardly wider than the photo's opening shows what the flow made of its rim.
        shown = sample(self._shown[eye], source_x, source_y)
        mask *= shown + wider * (1 - shown)
        blend(region, colour, mask * strength)

    def _wider(self, points: Array, eye: int, pose: Pose) -> float:
        """How far more of an eyeball is uncovered than in the photo, 0..1, by (478, 2) pixels."""
        upper, lower = list(UPPER_LID[eye])[1:-1], list(LOWER_LID[eye])[1:-1]
        apart = np.linalg.norm(points[lower] - points[upper], axis=1) / pose.scale
        own = np.linalg.norm(self._shape[lower, :2] - self._shape[upper, :2], axis=1)
        return float(smoothstep((apart - own).max(), *WIDER))
