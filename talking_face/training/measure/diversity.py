"""How far samples of one recording lie apart, and whether the real animation lies among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from talking_face.arrays import Array
from talking_face.face.model import FaceModel
from talking_face.motion import FPS, Motion
from talking_face.training.measure.lip_figures import lip_points
from talking_face.training.measure.motion_figures import head, upper

PASSAGE = 5 * FPS  # frames; clips of twice the length and more are cut into passages
LEAST_DEVIATION = 1e-6

Curves = Callable[[Motion], Array]  # to (frames, points, axes)


@dataclass(frozen=True)
class Passage:
    """Some seconds of a clip, each curve's mean taken off.

    Attributes:
        source: passages of one source are compared with each other.
        real: (frames, points, axes).
        samples: (N, frames, points, axes).
    """

    source: str
    real: Array
    samples: Array


@dataclass(frozen=True)
class Diversity:
    """Figures of one part of the face.

    A distance is the mean over frames and points of the Euclidean distance of two passages, each of
    which has its own mean taken off. All of them but `real` are relative to `real`.

    Attributes:
        apart: between two samples of a recording.
        best: from the real motion to the nearest sample,
        mean: and to all samples.
        within: part of the values in which the real motion lies between the lowest and the highest
            sample; (N - 1) / (N + 1) where it is like one of them.
        real: distance between real passages of different moments of a source, in deviations of the
            real passages (head, upper face) or in inter-ocular distances (lips).
    """

    apart: float
    best: float
    mean: float
    within: float
    real: float


def diversity(
    sources: Sequence[str],
    real: Sequence[Motion],
    sampled: Sequence[Sequence[Motion]],
    model: FaceModel,
) -> dict[str, Diversity]:
    """Figures of head, upper face (with the lids) and lips.

    Args:
        sources: of each clip.
        real: of each clip.
        sampled: of each clip; equally many samples, at least two.
        model: the face model, for the lips.
    """
    parts: dict[str, Curves] = {
        "head": _scaled(head, real),
        "upper": _scaled(upper, real),
        "lips": lambda motion: lip_points(motion, model),
    }
    figures = {}
    for name, curves in parts.items():
        passages = [
            passage
            for source, clip, samples in zip(sources, real, sampled, strict=True)
            for passage in cut(source, curves(clip), np.array([curves(s) for s in samples]))
        ]
        figures[name] = spread(passages)
    return figures


def _scaled(channels: Callable[[Motion], Array], real: Sequence[Motion]) -> Curves:
    """Channels (frames, n) as one point of n axes, each in its deviation within real passages."""
    passages = [
        passage.real
        for motion in real
        for passage in cut("", channels(motion)[:, None], np.zeros((0, len(motion), 1, 1)))
    ]
    scale = np.maximum(np.concatenate(passages).std(axis=(0, 1)), LEAST_DEVIATION)
    return lambda motion: (channels(motion) / scale)[:, None]


def cut(source: str, real: Array, samples: Array) -> list[Passage]:
    """Passages of a clip, real (frames, points, axes) and samples (N, frames, points, axes)."""
    count = max(1, len(real) // PASSAGE)
    bounds = np.linspace(0, len(real), count + 1).round().astype(int)
    passages = []
    for start, stop in pairwise(bounds):
        part, drawn = real[start:stop], samples[:, start:stop]
        passages.append(
            Passage(source, part - part.mean(axis=0), drawn - drawn.mean(axis=1, keepdims=True))
        )
    return passages


def distance(a: Array, b: Array) -> float:
    """Mean over frames and points of the Euclidean distance; cut to the shorter one.

    Args:
        a, b: (frames, points, axes).
    """
    frames = min(len(a), len(b))
    return float(np.linalg.norm(a[:frames] - b[:frames], axis=-1).mean())


def spread(passages: Sequence[Passage]) -> Diversity:
    """Means over passages; NaN where no source has two of them."""
    moments = []
    for passage in passages:
        others = [p for p in passages if p.source == passage.source and p is not passage]
        moments += [distance(passage.real, other.real) for other in others]
    real = float(np.mean(moments)) if moments else float("nan")
    apart, best, mean, within = [], [], [], []
    for passage in passages:
        apart.append(np.mean([distance(a, b) for a, b in combinations(passage.samples, 2)]))
        away = [distance(sample, passage.real) for sample in passage.samples]
        best.append(min(away))
        mean.append(np.mean(away))
        low, high = passage.samples.min(axis=0), passage.samples.max(axis=0)
        within.append(((low <= passage.real) & (passage.real <= high)).mean())
    return Diversity(
        apart=float(np.mean(apart)) / real,
        best=float(np.mean(best)) / real,
        mean=float(np.mean(mean)) / real,
        within=float(np.mean(within)),
        real=real,
    )
