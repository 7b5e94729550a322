"""Blocks, and what a kernel can ask of one.

A block is a selection of rows: the arrays that hold them, and the numbers of the rows in the order in which they
are to be visited. Nothing is copied to make one, so data in memory are trained on where they lie.

Each type of block implements five verbs over a short run of its rows, which is all that `sweep` knows of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fallline.kernels.compile import generic, inlined, kernel
from fallline.kernels.lanes import (
    PADDING,
    add_product,
    lanes_of,
    load,
    load_row,
    prefetch,
    prefetch_at,
    spread,
    store,
    total,
)

__all__ = [
    "Block",
    "CsrBlock",
    "DenseBlock",
    "accumulate",
    "bounds",
    "copy_csr_rows",
    "dot",
    "fetch_row",
    "gather",
    "padded",
    "row_weight",
    "row_weights",
    "score",
]

# Rows to look ahead when fetching them into cache: far enough to hide memory's latency, and beyond the chunk of rows whose
# targets are read together; near enough to stay there.
_AHEAD = 48
# Numbers of four bytes in a cache line.
_LINE = np.uint64(16)
_ONE = np.uint64(1)


class DenseBlock(NamedTuple):
    """Rows of row-major arrays.

    Parameters
    ----------
    X : ndarray of shape (n, columns), C-contiguous, float32 or float64
    y : ndarray of shape (n, targets), same dtype
    weight : ndarray of shape (n,), same dtype; or (1,), where all rows weigh the same
    rows : ndarray of shape (rows,), uint64
        Which rows of the three, in visiting order.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    rows: np.ndarray

    def scales(self):
        """The largest magnitude in X, and the standard deviation of each column."""
        sample = self.X[self.rows].astype(np.float64)
        with np.errstate(all="ignore"):
            return np.abs(sample).max(), sample.std(axis=0)


class CsrBlock(NamedTuple):
    """Rows of which only what is not zero is held.

    Row i holds `data[indptr[i]:indptr[i + 1]]` in the columns `indices[indptr[i]:indptr[i + 1]]`.

    Parameters
    ----------
    indptr : ndarray of shape (n + 1,), uint64
    indices : ndarray of shape (non-zeros,), uint32 or uint64
    data : ndarray of shape (non-zeros,), float32 or float64
    columns : int
        How many columns there are.
    y : ndarray of shape (n, targets), same dtype as `data`
    weight : ndarray of shape (n,), same dtype as `data`; or (1,), where all rows weigh the same
    rows : ndarray of shape (rows,), uint64
        Which rows, in visiting order.
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    columns: int
    y: np.ndarray
    weight: np.ndarray
    rows: np.ndarray

    def scales(self):
        """The largest magnitude in X, and the standard deviation of each column."""
        bounds = zip(self.indptr[self.rows], self.indptr[self.rows + _ONE], strict=True)
        places = np.concatenate([np.arange(begin, end, dtype=np.intp) for begin, end in bounds])
        columns, data = self.indices[places].astype(np.intp), self.data[places].astype(np.float64)
        with np.errstate(all="ignore"):
            mean, square = (
                np.bincount(columns, powers, self.columns) / len(self.rows) for powers in (data, data**2)
            )
            return np.abs(data).max(initial=0.0), np.sqrt(np.maximum(square - mean**2, 0.0))


Block = DenseBlock | CsrBlock


def row_weights(block: Block) -> np.ndarray:
    """The weights (n,) of the rows by their numbers."""
    return np.broadcast_to(block.weight, len(block.y))


@inlined
def row_weight(block, row):
    """The weight of the row of a number."""
    # One type of array, whether weights are given or not, is half as many kernels to compile.
    return block.weight[np.minimum(row, np.uint64(len(block.weight) - 1))]


@generic
def padded(block, weights):
    """The weights as `score` wants them: for dense rows a copy, each output's followed by zeros as `lanes` want it."""
    raise NotImplementedError


@generic
def gather(block, start, rows, targets, weight):
    """Copy targets and weights of the `rows` rows from `start` on into `targets` (targets, rows) and `weight` (1, rows)."""
    raise NotImplementedError


@generic
def score(block, start, rows, weights, scores, alone):
    """Fill `scores` (outputs, rows) with the linear predictions of the `rows` rows from `start` on.

    A row of `weights` holds a number a column, the intercept, and zeros (see `lanes`). Up to the next multiple of
    four, there may be scores of no meaning after those of the rows. `alone`: the rows are not accumulated afterwards, so
    all of the rows to come are fetched here.
    """
    raise NotImplementedError


@generic
def accumulate(block, start, rows, slopes, gradient):
    """Add the `rows` rows from `start` on, times their `slopes` (outputs, rows), to `gradient`, row after row.

    `gradient` is laid out as `weights` are. Up to the next multiple of four, zeros follow the slopes of the rows.
    """
    raise NotImplementedError


@generic
def fetch_row(block, i):
    """Start loading the row that comes `_AHEAD` rows after the one at i, or the last."""
    raise NotImplementedError


@padded.of(DenseBlock)
def _(block, weights):
    outputs, width = weights.shape
    copy = np.zeros((outputs, width + PADDING), weights.dtype)
    for k in range(outputs):
        for j in range(width):
            copy[k, j] = weights[k, j]
    return copy


@padded.of(CsrBlock)
def _(block, weights):
    return weights


@gather.of(DenseBlock, CsrBlock)
def _(block, start, rows, targets, weight):
    for i in range(rows):
        weight[0, i] = row_weight(block, block.rows[start + i])
    for t in range(targets.shape[0]):
        for i in range(rows):
            targets[t, i] = block.y[block.rows[start + i], t]


@score.of(DenseBlock)
def _(block, start, rows, weights, scores, alone):
    X = block.X
    for i in range(0, rows, 4):
        a, b, c, d = _four_rows(block, start + i, start + rows)
        for k in range(weights.shape[0]):
            p = q = r = s = spread(X.dtype.type(0))
            for j in range(0, X.shape[1] + 1, lanes_of(X)):
                w = load(weights, k, j)
                p = add_product(p, w, load_row(X, a, j))
                q = add_product(q, w, load_row(X, b, j))
                r = add_product(r, w, load_row(X, c, j))
                s = add_product(s, w, load_row(X, d, j))
            scores[k, i], scores[k, i + 1] = total(p), total(q)
            scores[k, i + 2], scores[k, i + 3] = total(r), total(s)
        fetch_row(block, start + i)
        fetch_row(block, start + i + 1)
        if alone:
            fetch_row(block, start + i + 2)
            fetch_row(block, start + i + 3)


@accumulate.of(DenseBlock)
def _(block, start, rows, slopes, gradient):
    X = block.X
    for i in range(0, rows, 4):
        a, b, c, d = _four_rows(block, start + i, start + rows)
        for k in range(gradient.shape[0]):
            p, q = spread(slopes[k, i]), spread(slopes[k, i + 1])
            r, s = spread(slopes[k, i + 2]), spread(slopes[k, i + 3])
            for j in range(0, X.shape[1] + 1, lanes_of(X)):
                g = load(gradient, k, j)
                g = add_product(g, p, load_row(X, a, j))
                g = add_product(g, q, load_row(X, b, j))
                g = add_product(g, r, load_row(X, c, j))
                g = add_product(g, s, load_row(X, d, j))
                store(gradient, k, j, g)
        fetch_row(block, start + i + 2)
        fetch_row(block, start + i + 3)


@inlined
def _four_rows(block, i, stop):
    """The numbers of the rows at i to i + 3; beyond the last before `stop`, that one again."""
    rows, last = block.rows, stop - 1
    return rows[i], rows[min(i + 1, last)], rows[min(i + 2, last)], rows[min(i + 3, last)]


@score.of(CsrBlock)
def _(block, start, rows, weights, scores, alone):
    for i in range(rows):
        begin, end = bounds(block, block.rows[start + i])
        indices, data = block.indices[begin:end], block.data[begin:end]
        for k in range(weights.shape[0]):
            scores[k, i] = weights[k, block.columns] + dot(indices, data, weights, k)
        fetch_row(block, start + i)


@accumulate.of(CsrBlock)
def _(block, start, rows, slopes, gradient):
    for i in range(rows):
        begin, end = bounds(block, block.rows[start + i])
        indices, data = block.indices[begin:end], block.data[begin:end]
        for k in range(gradient.shape[0]):
            for j in range(data.size):
                gradient[k, indices[j]] += slopes[k, i] * data[j]
            gradient[k, block.columns] += slopes[k, i]


@inlined
def dot(indices, data, weights, k):
    """A row times the weights of an output: four sums at a time, so that additions need not wait for each other."""
    p = q = r = s = data.dtype.type(0)
    whole = data.size // 4 * 4
    for j in range(0, whole, 4):
        p += data[j] * weights[k, indices[j]]
        q += data[j + 1] * weights[k, indices[j + 1]]
        r += data[j + 2] * weights[k, indices[j + 2]]
        s += data[j + 3] * weights[k, indices[j + 3]]
    for j in range(whole, data.size):
        p += data[j] * weights[k, indices[j]]
    return (p + q) + (r + s)


@fetch_row.of(DenseBlock)
def _(block, i):
    X, row = block.X, block.rows[min(i + _AHEAD, len(block.rows) - 1)]
    for j in range(0, X.shape[1], 2 * lanes_of(X)):
        prefetch(X, row, j)
    prefetch(block.y, row, 0)


@fetch_row.of(CsrBlock)
def _(block, i):
    rows, last = block.rows, len(block.rows) - 1
    # What tells where the non-zeros of a later row begin and end has to be there before these can be asked for.
    prefetch_at(block.indptr, rows[min(i + 2 * _AHEAD, last)])
    row = rows[min(i + _AHEAD, last)]
    prefetch(block.y, row, 0)
    begin, end = bounds(block, row)
    for place in range(begin, end, _LINE):
        prefetch_at(block.indices, place)
        prefetch_at(block.data, place)


@kernel
def copy_csr_rows(block, indices, data):
    """Copy the non-zeros of the block's rows, one row after the other, into `indices` and `data`."""
    to = 0
    for i in range(len(block.rows)):
        fetch_row(block, i)
        begin, end = bounds(block, block.rows[i])
        for j in range(begin, end):
            indices[to] = block.indices[j]
            data[to] = block.data[j]
            to += 1


@inlined
def bounds(block, row):
    """Where the non-zeros of a row begin and end."""
    return block.indptr[row], block.indptr[row + _ONE]
