"""Does each blendshape of a head move its own score, and no other?

    python -m talking_face.training.measure.crosstalk --task face_landmarker.task [PHOTO …] \\
        [--scores SCORES]

Heads of photos, by default those of `assets/portraits`, are driven by one of ARKit's blendshapes at
a time, drawn, and scored by MediaPipe's blendshape network, which knows all but tongueOut. A row a
blendshape: how much its own score changes at full strength, mean of the heads; which other score
changes most; how many times as much the own one changes; and the same at half strength. Behind it,
the same where both sides are driven together and count as one; of a gaze, both eyes that look the
same way. Heads should be without expression: a score that is high at rest can't rise, and falls
with whatever moves. `--weights` names the file to measure instead of the shipped one.

With `--scores`, which `training.data.scores` writes, the last columns say what the network itself
does on real faces: the score that one frame in a thousand reaches, and how many times as much as
any other score this one changes, by regression on it within each person. What is small there is
not told apart by the network on real faces either, or is hardly ever moved alone by them.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from talking_face.animator import load_animator
from talking_face.arrays import Array
from talking_face.files import shipped
from talking_face.head.blendshapes import load_blendshapes, targets
from talking_face.head.head import Head
from talking_face.head.names import ARKIT, mirrored
from talking_face.head.view import Camera, draw_head
from talking_face.training.data.scores import (
    N_SCORES,
    SCORE_NAMES,
    Labelled,
    Look,
    landmarker,
    load_labelled,
)

SIDE, CAMERA = 256, Camera(zoom=1.5)  # pixels of a drawn head; from how near
HALF = 0.5
CLEAR = 3.0  # times as much as any other score that a blendshape's own is to change
RARE = 99.9  # percentile of real faces' scores that is told
DRIVEN = tuple(name for name in ARKIT if name in SCORE_NAMES)


@dataclass(frozen=True)
class Clarity:
    """How clearly something moves one score.

    Attributes:
        own: change of its own score.
        other: the largest other change, with its sign.
        name: of that other.
    """

    own: float
    other: float
    name: str

    @property
    def times(self) -> float:
        """How many times as much its own score rises as any other changes."""
        return self.own / max(abs(self.other), 1e-6)


def together(name: str) -> str:
    """What moves along with a blendshape on real faces; itself where nothing does.

    Jaw and mouth go to the left or to the right, never both ways.
    """
    if name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
        return name
    for one, other in (("LookIn", "LookOut"), ("LookOut", "LookIn")):
        if one in name:
            return mirrored(name.replace(one, other))
    return mirrored(name)


def clarity(changes: Array, *own: str) -> Clarity:
    """What changes (52,) of scores, in the order of `SCORE_NAMES`, say of one or two names."""
    index = [SCORE_NAMES.index(name) for name in own]
    rest = np.array(changes, dtype=np.float64)
    rest[[*index, SCORE_NAMES.index("_neutral")]] = 0.0
    most = int(np.abs(rest).argmax())
    return Clarity(float(np.mean(changes[index])), float(rest[most]), SCORE_NAMES[most])


def scores_of(heads: Iterable[tuple[Head, Array]], look: Look) -> Array:
    """Scores (heads, 52) of heads with their displacements (478, 3); NaN where no face is seen."""
    found = []
    for head, displacement in heads:
        seen = look(draw_head(head, displacement, camera=CAMERA, size=SIDE), 0)
        found.append(seen[1] if seen else np.full(N_SCORES, np.nan))
    return np.array(found)


def change(
    heads: list[Head],
    shapes: list[Array],
    names: set[str],
    strength: float,
    look: Look,
    resting: Array,
) -> Array:
    """Mean change (52,) of the scores of heads at rest where blendshapes are driven.

    Args:
        shapes: (52, 478, 3) of each head. resting: (heads, 52).
    """
    index = [ARKIT.index(name) for name in sorted(names)]
    moved = [strength * shape[index].sum(0) for shape in shapes]
    driven = scores_of(zip(heads, moved, strict=True), look)
    return np.asarray(np.nanmean(driven - resting, axis=0))


def real_changes(people: list[Labelled]) -> tuple[Array, Array]:
    """What real faces' scores do.

    Returns:
        (52, 52) change of each column's score that goes with one of the row's, by regression within
        each person, clips and stills of anybody counting alike; (52,) what one frame in a thousand
        reaches.
    """
    gram = np.zeros((N_SCORES, N_SCORES))
    for one in people:
        apart = one.scores - one.scores.mean(0)
        gram += apart.T @ apart / len(apart)
    reach = np.percentile(np.concatenate([one.scores for one in people]), RARE, axis=0)
    return gram / np.maximum(np.diag(gram), 1e-12)[:, None], reach


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--task", type=Path, required=True, help="face_landmarker.task")
    parser.add_argument("--weights", type=Path, help="a file of displacements")
    parser.add_argument("--scores", type=Path, help="folder of labelled faces")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    learned = (
        load_file(options.weights)["displacements"].astype(np.float32)
        if options.weights
        else load_blendshapes()
    )
    photos = options.photos or sorted(shipped("assets").glob("portraits/*.jpg"))
    animator = load_animator()
    heads = [animator.head(animator.fit(path)) for path in photos]
    shapes = [targets(learned, head.closing) for head in heads]
    real, reach = real_changes(load_labelled(options.scores)) if options.scores else (None, None)

    print(f"{len(heads)} heads{'':22}own    other{'':22}times  half   both")
    clear, clear_pairs, pairs = 0, 0, 0
    with landmarker(options.task, video=False) as look:
        nothing = np.zeros_like(shapes[0][0])
        resting = scores_of([(head, nothing) for head in heads], look)
        for name in DRIVEN:
            both = {name, together(name)}
            full = clarity(change(heads, shapes, {name}, 1.0, look, resting), name)
            half = clarity(change(heads, shapes, {name}, HALF, look, resting), name)
            pair = clarity(change(heads, shapes, both, 1.0, look, resting), *both)
            clear += full.times >= CLEAR
            if name == min(both):
                pairs, clear_pairs = pairs + 1, clear_pairs + (pair.times >= CLEAR)
            row = f"{name:22}{full.own:10.3f}{full.other:9.3f} {full.name:20}"
            row += f"{full.times:7.1f}{half.times:6.1f}{pair.times:7.1f}"
            if real is not None and reach is not None:
                index = SCORE_NAMES.index(name)
                alone = clarity(real[index], name)
                row += f"   {reach[index]:.3f}{alone.times:7.1f} {alone.name}"
            print(row, flush=True)
    print(f"{clear} of {len(DRIVEN)} move their own score {CLEAR:g} times as much as any other,")
    print(f"{clear_pairs} of {pairs} where both sides count as one")


if __name__ == "__main__":
    main()
