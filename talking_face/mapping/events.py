"""What moves besides the lips: head, brows, blinks and gaze, drawn from a seeded random model.

A plain model fitted to tracked clips (`python -m talking_face.training.fit.events`); it knows the
loudness, pitch and pauses of the recording and nothing of what is said. Per sample:

    pose = limit(offset + amplitude · (response ∗ prosody + wander))       head and brows, (T, 12)

- `response`: what loudness and pitch alone predict, a convolution (mostly nods);
- `wander`: a vector autoregression at 25/3 Hz, joined by a cubic spline, so that nothing can move
  at the rate of frames; its noise is smaller where nobody speaks;
- `offset` and `amplitude`: the sample's own posture and liveliness, drawn once.

Blinks are a renewal process with a fitted profile; the eyes fixate near the camera, jump, and turn
against the head. Diversity scales every draw's distance from its median: at 0 nothing is random.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from talking_face.motion import CHANNELS, FPS
from talking_face.sound.speech import Speech
from talking_face.weights import load_weights

STEP = 3  # frames between two states of the autoregression
LAGS = (-8, -4, 0, 4, 8, 12)  # frames by which the response may follow the prosody
N_HEAD = CHANNELS["rotation"] + CHANNELS["translation"]
N_POSE = N_HEAD + CHANNELS["upper"]

_EASE = 1.5  # seconds from the photo's pose to the sample's own
BLINKS_A_MINUTE = (8.0, 30.0)  # what looks natural; people who talk reach beyond
QUANTILES = np.linspace(0.025, 0.975, 20)  # at which the tables of the model are given
_FIRST_BLINK = 0.4  # seconds; none before
_BLINK_GAP = 0.3  # seconds between two blinks at least
_LIDS = (-0.25, 1.0)
_GAZE_LIMIT = 10.0  # degrees
_BREATH = 4.0  # seconds
_BREATH_MOVES = np.array([0.0, -0.005, 0.0015])  # translation when breathed in: up and nearer
_TILT = 0.15  # spread of the breath's period, natural logarithm


@dataclass(frozen=True, eq=False)
class IdleModel:
    """The fitted model. Pose channels are rotation, translation and upper, side by side.

    Tables give 20 quantiles, from 2.5 % to 97.5 %, of what was measured.

    Attributes:
        drive_mean: (5,) of `prosody_drive` in speech.
        response: (12, 30) pose moved by the drive at each of `LAGS`.
        transition: (12, 12 p) of the autoregression, the latest state first.
        innovation: (12, 12) factor of the covariance of its noise in speech.
        quiet: (12,) how much of that noise is left where nobody speaks.
        offset: (12,) standard deviation of the posture of a passage.
        limit: (12,) no pose goes beyond.
        liveliness: (2, 2) factor of the covariance of the logarithms of head and brow amplitude.
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

    drive_mean: np.ndarray
    response: np.ndarray
    transition: np.ndarray
    innovation: np.ndarray
    quiet: np.ndarray
    offset: np.ndarray
    limit: np.ndarray
    liveliness: np.ndarray
    blink_rate: np.ndarray
    blink_interval: np.ndarray
    blink_depth: np.ndarray
    blink_stretch: np.ndarray
    blink_profile: np.ndarray
    lids_follow: np.ndarray
    lids_noise: np.ndarray
    counter: np.ndarray
    fixation: np.ndarray
    fixation_interval: np.ndarray


@cache
def load_idle() -> IdleModel:
    """The shipped model.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    tensors = load_weights("idle")
    return IdleModel(
        **{field.name: tensors[field.name].astype(np.float64) for field in fields(IdleModel)}
    )


def sample_idle(
    model: IdleModel, speech: Speech, generator: np.random.Generator, diversity: float
) -> dict[str, np.ndarray]:
    """Draw one sample.

    Args:
        generator: its state decides the sample; it is advanced.
        diversity: 0 the typical motion, whatever the generator; 1 as varied as people; up to 1.5.

    Returns:
        upper (T, 6), lids (T, 2), gaze (T, 2), rotation (T, 3) and translation (T, 3), float32, in
        the motion space: relative to the photo, from where all of them start.
    """
    frames = len(speech)
    # A stream for each part, so that a longer recording does not change how it begins.
    style, noise, blinks, eyes, lid = (
        np.random.default_rng(seed) for seed in generator.integers(2**63, size=5)
    )
    seconds = np.arange(frames) / FPS
    offset = diversity * model.offset * style.standard_normal(N_POSE)
    spread = diversity * model.liveliness
    # Lognormal; the root mean square over samples is 1, the typical person's.
    amplitude = np.exp(spread @ style.standard_normal(2) - (spread**2).sum(axis=1))
    amplitude = np.repeat(amplitude, (N_HEAD, N_POSE - N_HEAD))
    rate = np.clip(draw(model.blink_rate, style, diversity), *BLINKS_A_MINUTE)
    breath = _BREATH * np.exp(diversity * _TILT * style.standard_normal())

    drive = prosody_drive(speech.energy, speech.activity, speech.pitch, speech.voicing)
    ease = _smooth(seconds / _EASE)[:, None]
    pose = (offset + amplitude * respond(model, drive)) * ease
    pose += diversity * amplitude * wander(model, drive[:, -1], noise)
    pose = soft_limit(pose, model.limit)
    rotation, translation, upper = np.split(pose, np.cumsum((3, 3)), axis=1)
    translation = translation + np.sin(2 * np.pi * seconds / breath)[:, None] * _BREATH_MOVES

    gaze = fixations(model, frames, eyes, diversity) - model.counter * rotation[:, :2]
    gaze = soft_limit(gaze, np.full(2, _GAZE_LIMIT))
    closure = _blink(model, frames, blinks, diversity, 60 / float(rate))
    lids = _opening(model, gaze[:, 1], lid, diversity)
    lids = np.clip(lids + closure * (1 - lids), *_LIDS)
    channels = {
        "upper": upper,
        "lids": np.repeat(lids[:, None], 2, axis=1),
        "gaze": gaze,
        "rotation": rotation,
        "translation": translation,
    }
    return {name: value.astype(np.float32) for name, value in channels.items()}


def prosody_drive(
    energy: np.ndarray, activity: np.ndarray, pitch: np.ndarray, voicing: np.ndarray
) -> np.ndarray:
    """What the head may answer to: (T, 5), all 0 in silence.

    Emphasis (loudness above its surroundings), slope of loudness, loudness of the phrase, pitch
    above the speaker's median (in units of four semitones), and whether somebody speaks.

    Args:
        energy, activity, pitch, voicing: (T,) as in `Speech`.
    """
    speaks = gaussian_filter1d(activity.astype(np.float64), 6, mode="nearest")
    active = activity > 0.5
    if not active.any():
        return np.zeros((len(energy), 5))
    loudest = np.percentile(energy[active], 95)
    loud = activity * np.clip(1 + (energy - loudest) / 30, 0.0, 1.0)
    phrase = gaussian_filter1d(loud, 12, mode="nearest")
    emphasis = gaussian_filter1d(loud, 2, mode="nearest") - phrase
    slope = gaussian_filter1d(loud, 3, order=1, mode="nearest") * 10
    sung = activity * np.clip((voicing - 0.5) / 0.3, 0.0, 1.0)
    semitones = 12 * np.log2(np.maximum(pitch, 1.0))
    heard = sung > 0.5
    usual = np.median(semitones[heard]) if heard.any() else np.median(semitones[active])
    tone = gaussian_filter1d(np.clip(semitones - usual, -8, 8) * sung, 3, mode="nearest") / 4
    return np.stack([emphasis, slope, phrase, tone, speaks], axis=1)


def lagged(drive: np.ndarray) -> np.ndarray:
    """The drive (T, 5) at each of `LAGS`, side by side, (T, 30)."""
    index = np.arange(len(drive))
    return np.concatenate([drive[np.clip(index - lag, 0, len(drive) - 1)] for lag in LAGS], axis=1)


def respond(model: IdleModel, drive: np.ndarray) -> np.ndarray:
    """Mean pose (T, 12) that the prosody predicts, 0 in silence."""
    return lagged(drive - drive[:, -1:] * model.drive_mean) @ model.response.T


def wander(model: IdleModel, speaks: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The random part of the pose, (T, 12), from rest; speaks: (T,) 0 to 1."""
    frames = len(speaks)
    order = model.transition.shape[1] // N_POSE
    knots = np.arange(0, frames + 3 * STEP, STEP)  # the spline's free end lies beyond the clip
    scale = model.quiet + (1 - model.quiet) * speaks[np.minimum(knots, frames - 1), None]
    noise = generator.standard_normal((len(knots), N_POSE)) @ model.innovation.T * scale
    states = np.zeros((order + len(knots), N_POSE))
    for knot in range(1, len(knots)):
        now = knot + order
        states[now] = model.transition @ states[now - order : now][::-1].ravel() + noise[knot]
    return CubicSpline(knots, states[order:])(np.arange(frames))


def fixations(
    model: IdleModel, frames: int, generator: np.random.Generator, diversity: float
) -> np.ndarray:
    """Where the eyes look, (T, 2) degrees; the first look is the photo's own."""
    gaze = np.zeros((frames, 2))
    start = 0
    target = np.zeros(2)
    while start < frames:
        seconds = draw(model.fixation_interval, generator, diversity)
        stop = start + max(3, round(float(seconds) * FPS))
        gaze[start:stop] = target
        start = stop
        target = diversity * np.array(
            [np.interp(generator.random(), QUANTILES, table) for table in model.fixation]
        )
    return (gaze + np.concatenate([gaze[:1], gaze[:-1]])) / 2  # a jump takes two frames


def soft_limit(value: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """The value itself up to half the limit, then bending towards it, (T, n) and (n,)."""
    inside = np.clip(value, -limit / 2, limit / 2)
    return inside + limit / 2 * np.tanh((value - inside) * 2 / limit)


def draw(table: np.ndarray, generator: np.random.Generator, diversity: float) -> float:
    """One draw from a table of quantiles, its distance from the median scaled, never below 0."""
    middle = np.interp(0.5, QUANTILES, table)
    drawn = np.interp(generator.random(), QUANTILES, table)
    return max(0.0, float(middle + diversity * (drawn - middle)))


def _blink(
    model: IdleModel,
    frames: int,
    generator: np.random.Generator,
    diversity: float,
    interval: float,
) -> np.ndarray:
    """Closure by blinks alone, (T,), 0 to 1; interval: their mean distance in seconds."""
    offset, profile = model.blink_profile
    mean = np.mean(model.blink_interval)
    closure = np.zeros(frames)
    # As if the last blink had been at some moment before the clip.
    time = -interval * (0.5 + min(diversity, 1.0) * (generator.random() - 0.5))
    while time < frames / FPS:
        relative = np.interp(generator.random(), QUANTILES, model.blink_interval) / mean
        time += max(_BLINK_GAP, interval * (1 + diversity * (relative - 1)))
        depth = min(1.0, draw(model.blink_depth, generator, diversity))
        stretch = draw(model.blink_stretch, generator, diversity)
        peak = round(time * FPS)
        first = int(np.floor(peak + stretch * offset[0]))
        if first < _FIRST_BLINK * FPS:
            continue
        here = np.arange(first, min(frames, int(np.ceil(peak + stretch * offset[-1])) + 1))
        shape = np.interp((here - peak) / stretch, offset, profile)
        closure[here] = np.maximum(closure[here], depth * shape)
    return closure


def _opening(
    model: IdleModel, pitch: np.ndarray, generator: np.random.Generator, diversity: float
) -> np.ndarray:
    """Closure between blinks, (T,): lids follow the gaze's pitch (T,) and change slowly."""
    memory, spread = model.lids_noise
    noise = generator.standard_normal(len(pitch)) * spread * np.sqrt(1 - memory**2)
    slow = gaussian_filter1d(lfilter([1.0], [1.0, -memory], noise), 3, mode="nearest")
    return gaussian_filter1d(model.lids_follow * pitch, 1) + diversity * (slow - slow[0])


def _smooth(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)
