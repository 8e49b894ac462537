"""The invisible mark: a pattern in the brightness of every frame that carries a `Payload`.

Spread-spectrum watermarking (Cox et al., "Secure spread spectrum watermarking for multimedia", IEEE
Transactions on Image Processing 6, 1997) in the Fourier domain of a tile that fills the picture
again and again (Kutter, "Watermarking resisting to translation, rotation, and scaling", SPIE 3528,
1998). A part of the tile's waves are pilots, whose phases only the key tells: they say where the
tile lies, how large it is, and whether it is there at all. The others carry the bits. Waves are 6
to 17 pixels long in a picture of 512: what compression and scaling leave alone, and where pictures
themselves have little.

The picture itself disturbs its mark far more than any compression does, but whoever sets the mark
knows the picture: bits that the picture says already are set faintly, bits that it contradicts
strongly ("improved spread spectrum", Malvar and Florêncio, IEEE Transactions on Signal Processing
51, 2003). Where the picture is rough, as hair and cloth are, the pattern is strong; on skin, walls
and beside edges, and in the dark, next to nothing.

Knows nothing of files. `talking_face.clips.detection` reads the mark again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import no_type_check

import cv2
import numpy as np

from talking_face.arrays import Array, Float32, UInt8
from talking_face.clips.payload import LENGTH, Payload, encode
from talking_face.machine_code import compiled

KEY_VARIABLE = "TALKING_FACE_WATERMARK_KEY"  # environment variable with a key of one's own
PUBLIC_KEY = "talking-face"  # anybody can read, and forge, marks that are set with this one

SIDE = 192  # of the small picture in which everything is worked out: its shorter side, pixels
TILE = 64  # pixels of the small picture
WAVES = (10.0, 28.0)  # per tile: the longest and the shortest waves
PILOTS = 0.35  # of the waves

FLAT = 1.0  # grey levels: what a plain wall is taken to vary by, so that noise counts for little
PLAIN = 0.25  # grey levels: how strong the pattern is there
SKIN = (
    1.7  # grey levels: texture as fine as that of skin hides little of the pattern, more hides all
)
HIDING = 4.0  # grey levels of the pattern that each of a rough texture hides
WIDE = 5  # pixels of half of it: what is rough in less than half of a square is an edge
FINE = 0.8  # pixels of the small picture: longer waves are shading, which hides nothing
DEVIATION = 1.25  # standard deviations in the mean size of what varies as noise does
BUSY = 6.0  # grey levels: places that vary by more are marked no more strongly
STRENGTH = 2.1  # of each wave, where the picture's own have a power of 1
RMS = 2.1  # grey levels, of the whole pattern at most: PSNR 42 dB and more
# Power of a picture's waves, in units of its power a pixel: ordinary ones have 0.2 to 0.6, more
# those that repeat themselves in step with the tile, as portraits side by side do.
ORDINARY = 0.6
MARGIN = 1.1  # by which a bit is to be read, in units of the strength
FAINTEST, STRONGEST = 0.2, 2.0  # of that
STEADIEST = 1.5  # times the usual of its length that a wave counts for, at most
CLIPPED = 1.5  # local deviations; a few sharp edges mustn't count for more than a wall
RIM = 0.4  # weight of what is at the rim of the picture, where that of the middle is 1
ROUNDS = 4  # in which the strength is found
GRAIN = 1 / 8  # grey levels, of the pattern before it is scaled up
HELD = 4  # frames from one look at the picture to the next
SLOWNESS = 0.4  # part by which the waves follow the picture with each look


@dataclass(frozen=True, eq=False)
class Layout:
    """Which waves say what, for one key.

    Attributes:
        rows, columns: (waves,) places in the tile's `rfft2`.
        radius: (waves,) waves per tile, rounded down.
        pilots, bearers: indices of the waves that are pilots, and of those that carry bits.
        pilot: (pilots,) complex, the pilots: ±1 ± 1j.
        bit: (2 bearers,) which bit the real, then the imaginary part of each bearer carries.
        sign: (2 bearers,) ±1, with which it does.
    """

    rows: Array
    columns: Array
    radius: Array
    pilots: Array
    bearers: Array
    pilot: Array
    bit: Array
    sign: Array

    def evened(self, waves: Array) -> tuple[Array, Array]:
        """Waves of which none counts for much more than others of its length, and what is usual.

        Args:
            waves: (waves,) complex.

        Returns:
            The waves, and the mean magnitude of those of the same length, (waves,) each.
        """
        magnitude = np.abs(waves)
        counts = np.maximum(np.bincount(self.radius), 1)
        usual = (np.bincount(self.radius, magnitude) / counts)[self.radius] + 1e-9
        return waves / np.maximum(1.0, magnitude / (STEADIEST * usual)), usual

    def bits(self, waves: Array) -> Array:
        """How strongly waves, (waves,) complex, say each bit: sums, (LENGTH,)."""
        parts = waves[self.bearers]
        said = np.concatenate([parts.real, parts.imag]) * self.sign
        return np.bincount(self.bit, said, LENGTH)


@lru_cache(maxsize=8)
def layout(key: str) -> Layout:
    """The layout that a key stands for."""
    rows = np.fft.fftfreq(TILE, 1 / TILE)[:, None]
    columns = np.arange(TILE // 2 + 1)[None]
    radius = np.hypot(rows, columns)
    inside = (radius >= WAVES[0]) & (radius <= WAVES[1]) & ((columns > 0) | (rows > 0))
    high, wide = np.nonzero(inside)
    seed = hashlib.sha256(key.encode()).digest()
    chance = np.random.default_rng(int.from_bytes(seed[:16], "big"))
    order = chance.permutation(len(high))
    pilots, bearers = np.split(order, [round(PILOTS * len(order))])
    signs = chance.integers(0, 2, (2, len(pilots))) * 2 - 1
    bit = np.arange(2 * len(bearers)) % LENGTH
    chance.shuffle(bit)
    sign = chance.integers(0, 2, len(bit)) * 2 - 1
    pilot = signs[0] + 1j * signs[1]
    return Layout(
        high, wide, radius[inside].astype(int), pilots, bearers, pilot, bit, sign.astype(float)
    )


def installed_key() -> str:
    """The key of this installation: of $TALKING_FACE_WATERMARK_KEY, or the public one."""
    return os.environ.get(KEY_VARIABLE) or PUBLIC_KEY


def small_size(height: int, width: int, side: int) -> tuple[int, int]:
    """(width, height) of a picture whose shorter side is made `side` pixels long."""
    scale = side / min(height, width)
    return max(side, round(width * scale)), max(side, round(height * scale))


def local_contrast(small: Float32, grain: float = 1.0) -> tuple[Float32, Float32, Float32]:
    """What a small picture shows apart from its light, where the mark can be told from it.

    Each pixel weighs as a matched filter wants it: as strong as the mark is there, over the power
    of what the picture itself shows.

    Args:
        small: (h, w) luma, grey levels. grain: its shorter side in units of SIDE.

    Returns:
        (h, w) the field; (h, w) how strong the mark may be, and what the picture itself varies by,
        grey levels.
    """
    reflect = cv2.BORDER_REFLECT
    deviation = small - cv2.GaussianBlur(small, (0, 0), 4 * grain, borderType=reflect)
    power = cv2.GaussianBlur(deviation * deviation, (0, 0), 3 * grain, borderType=reflect)
    scale = np.sqrt(power) + np.float32(FLAT)
    strong = room(small, scale, grain)
    field = np.clip(deviation / scale, -CLIPPED, CLIPPED) * (strong / scale)
    return field * _window(*small.shape), strong, scale


@lru_cache(maxsize=8)
def _window(height: int, width: int) -> Float32:
    """1 in the middle, less at the rims: what is cropped mustn't be what the mark relied on."""
    sides = [
        RIM + (1 - RIM) * np.sin(np.pi * (np.arange(side) + 0.5) / side) for side in (height, width)
    ]
    return np.outer(*sides).astype(np.float32)


def room(small: Float32, scale: Float32, grain: float = 1.0) -> Float32:
    """How strong the pattern may be, (h, w) grey levels: as the surroundings vary, but faint on
    plain places in them, and in the dark.

    Next to an edge a wall is as plain as elsewhere, and shows as much. Compression keeps what is
    added to a rough place, and drops it where it would be alone.
    """
    reflect = cv2.BORDER_REFLECT
    fine = np.abs(small - cv2.GaussianBlur(small, (0, 0), FINE * grain, borderType=reflect))
    halved = cv2.resize(fine, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    usual = cv2.medianBlur(np.minimum(halved / GRAIN, 255).astype(np.uint8), WIDE)
    usual = cv2.erode(usual, np.ones((3, 3), np.uint8))
    usual = cv2.resize(usual, small.shape[::-1], interpolation=cv2.INTER_LINEAR)
    near = usual.astype(np.float32) * np.float32(GRAIN * DEVIATION)
    hidden = near * near * np.float32(HIDING) / (near + np.float32(SKIN))
    most = np.minimum(np.float32(PLAIN) + hidden, np.float32(BUSY))
    dark = np.clip((small + np.float32(8)) / np.float32(40), 0.5, 1.0)
    return np.asarray(np.minimum(scale, most) * dark, dtype=np.float32)


def folded(field: Float32) -> Float32:
    """The sum of all tiles of a field, (TILE, TILE); what is missing to whole tiles is 0."""
    height, width = field.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    whole = np.zeros((rows * TILE, columns * TILE), np.float32)
    whole[:height, :width] = field
    return whole.reshape(rows, TILE, columns, TILE).sum((0, 2))


class Watermark:
    """Sets the mark of one clip, frame by frame, in their order.

    Args:
        payload: what it says.
        height, width: of the frames, pixels.
        key: tells where in the picture it is.
    """

    def __init__(self, payload: Payload, height: int, width: int, key: str) -> None:
        self._layout, self._word = layout(key), encode(payload)
        self._shape = (height, width)
        self._small = small_size(height, width, SIDE)
        self._waves: Array | None = None
        self._count = 0  # frames so far
        self._shown: Float32 | None = None  # the pattern, which glides from one to the next
        self._step: Float32 = np.zeros(1, np.float32)  # in each frame
        said = np.bincount(self._layout.bit, minlength=LENGTH)
        self._each = 1 / said  # of what a bit's waves say together

    def pattern(self, frame: UInt8) -> Float32:
        """What is to be added to a frame's brightness, small, (h, w) grey levels.

        Args:
            frame: (H, W, 3) uint8 RGB.
        """
        way = cv2.INTER_AREA if min(self._shape) >= SIDE else cv2.INTER_LINEAR
        scaled = cv2.resize(frame, self._small, interpolation=way)
        small: Float32 = np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY), dtype=np.float32)
        field, strong, scale = local_contrast(small)
        wanted = self._wanted(field, _rms(strong), float(np.mean((strong / scale) ** 2)))
        self._waves = (
            wanted if self._waves is None else self._waves + SLOWNESS * (wanted - self._waves)
        )
        spectrum = np.zeros((TILE, TILE // 2 + 1), complex)
        spectrum[self._layout.rows, self._layout.columns] = self._waves
        tile = np.fft.irfft2(spectrum, (TILE, TILE)) * (TILE**2 / np.sqrt(field.size))
        rows, columns = (-(-side // TILE) for side in field.shape)
        tiles = np.tile(tile.astype(np.float32), (rows, columns))
        pattern = tiles[: field.shape[0], : field.shape[1]] * strong
        return pattern * np.float32(min(1.0, RMS / max(_rms(pattern), 1e-6)))

    def __call__(self, frame: UInt8) -> UInt8:
        """A marked copy of the next frame, (H, W, 3) uint8 RGB."""
        if self._count % HELD == 0:
            pattern = self.pattern(frame)
            if self._shown is None:
                self._shown = pattern
            self._step = (pattern - self._shown) / np.float32(HELD)
        assert self._shown is not None
        self._count += 1
        self._shown = self._shown + self._step
        height, width = self._shape
        small = np.clip(128 + self._shown / GRAIN, 0, 255).astype(np.uint8)  # 128 is none
        added = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        marked = np.empty_like(frame, order="C")
        _adds()(np.ascontiguousarray(frame), np.asarray(added), marked)
        return marked

    def _wanted(self, field: Float32, strong: float, gain: float) -> Array:
        """The waves that this frame needs, (waves,) complex.

        Args:
            field: what it shows by itself.
            strong: what the pattern may be multiplied by, on average, grey levels.
            gain: how much of the pattern is there again in the field.
        """
        layout = self._layout
        spectrum = np.fft.rfft2(folded(field)) / np.sqrt(field.size)  # of white noise: power 1
        shown = layout.evened(spectrum[layout.rows, layout.columns])[0] / gain
        said = self._word * layout.bits(shown) * self._each
        # All pilots together are as one bit more.
        piloted = float((shown[layout.pilots] * layout.pilot.conj()).real.mean()) / 2
        own = float(np.mean(np.abs(shown) ** 2)) * gain**2 / (float(np.mean(field**2)) + 1e-9)
        strength = most = STRENGTH * np.sqrt(max(1.0, own / ORDINARY))
        for _ in range(ROUNDS):  # as strong as is allowed; which bits need how much depends on it
            missing = np.clip(
                MARGIN * strength - said, FAINTEST * strength, MARGIN * STRONGEST * strength
            )
            pilots = np.clip(strength - piloted, 0.8 * strength, MARGIN * STRONGEST * strength)
            power = 4 * len(layout.pilots) * pilots**2 + 2 * np.sum(missing[layout.bit] ** 2)
            strength *= min(RMS / (np.sqrt(power / field.size) * strong), most / strength)
        real, imaginary = np.split((self._word * missing)[layout.bit] * layout.sign, 2)
        waves = np.empty(len(layout.rows), complex)
        waves[layout.bearers] = real + 1j * imaginary
        waves[layout.pilots] = layout.pilot * pilots
        return waves


def _rms(pattern: Float32) -> float:
    return float(np.sqrt(np.mean(pattern * pattern)))


@cache
def _adds() -> Callable[..., None]:
    """`_add` as machine code."""
    frame = "Array(uint8, 3, 'C', readonly=True)"  # which may be written to, or not
    return compiled(_add, frame, "uint8[:, ::1]", "uint8[:, :, ::1]")


@no_type_check  # so that it is compiled as it stands
def _add(frame: Array, added: Array, marked: Array) -> None:  # pragma: no cover - numba
    """Add grey levels in units of GRAIN, of which 128 is none, to all colours."""
    for row in range(np.uint32(frame.shape[0])):
        for column in range(np.uint32(frame.shape[1])):
            level = (np.int32(added[row, column]) - np.int32(124)) >> np.int32(3)
            for colour in range(3):
                value = np.int32(frame[row, column, colour]) + level
                marked[row, column, colour] = np.uint8(min(max(value, np.int32(0)), np.int32(255)))
