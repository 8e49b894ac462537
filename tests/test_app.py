"""The web page without a browser: its functions, and its endpoints over HTTP."""

import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from urllib.request import urlopen

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from talking_face import web
from talking_face.audio import load_audio
from talking_face.errors import AudioUnreadable, OptionInvalid, PhotoUnreadable
from talking_face.motion import FPS, Motion
from talking_face.video import read_frames

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def client(page: str) -> Client:
    return Client(page, verbose=False)


@pytest.fixture
def no_face(tmp_path: Path) -> Path:
    ramp = np.linspace(0, 255, 400 * 400, dtype=np.uint8).reshape(400, 400)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    return tmp_path / "ramp.png"


@pytest.fixture
def text_as_sound(tmp_path: Path) -> Path:
    path = tmp_path / "letter.wav"
    path.write_text("Dear reader, this is not a sound.\n" * 100)
    return path


@pytest.fixture
def two_people(portraits: list[Path], tmp_path: Path) -> Path:
    """A photo of two people, the one on the right closer to the camera."""
    photo = Image.new("RGB", (1000, 600), "grey")
    left, right = (Image.open(portraits[index]).convert("RGB") for index in (1, 2))
    photo.paste(left.resize((400, 400)), (0, 200))
    photo.paste(right.resize((600, 600)), (400, 0))
    photo.save(tmp_path / "two.png")
    return tmp_path / "two.png"


def upload(path: Path) -> dict[str, str]:
    return {"path": str(path)}


# -- functions ------------------------------------------------------------------------------------


def test_the_largest_face_is_chosen_and_others_are_offered(two_people: Path) -> None:
    _, picker = web.check_photo(upload(two_people))
    assert picker["visible"]
    assert picker["value"] == 0
    assert picker["choices"] == [("1 from the left", 1), ("2 from the left, the largest", 0)]


def test_one_face_needs_no_picker(portrait: Path) -> None:
    shown, picker = web.check_photo(upload(portrait))
    assert not picker["visible"]
    assert shown == gr.skip()


def test_a_photo_that_browsers_cannot_show_is_shown_as_pixels(
    portrait: Path, tmp_path: Path
) -> None:
    Image.open(portrait).save(tmp_path / "photo.tiff")
    shown, _ = web.check_photo(upload(tmp_path / "photo.tiff"))
    assert shown["value"].shape[2] == 3
    assert shown["value"].dtype == np.uint8


def test_bad_uploads_are_told_at_once(no_face: Path, text_as_sound: Path) -> None:
    with pytest.raises(gr.Error, match="No face was found in the photo"):
        web.check_photo(upload(no_face))
    with pytest.raises(gr.Error, match=r"letter\.wav can't be read as a sound"):
        web.check_audio(upload(text_as_sound))


def test_an_order_needs_photo_recording_and_numbers(portrait: Path, speech: Path) -> None:
    with pytest.raises(PhotoUnreadable, match="no photo yet"):
        web.read_order(None, upload(speech))
    with pytest.raises(AudioUnreadable, match="no recording yet"):
        web.read_order(upload(portrait), None)
    with pytest.raises(OptionInvalid, match="must be numbers"):
        web.read_order(upload(portrait), upload(speech), seed=None)
    order = web.read_order(upload(portrait), upload(speech), samples=2.0, face=None)
    assert order == web.Order(portrait, speech, samples=2)


def test_the_gpu_is_asked_for_longer_when_there_is_more_to_do(speech: Path) -> None:
    recording = load_audio(speech)
    one, six = (web.gpu_seconds(recording, count, 0, 1.0) for count in (1, 6))
    assert 0 < one < six < 60


def test_what_the_gpu_gives_back_can_leave_its_process(speech: Path) -> None:
    given = web.hear_and_draw(load_audio(speech), 2, 0, 1.0)
    heard, motions = pickle.loads(pickle.dumps(given))
    assert len(motions) == 2
    assert all(len(motion) == len(heard) for motion in motions)
    assert all(isinstance(part, np.ndarray) for part in vars(motions[0]).values())


def test_progress_tells_stage_and_time_left() -> None:
    told = []
    times = iter([0.0, 10.0, 10.0, 15.0])
    report = web.reporter(lambda *said, **more: told.append((said, more)), Event(), times.__next__)
    report(0.0, "Listening")
    report(0.25, "Rendering")
    assert told == [
        ((0.0,), {"desc": "Listening"}),
        ((0.25,), {"desc": "Rendering · about 15 s left"}),
    ]


def test_a_stopped_run_ends_at_its_next_report() -> None:
    runs = web.Runs()
    with runs.started("me") as stop:
        report = web.reporter(gr.Progress(), stop)
        report(0.1, "Rendering")
        runs.stop("somebody else")
        report(0.2, "Rendering")
        runs.stop("me")
        with pytest.raises(web.Stopped):
            report(0.3, "Rendering")
    runs.stop("me")  # nothing is left to stop


def test_a_stopped_run_leaves_no_clip(portrait: Path, speech: Path) -> None:
    stop = Event()
    stages = []

    def progress(fraction: float, desc: str) -> None:
        stages.append(desc)
        if fraction > 0.1:
            stop.set()

    before = set(web.results_folder().iterdir())
    order = web.Order(portrait, speech, samples=2)
    with pytest.raises(web.Stopped):
        list(web.make_clips(order, web.reporter(progress, stop)))
    (folder,) = set(web.results_folder().iterdir()) - before
    assert list(folder.iterdir()) == []
    assert stages[-1].startswith("Rendering sample 1 of 2")


# -- over HTTP ------------------------------------------------------------------------------------


def test_the_page_is_private_and_documented(page: str) -> None:
    import json

    with urlopen(f"{page}/config") as answer:
        config = json.load(answer)
    assert config["analytics_enabled"] is False
    assert not config.get("run_history", False)
    public = [d["api_name"] for d in config["dependencies"] if d["api_visibility"] == "public"]
    assert public == ["generate"]


def test_generate_gives_clips_motions_and_a_comparison(
    client: Client, portrait: Path, recordings: list[Path]
) -> None:
    sound = next(path for path in recordings if path.stem == "grid")
    clips, motions, comparison, seed = client.predict(
        photo=handle_file(str(portrait)),
        audio=handle_file(str(sound)),
        samples=2,
        seed=7,
        api_name="/generate",
    )
    assert seed == 7
    recording = load_audio(sound)
    pictures = []
    for clip in clips:
        frames = list(read_frames(clip))
        assert len(frames) == recording.frames
        assert frames[0].shape == (512, 512, 3)
        assert load_audio(clip).duration == pytest.approx(recording.frames / FPS, abs=0.05)
        pictures.append(np.stack(frames[::10]).astype(float))
    assert len(pictures) == 2
    assert np.percentile(np.abs(pictures[0] - pictures[1]), 99) > 10  # the samples differ
    assert [len(Motion.load(path)) for path in motions] == [recording.frames] * 2
    both = next(read_frames(comparison))
    assert both.shape[1] >= 1.9 * both.shape[0] * 0.9


def test_one_sample_has_nothing_to_be_compared_with(
    client: Client, portrait: Path, recordings: list[Path]
) -> None:
    sound = next(path for path in recordings if path.stem == "grid")
    clips, motions, comparison, _ = client.predict(
        handle_file(str(portrait)), handle_file(str(sound)), samples=1, api_name="/generate"
    )
    assert len(clips) == len(motions) == 1
    assert comparison is None


@pytest.mark.parametrize(
    ("photo", "audio", "options", "sentence"),
    [
        (None, "speech", {}, "There is no photo yet"),
        ("portrait", None, {}, "There is no recording yet"),
        ("no_face", "speech", {}, "No face was found in the photo"),
        ("portrait", "text_as_sound", {}, "can't be read as a sound"),
        ("speech", "speech", {}, "photo"),
        ("portrait", "speech", {"samples": 9}, "Ask for 1 to 6 samples"),
        ("portrait", "speech", {"seed": -1}, "The seed must be between"),
        ("portrait", "speech", {"diversity": "much"}, "must be numbers"),
        ("portrait", "speech", {"face": 3}, "face"),
        ("portrait", "speech", {"framing": "feet"}, "framing"),
    ],
)
def test_bad_requests_get_a_sentence(
    client: Client,
    request: pytest.FixtureRequest,
    photo: str | None,
    audio: str | None,
    options: dict[str, object],
    sentence: str,
) -> None:
    files = [
        handle_file(str(request.getfixturevalue(name))) if name else None for name in (photo, audio)
    ]
    with pytest.raises(AppError) as caught:
        client.predict(*files, **options, api_name="/generate")
    told = str(caught.value)
    assert sentence in told
    assert told.rstrip().endswith(".")
    assert "Traceback" not in told
    assert 'File "' not in told


def test_files_of_the_machine_cannot_be_asked_for(client: Client, speech: Path) -> None:
    """Only uploads are read, whatever path a client sends."""
    outside = {"path": str(ROOT / "README.md"), "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(AppError):
        client.predict(outside, handle_file(str(speech)), api_name="/generate")
    with pytest.raises(AppError):
        client.predict(handle_file(str(speech)), {"path": "/etc/hostname"}, api_name="/generate")


# -- Hugging Face Spaces --------------------------------------------------------------------------


@pytest.fixture
def space(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The app as a Space starts it: read-only checkout, no home; yields its address and folder."""
    folder = tmp_path
    checkout, writable = folder / "app", folder / "tmp"
    for name in ("app.py", "app.css", "talking_face", "assets", "weights"):
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
        "HOME": "/nowhere",
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
        process.send_signal(signal.SIGINT)
        process.wait(30)
        log.close()
        for path in (checkout, *checkout.rglob("*")):
            path.chmod(0o755)


@pytest.mark.slow
def test_it_runs_as_a_space(
    space: tuple[str, Path], portrait: Path, recordings: list[Path]
) -> None:
    address, folder = space
    before = set((folder / "app").rglob("*"))
    sound = next(path for path in recordings if path.stem == "grid")
    clips, *_ = Client(address, verbose=False).predict(
        handle_file(str(portrait)), handle_file(str(sound)), samples=1, api_name="/generate"
    )
    assert len(list(read_frames(clips[0]))) == load_audio(sound).frames
    assert set((folder / "app").rglob("*")) == before
    assert "Permission denied" not in (folder / "log").read_text()
