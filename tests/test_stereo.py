"""Two eyes' pictures: how far they differ, how they are packed, and what a file says of it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from talking_face import Look, Motion, load_animator
from talking_face.bench import time_stereo
from talking_face.clips.mark import Mark
from talking_face.clips.stereo import boxes, packed
from talking_face.clips.video import read_frames, write_clip
from talking_face.errors import OptionInvalid
from talking_face.picture.stereo import MAX_DISPARITY, StereoRenderer


@pytest.fixture(scope="module")
def renderer(portrait):
    animator = load_animator()
    return animator.renderer(animator.fit(portrait), Look(size=256))


def shift_between(left, right):
    """How much further right the right eye sees it, pixels."""
    grey = [cv2.cvtColor(eye, cv2.COLOR_RGB2GRAY).astype(np.float32) for eye in (left, right)]
    return cv2.phaseCorrelate(*grey, cv2.createHanningWindow(grey[0].shape[::-1], cv2.CV_32F))[0][0]


def test_disparity_is_bounded_and_eyes_lie_at_the_screen(renderer):
    motion = Motion.still(1)
    left, right = StereoRenderer(renderer, 1.0).frame(motion)
    eyes = np.s_[80:120, 84:172]
    assert abs(shift_between(left[eyes], right[eyes])) < 0.6
    hair = np.s_[100:200, 40:90]
    far = shift_between(left[hair], right[hair])
    assert 0.5 < far <= MAX_DISPARITY * 256 + 0.3


def test_without_depth_both_eyes_see_the_frame(renderer):
    left, right = StereoRenderer(renderer, 0.0).frame(Motion.still(1))
    assert np.array_equal(left, right)
    assert np.abs(left.astype(int) - renderer.frame(Motion.still(1))).mean() < 0.2
    with pytest.raises(OptionInvalid, match="depth"):
        StereoRenderer(renderer, 1.5)


def test_both_eyes_see_the_skin_fold(renderer):
    still = Motion.still(1)
    motion = replace(still, lower=np.full_like(still.lower, 1.5))
    frame = renderer.frame(motion).astype(int)
    flow = renderer.flow(motion, 0)
    flat = renderer.composite(flow, motion, 0)
    renderer.paint(flat, flow, motion, 0)
    folds = np.abs(frame - flat).max(axis=2) > 3
    assert folds.sum() > 50
    for eye in StereoRenderer(renderer, 0.0).frame(motion):
        assert np.abs(eye - frame)[folds].mean() < np.abs(flat - frame)[folds].mean() / 2


def test_the_mark_is_before_both_eyes_in_the_same_place():
    grey = np.full((64, 96, 3), 90, dtype=np.uint8)
    for corner in ("bottom-right", "top-left"):
        mark = Mark(corner=corner)
        frame = mark.painter(64, 192)(packed(grey, grey, "side-by-side", mark))
        assert np.array_equal(frame[:, :96], frame[:, 96:])
        assert (frame != 90).any()
    assert packed(grey, grey, "half", Mark()).shape == (64, 96, 3)


def test_an_anaglyph_has_the_left_eye_in_red():
    left, right = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    left[:], right[:] = (255, 255, 255), (10, 20, 30)
    assert packed(left, right, "anaglyph", None)[0, 0].tolist() == [255, 20, 30]


@pytest.mark.parametrize("sound", [False, True])
def test_a_file_says_that_it_is_side_by_side_and_still_plays(tmp_path, moving_frames, tone, sound):
    path = tmp_path / "stereo.mp4"
    write_clip(moving_frames, path, tone if sound else None, None, side_by_side=True)
    data = path.read_bytes()
    at = data.index(b"st3d")
    assert data[at - 4 : at + 9] == bytes([0, 0, 0, 13]) + b"st3d" + bytes([0, 0, 0, 0, 2])
    names = [name for *_, name in boxes(data, 0, len(data))]
    assert names[0] == b"ftyp"
    assert names.index(b"moov") < names.index(b"mdat")
    frames = list(read_frames(path))
    assert len(frames) == 25
    apart = np.abs(frames[12].astype(int) - moving_frames[12])
    assert apart[:64].mean() < 4, "above the mark"


def test_two_eyes_cost_more_than_one_clip_and_less_than_three(renderer):
    """They share one frame's rendering; `bench` tells the figure."""
    one, two = time_stereo(renderer, Motion.still(12))
    assert one < two < 3 * one
