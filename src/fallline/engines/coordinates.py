"""Standardised coordinates: a change of variables, never of the problem.

A row x becomes z = (x - m) / s, column by column, and a model w . x + b becomes v . z + c with

    v = s w,    c = b + m . w        so that        w = v / s,    b = c - m . (v / s).

Penalties are carried over: a/2 w**2 is (a / s**2)/2 v**2, and r|w| is (r / s)|v|. So m and s need not be exact: those of the
first rows will do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.kernels.verbs import decay
from fallline.objective.penalties import absolute_strength

__all__ = ["Coordinates", "spread_of"]

_HIGHEST = 1e100


def spread_of(rows: np.ndarray, *, centre: bool) -> tuple[np.ndarray, np.ndarray]:
    """What to subtract from the columns of some rows and what to divide by; constant columns are divided by 1."""
    exact = rows.astype(np.float64)
    with np.errstate(all="ignore"):
        shift = exact.mean(axis=0) if centre else np.zeros(exact.shape[1])
        # Exactly what kernels will subtract.
        shift = shift.astype(rows.dtype).astype(np.float64)
        scale = np.sqrt(((exact - shift) ** 2).mean(axis=0))
    usable = np.isfinite(shift) & np.isfinite(scale)
    scale[~usable | (scale <= 1e-12 * np.abs(shift)) | (scale == 0)] = 1.0
    shift[~usable] = 0.0
    return shift, scale.astype(rows.dtype).astype(np.float64)


class Coordinates:
    """Shift m and scale s of each column, the intercept's last (0 and 1), and what penalties become.

    Parameters
    ----------
    arrays : ndarray of shape (2, columns + 1)
        m and s.
    penalty : NamedTuple
        A value from `PENALTIES`.
    """

    def __init__(self, arrays: np.ndarray, penalty: Any):
        self.shift, self.scale = arrays
        with np.errstate(over="ignore"):
            # Columns so small that nothing but 0 is worth its penalty.
            self.decay = np.minimum(decay(penalty) / self.scale**2, _HIGHEST)
            self.absolute = np.minimum(absolute_strength(penalty) / self.scale, _HIGHEST)
        self.decay[-1] = self.absolute[-1] = 0.0  # the intercept's

    def penalty(self, v: np.ndarray) -> Any:
        """The penalty of a model in these coordinates, (outputs, columns + 1); or of several, (models, outputs, columns + 1)."""
        return (v * v @ (0.5 * self.decay) + np.abs(v) @ self.absolute).sum(axis=-1)

    def outside(self, v: np.ndarray) -> np.ndarray:
        """A model in the caller's coordinates."""
        w = v / self.scale
        w[:, -1] -= w[:, :-1] @ self.shift[:-1]
        return w

    def inside(self, w: np.ndarray) -> np.ndarray:
        """A model of the caller's in these coordinates."""
        v = w * self.scale
        v[:, -1] += w[:, :-1] @ self.shift[:-1]
        return v
