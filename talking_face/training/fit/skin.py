"""Learn how an expression moves skin beyond its landmarks, and darkens and lights it in folds.

    python -m talking_face.training.fit.skin --scores SCORES --clips CLIPS

The skin of each frame is read off on a grid that goes with the landmarks, so it would be still if
they knew all. What moves there against the same person's face at rest is measured by optical flow
(Kroeger et al., Fast optical flow using dense inverse search, 2016) where both ways agree, and
regressed on the coefficients of the expression: landmarks are regular, and skin moves further. Then
the skin is brought to where it was, and how the logarithm of its brightness, relative to what is
around, differs from the person's usual one is regressed likewise (ridge regressions, mirror images
included). SCORES is what `talking_face.training.data.scores` wrote of CLIPS.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import save_file
from tqdm import tqdm

from talking_face.arrays import Array
from talking_face.clips.video import read_frames
from talking_face.curves import smoothstep
from talking_face.face.landmarks import FACE_OVAL, N_MESH
from talking_face.face.model import FaceModel, load_face_model
from talking_face.picture.skin import (
    COLUMNS,
    HIGH,
    LEFT,
    ROWS,
    TOP,
    WIDE,
    grid_weights,
    skin_mask,
)
from talking_face.training.data.neutral import Expressions, expressed, nuance_of, scores_parser
from talking_face.training.fit.face_model import mirror_index

SOURCES = ("dreamtalk", "celebv", "liveportrait")
DAMPING = 0.002  # of the fits, as in `talking_face.training.fit.feeling`
FRAMES_A_CLIP = 40
TURNED = 12.0  # degrees of yaw and pitch from the clip's usual pose: light changes with the head
FINER = 2  # rows and columns of a texture for one of the grid
AT_REST = 7  # frames of a person, nearest the neutral face, whose median is the face at rest
LOCAL, PLAIN = 16, 0.04  # texture cells over which contrast is made even, and what counts as none
AGREE, SMOOTH, SURE = 2.0, 4.0, 0.1  # texture cells both ways may differ by, and of smoothing
MOST_MOVED = 0.12  # canonical units: what moves further isn't skin
EDGE = (0.02, 0.2)  # canonical units from the outline over which moves begin
BROWS, BROWS_MOVED = (-0.1, 0.05), 0.5  # canonical y above which less of them is kept, and how much
FINE, BROAD = 0.7, 9.0  # cells, standard deviation: finer is noise, broader is light
FARTHEST = 0.35  # of a logarithm: a hand, a strand of hair
RIDGE = 0.2  # of the mean variance of a coefficient
DEEPER = 2.5  # times what is learned: folds of people lie side by side, and their mean is fainter

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Clip:
    """What is read off a clip.

    Attributes:
        held: (n, 30) coefficients. neutral: (n,) bool, the face is named so.
        textures: (n, FINER * rows, FINER * columns, 3) uint8 RGB.
    """

    held: Array
    neutral: Array
    textures: Array


def texture(frame: Array, marks: Array, weights: Array) -> Array:
    """The skin of a face, (FINER * rows, FINER * columns, 3) uint8 RGB.

    Args:
        frame: (H, W, 3) uint8 RGB. marks: (478, 3) pixels.
        weights: of `grid_weights`.
    """
    place = (weights @ marks[:N_MESH, :2]).astype(np.float32).reshape(ROWS, COLUMNS, 2)
    y, x = ((np.arange(FINER * n, dtype=np.float32) + 0.5) / FINER - 0.5 for n in place.shape[:2])
    x, y = np.meshgrid(x, y)
    place = cv2.remap(place, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    x, y = np.ascontiguousarray(np.moveaxis(place, -1, 0))
    return np.asarray(cv2.remap(frame, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE))


def gather(found: Expressions, model: FaceModel, root: Path, weights: Array) -> Clip:
    """Some frames of a clip."""
    turned = np.abs(found.motion["rotation"] - np.median(found.motion["rotation"], axis=0))
    near = np.flatnonzero(turned[:, :2].max(1) < TURNED)
    chosen = near[np.linspace(0, len(near) - 1, min(FRAMES_A_CLIP, len(near))).astype(int)]
    nuance = nuance_of(found.left_over(model)[chosen], model.nuance, DAMPING)
    held = np.concatenate([found.motion[n][chosen] for n in ("lower", "upper")] + [nuance], axis=1)
    wanted = dict(
        zip(found.of.index[found.frames[chosen]].tolist(), range(len(chosen)), strict=True)
    )
    seen = np.zeros((len(chosen), FINER * ROWS, FINER * COLUMNS, 3), dtype=np.uint8)
    for index, frame in enumerate(read_frames(root / found.of.path)):
        if index in wanted:
            marks = found.of.landmarks[found.frames[chosen[wanted[index]]]]
            seen[wanted[index]] = texture(frame, marks, weights)
        if index >= max(wanted):
            break
    return Clip(held, np.array(found.of.moods)[found.frames[chosen]] == "neutral", seen)


def beyond_landmarks(rest: Array, textures: Array) -> Array:
    """How far what a texture shows at rest has moved in others, (n, rows, columns, 2).

    Args:
        rest: (FINER * rows, FINER * columns, 3) uint8 RGB. textures: (n, ...) of these.

    Returns:
        Right and down, canonical units, float32.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    unit = WIDE / (FINER * COLUMNS)
    y, x = np.mgrid[: FINER * ROWS, : FINER * COLUMNS].astype(np.float32)
    before, moves = even(rest), np.zeros((len(textures), ROWS, COLUMNS, 2), dtype=np.float32)
    for index, shown in enumerate(textures):
        after = even(shown)
        there, back = (
            search.calc(*both, np.zeros((*before.shape, 2), dtype=np.float32))
            for both in ((before, after), (after, before))
        )
        returned = cv2.remap(back, x + there[..., 0], y + there[..., 1], cv2.INTER_LINEAR)
        far = np.linalg.norm(there + returned, axis=-1) / AGREE
        sure = np.exp(-(far**2)) * (unit * np.linalg.norm(there, axis=-1) < MOST_MOVED)
        weighed, weight = (
            cv2.GaussianBlur(part.astype(np.float32), (0, 0), SMOOTH)
            for part in (there * sure[..., None], sure)
        )
        moves[index] = unit * (weighed / (weight[..., None] + SURE))[::FINER, ::FINER]
    return moves


def even(texture: Array) -> Array:
    """A texture's brightness without its light, uint8."""
    grey = np.log(cv2.cvtColor(texture, cv2.COLOR_RGB2GRAY).astype(np.float32) + 8)
    grey -= cv2.GaussianBlur(grey, (0, 0), LOCAL)
    contrast = np.sqrt(cv2.GaussianBlur(grey**2, (0, 0), LOCAL)) + PLAIN
    return np.clip(grey / contrast * 40 + 128, 0, 255).astype(np.uint8)


def shades(texture: Array, moves: Array) -> Array:
    """Logarithms (rows, columns) of how bright the skin is relative to what is around it.

    Args:
        texture: of `texture`. moves: (rows, columns, 2) of `beyond_landmarks`, taken back.
    """
    size = (FINER * COLUMNS, FINER * ROWS)
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    by = cv2.resize(moves, size) * (size[0] / WIDE)
    still = cv2.remap(texture, x + by[..., 0], y + by[..., 1], cv2.INTER_LINEAR)
    grey = cv2.cvtColor(still, cv2.COLOR_RGB2GRAY).astype(np.float32) + 4
    seen = np.log(cv2.resize(grey, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA))
    smooth = [cv2.GaussianBlur(seen, (0, 0), sigma) for sigma in (FINE, BROAD)]
    return np.asarray(smooth[0] - smooth[1])


def compared(clips: list[Clip]) -> tuple[Array, Array, Array, Array]:
    """One person's coefficients (n, 30) relative to the face at rest and moves; coefficients and
    shades relative to the usual face."""
    held = np.concatenate([clip.held for clip in clips])
    textures = np.concatenate([clip.textures for clip in clips])
    neutral = np.concatenate([clip.neutral for clip in clips])
    centre = np.median(held[neutral], axis=0) if neutral.any() else np.zeros(held.shape[1])
    away = ((held - centre) ** 2).sum(1) + np.where(neutral | ~neutral.any(), 0.0, np.inf)
    rest = np.argsort(away)[:AT_REST]
    moves = beyond_landmarks(np.median(textures[rest], axis=0).astype(np.uint8), textures)
    shade = np.stack([shades(*both) for both in zip(textures, moves, strict=True)])
    shade = np.clip(shade - np.median(shade, axis=0), -FARTHEST, FARTHEST)
    return held - np.median(held[rest], axis=0), moves, held - held.mean(0), shade


def mirrored(model: FaceModel) -> Array:
    """(30, 30): coefficients @ this are those of the mirror image."""
    partner = mirror_index(model.mean)[:N_MESH]
    basis = np.concatenate([model.lower, model.upper, model.nuance], axis=-1)[:N_MESH]
    flipped = basis[partner] * np.array([-1, 1, 1])[None, :, None]
    count = basis.shape[-1]
    return np.linalg.lstsq(basis.reshape(-1, count), flipped.reshape(-1, count), rcond=1e-6)[0].T


def on_mesh(moves: Array, model: FaceModel) -> Array:
    """Moves (30, rows, columns, 2) at the points of the mesh, (468, 2, 30): none at the outline.

    What is seen of brows is partly their hair; half of it is kept, as more made unseen people's
    frames no more alike.
    """
    mean = model.mean[:N_MESH, :2].astype(np.float32)
    x, y = ((mean - [LEFT, TOP]) / [WIDE, HIGH] * [COLUMNS, ROWS] - 0.5).astype(np.float32).T.copy()
    found = np.stack(
        [cv2.remap(m, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)[:, 0] for m in moves], -1
    )
    outline = mean[[point for point in FACE_OVAL if point < N_MESH]]
    away = np.linalg.norm(mean[:, None] - outline, axis=-1).min(1)
    kept = smoothstep(away, *EDGE)
    kept *= BROWS_MOVED + (1 - BROWS_MOVED) * smoothstep(mean[:, 1], *BROWS)
    return np.asarray(found * kept[:, None, None])


def learn(held: Array, seen: Array, whose: Array, model: FaceModel) -> Array:
    """What each coefficient (n, 30) does to what is seen (n, rows, columns) or, right and down,
    (n, rows, columns, 2); tells how much of new people's it explains."""
    both = np.concatenate([held, held @ mirrored(model)])
    flip = np.array([-1, 1]) if seen.ndim == 4 else 1
    flat = np.concatenate([seen, flip * seen[:, :, ::-1]]).reshape(2 * len(seen), -1)
    who = np.tile(whose, 2)
    explained = []
    for fold in range(5):
        test = who % 5 == fold
        made = both[test] @ solve(both[~test], flat[~test])
        explained.append(1 - ((flat[test] - made) ** 2).sum() / (flat[test] ** 2).sum())
    logger.info("explained of people left out: %s", np.round(explained, 3))
    return solve(both, flat).reshape(-1, *seen.shape[1:])


def solve(held: Array, flat: Array) -> Array:
    """Ridge regression, (30, cells)."""
    gram = held.T @ held
    ridge = RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.linalg.solve(gram + ridge, held.T @ flat)


def main() -> None:
    parser = scores_parser(__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="the folder of their manifest")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model = load_face_model()
    weights = grid_weights(model)
    people: dict[str, list[Expressions]] = defaultdict(list)
    for found in expressed(options.scores, SOURCES, model, DAMPING):
        people[f"{found.of.source}/{found.of.person}"].append(found)
    parts, whose = [], []
    for number, clips in enumerate(tqdm(people.values())):
        own = compared([gather(clip, model, options.clips, weights) for clip in clips])
        parts.append(own)
        whose += [number] * len(own[0])
    from_rest, moves, held, shade = (np.concatenate(part) for part in zip(*parts, strict=True))
    who, mask = np.array(whose), skin_mask(model)
    logger.info("%d frames of %d people", len(who), len(people))
    found_moves = on_mesh(learn(from_rest, moves, who, model), model)
    maps = DEEPER * learn(held, shade * mask, who, model)
    maps[:, mask == 0] = 0  # into which mirror images of skin have come
    tensors = {"maps": maps.astype(np.float16), "moves": found_moves.astype(np.float16)}
    save_file(tensors, options.output / "skin.safetensors")


if __name__ == "__main__":
    main()
