"""Where files lie: what is shipped, and results, which appear only when they are complete."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from talking_face.errors import OutputUnwritable

ATTEMPTS = 3  # at removing a folder
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
        OutputUnwritable: the folder can't be written, or the name can't be replaced.
    """
    with scratch(path) as hidden:
        yield hidden
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
    folder = Path(output)
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
