"""The page's viewer of heads, in Chromium: it shows one, moves it, and keeps step with the clip."""

import base64
import functools
import io
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from conftest import ASSETS
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from talking_face import load_animator
from talking_face.clips.video import write_clip
from talking_face.exports import export
from talking_face.web.turning import VIEWER

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE = """<!doctype html><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><style>{style}</style>
<style>#head-stage {{ width: 480px; }} body {{ height: 3000px; }}</style>
<script>
const talkingFace = {{
  moment: () => document.getElementById("clip").currentTime,
  chosenClip: () => "",
}};
</script>
<video id="clip" src="{clip}" muted></video>{viewer}
<script type="module">{script}</script>"""
# Draws anew, and answers with the picture and what the viewer says of itself.
LOOK = """
const done = arguments[0], canvas = document.querySelector("#head-stage canvas");
talkingHead.redraw();
requestAnimationFrame(() => requestAnimationFrame(() => {
  talkingHead.redraw();
  requestAnimationFrame(() => done([canvas.toDataURL("image/png"), talkingHead.state(),
    document.getElementById("clip").currentTime]));
}));
"""
SHOW = """
const done = arguments[0], clip = document.getElementById("clip");
clip.currentTime = 0;
talkingHead.show([{ url: location.origin + "/clip.glb" }])
  .then(() => done(document.querySelector("#head-stage output").textContent));
"""
SEEK = """
const done = arguments[1], clip = document.getElementById("clip");
clip.onseeked = () => done(clip.currentTime);
clip.currentTime = arguments[0];
"""
PLAY = """
const done = arguments[0], clip = document.getElementById("clip"), off = [];
let rounds = 0, over = false;  // a busy machine draws hardly a frame a second
clip.onended = () => {
  over = off.length >= 3 || ++rounds === 10;
  over ? done(off) : clip.play();
};
clip.currentTime = 0;
clip.play();
const look = () => {
  if (clip.currentTime > 0.1 && !clip.ended)
    off.push(Math.abs(clip.currentTime - talkingHead.state().time));
  if (!over) requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory, portrait, short_speech):
    """A page with the viewer and a clip, served by this process."""
    folder = tmp_path_factory.mktemp("site")
    animator = load_animator()
    face, speech = animator.fit(portrait), animator.listen(short_speech)
    (motion,) = animator.sample(speech, 1)
    export(animator, face, motion, "glb", folder / "clip")
    frames = [np.full((64, 64, 3), 90, dtype=np.uint8)] * len(motion)
    write_clip(frames, folder / "clip.mp4", speech.recording)
    (folder / "three.min.js").write_bytes((ASSETS / "viewer" / "three.min.js").read_bytes())
    root = ASSETS.parent
    (folder / "index.html").write_text(
        PAGE.format(
            # Within the page, so that it can be sought without a server that knows parts of files.
            clip="data:video/mp4;base64,"
            + base64.b64encode((folder / "clip.mp4").read_bytes()).decode(),
            style=(root / "app.css").read_text(),
            viewer=VIEWER.format(three="three.min.js"),
            script=(root / "viewer.js").read_text(),
        )
    )

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", motion
    server.shutdown()
    server.server_close()


def look(browser):
    """The picture (h, w, 4) that the viewer shows, its state, and the clip's time."""
    url, state, at = browser.execute_async_script(LOOK)
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    return np.asarray(picture.convert("RGBA")).astype(int), state, at


def test_a_head_is_shown_turned_and_speaks_in_step(browser, site):
    address, motion = site
    browser.set_script_timeout(120)
    browser.get(address)
    assert "needs a clip" in browser.find_element(By.CSS_SELECTOR, "#head-stage output").text
    browser.execute_script("talkingHead.begin()")
    assert "choose a finished" in browser.find_element(By.CSS_SELECTOR, "#head-stage output").text
    assert browser.execute_async_script(SHOW) == ""
    first, state, _ = look(browser)
    covered = first[..., 3] > 0
    assert 0.15 < covered.mean() < 0.9, "the picture is blank, or nothing but head"
    assert first[covered][:, :3].std() > 20
    assert state["triangles"] > 5000

    widest = int(np.argmax(np.abs(motion.lower).sum(1)))
    at = browser.execute_async_script(SEEK, (widest + 0.5) / 25)
    spoken, state, _ = look(browser)
    assert np.abs(spoken - first).max() > 40, "it doesn't move"
    assert abs(state["time"] - at) <= 2 / 25

    canvas = browser.find_element(By.CSS_SELECTOR, "#head-stage canvas")
    ActionChains(browser).drag_and_drop_by_offset(canvas, -60, 10).perform()
    turned, state, _ = look(browser)
    assert 15 < state["yaw"] <= 35
    assert np.abs(turned - spoken).mean() > 2
    canvas.send_keys(Keys.ARROW_RIGHT * 9)
    assert look(browser)[1]["yaw"] == 35, "it turns no further than it is made for"

    held = {name: state[name] for name in ("geometries", "textures")}
    assert browser.execute_async_script(SHOW) == ""  # another head takes the place of the first
    now = look(browser)[1]
    assert {name: now[name] for name in held} == held, "the first is still held"

    browser.find_element(By.NAME, "bare").click()
    bare, state, _ = look(browser)
    assert (bare[..., 3] > 0).mean() < 0.6 * (turned[..., 3] > 0).mean()
    browser.find_element(By.NAME, "bare").click()

    late = browser.execute_async_script(PLAY)
    assert len(late) >= 3
    assert np.median(late) <= 2 / 25


class Fingers:
    """Touches a browser's screen, as if it were a tablet's."""

    def __init__(self, browser):
        self.browser = browser

    def __enter__(self):
        screen = {"width": 600, "height": 900, "deviceScaleFactor": 1, "mobile": True}
        self._tell("Emulation.setDeviceMetricsOverride", **screen)
        self._tell("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=5)
        return self

    def __exit__(self, *error):
        self._tell("Emulation.setTouchEmulationEnabled", enabled=False)
        self._tell("Emulation.clearDeviceMetricsOverride")

    def _tell(self, command, **options):
        self.browser.execute_cdp_cmd(command, options)

    def touch(self, kind, *points):
        """What the screen reports: touchStart, touchMove, touchEnd or touchCancel."""
        points = [{"x": float(x), "y": float(y), "id": id} for id, (x, y) in enumerate(points)]
        self._tell("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def lift(self, id, x, y):
        """One of the fingers that are down goes."""
        point = {"x": float(x), "y": float(y), "id": id}
        self._tell("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[point])

    def move(self, starts, ends, steps=8):
        """Fingers that are down go from `starts` to `ends`, (n, 2) pixels each."""
        for share in np.linspace(0, 1, steps + 1)[1:]:
            self.touch("touchMove", *(np.array(starts) * (1 - share) + np.array(ends) * share))
            time.sleep(0.03)  # a browser doesn't scroll by a touch that is over at once

    def drag(self, starts, ends):
        self.touch("touchStart", *starts)
        self.move(starts, ends)
        self.touch("touchEnd")

    def seen(self):
        """Yaw, pitch, zoom of the head; how far the page is scrolled, how much it is enlarged."""
        return self.browser.execute_script(
            "const {yaw, pitch, zoom} = talkingHead.state();"
            "return [yaw, pitch, zoom, scrollY, visualViewport.scale];"
        )


def test_fingers_turn_and_zoom_a_head_and_scroll_the_page_beside_it(browser, site):
    browser.set_script_timeout(120)
    browser.get(site[0])
    assert browser.execute_async_script(SHOW) == ""
    with Fingers(browser) as fingers:

        def place(part):
            script = "return document.querySelector(arguments[0]).getBoundingClientRect()"
            return browser.execute_script(script, f"#head-stage {part}")

        rect = place(".picture")
        WebDriverWait(browser, 10).until(lambda _: place("canvas") == rect)
        x, y = rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2

        fingers.drag([(x, y)], [(x - 60, y + 20)])
        assert fingers.seen() == [pytest.approx(21), pytest.approx(7), 1, 0, 1]
        fingers.drag([(x, y - 100)], [(x, y + 100)])
        assert fingers.seen() == [pytest.approx(21), 20, 1, 0, 1], "the page doesn't go along"

        fingers.drag([(x - 20, y), (x + 20, y)], [(x - 35, y), (x + 35, y)])
        assert fingers.seen() == [pytest.approx(21), 20, pytest.approx(1.75), 0, 1]
        fingers.drag([(x - 100, y), (x + 100, y)], [(x - 10, y), (x + 10, y)])
        assert fingers.seen() == [pytest.approx(21), 20, pytest.approx(0.6), 0, 1]

        # When one of two is lifted, the other one turns it on from where it was.
        fingers.touch("touchStart", (x - 20, y), (x + 20, y))
        fingers.lift(1, x + 20, y)
        fingers.move([(x - 20, y)], [(x + 20, y)])
        fingers.touch("touchEnd")
        assert fingers.seen()[0] == pytest.approx(7)

        # A hand laid on it doesn't throw it around.
        hand = [(x, y), (x + 40, y), (x + 80, y)]
        fingers.drag(hand, [(x - 60, y), (x - 20, y), (x + 20, y)])
        assert fingers.seen()[:3] == [pytest.approx(7), 20, pytest.approx(0.6)]

        fingers.touch("touchStart", (x, y))
        fingers.touch("touchCancel")
        fingers.drag([(x, y)], [(x + 20, y)])
        assert fingers.seen()[0] == pytest.approx(0)

        # What a finger on it swipes up doesn't scroll the page; what one beside it does, does.
        fingers.drag([(x, y + 75)], [(x, y - 75)])
        assert fingers.seen() == [pytest.approx(0), -20, pytest.approx(0.6), 0, 1]
        below = rect["bottom"] + 200
        fingers.drag([(x, below)], [(x, below - 150)])
        WebDriverWait(browser, 10).until(lambda _: fingers.seen()[3] > 50)
        assert fingers.seen()[:3] == [pytest.approx(0), -20, pytest.approx(0.6)]


def test_the_tab_shows_the_chosen_sample(browser, page, portrait, short_speech):
    browser.set_script_timeout(120)
    browser.get(f"{page}/?size=256&samples=1")
    wait = WebDriverWait(browser, 120)

    def seen(selector):
        return wait.until(lambda _: browser.find_elements(By.CSS_SELECTOR, selector))

    def press(selector, text=""):
        parts = [one for one in seen(selector) if text in one.get_property("textContent")]
        browser.execute_script("arguments[0].click()", parts[0])

    seen("#photo input[type=file]")[0].send_keys(str(portrait))
    seen("#audio input[type=file]")[0].send_keys(str(short_speech))
    wait.until(lambda _: browser.find_elements(By.CSS_SELECTOR, "#photo img"))
    wait.until(lambda _: browser.find_elements(By.CSS_SELECTOR, "#audio #waveform"))
    press("#generate")
    wait.until(lambda _: "Done" in browser.find_element(By.ID, "status").text)
    press("#more button[role=tab]", "3-D")  # which shows it by itself
    state = "return window.talkingHead.state()"
    wait.until(lambda _: browser.execute_script(state)["triangles"] > 5000)
    assert browser.find_element(By.CSS_SELECTOR, "#head-stage canvas").size["width"] > 250
    assert "AI-generated" in browser.find_element(By.ID, "head-stage").text
    press("#play-all")
    wait.until(lambda _: browser.execute_script(state)["time"] > 0.3)

    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    canvas = browser.find_element(By.CSS_SELECTOR, "#head-stage canvas")
    wait.until(lambda _: canvas.size["width"] < 390)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
