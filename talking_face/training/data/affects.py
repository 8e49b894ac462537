"""Valence and arousal of the voices of a cache, for the decoder to learn from.

    python -m talking_face.training.data.affects --cache CACHE

hears the emotion in every clip of the cache that `talking_face.training.data.prepare` wrote, with
the shipped network. `CACHE/affect.npz` then holds an array (n, 3) for each clip, named by its key:
seconds, valence, arousal, both within ±1. Without it the decoder learns that nothing is known.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from talking_face.arrays import Array
from talking_face.face.model import load_face_model
from talking_face.motion import FPS
from talking_face.sound.emotion import EmotionNetwork, hear_emotion, load_emotion
from talking_face.training.data.augment import SPEEDS
from talking_face.training.data.examples import SOURCES, Example, load_examples

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


def affect_curve(example: Example, network: EmotionNetwork) -> Array:
    """Seconds, valence and arousal of a clip's voice, (n, 3) float32."""
    emotion = hear_emotion(example.speech, network)
    return np.column_stack([emotion.seconds, emotion.valence, emotion.arousal])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    options = parser.parse_args()
    network = load_emotion()
    examples = load_examples(options.cache, load_face_model(), None, SOURCES)
    curves = {e.key: affect_curve(e, network) for e in tqdm(examples, desc="affect")}
    np.savez_compressed(options.cache / AFFECT, **curves)


if __name__ == "__main__":
    main()
