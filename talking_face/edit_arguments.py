"""The options of the command line that change a motion: names, help, and the edit they make."""

from __future__ import annotations

import argparse

from talking_face.editing.edit import RANGES, Edit
from talking_face.errors import OptionInvalid
from talking_face.moods import FEELINGS, VOICE

# The options that change a motion, by the names of `Edit`. Its pose strength is an older option.
SLIDERS = {
    "expression": "strength of brows and of what the mouth does besides speaking",
    "mouth_opening": "how far the lips part, as a factor",
    "smile": "frown or smile",
    "brows": "lowered or raised",
    "inner_brows": "the brows' inner ends: drawn together or worried",
    "eyes": "narrow or wide",
    "gaze": "degrees to the picture's right, and down",
    "blinks": "how many, as a factor",
    "feeling_strength": "how much of --feeling is shown, 1 unless told",
}


def add_edits(parser: argparse.ArgumentParser) -> None:
    """The sliders of `Edit`; None where nothing is said."""
    edits = parser.add_argument_group(
        "what is changed", "Edits don't draw anything again: the samples stay the same."
    )
    edits.add_argument(
        "--feeling",
        metavar="FEELING",
        help=f"what the face feels: {', '.join(FEELINGS)}, or valence and arousal, each -1 to 1, "
        "as --feeling=0.4,-0.2 (default: the voice's; of --motion, its own)",
    )
    for name, text in SLIDERS.items():
        low, high = RANGES[name]
        edits.add_argument(
            f"--{name.replace('_', '-')}",
            metavar=tuple("XY") if name == "gaze" else name[0].upper(),
            type=float,
            nargs=2 if name == "gaze" else None,
            help=f"{text}; {low:g} to {high:g}",
        )
    edits.add_argument(
        "--between",
        metavar=("FROM", "TO"),
        type=float,
        nargs=2,
        help="seconds between which all this holds, with soft ends (default: the whole clip)",
    )


def edits_of(options: argparse.Namespace) -> tuple[Edit, ...]:
    """The edit that the options ask for; none where they ask for none.

    Raises:
        OptionInvalid: a value is outside its range, or there is a time for no change.
    """
    names = (*SLIDERS, "feeling")
    said = {name: value for name in names if (value := getattr(options, name)) is not None}
    if "feeling_strength" in said:
        said.setdefault("feeling", VOICE)
    if not said:
        if options.between is not None:
            raise OptionInvalid(
                "--between says when a change holds, and there is none. Add --feeling or --smile, "
                "say, or leave --between out."
            )
        return ()
    if options.between is not None:
        said["start"], said["stop"] = options.between
    return (Edit(**said),)
