"""Which teeth a photo shows, and which of them go with the skull and which with the jaw."""

import numpy as np
import pytest

from talking_face.picture.mouth.layers import own_mouth
from talking_face.picture.mouth.light import Light
from talking_face.picture.mouth.opening import Opening
from talking_face.picture.mouth.rows import COLUMNS, rows_of

HEIGHT, WIDTH = 100, 140
LEFT, RIGHT, TOP, BOTTOM = 20, 120, 30, 70  # pixels, of an opening as a box
DENSITY = 500.0  # pixels a canonical unit: 0.08 units between the lips
TEETH, LIP, DARK = (200, 195, 185), (190, 110, 110), (40, 25, 22)
MIDDLE = slice(COLUMNS // 3, -COLUMNS // 3)


def opening() -> Opening:
    upper = np.zeros(49)
    return Opening(
        np.array([LEFT, TOP], float), np.eye(2), float(RIGHT - LEFT), upper, upper + BOTTOM - TOP
    )


def light(coloured: bool = True) -> Light:
    skin = np.array([0.8, 0.6, 0.5] if coloured else [0.6, 0.6, 0.6], np.float32)
    colours = dict.fromkeys(("teeth", "flesh", "cavity", "skin"), skin)
    return Light(lips=np.array(LIP, np.float32) / 255, blur=0.0, **colours)


def scalloped(end: int) -> np.ndarray:
    """A smile of upper teeth, each with a round edge, over a strip of the lower lip."""
    photo = np.full((HEIGHT, WIDTH, 3), LIP, np.uint8)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    photo[y < end + 5 * np.abs(np.sin(x / 5))] = TEETH
    photo[(y > end + 3) & (y < end + 7) & (np.abs(np.sin(x / 5)) < 0.5)] = DARK  # between edges
    return photo


def down(pixel: float) -> float:
    return (pixel - TOP) / (BOTTOM - TOP)


def test_rows_part_where_it_is_dark() -> None:
    rows = np.arange(HEIGHT)[:, None, None]
    two = (np.where(np.abs(rows - 53) < 4, 20, 200) + np.zeros((HEIGHT, WIDTH, 3))).astype(np.uint8)
    found = rows_of(two, opening(), DENSITY, light())
    assert found.split[MIDDLE] == pytest.approx(down(53), abs=0.06)
    assert found.lower[MIDDLE] == pytest.approx(1)
    below = (np.where(rows > 55, 200, 30) + np.zeros((HEIGHT, WIDTH, 3))).astype(np.uint8)
    assert (rows_of(below, opening(), DENSITY, light()).split == 0).all()
    smile = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    shaded = (smile * np.interp(rows - TOP, [0, 14], [0.2, 1.0])).astype(np.uint8)  # by the lip
    for one in (smile, shaded):
        assert own_mouth(one, opening(), DENSITY, light()).jaw is None
    parts = own_mouth(two, opening(), DENSITY, light())
    assert parts.skull is not None
    assert parts.jaw is not None
    assert parts.skull[40, 70, 3] > 0.9 > 0.1 > parts.skull[64, 70, 3]
    assert parts.jaw[64, 70, 3] > 0.9 > 0.1 > parts.jaw[40, 70, 3]


@pytest.mark.parametrize("end", [48, 52, 56])
def test_a_lip_below_upper_teeth_is_no_row_of_teeth(end: int) -> None:
    parts = own_mouth(scalloped(end), opening(), DENSITY, light())
    assert parts.jaw is None
    assert parts.skull is not None
    assert parts.skull[end - 2, 40:100, 3].min() > 0.9
    assert parts.skull[end + 18, 40:100, 3].max() < 0.1


def test_lower_teeth_are_where_they_are_seen() -> None:
    photo = scalloped(48)
    photo[:, 56:84][47:51] = DARK
    photo[:, 56:84][51:66] = TEETH
    parts = own_mouth(photo, opening(), DENSITY, light())
    assert parts.skull is not None
    assert parts.jaw is not None
    assert parts.jaw[60, 66:74, 3].min() > 0.9
    assert max(parts.jaw[60, 24:46, 3].max(), parts.jaw[60, 94:116, 3].max()) < 0.1
    assert parts.skull[60, 66:74, 3].max() < 0.1


def test_teeth_that_touch_are_parted_where_it_is_a_little_darker() -> None:
    photo = np.full((HEIGHT, WIDTH, 3), TEETH, np.uint8)
    photo[47:52] = (160, 152, 142)
    photo[47:52, 56:84] = (176, 168, 158)
    found = rows_of(photo, opening(), DENSITY, light())
    assert found.split[MIDDLE] == pytest.approx(down(49.5), abs=0.08)
    assert found.lower[MIDDLE] == pytest.approx(1)


def test_an_open_mouth_keeps_what_it_shows_below_its_teeth() -> None:
    wide = DENSITY / 4  # 0.32 units between the lips
    photo = np.full((HEIGHT, WIDTH, 3), (150, 80, 80), np.uint8)  # a tongue
    photo[:42], photo[42:50] = TEETH, DARK
    parts = own_mouth(photo, opening(), wide, light())
    assert parts.jaw is not None
    assert parts.jaw[60, 50:90, 3].min() > 0.9


def test_without_colour_lips_are_not_told_from_teeth() -> None:
    grey = np.repeat(scalloped(52).mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    found = rows_of(grey, opening(), DENSITY, light(coloured=False))
    assert (found.lower == (found.split < 1)).all()
