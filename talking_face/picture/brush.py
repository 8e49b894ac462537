"""What the painters share: soft masks, sampling, and laying colour into a part of a frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import no_type_check

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.machine_code import compiled


def polygon_mask(points: Array, height: int, width: int, softness: float) -> Array:
    """Soft inside of a polygon.

    Args:
        points: (n, 2) pixels, fractions allowed.
        softness: standard deviation of the edge's blur, pixels; at least 0.6 is used.

    Returns:
        (height, width) float32 0..1.
    """
    mask = np.zeros((height, width), dtype=np.uint8)
    fixed = np.round(points * 16).astype(np.int32)
    cv2.fillPoly(mask, [fixed[:, None]], (255,), lineType=cv2.LINE_AA, shift=4)
    return cv2.GaussianBlur(mask, (0, 0), max(0.6, softness)).astype(np.float32) / 255


def region_around(frame: Array, points: Array, pad: int) -> tuple[Array, Array]:
    """The part of a frame around some points, as a view, and its left top corner (x, y).

    The view is empty where the points lie outside the frame.
    """
    corner = np.maximum(np.floor(points.min(0)).astype(int) - pad, 0)
    end = np.maximum(np.ceil(points.max(0)).astype(int) + pad, 0)
    return frame[corner[1] : end[1], corner[0] : end[0]], corner


def pixel_grid(region: Array, corner: Array) -> tuple[Array, Array]:
    """x and y, (h, w) float32, of a region's pixels in the frame."""
    height, width = region.shape[:2]
    x, y = np.empty((2, height, width), dtype=np.float32)
    x[:] = np.arange(width) + corner[0]
    y[:] = np.arange(height)[:, None] + corner[1]
    return x, y


def blend(region: Array, colour: Array, mask: Array) -> None:
    """Lay colour (h, w, 3) 0..255 over a region of a frame, in place; mask (h, w) 0..1."""
    # Machine code doesn't look where it reads: shapes that don't fit end here.
    colour = np.broadcast_to(np.asarray(colour, np.float32), region.shape)
    _blends()(region, colour, np.broadcast_to(np.asarray(mask, np.float32), region.shape[:2]))


@cache
def _blends() -> Callable[..., None]:
    """`_blend` as machine code."""
    colour, mask = (f"Array(float32, {sides}, 'A', readonly=True)" for sides in (3, 2))
    return compiled(_blend, "uint8[:, :, :]", colour, mask)


@no_type_check  # so that it is compiled as it stands
def _blend(region: Array, colour: Array, mask: Array) -> None:  # pragma: no cover - numba
    none, most, half = np.float32(0), np.float32(255), np.float32(0.5)
    for row in range(region.shape[0]):
        for column in range(region.shape[1]):
            share = mask[row, column]
            if share != none:
                for k in range(3):
                    under = np.float32(region[row, column, k])
                    mixed = under + (colour[row, column, k] - under) * share
                    region[row, column, k] = np.uint8(min(max(mixed, none), most) + half)


def sample(image: Array, x: Array, y: Array) -> Array:
    """Look up an image at fractional places; beyond its border it is mirrored."""
    return cv2.remap(
        image,
        np.asarray(x, dtype=np.float32),
        np.asarray(y, dtype=np.float32),
        cv2.INTER_CUBIC if image.dtype == np.uint8 else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def soften(image: Array, rows: Array, columns: Array) -> None:
    """Give some pixels (n,) int32 of an image (h, w, 3) uint8 the mean of the nine around."""
    _softens()(image, rows, columns, np.empty((len(rows), 3), dtype=np.uint8))


@cache
def _softens() -> Callable[..., None]:
    """`_soften` as machine code."""
    return compiled(_soften, "uint8[:, :, ::1]", "int32[::1]", "int32[::1]", "uint8[:, ::1]")


@no_type_check  # so that it is compiled as it stands
def _soften(
    image: Array, rows: Array, columns: Array, means: Array
) -> None:  # pragma: no cover - numba
    height, width = image.shape[:2]
    for i in range(len(rows)):
        for k in range(3):
            total = 4
            for down in range(-1, 2):
                row = min(max(rows[i] + down, 0), height - 1)
                for across in range(-1, 2):
                    total += image[row, min(max(columns[i] + across, 0), width - 1), k]
            means[i, k] = total // 9
    for i in range(len(rows)):
        for k in range(3):
            image[rows[i], columns[i], k] = means[i, k]


def spread(colour: Array, known: Array) -> Array:
    """Fill the unknown pixels of an image (h, w, 3) float32 from the known ones around them."""
    result = colour.copy()
    filled = known.copy()
    weight = known.astype(np.float32)
    for sigma in (2, 4, 8, 16, 32, 64, 128, 256):
        if filled.all():
            break
        total = cv2.GaussianBlur(weight, (0, 0), sigma)
        value = cv2.GaussianBlur(colour * weight[..., None], (0, 0), sigma)
        new = ~filled & (total > 0.02)
        result[new] = value[new] / total[new][:, None]
        filled |= new
    return result
