"""Slopes and curvatures of a stretch of rows, and losses along a line: what a Newton step needs.

Scores are (outputs, rows) here, as matrix products make them; rows are in memory as dense numbers, standardised.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.blocks import CsrBlock, DenseBlock, fetch_row, row_weight
from fallline.kernels.compile import generic, inlined, kernel
from fallline.kernels.verbs import curve, differentiate, distances

__all__ = ["NewtonMemory", "accumulate", "enlarge", "examine", "measure_bends", "search", "standardise"]

# Rows handled together: their scores, slopes and losses stay in the first-level cache.
_CHUNK = 64


class NewtonMemory(NamedTuple):
    """The arrays that change while `engines.newton` trains.

    K outputs, P columns and the intercept, in G groups of outputs whose curvatures are apart, of Q = K P / G coefficients each.
    All but `weights` are of coefficients in standardised coordinates.

    Parameters
    ----------
    weights : ndarray of shape (K, P), the data's dtype
        What training has come to, in the caller's coordinates.
    coordinates : ndarray of shape (2, P)
        What is subtracted from a column, and what it is then divided by.
    largest : ndarray of shape (P,)
        The largest magnitude seen of each column, standardised; 0 for the intercept.
    points : ndarray of shape (4, K, P)
        The null model, the model last accepted, the one whose slopes are being summed, and the last that fresh rows chose.
    candidates : ndarray of shape (M, K, P)
        What M ways of forgetting propose.
    slopes : ndarray of shape (2, K, P)
        The gradient's sum over the rows of the batch under way; the mean gradient at the model last accepted.
    bent : ndarray of shape (2, G, Q, Q)
        The same for the curvature; of the batch under way, only of the rows whose curvature is summed.
    diagonal : ndarray of shape (G, Q)
        The diagonal of the curvature of all other rows of the batch.
    curvatures : ndarray of shape (M, G, Q, Q)
        Sums over all batches, as each way forgets them.
    linear : ndarray of shape (M, G, Q)
        The linear term of the quadratic models that go with them.
    rows, targets, row_weight : ndarray of shape (capacity, P), (targets, capacity), (capacity,), the data's dtype
        Rows that wait to be used together.
    losses : ndarray of shape (steps + 1,)
        Sums of losses along the line that is searched, and of the loss itself where a smoothed one is searched.
    distances : ndarray of shape (sample,)
        How far scores were from where the loss bends, of some rows.
    clock : ndarray of shape (2,), int64
        Rows in the unfinished batch; updates made.
    """

    weights: np.ndarray
    coordinates: np.ndarray
    largest: np.ndarray
    points: np.ndarray
    candidates: np.ndarray
    slopes: np.ndarray
    bent: np.ndarray
    diagonal: np.ndarray
    curvatures: np.ndarray
    linear: np.ndarray
    rows: np.ndarray
    targets: np.ndarray
    row_weight: np.ndarray
    losses: np.ndarray
    distances: np.ndarray
    clock: np.ndarray


@kernel
def standardise(block, start, shift, inverse, out, targets, weight):
    """Copy rows of a block from `start` on, as many as `out` has.

    Parameters
    ----------
    block : Block
    start : int
    shift, inverse : ndarray of shape (columns,), the dtype of the block
        What is subtracted from each column, and what the difference is multiplied by.
    out : ndarray of shape (rows, columns + 1)
        Its last column becomes 1.
    targets : ndarray of shape (targets, rows)
    weight : ndarray of shape (rows,)

    Returns
    -------
    int
        How many of the numbers are NaN or infinite.
    """
    bad, infinity = 0, out.dtype.type(math.inf)
    for i in range(out.shape[0]):
        row = block.rows[start + i]
        fetch_row(block, start + i)
        _fill(block, row, shift, inverse, out[i])
        out[i, out.shape[1] - 1] = 1.0
        for j in range(out.shape[1]):
            bad += 0 if abs(out[i, j]) < infinity else 1
        weight[i] = row_weight(block, row)
        bad += 0 if abs(weight[i]) < infinity else 1
        for t in range(targets.shape[0]):
            targets[t, i] = block.y[row, t]
            bad += 0 if abs(targets[t, i]) < infinity else 1
    return bad


@kernel
def enlarge(largest, rows):
    """Raise the largest magnitudes of columns (columns + 1,) to those of rows (rows, columns + 1), the last column left out."""
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1] - 1):
            largest[j] = max(largest[j], np.float64(abs(rows[i, j])))


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
        out[block.indices[place]] += block.data[place]
    for j in range(block.columns):
        out[j] = (out[j] - shift[j]) * inverse[j]


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
def accumulate(rows, slopes, curvatures, gradient, diagonal):
    """Add up slopes times rows, and curvatures times their squares, going through the rows once.

    Parameters
    ----------
    rows : ndarray of shape (rows, columns + 1)
    slopes, curvatures : ndarray of shape (outputs, rows), the dtype of the rows
    gradient, diagonal : ndarray of shape (outputs, columns + 1), float64
        What is added to. A few rows at a time are summed in the dtype of the rows.
    """
    width = rows.shape[1]
    first, second = np.empty(width, rows.dtype), np.empty(width, rows.dtype)
    for start in range(0, rows.shape[0], _CHUNK):
        stop = min(start + _CHUNK, rows.shape[0])
        for k in range(slopes.shape[0]):
            first[:], second[:] = 0.0, 0.0
            whole = start + (stop - start) // 4 * 4
            for i in range(start, whole, 4):
                s, c = slopes[k, i : i + 4], curvatures[k, i : i + 4]
                for j in range(width):
                    a, b = rows[i, j], rows[i + 1, j]
                    d, e = rows[i + 2, j], rows[i + 3, j]
                    first[j] += s[0] * a + s[1] * b + s[2] * d + s[3] * e
                    second[j] += c[0] * a * a + c[1] * b * b + c[2] * d * d + c[3] * e * e
            for i in range(whole, stop):
                for j in range(width):
                    first[j] += slopes[k, i] * rows[i, j]
                    second[j] += curvatures[k, i] * rows[i, j] * rows[i, j]
            for j in range(width):
                gradient[k, j] += first[j]
                diagonal[k, j] += second[j]


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
