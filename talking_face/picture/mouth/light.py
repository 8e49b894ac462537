"""The light and the sharpness of a photo: what teeth and flesh would look like in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import FACE_OVAL
from talking_face.picture.brush import polygon_mask
from talking_face.picture.plate import Plate

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
IVORY = np.array([1.04, 1.0, 0.92], dtype=np.float32)  # teeth in white light, brightness 1
PINK = np.array([1.25, 0.88, 0.9], dtype=np.float32)  # a tongue beside skin
COLOURED = 0.08  # spread of a skin's red, green and blue, from which a photo counts as coloured
# How far colours of a face stray from one that goes with their brightness, in nine tenths of its
# pixels, over their mean brightness. Sepia and other prints of one tone, saved as JPEGs: at most
# 0.024 of 65 portraits; photographs, be they in warm or little light: 0.039 or more.
ONE_TONE = (0.024, 0.038)
TONE_SMOOTH = 0.03  # inter-ocular distances, over which the noise of colours is taken out
TONE_UNIT = 60.0  # pixels of an inter-ocular distance in the copy that is looked at
TONES = 32  # steps of brightness in which a tone is known
CHEEKS = [50, 280, 205, 425, 101, 330]
LIPS = [0, 17, 37, 267, 84, 314]
LOWER_FACE = [61, 291, 0, 17, 2, 152, 50, 280, 205, 425]
# Measured on portraits: strength of details of one pixel over that of two, and the blur behind it.
FINE_OF_COARSE = [0.46, 0.5, 0.57, 0.65, 0.75, 0.95, 1.2, 1.9]
BLURS = [2.6, 1.7, 1.25, 1.0, 0.8, 0.65, 0.5, 0.0]  # pixels

# Measured on 438 frames of talking people, mouth open wide: the brightest and the darkest tenth
# inside it go with the brightness of the lips (and of the skin, which says less).
TEETH_OF_LIPS, TEETH_OF_SKIN, TEETH_AT_LEAST = 0.8, 0.15, 0.16
CAVITY_OF_LIPS = 0.36
# The least is for dark skin in good light. What says how good the light is are the brightest two
# in a hundred pixels of a face, shine and eyes: on 82 portraits at 0.63 or above, mostly at 0.8.
BRIGHTEST = 98
DARK, WELL_LIT, USUAL = 0.4, 0.55, 0.8


@dataclass(frozen=True, eq=False)
class Tone:
    """The colours of a photo, as far as they go with its brightness.

    Attributes:
        luma: (n,) float32 0..1, growing.
        tint: (n, 3) float32, what colours have at each beyond grey.
        coloured: 0 for a photo of one tone, such as a grey or a brown print, 1 for others.
    """

    luma: Array
    tint: Array
    coloured: float

    def of(self, colour: Array) -> Array:
        """Colours (..., 3) RGB 0..1 as the photo has them: its own tone where it has but one."""
        luma = colour @ LUMA
        tint = np.stack([np.interp(luma, self.luma, self.tint[:, k]) for k in range(3)], axis=-1)
        tint *= np.minimum(luma / self.luma[0], 1.0)[..., None]
        own = np.maximum(luma[..., None] + tint, 0.0)
        return np.asarray(own + self.coloured * (colour - own), dtype=np.float32)


GREY = Tone(np.ones(1, np.float32), np.zeros((1, 3), np.float32), 1.0)


@dataclass(frozen=True, eq=False)
class Light:
    """Colours are (3,) float32 RGB 0..1.

    Attributes:
        teeth: well-lit teeth.
        flesh: tongue and gums.
        cavity: the back of the mouth.
        skin, lips: as the photo shows them.
        blur: standard deviation of the photo's own blur around the mouth, plate pixels; 0 where
            it is sharp.
        tone: of the whole face.
    """

    teeth: Array
    flesh: Array
    cavity: Array
    skin: Array
    lips: Array
    blur: float
    tone: Tone = GREY

    @property
    def coloured(self) -> float:
        """0 for a grey photo, or one of one tone, 1 for a coloured one."""
        return _coloured(self.skin, self.tone)

    @property
    def bounced(self) -> Array:
        """What flesh does to the colour of light that it reflects, (3,) RGB; its luma is 1."""
        tint = self.flesh / np.maximum(self.teeth, 1e-3)  # teeth are white
        tint = 1 + self.coloured * (tint / max(float(tint @ LUMA), 1e-3) - 1)
        return np.asarray(tint, dtype=np.float32)


def read_light(plate: Plate, shape: Array) -> Light:
    """Estimate a photo's light and sharpness from its skin and lips.

    Args:
        shape: (478, 3) the face as photographed, canonical.
    """
    points = plate.pose.project(shape)[:, :2]
    image = cv2.GaussianBlur(plate.image, (0, 0), 1.0).astype(np.float32) / 255
    skin, lips = _median(image, points[CHEEKS]), _median(image, points[LIPS])
    skin_level, lip_level = float(skin @ LUMA), float(lips @ LUMA)
    lip_colour = lips / max(lip_level, 1e-3)
    least = TEETH_AT_LEAST * _exposure(image, points)
    level = TEETH_OF_LIPS * lip_level + TEETH_OF_SKIN * skin_level + least
    # Teeth take half of the warmth of the skin's light; the cavity is redder than the lips.
    tint = 0.35 * skin / max(skin_level, 1e-3) + 0.65 * IVORY
    tone = read_tone(plate.image, points, float(plate.pose.scale))
    tone = replace(tone, coloured=_coloured(skin, tone))
    coloured = tone.coloured
    tint = 1 + coloured * (tint - 1)  # a grey photo gets grey teeth
    # A tongue has the lips' colour in part only: they may be painted.
    pink = 1 + coloured * (PINK - 1)
    flesh = 0.5 * lip_colour**1.5 + 0.5 * pink * skin / max(skin_level, 1e-3)
    deep = flesh**1.5
    return Light(
        teeth=tone.of(level * tint / (tint @ LUMA)),
        flesh=tone.of(0.8 * lip_level * flesh),
        cavity=tone.of(CAVITY_OF_LIPS * lip_level * deep / (deep @ LUMA)),
        skin=skin,
        lips=lips,
        blur=blur_of(plate.image, points),
        tone=tone,
    )


def read_tone(image: Array, points: Array, unit: float) -> Tone:
    """What the colours of a face have in common.

    Args:
        image: (h, w, 3) uint8 RGB.
        points: (478, 2) landmarks, pixels.
        unit: inter-ocular distance, pixels.
    """
    scale = min(1.0, TONE_UNIT / unit)
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(small, (0, 0), max(TONE_SMOOTH * scale * unit, 1.0))
    height, width = small.shape[:2]
    colours = smooth[polygon_mask(scale * points[list(FACE_OVAL)], height, width, 0.0) > 0.5]
    colours = colours.astype(np.float32) / 255
    luma = colours @ LUMA
    if luma.size < TONES:
        return GREY
    powers = np.arange(4)
    curve = np.linalg.lstsq(luma[:, None] ** powers, colours, rcond=None)[0]
    away = np.linalg.norm(colours - luma[:, None] ** powers @ curve, axis=1)
    spread = float(np.percentile(away, 90)) / max(float(luma.mean()), 1e-3)
    low, high = np.maximum(np.percentile(luma, (2, 98)), 1e-3)
    steps = np.linspace(low, max(high, low + 1e-3), TONES)
    tint = steps[:, None] ** powers @ curve - steps[:, None]
    coloured = float(smoothstep(spread, *ONE_TONE))
    return Tone(steps.astype(np.float32), tint.astype(np.float32), coloured)


def _coloured(skin: Array, tone: Tone) -> float:
    return min(float(np.clip(np.ptp(skin) / COLOURED, 0, 1)), tone.coloured)


def blur_of(image: Array, points: Array) -> float:
    """How blurred the lower face of a photo is, standard deviation in pixels.

    In a sharp photo the finest details are as strong as those twice as coarse, or stronger; a blur
    takes the finest first.

    Args:
        points: (478, 2) landmarks, pixels.
    """
    place = points[LOWER_FACE]
    x0, y0 = np.maximum(place.min(0), 0).astype(int)
    x1, y1 = place.max(0).astype(int) + 1
    grey = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.GaussianBlur(grey, (0, 0), 2.0)
    ratio = (grey - fine).std() / max(float((fine - coarse).std()), 1e-3)
    return float(np.interp(ratio, FINE_OF_COARSE, BLURS))


def _exposure(image: Array, points: Array) -> float:
    """The light of an underexposed photo over that of a usual one; 1 for all others."""
    height, width = image.shape[:2]
    x0, y0 = np.clip(points.min(0), 0, (width - 1, height - 1)).astype(int)
    x1, y1 = points.max(0).astype(int) + 1
    brightest = float(np.percentile(image[y0:y1, x0:x1] @ LUMA, BRIGHTEST))
    return float(np.interp(brightest, [0.0, DARK, WELL_LIT], [0.0, DARK / USUAL, 1.0]))


def _median(image: Array, points: Array) -> Array:
    height, width = image.shape[:2]
    x, y = np.round(points).astype(int).T
    colours = image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return np.median(colours, axis=0).astype(np.float32)
