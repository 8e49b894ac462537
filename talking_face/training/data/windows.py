"""Random windows of clips for the listeners to learn from, drawn where the network computes.

All clips lie on the device as one long sequence, so that a batch is a look-up and the device never
waits for the processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from talking_face.arrays import Array
from talking_face.mapping.listeners import REACH
from talking_face.training.data.examples import Example

Plan = Sequence[tuple[str, int, int]]  # source, windows of it in a batch, frames of a window


class Windows:
    """Batches of windows, so many of each source.

    Args:
        examples: what is heard; sources that the plan doesn't name are left out.
        targets: key -> (frames, n) float32, what is to be learned of each.
        plan: windows of each source; those of which there are no examples are left out.
        device: where the batches are wanted.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        targets: Mapping[str, Array],
        plan: Plan,
        device: torch.device,
    ) -> None:
        self._device = device
        features = np.concatenate([e.features.reshape(len(e), -1) for e in examples])
        self._features = torch.from_numpy(features).to(device)
        rest = [
            np.column_stack([e.prosody, targets[e.key], e.ok]).astype(np.float32) for e in examples
        ]
        self._rest = torch.from_numpy(np.concatenate(rest)).to(device)
        self._n_prosody = examples[0].prosody.shape[1]
        self._lengths = np.array([len(example) for example in examples])
        self._starts = np.cumsum(self._lengths) - self._lengths
        sources = np.array([example.source for example in examples])
        self._plan = []
        for source, count, frames in plan:
            clips = np.flatnonzero(sources == source)
            if len(clips):
                chance = self._lengths[clips] / self._lengths[clips].sum()
                self._plan.append((clips, chance, count, frames))
        self._longest = max(frames for *_, frames in self._plan)

    def draw(self, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """features (B, T, F), prosody (B, T, 4), inside (B, T), target (B, T, n), ok (B, T).

        All float32. Windows of clips that are shorter are padded; nothing of the padding is inside
        or ok, nor what lies so near a cut that the network can't know it.
        """
        rows = [
            (clip, frames)
            for clips, chance, count, frames in self._plan
            for clip in generator.choice(clips, count, p=chance)
        ]
        clip, frames = np.array(rows).T
        length = self._lengths[clip]
        start = generator.integers(0, np.maximum(length - frames, 0) + 1)
        count = np.minimum(frames, length - start)
        first = np.where(start > 0, REACH // 2, 0)
        last = np.where(start + frames < length, count - REACH // 2, count)
        columns = np.stack([self._starts[clip] + start, count, first, last])
        places = torch.from_numpy(columns).to(self._device)[..., None]  # (4, B, 1)
        step = torch.arange(self._longest, device=self._device)
        inside = step < places[1]
        index = torch.where(inside, places[0] + step, places[0])
        features = self._features[index] * inside[..., None]
        rest = self._rest[index] * inside[..., None]
        prosody, target, ok = rest.split(
            [self._n_prosody, rest.shape[-1] - self._n_prosody - 1, 1], -1
        )
        known = (step >= places[2]) & (step < places[3])
        return features.float(), prosody, inside.float(), target, ok[..., 0] * known
