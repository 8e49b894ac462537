"""Learn the face model's last basis: what its others leave over around the eyes.

    python -m talking_face.training.fit.nuance --scores SCORES

Principal components of what the lower and the upper face and closing lids don't explain in real
expressions, mirror images included, weighed by region: lids first. So the older bases, and all
networks and motions that speak in them, keep their meaning. SCORES is what
`talking_face.training.data.scores` wrote.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import N_MESH
from talking_face.face.model import FaceModel, rotation_angles
from talking_face.motion import CHANNELS
from talking_face.training.data.neutral import Expressions, expressed, scores_parser
from talking_face.training.fit.face_model import DEPTH_WEIGHT, mirror_index, pose_artefact
from talking_face.weights import weights_folder

SOURCES = ("dreamtalk", "celebv", "liveportrait", "ckplus48", "jaffe")  # where expressions are wide
FRAMES_A_CLIP = 120
FACE, LIDS = 0.3, 2.0  # weight of a point, and what is added around the eyes
ABOVE = (0.22, 0.5)  # canonical units of height over which the basis ends: the mouth isn't its own

logger = logging.getLogger(__name__)


def eye_weights(mean: Array) -> tuple[Array, Array]:
    """How far the basis reaches, (478,) 0..1, and how much a point counts, (478,)."""
    x, y = np.abs(mean[:, 0]), mean[:, 1]
    reach = 1 - smoothstep(y, *ABOVE)
    reach[N_MESH:] = 0.0
    near = np.exp(-((((x - 0.33) / 0.3) ** 2 + ((y - 0.02) / 0.17) ** 2) ** 2))
    return reach, FACE + LIDS * near


def learn(expressions: list[Expressions], model: FaceModel, seed: int = 0) -> Array:
    """The basis, (478, 3, 8), scaled to one standard deviation a coefficient."""
    rng = np.random.default_rng(seed)
    left, angles, counts = [], [], []
    for found in expressions:
        chosen = rng.permutation(len(found.frames))[:FRAMES_A_CLIP]
        left.append(found.left_over(model)[chosen])
        angle = rotation_angles(found.pose.rotation[chosen])
        angles.append(angle - np.median(angle, axis=0))
        counts += [len(chosen) ** -0.5] * len(chosen)
    moved = np.concatenate(left)
    moved -= pose_artefact(moved, np.concatenate(angles))
    partner = mirror_index(model.mean)
    moved = np.concatenate([moved, moved[:, partner] * [-1, 1, 1]])
    reach, weight = eye_weights(model.mean)
    scale = (weight[:, None] * np.array([1.0, 1.0, DEPTH_WEIGHT])).reshape(-1)
    flat = (moved * reach[None, :, None]).reshape(len(moved), -1) * scale
    balanced = flat * (np.tile(counts, 2) / np.mean(counts))[:, None]
    _, vectors = np.linalg.eigh(balanced.T @ balanced)
    vectors = vectors[:, ::-1][:, : CHANNELS["nuance"]]
    deviation = np.sqrt(((flat @ vectors) ** 2).mean(0))
    basis = vectors * deviation / scale[:, None]
    return basis.reshape(*model.mean.shape, CHANNELS["nuance"])


def main() -> None:
    parser = scores_parser(__doc__)
    parser.add_argument("--model", type=Path, default=weights_folder() / "face_model.safetensors")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model = FaceModel(**load_file(options.model))  # that there is no such basis yet is no error
    basis = learn(expressed(options.scores, SOURCES, model), model)
    save_file({"nuance": basis.astype(np.float32)}, options.output / "face_nuance.safetensors")


if __name__ == "__main__":
    main()
