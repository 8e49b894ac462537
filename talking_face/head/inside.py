"""What is seen through the openings of a face: teeth, tongue and cavity; eyeballs.

The layers that the painter of frames paints flat are laid on arched strips here, cut along the edge
of what they show, so that no transparency is needed. Knows a mouth's layers, points at rest and the
photo; knows nothing of atlases.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import sparse

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import INNER_LIP_LOWER, IRIS_CENTRE, IRIS_RING, N_LANDMARKS
from talking_face.face.model import Pose
from talking_face.head.patch import Patch, Surface, depth_of, grid_triangles, rows_of, still_rows
from talking_face.picture.brush import polygon_mask, sample
from talking_face.picture.matte import pull_push
from talking_face.picture.mouth.painter import ABOVE, BELOW, CAVITY, CHIN, LIP_SHARE, Mouth

# All lengths are in canonical units, inter-ocular distances.
ROWS, COLUMNS = 5, 41  # of a strip of teeth
COVERED = 0.6  # alpha from which a layer shows something
BEHIND, CLEAR = 0.05, 0.03  # how far teeth are behind the lips, and from the skin beside them
ARCH = (1.2, 5.0)  # curvature z = a x² of the dental arch, least and most
DEEP = 0.16  # how far down a jaw's strip reaches
LIGHT = 0.8  # of what lies in an open mouth, to what it has in front of it
# The cavity's rings: how far back, how wide and high (of the lips' opening), how far it goes along.
RINGS = ((0.0, 1.0, 1.0, 1.0), (0.09, 1.0, 1.0, 1.0), (0.3, 1.35, 1.5, 0.7), (0.5, 0.4, 0.4, 0.5))
EYE = (0.25, 0.17)  # half width and half height of an eyeball's visible part
EYE_ROWS, EYE_COLUMNS = 13, 17
EYE_PICTURE = (256, 174)  # pixels
SUNK = 0.012  # how far an eyeball is behind its lids
FINE = 200.0  # places a canonical unit at which the depth of the skin before it is looked up
IRIS_FOLLOWS = (1.15, 2.4)  # iris radii over which the white stops following the iris
LID_EDGE = 0.012  # how far from the lids the photo's eye is clean


def mouth_patches(
    mouth: Mouth, rest: Array, loop: Array, refinement: sparse.csr_matrix
) -> list[Patch]:
    """Upper teeth, the jaw's teeth and tongue, and the cavity.

    Args:
        mouth: the painter of the same face.
        rest: (478, 3) the face at rest, lips closed, canonical.
        loop: refined points along the inner lips, in order.
        refinement: (refined points, 468), of the mesh that they belong to.
    """
    jaw = {CHIN: 1 - LIP_SHARE, INNER_LIP_LOWER[4]: LIP_SHARE}
    strips = [
        _strip(mouth, mouth.upper, rest, True, still_rows(ROWS * COLUMNS)),
        _strip(mouth, mouth.lower, rest, False, rows_of(jaw, ROWS * COLUMNS)),
    ]
    return [*(strip for strip in strips if strip), _cavity(mouth, rest, loop, refinement)]


def _strip(
    mouth: Mouth, layer: Array, rest: Array, hangs: bool, spread: sparse.csr_matrix
) -> Patch | None:
    """A layer on an arch, cut where it ends towards the middle of the mouth."""
    height, width = layer.shape[:2]
    shown = layer[..., 3] > COVERED
    filled = np.flatnonzero(shown.any(0))
    if len(filled) < 8:
        return None
    columns = np.linspace(filled[0], filled[-1], COLUMNS)
    rows = np.arange(height)[:, None]
    edge = np.where(shown, rows, -1).max(0) if hangs else np.where(shown, rows, height).min(0)
    edge = np.interp(columns, filled, edge[filled]) + (-0.5 if hangs else 0.5)
    share = np.linspace(0, 1, ROWS)[:, None]
    deep = DEEP * height / (ABOVE + BELOW)
    row = share * edge if hangs else edge + share * np.minimum(height - 1 - edge, deep)
    column = np.broadcast_to(columns, row.shape)
    left_top, right_top, left_bottom = mouth.corners
    points = left_top + (
        (column / width)[..., None] * (right_top - left_top)
        + (row / height)[..., None] * (left_bottom - left_top)
    )
    points = points.reshape(-1, 3)
    points[:, 2] = _arch(points, rest)
    places = np.stack([(column + 0.5) / width, (row + 0.5) / height], axis=-1).reshape(-1, 2)
    colour = layer[..., :3] + (1 - layer[..., 3:]) * mouth.cavity
    picture = np.clip(255 * LIGHT * colour, 0, 255).astype(np.uint8)
    return Patch(points, spread, grid_triangles(ROWS, COLUMNS), places, picture)


def _arch(points: Array, rest: Array) -> Array:
    """Depth of a dental arch at points (n, 3): nowhere in front of the skin beside the mouth."""
    lips = rest[list(INNER_LIP_LOWER)]
    middle = lips[4]
    away = np.hypot(*(rest[:468, :2] - middle[:2]).T)
    skin = rest[:468][(away > 0.2) & (away < 0.5) & (np.abs(rest[:468, 1] - middle[1]) < 0.2)]
    across = np.square(skin[:, 0] - middle[0])
    front = middle[2] + BEHIND
    needed = (skin[:, 2] + CLEAR - front) / np.maximum(across, 0.03)
    curve = float(np.clip(needed.max(initial=0.0), *ARCH))
    return np.asarray(front + curve * np.square(points[:, 0] - middle[0]))


def _cavity(mouth: Mouth, rest: Array, loop: Array, refinement: sparse.csr_matrix) -> Patch:
    """A pocket behind the lips, which darkens inwards."""
    ring = refinement[loop] @ rest[: refinement.shape[1]]
    of_ring = sparse.csr_matrix(refinement[loop])
    wide = sparse.csr_matrix((len(loop), N_LANDMARKS - refinement.shape[1]), dtype=np.float32)
    of_ring = sparse.hstack([of_ring, wide]).tocsr()
    centre = ring.mean(0)
    points = [
        np.column_stack(
            [centre[:2] + (ring[:, :2] - centre[:2]) * (across, down), ring[:, 2] + back]
        )
        for back, across, down, _ in RINGS
    ]
    points.append(points[-1].mean(0)[None])
    spread = [of_ring * follow for *_, follow in RINGS]
    spread.append(sparse.csr_matrix(spread[-1].mean(0)))
    n = len(loop)
    side = grid_triangles(len(RINGS), n + 1)
    # The grid's last column is its first one.
    side = side // (n + 1) * n + side % (n + 1) % n
    last = (len(RINGS) - 1) * n + np.arange(n)
    cap = np.stack([last, np.roll(last, -1), np.full(n, len(RINGS) * n)], axis=1)
    down = np.repeat(np.arange(len(RINGS) + 1), [n] * len(RINGS) + [1]) / len(RINGS)
    light = mouth.light
    back = CAVITY * mouth.cavity
    stops = np.array([light.lips, 0.6 * light.flesh, back, 0.6 * back])
    rows = np.linspace(0, len(RINGS), 32)
    shades = [np.interp(rows, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    picture = np.repeat(255 * np.stack(shades, axis=1)[:, None], 8, axis=1)
    return Patch(
        np.concatenate(points),
        sparse.vstack(spread).tocsr(),
        np.concatenate([side, cap]).astype(np.int32),
        np.column_stack([np.full(len(down), 0.5), 0.02 + 0.96 * down]),
        np.clip(picture, 0, 255).astype(np.uint8),
    )


def eye_patch(
    image: Array, pose: Pose, rest: Array, lids: Array, closing: list[Surface], eye: int
) -> Patch:
    """One eyeball's visible part, on a shell that follows the lids' own curvature.

    Args:
        image: (h, w, 3) uint8 RGB, the photo's plate at rest.
        pose: from canonical to the plate's pixels.
        rest: (478, 3) canonical.
        lids: (n, 3) canonical points around the opening between the lids, in order.
        closing: the skin as its lids close, which the eyeball stays behind, canonical.
        eye: 0 for the one on the image's left.
    """
    centre = (lids.min(0) + lids.max(0))[:2] / 2
    x, y = np.linspace(-EYE[0], EYE[0], EYE_COLUMNS), np.linspace(-EYE[1], EYE[1], EYE_ROWS)
    flat = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)

    def terms(at: Array) -> Array:
        return np.column_stack([np.ones(len(at)), at, np.square(at).sum(1)])

    fitted = np.linalg.lstsq(terms(lids[:, :2] - centre), lids[:, 2], rcond=None)[0]
    points = np.column_stack([flat + centre, terms(flat) @ fitted + SUNK])
    for skin in closing:
        fine = Surface(skin.points * (FINE, FINE, 1), skin.triangles)
        points[:, 2] = np.maximum(points[:, 2], depth_of(fine, points[:, :2] * FINE) + SUNK)
    iris = rest[IRIS_CENTRE[eye]]
    radius = float(np.linalg.norm(rest[list(IRIS_RING[eye])] - iris, axis=1).mean())
    away = np.hypot(*(points[:, :2] - iris[:2]).T) / max(radius, 1e-3)
    border = np.minimum(*((half - np.abs(flat[:, axis])) for axis, half in enumerate(EYE))) / 0.06
    follow = (1 - smoothstep(away, *IRIS_FOLLOWS)) * np.clip(border, 0, 1)
    column = np.full(len(points), IRIS_CENTRE[eye])
    shape = (len(points), N_LANDMARKS)
    entries = (follow.astype(np.float32), (np.arange(len(points)), column))
    spread = sparse.csr_matrix(entries, shape=shape)
    places = (flat / EYE + 1) / 2
    picture = _eye_picture(image, pose, points, lids)
    return Patch(points, spread, grid_triangles(EYE_ROWS, EYE_COLUMNS), places, picture)


def _eye_picture(image: Array, pose: Pose, points: Array, lids: Array) -> Array:
    """The photo's eye; what its lids hide is filled from what they don't."""
    width, height = EYE_PICTURE
    here = pose.project(points)[:, :2].reshape(EYE_ROWS, EYE_COLUMNS, 2).astype(np.float32)
    at = np.asarray(cv2.resize(here, (width, height), interpolation=cv2.INTER_CUBIC))
    seen = sample(image, at[..., 0], at[..., 1])
    unit = float(pose.scale)
    opening = polygon_mask(pose.project(lids)[:, :2], image.shape[0], image.shape[1], 0.6)
    opening = cv2.erode(opening, np.ones((2 * max(1, round(LID_EDGE * unit)) + 1,) * 2))
    known = np.clip(sample(opening, at[..., 0], at[..., 1]), 0, 1).astype(np.float32)
    if known.max() < 0.5:  # closed
        return seen
    return np.clip(pull_push(seen.astype(np.float32), known), 0, 255).astype(np.uint8)
