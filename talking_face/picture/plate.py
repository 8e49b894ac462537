"""The plate: the part of the photo that is animated, at the size at which it is shown.

A plate is cut once per face, framing and size. In the "crop" framing it is a square around head and
shoulders and is itself the output. In the "photo" framing the whole photo is the output, and the
plate is a window of it that the animated pixels are put back into; nothing moves at its border.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from talking_face.arrays import Array, Float32, UInt8
from talking_face.curves import smoothstep
from talking_face.face.face import Face
from talking_face.face.model import Pose
from talking_face.options import Framing
from talking_face.picture.matte import separate

CROP_SIZE = 512  # pixels, side of the crop
PHOTO_SIDE = 1920  # pixels, longest side of the output in the photo framing
CROP_SIDE = 3.8  # canonical units (inter-ocular distances): head and shoulders
PLATE_SIDE = 6.0  # the same for the window in the photo framing
MARGIN = 0.5  # canonical units around the window that can come into view
# The same beyond the photo's border, over which a person whom it cuts off ends; the radius of a
# head with its hair, and how soft its edge is.
ENDING = (0.1, 0.3)
HEAD, SOFT = 0.9, 0.03
CENTRE = np.array([0.0, 0.5, 0.2])  # canonical; midway between the top of the hair and the collar


@dataclass(frozen=True, eq=False)
class Plate:
    """See the module.

    Attributes:
        image: (h, w, 3) uint8 RGB, the window that moves.
        pose: from the canonical frame to the window's pixels.
        canvas: (H, W, 3) uint8 RGB, the whole output at rest; the image itself in a crop.
        left, top: where the window lies in the canvas.
        margin: pixels around the window that can come into view when the head moves.
        wide: (h + 2 margin, w + 2 margin, 3) uint8 RGB, the window with its margin, mirrored where
            the photo ends.
        person: of the same size, float32 0..1, how far each pixel belongs to the person.
        background: (h, w, 3) uint8 RGB, the window with the person painted over from around; None
            where the person could not be told from the background.
        replaced: the background is another one than the photo's; see
            `talking_face.picture.backdrop`.
    """

    image: UInt8
    pose: Pose
    canvas: UInt8
    left: int
    top: int
    margin: int
    wide: UInt8
    person: Float32
    background: UInt8 | None
    replaced: bool = False

    def place(self, window: Array) -> Array:
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


def _shrink(photo: Array, width: int, height: int) -> Array:
    shrinking = width < photo.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return cv2.resize(photo, (width, height), interpolation=method)


def _cut_crop(face: Face, size: int) -> Plate:
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
    # The scaled photo is nowhere smaller than the crop, and the crop lies on its whole pixels.
    left, top = (middle - half).astype(int)
    image = photo[top : top + size, left : left + size].copy()
    pose = _move(face.pose, ratio, middle - half)
    return Plate(image, pose, image, 0, 0, *_surround(photo, left, top, size, size, pose, face))


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
    around = _surround(canvas, left, top, right - left, bottom - top, pose, face)
    return Plate(image, pose, canvas, int(left), int(top), *around)


def _surround(
    photo: Array, left: int, top: int, width: int, height: int, pose: Pose, face: Face
) -> tuple[int, Array, Array, Array | None]:
    """Margin, wide image, person and background of a window of the photo; see `Plate`."""
    unit = float(pose.scale)
    margin = min(round(MARGIN * unit), width - 1, height - 1)
    x0, y0 = max(left - margin, 0), max(top - margin, 0)
    x1 = min(left + width + margin, photo.shape[1])
    y1 = min(top + height + margin, photo.shape[0])
    image = np.ascontiguousarray(photo[y0:y1, x0:x1])
    here = pose.project(face.shape) + np.array([left - x0, top - y0, 0])
    person, own, background = separate(image, here)
    pad = (
        margin - (top - y0),
        margin - (y1 - top - height),
        margin - (left - x0),
        margin - (x1 - left - width),
    )
    wide = cv2.copyMakeBorder(image, *pad, cv2.BORDER_REFLECT_101)
    person = np.asarray(cv2.copyMakeBorder(person, *pad, cv2.BORDER_REPLICATE))
    # What the photo cuts off goes on for a little and ends softly, a head round.
    inside = np.zeros(image.shape[:2], dtype=np.uint8)
    beyond = cv2.copyMakeBorder(inside, *pad, cv2.BORDER_CONSTANT, value=(1,))
    ending = smoothstep(cv2.distanceTransform(beyond, cv2.DIST_L2, 5) / unit, *ENDING)
    person = person * (1 - ending)
    if pad[0] > 0:
        own = cv2.copyMakeBorder(own[:1], 0, 0, *pad[2:], cv2.BORDER_REPLICATE)[0]
        person[: pad[0]] *= crown(person[pad[0]], own, pad[0], unit)
    if background is image:
        return margin, wide, person, None
    window = background[top - y0 : top - y0 + height, left - x0 : left - x0 + width]
    return margin, wide, person, np.ascontiguousarray(window)


def crown(person: Array, own: Array, rows: int, unit: float) -> Array:
    """How heads that a photo cuts off at its top go on above it: as a circle does.

    Args:
        person: (w,) float32 0..1 of the photo's first row, with a rim that goes with the person.
        own: (w,) the same without that rim: hair that ends just before the photo does isn't cut.
        rows: above that one.
        unit: inter-ocular distance, pixels.

    Returns:
        (rows, w) float32 0..1.
    """
    width = len(person)
    goes_on = np.zeros((rows, width), dtype=np.float32)
    y, x = np.mgrid[rows:0:-1, :width]
    ends = np.flatnonzero(np.diff(np.pad(person > 0.5, 1))).reshape(-1, 2)
    for first, last in ends.tolist():
        if own[first:last].max() <= 0.5:
            continue
        if (first, last) == (0, width):
            return np.ones_like(goes_on)
        # A side that the photo cuts off, too, is as far away as the other one.
        left = first if first > 0 else 2 * first - last
        right = last if last < width else 2 * last - first
        half = (right - left) / 2
        radius = max(HEAD * unit, half)
        away = np.hypot(x + 0.5 - (left + right) / 2, y + np.sqrt(radius**2 - half**2))
        goes_on = np.maximum(goes_on, np.clip((radius - away) / (SOFT * unit) + 0.5, 0, 1))
    return np.asarray(goes_on, dtype=np.float32)


def _move(pose: Pose, ratio: Array, offset: Array) -> Pose:
    """A pose after scaling the photo by `ratio` and cutting away `offset` pixels."""
    scale = float(ratio.mean())
    origin = pose.origin * scale
    origin[:2] = (pose.origin[:2] + 0.5) * ratio - 0.5 - offset
    return Pose(pose.rotation, np.asarray(pose.scale * scale), origin)
