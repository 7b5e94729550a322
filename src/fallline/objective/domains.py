"""What a loss's targets may be."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fallline.errors import TargetError

__all__ = ["ANY_NUMBER", "CLASSES", "NON_NEGATIVE", "POSITIVE", "TWO_CLASSES", "Domain"]


class Domain(NamedTuple):
    """A set of targets.

    Parameters
    ----------
    wanted : str
        In words, for messages.
    lowest : float
        The smallest value inside.
    """

    wanted: str
    lowest: float = -np.inf

    @property
    def classes(self):
        """Whether the targets are classes rather than numbers."""
        return self in (TWO_CLASSES, CLASSES)

    def check(self, y, loss_name):
        """Raise `TargetError` for the first target outside."""
        below = y < self.lowest
        if below.any():
            row = int(np.argmax(below.any(axis=1) if y.ndim > 1 else below))
            raise TargetError(
                f"loss={loss_name!r} takes {self.wanted}, but the target in row {row} is {np.ravel(y[row])[0]:g}. "
                "Remove or correct such rows, or choose a loss for targets of any sign, such as 'squared_error'."
            )


ANY_NUMBER = Domain("any number")
NON_NEGATIVE = Domain("numbers of at least 0", 0.0)
POSITIVE = Domain("numbers above 0", np.nextafter(0.0, 1.0))
TWO_CLASSES = Domain("two classes")
CLASSES = Domain("classes")
