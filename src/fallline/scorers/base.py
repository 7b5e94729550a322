"""What every scorer can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np

from fallline.kernels.blocks import Block

__all__ = ["Scorer"]


class Scorer(Protocol):
    """Scores encoded rows, and is kept in a model file."""

    def score(self, block: Block, *, offset: bool) -> np.ndarray:
        """The scores of a block's rows, (rows, outputs).

        Parameters
        ----------
        block : Block
        offset : bool
            Whether the last target of the block is an offset, which is added to every score.
        """

    def to_file(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Everything, as arrays and what can be JSON."""

    @classmethod
    def from_file(cls, tensors: Mapping[str, np.ndarray], document: Mapping[str, Any]) -> Self:
        """The scorer that `to_file` took apart; `KeyError`, `TypeError` or `ValueError` where it is not whole."""
