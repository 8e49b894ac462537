"""The curves that several rooms share."""

import numpy as np
import pytest

from talking_face.curves import smoothstep, soft_limit


def test_a_smoothstep_is_flat_at_its_ends() -> None:
    x = np.linspace(-1, 3, 4001)
    y = smoothstep(x, 0.0, 2.0)
    assert (y[x <= 0] == 0).all()
    assert (y[x >= 2] == 1).all()
    assert smoothstep(1.0, 0.0, 2.0) == 0.5
    slope = np.gradient(y, x)
    assert slope.min() >= 0
    assert slope[np.searchsorted(x, [0.001, 1.999])] == pytest.approx(0, abs=2e-3)


def test_a_soft_limit_leaves_small_values_and_is_never_passed() -> None:
    x = np.linspace(-100, 100, 20001)
    y = soft_limit(x, 4.0, 5.0)
    np.testing.assert_array_equal(y[np.abs(x) <= 4], x[np.abs(x) <= 4])
    assert np.abs(y).max() <= 5
    assert (np.diff(y) >= 0).all()
    assert np.diff(y).max() <= 0.01 + 1e-9  # nowhere steeper than the value itself
    np.testing.assert_allclose(y, -y[::-1], rtol=1e-6)
    each = soft_limit(np.array([9.0, 9.0]), np.array([1.0, 4.0]), np.array([2.0, 5.0]))
    assert each == pytest.approx([2, 5], abs=0.01)
