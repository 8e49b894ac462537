"""What the painters share: soft masks, sampling, and laying colour into a part of a frame."""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.arrays import Array


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
    mixed = region + (colour.astype(np.float32) - region) * mask[..., None]
    region[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


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
    """Give some pixels (n,) of an image (h, w, 3) uint8 the mean of the nine around, in place."""
    height, width = image.shape[:2]
    total = np.zeros((len(rows), 3), dtype=np.uint16)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            row, column = (rows + down).clip(0, height - 1), (columns + across).clip(0, width - 1)
            total += image[row, column]
    image[rows, columns] = (total + 4) // 9


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
