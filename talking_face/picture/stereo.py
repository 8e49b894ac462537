"""What a left and a right eye see of a frame.

One frame is rendered, as always; both eyes' pictures are that frame, moved sideways by depth: so
they show the same lips, light and lids, and nothing shimmers between them. The person is drawn over
the background, which lies behind the screen; eyes and face lie near it. Disparity, the distance
between what the two eyes see of one place, is at most `MAX_DISPARITY` of the width.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from talking_face.arrays import Array, UInt8
from talking_face.motion import Motion
from talking_face.options import DEPTH, check_range
from talking_face.picture.mesh import draw_map
from talking_face.picture.renderer import Renderer

MAX_DISPARITY = 0.02  # of the picture's width
FAR = 1.1  # canonical units behind the eyes' plane that the background is
NEAR = -0.35  # of the same that what is nearest comes before the screen


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
        self._strength = depth * MAX_DISPARITY * renderer.plate.canvas.shape[1]

    def frame(self, motion: Motion, index: int = 0) -> tuple[UInt8, UInt8]:
        """The left and the right eye's picture of a frame, (H, W, 3) uint8 RGB each."""
        renderer, plate = self._renderer, self._renderer.plate
        flow = renderer.flow(motion, index)
        window = renderer.composite(flow, motion, index)
        renderer.paint(window, flow, motion, index)
        alpha = None
        if plate.background is not None:
            at_x, at_y = flow.map_x + plate.margin, flow.map_y + plate.margin
            alpha = cv2.remap(plate.person, at_x, at_y, cv2.INTER_LINEAR)
        points, eyes = flow.drawn, float(flow.points[[33, 263], 2].mean())
        unit = float(plate.pose.scale)
        part = np.clip((points[:, 2] - eyes) / (FAR * unit), NEAR, 1).astype(np.float32)
        left, right = (
            self._seen(window, alpha, points, side * self._strength / 2, part) for side in (-1, 1)
        )
        return left, right

    def _seen(
        self, window: Array, alpha: Array | None, points: Array, shift: float, part: Array
    ) -> UInt8:
        """One eye's picture.

        Args:
            alpha: (h, w) how far each pixel is the person; None where all is one layer.
            points: (n, 3) what is drawn, pixels. part: (n,) how far behind the screen.
            shift: pixels to the right that what is farthest moves.
        """
        plate = self._renderer.plate
        height, width = window.shape[:2]
        at_y, at_x = np.mgrid[:height, :width].astype(np.float32)
        source = np.ascontiguousarray(points[:, :2], dtype=np.float32)
        moved = source.copy()
        moved[:, 0] += np.float32(shift) * part
        depth = np.full((height, width), np.inf, dtype=np.float32)
        away = np.ascontiguousarray(points[:, 2], dtype=np.float32)
        draw_map(moved, away, source, self._renderer.triangles, at_x, at_y, depth)
        border = cv2.BORDER_REPLICATE
        front: Any = cv2.remap(window, at_x, at_y, cv2.INTER_LINEAR, borderMode=border)
        if alpha is not None and plate.background is not None:
            share = cv2.remap(alpha, at_x, at_y, cv2.INTER_LINEAR, borderMode=border)
            through = share < 1
            back = _shifted(plate.background, shift)[through].astype(np.float32)
            front[through] = np.rint(back + share[through][:, None] * (front[through] - back))
        if plate.canvas.shape == window.shape:
            return front
        return self._placed(_shifted(plate.canvas, shift), front)

    def _placed(self, canvas: Array, window: Array) -> UInt8:
        plate = self._renderer.plate
        height, width = window.shape[:2]
        canvas[plate.top : plate.top + height, plate.left : plate.left + width] = window
        return canvas


def _shifted(picture: Array, right: float) -> Array:
    """A picture moved to the right by pixels; its border goes on."""
    matrix = np.array([[1, 0, right], [0, 1, 0]], dtype=np.float32)
    size = picture.shape[1::-1]
    return np.asarray(
        cv2.warpAffine(
            picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    )
