import numpy as np
import pytest
from synthetic_voice import RATE, synthetic_voice

from talking_face.sound.audio import Recording
from talking_face.sound.encoder import SpeechEncoder, load_encoder
from talking_face.sound.prosody import activity, energy, pitch
from talking_face.sound.speech import Speech, listen

rng = np.random.default_rng(0)


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    return load_encoder()


def heard(waveform: np.ndarray, encoder: SpeechEncoder) -> Speech:
    return listen(Recording(waveform.astype(np.float32)), encoder)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), dtype=np.float32)


def noise(seconds: float, loudness: float) -> np.ndarray:
    return (loudness * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def hum(seconds: float, loudness: float) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * 50 * k * t + k) / k for k in range(1, 30))
    return (loudness * wave / np.abs(wave).max()).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 2.978, 8.99, 9.0, 9.01, 16.03, 16.1])
def test_every_curve_has_a_value_for_every_frame(seconds: float, encoder: SpeechEncoder) -> None:
    speech = heard(synthetic_voice(seconds), encoder)
    frames = speech.recording.frames
    assert frames == round(seconds * 25)
    assert speech.features.shape == (frames, 6, 512)
    assert speech.log_mel.shape == (80, len(speech.recording.waveform) // 160)
    for name in ("energy", "activity", "pitch", "voicing"):
        curve = getattr(speech, name)
        assert curve.shape == (frames,)
        assert curve.dtype == np.float32
        assert np.isfinite(curve).all()
    assert np.isfinite(speech.features).all()


def test_frames_tell_the_time(encoder: SpeechEncoder) -> None:
    start = 50  # frames
    wave = np.concatenate([silence(start / 25), synthetic_voice(1.0), silence(1.0)])
    speech = heard(wave, encoder)
    assert np.argmax(speech.energy > -40) == start
    change = np.linalg.norm(np.diff(speech.features[1 : start + 20, 0], axis=0), axis=1)
    assert abs(int(np.argmax(change)) + 2 - start) <= 1
    assert (speech.activity[start + 1 : start + 20] > 0.5).mean() > 0.9
    assert speech.activity[: start - 3].max() < 0.05
    assert speech.activity[start + 29 :].max() < 0.05


@pytest.mark.slow
def test_a_long_recording_is_heard_as_its_pieces_are(encoder: SpeechEncoder) -> None:
    voice = synthetic_voice(24.0)
    whole = heard(voice, encoder).features
    # The windows' joints lie at 7–10 and 14–17 s; the pieces have theirs elsewhere.
    for first, last in ((5, 13), (11, 19)):
        piece = heard(voice[first * RATE : last * RATE], encoder).features[25:-25]
        same = whole[first * 25 : last * 25][25:-25]
        mean, deviation = same.mean(axis=0), same.std(axis=0)  # a few channels are a hundred times
        same, piece = ((part - mean) / deviation for part in (same, piece))  # as strong as others
        for block, least in enumerate((0.95, 0.95, 0.85, 0.5, 0.5, 0.7)):
            agreement = np.corrcoef(same[:, block].ravel(), piece[:, block].ravel())[0, 1]
            assert agreement > least


def test_joints_of_windows_are_no_jumps(encoder: SpeechEncoder) -> None:
    features = heard(synthetic_voice(24.0), encoder).features
    change = np.sqrt((np.diff(features, axis=0) ** 2).mean(axis=2))  # (frames - 1, 6)
    joint = np.zeros(len(change), dtype=bool)
    for second in (7, 14):
        joint[second * 25 : (second + 3) * 25] = True
    assert (change[joint].mean(0) < 1.15 * change[~joint].mean(0)).all()
    assert (change[joint].max(0) < 1.4 * change[~joint].max(0)).all()


def test_energy_is_in_decibels_of_full_scale() -> None:
    sine = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    np.testing.assert_allclose(energy(sine, 25), -3.01, atol=0.01)
    np.testing.assert_allclose(energy(sine / 100, 25), -43.01, atol=0.01)
    assert (energy(silence(1.0), 25) == -100).all()


def test_pitch_follows_a_glide() -> None:
    t = np.arange(2 * RATE) / RATE
    hertz = 100 + 100 * t
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 8)).astype(np.float32) / 4
    found, voicing = pitch(voice, 50)
    expected = hertz[320::640]
    np.testing.assert_allclose(found[1:-1], expected[1:-1], rtol=0.04)
    assert voicing[1:-1].min() > 0.9
    assert pitch(noise(2.0, 0.1), 50)[1].mean() < 0.4
    assert not pitch(silence(2.0), 50)[1].any()


def test_silence_is_no_speech() -> None:
    assert not activity(silence(3.0), 75).any()
    assert not activity(noise(3.0, 1e-5), 75).any()  # the dither of a 16-bit file


@pytest.mark.parametrize("loudest", [0.5, 0.05, 0.005])
def test_a_faint_voice_is_speech_too(loudest: float) -> None:
    voice = np.concatenate([silence(1.0), synthetic_voice(2.0, loudest), silence(1.0)])
    speaks = activity(voice, 100)
    assert (speaks[26:74] > 0.5).mean() > 0.9
    assert speaks[:22].max() < 0.05
    assert speaks[79:].max() < 0.05


@pytest.mark.parametrize("disturbance", [noise, hum])
def test_steady_sounds_are_no_speech(disturbance) -> None:
    assert activity(disturbance(4.0, 0.2), 100).mean() < 0.05


@pytest.mark.parametrize("disturbance", [noise, hum])
def test_a_voice_is_found_over_a_steady_sound(disturbance) -> None:
    voice = np.concatenate([silence(1.5), synthetic_voice(2.0), silence(1.5)])
    speaks = activity(voice + disturbance(5.0, 0.01), 125)
    assert (speaks[39:86] > 0.5).mean() > 0.8
    assert speaks[:33].max() < 0.2
    assert speaks[92:].max() < 0.2


def test_the_stop_inside_a_word_does_not_close_the_speech() -> None:
    voice = synthetic_voice(1.0)
    word = np.concatenate([voice, silence(0.12), voice])
    assert activity(word, 53)[3:-3].min() > 0.3


def test_the_digest_tells_sounds_apart(encoder: SpeechEncoder) -> None:
    voice = synthetic_voice(1.0)
    assert heard(voice, encoder).digest == heard(voice.copy(), encoder).digest
    assert heard(voice, encoder).digest != heard(voice * 0.99, encoder).digest
