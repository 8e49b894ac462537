"""The decoder: the distribution of the next state of head, brows and lips.

A transformer of three layers that looks back over its own steps under the temporally-biased mask
and hears the audio around each of them. How it belongs to the whole network, and the mask's
formula, is told in `talking_face.mapping.dirfa`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from talking_face.arrays import Array
from talking_face.mapping.listeners import N_OUTPUTS, N_PROSODY
from talking_face.motion import CHANNELS

STEP = 3  # frames; heads hold nothing above 4 Hz, and lips get theirs from the listeners
MEMORY = 64  # steps that the decoder looks back, 7.7 s
REACH = 12  # frames of audio that it hears on either side of a step
GROUPS = {"head": 6, "upper": CHANNELS["upper"], "lower": CHANNELS["lower"]}
N_STATE = sum(GROUPS.values())
N_STYLE = 2  # liveliness of head and of brows
N_AFFECT = 2  # valence and arousal
N_DRIVE = 5
N_AUDIO = N_OUTPUTS + N_PROSODY + N_DRIVE

WIDTH = 96
HEADS = 4
LAYERS = 3
COMPONENTS = 6
_FIRST_LOG_SCALE = -1.2
_MIN_LOG_SCALE = -5.0
_MAX_LOG_SCALE = 1.0
_NEVER = -1e9  # in place of -infinity where all of a row may be missing

Pair = tuple[Tensor, Tensor]  # keys and values


def temporal_bias(distance: Tensor, biased: bool = True) -> Tensor:
    """The temporally-biased mask.

    Args:
        distance: (...) integers i - j, steps from the asking step back to the one looked at.
        biased: False leaves the slopes out, to measure what they buy; the rest stays.

    Returns:
        (HEADS, ...) float: see the formula in `talking_face.mapping.dirfa`.
    """
    heads = torch.arange(1, HEADS + 1, device=distance.device)
    slopes = 2.0 ** (-8.0 * heads / HEADS) * float(biased)
    bias = -slopes.view(-1, *[1] * distance.dim()) * distance
    return bias.masked_fill((distance < 0) | (distance >= MEMORY), -torch.inf)


class Layer(nn.Module):
    """Biased self-attention to earlier steps, attention to the audio around, and a perceptron."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.self_in = nn.Linear(WIDTH, 3 * WIDTH)
        self.self_out = nn.Linear(WIDTH, WIDTH)
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key_value = nn.Linear(WIDTH, 2 * WIDTH)
        self.place = nn.Parameter(torch.zeros(HEADS, 2 * REACH + 1))  # bias of an audio frame
        self.cross_out = nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 3 * WIDTH), nn.GELU(), nn.Linear(3 * WIDTH, WIDTH)
        )
        self.drop = nn.Dropout(dropout)

    def hear(self, sound: Tensor) -> Pair:
        """(B, T, WIDTH) -> keys and values of every frame of audio, (B, HEADS, T, d) each."""
        key, value = (_heads(part) for part in self.key_value(sound).chunk(2, dim=-1))
        return key, value

    def forward(
        self,
        x: Tensor,
        heard: Pair,
        offset: Tensor,
        audible: Tensor,
        bias: Tensor,
        kept: Pair | None,
    ) -> tuple[Tensor, Pair]:
        """One layer.

        Args:
            x: (B, K, WIDTH).
            heard: of `hear`.
            offset: (K, T) integers, frames from each step to each frame of audio, within ±REACH.
            audible: (B, 1, K, T) bool, what each step may hear.
            bias: (HEADS, K, steps looked at).
            kept: keys and values of earlier steps, (B, HEADS, at most MEMORY, d).

        Returns:
            (B, K, WIDTH), and what to keep for the next step.
        """
        query, key, value = (
            _heads(part) for part in self.self_in(self.norms[0](x)).chunk(3, dim=-1)
        )
        if kept is not None:
            key = torch.cat([kept[0], key], dim=2)[:, :, -MEMORY:]
            value = torch.cat([kept[1], value], dim=2)[:, :, -MEMORY:]
        keep = (key, value)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x + self.drop(self.self_out(attended.transpose(1, 2).flatten(2)))

        query = _heads(self.query(self.norms[1](x)))
        near = self.place[:, offset + REACH].masked_fill(~audible, _NEVER).to(x.dtype)
        key, value = (part.expand(len(x), -1, -1, -1) for part in heard)
        spoken = F.scaled_dot_product_attention(query, key, value, attn_mask=near)
        x = x + self.drop(self.cross_out(spoken.transpose(1, 2).flatten(2)))
        return x + self.drop(self.mlp(self.norms[2](x))), keep


def _heads(x: Tensor) -> Tensor:
    """(B, K, WIDTH) -> (B, HEADS, K, d)."""
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussian mixtures with diagonal covariance, one for each group of `GROUPS`.

    Attributes:
        logits: (B, K, 3, COMPONENTS).
        means, log_scales: (B, K, COMPONENTS, N_STATE), in standardised states.
    """

    logits: Tensor
    means: Tensor
    log_scales: Tensor

    def log_likelihood(self, states: Tensor) -> Tensor:
        """Of states (B, K, N_STATE): (B, K, 3), nats, one for each group."""
        error = (states[:, :, None] - self.means) * torch.exp(-self.log_scales)
        each = -0.5 * error**2 - self.log_scales - 0.5 * math.log(2 * math.pi)
        by_group = torch.stack([g.sum(-1) for g in each.split(list(GROUPS.values()), -1)], 2)
        return torch.logsumexp(by_group + self.logits.log_softmax(-1), dim=-1)

    def quantiles(self, states: Tensor) -> Tensor:
        """How surprising states (B, K, N_STATE) are, channel by channel: (B, K, N_STATE), 0..1.

        The part of its mixture that lies below each value; even where the mixtures are right.
        """
        weights = self.logits.softmax(-1)
        groups = enumerate(GROUPS.values())
        each = [weights[:, :, i, :, None].expand(-1, -1, -1, size) for i, size in groups]
        error = (states[:, :, None] - self.means) * torch.exp(-self.log_scales)
        return (torch.cat(each, dim=-1) * torch.special.ndtr(error)).sum(2)

    def sample(self, uniform: Tensor, normal: Tensor, temperature: Tensor) -> Tensor:
        """One state for each of B, of the last step.

        Args:
            uniform: (B, 3) in [0, 1), choose the components.
            normal: (B, N_STATE) standard normal, correlated or not.
            temperature: (N_STATE,) scales the deviations; its value at each group's first channel
                sharpens the choice of the component likewise, 0 choosing the likeliest.

        Returns:
            (B, N_STATE).
        """
        parts, start = [], 0
        for group, size in enumerate(GROUPS.values()):
            logits = self.logits[:, -1, group]
            heat = float(temperature[start])
            chosen = logits.argmax(-1)
            if heat > 0:
                total = (logits / heat).softmax(-1).cumsum(-1)
                chosen = (total < uniform[:, group, None]).sum(-1).clamp(max=COMPONENTS - 1)
            at = chosen[:, None, None].expand(-1, 1, size)
            channels = slice(start, start + size)
            mean = self.means[:, -1, :, channels].gather(1, at)[:, 0]
            scale = self.log_scales[:, -1, :, channels].gather(1, at)[:, 0].exp()
            parts.append(mean + scale * normal[:, channels] * temperature[channels])
            start += size
        return torch.cat(parts, dim=-1)


class Decoder(nn.Module):
    """The distribution of the next state, given earlier ones, the audio, a style and an affect."""

    state_scale: Tensor
    audio_mean: Tensor
    audio_scale: Tensor

    def __init__(self, dropout: float = 0.0, biased: bool = True) -> None:
        super().__init__()
        self.biased = biased
        self.register_buffer("state_scale", torch.ones(N_STATE))
        self.register_buffer("audio_mean", torch.zeros(N_AUDIO))
        self.register_buffer("audio_scale", torch.ones(N_AUDIO))
        self.state = nn.Linear(2 * N_STATE, WIDTH)
        self.sound = nn.Linear(N_AUDIO, WIDTH)
        self.silence = nn.Parameter(torch.zeros(WIDTH))  # where a clip has no sound at all
        self.style = nn.Linear(N_STYLE, WIDTH)
        self.no_style = nn.Parameter(torch.zeros(WIDTH))
        self.affect = nn.Linear(N_AFFECT, WIDTH)
        self.no_affect = nn.Parameter(torch.zeros(WIDTH))
        self.layers = nn.ModuleList(Layer(dropout) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.output = nn.Linear(WIDTH, COMPONENTS * (len(GROUPS) + 2 * N_STATE))
        self.drop = nn.Dropout(dropout)
        # Start near "it goes on as it did", with deviations as steps have them.
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.zeros_(self.output.bias)
        nn.init.constant_(self.output.bias[-COMPONENTS * N_STATE :], _FIRST_LOG_SCALE)
        nn.init.normal_(self.output.bias[: COMPONENTS * len(GROUPS)], std=0.5)
        offsets = torch.linspace(-1.0, 1.0, COMPONENTS).repeat_interleave(N_STATE)
        self.output.bias.data[-COMPONENTS * N_STATE :] += offsets

    def hear(self, audio: Tensor | None, shape: tuple[int, int] = (1, 1)) -> list[Pair]:
        """Keys and values of the audio for each layer.

        Args:
            audio: (B, T, N_AUDIO) of `audio_inputs`; None where there is no sound.
            shape: B and T of the answer where there is no sound.
        """
        if audio is None:
            sound = self.silence.expand(*shape, -1)
        else:
            sound = self.sound((audio - self.audio_mean) / self.audio_scale)
        return [layer.hear(sound) for layer in cast(list[Layer], list(self.layers))]

    def forward(
        self,
        states: Tensor,
        before: Tensor,
        heard: list[Pair],
        inside: Tensor,
        frames: Tensor,
        manner: Tensor,
        kept: list[Pair] | None = None,
    ) -> tuple[Mixture, list[Pair]]:
        """What comes after each state.

        Args:
            states: (B, K, N_STATE) standardised; with `kept`, K is 1: the newest.
            before: likewise, the state before each.
            heard: of `hear`.
            inside: (B, T) bool, which frames of the audio exist.
            frames: (K,) the frame at which the state that is asked for stands.
            manner: (B, K or 1, WIDTH) of `embed_style` and `embed_affect`, added.
            kept: what an earlier call returned; an empty list at the first step.

        Returns:
            The distributions, and keys and values of each layer to keep for the next step.
        """
        x = self.state(torch.cat([states, states - before], dim=-1)) + manner
        x = self.drop(x)
        if kept is None:
            steps = torch.arange(x.shape[1], device=x.device)
            distance = steps[:, None] - steps
        else:
            held = min(kept[0][0].shape[2] + 1, MEMORY) if kept else 1
            distance = torch.arange(held - 1, -1, -1, device=x.device)[None]
        bias = temporal_bias(distance, self.biased).to(x.dtype)
        offset = torch.arange(inside.shape[1], device=x.device) - frames[:, None]
        audible = (offset.abs() <= REACH) & inside[:, None, None]
        offset = offset.clamp(-REACH, REACH)
        keeping = []
        for i, layer in enumerate(self.layers):
            x, pair = layer(x, heard[i], offset, audible, bias, kept[i] if kept else None)
            keeping.append(pair)
        out = self.output(F.gelu(self.norm(x)))
        logits, means, scales = out.split(
            [COMPONENTS * len(GROUPS), COMPONENTS * N_STATE, COMPONENTS * N_STATE], -1
        )
        # The mean is told as a change of the newest state's straight course.
        course = states + 0.7 * (states - before)
        mixture = Mixture(
            logits.unflatten(-1, (len(GROUPS), COMPONENTS)),
            course[:, :, None] + means.unflatten(-1, (COMPONENTS, N_STATE)),
            scales.unflatten(-1, (COMPONENTS, N_STATE)).clamp(_MIN_LOG_SCALE, _MAX_LOG_SCALE),
        )
        return mixture, keeping

    def embed_style(self, style: Tensor, known: Tensor) -> Tensor:
        """(B, K, N_STYLE) standardised and (B, K) bool, whether it is known -> (B, K, WIDTH)."""
        return torch.where(known[..., None], self.style(style), self.no_style)

    def embed_affect(self, affect: Tensor, known: Tensor) -> Tensor:
        """(B, K, N_AFFECT) within ±1 and (B, K) bool, whether it is known -> (B, K, WIDTH)."""
        return torch.where(known[..., None], self.affect(affect), self.no_affect)


def prosody_drive(energy: Array, activity: Array, pitch: Array, voicing: Array) -> Array:
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


def audio_inputs(expected: Array, prosody: Array, drive: Array) -> Array:
    """What the decoder is told of the sound, (frames, N_AUDIO) float32.

    Args:
        expected: (frames, 22), the listeners' answer.
        prosody: (frames, 4) of `listeners.prosody_inputs`.
        drive: (frames, 5) of `prosody_drive`.
    """
    return np.concatenate([expected, prosody, drive], axis=1).astype(np.float32)
