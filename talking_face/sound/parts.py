"""Files that are several files: recordings of one kind, written one after the other into one.

ffmpeg stops where the second begins, or mistakes its times; each part alone is an ordinary file.
Knows how the containers that don't simply go on mark their beginning. Bare streams of frames (mp3,
ADTS, AC-3) have no beginning and need no parting, streams of MPEG only where their sound changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from talking_face.ffmpeg import Part
from talking_face.sound import program, transport

Finder = Callable[[BinaryIO], Iterator[int]]

_BLOCK = 1 << 20  # bytes looked at together
_MOST = 200_000  # boxes, or packets of tags: hours have fewer
_FARTHEST = 1 << 50  # bytes; no file is larger
_LONGEST = 64  # bytes; no mark is longer


def split(path: Path) -> list[Part]:
    """Where the parts of a file lie; one part where it is one recording, or unknown."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_LONGEST)
        finds = (find for mark, find in _KINDS if re.match(mark, head, re.DOTALL))
        starts = list(next(finds, _transport)(file))
    return list(zip(starts, [*starts[1:], size], strict=True))


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
        while block := _read(file, offset, _BLOCK + _LONGEST):
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
    """Boxes with their size in front; the box `ftyp` begins a part."""
    start = 0
    for _ in range(_MOST):
        if not re.fullmatch(rb"[\w ]{4}", kind := _read(file, start + 4, 4)):
            return
        if kind == b"ftyp":
            yield start
        size = int.from_bytes(_read(file, start, 4), "big")
        if size == 1:
            size = int.from_bytes(_read(file, start + 8, 8), "big")
        if size < 8:  # it goes on to the end
            return
        start += size


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
        while count < _MOST and (block := _read(file, offset, _BLOCK + _LONGEST)):
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
_OGG = rb"OggS\0[\x02\x06].{20}."
_KINDS: tuple[tuple[bytes, Finder], ...] = (
    (_OGG, _ogg),
    (rb"....ftyp", _mp4),
    (re.escape(program.PACK), _program),
    *(
        (mark, _every(mark))
        for mark in (
            rb"(?:RIFF|RF64|BW64)....WAVE[\w ]{4}",  # whichever chunk comes first
            rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0",  # Sony Wave64
            rb"RIFF....AVI LIST",
            rb"FORM....AIF[FC][\w ]{4}",
            rb"fLaC[\0\x80]\0\0\x22",
            rb"caff\0\x01\0\0desc",
            rb"TTA1[\x01\x02]\0[\x01-\x40]\0",
            _WAVPACK,
            rb"Creative Voice File\x1a",
            rb"#!AMR(?:-WB)?\n",
            rb"\.snd\0\0.{6}\0\0\0[\x01-\x1b]\0.{3}\0\0\0[\x01-\x40]",
            rb"FLV\x01[\x01\x04\x05]\0\0\0\x09",
            rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",  # ASF
            rb"\x1a\x45\xdf\xa3.{1,40}?\x42\x82[\x84\x88](?:webm|matroska)",
        )
    ),
)
