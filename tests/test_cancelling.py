"""Work that nobody waits for any more ends, however its client has left."""

import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from assistant import assistant, data_url
from gradio_client import Client, handle_file
from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.types import CancelledNotification, CancelledNotificationParams, ClientNotification
from visitor import Visitor

from talking_face.motion import Motion
from talking_face.picture.renderer import Renderer
from talking_face.sound.audio import SAMPLE_RATE, load_audio
from talking_face.sound.encoder import SpeechEncoder
from talking_face.web import calls
from talking_face.web.folders import new_folder


@pytest.fixture(scope="module")
def client(page: str) -> Client:
    return Client(page, verbose=False)


@pytest.fixture
def frames_made(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each frame was rendered since, seconds; slowly, so that no order ends by itself."""
    made: list[float] = []
    frame = Renderer.frame

    def counted(self: Renderer, motion: Motion, index: int = 0) -> Any:
        made.append(time.monotonic())
        time.sleep(0.1)
        return frame(self, motion, index)

    monkeypatch.setattr(Renderer, "frame", counted)
    return made


def cancel_job(page: str, photo: Path, sound: Path, begun: Callable[[], None]) -> None:
    job = Client(page, verbose=False).submit(
        photo=handle_file(str(photo)),
        audio=handle_file(str(sound)),
        samples=6,
        look={"size": 1024},
        api_name="/generate",
    )
    begun()
    job.cancel()


def close_connection(page: str, photo: Path, sound: Path, begun: Callable[[], None]) -> None:
    """As a client that speaks HTTP itself."""
    call = f"{page}/gradio_api/call/generate"
    with httpx.Client(timeout=60) as http:
        paths = [
            http.post(f"{page}/gradio_api/upload", files={"files": (path.name, path.read_bytes())})
            for path in (photo, sound)
        ]
        files = [{"path": path.json()[0], "meta": {"_type": "gradio.FileData"}} for path in paths]
        data = [*files, 6, 0, 1.0, "natural", 1.0, 1.0, [], {"size": 1024}, 0, False, "voice", 1.0]
        event = http.post(call, json={"data": data}).json()["event_id"]
        with http.stream("GET", f"{call}/{event}"):
            begun()


async def assist(
    page: str, photo: Path, sound: Path, begun: Callable[[], None], takes_back: bool
) -> None:
    """As an assistant that calls the tool, and then takes the call back or hangs up."""
    async with assistant(page) as session, anyio.create_task_group() as tasks:
        order = {"photo": data_url(photo), "audio": data_url(sound), "consent": True}
        order |= {"samples": 6, "look": {"size": 1024}}
        tasks.start_soon(session.call_tool, "generate", order)
        await anyio.to_thread.run_sync(begun)
        if takes_back:
            told = CancelledNotificationParams(requestId=session._request_id - 1)
            note = CancelledNotification(method="notifications/cancelled", params=told)
            await session.send_notification(ClientNotification(note))
            await anyio.sleep(PATIENCE)  # still connected
        tasks.cancel_scope.cancel()


def take_back(page: str, photo: Path, sound: Path, begun: Callable[[], None]) -> None:
    anyio.run(assist, page, photo, sound, begun, True)


def hang_up(page: str, photo: Path, sound: Path, begun: Callable[[], None]) -> None:
    anyio.run(assist, page, photo, sound, begun, False)


def hang_up_the_old_way(page: str, photo: Path, sound: Path, begun: Callable[[], None]) -> None:
    async def call() -> None:
        async with (
            sse_client(f"{page}/gradio_api/mcp/sse") as (read, write),
            ClientSession(read, write) as session,
            anyio.create_task_group() as tasks,
        ):
            await session.initialize()
            order = {"photo": data_url(photo), "audio": data_url(sound), "consent": True}
            tasks.start_soon(session.call_tool, "generate", order | {"samples": 6})
            await anyio.to_thread.run_sync(begun)
            tasks.cancel_scope.cancel()

    anyio.run(call)


OLD_WAY = pytest.param(hang_up_the_old_way, marks=pytest.mark.slow)
LEAVING = [cancel_job, close_connection, take_back, hang_up, OLD_WAY]
PATIENCE = 2.3  # seconds after which nothing may be done any more that isn't wanted


@pytest.fixture
def windows_heard(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each window of a recording was heard, seconds; slowly."""
    heard: list[float] = []
    hear = SpeechEncoder.hear

    def counted(self: SpeechEncoder, mel: Any) -> Any:
        heard.append(time.monotonic())
        time.sleep(0.8)
        return hear(self, mel[..., :8]).repeat_interleave(mel.shape[-1] // 8, dim=2)

    monkeypatch.setattr(SpeechEncoder, "hear", counted)
    return heard


@pytest.fixture
def long_speech(short_speech: Path, tmp_path: Path) -> Path:
    """A minute, in nine windows; what assistants may send ends at 4 MB."""
    said = load_audio(short_speech).waveform
    samples = np.resize((said * 2**15).astype("<i2"), 60 * SAMPLE_RATE)
    samples[:8] = np.random.default_rng().integers(-99, 99, 8)  # nobody has heard it before
    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return tmp_path / "long.wav"


def waits_for(steps: list[float]) -> Callable[[], None]:
    """A function that waits until three steps are done."""

    def begun() -> None:
        end = time.monotonic() + 60
        while len(steps) < 3:
            assert time.monotonic() < end
            time.sleep(0.05)

    return begun


@pytest.mark.slow
@pytest.mark.parametrize("leave", LEAVING)
def test_an_order_that_nobody_wants_any_more_stops(
    page: str,
    portrait: Path,
    short_speech: Path,
    frames_made: list[float],
    client: Client,
    leave: Callable[[str, Path, Path, Callable[[], None]], None],
) -> None:
    def files() -> set[Path]:
        return {path for path in new_folder().parent.rglob("*.*") if path.is_file()}

    left = 0.0

    def begun() -> None:
        nonlocal left
        waits_for(frames_made)()
        left = time.monotonic()

    before = files()
    leave(page, portrait, short_speech, begun)
    time.sleep(max(0.0, left + PATIENCE - time.monotonic()))
    assert frames_made[-1] < left + 2
    assert len(frames_made) < 6 * 25
    assert not {path.suffix for path in files() - before} & {".mp4", ".npz"}
    # The next order need not wait.
    stopped = len(frames_made)
    clips = client.predict(
        photo=handle_file(str(portrait)),
        audio=handle_file(str(short_speech)),
        samples=1,
        look={"size": 64},
        api_name="/generate",
    )[0]
    assert len(clips) == 1
    assert len(frames_made) == stopped + 25


@pytest.mark.slow
@pytest.mark.parametrize("leave", [cancel_job, hang_up])
def test_what_nobody_wants_any_more_is_not_heard_to_its_end(
    page: str,
    portrait: Path,
    long_speech: Path,
    windows_heard: list[float],
    leave: Callable[[str, Path, Path, Callable[[], None]], None],
) -> None:
    leave(page, portrait, long_speech, waits_for(windows_heard))
    left = time.monotonic()
    time.sleep(PATIENCE)
    assert windows_heard[-1] < left + 2
    assert len(windows_heard) < 8


@pytest.mark.slow
def test_a_page_that_cancels_is_not_heard_to_its_end(
    page: str, portrait: Path, long_speech: Path, windows_heard: list[float]
) -> None:
    somebody = Visitor(page)
    somebody.put("photo", portrait)
    somebody.put("audio", long_speech)
    somebody.set("samples", 1)
    somebody.set("consent", True)
    answers = somebody.generating()
    next(answers)
    waits_for(windows_heard)()
    somebody.cancel()
    left = time.monotonic()
    answers.close()
    time.sleep(PATIENCE)
    assert windows_heard[-1] < left + 2
    assert len(windows_heard) < 8
    somebody.leave()


def test_tools_are_taken_back_by_their_assistant_alone() -> None:
    """Requests of all assistants are numbered alike."""

    def told(live: dict[str, Any], agent: str, number: int) -> set[str]:
        calls._waited_for.clear()
        calls._waited_for.update(live)
        scope = {"type": "http", "headers": [(b"user-agent", agent.encode())], "client": ("h", 1)}
        calls._take_back(calls._asker(scope), {"requestId": number})
        left = set(calls._waited_for)
        calls._waited_for.clear()
        return left

    one, other = (
        calls._asker({"type": "http", "headers": [(b"user-agent", agent)], "client": ("h", 2)})
        for agent in (b"one", b"other")
    )
    live = {"a": (one, 3), "b": (other, 3), "c": (one, 4)}
    assert told(live, "one", 3) == {"b", "c"}
    assert told(live, "third", 3) == {"a", "b", "c"}
    assert told(live | {"d": (one, 3)}, "one", 3) == {"a", "b", "c", "d"}  # which one?
