"""What a client may call a file: its uploads, its results, the examples, and nothing else."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.context import LocalContext
from gradio.utils import get_upload_folder
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from talking_face.errors import UploadUnknown
from talking_face.motion import Motion
from talking_face.web.folders import new_folder
from talking_face.web.uploads import ASSETS, received

SENTENCE = "This file is not one of your uploads"

Uploaded = Callable[[Path], dict[str, str]]


@pytest.fixture
def as_session() -> Iterator[Callable[[str | None], None]]:
    """Says whose request is being answered."""

    def answer(session: str | None) -> None:
        LocalContext.request.set(gr.Request(session_hash=session) if session else None)

    yield answer
    LocalContext.request.set(None)


# -- one function --------------------------------------------------------------------------------


def test_uploads_and_examples_are_received(portrait: Path, uploaded: Uploaded) -> None:
    record = uploaded(portrait)
    assert received(record) == Path(record["path"]).resolve()
    assert received(gr.FileData(path=record["path"])) == Path(record["path"]).resolve()
    assert received({"path": str(portrait)}) == portrait


def outside(tmp_path: Path, portrait: Path) -> dict[str, Any]:
    """Paths that a client has no business to name, each with a photo or something worse behind it.

    Some lie in Gradio's folder and lead out of it; nothing of a client's could put them there.
    """
    secret = Path(shutil.copy(portrait, tmp_path / "secret.jpg"))
    inside = Path(get_upload_folder()) / f"links-{tmp_path.name}"
    inside.mkdir(parents=True, exist_ok=True)
    link, loop, fifo = inside / "link.jpg", inside / "loop.jpg", inside / "fifo.jpg"
    for path in (link, loop, fifo):
        path.unlink(missing_ok=True)
    link.symlink_to(secret)
    loop.symlink_to(loop)
    os.mkfifo(fifo)
    return {
        "plain": str(secret),
        "dots": f"{inside}/../../{os.path.relpath(secret, Path(get_upload_folder()).parent)}",
        "dots of assets": f"{ASSETS}/../README.md",
        "beside": f"{get_upload_folder()}-not/photo.jpg",
        "link": str(link),
        "loop": str(loop),
        "fifo": str(fifo),
        "folder": str(inside),
        "device": "/dev/zero",
        "process": "/proc/self/environ",
        "descriptor": "/proc/self/fd/0",
        "missing": f"{get_upload_folder()}/{'0' * 64}/photo.jpg",
        "relative": "README.md",
        "scheme": f"file://{secret}",
        "address": "http://127.0.0.1:1/photo.jpg",
        "null": f"{portrait}\0.jpg",
        "long": "/" + "a/" * 5000,
        "empty": "",
        "number": 7,
        "nothing": None,
        "bytes": os.fsencode(secret),
        "list": [str(portrait)],
    }


CASES = [
    "plain",
    "dots",
    "dots of assets",
    "beside",
    "link",
    "loop",
    "fifo",
    "folder",
    "device",
    "process",
    "descriptor",
    "missing",
    "relative",
    "scheme",
    "address",
    "null",
    "long",
    "empty",
    "number",
    "nothing",
    "bytes",
    "list",
]


@pytest.mark.parametrize("case", CASES)
def test_nothing_else_is(case: str, tmp_path: Path, portrait: Path) -> None:
    paths = outside(tmp_path, portrait)
    assert sorted(paths) == sorted(CASES)
    with pytest.raises(UploadUnknown, match=SENTENCE):
        received({"path": paths[case]})


def test_records_without_a_path_are_not_received(portrait: Path) -> None:
    for record in ({}, [], "", str(portrait), 7, {"url": str(portrait)}):
        with pytest.raises(UploadUnknown, match=SENTENCE):
            received(record)


def test_results_belong_to_the_session_they_were_made_for(
    portrait: Path, as_session: Callable[[str | None], None]
) -> None:
    as_session("anna")
    made = shutil.copy(portrait, new_folder() / "clip.mp4")
    assert received({"path": str(made)}) == Path(made).resolve()
    for other in ("bert", "", None):
        as_session(other)
        with pytest.raises(UploadUnknown, match=SENTENCE):
            received({"path": str(made)})
    forged = Path(made).parent.with_name("talking-face-guess-0")
    shutil.copytree(Path(made).parent, forged)
    with pytest.raises(UploadUnknown, match=SENTENCE):
        received({"path": str(forged / "clip.mp4")})


def test_result_folders_cannot_be_guessed_or_read_by_other_accounts() -> None:
    first, second = new_folder(), new_folder()
    assert len(first.name.split("-")[2]) == 32  # 128 bits
    assert first.name[:20] != second.name[:20]
    assert first.stat().st_mode & 0o077 == 0


# -- through the server --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(page: str) -> Client:
    return Client(page, verbose=False)


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, portrait: Path, short_speech: Path
) -> dict[str, Any]:
    """Valid arguments: a photo, a recording, a motion and a clip's stand-in."""
    motion = tmp_path_factory.mktemp("motion") / "motion.npz"
    Motion.still(25).save(motion)
    paths = {"photo": portrait, "sound": short_speech, "motion": motion}
    return {name: handle_file(str(path)) for name, path in paths.items()}


ENDPOINTS = {  # arguments by name; None is the one that is outside
    "generate": [[None, "sound"], ["photo", None]],
    "edit": [[None, "sound", "motion"], ["photo", None, "motion"], ["photo", "sound", None]],
    "preview": [[None, "motion"], ["photo", None]],
    "mix": [[None, "motion", "motion"], ["motion", "motion", None]],
    "table": [[None]],
    "poster": [[None, "motion"], ["photo", None]],
    "gif": [[None, "motion"], ["photo", None]],
    "faces": [[None]],
    "mesh": [[None]],
}
CALLS = [(name, arguments) for name, calls in ENDPOINTS.items() for arguments in calls]


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_every_endpoint_refuses_a_path_outside(
    name: str,
    arguments: list[str | None],
    client: Client,
    files: dict[str, Any],
    tmp_path: Path,
    portrait: Path,
) -> None:
    """All else is valid and allowed, and the file would do: only the place of it is wrong."""
    meant = "/proc/self/environ" if name == "table" else outside(tmp_path, portrait)["plain"]
    given = [files[argument] if argument else {"path": meant} for argument in arguments]
    options = {"consent": True} if name in ("generate", "edit", "preview") else {}
    with pytest.raises(AppError, match=SENTENCE):
        client.predict(*given, **options, api_name=f"/{name}")


def test_a_list_of_clips_is_looked_at_one_by_one(client: Client, files: dict[str, Any]) -> None:
    with pytest.raises(AppError, match=SENTENCE):
        client.predict([files["photo"], {"path": "/etc/hostname"}], api_name="/compare")


@pytest.mark.parametrize("case", ["dots", "link", "device", "process", "missing"])
def test_tricks_are_refused_by_the_same_sentence(
    case: str, client: Client, files: dict[str, Any], tmp_path: Path, portrait: Path
) -> None:
    meant = {"path": outside(tmp_path, portrait)[case]}
    with pytest.raises(AppError, match=SENTENCE):
        client.predict(meant, files["sound"], consent=True, api_name="/generate")


@pytest.mark.slow
def test_results_of_another_visitor_are_refused(
    page: str, client: Client, files: dict[str, Any]
) -> None:
    client_of_records = Client(page, verbose=False, download_files=False)
    made = client_of_records.predict(*[files["motion"]] * 3, api_name="/mix")
    named = {"path": made["path"]}
    assert client_of_records.predict(named, api_name="/table")["path"].endswith(".csv")
    with pytest.raises(AppError, match=SENTENCE):
        client.predict(named, api_name="/table")
    config = httpx.get(f"{page}/config").json()
    (table,) = (event["id"] for event in config["dependencies"] if event["api_name"] == "table")
    assert SENTENCE in ask(page, table, [made], "stranger")["output"]["error"]  # with its meta


def ask(page: str, number: int, data: list[Any], session: str) -> dict[str, Any]:
    """What an event of the page answers, asked for without the page."""
    click = {"index": [1, 1], "value": None}
    order = {"fn_index": number, "data": data, "session_hash": session, "event_data": click}
    httpx.post(f"{page}/gradio_api/queue/join", json=order).raise_for_status()
    address = f"{page}/gradio_api/queue/data?session_hash={session}"
    with httpx.stream("GET", address, timeout=60) as lines:
        for line in lines.iter_lines():
            if line.startswith("data:"):
                told = json.loads(line[5:])
                if told["msg"] == "process_completed":
                    return told
    raise AssertionError("the server said nothing")


UPLOADS = {"image", "audio", "uploadbutton"}


def events_with_uploads(page: str) -> list[tuple[int, list[Any]]]:
    """Every event of the page that is given a photo, a sound or a film: its number and arguments.

    The latter are what the page sends at first, with None for each upload.
    """
    config = httpx.get(f"{page}/config").json()
    parts = {part["id"]: part for part in config["components"]}
    events = []
    for event in config["dependencies"]:
        kinds = [parts[number]["type"] for number in event["inputs"]]
        typed = "textbox" in kinds  # a text to be spoken where there is no recording
        if event["backend_fn"] and UPLOADS & set(kinds) and not (typed and len(kinds) < 9):
            values = [parts[number]["props"].get("value") for number in event["inputs"]]
            values = [
                None if kind in UPLOADS else True if kind == "checkbox" else value
                for kind, value in zip(kinds, values, strict=True)
            ]
            events.append((event["id"], values))
    return events


@pytest.mark.slow
@pytest.mark.parametrize("case", ["a file of the machine", "somebody else's result"])
def test_the_private_events_of_the_page_open_nothing_either(
    case: str, page: str, tmp_path: Path, portrait: Path
) -> None:
    if case == "a file of the machine":
        secret: dict[str, Any] = {"path": outside(tmp_path, portrait)["plain"]}
    else:  # which Gradio takes for an upload
        result = shutil.copy(portrait, new_folder() / "photo.jpg")
        secret = {"path": str(result), "meta": {"_type": "gradio.FileData"}}
    events = events_with_uploads(page)
    assert len(events) > 20

    def answer(event: tuple[int, list[Any]]) -> dict[str, Any]:
        number, values = event
        data = [secret if value is None else value for value in values]
        return ask(page, number, data, f"stranger{number}")["output"]

    with ThreadPoolExecutor(8) as strangers:
        told = list(strangers.map(answer, events))
    for output in told:
        assert "error" in output or not any(
            isinstance(value, dict) and "path" in value for value in output["data"]
        )
    if "meta" in secret:
        # Photo, recording, film, mesh, a click on a face, and both ways to begin.
        assert sum(SENTENCE in str(output.get("error")) for output in told) >= 7


@pytest.mark.slow
@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_addresses_of_the_machine_itself_are_never_fetched(
    meta: dict[str, Any],
    client: Client,
    files: dict[str, Any],
    inner_server: tuple[str, list[str]],
) -> None:
    address, asked = inner_server
    port = address.rsplit(":", 1)[1]
    names = [address, f"http://localhost:{port}", f"http://[::ffff:127.0.0.1]:{port}"]
    names += [f"http://0.0.0.0:{port}", f"http://{socket.gethostname()}:{port}"]
    for name in names:
        given = {"path": f"{name}/photo.jpg", "url": f"{name}/photo.jpg"} | meta
        with pytest.raises(AppError):
            client.predict(given, files["sound"], consent=True, api_name="/generate")
    assert asked == []
