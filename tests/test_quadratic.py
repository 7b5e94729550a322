"""Where a quadratic model with absolute values has its minimum."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.engines.quadratic import minimum

SIZE = 30


def models(count, rng):
    """Curvatures and linear terms of several models, of which coordinates are alike and in units of their own."""
    rows = rng.standard_normal((count, 2 * SIZE, SIZE))
    rows[:, :, 1] = rows[:, :, 0] + 0.1 * rows[:, :, 1]
    rows *= 10.0 ** rng.uniform(-2, 2, SIZE)
    return np.einsum("mni,mnj->mij", rows, rows), rng.standard_normal((count, SIZE)) * np.abs(rows).sum(
        axis=1
    )


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 3.0])
def test_slopes_balance_at_the_minimum(share):
    """At the minimum of each of several models, slopes are what absolute values can hold, and all of that where it is not 0."""
    rng = np.random.default_rng(0)
    curvature, linear = models(4, rng)
    absolute = share * np.abs(linear).max(axis=0)
    x = minimum(curvature.copy(), linear, absolute, np.zeros_like(linear))
    slope = np.einsum("mij,mj->mi", curvature, x) - linear
    scale = np.abs(linear).max()
    off = np.where(x != 0.0, np.abs(slope + absolute * np.sign(x)), np.maximum(np.abs(slope) - absolute, 0.0))
    assert off.max() < 1e-8 * scale
    assert (share > 1.0) == (not x.any())


@pytest.mark.parametrize("absolute", [0.0, 0.3])
def test_several_models_at_once_are_each_by_itself(absolute):
    """Bit for bit, whatever stands beside it."""
    rng = np.random.default_rng(1)
    curvature, linear = models(3, rng)
    start, strength = rng.standard_normal(linear.shape), np.full(SIZE, absolute)
    together = minimum(curvature.copy(), linear, strength, start)
    for model in range(3):
        alone = minimum(curvature[model].copy(), linear[model], strength, start[model])
        assert np.array_equal(together[model], alone)


def test_what_does_not_bend_stays():
    """A coordinate without curvature keeps its start, and the others do not notice it."""
    rng = np.random.default_rng(2)
    curvature, linear = models(1, rng)
    curvature[0, 5], curvature[0, :, 5] = 0.0, 0.0
    start = np.full((1, SIZE), 7.0)
    x = minimum(curvature.copy(), linear, np.zeros(SIZE), start)
    rest = np.delete(np.arange(SIZE), 5)
    exact = np.linalg.solve(curvature[0][np.ix_(rest, rest)], linear[0][rest])
    assert x[0, 5] == 7.0
    np.testing.assert_allclose(x[0, rest], exact, rtol=1e-6)
