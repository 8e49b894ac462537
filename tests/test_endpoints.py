"""The page's actions over HTTP and as MCP tools."""

import base64
import csv
import re
import time
import wave
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import gradio as gr
import httpx
import numpy as np
import pytest
from assistant import assistant, call_tool
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.types import CancelledNotification, CancelledNotificationParams, ClientNotification
from PIL import Image
from visitor import Visitor

from talking_face.clips.video import read_frames
from talking_face.editing.edit import Edit
from talking_face.errors import OptionInvalid
from talking_face.motion import FPS, Motion
from talking_face.picture.renderer import Renderer
from talking_face.sound.audio import SAMPLE_RATE, load_audio
from talking_face.sound.encoder import SpeechEncoder
from talking_face.web import calls, turning
from talking_face.web.folders import new_folder
from talking_face.web.given import read_edits
from talking_face.web.messages import plain_sentences

SIDE = 128


@pytest.fixture(scope="module")
def client(page: str) -> Client:
    return Client(page, verbose=False)


@pytest.fixture(scope="module")
def made(client: Client, portrait: Path, short_speech: Path) -> Any:
    """What "generate" answers: clips, motions, comparison, plot, seed."""
    return client.predict(
        photo=handle_file(str(portrait)),
        audio=handle_file(str(short_speech)),
        samples=2,
        seed=7,
        look={"size": SIDE},
        api_name="/generate",
    )


def test_generate_gives_clips_motions_comparison_and_plot(made: Any, short_speech: Path) -> None:
    clips, motions, comparison, plot, seed = made
    assert seed == 7
    recording = load_audio(short_speech)
    pictures = []
    for clip in clips:
        frames = list(read_frames(clip))
        assert len(frames) == recording.frames
        assert frames[0].shape == (SIDE, SIDE, 3)
        assert load_audio(clip).duration == pytest.approx(recording.frames / FPS, abs=0.05)
        pictures.append(np.stack(frames[::5]).astype(float))
    assert len(pictures) == 2
    assert np.percentile(np.abs(pictures[0] - pictures[1]), 99) > 10  # the samples differ
    assert [len(Motion.load(path)) for path in motions] == [recording.frames] * 2
    assert next(read_frames(comparison)).shape[1] == 2 * SIDE
    assert Image.open(plot).size[0] > 500


def test_an_edit_renders_the_same_motion_otherwise(
    client: Client, made: Any, portrait: Path, short_speech: Path
) -> None:
    photo, sound = handle_file(str(portrait)), handle_file(str(short_speech))
    motion = handle_file(made[1][0])
    still = [{"pose_strength": 0, "blinks": 0}]
    clip, moved = client.predict(photo, sound, motion, still, look={"size": SIDE}, api_name="/edit")
    assert len(list(read_frames(clip))) == len(Motion.load(moved))
    assert not Motion.load(moved).rotation.any()
    np.testing.assert_array_equal(Motion.load(moved).lower, Motion.load(made[1][0]).lower)
    frames = [
        np.asarray(Image.open(client.predict(photo, motion, edits, 0.4, api_name="/preview")))
        for edits in ([], [{"feeling": "happy"}])
    ]
    assert np.abs(np.subtract(*frames, dtype=float)).max() > 50


def test_motions_are_mixed_and_tabulated(client: Client, made: Any) -> None:
    first, second = made[1]
    mixed = Motion.load(client.predict(*map(handle_file, (first, second, first)), api_name="/mix"))
    np.testing.assert_array_equal(mixed.rotation, Motion.load(second).rotation)
    np.testing.assert_array_equal(mixed.lids, Motion.load(first).lids)
    with Path(client.predict(handle_file(first), api_name="/table")).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(Motion.load(first))
    assert float(rows[5]["rotation_0"]) == pytest.approx(Motion.load(first).rotation[5, 0])


def test_clips_are_compared_and_shared(client: Client, made: Any) -> None:
    clips, motions = made[:2]
    three = client.predict([handle_file(clips[0])] * 3, api_name="/compare")
    assert next(read_frames(three)).shape[1] == 3 * SIDE
    both = handle_file(clips[0]), handle_file(motions[0])
    assert Image.open(client.predict(*both, api_name="/poster")).size == (SIDE, SIDE)
    assert Image.open(client.predict(*both, api_name="/gif")).n_frames > 5


def test_a_photo_is_looked_at(client: Client, portrait: Path) -> None:
    photo = handle_file(str(portrait))
    boxes, outlined = client.predict(photo, api_name="/faces")
    size = Image.open(portrait).size
    assert len(boxes) == 1
    assert 0 <= boxes[0][0] < boxes[0][2] <= size[0]
    assert Image.open(outlined).size == size
    mesh = np.asarray(Image.open(client.predict(photo, api_name="/mesh")).convert("RGB"))
    assert (mesh != np.asarray(Image.open(portrait).convert("RGB"))).mean() > 0.02


def test_a_voice_is_felt(client: Client, short_speech: Path) -> None:
    heard = client.predict(handle_file(str(short_speech)), api_name="/emotion")
    assert heard["words"].startswith("The voice sounds neutral")
    chances = np.array(list(heard["probabilities"].values()))
    assert chances.shape == (8, len(heard["seconds"]))
    np.testing.assert_allclose(chances.max(axis=0), heard["confidence"], atol=1e-3)


def test_a_text_is_spoken(client: Client) -> None:
    names = client.predict(api_name="/voices")
    sound, phonemes = client.predict("Good morning.", names[0], 1.2, api_name="/speak")
    assert load_audio(sound).duration > 0.4
    assert "m" in phonemes


def test_edits_are_read_as_they_come() -> None:
    assert read_edits([{"feeling": "sad", "start": 1}]) == (Edit(feeling="sad", start=1),)
    assert read_edits([{"feeling": [0.5, -1]}]) == (Edit(feeling=(0.5, -1.0)),)
    assert read_edits([{"gaze": [3, -2]}, {}]) == (Edit(gaze=(3, -2)), Edit())
    for wrong, sentence in (
        ([{"smle": 1}], "mapping of these names"),
        (["happy"], "mapping of these names"),
        ([{"feeling": "bored"}], "feeling must be voice, none, neutral"),
        ([{"feeling": [0, 2]}], "Arousal must be between -1 and 1"),
        ([{"smile": "much"}], "Smile must be a number"),
        ([{"gaze": 3}], "must be numbers"),
        ([{"smile": 3}], "Smile must be between"),
        ([{}] * 101, "100 edits at most"),
    ):
        with pytest.raises(OptionInvalid, match=sentence):
            read_edits(wrong)


def test_a_kind_that_is_named_often_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def write(*given: Any, **_: Any) -> list[Path]:
        made.append(given[3])
        return [Path(given[3])]

    monkeypatch.setattr(turning, "export", write)
    monkeypatch.setattr(turning, "performed", lambda _: (None, None, None))
    shot: Any = SimpleNamespace(name="one", order=SimpleNamespace(look=None))
    turning.exported(shot, ["stereo", "glb"] + ["stereo"] * 1000)
    assert made == ["stereo", "glb"]


# -- cancelling ------------------------------------------------------------------------------------


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


# -- messages -------------------------------------------------------------------------------------


@pytest.fixture
def no_face(tmp_path: Path) -> Path:
    Image.linear_gradient("L").save(tmp_path / "ramp.png")
    return tmp_path / "ramp.png"


@pytest.fixture
def own_photo(portrait: Path, tmp_path: Path) -> Path:
    """A photo that doesn't come with the page."""
    Image.open(portrait).resize((300, 300)).save(tmp_path / "own.png")
    return tmp_path / "own.png"


@pytest.fixture
def text_as_sound(tmp_path: Path) -> Path:
    path = tmp_path / "letter.wav"
    path.write_text("Dear reader, this is not a sound.\n" * 100)
    return path


@pytest.mark.parametrize(
    ("photo", "audio", "options", "sentence"),
    [
        (None, "speech", {}, "There is no photo yet"),
        ("portrait", None, {}, "There is no recording yet"),
        ("own_photo", "speech", {}, "Say first that you may use this photo"),
        ("no_face", "speech", {"consent": True}, "No face was found in the photo"),
        ("portrait", "text_as_sound", {}, "can't be read as a sound"),
        ("speech", "speech", {"consent": True}, "photo"),
        ("portrait", "speech", {"samples": 9}, "Ask for 1 to 6 samples"),
        ("portrait", "speech", {"seed": -1}, "The seed must be between"),
        ("portrait", "speech", {"diversity": "much"}, "must be a number"),
        ("portrait", "speech", {"look": {"size": 7}}, "The output size must be between"),
        ("portrait", "speech", {"look": {"background": "blue"}}, "is not a colour"),
        ("portrait", "speech", {"edits": [{"smile": 9}]}, "Smile must be between"),
        ("portrait", "speech", {"face": 3}, "face"),
        ("portrait", "speech", {"look": {"framing": "feet"}}, "framing"),
        ("portrait", "speech", {"look": {"frame": "photo"}}, "A look is a mapping of these names"),
        ("portrait", "speech", {"look": 256}, "A look is a mapping of these names"),
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


def test_motions_from_outside_are_read_or_refused_in_a_sentence(
    client: Client, tmp_path: Path
) -> None:
    Motion.still(3).save(tmp_path / "still.csv")
    lines = (tmp_path / "still.csv").read_text().replace(",", ";").replace(".", ",").splitlines()
    (tmp_path / "excel.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    told = client.predict(handle_file(tmp_path / "excel.csv"), api_name="/table")
    assert len(Motion.load(told)) == 3
    (tmp_path / "spoilt.csv").write_text("\n".join([lines[0], lines[1].replace("0,00", "nan")]))
    np.savez(tmp_path / "other.npz", space="other")
    for name, sentence in (
        ("spoilt.csv", "spoilt.csv can't be used as a motion: line 2 has 'nan' for seconds"),
        ("other.npz", "holds the motion space 'other'"),
    ):
        for action in (1, "/table"), (3, "/mix"):
            with pytest.raises(AppError) as caught:
                client.predict(*[handle_file(tmp_path / name)] * action[0], api_name=action[1])
            assert sentence in str(caught.value)
            assert "/tmp" not in str(caught.value)


@pytest.mark.parametrize("name", ["motion.npz", "motion.csv"])
def test_motions_may_come_without_their_name(page: str, tmp_path: Path, name: str) -> None:
    """As a data URL, the way that MCP clients send files."""
    Motion.still(3).save(tmp_path / name)

    answer = call_tool(page, "table", {"motion": data_url(tmp_path / name)})
    assert not answer.isError, answer.content


def test_a_full_disk_is_told_without_its_folders() -> None:
    with pytest.raises(gr.Error) as caught, plain_sentences():
        Motion.still(1).save("/nowhere/secret/motion.npz")
    assert "secret" not in str(caught.value)
    assert "Try again later" in str(caught.value)


# -- MCP ------------------------------------------------------------------------------------------


def data_url(path: Path) -> str:
    return f"data:application/octet-stream;base64,{base64.b64encode(path.read_bytes()).decode()}"


def test_every_action_is_an_mcp_tool(page: str, portrait: Path) -> None:
    async def use() -> tuple[dict[str, Any], Any, Any]:
        async with assistant(page) as session:
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            found = await session.call_tool("faces", {"photo": data_url(portrait)})
            silent = await session.call_tool("speak", {"text": " "})
            return tools, found, silent

    tools, found, silent = anyio.run(use)
    assert set(tools) == set(
        "generate edit preview mix compare table poster gif faces mesh speak list_voices "
        "emotion export view verify".split()
    )
    for tool in tools.values():
        assert len(tool.description) > 30
        for name, about in tool.inputSchema.get("properties", {}).items():
            assert about.get("description"), f"{tool.name} doesn't tell what {name} is"
    assert not found.isError
    assert re.search(r"\d+, \d+, \d+, \d+", found.content[0].text)
    assert silent.isError
    assert "There is no text yet" in silent.content[0].text
