"""Tracked clips on disk: what `prepare` writes and every training command reads.

A cache folder holds `index.csv` (one row a clip: key, source, speaker, split, frames, tracked) and
for each clip `KEY.landmarks.npy`, (frames, 478, 3) float32 pixels at 25 fps with NaN where the face
was lost, and, where the clip has sound, `KEY.speech.npz` (see
`talking_face.training.data.prepare`).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from talking_face.arrays import Array
from talking_face.face.landmarks import interocular

MIN_TRACKED = 15  # frames; fewer can't tell a neutral face


@dataclass(frozen=True)
class Track:
    """The face of one clip over time."""

    key: str
    source: str
    speaker: str
    split: str
    landmarks: Array  # (frames, 478, 3) float32, pixels, NaN where lost

    @cached_property
    def ok(self) -> Array:
        """(frames,) bool: the face was found and did not jump from its neighbours."""
        found = np.isfinite(self.landmarks[:, 0, 0])
        centre = self.landmarks[:, [33, 263, 1, 152], :2].mean(1)
        size = np.nanmedian(interocular(self.landmarks))
        jump = np.linalg.norm(np.diff(centre, axis=0), axis=-1) > 0.35 * size
        found[1:] &= ~jump
        return found


def load_tracks(
    cache: Path, split: str | None = "train", sources: Sequence[str] | None = None
) -> list[Track]:
    """Tracks of a split (None: all), in the order of the index, without the badly tracked ones."""
    tracks = []
    with (cache / "index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if split not in (None, row["split"]) or (sources and row["source"] not in sources):
                continue
            path = cache / f"{row['key']}.landmarks.npy"
            if int(row["tracked"]) >= MIN_TRACKED and path.is_file():
                marks = np.load(path, mmap_mode="r")  # read from the disk when looked at
                tracks.append(Track(row["key"], row["source"], row["speaker"], row["split"], marks))
    return tracks


def load_portraits(cache: Path) -> Array:
    """Landmarks of the portraits in a cache, (n, 478, 3) float32 pixels; n may be 0."""
    path = cache / "portraits.npy"
    return np.load(path) if path.is_file() else np.zeros((0, 478, 3), dtype=np.float32)
