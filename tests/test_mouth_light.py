"""The colour of light in a mouth: warm between lips that are hardly open, of one tone in prints."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from talking_face.face.face import find_faces, fit_face
from talking_face.face.landmarks import INNER_LIP_CORNERS, INNER_LIP_LOWER, INNER_LIP_UPPER
from talking_face.face.lips import lip_gaps
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo
from talking_face.motion import Motion
from talking_face.picture.mouth.layers import skull_layer
from talking_face.picture.mouth.light import LUMA, Light
from talking_face.picture.mouth.shading import load_mouth_light
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.renderer import Renderer
from talking_face.weights import load_weights

PORTRAITS = Path(__file__).parents[1] / "assets/portraits"
NARROW, WIDE = (0.035, 0.045), 0.09  # gaps between the lips that are seen, canonical units
INNER = [INNER_LIP_CORNERS[0], *INNER_LIP_UPPER, INNER_LIP_CORNERS[1], *INNER_LIP_LOWER[::-1]]


def renderer_of(photo: np.ndarray, marks: np.ndarray) -> Renderer:
    model = load_face_model()
    teeth = draw_teeth(TeethGenerator.from_weights(load_weights("teeth")), 0)
    return Renderer(fit_face(photo, [marks], model), model, teeth, load_mouth_light())


def inside(renderer: Renderer, gap: float) -> np.ndarray:
    """Mean colour (3,) of the brighter pixels between lips that are so far apart."""

    def opened(amount: float) -> Motion:
        return Motion.still(1).replace(rest=np.ones((1, 1)), lower=amount * np.eye(1, 16))

    amounts = np.linspace(0, 3, 61)
    unit = float(renderer.plate.pose.scale)
    gaps = [lip_gaps(renderer.landmarks(opened(a), 0))[3:6].mean() / unit for a in amounts]
    motion = opened(float(np.interp(gap, gaps, amounts)))
    picture = renderer.frame(motion)
    mask = np.zeros(picture.shape[:2], np.uint8)
    outline = renderer.landmarks(motion, 0)[INNER, :2]
    cv2.fillPoly(mask, [outline.round().astype(np.int32)], 1)
    colours = picture[cv2.erode(mask, np.ones((3, 3), np.uint8)) > 0].astype(np.float64)
    luma = colours @ LUMA
    return np.asarray(colours[luma >= np.percentile(luma, 60)].mean(0))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["astronaut", "man_robe"])
def test_light_between_lips_that_are_hardly_open_is_warm(name: str) -> None:
    photo = load_photo(PORTRAITS / f"{name}.jpg")
    renderer = renderer_of(photo, find_faces(photo)[0])
    red, green, _ = inside(renderer, WIDE)
    narrow = [inside(renderer, gap) for gap in NARROW]
    assert np.mean([colour[0] / colour[1] for colour in narrow]) > 1.05 * red / green
    # It comes in step by step.
    reds = [r / g for r, g, _ in (inside(renderer, gap) for gap in np.linspace(0.035, 0.12, 18))]
    assert np.abs(np.diff(reds)).max() < 0.1 * reds[-1]


def test_it_is_grey_in_a_grey_photo() -> None:
    photo = load_photo(PORTRAITS / "astronaut.jpg")
    grey = np.repeat(np.rint(photo @ LUMA).astype(np.uint8)[..., None], 3, axis=2)
    renderer = renderer_of(grey, find_faces(photo)[0])
    assert np.ptp(renderer.mouth.light.bounced) == 0
    assert all(np.ptp(inside(renderer, gap)) < 1.5 for gap in NARROW)


def test_flesh_takes_no_light_but_makes_it_red() -> None:
    photo = load_photo(PORTRAITS / "astronaut.jpg")
    bounced = renderer_of(photo, find_faces(photo)[0]).mouth.light.bounced
    assert bounced @ LUMA == pytest.approx(1, abs=1e-5)
    assert bounced[0] > 1.2 > 1 > bounced[1]


def test_generated_teeth_have_the_colour_that_teeth_have_in_the_light() -> None:
    generator = TeethGenerator.from_weights(load_weights("teeth"))
    white = np.array([0.8, 0.75, 0.72], np.float32)
    light = Light(white, *[np.full(3, 0.3, np.float32)] * 4, blur=0.0)
    y, x = np.mgrid[-0.02:0.03:50j, -0.1:0.1:100j]  # the crowns of the incisors
    ratios = []
    for seed in range(8):
        row = skull_layer(x, y, 0.52, light, draw_teeth(generator, seed))
        bright = row[row[..., :3] @ LUMA > np.percentile(row[..., :3] @ LUMA, 70), :3].mean(0)
        ratios.append(bright / (bright @ LUMA))
    assert np.mean(ratios, axis=0) == pytest.approx(white / (white @ LUMA), abs=0.02)


@pytest.mark.parametrize("name", ["astronaut", "man_robe"])
def test_what_lies_behind_the_teeth_gets_less_light_than_they(name: str) -> None:
    photo = load_photo(PORTRAITS / f"{name}.jpg")
    mouth = renderer_of(photo, find_faces(photo)[0]).mouth
    colour = np.stack([mouth.light.teeth, mouth.cavity])[None]
    middle = np.full((1, 2), 0.5)
    deep = np.full((1, 2), 1e3)  # far below the upper lip, whose shade is another matter
    lights = [mouth._light(colour, middle, deep, gap)[0] @ LUMA for gap in (0.03, 0.06, 0.09, 0.2)]
    assert lights[0][0] > 0.6
    assert np.diff([front for front, _ in lights]).min() >= 0
    assert all(front > behind + 0.05 for front, behind in lights[:3])
    assert lights[-1] == pytest.approx(1, abs=1e-3)
