"""Samples of the mapping network: they repeat and differ, and keep to the words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from talking_face.face.lips import mean_opening, mouth_readout
from talking_face.face.model import load_face_model
from talking_face.mapping.decoder import N_STATE, REACH, STEP
from talking_face.mapping.dirfa import load_dirfa
from talking_face.mapping.events import draw_eyes, load_eyes
from talking_face.mapping.sampler import draw, expected_face, sample_states
from talking_face.motion import FPS
from talking_face.options import STYLES
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.encoder import load_encoder
from talking_face.sound.speech import Speech, listen
from talking_face.training.fit.decoder import lip_freedom
from talking_face.training.measure.lip_figures import LIPS

RECORDINGS = Path(__file__).resolve().parents[1] / "assets" / "recordings"


@pytest.fixture(scope="module")
def network():
    return load_dirfa()


@pytest.fixture(scope="module")
def heard(speech) -> Speech:
    return listen(load_audio(speech), load_encoder())


def sample(network, heard, indices=(0, 1), seed=0, diversity=1.0):
    return draw(network, load_eyes(), load_face_model(), heard, indices, seed, diversity)


def test_samples_repeat_and_differ(network, heard):
    first, second = sample(network, heard)
    again = sample(network, heard)[0]
    other = sample(network, heard, seed=1)[0]
    assert np.array_equal(first.as_array(), again.as_array())
    for different in (second, other):
        assert np.abs(first.rotation - different.rotation).max() > 1
        assert np.abs(first.upper - different.upper).max() > 0.1


def test_a_sample_does_not_depend_on_its_batch(network, heard):
    alone = sample(network, heard, indices=[2])[0]
    in_batch = sample(network, heard, indices=[0, 2, 1, 5])[1]
    np.testing.assert_allclose(alone.as_array(), in_batch.as_array(), atol=1e-5)


def test_the_eyes_belong_to_the_head_that_is_drawn(network, heard):
    for index, motion in enumerate(sample(network, heard, seed=4)):
        lids, gaze = draw_eyes(load_eyes(), motion.rotation, 4, index, 1.0)
        np.testing.assert_allclose(motion.gaze, gaze, atol=1e-4)
        np.testing.assert_allclose(motion.lids, lids, atol=1e-4)
        assert np.abs(gaze).max() > 1  # degrees


@pytest.mark.slow
def test_calm_natural_and_lively_differ_clearly(network):
    eyes, model, ear = load_eyes(), load_face_model(), load_encoder()
    recordings = [listen(load_audio(path), ear) for path in sorted(RECORDINGS.glob("*.wav"))]

    def speeds(style: tuple[float, float]) -> np.ndarray:
        """Of head, degrees a second, and of brows, standard deviations a second."""
        motions = [
            motion
            for speech in recordings
            for seed in range(2)
            for motion in draw(network, eyes, model, speech, range(2), seed, 1.0, style)
        ]
        return FPS * np.array(
            [
                np.concatenate([np.abs(np.diff(part(motion), axis=0)) for motion in motions]).mean()
                for part in (lambda motion: motion.rotation, lambda motion: motion.upper)
            ]
        )

    calm, natural, lively = (speeds(STYLES[name]) for name in ("calm", "natural", "lively"))
    assert 1 < calm[0] < 4.5  # it moves, though
    assert np.all(natural > 1.25 * calm)
    assert np.all(lively > (1.25, 1.15) * natural)


def test_head_and_brows_are_calmed_apart(network, heard):
    eyes, model = load_eyes(), load_face_model()

    def extents(style: tuple[float, float]) -> tuple[float, float]:
        motions = draw(network, eyes, model, heard, range(4), 0, 1.0, style)
        return tuple(
            np.mean([getattr(motion, name).std(0) for motion in motions])
            for name in ("rotation", "upper")
        )

    (head, brows), (still_head, _), (_, still_brows) = map(extents, [(0, 0), (-2, 0), (0, -2)])
    assert still_head < 0.75 * head
    assert still_brows < 0.9 * brows


def test_an_excited_voice_moves_more(network, heard):
    eyes, model = load_eyes(), load_face_model()

    def speed(arousal: float | None) -> float:
        affect = None
        if arousal is not None:
            affect = np.tile(np.array([0.0, arousal], dtype=np.float32), (len(heard), 1))
        motions = draw(network, eyes, model, heard, range(4), 0, 1.0, affect=affect)
        return float(np.mean([np.abs(np.diff(m.rotation, axis=0)).mean() for m in motions]))

    calm, unknown, excited = speed(-0.4), speed(None), speed(0.6)
    assert 1.1 * calm < unknown < excited / 1.1


def test_diversity_zero_is_one_animation(network, heard):
    samples = sample(network, heard, indices=(0, 7), diversity=0.0)
    other = sample(network, heard, indices=[0], seed=9, diversity=0.0)[0]
    assert np.array_equal(samples[0].as_array(), samples[1].as_array())
    assert np.array_equal(samples[0].as_array(), other.as_array())


def test_diversity_spreads_the_head(network, heard):
    def spread(diversity):
        motions = sample(network, heard, indices=range(4), diversity=diversity)
        return np.std([motion.rotation for motion in motions], axis=0).mean()

    assert spread(0.4) < spread(1.0) < spread(1.5)


def openings(lower: np.ndarray) -> np.ndarray:
    model = load_face_model()
    return mean_opening(model.mean + model.displacement(lower, np.zeros((len(lower), 6))))


def test_lips_are_the_same_words_in_every_sample(network, heard):
    expected = openings(sample(network, heard, indices=[0], diversity=0.0)[0].lower)
    for motion in sample(network, heard, indices=range(3), diversity=1.5):
        drawn = openings(motion.lower)
        assert np.corrcoef(drawn, expected)[0, 1] > 0.95
        assert not np.array_equal(drawn, expected)


def test_closed_lips_stay_closed(network, heard):
    calm, *drawn = (
        openings(motion.lower)
        for diversity, indices in ((0.0, [0]), (1.0, range(4)))
        for motion in sample(network, heard, indices=indices, diversity=diversity)
    )
    shut = calm < 0.001
    assert shut.sum() > 5
    for gap in drawn:
        assert (gap[shut] < 0.01).mean() > 0.95


def test_nothing_moves_at_the_rate_of_frames(network, heard):
    for motion in sample(network, heard):
        curves = np.concatenate([motion.rotation, motion.upper], axis=1)
        power = (
            np.abs(
                np.fft.rfft(np.diff(curves, axis=0) * np.hanning(len(curves) - 1)[:, None], axis=0)
            )
            ** 2
        )
        hertz = np.fft.rfftfreq(len(curves) - 1, 1 / FPS)
        assert power[hertz > 8].sum() < 0.05 * power.sum()


def test_channels_are_surprised_together(network, heard):
    factor = network.together.double()
    correlation = (factor @ factor.T).numpy()
    np.testing.assert_allclose(np.diag(correlation), 1, atol=0.01)
    first, second = np.unravel_index(
        np.abs(np.triu(correlation, 1)).argmax(), correlation.shape
    )  # the strongest link, which samples have to show
    states = sample_states(
        network, heard, expected_face(network, heard)[:, :22], range(12), 0, 1.0
    )[:, ::STEP]  # fmt: skip
    steps = np.diff(states, 2, axis=1).reshape(-1, N_STATE)
    seen = np.corrcoef(steps[:, first], steps[:, second])[0, 1]
    assert seen * np.sign(correlation[first, second]) > 0.5 * abs(correlation[first, second])


def test_free_straying_leaves_opening_and_width_alone(network):
    free, tight = network.free.double().numpy(), network.tight.double().numpy()
    readout, _ = mouth_readout(load_face_model())
    readout = readout[: len(free)]
    np.testing.assert_allclose(free @ readout, 0, atol=2e-3 * np.abs(readout).max())
    np.testing.assert_allclose(tight @ readout, readout, atol=2e-3 * np.abs(readout).max())


def test_what_moves_the_lips_most_is_the_least_free():
    model = load_face_model()
    free, tight = lip_freedom(model, np.eye(16))
    outline = model.lower[list(LIPS), :2].reshape(-1, 16)
    rest = outline @ (np.eye(16) - tight)
    _, _, directions = np.linalg.svd(rest)
    kept = [np.linalg.norm(direction @ free) for direction in directions[:14]]
    assert kept[0] < 0.5 < kept[-1]
    assert np.all(np.diff(kept) > -1e-6)


def repeated(heard: Speech, times: int) -> Speech:
    """The same words again and again."""
    waveform = heard.recording.waveform[: len(heard) * SAMPLE_RATE // FPS]
    tiled = {
        name: np.tile(getattr(heard, name), (times,) + (1,) * (getattr(heard, name).ndim - 1))
        for name in ("features", "energy", "activity", "pitch", "voicing")
    }
    return replace(heard, recording=Recording(np.tile(waveform, times)), **tiled)


def test_a_longer_recording_begins_alike(network, heard):
    short, long = (repeated(heard, times) for times in (1, 3))
    brief, lengthy = (sample(network, speech, indices=[1])[0] for speech in (short, long))
    same = len(short) - REACH - 2 * STEP - FPS  # what comes after the end isn't heard before
    for name in ("rotation", "translation", "lids", "gaze"):
        np.testing.assert_allclose(
            getattr(brief, name)[:same], getattr(lengthy, name)[:same], atol=2e-2
        )
    assert np.abs(brief.rotation[:same]).max() > 1


@pytest.mark.slow
def test_three_minutes_do_not_drift(network, heard):
    speech = repeated(heard, -(-180 * FPS // len(heard)))
    motion = sample(network, speech, indices=[0])[0]
    assert len(motion) >= 180 * FPS
    half_minutes = motion.rotation[: 180 * FPS].reshape(6, -1, 3)
    assert np.abs(half_minutes.mean(1)).max() < 6  # degrees
    extent = half_minutes.std(1).mean(1)
    assert extent.max() < 3 * extent.min()  # as lively at the end as at the beginning


@pytest.mark.slow
def test_silence_is_idle(network, heard):
    silent = listen(Recording(np.zeros(20 * SAMPLE_RATE, dtype=np.float32)), load_encoder())
    (idle,) = sample(network, silent, indices=[0])
    (talking,) = sample(network, repeated(heard, -(-20 * FPS // len(heard))), indices=[0])
    assert openings(idle.lower).max() < 0.003  # inter-ocular distances
    assert (idle.lids > 0.7).any()  # it blinks
    speed = [np.abs(np.diff(m.rotation, axis=0)).mean() * FPS for m in (idle, talking)]
    assert 0.3 < speed[0] < 0.5 * speed[1]  # degrees a second: alive, and calmer than speech
