"""Eyelids: how they close and meet, and what a closed lid looks like, which an open eye hides."""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep, soft_limit
from talking_face.face.landmarks import (
    IRIS_CENTRE,
    IRIS_RING,
    LOWER_LID,
    N_LANDMARKS,
    UPPER_LID,
)
from talking_face.picture.brush import blend, pixel_grid, region_around, sample
from talking_face.picture.mouth.light import LUMA
from talking_face.picture.plate import Plate

SEAM = 0.82  # where closed lids meet, from the open upper lid (0) to the lower one (1)
# Canonical units over which the skin follows a lid; above it less where a dark line crosses it: the
# frame of glasses, or a low brow, would be bent by each blink.
UPPER_REACH, UNDER_LINE, LOWER_REACH = 0.07, 0.035, 0.06
# Canonical units above a lid where such a line is looked for, its width at most, and the part of
# the eye that it may miss; how dark it is, in doubt and surely; and how dark frames alone are,
# whose colour isn't the lid's, as that of paint and folds is: on 216 photos these have 0.83.
LINE_ABOVE, LINE_WIDTH, LINE_MISSES = (0.03, 0.16), 0.07, 0.3
LINE_DARK, FRAME_DARK = (0.4, 0.55), (0.83, 0.88)
WIDEST = -0.3  # closure of an eye opened wider than in the photo
HALF_NARROW, MOST_NARROW = 0.4, 0.75  # of an eye's opening, that an expression may take softly
# Iris's diameters that open lids are apart at most: of frightened and surprised people, 95 % stay
# below it. An eye that is as open in the photo may go further by this share of it; and the part of
# the way there that is taken as it is asked for.
OPEN_WIDE, WIDE_ALREADY, FREELY = 1.15, 0.06, 0.5
# Closure from which, and at which, a lid's own pixels are stretched too far.
STRETCHED = (0.4, 0.85)
SHUT = (0.85, 0.97)  # closure over which what is squeezed between the lids becomes one line
COVERED = (0.8, 1.0)  # how far the lid is laid over the eye when it counts as shut
# The crease above each eye and the skin below the brow, then the skin below the lower lashes, from
# the eye's outer to its inner corner.
CREASE = ((33, 247, 30, 29, 27, 28, 56, 190, 133), (263, 467, 260, 259, 257, 258, 286, 414, 362))
BROW_SKIN = (
    (226, 113, 225, 224, 223, 222, 221, 189, 244),
    (446, 342, 445, 444, 443, 442, 441, 413, 464),
)
UNDER_EYE = (
    (31, 228, 229, 230, 230, 231, 232, 233, 244),
    (261, 448, 449, 450, 450, 451, 452, 453, 464),
)
CLEAR = (cv2.BORDER_CONSTANT, (0, 0, 0, 0))  # nothing is painted beyond a layer
LEAST_LID = 0.6  # of the brightness of the skin below the brow, that a lid has at its crease
LID_SIZE = (24, 64)  # rows and columns of a painted lid
# Canonical units above the lash line, between which the photo's lashes are cut out, and how soft
# both ends are.
LASHES = (-0.012, 0.055)
LASH_ENDS = (0.008, 0.025)
LASHES_BELOW = 0.03  # canonical units, where they end below the frame of glasses
LASH_ROWS = 20
LASH_GAP = (3, 9)  # rows and columns: a gap of this size in the lashes is a reflection in the eye
# Canonical units below closed lids within which nothing is lighter than the skin further down, and
# where that ends, for what is tracked as the lower lid may lie a little above it; and the size of
# the bright specks, left of the eyeball, that are taken out there.
BELOW_SEAM, SPECK = (0.045, 0.075), 0.02
# Closure from which lids hurry, and at which they have met: no slit is left near a blink's peak.
MEETING = (0.5, 0.88)


class ClosedLid:
    """Paints the upper lid of one eye of one face where it is closed.

    Args:
        plate: the plate that the frames are made from.
        points: (478, 2) landmarks in the plate, pixels.
        eye: 0 for the eye on the image's left, 1 for the one on its right.
        line: of `line_above`.
    """

    def __init__(self, plate: Plate, points: Array, eye: int, line: float = 0.0) -> None:
        self._eye = eye
        self._unit = float(plate.pose.scale)
        frame = float(smoothstep(line, *FRAME_DARK))
        self._skin, self._under = lid_skin(plate, points, eye, self._unit, frame)
        self._lashes = lash_line(plate, points, eye, self._unit, self._skin[-1], frame)

    def paint(self, window: Array, points: Array, closure: float) -> None:
        """Paint the lid into a frame, in place, as far as it is closed.

        Args:
            window: (h, w, 3) uint8 RGB, the moved plate.
            points: (478, 2) landmarks in the frame, pixels.
            closure: of `meeting`.
        """
        shut = smoothstep(closure, *SHUT)
        if shut > 0:
            self._soften_seam(window, points[list(UPPER_LID[self._eye])], shut)
        cover = smoothstep(closure, *STRETCHED)
        if cover > 0:
            self._lay_skin(window, points, cover)

    def _lay_skin(self, window: Array, points: Array, cover: float) -> None:
        """Lay the painted lid between crease and lash line, and the photo's lashes on it."""
        crease, margin = points[list(CREASE[self._eye])], points[list(UPPER_LID[self._eye])]
        pad = 1 + round(BELOW_SEAM[1] * self._unit)
        region, corner = region_around(window, np.concatenate([crease, margin]), pad)
        if region.size == 0:
            return
        axis = margin[-1] - margin[0]
        length = float(np.linalg.norm(axis))
        axis = axis / length
        down = np.array([-axis[1], axis[0]]) * (1 if axis[0] > 0 else -1)
        frame = np.stack([axis, down], axis=1)
        x, y = pixel_grid(region, corner)
        along, across = np.moveaxis(np.stack([x, y], axis=-1) @ frame - margin[0] @ frame, -1, 0)

        def height_of(curve: Array) -> Array:
            at = (curve - margin[0]) @ frame
            order = np.argsort(at[:, 0])
            return np.interp(along, at[order, 0], at[order, 1])

        top, bottom = height_of(crease), height_of(margin)
        rows, columns = LID_SIZE
        row = np.minimum((across - top) / np.maximum(bottom - top, 1e-3), 1.0) * (rows - 1)
        column = (along / length * (columns - 1)).astype(np.float32)
        lid = cv2.remap(self._skin, column, row.astype(np.float32), cv2.INTER_LINEAR, None, *CLEAR)
        # As wide in the frame as in the photo: lashes don't stretch.
        above = (bottom - across) / self._unit
        row = (above - LASHES[0]) / (LASHES[1] - LASHES[0]) * (LASH_ROWS - 1)
        dark = cv2.remap(
            self._lashes, column, row.astype(np.float32), cv2.INTER_LINEAR, None, *CLEAR
        )
        alpha = lid[..., 3] * smoothstep(above, LASHES[0], 0.0)
        blend(region, lid[..., :3] * (1 - dark), alpha * cover)
        shut = smoothstep(cover, *COVERED)
        if shut > 0:
            below = smoothstep(-above, -SPECK / 2, SPECK / 2)
            below *= 1 - smoothstep(-above, *BELOW_SEAM)
            below *= smoothstep(np.minimum(along, length - along) / length, -0.1, -0.03) * shut
            row = np.zeros_like(column)
            most = cv2.remap(self._under, column, row, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
            size = 2 * max(1, round(SPECK * self._unit)) + 1
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
            plain = cv2.morphologyEx(region, cv2.MORPH_OPEN, kernel)
            blend(region, np.minimum(plain, most), below)

    def _soften_seam(self, window: Array, margin: Array, shut: float) -> None:
        """Make one soft lash line of what is squeezed between closed lids."""
        width = max(2, round(0.022 * self._unit))
        region, corner = region_around(window, margin, 2 * width)
        if region.size == 0:
            return
        line = np.zeros(region.shape[:2], dtype=np.uint8)
        fixed = np.round((margin - corner) * 16).astype(np.int32)
        cv2.polylines(line, [fixed[:, None]], False, (255,), width, cv2.LINE_AA, shift=4)
        mask = cv2.GaussianBlur(line, (0, 0), width / 3).astype(np.float32) / 255
        blend(region, cv2.GaussianBlur(region, (0, 0), max(1.0, width / 2.5)), mask * shut)


def meeting(lids: Array) -> Array:
    """The closure that lids show: as told up to a half, then faster, and full from 0.88 on."""
    lids = np.clip(lids, WIDEST, 1.0)
    low, high = MEETING
    t = np.clip((lids - low) / (high - low), 0.0, 1.0)
    # The cubic with value `low`, the slope of the identity, then value 1 and slope 0.
    rise = (high - low) * (t**3 - 2 * t**2 + t) + (1 - low) * (3 * t**2 - 2 * t**3)
    return np.where(lids > low, low + rise, lids)


def closing(shape: Array, eye: int, line: float = 0.0) -> Array:
    """Displacement (478, 3) that closes an eye: margins to the seam, the skin around fading.

    Args:
        line: of `line_above`.
    """
    upper_reach = UPPER_REACH + smoothstep(line, *LINE_DARK) * (UNDER_LINE - UPPER_REACH)
    upper, lower = list(UPPER_LID[eye]), list(LOWER_LID[eye])
    gap = shape[lower] - shape[upper]
    moved = np.zeros((N_LANDMARKS, 3))
    order = np.argsort(shape[upper, 0])
    x = shape[upper, 0][order]
    inside = (shape[:, 0] > x[0]) & (shape[:, 0] < x[-1])
    for margin, part, reach, below in (
        (upper, SEAM, upper_reach, -1),
        (lower, SEAM - 1, LOWER_REACH, 1),
    ):
        step = gap * part
        beyond = below * (shape[:, 1] - np.interp(shape[:, 0], x, shape[margin, 1][order]))
        weight = np.exp(-((beyond / reach) ** 2)) * (inside & (beyond > 0) & (beyond < 0.25))
        weight[upper + lower] = 0.0
        for axis in range(3):
            moved[:, axis] += weight * np.interp(shape[:, 0], x, step[order, axis])
        moved[margin[1:-1]] = step[1:-1]
    moved[[*IRIS_CENTRE, *IRIS_RING[0], *IRIS_RING[1]]] = 0.0
    return moved


def line_above(plate: Plate, points: Array, eye: int) -> float:
    """How dark a line is that crosses the skin above an eye, beside what is about it, 0..1.

    Args:
        points: (478, 2) landmarks in the plate, pixels.
    """
    unit = float(plate.pose.scale)
    step = LINE_WIDTH / 14
    above = np.arange(0.0, LINE_ABOVE[1] + LINE_WIDTH, step)
    at = _above_lid(points[list(UPPER_LID[eye])], np.linspace(0.1, 0.9, 24), above * unit)
    seen = sample(plate.image, at[..., 0], at[..., 1]).astype(np.float32) @ LUMA
    about = cv2.morphologyEx(seen, cv2.MORPH_CLOSE, np.ones((15, 1), np.uint8))
    dark = 1 - seen / np.maximum(about, 1.0)
    line = dark[(above > LINE_ABOVE[0]) & (above < LINE_ABOVE[1])].max(axis=0)
    return float(np.quantile(line, LINE_MISSES))


def _above_lid(margin: Array, across: Array, above: Array) -> Array:
    """Places (m, n, 2) so many pixels (m,) above a lid's margin (k, 2), at parts (n,) of its length
    from the outer to the inner corner."""
    axis = (margin[-1] - margin[0]) / np.linalg.norm(margin[-1] - margin[0])
    up = np.array([axis[1], -axis[0]]) * (1 if axis[0] > 0 else -1)
    place = (margin - margin[0]) @ np.stack([axis, up], axis=1)
    order = np.argsort(place[:, 0])
    along = across * place[-1, 0]
    height = np.interp(along, place[order, 0], place[order, 1]) + above[:, None]
    return np.asarray(margin[0] + along[None, :, None] * axis + height[..., None] * up)


def parted(moved: Array, shape: Array, eye: int, closure: float) -> Array:
    """A displacement (478, 3) that leaves the lids of an eye as far apart as they may be.

    What it changes of their distance ends as they close, so that they meet as they would without
    it; and it takes `MOST_NARROW` of the photo's distance at most, softly.

    Args:
        shape: (478, 3) the face as photographed, canonical.
        closure: of `meeting`.
    """
    upper, lower = list(UPPER_LID[eye]), list(LOWER_LID[eye])
    gap = np.maximum(shape[lower, 1] - shape[upper, 1], 1e-3)
    change = moved[lower] - moved[upper]
    narrowed = np.maximum(-change[:, 1] / gap, 1e-6)
    held = soft_limit(narrowed, HALF_NARROW, MOST_NARROW) / narrowed
    excess = change * (1 - np.clip(1 - closure, 0.0, 1.0) * held)[:, None]
    moved = moved.copy()
    moved[upper] += SEAM * excess
    moved[lower] -= (1 - SEAM) * excess
    return moved


def held_apart(shape: Array, photo: Array, eye: int, iris: float) -> Array:
    """A shape (478, 3) with an eye that is opened no wider than people open theirs.

    Each point of the lids goes as much further from its other as the widest may, so that wide eyes
    keep their form. A lower lid gives way first: it hardly sinks in people.

    Args:
        photo: (478, 3) the face as photographed, canonical.
        iris: its diameter, canonical units.
    """
    upper, lower = list(UPPER_LID[eye])[1:-1], list(LOWER_LID[eye])[1:-1]
    own = np.maximum(photo[lower, 1] - photo[upper, 1], 1e-3)
    room = own * max(OPEN_WIDE * iris / own.max() - 1, WIDE_ALREADY)
    wider = shape[lower, 1] - shape[upper, 1] - own
    excess = np.where(wider > 0, wider - soft_limit(wider, FREELY * room, room), 0.0)
    if not excess.any():
        return shape
    sunk = np.clip(shape[lower, 1] - photo[lower, 1], 0.0, excess)
    shape = shape.copy()
    shape[lower, 1] -= sunk
    shape[upper, 1] += excess - sunk
    return shape


def lid_skin(
    plate: Plate, points: Array, eye: int, unit: float, frame: float
) -> tuple[Array, Array]:
    """The skin of a closed upper lid, which an open eye hides.

    A smooth blend from the colour above the crease to that below the lower lashes, a little lighter
    where the eyeball bulges, with the fine texture of the skin below the eye.

    Args:
        points: (478, 2) landmarks in the plate, pixels.
        frame: how surely the frame of glasses lies above the eye, 0..1.

    Returns:
        (24, 64, 4) float32: RGB 0..255 and alpha 0..1; rows from the crease to the lash line,
        columns from the outer to the inner corner. And the skin below the lower lashes, (1, 64, 3).
    """
    rows, columns = LID_SIZE
    across = np.linspace(0, 1, columns)

    def along(curve: Array) -> Array:
        knots = np.linspace(0, 1, len(curve))
        return np.stack([np.interp(across, knots, curve[:, k]) for k in (0, 1)], axis=1)

    def look(picture: Array, at: Array) -> Array:
        return sample(picture, at[..., 0], at[..., 1])

    def even(picture: Array, at: Array) -> Array:
        return cv2.GaussianBlur(look(picture, at[None]), (0, 0), 6, None, 0, cv2.BORDER_REPLICATE)

    image = plate.image.astype(np.float32)
    smooth = cv2.GaussianBlur(image, (0, 0), max(0.8, 0.015 * unit))
    crease, brow = points[list(CREASE[eye])], points[list(BROW_SKIN[eye])]
    lower, under = points[list(LOWER_LID[eye])], points[list(UNDER_EYE[eye])]
    above_at = along(0.6 * crease + 0.4 * brow)
    below_at = along(0.45 * lower + 0.55 * under)
    above, below = even(smooth, above_at), even(smooth, below_at)
    # What is much darker than the skin below the brow is a line or paint, not the whole lid.
    above = np.maximum(above, LEAST_LID * even(smooth, along(brow)))
    above = np.maximum(above, frame * below)
    v = np.linspace(0, 1, rows)[:, None, None]
    colour = above + (below - above) * 0.45 * v
    bulge = np.sin(np.pi * np.clip(v * 0.9 + 0.1, 0, 1)) * np.sin(np.pi * across)[None, :, None]
    colour = colour * (0.95 + 0.07 * bulge)
    grain_at = below_at[None] + v * (along(under) - below_at)[None] * 0.8
    colour = colour + 0.8 * (look(image, grain_at) - look(smooth, grain_at))
    ends = smoothstep(np.minimum(across, 1 - across), 0.0, 0.2)[None, :]
    fade = smoothstep(v[..., 0], 0.0, 0.4)
    alpha = (ends * fade)[..., None]
    return np.concatenate([colour, alpha], axis=-1).astype(np.float32), below


def lash_line(
    plate: Plate, points: Array, eye: int, unit: float, skin: Array, frame: float
) -> Array:
    """How much darker than the lid's skin the photo is along the upper lashes.

    Args:
        points: (478, 2) landmarks in the plate, pixels.
        skin: (64, 4) the painted lid at the lash line.
        frame: see `lid_skin`.

    Returns:
        (20, 64, 3) float32, 0 as light as the skin, 1 black; rows from below the lash line to above
        it, columns from the outer to the inner corner.
    """
    across = np.linspace(0, 1, LID_SIZE[1])
    above = np.linspace(*LASHES, LASH_ROWS)
    at = _above_lid(points[list(UPPER_LID[eye])], across, above * unit)
    above = above[:, None]
    seen = sample(plate.image, at[..., 0], at[..., 1]).astype(np.float32)
    dark = np.clip(1 - seen / np.maximum(skin[:, :3], 1.0), 0, 1)
    kernel = np.ones(LASH_GAP, dtype=np.uint8)
    closed = cv2.morphologyEx(dark.astype(np.float32), cv2.MORPH_CLOSE, kernel)
    dark = np.maximum(dark, cv2.GaussianBlur(closed, (0, 0), 1.0))
    low, high = LASH_ENDS
    ends = smoothstep(above, LASHES[0], LASHES[0] + low)
    top = LASHES[1] + frame * (LASHES_BELOW - LASHES[1])
    ends = ends * (1 - smoothstep(above, top - high, top))
    return np.asarray(dark * ends[..., None], dtype=np.float32)
