"""Words in pictures: the visible mark of every clip, and the labels of a comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from talking_face.arrays import UInt8
from talking_face.errors import OptionInvalid
from talking_face.options import check_range, shown

CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")
MAX_CHARACTERS = 60


@dataclass(frozen=True)
class Mark:
    """The visible mark that says what the clip is: a small pill of text in a corner.

    Attributes:
        text: up to 60 characters; letters beyond Latin may be missing from the font.
        corner: one of CORNERS.
        opacity: 0 (invisible) to 1.
    """

    text: str = "AI-generated"
    corner: str = "bottom-right"
    opacity: float = 0.6

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise OptionInvalid(f"The mark's text must be a text, not {shown(self.text)}.")
        if not self.text.strip() or len(self.text) > MAX_CHARACTERS:
            raise OptionInvalid(
                f"The mark's text has {len(self.text)} characters. "
                f"Use 1 to {MAX_CHARACTERS}, not only spaces."
            )
        if not isinstance(self.corner, str) or self.corner not in CORNERS:
            raise OptionInvalid(
                f"The mark can't be put at {shown(self.corner)}. Use one of {', '.join(CORNERS)}."
            )
        check_range("The mark's opacity", self.opacity, 0, 1)

    def painter(self, height: int, width: int) -> Callable[[UInt8], UInt8]:
        """A function that returns a marked copy of an (height, width, 3) uint8 RGB frame."""
        patch = _pill(" ".join(self.text.split()), height, width)
        margin = max(2, round(0.02 * min(height, width)))
        top = margin if self.corner.startswith("top") else height - margin - patch.shape[0]
        left = margin if self.corner.endswith("left") else width - margin - patch.shape[1]
        place = np.s_[max(top, 0) : max(top, 0) + patch.shape[0], left : left + patch.shape[1]]
        alpha = patch[..., 3:].astype(np.float32) * (self.opacity / 255.0)
        added, kept = patch[..., :3] * alpha + 0.5, 1.0 - alpha

        def paint(frame: UInt8) -> UInt8:
            frame = frame.copy()
            frame[place] = frame[place] * kept + added
            return frame

        return paint


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
    return max(10.0, 0.027 * min(height, width))


def _pill(text: str, height: int, width: int) -> UInt8:
    """White text on a dark rounded pill, (h, w, 4) uint8 RGBA, small enough for such a frame."""
    size = text_size(height, width)
    room = 0.9 * width
    needed = ImageFont.load_default(size).getlength(text) + 1.2 * size
    size *= min(1.0, room / needed, 0.5 * height / size)
    grain = 4  # drawn larger, then scaled down: Pillow's shapes have no soft edges
    font = ImageFont.load_default(max(1.0, size * grain))
    box = (
        grain * max(1, round(font.getlength(text) / grain + 1.2 * size)),
        grain * max(1, round(1.7 * size)),
    )
    canvas = Image.new("RGBA", box, (0, 0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    draw.rounded_rectangle((0, 0, box[0] - 1, box[1] - 1), box[1] / 2, fill=(0, 0, 0, 160))
    draw.text((box[0] / 2, box[1] / 2), text, fill=(255, 255, 255, 255), font=font, anchor="mm")
    return np.asarray(canvas.reduce(grain))
