"""What strangers try at a page that runs: its server's other doors, and their neighbours' files."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from assistant import call_tool
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from talking_face.clips.video import write_clip
from talking_face.motion import Motion
from talking_face.motion_space import CHANNELS
from talking_face.sound.audio import Recording
from talking_face.web import doors, limits
from talking_face.web.events import LOOKS
from talking_face.web.folders import new_folder

Inner = tuple[str, list[str]]


@pytest.mark.parametrize("owner", [None, "*"])
@pytest.mark.parametrize("way", ["file=", "file/", "proxy=", "FILE="])
def test_the_server_is_nobodys_messenger(
    way: str, owner: str | None, page: str, inner_server: Inner, monkeypatch: pytest.MonkeyPatch
) -> None:
    if owner:
        monkeypatch.setenv("TALKING_FACE_ADDRESSES", owner)
    address, asked = inner_server
    for target in (address, "https://example.com", "HTTPS://example.com", "%68ttp://example.com"):
        answer = httpx.get(f"{page}/gradio_api/{way}{target}/a.jpg", follow_redirects=False)
        assert answer.status_code == 404
    assert asked == []


@pytest.mark.parametrize(
    "path",
    ["file=/etc/hostname", "file=file:///etc/hostname", "file=../../../../etc/hostname",
     "file=%2e%2e/%2e%2e/etc/hostname", "file=/proc/self/environ", "file=app.py",
     "file=talking_face/gate.py", "file=.git/config", "file//etc/hostname"],
)  # fmt: skip
def test_files_of_the_machine_are_not_served(path: str, page: str) -> None:
    assert httpx.get(f"{page}/gradio_api/{path}").status_code in (403, 404)


@pytest.mark.parametrize(
    "path",
    ["process_recording", "deep_link?session_hash=a", "run-history/records", "runs",
     "vibe-code/", "profiling/summary", "dev/reload", "custom_component/a/client/b/c"],
)  # fmt: skip
def test_doors_that_nobody_needs_are_shut(path: str, page: str) -> None:
    for address in (f"{page}/gradio_api/{path}", f"{page}/{path}"):
        assert httpx.get(address).status_code == 404
        assert httpx.post(address, files={"video": b"#EXTM3U"}).status_code == 404
    for inner in ("monitoring", "monitoring/summary"):
        assert httpx.get(f"{page}/{inner}").status_code == 404


def test_names_of_files_may_be_what_they_like(page: str) -> None:
    folder = new_folder() / "runs" / "monitoring"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("mine")
    assert httpx.get(f"{page}/gradio_api/file={folder}/a.txt").text == "mine"


def test_too_much_at_once_is_refused(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "LARGEST", 2**16)
    address = f"{page}/gradio_api/queue/join"
    assert httpx.post(address, content=bytes(2**17)).status_code == 413

    def pieces() -> Any:
        for _ in range(64):
            yield b"[" * 2**12

    with suppress(httpx.TransportError):  # the server may hang up
        assert httpx.post(address, content=pieces()).status_code >= 400
    assert httpx.get(f"{page}/config").status_code == 200
    sent = httpx.post(f"{page}/gradio_api/upload", files={"files": bytes(2**17)})
    assert sent.status_code == 200  # has a limit of its own


@pytest.mark.parametrize(
    "name", ["../../evil.png", "..\\..\\evil.png", "/etc/evil.png", "a\0b.png"]
)
def test_uploads_stay_where_uploads_are(name: str, page: str, upload_folder: Path) -> None:
    sent = httpx.post(f"{page}/gradio_api/upload", files={"files": (name, b"data")})
    if sent.status_code == 200:
        (path,) = sent.json()
        assert Path(path).resolve().is_relative_to(upload_folder.resolve())
    assert not (upload_folder.parent / "evil.png").exists()


@pytest.mark.parametrize("owner", [None, "*"])
def test_assistants_cant_have_inner_addresses_or_files_opened(
    owner: str | None, page: str, inner_server: Inner, monkeypatch: pytest.MonkeyPatch
) -> None:
    if owner:
        monkeypatch.setenv("TALKING_FACE_ADDRESSES", owner)
    address, asked = inner_server
    port = address.rsplit(":", 1)[1]
    for target in (
        f"{address}/a.jpg", f"http://localhost:{port}/a.jpg", f"http://[::1]:{port}/a.jpg",
        f"http://2130706433:{port}/a.jpg", "file:///etc/hostname", "/etc/hostname",
        "data:text/plain;base64,aGVsbG8=",
    ):  # fmt: skip
        answer = call_tool(page, "faces", {"photo": target})
        assert answer.isError, target
        told = answer.content[0].text
        assert "Traceback" not in told
    assert asked == []


@pytest.mark.parametrize("said", ["false", "no", 1, "yes", [], {"a": 1}, None, 0.5])
def test_consent_is_said_and_nothing_else(
    said: Any, page: str, tmp_path: Path, portrait: Path, short_speech: Path
) -> None:
    own = tmp_path / "own.jpg"
    own.write_bytes(portrait.read_bytes() + b"\0")
    call = f"{page}/gradio_api/call/generate"
    files = [
        {"path": httpx.post(f"{page}/gradio_api/upload", files={"files": (p.name, p.read_bytes())})
         .json()[0], "meta": {"_type": "gradio.FileData"}}
        for p in (own, short_speech)
    ]  # fmt: skip
    data = [*files, 1, 0, 1.0, "natural", 1.0, 1.0, [], {}, 0, said, "voice", 1.0]
    event = httpx.post(call, json={"data": data}).json()["event_id"]
    with httpx.stream("GET", f"{call}/{event}", timeout=60) as lines:
        told = "\n".join(lines.iter_lines())
    assert "event: error" in told
    assert "event: complete" not in told


def test_every_order_counts_and_each_visitor_for_itself(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALKING_FACE_ORDERS_PER_HOUR", "1")
    monkeypatch.setattr(limits, "_limits", limits.Limits())
    client = Client(page, verbose=False)
    client.predict("Good morning.", api_name="/speak")
    with pytest.raises(AppError, match="1 orders an hour"):
        client.predict("Good morning.", api_name="/speak")
    assert list(limits._limits._orders) == ["127.0.0.1"]
    answer = call_tool(page, "speak", {"text": "Good morning."})
    assert answer.isError
    assert "orders an hour" in answer.content[0].text


@pytest.fixture
def clip_and_motion(tmp_path: Path) -> tuple[Path, Path]:
    frames = [np.zeros((64, 64, 3), np.uint8)] * 8
    sound = Recording.from_waveform(np.zeros(8 * 640, "f4"), 16_000)
    rest = Motion(*(np.zeros((8, size), "f4") for size in CHANNELS.values()))
    rest.save(tmp_path / "motion.npz")
    return write_clip(frames, tmp_path / "clip.mp4", sound), tmp_path / "motion.npz"


@pytest.mark.slow
def test_what_is_made_of_clips_counts_as_well(
    page: str, clip_and_motion: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, motion = map(handle_file, map(str, clip_and_motion))
    monkeypatch.setenv("TALKING_FACE_ORDERS_PER_HOUR", "2")
    monkeypatch.setattr(limits, "_limits", limits.Limits())
    client = Client(page, verbose=False)
    client.predict([clip, clip], api_name="/compare")
    client.predict(clip, motion, api_name="/gif")
    more = {"poster": (clip, motion), "gif": (clip, motion), "compare": ([clip, clip],)}
    for made, given in more.items():
        with pytest.raises(AppError, match="2 orders an hour"):
            client.predict(*given, api_name=f"/{made}")
    client.predict(motion, api_name="/table")  # takes no time, and isn't one


def test_what_takes_long_waits_for_its_turn_and_the_rest_is_two_at_a_time() -> None:
    """However many are asked for at once, by whoever."""
    import app

    turns = {fn.api_name: fn.concurrency_id for fn in app.demo.fns.values() if fn.api_name}
    for name in ("generate", "edit", "compare", "poster", "gif", "export", "view"):
        assert turns[name] == "clips"
    for name in ("preview", "mix", "table", "faces", "mesh", "emotion", "speak", "voices"):
        assert turns[name] == "looks"
    assert LOOKS["concurrency_limit"] == 2  # the least of what events of one name say holds


def test_visitors_behind_a_proxy_are_told_apart(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the proxy says of them, where it is one that is trusted: here, the same machine's."""
    monkeypatch.setenv("TALKING_FACE_ORDERS_PER_HOUR", "1")
    monkeypatch.setattr(limits, "_limits", limits.Limits())
    for visitor in ("203.0.113.9", "203.0.113.10"):
        client = Client(page, verbose=False, headers={"X-Forwarded-For": visitor})
        client.predict("Good morning.", api_name="/speak")
    assert list(limits._limits._orders) == ["203.0.113.9", "203.0.113.10"]


def test_strangers_cant_have_each_others_uploads_by_their_content(
    page: str, portrait: Path
) -> None:
    """An upload's folder is a keyed hash: who has the same file can't compute where it is."""
    client = Client(page, verbose=False)
    client.predict(handle_file(str(portrait)), api_name="/faces")
    (path,) = httpx.post(
        f"{page}/gradio_api/upload", files={"files": ("p.jpg", portrait.read_bytes())}
    ).json()
    assert hashlib.sha256(portrait.read_bytes()).hexdigest() not in path
