"""Sound in pieces: whatever a microphone, a file or a voice gives, at the rates that are needed.

Knows types, channels and rates of samples; nothing of clocks and faces. Every piece is answered at
once: other rates are late by what their filter looks ahead, less than two milliseconds from 8 kHz.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import gcd
from typing import Any

import numpy as np

from talking_face.arrays import Array, Float32
from talking_face.errors import AudioUnreadable, OptionInvalid
from talking_face.options import check_range, shown, whole_number

RATES = (4000, 192_000)  # Hz, lowest and highest
MAX_CHANNELS = 8
PIECE = 0.1  # seconds that are taken at once
_ZEROS = 12  # zero crossings of the filter on either side: 0.75 ms at 16 kHz
_PASS = 0.93  # of the band that both rates have is kept


class Resampler:
    """A stream of samples at another rate; a windowed sine in phases, so that any rate will do."""

    def __init__(self, rate: int, wanted: int) -> None:
        common = gcd(rate, wanted)
        self._up, self._down = wanted // common, rate // common
        self._plain = rate == wanted
        band = _PASS * min(1.0, wanted / rate)
        self._reach = int(np.ceil(_ZEROS / band))
        offset = np.arange(1 - self._reach, self._reach + 1)
        place = offset - np.arange(self._up)[:, None] / self._up  # (phases, taps)
        taps = np.sinc(band * place) * np.cos(np.pi * place / (2 * self._reach + 2)) ** 2
        self._taps = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
        self._offset = offset
        # Silence before the beginning; it delays the stream by what the filter looks ahead.
        self._held = np.zeros(2 * self._reach, dtype=np.float32)
        self._start = -self._reach  # where it lies in the stream
        self._made = 0

    def resample(self, samples: Float32) -> Float32:
        """(n,) float32 -> as much at the wanted rate, (m,) float32."""
        if self._plain:
            return samples
        self._held = np.concatenate([self._held, samples])
        known = self._start + len(self._held) - self._reach  # places before it have all taps
        stop = max(self._made, -(-known * self._up // self._down))
        steps = np.arange(self._made, stop) * self._down
        self._made = stop
        at = (steps // self._up - self._start)[:, None] + self._offset
        answer = np.einsum("nt,nt->n", self._held[at], self._taps[steps % self._up])
        passed = stop * self._down // self._up - self._reach - self._start
        self._held, self._start = self._held[passed:], self._start + passed
        return answer.astype(np.float32)


class Chunks:
    """The chunks of one stream, as mono samples of its own rate.

    Args:
        sound: an iterable of chunks; it may wait for the next one as long as it likes.
        rate: Hz, 4,000 to 192,000.
        channels: how many are interleaved in chunks of bytes, at most 8.

    Raises:
        OptionInvalid.
    """

    def __init__(self, sound: Any, rate: int, channels: int = 1) -> None:
        self.rate = int(check_range("The rate", whole_number("The rate", rate), *RATES))
        count = whole_number("The number of channels", channels)
        self.channels = int(check_range("The number of channels", count, 1, MAX_CHANNELS))
        if isinstance(sound, str | bytes | np.ndarray) or not isinstance(sound, Iterable):
            raise OptionInvalid(
                f"The sound must be an iterable of chunks of samples, not {shown(sound)}. Put a "
                "single chunk into a list."
            )
        self._sound = sound
        self._odd = b""
        self.drops = 0  # how often the rest of a chunk was dropped

    def __iter__(self) -> Iterator[Float32]:
        """Pieces of at most 0.1 s, (n,) float32 in [-1, 1]; raises as `mono`."""
        size = max(1, round(PIECE * self.rate))
        for chunk in self._sound:
            drops, samples = self.drops, self.mono(chunk)
            for start in range(0, len(samples), size):
                if drops != self.drops:
                    break
                yield samples[start : start + size]

    def drop(self) -> None:
        """Leave out the rest of the chunk that is being handed out."""
        self.drops += 1

    def mono(self, chunk: Any) -> Float32:
        """(n,) float32 in [-1, 1].

        Args:
            chunk: int16 or floating point, (n,) or (n, channels); or bytes, 16 bits, little-endian,
                interleaved. Bytes that are half a sample wait for their other half.

        Raises:
            AudioUnreadable: something else.
        """
        if isinstance(chunk, bytes | bytearray | memoryview):
            data = self._odd + bytes(chunk)
            whole = len(data) - len(data) % (2 * self.channels)
            self._odd = data[whole:]
            chunk = np.frombuffer(data[:whole], "<i2").reshape(-1, self.channels)
        try:
            samples: Array = np.asarray(chunk)
        except ValueError:
            samples = np.empty((0, 0, 0))
        fits = samples.ndim == 1 or (samples.ndim == 2 and 0 < samples.shape[1] <= MAX_CHANNELS)
        if not fits or not (samples.dtype == np.int16 or samples.dtype.kind == "f"):
            raise AudioUnreadable(
                f"A chunk of shape {samples.shape} and type {samples.dtype} is not a sound. Give "
                "(n,) or (n, channels) samples, int16 or floating point in [-1, 1], or bytes."
            )
        scale = 32768.0 if samples.dtype == np.int16 else 1.0
        spread = samples[:, None] if samples.ndim == 1 else samples
        mixed = spread.astype(np.float32).mean(axis=1) / scale
        return np.clip(np.nan_to_num(mixed), -1.0, 1.0).astype(np.float32)
