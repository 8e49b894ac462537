"""Listeners: speech to the lips and brows that go with it, and how likely each opening is.

Beside the expected face a listener tells whether the lips meet, and the distributions of lip
opening and mouth width over bins: what a mean of many ways of saying something has lost, they keep.
How they become one mouth, `talking_face.mapping.articulation` says.

A small temporal convolution network on the frozen activations of the speech encoder: it looks half
a second back and ahead, and it is deterministic. Where nobody speaks, its answer is to be faded to
the face at rest: see `rest_gate`.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor, nn

from talking_face.arrays import Array
from talking_face.interruption import heed
from talking_face.motion import CHANNELS, FPS
from talking_face.sound.encoder import BLOCKS
from talking_face.sound.encoder import WIDTH as FEATURE_WIDTH

N_LOWER = CHANNELS["lower"]
N_OUTPUTS = N_LOWER + CHANNELS["upper"]
# Edges of the bins, inter-ocular distances: lip opening, and mouth width beside the face at rest.
# The first bin of the opening is closed lips.
OPENINGS = np.array(
    [
        *(0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.115, 0.13, 0.145, 0.16, 0.18, 0.2),
        *(0.225, 0.25, 0.28, 0.32, 0.37, 0.43, 0.5, 0.6),
    ],
    dtype=np.float32,
)
WIDTHS = np.array(
    [
        *(-0.2, -0.15, -0.12, -0.1, -0.085, -0.07, -0.058, -0.047, -0.037, -0.028, -0.019, -0.01),
        *(0.0, 0.01, 0.019, 0.028, 0.037, 0.047, 0.058, 0.07, 0.085, 0.1, 0.14),
    ],
    dtype=np.float32,
)
BINS = len(OPENINGS) + 1
N_PLAIN = N_OUTPUTS + 1  # of the baseline: the face, and whether the lips meet
N_HEARD = N_PLAIN + 2 * BINS
N_PROSODY = 4

WIDTH = 160
KERNEL = 3
DILATIONS = (1, 2, 4, 2, 1, 2)
REACH = sum(DILATIONS) * (KERNEL // 2)  # frames that an answer depends on, on either side

_CHUNK = 1000  # frames at a time; bounds the memory
_LOUD = 10 * FPS + 1  # frames around one whose loudest tells how loud the voice is
_LOUDNESS_RANGE = 40.0  # dB

_SPEAKS = (0.15, 0.5)  # speech activity: surely rest, surely speech
_MARGIN = 6  # frames around speech in which the mouth is the network's own
_BREATH = 25  # frames before speech in which it may breathe in
_LINGER = 14  # frames after speech in which it may close in its own way
_RELAXED = 0.9  # how far the mouth opens while it only breathes
_EASE = 5  # frames, odd, that opening or closing the gate takes


class Listener(nn.Module):
    """Features and prosody in, coefficients and contact out; residual dilated convolutions between.

    The averages and deviations of the inputs and the typical amplitude of the outputs are part of
    the weights.
    """

    feature_mean: Tensor
    feature_scale: Tensor
    output_scale: Tensor

    def __init__(self, outputs: int = N_HEARD, dropout: float = 0.0, width: int = WIDTH) -> None:
        super().__init__()
        inputs = BLOCKS * FEATURE_WIDTH
        self.register_buffer("feature_mean", torch.zeros(inputs))
        self.register_buffer("feature_scale", torch.ones(inputs))
        self.register_buffer("output_scale", torch.ones(N_OUTPUTS))
        self.project = nn.Linear(inputs + N_PROSODY, width)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, KERNEL, dilation=d, padding=d * (KERNEL // 2))
            for d in DILATIONS
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in DILATIONS)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, outputs)
        self.dropout = dropout

    def forward(self, features: Tensor, prosody: Tensor, inside: Tensor) -> Tensor:
        """The face of each frame.

        Args:
            features: (B, T, 3072) float32, the six blocks side by side.
            prosody: (B, T, 4) float32 of `prosody_inputs`.
            inside: (B, T) float32, 1 where the recording is, 0 where the batch is padded.

        Returns:
            (B, T, 71) float32: lower face, upper face, the log-odds that the lips meet, and the
            logits of the bins of opening and of width; (B, T, 23) of the baseline, without bins.
        """
        scale = self._thin(self.feature_scale.expand(len(features), 1, -1))
        x = (features - self.feature_mean) * scale
        return self.answer(self.project(torch.cat([x, prosody], dim=-1)), inside)

    def answer(self, x: Tensor, inside: Tensor) -> Tensor:
        """The same of hidden channels (B, T, width)."""
        mask = inside[..., None]
        for norm, layer in zip(self.norms, self.layers, strict=True):
            y = layer((F.gelu(norm(x)) * mask).transpose(1, 2)).transpose(1, 2)
            x = x + y * self._thin(y.new_ones(len(y), 1, y.shape[2]))
        answer = self.output(F.gelu(self.norm(x)))
        face, logits = answer[..., :N_OUTPUTS], answer[..., N_OUTPUTS:]
        return torch.cat([face * self.output_scale, logits], dim=-1)

    def _thin(self, channels: Tensor) -> Tensor:
        """Dropout of whole channels (B, 1, n), the same ones at every frame."""
        return F.dropout(channels, self.dropout, self.training)


def prosody_inputs(energy: Array, activity: Array, voicing: Array) -> Array:
    """What the network is told of the voice itself, each about 0 to 1.

    Args:
        energy: (frames,) dB relative to full scale.
        activity: (frames,) 0 to 1.
        voicing: (frames,) 0 to 1.

    Returns:
        (frames, 4) float32: loudness relative to the loudest within 5 s, its slope, activity,
        voicing. Loudness is relative, so that the recording's gain doesn't matter.
    """
    loudest = ndimage.maximum_filter1d(energy, _LOUD, mode="nearest")
    loudness = np.clip((energy - loudest) / _LOUDNESS_RANGE + 1, 0.0, 1.0)
    slope = np.gradient(loudness) if len(loudness) > 1 else np.zeros_like(loudness)
    return np.stack([loudness, 4 * slope, activity, voicing], axis=1).astype(np.float32)


@torch.inference_mode()
def run(network: Listener, features: Array, prosody: Array) -> Array:
    """The network's own answer, (frames, outputs) float32, for features (frames, 6, 512)."""
    device = network.output_scale.device
    frames = len(features)
    answer = np.empty((frames, network.output.out_features), dtype=np.float32)
    for start in range(0, frames, _CHUNK):
        heed()
        stop = min(start + _CHUNK, frames)
        first, last = max(start - REACH, 0), min(stop + REACH, frames)
        heard = torch.from_numpy(features[first:last].astype(np.float32)).flatten(1).to(device)
        voice = torch.from_numpy(prosody[first:last]).to(device)
        inside = torch.ones(1, last - first, device=device)
        output = network(heard[None], voice[None], inside)[0]
        answer[start:stop] = output[start - first : stop - first].cpu().numpy()
    return answer


def rest_gate(activity: Array) -> Array:
    """How far the face speaks, (frames,) float32: 0 at rest, 1 in speech, with smooth passages.

    In pauses of speech, and just before and after it, people breathe and their lips part, and the
    network hears it; there the mouth is relaxed. Far from speech, where noise might fool the
    network, it is closed.
    """
    low, high = _SPEAKS
    size = _BREATH + _LINGER + 1
    speaks = np.pad(np.clip((activity - low) / (high - low), 0.0, 1.0), size, mode="edge")
    speech = ndimage.maximum_filter1d(speaks, 2 * _MARGIN + 1)
    breath = ndimage.maximum_filter1d(speaks, size, origin=(_LINGER - _BREATH) // 2)
    window = np.hanning(_EASE + 2)[1:-1]
    gate = np.maximum(speech, _RELAXED * breath)
    smooth = np.convolve(gate, window / window.sum(), mode="same")
    return smooth[size:-size].astype(np.float32)
