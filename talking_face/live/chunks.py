"""Sound in pieces: whatever a microphone, a file or a voice gives, at the rates that are needed.

Knows types, channels and rates of samples; nothing of clocks and faces. Every piece is answered at
once: other rates are late by what their filter looks ahead, less than two milliseconds from 8 kHz.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from talking_face.arrays import Array, Float32
from talking_face.errors import AudioUnreadable, OptionInvalid
from talking_face.options import check_range, shown, whole_number

RATES = (4000, 192_000)  # Hz, lowest and highest
MAX_CHANNELS = 8
PIECE = 0.1  # seconds that are taken at once
_BLOCK = 0.02  # seconds of which the mean is looked at together: a period of the mains' hum
_LOOKED = 50  # blocks whose median tells the offset
_SURE = 5  # blocks, of which fewer tell nothing
_OFFSET = 0.03  # of the standard deviation; of what voices and rooms have, half of that
_NO_OFFSET = 2.0**-17  # of full scale: less than 16 bits tell
_NEARER = 0.25  # part of the way to the offset that is gone in each block
_LOUDEST = 4.0  # of full scale: sound cards in floating point may go beyond it, but not so far,
_MOST_LOUD = 0.5  # of a chunk's samples: spikes are cut off, another scale is refused
_ZEROS = 12  # zero crossings of the filter on either side: 0.75 ms at 16 kHz
_PASS = 0.93  # of the band that both rates have is kept


class Resampler:
    """A stream of samples at another rate; a windowed sine in phases, so that any rate will do."""

    def __init__(self, rate: int, wanted: int) -> None:
        common = math.gcd(rate, wanted)
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


class Centring:
    """Takes the offset of a bad sound card away, where there is a clear one: as
    `talking_face.sound.audio` does with a recording, but of the last second, and without a jump.

    What it does depends on the samples alone, however they are cut.

    Args:
        rate: Hz.
    """

    def __init__(self, rate: int) -> None:
        self._size = round(_BLOCK * rate)
        self._ramp = np.arange(self._size, dtype=np.float32) / self._size
        self._block: list[Float32] = []  # what of the block that has begun is there
        self._count = 0  # samples of it
        self._means: deque[float] = deque(maxlen=_LOOKED)  # of the last blocks
        self._powers: deque[float] = deque(maxlen=_LOOKED)
        self._taken = self._wanted = 0.0  # when it began, and when it ends

    def centred(self, samples: Float32) -> Float32:
        """(n,) float32 -> the same without the offset."""
        answer, start = samples.copy(), 0
        while start < len(samples):
            part = samples[start : start + self._size - self._count]
            stop = start + len(part)
            if self._taken or self._wanted:
                ramp = self._ramp[self._count : self._count + len(part)]
                answer[start:stop] -= self._taken + (self._wanted - self._taken) * ramp
            self._block.append(part)
            self._count += len(part)
            if self._count == self._size:
                self._look(np.concatenate(self._block))
            start = stop
        return np.clip(answer, -1.0, 1.0, out=answer)

    def _look(self, block: Float32) -> None:
        self._block, self._count, self._taken = [], 0, self._wanted
        self._means.append(float(block.mean()))
        self._powers.append(float(block @ block) / self._size)
        offset = sorted(self._means)[len(self._means) // 2]
        mean, power = sum(self._means) / len(self._means), sum(self._powers) / len(self._powers)
        clear = abs(offset) > _OFFSET * math.sqrt(max(0.0, power - mean * mean))
        goal = offset if clear and len(self._means) >= _SURE else 0.0
        self._wanted += _NEARER * (goal - self._wanted)
        if abs(self._wanted) < _NO_OFFSET and not goal:
            self._wanted = 0.0


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
        """Pieces of at most 0.1 s, (n,) float32 in [-1, 1], without offset; raises as `mono`."""
        size = max(1, round(PIECE * self.rate))
        centring = Centring(self.rate)
        for chunk in self._sound:
            drops, samples = self.drops, self.mono(chunk)
            for start in range(0, len(samples), size):
                if drops != self.drops:
                    break
                yield centring.centred(samples[start : start + size])

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
        whole = samples.dtype.newbyteorder("=") == np.int16
        if not fits or not (whole or samples.dtype.kind == "f"):
            raise AudioUnreadable(
                f"A chunk of shape {samples.shape} and type {samples.dtype} is not a sound. Give "
                "(n,) or (n, channels) samples, int16 or floating point in [-1, 1], or bytes."
            )
        if not whole and np.count_nonzero(np.abs(samples) > _LOUDEST) > _MOST_LOUD * samples.size:
            raise AudioUnreadable(
                "A chunk's samples lie far outside of [-1, 1]. Divide them by their full scale, "
                "32768 for 16 bits, or give them as int16."
            )
        scale = 32768.0 if whole else 1.0
        spread = samples[:, None] if samples.ndim == 1 else samples
        mixed = spread.astype(np.float32).mean(axis=1) / scale
        return np.clip(np.nan_to_num(mixed), -1.0, 1.0).astype(np.float32)
