"""What a head's relief and background look like: the photo's colours, and what goes on from them.

At the silhouette the surface turns away, so that a narrow rim of the photo is spread over much of
it. What a camera mixes there, or a matte gets wrong, must not be seen: the rim shows the mirror
image of what is further in. Knows pictures, masks and poses; knows no meshes.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from talking_face.arrays import Array, UInt8
from talking_face.curves import smoothstep
from talking_face.face.model import Pose
from talking_face.picture.brush import polygon_mask
from talking_face.picture.inpaint import continued
from talking_face.picture.matte import complete
from talking_face.picture.plate import Plate

# All lengths are in canonical units, inter-ocular distances.
RIM = 0.14  # in from the silhouette, which are the same behind
PURE = 0.85  # share of a pixel that is the person, from which its colour is believed
EDGE = 0.045  # in from the silhouette, where nothing is believed: the matte is that exact
MIXED = 0.06  # in from the silhouette, from which all is the person's own colour
STRAND = 0.03  # around the person, that aren't background: strands of hair
GUESSED, UNSHARP = (0.0, 0.4), 0.1  # into what was hidden, where its guess blurs, and how much
EARS = (-0.35, 0.75)  # y between which ears are
TEMPLE = 0.5  # above ears, from where the hair behind them is taken: a crown may be bald
SATURATION = (0.1, 0.25)  # of one side that is only light, at most, and of the other, at least
EAR_EDGE = 0.04  # around them, that are in their shadow
BLEND = 0.12  # over which colours behind run into each other
LEVEL = 3.0  # times as far is a colour behind taken from above and below as from beside


def relief_pictures(
    image: Array,
    unmixed: Array,
    alpha: Array,
    face: Array,
    oval: Array,
    outline: Array,
    pose: Pose,
) -> tuple[Array, Array]:
    """What is seen of the person from the front and from behind, (h, w, 3) uint8.

    Args:
        image: the plate at rest. unmixed: what takes the background's share out of it.
        alpha: (h, w) how far a pixel is the person.
        face: (n, 3) pixels. oval: its points along the outline.
        outline: (k, 2) the silhouette, pixels.
        pose: of the head.
    """
    height, width = alpha.shape
    unit = float(pose.scale)
    inside = polygon_mask(outline, height, width, 0.6) > 0.5
    away = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5) / unit
    known = inside & (away > EDGE) & ((alpha > PURE) | (away > MIXED))
    own = np.rint(np.clip(image + unmixed, 0, 255)).astype(np.uint8)
    look = complete(own, ~known, unit)
    chin = face[:, 1].max()
    below = np.arange(height)[:, None] > chin + RIM * unit
    hidden = polygon_mask(face[oval, :2], height, width, 0.6) > 0.1
    known &= ~hidden & ((away < RIM) | below)
    back = _without_ears(look, polygon_mask(face[oval, :2], height, width, 0.6) > 0.5, known, pose)
    return look, back_picture(back, known, BLEND * unit)


def back_picture(front: Array, known: Array, blend: float) -> UInt8:
    """What lies behind: as the person's rim, and within it what that is like at the nearest place.

    Args:
        front: (h, w, 3) uint8. known: (h, w) bool, what is the same behind. blend: pixels.
    """
    nearest = distance_transform_edt(
        ~known, (LEVEL, 1), return_distances=False, return_indices=True
    )
    even = cv2.GaussianBlur(front[tuple(nearest)], (0, 0), blend)
    share = cv2.GaussianBlur(known.astype(np.float32), (0, 0), blend / 3)[..., None]
    share = share * known[..., None]
    return np.rint(even + share * (front - even.astype(np.float32))).astype(np.uint8)


def background_of(plate: Plate) -> UInt8 | None:
    """The background of a head that is seen from elsewhere: much of what it hid comes into view."""
    if plate.background is None:
        return None
    height, width = plate.image.shape[:2]
    inside = np.s_[plate.margin : plate.margin + height, plate.margin : plate.margin + width]
    side = 2 * round(STRAND * float(plate.pose.scale)) + 1
    person = (plate.person[inside] > 0).astype(np.uint8)
    hidden = cv2.dilate(person, np.ones((side, side), dtype=np.uint8)) > 0
    filled = continued(plate.image, hidden, plate.background)
    unit = float(plate.pose.scale)
    blurred = cv2.GaussianBlur(filled, (0, 0), UNSHARP * unit)
    deep = cv2.distanceTransform(hidden.astype(np.uint8), cv2.DIST_L2, 5) / unit
    share = smoothstep(deep, *GUESSED)[..., None]
    return np.asarray(np.rint(filled + share * (blurred - filled.astype(np.float32))), np.uint8)


def _without_ears(look: Array, face: Array, rim: Array, pose: Pose) -> UInt8:
    """A look that has hair, or else scalp, in place of ears: that is behind them.

    Args:
        look: (h, w, 3) uint8. face: (h, w) bool. rim: (h, w) bool, what is next to the silhouette.
    """
    row, column = np.indices(face.shape)
    down = pose.rotation[:2, 1] / np.linalg.norm(pose.rotation[:2, 1])
    eyes = pose.project(np.zeros((1, 3)))[0]
    height = ((column - eyes[0]) * down[0] + (row - eyes[1]) * down[1]) / float(pose.scale)
    above = rim & (height > EARS[0] - TEMPLE) & (height < EARS[0])
    beside = rim & (height > EARS[0]) & (height < EARS[1])
    if not above.any() or not face.any():
        return look
    skin, hair = (np.median(look[part], axis=0) for part in (face, above))
    alike, other = (np.linalg.norm(look - colour, axis=-1) for colour in (skin, hair))
    reach = 2 * round(EAR_EDGE * float(pose.scale)) + 1
    ears = (beside & (alike < other)).astype(np.uint8)
    near = cv2.dilate(ears, np.ones((reach, reach), dtype=np.uint8)) > 0
    back = look.copy()
    sides = [column < eyes[0], column >= eyes[0]]
    owns = [above & side if (above & side).any() else above for side in sides]
    scalps = _in_one_colour(*(np.median(look[own], axis=0) for own in owns))
    for side, scalp in zip(sides, scalps, strict=True):
        # All that is beside a face at an ear's height is the ear, or in its shadow.
        rows = (near & side).any(1)[:, None]
        back[rows & side & beside] = scalp
    return back


def _in_one_colour(left: Array, right: Array) -> tuple[Array, Array]:
    """Colours (3,) of hair or scalp on either side, without that of a light that blinds the camera.

    White hair is white on both sides; a bald head may be where the light is.
    """
    colourless, coloured = SATURATION
    of_left, of_right = (
        1 - colour.min() / max(float(colour.max()), 1.0) for colour in (left, right)
    )
    if of_left < colourless and of_right > coloured:
        left = right
    elif of_right < colourless and of_left > coloured:
        right = left
    return left, right
