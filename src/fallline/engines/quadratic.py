"""Where a quadratic model has its minimum."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from fallline.kernels.quadratic import descend_coordinates

__all__ = ["minimum"]

# What is added to the diagonal of ones first, and where adding more is given up.
_FIRST_RIDGE, _LAST_RIDGE = 1e-13, 1e3
_SWEEPS, _TOLERANCE = 2000, 1e-11


def minimum(curvature: np.ndarray, linear: np.ndarray, absolute: np.ndarray, start: np.ndarray) -> np.ndarray:
    r"""The minimiser of :math:`\tfrac12 x^T A x - b^T x + \sum r_j |x_j|`.

    Parameters
    ----------
    curvature : ndarray of shape (Q, Q)
        A, symmetric and, but for rounding, positive semi-definite.
    linear, absolute : ndarray of shape (Q,)
        b and r.
    start : ndarray of shape (Q,)
        Where to begin, if any r is not 0; and what coordinates without any curvature keep.

    Notes
    -----
    A is brought to ones on its diagonal, and as much added there as a Cholesky decomposition needs to succeed: where columns
    repeat each other, any of the minimisers will do.
    """
    diagonal = np.diagonal(curvature)
    flat = ~(diagonal > 0.0)
    inverse = 1.0 / np.sqrt(np.where(flat, 1.0, diagonal))
    scaled = curvature * inverse[:, np.newaxis] * inverse
    scaled[flat], scaled[:, flat] = 0.0, 0.0
    right = np.where(flat, start, linear * inverse)
    scaled[flat, flat] = 1.0
    if absolute.any():
        x = start / inverse
        ridge = scaled + _FIRST_RIDGE * np.eye(len(x))
        descend_coordinates(ridge, right, np.where(flat, 0.0, absolute * inverse), x, _SWEEPS, _TOLERANCE)
        return x * inverse
    x = _solved(scaled, right)
    return np.where(flat, start, x * inverse)


def _solved(matrix, right):
    """The solution of a system of equations whose matrix may need more on its diagonal."""
    ridge = _FIRST_RIDGE
    while ridge < _LAST_RIDGE:
        trial = matrix.copy()
        trial[np.diag_indices_from(trial)] += ridge
        try:
            x = cho_solve(cho_factor(trial, overwrite_a=True, check_finite=False), right, check_finite=False)
        except LinAlgError:
            pass
        else:
            if np.isfinite(x).all():
                return x
        ridge *= 10.0
    return right
