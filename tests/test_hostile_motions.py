"""Motion files that somebody made to do harm, or that were damaged by chance."""

import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_motion_files import load, lying, members, stored, table, zipped

from talking_face.animator import load_animator
from talking_face.errors import MotionUnreadable
from talking_face.motion import N_CHANNELS, Motion
from talking_face.motion_space import MAX_VALUE
from talking_face.motion_table import COLUMNS
from talking_face.options import Look


@pytest.fixture
def motion() -> Motion:
    values = np.random.default_rng(0).normal(size=(8, N_CHANNELS)).astype(np.float32)
    return Motion.from_array(values)


def hostile() -> dict[str, bytes]:
    """Small files that ask for a lot, or lie."""
    good = members(stored(np.zeros((8, N_CHANNELS), np.float32)))
    header = b"{'descr': '%s', 'fortran_order': False, 'shape': %s}\n"
    zeros = bytes(60_000_000)
    flipped = bytearray(zipped(good, zipfile.ZIP_STORED))
    flipped[flipped.index(good["lower.npy"]) + 300] ^= 1
    return {
        "header": zipped(good | {"lower.npy": lying(header % (b"<f4", b"(100000000000, 16)"))}),
        "huge": zipped(
            good | {"lower.npy": lying(header % (b"<f4", b"(9" + b"9" * 4000 + b", 16)"))}
        ),
        "hours": zipped(good | {"lower.npy": lying(header % (b"<f4", b"(937500, 16)"), zeros)}),
        "tail": zipped(good | {"lower.npy": good["lower.npy"] + zeros}),
        "name": zipped(good | {"space.npy": lying(header % (b"<U15000000", b"()"), zeros)}),
        "negative": zipped(good | {"lower.npy": lying(header % (b"<f4", b"(-8, 16)"), zeros)}),
        "nested": zipped(good | {"lower.npy": lying(b"(" * 9000 + b"\n")}),
        "python 2": zipped(good | {"lower.npy": lying(header % (b"<f4", b"(8L, 16\n"))}),
        "long header": zipped(good | {"lower.npy": b"\x93NUMPY\2\0\xff\xff\x8f\x03" + zeros}),
        "members": zipped(good | {f"{index}": b"" for index in range(24_000)}),
        "lzma": zipped(good, zipfile.ZIP_LZMA),
        "checksum": bytes(flipped),
        "quoted": (",".join(COLUMNS) + '\n"').encode() + b"0\n" * 1_000_000,
        "endless line": b"seconds" + b"," * 30_000_000,
        "blank lines": b"\n" * 100_000,
        "large": bytes(2**26 + 1),
    }


@pytest.mark.slow
def test_hostile_files_are_refused_in_little_memory(tmp_path: Path) -> None:
    for name, content in hostile().items():
        (tmp_path / f"{name}.npz").write_bytes(content)
    for path in sorted(tmp_path.iterdir()):
        tracemalloc.start()
        try:
            with pytest.raises(MotionUnreadable) as caught:
                Motion.load(path)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert most < 40e6, path.name
        assert len(str(caught.value)) < 250


@pytest.mark.parametrize("kind", ["npz", "csv"])
def test_good_files_need_little_memory_too(tmp_path: Path, kind: str) -> None:
    """A twelfth of the most frames there can be, in a twelfth of 90 MB."""
    values = np.full((6000, N_CHANNELS), 1 / 3)
    content = stored(values, fps=120) if kind == "npz" else "\n".join(table(values, 120)).encode()
    (tmp_path / "much").write_bytes(content)
    tracemalloc.start()
    try:
        assert len(Motion.load(tmp_path / "much")) == 1250
        assert tracemalloc.get_traced_memory()[1] < 90e6 / 12
    finally:
        tracemalloc.stop()


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, a part left out or doubled, or the end cut off."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(changed)))
        kind = rng.integers(5)
        if kind < 2:
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            changed[place : place + 4] = rng.bytes(4)
        elif kind == 3:
            changed[place : place + int(rng.integers(1, 30))] = b""
        else:
            del changed[max(place, 1) :]
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["npz", "members", "csv"])
def test_damaged_at_random(motion: Motion, tmp_path: Path, kind: str) -> None:
    """Only a motion or a refusal comes out; "members" has damage that its checksums don't show."""
    rng = np.random.default_rng(1)
    values = motion[:2].as_array()
    whole = stored(values)
    text = "\n".join(table(values)).encode()
    refusals = []
    for _ in range(300):
        if kind == "members":
            parts = members(whole)
            hit = rng.choice(sorted(parts))
            parts[hit] = mutated(parts[hit], rng)
            content = zipped(parts)
        else:
            content = mutated(text if kind == "csv" else whole, rng)
        try:
            assert len(load(tmp_path, content, "given")) >= 1
        except MotionUnreadable as error:
            refusals.append(str(error))
    assert not any("\n" in told for told in refusals)
    assert 50 < len(refusals) <= 300


def test_the_wildest_motion_that_is_accepted_can_be_drawn(tmp_path: Path, portrait: Path) -> None:
    animator = load_animator()
    face = animator.fit(portrait)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (3, N_CHANNELS))
    wild = load(tmp_path, stored(MAX_VALUE * signs))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames = list(animator.render(face, wild, look=Look(size=128)))
    assert [frame.shape for frame in frames] == [(128, 128, 3)] * 3
