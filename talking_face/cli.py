"""The command line: `python -m talking_face PHOTO AUDIO`, or `talking-face` where it is installed.

A thin shell: it reads options, hands them to `talking_face.commands`, and turns errors into exit
codes. What makes clips is imported once the options are known to be right.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from talking_face import checking
from talking_face.arguments import FAILED, INTERRUPTED, OK, PARTLY, TERMINATED, parse
from talking_face.arguments import build_parser as build_parser
from talking_face.batch.arguments import build_parser as build_batch_parser
from talking_face.errors import TalkingFaceError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    batch, checks = words[:1] == ["batch"], words[:1] == [checking.COMMAND]
    if batch:
        options = build_batch_parser().parse_args(words[1:])
    else:
        options = checking.parse(words[1:]) if checks else parse(words)
    try:
        with _terminated_politely(), _all_names_printed(), _chatter_hidden(options.verbose):
            if checks:
                failed, made = checking.check(options)
                return OK if not failed else PARTLY if made else FAILED
            # Not before: it brings everything.
            if batch:
                from talking_face.batch import command

                return command.run(options)
            from talking_face import commands

            return commands.run(options)
    except TalkingFaceError as error:
        print(f"talking_face: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("talking_face: stopped; finished clips are kept.", file=sys.stderr)
        return INTERRUPTED


@contextmanager
def _terminated_politely() -> Iterator[None]:
    """A request to end (SIGTERM) removes half-written files as an interrupt does.

    Only the main thread hears signals; a program that calls `main` in another one minds them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: object) -> None:
        raise SystemExit(TERMINATED)

    previous = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _all_names_printed() -> Iterator[None]:
    """A name that standard output has no letters for is printed with escapes, not a traceback.

    Where it is UTF-8, what isn't text in a file's name is printed as the bytes that it is.
    """
    output = sys.stdout
    if not isinstance(output, io.TextIOWrapper):
        yield
        return
    before, wide = output.errors, output.encoding.lower() in ("utf-8", "utf8")
    output.reconfigure(errors="surrogateescape" if wide else "backslashreplace")
    try:
        yield
    finally:
        output.reconfigure(errors=before)


@contextmanager
def _chatter_hidden(verbose: int) -> Iterator[None]:
    """What libraries say goes nowhere, unless asked for; what this package says is shown.

    MediaPipe's compiled parts write to file descriptor 2 and can't be told to stop, so the
    descriptor is turned away, and Python keeps a copy of the real one.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.getLogger("talking_face").setLevel(level)
    logging.captureWarnings(True)
    # Someone else may have turned it away already, and a program without a console has none.
    if verbose or sys.stderr is None or sys.stderr is not sys.__stderr__:
        logging.basicConfig(format="%(name)s: %(message)s")
        yield
        return
    real = os.dup(2)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    logging.basicConfig(format="talking_face: %(message)s", level=logging.ERROR)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - os.devnull is no Path
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(real, 2)
        os.close(real)
        sys.stderr = sys.__stderr__
