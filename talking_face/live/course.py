"""The course of head, brows and straying lips: the decoder, one step after the other, for hours.

As `talking_face.mapping.sampler.sample_states` draws them, from the same random streams, but with
the sound that is known so far, and with a spline that needs the next two steps alone.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import torch

from talking_face.arrays import Array
from talking_face.live.ear import Heard
from talking_face.mapping.decoder import GROUPS, N_AFFECT, N_STATE, N_STYLE, REACH, STEP, Pair
from talking_face.mapping.dirfa import Dirfa
from talking_face.mapping.sampler import FARTHEST, IDLE, streams

_KEPT = 16  # steps that the spline may still need


class Course:
    """Decodes as the sound comes.

    Args:
        network: the mapping network.
        seed, index, diversity, style: as for `sampler.draw`.
    """

    def __init__(
        self,
        network: Dirfa,
        seed: int,
        index: int,
        diversity: float,
        style: tuple[float, float],
    ) -> None:
        self._network, self._diversity = network, diversity
        self._device = network.style_scale.device
        personal, self._uniform, self._normal = streams(seed, index)
        own = torch.from_numpy(personal.standard_normal(N_STYLE)).to(self._device)
        chosen = torch.tensor(style, dtype=torch.float64, device=self._device)
        wish = chosen + min(diversity, 1.0) * network.style_scale.double() @ own
        known = torch.ones(1, 1, dtype=torch.bool, device=self._device)
        # How the voice feels isn't heard in so short a sound.
        unfelt = torch.zeros(1, 1, N_AFFECT, dtype=torch.float64, device=self._device)
        with torch.inference_mode():
            manner = network.decoder.embed_style(wish[None, None], known)
            self._manner = manner + network.decoder.embed_affect(unfelt, ~known)
        self._next_chance()  # the first state is given
        self._now = torch.zeros(1, N_STATE, dtype=torch.float64, device=self._device)
        self._before = self._now
        self._kept: list[Pair] = []
        self._states = deque([np.zeros(N_STATE)], maxlen=_KEPT)
        self._steps = 1  # that have been taken; the newest of them is the last of the states

    def states(self, heard: Heard, start: int, stop: int) -> Array:
        """The states of frames start … stop - 1, (n, N_STATE), in units of the motion space."""
        while self._steps <= (stop - 1) // STEP + 2:
            self._step(heard)
        knots = np.stack(self._states)
        first = self._steps - len(knots)
        frames = np.arange(start, stop)
        at, part = frames // STEP, (frames % STEP / STEP)[:, None]
        before, here, after, later = (
            knots[np.maximum(at + k - first, 0)] for k in (-1, 0, 1, 2)
        )  # Catmull & Rom, A class of local interpolating splines, 1974
        bend = 2 * before - 5 * here + 4 * after - later
        twist = 3 * (here - after) + later - before
        return here + part * (after - before + part * (bend + part * twist)) / 2

    @torch.inference_mode()
    def _step(self, heard: Heard) -> None:
        decoder, device = self._network.decoder, self._device
        knot = STEP * self._steps
        newest = min(knot, heard.stop - 1)  # the frame itself, or the last one that is known
        first = max(heard.start, min(knot - REACH, newest))
        window = slice(first - heard.start, knot + REACH + 1 - heard.start)
        sound = torch.from_numpy(heard.audio[window]).double().to(device)[None]
        inside = torch.ones(1, sound.shape[1], dtype=torch.bool, device=device)
        at = torch.tensor([knot - first], device=device)
        mixture, self._kept = decoder(
            self._now[:, None],
            self._before[:, None],
            decoder.hear(sound),
            inside,
            at,
            self._manner,
            self._kept,
        )
        uniform, normal = self._next_chance()
        heat = IDLE + (1 - IDLE) * float(heard.gate[newest - heard.start])
        temperature = torch.full((N_STATE,), self._diversity * heat, dtype=torch.float64)
        drawn = mixture.sample(uniform, normal, temperature.to(device))
        self._before, self._now = self._now, FARTHEST * torch.tanh(drawn / FARTHEST)
        self._states.append((self._now * decoder.state_scale)[0].cpu().numpy())
        self._steps += 1

    def _next_chance(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Uniform (1, groups) and normal (1, N_STATE) numbers of the next step."""
        uniform = torch.from_numpy(self._uniform.random((1, len(GROUPS)))).to(self._device)
        normal = torch.from_numpy(self._normal.standard_normal((1, N_STATE))).to(self._device)
        return uniform, normal @ self._network.together.double().T
