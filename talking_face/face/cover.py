"""Whether a photo shows the mouth, or a mask hides it: told by colours and edges of the lips.

MediaPipe's mesh lays lips over whatever is there and doesn't say whether they are seen. What covers
the mouth in the colours of skin and lips, a hand for example, isn't noticed.
"""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.arrays import Array, Float32, UInt8
from talking_face.face.landmarks import interocular

UNIT = 120  # pixels between the eyes in the copy that is looked at
LIPS = [0, 17, 37, 267, 84, 314]
AROUND = [164, 165, 391, 18, 83, 313, 200, 202, 422, 205, 425]  # chin, cheeks, under the nose
BRIDGE = [6, 168, 197, 8]  # of the nose, above any mask
ACROSS = [(37, 84), (0, 17), (267, 314)]  # from above the lips to below them
# In CIELAB. Of 266 portraits none was taken for hidden; the smallest contrast was 0.18.
REDDER = 3.0  # lips are redder than what is around them by more than this, most of the time
FLAT = 0.12  # contrast across the lips over the lightness of the skin, where there are none
PLAIN, COVERED = 0.5, 20.0  # contrast and difference in colour from the nose, of a coloured mask


def mouth_hidden(photo: UInt8, landmarks: Float32) -> bool:
    """Whether a mask or the like seems to lie over the mouth.

    Args:
        photo: (H, W, 3) uint8 RGB.
        landmarks: (478, 3) pixels.
    """
    scale = UNIT / max(float(interocular(landmarks)), 1.0)
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    x0, y0 = np.clip(low, 0, np.array(photo.shape[1::-1]) - 1).astype(int)
    x1, y1 = np.maximum(high, (x0, y0)).astype(int) + 1
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    face = cv2.resize(photo[y0:y1, x0:x1], None, fx=scale, fy=scale, interpolation=method)
    smooth = cv2.GaussianBlur(face, (0, 0), 1.5).astype(np.float32) / 255
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)
    points = (landmarks[:, :2] - (x0, y0)) * scale
    lips, skin, bridge = (
        np.median(_at(lab, points[part]), axis=0) for part in (LIPS, AROUND, BRIDGE)
    )
    if lips[1] - skin[1] > REDDER:
        return False
    steps = np.linspace(-0.15, 1.15, 40)[:, None]
    lines = [_at(lab, points[a] * (1 - steps) + points[b] * steps) for a, b in ACROSS]
    contrast = float(np.median([np.ptp(line[:, 0]) for line in lines])) / max(float(skin[0]), 5.0)
    other = float(np.linalg.norm((skin - bridge)[1:]))
    return contrast < FLAT or (contrast < PLAIN and other > COVERED)


def _at(picture: Array, points: Array) -> Array:
    height, width = picture.shape[:2]
    x, y = np.round(points).astype(int).T
    return picture[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
