"""An eyeball beyond what a photo shows of it: lids that open wider uncover iris and white.

Colours come from the photo: of the iris by their distance from its middle, as irises are round, and
of the white from where it is seen. The lid's shadow isn't part of it, as that goes with the lid.
"""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.arrays import Array, UInt8
from talking_face.curves import smoothstep
from talking_face.picture.brush import pixel_grid, polygon_mask, region_around
from talking_face.picture.mouth.light import LUMA

AROUND = 0.16  # canonical units around an opening, within which it is completed
# Canonical units below the upper lid and above the lower one, whose pixels lashes and shadows dim,
# and how softly what is completed begins there.
DIM, DIM_BELOW, SOFT = 0.03, 0.012, 0.012
# Radii of the iris: up to which it is all its own, where it has ended, and where white begins.
IRIS, LIMBUS, WHITE = 0.95, 1.12, 1.2
BINS = 14  # rings of an iris up to its limbus
ENOUGH = 3  # pixels of a ring whose colour is known
LEAST = 12  # pixels of iris, and of white, that a photo has to show
SEEN = 0.7  # how far a pixel must be clear of lids for that
# Light of what is white over that of the skin around an eye, at least: paint and lashes are darker.
BRIGHT = 0.8
# How much darker an eyeball is at the rim of the lids, and canonical units: how far that reaches,
# and how far it is shifted down, for it is the upper lid that shades.
SHADE, REACH, DOWN = 0.45, 0.025, 0.012
# Canonical units around a place whose white it has, and how much of that, in pixels on a pixel, is
# as much as its usual colour: veins and corners stay where they are seen.
NEARBY, PLAIN = 0.06, 0.1


class Eyeball:
    """One eyeball of one photo, completed.

    Args:
        image: (h, w, 3) uint8 RGB.
        upper, lower: (n, 2) the lids' rims from the same corner on, pixels.
        centre, radius: of the iris, pixels.
        unit: pixels of a canonical unit.

    Attributes:
        complete: whether the photo shows enough of it; if it doesn't, `look` isn't to be asked.
    """

    def __init__(
        self, image: Array, upper: Array, lower: Array, centre: Array, radius: float, unit: float
    ) -> None:
        self._unit = unit
        pad = round(AROUND * unit)
        region, self._corner = region_around(image, np.concatenate([upper, lower]), pad)
        height, width = region.shape[:2]
        # The corners stay; between them the rims come nearer, and meet where an eye is hardly open.
        bow = np.sin(np.linspace(0, np.pi, len(upper)))[:, None].clip(0) ** 0.5 * [0.0, unit]
        middle = (upper + lower) / 2
        top = np.minimum(upper + DIM * bow, middle)
        clear = np.concatenate([top, np.maximum(lower - DIM_BELOW * bow, middle)[-2:0:-1]])
        known = polygon_mask(clear - self._corner, height, width, SOFT * unit)
        x, y = pixel_grid(region, self._corner)
        away = np.hypot(x - centre[0], y - centre[1]) / radius
        colour = region.astype(np.float32)
        white = (known > SEEN) & (away > WHITE)
        iris = (known > SEEN) & (away < LIMBUS)
        self.complete = False
        if min(white.sum(), iris.sum()) < LEAST:
            return
        plain = np.median(colour[white], axis=0)
        skin = np.median(colour[known == 0], axis=0)
        if plain @ LUMA < BRIGHT * (skin @ LUMA):
            return
        self.complete = True
        weight = white.astype(np.float32)
        near = [
            cv2.GaussianBlur(part, (0, 0), NEARBY * unit)
            for part in (weight, colour * weight[..., None])
        ]
        around = (near[1] + PLAIN * plain) / (near[0] + PLAIN)[..., None]
        rings = _rings(colour[iris], away[iris])
        round_iris = np.stack(
            [np.interp(away, np.arange(BINS) / BINS * LIMBUS, ring) for ring in rings.T], axis=-1
        )
        inside = 1 - smoothstep(away, IRIS, LIMBUS)[..., None]
        whole = around + inside * (round_iris - around)
        mixed = whole + known[..., None] * (colour - whole)
        self._texture: UInt8 = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
        self._known = known.astype(np.float32)

    def look(self, x: Array, y: Array, opening: Array) -> Array:
        """The eyeball at places (h, w) of the photo, seen through an opening, (h, w, 3) float32.

        Args:
            opening: (h, w) float32 0..1, what the lids leave open.
        """
        here = (x - self._corner[0]).astype(np.float32), (y - self._corner[1]).astype(np.float32)
        colour = cv2.remap(
            self._texture, *here, cv2.INTER_CUBIC, None, cv2.BORDER_REPLICATE
        ).astype(np.float32)
        known = cv2.remap(self._known, *here, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, (0,))
        down = max(1, round(DOWN * self._unit))
        lower = np.pad(opening, ((down, 0), (0, 0)))[: len(opening)]
        lit = cv2.GaussianBlur(lower, (0, 0), max(0.6, REACH * self._unit))
        shade = 1 - SHADE * (1 - lit) * (1 - known)
        return np.asarray(colour * shade[..., None], dtype=np.float32)


def _rings(colour: Array, away: Array) -> Array:
    """Colours (BINS, 3) of an iris by the distance from its middle, of pixels (n, 3) that are so
    many radii (n,) away."""
    places = np.arange(BINS)
    ring = np.minimum((away / LIMBUS * BINS).astype(int), BINS - 1)
    seen = [place for place in places if (ring == place).sum() >= ENOUGH]
    if not seen:
        return np.tile(np.median(colour, axis=0), (BINS, 1))
    middle = np.stack([np.median(colour[ring == place], axis=0) for place in seen])
    return np.stack([np.interp(places, seen, middle[:, k]) for k in range(3)], axis=1)
