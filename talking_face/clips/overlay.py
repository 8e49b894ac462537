"""Pictures that show what was found in a photo: the fitted mesh, and every face with its number."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from talking_face.arrays import Array, Int32, UInt8
from talking_face.face.face import Face
from talking_face.face.landmarks import FACE_OVAL, N_MESH

MESH, OUTLINE = (80, 220, 255), (255, 210, 60)  # RGB
SHADE = (20, 20, 20)
MESH_OPACITY = 0.55
SHIFT = 4  # fractional bits of the points that OpenCV draws


def draw_mesh(face: Face, triangles: Int32) -> UInt8:
    """The photo with the fitted mesh over it, (H, W, 3) uint8 RGB.

    Args:
        triangles: (n, 3) over the mesh points.
    """
    points = _fixed(face.pose.project(face.shape)[:N_MESH, :2])
    width = max(1, round(float(face.pose.scale) / 220))
    drawn = face.photo.copy()
    cv2.polylines(drawn, list(points[triangles]), True, MESH, width, cv2.LINE_AA, SHIFT)
    mixed = cv2.addWeighted(drawn, MESH_OPACITY, face.photo, 1 - MESH_OPACITY, 0)
    oval = points[list(FACE_OVAL)]
    cv2.polylines(mixed, [oval], True, OUTLINE, 2 * width, cv2.LINE_AA, SHIFT)
    return np.asarray(mixed)


def draw_faces(photo: UInt8, boxes: Sequence[tuple[int, int, int, int]]) -> UInt8:
    """The photo with boxes around its faces, numbered from 1 in the order given.

    Args:
        photo: (H, W, 3) uint8 RGB. boxes: (x0, y0, x1, y1) pixels.
    """
    picture = photo.copy()
    for number, (x0, y0, x1, y1) in enumerate(boxes, start=1):
        line = int(np.clip((y1 - y0) / 50, 2, max(photo.shape) / 300 + 2))
        for colour, width in ((SHADE, 2 * line), (OUTLINE, line)):
            cv2.rectangle(picture, (x0, y0), (x1, y1), colour, width, cv2.LINE_AA)
        # The number fills a badge that hangs in the corner of the box, inside the photo.
        side = int(np.clip((y1 - y0) * 0.28, 14, max(photo.shape) / 12))
        left = int(np.clip(x0, 0, max(photo.shape[1] - side, 0)))
        top = int(np.clip(y0, 0, max(photo.shape[0] - side, 0)))
        cv2.rectangle(picture, (left, top), (left + side, top + side), OUTLINE, cv2.FILLED)
        scale = side / 36
        face, thick = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(side / 14))
        (wide, high), _ = cv2.getTextSize(str(number), face, scale, thick)
        at = (left + (side - wide) // 2, top + (side + high) // 2)
        cv2.putText(picture, str(number), at, face, scale, SHADE, thick, cv2.LINE_AA)
    return picture


def _fixed(points: Array) -> UInt8:
    return np.round(points * 2**SHIFT).astype(np.int32)
