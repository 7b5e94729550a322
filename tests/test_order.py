"""The order of rows, and the sizes of batches, for any numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.data.order import Order
from fallline.settings import rows_per_batch

SEEDS = st.integers(0, 2**63 - 1)
SIZES = st.integers(1, 5000)
# Around 2**14 rows, from which on they move in groups, and whole turns of 64 groups of 16.
MANY = st.integers(1, 2**16) | st.integers(-20, 20).map(lambda more: 2**14 + more) | st.just(2**15)


@settings(deadline=None)
@given(seed=SEEDS, epoch=st.integers(0, 10**6), n=SIZES)
def test_every_epoch_visits_every_row_once(seed, epoch, n):
    """Whatever seed, epoch and number of rows: the order is a permutation."""
    np.testing.assert_array_equal(np.sort(Order(seed).rows(n, epoch, 0, n)), np.arange(n))


@settings(deadline=None)
@given(seed=SEEDS, n=SIZES, cut=st.floats(0, 1))
def test_any_stretch_is_that_of_the_whole(seed, n, cut):
    """An epoch can be entered anywhere: a stretch asked for alone is what it is in the whole order."""
    middle = int(cut * n)
    order = Order(seed)
    whole = order.rows(n, 3, 0, n)
    np.testing.assert_array_equal(order.rows(n, 3, middle, n), whole[middle:])
    np.testing.assert_array_equal(order.rows(n, 3, 0, middle), whole[:middle])


@settings(deadline=None)
@given(seed=SEEDS, n=MANY, places=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_groups_are_permuted(seed, n, places):
    """Rows in groups, too, come once each, and any stretch of them is that of the whole."""
    order = Order(seed)
    whole = order.grouped(n, 3, 0, n)
    np.testing.assert_array_equal(np.sort(whole), np.arange(n))
    start, stop = sorted(int(place * n) for place in places)
    np.testing.assert_array_equal(order.grouped(n, 3, start, stop), whole[start:stop])


def test_groups_take_turns():
    """In large numbers, a neighbour comes 64 rows later, and what lies between is from all places, to the end of an epoch."""
    n = 2**17 + 40 * 16 + 5
    rows = Order(4).grouped(n, 0, 0, n).astype(int)
    near = rows[64:] - rows[:-64] == 1
    assert near.mean() > 0.9  # 15 of 16: groups lie together in memory
    for start in (0, 640, n - 500, n - 64):
        turn = rows[start : start + 64]
        assert len(set(turn // 16)) >= 63  # where the short group has ended, the first comes again
        assert np.histogram(turn, 4, (0, n))[0].min() >= 5


def test_orders_depend_on_seed_and_epoch_only():
    """Equal numbers give equal orders; another seed or epoch gives another; without shuffling rows come in order."""
    order = Order(5).rows(1000, 0, 0, 1000)
    np.testing.assert_array_equal(order, Order(5).rows(1000, 0, 0, 1000))
    assert (order != Order(5).rows(1000, 1, 0, 1000)).any()
    assert (order != Order(6).rows(1000, 0, 0, 1000)).any()
    np.testing.assert_array_equal(Order(5, shuffle=False).rows(1000, 7, 10, 20), np.arange(10, 20))


@given(
    n=st.integers(1, 10**12),
    rows=st.integers(1, 10**12),
    share=st.floats(0, 1, exclude_min=True, exclude_max=True),
)
def test_batches_have_between_one_row_and_all(n, rows, share):
    """A number of rows, a fraction and "full" all come to something between 1 and n."""
    assert rows_per_batch(rows, n) == min(rows, n)
    assert 1 <= rows_per_batch(share, n) <= n
    assert rows_per_batch("full", n) == n
