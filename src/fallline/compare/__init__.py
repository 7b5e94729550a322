"""Batch, stochastic and mini-batch gradient descent side by side, beside what else there is.

::

    table ──▶ task ──▶ problem ──▶ contenders ──▶ experiment ──▶ results ──▶ verdict ──▶ page
    rows and  classes  split,      who takes      rates, runs,   all the     in plain    charts,
    a target  or not   scale       part           noise, memory  numbers     words       tables
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any

from fallline.compare.comparing import compare
from fallline.compare.results import Comparison

__all__ = ["Comparison", "compare"]


class _CallablePackage(ModuleType):
    """Importing this package puts it where the function of the same name is looked for: so it can be called, too."""

    @functools.wraps(compare)
    def __call__(self, *args: Any, **kwargs: Any) -> Comparison:
        return compare(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
