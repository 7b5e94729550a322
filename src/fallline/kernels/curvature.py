"""Slopes and curvatures of a stretch of rows, and losses along a line: what a Newton step needs.

Scores are (outputs, rows) here, as matrix products make them; rows are in memory as dense numbers, standardised.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.blocks import CsrBlock, DenseBlock
from fallline.kernels.compile import generic, inlined, kernel
from fallline.kernels.verbs import curve, differentiate, distances

__all__ = ["examine", "measure_bends", "search", "standardise"]

# Rows handled together: their scores, slopes and losses stay in the first-level cache.
_CHUNK = 64


@kernel
def standardise(block, start, shift, inverse, out, targets, weight):
    """Copy rows of a block from `start` on, as many as `out` has.

    Parameters
    ----------
    block : Block
    start : int
    shift, inverse : ndarray of shape (columns,), the dtype of the block
        What is subtracted from each column, and what the difference is multiplied by. Sparse rows are not shifted.
    out : ndarray of shape (rows, columns + 1)
        Its last column becomes 1.
    targets : ndarray of shape (targets, rows)
    weight : ndarray of shape (rows,)
    """
    for i in range(out.shape[0]):
        row = block.rows[start + i]
        _fill(block, row, shift, inverse, out[i])
        out[i, out.shape[1] - 1] = 1.0
        weight[i] = block.weight[row]
        for t in range(targets.shape[0]):
            targets[t, i] = block.y[row, t]


@generic
def _fill(block, row, shift, inverse, out):
    """Copy one row, standardised."""
    raise NotImplementedError


@_fill.of(DenseBlock)
def _(block, row, shift, inverse, out):
    X = block.X[row]
    for j in range(X.shape[0]):
        out[j] = (X[j] - shift[j]) * inverse[j]


@_fill.of(CsrBlock)
def _(block, row, shift, inverse, out):
    out[:] = 0.0
    for place in range(block.indptr[row], block.indptr[row + np.uint64(1)]):
        j = block.indices[place]
        out[j] += block.data[place] * inverse[j]


@kernel
def examine(loss, scores, targets, weight, values, slopes, curvatures):
    """Fill in weight times loss (rows,), and weight times its first and second derivatives (outputs, rows).

    Returns the sum of the first; infinity if a score is not finite or a loss is too large.
    """
    outputs, rows = scores.shape
    work, pieces = _work(outputs, targets.shape[0])
    total = 0.0
    for start in range(0, rows, _CHUNK):
        count = min(_CHUNK, rows - start)
        _gather(targets, start, count, work.targets)
        _gather(scores, start, count, work.scores)
        differentiate(loss, count, work.scores, work.targets, work.values, pieces)
        for k in range(outputs):
            for i in range(count):
                slopes[k, start + i] = pieces[k, i] * weight[start + i]
        _gather(scores, start, count, work.scores)
        curve(loss, count, work.scores, work.targets, pieces)
        for k in range(outputs):
            for i in range(count):
                curvatures[k, start + i] = pieces[k, i] * weight[start + i]
        for i in range(count):
            values[start + i] = work.values[0, i] * weight[start + i]
            total += values[start + i]
    return total if math.isfinite(total) else math.inf


@kernel
def search(loss, begin, end, targets, weight, steps, totals):
    """Add to `totals` the sums of weight times loss at `begin + step (end - begin)`, for each of the steps."""
    outputs, rows = begin.shape
    work, slopes = _work(outputs, targets.shape[0])
    for start in range(0, rows, _CHUNK):
        count = min(_CHUNK, rows - start)
        _gather(targets, start, count, work.targets)
        for s in range(len(steps)):
            for k in range(outputs):
                for i in range(count):
                    first = np.float64(begin[k, start + i])
                    work.scores[k, i] = first + steps[s] * (np.float64(end[k, start + i]) - first)
            differentiate(loss, count, work.scores, work.targets, work.values, slopes)
            total = 0.0
            for i in range(count):
                total += work.values[0, i] * weight[start + i]
            totals[s] += total if math.isfinite(total) else math.inf


@kernel
def measure_bends(loss, scores, targets, out):
    """Fill `out` (outputs, rows) with the rows' distances from where the loss bends."""
    outputs, rows = scores.shape
    work, pieces = _work(outputs, targets.shape[0])
    for start in range(0, rows, _CHUNK):
        count = min(_CHUNK, rows - start)
        _gather(targets, start, count, work.targets)
        _gather(scores, start, count, work.scores)
        distances(loss, count, work.scores, work.targets, pieces)
        for k in range(outputs):
            for i in range(count):
                out[k, start + i] = pieces[k, i]


class _Work(NamedTuple):
    """Room for a few rows."""

    scores: np.ndarray
    targets: np.ndarray
    values: np.ndarray


@inlined
def _work(outputs, targets):
    work = _Work(np.empty((outputs, _CHUNK)), np.empty((targets, _CHUNK)), np.empty((1, _CHUNK)))
    return work, np.empty((outputs, _CHUNK))


@inlined
def _gather(source, start, count, out):
    for k in range(source.shape[0]):
        for i in range(count):
            out[k, i] = source[k, start + i]
