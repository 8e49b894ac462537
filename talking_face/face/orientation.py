"""Which way up a photo is, where the file doesn't say so: told by the largest face in it.

MediaPipe's mesh follows a face that lies on its side, but lays itself the wrong way up over one
that stands on its head. Its face detector knows better: it was taught upright faces and is surer of
them than of any others.
"""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.arrays import Float32, UInt8
from talking_face.face.landmarks import detect_faces, upright_score

SURE = 0.8  # a face of this `upright_score` is upright
BETTER = 0.08  # by how much it must be above that of the photo as it is
MAX_ROLL = 60.0  # degrees; beyond it the face lies on its side
SIDE = 1024  # pixels, the longest side of the copies that are turned to try


def quarter_turns(photo: UInt8, faces: list[Float32]) -> int:
    """How often `np.rot90` must turn a photo so that its largest face is upright, 0 to 3.

    Args:
        photo: (H, W, 3) uint8 RGB.
        faces: landmarks (478, 3) of those found in it, the largest first.
    """
    here = _uprightness(photo, faces)
    if here >= SURE:
        return 0
    scale = min(1.0, SIDE / max(photo.shape))
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    scores = [here]
    for turns in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(small, turns), dtype=np.uint8)
        scores.append(_uprightness(turned, detect_faces(turned)))
    best = int(np.argmax(scores))
    return best if scores[best] >= max(SURE, here + BETTER) else 0


def _uprightness(photo: UInt8, faces: list[Float32]) -> float:
    if not faces:
        return 0.0
    across = faces[0][263, :2] - faces[0][33, :2]
    if abs(np.degrees(np.arctan2(across[1], across[0]))) > MAX_ROLL:
        return 0.0
    return upright_score(photo, faces[0])
