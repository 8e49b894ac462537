"""What a mood does to real people, and what is left of it when they re-enact it.

    python -m talking_face.training.measure.real_moods --scores SCORES --clips CLIPS \\
        --task face_landmarker.task --identity MobileFaceNet.onnx

Of each person who acts moods in clips, a neutral frame is the photo, and what is tracked of the
other frames drives it. Printed, mood by mood: how alike the person's own frames in that mood are to
the neutral one by a face embedding, which no rendering of that mood should be asked to exceed; how
alike the re-enacted frames are, also with the head held still; and for each blendshape score by how
much it rises in the motion's landmarks, and in the re-enacted picture, where it rises by one in the
real frame. SCORES is what `talking_face.training.data.scores` wrote of CLIPS.
"""

from __future__ import annotations

import argparse
import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talking_face.animator import Animator, load_animator
from talking_face.arrays import Array
from talking_face.clips.video import read_frames
from talking_face.face.face import find_faces
from talking_face.face.model import FaceModel
from talking_face.motion import Motion
from talking_face.training.data.neutral import Expressions, express_all, nuance_of
from talking_face.training.data.scores import (
    SCORE_NAMES,
    Blendshapes,
    landmarker,
    load_labelled,
)
from talking_face.training.data.scores import Look as Sees
from talking_face.training.measure.feelings import NAMED
from talking_face.training.measure.picture_figures import Embed, face_embedding

DAMPING = 0.002  # of the fits, as in `talking_face.training.fit.feeling`
FRAMES, MARGIN = 8, 3  # of a clip, and from its ends
TURNED = 12.0  # degrees of yaw and pitch from the photo's, up to which a frame is re-enacted
MOVES = 0.02  # standard deviation over frames, from which a score is told of


@dataclass(frozen=True, eq=False)
class Reenacted:
    """A frame, and the photo that re-enacts it.

    Attributes:
        mood: of `NAMED`.
        real, asked, seen: (52,) scores relative to the photo's: of the frame, of the landmarks that
            the motion asks for, and of the re-enacted picture.
        alike: cosines with the photo: of the real frame, the re-enacted one, and that with its head
            held still.
    """

    mood: str
    real: Array
    asked: Array
    seen: Array
    alike: tuple[float, float, float]


def coefficients(found: Expressions, frame: int, model: FaceModel) -> dict[str, Array]:
    """One row (1, size) of each channel, relative to the person's neutral face."""
    nuance = nuance_of(found.left_over(model)[[frame]], model.nuance, DAMPING)
    own = {name: values[[frame]] for name, values in found.motion.items()}
    return {**own, "nuance": nuance}


def read_some(path: Path, wanted: set[int]) -> dict[int, Array]:
    """Some frames (H, W, 3) uint8 RGB of a clip."""
    found = {}
    for index, frame in enumerate(read_frames(path)):
        if index in wanted:
            found[index] = frame
        if index >= max(wanted):
            break
    return found


def plainest(clips: list[Expressions]) -> tuple[Expressions, int] | None:
    """The frame of a person's neutral clips whose scores are nearest their mean."""
    neutral = [
        (clip, frame)
        for clip in clips
        for frame in np.flatnonzero(np.array(clip.of.moods)[clip.frames] == "neutral")
    ]
    if not neutral:
        return None
    scores = np.stack([clip.of.scores[clip.frames[frame]] for clip, frame in neutral])
    return neutral[int(((scores - scores.mean(0)) ** 2).sum(1).argmin())]


def reenacted(
    animator: Animator,
    clips: list[Expressions],
    root: Path,
    sees: Sees,
    network: Blendshapes,
    embed: Embed,
) -> Iterator[Reenacted]:
    """Some frames of one person's clips; none of a person without a neutral one."""
    model, still = animator.models.face, Motion.still(1)
    best = plainest(clips)
    if best is None:
        return
    photo, at = best[0], int(best[0].of.index[best[0].frames[best[1]]])
    picture = read_some(root / photo.of.path, {at})[at]
    renderer = animator.renderer(animator.fit(picture))
    usual = coefficients(*best, model)
    plain = renderer.frame(still)
    first, asked_first = sees(plain, 0), renderer.landmarks(still, 0)
    first_real = sees(picture, 0)
    person, own = likeness(plain, embed), likeness(picture, embed)
    if first is None or first_real is None or person is None or own is None:
        return
    for clip in clips:
        count = len(clip.frames)
        chosen = np.unique(np.linspace(MARGIN, count - 1 - MARGIN, FRAMES).astype(int))
        places = clip.of.index[clip.frames]
        frames = read_some(root / clip.of.path, set(places[chosen].tolist()))
        for i in chosen:
            real = frames[int(places[i])]
            values = coefficients(clip, int(i), model)
            change = {n: (v - usual[n]).astype(np.float32) for n, v in values.items()}
            mood = clip.of.moods[clip.frames[i]]
            if mood not in NAMED or np.abs(change["rotation"][0, :2]).max() > TURNED:
                continue
            motion = still.replace(**change)
            held = motion.replace(rotation=np.zeros((1, 3), dtype=np.float32))
            made = renderer.frame(motion)
            scored, scored_real = sees(made, 0), sees(real, 0)
            pictures = zip((real, made, renderer.frame(held)), (own, person, person), strict=True)
            alike = [(likeness(p, embed), whose) for p, whose in pictures]
            if scored is None or scored_real is None or any(one is None for one, _ in alike):
                continue
            marks = np.stack([renderer.landmarks(motion, 0), asked_first])
            asked = network.scores(marks)
            cosines = [float(one @ whose) for one, whose in alike if one is not None]
            yield Reenacted(
                mood,
                scored_real[1] - first_real[1],
                asked[0] - asked[1],
                scored[1] - first[1],
                (cosines[0], cosines[1], cosines[2]),
            )


def likeness(picture: Array, embed: Embed) -> Array | None:
    """The embedding of the largest face in a picture, if there is one."""
    marks = find_faces(picture)
    return embed(picture, marks[0]) if marks else None


def report(rows: list[Reenacted]) -> None:
    """Print what is left of people and of scores."""
    print(f"{len(rows)} frames\n{'':12}  real  re-enacted  head still")
    for mood in NAMED:
        alike = np.array([row.alike for row in rows if row.mood == mood])
        if len(alike):
            real, made, held = alike.mean(0)
            print(f"{mood:12} {real:5.2f} {made:11.2f} {held:11.2f}")
    real, asked, seen = (
        np.stack([getattr(row, name) for row in rows]) for name in ("real", "asked", "seen")
    )
    for index in np.flatnonzero(real.std(0) > MOVES):
        slopes = [np.polyfit(real[:, index], each[:, index], 1)[0] for each in (asked, seen)]
        r = np.corrcoef(real[:, index], seen[:, index])[0, 1]
        print(f"{SCORE_NAMES[index]:20} asked {slopes[0]:.2f}, seen {slopes[1]:.2f}, r {r:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scores", type=Path, required=True, help="labelled real faces")
    parser.add_argument("--clips", type=Path, required=True, help="the folder of their manifest")
    parser.add_argument("--source", default="dreamtalk", help="of the clips; default: %(default)s")
    parser.add_argument("--task", type=Path, required=True, help="face_landmarker.task")
    parser.add_argument("--identity", type=Path, required=True, help="MobileFaceNet.onnx")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    animator, network = load_animator(), Blendshapes(options.task)
    labelled = [c for c in load_labelled(options.scores) if c.source == options.source]
    people: dict[str, list[Expressions]] = defaultdict(list)
    for clip in express_all(labelled, animator.models.face, DAMPING):
        people[clip.of.person].append(clip)
    embed, rows = face_embedding(options.identity), []
    with landmarker(options.task, video=False) as sees:
        for clips in people.values():
            rows += list(reenacted(animator, clips, options.clips, sees, network, embed))
    report(rows)


if __name__ == "__main__":
    main()
