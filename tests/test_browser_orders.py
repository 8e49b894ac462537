"""What visitors order, and what they are told, in Chromium."""

import json
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from selenium.webdriver import ActionChains
from visited import (
    PATIENCE,
    Page,
)

from talking_face.clips.video import write_clip
from talking_face.sound.audio import Recording
from talking_face.web import shots
from talking_face.web.shots import draw

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_link_and_the_browser_restore_the_settings(visit: Page) -> None:
    visit.open("")
    visit.click("#seeds button")
    visit.wait(lambda: "seed=" in visit.js("return location.search"))
    visit.set_number("#seed", 1234)
    visit.click("#background label", "colour")
    visit.wait(lambda: "background=colour" in visit.js("return location.search"))
    link = visit.js("return location.href")
    assert parse_qs(urlsplit(link).query)["seed"] == ["1234"]
    stored = json.loads(visit.js("return localStorage.getItem('talking-face-settings')"))
    assert stored == {"seed": 1234, "background": "colour"}

    def restored() -> bool:
        return bool(visit.all("#seed input")) and visit.number("#seed") == 1234

    visit.browser.get(visit.address)  # the address says nothing, so the browser remembers
    visit.wait(lambda: visit.all("#settings button"))
    visit.wait(restored)
    visit.js("localStorage.clear()")
    visit.browser.get(link + "&smile=0.5&samples=99&diversity=much")
    visit.wait(lambda: visit.all("#settings button"))
    visit.wait(restored)
    visit.wait(lambda: visit.shown("#colour"))

    def query() -> dict[str, list[str]]:
        return parse_qs(urlsplit(visit.js("return location.href")).query)

    wanted = link.split("?")[1] + "&smile=0.5&samples=6"  # and no diversity
    visit.wait(lambda: query() == parse_qs(wanted))


def test_a_photo_of_ones_own_needs_a_tick(
    visit: Page, portrait: Path, moving_frames: list[np.ndarray], tone: Recording, tmp_path: Path
) -> None:
    Image.open(portrait).resize((400, 400)).save(tmp_path / "own.png")
    # The other channel of its sound is silent, which is told.
    sides = (tone.waveform[:, None] * np.array([32_000, 0])).astype(np.int16).repeat(3, axis=0)
    film = write_clip(moving_frames, tmp_path / "film.mp4", Recording(tone.waveform, sides))
    visit.open("size=256&samples=1")
    assert not visit.shown("#consent")
    visit.upload("#photo", tmp_path / "own.png")
    visit.all("input[type=file][accept*=video]")[0].send_keys(str(film))  # its sound will do
    visit.wait(lambda: visit.shown("#consent") and visit.all("#audio #waveform"))
    visit.wait(lambda: "The right channel is silent" in visit.text(".toast-body"))
    visit.click("#generate")
    visit.wait(lambda: "Say first that you may use this photo" in visit.text(".toast-body"))
    visit.click("#consent input")
    visit.click("#generate")
    visit.done()
    assert len(visit.clips()) == 1
    visit.click("#card-0 .alone")
    visit.wait(lambda: visit.clips()[0]["heard"] > 1000)


def test_cancel_stops_the_work(visit: Page) -> None:
    visit.open("size=512&samples=6")
    visit.click("#examples .gallery-item:nth-child(1)")
    visit.wait(lambda: "Rendering" in visit.text("#status") and visit.shown("#cancel"))
    visit.click("#cancel")
    visit.wait(lambda: "Cancelled" in visit.text("#status"))
    visit.wait(visit.free)
    assert len(visit.clips()) < 6
    # The next visitor need not wait for what nobody wants any more.
    visit.open("size=256&samples=1")
    visit.click("#examples .gallery-item:nth-child(3)")
    visit.wait(lambda: len(visit.clips()) == 1)


def test_ten_at_once_wait_their_turn_and_see_their_place(
    visit: Page, page: str, portrait: Path, short_speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors = Event()

    def draw_later(*order: Any) -> Any:
        assert doors.wait(PATIENCE)
        yield from draw(*order)

    monkeypatch.setattr(shots, "draw", draw_later)
    client = Client(page, verbose=False)
    photo, sound = handle_file(str(portrait)), handle_file(str(short_speech))
    order = {"photo": photo, "audio": sound, "samples": 1, "look": {"size": 64}}
    order["api_name"] = "/generate"
    try:
        others = [client.submit(**order) for _ in range(9)]
        visit.wait(lambda: sorted(job.status().rank or 0 for job in others)[-1] == 7)
        visit.open("size=256&samples=1")
        visit.click("#examples .gallery-item:nth-child(3)")
        visit.wait(lambda: "queue: 9/9" in visit.text("#status"))
        assert visit.shown("#cancel")
    finally:
        doors.set()
    visit.done()
    assert len(visit.clips()) == 1
    assert all(len(job.result()[0]) == 1 for job in others)


def test_a_text_does_without_a_recording(visit: Page, portrait: Path) -> None:
    visit.open("size=256&samples=1")
    visit.upload("#photo", portrait)
    visit.click("#typing button")
    visit.wait(lambda: visit.shown("#text textarea") and visit.all("#photo img"))
    visit.all("#text textarea")[0].send_keys("Good morning.")
    visit.click("#generate")
    visit.done()
    assert len(visit.clips()) == 1
    assert visit.all("#audio #waveform")
    visit.click("#speak")
    visit.wait(lambda: visit.all("#phonemes textarea, #phonemes input"))
    assert "m" in visit.all("#phonemes textarea, #phonemes input")[0].get_property("value")


def test_what_is_missing_is_said_in_a_sentence(visit: Page, tmp_path: Path) -> None:
    visit.open()
    visit.click("#generate")
    visit.wait(lambda: "There is no photo yet" in visit.text(".toast-body"))
    visit.wait(visit.free)
    letter = tmp_path / "letter.wav"
    letter.write_text("Dear reader, this is not a sound.\n" * 100)
    visit.upload("#audio", letter)  # told before anything runs
    visit.wait(lambda: "can't be read as a sound" in visit.text(".toast-body"))
    Image.linear_gradient("L").save(tmp_path / "ramp.png")
    visit.upload("#photo", tmp_path / "ramp.png")
    visit.wait(lambda: "No face was found" in visit.text(".toast-body"))


def test_a_photo_of_several_people_lets_choose(
    visit: Page, portraits: list[Path], tmp_path: Path
) -> None:
    pair = Image.new("RGB", (1000, 600), "grey")
    pair.paste(Image.open(portraits[1]).resize((400, 400)), (0, 200))
    pair.paste(Image.open(portraits[2]).resize((600, 600)), (400, 0))
    pair.save(tmp_path / "pair.png")
    visit.open()
    visit.upload("#photo", tmp_path / "pair.png")
    visit.wait(lambda: visit.shown("#face") and visit.shown("#faces img"))

    def chosen() -> str:
        return visit.all("#face input")[0].get_property("value")

    visit.wait(lambda: chosen() == "Face 1, number 2 from the left")
    picture = visit.all("#faces img")[0]
    visit.js("arguments[0].scrollIntoView({block: 'center'})", picture)
    width, height = picture.size["width"], picture.size["height"]
    ActionChains(visit.browser).move_to_element_with_offset(
        picture, round(-0.3 * width), round(0.16 * height)
    ).click().perform()
    visit.wait(lambda: chosen() == "Face 2, number 1 from the left")
    visit.click("#found button")
    visit.js("document.querySelector('#mesh').scrollIntoView()")  # else it isn't loaded
    visit.wait(lambda: visit.shown("#mesh img"))
