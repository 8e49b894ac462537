"""Where files lie: what is shipped, and results, which appear only when they are complete."""

from __future__ import annotations

import atexit
import errno
import io
import os
import re
import select
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from talking_face.errors import OutputUnwritable
from talking_face.options import shown

STALL = 60.0  # seconds that are waited for somebody who writes into a pipe
MAX_PIPED = 2**30  # bytes; ten minutes of any sound, or any photo
ATTEMPTS = 3  # at removing a folder
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a disk says that has no room
_PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """Where a folder lies that comes with the package: `weights` or `assets`.

    An installed copy has it inside of itself (see pyproject.toml), a checkout beside it.
    """
    inside = _PACKAGE / "shipped"
    return (inside if inside.is_dir() else _PACKAGE.parent) / folder


_temporary: set[Path] = set()  # folders that go when the process ends


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A name of the same suffix as `path`, in a hidden folder beside it that is gone at the end.

    The folder is this name's own, so that a program that is only just starting when the block is
    interrupted finds nowhere to put its file.

    Raises:
        OutputUnwritable: the folder can't be written.
    """
    folder = path.parent.absolute() / f".{uuid.uuid4().hex}"
    try:  # before the folder is there, so that an interrupt finds the way out
        try:
            folder.mkdir()
        except OSError as error:
            raise OutputUnwritable(
                f"Nothing can be written to {path.parent} ({error.strerror}). "
                "Choose another output folder."
            ) from error
        yield folder / f"unfinished{path.suffix}"
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder, also one that another program makes a file in at this very moment."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A scratch name; the file under it becomes `path` in one step if the block ends well.

    Raises:
        OutputUnwritable: the folder can't be written, the disk is full, or the name can't be
            replaced.
    """
    with scratch(path) as hidden:
        try:
            yield hidden
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise OutputUnwritable(
                f"{path} can't be written ({error.strerror}). Make room on the disk or choose "
                "another folder."
            ) from error
        try:
            hidden.replace(path)
        except OSError as error:
            raise OutputUnwritable(
                f"{path} can't be replaced ({error.strerror}). Choose another name."
            ) from error


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """As `appearing`, for blocks that only write: a disk that fails is told in a sentence.

    Raises:
        OutputUnwritable: also where the disk is full.
    """
    try:
        with appearing(path) as hidden:
            yield hidden
    except OSError as error:
        raise OutputUnwritable(
            f"{path} can't be written ({error.strerror}). Make room on the disk or choose another "
            "folder."
        ) from error


def is_file(path: Path) -> bool:
    """Whether there is a file; also where the name is too long or looking is forbidden."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_address(path: Path) -> bool:
    """Whether it is meant as an address of the internet, or of a browser's."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)) is not None


def is_folder(path: Path) -> bool:
    """Whether there is a folder; as `is_file`."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_pipe(path: Path) -> bool:
    """Whether what is there can be read but once: `<(…)` in a shell, or /dev/stdin behind `|`."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def read_pipe(path: Path) -> bytes:
    """All that somebody writes into a pipe; nothing where nobody does.

    Raises:
        OSError: it can't be read, or for STALL seconds nothing came, or there is no end to it.
    """
    came = bytearray()
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else opening waits for somebody to write
    try:
        while True:
            if not select.select([pipe], [], [], STALL)[0]:
                raise TimeoutError(errno.ETIMEDOUT, "nothing more came out of it")
            block = os.read(pipe, 2**20)
            came += block
            if len(came) > MAX_PIPED:
                raise OSError(errno.EFBIG, "there is no end to it")
            if not block:
                return bytes(came)
    finally:
        os.close(pipe)


def read_all(source: Any) -> bytes:
    """The bytes of a file in memory (bytes, bytearray, memoryview) or of an open one, from its
    beginning where it can be rewound.

    Raises:
        OSError, ValueError: an open file can't be read, is closed, or holds text.
    """
    if hasattr(source, "read"):
        if source.seekable():
            source.seek(0)
        source = source.read()
    if not isinstance(source, bytes | bytearray | memoryview):
        raise ValueError("it wasn't opened to read bytes")
    return bytes(source)


def in_memory(source: Any) -> bool:
    """Whether `read_all` takes it."""
    return isinstance(source, bytes | bytearray | memoryview | io.IOBase) or all(
        hasattr(source, name) for name in ("read", "seek", "seekable")
    )


def keep_apart(path: Path, *inputs: Any) -> None:
    """Refuse to write over what is being read, under whatever name: links, upper and lower case.

    Raises:
        OutputUnwritable: `path` is one of the inputs.
    """
    for given in inputs:
        if not isinstance(given, str | Path):  # pixels, or a file that is open
            continue
        try:
            same = path.samefile(given)
        except (OSError, ValueError):  # one of them isn't there
            continue
        if same:
            raise OutputUnwritable(
                f"{given} is an input and would be replaced by the result {path}. "
                "Choose another place for the results."
            )


def result_path(given: Any, suffix: str = "") -> Path:
    """Where somebody wants a result to be.

    Args:
        suffix: what its name has to end in, for what is written is of that kind.

    Raises:
        OutputUnwritable: that isn't a path, or the name ends otherwise.
    """
    if not isinstance(given, str | os.PathLike):
        raise OutputUnwritable(
            f'A result can\'t be written to {shown(given)}. Give a path, such as "clip.mp4".'
        )
    path = Path(given)
    if path.suffix.lower() != suffix and suffix:
        raise OutputUnwritable(
            f"{path} would be a wrong name for what is written. Choose one that ends in {suffix}."
        )
    return path


def output_folder(output: str | Path | None) -> Path:
    """The folder for results, made if it isn't there.

    None makes a temporary one, which is removed with all that is in it when the process ends; see
    `drop_if_empty` for before.

    Raises:
        OutputUnwritable.
    """
    if output is None:
        made = Path(tempfile.mkdtemp(prefix="talking_face_"))
        _temporary.add(made)
        return made
    folder = result_path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnwritable(
            f"The output folder {folder} can't be made ({error.strerror}). Choose another one."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputUnwritable(f"The output folder {folder} can't be written. Choose another one.")
    return folder


def drop_if_empty(folder: Path) -> None:
    """Remove a temporary folder of `output_folder` that nothing was written into; no other one."""
    if folder in _temporary:
        with suppress(OSError):  # there is something in it
            folder.rmdir()
            _temporary.discard(folder)


@atexit.register
def _remove_temporary() -> None:
    while _temporary:
        _remove(_temporary.pop())
