"""How far a face that talks moves each score, against the person who said the same words.

    python -m talking_face.training.measure.ranges --clips CLIPS --task face_landmarker.task \\
        --sources SOURCE …

Of each clip with sound, a frontal frame is the photo, and its sound is spoken by it, with the
feeling that is heard; what was tracked of the clip drives it as well. Frames of all three, spread
evenly, are labelled by MediaPipe's blendshape network, and each score's deviation within a clip is
told as a share of the real one: what is wrong only in speech is the mapping's, what is wrong in
both is lost, or made up, where frames are rendered and seen again. Real people never sit in the
very same light and sharpness as themselves rendered, so a still photo's deviation isn't told.
"""

from __future__ import annotations

import argparse
import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from talking_face.animator import Animator, load_animator
from talking_face.arrays import Array
from talking_face.errors import TalkingFaceError
from talking_face.face.landmarks import track_face
from talking_face.motion import Motion
from talking_face.options import Look
from talking_face.training.data.clips import read_clips
from talking_face.training.data.motions import relative_motion
from talking_face.training.data.scores import SCORE_NAMES, landmarker
from talking_face.training.data.scores import Look as Sees
from talking_face.training.data.tracks import Track
from talking_face.training.measure.reenact import choose, choose_source, load_clip

SEEN = 0.02  # standard deviation in real clips, from which a score is told of
WITHIN = (0.7, 1.3)  # what a score's spread is to be, of the real one
SEEDS = 2  # of the animations drawn for a clip

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Spread:
    """Variances (52,) of the scores within one clip.

    Attributes:
        real, reenacted, spoken: of the person, of the photo driven by the person, and by the sound.
    """

    real: Array
    reenacted: Array
    spoken: Array


def measure(animator: Animator, path: Path, sees: Sees, frames: int, count: int) -> Spread | None:
    """One clip, of which `count` frames are labelled; None where too few show a face.

    Raises:
        TalkingFaceError: the clip has no sound, or no frame that could be the photo.
    """
    real = load_clip(path, frames)
    marks = np.stack(list(track_face(real)))
    ok = Track("", "", "", "", marks).ok
    speech = animator.listen(path)
    source, face = choose_source(real, marks, ok, animator.models.face)
    driven = relative_motion(marks, ok, source, face, animator.models.face)
    spoken = [animator.sample(speech, [0], seed=seed)[0] for seed in range(SEEDS)]
    length = min(len(driven), *(len(motion) for motion in spoken))
    chosen = np.flatnonzero(ok[:length])
    chosen = chosen[np.linspace(0, len(chosen) - 1, count).astype(int)]
    renderer = animator.renderer(face, Look(framing="photo"))

    def variance(pictures: list[Array]) -> Array:
        found = [seen[1] for seen in (sees(picture, 0) for picture in pictures) if seen is not None]
        return (
            np.var(found, axis=0) if len(found) > count // 2 else np.full(len(SCORE_NAMES), np.nan)
        )

    def rendered(motion: Motion) -> list[Array]:
        shown = animator.expressed(motion)
        return [renderer.frame(shown, int(index)) for index in chosen]

    each = [variance([real[index] for index in chosen]), variance(rendered(driven))]
    each.append(np.mean([variance(rendered(motion)) for motion in spoken], axis=0))
    return None if np.isnan(each).any() else Spread(*each)


def shares(spreads: list[Spread]) -> dict[str, tuple[float, float, float]]:
    """Score -> its deviation in real clips, and its share of that re-enacted, and spoken."""
    real, reenacted, spoken = (
        np.sqrt(np.mean([getattr(spread, name) for spread in spreads], axis=0))
        for name in ("real", "reenacted", "spoken")
    )
    return {
        SCORE_NAMES[i]: (float(real[i]), float(reenacted[i] / real[i]), float(spoken[i] / real[i]))
        for i in np.flatnonzero(real > SEEN)
    }


def report(title: str, spreads: list[Spread]) -> None:
    """Print the shares, and how many of them are as they are to be."""
    found = shares(spreads)
    low, high = WITHIN
    inside = [
        np.mean([low <= share[column] <= high for share in found.values()]) for column in (1, 2)
    ]
    print(
        f"{title}: {len(spreads)} clips, {len(found)} scores; within {low} to {high}: "
        f"re-enacted {inside[0]:.2f}, spoken {inside[1]:.2f}"
    )
    for name, (real, reenacted, spoken) in found.items():
        print(f"  {name:20} {real:.3f}  re-enacted {reenacted:.2f}  spoken {spoken:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="manifest or folder of videos")
    parser.add_argument("--split", default="val", choices=("train", "val"))
    parser.add_argument("--sources", nargs="+", help="default: all")
    parser.add_argument("--limit", type=int, default=0, help="clips of each source; 0: all")
    parser.add_argument("--frames", type=int, default=125, help="of a clip, at most")
    parser.add_argument("--labelled", type=int, default=25, help="of these")
    parser.add_argument("--task", type=Path, required=True, help="face_landmarker.task")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    clips = [
        clip
        for clip in read_clips(options.clips)
        if clip.split == options.split
        and clip.has_audio
        and clip.source in (options.sources or [clip.source])
    ]
    animator = load_animator()
    found: dict[str, list[Spread]] = defaultdict(list)
    with landmarker(options.task, video=False) as sees:
        for source, own in choose(clips, options.limit).items():
            for clip in tqdm(own, desc=source):
                try:
                    spread = measure(animator, clip.path, sees, options.frames, options.labelled)
                except TalkingFaceError as error:
                    logger.warning("%s is left out: %s", clip.key, error)
                    continue
                if spread is not None:
                    found[source].append(spread)
    for source, spreads in found.items():
        report(source, spreads)
    report("all", [spread for spreads in found.values() for spread in spreads])


if __name__ == "__main__":
    main()
