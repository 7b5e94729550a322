"""Where a quadratic model has its minimum."""

from __future__ import annotations

import numpy as np

from fallline.kernels.quadratic import descend_coordinates

__all__ = ["minimum", "to_gain"]

# What is added to the diagonal of ones first, and where adding more is given up.
_FIRST_RIDGE, _LAST_RIDGE = 1e-13, 1e3
_SWEEPS, _ROUNDS, _TOLERANCE = 20, 1000, 1e-11


def minimum(
    curvature: np.ndarray,
    linear: np.ndarray,
    absolute: np.ndarray,
    start: np.ndarray,
    *,
    sweeps: int = _SWEEPS,
    rounds: int = _ROUNDS,
) -> np.ndarray:
    r"""The minimisers of :math:`\tfrac12 x^T A x - b^T x + \sum r_j |x_j|`, of one problem or of several at once.

    Parameters
    ----------
    curvature : ndarray of shape (..., Q, Q)
        A, symmetric and, but for rounding, positive semi-definite; it is used up.
    linear : ndarray of shape (..., Q)
        b.
    absolute : ndarray of shape (Q,)
        r.
    start : ndarray of shape (..., Q)
        Where to begin, if any r is not 0; and what coordinates without any curvature keep.
    sweeps, rounds : int
        If any r is not 0: at most so many sweeps of coordinate descent, and then so many systems of equations. Where they are too
        few, the minimum is not reached.

    Notes
    -----
    A is brought to ones on its diagonal, and as much added there as a Cholesky decomposition needs to succeed: where columns
    repeat each other, any of the minimisers will do.
    """
    diagonal = np.einsum("...ii->...i", curvature)
    flat = ~(diagonal > 0.0)
    inverse = 1.0 / np.sqrt(np.where(flat, 1.0, diagonal))
    curvature *= inverse[..., np.newaxis]
    curvature *= inverse[..., np.newaxis, :]
    right = np.where(flat, start, linear * inverse)
    if flat.any():
        curvature[flat], curvature.swapaxes(-1, -2)[flat] = 0.0, 0.0
        diagonal[flat] = 1.0
    x = np.empty_like(right)
    for problem in np.ndindex(x.shape[:-1]):
        matrix, b = curvature[problem], right[problem]
        if absolute.any():
            r = np.where(flat[problem], 0.0, absolute * inverse[problem])
            x[problem] = _with_absolute(matrix, b, r, start[problem] / inverse[problem], sweeps, rounds)
        else:
            x[problem] = _solved(matrix, b)
    return np.where(flat, start, x * inverse)


def to_gain(slope: np.ndarray, model: np.ndarray, absolute: np.ndarray | float, bent: np.ndarray) -> float:
    """What coefficients can gain, each for itself, of a function of such slopes and curvatures and absolute values."""
    off = np.where(
        model != 0.0, np.abs(slope + absolute * np.sign(model)), np.maximum(np.abs(slope) - absolute, 0.0)
    )
    moving = off > 0.0
    bent = np.broadcast_to(bent, off.shape)[moving]
    return 0.5 * float(
        np.sum(np.divide(off[moving] ** 2, bent, out=np.full_like(bent, np.inf), where=bent > 0.0))
    )


def _with_absolute(matrix, right, absolute, x, sweeps, rounds):
    """The same with absolute values: an active set of coordinates that are not zero, which coordinate descent guesses.

    With the signs of the active ones fixed, their minimum solves a system of equations. On the way there, one that comes to
    zero leaves the set; once there, those at zero enter it whose slope is steeper than their absolute value's. Coordinate
    descent alone would take far too long where columns are alike.
    """
    matrix.flat[:: len(matrix) + 1] += _FIRST_RIDGE
    _descend(matrix, right, absolute, x, sweeps)
    signs = np.sign(x)
    for _ in range(rounds):
        active = np.flatnonzero(signs)
        exact = _solved(matrix[np.ix_(active, active)], (right - absolute * signs)[active])
        turned = exact * signs[active] < 0.0
        if turned.any():
            way = x[active][turned] / (x[active][turned] - exact[turned])
            x[active] += way.min() * (exact - x[active])
            gone = active[turned][way == way.min()]
            x[gone] = signs[gone] = 0.0
            continue
        x[active] = exact
        pull = right - matrix @ x
        steep = np.where(signs == 0.0, np.abs(pull) - absolute, 0.0)
        if steep.max() <= _TOLERANCE * max(np.abs(right).max(), 1e-300):
            break
        entering = steep >= max(0.5 * steep.max(), 1e-300)
        signs[entering] = np.sign(pull[entering])
    return x


def _descend(matrix, right, absolute, x, sweeps):
    """Coordinate descent: over all coordinates, then over those that are not zero until they rest, and so on."""
    while sweeps > 0:
        _, largest = descend_coordinates(matrix, right, absolute, x, True, 1, _TOLERANCE)
        sweeps -= 1
        if largest <= _TOLERANCE:
            break
        active = np.flatnonzero(x)
        few = x[active]
        # A copy, whose rows are as short as can be: memory is what sweeps over many columns wait for.
        parts = matrix[np.ix_(active, active)], right[active], absolute[active]
        sweeps -= descend_coordinates(*parts, few, False, sweeps, _TOLERANCE)[0]
        x[active] = few


def _solved(matrix, right):
    """The solution of a system of equations whose matrix may need more on its diagonal."""
    from scipy.linalg.lapack import dposv  # whose import other solvers need not wait for

    if not len(right):
        return right  # LAPACK takes no empty system
    ridge = _FIRST_RIDGE
    while ridge < _LAST_RIDGE:
        trial = matrix.copy()
        trial.flat[:: len(trial) + 1] += ridge
        _, x, failed = dposv(trial.T, right, overwrite_a=True)  # transposed, as LAPACK has it
        if not failed and np.isfinite(x).all():
            return x
        ridge *= 10.0
    return right
