"""Bare streams of frames, as MPEG audio, ADTS and AC-3 are: where one coder's frames end.

Such a stream has neither a beginning nor an end; each of its frames says what it is and how long.
ffmpeg decides by the first ones and passes over whatever another coder made. Knows the headers of
frames and the titles that stand between them.
"""

from __future__ import annotations

import re
from typing import BinaryIO

Frame = tuple[str, int]  # whose it is, and its size in bytes

_SURE = 8  # frames, one behind the other, that are no coincidence
_LOSSES = 10_000  # places where frames break off, or seem to begin, that are looked at
_UNLIKELY = 1_000_000  # marks that no frame follows; hundreds of megabytes have fewer
_HEAD = 16  # bytes of a frame, or of a title, that are looked at
_FEW, _BLOCK = 1 << 12, 1 << 20  # bytes read at once: where frames break off, and at most

# Thousands of bits a second, by layer, of MPEG 1 and of those of lower rates; Hz of MPEG 1.
_MPEG_1 = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
)
_MPEG_2 = (
    *((0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),) * 2,
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
)
_RATES = (44_100, 48_000, 32_000)
# The same of AC-3.
_AC3 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)

_MARKS = rb"\xff[\xe0-\xff]|\x0b\x77|\x56[\xe0-\xff]|\x7f\xfe\x80\x01"
_FIRST = b"\xff\x0b\x56\x7f"  # of these
_TITLE = rb"ID3[\x02-\x04][\0-\x0f].[\0-\x7f]{4}"  # its size is in the last four
LONGEST = 1024  # bytes; no mark is longer


def begin(file: BinaryIO) -> bool:
    """Whether frames are what a file begins with, or what is behind its title."""
    return _coder(file, _behind_title(file, 0)) is not None


def end(file: BinaryIO, others: bytes) -> int | None:
    """Where something else begins than the frames that a file begins with.

    Args:
        others: a pattern of what else may begin.

    Returns:
        None where there is nothing else, or no frames are at the beginning.
    """
    at = _behind_title(file, 0)
    kind = _coder(file, at)
    losses = 0
    while kind is not None and losses < _LOSSES:
        frame = _frame(_read(file, at, _HEAD))
        if frame is not None and frame[0] == kind:
            at += frame[1]
            continue
        losses += 1
        found = find(file, at, others)
        if found is None:
            return None
        at = _behind_title(file, found)
        if _coder(file, at) != kind:
            return found
    return None


def find(file: BinaryIO, start: int, others: bytes) -> int | None:
    """The first place, from `start` on, where frames begin, or what `others` is a pattern of.

    A title in front of either belongs to it.
    """
    known = re.compile(others, re.DOTALL)
    pattern = re.compile(b"|".join((_MARKS, _TITLE, others)), re.DOTALL)
    looked, unlikely, size = 0, 0, _FEW
    while block := _read(file, start, size):
        for mark in pattern.finditer(block):
            if block[mark.start()] in _FIRST and not _likely(block, mark.start()):
                unlikely += 1
                continue
            place = _behind_title(file, start + mark.start())
            if _coder(file, place) or known.match(_read(file, place, LONGEST)):
                return start + mark.start()
            looked += 1
            if looked > _LOSSES:
                return None
        if len(block) < size or unlikely > _UNLIKELY:
            return None
        start += size - LONGEST
        size = min(2 * size, _BLOCK)
    return None


def _likely(block: bytes, at: int) -> bool:
    """Whether a frame, and as far as the block goes, another one behind it may be there."""
    frame = _frame(block[at : at + _HEAD])
    if frame is None:
        return at > len(block) - _HEAD
    behind = block[at + frame[1] : at + frame[1] + _HEAD]
    return len(behind) < _HEAD or _frame(behind) is not None


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _behind_title(file: BinaryIO, at: int) -> int:
    """Where what has a title there begins; `at` where there is none."""
    head = _read(file, at, 10)
    if not re.fullmatch(_TITLE, head, re.DOTALL):
        return at
    return at + len(head) + sum(digit << 7 * place for place, digit in enumerate(head[:5:-1]))


def _coder(file: BinaryIO, at: int) -> str | None:
    """Whose frames begin there; None for too few of them."""
    first: str | None = None
    for _ in range(_SURE):
        frame = _frame(_read(file, at, _HEAD))
        if frame is None or frame[0] != (first or frame[0]):
            return None
        first = frame[0]
        at += frame[1]
    return first


def _frame(head: bytes) -> Frame | None:
    """The frame that begins with these bytes."""
    if len(head) < _HEAD:
        return None
    if head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        fits = size > 7 and head[2] >> 2 & 15 < 13 and not _flac(head)
        return ("ADTS", size) if fits else None
    if head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return _mpeg(head)
    if head[:2] == b"\x0b\x77":
        return _ac3(head)
    if head[0] == 0x56 and head[1] & 0xE0 == 0xE0:
        return "LATM", 3 + ((head[1] & 0x1F) << 8 | head[2])
    if head[:4] == b"\x7f\xfe\x80\x01":
        size = ((head[5] & 3) << 12 | head[6] << 4 | head[7] >> 4) + 1
        return ("DTS", size) if size >= 96 else None
    return None


def _mpeg(head: bytes) -> Frame | None:
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    rate, step, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or rate in (0, 15) or step == 3:
        return None
    table = _MPEG_1 if version == 3 else _MPEG_2
    hertz = _RATES[step] // {3: 1, 2: 2, 0: 4}[version]
    bits = 1000 * table[3 - layer][rate]
    if layer == 1:
        return "MPEG", (12 * bits // hertz + padding) * 4
    slots = 72 if layer == 3 and version != 3 else 144
    return "MPEG", slots * bits // hertz + padding


def _flac(head: bytes) -> bool:
    """Whether it is a frame of FLAC, whose first bytes are as those of some frames of ADTS."""
    if head[1] & 0xFC != 0xF8:
        return False
    block, rate = head[2] >> 4, head[2] & 15
    number = max(1, 8 - (head[4] ^ 0xFF).bit_length())  # bytes, of which the ones in front tell
    size = 4 + number + {6: 1, 7: 2}.get(block, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    rest = 0
    for byte in head[: size + 1]:
        rest ^= byte
        for _ in range(8):
            rest = (rest << 1 ^ (0x107 if rest & 0x80 else 0)) & 0xFF
    return size < len(head) and rest == 0


def _ac3(head: bytes) -> Frame | None:
    if head[5] >> 3 > 10:  # E-AC-3
        return "AC-3", 2 * ((head[2] & 7) << 8 | head[3]) + 2
    step, code = head[4] >> 6, head[4] & 63
    if step == 3 or code >= 2 * len(_AC3):
        return None
    rate = _AC3[code // 2]
    return "AC-3", 2 * (2 * rate, rate * 320 // 147 + (code & 1), 3 * rate)[step]
