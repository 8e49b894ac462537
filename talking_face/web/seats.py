"""How many live faces the server's cores carry, and who has one."""

from __future__ import annotations

import time
from functools import cache
from threading import Lock

import cv2
import numpy as np

from talking_face.cores import available, one_thread
from talking_face.errors import Refused
from talking_face.live.performance import Performance
from talking_face.live.phones import HOP
from talking_face.motion import FPS, Motion
from talking_face.options import STYLES, Look
from talking_face.sound.prosody import FRAME
from talking_face.web.models import animator
from talking_face.web.uploads import ASSETS

SIZE = 512  # pixels of a live face, unless told
_FACE = ASSETS / "portraits" / "woman_long_hair.jpg"
_PART = 0.8  # of the cores' time that live faces may take
_STEPS = 8  # hops that are measured


class Seats:
    """The live faces that there is time for."""

    def __init__(self) -> None:
        self._taken, self._lock = 0, Lock()

    @property
    def taken(self) -> int:
        """How many there are now."""
        return self._taken

    def take(self, most: int) -> None:
        """Sit down.

        Raises:
            Refused: all are taken.
        """
        with self._lock:
            if self._taken >= most:
                raise Refused(
                    f"This server carries {most} live face{'s' if most > 1 else ''} at a time, and "
                    "all are in use. Try again in a few minutes, or make clips meanwhile."
                )
            self._taken += 1

    def leave(self) -> None:
        """Stand up."""
        with self._lock:
            self._taken -= 1


@cache
def carried() -> int:
    """How many live faces the cores carry, measured once; one at least.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    models = animator().models
    renderer = animator().renderer(animator().fit(_FACE), Look(size=SIZE))
    networks = models.live_ear, models.mapping, models.eyes, models.face
    live = Performance(*networks, 0, 0, 1.0, STYLES["natural"], models.emotion)
    noise = np.random.default_rng(0)
    turned = Motion.still(1).replace(rotation=np.full((1, 3), 2.0))

    def second(steps: int) -> float:
        begun = time.thread_time()
        for step in range(steps):
            loud = np.float32(0.3 if step % 8 < 4 else 0.001)  # it comes and goes, as voices do
            live.hear(loud * noise.standard_normal(HOP * FRAME, dtype=np.float32))
            for _ in range(HOP):
                cv2.imencode(".jpg", renderer.frame(turned))
        return (time.thread_time() - begun) / (steps * HOP / FPS)

    with one_thread():
        second(_STEPS)  # to warm up
        return max(1, int(_PART * available() / second(_STEPS)))
