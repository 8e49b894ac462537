"""Speech to motions: what the animator asks for, and the evaluation measures.

`draw` samples the DIRFA network; `draw_baseline` is what it has to beat, the baseline's lips under
the plain random model of `talking_face.mapping.events`. Blinks and gaze are drawn by that model in
both: they are events, not curves, and the tracker sees too little of eyes to learn more. How lips
stray is taken apart: freely what tells nothing of the words, little of what does. In both, sample i
is a function of (speech, seed, i, diversity) alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from talking_face.face.lips import mean_opening
from talking_face.face.model import load_face_model
from talking_face.mapping.dirfa import (
    GROUPS,
    N_STATE,
    N_STYLE,
    REACH,
    STEP,
    Dirfa,
    Pair,
    audio_inputs,
)
from talking_face.mapping.events import N_HEAD, IdleModel, prosody_drive, sample_idle, soft_limit
from talking_face.mapping.listeners import (
    N_LOWER,
    Baseline,
    predict,
    prosody_inputs,
    rest_gate,
    run,
)
from talking_face.motion import Motion
from talking_face.sound.speech import Speech

LIPS = 0.15  # of how far opening and width stray naturally: more would be seen as wrong words
_IDLE = 0.5  # of the temperature, where nobody speaks
_OPEN = 0.08  # inter-ocular distances; lips that are expected to be nearer stray less
_FARTHEST = 4.0  # standard deviations; softly, no state goes beyond


def draw_baseline(
    network: Baseline,
    idle: IdleModel,
    speech: Speech,
    indices: Sequence[int],
    seed: int,
    diversity: float,
) -> list[Motion]:
    """The baseline's animations; see the module."""
    lower, upper = predict(network, speech)
    motions = []
    for index in indices:
        eyes = sample_idle(idle, speech, generator_of(seed, index), diversity)
        motions.append(
            Motion(
                lower=lower,
                upper=upper + eyes["upper"],
                lids=eyes["lids"],
                gaze=eyes["gaze"],
                rotation=eyes["rotation"],
                translation=eyes["translation"],
                rest=np.ones((len(lower), 1)),
            )
        )
    return motions


def draw(
    network: Dirfa,
    idle: IdleModel,
    speech: Speech,
    indices: Sequence[int],
    seed: int,
    diversity: float,
    style: tuple[float, float] = (0.0, 0.0),
) -> list[Motion]:
    """Sample the network.

    Args:
        diversity: temperature; 0 gives the likeliest animation, 1 the natural spread, up to 1.5.
        style: how lively head and brows are, in standard deviations over people; (0, 0) is typical.
    """
    heard = expected_face(network, speech)
    gate = rest_gate(speech.activity)[:, None]
    loose = LIPS * np.clip(mean_opening(_shapes(heard)) / _OPEN, 0.0, 1.0)[:, None]
    sampled = sample_states(network, speech, heard, indices, seed, diversity, style)
    free, tight = (part.cpu().numpy() for part in (network.free, network.tight))
    motions = []
    for index, states in zip(indices, sampled, strict=True):
        pose, stray = states[:, : N_STATE - N_LOWER], states[:, N_STATE - N_LOWER :]
        eyes = sample_idle(idle, speech, generator_of(seed, index), diversity)
        rotation, translation = pose[:, :3], pose[:, 3:N_HEAD]
        # The eyes of the plain model turn against its own head; here they turn against this one.
        turn = idle.counter * (eyes["rotation"] - rotation)[:, :2]
        motions.append(
            Motion(
                lower=(heard[:, :N_LOWER] + loose * (stray @ tight)) * gate + stray @ free,
                upper=heard[:, N_LOWER:] * gate + pose[:, N_HEAD:],
                lids=eyes["lids"],
                gaze=soft_limit(eyes["gaze"] + turn, np.full(2, 10.0)),
                rotation=rotation,
                translation=translation,
                rest=np.ones((len(heard), 1)),
            )
        )
    return motions


def _shapes(coefficients: np.ndarray) -> np.ndarray:
    """Mean faces (frames, 478, 3) of coefficients (frames, 22)."""
    model = load_face_model()
    return model.mean + model.displacement(coefficients[:, :N_LOWER], coefficients[:, N_LOWER:])


def generator_of(seed: int, index: int) -> np.random.Generator:
    """The source of everything random in a sample."""
    return np.random.default_rng(np.random.SeedSequence([seed, index]))


def expected_face(network: Dirfa, speech: Speech) -> np.ndarray:
    """The mean of the listeners' answers, (frames, 22) float32."""
    prosody = prosody_inputs(speech.energy, speech.activity, speech.voicing)
    listeners = cast(list[Baseline], list(network.listeners))
    answers = [run(listener, speech.features, prosody) for listener in listeners]
    return np.asarray(np.mean(answers, axis=0))


@torch.inference_mode()
def sample_states(
    network: Dirfa,
    speech: Speech,
    heard: np.ndarray,
    indices: Sequence[int],
    seed: int,
    diversity: float,
    style: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Decode step by step, all samples as one batch with a cache of keys and values.

    In double precision, so that a sample doesn't depend on the batch that it is drawn in.

    Returns:
        (samples, frames, N_STATE) float64: head (6), brows (6) and how lips naturally stray (16),
        in the units of the motion space; 0 at the first frame.
    """
    device = network.style_scale.device
    frames = len(speech)
    knots = STEP * np.arange(-(-frames // STEP) + 2)  # the spline's free end lies beyond the clip
    prosody = prosody_inputs(speech.energy, speech.activity, speech.voicing)
    drive = prosody_drive(speech.energy, speech.activity, speech.pitch, speech.voicing)
    audio = audio_inputs(heard, prosody, drive)
    noise = [_noise(seed, index, len(knots)) for index in indices]
    styles, uniform, normal = (
        torch.from_numpy(np.stack(part)).to(device) for part in zip(*noise, strict=True)
    )
    normal = normal @ network.together.double().T
    decoder, factor = network.decoder, network.style_scale.double()
    chosen = torch.tensor(style, dtype=torch.float64, device=device)
    wish = chosen + min(diversity, 1.0) * styles @ factor.T
    embedded = decoder.embed_style(wish, torch.ones(len(wish), dtype=torch.bool, device=device))
    sound = torch.from_numpy(audio).double().to(device)[None]
    near = decoder.hear(sound)
    inside = torch.ones(1, frames, dtype=torch.bool, device=device)
    # Who doesn't speak holds stiller, which few silent moments of the training clips could teach.
    speaks = rest_gate(speech.activity)[np.minimum(knots, frames - 1)]
    heat = diversity * (_IDLE + (1 - _IDLE) * speaks)
    temperature = torch.from_numpy(heat).double().to(device)[:, None].expand(-1, N_STATE)

    now = torch.zeros(len(indices), N_STATE, dtype=torch.float64, device=device)
    before = now
    kept: list[Pair] = []
    states = [now]
    for step in range(1, len(knots)):
        first = max(0, min(knots[step] - REACH, frames - 1))
        window = slice(first, knots[step] + REACH + 1)
        around = [(key[:, :, window], value[:, :, window]) for key, value in near]
        at = torch.tensor([knots[step] - first], device=device)
        mixture, kept = decoder(
            now[:, None], before[:, None], around, inside[:, window], at, embedded, kept
        )
        drawn = mixture.sample(uniform[:, step], normal[:, step], temperature[step])
        before, now = now, _FARTHEST * torch.tanh(drawn / _FARTHEST)
        states.append(now)
    values = (torch.stack(states, dim=1) * decoder.state_scale).cpu().numpy()
    return CubicSpline(knots, values, axis=1)(np.arange(frames))


def _noise(seed: int, index: int, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Style (N_STYLE,), uniform (steps, groups) and normal (steps, N_STATE) numbers of a sample.

    Each from a stream of its own, so that a longer recording doesn't change how it begins.
    """
    sequence = np.random.SeedSequence([seed, index, 1])
    style, uniform, normal = (np.random.default_rng(child) for child in sequence.spawn(3))
    return (
        style.standard_normal(N_STYLE),
        uniform.random((steps, len(GROUPS))),
        normal.standard_normal((steps, N_STATE)),
    )
