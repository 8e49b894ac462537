"""Turn talking videos into the cache that the training commands read.

    python -m talking_face.training.data.prepare --clips CLIPS --output CACHE --portraits PORTRAITS

CLIPS is a folder of videos or a table of them: see `talking_face.training.data.clips`. Each clip
KEY gives `KEY.landmarks.npy`, (frames, 478, 3) float32 pixels at 25 fps with NaN where the face was
lost, and, where it has sound, `KEY.speech.npz`. `index.csv` lists the clips, `rejected.csv` those
that were left out or have no sound, and why. `portraits.npy`, (n, 478, 3), holds the faces of a
folder of photos.

What is there already isn't made again, so the command can be stopped and started at will.
"""

from __future__ import annotations

import argparse
import csv
import logging
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from talking_face.arrays import Array
from talking_face.clips.video import read_frames
from talking_face.errors import TalkingFaceError
from talking_face.face.landmarks import N_LANDMARKS, detect_faces, track_face
from talking_face.face.photo import load_photo
from talking_face.sound.audio import load_audio
from talking_face.sound.encoder import SpeechEncoder, load_encoder
from talking_face.sound.speech import Speech, listen
from talking_face.training.data.clips import ClipFile, read_clips
from talking_face.training.data.tracks import MIN_TRACKED
from talking_face.training.fit import parallel

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """What became of one clip.

    Attributes:
        key: of the clip.
        frames, tracked: length, and in how many of them a face was found.
        problem: why the clip, or its sound, was left out; empty where nothing was.
    """

    key: str
    frames: int
    tracked: int
    problem: str

    @property
    def usable(self) -> bool:
        """Whether the clip belongs into the index."""
        return self.tracked >= MIN_TRACKED


def prepare_clip(clip: ClipFile, output: Path) -> Prepared:
    """Track one clip's face and hear its sound, unless that was done before."""
    marks_path = output / f"{clip.key}.landmarks.npy"
    try:
        if not marks_path.is_file():
            _save_whole(marks_path, track_video(clip.path))
    except TalkingFaceError as error:
        return Prepared(clip.key, 0, 0, str(error))
    found = np.isfinite(np.load(marks_path, mmap_mode="r")[:, 0, 0])
    problem = ""
    if found.sum() < MIN_TRACKED:
        problem = f"A face was found in only {found.sum()} of {len(found)} frames."
    elif not clip.has_audio:
        problem = "It has no sound; only the face is kept."
    else:
        try:
            store_speech(clip.path, output / f"{clip.key}.speech.npz", _encoder())
        except TalkingFaceError as error:
            problem = f"{error} Only the face is kept."
    return Prepared(clip.key, len(found), int(found.sum()), problem)


def track_video(path: Path) -> Array:
    """Landmarks (frames, 478, 3) float32 of a video's face; NaN where it was lost.

    Raises:
        VideoUnreadable, FfmpegMissing.
    """
    marks = list(track_face(read_frames(path)))
    return np.array(marks, dtype=np.float32).reshape(-1, N_LANDMARKS, 3)


def store_speech(video: Path, destination: Path, encoder: SpeechEncoder) -> None:
    """Hear one clip and keep what was heard; does nothing where that was done before.

    Args:
        video: a clip with sound.
        destination: the .npz file to write, with the arrays of `Speech` named features (frames, 6,
            512) float16, energy, activity, pitch and voicing (frames,) float32. The frames of the
            picture may be a few more or fewer.
        encoder: of `load_encoder`.

    Raises:
        AudioUnreadable, AudioTooShort, AudioTooLong, FfmpegMissing.
    """
    if destination.is_file():
        return
    save_speech(destination, listen(load_audio(video), encoder))


def save_speech(destination: Path, speech: Speech) -> None:
    """Write what was heard to the .npz file `destination`, whole or not at all."""
    unfinished = destination.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(
            file,
            features=speech.features.astype(np.float16),
            energy=speech.energy,
            activity=speech.activity,
            pitch=speech.pitch,
            voicing=speech.voicing,
        )
    unfinished.replace(destination)


def prepare_clips(clips: list[ClipFile], output: Path, workers: int) -> list[Prepared]:
    """All clips, by several processes; writes `index.csv` and `rejected.csv`."""
    output.mkdir(parents=True, exist_ok=True)
    results: dict[str, Prepared] = {}
    # Forked processes would share torch's and mediapipe's threads.
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        waiting = [pool.submit(prepare_clip, clip, output) for clip in clips]
        for done in tqdm(as_completed(waiting), total=len(waiting), desc="clips"):
            result = done.result()
            results[result.key] = result
    prepared = [results[clip.key] for clip in clips]
    _write_table(
        output / "index.csv",
        ("key", "path", "source", "speaker", "split", "frames", "tracked"),
        (
            (
                clip.key,
                clip.path.resolve(),
                clip.source,
                clip.speaker,
                clip.split,
                result.frames,
                result.tracked,
            )
            for clip, result in zip(clips, prepared, strict=True)
            if result.usable
        ),
    )
    _write_table(
        output / "rejected.csv",
        ("path", "kept", "reason"),
        (
            (clip.path, "face" if result.usable else "nothing", result.problem)
            for clip, result in zip(clips, prepared, strict=True)
            if result.problem
        ),
    )
    return prepared


def prepare_portraits(folder: Path) -> Array:
    """Landmarks of the largest face in each photo below a folder, (n, 478, 3) float32 pixels."""
    faces = []
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    for photo in tqdm(photos, desc="portraits"):
        try:
            found = detect_faces(load_photo(photo))
        except TalkingFaceError as error:
            logger.warning("left out: %s", error)
            continue
        if found:
            faces.append(found[0])
        else:
            logger.warning("left out: no face was found in %s", photo)
    return np.array(faces, dtype=np.float32).reshape(-1, N_LANDMARKS, 3)


@cache
def _encoder() -> SpeechEncoder:
    return load_encoder(parallel.device())  # once a process


def _save_whole(path: Path, array: Array) -> None:
    """Write an .npy file so that it is never there in part."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.save(file, array)
    unfinished.replace(path)


def _write_table(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clips", type=Path, required=True, help="folder of videos, or a manifest.csv"
    )
    parser.add_argument("--output", type=Path, required=True, help="the cache folder")
    parser.add_argument("--portraits", type=Path, help="folder of photos, for the face model")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    clips = read_clips(options.clips)
    prepared = prepare_clips(clips, options.output, options.workers)
    if options.portraits:
        _save_whole(options.output / "portraits.npy", prepare_portraits(options.portraits))
    kept = sum(result.usable for result in prepared)
    print(f"{kept} of {len(clips)} clips are ready in {options.output}.")
    reasons = Counter("left out" if not r.usable else "silent" for r in prepared if r.problem)
    for what, count in reasons.items():
        print(f"{count} {what}: see {options.output / 'rejected.csv'}")


if __name__ == "__main__":
    main()
