"""The sync critic: whether a mouth moves to what is heard, as the field measures it.

After "Out of time: automated lip sync in the wild", Chung and Zisserman 2016: two small networks
look at the sound and at the mouth, and what belongs together is near. Theirs sees pixels; this one
sees lip opening and mouth width, so it judges motions and tracked videos alike. It is learned from
training speakers by `talking_face.training.fit.critic`, lies in the cache, and is never shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from talking_face.arrays import Array
from talking_face.mapping.listeners import N_PROSODY
from talking_face.sound.encoder import BLOCKS
from talking_face.sound.encoder import WIDTH as FEATURE_WIDTH
from talking_face.training.data.examples import Example
from talking_face.training.data.offsets import peak_lag

CRITIC = "critic.safetensors"  # in a cache
WIDTH = 64
REACH = 12  # frames of lag that are compared, either way
FAR = 1  # frames; an offset up to this is in sync
LEAST = 20  # frames; shorter clips tell nothing


@dataclass(frozen=True)
class SyncFigures:
    """How well a mouth goes with its sound.

    Attributes:
        offset: frames by which the mouth is late, at the best likeness.
        confidence: the best likeness over lags less the median one, in nats.
    """

    offset: float
    confidence: float


class Critic(nn.Module):
    """Sound and mouth to unit vectors, one a frame, alike where they belong together."""

    feature_mean: Tensor
    feature_scale: Tensor
    mouth_scale: Tensor

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        inputs = BLOCKS * FEATURE_WIDTH
        self.register_buffer("feature_mean", torch.zeros(inputs))
        self.register_buffer("feature_scale", torch.ones(inputs))
        self.register_buffer("mouth_scale", torch.ones(2))
        self.project = nn.Linear(inputs + N_PROSODY, WIDTH)
        self.sound = _tower(WIDTH)
        self.mouth = _tower(4)
        self.sharpness = nn.Parameter(torch.tensor(2.0))
        self.dropout = dropout

    def hear(self, features: Tensor, prosody: Tensor) -> Tensor:
        """(B, T, 3072) and (B, T, 4) of a listener -> (B, T, 64)."""
        x = F.dropout(
            (features - self.feature_mean) * self.feature_scale, self.dropout, self.training
        )
        x = self.project(torch.cat([x, prosody], dim=-1))
        return F.normalize(self.sound(x.transpose(1, 2)).transpose(1, 2), dim=-1)

    def see(self, mouth: Tensor) -> Tensor:
        """Opening and width, (B, T, 2), each less the clip's mean -> (B, T, 64)."""
        mouth = mouth / self.mouth_scale
        speed = F.pad(mouth.diff(dim=1), (0, 0, 1, 0))
        x = torch.cat([mouth, 2 * speed], dim=-1)
        return F.normalize(self.mouth(x.transpose(1, 2)).transpose(1, 2), dim=-1)

    def likeness(self, heard: Tensor, seen: Tensor, ok: Tensor) -> Tensor:
        """Mean log-odds at each lag, (B, 2 REACH + 1); entry REACH + k compares with k later.

        Args:
            heard, seen: (B, T, 64).
            ok: (B, T), 1 where the mouth is known.
        """
        lags = []
        frames = heard.shape[1]
        for lag in range(-REACH, REACH + 1):
            first, last = max(0, -lag), min(frames, frames - lag)
            both = (heard[:, first:last] * seen[:, first + lag : last + lag]).sum(-1)
            weight = ok[:, first + lag : last + lag]
            lags.append((both * weight).sum(1) / weight.sum(1).clamp(min=1))
        return self.sharpness.exp() * torch.stack(lags, dim=1)


def _tower(channels: int) -> nn.Sequential:
    """Convolutions over nine frames."""
    return nn.Sequential(
        nn.Conv1d(channels, WIDTH, 5, padding=2),
        nn.GELU(),
        nn.Conv1d(WIDTH, WIDTH, 3, padding=1),
        nn.GELU(),
        nn.Conv1d(WIDTH, WIDTH, 3, padding=1),
    )


def load_critic(file: Path) -> Critic:
    """The critic of a cache, frozen."""
    critic = Critic()
    critic.load_state_dict({name: part.float() for name, part in load_file(file).items()})
    return critic.requires_grad_(False).eval()


@torch.inference_mode()
def sync_figures(
    critic: Critic, example: Example, opening: Array, width: Array, ok: Array
) -> SyncFigures | None:
    """Judge a mouth beside the sound of a clip.

    Args:
        opening, width: (frames,) inter-ocular distances, as long as the clip.
        ok: (frames,) bool, the frames that count.

    Returns:
        None for clips that are too short, or whose mouth is hardly seen.
    """
    if ok.sum() < LEAST:
        return None
    mouth = np.column_stack([opening, width]).astype(np.float32)
    mouth -= mouth[ok].mean(axis=0)
    features = torch.from_numpy(example.features.reshape(len(example), -1).astype(np.float32))
    heard = critic.hear(features[None], torch.from_numpy(example.prosody)[None])
    seen = critic.see(torch.from_numpy(mouth)[None])
    known = torch.from_numpy(ok.astype(np.float32))[None]
    curve = critic.likeness(heard, seen, known)[0].numpy().astype(np.float64)
    return SyncFigures(peak_lag(curve)[0], float(curve.max() - np.median(curve)))


def mean_sync(figures: Sequence[SyncFigures | None]) -> dict[str, float]:
    """Of several clips: how many are in sync, the usual offset, and the mean confidence."""
    known = [f for f in figures if f is not None]
    if not known:
        return {}
    offsets = np.array([f.offset for f in known])
    return {
        "clips": float(len(known)),
        "in sync": float((np.abs(offsets) <= FAR + 0.5).mean()),
        "offset": float(np.median(offsets)),
        "confidence": float(np.mean([f.confidence for f in known])),
    }
