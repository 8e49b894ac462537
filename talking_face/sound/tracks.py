"""Which sound tracks of a file to hear: the one on which somebody speaks, or those that take turns.

Pure functions from levels to indices; knows nothing of files. Two languages of a film speak at the
same time, so only one of them is heard; people who have a track each hardly do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from talking_face.arrays import Array
from talking_face.sound import channels
from talking_face.sound.prosody import HEARABLE, QUIETEST

_LEAST = 0.5  # of the speech of the best track, that an earlier one needs to be taken
_MUSIC = 0.25  # of how much the most voice-like track glides, below which a track is music
_JUDGED = 25  # frames that are heard, at least, to tell music from speech
_TURNS = 0.25  # of what is said on one of two tracks, at most said on both, where they take turns

_NAMES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")


def choose(heard_on: Sequence[tuple[Array, Array]]) -> tuple[list[int], str]:
    """Which of several tracks to hear, and a sentence about why.

    Args:
        heard_on: of each track `channels.levels`, (channels, frames), and `channels.glides`,
            (frames,).

    Returns:
        Indices, of which several are to be mixed: the first track on which as good as nothing is
        missing of what is said on any, and those on which others speak while nobody does on it.
    """
    curves = [levels for levels, _ in heard_on]
    frames = max(curve.shape[1] for curve in curves)
    owners = np.repeat(range(len(curves)), [len(curve) for curve in curves])
    heard = channels.speech(np.concatenate([_lengthened(curve, frames) for curve in curves]))
    speaks = [heard[owners == track].any(axis=0) for track in range(len(curves))]
    said = np.array([when.sum() for when in speaks])
    voiced = [when[: len(g)] & g for when, (_, g) in zip(speaks, heard_on, strict=True)]
    like_voice = np.array([when.sum() for when in voiced]) / np.maximum(said, 1)
    music = (said >= _JUDGED) & (like_voice < _MUSIC * like_voice.max())
    said = np.where(music, 0, said)
    first = int(np.argmax(said >= _LEAST * said.max()))
    chosen, when = [first], speaks[first]
    for track in np.argsort(-said, kind="stable"):
        both = (speaks[track] & when).sum()
        enough = channels.MORE * (speaks[track] | when).sum()
        in_turn = both <= _TURNS * min(said[track], when.sum())
        if track != first and in_turn and said[track] - both >= max(1, enough):
            chosen.append(int(track))
            when = when | speaks[track]
    return sorted(chosen), _told(sorted(chosen), curves)


def _lengthened(curves: Array, frames: int) -> Array:
    """Levels of channels, (channels, n), with silence behind them: (channels, frames)."""
    behind = ((0, 0), (0, frames - curves.shape[1]))
    return np.pad(curves, behind, constant_values=QUIETEST)


def _told(chosen: list[int], curves: list[Array]) -> str:
    if len(chosen) > 1:
        *most, last = [ordinal(track) for track in chosen]
        return (
            f"On the {', '.join(most)} and {last} of {len(curves)} sound tracks people speak in "
            "turn, so these are mixed."
        )
    track = chosen[0]
    used = f"the {ordinal(track)} one is used"
    if track == 0:
        return f"Of {len(curves)} sound tracks {used}."
    if max(curve.max(initial=QUIETEST) for curve in curves[:track]) < HEARABLE[0]:
        silent = "first sound track is" if track == 1 else f"first {track} sound tracks are"
        return f"The {silent} silent, so {used}."
    mute = "first sound track" if track == 1 else f"first {track} sound tracks"
    return f"Nobody speaks on the {mute}, so {used}."


def ordinal(index: int) -> str:
    """As in "the second one", for an index from 0."""
    return _NAMES[index] if index < len(_NAMES) else f"{index + 1}th"
