"""What is shipped in assets/ works as examples and names its origin."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ASSETS

from talking_face.face.landmarks import detect_faces, interocular
from talking_face.face.photo import load_photo
from talking_face.sound.audio import load_audio

PORTRAITS = sorted((ASSETS / "portraits").iterdir())
RECORDINGS = sorted((ASSETS / "recordings").iterdir())


@pytest.mark.parametrize("path", PORTRAITS, ids=lambda path: path.stem)
def test_every_portrait_has_one_face_large_enough(path):
    faces = detect_faces(load_photo(path))
    assert len(faces) == 1
    assert interocular(faces[0]) > 50


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_every_recording_is_a_short_audible_sentence(path):
    recording = load_audio(path)
    assert 2 < recording.duration < 8
    assert abs(recording.waveform).max() > 0.1


def test_the_drawn_face_is_made_by_its_script(tmp_path):
    redrawn = tmp_path / "drawn.jpg"
    subprocess.run([sys.executable, ASSETS / "draw_face.py", redrawn], check=True)
    difference = load_photo(redrawn).astype(int) - load_photo(ASSETS / "portraits" / "drawn.jpg")
    assert abs(difference).mean() < 1


def test_every_file_is_listed_with_its_origin():
    listed = (ASSETS / "README.md").read_text()
    shipped: list[Path] = [*PORTRAITS, *RECORDINGS]
    assert len(shipped) >= 9
    for path in shipped:
        assert f"`{path.parent.name}/{path.name}`" in listed
    assert sum(path.stat().st_size for path in shipped) < 3_000_000
