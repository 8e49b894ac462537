"""What the DIRFA network learns from: other hearings, other speeds, and stretches of clips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from talking_face.face.model import FaceModel, load_face_model
from talking_face.mapping.decoder import GROUPS, N_AFFECT, N_AUDIO, N_STATE, REACH, STEP
from talking_face.motion import FPS
from talking_face.sound.audio import SAMPLE_RATE
from talking_face.training.data.affects import at_frames
from talking_face.training.data.augment import at_speed, disturb
from talking_face.training.data.sequences import MotionSequence, deviation, with_styles
from talking_face.training.fit.decoder import (
    DecoderRecipe,
    Draws,
    as_batch,
    likelihood,
    mirror_signs,
    new_decoder,
    stirring,
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
    row = draws.stretch(sequences[0], 100)
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
    plain, mirrored = (draws.stretch(sequences[0], 0, flip) for flip in (False, True))
    yaw_pitch_roll = mirrored["states"][:, :3] / plain["states"][:, :3]
    np.testing.assert_allclose(yaw_pitch_roll, np.tile([-1, 1, -1], (13, 1)))


@pytest.mark.slow
def test_the_decoder_learns_and_hears(sequences: list[MotionSequence], model: FaceModel) -> None:
    recipe = DecoderRecipe(steps=60, check=60, batch=6, length=12, dropout=0.0, learning_rate=3e-3)
    decoder, styles, together, *_ = train_decoder(sequences, model, recipe)
    draws = draws_of(sequences, model)
    rows = [draws.stretch(s, 10) for s in sequences if s.audio is not None]
    batch = as_batch(rows)
    untrained = new_decoder(draws, recipe)
    learned, before = likelihood(decoder, batch), likelihood(untrained, batch)
    assert (learned > before + 0.2).all()
    deaf = [{**row, "audio": other["audio"]} for row, other in zip(rows, rows[::-1], strict=True)]
    assert learned[0] > likelihood(decoder, as_batch(deaf))[0]
    assert styles.shape == (2, 2)
    correlation = (together @ together.T).numpy()
    np.testing.assert_allclose(np.diag(correlation), 1, atol=1e-4)


def test_lively_voices_are_told_to_move_more(
    sequences: list[MotionSequence], model: FaceModel
) -> None:
    rng = np.random.default_rng(2)
    stirred = []
    for s in sequences:
        affect = np.tile(rng.uniform(-0.5, 0.5, N_AFFECT), (FRAMES, 1)).astype(np.float32)
        style = 3 + np.array([0.8 * affect[0, 1], 0.4 * affect[0, 1] + 0.2 * affect[0, 0]])
        known = None if s.audio is None else affect  # who isn't heard has no voice to tell
        stirred.append(replace(s, style=style.astype(np.float32), affect=known))
    usual, matrix = stirring(draws_of(stirred, model))
    assert np.abs(usual).max() < 0.3
    assert (matrix[:, 1] > 2).all()  # in standard deviations of these people
    assert abs(matrix[0, 0]) < 0.2 * matrix[0, 1]
    np.testing.assert_array_equal(stirring(draws_of(sequences, model))[1], 0)


def test_affect_reaches_the_decoder_at_its_steps(
    sequences: list[MotionSequence], model: FaceModel
) -> None:
    affect = np.column_stack([np.arange(FRAMES), -np.arange(FRAMES)]).astype(np.float32)
    felt = replace(sequences[0], affect=affect)
    draws = draws_of(sequences, model)
    row = draws.stretch(felt, 10)
    np.testing.assert_array_equal(row["affect"][:, 0], 10 + STEP * np.arange(1, 13))
    assert row["felt"].all()
    for other in (draws.stretch(felt, 10, unfelt=True), draws.stretch(sequences[0], 10)):
        assert not other["felt"].any()


def test_affect_of_a_voice_is_read_at_the_clip_s_speed() -> None:
    seconds = np.arange(0, 10, 0.5)
    curve = np.column_stack([seconds, 0.1 * seconds, -0.1 * seconds])
    for speed in (1.0, 1.12):
        read = at_frames(curve, 100, speed)
        middles = speed * (np.arange(100) + 0.5) / FPS
        np.testing.assert_allclose(read, np.column_stack([middles, -middles]) / 10, atol=1e-5)


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
