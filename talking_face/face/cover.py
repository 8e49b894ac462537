"""What of a mouth and of eyes a photo shows: told by colours, edges and places.

MediaPipe's mesh lays lips over whatever is there and doesn't say whether they are seen. A mask is
told by the colours and edges that lips would have, a microphone by its own, a hand by MediaPipe's
hand detector, a tongue by red skin down to the chin, closed eyes by the lids, dark glasses by what
is around the eyes. What covers the mouth in the colours of skin and lips and isn't a hand isn't
noticed.
"""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.arrays import Array, Float32, UInt8
from talking_face.face.landmarks import (
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    LOWER_LID,
    MOUTH_CORNERS,
    UPPER_LID,
    detect_hands,
    interocular,
)

UNIT = 120  # pixels between the eyes in the copy that is looked at
LIPS = [0, 17, 37, 267, 84, 314]
AROUND = [164, 165, 391, 18, 83, 313, 200, 202, 422, 205, 425]  # chin, cheeks, under the nose
BRIDGE = [6, 168, 197, 8]  # of the nose, above any mask
ACROSS = [(37, 84), (0, 17), (267, 314)]  # from above the lips to below them
LOWER_LIP = [17, 84, 314, 15, 85, 315, 16]
CHIN = [18, 83, 313, 200]
FACE = [50, 280, 101, 330, 6, 168, 197, 8, 195]  # cheeks and nose
BESIDE_CHIN = [204, 424, 194, 418, 32, 262]
# In CIELAB. Of 531 portraits one was taken for hidden, whose mouth is: the smallest contrast was
# 0.18.
REDDER = 3.0  # lips are redder than what is around them by more than this, most of the time
FLAT = 0.12  # contrast across the lips over the lightness of the skin, where there are none
# What a dark mask is measured against, as a share of the lightness of the nose's bridge; and the
# lightness of the darkest part of a face from which on it is haze, or a faded print.
DIM, HAZE, DARKEST = 0.6, 24.0, 1.0
PLAIN, COVERED = 0.5, 25.0  # contrast and difference in colour from the nose, of a coloured mask
# Red (a*) of what isn't lips, or chin, over that of cheeks and nose, and blue (b*) of either, at
# most. Lower lips of 531 portraits are above 0.68 and -7, microphones below 0.15 or at -40.
COLOURED = 4.0  # red of the cheeks of a coloured photo, at least
NO_LIP, NO_CHIN = (0.35, -20.0), (0.6, -10.0)
# How much redder (a*) than the skin beside it a chin is under a tongue, and how steeply on either
# side, this far from the middle in inter-ocular distances. None of 531 portraits has both: chins
# that are as red are at most 5.3 steep.
TONGUE, EDGE, EDGE_FROM = 8.0, 7.0, 0.05
# What is redder than this, and by this much more than the skin beside it, is no flesh but a flower
# or cloth: tongues are at 45 and 35, a rose at 70 and 45.
FLOWER, BESIDE_FLOWER = 55.0, 38.0
EVEN = 25.0  # difference in colour along a tongue, at most: the shadow of a lip has more
# Lips as red as this are seen, whatever the hand detector says; and the share of the lips that a
# hand covers, and its reach from them in inter-ocular distances that still counts.
SEEN, HAND_SHARE, HAND_RIM = 8.0, 0.35, 0.06
# Height over width of closed eyes, the mean of both, at most. Open ones of 531 portraits are above
# 0.13, but in a squint they go down to 0.09.
SHUT = 0.09
# Skin and lids around each eye, the cheek below and the forehead above; and the difference between
# their colours, of all but a seventh of the first, beyond which dark glasses hide the eyes. Shadows
# on 260 portraits reach 27, paint on 180 frames of others 22; mirrors are as low and aren't told.
BY_EYE = (
    (247, 30, 29, 27, 28, 56, 229, 230, 231, 232, 25, 23, 24, 22, 163, 145, 153, 161, 159, 158),
    (467, 260, 259, 257, 258, 286, 449, 450, 451, 452, 255, 253, 254, 252, 390, 374, 380, 388, 386,
     385),
)  # fmt: skip
CHEEK, FOREHEAD = ((205, 50, 36), (425, 280, 266)), ((108, 69, 104), (337, 299, 333))
SHADES, ALL_BUT = 32.0, 15


def mouth_hidden(photo: UInt8, landmarks: Float32) -> bool:
    """Whether a mask, a microphone, a hand or the like seems to lie over the mouth.

    Args:
        photo: (H, W, 3) uint8 RGB.
        landmarks: (478, 3) pixels.
    """
    lab, points = _look(photo, landmarks)
    lips, skin, bridge, face, lower, chin = (
        np.median(_at(lab, points[part]), axis=0)
        for part in (LIPS, AROUND, BRIDGE, FACE, LOWER_LIP, CHIN)
    )
    if face[1] > COLOURED and _differs(lower, face, *NO_LIP) and _differs(chin, face, *NO_CHIN):
        return True
    beside = np.median(_at(lab, points[BESIDE_CHIN])[:, 1])
    if _no_flesh(lower[1], beside) and _no_flesh(chin[1], beside):
        return True
    redder = float(lips[1] - skin[1])
    if redder < SEEN and any(
        hand_covers(hand, landmarks) for hand in detect_hands(photo, landmarks)
    ):
        return True
    if redder > REDDER:
        return False
    steps = np.linspace(-0.15, 1.15, 40)[:, None]
    lines = [_at(lab, points[a] * (1 - steps) + points[b] * steps) for a, b in ACROSS]
    contrast = float(np.median([np.ptp(line[:, 0]) for line in lines]))
    darkest = float(np.percentile(lab[..., 0], DARKEST))
    haze = min(darkest, max(0.0, 2.5 * (darkest - HAZE)))
    contrast /= max(float(skin[0]) - haze, DIM * (float(bridge[0]) - haze), 3.0)
    other = float(np.linalg.norm((skin - bridge)[1:]))
    return contrast < FLAT or (contrast < PLAIN and other > COVERED)


def hand_covers(hand: Float32, landmarks: Float32) -> bool:
    """Whether a hand lies over most of the lips.

    Args:
        hand: (21, 2) points of it, pixels.
        landmarks: (478, 3) pixels.
    """
    hull = cv2.convexHull(np.ascontiguousarray(hand, dtype=np.float32))
    rim = HAND_RIM * float(interocular(landmarks))
    lips = landmarks[[*MOUTH_CORNERS, *INNER_LIP_UPPER, *INNER_LIP_LOWER, *LIPS], :2]
    inside = [cv2.pointPolygonTest(hull, (float(x), float(y)), True) > -rim for x, y in lips]
    return float(np.mean(inside)) >= HAND_SHARE


def tongue_out(photo: UInt8, landmarks: Float32) -> bool:
    """Whether a tongue seems to be put out over the chin; arguments as of `mouth_hidden`."""
    lab, points = _look(photo, landmarks)
    down = np.stack([points[18], (points[18] + points[200]) / 2])
    beside = np.median(_at(lab, points[BESIDE_CHIN])[:, 1])
    colours = _at(lab, down)
    if _no_flesh(colours[:, 1].min(), beside):
        return False
    if colours[:, 1].min() - beside < TONGUE or np.linalg.norm(np.ptp(colours, axis=0)) > EVEN:
        return False
    axis = points[MOUTH_CORNERS[1]] - points[MOUTH_CORNERS[0]]
    axis = axis / max(float(np.linalg.norm(axis)), 1e-6)
    across = np.linspace(-0.4, 0.4, 81)
    for middle in down:
        red = _at(lab, middle + UNIT * across[:, None] * axis)[:, 1]
        rise = np.convolve(red, [1, 1, 1, 0, 0, 0, -1, -1, -1], "valid") / 3  # over six hundredths
        left, right = rise[across[4:-4] < -EDGE_FROM], -rise[across[4:-4] > EDGE_FROM]
        if min(left.max(), right.max()) < EDGE:
            return False
    return True


def eyes_closed(landmarks: Float32) -> bool:
    """Whether both eyes are closed; landmarks (478, 3) in any unit."""
    ratios = []
    for upper, lower in zip(UPPER_LID, LOWER_LID, strict=True):
        above, below = landmarks[list(upper), :2], landmarks[list(lower), :2]
        height = np.linalg.norm(above - below, axis=1)[3:6].mean()
        ratios.append(height / max(float(np.linalg.norm(above[0] - above[-1])), 1e-6))
    return float(np.mean(ratios)) < SHUT


def eyes_hidden(photo: UInt8, landmarks: Float32, masked: bool) -> bool:
    """Whether dark glasses seem to hide both eyes.

    Args:
        photo, landmarks: as of `mouth_hidden`.
        masked: whether that is so, and the cheeks may be hidden with the mouth.
    """
    lab, points = _look(photo, landmarks)
    for by_eye, beside in zip(BY_EYE, FOREHEAD if masked else CHEEK, strict=True):
        skin = np.median(_at(lab, points[list(beside)]), axis=0)
        apart = np.linalg.norm(_at(lab, points[list(by_eye)]) - skin, axis=1)
        if np.percentile(apart, ALL_BUT) < SHADES:
            return False
    return True


def _no_flesh(red: float, beside: float) -> bool:
    return bool(red > FLOWER and red - beside > BESIDE_FLOWER)


def _differs(colour: Array, face: Array, red: float, blue: float) -> bool:
    light = min(0.0, float(face[2]))  # blue light, which lies on all of the face
    return bool(colour[1] < red * face[1] or colour[2] < blue + light)


def _look(photo: UInt8, landmarks: Float32) -> tuple[Array, Array]:
    """The face in CIELAB at a fixed size, smooth, (h, w, 3), and the landmarks in it (478, 2)."""
    scale = UNIT / max(float(interocular(landmarks)), 1.0)
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    x0, y0 = np.clip(low, 0, np.array(photo.shape[1::-1]) - 1).astype(int)
    x1, y1 = np.maximum(high, (x0, y0)).astype(int) + 1
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    face = cv2.resize(photo[y0:y1, x0:x1], None, fx=scale, fy=scale, interpolation=method)
    smooth = cv2.GaussianBlur(face, (0, 0), 1.5).astype(np.float32) / 255
    return cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB), (landmarks[:, :2] - (x0, y0)) * scale


def _at(picture: Array, points: Array) -> Array:
    height, width = picture.shape[:2]
    x, y = np.round(points).astype(int).T
    return picture[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
