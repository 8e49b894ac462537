"""Measure mappers on clips of speakers that were never trained on, side by side.

    python -m talking_face.training.measure.evaluate --cache CACHE --output OUT --mapper baseline

CACHE is the folder that `talking_face.training.data.prepare` wrote. For each source of clips a
table says how well the lips follow, how lifelike the motion is, and how far samples lie apart, with
the mappers as rows. A mapping network has three rows: its samples at diversity 1, its "mean" at
diversity 0, and "other sound", the lips (at diversity 0) while it hears another clip. "continuous"
are the sources of continuous speech together, whose clips are long enough to tell something about
heads.

FOLDER gets `figures.json` with all figures, those of every clip's lips included, and plots: the
curves of a clip of each source, and head and lids over three minutes. Where
`talking_face.training.fit.critic` has left a sync critic in CACHE, it judges real clips and every
row. With `--video N`, N clips of
each source (0: all) are also rendered, each on a portrait of `assets/`, and the rendered frames
tracked again, as the clips themselves were: those are the figures of the finished video.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from talking_face.animator import load_animator
from talking_face.errors import TalkingFaceError
from talking_face.face.model import FaceModel, load_face_model
from talking_face.files import shipped
from talking_face.motion import FPS, Motion
from talking_face.training.data.examples import SOURCES, Example, load_examples
from talking_face.training.measure.evaluation_plot import plot_drift, plot_samples
from talking_face.training.measure.lip_figures import format_table, lip_distance, lip_figures
from talking_face.training.measure.mapper_figures import (
    CONTINUOUS_SOURCES,
    Drawn,
    People,
    Row,
    Table,
    by_source,
    draw_row,
    lip_tables,
    real_figures,
    realism,
    rows_of,
    spreads,
    sync_tables,
)
from talking_face.training.measure.mappers import NAMES, find_mapper
from talking_face.training.measure.motion_figures import drift
from talking_face.training.measure.sync import CRITIC, Critic, load_critic
from talking_face.training.measure.videos import Studio

PORTRAITS = shipped("assets") / "portraits"
DRIFT_SECONDS = 180
HEARD = ("features", "energy", "activity", "pitch", "voicing", "ok", "opening", "width")

# What is printed of the figures; the file has all.
REALISM = (
    "clips", "blinks", "likelihood", "Fréchet head", "Fréchet upper", "Fréchet lower",
    "Fréchet all", "people head", "people upper", "people lower", "people all",
)  # fmt: skip
MOVEMENT = (
    "std head", "speed head", "raw speed head", "std yaw", "std pitch", "std roll", "std brows",
    "speed brows", "std lids", "speed lids", "std lower", "speed lower",
)  # fmt: skip

logger = logging.getLogger(__name__)


def choose(examples: Sequence[Example], each: int) -> list[Example]:
    """That many clips of each source, spread evenly over it; 0 takes all."""
    chosen = []
    for source in dict.fromkeys(example.source for example in examples):
        of_source = [example for example in examples if example.source == source]
        count = min(each or len(of_source), len(of_source))
        places = np.linspace(0, len(of_source) - 1, count).round().astype(int)
        chosen += [of_source[place] for place in places]
    return chosen


def long_example(examples: Sequence[Example], seconds: float) -> Example:
    """Clips one after the other, and again from the first, as a single one to be heard."""
    frames = round(seconds * FPS)
    parts: list[Example] = []
    while sum(len(part) for part in parts) < frames:
        parts += examples
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])[:frames] for name in HEARD
    }
    motion = np.concatenate([part.motion.as_array() for part in parts])[:frames]
    return dataclasses.replace(examples[0], key="long", motion=Motion.from_array(motion), **joined)


def motion_tables(
    examples: Sequence[Example],
    many: Sequence[Example],
    rows: Sequence[Row],
    drawn: Mapping[str, Drawn],
    model: FaceModel,
    others: Sequence[Example],
    critic: Critic | None = None,
) -> dict[str, dict[str, Table]]:
    """All figures: "lips", "sync", "realism" and "diversity" -> source -> row -> figures.

    Args:
        many: the clips of which there are several samples; realism and diversity are of these.
        others: clips of other speakers.
    """
    shown: dict[str, Table] = {}
    apart: dict[str, Table] = {}
    for source, clips in by_source(many).items():
        people = People.of(clips, others)
        shown[source] = {"real clips": real_figures(clips, people)}
        apart[source] = {}
        for row in rows:
            if row.lips_only:
                continue
            shown[source][row.name] = realism(clips, drawn[row.name], model, people)
            spread = spreads(clips, drawn[row.name], model)
            if spread:
                apart[source][row.name] = spread
    judged = sync_tables(examples, drawn, critic, model) if critic else {}
    lips = lip_tables(examples, drawn)
    return {"lips": lips, "sync": judged, "realism": shown, "diversity": apart}


def print_tables(tables: Mapping[str, Mapping[str, Table]]) -> None:
    """The main figures as plain text, source by source."""
    for source in dict.fromkeys(source for table in tables.values() for source in table):
        lips, judged, lifelike, apart = (
            tables[kind].get(source, {}) for kind in ("lips", "sync", "realism", "diversity")
        )
        bands = [name for row in lifelike.values() for name in row if name.endswith("Hz")]
        print_table(f"{source}: lips", lips)
        print_table(f"{source}: sync", judged)
        print_table(f"{source}: realism", _columns(lifelike, REALISM))
        print_table(f"{source}: sampled / real", _columns(lifelike, MOVEMENT))
        print_table(f"{source}: speed by frequency", _columns(lifelike, bands))
        print_table(f"{source}: diversity", apart)


def print_table(title: str, table: Table) -> None:
    """Nothing where there is nothing to tell."""
    if any(table.values()):
        print(f"\n{format_table(table, title)}")


def _columns(table: Table, names: Sequence[str]) -> Table:
    """The same rows with only these columns; rows without any of them are left out."""
    kept = {
        row: {name: figures[name] for name in names if name in figures}
        for row, figures in table.items()
    }
    return {row: figures for row, figures in kept.items() if figures}


def film(
    row: Row, drawn: Drawn, examples: Sequence[Example], studio: Studio, model: FaceModel
) -> tuple[list[Example], Drawn]:
    """What is seen of a row's first samples when they are rendered.

    Returns:
        The clips in whose videos a face was found, and what was seen there as a row like others.
    """
    kept: list[Example] = []
    seen = Drawn({}, {})
    for turn, example in enumerate(tqdm(examples, desc=f"rendering {row.name}")):
        shown = studio.film(example, drawn.samples[example.key][0], turn)
        if shown is None:
            logger.warning("The face in the video of %s was lost; it doesn't count.", example.key)
            continue
        kept.append(example)
        ok = example.ok & shown.ok
        seen.samples[example.key] = [shown.motion]
        figures = lip_figures(shown.opening, shown.width, example.opening, example.width, ok)
        if figures is not None:
            distance = lip_distance(shown.motion, example.motion, ok, model)
            figures = dataclasses.replace(figures, landmarks=distance)
        seen.lips[example.key] = figures
    return kept, seen


def save_plots(
    folder: Path,
    many: Sequence[Example],
    rows: Sequence[Row],
    drawn: Mapping[str, Drawn],
    model: FaceModel,
) -> None:
    """A picture of the first clip of each source; rows of the lips alone are left out."""
    for source in dict.fromkeys(example.source for example in many):
        clip = next(example for example in many if example.source == source)
        samples = {row.name: drawn[row.name].samples[clip.key] for row in rows if not row.lips_only}
        title = f"{source}, {clip.key}: the real clip in black, samples in colour"
        plot_samples(folder / f"{source}.png", title, clip.motion, clip.opening, samples, model)


def measure_drift(rows: Sequence[Row], examples: Sequence[Example], folder: Path) -> Table:
    """Three minutes of speech through every row that hears; plots them as `drift.png`."""
    speech = long_example(examples, DRIFT_SECONDS)
    motions = {
        row.name: row.mapper.draw(speech, [0], 0, row.diversity)[0]
        for row in rows
        if row.mapper.hears and not row.lips_only
    }
    if motions:
        plot_drift(folder / "drift.png", motions)
    return {name: dataclasses.asdict(drift(motion)) for name, motion in motions.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--split", default="val", choices=("train", "val"))
    parser.add_argument("--output", type=Path, required=True, help="folder for figures and plots")
    parser.add_argument("--sources", nargs="+", default=SOURCES)
    parser.add_argument("--mapper", nargs="+", default=["baseline"], metavar="NAME", help=NAMES)
    parser.add_argument(
        "--each", type=int, default=0, metavar="N", help="clips of each source; 0, the default: all"
    )
    parser.add_argument("--samples", type=int, default=8, help="of a clip, where there are several")
    parser.add_argument(
        "--sampled", type=int, default=12, metavar="N",
        help="clips of each source that are sampled several times; 0: all",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--video", type=int, metavar="N", help="also render N clips of each source; 0: all"
    )
    parser.add_argument("--portraits", type=Path, default=PORTRAITS)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        evaluate(options, load_face_model())
    except TalkingFaceError as error:
        sys.exit(str(error))


def evaluate(options: argparse.Namespace, model: FaceModel) -> None:
    """The whole command."""
    examples = load_examples(options.cache, model, options.split, options.sources)
    examples = choose(examples, options.each)
    many = choose(examples, options.sampled)
    rows = [
        row
        for name in options.mapper
        for row in rows_of(name, find_mapper(name, options.cache, model), examples)
    ]
    drawn = {
        row.name: draw_row(row, examples, many, options.samples, options.seed, model)
        for row in rows
    }
    options.output.mkdir(parents=True, exist_ok=True)
    results: dict[str, object] = {
        "clips": {
            name: {key: dataclasses.asdict(f) for key, f in row.lips.items() if f is not None}
            for name, row in drawn.items()
        }
    }
    file = options.cache / CRITIC
    critic = load_critic(file) if file.is_file() else None
    others: list[Example] = []
    if options.split != "train":
        others = load_examples(options.cache, model, "train", options.sources)
    results["motion"] = tables = motion_tables(examples, many, rows, drawn, model, others, critic)
    print_tables(tables)
    save_plots(options.output, many, rows, drawn, model)
    continuous = [example for example in examples if example.source in CONTINUOUS_SOURCES]
    if continuous:
        results["drift"] = lasting = measure_drift(rows, continuous, options.output)
        print_table("three minutes", lasting)
    if options.video is not None:
        studio = Studio(load_animator(), model, options.portraits)
        results["video"] = filmed = {}
        for row in rows:
            if row.lips_only or row.diversity == 0:
                continue
            chosen = choose(examples, options.video)
            kept, seen = film(row, drawn[row.name], chosen, studio, model)
            tables = motion_tables(kept, kept, [row], {row.name: seen}, model, others, critic)
            filmed[row.name] = tables
            print("\nRendered video, tracked again:")
            print_tables(tables)
    (options.output / "figures.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
