"""What lids uncover that a photo doesn't show: a round iris, white, and the lid's shadow on it."""

import numpy as np
import pytest

from talking_face.picture.eyeball import Eyeball

UNIT, RADIUS, CENTRE = 200.0, 13.0, (60.0, 40.0)
WHITE, BROWN, SKIN = (210.0, 205.0, 200.0), (90.0, 60.0, 40.0), (180.0, 120.0, 100.0)
Y, X = np.mgrid[:80, :120].astype(np.float32)
AWAY = np.hypot(X - CENTRE[0], Y - CENTRE[1])[..., None]


def rim(height: float) -> np.ndarray:
    """A lid's rim that bows so far from the line between the corners of the eye, (9, 2)."""
    along = np.linspace(0, np.pi, 9)
    return np.stack([60 - 32 * np.cos(along), 42 + height * np.sin(along)], axis=1)


def ball() -> np.ndarray:
    """An eyeball without lids, its iris darker towards its rim, (80, 120, 3)."""
    iris = np.array(BROWN) * (1.2 - 0.5 * AWAY / RADIUS)
    return np.where(AWAY < RADIUS, iris, WHITE).astype(np.float32)


def photo(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """The same behind lids."""
    top, bottom = (np.interp(X[0], lid[:, 0], lid[:, 1]) for lid in (upper, lower))
    open_here = (top < Y) & (bottom > Y) & (X > 28) & (X < 92)
    return np.where(open_here[..., None], ball(), SKIN).astype(np.uint8)


@pytest.fixture(scope="module")
def eye() -> Eyeball:
    upper, lower = rim(-9.0), rim(14.0)  # the upper lid hides a part of the iris
    return Eyeball(photo(upper, lower), upper, lower, np.array(CENTRE), RADIUS, UNIT)


def test_what_a_lid_hides_is_as_the_rest_of_the_iris_and_the_white(eye: Eyeball) -> None:
    open_wide = np.ones(X.shape, dtype=np.float32)
    seen = eye.look(X, Y, open_wide)
    hidden = (Y < 32) & (np.abs(X - 60) < 20) & (AWAY[..., 0] < 1.6 * RADIUS)
    assert AWAY[hidden].min() < RADIUS - 3, "some of it is iris"
    away = np.abs(seen - ball()).mean(axis=2)
    clear = hidden & (np.abs(AWAY[..., 0] / RADIUS - 1) > 0.15)
    assert np.abs(SKIN - ball()).mean(axis=2)[clear].min() > 25, "skin would be far off"
    assert away[clear].max() < 15


def test_what_is_seen_stays_as_it_is(eye: Eyeball) -> None:
    seen = eye.look(X, Y, np.ones(X.shape, dtype=np.float32))
    clear = (np.abs(X - 60) < 14) & (Y > 43) & (Y < 48)
    assert np.abs(seen - photo(rim(-9.0), rim(14.0)))[clear].max() <= 1


def test_a_lid_throws_its_shadow_on_what_it_uncovers(eye: Eyeball) -> None:
    opening = (Y > 22).astype(np.float32)
    lit, shaded = (eye.look(X, Y, mask) for mask in (np.ones_like(opening), opening))
    share = shaded[:, 60].mean(axis=1) / lit[:, 60].mean(axis=1)
    assert share[23] < 0.85 < share[30]
    assert share[45] == pytest.approx(1.0), "none on what the photo shows"


def test_an_eye_that_is_hardly_open_is_not_completed() -> None:
    upper, lower = rim(-1.0), rim(1.5)
    narrow = Eyeball(photo(upper, lower), upper, lower, np.array(CENTRE), RADIUS, UNIT)
    assert not narrow.complete


def test_what_paint_and_lashes_darken_is_not_taken_for_white() -> None:
    upper, lower = rim(-9.0), rim(14.0)
    shown = photo(upper, lower)
    white = (shown == np.array(WHITE, np.uint8)).all(2)
    for part, complete in ((1.0, True), (0.45, False)):
        seen = np.where(white[..., None], shown * part, shown).astype(np.uint8)
        made = Eyeball(seen, upper, lower, np.array(CENTRE), RADIUS, UNIT)
        assert made.complete == complete
