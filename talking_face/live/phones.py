"""The speech encoder on a stream: what it says of a sound of which little is still to come.

Whisper's encoder hears all of a recording before it says anything of its beginning. Here it hears
`HOP` frames more at a time, works out the newest `NEW` frames, and looks back at those before,
whose keys and values are kept as they were when they left the newest. This is nearly how Shi et
al., Emformer, 2021 (arXiv 2010.10759) stream. Thin matrices added to the encoder's own, after Hu et
al., LoRA, 2021 (arXiv 2106.09685), make it say early what it would say in the end;
`talking_face.training.fit.live_ear` learns them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talking_face.arrays import Array, Float32
from talking_face.motion import FPS
from talking_face.sound.encoder import (
    ENCODER_RATE,
    HEADS,
    MEL_RATE,
    RANGE,
    WIDTH,
    WINDOW_SECONDS,
    Block,
    SpeechEncoder,
    log_power,
)
from talking_face.sound.encoder import HOP as COLUMN

HOP = 2  # frames, after which it hears again
AHEAD = 4  # frames of sound behind those that are shown
BEHIND = 4  # frames before those that are worked out again
NEW = BEHIND + HOP + AHEAD  # frames that are worked out at every hop; the first `HOP` are final
PAST = 100  # frames that are looked back at
PERIOD = WINDOW_SECONDS * ENCODER_RATE  # activations, after which positions begin again
LOUDEST = 250  # frames within which the loudest band is sought
PER_FRAME = ENCODER_RATE // FPS
COLUMNS = MEL_RATE // FPS  # of a spectrum, in a frame
_EDGE = 1  # frames before the new ones, for the convolutions
_CUT = 2  # columns at the end of a sound that aren't what they are within it

Pair = tuple[Tensor, Tensor]  # keys and values


class LiveEncoder(nn.Module):
    """The encoder with what was learned for streams."""

    places: Tensor  # (PERIOD, 512), the code of positions
    typical: Tensor  # (6, PERIOD, 512), the average activations there

    def __init__(self, encoder: SpeechEncoder) -> None:
        super().__init__()
        self.conv1, self.conv2 = copy.deepcopy(encoder.conv1), copy.deepcopy(encoder.conv2)
        self.blocks, self.ln_post = copy.deepcopy(encoder.blocks), copy.deepcopy(encoder.ln_post)
        self.register_buffer("places", encoder.positions, persistent=False)
        self.register_buffer("typical", encoder.typical, persistent=False)

    def begin(self, power: Tensor, loudest: Tensor, places: Tensor) -> Tensor:
        """The blocks' input for the new frames of hops.

        Args:
            power: (N, 80, (NEW + 1) * 4) of `log_power`, the newest columns last.
            loudest: (N,) of the columns that count.
            places: (N, NEW * 2) indices of positions.

        Returns:
            (N, NEW * 2, 512).
        """
        mel = cut_off(power, loudest)
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        return x[:, _EDGE * PER_FRAME :] + self.places[places]

    def forward(self, power: Tensor, loudest: Tensor, first: Tensor) -> Tensor:
        """All hops of streams at once, for training.

        Args:
            power: (B, hops, 80, (NEW + 1) * 4); see `moments`.
            loudest: (B, hops).
            first: (B,) int64, position of the first activation.

        Returns:
            (B, hops, NEW, 6, 512) of the new frames of each hop, the first `HOP` of them final.
        """
        batch, hops = loudest.shape
        size = NEW * PER_FRAME
        step = torch.arange(hops, device=first.device)[:, None] * HOP * PER_FRAME
        places = (first[:, None, None] + step + torch.arange(size, device=first.device)) % PERIOD
        x = self.begin(power.flatten(0, 1), loudest.flatten(), places.flatten(0, 1))
        x = x.reshape(batch, hops * size, WIDTH)
        seen = visible(hops).to(x.device)
        outputs = []
        for block in cast(Sequence[Block], self.blocks):
            query, key, value = _projected(block, x)
            x = _mixed(block, x, query, key, value, seen)
            outputs.append(x)
        outputs[-1] = self.ln_post(x)
        heard = torch.stack(outputs, dim=2).unflatten(1, (hops, size))  # (B, hops, n, 6, 512)
        heard = heard - self.typical.transpose(0, 1)[places]
        return heard.unflatten(2, (NEW, PER_FRAME)).mean(dim=3)


def cut_off(power: Tensor, loudest: Tensor) -> Tensor:
    """As `talking_face.sound.encoder` has it, of (N, 80, n) columns below (N,) loudest ones."""
    return (torch.maximum(power, loudest[:, None, None] - RANGE) + 4.0) / 4.0


def visible(hops: int) -> Tensor:
    """Which activation looks at which, (n, n) bool for n = hops * NEW * 2: those of its own hop,
    and what was final within `PAST` frames before it."""
    hop = torch.arange(hops).repeat_interleave(NEW * PER_FRAME)
    final = (torch.arange(NEW * PER_FRAME) < HOP * PER_FRAME).repeat(hops)
    before = hop[:, None] - hop[None, :]
    return (before == 0) | ((before > 0) & (before <= PAST // HOP) & final[None, :])


def moments(power: Tensor) -> tuple[Tensor, Tensor]:
    """What each hop of a whole sound knows.

    Args:
        power: (B, 80, frames * 4) of `log_power`; the first frame is silent, for the convolutions.

    Returns:
        (B, hops, 80, (NEW + 1) * 4) the newest columns, and (B, hops) the loudest band so far.
    """
    newest = power.unfold(2, (NEW + _EDGE) * COLUMNS, HOP * COLUMNS).transpose(1, 2)
    loudest = power.amax(1).cummax(1).values
    return newest, loudest[:, (NEW + _EDGE) * COLUMNS - 1 :: HOP * COLUMNS]


def _projected(block: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value, (B, heads, n, 64)."""
    attention, normed = block.attn, block.attn_ln(x)
    query, key, value = (
        projection(normed).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        for projection in (attention.query, attention.key, attention.value)
    )
    return query, key, value


def _mixed(
    block: Block, x: Tensor, query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None = None
) -> Tensor:
    """What a block makes of x (B, n, 512)."""
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
    x = x + block.attn.out(mixed.transpose(1, 2).flatten(2))
    return x + block.mlp(block.mlp_ln(x))


class Phones:
    """What the live encoder says of the newest frames of one stream, hop by hop."""

    def __init__(self, encoder: LiveEncoder) -> None:
        self._encoder = encoder
        self.forget()

    def forget(self) -> None:
        """Begin anew with the next sound."""
        self._place = 0
        self._kept: list[Pair] = []  # of what is final
        self._power: Array = np.zeros((0, 0), dtype=np.float32)  # the newest columns
        self._loudest: list[float] = []  # of each hop within `LOUDEST`

    @torch.inference_mode()
    def hear(self, wave: Float32) -> Float32:
        """Hear a hop more.

        Args:
            wave: (n,) float32, 16 kHz, the newest sound, `NEW` + `HOP` frames at least.

        Returns:
            (NEW, 6, 512) float32, of the newest frames; the first `HOP` of them are final.
        """
        encoder = self._encoder
        device = encoder.places.device
        power, loudest = self._measured(wave)
        places = (self._place + torch.arange(NEW * PER_FRAME, device=device)) % PERIOD
        x = encoder.begin(
            torch.from_numpy(power).to(device)[None], torch.tensor([loudest], device=device),
            places[None],
        )  # fmt: skip
        outputs, pairs = [], []
        for number, block in enumerate(cast(Sequence[Block], encoder.blocks)):
            query, key, value = _projected(block, x)
            if self._kept:
                before = self._kept[number]
                key, value = torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)
            x = _mixed(block, x, query, key, value)
            outputs.append(x)
            done = slice(-(PAST + NEW - HOP) * PER_FRAME, -(NEW - HOP) * PER_FRAME)
            pairs.append((key[:, :, done], value[:, :, done]))
        outputs[-1] = encoder.ln_post(x)
        self._kept = pairs
        self._place = (self._place + HOP * PER_FRAME) % PERIOD
        heard = torch.cat(outputs) - encoder.typical[:, places]  # (6, n, 512)
        heard = heard.unflatten(1, (NEW, PER_FRAME)).mean(dim=2).transpose(0, 1)
        return cast(Float32, heard.cpu().numpy())

    def _measured(self, wave: Float32) -> tuple[Array, float]:
        """The spectrum of the newest frames, and the loudest band so far."""
        count = (NEW + _EDGE) * COLUMNS
        if self._power.size:
            fresh = HOP * COLUMNS + _CUT  # new ones, and those that were at the end
            piece = log_power(wave[-(fresh + _CUT) * COLUMN :])[:, -fresh:]
            self._power = np.concatenate([self._power[:, HOP * COLUMNS : -_CUT], piece], axis=1)
        else:
            self._power = log_power(wave[-(count + _CUT) * COLUMN :])[:, -count:]
        self._loudest = [*self._loudest, float(self._power.max())][-LOUDEST // HOP :]
        return self._power, max(self._loudest)


def add_thin(network: nn.Module, parts: Mapping[str, Array]) -> None:
    """Add to a network's parameters what was learned.

    Args:
        parts: of each matrix NAME.up (rows, rank) and NAME.down (rank, columns), whose product is
            added, and of each other parameter NAME.plus.
    """
    for name, weight in network.named_parameters():
        if f"{name}.up" in parts:
            up, down = (torch.from_numpy(parts[f"{name}.{end}"]) for end in ("up", "down"))
            change = (up.float() @ down.float()).reshape(weight.shape)
        else:
            change = torch.from_numpy(parts[f"{name}.plus"]).float()
        with torch.no_grad():
            weight.add_(change.to(weight.device))
