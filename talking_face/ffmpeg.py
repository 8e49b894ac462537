"""ffmpeg as a program: found, started, fed, heard, and never left hanging or running.

The only module that starts it. A file of somebody's is opened by what it holds, never by what it
names: playlists, addresses and lists of other files are refused. What ffmpeg says is read while it
works and kept for the log; people are told its cause in plain words.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import IO

import imageio_ffmpeg

from talking_face.errors import (
    EncodingFailed,
    FfmpegMissing,
    OutputUnwritable,
    TalkingFaceError,
)
from talking_face.interruption import Unwanted, heed, unwanted
from talking_face.motion import FPS

MOST_PIXELS = 2**25  # of a picture in a video: 8K has a little less
STALL = 60.0  # seconds in which nothing gets on: no picture taken, made or written
_LOOK = 0.5  # seconds between two looks whether what it does is still wanted
SAID = 65536  # bytes kept of the beginning, and of the end, of what one run says

# Containers and bare streams that hold their own sound and pictures. Nothing here names another
# file or an address, as concat, hls, dash, image2, imf, sdp, rtp and lavfi do. The first ones say
# when each piece of their sound is to be heard; in the others, it simply goes on.
TIMED = (
    "asf,asf_o,avi,dv,flv,gxf,ivr,matroska,mov,mpeg,mpegts,mxf,nsv,nut,ogg,pva,rm,webm,wtv"
).split(",")
FORMATS = ",".join(TIMED) + (
    ",aac,ac3,aea,aiff,alaw,amr,amrnb,amrwb,ape,au,caf,dsf,dss,dts,dtshd,eac3,flac,g722,g723_1,"
    "g729,gsm,iff,ilbc,ircam,loas,mlp,mp3,mpc,mpc8,mulaw,nistsphere,oma,qcp,shn,sln,sox,tak,"
    "truehd,tta,voc,w64,wav,wv,xwma"
)

Part = tuple[int, int]  # of a file: its first byte and the one behind its last

_DISK_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_CAUSES = (  # what ffmpeg says, what it means; the first that fits
    ("not on whitelist", "it is of a kind that isn't read here"),
    ("Permission denied", "its access rights forbid reading it"),
    ("matches no streams", "there is none in it"),
    ("not found for", "it was made by an encoder that this ffmpeg doesn't know"),
    ("no decoder found", "it was made by an encoder that this ffmpeg doesn't know"),
    ("Cannot allocate memory", "there is too little memory"),
    ("moov atom not found", "it ends too early, or was never finished, and lacks its index"),
    ("Invalid data found", "it is damaged, or something else than its name says"),
)
_POLLED = b"out_time="  # of the lines that ffmpeg tells its progress in, the one that is followed

logger = logging.getLogger(__name__)


def find_ffmpeg() -> str:
    """The ffmpeg program: the one on the path, else the one that comes with imageio-ffmpeg.

    Raises:
        FfmpegMissing: neither is there.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise FfmpegMissing(
            "No ffmpeg was found. Install ffmpeg, or reinstall the package imageio-ffmpeg."
        ) from error


def command() -> list[str]:
    """How every command begins.

    Raises:
        FfmpegMissing.
    """
    return [find_ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]


def source(path: str | Path, part: Part | None = None) -> list[str]:
    """Options that open a file, which may be anybody's: this file alone, and only as `FORMATS`.

    Larger pictures than `MOST_PIXELS` aren't decoded: each takes memory many times over. The name
    passes neither for an option nor for an address.

    Args:
        part: the bytes to read, where that isn't all of the file.
    """
    name, protocols = f"file:{Path(path).resolve()}", "file"
    if part is not None:
        name, protocols = f"subfile,,start,{part[0]},end,{part[1]},,:{name}", "file,subfile"
    limits = ["-protocol_whitelist", protocols, "-format_whitelist", FORMATS]
    return [*limits, "-max_pixels", str(MOST_PIXELS), "-i", name]


def raw_input(pixel_format: str, width: int, height: int, rate: float = FPS) -> list[str]:
    """Options for pictures without a header that come by the standard input, `rate` a second."""
    shape = f"-pixel_format {pixel_format} -video_size {width}x{height} -framerate {rate}"
    return f"-protocol_whitelist pipe -f rawvideo {shape} -i pipe:0".split()


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        status: the exit status.
        said: what ffmpeg said, or the beginning and the end of it; for the log, not for people.
        hung: it was ended here because it took too long.
    """

    status: int
    said: str
    hung: bool

    @property
    def failed(self) -> bool:
        return self.hung or self.status != 0

    def cause(self, otherwise: str) -> str:
        """Why it failed, in plain words; `otherwise` where what ffmpeg said isn't known."""
        if self.hung:
            return "it takes too long"
        if self.status < 0:
            return "this ffmpeg breaks down over it"
        return next((words for said, words in _CAUSES if said in self.said), otherwise)


class Process:
    """ffmpeg at work.

    What it says is read beside the work: more than a pipe holds would stop it. Waiting for it has
    a limit, after which it is killed and whatever waited for it goes on.
    """

    def __init__(self, command: list[str], stdin: int | IO[bytes], stdout: int) -> None:
        try:
            # In a group of its own, so that Ctrl-C reaches this process alone, which then cleans
            # up; what is Windows' word for that is 0 elsewhere.
            self._process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            logger.debug("%s can't be run: %s", command[0], error)
            raise FfmpegMissing(
                f"The ffmpeg of this machine can't be run ({error.strerror}). Install ffmpeg again."
            ) from error
        self.stdin, self.stdout = self._process.stdin, self._process.stdout
        self._said = b""
        self._hung = False
        self._limit: tuple[float, Unwanted] | None = None  # of what is being waited for
        self._closed = Event()
        self._listener = Thread(target=self._listen, name="hear ffmpeg", daemon=True)
        self._listener.start()
        # One for all that is waited for: a thread more for each picture takes longer than it.
        Thread(target=self._watch, name="watch ffmpeg", daemon=True).start()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Kill it if the block isn't through in time; pipes that the block waits for then end.

        Raises:
            Stopped: nobody wants what it does any more; at the end of the block.
        """
        self._limit = time.monotonic() + seconds, unwanted()
        try:
            yield
        finally:
            self._limit = None
        heed()

    def write(self, data: bytes | memoryview) -> bool:
        """Give it something, for which it has `STALL` seconds; False where it takes no more."""
        assert self.stdin is not None
        try:
            with self.within(STALL):
                self.stdin.write(data)
        except OSError:  # it has ended, or was ended; on Windows this isn't a BrokenPipeError
            return False
        return True

    def read(self, size: int, seconds: float) -> bytes:
        """At most `size` bytes of what it makes, fewer only at the end; within `seconds`."""
        assert self.stdout is not None
        with self.within(seconds):
            return self.stdout.read(size)

    def follow(self) -> None:
        """Wait while its progress, told by the standard output, gets on; else kill it."""
        assert self.stdout is not None
        told, since = b"", time.monotonic()
        while True:
            with self.within(STALL):
                line = self.stdout.readline()
            if not line:
                return
            if line.startswith(_POLLED) and line != told:
                told, since = line, time.monotonic()
            elif time.monotonic() - since > STALL:
                self._give_up()

    def end(self, seconds: float | None = None) -> Ended:
        """Close its input and wait until it is done, `STALL` seconds if nothing else is said."""
        with self.within(STALL if seconds is None else seconds):
            if self.stdin is not None:
                with suppress(OSError):
                    self.stdin.close()
            status = self._process.wait()
        self._listener.join(1)
        ended = Ended(status, self._said.decode(errors="replace").strip(), self._hung)
        if ended.said or ended.failed:
            logger.debug("ffmpeg ended with %d: %s", status, ended.said)
        return ended

    def kill(self) -> None:
        """End it at once, and what it may have started if it is a script around ffmpeg."""
        if self._process.poll() is not None:
            return
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()

    def close(self) -> None:
        """Leave nothing of it behind."""
        self._closed.set()
        self.kill()
        for pipe in (self.stdin, self.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()
        self._listener.join(1)

    def _watch(self) -> None:
        pause = _LOOK
        while not self._closed.wait(pause):
            limit, pause = self._limit, _LOOK
            if limit is None:
                continue
            end, unwanted = limit
            left = end - time.monotonic()
            if left <= 0:
                self._give_up()
            elif unwanted():
                self.kill()
            else:
                pause = min(_LOOK, left)

    def _give_up(self) -> None:
        self._hung = True
        self.kill()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as pipe:
            while words := os.read(pipe.fileno(), SAID):
                said = self._said + words
                self._said = said if len(said) <= 2 * SAID else said[:SAID] + said[-SAID:]


@contextmanager
def started(
    command: list[str],
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> Iterator[Process]:
    """ffmpeg running with these ends connected; never left running when the block ends.

    Raises:
        FfmpegMissing.
    """
    process = Process(command, stdin, stdout)
    try:
        yield process
    finally:
        process.close()


def run(command: list[str], stdin: bytes | memoryview | None, output: Path, path: Path) -> None:
    """Let ffmpeg write `output` from `stdin` or from files, as long as that gets on.

    Args:
        path: what the output will be called, for messages.

    Raises:
        EncodingFailed, OutputUnwritable, FfmpegMissing.
    """
    command = [*command, f"file:{output}", "-progress", "pipe:1"]
    ends = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    with started(command, ends, subprocess.PIPE) as process:
        if stdin is not None:  # beside its progress: both pipes are small
            Thread(target=_feed, args=(process, stdin), name="feed ffmpeg", daemon=True).start()
        process.follow()
        ended = process.end()
    if ended.failed:
        raise failure(ended, path)


def _feed(process: Process, data: bytes | memoryview) -> None:
    assert process.stdin is not None
    with suppress(OSError, ValueError):  # ended, closed
        process.stdin.write(data)
        process.stdin.close()


def failure(ended: Ended, path: Path) -> TalkingFaceError:
    """The error for a run that failed while it wrote what becomes `path`."""
    too_large = getattr(signal, "SIGXFSZ", None)  # not on Windows
    if (too_large and ended.status == -too_large) or any(
        words in ended.said for words in _DISK_FULL
    ):
        return OutputUnwritable(
            f"The disk is full; {path.name} could not be written. Make room or choose another "
            "folder."
        )
    cause = ended.cause("ffmpeg failed")
    return EncodingFailed(f"{path.name} could not be written: {cause}. Try again.")
