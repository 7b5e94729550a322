"""The optima of small linear models, by SciPy, from the formulas alone."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog, minimize
from scipy.special import logsumexp

from reference import DERIVATIVES

# For each loss: its values by the score s at the target y.
VALUES = {
    "squared_error": lambda s, y: 0.5 * (s - y) ** 2,
    "huber": lambda s, y: np.where(abs(s - y) < 0.1, 0.5 * (s - y) ** 2, 0.1 * abs(s - y) - 0.005),
    "epsilon_insensitive": lambda s, y: np.maximum(abs(s - y) - 0.1, 0),
    "squared_epsilon_insensitive": lambda s, y: np.maximum(abs(s - y) - 0.1, 0) ** 2,
    "quantile": lambda s, y: 0.5 * abs(s - y),
    "poisson": lambda s, y: np.exp(s) - y * s,
    "gamma": lambda s, y: s + y * np.exp(-s),
    "tweedie": lambda s, y: 2 * np.exp(0.5 * s) + 2 * y * np.exp(-0.5 * s),
    "log_loss": lambda s, y: np.logaddexp(0, -y * s),
    "hinge": lambda s, y: np.maximum(1 - y * s, 0),
    "squared_hinge": lambda s, y: np.maximum(1 - y * s, 0) ** 2,
    "modified_huber": lambda s, y: np.where(y * s >= -1, np.maximum(1 - y * s, 0) ** 2, -4 * y * s),
    "perceptron": lambda s, y: np.maximum(-y * s, 0),
    "multinomial": lambda s, y: (logsumexp(s, axis=1) - s[np.arange(len(y)), y[:, 0].astype(int)])[:, None],
}

# Losses made of straight pieces, the highest of which counts: slopes and heights at s = 0.
PIECES = {
    "epsilon_insensitive": lambda y: [(1, -y - 0.1), (-1, y - 0.1), (0, 0)],
    "quantile": lambda y: [(0.5, -0.5 * y), (-0.5, 0.5 * y)],
    "hinge": lambda y: [(-y, 1), (0, 0)],
    "perceptron": lambda y: [(-y, 0), (0, 0)],
}


def targets_of(loss, y, outputs):
    """Targets (rows, outputs), or the number of the class (rows, 1)."""
    return np.asarray(y, float).reshape(len(y), -1 if loss == "multinomial" else outputs)


def objective(loss, X, y, w, decay=0.0, absolute=0.0, weight=None):
    """The mean of weight times loss, and the penalty; w is (outputs, columns + 1), intercepts last."""
    w = np.asarray(w, float)
    values = VALUES[loss](X @ w[:, :-1].T + w[:, -1], targets_of(loss, y, len(w))).sum(axis=1)
    mean = np.mean(values if weight is None else weight * values)
    return mean + 0.5 * decay * (w[:, :-1] ** 2).sum() + absolute * abs(w[:, :-1]).sum()


def optimum(loss, X, y, decay=0.0, absolute=0.0, weight=None, *, outputs=1, intercept=True):
    """The least objective, to about eight digits; of smooth losses, penalties may differ from column to column."""
    weight = np.ones(len(X)) if weight is None else weight
    if loss in PIECES:
        y = targets_of(loss, y, outputs)
        return sum(
            _straight(PIECES[loss](y[:, k]), X, decay, absolute, weight, intercept) for k in range(outputs)
        )
    return _smooth(loss, X, y, decay, absolute, weight, outputs, intercept)


def pinball(X, y, quantile, absolute):
    """The least mean pinball loss of a quantile, with an L1 penalty."""
    pieces = [(1 - quantile, (quantile - 1) * y), (-quantile, quantile * y)]
    return _straight(pieces, X, 0.0, absolute, np.ones(len(X)), True)


def _smooth(loss, X, y, decay, absolute, weight, outputs, intercept):
    """L-BFGS on positive and negative parts, which may not fall below 0 and which L1 pulls apart."""
    (n, columns), y = X.shape, targets_of(loss, y, outputs)
    # The intercept takes what all rows have in common: the same least value, and not so steep a way there.
    X = X - X.mean(axis=0) if intercept and columns else X
    half, corner = outputs * columns, np.broadcast_to(absolute, (outputs, columns)).ravel()

    def both(v):
        w, b = (v[:half] - v[half : 2 * half]).reshape(outputs, columns), v[2 * half :]
        scores = X @ w.T + b
        slopes = weight[:, None] * DERIVATIVES[loss](scores, y) / n
        mean = (weight * VALUES[loss](scores, y).sum(axis=1)).mean()
        value = mean + 0.5 * (decay * w**2).sum() + corner @ (v[:half] + v[half : 2 * half])
        slope = (slopes.T @ X + decay * w).ravel()
        return value, np.concatenate([slope + corner, corner - slope, slopes.sum(axis=0) * intercept])

    bounds = [(0, None)] * (2 * half) + [(None, None) if intercept else (0, 0)] * outputs
    options = {"maxiter": 20_000, "maxfun": 100_000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30}
    start = np.zeros(2 * half + outputs)
    return minimize(both, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).fun


def _straight(pieces, X, decay, absolute, weight, intercept):
    """A linear programme; of the squares of an L2 penalty, tangents are added until they are near enough."""
    n, columns = X.shape
    # Variables: positive and negative parts, the intercept, each row's loss, each square.
    rows, heights = [], []
    for steepness, height in pieces:
        slope = np.broadcast_to(steepness, n)[:, None]
        rows.append(sp.hstack([slope * X, -slope * X, slope, -sp.eye_array(n), sp.csr_array((n, columns))]))
        heights.append(-np.broadcast_to(height, n))
    A, b = sp.vstack(rows), np.concatenate(heights)
    cost = np.concatenate([np.full(2 * columns, absolute), [0.0], weight / n, np.full(columns, 0.5 * decay)])
    bounds = [(0, None)] * (2 * columns) + [(None, None) if intercept else (0, 0)]
    bounds += [(None, None)] * n + [(0, None)] * columns
    exact = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    for _ in range(100):
        found = linprog(cost, A, b, bounds=bounds, method="highs", options=exact)
        w = found.x[:columns] - found.x[columns : 2 * columns]
        above = 0.5 * decay * (w**2 - found.x[-columns:]).sum() if columns else 0.0
        if above < 1e-8:
            return found.fun
        steep, nothing = sp.diags_array(2 * w), sp.csr_array((columns, 1 + n))
        A = sp.vstack([A, sp.hstack([steep, -steep, nothing, -sp.eye_array(columns)])])
        b = np.concatenate([b, w**2])
    raise AssertionError("the tangents do not come near")
