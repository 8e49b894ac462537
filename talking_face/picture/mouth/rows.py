"""Where the teeth are between the lips of a photo: the upper row, which goes with the skull, and
the lower one, which goes with the jaw.

Knows a picture and the opening of a mouth in it; knows nothing of layers and frames. What lies
between the lips isn't all teeth: trackers draw the lower lip's line too low, most of all in smiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.picture.mouth.light import LUMA, Light
from talking_face.picture.mouth.opening import Opening

ROWS, COLUMNS = 32, 48  # of the grid that fills the opening, down from the upper lip and along it
VALLEY = 0.12  # of the brightest: how much darker the gap between the rows is, at least
# Brightness a fifth of the way down between the lips, over the brightest, from which a single row
# of teeth is the upper one: the lip's shade has ended there, the dark above lower teeth hasn't. Of
# portraits and frames, lower teeth have at most 0.53, upper ones 0.59 or more.
UPPER_TEETH = 0.56
# What is teeth: of the way from their red to the lips', and of their brightness.
RED, BRIGHT = (0.35, 0.65), (0.4, 0.6)
LEAST_RED = 6.0  # a* of CIELAB that lips have beyond teeth, at least
COLOURED = 0.5  # of `Light.coloured`, from which lips are told from teeth by their colour
NEAR, DIP = 4, 0.04  # rows about the line in which a column is darkest, and by how much, of 1
RUN = 3  # rows of the grid that teeth take at least
SEEN = 0.15  # share of the columns in the middle half with lower teeth, from which there are some
THIN = 0.06  # canonical units below the upper row, from which more than a lip's rim is seen there
EDGE = 0.008  # canonical units from the edge of the teeth to where their part ends


@dataclass(frozen=True, eq=False)
class Rows:
    """The parts of a photo's mouth, (columns,) each, along the opening.

    Attributes:
        split: where the skull's part ends, 0..1 down from the upper lip: 1 where it goes on to the
            lower one, 0 where all is the jaw's.
        lower: how much of a jaw's part there is below it, 0..1.
    """

    split: Array
    lower: Array


def rows_of(photo: Array, opening: Opening, density: float, light: Light) -> Rows:
    """Find the rows of teeth that a photo shows.

    Args:
        photo: (h, w, 3) uint8 RGB.
        opening: of the mouth in it, pixels.
        density: pixels a canonical unit.
    """
    x, y = (place.astype(np.float32) for place in opening.places(ROWS, COLUMNS))
    seen = cv2.remap(photo, x, y, cv2.INTER_LINEAR)
    bright = _brightness(seen)
    line = _darkest_between(bright)
    if line.max() == 0 or light.coloured < COLOURED:
        return Rows(line, (line < 1).astype(float))
    two = line.min() < 1
    teeth = teeth_in(seen, light)
    if two:
        teeth[_dark_between(bright, line)] = 0
    runs = [_runs(column) for column in teeth.T]
    # Of each column the teeth that begin above the dark between the rows, and those below it.
    from_here = line * ROWS - 1 if two else np.full(COLUMNS, ROWS)
    upper = [[run for run in runs[i] if run[0] < from_here[i]] for i in range(COLUMNS)]
    below = [[run for run in runs[i] if run[0] >= from_here[i]] for i in range(COLUMNS)]
    lower = cv2.medianBlur(np.array([[bool(run) for run in below]], np.uint8), 5)[0].astype(float)
    if lower[COLUMNS // 4 : -COLUMNS // 4].mean() < SEEN:
        lower[:] = 0
    gap = opening.gap_at((np.arange(COLUMNS) + 0.5) / COLUMNS) / density
    ends = np.full(COLUMNS, np.nan)
    for i in range(COLUMNS):
        if two and (1 - line[i]) * gap[i] > THIN:
            ends[i] = line[i]  # far more than a lip's rim is seen below it
        elif lower[i]:
            both = upper[i] and below[i]
            ends[i] = (upper[i][-1][1] + below[i][0][0]) / 2 / ROWS if both else line[i]
        elif upper[i]:
            ends[i] = upper[i][-1][1] / ROWS + EDGE / max(gap[i], EDGE)
    known = np.flatnonzero(np.isfinite(ends))
    if not len(known):
        return Rows(line, (line < 1).astype(float))
    split = np.interp(np.arange(COLUMNS), known, ends[known]).astype(np.float32)
    split = _smooth(cv2.medianBlur(split[None], 5)[0], 1.0)
    rest = smoothstep((1 - split) * gap, THIN, 1.5 * THIN)
    return Rows(np.clip(split, 0, 1), _smooth(np.maximum(lower, rest), 1.5))


def teeth_in(seen: Array, light: Light) -> Array:
    """How much each cell (rows, columns, 3) uint8 of the opening is teeth, (rows, columns) 0..1.

    They are bright and hardly red beside lips and gums.
    """
    lab = cv2.cvtColor(seen.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lips = cv2.cvtColor(light.lips[None, None].astype(np.float32), cv2.COLOR_RGB2LAB)[0, 0, 1]
    luma, red = seen.astype(np.float32) @ LUMA, lab[..., 1]
    middle = slice(COLUMNS // 4, -COLUMNS // 4)
    core = luma[:, middle]
    brightest = core >= np.percentile(core, 75)
    own = float(np.median(red[:, middle][brightest]))
    redness = (red - own) / max(float(lips) - own, LEAST_RED)
    level = luma / max(float(np.median(core[brightest])), 1.0)
    shown = (1 - smoothstep(redness, *RED)) * smoothstep(level, *BRIGHT)
    return cv2.morphologyEx(np.asarray(shown, np.float32), cv2.MORPH_CLOSE, np.ones((2, 3)))


def _runs(column: Array) -> list[tuple[int, int]]:
    """First row of teeth and the one behind their last, run by run down a column."""
    teeth = np.concatenate([[False], column > 0.5, [False]]).astype(np.int8)
    begin, end = np.flatnonzero(np.diff(teeth) > 0), np.flatnonzero(np.diff(teeth) < 0)
    return [(int(a), int(b)) for a, b in zip(begin, end, strict=True) if b - a >= RUN]


def _brightness(seen: Array) -> Array:
    """Of the opening's cells (rows, columns, 3), without the gaps between neighbouring teeth."""
    luma = seen.astype(np.float32) @ LUMA
    return np.asarray(cv2.GaussianBlur(luma, (0, 0), 2.5, None, 1.2, cv2.BORDER_REPLICATE))


def _dark_between(bright: Array, line: Array) -> tuple[Array, Array]:
    """The cells (rows, columns) of the line between two rows of teeth that touch."""
    columns = np.arange(COLUMNS)
    near = np.abs(np.arange(ROWS)[:, None] + 0.5 - line * ROWS) <= NEAR
    at = np.where(near, bright, np.inf).argmin(axis=0)
    above = np.where(np.arange(ROWS)[:, None] < at, bright, 0).max(axis=0)
    below = np.where(np.arange(ROWS)[:, None] > at, bright, 0).max(axis=0)
    parted = np.minimum(above, below) - bright[at, columns] > DIP * bright.max()
    return at[parted], columns[parted]


def _darkest_between(bright: Array) -> Array:
    """Where it is darkest between two rows, (columns,) 0..1 down; 1 or 0 where there is but one.

    1 where all belongs to the skull (a smile of upper teeth), 0 where all belongs to the jaw.
    """
    core = bright[:, COLUMNS // 4 : -COLUMNS // 4]
    profile = core.mean(axis=1)
    above = np.maximum.accumulate(profile)
    below = np.maximum.accumulate(profile[::-1])[::-1]
    valley = np.minimum(above, below) - profile
    at = int(valley.argmax())
    down = (np.arange(ROWS) + 0.5) / ROWS
    if valley[at] < VALLEY * profile.max():
        skull = profile[ROWS // 5] > UPPER_TEETH * profile.max()
        return np.full(COLUMNS, 1.0 if skull else 0.0)
    reach = ROWS // 5
    low, high = max(at - reach, 0), min(at + reach + 1, ROWS)
    return _smooth(down[low + bright[low:high].argmin(axis=0)], 4.0)


def _smooth(line: Array, sigma: float) -> Array:
    smooth = cv2.GaussianBlur(line[None], (0, 0), sigma, None, 0, cv2.BORDER_REPLICATE)
    return np.asarray(smooth[0])
