"""Where a container ends, by what it tells of itself: another recording may have been joined to it.

Each function takes a file that begins with the container, and returns the byte behind its last
piece, or the first one that is none of its pieces; what is there, others look at.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

End = Callable[[BinaryIO], int]

_MOST = 500_000  # pieces that are looked at: two hours have fewer
_FARTHEST = 1 << 50  # bytes; no file is larger

_ASF = {"3026b275", "3626b275", "90080033", "d329e2d6", "f803b1fe", "d03fb73c"}  # its objects
# Elements of Matroska: the whole, clusters and what is in them, and what else is in the whole.
_MATROSKA = {0x1A45DFA3, 0x18538067, 0x1F43B675, 0xEC, 0xBF, 0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0x5854}
_MATROSKA |= {0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367}


def ogg(file: BinaryIO) -> int:
    return _walk(file, 0, 27 + 255, _page)


def flac(file: BinaryIO) -> int:
    """FLAC doesn't tell its end: that of what it tells first, which may hold heads of others."""
    at = 4
    for _ in range(_MOST):
        head = _read(file, at, 4)
        at += 4 + int.from_bytes(head[1:], "big")
        if not head or head[0] & 0x80:
            break
    return at


def asf(file: BinaryIO) -> int:
    def size(head: bytes) -> int:
        return int.from_bytes(head[16:], "little") if head[:4].hex() in _ASF else 0

    return _walk(file, 0, 24, size)


def avi(file: BinaryIO) -> int:
    return _walk(file, 0, 12, _riff)


def flv(file: BinaryIO) -> int:
    return _walk(file, 13, 11, _tag)


def wavpack(file: BinaryIO) -> int:
    return _walk(
        file, 0, 8, lambda h: 8 + int.from_bytes(h[4:], "little") if h[:4] == b"wvpk" else 0
    )


def amr(_: BinaryIO) -> int:
    """AMR doesn't tell its end either: most bytes are as good as the beginning of a frame."""
    return len(b"#!AMR\n")


def au(file: BinaryIO) -> int:
    head = _read(file, 0, 12)
    start, size = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:], "big")
    return start + size


def tta(file: BinaryIO) -> int:
    """Behind the frames whose sizes stand in front of them, each for so many samples."""
    head = _read(file, 0, 22)
    rate, count = struct.unpack("<2I", head[10:18])
    frames = min(-(-count // max(1, rate * 256 // 245)), _MOST)
    sizes = np.frombuffer(_read(file, 22, 4 * frames).ljust(4 * frames, b"\0"), "<u4")
    return 22 + 4 * frames + 4 + int(sizes.sum(dtype=np.int64))


def voc(file: BinaryIO) -> int:
    """Behind the block that ends them, or the last one that there is."""
    start = int.from_bytes(_read(file, 20, 2), "little")
    end = _walk(file, start, 4, _block)
    return end + (_read(file, end, 1) == b"\0")


def matroska(file: BinaryIO) -> int:
    """Where a browser records, nothing but the blocks themselves tells its length."""
    return _walk(file, 0, 12, _element)


def transport(file: BinaryIO) -> int:
    """Behind the last packets that follow each other from the beginning; of others, their end."""
    size = next((size for size in (188, 192, 204) if _synchronous(file, size)), 0)
    if not size:
        return file.seek(0, 2)
    return _walk(file, 0, 5, lambda head: size if head[4 if size == 192 else 0] == 0x47 else 0)


def _synchronous(file: BinaryIO, size: int) -> bool:
    clock = 4 if size == 192 else 0
    return all(_read(file, clock + i * size, 1) == b"G" for i in range(5))


def _walk(file: BinaryIO, start: int, head: int, size: Callable[[bytes], int]) -> int:
    """Go from piece to piece, each as long as its first bytes tell, to where none begins."""
    whole = file.seek(0, 2)
    for _ in range(_MOST):
        first = _read(file, start, head)
        step = size(first) if len(first) == head else 0
        if step <= 0:
            break
        start += step
    return min(start, whole)


def _page(head: bytes) -> int:
    return 27 + head[26] + sum(head[27 : 27 + head[26]]) if head[:4] == b"OggS" else 0


def _riff(head: bytes) -> int:
    size = int.from_bytes(head[4:8], "little")
    return 8 + size + size % 2 if re.match(rb"RIFF....AVI[ X]", head, re.DOTALL) else 0


def _tag(head: bytes) -> int:
    return 15 + int.from_bytes(head[1:4], "big") if head[0] in (8, 9, 18) else 0


def _block(head: bytes) -> int:
    """A block of VOC."""
    return 4 + int.from_bytes(head[1:], "little") if 0 < head[0] < 10 else 0


def _element(head: bytes) -> int:
    """An element of EBML; of one that holds others and doesn't tell its length, its head alone."""
    named = 9 - head[0].bit_length()
    told = 9 - head[min(named, 4)].bit_length()
    if named > 4 or told > 8 or int.from_bytes(head[:named], "big") not in _MATROSKA:
        return 0
    bits = 7 * told
    size = int.from_bytes(head[named : named + told], "big") & (1 << bits) - 1
    return named + told + (0 if size == (1 << bits) - 1 else size)


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    if at > _FARTHEST:  # where a damaged length leads
        return b""
    file.seek(at)
    return file.read(count)
