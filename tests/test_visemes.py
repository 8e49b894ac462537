"""Visemes: told apart by sound, learned from clips, and seen on the lips of what is said."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from talking_face.animator import Animator
from talking_face.face.lips import mean_opening
from talking_face.mapping import visemes
from talking_face.mapping.sampler import draw
from talking_face.mapping.visemes import KINDS, Visemes, load_visemes, tell
from talking_face.motion import Motion
from talking_face.sound.encoder import BLOCKS, WIDTH
from talking_face.sound.voice import speak
from talking_face.training.data.examples import Example
from talking_face.training.data.phones import SILENCE, Phone
from talking_face.training.fit.visemes import (
    area,
    hear_phones,
    kinds_of,
    learn,
    told_apart,
    weights_of,
)
from talking_face.training.measure.spoken import least_openings, measure

SMALL = (2, 12)  # blocks and width of features that are made up


def test_a_frame_is_told_by_its_neighbours_too() -> None:
    network = Visemes(5)
    torch.manual_seed(0)
    heard = torch.randn(7, 5)
    with torch.no_grad():
        before, here, after = network.tell.weight.chunk(3)
        bias = sum(network.tell.bias.chunk(3))
        for t in range(7):
            at = heard[max(t - 1, 0)], heard[t], heard[min(t + 1, 6)]
            expected = before @ at[0] + here @ at[1] + after @ at[2] + bias
            torch.testing.assert_close(network(heard)[t], expected)


@pytest.mark.parametrize("frames", [1, 2, 20])
def test_long_recordings_are_told_in_pieces(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_visemes()
    rng = np.random.default_rng(0)
    features = rng.standard_normal((frames, BLOCKS, WIDTH)).astype(np.float32)
    whole = tell(network, features)
    assert whole.shape == (frames, len(KINDS))
    monkeypatch.setattr(visemes, "_CHUNK", 6)
    np.testing.assert_allclose(tell(network, features), whole, atol=1e-4)


def closed_frames(animator: Animator, text: str, with_visemes: bool) -> int:
    """At how many frames between the first sound of a text and the last lips meet."""
    models = animator.models
    network = models.mapping
    speech = animator.listen(speak(text).recording)
    kept = network.visemes
    try:
        network.visemes = kept if with_visemes else None
        (motion,) = draw(network, models.eyes, models.face, speech, [0], 0, 0.0)
    finally:
        network.visemes = kept
    shape = models.face.mean + models.face.displacement(motion.lower, motion.upper)
    spoken = np.flatnonzero(speech.activity > 0.5)
    return int((mean_opening(shape)[spoken[0] + 3 : spoken[-1] - 2] == 0).sum())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parted", "shut"),
    [
        ("Offer, suffer, ever, never, over.", "Upper, supper, ebber, rubber, oboe."),
        ("A wow, a way, a week, a wine.", "A mow, a may, a meek, a mine."),
    ],
)
def test_lips_say_f_and_w_without_closing_and_p_and_m_as_before(
    animator: Animator, parted: str, shut: str
) -> None:
    assert closed_frames(animator, parted, with_visemes=False) > 1
    assert closed_frames(animator, parted, with_visemes=True) == 0
    closures = closed_frames(animator, shut, with_visemes=False)
    assert closures > 5
    assert closed_frames(animator, shut, with_visemes=True) >= closures - 1


def example(key: str, source: str, frames: int, seed: int) -> tuple[Example, np.ndarray]:
    """A clip in whose noise each kind of phone has a sound of its own, and what is said."""
    rng = np.random.default_rng(seed)
    said = np.repeat(rng.integers(0, len(KINDS), -(-frames // 4)), 4)[:frames]
    sounds = np.random.default_rng(9).standard_normal((len(KINDS), *SMALL))
    heard = 5 + 2 * sounds[said] + rng.standard_normal((frames, *SMALL))
    nothing = np.zeros(frames, dtype=np.float32)
    clip = Example(
        key, source, key, "train", heard.astype(np.float16), nothing, nothing, nothing, nothing,
        Motion.still(frames), np.ones(frames, dtype=bool), nothing, nothing,
    )  # fmt: skip
    return clip, said


def test_what_is_learned_tells_people_who_were_not_heard() -> None:
    pairs = [example(f"clip{i}", ("grid", "lrwar")[i % 2], 200, i) for i in range(6)]
    kinds = {clip.key: said for clip, said in pairs}
    network = learn([clip for clip, _ in pairs[:4]], kinds, components=10)
    table = told_apart(network, [clip for clip, _ in pairs[4:]], kinds)
    assert list(table) == ["grid", "lrwar"]
    for row in table.values():
        assert min(row[name] for name in ("p/f", "p/w", "f/w")) > 0.98
    unlearned = told_apart(Visemes(24), [clip for clip, _ in pairs[4:]], kinds)
    assert min(row["p/f"] for row in unlearned.values()) < 0.9


def test_sources_count_by_the_root_of_their_length() -> None:
    clips = [example(key, *rest, 0)[0] for key, *rest in (("a", "grid", 400), ("b", "lrwar", 100))]
    weights = weights_of(clips)
    assert weights.sum() == pytest.approx(1)
    assert weights[:400].sum() == pytest.approx(2 * weights[400:].sum())


def test_frames_are_of_the_kind_that_is_said_there() -> None:
    phones = [
        Phone(SILENCE, 0.0, 0.2), Phone("F", 0.2, 0.32), Phone("AA", 0.32, 0.4),
        Phone("B", 0.4, 0.41), Phone("W", 0.44, 9.0),
    ]  # fmt: skip
    names = [KINDS[kind] for kind in kinds_of(phones, 13)]
    teeth, other = ["lip on teeth"] * 3, ["other"] * 5
    assert names == [*other, *teeth, "other", "other", "closed", "rounded", "rounded"]


def test_the_area_is_the_chance_of_a_higher_score() -> None:
    positive = np.array([True, True, False, False, False])
    assert area(np.array([0.9, 0.2, 0.1, 0.3, 0.15]), positive) == pytest.approx(5 / 6)
    assert np.isnan(area(np.arange(3.0), np.zeros(3, dtype=bool)))


def test_phones_that_were_heard_are_not_heard_again(tmp_path: Path) -> None:
    file = tmp_path / "phones.json"
    file.write_text(json.dumps({"clip": [["F", 0.1, 0.2]]}))
    clip, _ = example("clip", "grid", 12, 0)
    assert hear_phones([clip], {}, file) == {"clip": [Phone("F", 0.1, 0.2)]}


def test_a_phone_is_judged_by_its_own_frames() -> None:
    opening = np.array([0.0, 0.0, 0.05, 0.03, 0.07, 0.0])
    phones = [Phone("F", 0.08, 0.2), Phone("B", 0.2, 0.21), Phone("W", 0.5, 0.9)]
    found = list(least_openings(phones, opening))
    assert found == [("lip on teeth", 0.03), ("closed", 0.0), ("rounded", 0.0)]


@pytest.mark.skipif(
    not importlib.util.find_spec("pocketsphinx"), reason="pocketsphinx isn't installed"
)
def test_known_texts_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    measure(["the wolf ran off with half of the roof"], None)
    table = capsys.readouterr().out.split("lip on teeth")[1].split("\n\n")[0].splitlines()
    without, told = (float(line.split()[-1]) for line in table[1:])
    assert told < without
