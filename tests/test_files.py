"""Where results go: complete or not at all, and nothing beside them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from talking_face import files
from talking_face.errors import OutputUnwritable
from talking_face.files import appearing, drop_if_empty, output_folder, scratch, writing


def test_a_result_appears_when_it_is_complete(tmp_path):
    result = tmp_path / "clip.mp4"
    with appearing(result) as hidden:
        hidden.write_bytes(b"new")
        assert hidden.suffix == ".mp4"
        assert not result.exists()
    assert result.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [result]


@pytest.mark.parametrize("trouble", [ValueError, KeyboardInterrupt])
def test_when_it_fails_the_older_result_stays(tmp_path, trouble):
    result = tmp_path / "clip.mp4"
    result.write_bytes(b"old")

    def write():
        with appearing(result) as hidden:
            hidden.write_bytes(b"half")
            raise trouble

    with pytest.raises(trouble):
        write()
    assert result.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [result]


def test_a_program_that_comes_late_finds_nowhere_to_write(tmp_path):
    """As an encoder does that was being started when the interrupt came."""
    with scratch(tmp_path / "clip.mp4") as hidden:
        pass
    with pytest.raises(FileNotFoundError):
        hidden.write_bytes(b"late")
    assert list(tmp_path.iterdir()) == []


def test_a_file_made_while_the_folder_is_being_removed(tmp_path, monkeypatch):
    """Between the look into the folder and its removal: then it is removed again."""
    real = shutil.rmtree
    late = []

    def interrupted(folder, **options):
        if not late:
            late.append(folder / "late.mp4")
            late[0].touch()
            return  # rmdir of a folder that isn't empty fails, and errors are ignored
        real(folder, **options)

    monkeypatch.setattr(files.shutil, "rmtree", interrupted)
    with scratch(tmp_path / "clip.mp4"):
        pass
    assert late
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_do_not_meet(tmp_path):
    with scratch(tmp_path / "clip.mp4") as one, scratch(tmp_path / "clip.mp4") as other:
        assert one != other


def test_a_disk_that_fails_is_told_in_a_sentence(tmp_path):
    with pytest.raises(OutputUnwritable, match=r"No space.*Make room"), writing(tmp_path / "a.png"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path):
    with (
        pytest.raises(OutputUnwritable, match="Choose another output folder"),
        writing(tmp_path / "no" / "a.png"),
    ):
        pass


def test_temporary_folders_end_with_the_process(tmp_path):
    script = """
import sys
from talking_face.files import output_folder
for name in "ab":
    (output_folder(None) / name).write_text(name)
    output_folder(sys.argv[1])
"""
    own = tmp_path / "own"
    own.mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", script, str(own)], cwd=root, env=environment, check=True)
    assert list(tmp_path.iterdir()) == [own]


def test_only_temporary_folders_with_nothing_in_them_are_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    empty, full, named = output_folder(None), output_folder(None), output_folder(tmp_path / "named")
    (full / "clip.mp4").touch()
    for folder in (empty, full, named):
        drop_if_empty(folder)
    assert sorted(tmp_path.iterdir()) == sorted([full, named])
