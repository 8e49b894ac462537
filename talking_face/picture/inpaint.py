"""Continuing a background where a person hid it, from its own patches.

Wexler, Shechtman and Irani, "Space-time completion of video", PAMI 2007, with the search of Barnes
et al., "PatchMatch", SIGGRAPH 2009: from coarse to fine, each hidden pixel becomes what the patches
that are most like its surroundings agree on. Deterministic; knows pixels only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import no_type_check

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from talking_face.arrays import Array, UInt8
from talking_face.machine_code import compiled

LONGEST, SHORTEST = 192, 48  # pixels: the picture's longer side on the finest and coarsest level
HALF = 2  # pixels around the middle of a patch
ROUNDS = (8, 4, 2)  # matches and votes on each level, coarse to fine; the last one's for others
# What it costs to take a patch from elsewhere, in squared grey levels of each of its pixels, by the
# squared share of the picture that it is up or down, and beside: skies are above, floors below.
ELSEWHERE = (4000.0, 600.0)
FEATHER = 0.012  # of the longer side, over which what is painted runs into what is known
SURER = 1.3  # by how much a pixel nearer to what is known counts more
EVEN = 0.75  # quantile of the patches' differences that counts little less than none
LEAST = 40  # patches to take from


def continued(image: UInt8, hidden: Array, start: UInt8) -> UInt8:
    """Paint what is hidden of a picture, (h, w, 3) uint8 RGB.

    Args:
        image: (h, w, 3) uint8 RGB. hidden: (h, w) bool.
        start: (h, w, 3) uint8, a guess at it; what is given back where too little is known.
    """
    longest = max(hidden.shape)
    count = max(1, round(np.log2(min(longest, LONGEST) / SHORTEST)) + 1)
    filled: Array | None = None
    for level in range(count):
        scale = min(1.0, LONGEST / longest) / 2 ** (count - 1 - level)
        size = tuple(max(2 * HALF + 2, round(side * scale)) for side in hidden.shape[::-1])
        hole = cv2.resize(hidden.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 0
        clean = _without(image, hidden, size)
        guess = start if filled is None else filled
        method = cv2.INTER_AREA if filled is None else cv2.INTER_CUBIC
        guess = cv2.resize(guess.astype(np.float32), size, interpolation=method)
        here = np.where(hole[..., None], guess, clean).astype(np.float32)
        rounds = ROUNDS[min(level, len(ROUNDS) - 1)]
        if not hole.any() or not _agree(here, hole, rounds, level):
            return start
        filled = here
    assert filled is not None
    whole = cv2.resize(filled, hidden.shape[::-1], interpolation=cv2.INTER_CUBIC)
    share = cv2.blur(hidden.astype(np.float32), (2 * round(FEATHER * longest) + 1,) * 2)
    share = np.maximum(share, hidden)[..., None]
    return np.asarray(np.rint(image + share * (np.clip(whole, 0, 255) - image)), dtype=np.uint8)


def _without(image: Array, hidden: Array, size: tuple[int, ...]) -> Array:
    """A picture scaled down, of which what is hidden has no share, (h, w, 3) float32."""
    known = (~hidden).astype(np.float32)
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)[..., None]
    colour = image.astype(np.float32) * known[..., None]
    return np.asarray(cv2.resize(colour, size, interpolation=cv2.INTER_AREA) / (share + 1e-6))


def _agree(picture: Array, hole: Array, rounds: int, seed: int) -> bool:
    """Match and vote on one level, in place; False where there is too little to take from.

    Args:
        picture: (h, w, 3) float32. hole: (h, w) bool.
    """
    height, width = hole.shape
    patch = np.ones((2 * HALF + 1, 2 * HALF + 1), dtype=np.uint8)
    near = cv2.dilate(hole.astype(np.uint8), patch)
    usable = 1 - near
    usable[:HALF], usable[-HALF:], usable[:, :HALF], usable[:, -HALF:] = 0, 0, 0, 0
    places = np.argwhere(usable)
    if len(places) < LEAST:
        return False
    chosen = np.random.default_rng(seed).integers(len(places), size=(height, width))
    at = np.ascontiguousarray(places[chosen].astype(np.int32))
    cost = np.zeros((height, width), dtype=np.float32)
    surer = np.float32(SURER) ** -distance_transform_edt(hole).astype(np.float32)
    hidden = hole.astype(np.uint8)
    for turn in range(rounds):
        _matches()(picture, near, usable, at, cost, seed * 100 + turn)
        even = max(float(np.quantile(cost[near > 0], EVEN)), 1.0)
        trust = np.ascontiguousarray(np.exp(-cost / (2 * even)) * surer, dtype=np.float32)
        _votes()(picture.copy(), hidden, at, trust, picture)
    return True


@cache
def _matches() -> Callable[..., None]:
    """`_match` as machine code."""
    plane = "uint8[:, ::1]"
    whole = "float32[:, :, ::1]"
    return compiled(_match, whole, plane, plane, "int32[:, :, ::1]", "float32[:, ::1]", "int64")


@cache
def _votes() -> Callable[..., None]:
    """`_vote` as machine code."""
    whole, plane = "float32[:, :, ::1]", "uint8[:, ::1]"
    return compiled(_vote, whole, plane, "int32[:, :, ::1]", "float32[:, ::1]", whole)


@no_type_check  # so that it is compiled as it stands
def _match(
    picture: Array, near: Array, usable: Array, at: Array, cost: Array, seed: int
) -> None:  # pragma: no cover - numba
    """For each patch that something of is hidden, a patch that is like it and wholly known.

    `at` (h, w, 2), rows and columns of what was matched before, and `cost` are written.
    """
    height, width = near.shape
    state = np.uint32(seed * 747796405 + 12345)
    span = max(height, width)
    up_down, beside = np.float32(ELSEWHERE[0]), np.float32(ELSEWHERE[1])
    patch = np.float32(3 * (2 * HALF + 1) ** 2)
    for turn in range(2):
        ahead = turn % 2 == 0
        for i in range(height * width):
            k = i if ahead else height * width - 1 - i
            y, x = k // width, k % width
            if near[y, x] == 0:
                continue
            best_y, best_x = at[y, x, 0], at[y, x, 1]
            best = np.float32(1e30) if turn == 0 else cost[y, x]
            step = -1 if ahead else 1
            reach = span
            candidate = 0
            while True:
                if candidate == 0:
                    p, q = best_y, best_x
                elif candidate == 1:  # beside where its neighbours' matches are
                    p, q = best_y, best_x
                    if 0 <= y + step < height and near[y + step, x]:
                        p, q = at[y + step, x, 0] - step, at[y + step, x, 1]
                elif candidate == 2:
                    p, q = best_y, best_x
                    if 0 <= x + step < width and near[y, x + step]:
                        p, q = at[y, x + step, 0], at[y, x + step, 1] - step
                else:  # and around the best one so far, nearer and nearer
                    state = np.uint32(state * np.uint32(1664525) + np.uint32(1013904223))
                    p = best_y + np.int64(state >> np.uint32(8)) % (2 * reach + 1) - reach
                    state = np.uint32(state * np.uint32(1664525) + np.uint32(1013904223))
                    q = best_x + np.int64(state >> np.uint32(8)) % (2 * reach + 1) - reach
                    reach = reach // 2
                candidate += 1
                if 0 <= p < height and 0 <= q < width and usable[p, q]:
                    down, over = np.float32(p - y) / height, np.float32(q - x) / width
                    total = (down * down * up_down + over * over * beside) * patch
                    for dy in range(max(-HALF, -y), min(HALF, height - 1 - y) + 1):
                        for dx in range(max(-HALF, -x), min(HALF, width - 1 - x) + 1):
                            for c in range(3):
                                off = picture[y + dy, x + dx, c] - picture[p + dy, q + dx, c]
                                total += off * off
                        if total >= best:
                            break
                    if total < best:
                        best, best_y, best_x = total, p, q
                if reach < 1:
                    break
            at[y, x, 0], at[y, x, 1], cost[y, x] = best_y, best_x, best


@no_type_check
def _vote(
    before: Array, hidden: Array, at: Array, trust: Array, picture: Array
) -> None:  # pragma: no cover - numba
    """Each hidden pixel of the picture becomes the mean of what patches over it put there."""
    height, width = hidden.shape
    for y in range(height):
        for x in range(width):
            if hidden[y, x] == 0:
                continue
            red, green, blue = np.float32(0), np.float32(0), np.float32(0)
            total = np.float32(1e-20)
            for dy in range(max(-HALF, -y), min(HALF, height - 1 - y) + 1):
                for dx in range(max(-HALF, -x), min(HALF, width - 1 - x) + 1):
                    p, q = at[y + dy, x + dx, 0] - dy, at[y + dy, x + dx, 1] - dx
                    share = trust[y + dy, x + dx]
                    red += share * before[p, q, 0]
                    green += share * before[p, q, 1]
                    blue += share * before[p, q, 2]
                    total += share
            picture[y, x, 0] = red / total
            picture[y, x, 1] = green / total
            picture[y, x, 2] = blue / total
