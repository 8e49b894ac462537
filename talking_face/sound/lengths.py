"""Files of bare samples that say that they are shorter than they are.

A recorder writes its length last; where it lost power, or stopped putting it right, samples follow
behind the end that the file tells. Knows where WAV, RF64, Wave64, AIFF, CAF and AU tell it, and
what may follow the samples: chunks of the container, tags, zeros. AIFF and Wave64 tell another
length, and AIFF counts its frames, which ffmpeg stumbles over where they were left open.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from talking_face.ffmpeg import Part

Reader = Callable[[int, int], bytes]  # at, count -> bytes of the part, fewer only at its end
Patch = tuple[int, bytes]  # where in a part, and what to write over it

_WAVE64 = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"  # ends the names of its chunks
_CHUNKS = 64  # in front of the samples, at most
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"<")
_FEW = 4096  # bytes, a sector; fewer behind the end are no sound
_PLACEHOLDER = 2**31 - 2**20  # bytes; such lengths are written where it isn't known
_ENDLESS = 2**63  # lengths from here on mean that it isn't known
_BLOCK = 1 << 20  # bytes looked at together


@dataclass(frozen=True)
class _Length:
    """A length in a file: where it stands, how (as of `struct`), what it is, what it counts.

    That begins at `start`, and what of it are no samples has the size `counted`.
    """

    at: int
    form: str
    value: int
    start: int
    counted: int = 0


@dataclass(frozen=True)
class _Form:
    """A container of chunks: their names and lengths, as of `struct`, and which has the samples.

    The first chunk begins at `first`; a length counts `counted` bytes of the chunk's own header;
    chunks fill multiples of `whole` bytes; lengths of `unknown` are known to mean "to the end".
    """

    chunk: str
    samples: bytes
    first: int
    counted: int = 0
    whole: int = 2
    unknown: tuple[int, ...] = ()


_RIFF = _Form("<4sI", b"data", 12, unknown=(0,))
_RF64 = _Form("<4sI", b"data", 12)
_RIFF_64 = b"riff\x2e\x91"
_W64 = _Form("<16sQ", b"data" + _WAVE64, 40, counted=24, whole=8)
_AIFF = _Form(">4sI", b"SSND", 12)
_KINDS: tuple[tuple[bytes, _Form], ...] = (
    (b"RIFF", _RIFF),
    (b"RIFX", _Form(">4sI", b"data", 12, unknown=(0,))),
    (b"RF64", _RF64),
    (b"BW64", _RF64),
    (_RIFF_64, _W64),
    (b"FORM", _AIFF),
    (b"caff", _Form(">4sQ", b"data", 8, whole=1, unknown=(0, 2**64 - 1))),
)


@dataclass(frozen=True)
class Correction:
    """What to write over a part of a file so that ffmpeg reads all its samples.

    Attributes:
        patches: where in the part, and what.
        shorter: whether the part says that it is shorter than it is.
        share: which share of the samples that it says it has are there; None where it doesn't say.
    """

    patches: tuple[Patch, ...] = ()
    shorter: bool = False
    share: float | None = None


def correction(file: BinaryIO, part: Part) -> Correction:
    """What is to be put right; nothing where nothing is wrong, or nothing is known."""
    read = _reader(file, part)
    size = part[1] - part[0]
    patches = [patch for patch in (_samples_patch(read, size), _form_patch(read, size)) if patch]
    shorter = bool(patches)
    patches += _open_patches(read, size)
    return Correction(tuple(patches), shorter=shorter, share=_share(read, size))


def _form_patch(read: Reader, size: int) -> Patch | None:
    """A container's own length, where it ends before the samples do: ffmpeg looks no further."""
    for mark, form, at, number, counted in _OWN:
        if read(0, 16).startswith(mark) and (samples := _samples(read, form)) is not None:
            (told,) = struct.unpack(number, read(at, struct.calcsize(number)))
            if told + counted < samples.start:
                return at, _packed(number, size - counted)
    return None


def _share(read: Reader, size: int) -> float | None:
    """Which share of the samples that are told is there."""
    form = _form(read(0, 16))
    length = _samples(read, form) if form else None
    if form is None or length is None or length.value in form.unknown:
        return None
    told = length.value - length.counted
    if not 0 < told < _PLACEHOLDER or size <= length.start:
        return None
    return min(1.0, (size - length.start) / told)


def _open_patches(read: Reader, size: int) -> Iterator[Patch]:
    """Lengths that were left open and that ffmpeg takes for negative numbers, or for true."""
    if read(0, 16).startswith(_RIFF_64) and (samples := _samples(read, _W64)) is not None:
        if int.from_bytes(read(16, 8), "little") >= _ENDLESS:
            yield 16, _packed("<Q", size)
        if samples.value == _ENDLESS - 1:
            yield samples.at, _packed("<Q", size - samples.start + samples.counted)
    if read(0, 4) == b"FORM":
        at = next((at for at, name, _ in _chunks(read, _AIFF) if name == b"COMM"), None)
        if at is not None and int.from_bytes(read(at + 10, 4), "big") >= 2**31:
            yield at + 10, bytes(4)


def _packed(form: str, value: int) -> bytes:
    """A length, or the greatest that there is room for."""
    return struct.pack(form, min(value, 256 ** struct.calcsize(form) - 1))


def _samples_patch(read: Reader, size: int) -> Patch | None:
    """The length of the samples, where more of them follow."""
    head = read(0, 16)
    if head.startswith(b".snd") and len(head) >= 12:
        start, value = struct.unpack(">2I", head[4:12])
        return (8, b"\xff\xff\xff\xff") if value == 0 and start < size else None
    form = _form(head)
    if form is None:
        return None
    length = _samples(read, form)
    if length is None or length.value in form.unknown:
        return None
    end = length.start
    if length.value < _ENDLESS:
        end += max(0, length.value - length.counted)
        if any(_goes_on(read, form, end + gap, size) for gap in range(form.whole)):
            return None
    if size - end < _FEW or read(end, 16).startswith(_TAGS) or _silent(read, end, size):
        return None
    return length.at, _packed(length.form, size - length.start + length.counted)


# Of containers whose own length ffmpeg goes by: where it stands, how, and what it doesn't count.
_OWN = ((b"FORM", _AIFF, 4, ">I", 8), (_RIFF_64, _W64, 16, "<Q", 0))


def end(file: BinaryIO) -> int | None:
    """Where the samples of a file of them end, by what it says; None where it doesn't say that."""
    size = file.seek(0, 2)
    read = _reader(file, (0, size))
    form = _form(read(0, 16))
    length = None if form is None else _samples(read, form)
    if form is None or length is None or length.value in form.unknown or length.value >= _ENDLESS:
        return None
    return min(size, length.start + max(0, length.value - length.counted))


def _form(head: bytes) -> _Form | None:
    return next((form for mark, form in _KINDS if head.startswith(mark)), None)


def _reader(file: BinaryIO, part: Part) -> Reader:
    def read(at: int, count: int) -> bytes:
        count = min(count, part[1] - part[0] - at)
        if count <= 0:  # wherever a file may say that there is something
            return b""
        file.seek(part[0] + at)
        return file.read(count)

    return read


def _samples(read: Reader, form: _Form) -> _Length | None:
    """The length of the chunk with the samples."""
    long = None
    header = struct.calcsize(form.chunk)
    for at, name, value in _chunks(read, form):
        if name == form.samples:
            if long is not None:  # where RF64 keeps it
                value = int.from_bytes(read(long, 8), "little")
                return _Length(long, "<Q", value, at + header)
            length = form.chunk[0] + form.chunk[-1]
            where = at + header - struct.calcsize(length)
            return _Length(where, length, value, at + header, form.counted)
        if name == b"ds64" and form is _RF64:
            long = at + 16
    return None


def _chunks(read: Reader, form: _Form) -> Iterator[tuple[int, bytes, int]]:
    """Where the first chunks begin, their names, and their lengths as they are told."""
    at, header = form.first, struct.calcsize(form.chunk)
    for _ in range(_CHUNKS):
        chunk = read(at, header)
        if len(chunk) < header:
            return
        name, value = struct.unpack(form.chunk, chunk)
        yield at, name, value
        at += max(header, header - form.counted + value)
        at += -at % form.whole


def _goes_on(read: Reader, form: _Form, at: int, size: int) -> bool:
    """Whether the file ends there, or a chunk stands there that ends within it."""
    header = struct.calcsize(form.chunk)
    chunk = read(at, header)
    if len(chunk) < header:
        return True
    name, value = struct.unpack(form.chunk, chunk)
    named = name.endswith(_WAVE64) if len(name) > 4 else all(32 <= byte < 127 for byte in name)
    return named and at + header - form.counted + value <= size + 1


def _silent(read: Reader, start: int, size: int) -> bool:
    """Whether nothing but zeros stands from `start` on: room that a recorder didn't need."""
    return not any(read(at, _BLOCK).strip(b"\0") for at in range(start, size, _BLOCK))
