"""Looking up an image between its pixels: exact at them, as sharp, and without halos."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from talking_face.face.face import find_faces, fit_face
from talking_face.face.landmarks import FACE_OVAL, LOWER_LID, UPPER_LID
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo
from talking_face.motion import Motion
from talking_face.picture import fine
from talking_face.picture.brush import polygon_mask, sample
from talking_face.picture.fine import FineImage, make_fine
from talking_face.picture.mouth.shading import load_mouth_light
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.renderer import Flow, Renderer
from talking_face.training.measure.reenact import moved_by_spline
from talking_face.weights import load_weights

ROUNDING = 4.0  # energy that whole grey levels alone may give a Laplacian
GREY = np.float32([0.299, 0.587, 0.114])


def places(height: int, width: int, right: float, down: float) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x + np.float32(right), y + np.float32(down)


def look_up(made: FineImage, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    scale, border = np.float32(made.steps), cv2.BORDER_REFLECT_101
    return cv2.remap(made.pixels, x * scale, y * scale, cv2.INTER_LINEAR, borderMode=border)


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("steps", [3, 2, 1])
def test_whole_pixels_are_the_images_own(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    monkeypatch.setattr(fine, "MOST_BYTES", steps**2 * image.nbytes)
    made = make_fine(image)
    assert made.steps == steps
    assert np.array_equal(look_up(made, *places(40, 50, 0, 0)), image)
    assert np.array_equal(look_up(made, *places(30, 40, 5, 7)), image[7:37, 5:45])
    assert np.array_equal(look_up(made, *places(40, 50, -3, 0))[:, 3:], image[:, :-3])


@pytest.mark.parametrize("period", [3.0, 3.7, 5.0, 9.0])
def test_waves_keep_their_height_wherever_they_are_looked_up(period: float) -> None:
    x = np.arange(240)
    wave = 128 + 60 * np.sin(2 * np.pi * x / period)
    image = rgb(np.broadcast_to(wave, (40, 240)))
    shifts = np.linspace(0, 1, 13)[:-1]

    def heights(shown) -> np.ndarray:
        seen = (shown(*places(40, 200, 10 + shift, 0))[..., 0] for shift in shifts)
        return np.array([np.sqrt(2) * (row - row.mean()).std() / 60 for row in seen])

    made = heights(partial(look_up, make_fine(image)))
    linear = heights(lambda x, y: cv2.remap(image, x, y, cv2.INTER_LINEAR))
    assert made.mean() == pytest.approx(1, abs=0.04)
    assert np.ptp(made) < 0.5 * np.ptp(linear)


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 4, np.pi / 2])
def test_edges_have_no_halos(angle: float) -> None:
    x, y = places(60, 60, -29.5, -29.5)
    image = rgb(np.clip(128 + 120 * (np.cos(angle) * x + np.sin(angle) * y), 60, 180))
    made = make_fine(image)
    for right, down in ((0.5, 0.0), (0.3, 0.7), (1 / 3, 2 / 3)):
        seen = look_up(made, *places(50, 50, right + 2, down + 2)).astype(int)
        assert seen.min() > 60 - 0.2 * 120
        assert seen.max() < 180 + 0.2 * 120
        far = np.abs(np.cos(angle) * x + np.sin(angle) * y)[2:52, 2:52] > 5
        assert np.abs(seen - np.where(seen < 120, 60, 180))[far].max() <= 1


def renderer_of(path: Path) -> Renderer:
    photo, model = load_photo(path), load_face_model()
    teeth = draw_teeth(TeethGenerator.from_weights(load_weights("teeth")), 0)
    return Renderer(fit_face(photo, find_faces(photo), model), model, teeth, load_mouth_light())


def turned(yaw: float, pitch: float, roll: float) -> Motion:
    rotation = np.float32([[yaw, pitch, roll]])
    return Motion.still(1).replace(rotation=rotation, translation=np.float32([[0.02, -0.01, 0]]))


def parts(renderer: Renderer, flow: Flow) -> dict[str, np.ndarray]:
    """Where skin, eyes and hair are in a frame, (h, w) bool."""
    unit, margin = float(flow.pose.scale), np.float32(renderer.plate.margin)
    height, width = flow.map_x.shape
    person = sample(renderer.plate.person, flow.map_x + margin, flow.map_y + margin)
    person = cv2.erode(person, np.ones((5, 5))) > 0.999
    inside = polygon_mask(flow.points[list(FACE_OVAL), :2], height, width, 1.0)
    eyes = np.zeros((height, width), dtype=np.uint8)
    for upper, lower in zip(UPPER_LID, LOWER_LID, strict=True):
        eyes |= polygon_mask(flow.points[[*upper, *lower[::-1]], :2], height, width, 1.0) > 0.5
    eyes = cv2.dilate(eyes, np.ones((round(0.1 * unit), round(0.1 * unit)))) > 0
    above = np.arange(height)[:, None] < flow.points[9, 1] - 0.15 * unit
    near = np.abs(np.arange(width) - flow.points[9, 0]) < 0.6 * unit
    hair = person & above & near & (np.arange(height)[:, None] > flow.points[10, 1] - 0.3 * unit)
    return {"skin": (inside > 0.99) & ~eyes, "eyes": eyes, "hair": hair}


@pytest.mark.parametrize("few", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_moved_heads_are_as_sharp_as_their_photos(portraits: list[Path], few: bool) -> None:
    for path in portraits[::3] if few else portraits:
        renderer = renderer_of(path)
        kept: dict[str, list[float]] = {"skin": [], "eyes": [], "hair": []}
        for motion in (turned(4, 2, 1), turned(-6, 3, -2), turned(1.3, -0.7, 0.4)):
            flow = renderer.flow(motion, 0)
            seen = renderer.composite(flow, motion, 0) @ GREY
            exact = moved_by_spline(renderer, flow) @ GREY
            edges = [cv2.Laplacian(grey, cv2.CV_32F) for grey in (seen, exact)]
            for name, part in parts(renderer, flow).items():
                made, photo = (float(edge[part].var()) for edge in edges)
                kept[name].append(made / photo)
        for name, ratios in kept.items():
            assert 0.95 < np.mean(ratios) < 1.1, f"{name} of {path.name}"


@pytest.mark.slow
def test_fine_texture_does_not_flicker_while_the_head_turns(portraits: list[Path]) -> None:
    renderer = renderer_of(next(path for path in portraits if path.stem == "man_robe"))
    margin = np.float32(renderer.plate.margin)
    levels: dict[str, list[np.ndarray]] = {"made": [], "linear": []}
    for yaw in np.linspace(0.2, 2.4, 12):
        flow = renderer.flow(turned(yaw, 0.4 * yaw, 0.2 * yaw), 0)
        exact = energy(moved_by_spline(renderer, flow) @ GREY)
        where = flow.map_x + margin, flow.map_y + margin
        linear = cv2.remap(renderer.plate.wide, *where, cv2.INTER_LINEAR)
        levels["made"].append(energy(renderer.composite(flow, turned(yaw, 0, 0), 0) @ GREY) / exact)
        levels["linear"].append(energy(linear @ GREY) / exact)
    face = energy(parts(renderer, flow)["skin"].astype(np.float32), 0) == 1
    made, linear = (np.std(np.log(levels[name]), axis=0)[face].mean() for name in levels)
    assert made < 0.05
    assert made < 0.6 * linear


def energy(grey: np.ndarray, derivative: int = 2) -> np.ndarray:
    """Mean of squares in blocks of 16 pixels; of the Laplacian, or of the picture itself."""
    values = cv2.Laplacian(grey.astype(np.float32), cv2.CV_32F) if derivative else grey
    height, width = (side // 16 * 16 for side in values.shape)
    blocks = values[:height, :width].reshape(height // 16, 16, width // 16, 16)
    return np.asarray((blocks**2).mean((1, 3))) + (ROUNDING if derivative else 0)
