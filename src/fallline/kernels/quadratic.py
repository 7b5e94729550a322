"""Minimising a quadratic function plus absolute values, coordinate by coordinate."""

from __future__ import annotations

from fallline.kernels.compile import inlined, kernel

__all__ = ["descend_coordinates"]


@kernel
def descend_coordinates(matrix, linear, absolute, x, waking, sweeps, tolerance):
    """Move `x` towards the minimum of x' A x / 2 - b . x + sum of r |x| (Friedman, Hastie and Tibshirani, 2010).

    Parameters
    ----------
    matrix : ndarray of shape (Q, Q)
        A, with ones on its diagonal or smaller.
    linear, absolute, x : ndarray of shape (Q,)
        b, r, and where to start.
    waking : bool
        Whether coordinates that are zero are visited, too.
    sweeps : int
        At most so many.
    tolerance : float
        The largest change in a sweep that ends it.

    Returns
    -------
    sweeps : int
        As many as were made.
    largest : float
        The largest change in the last.
    """
    residual = linear.copy()
    for j in range(len(x)):
        if x[j] != 0.0:
            _subtract(residual, matrix, j, x[j])
    largest, made = 0.0, 0
    while made < sweeps:
        made += 1
        largest = 0.0
        for j in range(len(x)):
            if waking or x[j] != 0.0:
                largest = max(largest, _visit(matrix, residual, absolute, x, j))
        if largest <= tolerance:
            break
    return made, largest


@inlined
def _visit(matrix, residual, absolute, x, j):
    """Move one coordinate to its minimum, the others being where they are; by how much."""
    before, bend = x[j], matrix[j, j]
    if bend <= 0.0:
        return 0.0
    pull = residual[j] + bend * before
    change = (max(pull - absolute[j], 0.0) + min(pull + absolute[j], 0.0)) / bend - before
    if change != 0.0:
        x[j] = before + change
        _subtract(residual, matrix, j, change)
    return abs(change)


@inlined
def _subtract(residual, matrix, j, change):
    """Take a change of one coordinate out of what is left of b - A x."""
    for i in range(len(residual)):
        residual[i] -= matrix[j, i] * change
