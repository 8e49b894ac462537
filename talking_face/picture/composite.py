"""The moved plate over the background that stays, in one pass over the pixels.

Pixels in, pixels out, by a map of the places that they show; knows nothing of faces. Places between
the plate's pixels are looked up linearly in a finer one, see `talking_face.picture.fine`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import no_type_check

import cv2
import numpy as np

from talking_face.arrays import Array, UInt8, UInt32
from talking_face.machine_code import compiled
from talking_face.picture.brush import soften
from talking_face.picture.fine import make_fine
from talking_face.picture.mesh import UNDRAWN, tears
from talking_face.picture.plate import Plate

PARTED = 1.5  # pixels of motion from which head and background are fully apart
NEAR = 3  # pixels from the person within which what is drawn matters even where it isn't the person


class Composite:
    """Lays a moved plate over its background.

    Args:
        plate: what is moved.
    """

    def __init__(self, plate: Plate) -> None:
        self._plate = plate
        height, width = plate.image.shape[:2]
        margin = plate.margin
        person = plate.person[margin : margin + height, margin : margin + width]
        self._bare = np.ascontiguousarray(person == 0)
        # Where a look-up meets nobody: most of a portrait's background is passed over by this.
        around = cv2.dilate(plate.person, np.ones((2, 2), np.uint8), anchor=(0, 0))
        self._empty = np.ascontiguousarray(around == 0)
        self._packed, self._steps = _packed(plate)

    def layered(self, moving: bool) -> bool:
        """Whether the background stands still behind the person.

        Args:
            moving: whether the head moves; where it doesn't, neither does what is around it, and
                person and background are one.
        """
        return self._plate.background is not None and (moving or self._plate.replaced)

    def shows(self, triangles: Array, source: Array) -> Array:
        """Which triangles show the person or what is just beside it, (n,) bool.

        Before a background that stands still the others needn't be drawn.

        Args:
            triangles: (n, 3) int32. source: (m, 2) float32, their places in the photo, pixels.
        """
        margin, reach = self._plate.margin, 2 * NEAR + 1
        person = (self._plate.person > 0).astype(np.uint8)
        total = cv2.integral(cv2.dilate(person, np.ones((reach, reach))))
        corners = source[triangles] + margin
        last = np.array(person.shape[::-1]) - 1
        left, top = np.clip(np.floor(corners.min(1)), 0, last).astype(int).T
        right, bottom = np.clip(np.ceil(corners.max(1)), 0, last).astype(int).T + 1
        inside = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
        return np.asarray(inside > 0)

    def window(self, map_x: Array, map_y: Array, depth: Array, spans: Array, moving: bool) -> UInt8:
        """The window of one frame, (h, w, 3) uint8 RGB.

        Args:
            map_x, map_y: (h, w) float32, for each pixel the place in the plate that it shows.
            depth: (h, w) float32, how far away that is, pixels; infinity where nothing was drawn,
                and the place that it shows is its own.
            spans: (h, 2) int32, where that was, see `draw_map`.
            moving: whether the head moves; see `layered`.
        """
        plate = self._plate
        layered = self.layered(moving)
        behind = plate.image if plate.background is None else plate.background
        # Where nothing is drawn before a background that stands still, it is all that is seen.
        window = behind.copy() if layered else np.empty_like(behind)
        _composite()(
            self._packed,
            self._steps,
            self._empty,
            behind,
            self._bare,
            map_x,
            map_y,
            depth,
            spans,
            plate.margin,
            layered,
            np.float32(0.0 if plate.replaced else PARTED),
            window,
        )
        soften(window, *tears(map_x, map_y, depth, spans, plate.person, plate.margin))
        return window


def _packed(plate: Plate) -> tuple[UInt32, int]:
    """The plate to look up linearly, colours and person in one number each, and its steps.

    Returns:
        (steps h, steps w) uint32: red, green, blue and how far it is the person, of 255, from the
        lowest byte; and how many of these a pixel has on a side.
    """
    fine = make_fine(plate.wide)
    height, width = fine.pixels.shape[:2]
    person = np.rint(255 * plate.person).astype(np.uint8)
    # Linear between the pixels, as the look-up goes on to be.
    finer = np.diag([1 / fine.steps, 1 / fine.steps, 1.0])[:2]
    method = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    person = cv2.warpAffine(
        person, finer, (width, height), flags=method, borderMode=cv2.BORDER_REPLICATE
    )
    channels = cv2.cvtColor(fine.pixels, cv2.COLOR_RGB2RGBA)
    cv2.insertChannel(person, channels, 3)
    return channels.view("<u4")[..., 0].astype(np.uint32, copy=False), fine.steps


@cache
def _composite() -> Callable[..., None]:
    """`_blend` as machine code."""
    plane = "float32[:, ::1]"
    picture = "Array(uint8, 3, 'C', readonly=True)"  # which may be written to, or not
    return compiled(
        _blend,
        *("uint32[:, ::1]", "int64", "boolean[:, ::1]", picture, "boolean[:, ::1]"),
        *(plane, plane, plane, "int32[:, ::1]"),
        *("int64", "boolean", "float32", "uint8[:, :, ::1]"),
    )


@no_type_check  # so that it is compiled as it stands
def _blend(
    fine: Array,
    steps: int,
    empty: Array,
    background: Array,
    bare: Array,
    map_x: Array,
    map_y: Array,
    depth: Array,
    spans: Array,
    margin: int,
    layered: bool,
    parted: float,
    window: Array,
) -> None:  # pragma: no cover - numba
    # All numbers have 32 bits: a constant of another type would make them longer, and an index
    # that could be negative would be looked at first.
    one, none, whole = np.float32(1), np.float32(0), np.float32(255)
    two, three = np.float32(2), np.float32(3)
    # Places have eight bits after the point; two channels, of 16 bits, are weighed at once.
    finer, aside = np.float32(steps * 256), np.float32(margin)
    byte, ones, half, channel = np.uint32(8), np.uint32(255), np.uint32(0x800080), np.uint32(16)
    unit, pair = np.uint32(256), np.uint32(0xFF00FF)
    step, red, green, blue = np.uint32(1), np.uint32(0), np.uint32(1), np.uint32(2)
    # The last places that have a next one: one that is no number must not lead elsewhere.
    last_x = np.uint32((fine.shape[1] - steps) * 256 - 1)
    last_y = np.uint32((fine.shape[0] - steps) * 256 - 1)
    last_left, last_top = np.uint32(empty.shape[1] - 1), np.uint32(empty.shape[0] - 1)
    right, bottom = np.float32(last_x) / finer, np.float32(last_y) / finer
    for row in range(np.uint32(map_x.shape[0])):
        first, last = np.uint32(0), np.uint32(map_x.shape[1])
        if layered:
            first, last = np.uint32(spans[row, 0]), np.uint32(spans[row, 1])
        for column in range(first, last):
            x, y = map_x[row, column], map_y[row, column]
            moved_x, moved_y = x - np.float32(column), y - np.float32(row)
            still = moved_x == none and moved_y == none
            alone = layered and still and depth[row, column] > UNDRAWN
            if alone or (still and parted > none):
                if not alone and not (layered and bare[row, column]):
                    colour = fine[
                        np.uint32((row + margin) * steps), np.uint32((column + margin) * steps)
                    ]
                    window[row, column, red] = np.uint8(colour)
                    window[row, column, green] = np.uint8(colour >> byte)
                    window[row, column, blue] = np.uint8(colour >> channel)
                continue
            x = min(max(x + aside, none), right)
            y = min(max(y + aside, none), bottom)
            left, top = min(np.uint32(x), last_left), min(np.uint32(y), last_top)
            if layered and empty[top, left]:
                parting = moved_x * moved_x + moved_y * moved_y < parted * parted
                if bare[row, column] or not parting:
                    continue
            x, y = np.uint32(x * finer), np.uint32(y * finer)
            x, y = min(x, last_x), min(y, last_y)
            left, top = np.uint32(x >> byte), np.uint32(y >> byte)
            next_x, next_y = np.uint32(left + step), np.uint32(top + step)
            u, v = x & ones, y & ones
            d = np.uint32((u * v) >> byte)
            b, c = np.uint32(u - d), np.uint32(v - d)
            a = np.uint32(unit - u - c)
            p, q = fine[top, left], fine[top, next_x]
            r, s = fine[next_y, left], fine[next_y, next_x]
            greens = np.uint32(
                ((p >> byte) & pair) * a
                + ((q >> byte) & pair) * b
                + ((r >> byte) & pair) * c
                + ((s >> byte) & pair) * d
                + half
            )
            behind = none
            if layered:
                share = np.float32(greens >> np.uint32(24))
                if share < whole:
                    # Where the photo shows its background, that is still.
                    apart = one
                    if parted > none and not bare[row, column]:
                        away = np.sqrt(moved_x * moved_x + moved_y * moved_y) / parted
                        apart = min(away, one)
                        apart = apart * apart * (three - two * apart)
                    behind = (one - share / whole) * apart
            if behind >= one:
                continue
            reds = np.uint32(
                (p & pair) * a + (q & pair) * b + (r & pair) * c + (s & pair) * d + half
            )
            window[row, column, red] = np.uint8(reds >> byte)
            window[row, column, green] = np.uint8(greens >> byte)
            window[row, column, blue] = np.uint8(reds >> np.uint32(24))
            if behind > none:
                for k in range(np.uint32(3)):
                    colour = np.float32(window[row, column, k])
                    colour += (np.float32(background[row, column, k]) - colour) * behind
                    window[row, column, k] = np.uint8(colour + np.float32(0.5))
