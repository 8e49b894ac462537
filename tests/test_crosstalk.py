"""What is measured of blendshapes: how clearly each moves its own score."""

from types import SimpleNamespace

import numpy as np
import pytest

from talking_face.head.names import ARKIT
from talking_face.training.data.scores import SCORE_NAMES
from talking_face.training.measure.crosstalk import DRIVEN, clarity, real_changes, together

SMILE, PUCKER = SCORE_NAMES.index("mouthSmileLeft"), SCORE_NAMES.index("mouthPucker")


def test_clarity_is_of_the_largest_other_change():
    change = np.zeros(len(SCORE_NAMES))
    change[[0, SMILE, PUCKER]] = 0.9, 0.6, -0.2
    found = clarity(change, "mouthSmileLeft")
    assert (found.own, found.other, found.name) == pytest.approx((0.6, -0.2, "mouthPucker"))
    assert found.times == pytest.approx(3)
    both = clarity(change, "mouthSmileLeft", "mouthPucker")
    assert both.own == pytest.approx(0.2)
    assert both.other == 0.0


def test_eyes_look_the_same_way_together():
    assert together("eyeLookInLeft") == "eyeLookOutRight"
    assert together("eyeLookOutLeft") == "eyeLookInRight"
    assert together("eyeLookUpLeft") == "eyeLookUpRight"
    assert (together("jawLeft"), together("jawOpen")) == ("jawLeft", "jawOpen")
    assert all(together(together(name)) == name for name in DRIVEN)
    assert set(DRIVEN) == set(ARKIT) - {"tongueOut"}


def test_what_real_scores_do_is_within_a_person():
    """Two people who differ in both scores, but move the second half as far as the first."""
    first = np.zeros((4, len(SCORE_NAMES)))
    first[:, SMILE], first[:, PUCKER] = [0, 0.2, 0.4, 0.6], [0, 0.1, 0.2, 0.3]
    second = first.copy()
    second[:, PUCKER] += 0.5
    people = [SimpleNamespace(scores=first), SimpleNamespace(scores=second)]
    changes, reach = real_changes(people)
    assert changes[SMILE, PUCKER] == pytest.approx(0.5)
    assert changes[PUCKER, SMILE] == pytest.approx(2.0)
    assert clarity(changes[SMILE], "mouthSmileLeft").times == pytest.approx(2)
    assert reach[PUCKER] == pytest.approx(0.8, abs=0.01)
