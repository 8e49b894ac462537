"""A voice computed from a formula: the same numbers everywhere, and no file to ship."""

from __future__ import annotations

import numpy as np

RATE = 16_000
SYLLABLE = 0.25  # seconds
VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))  # Hz, formants


def synthetic_voice(seconds: float, loudest: float = 0.5) -> np.ndarray:
    """Syllables with moving pitch and changing vowels, a rest after every eighth.

    Returns:
        (n,) float32, 16 kHz, peak `loudest`.
    """
    t = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(130 + 25 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    pitch = np.gradient(phase, t) / (2 * np.pi)
    syllable = (t / SYLLABLE).astype(int)
    formants = np.array(VOWELS)[(syllable + syllable // 7) % len(VOWELS)]  # (n, 3)
    wave = np.zeros_like(t)
    for harmonic in range(1, 28):
        hertz = harmonic * pitch[:, None]
        gain = (1 / (1 + ((hertz - formants) / 90) ** 2)).sum(axis=1)
        wave += gain * np.sin(harmonic * phase)
    envelope = np.sin(np.pi * (t / SYLLABLE % 1)) ** 0.7 * (syllable % 9 != 8)
    wave *= envelope
    return (loudest * wave / np.abs(wave).max()).astype(np.float32)
