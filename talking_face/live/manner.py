"""How a live face is to look from now on: an `Edit` that holds for ever, come by without a jump."""

from __future__ import annotations

from typing import Any

import numpy as np

from talking_face.arrays import Array
from talking_face.editing.change import SLOW, apply_edits
from talking_face.editing.edit import AMOUNTS, STRENGTHS, Edit
from talking_face.face.model import FaceModel
from talking_face.motion import FPS, Motion

CHANGE = 0.5  # seconds that it takes
_RECENT = round(2 * SLOW * FPS)  # frames that tell what the face does slowly
_NEUTRAL = Edit()


class Manner:
    """Applies the edit that is wished for, frame by frame; blinks are left as they are drawn."""

    def __init__(self, model: FaceModel) -> None:
        self._model = model
        self._wanted = self._held = _values(_NEUTRAL)
        self._recent: list[Array] = []

    def change(self, edit: Edit) -> None:
        """From the next frame on, be on the way to this; its times don't matter."""
        self._wanted = _values(edit)

    def apply(self, motion: Motion) -> Motion:
        """The next frame, a motion of one, as it is wished for."""
        self._recent = [*self._recent, motion.as_array()][-_RECENT:]
        if not np.array_equal(self._held, self._wanted):
            left = self._wanted - self._held
            near = np.abs(left) < 0.01
            self._held = np.where(near, self._wanted, self._held + left * 3 / (CHANGE * FPS))
        if np.array_equal(self._held, _values(_NEUTRAL)):
            return motion
        window = Motion.from_array(np.concatenate(self._recent))
        return apply_edits(window, _edit(self._held), self._model)[-1:]


def _names() -> tuple[str, ...]:
    return (*STRENGTHS, *AMOUNTS)


def _values(edit: Edit) -> Array:
    return np.concatenate([np.atleast_1d(getattr(edit, name)) for name in _names()]).astype(float)


def _edit(values: Array) -> Edit:
    sizes = [np.size(getattr(_NEUTRAL, name)) for name in _names()]
    parts = np.split(values, np.cumsum(sizes)[:-1])
    wished: dict[str, Any] = {
        name: tuple(part) if size > 1 else float(part[0])
        for name, part, size in zip(_names(), parts, sizes, strict=True)
    }
    return Edit(**wished)
