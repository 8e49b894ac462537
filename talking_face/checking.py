"""`talking-face verify FILE…`: what files say of how they were made, for people or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from talking_face.errors import TalkingFaceError

COMMAND = "verify"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options behind `verify`; ends the program where they can't be understood."""
    parser = argparse.ArgumentParser(
        prog=f"talking-face {COMMAND}",
        description="Says whether files are marked as made by a machine: what their signed "
        "statement tells, whether the invisible mark is in pictures and videos, and what they say "
        "in plain words.",
        epilog="Exit code: 0 all files were looked at, 1 some couldn't be, 2 none could.",
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        type=Path,
        nargs="+",
        help="a picture, a video, or what else this program writes",
    )
    parser.add_argument(
        "--json", action="store_true", help="print a list with one object a file instead"
    )
    parser.add_argument("-v", "--verbose", action="count", default=0, help="say more")
    return parser.parse_args(arguments)


def check(options: argparse.Namespace) -> tuple[int, int]:
    """Print what is found; returns how many files couldn't be looked at, and how many could."""
    from talking_face.clips.verification import verify  # not before: it brings OpenCV

    told: list[dict[str, Any]] = []
    failed = 0
    for path in options.files:
        try:
            verdict = verify(path)
        except TalkingFaceError as error:
            failed += 1
            told.append({"file": str(path), "error": str(error)})
            print(f"talking_face: {error}", file=sys.stderr)
            continue
        told.append({"file": str(path), **verdict.told()})
        if not options.json:
            print("\n".join([f"{path}: {verdict.headline}", *verdict.sentences()]))
    if options.json:
        print(json.dumps(told, indent=2))
    return failed, len(told) - failed
