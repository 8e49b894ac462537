"""Eyes of drawn faces: large flat shapes that a lid of the face's colour comes down over.

MediaPipe's lids lie somewhere on the large irises of a comic; to pull those together would melt
them. Where an eye is one shape on plain skin and reaches far beyond what was tracked as its lids,
nothing is pulled: the shape is covered from above, and a dark line is the lid's edge.

Knows the plate and the landmarks in it; knows nothing of photographed eyes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import IRIS_CENTRE, LOWER_LID, UPPER_LID
from talking_face.picture.brush import blend, pixel_grid, spread

# Lengths are in canonical units, inter-ocular distances, where nothing else is said.
REACH = 0.45  # around an iris, within which its eye is looked for
CHEEK = ((50, 101, 205, 118, 117, 36), (280, 330, 425, 347, 346, 266))
# Distances in CIELAB: from a cheek, of the skin around an eye; from that, of what isn't skin.
LIKE_CHEEK = 15.0
OTHER = 9.0
DARK = 30.0  # lightness in CIELAB of what outlines are drawn with, at most
PLAIN, PLAIN_SHARE = 7.0, 0.9  # distance of plain skin, and its share of what is below an eye
BEYOND = 1.35  # area of a drawn eye over that between its lids, at least
# Of a drawn eye's rim, how wide it is, and how far three quarters of it are from the skin at least:
# of 1,062 photographed eyes those that pass for one shape are at 12 at most, drawn ones beyond 17.
RIM, CRISP = 0.06, 15.0
SURROUNDINGS = (0.03, 0.07)  # how far from an eye its surroundings begin and end
IRIS = 0.1  # around the middle of an iris, within which something of it shows
OUTLINE = 0.05  # how wide the outline of an eye may be
GAP, THIN = 0.04, 0.05  # gaps that are closed in a shape, and parts so thin that they aren't eye
LINE = 0.028  # width of the line at the lid's edge
HOLD = 0.06  # beyond a drawn eye, from which the skin moves as it likes
MARGIN = 0.04  # around a drawn eye, within which the lid covers the skin
SPILL = 1.5  # pixels: how far the soft rim of a drawn shape reaches into the skin


@dataclass(frozen=True, eq=False)
class DrawnEye:
    """One drawn eye, upright in a square patch.

    Attributes:
        to_plate: (2, 3) affine map from pixels of the patch to those of the plate.
        shape: (n, n) float32 0..1, the eye with its outline.
        skin: (n, n, 3) float32 RGB 0..255, the skin that would be there.
        top, bottom: (n,) float32, where the eye begins and ends in each column of the patch.
        span: the first and the last of its columns.
        line: (3,) RGB 0..255 of the lid's edge.
        width: of that edge, pixels.
    """

    to_plate: Array
    shape: Array
    skin: Array
    top: Array
    bottom: Array
    span: tuple[int, int]
    line: Array
    width: float

    def holds(self, points: Array, unit: float) -> Array:
        """How far points (n, 2) of the plate belong to the eye or are close to it, (n,) 0..1."""
        back = cv2.invertAffineTransform(self.to_plate)
        at = (points @ back[:, :2].T + back[:, 2]).astype(np.float32)[None]
        near = _grown((self.shape > 0.5).astype(np.uint8), HOLD * unit)
        soft = cv2.GaussianBlur(near.astype(np.float32), (0, 0), HOLD * unit / 2)
        held = cv2.remap(soft, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
        return np.asarray(np.clip(1.3 * held[0], 0, 1))

    def paint(self, window: Array, moved: Array, closure: float) -> None:
        """Cover the eye from above, in place.

        Args:
            window: (h, w, 3) uint8 RGB, the moved plate.
            moved: (2, 3) affine map from pixels of the plate to those of the window.
            closure: 0 open, 1 closed.
        """
        if closure <= 0:
            return
        there = np.asarray(moved[:, :2] @ self.to_plate, dtype=np.float64)
        there[:, 2] += moved[:, 2]
        side = len(self.top)
        corners = np.array([[0, 0], [side, 0], [0, side], [side, side]]) @ there[:, :2].T
        corners += there[:, 2]
        start = np.maximum(np.floor(corners.min(0)).astype(int), 0)
        end = np.maximum(np.ceil(corners.max(0)).astype(int), 0)
        region = window[start[1] : end[1], start[0] : end[0]]
        if region.size == 0:
            return
        back = cv2.invertAffineTransform(there)
        x, y = pixel_grid(region, start)
        column = (back[0, 0] * x + back[0, 1] * y + back[0, 2]).astype(np.float32)
        row = (back[1, 0] * x + back[1, 1] * y + back[1, 2]).astype(np.float32)
        shape = cv2.remap(self.shape, column, row, cv2.INTER_LINEAR)
        skin = cv2.remap(self.skin, column, row, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        at = np.arange(side)
        top, bottom = np.interp(column, at, self.top), np.interp(column, at, self.bottom)
        edge = top + closure * (bottom - top)
        # Closed, nothing is left below the edge, neither of the eye nor of its outline.
        low = edge + (smoothstep(closure, 0.9, 1.0) * side if closure > 0.9 else 0.0)
        blend(region, skin, shape * np.clip(low - row + 0.5, 0, 1))
        stroke = np.clip(self.width / 2 + 0.5 - np.abs(row - edge), 0, 1)
        stroke *= np.clip(np.minimum(column - self.span[0], self.span[1] - column) + 1, 0, 1)
        stroke *= cv2.remap(self.shape, column, (row - self.width).astype(np.float32), 1)
        stroke = np.broadcast_to(self.line, region.shape), stroke * smoothstep(closure, 0.0, 0.15)
        blend(region, *stroke)


def find_drawn_eyes(image: Array, points: Array, unit: float) -> list[DrawnEye] | None:
    """The drawn eyes of a plate, the one on the image's left first; None for a photographed face.

    Args:
        image: (h, w, 3) uint8 RGB.
        points: (478, 2) landmarks, pixels.
        unit: pixels of an inter-ocular distance.
    """
    eyes = [_find(image, points, unit, eye) for eye in (0, 1)]
    found = [eye for eye in eyes if eye is not None]
    return found if len(found) == len(eyes) else None


def _find(image: Array, points: Array, unit: float, eye: int) -> DrawnEye | None:
    upper, lower = points[list(UPPER_LID[eye])], points[list(LOWER_LID[eye])]
    across = points[IRIS_CENTRE[1]] - points[IRIS_CENTRE[0]]
    axis = across / np.linalg.norm(across)
    turn = np.stack([axis, [-axis[1], axis[0]]], axis=1)
    half = round(REACH * unit)
    to_plate = np.column_stack([turn, points[IRIS_CENTRE[eye]] - turn @ [half, half]])
    side = 2 * half + 1
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(image, to_plate, (side, side), None, flags, cv2.BORDER_REPLICATE)
    lab = cv2.cvtColor(patch.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    height, width = image.shape[:2]
    x, y = np.clip(np.round(points[list(CHEEK[eye])]).astype(int), 0, (width - 1, height - 1)).T
    cheek = cv2.cvtColor(image[y, x][None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    away = np.linalg.norm(lab - np.median(cheek, axis=0), axis=-1)
    if not (away < LIKE_CHEEK).any():
        return None
    # Shaded, the skin around an eye is a little different from that of the cheek.
    away = np.linalg.norm(lab - np.median(lab[away < LIKE_CHEEK], axis=0), axis=-1)
    shape = _shape(away > OTHER, lab[..., 0] < DARK, unit)
    if shape is None:
        return None
    lids = np.concatenate([upper, lower[::-1]]).astype(np.float32)
    if shape.sum() < BEYOND * cv2.contourArea(lids):
        return None
    near, far = (_grown(shape, reach * unit) for reach in SURROUNDINGS)
    below = (far > 0) & (near == 0)
    below[:half] = False  # above there may be brows and hair
    if np.sum(away[below] < PLAIN) <= PLAIN_SHARE * below.sum():  # also where there is nothing
        return None
    rim = (shape > 0) & (cv2.erode(shape, _disc(RIM * unit)) == 0)
    if np.percentile(away[rim], 25) < CRISP:  # a photo's shapes begin in shadows
        return None
    rows = np.arange(side)[:, None]
    at = np.flatnonzero(shape.any(axis=0))
    top = np.interp(np.arange(side), at, np.where(shape, rows, side).min(axis=0)[at])
    bottom = np.interp(np.arange(side), at, np.where(shape, rows, -1).max(axis=0)[at])
    covered = _grown(shape, SPILL)
    plain = spread(patch.astype(np.float32), (covered == 0) & (away < OTHER))
    dark = np.percentile(patch[shape > 0], 3, axis=0)
    line = np.minimum(dark, 0.5 * np.median(plain[shape > 0], axis=0))
    # Skin further out is covered, too: an eye that turns with the head doesn't stay flat.
    covered = np.maximum(covered, _grown(shape, MARGIN * unit) * (away < OTHER))
    soft = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), 0.8)
    ends = top.astype(np.float32), bottom.astype(np.float32)
    span = int(at[0]), int(at[-1])
    return DrawnEye(to_plate, soft, plain, *ends, span, line, max(1.5, LINE * unit))


def _shape(other: Array, dark: Array, unit: float) -> Array | None:
    """The eye around a patch's middle, (n, n) uint8 0 or 1; None where it has no end.

    What is drawn inside its outline is looked for first: hair may touch that from outside.

    Args:
        other: (n, n) bool, what isn't skin.
        dark: (n, n) bool, what outlines may be.
    """
    middle = len(other) // 2
    iris = cv2.circle(
        np.zeros(other.shape, np.uint8), (middle, middle), round(IRIS * unit), (1,), -1
    )
    _, labels = cv2.connectedComponents((other & ~dark).astype(np.uint8), connectivity=4)
    border = [*labels[[0, -1]].ravel(), *labels[:, [0, -1]].ravel(), 0]
    inside = np.isin(labels, np.setdiff1d(labels[iris > 0], border)).astype(np.uint8)
    shape = _around(_filled(cv2.morphologyEx(inside, cv2.MORPH_CLOSE, _disc(GAP * unit))), unit)
    if shape is not None:
        outline = _grown(shape, OUTLINE * unit) * (other & dark)
        shape = _filled(cv2.morphologyEx(np.maximum(shape, outline), cv2.MORPH_CLOSE, _disc(2)))
    return shape


def _around(solid: Array, unit: float) -> Array | None:
    """The part of a mask (n, n) that its middle is in, without what is thin."""
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, _disc(THIN * unit))
    _, labels = cv2.connectedComponents(solid)
    middle = labels[len(labels) // 2, len(labels) // 2]
    shape = (labels == middle).astype(np.uint8)
    if middle == 0 or shape[[0, -1]].any() or shape[:, [0, -1]].any():
        return None
    return shape


def _filled(mask: Array) -> Array:
    """A mask (n, n) uint8 without its holes."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(mask), contours, -1, (1,), cv2.FILLED)


def _grown(mask: Array, by: float) -> Array:
    return cv2.dilate(mask, _disc(2 * by))


def _disc(size: float) -> Array:
    """A kernel of so many pixels, at least 3."""
    side = 2 * max(1, round(size / 2)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
