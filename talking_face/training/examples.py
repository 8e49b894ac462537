"""Clips with sound as the mapping networks learn from them: what is heard and what is seen."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talking_face.baseline import prosody_inputs
from talking_face.face_model import FaceModel
from talking_face.landmarks import INNER_LIP_LOWER, INNER_LIP_UPPER, MOUTH_CORNERS
from talking_face.training.motions import track_motions
from talking_face.training.tracks import load_tracks

MIN_FRAMES = 12

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """One clip; sound and picture are cut to the shorter of both.

    Attributes:
        key, source, speaker, split: of the cache's index.
        features: (frames, 4, 384) float16 and
        prosody: (frames, 4) float32, the network's inputs.
        activity: (frames,) float32, where somebody speaks.
        coefficients: (frames, 22) float32, lower face then upper face.
        ok: (frames,) bool, where the face was tracked.
        opening, width: (frames,) float32, of the inner lips and of the mouth, as seen, in
            inter-ocular distances.
    """

    key: str
    source: str
    speaker: str
    split: str
    features: np.ndarray
    prosody: np.ndarray
    activity: np.ndarray
    coefficients: np.ndarray
    ok: np.ndarray
    opening: np.ndarray
    width: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


def load_examples(
    cache: Path, model: FaceModel, split: str | None, sources: Sequence[str]
) -> list[Example]:
    """The clips of a split that have sound and a face, in the order of the index.

    Motions are computed from the landmarks once and kept beside them as KEY.motion.npz, until the
    face model changes.
    """
    tracks = load_tracks(cache, split, sources)
    bases = np.concatenate([model.mean[..., None], model.lower, model.upper], axis=-1)
    digest = hashlib.sha256(np.ascontiguousarray(bases).tobytes()).hexdigest()[:16]
    files = [cache / f"{track.key}.motion.npz" for track in tracks]
    if not all(_is_current(file, digest) for file in files):
        logger.info("computing the motions of %d clips", len(tracks))
        for file, seen in zip(files, track_motions(tracks, model), strict=True):
            motion = seen.motion
            np.savez(
                file,
                model=digest,
                coefficients=np.concatenate([motion.lower, motion.upper], axis=1),
                ok=seen.ok,
                opening=seen.opening.astype(np.float32),
                width=seen.width.astype(np.float32),
            )
    examples = []
    for track, file in zip(tracks, files, strict=True):
        sound = cache / f"{track.key}.speech.npz"
        if not sound.is_file():
            continue
        with np.load(file) as seen, np.load(sound) as heard:
            frames = min(len(seen["ok"]), len(heard["features"]))
            if frames < MIN_FRAMES:
                continue
            prosody = prosody_inputs(heard["energy"], heard["activity"], heard["voicing"])
            examples.append(
                Example(
                    *(track.key, track.source, track.speaker, track.split),
                    features=heard["features"][:frames],
                    prosody=prosody[:frames],
                    activity=heard["activity"][:frames],
                    **{
                        name: seen[name][:frames]
                        for name in ("coefficients", "ok", "opening", "width")
                    },
                )
            )
    return examples


def _is_current(file: Path, digest: str) -> bool:
    if not file.is_file():
        return False
    with np.load(file) as stored:
        return str(stored["model"]) == digest


def mouth_readout(model: FaceModel) -> tuple[np.ndarray, np.ndarray]:
    """Lip opening and mouth width of coefficients, as linear functions of them.

    Returns:
        weights (22, 2) and bias (2,): coefficients @ weights + bias is the vertical gap of the
        three middle inner-lip pairs and the distance of the mouth's corners along x, of the mean
        face. The gap is negative where lips overlap.
    """
    basis = np.concatenate([model.lower, model.upper], axis=-1)
    upper, lower = list(INNER_LIP_UPPER[3:6]), list(INNER_LIP_LOWER[3:6])
    right, left = MOUTH_CORNERS
    weights = np.stack(
        [
            (basis[lower, 1] - basis[upper, 1]).mean(0),
            basis[left, 0] - basis[right, 0],
        ],
        axis=1,
    )
    mean = model.mean
    bias = np.array(
        [(mean[lower, 1] - mean[upper, 1]).mean(), mean[left, 0] - mean[right, 0]],
    )
    return weights.astype(np.float32), bias.astype(np.float32)
