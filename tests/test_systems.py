"""What other systems lack, and what a server's disk may refuse."""

import os
import sys
import threading
from pathlib import Path

import pytest

from talking_face import bench, cli
from talking_face.web import folders


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
