"""The light of a photo: what teeth and flesh would look like in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from talking_face.plate import Plate

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
IVORY = np.array([1.0, 0.97, 0.91], dtype=np.float32)  # teeth in white light
CHEEKS = [50, 280, 205, 425, 101, 330]
LIPS = [0, 17, 37, 267, 84, 314]
WHITES_OF_EYES = [(33, 471), (133, 469), (362, 476), (263, 474)]  # halfway between corner and iris
MAX_TEETH = 0.95  # brightest teeth, of full white


@dataclass(frozen=True)
class Light:
    """Colours (3,) float32 RGB 0..1.

    Attributes:
        teeth: well-lit teeth.
        flesh: tongue and gums.
        cavity: the back of the mouth.
    """

    teeth: np.ndarray
    flesh: np.ndarray
    cavity: np.ndarray


def read_light(plate: Plate, shape: np.ndarray) -> Light:
    """Estimate a photo's light from its skin, lips and the whites of its eyes.

    Args:
        shape: (478, 3) the face as photographed, canonical.
    """
    points = plate.pose.project(shape)[:, :2]
    image = cv2.GaussianBlur(plate.image, (0, 0), 1.5).astype(np.float32) / 255
    skin = _median(image, points[CHEEKS])
    lips = _median(image, points[LIPS])
    white = _median(image, np.array([(points[a] + points[b]) / 2 for a, b in WHITES_OF_EYES]))
    # Teeth are as bright as the eyes' whites, and vary less than skin does from person to person.
    level = 0.5 * (0.55 * (skin @ LUMA) + 0.44) + 0.5 * min(1.3 * float(white @ LUMA), MAX_TEETH)
    tint = 0.7 * IVORY + 0.3 * np.clip(white / max(float(white @ LUMA), 1e-3), 0.85, 1.2)
    flesh = 0.5 * lips + 0.5 * skin * np.array([0.8, 0.45, 0.45], dtype=np.float32)
    colourful = np.clip(np.ptp(skin) / 0.08, 0, 1)  # a grey photo gets a grey mouth
    tint = colourful * tint + (1 - colourful)
    flesh = colourful * flesh + (1 - colourful) * (flesh @ LUMA)
    return Light(
        teeth=(level * tint / (tint @ LUMA)).astype(np.float32),
        flesh=flesh.astype(np.float32),
        cavity=(0.26 * flesh).astype(np.float32),
    )


def _median(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    x, y = np.round(points).astype(int).T
    colours = image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return np.median(colours, axis=0).astype(np.float32)
