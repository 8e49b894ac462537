"""Listeners side by side answer as they do one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from talking_face.live.chorus import Chorus
from talking_face.mapping.dirfa import load_dirfa
from talking_face.mapping.listeners import N_PROSODY, Listener, run
from talking_face.sound.encoder import BLOCKS, WIDTH


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
