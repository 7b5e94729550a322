"""What can go wrong, as a tree.

::

    FalllineError
    ├── InputError (ValueError)             the data: shapes, values, types
    │   ├── NotNumbersError (TypeError)     objects or text where numbers are wanted
    │   ├── NonFiniteError                  NaN or infinity, with row and column
    │   └── TargetError                     targets outside what the loss can take
    ├── ParameterError (ValueError)         a setting: what it got, what it wanted
    ├── DivergenceError (ArithmeticError, ValueError)   the loss became non-finite
    ├── StateError (ValueError)             a saved state that does not fit
    ├── CacheError (OSError)                a cache file that cannot be written or read
    │   └── DamagedCacheError               one that is not as it was written; it has been removed
    ├── ModelError (ValueError)             a file that is no model, or none that this version reads
    ├── ProcessError (RuntimeError)         another of the processes that train together has ended
    └── MissingDependencyError (ImportError)            an extra that is not installed

    FalllineWarning (UserWarning)
    └── InterruptedWarning                  training was stopped by Ctrl-C

Every message says what was found, what was wanted, and what to do.
"""

from __future__ import annotations

__all__ = [
    "CacheError",
    "DamagedCacheError",
    "DivergenceError",
    "FalllineError",
    "FalllineWarning",
    "InputError",
    "InterruptedWarning",
    "MissingDependencyError",
    "ModelError",
    "NonFiniteError",
    "NotNumbersError",
    "ParameterError",
    "ProcessError",
    "StateError",
    "TargetError",
]


class FalllineError(Exception):
    """Base of every error that fallline raises on purpose."""


class InputError(FalllineError, ValueError):
    """The data cannot be used as it is."""


class NotNumbersError(InputError, TypeError):
    """The data are not numbers."""


class NonFiniteError(InputError):
    """The data hold NaN or infinity."""


class TargetError(InputError):
    """A target lies outside the domain of the loss."""


class ParameterError(FalllineError, ValueError):
    """A setting has a value that it cannot take."""


class DivergenceError(FalllineError, ArithmeticError, ValueError):
    """The loss or the weights became non-finite while training on finite data."""


class StateError(FalllineError, ValueError):
    """A saved state is damaged, or belongs to another training run."""


class CacheError(FalllineError, OSError):
    """A cache file cannot be written or read."""


class DamagedCacheError(CacheError):
    """A cache file is not as it was written. It has been removed, to be written anew."""


class ModelError(FalllineError, ValueError):
    """A model file is missing, damaged, or of a format that this version does not read."""


class ProcessError(FalllineError, RuntimeError):
    """Another of the processes that train together has ended, or cannot be reached."""


class MissingDependencyError(FalllineError, ImportError):
    """An optional dependency is needed and not installed."""


class FalllineWarning(UserWarning):
    """Base of every warning that fallline gives."""


class InterruptedWarning(FalllineWarning):
    """Training was interrupted; the model holds the best weights so far."""
