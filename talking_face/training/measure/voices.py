"""Does a face show what is felt in the voice? Measured on rendered frames.

    python -m talking_face.training.measure.voices --table emotion.csv --source ravdess \\
        --task face_landmarker.task --portraits FOLDER --plain SPEECH …

Speech of the validation speakers of a corpus is spoken by the portraits in turn, with the feeling
that is heard in it, and frames are labelled by MediaPipe's blendshape network relative to the same
portrait at rest. Printed: how well smiles tell happy voices from sad and angry ones, lowered brows
angry from all others, and raised inner brows sad and fearful from all others but surprised, as
areas under the curve, by what was acted and by what was heard; and by how much plain speech moves
any score. With `--scores SCORES`, also how far each score spreads in clips of the sources `--real`,
and here.
"""

from __future__ import annotations

import argparse
import logging
from collections import defaultdict
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from tqdm import tqdm

from talking_face.animator import Animator, load_animator
from talking_face.arrays import Array
from talking_face.editing.edit import Edit
from talking_face.face.face import Face
from talking_face.moods import MOODS, NONE
from talking_face.motion import Motion
from talking_face.options import Look
from talking_face.sound.emotion import HEARD
from talking_face.sound.speech import Speech
from talking_face.training.data.prepare import PHOTO_SUFFIXES
from talking_face.training.data.scores import SCORE_NAMES, landmarker, load_labelled
from talking_face.training.data.scores import Look as Sees
from talking_face.training.data.utterances import Utterance, read_utterances
from talking_face.training.measure.emotion_report import told_apart

SIZE = 256  # pixels of the renders
FRAMES = 6  # of a clip
SPOKEN, OPEN_EYES = 0.5, 0.25  # activity from which, and lids' closure up to which, one is chosen
# What tells: scores, the moods that have them, and those that they are told from; none: all others.
SIGNS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "smile": (("mouthSmileLeft", "mouthSmileRight"), ("happy",), ("sad", "angry")),
    "lowered brows": (("browDownLeft", "browDownRight"), ("angry",), ()),
    "raised inner brows": (
        ("browInnerUp",),
        ("sad", "fearful"),
        ("neutral", "calm", "happy", "angry", "disgusted"),  # surprise raises them the most
    ),
}

logger = logging.getLogger(__name__)


def moments(motion: Motion, speech: Speech) -> Array:
    """Frames in which somebody speaks with open eyes, spread evenly."""
    good = np.flatnonzero((speech.activity > SPOKEN) & (motion.lids.max(1) < OPEN_EYES))
    good = good if len(good) else np.arange(len(motion))
    return good[np.linspace(0, len(good) - 1, min(FRAMES, len(good))).astype(int)]


def label(
    animator: Animator, face: Face, motion: Motion, frames: Sequence[int] | Array, sees: Sees
) -> Array:
    """Scores (n, 52) of the frames in which a face is found."""
    look = Look(size=SIZE)
    pictures = (next(animator.render(face, motion[i : i + 1], look)) for i in frames)
    found = [seen[1] for seen in (sees(picture, 0) for picture in pictures) if seen is not None]
    return np.array(found).reshape(-1, len(SCORE_NAMES))


def told(scores: Array, moods: Array) -> dict[str, float]:
    """The area under the curve of each sign, of clips' mean scores (n, 52) and moods (n,) of
    `HEARD`; NaN where a side has no clip."""
    areas = {}
    for sign, (names, own, others) in SIGNS.items():
        value = scores[:, [SCORE_NAMES.index(name) for name in names]].mean(1)
        high = np.isin(moods, [HEARD.index(mood) for mood in own])
        low = np.isin(moods, [HEARD.index(mood) for mood in others]) if others else ~high
        areas[sign] = told_apart(value[high | low], high[high | low])
    return areas


def measure_acted(
    animator: Animator, faces: list[Face], utterances: list[Utterance], sees: Sees
) -> tuple[Array, Array, Array, Array]:
    """Each utterance on one of the faces.

    Returns:
        Mean scores (n, 52) relative to the face at rest, moods acted (n,), moods heard (n,), and
        the scores of all frames (m, 52), relative, too.
    """
    still = Motion.still(1).replace(rest=np.ones((1, 1), dtype=np.float32))
    rest = {face.digest: label(animator, face, still, [0], sees) for face in faces}
    faces = [face for face in faces if len(rest[face.digest])]
    means, acted, heard, every = [], [], [], []
    for index, (utterance, face) in enumerate(
        zip(tqdm(utterances, desc="acted"), cycle(faces), strict=False)
    ):
        speech = animator.listen(utterance.path)
        motion = animator.sample(speech, [0], seed=index)[0]
        scores = label(animator, face, motion, moments(motion, speech), sees)
        if not len(scores):
            continue
        scores = scores - rest[face.digest]
        means.append(scores.mean(0))
        every.append(scores)
        acted.append(utterance.mood)
        heard.append(MOODS.index(animator.emotion(speech).mood))
    return np.stack(means), np.array(acted), np.array(heard), np.concatenate(every)


def measure_plain(
    animator: Animator, faces: list[Face], files: list[Path], sees: Sees
) -> tuple[Array, int]:
    """By how much the voice's feeling shifts each score of plain speech on average, (52,), and how
    many recordings show any feeling at any moment."""
    shifts, felt = [], 0
    for index, (file, face) in enumerate(
        zip(tqdm(files, desc="plain"), cycle(faces), strict=False)
    ):
        speech = animator.listen(file)
        motion = animator.sample(speech, [0], seed=index)[0]
        felt += bool(motion.feeling[:, :-1].any())
        without = animator.edit(motion, Edit(feeling=NONE), speech)
        frames = moments(motion, speech)
        one, other = (label(animator, face, m, frames, sees) for m in (motion, without))
        if len(one) == len(other) > 0:
            shifts.append((one - other).mean(0))
    return np.abs(np.mean(shifts, axis=0)), felt


def spread_of_real(folder: Path, sources: Sequence[str]) -> Array:
    """Standard deviation of each score (52,) within all clips of a person, over some sources."""
    people = defaultdict(list)
    for clip in load_labelled(folder):
        if clip.source in sources:
            people[clip.person].append(clip.scores)
    return np.asarray(np.sqrt(np.mean([np.concatenate(c).var(0) for c in people.values()], axis=0)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, required=True, help="emotion.csv")
    parser.add_argument("--source", default="ravdess", help="the corpus; default: %(default)s")
    parser.add_argument("--every", type=int, default=1, help="use one utterance in so many")
    parser.add_argument("--task", type=Path, required=True, help="face_landmarker.task")
    parser.add_argument("--portraits", type=Path, nargs="+", required=True, help="photos, folders")
    parser.add_argument("--plain", type=Path, nargs="*", default=[], help="plain recordings")
    parser.add_argument("--scores", type=Path, help="what training.data.scores wrote")
    parser.add_argument("--real", nargs="+", default=["dreamtalk"], help="sources of --scores")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    animator = load_animator()
    photos = [
        photo
        for place in options.portraits
        for photo in (sorted(place.iterdir()) if place.is_dir() else [place])
        if photo.suffix.lower() in PHOTO_SUFFIXES
    ]
    faces = [animator.fit(photo) for photo in photos]
    utterances = [
        one
        for one in read_utterances(options.table)
        if one.validation and one.source == options.source
    ][:: options.every]
    with landmarker(options.task, video=False) as sees:
        means, acted, heard, every = measure_acted(animator, faces, utterances, sees)
        print(f"{len(means)} utterances of {options.source} on {len(faces)} portraits")
        for by, moods in (("acted", acted), ("heard", heard)):
            areas = ", ".join(f"{sign} {area:.2f}" for sign, area in told(means, moods).items())
            print(f"by what was {by}: {areas}")
        if options.plain:
            shift, felt = measure_plain(animator, faces, options.plain, sees)
            most = int(shift.argmax())
            print(
                f"plain speech: {felt} of {len(options.plain)} recordings show anything; on "
                f"average no score shifts by more than {shift[most]:.3f} ({SCORE_NAMES[most]})"
            )
    if options.scores:
        real, made = spread_of_real(options.scores, options.real), every.std(0)
        seen = real > 0.02
        ratios = {SCORE_NAMES[i]: float(made[i] / real[i]) for i in np.flatnonzero(seen)}
        inside = np.mean([0.7 <= ratio <= 1.3 for ratio in ratios.values()])
        print(f"spread against {', '.join(options.real)}: {inside:.2f} of scores within 0.7 to 1.3")
        print(", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()))


if __name__ == "__main__":
    main()
