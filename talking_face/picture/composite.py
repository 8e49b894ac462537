"""The moved plate over the background that stays, in one pass over the pixels.

Pixels in, pixels out, by a map of the places that they show; knows nothing of faces. Places between
the plate's pixels are looked up linearly in a finer one, see `talking_face.picture.fine`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import no_type_check

import numpy as np

from talking_face.arrays import Array, UInt8
from talking_face.machine_code import compiled
from talking_face.picture.brush import soften
from talking_face.picture.fine import make_fine
from talking_face.picture.mesh import tears
from talking_face.picture.plate import Plate

PARTED = 1.5  # pixels of motion from which head and background are fully apart


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
        self._fine = make_fine(plate.wide)

    def window(self, map_x: Array, map_y: Array, depth: Array, moving: bool) -> UInt8:
        """The window of one frame, (h, w, 3) uint8 RGB.

        Args:
            map_x, map_y: (h, w) float32, for each pixel the place in the plate that it shows.
            depth: (h, w) float32, how far away that is, pixels.
            moving: whether the head moves; where it doesn't, neither does what is around it, and
                person and background are one.
        """
        plate = self._plate
        window = np.empty_like(plate.image)
        layered = plate.background is not None and (moving or plate.replaced)
        _composite()(
            self._fine.pixels,
            self._fine.steps,
            plate.person,
            plate.image if plate.background is None else plate.background,
            self._bare,
            map_x,
            map_y,
            plate.margin,
            layered,
            np.float32(0.0 if plate.replaced else PARTED),
            window,
        )
        soften(window, *tears(map_x, map_y, depth, plate.person, plate.margin))
        return window


@cache
def _composite() -> Callable[..., None]:
    """`_blend` as machine code."""
    plane = "float32[:, ::1]"
    picture = "Array(uint8, 3, 'C', readonly=True)"  # which may be written to, or not
    return compiled(
        _blend,
        *(picture, "int64", plane, picture, "boolean[:, ::1]", plane, plane),
        *("int64", "boolean", "float32", "uint8[:, :, ::1]"),
    )


@no_type_check  # so that it is compiled as it stands
def _blend(
    fine: Array,
    steps: int,
    person: Array,
    background: Array,
    bare: Array,
    map_x: Array,
    map_y: Array,
    margin: int,
    layered: bool,
    parted: float,
    window: Array,
) -> None:  # pragma: no cover - numba
    # Everything is float32 and uint32: a constant of another type would make it float64, and an
    # index that could be negative would be looked at first.
    one, none, half = np.float32(1), np.float32(0), np.float32(0.5)
    two, three, edge = np.float32(2), np.float32(3), np.float32(1e-3)
    finer = np.float32(steps)
    right = np.float32(person.shape[1] - 1) - edge
    bottom = np.float32(person.shape[0] - 1) - edge
    aside = np.float32(margin)
    step, channels = np.uint32(1), np.uint32(3)
    # The last pixels that have a next one: a place that is no number must not lead elsewhere.
    last_x, last_y = np.uint32(person.shape[1] - 2), np.uint32(person.shape[0] - 2)
    finest_x, finest_y = np.uint32(fine.shape[1] - 2), np.uint32(fine.shape[0] - 2)
    for row in range(np.uint32(map_x.shape[0])):
        for column in range(np.uint32(map_x.shape[1])):
            x, y = map_x[row, column], map_y[row, column]
            moved_x, moved_y = x - np.float32(column), y - np.float32(row)
            still = moved_x == none and moved_y == none
            if still and parted > none:
                if layered and bare[row, column]:
                    for k in range(channels):
                        window[row, column, k] = background[row, column, k]
                else:
                    top = np.uint32((row + margin) * steps)
                    left = np.uint32((column + margin) * steps)
                    for k in range(channels):
                        window[row, column, k] = fine[top, left, k]
                continue
            x = min(max(x + aside, none), right)
            y = min(max(y + aside, none), bottom)
            left, top = min(np.uint32(x), last_x), min(np.uint32(y), last_y)
            next_x, next_y = np.uint32(left + step), np.uint32(top + step)
            u, v = x - np.float32(left), y - np.float32(top)
            a, b = (one - u) * (one - v), u * (one - v)
            c, d = (one - u) * v, u * v
            behind = none
            if layered:
                share = (
                    a * person[top, left]
                    + b * person[top, next_x]
                    + c * person[next_y, left]
                    + d * person[next_y, next_x]
                )
                if share < one:
                    # Where the photo shows its background, that is still.
                    apart = one
                    if parted > none and not bare[row, column]:
                        away = np.sqrt(moved_x * moved_x + moved_y * moved_y) / parted
                        apart = min(away, one)
                        apart = apart * apart * (three - two * apart)
                    behind = (one - share) * apart
            if behind >= one:
                for k in range(channels):
                    window[row, column, k] = background[row, column, k]
                continue
            x, y = x * finer, y * finer
            left, top = min(np.uint32(x), finest_x), min(np.uint32(y), finest_y)
            next_x, next_y = np.uint32(left + step), np.uint32(top + step)
            u, v = x - np.float32(left), y - np.float32(top)
            a, b = (one - u) * (one - v), u * (one - v)
            c, d = (one - u) * v, u * v
            for k in range(channels):
                colour = (
                    a * np.float32(fine[top, left, k])
                    + b * np.float32(fine[top, next_x, k])
                    + c * np.float32(fine[next_y, left, k])
                    + d * np.float32(fine[next_y, next_x, k])
                )
                if behind > none:
                    colour += (np.float32(background[row, column, k]) - colour) * behind
                window[row, column, k] = np.uint8(colour + half)
