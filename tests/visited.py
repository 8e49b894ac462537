"""A page of the app in Chromium, with what a visitor can see and do there."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium.common.exceptions import StaleElementReferenceException

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
