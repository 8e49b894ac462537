"""How a voice sounds apart from what it says: loudness, voicing, pitch, and whether it speaks.

Pure functions of the waveform; every curve has one value a video frame, and frame i covers the
seconds [i / 25, (i + 1) / 25).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import fft, ndimage, signal

from talking_face.arrays import Array, Float32
from talking_face.curves import smoothstep
from talking_face.motion import FPS
from talking_face.sound.rates import SAMPLE_RATE

FRAME = SAMPLE_RATE // FPS  # samples in a video frame
QUIETEST = -100.0  # dB relative to full scale; digital silence is given this energy

PITCH_RANGE = (70.0, 400.0)  # Hz
_PITCH_WINDOW = 1024  # samples, 64 ms: more than four periods of the lowest pitch
_BATCH = 1024  # frames at a time; bounds the memory
_OCTAVE_COST = 0.02  # of correlation, a doubling of the period; keeps pitch from halving
_VOICED = 0.5  # voicing of frames of which the pitch is known
_GLIDE = (0.15, 2.0)  # semitones from frame to frame: more than a note's wavering, less than a leap

_SPEECH_BAND = (200.0, 4000.0)  # Hz; most of hum lies below, most of hiss above
HEARABLE = (-80.0, -70.0)  # dB in the speech band: nothing, surely something
_BELOW_CEILING = (-32.0, -20.0)  # dB relative to the loudest within _MEMORY
_ABOVE_FLOOR = (3.0, 9.0)  # dB relative to the quietest within _MEMORY
_LIVELY = (3.0, 9.0)  # dB from the quietest to the loudest within _PASSAGE: steady sound, a voice
_MEMORY = 10 * FPS + 1  # frames
_PASSAGE = 2 * FPS + 1  # frames
_STOP = 7  # frames; a plosive's silence is shorter and belongs to speech


def energy(waveform: Float32, frames: int) -> Float32:
    """Loudness.

    Args:
        waveform: (n,) float32, 16 kHz.
        frames: length of the answer; the waveform is cut or continued with silence to fit.

    Returns:
        (frames,) float32: dB relative to full scale (a sine of amplitude 1 has -3), at least -100.
    """
    power = np.mean(_framed(waveform, frames, FRAME) ** 2, axis=1)
    decibels = 10 * np.log10(np.maximum(power, np.finfo(np.float32).tiny))
    return np.maximum(decibels, QUIETEST).astype(np.float32)


def pitch(waveform: Float32, frames: int) -> tuple[Float32, Float32]:
    """Pitch and voicing from the autocorrelation of each frame, corrected for its window.

    Accurate short-term analysis of the fundamental frequency, Boersma 1993.

    Args:
        waveform: (n,) float32, 16 kHz.
        frames: length of the answers.

    Returns:
        pitch: (frames,) float32, Hz, the best guess even where nothing is voiced.
        voicing: (frames,) float32, 0 (noise or silence) to 1 (periodic).
    """
    window = np.hanning(_PITCH_WINDOW).astype(np.float32)
    shortest, longest = (round(SAMPLE_RATE / hertz) for hertz in reversed(PITCH_RANGE))
    lags = np.arange(shortest, longest + 1)
    ideal = _autocorrelation(window[None])[0]
    ideal /= ideal[0]
    cost = _OCTAVE_COST * np.log2(lags / shortest)
    silent = _PITCH_WINDOW * 10 ** (HEARABLE[0] / 10)
    hertz, voicing = np.zeros((2, frames), dtype=np.float32)
    pieces = _framed(waveform, frames, _PITCH_WINDOW)
    for start in range(0, frames, _BATCH):
        part = slice(start, start + _BATCH)
        centred = pieces[part] - pieces[part].mean(axis=1, keepdims=True)
        correlation = _autocorrelation(centred * window)
        power = correlation[:, 0]
        likeness = correlation[:, lags] / np.maximum(power, silent)[:, None] / ideal[lags]
        best = np.argmax(likeness - cost, axis=1)
        hertz[part] = SAMPLE_RATE / lags[best]
        chosen = np.take_along_axis(likeness, best[:, None], axis=1)[:, 0]
        voicing[part] = np.where(power < silent, 0.0, np.clip(chosen, 0.0, 1.0))
    return hertz, voicing


def glides(waveform: Float32, frames: int) -> Array:
    """Where pitch glides as it does when somebody speaks, (frames,) bool; arguments as of `pitch`.

    Notes stand still and then leap. Of the frames in which 20 recordings of speech are loud, a
    quarter to two thirds glide, under music that is as loud as the speech still a sixth, and of
    melodies, chords and drums at most one in twenty.
    """
    hertz, voicing = pitch(waveform, frames)
    step = np.abs(np.diff(12 * np.log2(np.maximum(hertz, 1.0)), prepend=np.nan))  # semitones
    voiced = voicing > _VOICED
    both = voiced & np.concatenate([[False], voiced[:-1]])
    return both & (step > _GLIDE[0]) & (step < _GLIDE[1])


def activity(waveform: Float32, frames: int) -> Float32:
    """How surely somebody speaks, so that the mouth can rest when nobody does.

    Loudness alone can't tell: a recording may be faint, or have a hum under it. A frame counts
    when the speech band is near the loudest and clear of the quietest of the seconds around it,
    and when the passage is lively; steady noise and hum are not. Silence is never speech.

    Args:
        waveform: (n,) float32, 16 kHz.
        frames: length of the answer.

    Returns:
        (frames,) float32, 0 to 1.
    """
    return speaking(speech_level(waveform, frames))


def speech_level(waveform: Float32, frames: int) -> Float32:
    """Loudness of the band in which speech lies; as `energy`."""
    band, settled = _speech_band()
    # As if what it begins with had always been there: an offset would click, as loud as speech.
    before = settled * (waveform[0] if len(waveform) else 0.0)
    heard, _ = signal.sosfilt(band, waveform, zi=before)
    return energy(heard.astype(np.float32), frames)


@cache
def _speech_band() -> tuple[Array, Array]:
    """The filter, and its state after a long time of ones."""
    band = signal.butter(2, _SPEECH_BAND, "bandpass", fs=SAMPLE_RATE, output="sos")
    return band, signal.sosfilt_zi(band)


def speaking(level: Array) -> Float32:
    """`activity` of a sound of which only `speech_level` is known."""
    level = ndimage.uniform_filter1d(level, 3, mode="nearest")
    ceiling = ndimage.maximum_filter1d(level, _MEMORY, mode="nearest")
    floor = ndimage.minimum_filter1d(level, _MEMORY, mode="nearest")
    range_ = ndimage.maximum_filter1d(level, _PASSAGE, mode="nearest") - (
        ndimage.minimum_filter1d(level, _PASSAGE, mode="nearest")
    )
    speaks = (
        smoothstep(level, *HEARABLE)
        * smoothstep(level - ceiling, *_BELOW_CEILING)
        * smoothstep(level - floor, *_ABOVE_FLOOR)
        * smoothstep(range_, *_LIVELY)
    )
    speaks = ndimage.grey_closing(speaks, _STOP, mode="nearest")
    audible = smoothstep(ndimage.maximum_filter1d(level, _STOP), *HEARABLE)
    return np.minimum(speaks, audible).astype(np.float32)


def _framed(waveform: Float32, frames: int, size: int) -> Float32:
    """Pieces of `size` samples around the middle of each video frame, (frames, size)."""
    before = (size - FRAME) // 2
    after = max(0, frames * FRAME + size - len(waveform))
    padded = np.pad(waveform, (before, after))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[: frames * FRAME : FRAME]


def _autocorrelation(pieces: Array) -> Float32:
    """(n, size) -> (n, size): sums of products at lags 0, 1, 2, …"""
    size = pieces.shape[1]
    spectrum = fft.rfft(pieces, 2 * size, axis=1)
    return fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :size]
