"""An animation: arrays of expression, head pose, gaze and eyelids at 25 fps.

What the numbers mean stands in `talking_face.motion_space`, how they lie in files in
`talking_face.motion_files`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from talking_face.arrays import Array, Float32
from talking_face.errors import MotionUnreadable, OptionInvalid
from talking_face.files import result_path
from talking_face.frozen import Frozen, read_only
from talking_face.motion_files import read_motion, write_motion
from talking_face.motion_space import CHANNELS as CHANNELS
from talking_face.motion_space import FPS as FPS
from talking_face.motion_space import MAX_SECONDS, MAX_VALUE
from talking_face.motion_space import N_CHANNELS as N_CHANNELS
from talking_face.options import MAX_POSE_STRENGTH, check_range, shown, whole_number


def _left_out() -> Float32:
    return np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Motion(Frozen):
    """Facial animation at 25 fps; see `talking_face.motion_space` for units and axes.

    Every field is a read-only float32 array of shape (frames, size). Those with a default are zero
    where they are left out.

    Raises:
        OptionInvalid: arrays of other shapes, or of what isn't a number from -1000 to 1000.
    """

    lower: Float32
    upper: Float32
    lids: Float32
    gaze: Float32
    rotation: Float32
    translation: Float32
    rest: Float32
    nuance: Float32 = field(default_factory=_left_out)
    feeling: Float32 = field(default_factory=_left_out)

    def __post_init__(self) -> None:
        frames = 0
        for name, size in CHANNELS.items():
            value = _numbers(f"The channel {name} of a motion", getattr(self, name))
            frames = frames if name != "lower" else len(value)
            if value.shape == (0, 0):
                value = np.zeros((frames, size), dtype=np.float32)
            if value.shape != (frames, size):
                raise OptionInvalid(
                    f"The channel {name} of a motion must have the shape ({frames}, {size}), not "
                    f"{value.shape}."
                )
            if not (np.abs(value) <= MAX_VALUE).all():  # NaN too
                raise OptionInvalid(
                    f"The channel {name} of a motion holds {_first_wrong(value)}. Only numbers up "
                    f"to {MAX_VALUE:g} are possible."
                )
            object.__setattr__(self, name, read_only(value))

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
        """The photo, unmoved, for that many frames; raises OptionInvalid."""
        frames = whole_number("The number of frames", frames)
        check_range("The number of frames", frames, 0, MAX_SECONDS * FPS)
        return cls.from_array(np.zeros((frames, N_CHANNELS), dtype=np.float32))

    @classmethod
    def from_array(cls, array: Array) -> Motion:
        """The inverse of `as_array`; array: (frames, N_CHANNELS); raises OptionInvalid."""
        values = _numbers("A motion", array)
        if values.ndim != 2 or values.shape[1] != N_CHANNELS:
            raise OptionInvalid(
                f"An array of shape {values.shape} is not a motion. Use (frames, {N_CHANNELS})."
            )
        return cls(*np.split(values, np.cumsum(list(CHANNELS.values()))[:-1], axis=1))

    def as_array(self) -> Float32:
        """All channels side by side, (frames, N_CHANNELS) float32, in the order of the table."""
        return np.concatenate([getattr(self, name) for name in CHANNELS], axis=1)

    def replace(self, **channels: Array) -> Motion:
        """A copy with some channels replaced; raises OptionInvalid."""
        unknown = [name for name in channels if name not in CHANNELS]
        if unknown:
            raise OptionInvalid(
                f"A motion has no channel {shown(unknown[0])}. Use {', '.join(CHANNELS)}."
            )
        return dataclasses.replace(self, **channels)

    def with_pose_strength(self, strength: float) -> Motion:
        """A copy whose head rotation and translation are scaled; 0 holds the head still.

        Raises:
            OptionInvalid: the strength isn't between 0 and 2.
        """
        strength = check_range("Pose strength", strength, 0, MAX_POSE_STRENGTH)
        return self.replace(
            rotation=self.rotation * strength, translation=self.translation * strength
        )

    def __getitem__(self, frames: slice) -> Motion:
        """A part of the animation, by a slice of frames; raises OptionInvalid.

        Frames are no items: going through a motion is an error rather than over at once.
        """
        if not isinstance(frames, slice):
            raise OptionInvalid(
                f"A part of a motion is a slice of its frames, as motion[5:6], not {shown(frames)}."
            )
        return Motion.from_array(self.as_array()[frames])

    def save(self, path: str | Path) -> None:
        """Write to .npz (smaller) or .csv (one row a frame, one named column a coefficient).

        Both hold every number exactly.

        Raises:
            OutputUnwritable: the folder can't be written, the disk is full, or the name ends
                otherwise.
        """
        write_motion(result_path(path), self.as_array())

    @classmethod
    def load(cls, path: str | Path) -> Motion:
        """Read a motion from a file, of 1 frame to 10 minutes; see `talking_face.motion_files`.

        What `save` wrote comes back exactly; other frame rates are brought to 25 fps.

        Raises:
            MotionUnreadable: no such file, not a motion, damaged, too long, or of another motion
                space. The message names the file without its folder.
        """
        if not isinstance(path, str | PathLike):
            raise MotionUnreadable(
                f"A motion can't be read from {shown(path)}. Give the path of its file."
            )
        return cls.from_array(read_motion(Path(path)))


def _numbers(what: str, given: Any) -> Float32:
    try:
        with np.errstate(over="ignore"):  # infinite then, and refused
            return np.ascontiguousarray(given, dtype=np.float32)
    except (
        TypeError,
        ValueError,
        RuntimeError,
        OverflowError,
    ) as error:  # RuntimeError: tensors
        raise OptionInvalid(
            f"{what} must be an array of numbers, (frames, size), not {shown(given)}."
        ) from error


def _first_wrong(values: Float32) -> str:
    frame, column = np.argwhere(~(np.abs(values) <= MAX_VALUE))[0]
    return f"{shown(values[frame, column])} in frame {frame}"
