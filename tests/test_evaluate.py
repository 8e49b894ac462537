import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from talking_face.face.landmarks import mouth_width
from talking_face.face.lips import mouth_readout
from talking_face.face.model import FaceModel, load_face_model
from talking_face.mapping.listeners import N_HEARD, N_OUTPUTS, N_PLAIN, OPENINGS
from talking_face.motion import Motion
from talking_face.training.data.clips import read_clips
from talking_face.training.data.examples import Example
from talking_face.training.data.offsets import MAX_LAG, lagged_correlations, peak_lag, shift
from talking_face.training.data.prepare import Prepared, prepare_clip
from talking_face.training.fit.lip_loss import Loss, LossWeights, correlation, misfit
from talking_face.training.fit.listeners import Recipe, hold_out, shifted_targets, train
from talking_face.training.measure.lip_figures import (
    CLOSED,
    LIPS,
    format_table,
    lip_distance,
    lip_figures,
    lip_points,
    means,
    mouth_curves,
)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


def syllables(frames: int, seed: int = 0) -> np.ndarray:
    """A lip opening (frames,): smooth bumps of irregular size, closed between them."""
    rng = np.random.default_rng(seed)
    wave = np.convolve(rng.standard_normal(frames + 8), np.hanning(9), mode="valid")
    return np.maximum(0.06 * wave, 0.0)


def everything(frames: int) -> np.ndarray:
    return np.ones(frames, dtype=bool)


def example(index: int, frames: int = 60, source: str = "grid", speaker: str = "a") -> Example:
    """A clip whose sound says two numbers a frame, one for each of the first two coefficients."""
    rng = np.random.default_rng(index)
    said = rng.standard_normal((frames, 2)).astype(np.float32)
    patterns = np.random.default_rng(0).standard_normal((2, 6 * 512)).astype(np.float32)
    noise = 0.1 * rng.standard_normal((frames, 6 * 512))
    motion = Motion.still(frames).as_array()
    motion[:, 0] = 1.0 + 0.5 * said[:, 0]
    motion[:, 1] = said[:, 1]
    return Example(
        *(f"{source}-{speaker}-{index}", source, speaker, "train"),
        features=(said @ patterns + noise).reshape(frames, 6, 512).astype(np.float16),
        energy=rng.uniform(-60, -10, frames).astype(np.float32),
        activity=np.ones(frames, dtype=np.float32),
        pitch=rng.uniform(80, 200, frames).astype(np.float32),
        voicing=rng.random(frames).astype(np.float32),
        motion=Motion.from_array(motion),
        ok=everything(frames),
        opening=(0.1 * motion[:, 0]).astype(np.float32),
        width=np.full(frames, 0.6, dtype=np.float32),
    )


# -- offsets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [-3, 0, 2, 4])
def test_the_lag_is_found(late: int) -> None:
    sound = syllables(80)
    seen = np.roll(np.pad(sound, 10), late)[10:-10]
    lag, value = peak_lag(lagged_correlations(sound, seen, everything(80)))
    assert lag == pytest.approx(late, abs=0.3)
    assert value > 0.95


def test_a_fraction_of_a_frame_is_found() -> None:
    fine = syllables(400)  # at four times the frame rate
    fine = np.convolve(fine, np.hanning(17) / 8, mode="same")
    lag, _ = peak_lag(
        lagged_correlations(fine[4::4], fine[3::4][: len(fine[4::4])], everything(99))
    )
    assert lag == pytest.approx(0.25, abs=0.1)


def test_lost_frames_dont_count() -> None:
    sound = syllables(80)
    seen = sound.copy()
    seen[30:50] = 9.0
    ok = everything(80)
    ok[30:50] = False
    assert lagged_correlations(sound, seen, ok)[MAX_LAG] == pytest.approx(1.0)
    assert lagged_correlations(sound, seen, everything(80))[MAX_LAG] < 0.9
    assert np.isnan(lagged_correlations(sound, seen, np.zeros(80, dtype=bool))).all()


def test_shifting_undoes_the_lag() -> None:
    ramp = np.arange(20, dtype=np.float32)[:, None]
    np.testing.assert_allclose(shift(ramp, 1.5)[:18], ramp[:18] + 1.5)
    sound = syllables(80)
    late = shift(sound[:, None], -2.0)[:, 0]
    lag, _ = peak_lag(lagged_correlations(sound, late, everything(80)))
    corrected = shift(late[:, None], lag)[:, 0]
    assert np.corrcoef(corrected[5:-5], sound[5:-5])[0, 1] > 0.98


# -- figures ----------------------------------------------------------------------------------


def test_the_same_mouth_has_perfect_figures() -> None:
    opening = syllables(100)
    figures = lip_figures(opening, opening, opening, opening, everything(100))
    assert figures is not None
    for name in ("opening", "opening_aligned", "width", "recall", "precision", "amplitude"):
        assert getattr(figures, name) == pytest.approx(1.0)
    assert figures.offset == pytest.approx(0.0, abs=0.2)


def test_figures_tell_late_weak_and_wrong_mouths_apart() -> None:
    real, width = syllables(200), syllables(200, seed=1)
    late = lip_figures(shift(real[:, None], 2.0)[:, 0], width, real, width, everything(200))
    weak = lip_figures(0.5 * real, width, real, width, everything(200))
    wrong = lip_figures(syllables(200, seed=2), width, real, width, everything(200))
    assert late is not None
    assert weak is not None
    assert wrong is not None
    assert late.offset == pytest.approx(2.0, abs=0.3)
    assert late.opening < 0.7 < 0.95 < late.opening_aligned
    assert weak.amplitude == pytest.approx(0.5)
    assert weak.opening == pytest.approx(1.0)
    assert abs(wrong.opening) < 0.3


def test_closures_within_a_frame_count() -> None:
    real, made = np.full((2, 60), 0.1)
    real[::20] = 0.2  # so that it moves
    real[[10, 30, 50]] = 0.0
    made[[11, 33]] = 0.0  # one frame late; three frames late; missed
    figures = lip_figures(made, made, real, real, everything(60))
    assert figures is not None
    assert figures.recall == pytest.approx(1 / 3)
    assert figures.precision == pytest.approx(1 / 2)


def test_a_mouth_at_rest_has_no_figures() -> None:
    still = np.full(60, 0.01)
    assert lip_figures(syllables(60), still, still, still, everything(60)) is None


def test_the_loss_wants_the_openings_that_happened(model: FaceModel) -> None:
    loss = Loss(model, torch.ones(N_OUTPUTS), LossWeights())
    target = torch.zeros(1, 40, N_OUTPUTS + 2)
    target[..., N_OUTPUTS] = 0.2  # as tracked; the faces stay at rest
    told = torch.zeros(1, 40, N_HEARD)
    right, wrong = told.clone(), told.clone()
    place = int(np.searchsorted(OPENINGS, 0.2))
    right[..., N_PLAIN + place] = wrong[..., N_PLAIN] = 3.0
    ok = torch.ones(1, 40)
    values = [loss(answer, target, ok).item() for answer in (right, told, wrong)]
    assert values == sorted(values)
    assert values[0] < values[2] - 1


def test_tables_average_by_source() -> None:
    real = syllables(100)
    good = lip_figures(real, real, real, real, everything(100))
    weak = lip_figures(0.5 * real, real, real, real, everything(100))
    table = means([("grid", good), ("grid", weak), ("lrwar", weak), ("lrwar", None)])
    assert table["grid"]["amplitude"] == pytest.approx(0.5**0.5)  # of 1 and a half
    assert table["grid"]["clips"] == 2
    assert table["lrwar"]["clips"] == 1
    lines = format_table(table).splitlines()
    assert [line.split()[0] for line in lines] == ["source", "grid", "lrwar"]
    assert "0.71" in lines[1]


def test_a_table_tells_what_it_does_not_know() -> None:
    lines = format_table({"a": {"clips": 3.0, "x": 0.5}, "bb": {"y": float("nan")}}, "row").split(
        "\n"
    )
    assert [line.split() for line in lines] == [
        ["row", "clips", "x", "y"],
        ["a", "3", "0.50", "–"],
        ["bb", "–", "–", "–"],
    ]


def test_forty_points_are_lips(model: FaceModel) -> None:
    assert len(set(LIPS)) == 40
    points = lip_points(Motion.still(1), model)[0]
    assert np.ptp(points[:, 0]) == pytest.approx(mouth_width(model.mean), rel=0.02)
    assert (np.abs(points[:, 0]) < 0.5).all()


def test_the_landmark_distance_is_in_eye_distances(model: FaceModel) -> None:
    real = Motion.still(10)
    lower = np.zeros((10, 16))
    lower[:, 3] = 2.0
    away = real.replace(lower=lower)
    expected = 2 * np.linalg.norm(model.lower[list(LIPS), :2, 3], axis=1).mean()
    assert lip_distance(away, real, everything(10), model) == pytest.approx(expected, rel=1e-5)
    assert lip_distance(real, real, everything(10), model) == 0
    half = everything(10)
    half[5:] = False
    later = real.replace(lower=np.where(np.arange(10)[:, None] < 5, 0.0, lower))
    assert lip_distance(later, real, half, model) == 0
    head = real.replace(rotation=np.full((10, 3), 9.0))
    assert lip_distance(head, real, everything(10), model) == 0


def test_the_readout_agrees_with_the_landmarks(model: FaceModel) -> None:
    weights, bias = mouth_readout(model)
    coefficients = np.zeros((5, N_OUTPUTS), dtype=np.float32)
    coefficients[:, 0] = np.linspace(0.5, 2, 5)  # opens the mouth
    opening, width = mouth_curves(Motion.still(5).replace(lower=coefficients[:, :16]), model)
    linear = coefficients @ weights + bias
    np.testing.assert_allclose(linear[:, 0], opening, atol=0.004)
    np.testing.assert_allclose(linear[:, 1], width, atol=0.01)
    assert mouth_width(model.mean) == pytest.approx(bias[1], abs=0.01)


# -- training ---------------------------------------------------------------------------------


def truth_and_guess(
    face: torch.Tensor, guess: torch.Tensor, model: FaceModel
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a listener says that expects `guess`, sure of its contacts, and the target `face`."""
    weights, bias = (torch.from_numpy(part) for part in mouth_readout(model))
    met = (guess @ weights + bias)[..., :1] < CLOSED
    said = torch.cat([guess, torch.where(met, 20.0, -20.0)], dim=-1)
    return said, torch.cat([face, face @ weights + bias], dim=-1)


def test_the_loss_is_least_for_the_truth(model: FaceModel) -> None:
    loss = Loss(model, torch.ones(N_OUTPUTS), LossWeights())
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(2, 40, N_OUTPUTS, generator=generator)
    ok = torch.ones(2, 40)
    error = 0.1 * torch.randn(2, 40, N_OUTPUTS, generator=generator)
    perfect, near, far = (
        float(loss(*truth_and_guess(truth, truth + k * error, model), ok)) for k in (0, 1, 3)
    )
    assert perfect == pytest.approx(0.0, abs=0.01)
    assert perfect < near < far
    # Frames that don't count don't count.
    ok[:, 20:] = 0
    spoiled = truth.clone()
    spoiled[:, 20:] += 5
    said, target = truth_and_guess(truth, spoiled, model)
    assert float(loss(said, target, ok)) == pytest.approx(0.0, abs=0.01)


def test_an_unclosed_mouth_costs_more_than_an_unopened_one(model: FaceModel) -> None:
    only_size = LossWeights(correlation=0.0, quick=0.0, size=0.0, speed=0.0, contact=0.0)
    loss = Loss(model, torch.ones(N_OUTPUTS), only_size)
    shut, open_ = torch.zeros(1, 20, N_OUTPUTS), torch.zeros(1, 20, N_OUTPUTS)
    open_[..., 0] = 1.0
    ok = torch.ones(1, 20)
    unclosed, unopened = (
        float(loss(*truth_and_guess(face, guess, model), ok))
        for face, guess in ((shut, open_), (open_, shut))
    )
    assert unclosed > 1.3 * unopened


def test_too_small_and_too_large_a_motion_cost_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(1, 40, 2, generator=generator)
    ok = torch.ones(1, 40)
    same, half, double = (misfit(k * real, real, ok, (0.01, 0.01)) for k in (1.0, 0.5, 2.0))
    assert same.abs().max() < 1e-6
    torch.testing.assert_close(half, double, rtol=0.02, atol=0)
    assert misfit(0.5e-3 * real, 1e-3 * real, ok, (0.01, 0.01)).max() < 0.1 * half.min()


def test_correlation_agrees_with_numpy() -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 30))
    ok = np.ones(30)
    ok[20:] = 0
    tensors = (torch.from_numpy(x[None, :, None]) for x in (a, b))
    ours = correlation(*tensors, torch.from_numpy(ok[None]))
    assert float(ours) == pytest.approx(np.corrcoef(a[:20], b[:20])[0, 1], abs=1e-4)


@pytest.mark.slow
def test_training_learns_and_repeats_itself(model: FaceModel) -> None:
    clips = [example(i) for i in range(12)]
    targets = shifted_targets(clips, {clip.key: 0.0 for clip in clips})
    recipe = Recipe(steps=40, dropout=0.0, batch=(("grid", 4, 40),), average=0.9)
    new = example(99)
    before, after, again = (
        predicted(train(clips, targets, model, Recipe(**{**vars(recipe), "steps": steps})), new)
        for steps in (1, 40, 40)
    )
    np.testing.assert_array_equal(after, again)
    error = [np.abs(x[:, :2] - new.coefficients[:, :2]).mean() for x in (before, after)]
    assert error[1] < 0.7 * error[0]


def predicted(network: torch.nn.Module, clip: Example) -> np.ndarray:
    with torch.inference_mode():
        return network(
            torch.from_numpy(clip.features.astype(np.float32)).flatten(1)[None],
            torch.from_numpy(clip.prosody)[None],
            torch.ones(1, len(clip)),
        )[0].numpy()


def test_targets_are_put_right() -> None:
    clip = example(0)
    moved = shifted_targets([clip], {clip.key: 2.0})[clip.key]
    np.testing.assert_allclose(moved[:58, :N_OUTPUTS], clip.coefficients[2:], atol=1e-6)
    np.testing.assert_allclose(moved[:58, N_OUTPUTS], clip.opening[2:], atol=1e-6)


def test_nobody_is_on_both_sides() -> None:
    clips = [
        example(i, source=source, speaker=f"s{i % 12}")
        for source in ("grid", "lrwar")
        for i in range(24)
    ]
    kept, held = hold_out(clips)
    assert len(kept) + len(held) == len(clips)
    for source in ("grid", "lrwar"):
        sides = [{c.speaker for c in side if c.source == source} for side in (kept, held)]
        assert len(sides[0]) == 10
        assert len(sides[1]) == 2
        assert not sides[0] & sides[1]


# -- clips and the cache ----------------------------------------------------------------------


def test_a_folder_without_a_table(tmp_path: Path) -> None:
    for name in ("ann/one/1.mp4", "ann/two/1.mp4", "bob/1.mp4", "bob/notes.txt", "carol.webm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    clips = read_clips(tmp_path)
    assert [clip.speaker for clip in clips] == ["ann", "ann", "bob", "carol"]
    assert len({clip.key for clip in clips}) == 4
    assert len({clip.split for clip in clips if clip.speaker == "ann"}) == 1


def test_a_table_of_clips(tmp_path: Path) -> None:
    table = tmp_path / "manifest.csv"
    rows = [
        {"path": "x/1.mp4", "source": "a", "speaker": "p", "split": "val", "has_audio": "0"},
        {"path": "y/1.mp4", "source": "a", "speaker": "q", "split": "train", "has_audio": "1"},
    ]
    write_table(table, rows)
    assert read_clips(tmp_path) == read_clips(table)
    first, second = read_clips(table)
    assert (first.path, first.split, first.has_audio) == (tmp_path / "x/1.mp4", "val", False)
    assert second.has_audio
    assert first.key != second.key
    write_table(table, [rows[0], {**rows[0], "path": "z/1.mp4"}])
    with pytest.raises(ValueError, match="different names"):
        read_clips(table)
    write_table(table, [{"path": "x/1.mp4"}])
    with pytest.raises(ValueError, match="speaker"):
        read_clips(table)


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_what_is_no_video_is_rejected_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear Sir or Madam")
    (clip,) = read_clips(tmp_path)
    result = prepare_clip(clip, tmp_path)
    assert isinstance(result, Prepared)
    assert not result.usable
    assert "letter.mp4" in result.problem
    assert not list(tmp_path.glob("*.npy"))
    assert not list(tmp_path.glob("*.part"))
