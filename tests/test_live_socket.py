"""Live faces over the page's WebSocket, as programs use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
import websocket
from gradio.utils import get_upload_folder

from talking_face.clips.credentials import read_statement
from talking_face.clips.video import read_frames
from talking_face.motion import FPS
from talking_face.sound.audio import SAMPLE_RATE, load_audio
from talking_face.web import live
from talking_face.web.live import SEATS
from talking_face.web.outlets import HEADER
from talking_face.web.uploads import RESULTS

ROOT = Path(__file__).parents[1]
BEGIN = {"photo": "woman_long_hair.jpg", "size": 96, "rate": 16000}


@pytest.fixture
def address(page: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(live, "carried", lambda: 3)
    yield page.replace("http", "ws", 1) + live.PLACE
    wait_for(lambda: SEATS.taken == 0)


@pytest.fixture(scope="module")
def words(recordings: list[Path]) -> bytes:
    """Three seconds of speech, 16 bits, 16 kHz."""
    wave = load_audio(recordings[0].with_name("grid.wav")).waveform[: 3 * SAMPLE_RATE]
    return bytes((32767 * wave).astype("<i2").tobytes())


def wait_for(true: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def opened(address: str, **options: Any) -> Any:
    socket = websocket.create_connection(address, timeout=120)
    socket.send(json.dumps(BEGIN | options))
    return socket


def moments(socket: Any, count: int) -> list[tuple[float, float, np.ndarray, np.ndarray]]:
    found = []
    while len(found) < count:
        message = socket.recv()
        if isinstance(message, str):
            continue
        at, gate, size = HEADER.unpack_from(message)
        sound = np.frombuffer(message[HEADER.size : HEADER.size + size], "<i2")
        picture = cv2.imdecode(np.frombuffer(message[HEADER.size + size :], np.uint8), 1)
        found.append((at, gate, sound, picture))
    return found


def refusal(address: str, message: str) -> str:
    with closing(websocket.create_connection(address, timeout=120)) as socket:
        socket.send(message)
        return str(json.loads(socket.recv())["error"])


@pytest.mark.slow
def test_the_client_of_the_documents_gets_frames_that_speak(
    address: str, portrait: Path, short_speech: Path, tmp_path: Path
) -> None:
    page = address.removesuffix(live.PLACE).replace("ws", "http", 1)
    command = [sys.executable, ROOT / "examples/live_client.py", page, portrait, short_speech]
    done = subprocess.run([*command, tmp_path], capture_output=True, text=True, timeout=300)
    assert json.loads(done.stdout)["ready"], done.stderr
    frames = [cv2.imread(str(path)) for path in sorted(tmp_path.glob("*.jpg"))]
    assert len(frames) > 3
    assert frames[0].shape == (512, 512, 3)


def test_a_text_is_spoken_and_interrupted(address: str) -> None:
    with closing(opened(address)) as socket:
        assert json.loads(socket.recv())["ready"]
        socket.send('{"say": "A boat. And then, many more of them came by.", "edit": "happy"}')
        spoken = 0.0
        for _ in range(400):
            ((_, gate, sound, _),) = moments(socket, 1)
            spoken = max(spoken, gate)
            if gate > 0.9 and np.abs(sound).max(initial=0) > 1000:
                break
        assert spoken > 0.9
        socket.send('{"interrupt": true}')
        after = moments(socket, 25)  # some were on their way
        assert after[-1][1] == 0.0
        assert not after[-1][2].any()


def test_a_second_one_is_refused_until_the_first_has_left(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "carried", lambda: 1)
    with closing(opened(address)) as socket:
        moments(socket, 1)
        assert "all are in use" in refusal(address, json.dumps(BEGIN))
        assert SEATS.taken == 1
    wait_for(lambda: SEATS.taken == 0)
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("live")])
    with closing(opened(address)) as socket:
        moments(socket, 1)
        socket.send('{"stop": true}')
        wait_for(lambda: SEATS.taken == 0)


def test_what_is_wrong_is_told_in_a_sentence(address: str, portrait: Path) -> None:
    image = b64encode(portrait.read_bytes()[:5000]).decode()
    for message, words in (
        ("{", "JSON"),
        ("[]", "which photo"),
        (json.dumps({"photo": image}), "may use"),
        (json.dumps({"photo": image, "consent": True}), "photo"),
        (json.dumps({"photo": "***", "consent": True}), "base64"),
        (json.dumps({"photo": {"path": "/etc/passwd"}, "consent": True}), "uploads"),
        (json.dumps(BEGIN | {"rate": 10}), "rate"),
        (json.dumps(BEGIN | {"size": 4000}), "pixels"),
        (json.dumps(BEGIN | {"colour": 1}), "option"),
        (json.dumps(BEGIN | {"edit": {"smile": 7}}), "Smile"),
    ):
        assert words in refusal(address, message), message


def test_a_mistake_in_between_ends_nothing(address: str) -> None:
    with closing(opened(address)) as socket:
        moments(socket, 1)
        socket.send_binary(b"\1\2\3")
        for mistake, sentence in (
            ('{"say": "…"}', "nothing to say"),
            ('{"sya": "Good morning."}', 'no option "sya". Use say, '),
        ):
            socket.send(mistake)
            assert sentence in told(socket, "error")["error"]
        assert moments(socket, 2)


def told(socket: Any, name: str) -> dict[str, Any]:
    """The next message in JSON that says this."""
    while True:
        message = socket.recv()
        if isinstance(message, str) and name in (said := json.loads(message)):
            return said


def fetched(page: str, place: str) -> tuple[int, bytes]:
    try:
        with urlopen(f"{page}/{place}", timeout=60) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def test_a_session_is_recorded_and_handed_out_as_a_marked_clip(
    address: str, page: str, tmp_path: Path
) -> None:
    with closing(opened(address)) as socket:
        told(socket, "ready")
        socket.send('{"record": false}')
        assert "Nothing is being recorded" in told(socket, "error")["error"]
        socket.send('{"record": true}')
        assert told(socket, "recording")["recording"]
        socket.send('{"record": true}')
        assert "is under way" in told(socket, "error")["error"]
        at = [moment[0] for moment in moments(socket, 10)]
        socket.send('{"record": false}')
        first = told(socket, "recorded")
        assert first["seconds"] > at[-1] - at[0]
        assert moments(socket, 1)  # it lives on
        socket.send('{"record": true}')
        told(socket, "recording")
        moments(socket, 5)
        socket.send('{"stop": true}')  # what is being recorded then isn't lost
        second = told(socket, "recorded")
    places = [first["recorded"], second["recorded"]]
    assert len(set(places)) == 2
    for place, seconds in zip(places, (first["seconds"], second["seconds"]), strict=True):
        status, data = fetched(page, place)
        assert status == 200
        path = tmp_path / "live.mp4"
        path.write_bytes(data)
        assert len(list(read_frames(path))) == round(FPS * seconds)
        assert read_statement(path).valid
    assert fetched(page, places[0][:-1] + "x")[0] == 404
    assert fetched(page, "live/recordings/..%2f..%2fapp.py")[0] == 404


def test_who_leaves_while_recording_leaves_nothing(address: str) -> None:
    before = set(Path(get_upload_folder()).glob(f"{RESULTS}*"))
    with closing(opened(address)) as socket:
        told(socket, "ready")
        socket.send('{"record": true}')
        moments(socket, 5)
    wait_for(lambda: SEATS.taken == 0)
    assert not set(Path(get_upload_folder()).glob(f"{RESULTS}*")) - before


@pytest.mark.slow
def test_a_film_comes_in_pieces_that_play(address: str, tmp_path: Path, words: bytes) -> None:
    with closing(opened(address, format="mp4")) as socket:
        ready = told(socket, "ready")
        assert ready["mime"].startswith("video/mp4; codecs=")
        for start in range(0, len(words), 1280):
            socket.send_binary(words[start : start + 1280])
        film = b""
        while film.count(b"moof") < 150:  # of pictures and sound, each a frame
            film += socket.recv()
        socket.send('{"stop": true}')
    path = tmp_path / "film.mp4"
    path.write_bytes(film)
    assert film[4:8] == b"ftyp"
    frames = list(read_frames(path))
    assert len(frames) >= 30
    assert frames[0].shape == (96, 96, 3)
    moved = [np.abs(a.astype(int) - frames[0])[50:].mean() for a in frames]
    assert max(moved) > 1  # the mouth is there
    assert np.abs(load_audio(path).waveform).max() > 0.1
    assert "even" in refusal(address, json.dumps(BEGIN | {"format": "mp4", "size": 97}))
    assert "jpeg or mp4" in refusal(address, json.dumps(BEGIN | {"format": "gif"}))


@pytest.mark.slow
def test_of_ten_who_come_at_once_some_are_seated_and_none_is_left_hanging(
    address: str, words: bytes
) -> None:
    """Three are carried; two of those vanish without a word."""
    sockets = [websocket.create_connection(address, timeout=120) for _ in range(10)]
    for socket in sockets:
        socket.send(json.dumps(BEGIN))
    first = [json.loads(socket.recv()) for socket in sockets]
    seated = [s for s, said in zip(sockets, first, strict=True) if said.get("ready")]
    assert len(seated) == 3
    assert all("all are in use" in said["error"] for said in first if not said.get("ready"))
    for socket in seated:
        socket.send_binary(words)
    for socket in seated:
        assert moments(socket, 3)
    for socket in seated[:2]:
        socket.sock.shutdown(SHUT_RDWR)
        socket.sock.close()
    wait_for(lambda: SEATS.taken == 1)
    assert moments(seated[2], 3)
    seated[2].send('{"stop": true}')
    wait_for(lambda: SEATS.taken == 0)
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("live")])
    for socket in sockets:
        socket.close()


def test_other_sites_pages_are_refused(address: str) -> None:
    socket = websocket.create_connection(address, origin="http://example.org", timeout=60)
    with closing(socket):
        assert "own page" in json.loads(socket.recv())["error"]


@pytest.mark.slow
def test_the_assistant_answers_with_a_chat_endpoint_and_without(
    address: str, portrait: Path
) -> None:
    page = address.removesuffix(live.PLACE).replace("ws", "http", 1)
    command = [sys.executable, ROOT / "examples/assistant.py", page, portrait, "--hidden"]
    with chat_endpoint("I am well. And you?") as (url, asked):
        for settings, words in (({"CHAT_URL": url}, "I am well."), ({}, "You said: How are you?")):
            environment = {k: v for k, v in os.environ.items() if k != "CHAT_URL"} | settings
            with subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
                bufsize=1,
            ) as running:
                assert running.stdin
                assert running.stdout
                running.stdin.write("How are you?\n")
                running.stdin.flush()
                said = next(line for line in running.stdout if "Ready" not in line)
                running.kill()
            assert said.strip() == words
            wait_for(lambda: SEATS.taken == 0)
    assert asked[0]["messages"][-1] == {"role": "user", "content": "How are you?"}


@contextmanager
def chat_endpoint(words: str) -> Iterator[tuple[str, list[Any]]]:
    """A server that streams these words as OpenAI's does; and what it was asked."""
    asked: list[Any] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            for word in words.split(" "):
                told = {"choices": [{"delta": {"content": word + " "}}]}
                self.wfile.write(f"data: {json.dumps(told)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
