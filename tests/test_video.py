"""The encoder step: exact frames and sound, true colours, the mark, and nothing half-written."""

import os
import re
import resource
import secrets
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from talking_face.clips import video
from talking_face.clips.video import read_frames, write_clip, write_comparison
from talking_face.errors import (
    EncodingFailed,
    FfmpegMissing,
    OutputUnwritable,
    TalkingFaceError,
    VideoUnreadable,
)
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio

AAC_FRAME = 1024 / 48_000  # seconds; older releases of ffmpeg don't cut the last one


def ffmpeg(*arguments: object) -> str:
    """Run the ffmpeg of known version, whichever the package uses; returns what it says."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def flat(colour: tuple[int, int, int], count: int = 3, side: int = 64) -> list[np.ndarray]:
    return [np.full((side, side, 3), colour, dtype=np.uint8)] * count


# --- what is in the file ---------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 10, 25, 40])
def test_as_many_frames_as_given_and_sound_of_their_length(moving_frames, tone, tmp_path, count):
    frames = (moving_frames * 2)[:count]
    path = write_clip(frames, tmp_path / "clip.mp4", tone)
    assert len(list(read_frames(path))) == count
    said = ffmpeg("-i", path, "-map", "0:a", "-f", "null", "-")
    seconds = float(re.findall(r"time=00:00:([\d.]+)", said)[-1])
    assert seconds == pytest.approx(count / 25, abs=AAC_FRAME)


def test_sound_is_in_sync_and_padded_with_silence(moving_frames, tmp_path):
    waveform = np.zeros(SAMPLE_RATE, dtype=np.float32)
    waveform[8000:8160] = 0.9  # a click of 10 ms at 0.5 s, in a recording of 1 s
    path = write_clip(moving_frames * 2, tmp_path / "clip.mp4", Recording(waveform))
    heard = np.abs(load_audio(path).waveform)
    loud = np.flatnonzero(heard > 0.3) / SAMPLE_RATE
    assert loud.min() == pytest.approx(0.5, abs=0.005)
    assert loud.max() == pytest.approx(0.51, abs=0.005)
    assert heard[SAMPLE_RATE + 800 :].max() < 1e-3
    assert len(heard) / SAMPLE_RATE == pytest.approx(2, abs=AAC_FRAME)


def test_the_sound_is_as_good_as_the_recording(moving_frames, tmp_path):
    """Its tones above what the networks hear, and its two channels."""
    original = tmp_path / "original.wav"
    left, right = "0.3*sin(2*PI*440*t)+0.3*sin(2*PI*12000*t)", "0.3*sin(2*PI*1000*t)"
    ffmpeg("-f", "lavfi", "-i", f"aevalsrc={left}|{right}:s=48000:d=1", original)
    path = write_clip(moving_frames, tmp_path / "clip.mp4", load_audio(original))
    for channel, hertz in ((0, 440), (0, 12_000), (1, 1000)):
        band = f"pan=mono|c0=c{channel},bandpass=f={hertz}:width_type=q:w=4,volumedetect"
        said = ffmpeg("-i", path, "-af", band, "-f", "null", "-")
        assert float(re.search(r"mean_volume: (-?[\d.]+) dB", said)[1]) > -18
        other = band.replace(f"c0=c{channel}", f"c0=c{1 - channel}")
        said = ffmpeg("-i", path, "-af", other, "-f", "null", "-")
        assert float(re.search(r"mean_volume: (-?[\d.]+) dB", said)[1]) < -28


def test_streams_are_what_browsers_play(moving_frames, tone, tmp_path):
    path = write_clip(moving_frames, tmp_path / "clip.mp4", tone)
    said = ffmpeg("-i", path)
    assert re.search(r"Video: h264.*yuv420p\(tv, bt709, progressive\), 128x96.*25 fps", said)
    assert re.search(r"Audio: aac.*48000 Hz, stereo", said)
    assert re.search(r"comment\s*: AI-generated \(talking_face\)", said)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # the index first: plays while loading


def test_tags_of_the_recording_do_not_leak(moving_frames, tmp_path):
    original = tmp_path / "original.m4a"
    source = "sine=duration=1"
    ffmpeg("-f", "lavfi", "-i", source, "-metadata", "title=Private", original)
    assert "Private" in ffmpeg("-i", original)
    path = write_clip(moving_frames, tmp_path / "clip.mp4", load_audio(original))
    assert b"Private" not in path.read_bytes()


def test_without_a_recording_the_clip_is_silent(moving_frames, tmp_path):
    path = write_clip(moving_frames, tmp_path / "clip.mp4")
    said = ffmpeg("-i", path)
    assert "Video:" in said
    assert "Audio:" not in said


UNSEEN = pytest.mark.usefixtures("without_visible_mark")


@UNSEEN
@pytest.mark.parametrize("shape", [(65, 64), (64, 65), (65, 65)])
def test_odd_sizes_are_padded_by_repetition(shape, tmp_path):
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    frame = np.stack([x * 3, y * 3, x + y], axis=-1).astype(np.uint8)
    path = write_clip([frame] * 3, tmp_path / "clip.mp4")
    read = next(read_frames(path)).astype(int)
    assert read.shape == (shape[0] + shape[0] % 2, shape[1] + shape[1] % 2, 3)
    expected = np.pad(frame, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), mode="edge")
    assert np.abs(read - expected).mean() < 3


@UNSEEN
def test_colours_survive(tmp_path):
    """A chart of saturated and skin colours comes back as it was; the wrong matrix would not."""
    colours = [
        (200, 30, 30), (30, 180, 40), (40, 50, 200), (220, 200, 40), (230, 190, 170), (120, 80, 60),
        (20, 20, 20), (235, 235, 235), (128, 128, 128), (30, 160, 180), (180, 60, 170), (0, 0, 0),
    ]  # fmt: skip
    chart = np.repeat(np.repeat(np.array(colours, np.uint8).reshape(3, 4, 3), 32, 0), 32, 1)
    path = write_clip([chart] * 5, tmp_path / "chart.mp4")
    for frame in read_frames(path):
        for row in range(3):
            for column in range(4):
                inside = frame[row * 32 + 8 : row * 32 + 24, column * 32 + 8 : column * 32 + 24]
                error = np.abs(inside.mean((0, 1)) - colours[row * 4 + column]).max()
                assert error < 4, (colours[row * 4 + column], inside.mean((0, 1)))


def test_same_frames_same_pictures(moving_frames, tone, tmp_path, monkeypatch):
    """But for the number that the invisible mark carries."""
    monkeypatch.setattr(secrets, "randbelow", lambda end: end // 3)
    clips = [write_clip(moving_frames, tmp_path / name, tone) for name in ("a.mp4", "b.mp4")]
    first, second = (list(read_frames(clip)) for clip in clips)
    np.testing.assert_array_equal(first, second)


# --- nothing half-written --------------------------------------------------------------------


class Trouble(Exception):
    pass


@pytest.mark.parametrize("trouble", [Trouble, KeyboardInterrupt, GeneratorExit, MemoryError])
@pytest.mark.parametrize("sound", [True, False])
def test_when_the_producer_fails_nothing_is_left(moving_frames, tone, tmp_path, trouble, sound):
    def producer():
        yield from moving_frames[:10]
        raise trouble

    kept = tmp_path / "clip.mp4"
    kept.write_bytes(b"an older clip")
    with pytest.raises(trouble):
        write_clip(producer(), kept, tone if sound else None, count=25)
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]
    assert kept.read_bytes() == b"an older clip"


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [np.zeros((64, 64, 3), np.uint8), np.zeros((64, 66, 3), np.uint8)],
        [np.zeros((64, 64, 3), np.float32)],
        [np.zeros((64, 64, 4), np.uint8)],
    ],
)
def test_frames_that_are_not_frames(frames, tmp_path):
    with pytest.raises(ValueError):
        write_clip(frames, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", [None, 24, 26])
def test_frames_without_a_length_must_be_counted_for_the_sound(moving_frames, tone, tmp_path, said):
    with pytest.raises(ValueError, match="count" if said is None else f"not {said}|24 frames"):
        write_clip(iter(moving_frames), tmp_path / "clip.mp4", tone, count=said)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_does_not_exist_or_is_a_file(moving_frames, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(OutputUnwritable, match="Choose another"):
            write_clip(moving_frames, folder / "clip.mp4")


def test_name_taken_by_a_folder(moving_frames, tmp_path):
    (tmp_path / "clip.mp4" / "inside").mkdir(parents=True)
    with pytest.raises(OutputUnwritable):
        write_clip(moving_frames, tmp_path / "clip.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


@contextmanager
def small_files_only():
    """No process may write files of more than 20 kB, as if the disk were full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def noise(count: int, side: int = 128) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize("count", [2, 40])
def test_full_disk(tone, tmp_path, count):
    with small_files_only(), pytest.raises(OutputUnwritable, match="full"):
        write_clip(noise(count), tmp_path / "clip.mp4", tone)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_while_comparing(tone, tmp_path):
    clip = write_clip(noise(20), tmp_path / "clip.mp4", tone)
    with small_files_only(), pytest.raises(OutputUnwritable, match="full"):
        write_comparison([clip, clip], ["a", "b"], tmp_path / "both.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount the small disk")
def test_really_full_disk(tone, tmp_path):
    """A disk of 64 kB; ffmpeg reports that itself."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this system lets nobody mount a disk")
    try:
        with pytest.raises(OutputUnwritable, match="full"):
            write_clip(noise(40), tmp_path / "clip.mp4", tone)
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
def test_read_only_folder(moving_frames, tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", tmp_path], check=False)
    if mounted.returncode != 0:
        pytest.skip("this system lets nobody mount a disk")
    try:
        with pytest.raises(OutputUnwritable, match="Read-only"):
            write_clip(moving_frames, tmp_path / "clip.mp4")
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_ffmpeg_that_dies(moving_frames, tmp_path, monkeypatch):
    monkeypatch.setattr(video.ffmpeg, "find_ffmpeg", lambda: "/bin/false")
    with pytest.raises(EncodingFailed, match="ffmpeg failed"):
        write_clip(moving_frames * 40, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


def test_ffmpeg_that_is_not_there(moving_frames, tmp_path, monkeypatch):
    monkeypatch.setattr(video.ffmpeg, "find_ffmpeg", lambda: str(tmp_path / "ffmpeg"))
    with pytest.raises(FfmpegMissing):
        write_clip(moving_frames, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("heeding_ctrl_c")
def test_ctrl_c_in_a_terminal_leaves_nothing(tmp_path):
    """The interrupt goes to the whole group, ffmpeg included, as a terminal sends it."""
    program = (
        "import os, signal, sys, numpy as np\n"
        "from talking_face.clips.video import write_clip\n"
        "def frames():\n"
        "    for i in range(100):\n"
        "        if i == 50: os.killpg(0, signal.SIGINT)\n"
        "        yield np.zeros((64, 64, 3), np.uint8)\n"
        "write_clip(frames(), sys.argv[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "clip.mp4"],
        start_new_session=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "KeyboardInterrupt" in done.stderr
    assert list(tmp_path.iterdir()) == []


# --- reading ---------------------------------------------------------------------------------


def test_reading_honours_rotation(moving_frames, tmp_path):
    upright = write_clip(moving_frames, tmp_path / "clip.mp4")
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation:v", "90", "-i", upright, "-c", "copy", turned)
    read = next(read_frames(turned))
    assert read.shape == (128, 96, 3)
    assert np.abs(read.astype(int) - np.rot90(next(read_frames(upright)))).mean() < 3


def test_reading_brings_any_rate_to_25(moving_frames, tmp_path):
    clip = write_clip(moving_frames, tmp_path / "clip.mp4")
    fast = tmp_path / "fast.mkv"
    ffmpeg("-i", clip, "-r", "50", fast)
    assert len(list(read_frames(fast))) == pytest.approx(25, abs=1)


def test_reading_scales_down_but_never_up(moving_frames, tmp_path):
    clip = write_clip(moving_frames, tmp_path / "clip.mp4")
    assert next(read_frames(clip, max_side=64)).shape == (48, 64, 3)
    assert next(read_frames(clip, max_side=1000)).shape == (96, 128, 3)


def test_stopping_early_ends_ffmpeg(moving_frames, tmp_path):
    def children() -> set[str]:  # other tests' browser may be among them
        files = Path("/proc/self/task").glob("*/children")
        return {child for file in files for child in file.read_text().split()}

    clip = write_clip(moving_frames * 20, tmp_path / "clip.mp4")
    before = children()
    frames = read_frames(clip)
    next(frames)
    assert children() > before
    frames.close()
    assert children() == before


@pytest.mark.parametrize("content", [b"", b"text, no video", bytes(5000)])
def test_videos_that_cannot_be_read(content, tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoUnreadable, match=r"video\.mp4"):
        list(read_frames(path))


def test_a_sound_is_not_a_video(tmp_path, moving_frames):
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "sound.wav")
    with pytest.raises(VideoUnreadable):
        list(read_frames(tmp_path / "sound.wav"))
    with pytest.raises(VideoUnreadable, match="There is no video"):
        list(read_frames(tmp_path / "nothing.mp4"))
    truncated = write_clip(moving_frames, tmp_path / "clip.mp4").read_bytes()[:2000]
    (tmp_path / "clip.mp4").write_bytes(truncated)
    with pytest.raises(TalkingFaceError):
        list(read_frames(tmp_path / "clip.mp4"))
