"""For places that play no mp4: a still picture of a finished clip, and a short loop of it.

Both are made from the marked clip and say themselves, to people and to programs, that a machine
made them.
"""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from talking_face import ffmpeg
from talking_face.arrays import Array, UInt8
from talking_face.clips.credentials import Origin, sign
from talking_face.clips.detection import detect, mean_contrast
from talking_face.clips.mark import Mark, installed_mark, text_size
from talking_face.clips.marks import COMMENT, new_payload, write_picture
from talking_face.clips.payload import Payload
from talking_face.clips.video import read_frames
from talking_face.clips.watermark import Watermark, installed_key
from talking_face.errors import VideoUnreadable
from talking_face.face.lips import mean_opening
from talking_face.face.model import FaceModel
from talking_face.files import keep_apart, result_path, writing
from talking_face.motion import FPS, Motion
from talking_face.options import check_made

SEARCHED = 60 * FPS  # frames from the beginning in which a picture or a loop is looked for

LOOP_FRAMES = (50, 75)  # of the clip, shortest and longest loop: 2 to 3 s
LOOP_EVERY = 2  # frames of the clip for one of the loop: 12.5 a second, which a GIF can express
LOOP_SIDE = 320  # pixels, the longest side
LEGIBLE = 8.0  # pixels; a mark that scaling leaves with smaller letters is set again
_PALETTE = "split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=bayer:bayer_scale=4"

SPEAKING = 0.07  # inter-ocular distances that lips are apart in a good picture of speech
# Steps that look alike large, in the units of the motion space.
_STEP = {"lower": 3.0, "upper": 2.0, "lids": 0.2, "gaze": 6.0, "rotation": 3.0, "translation": 0.05}


def write_poster(clip: str | Path, path: str | Path, motion: Motion, model: FaceModel) -> Path:
    """One frame of a finished clip as a picture: in mid-speech, eyes open, facing the viewer.

    One compressed frame shows the clip's invisible mark less surely than all of them do; where it
    can't be read, it is set again.

    Args:
        clip: a marked mp4.
        path: the .png to write; replaced if it is there.
        motion: what the clip was rendered from.
        model: tells how far its lips are apart.

    Raises:
        VideoUnreadable, FfmpegMissing.
        OutputUnwritable: the folder can't be written, the disk is full, or the path is the clip.
    """
    keep_apart(result_path(path), clip)
    path = result_path(path, ".png")
    check_made("`sample`", Motion, motion)
    index = best_frame(motion, model)
    picture = _marked(_read(clip, range(index, index + FPS)))
    return write_picture(
        Image.fromarray(picture), path, Origin({"frame": index}, parts=[Path(clip)])
    )


def write_gif(
    clip: str | Path, path: str | Path, motion: Motion, model: FaceModel, mark: Mark | None = None
) -> Path:
    """A loop of 2 to 3 s out of a finished clip, without sound, 320 pixels at the longest side.

    Args:
        clip: a marked mp4.
        path: the .gif to write; replaced if it is there.
        motion: what the clip was rendered from.
        model: tells how far its lips are apart.
        mark: set again where the clip's own would be too small to read; None takes that of this
            installation.

    Raises:
        VideoUnreadable, EncodingFailed, FfmpegMissing.
        OutputUnwritable: the folder can't be written, the disk is full, or the path is the clip.
    """
    keep_apart(result_path(path), clip)
    path = result_path(path, ".gif")
    check_made("`sample`", Motion, motion)
    chosen = best_loop(motion, model)
    with closing(read_frames(clip)) as frames:
        size = next(frames).shape[:2]
    pictures = _read(clip, chosen[::LOOP_EVERY], LOOP_SIDE)
    height, width = pictures[0].shape[:2]
    mark = mark or installed_mark()
    if mark and text_size(*size) * height / size[0] < LEGIBLE:
        paint = mark.painter(height, width)
        pictures = [paint(picture) for picture in pictures]
    command = ffmpeg.command() + ffmpeg.raw_input("rgb24", width, height, FPS / LOOP_EVERY)
    command += ["-filter_complex", _PALETTE, "-loop", "0", "-f", "gif"]
    with writing(path) as hidden:
        ffmpeg.run(command, b"".join(map(Array.tobytes, pictures)), hidden, path)
        hidden.write_bytes(with_comment(hidden.read_bytes(), COMMENT))
        origin = Origin({"frames": [chosen.start, chosen.stop]}, parts=[Path(clip)])
        sign(hidden, origin, path.name)
    return path


def best_frame(motion: Motion, model: FaceModel) -> int:
    """The frame of the first minute that looks most like somebody who speaks to the viewer."""
    part = motion[:SEARCHED]
    turned = np.linalg.norm(part.rotation / _STEP["rotation"], axis=1)
    away = np.linalg.norm(part.gaze / _STEP["gaze"], axis=1)
    closed = np.maximum(part.lids - np.median(part.lids, axis=0), 0.0).max(axis=1) / _STEP["lids"]
    mute = np.abs(_opening(part, model) - SPEAKING) / SPEAKING
    return int(np.argmin(0.3 * turned + 0.5 * away + 2.0 * closed + mute))


def best_loop(motion: Motion, model: FaceModel) -> range:
    """The frames of the first minute that speak and whose end leads back to their beginning.

    Shorter motions are taken whole.
    """
    part = motion[:SEARCHED]
    shortest, longest = LOOP_FRAMES
    if len(part) <= shortest:
        return range(len(part))
    pose = np.concatenate([getattr(part, name) / step for name, step in _STEP.items()], axis=1)
    spoken = np.concatenate([[0.0], np.cumsum(_opening(part, model))])
    best = (np.inf, range(0))
    for length in range(shortest, min(longest, len(part) - 1) + 1):
        starts = np.arange(len(part) - length)  # the frame after the loop is there to compare
        jump = np.linalg.norm(pose[starts + length] - pose[starts], axis=1)
        speech = (spoken[starts + length] - spoken[starts]) / (length * SPEAKING)
        cost = jump - 2.0 * np.minimum(speech, 1.0)
        start = int(np.argmin(cost))
        best = min(best, (float(cost[start]), range(start, start + length)), key=lambda b: b[0])
    return best[1]


def with_comment(gif: bytes, comment: str) -> bytes:
    """The same GIF with a comment of at most 255 bytes, right behind the global palette."""
    palette = 3 << ((gif[10] & 7) + 1) if gif[10] & 0x80 else 0
    end = 13 + palette
    text = comment.encode("ascii")
    return gif[:end] + bytes([0x21, 0xFE, len(text)]) + text + b"\0" + gif[end:]


def _opening(motion: Motion, model: FaceModel) -> Array:
    return mean_opening(model.mean + model.displacement(motion.lower, motion.upper))


def _marked(frames: list[UInt8]) -> UInt8:
    """The first of some frames of a clip, with the invisible mark that they carry together."""
    key = installed_key()

    def read(some: list[UInt8]) -> Payload | None:
        luma = (np.asarray(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), dtype=np.uint8) for one in some)
        field = mean_contrast(luma)
        assert field is not None
        return detect(field, key).payload

    if read(frames[:1]):
        return frames[0]
    height, width, _ = frames[0].shape
    return Watermark(read(frames) or new_payload(), height, width, key)(frames[0])


def _read(clip: str | Path, wanted: range, max_side: int | None = None) -> list[UInt8]:
    """Frames of a clip, as far as it goes, at least one; (H, W, 3) uint8 RGB."""
    with closing(read_frames(clip, max_side)) as frames:
        found = list(islice(frames, wanted.start, wanted.stop, wanted.step))
    if not found:
        raise VideoUnreadable(
            f"{Path(clip).name} is shorter than its motion. Use the clip that it was rendered to."
        )
    return found
