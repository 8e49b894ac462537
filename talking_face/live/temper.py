"""How a voice feels while it speaks: what `talking_face.sound.emotion` hears in the newest seconds.

Asked twice a second of the three seconds that have been, as it is asked of a recording; what it
answers comes and goes slowly, and fades where nobody speaks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from talking_face.arrays import Array, Float32
from talking_face.moods import MOODS
from talking_face.motion import FPS
from talking_face.sound.delivery import delivery
from talking_face.sound.emotion import (
    HOP_SECONDS,
    PASSAGE_SECONDS,
    EmotionNetwork,
    face_of,
    shown,
)

PASSAGE = round(PASSAGE_SECONDS * FPS)  # frames
_EVERY = round(HOP_SECONDS * FPS)  # frames
_SPOKEN = 0.3  # of the passage, at least; less tells nothing
_NOTHING = np.append(np.eye(len(MOODS))[0], 0.0)  # probabilities and valence: neutral is sure
_SLOW = 1.0  # seconds in which an answer counts for 1 - 1/e


@dataclass(frozen=True, eq=False)
class Newest:
    """What was heard of the newest frames, as `delivery` takes it.

    Attributes:
        features: (n, 6, 512) float32, of the encoder; 0 where it rested.
        energy, activity, pitch, voicing: (n,) float32, as a `Speech` has them.
    """

    features: Float32
    energy: Float32
    activity: Float32
    pitch: Float32
    voicing: Float32


class Temper:
    """How much of each mood a live face is to show, after every hop."""

    def __init__(self, network: EmotionNetwork) -> None:
        self._network = network
        self._answer = _NOTHING
        self._waited = 0  # frames

    def feel(self, newest: Newest, frames: int) -> Array:
        """(8,) 0..1, in the order of `MOODS`; neutral is 0.

        Args:
            newest: at most the last `PASSAGE` frames.
            frames: how many of them are new.
        """
        self._waited += frames
        if self._waited >= _EVERY:
            part = 1 - math.exp(-self._waited / (_SLOW * FPS))
            self._answer = self._answer + part * (self._heard(newest) - self._answer)
            self._waited = 0
        return face_of(self._answer[None, :-1], self._answer[-1:])[0]

    @torch.inference_mode()
    def _heard(self, newest: Newest) -> Array:
        if newest.activity.mean() * len(newest.activity) / PASSAGE < _SPOKEN:
            return _NOTHING
        statistics = delivery(newest, slice(None))[None]
        probabilities, affect = self._network(torch.from_numpy(statistics))
        heard = shown(probabilities.numpy())[0], affect.numpy()[0, :1]
        return np.concatenate(heard).astype(np.float64)
