import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from talking_face.errors import AudioTooLong, AudioTooShort, AudioUnreadable, FfmpegMissing
from talking_face.ffmpeg import find_ffmpeg
from talking_face.sound import audio
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.decode import decode
from talking_face.sound.prosody import energy, speech_level
from talking_face.sound.rates import SOUND_RATE

TONE = 440  # Hz
PICTURE = ("-f", "lavfi", "-i", "color=s=32x32:r=25:d=2")


def tone(seconds: float = 2.0, rate: int = SAMPLE_RATE, hertz: float = TONE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype("f4")


def loudest_hertz(recording: Recording) -> float:
    spectrum = np.abs(np.fft.rfft(recording.waveform))
    return float(np.argmax(spectrum) / recording.duration)


def ffmpeg(*arguments: str | Path) -> None:
    command = [find_ffmpeg(), "-nostdin", "-loglevel", "error", *map(str, arguments)]
    subprocess.run(command, check=True)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(), SAMPLE_RATE)
    return path


@pytest.mark.parametrize("kind", ["wav", "mp3", "m4a", "flac", "ogg", "webm", "aiff"])
def test_any_container_gives_the_same_sound(kind: str, wav: Path, tmp_path: Path) -> None:
    path = tmp_path / f"sound.{kind}"
    ffmpeg("-y", "-i", wav, "-ar", "48000", "-ac", "2", path)
    recording = load_audio(path)
    assert recording.waveform.dtype == np.float32
    assert recording.sound.dtype == np.int16
    assert len(recording.sound) == pytest.approx(3 * len(recording.waveform), abs=3)
    assert recording.notes == ()
    assert np.abs(recording.waveform).max() <= 1
    assert recording.duration == pytest.approx(2.0, abs=0.06)
    assert loudest_hertz(recording) == pytest.approx(TONE, abs=1)


def test_the_sound_of_a_video_is_found(wav: Path, tmp_path: Path) -> None:
    ffmpeg(*PICTURE, "-i", wav, tmp_path / "talk.mp4")
    assert loudest_hertz(load_audio(tmp_path / "talk.mp4")) == pytest.approx(TONE, abs=1)


def test_sound_that_starts_late_keeps_its_time(wav: Path, tmp_path: Path) -> None:
    ffmpeg(*PICTURE, "-itsoffset", "0.5", "-i", wav, "-c:a", "pcm_s16le", tmp_path / "late.mkv")
    waveform = load_audio(tmp_path / "late.mkv").waveform
    first = np.argmax(np.abs(waveform) > 0.01) / SAMPLE_RATE
    assert first == pytest.approx(0.5, abs=0.01)


def test_the_upload_stays_as_it_is(wav: Path) -> None:
    before = wav.read_bytes(), wav.stat().st_mtime_ns
    load_audio(wav)
    assert (wav.read_bytes(), wav.stat().st_mtime_ns) == before
    assert list(wav.parent.iterdir()) == [wav]


@pytest.mark.parametrize("name", ["-i.wav", "http:x.wav", "a b'c\".wav", "%03d.wav", "ö.wav"])
def test_odd_names_are_only_names(name: str, wav: Path, tmp_path: Path) -> None:
    path = wav.rename(tmp_path / name)
    assert loudest_hertz(load_audio(path)) == pytest.approx(TONE, abs=1)


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    ffmpeg(*PICTURE, tmp_path / "mute.mp4")
    with pytest.raises(AudioUnreadable, match=r"mute\.mp4 has no sound"):
        load_audio(tmp_path / "mute.mp4")


@pytest.mark.parametrize(
    "content",
    [
        b"Dear reader,\nthis is a letter and not a sound.\n" * 40,
        b"",
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"#EXTM3U\n#EXTINF:3,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    ],
    ids=["text", "empty", "truncated header", "playlist"],
)
def test_what_is_no_sound_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "claim.wav"
    path.write_bytes(content)
    with pytest.raises(AudioUnreadable, match=r"claim\.wav"):
        load_audio(path)


def test_a_missing_file_a_folder_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    wrong = {"nothing.wav": "There is no file", "": "is a folder", "empty.wav": "is empty"}
    for name, told in wrong.items():
        with pytest.raises(AudioUnreadable, match=told):
            load_audio(tmp_path / name)
    with pytest.raises(AudioUnreadable, match="fetched from an address"):
        load_audio("https://example.org/speech.wav")
    with pytest.raises(AudioUnreadable, match="No recording was given"):
        load_audio("")


def test_what_a_coder_adds_makes_no_recording_too_long(
    speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = load_audio(speech).duration
    monkeypatch.setattr(audio, "MAX_SECONDS", seconds - 0.05)
    assert load_audio(speech).duration == pytest.approx(seconds - 0.05, abs=1e-3)
    monkeypatch.setattr(audio, "MAX_SECONDS", seconds - 0.2)
    with pytest.raises(AudioTooLong):
        load_audio(speech)


def test_a_sound_without_samples_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "none.wav", np.zeros(0, dtype="f4"), SAMPLE_RATE)
    with pytest.raises(AudioUnreadable, match="no samples"):
        load_audio(tmp_path / "none.wav")


def test_too_short_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "blip.wav", tone(0.2), SAMPLE_RATE)
    with pytest.raises(AudioTooShort, match=r"lasts 0\.20 s"):
        load_audio(tmp_path / "blip.wav")


def test_too_long_is_refused_without_decoding_it_all(tmp_path: Path) -> None:
    path = tmp_path / "lecture.wav"
    soundfile.write(path, np.zeros(1500 * 8000, dtype="u1").astype("i2"), 8000, subtype="PCM_U8")
    sound, _ = decode(path, 10)
    assert len(sound) == 10 * SOUND_RATE
    with pytest.raises(AudioTooLong, match="more than 10 minutes"):
        load_audio(path)


def test_silence_is_allowed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000, dtype="f4"), SAMPLE_RATE)
    recording = load_audio(tmp_path / "silence.wav")
    assert recording.frames == 25
    assert not recording.waveform.any()


def test_no_ffmpeg_says_what_to_install(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> str:
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", absent)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FfmpegMissing, match="Install ffmpeg"):
        load_audio(wav)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_samples_in_memory_are_resampled(rate: int) -> None:
    recording = Recording.from_waveform(tone(1.0, rate), rate)
    assert recording.duration == pytest.approx(1.0, abs=1e-3)
    assert loudest_hertz(recording) == pytest.approx(TONE, abs=2)
    assert np.abs(recording.waveform).max() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("kind", "middle"), [("i2", 0), ("i4", 0), ("u1", 128)])
def test_integers_are_full_scale(kind: str, middle: int) -> None:
    scale = np.iinfo(kind).max - middle
    samples = (tone(1.0) * scale + middle).astype(kind)
    np.testing.assert_allclose(
        Recording.from_waveform(samples, SAMPLE_RATE).waveform, tone(1.0), atol=0.02
    )


def test_channels_are_averaged_and_bad_numbers_removed() -> None:
    stereo = np.stack([tone(1.0), tone(1.0, hertz=2 * TONE)], axis=1)
    recording = Recording.from_waveform(stereo, SAMPLE_RATE)
    np.testing.assert_allclose(recording.waveform, stereo.mean(axis=1), atol=1e-6)
    assert recording.sound.shape == (SOUND_RATE, 2)

    broken = tone(1.0)
    broken[[3, 5, 7]] = np.nan, np.inf, -8
    waveform = Recording.from_waveform(broken, SAMPLE_RATE).waveform
    assert waveform[[3, 5, 7]].tolist() == [0, 1, -1]


@pytest.mark.parametrize("suffix", ["wav", "wv"])
@pytest.mark.parametrize("scale", [4.0, 2.0**15, 2.0**31])
def test_floating_point_files_of_another_scale_are_turned_down(scale, suffix, tmp_path) -> None:
    path = tmp_path / "scaled.wav"
    soundfile.write(path, tone() * scale, SAMPLE_RATE, subtype="FLOAT")
    if suffix == "wv":
        ffmpeg("-i", path, path.with_suffix(".wv"))
    recording = load_audio(path.with_suffix(f".{suffix}"))
    assert recording.notes == ("The recording is louder than full scale, so it is turned down.",)
    np.testing.assert_allclose(recording.waveform[99:-99], 2 * tone()[99:-99], atol=2e-2)


def test_what_is_no_number_in_a_floating_point_file_is_silent(tmp_path) -> None:
    path, broken = tmp_path / "broken.wav", tone(rate=SOUND_RATE)
    broken[[30_000, 60_000]] = np.nan, np.inf
    soundfile.write(path, broken, SOUND_RATE, subtype="FLOAT")
    recording = load_audio(path)
    assert recording.notes == ()
    assert np.abs(recording.sound[[30_000, 60_000]]).max() == 0
    assert np.abs(recording.waveform).max() < 0.6


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros((2, 2, 2)), SAMPLE_RATE),
        (np.zeros(0), SAMPLE_RATE),
        (np.zeros((9000, 0)), SAMPLE_RATE),
        (np.zeros(9000), 0),
        (np.array(["a"] * 9000), SAMPLE_RATE),
    ],
)
def test_samples_that_are_no_sound_are_refused(samples: np.ndarray, rate: int) -> None:
    with pytest.raises(AudioUnreadable):
        Recording.from_waveform(samples, rate)


@pytest.mark.parametrize(("seconds", "frames"), [(0.3, 8), (1.0, 25), (1.03, 26), (2.978, 74)])
def test_frames_follow_the_duration(seconds: float, frames: int) -> None:
    assert Recording.from_waveform(tone(seconds), SAMPLE_RATE).frames == frames


def test_clicks_to_one_side_are_no_offset(tmp_path: Path) -> None:
    waveform = np.zeros(SAMPLE_RATE, dtype=np.float32)
    waveform[8000:8160] = 0.9
    path = tmp_path / "click.wav"
    soundfile.write(path, waveform, SAMPLE_RATE)
    heard = load_audio(path).waveform
    assert np.abs(heard[9000:]).max() < 1e-4


@pytest.mark.parametrize("offset", [0.01, 0.3, -0.5])
@pytest.mark.parametrize("gain", [0.02, 0.4])
def test_an_offset_fools_nobody(offset: float, gain: float, tmp_path: Path) -> None:
    """A bad sound card adds a constant: the same is heard, and pauses are as quiet."""
    rate, pause = SAMPLE_RATE, np.zeros(SAMPLE_RATE, "f4")
    voice = gain * np.concatenate([pause, tone(1.0, hertz=700), pause]).astype("f4")
    shifted = np.stack([voice + offset, np.zeros_like(voice)], axis=1)
    path = tmp_path / "offset.wav"
    soundfile.write(path, shifted, rate, subtype="FLOAT")
    told = ("The right channel is silent, so the left one is used for both.",)
    for recording in (load_audio(path), Recording.from_waveform(shifted, rate)):
        assert recording.notes == told
        np.testing.assert_allclose(recording.waveform, voice, atol=2e-3)
        assert np.mean(recording.sound) / 2**15 == pytest.approx(offset, abs=1e-3)  # as it was
        loud = energy(recording.waveform, 75)
        assert loud[:24].max() < loud[30:45].min() - 30
        level = speech_level(shifted[:, 0], 75)
        assert level[:24].max() < level[30:45].min() - 30
