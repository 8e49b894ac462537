"""The mapping network: its mask, its cache, its samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from talking_face.face.lips import mean_opening
from talking_face.face.model import load_face_model
from talking_face.mapping.decoder import (
    COMPONENTS,
    GROUPS,
    HEADS,
    MEMORY,
    N_AUDIO,
    N_STATE,
    N_STYLE,
    REACH,
    STEP,
    Decoder,
    Mixture,
    temporal_bias,
)
from talking_face.mapping.dirfa import load_dirfa
from talking_face.mapping.events import load_eyes
from talking_face.mapping.sampler import draw, expected_face, sample_states
from talking_face.motion import FPS
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.encoder import load_encoder
from talking_face.sound.speech import Speech, listen
from talking_face.training.data.examples import mouth_readout
from talking_face.training.fit.decoder import lip_freedom
from talking_face.training.measure.lip_figures import LIPS


@pytest.fixture(scope="module")
def network():
    return load_dirfa()


@pytest.fixture(scope="module")
def heard(speech) -> Speech:
    return listen(load_audio(speech), load_encoder())


def sample(network, heard, indices=(0, 1), seed=0, diversity=1.0):
    return draw(network, load_eyes(), load_face_model(), heard, indices, seed, diversity)


def test_the_mask_follows_its_formula():
    distance = torch.arange(-2, MEMORY + 3)
    bias = temporal_bias(distance)
    assert bias.shape == (HEADS, len(distance))
    for head in range(HEADS):
        for place, steps in enumerate(distance.tolist()):
            expected = -(2 ** (-8 * (head + 1) / HEADS)) * steps if 0 <= steps < MEMORY else -np.inf
            assert bias[head, place].item() == pytest.approx(expected)


def test_without_the_bias_all_of_the_memory_weighs_alike():
    bias = temporal_bias(torch.arange(-1, MEMORY + 1), biased=False)
    assert torch.equal(bias[:, 1:-1], torch.zeros(HEADS, MEMORY))
    assert torch.isinf(bias[:, [0, -1]]).all()


def test_decoding_with_a_cache_equals_decoding_at_once():
    torch.manual_seed(0)
    decoder = Decoder().double().eval()
    torch.nn.init.normal_(decoder.layers[0].place)
    steps = MEMORY + 9  # longer than the memory
    states = torch.randn(2, steps, N_STATE, dtype=torch.float64)
    before = torch.cat([states[:, :1], states[:, :-1]], dim=1)
    frames = STEP * torch.arange(1, steps + 1)
    heard = decoder.hear(torch.randn(1, STEP * steps, N_AUDIO, dtype=torch.float64))
    inside = torch.ones(1, STEP * steps, dtype=torch.bool)
    style = decoder.embed_style(torch.randn(2, N_STYLE).double(), torch.tensor([True, False]))
    with torch.no_grad():
        whole, _ = decoder(states, before, heard, inside, frames, style)
        kept = []
        for step in range(steps):
            here = slice(step, step + 1)
            one, kept = decoder(
                states[:, here], before[:, here], heard, inside, frames[here], style, kept
            )
            for name in ("logits", "means", "log_scales"):
                single, at_once = getattr(one, name)[:, 0], getattr(whole, name)[:, step]
                torch.testing.assert_close(single, at_once, rtol=0, atol=1e-9)
    assert kept[0][0].shape[2] == MEMORY  # what is kept doesn't grow


def test_a_step_hears_only_the_audio_around_it():
    torch.manual_seed(0)
    decoder = Decoder().eval()
    states = torch.zeros(1, 1, N_STATE)
    inside = torch.ones(1, 100, dtype=torch.bool)
    style = decoder.no_style[None]

    def means(audio):
        frame = torch.tensor([50])
        with torch.no_grad():
            heard = decoder.hear(audio)
            return decoder(states, states, heard, inside, frame, style)[0].means

    audio = torch.randn(1, 100, N_AUDIO)
    far, near = audio.clone(), audio.clone()
    far[:, 50 + REACH + 1 :] += 1
    near[:, 50 + REACH] += 1
    assert torch.equal(means(far), means(audio))
    assert not torch.equal(means(near), means(audio))


def test_a_mixture_s_likelihood_is_that_of_its_samples():
    means = torch.zeros(1, 1, COMPONENTS, N_STATE)
    mixture = Mixture(torch.zeros(1, 1, 3, COMPONENTS), means, torch.zeros_like(means))
    at = torch.full((1, 1, N_STATE), 0.5)
    found = mixture.log_likelihood(at)[0, 0]
    each = -0.5 * 0.25 - 0.5 * np.log(2 * np.pi)
    assert found.tolist() == pytest.approx([size * each for size in GROUPS.values()], rel=1e-5)


def test_temperature_zero_takes_the_likeliest_component():
    logits = torch.zeros(1, 1, 3, COMPONENTS)
    logits[..., 2] = 1.0
    means = torch.arange(COMPONENTS, dtype=torch.float32)[:, None].expand(1, 1, -1, N_STATE)
    mixture = Mixture(logits, means, torch.zeros(1, 1, COMPONENTS, N_STATE))
    uniform, normal = torch.full((1, 3), 0.999), torch.ones(1, N_STATE)
    assert (mixture.sample(uniform, normal, torch.zeros(N_STATE)) == 2).all()
    assert (mixture.sample(uniform, normal, torch.ones(N_STATE)) == COMPONENTS - 1 + 1).all()


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
        network, heard, expected_face(network, heard), range(12), 0, 1.0
    )[:, ::STEP]  # fmt: skip
    steps = np.diff(states, 2, axis=1).reshape(-1, N_STATE)
    seen = np.corrcoef(steps[:, first], steps[:, second])[0, 1]
    assert seen * np.sign(correlation[first, second]) > 0.5 * abs(correlation[first, second])


def test_quantiles_of_samples_are_even():
    torch.manual_seed(0)
    n, shape = 4000, (1, 1, COMPONENTS, N_STATE)
    mixture = Mixture(
        torch.randn(1, 1, len(GROUPS), COMPONENTS).expand(n, -1, -1, -1),
        torch.randn(shape).expand(n, -1, -1, -1),
        (0.5 * torch.randn(shape)).expand(n, -1, -1, -1),
    )
    drawn = mixture.sample(torch.rand(n, len(GROUPS)), torch.randn(n, N_STATE), torch.ones(N_STATE))
    quantiles = mixture.quantiles(drawn[:, None])[:, 0]
    assert quantiles.mean(0).sub(0.5).abs().max() < 0.03
    assert quantiles.std(0).sub(12**-0.5).abs().max() < 0.02


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
    for name in ("rotation", "translation"):
        np.testing.assert_allclose(
            getattr(brief, name)[:same], getattr(lengthy, name)[:same], atol=2e-2
        )
    assert np.abs(brief.rotation[:same]).max() > 1


def test_three_minutes_do_not_drift(network, heard):
    speech = repeated(heard, -(-180 * FPS // len(heard)))
    motion = sample(network, speech, indices=[0])[0]
    assert len(motion) >= 180 * FPS
    half_minutes = motion.rotation[: 180 * FPS].reshape(6, -1, 3)
    assert np.abs(half_minutes.mean(1)).max() < 6  # degrees
    extent = half_minutes.std(1).mean(1)
    assert extent.max() < 3 * extent.min()  # as lively at the end as at the beginning


def test_silence_is_idle(network, heard):
    silent = listen(Recording(np.zeros(20 * SAMPLE_RATE, dtype=np.float32)), load_encoder())
    (idle,) = sample(network, silent, indices=[0])
    (talking,) = sample(network, repeated(heard, -(-20 * FPS // len(heard))), indices=[0])
    assert openings(idle.lower).max() < 0.003  # inter-ocular distances
    assert (idle.lids > 0.7).any()  # it blinks
    speed = [np.abs(np.diff(m.rotation, axis=0)).mean() * FPS for m in (idle, talking)]
    assert 0.3 < speed[0] < 0.5 * speed[1]  # degrees a second: alive, and calmer than speech
