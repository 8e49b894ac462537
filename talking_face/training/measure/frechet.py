"""Fréchet distance between windows of real and of sampled motion.

A window is a second of motion. What it is described by: each channel's mean over the window (the
posture) and its course around that mean (the movement), each divided by its deviation in the
windows of a reference, so that a degree of yaw, a brow and a lip count alike. The principal
components of the reference, few enough that a covariance can be estimated, carry the comparison

    d² = |m₁ - m₂|² + tr(S₁ + S₂ - 2 (S₁ S₂)^½)                          (Dowson and Landau, 1982)

which is given relative to the variance of the real windows, tr S₁: the same distribution has about
0, a face that never moves has 1. The reference should be other clips than those compared (the
components of a few clips are the directions in which these happen to vary more, and anything else
would seem to vary less) and is the same for all that is compared. What lies outside the components,
such as a faint flutter from frame to frame, is not seen here;
`talking_face.training.measure.motion_figures.spectrum_ratios` tells of it.

The distance falls with the number of windows even between equal distributions. Compare only figures
of equally many windows, and read them beside that of other real people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talking_face.arrays import Array

WINDOW = 25  # frames
STRIDE = 5  # frames
COMPONENTS = 16
WINDOWS_A_COMPONENT = 8  # at least
LEAST_DEVIATION = 1e-4  # of a channel that is divided by it


def windows(curves: Array) -> Array:
    """Windows (n, 25, channels) of curves (frames, channels), one every fifth of a second.

    The mean of the whole clip is taken off first: a tracked head has no absolute posture, and
    channels of an expression are only known up to the speaker's face. n may be 0.
    """
    starts = range(0, len(curves) - WINDOW + 1, STRIDE)
    centred = curves - curves.mean(axis=0)
    parts = [centred[start : start + WINDOW] for start in starts]
    return np.array(parts).reshape(-1, WINDOW, curves.shape[1])


def all_windows(clips: Sequence[Array]) -> Array:
    """Windows of several clips' curves, (n, 25, channels)."""
    return np.concatenate([windows(curves) for curves in clips])


@dataclass(frozen=True)
class WindowSpace:
    """What windows are compared in, learned by `fit`.

    Attributes:
        posture, movement: (channels,) deviations that these are divided by.
        mean: (n,) of the descriptions.
        components: (n, k) principal directions.
    """

    posture: Array
    movement: Array
    mean: Array
    components: Array

    @classmethod
    def fit(cls, clips: Sequence[Array]) -> WindowSpace | None:
        """From the curves (frames, channels) of reference clips; None where they are too few."""
        reference = all_windows(clips)
        if len(reference) < 2 * WINDOWS_A_COMPONENT:
            return None
        means = reference.mean(axis=1)
        course = reference - means[:, None]
        posture = np.maximum(means.std(axis=0), LEAST_DEVIATION)
        movement = np.maximum(course.std(axis=(0, 1)), LEAST_DEVIATION)
        raw = _describe(reference, posture, movement)
        mean = raw.mean(axis=0)
        _, _, directions = np.linalg.svd(raw - mean, full_matrices=False)
        count = min(COMPONENTS, len(reference) // WINDOWS_A_COMPONENT)
        return cls(posture, movement, mean, directions[:count].T)

    def project(self, parts: Array) -> Array:
        """Windows (n, 25, channels) to components (n, k)."""
        return (_describe(parts, self.posture, self.movement) - self.mean) @ self.components


def _describe(parts: Array, posture: Array, movement: Array) -> Array:
    """(n, channels · 26): posture and movement side by side, of equal weight."""
    means = parts.mean(axis=1)
    course = (parts - means[:, None]) / movement / np.sqrt(WINDOW)
    return np.concatenate([means / posture, course.reshape(len(parts), -1)], axis=1)


def frechet(real: Array, sampled: Array) -> float:
    """Squared Fréchet distance of the Gaussians with the moments of real and sampled points.

    Args:
        real, sampled: (n, k) and (m, k) points; n and m at least 2.

    Returns:
        The distance over the total variance of the real points.
    """
    shift = real.mean(axis=0) - sampled.mean(axis=0)
    first, second = (np.atleast_2d(np.cov(points, rowvar=False)) for points in (real, sampled))
    root = _root(first)
    # The trace of (S₁ S₂)^½ is that of (S₁^½ S₂ S₁^½)^½, which is symmetric.
    cross = _root(root @ second @ root)
    squared = shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(cross)
    return float(squared / np.trace(first))


def _root(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def window_distance(real: Sequence[Array], sampled: Sequence[Array], space: WindowSpace) -> float:
    """Fréchet distance between the windows of two sets of clips.

    Args:
        real, sampled: curves (frames, channels) of each clip.

    Returns:
        NaN where either has fewer than twice as many windows as the space has components.
    """
    points = [space.project(all_windows(clips)) for clips in (real, sampled)]
    if min(len(p) for p in points) < 2 * space.components.shape[1]:
        return float("nan")
    return frechet(*points)


def distance_of_halves(
    clips: Sequence[Array], speakers: Sequence[str], space: WindowSpace, splits: int = 10
) -> float:
    """Window distance between the real clips of half the speakers and of the other half.

    The mean over random splits, both ways round; NaN for a single speaker. Halves have fewer
    windows than the whole, so this lies above what equally many windows would give.
    """
    names = sorted(set(speakers))
    if len(names) < 2:
        return float("nan")
    generator = np.random.default_rng(0)
    found = []
    for _ in range(splits):
        chosen = set(generator.permutation(names)[: len(names) // 2])
        half = [c for c, s in zip(clips, speakers, strict=True) if s in chosen]
        rest = [c for c, s in zip(clips, speakers, strict=True) if s not in chosen]
        found += [window_distance(half, rest, space), window_distance(rest, half, space)]
    kept = [value for value in found if np.isfinite(value)]
    return float(np.mean(kept)) if kept else float("nan")
