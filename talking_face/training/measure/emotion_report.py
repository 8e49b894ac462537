"""How well emotions are heard, in figures: recall, confusion, affect, and whether doubt is honest.

Pure functions of answers and labels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.stats import pearsonr, rankdata

from talking_face.arrays import Array
from talking_face.sound.emotion import HEARD, EmotionNetwork
from talking_face.training.data.utterances import Passages

BINS = 10  # of confidence


def answers(network: EmotionNetwork, passages: Passages) -> tuple[Array, Array]:
    """Probabilities (n, 9), and valence and arousal (n, 2)."""
    with torch.inference_mode():
        chances, affect = network(torch.from_numpy(passages.statistics.astype(np.float32)))
    return chances.numpy(), affect.numpy()


def recall(chances: Array, moods: Array, among: Array | None = None) -> float:
    """Unweighted average recall: of each mood's passages those that are heard right, averaged.

    Args:
        among: (9,) bool, the moods that are possible; None for all.
    """
    heard = np.where(np.ones(len(HEARD), bool) if among is None else among, chances, -1).argmax(1)
    return float(np.mean([np.mean(heard[moods == mood] == mood) for mood in np.unique(moods)]))


def told_apart(values: Array, high: Array) -> float:
    """Area under the curve: how often a high one of a pair has the higher value; NaN without."""
    ranks, count = rankdata(values), high.sum()
    pairs = count * (len(high) - count)
    return float((ranks[high].sum() - count * (count + 1) / 2) / pairs) if pairs else float("nan")


def calibration_error(chances: Array, moods: Array) -> float:
    """Expected calibration error: |confidence - share that is right|, averaged over bins."""
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == moods
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [
        abs(sure[bins == b].mean() - right[bins == b].mean()) * np.mean(bins == b)
        for b in np.unique(bins)
    ]
    return float(np.sum(gaps))


def confusion(chances: Array, moods: Array, among: Array) -> str:
    """A table in Markdown: what was said (rows), and how it was heard, in per cent."""
    places = np.flatnonzero(among)
    heard = np.where(among, chances, -1).argmax(1)
    lines = ["| | " + " | ".join(HEARD[p] for p in places) + " |", "|---" * (len(places) + 1) + "|"]
    for said in places:
        mine = heard[moods == said]
        shares = " | ".join(f"{100 * np.mean(mine == p):.0f}" for p in places)
        lines.append(f"| {HEARD[said]} | {shares} |")
    return "\n".join(lines)


def report(network: EmotionNetwork, passages: Passages, tables: bool = False) -> str:
    """A row of figures a source of whole utterances, in Markdown, and confusions if wanted."""
    passages = passages[passages.whole]
    chances, affect = answers(network, passages)
    lines = [
        "| source | utterances | recall among its moods | among all | arousal, AUC / r "
        "| valence, AUC / r | calibration error |",
        "|---" * 7 + "|",
        *_rows(chances, affect, passages),
    ]
    if tables:
        for source in np.unique(passages.source):
            mine = passages.source == source
            moods = passages.mood[mine]
            among = np.isin(np.arange(len(HEARD)), moods)
            lines += ["", f"{source}:", "", confusion(chances[mine], moods, among)]
    return "\n".join(lines)


def _rows(chances: Array, affect: Array, passages: Passages) -> Iterator[str]:
    for source in np.unique(passages.source):
        mine = passages.source == source
        moods, wanted = passages.mood[mine], passages.affect[mine]
        among = np.isin(np.arange(len(HEARD)), moods)
        told = []
        for axis in (1, 0):
            sided = np.abs(wanted[:, axis]) > 0
            area = told_apart(affect[mine][sided, axis], wanted[sided, axis] > 0)
            line = pearsonr(affect[mine][:, axis], wanted[:, axis])[0] if sided.any() else np.nan
            told.append(f"{area:.2f} / {line:.2f}")
        yield (
            f"| {source} | {mine.sum()} | {recall(chances[mine], moods, among):.2f} "
            f"| {recall(chances[mine], moods):.2f} | {' | '.join(told)} "
            f"| {calibration_error(chances[mine], moods):.3f} |"
        )
