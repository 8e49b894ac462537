"""Recordings: any sound that ffmpeg reads, as 16 kHz mono samples.

Knows files, containers and sampling rates; knows nothing of speech. The caller's file is only ever
read.
"""

from __future__ import annotations

import logging
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talking_face import ffmpeg
from talking_face.errors import AudioTooLong, AudioTooShort, AudioUnreadable
from talking_face.frozen import Frozen, sealed
from talking_face.motion_space import FPS
from talking_face.motion_space import MAX_SECONDS as MAX_SECONDS

SAMPLE_RATE = 16_000  # Hz
MIN_SECONDS = 0.3

_ADVICE = "Use a sound or video file that a media player can play."
_DECODE_LIMIT = MAX_SECONDS + 1  # seconds; decoding stops here, however long the file is
_DECODING = 120.0  # seconds of wall time; 10 minutes of sound decode in a few

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Recording(Frozen):
    """A recording, ready to be heard.

    Attributes:
        waveform: (n,) float32 in [-1, 1], mono, 16 kHz; read-only.
        path: the file that it came from, so that its original sound can go into the clip.
    """

    waveform: np.ndarray
    path: Path | None = None

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.waveform) / SAMPLE_RATE

    @property
    def frames(self) -> int:
        """Video frames that the recording fills, at least 1."""
        return max(1, round(self.duration * FPS))

    @classmethod
    def from_waveform(cls, samples: np.ndarray, rate: int) -> Recording:
        """A recording from samples in memory, such as those of a microphone.

        Args:
            samples: (n,) or (n, channels); floating point in [-1, 1], or integers, which are taken
                as full scale of their type.
            rate: Hz.

        Raises:
            AudioUnreadable: no samples, or not a sound.
            AudioTooShort, AudioTooLong: outside MIN_SECONDS to MAX_SECONDS.
        """
        samples = np.asarray(samples)
        if rate <= 0 or samples.ndim not in (1, 2) or samples.dtype.kind not in "iuf":
            raise AudioUnreadable(
                f"Samples of shape {samples.shape} and type {samples.dtype} at {rate} Hz are not a "
                "sound. Give (n,) or (n, channels) numbers and a rate above 0."
            )
        _check_duration(len(samples) / rate, "The recording")
        waveform = _full_scale(samples)
        if waveform.ndim == 2:
            waveform = waveform.mean(axis=1)
        if rate != SAMPLE_RATE:
            import librosa

            waveform = librosa.resample(waveform, orig_sr=rate, target_sr=SAMPLE_RATE)
        return cls(_tidy(waveform))


def load_audio(path: str | Path) -> Recording:
    """Decode the first sound track of a file of any container that ffmpeg reads.

    Sound that starts later than the picture of a video is preceded by silence, so that the samples
    keep the time of the file.

    Args:
        path: a sound or video file.

    Raises:
        AudioUnreadable: no such file, not a sound, damaged, or a video without sound.
        AudioTooShort, AudioTooLong: outside MIN_SECONDS to MAX_SECONDS.
        FfmpegMissing: no ffmpeg to decode it.
    """
    path = Path(path)
    if not path.is_file():
        raise AudioUnreadable(f"There is no file {path}. Check the path of the recording.")
    waveform = np.frombuffer(_decode(path), dtype="<f4")
    _check_duration(len(waveform) / SAMPLE_RATE, path.name)
    return Recording(_tidy(waveform), path)


def _decode(path: Path) -> bytes:
    """Little-endian float32 samples, mono, 16 kHz, of at most _DECODE_LIMIT seconds."""
    command = [*ffmpeg.command(), *ffmpeg.source(path)]
    command += ["-map", "0:a:0", "-af", "aresample=async=1:first_pts=0"]
    command += ["-t", str(_DECODE_LIMIT), "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "f32le", "-"]
    with ffmpeg.started(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with process.within(_DECODING):
            samples = process.stdout.read()
        ended = process.end()
    if "matches no streams" in ended.said:
        raise AudioUnreadable(f"{path.name} has no sound. Use a recording with a sound track.")
    if ended.failed:
        raise AudioUnreadable(
            f"{path.name} can't be read as a sound: {ended.cause('it is damaged')}. {_ADVICE}"
        )
    return samples


def _check_duration(seconds: float, name: str) -> None:
    if seconds == 0:
        raise AudioUnreadable(f"{name} holds no samples. Use a recording with sound in it.")
    if seconds < MIN_SECONDS:
        raise AudioTooShort(
            f"{name} lasts {seconds:.2f} s. Use a recording of at least {MIN_SECONDS:g} s."
        )
    if seconds > MAX_SECONDS:
        raise AudioTooLong(
            f"{name} lasts more than {MAX_SECONDS / 60:g} minutes. Cut it into shorter recordings."
        )


def _full_scale(samples: np.ndarray) -> np.ndarray:
    """Samples of any number type as float32, integers scaled to [-1, 1)."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    limits = np.iinfo(samples.dtype)
    middle = 0 if limits.min < 0 else (limits.max + 1) // 2
    return (samples.astype(np.float64) - middle).astype(np.float32) / (limits.max + 1 - middle)


def _tidy(waveform: np.ndarray) -> np.ndarray:
    """Finite samples within [-1, 1], float32, contiguous and owned by the recording."""
    return sealed(np.clip(np.nan_to_num(waveform, copy=True), -1.0, 1.0).astype(np.float32))
