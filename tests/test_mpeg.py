"""Streams of MPEG whose sound changes on the way: all of it is heard."""

import io
from functools import cache
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from test_decode import BLACK, FIRST, SECOND, ffmpeg, in_thirds, words

from talking_face.sound import program
from talking_face.sound.audio import SAMPLE_RATE, load_audio
from talking_face.sound.parts import split

TOLD = ("The file holds 2 recordings, which are used one after the other.",)


@cache
def said() -> np.ndarray:
    return np.concatenate([words(FIRST), words(SECOND)])


def part(folder: Path, source: Path, suffix: str, codec: str, *options: str) -> bytes:
    path = folder / f"part.{suffix}"
    ffmpeg("-i", source, "-ar", "48000", "-ac", "2", "-c:a", codec, *options, path)
    return path.read_bytes()


def check(path: Path, least: float = 0.9) -> None:
    recording = load_audio(path)
    assert recording.notes == TOLD
    assert recording.duration == pytest.approx(len(said()) / SAMPLE_RATE, abs=0.2)
    for late, alike in in_thirds(recording.waveform, said()):
        assert abs(late) < 0.2
        assert alike > least


PAIRS = [
    ("ts", "aac", "mp2"),
    ("ts", "aac", "ac3"),
    ("ts", "libopus", "aac"),
    ("ts", "ac3", "libopus"),
    ("m2ts", "aac", "ac3"),
    ("mpg", "mp2", "ac3"),
    ("vob", "ac3", "mp2"),
    ("vob", "pcm_dvd", "ac3"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "one", "two"), PAIRS)
def test_another_coder_goes_on(suffix, one, two, tmp_path):
    path = tmp_path / f"joined.{suffix}"
    first = part(tmp_path, FIRST, suffix, one)
    path.write_bytes(first + part(tmp_path, SECOND, suffix, two))
    (_, end), (start, _) = split(path)
    assert start == end == pytest.approx(len(first), abs=2000)
    check(path)


@pytest.mark.parametrize(("suffix", "codec"), [("ts", "aac"), ("mpg", "ac3"), ("vob", "mp2")])
def test_the_same_coder_goes_on(suffix, codec, tmp_path):
    """Nothing is parted that ffmpeg puts together by itself."""
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(part(tmp_path, FIRST, suffix, codec) + part(tmp_path, SECOND, suffix, codec))
    assert len(split(path)) == 1
    assert load_audio(path).notes == ()


@pytest.mark.parametrize("start", ["300", "1000"])
def test_sound_that_goes_on_under_another_number(start, tmp_path):
    path = tmp_path / "moved.ts"
    first = part(tmp_path, FIRST, "ts", "aac")
    path.write_bytes(first + part(tmp_path, SECOND, "ts", "aac", "-mpegts_start_pid", start))
    check(path)


def test_what_was_before_comes_again(tmp_path):
    """As in a programme that is interrupted: each table is as its like was before."""
    options = ("-mpegts_pmt_start_pid", "0x30", "-mpegts_start_pid", "300")
    one = part(tmp_path, FIRST, "ts", "aac")
    other = part(tmp_path, FIRST, "ts", "ac3", *options)
    path = tmp_path / "again.ts"
    path.write_bytes(one + other + one + other)
    assert len(split(path)) == 4
    recording = load_audio(path)
    assert recording.duration == pytest.approx(4 * len(words(FIRST)) / SAMPLE_RATE, abs=0.4)
    again = np.tile(words(FIRST), 4)
    assert all(alike > 0.7 for _, alike in in_thirds(recording.waveform, again))


@pytest.mark.parametrize(("lost", "more"), [(77, 0), (0, 50), (100, 20)])
def test_streams_that_begin_and_end_anywhere(lost, more, tmp_path):
    path = tmp_path / "cut.ts"
    first = part(tmp_path, FIRST, "ts", "aac")
    path.write_bytes(first[more : len(first) - lost] + part(tmp_path, SECOND, "ts", "ac3"))
    check(path)


def test_packets_with_a_checksum_behind(tmp_path):
    """Of 204 bytes, as receivers of satellites write them."""
    stream = part(tmp_path, FIRST, "ts", "aac") + part(tmp_path, SECOND, "ts", "mp2")
    packets = [stream[at : at + 188] + bytes(16) for at in range(0, len(stream), 188)]
    (tmp_path / "satellite.ts").write_bytes(b"".join(packets))
    check(tmp_path / "satellite.ts")


def test_films(tmp_path):
    parts = []
    for source, codec in ((FIRST, "aac"), (SECOND, "ac3")):
        ffmpeg(*BLACK, "-i", source, "-c:a", codec, tmp_path / "part.ts")
        parts.append((tmp_path / "part.ts").read_bytes())
    (tmp_path / "film.ts").write_bytes(b"".join(parts))
    check(tmp_path / "film.ts")


@pytest.mark.slow
def test_what_looks_like_packets_all_the_time_is_soon_given_up(tmp_path):
    """Six packets and a broken one, over and over: 40 MB of them."""
    packet = b"G" + bytes(187)
    (tmp_path / "endless.ts").write_bytes((packet * 6 + bytes(60)) * 34_000)
    began = monotonic()
    assert len(split(tmp_path / "endless.ts")) == 1
    assert monotonic() - began < 20


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.count += len(found)
        return found


@pytest.mark.parametrize("behind", [b"", b"x", b"\0\0\1\xc0\0\0", b"\0\0\1\0"])
def test_streams_of_junk_are_read_about_once(behind: bytes) -> None:
    pack = program.PACK + b"\x44\0\4\0\4\1\0\0\3\xf8"
    size = 4_000_000
    file = Counting((pack + behind) * (size // len(pack + behind)))
    assert list(program.changes(file)) == []
    assert file.count < 2 * size
