"""ffmpeg as a program: started, fed, never left running, and its complaints turned into errors."""

from __future__ import annotations

import logging
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from talking_face.audio import find_ffmpeg
from talking_face.errors import (
    EncodingFailed,
    FfmpegMissing,
    OutputUnwritable,
    TalkingFaceError,
)
from talking_face.motion import FPS

_DISK_FULL = ("No space left on device", "Disk quota exceeded", "File too large")

logger = logging.getLogger(__name__)


def command() -> list[str]:
    """How every command begins.

    Raises:
        FfmpegMissing.
    """
    return [find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-y"]


def raw_input(pixel_format: str, width: int, height: int, rate: float = FPS) -> list[str]:
    """Options for pictures without a header that come by the standard input, `rate` a second."""
    shape = f"-pixel_format {pixel_format} -video_size {width}x{height} -framerate {rate}"
    return f"-f rawvideo {shape} -i pipe:0".split()


@contextmanager
def started(command: list[str], stdin: int, stdout: int) -> Iterator[subprocess.Popen[bytes]]:
    """ffmpeg running with these ends connected; never left running when the block ends.

    In a session of its own, so that Ctrl-C reaches this process alone, which then cleans up.
    """
    try:
        process = subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise FfmpegMissing(
            f"ffmpeg at {command[0]} can't be run ({error}). Install ffmpeg again."
        ) from error
    try:
        yield process
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        process.wait()


def run(command: list[str], stdin: bytes | None, path: Path) -> None:
    """Run ffmpeg to its end, `stdin` as its input; `path` is for messages.

    Raises:
        EncodingFailed, OutputUnwritable, FfmpegMissing.
    """
    ends = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    with started(command, stdin=ends, stdout=subprocess.DEVNULL) as process:
        complaint = process.communicate(stdin)[1].decode(errors="replace")
    if process.returncode != 0:
        raise failure(complaint, process.returncode, path)


def failure(complaint: str, status: int, path: Path) -> TalkingFaceError:
    """The error for a command that ended with this status while it wrote `path`."""
    logger.debug("ffmpeg ended with %d: %s", status, complaint)
    if status == -signal.SIGXFSZ or any(words in complaint for words in _DISK_FULL):
        return OutputUnwritable(
            f"The disk that holds {path.parent} is full. Make room or choose another folder."
        )
    reason = first_line(complaint) or f"exit status {status}"
    return EncodingFailed(f"ffmpeg could not write {path.name} ({reason}). Try again.")


def first_line(complaint: str) -> str:
    """ffmpeg names the cause first; what follows from it comes after."""
    return next((line.strip() for line in complaint.splitlines() if line.strip()), "")
