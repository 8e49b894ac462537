"""From sound to motion while it is spoken: ear, head, eyes and posture, hop by hop.

The twin of `talking_face.mapping.sampler.draw`: it shares the networks, the random streams and the
functions, and differs in what it knows of the time to come. Nothing in it grows with time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from talking_face.arrays import Array, Float32
from talking_face.face.model import FaceModel
from talking_face.live.chorus import LiveEar
from talking_face.live.course import Course
from talking_face.live.ear import Ear, Heard
from talking_face.live.eyes import EndlessEyes
from talking_face.live.phones import AHEAD
from talking_face.live.posture import Posture
from talking_face.mapping.decoder import GROUPS
from talking_face.mapping.dirfa import Dirfa
from talking_face.mapping.events import EyeModel
from talking_face.mapping.listeners import N_LOWER
from talking_face.mapping.sampler import CALMING, looseness
from talking_face.motion import Motion
from talking_face.sound.emotion import EmotionNetwork

_OPENS = 0.34  # by which the gate of the mouth changes from frame to frame at most
_SEEN = 2  # frames ahead of which the eyes see the head


@dataclass(frozen=True, eq=False)
class Passage:
    """Some frames of a performance.

    Attributes:
        start: number of the first.
        motion: of the frames.
        silent: the same where nothing is said.
        gate: (n,) how far the face speaks.
        felt: (8,) how much of each mood the voice shows, in the order of `MOODS`.
    """

    start: int
    motion: Motion
    silent: Motion
    gate: Array
    felt: Array


class Performance:
    """One face's speaking and listening, from one seed.

    Args:
        ear, network, eyes, model: as `Models` has them.
        seed, index, diversity, style: as for `sampler.draw`.
        emotion: tells how the voice feels; None where that isn't asked for.
    """

    def __init__(
        self,
        ear: LiveEar,
        network: Dirfa,
        eyes: EyeModel,
        model: FaceModel,
        seed: int,
        index: int,
        diversity: float,
        style: tuple[float, float],
        emotion: EmotionNetwork | None = None,
    ) -> None:
        self._model = model
        self._ear = Ear(ear, model, emotion)
        self._course = Course(network, seed, index, diversity, style)
        self._eyes = EndlessEyes(eyes, seed, index, diversity)
        self._posture = Posture(seed, index)
        self._free, self._tight = (p.cpu().numpy() for p in (network.free, network.tight))
        self._calm = [math.exp(CALMING * min(liveliness, 0.0)) for liveliness in style]
        self._gate = 0.0
        self._next = 0

    def hear(self, samples: Float32) -> Passage:
        """Hear `HOP` frames more.

        Args:
            samples: (HOP * FRAME,) float32 at 16 kHz.

        Returns:
            The frames that are known by them; none, one or HOP.
        """
        heard = self._ear.hear(samples)
        start, stop = self._next, max(self._next, heard.stop - AHEAD)
        self._next = stop
        return self._passage(heard, start, stop)

    def interrupt(self) -> None:
        """Forget what was heard: from the next frame on, nothing has been said."""
        self._ear.forget()
        self._gate = 0.0

    def _passage(self, heard: Heard, start: int, stop: int) -> Passage:
        here = slice(start - heard.start, stop - heard.start)
        first = heard.stop - len(heard.said)
        said = heard.said[start - first : stop - first]
        gate = self._eased(heard.gate[here])[:, None]
        states = self._course.states(heard, start, stop + _SEEN)
        head, brows, stray = np.split(states, np.cumsum([*GROUPS.values()])[:-1], axis=1)
        rotation, count = self._calm[0] * head[:, :3], stop - start
        lids, gaze = self._eyes.look(rotation[:count], rotation[count:])
        held_rotation, held_translation = self._posture.hold(gate[:, 0])
        own = stray[:count] @ self._free
        raised = self._calm[1] * brows[:count]
        loose = looseness(said, self._model)
        silent = Motion.still(count).replace(
            lower=own,
            upper=raised,
            lids=lids,
            gaze=gaze,
            rotation=rotation[:count] + held_rotation,
            translation=self._calm[0] * head[:count, 3:] + held_translation,
            rest=np.ones((count, 1), dtype=np.float32),
        )
        motion = silent.replace(
            lower=(said[:, :N_LOWER] + loose * (stray[:count] @ self._tight)) * gate + own,
            upper=said[:, N_LOWER:] * gate + raised,
        )
        return Passage(start, motion, silent, gate[:, 0], heard.felt)

    def _eased(self, gate: Array) -> Array:
        """The gate without jumps: it is told of a voice only when it is there already."""
        eased = np.empty(len(gate))
        for i, wanted in enumerate(gate):
            step = float(np.clip(wanted - self._gate, -_OPENS, _OPENS))
            self._gate = eased[i] = self._gate + step
        return eased
