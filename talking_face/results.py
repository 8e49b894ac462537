"""The folder that a command writes into, and which of the files there are its own.

A list in the folder, `.talking_face`, holds the checksum and the name of each file that a command
wrote, as `sha256sum` prints them. A later run may replace a file of the list that nobody has
changed since. Any other file, and whatever the run itself reads, stays: a run that would replace
it is refused before it does anything. Knows names and contents, nothing of what is in the files.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from talking_face.errors import OutputUnwritable
from talking_face.files import keep_apart, writing

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

LIST = ".talking_face"
LONGEST = 255  # bytes of a name, on all usual disks
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


class Results:
    """What one run writes into a folder.

    Args:
        folder: needn't be there yet.
        names: of all files that the run may write.
        inputs: the files that it reads.

    Raises:
        OutputUnwritable: one of the names is an input's, or a file's that no command wrote or
            that was changed since; or too long.
    """

    def __init__(self, folder: Path, names: Iterable[str], inputs: Iterable[Path]) -> None:
        self.folder = folder
        inputs = list(inputs)
        written = self._written()
        for path in (folder / name for name in names):
            if len(os.fsencode(path.name)) > LONGEST:
                raise OutputUnwritable(
                    f"{path.name:.40}… is too long for a file's name. Shorten the names of the "
                    "photo and the motion."
                )
            keep_apart(path, *inputs)
            if os.path.lexists(path) and not _is(path, written.get(path.name)):
                raise OutputUnwritable(
                    f"{path} is there already, and it isn't as a command of this package wrote it. "
                    "Move it away, or choose another folder with -o."
                )

    def add(self, path: Path) -> None:
        """Put a finished file on the list.

        Raises:
            OutputUnwritable: the list can't be written.
        """
        with _alone(self.folder):
            written = self._written() | {path.name: _digest(path)}
            lines = [f"{digest}  {name}\n" for name, digest in sorted(written.items())]
            with writing(self.folder / LIST) as hidden:
                hidden.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")

    def _written(self) -> dict[str, str]:
        """Checksums by name, as the list has them; none where there is no list."""
        path = self.folder / LIST
        if not os.path.lexists(path):
            return {}
        try:
            lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except OSError as error:
            raise OutputUnwritable(
                f"{path} can't be read ({error.strerror}). Choose another folder with -o."
            ) from error
        found = [_LINE.fullmatch(line) for line in lines]
        if path.is_symlink() or None in found:
            raise OutputUnwritable(
                f"{path} isn't the list of results that a command of this package writes. Move it "
                "away, or choose another folder with -o."
            )
        return {match[2]: match[1] for match in found if match}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let no other run write the list of a folder meanwhile, where the system can see to it."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network folders know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is(path: Path, digest: str | None) -> bool:
    """Whether that is a file of its own with this checksum."""
    if digest is None or path.is_symlink() or not path.is_file():
        return False
    try:
        return _digest(path) == digest
    except OSError:
        return False


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
