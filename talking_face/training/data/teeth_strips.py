"""Portraits of people who smile to strips of upper teeth: what the teeth network learns from.

Strips are registered on the teeth themselves (face scale, incisal edge, dental midline), brought to
one light, and cut off at the incisal edge. Knows photos and landmarks; knows nothing of networks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import (
    INNER_LIP_CORNERS,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    detect_faces,
    interocular,
    mouth_opening,
)
from talking_face.face.photo import load_photo
from talking_face.picture.mouth.strip import HEIGHT, INCISAL_ROW, MIDLINE_COLUMN, SPAN, WIDTH
from talking_face.picture.mouth.teeth import (
    white_level,
)

MIN_OPENING = 0.05  # inner-lip opening of a smile that shows teeth, inter-ocular distances
MIN_FRONTAL = 0.95  # eye distance in the image over the one in space
CROWN_ROWS = (10.5, 31.0)  # visible height of the central incisors, strip pixels
GUM_ROWS = 3.5  # pixels between lip and crowns above which they are gum, not shadow
MIN_LIGHTNESS = 62.0  # L* of the teeth; darker ones lie in shadow
MIN_COVERAGE = 0.5  # share of the mouth's middle that is teeth
MAX_REDNESS = 13.0  # a* of the teeth; redder ones are lip, or red light
MAX_ROUGHNESS = 1.5  # pixels that the incisal edge leaves a parabola by, mean
NEUTRAL_TEETH = (1.0, 0.94, 0.855)  # colour that the teeth of every portrait are brought to
NEUTRALISED = 0.75  # how far they are brought to it; the rest is the difference between people

_MARGIN = 24  # pixels around a strip before it is registered
_MAX_MIDLINE = 8.0  # pixels that the dental midline may lie beside the middle of the lips

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Strip:
    """Upper teeth of one portrait.

    Attributes:
        colour: (48, 128, 3) float32 RGB, white level 1, neutral light.
        alpha: (48, 128) float32 coverage by teeth and gums.
        visible: (48, 128) float32, 1 inside the lips.
    """

    colour: Array
    alpha: Array
    visible: Array


def cut_strip(image: Array, landmarks: Array) -> Strip | None:
    """Cut the upper teeth out of a portrait.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (478, 3) of the face, pixels.

    Returns:
        The registered strip, or None where the photo shows no clean row of upper teeth.
    """
    eyes = float(interocular(landmarks[:, :2]))  # in the image
    if mouth_opening(landmarks) < MIN_OPENING or eyes < MIN_FRONTAL * interocular(landmarks):
        return None
    wide, lips = _level(image, landmarks, eyes)
    lab = cv2.cvtColor(wide, cv2.COLOR_RGB2LAB)
    middle = lips > 0.5
    middle[:, np.abs(np.arange(wide.shape[1]) - (wide.shape[1] - 1) / 2) > 35] = False
    if middle.sum() < 200:
        return None
    bright = np.percentile(lab[middle, 0], 85)
    redness = np.median(lab[middle & (lab[..., 0] > 0.8 * bright), 1])
    toothness = smoothstep(lab[..., 0] / bright, 0.45, 0.65)
    toothness = toothness * (1 - smoothstep(lab[..., 1] - redness, 9, 17))
    toothness = cv2.GaussianBlur(toothness.astype(np.float32), (0, 0), 0.7) * lips
    coverage = toothness[middle].mean()
    if bright < MIN_LIGHTNESS or redness > MAX_REDNESS or coverage < MIN_COVERAGE:
        return None

    top, edge = _crown_rows(toothness > 0.5)
    columns = np.flatnonzero(np.isfinite(edge))
    centre = slice(wide.shape[1] // 2 - 17, wide.shape[1] // 2 + 17)
    if len(columns) < 70 or np.isfinite(edge[centre]).mean() < 0.8:
        return None
    row = np.nanmedian(edge[centre])
    arc = np.polyval(np.polyfit(columns, edge[columns], 2), columns)
    off = np.abs(edge[columns] - arc)
    crown = row - np.nanmedian(top[centre])
    if not CROWN_ROWS[0] <= crown <= CROWN_ROWS[1] or off.mean() > MAX_ROUGHNESS:
        return None

    even = off < 2.5  # leaves out columns where a lower tooth was taken for the upper one
    arc = np.polyval(np.polyfit(columns[even], edge[columns][even], 2), columns)
    smooth = np.clip(edge[columns], arc - 3, arc + 1.5)
    rows, across = np.arange(wide.shape[0])[:, None], np.arange(wide.shape[1])
    alpha = np.clip(np.interp(across, columns, smooth)[None] + 0.1 - rows, 0, 1)
    alpha[:, : columns[0]] = alpha[:, columns[-1] + 1 :] = 0
    alpha = cv2.GaussianBlur(alpha.astype(np.float32), (0, 0), 0.6)
    shown = lips * (rows >= _shade(top, lips)[None])

    right, down = MIDLINE_COLUMN - dental_midline(wide, toothness), INCISAL_ROW - row
    shift = np.array([[1, 0, right], [0, 1, down]])
    colour, covered, visible = (
        cv2.warpAffine(np.asarray(layer, np.float32), shift, (WIDTH, HEIGHT))
        for layer in (wide, alpha, shown)
    )
    return Strip(_neutralise(colour, covered * visible), covered, visible)


def _level(image: Array, landmarks: Array, eyes: float) -> tuple[Array, Array]:
    """The mouth, level, at the strip's scale with a margin: RGB in 0–1; the inside of the lips."""
    height, width = HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN
    left, right = landmarks[list(INNER_LIP_CORNERS), :2]
    upper = landmarks[list(INNER_LIP_UPPER[3:6]), :2].mean(axis=0)
    x, y = (right - left) / np.linalg.norm(right - left)
    turn = np.array([[x, y], [-y, x]]) * WIDTH / (SPAN * eyes)
    origin = np.array([(turn @ (left + right) / 2)[0], (turn @ upper)[1]])
    matrix = np.c_[turn, np.array([(width - 1) / 2, _MARGIN + 12.0]) - origin]
    level = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    first, last = INNER_LIP_CORNERS
    outline = landmarks[[first, *INNER_LIP_UPPER, last, *INNER_LIP_LOWER[::-1]], :2]
    outline = np.c_[outline, np.ones(len(outline))] @ matrix.T
    fine = np.zeros((height * 4, width * 4), np.uint8)
    cv2.fillPoly(fine, [np.round((outline + 0.5) * 4 * 8).astype(np.int32)], (255,), shift=3)
    inner = cv2.erode(fine, np.ones((7, 3), np.uint8))  # without the rim of the lips
    lips = cv2.resize(inner, (width, height), interpolation=cv2.INTER_AREA)
    return level.astype(np.float32) / 255, lips.astype(np.float32) / 255


def _crown_rows(teeth: Array) -> tuple[Array, Array]:
    """First and last row of the upper teeth in each column; NaN where there are none.

    The upper teeth are the first run of tooth pixels from the top; two pixels of gap end it, so
    that lower teeth don't count.
    """
    top, edge = np.full((2, teeth.shape[1]), np.nan)
    for column in range(teeth.shape[1]):
        rows = np.flatnonzero(teeth[:, column])
        if len(rows) < 3:
            continue
        gaps = np.flatnonzero(np.diff(rows) > 2)
        last = rows[gaps[0]] if len(gaps) else rows[-1]
        if last - rows[0] >= 3:
            top[column], edge[column] = rows[0], last + 0.5
    return top, edge


def _shade(top: Array, lips: Array) -> Array:
    """(w,) rows above which lip and its shadow hide the teeth, smooth along the lip.

    Where the band above the crowns is tall, it is gum, and nothing is hidden.
    """
    inside = np.argmax(lips > 0.5, axis=0).astype(np.float64)
    band = top - inside
    if np.nanmedian(band) > GUM_ROWS:
        return inside
    columns = np.flatnonzero(np.isfinite(band))
    band = np.interp(np.arange(len(band)), columns, band[columns], left=0, right=0)
    around = np.pad(band, 10, mode="edge")
    return inside + np.median(np.lib.stride_tricks.sliding_window_view(around, 21), axis=1) + 0.5


def dental_midline(image: Array, teeth: Array) -> float:
    """Column about which the teeth are most alike their mirror image, to half a pixel.

    Args:
        image: (h, w, 3) float32 RGB.
        teeth: (h, w) float32, 1 on teeth.
    """
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mask = (teeth > 0.5).astype(np.float32)
    detail = cv2.GaussianBlur(luma - cv2.GaussianBlur(luma, (0, 0), 5), (0, 0), 1) * mask
    width = luma.shape[1]
    best, best_score = (width - 1) / 2, -np.inf
    for twice in range(int(-2 * _MAX_MIDLINE), int(2 * _MAX_MIDLINE) + 1):
        mirror = width - 1 + twice - np.arange(width)
        columns = np.flatnonzero((mirror >= 0) & (mirror < width))
        a, b = detail[:, columns], detail[:, mirror[columns]]
        both = mask[:, columns] * mask[:, mirror[columns]]
        score = (a * b).sum() / np.sqrt((a * a * both).sum() * (b * b * both).sum() + 1e-9)
        score -= 0.0004 * twice**2  # of two equal axes, the one near the middle of the lips
        if score > best_score:
            best, best_score = (width - 1 + twice) / 2, score
    return best


def _neutralise(colour: Array, weight: Array) -> Array:
    """Bring the brightest teeth near one colour and the white level to 1."""
    colour = np.clip(colour, 0, 1)
    teeth = colour[weight > 0.5]
    bright = teeth[teeth.mean(axis=1) >= np.median(teeth.mean(axis=1))].mean(axis=0)
    gain = np.array(NEUTRAL_TEETH) / bright
    colour = colour * (gain / gain.mean()) ** NEUTRALISED
    return np.clip(colour / white_level(colour, weight), 0, 1.25).astype(np.float32)


def cut_strips(portraits: Path) -> list[Strip]:
    """Strips of all portraits (.jpg, .jpeg, .png) below a folder, in the order of their names."""
    paths = sorted(p for p in portraits.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    strips = []
    for path in paths:
        image = load_photo(path)
        faces = detect_faces(image)
        strip = cut_strip(image, faces[0]) if faces else None
        if strip is not None:
            strips.append(strip)
    logger.info("%d portraits, %d strips of clean teeth", len(paths), len(strips))
    return strips


def stack_strips(strips: Sequence[Strip]) -> Array:
    """(2 n, 5, 48, 128) float32: colour, alpha, visible; each strip and its mirror image."""
    layers = np.stack([np.dstack([s.colour, s.alpha, s.visible]) for s in strips])
    layers = np.concatenate([layers, layers[:, :, ::-1]])
    return np.ascontiguousarray(layers.transpose(0, 3, 1, 2))
