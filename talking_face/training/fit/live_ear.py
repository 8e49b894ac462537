"""Teach an ear to do without what comes next, for live faces.

    python -m talking_face.training.fit.live_ear --clips CLIPS --table TABLE

CLIPS is a folder of talking videos or a table of them, see `talking_face.training.data.clips`, and
TABLE lists acted speech, see `talking_face.training.data.utterances`; only sound is needed, and
only of the split `train`. Teachers are the shipped encoder and listeners where they have heard
everything. The pupil is the same encoder, but hears streams, and thin matrices are added to its
own: it learns to hear what the teacher hears, so that listeners say the same of it, and the ear of
emotions hears as well. The split `val` tells what was learned. Made for a GPU. Prints the checksum
for the registry in `weights.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
import time
import warnings
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

from talking_face.arrays import Array
from talking_face.errors import TalkingFaceError
from talking_face.face.lips import mouth_readout
from talking_face.face.model import FaceModel, load_face_model
from talking_face.live.phones import (
    BEHIND,
    COLUMNS,
    HOP,
    NEW,
    PERIOD,
)
from talking_face.mapping.articulation import articulate
from talking_face.mapping.dirfa import load_dirfa
from talking_face.mapping.listeners import N_OUTPUTS, N_PLAIN, OPENINGS, WIDTHS, Listener
from talking_face.sound.audio import load_audio
from talking_face.sound.encoder import SpeechEncoder, load_encoder
from talking_face.sound.prosody import FRAME
from talking_face.training.data.clips import read_clips
from talking_face.training.data.examples import SOURCES
from talking_face.training.data.streams import (
    FULL,
    SHORTEST,
    Lesson,
    Streams,
    disturbed,
    lesson,
    spectra,
)
from talking_face.training.data.utterances import read_utterances
from talking_face.training.fit import parallel
from talking_face.training.fit.lip_loss import correlation
from talking_face.training.fit.pupil import SHOWN, Pupil, hopped
from talking_face.training.measure.lip_figures import CLOSED

_USUAL = (0.07, 0.04)  # deviations of opening and width, inter-ocular distances
_LESS = 0.12  # how much the frames around those shown count: the filter of the lips sees them
_MOUTH, _COEFFICIENTS, _CONTACT, _ALIKE, _FEATURES = 0.3, 0.3, 2.0, 1.0, 0.5
_QUICK = 3  # frames, by which changes are measured
_LATER = 13  # frames that only teachers hear
_JUDGED = 225  # frames
_SETTLED, _LONG = 50, 80  # frames
_LEAST = 1e-3  # deviation of an opening that moves

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learned."""

    steps: int = 1400
    batch: int = 32  # streams
    frames: int = 200  # of a stream
    rank: int = 32
    learning_rate: float = 6e-4
    weight_decay: float = 0.02
    average: float = 0.998  # exponential moving average of what is learned
    kept: float = 0.7  # of what is learned: the voices of others are heard better for it
    seed: int = 0


class Likeness:
    """How far what a pupil says is from what its teachers say in the end."""

    def __init__(self, model: FaceModel, listener: Listener) -> None:
        scale = listener.output_scale
        self._weights, self._scale = torch.from_numpy(mouth_readout(model)[0]).to(scale), scale
        self._feature_scale = listener.feature_scale
        edges = ((0.0, *OPENINGS, 0.7), (-0.24, *WIDTHS, 0.2))
        self._middles = [
            torch.tensor((np.array(e[1:]) + e[:-1]) / 2).to(scale).float() for e in edges
        ]
        self._by_slot = torch.full((NEW,), _LESS, device=scale.device)
        self._by_slot[SHOWN] = 1.0

    def __call__(
        self,
        heard: Tensor,
        answer: Tensor,
        features: Tensor,
        theirs: Tensor,
        counts: Tensor,
    ) -> Tensor:
        """Squared errors of opening, width and coefficients, how differently closed lips and the
        bins are expected, squared errors of the bins' means, what the correlation of the openings
        and of their changes lacks, and squared errors of the features.

        Args:
            heard, answer: of the pupil, (B, hops, NEW, 3072) and (B, hops, NEW, 71).
            features, theirs: (B, frames, 3072) and (B, frames, 71) of the teachers.
            counts: (B, frames) how much they count.
        """
        known, weight = hopped(theirs), hopped(counts[..., None])[..., 0]
        spoken = (weight == 1.0).float()
        apart = ((heard - hopped(features)) * self._feature_scale).square().mean(-1)
        loss = _FEATURES * (apart * spoken).sum() / spoken.sum().clamp(min=1)

        error, usual = (answer - known)[..., :N_OUTPUTS], answer.new_tensor(_USUAL)
        apart = _MOUTH * (error @ self._weights / usual).square().mean(-1)
        apart = apart + _COEFFICIENTS * (error / self._scale).square().mean(-1)
        contact, surely = answer[..., N_OUTPUTS], known[..., N_OUTPUTS]
        for sign in (1, -1):
            surprise = F.logsigmoid(sign * surely) - F.logsigmoid(sign * contact)
            apart = apart + _CONTACT * torch.sigmoid(sign * surely) * surprise
        means = []
        bins = (part[..., N_PLAIN:].chunk(2, dim=-1) for part in (answer, known))
        for our, their, middles, size in zip(*bins, self._middles, usual, strict=True):
            logs = our.log_softmax(-1), their.log_softmax(-1)
            apart = apart + F.kl_div(*logs, reduction="none", log_target=True).sum(-1)
            means.append([log.exp() @ middles for log in logs])
            apart = apart + ((means[-1][0] - means[-1][1]) / size).square()
        weight = weight * self._by_slot
        loss = loss + (apart * weight).sum() / weight.sum()

        ours, real = (part[:, :, SHOWN].flatten(1)[..., None] for part in means[0])
        ok = spoken[:, :, SHOWN].flatten(1)
        both = ok[:, _QUICK:] * ok[:, :-_QUICK]
        changes, others = (part[:, _QUICK:] - part[:, :-_QUICK] for part in (ours, real))
        alike = correlation(ours, real, ok) + 0.5 * correlation(changes, others, both)
        return loss + _ALIKE * (1.5 - alike.mean())


def teach(
    encoder: SpeechEncoder,
    listeners: Sequence[Listener],
    lessons: Sequence[Lesson],
    model: FaceModel,
    recipe: Recipe,
) -> Pupil:
    """The pupil, averaged over its steps."""
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    device = parallel.device()
    pupil = Pupil(encoder.to(device), [one.to(device) for one in listeners], recipe.rank).to(device)
    likeness = Likeness(model, listeners[0])
    streams = Streams(lessons, recipe.frames + _LATER, device)
    learned = [p for p in pupil.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learned, recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, recipe.steps, pct_start=0.1
    )
    averaged = [p.detach().clone() for p in learned]
    began = time.monotonic()
    frames = recipe.frames
    for step in range(recipe.steps):
        wave, voice, counts = streams.draw(rng, recipe.batch)
        power = spectra(disturbed(wave, rng))
        first = torch.from_numpy(rng.integers(0, PERIOD, recipe.batch)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            features, theirs = pupil.teach(power, voice)
            heard, answer = pupil(power[..., : (frames + 1) * COLUMNS], voice[:, :frames], first)
        known = (part[:, :frames].float() for part in (features, theirs, counts))
        loss = likeness(heard.float(), answer.float(), *known)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()
        schedule.step()
        keep = min(recipe.average, step / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(averaged, [*map(torch.Tensor.detach, learned)], 1 - keep)
        if step % 200 == 199:
            seconds = time.monotonic() - began
            logger.info("step %d: loss %.4f, %.0f s", step + 1, loss.item(), seconds)
    with torch.no_grad():
        for parameter, mean in zip(learned, averaged, strict=True):
            parameter.copy_(mean)
    pupil.keep(recipe.kept)
    return pupil.eval()


@dataclass(frozen=True)
class Figures:
    """How like the teachers' the lips of one lesson are.

    Attributes:
        alike, later: correlation of the opening; after two seconds.
        kept, right: how many of the teachers' closed moments are closed, and the other way round.
    """

    alike: float
    later: float
    kept: float
    right: float


@torch.no_grad()
def judge(pupil: Pupil, one: Lesson, model: FaceModel) -> Figures:
    """The figures of a lesson's first nine seconds as a stream of its own."""
    device = next(pupil.parameters()).device
    frames = min(len(one), _JUDGED)
    wave = torch.from_numpy(one.wave[:frames].astype(np.float32) / FULL).flatten()
    before, after = (BEHIND + 1) * FRAME, (NEW + HOP) * FRAME
    power = spectra(F.pad(wave, (before, after))[None].to(device))
    voice = torch.from_numpy(np.pad(one.voice[:frames], ((BEHIND, NEW + HOP), (0, 0))))
    voice = voice[None].to(device)
    _, theirs = pupil.teach(power, voice)
    _, answer = pupil(power, voice, torch.zeros(1, dtype=torch.long, device=device))
    weights, bias = mouth_readout(model)
    whole = (articulate(theirs[0].float().cpu().numpy(), model) @ weights + bias)[:, 0]
    heard = answer[0].float().cpu().numpy()
    live = np.concatenate([(articulate(hop, model) @ weights + bias)[SHOWN, 0] for hop in heard])
    live, whole = live[:frames], whole[BEHIND:][:frames]
    shut, ours = whole < CLOSED, live < CLOSED
    return Figures(
        alike=_alike(live, whole),
        later=_alike(live[_SETTLED:], whole[_SETTLED:]) if len(live) > _LONG else math.nan,
        kept=float(ours[shut].mean()) if shut.any() else math.nan,
        right=float(shut[ours].mean()) if ours.any() else math.nan,
    )


def _alike(a: Array, b: Array) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if b.std() > _LEAST else math.nan


def table(pupil: Pupil, lessons: Sequence[Lesson], model: FaceModel) -> str:
    """Means of the figures by source, a line each."""
    lines = []
    for source in sorted({one.source for one in lessons}):
        found = [judge(pupil, one, model) for one in lessons if one.source == source]
        rows = np.array([list(vars(one).values()) for one in found])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # nobody speaks for so long
            means = np.nanmean(rows, axis=0)
        lines.append(
            f"{source}, {len(rows)} recordings: alike {means[0]:.3f}, after two seconds "
            f"{means[1]:.3f}, closures kept {means[2]:.2f}, right {means[3]:.2f}"
        )
    return "\n".join(lines)


def spoken(clips: Path | None, sheet: Path | None, split: str) -> Iterator[tuple[Path, str, str]]:
    """The sounds of a split, their sources and speakers."""
    for one in read_clips(clips) if clips else ():
        if one.split == split and one.has_audio and one.source in SOURCES:
            yield one.path, one.source, f"{one.source}_{one.speaker}"
    for acted in read_utterances(sheet) if sheet else ():
        if acted.validation == (split == "val"):
            yield acted.path, acted.source, f"{acted.source}_{acted.speaker}"


def gather(places: Sequence[tuple[Path, str, str]]) -> list[Lesson]:
    """The lessons of all sounds that can be read."""
    found: list[Lesson] = []
    for path, source, speaker in tqdm(places, desc="sounds"):
        try:
            one = lesson(load_audio(path), source, speaker)
        except TalkingFaceError as error:
            logger.warning("left out: %s", error)
            continue
        if len(one) >= SHORTEST:
            found.append(one)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, help="folder of videos, or a table of them")
    parser.add_argument("--table", type=Path, help="table of acted speech")
    parser.add_argument("--output", type=Path, default=Path("weights/live_ear.safetensors"))
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--batch", type=int, default=Recipe.batch, help="streams at a time")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model = load_face_model()
    listeners = cast(Sequence[Listener], list(load_dirfa().listeners))
    heard = {
        split: gather(list(spoken(options.clips, options.table, split)))
        for split in ("train", "val")
    }
    recipe = Recipe(steps=options.steps, batch=options.batch, seed=options.seed)
    pupil = teach(load_encoder(), listeners, heard["train"], model, recipe)
    if heard["val"]:
        logger.info("%s", table(pupil, heard["val"], model))
    content = save(pupil.parts())
    options.output.write_bytes(content)
    print(f'"{options.output.name}": "{hashlib.sha256(content).hexdigest()}"')


if __name__ == "__main__":
    main()
