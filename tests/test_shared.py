"""Rows that are divided among processes: each row is one process's, however they are held."""

from __future__ import annotations

import numpy as np
import pytest

import fallline.data.shared
from fallline.data.budget import Budget
from fallline.data.cache import write
from fallline.data.order import Order
from fallline.data.part import Part
from fallline.data.prepared import Prepared
from fallline.data.rows import DenseRows, SparseRows, rows_of
from fallline.data.shared import divided, shared
from fallline.parallel.alone import Alone

N = 9000
WINDOWS, MEMORY = Budget(2**21), Budget(2**30)


@pytest.fixture(autouse=True)
def _groups(monkeypatch):
    """Rows in memory are visited in groups, as many more would be."""
    monkeypatch.setattr("fallline.data.order._NOT_MANY", 2**10)


class Names:
    """What of an encoder is asked here."""

    feature_names = None


def process(rank, size):
    found = Alone()
    found.rank, found.size = rank, size
    return found


def prepared(folder, sparse=False, columns=200):
    """Rows in a cache of seven blocks, each with its number as its target."""
    number = np.arange(N, dtype=np.float32)[:, np.newaxis]
    weight = np.ones(N, np.float32)
    if sparse:
        indptr = np.arange(N + 1, dtype=np.int64) * 100
        indices = np.tile(np.arange(100, dtype=np.int32), N)
        rows = SparseRows(indptr, indices, np.ones(100 * N, np.float32), columns, number, weight)
    else:
        rows = DenseRows(np.repeat(number, columns, axis=1), number, weight)
    cache = write(folder, "0" * 32, [rows])
    assert cache.n_blocks > 5
    return Prepared(Names(), cache.rows, None, cache)


def numbers_visited(source, turn=700, epoch=1, position=0):
    """The numbers of the rows that a process visits in an epoch, and the position after each turn."""
    numbers, positions = [], []
    for block, stop in source.blocks(Order(0), epoch, position, lambda: turn):
        for part in block.blocks:
            rows = rows_of(part)
            np.testing.assert_array_equal(
                rows.X[:, 0] if isinstance(rows, DenseRows) else rows.y[:, 0], rows.y[:, 0]
            )
            numbers += rows.y[:, 0].astype(int).tolist()
        positions.append(stop)
    return numbers, positions


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("budget", [WINDOWS, MEMORY])
@pytest.mark.parametrize("blocks", [0, 64])
@pytest.mark.parametrize("part", [Part(), Part(5, 0.2), Part(5, 0.2, held_out=True)])
def test_each_row_is_one_processs(tmp_path, monkeypatch, sparse, size, budget, blocks, part):
    """In memory or in windows, of own blocks or of every so-manieth row: all rows of the part, each once."""
    monkeypatch.setattr(fallline.data.shared, "_BLOCKS", blocks)
    rows = prepared(tmp_path, sparse)
    wanted = np.sort(rows.cache.read().y[part.numbers(rows.block_rows), 0].astype(int))
    found, ends = [], set()
    for rank in range(size):
        source = shared(rows, part, budget, process(rank, size))
        numbers, positions = numbers_visited(source)
        assert source.own.n_rows == len(numbers) <= source.most_rows
        found += numbers
        ends.add(tuple(positions))
        assert positions[-1] == source.n_rows == len(wanted)
    assert len(ends) == 1
    np.testing.assert_array_equal(np.sort(found), wanted)


@pytest.mark.parametrize("budget", [WINDOWS, MEMORY])
def test_an_epoch_can_be_entered_after_any_turn(tmp_path, monkeypatch, budget):
    """From the position after a turn on, the rows are those that come after it."""
    monkeypatch.setattr(fallline.data.shared, "_BLOCKS", 0)
    rows = prepared(tmp_path)
    for rank in range(2):
        whole, positions = numbers_visited(shared(rows, Part(), budget, process(rank, 2)))
        for place in (0, 3, len(positions) - 2):
            rest, _ = numbers_visited(
                shared(rows, Part(), budget, process(rank, 2)), position=positions[place]
            )
            assert rest == whole[min(700 * (place + 1), len(whole)) :]


def test_orders_differ_by_epoch_and_not_by_turn(tmp_path):
    """An epoch's order is another than the last one's, and does not depend on how often processes meet."""
    rows = prepared(tmp_path)
    first, again, other = (
        numbers_visited(shared(rows, Part(), MEMORY, process(1, 2)), turn, epoch)[0]
        for turn, epoch in ((700, 1), (45, 1), (700, 2))
    )
    assert first == again
    assert first != other
    assert sorted(first) == sorted(other)


def test_things_are_divided_evenly():
    """Who takes every so-manieth has as many as the others, or one less."""
    assert divided(7, 3).tolist() == [3, 2, 2]
    assert divided(2, 3).tolist() == [1, 1, 0]
    assert divided(6, 1).tolist() == [6]
