"""The live face on the page, in Chromium, whose microphone is a recording."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from talking_face.web import live
from tests.conftest import chromium_with

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE = 120.0  # seconds; long, as a busy machine is slow, not wrong
FRAMES = "return Number(document.querySelector('#live-stage canvas').dataset.frames ?? 0)"
STATE = "return document.querySelector('#live-stage').dataset.state"
PRESS = "document.querySelector('#live-stage [name=%s]').click()"
SAID = "return document.querySelector('#live-stage output').textContent"
PHOTO = "return !!document.querySelector('#photo img')"


@pytest.fixture
def talker(speech: Path, tmp_path: Path) -> Iterator[Any]:
    """A browser that hears the recording, again and again, as its microphone."""
    with chromium_with(
        tmp_path,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={speech}",
    ) as started:
        yield started


def wait(true: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < until
        time.sleep(0.2)
    return found


def test_the_face_speaks_with_the_microphone_and_with_what_is_typed(
    talker: Any, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[live.Moment] = []
    real = live.packed
    monkeypatch.setattr(live, "packed", lambda moment: sent.append(moment) or real(moment))
    monkeypatch.setattr(live, "carried", lambda: 1)
    run = talker.execute_script
    talker.get(page)
    wait(lambda: run("return !!document.querySelector('#examples img')"))
    run("document.querySelector('#examples img').click()")
    wait(lambda: run(PHOTO))
    run("document.querySelector('#live button').click()")
    wait(lambda: run("return !!document.querySelector('#live-start')?.checkVisibility()"))
    run("document.querySelector('#live-start').click()")
    wait(lambda: run(STATE) == "on" and run(FRAMES) > 0)

    run(PRESS % "microphone")
    wait(lambda: max((moment.gate for moment in sent), default=0) > 0.9)
    run(PRESS % "microphone")  # mute
    run(PRESS % "interrupt")
    count = len(sent)
    wait(lambda: any(moment.gate == 0 for moment in sent[count + 1 :]))

    count = len(sent)
    run("document.querySelector('#live-stage [name=text]').value = 'Hello, and good morning.'")
    run("document.querySelector('#live-stage form').requestSubmit()")
    wait(lambda: "good morning" in run(SAID))
    wait(lambda: max((moment.gate for moment in sent[count:]), default=0) > 0.9)
    shown = run(FRAMES)
    wait(lambda: run(FRAMES) > shown)

    run("document.querySelector('#live-stop').click()")
    assert run(STATE) == "off"
    wait(lambda: live.SEATS.taken == 0)
    wait(lambda: not [t for t in threading.enumerate() if t.name.startswith("live")])


def test_who_types_speaks_with_their_own_photo(
    talker: Any, page: str, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[live.Moment] = []
    real = live.packed
    monkeypatch.setattr(live, "packed", lambda moment: sent.append(moment) or real(moment))
    monkeypatch.setattr(live, "carried", lambda: 1)
    run = talker.execute_script
    talker.get(f"{page}/typing")
    talker.find_element("id", "photo").send_keys(str(portrait))
    wait(lambda: run("return localStorage.getItem('typing-photo')"))
    run("find('#start').click()")
    wait(lambda: "may use" in run(SAID))
    run("find('#consent').click(), find('#start').click()")
    wait(lambda: run(STATE) == "on" and run(FRAMES) > 0)
    run("find('[name=text]').value = 'Good morning, all of you.', find('#keep').click()")
    wait(lambda: max((moment.gate for moment in sent), default=0) > 0.9)
    assert "Good morning, all of you." in run("return find('#phrases').textContent")
    run("find('#scan').click()")
    wait(lambda: run("return document.querySelectorAll('.lit').length"))
    run("find('#stop').click()")
    wait(lambda: live.SEATS.taken == 0)
