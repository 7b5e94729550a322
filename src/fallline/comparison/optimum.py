"""The exact optimum, which convex objectives allow: what all gaps are measured from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fallline.comparison.objective import Objective

__all__ = ["MOST_COLUMNS", "Optimum", "find_optimum"]

MOST_COLUMNS = 1500
"""Weights of an output, up to which there are Newton steps; beyond, their equations take too long to solve."""

_STEPS = 50


@dataclass(frozen=True)
class Optimum:
    """The least value of the objective.

    Parameters
    ----------
    weights : ndarray of shape (outputs, columns + 1)
    objective : float
        Its value there.
    start : float
        Its value at zero weights, where every contender starts.
    gradient_norm : float
        Of the gradient there: how exact it is.
    """

    weights: np.ndarray
    objective: float
    start: float
    gradient_norm: float

    def gap(self, objective: float) -> float:
        """The share of the way from the start to the optimum that is still to go: 1 at the start, 0 at the optimum."""
        return max(objective - self.objective, 0.0) / (self.start - self.objective)


def find_optimum(objective: Objective, weights: np.ndarray) -> Optimum:
    """Go on from good weights by Newton's method, an output at a time, until nothing improves any more."""
    value, gradient = objective.value_and_gradient(weights)
    for _ in range(_STEPS if objective.shape[1] <= MOST_COLUMNS else 0):
        better, its_value = _newton_step(objective, weights, value, gradient)
        if not its_value < value:
            break
        weights, value = better, its_value
        gradient = objective.value_and_gradient(weights)[1]
    start = objective.value(np.zeros(objective.shape))
    return Optimum(weights, value, start, float(np.linalg.norm(gradient)))


def _newton_step(objective, weights, value, gradient):
    """The first of the full, half, quarter ... Newton step that improves, and its value."""
    step = np.stack([_solve(objective.hessian(weights, k), gradient[k]) for k in range(len(weights))])
    for halvings in range(10):
        trial = weights - 0.5**halvings * step
        trial_value = objective.value(trial)
        if trial_value < value:
            return trial, trial_value
    return weights, value


def _solve(hessian, gradient):
    # Least squares: with alpha = 0 and columns that depend on each other the Hessian is singular.
    return np.linalg.lstsq(hessian, gradient, rcond=1e-12)[0]
