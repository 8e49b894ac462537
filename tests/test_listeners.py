"""A listener: pieces, padding, reach, and the gate that brings the mouth to rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from talking_face.mapping.dirfa import load_dirfa
from talking_face.mapping.listeners import REACH, Listener, prosody_inputs, rest_gate, run


@pytest.fixture(scope="module")
def network() -> Listener:
    return load_dirfa().listeners[0]


def test_long_recordings_go_through_in_pieces(network: Listener) -> None:
    rng = np.random.default_rng(0)
    frames = 2300
    features = rng.standard_normal((frames, 6, 512)).astype(np.float32)
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


def test_padding_of_a_batch_changes_nothing(network: Listener) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 60, 3072, generator=generator)
    prosody = torch.rand(1, 60, 4, generator=generator)
    inside = torch.ones(1, 60)
    inside[:, 40:] = 0
    with torch.inference_mode():
        padded = network(features, prosody, inside)[:, :40]
        alone = network(features[:, :40], prosody[:, :40], inside[:, :40])
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=1e-5)


def test_an_answer_depends_on_its_neighbourhood_alone(network: Listener) -> None:
    features = np.zeros((101, 6, 512), dtype=np.float32)
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
