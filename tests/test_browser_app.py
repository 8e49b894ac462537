"""The web page as a visitor meets it, in Chromium."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys
from visited import (
    COMPARISON,
    COUNT,
    FAINT,
    NAMELESS,
    PHONE,
    Page,
)

from talking_face.motion import Motion
from talking_face.web import shots
from talking_face.web.models import hear_and_draw

pytestmark = [pytest.mark.browser, pytest.mark.slow]


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


def test_a_phone_shows_all_tabs_and_where_the_keyboard_is(visit: Page) -> None:
    visit.open("size=256&samples=1", PHONE | {"width": 360})
    visit.click("#examples .gallery-item:nth-child(3)")
    visit.done()
    tabs = [tab.text for tab in visit.all("#more [role=tab]") if tab.is_displayed()]
    assert tabs == ["Expression", "Compare & mix", "3-D", "Share"]
    assert visit.overflow() <= 0
    field = visit.all("#settings input[type=number]")[0]
    for kind in ("range", "radio"):
        field.send_keys(Keys.TAB)  # as one does who has no mouse
        while visit.js("return document.activeElement.type") != kind:
            visit.browser.switch_to.active_element.send_keys(Keys.TAB)
        style = visit.js("return getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid", kind
        field = visit.browser.switch_to.active_element


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
