import numpy as np
import pytest
import torch
from synthetic_voice import RATE, synthetic_voice

from talking_face.face.lips import contact, lip_gaps
from talking_face.face.model import FaceModel, load_face_model
from talking_face.mapping.listeners import (
    N_LOWER,
    N_OUTPUTS,
    REACH,
    Baseline,
    load_baseline,
    predict,
    prosody_inputs,
    rest_gate,
    run,
)
from talking_face.sound.audio import Recording, load_audio
from talking_face.sound.encoder import SpeechEncoder, load_encoder
from talking_face.sound.speech import Speech, listen

OPEN = 0.03  # inter-ocular distances: lips that anyone sees are apart
CLOSED = 0.02  # as in the evaluation


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    return load_encoder()


@pytest.fixture(scope="module")
def network() -> Baseline:
    return load_baseline()


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


def hear(waveform: np.ndarray, encoder: SpeechEncoder) -> Speech:
    return listen(Recording(waveform.astype(np.float32)), encoder)


def opening(lower: np.ndarray, upper: np.ndarray, model: FaceModel) -> np.ndarray:
    """Lip opening (frames,) on the mean face, as it is rendered."""
    shape = model.mean + model.displacement(lower, upper)
    return contact(lip_gaps(shape))[:, 3:6].mean(1)


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


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.98, 12.02])
def test_a_coefficient_for_every_frame(
    seconds: float, network: Baseline, encoder: SpeechEncoder
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
    network: Baseline, encoder: SpeechEncoder, speech
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
    kind: str, network: Baseline, encoder: SpeechEncoder, model: FaceModel
) -> None:
    lower, upper = predict(network, hear(disturbance(kind), encoder))
    assert opening(lower, upper, model).max() == 0
    assert np.abs(lower).max() < 0.05


def test_lips_close_in_pauses_and_open_in_speech(
    network: Baseline, encoder: SpeechEncoder, model: FaceModel, speech
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
    network: Baseline, encoder: SpeechEncoder, model: FaceModel
) -> None:
    middle = slice(20, 36)
    spoken = {
        name: opening(*predict(network, hear(vowel(formants), encoder)), model)[middle].mean()
        for name, formants in {"a": (750, 1150, 2500), "u": (300, 800, 2250)}.items()
    }
    assert spoken["a"] > 1.3 * spoken["u"]


def test_a_louder_passage_opens_no_less(
    network: Baseline, encoder: SpeechEncoder, model: FaceModel, speech
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
    network: Baseline,
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


def test_long_recordings_go_through_in_pieces(network: Baseline) -> None:
    rng = np.random.default_rng(0)
    frames = 2300
    features = rng.standard_normal((frames, 4, 384)).astype(np.float32)
    prosody = rng.random((frames, 4)).astype(np.float32)
    lengths = []
    handle = network.register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[1]))
    in_pieces = run(network, features, prosody)
    handle.remove()
    assert max(lengths) <= 1000 + 2 * REACH
    assert len(lengths) == 3
    with torch.inference_mode():
        whole = network(
            torch.from_numpy(features).flatten(1)[None],
            torch.from_numpy(prosody)[None],
            torch.ones(1, frames),
        )[0]
    np.testing.assert_allclose(in_pieces, whole.numpy(), atol=1e-4)


def test_padding_of_a_batch_changes_nothing(network: Baseline) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 60, 1536, generator=generator)
    prosody = torch.rand(1, 60, 4, generator=generator)
    inside = torch.ones(1, 60)
    inside[:, 40:] = 0
    with torch.inference_mode():
        padded = network(features, prosody, inside)[:, :40]
        alone = network(features[:, :40], prosody[:, :40], inside[:, :40])
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=1e-5)


def test_an_answer_depends_on_its_neighbourhood_alone(network: Baseline) -> None:
    features = np.zeros((101, 4, 384), dtype=np.float32)
    prosody = np.zeros((101, 4), dtype=np.float32)
    changed = features.copy()
    changed[50] += 1
    difference = np.abs(run(network, changed, prosody) - run(network, features, prosody)).max(1)
    assert difference[50] > 1e-3
    assert difference[: 50 - REACH].max() == 0
    assert difference[51 + REACH :].max() == 0


def test_loudness_is_relative_to_the_voice() -> None:
    energy = np.linspace(-60, -20, 100).astype(np.float32)
    flat = np.ones(100, dtype=np.float32)
    np.testing.assert_allclose(
        prosody_inputs(energy, flat, flat), prosody_inputs(energy - 12, flat, flat), atol=1e-6
    )


def test_the_gate_opens_before_speech_and_shuts_after_it() -> None:
    activity = np.zeros(200, dtype=np.float32)
    activity[80:120] = 1
    gate = rest_gate(activity)
    assert (gate[78:122] > 0.999).all()
    assert (np.abs(gate[[65, 130]] - 0.9) < 1e-3).all()  # it breathes
    assert (gate[:50] == 0).all()
    assert (gate[140:] == 0).all()
    assert np.abs(np.diff(gate)).max() < 0.4
    assert (np.diff(gate[:100]) >= 0).all()
    assert (np.diff(gate[100:]) <= 0).all()
