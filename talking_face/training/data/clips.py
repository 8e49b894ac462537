"""The clips to learn from: a folder of talking videos, with or without a `manifest.csv`."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
ONE_IN = 10  # speakers of a folder without a manifest: validation


@dataclass(frozen=True)
class ClipFile:
    """One video to learn from.

    Attributes:
        path: the video.
        source: the corpus that it comes from.
        speaker: who is seen, unique within the source.
        split: "train" or "val"; no speaker is in both.
        has_audio: whether it may have a sound track.
        key: a name for the clip's files, unique among the clips read together.
    """

    path: Path
    source: str
    speaker: str
    split: str
    has_audio: bool
    key: str


def read_clips(place: str | Path) -> list[ClipFile]:
    """Every clip of a manifest, of a folder with a `manifest.csv`, or of a folder without one."""
    place = Path(place)
    if place.is_file():
        return read_manifest(place)
    if (place / "manifest.csv").is_file():
        return read_manifest(place / "manifest.csv")
    return read_folder(place)


def read_manifest(place: str | Path) -> list[ClipFile]:
    """Every clip of a manifest, in its order.

    The table has at least the columns path (relative to its own folder), source, speaker and split;
    has_audio, where there is such a column, is 0 for clips that are known to be silent.

    Args:
        place: the table, or the folder in which it is called `manifest.csv`.

    Raises:
        ValueError: a column is missing, or two clips would have the same key.
    """
    place = Path(place)
    if place.is_dir():
        place = place / "manifest.csv"
    with place.open(newline="") as file:
        rows = list(csv.DictReader(file))
    missing = {"path", "source", "speaker", "split"} - set(rows[0] if rows else ())
    if missing:
        raise ValueError(f"{place} has no column {', '.join(sorted(missing))}.")
    clips = [
        ClipFile(
            path=place.parent / row["path"],
            source=row["source"],
            speaker=row["speaker"],
            split=row["split"],
            has_audio=row.get("has_audio", "1") != "0",
            key=f"{Path(row['path']).stem}__{row['source']}_{row['speaker']}",
        )
        for row in rows
    ]
    key, times = Counter(clip.key for clip in clips).most_common(1)[0]
    if times > 1:
        raise ValueError(
            f"{place} lists {times} clips of one speaker with the file name {key.split('__')[0]}; "
            "give them different names."
        )
    return clips


def read_folder(folder: str | Path) -> list[ClipFile]:
    """Every video below a folder, by path.

    The first folder below names the speaker, as in VoxCeleb2; a video that lies in the folder
    itself has a speaker of its own. The source is the folder's name. One speaker in ten, chosen by
    the checksum of the name, is for validation.
    """
    folder = Path(folder)
    videos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    clips = []
    for path in videos:
        inside = path.relative_to(folder)
        speaker = inside.parts[0] if len(inside.parts) > 1 else inside.stem
        draw = int(hashlib.sha256(speaker.encode()).hexdigest(), 16)
        source = folder.resolve().name
        clips.append(
            ClipFile(
                path=path,
                source=source,
                speaker=speaker,
                split="val" if draw % ONE_IN == 0 else "train",
                has_audio=True,
                key=f"{'-'.join(inside.with_suffix('').parts)}{inside.suffix[1:]}__{source}",
            )
        )
    return clips
