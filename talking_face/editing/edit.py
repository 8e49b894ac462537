"""Edits: what is to change in an animation, from when to when.

Names and ranges; `talking_face.editing.change` carries them out.
"""

from __future__ import annotations

import math
from collections.abc import Sized
from dataclasses import dataclass

from talking_face.errors import OptionInvalid
from talking_face.moods import MAX_STRENGTH, VOICE, Feeling, check_feeling
from talking_face.options import FEELING_STRENGTH, check_range, holds_several, number, shown

# The range of each slider. Gaze has two numbers of the same range.
RANGES: dict[str, tuple[float, float]] = {
    "pose_strength": (0.0, 2.0),
    "expression": (0.0, 2.0),
    "mouth_opening": (0.5, 1.5),
    "smile": (-1.0, 1.0),
    "brows": (-1.0, 1.0),
    "inner_brows": (-1.0, 1.0),
    "eyes": (-1.0, 1.0),
    "gaze": (-10.0, 10.0),
    "blinks": (0.0, 2.0),
    "feeling_strength": (0.0, MAX_STRENGTH),
}
STRENGTHS = ("pose_strength", "expression", "mouth_opening")  # 1 changes nothing; they multiply
AMOUNTS = ("smile", "brows", "inner_brows", "eyes", "gaze")  # 0 changes nothing; they add up


@dataclass(frozen=True)
class Edit:
    """What to change in an animation; all defaults change nothing.

    Attributes:
        pose_strength: 0 holds the head still (it still blinks and speaks), at most 2.
        expression: strength of the brows and of what the mouth does besides speaking, 0 to 2.
        mouth_opening: how far the lips part, 0.5 to 1.5 times as far; closed lips stay closed.
        smile: -1 frown … 1 smile.
        brows: -1 lowered … 1 raised.
        inner_brows: the brows' inner ends, -1 down and drawn together … 1 up, worried.
        eyes: -1 narrow … 1 wide.
        gaze: degrees to image right and down, each -10 to 10, added to where the eyes look.
        blinks: 0 none … 2 twice as many.
        feeling: "voice" (what is heard), "none", a mood of `MOODS`, or a place, (valence, arousal)
            from -1 to 1; it takes the place of what the motion feels. None leaves that as it is.
        feeling_strength: of that feeling, 0 to 1.5.
        start, stop: seconds between which the edit holds; None is the end.
        fade: seconds, after `start` and before `stop`, in which it comes and goes; an edit from
            the beginning is there at once, and one until the end stays.

    Raises:
        OptionInvalid: a value is outside its range, or `stop` isn't after `start`.
    """

    pose_strength: float = 1.0
    expression: float = 1.0
    mouth_opening: float = 1.0
    smile: float = 0.0
    brows: float = 0.0
    inner_brows: float = 0.0
    eyes: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    blinks: float = 1.0
    feeling: Feeling | None = None
    feeling_strength: float = FEELING_STRENGTH
    start: float = 0.0
    stop: float | None = None
    fade: float = 0.4

    def __post_init__(self) -> None:
        known = holds_several(self.gaze) and isinstance(self.gaze, Sized)
        if not known or len(self.gaze) != 2:
            raise OptionInvalid("The gaze must be two numbers: degrees to the right, and down.")
        for name, (low, high) in RANGES.items():
            label = name.replace("_", " ").capitalize()
            if name == "gaze":
                right, down = self.gaze
                gaze = check_range(label, right, low, high), check_range(label, down, low, high)
                object.__setattr__(self, "gaze", gaze)
            else:
                object.__setattr__(self, name, check_range(label, getattr(self, name), low, high))
        if self.feeling is not None:
            object.__setattr__(self, "feeling", check_feeling(self.feeling))
        start = number("The start of an edit", self.start)
        stop = None if self.stop is None else number("The end of an edit", self.stop)
        if not 0 <= start < math.inf:
            raise OptionInvalid("An edit can't start before the clip: use 0 seconds or more.")
        if stop is not None and not stop > start:
            raise OptionInvalid(
                f"An edit must stop after it starts, not from {shown(start)} to {shown(stop)} s."
            )
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "stop", None if stop == math.inf else stop)
        object.__setattr__(self, "fade", check_range("The fade of an edit", self.fade, 0, 10))


def felt(feeling: Feeling, strength: float = FEELING_STRENGTH) -> tuple[Edit, ...]:
    """The edit that gives a clip its feeling; none for the voice's own, which it has already.

    Raises:
        OptionInvalid.
    """
    edit = Edit(feeling=feeling, feeling_strength=strength)
    return () if edit == Edit(feeling=VOICE) else (edit,)
