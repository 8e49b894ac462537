"""The command line: `talking-face PHOTO AUDIO`, or `python -m talking_face` in a checkout.

A thin shell around `Animator`: it reads options, shows progress on standard error, prints the paths
of the results on standard output and turns errors into exit codes.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from talking_face.animator import Animator, load_animator
from talking_face.arguments import build_parser as build_parser
from talking_face.arguments import edits_of, parse
from talking_face.clips.clip import Clip
from talking_face.clips.mark import Mark
from talking_face.clips.plots import write_plot
from talking_face.errors import TalkingFaceError
from talking_face.files import output_folder
from talking_face.motion import Motion
from talking_face.options import Progress, file_name, sample_label
from talking_face.sound.audio import Recording
from talking_face.sound.speech import Speech
from talking_face.sound.voice import read_text, speak, voices

OK, PARTLY, FAILED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parse(arguments)
    try:
        with _terminated_politely(), _chatter_hidden(options.verbose):
            if options.list_voices:
                return _list_voices()
            if options.motion is not None:
                return _render_motion(options)
            if options.motion_only:
                return _write_motions(options)
            return _animate(options)
    except TalkingFaceError as error:
        print(f"talking_face: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("talking_face: stopped; finished clips are kept.", file=sys.stderr)
        return INTERRUPTED


def _animate(options: argparse.Namespace) -> int:
    mark, edits = _mark(options), edits_of(options)
    with _progress("Loading the models") as bar:
        show = _shown_by(bar)
        animator = load_animator(options.device, options.insightface_pack)
        show(0.0, "Looking at the photo")
        face = animator.fit(options.photo, options.face_index)
        show(0.0, "Listening to the recording")
        speech = animator.listen(_sound(options) or options.audio)
        clips: list[Clip] = []
        for clip in animator.animate(
            face,
            speech,
            samples=options.samples,
            seed=options.seed,
            diversity=options.diversity,
            style=options.style,
            pose_strength=options.pose_strength,
            framing=options.framing,
            size=options.size,
            output=options.output,
            mark=mark,
            progress=show,
            edits=edits,
            background=options.background,
        ):
            clips.append(clip)
            if clip.path and clip.motion_path:
                tqdm.write(str(clip.path))
                _write_pictures(animator, clip.path, Motion.load(clip.motion_path), options)
            else:
                tqdm.write(f"talking_face: {clip.label} failed: {clip.error}", sys.stderr)
        finished = [clip for clip in clips if clip.error is None]
        if not finished:
            return FAILED
        if len(finished) > 1:
            bar.set_description_str("Putting them side by side")
            path = options.output / f"comparison_seed-{options.seed}.mp4"
            tqdm.write(str(animator.compare(finished, path)))
        if options.plot:
            moved = [Motion.load(clip.motion_path) for clip in finished if clip.motion_path]
            path = options.output / f"plot_seed-{options.seed}.png"
            _write_plot(animator, path, moved, [clip.label for clip in finished], speech)
        bar.set_description_str("Done")
    return OK if len(finished) == len(clips) else PARTLY


def _write_motions(options: argparse.Namespace) -> int:
    edits = edits_of(options)
    folder = output_folder(options.output)
    with _progress("Loading the models") as bar:
        animator = load_animator(options.device, options.insightface_pack)
        bar.set_description_str("Listening to the recording")
        speech = animator.listen(_sound(options) or options.audio or options.photo)
        bar.set_description_str("Drawing the animations")
        motions = animator.sample(
            speech, options.samples, options.seed, options.diversity, options.style
        )
        motions = [motion.with_pose_strength(options.pose_strength) for motion in motions]
        motions = [animator.edit(motion, edits) for motion in motions]
        labels = [sample_label(index, options.seed) for index in range(len(motions))]
        for label, motion in zip(labels, motions, strict=True):
            path = folder / f"{file_name(label)}.{options.motion_format}"
            motion.save(path)
            tqdm.write(str(path))
        if options.plot:
            path = folder / f"plot_seed-{options.seed}.png"
            _write_plot(animator, path, motions, labels, speech)
    return OK


def _render_motion(options: argparse.Namespace) -> int:
    motion = Motion.load(options.motion).with_pose_strength(options.pose_strength)
    mark, edits = _mark(options), edits_of(options)
    path = output_folder(options.output) / f"{options.photo.stem}_{options.motion.stem}.mp4"
    with _progress("Loading the models") as bar:
        animator = load_animator(options.device, options.insightface_pack)
        bar.set_description_str("Looking at the photo")
        face = animator.fit(options.photo, options.face_index)
        sound = _sound(options) or options.audio
        speech = animator.listen(sound) if sound else None
        show = _shown_by(bar)
        motion = animator.edit(motion, edits)
        framing, size, behind = options.framing, options.size, options.background
        animator.render_motion(face, motion, path, speech, framing, size, mark, show, behind)
        tqdm.write(str(path))
        _write_pictures(animator, path, motion, options)
        if options.plot and speech:
            plot = path.with_name(f"{path.stem}_plot.png")
            _write_plot(animator, plot, [motion], [path.stem], speech)
    return OK


def _list_voices() -> int:
    for voice in voices():
        print(f"{voice.id:24} {voice.label}")
    return OK


def _sound(options: argparse.Namespace) -> Recording | None:
    """The text, spoken and kept as speech.wav; None where no text is given."""
    text = read_text(options.text_file) if options.text_file else options.text
    if text is None:
        return None
    spoken = speak(text, options.voice, options.voice_speed)
    path = output_folder(options.output) / "speech.wav"
    recording = spoken.save(path)
    tqdm.write(str(path))
    return recording


def _write_pictures(
    animator: Animator, clip: Path, motion: Motion, options: argparse.Namespace
) -> None:
    """What `--poster` and `--gif` ask for, beside the clip."""
    if options.poster:
        tqdm.write(str(animator.poster(clip, clip.with_suffix(".png"), motion)))
    if options.gif:
        tqdm.write(str(animator.gif(clip, clip.with_suffix(".gif"), motion, _mark(options))))


def _write_plot(
    animator: Animator,
    path: Path,
    motions: Sequence[Motion],
    labels: Sequence[str],
    speech: Speech,
) -> None:
    write_plot(path, animator.plot(motions, labels, speech.recording))
    tqdm.write(str(path))


def _mark(options: argparse.Namespace) -> Mark:
    return Mark(options.mark_text, options.mark_corner, options.mark_opacity)


@contextmanager
def _progress(message: str) -> Iterator[tqdm]:
    """A bar on standard error, where that is a terminal."""
    shape = "{desc:28} {percentage:3.0f} %|{bar}| {elapsed} gone, {remaining} to go"
    with tqdm(desc=message, total=1.0, bar_format=shape, disable=None, leave=False) as bar:
        yield bar


def _shown_by(bar: tqdm) -> Progress:
    def show(fraction: float, message: str) -> None:
        bar.set_description_str(message, refresh=False)
        bar.update(fraction - bar.n)

    return show


@contextmanager
def _terminated_politely() -> Iterator[None]:
    """A request to end (SIGTERM) removes half-written files as an interrupt does.

    Only the main thread hears signals; a program that calls `main` in another one minds them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: object) -> None:
        raise SystemExit(TERMINATED)

    previous = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _chatter_hidden(verbose: int) -> Iterator[None]:
    """What libraries say goes nowhere, unless asked for; what this package says is shown.

    MediaPipe's compiled parts write to file descriptor 2 and can't be told to stop, so the
    descriptor is turned away, and Python keeps a copy of the real one.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.getLogger("talking_face").setLevel(level)
    logging.captureWarnings(True)
    # Someone else may have turned it away already, and a program without a console has none.
    if verbose or sys.stderr is None or sys.stderr is not sys.__stderr__:
        logging.basicConfig(format="%(name)s: %(message)s")
        yield
        return
    real = os.dup(2)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    logging.basicConfig(format="talking_face: %(message)s", level=logging.ERROR)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - os.devnull is no Path
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(real, 2)
        os.close(real)
        sys.stderr = sys.__stderr__
