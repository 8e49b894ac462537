"""What a visitor can choose, and the recipe link, which carries it: `?seed=7&diversity=0.5`.

A recipe holds no photo, no sound and no text that somebody typed; with the same photo and
recording it gives the same clips.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any

from talking_face.editing.edit import RANGES, Edit
from talking_face.errors import OptionInvalid
from talking_face.moods import VOICE, check_feeling, told_feeling
from talking_face.options import (
    FEELING_STRENGTH,
    FRAMINGS,
    MAX_DIVERSITY,
    MAX_SAMPLES,
    MAX_SEED,
    STYLES,
    Framing,
    shown,
)
from talking_face.web.models import Take

TAKE = re.compile(r"(\d{1,6})(?:@(\d{1,10}))?")  # "5", or "5@7" for the seed 7
RGB = re.compile(r"rgba?\(([\d.]+), *([\d.]+), *([\d.]+)")

SIZES = (256, 384, 512, 768, 1024)
BACKGROUNDS = ("photo", "colour", "image")

# The names of what an edit changes, as the page shows them: the gaze is two sliders. The first two
# are chosen before anything is drawn.
STRENGTHS = ("pose_strength", "expression")
SLIDERS = (
    *STRENGTHS,
    *"mouth_opening smile brows inner_brows eyes".split(),
    *"gaze_x gaze_y blinks".split(),
)

CHANGES = (*SLIDERS, "feeling", "feeling_strength")  # of a motion, without their time

LIMITS: dict[str, tuple[float, float]] = {
    "samples": (1, MAX_SAMPLES),
    "seed": (0, MAX_SEED),
    "diversity": (0, MAX_DIVERSITY),
    **{name: RANGES["gaze" if name.startswith("gaze") else name] for name in SLIDERS},
    **dict.fromkeys(("start", "stop"), (0, 600)),
    "fade": (0, 10),
    "feeling_strength": RANGES["feeling_strength"],
}
CHOICES: dict[str, Collection[Any]] = {
    "framing": FRAMINGS,
    "background": BACKGROUNDS,
    "style": STYLES,
    "size": (0, *SIZES),
}


@dataclass(frozen=True)
class Settings:
    """Everything that a recipe carries. The animator checks the ranges; see there.

    Attributes:
        takes: which takes the cards show, for example "0,5,2@7" (the last of seed 7); empty for
            0, 1, 2 and so on.
        size: pixels; 0 leaves it to the animator.
        background: "photo", "colour" or "image".
        colour: of the background, "#rrggbb".
        feeling: as `talking_face.moods.check_feeling` reads it; the voice's own, in full, leaves
            what a motion feels as it is.
        stop: seconds; 0 is the end of the clip.
        others: see `Edit`.
    """

    samples: int = 4
    seed: int = 0
    takes: str = ""
    diversity: float = 1.0
    style: str = "natural"
    framing: Framing = "crop"
    size: int = 0
    background: str = "photo"
    colour: str = "#3b6ea5"
    pose_strength: float = Edit.pose_strength
    expression: float = Edit.expression
    mouth_opening: float = Edit.mouth_opening
    smile: float = Edit.smile
    brows: float = Edit.brows
    inner_brows: float = Edit.inner_brows
    eyes: float = Edit.eyes
    gaze_x: float = Edit.gaze[0]
    gaze_y: float = Edit.gaze[1]
    blinks: float = Edit.blinks
    feeling: str = VOICE
    feeling_strength: float = FEELING_STRENGTH
    start: float = Edit.start
    stop: float = 0.0
    fade: float = Edit.fade

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from what the page or a client sends.

        Raises:
            OptionInvalid: not a number where there should be one.
        """
        read: dict[str, Any] = {}
        for field in fields(cls):
            if field.name in values:
                try:
                    read[field.name] = _converted(values[field.name], field.default)
                except (OverflowError, TypeError, ValueError) as error:
                    name = field.name.replace("_", " ").capitalize()
                    raise OptionInvalid(
                        f"{name} must be a {'whole ' if type(field.default) is int else ''}number, "
                        f"not {shown(values[field.name])}."
                    ) from error
        return cls(**read)

    def __post_init__(self) -> None:
        colour = self.colour
        if match := RGB.match(colour):  # what Gradio's colour picker says
            parts = (min(round(float(part)), 255) for part in match.groups())
            colour = "".join(f"{part:02x}" for part in parts)
        object.__setattr__(self, "colour", "#" + colour.lstrip("#"))  # never a file's name

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edit that is asked for; nothing where it would change nothing.

        Raises:
            OptionInvalid: see `Edit`.
        """
        values: dict[str, Any] = {
            name: getattr(self, name) for name in SLIDERS if not name.startswith("gaze")
        }
        gaze = (self.gaze_x, self.gaze_y)
        feeling = (self.feeling, self.feeling_strength)
        if feeling != (VOICE, FEELING_STRENGTH):
            values |= {"feeling": self.feeling, "feeling_strength": self.feeling_strength}
        edit = Edit(**values, gaze=gaze, start=self.start, stop=self.stop or None, fade=self.fade)
        unchanged = Edit(start=edit.start, stop=edit.stop, fade=edit.fade)
        return () if edit == unchanged else (edit,)

    def shown_takes(self) -> list[Take]:
        """The take of each card, (seed, index).

        Raises:
            OptionInvalid: the takes can't be read.
        """
        if not self.takes:
            return [(self.seed, index) for index in range(min(self.samples, MAX_SAMPLES + 1))]
        shown = []
        for text in self.takes.split(","):
            match = TAKE.fullmatch(text.strip())
            if not match:
                raise OptionInvalid(
                    "The link's takes can't be read. They look like 0,5,2@7: numbers, "
                    "each with the seed it belongs to where that is another one."
                )
            shown.append((int(match[2] or self.seed), int(match[1])))
        return shown


def told_takes(takes: Sequence[Take | None], seed: int) -> str:
    """The inverse of `shown_takes`; cards without a take, which are mixed, are left out."""
    told = [
        f"{index}" if owner == seed else f"{index}@{owner}"
        for owner, index in (take for take in takes if take)
    ]
    return "" if told == [str(index) for index in range(len(told))] else ",".join(told)


def from_recipe(text: str | None) -> dict[str, Any]:
    """The settings that a link or the browser's storage holds, as JSON.

    Whoever opens a link hasn't written it: for wrong values there are defaults and the ends of the
    ranges, not a message.
    """
    try:
        told = json.loads(text or "{}")
    except (ValueError, RecursionError):
        told = {}
    values = asdict(Settings())
    for field in fields(Settings):
        if isinstance(told, dict) and field.name in told:
            try:
                value = _converted(told[field.name], field.default)
            except (OverflowError, TypeError, ValueError):
                continue
            if field.name == "feeling":
                with suppress(OptionInvalid):
                    values["feeling"] = told_feeling(check_feeling(value))
                continue
            low, high = LIMITS.get(field.name, (value, value))
            if value in CHOICES.get(field.name, [value]):
                values[field.name] = min(max(value, low), high)
    return values


def _converted(value: Any, default: Any) -> Any:
    kind = type(default)
    if kind is str:
        return str(value)[:100]
    number = float(value)
    if not math.isfinite(number) or (kind is int and not number.is_integer()):
        raise ValueError("not a number of this kind")
    return kind(number)
