"""How a passage is spoken, apart from its words: what an emotion is told by.

Statistics over the frames in which somebody speaks: of the ear's activations, and of prosody. Knows
arrays, nothing of emotions.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from talking_face.arrays import Array, Float32
from talking_face.sound.encoder import BLOCKS, WIDTH

_VOICED = 0.6  # voicing from which a pitch is one
_REFERENCE = 150.0  # Hz, of which pitch is told in octaves
_JUMP = 0.4  # octaves between two frames; more is a wrong guess
_LEAST = 0.02  # weight of a frame in which nobody speaks, so that there is always something
_POINTS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)  # quantiles
N_PROSODY = 2 * len(_POINTS) + 9
N_DELIVERY = 2 * BLOCKS * WIDTH + N_PROSODY


class Heard(Protocol):
    """What is needed of a `talking_face.sound.speech.Speech`."""

    @property
    def features(self) -> Array: ...
    @property
    def energy(self) -> Float32: ...
    @property
    def activity(self) -> Float32: ...
    @property
    def pitch(self) -> Float32: ...
    @property
    def voicing(self) -> Float32: ...


def delivery(speech: Heard, passage: slice) -> Float32:
    """Statistics of a passage.

    Args:
        passage: of frames, at least one.

    Returns:
        (N_DELIVERY,) float32: mean and deviation of each activation, weighted by how surely
        somebody speaks, then prosody.
    """
    features = speech.features[passage].reshape(-1, BLOCKS * WIDTH).astype(np.float32)
    weights = np.clip(speech.activity[passage], _LEAST, 1.0)[:, None]
    weights = weights / weights.sum()
    mean = (features * weights).sum(0)
    deviation = np.sqrt(((features - mean) ** 2 * weights).sum(0) + 1e-8)
    return np.concatenate([mean, deviation, _prosody(speech, passage)], dtype=np.float32)


def _prosody(speech: Heard, passage: slice) -> Array:
    """Pitch in octaves, loudness against the passage's own in tens of decibels, voicing."""
    pitch, voicing, energy = (
        getattr(speech, name)[passage] for name in ("pitch", "voicing", "energy")
    )
    spoken = speech.activity[passage] > 0.5
    spoken = spoken if spoken.any() else np.ones_like(spoken)
    voiced = spoken & (voicing > _VOICED)
    voiced = voiced if voiced.any() else spoken
    octaves = np.log2(pitch / _REFERENCE)
    steps = np.diff(octaves)[voiced[1:] & voiced[:-1]]
    steps = steps[np.abs(steps) < _JUMP]
    tune = octaves[voiced]
    loud = (energy[spoken] - 10 * np.log10(np.mean(10 ** (energy[spoken] / 10)))) / 10
    return np.array(
        [
            *np.quantile(tune, _POINTS),
            tune.mean(),
            tune.std(),
            np.abs(steps).mean() if len(steps) else 0.0,
            steps.mean() if len(steps) else 0.0,
            *np.quantile(loud, _POINTS),
            loud.std(),
            np.abs(np.diff(loud)).mean() if len(loud) > 1 else 0.0,
            voicing[spoken].mean(),
            voicing[spoken].std(),
            spoken.mean(),
        ]
    )
