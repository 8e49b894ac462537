"""Hear the training clips in other voices, rooms and tempi, lest the network learn them by heart.

    python -m talking_face.training.data.augment --clips CLIPS --cache CACHE

For each training clip with sound in the cache that `talking_face.training.data.prepare` wrote, two
more hearings are stored, `KEY.slower.npz` and `KEY.faster.npz`: the sound played at another speed
(which shifts pitch, formants and tempo together, as another speaker's would be), equalised at
random, in a room and under noise. The motion is read at the same speed by the training. What is
there already isn't made again.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import librosa
import numpy as np
import torch
from scipy import signal
from tqdm import tqdm

from talking_face.arrays import Array
from talking_face.motion import Motion
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.encoder import SpeechEncoder, load_encoder
from talking_face.sound.speech import listen
from talking_face.training.data.clips import read_clips
from talking_face.training.data.examples import HEARD, SOURCES, Example
from talking_face.training.data.prepare import save_speech
from talking_face.training.fit import parallel

SPEEDS = {"slower": 0.9, "faster": 1.12}
_TILT = 6.0  # dB, at most, in each band
_BANDS = (0.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)  # Hz, of the equaliser
_ECHO = (0.05, 0.3)  # seconds to fall by 60 dB
_NOISE = (15.0, 40.0)  # dB below the voice
_GAIN = (-12.0, 3.0)  # dB

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    key: str
    video: Path
    cache: Path


def disturb(waveform: Array, speed: float, generator: np.random.Generator) -> Array:
    """Another hearing of a recording.

    Args:
        waveform: (n,) float32, 16 kHz.
        speed: 2 plays it in half the time, an octave higher.

    Returns:
        (round(n / speed),) float32 within ±1.
    """
    faster = librosa.resample(waveform, orig_sr=SAMPLE_RATE, target_sr=round(SAMPLE_RATE / speed))
    gains = 10 ** (generator.uniform(-_TILT, _TILT, len(_BANDS)) / 20)
    equaliser = signal.firwin2(255, _BANDS, gains, fs=SAMPLE_RATE)
    seconds = generator.uniform(*_ECHO)
    tail = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    room = generator.standard_normal(len(tail)) * 10 ** (-3 * tail / seconds)
    room *= generator.uniform(0.0, 0.5) / np.sqrt((room**2).sum())
    room[0] = 1.0
    heard = signal.oaconvolve(signal.oaconvolve(faster, equaliser, mode="same"), room)
    heard = heard[: len(faster)]
    level = np.sqrt(np.mean(heard**2) + 1e-12)
    noise = generator.standard_normal(len(heard))
    colour = generator.uniform(0.0, 0.95)
    noise = signal.lfilter([1.0], [1.0, -colour], noise) * np.sqrt(1 - colour**2)
    heard = heard + noise * level * 10 ** (-generator.uniform(*_NOISE) / 20)
    heard *= 10 ** (generator.uniform(*_GAIN) / 20) * np.sqrt(np.mean(faster**2) + 1e-12) / level
    return np.clip(heard, -1.0, 1.0).astype(np.float32)


def hear_again(job: _Job) -> None:
    """Store the missing hearings of one clip."""
    missing = {n: s for n, s in SPEEDS.items() if not (job.cache / f"{job.key}.{n}.npz").is_file()}
    if not missing:
        return
    waveform = load_audio(job.video).waveform
    for name, speed in missing.items():
        seed = hashlib.sha256(f"{job.key} {name}".encode()).digest()[:8]
        generator = np.random.default_rng(int.from_bytes(seed, "little"))
        recording = Recording.from_waveform(disturb(waveform, speed, generator), SAMPLE_RATE)
        save_speech(job.cache / f"{job.key}.{name}.npz", listen(recording, _encoder()))


def other_hearings(cache: Path, examples: Sequence[Example]) -> list[Example]:
    """The same clips as they were heard again, with their motion at that speed.

    Their keys are KEY~slower and KEY~faster; hearings that aren't in the cache are left out.
    """
    others = []
    for example in examples:
        for name, speed in SPEEDS.items():
            file = cache / f"{example.key}.{name}.npz"
            if not file.is_file():
                continue
            with np.load(file) as heard:
                frames = min(int(len(example) / speed), len(heard["features"]))
                sound = {name: heard[name][:frames] for name in HEARD}
            seen = np.column_stack(
                [example.motion.as_array(), example.ok, example.opening, example.width]
            )
            seen = at_speed(seen, speed)[:frames]
            others.append(
                replace(
                    example,
                    key=f"{example.key}~{name}",
                    motion=Motion.from_array(seen[:, :-3]),
                    ok=seen[:, -3] == 1,
                    opening=seen[:, -2],
                    width=seen[:, -1],
                    **sound,
                )
            )
    return others


def at_speed(curves: Array, speed: float) -> Array:
    """Curves (frames, n) played faster: (int(frames / speed), n), linearly interpolated."""
    frames = len(curves)
    at = np.clip((np.arange(int(frames / speed)) + 0.5) * speed - 0.5, 0, frames - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, frames - 1)
    part = (at - low)[:, None]
    return (curves[low] * (1 - part) + curves[high] * part).astype(np.float32)


@cache
def _encoder() -> SpeechEncoder:
    torch.set_num_threads(1)
    return load_encoder(parallel.device())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="as given to `prepare`")
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    jobs = [
        _Job(clip.key, clip.path, options.cache)
        for clip in read_clips(options.clips)
        if clip.split == "train"
        and clip.source in SOURCES
        and (options.cache / f"{clip.key}.speech.npz").is_file()
    ]
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        list(tqdm(pool.map(hear_again, jobs), total=len(jobs), desc="hearing again"))


if __name__ == "__main__":
    main()
