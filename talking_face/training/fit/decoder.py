"""Train the decoder of the DIRFA network: `python -m talking_face.training.fit.dirfa` does.

It learns from stretches of `talking_face.training.data.sequences` and of their mirror images.
"""

from __future__ import annotations

import copy
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor

from talking_face.arrays import Array
from talking_face.face.lips import mouth_readout
from talking_face.face.model import FaceModel
from talking_face.mapping.decoder import (
    N_AFFECT,
    N_AUDIO,
    N_STATE,
    N_STYLE,
    REACH,
    STEP,
    Decoder,
    Mixture,
)
from talking_face.mapping.listeners import N_LOWER
from talking_face.training.data.sequences import TALKING, MotionSequence, deviation
from talking_face.training.fit import parallel
from talking_face.training.fit.face_model import mirror_index
from talking_face.training.measure.lip_figures import LIPS

HELD_OUT = 5  # one speaker in so many
LEAST_VARIANCE = 1e-6
SURPRISED = 25  # batches
RAREST = 1e-4
TIGHTNESS = 2.0
RIDGE = 0.01  # variance of affect below which it tells little of liveliness
FREEDOM = 1.15  # gives back what smoothing takes from how far lips stray

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DecoderRecipe:
    """Everything that decides what is learned."""

    steps: int = 1200  # at most
    patience: int = 3  # checks without a better held-out likelihood, then it stops
    check: int = 100
    batch: int = 20
    length: int = 48  # decoder steps in a sequence
    learning_rate: float = 8e-4
    weight_decay: float = 0.05
    dropout: float = 0.2
    noise: float = 0.05  # on the history, so that it learns to mend its own errors
    silent: float = 0.25  # part of the batches without sound, where there are such clips
    unstyled: float = 0.3  # part of the sequences whose style isn't told
    unfelt: float = 0.3  # part of the sequences whose affect isn't told
    average: float = 0.99
    lips: float = 1.0  # weight of that group's likelihood
    seed: int = 0
    biased: bool = True
    chance: tuple[tuple[str, float], ...] = (
        ("firstimp", 0.3),
        ("talkvid", 0.22),
        ("styletalk", 0.2),
        ("dolos", 0.05),
        ("marlin", 0.03),
        ("celebv", 0.08),
        ("dreamtalk", 0.03),
        ("grid", 0.05),
        ("lrwar", 0.04),
    )


@torch.no_grad()
def surprises(decoder: Decoder, draws: Draws) -> Array:
    """Correlation (N_STATE, N_STATE) of what the decoder doesn't foresee in talking people."""
    generator = np.random.default_rng(draws.recipe.seed)
    found = []
    for _ in range(SURPRISED):
        batch = draws.draw(generator, silent=False)
        states = batch["states"][:, 1:]
        quantiles = predict(decoder, batch).quantiles(states)[batch["ok"] > 0]
        found.append(norm.ppf(quantiles.cpu().numpy().clip(RAREST, 1 - RAREST)))
    return np.corrcoef(np.concatenate(found), rowvar=False)


def lip_freedom(model: FaceModel, covariance: Array) -> tuple[Array, Array]:
    """Split how lips stray into what may be free and what must be tight.

    Faces differ, saying the same, in much that tells nothing of the words: cheeks, chin, the lips'
    shape. Tight is what shows in lip opening and mouth width. Of the rest, direction by direction
    of what is natural, the free part keeps the less the more it moves the lips' outline, by
    FREEDOM / (1 + TIGHTNESS · share), the share being 1 for the direction that moves it most.

    Args:
        covariance: (16, 16) of how the coefficients of the lower face stray.

    Returns:
        free, tight: (16, 16) each, to multiply rows of coefficients by.
    """
    readout = mouth_readout(model)[0][:N_LOWER].astype(np.float64)
    tight = readout @ np.linalg.pinv(readout)
    rest = np.eye(N_LOWER) - tight
    outline = model.lower[list(LIPS), :2].reshape(-1, N_LOWER) @ rest
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, LEAST_VARIANCE))) @ vectors.T
    moved, directions = np.linalg.eigh(root @ outline.T @ outline @ root)
    kept = 1 / (1 + TIGHTNESS * moved / moved.max())
    shrunk = np.linalg.inv(root) @ (directions * kept) @ directions.T @ root
    return FREEDOM * shrunk @ rest, tight


def mirror_signs(model: FaceModel) -> Array:
    """(22,) +1 or -1: what a mirror does to each coefficient of lower and upper face."""
    partner = mirror_index(model.mean)
    basis = np.concatenate([model.lower, model.upper], axis=-1)
    mirrored = basis[partner] * np.array([-1.0, 1.0, 1.0])[:, None]
    return np.where((mirrored * basis).sum((0, 1)) > 0, 1.0, -1.0).astype(np.float32)


class Draws:
    """Random stretches of the sequences, standardised, as batches."""

    def __init__(
        self,
        sequences: Sequence[MotionSequence],
        scale: Array,
        signs: Array,
        r: DecoderRecipe,
    ) -> None:
        self.recipe, self.scale = r, scale
        self.take(sequences)
        head = np.array([-1, 1, -1, -1, 1, 1], dtype=np.float32)
        self.flip_state = np.concatenate([head, signs[N_LOWER:], signs[:N_LOWER]])
        self.flip_audio = np.concatenate([signs, np.ones(N_AUDIO - len(signs), np.float32)])
        styles = [
            s.style
            for s in sequences
            if s.source in TALKING and s.style is not None and s.audio is not None
        ]
        self.style_mean, self.style_deviation = np.mean(styles, axis=0), np.std(styles, axis=0)
        self.style_factor = np.linalg.cholesky(np.corrcoef(np.transpose(styles)))

    def take(self, sequences: Sequence[MotionSequence]) -> None:
        """Draw from these."""
        self.by_source: dict[str, list[MotionSequence]] = defaultdict(list)
        for sequence in sequences:
            self.by_source[sequence.source].append(sequence)
        chance = {source: p for source, p in self.recipe.chance if source in self.by_source}
        self.sources = list(chance)
        self.chance = np.array(list(chance.values())) / sum(chance.values())
        kinds = {sequence.audio is None for sequence in sequences}
        self.silent = self.recipe.silent if len(kinds) == 2 else float(True in kinds)

    def draw(self, generator: np.random.Generator, silent: bool) -> dict[str, Tensor]:
        """A batch, all with sound or all without."""
        return as_batch([self._one(generator, silent) for _ in range(self.recipe.batch)])

    def _one(self, generator: np.random.Generator, silent: bool) -> dict[str, Array]:
        while True:
            source = self.by_source[
                self.sources[generator.choice(len(self.sources), p=self.chance)]
            ]
            sequence = source[generator.integers(len(source))]
            if (sequence.audio is None) == silent:
                break
        return self.stretch(
            sequence,
            int(generator.integers(max(1, len(sequence.states) - self.recipe.length * STEP))),
            bool(generator.integers(2)),
            bool(generator.random() < self.recipe.unstyled),
            bool(generator.random() < self.recipe.unfelt),
        )

    def stretch(
        self,
        sequence: MotionSequence,
        start: int,
        mirrored: bool = False,
        unstyled: bool = False,
        unfelt: bool = False,
    ) -> dict[str, Array]:
        """One row: states (K + 1, n) from frame `start`, ok (K,), audio from REACH before it."""
        k = self.recipe.length
        flip = self.flip_state if mirrored else np.ones(N_STATE, np.float32)
        grid = start + STEP * np.arange(k + 1)
        exists = grid < len(sequence.states)
        at = np.minimum(grid, len(sequence.states) - 1)
        states = sequence.states[at] / self.scale * flip
        ok = exists & sequence.ok[at]
        row = {
            "states": states.astype(np.float32),
            "ok": (ok[1:] & ok[:-1]).astype(np.float32),
            "style": np.zeros(N_STYLE, np.float32),
            "known": np.array([sequence.style is not None and not unstyled]),
            "affect": np.zeros((k, N_AFFECT), np.float32),
            "felt": np.array([sequence.affect is not None and not unfelt]),
        }
        if sequence.affect is not None:
            row["affect"] = sequence.affect[at[1:]]
        if sequence.style is not None:
            row["style"] = ((sequence.style - self.style_mean) / self.style_deviation).astype(
                np.float32
            )
        frames = start - REACH + np.arange(k * STEP + 2 * REACH + 1)
        inside = (frames >= 0) & (frames < len(sequence.states))
        row["inside"] = inside
        if sequence.audio is not None:
            audio = sequence.audio[np.clip(frames, 0, len(sequence.states) - 1)]
            row["audio"] = audio * (self.flip_audio if mirrored else 1)
        return row


def predict(decoder: Decoder, batch: dict[str, Tensor], noise: Tensor | float = 0.0) -> Mixture:
    """The distributions of states 1 to K of a batch, given the ones before."""
    states = batch["states"] + noise
    before = torch.cat([states[:, :1], states[:, :-2]], dim=1)
    steps = states.shape[1] - 1
    shape = (len(states), batch["inside"].shape[1])
    heard = decoder.hear(batch.get("audio"), shape)
    frames = REACH + STEP * torch.arange(1, steps + 1, device=states.device)
    style = decoder.embed_style(batch["style"][:, None], batch["known"])
    manner = style + decoder.embed_affect(batch["affect"], batch["felt"])
    return decoder(states[:, :-1], before, heard, batch["inside"], frames, manner)[0]


@torch.no_grad()
def likelihood(decoder: Decoder, batch: dict[str, Tensor]) -> Array:
    """Mean log-likelihood of a batch by group, (3,), nats per step."""
    value = predict(decoder, batch).log_likelihood(batch["states"][:, 1:])
    ok = batch["ok"][..., None]
    return ((value * ok).sum((0, 1)) / ok.sum((0, 1))).cpu().numpy()


def stirring(draws: Draws) -> tuple[Array, Array]:
    """How lively people are by what is heard in their voice, a ridge regression over clips.

    Returns:
        (N_AFFECT,) valence and arousal of an average clip, and (N_STYLE, N_AFFECT), by how many
        standard deviations head and brows are livelier for one more of each; zeros where no clip's
        affect is known.
    """
    styled = [
        s
        for source in TALKING
        for s in draws.by_source[source]
        if s.style is not None and s.affect is not None
    ]
    if not styled:
        return np.zeros(N_AFFECT), np.zeros((N_STYLE, N_AFFECT))
    affect = np.array([s.affect.mean(axis=0) for s in styled if s.affect is not None])
    style = (np.array([s.style for s in styled]) - draws.style_mean) / draws.style_deviation
    usual = affect.mean(axis=0)
    apart = affect - usual
    power = apart.T @ apart + RIDGE * len(apart) * np.eye(N_AFFECT)
    return usual, np.linalg.solve(power, apart.T @ (style - style.mean(axis=0))).T


def train_decoder(
    sequences: Sequence[MotionSequence], model: FaceModel, recipe: DecoderRecipe
) -> tuple[Decoder, Tensor, Tensor, Tensor, Tensor]:
    """Find on held-out speakers when to stop, then learn from all of them for as long.

    Returns:
        The decoder, the (2, 2) factor of the covariance of styles, the (N_STATE, N_STATE) one of
        the correlation of surprises, and both parts of `stirring`.
    """
    speakers = sorted({(s.source, s.speaker) for s in sequences if s.source in TALKING})
    out = set(speakers[1::HELD_OUT])
    kept = [s for s in sequences if (s.source, s.speaker) not in out]
    held = [s for s in sequences if (s.source, s.speaker) in out and s.audio is not None]
    draws = Draws(sequences, deviation(sequences), mirror_signs(model), recipe)
    _, best = _descend(replace_draws(draws, kept), recipe, recipe.steps, held)
    decoder, _ = _descend(draws, recipe, best, [])
    talking = replace_draws(draws, [s for s in sequences if s.source in TALKING])
    together = np.linalg.cholesky(surprises(decoder, talking))
    found = (draws.style_factor, together, *stirring(draws))
    style_factor, correlated, usual, stirred = (torch.from_numpy(a).float() for a in found)
    return decoder.cpu(), style_factor, correlated, usual, stirred


def replace_draws(draws: Draws, sequences: Sequence[MotionSequence]) -> Draws:
    """The same scales, other sequences."""
    other = copy.copy(draws)
    other.take(sequences)
    return other


def new_decoder(draws: Draws, recipe: DecoderRecipe) -> Decoder:
    """An untrained decoder that knows the scales of what it will see."""
    torch.manual_seed(recipe.seed)
    decoder = Decoder(recipe.dropout, recipe.biased)
    decoder.state_scale.copy_(torch.from_numpy(draws.scale))
    audio = np.concatenate(
        [s.audio for source in TALKING for s in draws.by_source[source] if s.audio is not None]
    )
    decoder.audio_mean.copy_(torch.from_numpy(audio.mean(axis=0)))
    decoder.audio_scale.copy_(torch.from_numpy(audio.std(axis=0) + 1e-3))
    return decoder


def _descend(
    draws: Draws, recipe: DecoderRecipe, steps: int, held: Sequence[MotionSequence]
) -> tuple[Decoder, int]:
    """Train; with held-out sequences, stop when they don't get likelier. Gives the best step."""
    generator = parallel.generator(recipe.seed)
    decoder = new_decoder(draws, recipe).to(parallel.device())
    optimiser = torch.optim.AdamW(
        decoder.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    averaged = copy.deepcopy(decoder).eval().requires_grad_(False)
    weights = torch.tensor([1.0, 1.0, recipe.lips], device=parallel.device())
    tests = [as_batch([draws.stretch(s, 0)]) for s in held]
    best, best_step, waited = -np.inf, steps, 0
    began = time.monotonic()
    decoder.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * min(1.0, (step + 1) / 50)
        batch = draws.draw(generator, bool(generator.random() < draws.silent))
        noise = recipe.noise * torch.randn_like(batch["states"])
        value = predict(decoder, batch, noise).log_likelihood(batch["states"][:, 1:])
        if "audio" not in batch:
            value = value[..., :2]  # lips without sound say nothing
        value = (value * weights[: value.shape[-1]]).sum(-1)
        loss = -(value * batch["ok"]).sum() / batch["ok"].sum()
        optimiser.zero_grad()
        loss.backward()
        parallel.average_gradients(decoder.parameters())
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimiser.step()
        keep = min(recipe.average, step / (step + 10))
        for mean, now in zip(averaged.parameters(), decoder.parameters(), strict=True):
            mean.lerp_(now.detach(), 1 - keep)
        if step % recipe.check == recipe.check - 1:
            scores = [likelihood(averaged, test) for test in tests]
            score = np.mean(scores, axis=0) if scores else np.full(3, np.nan)
            logger.info(
                "decoder step %d: loss %.3f, held out %s, %.0f s",
                *(step + 1, loss.item(), np.round(score, 3), time.monotonic() - began),
            )
            if tests:
                waited += 1
                if score[:2].sum() > best:
                    best, best_step, waited = float(score[:2].sum()), step + 1, 0
                elif waited >= recipe.patience:
                    break
    return averaged, best_step


def as_batch(rows: Sequence[dict[str, Array]]) -> dict[str, Tensor]:
    """Rows of `Draws.stretch` side by side, where this process computes."""
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return {name: torch.from_numpy(part).to(parallel.device()) for name, part in stacked.items()}
