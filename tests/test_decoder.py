"""The decoder: its mask, its cache, its mixtures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from talking_face.mapping.decoder import (
    COMPONENTS,
    GROUPS,
    HEADS,
    MEMORY,
    N_AFFECT,
    N_AUDIO,
    N_STATE,
    N_STYLE,
    REACH,
    STEP,
    Decoder,
    Mixture,
    temporal_bias,
)


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


@pytest.mark.slow
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
    known = torch.tensor([[True], [False]])
    style = decoder.embed_style(torch.randn(2, 1, N_STYLE).double(), known)
    affect = decoder.embed_affect(torch.randn(2, steps, N_AFFECT).double(), ~known)
    manner = style + affect
    with torch.no_grad():
        whole, _ = decoder(states, before, heard, inside, frames, manner)
        kept = []
        for step in range(steps):
            here = slice(step, step + 1)
            one, kept = decoder(
                states[:, here], before[:, here], heard, inside, frames[here], manner[:, here], kept
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
    manner = decoder.no_style[None, None]

    def means(audio):
        frame = torch.tensor([50])
        with torch.no_grad():
            heard = decoder.hear(audio)
            return decoder(states, states, heard, inside, frame, manner)[0].means

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
