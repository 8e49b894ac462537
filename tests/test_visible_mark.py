"""The mark that is seen: in its corner, legible, of the right size."""

import numpy as np
import pytest
from test_video import flat

from talking_face.clips.mark import CORNERS, Mark
from talking_face.clips.video import read_frames, write_clip
from talking_face.errors import (
    OptionInvalid,
)


@pytest.mark.parametrize("corner", CORNERS)
def test_the_mark_is_in_its_corner_and_nowhere_else(corner, tmp_path):
    frame = flat((90, 140, 110), side=256)[0]
    path = write_clip([frame] * 3, tmp_path / "clip.mp4", mark=Mark(corner=corner))
    change = np.abs(next(read_frames(path)).astype(int) - frame).max(axis=2)
    rows, columns = np.nonzero(change > 20)
    assert len(rows) > 100
    vertical, horizontal = corner.split("-")
    assert rows.min() > 128 if vertical == "bottom" else rows.max() < 128
    assert columns.min() > 128 if horizontal == "right" else columns.max() < 128
    far = np.s_[:128] if vertical == "bottom" else np.s_[128:]
    assert change[far].max() < 8


def test_the_mark_covers_little_and_follows_the_size_of_the_frame():
    for side in (128, 512, 1080):
        frame = np.full((side, side, 3), 100, np.uint8)
        marked = Mark().painter(side, side)(frame)
        rows, columns = np.nonzero((marked != frame).any(axis=2))
        assert 0.3 > np.ptp(columns) / side > 0.1 or side == 128
        assert np.ptp(rows) / side < (0.2 if side == 128 else 0.06)


def test_opacity_and_text_change_the_mark():
    frame = np.full((256, 256, 3), 100, np.uint8)

    def change(mark: Mark) -> float:
        return float(np.abs(mark.painter(256, 256)(frame).astype(int) - frame).sum())

    assert change(Mark(opacity=0.5)) < change(Mark(opacity=0.6)) < change(Mark(opacity=1.0))
    assert change(Mark("AI")) < change(Mark("AI-generated")) < change(Mark(size=1.5))


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (64, 400), (400, 64), (40, 16)])
def test_a_long_mark_fits_any_frame(size):
    frame = np.zeros((*size, 3), np.uint8)
    marked = Mark("a synthetic clip made by a computer, not by a camera").painter(*size)(frame)
    assert marked.shape == frame.shape


def test_the_frames_given_are_not_painted_over():
    frame = np.full((128, 128, 3), 100, np.uint8)
    frame.flags.writeable = False
    assert (Mark().painter(128, 128)(frame) != frame).any()


@pytest.mark.parametrize(
    "options", [{"text": " "}, {"text": "x" * 61}, {"corner": "middle"}, {"opacity": 1.1},
     {"opacity": 0.0}, {"text": "·."}, {"size": 0.5}, {"logo": __file__}],
)  # fmt: skip
def test_marks_that_make_no_sense(options):
    with pytest.raises(OptionInvalid):
        Mark(**options)
