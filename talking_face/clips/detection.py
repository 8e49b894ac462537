"""Reading the invisible mark out of any picture or video, whatever was done to it since.

The contrasts of many frames are averaged; then every size, place and mirror image of the tile is
tried, by correlation with the pilots in the Fourier domain. The pilots' signs are random and know
nothing of any picture, so for one that isn't marked the chance of a correlation as high as z is at
most exp(-z²/2) a try (Hoeffding, "Probability inequalities for sums of bounded random variables",
Journal of the American Statistical Association 58, 1963), whatever it shows.

Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from talking_face.arrays import Array, Float32, UInt8
from talking_face.clips.payload import Payload, decode
from talking_face.clips.watermark import SIDE, TILE, Layout, layout, local_contrast, small_size
from talking_face.clips.watermark import folded as fold

SMALL = 240  # the shorter side of what is looked at, pixels: more than SIDE, for a smaller tile
STEP = 0.01  # between two sizes tried, as a part
SIZES = np.exp(np.arange(-60, 56) * STEP)  # of the tile, in units of a whole picture's
SHAPES = np.exp(
    np.arange(-2, 3) * STEP
)  # its width over the mean of both sides, if it was stretched
FINE = np.arange(-4, 5) * 0.002  # around the best of them, width and height apart
FOLLOWED = 5  # of the best sizes
LONGEST = 6  # times as long as high is what is looked at; of a longer picture, its beginning
NEAR = 1  # pixels of the small picture by which the tile of a whole picture may lie elsewhere
# Places, sizes and mirror images that are tried: of pictures that nothing was cut from, and of all.
# Each kind may give half of the false alarms.
WHOLE_TRIES = 2 * len(FINE) * (1 + len(FINE)) * (2 * NEAR + 1) ** 2
TRIES = 2 * (len(SIZES) * len(SHAPES) + FOLLOWED * len(FINE) * (1 + len(FINE))) * TILE**2
MISREAD = 1e-7  # the chance that a plausible payload is read where none is
CERTAIN = 1e-6  # the chance of a false alarm up to which a mark counts as found


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in a picture or a video.

    Attributes:
        chance: that an unmarked one would look as marked as this, at most.
        payload: what the mark says; None where it can't be read.
        size: of the picture that was marked, in units of this one.
        mirrored: whether it was mirrored since.
        bits: soft values of the bits that were read, right or not, (LENGTH,).
    """

    chance: float
    payload: Payload | None
    size: float
    mirrored: bool
    bits: Array

    @property
    def present(self) -> bool:
        """Whether there is a mark beyond reasonable doubt."""
        return self.chance < CERTAIN


@dataclass(frozen=True)
class _Place:
    """A guess where the tile lies: its size, its corner in the first tile, and how well it fits."""

    z: float
    width: float
    height: float
    top: int
    left: int
    mirrored: bool
    whole: bool  # whether it was looked for only where it lies in a picture that is whole

    @property
    def chance(self) -> float:
        """That the pilots fit as well in a picture without a mark, at most."""
        tries = WHOLE_TRIES if self.whole else TRIES
        return min(1.0, 2 * tries * float(np.exp(-self.z * self.z / 2)))


def mean_contrast(frames: Iterable[UInt8]) -> Float32 | None:
    """The average of what frames show apart from their light, (h, w); None of no frames.

    Args:
        frames: (H, W) uint8 luma, all of one size.
    """
    total, count = None, 0
    for frame in frames:
        most = LONGEST * min(frame.shape)
        frame = frame[:most, :most]
        height, width = frame.shape
        size = small_size(height, width, SMALL)
        way = cv2.INTER_AREA if min(frame.shape) >= SMALL else cv2.INTER_LINEAR
        small = np.asarray(cv2.resize(frame, size, interpolation=way), dtype=np.float32)
        field, *_ = local_contrast(small, SMALL / SIDE)
        total = field if total is None else total + field
        count += 1
    return None if total is None else total / np.float32(count)


def detect(field: Float32, key: str) -> Found:
    """Look for the mark of a key in a field of `mean_contrast`."""
    plan = layout(key)
    both = (field, np.ascontiguousarray(field[:, ::-1]))

    def followed(guesses: list[_Place]) -> tuple[Found, bool]:
        """What the best of some guesses say, and whether one of them can be read."""
        refined = [_refined(both[guess.mirrored], guess, plan) for guess in guesses]
        refined = sorted([*guesses, *refined], key=lambda guess: guess.chance)
        for guess in refined:
            bits = _bits(both[guess.mirrored], guess, plan)
            payload, _ = decode(bits)
            if payload is not None and (guess.chance < CERTAIN or payload.plausible):
                return _verdict(guess, payload, bits), True
        best = refined[0]
        return _verdict(best, None, _bits(both[best.mirrored], best, plan)), False

    wholes = [_place(both[mirrored], (1, 1), mirrored, True, plan) for mirrored in (False, True)]
    found, read = followed(wholes)
    if read:  # as nearly always where nothing was cut
        return found
    guesses = [
        _place(both[mirrored], (size * shape, size / shape), mirrored, False, plan)
        for size in SIZES
        for shape in SHAPES
        for mirrored in (False, True)
    ]
    guesses.sort(key=lambda guess: -guess.z)
    other, read = followed(guesses[:FOLLOWED])
    return other if read or other.chance < found.chance else found


def _verdict(place: _Place, payload: Payload | None, bits: Array) -> Found:
    size = 1 / float(np.sqrt(place.width * place.height))
    # A payload that is read by chance has a right checksum and a tool, version and day that can be.
    chance = place.chance if payload is None else min(place.chance, MISREAD)
    return Found(chance, payload, size, place.mirrored, bits)


def _waves(field: Float32, width: float, height: float, plan: Layout) -> Array:
    """The tile's waves if it is of that size, evened out over their lengths, (waves,) complex."""
    scale = SIDE / SMALL
    size = (
        max(1, round(field.shape[1] * scale / width)),
        max(1, round(field.shape[0] * scale / height)),
    )
    way = cv2.INTER_AREA if scale / width < 1 else cv2.INTER_LINEAR
    scaled: Float32 = np.asarray(cv2.resize(field, size, interpolation=way), dtype=np.float32)
    spectrum = np.fft.rfft2(fold(scaled))
    waves = spectrum[plan.rows, plan.columns]
    evened, usual = plan.evened(waves)
    return evened / usual


def _place(
    field: Float32, size: tuple[float, float], mirrored: bool, whole: bool, plan: Layout
) -> _Place:
    """Where a tile of that width and height lies."""
    pilots = _waves(field, *size, plan)[plan.pilots]
    spectrum = np.zeros((TILE, TILE // 2 + 1), complex)
    spectrum[plan.rows[plan.pilots], plan.columns[plan.pilots]] = pilots * plan.pilot.conj()
    # Each is the sum of a random sign times a part of a wave over all parts of the pilots.
    sums = np.fft.irfft2(spectrum, (TILE, TILE)) * (TILE**2 / 2)
    if whole:
        near = np.minimum(np.arange(TILE), TILE - np.arange(TILE)) <= NEAR
        sums = np.where(near[:, None] & near, sums, -np.inf)
    best = int(sums.argmax())
    z = float(sums.flat[best]) / (float(np.sqrt(np.sum(np.abs(pilots) ** 2))) + 1e-9)
    return _Place(z, *size, best // TILE, best % TILE, mirrored, whole)


def _refined(field: Float32, guess: _Place, plan: Layout) -> _Place:
    """The best of the sizes around a guess: first both sides together, then each by itself."""
    best = guess
    for finer in (FINE, None):
        middle = best
        for wider in FINE / (1 if finer is not None else 2):
            for higher in [wider] if finer is not None else FINE / 2:
                size = middle.width * (1 + wider), middle.height * (1 + higher)
                tried = _place(field, size, guess.mirrored, guess.whole, plan)
                best = max(best, tried, key=lambda place: place.z)
    return best


def _bits(field: Float32, place: _Place, plan: Layout) -> Array:
    """Soft values of the code's bits, (LENGTH,)."""
    waves = _waves(field, place.width, place.height, plan)
    rows = np.where(plan.rows > TILE // 2, plan.rows - TILE, plan.rows)
    turn = (rows * place.top + plan.columns * place.left) / TILE
    waves = waves * np.exp(2j * np.pi * turn)
    return plan.bits(waves * _reliability(waves, plan)[plan.radius])


def _reliability(waves: Array, plan: Layout) -> Array:
    """How well waves of each length came through, as the pilots tell, by radius."""
    pilots = waves[plan.pilots]
    radius = plan.radius[plan.pilots]
    fits = (pilots * plan.pilot.conj()).real / 2
    longest = int(plan.radius.max()) + 1
    near = np.exp(-(((np.arange(longest)[:, None] - np.arange(longest)) / 2.5) ** 2))
    right = near @ np.bincount(radius, fits, longest)
    there = near @ np.bincount(radius, np.abs(pilots) ** 2 / 2, longest)
    came = np.clip(right / (there + 1e-9), 0.05, 0.95)
    return came / (1 - came**2)
