"""What other systems lack, and what a server's disk may refuse."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from talking_face import bench, cli, machine_code
from talking_face.web import folders

# Imports what needs machine code, and says where that lies; librosa can't be written beside.
BARE = """
import importlib.util, os
from types import SimpleNamespace
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name: SimpleNamespace(submodule_search_locations=["/dev/null"])
import talking_face
importlib.util.find_spec = find_spec
import talking_face.sound.encoder
from talking_face.clips.watermark import _adds
_adds()
print(os.environ.get("NUMBA_CACHE_DIR", ""))
"""


@pytest.mark.slow
@pytest.mark.parametrize("home", ["/dev/null/home", "a home"])
def test_machine_code_has_room_where_little_can_be_written(home, tmp_path):
    (tmp_path / "a home").mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / home)}
    environment |= {"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    told = subprocess.run(
        [sys.executable, "-c", BARE], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()
    if home == "a home":
        assert told == ""
    else:
        assert Path(told).parent == tmp_path
        assert not Path(told).exists(), "it is left behind"


def test_the_room_for_machine_code_is_ones_own(monkeypatch, tmp_path):
    """What lies there is run: nobody else may put anything there."""
    left = []
    monkeypatch.setattr(machine_code, "_writable", lambda _: False)
    monkeypatch.setattr(machine_code.atexit, "register", lambda *call, **_: left.append(call))
    monkeypatch.setattr(machine_code.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(machine_code.FOLDER, "kept")
    machine_code.find_room()
    assert os.environ[machine_code.FOLDER] == "kept"
    monkeypatch.delenv(machine_code.FOLDER)
    machine_code.find_room()
    folder = Path(os.environ[machine_code.FOLDER])
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o077 == 0
    assert left[0][1] == str(folder)


def test_a_user_without_a_home_has_room_too(monkeypatch, tmp_path):
    """As in a container that runs under a number that no list of users names."""
    monkeypatch.setattr(machine_code, "_writable", lambda _: False)
    monkeypatch.setattr(machine_code.atexit, "register", lambda *_, **__: None)
    monkeypatch.setattr(machine_code.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # where nobody knows
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv(machine_code.FOLDER, raising=False)
    machine_code.find_room()
    assert Path(os.environ.pop(machine_code.FOLDER)).parent == tmp_path


def test_systems_that_tell_no_memory(monkeypatch):
    assert 0.05 < bench.peak_memory() < 200
    linux = bench.peak_memory()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert bench.peak_memory() == pytest.approx(linux / 1024, rel=0.1)
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows, where it can't be imported
    assert bench.peak_memory() is None


def test_the_command_line_in_another_thread():
    """There, Python lets nobody listen to signals."""
    codes = []
    thread = threading.Thread(target=lambda: codes.append(cli.main(["--list-voices"])))
    thread.start()
    thread.join()
    assert codes == [cli.OK]


def test_the_command_line_of_a_program_without_a_console(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "__stderr__", None)
    assert cli.main(["--list-voices"]) == cli.OK


# --- the sweeper of the page ---------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["glob", "stat", "rmtree"])
def test_the_sweeper_goes_on_where_it_can(failing, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "get_upload_folder", lambda: str(tmp_path))
    old = [folders.new_folder() for _ in range(3)]
    for folder in old:
        os.utime(folder, (0, 0))
    (tmp_path / f"{folders.RESULTS}file").write_text("not a folder")
    os.utime(tmp_path / f"{folders.RESULTS}file", (0, 0))
    owner = folders.shutil if failing == "rmtree" else Path
    real, asked = getattr(owner, failing), []

    def refuse(*arguments, **options):
        asked.append(arguments)
        if failing == "glob" or Path(arguments[0]) == old[1]:
            raise PermissionError("not yours")
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, failing, refuse)
        folders.remove_old(90)
    assert asked
    assert [folder.exists() for folder in old] == ([True] * 3 if failing == "glob" else [0, 1, 0])
    folders.remove_old(90)  # the next round
    assert not any(folder.exists() for folder in old)
