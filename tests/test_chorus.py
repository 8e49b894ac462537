"""Listeners side by side answer as they do one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from talking_face.live.chorus import Chorus, load_live_ear
from talking_face.mapping.dirfa import load_dirfa
from talking_face.mapping.listeners import N_HEARD, N_PROSODY, Listener, prosody_inputs, run
from talking_face.mapping.sampler import expected_face
from talking_face.mapping.visemes import KINDS
from talking_face.sound.audio import Recording
from talking_face.sound.encoder import BLOCKS, N_MELS, WIDTH, load_encoder
from talking_face.sound.prosody import FRAME
from talking_face.sound.speech import Speech


@pytest.mark.parametrize("frames", [2, 24, 50])
def test_a_chorus_answers_as_its_listeners_do_on_the_mean(frames: int) -> None:
    listeners = cast(Sequence[Listener], list(load_dirfa().listeners))
    rng = np.random.default_rng(0)
    features = 2 * rng.standard_normal((frames, BLOCKS, WIDTH)).astype(np.float32)
    voice = rng.random((frames, N_PROSODY)).astype(np.float32)
    each = [run(one, features, voice) for one in listeners]
    mean = np.mean(each, axis=0)
    ours = Chorus(listeners).answer(features, voice)
    assert ours.shape == mean.shape
    assert ours.dtype == np.float32
    assert np.allclose(ours, mean, atol=1e-4 * np.abs(mean).max())
    assert np.abs(each[0] - mean).max() > 0.01  # they do differ


def test_a_chorus_tells_visemes_as_clips_are_told() -> None:
    network = load_dirfa()
    listeners = cast(Sequence[Listener], list(network.listeners))
    rng = np.random.default_rng(1)
    features = 2 * rng.standard_normal((30, BLOCKS, WIDTH)).astype(np.float32)
    energy, activity, voicing = (rng.random(30).astype(np.float32) for _ in range(3))
    voice = prosody_inputs(energy, activity, voicing)
    nothing = np.zeros(30, dtype=np.float32)
    heard = Speech(
        Recording(np.zeros(30 * FRAME, dtype=np.float32)), np.zeros((N_MELS, 0), np.float32),
        features, energy, activity, nothing, voicing,
    )  # fmt: skip
    whole = expected_face(network, heard)
    ours = Chorus(listeners, network.visemes).answer(features, voice)
    assert ours.shape == whole.shape == (30, N_HEARD + len(KINDS))
    np.testing.assert_allclose(ours, whole, atol=1e-4 * np.abs(whole).max())
    assert load_live_ear(load_encoder(), network).chorus.answer(features, voice).shape == ours.shape
