"""Two eyes' pictures in one frame, and what says so in a file.

Knows pictures and MP4's boxes; knows nothing of how the two pictures came to be.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np

from talking_face.arrays import UInt8
from talking_face.clips.mark import Mark

Packing = Literal["side-by-side", "half", "anaglyph"]
PACKINGS: tuple[Packing, ...] = get_args(Packing)
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
LEFT_RIGHT = 2  # of the box st3d (Google's Spherical Video V2)
CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def packed(left: UInt8, right: UInt8, packing: Packing, mark: Mark | None) -> UInt8:
    """One frame of two pictures (h, w, 3) uint8 RGB.

    Side by side, (h, 2 w, 3), or each squeezed to half its width, (h, w, 3); or red of the left
    one's brightness and the right one's green and blue, for red-cyan glasses, (h, w, 3).

    Args:
        mark: that `write_clip` will burn in, on one side: the other eye gets it here, in the same
            place, for a mark before one eye alone hurts.
    """
    if packing == "anaglyph":
        both = right.copy()
        both[..., 0] = np.rint(left.astype(np.float32) @ LUMA)
        return both
    height, width = left.shape[:2]
    if packing == "half":
        width = width // 4 * 2  # even, for the encoder
        left, right = _squeezed(left, width), _squeezed(right, width)
    if mark is not None:
        paint = mark.painter(height, 2 * width)
        if mark.corner.endswith("right"):
            left = paint(np.concatenate([left, left], axis=1))[:, width:]
        else:
            right = paint(np.concatenate([right, right], axis=1))[:, :width]
    return np.concatenate([left, right], axis=1)


def _squeezed(picture: UInt8, width: int) -> UInt8:
    size = (width, picture.shape[0])
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def say_side_by_side(path: Path) -> None:
    """Put the box st3d into an MP4's video track: its frames hold a left and a right picture.

    In the box alone: where the stream says so too (x264's frame-packing), ffmpeg 9 reads neither.
    """
    data = bytearray(path.read_bytes())
    box = struct.pack(">I4sIB", 13, b"st3d", 0, LEFT_RIGHT)
    parents, place = _video_entry(data)
    chunks = list(_chunk_offsets(data))
    moov = parents[0]
    if data.find(b"mdat", moov) > 0:  # what lies behind moves
        for at, form in chunks:
            (offset,) = struct.unpack_from(form, data, at)
            struct.pack_into(form, data, at, offset + len(box))
    for at in parents:
        (size,) = struct.unpack_from(">I", data, at)
        struct.pack_into(">I", data, at, size + len(box))
    data[place:place] = box
    path.write_bytes(data)


def boxes(data: bytearray | bytes, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Start, end and name of the boxes between two places."""
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        size = size or end - start
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
        yield start, start + size, name
        start += size


def _within(data: bytearray, start: int, end: int) -> Iterator[tuple[list[int], int, bytes]]:
    """Boxes inside of `CONTAINERS`: starts of those around and of its own, its end, its name."""
    for first, last, name in boxes(data, start, end):
        yield [first], last, name
        if name in CONTAINERS:
            for around, stop, inner in _within(data, first + 8, last):
                yield [first, *around], stop, inner


def _video_entry(data: bytearray) -> tuple[list[int], int]:
    """Starts of the boxes around the end of the video track's sample entry, and that end."""
    for around, last, name in _within(data, 0, len(data)):
        if name == b"stsd":
            for first, end, entry in boxes(data, around[-1] + 16, last):
                if entry == b"avc1":
                    return [*around, first], end
    raise ValueError("there is no H.264 in it")


def _chunk_offsets(data: bytearray) -> Iterator[tuple[int, str]]:
    """Places and formats of all chunk offsets."""
    for around, _, name in _within(data, 0, len(data)):
        if name in (b"stco", b"co64"):
            at = around[-1]
            (count,) = struct.unpack_from(">I", data, at + 12)
            step, form = (4, ">I") if name == b"stco" else (8, ">Q")
            yield from ((at + 16 + step * index, form) for index in range(count))
