"""Clips: frames in, a file that every browser plays out; and frames out of any video.

Owns the encoder step (H.264 and AAC in MP4, by ffmpeg), which sets the marks of every clip, and the
comparison of several clips side by side. Knows nothing of faces. A clip appears under
its name only when it is complete.
"""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Iterable, Sequence, Sized
from contextlib import closing
from dataclasses import replace
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from PIL import Image

from talking_face import ffmpeg
from talking_face.arrays import Array, UInt8
from talking_face.clips import colour
from talking_face.clips.credentials import Origin
from talking_face.clips.mark import Mark as Mark
from talking_face.clips.mark import draw_label, installed_mark
from talking_face.clips.marks import COMMENT as COMMENT
from talking_face.clips.marks import Marks
from talking_face.clips.stereo import say_side_by_side
from talking_face.clips.watermark import Watermark, installed_key
from talking_face.errors import OptionInvalid, OutputUnwritable, VideoUnreadable
from talking_face.files import appearing, is_file, keep_apart, result_path, scratch
from talking_face.motion import FPS
from talking_face.motion_space import MAX_SECONDS
from talking_face.options import shown
from talking_face.sound.audio import SAMPLE_RATE, Recording
from talking_face.sound.rates import SOUND_RATE

MAX_COMPARED = 6
COMPARISON_SIDE = 1920  # pixels, at most, in width and height
BACKGROUND = (16, 16, 16)
BAND = 0.09  # height of a comparison's label band, of the cell's height

# x264's "veryfast" at CRF 18, but with less of a search for motion, which portraits have little of,
# and none for cuts: a third less work, 0.3 dB less, files a sixth larger. Frames come in the
# colours that the tags name, so that no player shifts them.
_H264 = (
    "-c:v libx264 -preset veryfast -crf 18 -x264-params "
    "subme=1:weightp=0:partitions=i4x4,i8x8:b-adapt=0:scenecut=0 "
    "-pix_fmt yuv420p -color_primaries bt709 "
    "-color_trc bt709 -colorspace bt709 -color_range tv"
).split()
_AAC = "-c:a aac -b:a 160k -ar 48000 -ac 2".split()
_CONTAINER = ["-map_metadata", "-1", "-metadata", f"comment={COMMENT}", "-movflags", "+faststart"]


def write_clip(
    frames: Iterable[UInt8],
    path: str | Path,
    recording: Recording | None = None,
    mark: Mark | None = None,
    origin: Origin = Origin(),
    side_by_side: bool = False,
    count: int | None = None,
) -> Path:
    """Encode frames as an MP4 that browsers play: H.264 yuv420p, AAC, 25 fps, index in front.

    The clip has exactly the frames given; the sound is cut or padded with silence to their length.
    Odd sizes are padded by repeating the last
    row or column.

    Args:
        frames: (H, W, 3) uint8 RGB, all of one size, at least one.
        path: the .mp4 to write, in a folder that exists; replaced if it is there.
        recording: the sound; None makes a silent clip.
        mark: the visible one; None takes that of this installation.
        origin: what the signed statement tells of its making.
        side_by_side: each frame holds the left eye's picture and the right one's; the file says so.
        count: how many frames there are, which the sound has to be told where they have no length.

    Returns:
        The path. On any failure, of ffmpeg or of the producer of the frames, nothing appears or
        changes under it and no temporary file is left.

    Raises:
        OutputUnwritable: the folder can't be written, or the disk is full.
        EncodingFailed: ffmpeg failed; the message says why.
        CredentialsUnusable: it can't be signed.
        FfmpegMissing: there is no ffmpeg.
        ValueError: no frames, frames of different sizes or types, or not as many as it was said.
    """
    path = result_path(path, ".mp4")
    marks = Marks(origin, mark)
    if count is None and isinstance(frames, Sized):
        count = len(frames)
    with appearing(path) as clip, scratch(path) as samples:
        sound: list[str] = []
        if recording is not None:
            if count is None:
                raise ValueError("give the count of frames that have no length: sound goes with it")
            sound = _sound(recording, count, samples, path)
        made = _encode(frames, clip, marks, path, sound)
        if count not in (None, made):
            raise ValueError(f"there are {made} frames, not {count}")
        if side_by_side:
            say_side_by_side(clip)
        marks.sign(clip, path)
    return path


def write_comparison(clips: Sequence[str | Path], labels: Sequence[str], path: str | Path) -> Path:
    """Put finished clips side by side, each under its label, with the sound of the first.

    Up to four stand in a row, five and six in two rows. Needs the same memory for any length; what
    lasts longer than a motion can is cut off.

    Args:
        clips: 1 to 6 files that `write_clip` made, of one length.
        labels: one a clip, such as "sample 1 · seed 0".
        path: the .mp4 to write, as in `write_clip`.

    Raises:
        OptionInvalid: not 1 to 6 clips, or not one label each.
        VideoUnreadable, EncodingFailed, FfmpegMissing.
        OutputUnwritable: the folder can't be written, or the path is one of the clips.
    """
    keep_apart(result_path(path), *clips)
    path = result_path(path, ".mp4")
    if not 1 <= len(clips) <= MAX_COMPARED or len(clips) != len(labels):
        raise OptionInvalid(
            f"{len(clips)} clips with {len(labels)} labels can't be compared. "
            f"Give 1 to {MAX_COMPARED} clips and a label for each."
        )
    height, width = _first_frame(clips[0]).shape[:2]
    cell, band, places = _grid(len(clips), height, width)
    canvas = Image.new(
        "RGBA",
        (max(left for left, _ in places) + cell[0], places[-1][1] + band + cell[1]),
        BACKGROUND,
    )
    for label, (left, top) in zip(labels, places, strict=True):
        canvas.paste((0, 0, 0, 0), (left, top + band, left + cell[0], top + band + cell[1]))
        canvas.alpha_composite(draw_label(label, cell[0], band), (left, top))
    _add_mark(canvas)

    # Every clip in its cell under a band, the cells in their places, the labels over them all.
    fit = (
        f"scale={cell[0]}:{cell[1]}:force_original_aspect_ratio=decrease:flags=area,"
        f"pad={cell[0]}:{cell[1] + band}:(ow-iw)/2:{band}+({cell[1]}-ih)/2,setsar=1"
    )
    chains = [f"[{i}:v]{fit}[c{i}]" for i in range(len(clips))]
    grid = "[c0]"
    if len(clips) > 1:
        layout = "|".join(f"{left}_{top}" for left, top in places)
        inputs, grid = "".join(f"[c{i}]" for i in range(len(clips))), "[grid]"
        chains.append(f"{inputs}xstack=inputs={len(clips)}:layout={layout}{grid}")
    chains.append(f"{grid}[{len(clips)}:v]overlay=format=yuv420,format=yuv420p,{colour.TAGS}[all]")
    command = ffmpeg.command()
    for clip in clips:
        command += ["-t", f"{MAX_SECONDS:g}", *ffmpeg.source(clip)]
    command += ffmpeg.raw_input("rgba", canvas.width, canvas.height)
    marks = Marks(Origin({"comparison": len(clips)}, parts=[Path(clip) for clip in clips]))
    with appearing(path) as comparison, scratch(path) as first:
        graph = [*command, "-filter_complex", ";".join(chains), "-map", "[all]", "-frames:v", "1"]
        ffmpeg.run([*graph, "-f", "nut", "-c:v", "ffv1"], canvas.tobytes(), first, path)
        pattern = _pattern(_first_frame(first), marks)
        with scratch(path) as unseen:
            unseen.write_bytes(pattern)
            size = f"{canvas.width}x{canvas.height}"
            command += f"-f rawvideo -pixel_format yuv420p -video_size {size} -i".split()
            command += [f"file:{unseen}"]
            chains.append(f"[{len(clips) + 1}:v]{colour.TAGS}[unseen]")
            chains.append(f"[all][unseen]blend=all_mode=grainmerge,{colour.TAGS}[out]")
            command += ["-filter_complex", ";".join(chains), "-map", "[out]", "-map", "0:a:0?"]
            command += [*_H264, "-r", str(FPS), "-c:a", "copy", *_CONTAINER]
            ffmpeg.run([*command, "-f", "mp4"], canvas.tobytes(), comparison, path)
        marks.sign(comparison, path)
    return path


def _add_mark(canvas: Image.Image) -> None:
    """Put the visible mark over a comparison, where that of the last clip isn't."""
    mark = installed_mark()
    if mark is None:
        return
    side = "right" if mark.corner.endswith("left") else "left"
    apart = replace(mark, corner=f"{mark.corner.partition('-')[0]}-{side}")
    pill = apart.pill(canvas.height, canvas.width)
    top, left = apart.place(pill, canvas.height, canvas.width)
    canvas.alpha_composite(Image.fromarray(pill), (left, top))


def _pattern(frame: UInt8, marks: Marks) -> bytes:
    """The invisible mark for all frames that look like this one, as a frame of yuv420p.

    128 is nothing, which is how ffmpeg's "grainmerge" adds it.
    """
    height, width = frame.shape[:2]
    small = Watermark(marks.payload, height, width, installed_key()).pattern(frame)
    pattern = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    luma = np.rint(128 + pattern * (219 / 255)).astype(np.uint8)
    return luma.tobytes() + bytes([128]) * (height * width // 2)


def read_frames(
    path: str | Path,
    max_side: int | None = None,
    rate: float = FPS,
    start: float | None = None,
) -> Generator[UInt8, None, None]:
    """Decode a video of any container, turned the way that it is meant to be seen.

    Args:
        path: the video.
        max_side: pixels; larger pictures are scaled down to it, keeping their proportions.
        rate: frames a second that are wanted.
        start: seconds from the beginning, near which to begin, where decoding can; None: there.

    Yields:
        (H, W, 3) uint8 RGB, not writable.

    Raises:
        VideoUnreadable: no such file, damaged, or without pictures.
        FfmpegMissing: there is no ffmpeg.
    """
    if not isinstance(path, str | PathLike):
        raise VideoUnreadable(
            f"A video can't be read from {shown(path)}. Give the path of its file."
        )
    path = Path(path)
    if not is_file(path):
        raise VideoUnreadable(f"There is no video {path}. Check the path.")
    filters = [f"fps={rate:g}" + (":start_time=0" if start is None else "")]
    if max_side is not None:
        filters.append(
            f"scale='min(iw,{max_side})':'min(ih,{max_side})'"
            ":force_original_aspect_ratio=decrease:flags=area"
        )
    command = ffmpeg.command()
    if start is not None:
        command += ["-noaccurate_seek", "-ss", f"{start:.3f}"]
    command += [*ffmpeg.source(path), "-map", "0:v:0", "-vf", ",".join(filters)]
    command += ["-f", "image2pipe", "-c:v", "ppm", "-"]
    count = 0
    with ffmpeg.started(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while True:
            with process.within(ffmpeg.STALL):
                frame = _read_picture(process.stdout)
            if frame is None:
                break
            count += 1
            yield frame
        ended = process.end()
    if ended.failed or count == 0:
        raise VideoUnreadable(
            f"{path.name} can't be read as a video: {ended.cause('there are no pictures in it')}. "
            "Use one that a media player can play."
        )


def _read_picture(pipe: IO[bytes]) -> Array | None:
    """The next PPM picture, which carries its own size; None at the end."""
    if pipe.readline() != b"P6\n":
        return None
    width, height = map(int, pipe.readline().split())
    pipe.readline()  # the largest value, 255
    pixels = pipe.read(width * height * 3)
    if len(pixels) < width * height * 3:
        return None
    return np.frombuffer(pixels, dtype=np.uint8).reshape(height, width, 3)


def _encode(
    frames: Iterable[UInt8], clip: Path, marks: Marks, path: Path, sound: Sequence[str]
) -> int:
    """Write pictures and sound to `clip`; returns the number of pictures.

    Args:
        sound: see `_sound`; nothing makes a silent clip.
        path: for messages.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError("there are no frames to write")
    height, width = first.shape[:2]
    paint = marks.painter(height, width)
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    command = ffmpeg.command() + ffmpeg.raw_input(
        colour.PIXELS, width + width % 2, height + height % 2
    )
    command += [*sound, "-vf", colour.TAGS, *_H264, *_CONTAINER, "-f", "mp4", f"file:{clip}"]
    count = 0
    with ffmpeg.started(command, stdin=subprocess.PIPE) as process:
        for frame in chain([first], frames):
            if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
                raise ValueError(
                    f"frame {count} is {frame.shape} {frame.dtype}, not {(height, width, 3)} uint8"
                )
            picture = np.ascontiguousarray(paint(frame))
            if height % 2 or width % 2:
                picture = np.pad(picture, padding, mode="edge")
            if not process.write(colour.to_yuv(picture).data):
                break  # ffmpeg says why, below
            count += 1
        ended = process.end()
    if ended.failed:
        raise ffmpeg.failure(ended, path)
    return count


def _sound(recording: Recording, count: int, samples: Path, path: Path) -> list[str]:
    """Options by which exactly as much sound as `count` frames last goes into a clip.

    Args:
        samples: a file that is made for them.
        path: for messages.
    """
    if recording.sound is None:
        sound, rate, layout = recording.waveform.astype("<f4")[:, None], SAMPLE_RATE, "f32le"
    else:
        sound, rate, layout = recording.sound.astype("<i2", copy=False), SOUND_RATE, "s16le"
    sound = np.ascontiguousarray(sound[: count * rate // FPS])
    try:
        samples.write_bytes(sound.data)
    except OSError as error:
        raise OutputUnwritable(
            f"{path.name} could not be written ({error.strerror}); perhaps the disk is full. Make "
            "room or choose another folder."
        ) from error
    options = f"-protocol_whitelist file -f {layout} -ar {rate} -ac {sound.shape[1]}".split()
    options += ["-i", f"file:{samples}", "-map", "0:v", "-map", "1:a", "-af", "apad"]
    return [*options, *_AAC, "-t", f"{count / FPS:.3f}"]


def _first_frame(clip: str | Path) -> UInt8:
    with closing(read_frames(clip)) as frames:
        return next(frames)


def _even(length: float) -> int:
    return max(2, 2 * round(length / 2))


def _grid(
    count: int, height: int, width: int
) -> tuple[tuple[int, int], int, list[tuple[int, int]]]:
    """Size (width, height) of a cell, height of its label band, left top corner of each cell.

    All even, and the whole no larger than `COMPARISON_SIDE` either way.
    """
    columns = count if count <= 4 else 3
    rows = -(-count // columns)
    scale = min(
        1.0,
        COMPARISON_SIDE / (columns * width),
        COMPARISON_SIDE / (rows * height * (1 + BAND) + 2 * rows),
    )
    cell = (int(width * scale) // 2 * 2 or 2, int(height * scale) // 2 * 2 or 2)
    band = _even(max(BAND * cell[1], 16))
    places = [(i % columns * cell[0], i // columns * (cell[1] + band)) for i in range(count)]
    return cell, band, places
