"""Telling the person in a photo from the background, and painting the background without them."""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.landmarks import FACE_OVAL
from talking_face.paint import polygon_mask, smoothstep, spread

EDGE = 0.06  # inter-ocular distances, how far the person's edge is searched for and widened


def separate(image: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell the person from the background; and paint the person over.

    MediaPipe's selfie network, its edge drawn to the image's own by a guided filter. Where it
    doesn't even see the face (some drawings), there is one layer only.

    Args:
        image: (h, w, 3) uint8 RGB.
        landmarks: (478, 3) pixels.

    Returns:
        (h, w) float32 0..1, how far each pixel belongs to the person; and (h, w, 3) uint8, the
        background. All 1 and the image itself where there is one layer only.
    """
    seen = see_person(image)
    unit = float(np.linalg.norm(landmarks[33] - landmarks[263]))
    height, width = image.shape[:2]
    face = polygon_mask(landmarks[list(FACE_OVAL), :2], height, width, 1.0)
    if (seen * face).sum() < 0.8 * face.sum():
        return np.ones((height, width), dtype=np.float32), image
    radius = max(2, round(EDGE * unit))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (radius | 1, radius | 1))
    # A rim of background goes with the person, so that no strand of hair stays behind.
    wide = np.asarray(cv2.dilate(np.maximum(seen, face), kernel), dtype=np.float32)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    person = smoothstep(guided_filter(grey, wide, radius), 0.15, 0.85).astype(np.float32)
    person = np.maximum(person, face)
    person[person < 0.004] = 0
    background = spread(image.astype(np.float32), person == 0)
    return person, np.clip(np.rint(background), 0, 255).astype(np.uint8)


def see_person(image: np.ndarray) -> np.ndarray:
    """What MediaPipe's selfie network thinks is person, (h, w) float32 0..1, of (h, w, 3) uint8."""
    from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

    with SelfieSegmentation(model_selection=0) as network:
        return np.asarray(network.process(np.ascontiguousarray(image)).segmentation_mask)


def guided_filter(guide: np.ndarray, mask: np.ndarray, radius: int) -> np.ndarray:
    """Fit a mask's edges to those of an image (He, Sun and Tang, ECCV 2010).

    Args:
        guide: (h, w) float32 0..1. mask: (h, w) float32 0..1. radius: pixels.
    """
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.blur(values, size))

    mean_guide, mean_mask = mean(guide), mean(mask)
    variance = mean(guide * guide) - mean_guide**2
    slope = (mean(guide * mask) - mean_guide * mean_mask) / (variance + 1e-3)
    return mean(slope) * guide + mean(mean_mask - slope * mean_guide)
