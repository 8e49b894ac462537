"""The options: their names, defaults and ranges, in one place, and the sentences for other values.

Also what is said of samples everywhere: their labels, the names of their files, and how far the
work on them is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from numbers import Real
from typing import Any, Literal, TypeGuard, get_args

from talking_face.errors import OptionInvalid
from talking_face.frozen import Frozen

Framing = Literal["crop", "photo"]  # head and shoulders; the whole photo
Progress = Callable[[float, str], None]  # is told a fraction 0..1 of the work, and a sentence

SAMPLES = 4
SEED = 0
DIVERSITY = 1.0
STYLE = "natural"
POSE_STRENGTH = 1.0
FEELING_STRENGTH = 1.0
VOICE_SPEED = 1.0

FRAMINGS: tuple[Framing, ...] = get_args(Framing)
MAX_SAMPLES = 6
MAX_DIVERSITY = 1.5
MAX_POSE_STRENGTH = 2.0
MAX_SEED = 2**31 - 1
MAX_TEXT = 8000  # characters; ten minutes of speech, about
VOICE_SPEEDS = (0.5, 2.0)
# How lively head and brows are, in standard deviations over people.
STYLES = {"calm": (-2.0, -2.0), "natural": (0.0, 0.0), "lively": (2.0, 2.0)}
# What is written for each kind of export, behind the name of the clip.
EXPORTS = {
    "glb": (".glb",),
    "obj": (".obj", ".mtl", "_texture.jpg"),
    "arkit": ("_arkit.csv", "_arkit.json"),
    "stereo": ("_stereo.mp4",),
    "stereo-half": ("_stereo-half.mp4",),
    "anaglyph": ("_anaglyph.mp4",),
}
DEPTH = 0.7  # of the strongest depth
MAX_YAW, MAX_PITCH = 35.0, 20.0  # degrees from straight ahead, which a head is made for
SIDE_RANGE = (64, 4096)  # pixels, smallest and largest output


@dataclass(frozen=True, eq=False)
class Look(Frozen):
    """What a clip shows besides the motion.

    Attributes:
        framing: "crop" for head and shoulders, "photo" for the whole photo.
        size: side of the crop (512 unless told) or longest side of the photo (1920 at most unless
            told), pixels.
        background: None keeps the photo's; "#rrggbb", or an image as `load_photo` takes it, is put
            behind the person.

    Raises:
        OptionInvalid: no such framing, or a size outside of 64 to 4096.
    """

    framing: Framing = "crop"
    size: int | None = None
    background: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_framing(self.framing, self.size)
        if self.size is not None:
            object.__setattr__(self, "size", whole_number("The output size", self.size))


def sample_indices(samples: int | Sequence[int]) -> list[int]:
    """The indices asked for, 1 to 6 of them.

    Raises:
        OptionInvalid.
    """
    if holds_several(samples):
        first = islice(samples, MAX_SAMPLES + 1)
        indices = [whole_number("The number of a sample", index) for index in first]
    else:  # counted before they are listed
        count = whole_number("The number of samples", samples)
        indices = list(range(min(count, MAX_SAMPLES + 1)))
    if not 1 <= len(indices) <= MAX_SAMPLES or not all(0 <= index <= MAX_SEED for index in indices):
        raise OptionInvalid(f"Ask for 1 to {MAX_SAMPLES} samples; they are numbered from 0.")
    return indices


def sample_label(index: int, seed: int) -> str:
    """What tells a sample from the others, for people: "sample 1 · seed 0" is the first."""
    return f"sample {index + 1} · seed {seed}"


def file_name(label: str) -> str:
    """A label without anything that file systems dislike: "sample-1_seed-0"."""
    return "_".join(re.sub(r"[^a-z0-9+]+", "-", part) for part in label.lower().split(" · "))


def shown(value: Any) -> str:
    """A value in a message: whatever it is, in a few characters."""
    if isinstance(value, str):
        plain = "".join(c if c.isprintable() else "?" for c in " ".join(value[:200].split()))
        return f'"{plain:.40}"'
    if not isinstance(value, Real):
        name = type(value).__name__
        article = "an" if name[:1].lower() in "aeio" or name == "ndarray" else "a"
        return "None" if value is None else f"{article} {name}"
    if isinstance(value, bool):
        return f"{value}"
    try:
        read = float(value)
    except OverflowError:
        return "so large a number"
    text = f"{read:.10g}"
    return text if float(text) == read or read != read else repr(read)


def rounded_down(value: float, digits: int = 0) -> str:
    """A value in a message that says that it is too small: it still is, as it is shown."""
    step = 10.0**-digits
    return f"{math.floor(value / step + 1e-6) * step:.{digits}f}"


def check_made(maker: str, kind: type, *values: Any) -> None:
    """Raise OptionInvalid unless the values are of a kind that `maker` makes."""
    for value in values:
        if not isinstance(value, kind):
            article = "an" if kind.__name__[0] in "AEIO" else "a"
            raise OptionInvalid(
                f"Give {article} {kind.__name__} as {maker} makes it, not {shown(value)}."
            )


def check_progress(progress: Any) -> None:
    """Raise OptionInvalid unless this is None or may be a Progress."""
    if progress is not None and not callable(progress):
        raise OptionInvalid(
            "Give a function as the progress, which is called with a fraction 0 to 1 and a "
            f"sentence, not {shown(progress)}."
        )


def holds_several(value: Any) -> TypeGuard[Iterable[Any]]:
    """Whether it can be gone through and isn't a text; an array without dimensions can't."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return False
    try:
        iter(value)
    except TypeError:
        return False
    return True


def number(name: str, value: Any) -> float:
    """Any real number, numpy's too, as a float.

    Raises:
        OptionInvalid: something else, such as a text, a truth value or an array.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise OptionInvalid(f"{name} must be a number, not {shown(value)}.")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value == abs(value) else -math.inf


def whole_number(name: str, value: Any) -> int:
    """Any whole number, also one that is written as 512.0, as an int.

    Raises:
        OptionInvalid.
    """
    if not number(name, value).is_integer() and not isinstance(value, int):
        raise OptionInvalid(f"{name} must be a whole number, not {shown(value)}.")
    return int(value)


def check_range(name: str, value: Any, low: float, high: float) -> float:
    """The number, if low <= value <= high.

    Raises:
        OptionInvalid: outside, or not a number.
    """
    read = number(name, value)
    if not low <= read <= high:
        raise OptionInvalid(
            f"{name} must be between {shown(low)} and {shown(high)}, not {shown(value)}."
        )
    return read


def check_sampling(seed: int, diversity: float, style: str) -> int:
    """The seed, if animations can be drawn with these.

    Raises:
        OptionInvalid.
    """
    read = whole_number("The seed", seed)
    check_range("The seed", read, 0, MAX_SEED)
    check_range("Diversity", diversity, 0, MAX_DIVERSITY)
    if not isinstance(style, str) or style not in STYLES:
        raise OptionInvalid(f"The style must be {', '.join(STYLES)}, not {shown(style)}.")
    return read


def check_frames(frames: int) -> None:
    """Raise OptionInvalid unless a motion of so many frames shows anything."""
    if frames < 1:
        raise OptionInvalid(
            "The motion has no frames, so there is nothing to show. Use a longer one."
        )


def check_framing(framing: str, size: int | None) -> None:
    """Raise OptionInvalid unless these are a framing and an output size."""
    if not isinstance(framing, str) or framing not in FRAMINGS:
        names = " or ".join(f'"{name}"' for name in FRAMINGS)
        raise OptionInvalid(f"The framing must be {names}, not {shown(framing)}.")
    if size is not None:
        check_range("The output size", size, *SIDE_RANGE)
