"""Which channels of a recording to hear, so that nothing that somebody says is lost.

Pure functions from samples and levels to indices; knows nothing of files. Channels are mixed
wherever that keeps the speech: where they cancel each other, or nobody can tell how to mix them,
those are taken that hold it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from talking_face.arrays import Array
from talking_face.sound import prosody

FRAME = prosody.FRAME
ENOUGH = 0.8  # of the frames in which somebody speaks, that a mix keeps
MORE = 0.1  # of them, that another channel must add
_DROWNED = 20.0  # dB below the channel on which the speech is loudest
_ENDS = 3  # frames at both ends, in which encoders fade steady noise in and out like speech
_SILENT = 40.0  # dB below the other channel, at most: a microphone that wasn't plugged in


def levels(samples: Array) -> Array:
    """How loud each channel is in the band of speech.

    Args:
        samples: (n, channels) float32 in [-1, 1], 16 kHz.

    Returns:
        (channels, frames) float32, dB relative to full scale, at 25 fps.
    """
    frames = -(-len(samples) // FRAME)
    return np.stack([prosody.speech_level(channel, frames) for channel in samples.T])


def glides(samples: Array) -> Array:
    """Where pitch glides on the loudest channel, as a voice's does; arguments as of `levels`.

    Returns:
        (frames,) bool, at 25 fps.
    """
    loudest = samples[:, int(np.argmax(np.square(samples).sum(axis=0)))]
    return prosody.glides(loudest, -(-len(samples) // FRAME))


def speech(curves: Array) -> Array:
    """Where somebody is heard on each channel: (channels, frames) levels -> the same, bool.

    Of frames in which several channels speak, those far below the loudest don't count. Where
    nobody speaks at all, whatever can be heard is taken for speech.
    """
    if curves.shape[1] > 2 * _ENDS:
        curves = np.pad(curves[:, _ENDS:-_ENDS], ((0, 0), (_ENDS, _ENDS)), mode="edge")
    speaks = np.stack([prosody.speaking(curve) > 0.5 for curve in curves])
    if not speaks.any():
        speaks = curves > prosody.HEARABLE[1]
    loudest = np.where(speaks, curves, -np.inf).max(axis=0)
    return speaks & (curves >= loudest - _DROWNED)


def keeps(mix: Array, curves: Array) -> bool:
    """Whether a mix, by its levels (frames,), says what the channels (channels, frames) say."""
    heard = speech(np.concatenate([curves, mix[None]]))
    said = heard[:-1].any(axis=0)
    return bool((heard[-1] & said).sum() >= ENOUGH * said.sum())


def best(curves: Array) -> list[int]:
    """The fewest channels, by their levels (channels, frames), that say what all of them say."""
    heard = speech(curves)
    missing, said = heard.any(axis=0), heard.any(axis=0).sum()
    chosen: list[int] = []
    while True:
        gains = (heard & missing).sum(axis=1)
        channel = int(np.argmax(gains))
        if (chosen and gains[channel] < MORE * said) or channel in chosen:
            return sorted(chosen)
        chosen.append(channel)
        missing &= ~heard[channel]


def choose(samples: Array) -> tuple[list[int] | None, str | None]:
    """Which channels to hear.

    Args:
        samples: (n, channels) float32 in [-1, 1], 16 kHz.

    Returns:
        Indices, or None where both of two are mixed; and a sentence about why, if not.
    """
    count = samples.shape[1]
    if count == 1:
        return None, None
    curves = levels(samples)
    if count > 2:
        chosen = best(curves)
        return chosen, told(chosen, count)
    if not keeps(levels(samples.mean(axis=1, keepdims=True))[0], curves):
        chosen = best(curves)
        if len(chosen) == 1:
            return chosen, (
                "Left and right, mixed, would lose the speech, so only the "
                f"{('left', 'right')[chosen[0]]} channel is used."
            )
    loudest = curves.max(axis=1)
    if abs(loudest[0] - loudest[1]) > _SILENT:
        heard = int(np.argmax(loudest))
        names = ("left", "right")
        return [heard], (
            f"The {names[1 - heard]} channel is silent, so the {names[heard]} one is used for both."
        )
    return None, None


def told(chosen: Sequence[int], count: int) -> str:
    """The sentence about channels that were chosen of many."""
    numbers = [str(channel + 1) for channel in chosen]
    if len(numbers) == 1:
        return f"Of the {count} channels only number {numbers[0]} is used, which has the speech."
    listed = f"{', '.join(numbers[:-1])} and {numbers[-1]}"
    return f"Of the {count} channels, numbers {listed} are used, which have the speech."


def mixed(samples: Array, chosen: Sequence[int] | None) -> Array:
    """The channels chosen, all for None, (n, channels) float32 -> (n,)."""
    if chosen is None:
        return samples.mean(axis=1)
    return samples[:, list(chosen)].sum(axis=1) / np.sqrt(len(chosen))
