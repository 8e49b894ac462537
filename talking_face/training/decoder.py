"""Train the decoder of the DIRFA network: `python -m talking_face.training.dirfa` does.

It learns head pose and brows from everyone who is seen for some seconds, with their sound where
there is one, and how lips stray from the expected ones from everyone who is heard. Mirror images
and other speeds count as further clips.
"""

from __future__ import annotations

import copy
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter
from torch import Tensor

from talking_face.baseline import N_LOWER
from talking_face.dirfa import (
    GROUPS,
    N_AUDIO,
    N_STATE,
    N_STYLE,
    REACH,
    STEP,
    Decoder,
    Mixture,
    audio_inputs,
)
from talking_face.face_model import FaceModel
from talking_face.idle import prosody_drive
from talking_face.motion import Motion
from talking_face.training.augment import SPEEDS, at_speed, other_hearings
from talking_face.training.examples import Example
from talking_face.training.face_model import mirror_index
from talking_face.training.idle import CLOSED, SMOOTHING, TALKING, bridge
from talking_face.training.motions import track_motions
from talking_face.training.tracks import load_tracks

SILENT = ("celebv", "dreamtalk", "styletalk", "talkvid")  # sources with clips without sound
MIN_FRAMES = 24
STYLED = 50  # frames that tell a style
LIP_SMOOTHING = 1.5  # frames; the decoder leaves what is faster to the listeners
HELD_OUT = 5  # one speaker in so many
FARTHEST = 6.0  # standard deviations; a clip that goes beyond, as bodies that walk do, is left out
LEAST_SPEED = 1e-3

logger = logging.getLogger(__name__)

Expected = Callable[[Example], np.ndarray]


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
    unstyled: float = 0.3  # part of the sequences whose style isn't told
    average: float = 0.99
    lips: float = 0.3  # weight of that group's likelihood
    seed: int = 0
    biased: bool = True
    chance: tuple[tuple[str, float], ...] = (
        ("styletalk", 0.3),
        ("talkvid", 0.35),
        ("celebv", 0.15),
        ("dreamtalk", 0.05),
        ("grid", 0.08),
        ("lrwar", 0.07),
    )


@dataclass(frozen=True)
class MotionSequence:
    """One clip as the decoder learns from it.

    Attributes:
        states: (T, N_STATE) at every frame, smoothed and centred; lips are 0 without sound.
        audio: (T, N_AUDIO), or None for a silent clip.
        ok: (T,) bool.
        style: (2,) logarithms of the speed of head and brows; None where the clip is too short.
    """

    source: str
    speaker: str
    states: np.ndarray
    audio: np.ndarray | None
    ok: np.ndarray
    style: np.ndarray | None


def as_sequence(
    motion: Motion, ok: np.ndarray, sound: Example | None, heard: np.ndarray | None, who: list[str]
) -> MotionSequence:
    """Bridge blinks, smooth, and take away what the listeners expect (heard, (T, 22))."""
    shut = np.convolve(motion.lids.max(axis=1) > CLOSED, np.ones(7), mode="same") > 0
    upper = bridge(motion.upper, shut)
    lips = np.zeros_like(motion.lower)
    audio = None
    if sound is not None and heard is not None:
        upper = upper - heard[:, N_LOWER:]
        lips = gaussian_filter1d(motion.lower - heard[:, :N_LOWER], LIP_SMOOTHING, axis=0)
        drive = prosody_drive(sound.energy, sound.activity, sound.pitch, sound.voicing)
        audio = audio_inputs(heard, sound.prosody, drive)
    pose = np.concatenate([motion.rotation, motion.translation, upper], axis=1)
    pose = savgol_filter(pose.astype(np.float64), *SMOOTHING, axis=0)
    states = np.concatenate([pose, lips], axis=1)
    states -= states[ok].mean(axis=0)
    return MotionSequence(who[0], who[1], states.astype(np.float32), audio, ok, None)


def load_sequences(
    cache: Path, model: FaceModel, examples: Sequence[Example], expected: Expected
) -> list[MotionSequence]:
    """Clips with sound, and silent ones of the split `train`; each at three speeds."""
    sequences = []
    for example in [*examples, *other_hearings(cache, examples)]:
        if len(example) >= MIN_FRAMES and example.ok.mean() > 0.8:
            heard = expected(example)
            who = [example.source, example.speaker]
            sequences.append(as_sequence(example.motion, example.ok, example, heard, who))
    heard_keys = {example.key for example in examples}
    tracks = [t for t in load_tracks(cache, "train", SILENT) if t.key not in heard_keys]
    for seen in track_motions(tracks, model):
        who = [seen.track.source, seen.track.speaker]
        for speed in (1.0, *SPEEDS.values()):
            motion = Motion.from_array(at_speed(seen.motion.as_array(), speed))
            ok = at_speed(seen.ok[:, None].astype(np.float32), speed)[:, 0] == 1
            if len(motion) >= STYLED and ok.mean() > 0.8:
                sequences.append(as_sequence(motion, ok, None, None, who))
    calm = FARTHEST * deviation(sequences)
    return with_styles([s for s in sequences if (np.abs(s.states[s.ok]) < calm).all()])


def with_styles(sequences: Sequence[MotionSequence]) -> list[MotionSequence]:
    """Tell each sequence its style: how fast its head and brows move, as a logarithm."""
    scale = deviation(sequences)
    head, upper = GROUPS["head"], GROUPS["upper"]
    styled = []
    for sequence in sequences:
        if len(sequence.states) < STYLED:
            styled.append(sequence)
            continue
        speed = np.diff(sequence.states / scale, axis=0)[sequence.ok[1:] & sequence.ok[:-1]]
        groups = (speed[:, :head], speed[:, head : head + upper])
        style = [np.log(np.sqrt(np.mean(group**2)) + LEAST_SPEED) for group in groups]
        styled.append(replace(sequence, style=np.array(style, dtype=np.float32)))
    return styled


def deviation(sequences: Sequence[MotionSequence]) -> np.ndarray:
    """Standard deviation of each channel over the talking clips, (N_STATE,)."""
    talking = [s for s in sequences if s.source in TALKING and s.audio is not None]
    return np.concatenate([s.states[s.ok] for s in talking]).std(axis=0) + 1e-6


def mirror_signs(model: FaceModel) -> np.ndarray:
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
        scale: np.ndarray,
        signs: np.ndarray,
        r: DecoderRecipe,
    ) -> None:
        self.recipe, self.scale = r, scale
        self.by_source: dict[str, list[MotionSequence]] = defaultdict(list)
        for sequence in sequences:
            self.by_source[sequence.source].append(sequence)
        chance = {source: p for source, p in r.chance if source in self.by_source}
        self.sources = list(chance)
        self.chance = np.array(list(chance.values())) / sum(chance.values())
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

    def draw(self, generator: np.random.Generator, silent: bool) -> dict[str, Tensor]:
        """A batch, all with sound or all without."""
        r = self.recipe
        rows = [self._one(generator, silent) for _ in range(r.batch)]
        return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}

    def _one(self, generator: np.random.Generator, silent: bool) -> dict[str, np.ndarray]:
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
        )

    def stretch(
        self, sequence: MotionSequence, start: int, mirrored: bool, unstyled: bool
    ) -> dict[str, np.ndarray]:
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
            "known": np.array(sequence.style is not None and not unstyled),
        }
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
    frames = REACH + STEP * torch.arange(1, steps + 1)
    style = decoder.embed_style(batch["style"], batch["known"])
    return decoder(states[:, :-1], before, heard, batch["inside"], frames, style)[0]


def likelihood(decoder: Decoder, batch: dict[str, Tensor]) -> np.ndarray:
    """Mean log-likelihood of a batch by group, (3,), nats per step."""
    value = predict(decoder, batch).log_likelihood(batch["states"][:, 1:])
    ok = batch["ok"][..., None]
    return ((value * ok).sum((0, 1)) / ok.sum((0, 1))).numpy()


def train_decoder(
    sequences: Sequence[MotionSequence], model: FaceModel, recipe: DecoderRecipe
) -> tuple[Decoder, Tensor]:
    """Find on held-out speakers when to stop, then learn from all of them for as long.

    Returns:
        The decoder, and the (2, 2) factor of the covariance of styles.
    """
    speakers = sorted({(s.source, s.speaker) for s in sequences if s.source in TALKING})
    out = set(speakers[1::HELD_OUT])
    kept = [s for s in sequences if (s.source, s.speaker) not in out]
    held = [s for s in sequences if (s.source, s.speaker) in out and s.audio is not None]
    draws = Draws(sequences, deviation(sequences), mirror_signs(model), recipe)
    _, best = _descend(replace_draws(draws, kept), recipe, recipe.steps, held)
    decoder, _ = _descend(draws, recipe, best, [])
    return decoder, torch.from_numpy(draws.style_factor.astype(np.float32))


def replace_draws(draws: Draws, sequences: Sequence[MotionSequence]) -> Draws:
    """The same scales, other sequences."""
    other = copy.copy(draws)
    other.by_source = defaultdict(list)
    for sequence in sequences:
        other.by_source[sequence.source].append(sequence)
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
    generator = np.random.default_rng(recipe.seed)
    decoder = new_decoder(draws, recipe)
    optimiser = torch.optim.AdamW(
        decoder.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    averaged = copy.deepcopy(decoder).eval().requires_grad_(False)
    silent = 0.25  # of the batches
    weights = torch.tensor([1.0, 1.0, recipe.lips])
    tests = [_as_batch(draws, s) for s in held]
    best, best_step, waited = -np.inf, steps, 0
    began = time.monotonic()
    decoder.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * min(1.0, (step + 1) / 50)
        batch = draws.draw(generator, bool(generator.random() < silent))
        noise = recipe.noise * torch.randn_like(batch["states"])
        value = predict(decoder, batch, noise).log_likelihood(batch["states"][:, 1:])
        if "audio" not in batch:
            value = value[..., :2]  # lips without sound say nothing
        value = (value * weights[: value.shape[-1]]).sum(-1)
        loss = -(value * batch["ok"]).sum() / batch["ok"].sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimiser.step()
        keep = min(recipe.average, step / (step + 10))
        for mean, now in zip(averaged.parameters(), decoder.parameters(), strict=True):
            mean.lerp_(now.detach(), 1 - keep)
        if step % recipe.check == recipe.check - 1:
            with torch.no_grad():
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


def _as_batch(draws: Draws, sequence: MotionSequence) -> dict[str, Tensor]:
    row = draws.stretch(sequence, 0, mirrored=False, unstyled=False)
    return {name: torch.from_numpy(value[None]) for name, value in row.items()}
