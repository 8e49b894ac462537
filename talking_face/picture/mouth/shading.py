"""The light in an open mouth: a small network that brightens and tints what is painted there.

Teeth, tongue and cavity are painted once per photo, sharp, but as if lit evenly. How bright they
are in truth depends on the lips around them. The network sees the opening as a coarse grid between
the lips, with what is painted and what the moved photo shows, and says by how much to multiply each
part of the painting; it can't blur it. It is trained by `talking_face.training.fit.shading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Protocol

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from talking_face.arrays import Array
from talking_face.picture.mouth.light import LUMA, Light
from talking_face.picture.mouth.opening import PLACES, Opening
from talking_face.weights import load_weights

ROWS, COLUMNS = 8, 16  # cells between the lips, and from corner to corner
# The nine cells around each, (128, 9): what lies beyond the border is what is at it.
AROUND = np.asarray(
    sliding_window_view(
        np.pad(np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS), 1, mode="edge"), (3, 3)
    )
).reshape(-1, 9)
MOST_LIGHT, MOST_TINT = 0.8, 0.1  # logarithms of the largest factors
# The share of the logarithms that is applied to generated teeth. It can't know what lies in a mouth
# that was never seen, and in doubt makes teeth and cavity alike.
GENERATED = 0.7
BRIGHTENED = 0.6  # the share of the logarithms that is applied where they brighten
TINTED = 0.4  # and of those of red and blue: a photo's teeth keep their colour
SLOPE = 0.2  # of the leaky rectifier
LENGTH = 5.0  # features measure lengths in fifths of an inter-ocular distance
WIDEST = 0.25  # gap, inter-ocular distances, beyond which the network has seen too few
LEAST_LIPS = 0.05  # brightness 0..1 of lips; darker ones count as this bright


@dataclass(frozen=True, eq=False)
class Interior:
    """An open mouth as it is painted in one frame.

    Attributes:
        painted: (h, w, 3) float32 RGB 0..1, everywhere in a region around the mouth.
        moved: (h, w, 3) float32 RGB 0..1, what the moved photo shows there.
        share: (h, w) 0..1, how much of the painting will be seen.
        opening: of the mouth, in pixels of the region.
        unit: pixels of an inter-ocular distance.
        photo_gap: of the photo's own opening, canonical units; 0 where the teeth are generated.
    """

    painted: Array
    moved: Array
    share: Array
    opening: Opening
    unit: float
    photo_gap: float

    @cached_property
    def painted_cells(self) -> Array:
        """What is painted, cell by cell of the opening, (8, 16, 3)."""
        return cells(self.painted, self.opening)


class Shading(Protocol):
    """What says how bright an open mouth is: `MouthLight`, or whoever stands in for it."""

    def light_factors(self, interior: Interior, light: Light) -> Array:
        """What to multiply the painting by, (rows, columns, 3) float32 RGB over the opening."""
        ...


class MouthLight:
    """Says how bright an open mouth is by four convolutions.

    Args:
        layers: weight (out, in, 3, 3) and bias (out,) float32 of each, for pictures that go on at
            their borders as they end; what `training.fit.shading.LightNetwork` learns.
    """

    def __init__(self, layers: Sequence[tuple[Array, Array]]) -> None:
        # Each as one product, over what lies around a cell, neighbour by neighbour.
        self._layers = [
            (np.ascontiguousarray(w.transpose(2, 3, 1, 0).reshape(-1, len(w))), bias)
            for w, bias in layers
        ]

    def logarithms(self, seen: Array) -> Array:
        """Features (14, 8, 16) float32 to logarithms of factors (8, 16, 3): light, red and blue.

        By plain matrix products: for so little, the threads of torch or of one large product wait
        for each other far longer than they work, above all beside an encoder.
        """
        x = seen.transpose(1, 2, 0).reshape(ROWS * COLUMNS, -1)
        for index, (weight, bias) in enumerate(self._layers):
            x = np.take(x, AROUND, axis=0).reshape(ROWS, COLUMNS, -1) @ weight + bias
            if index < len(self._layers) - 1:
                x = np.maximum(x, SLOPE * x).reshape(ROWS * COLUMNS, -1)
        return np.tanh(x) * np.array([MOST_LIGHT, MOST_TINT, MOST_TINT], dtype=np.float32)

    def light_factors(self, interior: Interior, light: Light) -> Array:
        """What to multiply the painting by, (8, 16, 3) float32 RGB, cell by cell of the opening."""
        logs = self.logarithms(features(interior, light))
        if interior.photo_gap == 0:
            logs *= GENERATED
        logs[..., 1:] *= light.coloured  # a grey photo stays grey
        brightness = logs[..., :1]
        red, blue = brightness + logs[..., 1:2], brightness + logs[..., 2:]
        return np.exp(np.concatenate([red, brightness, blue], axis=-1))

    @classmethod
    def from_weights(cls, tensors: Mapping[str, Array]) -> MouthLight:
        """The trained one, from tensors as `load_weights("mouth_light")` returns them."""
        layers = range(len(tensors) // 2)
        return cls([(tensors[f"layers.{i}.weight"], tensors[f"layers.{i}.bias"]) for i in layers])


@cache
def load_mouth_light() -> MouthLight:
    """The shipped one.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    return MouthLight.from_weights(load_weights("mouth_light"))


def features(interior: Interior, light: Light) -> Array:
    """What the network sees, (14, 8, 16) float32; brightness relative to that of the lips."""
    opening = interior.opening
    lips = max(float(light.lips @ LUMA), LEAST_LIPS)
    along = (np.arange(COLUMNS) + 0.5) / COLUMNS
    down = ((np.arange(ROWS) + 0.5) / ROWS)[:, None]
    gaps = np.interp(along, PLACES, opening.lower - opening.upper)
    gap = np.broadcast_to(LENGTH * np.minimum(gaps / interior.unit, WIDEST), (ROWS, COLUMNS))
    everywhere = np.ones((ROWS, COLUMNS))
    numbers = [
        gap,
        down * gap,
        (1 - down) * gap,
        np.abs(2 * along - 1) * everywhere,
        float(interior.photo_gap > 0) * everywhere,
        LENGTH * interior.photo_gap * everywhere,
        (float(light.skin @ LUMA) / lips - 1) * everywhere,
        lips * everywhere,
    ]
    colours = interior.painted_cells / lips, cells(interior.moved, opening) / lips
    stacked = np.concatenate([*colours, np.stack(numbers, axis=-1)], axis=-1)
    return np.ascontiguousarray(stacked.transpose(2, 0, 1), dtype=np.float32)


def cells(picture: Array, opening: Opening) -> Array:
    """Means (8, 16, n) of a picture (h, w, n) float32 over the cells of an opening."""
    x, y = (place.astype(np.float32) for place in opening.places(2 * ROWS, 2 * COLUMNS))
    seen = cv2.remap(picture, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    return np.asarray(seen.reshape(ROWS, 2, COLUMNS, 2, -1).mean((1, 3)))


def held(cell_factors: Array, painted: Array, brightest: float) -> Array:
    """Factors (8, 16, 3) as they are applied: less light than the network asks for, never glaring.

    In doubt whether a place shows a tooth or the dark it asks for the mean of both, which turns the
    dark into a red haze and teeth into glare.

    Args:
        painted: (8, 16, 3) what they brighten, RGB 0..1.
        brightest: luma that nothing is brightened beyond.
    """
    logs = np.log(cell_factors)
    light = logs[..., 1]
    tint = TINTED * (logs - light[..., None])
    most = cv2.dilate((painted @ LUMA).astype(np.float32), np.ones((3, 3), np.uint8))
    room = np.log(np.maximum(brightest / np.maximum(most, 1e-3), 1.0))
    light = np.minimum(np.where(light > 0, BRIGHTENED * light, light), room)
    return np.asarray(np.exp(light[..., None] + tint))


def spread_factors(cell_factors: Array, along: Array, down: Array) -> Array:
    """Factors (h, w, 3) at places along the mouth and down between the lips, both 0..1."""
    column = (along * COLUMNS - 0.5).astype(np.float32)
    row = (down * ROWS - 0.5).astype(np.float32)
    return np.asarray(
        cv2.remap(cell_factors, column, row, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    )
