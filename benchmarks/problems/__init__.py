"""Problems whose optima are known, one page a family.

A problem is an objective (`problem.py`): rows, targets, a loss, the strength of the penalty, and rows to test on. Its optimum
(`optimum.py`) is found once, to high accuracy, by a solver that shares nothing with fallline, and kept in the user's cache
(`python benchmarks/solvers.py --optima` finds all that are not known yet).

The families `real` and `sparse` read the folder that FALLLINE_DATA names; without it their problems are left out.
"""

from __future__ import annotations

import os

from problems import bad, degenerate, dense, real, sparse
from problems.problem import Problem

__all__ = ["FAMILIES", "Problem", "choose", "make"]

FAMILIES = {
    "dense": dense.PROBLEMS,
    "degenerate": degenerate.PROBLEMS,
    "real": real.PROBLEMS,
    "sparse": sparse.PROBLEMS,
    "bad": bad.PROBLEMS,
}

_MAKERS = {name: maker for family in FAMILIES.values() for name, maker in family.items()}
# Read from FALLLINE_DATA; the others are generated, or come with scikit-learn.
_OPENED = {name for page in (real, sparse) for name in page.OPENED}


def choose(names=(), families=()):
    """The names of problems asked for, by default all that can be had here."""
    unknown = [name for name in names if name not in _MAKERS]
    if unknown:
        raise SystemExit(f"There is no problem {unknown[0]!r}. Choose among {', '.join(_MAKERS)}.")
    wanted = names or [name for family in families or FAMILIES for name in FAMILIES[family]]
    if os.environ.get("FALLLINE_DATA"):
        return list(wanted)
    absent = [name for name in wanted if name in _OPENED]
    if absent:
        print(f"\nLeft out, because FALLLINE_DATA names no folder of data sets: {', '.join(absent)}.")
    return [name for name in wanted if name not in absent]


def make(name):
    """A problem by its name."""
    return _MAKERS[name]()
