"""Hostile input: a slice of tests/fuzz.py, and what it has found so far."""

from pathlib import Path

import fuzz
import numpy as np
import pytest
from PIL import Image

from talking_face import ffmpeg
from talking_face.clips import video
from talking_face.clips.verification import verify
from talking_face.clips.video import read_frames
from talking_face.errors import FileUnverifiable, VideoUnreadable


@pytest.mark.slow
def test_a_minute_of_the_fuzzing_finds_nothing() -> None:
    """The first inputs of `make fuzz`, as many as a minute feeds."""
    done, finds = fuzz.fuzz(count=20_000, seconds=60, first=0)
    assert finds == []
    assert done > 100


FINDS = [
    ("photo", 11465),  # HEIF's library says what is wrong in several lines
    ("verify picture", 13782),  # a TIFF without its dimensions
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), FINDS)
def test_what_was_found_is_mended(name: str, number: int, tmp_path: Path) -> None:
    assert fuzz.feed(name, fuzz.targets()[name], number, tmp_path) is None


def test_damage_is_told_in_one_line(tmp_path: Path) -> None:
    from PIL import Image

    from talking_face.errors import PhotoUnreadable
    from talking_face.face.photo import load_photo

    path = tmp_path / "photo.heif"
    Image.new("RGB", (96, 72), (200, 120, 40)).save(path, "HEIF")
    whole = path.read_bytes()
    refused = []
    for length in range(200, len(whole), 7):
        path.write_bytes(whole[:length])
        try:
            picture = load_photo(path)
        except PhotoUnreadable as error:
            refused.append(str(error))
        else:  # what there is of it is as it was
            assert np.abs(picture - np.array([200.0, 120, 40])).max() < 8
    assert refused
    assert not [message for message in refused if "\n" in message]


@pytest.mark.slow
def test_pictures_beyond_8k_are_never_decoded(tmp_path: Path) -> None:
    """A few bytes of a video can stand for gigabytes of pictures."""
    small, huge = tmp_path / "8k.mkv", tmp_path / "huge.mkv"
    for path, width, height in ((small, 7680, 4320), (huge, 8192, 4224)):
        command = [*ffmpeg.command(), *ffmpeg.raw_input("gray", 64, 64)]
        command += ["-vf", f"scale={width}:{height}:flags=neighbor", "-frames:v", "2"]
        ffmpeg.run([*command, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"], bytes(2**13), path, path)
    assert len(list(read_frames(small, max_side=256))) == 2
    with pytest.raises(VideoUnreadable):
        list(read_frames(huge, max_side=256))
    with pytest.raises(FileUnverifiable):
        verify(huge)


def test_a_comparison_of_endless_clips_ends(
    moving_frames: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MAX_SECONDS", 0.4)
    clip = video.write_clip(moving_frames, tmp_path / "clip.mp4")
    both = video.write_comparison([clip, clip], ["one", "two"], tmp_path / "both.mp4")
    assert len(list(read_frames(both))) == 10


def test_the_fuzzing_sees_what_goes_wrong(tmp_path: object) -> None:
    def fails(*_: object) -> None:
        raise KeyError("not ours")

    assert "KeyError" in (fuzz.feed("target", fails, 1, tmp_path) or "")  # type: ignore[arg-type]
    assert fuzz.feed("target", lambda *_: None, 1, tmp_path) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("side", "cut", "says"),
    [
        (9000, 1.0, r"pic\.png is 9000 × 9000 pixels, .* at most 8192"),
        (1, 1.0, r"pic\.png is only 1 × 1 pixels"),
        (300, 0.5, r"pic\.png ends before enough of the picture is there"),
        (300, 0.0, r"pic\.png is empty"),
    ],
)
def test_pictures_that_cant_be_checked_are_told_why(
    side: int, cut: float, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "pic.png"
    grey = np.random.default_rng(0).integers(0, 256, min(side, 300), dtype=np.uint8)
    Image.fromarray(np.resize(grey, (side, side))).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: round(cut * len(data))])
    with pytest.raises(FileUnverifiable, match=says):
        verify(path)
