"""Streams of speech for live ears to learn from.

Recordings are strung together with pauses between them, faster and slower, in other rooms, under
noise and at other levels, drawn where the network computes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from talking_face.arrays import Array
from talking_face.mapping.listeners import N_PROSODY, prosody_inputs
from talking_face.sound import prosody
from talking_face.sound.audio import Recording
from talking_face.sound.encoder import HOP, N_FFT, mel_filters
from talking_face.sound.prosody import FRAME
from talking_face.sound.rates import SAMPLE_RATE

SHORTEST = 20  # frames of a lesson
_LEAD = 0.5  # of the streams begin with a pause
_PAUSE = (5, 50)  # frames
_MIDDLE = 0.4  # of the lessons begin anywhere
_SPEEDS = (0.86, 1.16)  # which shift pitch, formants and tempo together
# How much more often the sources are heard that speak as people do.
OFTEN = {"grid": 0.5} | dict.fromkeys(("firstimp", "talkvid", "styletalk", "dolos", "marlin"), 2.0)
_PAUSED = 0.2  # how much a frame without speech counts
_FLOOR = 1e-10  # of the power in a band
_TILT = 8.0  # dB, at most, in each band of the equaliser
_BANDS = (0.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)  # Hz
_GAIN = (-20.0, 6.0)  # dB
_NOISE = (12.0, 60.0)  # dB below the voice
_ROOM = (0.05, 0.3)  # seconds to fall by 60 dB
FULL = 32767.0  # of 16 bits


@dataclass(frozen=True, eq=False)
class Lesson:
    """Somebody's recording.

    Attributes:
        source, speaker: whose.
        wave: (frames, 640) int16, 16 kHz.
        voice: (frames, 4) float32 of `prosody_inputs`.
    """

    source: str
    speaker: str
    wave: Array
    voice: Array

    def __len__(self) -> int:
        """Frames."""
        return len(self.wave)


def lesson(recording: Recording, source: str, speaker: str) -> Lesson:
    """A recording as it is learned from."""
    wave = recording.waveform
    frames = len(wave) // FRAME
    curves = prosody.energy(wave, frames), prosody.activity(wave, frames)
    voice = prosody_inputs(*curves, prosody.pitch(wave, frames)[1])
    whole = np.round(FULL * np.clip(wave[: frames * FRAME], -1.0, 1.0))
    return Lesson(source, speaker, whole.reshape(frames, FRAME).astype(np.int16), voice)


class Streams:
    """Random streams of lessons.

    Args:
        lessons: at least one.
        frames: of a stream.
        device: where they are wanted.
    """

    def __init__(self, lessons: Sequence[Lesson], frames: int, device: torch.device) -> None:
        self._frames, self._device = frames, device
        self._lengths = np.array([len(one) for one in lessons])
        self._starts = 1 + np.cumsum(self._lengths) - self._lengths  # frame 0 is a pause
        often: Counter[str] = Counter()
        for one in lessons:
            often[one.speaker] += len(one)
        # Who has spoken four times as long is heard twice as often.
        chance = np.array(
            [OFTEN.get(one.source, 1.0) * len(one) / often[one.speaker] ** 0.5 for one in lessons]
        )
        self._chance = chance / chance.sum()
        wave = np.concatenate([np.zeros((1, FRAME), np.int16), *(one.wave for one in lessons)])
        voice = np.concatenate([np.zeros((1, N_PROSODY), np.float32), *(o.voice for o in lessons)])
        self._wave, self._voice = (torch.from_numpy(part).to(device) for part in (wave, voice))

    def draw(self, rng: Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Some streams, all at one speed.

        Returns:
            (count, (frames + 1) * 640) float32 sound, of which the first frame is silent;
            (count, frames, 4) float32 prosody, and (count, frames) how much a frame counts.
        """
        speed = rng.uniform(*_SPEEDS)
        length = round(speed * (self._frames + 1)) - 1
        index = torch.from_numpy(np.stack([self._strung(rng, length) for _ in range(count)]))
        index = index.to(self._device)
        wave = self._wave[torch.cat([index.new_zeros(count, 1), index], dim=1)].flatten(1) / FULL
        samples = (self._frames + 1) * FRAME
        wave = torch.fft.irfft(_resized(torch.fft.rfft(wave), samples // 2 + 1), samples)
        wave = wave * (samples / ((length + 1) * FRAME))
        wave[:, :FRAME] = 0.0
        at = (torch.arange(self._frames, device=self._device) * length / self._frames).long()
        index = index[:, at]
        return wave, self._voice[index], torch.where(index > 0, 1.0, _PAUSED)

    def _strung(self, rng: Generator, frames: int) -> Array:
        """Frames of lessons, one after the other, and pauses, (frames,) int64."""
        parts = [self._pause(rng)] if rng.random() < _LEAD else []
        while sum(map(len, parts)) < frames:
            chosen = rng.choice(len(self._lengths), p=self._chance)
            length = self._lengths[chosen]
            begin = 0
            if rng.random() < _MIDDLE and length > SHORTEST:
                begin = int(rng.integers(0, length - SHORTEST))
            first = self._starts[chosen]
            parts += [np.arange(first + begin, first + length), self._pause(rng)]
        return np.concatenate(parts)[:frames]

    def _pause(self, rng: Generator) -> Array:
        return np.zeros(int(rng.integers(*_PAUSE)), dtype=np.int64)


def _resized(spectrum: Tensor, count: int) -> Tensor:
    """With as many frequencies: what is above is left out, or silent."""
    kept = spectrum[:, :count]
    return torch.nn.functional.pad(kept, (0, count - kept.shape[1]))


def disturbed(wave: Tensor, rng: Generator) -> Tensor:
    """The same sound (B, n) in other rooms, through other microphones, under noise."""
    batch, count = wave.shape
    device = wave.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (batch, *shape)).astype(np.float32)).to(
            device
        )

    frequencies = torch.linspace(0, SAMPLE_RATE / 2, count // 2 + 1, device=device)
    bands = torch.tensor(_BANDS, device=device)
    after = torch.bucketize(frequencies, bands).clamp(1, len(_BANDS) - 1)
    part = (frequencies - bands[after - 1]) / (bands[after] - bands[after - 1])
    some = uniform(0.0, 1.0, 1)  # how much of all this
    tilt = some * uniform(-_TILT, _TILT, len(_BANDS))
    response = 10 ** (torch.lerp(tilt[:, after - 1], tilt[:, after], part) / 20)
    seconds = uniform(*_ROOM, 1)
    time = torch.arange(int(_ROOM[1] * SAMPLE_RATE), device=device) / SAMPLE_RATE
    noise = torch.Generator(device).manual_seed(int(rng.integers(2**31)))
    room = torch.randn(batch, len(time), device=device, generator=noise)
    room = room * 10 ** (-3 * time / seconds)
    room = room * some * uniform(0.0, 0.5, 1) / room.norm(dim=1, keepdim=True)
    room[:, 0] = 1.0
    spectrum = torch.fft.rfft(wave) * response * torch.fft.rfft(room, count)
    heard = torch.fft.irfft(spectrum, count)
    level = heard.square().mean(1, keepdim=True).add(1e-9).sqrt()
    hiss = torch.fft.rfft(torch.randn(batch, count, device=device, generator=noise))
    hiss = torch.fft.irfft(hiss / (frequencies + 50.0) ** uniform(0.0, 1.0, 1), count)
    hiss = hiss / hiss.square().mean(1, keepdim=True).sqrt()
    heard = heard + hiss * level * 10 ** (-uniform(*_NOISE, 1) / 20)
    heard = heard * 10 ** (uniform(*_GAIN, 1) / 20)
    heard[:, :FRAME] = 0.0
    return heard.clamp(-1.0, 1.0)


def spectra(wave: Tensor) -> Tensor:
    """`talking_face.sound.encoder.log_power` of (B, n) samples, (B, 80, n // 160)."""
    window = torch.hann_window(N_FFT, device=wave.device)
    spectrum = torch.stft(
        wave, N_FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True
    )
    power = spectrum[..., : wave.shape[1] // HOP].abs().square()
    filters = torch.from_numpy(mel_filters()).to(power)
    return (filters @ power).clamp(min=_FLOOR).log10()
