"""Teach listeners to do without what comes next, for live faces.

    python -m talking_face.training.fit.live_ear --clips CLIPS --table TABLE

CLIPS is a folder of talking videos or a table of them, see `talking_face.training.data.clips`, and
TABLE lists acted speech, see `talking_face.training.data.utterances`; only sound is needed, and
only of the split `train`. Teachers are the shipped listeners where they have heard everything. The
pupils are the same, but hear what the encoder says where the sound has only just come; all that is
learned is a `Correction` of their hidden channels. All of their weights, set free, learn the
speakers by heart. One speaker in six is held out, and says when it is enough. Prints the checksum
for the registry in `weights.py`.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import logging
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm

from talking_face.errors import TalkingFaceError
from talking_face.face.model import FaceModel, load_face_model
from talking_face.live.chorus import WINDOWS, Correction
from talking_face.live.ear import AHEAD, HOP, SPAN
from talking_face.mapping.articulation import mouth_readout
from talking_face.mapping.dirfa import load_dirfa
from talking_face.mapping.listeners import N_OUTPUTS, N_PLAIN, OPENINGS, WIDTHS, Listener
from talking_face.sound.audio import load_audio
from talking_face.sound.encoder import SpeechEncoder, load_encoder
from talking_face.training.data.clips import read_clips
from talking_face.training.data.examples import SOURCES
from talking_face.training.data.moments import Lesson, Moment, lessons
from talking_face.training.data.utterances import read_utterances

HELD_OUT = 6  # one speaker in so many
# Recordings of a speaker, where there are many short ones.
MOST = {"grid": 8, "lrwar": 7, "ravdess": 6, "nemo": 16, "emodb": 14, "urdu": 4}
_EARLIEST = 3  # hops that have been heard, at least
_AROUND = 4  # frames around those shown that the filter of the lips sees
_LESS = 0.12  # by which they count
_USUAL = (0.07, 0.04)  # deviations of opening and width, inter-ocular distances
_MOUTH, _COEFFICIENTS, _CONTACT = 0.3, 0.3, 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learned."""

    steps: int = 200
    batch: int = 48  # moments
    rank: int = 32
    learning_rate: float = 3e-3
    dropout: float = 0.2  # of whole channels of the features
    average: float = 0.98  # exponential moving average of the weights
    every: int = 20  # steps, after which the held-out speakers are asked
    seed: int = 0


class Pupil(nn.Module):
    """Frozen listeners, and the correction that is learned."""

    def __init__(self, listeners: Sequence[Listener], rank: int, dropout: float = 0.0) -> None:
        super().__init__()
        self._listeners = list(listeners)  # of a list, so that their weights aren't learned
        self._mean, self._scale = listeners[0].feature_mean, listeners[0].feature_scale
        inputs, width = len(self._mean), listeners[0].project.out_features
        self.down = nn.Parameter(torch.randn(rank, inputs) / math.sqrt(inputs))
        self.up = nn.Parameter(torch.zeros(width * len(listeners), rank))
        self.gain = nn.Parameter(torch.ones(len(WINDOWS), SPAN, rank))
        self.shift = nn.Parameter(torch.zeros(len(WINDOWS), SPAN, rank))
        self._dropout = dropout
        self._ages = torch.arange(SPAN).flip(0)

    def correction(self) -> Correction:
        """What has been learned."""
        return Correction(self.down, self.up, self.gain, self.shift)

    def forward(self, features: Tensor, voice: Tensor, inside: Tensor, places: Tensor) -> Tensor:
        """The mean answer, (B, SPAN, 71), to what `Lesson.moment` gives, side by side."""
        normal = (features - self._mean) * self._scale
        whole = normal.new_ones(len(normal), 1, normal.shape[2])
        normal = normal * F.dropout(whole, self._dropout, self.training)
        lacking = self.correction().lacking(normal, self._ages, places)
        parts = lacking.chunk(len(self._listeners), dim=2)
        answers = [
            one(features, voice, inside, part)
            for one, part in zip(self._listeners, parts, strict=True)
        ]
        return torch.stack(answers).mean(0)


class Likeness:
    """How far answers are from the teacher's, where a live face shows them."""

    def __init__(self, model: FaceModel, scale: Tensor) -> None:
        """Scale: (22,) typical amplitude of the coefficients."""
        self._weights, self._scale = torch.from_numpy(mouth_readout(model)[0]), scale
        edges = ((0.0, *OPENINGS, 0.7), (-0.24, *WIDTHS, 0.2))
        self._middles = [torch.tensor((np.array(e[1:]) + e[:-1]) / 2).float() for e in edges]
        self._by_age = torch.zeros(SPAN)
        shown = range(AHEAD, AHEAD + HOP)
        for age in range(max(0, shown[0] - _AROUND), shown[-1] + _AROUND + 1):
            self._by_age[-1 - age] = 1.0 if age in shown else _LESS

    def __call__(self, ours: Tensor, theirs: Tensor, asked: Tensor) -> Tensor:
        """Squared errors of opening, width and coefficients, how differently closed lips and the
        bins are expected, and squared errors of the bins' means.

        Args:
            ours, theirs: (B, SPAN, 71) of listeners.
            asked: (B, SPAN), 1 where it counts.
        """
        error, usual = (ours - theirs)[..., :N_OUTPUTS], ours.new_tensor(_USUAL)
        apart = _MOUTH * (error @ self._weights / usual).square().mean(-1)
        apart = apart + _COEFFICIENTS * (error / self._scale).square().mean(-1)
        contact, known = ours[..., N_OUTPUTS], theirs[..., N_OUTPUTS]
        for sign in (1, -1):
            surprise = F.logsigmoid(sign * known) - F.logsigmoid(sign * contact)
            apart = apart + _CONTACT * torch.sigmoid(sign * known) * surprise
        bins = (answer[..., N_PLAIN:].chunk(2, dim=-1) for answer in (ours, theirs))
        for our, their, middles, size in zip(*bins, self._middles, usual, strict=True):
            logs = our.log_softmax(-1), their.log_softmax(-1)
            apart = apart + F.kl_div(*logs, reduction="none", log_target=True).sum(-1)
            apart = apart + ((logs[0].exp() - logs[1].exp()) @ middles / size).square()
        weight = asked * self._by_age
        return (apart * weight).sum() / weight.sum()


def answer(pupil: Pupil, moments: Sequence[Moment]) -> tuple[Tensor, Tensor, Tensor]:
    """The pupil's answer, the teacher's, and where it counts."""
    parts = [torch.stack(part) for part in zip(*moments, strict=True)]
    features, voice, inside, theirs, asked, places = parts
    return pupil(features, voice, inside, places), theirs, asked


def teach(
    listeners: Sequence[Listener], taught: Sequence[Lesson], model: FaceModel, recipe: Recipe
) -> Pupil:
    """The pupil, at the step after which it did best with the speakers that are held out."""
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    pupil = Pupil(listeners, recipe.rank, recipe.dropout)
    likeness = Likeness(model, torch.stack([one.output_scale for one in listeners]).mean(0))
    kept = [one for one in taught if not held_out(one.speaker)]
    asked = [
        one.moment(hop)
        for one in taught
        if held_out(one.speaker)
        for hop in range(_EARLIEST, len(one), 5)
    ]
    often = np.array([len(one) for one in kept]) / sum(map(len, kept))
    optimiser = torch.optim.AdamW(pupil.parameters(), recipe.learning_rate, weight_decay=1e-4)
    averaged = copy.deepcopy(pupil).eval()
    best, least = copy.deepcopy(averaged), judge(averaged, asked, likeness)
    logger.info("before: loss of others %.4f", least)
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            warm, cool = min(1.0, (step + 1) / 20), math.cos(math.pi * step / recipe.steps)
            group["lr"] = recipe.learning_rate * warm * 0.5 * (1 + cool)
        chosen = [kept[i] for i in rng.choice(len(kept), recipe.batch, p=often)]
        moments = [one.moment(int(rng.integers(_EARLIEST, len(one)))) for one in chosen]
        loss = likeness(*answer(pupil.train(), moments))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(pupil.parameters(), 1.0)
        optimiser.step()
        keep = min(recipe.average, (step + 1) / (step + 11))
        with torch.no_grad():
            torch._foreach_lerp_([*averaged.parameters()], [*pupil.parameters()], 1 - keep)
        if step % recipe.every == recipe.every - 1 or step == recipe.steps - 1:
            held = judge(averaged, asked, likeness)
            logger.info("step %d: loss %.4f, of others %.4f", step + 1, loss.item(), held)
            if held < least:
                best, least = copy.deepcopy(averaged), held
    return best


@torch.no_grad()
def judge(pupil: Pupil, moments: Sequence[Moment], likeness: Likeness) -> float:
    """The mean loss of moments."""
    parts = [moments[start : start + 64] for start in range(0, len(moments), 64)]
    losses = [len(part) * likeness(*answer(pupil, part)).item() for part in parts]
    return sum(losses) / len(moments)


def held_out(speaker: str) -> bool:
    """Whether nothing is learned from this speaker."""
    return zlib.crc32(speaker.encode()) % HELD_OUT == 3


def spoken(clips: Path | None, table: Path | None) -> Iterator[tuple[Path, str]]:
    """The sounds to learn from and whose they are."""
    taken: Counter[tuple[str, str]] = Counter()
    filmed = [
        (one.path, one.source, one.speaker)
        for one in (read_clips(clips) if clips else ())
        if one.split == "train" and one.has_audio and one.source in SOURCES
    ]
    acted = [
        (one.path, one.source, one.speaker)
        for one in (read_utterances(table) if table else ())
        if not one.validation
    ]
    for path, source, speaker in (*filmed, *acted):
        taken[source, speaker] += 1
        if taken[source, speaker] <= MOST.get(source, 999):
            yield path, f"{source}_{speaker}"


def gather(
    places: Sequence[tuple[Path, str]],
    encoder: SpeechEncoder,
    listeners: Sequence[Listener],
    seed: int = 0,
) -> list[Lesson]:
    """The lessons of all sounds that can be read."""
    rng = np.random.default_rng(seed)
    found: list[Lesson] = []
    for path, speaker in tqdm(places, desc="sounds"):
        try:
            recording = load_audio(path)
        except TalkingFaceError as error:
            logger.warning("left out: %s", error)
            continue
        found += lessons(recording, speaker, encoder, listeners, rng)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, help="folder of videos, or a table of them")
    parser.add_argument("--table", type=Path, help="table of acted speech")
    parser.add_argument("--output", type=Path, default=Path("weights/live_ear.safetensors"))
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    listeners = cast(Sequence[Listener], list(load_dirfa().listeners))
    places = list(spoken(options.clips, options.table))
    taught = gather(places, load_encoder(), listeners)
    logger.info("%d moments", sum(map(len, taught)))
    pupil = teach(listeners, taught, load_face_model(), Recipe(steps=options.steps))
    learned = vars(pupil.correction())
    content = save({name: part.detach().half().contiguous() for name, part in learned.items()})
    options.output.write_bytes(content)
    print(f'"{options.output.name}": "{hashlib.sha256(content).hexdigest()}"')


if __name__ == "__main__":
    main()
