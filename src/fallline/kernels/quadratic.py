"""Minimising a quadratic function plus absolute values, coordinate by coordinate."""

from __future__ import annotations

from fallline.kernels.compile import kernel

__all__ = ["descend_coordinates"]


@kernel
def descend_coordinates(matrix, linear, absolute, x, sweeps, tolerance):
    """Move `x` to the minimum of x' A x / 2 - b . x + sum of r |x| (Friedman, Hastie and Tibshirani, 2010).

    After each sweep over all coordinates, those that are not zero are visited until they change little.

    Parameters
    ----------
    matrix : ndarray of shape (Q, Q)
        A, with ones on its diagonal or smaller.
    linear, absolute, x : ndarray of shape (Q,)
        b, r, and where to start.
    sweeps : int
        At most so many over any coordinates.
    tolerance : float
        The largest change in a whole sweep that ends it.
    """
    size = len(x)
    residual = linear.copy()
    for j in range(size):
        if x[j] != 0.0:
            for i in range(size):
                residual[i] -= matrix[j, i] * x[j]
    whole = True
    for _ in range(sweeps):
        largest = 0.0
        for j in range(size):
            before, bend = x[j], matrix[j, j]
            if bend <= 0.0 or not (whole or before != 0.0):
                continue
            pull = residual[j] + bend * before
            after = (max(pull - absolute[j], 0.0) + min(pull + absolute[j], 0.0)) / bend
            change = after - before
            if change != 0.0:
                x[j] = after
                for i in range(size):
                    residual[i] -= matrix[j, i] * change
                largest = max(largest, abs(change))
        if largest <= tolerance:
            if whole:
                break
            whole = True
        else:
            whole = False
