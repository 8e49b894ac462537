"""Hostile bytes that grow towards code that none has reached yet: libFuzzer, by atheris.

    python -m tests.guided head --seconds 60

Needs atheris (`pip install atheris`), which has wheels for few systems, so that nothing here
installs it. What is fed is this package's own reading of bytes: decoders are programs and libraries
of others, which tests/fuzz.py feeds. An input that crashes, takes 10 s or 2 GiB is written into the
current folder, and becomes a test in tests/test_hostile.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

Target = Callable[[bytes], Any]

NAMES = ("head", "motion", "table", "note", "words", "picture", "recipe", "gif")
LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=65536")


def of_file(load: Callable[[Path], Any], suffix: str) -> Target:
    """What loads a file, fed with its bytes."""
    path = Path(tempfile.mkdtemp()) / f"input{suffix}"

    def fed(data: bytes) -> Any:
        path.write_bytes(data)
        return load(path)

    return fed


def targets() -> dict[str, Target]:
    """What is fed, by name."""
    from talking_face.clips.declared import declared
    from talking_face.clips.enclosure import extras_of, opened, texture_of
    from talking_face.clips.share import with_comment
    from talking_face.face.photo import load_photo
    from talking_face.motion import Motion
    from talking_face.web.settings import from_recipe

    def head(data: bytes) -> None:
        for look in (extras_of, texture_of, opened):
            with suppress(ValueError):  # what these three say of what isn't a glb
                look(data)

    return {
        "head": head,
        "motion": of_file(Motion.load, ".npz"),
        "table": of_file(Motion.load, ".csv"),
        "note": of_file(declared, ".npz"),
        "words": of_file(declared, ".json"),
        "picture": of_file(load_photo, ".png"),
        "recipe": lambda data: from_recipe(data.decode("utf-8", "surrogateescape")),
        "gif": lambda data: with_comment(b"GIF89a" + data.ljust(8, b"\0"), "a comment"),
    }


def beginnings(name: str) -> list[str]:
    """A folder with files to begin with, where there are some of that kind."""
    from tests.fuzz import seeds

    kind = {"table": "motion", "note": "motion", "words": "text"}.get(name, name)
    folder = Path(tempfile.mkdtemp())
    for number, data in enumerate(seeds().get(kind, [])):
        (folder / str(number)).write_bytes(data)
    return [str(folder)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    import atheris

    with atheris.instrument_imports(include=["talking_face"]):
        from talking_face.errors import TalkingFaceError

        target = targets()[options.target]

    def one(data: bytes) -> None:
        try:
            target(data)
        except TalkingFaceError as error:
            if "\n" in str(error) or not str(error):
                raise AssertionError(f"no plain sentence: {error!r}") from error

    more = [f"-max_total_time={options.seconds}", *beginnings(options.target)]
    atheris.Setup([sys.argv[0], *LIMITS, *more], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
