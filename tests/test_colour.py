"""Frames for the encoder: the right numbers, and what ffmpeg's own converter makes of them."""

import subprocess

import numpy as np
import pytest

from talking_face import ffmpeg
from talking_face.clips.colour import TAGS, to_yuv


@pytest.mark.parametrize(
    ("colour", "expected"),
    [  # of BT.709 in the range of video
        ((0, 0, 0), (16, 128, 128)),
        ((255, 255, 255), (235, 128, 128)),
        ((255, 0, 0), (63, 102, 240)),
        ((0, 255, 0), (173, 42, 26)),
        ((0, 0, 255), (32, 240, 118)),
    ],
)
def test_plain_colours(colour: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    planes = to_yuv(np.full((4, 6, 3), colour, dtype=np.uint8))
    assert len(planes) == 4 * 6 * 3 // 2
    for plane, value in zip(np.split(planes, [24, 30]), expected, strict=True):
        assert (plane == value).all()


def test_greys_have_no_colour() -> None:
    greys = np.repeat(np.arange(256, dtype=np.uint8), 2)[None].repeat(2, axis=0)
    planes = to_yuv(np.stack([greys] * 3, axis=-1))
    assert (planes[2 * 512 :] == 128).all()
    assert (np.diff(planes[:512].astype(int)) >= 0).all()


def test_a_picture_is_as_ffmpeg_has_it() -> None:
    small = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    frame = small.repeat(8, axis=0).repeat(8, axis=1)  # filters agree on what is even
    frame.flags.writeable = False
    height, width = frame.shape[:2]
    command = [*ffmpeg.command(), *ffmpeg.raw_input("rgb24", width, height), "-vf"]
    command.append(f"scale=out_color_matrix=bt709:out_range=tv:flags=area,format=yuv420p,{TAGS}")
    done = subprocess.run(
        [*command, "-f", "rawvideo", "-"], input=frame.tobytes(), capture_output=True, check=True
    )
    theirs = np.frombuffer(done.stdout, dtype=np.uint8).astype(int)
    assert np.abs(to_yuv(frame) - theirs).max() <= 1
