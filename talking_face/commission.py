"""What is asked for in one go, checked before anything is done.

Knows options, edits, names of files, and which kind of thing has to be given where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from talking_face.clips.mark import Mark
from talking_face.editing.edit import Edit
from talking_face.face.face import Face
from talking_face.files import keep_apart, output_folder
from talking_face.motion import Motion
from talking_face.options import (
    MAX_DIVERSITY,
    MAX_POSE_STRENGTH,
    Look,
    check_frames,
    check_made,
    check_progress,
    check_range,
    check_sampling,
    file_name,
    sample_indices,
    sample_label,
)
from talking_face.picture.backdrop import load_backdrop
from talking_face.sound.speech import Speech


@dataclass(frozen=True, eq=False)
class Commission:
    """Some samples of one seed, and how they are to be shown; made by `commission`.

    Attributes:
        indices: which samples.
        seed, diversity, style: as for `Animator.sample`.
        pose_strength, edits: what is changed in all of them.
        look: framing, size and background.
    """

    indices: list[int]
    seed: int
    diversity: float
    style: str
    pose_strength: float
    edits: list[Edit]
    look: Look

    def name(self, index: int) -> str:
        """What the files of a sample are called, without their suffixes."""
        return file_name(sample_label(index, self.seed))

    def making(self, index: int) -> dict[str, Any]:
        """What a clip's signed statement tells of how its motion was made."""
        names = ("seed", "diversity", "style", "pose_strength")
        told = {name: getattr(self, name) for name in names}
        return told | {"edits": [asdict(edit) for edit in self.edits], "sample": index}

    def place(self, output: str | Path | None) -> Path | None:
        """The folder for the clips, made if it isn't there; None for a temporary one, later.

        Raises:
            OutputUnwritable: it can't be made, or a clip would replace the background.
        """
        if output is None:
            return None
        folder = output_folder(output)
        for index in self.indices:
            for suffix in (".mp4", ".npz"):
                keep_apart(folder / f"{self.name(index)}{suffix}", self.look.background)
        return folder

    def shown(self) -> Look:
        """The look with its background read, once for all clips; raises PhotoUnreadable."""
        if self.look.background is None:
            return self.look
        return Look(self.look.framing, self.look.size, load_backdrop(self.look.background))


def commission(
    samples: int | Sequence[int],
    seed: int,
    diversity: float,
    style: str,
    pose_strength: float,
    edits: list[Edit],
    look: Look,
) -> Commission:
    """What these arguments of `Animator.animate` ask for; raises OptionInvalid."""
    pose_strength = check_range("Pose strength", pose_strength, 0, MAX_POSE_STRENGTH)
    seed, indices = check_sampling(seed, diversity, style), sample_indices(samples)
    diversity = check_range("Diversity", diversity, 0, MAX_DIVERSITY)
    check_made("its constructor", Look, look)
    return Commission(indices, seed, diversity, style, pose_strength, edits, look)


def check_shown(
    face: Any, motion: Any, speech: Any, look: Any, mark: Any, progress: Any = None
) -> None:
    """Raise OptionInvalid unless a video can be made of these; speech and mark may be None."""
    check_made("`sample`", Motion, motion)
    check_frames(len(motion))
    check_made("`listen`", Speech, *([] if speech is None else [speech]))
    check_made("its constructor", Look, look)
    check_made("its constructor", Mark, *([] if mark is None else [mark]))
    check_progress(progress)
    check_made("`fit`", Face, face)
