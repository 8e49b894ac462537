"""Several listeners at once, who answer before it is known how the sound goes on.

A live face asks for a second of frames a dozen times a second. So little work is mostly the steps
themselves, and networks of one shape can take them side by side, as groups of channels.

Of a sound that has only just come, and at the beginning of its window, the encoder says something
else than it does in the end. What that makes of the listeners' input is corrected by a product of
two thin matrices, after Hu et al., LoRA, 2021 (arXiv 2106.09685), here with factors in between: for
how old a frame is and how much the window holds. `talking_face.training.fit.live_ear` makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talking_face.arrays import Array, Float32
from talking_face.mapping.dirfa import Dirfa
from talking_face.mapping.listeners import DILATIONS, KERNEL, N_OUTPUTS, Listener
from talking_face.weights import load_weights

# Frames in the encoder's window for which there are factors; between them, they are interpolated.
WINDOWS = (2, 4, 8, 12, 18, 26, 36, 50, 75, 125, 250)


@dataclass(frozen=True, eq=False)
class Correction:
    """What the listeners' hidden channels lack while a sound is new.

    Attributes:
        down: (rank, 3072), from normalised features.
        up: (channels, rank), to the hidden channels of all listeners, side by side.
        gain, shift: (windows, ages, rank) factors and summands in between, for each of `WINDOWS`
            and age in frames, the newest last; older frames have those of the oldest.
    """

    down: Tensor
    up: Tensor
    gain: Tensor
    shift: Tensor

    def lacking(self, normal: Tensor, ages: Tensor, places: Tensor) -> Tensor:
        """What is to be added to the hidden channels, (..., T, channels).

        Args:
            normal: (..., T, 3072) features, normalised.
            ages: (T,) whole frames.
            places: (...,) of `place`.
        """
        rows = (self.gain.shape[1] - 1 - ages).clamp(min=0)
        before = places.long().clamp(max=len(WINDOWS) - 2)
        part = (places - before)[..., None, None]
        gain, shift = (
            torch.lerp(table[before][..., rows, :], table[before + 1][..., rows, :], part)
            for table in (self.gain, self.shift)
        )
        return F.linear(F.linear(normal, self.down) * gain + shift, self.up)


def place(window: int) -> float:
    """Where so many frames in the window lie among `WINDOWS`, 0 … 10."""
    known = np.log(WINDOWS)
    return float(np.interp(np.log(max(1, window)), known, np.arange(len(known))))


class Chorus:
    """Frozen listeners of one shape; a correction is for those of a live face."""

    @torch.inference_mode()
    def __init__(self, listeners: Sequence[Listener], correction: Correction | None = None) -> None:
        self._correction = correction
        self._mean, self._scale = listeners[0].feature_mean, listeners[0].feature_scale
        self._count, self._width = len(listeners), listeners[0].project.out_features
        weights, biases, out_weights, out_biases = [], [], [], []
        for one in listeners:
            inputs = len(one.feature_mean)
            weight = one.project.weight.double().clone()
            weight[:, :inputs] *= one.feature_scale.double()
            weights.append(weight)
            biases.append(one.project.bias - weight[:, :inputs] @ one.feature_mean.double())
            scale = one.output.weight.new_ones(one.output.out_features, dtype=torch.double)
            scale[:N_OUTPUTS] = one.output_scale
            out_weights.append(one.output.weight * scale[:, None] / self._count)
            out_biases.append(one.output.bias * scale / self._count)
        self._project = torch.cat(weights).float(), torch.cat(biases).float()
        self._output = torch.cat(out_weights, dim=1).float(), torch.stack(out_biases).sum(0).float()
        self._layers = [
            (
                _norms([cast(nn.LayerNorm, one.norms[i]) for one in listeners]),
                torch.cat([cast(nn.Conv1d, one.layers[i]).weight for one in listeners]),
                torch.cat([cast(Tensor, cast(nn.Conv1d, one.layers[i]).bias) for one in listeners]),
                dilation,
            )
            for i, dilation in enumerate(DILATIONS)
        ]
        self._norm = _norms([one.norm for one in listeners])

    @torch.inference_mode()
    def answer(self, features: Float32, prosody: Array, window: int) -> Float32:
        """The mean of what `talking_face.mapping.listeners.run` gives for each of them, corrected.

        Args:
            features: (frames, 6, 512) float32, the newest last.
            prosody: (frames, 4) float32 of `prosody_inputs`.
            window: how many frames the encoder's window holds.

        Returns:
            (frames, outputs) float32.
        """
        device = self._output[0].device
        heard = torch.from_numpy(features).to(device).flatten(1)
        voice = torch.from_numpy(prosody).to(device)
        x = F.linear(torch.cat([heard, voice], dim=1), *self._project)
        if self._correction is not None:
            normal = (heard - self._mean) * self._scale
            ages = torch.arange(len(x), device=device).flip(0)
            x = x + self._correction.lacking(normal, ages, x.new_tensor(place(window)))
        for norms, weight, bias, dilation in self._layers:
            y = F.gelu(self._normed(x, norms)).T[None]
            y = F.conv1d(
                y, weight, bias, padding=dilation * (KERNEL // 2), dilation=dilation,
                groups=self._count,
            )  # fmt: skip
            x = x + y[0].T
        answer = F.linear(F.gelu(self._normed(x, self._norm)), *self._output)
        return cast(Float32, answer.cpu().numpy())

    def _normed(self, x: Tensor, norms: tuple[Tensor, Tensor]) -> Tensor:
        scale, shift = norms
        apart = F.layer_norm(x.unflatten(1, (self._count, self._width)), (self._width,))
        return apart.flatten(1) * scale + shift


def load_chorus(network: Dirfa) -> Chorus:
    """The network's listeners with the shipped correction.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    device = network.style_scale.device
    parts = {
        name: torch.from_numpy(array).float().to(device)
        for name, array in load_weights("live_ear").items()
    }
    return Chorus(cast(Sequence[Listener], list(network.listeners)), Correction(**parts))


def _norms(norms: Sequence[nn.LayerNorm]) -> tuple[Tensor, Tensor]:
    """Their scales and shifts, side by side."""
    return torch.cat([one.weight for one in norms]), torch.cat([one.bias for one in norms])
