"""Tables of jobs: one row a run of the command line, one column an option.

CSV with commas, semicolons or tabs, or a JSON object a line. Knows the names and kinds of the
options from the command line's own parser, and nothing of what they do.
"""

from __future__ import annotations

import argparse
import codecs
import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from talking_face.arguments import build_parser, parse
from talking_face.errors import JobsUnreadable, OptionInvalid
from talking_face.options import shown

RENAMED = {"sound": "audio"}  # what a table calls it: what the parser does
# Options of the whole run, or of people in front of a screen.
LEFT_OUT = {"help", "output", "list_voices", "device", "insightface_pack", "verbose"}
YES, NO = {"1", "true", "yes", "x"}, {"0", "false", "no"}
_NAME = re.compile(r"[\w][\w.+-]{0,99}")  # of a folder, everywhere


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        number: of its line in the table, from 1.
        name: of the folder for its results.
        options: what it asks for, paths absolute; None where it can't be.
        error: why it can't be.
    """

    number: int
    name: str
    options: argparse.Namespace | None
    error: str | None = None


class _RowParser(argparse.ArgumentParser):
    """Complains by an error instead of ending the program."""

    def error(self, message: str) -> NoReturn:
        raise OptionInvalid(message[:1].upper() + message[1:] + ".")


def read_rows(path: Path) -> list[Row]:
    """The rows of a table, in its order; blank ones are skipped.

    Raises:
        JobsUnreadable: there is no such file, it is no table, it has no rows, or a column that no
            option is called.
    """
    fields = list(_fields(path))
    if not fields:
        raise JobsUnreadable(f"{path} has no jobs. Write one in each line.")
    folder = path.absolute().parent
    known = _options()
    for _, values in fields:
        for column in values:
            if column != "name" and column not in known:
                raise JobsUnreadable(
                    f"{path} has a column {shown(column)}, which is no option. Use photo, sound or "
                    "text, name, and the options of the command line, such as samples or seed."
                )
    rows = [_row(number, values, known, folder) for number, values in fields]
    often = Counter(row.name.casefold() for row in rows)
    return [
        Row(row.number, row.name, None, f"Several jobs are called {shown(row.name)}.")
        if often[row.name.casefold()] > 1
        else row
        for row in rows
    ]


def _fields(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each line that isn't blank, and its cells by the parser's names."""
    try:
        raw = path.read_bytes()
        wide = raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        text = raw.decode("utf-16" if wide else "utf-8-sig")
    except OSError as error:
        raise JobsUnreadable(f"{path} can't be read ({error.strerror}). Check the path.") from error
    except UnicodeError as error:
        raise JobsUnreadable(f"{path} is not a text in UTF-8. Save it as plain text.") from error
    # At the ends of lines alone: what else parts lines for Python can stand in a text.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    read = _objects if text.lstrip().startswith("{") else _cells
    for number, values in read(path, lines):
        named = {_named(column): value for column, value in values.items()}
        if any(value not in (None, "") for value in named.values()):
            yield number, named


def _objects(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise JobsUnreadable(f"Line {number} of {path} is not JSON. Mend it.") from error
        if not isinstance(values, dict):
            raise JobsUnreadable(f"Line {number} of {path} is not an object {{…}}. Mend it.")
        yield number, values


def _cells(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    head = next((line for line in lines if line.strip()), "")
    separator = max(",;\t", key=head.count)
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=separator)
    names: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip() for cell in cells]
                twice = [name for name, often in Counter(map(_named, names)).items() if often > 1]
                if twice:
                    raise JobsUnreadable(
                        f"{path} has two columns for {shown(twice[0])}. Leave one of them out."
                    )
                continue
            if len(cells) != len(names):
                raise JobsUnreadable(
                    f"Line {reader.line_num} of {path} has {len(cells)} cells for {len(names)} "
                    "columns. Put what has a comma in it between quotes."
                )
            yield reader.line_num, dict(zip(names, map(str.strip, cells), strict=True))
    except csv.Error as error:
        raise JobsUnreadable(f"Line {reader.line_num} of {path} can't be read: {error}.") from error


def _named(column: str) -> str:
    name = column.strip().lower().replace("-", "_").replace(" ", "_")
    return RENAMED.get(name, name)


def _options() -> dict[str, argparse.Action]:
    """The options that a row may have, by the parser's names."""
    actions = build_parser(_RowParser)._actions  # argparse has no other list of them
    return {action.dest: action for action in actions if action.dest not in LEFT_OUT}


def _row(
    number: int, values: Mapping[str, Any], known: Mapping[str, argparse.Action], folder: Path
) -> Row:
    name = str(values.get("name") or f"job-{number:05d}")
    try:
        if not _NAME.fullmatch(name) or name.endswith("."):
            raise OptionInvalid(
                f"The name {shown(name)} can't be a folder's everywhere. Use letters, digits, "
                "and - + _ . inside."
            )
        arguments: list[str] = []
        places: list[str] = []
        for column, value in values.items():
            if column == "name" or value is None or value == "":
                continue
            action = known[column]
            words = _words(column, action, value)
            if action.type is Path or (column == "background" and not words[0].startswith("#")):
                words = [str(folder / word) for word in words]
            if not action.option_strings:
                places += words if column == "audio" else []
            else:
                arguments += _said(action, words)
        # PHOTO is the first, AUDIO the second; without a photo, AUDIO is the only one.
        if values.get("photo"):
            places.insert(0, str(folder / str(values["photo"])))
        options = parse([*arguments, "--", *places], build_parser(_RowParser))
        _check_files(options)
    except OptionInvalid as error:
        return Row(number, name, None, str(error))
    return Row(number, name, options)


def _words(column: str, action: argparse.Action, value: Any) -> list[str]:
    """What a cell says, as words of a command line."""
    if action.nargs == 0:
        word = str(value).strip().lower()
        if word not in YES | NO:
            raise OptionInvalid(f"{column} must be yes or no, not {shown(value)}.")
        return ["yes"] if word in YES else []
    if isinstance(value, list):
        return [str(part) for part in value]
    if isinstance(value, bool | dict):
        raise OptionInvalid(f"{column} can't be {shown(value)}.")
    several = action.nargs is not None and action.nargs != "?"
    return str(value).split() if several else [str(value)]


def _said(action: argparse.Action, words: list[str]) -> list[str]:
    option = action.option_strings[-1]
    if action.nargs == 0:
        return [option] * len(words)
    if action.nargs is None or action.nargs == "?":
        return [f"{option}={word}" for word in words]
    return [option, *words]


def inputs_of(options: argparse.Namespace) -> dict[str, Path]:
    """The files that a row reads, by the parser's names."""
    found = {name: value for name, value in vars(options).items() if isinstance(value, Path)}
    if options.background and not options.background.startswith("#"):
        found["background"] = Path(options.background)
    return {name: path for name, path in found.items() if name not in LEFT_OUT}


def _check_files(options: argparse.Namespace) -> None:
    for path in inputs_of(options).values():
        if not path.is_file():
            raise OptionInvalid(f"There is no file {path}. Check the path.")
