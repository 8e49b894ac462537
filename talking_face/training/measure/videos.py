"""Finished videos, seen as the clips were: animations rendered on portraits and tracked again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from talking_face.animator import Animator
from talking_face.arrays import Array
from talking_face.face.face import Face
from talking_face.face.landmarks import track_face
from talking_face.face.model import FaceModel
from talking_face.motion import Motion
from talking_face.training.data.examples import Example
from talking_face.training.data.motions import TrackedMotion, track_motion
from talking_face.training.data.tracks import MIN_TRACKED, Track

PORTRAIT_SUFFIXES = (".jpg", ".jpeg", ".png")


class Studio:
    """Renders on the portraits of a folder in turn, and tracks what was rendered."""

    def __init__(self, animator: Animator, model: FaceModel, portraits: Path) -> None:
        self._animator, self._model = animator, model
        photos = [path for path in portraits.iterdir() if path.suffix in PORTRAIT_SUFFIXES]
        self._faces = [animator.fit(photo) for photo in sorted(photos)]

    def film(self, example: Example, motion: Motion, turn: int) -> TrackedMotion | None:
        """Render an animation of a clip and track the frames.

        Args:
            turn: chooses the portrait.

        Returns:
            The motion as it is seen, relative to the portrait brought to rest; None where the
            tracker hardly finds the rendered face.
        """
        face = self._faces[turn % len(self._faces)]
        marks = np.stack(list(track_face(self._animator.render(face, motion))))
        track = Track(example.key, example.source, example.speaker, example.split, marks)
        if track.ok.sum() < MIN_TRACKED:
            return None
        neutral = rest_shape(face, self._model)
        return track_motion(track, self._model, neutral, neutral)


def rest_shape(face: Face, model: FaceModel) -> Array:
    """The face of a photo with its lower face at rest, (478, 3) canonical."""
    return face.shape - np.einsum("ndk,k->nd", model.lower, face.lower)
