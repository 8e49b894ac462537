"""The encoder of a live ear while it learns, beside its teacher.

Thin matrices are added to its own, after Hu et al., LoRA, 2021 (arXiv 2106.09685).
`talking_face.live.phones` uses what was learned; `talking_face.training.fit.live_ear` teaches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from talking_face.live.ear import BACK
from talking_face.live.phones import BEHIND, HOP, NEW, PER_FRAME, LiveEncoder, cut_off, moments
from talking_face.mapping.listeners import Listener
from talking_face.sound.encoder import SpeechEncoder

SHOWN = slice(BEHIND, BEHIND + HOP)  # of the newest frames


class Thin(nn.Module):
    """A matrix, or a convolution's, and the product of two thin ones added to it."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        self.down = nn.Parameter(torch.randn(rank, columns) / math.sqrt(columns))
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down).view_as(weight)


class Pupil(nn.Module):
    """The live encoder while it learns, its teacher, and the listeners of both."""

    _teacher: SpeechEncoder

    def __init__(self, encoder: SpeechEncoder, listeners: Sequence[Listener], rank: int) -> None:
        super().__init__()
        self.__dict__["_teacher"] = encoder  # not among what is learned
        self._listeners = list(listeners)
        self.encoder = LiveEncoder(encoder).requires_grad_(True)
        self._before = {name: p.detach().clone() for name, p in self.encoder.named_parameters()}
        for module in list(self.encoder.modules()):
            if isinstance(module, nn.Linear | nn.Conv1d):
                thin = Thin(module.weight, rank)
                module.weight.requires_grad_(False)
                parametrize.register_parametrization(module, "weight", thin, unsafe=True)

    @torch.no_grad()
    def teach(self, power: Tensor, voice: Tensor) -> tuple[Tensor, Tensor]:
        """What is heard where all is known.

        Args:
            power: (B, 80, (frames + 1) * 4) of `spectra`, at most 10 s.
            voice: (B, frames, 4).

        Returns:
            (B, frames, 3072) features and (B, frames, 71) answers.
        """
        mel = cut_off(power, power.amax((1, 2)))
        heard = self._teacher.hear(mel).unflatten(2, (-1, PER_FRAME)).mean(3)[:, :, 1:]
        features = heard.transpose(1, 2).flatten(2)
        inside = voice.new_ones(voice.shape[:2])
        answers = [one(features, voice, inside) for one in self._listeners]
        return features, torch.stack(answers).mean(0)

    def forward(self, power: Tensor, voice: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """What is said after each hop of streams.

        Args:
            power, voice: as for `teach`.
            first: (B,) int64, position of the first activation.

        Returns:
            (B, hops, NEW, 3072) features and (B, hops, NEW, 71) answers.
        """
        heard = self.encoder(*moments(power), first).flatten(3)
        known = hopped(voice)
        answers = [_answers(one, heard, known) for one in self._listeners]
        return heard, torch.stack(answers).mean(0)

    @torch.no_grad()
    def keep(self, share: float) -> None:
        """Go back towards what it was before; 1 changes nothing, with 0 nothing was learned."""
        for name, learned in self.encoder.named_parameters():
            if name in self._before:
                learned.lerp_(self._before[name].to(learned), 1 - share)
            elif name.endswith(".up"):
                learned.mul_(share)

    def parts(self) -> dict[str, Tensor]:
        """What was learned, as `talking_face.live.phones.add_thin` takes it."""
        found: dict[str, Tensor] = {}
        for name, learned in self.encoder.named_parameters():
            if name.endswith("parametrizations.weight.original"):
                continue
            plain = name.replace("parametrizations.weight.0.", "weight.")
            if plain in self._before:
                found[f"{plain}.plus"] = learned - self._before[plain].to(learned)
            else:
                found[plain] = learned
        return {name: part.detach().half().cpu().contiguous() for name, part in found.items()}


def _answers(listener: Listener, heard: Tensor, voice: Tensor) -> Tensor:
    """What a listener says after each hop, (B, hops, NEW, 71)."""
    normal = (heard - listener.feature_mean) * listener.feature_scale
    hidden = listener.project(torch.cat([normal, voice], dim=-1))
    hops = hidden.shape[1]
    final = F.pad(hidden[:, :, :HOP].flatten(1, 2), (0, 0, BACK, 0))  # (B, BACK + 2 hops, w)
    before = final.unfold(1, BACK, HOP)[:, :hops].transpose(2, 3)  # (B, hops, BACK, w)
    windows = torch.cat([before, hidden], dim=2)
    frame = torch.arange(BACK + NEW, device=hidden.device) - BACK
    inside = frame + HOP * torch.arange(hops, device=hidden.device)[:, None] >= 0
    inside = inside.to(hidden.dtype).expand(len(hidden), -1, -1)
    answer = listener.answer(windows.flatten(0, 1), inside.flatten(0, 1))
    return answer[:, BACK:].unflatten(0, (-1, hops))


def hopped(curves: Tensor) -> Tensor:
    """The newest frames of each hop, (B, hops, NEW, n), of (B, frames, n)."""
    return curves.unfold(1, NEW, HOP).transpose(2, 3)
