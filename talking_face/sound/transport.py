"""Transport streams (ISO/IEC 13818-1) whose sound changes: where the change is.

A stream names its sound in a table that is sent again and again. ffmpeg goes by one such table all
the time, so what another coder made, or what is sent under another number, is lost. Where the table
changes, a new stream may as well begin. Knows packets and tables, nothing of sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from talking_face.arrays import Array

Sound = frozenset[tuple[int, ...]]  # of each stream of sound: number, kind, what describes it

_SIZES = {188: 0, 192: 4, 204: 0}  # bytes of a packet; of its clock, in front of the packet itself
_PACKETS = 4096  # looked at together
_SYNC = 0x47
_SURE = 5  # packets, one behind the other, that are no coincidence
_LOSSES = 256  # of the framing, after which a file isn't looked at any more

# Kinds of streams: MPEG, private, AAC, LATM, MPEG-H; AC-3, DTS and their kin. A private one is
# AC-3, Opus or whatever, unless a descriptor calls it VBI, teletext, subtitles or a program.
_KINDS = frozenset((0x03, 0x04, 0x06, 0x0F, 0x11, 0x1C, 0x2D, 0x2E, *range(0x80, 0x8B), 0xA1, 0xA2))
_SILENT = frozenset((0x45, 0x46, 0x56, 0x59, 0x6F))


def changes(file: BinaryIO) -> Iterator[int]:
    """Where, in bytes, the tables change that say what sound there is; nothing for other files."""
    programs: dict[int, Sound | None] = {}  # of the tables: their sound, once that is known
    sound: Sound | None = None  # of all of them
    listed = 0  # where the list of tables was last
    last: dict[int, bytes] = {}  # what was in each table
    for start, packet in _tables(file):
        number = (packet[1] & 0x1F) << 8 | packet[2]
        section = _section(packet)
        missing = programs.get(number, frozenset()) is None
        if section == last.get(number) and not missing:  # as nearly always
            if number == 0:
                listed = start
            elif number == max(programs, default=0):
                listed = 0
            continue
        last[number] = section
        if number == 0:
            programs = {table: programs.get(table) for table in _programs(section)}
            listed = start
        elif number in programs and section[:1] == b"\x02":
            programs[number] = _sound(section)
            known = [streams for streams in programs.values() if streams is not None]
            now = frozenset[tuple[int, ...]]().union(*known)
            if len(known) == len(programs) and now:
                if sound is not None and now != sound:
                    yield listed or start
                sound = now
            if number == max(programs):  # behind the last one the list is an old one
                listed = 0


def _tables(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Packets that begin a table, and where they are."""
    found, losses = _framing(file, 0), 0
    while found is not None and losses < _LOSSES:
        start, size = found
        file.seek(start)
        block = np.frombuffer(file.read(size * _PACKETS), np.uint8)
        packets = block[: len(block) // size * size].reshape(-1, size)[:, _SIZES[size] :]
        if not len(packets):
            return
        lost = np.flatnonzero(packets[:, 0] != _SYNC)
        whole = packets[: lost[0]] if len(lost) else packets
        begins = np.flatnonzero(whole[:, 1] & 0x40)
        for at in begins[_begins_table(whole[begins])]:
            yield start + int(at) * size, whole[at, :188].tobytes()
        start += len(whole) * size
        losses += len(lost) > 0
        found = _framing(file, start) if len(lost) else (start, size)


def _begins_table(packets: Array) -> Array:
    """Which of packets with a beginning have that of what isn't sound or picture."""
    head = np.where(packets[:, 3] & 0x20 != 0, 5 + packets[:, 4].astype(int), 4)
    head = np.minimum(head, 185)[:, None] + np.arange(3)
    payload = np.take_along_axis(packets, head, axis=1)
    return (packets[:, 3] & 0x10 != 0) & ~(payload == (0, 0, 1)).all(axis=1)


def _framing(file: BinaryIO, start: int) -> tuple[int, int] | None:
    """Where the next packets begin, and their size; None where there are none any more."""
    while True:
        file.seek(start)
        block = np.frombuffer(file.read(204 * _PACKETS), np.uint8) == _SYNC
        for size, clock in _SIZES.items():
            behind = size * (_SURE - 1)
            if len(block) > behind + clock:
                first = len(block) - behind
                rows = [block[row * size : row * size + first] for row in range(_SURE)]
                at = np.flatnonzero(np.all(rows, axis=0)[clock:])
                if len(at):
                    return start + int(at[0]), size
        if start == 0 or len(block) < 204 * _PACKETS:  # no stream, or all of it seen
            return None
        start += len(block) - 204 * _SURE


def _section(packet: bytes) -> bytes:
    """What of a table is in the packet that begins it, without header and checksum."""
    start = 5 + packet[4] if packet[3] & 0x20 else 4
    if start >= len(packet):
        return b""
    start += 1 + packet[start]
    section = packet[start : start + 3]
    length = int.from_bytes(section[1:3], "big") & 0xFFF
    return packet[start : start + 3 + length - 4]


def _programs(section: bytes) -> list[int]:
    """Numbers of the tables that the list names."""
    entries = [section[at : at + 4] for at in range(8, len(section) - 3, 4)]
    return [int.from_bytes(entry[2:], "big") & 0x1FFF for entry in entries if entry[:2] != b"\0\0"]


def _sound(section: bytes) -> Sound:
    """The streams of sound that a table names."""
    found = []
    at = 12 + (int.from_bytes(section[10:12], "big") & 0xFFF)
    while at + 5 <= len(section):
        kind, number = section[at], int.from_bytes(section[at + 1 : at + 3], "big") & 0x1FFF
        behind = at + 5 + (int.from_bytes(section[at + 3 : at + 5], "big") & 0xFFF)
        about, at = section[at + 5 : behind], behind
        described = sorted(set(_tags(about)))
        if kind in _KINDS and _SILENT.isdisjoint(described):
            found.append((number, kind, *described))
    return frozenset(found)


def _tags(descriptors: bytes) -> Iterator[int]:
    while len(descriptors) >= 2:
        yield descriptors[0]
        descriptors = descriptors[2 + descriptors[1] :]
