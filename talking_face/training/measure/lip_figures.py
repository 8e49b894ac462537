"""How well lips follow a real speaker's: the figures of one clip, and their means by source."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from talking_face.arrays import Array
from talking_face.face.landmarks import (
    INNER_LIP_CORNERS,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    LIPS_OUTLINE,
    mouth_width,
)
from talking_face.face.lips import contact, lip_gaps
from talking_face.face.model import FaceModel
from talking_face.motion import Motion
from talking_face.training.data.offsets import MAX_LAG, lagged_correlations, peak_lag

LIPS = (*LIPS_OUTLINE, *INNER_LIP_UPPER, *INNER_LIP_LOWER, *INNER_LIP_CORNERS)
LEAST_MOTION = 0.015  # deviation of the real opening, inter-ocular distances; less is no speech
CLOSED = 0.02  # opening, inter-ocular distances, below which lips count as met
STILL = 0.002  # deviation of a mouth's width, inter-ocular distances; the tracker's own
LEAST_RATIO = 0.05  # of deviations; a mouth that doesn't move at all counts as this
TOLERANCE = 1  # frames by which a closure may come early or late


@dataclass(frozen=True)
class LipFigures:
    """Figures of one clip, or their means over clips.

    Attributes:
        opening, width: correlation of inner-lip opening and of mouth width, as timed.
        opening_aligned, width_aligned: at the constant offset within ±4 frames that suits the
            opening best.
        offset: that offset in frames, to a fraction; positive where the real lips come later.
        recall: of the frames where the real lips meet, the part where these meet within a frame.
        precision: of the frames where these meet, the part where the real ones do within a frame.
        amplitude, stretch: deviation of the opening and of the width over that of the real one.
        landmarks: mean distance of the 40 lip points from the real ones (LMD), both expressions on
            the mean face seen from the front, in inter-ocular distances; NaN where the real
            expression isn't known.
    """

    opening: float
    opening_aligned: float
    width: float
    width_aligned: float
    offset: float
    recall: float
    precision: float
    amplitude: float
    stretch: float
    landmarks: float = float("nan")


def mouth_curves(motion: Motion, model: FaceModel) -> tuple[Array, Array]:
    """Lip opening and mouth width, each (frames,), of an expression on the mean face.

    Nearly closed lips meet, as they do when they are rendered.
    """
    shape = model.mean + model.displacement(motion.lower, motion.upper)
    return contact(lip_gaps(shape))[:, 3:6].mean(1), mouth_width(shape)


def lip_points(motion: Motion, model: FaceModel) -> Array:
    """The 40 lip points of an expression on the mean face, (frames, 40, 2), x and y."""
    points = list(LIPS)
    basis = np.concatenate([model.lower, model.upper], axis=-1)[points, :2]  # (40, 2, 22)
    coefficients = np.concatenate([motion.lower, motion.upper], axis=1)
    return model.mean[points, :2] + np.einsum("pak,tk->tpa", basis, coefficients)


def lip_distance(motion: Motion, real: Motion, ok: Array, model: FaceModel) -> float:
    """LMD of an expression from the real one; ok: (frames,) bool, the frames that count."""
    error = lip_points(motion, model)[ok] - lip_points(real, model)[ok]
    return float(np.linalg.norm(error, axis=-1).mean())


def lip_figures(
    opening: Array,
    width: Array,
    real_opening: Array,
    real_width: Array,
    ok: Array,
) -> LipFigures | None:
    """Compare one clip's mouth with the real one.

    Args:
        opening, width: (frames,) as made, in inter-ocular distances.
        real_opening, real_width: (frames,) as tracked.
        ok: (frames,) bool, the frames that count.

    Returns:
        None where the real mouth hardly moves or was not seen for long enough.
    """
    if not ok.any() or real_opening[ok].std() < LEAST_MOTION:
        return None
    openings = lagged_correlations(opening, real_opening, ok)
    widths = lagged_correlations(width, real_width, ok)
    if not np.isfinite(openings[MAX_LAG]):
        return None
    best = int(np.nanargmax(openings))
    met, real_met = opening < CLOSED, (real_opening < CLOSED) & ok
    return LipFigures(
        opening=float(openings[MAX_LAG]),
        opening_aligned=float(openings[best]),
        width=float(widths[MAX_LAG]),
        width_aligned=float(widths[best]),
        offset=peak_lag(openings)[0],
        recall=_share(_widen(met)[real_met]),
        precision=_share(_widen(real_met | ~ok)[met & ok]),
        amplitude=float(opening[ok].std() / real_opening[ok].std()),
        stretch=float(width[ok].std() / max(real_width[ok].std(), STILL)),
    )


def _arithmetic_mean(values: Array) -> float:
    return float(values.mean())


def _median(values: Array) -> float:
    return float(np.median(values))


def _geometric_mean(ratios: Array) -> float:
    return float(np.exp(np.log(np.maximum(ratios, LEAST_RATIO)).mean()))


_MIDDLE = {"offset": _median, "amplitude": _geometric_mean, "stretch": _geometric_mean}


def means(clips: Sequence[tuple[str, LipFigures | None]]) -> dict[str, dict[str, float]]:
    """Mean figures of each source, (source, figures) of each clip; `clips` counts them.

    The offset is the median, in which a clip without clear motion counts little; of the ratios of
    deviations it is the geometric mean, in which twice and half as much make one. Clips without a
    closure have no recall or precision.
    """
    by_source: dict[str, list[LipFigures]] = defaultdict(list)
    for source, figures in clips:
        if figures is not None:
            by_source[source].append(figures)
    table = {}
    for source, rows in by_source.items():
        table[source] = {"clips": float(len(rows))}
        for field in dataclasses.fields(LipFigures):
            values = np.array([getattr(row, field.name) for row in rows])
            values = values[np.isfinite(values)]
            middle: Callable[..., Any] = _MIDDLE.get(field.name, _arithmetic_mean)
            table[source][field.name] = float(middle(values)) if len(values) else float("nan")
    return table


def format_table(table: Mapping[str, Mapping[str, float]], title: str = "source") -> str:
    """Plain text, one line a row of the table; a dash where there is no figure.

    Columns are those of any row, in the order in which they first come; `clips` is a whole number.
    """
    columns = list(dict.fromkeys(name for row in table.values() for name in row))
    first = max(12, *(len(name) for name in (title, *table)))
    widths = [max(7, len(name)) for name in columns]

    def cell(value: float, name: str, width: int) -> str:
        if not np.isfinite(value):
            return f"{'–':>{width}}"
        return f"{value:{width}.0f}" if name == "clips" else f"{value:{width}.{_digits(name)}f}"

    lines = [
        "  ".join(
            [f"{title:{first}}", *(f"{n:>{w}}" for n, w in zip(columns, widths, strict=True))]
        )
    ]
    for label, row in table.items():
        cells = [
            cell(row.get(name, float("nan")), name, width)
            for name, width in zip(columns, widths, strict=True)
        ]
        lines.append("  ".join([f"{label:{first}}", *cells]))
    return "\n".join(lines)


def _digits(name: str) -> int:
    """Decimals of a column; lengths in inter-ocular distances are small."""
    return 3 if name == "landmarks" else 2


def _widen(flags: Array) -> Array:
    """True also within `TOLERANCE` frames of a true frame."""
    return np.convolve(flags, np.ones(2 * TOLERANCE + 1), mode="same") > 0.5


def _share(flags: Array) -> float:
    return float(flags.mean()) if len(flags) else float("nan")
