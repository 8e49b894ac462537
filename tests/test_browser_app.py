"""The web page as a visitor meets it, in Chromium."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from talking_face.clips.video import write_clip
from talking_face.motion import Motion
from talking_face.sound.audio import Recording
from talking_face.web import shots
from talking_face.web.models import hear_and_draw
from talking_face.web.shots import draw

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
DESKTOP = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
PATIENCE = 60.0  # seconds; long, as a busy machine is slow, not wrong
SMALL = "size=256&samples=2"  # as a recipe link says it
CLIPS = """[...document.querySelectorAll("#cards .card video")].map((clip) => ({
  ready: clip.readyState, time: clip.currentTime, paused: clip.paused, muted: clip.muted,
  width: clip.videoWidth, heard: clip.webkitAudioDecodedByteCount, source: clip.currentSrc,
  length: clip.duration,
}))"""
COUNT = """window.counts = [0];
new MutationObserver(() => counts.push(document.querySelectorAll("#cards .card video").length))
  .observe(document.body, {childList: true, subtree: true});"""
# Texts that stand out less than 4.5 : 1 from what is behind them, as WCAG 2 counts it.
FAINT = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const rgba = (colour) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = (top, below) => below.map((value, i) => top[i] * top[3] + value * (1 - top[3]));
const behind = (part) => part
  ? over(rgba(getComputedStyle(part).backgroundColor), behind(part.parentElement))
  : [255, 255, 255];
const linear = (v) => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) + 0.05;
const texts = [...document.querySelectorAll("body *")].filter((part) =>
  part.checkVisibility({opacityProperty: true}) && !part.matches(":disabled") &&
  [...part.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
const faint = texts.filter((part) => {
  const back = behind(part), front = over(rgba(getComputedStyle(part).color), back);
  const ratio = light(front) / light(back);
  return Math.max(ratio, 1 / ratio) < 4.5;
});
return [texts.length, faint.map((part) => part.outerHTML.slice(0, 200))];"""
NAMELESS = """
const name = (part) => part.ariaLabel || [...part.labels ?? []].map((l) => l.innerText).join() ||
  part.title || part.innerText;
return [...document.querySelectorAll("button, a, input, textarea, select")]
  .filter((part) => part.checkVisibility() && !name(part).trim())
  .map((part) => part.outerHTML.slice(0, 200));"""
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
        # A page that is still open might remember its settings once more after they were cleared.
        self.browser.get("about:blank")
        stored = {"origin": self.address.rstrip("/"), "storageTypes": "local_storage"}
        self.browser.execute_cdp_cmd("Storage.clearDataForOrigin", stored)
        self.browser.get(f"{self.address}?__theme={theme}&{recipe}")
        self.wait(lambda: self.all("#generate"))
        # Restored settings come back as the page's address.
        self.wait(lambda: self.text("#generate") and self.js("return !!window.gradio_config"))

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

    def wait(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not condition():
            told = self.text("#status") + self.text(".toast-body")
            assert time.monotonic() < end, f"waited {seconds} s in vain; {told}"
            time.sleep(0.05)

    def done(self) -> None:
        """Wait until a run has ended well, with all that follows."""
        self.wait(lambda: "Done" in self.text("#status") and self.free())

    def free(self) -> bool:
        """Whether clips can be ordered."""
        return not self.all("#generate:disabled") and not self.shown("#cancel")

    def within_window(self, selector: str) -> bool:
        """Whether all of an element can be seen without scrolling."""
        return self.js(
            "const at = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return at.height > 0 && at.top >= 0 && at.bottom <= innerHeight",
            selector,
        )

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
    visit.wait(lambda: visit.all("#photo img") and visit.all("#audio #waveform"))
    visit.click("#generate")
    visit.done()
    visit.wait(lambda: all(clip["ready"] >= 2 for clip in visit.clips()))
    return visit


def test_the_page_asks_no_other_machine_for_anything(visit: Page) -> None:
    visit.open()
    names = visit.js("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(names) > 10
    assert {urlsplit(name).netloc for name in names} <= {urlsplit(visit.address).netloc, ""}


def test_an_example_runs_with_one_click_on_a_phone(visit: Page) -> None:
    visit.open(screen=PHONE, theme="dark")
    assert visit.overflow() <= 0
    visit.js(COUNT)
    visit.click("#examples .gallery-item:nth-child(3)")
    visit.done()
    visit.wait(lambda: len(visit.clips()) == 2)
    counts = visit.js("return counts")
    assert counts == sorted(counts)
    assert 1 in counts  # one by one: the first could be seen while the second was made
    assert "seed 0" in visit.text("#status")
    for number in (1, 2):
        assert f"sample {number} · seed 0" in visit.text("#cards")
    # However short the run was, one looks at the clips, and at nothing else.
    visit.wait(lambda: visit.within_window("#status") and visit.within_window("#card-0 video"))
    assert visit.overflow() <= 0


def test_who_scrolls_meanwhile_is_left_there(visit: Page) -> None:
    visit.open("size=256&samples=1", PHONE)
    visit.click("#examples .gallery-item:nth-child(3)")
    visit.js("document.body.dispatchEvent(new WheelEvent('wheel', {bubbles: true}))")
    visit.done()
    assert visit.js("return scrollY") == 0
    assert not visit.within_window("#status")


def test_every_text_can_be_read_and_every_control_has_a_name(with_cards: Page) -> None:
    page = with_cards
    page.click("#typing button")
    for tab, part in (("Share", "#share"), ("Compare", "#plot img"), ("Expression", "#smile")):
        page.tab(tab)
        page.wait(lambda part=part: page.shown(part))
        for dark in (False, True):
            page.js("document.body.classList.toggle('dark', arguments[0])", dark)
            page.js("document.getAnimations().forEach((one) => one.finish())")
            count, faint = page.js(FAINT)
            assert count > 50
            assert faint == []
        page.wait(lambda: page.js(NAMELESS) == [])  # pictures that came just now get theirs soon


def test_cards_play_in_step_with_one_sound(with_cards: Page) -> None:
    page = with_cards
    page.click("#play-all")

    def in_step() -> bool:
        first, second = (clip["time"] for clip in page.clips())
        return first > 0.3 and abs(first - second) < 0.25

    page.wait(in_step)
    first, second = page.clips()
    assert (first["width"], second["width"]) == (256, 256)
    assert (first["muted"], second["muted"]) == (False, True)
    assert first["heard"] > 1000
    page.wait(lambda: all(clip["paused"] for clip in page.clips()))  # the end
    page.wait(lambda: "Play all" in page.text("#play-all"))

    page.click("#chosen label", "2")
    page.wait(lambda: [clip["muted"] for clip in page.clips()] == [True, False])
    page.js(
        "const bar = document.getElementById('seek'); bar.value = 0.5;"
        "for (const name of ['input', 'change'])"
        " bar.dispatchEvent(new Event(name, {bubbles: true}))"
    )
    page.wait(lambda: [round(clip["time"], 1) for clip in page.clips()] == [0.5, 0.5])
    assert "0:00 / 0:01" in page.text("#clock")

    page.click("#card-0 .alone")
    page.wait(lambda: page.clips()[0]["time"] > 0.7)
    first, second = page.clips()
    assert not first["muted"]
    assert second["paused"]
    assert round(second["time"], 1) == 0.5


def test_one_is_rolled_again_and_kept_ones_stay(with_cards: Page) -> None:
    page = with_cards
    before = [clip["source"] for clip in page.clips()]
    page.click("#card-1 .roll")
    page.wait(lambda: "sample 3 · seed 0" in page.text("#card-1"))
    page.done()
    rolled = [clip["source"] for clip in page.clips()]
    assert rolled[0] == before[0]
    assert rolled[1] != before[1]
    page.wait(lambda: "takes=0%2C2" in page.js("return location.search"))

    page.click("#card-1 .keep input")
    page.click("#generate")
    page.wait(lambda: "sample 4 · seed 0" in page.text("#card-0"))
    page.done()
    assert page.clips()[1]["source"] == rolled[1]
    assert "sample 3 · seed 0" in page.text("#card-1")


def test_a_smile_is_previewed_and_applied(with_cards: Page) -> None:
    page = with_cards
    page.wait(lambda: page.all("#preview img"))

    def preview() -> str:
        return page.all("#preview img")[0].get_property("src")

    before, clip = preview(), page.clips()[0]["source"]
    page.all("#smile input[type=range]")[0].send_keys(Keys.ARROW_RIGHT * 18)  # as without a mouse
    page.wait(lambda: preview() != before and page.number("#smile") == 0.9)
    assert page.clips()[0]["source"] == clip
    page.wait(lambda: "smile=0.9" in page.js("return location.search"))
    smile = preview()
    page.click("#feeling button", "Sad")
    page.wait(lambda: preview() != smile and "feeling=sad" in page.js("return location.search"))
    assert page.all("#feeling [aria-checked=true]")[0].text == "Sad"
    page.click("#apply")
    page.wait(lambda: page.clips()[0]["source"] != clip)
    page.done()
    assert "sample 1 · seed 0" in page.text("#card-0")
    page.click("#reset")
    page.wait(lambda: page.number("#smile") == 0)
    assert page.all("#feeling [aria-checked=true]")[0].text == "From the voice"

    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    for name in ("mouth-opening", "blinks"):  # it stays in sight, whichever slider is moved
        page.js(f"document.getElementById('{name}').scrollIntoView({{block: 'center'}})")
        page.wait(lambda: page.within_window("#preview img"))


def test_a_feeling_is_chosen_on_the_pad(visit: Page) -> None:
    def pad() -> Any:
        return visit.all("#feeling .pad")[0]

    def told() -> str:
        return str(pad().get_attribute("aria-valuetext"))

    visit.open()
    visit.wait(lambda: visit.all("#feeling .pad"))
    visit.click("#feeling button", "Happy")
    visit.wait(lambda: told().startswith("happy: valence 0.81"))
    pad().send_keys(Keys.ARROW_LEFT * 3 + Keys.ARROW_DOWN)  # as without a mouse
    visit.wait(lambda: told() == "valence 0.51, arousal 0.41")
    visit.wait(lambda: "feeling=0.51%2C0.41" in visit.js("return location.search"))
    visit.js(
        "const pad = arguments[0], box = pad.getBoundingClientRect();"
        "pad.setPointerCapture = () => {};"
        "pad.dispatchEvent(new PointerEvent('pointerdown', {pointerId: 1, pointerType: 'touch',"
        "clientX: box.left + box.width * 0.27, clientY: box.top + box.height * 0.27}))",
        pad(),
    )
    visit.wait(lambda: re.fullmatch(r"valence −0.(49|5.), arousal 0.(49|5.)", told()))
    visit.wait(lambda: "feeling=-0." in visit.js("return location.search"))


def test_strengths_are_chosen_before_and_changed_after_drawing(
    visit: Page, portrait: Path, short_speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []

    def count(*arguments: Any) -> Any:
        drawn.append(arguments)
        return hear_and_draw(*arguments)

    monkeypatch.setattr(shots, "hear_and_draw", count)
    visit.browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )

    def downloaded() -> Motion:
        path = tmp_path / "sample-1_seed-0.npz"
        visit.click("#card-0 .motion")
        visit.wait(path.exists)
        motion = Motion.load(path)
        path.unlink()
        return motion

    visit.open("size=256&samples=1&pose_strength=0")
    assert visit.number("#settings #pose-strength") == 0
    assert visit.shown("#settings #expression") == 1
    visit.upload("#photo", portrait)
    visit.upload("#audio", short_speech)
    visit.wait(lambda: visit.all("#photo img") and visit.all("#audio #waveform"))
    visit.click("#generate")
    visit.done()
    held = downloaded()
    assert not held.rotation.any()

    visit.wait(lambda: visit.all("#preview img"))
    shown, clip = visit.all("#preview img")[0].get_property("src"), visit.clips()[0]["source"]
    visit.all("#pose-strength input[type=range]")[0].send_keys(Keys.ARROW_RIGHT * 15)
    visit.wait(lambda: visit.all("#preview img")[0].get_property("src") != shown)
    visit.wait(lambda: visit.number("#pose-strength") == 1.5)
    visit.click("#apply")
    visit.wait(lambda: visit.clips()[0]["source"] != clip)
    visit.done()
    moved = downloaded()
    assert np.abs(moved.rotation).max() > 0.5  # degrees
    np.testing.assert_array_equal(moved.lower, held.lower)
    assert len(drawn) == 1


def test_samples_are_compared_mixed_and_shared(with_cards: Page, tmp_path: Path) -> None:
    page = with_cards
    page.browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    page.click("#card-0 .clip")
    page.click("#card-1 .motion")
    names = {"sample-1_seed-0.mp4", "sample-2_seed-0.npz"}
    page.wait(lambda: {path.name for path in tmp_path.iterdir()} == names)
    assert len(Motion.load(tmp_path / "sample-2_seed-0.npz")) == 25

    page.tab("Compare")
    page.wait(
        lambda: page.js("return document.querySelector('#plot img')?.naturalWidth") == 960, 20
    )
    page.click("#compare")
    page.wait(lambda: page.js(f"return {COMPARISON}?.videoWidth") == 512)
    page.click("#mix")
    page.wait(lambda: "mix 1+2+2" in page.text("#card-2"))
    page.done()
    assert not page.shown("#comparison video")  # it no longer shows what there is

    page.tab("Share")
    page.click("#share")
    page.wait(lambda: page.shown("#files .file-preview tr") == 5)
    listed = page.text("#files")
    assert all(kind in listed for kind in (".png", ".gif", ".mp4", ".npz", ".csv"))


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
