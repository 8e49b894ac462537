"""Recordings of different coders, written one after the other: all of it is heard."""

from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from test_decode import FIRST, SECOND, encoded, ffmpeg, in_thirds, words
from test_mpeg import check, said

from talking_face.sound.audio import SAMPLE_RATE, load_audio
from talking_face.sound.parts import split

LATM = ("-c:a", "aac", "-f", "latm")
DTS = ("-strict", "-2")
LEAST = 0.8  # likeness of what bad coders leave


def part(folder: Path, source: Path, kind: str) -> bytes:
    options = {"latm": LATM, "dts": DTS}.get(kind, ())
    return encoded(source, folder, kind, 48_000, 2, *options)


PAIRS = [
    ("mp3", "aac"),
    ("aac", "mp3"),
    ("mp3", "flac"),
    ("flac", "mp3"),
    ("ac3", "mp3"),
    ("mp2", "eac3"),
    ("eac3", "aac"),
    ("latm", "aac"),
    ("aac", "dts"),
    ("dts", "latm"),
    ("wav", "mp3"),
    ("wav", "flac"),
    ("mp3", "wav"),
    ("m4a", "mp3"),
    ("mp3", "m4a"),
    ("ogg", "aac"),
    ("aac", "ogg"),
    ("aiff", "ac3"),
    ("caf", "mp3"),
    ("w64", "flac"),
    ("flac", "webm"),
    ("mp3", "mpg"),
    ("webm", "mp3"),
    ("wma", "mp3"),
    ("avi", "wav"),
    ("flv", "aac"),
    ("wv", "mp3"),
    ("au", "m4a"),
    ("ts", "mp3"),
    ("mp3", "ts"),
    ("tta", "mp3"),
    ("tta", "voc"),
    ("voc", "flac"),
    ("m4a", "voc"),
    ("mpg", "mp3"),
    ("mpg", "m4a"),
    ("vob", "wav"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_another_coder_goes_on(one, two, tmp_path):
    path = tmp_path / f"joined.{two}"
    first = part(tmp_path, FIRST, one)
    path.write_bytes(first + part(tmp_path, SECOND, two))
    assert [start for start, _ in split(path)] == [0, len(first)]
    check(path, LEAST)


@pytest.mark.parametrize(("one", "two"), [("mp2", "mp3"), ("ac3", "eac3"), ("aac", "aac")])
def test_what_one_decoder_understands_stays_together(one, two, tmp_path):
    path = tmp_path / f"joined.{two}"
    path.write_bytes(part(tmp_path, FIRST, one) + part(tmp_path, SECOND, two))
    assert len(split(path)) == 1
    recording = load_audio(path)
    assert recording.duration == pytest.approx(len(said()) / SAMPLE_RATE, abs=0.2)
    assert all(alike > LEAST for _, alike in in_thirds(recording.waveform, said()))


def test_films_and_faint_recordings_of_phones(tmp_path):
    """AMR sounds too unlike its source to be compared with it."""
    voice = encoded(FIRST, tmp_path, "amr", 8000, 1, "-c:a", "libopencore_amrnb")
    film = part(tmp_path, SECOND, "m4a")
    (tmp_path / "both.amr").write_bytes(voice + film + voice)
    assert split(tmp_path / "both.amr") == [
        (0, len(voice)),
        (len(voice), len(voice + film)),
        (len(voice + film), len(voice + film + voice)),
    ]


def test_a_browser_s_recording_that_was_joined(tmp_path):
    """It tells no lengths but those of its blocks."""
    live = ffmpeg("-i", FIRST, "-c:a", "libopus", "-live", "1", "-f", "webm", "-")
    path = tmp_path / "joined.webm"
    path.write_bytes(live + part(tmp_path, SECOND, "mp3"))
    assert [start for start, _ in split(path)] == [0, len(live)]
    check(path, LEAST)


def test_sound_in_a_film_is_no_other_recording(tmp_path):
    """Frames of mp3 in a row, as a file of that kind would have them."""
    for suffix in ("avi", "mkv", "mov", "wav", "nut"):
        options = ("-c:a", "libmp3lame") if suffix != "mov" else ("-c:a", "ac3")
        path = tmp_path / f"film.{suffix}"
        path.write_bytes(encoded(FIRST, tmp_path, suffix, 48_000, 2, *options))
        assert len(split(path)) == 1
        path.write_bytes(path.read_bytes()[:-3000])
        assert len(split(path)) == 1


def test_a_length_beyond_all(tmp_path):
    """A billion times as far as any disk reaches."""
    data = bytearray(part(tmp_path, FIRST, "webm"))
    at = data.index(b"\x18\x53\x80\x67") + 4
    data[at : at + 8] = b"\x01" + bytes([0x7F] * 7)
    (tmp_path / "far.webm").write_bytes(data)
    assert split(tmp_path / "far.webm") == [(0, len(data))]


@pytest.mark.slow
def test_they_may_alternate(tmp_path):
    path = tmp_path / "many.mp3"
    one, other, third = (part(tmp_path, FIRST, kind) for kind in ("mp3", "wav", "aac"))
    path.write_bytes(one + other + third + other + one + third)
    sizes = [len(data) for data in (one, other, third, other, one)]
    assert [start for start, _ in split(path)] == [0, *np.cumsum(sizes)]
    recording = load_audio(path)
    assert recording.duration == pytest.approx(6 * len(words(FIRST)) / SAMPLE_RATE, abs=0.5)


def test_damage_in_a_stream_is_no_change(tmp_path):
    data = bytearray(part(tmp_path, FIRST, "mp3"))
    for start in range(len(data) // 3, len(data) // 2, 700):
        data[start : start + 300] = np.random.default_rng(start).bytes(300)
    path = tmp_path / "damaged.mp3"
    path.write_bytes(data + part(tmp_path, SECOND, "aac"))
    assert [start for start, _ in split(path)] == [0, len(data)]


@pytest.mark.slow
@pytest.mark.parametrize("source", ["anullsrc=r=44100:cl=mono", "anoisesrc=d=60:c=pink:r=44100"])
def test_frames_of_flac_are_no_frames_of_aac(source, tmp_path):
    """In their first bytes they may be; those of silence are also of one size."""
    path = tmp_path / "long.flac"
    ffmpeg("-f", "lavfi", "-i", source, "-t", "1200" if "null" in source else "60", path)
    assert len(split(path)) == 1


FRAME = bytes.fromhex("fffb1400") + bytes(92)
HOSTILE = {
    "beginnings of frames": b"\xff\xfb\x90\x00" * 2_000_000,
    "beginnings behind frames": FRAME * 8 + b"\xff\xfb\x90\x00" * 6_000_000,
    "frames that break off": (FRAME * 8 + b"x") * 10_000,
    "titles": FRAME * 8 + b"ID3\x03\0\0\0\0\0\0" * 800_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_junk_is_soon_given_up(kind, tmp_path):
    (tmp_path / "junk.mp3").write_bytes(HOSTILE[kind])
    began = monotonic()
    assert len(split(tmp_path / "junk.mp3")) == 1
    assert monotonic() - began < 10
