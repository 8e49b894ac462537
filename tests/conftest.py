"""What several test modules share: material of assets/, synthetic signals, a browser."""

import os
import shutil
import signal
import socket
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores; before numpy and torch
    os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest

from talking_face import load_animator, processes
from talking_face.animator import Animator
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio

ASSETS = Path(__file__).resolve().parents[1] / "assets"


@pytest.fixture(scope="session", autouse=True)
def upload_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page keeps uploads and results, for as long as the tests run."""
    folder = tmp_path_factory.mktemp("gradio")
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def alone() -> None:
    """Frames are made in this process, where tests can see and change how."""
    processes.POSSIBLE = False


def kind(value: Any) -> str:
    """The name of a case that is wrong by its kind; not all values can be printed."""
    return type(value).__name__


@pytest.fixture(scope="session")
def animator() -> Animator:
    """The one that everybody gets."""
    return load_animator()


@pytest.fixture(scope="session")
def portraits() -> list[Path]:
    """Every portrait of assets/, the photographs and the drawn face."""
    return sorted((ASSETS / "portraits").glob("*.jpg"))


@pytest.fixture(scope="session")
def portrait() -> Path:
    """The photograph that tests use when one will do: frontal, mouth closed."""
    return ASSETS / "portraits" / "woman_long_hair.jpg"


@pytest.fixture(scope="session")
def recordings() -> list[Path]:
    """Every recording of assets/."""
    return sorted((ASSETS / "recordings").iterdir())


@pytest.fixture(scope="session")
def speech() -> Path:
    """The recording that tests use when one will do: one synthesised sentence."""
    return ASSETS / "recordings" / "boat.wav"


@pytest.fixture(scope="session")
def short_speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second out of a recording of assets/, for tests that render."""
    words = load_audio(ASSETS / "recordings" / "grid.wav").waveform[SAMPLE_RATE // 2 :][
        :SAMPLE_RATE
    ]
    path = tmp_path_factory.mktemp("speech") / "short.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes((words * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str], str]]:
    """Runs the command in this process; returns (exit code, lines printed, complaints)."""
    from talking_face import cli

    def run(*arguments: object) -> tuple[int, list[str], str]:
        code = cli.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out.splitlines(), printed.err

    return run


@pytest.fixture
def heeding_ctrl_c() -> Iterator[None]:
    """Programs that the test starts heed Ctrl-C, even where whatever runs the tests does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def uploaded(tmp_path: Path) -> Callable[[Path], dict[str, str]]:
    """Puts a file where Gradio puts uploads; returns the record that a client sends then."""
    from gradio.utils import get_upload_folder

    def put(path: Path) -> dict[str, str]:
        folder = Path(get_upload_folder()) / tmp_path.name
        folder.mkdir(parents=True, exist_ok=True)
        return {"path": str(shutil.copy(path, folder / path.name))}

    return put


@pytest.fixture
def without_visible_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an owner has it who has taken the visible mark away."""
    monkeypatch.setenv("TALKING_FACE_MARK", "off")


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the signing key of the tests is, instead of the user's own folder."""
    folder = tmp_path_factory.mktemp("data")
    os.environ["XDG_DATA_HOME"] = str(folder)
    return folder


@pytest.fixture
def tone() -> Recording:
    """One second of a 440 Hz tone, half of full scale."""
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    return Recording((0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32))


@pytest.fixture
def silence() -> Recording:
    """Two seconds of digital silence."""
    return Recording(np.zeros(2 * SAMPLE_RATE, dtype=np.float32))


@pytest.fixture
def moving_frames() -> list[np.ndarray]:
    """25 frames (96, 128, 3) uint8 RGB: a bright square that moves right on a colour ramp."""
    y, x = np.mgrid[0:96, 0:128]
    ramp = np.stack([x + 40, y + 60, 200 - x], axis=-1).astype(np.uint8)
    frames = []
    for step in range(25):
        frame = ramp.copy()
        frame[40:56, 4 * step : 4 * step + 16] = 250
        frames.append(frame)
    return frames


@contextmanager
def chromium_with(profile: Path, *more: str) -> Iterator["object"]:
    """Debian's chromium, headless, driven by selenium; talks to this machine alone.

    Args:
        profile: its folder.
        more: flags.
    """
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver aren't installed (apt-get install chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        "--disable-dev-shm-usage --autoplay-policy=no-user-gesture-required"
    ).split():
        options.add_argument(flag)
    for flag in (f"--user-data-dir={profile}", *more):
        options.add_argument(flag)
    os.environ.setdefault("SE_AVOID_STATS", "true")
    started = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield started
    finally:
        started.quit()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["object"]:
    """The browser of most tests."""
    with chromium_with(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="session")
def page() -> Iterator[str]:
    """The web page, served by this process; yields its address."""
    import app

    demo = app.create_demo()
    options = app.launch_options() | {"inbrowser": False, "quiet": True}
    with socket.create_server(("127.0.0.1", 0)) as free:  # else two of them would race for one
        options["server_port"] = free.getsockname()[1]
    _, address, _ = demo.launch(**options, prevent_thread_lock=True, server_name="127.0.0.1")
    try:
        yield address.rstrip("/")
    finally:
        demo.close()


@pytest.fixture
def inner_server() -> Iterator[tuple[str, list[str]]]:
    """A server of the machine's own, which no client may reach through the page."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


@pytest.fixture(scope="session")
def words(recordings: list[Path]) -> "np.ndarray":
    """Two seconds of speech between half-second silences, 16 kHz."""
    wave = load_audio(recordings[0].with_name("grid.wav")).waveform[: 2 * SAMPLE_RATE]
    return np.pad(wave, SAMPLE_RATE // 2)


@pytest.fixture(scope="module")
def visit(browser: "object", page: str) -> Iterator["object"]:
    """What a visitor can see and do, in the browser of most tests."""
    from visited import Page

    browser.set_script_timeout(60)
    yield Page(browser, page)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get("about:blank")
