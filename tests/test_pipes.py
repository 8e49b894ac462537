"""What comes through pipes, of those that end and of others; and places that are none."""

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_arguments_of_the_api import kind, refused

from talking_face import cli
from talking_face.clips.video import read_frames, write_clip
from talking_face.errors import (
    AudioUnreadable,
    MotionUnreadable,
    OutputUnwritable,
    PhotoUnreadable,
    TextUnspeakable,
    VideoUnreadable,
)
from talking_face.face.photo import load_photo
from talking_face.files import output_folder, read_pipe
from talking_face.motion import Motion
from talking_face.sound.audio import load_audio
from talking_face.sound.voice import read_text


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.slow
@pytest.mark.parametrize("by_standard_input", ["photo", "sound"])
def test_files_through_pipes(by_standard_input: str, short_speech: Path, portrait: Path) -> None:
    """The other one comes by process substitution."""
    script = (
        "import sys\n"
        "from talking_face.face.photo import load_photo\n"
        "from talking_face.sound.audio import load_audio\n"
        "print(load_photo(sys.argv[1]).shape, load_audio(sys.argv[2]).duration)\n"
    )
    command = {
        "photo": 'cat "$2" | "$0" -c "$1" /dev/stdin <(cat "$3")',
        "sound": 'cat "$3" | "$0" -c "$1" <(cat "$2") /dev/stdin',
    }[by_standard_input]
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, script, portrait, short_speech],
        capture_output=True, text=True, timeout=120, check=True,
        cwd=Path(cli.__file__).parents[1],
    )  # fmt: skip
    told = f"{load_photo(portrait).shape} {load_audio(short_speech).duration}"
    assert done.stdout.strip() == told


def test_a_pipe_that_nobody_writes_into(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for ever."""
    monkeypatch.setattr("talking_face.files.STALL", 0.2)
    refused(PhotoUnreadable, lambda: load_photo(pipe))
    refused(AudioUnreadable, lambda: load_audio(pipe))
    refused(TextUnspeakable, lambda: read_text(pipe))


def test_a_text_through_a_pipe(pipe: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(pipe.write_bytes, "Guten Morgen, schöne Welt.".encode("utf-8-sig"))
        assert read_text(pipe) == "Guten Morgen, schöne Welt."
    refused(TextUnspeakable, lambda: read_text(tmp_path))
    refused(TextUnspeakable, lambda: read_text(tmp_path / "nothing.txt"))


def test_a_pipe_that_never_ends(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("talking_face.files.STALL", 0.1)
    monkeypatch.setattr("talking_face.files.MAX_PIPED", 10)
    held = os.open(pipe, os.O_RDWR)
    try:
        refused(AudioUnreadable, lambda: load_audio(pipe))
        os.write(held, b"abc" * 9)
        with pytest.raises(OSError, match="no end"):
            read_pipe(pipe)
    finally:
        os.close(held)


@pytest.mark.parametrize("wrong", [None, 3, b"clip.mp4", io.BytesIO(), ["clip.mp4"]], ids=kind)
def test_places(wrong: Any) -> None:
    frames = [np.zeros((64, 64, 3), np.uint8)]
    refused(OutputUnwritable, lambda: Motion.still(1).save(wrong))
    refused(OutputUnwritable, lambda: write_clip(frames, wrong))
    if wrong is not None:  # else it is a temporary folder
        refused(OutputUnwritable, lambda: output_folder(wrong))
    refused(MotionUnreadable, lambda: Motion.load(wrong))


def test_names_that_are_too_long_for_a_file() -> None:
    for error, read in (
        (AudioUnreadable, load_audio),
        (PhotoUnreadable, load_photo),
        (MotionUnreadable, Motion.load),
        (VideoUnreadable, lambda path: next(read_frames(path))),
    ):
        with pytest.raises(error):
            read("x" * 300)
