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
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

from talking_face.arrays import Array
from talking_face.face.lips import mouth_readout
from talking_face.face.model import FaceModel, load_face_model
from talking_face.mapping.articulation import articulate
from talking_face.mapping.listeners import N_HEARD, N_OUTPUTS, N_PLAIN, Listener, run
from talking_face.training.data.examples import SOURCES, Example, load_examples
from talking_face.training.data.offsets import MAX_LAG, lagged_correlations, peak_lag, shift
from talking_face.training.data.windows import Windows
from talking_face.training.fit import parallel
from talking_face.training.fit.lip_loss import Loss, LossWeights
from talking_face.training.measure.lip_figures import format_table, lip_figures, means

TRUSTED = 25  # frames of a clip whose own offset counts as much as its speaker's
LEAST_POWER = 1e-6  # of a channel that is divided by its deviation
PLAIN = LossWeights(quick=0.0, size=0.0, speed=0.0)  # the baseline is a mean and no more
HELD_OUT = 6  # one speaker in so many is held out to choose settings by

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learned."""

    steps: int = 800  # more of them learn the training voices by heart
    first_steps: int = 500  # of the network that estimates offsets
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    dropout: float = 0.5
    average: float = 0.995  # exponential moving average of the weights
    seed: int = 0
    outputs: int = N_HEARD
    # source, windows of it in a batch, frames of a window
    batch: tuple[tuple[str, int, int], ...] = (
        ("grid", 10, 75),
        ("lrwar", 24, 32),
        ("styletalk", 5, 75),
        ("talkvid", 5, 75),
        ("firstimp", 12, 75),
        ("dolos", 2, 75),
        ("marlin", 1, 75),
    )
    loss: LossWeights = field(default_factory=LossWeights)


def train(
    examples: Sequence[Example],
    targets: dict[str, Array],
    model: FaceModel,
    recipe: Recipe,
) -> Listener:
    """Learn from examples; targets: key -> (frames, 24), as `Loss` takes them.

    Returns:
        The network, its weights averaged over the steps, on the CPU.
    """
    torch.manual_seed(recipe.seed)
    generator = parallel.generator(recipe.seed)
    device = parallel.device()
    network = Listener(recipe.outputs, recipe.dropout)
    standardise(network, examples)
    network.to(device)
    windows = Windows(examples, targets, recipe.batch, device)
    loss = Loss(model, network.output_scale, recipe.loss)
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
        features, prosody, inside, target, ok = windows.draw(generator)
        value = loss(network(features, prosody, inside), target, ok)
        value.backward()
        parallel.average_gradients(network.parameters())
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        keep = min(recipe.average, step / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_([*averaged.parameters()], [*network.parameters()], 1 - keep)
        if step % 200 == 199:
            seconds = time.monotonic() - began
            logger.info("step %d: loss %.4f, %.0f s", step + 1, value.item(), seconds)
    return averaged.cpu()


def standardise(network: Listener, examples: Sequence[Example]) -> None:
    """Set the network's averages and scales from examples, each source counting alike."""
    mean, deviation = moments(examples)
    network.feature_mean.copy_(torch.from_numpy(mean))
    network.feature_scale.copy_(torch.from_numpy(1 / deviation))
    outputs = [
        (np.concatenate([e.coefficients[e.ok] for e in chosen]) ** 2).mean(0)
        for chosen in _some(examples)
    ]
    power = np.maximum(np.mean(outputs, axis=0), LEAST_POWER)
    network.output_scale.copy_(torch.from_numpy(np.sqrt(power)))


def moments(examples: Sequence[Example]) -> tuple[Array, Array]:
    """Means and deviations of the features, each (n,), each source counting alike."""
    means, squares = [], []
    for chosen in _some(examples):
        heard = np.concatenate([e.features.reshape(len(e), -1) for e in chosen]).astype(np.float32)
        means.append(heard.mean(0))
        squares.append((heard**2).mean(0))
    mean = np.mean(means, axis=0)
    return mean, np.sqrt(np.maximum(np.mean(squares, axis=0) - mean**2, LEAST_POWER))


def _some(examples: Sequence[Example]) -> list[list[Example]]:
    """One clip in four of each source."""
    sources = sorted({example.source for example in examples})
    return [[e for e in examples if e.source == source][::4] for source in sources]


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
                heard = run(network, example.features, example.prosody)
                mouth = heard[:, :N_OUTPUTS] @ readout
                real = targets[example.key][:, :N_OUTPUTS] @ readout
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
        heard = run(network, example.features, example.prosody)
        opening, width = (articulate(heard, model) @ weights + bias).T
        figures = lip_figures(opening, width, example.opening, example.width, example.ok)
        rows.append((example.source, figures))
    return format_table(means(rows))


def learn(examples: Sequence[Example], model: FaceModel, recipe: Recipe) -> Listener:
    """The whole recipe: train, estimate offsets, train again."""
    targets = shifted_targets(examples, dict.fromkeys((e.key for e in examples), 0.0))
    first = replace(recipe, steps=min(recipe.first_steps, recipe.steps))
    offsets = estimate_offsets(examples, targets, model, first)
    for source in SOURCES:
        of_source = [offsets[e.key] for e in examples if e.source == source]
        if of_source:
            low, middle, high = np.percentile(of_source, [10, 50, 90])
            logger.info("%s: lips late by %.1f frames (%.1f to %.1f)", source, middle, low, high)
    return train(examples, shifted_targets(examples, offsets), model, recipe)


def shifted_targets(examples: Sequence[Example], offsets: dict[str, float]) -> dict[str, Array]:
    """What a listener is to learn of each clip, (frames, 24), read later by the clip's offset."""
    return {
        e.key: shift(np.column_stack([e.coefficients, e.opening, e.width]), offsets[e.key])
        for e in examples
    }


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
    recipe = Recipe(steps=options.steps, seed=options.seed, outputs=N_PLAIN, loss=PLAIN)
    network = learn(examples, model, recipe)
    if held:
        logger.info("%s", held_out_table(network, held, model))
    content = save({name: part.half().numpy() for name, part in network.state_dict().items()})
    if parallel.is_first():
        options.output.write_bytes(content)
    logger.info('"%s": "%s"', options.output.name, hashlib.sha256(content).hexdigest())
    parallel.stop()


if __name__ == "__main__":
    main()
