"""A clip as a visitor meets it: played to its end by Chromium, in the right colours."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from conftest import ASSETS

from talking_face.clips.video import write_clip, write_comparison
from talking_face.sound.audio import load_audio

pytestmark = pytest.mark.browser

PAGE = "<!doctype html><meta charset='utf-8'><title>clip</title><video id='clip' src='{}'></video>"
COLOURS = ((200, 60, 50), (60, 170, 70), (60, 80, 200), (230, 190, 165))

# Plays the clip to its end and answers with what the browser knows of it.
PLAY = """
const done = arguments[arguments.length - 1];
const clip = document.getElementById("clip");
const report = (error) => {
  const canvas = document.createElement("canvas");
  canvas.width = clip.videoWidth; canvas.height = clip.videoHeight;
  const context = canvas.getContext("2d");
  let pixels = [];
  if (canvas.width) {
    context.drawImage(clip, 0, 0);
    for (let i = 0; i < 4; i++) {
      const x = canvas.width * (i + 0.5) / 4;
      pixels.push(Array.from(context.getImageData(x, canvas.height / 3, 1, 1).data).slice(0, 3));
    }
  }
  done({
    error, pixels, width: clip.videoWidth, height: clip.videoHeight, seconds: clip.duration,
    ended: clip.ended, time: clip.currentTime, heard: clip.webkitAudioDecodedByteCount,
    frames: clip.getVideoPlaybackQuality().totalVideoFrames,
  });
};
clip.onended = () => report(null);
clip.onerror = () => report(clip.error.message);
clip.play().catch((error) => report(String(error)));
"""


@pytest.fixture
def site(tmp_path):
    """A web server on this machine for the files of tmp_path; yields its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def stripes(count: int) -> list[np.ndarray]:
    """`count` frames of four upright stripes, 128 × 256."""
    frame = np.repeat(np.repeat(np.array([COLOURS], np.uint8), 64, axis=1), 128, axis=0)
    return [frame] * count


def play(browser, site: str, tmp_path, name: str) -> dict:
    (tmp_path / "page.html").write_text(PAGE.format(name))
    browser.set_script_timeout(30)
    browser.get(f"{site}/page.html?{name}")
    return browser.execute_async_script(PLAY)


@pytest.mark.slow
def test_a_clip_plays_to_its_end_with_sound_and_true_colours(browser, site, tmp_path):
    recording = load_audio(ASSETS / "recordings" / "grid.wav")
    write_clip(stripes(recording.frames), tmp_path / "clip.mp4", recording)
    seen = play(browser, site, tmp_path, "clip.mp4")
    assert seen["error"] is None
    assert seen["ended"]
    assert (seen["width"], seen["height"]) == (256, 128)
    assert seen["seconds"] == pytest.approx(recording.frames / 25, abs=0.03)
    assert seen["time"] == pytest.approx(seen["seconds"], abs=0.05)
    assert seen["frames"] > 0.5 * recording.frames  # a slow machine may drop some
    assert seen["heard"] > 10_000
    # The invisible mark moves a pixel by a few levels.
    assert np.abs(np.array(seen["pixels"]) - COLOURS).max() <= 9


def test_a_comparison_plays(browser, site, tmp_path, tone):
    clip = write_clip(stripes(25), tmp_path / "clip.mp4", tone)
    write_comparison([clip] * 3, ["a", "b", "c"], tmp_path / "all.mp4")
    seen = play(browser, site, tmp_path, "all.mp4")
    assert seen["error"] is None
    assert seen["ended"]
    assert seen["width"] == 3 * 256
    assert seen["heard"] > 1000


def test_the_browser_refuses_what_is_no_clip(browser, site, tmp_path):
    """The measure itself can fail."""
    (tmp_path / "broken.mp4").write_bytes(bytes(5000))
    assert play(browser, site, tmp_path, "broken.mp4")["error"]
