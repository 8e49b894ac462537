"""How a live face is to look from now on: an `Edit` that holds for ever, come by without a jump."""

from __future__ import annotations

from typing import Any

import numpy as np

from talking_face.arrays import Array
from talking_face.editing.change import SLOW, apply_edits
from talking_face.editing.edit import AMOUNTS, STRENGTHS, Edit
from talking_face.editing.expression import ExpressionModel, express
from talking_face.face.model import FaceModel
from talking_face.moods import MOODS, VOICE, weights_of
from talking_face.motion import FPS, Motion

CHANGE = 0.5  # seconds that it takes, about
_RECENT = round(2 * SLOW * FPS)  # frames that tell what the face does slowly
_NEAR = 0.01
_NAMES = (*STRENGTHS, *AMOUNTS)


class Manner:
    """Applies the edit that is wished for, frame by frame; blinks are left as they are drawn.

    An edit without a feeling leaves the one that is heard in the voice.
    """

    def __init__(self, model: FaceModel, expression: ExpressionModel) -> None:
        self._model, self._expression = model, expression
        self._wanted = Edit()
        self._plain = self._held = _values(Edit(), np.zeros(len(MOODS)))
        self._recent: list[Array] = []

    def change(self, edit: Edit) -> None:
        """From the next frame on, be on the way to this; its times don't matter."""
        self._wanted = edit

    def apply(self, motion: Motion, felt: Array) -> Motion:
        """The next frame, a motion of one, as it is wished for.

        Args:
            felt: (8,) how much of each mood the voice shows.
        """
        wanted = _values(self._wanted, felt)
        self._recent = [*self._recent, motion.as_array()][-_RECENT:]
        left = wanted - self._held
        near = np.abs(left) < _NEAR
        self._held = np.where(near, wanted, self._held + left * 3 / (CHANGE * FPS))
        if np.array_equal(self._held, self._plain):
            return motion
        values, feeling = np.split(self._held, [-len(MOODS)])
        window = Motion.from_array(np.concatenate(self._recent))
        window = apply_edits(window, _edit(values), self._model)
        felt = np.tile([*feeling, 0.0], (len(window), 1))
        return express(window.replace(feeling=felt), self._model, self._expression)[-1:]


def _values(edit: Edit, heard: Array) -> Array:
    """All that an edit says, as one row of numbers; the last ones are how much of each mood."""
    sliders = np.concatenate([np.atleast_1d(getattr(edit, name)) for name in _NAMES])
    feeling = heard if edit.feeling in (None, VOICE) else weights_of(edit.feeling)
    return np.concatenate([sliders, edit.feeling_strength * feeling]).astype(np.float64)


def _edit(values: Array) -> Edit:
    sizes = [np.size(getattr(Edit(), name)) for name in _NAMES]
    parts = np.split(values, np.cumsum(sizes)[:-1])
    wished: dict[str, Any] = {
        name: tuple(part) if size > 1 else float(part[0])
        for name, part, size in zip(_NAMES, parts, sizes, strict=True)
    }
    return Edit(**wished)
