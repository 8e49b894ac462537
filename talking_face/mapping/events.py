"""Blinks and gaze, drawn as events from a seeded random model.

They are no curves that a network could be taught: the tracker sees too little of eyes. Blinks are a
renewal process with a fitted profile; the eyes fixate near the camera, jump, and turn against the
head; between blinks the lids follow the gaze and change slowly. The tables are fitted to tracked
clips (`python -m talking_face.training.fit.events`); nothing here knows what is said. Diversity
scales every draw's distance from its median: at 0 nothing is random.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from talking_face.arrays import Array
from talking_face.curves import soft_limit
from talking_face.motion import FPS
from talking_face.weights import load_weights

BLINKS_A_MINUTE = (8.0, 30.0)  # what looks natural; people who talk reach beyond
QUANTILES = np.linspace(0.025, 0.975, 20)  # at which the tables of the model are given
GAZE_LIMIT = 10.0  # degrees; softly, no gaze goes beyond, from half of it on
_FIRST_BLINK = 0.4  # seconds; none before
_BLINK_GAP = 0.3  # seconds between two blinks at least
LIDS = (-0.25, 1.0)
STREAM = 2  # of a sample's seed; 1 is the decoder's


@dataclass(frozen=True, eq=False)
class EyeModel:
    """The fitted model. Tables give 20 quantiles, from 2.5 % to 97.5 %, of what was measured.

    Attributes:
        blink_rate: (20,) per minute, over people.
        blink_interval: (20,) over the person's mean.
        blink_depth: (20,) closure at the peak.
        blink_stretch: (20,) duration over the median one.
        blink_profile: (2, n) frames from the peak, and the part of the peak's closure.
        lids_follow: () closure per degree of downward gaze.
        lids_noise: (2,) memory per frame and standard deviation of the slow change of opening.
        counter: (2,) part of the head's yaw and pitch that the eyes turn against.
        fixation: (2, 20) degrees from the camera, yaw and pitch.
        fixation_interval: (20,) seconds.
    """

    blink_rate: Array
    blink_interval: Array
    blink_depth: Array
    blink_stretch: Array
    blink_profile: Array
    lids_follow: Array
    lids_noise: Array
    counter: Array
    fixation: Array
    fixation_interval: Array


@cache
def load_eyes() -> EyeModel:
    """The shipped model.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    tensors = load_weights("idle")
    return EyeModel(
        **{field.name: tensors[field.name].astype(np.float64) for field in fields(EyeModel)}
    )


def draw_eyes(
    model: EyeModel, rotation: Array, seed: int, index: int, diversity: float
) -> tuple[Array, Array]:
    """The lids and gaze of one sample; both start as in the photo.

    Blinks, looks and lids have a random stream each, so that a longer recording doesn't change how
    they begin.

    Args:
        rotation: (T, 3) degrees, of the head that the eyes belong to.
        seed, index: decide the sample.
        diversity: 0 the typical eyes, whatever the seed; 1 as varied as people; up to 1.5.

    Returns:
        lids (T, 2) and gaze (T, 2), float32, in the motion space.
    """
    sequence = np.random.SeedSequence([seed, index, STREAM])
    blinks, looks, slow = (np.random.default_rng(child) for child in sequence.spawn(3))
    frames = len(rotation)
    gaze = fixations(model, frames, looks, diversity) - model.counter * rotation[:, :2]
    gaze = soft_limit(gaze, GAZE_LIMIT / 2, GAZE_LIMIT)
    lids = opening(model, gaze[:, 1], slow, diversity)
    lids = np.clip(lids + blink_closure(model, frames, blinks, diversity) * (1 - lids), *LIDS)
    return np.repeat(lids[:, None], 2, axis=1).astype(np.float32), gaze.astype(np.float32)


def fixations(
    model: EyeModel, frames: int, generator: np.random.Generator, diversity: float
) -> Array:
    """Where the eyes look, (T, 2) degrees; the first look is the photo's own."""
    gaze = np.zeros((frames, 2))
    start = 0
    target = np.zeros(2)
    while start < frames:
        seconds = _draw(model.fixation_interval, generator, diversity)
        stop = start + max(3, round(seconds * FPS))
        gaze[start:stop] = target
        start = stop
        target = diversity * np.array(
            [np.interp(generator.random(), QUANTILES, table) for table in model.fixation]
        )
    return (gaze + np.concatenate([gaze[:1], gaze[:-1]])) / 2  # a jump takes two frames


def blink_closure(
    model: EyeModel, frames: int, generator: np.random.Generator, diversity: float
) -> Array:
    """Closure by blinks alone, (T,), 0 to 1, of somebody with a rate of their own."""
    interval = 60 / np.clip(_draw(model.blink_rate, generator, diversity), *BLINKS_A_MINUTE)
    offset, profile = model.blink_profile
    mean = np.mean(model.blink_interval)
    closure = np.zeros(frames)
    # As if the last blink had been at some moment before the clip.
    time = -interval * (0.5 + min(diversity, 1.0) * (generator.random() - 0.5))
    while time < frames / FPS:
        relative = np.interp(generator.random(), QUANTILES, model.blink_interval) / mean
        time += max(_BLINK_GAP, interval * (1 + diversity * (relative - 1)))
        depth = min(1.0, _draw(model.blink_depth, generator, diversity))
        stretch = _draw(model.blink_stretch, generator, diversity)
        peak = round(time * FPS)
        first = int(np.floor(peak + stretch * offset[0]))
        if first < _FIRST_BLINK * FPS:
            continue
        here = np.arange(first, min(frames, int(np.ceil(peak + stretch * offset[-1])) + 1))
        shape = np.interp((here - peak) / stretch, offset, profile)
        closure[here] = np.maximum(closure[here], depth * shape)
    return closure


def opening(
    model: EyeModel, pitch: Array, generator: np.random.Generator, diversity: float
) -> Array:
    """Closure between blinks, (T,): lids follow the gaze's pitch (T,) and change slowly."""
    memory, spread = model.lids_noise
    noise = generator.standard_normal(len(pitch)) * spread * np.sqrt(1 - memory**2)
    slow = gaussian_filter1d(lfilter([1.0], [1.0, -memory], noise), 3, mode="nearest")
    return gaussian_filter1d(model.lids_follow * pitch, 1) + diversity * (slow - slow[0])


def _draw(table: Array, generator: np.random.Generator, diversity: float) -> float:
    """One draw from a table of quantiles, its distance from the median scaled, never below 0."""
    middle = np.interp(0.5, QUANTILES, table)
    drawn = np.interp(generator.random(), QUANTILES, table)
    return max(0.0, float(middle + diversity * (drawn - middle)))
