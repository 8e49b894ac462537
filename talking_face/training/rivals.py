"""The rival: what the DIRFA network has to beat, measured beside it and never shipped in a clip.

One listener's lips and brows, the same in every sample, under a plain random head that knows the
loudness, pitch and pauses of the recording and nothing of what is said
(`python -m talking_face.training.fit.events`). Per sample:

    pose = limit(offset + amplitude · (response ∗ prosody + wander))       head and brows, (T, 12)

- `response`: what loudness and pitch alone predict, a convolution (mostly nods);
- `wander`: a vector autoregression at 25/3 Hz, joined by a cubic spline, so that nothing can move
  at the rate of frames; its noise is smaller where nobody speaks;
- `offset` and `amplitude`: the sample's own posture and liveliness, drawn once.

Blinks and gaze are the shipped ones. Sample i is a function of (speech, seed, i, diversity) alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from talking_face.arrays import Array
from talking_face.curves import smoothstep, soft_limit
from talking_face.mapping.decoder import prosody_drive
from talking_face.mapping.events import EyeModel, draw_eyes
from talking_face.mapping.listeners import (
    N_LOWER,
    N_OUTPUTS,
    N_PLAIN,
    Listener,
    prosody_inputs,
    rest_gate,
    run,
)
from talking_face.motion import CHANNELS, FPS, Motion
from talking_face.sound.speech import Speech
from talking_face.weights import load_weights

STEP = 3  # frames between two states of the autoregression
LAGS = (-8, -4, 0, 4, 8, 12)  # frames by which the response may follow the prosody
N_HEAD = CHANNELS["rotation"] + CHANNELS["translation"]
N_POSE = N_HEAD + CHANNELS["upper"]

_EASE = 1.5  # seconds from the photo's pose to the sample's own
_BREATH = 4.0  # seconds
_BREATH_MOVES = np.array([0.0, -0.005, 0.0015])  # translation when breathed in: up and nearer
_TILT = 0.15  # spread of the breath's period, natural logarithm


@dataclass(frozen=True, eq=False)
class HeadModel:
    """The fitted head. Pose channels are rotation, translation and upper, side by side.

    Attributes:
        drive_mean: (5,) of `prosody_drive` in speech.
        response: (12, 30) pose moved by the drive at each of `LAGS`.
        transition: (12, 12 p) of the autoregression, the latest state first.
        innovation: (12, 12) factor of the covariance of its noise in speech.
        quiet: (12,) how much of that noise is left where nobody speaks.
        offset: (12,) standard deviation of the posture of a passage.
        limit: (12,) no pose goes beyond.
        liveliness: (2, 2) factor of the covariance of the logarithms of head and brow amplitude.
    """

    drive_mean: Array
    response: Array
    transition: Array
    innovation: Array
    quiet: Array
    offset: Array
    limit: Array
    liveliness: Array


def load_head() -> HeadModel:
    """The fitted head, of the weights that hold the shipped `EyeModel` as well.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    tensors = load_weights("idle")
    return HeadModel(
        **{field.name: tensors[field.name].astype(np.float64) for field in fields(HeadModel)}
    )


def load_baseline(device: str | torch.device = "cpu") -> Listener:
    """The rival's listener, frozen.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    tensors = load_weights("baseline")
    network = Listener(N_PLAIN)
    network.load_state_dict(
        {name: torch.from_numpy(array.astype(np.float32)) for name, array in tensors.items()}
    )
    return network.requires_grad_(False).eval().to(device)


def draw_baseline(
    network: Listener,
    head: HeadModel,
    eyes: EyeModel,
    speech: Speech,
    indices: Sequence[int],
    seed: int,
    diversity: float,
) -> list[Motion]:
    """The rival's animations, one for each index, of len(speech) frames.

    Args:
        diversity: 0 the typical motion, whatever the seed; 1 as varied as people; up to 1.5.
    """
    lower, upper = predict(network, speech)
    motions = []
    for index in indices:
        generator = np.random.default_rng(np.random.SeedSequence([seed, index]))
        pose = sample_head(head, speech, generator, diversity)
        lids, gaze = draw_eyes(eyes, pose["rotation"], seed, index, diversity)
        motions.append(
            Motion(
                lower=lower,
                upper=np.add(upper, pose["upper"], dtype=np.float32),
                lids=lids,
                gaze=gaze,
                rotation=pose["rotation"],
                translation=pose["translation"],
                rest=np.ones((len(lower), 1), dtype=np.float32),
            )
        )
    return motions


def predict(network: Listener, speech: Speech) -> tuple[Array, Array]:
    """The expected face of a recording, at rest where nobody speaks.

    Args:
        network: of `load_baseline`, on any device.
        speech: of any length; time is proportional to it, memory beyond the answer is constant.

    Returns:
        lower (frames, 16) and upper (frames, 6), float32, in the motion space.
    """
    prosody = prosody_inputs(speech.energy, speech.activity, speech.voicing)
    coefficients = run(network, speech.features, prosody)[:, :N_OUTPUTS]
    coefficients *= rest_gate(speech.activity)[:, None]
    return coefficients[:, :N_LOWER], coefficients[:, N_LOWER:]


def sample_head(
    model: HeadModel, speech: Speech, generator: np.random.Generator, diversity: float
) -> dict[str, Array]:
    """Draw one head.

    Args:
        generator: its state decides the sample; it is advanced.
        diversity: see `draw_baseline`.

    Returns:
        upper (T, 6), rotation (T, 3) and translation (T, 3), float32, in the motion space: relative
        to the photo, from where all of them start.
    """
    # A stream for each part, so that a longer recording does not change how it begins.
    style, noise = (np.random.default_rng(seed) for seed in generator.integers(2**63, size=2))
    seconds = np.arange(len(speech)) / FPS
    offset = diversity * model.offset * style.standard_normal(N_POSE)
    spread = diversity * model.liveliness
    # Lognormal; the root mean square over samples is 1, the typical person's.
    amplitude = np.exp(spread @ style.standard_normal(2) - (spread**2).sum(axis=1))
    amplitude = np.repeat(amplitude, (N_HEAD, N_POSE - N_HEAD))
    breath = _BREATH * np.exp(diversity * _TILT * style.standard_normal())

    drive = prosody_drive(speech.energy, speech.activity, speech.pitch, speech.voicing)
    ease = smoothstep(seconds, 0.0, _EASE)[:, None]
    pose = (offset + amplitude * respond(model, drive)) * ease
    pose += diversity * amplitude * wander(model, drive[:, -1], noise)
    pose = soft_limit(pose, model.limit / 2, model.limit)
    rotation, translation, upper = np.split(pose, np.cumsum((3, 3)), axis=1)
    translation = translation + np.sin(2 * np.pi * seconds / breath)[:, None] * _BREATH_MOVES
    channels = {"upper": upper, "rotation": rotation, "translation": translation}
    return {name: value.astype(np.float32) for name, value in channels.items()}


def lagged(drive: Array) -> Array:
    """The drive (T, 5) at each of `LAGS`, side by side, (T, 30)."""
    index = np.arange(len(drive))
    return np.concatenate([drive[np.clip(index - lag, 0, len(drive) - 1)] for lag in LAGS], axis=1)


def respond(model: HeadModel, drive: Array) -> Array:
    """Mean pose (T, 12) that the prosody predicts, 0 in silence."""
    return lagged(drive - drive[:, -1:] * model.drive_mean) @ model.response.T


def wander(model: HeadModel, speaks: Array, generator: np.random.Generator) -> Array:
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
