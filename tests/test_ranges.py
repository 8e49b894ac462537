"""How far scores spread in people who talk, and in faces that say the same words."""

import numpy as np
import pytest

from talking_face.training.data.scores import SCORE_NAMES
from talking_face.training.measure.ranges import SEEN, Spread, report, shares


def spread(real: float, reenacted: float, spoken: float) -> Spread:
    """Of a clip in which two scores move by as much, and a third less than what is seen."""
    moved = np.zeros(len(SCORE_NAMES))
    moved[:2], moved[2] = 1.0, (SEEN / 2) ** 2 / real**2
    return Spread(*(moved * deviation**2 for deviation in (real, reenacted, spoken)))


def test_shares_are_of_the_people_together() -> None:
    found = shares([spread(0.1, 0.05, 0.3), spread(0.2, 0.1, 0.0)])
    assert set(found) == set(SCORE_NAMES[:2]), "what hardly moves isn't told"
    real, reenacted, spoken = found[SCORE_NAMES[0]]
    assert real == pytest.approx(np.sqrt((0.01 + 0.04) / 2))
    assert reenacted == pytest.approx(0.5)
    assert spoken == pytest.approx(0.3 / np.sqrt(0.05)), "one that moves much makes up for another"


def test_scores_are_counted_that_spread_as_they_should(capsys: pytest.CaptureFixture[str]) -> None:
    report("grid", [spread(0.1, 0.065, 0.12)])
    told = capsys.readouterr().out
    assert "grid: 1 clips, 2 scores; within 0.7 to 1.3: re-enacted 0.00, spoken 1.00" in told
    assert "browDownLeft         0.100  re-enacted 0.65  spoken 1.20" in told
