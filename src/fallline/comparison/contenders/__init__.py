"""The contenders. To add one: a page like its neighbours, and a line in `line_up`.

fallline at several batch sizes, beside what people use today, beside a method that is no gradient descent at all. All
minimise the same objective from the same start, zero weights, on the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from fallline.comparison.contenders.base import Contender, Snapshot
from fallline.comparison.contenders.lbfgs import lbfgs
from fallline.comparison.contenders.own import own
from fallline.comparison.contenders.pytorch import pytorch
from fallline.comparison.contenders.scikit import scikit

__all__ = ["Contender", "Snapshot", "line_up"]

_USUAL = 32


def line_up(n: int, batch_sizes: Sequence[int]) -> tuple[list[Contender], list[str]]:
    """Who takes part on n rows; and who does not, with the reason, in sentences."""
    sizes = sorted({min(size, n) for size in batch_sizes})
    contenders: list[Contender] = [own(size, n) for size in sizes]
    contenders.append(scikit())
    absent = []
    if find_spec("torch") is None:
        absent.append("The PyTorch loop was left out, because PyTorch is not installed here.")
    else:
        contenders.append(pytorch(_nearest([size for size in sizes if 1 < size < n] or [_USUAL])))
    return [*contenders, lbfgs()], absent


def _nearest(sizes):
    return min(sizes, key=lambda size: abs(size - _USUAL))
