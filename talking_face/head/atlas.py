"""The texture atlas of a head: one square picture, in which each patch has a tile.

The layout, in fractions of the side from the left top corner (glTF's own axes):

=========  ==========================  ==========================================================
tile       left, top, width, height    what it shows
=========  ==========================  ==========================================================
face       0, 0, ½, ½                  the face unrolled around its upright axis: u is the angle,
                                       v the height, on the model's mean face, so that every face
                                       has its features in the same places
front      ½, 0, ½, ½                  hair, ears, neck and shoulders, as the photo's crop shows
                                       them
back       0, ½, ½, ½                  what lies behind them, from the same side
upper      ½, ½, ¼, ⅛                  upper teeth and gum, as the skull's layer
lower      ½, ⅝, ¼, ¼                  lower teeth and tongue, as the jaw's layer
cavity     ½, ⅞, ⅛, ⅛                  from the lips' rim (above) to the back of the mouth
eye 0, 1   ¾, ½, ¼, ⅙; ¾, ⅔, ¼, ⅙      the eye on the image's left, and the one on its right
side       ¾, ⅚, ¼, ⅙                  of a face that is turned, the near side as the front shows
                                       it, in the far one's light: it stands in for that
=========  ==========================  ==========================================================
"""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.arrays import Array, UInt8
from talking_face.curves import smoothstep
from talking_face.head.patch import Patch
from talking_face.picture.contour import facing
from talking_face.picture.matte import pull_push
from talking_face.picture.mesh import draw_map

SIDE = 2048  # pixels
TILES = {
    "face": (0, 0, 1 / 2, 1 / 2),
    "front": (1 / 2, 0, 1 / 2, 1 / 2),
    "back": (0, 1 / 2, 1 / 2, 1 / 2),
    "upper": (1 / 2, 1 / 2, 1 / 4, 1 / 8),
    "lower": (1 / 2, 5 / 8, 1 / 4, 1 / 4),
    "cavity": (1 / 2, 7 / 8, 1 / 8, 1 / 8),
    "eye 0": (3 / 4, 1 / 2, 1 / 4, 1 / 6),
    "eye 1": (3 / 4, 2 / 3, 1 / 4, 1 / 6),
    "side": (3 / 4, 5 / 6, 1 / 4, 1 / 6),
}
FACE_TILE = SIDE // 2
GUTTER = 3  # pixels at a tile's edge that repeat it
AXIS = 0.75  # canonical depth of the axis that the face is unrolled around
SEEN = (0.12, 0.4)  # cosine of skin to line of sight over which the photo is believed
LEAST = 0.02  # how much it is believed where it is seen at all
FIRM = (0.25, 0.5)  # the same, over which what the photo shows is the face, whatever its colour
STRANGE = (40.0, 65.0)  # grey levels from the skin beside it, over which it isn't the face
SHADOW = 15  # pixels around what isn't, which are in its shadow
JOINED = (10.0, 60.0)  # pixels from what is around, over which the photo is believed all the same
EVEN = 60.0  # pixels of the face's tile over which light is evened out where sides are mirrored


def unrolled(mean: Array) -> Array:
    """Where the points (n, 3) of the mean face are in its tile, (n, 2) 0..1; left-right symmetric.

    Args:
        mean: canonical, in pairs that mirror each other, roughly.
    """
    angle = np.arctan2(mean[:, 0], AXIS - mean[:, 2])
    most = np.abs(angle).max()
    low, high = mean[:, 1].min(), mean[:, 1].max()
    flat = np.stack([0.5 + angle / most / 2, (mean[:, 1] - low) / (high - low)], axis=1)
    return 0.02 + 0.96 * flat


def face_picture(
    image: Array,
    places: Array,
    points: Array,
    drawn_from: Array,
    triangles: Array,
    joined: Array,
) -> UInt8:
    """The face's tile: the photo where it shows the skin, else the other side, mirrored.

    Args:
        image: (h, w, 3) uint8 RGB, the photo's plate at rest.
        places: (n, 2) in the tile, of `unrolled`.
        points: (n, 3) in the plate, pixels.
        drawn_from: (n, 2) the same, but where something hides them; see `drawn_together`.
        triangles: (m, 3) int32.
        joined: (k, 2) in the tile, where what is around goes on from it in the photo's own colours.
    """
    places = (places * (FACE_TILE - 1)).astype(np.float32)
    seen = facing(points, triangles)
    at_x, at_y, covered = _draw(places, drawn_from, triangles)
    share, _, _ = _draw(places, np.stack([seen, seen], axis=1), triangles)
    own = cv2.remap(image, at_x, at_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    own = own.astype(np.float32)
    inside = (at_x >= 0) & (at_y >= 0) & (at_x < image.shape[1]) & (at_y < image.shape[0])
    # Where neither side is seen well, the own one, however slanted, goes on into what is around.
    there = covered & inside & (share > 0)
    firm = smoothstep(share, *FIRM).astype(np.float32)
    skin = pull_push(own, np.ascontiguousarray(firm * there))
    # Hair and ears beside the cheek are on it where the mesh is a little wider than the face.
    strange = smoothstep(np.abs(own - skin).max(2), *STRANGE).astype(np.float32)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (SHADOW, SHADOW))
    strange = cv2.blur(cv2.dilate((1 - firm) * strange, around), (SHADOW, SHADOW))
    weight = (smoothstep(share, *SEEN) + LEAST) * (1 - strange)
    weight = (np.maximum(weight, _near(joined)) * there).astype(np.float32)
    other = own[:, ::-1]
    others_weight = np.maximum(weight[:, ::-1] - weight, 0)
    other = np.clip(other * _gain(own, other, weight, weight[:, ::-1]), 0, 255)
    total = weight + others_weight
    mixed = own * weight[..., None] + other * others_weight[..., None]
    mixed /= np.maximum(total, 1e-6)[..., None]
    known = (total > LEAST / 2).astype(np.float32)
    return np.clip(np.rint(pull_push(mixed.astype(np.float32), known)), 0, 255).astype(np.uint8)


def _draw(places: Array, values: Array, triangles: Array) -> tuple[Array, Array, Array]:
    """Two values of each point over the face's tile, and where there are any."""
    one, two = np.mgrid[:FACE_TILE, :FACE_TILE].astype(np.float32)[::-1].copy()
    depth = np.full((FACE_TILE, FACE_TILE), np.inf, dtype=np.float32)
    source = np.ascontiguousarray(values, dtype=np.float32)
    draw_map(places, np.zeros(len(places), np.float32), source, triangles, one, two, depth)
    return one, two, np.isfinite(depth)


def _near(places: Array) -> Array:
    """How near each pixel of the face's tile is to places (k, 2) 0..1 in it: 1 there, 0 beyond."""
    away = np.ones((FACE_TILE, FACE_TILE), dtype=np.uint8)
    column, row = np.rint(places * (FACE_TILE - 1)).astype(int).T
    away[row, column] = 0
    if away.all():
        return np.zeros_like(away, dtype=np.float32)
    distance = cv2.distanceTransform(away, cv2.DIST_L2, 5)
    return np.asarray(1 - smoothstep(distance, *JOINED), dtype=np.float32)


def _gain(own: Array, other: Array, weight: Array, others: Array) -> Array:
    """What brings the light of the mirrored side to that of the own one, (h, w, 3)."""
    both = np.minimum(weight, others)[..., None]
    if both.max() < 0.5:
        return np.ones((1, 1, 3), dtype=np.float32)

    def level(colour: Array) -> Array:
        return pull_push(colour, np.ascontiguousarray(both[..., 0])) + 8

    small = (FACE_TILE // 8, FACE_TILE // 8)
    ratio = cv2.resize(level(own) / level(np.ascontiguousarray(other)), small)
    ratio = cv2.GaussianBlur(ratio, (0, 0), EVEN / 8)
    return np.clip(cv2.resize(ratio, (FACE_TILE, FACE_TILE)), 0.6, 1.6)


def assemble(patches: dict[str, Patch]) -> tuple[UInt8, dict[str, Array]]:
    """The atlas (2048, 2048, 3), and of each patch the texture coordinates (n, 2) of its points."""
    atlas = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    places = {}
    for name, patch in patches.items():
        left, top, width, height = (round(SIDE * part) for part in TILES[name])
        inner = (width - 2 * GUTTER, height - 2 * GUTTER)
        shrinks = patch.picture.shape[1] > inner[0]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        tile = cv2.resize(patch.picture, inner, interpolation=method)
        tile = cv2.copyMakeBorder(tile, *(GUTTER,) * 4, cv2.BORDER_REPLICATE)
        atlas[top : top + height, left : left + width] = tile
        at = np.array([left, top]) + GUTTER + patch.places * inner
        places[name] = (at / SIDE).astype(np.float32)
    return atlas, places
