"""What is heard in a recording, frame by frame of the video that it will drive.

Knows the timing: spectrogram at 100 Hz, encoder at 50 Hz, video at 25 fps, overlapping
windows of 10 s.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from talking_face.arrays import Array, Float32
from talking_face.frozen import Frozen, sealed
from talking_face.interruption import heed
from talking_face.motion import FPS
from talking_face.sound import prosody
from talking_face.sound.audio import SAMPLE_RATE, Recording
from talking_face.sound.encoder import (
    BLOCKS,
    ENCODER_RATE,
    MEL_RATE,
    WIDTH,
    WINDOW_SECONDS,
    SpeechEncoder,
    log_mel,
)

_TAIL_SECONDS = 1  # silence after the end, so that the last phones are heard as the others are
_OVERLAP_SECONDS = 3  # of neighbouring windows of a long recording
_EDGE_SECONDS = 1  # at an inner end of a window, where context is missing, its answer is not used
_PER_FRAME = ENCODER_RATE // FPS


@dataclass(frozen=True, eq=False)
class Speech(Frozen):
    """A recording and everything that the mapping network may know of it; arrays are read-only.

    Attributes:
        recording: the sound itself.
        log_mel: (80, m) float32, the encoder's spectrogram at 100 Hz.
        features: (frames, 6, 512) float32, outputs of the encoder's six blocks at 25 fps; frame i
            is the mean over the seconds [i / 25, (i + 1) / 25).
        energy: (frames,) float32, dB relative to full scale, at least -100.
        activity: (frames,) float32, 0 where nobody speaks, 1 where somebody surely does.
        pitch: (frames,) float32, Hz; a guess where voicing is low.
        voicing: (frames,) float32, 0 for noise and silence, 1 for a periodic sound.
    """

    recording: Recording
    log_mel: Float32
    features: Float32
    energy: Float32
    activity: Float32
    pitch: Float32
    voicing: Float32

    def __len__(self) -> int:
        """Video frames."""
        return len(self.features)

    @cached_property
    def digest(self) -> str:
        """sha256 of the waveform: the same sound has the same digest."""
        return hashlib.sha256(self.recording.waveform.tobytes()).hexdigest()


def listen(recording: Recording, encoder: SpeechEncoder) -> Speech:
    """Hear a recording.

    Args:
        recording: 0.3 s to 10 minutes; beyond 9 s the encoder hears overlapping windows, whose
            answers are blended.
        encoder: of `load_encoder`, on any device.

    Returns:
        A Speech of recording.frames frames, on the CPU.
    """
    waveform, frames = recording.waveform, recording.frames
    mel = log_mel(np.pad(waveform, (0, _TAIL_SECONDS * SAMPLE_RATE)))
    pitch, voicing = prosody.pitch(waveform, frames)
    return Speech(
        recording=recording,
        log_mel=mel[:, : -_TAIL_SECONDS * MEL_RATE],
        features=_encode(mel, encoder)[:frames],
        energy=prosody.energy(waveform, frames),
        activity=prosody.activity(waveform, frames),
        pitch=pitch,
        voicing=voicing,
    )


@torch.inference_mode()
def _encode(mel: Array, encoder: SpeechEncoder) -> Float32:
    """(80, m) spectrogram -> (m // 4, 6, 512) float32 at 25 fps."""
    device = encoder.positions.device
    columns = MEL_RATE // FPS  # of the spectrogram, in a video frame
    total = mel.shape[1] // columns
    size, overlap, edge = (
        seconds * FPS for seconds in (WINDOW_SECONDS, _OVERLAP_SECONDS, _EDGE_SECONDS)
    )
    if total <= size:
        overlap = 0
    heard = np.zeros((total, BLOCKS, WIDTH), dtype=np.float32)
    for start in range(0, total - overlap, size - overlap):
        heed()
        stop = min(start + size, total)
        window = torch.from_numpy(mel[:, start * columns : stop * columns]).to(device)
        output = encoder.hear(window[None])[0]  # (6, T at 50 Hz, 512)
        output = output.unflatten(1, (-1, _PER_FRAME)).mean(dim=2).transpose(0, 1)
        weight = np.ones(stop - start, dtype=np.float32)
        ramp = np.clip((np.arange(overlap) - edge + 0.5) / (overlap - 2 * edge), 0.0, 1.0)
        if start > 0:
            weight[:overlap] = ramp
        if stop < total:
            weight[-overlap:] = ramp[::-1]
        heard[start:stop] += weight[:, None, None] * output.cpu().numpy()
    return sealed(heard)
