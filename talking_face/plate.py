"""The plate: the part of the photo that is animated, at the size at which it is shown.

A plate is cut once per face, framing and size. In the "crop" framing it is a square around head and
shoulders and is itself the output. In the "photo" framing the whole photo is the output, and the
plate is a window of it that the animated pixels are put back into; nothing moves at its border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from talking_face.face import Face
from talking_face.face_model import Pose
from talking_face.landmarks import FACE_OVAL
from talking_face.paint import polygon_mask, smoothstep, spread

Framing = Literal["crop", "photo"]

CROP_SIZE = 512  # pixels, side of the crop
PHOTO_SIDE = 1920  # pixels, longest side of the output in the photo framing
CROP_SIDE = 3.8  # canonical units (inter-ocular distances): head and shoulders
PLATE_SIDE = 6.0  # the same for the window in the photo framing
MATTE_EDGE = 0.06  # canonical units, how far the person's edge is searched for and widened
CENTRE = np.array([0.0, 0.5, 0.2])  # canonical; midway between the top of the hair and the collar


@dataclass(frozen=True)
class Plate:
    """See the module.

    Attributes:
        image: (h, w, 3) uint8 RGB, the window that moves.
        pose: from the canonical frame to the window's pixels.
        canvas: (H, W, 3) uint8 RGB, the whole output at rest; the image itself in a crop.
        left, top: where the window lies in the canvas.
        person: (h, w) float32 0..1, how far each pixel belongs to the person; all 1 where the
            person could not be told from the background.
        background: (h, w, 3) uint8 RGB, the image with the person painted over from around.
    """

    image: np.ndarray
    pose: Pose
    canvas: np.ndarray
    left: int
    top: int
    person: np.ndarray
    background: np.ndarray

    def place(self, window: np.ndarray) -> np.ndarray:
        """Put an animated window (h, w, 3) back into the canvas."""
        if window.shape == self.canvas.shape:
            return window
        frame = self.canvas.copy()
        height, width = window.shape[:2]
        frame[self.top : self.top + height, self.left : self.left + width] = window
        return frame


def cut_plate(face: Face, framing: Framing = "crop", size: int | None = None) -> Plate:
    """Cut the plate out of a face's photo.

    Args:
        framing: "crop" or "photo".
        size: side of the crop, or longest side of the photo, in pixels; rounded down to even.
    """
    if framing == "crop":
        return _cut_crop(face, (size or CROP_SIZE) // 2 * 2)
    return _cut_photo(face, size or PHOTO_SIDE)


def _shrink(photo: np.ndarray, width: int, height: int) -> np.ndarray:
    shrinking = width < photo.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return cv2.resize(photo, (width, height), interpolation=method)


def _cut_crop(face: Face, size: int) -> Plate:
    from insightface.utils import face_align

    height, width = face.photo.shape[:2]
    side = min(CROP_SIDE * float(face.pose.scale), height, width)
    centre = face.pose.project(CENTRE[None])[0, :2]
    centre = np.clip(centre, side / 2, np.array([width, height]) - side / 2)
    scale = size / side
    photo = face.photo
    if scale != 1.0:
        photo = _shrink(photo, round(width * scale), round(height * scale))
    ratio = np.array([photo.shape[1] / width, photo.shape[0] / height])
    half = size / 2
    limit = np.array([photo.shape[1], photo.shape[0]]) - half
    middle = np.clip(np.round(centre * ratio), half, np.maximum(limit, half))
    # At scale 1 and on whole pixels the alignment is a copy: no second resampling.
    image, _ = face_align.transform(photo, middle, size, 1.0, 0.0)
    pose = _move(face.pose, ratio, middle - half)
    return Plate(image, pose, image, 0, 0, *separate(image, pose.project(face.shape)))


def _cut_photo(face: Face, longest: int) -> Plate:
    height, width = face.photo.shape[:2]
    scale = min(1.0, longest / max(height, width))
    new_width, new_height = max(int(width * scale), 2), max(int(height * scale), 2)
    canvas = face.photo
    if scale != 1.0:
        canvas = _shrink(canvas, new_width, new_height)
    # Even sizes are what H.264 with 4:2:0 colour can hold; an odd last row or column goes.
    canvas = np.ascontiguousarray(canvas[: new_height // 2 * 2, : new_width // 2 * 2])
    ratio = np.array([new_width / width, new_height / height])
    pose = _move(face.pose, ratio, np.zeros(2))
    centre = pose.project(CENTRE[None])[0, :2]
    half = PLATE_SIDE * float(pose.scale) / 2
    left, top = np.maximum(np.floor(centre - half), 0).astype(int)
    right, bottom = np.minimum(np.ceil(centre + half), canvas.shape[1::-1]).astype(int)
    image = np.ascontiguousarray(canvas[top:bottom, left:right])
    pose = _move(pose, np.ones(2), np.array([left, top]))
    layers = separate(image, pose.project(face.shape))
    return Plate(image, pose, canvas, int(left), int(top), *layers)


def _move(pose: Pose, ratio: np.ndarray, offset: np.ndarray) -> Pose:
    """A pose after scaling the photo by `ratio` and cutting away `offset` pixels."""
    scale = float(ratio.mean())
    origin = pose.origin * scale
    origin[:2] = (pose.origin[:2] + 0.5) * ratio - 0.5 - offset
    return Pose(pose.rotation, pose.scale * scale, origin)


def separate(image: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell the person from the background; returns `Plate.person` and `Plate.background`.

    MediaPipe's selfie network, its edge drawn to the image's own by a guided filter. Where it
    doesn't even see the face (some drawings), there is one layer only.

    Args:
        landmarks: (478, 3) pixels.
    """
    from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

    with SelfieSegmentation(model_selection=0) as network:
        seen = network.process(np.ascontiguousarray(image)).segmentation_mask
    unit = float(np.linalg.norm(landmarks[33] - landmarks[263]))
    height, width = image.shape[:2]
    face = polygon_mask(landmarks[list(FACE_OVAL), :2], height, width, 1.0)
    if (seen * face).sum() < 0.8 * face.sum():
        return np.ones((height, width), dtype=np.float32), image
    radius = max(2, round(MATTE_EDGE * unit))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (radius | 1, radius | 1))
    # A rim of background goes with the person, so that no strand of hair stays behind.
    wide = np.asarray(cv2.dilate(np.maximum(seen, face), kernel), dtype=np.float32)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    person = smoothstep(guided_filter(grey, wide, radius), 0.15, 0.85).astype(np.float32)
    person = np.maximum(person, face)
    person[person < 0.004] = 0
    background = spread(image.astype(np.float32), person == 0)
    return person, np.clip(np.rint(background), 0, 255).astype(np.uint8)


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
