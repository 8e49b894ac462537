"""Measure how well predicted lips follow real ones, on speakers that were never trained on.

    python -m talking_face.training.evaluate --cache CACHE --split val --output FOLDER

CACHE is the folder that `talking_face.training.prepare` wrote. Prints a table by source and writes
`figures.json` with the figures of every clip. With `--video N --clips CLIPS`, N clips of each
source (0: all) are also rendered, each on a portrait of `assets/`, and the rendered frames tracked
again, as the clips themselves were: those are the figures of the finished video.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from talking_face.animator import Animator, load_animator
from talking_face.baseline import load_baseline, rest_gate, run
from talking_face.face import Face
from talking_face.face_model import FaceModel, load_face_model
from talking_face.landmarks import mouth_opening, mouth_width, track_face
from talking_face.lips import contact, lip_gaps
from talking_face.training.baseline import SOURCES
from talking_face.training.examples import Example, load_examples
from talking_face.training.lip_figures import LipFigures, format_table, lip_figures, means

PORTRAITS = Path(__file__).resolve().parents[2] / "assets" / "portraits"
PORTRAIT_SUFFIXES = (".jpg", ".jpeg", ".png")

Mapper = Callable[[Example], np.ndarray]  # a clip's sound to coefficients (frames, 22)

logger = logging.getLogger(__name__)


def baseline_mapper() -> Mapper:
    """The shipped baseline, as `talking_face.baseline.predict` uses it."""
    network = load_baseline()

    def map_(example: Example) -> np.ndarray:
        answer = run(network, example.features, example.prosody)
        return answer * rest_gate(example.activity)[:, None]

    return map_


def mouth_curves(coefficients: np.ndarray, model: FaceModel) -> tuple[np.ndarray, np.ndarray]:
    """Lip opening and mouth width, each (frames,), of coefficients (frames, 22) on the mean face.

    Nearly closed lips meet, as they do when they are rendered.
    """
    n_lower = model.lower.shape[-1]
    shape = model.mean + model.displacement(coefficients[:, :n_lower], coefficients[:, n_lower:])
    return contact(lip_gaps(shape))[:, 3:6].mean(1), mouth_width(shape)


def compare_motion(
    example: Example, mapper: Mapper, model: FaceModel, heard: Example | None = None
) -> LipFigures | None:
    """Figures of a mapper on one clip, before rendering.

    Args:
        heard: the clip whose sound is heard instead, repeated or cut to length: a control.
    """
    opening, width = (
        np.resize(curve, len(example)) for curve in mouth_curves(mapper(heard or example), model)
    )
    return lip_figures(opening, width, example.opening, example.width, example.ok)


def shuffled(examples: Sequence[Example]) -> list[Example]:
    """For each clip another one of its source, half the source away."""
    others = []
    for example in examples:
        of_source = [other for other in examples if other.source == example.source]
        place = next(i for i, other in enumerate(of_source) if other is example)
        others.append(of_source[(place + len(of_source) // 2) % len(of_source)])
    return others


def compare_video(
    example: Example, sound: Path, animator: Animator, face: Face, seed: int
) -> LipFigures | None:
    """Figures of the finished video of one clip's sound, tracked again.

    Args:
        sound: the clip.
        seed: of the sample that is rendered.
    """
    motion = animator.sample(animator.listen(sound), 1, seed)[0]
    marks = np.stack(list(track_face(animator.render(face, motion))))
    frames = min(len(example), len(marks))
    marks = marks[:frames]
    found = np.isfinite(marks[:, 0, 0])
    marks = np.where(found[:, None, None], marks, np.nan_to_num(np.nanmean(marks, axis=0)))
    return lip_figures(
        mouth_opening(marks),
        mouth_width(marks),
        example.opening[:frames],
        example.width[:frames],
        example.ok[:frames] & found,
    )


def choose(examples: Sequence[Example], each: int) -> list[Example]:
    """That many clips of each source, spread evenly over it; 0 takes all."""
    chosen = []
    for source in dict.fromkeys(example.source for example in examples):
        of_source = [example for example in examples if example.source == source]
        count = min(each or len(of_source), len(of_source))
        places = np.linspace(0, len(of_source) - 1, count).round().astype(int)
        chosen += [of_source[place] for place in places]
    return chosen


def clip_paths(cache: Path, clips: Path) -> dict[str, Path]:
    """key -> video, from the cache's index."""
    with (cache / "index.csv").open(newline="") as file:
        return {row["key"]: clips / row["path"] for row in csv.DictReader(file)}


def report(
    title: str, examples: Sequence[Example], figures: Sequence[LipFigures | None]
) -> dict[str, object]:
    """Print the table, and return all of it for the JSON file."""
    table = means([(e.source, row) for e, row in zip(examples, figures, strict=True)])
    still = Counter(e.source for e, row in zip(examples, figures, strict=True) if row is None)
    print(f"\n{title}\n{format_table(table)}")
    for source, count in still.items():
        print(f"{source}: {count} more clips hardly move the mouth and don't count")
    return {
        "sources": table,
        "clips": {
            e.key: dataclasses.asdict(row)
            for e, row in zip(examples, figures, strict=True)
            if row is not None
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--split", default="val", choices=("train", "val"))
    parser.add_argument("--output", type=Path, required=True, help="folder for figures.json")
    parser.add_argument("--sources", nargs="+", default=SOURCES)
    parser.add_argument(
        "--video", type=int, metavar="N", help="also render N clips of each source; 0: all"
    )
    parser.add_argument(
        "--clips", type=Path, default=Path(), help="folder that paths in the index start from"
    )
    parser.add_argument("--portraits", type=Path, default=PORTRAITS)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    model = load_face_model()
    examples = load_examples(options.cache, model, options.split, options.sources)
    mapper = baseline_mapper()
    results = {
        "motion": report(
            "Motion of the baseline",
            examples,
            [compare_motion(example, mapper, model) for example in examples],
        ),
        "control": report(
            "Control: the sound of another clip",
            examples,
            [
                compare_motion(example, mapper, model, other)
                for example, other in zip(examples, shuffled(examples), strict=True)
            ],
        ),
    }
    if options.video is not None:
        paths = clip_paths(options.cache, options.clips)
        animator = load_animator()
        photos = sorted(
            path for path in options.portraits.iterdir() if path.suffix in PORTRAIT_SUFFIXES
        )
        faces = [animator.fit(photo) for photo in photos]
        chosen = choose(examples, options.video)
        figures = [
            compare_video(example, paths[example.key], animator, faces[i % len(faces)], seed=i)
            for i, example in enumerate(tqdm(chosen, desc="rendering"))
        ]
        results["video"] = report("Rendered video, tracked again", chosen, figures)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "figures.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
