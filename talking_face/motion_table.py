"""Motions as tables: one row a frame, one named column a coefficient.

Knows text, the habits of spreadsheets and how times name a frame rate; knows nothing of faces.
Columns are separated by commas, semicolons or tabs; commas may be decimal ones where the last two
or quotes separate. The first line names the columns, in any order; those of channels that older
motions lack may be missing. Blank lines and columns without a name are skipped. The text is UTF-8,
or UTF-16 with its mark.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from array import array
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np

from talking_face.arrays import Array
from talking_face.errors import MotionUnreadable
from talking_face.motion_space import ADDED, CHANNELS, FPS, MAX_ROWS, MAX_SECONDS, MAX_VALUE

COLUMNS = ["seconds", *(f"{name}_{i}" for name, size in CHANNELS.items() for i in range(size))]
OPTIONAL = [column for column in COLUMNS if column.rsplit("_", 1)[0] in ADDED]
MAX_LINE = 20_000  # characters; a row has about 400
ROUNDING = 0.006  # seconds that a time may be off; two decimals leave it 0.005 off
_DELIMITER = re.compile(r"sep=.", re.IGNORECASE)  # as Excel wants to be told
LISTED = 3  # columns that a message names, and the number of the others


def write_table(path: Path, values: Array) -> None:
    """Write values (frames, N_CHANNELS), at 25 fps, so that they can be read exactly."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for index, row in enumerate(values):
            writer.writerow([f"{index / FPS:.2f}", *(f"{value:.9g}" for value in row)])


def read_table(file: BinaryIO) -> tuple[float, Array]:
    """Read a table, which may begin at any time, and close the file.

    Returns:
        Frames per second, and values (frames, N_CHANNELS) float64 in the order of the channels,
        each finite and at most MAX_VALUE.

    Raises:
        MotionUnreadable: not such a table; the message is the reason, without the file's name.
    """
    marked = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    file.seek(0)
    numbers, lines = array("d"), array("l")
    with io.TextIOWrapper(file, "utf-16" if marked else "utf-8-sig", newline="") as text:
        rows = _rows(text)
        names = [name.lower() for name in next(rows, (1, [""]))[1]]
        _check_names(names)
        for line, row in rows:
            if len(row) != len(names):
                raise MotionUnreadable(
                    f"line {line} has {len(row)} values for {len(names)} columns"
                )
            if len(lines) == MAX_ROWS:
                raise MotionUnreadable(f"it lasts more than {MAX_SECONDS / 60:g} minutes")
            fields = zip(row, names, strict=True)
            numbers.extend(_number(text, name, line) if name else 0.0 for text, name in fields)
            lines.append(line)
    table = np.frombuffer(numbers).reshape(-1, len(names))
    fps = _frame_rate(table[:, names.index("seconds")], lines)
    none = np.zeros(len(table))
    columns = [table[:, names.index(c)] if c in names else none for c in COLUMNS[1:]]
    return fps, np.stack(columns, axis=1)


def _rows(text: TextIO) -> Iterator[tuple[int, list[str]]]:
    """The number of each line that isn't blank, and its fields, with decimal points.

    A comma in a field is a decimal one: where it could part fields, the field was quoted.
    """
    lines = _lines(text)
    above, first = 0, ""  # blank lines, and the first other one
    try:
        for first in lines:
            if first.strip() and not _DELIMITER.fullmatch(first.strip()):
                break
            above += 1
        line = above + 1
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(chain([first], lines), delimiter=delimiter)
        for row in reader:
            fields = [field.strip() for field in row]
            if any(fields):
                yield line, [field.replace(",", ".").replace("\u2212", "-") for field in fields]
            line = above + reader.line_num + 1
    except UnicodeDecodeError as error:
        raise MotionUnreadable("it is neither a .npz nor a table in UTF-8") from error
    except csv.Error as error:
        raise MotionUnreadable(f"line {line} can't be split into columns") from error


def _lines(text: TextIO) -> Iterator[str]:
    count = 0
    while line := text.readline(MAX_LINE):
        count += 1
        if len(line) == MAX_LINE:
            raise MotionUnreadable(f"line {count} is too long for one frame")
        yield line


def _check_names(names: list[str]) -> None:
    missing = [column for column in COLUMNS if column not in names]
    if len(missing) == len(COLUMNS):
        raise MotionUnreadable("its first line doesn't name the columns of a motion")
    needed = [column for column in missing if column not in OPTIONAL]
    if needed:
        raise MotionUnreadable(f"it has no column {_listed(needed)}")
    # Those without a name are a trailing comma, or the numbers of the rows.
    unknown = [name for name in names if name and name not in COLUMNS]
    if unknown:
        raise MotionUnreadable(f"a motion has no column {_listed(unknown)}")
    names = [name for name in names if name]
    if len(names) > len(set(names)):
        twice = [column for column in COLUMNS if names.count(column) > 1]
        raise MotionUnreadable(f"it has more than one column {_listed(twice)}")


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name[:30]) for name in names[:LISTED])
    return shown if len(names) <= LISTED else f"{shown} and {len(names) - LISTED} more"


def _number(text: str, column: str, line: int) -> float:
    try:
        value = float(text) if "_" not in text else np.nan  # Python's own thousands
    except ValueError:
        value = np.nan
    if not abs(value) <= MAX_VALUE:
        raise MotionUnreadable(
            f"line {line} has {text[:30]!r} for {column}, and only numbers up to {MAX_VALUE:g} are "
            "possible"
        )
    return value


def _frame_rate(seconds: Array, lines: array[int]) -> float:
    """Frames per second, from the time of each row; exactly FPS where that is what they say."""
    if len(seconds) < 2:
        return FPS
    steps = np.diff(seconds)
    if (steps <= 0).any():
        late = int(np.argmax(steps <= 0)) + 1
        raise MotionUnreadable(f"the time in line {lines[late]} isn't later than the one before")
    since, count = seconds - seconds[0], np.arange(len(seconds))
    if np.abs(since - count / FPS).max() <= ROUNDING:
        return FPS
    step, start = np.polyfit(count, since, 1)
    if np.abs(since - start - step * count).max() <= ROUNDING:
        return round(1 / float(step), 3)
    usual = float(np.median(steps))
    gap = int(np.argmax(np.abs(steps - usual)))
    raise MotionUnreadable(
        f"line {lines[gap + 1]} comes {steps[gap]:.3g} s after the line before, where the others "
        f"come after {usual:.3g} s"
    )
