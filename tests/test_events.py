"""Blinks and gaze: seeds, diversity, rates, the head that they go with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from talking_face.curves import soft_limit
from talking_face.mapping.events import (
    BLINKS_A_MINUTE,
    GAZE_LIMIT,
    EyeModel,
    draw_eyes,
    fixations,
    load_eyes,
)
from talking_face.motion import FPS

SHUT = 0.4  # closure that counts as a blink here; the slow change of opening stays below
MINUTE = 60 * FPS


@pytest.fixture(scope="module")
def model() -> EyeModel:
    return load_eyes()


def swaying(frames: int, size: float = 4.0) -> np.ndarray:
    """A head that turns smoothly from the photo's pose, (frames, 3) degrees."""
    noise = np.random.default_rng(0).standard_normal((frames + 200, 3))
    smooth = gaussian_filter1d(noise, 12, axis=0)
    smooth = size * smooth / smooth.std(axis=0)
    return (smooth - smooth[:1])[:frames]


def blinks(lids: np.ndarray) -> np.ndarray:
    """Frames in which a blink starts."""
    shut = lids[:, 0] > SHUT
    return np.flatnonzero(shut[1:] & ~shut[:-1]) + 1


def test_shapes(model: EyeModel) -> None:
    for frames in (1, 2, 500):
        for value in draw_eyes(model, swaying(frames), 0, 0, 1.0):
            assert value.shape == (frames, 2)
            assert value.dtype == np.float32
            assert np.isfinite(value).all()


def test_the_same_seed_gives_the_same_eyes_and_another_gives_others(model: EyeModel) -> None:
    head = swaying(500)
    drawn = [draw_eyes(model, head, seed, i, 1.0) for seed in (0, 1) for i in range(3)]
    again = draw_eyes(model, head, 1, 2, 1.0)
    for i, (lids, gaze) in enumerate(drawn):
        for other_lids, other_gaze in drawn[:i]:
            assert np.abs(lids - other_lids).max() > 0.1
            assert np.abs(gaze - other_gaze).max() > 1.0  # degrees
    for one, other in zip(drawn[-1], again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_diversity_the_seed_does_not_matter(model: EyeModel) -> None:
    head = swaying(1000)
    one, other = draw_eyes(model, head, 0, 0, 0.0), draw_eyes(model, head, 99, 3, 0.0)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    gaps = np.diff(blinks(one[0]))
    assert len(gaps) >= 2
    assert np.ptp(gaps) <= 1  # frames


def test_a_longer_recording_begins_alike(model: EyeModel) -> None:
    head = swaying(2000)
    for index in range(4):
        long = draw_eyes(model, head, 3, index, 1.0)
        short = draw_eyes(model, head[:500], 3, index, 1.0)
        for whole, part in zip(long, short, strict=True):
            np.testing.assert_allclose(part[:485], whole[:485], atol=1e-6)  # smoothing ends there


def test_the_head_changes_the_gaze_alone(model: EyeModel) -> None:
    """Blinks, looks and lids come from streams of their own."""
    turning, still = swaying(1000), np.zeros((1000, 3))
    lids, gaze = draw_eyes(model, turning, 5, 1, 1.0)
    still_lids, looks = draw_eyes(model, still, 5, 1, 1.0)
    assert np.abs(gaze - looks).max() > 1.0  # degrees
    np.testing.assert_array_equal(blinks(lids), blinks(still_lids))
    np.testing.assert_array_equal(draw_eyes(model, turning[:, [0, 1, 1]], 5, 1, 1.0)[1], gaze)


def test_the_gaze_turns_against_the_head_that_is_there(model: EyeModel) -> None:
    head = swaying(1500)
    _, gaze = draw_eyes(model, head, 9, 0, 1.0)
    # A still head's gaze is the looks themselves, but for the limit.
    sequence = np.random.SeedSequence([9, 0, 2])
    looks = fixations(model, 1500, np.random.default_rng(sequence.spawn(3)[1]), 1.0)
    wanted = soft_limit(looks - model.counter * head[:, :2], GAZE_LIMIT / 2, GAZE_LIMIT)
    np.testing.assert_allclose(gaze, wanted, atol=1e-5)


def test_eyes_start_as_in_the_photo(model: EyeModel) -> None:
    for index in range(6):
        lids, gaze = draw_eyes(model, swaying(100), 1, index, 1.5)
        assert np.abs(gaze[0]).max() < 0.1
        assert np.abs(lids[0]).max() < 0.05


def test_blinks_a_minute(model: EyeModel) -> None:
    slowest, fastest = BLINKS_A_MINUTE
    rates = []
    for index in range(6):
        lids, _ = draw_eyes(model, swaying(10 * MINUTE), 6, index, 1.0)
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


def test_a_blink_closes_fast_and_opens_slowly(model: EyeModel) -> None:
    lids = draw_eyes(model, swaying(10 * MINUTE), 8, 0, 1.0)[0][:, 0]
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


def test_gaze_stays_near_the_camera(model: EyeModel) -> None:
    head = swaying(10 * MINUTE)
    _, gaze = draw_eyes(model, head, 9, 0, 1.0)
    assert np.abs(gaze).max() <= GAZE_LIMIT
    assert np.abs(np.median(gaze + model.counter * head[:, :2], axis=0)).max() < 1.5
    for axis in range(2):
        assert np.corrcoef(gaze[:, axis], head[:, axis])[0, 1] < -0.1
    jumps = np.abs(np.diff(gaze, axis=0)).max(axis=1) > 1.0
    assert 0.02 < jumps.mean() < 0.3  # still most of the time, but not always
