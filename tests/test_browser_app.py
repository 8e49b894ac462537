"""The web page as a visitor meets it, in Chromium."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from talking_face.audio import Recording
from talking_face.motion import Motion
from talking_face.video import write_clip

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
DESKTOP = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
SMALL = "size=256&samples=2"  # as a recipe link says it
CLIPS = """[...document.querySelectorAll("#cards .card video")].map((clip) => ({
  ready: clip.readyState, time: clip.currentTime, paused: clip.paused, muted: clip.muted,
  width: clip.videoWidth, heard: clip.webkitAudioDecodedByteCount, source: clip.currentSrc,
  length: clip.duration,
}))"""
PLOT = "document.querySelector('#plot img')"
COMPARISON = "document.querySelector('#comparison video')"


class Page:
    """What a visitor can see and do."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser = browser
        self.address = address

    def open(
        self, recipe: str = SMALL, screen: dict[str, Any] = DESKTOP, theme: str = "light"
    ) -> None:
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.browser.get(self.address)
        self.js("localStorage.clear()")
        self.browser.get(f"{self.address}?__theme={theme}&{recipe}")
        self.wait(lambda: self.all("#generate"), 30)
        # Restored settings come back as the page's address.
        self.wait(lambda: self.text("#generate") and self.js("return !!window.gradio_config"), 10)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        return self.browser.find_elements("css selector", selector)

    def click(self, selector: str, text: str = "") -> None:
        found = [one for one in self.all(selector) if text in one.get_property("textContent")]
        self.js("arguments[0].click()", found[0])

    def text(self, selector: str) -> str:
        try:
            return " ".join(element.text for element in self.all(selector))
        except StaleElementReferenceException:
            return ""

    def set_number(self, selector: str, number: float) -> None:
        self.js(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'));"
            "arguments[0].dispatchEvent(new Event('change'))",
            self.all(f"{selector} input[type=number]")[0],
            number,
        )

    def number(self, selector: str) -> float:
        return float(self.all(f"{selector} input[type=number]")[0].get_property("value"))

    def upload(self, selector: str, path: Path) -> None:
        self.all(f"{selector} input[type=file]")[0].send_keys(str(path))

    def tab(self, name: str) -> None:
        self.click("#more button[role=tab]", name)

    def shown(self, selector: str) -> int:
        return sum(element.is_displayed() for element in self.all(selector))

    def clips(self) -> list[dict[str, Any]]:
        return self.js(f"return {CLIPS}")

    def wait(self, condition: Callable[[], Any], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition():
            told = self.text("#status") + self.text(".toast-body")
            assert time.monotonic() < end, f"waited {seconds} s in vain; {told}"
            time.sleep(0.05)

    def done(self, seconds: float = 60) -> None:
        """Wait until a run has ended well, with all that follows."""
        self.wait(lambda: "Done" in self.text("#status") and self.shown("#generate"), seconds)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return self.js("return document.documentElement.scrollWidth - window.innerWidth")


@pytest.fixture(scope="module")
def visit(browser: Any, page: str) -> Iterator[Page]:
    browser.set_script_timeout(60)
    yield Page(browser, page)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get("about:blank")


@pytest.fixture
def with_cards(visit: Page, portrait: Path, short_speech: Path) -> Page:
    """A page that shows two samples of a photo and a recording."""
    visit.open()
    visit.upload("#photo", portrait)
    visit.upload("#audio", short_speech)
    visit.wait(lambda: visit.all("#photo img") and visit.all("#audio [data-testid^=waveform]"), 20)
    visit.click("#generate")
    visit.done()
    visit.wait(lambda: all(clip["ready"] >= 2 for clip in visit.clips()), 10)
    return visit


def test_the_page_asks_no_other_machine_for_anything(visit: Page) -> None:
    visit.open()
    names = visit.js("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(names) > 10
    assert {urlsplit(name).netloc for name in names} <= {urlsplit(visit.address).netloc, ""}


def test_an_example_runs_with_one_click_on_a_phone(visit: Page) -> None:
    visit.open(screen=PHONE, theme="dark")
    assert visit.overflow() <= 0
    arrived: list[float] = []
    visit.click("#examples .gallery-item:nth-child(3)")

    def all_there() -> bool:
        if len(visit.clips()) > len(arrived):
            arrived.append(time.monotonic())
        return len(arrived) == 2

    visit.wait(all_there, 60)  # one by one: they were never two more than before
    assert arrived[1] - arrived[0] > 0.3
    visit.done()
    assert "seed 0" in visit.text("#status")
    for number in (1, 2):
        assert f"sample {number} · seed 0" in visit.text("#cards")
    visit.wait(lambda: visit.js("return scrollY") > 100, 5)  # the clips are where one looks
    assert visit.overflow() <= 0


def test_cards_play_in_step_with_one_sound(with_cards: Page) -> None:
    page = with_cards
    page.click("#play-all")
    page.wait(lambda: all(clip["time"] > 0.3 for clip in page.clips()), 10)
    first, second = page.clips()
    assert (first["width"], second["width"]) == (256, 256)
    assert abs(first["time"] - second["time"]) < 0.25
    assert (first["muted"], second["muted"]) == (False, True)
    assert first["heard"] > 1000
    page.wait(lambda: all(clip["paused"] for clip in page.clips()), 10)  # the end
    page.wait(lambda: "Play all" in page.text("#play-all"), 5)

    page.click("#chosen label", "2")
    page.wait(lambda: [clip["muted"] for clip in page.clips()] == [True, False], 5)
    page.js(
        "const bar = document.getElementById('seek'); bar.value = 0.5;"
        "for (const name of ['input', 'change'])"
        " bar.dispatchEvent(new Event(name, {bubbles: true}))"
    )
    page.wait(lambda: [round(clip["time"], 1) for clip in page.clips()] == [0.5, 0.5], 5)
    assert "0:00 / 0:01" in page.text("#clock")

    page.click("#card-0 .alone")
    page.wait(lambda: page.clips()[0]["time"] > 0.7, 10)
    first, second = page.clips()
    assert not first["muted"]
    assert second["paused"]
    assert round(second["time"], 1) == 0.5


def test_one_is_rolled_again_and_kept_ones_stay(with_cards: Page) -> None:
    page = with_cards
    before = [clip["source"] for clip in page.clips()]
    page.click("#card-1 .roll")
    page.wait(lambda: "sample 3 · seed 0" in page.text("#card-1"), 60)
    page.done()
    rolled = [clip["source"] for clip in page.clips()]
    assert rolled[0] == before[0]
    assert rolled[1] != before[1]
    assert "takes=0%2C2" in page.js("return location.search")

    page.click("#card-1 .keep input")
    page.click("#generate")
    page.wait(lambda: "sample 4 · seed 0" in page.text("#card-0"), 60)
    page.done()
    assert page.clips()[1]["source"] == rolled[1]
    assert "sample 3 · seed 0" in page.text("#card-1")


def test_a_smile_is_previewed_and_applied(with_cards: Page) -> None:
    page = with_cards
    page.wait(lambda: page.all("#preview img"), 10)

    def preview() -> str:
        return page.all("#preview img")[0].get_property("src")

    before, clip = preview(), page.clips()[0]["source"]
    began = time.monotonic()
    page.all("#smile input[type=range]")[0].send_keys(Keys.ARROW_RIGHT * 18)  # as without a mouse
    page.wait(lambda: preview() != before, 10)
    assert page.number("#smile") == 0.9
    assert time.monotonic() - began < 5  # on a busy machine; 0.5 s on a quiet one
    assert page.clips()[0]["source"] == clip
    page.wait(lambda: "smile=0.9" in page.js("return location.search"), 5)
    smile = preview()
    page.click("#presets button", "Sad")
    page.wait(lambda: preview() != smile and page.number("#smile") < 0, 10)
    page.click("#apply")
    page.wait(lambda: page.clips()[0]["source"] != clip, 60)
    page.done()
    assert "sample 1 · seed 0" in page.text("#card-0")
    page.click("#reset")
    page.wait(lambda: page.number("#smile") == 0, 10)


def test_samples_are_compared_mixed_and_shared(with_cards: Page, tmp_path: Path) -> None:
    page = with_cards
    page.browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    page.click("#card-0 .clip")
    page.click("#card-1 .motion")
    names = {"sample-1_seed-0.mp4", "sample-2_seed-0.npz"}
    page.wait(lambda: {path.name for path in tmp_path.iterdir()} == names, 10)
    assert len(Motion.load(tmp_path / "sample-2_seed-0.npz")) == 25

    page.tab("Compare")
    page.wait(
        lambda: page.js("return document.querySelector('#plot img')?.naturalWidth") == 960, 20
    )
    page.click("#compare")
    page.wait(lambda: page.js(f"return {COMPARISON}?.videoWidth") == 512, 30)
    page.click("#mix")
    page.wait(lambda: "mix 1+2+2" in page.text("#card-2"), 60)
    page.done()
    assert not page.shown("#comparison video")  # it no longer shows what there is

    page.tab("Share")
    page.click("#share")
    page.wait(lambda: page.shown("#files .file-preview tr") == 5, 30)
    listed = page.text("#files")
    assert all(kind in listed for kind in (".png", ".gif", ".mp4", ".npz", ".csv"))


def test_a_link_and_the_browser_restore_the_settings(visit: Page) -> None:
    visit.open("")
    visit.click("#settings button")
    visit.click("#seeds button")
    visit.wait(lambda: "seed=" in visit.js("return location.search"), 10)
    visit.set_number("#seed", 1234)
    visit.click("#background label", "colour")
    visit.wait(lambda: "background=colour" in visit.js("return location.search"), 10)
    link = visit.js("return location.href")
    assert parse_qs(urlsplit(link).query)["seed"] == ["1234"]
    stored = json.loads(visit.js("return localStorage.getItem('talking-face-settings')"))
    assert stored == {"seed": 1234, "background": "colour"}

    def restored() -> bool:
        return bool(visit.all("#seed input")) and visit.number("#seed") == 1234

    visit.browser.get(visit.address)  # the address says nothing, so the browser remembers
    visit.wait(lambda: visit.all("#settings button"), 20)
    visit.click("#settings button")
    visit.wait(restored, 10)
    visit.js("localStorage.clear()")
    visit.browser.get(link + "&smile=0.5&samples=99&diversity=much")
    visit.wait(lambda: visit.all("#settings button"), 20)
    visit.click("#settings button")
    visit.wait(restored, 10)
    visit.wait(lambda: visit.shown("#colour"), 10)
    query = parse_qs(urlsplit(visit.js("return location.href")).query)
    assert query["smile"] == ["0.5"]
    assert query["samples"] == ["6"]
    assert "diversity" not in query


def test_a_photo_of_ones_own_needs_a_tick(
    visit: Page, portrait: Path, moving_frames: list[np.ndarray], tone: Recording, tmp_path: Path
) -> None:
    Image.open(portrait).resize((400, 400)).save(tmp_path / "own.png")
    film = write_clip(moving_frames, tmp_path / "film.mp4", tone)
    visit.open("size=256&samples=1")
    assert not visit.shown("#consent")
    visit.upload("#photo", tmp_path / "own.png")
    visit.all("input[type=file][accept*=video]")[0].send_keys(str(film))  # its sound will do
    visit.wait(lambda: visit.shown("#consent") and visit.all("#audio [data-testid^=waveform]"), 20)
    visit.click("#generate")
    visit.wait(lambda: "Say first that you may use this photo" in visit.text(".toast-body"), 10)
    visit.click("#consent input")
    visit.click("#generate")
    visit.done()
    assert len(visit.clips()) == 1
    visit.click("#card-0 .alone")
    visit.wait(lambda: visit.clips()[0]["heard"] > 1000, 10)


def test_cancel_stops_the_work(visit: Page) -> None:
    visit.open("size=512&samples=6")
    visit.click("#examples .gallery-item:nth-child(1)")
    visit.wait(lambda: "Rendering" in visit.text("#status"), 60)
    visit.click("#cancel")
    visit.wait(lambda: "Cancelled" in visit.text("#status"), 5)
    visit.wait(lambda: visit.shown("#generate") == 1, 5)
    assert len(visit.clips()) < 6
    # The next visitor need not wait for what nobody wants any more.
    visit.open("size=256&samples=1")
    visit.click("#examples .gallery-item:nth-child(3)")
    visit.wait(lambda: len(visit.clips()) == 1, 60)


def test_who_waits_sees_the_place_in_the_queue(
    visit: Page, page: str, portrait: Path, speech: Path
) -> None:
    client = Client(page, verbose=False)
    photo, sound = handle_file(str(portrait)), handle_file(str(speech))
    busy = [
        client.submit(photo, sound, samples=6, seed=seed, api_name="/generate") for seed in (1, 2)
    ]
    visit.open()
    visit.click("#examples .gallery-item:nth-child(3)")
    visit.wait(lambda: "queue" in visit.text("#status"), 20)
    for job in busy:
        job.cancel()


def test_a_text_is_spoken(visit: Page) -> None:
    visit.open()
    visit.click("#typing button")
    visit.wait(lambda: visit.shown("#text textarea"), 10)
    visit.all("#text textarea")[0].send_keys("Good morning.")
    visit.click("#speak")
    visit.wait(lambda: visit.all("#audio [data-testid^=waveform]"), 20)
    visit.wait(lambda: visit.all("#phonemes textarea, #phonemes input"), 10)
    assert "m" in visit.all("#phonemes textarea, #phonemes input")[0].get_property("value")


def test_what_is_missing_is_said_in_a_sentence(visit: Page, tmp_path: Path) -> None:
    visit.open()
    visit.click("#generate")
    visit.wait(lambda: "There is no photo yet" in visit.text(".toast-body"), 10)
    visit.wait(lambda: visit.shown("#generate") == 1 and visit.shown("#cancel") == 0, 10)
    letter = tmp_path / "letter.wav"
    letter.write_text("Dear reader, this is not a sound.\n" * 100)
    visit.upload("#audio", letter)  # told before anything runs
    visit.wait(lambda: "can't be read as a sound" in visit.text(".toast-body"), 20)
    Image.linear_gradient("L").save(tmp_path / "ramp.png")
    visit.upload("#photo", tmp_path / "ramp.png")
    visit.wait(lambda: "No face was found" in visit.text(".toast-body"), 20)


def test_a_photo_of_several_people_lets_choose(
    visit: Page, portraits: list[Path], tmp_path: Path
) -> None:
    pair = Image.new("RGB", (1000, 600), "grey")
    pair.paste(Image.open(portraits[1]).resize((400, 400)), (0, 200))
    pair.paste(Image.open(portraits[2]).resize((600, 600)), (400, 0))
    pair.save(tmp_path / "pair.png")
    visit.open()
    visit.upload("#photo", tmp_path / "pair.png")
    visit.wait(lambda: visit.shown("#face") and visit.shown("#faces img"), 20)

    def chosen() -> str:
        return visit.all("#face input")[0].get_property("value")

    assert chosen() == "2 from the left, the largest"
    picture = visit.all("#faces img")[0]
    visit.js("arguments[0].scrollIntoView({block: 'center'})", picture)
    width, height = picture.size["width"], picture.size["height"]
    ActionChains(visit.browser).move_to_element_with_offset(
        picture, round(-0.3 * width), round(0.16 * height)
    ).click().perform()
    visit.wait(lambda: chosen() == "1 from the left", 10)
    visit.click("#found button")
    visit.wait(lambda: visit.shown("#mesh img"), 20)
