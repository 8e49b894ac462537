"""Blinks and glances without an end, drawn in blocks of a minute from the model of events.

The first block holds what the offline path draws for the same seed. Neighbouring blocks overlap:
blinks that begin in one end in the next, and the slow change of the lids passes over.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from talking_face.arrays import Array
from talking_face.curves import soft_limit
from talking_face.mapping.events import (
    GAZE_LIMIT,
    LIDS,
    STREAM,
    EyeModel,
    blink_closure,
    fixations,
    opening,
)
from talking_face.motion import FPS

BLOCK = 60 * FPS  # frames
OVERLAP = FPS
_SETTLE = 6  # frames over which lids follow a glance


class EndlessEyes:
    """Lids and gaze, frame after frame.

    Args:
        seed, index, diversity: as for `events.draw_eyes`.
    """

    def __init__(self, model: EyeModel, seed: int, index: int, diversity: float) -> None:
        self._model, self._seed, self._index = model, seed, index
        self._diversity = diversity
        self._start = 0
        self._block = self._drawn(0)
        self._pitch = np.zeros(_SETTLE)

    def look(self, rotation: Array, ahead: Array) -> tuple[Array, Array]:
        """The eyes of the next frames.

        Args:
            rotation: (n, 3) degrees, of the head in these frames, which follow the last ones.
            ahead: (m, 3) likewise, in the frames after them, as far as is known.

        Returns:
            lids (n, 2) and gaze (n, 2), float32, in the motion space.
        """
        count = len(rotation)
        drawn = self._take(count, len(ahead))
        turned = np.concatenate([rotation, ahead])[:, :2]
        gaze = soft_limit(drawn[:, 2:] - self._model.counter * turned, GAZE_LIMIT / 2, GAZE_LIMIT)
        pitch = np.concatenate([self._pitch, gaze[:, 1]])
        follow = gaussian_filter1d(self._model.lids_follow * pitch, 1, mode="nearest")
        self._pitch = pitch[count : count + _SETTLE]
        open_by = follow[_SETTLE : _SETTLE + count] + drawn[:count, 0]
        lids = np.clip(open_by + drawn[:count, 1] * (1 - open_by), *LIDS)
        return np.repeat(lids[:, None], 2, axis=1).astype(np.float32), (
            gaze[:count].astype(np.float32)
        )

    def _take(self, count: int, more: int) -> Array:
        """(count + more, 4) of the block, which then begins `count` frames later."""
        if len(self._block) < count + more + OVERLAP:
            tail, self._start = self._block, self._start + 1
            fresh = self._drawn(self._start)
            over = len(tail)
            fade = np.linspace(0.0, 1.0, over)
            fresh[:over, 0] = (1 - fade) * tail[:, 0] + fade * fresh[:over, 0]
            fresh[:over, 1] = np.maximum(tail[:, 1], fresh[:over, 1])
            fresh[: over // 2, 2:] = tail[: over // 2, 2:]
            self._block = fresh
        taken = self._block[: count + more]
        self._block = self._block[count:]
        return taken

    def _drawn(self, number: int) -> Array:
        """(BLOCK + OVERLAP, 4): slow change of the lids, blinks, and where the eyes look."""
        entropy = [self._seed, self._index, STREAM, *([number] if number else [])]
        children = np.random.SeedSequence(entropy).spawn(3)
        blinks, looks, slow = (np.random.default_rng(child) for child in children)
        model, frames, diversity = self._model, BLOCK + OVERLAP, self._diversity
        still = np.zeros(frames)
        return np.column_stack(
            [
                opening(model, still, slow, diversity),
                blink_closure(model, frames, blinks, diversity),
                fixations(model, frames, looks, diversity),
            ]
        )
