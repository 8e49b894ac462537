"""All that is said in a file is heard, and the clip says the same at the same time."""

import subprocess
import wave
from functools import cache
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from scipy.signal import correlate

from talking_face.clips.video import write_clip
from talking_face.errors import AudioTooLong, AudioUnreadable
from talking_face.sound import decode as decoder
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.parts import split
from talking_face.sound.rates import SOUND_RATE

ASSETS = Path(__file__).resolve().parents[1] / "assets" / "recordings"
FIRST, SECOND = ASSETS / "grid.wav", ASSETS / "boat.wav"
BLACK = ("-f", "lavfi", "-i", "color=s=32x32:r=25:d=3")


def ffmpeg(*arguments: object) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y"]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, check=True)
    return done.stdout


def encoded(source: Path, folder: Path, suffix: str, rate: int, count: int, *options: str) -> bytes:
    path = folder / f"part.{suffix}"
    ffmpeg("-i", source, "-ar", rate, "-ac", count, *options, path)
    return path.read_bytes()


def joined(folder: Path, suffix: str, one: tuple[int, int], two: tuple[int, int]) -> Path:
    """Two recordings written one after the other; (rate, channels) of each."""
    path = folder / f"joined.{suffix}"
    parts = encoded(FIRST, folder, suffix, *one) + encoded(SECOND, folder, suffix, *two)
    path.write_bytes(parts)
    return path


def write_wav(path: Path, channels: np.ndarray, rate: int = SAMPLE_RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels.shape[1], 2, rate, 0, "NONE", ""))
        file.writeframes((np.clip(channels, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@cache
def words(source: Path = FIRST) -> np.ndarray:
    return load_audio(source).waveform


def lag(heard: np.ndarray, said: np.ndarray) -> tuple[float, float]:
    """Seconds by which one sound comes after another, and how alike they then are, 0 to 1."""
    match = correlate(heard, said, "full")
    best = int(np.argmax(match))
    alike = match[best] / (np.linalg.norm(heard) * np.linalg.norm(said))
    return (best - len(said) + 1) / SAMPLE_RATE, float(alike)


def in_thirds(heard: np.ndarray, said: np.ndarray) -> list[tuple[float, float]]:
    """`lag` of the first and the last third."""
    third = min(len(heard), len(said)) // 3
    return [lag(heard[part], said[part]) for part in (slice(third), slice(2 * third, 3 * third))]


def heard_in_clip(recording: Recording, folder: Path) -> np.ndarray:
    """The sound track of a clip, as any player decodes it; mono, 16 kHz."""
    frames = [np.zeros((32, 32, 3), np.uint8)] * recording.frames
    clip = write_clip(frames, folder / "clip.mp4", recording)
    sound = ffmpeg("-i", clip, "-ac", "1", "-ar", SAMPLE_RATE, "-f", "f32le", "-")
    return np.frombuffer(sound, dtype="<f4")


# --- recordings that are several, in one format and in two ----------------------------------------

JOINED = {
    "mp3 of two rates": ("mp3", (16_000, 1), (44_100, 2)),
    "mp3 of two channel counts": ("mp3", (44_100, 2), (44_100, 1)),
    "ADTS of two formats": ("aac", (44_100, 2), (16_000, 1)),
    "TS of two formats": ("ts", (16_000, 1), (44_100, 2)),
    "TS of one": ("ts", (48_000, 2), (48_000, 2)),
    "Ogg of two rates": ("ogg", (44_100, 1), (22_050, 2)),
    "Ogg of one": ("ogg", (44_100, 1), (44_100, 1)),
    "Opus of two channel counts": ("opus", (48_000, 2), (48_000, 1)),
    "MP4 of one": ("m4a", (44_100, 1), (44_100, 1)),
    "MP4 of two rates": ("m4a", (16_000, 1), (48_000, 2)),
    "WebM": ("webm", (48_000, 1), (48_000, 2)),
    "FLAC of two rates": ("flac", (16_000, 1), (44_100, 2)),
    "WAV of two rates": ("wav", (16_000, 2), (44_100, 1)),
    "AIFF": ("aiff", (16_000, 1), (22_050, 1)),
    "FLV": ("flv", (44_100, 1), (22_050, 1)),
    "AC-3": ("ac3", (48_000, 1), (44_100, 2)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", JOINED)
def test_joined_recordings_are_heard_whole_and_in_sync(kind, tmp_path):
    path = joined(tmp_path, *JOINED[kind])
    recording = load_audio(path)
    said = np.concatenate([words(FIRST), words(SECOND)])
    padding = 0.2  # seconds that encoders add to two recordings at most
    assert recording.duration == pytest.approx(len(said) / SAMPLE_RATE, abs=padding)
    assert len(recording.sound) / SOUND_RATE == pytest.approx(recording.duration, abs=1e-3)
    for late, alike in in_thirds(recording.waveform, said):
        assert abs(late) < padding
        assert alike > 0.7
    clip = heard_in_clip(recording, tmp_path)
    assert len(clip) / SAMPLE_RATE == pytest.approx(recording.duration, abs=0.04)
    for late, alike in in_thirds(clip, recording.waveform):
        assert abs(late) < 0.003
        assert alike > 0.9


@pytest.mark.parametrize(
    "suffix",
    ["ogg", "opus", "m4a", "webm", "flac", "wav", "w64", "avi", "caf", "tta", "wv", "voc", "au"],
)
def test_how_many_recordings_there_are_is_told(suffix, tmp_path):
    part = encoded(FIRST, tmp_path, suffix, 48_000, 2)
    path = tmp_path / f"three.{suffix}"
    path.write_bytes(part * 3)
    assert split(path) == [(i * len(part), (i + 1) * len(part)) for i in range(3)]
    assert load_audio(path).notes == (
        "The file holds 3 recordings, which are used one after the other.",
    )
    path.write_bytes(part)
    assert split(path) == [(0, len(part))]
    assert load_audio(path).notes == ()


@pytest.mark.parametrize("magic", [b"RIFF", b"RF64"])
def test_recorders_put_other_chunks_before_the_format(magic, tmp_path):
    part = encoded(FIRST, tmp_path, "wav", 16_000, 1)
    part = magic + part[4:12] + b"JUNK" + (28).to_bytes(4, "little") + bytes(28) + part[12:]
    path = tmp_path / "two.wav"
    path.write_bytes(part * 2)
    assert split(path) == [(0, len(part)), (len(part), 2 * len(part))]


def test_marks_across_the_blocks_that_are_searched(tmp_path, monkeypatch):
    monkeypatch.setattr("talking_face.sound.parts._BLOCK", 97)
    part = encoded(FIRST, tmp_path, "wav", 16_000, 1)
    (tmp_path / "a.wav").write_bytes(part * 2)
    assert split(tmp_path / "a.wav") == [(0, len(part)), (len(part), 2 * len(part))]


def test_streams_that_belong_together_are_one_part(tmp_path):
    """Sound and pictures of an Ogg file, whose first pages follow each other."""
    path = tmp_path / "film.ogv"
    ffmpeg(*BLACK, "-i", FIRST, "-c:v", "libtheora", "-c:a", "libvorbis", path)
    whole = path.read_bytes()
    path.write_bytes(whole * 2)
    assert split(path) == [(0, len(whole)), (len(whole), 2 * len(whole))]


def test_a_part_that_is_damaged_is_left_out(tmp_path):
    part = encoded(FIRST, tmp_path, "ogg", 44_100, 1)
    path = tmp_path / "two.ogg"
    path.write_bytes(part + part[:100])
    recording = load_audio(path)
    assert recording.duration == pytest.approx(len(words()) / SAMPLE_RATE, abs=0.05)
    assert "One of them can't be read and is left out." in recording.notes


def test_more_parts_than_anybody_joins(tmp_path, monkeypatch):
    monkeypatch.setattr(decoder, "MAX_PARTS", 2)
    path = tmp_path / "many.wav"
    path.write_bytes(encoded(FIRST, tmp_path, "wav", 8000, 1) * 5)
    recording = load_audio(path)
    assert recording.duration == pytest.approx(2 * len(words()) / SAMPLE_RATE, abs=0.05)
    assert recording.notes == ("The file holds 5 recordings, of which the first 2 are used.",)


# --- timestamps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "ts"])
def test_a_gap_in_a_video_keeps_its_time(suffix, tmp_path):
    """One second in, the sound pauses for 0.8 s, as where a connection broke off."""
    path = tmp_path / f"gap.{suffix}"
    gap = "asetpts=PTS+if(gte(T\\,1)\\,0.8\\,0)/TB"
    ffmpeg(*BLACK, "-i", FIRST, "-af", f"asetnsamples=1024,{gap}", "-c:a", "aac", path)
    recording = load_audio(path)
    said = words()
    assert recording.duration == pytest.approx(len(said) / SAMPLE_RATE + 0.8, abs=0.1)
    after = recording.waveform[round(2.0 * SAMPLE_RATE) : round(3.5 * SAMPLE_RATE)]
    late, alike = lag(after, said[round(1.2 * SAMPLE_RATE) : round(2.7 * SAMPLE_RATE)])
    assert abs(late) < 0.08
    assert alike > 0.8
    clip = heard_in_clip(recording, tmp_path)
    assert all(abs(late) < 0.003 for late, _ in in_thirds(clip, recording.waveform))


def test_timestamps_that_make_no_sense(tmp_path):
    """The second half is said to come after a day."""
    path = tmp_path / "days.mkv"
    gap = "asetpts=PTS+if(gte(T\\,1)\\,86400\\,0)/TB"
    ffmpeg("-i", FIRST, "-af", f"asetnsamples=1024,{gap}", "-c:a", "flac", path)
    with pytest.raises(AudioTooLong):
        load_audio(path)


def test_a_film_whose_sound_changes_its_format(tmp_path):
    parts = []
    for source, rate, count in ((FIRST, 48_000, 2), (SECOND, 16_000, 1)):
        path = tmp_path / "part.ts"
        ffmpeg(*BLACK, "-i", source, "-c:a", "aac", "-ar", rate, "-ac", count, path)
        parts.append(path.read_bytes())
    (tmp_path / "film.ts").write_bytes(b"".join(parts))
    recording = load_audio(tmp_path / "film.ts")
    said = np.concatenate([words(FIRST), words(SECOND)])
    assert recording.duration == pytest.approx(len(said) / SAMPLE_RATE, abs=0.3)
    for late, alike in in_thirds(recording.waveform, said):
        assert abs(late) < 0.3
        assert alike > 0.6


# --- damage ---------------------------------------------------------------------------------------


def test_what_is_damaged_is_told_in_a_sentence(tmp_path):
    data = bytearray(encoded(SECOND, tmp_path, "mp3", 44_100, 1))
    rng = np.random.default_rng(0)
    for start in range(len(data) // 3, len(data) // 2, 700):
        data[start : start + 300] = rng.bytes(300)
    (tmp_path / "damaged.mp3").write_bytes(data)
    recording = load_audio(tmp_path / "damaged.mp3")
    assert recording.notes == ("Some of the recording is damaged and left out.",)
    assert recording.duration > 2


def test_joined_recordings_are_not_called_damaged(tmp_path):
    formats = ((22_050, 1), (48_000, 2), (22_050, 1))
    parts = [encoded(SECOND, tmp_path, "mp3", rate, channels) for rate, channels in formats]
    (tmp_path / "joined.mp3").write_bytes(b"".join(parts))
    recording = load_audio(tmp_path / "joined.mp3")
    assert recording.duration == pytest.approx(3 * load_audio(SECOND).duration, rel=0.05)
    assert recording.notes == ()


TITLES = {
    "titles": b"ID3\x04\0\0\0\0\0\x0fTIT2\0\0\0\x05\0\0\0word",
    "covers": b"ID3\x03\0\0\0\0\x4f\x20" + np.random.default_rng(0).bytes(0x4F * 128 + 0x20),
    "titles of APE": b"APETAGEX\xd0\x07\0\0\x20\0\0\0\0\0\0\0\0\0\0\x80" + bytes(8),
}


@pytest.mark.parametrize("kind", TITLES)
def test_titles_between_joined_recordings_are_no_damage(kind, tmp_path):
    part = encoded(FIRST, tmp_path, "mp3", 44_100, 1, "-id3v2_version", "0")
    (tmp_path / "twenty.mp3").write_bytes((TITLES[kind] + part) * 20)
    recording = load_audio(tmp_path / "twenty.mp3")
    assert recording.notes == ()
    assert recording.duration == pytest.approx(20 * len(words()) / SAMPLE_RATE, rel=0.05)


def test_damage_between_titles_is_told(tmp_path):
    part = bytearray(encoded(SECOND, tmp_path, "mp3", 44_100, 1, "-id3v2_version", "0"))
    for start in range(len(part) // 3, len(part) // 2, 700):
        part[start : start + 300] = bytes(300)
    (tmp_path / "two.mp3").write_bytes((TITLES["titles"] + part) * 2)
    notes = load_audio(tmp_path / "two.mp3").notes
    assert notes == ("Some of the recording is damaged and left out.",)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write_wav(tmp_path / "mine.wav", words()[:, None])
    monkeypatch.setattr(decoder, "split", refuse)
    with pytest.raises(AudioUnreadable, match=r"mine\.wav can't be read .* Check who may read it"):
        load_audio(path)


CUT = {
    "m4a": ("-movflags", "+faststart"),
    "mp3": (),
    "wav": (),
    "aiff": (),
    "caf": (),
    "w64": (),
    "au": (),
    "webm": (),
    "wv": (),
    "tta": (),
}


@pytest.mark.parametrize("suffix", CUT)
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_download_that_broke_off(suffix, share, tmp_path):
    """What there is of it is heard, and how much that is of how much is told."""
    path = tmp_path / f"part.{suffix}"
    whole = encoded(SECOND, tmp_path, suffix, 48_000, 1, *CUT[suffix])
    path.write_bytes(whole[: int(share * len(whole))])
    recording = load_audio(path)
    assert recording.duration == pytest.approx(5.2 * share, abs=1.05)  # frames of TTA are long
    assert lag(recording.waveform, words(SECOND)[: len(recording.waveform)])[1] > 0.9
    there = f"{recording.duration:.1f}"
    assert recording.notes == (
        f"The recording ends too early: of its 5.2 s only the first {there} s are there.",
    )


def test_lengths_that_nobody_knew_are_not_missed(tmp_path):
    """As programs write them that don't go back to the header."""
    data = encoded(SECOND, tmp_path, "wav", 48_000, 1)
    at = data.index(b"data") + 4
    for length in (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0):
        path = tmp_path / "streamed.wav"
        path.write_bytes(data[:at] + length.to_bytes(4, "little") + data[at + 4 :])
        recording = load_audio(path)
        assert recording.duration == pytest.approx(5.2, abs=0.05)
        assert recording.notes == ()


LATE = {"mp4": "aac", "mkv": "flac", "ts": "aac", "m2ts": "mp2", "mpg": "mp2", "ogg": "libvorbis"}


@pytest.mark.parametrize("suffix", LATE)
def test_sound_that_starts_later_than_the_picture(suffix, tmp_path):
    """Of one track alone ffmpeg forgets that where times may begin anew."""
    path = tmp_path / f"late.{suffix}"
    picture = ("-f", "lavfi", "-i", "color=s=64x64:d=9:r=25")
    seen = ("-c:v", "libtheora") if suffix == "ogg" else ()
    late = ("-itsoffset", "3", "-i", SECOND, "-map", "0:v", "-map", "1:a")
    ffmpeg(*picture, *late, *seen, "-c:a", LATE[suffix], path)
    said = np.concatenate([np.zeros(3 * SAMPLE_RATE, np.float32), words(SECOND)])
    recording = load_audio(path)
    assert recording.duration == pytest.approx(8.2, abs=0.1)
    for shift, alike in in_thirds(recording.waveform[2 * SAMPLE_RATE :], said[2 * SAMPLE_RATE :]):
        assert abs(shift) <= 0.05
        assert alike > 0.9


@pytest.mark.parametrize("suffix", ["mkv", "mp3", "ts", "webm"])
def test_times_that_begin_late_are_not_missed(suffix, tmp_path):
    path = tmp_path / f"later.{suffix}"
    ffmpeg("-i", SECOND, "-output_ts_offset", "5000", path)
    recording = load_audio(path)
    assert recording.notes == ()
    assert recording.duration == pytest.approx(5.2, abs=0.1)


def test_a_film_that_outlasts_its_sound_is_complete(tmp_path):
    path = tmp_path / "film.mp4"
    picture = ("-f", "lavfi", "-i", "color=s=64x64:d=9")
    ffmpeg(*picture, "-i", SECOND, "-c:a", "aac", path)
    assert load_audio(path).notes == ()


def test_a_recording_without_its_index(tmp_path):
    path = tmp_path / "memo.m4a"
    whole = encoded(SECOND, tmp_path, "m4a", 48_000, 1)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AudioUnreadable, match=r"memo\.m4a .* ends too early.* lacks its index"):
        load_audio(path)
