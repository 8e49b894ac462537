"""Expressions of real people: how labelled faces differ from the same people's neutral ones."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talking_face.arrays import Array
from talking_face.face.landmarks import N_MESH
from talking_face.face.model import FaceModel, Pose, fit_pose, rotation_angles
from talking_face.motion import CHANNELS
from talking_face.picture.lids import closing, meeting
from talking_face.training.data.motions import SHUT, gaze_angles, speaker_neutral
from talking_face.training.data.scores import Labelled, load_labelled
from talking_face.training.data.tracks import MIN_TRACKED, Track
from talking_face.training.fit.face_model import close_lips, lid_opening, normalise_like
from talking_face.weights import weights_folder

DAMPING = 0.02  # of `FaceModel.expression`
TURNED = 25.0  # degrees of yaw; a face that is turned further isn't learned from
EYES = ((33, 133), (362, 263))  # their corners, which an expression is taken to leave in place
AROUND_EYE = (0.32, 0.22)  # canonical units, of what moves with the corners in error


@dataclass(frozen=True, eq=False)
class Expressions:
    """Frames of one person's clip, or a person's stills, relative to the neutral face.

    Attributes:
        of: what they are made of.
        frames: (n,) which of its frames these are.
        neutral: (478, 3) the person's neutral shape, lips closed, canonical.
        moved: (n, 478, 3) canonical displacements from it.
        pose: of the n heads.
        motion: (n, 33) as in the motion space, without nuance; translation and rest are zero.
    """

    of: Labelled
    frames: Array
    neutral: Array
    moved: Array
    pose: Pose
    motion: dict[str, Array]

    def left_over(self, model: FaceModel) -> Array:
        """What lower, upper and lids don't explain of the displacements, (n, 478, 3)."""
        closed = np.stack([closing(self.neutral, eye) for eye in (0, 1)])
        known = model.displacement(self.motion["lower"], self.motion["upper"])
        known += np.einsum("fe,end->fnd", meeting(self.motion["lids"]), closed)
        return still_eyes(self.moved - known, model.mean)


def still_eyes(moved: Array, mean: Array) -> Array:
    """Displacements (n, 478, 3) without what moves the corners of an eye with all around it.

    It is the pose's error: eyeballs stay, and would seem to look up or down.
    """
    moved = moved.copy()
    for corners in EYES:
        centre = mean[list(corners), :2].mean(0)
        away = np.linalg.norm((mean[:, :2] - centre) / np.array(AROUND_EYE), axis=1)
        weight = np.exp(-(away**4))
        moved -= weight[None, :, None] * moved[:, list(corners)].mean(1, keepdims=True)
    return moved


def scores_parser(description: str | None) -> argparse.ArgumentParser:
    """A command that learns from what `training.data.scores` wrote, and where it puts weights."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scores", type=Path, required=True, help="what training.data.scores wrote"
    )
    parser.add_argument("--output", type=Path, default=weights_folder())
    return parser


def expressed(
    folder: Path, sources: Collection[str], model: FaceModel, damping: float = DAMPING
) -> list[Expressions]:
    """Expressions of the training faces that `training.data.scores` wrote of these sources."""
    labelled = [faces for faces in load_labelled(folder) if faces.source in sources]
    return express_all([faces for faces in labelled if faces.split == "train"], model, damping)


def express_all(
    labelled: list[Labelled], model: FaceModel, damping: float = DAMPING
) -> list[Expressions]:
    """Expressions of clips and stills; those of one person share a neutral face."""
    by_person: dict[tuple[str, str], list[Labelled]] = defaultdict(list)
    for faces in labelled:
        by_person[faces.source, faces.person].append(faces)
    found = []
    for clips in by_person.values():
        if sum(len(clip.landmarks) for clip in clips) < (1 if clips[0].still else MIN_TRACKED):
            continue
        neutral = person_neutral(clips, model)
        if neutral is not None:
            each = (relative(clip, *neutral, model, damping) for clip in clips)
            found += [expressions for expressions in each if expressions is not None]
    return found


def person_neutral(clips: list[Labelled], model: FaceModel) -> tuple[Array, Array, Array] | None:
    """The neutral shape with lips closed and as measured, (478, 3), and the landmarks used."""
    named = [clip.landmarks[np.array(clip.moods) == "neutral"] for clip in clips]
    marks = np.concatenate(named).astype(np.float64)
    if not clips[0].still:
        named = [clip for clip in clips if "neutral" in clip.moods] or clips
        tracks = [Track("", "", "", "", clip.landmarks) for clip in named]
        closed, still = speaker_neutral(tracks, model)
        return closed, still, np.concatenate([clip.landmarks for clip in named])
    if not len(marks):
        return None
    shape = model.mean
    for _ in range(3):
        canonical = fit_pose(marks, shape, model.rigid).unproject(marks)
        shape = normalise_like(np.median(canonical, axis=0), model.mean, model.rigid)
    return close_lips(shape), shape, marks


def relative(
    clip: Labelled, neutral: Array, still: Array, at_rest: Array, model: FaceModel, damping: float
) -> Expressions | None:
    """One clip's expressions, given the person's neutral face and the landmarks that made it.

    None where the face is always turned away.
    """
    rest = fit_pose(at_rest.astype(np.float64), still, model.rigid)
    usual = np.median(rotation_angles(rest.rotation), axis=0)
    pose = fit_pose(clip.landmarks.astype(np.float64), still, model.rigid)
    angles = rotation_angles(pose.rotation)
    frames = np.flatnonzero(np.abs(angles[:, 0]) < TURNED)
    if not len(frames):
        return None
    pose = Pose(pose.rotation[frames], pose.scale[frames], pose.origin[frames])
    canonical = pose.unproject(clip.landmarks[frames].astype(np.float64))
    calm = rest.unproject(at_rest.astype(np.float64))
    open_eyes = np.percentile(lid_opening(calm), 60, axis=0)
    coefficients = model.expression(canonical - neutral, damping)
    before = np.arange(len(calm) + len(canonical)) < len(calm)
    n_lower = CHANNELS["lower"]
    motion = {
        "lower": coefficients[:, :n_lower],
        "upper": coefficients[:, n_lower:],
        "lids": np.clip((1 - lid_opening(canonical) / open_eyes) / (1 - SHUT), -0.3, 1.0),
        "gaze": gaze_angles(np.concatenate([calm, canonical]), before)[len(calm) :],
        "rotation": angles[frames] - usual,
    }
    return Expressions(clip, frames, neutral, canonical - neutral, pose, motion)


def nuance_of(left: Array, basis: Array, damping: float = DAMPING) -> Array:
    """Coefficients (n, k) of what is left over (n, 478, 3), as `FaceModel.expression` fits them."""
    axis = np.array([1.0, 1.0, 0.1])[None, :, None]
    flat = basis[:N_MESH].reshape(-1, basis.shape[-1]).astype(np.float64)
    weighted = (basis[:N_MESH] * axis).reshape(flat.shape)
    gram = weighted.T @ flat
    ridge = damping * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.linalg.solve(gram + ridge, weighted.T @ left[:, :N_MESH].reshape(len(left), -1).T).T
