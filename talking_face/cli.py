"""The command line: `python -m talking_face PHOTO AUDIO`.

A thin shell around `Animator`: it reads options, shows progress on standard error, prints the paths
of the results on standard output and turns errors into exit codes.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from talking_face.animator import Animator, Clip, Progress, load_animator
from talking_face.errors import TalkingFaceError
from talking_face.files import output_folder
from talking_face.mark import CORNERS, Mark
from talking_face.motion import Motion
from talking_face.options import MAX_DIVERSITY, MAX_POSE_STRENGTH, MAX_SAMPLES, MAX_SEED

OK, PARTLY, FAILED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

EXAMPLES = """\
examples:
  four clips of one photo, and a comparison of them side by side, in the folder outputs/
      python -m talking_face photo.jpg speech.wav
  two calmer clips in the whole photo, from other dice
      python -m talking_face photo.jpg speech.wav --samples 2 --seed 7 --pose-strength 0.5 \\
          --framing photo
  draw the animations now, render one of them on another face later
      python -m talking_face speech.wav --motion-only
      python -m talking_face friend.png speech.wav --motion outputs/sample-1_seed-0.npz

The same seed gives the same clips. Exit code: 0 done, 1 some samples failed, 2 nothing could be
done, with one sentence that says why, 130 interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        with _terminated_politely(), _chatter_hidden(options.verbose):
            if options.motion is not None:
                return _render_motion(options)
            if options.motion_only:
                return _write_motions(options)
            if options.audio is None:
                parser.error("AUDIO is missing: the recording that the photo is to speak")
            return _animate(options)
    except TalkingFaceError as error:
        print(f"talking_face: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("talking_face: stopped; finished clips are kept.", file=sys.stderr)
        return INTERRUPTED


def build_parser() -> argparse.ArgumentParser:
    """The options, with the ranges and defaults of `Animator.animate` and `Mark`."""
    parser = argparse.ArgumentParser(
        prog="python -m talking_face",
        usage="%(prog)s PHOTO AUDIO [-o FOLDER] [--samples N] [--seed S] [options]",
        description="Makes a photo speak a recording: several different, equally fitting clips.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "photo",
        metavar="PHOTO",
        type=Path,
        help="an image with a face that looks towards the camera: JPEG, PNG, WebP, HEIC, …",
    )
    parser.add_argument(
        "audio",
        metavar="AUDIO",
        type=Path,
        nargs="?",
        help="the speech: any sound or video file, 0.3 s to 10 minutes",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        default=Path("outputs"),
        help="where the results go; made if it isn't there (default: %(default)s)",
    )

    animate = _defaults(Animator.animate)
    samples = parser.add_argument_group("what is drawn")
    samples.add_argument(
        "--samples",
        metavar="N",
        type=int,
        default=animate["samples"],
        help=f"how many different clips, 1 to {MAX_SAMPLES} (default: %(default)s)",
    )
    samples.add_argument(
        "--seed",
        metavar="S",
        type=int,
        default=animate["seed"],
        help=f"the dice, 0 to {MAX_SEED}: another seed, other clips (default: %(default)s)",
    )
    samples.add_argument(
        "--diversity",
        metavar="D",
        type=float,
        default=animate["diversity"],
        help="how much the clips differ: 0 not at all, 1 as people do, at most "
        f"{MAX_DIVERSITY:g} (default: %(default)s)",
    )
    samples.add_argument(
        "--pose-strength",
        metavar="P",
        type=float,
        default=animate["pose_strength"],
        help="how much the head moves: 0 still, 1 natural, at most "
        f"{MAX_POSE_STRENGTH:g} (default: %(default)s)",
    )

    picture = parser.add_argument_group("the picture")
    picture.add_argument(
        "--framing",
        choices=("crop", "photo"),
        default=animate["framing"],
        help="head and shoulders, or the whole photo (default: %(default)s)",
    )
    picture.add_argument(
        "--size",
        metavar="PIXELS",
        type=int,
        default=animate["size"],
        help="side of the crop (default: 512) or longest side of the photo (default: its own, "
        "1920 at most)",
    )
    picture.add_argument(
        "--face-index",
        metavar="I",
        type=int,
        help="which face of a photo with several, the largest is 0 (default: 0)",
    )

    mark = parser.add_argument_group("the mark", "Every clip says in a corner what it is.")
    mark.add_argument(
        "--mark-text", metavar="TEXT", default=Mark.text, help="(default: %(default)s)"
    )
    mark.add_argument(
        "--mark-corner", choices=CORNERS, default=Mark.corner, help="(default: %(default)s)"
    )
    mark.add_argument(
        "--mark-opacity",
        metavar="O",
        type=float,
        default=Mark.opacity,
        help="0 to 1 (default: %(default)s)",
    )

    motions = parser.add_argument_group("animations as files")
    either = motions.add_mutually_exclusive_group()
    either.add_argument(
        "--motion-only",
        action="store_true",
        help="write the animations, render nothing; PHOTO isn't looked at and may be left out",
    )
    either.add_argument(
        "--motion",
        metavar="FILE",
        type=Path,
        help="render this animation (.npz or .csv) on PHOTO; AUDIO, if given, is its sound",
    )
    motions.add_argument(
        "--motion-format",
        choices=("npz", "csv"),
        default="npz",
        help="for --motion-only: exact, or a table to edit (default: %(default)s)",
    )

    machine = parser.add_argument_group("the machine")
    machine.add_argument(
        "--device", metavar="NAME", help="cpu or cuda (default: a GPU where there is one)"
    )
    machine.add_argument(
        "--insightface-pack",
        metavar="FOLDER",
        type=Path,
        help="find faces with this insightface model pack; mind its non-commercial licence",
    )
    machine.add_argument(
        "-v", "--verbose", action="count", default=0, help="say more; -vv says everything"
    )
    return parser


def _defaults(function: Any) -> dict[str, Any]:
    return {name: entry.default for name, entry in inspect.signature(function).parameters.items()}


def _animate(options: argparse.Namespace) -> int:
    mark = _mark(options)
    with _progress("Loading the models") as bar:
        show = _shown_by(bar)
        animator = load_animator(options.device, options.insightface_pack)
        show(0.0, "Looking at the photo")
        face = animator.fit(options.photo, options.face_index)
        show(0.0, "Listening to the recording")
        speech = animator.listen(options.audio)
        clips: list[Clip] = []
        for clip in animator.animate(
            face,
            speech,
            samples=options.samples,
            seed=options.seed,
            diversity=options.diversity,
            pose_strength=options.pose_strength,
            framing=options.framing,
            size=options.size,
            output=options.output,
            mark=mark,
            progress=show,
        ):
            clips.append(clip)
            if clip.error is None:
                tqdm.write(str(clip.path))
            else:
                tqdm.write(f"talking_face: {clip.label} failed: {clip.error}", sys.stderr)
        finished = [clip for clip in clips if clip.error is None]
        if not finished:
            return FAILED
        if len(finished) > 1:
            bar.set_description_str("Putting them side by side")
            path = options.output / f"comparison_seed-{options.seed}.mp4"
            tqdm.write(str(animator.compare(finished, path)))
        bar.set_description_str("Done")
    return OK if len(finished) == len(clips) else PARTLY


def _write_motions(options: argparse.Namespace) -> int:
    folder = output_folder(options.output)
    with _progress("Loading the models") as bar:
        animator = load_animator(options.device, options.insightface_pack)
        bar.set_description_str("Listening to the recording")
        speech = animator.listen(options.audio or options.photo)
        bar.set_description_str("Drawing the animations")
        motions = animator.sample(speech, options.samples, options.seed, options.diversity)
        for index, motion in enumerate(motions):
            name = f"sample-{index + 1}_seed-{options.seed}.{options.motion_format}"
            motion.with_pose_strength(options.pose_strength).save(folder / name)
            tqdm.write(str(folder / name))
    return OK


def _render_motion(options: argparse.Namespace) -> int:
    motion = Motion.load(options.motion).with_pose_strength(options.pose_strength)
    mark = _mark(options)
    path = output_folder(options.output) / f"{options.photo.stem}_{options.motion.stem}.mp4"
    with _progress("Loading the models") as bar:
        animator = load_animator(options.device, options.insightface_pack)
        bar.set_description_str("Looking at the photo")
        face = animator.fit(options.photo, options.face_index)
        speech = animator.listen(options.audio) if options.audio else None
        show = _shown_by(bar)
        framing, size = options.framing, options.size
        animator.render_motion(face, motion, path, speech, framing, size, mark, show)
        tqdm.write(str(path))
    return OK


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
    """A request to end (SIGTERM) removes half-written files as an interrupt does."""

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
    if verbose or sys.stderr is not sys.__stderr__:  # someone else has turned it away already
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
