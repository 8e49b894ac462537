"""Learn the linear face model from tracked clips and portraits.

    python -m talking_face.training.fit.face_model --cache CACHE --output face_model.safetensors

Steps: (1) generalised Procrustes over all clips gives a base shape; (2) each speaker's neutral face
is the median of his or her frames with closed lips and open eyes; (3) what the tracker's shape owes
to head pose alone is regressed out; (4) principal components of what is left, weighed by region,
are the expression bases; (5) neutral faces of speakers, and of portraits once their expression is
removed, give the identity basis.
"""

from __future__ import annotations

import argparse
import logging
from collections import defaultdict
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy.optimize import linear_sum_assignment

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import (
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    LOWER_LID,
    N_LANDMARKS,
    N_MESH,
    UPPER_LID,
    interocular,
    mesh_triangles,
    mouth_opening,
)
from talking_face.face.model import PIVOT, FaceModel, fit_pose, rotation_angles
from talking_face.motion import CHANNELS
from talking_face.training.data.tracks import Track, load_portraits, load_tracks

N_IDENTITY = 40
CLOSED = 0.012  # inner-lip opening, inter-ocular distances, below which lips count as closed
FRAMES_A_SPEAKER = 400  # so that no speaker outweighs the others in the bases
DEPTH_WEIGHT = 0.3  # the tracker's depth is its least certain axis

BROWS = [70, 63, 105, 66, 107, 46, 53, 52, 65, 55]
BROWS += [300, 293, 334, 296, 336, 276, 283, 282, 295, 285]

logger = logging.getLogger(__name__)


def base_shape(tracks: list[Track], rounds: int = 5) -> Array:
    """Generalised Procrustes mean (478, 3): eyes' midpoint at 0, outer eye corners 1 apart."""
    sample = []
    for track in tracks:
        good = np.flatnonzero(track.ok)
        sample.append(track.landmarks[good[:: max(1, len(good) // 3)][:3]])
    marks = np.concatenate(sample).astype(np.float64)
    size = interocular(marks)
    start = marks / size[:, None, None]
    start -= start[:, [33, 263]].mean(1, keepdims=True)
    shape = np.median(start, axis=0)
    weights = np.ones(N_LANDMARKS)
    for _ in range(rounds):
        canonical = fit_pose(marks, shape, weights).unproject(marks)
        shape = normalise(np.median(canonical, axis=0))
        spread = np.sqrt(((canonical - shape) ** 2).mean((0, 2)))
        weights = rigid_weights(shape) / (spread**2 + 0.02**2)
    return shape


def normalise(shape: Array) -> Array:
    """Mirror-symmetric in pose: eyes level, midpoint 0, outer corners 1 apart, face frontal."""
    shape = shape - shape[[33, 263]].mean(0)
    right = shape[263] - shape[33]
    right /= np.linalg.norm(right)
    # The forehead's middle (10) and the chin (152) span a plane that is upright.
    down = shape[152] - shape[10]
    down -= right * (down @ right)
    down /= np.linalg.norm(down)
    away = np.cross(right, down)
    return shape @ np.stack([right, down, away], axis=1) / interocular(shape)


def rigid_weights(shape: Array) -> Array:
    """How far each point moves with the skull: forehead, nose bridge, eye sockets, temples."""
    x, y = np.abs(shape[:, 0]), shape[:, 1]
    weights = 1 - smoothstep(y, 0.15, 0.45)
    # The silhouette slides over the skull as the head turns.
    weights *= np.where(x > 0.62, 0.5, 1.0)
    eyes = np.array(sorted({i for lids in UPPER_LID + LOWER_LID for i in lids}))
    inner_lid = np.setdiff1d(eyes, [33, 133, 263, 362])
    weights[inner_lid] = 0.02
    weights[BROWS] *= 0.1
    weights[[6, 168, 197, 195, 5, 33, 133, 263, 362]] = 2.0
    weights[N_MESH:] = 0.0
    return np.maximum(weights, 1e-3)


def region_masks(shape: Array) -> tuple[Array, Array]:
    """Soft masks (478,) of the lower and of the upper face; the eyelids belong to neither."""
    y = shape[:, 1]
    lower = smoothstep(y, 0.12, 0.42)
    upper = 1 - smoothstep(y, -0.14, -0.02)
    lower[N_MESH:] = upper[N_MESH:] = 0.0
    return lower, upper


def lid_opening(canonical: Array) -> Array:
    """Eye opening over eye width, (..., 2), image-left eye first."""
    both = []
    for upper, lower in zip(UPPER_LID, LOWER_LID, strict=True):
        gap = canonical[..., list(lower[3:6]), 1] - canonical[..., list(upper[3:6]), 1]
        width = np.linalg.norm(
            canonical[..., upper[0], :2] - canonical[..., upper[-1], :2], axis=-1
        )
        both.append(gap.mean(-1) / width)
    return np.stack(both, axis=-1)


def neutral_face(canonical: Array) -> Array:
    """Median (478, 3) of the frames in which the lips are closed and the eyes open."""
    opening = mouth_opening(canonical)
    eyes = lid_opening(canonical).mean(-1)
    order = np.argsort(opening)
    closed = opening < max(CLOSED, opening[order[min(len(order) - 1, 7)]])
    awake = eyes > 0.8 * np.median(eyes)
    chosen = canonical[closed & awake] if (closed & awake).sum() >= 3 else canonical[order[:8]]
    return np.median(chosen, axis=0)


def close_lips(shape: Array) -> Array:
    """Make the inner lips of a nearly closed neutral shape (478, 3) meet exactly."""
    shape = shape.copy()
    upper, lower = list(INNER_LIP_UPPER), list(INNER_LIP_LOWER)
    middle = (shape[upper] + shape[lower]) / 2
    shape[upper] = shape[lower] = middle
    return shape


def principal(displacements: Array, mask: Array, count: int) -> Array:
    """Uncentred principal components (478, 3, count), scaled to one standard deviation.

    The origin stays the neutral face, so that coefficients of zero are neutral.
    """
    axis = np.array([1.0, 1.0, DEPTH_WEIGHT])
    weighted = displacements * mask[None, :, None] * axis
    flat = weighted.reshape(len(weighted), -1)
    _, vectors = np.linalg.eigh(flat.T @ flat)
    vectors = vectors[:, ::-1][:, :count]
    scores = flat @ vectors
    deviation = np.sqrt((scores**2).mean(0))
    basis = (vectors * deviation).reshape(N_LANDMARKS, 3, count) / axis[None, :, None]
    signs = np.sign(basis[14, 1] + 1e-9)  # positive opens the mouth, where that says anything
    return basis * signs


def learn(tracks: list[Track], portraits: Array) -> tuple[FaceModel, dict[str, float]]:
    """The whole recipe; portraits: (n, 478, 3) landmarks in pixels."""
    mean = base_shape(tracks)
    rigid = rigid_weights(mean)
    lower_mask, upper_mask = region_masks(mean)
    by_speaker: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        by_speaker[f"{track.source}/{track.speaker}"].append(track)

    generator = np.random.default_rng(0)
    neutrals, displaced, angles, origins = [], [], [], []
    for clips in by_speaker.values():
        marks = np.concatenate([clip.landmarks[clip.ok] for clip in clips]).astype(np.float64)
        clip_of = np.repeat(np.arange(len(clips)), [int(clip.ok.sum()) for clip in clips])
        if len(marks) > 4 * FRAMES_A_SPEAKER:
            keep = np.sort(generator.choice(len(marks), 4 * FRAMES_A_SPEAKER, replace=False))
            marks, clip_of = marks[keep], clip_of[keep]
        shape = mean
        for _ in range(3):
            pose = fit_pose(marks, shape, rigid)
            canonical = pose.unproject(marks)
            shape = normalise_like(neutral_face(canonical), mean, rigid)
        pose = fit_pose(marks, shape, rigid)
        canonical = pose.unproject(marks)
        neutrals.append(close_lips(shape))
        if len(canonical) > FRAMES_A_SPEAKER:
            keep = generator.choice(len(canonical), FRAMES_A_SPEAKER, replace=False)
        else:
            keep = np.arange(len(canonical))
        angle = rotation_angles(pose.rotation)
        angle -= np.median(angle, axis=0)
        displaced.append(canonical[keep] - neutrals[-1])
        angles.append(angle[keep])
        for index in range(len(clips)):
            own = clip_of == index
            if own.sum() > 20:
                # The pivot is where translation has least to explain: see `fit_pivot`.
                place = pose.origin[own, :2] / pose.scale[own, None]
                turned = pose.rotation[own] @ PIVOT
                eyes = place - turned[:, :2]
                origins.append((eyes - eyes.mean(0), pose.rotation[own]))
    neutral = np.stack(neutrals)
    mean = neutral.mean(0)
    partner = mirror_index(mean)

    def mirror(shape: Array) -> Array:
        return shape[..., partner, :] * [-1, 1, 1]

    mean = (mean + mirror(mean)) / 2

    moved = np.concatenate(displaced)
    angle = np.concatenate(angles)
    moved -= pose_artefact(moved, angle)
    moved = np.concatenate([moved, mirror(moved)])
    lower = principal(moved, lower_mask, CHANNELS["lower"])
    upper = principal(moved, upper_mask, CHANNELS["upper"])

    first = FaceModel(mean, np.zeros((N_LANDMARKS, 3, 1)), lower, upper, rigid, mesh_triangles())
    n_lower = CHANNELS["lower"]
    for round_index in range(3):
        faces = [*neutral]
        for marks in portraits:
            pose, expression = first.fit(marks)
            moved_by = first.displacement(expression[:n_lower], expression[n_lower:])
            faces.append(close_lips(pose.unproject(marks) - moved_by))
        stack = np.stack(faces)
        stack = np.concatenate([stack, mirror(stack)])
        mean = stack.mean(0)
        identity = principal(stack - mean, np.ones(N_LANDMARKS), N_IDENTITY)
        first = FaceModel(mean, identity, lower, upper, rigid, first.triangles)
        logger.info("identity round %d: %d faces", round_index, len(faces))
    flat = (moved * lower_mask[None, :, None])[:, :N_MESH, :2]
    coefficients = first.expression(moved)
    modelled = first.displacement(coefficients[:, :n_lower], coefficients[:, n_lower:])
    left = flat - (modelled * lower_mask[None, :, None])[:, :N_MESH, :2]
    figures = {
        "speakers": len(by_speaker),
        "frames": len(moved),
        "portraits": len(portraits),
        "lower-face variance explained": 1 - (left**2).sum() / (flat**2).sum(),
        **{f"pivot_{a}": value for a, value in zip("xyz", fit_pivot(origins), strict=True)},
    }
    return first, figures


def normalise_like(shape: Array, reference: Array, rigid: Array) -> Array:
    """Move a shape so that its rigid points lie on those of the reference."""
    return fit_pose(shape, reference, rigid).unproject(shape)


def mirror_index(shape: Array) -> Array:
    """(478,) each point's partner on the other side of a symmetric face (478, 3)."""
    reflected = shape * [-1, 1, 1]
    distance = np.linalg.norm(shape[:, None] - reflected[None], axis=-1)
    return linear_sum_assignment(distance**2)[1]


def pose_artefact(moved: Array, angle: Array) -> Array:
    """The part of displacements (n, 478, 3) that head angles (n, 3) predict linearly.

    It is the tracker's error, not expression: a face doesn't change its shape by turning.
    """
    yaw, pitch = angle[:, 0] / 10, angle[:, 1] / 10
    design = np.stack([yaw, pitch, yaw**2, pitch**2, yaw * pitch], axis=1)
    design -= design.mean(0)
    flat = moved.reshape(len(moved), -1)
    gram = design.T @ design + 0.01 * len(design) * np.eye(design.shape[1])
    return (design @ np.linalg.solve(gram, design.T @ flat)).reshape(moved.shape)


def fit_pivot(origins: list[tuple[Array, Array]]) -> Array:
    """The canonical point about which heads turn: eyes = const - (R p)_xy, least squares in p."""
    gram, right = np.zeros((3, 3)), np.zeros(3)
    for eyes, rotation in origins:
        rows = -(rotation - rotation.mean(0))[:, :2]
        gram += np.einsum("nij,nik->jk", rows, rows)
        right += np.einsum("nij,ni->j", rows, eyes)
    return np.linalg.solve(gram + 1e-3 * np.trace(gram) * np.eye(3), right)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--output", type=Path, default=Path("weights/face_model.safetensors"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model, figures = learn(load_tracks(options.cache), load_portraits(options.cache))
    save_file(
        {
            name: np.ascontiguousarray(value, dtype=np.int32 if name == "triangles" else np.float32)
            for name, value in vars(model).items()
        },
        options.output,
    )
    for name, value in figures.items():
        logger.info("%s: %.4g", name, value)


if __name__ == "__main__":
    main()
