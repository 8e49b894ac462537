"""Measure live lips against a real speaker's, beside those of the clip of the same sound.

    python -m talking_face.training.measure.live_lips --clips CLIPS --cache CACHE

CLIPS is a folder of talking videos or a table of them: see `talking_face.training.data.clips`; the
cache of `talking_face.training.data.prepare` has their faces. Clips of the split `val` are heard
twice: as a whole, and hop by hop as a live face hears them. Both are the likeliest animation, at
diversity 0. Where the live lips are as like the real ones as the clip's are, nothing is lost by
what a live face doesn't wait for.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from talking_face.animator import load_animator
from talking_face.arrays import Float32
from talking_face.cores import one_thread
from talking_face.face.model import FaceModel
from talking_face.live.performance import Performance
from talking_face.live.phones import AHEAD, HOP
from talking_face.models import Models
from talking_face.motion import Motion
from talking_face.options import STYLES
from talking_face.sound.audio import load_audio
from talking_face.sound.prosody import FRAME
from talking_face.training.data.clips import read_clips
from talking_face.training.data.examples import SOURCES, Example, load_examples
from talking_face.training.measure.lip_figures import LipFigures, format_table, means, mouth_curves
from talking_face.training.measure.mapper_figures import Table, by_source, compare_lips

WAYS = ("clip", "live")


@dataclass(frozen=True)
class Pair:
    """One clip's figures: as a whole and live against the real lips, and against each other.

    Attributes:
        lips: of each of `WAYS`; None where the real mouth hardly moves.
        alike: correlation of the live opening and the clip's.
    """

    lips: dict[str, LipFigures | None]
    alike: float


def live_motion(models: Models, wave: Float32) -> Motion:
    """The likeliest live motion of a sound, (n,) float32 at 16 kHz; as many frames at least."""
    networks = models.live_ear, models.mapping, models.eyes, models.face
    live = Performance(*networks, 0, 0, 0.0, STYLES["natural"])
    size = HOP * FRAME
    wave = np.pad(wave, (0, (AHEAD + HOP) * FRAME))
    starts = range(0, len(wave) - size + 1, size)
    with one_thread():
        heard = [live.hear(wave[start : start + size]).motion.as_array() for start in starts]
    return Motion.from_array(np.concatenate(heard))


def compare(example: Example, whole: Motion, live: Motion, model: FaceModel) -> Pair:
    """Figures of a clip; all three are cut to the shortest."""
    count = min(len(example), len(whole), len(live))
    arrays = {
        field.name: getattr(example, field.name)[:count]
        for field in dataclasses.fields(example)
        if isinstance(getattr(example, field.name), np.ndarray)
    }
    seen = dataclasses.replace(example, motion=_first(example.motion, count), **arrays)
    both = _first(whole, count), _first(live, count)
    lips = {way: compare_lips(seen, motion, model) for way, motion in zip(WAYS, both, strict=True)}
    ours, theirs = (mouth_curves(motion, model)[0] for motion in both)
    return Pair(lips, float(np.corrcoef(ours, theirs)[0, 1]))


def _first(motion: Motion, count: int) -> Motion:
    return Motion.from_array(motion.as_array()[:count])


def tables(examples: Sequence[Example], pairs: dict[str, Pair]) -> dict[str, Table]:
    """For each source a table whose rows are `WAYS`."""
    found: dict[str, Table] = {}
    for source, members in by_source(examples).items():
        found[source] = {}
        for way in WAYS:
            rows = [(source, pairs[example.key].lips[way]) for example in members]
            found[source][way] = means(rows).get(source, {"clips": 0.0})
        known = [pairs[example.key].alike for example in members]
        known = [alike for alike in known if math.isfinite(alike)]
        found[source]["live"]["alike"] = float(np.mean(known)) if known else math.nan
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="folder of videos, or a table")
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--limit", type=int, default=30, help="clips of a source at most")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    animator = load_animator("cpu")
    models = animator.models
    paths = {clip.key: clip.path for clip in read_clips(options.clips)}
    taken: list[Example] = []
    for source in SOURCES:
        taken += load_examples(options.cache, models.face, "val", [source])[: options.limit]
    pairs = {}
    for example in tqdm(taken, desc="clips"):
        recording = load_audio(paths[example.key])
        (whole,) = animator.sample(animator.listen(recording), 1, seed=0, diversity=0.0)
        live = live_motion(models, recording.waveform)
        pairs[example.key] = compare(example, whole, live, models.face)
    for source, table in tables(taken, pairs).items():
        print(format_table(table, source), end="\n\n")


if __name__ == "__main__":
    main()
