"""The inside of the mouth: its place in a frame, its layers, and the light on it."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from talking_face.face.face import find_faces, fit_face
from talking_face.face.landmarks import INNER_LIP_LOWER, INNER_LIP_UPPER, MOUTH_CORNERS
from talking_face.face.lips import mouth_readout
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo
from talking_face.motion import CHANNELS, Motion
from talking_face.picture.brush import sample
from talking_face.picture.mouth.closing import Lips, join
from talking_face.picture.mouth.layers import with_sides
from talking_face.picture.mouth.light import CHEEKS, LUMA, Light, blur_of
from talking_face.picture.mouth.opening import Opening, opening_of
from talking_face.picture.mouth.shading import (
    MOST_LIGHT,
    Interior,
    MouthLight,
    features,
    held,
    load_mouth_light,
    spread_factors,
)
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.renderer import Renderer
from talking_face.training.fit.shading import LightNetwork, examples_of, train
from talking_face.weights import load_weights

LEFT, RIGHT, TOP, BOTTOM = 20.0, 120.0, 30.0, 70.0  # pixels, of a mouth as a diamond


def diamond(degrees: float = 0.0) -> np.ndarray:
    """An outline (40, 2) of a mouth, turned around its left corner."""
    x = np.concatenate([np.linspace(LEFT, RIGHT, 21)[:-1], np.linspace(RIGHT, LEFT, 21)[:-1]])
    half = (1 - np.abs(2 * (x - LEFT) / (RIGHT - LEFT) - 1)) * (BOTTOM - TOP) / 2
    y = (TOP + BOTTOM) / 2 + np.where(np.arange(40) < 20, -half, half)
    corner = np.array([LEFT, (TOP + BOTTOM) / 2])
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return (np.stack([x, y], axis=1) - corner) @ turn.T + corner


def light(skin: tuple[float, float, float] = (0.8, 0.6, 0.5)) -> Light:
    colours = {name: np.array(skin, np.float32) for name in ("teeth", "flesh", "cavity", "skin")}
    return Light(lips=np.array(skin, np.float32) * 0.7, blur=0.0, **colours)


def interior(opening: Opening, brightness: float = 0.4) -> Interior:
    picture = np.full((100, 140, 3), brightness, dtype=np.float32)
    return Interior(picture, picture, np.ones((100, 140)), opening, 200.0, 0.0)


@pytest.fixture(scope="module")
def smiling() -> Renderer:
    photo = load_photo(Path(__file__).parents[1] / "assets/portraits/astronaut.jpg")
    model = load_face_model()
    teeth = draw_teeth(TeethGenerator.from_weights(load_weights("teeth")), 0)
    face = fit_face(photo, find_faces(photo), model)
    return Renderer(face, model, teeth, load_mouth_light())


@pytest.fixture(scope="module")
def painted() -> Renderer:
    """The same smile with dark lips and bright teeth."""
    photo = load_photo(Path(__file__).parents[1] / "assets/portraits/astronaut.jpg")
    found = find_faces(photo)
    lips, teeth = np.zeros(photo.shape[:2], np.uint8), np.zeros(photo.shape[:2], np.uint8)
    inner = [78, *INNER_LIP_UPPER, 308, *reversed(INNER_LIP_LOWER)]
    outer = found[0][[*MOUTH_CORNERS, 0, 37, 267, 17, 84, 314, 40, 270, 91, 321], :2]
    cv2.fillPoly(lips, [cv2.convexHull(outer).round().astype(np.int32)], 1)
    cv2.fillPoly(teeth, [found[0][inner, :2].round().astype(np.int32)], 1)
    photo[lips > 0] = 150, 40, 60
    photo[teeth > 0] = 245, 240, 230
    photo = cv2.GaussianBlur(photo, (0, 0), 0.7)
    generator = TeethGenerator.from_weights(load_weights("teeth"))
    model = load_face_model()
    face = fit_face(photo, found, model)
    return Renderer(face, model, draw_teeth(generator, 0), load_mouth_light())


def frame(renderer: Renderer, **channels: list[float]) -> np.ndarray:
    arrays = {}
    for name, values in channels.items():
        arrays[name] = np.zeros((1, CHANNELS[name]), dtype=np.float32)
        arrays[name][0, : len(values)] = values
    return renderer.frame(Motion.still(1).replace(**arrays))


@pytest.mark.parametrize("degrees", [-20.0, 0.0, 25.0])
def test_coordinates_of_an_opening_turn_with_it(degrees: float) -> None:
    outline = diamond(degrees)
    opening = opening_of(outline)
    middle = (outline[10] + outline[30]) / 2
    along, below, above = opening.coordinates(*middle)
    assert float(along) == pytest.approx(0.5, abs=0.01)
    assert float(below) == pytest.approx(20, abs=1) == float(above)
    _, below, _ = opening.coordinates(*outline[10])
    assert float(below) == pytest.approx(0, abs=1)
    x, y = opening.places(4, 6)
    along, below, above = opening.coordinates(x, y)
    assert np.allclose(along, (np.arange(6) + 0.5) / 6, atol=1e-6)
    assert np.allclose(below / (below + above), ((np.arange(4) + 0.5) / 4)[:, None], atol=1e-6)


@pytest.mark.slow
def test_blur_of_a_photo_is_noticed(smiling: Renderer) -> None:
    image = smiling.plate.image
    points = smiling.plate.pose.project(smiling.face.shape)[:, :2]
    blurs = [blur_of(cv2.GaussianBlur(image, (0, 0), s), points) for s in (0.3, 1.0, 1.6)]
    assert blurs[0] + 0.2 < blurs[1] < blurs[2] - 0.2
    assert blurs[2] == pytest.approx(1.6, abs=0.6)


def test_an_untrained_network_leaves_the_light() -> None:
    untrained = MouthLight.from_weights(LightNetwork().eval().requires_grad_(False).tensors())
    factors = untrained.light_factors(interior(opening_of(diamond())), light())
    assert factors.shape == (8, 16, 3)
    assert np.allclose(factors, 1)


def test_both_ways_through_the_network_agree() -> None:
    network = LightNetwork()
    network.load_state_dict(
        {name: torch.from_numpy(t) for name, t in load_weights("mouth_light").items()}
    )
    seen = np.random.default_rng(0).normal(0.5, 0.5, (14, 8, 16)).astype(np.float32)
    slow = network(torch.from_numpy(seen[None]))[0].permute(1, 2, 0).detach().numpy()
    assert np.ptp(slow) > 0.05
    assert np.allclose(load_mouth_light().logarithms(seen), slow, atol=1e-5)


def test_the_light_is_bounded_and_a_grey_photo_stays_grey() -> None:
    network = load_mouth_light()
    opening = opening_of(diamond())
    for brightness in (0.0, 0.4, 1.0):
        grey = network.light_factors(interior(opening, brightness), light((0.5, 0.5, 0.5)))
        assert np.allclose(grey, grey[..., :1])
        assert np.abs(np.log(grey)).max() <= MOST_LIGHT + 1e-5
    coloured = network.light_factors(interior(opening), light())
    assert not np.allclose(coloured, coloured[..., :1])


def test_little_is_brightened_and_nothing_beyond_teeth_in_good_light() -> None:
    asked = np.full((8, 16, 3), 1.8, dtype=np.float32)
    painted = np.full((8, 16, 3), 0.1, dtype=np.float32)
    assert (held(asked, painted, 0.8) < 1.8).all()
    painted[2:5, 4:12] = 0.75
    made = held(asked, painted, 0.8) * painted
    assert (made >= painted - 1e-6).all()
    assert made.max() <= 0.8 + 1e-6
    darker = np.full((8, 16, 3), 0.6, dtype=np.float32)
    assert np.allclose(held(darker, painted, 0.8), 0.6)


def test_generated_teeth_stand_beside_a_photos_own() -> None:
    x = np.linspace(-0.36, 0.36, 145, dtype=np.float32) + np.zeros((60, 1), np.float32)
    own, row = np.zeros((2, 60, 145, 4), dtype=np.float32)
    own[20:40, 50:95] = 1.0  # to 0.11 either way, down to the row 39
    row[15:30, 10:135] = 0.5, 0.5, 0.5, 1.0  # three quarters as high
    both = with_sides(own, row, x, 200.0)
    assert np.array_equal(both[:, 60:85], own[:, 60:85])
    covered = both[..., 3] > 0.5
    assert covered[:, 15].any()
    assert covered[:, 130].any()
    assert abs(int(np.flatnonzero(covered[:, 130]).max()) - 39) <= 1


def test_factors_are_spread_over_the_opening() -> None:
    cells = np.zeros((8, 16, 3), dtype=np.float32)
    cells[:, 8:] = 1
    along, down = np.meshgrid(np.linspace(0, 1, 50), np.linspace(0, 1, 9))
    spread = spread_factors(cells, along, down)
    assert (spread[:, :20] == 0).all()
    assert np.allclose(spread[:, 30:], 1)


@pytest.mark.slow
def test_training_finds_the_light_that_was_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("talking_face.training.fit.shading.BATCH", 8)
    rng = np.random.default_rng(0)
    seen = np.repeat(features(interior(opening_of(diamond())), light())[None], 64, axis=0)
    seen[:, :3] *= rng.uniform(0.5, 1.5, (64, 1, 1, 1))
    examples = {
        "features": seen,
        "share": np.ones((64, 1, 8, 16), np.float32),
        "real": 0.7 * seen[:, :3],
        "source": np.array(["made"] * 64),
    }
    network = train(examples, steps=300, seed=0)
    logs = network(torch.from_numpy(seen))
    assert logs[:, 0].mean().item() == pytest.approx(np.log(0.7), abs=0.1)


@pytest.mark.slow
def test_examples_are_made_of_open_mouths(smiling: Renderer) -> None:
    opened = np.zeros((16, CHANNELS["lower"]), dtype=np.float32)
    opened[:, 0] = np.linspace(0, 1.5, 16)
    teeth = TeethGenerator.from_weights(load_weights("teeth"))
    small = Renderer(
        smiling.face, smiling.model, draw_teeth(teeth, 0), load_mouth_light(), size=200
    )
    motion = Motion.still(16).replace(lower=opened)
    clip = np.stack(list(small.frames(motion)))
    marks = np.stack([small.landmarks(motion, i) for i in range(16)]).astype(np.float32)
    rows = list(examples_of(clip, marks, smiling.model, teeth, np.random.default_rng(0)))
    assert len(rows) > 3
    for row in rows:
        assert row["features"].shape == (14, 8, 16)
        assert row["real"].shape == (3, 8, 16)
        assert 0 < row["share"].mean() <= 1
    # The photo shows its teeth, so that even without light the painting is near the truth.
    away = [np.abs(row["features"][:3] - row["real"]).mean() for row in rows]
    assert np.mean(away) < 0.5


def closing(renderer: Renderer, amount: float) -> tuple[np.ndarray, np.ndarray]:
    """Grey between the lips (9, 7), at their seven middle pairs, and on the lips there (12, 7).

    The mouth is opened from rest by an amount of the first coefficient; 0 is closed.
    """
    picture = frame(renderer, rest=[1], lower=[amount]).astype(np.float32) @ LUMA
    motion = Motion.still(1).replace(rest=np.ones((1, 1)), lower=amount * np.eye(1, 16))
    marks = renderer.landmarks(motion, 0)
    upper, lower = marks[list(INNER_LIP_UPPER[1:-1])], marks[list(INNER_LIP_LOWER[1:-1])]
    x, (top, bottom) = upper[:, 0], (upper[:, 1], lower[:, 1])
    part = np.linspace(0, 1, 9)[:, None]
    between = sample(picture, x + 0 * part, top + part * (bottom - top))
    away = np.linspace(2, 8, 6)[:, None]
    return between, sample(
        picture, x + 0 * np.vstack([away, away]), np.vstack([top - away, bottom + away])
    )


@pytest.mark.slow
def test_no_tooth_stays_bright_when_a_smile_closes(painted: Renderer) -> None:
    for amount in np.linspace(0, 0.28, 15):  # up to lips that are just about to part
        between, lips = closing(painted, amount)
        # What is between the lips is lip or shade, far from the white of the teeth (240).
        assert (between.max(axis=0) - lips.max(axis=0)).max() < 8, amount
        assert np.median(between.min(axis=0) / lips.mean(axis=0)) < 0.95, amount
    for amount in (0.4, 0.5, 0.6, 0.8):  # no glaring line along the upper lip
        rows = closing(painted, amount)[0].mean(axis=1)
        assert rows[0] < rows[4] + 6, amount


def test_no_lip_is_drawn_over_the_teeth_that_a_photo_shows(painted: Renderer) -> None:
    weights, bias = mouth_readout(load_face_model())
    open_and_narrow = np.array([0.16 - bias[0], -0.08])
    lower = np.linalg.lstsq(weights[:16].T, open_and_narrow, rcond=None)[0]
    motion = Motion.still(1).replace(rest=np.ones((1, 1)), lower=lower[None])
    shown = painted.frame(motion).mean(axis=2)
    x, y = painted.landmarks(motion, 0)[INNER_LIP_UPPER[4], :2].round().astype(int)
    down = shown[y : y + 16, x - 5 : x + 6].mean(axis=1)
    assert down[1:5].min() > 0.85 * down.max()


def test_the_line_between_closing_lips_changes_gradually(painted: Renderer) -> None:
    seams = [closing(painted, amount)[0] for amount in np.linspace(0, 0.6, 49)]
    changes = np.array([np.abs(b - a).mean() for a, b in pairwise(seams)])
    assert changes.max() < 8  # grey levels, for an eightieth of a coefficient
    brightness = np.array([seam.mean() for seam in seams])
    assert np.abs(np.diff(brightness)).max() < 8


def test_what_is_seen_between_lips_goes_to_nothing_with_their_gap() -> None:
    y = np.arange(40, dtype=np.float64)[:, None] + np.zeros((1, 9))
    opening = opening_of(diamond())
    for gap in (0.0, 0.25, 0.8, 1.0, 3.5):
        middles = np.linspace(18, 19, 9)  # however the seam lies on the pixels
        below, above = y - (middles - gap / 2), middles + gap / 2 - y
        lips = Lips(opening, np.ones_like(y), y, y, np.full_like(y, 0.5), below, above, 100.0)
        assert np.allclose(lips.coverage().sum(axis=0), gap, atol=0.3 if gap > 1 else 0.01)


def test_lips_that_are_hardly_apart_touch_in_the_corners() -> None:
    y = np.arange(60, dtype=np.float64)[:, None] + np.zeros((1, 5))
    along = np.array([0.0, 0.04, 0.5, 0.96, 1.0]) + np.zeros_like(y)
    for gap, open_ends in ((2.0, 0.0), (10.0, 1.0)):  # of an inter-ocular distance of 100
        below, above = y - (30 - gap / 2), 30 + gap / 2 - y
        lips = Lips(opening_of(diamond()), np.ones_like(y), y, y, along, below, above, 100.0)
        covered = lips.coverage().sum(axis=0) / gap
        assert covered[2] == pytest.approx(1.0, abs=0.1)
        assert covered[[0, 1, 3, 4]] == pytest.approx(open_ends, abs=0.2)


def test_lips_are_joined_over_squeezed_teeth() -> None:
    opening = opening_of(diamond())
    picture = np.full((100, 140, 3), (200, 80, 80), dtype=np.uint8)
    x, y = (grid.astype(np.float32) for grid in np.meshgrid(np.arange(140), np.arange(100)))
    along, below, above = opening.coordinates(x, y)
    inside = (np.minimum(below, above) > 0) & (along > 0) & (along < 1)
    picture[inside] = 255
    lips = Lips(opening, opening.gap_at(along), x, y, along, below, above, 100.0)
    join(picture, lips, np.zeros_like(x))
    assert (picture[inside] == 255).all()
    join(picture, lips, np.ones_like(x))
    away = np.abs(picture[20:80, 30:110].astype(int) - (200, 80, 80))
    assert away.mean() < 1
    assert away.max() < 90  # where the mouth's outline is no more than a line across pixels


def test_lips_that_part_let_the_light_in_gradually(smiling: Renderer) -> None:
    frames = [frame(smiling, rest=[1], lower=[a]) for a in np.linspace(0, 0.6, 13)]
    changes = [float(np.abs(b.astype(int) - a).mean()) for a, b in pairwise(frames)]
    assert max(changes) < 4 * np.median(changes)


def teeth_to_skin(photo: np.ndarray, marks: np.ndarray) -> float:
    """Brightness of an opened mouth's brightest tenth over that of the cheeks, as rendered."""
    model = load_face_model()
    teeth = draw_teeth(TeethGenerator.from_weights(load_weights("teeth")), 0)
    renderer = Renderer(fit_face(photo, [marks], model), model, teeth, load_mouth_light())
    grey = frame(renderer, rest=[1], lower=[2.0]).astype(np.float32) @ LUMA
    points = renderer.landmarks(Motion.still(1).replace(lower=2 * np.eye(1, 16)), 0)[:, :2]
    x, y = points[CHEEKS].round().astype(int).T
    inside = np.zeros(grey.shape, dtype=np.uint8)
    outline = points[[78, *INNER_LIP_UPPER, 308, *reversed(INNER_LIP_LOWER)]]
    cv2.fillPoly(inside, [outline.round().astype(np.int32)], 1)
    return float(np.percentile(grey[inside > 0], 90) / np.median(grey[y, x]))


@pytest.mark.slow
def test_teeth_are_as_dark_as_an_underexposed_photo() -> None:
    photo = load_photo(Path(__file__).parents[1] / "assets/portraits/woman_long_hair.jpg")
    marks = find_faces(photo)[0]
    normal = teeth_to_skin(photo, marks)
    for brightness in (0.25, 0.12, 0.06):
        dark = np.rint(photo * brightness).astype(np.uint8)
        assert abs(teeth_to_skin(dark, marks) - normal) < 0.06, brightness


def test_no_lips_are_painted_on_what_hides_the_mouth(smiling: Renderer) -> None:
    face = replace(smiling.face, mouth_hidden=True)
    teeth = draw_teeth(TeethGenerator.from_weights(load_weights("teeth")), 0)
    hidden = Renderer(face, smiling.model, teeth, load_mouth_light())
    still, spoken = frame(hidden), frame(hidden, rest=[1], lower=[2.0])
    assert (still == spoken).all()
    assert (frame(smiling, rest=[1], lower=[2.0]) != spoken).any()


@pytest.mark.slow
def test_a_mouth_in_a_print_of_one_tone_is_of_that_tone(portraits: list[Path]) -> None:
    model = load_face_model()
    teeth = draw_teeth(TeethGenerator.from_weights(load_weights("teeth")), 0)
    path = next(path for path in portraits if path.stem == "woman_orange_shirt")
    photo = load_photo(path)
    levels = (np.arange(256) / 255) ** 0.8
    sepia = np.rint(225 * levels[:, None] * [1.0, 0.82, 0.6] + 15)  # the colour of each brightness
    toned = sepia[np.rint(photo @ LUMA).astype(int)].astype(np.uint8)
    away = []
    for image in (toned, photo):
        face = fit_face(image, find_faces(photo), model)
        renderer = Renderer(face, model, teeth, load_mouth_light())
        points = renderer.landmarks(Motion.still(1).replace(lower=2 * np.eye(1, 16)), 0)[:, :2]
        outline = points[[78, *INNER_LIP_UPPER, 308, *reversed(INNER_LIP_LOWER)]]
        inside = np.zeros(renderer.plate.image.shape[:2], dtype=np.uint8)
        cv2.fillPoly(inside, [outline.round().astype(np.int32)], 1)
        colours = frame(renderer, rest=[1], lower=[2.0])[inside > 0].astype(np.float32)
        same = np.abs((sepia @ LUMA)[:, None] - colours @ LUMA).argmin(0)
        away.append(float(np.linalg.norm(colours - sepia[same], axis=1).max()))
        assert renderer.mouth.light.coloured == (image is photo)
    assert away[0] < 15
    assert away[1] > 40
