"""What the evaluation measures of a mapper, clip by clip and source by source."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from talking_face.face.model import FaceModel
from talking_face.motion import Motion
from talking_face.training.data.examples import Example
from talking_face.training.data.languages import language
from talking_face.training.measure.diversity import diversity
from talking_face.training.measure.lip_figures import (
    LipFigures,
    lip_distance,
    lip_figures,
    means,
    mouth_curves,
)
from talking_face.training.measure.mappers import Mapper, OtherSound
from talking_face.training.measure.motion_figures import (
    Spaces,
    blinks_a_minute,
    movement_ratios,
    real_window_distances,
    spectrum_ratios,
    window_distances,
    window_spaces,
)
from talking_face.training.measure.sync import Critic, mean_sync, sync_figures

CONTINUOUS = "continuous"
CONTINUOUS_SOURCES = ("styletalk", "talkvid", "firstimp", "dolos", "marlin")
WELL_TRACKED = 0.8  # part of a clip in which the face must be seen for its likelihood to count

Table = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Row:
    """A line of the tables: a mapper in one way of using it.

    Attributes:
        lips_only: nothing but the lips says anything.
    """

    name: str
    mapper: Mapper
    diversity: float = 1.0
    lips_only: bool = False


@dataclass(frozen=True)
class Drawn:
    """What a row made of the clips.

    Attributes:
        samples: key -> samples, as long as the clip.
        lips: key -> figures of the first sample; None where the real mouth hardly moves.
        likelihood: key -> log-likelihood of the real motion, nats per frame, where one is given.
    """

    samples: dict[str, list[Motion]]
    lips: dict[str, LipFigures | None]
    likelihood: dict[str, float] = field(default_factory=dict)


def rows_of(name: str, mapper: Mapper, examples: Sequence[Example]) -> list[Row]:
    """The rows of a mapper; what doesn't hear has only one."""
    if not mapper.hears:
        return [Row(name, mapper)]
    control = OtherSound(mapper, examples)
    return [
        Row(name, mapper),
        Row(f"{name} mean", mapper, diversity=0.0),
        Row(f"{name} other sound", control, diversity=0.0, lips_only=True),
    ]


def draw_row(
    row: Row, examples: Sequence[Example], many: Sequence[Example], count: int, seed: int,
    model: FaceModel,
) -> Drawn:  # fmt: skip
    """Draw a row's samples, `count` of them for the clips in `many`, and measure the lips."""
    several = {example.key for example in many} if row.diversity > 0 else set()
    drawn = Drawn({}, {})
    for example in tqdm(examples, desc=row.name, leave=False):
        indices = range(count if example.key in several else 1)
        samples = row.mapper.draw(example, indices, seed, row.diversity)
        drawn.samples[example.key] = samples
        drawn.lips[example.key] = compare_lips(example, samples[0], model)
        if row.diversity > 0 and example.ok.mean() > WELL_TRACKED:
            likelihood = row.mapper.log_likelihood(example)
            if likelihood is not None:
                drawn.likelihood[example.key] = likelihood
    return drawn


def compare_lips(example: Example, motion: Motion, model: FaceModel) -> LipFigures | None:
    """Figures of the lips of an animation of a clip, before rendering."""
    opening, width = mouth_curves(motion, model)
    figures = lip_figures(opening, width, example.opening, example.width, example.ok)
    if figures is None:
        return None
    landmarks = lip_distance(motion, example.motion, example.ok, model)
    return dataclasses.replace(figures, landmarks=landmarks)


def by_source(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """The clips of each source, and of the sources of continuous speech together."""
    found: dict[str, list[Example]] = {}
    for example in examples:
        found.setdefault(example.source, []).append(example)
    continuous = [example for s in CONTINUOUS_SOURCES for example in found.get(s, [])]
    if len({example.source for example in continuous}) > 1:
        found[CONTINUOUS] = continuous
    return found


def sync_tables(
    examples: Sequence[Example], drawn: Mapping[str, Drawn], critic: Critic, model: FaceModel
) -> dict[str, Table]:
    """source -> row -> how well the first samples go with the sound; real clips come first."""
    tables: dict[str, Table] = {}
    for source, clips in by_source(examples).items():
        real = [sync_figures(critic, e, e.opening, e.width, e.ok) for e in clips]
        tables[source] = {"real clips": mean_sync(real)}
        for name, row in drawn.items():
            made = [
                sync_figures(critic, e, *mouth_curves(row.samples[e.key][0], model), e.ok)
                for e in clips
                if e.key in row.samples
            ]
            tables[source][name] = mean_sync(made)
    return tables


def lip_tables(examples: Sequence[Example], drawn: Mapping[str, Drawn]) -> dict[str, Table]:
    """source, and language -> row -> means of the lips' figures."""
    tables: dict[str, Table] = {}
    for name, row in drawn.items():
        by_source = [(example.source, row.lips[example.key]) for example in examples]
        spoken = [(language(example), row.lips[example.key]) for example in examples]
        by_language = [(label, figures) for label, figures in spoken if label is not None]
        for group, figures in {**means(by_source), **means(by_language)}.items():
            tables.setdefault(group, {})[name] = figures
    return tables


@dataclass(frozen=True)
class People:
    """Other people, of the sources that are measured, and what windows are compared in.

    Attributes:
        motions: of their clips; may be empty, then the measured clips are their own reference.
        spaces: learned from them.
    """

    motions: list[Motion]
    spaces: Spaces

    @classmethod
    def of(cls, clips: Sequence[Example], others: Sequence[Example]) -> People:
        """Those among `others` who are of the clips' sources."""
        sources = {example.source for example in clips}
        motions = [example.motion for example in _whole(others) if example.source in sources]
        return cls(motions, window_spaces(motions or [example.motion for example in _whole(clips)]))

    def distances(self, sampled: Sequence[Sequence[Motion]]) -> dict[str, float]:
        """Window distances of samples to them, "people GROUP"; nothing where there are none."""
        if not self.motions:
            return {}
        return _named("people", window_distances(self.motions, sampled, self.spaces))


def realism(
    clips: Sequence[Example], drawn: Drawn, model: FaceModel, people: People
) -> dict[str, float]:
    """All figures of realism of a row, over clips that were tracked throughout.

    "Fréchet" is the distance to the real clips themselves, "people" that to the people, who are
    more: the better estimate of how people move at all.
    """
    whole = _whole(clips)
    if not whole:
        return {}
    real = [example.motion for example in whole]
    sampled = [drawn.samples[example.key] for example in whole]
    likelihoods = [drawn.likelihood[e.key] for e in clips if e.key in drawn.likelihood]
    return {
        "clips": float(len(whole)),
        "likelihood": float(np.mean(likelihoods)) if likelihoods else float("nan"),
        "blinks": blinks_a_minute([motion for samples in sampled for motion in samples]),
        **_named("Fréchet", window_distances(real, sampled, people.spaces)),
        **people.distances(sampled),
        **movement_ratios(real, sampled),
        **spectrum_ratios(real, sampled, model),
    }


def real_figures(clips: Sequence[Example], people: People) -> dict[str, float]:
    """The same of the real clips; "Fréchet" is the distance between the halves of the speakers."""
    whole = _whole(clips)
    if not whole:
        return {}
    real = [example.motion for example in whole]
    speakers = [f"{example.source}/{example.speaker}" for example in whole]
    return {
        "clips": float(len(whole)),
        "blinks": blinks_a_minute(real),
        **_named("Fréchet", real_window_distances(real, speakers, people.spaces)),
        **people.distances([[motion] for motion in real]),
    }


def _whole(clips: Sequence[Example]) -> list[Example]:
    return [example for example in clips if example.ok.all()]


def _named(title: str, figures: Mapping[str, float]) -> dict[str, float]:
    return {f"{title} {name}": value for name, value in figures.items()}


def spreads(clips: Sequence[Example], drawn: Drawn, model: FaceModel) -> dict[str, float]:
    """Figures of diversity of a row, "NAME PART"; nothing where there is only one sample."""
    whole = _whole(clips)
    sampled = [drawn.samples[example.key] for example in whole]
    if not whole or min(len(samples) for samples in sampled) < 2:
        return {}
    found = diversity([e.source for e in whole], [e.motion for e in whole], sampled, model)
    return {
        f"{name} {part}": value
        for part, figures in found.items()
        for name, value in dataclasses.asdict(figures).items()
    }
