"""Names of files that are no text, that a console can't show, or that are too long."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talking_face.clips.credentials import read_statement
from talking_face.clips.video import write_clip, write_comparison
from talking_face.errors import OutputUnwritable
from talking_face.results import Results

ROOT = Path(__file__).parents[1]
NO_TEXT = os.fsdecode(b"gr\xc3\xb6\xff")


def test_a_clip_whose_name_is_no_text_is_signed(tmp_path: Path) -> None:
    frames = np.zeros((3, 64, 64, 3), np.uint8)
    clip = write_clip(frames, tmp_path / f"{NO_TEXT}.mp4")
    assert read_statement(clip).valid
    both = write_comparison([clip, clip], ["one", "two"], tmp_path / f"{NO_TEXT}-2.mp4")
    assert read_statement(both).parts == ("grö?.mp4", "grö?.mp4")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("utf-8", b"gr\xc3\xb6\xff.png: no valid"), ("ascii", b"gr\\xf6\\udcff.png: no valid")],
)
def test_names_are_printed_by_any_console(encoding: str, printed: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"{NO_TEXT}.png"
    Image.new("RGB", (80, 80)).save(path)
    command = [sys.executable, "-m", "talking_face", "verify", path.name]
    told = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=tmp_path, env=told, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(printed)


def test_a_name_that_is_too_long_is_told_before_any_work(tmp_path: Path) -> None:
    Results(tmp_path, ["ö" * 125 + ".mp4"], [])
    with pytest.raises(OutputUnwritable, match="Shorten the names"):
        Results(tmp_path, ["ö" * 126 + ".mp4"], [])
