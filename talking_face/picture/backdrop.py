"""Another background: cutting the person out of a plate, and laying them over something else.

A pixel at the edge of hair is a mixture I = α F + (1 - α) B of person and background. α is the
selfie network's answer with its edge drawn to the image's own; F is estimated too, so that the old
background doesn't shine through strands of hair.
"""

from __future__ import annotations

import dataclasses
import re

import cv2
import numpy as np

from talking_face.errors import OptionInvalid
from talking_face.face.landmarks import FACE_OVAL
from talking_face.face.photo import MIN_SIDE, PhotoSource, load_photo
from talking_face.picture.brush import polygon_mask, smoothstep
from talking_face.picture.matte import see_person
from talking_face.picture.plate import Plate

EDGE = 0.06  # inter-ocular distances over which the network's edge is drawn to the image's
RIDGE = 1e-3  # of the guided filter: edges fainter than this variance of colour are not followed
FINE = 4  # pixels: the radius to which a larger one is scaled down
SURE = (0.15, 0.9)  # from the network's doubt to nothing or all of a pixel
AROUND = (0.27, 0.035)  # inter-ocular distances around a pixel where F and B are looked for
BODY, ABOVE = 20.0, 4.0  # inter-ocular distances: side of what is looked at, and above the face
SEAM = 0.5  # inter-ocular distances over which the window's cut-out becomes the whole photo's

COLOUR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


def load_backdrop(background: PhotoSource) -> np.ndarray:
    """The picture to be put behind a person.

    Args:
        background: a colour "#rrggbb", or an image; see `load_photo`.

    Returns:
        (h, w, 3) uint8 RGB; of a colour, a small square.

    Raises:
        OptionInvalid: begins with # and is not a colour.
        PhotoUnreadable: not an image that can be read.
    """
    if isinstance(background, str) and background.startswith("#"):
        match = COLOUR.fullmatch(background)
        if not match:
            raise OptionInvalid(
                f'"{background:.20}" is not a colour. Write # and six hexadecimal digits, such as '
                "#1e90ff, or give the path of an image."
            )
        colour = [int(part, 16) for part in match.groups()]
        return np.full((MIN_SIDE, MIN_SIDE, 3), colour, dtype=np.uint8)
    return load_photo(background)


def replace_background(plate: Plate, landmarks: np.ndarray, backdrop: np.ndarray) -> Plate:
    """A plate whose person stands before something else.

    Args:
        plate: of `cut_plate`.
        landmarks: (478, 2 or more) in the plate's image, pixels.
        backdrop: (h, w, 3) uint8 RGB; scaled to fill the output and cut to its shape.

    Raises:
        OptionInvalid: the person can't be told from the background, as in some drawings.
    """
    if plate.background is None:
        raise OptionInvalid(
            "The person in this photo can't be told from the background, so the background can't "
            "be replaced. Keep it, or use a photo with a plainer background."
        )
    margin, unit = plate.margin, float(plate.pose.scale)
    height, width = plate.image.shape[:2]
    behind = fill(backdrop, *plate.canvas.shape[:2])
    alpha, colour = cut_out(plate.wide, landmarks[:, :2] + margin, unit)
    alpha = np.minimum(alpha, plate.person)
    window = np.s_[margin : margin + height, margin : margin + width]
    place = np.s_[plate.top : plate.top + height, plate.left : plate.left + width]
    if plate.canvas.shape == plate.image.shape:
        whole_alpha, whole_colour = alpha[window], colour[window]
    else:
        # A small face in a large photo is a few cells of the network: look at it by itself.
        corner = np.array([plate.left, plate.top])
        whole_alpha, whole_colour = _cut_body(plate.canvas, landmarks[:, :2] + corner, unit)
        near = _inside(plate, SEAM * unit)
        for whole, part in ((whole_alpha, alpha), (whole_colour, colour)):
            weight = near if whole.ndim == 2 else near[..., None]
            whole[place] += weight * (part[window] - whole[place])
            part[window] = whole[place]
    canvas = cv2.blendLinear(_rounded(whole_colour), behind, whole_alpha, 1 - whole_alpha)
    return dataclasses.replace(
        plate,
        canvas=canvas,
        wide=_rounded(colour),
        person=alpha,
        background=np.ascontiguousarray(behind[place]),
        replaced=True,
    )


def fill(backdrop: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle of a picture, scaled to fill (height, width, 3)."""
    scale = max(height / backdrop.shape[0], width / backdrop.shape[1])
    rows, columns = (max(round(side / scale), 1) for side in (height, width))
    top, left = (backdrop.shape[0] - rows) // 2, (backdrop.shape[1] - columns) // 2
    middle = backdrop[max(top, 0) :, max(left, 0) :][:rows, :columns]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(middle, (width, height), interpolation=method))


def cut_out(image: np.ndarray, landmarks: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """How far each pixel is person, (h, w) float32 0..1; and the person's colours.

    Args:
        image: (h, w, 3) uint8 RGB.
        landmarks: (478, 2) pixels.
        unit: inter-ocular distance, pixels.

    Returns:
        α (h, w) float32 0..1 and F (h, w, 3) float32 0..255.
    """
    height, width = image.shape[:2]
    pixels = image.astype(np.float32)
    seen = see_person(image)
    alpha = colour_guided_filter(pixels / 255, seen, max(2, round(EDGE * unit)))
    alpha = smoothstep(alpha, *SURE).astype(np.float32)
    face = polygon_mask(landmarks[list(FACE_OVAL)], height, width, 1.0)
    alpha = _in_one_piece(np.maximum(alpha, face), face, 2 * max(2, round(EDGE * unit)))
    return alpha, _own_colours(pixels, alpha, unit)


def _cut_body(
    image: np.ndarray, landmarks: np.ndarray, unit: float
) -> tuple[np.ndarray, np.ndarray]:
    """`cut_out` of the part of a photo that a body below the face can fill; the rest isn't it."""
    height, width = image.shape[:2]
    x, y = landmarks.mean(0)
    left, right = max(int(x - BODY / 2 * unit), 0), min(int(x + BODY / 2 * unit), width)
    top, bottom = max(int(y - ABOVE * unit), 0), min(int(y + (BODY - ABOVE) * unit), height)
    part = np.s_[top:bottom, left:right]
    alpha = np.zeros((height, width), dtype=np.float32)
    colour = image.astype(np.float32)
    alpha[part], colour[part] = cut_out(image[part], landmarks - (left, top), unit)
    return alpha, colour


def _in_one_piece(alpha: np.ndarray, face: np.ndarray, reach: int) -> np.ndarray:
    """What is not near the piece of the cut-out that holds the face is not the person."""
    _, labels = cv2.connectedComponents((alpha > 0.5).astype(np.uint8))
    row, column = np.unravel_index(int(np.argmax(face)), face.shape)
    piece = (labels == labels[row, column]).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near = cv2.blur(cv2.dilate(piece, kernel).astype(np.float32), (reach, reach))
    alpha = alpha * near
    alpha[alpha < 0.01] = 0
    return np.asarray(alpha, dtype=np.float32)


def colour_guided_filter(guide: np.ndarray, mask: np.ndarray, radius: int) -> np.ndarray:
    """Fit a mask's edges to those of a colour image (He, Sun and Tang, ECCV 2010, section 3.4).

    Where the radius is large, the linear models are found on a smaller image (He and Sun, "Fast
    guided filter", 2015).

    Args:
        guide: (h, w, 3) float32 0..1. mask: (h, w) float32 0..1. radius: pixels.
    """
    large = guide
    if radius > FINE:
        scale = FINE / radius
        guide, mask = (
            np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
            for image in (guide, mask)
        )
        radius = FINE
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.blur(values, size))

    mean_guide, mean_mask = mean(guide), mean(mask)
    covariance = mean(guide * mask[..., None]) - mean_guide * mean_mask[..., None]
    spread = np.empty((*mask.shape, 3, 3), dtype=np.float32)
    for i in range(3):
        spread[..., i] = mean(guide * guide[..., i : i + 1])
    spread -= mean_guide[..., None] * mean_guide[..., None, :]
    spread += RIDGE * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(spread, covariance[..., None])[..., 0]
    offset = mean_mask - (slope * mean_guide).sum(-1)
    shape = large.shape[1::-1]
    slope, offset = (np.asarray(cv2.resize(mean(part), shape)) for part in (slope, offset))
    return np.asarray((slope * large).sum(-1) + offset)


def _own_colours(pixels: np.ndarray, alpha: np.ndarray, unit: float) -> np.ndarray:
    """F of the mixture, by fusing blurred estimates (Forte, "Approximate fast foreground colour
    estimation", ICIP 2021).

    Args:
        pixels: (h, w, 3) float32 0..255. alpha: (h, w) float32.
    """
    person = background = pixels
    a = alpha[..., None]
    for reach in AROUND:
        side = 2 * max(1, round(reach * unit)) + 1

        def mean(values: np.ndarray, side: int = side) -> np.ndarray:
            blurred = np.asarray(cv2.blur(values, (side, side)))
            return blurred if blurred.ndim == 3 else blurred[..., None]

        share = mean(alpha)
        front = mean(person * a) / (share + 1e-5)
        background = mean(background * (1 - a)) / (1 - share + 1e-5)
        person = front + a * (pixels - a * front - (1 - a) * background)
        person = np.clip(person, 0, 255)
    return person


def _inside(plate: Plate, width: float) -> np.ndarray:
    """(h, w) float32: 0 at those borders of the window that lie in the photo, 1 well inside."""
    height, columns = plate.image.shape[:2]
    rows, across = plate.canvas.shape[:2]
    y, x = np.arange(height, dtype=np.float32), np.arange(columns, dtype=np.float32)
    far = np.float32(1e9)
    up = np.minimum(y if plate.top else far, height - 1 - y if plate.top + height < rows else far)
    side = np.minimum(
        x if plate.left else far, columns - 1 - x if plate.left + columns < across else far
    )
    up, side = np.broadcast_to(up, height), np.broadcast_to(side, columns)
    return np.asarray(smoothstep(np.minimum(up[:, None], side) / width, 0.0, 1.0), dtype=np.float32)


def _rounded(colours: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)
