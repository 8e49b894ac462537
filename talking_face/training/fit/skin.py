"""Learn how skin darkens and lights where an expression folds it.

    python -m talking_face.training.fit.skin --scores SCORES --clips CLIPS

The skin of each frame is read off on a grid that goes with the face; how the logarithm of its
brightness, relative to what is around, differs from the same person's usual one is regressed on
the coefficients of the expression (ridge regression, mirror images included). SCORES is what
`talking_face.training.data.scores` wrote of CLIPS.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import save_file
from tqdm import tqdm

from talking_face.arrays import Array
from talking_face.clips.video import read_frames
from talking_face.face.landmarks import N_MESH
from talking_face.face.model import FaceModel, load_face_model
from talking_face.picture.skin import COLUMNS, ROWS, grid_weights, skin_mask
from talking_face.training.data.neutral import Expressions, expressed, nuance_of, scores_parser
from talking_face.training.fit.face_model import mirror_index

SOURCES = ("dreamtalk", "celebv", "liveportrait")
FRAMES_A_CLIP = 24
TURNED = 12.0  # degrees of yaw and pitch from the clip's usual pose: light changes with the head
FINE, BROAD = 0.7, 9.0  # cells, standard deviation: finer is noise, broader is light
FARTHEST = 0.35  # of a logarithm: a hand, a strand of hair
RIDGE = 8.0  # of the mean variance of a coefficient

logger = logging.getLogger(__name__)


def shades(frame: Array, marks: Array, weights: Array) -> Array:
    """Logarithms (rows, columns) of how bright the skin is relative to what is around it.

    Args:
        frame: (H, W, 3) uint8 RGB. marks: (478, 3) pixels.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY).astype(np.float32) + 4
    place = (weights @ marks[:N_MESH, :2]).astype(np.float32).reshape(ROWS, COLUMNS, 2)
    x, y = np.ascontiguousarray(np.moveaxis(place, -1, 0))
    seen = np.log(cv2.remap(grey, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE))
    smooth = [cv2.GaussianBlur(seen, (0, 0), sigma) for sigma in (FINE, BROAD)]
    return np.asarray(smooth[0] - smooth[1])


def gather(found: Expressions, model: FaceModel, root: Path, weights: Array) -> tuple[Array, Array]:
    """Coefficients (n, 30) and shades (n, rows, columns) of some frames of a clip."""
    turned = np.abs(found.motion["rotation"] - np.median(found.motion["rotation"], axis=0))
    near = np.flatnonzero(turned[:, :2].max(1) < TURNED)
    chosen = near[np.linspace(0, len(near) - 1, min(FRAMES_A_CLIP, len(near))).astype(int)]
    nuance = nuance_of(found.left_over(model)[chosen], model.nuance)
    held = np.concatenate([found.motion[n][chosen] for n in ("lower", "upper")] + [nuance], axis=1)
    wanted = dict(
        zip(found.of.index[found.frames[chosen]].tolist(), range(len(chosen)), strict=True)
    )
    seen = np.zeros((len(chosen), ROWS, COLUMNS), dtype=np.float32)
    for index, frame in enumerate(read_frames(root / found.of.path)):
        if index in wanted:
            marks = found.of.landmarks[found.frames[chosen[wanted[index]]]]
            seen[wanted[index]] = shades(frame, marks, weights)
        if index >= max(wanted):
            break
    return held, seen


def mirrored(model: FaceModel) -> Array:
    """(30, 30): coefficients @ this are those of the mirror image."""
    partner = mirror_index(model.mean)[:N_MESH]
    basis = np.concatenate([model.lower, model.upper, model.nuance], axis=-1)[:N_MESH]
    flipped = basis[partner] * np.array([-1, 1, 1])[None, :, None]
    count = basis.shape[-1]
    return np.linalg.lstsq(basis.reshape(-1, count), flipped.reshape(-1, count), rcond=1e-6)[0].T


def main() -> None:
    parser = scores_parser(__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="the folder of their manifest")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model = load_face_model()
    found = expressed(options.scores, SOURCES, model)
    weights = grid_weights(model)
    by_person: dict[str, list[tuple[Array, Array]]] = defaultdict(list)
    for clip in tqdm(found):
        by_person[f"{clip.of.source}/{clip.of.person}"].append(
            gather(clip, model, options.clips, weights)
        )
    people = list(by_person)
    held, seen, whose = [], [], []
    for number, person in enumerate(people):
        own_held, own_seen = (np.concatenate(part) for part in zip(*by_person[person], strict=True))
        held.append(own_held - own_held.mean(0))
        seen.append(np.clip(own_seen - np.median(own_seen, axis=0), -FARTHEST, FARTHEST))
        whose += [number] * len(own_held)
    maps = learn(np.concatenate(held), np.concatenate(seen), np.array(whose), model)
    save_file({"maps": maps.astype(np.float16)}, options.output / "skin.safetensors")


def learn(held: Array, seen: Array, whose: Array, model: FaceModel) -> Array:
    """Maps (30, rows, columns), zero where there is no skin; tells how much of new people's
    shades they explain."""
    mask = skin_mask(model)
    both = np.concatenate([held, held @ mirrored(model)])
    shade = np.concatenate([seen, seen[..., ::-1]]) * mask
    flat, who = shade.reshape(len(shade), -1), np.tile(whose, 2)
    explained = []
    for fold in range(5):
        test = who % 5 == fold
        made = both[test] @ solve(both[~test], flat[~test])
        explained.append(1 - ((flat[test] - made) ** 2).sum() / (flat[test] ** 2).sum())
    logger.info("explained of people left out: %s", np.round(explained, 3))
    return solve(both, flat).reshape(-1, ROWS, COLUMNS)


def solve(held: Array, flat: Array) -> Array:
    """Ridge regression, (30, cells)."""
    gram = held.T @ held
    ridge = RIDGE * np.trace(gram) / len(gram) / 10 * np.eye(len(gram))
    return np.linalg.solve(gram + ridge, held.T @ flat)


if __name__ == "__main__":
    main()
