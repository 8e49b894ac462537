"""The plot of samples: every curve there, told apart by everybody, on either theme."""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from talking_face.clips.plots import COLOURS, plot_samples, write_plot
from talking_face.errors import OptionInvalid, OutputUnwritable
from talking_face.face.model import load_face_model
from talking_face.motion import FPS, Motion
from talking_face.sound.audio import SAMPLE_RATE, Recording

FRAMES = 2 * FPS
PAGE = {"light": "#FFFFFF", "dark": "#0B0F19"}

# From linear RGB to what people see who lack the long or the middle cones, Machado, Oliveira and
# Fernandes 2009, severity 1.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


@pytest.fixture(scope="module")
def model():
    return load_face_model()


@pytest.fixture
def recording() -> Recording:
    """Silence, then a tone in the second second."""
    waveform = np.zeros(2 * SAMPLE_RATE, np.float32)
    waveform[SAMPLE_RATE:] = np.sin(np.arange(SAMPLE_RATE)) * 0.5
    return Recording(waveform)


def swaying(times: int) -> Motion:
    """A head that turns and nods that often, lips that open once."""
    phase = np.linspace(0, 2 * np.pi * times, FRAMES)
    lower = np.zeros((FRAMES, 16))
    lower[:, 0] = times * np.sin(phase / 2)
    rotation = np.stack([8 * np.sin(phase), 5 * np.cos(phase), 0 * phase], axis=1)
    return Motion.still(FRAMES).replace(lower=lower, rotation=rotation)


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(np.clip(to_xyz @ np.clip(rgb, 0, 1), 1e-6, None) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def pixels_of(picture: Image.Image, colour: str, rows: slice = slice(None)) -> int:
    """How many opaque pixels of the picture are of that very colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)] + [255]
    return int((np.asarray(picture)[rows] == wanted).all(axis=-1).sum())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_stand_out_from_the_page(theme):
    page = luminance(PAGE[theme])
    for colour in COLOURS[theme]:
        high, low = sorted((luminance(colour), page), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 3


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_are_told_apart(theme, sight):
    seen = [lab(SIGHTS[sight] @ linear(colour)) for colour in COLOURS[theme]]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 25


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("count", [1, 6])
def test_each_sample_has_its_curves(model, recording, theme, count):
    motions = [swaying(i + 1) for i in range(count)]
    picture = plot_samples(motions, [f"sample {i}" for i in range(count)], recording, model, theme)
    assert picture.mode == "RGBA"
    assert picture.size == (960, 1080)
    assert np.asarray(picture)[0, 0, 3] == 0  # the page shines through
    lines = [pixels_of(picture, colour, slice(300, None)) for colour in COLOURS[theme]]
    assert min(lines[:count]) > 500
    assert lines[count:] == [0] * (6 - count)


def test_a_sample_has_the_colour_of_its_card(model, recording):
    picture = plot_samples([swaying(1), swaying(2)], ["a", "b"], recording, model, places=[3, 1])
    there = [pixels_of(picture, colour, slice(300, None)) > 100 for colour in COLOURS["light"]]
    assert there == [False, True, False, True, False, False]


def test_curves_that_are_the_same_are_drawn_once(model, recording):
    """Heads differ, lips don't: no sample hides the others' lips."""
    motions = [swaying(3), swaying(3).with_pose_strength(0.5)]
    picture = plot_samples(motions, ["one", "other"], recording, model)
    lips = slice(120, 300)
    assert pixels_of(picture, COLOURS["light"][0], lips) == 0
    assert pixels_of(picture, COLOURS["light"][1], lips) == 0
    alone = plot_samples(motions[:1], ["one"], recording, model)
    assert pixels_of(alone, COLOURS["light"][0], lips) > 200


def test_the_waveform_is_where_the_sound_is(model, recording):
    picture = plot_samples([Motion.still(FRAMES)], ["still"], recording, model)
    ink = np.asarray(picture)[900:980, 80:940, 3] > 150
    silent, loud = ink[:, :400].mean(), ink[:, -400:].mean()
    assert loud > 5 * silent


@pytest.mark.parametrize("label", ["sample 1 · seed 2147483647", "$\\frac{$ _^", "mix 1+2+3"])
def test_any_label_stays_inside(model, recording, label):
    picture = plot_samples([swaying(i) for i in range(1, 7)], [label] * 6, recording, model)
    shown = np.asarray(picture)[:, -4:, 3].sum(axis=1) > 0
    assert not shown[:110].any()


def test_recordings_of_any_length(model):
    for seconds in (0.3, 600):
        frames = round(seconds * FPS)
        recording = Recording(np.zeros(round(seconds * SAMPLE_RATE), np.float32))
        picture = plot_samples([Motion.still(frames)], ["still"], recording, model)
        assert pixels_of(picture, COLOURS["light"][0]) > 500


@pytest.mark.slow
def test_several_threads_draw_the_same(model, recording):
    def draw(times: int) -> bytes:
        return plot_samples([swaying(times)], [str(times)], recording, model).tobytes()

    alone = [draw(times) for times in (1, 2, 3)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(draw, (1, 2, 3))) == alone


@pytest.mark.parametrize(("motions", "labels"), [(0, 0), (7, 7), (2, 1)])
def test_what_cannot_be_plotted(model, recording, motions, labels):
    with pytest.raises(OptionInvalid, match="a label for each"):
        plot_samples([swaying(1)] * motions, ["x"] * labels, recording, model)


def test_a_plot_as_a_file_is_readable_anywhere(model, recording, tmp_path):
    picture = plot_samples([swaying(1)], ["one"], recording, model)
    with Image.open(write_plot(tmp_path / "plot.png", picture)) as stored:
        assert stored.mode == "RGB"
        assert stored.getpixel((0, 0)) == (255, 255, 255)
        assert stored.size == picture.size
    with pytest.raises(OutputUnwritable):
        write_plot(tmp_path / "no" / "plot.png", picture)
