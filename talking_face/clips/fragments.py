"""An MP4 that is played while it is still being made: H.264 and AAC in fragments of one frame.

What MediaSource and every player take. ffmpeg encodes; frames and sound go to it through one pipe,
as a Matroska stream (RFC 9559), which says when each of them is due, so that frames may be left
out. Knows nothing of live faces. The frames carry their mark already.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from threading import Thread

import numpy as np

from talking_face import ffmpeg
from talking_face.arrays import Int16, UInt8
from talking_face.clips import colour
from talking_face.clips.marks import COMMENT
from talking_face.motion import FPS
from talking_face.sound.rates import SOUND_RATE

MIME = 'video/mp4; codecs="avc1.4d401f, mp4a.40.2"'  # main profile, level 3.1; what `_H264` makes
_BLOCK = 1 << 16  # bytes that are read at once, at most
# No frame waits for a later one; a whole picture every two seconds, for who begins in between.
_H264 = (
    f"-c:v libx264 -preset superfast -tune zerolatency -crf 23 -profile:v main -level 3.1 "
    f"-g {2 * FPS} -threads 1 -pix_fmt yuv420p -color_primaries bt709 -color_trc bt709 "
    "-colorspace bt709 -color_range tv"
).split()
_AAC = f"-c:a aac -b:a 96k -ar {SOUND_RATE} -ac 1".split()
_FRAGMENTS = (
    "-f mp4 -movflags +empty_moov+default_base_moof+frag_every_frame -flush_packets 1 "
    "-max_interleave_delta 100000 -muxdelay 0 -muxpreload 0"
).split()


class Fragments:
    """Encodes as frames and sound come; `close` it.

    Args:
        height, width: of the frames, pixels, even.
        deliver: called with the bytes of the file, in their order, by a thread of its own.

    Raises:
        FfmpegMissing.
    """

    def __init__(self, height: int, width: int, deliver: Callable[[bytes], object]) -> None:
        command = ffmpeg.command()
        command += "-fflags nobuffer -probesize 32 -analyzeduration 0 -f matroska".split()
        command += "-protocol_whitelist pipe -i pipe:0 -fps_mode vfr".split()
        command += ["-vf", colour.TAGS, *_H264, *_AAC, "-metadata", f"comment={COMMENT}"]
        command += [*_FRAGMENTS, "pipe:1"]
        self._deliver = deliver
        self._stack = ExitStack()
        self._process = self._stack.enter_context(
            ffmpeg.started(command, subprocess.PIPE, subprocess.PIPE)
        )
        self._reader = Thread(target=self._read, daemon=True, name="live fragments")
        self._reader.start()
        self._write(_head(height, width))

    def add(self, time: float, frame: UInt8, sound: Int16) -> bool:
        """Encode a frame, and the sound that ends with it; False where it has ended.

        Args:
            time: seconds at which the frame begins, later than before.
            frame: (height, width, 3) uint8 RGB.
            sound: (n,) int16, 48 kHz, all that follows what was given before.
        """
        at = round(1000 * time)
        early = max(0, round(1000 * (len(sound) / SOUND_RATE - 1 / FPS)))  # its beginning
        picture = colour.to_yuv(np.ascontiguousarray(frame)).tobytes()
        blocks = _block(2, sound.astype("<i2").tobytes(), -min(early, at)) + _block(1, picture)
        return self._write(_element(0x1F43B675, _element(0xE7, struct.pack(">Q", at)) + blocks))

    def end(self) -> None:
        """Encode what is left, deliver it, and let go of everything."""
        self._process.end()
        self._reader.join()
        self.close()

    def close(self) -> None:
        """Let go of everything at once."""
        self._stack.close()

    def _write(self, data: bytes) -> bool:
        if not self._process.write(data):
            return False
        assert self._process.stdin is not None
        self._process.stdin.flush()
        return True

    def _read(self) -> None:
        assert self._process.stdout is not None
        read = getattr(self._process.stdout, "read1", self._process.stdout.read)
        try:
            while piece := read(_BLOCK):
                self._deliver(piece)
        except (OSError, ValueError):  # closed meanwhile
            return


# -- Matroska -------------------------------------------------------------------------------------


def _element(name: int, content: bytes | None) -> bytes:
    """An element; None makes it one without an end."""
    head = name.to_bytes((name.bit_length() + 7) // 8, "big")
    if content is None:
        return head + b"\x01" + b"\xff" * 7
    return head + (1 << 56 | len(content)).to_bytes(8, "big") + content


def _number(name: int, value: int) -> bytes:
    return _element(name, value.to_bytes(8, "big"))


def _block(track: int, data: bytes, after: int = 0) -> bytes:
    """A piece of a track, due so many milliseconds after its cluster."""
    return _element(0xA3, struct.pack(">BhB", 0x80 | track, after, 0x80) + data)


def _head(height: int, width: int) -> bytes:
    """What stands before the first cluster: a track of pictures, I420, and one of sound."""
    # BITMAPINFOHEADER of Windows: what the track's codec is described by.
    size = width * height * 3 // 2
    bitmap = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 12, b"I420", size, 0, 0, 0, 0)
    video = _number(0xD7, 1) + _number(0x73C5, 1) + _number(0x83, 1)
    video += _element(0x86, b"V_MS/VFW/FOURCC") + _element(0x63A2, bitmap)
    video += _element(0xE0, _number(0xB0, width) + _number(0xBA, height))
    audio = _number(0xD7, 2) + _number(0x73C5, 2) + _number(0x83, 2)
    audio += _element(0x86, b"A_PCM/INT/LIT")
    rate = _element(0xB5, struct.pack(">d", SOUND_RATE))
    audio += _element(0xE1, rate + _number(0x9F, 1) + _number(0x6264, 16))
    tracks = _element(0x1654AE6B, _element(0xAE, video) + _element(0xAE, audio))
    info = _element(0x1549A966, _number(0x2AD7B1, 1_000_000))  # a millisecond a tick
    return (
        _element(0x1A45DFA3, _element(0x4282, b"matroska"))
        + _element(0x18538067, None)
        + (info + tracks)
    )
