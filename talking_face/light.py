"""The light and the sharpness of a photo: what teeth and flesh would look like in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from talking_face.plate import Plate

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
IVORY = np.array([1.04, 1.0, 0.92], dtype=np.float32)  # teeth in white light, brightness 1
CHEEKS = [50, 280, 205, 425, 101, 330]
LIPS = [0, 17, 37, 267, 84, 314]
SHARP = 0.8  # pixels of blur that a sharp photo has

# Measured on 438 frames of talking people, mouth open wide: the brightest and the darkest tenth
# inside it go with the brightness of the lips (and of the skin, which says less).
TEETH_OF_LIPS, TEETH_OF_SKIN, TEETH_AT_LEAST = 0.8, 0.15, 0.16
CAVITY_OF_LIPS = 0.36


@dataclass(frozen=True)
class Light:
    """Colours are (3,) float32 RGB 0..1.

    Attributes:
        teeth: well-lit teeth.
        flesh: tongue and gums.
        cavity: the back of the mouth.
        blur: standard deviation of the photo's own blur around the mouth, plate pixels; 0 where
            it is sharp.
    """

    teeth: np.ndarray
    flesh: np.ndarray
    cavity: np.ndarray
    blur: float


def read_light(plate: Plate, shape: np.ndarray) -> Light:
    """Estimate a photo's light and sharpness from its skin and lips.

    Args:
        shape: (478, 3) the face as photographed, canonical.
    """
    points = plate.pose.project(shape)[:, :2]
    image = cv2.GaussianBlur(plate.image, (0, 0), 1.0).astype(np.float32) / 255
    skin, lips = _median(image, points[CHEEKS]), _median(image, points[LIPS])
    skin_level, lip_level = float(skin @ LUMA), float(lips @ LUMA)
    lip_colour = lips / max(lip_level, 1e-3)
    level = TEETH_OF_LIPS * lip_level + TEETH_OF_SKIN * skin_level + TEETH_AT_LEAST
    # Teeth take half of the warmth of the skin's light; the cavity is redder than the lips.
    tint = 0.35 * skin / max(skin_level, 1e-3) + 0.65 * IVORY
    tint = 1 + np.clip(np.ptp(skin) / 0.08, 0, 1) * (tint - 1)  # a grey photo gets grey teeth
    deep = lip_colour**2
    return Light(
        teeth=(level * tint / (tint @ LUMA)).astype(np.float32),
        flesh=(0.8 * lip_level * lip_colour**1.5).astype(np.float32),
        cavity=(CAVITY_OF_LIPS * lip_level * deep / (deep @ LUMA)).astype(np.float32),
        blur=float(np.sqrt(max(edge_blur(plate.image, points) ** 2 - SHARP**2, 0.0))),
    )


def edge_blur(image: np.ndarray, points: np.ndarray) -> float:
    """How blurred the sharpest edges of a face are, standard deviation in pixels.

    A step blurred by a Gaussian has slopes of at most 0.40 / s and curvatures of at most 0.24 / s²
    of its height, so that their ratio tells s.

    Args:
        points: (478, 2) landmarks, pixels.
    """
    x0, y0 = np.maximum(points.min(0), 0).astype(int)
    x1, y1 = points.max(0).astype(int) + 1
    grey = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY).astype(np.float32)
    slope = np.hypot(cv2.Sobel(grey, -1, 1, 0, scale=1 / 8), cv2.Sobel(grey, -1, 0, 1, scale=1 / 8))
    curvature = np.abs(cv2.Laplacian(grey, -1))
    steep, bent = np.percentile(slope, 99), np.percentile(curvature, 99)
    return float(0.607 * steep / max(bent, 1e-3))


def _median(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    x, y = np.round(points).astype(int).T
    colours = image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return np.median(colours, axis=0).astype(np.float32)
