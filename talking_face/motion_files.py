"""Motions in files: .npz (arrays, as numpy stores them) and .csv (see `talking_face.motion_table`).

A file from outside may be anything. What it holds decides how it is read, not its name. Everything
that it says of its size is compared with what a motion may hold before anything is unpacked, so
that reading any file takes a few dozen megabytes at most. Values that no face has are refused,
since the renderer would draw at them for ever.

An .npz holds one array a channel, (frames, size) of any real type, the name of the motion space as
`space`, and its frame rate as `fps` (25 where there is none); other arrays, such as the `note` that
says what this is, are passed over. What
the first motion space didn't have may be missing.
"""

from __future__ import annotations

import io
import math
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from talking_face.arrays import Array
from talking_face.errors import MotionUnreadable, OutputUnwritable
from talking_face.files import writing
from talking_face.motion_space import (
    ADDED,
    CHANNELS,
    FPS,
    MAX_FPS,
    MAX_SECONDS,
    MAX_VALUE,
    MIN_FPS,
    SPACE,
    SPACES,
)
from talking_face.motion_table import COLUMNS, read_table, write_table
from talking_face.options import shown

ADVICE = "Correct it, or use a motion that this version wrote."
NOTE = "A motion of talking_face; whatever is rendered from it is AI-generated."
MAX_BYTES = 2**26  # of a file; 10 minutes at 120 fps, as text, are half of it
MAX_ITEM = 128  # bytes of one value; the longest is the name of a motion space
BLINK = 0.1  # closure beyond what is around it from which the lids' peak is kept

# What zipfile and numpy raise on damaged files.
DAMAGE = (
    EOFError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class Sips(io.BufferedReader):
    """A file that gives at most a megabyte at a time, whatever size its own headers tell."""

    SIP = 2**20  # bytes

    def read(self, size: int | None = -1) -> bytes:
        wanted = self.SIP if size is None or size < 0 else min(size, self.SIP)
        return super().read(wanted)


def write_motion(path: Path, values: Array) -> None:
    """Write values (frames, N_CHANNELS) float32 to an .npz or .csv, exactly.

    Raises:
        OutputUnwritable: the folder can't be written, the disk is full, or the name ends otherwise.
    """
    if path.suffix.lower() not in (".npz", ".csv"):
        raise OutputUnwritable(
            f"A motion can't be written as {path}. Choose a name that ends in .npz or .csv."
        )
    with writing(path) as hidden:
        if path.suffix.lower() == ".csv":
            write_table(hidden, values)
        else:
            parts = np.split(values, np.cumsum(list(CHANNELS.values()))[:-1], axis=1)
            with hidden.open("wb") as file:
                np.savez_compressed(
                    file, space=SPACE, fps=FPS, note=NOTE, **dict(zip(CHANNELS, parts, strict=True))
                )


def read_motion(path: Path) -> Array:
    """Read a motion of 1 frame to MAX_SECONDS.

    Other frame rates are brought to 25 fps by linear interpolation; closed lids stay as closed as
    they were, in the nearest frame.

    Returns:
        (frames, N_CHANNELS) float32, at 25 fps.

    Raises:
        MotionUnreadable: no such file, not a motion, damaged, too long, or of another motion space.
            The message names the file without its folder.
    """
    name = path.name[:80] or "The motion"
    with _open(path, name) as file:
        try:
            packed = file.read(4) in (b"PK\3\4", b"PK\5\6")
            file.seek(0)
            fps, values = (_read_arrays if packed else read_table)(file)
            _check_length(len(values), fps)
            return _resampled(values, fps).astype(np.float32)
        except MotionUnreadable as error:
            raise MotionUnreadable(
                f"{name} can't be used as a motion: {error}. {ADVICE}"
            ) from error
        except OSError as error:
            raise MotionUnreadable(
                f"{name} can't be read ({error.strerror}). Use another copy."
            ) from error


def _open(path: Path, name: str) -> BinaryIO:
    try:
        found = path.stat()  # first, since opening a pipe waits until somebody writes to it
        if not stat.S_ISREG(found.st_mode):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "not a file"
            raise MotionUnreadable(f"{name} is {kind}. Give the path of one motion file.")
        if found.st_size > MAX_BYTES:
            raise MotionUnreadable(f"{name} is larger than a motion can be. {ADVICE}")
        return Sips(io.FileIO(path))
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # names hold no NUL
        raise MotionUnreadable(f"There is no motion file {name}. Check the path.") from error
    except OSError as error:
        raise MotionUnreadable(
            f"The motion file {name} can't be opened ({error.strerror}). Check the path."
        ) from error


def _check_length(frames: int, fps: float) -> None:
    if not MIN_FPS <= fps <= MAX_FPS:
        raise MotionUnreadable(
            f"it has {shown(fps)} frames a second, where {MIN_FPS:g} to {MAX_FPS:g} are possible"
        )
    if frames < 1:
        raise MotionUnreadable("it holds no frames")
    if frames - 0.5 > MAX_SECONDS * fps:  # what rounded times leave open
        raise MotionUnreadable(f"it lasts more than {MAX_SECONDS / 60:g} minutes")


def _resampled(values: Array, fps: float) -> Array:
    """Values (n, N_CHANNELS) at some frame rate, as (frames, N_CHANNELS) at 25 fps."""
    if fps == FPS:
        return values
    from scipy.signal import find_peaks  # which takes a second to load

    frames = max(1, round(len(values) * FPS / fps))
    then, now = np.arange(len(values)) / fps, np.arange(frames) / FPS
    result = np.stack([np.interp(now, then, column) for column in values.T], axis=1)
    for lid in (place for place, name in enumerate(COLUMNS[1:]) if name.startswith("lids")):
        # An eye is shut for so short a time in a blink that this can fall between two frames.
        peaks, _ = find_peaks(values[:, lid], prominence=BLINK)
        nearest = np.minimum(np.rint(then[peaks] * FPS).astype(int), frames - 1)
        np.maximum.at(result[:, lid], nearest, values[peaks, lid])
    return result


# -- .npz -----------------------------------------------------------------------------------------


def _read_arrays(file: BinaryIO) -> tuple[float, Array]:
    """Frames per second, and values (frames, N_CHANNELS) float64."""
    with _undamaged("it"), zipfile.ZipFile(file) as stored:
        space = str(_scalar(stored, "space", "U"))
        if space not in SPACES:
            raise MotionUnreadable(f"it holds the motion space {space[:40]!r}, not {SPACE!r}")
        there = [
            name for name in CHANNELS if name not in ADDED or f"{name}.npy" in stored.namelist()
        ]
        fps = float(_scalar(stored, "fps", "iuf")) if "fps.npy" in stored.namelist() else FPS
        shapes = {name: _shape(stored, name, "iuf") for name in there}
        frames = max((shape[0] for shape in shapes.values() if shape), default=0)
        _check_length(frames, fps)
        values = {name: np.zeros((frames, size)) for name, size in CHANNELS.items()}
        for name, shape in shapes.items():
            if shape != values[name].shape:
                raise MotionUnreadable(
                    f"the array {name!r} has the shape {shape}, not {values[name].shape}"
                )
            values[name] = _values(stored, name)
        return fps, np.concatenate(list(values.values()), axis=1)


@contextmanager
def _undamaged(what: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise MotionUnreadable(f"{what} is damaged") from error


def _shape(stored: zipfile.ZipFile, name: str, kinds: str) -> tuple[int, ...]:
    """The shape of an array of certain kinds of values, from its header alone."""
    if f"{name}.npy" not in stored.namelist():
        raise MotionUnreadable(f"it has no array {name!r}")
    packed = stored.getinfo(f"{name}.npy")
    unknown = MotionUnreadable(f"the array {name!r} is stored in a way that is not known")
    # Other ways than numpy's can need any amount of memory: to unpack, or for their header alone.
    if packed.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise unknown
    with _undamaged(f"the array {name!r}"), stored.open(packed) as member:
        if npy.read_magic(member) != (1, 0):
            raise unknown
        shape, _, dtype = npy.read_array_header_1_0(member)
        if dtype.kind not in kinds or dtype.itemsize > MAX_ITEM:
            raise MotionUnreadable(f"the array {name!r} holds the wrong kind of values")
        if packed.file_size != member.tell() + math.prod(shape) * dtype.itemsize:
            raise MotionUnreadable(f"the array {name!r} has another size than it says")
    return shape


def _scalar(stored: zipfile.ZipFile, name: str, kinds: str) -> Array:
    if _shape(stored, name, kinds) != ():
        raise MotionUnreadable(f"the array {name!r} should be a single value")
    return _unpacked(stored, name)


def _values(stored: zipfile.ZipFile, name: str) -> Array:
    """A channel whose header was found to be right, (frames, size) float64, each possible."""
    values = _unpacked(stored, name).astype(np.float64)
    wrong = ~(np.abs(values) <= MAX_VALUE)  # NaN too
    if wrong.any():
        frame, column = np.argwhere(wrong)[0]
        first = shown(values[frame, column])
        raise MotionUnreadable(
            f"the array {name!r} has {first} in row {frame}, and only numbers up to {MAX_VALUE:g} "
            "are possible"
        )
    return values


def _unpacked(stored: zipfile.ZipFile, name: str) -> Array:
    with _undamaged(f"the array {name!r}"), stored.open(f"{name}.npy") as member:
        return npy.read_array(member, allow_pickle=False)
