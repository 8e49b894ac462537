"""Train the ear of emotions on acted speech and, for what is neutral, on people who read plainly.

    python -m talking_face.training.fit.emotion --table emotion.csv --heard HEARD --cache CACHE

HEARD is the folder of `talking_face.training.data.utterances`, CACHE that of
`talking_face.training.data.prepare`, whose clips of the sources `PLAIN` count as neutral. The
statistics of passages are projected to where people of one mood are alike, loud and soft; several
small networks of different seeds learn mood, valence and arousal from this, with corpora, and moods
in a corpus, drawn equally often, and with passages mixed (mixup, Zhang et al. 2018). One in five
training speakers is held out first, to find by how much the networks are too sure (temperature
scaling, Guo et al. 2017); what is shipped then learns from all of them. `--hold-out` stops there,
for choosing settings.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import logging
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from scipy.optimize import minimize_scalar
from torch import Tensor

from talking_face.arrays import Array
from talking_face.sound.delivery import delivery
from talking_face.sound.emotion import (
    CLIPPED,
    HEARD,
    N_PROJECTED,
    EmotionNetwork,
    Member,
)
from talking_face.training.data.utterances import (
    Pairs,
    Passages,
    load_heard,
    load_pairs,
    load_passages,
    read_utterances,
)
from talking_face.training.measure.emotion_report import report

PLAIN = ("grid", "lrwar")  # commands read in a studio, and news
PLAIN_SHARE = 0.12  # of what is drawn
A_SPEAKER = 40  # clips at most
MEMBERS = 8
STEPS, BATCH = 1500, 128
RATE, DECAY = 2e-3, 0.05
SMOOTHED = 0.1  # of each label, spread over the corpus's other moods
NOISE = 0.3  # standard deviations, at most
AFFECT = 2.0  # weight of valence and arousal
SOFTEST = 2.5  # deviations below this multiple of the mean one are not enlarged further
LOUDNESS = 3.0  # what a turned-down voice changes counts so many times
EVEN = 0.2  # of what varies within a mood, taken to vary in all directions alike

logger = logging.getLogger(__name__)


def load_plain(cache: Path) -> Passages:
    """Whole clips of people who read plainly, as neutral."""
    with (cache / "index.csv").open(newline="") as index:
        rows = [row for row in csv.DictReader(index) if row["source"] in PLAIN]
    chosen, count = [], dict.fromkeys((row["speaker"] for row in rows), 0)
    for row in rows:
        file = cache / f"{row['key']}.speech.npz"
        if file.is_file() and count[row["speaker"]] < A_SPEAKER:
            count[row["speaker"]] += 1
            chosen.append((row, delivery(load_heard(file), slice(0, None))))
    size = len(chosen)
    return Passages(
        statistics=np.stack([part.astype(np.float16) for _, part in chosen]),
        mood=np.full(size, HEARD.index("neutral")),
        affect=np.zeros((size, 2), dtype=np.float32),
        source=np.array([row["source"] for row, _ in chosen]),
        speaker=np.array([f"{row['source']} {row['speaker']}" for row, _ in chosen]),
        validation=np.array([row["split"] == "val" for row, _ in chosen]),
        whole=np.ones(size, dtype=bool),
    )


def joined(one: Passages, other: Passages) -> Passages:
    both = zip(vars(one).values(), vars(other).values(), strict=True)
    return Passages(*(np.concatenate(parts) for parts in both))


def held_out(speakers: Array) -> Array:
    """(n,) bool: one training speaker in five."""
    places = {name: hashlib.sha256(name.encode()).digest()[0] for name in set(speakers)}
    return np.array([places[name] % 5 == 0 for name in speakers])


def train(passages: Passages, pairs: Pairs, members: int = MEMBERS) -> EmotionNetwork:
    """A network that has learned from all of these; its temperature is 1."""
    network = EmotionNetwork(members)
    project(network, passages, pairs)
    with torch.inference_mode():
        inputs = torch.cat(
            [network.projected(torch.from_numpy(part.astype(np.float32)))
             for part in np.array_split(passages.statistics, 1 + len(passages.mood) // 1000)]
        )  # fmt: skip
    for seed, member in enumerate(network.members):
        assert isinstance(member, Member)
        train_member(member, inputs.clone(), passages, seed)
    return network.requires_grad_(False).eval()


def project(network: EmotionNetwork, passages: Passages, pairs: Pairs) -> None:
    """What is usual, and what isn't, scaled down where it differs without another mood.

    Principal components, whitened by their covariance within the moods of a corpus, and by what
    loudness changes: Hatch et al., Within-class covariance normalization for SVM-based speaker
    recognition, 2006.
    """
    values = torch.from_numpy(passages.statistics.astype(np.float32))
    network.centre.copy_(values.mean(dim=0))
    network.spread.copy_(values.std(dim=0) + 0.01)

    def standard(values: Tensor) -> Tensor:
        return ((values - network.centre) / network.spread).clamp(-CLIPPED, CLIPPED)

    usual = standard(values)
    torch.manual_seed(0)
    _, sizes, directions = torch.svd_lowrank(usual, N_PROJECTED, niter=3)
    deviations = sizes / len(usual) ** 0.5
    directions = directions / deviations.clamp(min=SOFTEST * float(deviations.mean()))
    quieter, plain = (standard(torch.from_numpy(part)) for part in (pairs.quiet, pairs.plain))
    changed = ((quieter - plain) @ directions).numpy()
    alike = within_moods((usual @ directions).numpy(), passages)
    alike += LOUDNESS * changed.T @ changed / len(changed)
    variances, axes = np.linalg.eigh(alike)
    variances = (1 - EVEN) * variances + EVEN * variances.mean()
    turned = torch.from_numpy((axes / np.sqrt(variances)).astype(np.float32))
    with torch.no_grad():
        network.project.weight.copy_((directions @ turned).T)


def within_moods(values: Array, passages: Passages) -> Array:
    """Covariance (d, d) within the moods of each corpus of values (n, d), as they are drawn."""
    chances = drawing(passages)
    within, total = np.zeros((values.shape[1], values.shape[1])), 0.0
    for source in np.setdiff1d(passages.source, PLAIN):
        for mood in np.unique(passages.mood[passages.source == source]):
            alike = (passages.source == source) & (passages.mood == mood)
            weight = chances[alike].sum()
            within += weight * np.cov(values[alike].T, bias=True)
            total += weight
    return within / total


def train_member(member: Member, inputs: Tensor, passages: Passages, seed: int) -> None:
    """One small network; inputs: (n, N_PROJECTED)."""
    torch.manual_seed(seed)
    chances = torch.from_numpy(drawing(passages))
    labels = smoothed(passages)
    affect = torch.from_numpy(passages.affect)
    optimiser = torch.optim.AdamW(member.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS)
    member.train()
    for _ in range(STEPS):
        rows = torch.multinomial(chances, 2 * BATCH, replacement=True)
        part = torch.rand(BATCH, 1)  # of the first of two that are mixed
        x, label, wanted = (
            part * of[rows[:BATCH]] + (1 - part) * of[rows[BATCH:]]
            for of in (inputs, labels, affect)
        )
        x = x + NOISE * torch.rand(BATCH, 1) * torch.randn_like(x)
        logits, felt = member(x).split([len(HEARD), 2], dim=1)
        loss = -(label * F.log_softmax(logits, dim=1)).sum(dim=1).mean()
        loss = loss + AFFECT * F.mse_loss(felt, wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def drawing(passages: Passages) -> Array:
    """How often each passage is drawn, (n,): by the root of its corpus's size, moods equally."""
    chances = np.zeros(len(passages.mood))
    for source in np.unique(passages.source):
        mine = passages.source == source
        moods = np.unique(passages.mood[mine])
        for mood in moods:
            alike = mine & (passages.mood == mood)
            chances[alike] = np.sqrt(mine.sum()) / len(moods) / alike.sum()
    plain = np.isin(passages.source, PLAIN)
    chances[plain] *= PLAIN_SHARE / max(chances[plain].sum(), 1e-9)
    chances[~plain] *= (1 - PLAIN_SHARE) / chances[~plain].sum()
    return chances


def smoothed(passages: Passages) -> Tensor:
    """(n, 9) what each passage may be: its mood mostly, a little of the others of its corpus."""
    labels = np.eye(len(HEARD), dtype=np.float32)[passages.mood]
    for source in np.unique(passages.source):
        mine = passages.source == source
        possible = labels[mine].any(axis=0)
        if possible.sum() > 1:
            labels[mine] = (1 - SMOOTHED) * labels[mine] + SMOOTHED * possible / possible.sum()
    return torch.from_numpy(labels)


def cool(network: EmotionNetwork, passages: Passages) -> None:
    """Set the temperature with which these passages are the likeliest, corpora counting alike."""
    weights = drawing(passages)
    with torch.inference_mode():
        chances, _ = network(torch.from_numpy(passages.statistics.astype(np.float32)))
    logits = np.log(np.maximum(chances.numpy(), 1e-12)) * float(network.temperature)

    def surprise(temperature: float) -> float:
        cooled = logits / temperature
        cooled -= np.logaddexp.reduce(cooled, axis=1, keepdims=True)
        return float(-(weights * cooled[np.arange(len(cooled)), passages.mood]).sum())

    best = minimize_scalar(surprise, bounds=(0.2, 5.0), method="bounded")
    network.temperature.fill_(float(best.x))


def heard_parser(description: str | None) -> argparse.ArgumentParser:
    """A command that reads what was heard of acted and of plain speech, for `load_all`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, required=True, help="emotion.csv")
    parser.add_argument("--heard", type=Path, required=True, help="what `utterances` wrote")
    parser.add_argument("--cache", type=Path, required=True, help="what `prepare` wrote")
    return parser


def load_all(options: argparse.Namespace) -> tuple[Passages, Pairs]:
    """The passages of acted and of plain speech that such a command is given, and its pairs."""
    utterances = read_utterances(options.table)
    acted = load_passages(utterances, options.heard)
    return joined(acted, load_plain(options.cache)), load_pairs(utterances, options.heard)


def main() -> None:
    parser = heard_parser(__doc__)
    parser.add_argument("--output", type=Path, default=Path("weights/emotion.safetensors"))
    parser.add_argument("--hold-out", action="store_true", help="for choosing settings")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    torch.manual_seed(0)  # networks begin at random
    passages, pairs = load_all(options)
    passages = passages[~passages.validation]
    apart = held_out(passages.speaker)
    network = train(passages[~apart], pairs[~held_out(pairs.speaker)])
    cool(network, passages[apart & passages.whole])
    logger.info("temperature %.3f\n%s", network.temperature, report(network, passages[apart]))
    if options.hold_out:
        return
    shipped = train(passages, pairs)
    shipped.temperature.copy_(network.temperature)
    tensors = {name: part.half().contiguous() for name, part in shipped.state_dict().items()}
    save_file(tensors, options.output)
    logger.info("sha256 %s", hashlib.sha256(options.output.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
