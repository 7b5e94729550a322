"""Statistics of any parts, merged, are those of the whole."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.data.encoder import statistics
from fallline.data.encoder.arrow import NumberColumns
from fallline.data.encoder.statistics import Average, Counts, Largest, Moments, RowSample

FLOATS = st.none() | st.floats(-1e6, 1e6)


def merged(parts):
    first, *others = parts
    for other in others:
        first.merge(other)
    return first


def cut(values, cuts):
    """Parts of a list, cut at some places."""
    places = [0, *sorted(place % (len(values) + 1) for place in cuts), len(values)]
    return [values[start:stop] for start, stop in itertools.pairwise(places)]


@settings(deadline=None)
@given(values=st.lists(FLOATS, min_size=1, max_size=300), cuts=st.lists(st.integers(0, 300), max_size=5))
def test_moments_merge(values, cuts):
    """Count, mean, deviation and range do not depend on how rows are cut, to 1e-12 of the numbers' size."""

    def moments(part):
        return Moments.of(NumberColumns.of([pa.array(part, pa.float64())]), np.array([1.0]))

    found = merged([moments(part) for part in cut(values, cuts)])
    there = np.array([value for value in values if value is not None])
    assert found.count[0] == len(there)
    if len(there):
        size = np.abs(there).max() + 1
        assert found.mean[0] == pytest.approx(there.mean(), abs=1e-12 * size)
        assert found.m2[0] == pytest.approx(there.var() * len(there), abs=1e-12 * size**2 * len(there))
        assert (found.low[0], found.high[0]) == (there.min(), there.max())


@settings(deadline=None)
@given(
    values=st.lists(st.sampled_from(["", "a", "b", "ccc", "ö", None]), max_size=200),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    dictionary=st.booleans(),
)
def test_counts_merge(values, cuts, dictionary):
    """Every value is counted, and missing ones are not, dictionary or not, however rows are cut."""

    def counts(part):
        array = pa.array(part, pa.string())
        return Counts.of(array.dictionary_encode() if dictionary else array)

    found = merged([counts(part) for part in cut(values, cuts)])
    expected = Counter(value for value in values if value is not None)
    names, often = found.most_common()
    assert dict(zip(names, often, strict=True)) == expected
    assert names == sorted(expected, key=lambda value: (-expected[value], value))
    assert (found.distinct(), found.total, found.exact()) == (len(expected), expected.total(), True)


def test_counts_of_many_values_keep_the_frequent_ones(monkeypatch):
    """Beyond the capacity, no count falls short by more than one in so many rows, and distinct values are estimated."""
    monkeypatch.setattr(statistics, "CAPACITY", 64)
    generator = np.random.default_rng(0)
    values = generator.zipf(1.2, 40_000) % 10_000
    found = merged([Counts.of(pa.array(part).cast(pa.string())) for part in np.array_split(values, 13)])
    exact = Counter(map(str, values.tolist()))
    names, often = found.most_common()
    assert not found.exact()
    assert len(names) <= 64
    assert found.short <= len(values) / 64
    for name, count in zip(names, often, strict=True):
        assert 0 <= exact[name] - count <= found.short
    assert {name for name, count in exact.items() if count > found.short} <= set(names)
    assert found.distinct() == pytest.approx(len(exact), rel=0.15)


def sample_of(values, size):
    """The sample of rows that come in batches of some size."""
    starts = range(0, len(values), size)
    return merged(
        [
            RowSample.of(
                NumberColumns.of([pa.array(values[start : start + size])]),
                np.arange(start, min(start + size, len(values)), dtype=np.uint64),
                min(start + size, len(values)),
            )
            for start in starts
        ]
    )


def test_the_sample_does_not_depend_on_the_batches():
    """The same rows are kept however they are cut, a few thousand, and their quantiles are close to those of all."""
    values = np.random.default_rng(1).permutation(100_000).astype(float)
    shares = (0.1, 0.5, 0.9)
    whole = sample_of(values, len(values))
    np.testing.assert_allclose(whole.quantiles(shares)[:, 0], [10_000, 50_000, 90_000], atol=3000)
    for size in (100, 999, 37_000):
        found = sample_of(values, size)
        np.testing.assert_array_equal(found.quantiles(shares), whole.quantiles(shares))
        assert sum(len(hashes) for hashes, _ in found._parts) <= 12_000


@settings(deadline=None)
@given(
    entries=st.lists(st.tuples(st.integers(0, 30) | st.just(2**21), st.floats(-9, 9, width=32)), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=4),
)
def test_largest_magnitudes_merge(entries, cuts):
    """The largest magnitude of every feature that occurs is kept, near or far from the others."""

    def largest(part):
        indices, values = zip(*part, strict=True) if part else ((), ())
        return Largest.of(np.array(indices, np.int32), np.array(values, np.float32))

    found = merged([largest(part) for part in cut(entries, cuts)])
    expected: dict[int, float] = {}
    for index, value in entries:
        expected[index] = max(expected.get(index, 0.0), abs(value))
    assert dict(zip(found.columns.tolist(), found.magnitudes.tolist(), strict=True)) == expected
    assert found.columns.tolist() == sorted(expected)
    assert found.entries == len(entries)


def test_averages_merge():
    """Amounts and rows add up."""
    assert merged([Average(3, 1), Average(1, 3)]).value() == 1.0
