"""Sums over rows at a fixed model, for `engines.saga`: how far kept slopes are from fitting it, gradient and curvature."""

from __future__ import annotations

import math

import numpy as np

from fallline.kernels.blocks import bounds
from fallline.kernels.compile import inlined, kernel
from fallline.kernels.implicit import bend, settle
from fallline.kernels.saga_rows import fetch, finite, recall, score, spread, targets_of, work_for
from fallline.kernels.verbs import curve, differentiate

__all__ = ["sum_curvature", "sum_slack", "sum_slopes"]


@kernel
def sum_slack(block, numbers, firm, loss, memory, loss_sum):
    """At the centre, add to `memory.sums[0]` by how much kept slopes fail to fit: n S of (9); to the last of sums, null losses.

    A conjugate is a supremum over scores. It is where the loss has the slope that is kept; `settle` finds that score, if it
    must not change the slope by more than a trifle.

    Parameters
    ----------
    block : Block
    numbers : ndarray of int
        By which the table knows its rows.
    firm : float
        By how much a score moves for a slope that changes by 1: as much as makes the change a trifle.
    loss : NamedTuple
    memory : SagaMemory
    loss_sum : float

    Returns
    -------
    loss_sum : float
        With the rows' weight times loss added; not finite if a score is not.
    """
    outputs, table = memory.point.shape[1], memory.table
    work = work_for(block, outputs)
    for i in range(len(block.rows)):
        row, number = block.rows[i], numbers[i]
        weight = targets_of(block, row, work)
        score(block, row, memory.centre, memory.columns, work.found)
        recall(work)
        differentiate(loss, 1, work.scores, work.targets, work.values, work.steep)
        here = weight * work.values[0, 0]
        loss_sum += here
        if not finite(work.found, loss_sum):
            return math.nan
        recall(work)
        for k in range(outputs):
            work.slopes[k, 0] = table[number, k]
        settle(loss, firm, weight, work.scores, work.targets, work.slopes)
        along = 0.0
        for k in range(outputs):
            away = firm * (work.slopes[k, 0] - table[number, k])
            work.scores[k, 0] = work.found[k, 0] - away
            along += table[number, k] * away
        differentiate(loss, 1, work.scores, work.targets, work.values, work.steep)
        memory.sums[0] += max(here - weight * work.values[0, 0] - along, 0.0)
        for k in range(outputs):
            work.scores[k, 0] = memory.null[0, k]
        differentiate(loss, 1, work.scores, work.targets, work.values, work.steep)
        memory.sums[8] += weight * work.values[0, 0]
        memory.sums[9] += 1.0
        fetch(block, i)
    return loss_sum


@kernel
def sum_slopes(block, loss, memory, loss_sum, curved):
    """At the model tried, add slopes times columns to `memory.gradient`, and if asked, curvatures times squares to `curved`."""
    outputs = memory.point.shape[1]
    work = work_for(block, outputs)
    for i in range(len(block.rows)):
        row = block.rows[i]
        weight = targets_of(block, row, work)
        score(block, row, memory.point, memory.columns, work.found)
        recall(work)
        differentiate(loss, 1, work.scores, work.targets, work.values, work.slopes)
        loss_sum += weight * work.values[0, 0]
        if not finite(work.found, loss_sum):
            return math.nan
        for k in range(outputs):
            work.slopes[k, 0] *= weight
        spread(block, row, memory.columns, work.slopes, memory.gradient, False)
        if curved:
            recall(work)
            bend(loss, work.scores, work.targets, work.slopes)
            for k in range(outputs):
                work.slopes[k, 0] *= weight
            spread(block, row, memory.columns, work.slopes, memory.curved, True)
        fetch(block, i)
    return loss_sum


@kernel
def sum_curvature(block, loss, memory, places, inside, coupled):
    """Of sparse rows at the model tried, add curvatures times products of active columns, and of a one, to `memory.bent`.

    Parameters
    ----------
    block : CsrBlock
    loss : NamedTuple
    memory : SagaMemory
    places : ndarray of shape (columns,), int
        Where each column is among those that are active in any group; -1 if it is not.
    inside : ndarray of shape (active columns, groups), int
        Where each of these is among the active ones of each group; -1 if it is not.
    coupled : bool
        Whether the outputs' curvatures depend on each other, as those of class probabilities do: then they are one group.
    """
    outputs, groups, longest = memory.point.shape[1], inside.shape[1], 0
    for i in range(len(block.rows)):
        begin, end = bounds(block, block.rows[i])
        longest = max(longest, np.intp(end - begin))
    work, few, x = work_for(block, outputs), np.empty(longest + 1, np.intp), np.empty(longest + 1)
    for i in range(len(block.rows)):
        row = block.rows[i]
        weight = targets_of(block, row, work)
        score(block, row, memory.point, memory.columns, work.found)
        recall(work)
        curve(loss, 1, work.scores, work.targets, work.bent)
        begin, end = bounds(block, row)
        first = 0
        for group in range(groups):
            count, width = 0, memory.edges[group + 1] - memory.edges[group] + 1
            for place in range(begin, end):
                where = places[block.indices[place]]
                if where >= 0 and inside[where, group] >= 0:
                    few[count], x[count] = inside[where, group], block.data[place]
                    count += 1
            few[count], x[count] = width - 1, 1.0
            size = outputs * width if coupled else width
            bent = memory.bent[first : first + size * size].reshape(size, size)
            for k in range(outputs if coupled else 1):
                own = weight * work.bent[k if coupled else group, 0]
                _add_products(bent, k * width, k * width, few, x, count + 1, own)
                for other in range(outputs if coupled else 0):
                    _add_products(
                        bent, k * width, other * width, few, x, count + 1, -own * work.bent[other, 0]
                    )
            first += size * size
        fetch(block, i)


@inlined
def _add_products(bent, row, column, few, x, count, factor):
    """Add products of a row's numbers to the part of a matrix that begins there."""
    for a in range(count):
        scaled = factor * x[a]
        for b in range(count):
            bent[row + few[a], column + few[b]] += scaled * x[b]
