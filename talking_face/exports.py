"""A motion on a face, taken into other tools: heads, curves, and videos for two eyes; and live ones
that were recorded, made into clips.

    export(animator, face, motion, "glb", Path("outputs/sample-1_seed-0"))
    write_take(animator, stream.cut(), "outputs/session.mp4")

What the command line, the page and the API write beside clips; see docs/three-d.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from talking_face.animator import Animator
from talking_face.arrays import UInt8
from talking_face.cache import digest_of
from talking_face.clips.clip import watched
from talking_face.clips.credentials import Origin, sign
from talking_face.clips.mark import Mark, installed_mark
from talking_face.clips.marks import Marks
from talking_face.clips.stereo import Packing, packed
from talking_face.clips.video import write_clip
from talking_face.commission import check_shown
from talking_face.cores import in_order, one_thread
from talking_face.errors import OptionInvalid, OutputUnwritable
from talking_face.face.face import Face
from talking_face.face.lips import lip_gaps
from talking_face.files import keep_apart, result_path
from talking_face.gate import admit
from talking_face.head.gltf import write_glb
from talking_face.head.head import Head
from talking_face.head.live_link import write_curves, write_live_link
from talking_face.head.obj import write_obj
from talking_face.head.performance import Performance, displaced, perform, pose_in
from talking_face.head.view import Camera, draw_head
from talking_face.live.take import Take
from talking_face.motion import FPS, Motion
from talking_face.options import DEPTH, EXPORTS, Look, Progress, check_made, check_progress, shown
from talking_face.picture.plate import CROP_SIZE
from talking_face.picture.renderer import Renderer
from talking_face.picture.stereo import StereoRenderer
from talking_face.sound.speech import Speech
from talking_face.sound.voice import Spoken

PACKING = {"stereo": "side-by-side", "stereo-half": "half", "anaglyph": "anaglyph"}


def export(
    animator: Animator,
    face: Face,
    motion: Motion,
    kind: str,
    stem: str | Path,
    speech: Speech | None = None,
    look: Look = Look(),
    mark: Mark | None = None,
    depth: float = DEPTH,
    progress: Progress | None = None,
) -> list[Path]:
    """Write a motion on a face as one of `EXPORTS`.

    Args:
        kind: "glb" (the head with its animation), "obj" (its frame with the widest mouth), "arkit"
            (the curves, as Live Link Face's CSV and as JSON), "stereo" or "stereo-half" (side by
            side, full and half width) or "anaglyph" (for red-cyan glasses).
        stem: of the files, with their folder.
        speech, look, mark, progress: of the videos; see `Animator.render_motion`.
        depth: of the videos, 0 (flat) to 1.

    Returns:
        What was written.

    Raises:
        OptionInvalid, OutputUnwritable, EncodingFailed, FfmpegMissing.
    """
    check_export(kind)
    check_made("`load_animator`", Animator, animator)
    check_shown(face, motion, speech, look, mark, progress)
    stem = result_path(stem)
    if not stem.name:
        raise OutputUnwritable(
            f"{stem} is a folder. Give it and the beginning of the files' names."
        )
    motion = animator.expressed(motion)
    marks = Marks(_origin(face, motion, speech, export=kind), mark)
    paths = [stem.with_name(stem.name + suffix) for suffix in EXPORTS[kind]]
    if kind in PACKING:
        pair = StereoRenderer(animator.renderer(face, look), depth)
        packing: Any = PACKING[kind]
        frame = partial(_pair, pair, motion, packing, mark or installed_mark())
        beside = kind != "anaglyph"
        return [_video(frame, len(motion), paths[0], speech, marks, progress, beside)]
    if kind == "obj":
        head, renderer = _marked(animator.head(face), marks), animator.renderer(face)
        gaps = [lip_gaps(renderer.deform(motion, index)).max() for index in range(len(motion))]
        widest = max(range(len(gaps)), key=gaps.__getitem__)
        write_obj(head, displaced(head, renderer, motion, widest), paths[0])
        marks.sign(paths[2], paths[2])
        return paths
    performance = performed(animator, face, motion)
    if kind == "glb":
        head = _marked(performance.head, marks)
        write_glb(replace(performance, head=head), paths[0])
        marks.sign(paths[0], paths[0])
        return paths
    table = write_live_link(performance, motion.gaze, paths[0])
    write_curves(performance, motion.gaze, paths[1], table)
    return paths


def performed(animator: Animator, face: Face, motion: Motion) -> Performance:
    """What a face's head does in a motion; its curves tell how much they leave out."""
    shown, arkit = animator.expressed(motion), animator.models.arkit
    return perform(animator.head(face), animator.renderer(face), shown, arkit)


def render_view(
    animator: Animator,
    face: Face,
    motion: Motion,
    camera: Camera,
    path: str | Path,
    speech: Speech | None = None,
    look: Look = Look(),
    mark: Mark | None = None,
    progress: Progress | None = None,
) -> Path:
    """Render a motion's head as a camera beside it sees it, to an mp4.

    Args:
        look: its size; the framing is always the crop.

    Raises:
        OptionInvalid, OutputUnwritable, EncodingFailed, FfmpegMissing.
    """
    check_made("`load_animator`", Animator, animator)
    check_shown(face, motion, speech, look, mark, progress)
    check_made("its constructor", Camera, camera)
    keep_apart(result_path(path, ".mp4"), look.background)
    size = (look.size or CROP_SIZE) // 2 * 2
    motion = animator.expressed(motion)
    head, renderer = animator.head(face), animator.renderer(face, replace(look, framing="crop"))
    frame = partial(_viewed, head, renderer, motion, camera, size)
    told = {"yaw": camera.yaw, "pitch": camera.pitch}
    marks = Marks(_origin(face, motion, speech, view=told), mark)
    return _video(frame, len(motion), path, speech, marks, progress)


def _video(
    frame: Callable[[int], UInt8],
    count: int,
    path: str | Path,
    speech: Speech | None,
    marks: Marks,
    progress: Progress | None,
    side_by_side: bool = False,
) -> Path:
    frames = watched(in_order(frame, count), count, "Rendering", progress)
    recording = speech.recording if speech else None
    return write_clip(frames, path, recording, marks.visible, marks.origin, side_by_side, count)


def write_speech(spoken: Spoken, path: Path) -> Path:
    """Write a spoken text as a WAV file that says in its statement that nobody said it.

    Raises:
        OutputUnwritable, CredentialsUnusable.
    """
    spoken.save(path)
    sign(path, Origin({"voice": spoken.voice.id}), path.name)
    return path


def _origin(face: Face, motion: Motion, speech: Speech | None, **settings: Any) -> Origin:
    """How a file of a motion was made, for its statement."""
    sources = {"photo": face.digest, "motion": digest_of(motion.as_array())}
    return Origin(settings, sources | ({"sound": speech.digest} if speech else {}))


def _marked(head: Head, marks: Marks) -> Head:
    """The head with the invisible mark in its texture."""
    return replace(head, atlas=marks.unseen(*head.atlas.shape[:2])(head.atlas))


def _pair(
    pair: StereoRenderer, motion: Motion, packing: Packing, mark: Mark | None, index: int
) -> UInt8:
    return packed(*pair.frame(motion, index), packing, mark)


def _viewed(
    head: Head, renderer: Renderer, motion: Motion, camera: Camera, size: int, index: int
) -> UInt8:
    moved = displaced(head, renderer, motion, index)
    pose = pose_in(head, renderer, motion, index)
    return draw_head(head, moved, pose, camera, index / FPS, size)


def write_take(
    animator: Animator,
    take: Take,
    path: str | Path,
    look: Look = Look(),
    mark: Mark | None = None,
    progress: Progress | None = None,
    aside: bool = False,
) -> Path:
    """Render what a live face did to an mp4, with its sound and the three marks of every clip.

    Frames that were left out while the machine was busy are in it.

    Args:
        look, mark, progress: as for `Animator.render_motion`. Photos of other shapes than the
            first one are seen whole, in frames of its size.
        aside: take one core alone, as others are needed elsewhere.

    Raises:
        Refused, OptionInvalid, OutputUnwritable, EncodingFailed, FfmpegMissing,
        CredentialsUnusable.
    """
    check_made("`load_animator`", Animator, animator)
    check_made("`cut`", Take, take)
    check_made("its constructor", Look, look)
    check_made("its constructor", Mark, *([] if mark is None else [mark]))
    check_progress(progress)
    path, recording = result_path(path, ".mp4"), take.recording()
    keep_apart(path, look.background)
    admit("sound", recording)
    scenes = [
        (animator.renderer(scene.face, look), animator.expressed(scene.motion))
        for scene in take.scenes
    ]
    height, width = scenes[0][0].frame(scenes[0][1]).shape[:2]
    count = sum(len(motion) for _, motion in scenes)
    frame = partial(_of_scenes, scenes, height, width)
    frames = map(frame, range(count)) if aside else in_order(frame, count)
    photos = {f"photo {i + 1}" if i else "photo": s.face.digest for i, s in enumerate(take.scenes)}
    moved = np.concatenate([scene.motion.as_array() for scene in take.scenes])
    sources = {**photos, "motion": digest_of(moved), "sound": digest_of(take.sound)}
    origin = Origin({"live": True, "framing": look.framing, "size": look.size}, sources)
    with one_thread():
        seen = watched(frames, count, "Rendering", progress)
        return write_clip(seen, path, recording, mark, origin, count=count)


def _of_scenes(scenes: list[tuple[Renderer, Motion]], height: int, width: int, index: int) -> UInt8:
    scene = 0
    while index >= len(scenes[scene][1]):
        index -= len(scenes[scene][1])
        scene += 1
    renderer, motion = scenes[scene]
    return within(renderer.frame(motion, index), height, width)


def within(frame: UInt8, height: int, width: int) -> UInt8:
    """A frame whole in one of another shape, (height, width, 3) uint8 RGB, black around it."""
    if frame.shape[:2] == (height, width):
        return frame
    scale = min(height / frame.shape[0], width / frame.shape[1])
    rows, columns = (max(1, round(scale * side)) for side in frame.shape[:2])
    scaled = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_AREA)
    top, left = (height - rows) // 2, (width - columns) // 2
    whole = np.zeros((height, width, 3), dtype=np.uint8)
    whole[top : top + rows, left : left + columns] = scaled
    return whole


def check_export(kind: Any) -> None:
    """Raise OptionInvalid unless this is one of `EXPORTS`."""
    if not isinstance(kind, str) or kind not in EXPORTS:
        raise OptionInvalid(f"The exports are {', '.join(EXPORTS)}, not {shown(kind)}.")
