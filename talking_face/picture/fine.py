"""Looking up a photo between its pixels, as sharp as it is: prepared once, cheap for every frame.

A linear look-up blurs, the more the further a place is from a pixel; so the finest texture of a
moving face is lost, and flickers. Here the photo is scaled up first, its own pixels kept, and what
the look-up between the finer pixels still takes from a wave is given to it beforehand. Knows
images; knows nothing of faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from talking_face.arrays import Array

STEPS = (3, 2)  # finer pixels a pixel; the fewer where they would be too many
MOST_BYTES = 128_000_000  # of a finer image; one that is too large even so is as it is
REACH = 4  # pixels on each side that a finer one is made of
SLACK = 0.2  # how far finer pixels may leave the range of those around, of that range: no halos


@dataclass(frozen=True, eq=False)
class FineImage:
    """An image to look up linearly, between its pixels too: place x of it is x * steps here.

    Attributes:
        pixels: (steps h, steps w, 3) uint8, every `steps`-th of them the image's own.
        steps: finer pixels a pixel.
    """

    pixels: Array
    steps: int


def make_fine(image: Array) -> FineImage:
    """Scale up an image (h, w, 3) uint8."""
    steps = next((steps for steps in STEPS if steps**2 * image.nbytes <= MOST_BYTES), 1)
    pixels = image
    if steps > 1:
        pixels = _finer(_finer(image, steps, axis=1), steps, axis=0)
    return FineImage(pixels, steps)


def _finer(image: Array, steps: int, axis: int) -> Array:
    """Scale up an image (h, w, 3) uint8 along one axis; the last pixel has finer ones after it."""
    shape = list(image.shape)
    shape[axis] *= steps
    fine = np.empty(shape, dtype=np.uint8)
    lines = fine if axis == 0 else fine.swapaxes(0, 1)
    lines[::steps] = image if axis == 0 else image.swapaxes(0, 1)

    border = cv2.BORDER_REFLECT_101
    around = np.ones((4, 1) if axis == 0 else (1, 4), dtype=np.uint8)
    anchor = (0, 1) if axis == 0 else (1, 0)
    low = cv2.erode(image, around, anchor=anchor, borderType=border)
    high = cv2.dilate(image, around, anchor=anchor, borderType=border)
    least = cv2.addWeighted(low, 1 + SLACK, high, -SLACK, 0)
    most = cv2.addWeighted(high, 1 + SLACK, low, -SLACK, 0)
    middle = (0, REACH - 1) if axis == 0 else (REACH - 1, 0)
    for step in range(1, steps):
        weights = between(steps, step)
        weights = weights[:, None] if axis == 0 else weights[None]
        made = cv2.filter2D(image, -1, weights, anchor=middle, borderType=border)
        made = np.asarray(cv2.min(cv2.max(made, least), most))
        lines[step::steps] = made if axis == 0 else made.swapaxes(0, 1)
    return fine


@cache
def between(steps: int, step: int) -> Array:
    """Weights (8,) float32 of the pixels around a place `step` / `steps` after one of them.

    A wave of ω radians a pixel that is looked up linearly anywhere between finer pixels, of which
    those between pixels have g times its height, keeps on average over the places this energy:

        2 (1 + g² + g cos ω') / (3 steps) + (steps - 2) (2 + cos ω') g² / (3 steps), ω' = ω / steps

    The weights are those of a windowed sinc with the g(ω) for which that is 1.
    """
    wave = np.linspace(0, np.pi, 1001)
    cosine = np.cos(wave / steps)
    a, b, c = 2 + (steps - 2) * (2 + cosine), 2 * cosine, 2 - 3 * steps
    height = (np.sqrt(b**2 - 4 * a * c) - b) / (2 * a)
    away = np.arange(1 - REACH, REACH + 1) - step / steps
    waves = height * np.cos(wave * away[:, None])
    weights = (waves.mean(1) - (waves[:, 0] + waves[:, -1]) / 2 / len(wave)) * np.sinc(away / REACH)
    return (weights / weights.sum()).astype(np.float32)
