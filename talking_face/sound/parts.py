"""Files that are several files: recordings, written one after the other into one.

ffmpeg stops where the second begins, or mistakes its times; each part alone is an ordinary file.
Knows how the containers that don't simply go on mark their beginning, and where those end that
something of another kind may follow. Bare streams of frames (mp3, ADTS, AC-3) have no beginning and
are parted where another coder goes on, streams of MPEG where their sound changes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from talking_face.ffmpeg import Part
from talking_face.sound import ends, frames, lengths, program, transport

Finder = Callable[[BinaryIO], Iterator[int]]
Rest = Callable[[BinaryIO], int | None]  # where another kind follows on what a file begins with

_BLOCK = 1 << 20  # bytes looked at together
_BUFFER = 1 << 16  # bytes read at once
_MOST = 200_000  # boxes, or packets of tags: hours have fewer
_LARGE = (b"mdat", b"moov", b"moof", b"free", b"skip", b"wide", b"uuid")  # boxes that may be cut
_FARTHEST = 1 << 50  # bytes; no file is larger


def split(path: Path) -> list[Part]:
    """Where the parts of a file lie; one part where it is one recording, or unknown."""
    starts: list[int] = []
    size = path.stat().st_size
    with path.open("rb") as file:
        waiting = [(0, size)]  # ranges of which only the beginning is known
        while waiting and len(starts) < _MOST:
            start, end = waiting.pop()
            find, rest = _kind(_range(file, start, end))
            alike = [0, *list(find(_range(file, start, end)))[1:], end - start]
            for one, behind in pairwise(alike):
                starts.append(start + one)
                other = rest(_range(file, start + one, start + behind))
                if other:  # not where it begins, if that is damaged
                    waiting.append((start + one + other, start + behind))
    starts.sort()
    return list(zip(starts, [*starts[1:], size], strict=True))


class _Range(io.RawIOBase):
    """Some bytes of a file, as a file."""

    name, mode = "a part", "rb"  # every file has them

    def __init__(self, file: io.BufferedReader, start: int, end: int) -> None:
        self._file, self._start, self._size, self._at = file, start, end - start, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size:  # however far
            return 0
        self._file.seek(self._start + self._at)
        count = self._file.readinto(memoryview(buffer)[: self._size - self._at])
        self._at += count
        return count


def _range(file: io.BufferedReader, start: int, end: int) -> BinaryIO:
    return io.BufferedReader(_Range(file, start, end), _BUFFER)


def _kind(file: BinaryIO) -> tuple[Finder, Rest]:
    """What finds the parts that are of the kind of the first one, and what is behind one."""
    head = _read(file, 0, frames.LONGEST)
    for mark, find, rest in _KINDS:
        if re.match(mark, head, re.DOTALL):
            return find, rest
    return (_once, _behind_frames) if frames.begin(file) else (_transport, _behind_packets)


def _once(_: BinaryIO) -> Iterator[int]:
    yield 0


def _transport(file: BinaryIO) -> Iterator[int]:
    yield 0
    yield from transport.changes(file)


def _program(file: BinaryIO) -> Iterator[int]:
    yield 0
    yield from program.changes(file)


def _every(mark: bytes) -> Finder:
    """A part begins wherever these bytes are; they are too many to come about by chance."""

    def find(file: BinaryIO) -> Iterator[int]:
        pattern = re.compile(mark, re.DOTALL)
        first = _read(file, 0, 4)
        offset = 0
        while block := _read(file, offset, _BLOCK + frames.LONGEST):
            at = block.find(first)
            while 0 <= at < _BLOCK:
                if pattern.match(block, at):
                    yield offset + at
                at = block.find(first, at + 1)
            offset += _BLOCK

    return find


def _ogg(file: BinaryIO) -> Iterator[int]:
    """The first pages of a part's streams follow each other; the others begin new parts."""
    behind = -1
    for start in _every(_OGG)(file):
        if start != behind:
            yield start
        count, *sizes = _read(file, start + 26, 256)
        behind = start + 27 + count + sum(sizes[:count])


def _mp4(file: BinaryIO) -> Iterator[int]:
    """The box `ftyp` begins a part."""
    yield from (at for at, kind in _boxes(file) if kind == b"ftyp")


def _boxes(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Where boxes begin, with their size in front, and their kinds; last, where none does."""
    start, whole = 0, file.seek(0, 2)
    for _ in range(_MOST):
        kind = _read(file, start + 4, 4)
        size = int.from_bytes(_read(file, start, 4), "big")
        if size == 1:
            size = int.from_bytes(_read(file, start + 8, 8), "big")
        broken_off = start + size > whole and kind not in _LARGE  # words, such as "Creative"
        if not re.fullmatch(rb"[\w ]{4}", kind) or broken_off:
            yield start, b""
            return
        yield start, kind
        if size < 8 or start + size > _FARTHEST:  # it goes on to the end, or nowhere
            return
        start += size


def _behind(end: Callable[[BinaryIO], int | None]) -> Rest:
    def rest(file: BinaryIO) -> int | None:
        at = end(file)
        return None if at is None else frames.find(file, at, _OTHERS)

    return rest


def _behind_packets(file: BinaryIO) -> int | None:
    """Packets that follow where some were lost are of the same stream."""
    return frames.find(file, ends.transport(file), _HEADS)


def _behind_frames(file: BinaryIO) -> int | None:
    return frames.end(file, _OTHERS)


def _end_of_boxes(file: BinaryIO) -> int | None:
    return next((at for at, kind in _boxes(file) if not kind), None)


def _read(file: BinaryIO, start: int, count: int) -> bytes:
    if start > _FARTHEST:  # where a damaged length leads
        return b""
    file.seek(start)
    return file.read(count)


def tags(path: Path) -> int:
    """How many packets of no sound a decoder takes the tags for that lie between frames, at most.

    Titles and cover pictures stand where one recording ends and another begins.
    """
    count = offset = 0
    with path.open("rb") as file:
        while count < _MOST and (block := _read(file, offset, _BLOCK + frames.LONGEST)):
            for tag in _TAG.finditer(block):
                if tag.start() < _BLOCK and offset + tag.start() > 0:
                    digits = [byte & 0x7F for byte in tag["id3"] or b""]
                    size = sum(digit << 7 * place for place, digit in enumerate(digits[::-1]))
                    size += int.from_bytes(tag["ape"] or b"", "little")
                    count += 2 + min(size, _LARGEST) // _LEAST
            offset += _BLOCK
    return count


_TAG = re.compile(
    rb"ID3[\x02-\x04][\0-\x0f].(?P<id3>[\0-\x7f]{4})|APETAGEX....(?P<ape>.{4})|LYRICSBEGIN",
    re.DOTALL,
)
_LEAST, _LARGEST = 512, 1 << 24  # bytes: of a packet of no sound, and of a tag

# The first block that isn't empty, of the first samples: flags at its byte 24 tell it from others.
_INITIAL = b"[" + b"".join(b"\\x%02x" % flags for flags in range(256) if flags & 8) + b"]"
_WAVPACK = rb"wvpk.{6}\0.{5}\0{4}(?!\0{4}).{5}" + _INITIAL
_PACK = re.escape(program.PACK)
_FIRST_PACK = rb"(?:[\x21-\x2f].{7}|[\x44-\x7f].{9})\x00\x00\x01[\xbb-\xff]"
_FLAC = rb"fLaC[\0\x80]\0\0\x22"
_OGG = rb"OggS\0[\x02\x06].{20}."
_KINDS: tuple[tuple[bytes, Finder, Rest], ...] = (
    (_OGG, _ogg, _behind(ends.ogg)),
    (rb"\0\0..ftyp", _mp4, _behind(_end_of_boxes)),
    (_PACK + _FIRST_PACK, _program, _behind(program.end)),
    (_PACK, _program, _behind(program.end)),
    (_FLAC, _every(_FLAC), _behind(ends.flac)),
    *(
        (mark, _every(mark), _behind(lengths.end))
        for mark in (
            rb"R(?:IFF|F64)....WAVE[\w ]{4}",  # whichever chunk comes first
            rb"BW64....WAVE[\w ]{4}",
            rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0",  # Sony Wave64
            rb"FORM....AIF[FC][\w ]{4}",
            rb"caff\0\x01\0\0desc",
        )
    ),
    *(
        (mark, _every(mark), _behind(end))
        for mark, end in (
            (rb"RIFF....AVI LIST", ends.avi),
            (_WAVPACK, ends.wavpack),
            (rb"TTA1[\x01\x02]\0[\x01-\x40]\0", ends.tta),
            (rb"Creative Voice File\x1a", ends.voc),
            (rb"#!AMR(?:-WB)?\n", ends.amr),
            (rb"\.snd\0\0.{6}\0\0\0[\x01-\x1b]\0.{3}\0\0\0[\x01-\x40]", ends.au),
            (rb"FLV\x01[\x01\x04\x05]\0\0\0\x09", ends.flv),
            (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", ends.asf),
            (rb"\x1a\x45\xdf\xa3.{1,40}?\x42\x82[\x84\x88](?:webm|matroska)", ends.matroska),
        )
    ),
)
_PACKETS = rb"G" + rb"(?:.{187}G)" * 5  # 941 bytes
_HEADS = b"|".join(mark for mark, _, _ in _KINDS if mark != _PACK)
_OTHERS = _HEADS + b"|" + _PACKETS
