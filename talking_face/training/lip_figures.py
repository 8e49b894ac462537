"""How well lips follow a real speaker's: the figures of one clip, and their means by source."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talking_face.training.offsets import MAX_LAG, lagged_correlations, peak_lag

LEAST_MOTION = 0.015  # deviation of the real opening, inter-ocular distances; less is no speech
CLOSED = 0.02  # opening, inter-ocular distances, below which lips count as met
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
        amplitude: deviation of the opening over that of the real one.
    """

    opening: float
    opening_aligned: float
    width: float
    width_aligned: float
    offset: float
    recall: float
    precision: float
    amplitude: float


def lip_figures(
    opening: np.ndarray,
    width: np.ndarray,
    real_opening: np.ndarray,
    real_width: np.ndarray,
    ok: np.ndarray,
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
    )


def means(clips: Sequence[tuple[str, LipFigures | None]]) -> dict[str, dict[str, float]]:
    """Mean figures of each source, (source, figures) of each clip; `clips` counts them.

    The offset is the median, in which a clip without clear motion counts little. Clips without a
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
            middle = np.median if field.name == "offset" else np.mean
            table[source][field.name] = float(middle(values)) if len(values) else float("nan")
    return table


def format_table(table: dict[str, dict[str, float]]) -> str:
    """Plain text, one line a source."""
    columns = ["clips", *(field.name for field in dataclasses.fields(LipFigures))]
    lines = [f"{'source':12}" + "".join(f"{name:>17}" for name in columns)]
    for source, row in table.items():
        cells = [
            f"{row[name]:17.0f}" if name == "clips" else f"{row[name]:17.2f}" for name in columns
        ]
        lines.append(f"{source:12}" + "".join(cells))
    return "\n".join(lines)


def _widen(flags: np.ndarray) -> np.ndarray:
    """True also within `TOLERANCE` frames of a true frame."""
    return np.convolve(flags, np.ones(2 * TOLERANCE + 1), mode="same") > 0.5


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else float("nan")
