"""Blocks, and what a kernel can ask of one.

A block is a selection of rows: the arrays that hold them, and the numbers of the rows in the order in which they
are to be visited. Nothing is copied to make one, so data in memory are trained on where they lie.

Each type of block implements three verbs over a short run of its rows, which is all that `sweep` knows of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fallline.kernels.compile import generic, inlined
from fallline.kernels.lanes import add_product, load, spread, store, total, width

__all__ = ["DenseBlock", "accumulate", "gather", "score"]

# Rows to look ahead when fetching them into cache: far enough to hide memory's latency, near enough to stay there.
_AHEAD = 48


class DenseBlock(NamedTuple):
    """Rows of row-major arrays.

    Parameters
    ----------
    X : ndarray of shape (n, columns), C-contiguous, float32 or float64
    y : ndarray of shape (n, targets), same dtype
    weight : ndarray of shape (n,), same dtype
    rows : ndarray of shape (rows,), uint64
        Which rows of the three, in visiting order.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    rows: np.ndarray


@generic
def gather(block, start, rows, targets, weight):
    """Copy targets and weights of the `rows` rows from `start` on into `targets` (targets, rows) and `weight`."""
    raise NotImplementedError


@generic
def score(block, start, rows, weights, scores):
    """Fill `scores` (outputs, rows) with the linear predictions of the `rows` rows from `start` on."""
    raise NotImplementedError


@generic
def accumulate(block, start, rows, slopes, gradient):
    """Add the `rows` rows from `start` on, times their `slopes` (outputs, rows), to `gradient`, row after row."""
    raise NotImplementedError


@gather.of(DenseBlock)
def _(block, start, rows, targets, weight):
    for i in range(rows):
        row = block.rows[start + i]
        weight[0, i] = block.weight[row]
        for t in range(targets.shape[0]):
            targets[t, i] = block.y[row, t]


@score.of(DenseBlock)
def _(block, start, rows, weights, scores):
    X, columns = block.X, block.X.shape[1]
    for i in range(0, rows, 4):
        _fetch_two(block, start + i + _AHEAD)
        a, b, c, d = _four_rows(block.rows, start + i, start + rows)
        for k in range(weights.shape[0]):
            p = q = r = s = spread(X.dtype.type(0))
            for j in range(0, columns, width(X)):
                w = load(weights, k, j, columns)
                p = add_product(p, w, load(X, a, j, columns))
                q = add_product(q, w, load(X, b, j, columns))
                r = add_product(r, w, load(X, c, j, columns))
                s = add_product(s, w, load(X, d, j, columns))
            scores[k, i] = total(p) + weights[k, columns]
            scores[k, i + 1] = total(q) + weights[k, columns]
            scores[k, i + 2] = total(r) + weights[k, columns]
            scores[k, i + 3] = total(s) + weights[k, columns]


@accumulate.of(DenseBlock)
def _(block, start, rows, slopes, gradient):
    X, columns = block.X, block.X.shape[1]
    for i in range(0, rows, 4):
        _fetch_two(block, start + i + _AHEAD + 2)
        a, b, c, d = _four_rows(block.rows, start + i, start + rows)
        for k in range(gradient.shape[0]):
            p, q, r, s = slopes[k, i], slopes[k, i + 1], slopes[k, i + 2], slopes[k, i + 3]
            for j in range(0, columns, width(X)):
                g = load(gradient, k, j, columns)
                g = add_product(g, spread(p), load(X, a, j, columns))
                g = add_product(g, spread(q), load(X, b, j, columns))
                g = add_product(g, spread(r), load(X, c, j, columns))
                g = add_product(g, spread(s), load(X, d, j, columns))
                store(gradient, k, j, columns, g)
            gradient[k, columns] = gradient[k, columns] + p + q + r + s


@inlined
def _four_rows(rows, i, stop):
    """The row numbers at the positions i to i + 3, the last before `stop` standing in for those beyond."""
    last = stop - 1
    return rows[i], rows[min(i + 1, last)], rows[min(i + 2, last)], rows[min(i + 3, last)]


@inlined
def _fetch_two(block, i):
    """Start loading the rows at the positions i and i + 1."""
    X, y, rows, last = block.X, block.y, block.rows, len(block.rows) - 1
    a, b = rows[min(i, last)], rows[min(i + 1, last)]
    for j in range(0, X.shape[1], 2 * width(X)):
        _prefetch(X, a, j)
        _prefetch(X, b, j)
    _prefetch(y, a, 0)
    _prefetch(y, b, 0)


@intrinsic
def _prefetch(typing_context, array, row, column):
    """Start loading the cache line of an element; never faults."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        strides = cgutils.unpack_tuple(builder, array.strides)
        offset = builder.add(builder.mul(arguments[1], strides[0]), builder.mul(arguments[2], strides[1]))
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.gep(builder.bitcast(array.data, byte), [offset])
        function_type = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], function_type)
        read, into_second_level, of_data = word(0), word(2), word(1)
        builder.call(prefetch, [address, read, into_second_level, of_data])
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.int64), generate
