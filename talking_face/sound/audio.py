"""Recordings: any sound, as 16 kHz mono samples for the networks and at 48 kHz for the clip.

Both are made of the same samples, so that lips and sound can't part. Knows rates and types of
samples; `decode.py` gets them out of files. The caller's file is only ever read.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from talking_face.arrays import Array, Float32, Int16
from talking_face.errors import AudioTooLong, AudioTooShort, AudioUnreadable, OptionInvalid
from talking_face.files import (
    in_memory,
    is_address,
    is_file,
    is_folder,
    is_pipe,
    read_all,
    read_pipe,
)
from talking_face.frozen import Frozen, sealed
from talking_face.interruption import heed
from talking_face.motion_space import FPS
from talking_face.motion_space import MAX_SECONDS as MAX_SECONDS
from talking_face.options import check_range, rounded_down, shown, whole_number
from talking_face.sound import channels
from talking_face.sound.decode import MAX_CHANNELS, decode
from talking_face.sound.rates import SAMPLE_RATE as SAMPLE_RATE
from talking_face.sound.rates import SOUND_RATE

MIN_SECONDS = 0.3
MAX_RATE = 768_000  # Hz
_PADDING = 0.1  # seconds, that coders add to a recording at most
_RINGING = SAMPLE_RATE // 100  # samples
_OFFSET = 0.03  # of the standard deviation; what voices and rooms have is half of that
BEYOND = 0.01  # share of samples that may be clipped, or no numbers

AudioSource = str | Path | bytes | bytearray | memoryview | IO[bytes]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Recording(Frozen):
    """A recording, ready to be heard.

    Attributes:
        waveform: (n,) float32 in [-1, 1], mono, 16 kHz: what the networks hear; read-only.
        sound: (m, 1 or 2) int16, 48 kHz, of the same length: what the clip sounds like; None where
            that is the waveform; read-only.
        notes: sentences for people about what was chosen or repaired.
    """

    waveform: Float32
    sound: Int16 | None = None
    notes: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.waveform) / SAMPLE_RATE

    @property
    def frames(self) -> int:
        """Video frames that the recording fills, at least 1."""
        return max(1, round(self.duration * FPS))

    @classmethod
    def from_waveform(cls, samples: Array, rate: int) -> Recording:
        """A recording from samples in memory, such as those of a microphone.

        Args:
            samples: (n,), (n, channels) or (channels, n); floating point in [-1, 1], or integers of
                up to 32 bits, which are taken as full scale of their type.
            rate: Hz.

        Raises:
            AudioUnreadable: no samples, or not a sound.
            AudioTooShort, AudioTooLong: outside MIN_SECONDS to MAX_SECONDS.
        """
        try:
            samples = np.asarray(samples)
        except ValueError as error:  # lists of unequal length
            raise AudioUnreadable(
                "Lists of different lengths are not a sound. Give as many samples of each channel."
            ) from error
        except (TypeError, RuntimeError) as error:  # tensors on a GPU, or with gradients
            raise AudioUnreadable(
                f"Samples can't be read out of {shown(samples)}. Give them as an array of numpy."
            ) from error
        sized = samples.ndim in (1, 2) and samples.size > 0
        if not sized or samples.dtype.kind not in "iuf":
            raise AudioUnreadable(
                f"Samples of shape {samples.shape} and type {samples.dtype} are not a sound. Give "
                "the rate and (n,) or (n, channels) numbers, in this order."
            )
        if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
            samples = samples.T  # no recording has more channels than moments
        if samples.ndim == 2 and samples.shape[1] > MAX_CHANNELS:
            raise AudioUnreadable(
                f"Samples of {samples.shape[1]} channels are not a sound. Give {MAX_CHANNELS} "
                "channels at most."
            )
        rate = _checked_rate(rate)
        _check_duration(len(samples) / rate, "The recording")
        _check_scale(samples)
        return _heard(_tidy(_full_scale(samples.reshape(len(samples), -1))), rate)


def recording_of(audio: AudioSource | tuple[int, Array] | Recording) -> Recording:
    """A recording of whatever holds one: a file, (sample rate in Hz, samples), or itself.

    Raises:
        As `load_audio` and `Recording.from_waveform`.
    """
    if isinstance(audio, Recording):
        return audio
    if not isinstance(audio, tuple):
        return load_audio(audio)
    if len(audio) != 2:
        raise AudioUnreadable(
            f"A recording can't be made of {len(audio)} things. Give the sample rate in Hz and the "
            "samples, in this order."
        )
    return Recording.from_waveform(audio[1], audio[0])


def load_audio(source: AudioSource) -> Recording:
    """Decode the sound of a file of any container that ffmpeg reads.

    Of several tracks the one is taken on which somebody speaks, or those that take turns;
    recordings that were joined are heard one after another. Sound that starts later than the
    picture of a video is preceded by silence, so that the samples keep the time of the file.

    Args:
        source: a sound or video file: its path, also of a pipe; its bytes; or itself, open.

    Raises:
        AudioUnreadable: no such file, not a sound, damaged, or a video without sound.
        AudioTooShort, AudioTooLong: outside MIN_SECONDS to MAX_SECONDS.
        FfmpegMissing: no ffmpeg to decode it.
    """
    if in_memory(source):
        try:
            return _load_bytes(read_all(source))
        except (OSError, ValueError) as error:
            raise AudioUnreadable(
                f"The open file of the recording can't be read ({error}). Open it as a file of "
                "bytes."
            ) from error
    if not isinstance(source, str | Path):
        raise AudioUnreadable(
            f"A recording can't be made of {shown(source)}. Give a path, the bytes of a sound "
            "file, or (sample rate in Hz, samples)."
        )
    if source == "":
        raise AudioUnreadable("No recording was given. Give the path of one.")
    path = Path(source)
    if is_pipe(path):
        try:
            return _load_bytes(read_pipe(path))
        except OSError as error:
            raise AudioUnreadable(
                f"The recording can't be read from {path} ({error.strerror}). Write it to a file."
            ) from error
    if is_folder(path):
        raise AudioUnreadable(f"{path!s:.200} is a folder. Give the path of one recording.")
    if is_address(path) and not is_file(path):
        raise AudioUnreadable(
            "A recording isn't fetched from an address. Save it, and give the path of the file."
        )
    if not is_file(path):
        raise AudioUnreadable(f"There is no file {path!s:.200}. Check the path of the recording.")
    sound, notes = decode(path, MAX_SECONDS + 1)
    if len(sound) <= (MAX_SECONDS + _PADDING) * SOUND_RATE:
        sound = sound[: round(MAX_SECONDS * SOUND_RATE)]
    _check_duration(len(sound) / SOUND_RATE, path.name)
    recording = _heard(sound, SOUND_RATE, notes)
    for note in recording.notes:
        logger.info("%s: %s", path.name, note)
    return recording


def _load_bytes(data: bytes) -> Recording:
    """A sound file in memory; ffmpeg looks at more than one place of it, so it becomes a file."""
    if not data:
        raise AudioUnreadable("The recording is empty. Use another copy of it.")
    with tempfile.TemporaryDirectory(prefix="talking_face_") as folder:
        path = Path(folder) / "The recording"  # as messages call it
        path.write_bytes(data)
        return load_audio(path)


def _checked_rate(rate: Any) -> int:
    try:
        return int(check_range("The rate", whole_number("The rate", rate), 1, MAX_RATE))
    except OptionInvalid as error:
        raise AudioUnreadable(
            f"A sound can't have the rate {shown(rate)}. Give (sample rate in Hz, samples), in "
            f"this order, and a whole rate of 1 to {MAX_RATE}."
        ) from error


def _check_scale(samples: Array) -> None:
    """Refuse what is plainly meant to be of another scale: it would be heard as noise, or not."""
    if samples.dtype.kind in "iu" and samples.dtype.itemsize > 4:
        raise AudioUnreadable(
            f"Samples of the type {samples.dtype} don't say what full scale is. Give them as "
            "int16, or as floating point in [-1, 1]."
        )
    if samples.dtype.kind == "f" and np.mean(~(np.abs(samples) <= 1.0)) > BEYOND:
        raise AudioUnreadable(
            f"More than {BEYOND:.0%} of the samples lie outside of [-1, 1] or are no numbers. "
            "Divide them by their full scale, 32768 for 16 bits, or give them as int16."
        )


def _heard(samples: Array, rate: int, notes: tuple[str, ...] = ()) -> Recording:
    """A recording of (n, channels) float32 or int16, mixed so that the speech is kept."""
    if samples.shape[1] > 1 and (samples == samples[:, :1]).all():
        samples = samples[:, :1]
    heard = np.stack([_resampled(channel, rate, SAMPLE_RATE) for channel in samples.T], axis=1)
    heard = _centred(heard)
    chosen, note = channels.choose(heard)
    if chosen is not None and len(chosen) == 1:
        samples = samples[:, chosen]
    elif chosen is not None:
        samples = channels.mixed(_full_scale(samples), chosen)[:, None]
    if rate != SOUND_RATE or samples.dtype != np.int16:
        sound = [_16_bit(_resampled(channel, rate, SOUND_RATE)) for channel in samples.T]
        samples = np.stack(sound, axis=1)
    notes = notes if note is None else (*notes, note)
    return Recording(_tidy(channels.mixed(heard, chosen)), samples, notes)


def _centred(samples: Array) -> Array:
    """(n, channels) float32 without the offset of a bad sound card, where there is a clear one.

    Nobody hears it, but the networks would take every pause for loud. At its ends, where resampling
    it rings, the sound is faded. A click to one side moves the mean alone, not the median.
    """
    mean, median = samples.mean(axis=0), np.median(samples, axis=0)
    offset = np.where(mean * median > 0, mean, np.float32(0))
    shifted = np.minimum(np.abs(offset), np.abs(median)) > _OFFSET * samples.std(axis=0)
    centred = samples - np.where(shifted, offset, np.float32(0))
    count = min(_RINGING, len(samples) // 2)
    fade = np.where(shifted, np.linspace(0, 1, count, dtype=np.float32)[:, None], np.float32(1))
    centred[:count] *= fade
    centred[len(centred) - count :] *= fade[::-1]
    return centred


def _resampled(samples: Array, rate: int, wanted: int) -> Array:
    """(n,) numbers at one rate as float32 at another; no moment is shifted."""
    heed()
    samples = _full_scale(samples)
    if rate == wanted:
        return samples
    import librosa

    return librosa.resample(samples, orig_sr=rate, target_sr=wanted)


def _16_bit(samples: Array) -> Array:
    return np.round(np.clip(samples, -1.0, 1.0) * np.iinfo(np.int16).max).astype(np.int16)


def _check_duration(seconds: float, name: str) -> None:
    if seconds == 0:
        raise AudioUnreadable(f"{name} holds no samples. Use a recording with sound in it.")
    if seconds < MIN_SECONDS:
        raise AudioTooShort(
            f"{name} lasts {rounded_down(seconds, 2)} s. Use a recording of at least "
            f"{MIN_SECONDS:g} s."
        )
    if seconds > MAX_SECONDS:
        raise AudioTooLong(
            f"{name} lasts more than {MAX_SECONDS / 60:g} minutes. Cut it into shorter recordings."
        )


def _full_scale(samples: Array) -> Array:
    """Samples of any number type as float32, integers scaled to [-1, 1)."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    limits = np.iinfo(samples.dtype)
    middle = 0 if limits.min < 0 else (limits.max + 1) // 2
    exact: Array = samples.astype(np.float32 if samples.dtype.itemsize <= 2 else np.float64)
    return ((exact - middle) / (limits.max + 1 - middle)).astype(np.float32, copy=False)


def _tidy(waveform: Array) -> Array:
    """Finite samples within [-1, 1], float32, contiguous and owned by the recording."""
    return sealed(np.clip(np.nan_to_num(waveform, copy=True), -1.0, 1.0).astype(np.float32))
