"""How far sound and lips of a clip are apart, and correlation at a lag."""

from __future__ import annotations

import numpy as np

from talking_face.arrays import Array

MAX_LAG = 4  # frames
MIN_OVERLAP = 8  # frames; fewer say nothing


def lagged_correlations(predicted: Array, real: Array, ok: Array, max_lag: int = MAX_LAG) -> Array:
    """Correlation of two curves at each lag.

    Args:
        predicted: (frames,) or (frames, n) what the sound tells.
        real: likewise, what was seen; correlations of several channels are pooled by their
            variance.
        ok: (frames,) bool, which frames of `real` count.
        max_lag: frames.

    Returns:
        (2 * max_lag + 1,) float64: entry max_lag + k compares predicted[t] with real[t + k], so
        that a peak at a positive k means that the lips are late; NaN where nothing can be said.
    """
    predicted = predicted.reshape(len(predicted), -1).astype(np.float64)
    real = real.reshape(len(real), -1).astype(np.float64)
    frames = len(real)
    result = np.full(2 * max_lag + 1, np.nan)
    for lag in range(-max_lag, max_lag + 1):
        first, last = max(0, -lag), min(frames, frames - lag)
        if last - first < MIN_OVERLAP:
            continue
        keep = ok[first + lag : last + lag]
        if keep.sum() < MIN_OVERLAP:
            continue
        a, b = predicted[first:last][keep], real[first + lag : last + lag][keep]
        a, b = a - a.mean(0), b - b.mean(0)
        power = np.sqrt((a**2).sum() * (b**2).sum())
        if power > 0:
            result[lag + max_lag] = (a * b).sum() / power
    return result


def peak_lag(correlations: Array) -> tuple[float, float]:
    """The lag of the highest correlation, to a fraction of a frame, and that correlation.

    A parabola through the peak and its neighbours gives the fraction. All NaN gives (0, NaN).
    """
    max_lag = len(correlations) // 2
    if np.isnan(correlations).all():
        return 0.0, float("nan")
    best = int(np.nanargmax(correlations))
    value = float(correlations[best])
    if 0 < best < len(correlations) - 1:
        before, after = correlations[best - 1], correlations[best + 1]
        bend = before - 2 * value + after
        if np.isfinite(bend) and bend < 0:
            return best - max_lag + float(0.5 * (before - after) / bend), value
    return float(best - max_lag), value


def shift(curves: Array, lag: float) -> Array:
    """Curves (frames, n) read `lag` frames later, linearly interpolated, held at the ends."""
    frames = len(curves)
    at = np.clip(np.arange(frames) + lag, 0, frames - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, frames - 1)
    part = (at - low)[:, None]
    return (curves[low] * (1 - part) + curves[high] * part).astype(curves.dtype)
