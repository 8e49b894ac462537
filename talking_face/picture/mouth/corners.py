"""Skin for the corners of a mouth that its photo shows smiling, once they are drawn inwards.

What lies about the corners of a wide smile, the end of the mouth's dark, a fold, the shade of the
cheek, stays behind when they move, and would be stretched to smudges beside narrower lips. So the
photo's skin is continued over it once, and comes into view as far as the corners have moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import FACE_OVAL, LIPS_OUTLINE, MOUTH_CORNERS
from talking_face.face.model import Pose
from talking_face.picture.brush import blend, polygon_mask, region_around, spread
from talking_face.picture.inpaint import continued
from talking_face.picture.plate import Plate

# All lengths are in canonical units, inter-ocular distances.
LONG, HIGH, OUTWARDS = 0.13, 0.105, 0.025  # half axes and place of what is continued, by a corner
# Of the half axes: within the first, nothing of the photo is taken; from the second on, what is
# continued runs into the photo, so that no rim of it is seen.
BEHIND, FADE = 0.8, 0.3
AROUND = 0.35  # how far around a corner skin is taken from
TIP = (0.01, 0.05)  # within the lips, over which the photo's own come into their own
# The blur of the lips' edge, where lip and skin mix, and how far around the lips all is taken for
# lip: lines of their colour in the skin would be drawn apart to whiskers.
RIM, TINTED = 0.012, 0.03
INWARDS = (0.01, 0.05)  # by which a corner has moved when it comes into view, and is all there


@dataclass(frozen=True, eq=False)
class _Skin:
    """What is shown at one corner, (h, w, 3) uint8, how far, (h, w) float32 0..1, and the left top
    of both in the plate."""

    colour: Array
    share: Array
    left_top: Array


class Corners:
    """Heals what the corners of one photo's mouth leave behind.

    Args:
        plate: the plate that the frames are made from.
        shape: (478, 3) the face as photographed, canonical.
    """

    def __init__(self, plate: Plate, shape: Array) -> None:
        self._shape = shape
        corners = shape[list(MOUTH_CORNERS)]
        self._inwards = corners[::-1] - corners
        self._inwards /= np.linalg.norm(self._inwards, axis=1, keepdims=True)
        places = plate.pose.project(shape)[:, :2]
        self._skins = [
            _continued(plate, places, corner, other)
            for corner, other in (MOUTH_CORNERS, MOUTH_CORNERS[::-1])
        ]

    def heal(self, window: Array, shape: Array, pose: Pose, map_x: Array, map_y: Array) -> None:
        """Show the continued skin in a frame, in place.

        Args:
            window: (h, w, 3) uint8 RGB, the moved plate.
            shape: (478, 3) canonical shape of this frame.
            pose: of the head in this frame.
            map_x, map_y: (h, w) float32, the place in the photo that each pixel shows.
        """
        for corner, skin, inwards in zip(MOUTH_CORNERS, self._skins, self._inwards, strict=True):
            moved = (shape[corner] - self._shape[corner]) @ inwards
            strength = smoothstep(float(moved), *INWARDS)
            if strength == 0:
                continue
            # What is continued in the photo is stretched from where it ends there, which the margin
            # reaches, to the corner.
            end = self._shape[corner] - (LONG + OUTWARDS - HIGH) * inwards
            ends = pose.project(np.stack([shape[corner], end]))[:, :2]
            region, start = region_around(window, ends, round(HIGH * float(pose.scale)))
            if region.size == 0:
                continue
            here = np.s_[start[1] : start[1] + len(region), start[0] : start[0] + region.shape[1]]
            left, top = skin.left_top.astype(np.float32)
            x, y = map_x[here] - left, map_y[here] - top
            share = cv2.remap(skin.share, x, y, cv2.INTER_LINEAR)
            blend(region, cv2.remap(skin.colour, x, y, cv2.INTER_CUBIC), strength * share)


def _continued(plate: Plate, places: Array, corner: int, other: int) -> _Skin:
    """The skin at a corner of the mouth, continued from around it."""
    unit = float(plate.pose.scale)
    outwards = places[corner] - places[other]
    outwards /= max(float(np.linalg.norm(outwards)), 1e-6)
    part, start = region_around(plate.image, places[corner][None], round(AROUND * unit))
    if min(part.shape[:2]) == 0:
        part = np.zeros((1, 1, 3), dtype=np.uint8)
    height, width = part.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.0
    x, y = (x - (places[corner] - start)[0]) / unit, (y - (places[corner] - start)[1]) / unit
    along = x * outwards[0] + y * outwards[1] - OUTWARDS
    across = y * outwards[0] - x * outwards[1]
    away = np.hypot(along / LONG, across / HIGH)
    lips = polygon_mask(places[list(LIPS_OUTLINE)] - start, height, width, RIM * unit)
    face = polygon_mask(places[list(FACE_OVAL)] - start, height, width, 0.0)
    reach = 2 * round(TINTED * unit) + 1
    tinted = cv2.dilate((lips > 0.02).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    hidden = (away < BEHIND) | tinted | (face < 0.98)
    if hidden.all():
        return _Skin(part.copy(), np.zeros((height, width), dtype=np.float32), start)
    guess = np.clip(np.rint(spread(part.astype(np.float32), ~hidden)), 0, 255).astype(np.uint8)
    skin = continued(np.ascontiguousarray(part), hidden, guess)
    kept = lips * smoothstep(-along - OUTWARDS, *TIP)  # the ends of the lips lie in the dark
    share = (1 - smoothstep(away, FADE, 1.0)) * (1 - kept)
    return _Skin(skin, share.astype(np.float32), start)
