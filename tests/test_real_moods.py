"""Real people beside rendered ones: who is left out, and which frame is the photo."""

from types import SimpleNamespace

import numpy as np
import pytest

from talking_face.training.measure.feelings import NAMED, RealFaces, speakers
from talking_face.training.measure.real_moods import Reenacted, plainest, report

HAPPY, SAD = NAMED.index("happy"), NAMED.index("sad")


def faces(people: list[str]) -> RealFaces:
    """Happy and sad faces by a score each; one person does it the other way round."""
    rng = np.random.default_rng(0)
    moods = np.tile([HAPPY, SAD], 10 * len(people))
    who = np.repeat(people, 20)
    scores = 0.01 * rng.standard_normal((len(moods), 52))
    scores[np.arange(len(moods)), np.where(who == "odd", 3 - moods, moods)] += 1.0
    return RealFaces(scores, moods, who, np.ones(len(moods), bool), who != "still")


def test_each_speaker_is_unknown_to_the_network_that_names_them() -> None:
    found = speakers(faces(["still", "one", "two", "three", "odd"]))
    assert set(found) == {"one", "two", "three", "odd"}, "a still doesn't speak"
    assert found["one"] == {"happy": pytest.approx(1, abs=0.2), "sad": pytest.approx(1, abs=0.2)}
    assert max(found["odd"].values()) < 0.2, "known faces of this person would have told"


def test_the_photo_is_the_plainest_neutral_frame() -> None:
    scores = np.zeros((4, 52))
    scores[:, 0] = 0.0, 1.0, 0.5, 0.45
    clip = SimpleNamespace(
        of=SimpleNamespace(moods=["neutral", "neutral", "neutral", "happy"], scores=scores),
        frames=np.arange(4),
    )
    assert plainest([clip]) == (clip, 2)
    clip.of.moods = ["happy"] * 4
    assert plainest([clip]) is None


def test_what_is_left_of_scores_is_a_slope(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(20):
        real = np.zeros(52)
        real[1] = rng.standard_normal()
        rows.append(Reenacted("sad", real, 0.8 * real, 0.5 * real, (0.6, 0.8, 0.9)))
    report(rows)
    told = capsys.readouterr().out
    assert "browDownLeft         asked 0.80, seen 0.50, r 1.00" in told
    assert "browInnerUp" not in told, "it doesn't move"
    assert "sad           0.60        0.80        0.90" in told
