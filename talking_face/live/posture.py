"""How somebody holds themselves: breath always, and where nobody speaks, attention and small nods.

Knows angles and seconds, nothing of sounds; it is added to the head that the network draws.
"""

from __future__ import annotations

import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.motion import FPS

_BREATH = 4.1 * FPS  # frames from one breath to the next
_BREATH_MOVES = np.array([0.0, -0.004, 0.0015])  # translation when breathed in: up and nearer
_SPEAKS = 0.1  # of the mouth's gate
_PATIENCE = round(0.8 * FPS)  # frames of silence after which somebody listens
_ATTEND, _RETURN = 1.4 * FPS, 0.6 * FPS  # frames
_LEAN = 0.02  # nearer, the logarithm of the scale
_BOW, _TILT = 1.0, 1.6  # degrees of pitch and roll
_NOD = round(0.52 * FPS)  # frames
_DEPTH = (1.0, 2.6)  # degrees
_BETWEEN = (3.0, 9.0)  # seconds
_AGAIN = (0.4, 0.6)  # how often a second nod follows, and its part of the first one's depth
_STREAM = 3  # of a sample's seed; 1 and 2 are the decoder's and the eyes'


class Posture:
    """Frame after frame; a function of the seed and of when somebody spoke."""

    def __init__(self, seed: int, index: int) -> None:
        self._random = np.random.default_rng([seed, index, _STREAM])
        self._tilt = _TILT * self._random.choice([-1.0, 1.0])
        self._frame = 0
        self._quiet = 0  # frames since somebody spoke
        self._attends = 0.0  # 0 speaks … 1 listens
        self._nod: list[float] = []  # degrees of the frames to come
        self._wait = self._pause()

    def hold(self, gate: Array) -> tuple[Array, Array]:
        """What to add to rotation and translation, (n, 3) each, of the next frames.

        Args:
            gate: (n,) 0..1, how far the face speaks.
        """
        rotation, translation = np.zeros((2, len(gate), 3))
        for i, speaks in enumerate(gate):
            self._quiet = 0 if speaks > _SPEAKS else self._quiet + 1
            step = 1 / _ATTEND if self._quiet > _PATIENCE else -1 / _RETURN
            self._attends = min(max(self._attends + step, 0.0), 1.0)
            listens = smoothstep(self._attends, 0.0, 1.0)
            rotation[i, 1:] = listens * (_BOW + self._nodded()), listens * self._tilt
            translation[i, 2] = listens * _LEAN
            breath = np.sin(2 * np.pi * (self._frame % _BREATH) / _BREATH)
            translation[i] += breath * _BREATH_MOVES
            self._frame += 1
        return rotation, translation

    def _nodded(self) -> float:
        if self._nod:
            return self._nod.pop()
        self._wait = self._wait - 1 if self._attends == 1.0 else self._wait
        if self._wait <= 0:
            depth = self._random.uniform(*_DEPTH)
            often, part = _AGAIN
            depths = [depth, part * depth] if self._random.random() < often else [depth]
            arc = np.sin(np.pi * np.arange(_NOD) / _NOD) ** 2
            self._nod = [float(d * a) for d in reversed(depths) for a in reversed(arc)]
            self._wait = self._pause()
        return 0.0

    def _pause(self) -> int:
        return round(self._random.uniform(*_BETWEEN) * FPS)
