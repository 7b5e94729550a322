"""L-BFGS: no gradient descent, but what to use instead where the data fit in memory and the objective is smooth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fallline.comparison.contenders.base import Contender, Snapshot, Stopwatch, marks
from fallline.comparison.problem import Problem

__all__ = ["LBFGS", "lbfgs"]

_MOST_ITERATIONS = 1_000


class LBFGS(Contender):
    """SciPy's L-BFGS on all rows at once, in float64. It chooses its own steps."""

    @property
    def needs_rate(self) -> bool:
        """It has none."""
        return False

    def trace(  # rate, seed and epochs are for others
        self,
        problem: Problem,
        rate: float,  # noqa: ARG002
        seed: int,  # noqa: ARG002
        epochs: int,  # noqa: ARG002
        records: int,
    ) -> Iterator[Snapshot]:
        """Run to the end, then show about `records` of the iterations."""
        from scipy.optimize import minimize

        watch, evaluations = Stopwatch(), 0
        snapshots: list[Snapshot] = []
        objective = problem.objective
        # Early iterations all, later ones fewer and fewer: weights can be large.
        kept, iteration = set(marks(_MOST_ITERATIONS, 3 * records)), 0

        def value_and_gradient(flat):
            nonlocal evaluations
            evaluations += 1
            value, gradient = objective.value_and_gradient(flat.reshape(objective.shape))
            return value, gradient.ravel()

        def look(flat):
            nonlocal iteration
            iteration += 1
            if snapshots and snapshots[-1].updates not in kept:
                snapshots.pop()
            rows = evaluations * problem.n
            snapshots.append(Snapshot(iteration, rows, watch.so_far(), flat.reshape(objective.shape).copy()))

        options = {"maxiter": _MOST_ITERATIONS, "maxcor": 10, "ftol": 1e-12, "gtol": 1e-8}
        with watch.running():
            minimize(
                value_and_gradient,
                np.zeros(objective.shape[0] * objective.shape[1]),
                jac=True,
                method="L-BFGS-B",
                callback=look,
                options=options,
            )
        updates = [snapshot.updates for snapshot in snapshots]
        for place in np.unique(np.searchsorted(updates, marks(iteration, records))):
            yield snapshots[place]


def lbfgs() -> LBFGS:
    """The contender."""
    return LBFGS("l-bfgs", "L-BFGS (all rows)", "other", None)
