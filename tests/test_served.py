"""The page as it is served, here and as a Space; what it keeps, and for how long."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import cast
from urllib.request import urlopen

import gradio as gr
import pytest
from gradio_client import Client, handle_file

from talking_face.clips.video import read_frames
from talking_face.sound.audio import load_audio
from talking_face.web.folders import keep_removing, new_folder, remove_old
from talking_face.web.visits import Visits

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_is_private_and_documented(page: str) -> None:
    with urlopen(f"{page}/config") as answer:
        config = json.load(answer)
    assert config["analytics_enabled"] is False
    assert not config.get("run_history", False)
    public = {d["api_name"] for d in config["dependencies"] if d["api_visibility"] == "public"}
    assert public == set(
        "generate edit preview mix compare table poster gif faces mesh emotion speak voices "
        "export view verify".split()
    )


def test_results_are_removed_when_their_time_is_up() -> None:
    old, young = new_folder(), new_folder()
    for folder in (old, young):
        (folder / "clip.mp4").write_bytes(b"film")
    os.utime(old, (time.time() - 100, time.time() - 100))
    remove_old(90)
    assert not old.exists()
    assert (young / "clip.mp4").exists()


def test_pages_and_what_was_worked_out_are_forgotten_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    visits = Visits(7200, most_waiting=9, clock=lambda: now[0])
    gone = visits.of(cast(gr.Request, SimpleNamespace(session_hash="gone")))
    visits.reserve(gone)
    stop = gone.stop
    forgotten = []
    ended = Event()

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if len(forgotten) == 3:
            ended.set()
            Event().wait()  # the thread has nothing more to do

    clock = SimpleNamespace(sleep=sleep, time=time.time)
    monkeypatch.setattr("talking_face.web.folders.time", clock)
    keep_removing(4000, 7200, visits.expire, lambda: forgotten.append(now[0]))
    assert ended.wait(60)
    assert forgotten == [4000, 8000, 12000]
    assert stop is not None
    assert stop.is_set()
    assert gone.stop is None


def test_examples_stay_when_uploads_are_deleted(page: str) -> None:
    with urlopen(f"{page}/config") as answer:
        config = json.load(answer)
    (examples,) = (part for part in config["components"] if part["type"] == "dataset")
    paths = [Path(sample[0]["path"]) for sample in examples["props"]["samples"]]
    assert len(paths) == 6
    for path in paths:
        assert path.parent == ROOT / "assets" / "portraits"
        with urlopen(f"{page}/gradio_api/file={path}") as answer:
            assert answer.status == 200


@pytest.fixture
def space(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The app as a Space starts it: read-only checkout, no home; yields its address and folder."""
    folder = tmp_path
    checkout, writable = folder / "app", folder / "tmp"
    scripts = ("app.js", "viewer.js", "live.js")
    for name in ("app.py", "app.css", *scripts, "talking_face", "assets", "weights"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        checkout.mkdir(exist_ok=True)
        copy(ROOT / name, checkout / name)
    for path in (checkout, *checkout.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    writable.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/proc/nowhere",
        "TMPDIR": str(writable),
        "SPACE_ID": "somebody/talking-face",
        "SYSTEM": "spaces",
        "GRADIO_SERVER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    # Permissions mean nothing to root unless it gives up its privileges.
    as_others = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [*as_others, sys.executable, "app.py"],
        cwd=checkout,
        env=environment,
        stdout=log,
        stderr=log,
    )
    try:
        for _ in range(120):
            time.sleep(1)
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0 or process.poll() is not None:
                    break
        assert process.poll() is None, (folder / "log").read_text()
        yield f"http://127.0.0.1:{port}", folder
    finally:
        process.terminate()
        process.wait(30)
        log.close()
        for path in (checkout, *checkout.rglob("*")):
            path.chmod(0o755)


@pytest.mark.slow
def test_it_runs_as_a_space(space: tuple[str, Path], portrait: Path, short_speech: Path) -> None:
    address, folder = space
    before = set((folder / "app").rglob("*"))
    clips, *_ = Client(address, verbose=False).predict(
        handle_file(str(portrait)),
        handle_file(str(short_speech)),
        samples=1,
        look={"size": 256},
        api_name="/generate",
    )
    assert len(list(read_frames(clips[0]))) == load_audio(short_speech).frames
    assert set((folder / "app").rglob("*")) == before
    log = (folder / "log").read_text()
    assert "Permission denied" not in log
    assert "short.wav" not in log  # names of uploads may tell who somebody is
    assert portrait.name not in log
