"""What a left and a right eye see of a frame.

One frame is rendered, as always; both eyes' pictures are that frame, moved sideways by depth: so
they show the same lips, light and lids, and nothing shimmers between them. The person is drawn over
the background, which lies behind the screen; eyes and face lie near it. Disparity, the distance
between what the two eyes see of one place, is at most `MAX_DISPARITY` of the width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import no_type_check

import cv2
import numpy as np

from talking_face.arrays import Array, UInt8
from talking_face.machine_code import compiled
from talking_face.motion import Motion
from talking_face.options import DEPTH, check_range
from talking_face.picture.mesh import draw_map
from talking_face.picture.renderer import Renderer

MAX_DISPARITY = 0.02  # of the picture's width
FAR = 1.1  # canonical units behind the eyes' plane that the background is
NEAR = -0.35  # of the same that what is nearest comes before the screen
STEP, BETWEEN = 2, 0.5  # pixels from one place to the next where places are drawn; of the first one


class StereoRenderer:
    """Renders frames for two eyes.

    Args:
        renderer: of the same face.
        depth: 0 (flat) to 1.

    Raises:
        OptionInvalid.
    """

    def __init__(self, renderer: Renderer, depth: float = DEPTH) -> None:
        check_range("The depth", depth, 0, 1)
        self._renderer = renderer
        plate = renderer.plate
        half = depth * MAX_DISPARITY * plate.canvas.shape[1] / 2
        self._shifts = -half, half  # pixels to the right that what is farthest moves
        # What stands still behind the person, as each eye sees it.
        behind = plate.image if plate.background is None else plate.background
        self._behind = [_shifted(behind, shift) for shift in self._shifts]
        self._person = cv2.convertScaleAbs(plate.person, alpha=255)
        cropped = plate.canvas.shape == plate.image.shape
        self._canvas = [
            None if cropped else _shifted(plate.canvas, shift) for shift in self._shifts
        ]
        height, width = plate.image.shape[:2]
        self._size = height, width
        rows, columns = (height + 1) // 2, (width + 1) // 2
        coarse_y, coarse_x = np.mgrid[:rows, :columns].astype(np.float32)
        self._coarse = coarse_x * STEP + BETWEEN, coarse_y * STEP + BETWEEN

    def frame(self, motion: Motion, index: int = 0) -> tuple[UInt8, UInt8]:
        """The left and the right eye's picture of a frame, (H, W, 3) uint8 RGB each."""
        renderer, plate = self._renderer, self._renderer.plate
        flow = renderer.flow(motion, index)
        layer = renderer.window(flow, motion, index)
        share = np.full(layer.shape[:2], 255, dtype=np.uint8)
        if plate.background is not None:
            at_x, at_y = flow.map_x + plate.margin, flow.map_y + plate.margin
            share = np.asarray(cv2.remap(self._person, at_x, at_y, cv2.INTER_LINEAR))
            share[np.isinf(flow.depth)] = 0
        layer = cv2.merge([*cv2.split(layer), share])
        points, eyes = flow.drawn, float(flow.points[[33, 263], 2].mean())
        unit = float(plate.pose.scale)
        part = np.clip((points[:, 2] - eyes) / (FAR * unit), NEAR, 1).astype(np.float32)
        left, right = (self._seen(layer, points, part, eye) for eye in (0, 1))
        return left, right

    def _seen(self, layer: Array, points: Array, part: Array, eye: int) -> UInt8:
        """One eye's picture.

        Args:
            layer: (h, w, 4) uint8 RGB, and how far it is the person.
            points: (n, 3) what is drawn, pixels. part: (n,) how far behind the screen.
            eye: 0 the left one, 1 the right one.
        """
        away = self._away(points, part, self._shifts[eye])
        canvas = self._canvas[eye]
        front = np.empty((*layer.shape[:2], 3), dtype=np.uint8)
        _sees()(layer, away, self._behind[eye], front)
        if canvas is None:
            return front
        plate = self._renderer.plate
        height, width = layer.shape[:2]
        whole = canvas.copy()
        whole[plate.top : plate.top + height, plate.left : plate.left + width] = front
        return whole

    def _away(self, points: Array, part: Array, shift: float) -> Array:
        """How far to the right each pixel of one eye's picture looks, (h, w) float32 pixels.

        Drawn at half the size, for they change slowly: a quarter of the work.
        """
        source = np.ascontiguousarray(points[:, :2], dtype=np.float32)
        moved = (source - np.float32(BETWEEN)) / np.float32(STEP)
        moved[:, 0] += np.float32(shift / STEP) * part
        coarse_x, coarse_y = self._coarse
        at_x, at_y = coarse_x.copy(), coarse_y.copy()
        depth = np.full(at_x.shape, np.inf, dtype=np.float32)
        away = np.ascontiguousarray(points[:, 2], dtype=np.float32)
        draw_map(moved, away, source, self._renderer.triangles, at_x, at_y, depth)
        height, width = self._size
        double = (at_x.shape[1] * STEP, at_x.shape[0] * STEP)
        off = cv2.resize(at_x - coarse_x, double, interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(off[:height, :width])


@cache
def _sees() -> Callable[..., None]:
    """`_see` as machine code."""
    picture = "uint8[:, :, ::1]"
    return compiled(_see, picture, "float32[:, ::1]", picture, picture)


@no_type_check  # so that it is compiled as it stands
def _see(layer: Array, away: Array, behind: Array, seen: Array) -> None:  # pragma: no cover - numba
    """A layer (h, w, 4), looked up as far to the right as each pixel looks, before what is behind
    it, (h, w, 3)."""
    none, one, whole, half = np.float32(0), np.float32(1), np.float32(255), np.float32(0.5)
    last = np.uint32(layer.shape[1] - 1)
    end = np.float32(last)
    for row in range(np.uint32(layer.shape[0])):
        for column in range(np.uint32(layer.shape[1])):
            x = min(max(np.float32(column) + away[row, column], none), end)
            left = min(np.uint32(x), last)
            right = min(np.uint32(left + np.uint32(1)), last)
            u = x - np.float32(left)
            a = np.float32(layer[row, left, 3]) * (one - u)
            a = (a + np.float32(layer[row, right, 3]) * u) / whole
            for k in range(np.uint32(3)):
                colour = np.float32(layer[row, left, k]) * (one - u)
                colour += np.float32(layer[row, right, k]) * u
                colour = colour * a + np.float32(behind[row, column, k]) * (one - a)
                seen[row, column, k] = np.uint8(colour + half)


def _shifted(picture: Array, right: float) -> Array:
    """A picture moved to the right by pixels; its border goes on."""
    matrix = np.array([[1, 0, right], [0, 1, 0]], dtype=np.float32)
    size = picture.shape[1::-1]
    return np.asarray(
        cv2.warpAffine(
            picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    )
