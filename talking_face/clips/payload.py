"""What the invisible mark says, as 48 bits, and the code that carries them through noise.

The code is a Reed-Solomon code over bytes (reedsolo), read as a binary linear code of 248 bits. It
is decoded from soft values, as reliable as they are, by ordered statistics (Fossorier and Lin,
"Soft-decision decoding of linear block codes based on ordered statistics", IEEE Transactions on
Information Theory 41, 1995). Knows nothing of pictures.
"""

from __future__ import annotations

import binascii
import datetime
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from reedsolo import RSCodec

from talking_face.arrays import Array
from talking_face.version import __version__

TOOL = 7  # this package; other numbers are free for those who change it
_MAJOR, _MINOR, *_ = __version__.split(".")
VERSION = int(_MAJOR), int(_MINOR)
EPOCH = datetime.date(2026, 1, 1)  # day 0; the last is eleven years later
CLIPS = 2**24  # numbers of clips

_FIELDS, _CHECK, _PARITY = 6, 2, 23  # bytes: the payload, its checksum, the code's redundancy
INFORMATION = 8 * (_FIELDS + _CHECK)  # bits
LENGTH = INFORMATION + 8 * _PARITY  # bits of a word of the code


@dataclass(frozen=True)
class Payload:
    """What the mark of one clip says.

    Attributes:
        tool: which program made it, 0 to 15.
        version: major and minor version of that program, 0 to 15 each.
        clip: a random number below CLIPS, which the signed manifest repeats.
        day: when, in UTC.
    """

    tool: int
    version: tuple[int, int]
    clip: int
    day: datetime.date

    @property
    def plausible(self) -> bool:
        """Whether a version of this package that exists can have said so by now."""
        tomorrow = datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=1)
        return self.tool == TOOL and self.version <= VERSION and self.day <= tomorrow

    def to_bytes(self) -> bytes:
        days = min(max((self.day - EPOCH).days, 0), 2**12 - 1)
        major, minor = self.version
        number = (self.tool & 15) << 44 | (major & 15) << 40 | (minor & 15) << 36
        return (number | self.clip % CLIPS << 12 | days).to_bytes(_FIELDS, "big")

    @classmethod
    def from_bytes(cls, data: bytes) -> Payload:
        number = int.from_bytes(data, "big")
        version = number >> 40 & 15, number >> 36 & 15
        day = EPOCH + datetime.timedelta(days=number & 2**12 - 1)
        return cls(number >> 44, version, number >> 12 & CLIPS - 1, day)


def encode(payload: Payload) -> Array:
    """The word that carries a payload, (LENGTH,) int8 of -1 and 1."""
    data = payload.to_bytes()
    checked = data + binascii.crc_hqx(data, 0xFFFF).to_bytes(_CHECK, "big")
    return _signs(_coder().encode(checked))


def decode(soft: Array) -> tuple[Payload | None, Array]:
    """The likeliest word for soft values.

    Args:
        soft: (LENGTH,) floating; the sign says which bit, the magnitude how surely.

    Returns:
        The payload, None where its checksum is wrong; and the word, (LENGTH,) int8 of -1 and 1.
    """
    order = np.argsort(-np.abs(soft), kind="stable")
    basis, places = _most_reliable_basis(order)
    hard = (soft[places] < 0).astype(np.uint8)
    # Every word that differs in at most two of the most reliable independent bits.
    flips = np.concatenate([np.zeros_like(hard)[None], _patterns(INFORMATION)])
    sums = (flips ^ hard).astype(np.float32) @ basis.astype(np.float32)  # numpy is fast in these
    words = (sums.astype(np.int32) & 1).astype(np.int8)
    best = int(np.argmax((1 - 2 * words) @ soft.astype(np.float32)))
    word = 1 - 2 * words[best]
    data = np.packbits(word[:INFORMATION] < 0).tobytes()
    right = binascii.crc_hqx(data[:_FIELDS], 0xFFFF) == int.from_bytes(data[_FIELDS:], "big")
    return Payload.from_bytes(data[:_FIELDS]) if right else None, word


@cache
def _coder() -> RSCodec:
    return RSCodec(_PARITY)


def _signs(data: bytes | bytearray) -> Array:
    bits = np.unpackbits(np.frombuffer(bytes(data), np.uint8))
    return (1 - 2 * bits.astype(np.int8)).astype(np.int8)


@cache
def _generator() -> Array:
    """(INFORMATION, LENGTH) uint8: the words of single bits; the code is their sums modulo 2."""
    empty = bytes(INFORMATION // 8)
    zero = _signs(_coder().encode(empty))
    rows = []
    for bit in range(INFORMATION):
        data = bytearray(empty)
        data[bit // 8] |= 128 >> bit % 8
        rows.append(_signs(_coder().encode(bytes(data))) != zero)
    return np.array(rows).astype(np.uint8)


@cache
def _patterns(length: int) -> Array:
    """All choices of one or two of so many bits, (n, length) uint8."""
    chosen = [*combinations(range(length), 1), *combinations(range(length), 2)]
    patterns = np.zeros((len(chosen), length), np.uint8)
    for row, places in zip(patterns, chosen, strict=True):
        row[list(places)] = 1
    return patterns


def _most_reliable_basis(order: Array) -> tuple[Array, Array]:
    """A generator that is the identity at the first independent places of an order.

    Returns:
        It, (INFORMATION, LENGTH) uint8, and those places, (INFORMATION,).
    """
    rows = _generator().copy()
    places: list[int] = []
    for place in order:
        done = len(places)
        found = np.flatnonzero(rows[done:, place])
        if not len(found):
            continue
        rows[[done, done + found[0]]] = rows[[done + found[0], done]]
        others = np.flatnonzero(rows[:, place])
        others = others[others != done]
        rows[others] ^= rows[done]
        places.append(int(place))
        if len(places) == INFORMATION:
            break
    return rows, np.array(places)
