"""Visemes: phones that must not be taken for each other by who sees the lips.

How likely lips meet is learned from tracked lips, and many people's nearly meet at an f, v, w or u,
too. Whoever sees them closed there sees a p, b or m. So a linear map of the speech encoder's
activations, of a frame and its neighbours, tells which of them is said; what lips do about it,
`talking_face.mapping.articulation` says.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talking_face.arrays import Array
from talking_face.interruption import heed
from talking_face.sound.encoder import BLOCKS, WIDTH
from talking_face.weights import load_weights

KINDS = ("closed", "lip on teeth", "rounded", "other")  # p b m; f v; o u w; all else, and silence
AROUND = 3  # frames that an answer depends on: the one before, itself, the next

_CHUNK = 1000  # frames at a time; bounds the memory


class Visemes(nn.Module):
    """Activations in, logits of `KINDS` out."""

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, inputs: int = BLOCKS * WIDTH) -> None:
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(inputs))
        self.register_buffer("feature_scale", torch.ones(inputs))
        self.tell = nn.Linear(inputs, AROUND * len(KINDS))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (T, 4) of features (T, 3072), the six blocks side by side.

        Beyond the ends it sounds as it does there.
        """
        weight = self.tell.weight * self.feature_scale  # fewer numbers than the features have
        told = F.linear(features, weight, self.tell.bias - weight @ self.feature_mean)
        later, here, earlier = told.chunk(AROUND, dim=1)  # what a frame says of its neighbours
        return torch.cat([later[:1], later[:-1]]) + here + torch.cat([earlier[1:], earlier[-1:]])


@torch.inference_mode()
def tell(network: Visemes, features: Array) -> Array:
    """The logits of `KINDS`, (frames, 4) float32, for features (frames, 6, 512)."""
    device = network.feature_mean.device
    frames = len(features)
    answer = np.empty((frames, len(KINDS)), dtype=np.float32)
    for start in range(0, frames, _CHUNK):
        heed()
        stop = min(start + _CHUNK, frames)
        first = max(start - 1, 0)
        heard = torch.from_numpy(features[first : stop + 1].astype(np.float32)).flatten(1)
        told = network(heard.to(device)).cpu().numpy()
        answer[start:stop] = told[start - first : stop - first]
    return answer


def load_visemes() -> Visemes:
    """The shipped map, frozen.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    network = Visemes()
    tensors = load_weights("visemes")
    network.load_state_dict({name: torch.from_numpy(a).float() for name, a in tensors.items()})
    return network.requires_grad_(False).eval()
