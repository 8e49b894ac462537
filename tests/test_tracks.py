"""Which of several sound tracks and channels is heard: the one that speaks."""

import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from test_decode import (
    ASSETS,
    BLACK,
    FIRST,
    SECOND,
    ffmpeg,
    heard_in_clip,
    in_thirds,
    lag,
    words,
    write_wav,
)

from talking_face.errors import AudioUnreadable
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.prosody import activity
from talking_face.sound.rates import SOUND_RATE

THIRD = ASSETS / "pie.wav"


def two_tracks(folder: Path, first: str) -> Path:
    path = folder / "tracks.mkv"
    ffmpeg(
        *BLACK, "-f", "lavfi", "-i", f"{first}:d=3", "-i", FIRST,
        "-map", "0", "-map", "1", "-map", "2", "-c:a", "aac", path,
    )  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ("anullsrc=r=48000", "The first sound track is silent, so the second one is used."),
        (
            "sine=300:r=44100",
            "Nobody speaks on the first sound track, so the second one is used.",
        ),
        (
            "anoisesrc=a=0.1:r=44100",
            "Nobody speaks on the first sound track, so the second one is used.",
        ),
    ],
    ids=["silence", "hum", "noise"],
)
def test_the_track_on_which_somebody_speaks(first, told, tmp_path):
    recording = load_audio(two_tracks(tmp_path, first))
    assert recording.notes == (told,)
    late, alike = lag(recording.waveform, words())
    assert abs(late) < 0.08
    assert alike > 0.9


def test_of_tracks_that_speak_the_first(tmp_path):
    path = tmp_path / "tracks.mka"
    ffmpeg("-i", SECOND, "-i", FIRST, "-map", "0", "-map", "1", path)
    recording = load_audio(path)
    assert lag(recording.waveform, words(SECOND))[1] > 0.9
    assert recording.notes == ("Of 2 sound tracks the first one is used.",)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_of_languages_the_one_that_players_take(suffix, tmp_path):
    path = tmp_path / f"film.{suffix}"
    tracks = ["-map", "0", "-map", "1", "-disposition:a:0", "0", "-disposition:a:1", "default"]
    ffmpeg("-i", SECOND, "-i", THIRD, *tracks, "-c:a", "aac", path)
    recording = load_audio(path)
    assert lag(recording.waveform, words(THIRD))[1] > 0.9
    assert recording.notes == ("Of 2 sound tracks the second one is used, as players do.",)


def test_a_silent_track_is_not_heard_whoever_prefers_it(tmp_path):
    path = tmp_path / "film.mkv"
    tracks = ["-map", "0", "-map", "1", "-disposition:a:0", "0", "-disposition:a:1", "default"]
    ffmpeg("-i", FIRST, "-f", "lavfi", "-i", "anullsrc=r=48000:d=3", *tracks, "-c:a", "aac", path)
    assert load_audio(path).notes == ("Of 2 sound tracks the first one is used.",)


def interview(bleed: float) -> np.ndarray:
    """Two people in turn, at a microphone each, which hears the other one as well; (n, 2)."""
    one, other = words(FIRST), words(SECOND)
    silence = np.zeros_like(other)
    first = np.concatenate([one, silence, one])
    second = np.concatenate([0 * one, other, 0 * one])
    return np.stack([first + bleed * second, second + bleed * first], axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("bleed", [0.0, 0.05, 0.1, 0.3])
def test_tracks_that_take_turns_are_all_heard(bleed, tmp_path):
    said = interview(bleed)
    for track in range(2):
        write_wav(tmp_path / f"{track}.wav", said[:, track : track + 1])
    path, inputs = tmp_path / "tracks.mka", []
    # The microphone of the first speaker is on two tracks; nobody is to be heard twice.
    for track in (0, 1, 0):
        inputs += ["-i", tmp_path / f"{track}.wav"]
    ffmpeg(*inputs, "-map", "0", "-map", "1", "-map", "2", path)
    recording = load_audio(path)
    assert recording.notes == (
        "On the first and second of 3 sound tracks people speak in turn, so these are mixed.",
    )
    both = said.sum(axis=1)
    for late, alike in in_thirds(recording.waveform, both):
        assert abs(late) < 0.05
        assert alike > 0.9
    middle = slice(len(both) // 3, len(both) // 2)
    assert lag(recording.waveform[middle], both[middle])[1] > 0.9
    assert np.abs(recording.waveform).max() == pytest.approx(min(1, np.abs(both).max()), rel=0.1)


def test_a_track_that_starts_later_keeps_its_time(tmp_path):
    """Alone, a track of a transport stream is decoded from where it begins."""
    path = tmp_path / "tracks.ts"
    later = ("-itsoffset", "5.5", "-i", FIRST)
    ffmpeg("-i", SECOND, *later, "-map", "0", "-map", "1", "-c:a", "mp2", path)
    recording = load_audio(path)
    one, other = words(SECOND), words(FIRST)
    said = np.zeros(round(5.5 * SAMPLE_RATE) + len(other), np.float32)
    said[: len(one)] = one
    said[-len(other) :] += other
    assert "in turn" in recording.notes[0]
    assert recording.duration == pytest.approx(len(said) / SAMPLE_RATE, abs=0.1)
    for late, alike in in_thirds(recording.waveform, said):
        assert abs(late) < 0.05
        assert alike > 0.9


@pytest.mark.slow
def test_who_speaks_into_another_one_s_microphone_is_no_second_speaker(tmp_path):
    """A track with the same voice, only fainter and in a room, isn't mixed in; nor two voices at
    once."""
    one, other = (np.tile(words(source), 3)[: 8 * SAMPLE_RATE] for source in (FIRST, SECOND))
    echo = np.random.default_rng(0).normal(0, 0.05, 2000) * np.exp(-np.arange(2000) / 600)
    for second in (0.3 * np.convolve(one, echo)[: len(one)], other, 0.2 * one + other):
        for track, said in enumerate((one, second)):
            write_wav(tmp_path / f"{track}.wav", said[:, None])
        path = tmp_path / "tracks.mka"
        inputs = ["-i", tmp_path / "0.wav", "-i", tmp_path / "1.wav"]
        ffmpeg(*inputs, "-map", "0", "-map", "1", path)
        assert load_audio(path).notes == ("Of 2 sound tracks the first one is used.",)


def test_channels_that_take_turns_are_all_heard(tmp_path):
    said = interview(0.0)
    recording = load_audio(write_wav(tmp_path / "interview.wav", said))
    assert recording.notes == ()
    assert recording.sound.shape[1] == 2
    np.testing.assert_allclose(recording.waveform, said.mean(axis=1), atol=0.01)


def melody(seconds: float, voices: int) -> np.ndarray:
    """Plucked notes of a scale in some voices, (n,) float in [-1, 1], 16 kHz."""
    rng = np.random.default_rng(1)
    sound, size = np.zeros(round((seconds + 1) * SAMPLE_RATE)), SAMPLE_RATE // 2
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    for start in range(0, round(seconds * SAMPLE_RATE), size):
        for voice in range(voices):
            hertz = 220 * 2 ** ((rng.choice([0, 2, 4, 5, 7, 9, 11]) + 5 * voice) / 12)
            tones = sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 6))
            sound[start : start + SAMPLE_RATE] += tones * np.exp(-5 * t) * np.minimum(1, 200 * t)
    return 0.5 * sound / np.abs(sound).max()


@pytest.mark.parametrize("voices", [1, 3])
def test_music_is_no_speech(voices, tmp_path):
    music = melody(5, voices)
    first, path = write_wav(tmp_path / "music.wav", music[:, None]), tmp_path / "tracks.mka"
    ffmpeg("-i", first, "-i", SECOND, "-map", "0", "-map", "1", path)
    recording = load_audio(path)
    assert recording.notes == (
        "Nobody speaks on the first sound track, so the second one is used.",
    )
    assert lag(recording.waveform, words(SECOND))[1] > 0.9


def test_speech_with_music_under_it_is_speech(tmp_path):
    said = words(SECOND)
    both = said + melody(5, 3)[: len(said)] * said.std() / melody(5, 3).std() / 2
    first, path = write_wav(tmp_path / "both.wav", both[:, None]), tmp_path / "tracks.mka"
    ffmpeg("-i", first, "-i", FIRST, "-map", "0", "-map", "1", path)
    assert load_audio(path).notes == ("Of 2 sound tracks the first one is used.",)


def in_both(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


def one_of(count: int, channel: int) -> np.ndarray:
    """Words on one channel, a faint hiss on all."""
    samples = 0.001 * np.random.default_rng(0).standard_normal((len(words()), count))
    samples[:, channel] += words()
    return samples


def four_microphones() -> np.ndarray:
    """Everybody at a microphone of their own, and a fifth at which nobody sits."""
    samples = np.zeros((len(words()), 5))
    quarter = len(words()) // 4
    for turn in range(4):
        part = slice(turn * quarter, (turn + 1) * quarter)
        samples[part, turn] = words()[part]
    return samples


CHANNELS = {
    "antiphase": (lambda: in_both(words(), -words()), "only the left channel is used"),
    "antiphase in its second half": (
        lambda: in_both(words(), words() * np.where(np.arange(len(words())) < 24_000, 1, -1)),
        "would lose the speech",
    ),
    "a silent right": (lambda: in_both(words(), 0 * words()), "The right channel is silent"),
    "a silent left": (lambda: in_both(0 * words(), words()), "The left channel is silent"),
    "a humming left": (
        lambda: in_both(0.3 * np.sin(np.arange(len(words())) / 8), 0.3 * words()),
        "only the right channel is used",
    ),
    "six, unnamed": (partial(one_of, 6, 3), "Of the 6 channels only number 4 is used"),
    "nine": (partial(one_of, 9, 8), "Of the 9 channels only number 9 is used"),
    "sixty": (partial(one_of, 60, 6), "Of the 60 channels only number 7 is used"),
    "sixty-four": (partial(one_of, 64, 63), "Of the 64 channels only number 64 is used"),
    "four microphones": (four_microphones, "numbers 1, 2, 3 and 4 are used"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", CHANNELS)
def test_the_channels_that_hold_the_speech(kind, tmp_path):
    make, told = CHANNELS[kind]
    path = write_wav(tmp_path / "channels.wav", make())
    in_memory = Recording.from_waveform(make().astype("f4"), SAMPLE_RATE)
    for recording in (load_audio(path), in_memory):
        assert told in recording.notes[0]
        late, alike = lag(recording.waveform, words())
        assert abs(late) < 0.002
        assert alike > 0.9
        speaks = activity(recording.waveform, recording.frames)
        assert speaks.mean() > 0.8 * activity(words(), recording.frames).mean()
        clip = heard_in_clip(recording, tmp_path)
        assert len(clip) / SAMPLE_RATE == pytest.approx(recording.duration, abs=0.04)
        for late, alike in in_thirds(clip, recording.waveform):
            assert abs(late) < 0.003
            assert alike > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["5.1", "7.1", "quad"])
def test_named_layouts_are_mixed_as_they_are_meant(layout, tmp_path):
    """Speech in front, a flute behind on the left: both are in the clip."""
    path = tmp_path / "film.wav"
    alike = "aformat=sample_fmts=s16:sample_rates=48000:channel_layouts=mono"
    flute = f"sine=523:d=3,volume=0.1,{alike}[m]"
    front = "FC=c0" if layout != "quad" else "FL=c0|FR=c0"
    pan = f"[v][m]amerge,pan={layout}|{front}|BL=c1[o]"
    graph = f"{flute};[0:a]{alike}[v];{pan}"
    ffmpeg("-i", FIRST, "-filter_complex", graph, "-map", "[o]", path)
    recording = load_audio(path)
    assert recording.notes == ()
    assert recording.sound.shape[1] == 2
    assert lag(recording.waveform, words())[1] > 0.8
    left, right = np.abs(np.fft.rfft(recording.sound / 2**15, axis=0)).T
    flute = round(523 * len(recording.sound) / SOUND_RATE)
    assert (
        np.abs(left - right)[flute - 3 : flute + 3].max() > 100 > np.abs(left - right)[:1000].max()
    )


def test_speech_where_the_usual_mix_leaves_it_out(tmp_path):
    """A field recorder's six microphones in a file that calls the fourth a subwoofer."""
    path = tmp_path / "recorder.wav"
    ffmpeg("-i", FIRST, "-af", "pan=5.1|LFE=c0", path)
    recording = load_audio(path)
    assert recording.notes == ("Of the 6 channels only number 4 is used, which has the speech.",)
    assert lag(recording.waveform, words())[1] > 0.9


def placed(path: Path, samples: np.ndarray, mask: int) -> Path:
    """A WAV file that says where its channels belong; mask 0 leaves it open."""
    data = write_wav(path, samples).read_bytes()
    kind = "0100000000001000800000aa00389b71"  # PCM
    extension = struct.pack("<HHI", 22, 16, mask) + bytes.fromhex(kind)
    header = struct.pack("<HH", 0xFFFE, samples.shape[1]) + data[24:36]  # rates and sizes
    chunk = b"fmt " + struct.pack("<I", 40) + header + extension
    path.write_bytes(b"RIFF" + struct.pack("<I", len(data) + 16) + b"WAVE" + chunk + data[36:])
    return path


@pytest.mark.parametrize("mask", [0, 0b11, 0b101, 0b1100, 0b110000, 0x600])
def test_two_channels_are_left_and_right_wherever_they_belong(mask, tmp_path):
    """Left and centre, centre and subwoofer, both from behind."""
    path = placed(tmp_path / "two.wav", in_both(words(), 0.5 * words()), mask)
    recording = load_audio(path)
    assert recording.notes == ()
    left, right = np.abs(recording.sound.astype(int)).max(axis=0)
    assert right == pytest.approx(left / 2, rel=0.05)


@pytest.mark.parametrize("mask", [0, 0b1, 0b100, 0b1000, 0x800])
def test_one_channel_is_as_loud_as_it_is_wherever_it_belongs(mask, tmp_path):
    recording = load_audio(placed(tmp_path / "one.wav", words()[:, None], mask))
    assert recording.notes == ()
    np.testing.assert_allclose(recording.waveform, words(), atol=0.01)


def test_one_channel_that_its_decoder_does_not_call_mono(tmp_path):
    path = tmp_path / "mono.tta"
    ffmpeg("-i", FIRST, "-ac", "1", path)
    recording = load_audio(path)
    assert recording.notes == ()
    assert recording.sound.shape[1] == 1


def test_ordinary_stereo_stays_as_it_is(tmp_path):
    rng = np.random.default_rng(0)
    room = 0.02 * rng.standard_normal((len(words()), 2))
    path = write_wav(tmp_path / "stereo.wav", in_both(words(), 0.7 * words()) + room)
    recording = load_audio(path)
    assert recording.notes == ()
    assert recording.sound.shape[1] == 2
    same = load_audio(write_wav(tmp_path / "same.wav", in_both(words(), words())))
    assert same.sound.shape[1] == 1
    assert np.abs(same.waveform).max() == pytest.approx(np.abs(words()).max(), rel=0.01)


def test_more_channels_than_can_be_mixed(tmp_path):
    path = write_wav(tmp_path / "hundred.wav", np.tile(words()[:8000, None], (1, 100)))
    with pytest.raises(AudioUnreadable, match=r"has 100 channels. Use a recording with 64 at most"):
        load_audio(path)
