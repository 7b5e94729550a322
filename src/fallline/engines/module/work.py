"""What training a module costs, counted: a clock would not say the same twice."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch.utils.flop_counter import FlopCounterMode

from fallline.data.rows import TrainingSource
from fallline.engines.module.evaluating import call, evaluating, pieces

__all__ = ["work_a_row"]

# Rows that the module is called with to count what it does.
_ROWS = 2
# Forward, and backward to the inputs and to the weights of each layer.
_TIMES = 3.0
# What an update costs beside its rows, in products: the calls, some 100 microseconds, in which a core makes two million; and
# for each weight what an optimizer does, which memory limits.
_UPDATE, _MOVE = 2e6, 8.0


def work_a_row(engine: Any, source: TrainingSource) -> Callable[[int], float]:
    """What a row costs, in products, its share of the update included, as a function of the batch size.

    Parameters
    ----------
    engine : ModuleEngine
    source : TrainingSource
    """
    _, parts = next(pieces(source, engine.device, _ROWS))
    piece = next(parts)
    with evaluating(engine.module), FlopCounterMode(display=False) as counter:
        call(engine.module, piece.inputs)
    weights = sum(math.prod(parameter.shape) for parameter in engine.parameters)
    # What cannot be counted, such as an embedding's lookup, costs little; but not nothing.
    row = _TIMES * max(counter.get_total_flops() / 2 / piece.rows, math.sqrt(weights))
    return lambda batch_size: row + (_UPDATE + _MOVE * weights) / batch_size
