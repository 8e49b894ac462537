"""Learn what each mood does to a face, from real emotional faces.

    python -m talking_face.training.fit.feeling --scores SCORES --task face_landmarker.task \\
        --portraits PHOTO … --audio SPEECH

For each mood: the mean of what people's faces do in it, relative to their own neutral ones, and the
principal ways in which they differ in it. What goes with parted lips is told apart first, by a
regression on how far they are: a face that speaks closes them, and is not to be left with the wide
mouth of a cry, which looks like a smile. How strong a mood is at strength 1 is how strong it is in
the face that four in five others stay below: a stranger is to name it. Nobody labels calm: it is
the beginning of a smile with lips closed, and lids that are a little heavy. SCORES is what
`talking_face.training.data.scores` wrote. At last, `talking_face.training.fit.named` sees to it
that moods are named on portraits of people who don't smile, saying what is in a recording.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from talking_face.animator import load_animator
from talking_face.arrays import Array
from talking_face.editing.directions import find_directions
from talking_face.editing.expression import (
    CHANGED,
    N_CHANGED,
    N_WAYS,
    UNSMILING,
    ExpressionModel,
)
from talking_face.face.landmarks import MOUTH_CORNERS
from talking_face.face.model import FaceModel, load_face_model
from talking_face.moods import MOODS
from talking_face.picture.lids import closing, meeting
from talking_face.training.data.neutral import Expressions, expressed, nuance_of, scores_parser
from talking_face.training.data.scores import N_SCORES, SCORE_NAMES, Blendshapes, landmarker
from talking_face.training.fit.named import LIDS, Portraits, named
from talking_face.training.measure.feelings import real_faces, train

SOURCES = {"dreamtalk": 1.0, "ckplus48": 0.8, "jaffe": 0.5}  # and how much each counts
DAMPING = 0.002  # of the fits: means are to be as large as they are, and their noise is small
PIECES = 5  # that a clip is cut into: its frames say little new each
STRONG = 80  # percentile of how strong a mood is on a face
# The shares that closed lips keep of how the mouth's corners go apart, and up, as lips part: people
# who laugh smile, too, when they close their lips, and fear stretches them.
STAYS = {"happy": (0.6, 0.7), "fearful": (0.4, 0.0)}
MOST_SCORE = 0.9
CARICATURE, APART = 0.3, 1.0  # of how a mood differs from the mean of all, and from the most alike
STRONGER = 1.8  # times the scores of a mood's mean face, that it has at strength 1
ROUNDS, STEP, NEAR = 6, 0.25, 0.015  # of the calibration: its weight of staying near the mean
PIXELS = 150.0  # of a canonical unit, on the faces shown to the network
NEUTRALS = 12  # faces that it is done on
UNSEEN = re.compile("_neutral|eyeLook|eyeBlink|cheek|noseSneer|jaw[LRF]|mouth(Left|Right|Close)")
CALM = {"happy": 0.3, "lids": 0.12}  # what calm is made of
# Where a nose, and what is below it, is measured, and how exactly the one goes with the other.
NOSE, BELOW_NOSE, TOLERANCE = (98, 2, 327), (61, 291, 0, 13, 14, 17, 152), 0.005
# Where lips meet, and canonical units that corners may rise above it in an unpleasant mood.
LIPS, RAISED = (13, 14), 0.006
# Shares of what brows do, at last: people who speak lower them by a third less in disgust than in
# anger, and the blendshape network is to tell these apart by them.
BROWS_MOVE = {"disgusted": 0.65}
LOWERED = 0.02  # canonical units that a nose may be lowered, as on real faces
POSED = {"gaze": 0.4, "rotation": 0.6}  # of what is seen of gaze and head: actors face a camera

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Exemplar:
    """How one face, or a piece of a clip, differs from the person's neutral one.

    Attributes:
        change: (37,) in the channels `CHANGED`.
        scores: (52,) blendshape scores.
    """

    source: str
    person: str
    mood: str
    change: Array
    scores: Array


def exemplars(expressions: list[Expressions], model: FaceModel) -> list[Exemplar]:
    """Of every named mood of every person whose neutral face is known."""
    by_person: dict[tuple[str, str], list[tuple[str, Array]]] = defaultdict(list)
    for found in expressions:
        changed = {
            **found.motion,
            "nuance": nuance_of(found.left_over(model), model.nuance, DAMPING),
        }
        values = np.concatenate(
            [*(changed[name] for name in CHANGED), found.of.scores[found.frames]], axis=1
        )
        moods = np.array(found.of.moods)[found.frames]
        for mood in dict.fromkeys(moods.tolist()):
            own = values[moods == mood]
            pieces = own if found.of.still else [p.mean(0) for p in np.array_split(own, PIECES)]
            by_person[found.of.source, found.of.person] += [(mood, piece) for piece in pieces]
    faces = []
    for (source, person), own_faces in by_person.items():
        at_rest = [values for mood, values in own_faces if mood == "neutral"]
        for mood, values in own_faces if at_rest else []:
            change = values - np.mean(at_rest, axis=0)
            faces.append(Exemplar(source, person, mood, change[:N_CHANGED], change[N_CHANGED:]))
    return faces


def learn(
    faces: list[Exemplar], neutrals: Array, model: FaceModel, network: Blendshapes
) -> dict[str, Array]:
    """The tensors of `ExpressionModel`; those of neutral and calm are zero."""
    scores, apart = np.zeros((len(MOODS), N_SCORES)), np.zeros(len(MOODS))
    parting = np.zeros((len(MOODS), CHANGED["lower"]))
    mean = np.zeros((len(MOODS), N_CHANGED))
    ways = np.zeros((len(MOODS), N_WAYS, N_CHANGED))
    for index, mood in enumerate(MOODS):
        own = [face for face in faces if face.mood == mood and mood != "neutral"]
        if not own:
            continue
        counts = {source: sum(face.source == source for face in own) for source in SOURCES}
        weight = np.array([SOURCES[face.source] / counts[face.source] for face in own])
        weight /= weight.sum()
        stays = STAYS.get(mood, (0.0, 0.0))
        changes, seen, parting[index], apart[index] = with_lips_closed(own, weight, model, stays)
        mean[index], ways[index] = spread(changes, weight)
        scores[index] = STRONGER * (weight @ seen)
        logger.info("%s: %d faces of %d people", mood, len(own), len({f.person for f in own}))
    shown = np.flatnonzero(mean.any(1))
    length = np.linalg.norm(scores[shown], axis=1)
    alike = scores[shown] @ scores[shown].T / np.outer(length, length) - 2 * np.eye(len(shown))
    near = APART * np.maximum(alike.max(1), 0.0) ** 4
    for values in (mean, scores):
        all_own = values[shown]
        values[shown] += CARICATURE * (all_own - all_own.mean(0))
        values[shown] += near[:, None] * (all_own - all_own[alike.argmax(1)])
    for index in shown:
        wanted = np.clip(scores[index], -MOST_SCORE, MOST_SCORE)
        mean[index] = nose_held(calibrate(mean[index], wanted, neutrals, model, network), model)
        mean[index, : CHANGED["lower"]] += apart[index] * parting[index]
    edges = np.cumsum([*CHANGED.values()])[:-1]
    place = dict(zip(CHANGED, np.split(np.arange(N_CHANGED), edges), strict=True))
    mean[:, place["gaze"]] *= POSED["gaze"]
    mean[:, place["rotation"]] *= POSED["rotation"]
    ways[..., place["gaze"]] *= POSED["gaze"]
    ways[..., place["rotation"]] *= POSED["rotation"]
    # On average, nobody looks or turns to one side, or closes one eye more than the other.
    mean[:, [place["gaze"][0], place["rotation"][0], place["rotation"][2]]] = 0.0
    mean = even_lids(mean)
    found = {"mean": mean, "ways": ways, "parting": parting}
    return {name: value.astype(np.float32) for name, value in found.items()}


def with_calm(mean: Array, ways: Array, parting: Array) -> dict[str, Array]:
    """The tensors of `ExpressionModel`, with what calm is made of the others."""
    calm, happy = MOODS.index("calm"), MOODS.index("happy")
    mean[calm], ways[calm] = CALM["happy"] * mean[happy], CALM["happy"] * ways[happy]
    lids = sum(CHANGED[name] for name in ("lower", "upper", "nuance"))
    mean[calm, lids : lids + CHANGED["lids"]] += CALM["lids"]
    parting[calm] = parting[happy]
    found = {"mean": mean, "ways": ways, "parting": parting}
    return {name: value.astype(np.float32) for name, value in found.items()}


def even_lids(means: Array) -> Array:
    """Means (..., 37) that close or widen both eyes by as much; where people differ is a way."""
    even = np.array(means)
    even[..., LIDS] = even[..., LIDS].mean(-1, keepdims=True)
    return even


def calibrate(
    mean: Array, wanted: Array, neutrals: Array, model: FaceModel, network: Blendshapes
) -> Array:
    """A mood's mean (37,) changed by as little as makes neutral faces (n, 478, 3) score as wanted.

    Ridge regression and what lies between the components make a mean face fainter than the faces
    that it is of. Gauss-Newton steps over lower, upper, nuance and lids.

    Args:
        wanted: (52,) by how much each score is to rise.
    """
    sizes = [CHANGED[name] for name in ("lower", "upper", "nuance", "lids")]
    count, edges = sum(sizes), np.cumsum(sizes)[:-1]
    counts = np.array([not UNSEEN.search(name) for name in SCORE_NAMES], dtype=float)
    shut = [np.stack([closing(face, eye) for eye in (0, 1)]) for face in neutrals]

    def scores(change: Array) -> Array:
        lower, upper, nuance, lids = np.split(change[:count], edges)
        moved = model.displacement(lower, upper, nuance)
        shapes = [
            face + moved + np.tensordot(meeting(lids), closed, axes=1)
            for face, closed in zip(neutrals, shut, strict=True)
        ]
        return network.scores(PIXELS * np.stack(shapes) + 2 * PIXELS).mean(0)

    found, rest = mean.copy(), scores(np.zeros_like(mean))
    for _ in range(ROUNDS):
        now = scores(found)
        slopes = np.stack(
            [(scores(found + STEP * unit) - now) / STEP for unit in np.eye(len(mean))[:count]], 1
        )
        slopes *= counts[:, None]
        left = counts * (rest + wanted - now)
        pull = slopes.T @ left - NEAR * (found - mean)[:count]
        found[:count] += np.linalg.solve(slopes.T @ slopes + NEAR * np.eye(count), pull)
    logger.info(
        "scores off by %.3f, were by %.3f",
        *(
            float(np.sqrt(np.mean(counts * (rest + wanted - scores(each)) ** 2)))
            for each in (found, mean)
        ),
    )
    return found


def with_lips_closed(
    own: list[Exemplar], weight: Array, model: FaceModel, stays: tuple[float, float]
) -> tuple[Array, Array, Array, float]:
    """Faces (n) in a mood as they would be with lips closed, by regression on the lips' distance.

    Args:
        weight: (n,) of each, together 1.
        stays: see `STAYS`.

    Returns:
        Their changes (n, 37) and scores (n, 52); what the lower face does as lips part by one
        canonical unit, (16,); and how far they are parted on average, canonical units.
    """
    changes, seen = (np.stack([getattr(f, name) for f in own]) for name in ("change", "scores"))
    gap = find_directions(model).gap
    lower = changes[:, : len(gap)]
    gaps = lower @ gap
    mean = float(weight @ gaps)
    slopes = (weight * (gaps - mean)) / (weight @ (gaps - mean) ** 2)
    step, seen_step = slopes @ lower, slopes @ seen
    left, right = (model.lower[corner].astype(np.float64) for corner in MOUTH_CORNERS)
    measures = np.stack([gap, right[0] - left[0], -(left[1] + right[1])])
    step -= np.linalg.pinv(measures) @ (np.maximum(measures @ step, 0.0) * [0.0, *stays])
    for name, share in zip(("mouthStretch", "mouthSmile"), stays, strict=True):
        seen_step[[score.startswith(name) for score in SCORE_NAMES]] *= 1 - share
    changes[:, : len(gap)] -= gaps[:, None] * step
    return changes, seen - gaps[:, None] * seen_step, step, max(mean, 0.0)


def nose_held(change: Array, model: FaceModel) -> Array:
    """A change (37,) that hardly lowers the nose: what does is the head's pose in truth.

    Nothing pulls a nose down far. What is taken out of it is taken out of lips and chin, too, which
    a face that hangs its head has seemed to lower as much.
    """
    edges = np.cumsum([*CHANGED.values()])[:-1]
    lower, _, nuance, *_ = np.split(change, edges)
    nose = list(NOSE)
    down = model.lower[nose, 1].mean(0) @ lower + model.nuance[nose, 1].mean(0) @ nuance
    below = model.lower[[*nose, *BELOW_NOSE], 1].astype(np.float64)
    shift = below.T @ np.linalg.solve(
        below @ below.T + TOLERANCE**2 * np.eye(len(below)), np.ones(len(below))
    )
    held = change.copy()
    held[: len(lower)] -= max(float(down) - LOWERED, 0.0) * shift
    return held


def corners_held(change: Array, parting: Array, model: FaceModel) -> Array:
    """A change (37,) whose corners of the mouth lie hardly above its middle where lips are closed.

    What tells an unpleasant mood to the network isn't to be the beginning of a smile.

    Args:
        parting: (16,) as in `ExpressionModel`.
    """
    lower = slice(0, CHANGED["lower"])
    middle, corners = (model.lower[list(points), 1].mean(0) for points in (LIPS, MOUTH_CORNERS))
    raised = (middle - corners).astype(np.float64)
    wider = max(float(change[lower] @ find_directions(model).gap), 0.0)
    closed = model.lips_kept(change[lower] - wider * parting)
    along = model.lips_kept(raised)
    held = change.copy()
    held[lower] -= max(float(raised @ closed) - RAISED, 0.0) * along / (raised @ along)
    return held


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
    parser = scores_parser(__doc__)
    parser.add_argument("--task", type=Path, required=True, help="face_landmarker.task")
    parser.add_argument("--portraits", type=Path, nargs="+", required=True)
    parser.add_argument("--audio", type=Path, required=True, help="a recording of plain speech")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model = load_face_model()
    found = expressed(options.scores, SOURCES, model, DAMPING)
    every = np.stack([expressions.neutral for expressions in found if expressions.of.still])
    neutrals = every[:: max(1, len(every) // NEUTRALS)][:NEUTRALS]
    network = Blendshapes(options.task)
    learned = learn(exemplars(found, model), neutrals, model, network)
    mean, parting = learned["mean"].copy(), learned["parting"]
    faces = real_faces(options.scores)
    classifier = train(*faces.some(faces.training)).requires_grad_(False)
    with landmarker(options.task, video=False) as sees:
        moods = ExpressionModel(**learned)
        photos, audio = options.portraits, options.audio
        portraits = Portraits(load_animator(), photos, audio, sees, network, moods)
    brows = slice(CHANGED["lower"], CHANGED["lower"] + CHANGED["upper"])
    for mood in np.flatnonzero(mean.any(1)):
        found_mean = named(int(mood), mean[mood], portraits, classifier)
        if mood in UNSMILING:
            found_mean = corners_held(found_mean, parting[mood], model)
        mean[mood] = nose_held(found_mean, model)
        mean[mood, brows] *= BROWS_MOVE.get(MOODS[mood], 1.0)
    tensors = with_calm(mean, learned["ways"], parting)
    save_file(tensors, options.output / "feeling.safetensors")


if __name__ == "__main__":
    main()
