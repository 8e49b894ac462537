"""Finished clips side by side, in one video."""

import re

import numpy as np
import pytest
from test_video import UNSEEN, ffmpeg, flat

from talking_face.clips.video import read_frames, write_clip, write_comparison
from talking_face.errors import (
    OptionInvalid,
    VideoUnreadable,
)


@UNSEEN
@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (4, 1, 4), (5, 2, 3)])
def test_clips_side_by_side(tone, tmp_path, count, rows, columns):
    colours = [(200, 40, 40), (40, 160, 40), (40, 60, 200), (200, 200, 60), (150, 60, 150)][:count]
    clips = [
        write_clip(flat(colour, 12, 128), tmp_path / f"{i}.mp4", tone)
        for i, colour in enumerate(colours)
    ]
    labels = [f"sample {i + 1} · seed 7" for i in range(count)]
    path = write_comparison(clips, labels, tmp_path / "all.mp4")
    frames = list(read_frames(path))
    assert len(frames) == 12
    height, width = frames[0].shape[:2]
    assert width == columns * 128
    assert height % 2 == 0
    tall = height // rows
    for i, colour in enumerate(colours):
        cell = frames[6][i // columns * tall : (i // columns + 1) * tall, i % columns * 128 :][
            :, :128
        ]
        assert np.abs(cell[-64:].mean((0, 1)) - colour).max() < 6
        band = cell[: tall - 128]
        assert band.max() > 180  # the label's letters
        assert np.median(band) < 60  # on a dark band
    said = ffmpeg("-i", path)
    assert "yuv420p(tv, bt709" in said
    assert re.search(r"Audio: aac", said)
    assert re.search(r"comment\s*: AI-generated", said)


@pytest.mark.slow
def test_a_comparison_stays_within_a_screen(tmp_path):
    clip = write_clip(flat((90, 90, 90), 2, 1024), tmp_path / "clip.mp4")
    for count in (3, 6):
        path = write_comparison([clip] * count, ["x"] * count, tmp_path / "all.mp4")
        height, width = next(read_frames(path)).shape[:2]
        assert width <= 1920
        assert height <= 1920


def test_clips_that_cannot_be_compared(tmp_path, moving_frames):
    clip = write_clip(moving_frames, tmp_path / "clip.mp4")
    for clips, labels in (([], []), ([clip] * 7, ["x"] * 7), ([clip], ["x", "y"])):
        with pytest.raises(OptionInvalid):
            write_comparison(clips, labels, tmp_path / "all.mp4")
    with pytest.raises(VideoUnreadable):
        write_comparison([tmp_path / "gone.mp4"], ["x"], tmp_path / "all.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]
