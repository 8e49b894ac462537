"""Where results go; they appear under their name only when they are complete."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from talking_face.errors import OutputUnwritable


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """An empty hidden file beside `path`, of the same suffix, gone when the block ends.

    Raises:
        OutputUnwritable: the folder can't be written.
    """
    hidden = path.parent.absolute() / f".{uuid.uuid4().hex}{path.suffix}"
    try:  # before the file is there, so that an interrupt finds the way out
        try:
            hidden.open("xb").close()
        except OSError as error:
            raise OutputUnwritable(
                f"Nothing can be written to {path.parent} ({error.strerror}). "
                "Choose another output folder."
            ) from error
        yield hidden
    finally:
        with suppress(OSError):  # there is nothing to remove where nothing could be written
            hidden.unlink()


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A scratch file that becomes `path` in one step if the block ends well.

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


def output_folder(output: str | Path | None) -> Path:
    """The folder for results, made if it isn't there; None makes a temporary one.

    Raises:
        OutputUnwritable.
    """
    if output is None:
        return Path(tempfile.mkdtemp(prefix="talking_face_"))
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
