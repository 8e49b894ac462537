"""What a motion feels: the voice's emotion, a mood or a place that somebody chose, or nothing.

Writes the motion's channel `feeling`, which `talking_face.editing.expression` turns into expression
when frames are made. So a feeling can be changed as often as one likes, and nothing is drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from talking_face.arrays import Array, Float32
from talking_face.editing.change import listed, weight
from talking_face.editing.edit import Edit
from talking_face.editing.expression import swell
from talking_face.moods import VOICE, weights_of
from talking_face.motion import Motion
from talking_face.motion_space import MANNERS
from talking_face.sound.emotion import Emotion
from talking_face.sound.speech import Speech

_STREAM = 3  # of a sample's seed; 1 and 2 are those of the motion and the eyes


def feel_voice(motion: Motion, speech: Speech, heard: Emotion, seed: int, index: int) -> Motion:
    """The motion of sample `index` of a seed, with the feeling that is heard.

    The sample's manner, which of the many ways of showing it, is drawn from both.
    """
    manner = int(np.random.default_rng([seed, index, _STREAM]).integers(MANNERS))
    weights = swell(heard.moods(len(motion)), speech, manner)
    return _with(motion, weights, manner)


def change_feeling(
    motion: Motion,
    edits: Edit | Sequence[Edit],
    speech: Speech | None = None,
    heard: Emotion | None = None,
) -> Motion:
    """A motion with the feelings that edits want, one after the other.

    Args:
        motion: drawn or loaded.
        edits: those without a feeling change nothing.
        speech, heard: the recording and what is felt in it, or neither; the feeling swells with the
            words. Without them a mood is steady, and "voice" is what the motion feels already.

    Returns:
        A new motion of the same length; the same one where there is nothing to change.
    """
    wanted = [(edit, edit.feeling) for edit in listed(edits) if edit.feeling is not None]
    if not wanted or not len(motion):
        return motion
    own = motion.feeling[:, :-1]
    manner = int(np.clip(motion.feeling[0, -1], 0, MANNERS - 1))  # a file may hold any number
    felt = own.astype(np.float64)
    for edit, feeling in wanted:
        weights = own
        if feeling != VOICE:
            weights = np.tile(weights_of(feeling), (len(speech or motion), 1))
        elif heard is not None:
            weights = heard.moods(len(speech or motion))
        weights = (weights * edit.feeling_strength).astype(np.float32)
        if speech is not None:
            weights = swell(weights, speech, manner)
        when = weight(edit, len(motion))[:, None]
        felt = (1 - when) * felt + when * _fitted(weights, len(motion))
    return _with(motion, felt, manner)


def _fitted(weights: Array, frames: int) -> Array:
    """Weights (n, 8) of a recording for a motion that may be shorter or longer than it."""
    return weights[np.minimum(np.arange(frames), len(weights) - 1)]


def _with(motion: Motion, weights: Array, manner: int) -> Motion:
    manners = np.full((len(motion), 1), manner, dtype=np.float32)
    feeling: Float32 = np.concatenate([weights, manners], axis=1, dtype=np.float32)
    return motion.replace(feeling=feeling)
