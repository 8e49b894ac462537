"""Are moods seen on the rendered faces? Measured by what real faces teach a classifier.

    python -m talking_face.training.measure.feelings --scores SCORES --task face_landmarker.task \\
        --portraits FOLDER --audio SPEECH --output OUT

Each mood is forced on each portrait, rendered, and labelled by MediaPipe's blendshape network,
relative to the same portrait's frames without feeling. A logistic regression on such scores of real
faces (training split) names the mood of the frames at its apex. Beside it stands its own accuracy
on real faces: on those of the validation split, most of them posed, and on people who speak, each
of whom is unknown to it. And: what becomes of the lips and of the person's identity. `moods.png` is
the sheet to look at: a row a portrait, a column a mood. SCORES is what
`talking_face.training.data.scores` wrote.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from tqdm import tqdm

from talking_face.animator import Animator, load_animator
from talking_face.arrays import Array
from talking_face.editing.edit import Edit
from talking_face.errors import TalkingFaceError
from talking_face.face.face import Face, find_faces
from talking_face.face.lips import TOUCHING, lip_gaps
from talking_face.moods import MOODS, NONE
from talking_face.motion import Motion
from talking_face.options import Look
from talking_face.sound.speech import Speech
from talking_face.training.data.prepare import PHOTO_SUFFIXES
from talking_face.training.data.scores import Look as Sees
from talking_face.training.data.scores import landmarker, load_labelled
from talking_face.training.measure.picture_figures import Embed, face_embedding

NAMED = tuple(mood for mood in MOODS if mood != "calm")  # those that real faces are labelled with
APEX = 0.85  # of the strongest, from which a feeling is at its apex
OPEN_EYES = 0.25  # closure up to which a frame is looked at
EVERY = 6  # frames of a clip, of which one is learned from
SIZE = 288  # pixels of the renders
STEPS, RATE, DECAY = 600, 0.05, 3e-3  # of the classifier

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RealFaces:
    """Real faces whose mood was named.

    Attributes:
        scores: (n, 52) relative to the person's neutral ones.
        moods: (n,) of `NAMED`.
        people: (n,) whose.
        training, speaking: (n,) bool, of the training split; of a clip, not a still.
    """

    scores: Array
    moods: Array
    people: Array
    training: Array
    speaking: Array

    def some(self, which: Array) -> tuple[Array, Array]:
        """Scores and moods of some of them."""
        return self.scores[which], self.moods[which]


def real_faces(folder: Path) -> RealFaces:
    """Those of people whose neutral face is there, too."""
    people = defaultdict(list)
    for faces in load_labelled(folder):
        people[faces.source, faces.person].append(faces)
    rows: list[tuple[Array, int, str, bool, bool]] = []
    for whose, clips in people.items():
        at_rest = [c.scores[np.array(c.moods) == "neutral"] for c in clips]
        if not sum(map(len, at_rest)):
            continue
        usual = np.concatenate(at_rest).mean(0)
        for clip in clips:
            for scores, mood in list(zip(clip.scores, clip.moods, strict=True))[
                :: 1 if clip.still else EVERY
            ]:
                if mood in NAMED:
                    of = " ".join(whose), clip.split == "train", not clip.still
                    rows.append((scores - usual, NAMED.index(mood), *of))
    return RealFaces(*(np.array(column) for column in zip(*rows, strict=True)))


def speakers(faces: RealFaces) -> dict[str, dict[str, float]]:
    """Person who speaks in clips -> mood -> how often it is named by a network that learned from
    the others of the training split."""
    found = {}
    for person in np.unique(faces.people[faces.speaking]):
        own = faces.people == person
        network = train(*faces.some(faces.training & ~own))
        right = names(network, faces.scores[own]) == faces.moods[own]
        shares = {mood: right[faces.moods[own] == number] for number, mood in enumerate(NAMED)}
        found[str(person)] = {m: float(share.mean()) for m, share in shares.items() if len(share)}
    return found


def train(scores: Array, moods: Array) -> torch.nn.Linear:
    """Logistic regression (52 -> 7), each mood as weighty as the others."""
    torch.manual_seed(0)
    network = torch.nn.Linear(scores.shape[1], len(NAMED))
    counts = np.bincount(moods, minlength=len(NAMED))
    weight = torch.from_numpy(len(moods) / np.maximum(counts, 1) / len(NAMED)).float()
    seen, wanted = torch.from_numpy(scores).float(), torch.from_numpy(moods)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(network(seen), wanted, weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


@torch.inference_mode()
def names(network: torch.nn.Linear, scores: Array) -> Array:
    """Moods (n,), numbers of `NAMED`, of scores (n, 52)."""
    return network(torch.from_numpy(scores).float()).argmax(1).numpy()


def moments(motion: Motion, count: int) -> Array:
    """Frames with open eyes at the apex of what is felt, spread evenly."""
    strength = motion.feeling[:, :-1].sum(1)
    awake = motion.lids.max(1) < OPEN_EYES
    apex = np.flatnonzero(awake & (strength >= APEX * strength[awake].max(initial=0.0)))
    return apex[np.linspace(0, len(apex) - 1, min(count, len(apex))).astype(int)]


def lips(animator: Animator, motion: Motion, felt: Motion) -> dict[str, float]:
    """How the lips of a motion that feels something follow those of the one that doesn't."""
    model = animator.models.face
    gaps = [
        lip_gaps(model.mean + model.displacement(m.lower, m.upper))[:, 3:6].mean(1)
        for m in (motion, animator.expressed(felt))
    ]
    closed = gaps[0] < TOUCHING
    parted = gaps[1][closed] > 2 * TOUCHING
    return {
        "lips r": float(np.corrcoef(*gaps)[0, 1]),
        "closures lost": float(parted.mean()) if closed.any() else 0.0,
    }


def measure(
    animator: Animator,
    face: Face,
    speech: Speech,
    motion: Motion,
    sees: Sees,
    embed: Embed | None,
    count: int,
) -> tuple[dict[str, Array], list[Array], dict[str, list[dict[str, float]]]]:
    """One portrait in all moods.

    Returns:
        Scores (n, 52) a mood, relative to the neutral ones; a frame each; and other figures.
    """
    scores: dict[str, Array] = {}
    pictures: list[Array] = []
    figures: dict[str, list[dict[str, float]]] = defaultdict(list)
    calm = animator.edit(motion, Edit(feeling=NONE), speech)
    person: Array | None = None
    for mood in MOODS:
        felt = calm if mood == "neutral" else animator.edit(motion, Edit(feeling=mood), speech)
        chosen = moments(felt, count)
        frames = [next(animator.render(face, felt[i : i + 1], Look(size=SIZE))) for i in chosen]
        found = [seen[1] for seen in (sees(frame, 0) for frame in frames) if seen is not None]
        if found:
            scores[mood] = np.stack(found)
        pictures.append(frames[0])
        row = lips(animator, calm, felt)
        marks = find_faces(frames[0])
        if embed is not None and marks:
            own = embed(frames[0], marks[0])
            person = own if person is None else person
            row["identity"] = float(own @ person)
        figures[mood].append(row)
    usual = scores["neutral"].mean(0)
    return {mood: own - usual for mood, own in scores.items()}, pictures, figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scores", type=Path, required=True, help="labelled real faces")
    parser.add_argument("--task", type=Path, required=True, help="face_landmarker.task")
    parser.add_argument("--portraits", type=Path, nargs="+", required=True, help="photos, folders")
    parser.add_argument("--audio", type=Path, required=True, help="a recording of plain speech")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=4, help="of a portrait and mood")
    parser.add_argument("--identity", type=Path, help="MobileFaceNet.onnx; default: not measured")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    real = real_faces(options.scores)
    network = train(*real.some(real.training))
    unknown, moods = real.some(~real.training)
    right = names(network, unknown) == moods
    recalls = [float(right[moods == mood].mean()) for mood in range(len(NAMED))]
    speaking = speakers(real)
    results: dict[str, Any] = {"real faces": dict(zip(NAMED, recalls, strict=True))}
    results["speakers"] = speaking
    animator = load_animator()
    speech = animator.listen(options.audio)
    embed = face_embedding(options.identity) if options.identity else None
    photos = [
        photo
        for place in options.portraits
        for photo in (sorted(place.iterdir()) if place.is_dir() else [place])
        if photo.suffix.lower() in PHOTO_SUFFIXES
    ]
    confusion = np.zeros((len(MOODS), len(NAMED)))
    figures: dict[str, list[dict[str, float]]] = defaultdict(list)
    sheet: list[Array] = []
    with landmarker(options.task, video=False) as sees:
        for index, photo in enumerate(tqdm(photos)):
            try:
                face = animator.fit(photo)
            except TalkingFaceError as error:
                logger.warning("%s is left out: %s", photo.name, error)
                continue
            motion = animator.sample(speech, [index])[0]
            found = measure(animator, face, speech, motion, sees, embed, options.frames)
            for mood, scores in found[0].items():
                counted = np.bincount(names(network, scores), minlength=len(NAMED))
                confusion[MOODS.index(mood)] += counted
            sheet.append(np.hstack(found[1]))
            for mood, rows in found[2].items():
                figures[mood] += rows
    forced = {m: confusion[MOODS.index(m), NAMED.index(m)] for m in NAMED}
    forced = {m: hits / confusion[MOODS.index(m)].sum() for m, hits in forced.items()}
    results["forced moods"] = {mood: round(float(share), 3) for mood, share in forced.items()}
    print(f"real validation faces: accuracy {right.mean():.2f}, mean recall {np.mean(recalls):.2f}")
    for person, own in speaking.items():
        felt = [share for mood, share in own.items() if mood != "neutral"]
        told = ", ".join(f"{mood} {share:.2f}" for mood, share in own.items())
        print(f"{person}, who speaks: moods named {np.mean(felt):.2f}; {told}")
    shares = [share for mood, share in forced.items() if mood != "neutral"]
    print(f"forced moods named at their apex: {np.mean(shares):.2f}")
    print(f"{'':12}" + "".join(f"{mood:>11}" for mood in NAMED))
    for mood, row in zip(MOODS, confusion, strict=True):
        rest = {n: np.mean([f[n] for f in figures[mood] if n in f]) for n in figures[mood][0]}
        told = ", ".join(f"{name} {value:.3f}" for name, value in rest.items())
        print(f"{mood:12}" + "".join(f"{value:11.0f}" for value in row) + f"   {told}")
        results[mood] = {name: float(value) for name, value in rest.items()}
    options.output.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.vstack(sheet))
    for column, mood in enumerate(MOODS):
        place = (column * SIZE + 4, 2)
        ImageDraw.Draw(picture).text(place, mood, (255, 255, 0), stroke_width=2, stroke_fill=0)
    picture.save(options.output / "moods.png")
    results["accuracy"] = float(right.mean())
    (options.output / "feelings.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
