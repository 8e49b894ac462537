"""The speech encoder on a stream: it hears the newest second again, and remembers what was before.

Each block's keys and values of older sound are kept, so that only the newest `TAIL` activations are
worked out at every hop, among all those of up to ten seconds. When the encoder's window is full, it
begins anew with the last `AGAIN` frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from talking_face.arrays import Array, Float32
from talking_face.motion import FPS
from talking_face.sound.encoder import (
    ENCODER_RATE,
    HEADS,
    HOP,
    MEL_RATE,
    WINDOW_SECONDS,
    Block,
    SpeechEncoder,
    cut_off,
    log_power,
)
from talking_face.sound.prosody import FRAME

TAIL = 12  # frames that are heard again, beside the new ones
AGAIN = 50  # frames that a new window begins with
_PER_FRAME = ENCODER_RATE // FPS
_COLUMNS = MEL_RATE // FPS
_EDGE = 2  # frames before the tail, for the convolutions
_CUT = 2  # columns at either end of a sound that aren't what they are within it
_MOST = WINDOW_SECONDS * FPS  # frames

Pair = tuple[Tensor, Tensor]


class Phones:
    """What the encoder's blocks say of the newest frames."""

    def __init__(self, encoder: SpeechEncoder) -> None:
        self._encoder = encoder
        self._blocks = cast(Sequence[Block], list(encoder.blocks))
        self.forget()

    def forget(self) -> None:
        """Begin a new window with the next sound."""
        self.frames = 0  # that the window holds
        self._kept: list[Pair] = []  # of the frames before the tail
        self._power: Array = np.zeros((0, 0), dtype=np.float32)  # columns of the newest sound

    @torch.inference_mode()
    def hear(self, wave: Float32, fresh: int) -> Float32:
        """Hear some frames more.

        Args:
            wave: (n * FRAME,) float32, 16 kHz, the newest sound: at least `AGAIN` frames, unless
                there was less so far.
            fresh: how many of its frames are new.

        Returns:
            (frames, 6, 512) float32, of the newest frames that were heard again.
        """
        if self.frames == 0 or self.frames + fresh > _MOST:
            self.forget()
            fresh = min(AGAIN, len(wave) // FRAME)
        before = self._kept[0][0].shape[2] // _PER_FRAME if self._kept else 0
        self.frames += fresh
        self._measure(wave, fresh)
        count = self.frames - before
        x = self._begun(count, before)
        outputs, pairs = [], []
        for number, block in enumerate(self._blocks):
            x, pair = _attend(block, x, self._kept[number] if self._kept else None)
            outputs.append(x)
            pairs.append(pair)
        outputs[-1] = self._encoder.ln_post(x)
        done = max(0, self.frames - TAIL) * _PER_FRAME
        self._kept = [(key[:, :, :done], value[:, :, :done]) for key, value in pairs]
        places = slice(before * _PER_FRAME, self.frames * _PER_FRAME)
        heard = torch.cat(outputs) - self._encoder.typical[:, places]
        heard = heard.unflatten(1, (-1, _PER_FRAME)).mean(dim=2).transpose(0, 1)
        return cast(Float32, heard.cpu().numpy())

    def _measure(self, wave: Float32, fresh: int) -> None:
        """The spectrum of new frames, and again of what was cut off when it was measured."""
        columns = fresh * _COLUMNS + _CUT
        if self._power.size:
            piece = wave[-(columns + _CUT) * HOP :]
            known = (self._power[:, :-_CUT], log_power(piece)[:, -columns:])
            self._power = np.concatenate(known, axis=1)[:, -AGAIN * _COLUMNS :]
        else:
            self._power = log_power(wave)

    def _begun(self, count: int, before: int) -> Tensor:
        """The blocks' input for the newest `count` frames, (1, 2 count, 512)."""
        edge = min(_EDGE, before)
        mel: Array = cut_off(self._power)[:, -(count + edge) * _COLUMNS :]
        encoder = self._encoder
        sound = torch.from_numpy(mel).to(encoder.positions.device)[None]
        x = F.gelu(encoder.conv2(F.gelu(encoder.conv1(sound)))).transpose(1, 2)
        place = before * _PER_FRAME
        x = x[:, edge * _PER_FRAME :]
        return x + encoder.positions[place : place + x.shape[1]]


def _attend(block: Block, x: Tensor, kept: Pair | None) -> tuple[Tensor, Pair]:
    """A block for the newest positions (1, n, 512), and its keys and values for all positions."""
    attention, normed = block.attn, block.attn_ln(x)
    query, key, value = (
        projection(normed).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        for projection in (attention.query, attention.key, attention.value)
    )
    if kept is not None:
        key, value = torch.cat([kept[0], key], dim=2), torch.cat([kept[1], value], dim=2)
    seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    x = x + attention.out(seen)
    return x + block.mlp(block.mlp_ln(x)), (key, value)
