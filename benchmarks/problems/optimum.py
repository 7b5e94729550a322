"""The optimum of a problem, by SciPy and liblinear, kept in the user's cache.

Newton's method with Cholesky factors up to 1,600 coefficients; beyond, L-BFGS and then Newton's method with conjugate
gradients. The hinge loss is a parabola in a band that narrows to 1e-7, or left to liblinear where there is no intercept.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.optimize import minimize, minimize_scalar

from problems.losses import LOSSES

_SMALL = 1600
_BANDS = 2 * 10.0 ** np.arange(0, -7.5, -0.5)


class Optimum(NamedTuple):
    """What is known of a problem's optimum.

    Parameters
    ----------
    weights : ndarray of shape (outputs, columns + 1)
    best, null : float
        The objective there, and at the best model of nothing but an intercept.
    off : float
        The most by which `best` is above the true optimum, as far as can be told, relative to null - best; NaN if it cannot.
    """

    weights: np.ndarray
    best: float
    null: float
    off: float

    def gap(self, objective):
        """How much of the way from the null model to the optimum is left."""
        return (objective - self.best) / (self.null - self.best)


def folder():
    """Where optima are kept."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches, "fallline", "benchmarks")


def optimum(name, problem):
    """The optimum of the problem of that name: from the cache if it is that of these data, otherwise found and kept."""
    path = folder() / f"{name}.npz"
    if path.exists():
        with np.load(path) as file:
            known = Optimum(file["weights"], *map(float, file["numbers"]))
        if known.weights.shape == (problem.outputs, problem.X.shape[1] + 1) and np.isclose(
            problem.objective(known.weights), known.best, rtol=1e-10
        ):
            return known
    found = find(problem)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{os.getpid()}-{path.name}")
    np.savez(unfinished, weights=found.weights, numbers=np.array(found[1:]))
    unfinished.rename(path)
    return found


def find(problem):
    """The optimum."""
    start = null_weights(problem)
    null = problem._mean(problem.X, problem.y, start)
    if problem.loss == "hinge" and not problem.intercept:
        weights, above = _liblinear(problem), np.nan
    else:
        weights, above = _smoothly(Scaled(problem, start), problem, null)
    best = problem.objective(weights)
    return Optimum(weights, best, null, above / (null - best))


def _smoothly(smooth, problem, null):
    """The weights, and the most by which their objective may be above the optimum."""
    solve = _newton if smooth.size <= _SMALL else _quasi_newton
    if problem.smooth:
        v, above = solve(smooth, smooth.start)
        return smooth.weights(v), above
    before, v = np.inf, smooth.start
    for smooth.band in _BANDS:
        v, above = solve(smooth, v)
        best = problem.objective(smooth.weights(v))
        if abs(before - best) < 1e-8 * (null - best):
            break
        before = best
    # With the kink smoothed, the loss is nowhere larger than without.
    return smooth.weights(v), above + best - smooth.value(v)[0]


def null_weights(problem):
    """The best intercepts where all coefficients are 0."""
    y, weights = problem.y, np.zeros((problem.outputs, problem.X.shape[1] + 1))
    if problem.loss == "multinomial":
        weights[:, -1] = np.log(np.bincount(y.astype(int), minlength=problem.outputs) / len(y))
    elif problem.loss == "huber":
        column = y[:, None]
        weights[:, -1] = minimize_scalar(
            lambda b: LOSSES["huber"](np.full_like(column, b), y, problem.epsilon)[0].mean(),
            bounds=(y.min(), y.max()),
            method="bounded",
            options={"xatol": 1e-10 * np.ptp(y)},
        ).x
    else:
        mean = y.mean()
        weights[:, -1] = {
            "squared_error": lambda: mean,
            "poisson": lambda: np.log(mean),
            "log_loss": lambda: np.log(mean / (1 - mean)),
            "hinge": lambda: np.sign(mean - 0.5),
        }[problem.loss]()
    return weights


class Scaled:
    """The objective in coordinates in which its curvature is about 1 along each: v = s w, and dense columns centred.

    `v` is (columns + 1, outputs), flat; without an intercept (columns, outputs).
    """

    def __init__(self, problem, null):
        self.problem, self.outputs, self.band = problem, problem.outputs, 0.0
        X = problem.X
        curvature = self._losses(np.tile(null[:, -1], (X.shape[0], 1)))[2].mean() or 1.0
        if scipy.sparse.issparse(X):
            mean = np.zeros(X.shape[1])
            variance = np.asarray(X.multiply(X).mean(axis=0)).ravel()
        else:
            mean, variance = X.mean(axis=0), X.var(axis=0)
            variance[np.sqrt(variance) < 1e-12 * np.abs(mean)] = 0.0
        scale = np.sqrt(variance * curvature + problem.alpha)
        scale[scale == 0] = 1.0
        self.mean, self.scale = mean, scale
        self.strength = problem.alpha / scale**2
        if scipy.sparse.issparse(X):
            self.A = X @ scipy.sparse.diags(1 / scale)
        else:
            self.A = (X - mean) / scale
        if problem.intercept:
            ones = np.ones((X.shape[0], 1))
            stack = scipy.sparse.hstack if scipy.sparse.issparse(X) else np.hstack
            self.A = stack([self.A, ones])
            self.strength = np.append(self.strength, 0.0)
        if scipy.sparse.issparse(X):
            self.A = self.A.tocsr()
        self.size = self.A.shape[1] * self.outputs
        self.start = np.zeros((self.A.shape[1], self.outputs))
        if problem.intercept and problem.smooth:
            self.start[-1] = null[:, -1]
        self.start = self.start.ravel()

    def weights(self, v):
        """In the caller's coordinates."""
        v = v.reshape(-1, self.outputs)
        slopes = (v[: len(self.scale)] / self.scale[:, None]).T
        intercepts = (v[-1] if self.problem.intercept else 0.0) - slopes @ self.mean
        return np.column_stack([slopes, intercepts])

    def _losses(self, scores):
        if self.band:
            return LOSSES["hinge"](scores, self.problem.y, None, self.band)
        return LOSSES[self.problem.loss](scores, self.problem.y, self.problem.epsilon)

    def value(self, v):
        """The objective and its gradient."""
        V = v.reshape(-1, self.outputs)
        with np.errstate(all="ignore"):
            values, slopes, _ = self._losses(self.A @ V)
            pull = self.strength[:, None] * V
            return values.mean() + 0.5 * np.sum(pull * V), (self.A.T @ slopes / len(values) + pull).ravel()

    def curvature(self, v):
        """The matrix of second derivatives."""
        A, outputs = self.A, self.outputs
        if scipy.sparse.issparse(A):
            A = A.toarray()
        second, columns = self._losses(A @ v.reshape(-1, outputs))[2], A.shape[1]
        H = np.empty((columns, outputs, columns, outputs))
        for k in range(outputs):
            for j in range(k, outputs):
                by_row = second[:, k] * ((j == k) - second[:, j]) if outputs > 1 else second[:, 0]
                H[:, k, :, j] = H[:, j, :, k] = _product(A, by_row) / len(A)
        H = H.reshape(self.size, self.size)
        H[np.diag_indices(self.size)] += np.repeat(self.strength, outputs)
        return H

    def product(self, v, direction):
        """The matrix of second derivatives, times a direction."""
        second = self._losses(self.A @ v.reshape(-1, self.outputs))[2]
        D = direction.reshape(-1, self.outputs)
        along = second * (self.A @ D)
        if self.outputs > 1:
            along -= second * along.sum(axis=1, keepdims=True)
        return (self.A.T @ along / len(along) + self.strength[:, None] * D).ravel()


def _product(A, weight):
    """A' diag(weight) A, in chunks of rows that fit in the processor's caches."""
    total = np.zeros((A.shape[1], A.shape[1]))
    for first in range(0, len(A), 2048):
        rows = slice(first, first + 2048)
        total += A[rows].T @ (A[rows] * weight[rows, None])
    return total


def _newton(smooth, v):
    """Newton's method: steps are halved, and if that is no help damped by a multiple of the diagonal.

    Returns v, and half the last Newton decrement.
    """
    damping, (value, gradient) = 0.0, smooth.value(v)
    for _ in range(500):
        H = smooth.curvature(v)
        diagonal = np.maximum(np.diag(H), 1e-10 * np.diag(H).max())
        length = None
        while length is None:
            step, decrement = _step(H, damping * diagonal, gradient)
            if decrement < 1e-15 * max(abs(value), 1e-6) or damping > 1e10:
                return v, decrement / 2
            length = _length(smooth, v, step, value, decrement)
            damping = max(10 * damping, 1e-12) if length is None else damping / 10
        v = v - length * step
        value, gradient = smooth.value(v)
    return v, decrement / 2


def _length(smooth, v, step, value, decrement):
    """The longest of 1, 1/2, ..., 1/64 steps that lowers the objective as much as it should, or None."""
    for length in 0.5 ** np.arange(7):
        ahead, _ = smooth.value(v - length * step)
        if ahead <= value - 1e-4 * length * decrement or (ahead <= value and decrement < 1e-10 * abs(value)):
            return length
    return None


def _step(H, damping, gradient):
    """The step of a damped Newton's method, and its decrement; infinite where H is not positive definite."""
    try:
        step = scipy.linalg.cho_solve(scipy.linalg.cho_factor(H + np.diag(damping)), gradient)
    except scipy.linalg.LinAlgError:
        step = np.full_like(gradient, np.inf)
    return (step, gradient @ step) if np.isfinite(step).all() else (np.zeros_like(step), np.inf)


def _quasi_newton(smooth, v):
    """L-BFGS, then Newton's method with conjugate gradients: v, and half the last Newton decrement."""
    limits = {"maxiter": 150, "maxcor": 20, "ftol": 0.0, "gtol": 1e-9}
    v = minimize(smooth.value, v, jac=True, method="L-BFGS-B", options=limits).x
    v = minimize(
        smooth.value,
        v,
        jac=True,
        hessp=smooth.product,
        method="Newton-CG",
        options={"xtol": 1e-14, "maxiter": 100},
    ).x
    gradient = smooth.value(v)[1]
    operator = scipy.sparse.linalg.LinearOperator((v.size, v.size), lambda d: smooth.product(v, d))
    step, _ = scipy.sparse.linalg.cg(operator, gradient, rtol=1e-2, maxiter=200)
    return v, gradient @ step / 2


def _liblinear(problem):
    from sklearn.svm import LinearSVC

    strength = 1 / (len(problem.y) * problem.alpha)
    model = LinearSVC(loss="hinge", C=strength, fit_intercept=False, tol=1e-8, max_iter=1_000_000)
    return np.column_stack([model.fit(problem.X, problem.y).coef_, [0.0]])
