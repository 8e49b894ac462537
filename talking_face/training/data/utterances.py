"""Hear acted speech, as it is and in other voices and rooms, for the ear of emotions.

    python -m talking_face.training.data.utterances --table emotion.csv --cache CACHE

The table has the columns path (relative to the folder above its own), source, speaker, emotion,
intensity and split, where split is `train` or `val` and no speaker is in both. Each utterance KEY
gives `KEY.plain.npz` with the arrays of `talking_face.training.data.prepare`, and those of training
speakers `KEY.varied.npz`: played at another speed, equalised at random, in a room and under noise.
One in six of these gives `KEY.quiet.npz`, too, turned down by 20 dB. What is there already isn't
made again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from talking_face.arrays import Array, Float32
from talking_face.moods import PLACES
from talking_face.motion import FPS
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.delivery import delivery
from talking_face.sound.emotion import HEARD
from talking_face.sound.encoder import load_encoder
from talking_face.sound.speech import listen
from talking_face.training.data.augment import disturb
from talking_face.training.data.prepare import save_speech
from talking_face.training.fit import parallel

PLAIN, VARIED, QUIET = "plain", "varied", "quiet"
ONE_IN = 6  # training utterances is turned down
TURNED_DOWN = 0.1  # of its amplitude is left
SPEEDS = (0.87, 1.15)
NAMES = {"disgust": "disgusted"}  # of the tables, where they differ from ours
BORED = (-0.65, -0.62)  # valence and arousal, of the same study as those of the moods
MILD = 0.75  # of a mood's place, where a corpus has two intensities and this is the lesser one
CROP_SECONDS = (1.2, 3.0)
CROPS = 2  # passages of an utterance, beside the whole


@dataclass(frozen=True)
class Utterance:
    """One line of acted speech.

    Attributes:
        mood: place in `HEARD`.
        affect: valence and arousal that the mood and its intensity stand for.
    """

    path: Path
    key: str
    source: str
    speaker: str
    mood: int
    affect: tuple[float, float]
    validation: bool


@dataclass(frozen=True, eq=False)
class Passages:
    """Statistics of passages of speech, n of them, side by side.

    Attributes:
        statistics: (n, N_DELIVERY) float16, see `talking_face.sound.delivery`.
        mood: (n,) places in `HEARD`.
        affect: (n, 2) float32, valence and arousal.
        source, speaker: (n,) names; a speaker's begins with the source's.
        validation: (n,) bool.
        whole: (n,) bool, a whole utterance as it was recorded.
    """

    statistics: Array
    mood: Array
    affect: Array
    source: Array
    speaker: Array
    validation: Array
    whole: Array

    def __getitem__(self, rows: Array) -> Passages:
        return Passages(*(part[rows] for part in vars(self).values()))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Statistics of n utterances of the training, each at two loudnesses.

    Attributes:
        plain, quiet: (n, N_DELIVERY) float32, as it was recorded, and turned down.
        speaker: (n,) names, as in `Passages`.
    """

    plain: Float32
    quiet: Float32
    speaker: Array

    def __getitem__(self, rows: Array) -> Pairs:
        return Pairs(self.plain[rows], self.quiet[rows], self.speaker[rows])


@dataclass(frozen=True, eq=False)
class Stored:
    """What was heard in one file of the cache; see `Speech`."""

    features: Array
    energy: Float32
    activity: Float32
    pitch: Float32
    voicing: Float32


def read_utterances(table: Path) -> list[Utterance]:
    """Every row of the table."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    places = PLACES | {"bored": BORED}
    graded = {row["source"] for row in rows if row["intensity"] == "strong"}
    found = []
    for row in rows:
        mood = NAMES.get(row["emotion"], row["emotion"])
        mild = row["source"] in graded and row["intensity"] != "strong"
        valence, arousal = (part * (MILD if mild else 1.0) for part in places[mood])
        found.append(
            Utterance(
                path=table.parent.parent / row["path"],
                key=f"{row['source']}__{Path(row['path']).stem}",
                source=row["source"],
                speaker=f"{row['source']} {row['speaker']}",
                mood=HEARD.index(mood),
                affect=(valence, arousal),
                validation=row["split"] == "val",
            )
        )
    return found


def hear(utterances: Sequence[Utterance], cache: Path) -> None:
    """Store what is missing."""
    cache.mkdir(parents=True, exist_ok=True)
    encoder = load_encoder(parallel.device())
    for utterance in tqdm(utterances, desc="hearing"):
        for version in _versions(utterance):
            file = cache / f"{utterance.key}.{version}.npz"
            if file.is_file():
                continue
            recording = load_audio(utterance.path)
            if version == VARIED:
                generator = _generator(f"{utterance.key} {version}")
                speed = float(np.exp(generator.uniform(*np.log(SPEEDS))))
                other = disturb(recording.waveform, speed, generator)
                recording = Recording.from_waveform(other, SAMPLE_RATE)
            elif version == QUIET:
                recording = Recording(recording.waveform * np.float32(TURNED_DOWN))
            save_speech(file, listen(recording, encoder))


def _versions(utterance: Utterance) -> tuple[str, ...]:
    if utterance.validation:
        return (PLAIN,)
    chosen = _generator(f"{utterance.key} {QUIET}").integers(ONE_IN) == 0
    return (PLAIN, VARIED, QUIET) if chosen else (PLAIN, VARIED)


def load_passages(utterances: Sequence[Utterance], cache: Path) -> Passages:
    """The statistics of all utterances in the cache, whole, and of passages of the training's."""
    parts: list[tuple[Array, Utterance, bool]] = []
    for utterance in tqdm(utterances, desc="passages"):
        for version in (PLAIN, VARIED):
            file = cache / f"{utterance.key}.{version}.npz"
            if not file.is_file():
                continue
            heard = load_heard(file)
            parts.append((delivery(heard, slice(0, None)), utterance, version == PLAIN))
            if not utterance.validation:
                crops = cut(heard, _generator(f"{utterance.key} {version} crops"))
                parts += [(delivery(heard, crop), utterance, False) for crop in crops]
    of = [utterance for _, utterance, _ in parts]
    return Passages(
        statistics=np.stack([part.astype(np.float16) for part, _, _ in parts]),
        mood=np.array([one.mood for one in of]),
        affect=np.array([one.affect for one in of], dtype=np.float32),
        source=np.array([one.source for one in of]),
        speaker=np.array([one.speaker for one in of]),
        validation=np.array([one.validation for one in of]),
        whole=np.array([whole for _, _, whole in parts]),
    )


def load_pairs(utterances: Sequence[Utterance], cache: Path) -> Pairs:
    """The statistics of all whole utterances that the cache has at two loudnesses.

    Raises:
        FileNotFoundError: it has none, as one that was made before has.
    """
    both, speakers = [], []
    for utterance in utterances:
        files = [cache / f"{utterance.key}.{version}.npz" for version in (PLAIN, QUIET)]
        if not utterance.validation and all(file.is_file() for file in files):
            both.append([delivery(load_heard(file), slice(0, None)) for file in files])
            speakers.append(utterance.speaker)
    if not both:
        raise FileNotFoundError(
            f"No utterance in {cache} was turned down. Run training.data.utterances again; "
            "it makes what is missing."
        )
    plain, quiet = np.array(both).transpose(1, 0, 2)
    return Pairs(plain, quiet, np.array(speakers))


def load_heard(file: Path) -> Stored:
    """One file of `prepare` or of this command."""
    with np.load(file) as stored:
        return Stored(*(stored[name] for name in Stored.__dataclass_fields__))


def cut(heard: Stored, generator: np.random.Generator) -> list[slice]:
    """Random passages in which somebody speaks; none of what is too short to be cut."""
    frames, crops = len(heard.features), []
    for _ in range(CROPS):
        length = int(generator.uniform(*CROP_SECONDS) * FPS)
        start = int(generator.integers(max(frames - length, 1)))
        crop = slice(start, start + length)
        if frames > length + 5 and heard.activity[crop].mean() > 0.4:
            crops.append(crop)
    return crops


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(name.encode()).digest()[:8]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, required=True, help="emotion.csv")
    parser.add_argument("--cache", type=Path, required=True, help="the folder to write into")
    options = parser.parse_args()
    torch.set_num_threads(1)
    hear(read_utterances(options.table), options.cache)


if __name__ == "__main__":
    main()
