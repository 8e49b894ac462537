"""Clips with sound as the mapping networks learn from them: what is heard and what is seen."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from talking_face.arrays import Array
from talking_face.face.model import FaceModel
from talking_face.mapping.listeners import prosody_inputs
from talking_face.motion import CHANNELS, Motion
from talking_face.sound.audio import Recording
from talking_face.sound.encoder import N_MELS
from talking_face.sound.prosody import FRAME
from talking_face.sound.speech import Speech
from talking_face.training.data.motions import TrackedMotion, track_motions
from talking_face.training.data.tracks import Track, load_tracks

SOURCES = (
    "grid", "lrwar", "styletalk", "talkvid", "firstimp", "dolos", "marlin"
)  # whose sound belongs to the face  # fmt: skip
MIN_FRAMES = 12
HEARD = ("features", "energy", "activity", "pitch", "voicing")  # arrays of KEY.speech.npz

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """One clip; sound and picture are cut to the shorter of both.

    Attributes:
        key, source, speaker, split: of the cache's index.
        features: (frames, 6, 512) float16, as in `Speech`.
        energy, activity, pitch, voicing: (frames,) float32, as in `Speech`.
        motion: what the face does, of as many frames; relative to the speaker's neutral face and
            the clip's median pose.
        ok: (frames,) bool, where the face was tracked.
        opening, width: (frames,) float32, of the inner lips and of the mouth, as seen, in
            inter-ocular distances.
    """

    key: str
    source: str
    speaker: str
    split: str
    features: Array
    energy: Array
    activity: Array
    pitch: Array
    voicing: Array
    motion: Motion
    ok: Array
    opening: Array
    width: Array

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def prosody(self) -> Array:
        """(frames, 4) float32, what a listener is told of the voice."""
        return prosody_inputs(self.energy, self.activity, self.voicing)

    @cached_property
    def coefficients(self) -> Array:
        """(frames, 22) float32, lower face then upper face."""
        return np.concatenate([self.motion.lower, self.motion.upper], axis=1)

    @property
    def speech(self) -> Speech:
        """What a mapping network is given.

        The cache keeps no waveform: silence of the right length stands for it, and the spectrogram
        is empty. So the digest tells only the length; don't remember anything by it.
        """
        return Speech(
            recording=Recording(np.zeros(len(self) * FRAME, dtype=np.float32)),
            log_mel=np.zeros((N_MELS, 0), dtype=np.float32),
            features=self.features.astype(np.float32),
            energy=self.energy,
            activity=self.activity,
            pitch=self.pitch,
            voicing=self.voicing,
        )


def load_examples(
    cache: Path, model: FaceModel, split: str | None, sources: Sequence[str]
) -> list[Example]:
    """The clips of a split that have sound and a face, in the order of the index."""
    tracks = load_tracks(cache, split, sources)
    examples = []
    for track, file in zip(tracks, motion_files(cache, tracks, model), strict=True):
        sound = cache / f"{track.key}.speech.npz"
        if not sound.is_file():
            continue
        with np.load(file) as seen, np.load(sound) as heard:
            frames = min(len(seen["ok"]), len(heard["features"]))
            if frames < MIN_FRAMES:
                continue
            examples.append(
                Example(
                    key=track.key,
                    source=track.source,
                    speaker=track.speaker,
                    split=track.split,
                    motion=Motion(**{name: seen[name][:frames] for name in CHANNELS}),
                    **{name: heard[name][:frames] for name in HEARD},
                    **{name: seen[name][:frames] for name in ("ok", "opening", "width")},
                )
            )
    return examples


def motion_files(cache: Path, tracks: Sequence[Track], model: FaceModel) -> list[Path]:
    """KEY.motion.npz of each clip: the arrays of its motion, ok, opening and width.

    They are computed from the landmarks once and kept beside them until the face model changes.
    """
    bases = np.concatenate([model.mean[..., None], model.lower, model.upper], axis=-1)
    digest = hashlib.sha256(np.ascontiguousarray(bases).tobytes()).hexdigest()[:16]
    files = [cache / f"{track.key}.motion.npz" for track in tracks]
    if not all(_is_current(file, digest) for file in files):
        logger.info("computing the motions of %d clips", len(tracks))
        for file, seen in zip(files, track_motions(list(tracks), model), strict=True):
            _store(file, seen, digest)
    return files


def _store(file: Path, seen: TrackedMotion, digest: str) -> None:
    """Write what was seen, so that the file is never there in part."""
    unfinished = file.with_suffix(".part")
    with unfinished.open("wb") as stream:
        np.savez(
            stream,
            model=digest,
            ok=seen.ok,
            opening=seen.opening.astype(np.float32),
            width=seen.width.astype(np.float32),
            **{name: getattr(seen.motion, name) for name in CHANNELS},
        )
    unfinished.replace(file)


def _is_current(file: Path, digest: str) -> bool:
    if not file.is_file():
        return False
    with np.load(file) as stored:
        return str(stored["model"]) == digest and set(CHANNELS) <= set(stored)
