"""What one pass over the pixels shows: the right place, as sharp as the plate, layer on layer."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from talking_face.face.model import Pose
from talking_face.picture.composite import PARTED, Composite
from talking_face.picture.plate import Plate

SIDE, MARGIN = 96, 16


def plate_of(wide: np.ndarray, person: np.ndarray | None = None, replaced: bool = False) -> Plate:
    """A plate with a margin; the background, where there is a person, is plain green."""
    inner = np.s_[MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE]
    image = np.ascontiguousarray(wide[inner])
    background = None
    if person is not None:
        background = image.copy()
        background[person[inner] > 0] = (0, 200, 0)
        if replaced:
            background[:] = (0, 200, 0)
    everywhere = np.ones(wide.shape[:2], dtype=np.float32)
    pose = Pose(np.eye(3), np.array(30.0), np.zeros(3))
    return Plate(
        image, pose, image, 0, 0, MARGIN, wide, everywhere if person is None else person,
        background, replaced,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    """Texture of every fineness that a photo holds, like hair and skin: blurred noise."""
    rough = np.random.default_rng(0).normal(size=(SIDE + 2 * MARGIN, SIDE + 2 * MARGIN, 3))
    fine = cv2.GaussianBlur(rough, (0, 0), 0.8)
    return np.clip(128 + 60 * fine / fine.std(), 0, 255).astype(np.uint8)


def flow(shift_x: float = 0.0, shift_y: float = 0.0) -> tuple[np.ndarray, ...]:
    """Map, depth and spans of a plane."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    spans = np.tile(np.int32([0, SIDE]), (SIDE, 1))
    return x + np.float32(shift_x), y + np.float32(shift_y), np.zeros_like(x), spans


def ideal(wide: np.ndarray, shift_x: float, shift_y: float) -> np.ndarray:
    """The same texture shifted, by splines of the fifth order, which lose next to nothing."""
    x, y, *_ = flow(shift_x + MARGIN, shift_y + MARGIN)
    planes = [
        ndimage.map_coordinates(wide[..., k].astype(float), [y, x], order=5, mode="mirror")
        for k in range(3)
    ]
    return np.stack(planes, axis=-1)


def energy(picture: np.ndarray) -> float:
    luma = cv2.cvtColor(np.clip(picture, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    return float((cv2.Laplacian(luma, cv2.CV_64F)[2:-2, 2:-2] ** 2).mean())


def test_nothing_moved_is_the_plate(wide: np.ndarray) -> None:
    plate = plate_of(wide)
    assert (Composite(plate).window(*flow(), moving=True) == plate.image).all()


def test_a_photo_that_cannot_be_written_to_is_shown_as_well(wide: np.ndarray) -> None:
    plate = plate_of(wide.copy())
    for part in (plate.image, plate.wide):
        part.flags.writeable = False
    assert (Composite(plate).window(*flow(1, 0), moving=True) != plate.image).any()


def test_whole_pixels_are_whole_pixels(wide: np.ndarray) -> None:
    shown = Composite(plate_of(wide)).window(*flow(3, -5), moving=True)
    assert (shown == wide[MARGIN - 5 : MARGIN - 5 + SIDE, MARGIN + 3 : MARGIN + 3 + SIDE]).all()


def test_beyond_the_plate_its_border_goes_on(wide: np.ndarray) -> None:
    shown = Composite(plate_of(wide)).window(*flow(-10 * SIDE, 0), moving=True)
    assert (shown == wide[MARGIN : MARGIN + SIDE, :1]).all()


@pytest.mark.parametrize("shift", [0.25, 0.5, 0.75])
def test_a_moved_frame_is_as_sharp_as_the_plate(wide: np.ndarray, shift: float) -> None:
    for x, y in ((shift, 0.0), (0.0, shift), (shift, shift)):
        shown = Composite(plate_of(wide)).window(*flow(x, y), moving=True)
        assert 0.9 < energy(shown) / energy(ideal(wide, x, y)) < 1.15
    both = [(x, y) for x in (0.0, 0.25, 0.5, 0.75) for y in (0.0, 0.25, 0.5, 0.75)]
    shown = [Composite(plate_of(wide)).window(*flow(x, y), moving=True) for x, y in both]
    mean = np.mean([energy(frame) for frame in shown])
    assert mean / np.mean([energy(ideal(wide, x, y)) for x, y in both]) > 0.95


def test_it_trembles_less_between_sharp_and_soft_than_bilinear(wide: np.ndarray) -> None:
    plate = plate_of(wide)
    phases = np.arange(8) / 8
    ours = [energy(Composite(plate).window(*flow(p, p / 2), moving=True)) for p in phases]
    plain = [
        energy(cv2.remap(wide, *(part + MARGIN for part in flow(p, p / 2)[:2]), cv2.INTER_LINEAR))
        for p in phases
    ]
    assert np.ptp(ours) / np.mean(ours) < 0.5 * np.ptp(plain) / np.mean(plain)


def test_an_edge_does_not_ring() -> None:
    step = np.full((SIDE + 2 * MARGIN, SIDE + 2 * MARGIN, 3), 60, dtype=np.uint8)
    step[:, step.shape[1] // 2 :] = 180
    for shift in (0.25, 0.5, 0.75):
        shown = Composite(plate_of(step)).window(*flow(shift), moving=True).astype(int)
        assert shown.min() >= 60 - 0.15 * 120
        assert shown.max() <= 180 + 0.15 * 120


def person_left(wide: np.ndarray) -> np.ndarray:
    """The left half is the person."""
    person = np.zeros(wide.shape[:2], dtype=np.float32)
    person[:, : wide.shape[1] // 2] = 1
    return person


def test_the_person_moves_over_a_still_background(wide: np.ndarray) -> None:
    plate = plate_of(wide, person_left(wide))
    shown = Composite(plate).window(*flow(8, 0), moving=True)  # the person moves to the left
    half = SIDE // 2
    assert (shown[:, half + 1 :] == plate.image[:, half + 1 :]).all()
    assert (shown[:, half - 7 : half - 1] == (0, 200, 0)).all()
    assert (
        shown[:, : half - 9] == wide[MARGIN : MARGIN + SIDE, MARGIN + 8 : MARGIN + half - 1]
    ).all()


def test_without_a_moving_head_person_and_background_are_one(wide: np.ndarray) -> None:
    plate = plate_of(wide, person_left(wide))
    shown = Composite(plate).window(*flow(8, 0), moving=False)
    assert (shown == wide[MARGIN : MARGIN + SIDE, MARGIN + 8 : MARGIN + 8 + SIDE]).all()


def test_what_hardly_moves_is_not_parted_yet(wide: np.ndarray) -> None:
    plate = plate_of(wide, 0.5 * person_left(wide))
    near, far = (
        Composite(plate).window(*flow(part * PARTED, 0), moving=True)[:, : SIDE // 3]
        for part in (0.05, 2.0)
    )
    green = np.array([0, 200, 0])
    assert np.abs(near.astype(int) - plate.image[:, : SIDE // 3]).mean() < 10
    np.testing.assert_allclose(
        far.mean((0, 1)), (plate.image[:, : SIDE // 3].mean((0, 1)) + green) / 2, atol=4
    )


def test_another_background_shows_wherever_the_person_does_not(wide: np.ndarray) -> None:
    plate = plate_of(wide, person_left(wide), replaced=True)
    for moving in (False, True):
        shown = Composite(plate).window(*flow(), moving=moving)
        assert (shown[:, SIDE // 2 + 1 :] == (0, 200, 0)).all()
        assert (shown[:, : SIDE // 2 - 1] == plate.image[:, : SIDE // 2 - 1]).all()


@pytest.mark.parametrize("nowhere", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_places_that_are_nowhere_lead_to_no_other_memory(wide: np.ndarray, nowhere: float) -> None:
    """Motions come from anybody; a wild one may look wild."""
    plate = plate_of(wide, person_left(wide))
    map_x, map_y, *others = flow(2.5, 0)
    map_x[10:20], map_y[:, 30:40] = nowhere, nowhere
    shown = Composite(plate).window(map_x, map_y, *others, moving=True)
    expected = Composite(plate).window(*flow(2.5, 0), moving=True)
    assert (shown[25:, :28] == expected[25:, :28]).all()


def test_where_nothing_is_drawn_the_background_shows(wide: np.ndarray) -> None:
    """Also where the photo has the person, who has moved away, and among what is drawn."""
    for replaced in (False, True):
        plate = plate_of(wide, person_left(wide), replaced)
        map_x, map_y, depth, spans = flow()
        depth[:, :20] = depth[10:20, 24:30] = np.inf
        spans[:, 0] = 20
        shown = Composite(plate).window(map_x, map_y, depth, spans, moving=True)
        green = (shown == (0, 200, 0)).all(2)
        assert green[:, :20].all()
        assert green[10:20, 24:30].all()
        assert not green[:10, 21 : SIDE // 2 - 1].any()


def test_triangles_that_show_nobody_are_told_from_the_others(wide: np.ndarray) -> None:
    composite = Composite(plate_of(wide, person_left(wide)))
    half = SIDE // 2
    x = [half - 9, half - 5, half - 9, half + 2, half + 9, half + 9, half + 5, SIDE + 50, SIDE + 50]
    y = [5, 5, 9, 5, 9, 5, 9, 5, 9]
    places = np.stack([x, y], axis=1).astype(np.float32)
    inside, beside, across, away, beyond = [0, 1, 2], [3, 4, 5], [0, 4, 5], [4, 5, 6], [4, 7, 8]
    triangles = np.int32([inside, beside, across, away, beyond])
    shown = composite.shows(triangles, places)
    assert shown.tolist() == [True, True, True, False, False]
