"""What `engines.saga` remembers, and its walk: one row at a time through the dual. Symbols are those of that package.

Coefficients are float64 here and column after column, the outputs of a column together, since a sparse row visits columns. What
is done with one row stands in `saga_rows`, what is learned of columns in `saga_columns`, sums over all rows at a fixed model in
`saga_sums`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.compile import inlined, kernel
from fallline.kernels.implicit import bend, settle
from fallline.kernels.saga_columns import enter, radii, renew, weigh
from fallline.kernels.saga_rows import fetch, finite, meet, move, recall, targets_of, work_for
from fallline.kernels.verbs import differentiate

__all__ = ["STRAIGHT", "SagaMemory", "Walk", "ascend", "look"]

STRAIGHT = 0.3
"""Of the curvature that a parabola would have, what is taken for a loss of straight pieces."""

# Of how many rows one is asked for its curvature; a power of two.
_SAMPLED = 4


class SagaMemory(NamedTuple):
    """The arrays that change while `engines.saga` trains: K outputs, P columns and the intercept.

    Parameters
    ----------
    weights : ndarray of shape (K, P), the data's dtype
        What training has come to, in the caller's coordinates.
    point : ndarray of shape (P, K)
        The model before shrinking, u in (3); in full passes, the model that is tried.
    centre : ndarray of shape (P, K)
        c in (2); in full passes, the model last accepted.
    moves : ndarray of shape (P, K)
        How the centre moved last.
    columns : ndarray of shape (4, P)
        Of each column the shift, the sum of squares, the largest square times numbers in its row, and the metric M.
    null : ndarray of shape (3, K)
        Of the model of intercepts alone: these, and over the rows that it has met sums of curvatures and of squared slopes.
    sums : ndarray of shape (10,)
        Since the last look: pull times squared changes of slopes, the latter alone, R_0 and R_1 of (8); and of rows sampled,
        curvatures, how many there were, squared slopes, losses. Last the losses of the null model, and of how many rows. In a
        pass that checks, the first is S of (9).
    gradient, curved : ndarray of shape (P, K), or empty
        Sums of slopes times columns and of curvatures times squared columns over the full pass under way.
    kept : ndarray of shape (5, P, K), or empty
        Of full passes: direction, gradient and diagonal of the model last accepted.
    steps, changes : ndarray of shape (pairs, P, K), or empty
        The latest steps, and the changes of gradient that came with them.
    active : ndarray of shape (A,), int64
        Of active passes, columns whose curvature is summed: of each group of outputs in ascending order, one group after the
        other. A group is one output, or all where the loss couples them.
    edges : ndarray of shape (groups + 1,), int64
        Where in `active` the groups begin and end.
    bent : ndarray of shape (sum of Q * Q,), or empty
        Of each group the curvature of its outputs' Q coefficients in its columns and intercepts.
    waiting : ndarray of shape (rows, columns + targets + 2), the data's dtype, or empty
        Dense rows whose curvature is summed together: active columns, a one, targets and weight.
    table : ndarray of shape (numbers, K), the data's dtype, or empty
        The slope of each row.
    clock : ndarray of shape (2,), int64
        Rows in an unfinished batch, of which there is none, and updates made.
    """

    weights: np.ndarray
    point: np.ndarray
    centre: np.ndarray
    moves: np.ndarray
    columns: np.ndarray
    null: np.ndarray
    sums: np.ndarray
    clock: np.ndarray
    gradient: np.ndarray = np.zeros((0, 0))
    curved: np.ndarray = np.zeros((0, 0))
    kept: np.ndarray = np.zeros((0, 0, 0))
    steps: np.ndarray = np.zeros((0, 0, 0))
    changes: np.ndarray = np.zeros((0, 0, 0))
    active: np.ndarray = np.zeros(0, np.int64)
    edges: np.ndarray = np.zeros(0, np.int64)
    bent: np.ndarray = np.zeros(0)
    waiting: np.ndarray = np.zeros((0, 0))
    table: np.ndarray = np.zeros((0, 0), np.float32)


class Walk(NamedTuple):
    """What stays the same during a walk, beside the loss: what is compiled of it serves all losses.

    Parameters
    ----------
    penalty : NamedTuple
    rows : float
        n, the rows of an epoch.
    share : float
        kappa in (4).
    fit_intercept : bool
    """

    penalty: NamedTuple
    rows: float
    share: float
    fit_intercept: bool


@kernel
def look(block, start, stop, seen, loss, walk, memory, loss_sum):
    """See what rows are like before any is learned from: columns, and the model of intercepts alone.

    Arguments and result are those of `ascend`.
    """
    work = work_for(block, memory.point.shape[1])
    for i in range(start, stop):
        row, count = block.rows[i], seen + i - start + 1
        enter(block, row, count, walk.fit_intercept, memory.columns)
        weight = targets_of(block, row, work)
        _measure_radii(block, row, count, walk, memory)
        for k in range(memory.null.shape[1]):
            work.found[k, 0] = memory.null[0, k]
        _null(loss, walk, weight, work, memory)
        recall(work)
        differentiate(loss, 1, work.scores, work.targets, work.values, work.steep)
        loss_sum += weight * work.values[0, 0]
        recall(work)
        _sample(loss, weight, work, memory.sums)
        if not finite(work.found, loss_sum):
            return math.nan
    return loss_sum


@kernel
def ascend(block, start, stop, seen, numbers, loss, walk, memory, loss_sum):
    """Settle the slopes of rows, one after the other, each at the model that the one before left: (5) and (6).

    Parameters
    ----------
    block : Block
    start, stop : int
        Which of its rows.
    seen : int
        Rows seen so far in the first pass, whose columns are being learned; 0 in later ones.
    numbers : ndarray of int
        By which the table knows the block's rows.
    loss : NamedTuple
    walk : Walk
    memory : SagaMemory
    loss_sum : float

    Returns
    -------
    loss_sum : float
        With the rows' weight times loss added; not finite if a score is not.
    """
    outputs = memory.point.shape[1]
    work = work_for(block, outputs)
    table, sums = memory.table, memory.sums
    for i in range(start, stop):
        row, number = block.rows[i], numbers[i]
        if seen > 0:
            _learn(block, row, numbers[i], seen + i - start + 1, loss, walk, work, memory)
        weight = targets_of(block, row, work)
        pull = meet(block, row, walk, memory, work.found)
        for k in range(outputs):
            work.slopes[k, 0] = table[number, k]
            work.before[k, 0] = table[number, k]
        recall(work)
        differentiate(loss, 1, work.scores, work.targets, work.values, work.steep)
        loss_sum += weight * work.values[0, 0]
        if not finite(work.found, loss_sum):
            return math.nan
        if numbers[i] % _SAMPLED == 0:
            recall(work)
            _sample(loss, weight, work, sums)
        recall(work)
        settle(loss, pull, weight, work.scores, work.targets, work.slopes)
        square = 0.0
        for k in range(outputs):
            table[number, k] = work.slopes[k, 0]
            # What the table could not hold is not moved by either.
            work.slopes[k, 0] = table[number, k] - work.before[k, 0]
            square += work.slopes[k, 0] * work.slopes[k, 0]
        if not math.isfinite(square):
            return math.nan
        if square > 0.0:
            move(block, row, walk, memory, work.slopes)
        sums[0] += pull * square
        sums[1] += square
        if i + 1 < stop:
            fetch(block, i)
    memory.clock[1] += stop - start
    return loss_sum


@inlined
def _sample(loss, weight, work, sums):
    """What the curvature is like, and what slopes and losses would make of it."""
    bend(loss, work.scores, work.targets, work.bent)
    bent, square, steep = 0.0, 0.0, 0.0
    for k in range(work.found.shape[0]):
        bent += work.bent[k, 0]
        square += work.bent[k, 0] * work.bent[k, 0]
        steep += work.steep[k, 0] * work.steep[k, 0]
    # Outputs that bend more count for more: the others are settled.
    sums[4] += weight * square / bent if bent > 0.0 else 0.0
    sums[5] += 1.0
    sums[6] += weight * weight * steep
    sums[7] += weight * work.values[0, 0]


@inlined
def _learn(block, row, number, count, loss, walk, work, memory):
    """What the first pass takes from a row, the `count`-th, before its step."""
    weigh(block, row, memory.columns)
    renew(block, row, count, walk, memory)
    _measure_radii(block, row, count, walk, memory)
    if number % _SAMPLED == 0:
        _null(loss, walk, targets_of(block, row, work), work, memory)


@inlined
def _measure_radii(block, row, count, walk, memory):
    """What a row has of R_0 and R_1, as its columns would be if all rows were like those seen so far."""
    free, tight = radii(block, row, memory.columns)
    memory.sums[2] += free
    memory.sums[3] += tight * math.sqrt(count / walk.rows)


@inlined
def _null(loss, walk, weight, work, memory):
    """One more row for the model of intercepts alone: an implicit step along its slope, divided by all the curvature met."""
    null, sums, outputs = memory.null, memory.sums, memory.null.shape[1]
    _recall_null(null, work)
    differentiate(loss, 1, work.scores, work.targets, work.values, work.slopes)
    sums[8] += weight * work.values[0, 0]
    sums[9] += 1.0
    if not walk.fit_intercept:
        return
    _recall_null(null, work)
    bend(loss, work.scores, work.targets, work.bent)
    reach = 0.0
    for k in range(outputs):
        null[1, k] += weight * work.bent[k, 0]
        null[2, k] += (weight * work.slopes[k, 0]) ** 2
        reach = max(reach, _gain(null, sums, k))
    _recall_null(null, work)
    for k in range(outputs):
        work.slopes[k, 0] = 0.0
    settle(loss, reach, weight, work.scores, work.targets, work.slopes)
    for k in range(outputs):
        null[0, k] -= _gain(null, sums, k) * work.slopes[k, 0]


@inlined
def _recall_null(null, work):
    for k in range(null.shape[1]):
        work.scores[k, 0] = null[0, k]


@inlined
def _gain(null, sums, k):
    """How far an intercept goes for a slope of 1; straight pieces count as a parabola in their place would."""
    curvature = null[1, k]
    if curvature == 0.0 and sums[8] > 0.0:
        curvature = STRAIGHT * sums[9] * null.shape[1] * null[2, k] / (2.0 * sums[8])
    return 1.0 / curvature if curvature > 0.0 else 0.0
