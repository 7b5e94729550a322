"""What `engines.saga` learns of columns from the rows it meets: their shifts, their sizes and the metric.

Dense columns are shifted: what is said of x holds for x - shift. Symbols are those of `engines.saga`.
"""

from __future__ import annotations

import math

import numpy as np

from fallline.kernels.blocks import CsrBlock, DenseBlock, bounds
from fallline.kernels.compile import generic, inlined
from fallline.kernels.verbs import decay

__all__ = ["enter", "radii", "renew", "weigh"]

# The metric of a column that nothing holds, as long as nothing is known of it.
_UNKNOWN = 1e-290


@generic
def enter(block, row, count, centred, columns):
    """Take one of the first rows, the `count`-th, into the columns' squares, and where they are shifted into the shift."""
    raise NotImplementedError


@generic
def radii(block, row, columns):
    """Sums over the row's columns of the square, and of the square by the root of (4): R_0 and R_1 in (8)."""
    raise NotImplementedError


@generic
def weigh(block, row, columns):
    """Take a row into the columns' squares."""
    raise NotImplementedError


@generic
def renew(block, row, seen, walk, memory):
    """Bring the metric of a row's columns up to what is known of them; (7) keeps the slopes that are in the model."""
    raise NotImplementedError


@weigh.of(CsrBlock)
def _(block, row, columns):
    begin, end = bounds(block, row)
    count = np.float64(end - begin)
    for place in range(begin, end):
        j, x = block.indices[place], np.float64(block.data[place])
        columns[1, j] += x * x
        columns[2, j] = max(columns[2, j], count * x * x)


@enter.of(CsrBlock)
def _(block, row, count, centred, columns):
    weigh(block, row, columns)


@enter.of(DenseBlock)
def _(block, row, count, centred, columns):
    if not centred:
        weigh(block, row, columns)
        return
    for j in range(block.X.shape[1]):
        off = block.X[row, j] - columns[0, j]
        columns[0, j] += off / count
        columns[1, j] += off * (block.X[row, j] - columns[0, j])
        columns[2, j] = max(columns[2, j], block.X.shape[1] * off * off if count > 1 else 0.0)


@radii.of(CsrBlock)
def _(block, row, columns):
    free, tight = 0.0, 0.0
    begin, end = bounds(block, row)
    for place in range(begin, end):
        j, x = block.indices[place], np.float64(block.data[place])
        free += x * x
        tight += x * x / max(math.sqrt(columns[1, j]) * math.sqrt(columns[2, j]), 1e-290)
    return free, tight


@radii.of(DenseBlock)
def _(block, row, columns):
    free, tight = 0.0, 0.0
    for j in range(block.X.shape[1]):
        x = block.X[row, j] - columns[0, j]
        free += x * x
        tight += x * x / max(math.sqrt(columns[1, j]) * math.sqrt(columns[2, j]), 1e-290)
    return free, tight


@weigh.of(DenseBlock)
def _(block, row, columns):
    for j in range(block.X.shape[1]):
        x = block.X[row, j] - columns[0, j]
        columns[1, j] += x * x
        columns[2, j] = max(columns[2, j], block.X.shape[1] * x * x)


@renew.of(CsrBlock)
def _(block, row, seen, walk, memory):
    begin, end = bounds(block, row)
    for place in range(begin, end):
        _renew_column(block.indices[place], seen, walk, memory)


@renew.of(DenseBlock)
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
