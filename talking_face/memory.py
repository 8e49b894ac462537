"""What an animator remembers of photos, recordings and what it made of them; bounded, and not long.

The bounds are 1.3 GB together: not too much for a laptop of 8 GB, and enough for one of the
largest of each kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from talking_face.arrays import Array
from talking_face.cache import Cached, digest_of
from talking_face.sound.audio import Recording

LANDMARKS = 1_000_000  # bytes; 6 kB a face of a photo
FACES = 150_000_000  # most of it the photo: 36 MB at 12 megapixels, 146 MB at 48
SPEECHES = 290_000_000  # 265 MB for ten minutes in stereo
EMOTIONS = 1_000_000  # 60 kB for ten minutes
MOTIONS = 32_000_000  # 2 MB for ten minutes
HEADS = 60_000_000  # 15 MB each, most of it the texture
RENDERERS = 770_000_000  # 25 MB at 512 pixels, 670 to 770 MB at 4096

Key = tuple[Hashable, ...]


def face_key(pixels: Array, index: int | None) -> Key:
    """What a fitted face is kept under: its photo, (H, W, 3) uint8 RGB, and which one it is."""
    return digest_of(pixels), index or 0


def speech_key(recording: Recording) -> Key:
    """What a heard recording is kept under.

    Recordings that the networks can't tell apart may differ for those who see the clip.
    """
    sounds = (recording.waveform, recording.sound)
    return tuple(digest_of(sound) for sound in sounds if sound is not None)


class Memory:
    """A cache for each kind of value that is worth keeping.

    Args:
        timer: the clock, in seconds.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self.forget()

    def forget(self) -> None:
        """Empty the caches."""
        self.landmarks = Cached(LANDMARKS, timer=self._timer)
        self.faces = Cached(FACES, timer=self._timer)
        self.speeches = Cached(SPEECHES, timer=self._timer)
        self.emotions = Cached(EMOTIONS, timer=self._timer)
        self.motions = Cached(MOTIONS, timer=self._timer)
        self.heads = Cached(HEADS, timer=self._timer)
        self.renderers = Cached(RENDERERS, timer=self._timer)

    def expire(self) -> None:
        """Drop what was made more than `cache.KEPT_SECONDS` ago; using a cache does so too."""
        for kept in vars(self).values():
            if isinstance(kept, Cached):
                kept.expire()
