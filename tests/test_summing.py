"""Sums over rows that Newton's method needs."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.engines.summing import STEPS, Chunk, losses_along, lowest_along
from fallline.kernels.curvature import accumulate
from fallline.objective.losses import LOSSES

ROWS = 40


@pytest.fixture
def chunk():
    """Rows of one column, whose squared error is least at the score of their target."""
    z = np.ones((ROWS, 1))
    return Chunk(z, np.full((1, ROWS), 1.0), np.ones(ROWS))


@pytest.mark.parametrize("lowest", [0.0, 0.004, 0.1, 0.6, 0.8, 1.0, 3.0])
def test_the_lowest_point_of_a_line_is_found_from_its_end(chunk, lowest):
    """From the target to either side: the same point is lowest as where all of them are looked at, and what was not is higher."""
    loss = LOSSES["squared_error"]()
    first, last = np.full((1, ROWS), 1.0 - lowest), np.full((1, ROWS), 2.0 - lowest)
    penalties = np.linspace(0.0, 1e-9, len(STEPS))
    every = losses_along(loss, first, last, chunk) / ROWS + penalties
    found = lowest_along(loss, first, last, chunk, penalties)
    seen = np.isfinite(found)
    assert np.argmin(found) == np.argmin(every)
    assert seen[0]
    assert seen[-1]
    assert np.array_equal(found[seen], every[seen])
    assert every[~seen].min(initial=np.inf) >= every.min()
    if lowest >= 0.9:
        assert np.count_nonzero(seen) == 3


def test_penalties_count_along_a_line(chunk):
    """Where losses are all the same, the penalty alone says which point is lowest."""
    nothing, penalties = np.full((1, ROWS), 1.0), (STEPS - 0.5) ** 2
    found = lowest_along(LOSSES["squared_error"](), nothing, nothing, chunk, penalties)
    assert STEPS[np.argmin(found)] == 0.5


def test_a_line_that_ends_beyond_all_numbers_is_followed_back(chunk):
    """Where the loss overflows, its lowest point is looked for all the same."""
    loss = LOSSES["poisson"]()
    first, last = np.zeros((1, ROWS)), np.full((1, ROWS), 2000.0)
    found = lowest_along(loss, first, last, chunk, np.zeros(len(STEPS)))
    assert found[-1] == np.inf
    assert np.argmin(found) == np.argmin(losses_along(loss, first, last, chunk))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 3, 4, 67, 200])
def test_slopes_and_curvatures_are_added_up(rows, dtype):
    """As products of matrices do it: whole fours, whole chunks, and what is left of either; for several outputs."""
    generator = np.random.default_rng(rows)
    z = generator.normal(size=(rows, 5)).astype(dtype)
    slopes, curvatures = generator.normal(size=(2, 3, rows)).astype(dtype)
    gradient, diagonal = np.ones((3, 5)), np.zeros((3, 5))
    accumulate(z, slopes, curvatures, gradient, diagonal)
    precision = 100 * np.finfo(dtype).eps
    exact = z.astype(np.float64)
    np.testing.assert_allclose(gradient, 1.0 + slopes @ exact, precision, precision)
    np.testing.assert_allclose(diagonal, curvatures @ exact**2, precision, precision)
