"""Finding the face: MediaPipe's 478-point face mesh on photos and on video frames.

The mesh is the one vocabulary of geometry in this package: the face model is learned over it, the
renderer deforms it, and the evaluation measures it. MediaPipe's wheel carries the models, so
nothing is downloaded. Points are in pixels: x right, y down, z away from the camera, all in the
scale of x (weak perspective).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

import cv2
import numpy as np

from talking_face.arrays import Array, Float32, Int32, UInt8
from talking_face.interruption import heed

# Sizes of the tiles in which far faces are looked for, shares of the photo or pixels, with what the
# detectors for far and near faces are called; the one for far ones takes longer.
TILES = ((1 / 4, 1), (1 / 8, 0), (256, 0))
MIN_TILE = 192  # pixels; a smaller one shows the detectors nothing that they haven't seen
SURE_OF_FAR = 0.6  # among a hundred tiles something may look a little like a face
FAR_FACE = 0.72  # `upright_score` of far faces; of grass, gravel and print that look like one, 0.70

N_LANDMARKS = 478
N_MESH = 468  # the mesh proper; 468..477 are the two irises

# Pairs of opposite inner-lip points (upper, lower), from the right corner of the mouth (on the
# left of the image) to the left one. The corners themselves (78, 308) belong to both lips.
INNER_LIP_UPPER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
INNER_LIP_LOWER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
INNER_LIP_CORNERS = (78, 308)
MOUTH_CORNERS = (61, 291)
LIPS_OUTLINE = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
)  # fmt: skip

# Eyelid margins, outer corner to inner corner, for the eye on the image's left ("right" eye of the
# person) and on the image's right.
UPPER_LID = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133),
    (263, 466, 388, 387, 386, 385, 384, 398, 362),
)
LOWER_LID = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133),
    (263, 249, 390, 373, 374, 380, 381, 382, 362),
)
IRIS_CENTRE = (468, 473)
IRIS_RING = ((469, 470, 471, 472), (474, 475, 476, 477))

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip


def _face_mesh(static: bool, max_faces: int, confidence: float) -> Any:
    from mediapipe.python.solutions.face_mesh import FaceMesh

    return FaceMesh(
        static_image_mode=static,
        max_num_faces=max_faces,
        refine_landmarks=True,
        min_detection_confidence=confidence,
        min_tracking_confidence=0.5,
    )


def _to_pixels(face: Any, height: int, width: int) -> Array:
    points = np.array([(p.x, p.y, p.z) for p in face.landmark], dtype=np.float32)
    return points * np.array([width, height, width], dtype=np.float32)


def find_boxes(image: UInt8, confidence: float = 0.4) -> list[tuple[float, ...]]:
    """Boxes of the faces in a still image by MediaPipe's detectors for near and for far faces.

    The detectors see at most 192 pixels a side, so the photo is also searched in nine overlapping
    tiles of half its size, for the small faces of a group.

    Args:
        image: (H, W, 3) uint8 RGB.

    Returns:
        (x0, y0, x1, y1) in pixels, best first; a face is listed once.
    """
    from mediapipe.python.solutions.face_detection import FaceDetection

    height, width = image.shape[:2]
    views = [(0, 0, height, width)]
    if max(height, width) > 384:
        views += [
            (height * i // 4, width * j // 4, height // 2, width // 2)
            for i in range(3)
            for j in range(3)
        ]
    found: list[tuple[float, tuple[float, ...]]] = []
    for model in (0, 1):
        with FaceDetection(confidence, model_selection=model) as detector:
            for top, left, rows, columns in views:
                heed()
                view = np.ascontiguousarray(image[top : top + rows, left : left + columns])
                # The whole view goes first: a tile may cut a face at its edge.
                first = float(rows == height)
                found += [(s + first, box) for s, box in _boxes(detector, view, left, top)]
    return _distinct(found)


def _boxes(
    detector: Any, view: UInt8, left: int, top: int
) -> list[tuple[float, tuple[float, ...]]]:
    """Scores and boxes of the faces in a part of a photo, pixels of the photo."""
    rows, columns = view.shape[:2]
    found: list[tuple[float, tuple[float, ...]]] = []
    for detection in detector.process(view).detections or []:
        box = detection.location_data.relative_bounding_box
        x0, y0 = left + box.xmin * columns, top + box.ymin * rows
        x1, y1 = x0 + box.width * columns, y0 + box.height * rows
        found.append((float(detection.score[0]), (x0, y0, x1, y1)))
    return found


def _distinct(found: list[tuple[float, tuple[float, ...]]]) -> list[tuple[float, ...]]:
    """Boxes, best first; a face is listed once."""
    kept: list[tuple[float, ...]] = []
    for _, box in sorted(found, reverse=True):
        if all(_overlap(box, other) < 0.3 for other in kept):
            kept.append(box)
    return kept


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over the smaller area."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    areas = [(q[2] - q[0]) * (q[3] - q[1]) for q in (a, b)]
    return max(width, 0) * max(height, 0) / max(min(areas), 1e-6)


def _view(image: UInt8, box: tuple[float, ...]) -> tuple[Array, int, int] | None:
    """A square of 2.2 box sizes, and where it begins; None where it lies outside of the image."""
    x0, y0, x1, y1 = box
    half = 1.1 * max(x1 - x0, y1 - y0)
    left, top = int((x0 + x1) / 2 - half), int((y0 + y1) / 2 - half)
    side = max(int(2 * half), 2)
    height, width = image.shape[:2]
    inside = image[max(top, 0) : top + side, max(left, 0) : left + side]
    if inside.size == 0:
        return None
    view = cv2.copyMakeBorder(
        inside,
        max(-top, 0),
        max(top + side - height, 0),
        max(-left, 0),
        max(left + side - width, 0),
        cv2.BORDER_REPLICATE,
    )
    return view, left, top


def mesh_in_box(image: UInt8, box: tuple[float, ...]) -> Float32 | None:
    """Landmarks (478, 3) of the face in a box, pixels of the whole image; None where none is.

    The mesh network looks at a square of 2.2 box sizes, padded by repeating the border where the
    photo ends, at no more than 512 px: the same view for a face of any size.
    """
    around = _view(image, box)
    if around is None:
        return None
    view, left, top = around
    scale = min(1.0, 512 / len(view))
    view = cv2.resize(view, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    points = find_mesh(view)
    if points is None:
        return None
    return points / np.float32(scale) + np.array([left, top, 0], dtype=np.float32)


def find_mesh(view: Array) -> Float32 | None:
    """Landmarks (478, 3) of the one face in a view (h, w, 3) uint8 of it, pixels, or None."""
    with _face_mesh(True, 1, 0.2) as mesh:
        found = mesh.process(np.ascontiguousarray(view)).multi_face_landmarks
    return _to_pixels(found[0], *view.shape[:2]) if found else None


def upright_score(image: UInt8, face: Float32) -> float:
    """How sure MediaPipe's detector is of a face that was found, as an upright one, 0 to 1.

    Over 0.83 for upright portraits, below 0.8 for the same ones turned by 90 or 180 degrees.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: (478, 3) landmarks, pixels.
    """
    from mediapipe.python.solutions.face_detection import FaceDetection

    around = _view(image, (*face[:, :2].min(0), *face[:, :2].max(0)))
    if around is None:
        return 0.0
    view = cv2.resize(around[0], (256, 256), interpolation=cv2.INTER_AREA)
    with FaceDetection(0.4, model_selection=0) as detector:
        found = detector.process(view).detections or []
    return max((float(detection.score[0]) for detection in found), default=0.0)


def detect_hands(image: UInt8, face: Float32) -> list[Float32]:
    """The hands around a face in a still image, each (21, 2) pixels.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: (478, 3) landmarks, pixels.
    """
    from mediapipe.python.solutions.hands import Hands

    around = _view(image, (*face[:, :2].min(0), *face[:, :2].max(0)))
    if around is None:
        return []
    view, left, top = around
    scale = min(1.0, 512 / len(view))
    view = cv2.resize(view, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    with Hands(static_image_mode=True, min_detection_confidence=0.5) as detector:
        found = detector.process(np.ascontiguousarray(view)).multi_hand_landmarks or []
    corner = np.array([left, top], dtype=np.float32)
    return [_to_pixels(hand, *view.shape[:2])[:, :2] / np.float32(scale) + corner for hand in found]


def detect_faces(image: UInt8) -> list[Float32]:
    """Landmarks of every face in a still image, the largest first.

    Args:
        image: (H, W, 3) uint8 RGB of any size.

    Returns:
        One (478, 3) float32 array a face, pixels of the image.
    """
    image = np.ascontiguousarray(image)
    height, width = image.shape[:2]
    # A face that fills the photo is beyond what the detectors know: show it with a margin.
    margin = max(height, width) // 3
    padded = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    boxes = find_boxes(image) or [
        (x0 - margin, y0 - margin, x1 - margin, y1 - margin)
        for x0, y0, x1, y1 in find_boxes(np.asarray(padded, dtype=np.uint8))
    ]
    if not boxes:
        boxes = [(width * 0.25, height * 0.2, width * 0.75, height * 0.8)]
    return _meshes(image, boxes)


def detect_far_faces(image: UInt8) -> list[Float32]:
    """As `detect_faces`, for photos in which that finds none: faces far away, in a large photo.

    Looks through tiles of a quarter and of an eighth of the photo, then of 256 pixels, which
    overlap by more than the faces that are looked for; one of 50 pixels in 12 megapixels is found
    so. It takes some seconds where there is no face.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    from mediapipe.python.solutions.face_detection import FaceDetection

    longest = max(image.shape)
    sides = [(int(size * longest) if size < 1 else int(size), model) for size, model in TILES]
    for side, model in sides:
        if not MIN_TILE <= side < longest:
            continue
        found: list[tuple[float, tuple[float, ...]]] = []
        with FaceDetection(SURE_OF_FAR, model_selection=model) as detector:
            for top in _starts(image.shape[0], side):
                for left in _starts(image.shape[1], side):
                    heed()
                    tile = np.ascontiguousarray(image[top : top + side, left : left + side])
                    found += _boxes(detector, tile, left, top)
        faces = [f for f in _meshes(image, _distinct(found)) if upright_score(image, f) > FAR_FACE]
        if faces:
            return faces
    return []


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin that cover a length and overlap by a quarter or more."""
    count = int(np.ceil(max(length - side, 0) / (0.75 * side))) + 1
    return [int(start) for start in np.linspace(0, max(length - side, 0), count)]


def _meshes(image: UInt8, boxes: list[tuple[float, ...]]) -> list[Float32]:
    faces = [face for box in boxes if (face := mesh_in_box(image, box)) is not None]
    return sorted(faces, key=lambda face: -float(interocular(face)))


def track_face(frames: Iterable[UInt8]) -> Iterator[Float32]:
    """Landmarks of the one face of a video, frame by frame.

    Args:
        frames: (H, W, 3) uint8 RGB frames in order.

    Yields:
        (478, 3) float32 landmarks in pixels for each frame; all NaN where the face was lost.
    """
    with _face_mesh(False, 1, 0.3) as mesh:
        for frame in frames:
            height, width = frame.shape[:2]
            found = mesh.process(np.ascontiguousarray(frame)).multi_face_landmarks
            if found:
                yield _to_pixels(found[0], height, width)
            else:
                yield np.full((N_LANDMARKS, 3), np.nan, dtype=np.float32)


def mesh_triangles() -> Int32:
    """The triangles of MediaPipe's tessellation, which MediaPipe lists by its edges.

    Every three points joined by edges are a triangle, except the two (at the wings of the nose)
    that are only enclosed by three others.

    Returns:
        (852, 3) int32 indices into the 468 mesh points.
    """
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

    joined: dict[int, set[int]] = defaultdict(set)
    for a, b in FACEMESH_TESSELATION:
        joined[a].add(b)
        joined[b].add(a)
    cliques = sorted(
        {tuple(sorted((a, b, c))) for a in joined for b in joined[a] for c in joined[a] & joined[b]}
    )
    shared = Counter(edge for clique in cliques for edge in combinations(clique, 2))
    faces = [c for c in cliques if any(shared[edge] < 3 for edge in combinations(c, 2))]
    return np.array(faces, dtype=np.int32)


def mouth_opening(landmarks: Array) -> Array:
    """Inner-lip opening over the inter-ocular distance.

    Args:
        landmarks: (..., 478, 3) in any unit.

    Returns:
        (...) float: mean vertical gap of the three middle inner-lip pairs, in inter-ocular
        distances (outer eye corners, 33 to 263).
    """
    upper, lower = list(INNER_LIP_UPPER[3:6]), list(INNER_LIP_LOWER[3:6])
    gap = np.linalg.norm(landmarks[..., lower, :2] - landmarks[..., upper, :2], axis=-1).mean(-1)
    return np.asarray(gap / interocular(landmarks))


def mouth_width(landmarks: Array) -> Array:
    """Distance of the mouth's corners over the inter-ocular distance, (...) float."""
    a, b = MOUTH_CORNERS
    width = np.linalg.norm(landmarks[..., a, :2] - landmarks[..., b, :2], axis=-1)
    return np.asarray(width / interocular(landmarks))


def interocular(landmarks: Array) -> Array:
    """Distance of the outer eye corners (33 and 263), the unit of most lengths of this package.

    Args:
        landmarks: (..., 478, 3), or (..., 478, 2) for the distance as the image shows it, which is
            shorter where the head is turned.

    Returns:
        (...) float, in the unit of the landmarks.
    """
    return np.asarray(np.linalg.norm(landmarks[..., 33, :] - landmarks[..., 263, :], axis=-1))
