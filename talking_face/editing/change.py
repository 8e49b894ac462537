"""An animation changed after it was drawn, without drawing it again.

Knows motions and the face model, nothing of photos and sounds. Edits whose values are the defaults
change nothing, and outside its time an edit changes nothing bit for bit. Lips close where they
closed before: every change keeps the lips' distance, or scales it where they are apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.editing.blinks import change_blinks
from talking_face.editing.directions import Directions, find_directions
from talking_face.editing.edit import AMOUNTS, RANGES, STRENGTHS, Edit
from talking_face.errors import OptionInvalid
from talking_face.face.lips import TOUCHING
from talking_face.face.model import FaceModel
from talking_face.motion import FPS, Motion
from talking_face.options import check_frames, check_made, holds_several, number, shown

SLOW = 1.0  # seconds, standard deviation: what moves the mouth more slowly than this isn't speech
NARROW, WIDE = 0.42, 0.28  # closure at both ends of the eyes' range
CHEEKS = 0.12  # closure by the cheeks of a full smile
LIDS_FOLLOW = 0.017  # closure per degree of downward gaze, as people do (idle.py measured it)


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

    Raises:
        OptionInvalid: the edits are something else.
    """
    edits = listed(edits)
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
        lower=_lower_face(motion.lower, model, directions, how),
        upper=upper,
        # A closed eye stays closed, however wide or narrow the open one is.
        lids=lids + closing * (1 - np.clip(lids, 0.0, 1.0)),
        gaze=motion.gaze + how["gaze"],
        rotation=motion.rotation * pose,
        translation=motion.translation * pose,
    )


def listed(edits: Edit | Sequence[Edit]) -> list[Edit]:
    """One edit, several or none, as a list.

    Raises:
        OptionInvalid: something else.
    """
    if isinstance(edits, Edit):
        return [edits]
    each: list[Any] = list(edits) if holds_several(edits) else [edits]
    for one in each:
        if not isinstance(one, Edit):
            raise OptionInvalid(
                f"What is to change must be an Edit or a list of them, not {shown(edits)}: "
                "write Edit(smile=0.5), or () for no change."
            )
    return each


def mix(lips: Motion, head: Motion, blinks: Motion) -> Motion:
    """The lips of one motion, head, brows and gaze of another, the lids of a third.

    Raises:
        OptionInvalid: they differ in length.
    """
    check_made("`sample`", Motion, lips, head, blinks)
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

    Raises:
        OptionInvalid: also of a motion without frames.
    """
    edits = listed(edits)
    check_frames(len(motion))
    if seconds is not None:
        moment = number("The moment", seconds)
        if np.isnan(moment):
            raise OptionInvalid("The moment must be a number of seconds, not nan.")
        return int(np.clip(np.rint(moment * FPS), 0, len(motion) - 1))
    held = np.max([np.ones(len(motion)) * 0.01, *(weight(e, len(motion)) for e in edits)], axis=0)
    opening = np.maximum(motion.lower @ find_directions(model).gap, 0) + 0.01
    return int(np.argmax(held * opening * (motion.lids.max(1) < 0.3)))


def weight(edit: Edit, frames: int) -> Array:
    """How far an edit holds in each frame, (frames,) 0..1."""
    seconds = np.arange(frames) / FPS
    stop = np.inf if edit.stop is None else edit.stop
    fade = min(edit.fade, (stop - edit.start) / 2)
    held = ((seconds >= edit.start) & (seconds <= stop)).astype(np.float64)
    if not held.any():  # however far away
        return held
    if fade > 0 and edit.start > 0:
        held *= smoothstep((seconds - edit.start) / fade, 0.0, 1.0)
    if fade > 0 and stop < frames / FPS:
        held *= smoothstep((stop - seconds) / fade, 0.0, 1.0)
    return held


def _combined(name: str, edits: list[Edit], weights: list[Array]) -> Array:
    """What all edits together make of one slider in each frame, (frames, 1), gaze (frames, 2)."""
    low, high = RANGES[name]
    values = [np.atleast_1d(getattr(edit, name)).astype(np.float64) for edit in edits]
    columns = [when[:, None] for when in weights]
    if name in STRENGTHS:
        total = np.prod([1 + w * (v - 1) for w, v in zip(columns, values, strict=True)], axis=0)
    else:
        total = np.sum([w * v for w, v in zip(columns, values, strict=True)], axis=0)
    return np.clip(total, low, high)


def _both_ways(amount: Array, positive: Array, negative: Array) -> Array:
    """Coefficients (frames, k) of a slider (frames, 1) whose ends are two directions."""
    return np.maximum(amount, 0) * positive + np.maximum(-amount, 0) * negative


def _lower_face(
    lower: Array, model: FaceModel, directions: Directions, how: dict[str, Array]
) -> Array:
    """Lower-face coefficients (frames, 16) with smile, expression and opening changed."""
    slow = gaussian_filter1d(lower.astype(np.float64), SLOW * FPS, axis=0, mode="nearest")
    # Lips that touch, touch still, and a gap grows from there.
    apart = np.maximum(lower @ directions.gap - TOUCHING, 0.0)[:, None]
    return (
        lower
        + (how["expression"] - 1) * model.lips_kept(slow)
        + (how["mouth_opening"] - 1) * apart * directions.opening
        + _both_ways(how["smile"], directions.smile, directions.frown)
    )
