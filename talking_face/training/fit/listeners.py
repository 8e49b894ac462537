"""Train one listener, the baseline that the DIRFA network has to beat, on the clips of a cache.

    python -m talking_face.training.fit.listeners --cache CACHE --output baseline.safetensors

CACHE is the folder that `talking_face.training.data.prepare` wrote. Training runs twice: the first
network tells how far sound and lips of each clip are apart, the second learns from the clips put
right. Only clips of the split `train` are used; with `--hold-out` one in six of their speakers is
kept for choosing settings, and the figures of those are shown.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor

from talking_face.arrays import Array
from talking_face.face.landmarks import FACE_OVAL
from talking_face.face.model import FaceModel, load_face_model
from talking_face.mapping.listeners import REACH, Listener, run
from talking_face.training.data.examples import SOURCES, Example, load_examples, mouth_readout
from talking_face.training.data.offsets import MAX_LAG, lagged_correlations, peak_lag, shift
from talking_face.training.fit import parallel
from talking_face.training.measure.lip_figures import format_table, lip_figures, means

TRUSTED = 25  # frames of a clip whose own offset counts as much as its speaker's
LEAST_POWER = 1e-6  # of a channel that is divided by its deviation
NEARLY_CLOSED = 0.02  # lip opening, inter-ocular distances
HELD_OUT = 6  # one speaker in so many is held out to choose settings by

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learned."""

    steps: int = 800  # more of them learn the training voices by heart
    first_steps: int = 500  # of the network that estimates offsets
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    dropout: float = 0.4
    average: float = 0.995  # exponential moving average of the weights
    seed: int = 0
    # source -> (windows in a batch, frames of a window)
    batch: tuple[tuple[str, int, int], ...] = (
        ("grid", 10, 75),
        ("lrwar", 24, 32),
        ("styletalk", 5, 75),
        ("talkvid", 5, 75),
    )
    # Weights of the losses; the first two and `mouth` weigh lengths in inter-ocular distances.
    points: float = 30.0
    velocity: float = 30.0
    coefficients: float = 0.1
    mouth: float = 10.0
    closing: float = 3.0  # how much more closed lips count in `mouth`
    correlation: float = 1.5


class Batches:
    """Random windows of the examples of one source, on demand."""

    def __init__(
        self,
        examples: Sequence[Example],
        targets: dict[str, Array],
        size: int,
        frames: int,
    ) -> None:
        self.examples, self.targets = examples, targets
        self.size, self.frames = size, frames
        lengths = np.array([len(example) for example in examples], dtype=float)
        self.chance = lengths / lengths.sum()

    def draw(self, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """features (B, T, 1536), prosody (B, T, 4), inside (B, T), target (B, T, 22), ok (B, T)."""
        size, frames = self.size, self.frames
        first = self.examples[0]
        features = np.zeros((size, frames, first.features[0].size), dtype=np.float32)
        prosody = np.zeros((size, frames, first.prosody.shape[1]), dtype=np.float32)
        target = np.zeros((size, frames, first.coefficients.shape[1]), dtype=np.float32)
        inside = np.zeros((size, frames), dtype=np.float32)
        ok = np.zeros((size, frames), dtype=np.float32)
        for row, index in enumerate(generator.choice(len(self.examples), size, p=self.chance)):
            example = self.examples[index]
            start = int(generator.integers(0, max(len(example) - frames, 0) + 1))
            part = slice(start, start + frames)
            count = len(example.features[part])
            features[row, :count] = example.features[part].reshape(count, -1)
            prosody[row, :count] = example.prosody[part]
            target[row, :count] = self.targets[example.key][part]
            inside[row, :count] = 1
            ok[row, :count] = example.ok[part]
            # What a cut hides from the network isn't its fault.
            if start > 0:
                ok[row, : REACH // 2] = 0
            if start + frames < len(example):
                ok[row, -(REACH // 2) :] = 0
        return tuple(torch.from_numpy(a) for a in (features, prosody, inside, target, ok))


class Loss:
    """How far predicted coefficients are from real ones, as seen on the face."""

    def __init__(self, model: FaceModel, scale: Tensor, recipe: Recipe) -> None:
        self.recipe, self.scale = recipe, scale
        readout, _ = mouth_readout(model)
        self.readout = torch.from_numpy(readout).to(scale.device)  # (22, 2): opening, width
        basis = np.concatenate([model.lower, model.upper], axis=-1)[mouth_points(model), :2]
        flat = torch.from_numpy(basis.reshape(-1, basis.shape[-1]).T.astype(np.float32))
        self.basis = flat.to(scale.device)

    def __call__(self, predicted: Tensor, target: Tensor, ok: Tensor) -> Tensor:
        """Scalar loss; predicted, target: (B, T, 22), ok: (B, T).

        Absolute errors of mouth and jaw points, of their velocity, of the coefficients, and of
        lip opening and mouth width, where nearly closed lips count more; and one minus the
        correlation of the last two, so that timing counts whatever the speaker's amplitude.
        """
        recipe = self.recipe
        weight = ok / ok.sum()
        error = predicted - target
        points = error @ self.basis
        speed_ok = ok[:, 1:] * ok[:, :-1]
        speed_weight = speed_ok / speed_ok.sum()
        speed = (points[:, 1:] - points[:, :-1]).abs().mean(-1)
        mouth, real = predicted @ self.readout, target @ self.readout  # (B, T, 2)
        near = 1 + recipe.closing * torch.exp(-real[..., 0].clamp(min=0) / NEARLY_CLOSED)
        opening = (mouth[..., 0] - real[..., 0]).abs() * near
        width = (mouth[..., 1] - real[..., 1]).abs()
        return (
            recipe.points * (points.abs().mean(-1) * weight).sum()
            + recipe.velocity * (speed * speed_weight).sum()
            + recipe.coefficients * ((error / self.scale).abs().mean(-1) * weight).sum()
            + recipe.mouth * ((opening + width) * weight).sum()
            + recipe.correlation * (1 - correlation(mouth, real, ok)).sum(-1).mean()
        )


def correlation(a: Tensor, b: Tensor, ok: Tensor) -> Tensor:
    """Pearson's, over time, (B, T, n) -> (B, n); softly 0 where nothing moves."""
    weight = (ok / ok.sum(1, keepdim=True).clamp(min=1))[..., None]
    a = a - (a * weight).sum(1, keepdim=True)
    b = b - (b * weight).sum(1, keepdim=True)
    power = (a * a * weight).sum(1) * (b * b * weight).sum(1)
    return (a * b * weight).sum(1) / (power + 1e-8).sqrt()


def mouth_points(model: FaceModel) -> Array:
    """Indices of the points that the mouth moves most, and of chin and jaw."""
    motion = np.sqrt((model.lower[:468] ** 2).sum((1, 2)))
    return np.union1d(np.argsort(motion)[-120:], FACE_OVAL[12:25])


def train(
    examples: Sequence[Example],
    targets: dict[str, Array],
    model: FaceModel,
    recipe: Recipe,
) -> Listener:
    """Learn from examples; targets: key -> (frames, 22) coefficients to learn.

    Returns:
        The network, its weights averaged over the steps, on the CPU.
    """
    torch.manual_seed(recipe.seed)
    generator = parallel.generator(recipe.seed)
    network = Listener(dropout=recipe.dropout)
    standardise(network, examples)
    network.to(parallel.device())
    by_source: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_source[example.source].append(example)
    batches = [
        Batches(by_source[source], targets, size, frames)
        for source, size, frames in recipe.batch
        if by_source[source]
    ]
    loss = Loss(model, network.output_scale, recipe)
    optimiser = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, recipe.steps, pct_start=0.1
    )
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    began = time.monotonic()
    network.train()
    for step in range(recipe.steps):
        optimiser.zero_grad()
        total = 0.0
        for source in batches:
            drawn = (part.to(parallel.device()) for part in source.draw(generator))
            features, prosody, inside, target, ok = drawn
            value = loss(network(features, prosody, inside), target, ok) / len(batches)
            value.backward()
            total += value.item()
        parallel.average_gradients(network.parameters())
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        keep = min(recipe.average, step / (step + 10))
        for mean, now in zip(averaged.parameters(), network.parameters(), strict=True):
            mean.lerp_(now.detach(), 1 - keep)
        if step % 200 == 199:
            seconds = time.monotonic() - began
            logger.info("step %d: loss %.4f, %.0f s", step + 1, total, seconds)
    return averaged.cpu()


def standardise(network: Listener, examples: Sequence[Example]) -> None:
    """Set the network's averages and scales from examples, each source counting alike."""
    means, squares, outputs = [], [], []
    for source in {example.source for example in examples}:
        chosen = [example for example in examples if example.source == source][::4]
        heard = np.concatenate([e.features.reshape(len(e), -1) for e in chosen]).astype(np.float32)
        means.append(heard.mean(0))
        squares.append((heard**2).mean(0))
        outputs.append((np.concatenate([e.coefficients[e.ok] for e in chosen]) ** 2).mean(0))
    mean = np.mean(means, axis=0)
    deviation = np.sqrt(np.maximum(np.mean(squares, axis=0) - mean**2, LEAST_POWER))
    network.feature_mean.copy_(torch.from_numpy(mean))
    network.feature_scale.copy_(torch.from_numpy(1 / deviation))
    power = np.maximum(np.mean(outputs, axis=0), LEAST_POWER)
    network.output_scale.copy_(torch.from_numpy(np.sqrt(power)))


def estimate_offsets(
    examples: Sequence[Example],
    targets: dict[str, Array],
    model: FaceModel,
    recipe: Recipe,
) -> dict[str, float]:
    """How many frames the lips of each clip are later than the target, within ±4.

    A network that was trained on a clip knows that clip's offset by heart: so each half of the
    speakers is judged by a network that was trained on the other half. A clip's own estimate counts
    by its length against that of its speaker's clips, which mostly come from one recording. The
    median of GRID, recorded in a studio, is zero by definition where there is GRID.
    """
    readout, _ = mouth_readout(model)
    order = sorted({(example.source, example.speaker) for example in examples})
    half = {speaker: index % 2 for index, speaker in enumerate(order)}
    curves = {}
    for side in (0, 1):
        others = [e for e in examples if half[e.source, e.speaker] != side]
        network = train(others, targets, model, recipe)
        for example in examples:
            if half[example.source, example.speaker] == side:
                mouth = run(network, example.features, example.prosody) @ readout
                real = targets[example.key] @ readout
                curves[example.key] = lagged_correlations(mouth, real, example.ok)
    pooled: dict[tuple[str, str], list[Array]] = defaultdict(list)
    for example in examples:
        curve = curves[example.key]
        if np.isfinite(curve).any():
            pooled[example.source, example.speaker].append(curve)
    offsets = {}
    for example in examples:
        own = curves[example.key]
        siblings = pooled[example.source, example.speaker] or [np.zeros_like(own)]
        shared = np.nanmean(siblings, axis=0)
        trust = len(example) / (len(example) + TRUSTED)
        both = np.where(np.isfinite(own), trust * own + (1 - trust) * shared, shared)
        offsets[example.key], _ = peak_lag(both)
    studio = [offsets[example.key] for example in examples if example.source == "grid"]
    zero = float(np.median(studio)) if studio else 0.0
    return {
        key: float(np.clip(offset - zero, -MAX_LAG, MAX_LAG)) for key, offset in offsets.items()
    }


def hold_out(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Split by speaker: most of them, and one in six of each source."""
    kept, held = [], []
    for source in sorted({example.source for example in examples}):
        of_source = [example for example in examples if example.source == source]
        speakers = sorted({example.speaker for example in of_source})
        out = set(speakers[2::HELD_OUT])
        kept += [example for example in of_source if example.speaker not in out]
        held += [example for example in of_source if example.speaker in out]
    return kept, held


def held_out_table(network: Listener, examples: Sequence[Example], model: FaceModel) -> str:
    """Figures by source of the network's own answer, before the gate and before rendering."""
    weights, bias = mouth_readout(model)
    rows = []
    for example in examples:
        mouth = run(network, example.features, example.prosody) @ weights + bias
        opening, width = mouth.T
        figures = lip_figures(opening, width, example.opening, example.width, example.ok)
        rows.append((example.source, figures))
    return format_table(means(rows))


def learn(examples: Sequence[Example], model: FaceModel, recipe: Recipe) -> Listener:
    """The whole recipe: train, estimate offsets, train again."""
    targets = {example.key: example.coefficients for example in examples}
    offsets = estimate_offsets(examples, targets, model, replace(recipe, steps=recipe.first_steps))
    for source in SOURCES:
        of_source = [offsets[e.key] for e in examples if e.source == source]
        if of_source:
            low, middle, high = np.percentile(of_source, [10, 50, 90])
            logger.info("%s: lips late by %.1f frames (%.1f to %.1f)", source, middle, low, high)
    return train(examples, shifted_targets(examples, offsets), model, recipe)


def shifted_targets(examples: Sequence[Example], offsets: dict[str, float]) -> dict[str, Array]:
    """Coefficients (frames, 22) of each clip, read later by its offset."""
    return {e.key: shift(e.coefficients, offsets[e.key]) for e in examples}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--output", type=Path, default=Path("weights/baseline.safetensors"))
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument(
        "--hold-out", action="store_true", help="leave one training speaker in six out"
    )
    options = parser.parse_args()
    parallel.start()
    level = logging.INFO if parallel.is_first() else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s")
    model = load_face_model()
    examples = load_examples(options.cache, model, "train", SOURCES)
    held: list[Example] = []
    if options.hold_out:
        examples, held = hold_out(examples)
    network = learn(examples, model, Recipe(steps=options.steps, seed=options.seed))
    if held:
        logger.info("%s", held_out_table(network, held, model))
    content = save({name: value.numpy() for name, value in network.state_dict().items()})
    if parallel.is_first():
        options.output.write_bytes(content)
    logger.info('"%s": "%s"', options.output.name, hashlib.sha256(content).hexdigest())
    parallel.stop()


if __name__ == "__main__":
    main()
