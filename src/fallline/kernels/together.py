"""The update of a batch whose gradient was summed elsewhere: over many processes."""

from __future__ import annotations

import math

from fallline.kernels.compile import kernel
from fallline.kernels.sweep import _sum_of_squares, _update

__all__ = ["update"]


@kernel
def update(memory, rule, rows, eta):
    """(2) of `sweep`, with the sum over the batch's `rows` rows in `memory.gradient`; the norm of (1)."""
    number = memory.clock[1] + 1
    norm = math.sqrt(_sum_of_squares(memory.gradient)) / rows
    _update(memory, rule, memory.weights, memory.gradient, rows, eta, number)
    memory.clock[0], memory.clock[1] = 0, number
    return norm
