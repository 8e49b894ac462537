"""What moves besides the lips: seeds, diversity, blinks, limits, silence."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_voice import synthetic_voice

from talking_face.mapping.events import BLINKS_A_MINUTE, IdleModel, load_idle, sample_idle, wander
from talking_face.motion import CHANNELS, FPS
from talking_face.sound import prosody
from talking_face.sound.audio import SAMPLE_RATE, Recording
from talking_face.sound.speech import Speech

SHUT = 0.4  # closure that counts as a blink here; the slow change of opening stays below


@pytest.fixture(scope="module")
def model() -> IdleModel:
    return load_idle()


def heard(waveform: np.ndarray) -> Speech:
    """What `listen` gives, but for the encoder's answers, which idle motion doesn't use."""
    recording = Recording(waveform.astype(np.float32))
    frames = recording.frames
    pitch, voicing = prosody.pitch(recording.waveform, frames)
    return Speech(
        recording,
        np.zeros((80, 0), dtype=np.float32),
        np.broadcast_to(np.float32(0), (frames, 4, 384)),
        prosody.energy(recording.waveform, frames),
        prosody.activity(recording.waveform, frames),
        pitch,
        voicing,
    )


@pytest.fixture(scope="module")
def voice() -> Speech:
    return heard(synthetic_voice(20.0))


@pytest.fixture(scope="module")
def nobody() -> Speech:
    return heard(np.zeros(60 * SAMPLE_RATE))


@pytest.fixture(scope="module")
def ten_minutes() -> Speech:
    return heard(np.tile(synthetic_voice(60.0), 10))


def draw(model: IdleModel, speech: Speech, seed: int, index: int = 0, diversity: float = 1.0):
    generator = np.random.default_rng(np.random.SeedSequence([seed, index]))
    return sample_idle(model, speech, generator, diversity)


def blinks(lids: np.ndarray) -> np.ndarray:
    """Frames in which a blink starts."""
    shut = lids[:, 0] > SHUT
    return np.flatnonzero(shut[1:] & ~shut[:-1]) + 1


def test_shapes(model: IdleModel, voice: Speech) -> None:
    sample = draw(model, voice, 0)
    assert set(sample) == {"upper", "lids", "gaze", "rotation", "translation"}
    for name, value in sample.items():
        assert value.shape == (len(voice), CHANNELS[name])
        assert value.dtype == np.float32
        assert np.isfinite(value).all()


def test_same_seed_same_motion(model: IdleModel, voice: Speech) -> None:
    first, again = draw(model, voice, 5, 2), draw(model, voice, 5, 2)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])


def test_other_seed_and_other_index_move_otherwise(model: IdleModel, voice: Speech) -> None:
    turns = [draw(model, voice, seed, i)["rotation"] for seed in (0, 1) for i in range(4)]
    for i, a in enumerate(turns):
        for b in turns[:i]:
            assert np.sqrt(np.mean((a - b) ** 2)) > 1.0  # degrees


def test_without_diversity_the_generator_does_not_matter(model: IdleModel, voice: Speech) -> None:
    one, other = draw(model, voice, 0, diversity=0.0), draw(model, voice, 99, 3, diversity=0.0)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    assert one["rotation"][:, 1].std() > 0.1  # it nods with the voice all the same
    gaps = np.diff(blinks(one["lids"]))
    assert len(gaps) >= 2
    assert np.ptp(gaps) <= 1  # frames


def test_diversity_scales_the_spread(model: IdleModel, voice: Speech) -> None:
    def spread(diversity: float) -> float:
        turns = [draw(model, voice, 7, i, diversity)["rotation"] for i in range(12)]
        return float(np.std(turns, axis=0).mean())

    calm, natural, lively = spread(0.4), spread(1.0), spread(1.5)
    assert spread(0.0) < 1e-6
    assert 1.5 < natural / calm < 4.0
    assert lively > 1.1 * natural


def test_starts_at_the_photo(model: IdleModel, voice: Speech) -> None:
    for i in range(6):
        sample = draw(model, voice, 1, i, 1.5)
        assert np.abs(sample["rotation"][0]).max() < 0.1  # degrees
        assert np.abs(sample["translation"][0]).max() < 0.005
        assert np.abs(sample["upper"][0]).max() < 0.05
        assert np.abs(sample["gaze"][0]).max() < 0.1
        assert np.abs(sample["lids"][0]).max() < 0.05


def test_natural_amount_of_motion(model: IdleModel, ten_minutes: Speech) -> None:
    turns = np.array([draw(model, ten_minutes, 2, i)["rotation"] for i in range(6)])
    deviation = turns.std(axis=1)
    assert np.all((deviation > 0.4) & (deviation < 9.0))  # degrees, each sample and axis
    speed = np.abs(np.diff(turns, axis=1)).mean(axis=(0, 1)) * FPS
    assert np.all((speed > 4.0) & (speed < 16.0))  # degrees a second


def test_no_trembling(model: IdleModel, ten_minutes: Speech) -> None:
    """Nearly none of the head's velocity is faster than five turns a second."""
    sample = draw(model, ten_minutes, 4)
    for name in ("rotation", "translation", "upper"):
        power = np.abs(np.fft.rfft(np.diff(sample[name], axis=0), axis=0)) ** 2
        hertz = np.fft.rfftfreq(len(sample[name]) - 1, 1 / FPS)
        assert np.all(power[hertz > 5].sum(axis=0) < 0.02 * power.sum(axis=0))


def test_no_drift_in_ten_minutes(model: IdleModel, ten_minutes: Speech) -> None:
    limit = model.limit[:3] + 0.01
    minute = 60 * FPS
    for i in range(3):
        turn = draw(model, ten_minutes, 3, i)["rotation"]
        assert np.all(np.abs(turn) <= limit)
        means = turn.reshape(-1, minute, 3).mean(axis=1)
        assert np.ptp(means[1:], axis=0).max() < 4.0  # degrees; the sample keeps its posture
        first, last = turn[minute : 3 * minute].std(axis=0), turn[-2 * minute :].std(axis=0)
        assert np.all((last / first > 0.6) & (last / first < 1.6))


def test_a_longer_recording_begins_alike(model: IdleModel) -> None:
    speaks = np.ones(500)
    short = wander(model, speaks[:400], np.random.default_rng(0))
    long = wander(model, speaks, np.random.default_rng(0))
    np.testing.assert_allclose(short[:390], long[:390], atol=1e-3)


def test_blinks_a_minute(model: IdleModel, ten_minutes: Speech) -> None:
    slowest, fastest = BLINKS_A_MINUTE
    rates = []
    for i in range(6):
        lids = draw(model, ten_minutes, 6, i)["lids"]
        starts = blinks(lids)
        rates.append(len(starts) / 10)
        assert starts[0] >= 0.4 * FPS
        np.testing.assert_array_equal(lids[:, 0], lids[:, 1])
        assert lids.min() >= -0.3
        assert lids.max() <= 1.0
        assert np.mean(lids[:, 0] > SHUT) < 0.15
    assert slowest * 0.8 < min(rates)
    assert max(rates) < fastest * 1.1
    assert max(rates) > 1.1 * min(rates)  # people differ


def test_a_blink_closes_fast_and_opens_slowly(model: IdleModel, ten_minutes: Speech) -> None:
    lids = draw(model, ten_minutes, 8)["lids"][:, 0]
    full = [s for s in blinks(lids[:, None]) if lids[s : s + 8].max() > 0.9]
    assert len(full) > 30
    closing, opening = [], []
    for start in full:
        peak = start + int(np.argmax(lids[start : start + 8]))
        before, after = lids[max(0, peak - 8) : peak], lids[peak : peak + 16]
        closing.append(np.sum(before > 0.2))
        opening.append(np.argmax(after < 0.2) if (after < 0.2).any() else 16)
    assert np.median(closing) < np.median(opening)
    assert 2 <= np.median(opening) <= 7  # frames


def test_gaze_stays_near_the_camera_and_turns_against_the_head(
    model: IdleModel, ten_minutes: Speech
) -> None:
    sample = draw(model, ten_minutes, 9)
    gaze, head = sample["gaze"], sample["rotation"][:, :2]
    assert np.abs(gaze).max() <= 10.0
    assert np.abs(np.median(gaze + model.counter * head, axis=0)).max() < 1.5
    for axis in range(2):
        assert np.corrcoef(gaze[:, axis], head[:, axis])[0, 1] < -0.1
    jumps = np.abs(np.diff(gaze, axis=0)).max(axis=1) > 1.0
    assert 0.02 < jumps.mean() < 0.3  # still most of the time, but not always


def test_silence_idles(model: IdleModel, voice: Speech, nobody: Speech) -> None:
    still = draw(model, nobody, 10, diversity=0.0)
    assert np.abs(still["rotation"]).max() == 0.0
    assert len(blinks(still["lids"])) >= 8
    breath = np.abs(np.fft.rfft(still["translation"][:, 1]))
    hertz = np.fft.rfftfreq(len(nobody), 1 / FPS)
    assert hertz[np.argmax(breath)] == pytest.approx(0.25, abs=0.02)
    for i in range(3):
        quiet, loud = draw(model, nobody, 10, i), draw(model, voice, 10, i)
        frames = len(voice)
        pace = [np.abs(np.diff(s["rotation"][:frames], axis=0)).mean() for s in (quiet, loud)]
        assert 0.1 < pace[0] / pace[1] < 0.8  # it moves, but less than one who speaks


def test_a_single_frame(model: IdleModel) -> None:
    sample = draw(model, heard(np.zeros(SAMPLE_RATE // 100)), 0)
    assert all(len(value) == 1 for value in sample.values())
