"""Files of samples that say that they are shorter than they are: all of it is heard."""

import struct
from pathlib import Path

import numpy as np
import pytest
from test_decode import SECOND, encoded, ffmpeg, lag, words

from talking_face.errors import AudioUnreadable
from talking_face.sound import decode as decoder
from talking_face.sound.audio import SAMPLE_RATE, load_audio

TOLD = "The file says that it is shorter than it is; all of it is used."

# Suffix, options, what stands in front of the length, its form, bytes that it counts besides.
LENGTHS = {
    "WAV": ("wav", (), b"data", "<I", 0),
    "WAV of 24 bits": ("wav", ("-c:a", "pcm_s24le"), b"data", "<I", 0),
    "WAV of ADPCM": ("wav", ("-c:a", "adpcm_ima_wav"), b"data", "<I", 0),
    "RF64": ("wav", ("-rf64", "always"), b"ds64" + struct.pack("<I8x", 28), "<Q", 0),
    "Wave64": ("w64", (), bytes.fromhex("f3acd3118cd100c04f8edb8a"), "<Q", 24),
    "AIFF": ("aiff", (), b"SSND", ">I", 8),
    "CAF": ("caf", (), b"data", ">Q", 0),
}


def told(folder: Path, kind: str, seconds: float) -> Path:
    """A recording of 5.2 s that says that it lasts some seconds."""
    suffix, options, mark, form, counted = LENGTHS[kind]
    data = bytearray(encoded(SECOND, folder, suffix, SAMPLE_RATE, 1, *options))
    if kind == "RF64":  # ffmpeg writes RIFF's length there, which is another one
        mark = bytes(data[12:28])
    at = (data.rindex(mark) if kind == "Wave64" else data.index(mark)) + len(mark)
    (whole,) = struct.unpack_from(form, data, at)
    share = seconds * SAMPLE_RATE / len(words(SECOND))
    struct.pack_into(form, data, at, int((whole - counted) * share) // 12 * 12 + counted)
    path = folder / f"short.{suffix}"
    path.write_bytes(data)
    return path


def check(path: Path, notes: tuple[str, ...] = (TOLD,)) -> None:
    recording = load_audio(path)
    assert recording.notes == notes
    assert recording.duration == pytest.approx(len(words(SECOND)) / SAMPLE_RATE, abs=0.05)
    assert lag(recording.waveform, words(SECOND))[1] > 0.9


@pytest.mark.parametrize("seconds", [0.05, 1.0, 4.0])
@pytest.mark.parametrize("kind", LENGTHS)
def test_all_that_follows_is_heard(kind, seconds, tmp_path):
    check(told(tmp_path, kind, seconds))


@pytest.mark.parametrize("kind", ["RF64", "Wave64", "AIFF"])
def test_a_length_that_was_never_written(kind, tmp_path):
    check(told(tmp_path, kind, 0.0))


@pytest.mark.parametrize("kind", ["WAV", "CAF"])
def test_a_length_that_is_left_open_is_nothing_odd(kind, tmp_path):
    check(told(tmp_path, kind, 0.0), ())


def test_one_of_two_joined_recordings(tmp_path):
    path = told(tmp_path, "WAV", 1.0)
    path.write_bytes(path.read_bytes() * 2)
    recording = load_audio(path)
    assert TOLD in recording.notes
    said = np.concatenate([words(SECOND)] * 2)
    assert recording.duration == pytest.approx(len(said) / SAMPLE_RATE, abs=0.05)
    assert lag(recording.waveform, said)[1] > 0.9


BEHIND = {
    "a chunk": b"LIST" + struct.pack("<I", 8000) + np.random.default_rng(0).bytes(8000),
    "a chunk of odd length": b"note" + struct.pack("<I", 8001) + bytes([7]) * 8001,
    "chunks": (b"bext" + struct.pack("<I", 4096) + bytes(4096)) * 3,
    "a title": b"ID3\x03\0\0\0\0\x4f\x20" + np.random.default_rng(0).bytes(0x4F * 128 + 0x20),
    "a text": b"<?xml version='1.0'?>" + b"<take>one</take>" * 500,
    "room": bytes(50_000),
    "a few bytes": np.random.default_rng(0).bytes(2000),
}


@pytest.mark.parametrize("kind", BEHIND)
def test_what_else_may_follow_is_no_sound(kind, tmp_path):
    path = tmp_path / "whole.wav"
    path.write_bytes(encoded(SECOND, tmp_path, "wav", SAMPLE_RATE, 1) + BEHIND[kind])
    check(path, ())


def test_no_room_for_the_copy_is_told(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = told(tmp_path, "WAV", 1.0)
    monkeypatch.setattr(decoder, "_copy", full)
    with pytest.raises(AudioUnreadable, match=r"short\.wav .* Make room for temporary files"):
        load_audio(path)


WAVE64 = bytes.fromhex("f3acd3118cd100c04f8edb8a")
NOWHERE = {
    "Wave64 beyond all": b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0" + bytes(8)
    + b"wave" + WAVE64 + b"junk" + WAVE64 + b"\xff" * 8 + bytes(64),
    "RF64 without a length": b"RF64\0\0\0\0WAVEds64\0\0\0\0data",
    "CAF beyond all": b"caff\0\x01\0\0desc" + b"\x7f" + b"\xff" * 7 + bytes(64),
    "AU that breaks off": b".snd\0\0\0\x18",
    "MP4 beyond all": b"\0\0\0\x18ftypisom" + bytes(12)
    + b"\0\0\0\x01free" + b"\xff" * 8 + bytes(64),
    "MP4 far away": b"\0\0\0\x18ftypisom" + bytes(12)
    + b"\0\0\0\x01free\x7f" + b"\xff" * 7 + bytes(64),
}  # fmt: skip


@pytest.mark.parametrize("kind", NOWHERE)
def test_lengths_that_lead_nowhere(kind, tmp_path):
    path = tmp_path / "nowhere.wav"
    path.write_bytes(NOWHERE[kind])
    with pytest.raises(AudioUnreadable, match=r"nowhere\.wav can't be read as a sound"):
        load_audio(path)


STREAMED = 2**32 - 1
AIFF = {
    "AIFF": (),
    "AIFC of little-endian samples": ("-c:a", "pcm_s16le"),
    "AIFC of floating point": ("-c:a", "pcm_f32be"),
    "AIFC of ADPCM": ("-c:a", "adpcm_ima_qt"),
}


def written(folder: Path, kind: str, lengths: dict[bytes, int]) -> Path:
    """An AIFF file of 5.2 s with other lengths behind the names of some chunks."""
    data = bytearray(encoded(SECOND, folder, "aiff", SAMPLE_RATE, 1, *AIFF[kind]))
    for name, length in lengths.items():
        at = data.index(name) + (10 if name == b"COMM" else 4)  # where it counts frames
        struct.pack_into(">I", data, at, length)
    path = folder / "streamed.aiff"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", AIFF)
def test_frames_that_nobody_counted(kind, tmp_path):
    check(written(tmp_path, kind, {b"COMM": STREAMED}), ())
    check(written(tmp_path, kind, dict.fromkeys((b"FORM", b"COMM", b"SSND"), STREAMED)), ())


@pytest.mark.parametrize("kind", AIFF)
def test_a_container_that_was_never_told_its_length(kind, tmp_path):
    check(written(tmp_path, kind, dict.fromkeys((b"FORM", b"COMM", b"SSND"), 0)))
    check(written(tmp_path, kind, {b"FORM": 30}))


def test_a_wave64_that_was_never_told_its_length(tmp_path):
    path = told(tmp_path, "Wave64", 0.0)
    data = bytearray(path.read_bytes())
    data[16:24] = bytes(8)
    path.write_bytes(data)
    check(path)


@pytest.mark.parametrize("suffix", ["aiff", "wav", "w64", "caf", "au", "voc", "tta", "wv", "flac"])
def test_what_programs_write_to_a_pipe(suffix, tmp_path):
    path = tmp_path / f"streamed.{suffix}"
    path.write_bytes(ffmpeg("-i", SECOND, "-f", suffix, "-"))
    check(path, (TOLD,) if suffix == "aiff" else ())


def test_streamed_recordings_that_were_joined(tmp_path):
    path = written(tmp_path, "AIFF", {b"COMM": STREAMED})
    path.write_bytes(path.read_bytes() * 2)
    recording = load_audio(path)
    assert recording.notes == ("The file holds 2 recordings, which are used one after the other.",)
    assert lag(recording.waveform, np.concatenate([words(SECOND)] * 2))[1] > 0.9
