"""A picture of what tells samples apart: lips and head over time, above the sound they go with.

Pure functions from motions to pictures. Uses matplotlib's figures directly, never its global state,
so that several threads can draw at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from talking_face.arrays import Array
from talking_face.clips.credentials import Origin, sign
from talking_face.errors import OptionInvalid
from talking_face.face.lips import mean_opening
from talking_face.face.model import FaceModel
from talking_face.files import result_path, writing
from talking_face.motion import FPS, Motion
from talking_face.options import MAX_SAMPLES
from talking_face.sound.audio import SAMPLE_RATE, Recording

Theme = Literal["light", "dark"]

# One colour a sample, by its place: blue, orange, green, pink, yellow, violet, each as light or
# dark as the theme needs. At least 3:1 against the page, and as far apart for people who confuse
# red and green as for others.
COLOURS: dict[Theme, tuple[str, ...]] = {
    "light": ("#5187FB", "#E07306", "#248F72", "#78037C", "#4B4002", "#4006E0"),
    "dark": ("#7092DB", "#E03906", "#99E5E6", "#F91F6F", "#F9D91F", "#7E51FB"),
}
INK: dict[Theme, str] = {"light": "#374151", "dark": "#D1D5DB"}

# A picture of 960 pixels, whose words can still be read when a phone shows it 360 pixels wide.
SIZE = (6.4, 7.2)  # inches
DPI = 150
TEXT, SMALL = 13, 11.5  # points
LINE = 1.8  # points
LEGEND = 0.9  # of the width; the page puts a button into the upper right corner

LEAST_OPENING = 10.0  # %; a calmer axis isn't stretched further
LEAST_ANGLE = 2.0  # degrees, either way
SAME = 0.005  # of an axis; curves that differ less are one


def plot_samples(
    motions: Sequence[Motion],
    labels: Sequence[str],
    recording: Recording,
    model: FaceModel,
    theme: Theme = "light",
    places: Sequence[int] | None = None,
) -> Image.Image:
    """Lip opening and head turn and nod of each sample over time, and the waveform under them.

    Curves that are the same in all samples are drawn once, and it says so.

    Args:
        motions: 1 to 6, as they are rendered (pose strength and edits applied).
        labels: one a motion.
        recording: what they speak.
        model: turns coefficients into lips.
        theme: of the page that the picture is put on.
        places: the colour of each, `COLOURS[theme][place]`; None takes them in order.

    Returns:
        An RGBA picture, 960 × 1080, transparent between the curves.

    Raises:
        OptionInvalid: no motions, too many, or not one label each.
    """
    if not 1 <= len(motions) <= MAX_SAMPLES or len(motions) != len(labels):
        raise OptionInvalid(
            f"{len(motions)} samples with {len(labels)} labels can't be plotted. "
            f"Give 1 to {MAX_SAMPLES} samples and a label for each."
        )
    colours = [COLOURS[theme][place] for place in places or range(len(motions))]
    figure = Figure(SIZE, DPI, facecolor="none", layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(4, 1, sharex=True, gridspec_kw={"height_ratios": [3, 3, 3, 2]})
    for panel in panels:
        _dress(panel, theme)
    seconds = max(recording.duration, *(motion.duration for motion in motions))
    panels[0].set_xlim(0, seconds)

    # The inter-ocular distance is the face model's unit.
    opening = [
        100 * mean_opening(model.mean + model.displacement(motion.lower, motion.upper))
        for motion in motions
    ]
    highest = max(LEAST_OPENING, *(curve.max() for curve in opening))
    panels[0].set_ylim(-0.04 * highest, 1.08 * highest)
    _draw(panels[0], opening, "Lips apart, % of the eyes' distance", colours, theme)

    yaw = [motion.rotation[:, 0] for motion in motions]
    nod = [-motion.rotation[:, 1] for motion in motions]
    widest = max(LEAST_ANGLE, *(1.08 * float(np.abs(curve).max()) for curve in [*yaw, *nod]))
    for panel, curves, name in (
        (panels[1], yaw, "Head to the right (+) or left (−) of the picture, degrees"),
        (panels[2], nod, "Head up (+) or down (−), degrees"),
    ):
        panel.set_ylim(-widest, widest)
        panel.axhline(0, color=INK[theme], linewidth=0.6, alpha=0.5)
        _draw(panel, curves, name, colours, theme)

    _draw_waveform(panels[3], recording, theme)
    _draw_legend(canvas, panels[0], labels, colours, theme)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba()).copy())


def write_plot(path: str | Path, picture: Image.Image) -> Path:
    """Write a picture of `plot_samples` for light pages as a PNG on white.

    Raises:
        OutputUnwritable: the folder can't be written, or the disk is full.
    """
    path = result_path(path, ".png")
    page = Image.new("RGBA", picture.size, "white")
    page.alpha_composite(picture)
    with writing(path) as hidden:
        page.convert("RGB").save(hidden, "PNG")
        sign(hidden, Origin({"plot": True}, kind="dataDrivenMedia"), path.name)
    return path


def _dress(panel: Axes, theme: Theme) -> None:
    panel.set_facecolor("none")
    panel.tick_params(colors=INK[theme], labelsize=SMALL, length=3)
    panel.grid(color=INK[theme], alpha=0.15, linewidth=0.8)
    for side, spine in panel.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK[theme])
        spine.set_alpha(0.5)


def _draw(
    panel: Axes, curves: Sequence[Array], name: str, colours: Sequence[str], theme: Theme
) -> None:
    """One line a sample, (frames,) each; or a single line where all are the same."""
    low, high = panel.get_ylim()
    length = min(map(len, curves))
    spread = np.ptp(np.stack([curve[:length] for curve in curves]), axis=0).max()
    if len(curves) > 1 and spread < SAME * (high - low):
        name += " · all samples alike"
        curves = curves[:1]
        colours = [INK[theme]]
    for curve, colour in zip(curves, colours, strict=False):
        time = (np.arange(len(curve)) + 0.5) / FPS
        panel.plot(time, curve, color=colour, linewidth=LINE, solid_joinstyle="round")
    _title(panel, name, theme)


def _title(panel: Axes, name: str, theme: Theme) -> None:
    panel.set_title(name, loc="left", fontsize=TEXT, color=INK[theme], pad=5)


def _draw_waveform(panel: Axes, recording: Recording, theme: Theme) -> None:
    """The lowest and highest sample of each pixel column."""
    columns = min(round(SIZE[0] * DPI), len(recording.waveform))
    edges = np.linspace(0, len(recording.waveform), columns, endpoint=False).astype(int)
    low = np.minimum.reduceat(recording.waveform, edges)
    high = np.maximum.reduceat(recording.waveform, edges)
    panel.fill_between(edges / SAMPLE_RATE, low, high, color=INK[theme], linewidth=0.5, alpha=0.8)
    loudest = max(0.05, float(np.abs(recording.waveform).max()))
    panel.set_ylim(-1.05 * loudest, 1.05 * loudest)
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.set_xlabel("Seconds", fontsize=TEXT, color=INK[theme])
    _title(panel, "Recording", theme)


def _draw_legend(
    canvas: FigureCanvasAgg,
    panel: Axes,
    labels: Sequence[str],
    colours: Sequence[str],
    theme: Theme,
) -> None:
    """The labels row by row, in as many columns as there is room for."""
    handles = [panel.plot([], [], color=colour, linewidth=3 * LINE)[0] for colour in colours]
    for columns in (3, 2, 1):
        places = [i for column in range(columns) for i in range(column, len(labels), columns)]
        legend = canvas.figure.legend(
            [handles[i] for i in places], [labels[i] for i in places], ncols=columns,
            loc="outside upper left", fontsize=TEXT, frameon=False, labelcolor=INK[theme],
            handlelength=0.9, handletextpad=0.5, columnspacing=1.2, borderpad=0.0,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)  # a label is not a formula
        width = legend.get_window_extent(canvas.get_renderer()).width
        if columns == 1 or width < LEGEND * SIZE[0] * DPI:
            return
        legend.remove()
