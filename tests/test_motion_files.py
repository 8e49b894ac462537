"""Motions that come from outside: read rightly, or refused in a sentence, whatever they hold."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from talking_face.errors import MotionUnreadable
from talking_face.motion import CHANNELS, FPS, N_CHANNELS, Motion
from talking_face.motion_space import MAX_SECONDS, SPACE
from talking_face.motion_table import COLUMNS
from talking_face.sound import audio

LIDS = [COLUMNS.index("lids_0") - 1, COLUMNS.index("lids_1") - 1]


@pytest.fixture
def motion() -> Motion:
    values = np.random.default_rng(0).normal(size=(8, N_CHANNELS)).astype(np.float32)
    return Motion.from_array(values)


def smooth(frames: int, fps: float) -> np.ndarray:
    """Slow waves, (frames, 33), as they are at some frame rate."""
    seconds = np.arange(frames)[:, None] / fps
    return np.sin(2 * np.pi * 0.7 * seconds + np.arange(N_CHANNELS))


def stored(values: np.ndarray, **others: Any) -> bytes:
    """An .npz of values (frames, 33), with some arrays replaced, or left out where None."""
    parts = np.split(values, np.cumsum(list(CHANNELS.values()))[:-1], axis=1)
    arrays = {"space": SPACE, "fps": FPS} | dict(zip(CHANNELS, parts, strict=True)) | others
    file = io.BytesIO()
    np.savez_compressed(
        file, **{name: value for name, value in arrays.items() if value is not None}
    )
    return file.getvalue()


def table(values: np.ndarray, fps: float = FPS, times: Any = None, decimals: int = 4) -> list[str]:
    """The lines of a .csv."""
    times = np.arange(len(values)) / fps if times is None else times
    rows = [
        [f"{time:.{decimals}f}", *(f"{x:.9g}" for x in row)]
        for time, row in zip(times, values, strict=True)
    ]
    return [",".join(row) for row in [COLUMNS, *rows]]


def lying(header: bytes, packed: bytes = b"") -> bytes:
    """A member of an .npz with a header of its own."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + packed


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def load(folder: Path, content: bytes, name: str = "given.npz") -> Motion:
    (folder / name).write_bytes(content)
    return Motion.load(folder / name)


def refused(folder: Path, content: bytes, name: str = "given.npz") -> str:
    """The message for a file that is refused; it is one line, and tells no folder."""
    with pytest.raises(MotionUnreadable) as caught:
        load(folder, content, name)
    told = str(caught.value)
    assert name in told
    assert "\n" not in told
    assert str(folder) not in told
    assert told.endswith(".")
    return told


# -- read rightly ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [10, 24, 30000 / 1001, 50, 59.94, 120])
@pytest.mark.parametrize("kind", ["npz", "csv"])
def test_other_frame_rates_keep_their_time(tmp_path: Path, fps: float, kind: str) -> None:
    values = smooth(round(3 * fps), fps)
    text = "\n".join(table(values, fps)).encode()
    loaded = load(tmp_path, stored(values, fps=fps) if kind == "npz" else text)
    assert len(loaded) == pytest.approx(3 * FPS, abs=1)
    wanted = smooth(len(loaded), FPS)
    inner = slice(0, -3)  # the last stored frame is held
    assert np.abs(loaded.as_array() - wanted)[inner].max() < (0.06 if fps < 20 else 0.02)


@pytest.mark.parametrize("fps", [24, 60, 120])
def test_eyes_that_shut_for_one_frame_shut_at_25_fps_too(tmp_path: Path, fps: int) -> None:
    values = np.zeros((2 * fps, N_CHANNELS))
    for peak in (20, fps + 3, 2 * fps - 2):
        values[peak - 1 : peak + 2, LIDS] = [[0.5], [1.0], [0.5]]
    lids = load(tmp_path, stored(values, fps=fps)).lids
    shut = np.flatnonzero(lids[:, 0] == 1)
    assert np.array_equal(lids[:, 0], lids[:, 1])
    assert shut / FPS == pytest.approx([20 / fps, (fps + 3) / fps, (2 * fps - 2) / fps], abs=0.024)


def rewritten(lines: list[str], how: str) -> bytes:
    """A table as other programs write it."""
    text = "\n".join(lines) + "\n"
    changed = {
        "bom": lambda: text.encode("utf-8-sig"),
        "utf-16": lambda: text.encode("utf-16"),
        "semicolons": lambda: text.replace(",", ";").encode(),
        "german": lambda: text.replace(",", ";").replace(".", ",").encode("utf-8-sig"),
        "tabs": lambda: text.replace(",", "\t").encode(),
        "crlf": lambda: text.replace("\n", "\r\n").encode(),
        "blank lines": lambda: ("\n" + text.replace("\n", "\n\n") + "," * 33 + "\n").encode(),
        "quotes": lambda: "\n".join(
            ",".join(f'"{field}"' for field in line.split(",")) for line in lines
        ).encode(),
        "quoted decimal commas": lambda: "\n".join(
            ",".join(f'"{field}"'.replace(".", ",") for field in line.split(",")) for line in lines
        ).encode(),
        "numbers of rows": lambda: "\n".join(
            f"{row or ''},{line}" for row, line in enumerate(lines)
        ).encode(),
        "a comma behind": lambda: text.replace("\n", ",\n").encode(),
        "a separator named": lambda: f"sep=,\n{text}".encode(),
        "another minus": lambda: text.replace("-", "\u2212").encode(),
        "spaces and capitals": lambda: text.upper().replace(",", " , ").encode(),
        "other order": lambda: "\n".join(
            ",".join(reversed(line.split(","))) for line in lines
        ).encode(),
    }
    return changed[how]()


@pytest.mark.parametrize(
    "how",
    [
        "bom",
        "utf-16",
        "semicolons",
        "german",
        "tabs",
        "crlf",
        "blank lines",
        "quotes",
        "quoted decimal commas",
        "numbers of rows",
        "a comma behind",
        "a separator named",
        "another minus",
        "spaces and capitals",
        "other order",
    ],
)
def test_tables_of_other_programs(motion: Motion, tmp_path: Path, how: str) -> None:
    content = rewritten(table(motion.as_array()), how)
    assert np.array_equal(load(tmp_path, content, "A.CSV").as_array(), motion.as_array())


def test_a_table_may_begin_late_and_round_its_times(motion: Motion, tmp_path: Path) -> None:
    late = table(motion.as_array(), times=12.3 + np.arange(len(motion)) / FPS)
    loaded = load(tmp_path, "\n".join(late).encode())
    assert np.array_equal(loaded.as_array(), motion.as_array())
    rounded = table(smooth(300, 30), 30, decimals=2)  # 0.00, 0.03, 0.07, 0.10 …
    assert len(load(tmp_path, "\n".join(rounded).encode())) == 250


def test_what_a_file_holds_decides_and_not_its_name(motion: Motion, tmp_path: Path) -> None:
    values = motion.as_array()
    for name in ("given.csv", "file", "given.bin"):  # uploads lose their names
        assert np.array_equal(load(tmp_path, stored(values), name).as_array(), values)
    text = "\n".join(table(values)).encode()
    assert np.array_equal(load(tmp_path, text, "table.npz").as_array(), values)


def test_one_frame_to_ten_minutes(tmp_path: Path) -> None:
    assert MAX_SECONDS == audio.MAX_SECONDS
    longest = int(MAX_SECONDS * FPS)
    for frames in (1, longest):
        assert len(load(tmp_path, stored(np.zeros((frames, N_CHANNELS), np.float32)))) == frames
    assert len(load(tmp_path, "\n".join(table(np.zeros((1, N_CHANNELS)))).encode())) == 1
    over = np.zeros((longest + 1, N_CHANNELS), np.float32)
    assert "more than 10 minutes" in refused(tmp_path, stored(over))
    assert "more than 10 minutes" in refused(tmp_path, "\n".join(table(over)).encode())


# -- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"space": "talking-face-motion-0"}, "motion space 'talking-face-motion-0'"),
        ({"space": None}, "no array 'space'"),
        ({"space": 3}, "'space' holds the wrong kind"),
        ({"space": "x" * 10_000}, "'space' holds the wrong kind"),
        ({"fps": 0}, "0 frames a second"),
        ({"fps": 1e9}, "1000000000 frames a second"),
        ({"fps": np.nan}, "nan frames a second"),
        ({"fps": "fast"}, "'fps' holds the wrong kind"),
        ({"fps": [25, 25]}, "'fps' should be a single value"),
        ({"gaze": None}, "no array 'gaze'"),
        ({"lids": np.zeros((8, 1))}, "'lids' has the shape (8, 1), not (8, 2)"),
        ({"rest": np.zeros(8)}, "'rest' has the shape (8,), not (8, 1)"),
        ({"rest": np.zeros(())}, "'rest' has the shape (), not (8, 1)"),
        ({"lower": np.zeros((7, 16))}, "'lower' has the shape (7, 16), not (8, 16)"),
        ({"lower": np.zeros((8, 16), complex)}, "'lower' holds the wrong kind"),
        ({"lower": np.full((8, 16), None)}, "'lower' holds the wrong kind"),
        ({"upper": np.full((8, 6), np.nan)}, "'upper' has nan in row 0"),
        ({"rotation": np.eye(8, 3) * 1e30}, "'rotation' has 1e+30 in row 0"),
        ({"rotation": np.full((8, 3), -np.inf)}, "'rotation' has -inf in row 0"),
    ],
)
def test_arrays_that_are_no_motion(tmp_path: Path, others: dict[str, Any], says: str) -> None:
    assert says in refused(tmp_path, stored(np.zeros((8, N_CHANNELS)), **others))


@pytest.mark.parametrize(
    ("line", "old", "new", "says"),
    [
        (4, ",0,", ",nan,", "line 4 has 'nan' for lower_0"),
        (3, ",0,", ",-inf,", "line 3 has '-inf' for lower_0"),
        (3, ",0,", ",1e30,", "line 3 has '1e30' for lower_0"),
        (3, ",0,", ",,", "line 3 has '' for lower_0"),
        (9, ",0,", ",much,", "line 9 has 'much' for lower_0"),
        (5, ",0,", ",", f"line 5 has {N_CHANNELS} values for {N_CHANNELS + 1} columns"),
        (5, ",0,", ",0,0,", f"line 5 has {N_CHANNELS + 2} values for {N_CHANNELS + 1} columns"),
        (5, "0.1200", "0.2000", "line 6 isn't later"),
        (5, "0.1200", "now", "line 5 has 'now' for seconds"),
        (5, ",0,", ',"0,', "line 5"),
        (5, ",0,", ",1_0,", "line 5 has '1_0' for lower_0"),
        (5, ",0,", "," + "0" * 30_000 + ",", "line 5 is too long"),
        (1, "lids_1,", "", "no column 'lids_1'"),
        (1, "lower", "jaw", "'lower_0', 'lower_1', 'lower_2' and 13 more"),
        (1, "seconds,", "seconds,frame,", "a motion has no column 'frame'"),
        (1, "seconds,", "seconds,rest_0,", "more than one column 'rest_0'"),
        (1, "_", "-", "no column"),
    ],
)
def test_tables_that_are_no_motion(
    tmp_path: Path, line: int, old: str, new: str, says: str
) -> None:
    lines = table(np.zeros((8, N_CHANNELS)))
    lines[line - 1] = lines[line - 1].replace(old, new, 1 if line > 1 else -1)
    assert says in refused(tmp_path, "\n".join(lines).encode(), "given.csv")


def test_gaps_in_time_are_named_by_their_line(tmp_path: Path) -> None:
    lines = table(np.zeros((8, N_CHANNELS)))
    del lines[4]
    lines.insert(2, "")
    told = refused(tmp_path, "\n".join(lines).encode())
    assert "line 6 comes 0.08 s after the line before, where the others come after 0.04 s" in told
    milliseconds = table(np.zeros((8, N_CHANNELS)), times=np.arange(8) * 40)
    assert "0.025 frames a second" in refused(tmp_path, "\n".join(milliseconds).encode())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "doesn't name the columns"),
        (b"\n\n\n", "doesn't name the columns"),
        (b"Dear reader, this is no motion.\n" * 9, "doesn't name the columns"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\xff\xfe\xfd", "neither a .npz nor a table"),
        (b"PK\x03\x04 truncated", "it is damaged"),
        (zipped({}), "no array 'space'"),
        (zipped({"photo.jpg": b"x"}), "no array 'space'"),
        ((",".join(COLUMNS) + "\n").encode(), "holds no frames"),
        (stored(np.zeros((0, N_CHANNELS))), "holds no frames"),
        (stored(np.zeros((8, N_CHANNELS)))[:-40], "it is damaged"),
    ],
)
@pytest.mark.parametrize("name", ["given.npz", "given.csv"])
def test_files_that_hold_something_else(
    tmp_path: Path, content: bytes, says: str, name: str
) -> None:
    assert says in refused(tmp_path, content, name)


def test_an_array_as_numpy_stores_it_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros((8, N_CHANNELS)))
    assert "neither a .npz" in refused(tmp_path, (tmp_path / "one.npy").read_bytes(), "one.npy")


def test_places_without_a_file_are_told_without_their_folder(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")  # nobody writes to it: opening it would wait for ever
    (tmp_path / "file.npz").touch()
    for place, says in (
        (tmp_path / "nothing.npz", "no motion file nothing.npz"),
        (tmp_path / "file.npz" / "inside.npz", "no motion file inside.npz"),
        (tmp_path / "folder.npz", "folder.npz is a folder"),
        (tmp_path / "pipe.csv", "pipe.csv is not a file"),
        (Path("/dev/zero"), "zero is not a file"),
        (tmp_path / ("long" * 500), "can't be opened"),
        (tmp_path / "a\0b.npz", "no motion file"),
    ):
        with pytest.raises(MotionUnreadable, match=says) as caught:
            Motion.load(place)
        assert str(tmp_path) not in str(caught.value)
        assert len(str(caught.value)) < 200
