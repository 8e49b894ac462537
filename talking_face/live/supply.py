"""Where a live face's sound comes from, hop by hop: as fast as it is given, or at the clock's pace.

At the clock's pace nobody is waited for: where the sound isn't there in time, there is silence in
front of it. Nothing that waits grows beyond `_MOST` seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Condition, Thread

import numpy as np

from talking_face.arrays import Array, Float32, Int16
from talking_face.live.chunks import Chunks, Resampler
from talking_face.live.phones import HOP
from talking_face.motion import FPS
from talking_face.sound.prosody import FRAME
from talking_face.sound.rates import SAMPLE_RATE, SOUND_RATE

SOUND_FRAME = SOUND_RATE // FPS  # samples that are played in a video frame
_MOST = 1.0  # seconds of sound that may wait
_LATE = 0.03  # seconds after its time before sound counts as missing
_SILENT = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Hop:
    """`HOP` frames of sound.

    Attributes:
        heard: (HOP * FRAME,) float32, 16 kHz.
        played: (HOP * SOUND_FRAME,) int16, 48 kHz.
    """

    heard: Float32
    played: Int16


class Cutter:
    """Cuts a stream of mono samples into hops, at both rates."""

    def __init__(self, rate: int) -> None:
        self._ways = (Resampler(rate, SAMPLE_RATE), Resampler(rate, SOUND_RATE))
        self._sizes = (HOP * FRAME, HOP * SOUND_FRAME)
        self._held = [_SILENT, _SILENT]

    def cut(self, samples: Float32) -> Iterator[Hop]:
        """The hops that are complete with these samples."""
        for i, way in enumerate(self._ways):
            self._held[i] = np.concatenate([self._held[i], way.resample(samples)])
        while all(len(h) >= size for h, size in zip(self._held, self._sizes, strict=True)):
            heard, played = (h[:s] for h, s in zip(self._held, self._sizes, strict=True))
            self._held = [h[s:] for h, s in zip(self._held, self._sizes, strict=True)]
            yield Hop(heard, _16_bit(played))

    @property
    def missing(self) -> float:
        """Seconds of sound until the next hop is complete."""
        lacks = [size - len(h) for h, size in zip(self._held, self._sizes, strict=True)]
        return max(0.0, lacks[0] / SAMPLE_RATE, lacks[1] / SOUND_RATE)


def eager(chunks: Chunks) -> Iterator[Hop]:
    """Hops as fast as the sound is given, and a second of silence at its end."""
    cutter, drops = Cutter(chunks.rate), chunks.drops
    for piece in chunks:
        if drops != chunks.drops:
            cutter, drops = Cutter(chunks.rate), chunks.drops
        yield from cutter.cut(piece)
    yield from cutter.cut(np.zeros(chunks.rate, dtype=np.float32))


class Paced:
    """Hops at the clock's pace, from a sound that another thread asks for.

    Args:
        chunks: of the sound.
        clock: seconds.
    """

    def __init__(self, chunks: Chunks, clock: Callable[[], float] = time.monotonic) -> None:
        self._chunks, self._clock = chunks, clock
        self._waiting: Array = _SILENT
        self._change = Condition()
        self._ended = self._closed = False
        self._error: Exception | None = None
        self._cutter = Cutter(chunks.rate)
        Thread(target=self._read, daemon=True, name="live sound").start()

    def close(self) -> None:
        """Stop reading; a chunk that is waited for is the last that is asked for."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def drop(self) -> None:
        """Forget what is waiting."""
        with self._change:
            self._chunks.drop()
            self._cutter = Cutter(self._chunks.rate)
            self._waiting = _SILENT
            self._change.notify_all()

    def hops(self) -> Iterator[Hop]:
        """The hops, each as soon as it is complete, or when its time is over.

        Raises:
            AudioUnreadable: a chunk is no sound; or whatever the sound itself raised.
        """
        begun, number = self._clock(), 0
        left = 1.0  # seconds of silence after the end
        while left > 0 and not self._closed:
            number += 1
            due = begun + number * HOP / FPS
            self._await(due - HOP / FPS)
            cutter = self._cutter
            need = round(cutter.missing * self._chunks.rate) + 1
            samples = self._take(need, due + _LATE)
            if self._error is not None:
                raise self._error
            if self._ended and not len(samples):
                left -= HOP / FPS
            gap = np.zeros(max(0, need - len(samples)), dtype=np.float32)
            yield from cutter.cut(np.concatenate([gap, samples]))

    def _take(self, need: int, until: float) -> Float32:
        """Up to that many samples; fewer where they don't come in time."""
        with self._change:
            while len(self._waiting) < need and not self._ended and not self._closed:
                left = until - self._clock()
                if left <= 0 or not self._change.wait(left):
                    break
            taken, self._waiting = self._waiting[:need], self._waiting[need:]
            self._change.notify_all()
        return taken

    def _await(self, moment: float) -> None:
        with self._change:
            while not self._closed and (left := moment - self._clock()) > 0:
                self._change.wait(left)

    def _read(self) -> None:
        most = round(_MOST * self._chunks.rate)
        try:
            for piece in self._chunks:
                drops = self._chunks.drops
                with self._change:
                    self._change.wait_for(lambda: self._closed or len(self._waiting) < most)
                    if drops == self._chunks.drops:
                        self._waiting = np.concatenate([self._waiting, piece])
                    self._change.notify_all()
                if self._closed:
                    break
        except Exception as error:  # noqa: BLE001 (raised again by `hops`)
            self._error = error
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()


def _16_bit(samples: Float32) -> Int16:
    return np.round(np.clip(samples, -1.0, 1.0) * np.iinfo(np.int16).max).astype(np.int16)
