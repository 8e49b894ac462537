"""The motion space: what an animation is, apart from whose face it moves.

This is the one place that documents it. A `Motion` is a sequence of frames at 25 fps; each frame
holds the channels below. All zeros is the photo, unchanged.

=========== ====  ==============  ===============================================================
channel     size  unit            meaning
=========== ====  ==============  ===============================================================
lower       16    standard dev.   expression coefficients of lips, jaw and cheeks (face model)
upper       6     standard dev.   expression coefficients of brows and forehead (face model)
lids        2     1               closure of the (image-left, image-right) eye: 0 as in the photo,
                                  1 closed, negative wider
gaze        2     degrees         eyes relative to the head: (yaw, pitch), + to image right, + down
rotation    3     degrees         head relative to the photo: (yaw, pitch, roll); + turns the nose
                                  to image right, + nods down, + tilts clockwise in the image
translation 3     inter-ocular    head relative to the photo: (x right, y down, z), where z is the
                                  natural logarithm of the scale, + nearer
rest        1     1               how far the photo's own lower-face expression is brought to rest
                                  before `lower` is added: 0 keeps it, 1 removes it
=========== ====  ==============  ===============================================================

Signs are the image's, not the person's, so that a motion can be checked by looking at a frame.
"""

from __future__ import annotations

import csv
import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talking_face.errors import MotionUnreadable, OutputUnwritable
from talking_face.files import appearing

FPS = 25
CHANNELS: dict[str, int] = {
    "lower": 16,
    "upper": 6,
    "lids": 2,
    "gaze": 2,
    "rotation": 3,
    "translation": 3,
    "rest": 1,
}
N_CHANNELS = sum(CHANNELS.values())
COLUMNS = ["seconds", *(f"{name}_{i}" for name, size in CHANNELS.items() for i in range(size))]
SPACE = "talking-face-motion-1"  # changes when the meaning of a channel changes


@dataclass(frozen=True)
class Motion:
    """Facial animation at 25 fps; see the module's table for units and axes.

    Every field is a float32 array of shape (frames, size).
    """

    lower: np.ndarray
    upper: np.ndarray
    lids: np.ndarray
    gaze: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    rest: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.lower)
        for name, size in CHANNELS.items():
            value = np.ascontiguousarray(getattr(self, name), dtype=np.float32)
            if value.shape != (frames, size):
                raise ValueError(f"{name} must have shape ({frames}, {size}), not {value.shape}")
            if not np.isfinite(value).all():
                raise ValueError(f"{name} holds numbers that are not finite")
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self) / FPS

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return len(self) * N_CHANNELS * np.dtype(np.float32).itemsize

    @classmethod
    def still(cls, frames: int) -> Motion:
        """The photo, unmoved, for that many frames."""
        return cls.from_array(np.zeros((frames, N_CHANNELS), dtype=np.float32))

    @classmethod
    def from_array(cls, array: np.ndarray) -> Motion:
        """The inverse of `as_array`; array: (frames, 33)."""
        edges = np.cumsum(list(CHANNELS.values()))[:-1]
        return cls(*np.split(np.asarray(array, dtype=np.float32), edges, axis=1))

    def as_array(self) -> np.ndarray:
        """All channels side by side, (frames, 33) float32, in the order of the table."""
        return np.concatenate([getattr(self, name) for name in CHANNELS], axis=1)

    def replace(self, **channels: np.ndarray) -> Motion:
        """A copy with some channels replaced."""
        return dataclasses.replace(self, **channels)

    def with_pose_strength(self, strength: float) -> Motion:
        """A copy whose head rotation and translation are scaled; 0 holds the head still."""
        return self.replace(
            rotation=self.rotation * strength, translation=self.translation * strength
        )

    def __getitem__(self, frames: slice) -> Motion:
        """A part of the animation, by a slice of frames."""
        return Motion.from_array(self.as_array()[frames])

    def save(self, path: str | Path) -> None:
        """Write to .npz (smaller) or .csv (one row a frame, one named column a coefficient).

        Both hold every number exactly.

        Raises:
            OutputUnwritable: the folder can't be written, or the disk is full.
        """
        path = Path(path)
        try:
            with appearing(path) as hidden:
                if path.suffix == ".csv":
                    self._write_csv(hidden)
                else:
                    channels = {name: getattr(self, name) for name in CHANNELS}
                    with hidden.open("wb") as file:
                        np.savez_compressed(file, space=SPACE, fps=FPS, **channels)
        except OSError as error:
            raise OutputUnwritable(
                f"The motion {path} can't be written ({error.strerror}). Make room on the disk or "
                "choose another folder."
            ) from error

    def _write_csv(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for index, row in enumerate(self.as_array()):
                writer.writerow([f"{index / FPS:.2f}", *(f"{value:.9g}" for value in row)])

    @classmethod
    def load(cls, path: str | Path) -> Motion:
        """Read what `save` wrote.

        Raises:
            MotionUnreadable: no such file, not a motion, damaged, or of another motion space.
        """
        path = Path(path)
        advice = "Use a .npz or .csv that this version wrote with --motion-only or Motion.save."
        if not path.is_file():
            raise MotionUnreadable(f"There is no motion file {path}. Check the path.")
        try:
            if path.suffix == ".csv":
                with path.open(newline="") as file:
                    rows = list(csv.reader(file))
                if len(rows) < 2 or rows[0] != COLUMNS:
                    raise ValueError("the columns aren't those of a motion")
                return cls.from_array(np.array([row[1:] for row in rows[1:]], dtype=np.float32))
            with np.load(path, allow_pickle=False) as stored:
                if str(stored["space"]) != SPACE:
                    raise MotionUnreadable(
                        f"{path} holds the motion space {stored['space']}, not {SPACE}. {advice}"
                    )
                return cls(**{name: stored[name] for name in CHANNELS})
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise MotionUnreadable(f"{path} is not a motion file ({error}). {advice}") from error
