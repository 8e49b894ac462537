"""Pictures of what the evaluation measured: samples beside the real clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from talking_face.arrays import Array
from talking_face.face.model import FaceModel
from talking_face.motion import FPS, Motion
from talking_face.training.measure.lip_figures import mouth_curves

SECONDS = 10  # of a clip that are shown at most
AXES = ("yaw", "pitch", "roll")
PANEL = (3.6, 1.9)  # inches
DPI = 110


def plot_samples(
    path: Path,
    title: str,
    real: Motion,
    opening: Array,
    rows: Mapping[str, Sequence[Motion]],
    model: FaceModel,
) -> None:
    """One clip: a row of panels for each mapper, its samples in colour and the real clip in black.

    Args:
        path: of the PNG.
        real: the clip's motion; its mean is taken off, as the samples' is.
        opening: (frames,) the real lip opening, inter-ocular distances.
        rows: the samples of each mapper.
        model: the face model.
    """
    frames = min(len(real), SECONDS * FPS)
    panels: dict[str, Callable[[Motion], Array]] = {
        "lip opening, inter-ocular": lambda motion: mouth_curves(motion, model)[0],
        **{f"{name}, degrees": _angle(axis) for axis, name in enumerate(AXES)},
        "closure of the lids": lambda motion: motion.lids.mean(axis=1),
    }
    figure = Figure(
        (PANEL[0] * len(panels), PANEL[1] * len(rows) + 0.5), layout="constrained", dpi=DPI
    )
    figure.suptitle(title)
    grid = figure.subplots(len(rows), len(panels), squeeze=False, sharex=True, sharey="col")
    seconds = np.arange(frames) / FPS
    for (name, samples), line in zip(rows.items(), grid, strict=True):
        for (label, curve), axes in zip(panels.items(), line, strict=True):
            shown = samples[:1] if label.startswith("lip") else samples
            for sample in shown:
                axes.plot(seconds, curve(sample)[:frames], linewidth=0.9)
            seen = opening if label.startswith("lip") else curve(real)
            axes.plot(seconds, seen[:frames], color="black", linewidth=1.1)
            _finish(axes, label if name == next(iter(rows)) else "")
        line[0].set_ylabel(name)
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    figure.savefig(path)


def plot_drift(path: Path, rows: Mapping[str, Motion]) -> None:
    """Head and lids of a long animation, a row for each mapper; path: of the PNG."""
    labels = [*(f"{name}, degrees" for name in AXES), "closure of the lids"]
    figure = Figure(
        (PANEL[0] * 1.3 * len(labels), PANEL[1] * len(rows) + 0.3), layout="constrained", dpi=DPI
    )
    grid = figure.subplots(len(rows), len(labels), squeeze=False, sharex=True, sharey="col")
    for (name, motion), line in zip(rows.items(), grid, strict=True):
        seconds = np.arange(len(motion)) / FPS
        curves = [*motion.rotation.T, motion.lids.mean(axis=1)]
        for label, curve, axes in zip(labels, curves, line, strict=True):
            axes.plot(seconds, curve, linewidth=0.6)
            _finish(axes, label if name == next(iter(rows)) else "")
        line[0].set_ylabel(name)
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    figure.savefig(path)


def _angle(axis: int) -> Callable[[Motion], Array]:
    return lambda motion: motion.rotation[:, axis] - motion.rotation[:, axis].mean()


def _finish(axes: Axes, title: str) -> None:
    axes.grid(alpha=0.3)
    axes.margins(x=0)
    if title:
        axes.set_title(title, fontsize=9)
