"""Several listeners at once, who answer before it is known how the sound goes on.

A live face asks for a second of frames a dozen times a second. So little work is mostly the steps
themselves, and networks of one shape can take them side by side, as groups of channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talking_face.arrays import Array, Float32
from talking_face.live.int8 import to_int8
from talking_face.live.phones import LiveEncoder, add_thin
from talking_face.mapping.dirfa import Dirfa
from talking_face.mapping.listeners import DILATIONS, KERNEL, N_OUTPUTS, Listener
from talking_face.mapping.visemes import Visemes
from talking_face.sound.encoder import SpeechEncoder
from talking_face.weights import load_weights


class Chorus:
    """Frozen listeners of one shape, and what tells visemes beside them, if anything."""

    @torch.inference_mode()
    def __init__(self, listeners: Sequence[Listener], visemes: Visemes | None = None) -> None:
        self._visemes = visemes
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
    def answer(self, features: Float32, prosody: Array) -> Float32:
        """What `talking_face.mapping.sampler.expected_face` says of so much.

        Args:
            features: (frames, 6, 512) float32, the newest last.
            prosody: (frames, 4) float32 of `prosody_inputs`.

        Returns:
            (frames, outputs) float32.
        """
        device = self._output[0].device
        heard = torch.from_numpy(features).to(device).flatten(1)
        voice = torch.from_numpy(prosody).to(device)
        x = F.linear(torch.cat([heard, voice], dim=1), *self._project)
        for norms, weight, bias, dilation in self._layers:
            y = F.gelu(self._normed(x, norms)).T[None]
            y = F.conv1d(
                y, weight, bias, padding=dilation * (KERNEL // 2), dilation=dilation,
                groups=self._count,
            )  # fmt: skip
            x = x + y[0].T
        answer = F.linear(F.gelu(self._normed(x, self._norm)), *self._output)
        if self._visemes is not None:
            answer = torch.cat([answer, self._visemes(heard)], dim=1)
        return cast(Float32, answer.cpu().numpy())

    def _normed(self, x: Tensor, norms: tuple[Tensor, Tensor]) -> Tensor:
        scale, shift = norms
        apart = F.layer_norm(x.unflatten(1, (self._count, self._width)), (self._width,))
        return apart.flatten(1) * scale + shift


@dataclass(frozen=True, eq=False)
class LiveEar:
    """What hears for live faces."""

    encoder: LiveEncoder
    chorus: Chorus


def load_live_ear(encoder: SpeechEncoder, network: Dirfa) -> LiveEar:
    """The encoder with what it learned for streams, of eight bits on a processor, and the network's
    listeners and visemes.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    live = LiveEncoder(encoder).requires_grad_(False).eval()
    add_thin(live, load_weights("live_ear"))
    if live.places.device.type == "cpu":
        to_int8(live)
    listeners = cast(Sequence[Listener], list(network.listeners))
    return LiveEar(live, Chorus(listeners, network.visemes))


def _norms(norms: Sequence[nn.LayerNorm]) -> tuple[Tensor, Tensor]:
    """Their scales and shifts, side by side."""
    return torch.cat([one.weight for one in norms]), torch.cat([one.bias for one in norms])
