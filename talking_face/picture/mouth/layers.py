"""What lies in a mouth, as layers that are made once per photo: teeth, tongue, and the photo's own.

A layer is a flat picture behind the lips, in canonical units around the resting mouth's middle. One
goes with the skull, one with the jaw.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.picture.brush import spread
from talking_face.picture.mouth.light import LUMA, Light
from talking_face.picture.mouth.opening import Opening
from talking_face.picture.mouth.rows import COLUMNS, rows_of
from talking_face.picture.mouth.strip import INCISAL_ROW, MIDLINE_COLUMN, SPAN, TOOTH

# All lengths are in canonical units, inter-ocular distances.
TYPICAL_WIDTH = 0.52  # of a mouth at rest; a wider one gets wider teeth
INCISAL = 0.035  # how far the upper incisors reach below the resting lip
LOWER_INCISAL = -0.02  # how far below it the lower incisors begin
TONGUE = -0.13  # how far below the resting lip the tongue's back lies
RIM = 0.012  # of the photo's opening, where lip and tooth mix
HAND_OVER = 0.03  # over which the skull's part of a photo's mouth ends, and the jaw's begins
# Of the way to where a photo's own teeth end: from there, generated ones may stand beside them. And
# canonical units over which they appear, and by which they are moved to fit, at most.
INWARDS, BESIDE, MOVED = 0.9, 0.04, 0.08
# Around the middle: where incisors are, and how bright they are over the teeth at least.
INCISORS, BRIGHT = 0.08, 0.6
NEAR = (0.6, 1.6)  # of the expected brightness, within which teeth are believed to be teeth
STRIP = TOOTH / (TOOTH @ LUMA)  # what teeth of a strip have of ivory, which the photo's have, too


@dataclass(frozen=True, eq=False)
class OwnMouth:
    """The inside of the mouth that a photo shows, in two layers (h, w, 4) float32.

    RGBA 0..1, the colour multiplied by alpha; None for a part that the photo doesn't show.
    """

    skull: Array | None
    jaw: Array | None


def skull_layer(x: Array, y: Array, mouth_width: float, light: Light, teeth: Array) -> Array:
    """The generated upper row where it lies at rest.

    Args:
        x, y: (h, w) canonical positions relative to the mouth's middle.
        mouth_width: between the inner corners at rest, canonical.

    Returns:
        (h, w, 4) float32, RGBA 0..1 with the colour multiplied by alpha.
    """
    width = SPAN * np.clip(mouth_width / TYPICAL_WIDTH, 0.85, 1.15)
    row = lay_teeth(teeth, x, INCISAL - y, width)
    rounded = np.sqrt(np.clip(1 - (2 * x / (1.05 * width)) ** 2, 0, 1))
    return _tinted(row, light.teeth / STRIP, 0.45 + 0.55 * rounded)


def with_sides(own: Array, row: Array, x: Array, density: float) -> Array:
    """A photo's own teeth, with generated ones beside them, where a wider smile shows more.

    Args:
        own, row: (h, w, 4) of `own_mouth` and `skull_layer`.
        x: (h, w) canonical positions relative to the mouth's middle.
        density: layer pixels a canonical unit.
    """
    result = own.copy()
    across = x[0]
    shown = (own[..., 3] > 0.5).any(axis=0)
    for side in (-1.0, 1.0):
        half = side * across > 0
        if not (shown & half).any():
            continue
        end = float((side * across)[shown & half].max())
        inside = half & (side * across < INWARDS * end) & (side * across > (INWARDS - 0.25) * end)
        bottoms = [_lowest(layer[:, inside]) for layer in (own, row)]
        if not all(map(len, bottoms)):
            continue
        # The row ends where the photo's own teeth end, so that both are one arch.
        lower = float(np.median(bottoms[0]) - np.median(bottoms[1]))
        lower = float(np.clip(lower / density, -MOVED, MOVED)) * density
        matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, lower]])
        moved = cv2.warpAffine(row, matrix, row.shape[1::-1], flags=cv2.INTER_LINEAR)
        beside = smoothstep(side * x, INWARDS * end - BESIDE, INWARDS * end)
        result += moved * (beside * (1 - own[..., 3]))[..., None]
    return result.astype(np.float32)


def _lowest(layer: Array) -> Array:
    """The last covered row of each column of a layer (h, n, 4) that has one."""
    covered = layer[..., 3] > 0.5
    last = len(covered) - 1 - covered[::-1].argmax(axis=0)
    return np.asarray(last[covered.any(axis=0)])


def jaw_layer(x: Array, y: Array, mouth_width: float, light: Light, teeth: Array) -> Array:
    """Tongue and lower teeth at the jaw's rest position; as `skull_layer`."""
    half = 0.36 * mouth_width
    across = np.clip(1 - (x / half) ** 2, 0, 1)
    tongue = np.empty((*x.shape, 4), dtype=np.float32)
    tongue[..., :3] = [0.95, 0.8, 0.8]
    front = smoothstep(y - TONGUE - 0.06 * (x / half) ** 2, 0.0, 0.16)
    tongue[..., 3] = smoothstep(front, 0.0, 0.3) * np.minimum(2 * across, 1)
    groove = 1 - 0.18 * np.exp(-((x / 0.022) ** 2))
    layer = _tinted(tongue, light.flesh, (0.3 + 0.6 * front) * groove * (0.65 + 0.35 * across))
    # The lower row is narrower, hangs upside down, and stands in the shade.
    width = 0.72 * SPAN * np.clip(mouth_width / TYPICAL_WIDTH, 0.85, 1.15)
    row = lay_teeth(teeth, x, y - LOWER_INCISAL - 0.02 * (x / half) ** 2, width)
    row[..., 3] *= 0.9 * np.minimum(3 * across, 1)
    tint = 0.85 * light.teeth / STRIP + 0.15 * light.flesh
    over = _tinted(row, tint, np.full(x.shape, 0.66))
    return layer * (1 - over[..., 3:]) + over


def lay_teeth(teeth: Array, x: Array, y: Array, width: float) -> Array:
    """A row of teeth over positions (h, w): y 0 at the incisal edge, growing towards the roots."""
    scale = teeth.shape[1] / width
    column = (MIDLINE_COLUMN + x * scale).astype(np.float32)
    row = (INCISAL_ROW - y * scale).astype(np.float32)
    border = (0, 0, 0, 0)
    return cv2.remap(teeth, column, row, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, border)


def own_mouth(photo: Array, opening: Opening, density: float, light: Light) -> OwnMouth:
    """Split the mouth that a photo shows between its rows of teeth, or below the upper one.

    What lies above goes with the skull, what lies below with the jaw, where it isn't lip.

    Args:
        photo: (h, w, 3) uint8, the photo at the layer's place.
        opening: of the photo's mouth, in layer pixels.
        density: layer pixels a canonical unit.
    """
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    along, below, above = opening.coordinates(x, y)
    rim = max(1.5, RIM * density)
    inside = (along > 0) & (along < 1)
    deep = np.where(inside, np.minimum(below, above), -1.0)
    known = deep > rim
    if known.sum() < 20:
        return OwnMouth(None, None)
    # Lip and tooth mix in the rim: paint it anew from the core outwards.
    colour = spread(photo.astype(np.float32) / 255, known)
    rows = rows_of(photo, opening, density, light)
    columns = (np.arange(COLUMNS) + 0.5) / COLUMNS
    split, jaws = np.interp(along, columns, rows.split), np.interp(along, columns, rows.lower)
    gap = np.maximum(below + above, 1e-3)
    from_split = (below - split * gap) / density  # canonical, positive in the jaw's part
    ends = cv2.GaussianBlur(known.any(axis=0).astype(np.float32)[None], (0, 0), 2 * rim)
    soft = HAND_OVER / 2
    skull = jaw = None
    if split.min() > 0.05:
        # The lips hide the roots: continue the teeth upwards, into gum and shadow.
        up = -below / density
        root = smoothstep(up, 0.0, 0.09)[..., None]
        teeth = colour * (1 - root) + light.flesh * 0.75 * root
        core = np.where(split < 0.98, 1.0, smoothstep(above / density, 0.0, RIM))
        cover = core * (1 - smoothstep(from_split, -soft, soft)) * (1 - smoothstep(up, 0.1, 0.15))
        skull = _as_layer(teeth, cover * ends)
    if jaws.max() > 0:
        # Behind the lower lip it goes on, ever darker.
        down = -above / density
        floor = colour * (1 - 0.4 * smoothstep(down, 0.0, 0.12))[..., None]
        cover = smoothstep(from_split, -soft, soft) * (1 - smoothstep(down, 0.12, 0.2))
        jaw = _as_layer(floor, cover * ends * jaws)
    return OwnMouth(skull, jaw)


def incisal_edge(skull: Array, x: Array, y: Array, teeth: Array) -> float | None:
    """Where the upper incisors end, canonical like y; None where they aren't seen.

    Args:
        skull: (h, w, 4) of `own_mouth`.
        x, y: (h, w) canonical positions relative to the mouth's middle.
        teeth: their colour (3,).
    """
    middle = np.abs(x[0]) < INCISORS
    tooth = (skull[..., 3] > 0.5) & (skull[..., :3] @ LUMA > BRIGHT * (teeth @ LUMA))
    tooth = tooth[:, middle]
    shown = tooth.any(axis=0)
    if shown.mean() < 0.5:
        return None
    last = len(tooth) - 1 - tooth[::-1].argmax(axis=0)
    return float(np.median(y[last[shown], 0]))


def teeth_of(skull: Array, light: Light) -> Array:
    """The colour (3,) of the teeth that a photo shows; the expected one if it isn't near that."""
    shown = skull[skull[..., 3] > 0.95, :3]
    if not len(shown):
        return light.teeth
    bright = shown @ LUMA
    colour = np.median(shown[bright >= np.percentile(bright, 70)], axis=0)
    level = float(colour @ LUMA) / max(float(light.teeth @ LUMA), 1e-3)
    return colour.astype(np.float32) if NEAR[0] < level < NEAR[1] else light.teeth


def _as_layer(colour: Array, cover: Array) -> Array:
    alpha = cover[..., None].astype(np.float32)
    return np.concatenate([colour * alpha, alpha], axis=-1).astype(np.float32)


def _tinted(rgba: Array, tint: Array, shade: Array) -> Array:
    alpha = rgba[..., 3:]
    colour = rgba[..., :3] * tint * shade[..., None]
    return np.concatenate([colour * alpha, alpha], axis=-1).astype(np.float32)
