"""Learn what each mood does to a face, from real emotional faces.

    python -m talking_face.training.fit.feeling --scores SCORES

For each mood: the mean of what people's faces do in it, relative to their own neutral ones, and the
principal ways in which they differ in it. How strong a mood is at strength 1 is how strong it is in
the face that four in five others stay below: a stranger is to name it. Nobody labels calm: it is
the beginning of a smile with lips closed, and lids that are a little heavy. SCORES is what
`talking_face.training.data.scores` wrote.
"""

from __future__ import annotations

import argparse
import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from talking_face.arrays import Array
from talking_face.editing.expression import CHANGED, N_CHANGED, N_WAYS
from talking_face.face.model import FaceModel, load_face_model
from talking_face.moods import MOODS
from talking_face.training.data.neutral import Expressions, express_all, nuance_of
from talking_face.training.data.scores import load_labelled
from talking_face.weights import weights_folder

SOURCES = {"dreamtalk": 1.0, "ckplus48": 1.0, "jaffe": 0.5}  # and how much each counts
PIECES = 5  # that a clip is cut into: its frames say little new each
STRONG = 80  # percentile of how strong a mood is on a face
CALM = {"happy": 0.3, "lids": 0.12}  # what calm is made of
POSED = {"gaze": 0.4, "rotation": 0.6}  # of what is seen of gaze and head: actors face a camera

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Exemplar:
    """How one face, or a piece of a clip, differs from the person's neutral one, (37,)."""

    source: str
    person: str
    mood: str
    change: Array


def exemplars(expressions: list[Expressions], model: FaceModel) -> list[Exemplar]:
    """Of every named mood of every person whose neutral face is known."""
    by_person: dict[tuple[str, str], list[tuple[str, Array]]] = defaultdict(list)
    for found in expressions:
        changed = {**found.motion, "nuance": nuance_of(found.left_over(model), model.nuance)}
        values = np.concatenate([changed[name] for name in CHANGED], axis=1)
        moods = np.array(found.of.moods)[found.frames]
        for mood in dict.fromkeys(moods.tolist()):
            own = values[moods == mood]
            pieces = own if found.of.still else [p.mean(0) for p in np.array_split(own, PIECES)]
            by_person[found.of.source, found.of.person] += [(mood, piece) for piece in pieces]
    return [
        Exemplar(source, person, mood, change - np.mean([c for m, c in own if m == "neutral"], 0))
        for (source, person), own in by_person.items()
        if any(mood == "neutral" for mood, _ in own)
        for mood, change in own
    ]


def learn(faces: list[Exemplar]) -> dict[str, Array]:
    """Tensors `mean` (8, 37) and `ways` (8, 4, 37) of the moods, neutral's all zero."""
    mean = np.zeros((len(MOODS), N_CHANGED))
    ways = np.zeros((len(MOODS), N_WAYS, N_CHANGED))
    for index, mood in enumerate(MOODS):
        own = [face for face in faces if face.mood == mood and mood != "neutral"]
        if not own:
            continue
        changes = np.stack([face.change for face in own])
        counts = {source: sum(face.source == source for face in own) for source in SOURCES}
        weight = np.array([SOURCES[face.source] / counts[face.source] for face in own])
        mean[index], ways[index] = spread(changes, weight / weight.sum())
        logger.info("%s: %d faces of %d people", mood, len(own), len({f.person for f in own}))
    edges = np.cumsum([*CHANGED.values()])[:-1]
    place = dict(zip(CHANGED, np.split(np.arange(N_CHANGED), edges), strict=True))
    mean[:, place["gaze"]] *= POSED["gaze"]
    mean[:, place["rotation"]] *= POSED["rotation"]
    ways[..., place["gaze"]] *= POSED["gaze"]
    ways[..., place["rotation"]] *= POSED["rotation"]
    # On average, nobody looks or turns to one side.
    mean[:, [place["gaze"][0], place["rotation"][0], place["rotation"][2]]] = 0.0
    calm, happy = MOODS.index("calm"), MOODS.index("happy")
    mean[calm], ways[calm] = CALM["happy"] * mean[happy], CALM["happy"] * ways[happy]
    mean[calm, place["lids"]] += CALM["lids"]
    return {"mean": mean.astype(np.float32), "ways": ways.astype(np.float32)}


def spread(changes: Array, weight: Array) -> tuple[Array, Array]:
    """Mean (37,), as strong as `STRONG` of them, and principal ways (4, 37) of changes (n, 37)."""
    mean = weight @ changes
    along = changes @ mean / (mean @ mean)
    order = np.argsort(along)
    strong = np.interp(STRONG / 100, np.cumsum(weight[order]) - weight[order] / 2, along[order])
    # How strong it is isn't a way of its own.
    away = changes - np.outer(along, mean)
    _, deviation, directions = np.linalg.svd(away * np.sqrt(weight)[:, None], full_matrices=False)
    ways = directions[:N_WAYS] * deviation[:N_WAYS, None]
    return strong * mean, ways


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scores", type=Path, required=True, help="what training.data.scores wrote"
    )
    parser.add_argument("--output", type=Path, default=weights_folder())
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model = load_face_model()
    labelled = [f for f in load_labelled(options.scores) if f.source in SOURCES]
    found = express_all([faces for faces in labelled if faces.split == "train"], model)
    save_file(learn(exemplars(found, model)), options.output / "feeling.safetensors")


if __name__ == "__main__":
    main()
