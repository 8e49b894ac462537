"""Live lips against real ones: what the measure says of lips that are known."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from talking_face import load_animator
from talking_face.arrays import Float32
from talking_face.motion import N_CHANNELS, Motion
from talking_face.training.data.examples import Example
from talking_face.training.measure import live_lips
from talking_face.training.measure.lip_figures import mouth_curves
from talking_face.training.measure.live_lips import compare, live_motion, tables

ANIMATOR = load_animator("cpu")
MODEL = ANIMATOR.models.face


def example_of(motion: Motion, key: str = "a", source: str = "grid") -> Example:
    """A clip whose real face moves so."""
    opening, width = mouth_curves(motion, MODEL)
    flat = np.zeros(len(motion), dtype=np.float32)
    return Example(
        *(key, source, "someone", "val"),
        features=np.zeros((len(motion), 6, 512), dtype=np.float16),
        **dict.fromkeys(("energy", "activity", "pitch", "voicing"), flat),
        motion=motion,
        ok=np.ones(len(motion), dtype=bool),
        opening=opening.astype(np.float32),
        width=width.astype(np.float32),
    )


@pytest.fixture(scope="module")
def whole(words: Float32) -> Motion:
    speech = ANIMATOR.listen((16_000, words))
    return ANIMATOR.sample(speech, 1, seed=0, diversity=0.0)[0]


def later(motion: Motion, frames: int) -> Motion:
    return Motion.from_array(np.roll(motion.as_array(), frames, axis=0))


def test_lips_like_the_real_ones_are_told_from_others(whole: Motion) -> None:
    pair = compare(example_of(whole), whole, later(whole, 2), MODEL)
    clip, live = pair.lips["clip"], pair.lips["live"]
    assert clip is not None
    assert live is not None
    assert clip.opening == pytest.approx(1.0)
    assert clip.landmarks == pytest.approx(0.0, abs=1e-6)
    assert live.opening < 0.9
    assert live.offset == pytest.approx(-2.0, abs=0.2)  # the real ones come sooner
    assert live.landmarks > 0.01
    assert pair.alike == pytest.approx(live.opening, abs=1e-4)


def test_all_are_cut_to_the_shortest(whole: Motion) -> None:
    short = Motion.from_array(whole.as_array()[:-9])
    pair = compare(example_of(whole), short, later(whole, 1), MODEL)
    again = compare(example_of(short), short, Motion.from_array(later(whole, 1).as_array()[:-9]),
                    MODEL)  # fmt: skip
    assert pair == again


@pytest.mark.slow
def test_the_live_motion_follows_the_clip_s(words: Float32, whole: Motion) -> None:
    live = live_motion(ANIMATOR.models, words)
    assert len(live) >= len(whole)
    first = Motion.from_array(live.as_array()[: len(whole)])
    alike = compare(example_of(whole), whole, first, MODEL).alike
    late = compare(example_of(whole), whole, later(first, 1), MODEL).alike
    assert alike > 0.9  # of two seconds; it is 0.93
    assert alike > late + 0.05
    assert live.as_array().shape[1] == N_CHANNELS


def test_each_source_has_a_table(whole: Motion) -> None:
    still = Motion.still(len(whole))
    clips = [example_of(whole, "a"), example_of(whole, "b", "talkvid"), example_of(still, "c")]
    pairs = {one.key: compare(one, whole, later(whole, 2), MODEL) for one in clips}
    assert pairs["c"].lips == {"clip": None, "live": None}  # nobody spoke
    found = tables(clips, pairs)
    assert set(found) == {"grid", "talkvid"}
    assert found["grid"]["clip"]["clips"] == 1
    assert found["grid"]["clip"]["opening"] == pytest.approx(1.0)
    assert found["grid"]["live"]["alike"] == pytest.approx(pairs["a"].alike)


@pytest.mark.slow
def test_the_command_hears_the_clips_of_the_table(
    recordings: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sound = recordings[0].with_name("grid.wav")
    (real,) = ANIMATOR.sample(ANIMATOR.listen(sound), 1, seed=0, diversity=0.0)
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        rows = [("path", "source", "speaker", "split"), (sound, "grid", "someone", "val")]
        csv.writer(file).writerows(rows)

    def seen(cache: Path, _: object, split: str, sources: list[str]) -> list[Example]:
        assert (cache, split) == (tmp_path, "val")
        return [example_of(real, "grid__grid_someone")] if sources == ["grid"] else []

    monkeypatch.setattr(live_lips, "load_examples", seen)
    arguments = ["live_lips", "--clips", str(tmp_path), "--cache", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    live_lips.main()
    header, clip, live = capsys.readouterr().out.strip().splitlines()
    assert header.split()[:3] == ["grid", "clips", "opening"]
    assert clip.split()[:3] == ["clip", "1", "1.00"]
    assert 0.9 < float(live.split()[2]) <= 1.0
    assert float(live.split()[-1]) == pytest.approx(float(live.split()[2]), abs=0.011)
