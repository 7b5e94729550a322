"""Rows in memory: taken, joined, trained on where they lie."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.descent import DescentEngine
from fallline.errors import DivergenceError, NonFiniteError
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.objective.losses import LOSSES
from fallline.optim.optimizers import OPTIMIZERS
from fallline.optim.schedules.constant import Constant
from reference import LAYOUTS, data_for, with_zeros

X, Y = data_for("squared_error", n=40, columns=6)
X = with_zeros(X)
WEIGHT = np.random.default_rng(0).random(40)


def rows_of(layout):
    return as_rows(LAYOUTS[layout](X), Y, WEIGHT)


def dense(rows):
    """X of rows, by what it makes of the weights of one column after the other."""
    weights = np.eye(rows.n_columns, rows.n_columns + 1)
    return DescentEngine.predict(ArraySource(rows), weights)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("numbers", [[], [7], [3, 0, 39, 3], range(40)])
def test_take_copies_rows_in_the_order_asked_for(layout, numbers):
    """Rows taken are those of NumPy's indexing, repeated ones and none included, in memory of their own."""
    numbers = np.array(numbers, np.int64)
    taken = rows_of(layout).take(numbers)
    np.testing.assert_array_equal(dense(taken), X[numbers])
    np.testing.assert_array_equal(taken.y[:, 0], Y[numbers])
    np.testing.assert_array_equal(taken.weight, WEIGHT[numbers])
    assert (taken.n_rows, taken.n_columns, taken.dtype) == (len(numbers), 6, X.dtype)
    assert not np.shares_memory(taken[0], rows_of(layout)[0])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_concatenate_joins_parts(layout):
    """Parts one after the other are the rows that they were cut from; bytes add up."""
    rows = rows_of(layout)
    parts = [rows.take(part) for part in np.split(np.arange(40), [3, 3, 21])]
    whole = rows.concatenate(parts)
    np.testing.assert_array_equal(dense(whole), X)
    np.testing.assert_array_equal(whole.y, rows.y)
    np.testing.assert_array_equal(whole.weight, rows.weight)
    assert whole.nbytes == sum(array.nbytes for array in whole if isinstance(array, np.ndarray))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_copied(layout):
    """Blocks read the caller's arrays where they lie."""
    held = LAYOUTS[layout](X)
    block, position = next(ArraySource(as_rows(held, Y)).blocks(Order(0), 0, 0, lambda: 8))
    assert position == len(block.rows) == 8
    if layout == "csr":
        assert np.shares_memory(block.data, held.data)
        assert np.shares_memory(block.indices, held.indices)
    else:
        assert np.shares_memory(block.X, held)
    assert np.shares_memory(block.y, Y)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_subset_is_all_there_is(layout):
    """A source of some rows visits those, each once, and has their targets and weights."""
    subset = np.array([5, 2, 30, 31, 8], np.uint64)
    source = ArraySource(rows_of(layout), subset=subset)
    visited = np.concatenate([block.rows for block, _ in source.blocks(Order(3), 0, 0, lambda: 2)])
    np.testing.assert_array_equal(np.sort(visited), np.sort(subset))
    targets, weight = source.targets()
    np.testing.assert_array_equal(targets[:, 0], Y[subset])
    np.testing.assert_array_equal(weight, WEIGHT[subset])
    np.testing.assert_array_equal(DescentEngine.predict(source, np.eye(6, 7)), X[subset])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_what_is_not_finite_is_named(layout, value, name):
    """The error tells row and column, by name where there are names; other rows do not matter."""
    bad, targets = X.copy(), Y.copy()
    bad[17, 4], targets[20] = value, value
    source = ArraySource(as_rows(LAYOUTS[layout](bad), targets), columns=list("abcdef"))
    source.require_finite(np.array([3, 16, 18, 39], np.uint64))
    with pytest.raises(NonFiniteError, match=rf"X holds {name}.* in row 17, column 4 \('e'\)"):
        source.require_finite(np.array([39, 17, 3], np.uint64))
    with pytest.raises(NonFiniteError, match=f"y holds {name}.* in row 20"):
        source.require_finite(np.array([20], np.uint64))


def test_sparse_and_dense_rows_have_the_same_scales():
    """What a divergence is explained by, magnitudes and deviations, is the same however rows are held."""
    numbers = np.array([4, 9, 2, 11, 30], np.uint64)
    (largest, deviations), sparse = (rows_of(layout).block(numbers).scales() for layout in LAYOUTS)
    assert sparse[0] == largest
    np.testing.assert_allclose(sparse[1], deviations, atol=1e-12)
    assert rows_of("csr").block(np.array([0], np.uint64)).scales()[0] == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_divergence_is_explained(layout):
    """Too large a rate ends in an error that tells how large the columns are, zeros held or not."""
    engine = DescentEngine(LOSSES["squared_error"](), OPTIMIZERS["sgd"](), Constant(1e3), 8)
    run = Run(engine, ArraySource(rows_of(layout)), Order(0), engine.start(6, 1, X.dtype), epochs=1000)
    with pytest.raises(DivergenceError, match=f"Columns reach {abs(X).max():.3g}, .* from 0 to "):
        train(run)
