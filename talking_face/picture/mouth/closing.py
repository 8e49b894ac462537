"""Lips that close over teeth that the photo shows: the teeth fade, the lips meet, a seam stays.

What the moved photo has between such lips are its teeth, squeezed to a glaring line, and in its
corners what lies behind a smile, squeezed to dark dashes. Knows the opening in a frame and in the
photo; knows nothing of what is painted inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.picture.brush import blend, region_around
from talking_face.picture.mouth.opening import Opening

# All lengths are in canonical units, inter-ocular distances, where nothing else is said.
SQUEEZED = (0.4, 0.9)  # gap over the photo's, over which what lies in it is squeezed to a line
LIP = 1.0  # pixels from the edge of a lip to where it shows nothing but lip
# Gap, place by place, below which lips shade all behind them, and the cavity's light that is left.
CONTACT, CONTACT_SHADE = 0.05, 0.7
SEAM = 0.35  # how much darker the line between closed lips is than the lips
SOFTNESS = 0.006  # blur of that line
ENDS, APART = 0.16, (0.03, 0.08)  # of a mouth's length: where lips touch that are no further apart
CORNER, DASH = 0.07, 0.02  # how far a corner reaches, and the size of what is taken out there
DARKER = (10.0, 30.0)  # grey levels by which a dash is darker than what is about it
TAKEN = 0.6  # share of it that is taken out: the corners of all mouths are a little dark


@dataclass(frozen=True, eq=False)
class Lips:
    """The lips in one frame over those of the photo, and the pixels of a region around them.

    Attributes:
        opening: in the frame, pixels of the region.
        own_gap: (h, w) the photo's gap at each pixel's place along the mouth, pixels.
        x, y: (h, w) pixels of the region.
        along, below, above: (h, w) of `Opening.coordinates` there.
        unit: pixels of an inter-ocular distance.
    """

    opening: Opening
    own_gap: Array
    x: Array
    y: Array
    along: Array
    below: Array
    above: Array
    unit: float

    def coverage(self) -> Array:
        """How much of each pixel lies between the lips, (h, w) 0..1; it goes to 0 with the gap, and
        in a narrow one towards the corners, where lips touch."""
        nearest, gap = np.minimum(self.below, self.above), self.below + self.above
        parted = np.maximum(
            smoothstep(np.minimum(self.along, 1 - self.along), 0.0, ENDS),
            smoothstep(gap / self.unit, *APART),
        )
        return np.clip(nearest + 0.5, 0, np.clip(gap, 0, 1)) * parted


def squeezed(gap: Any, own_gap: Any) -> Any:
    """How far a photo's own opening is squeezed between nearer lips, 0..1."""
    return 1 - smoothstep(gap / np.maximum(own_gap, 1e-3), *SQUEEZED)


def join(region: Array, lips: Lips, share: Array) -> None:
    """Continue either lip into the opening, in place of what is squeezed there.

    Args:
        region: (h, w, 3) uint8 RGB, painted in place.
        share: (h, w) 0..1.
    """
    share = share * (np.minimum(lips.below, lips.above) > -0.5)
    if not share.any():
        return
    down = lips.opening.axes[1]
    upper, lower = (
        cv2.remap(
            region,
            (lips.x + step * down[0]).astype(np.float32),
            (lips.y + step * down[1]).astype(np.float32),
            cv2.INTER_LINEAR,
            None,
            cv2.BORDER_REPLICATE,
        ).astype(np.float32)
        for step in (-lips.below - LIP, lips.above + LIP)
    )
    part = np.clip(lips.below / np.maximum(lips.below + lips.above, 1e-3), 0, 1)
    blend(region, upper + (lower - upper) * part[..., None], share)


def heal_corners(window: Array, corners: Array, unit: float, strength: float) -> None:
    """Take dark dashes out of the skin around the mouth's corners, in place.

    Args:
        window: (h, w, 3) uint8 RGB.
        corners: (2, 2, 2) pixels: of either corner its outer and its inner point.
    """
    if strength == 0:
        return
    pad = round(CORNER * unit)
    size = 2 * max(1, round(DASH * unit)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    for ends in corners:
        region, start = region_around(window, ends, pad)
        if region.size == 0:
            continue
        plain = cv2.morphologyEx(region, cv2.MORPH_CLOSE, kernel)
        dark = cv2.subtract(plain, region).max(axis=2).astype(np.float32)
        # Its rim is hardly darker than the skin, but would be left around it as a ring.
        dark = cv2.dilate(smoothstep(dark, *DARKER), np.ones((3, 3), np.uint8))
        dark = TAKEN * cv2.blur(dark, (3, 3))
        apart = np.ones(region.shape[:2], dtype=np.uint8)
        first, last = (tuple(end) for end in np.round(ends - start).astype(int).tolist())
        cv2.line(apart, first, last, (0,))
        away = cv2.distanceTransform(apart, cv2.DIST_L2, 3) / max(pad, 1)
        blend(region, plain, strength * dark * (1 - smoothstep(away, 0.4, 1.0)))


def close(region: Array, lips: Lips, cavity: Array, strength: float) -> None:
    """Dark between lips that are nearer to each other than in the photo, and a seam at last.

    Args:
        region: (h, w, 3) uint8 RGB, painted in place.
        cavity: (3,) colour of the mouth's back, RGB 0..1.
    """
    gap = np.maximum(lips.below + lips.above, 0) / lips.unit
    own = smoothstep(lips.own_gap / lips.unit, 0.0, CONTACT)
    nearer = np.maximum(own - smoothstep(gap, 0.0, CONTACT), 0)
    nearer *= lips.coverage() * strength
    dark = np.empty(region.shape, dtype=np.float32)
    dark[:] = 255 * CONTACT_SHADE * cavity
    blend(region, dark, nearer)
    _draw_seam(region, lips.opening, lips.unit, strength)


def _draw_seam(region: Array, opening: Opening, unit: float, strength: float) -> None:
    """The dark line between closed lips, which a photo with an open mouth doesn't have."""
    gap = float((opening.lower - opening.upper).max()) / unit
    closed = 1 - smoothstep(gap, 0.01, 0.06)
    if closed == 0:
        return
    line = np.zeros(region.shape[:2], dtype=np.uint8)
    middle = np.round(opening.middle() * 16).astype(np.int32)[3:-3]
    thickness = max(1, round(0.008 * unit))
    cv2.polylines(line, [middle[:, None]], False, (255,), thickness, cv2.LINE_AA, shift=4)
    soft = cv2.GaussianBlur(line, (0, 0), max(0.7, SOFTNESS * unit)).astype(np.float32)
    # The photo is torn apart there: what comes from either lip meets in hard steps.
    wide = cv2.GaussianBlur(soft, (0, 0), max(1.0, 1.5 * SOFTNESS * unit))
    healed = cv2.GaussianBlur(region, (0, 0), max(0.8, 1.5 * SOFTNESS * unit))
    blend(region, healed, np.minimum(wide / 64, 1) * closed * strength)
    half = max(opening.length / 2, 1.0)
    centre = opening.corner[0] + half * opening.axes[0, 0]
    across = (np.arange(line.shape[1]) - centre) / half
    soft *= np.clip(1.1 - across**2, 0.3, 1)
    region[:] = np.rint(region * (1 - SEAM * closed * strength * soft[..., None] / 255))
