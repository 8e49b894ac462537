"""What programs give to the endpoints: edits, looks, motions and files, checked when read."""

# No "from __future__ import annotations" here: Gradio reads the annotations as types.
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict  # the one of Python 3.10 isn't enough for pydantic

from talking_face.editing.edit import RANGES, Edit
from talking_face.errors import MotionUnreadable, OptionInvalid, UploadUnknown
from talking_face.motion import Motion
from talking_face.options import Framing
from talking_face.web.orders import Order
from talking_face.web.shots import Shot
from talking_face.web.uploads import Upload, received

EDIT_NAMES = (*RANGES, "feeling", "start", "stop", "fade")
MOST_EDITS = 100  # each takes memory for every frame


class Look(TypedDict, total=False):
    """What a clip shows besides the motion; see `talking_face.options.Look`."""

    framing: Framing
    size: int
    background: str


def read_edits(given: Any) -> tuple[Edit, ...]:
    """Edits from what a client sends: mappings of the names of `Edit`.

    Raises:
        OptionInvalid: an unknown name, a value that isn't a number or is outside its range, or
            too many edits.
    """
    edits = []
    listed = given if isinstance(given, list | tuple) else [given] if given else []
    if len(listed) > MOST_EDITS:
        raise OptionInvalid(f"Give {MOST_EDITS} edits at most; those that add up can be one.")
    for one in listed:
        if not isinstance(one, dict) or not set(one) <= set(EDIT_NAMES):
            raise OptionInvalid(
                "An edit is a mapping of these names: " + ", ".join(EDIT_NAMES) + "."
            )
        values = dict(one)
        try:
            if "gaze" in values:
                values["gaze"] = tuple(values["gaze"])
            edits.append(Edit(**values))
        except (TypeError, ValueError) as error:
            raise OptionInvalid("The values of an edit must be numbers.") from error
    return tuple(edits)


def read_look(given: Any) -> dict[str, Any]:
    """The settings that a client's look stands for.

    Raises:
        OptionInvalid: not a mapping, or an unknown name.
    """
    look = given or {}
    if not isinstance(look, dict) or not set(look) <= set(Look.__annotations__):
        raise OptionInvalid(
            "A look is a mapping of these names: " + ", ".join(Look.__annotations__) + "."
        )
    values = {name: look[name] for name in ("framing", "size") if name in look}
    if colour := look.get("background"):
        values |= {"background": "colour", "colour": colour}
    return values


def given_shot(
    photo: Upload,
    audio: Upload,
    motion: Upload,
    edits: Any,
    look: Any,
    face: int,
    consent: bool,
) -> Shot:
    """A motion that is there already, to be shown on a face."""
    order = Order.read(photo, audio, face, consent, None, read_look(look))
    return Shot(order, "edited", given_motion(motion), edits=read_edits(edits))


def given_motion(upload: Upload) -> Motion:
    if upload is None:
        raise MotionUnreadable('There is no motion yet. Give one that "generate" made.')
    return Motion.load(received(upload))


def present(upload: Upload) -> Path:
    if upload is None:
        raise UploadUnknown("There is no file yet. Give one.")
    return received(upload)
