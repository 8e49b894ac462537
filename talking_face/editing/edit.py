"""Edits: an animation changed after it was drawn, without drawing it again.

An `Edit` says what is to change, from when to when; `apply_edits` changes a `Motion`. Edits know
nothing of photos and sounds. All defaults change nothing, and outside its time an edit changes
nothing bit for bit. Lips close where they closed before: every change keeps the lips' distance, or
scales it where they are apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from talking_face.editing.blinks import change_blinks
from talking_face.editing.directions import Directions, find_directions
from talking_face.errors import OptionInvalid
from talking_face.face.lips import TOUCHING
from talking_face.face.model import FaceModel
from talking_face.motion import FPS, Motion
from talking_face.options import check_range

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
}
STRENGTHS = ("pose_strength", "expression", "mouth_opening")  # 1 changes nothing; they multiply
AMOUNTS = ("smile", "brows", "inner_brows", "eyes", "gaze")  # 0 changes nothing; they add up

SLOW = 1.0  # seconds, standard deviation: what moves the mouth more slowly than this isn't speech
NARROW, WIDE = 0.42, 0.28  # closure at both ends of the eyes' range
CHEEKS = 0.12  # closure by the cheeks of a full smile
LIDS_FOLLOW = 0.017  # closure per degree of downward gaze, as people do (idle.py measured it)


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
    start: float = 0.0
    stop: float | None = None
    fade: float = 0.4

    def __post_init__(self) -> None:
        if len(self.gaze) != 2:
            raise OptionInvalid("The gaze must be two numbers: degrees to the right, and down.")
        object.__setattr__(self, "gaze", (float(self.gaze[0]), float(self.gaze[1])))
        for name, (low, high) in RANGES.items():
            for value in np.atleast_1d(getattr(self, name)):
                check_range(name.replace("_", " ").capitalize(), value, low, high)
        if not self.start >= 0:
            raise OptionInvalid("An edit can't start before the clip: use 0 seconds or more.")
        if self.stop is not None and not self.stop > self.start:
            raise OptionInvalid(
                f"An edit must stop after it starts, not from {self.start:g} to {self.stop:g} s."
            )
        check_range("The fade of an edit", self.fade, 0, 10)


PRESETS: dict[str, Edit] = {
    "neutral": Edit(expression=0.3),
    "happy": Edit(smile=0.85, brows=0.2, expression=1.2, pose_strength=1.1),
    "sad": Edit(
        smile=-0.7,
        inner_brows=1.0,
        brows=-0.3,
        eyes=-0.3,
        gaze=(0.0, 4.0),
        pose_strength=0.6,
        mouth_opening=0.9,
        blinks=0.8,
    ),
    "angry": Edit(
        smile=-0.55, brows=-0.5, inner_brows=-0.7, eyes=-0.2, pose_strength=1.3, blinks=0.6
    ),
    "surprised": Edit(brows=1.0, eyes=1.0, smile=0.1, mouth_opening=1.25, blinks=0.5),
    "calm": Edit(smile=0.2, eyes=-0.1, pose_strength=0.5, expression=0.6, blinks=0.8),
}


def apply_edits(motion: Motion, edits: Edit | Sequence[Edit], model: FaceModel) -> Motion:
    """A motion as the edits want it.

    Several edits add up: amounts (smile, brows, …) are added, strengths are multiplied, both held
    to the range of one edit; blinks are changed by one edit after the other.

    Args:
        motion: drawn or loaded.
        edits: one, several or none.
        model: the face model whose coefficients the motion holds.

    Returns:
        A new motion of the same length; the same one where there is nothing to edit.
    """
    edits = [edits] if isinstance(edits, Edit) else list(edits)
    if not edits or not len(motion):
        return motion
    weights = [weight(edit, len(motion)) for edit in edits]
    lids = motion.lids
    for edit, when in zip(edits, weights, strict=True):
        frames = np.flatnonzero(when)
        if edit.blinks != 1 and len(frames):
            lids = change_blinks(lids, edit.blinks, int(frames[0]), int(frames[-1]))
    how = {name: _combined(name, edits, weights) for name in (*STRENGTHS, *AMOUNTS)}
    directions = find_directions(model)
    pose, expression = how["pose_strength"], how["expression"]
    smile, brows, inner = how["smile"], how["brows"], how["inner_brows"]
    upper = motion.upper * expression
    upper += _both_ways(brows, directions.raised, directions.lowered)
    upper += _both_ways(inner, directions.worried, directions.knit)
    closing = np.where(how["eyes"] < 0, -NARROW * how["eyes"], -WIDE * how["eyes"])
    closing = closing + CHEEKS * np.maximum(smile, 0) + LIDS_FOLLOW * how["gaze"][:, 1:]
    return motion.replace(
        lower=_lower_face(motion.lower, directions, how),
        upper=upper,
        # A closed eye stays closed, however wide or narrow the open one is.
        lids=lids + closing * (1 - np.clip(lids, 0.0, 1.0)),
        gaze=motion.gaze + how["gaze"],
        rotation=motion.rotation * pose,
        translation=motion.translation * pose,
    )


def mix(lips: Motion, head: Motion, blinks: Motion) -> Motion:
    """The lips of one motion, head, brows and gaze of another, the lids of a third.

    Raises:
        OptionInvalid: they differ in length.
    """
    lengths = {len(lips), len(head), len(blinks)}
    if len(lengths) > 1:
        seconds = ", ".join(f"{motion.duration:.2f} s" for motion in (lips, head, blinks))
        raise OptionInvalid(
            f"Animations to be mixed must be equally long; these last {seconds}. Draw them for "
            "the same recording."
        )
    return head.replace(lower=lips.lower, rest=lips.rest, lids=blinks.lids)


def telling_moment(
    motion: Motion, edits: Edit | Sequence[Edit], seconds: float | None, model: FaceModel
) -> int:
    """The frame that shows best what edits do; the one at `seconds` where that is given.

    Within the edits' time the mouth is as open as it gets while the eyes are open too.
    """
    if seconds is not None:
        return int(np.clip(round(seconds * FPS), 0, len(motion) - 1))
    edits = [edits] if isinstance(edits, Edit) else edits
    held = np.max([np.ones(len(motion)) * 0.01, *(weight(e, len(motion)) for e in edits)], axis=0)
    opening = np.maximum(motion.lower @ find_directions(model).gap, 0) + 0.01
    return int(np.argmax(held * opening * (motion.lids.max(1) < 0.3)))


def weight(edit: Edit, frames: int) -> np.ndarray:
    """How far an edit holds in each frame, (frames,) 0..1."""
    seconds = np.arange(frames) / FPS
    stop = np.inf if edit.stop is None else edit.stop
    fade = min(edit.fade, (stop - edit.start) / 2)
    held = ((seconds >= edit.start) & (seconds <= stop)).astype(np.float64)
    if fade > 0 and edit.start > 0:
        held *= _ramp((seconds - edit.start) / fade)
    if fade > 0 and stop < frames / FPS:
        held *= _ramp((stop - seconds) / fade)
    return held


def _ramp(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def _combined(name: str, edits: list[Edit], weights: list[np.ndarray]) -> np.ndarray:
    """What all edits together make of one slider in each frame, (frames, 1), gaze (frames, 2)."""
    low, high = RANGES[name]
    values = [np.atleast_1d(getattr(edit, name)).astype(np.float64) for edit in edits]
    columns = [when[:, None] for when in weights]
    if name in STRENGTHS:
        total = np.prod([1 + w * (v - 1) for w, v in zip(columns, values, strict=True)], axis=0)
    else:
        total = np.sum([w * v for w, v in zip(columns, values, strict=True)], axis=0)
    return np.clip(total, low, high)


def _both_ways(amount: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Coefficients (frames, k) of a slider (frames, 1) whose ends are two directions."""
    return np.maximum(amount, 0) * positive + np.maximum(-amount, 0) * negative


def _lower_face(
    lower: np.ndarray, directions: Directions, how: dict[str, np.ndarray]
) -> np.ndarray:
    """Lower-face coefficients (frames, 16) with smile, expression and opening changed."""
    slow = gaussian_filter1d(lower.astype(np.float64), SLOW * FPS, axis=0, mode="nearest")
    # Lips that touch, touch still, and a gap grows from there.
    apart = np.maximum(lower @ directions.gap - TOUCHING, 0.0)[:, None]
    return (
        lower
        + (how["expression"] - 1) * directions.lips_kept(slow)
        + (how["mouth_opening"] - 1) * apart * directions.opening
        + _both_ways(how["smile"], directions.smile, directions.frown)
    )
