"""What a live face did for a while, kept so that it can be made into a clip.

Kept are motions and sound, not frames: 4 kB a frame, no work meanwhile, and the clip shows the
frames that a busy machine left out. `talking_face.exports.write_take` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from talking_face.arrays import Array, Int16
from talking_face.errors import OptionInvalid
from talking_face.face.face import Face
from talking_face.live.chunks import Resampler
from talking_face.motion import FPS, Motion
from talking_face.motion_space import MAX_SECONDS
from talking_face.sound.audio import Recording
from talking_face.sound.rates import SAMPLE_RATE, SOUND_RATE

MOST = round(MAX_SECONDS * FPS)  # frames; what comes after them isn't kept
MOST_PHOTOS = 8  # each stays in memory until the clip is made


@dataclass(frozen=True, eq=False)
class Scene:
    """Frames that show one face.

    Attributes:
        face: who is seen.
        motion: as it was shown, mood and gaze and all.
    """

    face: Face
    motion: Motion


@dataclass(frozen=True, eq=False)
class Take:
    """A part of a live stream.

    Attributes:
        scenes: one after the other, a new one wherever another photo is shown.
        sound: (n,) int16, 48 kHz mono, as long as they are.
    """

    scenes: tuple[Scene, ...]
    sound: Int16

    def __len__(self) -> int:
        """How many frames."""
        return sum(len(scene.motion) for scene in self.scenes)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self) / FPS

    def recording(self) -> Recording:
        """The sound, as the clip's."""
        wave = self.sound.astype(np.float32) / 32768
        heard = Resampler(SOUND_RATE, SAMPLE_RATE).resample(wave)
        return Recording(heard, self.sound[:, None])


class Tape:
    """Keeps frame after frame; one thread adds, any may cut."""

    def __init__(self) -> None:
        self._frames: list[tuple[Face, Array, Int16]] = []

    def add(self, face: Face, motion: Motion, sound: Int16) -> None:
        """Keep a frame: a motion of one, and its sound."""
        if len(self._frames) < MOST:
            self._frames.append((face, motion.as_array(), sound))

    def take(self) -> Take:
        """All that was kept.

        Raises:
            OptionInvalid: nothing was.
        """
        frames = list(self._frames)
        if not frames:
            raise OptionInvalid("Nothing has been recorded yet. Let the face live for a moment.")
        faces, rows, sounds = zip(*frames, strict=True)
        cuts = [i for i in range(1, len(faces)) if faces[i] is not faces[i - 1]]
        motions = np.split(np.concatenate(rows), cuts)
        scenes = [
            Scene(faces[start], Motion.from_array(motion))
            for start, motion in zip([0, *cuts], motions, strict=True)
        ]
        return Take(tuple(scenes), np.concatenate(sounds))
