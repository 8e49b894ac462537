"""Words in pictures: the visible mark of every result, and the labels of a comparison.

The mark is always there. How it looks can be chosen within limits in which it stays legible on
light and on dark; whether it is there is the setting of whoever runs the program, and of nobody who
only uses it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from talking_face.arrays import UInt8
from talking_face.errors import OptionInvalid
from talking_face.options import check_range, shown

MARK_VARIABLE = "TALKING_FACE_MARK"  # environment variable: "off", or fields of `Mark` as JSON
CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")
MAX_CHARACTERS = 60
LEAST_LETTERS = 2  # letters or digits of a text: "AI" says something, a dot doesn't
OPACITIES = (0.5, 1.0)  # white on the pill is 3:1 at least, whatever is behind
SIZES = (0.8, 3.0)
PILL = 220  # its darkness, 0 to 255
SMALLEST = 10.0  # pixels; letters are no smaller, however small the frame
LARGEST_LOGO = 4096  # pixels a side


@dataclass(frozen=True)
class Mark:
    """The visible mark that says what the clip is: a small pill of text in a corner.

    Attributes:
        text: up to 60 characters; letters beyond Latin may be missing from the font.
        corner: one of CORNERS.
        opacity: one of OPACITIES, or between them.
        size: of the letters, in units of what suits the frame; within SIZES.
        logo: an image file that is shown before the text; its transparency is kept.
    """

    text: str = "AI-generated"
    corner: str = "bottom-right"
    opacity: float = 0.6
    size: float = 1.0
    logo: str | Path | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise OptionInvalid(f"The mark's text must be a text, not {shown(self.text)}.")
        if sum(map(str.isalnum, self.text)) < LEAST_LETTERS or len(self.text) > MAX_CHARACTERS:
            raise OptionInvalid(
                f"The mark's text has {len(self.text)} characters. "
                f"Use {LEAST_LETTERS} to {MAX_CHARACTERS}, with at least {LEAST_LETTERS} letters."
            )
        if not isinstance(self.corner, str) or self.corner not in CORNERS:
            raise OptionInvalid(
                f"The mark can't be put at {shown(self.corner)}. Use one of {', '.join(CORNERS)}."
            )
        check_range("The mark's opacity", self.opacity, *OPACITIES)
        check_range("The mark's size", self.size, *SIZES)
        if self.logo is not None:
            _read_logo(self.logo)

    def painter(self, height: int, width: int) -> Callable[[UInt8], UInt8]:
        """A function that returns a marked copy of an (height, width, 3) uint8 RGB frame."""
        patch = self.pill(height, width)
        top, left = self.place(patch, height, width)
        place = np.s_[top : top + patch.shape[0], left : left + patch.shape[1]]
        alpha = patch[..., 3:].astype(np.float32) / 255.0
        added, kept = patch[..., :3] * alpha + 0.5, 1.0 - alpha

        def paint(frame: UInt8) -> UInt8:
            frame = frame.copy()
            frame[place] = frame[place] * kept + added
            return frame

        return paint

    def pill(self, height: int, width: int) -> UInt8:
        """The mark for such a frame, (h, w, 4) uint8 RGBA, its opacity included."""
        logo = None if self.logo is None else _read_logo(self.logo)
        patch = _pill(" ".join(self.text.split()), logo, self.size, height, width)
        patch[..., 3] = np.rint(patch[..., 3] * self.opacity)
        return patch

    def place(self, pill: UInt8, height: int, width: int) -> tuple[int, int]:
        """(top, left) of the pill in such a frame, pixels."""
        margin = max(2, round(0.02 * min(height, width)))
        top = margin if self.corner.startswith("top") else height - margin - pill.shape[0]
        left = margin if self.corner.endswith("left") else width - margin - pill.shape[1]
        return max(top, 0), max(left, 0)


def installed_mark() -> Mark | None:
    """The mark of this installation, as $TALKING_FACE_MARK wants it; None where that says "off".

    Raises:
        OptionInvalid: the variable holds neither "off" nor fields of a mark.
    """
    told = os.environ.get(MARK_VARIABLE, "").strip()
    if told == "off":
        return None
    try:
        values = json.loads(told) if told else {}
        return Mark(**values)
    except (TypeError, ValueError) as error:
        names = ", ".join(field.name for field in fields(Mark))
        raise OptionInvalid(
            f'{MARK_VARIABLE} must be "off" or a JSON object of {names}, such as '
            '{"text": "Made by a machine"}.'
        ) from error


def chosen_mark(**wanted: Any) -> Mark | None:
    """The mark of this installation with what is not None of these changed.

    Raises:
        OptionInvalid.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    installed = installed_mark()
    return replace(installed or Mark(), **given) if given or installed else None


def draw_label(text: str, width: int, height: int) -> Image.Image:
    """A transparent band of that size with the text centred, white."""
    band = Image.new("RGBA", (width, height), (255, 255, 255, 0))
    size = 0.55 * height
    size *= min(1.0, 0.94 * width / max(1.0, ImageFont.load_default(size).getlength(text)))
    ImageDraw.Draw(band).text(
        (width / 2, height / 2), text, fill="white", font=ImageFont.load_default(size), anchor="mm"
    )
    return band


def text_size(height: int, width: int) -> float:
    """Size of the mark's letters in such a frame, pixels, where the text fits."""
    return max(SMALLEST, 0.027 * min(height, width))


def _read_logo(logo: str | Path) -> Image.Image:
    """The picture, RGBA.

    Raises:
        OptionInvalid.
    """
    if not isinstance(logo, str | os.PathLike):
        raise OptionInvalid(f"The mark's logo must be the path of an image, not {shown(logo)}.")
    try:
        with Image.open(logo) as picture:
            if max(picture.size) > LARGEST_LOGO:
                raise OptionInvalid(
                    f"The mark's logo {logo} is larger than {LARGEST_LOGO} pixels. "
                    "Use a smaller one."
                )
            return picture.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise OptionInvalid(
            f"The mark's logo {logo} can't be read as an image. Give a PNG or JPEG file."
        ) from error


def _pill(text: str, logo: Image.Image | None, larger: float, height: int, width: int) -> UInt8:
    """White text on a dark rounded pill, (h, w, 4) uint8 RGBA, small enough for such a frame."""
    size = max(SMALLEST, text_size(height, width) * larger)
    room = 0.9 * width
    shape = 0.0 if logo is None else min(logo.width / logo.height, 4.0) * 1.3 + 0.4
    needed = ImageFont.load_default(size).getlength(text) + (1.2 + shape) * size
    size *= min(1.0, room / needed, 0.5 * height / size)
    grain = 4  # drawn larger, then scaled down: Pillow's shapes have no soft edges
    font = ImageFont.load_default(max(1.0, size * grain))
    box = (
        grain * max(1, round(font.getlength(text) / grain + (1.2 + shape) * size)),
        grain * max(1, round(1.7 * size)),
    )
    canvas = Image.new("RGBA", box, (0, 0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    draw.rounded_rectangle((0, 0, box[0] - 1, box[1] - 1), box[1] / 2, fill=(0, 0, 0, PILL))
    before = round(shape * size * grain)
    if logo is not None:
        side = max(1, round(1.3 * size * grain))
        fitted = logo.resize((max(1, round(min(logo.width / logo.height, 4.0) * side)), side))
        canvas.alpha_composite(fitted, (round(0.6 * size * grain), (box[1] - side) // 2))
    middle = (before + box[0]) / 2
    draw.text((middle, box[1] / 2), text, fill=(255, 255, 255, 255), font=font, anchor="mm")
    return np.array(canvas.reduce(grain))
