"""Training from a cache file: every row, in an order that is good and always the same."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.data.cache import cache_key, write
from fallline.data.cache.shuffle import BUFFER_BYTES
from fallline.data.order import Order
from fallline.data.rows import ArraySource, DenseRows, SparseRows
from fallline.data.windows import ALL, Part, WindowSource, divided
from fallline.engines.descent import DescentEngine
from fallline.errors import NonFiniteError
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.objective.losses.log_loss import LogLoss
from fallline.optim.optimizers.sgd import SGD
from fallline.optim.schedules.inverse_scaling import InverseScaling

IN_ORDER = Order(0, shuffle=False)
KEY = cache_key("windows")


def dense(n, columns=3):
    """Rows that say their number, in y."""
    X = np.random.default_rng(1).standard_normal((n, columns), dtype=np.float32)
    return DenseRows(X, np.arange(n, dtype=np.float32)[:, np.newaxis], np.ones(n, np.float32))


def sparse(n):
    """The same, of very different lengths."""
    rng = np.random.default_rng(2)
    indptr = np.append(0, rng.integers(0, 9, n).cumsum())
    indices = np.concatenate([np.sort(rng.choice(50, k, replace=False)) for k in np.diff(indptr)])
    data = rng.standard_normal(indptr[-1], dtype=np.float32)
    rest = np.arange(n, dtype=np.float32)[:, np.newaxis], np.full(n, 2, np.float32)
    return SparseRows(indptr, indices.astype(np.int32), data, 50, *rest)


@pytest.fixture(scope="module", params=["dense", "sparse"])
def cache(request, tmp_path_factory):
    """A file of many blocks: they are made small, so that few rows are enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fallline.data.cache.shuffle._BLOCK_BYTES", BUFFER_BYTES // 2**14)
        patch.setattr("fallline.data.cache.shuffle.BUFFER_BYTES", BUFFER_BYTES // 2**10)
        patch.setattr(
            "fallline.data.order._NOT_MANY", 2**10
        )  # windows of fewer rows are permuted, others in groups
        rows = dense(5000) if request.param == "dense" else sparse(3000)
        yield write(tmp_path_factory.mktemp("cache"), KEY, [rows])


def window_bytes(cache, windows):
    return 2 * int((cache.memory_of(cache.rows, cache.entries) + 16 * cache.rows).sum() / windows * 1.2)


def visited(source, order, epoch=0, position=0, size=lambda: 100):
    """Rows by their numbers, in the order in which they are visited."""
    blocks = source.blocks(order, epoch, position, size)
    return np.concatenate([block.y[block.rows, 0].astype(int) for block, _ in blocks])


@pytest.mark.parametrize("windows", [1, 2, 7, 10**6])
@pytest.mark.parametrize(
    "part", [ALL, Part(3, 0.2), Part(3, 0.2, held_out=True), Part(1, 1.0, held_out=True)]
)
def test_every_row_once_an_epoch(cache, windows, part):
    """However many windows there are: an epoch has every row of its part once, and another order than the last."""
    source = WindowSource(cache, window_bytes(cache, windows), part)
    first, second = (visited(source, Order(5), epoch) for epoch in (0, 1))
    in_order = visited(source, IN_ORDER)
    assert len(first) == source.n_rows
    assert len(np.unique(first)) == source.n_rows
    assert set(first) == set(second) == set(in_order)
    assert (first != second).any()
    np.testing.assert_array_equal(
        in_order, visited(ArraySource(cache.read(), subset=part.numbers(cache.rows)), IN_ORDER)
    )
    np.testing.assert_array_equal(in_order, source.targets()[0][:, 0])


def test_rows_are_what_was_written(cache):
    """Each row that comes from a window has the numbers, target and weight that it was written with."""
    written = dense(5000) if not cache.sparse else sparse(3000)
    source = WindowSource(cache, window_bytes(cache, 3))
    for block, _ in source.blocks(Order(1), 2, 0, lambda: 1000):
        numbers = block.y[block.rows, 0].astype(np.uint64)
        assert all(
            np.asarray(array).flags.aligned for array in source._latest
        )  # what kernels were compiled for
        for one, other in zip(written.take(numbers), source._latest.take(block.rows), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("part", [ALL, Part(7, 0.1)])
def test_resumed_at_any_position_the_rest_is_the_same(cache, part):
    """An epoch entered anywhere goes on as it would have, whatever was read before and in whatever blocks."""
    size = window_bytes(cache, 6)
    whole = visited(WindowSource(cache, size, part), Order(9), 4)
    used = WindowSource(cache, size, part)
    for position in (0, 1, 99, len(whole) // 2, len(whole) - 1):
        for source in (used, WindowSource(cache, size, part)):
            rest = visited(source, Order(9), 4, position, lambda: 77)
            np.testing.assert_array_equal(rest, whole[position:])


@pytest.mark.parametrize("subset", [None, np.arange(5, 29000, dtype=np.uint64)], ids=["all", "some"])
def test_rows_in_memory_that_were_shuffled_are_visited_in_groups(subset):
    """An epoch has every row once, neighbours soon after each other; entered anywhere, it goes on as it would have."""
    source = ArraySource(dense(30000), subset=subset, shuffled=True)
    whole = visited(source, Order(9), 4)
    numbers = np.arange(30000) if subset is None else subset
    np.testing.assert_array_equal(np.sort(whole), numbers)
    assert np.mean(np.abs(np.diff(np.argsort(whole))) < 100) > 0.9
    assert (whole != visited(source, Order(9), 5)).any()
    for position in (0, 1, 20000, len(whole) - 1):
        np.testing.assert_array_equal(visited(source, Order(9), 4, position, lambda: 77), whole[position:])


def test_windows_read_ahead_for_the_next_epoch_are_those_of_the_next_epoch(cache):
    """Epochs in a row, which share what is read ahead, are what each is alone; so are two that are under way at once."""
    size = window_bytes(cache, 4)
    source = WindowSource(cache, size)
    alone = [visited(WindowSource(cache, size), Order(2), epoch) for epoch in range(3)]
    for epoch in (0, 1, 2, 0, 2):
        np.testing.assert_array_equal(visited(source, Order(2), epoch), alone[epoch])
    blocks = source.blocks(Order(2), 1, 0, lambda: 50)
    beginning, _ = next(blocks)
    before = beginning.y[beginning.rows].copy()
    visited(source, IN_ORDER)
    np.testing.assert_array_equal(beginning.y[beginning.rows], before)
    source.close()


def test_two_windows_are_all_that_is_in_memory(cache):
    """What windows take, orders of rows included, is no more than was allowed."""
    allowed = window_bytes(cache, 8)
    source = WindowSource(cache, allowed, Part(0, 0.1))
    largest = max(
        int(source._windows.sizes[blocks].sum())
        for blocks in divided(source._windows.sizes, allowed // 2, Order(0), 0)
    )
    assert 0.5 * allowed < 2 * largest <= allowed


def test_each_window_has_its_share_of_every_stretch_of_the_file():
    """Blocks of a window come from all of the file, one from each stretch, and every epoch from others."""
    sizes = np.full(1000, 10)
    windows = list(divided(sizes, 250, Order(3), 0))
    assert len(windows) == 40
    for window in windows:
        assert set(np.diff(np.sort(window) // 40)) == {1}
    assert {tuple(window) for window in windows} != {
        tuple(window) for window in divided(sizes, 250, Order(3), 1)
    }
    np.testing.assert_array_equal(np.sort(np.concatenate(windows)), np.arange(1000))


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.25, 1.0])
def test_parts_divide_the_rows(fraction):
    """Every row is held out or trained on, in about the share asked for, within each stretch of the file too."""
    rows = np.full(400, 100)
    held_out, kept = (Part(5, fraction, side).numbers(rows) for side in (True, False))
    np.testing.assert_array_equal(np.sort(np.concatenate([held_out, kept])), np.arange(40000))
    assert len(held_out) == Part(5, fraction, held_out=True).counts(rows).sum()
    for stretch in np.split(np.isin(np.arange(40000), held_out), 4):
        assert abs(stretch.mean() - fraction) < 0.003
    assert fraction in {0.0, 1.0} or set(Part(6, fraction, held_out=True).numbers(rows)) != set(held_out)


def test_a_number_that_is_not_finite_is_an_error(tmp_path):
    """NaN in a cache file ends in a sentence, not in a diverged model."""
    rows = dense(100)
    rows.X[17, 1] = np.nan
    source = WindowSource(write(tmp_path, KEY, [rows]), 2**21)
    block, _ = next(source.blocks(Order(1), 0, 0, lambda: 100))
    with pytest.raises(NonFiniteError, match="encoded rows hold NaN"):
        source.require_finite(block.rows)


class SlidingBuffer(ArraySource):
    """What many libraries do: a buffer from which rows are drawn at random, and which is filled up in the order of the file."""

    def __init__(self, rows, buffer):
        rng = np.random.default_rng(0)
        order, waiting = [], list(range(buffer))
        for row, place in enumerate(rng.integers(0, buffer, rows.n_rows - buffer), start=buffer):
            order.append(waiting[place])
            waiting[place] = row
        super().__init__(rows, subset=np.array(order + waiting, np.uint64))

    def blocks(self, order, epoch, position, size):
        return super().blocks(IN_ORDER, epoch, position, size)


def accuracy(source, test):
    """Of a linear classifier after three epochs, in percent."""
    engine = DescentEngine(LogLoss(), SGD(), InverseScaling(0.05, 0.25), 32)
    state = engine.start(source.n_columns, 1, np.float32)
    train(Run(engine, source, Order(1), state, epochs=3))
    weights = state.memory.weights[0]
    return 100 * np.mean((test.X @ weights[:-1] + weights[-1] > 0) == (test.y[:, 0] > 0))


def test_a_file_sorted_by_class_trains_as_well_as_a_shuffled_one(tmp_path, monkeypatch):
    """Windows, and groups in memory, lose less than half a point of accuracy to a full shuffle; a sliding buffer, several."""
    monkeypatch.setattr("fallline.data.cache.shuffle._BLOCK_BYTES", 2**14)
    monkeypatch.setattr("fallline.data.cache.shuffle.BUFFER_BYTES", 2**18)
    rng = np.random.default_rng(3)
    X = rng.standard_normal((90000, 20), dtype=np.float32)
    y = np.where(X @ rng.standard_normal(20) / 2 + rng.logistic(size=len(X)) > 0, 1, -1).astype(np.float32)
    rows = DenseRows(X, y[:, np.newaxis], np.ones(len(X), np.float32))
    test, rest = rows.take(np.arange(30000)), np.arange(30000, len(X))
    by_class = rows.take(rest[np.argsort(y[rest], kind="stable")])
    full = accuracy(ArraySource(by_class), test)
    with write(tmp_path, KEY, [by_class]) as cache:
        windows = accuracy(WindowSource(cache, window_bytes(cache, 10)), test)
        groups = accuracy(ArraySource(cache.read(), shuffled=True), test)
    assert windows > full - 0.5
    assert groups > full - 0.5
    assert accuracy(SlidingBuffer(by_class, 3000), test) < full - 2
