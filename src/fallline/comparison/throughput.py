"""How fast rows go through, by batch size."""

from __future__ import annotations

from fallline.comparison.contenders.own import own
from fallline.comparison.problem import Problem
from fallline.comparison.results import Throughput

__all__ = ["measure_throughput"]

_LONG_ENOUGH = 0.04
_MOST_ROWS = 200_000


def measure_throughput(problem: Problem) -> Throughput:
    """Rows a second of fallline at batch sizes 1, 4, 16, ... up to all rows; the best of three stretches."""
    problem = problem.part(_MOST_ROWS)
    sizes = [*(4**i for i in range(20) if 4**i < problem.n), problem.n]
    return Throughput(sizes, [_rows_per_second(problem, size) for size in sizes])


def _rows_per_second(problem, batch_size):
    contender = own(batch_size, problem.n)
    _speed(contender, problem, 1)
    epochs = max(1, round(_LONG_ENOUGH * _speed(contender, problem, 1) / problem.n))
    return max(_speed(contender, problem, epochs) for _ in range(3))


def _speed(contender, problem, epochs):
    # A tiny rate: what is measured does not depend on it, and nothing can diverge.
    [end] = contender.trace(problem, 1e-6, 0, epochs, 1)
    return end.rows / end.seconds
