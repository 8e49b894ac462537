"""Files whose structure is right and whose contents are anything: what no mutation reaches.

Their sizes, checksums and offsets hold, so decoders go on to what is inside. `make fuzz` makes many
more of them than the tests do.
"""

from __future__ import annotations

import io
import json
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from talking_face.clips.enclosure import enclosed, opened, with_room
from talking_face.clips.verification import verify
from talking_face.errors import TalkingFaceError
from talking_face.face.photo import load_photo
from talking_face.motion import Motion
from talking_face.motion_space import CHANNELS, SPACE
from talking_face.sound.audio import load_audio
from talking_face.web.wishes import Opening

PATIENCE = 10.0  # seconds of the processor
EXAMPLES = int(os.environ.get("TALKING_FACE_EXAMPLES", "25"))
many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="TALKING_FACE_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)

Loader = Callable[[Path], Any]

words = st.text(max_size=12)
numbers = st.one_of(
    st.integers(-(2**66), 2**66), st.sampled_from([0, 1, -1, 2**31, 2**32, 2**63]), st.floats()
)
values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
sizes = st.sampled_from([0, 1, 7, 64, 100, 8192, 8193, 65535, 2**31 - 1, 2**32 - 1])


def complaint(work: Callable[[], Any]) -> str:
    """The sentence with which something is refused; a dot where it isn't."""
    try:
        work()
    except TalkingFaceError as error:
        return str(error) or "\n"
    return "."


def swallowed(data: bytes, suffix: str, *loaders: Loader) -> None:
    """Give a file to loaders, which may refuse it in a plain sentence, soon."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"input{suffix}"
        path.write_bytes(data)
        for load in loaders:
            began = sum(os.times()[:4])
            said = complaint(lambda load=load, path=path: load(path))
            assert "\n" not in said
            assert sum(os.times()[:4]) - began < PATIENCE
        assert [one.name for one in Path(folder).iterdir()] == [path.name]


# -- RIFF -----------------------------------------------------------------------------------------

names = st.sampled_from([b"fmt ", b"data", b"LIST", b"C2PA", b"fact", b"bext", b"id3 ", b"JUNK"])
formats = st.builds(
    lambda kind, channels, rate, bits, block: struct.pack(
        "<HHIIHH", kind, channels, rate, rate * block % 2**32, block, bits
    ),
    st.sampled_from([0, 1, 2, 3, 6, 7, 17, 85, 0xFFFE, 0xFFFF]),
    st.sampled_from([0, 1, 2, 255, 65535]),
    sizes,
    st.sampled_from([0, 1, 8, 16, 24, 32, 65535]),
    st.sampled_from([0, 1, 2, 4, 65535]),
)


@st.composite
def sounds(draw: Any) -> bytes:
    """RIFF files of WAVE, with chunks in any order."""
    chunks = [(b"fmt ", draw(formats)), (b"data", draw(st.binary(max_size=400)) * 20)]
    chunks += draw(st.lists(st.tuples(names, st.binary(max_size=60) | formats), max_size=4))
    body = b"WAVE"
    for name, data in draw(st.permutations(chunks)) if draw(st.booleans()) else chunks:
        body += name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.slow
@many
@given(sounds())
def test_sounds(data: bytes) -> None:
    swallowed(data, ".wav", load_audio, verify)


# -- PNG ------------------------------------------------------------------------------------------

texts = st.builds(
    lambda name, text, packed: (
        (b"zTXt", name + b"\0\0" + zlib.compress(text))
        if packed
        else (b"iTXt", name + b"\0\0\0\0\0" + text)
    ),
    st.sampled_from([b"Comment", b"XML:com.adobe.xmp", b"Raw profile type exif", b"x"]),
    st.binary(max_size=40) | st.just(b"A" * 10**6) | words.map(str.encode),
    st.booleans(),
)
others = st.tuples(
    st.sampled_from([b"eXIf", b"iCCP", b"pHYs", b"tRNS", b"PLTE", b"acTL", b"fcTL", b"caBX"]),
    st.binary(max_size=60),
)


@st.composite
def pictures(draw: Any) -> bytes:
    """PNG files whose checksums are right."""
    width, height = draw(sizes), draw(sizes)
    depth, colour = draw(st.sampled_from([1, 2, 4, 8, 16])), draw(st.sampled_from([0, 2, 3, 4, 6]))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, draw(st.integers(0, 1)))
    chunks = [(b"IHDR", head), *draw(st.lists(texts | others, max_size=4))]
    pixels = draw(st.binary(max_size=64)) * draw(st.sampled_from([1, 500, 20000]))
    chunks += [(b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@pytest.mark.slow
@many
@given(pictures())
def test_pictures(data: bytes) -> None:
    swallowed(data, ".png", load_photo, verify)


# -- ISO base media -------------------------------------------------------------------------------

PARENTS = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"meta", b"edts", b"moof", b"traf"]
LEAVES = [
    b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"stsd", b"stts", b"stsc", b"stsz", b"stco", b"co64",
    b"elst", b"mdat", b"free", b"uuid", b"jumb", b"tfhd", b"trun", b"keys", b"ilst", b"iloc",
]  # fmt: skip


def _box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + name + data


boxes = st.recursive(
    st.builds(_box, st.sampled_from(LEAVES), st.binary(max_size=40)),
    lambda inner: st.builds(
        lambda name, parts: _box(name, b"".join(parts)),
        st.sampled_from(PARENTS),
        st.lists(inner, max_size=5),
    ),
    max_leaves=25,
)
brands = st.sampled_from([b"isom", b"mp42", b"qt  ", b"avif", b"heic", b"mif1", b"M4A "])


@pytest.mark.slow
@many
@given(brands, st.lists(boxes, max_size=4))
def test_films(brand: bytes, parts: list[bytes]) -> None:
    data = _box(b"ftyp", brand + bytes(4) + brand) + b"".join(parts)
    swallowed(data, ".mp4", verify, load_audio, load_photo)


# -- glb ------------------------------------------------------------------------------------------


@st.composite
def heads(draw: Any) -> bytes:
    """glb files whose JSON is nearly what it should be."""
    view = {"buffer": 0, "byteOffset": draw(st.integers(0, 60)), "byteLength": 40}
    told: dict[str, Any] = {
        "asset": {"version": "2.0", "extras": {"c2pa": 0, "synthetic": True, "note": draw(values)}},
        "buffers": [{"byteLength": 100}],
        "bufferViews": [view],
        "images": [{"bufferView": 0, "mimeType": "image/jpeg"}],
    }
    for holder in (told, told["asset"], told["asset"]["extras"], view, told["images"][0]):
        for name in list(holder):
            if draw(st.integers(0, 9)) == 0:
                holder[name] = draw(values)
    body = json.dumps(told).encode()
    body += b" " * (-len(body) % 4)
    binary = draw(st.binary(max_size=100))
    length = draw(st.sampled_from([len(binary), 0, 2**32 - 1]))
    return (
        struct.pack("<4sII", b"glTF", 2, 28 + len(body) + len(binary))
        + struct.pack("<I4s", len(body), b"JSON") + body
        + struct.pack("<I4s", length, b"BIN\0") + binary
    )  # fmt: skip


@pytest.mark.slow
@many
@given(heads())
def test_heads(data: bytes) -> None:
    swallowed(data, ".glb", verify)


@many
@given(st.binary(max_size=300), st.integers(8, 400))
def test_what_is_put_into_a_head_comes_out_of_it(data: bytes, room: int) -> None:
    told = {"asset": {"version": "2.0"}, "buffers": [{"byteLength": len(data)}]}
    body = json.dumps(told).encode()
    body += b" " * (-len(body) % 4)
    data += bytes(-len(data) % 4)
    glb = (
        struct.pack("<4sII", b"glTF", 2, 28 + len(body) + len(data))
        + struct.pack("<I4s", len(body), b"JSON") + body
        + struct.pack("<I4s", len(data), b"BIN\0") + data
    )  # fmt: skip
    empty = with_room(glb, room)
    statement = struct.pack(">I", room) + bytes(range(256))[: room - 4].ljust(room - 4, b"x")
    signed, found = opened(enclosed(empty, statement))
    assert (signed, found) == (empty, statement)
    assert int.from_bytes(empty[8:12], "little") == len(empty)


# -- motions --------------------------------------------------------------------------------------


@st.composite
def motions(draw: Any) -> bytes:
    """Archives of arrays, nearly those of a motion."""
    frames = draw(st.sampled_from([0, 1, 3]))
    arrays: dict[str, Any] = {name: np.zeros((frames, size)) for name, size in CHANNELS.items()}
    arrays |= {"space": np.array(SPACE), "fps": np.array(25), "note": np.array("synthetic")}
    for name in list(arrays):
        change = draw(st.integers(0, 12))
        if change == 0:
            del arrays[name]
        elif change == 1:
            arrays[name] = np.array(draw(words | st.floats() | st.integers(-(2**60), 2**60)))
        elif change == 2:
            shape = draw(st.lists(st.integers(0, 3), max_size=4))
            kind = draw(st.sampled_from(["<f2", ">f8", "<c16", "?", "<M8[s]", "<U300", "V9", "O"]))
            arrays[name] = np.zeros(shape, kind)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", draw(st.sampled_from([0, 8, 12, 14]))) as stored:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=True)
            stored.writestr(f"{name}.npy", member.getvalue())
    return file.getvalue()


@many
@given(motions())
def test_motions(data: bytes) -> None:
    swallowed(data, ".npz", Motion.load, verify)


# -- what is said in JSON -------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".json", ".csv", ".obj", ".srt"])
@many
@given(told=values)
def test_texts(suffix: str, told: Any) -> None:
    swallowed(json.dumps(told).encode(), suffix, verify)


@many
@given(st.dictionaries(st.sampled_from([*Opening.__dataclass_fields__, "consent"]), values))
def test_what_live_clients_begin_with(message: Any) -> None:
    assert "\n" not in complaint(lambda: Opening.read(message))
