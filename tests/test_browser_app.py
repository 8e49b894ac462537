"""The web page as a visitor meets it, in Chromium."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from talking_face.audio import Recording
from talking_face.motion import Motion
from talking_face.video import write_clip

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
DESKTOP = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}

# Plays every clip on the page for a while, one after the other, and tells how it went.
PLAY = """
const done = arguments[arguments.length - 1];
(async () => {
  const seen = [];
  for (const clip of document.querySelectorAll("#cards video, #comparison video")) {
    await clip.play();
    for (let i = 0; i < 100 && clip.currentTime < 0.5; i++)
      await new Promise((wake) => setTimeout(wake, 50));
    seen.push({ready: clip.readyState, time: clip.currentTime, width: clip.videoWidth,
               heard: clip.webkitAudioDecodedByteCount});
    clip.pause();
  }
  done(seen);
})();
"""


class Page:
    """What a visitor can see and do."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser = browser
        self.address = address

    def open(self, screen: dict[str, Any] = DESKTOP, theme: str = "light") -> None:
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.browser.get(f"{self.address}?__theme={theme}")
        self.wait(lambda: self.all("#generate"), 30)

    def all(self, selector: str) -> list[Any]:
        return self.browser.find_elements("css selector", selector)

    def click(self, selector: str) -> None:
        self.browser.execute_script("arguments[0].click()", self.all(selector)[0])

    def text(self, selector: str) -> str:
        return " ".join(element.text for element in self.all(selector))

    def set_number(self, label: str, number: int) -> None:
        field = self.all(f"input[type=number][aria-label*='{label}']")[0]
        self.browser.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'));"
            "arguments[0].dispatchEvent(new Event('change'))",
            field,
            number,
        )

    def upload(self, selector: str, path: Path) -> None:
        self.all(f"{selector} input[type=file]")[0].send_keys(str(path))

    def shown(self, selector: str) -> int:
        return sum(element.is_displayed() for element in self.all(selector))

    def wait(self, condition: Callable[[], Any], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s in vain; {self.text('#status')}"
            time.sleep(0.05)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return self.browser.execute_script(
            "return document.documentElement.scrollWidth - window.innerWidth"
        )


@pytest.fixture
def visit(browser: Any, page: str) -> Iterator[Page]:
    browser.set_script_timeout(60)
    yield Page(browser, page)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get("about:blank")


def test_the_page_asks_no_other_machine_for_anything(visit: Page) -> None:
    visit.open()
    names = visit.browser.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert len(names) > 10
    assert {urlsplit(name).netloc for name in names} <= {urlsplit(visit.address).netloc, ""}


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_an_example_runs_with_one_click(visit: Page, screen: dict[str, Any]) -> None:
    visit.open(screen)
    assert visit.overflow() <= 0
    visit.click("#examples .gallery-item:nth-child(3)")
    arrivals: list[float] = []

    def all_there() -> bool:
        if visit.shown("#cards video") > len(arrivals):
            arrivals.append(time.monotonic())
        return visit.shown("#comparison video") == 1

    visit.wait(all_there, 180)
    visit.wait(lambda: "Done" in visit.text("#status"), 20)
    assert visit.shown("#cards video") == 4
    assert len(arrivals) == 4  # one by one: they were never two more than before
    assert arrivals[-1] - arrivals[0] > 1
    assert "seed 0" in visit.text("#status")
    for number in range(1, 5):
        assert f"sample {number} · seed 0" in visit.text("#cards")
    clips = visit.browser.execute_async_script(PLAY)
    assert len(clips) == 5
    for clip in clips:
        assert clip["ready"] >= 2
        assert clip["time"] >= 0.5
        assert clip["heard"] > 1000
    assert [clip["width"] for clip in clips[:4]] == [512] * 4
    assert visit.overflow() <= 0


def test_uploads_become_clips(
    visit: Page, portrait: Path, recordings: list[Path], tmp_path: Path
) -> None:
    visit.open()
    visit.browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    visit.upload("#photo", portrait)
    visit.upload("#audio", next(path for path in recordings if path.stem == "grid"))
    visit.wait(lambda: visit.all("#photo img") and visit.all("#audio [data-testid^=waveform]"), 20)
    visit.set_number("Samples", 1)
    visit.set_number("Seed", 5)
    visit.click("#generate")
    visit.wait(lambda: "Done" in visit.text("#status"), 120)
    assert visit.shown("#cards video") == 1
    assert "sample 1 · seed 5" in visit.text("#cards")
    assert visit.shown("#comparison video") == 0
    visit.click("#cards .card > button")
    visit.click("#cards a[download]")
    visit.wait(lambda: {path.suffix for path in tmp_path.iterdir()} == {".npz", ".mp4"}, 10)
    (motion,) = tmp_path.glob("*.npz")
    assert len(Motion.load(motion)) > 50


def test_cancel_stops_the_work(visit: Page) -> None:
    visit.open()
    visit.click("#examples .gallery-item:nth-child(1)")
    visit.wait(lambda: "Rendering" in visit.text("#status"), 60)
    visit.click("#cancel")
    visit.wait(lambda: "Cancelled" in visit.text("#status"), 5)
    visit.wait(lambda: visit.shown("#generate") == 1, 5)
    cards = visit.shown("#cards video")
    # The next visitor need not wait for what nobody wants any more.
    visit.open()
    visit.click("#examples .gallery-item:nth-child(3)")
    visit.wait(lambda: visit.shown("#cards video") == 1, 60)
    assert cards < 4


def test_what_is_missing_is_said_in_a_sentence(visit: Page) -> None:
    visit.open()
    visit.click("#generate")
    visit.wait(lambda: "There is no photo yet" in visit.text(".toast-body"), 10)
    visit.wait(lambda: visit.shown("#generate") == 1 and visit.shown("#cancel") == 0, 10)


def test_a_bad_upload_is_told_before_anything_runs(visit: Page, tmp_path: Path) -> None:
    visit.open()
    letter = tmp_path / "letter.wav"
    letter.write_text("Dear reader, this is not a sound.\n" * 100)
    visit.upload("#audio", letter)
    visit.wait(lambda: "can't be read as a sound" in visit.text(".toast-body"), 20)


def test_a_photo_of_several_people_lets_choose(
    visit: Page, portraits: list[Path], tmp_path: Path
) -> None:
    pair = Image.new("RGB", (1000, 600), "grey")
    pair.paste(Image.open(portraits[1]).resize((400, 400)), (0, 200))
    pair.paste(Image.open(portraits[2]).resize((600, 600)), (400, 0))
    pair.save(tmp_path / "pair.png")
    visit.open()
    visit.upload("#photo", tmp_path / "pair.png")
    visit.wait(lambda: visit.shown("#face"), 20)
    chosen = visit.all("#face input")[0].get_property("value")
    assert chosen == "2 from the left, the largest"


def test_the_sound_of_a_video_will_do(
    visit: Page, portrait: Path, moving_frames: list[np.ndarray], tone: Recording, tmp_path: Path
) -> None:
    film = write_clip(moving_frames, tmp_path / "film.mp4", tone)
    visit.open()
    visit.browser.execute_script("document.querySelector('#photo').scrollIntoView()")
    visit.upload("#photo", portrait)
    visit.all("input[type=file][accept*=video]")[0].send_keys(str(film))
    visit.wait(lambda: visit.all("#photo img") and visit.all("#audio [data-testid^=waveform]"), 20)
    visit.set_number("Samples", 1)
    visit.click("#generate")
    visit.wait(lambda: "Done" in visit.text("#status"), 60)
    (clip,) = visit.browser.execute_async_script(PLAY)
    assert clip["heard"] > 1000


def test_the_dice_rolls_another_seed(visit: Page) -> None:
    visit.open()
    field = visit.all("#seeds input")[0]
    seeds = {field.get_property("value")}
    for _ in range(3):
        visit.click("#seeds button")
        time.sleep(0.5)
        seeds.add(field.get_property("value"))
    assert len(seeds) == 4  # two rolls are the same once in a billion
    assert all(0 <= int(seed) < 2**31 for seed in seeds)
