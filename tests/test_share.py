"""What is made of a finished clip for places that play no mp4."""

from itertools import count as count_up
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image

from talking_face.clips.mark import Mark
from talking_face.clips.marks import Marks
from talking_face.clips.share import (
    LOOP_FRAMES,
    SEARCHED,
    SPEAKING,
    best_frame,
    best_loop,
    with_comment,
    write_gif,
    write_poster,
)
from talking_face.clips.verification import verify
from talking_face.clips.video import write_clip
from talking_face.errors import EncodingFailed, OutputUnwritable, VideoUnreadable
from talking_face.face.lips import mean_opening
from talking_face.face.model import load_face_model
from talking_face.ffmpeg import find_ffmpeg
from talking_face.motion import FPS, N_CHANNELS, Motion

FRAMES = 5 * FPS
SIDE = 400


@pytest.fixture(scope="module")
def model():
    return load_face_model()


@pytest.fixture(scope="module")
def speaking(model) -> np.ndarray:
    """(16,) coefficients of lips that are SPEAKING apart."""
    steps = np.linspace(0.0, 6.0, 121)
    ways = np.concatenate([np.eye(16), -np.eye(16)])
    tried = steps[:, None, None] * ways  # (steps, ways, 16)
    opening = mean_opening(model.mean + model.displacement(tried, np.zeros((*tried.shape[:2], 6))))
    return tried[np.unravel_index(np.argmin(np.abs(opening - SPEAKING)), opening.shape)]


@pytest.fixture(scope="module")
def motion(speaking) -> Motion:
    """Five seconds: the mouth opens in the fourth, the head leaves and comes back."""
    lower = np.zeros((FRAMES, 16))
    lower[75:100] = speaking
    rotation = np.zeros((FRAMES, 3))
    rotation[:, 0] = 10 * np.sin(2 * np.pi * np.arange(FRAMES) / 70)
    return Motion.still(FRAMES).replace(lower=lower, rotation=rotation)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A clip whose grey tells the frame's number, unless the mark is over it."""
    frames = [np.full((SIDE, SIDE, 3), 20 + i, np.uint8) for i in range(FRAMES)]
    return write_clip(frames, tmp_path_factory.mktemp("clip") / "clip.mp4")


def number_of(picture: Image.Image) -> float:
    return float(np.asarray(picture.convert("L"))[: SIDE // 4].mean()) - 20


def frames_of(path) -> list[Image.Image]:
    with Image.open(path) as gif:
        pictures = []
        for index in range(gif.n_frames):
            gif.seek(index)
            pictures.append(gif.convert("RGB"))
        return pictures


def mark_contrast(picture: Image.Image) -> float:
    """Of the lower right corner, where nothing but the mark is."""
    corner = np.asarray(picture.convert("L"), float)[-picture.height // 8 :, -picture.width // 3 :]
    return float(np.ptp(corner))


# --- the picture -----------------------------------------------------------------------------


def test_the_best_frame_speaks_and_looks_at_you(motion, model):
    found = best_frame(motion, model)
    assert 75 <= found < 100
    assert np.abs(motion.rotation[found, 0]) == np.abs(motion.rotation[75:100, 0]).min()


@pytest.mark.parametrize("channel", ["lids", "gaze"])
def test_closed_or_averted_eyes_are_avoided(motion, model, channel):
    found = best_frame(motion, model)
    away = np.zeros((FRAMES, 2))
    away[found - 2 : found + 3] = {"lids": 0.9, "gaze": 12.0}[channel]
    other = best_frame(motion.replace(**{channel: away}), model)
    assert 75 <= other < 100
    assert away[other, 0] == 0


def test_narrowed_eyes_are_not_closed_ones(motion, model):
    narrow = motion.replace(lids=motion.lids + 0.4)
    assert best_frame(narrow, model) == best_frame(motion, model)


@pytest.mark.slow
def test_a_poster_is_that_frame_with_its_mark(clip, motion, model, tmp_path):
    path = write_poster(clip, tmp_path / "poster.png", motion, model)
    with Image.open(path) as poster:
        assert poster.format == "PNG"
        assert poster.size == (SIDE, SIDE)
        assert number_of(poster) == pytest.approx(best_frame(motion, model), abs=1)
        assert mark_contrast(poster) > 60
        assert "AI-generated" in poster.text["Comment"]
        assert "trainedAlgorithmicMedia".lower() in poster.text["XML:com.adobe.xmp"].lower()
        assert ElementTree.fromstring(poster.text["XML:com.adobe.xmp"]) is not None
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_mark_that_the_frame_lost_is_set_again(motion, model, portrait, tmp_path, monkeypatch):
    """Compression takes it from one frame of several; here the poster's never had it."""
    unseen, index, clips = Marks.unseen, best_frame(motion, model), []

    def bare_until_then(marks: Marks, height: int, width: int):
        paint, count = unseen(marks, height, width), count_up()
        clips.append(marks.payload.clip)
        return lambda frame: paint(frame) if next(count) > index else frame

    monkeypatch.setattr(Marks, "unseen", bare_until_then)
    photo = cv2.resize(cv2.imread(str(portrait)), (SIDE, SIDE))[..., ::-1]
    moving = (np.roll(photo, 3 * step, axis=1) for step in range(FRAMES))
    clip = write_clip(moving, tmp_path / "clip.mp4")
    poster = write_poster(clip, tmp_path / "poster.png", motion, model)
    told = verify(poster).told()["invisible"]
    assert told["found"]
    assert [told["clip"]] == clips


# --- the loop --------------------------------------------------------------------------------


def test_a_loop_speaks_and_ends_where_it_began(motion, model):
    loop = best_loop(motion, model)
    assert LOOP_FRAMES[0] <= len(loop) <= LOOP_FRAMES[1]
    assert len(set(loop) & set(range(75, 100))) > 20
    jump = motion.rotation[loop.stop, 0] - motion.rotation[loop.start, 0]
    assert abs(jump) < 1.5  # of a sway of 20 degrees


@pytest.mark.parametrize("frames", [1, 30, 50, 51, 90])
def test_short_motions_loop_as_a_whole_or_nearly(model, frames):
    loop = best_loop(Motion.still(frames), model)
    assert min(frames, LOOP_FRAMES[0]) <= len(loop) <= min(frames, LOOP_FRAMES[1])
    assert loop.stop <= frames


def test_only_the_first_minute_is_searched(motion, model):
    long = Motion.from_array(np.zeros((2 * SEARCHED, N_CHANNELS)))
    lower = long.lower.copy()
    lower[SEARCHED + 10 :] = motion.lower[80]
    long = long.replace(lower=lower)
    assert best_frame(long, model) < SEARCHED
    assert best_loop(long, model).stop <= SEARCHED


def test_a_gif_of_the_loop(clip, motion, model, tmp_path):
    path = write_gif(clip, tmp_path / "clip.gif", motion, model)
    loop = best_loop(motion, model)
    with Image.open(path) as gif:
        assert gif.size == (320, 320)
        assert gif.info["loop"] == 0  # for ever
        assert gif.info["duration"] == 80  # milliseconds
        assert "AI-generated" in gif.info["comment"].decode()
    pictures = frames_of(path)
    assert len(pictures) == len(loop[::2])
    numbers = [number_of(picture) for picture in pictures]
    assert numbers[0] == pytest.approx(loop.start, abs=3)
    assert numbers[-1] == pytest.approx(loop[::2][-1], abs=3)
    assert min(mark_contrast(picture) for picture in pictures) > 50
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_mark_too_small_to_read_is_set_again(motion, model, tmp_path, monkeypatch):
    """A wide clip without any: its mark would have had letters of 4 pixels."""
    frames = [np.full((400, 1200, 3), 120, np.uint8)] * FRAMES
    monkeypatch.setenv("TALKING_FACE_MARK", "off")
    clip = write_clip(frames, tmp_path / "wide.mp4")
    monkeypatch.delenv("TALKING_FACE_MARK")
    set_again = frames_of(write_gif(clip, tmp_path / "a.gif", motion, model))[0]
    assert set_again.size == (320, 107)
    assert mark_contrast(set_again) > 60
    left = frames_of(write_gif(clip, tmp_path / "b.gif", motion, model, Mark(corner="top-left")))[0]
    assert mark_contrast(left) < 20


@pytest.mark.slow
def test_even_noise_stays_within_5_megabytes(motion, model, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (75, 320, 320, 3), dtype=np.uint8)
    clip = write_clip(noise, tmp_path / "noise.mp4")
    assert 1e6 < write_gif(clip, tmp_path / "noise.gif", motion[:75], model).stat().st_size < 5e6


@pytest.mark.parametrize("colours", [2, 256])
def test_a_comment_changes_no_picture(tmp_path, colours):
    ramp = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64) % colours
    plain = tmp_path / "plain.gif"
    Image.fromarray(ramp).convert("RGB").quantize(colours).save(plain)
    noted = tmp_path / "noted.gif"
    noted.write_bytes(with_comment(plain.read_bytes(), "made by a machine"))
    with Image.open(plain) as one, Image.open(noted) as other:
        assert "comment" not in one.info
        assert other.info["comment"] == b"made by a machine"
        assert np.array_equal(np.asarray(one), np.asarray(other))


# --- what can go wrong -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_poster, write_gif])
def test_clips_and_folders_that_are_not_there(write, clip, motion, model, tmp_path):
    suffix = ".png" if write is write_poster else ".gif"
    with pytest.raises(VideoUnreadable, match="no video"):
        write(tmp_path / "nothing.mp4", tmp_path / f"a{suffix}", motion, model)
    with pytest.raises(OutputUnwritable):
        write(clip, tmp_path / "no" / f"a{suffix}", motion, model)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_poster, write_gif])
def test_the_motion_of_another_clip(write, motion, model, tmp_path):
    clip = write_clip([np.zeros((64, 64, 3), np.uint8)] * 5, tmp_path / "short.mp4")
    with pytest.raises(VideoUnreadable, match="shorter than its motion"):
        write(clip, tmp_path / ("a.gif" if write is write_gif else "a.png"), motion, model)


def test_an_ffmpeg_that_fails_leaves_nothing(clip, motion, model, tmp_path, monkeypatch):
    """The clip can be read, the loop can't be written."""
    real = find_ffmpeg()
    program = tmp_path / "ffmpeg"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *palettegen*) echo no room >&2; exit 1;; esac\nexec {real} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr("talking_face.ffmpeg.find_ffmpeg", lambda: str(program))
    with pytest.raises(EncodingFailed, match=r"a\.gif could not be written: ffmpeg failed"):
        write_gif(clip, tmp_path / "a.gif", motion, model)
    assert list(tmp_path.iterdir()) == [program]
