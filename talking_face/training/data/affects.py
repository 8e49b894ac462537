"""Valence and arousal of the voices of a cache, frame by frame.

`CACHE/affect.npz` holds an array (n, 3) for each clip, named by its key: seconds, valence, arousal,
both within ±1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from talking_face.arrays import Array
from talking_face.motion import FPS
from talking_face.training.data.augment import SPEEDS
from talking_face.training.data.examples import Example

AFFECT = "affect.npz"  # in a cache


def load_affects(cache: Path, examples: Sequence[Example]) -> dict[str, Array]:
    """Affect of each clip, and of its other hearings, of which something is known.

    Returns:
        Key -> (frames, 2) float32, as long as the clip, or as it is at the hearing's speed.
    """
    file = cache / AFFECT
    if not file.is_file():
        return {}
    affects = {}
    with np.load(file) as curves:
        for example in examples:
            if example.key in curves:
                curve = curves[example.key]
                affects[example.key] = at_frames(curve, len(example), 1.0)
                for name, speed in SPEEDS.items():
                    frames = int(len(example) / speed)
                    affects[f"{example.key}~{name}"] = at_frames(curve, frames, speed)
    return affects


def at_frames(curve: Array, frames: int, speed: float) -> Array:
    """(n, 3) of the file -> (frames, 2) float32, at the middle of each frame, played so fast."""
    seconds = speed * (np.arange(frames) + 0.5) / FPS
    values = [np.interp(seconds, curve[:, 0], part) for part in curve[:, 1:].T]
    return np.column_stack(values).astype(np.float32)
