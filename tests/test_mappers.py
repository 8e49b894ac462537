"""Mappers under the evaluation, and its whole command on a small cache of known faces."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from talking_face.errors import MotionUnreadable, OptionInvalid
from talking_face.face.model import FaceModel, Pose, load_face_model, rotation_matrix
from talking_face.mapping.dirfa import Dirfa
from talking_face.motion import CHANNELS, FPS, N_CHANNELS, Motion
from talking_face.sound.speech import Speech
from talking_face.training.data.examples import Example, load_examples
from talking_face.training.fit import dirfa
from talking_face.training.fit.decoder import DecoderRecipe
from talking_face.training.measure import evaluate
from talking_face.training.measure.evaluate import choose, long_example
from talking_face.training.measure.lip_figures import mouth_curves
from talking_face.training.measure.mapper_figures import by_source, compare_lips, draw_row, rows_of
from talking_face.training.measure.mappers import (
    Files,
    Network,
    OtherPeople,
    OtherSound,
    find_mapper,
    log_likelihood,
    shuffled,
)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


def curves(seed: int, frames: int, width: int) -> np.ndarray:
    """Smooth random curves (frames, width) of unit deviation."""
    noise = np.random.default_rng(seed).standard_normal((frames + 40, width))
    smooth = gaussian_filter1d(noise, 3, axis=0)[20:-20]
    return smooth / smooth.std(axis=0)


def clip(
    index: int, source: str = "grid", frames: int = 60, speaker: str = "", split: str = "val"
) -> Example:
    rng = np.random.default_rng(index)
    motion = Motion.from_array(curves(index, frames, N_CHANNELS))
    return Example(
        *(f"{source}{index}", source, speaker or f"s{index}", split),
        features=rng.standard_normal((frames, 6, 512)).astype(np.float16),
        energy=rng.uniform(-60, -10, frames).astype(np.float32),
        activity=np.ones(frames, dtype=np.float32),
        pitch=rng.uniform(80, 200, frames).astype(np.float32),
        voicing=rng.random(frames).astype(np.float32),
        motion=motion,
        ok=np.ones(frames, dtype=bool),
        opening=(0.1 + 0.05 * motion.lower[:, 0]).astype(np.float32),
        width=np.full(frames, 0.6, dtype=np.float32),
    )


def loud(speech: Speech, indices: Sequence[int], seed: int, diversity: float) -> list[Motion]:
    """A mapper whose jaw is the loudness and whose head is the index."""
    motions = []
    for index in indices:
        array = Motion.still(len(speech)).as_array()
        array[:, 0] = speech.energy / 30 + 2
        motion = Motion.from_array(array)
        head = np.full((len(speech), 3), diversity * (index + 10 * seed))
        motions.append(motion.replace(rotation=head))
    return motions


# -- clips as mappers get them ----------------------------------------------------------------


def test_a_clip_gives_its_speech() -> None:
    example = clip(0)
    speech = example.speech
    assert len(speech) == len(example) == speech.recording.frames
    assert speech.features.dtype == np.float32
    np.testing.assert_array_equal(speech.features, example.features.astype(np.float32))
    for name in ("energy", "activity", "pitch", "voicing"):
        np.testing.assert_array_equal(getattr(speech, name), getattr(example, name))
    np.testing.assert_array_equal(example.coefficients[:, :16], example.motion.lower)
    np.testing.assert_array_equal(example.coefficients[:, 16:], example.motion.upper)


def test_clips_are_chosen_evenly() -> None:
    clips = [clip(i) for i in range(7)] + [clip(i, "lrwar") for i in range(3)]
    chosen = choose(clips, 3)
    assert [example.key for example in chosen] == [
        "grid0", "grid3", "grid6", "lrwar0", "lrwar1", "lrwar2",
    ]  # fmt: skip
    assert choose(clips, 0) == clips


def test_continuous_speech_is_taken_together() -> None:
    clips = [clip(0, "grid"), clip(1, "talkvid"), clip(2, "styletalk")]
    found = by_source(clips)
    assert set(found) == {"grid", "talkvid", "styletalk", "continuous"}
    assert {example.key for example in found["continuous"]} == {"talkvid1", "styletalk2"}
    assert set(by_source(clips[:2])) == {"grid", "talkvid"}


def test_a_long_clip_repeats_short_ones() -> None:
    clips = [clip(0, frames=30), clip(1, frames=40)]
    long = long_example(clips, 4.0)
    assert len(long) == len(long.motion) == len(long.ok) == 4 * FPS
    np.testing.assert_array_equal(long.energy[30:70], clips[1].energy)
    np.testing.assert_array_equal(long.energy[70:], clips[0].energy)


# -- mappers ----------------------------------------------------------------------------------


def test_the_control_hears_another_clip_of_the_source() -> None:
    clips = [clip(i, source) for source in ("grid", "lrwar") for i in range(4)]
    others = shuffled(clips)
    for example, other in zip(clips, others, strict=True):
        assert other is not example
        assert other.source == example.source
    lengths = [60, 20, 60, 60]
    unequal = [clip(i, frames=frames) for i, frames in enumerate(lengths)]
    control = OtherSound(Network(loud), unequal)
    for i, heard in ((0, 2), (1, 3), (3, 1)):
        (motion,) = control.draw(unequal[i], [0], 0, 1.0)
        own = loud(unequal[heard].speech, [0], 0, 1.0)[0]
        assert len(motion) == lengths[i]
        np.testing.assert_array_equal(motion.lower[:20], own.lower[:20])
    np.testing.assert_array_equal(
        control.draw(unequal[3], [0], 0, 1.0)[0].lower[20:40],
        control.draw(unequal[3], [0], 0, 1.0)[0].lower[:20],
    )


def test_files_are_samples_by_number(tmp_path: Path) -> None:
    example, other = clip(0), clip(1)
    for index in (0, 1):
        Motion.from_array(curves(index, 70, N_CHANNELS)).save(tmp_path / f"grid0-{index}.npz")
    Motion.still(60).save(tmp_path / "grid1.npz")
    files = Files(tmp_path)
    samples = files.draw(example, range(8), 0, 1.0)
    assert [len(motion) for motion in samples] == [60, 60]
    np.testing.assert_allclose(samples[1].as_array(), curves(1, 70, N_CHANNELS)[:60], rtol=1e-6)
    assert len(files.draw(other, range(8), 0, 1.0)) == 1
    with pytest.raises(MotionUnreadable, match="grid2"):
        files.draw(clip(2), [0], 0, 1.0)
    Motion.still(59).save(tmp_path / "grid3.npz")
    with pytest.raises(MotionUnreadable, match="59 frames"):
        files.draw(clip(3), [0], 0, 1.0)


def test_other_people_are_others_and_real() -> None:
    lengths = (40, 200, 120)
    train = [clip(i, frames=frames, split="train") for i, frames in enumerate(lengths)]
    train.append(clip(3, "lrwar", split="train"))
    lost = clip(4, frames=100, split="train")
    lost.ok[5] = False
    people = OtherPeople([*train, lost])
    example = clip(9, frames=90, speaker="s2")
    samples = people.draw(example, range(4), 0, 1.0)
    assert [len(motion) for motion in samples] == [90] * 4
    known = {row.tobytes() for other in train[:2] for row in other.motion.as_array()}
    for motion in samples:
        assert all(row.tobytes() in known for row in motion.as_array())
    alone = people.draw(example, [3], 0, 1.0)[0]
    np.testing.assert_array_equal(alone.as_array(), samples[3].as_array())
    with pytest.raises(OptionInvalid, match="talkvid"):
        people.draw(clip(5, "talkvid"), [0], 0, 1.0)


def test_names_of_mappers(tmp_path: Path, model: FaceModel) -> None:
    assert isinstance(find_mapper(str(tmp_path), tmp_path, model), Files)
    assert find_mapper("baseline", tmp_path, model).hears
    with pytest.raises(OptionInvalid, match="nobody"):
        find_mapper("nobody", tmp_path, model)
    with pytest.raises(OptionInvalid, match="no weights"):
        find_mapper("dirfa:missing.safetensors", tmp_path, model)


def test_the_likelihood_prefers_what_the_decoder_expects() -> None:
    torch.manual_seed(0)
    network = Dirfa().eval().requires_grad_(False)
    # A decoder that expects every state to go on in its course, with small errors.
    network.decoder.output.weight.zero_()
    network.decoder.output.bias.zero_()
    calm, wild = clip(0, frames=90), clip(1, frames=90)
    calm = dataclasses.replace(calm, motion=Motion.still(90))
    assert log_likelihood(network, calm) > log_likelihood(network, wild)
    hidden = dataclasses.replace(wild, ok=np.arange(90) < 45)
    assert log_likelihood(network, hidden) != log_likelihood(network, wild)


# -- rows -------------------------------------------------------------------------------------


def test_a_network_has_samples_a_mean_and_a_control(model: FaceModel) -> None:
    clips = [clip(i) for i in range(3)]
    network = Network(loud, likelihood=lambda example: float(len(example)))
    rows = rows_of("loud", network, clips)
    assert [(row.name, row.diversity, row.lips_only) for row in rows] == [
        ("loud", 1.0, False),
        ("loud mean", 0.0, False),
        ("loud other sound", 0.0, True),
    ]
    drawn = [draw_row(row, clips, clips[:2], 4, 7, model) for row in rows]
    counts = [[len(samples) for samples in d.samples.values()] for d in drawn]
    assert counts == [[4, 4, 1], [1, 1, 1], [1, 1, 1]]
    assert drawn[0].samples["grid0"][2].rotation[0, 0] == 2 + 70
    assert drawn[1].samples["grid0"][0].rotation[0, 0] == 0
    assert drawn[0].likelihood == {"grid0": 60, "grid1": 60, "grid2": 60}
    assert not drawn[1].likelihood
    assert len(rows_of("people", OtherPeople(clips), clips)) == 1


def test_a_mapper_that_knows_the_answer_is_perfect(model: FaceModel) -> None:
    example = clip(0)
    lower = np.zeros((60, 16), dtype=np.float32)
    lower[:, 0] = 1.5 + 0.5 * curves(3, 60, 1)[:, 0]  # opens and closes the mouth
    said = Motion.still(60).replace(lower=lower)
    opening, width = mouth_curves(said, model)
    told = dataclasses.replace(example, motion=said, opening=opening, width=width)
    figures = compare_lips(told, said, model)
    assert figures is not None
    assert figures.opening == pytest.approx(1.0)
    assert figures.landmarks == 0
    late = compare_lips(told, Motion.from_array(np.roll(said.as_array(), -2, axis=0)), model)
    assert late is not None
    assert late.offset == pytest.approx(2.0, abs=0.5)
    assert late.landmarks > 0
    assert compare_lips(dataclasses.replace(told, opening=0 * opening), said, model) is None


# -- the cache and the command ----------------------------------------------------------------


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, model: FaceModel) -> Path:
    """Four clips of two sources, their landmarks projected from known motion, and their sound."""
    folder = tmp_path_factory.mktemp("cache")
    rows = []
    for source, frames in (("styletalk", 150), ("talkvid", 130)):
        for split in ("val", "val", "train", "train"):
            key = f"{source}{len(rows)}"
            seed = len(rows)
            rows.append((key, "", source, f"p{seed}", split, frames, frames))
            truth = known_motion(seed, frames)
            shape = model.mean + model.displacement(truth.lower, truth.upper)
            origin = np.array([128.0, 150.0, 0.0]) + 60 * truth.translation * [1, 1, 0]
            pose = Pose(rotation_matrix(truth.rotation), np.full(frames, 60.0), origin)
            marks = pose.project(shape)
            np.save(folder / f"{key}.landmarks.npy", marks.astype(np.float32))
            example = clip(seed, source, frames)
            np.savez(
                folder / f"{key}.speech.npz",
                **{
                    name: getattr(example, name)
                    for name in ("features", "energy", "activity", "pitch", "voicing")
                },
            )
    with (folder / "index.csv").open("w", newline="") as file:
        header = ("key", "path", "source", "speaker", "split", "frames", "tracked")
        csv.writer(file).writerows([header, *rows])
    return folder


def known_motion(seed: int, frames: int) -> Motion:
    """A talking head: half of the time the mouth is closed, so that its rest can be told."""
    motion = Motion.still(frames)
    lower = np.zeros((frames, 16))
    lower[:, 0] = 1.5 * np.maximum(curves(seed, frames, 1)[:, 0], 0)
    return motion.replace(lower=lower, rotation=4 * curves(seed + 50, frames, 3))


def test_motions_are_read_from_landmarks_with_the_head(cache: Path, model: FaceModel) -> None:
    examples = load_examples(cache, model, "val", ("styletalk", "talkvid"))
    assert [example.key for example in examples] == [
        "styletalk0", "styletalk1", "talkvid4", "talkvid5",
    ]  # fmt: skip
    for seed, example in zip((0, 1, 4, 5), examples, strict=True):
        truth = known_motion(seed, len(example))
        expected = truth.rotation - np.median(truth.rotation, axis=0)
        np.testing.assert_allclose(example.motion.rotation, expected, atol=0.6)
        assert np.corrcoef(example.motion.lower[:, 0], truth.lower[:, 0])[0, 1] > 0.95


def test_a_cache_without_the_head_is_made_again(cache: Path, model: FaceModel) -> None:
    (first, *_) = load_examples(cache, model, "val", ("styletalk",))
    file = cache / f"{first.key}.motion.npz"
    with np.load(file) as stored:
        before = dict(stored)
    assert set(before) >= set(CHANNELS)
    poor = {name: value for name, value in before.items() if name != "rotation"}
    np.savez(file, **poor)
    (again, *_) = load_examples(cache, model, "val", ("styletalk",))
    np.testing.assert_array_equal(again.motion.as_array(), first.motion.as_array())
    np.savez(file, **{**before, "rotation": before["rotation"] + 1})
    (kept, *_) = load_examples(cache, model, "val", ("styletalk",))
    np.testing.assert_allclose(kept.motion.rotation, first.motion.rotation + 1, atol=1e-5)
    np.savez(file, **before)


@pytest.mark.slow
def test_the_command_compares_mappers(
    cache: Path, model: FaceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = tmp_path / "truth"
    truth.mkdir()
    for example in load_examples(cache, model, "val", ("styletalk", "talkvid")):
        for index in range(2):
            example.motion.save(truth / f"{example.key}-{index}.npz")
    output = tmp_path / "figures"
    arguments = ["--cache", cache, "--output", output, "--mapper", "baseline", truth]
    arguments += ["--samples", 2, "--sources", "styletalk", "talkvid"]
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    monkeypatch.setattr(evaluate, "DRIFT_SECONDS", 60)
    evaluate.main()
    written = json.loads((output / "figures.json").read_text())
    assert {path.name for path in output.glob("*.png")} == {
        "drift.png", "styletalk.png", "talkvid.png",
    }  # fmt: skip
    baseline = {"baseline", "baseline mean"}
    assert set(written["drift"]) == baseline
    lips = written["motion"]["lips"]["styletalk"]
    assert set(lips) == {*baseline, "baseline other sound", str(truth)}
    assert lips[str(truth)]["opening"] > 0.98
    assert lips[str(truth)]["landmarks"] == 0
    lifelike = written["motion"]["realism"]
    assert set(lifelike) == {"styletalk", "talkvid", "continuous"}
    perfect = lifelike["continuous"][str(truth)]
    assert perfect["Fréchet all"] == pytest.approx(0.0, abs=1e-6)
    assert perfect["std head"] == pytest.approx(1.0)
    assert perfect["head 1-2 Hz"] == pytest.approx(1.0)
    assert perfect["people all"] == lifelike["continuous"]["real clips"]["people all"] > 0
    assert lifelike["continuous"]["baseline"]["Fréchet head"] > 0.05
    apart = written["motion"]["diversity"]["continuous"]
    assert set(apart) == {"baseline", str(truth)}
    assert apart[str(truth)]["apart head"] == 0
    assert apart[str(truth)]["within head"] == 1
    assert apart["baseline"]["apart head"] > 0
    assert apart["baseline"]["apart lips"] == 0


@pytest.mark.slow
def test_the_network_is_trained_by_a_command_that_can_be_resumed(
    cache: Path, model: FaceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, output = tmp_path / "parts", tmp_path / "dirfa.safetensors"
    parts.mkdir()
    examples = load_examples(cache, model, "train", ("styletalk", "talkvid"))
    (parts / "offsets.json").write_text(json.dumps({example.key: 0.0 for example in examples}))

    class Brief(DecoderRecipe):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given | {"steps": 4, "check": 2, "batch": 3, "length": 8})

    monkeypatch.setattr(dirfa, "DecoderRecipe", Brief)
    monkeypatch.setattr("talking_face.training.fit.decoder.SURPRISED", 20)
    arguments = ["--cache", cache, "--output", output, "--resume", parts, "--steps", 2]
    monkeypatch.setattr(sys, "argv", ["dirfa", *map(str, arguments)])
    dirfa.main()
    made = output.read_bytes()
    network = find_mapper(f"dirfa:{output}", cache, model)
    (motion,) = network.draw(examples[0], [0], 0, 1.0)
    assert np.isfinite(motion.as_array()).all()
    assert np.abs(motion.rotation).max() > 0.1

    def fail(*_: object) -> None:
        raise AssertionError("what is finished is trained again")

    monkeypatch.setattr(dirfa, "train", fail)
    dirfa.main()
    assert output.read_bytes() == made  # the same seed gives the same weights


def test_a_wrong_name_ends_with_a_sentence(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--cache", str(cache), "--output", str(tmp_path), "--mapper", "nobody"]
    monkeypatch.setattr(sys, "argv", ["evaluate", *arguments])
    with pytest.raises(SystemExit, match="no mapper nobody"):
        evaluate.main()
