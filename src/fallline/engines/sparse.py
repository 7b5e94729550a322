"""Descent on sparse rows: columns without a gradient are left behind and caught up with later.

Within an epoch, weights are therefore not to be read from memory as they are: `settled` gives a memory in which all are
up to date. At the end of an epoch they are, and what was needed to leave them behind is dropped.
"""

from __future__ import annotations

import numpy as np

from fallline.kernels.blocks import CsrBlock, copy_csr_rows
from fallline.kernels.lazy import settle_lazy, sweep_lazy
from fallline.kernels.scaled import MOST_ROWS, Held, settle_scaled, sweep_scaled
from fallline.kernels.sweep import Descent, Memory, Sums
from fallline.kernels.verbs import shrinks
from fallline.optim.averaging import NoAveraging
from fallline.optim.optimizers.sgd import SGD

__all__ = ["settled", "sweep_sparse"]

# Rates noted before all columns are brought up to date.
_UPDATES = 2**16


def sweep_sparse(
    block: CsrBlock, memory: Memory, descent: Descent, rates: np.ndarray, last: bool, loss_sum: float
) -> tuple[Memory, Sums]:
    """Make every update that the block completes; the memory afterwards, and what was found. See `kernels.sweep.sweep`."""
    if not memory.common.size:
        memory = _begun(memory, descent)
    before = int(memory.clock[1])
    if _is_scaled(descent):
        rows = np.arange(max(len(memory.indptr) - 1, 0), dtype=np.uint64)
        held = Held(memory.indptr, memory.indices, memory.data, rows)
        sums = Sums(*sweep_scaled(block, held, memory, descent, rates, last, loss_sum))
        memory = _holding(memory, block, sums.rows, new_batch=memory.clock[1] > before)
    else:
        sums = Sums(*sweep_lazy(block, memory, descent, rates, last, loss_sum))
    return _ended(memory, descent) if last else memory, sums


def settled(memory: Memory, descent: Descent) -> Memory:
    """A copy in which all weights, and all that an optimizer remembers of them, are up to date."""
    copy = Memory(*(array.copy() for array in memory))
    _settle(copy, descent)
    return copy


def _settle(memory, descent):
    if _is_scaled(descent):
        settle_scaled(memory, descent.rule.penalty)
    else:
        settle_lazy(memory, descent.rule)


def _ended(memory, descent):
    _settle(memory, descent)
    return memory._replace(**Memory._field_defaults)


def _is_scaled(descent):
    return (
        isinstance(descent.rule.optimizer, SGD)
        and isinstance(descent.rule.averaging, NoAveraging)
        and descent.batch_size <= MOST_ROWS
    )


def _begun(memory, descent):
    """With what is needed to leave columns behind; none is yet."""
    outputs, columns = memory.weights.shape[0], memory.weights.shape[1] - 1
    memory.clock[2:] = memory.clock[1], 0, 0
    if not _is_scaled(descent):
        return memory._replace(
            seen=np.zeros(columns, np.int64),
            common=np.zeros(_UPDATES),
            touched=np.zeros(columns, np.uint64),
        )
    dtype = memory.weights.dtype
    return memory._replace(
        seen=np.zeros((outputs, columns) if shrinks(descent.rule.penalty) else (0, 0)),
        common=np.array([1.0, 0.0]),
        slopes=np.zeros((outputs, descent.batch_size), dtype),
        indptr=np.zeros(1, np.uint64),
        data=np.empty(0, dtype),
    )


def _holding(memory, block, visited, *, new_batch):
    """With the rows that the unfinished batch has in the block; others only if no batch ended there."""
    indptr, indices, data = memory.indptr, memory.indices, memory.data
    if new_batch:
        indptr, indices, data = indptr[:1], indices[:0], data[:0]
    rows = block.rows[visited - (int(memory.clock[0]) - len(indptr) + 1) : visited]
    ends = indptr[-1] + np.cumsum(block.indptr[rows + np.uint64(1)] - block.indptr[rows], dtype=np.uint64)
    new_indices = np.empty(int(ends[-1] - indptr[-1]) if len(ends) else 0, np.uint64)
    new_data = np.empty(len(new_indices), data.dtype)
    copy_csr_rows(block._replace(rows=rows), new_indices, new_data)
    return memory._replace(
        indptr=np.concatenate([indptr, ends]),
        indices=np.concatenate([indices, new_indices]),
        data=np.concatenate([data, new_data]),
    )
