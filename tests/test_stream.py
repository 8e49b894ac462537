"""Streams of a live face: moments in time, with their marks, changed and recorded meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from test_live import ANIMATOR

from talking_face.arrays import Float32
from talking_face.clips.detection import detect, mean_contrast
from talking_face.clips.verification import verify
from talking_face.clips.video import read_frames
from talking_face.clips.watermark import PUBLIC_KEY
from talking_face.errors import AudioUnreadable, OptionInvalid
from talking_face.exports import within, write_take
from talking_face.live.chunks import Chunks
from talking_face.live.phones import AHEAD, HOP
from talking_face.live.supply import Cutter, Paced
from talking_face.motion import FPS
from talking_face.options import Look
from talking_face.sound.audio import SAMPLE_RATE, load_audio
from talking_face.sound.prosody import FRAME


@pytest.fixture(scope="module")
def face(portrait: Path) -> Any:
    return ANIMATOR.fit(portrait)


LOOK = Look(size=128)
ROOT = Path(__file__).parents[1]


def test_moments_follow_each_other_and_carry_the_sound(
    face: Any, words: Float32, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda most: most // 3)  # the marks' number
    sound = (words[: FRAME * 20] * 32767).astype(np.int16)
    pieces = np.array_split(sound, 13)
    moments = list(ANIMATOR.stream(face, pieces, look=LOOK, paced=False))
    assert np.allclose(np.diff([m.time for m in moments]), 1 / FPS)
    assert len(moments) >= 20
    assert moments[0].frame.shape == (128, 128, 3)
    played = np.concatenate([m.sound for m in moments])[::3][: len(sound)]
    lags = [np.corrcoef(played[lag : lag + 9000], sound[:9000])[0, 1] for lag in range(20)]
    assert max(lags) > 0.98  # late by less than 1.3 ms
    again = ANIMATOR.stream(face, np.array_split(sound, 5), look=LOOK, paced=False)
    for moment, other in zip(moments, islice(again, 8), strict=False):
        assert np.array_equal(moment.frame, other.frame)


def test_frames_have_the_invisible_mark(face: Any, words: Float32) -> None:
    sound = (words[: FRAME * 20] * 32767).astype(np.int16)
    moments = ANIMATOR.stream(face, [sound], look=Look(size=256), paced=False)
    field = mean_contrast(cv2.cvtColor(moment.frame, cv2.COLOR_RGB2GRAY) for moment in moments)
    assert field is not None
    assert detect(field, PUBLIC_KEY).present


def test_where_no_sound_comes_the_face_idles_and_closing_ends_it(face: Any) -> None:
    asked, never = Event(), Event()

    def late() -> Iterator[bytes]:
        asked.set()
        yield b"\1" * 101
        never.wait(30)

    with ANIMATOR.stream(face, late(), look=LOOK) as stream:
        moments = [next(stream) for _ in range(3)]
        stream.interrupt()
        stream.show(face)
    assert asked.is_set()
    assert moments[-1].time > moments[0].time
    assert list(stream) == []
    never.set()


def test_a_chunk_that_is_no_sound_is_told_of(face: Any) -> None:
    for paced in (False, True):
        stream = ANIMATOR.stream(face, [np.zeros(9), "x"], look=LOOK, paced=paced)
        with pytest.raises(AudioUnreadable):
            list(stream)


def test_the_clock_is_kept_however_the_sound_comes() -> None:
    """In a time that passes only where it is waited for, hops are as many as the time allows."""
    begun = time.monotonic()
    clock = lambda: begun + 20 * (time.monotonic() - begun)  # noqa: E731 (twenty times as fast)
    loud = np.tile(np.repeat(np.float32([1, -1]), 100), 40)
    paced = Paced(Chunks([loud], 16000), clock)
    hops = list(paced.hops())
    assert len(hops) * HOP / FPS == pytest.approx(1.5, abs=0.2)
    total = sum(np.count_nonzero(np.abs(hop.heard) > 0.5) for hop in hops)
    assert abs(total - 8000) < 50


def test_a_cutter_answers_at_once_and_loses_nothing() -> None:
    cutter, cut = Cutter(44100), []
    for _ in range(100):
        cut += list(cutter.cut(np.full(441, 0.5, dtype=np.float32)))
    assert len(cut) == int(1.0 * FPS / HOP)
    assert AHEAD >= HOP
    assert cutter.missing <= HOP / FPS


@pytest.mark.slow
def test_an_interruption_forgets_the_rest_of_a_long_chunk(face: Any, words: Float32) -> None:
    more = words[: len(words) // 2]
    stream = ANIMATOR.stream(face, [words, more], look=LOOK, paced=False)
    first = [next(stream) for _ in range(30)]
    stream.interrupt()
    rest = list(stream)
    assert max(m.gate for m in first) == 1.0
    assert rest[3].gate == 0.0
    assert not rest[0].sound.any()
    both = (len(words) + len(more)) / SAMPLE_RATE
    assert first[-1].time + len(more) / SAMPLE_RATE < rest[-1].time < both


@pytest.mark.slow
def test_a_recorded_session_becomes_a_clip_with_all_marks(
    face: Any, portrait: Path, words: Float32, tmp_path: Path
) -> None:
    """Of two photos, of which the machine showed few frames; with the sound that was heard."""
    turned = ANIMATOR.fit(np.asarray(Image.open(portrait).convert("RGB"))[:, ::-1])
    stream = ANIMATOR.stream(face, [words], look=LOOK, paced=False)
    with pytest.raises(OptionInvalid):
        stream.cut()
    list(islice(stream, 15))
    stream.record()
    first = list(islice(stream, 20))
    stream.show(turned)
    deadline = time.monotonic() + 60
    while stream._screen[0] is face:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    second = list(islice(stream, 10))
    take = stream.cut()
    assert not stream.recording
    assert [len(scene.motion) for scene in take.scenes] == [20, 10]
    assert take.scenes[1].face is turned
    heard = np.concatenate([moment.sound for moment in first + second])
    assert np.array_equal(take.sound, heard)
    assert take.duration == pytest.approx(1.2)

    path = write_take(ANIMATOR, take, tmp_path / "session.mp4", LOOK)
    frames = list(read_frames(path))
    assert len(frames) == 30
    # What is seen is what was shown, but for the invisible mark and the encoder.
    for moment, frame in zip(first + second, frames, strict=True):
        assert np.abs(moment.frame.astype(int) - frame).mean() < 4
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 8  # another photo
    sound = load_audio(path).waveform
    lag = np.correlate(sound, take.recording().waveform, "full").argmax() - 30 * FRAME + 1
    assert abs(lag) < 0.02 * SAMPLE_RATE
    report = verify(path)
    assert report.statement.valid
    assert report.statement.making["settings"]["live"] is True
    assert report.statement.making["sha256"]["photo 2"] == turned.digest
    larger = write_take(ANIMATOR, take, tmp_path / "larger.mp4", Look(size=384), aside=True)
    assert verify(larger).mark.payload is not None


def test_another_photo_s_frame_is_seen_whole() -> None:
    frame = np.full((40, 80, 3), 200, dtype=np.uint8)
    shown = within(frame, 60, 60)
    assert shown.shape == (60, 60, 3)
    assert (shown[15:45] == 200).all()
    assert not shown[:15].any()
    assert not shown[45:].any()
    assert within(frame, 40, 80) is frame


@pytest.mark.slow
@pytest.mark.parametrize("end", ["break", "raise SystemExit"], ids=["left open", "in the middle"])
def test_a_program_may_end_while_a_face_is_spoken_to(end: str) -> None:
    """Whoever hears in a thread meanwhile is waited for: torch would abort the process."""
    program = (
        "import atexit, itertools, threading, time\nimport numpy as np\n"
        "from talking_face import load_animator\n"
        "from talking_face.options import Look\n"
        "animator = load_animator()\n"
        "face = animator.fit('assets/portraits/woman_long_hair.jpg')\n"
        "noise = np.random.default_rng(0).normal(0, 0.1, 3200).astype(np.float32)\n"
        "def microphone():\n"
        "    for _ in itertools.count():\n"
        "        yield noise\n"
        "        time.sleep(0.19)\n"
        "atexit.register(lambda: print([t.name for t in threading.enumerate()]))\n"
        "stream = animator.stream(face, microphone(), look=Look(size=64))\n"
        f"for moment in stream:\n    if moment.time > 0.5:\n        {end}\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    assert "MainThread" in ended.stdout
    assert "live ear" not in ended.stdout
