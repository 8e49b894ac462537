"""The ear: the encoder of OpenAI's Whisper base, a recogniser that hears phones in any language.

Robust Speech Recognition via Large-Scale Weak Supervision, Radford et al. 2022 (arXiv 2212.04356),
section 2.2. Only the encoder is here. Knows spectrograms and activations; knows nothing of
files, frames of video or faces.
"""

from __future__ import annotations

import math
from functools import cache

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talking_face.arrays import Array, Float32
from talking_face.sound.audio import SAMPLE_RATE
from talking_face.weights import load_weights

N_MELS = 80
N_FFT = 400  # samples, 25 ms
HOP = 160  # samples, 10 ms
MEL_RATE = SAMPLE_RATE // HOP  # spectrogram columns per second
ENCODER_RATE = MEL_RATE // 2  # activations per second; the second convolution halves
WINDOW_SECONDS = 10  # Whisper takes 30; phones need less, and time and memory grow with it

WIDTH = 512
HEADS = 8
BLOCKS = 6
_LONGEST_WAVE = 10_000.0  # of the position code, over 2 pi
_POWER_FLOOR = 1e-10
RANGE = 8.0  # decades below the loudest band that are kept


def log_mel(waveform: Float32) -> Float32:
    """The spectrogram that Whisper hears.

    Args:
        waveform: (n,) float32, 16 kHz.

    Returns:
        (80, n // 160) float32 at 100 Hz: log10 of the power in Slaney mel bands, cut off at 8
        decades below its maximum, (x + 4) / 4.
    """
    return cut_off(log_power(waveform))


def log_power(waveform: Float32) -> Array:
    """log10 of the power in the bands, (80, n // 160) float32, of (n,) samples at 16 kHz."""
    spectrum = librosa.stft(waveform, n_fft=N_FFT, hop_length=HOP, pad_mode="reflect")
    power = mel_filters() @ np.abs(spectrum[:, : len(waveform) // HOP]) ** 2
    return np.log10(np.maximum(power, _POWER_FLOOR)).astype(np.float32)


def cut_off(columns: Array) -> Float32:
    """What Whisper hears of columns of `log_power`."""
    return ((np.maximum(columns, columns.max() - RANGE) + 4.0) / 4.0).astype(np.float32)


@cache
def mel_filters() -> Array:
    return librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS)  # (80, 201)


def positions(length: int, width: int = WIDTH) -> Tensor:
    """Sinusoidal position code, (length, width) float32: all sines, then all cosines."""
    half = width // 2
    frequencies = torch.exp(-math.log(_LONGEST_WAVE) / (half - 1) * torch.arange(half))
    angles = torch.arange(length)[:, None] * frequencies[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Attention(nn.Module):
    """Multi-head self-attention over the whole window; the key has no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        heads = [
            projection(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)  # (B, heads, T, 64)
            for projection in (self.query, self.key, self.value)
        ]
        return self.out(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self) -> None:
        super().__init__()
        self.attn_ln = nn.LayerNorm(WIDTH)
        self.attn = Attention()
        self.mlp_ln = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.attn_ln(x))
        return x + self.mlp(self.mlp_ln(x))


class SpeechEncoder(nn.Module):
    """Whisper's encoder, opened up.

    The early blocks still hold acoustics (how loud, how voiced), the late ones phones, and lips
    need both: the output is every block's, not only the last one's. The last is given as
    Whisper's own decoder reads it, after the final layer norm; the others are the residual stream.

    Whisper adds a code of the position to its input, and its activations keep it: the same speech
    at two places of a window correlates by as little as 0.33 (first block) and 0.65 (last). Nothing
    that lips do depends on it, so `hear` takes the average activation at each position away, after
    which it correlates by 0.95 or more in the first five blocks and by 0.85 in the last.
    """

    positions: Tensor  # (500, 512)
    typical: Tensor  # (6, 500, 512), the average activations

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(N_MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.ln_post = nn.LayerNorm(WIDTH)
        length = WINDOW_SECONDS * ENCODER_RATE
        self.register_buffer("positions", positions(length), persistent=False)
        self.register_buffer("typical", torch.zeros(BLOCKS, length, WIDTH))

    def forward(self, mel: Tensor) -> Tensor:
        """Whisper's own activations.

        Args:
            mel: (B, 80, m) float32 of `log_mel`, at most 10 s.

        Returns:
            (B, 6, ceil(m / 2), 512) float32 at 50 Hz: the outputs of the six blocks.
        """
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)  # (B, T, 512)
        x = x + self.positions[: x.shape[1]]
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        outputs[-1] = self.ln_post(x)
        return torch.stack(outputs, dim=1)

    def hear(self, mel: Tensor) -> Tensor:
        """As `forward`, less the average activation at each position of the window."""
        outputs = self(mel)
        return outputs - self.typical[:, : outputs.shape[2]]


def load_encoder(device: str | torch.device = "cpu") -> SpeechEncoder:
    """The shipped encoder, frozen, in single precision.

    Raises:
        WeightsMissing, WeightsCorrupt: its files aren't there or are damaged.
    """
    encoder = SpeechEncoder()
    tensors = load_weights("speech_encoder") | load_weights("speech_positions")
    encoder.load_state_dict(
        {name: torch.from_numpy(array.astype(np.float32)) for name, array in tensors.items()}
    )
    return encoder.requires_grad_(False).eval().to(device)
