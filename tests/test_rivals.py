"""The rival: the lips that one listener hears, and the plain random head above them."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_voice import RATE, synthetic_voice

from talking_face.face.lips import mean_opening
from talking_face.face.model import FaceModel, load_face_model
from talking_face.mapping.events import draw_eyes, load_eyes
from talking_face.mapping.listeners import N_LOWER, N_OUTPUTS, Listener
from talking_face.motion import CHANNELS, FPS
from talking_face.sound import prosody
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.encoder import SpeechEncoder, load_encoder
from talking_face.sound.speech import Speech, listen
from talking_face.training.rivals import (
    HeadModel,
    draw_baseline,
    load_baseline,
    load_head,
    predict,
    sample_head,
    wander,
)

OPEN = 0.03  # inter-ocular distances: lips that anyone sees are apart
CLOSED = 0.02  # as in the evaluation


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    return load_encoder()


@pytest.fixture(scope="module")
def network() -> Listener:
    return load_baseline()


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


def hear(waveform: np.ndarray, encoder: SpeechEncoder) -> Speech:
    return listen(Recording(waveform.astype(np.float32)), encoder)


def opening(lower: np.ndarray, upper: np.ndarray, model: FaceModel) -> np.ndarray:
    """Lip opening (frames,) on the mean face, as it is rendered."""
    return mean_opening(model.mean + model.displacement(lower, upper))


def vowel(formants: tuple[int, int, int], seconds: float = 1.2) -> np.ndarray:
    """A steady voice, (n,) float32, with silence around it."""
    t = np.arange(round(seconds * RATE)) / RATE
    wave = np.zeros_like(t)
    for harmonic in range(1, 28):
        hertz = 120 * harmonic
        gain = sum(1 / (1 + ((hertz - formant) / 80) ** 2) for formant in formants)
        wave += gain * np.sin(2 * np.pi * hertz * t)
    wave *= np.minimum(1, 20 * np.minimum(t, t[::-1]))
    return np.pad(0.3 * wave / np.abs(wave).max(), RATE // 2)


# -- lips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.98, 12.02])
def test_a_coefficient_for_every_frame(
    seconds: float, network: Listener, encoder: SpeechEncoder
) -> None:
    speech = hear(synthetic_voice(seconds), encoder)
    lower, upper = predict(network, speech)
    assert lower.shape == (round(seconds * 25), N_LOWER)
    assert upper.shape == (round(seconds * 25), N_OUTPUTS - N_LOWER)
    for curves in (lower, upper):
        assert curves.dtype == np.float32
        assert np.isfinite(curves).all()
        assert np.abs(curves).max() < 8  # standard deviations


def test_the_same_sound_gives_the_same_face(
    network: Listener, encoder: SpeechEncoder, speech
) -> None:
    heard = listen(load_audio(speech), encoder)
    first, second = predict(network, heard), predict(load_baseline(), heard)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first[0].std() > 0.1


def disturbance(kind: str) -> np.ndarray:
    t = np.arange(3 * RATE) / RATE
    if kind == "silence":
        return np.zeros_like(t)
    if kind == "hum":
        return 0.1 * sum(np.sin(2 * np.pi * 50 * k * t + k) / k for k in range(1, 30))
    return 0.1 * np.random.default_rng(0).standard_normal(len(t))


@pytest.mark.parametrize("kind", ["silence", "noise", "hum"])
def test_nobody_speaks_and_the_lips_stay_closed(
    kind: str, network: Listener, encoder: SpeechEncoder, model: FaceModel
) -> None:
    lower, upper = predict(network, hear(disturbance(kind), encoder))
    assert opening(lower, upper, model).max() == 0
    assert np.abs(lower).max() < 0.05


def test_lips_close_in_pauses_and_open_in_speech(
    network: Listener, encoder: SpeechEncoder, model: FaceModel, speech
) -> None:
    voice = load_audio(speech).waveform
    pause = np.zeros(2 * RATE, dtype=np.float32)
    heard = hear(np.concatenate([pause, voice, pause]), encoder)
    gap = opening(*predict(network, heard), model)
    end = round(len(voice) / RATE * 25) + 50
    assert gap[:25].max() == 0
    assert gap[end + 20 :].max() == 0
    assert (gap[50:end] > OPEN).mean() > 0.4


def test_open_vowels_open_wider(
    network: Listener, encoder: SpeechEncoder, model: FaceModel
) -> None:
    middle = slice(20, 36)
    spoken = {
        name: opening(*predict(network, hear(vowel(formants), encoder)), model)[middle].mean()
        for name, formants in {"a": (750, 1150, 2500), "u": (300, 800, 2250)}.items()
    }
    assert spoken["a"] > 1.3 * spoken["u"]


def test_a_louder_passage_opens_no_less(
    network: Listener, encoder: SpeechEncoder, model: FaceModel, speech
) -> None:
    voice = load_audio(speech).waveform
    pause = np.zeros(RATE // 2, dtype=np.float32)
    heard = hear(np.concatenate([0.1 * voice, pause, voice]), encoder)
    gap = opening(*predict(network, heard), model)
    frames = round(len(voice) / RATE * 25)
    assert gap[-frames:].mean() > gap[:frames].mean()


@pytest.mark.parametrize(
    ("name", "closed", "opened"),
    [
        # Seconds of sound in which the bilabials' closures are heard as dips of the energy, and of
        # the vowels between them.
        ("boat", [(0.44, 0.56), (0.56, 0.72), (0.88, 1.04)], [(0.36, 0.44), (0.72, 0.84)]),
        ("grid", [(0.36, 0.48), (0.68, 0.8), (0.96, 1.04)], [(0.52, 0.64), (0.84, 0.92)]),
    ],
    ids=["mayBe-Bob", "Place-Blue-By"],
)
def test_bilabials_close_the_lips(
    name: str,
    closed: list[tuple[float, float]],
    opened: list[tuple[float, float]],
    network: Listener,
    encoder: SpeechEncoder,
    model: FaceModel,
    recordings,
) -> None:
    path = next(path for path in recordings if path.stem == name)
    gap = opening(*predict(network, listen(load_audio(path), encoder)), model)

    def during(span: tuple[float, float]) -> np.ndarray:
        return gap[round(span[0] * 25) : round(span[1] * 25) + 1]

    for span in closed:
        assert during(span).min() < CLOSED
    for span in opened:
        assert during(span).max() > OPEN


# -- head ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head()


def heard(waveform: np.ndarray) -> Speech:
    """What `listen` gives, but for the encoder's answers, which the head doesn't use."""
    recording = Recording(waveform.astype(np.float32))
    frames = recording.frames
    pitch, voicing = prosody.pitch(recording.waveform, frames)
    return Speech(
        recording,
        np.zeros((80, 0), dtype=np.float32),
        np.broadcast_to(np.float32(0), (frames, 6, 512)),
        prosody.energy(recording.waveform, frames),
        prosody.activity(recording.waveform, frames),
        pitch,
        voicing,
    )


@pytest.fixture(scope="module")
def voice() -> Speech:
    return heard(synthetic_voice(20.0))


@pytest.fixture(scope="module")
def nobody() -> Speech:
    return heard(np.zeros(60 * SAMPLE_RATE))


@pytest.fixture(scope="module")
def ten_minutes() -> Speech:
    return heard(np.tile(synthetic_voice(60.0), 10))


def draw(
    head: HeadModel, speech: Speech, seed: int, index: int = 0, diversity: float = 1.0
) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(np.random.SeedSequence([seed, index]))
    return sample_head(head, speech, generator, diversity)


def test_head_shapes(head: HeadModel, voice: Speech) -> None:
    sample = draw(head, voice, 0)
    assert set(sample) == {"upper", "rotation", "translation"}
    for name, value in sample.items():
        assert value.shape == (len(voice), CHANNELS[name])
        assert value.dtype == np.float32
        assert np.isfinite(value).all()


def test_same_seed_same_motion(head: HeadModel, voice: Speech) -> None:
    first, again = draw(head, voice, 5, 2), draw(head, voice, 5, 2)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])


def test_other_seed_and_other_index_move_otherwise(head: HeadModel, voice: Speech) -> None:
    turns = [draw(head, voice, seed, i)["rotation"] for seed in (0, 1) for i in range(4)]
    for i, a in enumerate(turns):
        for b in turns[:i]:
            assert np.sqrt(np.mean((a - b) ** 2)) > 1.0  # degrees


def test_without_diversity_the_generator_does_not_matter(head: HeadModel, voice: Speech) -> None:
    one, other = draw(head, voice, 0, diversity=0.0), draw(head, voice, 99, 3, diversity=0.0)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    assert one["rotation"][:, 1].std() > 0.1  # it nods with the voice all the same


def test_diversity_scales_the_spread(head: HeadModel, voice: Speech) -> None:
    def spread(diversity: float) -> float:
        turns = [draw(head, voice, 7, i, diversity)["rotation"] for i in range(12)]
        return float(np.std(turns, axis=0).mean())

    calm, natural, lively = spread(0.4), spread(1.0), spread(1.5)
    assert spread(0.0) < 1e-6
    assert 1.5 < natural / calm < 4.0
    assert lively > 1.1 * natural


def test_starts_at_the_photo(head: HeadModel, voice: Speech) -> None:
    for i in range(6):
        sample = draw(head, voice, 1, i, 1.5)
        assert np.abs(sample["rotation"][0]).max() < 0.1  # degrees
        assert np.abs(sample["translation"][0]).max() < 0.005
        assert np.abs(sample["upper"][0]).max() < 0.05


@pytest.mark.slow
def test_natural_amount_of_motion(head: HeadModel, ten_minutes: Speech) -> None:
    turns = np.array([draw(head, ten_minutes, 2, i)["rotation"] for i in range(6)])
    deviation = turns.std(axis=1)
    assert np.all((deviation > 0.4) & (deviation < 9.0))  # degrees, each sample and axis
    speed = np.abs(np.diff(turns, axis=1)).mean(axis=(0, 1)) * FPS
    assert np.all((speed > 4.0) & (speed < 16.0))  # degrees a second


def test_no_trembling(head: HeadModel, ten_minutes: Speech) -> None:
    """Nearly none of the head's velocity is faster than five turns a second."""
    sample = draw(head, ten_minutes, 4)
    for name in ("rotation", "translation", "upper"):
        power = np.abs(np.fft.rfft(np.diff(sample[name], axis=0), axis=0)) ** 2
        hertz = np.fft.rfftfreq(len(sample[name]) - 1, 1 / FPS)
        assert np.all(power[hertz > 5].sum(axis=0) < 0.02 * power.sum(axis=0))


def test_no_drift_in_ten_minutes(head: HeadModel, ten_minutes: Speech) -> None:
    limit = head.limit[:3] + 0.01
    minute = 60 * FPS
    for i in range(3):
        turn = draw(head, ten_minutes, 3, i)["rotation"]
        assert np.all(np.abs(turn) <= limit)
        means = turn.reshape(-1, minute, 3).mean(axis=1)
        assert np.ptp(means[1:], axis=0).max() < 4.0  # degrees; the sample keeps its posture
        first, last = turn[minute : 3 * minute].std(axis=0), turn[-2 * minute :].std(axis=0)
        assert np.all((last / first > 0.6) & (last / first < 1.6))


def test_a_longer_recording_begins_alike(head: HeadModel) -> None:
    speaks = np.ones(500)
    short = wander(head, speaks[:400], np.random.default_rng(0))
    long = wander(head, speaks, np.random.default_rng(0))
    np.testing.assert_allclose(short[:390], long[:390], atol=1e-3)


def test_silence_idles(head: HeadModel, voice: Speech, nobody: Speech) -> None:
    still = draw(head, nobody, 10, diversity=0.0)
    assert np.abs(still["rotation"]).max() == 0.0
    breath = np.abs(np.fft.rfft(still["translation"][:, 1]))
    hertz = np.fft.rfftfreq(len(nobody), 1 / FPS)
    assert hertz[np.argmax(breath)] == pytest.approx(0.25, abs=0.02)
    for i in range(3):
        quiet, loud = draw(head, nobody, 10, i), draw(head, voice, 10, i)
        frames = len(voice)
        pace = [np.abs(np.diff(s["rotation"][:frames], axis=0)).mean() for s in (quiet, loud)]
        assert 0.1 < pace[0] / pace[1] < 0.8  # it moves, but less than one who speaks


def test_a_single_frame(head: HeadModel) -> None:
    sample = draw(head, heard(np.zeros(SAMPLE_RATE // 100)), 0)
    assert all(len(value) == 1 for value in sample.values())


# -- both ---------------------------------------------------------------------------------------


def test_the_rival_has_one_face_and_as_many_heads_as_samples(
    network: Listener, head: HeadModel, encoder: SpeechEncoder
) -> None:
    said, eyes = hear(synthetic_voice(2.0), encoder), load_eyes()
    first, second = draw_baseline(network, head, eyes, said, [0, 3], seed=1, diversity=1.0)
    np.testing.assert_array_equal(first.lower, second.lower)
    assert np.abs(first.rotation - second.rotation).max() > 1.0  # degrees
    alone = draw_baseline(network, head, eyes, said, [3], seed=1, diversity=1.0)[0]
    np.testing.assert_array_equal(alone.as_array(), second.as_array())
    lids, gaze = draw_eyes(eyes, second.rotation, 1, 3, 1.0)  # the shipped ones
    np.testing.assert_array_equal(second.lids, lids)
    np.testing.assert_array_equal(second.gaze, gaze)
