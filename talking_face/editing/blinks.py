"""Blinks in an animation: finding them, and making them rarer or more frequent.

Nothing is drawn at random: blinks that go are spread evenly over those that were there, and blinks
that come are copies of the animation's own, put where the eyes stay open longest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.ndimage import percentile_filter

from talking_face.arrays import Array
from talking_face.motion import FPS

OPEN_WINDOW = 31  # frames over which the opening between blinks is looked for
OPEN_PERCENTILE = 35
DEPTH = 0.3  # closure beyond the opening around it from which it is a blink
EDGE = 0.04  # the same where a blink begins and ends
APART = round(0.3 * FPS)  # frames between two blinks at least
FIRST = round(0.4 * FPS)  # frames; none is put earlier
OFF_CENTRE = (0.44, 0.58)  # of a gap, by turns: blinks that come exactly half-way look like a clock


@dataclass(frozen=True, eq=False)
class Blink:
    """One blink: its first and last frame, and the part of what was open that it closes.

    Attributes:
        first, last: frames, both of the blink.
        peak: the frame of the deepest closure.
        shape: (last - first + 1, 2) 0..1.
    """

    first: int
    last: int
    peak: int
    shape: Array


def find_blinks(lids: Array) -> list[Blink]:
    """The blinks of lids (frames, 2), in time."""
    if not len(lids):
        return []
    closure = lids.mean(1).astype(np.float64)
    opening = percentile_filter(closure, OPEN_PERCENTILE, size=OPEN_WINDOW, mode="nearest")
    beyond = closure - opening
    # Open eyes before and after, so that a blink that the clip cuts off is seen too.
    from scipy.signal import find_peaks  # which takes a second to load

    padded = np.concatenate([[0.0], beyond, [0.0]])
    peaks = find_peaks(padded, height=DEPTH, distance=3, prominence=DEPTH / 2)[0] - 1
    if not len(peaks):
        return []
    valleys = [int(a + np.argmin(beyond[a : b + 1])) for a, b in pairwise(peaks)]
    blinks = []
    for peak, start, stop in zip(
        peaks, [-1, *valleys], [*(v - 1 for v in valleys), len(lids) - 1], strict=True
    ):
        first, last = int(peak), int(peak)
        while first - 1 > start and beyond[first - 1] > EDGE:
            first -= 1
        while last + 1 <= stop and beyond[last + 1] > EDGE:
            last += 1
        level = opening[first : last + 1, None]
        shape = (lids[first : last + 1] - level) / np.maximum(1 - level, 1e-3)
        blinks.append(Blink(first, last, int(peak), np.clip(shape, 0.0, 1.0)))
    return blinks


def change_blinks(lids: Array, rate: float, first: int = 0, last: int | None = None) -> Array:
    """Lids with `rate` times as many blinks between two frames.

    Args:
        lids: (frames, 2) closure, as in `Motion`.
        rate: 0 none, 1 as they are, 2 twice as many, as far as there is room for them.
        first, last: only blinks that lie wholly between these frames change.

    Returns:
        (frames, 2); lids themselves where the rate asks for no change.
    """
    last = len(lids) - 1 if last is None else min(last, len(lids) - 1)
    blinks = find_blinks(lids)
    inside = [blink for blink in blinks if first <= blink.first and blink.last <= last]
    wanted = int(len(inside) * rate + 0.5)
    if wanted == len(inside):
        return lids
    lids = lids.copy()
    if wanted < len(inside):
        for i, blink in enumerate(inside):
            if (i + 1) * wanted // len(inside) == i * wanted // len(inside):
                _open(lids, blink)
        return lids
    taken = [(blink.first, blink.last) for blink in blinks]
    for added in range(wanted - len(inside)):
        blink = inside[added % len(inside)]
        place = _room(taken, len(blink.shape), max(first, FIRST), last, OFF_CENTRE[added % 2])
        if place is None:
            break
        taken.append((place, place + len(blink.shape) - 1))
        here = lids[place : place + len(blink.shape)]
        here += blink.shape * (1 - np.clip(here, None, 1.0))
    return lids


def _open(lids: Array, blink: Blink) -> None:
    """Take a blink out, in place: the lids go straight from before it to after it."""
    before, after = blink.first - 1, blink.last + 1
    ends = [i for i in (before, after) if 0 <= i < len(lids)]
    frames = np.arange(blink.first, blink.last + 1)
    for eye in (0, 1):
        level = lids[ends, eye] if ends else np.zeros(1, dtype=lids.dtype)
        lids[frames, eye] = np.interp(frames, ends or [0], level)


def _room(
    taken: list[tuple[int, int]], length: int, first: int, last: int, part: float
) -> int | None:
    """Where a blink of that length fits: in the longest free stretch; None where none is."""
    spans = sorted(taken)
    starts = [first, *(b + 1 + APART for _, b in spans)]
    stops = [*(a - 1 - APART for a, _ in spans), last]
    free = [
        (min(stop, last) - max(start, first) + 1, max(start, first))
        for start, stop in zip(starts, stops, strict=True)
    ]
    room, start = max(free, key=lambda stretch: (stretch[0], -stretch[1]))
    if room < length:
        return None
    return start + int((room - length) * part)
