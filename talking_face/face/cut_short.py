"""Photos whose files end too early, as broken-off uploads leave them: what there is of them.

Viewers show such photos as far as they go. Knows where the kinds of files tell their length, and
how decoders behave behind the end; nothing of colours and faces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from talking_face.arrays import Array

Box = tuple[int, int, int, int]  # left, top, right, bottom, pixels; the last two are outside

_END_OF_JPEG = b"\xff\xd9"
_NOTHING = (0, 127, 128)  # what decoders leave where nothing is, black, or a JPEG's grey
_JPEG_ROWS = 32  # pixels, the most that a JPEG codes together
# Decoders go on with whatever follows on the last byte, so what depends on it isn't in the file. A
# few are enough to lead them astray, and fewer decoders give up over them.
_FIRST = (b"", b"\x55" * 256, b"\xa5" * 256, b"\xe9\x11\x5b" * 80)
_MORE = 1 << 20  # bytes: decoders of WebP give up where they have read all
_MOST = 1 << 26  # bytes that are filled up: a damaged file may say that it is of any length


def fillings(data: bytes) -> Iterator[bytes]:
    """A file that ends too early, filled up in different ways; none for others, or if unknown.

    One after the other: each may be large, though little is there.

    Of a JPEG one way only: it doesn't tell how long it is, and is grey behind its end.
    """
    if data.startswith(b"\xff\xd8\xff"):
        yield data.rstrip(b"\xff") + _END_OF_JPEG
        return
    data, missing = _opened(data)
    if 0 < missing <= _MOST:
        for first in _FIRST:
            yield data + (first + bytes(missing))[:missing]


def is_told(data: bytes) -> bool:
    """Whether a file itself tells that it ends too early; a JPEG never does."""
    return _opened(data)[1] > 0


def is_progressive(data: bytes) -> bool:
    """Whether a file is a JPEG that begins coarse, and gets finer all over."""
    return data.startswith(b"\xff\xd8\xff") and _frame_of_jpeg(data) in (0xC2, 0xCA)


def turned(data: bytes) -> int:
    """How many quarter turns anticlockwise the decoder of a HEIC makes."""
    at = data.find(b"irot") if data[4:8] == b"ftyp" else -1
    return data[at + 4] & 3 if 0 <= at < len(data) - 4 else 0


def decoded_alike(pictures: Iterable[Array], turns: int = 0) -> Box:
    """The part of a picture that is there; empty where that is nothing, or unknown.

    Args:
        pictures: (H, W) or (H, W, channels), each decoded from another of `fillings`.
        turns: as of `turned`; files hold a picture row by row.
    """
    ways = (np.rot90(p.reshape(*p.shape[:2], -1), -turns) for p in pictures)
    first = next(ways)
    length, width = first.shape[:2]
    differs = [(first != other).any(axis=(1, 2)) for other in ways]
    lost = np.any(differs, axis=0) if differs else np.ones(length, dtype=bool)
    blank = first[-1, -1]
    if len(blank) == 3 and blank[1] > 0 and not blank[0] and not blank[2]:  # tiles of no colour
        lost |= (first == blank).all(axis=-1).any(axis=1)
    # What is made up may begin alike.
    rows = int(np.argmax(lost)) // 16 * 16 if lost.any() else length
    return (
        (0, 0, width, rows),
        (0, 0, rows, width),
        (0, length - rows, width, length),
        (length - rows, 0, length, width),
    )[turns % 4]


def not_blank(picture: Array) -> Box:
    """As `decoded_alike`, of one picture that has a single colour where nothing is."""
    picture = picture.reshape(*picture.shape[:2], -1)
    height, width = picture.shape[:2]
    last = picture[-1, -1]
    if np.ptp(last) > 0 or last[0] not in _NOTHING:
        return 0, 0, width, height
    rows = height - _at_the_end((picture == last).all(axis=(1, 2)))
    if last[0] > 0:
        rows -= _at_the_end((picture[:rows, -1] == last).all(axis=-1)[-_JPEG_ROWS:])
        rows = rows // 8 * 8 - 1  # colours of two rows of blocks are smoothed into each other
    return 0, 0, width, rows


def _at_the_end(true: Array) -> int:
    """How many are true, one after the other, at the end."""
    return len(true) if true.all() else int(np.argmin(true[::-1]))


def _frame_of_jpeg(data: bytes) -> int | None:
    """The marker that begins the picture of a JPEG, and says how it is coded."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _opened(data: bytes) -> tuple[bytes, int]:
    """A file, put right so that more may follow, and how many bytes of it are missing."""
    if re.match(rb"RIFF....WEBP", data, re.DOTALL):
        return _open_webp(data)
    return data, _length_of_boxes(data) - len(data) if data[4:8] == b"ftyp" else 0


def _open_webp(data: bytes) -> tuple[bytes, int]:
    """A WebP whose last chunk goes on, and by how many bytes; none if it is complete."""
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        missing = at + 8 + size - len(data)
        tag = int.from_bytes(data[at + 8 : at + 11], "little")
        modes_end = at + 18 + (tag >> 5) if data[at : at + 4] == b"VP8 " else 0
        if missing > _MOST or modes_end > len(data):  # without its modes a picture is nonsense
            break
        if missing > 0:
            missing += _MORE + size % 2  # chunks fill even numbers of bytes
            size += _MORE + size % 2
            sizes = (number.to_bytes(4, "little") for number in (at + size, size))
            longer = data[:4] + next(sizes) + data[8 : at + 4] + next(sizes) + data[at + 8 :]
            return longer, missing
        at += 8 + size + size % 2
    return data, 0


def _length_of_boxes(data: bytes) -> int:
    """Where the last of the boxes of a HEIC or AVIF ends."""
    at = 0
    while at + 16 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # it goes on to the end, whatever that is
            return len(data)
        at += size
    return at
