"""Another background: reading it, and laying the person of a plate over it.

How the person is cut out is `talking_face.picture.matte`'s.
"""

from __future__ import annotations

import dataclasses
import re

import cv2
import numpy as np

from talking_face.arrays import Array, UInt8
from talking_face.curves import smoothstep
from talking_face.errors import OptionInvalid
from talking_face.face.photo import MIN_SIDE, PhotoSource, load_photo
from talking_face.picture.matte import cut_body, cut_out
from talking_face.picture.plate import Plate

SEAM = 0.5  # inter-ocular distances over which the window's cut-out becomes the whole photo's

COLOUR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


def load_backdrop(background: PhotoSource) -> UInt8:
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


def replace_background(plate: Plate, landmarks: Array, backdrop: UInt8) -> Plate:
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
        whole_alpha, whole_colour = cut_body(plate.canvas, landmarks[:, :2] + corner, unit)
        near = _inside(plate, SEAM * unit)
        for whole, part in ((whole_alpha, alpha), (whole_colour, colour)):
            weight = near if whole.ndim == 2 else near[..., None]
            whole[place] += weight * (part[window] - whole[place])
            part[window] = whole[place]
    mixed = cv2.blendLinear(_rounded(whole_colour), behind, whole_alpha, 1 - whole_alpha)
    return dataclasses.replace(
        plate,
        canvas=np.asarray(mixed, dtype=np.uint8),
        wide=_rounded(colour),
        person=alpha,
        background=np.ascontiguousarray(behind[place]),
        replaced=True,
    )


def fill(backdrop: Array, height: int, width: int) -> Array:
    """The middle of a picture, scaled to fill (height, width, 3)."""
    scale = max(height / backdrop.shape[0], width / backdrop.shape[1])
    rows, columns = (max(round(side / scale), 1) for side in (height, width))
    top, left = (backdrop.shape[0] - rows) // 2, (backdrop.shape[1] - columns) // 2
    middle = backdrop[max(top, 0) :, max(left, 0) :][:rows, :columns]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(middle, (width, height), interpolation=method))


def _inside(plate: Plate, width: float) -> Array:
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


def _rounded(colours: Array) -> Array:
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)
