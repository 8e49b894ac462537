"""The DIRFA mapping network: speech to a distribution over facial animation.

After "Audio-driven talking face generation with diverse yet realistic facial animations", Wu et
al., Pattern Recognition 144, 2023: a transformer models the probability of the animation given the
audio and is sampled autoregressively under a temporally-biased mask. The paper's code was never
published; this is our reading of it, for little data and two cores:

- *Listeners* hear what the lips do on average: several small convolution networks on the speech
  encoder's activations, trained alike from other beginnings; their mean is the expected face.
- The *decoder* models everything that the audio leaves open, p(y_k | y_0 … y_{k-1}, audio, style),
  where y_k holds head pose and brows and how far the lips stray from the expected ones, once every
  `STEP` frames. A cubic spline joins the steps, so that nothing moves at the rate of frames. Each
  step gives a mixture of Gaussians for each of three groups of channels: heads mostly hold still
  and sometimes turn, for which one Gaussian is too broad and too narrow at once. With `COMPONENTS`
  at 1, people whom no training saw are less likely by more than a nat a step (training logs it).
  Tokens weren't tried: motion would step where it should glide.

The temporally-biased mask adds to the self-attention of head h of H, from step i to step j,

    bias_h(i, j) = -2^(-8 (h + 1) / H) (i - j)  for 0 ≤ i - j < MEMORY,  -∞ elsewhere,

so that near steps weigh more, each head in its own measure, and what is further than `MEMORY` steps
away is forgotten: any length is decoded in constant memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talking_face.mapping.listeners import N_OUTPUTS, N_PROSODY, Baseline
from talking_face.motion import CHANNELS
from talking_face.weights import load_weights

STEP = 3  # frames; heads hold nothing above 4 Hz, and lips get theirs from the listeners
MEMORY = 64  # steps that the decoder looks back, 7.7 s
REACH = 12  # frames of audio that it hears on either side of a step
GROUPS = {"head": 6, "upper": CHANNELS["upper"], "lower": CHANNELS["lower"]}
N_STATE = sum(GROUPS.values())
N_STYLE = 2  # liveliness of head and of brows
N_DRIVE = 5
N_AUDIO = N_OUTPUTS + N_PROSODY + N_DRIVE

LISTENERS = 3
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
        (HEADS, ...) float: see the module's formula.
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
    """The distribution of the next state, given the earlier ones, the audio around and a style."""

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
        style: Tensor,
        kept: list[Pair] | None = None,
    ) -> tuple[Mixture, list[Pair]]:
        """What comes after each state.

        Args:
            states: (B, K, N_STATE) standardised; with `kept`, K is 1: the newest.
            before: likewise, the state before each.
            heard: of `hear`.
            inside: (B, T) bool, which frames of the audio exist.
            frames: (K,) the frame at which the state that is asked for stands.
            style: (B, WIDTH) of `embed_style`.
            kept: what an earlier call returned; an empty list at the first step.

        Returns:
            The distributions, and keys and values of each layer to keep for the next step.
        """
        x = self.state(torch.cat([states, states - before], dim=-1)) + style[:, None]
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
        """(B, N_STYLE) standardised and (B,) bool, whether it is known -> (B, WIDTH)."""
        return torch.where(known[:, None], self.style(style), self.no_style)


def audio_inputs(expected: np.ndarray, prosody: np.ndarray, drive: np.ndarray) -> np.ndarray:
    """What the decoder is told of the sound, (frames, N_AUDIO) float32.

    Args:
        expected: (frames, 22), the listeners' answer.
        prosody: (frames, 4) of `baseline.prosody_inputs`.
        drive: (frames, 5) of `idle.prosody_drive`.
    """
    return np.concatenate([expected, prosody, drive], axis=1).astype(np.float32)


class Dirfa(nn.Module):
    """The whole network: listeners and decoder.

    Attributes:
        style_scale: (N_STYLE, N_STYLE), a factor of the covariance of people's styles.
        together: (N_STATE, N_STATE), a factor of the correlation of the channels' surprises: heads
            and faces move as one, which the mixtures, channel by channel, don't know.
        free, tight: (16, 16), what of the lips' straying is not seen in their opening and width,
            and what is; rows of states times these. See `training.decoder.lip_freedom`.
    """

    style_scale: Tensor
    together: Tensor
    free: Tensor
    tight: Tensor

    def __init__(self, biased: bool = True) -> None:
        super().__init__()
        self.listeners = nn.ModuleList(Baseline() for _ in range(LISTENERS))
        self.decoder = Decoder(biased=biased)
        self.register_buffer("style_scale", torch.eye(N_STYLE))
        self.register_buffer("together", torch.eye(N_STATE))
        self.register_buffer("free", torch.zeros(GROUPS["lower"], GROUPS["lower"]))
        self.register_buffer("tight", torch.eye(GROUPS["lower"]))


def load_dirfa(device: str | torch.device = "cpu") -> Dirfa:
    """The shipped network, frozen; the decoder in double precision: see `mapping.sample_states`.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    network = Dirfa()
    tensors = load_weights("dirfa")
    network.load_state_dict({name: torch.from_numpy(a).float() for name, a in tensors.items()})
    network.decoder.double()
    return network.requires_grad_(False).eval().to(device)
