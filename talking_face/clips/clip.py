"""A rendered sample, and how its making is reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from talking_face.arrays import UInt8
from talking_face.errors import TalkingFaceError
from talking_face.motion import Motion
from talking_face.options import Progress, sample_label


@dataclass(frozen=True)
class Clip:
    """One rendered sample.

    Attributes:
        index: which sample of its seed, from 0.
        seed: (seed, index) and the speech decide the motion.
        motion: as sampled, before the pose strength and the edits were applied.
        path: the mp4; None where the sample failed.
        motion_path: the motion beside it as rendered, npz; None where the sample failed.
        error: what went wrong; None where nothing did.
    """

    index: int
    seed: int
    motion: Motion
    path: Path | None = None
    motion_path: Path | None = None
    error: TalkingFaceError | None = None

    @property
    def label(self) -> str:
        """What tells this sample from the others, for people."""
        return sample_label(self.index, self.seed)


def watched(
    frames: Iterator[UInt8],
    count: int,
    stage: str,
    progress: Progress | None,
    start: float = 0.0,
    share: float = 1.0,
) -> Iterator[UInt8]:
    """The same frames, reporting progress from `start` to `start + share` on the way."""
    for number, frame in enumerate(frames):
        if progress and number % 5 == 0:
            progress(start + share * number / count, stage)
        yield frame
    if progress:
        progress(start + share, stage)


def part_of(progress: Progress | None, done: int, parts: int) -> Progress | None:
    """Tells of the progress of one sample, after `done` others, as a part of all samples'."""
    if progress is None:
        return None
    stage = f"Rendering sample {done + 1} of {parts}"
    return lambda fraction, _: progress((done + fraction) / parts, stage)
