"""Speech to motions: how the DIRFA network is sampled.

Head, brows and lips are drawn from the network; blinks and gaze are events beside it, see
`talking_face.mapping.events`. How lips stray is taken apart: freely what tells nothing of the
words, little of what does. The network's answer to a calm style levels off above how calm people
are, so what it draws then is made smaller, too. Sample i is a function of (speech, seed, i,
diversity, style, affect) alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from talking_face.arrays import Array
from talking_face.face.lips import mean_opening
from talking_face.face.model import FaceModel
from talking_face.interruption import heed
from talking_face.mapping.articulation import articulate
from talking_face.mapping.decoder import (
    GROUPS,
    N_AFFECT,
    N_STATE,
    N_STYLE,
    REACH,
    STEP,
    Pair,
    audio_inputs,
    prosody_drive,
)
from talking_face.mapping.dirfa import Dirfa
from talking_face.mapping.events import EyeModel, draw_eyes
from talking_face.mapping.listeners import (
    N_LOWER,
    N_OUTPUTS,
    Listener,
    prosody_inputs,
    rest_gate,
    run,
)
from talking_face.mapping.visemes import tell
from talking_face.motion import Motion
from talking_face.sound.speech import Speech

LIPS = 0.15  # of how far opening and width stray naturally: more would be seen as wrong words
IDLE = 0.5  # of the temperature, where nobody speaks
_OPEN = 0.08  # inter-ocular distances; lips that are expected to be nearer stray less
FARTHEST = 4.0  # standard deviations; softly, no state goes beyond
CALMING = 0.215  # calm is 2 standard deviations below: two thirds, exp(-0.43), of what is drawn
_STREAM = 1  # of a sample's seed; 2 is that of the eyes


def draw(
    network: Dirfa,
    eyes: EyeModel,
    model: FaceModel,
    speech: Speech,
    indices: Sequence[int],
    seed: int,
    diversity: float,
    style: tuple[float, float] = (0.0, 0.0),
    affect: Array | None = None,
) -> list[Motion]:
    """Sample the network, and the eyes that go with each sample.

    Args:
        model: tells how far the expected lips are apart.
        diversity: temperature; 0 gives the likeliest animation, 1 the natural spread, up to 1.5.
        style: how lively head and brows are, in standard deviations over people; (0, 0) is typical.
            The network is told; below 0 what it draws is scaled by exp(0.215 style) as well.
        affect: (frames, 2) float32, valence and arousal of the voice within ±1; None, the default,
            where nothing is known of it: then the voice is an average one.

    Returns:
        One Motion an index, of len(speech) frames.
    """
    answer = expected_face(network, speech)
    heard = answer[:, :N_OUTPUTS]
    gate = rest_gate(speech.activity)[:, None]
    said = articulate(answer, model)
    loose = looseness(said, model)
    styles = styles_over_time(network, style, affect, len(speech))
    sampled = sample_states(network, speech, heard, indices, seed, diversity, styles, affect)
    free, tight = (part.cpu().numpy() for part in (network.free, network.tight))
    calm_head, calm_brows = np.exp(CALMING * np.minimum(styles, 0.0)).T[..., None]
    motions = []
    for index, states in zip(indices, sampled, strict=True):
        head, brows, stray = np.split(states, np.cumsum([*GROUPS.values()])[:-1], axis=1)
        rotation, translation = calm_head * head[:, :3], calm_head * head[:, 3:]
        lids, gaze = draw_eyes(eyes, rotation, seed, index, diversity)
        motions.append(
            Motion.still(len(heard)).replace(
                lower=(said[:, :N_LOWER] + loose * (stray @ tight)) * gate + stray @ free,
                upper=said[:, N_LOWER:] * gate + calm_brows * brows,
                lids=lids,
                gaze=gaze,
                rotation=rotation,
                translation=translation,
                rest=np.ones((len(heard), 1), dtype=np.float32),
            )
        )
    return motions


def looseness(said: Array, model: FaceModel) -> Array:
    """How freely lips may stray where it is seen, (frames, 1), beside the face (frames, 22)."""
    shapes = model.mean + model.displacement(said[:, :N_LOWER], said[:, N_LOWER:])
    return cast(Array, LIPS * np.clip(mean_opening(shapes) / _OPEN, 0.0, 1.0)[:, None])


def expected_face(network: Dirfa, speech: Speech) -> Array:
    """The mean of the listeners' answers, and what tells visemes.

    Returns:
        (frames, 75) float32: the face first, 22 channels; (frames, 71) without visemes.
    """
    prosody = prosody_inputs(speech.energy, speech.activity, speech.voicing)
    listeners = cast(list[Listener], list(network.listeners))
    mean = np.mean([run(listener, speech.features, prosody) for listener in listeners], axis=0)
    if network.visemes is None:
        return mean
    return np.concatenate([mean, tell(network.visemes, speech.features)], axis=1)


def styles_over_time(
    network: Dirfa, style: tuple[float, float], affect: Array | None, frames: int
) -> Array:
    """The style that is wished for, and by how much the voice makes people livelier or calmer.

    Returns:
        (frames, N_STYLE) float64, standard deviations over people.
    """
    styles = np.tile(np.array(style, dtype=np.float64), (frames, 1))
    if affect is None:
        return styles
    usual, stirring = (
        part.double().cpu().numpy() for part in (network.usual_affect, network.stirring)
    )
    return styles + (affect - usual) @ stirring.T


@torch.inference_mode()
def sample_states(
    network: Dirfa,
    speech: Speech,
    heard: Array,
    indices: Sequence[int],
    seed: int,
    diversity: float,
    styles: Array | None = None,
    affect: Array | None = None,
) -> Array:
    """Decode step by step, all samples as one batch with a cache of keys and values.

    In double precision, so that a sample doesn't depend on the batch that it is drawn in.

    Args:
        styles: (frames, N_STYLE) of `styles_over_time`; None is typical all the time.
        affect: (frames, N_AFFECT), or None where it isn't known.

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
    personal, uniform, normal = (
        torch.from_numpy(np.stack(part)).to(device) for part in zip(*noise, strict=True)
    )
    normal = normal @ network.together.double().T
    decoder, factor = network.decoder, network.style_scale.double()
    at = np.minimum(knots, frames - 1)
    chosen = torch.from_numpy(np.zeros((len(at), N_STYLE)) if styles is None else styles[at])
    wish = chosen.to(device) + (min(diversity, 1.0) * personal @ factor.T)[:, None]
    known = torch.ones(wish.shape[:2], dtype=torch.bool, device=device)
    manner = decoder.embed_style(wish, known)
    felt = torch.from_numpy(np.zeros((len(at), N_AFFECT)) if affect is None else affect[at])
    known = torch.full((1, len(at)), affect is not None, device=device)
    manner = manner + decoder.embed_affect(felt.double().to(device)[None], known)
    sound = torch.from_numpy(audio).double().to(device)[None]
    near = decoder.hear(sound)
    inside = torch.ones(1, frames, dtype=torch.bool, device=device)
    # Who doesn't speak holds stiller, which few silent moments of the training clips could teach.
    speaks = rest_gate(speech.activity)[at]
    heat = diversity * (IDLE + (1 - IDLE) * speaks)
    temperature = torch.from_numpy(heat).double().to(device)[:, None].expand(-1, N_STATE)

    now = torch.zeros(len(indices), N_STATE, dtype=torch.float64, device=device)
    before = now
    kept: list[Pair] = []
    states = [now]
    for step in range(1, len(knots)):
        heed()
        first = max(0, min(knots[step] - REACH, frames - 1))
        window = slice(first, knots[step] + REACH + 1)
        around = [(key[:, :, window], value[:, :, window]) for key, value in near]
        place = torch.tensor([knots[step] - first], device=device)
        told = manner[:, step : step + 1]
        mixture, kept = decoder(
            now[:, None], before[:, None], around, inside[:, window], place, told, kept
        )
        drawn = mixture.sample(uniform[:, step], normal[:, step], temperature[step])
        before, now = now, FARTHEST * torch.tanh(drawn / FARTHEST)
        states.append(now)
    values = (torch.stack(states, dim=1) * decoder.state_scale).cpu().numpy()
    return CubicSpline(knots, values, axis=1)(np.arange(frames))


def _noise(seed: int, index: int, steps: int) -> tuple[Array, Array, Array]:
    """Style (N_STYLE,), uniform (steps, groups) and normal (steps, N_STATE) numbers of a sample.

    Each from a stream of its own, so that a longer recording doesn't change how it begins.
    """
    style, uniform, normal = streams(seed, index)
    return (
        style.standard_normal(N_STYLE),
        uniform.random((steps, len(GROUPS))),
        normal.standard_normal((steps, N_STATE)),
    )


def streams(seed: int, index: int) -> list[np.random.Generator]:
    """The generators of a sample: of its style, of the components and of the deviations."""
    sequence = np.random.SeedSequence([seed, index, _STREAM])
    return [np.random.default_rng(child) for child in sequence.spawn(3)]
