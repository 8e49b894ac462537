"""A photo becomes a `Face`: which face, where it looks, and what it is like at rest.

Pay once with `fit_face`, then render any number of motions on it.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talking_face.arrays import Array, Float32, UInt8
from talking_face.errors import FaceIndexError, FaceUnsuitable, NoFaceFound
from talking_face.face.cover import eyes_closed, eyes_hidden, mouth_hidden, tongue_out
from talking_face.face.landmarks import MOUTH_CORNERS, detect_faces, detect_far_faces
from talking_face.face.lower_lip import look_at_wide_mouth, skin_below_lip
from talking_face.face.model import FaceModel, Pose, rotation_angles
from talking_face.face.orientation import quarter_turns
from talking_face.face.rest import smile_left
from talking_face.frozen import Frozen
from talking_face.motion import CHANNELS
from talking_face.options import rounded_down, shown

MIN_INTEROCULAR = 20.0  # pixels between the outer eye corners; a face about 45 px wide
TURNED = "The photo was turned upright: the face in it {way}."
WAYS = ("", "lay on its side", "was upside down", "lay on its side")  # by quarter turns
SEVERAL = (
    "The photo shows {count} faces, and the largest is used. Choose another by its number: 0 is "
    "the largest, {last} the smallest."
)
HIDDEN = (
    "The mouth seems to be hidden, by a mask, a hand or a microphone for example, so it won't "
    "move. Use a photo that shows it."
)
SHADES = "Dark glasses seem to hide the eyes, which don't blink then."
CLOSED = "The eyes are closed in the photo, so they stay closed. Use a photo with open eyes."
MAX_TURN = np.array([38.0, 32.0, 60.0])  # degrees of yaw, pitch, roll
# What of a face must lie in the photo, but for some of the distance between its eyes: where a head
# turned, the mirror image of what is cut off would show.
NEEDED = [33, 133, 263, 362, *MOUTH_CORNERS, 0, 17]  # corners of the eyes, outline of the lips
RIM = 0.05

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Face(Frozen):
    """One face of one photo, fitted; its arrays are read-only.

    Attributes:
        photo: (H, W, 3) uint8 RGB, upright.
        landmarks: (478, 3) float32, pixels of the photo.
        pose: from the canonical frame to pixels of the photo.
        shape: (478, 3) the face as photographed, canonical (`pose.project(shape)` = landmarks).
        expression: (22,) the photo's own expression: lower-face, then upper-face coefficients.
        digest: sha256 of the photo's pixels and the face's index.
        notes: sentences for people about what was done to the photo or can't be done with it.
        mouth_hidden: something covers the mouth, which then stays as it is.
        eyes_closed: nothing is known of what is behind lids or dark glasses, which then stay as
            they are.
    """

    photo: UInt8
    landmarks: Float32
    pose: Pose
    shape: Array
    expression: Array
    digest: str
    notes: tuple[str, ...] = ()
    mouth_hidden: bool = False
    eyes_closed: bool = False

    @property
    def lower(self) -> Array:
        """The photo's own lower-face coefficients, (16,)."""
        return self.expression[: CHANNELS["lower"]]

    @property
    def angles(self) -> Array:
        """Head yaw, pitch and roll in the photo, degrees, (3,)."""
        return rotation_angles(self.pose.rotation)


def face_boxes(faces: list[Float32]) -> list[tuple[int, int, int, int]]:
    """Bounding boxes (x0, y0, x1, y1) of landmarks, pixels."""
    boxes = []
    for marks in faces:
        (x0, y0), (x1, y1) = marks[:, :2].min(0), marks[:, :2].max(0)
        boxes.append((int(x0), int(y0), int(x1), int(y1)))
    return boxes


def find_faces(photo: UInt8, insightface_pack: Path | None = None) -> list[Float32]:
    """Landmarks of all faces, largest first; insightface finds and ranks them where it can.

    Args:
        photo: (H, W, 3) uint8 RGB.
        insightface_pack: folder with insightface's detection model, or None for MediaPipe's.
    """
    if insightface_pack is None:
        return detect_faces(photo)
    from talking_face.face.detector import detect_faces_with_pack

    return detect_faces_with_pack(photo, insightface_pack)


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen in a photo.

    Attributes:
        turns: how often `np.rot90` turns the photo upright, 0 to 3.
        faces: landmarks (478, 3) of each face once it is turned, the largest first, pixels.
    """

    turns: int
    faces: list[Float32]

    @property
    def notes(self) -> tuple[str, ...]:
        """For people: what has to be done to the photo."""
        return (TURNED.format(way=WAYS[self.turns]),) if self.turns else ()

    def upright(self, photo: UInt8) -> UInt8:
        """The photo, turned; itself where that changes nothing."""
        return np.ascontiguousarray(np.rot90(photo, self.turns)) if self.turns else photo


def look_for_faces(photo: UInt8, insightface_pack: Path | None = None) -> Seen:
    """As `find_faces`, for a photo that may lie on its side, and for faces far away."""
    faces = find_faces(photo, insightface_pack)
    turns = quarter_turns(photo, faces)
    upright = Seen(turns, faces).upright(photo)
    if turns:
        faces = find_faces(upright, insightface_pack)
    return Seen(turns, faces or detect_far_faces(np.ascontiguousarray(upright)))


def fit_face(
    photo: UInt8,
    faces: list[Float32],
    model: FaceModel,
    index: int | None = None,
    notes: tuple[str, ...] = (),
) -> Face:
    """Fit the face model to one of the faces found in a photo.

    Args:
        photo: (H, W, 3) uint8 RGB.
        faces: of `find_faces`.
        model: the face model.
        index: which face, largest first; None takes the largest.
        notes: what was done to the photo.

    Raises:
        NoFaceFound, FaceIndexError, FaceUnsuitable.
    """
    if not faces:
        raise NoFaceFound(
            "No face was found in the photo. Use a photo in which one face is clearly visible "
            "from the front, well lit and not covered."
        )
    if index is not None and not 0 <= index < len(faces):
        there = "one face, which is 0" if len(faces) == 1 else f"{len(faces)} faces"
        choice = "" if len(faces) == 1 else f" Choose from 0 (the largest) to {len(faces) - 1}."
        raise FaceIndexError(f"The photo has {there}, so there is no face {shown(index)}.{choice}")
    if index is None and len(faces) > 1:
        notes = (*notes, SEVERAL.format(count=len(faces), last=len(faces) - 1))
    landmarks = skin_below_lip(look_at_wide_mouth(photo, faces[index or 0]), model.mean)
    pose, expression = model.fit(landmarks)
    size = float(pose.scale)
    if size < MIN_INTEROCULAR:
        raise FaceUnsuitable(
            f"The face is too small: its eyes are {rounded_down(size)} pixels apart and at least "
            f"{MIN_INTEROCULAR:.0f} are needed. Use a larger photo or crop closer to the face."
        )
    if _cut_off(photo, landmarks[NEEDED, :2], RIM * size):
        raise FaceUnsuitable(
            "The edge of the photo cuts the face off. Use a photo that shows both eyes and all of "
            "the mouth" + (", or choose another of its faces." if len(faces) > 1 else ".")
        )
    turn = np.abs(rotation_angles(pose.rotation))
    if (turn > MAX_TURN).any():
        raise FaceUnsuitable(
            "The face is turned too far from the camera "
            f"(sideways {turn[0]:.0f}°, up or down {turn[1]:.0f}°, tilted {turn[2]:.0f}°). "
            "Use a photo in which the person looks towards the camera."
        )
    digest = hashlib.sha256(photo.tobytes())
    digest.update(repr((photo.shape, index or 0)).encode())
    shape = pose.unproject(landmarks)
    expression[: CHANNELS["lower"]] += smile_left(shape, expression[: CHANNELS["lower"]], model)
    hidden = mouth_hidden(photo, landmarks)
    if hidden:
        notes = (*notes, HIDDEN)
    elif tongue_out(photo, landmarks):
        raise FaceUnsuitable(
            "The tongue seems to be put out in the photo, and can't be put away. Use a photo in "
            "which it isn't seen."
        )
    covered = eyes_hidden(photo, landmarks, hidden)
    closed = covered or eyes_closed(landmarks)
    if closed:
        notes = (*notes, SHADES if covered else CLOSED)
    name = digest.hexdigest()
    return Face(photo, landmarks, pose, shape, expression, name, notes, hidden, closed)


def _cut_off(photo: UInt8, points: Array, rim: float) -> bool:
    """Whether any of the points (n, 2) lies outside of a photo by more than `rim` pixels."""
    height, width = photo.shape[:2]
    return bool(((points < -rim) | (points > np.array([width, height]) - 1 + rim)).any())
