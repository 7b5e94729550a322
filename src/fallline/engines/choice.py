"""Which solver: Newton's where the curvature fits, variance-reduced mini-batches where it does not, descent if asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fallline.data.rows import ArraySource, TrainingSource
from fallline.engines.descent import DescentEngine
from fallline.engines.linear import LinearEngine
from fallline.engines.newton import NewtonEngine
from fallline.engines.newton.intercepts import exact_intercepts
from fallline.engines.saga import SagaEngine
from fallline.errors import ParameterError
from fallline.names import did_you_mean
from fallline.objective.losses import has_curvature, innermost, innermost_of_one, is_coupled, is_least_at_zero
from fallline.objective.losses.huber import Huber
from fallline.objective.losses.smoothed import bends
from fallline.objective.penalties import NoPenalty
from fallline.optim.optimizers import OPTIMIZERS

__all__ = ["SOLVERS", "Solver", "choose_solver", "left_to_gain", "solver_engine"]

SOLVERS = ("auto", "newton", "saga", "descent")
"""What may be asked for; the name of an optimizer stands for descent with it."""

# How near the optimum training goes, relative to what is gained; losses with kinks take many passes to come that near.
_OPTIMUM, _KINKED_OPTIMUM = {"newton": 1e-6, "saga": 1e-5}, 1e-4
# Coefficients that share a curvature, at most, where it is one: beyond, its square takes too much memory, and its cube time.
_MOST_COEFFICIENTS = 1500


class Solver(NamedTuple):
    """What was chosen, and why.

    Parameters
    ----------
    name : {"newton", "saga", "descent"}
    optimizer : str, NamedTuple or None
        Of descent; None for the usual one.
    reason : str
    """

    name: str
    optimizer: Any
    reason: str

    def note(self) -> dict[str, str]:
        """What the state says of it."""
        return {"solver": self.name, "reason": self.reason}


def choose_solver(
    solver: Any, optimizer: Any, given: Sequence[str], loss: Any, columns: int, outputs: int
) -> Solver:
    """The solver that was asked for, or the one that suits the size of a model.

    Parameters
    ----------
    solver : str
        One of `SOLVERS`, or the name of an optimizer.
    optimizer : str, NamedTuple or None
        If given, the solver is descent.
    given : sequence of str
        Names of other parameters that were given and that only descent has a use for.
    loss : NamedTuple
    columns, outputs : int

    Raises
    ------
    ParameterError
        If there is no such solver, or it has no use for what was given.
    """
    asked = ["optimizer"] * (optimizer is not None) + list(given)
    known = isinstance(solver, str)
    if known and solver in OPTIMIZERS and optimizer is None:
        return Solver("descent", solver, "asked for by the name of its optimizer")
    if not known or solver not in SOLVERS:
        raise ParameterError(
            f"solver={solver!r} is not a solver.{did_you_mean(str(solver), SOLVERS)} Choose one of {', '.join(SOLVERS)}, or the "
            "name of an optimizer."
        )
    if solver == "descent":
        return Solver("descent", optimizer, "asked for")
    if asked and solver == "auto":
        return Solver("descent", optimizer, f"{asked[0]} is its parameter")
    if asked:
        raise ParameterError(
            f"{asked[0]} was given, but solver={solver!r} has no use for it. Leave it out, or choose solver='descent'."
        )
    if solver != "auto":
        if not has_curvature(loss):
            kind = type(innermost_of_one(loss)).__name__
            raise ParameterError(
                f"solver={solver!r} needs the curvature of the loss, which {kind} does not state. "
                "Implement fallline.kernels.verbs.curvature for it, or choose solver='descent'."
            )
        return Solver(solver, None, "asked for")
    return _suited(loss, columns, outputs)


def _suited(loss, columns, outputs):
    """What suits a loss and the size of a model."""
    if not has_curvature(loss):
        return Solver("descent", None, "the loss does not state its curvature")
    if is_least_at_zero(loss):
        return Solver("descent", None, "the loss is least where all coefficients are zero")
    coefficients = _sharing(loss, columns, outputs)
    if _is_small(loss, columns, outputs):
        return Solver("newton", None, f"the curvature of {coefficients:,} coefficients fits")
    return Solver("saga", None, f"the curvature of {coefficients:,} coefficients would be too large")


def solver_engine(
    name: str,
    loss: Any,
    penalty: Any,
    source: TrainingSource,
    outputs: int,
    *,
    fit_intercept: bool = True,
    tolerance: float | None = None,
) -> LinearEngine:
    """The engine of "newton" or "saga" for a loss, a penalty and the rows of a source; by default with the usual tolerance."""
    rows = source.n_rows
    if tolerance is None:
        kinked = bends(loss) and not isinstance(innermost(loss), Huber)
        tolerance = _KINKED_OPTIMUM if kinked else _OPTIMUM[name]
    if name == "newton":
        return _newton(loss, penalty, source, outputs, fit_intercept, tolerance)
    return SagaEngine(loss, penalty, rows, fit_intercept, tolerance, numbered=isinstance(source, ArraySource))


def left_to_gain(engine: LinearEngine, source: TrainingSource, weights: np.ndarray) -> float | None:
    """How far weights that an engine came to are from the optimum, relative to what they gain over intercepts alone.

    It takes one pass. None where the curvature is not stated or too large, and where there is no objective to be optimal for.
    """
    loss = engine.loss
    free = not isinstance(engine, DescentEngine) or engine.intercept_penalty == NoPenalty()
    stated = has_curvature(loss) and free
    if is_least_at_zero(loss) or not (stated and _is_small(loss, source.n_columns, len(weights))):
        return None
    newton = _newton(loss, engine.penalty, source, len(weights), engine.fit_intercept, 0.0)
    return newton.left_to_gain(source, weights)


def _newton(loss, penalty, source, outputs, fit_intercept, tolerance):
    wanted = fit_intercept and bends(loss) and isinstance(source, ArraySource)
    known = exact_intercepts(loss, outputs, source) if wanted else None
    return NewtonEngine(loss, penalty, source.n_rows, fit_intercept, tolerance, known)


def _is_small(loss, columns, outputs):
    """Whether the curvature fits: of all coefficients together, or of each output for itself."""
    groups = 1 if is_coupled(loss) else outputs
    return groups * _sharing(loss, columns, outputs) ** 2 <= _MOST_COEFFICIENTS**2


def _sharing(loss, columns, outputs):
    """How many coefficients share a curvature."""
    return (columns + 1) * (outputs if is_coupled(loss) else 1)
