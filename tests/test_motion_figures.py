"""Figures of realism and diversity on motion whose figures are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from talking_face.face.model import FaceModel, load_face_model
from talking_face.motion import CHANNELS, FPS, Motion
from talking_face.training.measure.diversity import (
    PASSAGE,
    Passage,
    cut,
    distance,
    diversity,
    spread,
)
from talking_face.training.measure.frechet import (
    STRIDE,
    WINDOW,
    WindowSpace,
    distance_of_halves,
    frechet,
    window_distance,
    windows,
)
from talking_face.training.measure.motion_figures import (
    BANDS,
    DRIFT_WINDOW,
    blinks_a_minute,
    deviation,
    drift,
    movement_ratios,
    real_window_distances,
    spectrum,
    spectrum_ratios,
    speed,
    window_distances,
    window_spaces,
)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


def wandering(seed: int, frames: int = 250, size: float = 1.0) -> Motion:
    """Smooth random motion in every channel."""
    noise = np.random.default_rng(seed).standard_normal((frames + 50, sum(CHANNELS.values())))
    curves = gaussian_filter1d(noise, 5, axis=0)[25:-25]
    return Motion.from_array(size * curves / curves.std(axis=0))


def sine(hertz: float, frames: int = 500) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(frames) / FPS)[:, None]


def times(motion: Motion, factor: float) -> Motion:
    return Motion.from_array(factor * motion.as_array())


# -- deviation, speed, spectra --------------------------------------------------------------------


def test_deviation_and_speed_of_a_ramp() -> None:
    ramp = np.linspace(0, 10, 251)[:, None] * [1.0, 0.0, 0.0]  # ten degrees in ten seconds
    assert speed(ramp) == pytest.approx(1.0)
    assert deviation(ramp) == pytest.approx(10 / np.sqrt(12), rel=0.01)
    assert deviation(ramp + 5) == pytest.approx(deviation(ramp))


def test_twice_the_motion_has_twice_the_figures() -> None:
    real = [wandering(seed) for seed in range(3)]
    ratios = movement_ratios(real, [[times(motion, 2.0)] * 2 for motion in real])
    assert set(ratios) >= {"std head", "speed head", "raw speed head", "std brows", "speed lids"}
    for value in ratios.values():
        assert value == pytest.approx(2.0)
    assert movement_ratios(real, [[motion] for motion in real])["std yaw"] == pytest.approx(1.0)


def test_one_axis_at_a_time() -> None:
    real = [wandering(0)]
    turned = real[0].rotation * [3.0, 1.0, 0.0]
    ratios = movement_ratios(real, [[real[0].replace(rotation=turned)]])
    assert ratios["std yaw"] == pytest.approx(3.0)
    assert ratios["std pitch"] == pytest.approx(1.0)
    assert ratios["std roll"] == 0.0
    assert ratios["std brows"] == pytest.approx(1.0)


def test_trembling_counts_in_the_raw_speed_alone() -> None:
    real = wandering(0)
    noise = 0.1 * np.random.default_rng(1).standard_normal(real.rotation.shape)
    trembling = real.replace(rotation=real.rotation + noise)
    ratios = movement_ratios([real], [[trembling]])
    assert ratios["raw speed head"] > 1.25
    assert ratios["speed head"] < 1.05


@pytest.mark.parametrize("band", range(len(BANDS)))
def test_a_sine_lies_in_its_band(band: int) -> None:
    low, high = BANDS[band]
    power = spectrum([sine((low + high) / 2)])
    assert power[band] > 0.9 * power.sum()
    assert spectrum([2 * sine((low + high) / 2)])[band] == pytest.approx(4 * power[band])


def test_the_spectrum_holds_the_power_of_the_velocity() -> None:
    curve = wandering(0, 1000).rotation
    velocity = np.diff(curve, axis=0) * FPS
    step = FPS / 256  # Hz between the frequencies of the periodogram
    assert spectrum([curve]).sum() * step == pytest.approx(velocity.var(axis=0).sum(), rel=0.15)


def test_flutter_and_smoothing_show_in_their_bands(model: FaceModel) -> None:
    real = wandering(0, 500).replace(rotation=sine(0.5) + sine(1.5) + sine(6.0) @ np.ones((1, 3)))
    slow = real.replace(rotation=sine(0.5) + sine(1.5) + 0.25 * sine(6.0) @ np.ones((1, 3)))
    ratios = spectrum_ratios([real], [[slow]], model)
    assert ratios["head 4-8 Hz"] == pytest.approx(0.25, abs=0.02)
    assert ratios["head 1-2 Hz"] == pytest.approx(1.0, abs=0.05)
    assert ratios["lips 2-4 Hz"] == pytest.approx(1.0)
    lower = real.lower.copy()
    lower[:, 0] = 2 + 0.5 * sine(3.0)[:, 0]  # the first coefficient opens the mouth
    flutter = lower.copy()
    flutter[::2, 0] += 0.3
    opening = spectrum_ratios([real.replace(lower=lower)], [[real.replace(lower=flutter)]], model)
    assert opening["lips 8-12.5 Hz"] > 5 > 1.1 > opening["lips 2-4 Hz"]


# -- blinks and drift -----------------------------------------------------------------------------


def blinking(frames: int, at: list[int]) -> Motion:
    lids = np.zeros((frames, 2))
    for frame in at:
        lids[frame - 1 : frame + 3] = np.array([0.5, 1.0, 0.8, 0.3])[:, None]
    return Motion.still(frames).replace(lids=lids)


def test_blinks_are_counted() -> None:
    ten_seconds = blinking(250, [30, 100, 180])
    assert blinks_a_minute([ten_seconds]) == pytest.approx(18)
    assert blinks_a_minute([ten_seconds, Motion.still(250)]) == pytest.approx(9)
    dozing = Motion.still(250).replace(lids=np.repeat(np.arange(250) // 40 == 2, 2).reshape(-1, 2))
    assert blinks_a_minute([dozing]) == 0


def test_a_drift_is_seen_and_a_wander_is_not() -> None:
    steady = wandering(0, 6 * DRIFT_WINDOW)
    figures = drift(steady)
    assert figures.turn < 1
    assert figures.growth == pytest.approx(1.0, abs=0.3)
    assert figures.farthest == pytest.approx(np.abs(steady.rotation).max())
    ramp = np.linspace(0, 12, len(steady))[:, None] * [1.0, 0.0, 0.0]
    drifting = drift(
        steady.replace(rotation=steady.rotation + ramp, lids=steady.lids + ramp[:, :2])
    )
    assert drifting.turn == pytest.approx(10, abs=1)  # from the middle of one to that of the other
    assert drifting.usual_turn == pytest.approx(2, abs=0.7)
    assert drifting.lids > 4
    growing = steady.rotation * np.linspace(1, 4, len(steady))[:, None]
    assert drift(steady.replace(rotation=growing)).growth > 2.5
    with pytest.raises(ValueError, match="a minute or more"):
        drift(wandering(0, 2 * DRIFT_WINDOW - 1))


# -- Fréchet distance -----------------------------------------------------------------------------


def test_the_distance_of_known_gaussians() -> None:
    generator = np.random.default_rng(0)
    real = generator.standard_normal((40_000, 2)) * [1.0, 2.0]  # variance 5
    other = generator.standard_normal((40_000, 2)) * [3.0, 2.0] + [0.0, 1.0]
    # |m|² = 1, and (1 - 3)² + (2 - 2)² for deviations along the same axes.
    assert frechet(real, other) == pytest.approx((1 + 4) / 5, rel=0.03)
    assert frechet(real, real) == pytest.approx(0.0, abs=1e-9)
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    # Turned by a right angle: (1 - 2)² on both axes.
    assert frechet(real, real @ quarter) == pytest.approx(2 / 5, rel=0.03)


def test_windows_overlap_and_lose_the_clip_s_mean() -> None:
    curves = np.arange(60.0)[:, None] + [0.0, 100.0]
    parts = windows(curves)
    assert parts.shape == (1 + (60 - WINDOW) // STRIDE, WINDOW, 2)
    np.testing.assert_array_equal(parts[1, :, 0], parts[0, :, 0] + STRIDE)
    np.testing.assert_array_equal(parts[..., 0], parts[..., 1])
    assert len(windows(curves[: WINDOW - 1])) == 0


@pytest.fixture(scope="module")
def reference() -> list[Motion]:
    return [wandering(seed) for seed in range(1000, 1030)]


@pytest.mark.slow
def test_distances_tell_a_still_face_from_a_lively_one(reference: list[Motion]) -> None:
    real = [wandering(seed) for seed in range(30)]
    spaces = window_spaces(reference)
    still = window_distances(real, [[Motion.still(250)]] * 30, spaces)
    for size in (0.5, 1.0, 2.0):
        drawn = [[wandering(seed, size=size)] for seed in range(50, 80)]
        for group, value in window_distances(real, drawn, spaces).items():
            assert value == pytest.approx((size - 1) ** 2, abs=0.1)
            assert still[group] == pytest.approx(1.0, abs=0.02)
    assert set(still) == {"head", "upper", "lower", "all"}


def test_a_group_feels_only_its_own_channels(reference: list[Motion]) -> None:
    real = [wandering(seed) for seed in range(6)]
    nodding = [[motion.replace(rotation=3 * motion.rotation)] for motion in real]
    distances = window_distances(real, nodding, window_spaces(reference))
    assert distances["upper"] == pytest.approx(0.0, abs=1e-9)
    assert distances["lower"] == pytest.approx(0.0, abs=1e-9)
    assert distances["head"] > 0.5


def test_a_constant_pose_does_not_count_but_time_does(reference: list[Motion]) -> None:
    real = [wandering(seed).rotation for seed in range(6)]
    space = WindowSpace.fit([motion.rotation for motion in reference])
    assert space is not None
    assert window_distance(real, [c + 7.0 for c in real], space) == pytest.approx(0.0, abs=1e-9)
    shuffled = [np.random.default_rng(0).permutation(curves) for curves in real]
    assert window_distance(real, shuffled, space) > 0.2


@pytest.mark.slow
def test_halves_are_of_speakers(reference: list[Motion]) -> None:
    space = WindowSpace.fit([motion.rotation for motion in reference])
    assert space is not None
    lively = [wandering(seed).rotation * (3.0 if seed < 6 else 1.0) for seed in range(12)]
    same = [f"{seed % 2}" for seed in range(12)]  # both speakers move in both ways
    apart = [f"{seed // 6}" for seed in range(12)]
    assert distance_of_halves(lively, apart, space) > 2 * distance_of_halves(lively, same, space)
    assert np.isnan(distance_of_halves(lively, ["one"] * 12, space))
    motions = [wandering(seed) for seed in range(12)]
    spaces = window_spaces(reference)
    assert all(value < 0.5 for value in real_window_distances(motions, same, spaces).values())


def test_too_few_windows_say_nothing(reference: list[Motion]) -> None:
    assert not window_spaces([wandering(0, 30)])
    short = window_distances([wandering(0, 30)], [[wandering(1, 30)]], window_spaces(reference))
    assert np.isnan(list(short.values())).all()


# -- diversity ------------------------------------------------------------------------------------


def test_distances_are_means_of_lengths() -> None:
    still, moved = np.zeros((10, 2, 2)), np.zeros((8, 2, 2))
    moved[:, 0] = [3.0, 4.0]
    assert distance(still, moved) == pytest.approx(2.5)  # 5 and 0
    assert distance(moved, moved) == 0


def test_long_clips_are_cut_into_passages_without_their_means() -> None:
    curves = np.arange(2.0 * PASSAGE + 30)[:, None, None]
    passages = cut("a", curves, np.stack([curves, curves + 5]))
    assert [len(passage.real) for passage in passages] == [PASSAGE + 15] * 2
    for passage in passages:
        assert passage.real.mean() == pytest.approx(0)
        np.testing.assert_allclose(passage.samples, np.stack([passage.real] * 2))
    assert len(cut("a", curves[:40], curves[None, :40])) == 1


def test_samples_like_other_moments_have_ratio_one(model: FaceModel) -> None:
    real = [wandering(seed) for seed in range(8)]
    sampled = [[wandering(100 + 10 * seed + i) for i in range(8)] for seed in range(8)]
    figures = diversity(["a"] * 8, real, sampled, model)
    assert set(figures) == {"head", "upper", "lips"}
    for part in figures.values():
        assert part.apart == pytest.approx(1.0, abs=0.08)
        assert part.mean == pytest.approx(1.0, abs=0.08)
        assert part.best < 0.95 * part.mean
        assert part.within == pytest.approx(7 / 9, abs=0.06)
    assert figures["lips"].real < 0.5  # inter-ocular distances; the others are deviations
    assert figures["head"].real == pytest.approx(np.sqrt(2 * 6), rel=0.1)


def test_each_part_of_the_face_has_its_own_diversity(model: FaceModel) -> None:
    real = [wandering(seed) for seed in range(4)]
    sampled = [
        [motion.replace(rotation=wandering(50 + i).rotation) for i in range(3)] for motion in real
    ]
    figures = diversity(["a"] * 4, real, sampled, model)
    assert figures["head"].apart > 0.5
    for part in ("upper", "lips"):
        assert figures[part].apart == 0
        assert figures[part].best == 0
        assert figures[part].within == 1


def test_narrow_samples_leave_the_real_motion_outside(model: FaceModel) -> None:
    real = [wandering(seed) for seed in range(6)]
    sampled = [[wandering(100 + 10 * s + i, size=0.3) for i in range(8)] for s in range(6)]
    figures = diversity(["a"] * 6, real, sampled, model)
    assert figures["head"].apart == pytest.approx(0.3, abs=0.05)
    assert figures["head"].within < 0.5


def test_only_moments_of_one_source_are_compared() -> None:
    near, far = np.zeros((10, 1, 1)), np.zeros((10, 1, 1))
    near[::2], far[::2] = 1.0, 100.0
    samples = np.stack([near, -near])
    passages = [Passage("a", near, samples), Passage("a", -near, samples)]
    alone = spread(passages)
    assert spread([*passages, Passage("b", far, samples)]).real == alone.real
    assert np.isnan(spread([Passage("b", far, samples)]).apart)
