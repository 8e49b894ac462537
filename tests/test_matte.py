"""Telling the person from the background, and painting the background without them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mediapipe.python.solutions import selfie_segmentation

from talking_face.face.face import find_faces
from talking_face.face.photo import load_photo
from talking_face.picture import matte
from talking_face.picture.matte import (
    complete,
    guided_filter,
    own_colours,
    pull_push,
    see_person,
    separate,
    vote,
    without_holes,
)

UNIT = 40.0  # inter-ocular distance, pixels


def disc(radius: float, size: int = 160, centre: tuple[int, int] = (80, 80)) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return np.asarray(np.hypot(x - centre[0], y - centre[1]) < radius)


def test_holes_and_doubts_within_a_person_are_person() -> None:
    seen = disc(60).astype(np.float32)
    seen[disc(8, centre=(70, 100))] = 0.0
    seen[disc(8, centre=(95, 70))] = 0.6
    whole = without_holes(seen, edge=3)
    assert np.array_equal(whole[disc(50)], np.ones_like(whole[disc(50)]))
    assert (whole[~disc(61)] == 0).all()


def test_what_is_open_to_the_border_stays_background() -> None:
    seen = disc(60).astype(np.float32)
    seen[:, 70:90] = 0
    whole = without_holes(seen, edge=3)
    assert (whole[:, 75:85] == 0).all()


@pytest.mark.parametrize("period", [10, 16])
def test_stripes_go_on_behind_the_person(period: int) -> None:
    y, x = np.mgrid[:160, :160]
    stripes = np.where((y // period) % 2, 200, 40).astype(np.uint8)
    image = np.repeat(stripes[..., None], 3, axis=2)
    hidden = (x > 60) & (x < 110)
    covered = image.copy()
    covered[hidden] = 128
    made = complete(covered, hidden, UNIT)
    assert np.array_equal(made[~hidden], image[~hidden])
    near = hidden & (x < 64)
    assert np.abs(made[near].astype(int) - image[near]).mean() < 15
    assert made[:, 85].std() < 40  # far behind the edge only the colour is left


def test_the_background_goes_on_at_a_ragged_edge_without_a_jump() -> None:
    y, x = np.mgrid[:160, :160]
    waves = (128 + 100 * np.sin(x / 4)).astype(np.uint8)
    image = np.repeat(waves[..., None], 3, axis=2)
    hidden = x > 60 + 4 * np.sin(y / 9)
    covered = image.copy()
    covered[hidden] = 128
    made = complete(covered, hidden, UNIT)
    first = hidden & ~np.roll(hidden, 1, axis=1)
    across = np.abs(made.astype(int) - np.roll(made, 1, axis=1))[first]
    assert across.mean() < 20


def test_nothing_is_painted_where_nothing_is_hidden() -> None:
    image = np.random.default_rng(0).integers(0, 255, (60, 70, 3), dtype=np.uint8)
    assert complete(image, np.zeros((60, 70), bool), UNIT) is image


def test_filling_is_smooth_and_keeps_what_is_known() -> None:
    x = np.tile(np.linspace(0, 200, 101, dtype=np.float32), (61, 1))
    ramp = np.repeat(x[..., None], 3, axis=2)
    known = np.ones((61, 101), dtype=np.float32)
    known[20:40, 30:70] = 0
    filled = pull_push(ramp * known[..., None], known)
    assert np.allclose(filled[known > 0], ramp[known > 0], atol=1e-3)
    assert np.abs(filled - ramp).max() < 25
    assert np.abs(np.diff(filled[30, :, 0])).max() < 15


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("largest", [None, 4])
def test_a_mask_takes_on_the_edges_of_its_guide(colours: int, largest: int | None) -> None:
    shape = disc(50)
    guide = np.repeat(shape[..., None], colours, axis=2).astype(np.float32)
    guide[..., 1:] = 0.5  # one colour tells, the others don't
    rough = disc(50, centre=(82, 80)).astype(np.float32)
    assert rough[80, 31:33].max() == 0
    fitted = guided_filter(guide, rough, 8, largest)
    assert fitted.shape == rough.shape
    assert fitted[80, 30] < 0.05 < 0.6 < fitted[80, 31]


def test_a_persons_colour_is_free_of_the_background() -> None:
    x = np.tile(np.arange(160, dtype=np.float32), (120, 1))
    alpha = np.clip((x - 76) / 8, 0, 1)
    person, background = np.float32([200, 80, 40]), np.float32([20, 60, 220])
    mixed = alpha[..., None] * person + (1 - alpha[..., None]) * background
    own = own_colours(mixed, alpha, UNIT)
    edge = (alpha > 0.2) & (alpha < 1)
    assert np.abs(own - person)[edge].mean() < 0.3 * np.abs(mixed - person)[edge].mean()
    assert np.abs(own - person)[alpha == 1].max() < 1


asked = [0, 0]  # how often either network was
shown: list[int] = []  # the longer sides of what they saw


class Fooled:
    """In place of the selfie networks: sees what is bright, and takes red for a person, too, unless
    it is mirrored: red ends at the left border."""

    def __init__(self, model_selection: int) -> None:
        self.wide = model_selection == 1

    def __enter__(self) -> "Fooled":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def process(self, image: np.ndarray) -> SimpleNamespace:
        asked[self.wide] += 1
        shown.append(max(image.shape))
        red = (image[..., 0] > 120) & (image[..., 1] < 60) & (image[:, :1, 0] > 120)
        return SimpleNamespace(segmentation_mask=np.float32((image.min(axis=2) > 200) | red))


def test_what_the_network_sees_only_sometimes_is_not_a_person(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person = disc(50)
    image = np.where(person[..., None], 255, [20, 20, 90]).astype(np.uint8)
    image[60:100, :10] = (200, 20, 30)  # two of the five views see a person there
    asked[:] = 0, 0
    monkeypatch.setattr(selfie_segmentation, "SelfieSegmentation", Fooled)
    seen = see_person(image)
    assert np.array_equal(seen > 0.75, person)
    assert (seen[60:100, :10] < 0.1).all()
    assert (seen[:, 12:][~person[:, 12:]] < 0.01).all()
    assert all(asked)


def test_of_a_large_photo_the_networks_are_shown_a_smaller_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person = disc(500, size=1600, centre=(800, 800))[:1200]
    image = np.where(person[..., None], 255, [20, 20, 90]).astype(np.uint8)
    shown.clear()
    monkeypatch.setattr(selfie_segmentation, "SelfieSegmentation", Fooled)
    seen = see_person(image)
    assert seen.shape == person.shape
    assert ((seen > 0.5) != person).mean() < 0.005
    assert max(shown) < 800


def test_doubts_are_settled_by_what_is_nearby_in_the_same_colours() -> None:
    hair, wall, flag = (90, 50, 40), (150, 160, 150), (190, 30, 40)
    image = np.full((128, 128, 3), wall, dtype=np.uint8)
    image[20:120, 40:88] = hair
    image[60:90, 88:] = flag
    answer = np.zeros((128, 128), dtype=np.float32)
    answer[20:80, 40:88] = 1.0
    answer[80:120, 40:88] = 0.4  # ends of hair that only some views see
    answer[60:90, 88:100] = 0.6  # the end of a flag, taken for a person by most
    settled = np.repeat(np.repeat(vote(image, answer), 2, axis=0), 2, axis=1)
    assert settled[84:100, 44:84].min() > 0.75
    assert settled[64:86, 90:98].max() < 0.25
    assert settled[20:80, 44:84].min() > 0.9 > 0.1 > settled[:16].max()


def test_strands_beside_the_person_are_not_mirrored() -> None:
    image = np.full((160, 160, 3), 200, dtype=np.uint8)
    hidden = np.zeros((160, 160), dtype=bool)
    hidden[:, 60:110] = True
    image[hidden] = 0
    image[:, 52:54] = image[:, 116:117] = 20
    made = complete(image, hidden, 2 * UNIT)
    assert np.array_equal(made[~hidden], image[~hidden])
    assert made[:, 60:110].min() > 150


def test_what_is_apart_from_the_person_stays_with_the_background(
    portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = load_photo(portrait)
    landmarks = find_faces(image)[0]
    x, y = landmarks[:, :2].mean(0)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    size = np.ptp(landmarks[:, 0])
    person = np.hypot(columns - x, rows - y) < size
    flag = (columns < 0.05 * size) & (rows < 0.4 * size)
    assert not (person & flag).any()
    monkeypatch.setattr(matte, "see_person", lambda _: np.float32(person | flag))
    share, own, background = separate(image, landmarks)
    assert (share[flag] == 0).all()
    assert own.sum() < share.sum()  # a rim goes with the person
    assert np.array_equal(background[flag], image[flag])
    assert share[person].mean() > 0.95
