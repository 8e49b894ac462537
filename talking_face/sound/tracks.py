"""Which sound tracks of a file to hear: the one on which somebody speaks, or those that take turns.

Pure functions from levels to indices; knows nothing of files. Two languages of a film speak at the
same time, so only one of them is heard; people who have a track each hardly do, but each may be
heard faintly on the other's track, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from talking_face.arrays import Array
from talking_face.sound import channels
from talking_face.sound.prosody import HEARABLE, QUIETEST

_LEAST = 0.5  # of the speech of the best track, that an earlier one needs to be taken
_MUSIC = 0.25  # of how much the most voice-like track glides, below which a track is music
_JUDGED = 25  # frames that are heard, at least, to tell music from speech
_TURNS = 0.25  # of what is said on one of two tracks, at most said on both, where they take turns
_OWN = 0.2  # of what is heard on a track, that must be spoken there for it to be a speaker's
# Of a voice that is heard on two tracks, both levels rise and fall together.
_SMOOTH = 3  # frames: a room's echo evens a voice out
_WINDOW = 25  # frames in which that is looked at
_KNOWN = 10  # frames of them, at least, in which both are heard
_TOGETHER = 0.85  # correlation of the levels, at least
_STEADY = 1.0  # dB^4, of variances: levels that don't vary tell nothing
_FAINTER = 3.0  # dB by which a microphone hears somebody else less than the other one does

_NAMES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")


def choose(
    heard_on: Sequence[tuple[Array, Array]], preferred: int | None = None
) -> tuple[list[int], str]:
    """Which of several tracks to hear, and a sentence about why.

    Args:
        heard_on: of each track `channels.levels`, (channels, frames), and `channels.glides`,
            (frames,).
        preferred: the track that players take, if any.

    Returns:
        Indices, of which several are to be mixed: the preferred track, or else the first one, on
        which as good as nothing is missing of what is said on any, and those on which others speak
        while nobody does on it.
    """
    curves = [levels for levels, _ in heard_on]
    frames = max(curve.shape[1] for curve in curves)
    owners = np.repeat(range(len(curves)), [len(curve) for curve in curves])
    heard = channels.speech(np.concatenate([_lengthened(curve, frames) for curve in curves]))
    speaks = [heard[owners == track].any(axis=0) for track in range(len(curves))]
    loudest = np.stack([_smooth(_lengthened(curve, frames).max(axis=0)) for curve in curves])
    everything = [when.sum() for when in speaks]
    speaks = [when & ~_leaked(track, loudest, speaks) for track, when in enumerate(speaks)]
    said = np.array([when.sum() for when in speaks])
    voiced = [when[: len(g)] & g for when, (_, g) in zip(speaks, heard_on, strict=True)]
    like_voice = np.array([when.sum() for when in voiced]) / np.maximum(said, 1)
    music = (said >= _JUDGED) & (like_voice < _MUSIC * like_voice.max())
    said = np.where(music, 0, said)
    enough = said >= _LEAST * said.max()
    first = int(np.argmax(enough))
    if preferred is not None and preferred < len(said) and enough[preferred]:
        first = preferred
    chosen, when = [first], speaks[first]
    for track in np.argsort(-said, kind="stable"):
        both = (speaks[track] & when).sum()
        more = channels.MORE * (speaks[track] | when).sum()
        own = said[track] >= _OWN * everything[track]
        in_turn = own and both <= _TURNS * min(said[track], when.sum())
        if track != first and in_turn and said[track] - both >= max(1, more):
            chosen.append(int(track))
            when = when | speaks[track]
    return sorted(chosen), _told(sorted(chosen), curves, preferred)


def _leaked(track: int, levels: Array, speaks: Sequence[Array]) -> Array:
    """Where what is heard on a track is the voice of another one, only fainter, (frames,) bool.

    Args:
        levels: of all tracks, (tracks, frames) dB. speaks: where each speaks, (frames,) bool.
    """
    leaked = np.zeros_like(speaks[track])
    for level, said in zip(levels, speaks, strict=True):
        both = speaks[track] & said
        count = np.maximum(_within(both.astype(float)), 1 / _WINDOW)
        here, there = (np.where(both, one, 0.0) for one in (levels[track], level))
        means = _within(here) / count, _within(there) / count
        spreads = [
            _within(one * another) / count - mean * other
            for one, another, mean, other in (
                (here, here, means[0], means[0]),
                (there, there, means[1], means[1]),
                (here, there, *means),
            )
        ]
        alike = spreads[2] > _TOGETHER * np.sqrt(np.maximum(spreads[0] * spreads[1], _STEADY))
        found = alike & (means[1] - means[0] > _FAINTER) & (count * _WINDOW >= _KNOWN)
        near = ndimage.maximum_filter1d(found, _WINDOW)  # whichever window has the frame
        leaked |= both & near & (level - levels[track] > _FAINTER / 2)
    return leaked


def _within(curve: Array) -> Array:
    """The mean of a curve in the window around each frame."""
    return ndimage.uniform_filter1d(curve, _WINDOW, mode="constant")


def _smooth(level: Array) -> Array:
    return 10 * np.log10(ndimage.uniform_filter1d(10 ** (level / 10), _SMOOTH))


def _lengthened(curves: Array, frames: int) -> Array:
    """Levels of channels, (channels, n), with silence behind them: (channels, frames)."""
    behind = ((0, 0), (0, frames - curves.shape[1]))
    return np.pad(curves, behind, constant_values=QUIETEST)


def _told(chosen: list[int], curves: list[Array], preferred: int | None) -> str:
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
    if track == preferred:
        return f"Of {len(curves)} sound tracks {used}, as players do."
    if max(curve.max(initial=QUIETEST) for curve in curves[:track]) < HEARABLE[0]:
        silent = "first sound track is" if track == 1 else f"first {track} sound tracks are"
        return f"The {silent} silent, so {used}."
    mute = "first sound track" if track == 1 else f"first {track} sound tracks"
    return f"Nobody speaks on the {mute}, so {used}."


def ordinal(index: int) -> str:
    """As in "the second one", for an index from 0."""
    return _NAMES[index] if index < len(_NAMES) else f"{index + 1}th"
