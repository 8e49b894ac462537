"""A microphone with an offset: the live face hears what it would hear without one."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from talking_face import load_animator
from talking_face.arrays import Array, Float32
from talking_face.live.chunks import Centring, Chunks
from talking_face.live.ear import Ear
from talking_face.live.supply import eager
from talking_face.sound.audio import SAMPLE_RATE

MODELS = load_animator("cpu").models
SETTLED = 0.8  # seconds


def centred(sound: Float32, size: int = 1600, rate: int = SAMPLE_RATE) -> Float32:
    cut = range(0, len(sound), size)
    return np.concatenate(list(Chunks([sound[start : start + size] for start in cut], rate)))


def room(seconds: float) -> Float32:
    noise = np.random.default_rng(0).normal(0, 3e-4, round(seconds * SAMPLE_RATE))
    return noise.astype(np.float32)


def energies(sound: Float32) -> Array:
    """(frames,) dB, as the ear of a live face measures it."""
    ear = Ear(MODELS.live_ear, MODELS.face)
    for hop in eager(Chunks([sound], SAMPLE_RATE)):
        ear.hear(hop.heard)
    return ear._trail[:, 1]


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0.02, -0.3])
def test_energy_is_that_of_the_voice(words: Float32, offset: float) -> None:
    sound = np.concatenate([room(2), 0.3 * words[: 2 * SAMPLE_RATE], room(2)])
    plain, shifted = energies(sound), energies(sound + np.float32(offset))
    settled = round(25 * SETTLED)
    assert np.median(plain[settled:50]) < -65
    assert np.abs(shifted - plain)[settled:50].max() < 1.0
    assert np.median(np.abs(shifted - plain)[settled:]) < 1.0


@pytest.mark.parametrize("offset", [0.02, -0.3])
def test_it_goes_without_a_jump_and_stays_away(words: Float32, offset: float) -> None:
    sound = np.concatenate([room(1), 0.3 * words])
    left = centred(sound + np.float32(offset)) - sound
    assert np.abs(np.diff(left)).max() < 1e-3 * abs(offset) + 2e-5
    assert np.abs(left[round(SETTLED * SAMPLE_RATE) : SAMPLE_RATE]).max() < 0.01 * abs(offset)
    assert np.abs(left[SAMPLE_RATE:]).max() < 0.05 * sound.std()


def test_a_sound_without_one_is_left_as_it_is(words: Float32) -> None:
    click = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    click[9000:9400] = 0.5
    for sound in (np.zeros_like(click), click):
        assert np.array_equal(centred(sound), sound)
    assert np.abs(centred(words) - words).max() < 0.05 * words.std()


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 333, 50_000])
def test_chunks_of_any_size_become_the_same_sound(words: Float32, size: int) -> None:
    sound = words[:SAMPLE_RATE] + np.float32(0.1)
    assert np.array_equal(centred(sound, size), centred(sound))


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_at_every_rate(rate: int) -> None:
    assert np.abs(centred(np.full(rate, 0.2, np.float32), 999, rate)[-rate // 4 :]).max() < 1e-3


def test_it_keeps_no_more_however_long_it_lasts() -> None:
    centring = Centring(SAMPLE_RATE)

    def kept() -> int:
        parts = [*centring._block, *centring._means, *centring._powers]
        return sum(sys.getsizeof(part) for part in parts)

    for _ in range(100):
        centring.centred(room(0.101))
    before = kept()
    for _ in range(300):
        centring.centred(room(0.101))
    assert kept() < before + 4000
