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
from numba.extending import intrinsic

from fallline.kernels.compile import generic, inlined

__all__ = ["DenseBlock", "accumulate", "gather", "score"]

# Rows to look ahead when fetching them into cache: far enough to hide memory's latency, near enough to stay there.
_AHEAD = 16
_CACHE_LINE = 64


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
def gather(block, start, stop, targets, weight):
    """Copy targets and weights of the rows from `start` to `stop` into `targets` (targets, rows) and `weight`."""
    raise NotImplementedError


@generic
def score(block, start, stop, weights, scores):
    """Fill `scores` (outputs, rows) with the linear predictions of the rows from `start` to `stop`."""
    raise NotImplementedError


@generic
def accumulate(block, start, stop, slopes, gradient):
    """Add the rows from `start` to `stop`, times their `slopes` (outputs, rows), to `gradient`, row after row."""
    raise NotImplementedError


@gather.of(DenseBlock)
def _(block, start, stop, targets, weight):
    for i in range(stop - start):
        row = block.rows[start + i]
        weight[i] = block.weight[row]
        for t in range(targets.shape[0]):
            targets[t, i] = block.y[row, t]


@score.of(DenseBlock)
def _(block, start, stop, weights, scores):
    columns = block.X.shape[1]
    last = len(block.rows) - 1
    for i in range(start, stop):
        _fetch_row(block.X, block.rows[min(i + _AHEAD, last)])
        x = block.X[block.rows[i]]
        for k in range(weights.shape[0]):
            scores[k, i - start] = _dot(x, weights[k, :columns]) + weights[k, columns]


@accumulate.of(DenseBlock)
def _(block, start, stop, slopes, gradient):
    X, rows, columns = block.X, block.rows, block.X.shape[1]
    for k in range(gradient.shape[0]):
        g = gradient[k]
        i = start
        while i + 4 <= stop:
            a, b, c, d = slopes[k, i - start : i - start + 4]
            _add_four(g, a, X[rows[i]], b, X[rows[i + 1]], c, X[rows[i + 2]], d, X[rows[i + 3]])
            g[columns] = g[columns] + a + b + c + d
            i += 4
        while i < stop:
            a = slopes[k, i - start]
            _add_one(g, a, X[rows[i]])
            g[columns] += a
            i += 1


@inlined(reassociate=True)
def _dot(x, w):
    total = w.dtype.type(0)
    for j in range(x.size):
        total += x[j] * w[j]
    return total


@inlined
def _add_one(g, a, x):
    for j in range(x.size):
        g[j] = g[j] + a * x[j]


@inlined
def _add_four(g, a, x, b, y, c, z, d, u):
    """What four calls of `_add_one` do, in their order, in one pass over `g`."""
    for j in range(x.size):
        g[j] = g[j] + a * x[j] + b * y[j] + c * z[j] + d * u[j]


@inlined
def _fetch_row(X, row):
    start = row * np.uint64(X.strides[0])
    for line in range(0, X.strides[0], _CACHE_LINE):
        _prefetch(X, start + np.uint64(line))


@intrinsic
def _prefetch(typing_context, array, offset):
    """Start loading the cache line that is `offset` bytes into the array; never faults."""

    def generate(context, builder, signature, arguments):
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.gep(builder.bitcast(data, byte), [arguments[1]])
        function_type = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], function_type)
        read, into_second_level, of_data = word(0), word(2), word(1)
        builder.call(prefetch, [address, read, into_second_level, of_data])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate
