"""What can be written behind `talking-face` or `python -m talking_face`: names, defaults, help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from talking_face.clips.mark import CORNERS, OPACITIES, SIZES, Mark
from talking_face.edit_arguments import add_edits
from talking_face.options import (
    DEPTH,
    DIVERSITY,
    EXPORTS,
    FRAMINGS,
    MAX_DIVERSITY,
    MAX_PITCH,
    MAX_POSE_STRENGTH,
    MAX_SAMPLES,
    MAX_SEED,
    MAX_YAW,
    POSE_STRENGTH,
    SAMPLES,
    SEED,
    STYLE,
    STYLES,
    VOICE_SPEED,
    VOICE_SPEEDS,
    Look,
)

STEREO = frozenset(("stereo", "stereo-half", "anaglyph"))  # exports for two eyes
DRAWN = ("seed", "diversity", "style")  # options of what is drawn,
SEEN = (  # and of how it is shown
    "framing", "size", "face_index", "background",
    "mark_text", "mark_corner", "mark_opacity", "mark_size", "mark_logo",
)  # fmt: skip
OK, PARTLY, FAILED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143  # exit codes
PROGRAM = "talking-face"  # what an installed copy calls its command

EXAMPLES = """\
examples:
  four clips of one photo, and a comparison of them side by side, in the folder outputs/
      %(prog)s photo.jpg speech.wav
  two calmer clips in the whole photo, from other dice
      %(prog)s photo.jpg speech.wav --samples 2 --seed 7 --pose-strength 0.5 \\
          --framing photo
  a text instead of a recording, spoken by a synthesiser; a picture and a loop of each clip
      %(prog)s photo.jpg --text "Good morning, everyone." --poster --gif
  draw the animations now, render one of them on another face later
      %(prog)s speech.wav --motion-only
      %(prog)s friend.png speech.wav --motion outputs/sample-1_seed-0.npz

The same seed gives the same clips. Exit code: 0 done, 1 some samples failed, 2 nothing could be
done, with one sentence that says why, 130 interrupted.
"""


def parse(
    arguments: Sequence[str] | None = None, parser: argparse.ArgumentParser | None = None
) -> argparse.Namespace:
    """The options given; the parser complains where they don't fit together.

    Args:
        arguments: None takes the program's.
        parser: None takes one that then ends the program with a usage message.
    """
    parser = parser or build_parser()
    options = parser.parse_args(arguments)
    spoken = options.text is not None or options.text_file is not None
    if options.list_voices:
        return options
    if options.motion_only:
        if options.photo is None and not spoken:
            parser.error("AUDIO is missing: the recording to draw animations for")
        if options.gif or options.poster or options.export or options.view:
            parser.error("--motion-only renders nothing that pictures or exports could be made of")
    elif options.photo is None:
        parser.error("PHOTO is missing: an image with a face")
    for names, used, where in (
        (("zoom", "orbit"), options.view is not None, "without --view"),
        (("depth",), not STEREO.isdisjoint(options.export), "without --export stereo or anaglyph"),
        (("motion_format",), options.motion_only, "without --motion-only"),
        (("voice", "voice_speed"), spoken, "without --text"),
        (DRAWN, options.motion is None, "with --motion"),
        (SEEN, not options.motion_only, "with --motion-only"),
    ):
        for name in names:
            if not used and getattr(options, name) != parser.get_default(name):
                parser.error(f"--{name.replace('_', '-')} does nothing {where}")
    if options.motion is not None and options.samples not in (1, parser.get_default("samples")):
        parser.error("--motion renders one animation: leave --samples out")
    if spoken and options.audio is not None:
        parser.error("AUDIO and a text exclude each other: leave one of them out")
    if options.audio is None and not spoken and not options.motion_only:
        if options.motion is None:
            parser.error("AUDIO is missing: the recording that the photo is to speak, or --text")
        if options.plot:
            parser.error("--plot needs AUDIO or --text, whose waveform it shows")
    return options


def build_parser(
    kind: type[argparse.ArgumentParser] = argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """All options, with the ranges and defaults of `talking_face.options`, `Edit` and `Mark`."""
    parser = kind(
        prog=program(),
        usage="%(prog)s PHOTO AUDIO|--text TEXT [-o FOLDER] [--samples N] [--seed S] [options]",
        description="Makes a photo speak a recording: several different, equally fitting clips.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_files(parser)
    _add_text(parser)
    _add_sampling(parser)
    _add_look(parser)
    add_edits(parser)
    _add_mark(parser)
    _add_extras(parser)
    _add_three_d(parser)
    _add_motions(parser)
    _add_machine(parser)
    return parser


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "photo",
        metavar="PHOTO",
        type=Path,
        nargs="?",
        help="an image with a face that looks towards the camera: JPEG, PNG, WebP, HEIC, …",
    )
    parser.add_argument(
        "audio",
        metavar="AUDIO",
        type=Path,
        nargs="?",
        help="the speech: any sound or video file, 0.3 s to 10 minutes",
    )
    add_output(parser, "where the results go; made if it isn't there")


def _add_text(parser: argparse.ArgumentParser) -> None:
    text = parser.add_argument_group("a text instead of AUDIO")
    either_text = text.add_mutually_exclusive_group()
    either_text.add_argument(
        "--text", metavar="TEXT", help="speak this through a synthesiser; kept as speech.wav"
    )
    either_text.add_argument(
        "--text-file", metavar="FILE", type=Path, help="the same for the text in this file (UTF-8)"
    )
    text.add_argument(
        "--voice", metavar="ID", help="who speaks (default: the first of --list-voices)"
    )
    text.add_argument(
        "--voice-speed",
        metavar="X",
        type=float,
        default=VOICE_SPEED,
        help="how fast, {:g} to {:g} (default: %(default)s)".format(*VOICE_SPEEDS),
    )
    text.add_argument(
        "--list-voices", action="store_true", help="print the voices on this machine, and end"
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    samples = parser.add_argument_group("what is drawn")
    samples.add_argument(
        "--samples",
        metavar="N",
        type=int,
        default=SAMPLES,
        help=f"how many different clips, 1 to {MAX_SAMPLES} (default: %(default)s)",
    )
    samples.add_argument(
        "--seed",
        metavar="S",
        type=int,
        default=SEED,
        help=f"the dice, 0 to {MAX_SEED}: another seed, other clips (default: %(default)s)",
    )
    samples.add_argument(
        "--diversity",
        metavar="D",
        type=float,
        default=DIVERSITY,
        help="how much the clips differ: 0 not at all, 1 as people do, at most "
        f"{MAX_DIVERSITY:g} (default: %(default)s)",
    )
    samples.add_argument(
        "--style",
        choices=STYLES,
        default=STYLE,
        help="how lively head and brows are drawn (default: %(default)s)",
    )
    samples.add_argument(
        "--pose-strength",
        metavar="P",
        type=float,
        default=POSE_STRENGTH,
        help="how much the head moves: 0 still, 1 natural, at most "
        f"{MAX_POSE_STRENGTH:g} (default: %(default)s)",
    )


def _add_look(parser: argparse.ArgumentParser) -> None:
    picture = parser.add_argument_group("the picture")
    picture.add_argument(
        "--framing",
        choices=FRAMINGS,
        default=Look.framing,
        help="head and shoulders, or the whole photo (default: %(default)s)",
    )
    picture.add_argument(
        "--size",
        metavar="PIXELS",
        type=int,
        default=Look.size,
        help="side of the crop (default: 512) or longest side of the photo (default: its own, "
        "1920 at most)",
    )
    picture.add_argument(
        "--face-index",
        metavar="I",
        type=int,
        help="which face of a photo with several, the largest is 0 (default: 0)",
    )

    picture.add_argument(
        "--background",
        metavar="COLOUR|FILE",
        help='"#rrggbb" or an image to put behind the person (default: the photo\'s own)',
    )


def _add_mark(parser: argparse.ArgumentParser) -> None:
    mark = parser.add_argument_group("the mark", "Every clip says in a corner what it is.")
    mark.add_argument("--mark-text", metavar="TEXT", help=f"(default: {Mark.text})")
    mark.add_argument("--mark-corner", choices=CORNERS, help=f"(default: {Mark.corner})")
    mark.add_argument(
        "--mark-opacity",
        metavar="O",
        type=float,
        help=f"{OPACITIES[0]:g} to {OPACITIES[1]:g} (default: {Mark.opacity:g})",
    )
    mark.add_argument(
        "--mark-size",
        metavar="X",
        type=float,
        help=f"of its letters, as a factor, {SIZES[0]:g} to {SIZES[1]:g} (default: {Mark.size:g})",
    )
    mark.add_argument("--mark-logo", metavar="FILE", type=Path, help="an image before its text")


def _add_extras(parser: argparse.ArgumentParser) -> None:
    extras = parser.add_argument_group("beside the clips")
    extras.add_argument(
        "--poster", action="store_true", help="a picture of each clip, in mid-speech (.png)"
    )
    extras.add_argument(
        "--gif", action="store_true", help="a loop of up to 3 s of each clip, without sound (.gif)"
    )
    extras.add_argument(
        "--plot",
        action="store_true",
        help="a picture of how lips and heads of the samples move over time (.png)",
    )


def _add_three_d(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("in three dimensions")
    group.add_argument(
        "--export",
        metavar="KIND",
        choices=tuple(EXPORTS),
        action="append",
        default=[],
        help="write this beside each clip, too; may be given several times: " + ", ".join(EXPORTS),
    )
    group.add_argument(
        "--depth",
        metavar="D",
        type=float,
        default=DEPTH,
        help="of the videos for two eyes, 0 (flat) to 1 (default: %(default)s)",
    )
    group.add_argument(
        "--view",
        metavar=("YAW", "PITCH"),
        type=float,
        nargs=2,
        help="a video from elsewhere, too: degrees to the picture's right (at most "
        f"{MAX_YAW:g}) and up (at most {MAX_PITCH:g})",
    )
    group.add_argument(
        "--zoom", metavar="X", type=float, default=1.0, help="of --view (default: %(default)s)"
    )
    group.add_argument(
        "--orbit",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="let --view go round within its angles, once in so many seconds",
    )


def _add_motions(parser: argparse.ArgumentParser) -> None:
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


def _add_machine(parser: argparse.ArgumentParser) -> None:
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
    add_verbosity(machine)


def add_output(parser: argparse.ArgumentParser, told: str) -> None:
    """The option that names the folder of the results; `told` says of it what it gets."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        default=Path("outputs"),
        help=f"{told} (default: %(default)s)",
    )


def add_verbosity(parser: argparse._ActionsContainer) -> None:
    """The option that makes the program talk."""
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="say more; -vv says everything"
    )


def program() -> str:
    """What the user has typed to start the command, as usage messages call it."""
    return PROGRAM if Path(sys.argv[0]).stem == PROGRAM else "python -m talking_face"
