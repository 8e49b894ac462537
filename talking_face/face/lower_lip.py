"""Lower lips that MediaPipe's mesh lays in the wrong place.

What it knows is mouths that speak. Where one is open wide, it lays the lower lip over the teeth or
the tongue, and its outline within the red: so rows of the photo between the lips are left out, and
what it sees then is put back where it was. And it finds lips more exactly than the skin around
them, which it may put behind a lip: skin that would be drawn red where the mouth closes.
"""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.arrays import Array, Float32, UInt8
from talking_face.curves import smoothstep, soft_limit
from talking_face.face.landmarks import (
    FACE_OVAL,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    LIPS_OUTLINE,
    MOUTH_CORNERS,
    N_MESH,
    find_mesh,
    interocular,
    mouth_opening,
)

# All lengths are in inter-ocular distances.
WIDE = (0.17, 0.22)  # openings from which a mouth is looked at again, and from which that counts
DRAWN_TO = 0.22  # the opening that it is drawn together to
LEFT_ALONE = 0.15  # share of the opening beside either lip, which may be lip
VIEW = 3.8  # side of what is looked at
SIDE = 512  # pixels of it
# How far from the lip towards the chin skin is at least, as a share of where it is on the mean
# face: believed down to the first, never less than the second. Of 25 portraits 22 were above 0.7.
BELIEVED, LEAST = 0.8, 0.7
BESIDE = (0.95, 1.15)  # half widths of the mouth from its middle, over which that ends

LOWER_OUTLINE = [MOUTH_CORNERS[0], *LIPS_OUTLINE[:10:-1], MOUTH_CORNERS[1]]
CHIN = list(FACE_OVAL[10:27])  # from the jaw's one corner to the other


def look_at_wide_mouth(photo: UInt8, face: Float32) -> Float32:
    """Landmarks of a face, with lower lip and chin of a second look where the mouth is open wide.

    Args:
        photo: (H, W, 3) uint8 RGB.
        face: (478, 3) landmarks, pixels.

    Returns:
        (478, 3) float32; `face` itself where the mouth isn't open wide.
    """
    opening = float(mouth_opening(face))
    if opening <= WIDE[0]:
        return face
    to_view = _upright(face)
    view = cv2.warpAffine(
        photo, to_view, (SIDE, SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    places = face[:, :2] @ to_view[:, :2].T + to_view[:, 2]
    rows = _rows(places, opening)
    seen = find_mesh(view[np.round(rows).astype(int)])
    if seen is None:
        return face
    # The first look sees where a mouth's sides are; only how far down things are it doesn't.
    heights = np.interp(seen[:, 1], np.arange(len(rows)), rows)
    middle = places[[*INNER_LIP_UPPER, *INNER_LIP_LOWER], 1].mean()
    lower = places[list(INNER_LIP_LOWER), 1].max()
    down = np.maximum(heights - places[:, 1], 0.0) * smoothstep(places[:, 1], middle, lower)
    down *= smoothstep(opening, *WIDE)
    down[N_MESH:] = 0
    return _moved_down(face, down, to_view)


def skin_below_lip(face: Float32, mean: Array) -> Float32:
    """Landmarks of a face, with the skin between lower lip and chin between them.

    Args:
        face: (478, 3) landmarks, pixels.
        mean: (478, 3) a face that knows how they follow each other, upright, in any unit.
    """
    to_view = _upright(face)
    places = face[:, :2] @ to_view[:, :2].T + to_view[:, 2]
    usual = _share_of_way(mean)
    skin = (usual > 0) & (usual < 1)
    skin[[*LOWER_OUTLINE, *CHIN, *range(N_MESH, len(face))]] = False
    usual = np.where(skin, usual, 1.0)
    share = _share_of_way(places) / usual
    missing = BELIEVED - share
    kept = BELIEVED - soft_limit(np.maximum(missing, 1e-6), 1e-3, BELIEVED - LEAST)
    lip, chin = _way(places)
    left, right = mean[list(MOUTH_CORNERS), 0]
    aside = np.abs(mean[:, 0] - (left + right) / 2) / ((right - left) / 2)
    down = np.where(skin & (missing > 0), (kept - share) * usual * (chin - lip), 0.0)
    return _moved_down(face, down * (1 - smoothstep(aside, *BESIDE)), to_view)


def _way(places: Array) -> tuple[Array, Array]:
    """Heights (n,) of the lower lip's outline and of the chin at each of the points (n, 2 or 3)."""
    lip, chin = (
        np.interp(places[:, 0], *places[part][np.argsort(places[part, 0])][:, :2].T)
        for part in (LOWER_OUTLINE, CHIN)
    )
    return lip, chin


def _share_of_way(places: Array) -> Array:
    """How far each point lies from the lower lip to the chin, 0 to 1 between them, (n,)."""
    lip, chin = _way(places)
    return (places[:, 1] - lip) / np.maximum(chin - lip, 1e-3)


def _upright(face: Float32) -> Array:
    """The affine map (2, 3) from the photo to a view of a face, its eyes level."""
    across = face[263, :2] - face[33, :2]
    across = across / max(float(np.linalg.norm(across)), 1e-6)
    turn = np.stack([across, [-across[1], across[0]]])
    scale = SIDE / (VIEW * max(float(interocular(face)), 1.0))
    middle = (face[:, :2].min(0) + face[:, :2].max(0)) / 2
    return np.column_stack([scale * turn, [SIDE / 2, SIDE / 2] - scale * turn @ middle])


def _moved_down(face: Float32, down: Array, to_view: Array) -> Float32:
    """Landmarks of a photo, moved down in a view of it by so many pixels of that, (n,)."""
    moved = face.copy()
    moved[:, :2] += down[:, None] * cv2.invertAffineTransform(to_view)[:, 1]
    return moved


def _rows(places: Array, opening: float) -> Array:
    """The rows of a view that are looked at, (n,), fewer of them between the lips.

    Args:
        places: (478, 2) of the landmarks in the view, pixels.
        opening: of the mouth.
    """
    upper, lower = (
        float(places[list(lip[3:6]), 1].mean()) for lip in (INNER_LIP_UPPER, INNER_LIP_LOWER)
    )
    gap = max(lower - upper, 1.0)
    start, end = upper + LEFT_ALONE * gap, lower - LEFT_ALONE * gap
    left_out = gap * (1 - min(DRAWN_TO / opening, 1.0))
    kept = max(end - start - left_out, 1.0)
    rows = np.arange(SIDE + kept - (end - start))
    return np.interp(rows, [0, start, start + kept, rows[-1]], [0, start, end, SIDE - 1])
