"""The curves that several rooms bend numbers by."""

from __future__ import annotations

from typing import Any

import numpy as np


def smoothstep(x: Any, low: float, high: float) -> Any:
    """0 below `low`, 1 above `high`, the cubic with flat ends between; of an array or a number."""
    t = (x - low) * (1 / (high - low))
    # Numbers are bent so often that numpy's own limits would take most of the time.
    t = np.minimum(np.maximum(t, 0.0), 1.0) if np.ndim(t) else min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def soft_limit(value: Any, free: Any, limit: Any) -> Any:
    """The value itself up to `free` either way, then bending towards `limit`, never beyond.

    Args:
        value: array or number of any sign.
        free, limit: 0 < free < limit, of a shape that fits the value's.
    """
    size = np.abs(value)
    room = limit - free
    over = np.maximum(size - free, 0.0)
    return np.sign(value) * (np.minimum(size, free) + room * np.tanh(over / room))
