"""What the DIRFA network learns from: other hearings, other speeds, and stretches of clips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from talking_face.face.model import FaceModel, load_face_model
from talking_face.mapping.decoder import GROUPS, N_AUDIO, N_STATE, REACH, STEP
from talking_face.sound.audio import SAMPLE_RATE
from talking_face.training.data.augment import at_speed, disturb
from talking_face.training.data.sequences import MotionSequence, deviation, with_styles
from talking_face.training.fit.decoder import (
    DecoderRecipe,
    Draws,
    as_batch,
    likelihood,
    mirror_signs,
    new_decoder,
    surprises,
    train_decoder,
)

TONE = 440.0  # Hz
FRAMES = 120


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


def loudest_tone(waveform: np.ndarray) -> float:
    """Hz."""
    power = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)[power.argmax()])


@pytest.mark.parametrize("speed", [0.9, 1.12])
def test_another_hearing_is_of_another_voice_and_tempo(speed: float) -> None:
    seconds = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = (0.3 * np.sin(2 * np.pi * TONE * seconds)).astype(np.float32)
    heard = disturb(tone, speed, np.random.default_rng(0))
    assert abs(len(heard) - len(tone) / speed) <= 1
    assert loudest_tone(heard) == pytest.approx(TONE * speed, rel=0.01)
    assert np.abs(heard).max() <= 1
    assert np.array_equal(heard, disturb(tone, speed, np.random.default_rng(0)))
    assert not np.array_equal(heard, disturb(tone, speed, np.random.default_rng(1)))


def test_curves_are_played_faster_around_the_same_moments() -> None:
    seconds = (np.arange(100) + 0.5) / 25
    curves = np.stack([np.sin(seconds), seconds], axis=1)
    faster = at_speed(curves, 1.25)
    assert len(faster) == 80
    np.testing.assert_allclose(faster[2:-2, 0], np.sin(1.25 * seconds[:80])[2:-2], atol=2e-3)
    np.testing.assert_allclose(at_speed(curves, 1.0), curves, atol=1e-6)


def sequence(seed: int, source: str = "styletalk", silent: bool = False) -> MotionSequence:
    """A clip whose head turns as its sound says, and whose brows follow the head."""
    noise = np.random.default_rng(seed).standard_normal((FRAMES, N_STATE + N_AUDIO))
    smooth = gaussian_filter1d(noise, 4, axis=0)
    smooth /= smooth.std(axis=0)
    states, audio = smooth[:, :N_STATE].copy(), smooth[:, N_STATE:]
    states[:, 0] = 5 * audio[:, 0]
    states[:, GROUPS["head"]] = states[:, 1]
    sound = None if silent else audio.astype(np.float32)
    ok = np.ones(FRAMES, dtype=bool)
    return MotionSequence(source, f"p{seed}", states.astype(np.float32), sound, ok, None)


@pytest.fixture(scope="module")
def sequences() -> list[MotionSequence]:
    return with_styles([sequence(seed, silent=seed % 4 == 3) for seed in range(12)])


def draws_of(sequences: list[MotionSequence], model: FaceModel) -> Draws:
    recipe = DecoderRecipe(batch=6, length=12)
    return Draws(sequences, deviation(sequences), mirror_signs(model), recipe)


def test_stretches_are_standardised_and_know_where_they_end(
    sequences: list[MotionSequence], model: FaceModel
) -> None:
    draws = draws_of(sequences, model)
    row = draws.stretch(sequences[0], 100, mirrored=False, unstyled=False)
    grid = 100 + STEP * np.arange(13)
    assert np.array_equal(row["ok"] > 0, grid[1:] < FRAMES)
    inside = grid < FRAMES
    expected = sequences[0].states[grid[inside]] / draws.scale
    np.testing.assert_allclose(row["states"][inside], expected, rtol=1e-5)
    frames = 100 - REACH + np.arange(len(row["inside"]))
    assert np.array_equal(row["inside"], frames < FRAMES)
    np.testing.assert_array_equal(row["audio"][0], sequences[0].audio[100 - REACH])


def test_a_mirror_turns_the_head_the_other_way(
    sequences: list[MotionSequence], model: FaceModel
) -> None:
    draws = draws_of(sequences, model)
    plain, mirrored = (draws.stretch(sequences[0], 0, flip, False) for flip in (False, True))
    yaw_pitch_roll = mirrored["states"][:, :3] / plain["states"][:, :3]
    np.testing.assert_allclose(yaw_pitch_roll, np.tile([-1, 1, -1], (13, 1)))


def test_the_decoder_learns_and_hears(sequences: list[MotionSequence], model: FaceModel) -> None:
    recipe = DecoderRecipe(steps=60, check=60, batch=6, length=12, dropout=0.0, learning_rate=3e-3)
    decoder, styles, together = train_decoder(sequences, model, recipe)
    draws = draws_of(sequences, model)
    rows = [draws.stretch(s, 10, False, False) for s in sequences if s.audio is not None]
    batch = as_batch(rows)
    untrained = new_decoder(draws, recipe)
    learned, before = likelihood(decoder, batch), likelihood(untrained, batch)
    assert (learned > before + 0.2).all()
    deaf = [{**row, "audio": other["audio"]} for row, other in zip(rows, rows[::-1], strict=True)]
    assert learned[0] > likelihood(decoder, as_batch(deaf))[0]
    assert styles.shape == (2, 2)
    correlation = (together @ together.T).numpy()
    np.testing.assert_allclose(np.diag(correlation), 1, atol=1e-4)


def test_surprises_tell_what_moves_as_one(
    sequences: list[MotionSequence], model: FaceModel
) -> None:
    heard = [s for s in sequences if s.audio is not None]
    draws = draws_of(heard, model)
    draws.recipe = replace(draws.recipe, seed=3)
    correlation = surprises(new_decoder(draws, draws.recipe).eval(), draws)
    assert correlation[1, GROUPS["head"]] > 0.95  # the brow that follows the pitch
    others = np.abs(correlation[1, GROUPS["head"] + 1 :])
    assert others.max() < 0.5
