"""Program streams (ISO/IEC 11172-1 and 13818-1) that were joined: where another coder goes on.

The clock of the second begins anew. Where its sound has the number of the first one's, ffmpeg goes
on by itself; where not, it takes them for two tracks that sound at the same time. Knows packs and
packets, nothing of sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

PACK = b"\0\0\1\xba"

_END, _PRIVATE = 0xB9, 0xBD
_SOUND = range(0xC0, 0xE0)
_PRIVATE_SOUND = (*range(0x80, 0x90), *range(0xA0, 0xB0), *range(0xC0, 0xD0))  # AC-3, DTS, PCM
_BLOCK = 1 << 20  # bytes read at once
_HEAD = 32  # bytes of a pack or packet that are looked at
_MOST = 1_000_000  # packs, packets and gaps that are looked at: two hours have fewer


def changes(file: BinaryIO) -> Iterator[int]:
    """Where, in bytes, the clock goes back and other streams of sound follow than before."""
    before: set[int] = set()
    now: set[int] = set()
    began = clock = at = offset = 0
    block = b""
    for _ in range(_MOST):
        if at < 0:
            break
        if not offset <= at <= offset + len(block) - _HEAD:
            file.seek(at)
            offset, block = at, file.read(_BLOCK)
        head = block[at - offset : at - offset + _HEAD]
        if head[:4] == PACK and len(head) == _HEAD:
            told, size = _clock(head)
            if told < clock:
                if before and now and now != before:
                    yield began
                before, now, began = now or before, set(), at
            clock = told
            at += size
        elif head[:3] == PACK[:3] and len(head) > 8 and head[3] > _END:
            now.update(_sound(head))
            at += 6 + int.from_bytes(head[4:6], "big")
        else:
            found = block.find(PACK, at - offset + 1)
            behind = max(at, offset + len(block) - len(PACK)) + 1
            at = offset + found if found >= 0 else _next_pack(file, behind)
    if before and now and now != before:
        yield began


def end(file: BinaryIO) -> int | None:
    """Behind the last pack, where another recording may follow; None where packs follow."""
    at, whole = 0, file.seek(0, 2)
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(_HEAD)
        if head[:4] == PACK and len(head) == _HEAD:
            at += _clock(head)[1]
        elif head[:3] == PACK[:3] and len(head) > 5 and head[3] >= _END:
            at += 4 if head[3] == _END else 6 + int.from_bytes(head[4:6], "big")
        else:
            break
    return None if at >= whole or _next_pack(file, at) >= 0 else at


def _clock(pack: bytes) -> tuple[int, int]:
    """Ticks of 90 kHz that a pack tells, and its size in bytes."""
    told = int.from_bytes(pack[4:10], "big")
    if pack[4] >> 6 == 1:  # MPEG-2: 3, 15 and 15 bits with a one behind each
        parts = (told >> 43 & 7) << 30 | (told >> 27 & 0x7FFF) << 15 | (told >> 11 & 0x7FFF)
        return parts, 14 + (pack[13] & 7)
    return (told >> 41 & 7) << 30 | (told >> 25 & 0x7FFF) << 15 | (told >> 9 & 0x7FFF), 12


def _sound(packet: bytes) -> Iterator[int]:
    """The number of the stream of sound that a packet belongs to, if it belongs to one."""
    if packet[3] in _SOUND:
        yield packet[3]
    elif packet[3] == _PRIVATE and packet[6] >> 6 != 2:  # of MPEG-1, which doesn't number them
        yield _PRIVATE
    elif packet[3] == _PRIVATE and 9 + packet[8] < len(packet):
        number = packet[9 + packet[8]]
        if number in _PRIVATE_SOUND:
            yield number


def _next_pack(file: BinaryIO, start: int) -> int:
    """Where the next pack begins; negative without one."""
    while True:
        file.seek(start)
        block = file.read(_BLOCK)
        found = block.find(PACK)
        if found >= 0 or len(block) < _BLOCK:
            return start + found if found >= 0 else -1
        start += _BLOCK - len(PACK) + 1
