"""Learn ARKit's blendshapes as displacements of our mesh.

    python -m talking_face.training.fit.blendshapes --scores SCORES --portraits PHOTO … \\
        --task face_landmarker.task --output arkit.safetensors

SCORES holds tracked faces with the 52 scores that MediaPipe's blendshape network gives them, one
`SOURCE__STEM.npz` a clip (landmarks, scores, ok, split) and `stills_faces.npz` (landmarks, scores,
person). Steps: (1) within each person, displacements are regressed on scores and head pose, with a
mirrored copy of every frame, so that left and right are alike; (2) starting there, each shape is
brought to where heads of portraits that are rendered with it get a high score of its own, and all
other scores of the resting head: Levenberg and Marquardt's steps within what the model can move,
whose slopes are the network's own along what the tracker sees of each direction, and not far; (3)
what the network hardly ever scores (jaws aside and forward, cheeks, sneers) is made of smooth bumps
by hand: `BY_HAND`; and mouthClose is what brings lips together that jawOpen has parted.

The network is read out of the task file by `ai-edge-litert` (`pip install ai-edge-litert`).
"""

from __future__ import annotations

import argparse
import logging
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from talking_face.animator import load_animator
from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import IRIS_CENTRE, N_LANDMARKS, N_MESH
from talking_face.face.lips import LipContact, lip_gaps
from talking_face.face.model import FaceModel, fit_pose, rotation_angles
from talking_face.head.head import Head, mirror_of
from talking_face.head.names import ARKIT, mirrored
from talking_face.head.view import draw_head
from talking_face.picture.lids import closing

# The scores in the order of MediaPipe's network, which knows no tongue.
SCORED = ("_neutral", *sorted(name for name in ARKIT if name != "tongueOut"))
# The 146 landmarks that the network sees, in the order in which it does.
SEEN = """0 1 4 5 6 7 8 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82
    84 87 88 91 93 95 103 105 107 109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157
    158 159 160 161 162 163 168 172 173 176 178 181 185 191 195 197 234 246 249 251 263 267 269 270
    276 282 283 284 285 288 291 293 295 296 297 300 308 310 311 312 314 317 318 321 323 324 332 334
    336 338 356 361 362 365 373 374 375 377 378 379 380 381 382 384 385 386 387 388 389 390 397 398
    400 402 405 409 415 454 466 468 469 470 471 472 473 474 475 476 477"""
SEEN_LANDMARKS = np.array([int(number) for number in SEEN.split()])

FRAMES = 150  # a clip, so that long ones don't outweigh the others
TURNED = 25.0  # degrees of yaw, beyond which half of a face isn't seen
RIDGE = 0.002
MIDDLE = 0.3  # canonical units either way over which a side ends
BASIS = 0.03  # share of the strongest direction, below which directions are left out
WANTED, NEAR = 0.75, 1.0  # score that a shape is to get; what leaving the regression costs
ROUNDS, STEP, SEEN_STEP = 6, 0.03, 0.12  # STEP: of slopes, SEEN_STEP: to see a direction
SIDE = 384  # pixels of a rendered head
# What a person's left and right cheek, and the jaw, do where the scores don't say: centre (x for
# the left side), width, displacement; canonical units, x mirrored for the right side.
BY_HAND: dict[str, list[tuple[tuple[float, float], float, tuple[float, float, float]]]] = {
    "cheekSquintLeft": [((0.34, 0.27), 0.13, (0.0, -0.035, -0.01))],
    "noseSneerLeft": [((0.13, 0.42), 0.08, (0.01, -0.05, 0.0)), ((0.08, 0.2), 0.07, (0, -0.02, 0))],
    "cheekPuff": [((0.38, 0.7), 0.17, (0.05, 0.0, -0.12))],
    "jawLeft": [((0.0, 1.05), 0.33, (0.07, 0.0, 0.0))],
    "jawForward": [((0.0, 1.05), 0.3, (0.0, 0.0, -0.08))],
}

Score = Callable[[Array], Array]  # landmarks (n, 478, 3) in pixels to scores (n, 52)

logger = logging.getLogger(__name__)


def load_scorer(task: Path) -> Score:
    """The blendshape network of a task file."""
    from ai_edge_litert.interpreter import Interpreter

    with zipfile.ZipFile(task) as archive:
        network = Interpreter(model_content=archive.read("face_blendshapes.tflite"), num_threads=1)
    network.allocate_tensors()
    into, out = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]

    def score(landmarks: Array) -> Array:
        found = []
        for seen in landmarks[:, SEEN_LANDMARKS, :2]:
            network.set_tensor(into, np.ascontiguousarray(seen[None], dtype=np.float32))
            network.invoke()
            found.append(np.array(network.get_tensor(out)))
        return np.stack(found)

    return score


def read_people(folder: Path) -> Iterator[tuple[Array, Array]]:
    """Landmarks (n, 478, 3) and scores (n, 52) of each training clip and each still's person."""
    for path in sorted(folder.glob("*__*.npz")):
        with np.load(path) as stored:
            ok = np.flatnonzero(stored["ok"])
            if str(stored["split"]) == "train" and len(ok) >= 10:
                some = ok[:: max(1, len(ok) // FRAMES)]
                yield stored["landmarks"][some], stored["scores"][some]
    stills = folder / "stills_faces.npz"
    if stills.is_file():
        with np.load(stills) as stored:
            people = stored["person"]
            for person in sorted(set(people.tolist())):
                own = people == person
                if own.sum() > 2:
                    yield stored["landmarks"][own], stored["scores"][own]


def regress(folder: Path, model: FaceModel) -> Array:
    """Displacements (52, 478, 3) that a full score goes with, in the order of `SCORED`."""
    partner = mirror_of(model.mean)
    swap = [SCORED.index(mirrored(name)) for name in SCORED]
    gram = np.zeros((len(SCORED) + 6,) * 2)
    sides = np.zeros((len(gram), N_LANDMARKS * 3))
    count = 0
    for marks, scores in read_people(folder):
        pose = fit_pose(marks.astype(np.float64), model.mean, model.rigid)
        pose = fit_pose(marks, pose.unproject(marks).mean(0), model.rigid)
        shape, angles = pose.unproject(marks), rotation_angles(pose.rotation)
        straight = np.abs(angles[:, 0]) < TURNED
        if straight.sum() < 3:
            continue
        shape, known = shape[straight], scores[straight]
        yaw, pitch, roll = (angles[straight] / 20).T
        for side in (1, -1):
            turns = [side * yaw, pitch, side * roll, yaw**2, pitch**2, side * yaw * pitch]
            if side < 0:
                shape, known = shape[:, partner] * (-1, 1, 1), known[:, swap]
            given = np.column_stack([known, *turns])
            given = given - given.mean(0)
            moved = (shape - shape.mean(0)).reshape(len(shape), -1)
            weight = 1 / max(1.0, len(shape) / 60)
            gram += weight * given.T @ given
            sides += weight * given.T @ moved
            count += len(shape)
    logger.info("%d frames, mirrored ones included", count)
    found = np.linalg.solve(gram + RIDGE * count * np.eye(len(gram)), sides)
    return found[: len(SCORED)].reshape(-1, N_LANDMARKS, 3)


def directions(model: FaceModel, mean: Array) -> tuple[Array, Array]:
    """Orthonormal directions (k, 478, 3) that shapes are made of, also on one side alone.

    Returns:
        Those of mouth and cheeks, and those of brows and eyes.
    """
    looks = np.zeros((4, N_LANDMARKS, 3))
    for eye, first in enumerate(IRIS_CENTRE):
        looks[2 * eye, first : first + 5, 0] = 0.05
        looks[2 * eye + 1, first : first + 5, 1] = 0.04
    lids = np.stack([closing(mean, eye) for eye in (0, 1)])
    lower, upper = (np.moveaxis(basis, -1, 0) / 2 for basis in (model.lower, model.upper))
    left = smoothstep(mean[:, 0], -MIDDLE, MIDDLE)[:, None]
    found = []
    for pool in (lower, np.concatenate([upper, lids, looks])):
        halves = np.concatenate([pool * left, pool * (1 - left)]).reshape(2 * len(pool), -1)
        _, strength, rows = np.linalg.svd(halves, full_matrices=False)
        found.append(rows[strength > BASIS * strength[0]].reshape(-1, N_LANDMARKS, 3))
    return found[0], found[1]


class Sitters:
    """Heads of portraits, rendered, tracked and scored.

    Args:
        heads: at least one.
        task: the face landmarker.
        score: its blendshape network alone.
    """

    def __init__(self, heads: list[Head], task: Path, score: Score) -> None:
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(task)),
            min_face_detection_confidence=0.3,
            min_face_presence_confidence=0.3,
        )
        self._network = vision.FaceLandmarker.create_from_options(options)
        self._heads, self._score = heads, score
        self.resting = self.seen(np.zeros((N_LANDMARKS, 3)))

    def seen(self, displacement: Array) -> Array:
        """Landmarks (heads, 478, 3), pixels, that the tracker finds where heads are displaced."""
        import mediapipe

        found = []
        for head in self._heads:
            picture = mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB,
                data=np.ascontiguousarray(draw_head(head, displacement, size=SIDE)),
            )
            marks = self._network.detect(picture).face_landmarks
            if not marks:
                return np.array(self.resting)  # so far off that it isn't a face any more
            found.append([(point.x, point.y, point.z) for point in marks[0]])
        return np.array(found, dtype=np.float32) * SIDE

    def scores(self, landmarks: Array) -> Array:
        """Scores (heads, 52) of landmarks (heads, 478, 3)."""
        return self._score(landmarks)

    def slopes(self, basis: Array) -> list[Array]:
        """What is seen to move where each of the directions (k, 478, 3) is taken."""
        return [
            (self.seen(SEEN_STEP * one) - self.seen(-SEEN_STEP * one)) / (2 * SEEN_STEP)
            for one in basis
        ]


def isolate(
    name: str,
    start: Array,
    basis: Array,
    slopes_seen: list[Array],
    sitters: Sitters,
    partner: Array,
) -> Array:
    """A displacement (478, 3) near another that raises one score and leaves the others.

    Args:
        start: (478, 3) of the regression. basis: (k, 478, 3), orthonormal.
        slopes_seen: of `Sitters.slopes`, for the basis.
        partner: of `mirror_of`.
    """
    both = mirrored(name) == name

    def shape_of(given: Array) -> Array:
        shape = np.einsum("k,knd->nd", given, basis)
        return (shape + shape[partner] * (-1, 1, 1)) / 2 if both else shape

    resting, own = sitters.scores(sitters.resting), SCORED.index(name)
    goal = resting.copy()
    goal[:, own] = np.maximum(resting[:, own] + 0.1, WANTED)
    first = np.einsum("knd,nd->k", basis, start)
    given, damping = first, 0.5
    best = (np.inf, first, sitters.resting)
    for _ in range(ROUNDS):
        seen = sitters.seen(shape_of(given))
        left = sitters.scores(seen) - goal
        loss = float(np.square(left).sum() + NEAR * np.square(given - first).sum())
        if loss < best[0]:
            best, damping = (loss, given, seen), damping / 2
        else:
            damping *= 4
        _, given, seen = best
        found = sitters.scores(seen)
        steps = [sitters.scores(seen + STEP * slope) - found for slope in slopes_seen]
        slopes = np.stack([step.ravel() / STEP for step in steps], axis=1)
        normal = slopes.T @ slopes + (NEAR + damping) * np.eye(len(basis))
        fall = slopes.T @ (found - goal).ravel() + NEAR * (given - first)
        given = given - np.linalg.solve(normal, fall)
    return shape_of(best[1])


def by_hand(name: str, mean: Array) -> Array:
    """A shape of `BY_HAND`, (478, 3)."""
    shape = np.zeros((N_LANDMARKS, 3))
    for (x, y), width, step in BY_HAND[name]:
        for side in (1, -1) if mirrored(name) == name and x else (1,):
            away = np.hypot(mean[:, 0] - side * x, mean[:, 1] - y)
            shape += np.exp(-((away / width) ** 2))[:, None] * np.array(step) * (side, 1, 1)
    shape[N_MESH:] = 0.0
    return shape


def learn(folder: Path, model: FaceModel, sitters: Sitters) -> Array:
    """All displacements (52, 478, 3), in the order of `ARKIT`; none for the tongue."""
    partner = mirror_of(model.mean)
    mean = (model.mean + model.mean[partner] * (-1, 1, 1)) / 2
    regressed = regress(folder, model)
    mouth, eyes = ((basis, sitters.slopes(basis)) for basis in directions(model, mean))
    found = {name: by_hand(name, mean) for name in BY_HAND}
    for name in SCORED[1:]:
        if name != "mouthClose" and name not in found and mirrored(name) not in found:
            start = regressed[SCORED.index(name)]
            region = eyes if name.startswith(("eye", "brow")) else mouth
            found[name] = isolate(name, start, *region, sitters, partner)
            logger.info("%s: moves %.3f", name, np.abs(found[name]).max())
    parted = mean + found["jawOpen"]
    found["mouthClose"] = np.zeros((N_LANDMARKS, 3))
    found["mouthClose"][:, 1] = LipContact(mean).widen(-lip_gaps(parted))
    for name in list(found):
        if mirrored(name) not in found:
            found[mirrored(name)] = found[name][partner] * (-1, 1, 1)
    nothing = np.zeros((N_LANDMARKS, 3))
    return np.stack([found.get(name, nothing) for name in ARKIT])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scores", type=Path, required=True, help="folder of labelled faces")
    parser.add_argument("--portraits", type=Path, nargs="+", required=True, help="a few photos")
    parser.add_argument("--task", type=Path, required=True, help="face_landmarker.task")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    animator = load_animator()
    heads = [animator.head(animator.fit(path)) for path in options.portraits]
    sitters = Sitters(heads, options.task, load_scorer(options.task))
    found = learn(options.scores, animator.models.face, sitters)
    save_file({"displacements": found.astype(np.float16)}, options.output)


if __name__ == "__main__":
    main()
