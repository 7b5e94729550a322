"""One row at a time through the dual, and sums of slopes over many: the two walks of `engines.saga`, whose symbols these are.

Coefficients are float64 here and column after column, the outputs of a column together, since a sparse row visits columns. Dense
columns are shifted: what is said of x holds for x - shift.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fallline.kernels.blocks import CsrBlock, DenseBlock, bounds, fetch_row
from fallline.kernels.compile import generic, inlined, kernel
from fallline.kernels.implicit import bend, settle
from fallline.kernels.verbs import decay, differentiate, shrink

__all__ = ["SagaMemory", "Walk", "ascend", "look", "sum_slopes"]

# Of how many rows one is asked for its curvature; a power of two.
_SAMPLED = 4
# The metric of a column that nothing holds, as long as nothing is known of it.
_UNKNOWN = 1e-290


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
    null : ndarray of shape (K,)
        Sum of the slopes of a model of intercepts alone.
    sums : ndarray of shape (10,)
        Since the last look: pull times squared changes of slopes, the latter alone, R_0 and R_1 of (8); and of rows sampled,
        curvatures, how many there were, squared slopes, losses. Last the losses of the null model, and of how many rows.
    gradient, curved : ndarray of shape (P, K), or empty
        Sums of slopes times columns and of curvatures times squared columns over the full pass under way.
    kept : ndarray of shape (5, P, K), or empty
        Of full passes: direction, gradient and diagonal of the model last accepted.
    steps, changes : ndarray of shape (pairs, P, K), or empty
        The latest steps, and the changes of gradient that came with them.
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
    table: np.ndarray = np.zeros((0, 0), np.float32)


class Walk(NamedTuple):
    """What stays the same during a walk.

    Parameters
    ----------
    loss, penalty : NamedTuple
    rows : float
        n, the rows of an epoch.
    share : float
        kappa in (4).
    fit_intercept : bool
    """

    loss: NamedTuple
    penalty: NamedTuple
    rows: float
    share: float
    fit_intercept: bool


@kernel
def look(block, start, stop, seen, walk, memory, loss_sum):
    """See what rows are like before any is learned from: columns, and the model of intercepts alone.

    Arguments and result are those of `ascend`.
    """
    work = _work(block, walk.loss, memory.point.shape[1])
    for i in range(start, stop):
        row, count = block.rows[i], seen + i - start + 1
        _begin(block, row, count, walk.fit_intercept, memory.columns)
        weight = _targets(block, row, work)
        _measure_radii(block, row, count, walk, memory)
        for k in range(memory.null.size):
            work.found[k, 0] = -memory.null[k]
        _null(walk.loss, weight, work, memory)
        _recall(work)
        differentiate(walk.loss, 1, work.scores, work.targets, work.values, work.steep)
        loss_sum += weight * work.values[0, 0]
        _recall(work)
        _sample(walk.loss, weight, work, memory.sums)
        if not _finite(work.found, loss_sum):
            return math.nan
    return loss_sum


@kernel
def ascend(block, start, stop, seen, numbers, walk, memory, loss_sum):
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
    walk : Walk
    memory : SagaMemory
    loss_sum : float

    Returns
    -------
    loss_sum : float
        With the rows' weight times loss added; not finite if a score is not.
    """
    outputs = memory.point.shape[1]
    work = _work(block, walk.loss, outputs)
    table, sums = memory.table, memory.sums
    for i in range(start, stop):
        row, number = block.rows[i], numbers[i]
        if seen > 0:
            _learn(block, row, numbers[i], seen + i - start + 1, walk, work, memory)
        weight = _targets(block, row, work)
        pull = _meet(block, row, walk, memory, work.found)
        for k in range(outputs):
            work.slopes[k, 0] = table[number, k]
            work.before[k, 0] = table[number, k]
        _recall(work)
        differentiate(walk.loss, 1, work.scores, work.targets, work.values, work.steep)
        loss_sum += weight * work.values[0, 0]
        if not _finite(work.found, loss_sum):
            return math.nan
        if numbers[i] % _SAMPLED == 0:
            _recall(work)
            _sample(walk.loss, weight, work, sums)
        _recall(work)
        settle(walk.loss, pull, weight, work.scores, work.targets, work.slopes)
        square = 0.0
        for k in range(outputs):
            table[number, k] = work.slopes[k, 0]
            # What the table could not hold is not moved by either.
            work.slopes[k, 0] = table[number, k] - work.before[k, 0]
            square += work.slopes[k, 0] * work.slopes[k, 0]
        if not math.isfinite(square):
            return math.nan
        if square > 0.0:
            _move(block, row, walk, memory, work.slopes)
        sums[0] += pull * square
        sums[1] += square
        if i + 1 < stop:
            _fetch(block, i)
    memory.clock[1] += stop - start
    return loss_sum


@kernel
def sum_slopes(block, walk, memory, loss_sum, curved):
    """At the model tried, add slopes times columns to `memory.gradient`, and if asked, curvatures times squares to `curved`."""
    outputs = memory.point.shape[1]
    work = _work(block, walk.loss, outputs)
    for i in range(len(block.rows)):
        row = block.rows[i]
        weight = _targets(block, row, work)
        _score(block, row, memory, work.found)
        _recall(work)
        differentiate(walk.loss, 1, work.scores, work.targets, work.values, work.slopes)
        loss_sum += weight * work.values[0, 0]
        if not _finite(work.found, loss_sum):
            return math.nan
        for k in range(outputs):
            work.slopes[k, 0] *= weight
        _spread(block, row, memory.columns, work.slopes, memory.gradient, False)
        if curved:
            _recall(work)
            bend(walk.loss, work.scores, work.targets, work.slopes)
            for k in range(outputs):
                work.slopes[k, 0] *= weight
            _spread(block, row, memory.columns, work.slopes, memory.curved, True)
        _fetch(block, i)
    return loss_sum


class _Work(NamedTuple):
    """Room for one row: scores as found, and a copy that losses may overwrite."""

    found: np.ndarray
    scores: np.ndarray
    targets: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    before: np.ndarray
    bent: np.ndarray
    steep: np.ndarray


@inlined
def _work(block, loss, outputs):
    return _Work(
        np.zeros((outputs, 1)),
        np.zeros((outputs, 1)),
        np.zeros((block.y.shape[1], 1)),
        np.zeros((1, 1)),
        np.zeros((outputs, 1)),
        np.zeros((outputs, 1)),
        np.zeros((outputs, 1)),
        np.zeros((outputs, 1)),
    )


@inlined
def _recall(work):
    for k in range(work.found.shape[0]):
        work.scores[k, 0] = work.found[k, 0]


@inlined
def _targets(block, row, work):
    for t in range(work.targets.shape[0]):
        work.targets[t, 0] = block.y[row, t]
    return np.float64(block.weight[row])


@inlined
def _finite(scores, loss_sum):
    good = math.isfinite(loss_sum)
    for k in range(scores.shape[0]):
        good = good and math.isfinite(scores[k, 0])
    return good


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
def _learn(block, row, number, count, walk, work, memory):
    """What the first pass takes from a row, the `count`-th, before its step."""
    _weigh(block, row, memory.columns)
    _renew(block, row, count, walk, memory)
    _measure_radii(block, row, count, walk, memory)
    if number % _SAMPLED == 0:
        _null(walk.loss, _targets(block, row, work), work, memory)


@inlined
def _measure_radii(block, row, count, walk, memory):
    """What a row has of R_0 and R_1, as its columns would be if all rows were like those seen so far."""
    free, tight = _radii(block, row, memory.columns)
    memory.sums[2] += free
    memory.sums[3] += tight * math.sqrt(count / walk.rows)


@inlined
def _null(loss, weight, work, memory):
    """One more row for the model of intercepts alone: its slopes are learned as those of the model, each row's at once."""
    for k in range(memory.null.size):
        work.scores[k, 0] = -memory.null[k]
    differentiate(loss, 1, work.scores, work.targets, work.values, work.slopes)
    memory.sums[8] += weight * work.values[0, 0]
    memory.sums[9] += 1.0
    for k in range(memory.null.size):
        work.scores[k, 0] = -memory.null[k]
        work.slopes[k, 0] = 0.0
    settle(loss, 1.0, weight, work.scores, work.targets, work.slopes)
    for k in range(memory.null.size):
        memory.null[k] += work.slopes[k, 0]


@generic
def _begin(block, row, count, centred, columns):
    """Take one of the first rows, the `count`-th, into the columns' squares, and where they are shifted into the shift."""
    raise NotImplementedError


@generic
def _radii(block, row, columns):
    """Sums over the row's columns of the square, and of the square by the root of (4): R_0 and R_1 in (8)."""
    raise NotImplementedError


@generic
def _weigh(block, row, columns):
    """Take a row into the columns' squares."""
    raise NotImplementedError


@generic
def _renew(block, row, seen, walk, memory):
    """Bring the metric of a row's columns up to what is known of them; (7) keeps the slopes that are in the model."""
    raise NotImplementedError


@generic
def _meet(block, row, walk, memory, scores):
    """Fill in a row's scores, and return its pull."""
    raise NotImplementedError


@generic
def _score(block, row, memory, scores):
    """Fill in a row's scores at the point as it is."""
    raise NotImplementedError


@generic
def _move(block, row, walk, memory, changes):
    """(6): let the model follow a change of slopes."""
    raise NotImplementedError


@generic
def _spread(block, row, columns, slopes, out, squared):
    """Add the row, or its squares, times `slopes` to `out`."""
    raise NotImplementedError


@generic
def _fetch(block, i):
    """Start loading rows to come."""


@_fetch.of(CsrBlock)
def _(block, i):
    fetch_row(block, i)


@_weigh.of(CsrBlock)
def _(block, row, columns):
    begin, end = bounds(block, row)
    count = np.float64(end - begin)
    for place in range(begin, end):
        j, x = block.indices[place], np.float64(block.data[place])
        columns[1, j] += x * x
        columns[2, j] = max(columns[2, j], count * x * x)


@_begin.of(CsrBlock)
def _(block, row, count, centred, columns):
    _weigh(block, row, columns)


@_begin.of(DenseBlock)
def _(block, row, count, centred, columns):
    if not centred:
        _weigh(block, row, columns)
        return
    for j in range(block.X.shape[1]):
        off = block.X[row, j] - columns[0, j]
        columns[0, j] += off / count
        columns[1, j] += off * (block.X[row, j] - columns[0, j])
        columns[2, j] = max(columns[2, j], block.X.shape[1] * off * off if count > 1 else 0.0)


@_radii.of(CsrBlock)
def _(block, row, columns):
    free, tight = 0.0, 0.0
    begin, end = bounds(block, row)
    for place in range(begin, end):
        j, x = block.indices[place], np.float64(block.data[place])
        free += x * x
        tight += x * x / max(math.sqrt(columns[1, j]) * math.sqrt(columns[2, j]), 1e-290)
    return free, tight


@_radii.of(DenseBlock)
def _(block, row, columns):
    free, tight = 0.0, 0.0
    for j in range(block.X.shape[1]):
        x = block.X[row, j] - columns[0, j]
        free += x * x
        tight += x * x / max(math.sqrt(columns[1, j]) * math.sqrt(columns[2, j]), 1e-290)
    return free, tight


@_weigh.of(DenseBlock)
def _(block, row, columns):
    for j in range(block.X.shape[1]):
        x = block.X[row, j] - columns[0, j]
        columns[1, j] += x * x
        columns[2, j] = max(columns[2, j], block.X.shape[1] * x * x)


@_renew.of(CsrBlock)
def _(block, row, seen, walk, memory):
    begin, end = bounds(block, row)
    for place in range(begin, end):
        _renew_column(block.indices[place], seen, walk, memory)


@_renew.of(DenseBlock)
def _(block, row, seen, walk, memory):
    """Columns of which something is known wait until all are looked at."""
    columns = memory.columns
    for j in range(block.X.shape[1]):
        if columns[3, j] <= _UNKNOWN and columns[1, j] > 0.0:
            _renew_column(j, seen, walk, memory)


@inlined
def _renew_column(j, seen, walk, memory):
    """(4) and (7), as if all rows were like those seen so far."""
    columns, point, centre = memory.columns, memory.point, memory.centre
    root = math.sqrt(columns[1, j]) * math.sqrt(columns[2, j] * walk.rows / seen)
    metric, before = max(walk.rows * decay(walk.penalty) + walk.share * root, _UNKNOWN), columns[3, j]
    for k in range(point.shape[1]):
        point[j, k] = centre[j, k] + before / metric * (point[j, k] - centre[j, k])
    columns[3, j] = metric


@_meet.of(CsrBlock)
def _(block, row, walk, memory, scores):
    columns, point, penalty = memory.columns, memory.point, walk.penalty
    outputs, last, rows = point.shape[1], block.columns, walk.rows
    pull = _intercepts(walk, memory, last, scores)
    begin, end = bounds(block, row)
    for place in range(begin, end):
        j, x = block.indices[place], np.float64(block.data[place])
        inverse = 1.0 / columns[3, j]
        pull += x * x * inverse
        for k in range(outputs):
            scores[k, 0] += x * shrink(penalty, point[j, k], rows * inverse)
    return pull


@_meet.of(DenseBlock)
def _(block, row, walk, memory, scores):
    columns, point, penalty = memory.columns, memory.point, walk.penalty
    outputs, last, rows = point.shape[1], block.X.shape[1], walk.rows
    pull = _intercepts(walk, memory, last, scores)
    for j in range(last):
        x = block.X[row, j] - columns[0, j]
        inverse = 1.0 / columns[3, j]
        pull += x * x * inverse
        for k in range(outputs):
            scores[k, 0] += x * shrink(penalty, point[j, k], rows * inverse)
    return pull


@inlined
def _intercepts(walk, memory, last, scores):
    for k in range(scores.shape[0]):
        scores[k, 0] = memory.point[last, k]
    return 1.0 / memory.columns[3, last] if walk.fit_intercept else 0.0


@_score.of(CsrBlock)
def _(block, row, memory, scores):
    point, begin_end = memory.point, bounds(block, row)
    for k in range(scores.shape[0]):
        scores[k, 0] = point[block.columns, k]
    for place in range(begin_end[0], begin_end[1]):
        j, x = block.indices[place], np.float64(block.data[place])
        for k in range(scores.shape[0]):
            scores[k, 0] += x * point[j, k]


@_score.of(DenseBlock)
def _(block, row, memory, scores):
    point, shift = memory.point, memory.columns[0]
    for k in range(scores.shape[0]):
        scores[k, 0] = point[block.X.shape[1], k]
    for j in range(block.X.shape[1]):
        x = block.X[row, j] - shift[j]
        for k in range(scores.shape[0]):
            scores[k, 0] += x * point[j, k]


@_move.of(CsrBlock)
def _(block, row, walk, memory, changes):
    columns, point, last = memory.columns, memory.point, block.columns
    begin, end = bounds(block, row)
    for place in range(begin, end):
        j, x = block.indices[place], np.float64(block.data[place])
        rate = x / columns[3, j]
        for k in range(point.shape[1]):
            point[j, k] -= rate * changes[k, 0]
    _move_intercepts(walk, memory, last, changes)


@_move.of(DenseBlock)
def _(block, row, walk, memory, changes):
    columns, point, last = memory.columns, memory.point, block.X.shape[1]
    for j in range(last):
        rate = (block.X[row, j] - columns[0, j]) / columns[3, j]
        for k in range(point.shape[1]):
            point[j, k] -= rate * changes[k, 0]
    _move_intercepts(walk, memory, last, changes)


@inlined
def _move_intercepts(walk, memory, last, changes):
    if walk.fit_intercept:
        for k in range(changes.shape[0]):
            memory.point[last, k] -= changes[k, 0] / memory.columns[3, last]


@_spread.of(CsrBlock)
def _(block, row, columns, slopes, out, squared):
    begin, end = bounds(block, row)
    for place in range(begin, end):
        j, x = block.indices[place], np.float64(block.data[place])
        x = x * x if squared else x
        for k in range(out.shape[1]):
            out[j, k] += x * slopes[k, 0]
    for k in range(out.shape[1]):
        out[block.columns, k] += slopes[k, 0]


@_spread.of(DenseBlock)
def _(block, row, columns, slopes, out, squared):
    last = block.X.shape[1]
    for j in range(last):
        x = block.X[row, j] - columns[0, j]
        x = x * x if squared else x
        for k in range(out.shape[1]):
            out[j, k] += x * slopes[k, 0]
    for k in range(out.shape[1]):
        out[last, k] += slopes[k, 0]
