"""The encoder's kernels against oracles: known hashes, NumPy's sums, slices and null bitmaps of any kind."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils import murmurhash3_32

from fallline.data.encoder.arrow import NumberColumns, bytes_of
from fallline.kernels.encode import NUMBER_TYPES, first_disorder, moments, pick, standardise
from fallline.kernels.hashing import hash_strings, hash_words


def hashes_of(texts, prefix=b""):
    offsets, data = bytes_of(pa.array(texts, pa.large_binary()).cast(pa.large_binary()))
    out = np.empty(len(texts), np.uint32)
    hash_strings(np.frombuffer(prefix, np.uint8), offsets, data, out)
    return out.tolist()


@pytest.mark.parametrize(
    ("key", "hashed"),
    [(b"", 0), (b"test", 0xBA6BD213), (b"Hello, world!", 0xC0363E43),
     (b"The quick brown fox jumps over the lazy dog", 0x2E4FF723)],
)  # fmt: skip
def test_known_hashes(key, hashed):
    """The published vectors of MurmurHash3 x86_32 with seed 0."""
    assert hashes_of([key]) == [hashed]


@settings(deadline=None)
@given(texts=st.lists(st.binary(max_size=40), min_size=1), prefix=st.binary(max_size=9))
def test_hashes_are_murmur_s_behind_the_prefix(texts, prefix):
    """Any bytes behind any prefix hash as scikit-learn's own implementation does."""
    assert hashes_of(texts, prefix) == [murmurhash3_32(prefix + text, positive=True) for text in texts]


def words_of(texts, n=2, buckets=2**20):
    """The rows of `hash_words`, as dicts."""
    offsets, data = bytes_of(pa.array(texts, pa.large_string()))
    indptr = np.empty(len(texts) + 1, np.int64)
    indices, values = np.empty(n * len(data), np.int32), np.empty(n * len(data), np.float32)
    hash_words(np.frombuffer(b"t=", np.uint8), offsets, data, n, buckets, indptr, indices, values)
    return [
        (indices[start:stop].tolist(), values[start:stop].tolist())
        for start, stop in itertools.pairwise(indptr)
    ]


def test_words_and_pairs_are_hashed_and_scaled():
    """A row holds its words and pairs of neighbours, each once, ascending, times how often they come, at length 1."""
    text = "the cat, the_dog: «the» cat\u2014a"
    words = ["the", "cat", "the_dog", "the", "cat", "a"]
    grams = words + [f"{a} {b}" for a, b in itertools.pairwise(words)]
    buckets = [murmurhash3_32(f"t={gram}".encode(), positive=True) % 2**20 for gram in grams]
    (indices, values), empty, signs = words_of([text, "", "... !"])
    assert indices == sorted(set(buckets))
    counts = np.array([buckets.count(index) for index in indices])
    np.testing.assert_allclose(values, counts / np.linalg.norm(counts), rtol=1e-6)
    assert empty == signs == ([], [])


@st.composite
def columns(draw):
    """Columns of every type, with nulls and NaN, sliced anywhere."""
    type_ = draw(st.sampled_from(["float32", "float64", *NUMBER_TYPES[2:]]))
    n = draw(st.integers(1, 1200))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    values = (generator.standard_normal(n) * 50).astype(type_, casting="unsafe")
    if type_.startswith("float"):
        values[generator.random(n) < 0.1] = np.nan
    mask = generator.random(n) < draw(st.sampled_from([0, 0.1, 0.9, 1]))
    start = draw(st.integers(0, n - 1))
    return pa.array(values, mask=mask)[start : draw(st.integers(start + 1, n))]


def as_floats(column):
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(float)


@settings(deadline=None, max_examples=200)
@given(column=columns())
def test_moments_are_numpy_s(column):
    """Whatever the type, the nulls and the slice: count, sums, lowest and highest are those of the values there are."""
    x, out, found = as_floats(column), np.empty((1, 5)), NumberColumns.of([column])
    moments(found.address, found.kinds, np.array([3.0]), out)
    there = x[~np.isnan(x)] - 3
    lowest, highest = (there.min() + 3, there.max() + 3) if len(there) else (np.inf, -np.inf)
    expected = [len(there), there.sum(), (there**2).sum(), lowest, highest]
    np.testing.assert_allclose(out[0], expected, rtol=1e-12, atol=1e-9)


@settings(deadline=None, max_examples=100)
@given(column=columns(), width=st.integers(1, 40), first=st.integers(0, 3))
def test_columns_become_standardised_rows(column, width, first):
    """Any number of columns lands where it belongs, missing values as 0, with a flag where one is asked for."""
    x, found = as_floats(column), NumberColumns.of([column] * width)
    flags = np.where(np.arange(width) % 3 == 1, first + width + np.cumsum(np.arange(width) % 3 == 1) - 1, -1)
    out = np.full((len(x), first + width + (flags >= 0).sum() + 1), 7, np.float32)
    scales = np.linspace(0.5, 2, width)
    assert standardise(found.address, found.kinds, np.full(width, 3.0), scales, flags, first, out) == 0
    expected = np.nan_to_num(((x[:, np.newaxis] - 3.0) * scales).astype(np.float32))
    np.testing.assert_allclose(out[:, first : first + width], expected, rtol=1e-6)
    np.testing.assert_array_equal(
        out[:, first + width : -1], np.repeat(np.isnan(x)[:, None], (flags >= 0).sum(), 1)
    )
    assert (out[:, :first] == 7).all()
    assert (out[:, -1] == 7).all()


def test_numbers_beyond_float32_are_counted():
    """Infinity, and what becomes infinite, does not pass unnoticed."""
    found = NumberColumns.of([pa.array([1.0, np.inf, -np.inf, 1e300, 5.0])])
    out = np.empty((5, 1), np.float32)
    assert standardise(found.address, found.kinds, np.zeros(1), np.ones(1), np.array([-1]), 0, out) == 3


def test_rows_can_be_picked():
    """Single rows are read as whole columns are."""
    found = NumberColumns.of([pa.array([9, 1, None, 3])[1:], pa.array([0.5, 1.5, 2.5])])
    out = np.empty((2, 2))
    pick(found.address, found.kinds, np.array([1, 2]), out)
    np.testing.assert_array_equal(out, [[np.nan, 1.5], [3, 2.5]])


def test_disorder_is_found_within_rows_only():
    """Indices ascend in a row, and begin again in the next."""
    indptr = np.array([0, 2, 2, 4])
    assert first_disorder(indptr, np.array([1, 5, 0, 3])) == -1
    assert first_disorder(indptr, np.array([1, 5, 3, 3])) == 2
