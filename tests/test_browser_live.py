"""The live face on the page, in Chromium, whose microphone is a recording."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from conftest import chromium_with

from talking_face.live.stream import Moment, Stream
from talking_face.web import live

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE = 120.0  # seconds; long, as a busy machine is slow, not wrong
FRAMES = "return Number(document.querySelector('#live-stage canvas').dataset.frames ?? 0)"
SHOWN = "return document.querySelector('#live-stage canvas').dataset.time"
COUNT_PICTURES = """const make = createImageBitmap;
window.made = 0;
window.createImageBitmap = (...all) => (window.made += document.hidden, make(...all))"""
STATE = "return document.querySelector('#live-stage').dataset.state"
PRESS = "document.querySelector('#live-stage [name=%s]').click()"
SAID = "return document.querySelector('#live-stage output').textContent"
RECORD = "#live-stage [name=record]"
CALLED = "return document.querySelector('#live-stage video')?.videoWidth"
PIXELS = """const canvas = document.querySelector('#live-stage canvas');
return canvas.getContext('2d').getImageData(200, 300, 120, 120).data.reduce((a, b) => a + b)"""
BOXES = """const parts = document.querySelectorAll(
  '#live-stage canvas, #live-stage button, #live-stage select, #live-stage input, #live-start');
return [...parts].map((part) => {
  const box = part.getBoundingClientRect();
  return [part.name || part.id || part.textContent, box.left, box.right, box.height];
})"""
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


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Moment]:
    """All moments that a live face makes."""
    made: list[Moment] = []
    real = Stream.__next__

    def spied(stream: Stream) -> Moment:
        made.append(moment := real(stream))
        return moment

    monkeypatch.setattr(Stream, "__next__", spied)
    monkeypatch.setattr(live, "carried", lambda: 1)
    return made


def begin(talker: Any, page: str) -> Any:
    """Open the page, choose a photo and press Start; what runs scripts there."""
    run = talker.execute_script
    talker.get(page)
    wait(lambda: run("return !!document.querySelector('#examples img')"))
    run("document.querySelector('#examples img').click()")
    wait(lambda: run(PHOTO))
    run("document.querySelector('#live button').click()")
    wait(lambda: run("return !!document.querySelector('#live-start')?.checkVisibility()"))
    run("document.querySelector('#live-start').click()")
    wait(lambda: run(STATE) == "on" and run(FRAMES) > 0)
    return run


def leave(run: Any) -> None:
    run("document.querySelector('#live-stop').click()")
    assert run(STATE) == "off"
    wait(lambda: live.SEATS.taken == 0)
    wait(lambda: not [t for t in threading.enumerate() if t.name.startswith("live")])


async def unanswered(*_: Any) -> None:
    """What becomes of an offer where the two can't reach each other."""


@pytest.mark.parametrize("way", ["webrtc", "blocked", "websocket"])
def test_the_face_speaks_with_the_microphone_and_with_what_is_typed(
    talker: Any, page: str, sent: list[Moment], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    calls = way == "webrtc"
    monkeypatch.setattr(live, "webrtc", lambda: way != "websocket")
    if way == "blocked":
        monkeypatch.setattr(live._Session, "_call", unanswered)
    run = begin(talker, page)
    if calls:
        wait(lambda: run(CALLED))
    run(PRESS % "microphone")
    wait(lambda: max((moment.gate for moment in sent), default=0) > 0.9)
    assert bool(run(CALLED)) == calls
    run(PRESS % "microphone")  # mute
    run(PRESS % "interrupt")
    count = len(sent)
    wait(lambda: any(moment.gate == 0 for moment in sent[count + 1 :]))

    count = len(sent)
    run("document.querySelector('#live-stage [name=text]').value = 'Hello, and good morning.'")
    run("document.querySelector('#live-stage form').requestSubmit()")
    wait(lambda: "good morning" in run(SAID))
    wait(lambda: max((moment.gate for moment in sent[count:]), default=0) > 0.9)
    shown, at = run(FRAMES), run(PIXELS)
    wait(lambda: run(FRAMES) > shown + 5 and run(PIXELS) != at)
    leave(run)
    assert run(SAID) == ""  # what was said there is over
    run(PRESS % "interrupt")
    assert run(SAID) == "Press Start first."


def test_a_page_that_was_held_up_goes_on_with_what_is_said_now(
    talker: Any, page: str, sent: list[Moment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "webrtc", lambda: False)
    run = begin(talker, page)
    run("const until = Date.now() + 5000; while (Date.now() < until);")
    held = sent[-1].time
    wait(lambda: float(run(SHOWN)) > held)
    wait(lambda: sent[-1].time - float(run(SHOWN)) < 2)
    leave(run)


def test_a_tab_that_the_browser_puts_to_sleep_gives_its_seat_back(
    talker: Any, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "webrtc", lambda: False)
    monkeypatch.setattr(live, "carried", lambda: 1)
    run = begin(talker, page)
    talker.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "frozen"})
    wait(lambda: live.SEATS.taken == 0)
    talker.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "active"})
    wait(lambda: run(STATE) == "off")
    assert "Press Start" in run(SAID)


def test_nothing_is_drawn_while_nobody_looks(
    talker: Any, page: str, sent: list[Moment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "webrtc", lambda: False)
    run = begin(talker, page)
    run(COUNT_PICTURES)
    mine = talker.current_window_handle
    talker.switch_to.new_window("tab")
    count = len(sent)
    wait(lambda: len(sent) > count + 75)
    talker.switch_to.window(mine)
    assert run("return window.made") == 0
    shown = run(FRAMES)
    wait(lambda: run(FRAMES) > shown + 5)
    wait(lambda: sent[-1].time - float(run(SHOWN)) < 2)
    leave(run)


def test_a_session_is_recorded_and_saved(talker: Any, page: str, sent: list[Moment]) -> None:
    run = begin(talker, page)
    run(PRESS % "record")
    count = len(sent)
    wait(lambda: len(sent) > count + 10)
    leave(run)  # which ends the recording, too
    wait(lambda: run("return !!document.querySelector('#live-stage output a')"))
    place = run("return document.querySelector('#live-stage output a').href")
    with urlopen(place, timeout=60) as answer:
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.read()[4:8] == b"ftyp"
    assert run(f"return document.querySelector('{RECORD}').ariaPressed") == "false"


@pytest.mark.parametrize("way", ["light", "dark"])
def test_on_a_phone_the_live_face_and_all_its_buttons_fit(talker: Any, page: str, way: str) -> None:
    talker.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
    )
    talker.get(f"{page}?__theme={way}")
    run = talker.execute_script
    wait(lambda: run("return !!document.querySelector('#live button')"))
    run("document.querySelector('#live button').click()")
    wait(lambda: run("return !!document.querySelector('#live-start')?.checkVisibility()"))
    parts = run(BOXES)
    assert len(parts) >= 9
    for name, left, right, height in parts:
        assert left >= 0, name
        assert right <= 390, name
        assert height >= 40, name  # for fingers
    assert run("return document.documentElement.scrollWidth") <= 390


def test_who_types_speaks_with_their_own_photo(
    talker: Any, page: str, portrait: Path, sent: list[Moment]
) -> None:
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
