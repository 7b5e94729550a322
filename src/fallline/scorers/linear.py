"""Scores that are linear in the features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fallline.engines.linear import LinearEngine
from fallline.kernels.blocks import Block

__all__ = ["LinearScorer"]


@dataclass(frozen=True)
class LinearScorer:
    """Weights times features, plus an intercept.

    Parameters
    ----------
    weights : ndarray of shape (outputs, features + 1), float32
        One row an output; the last entry is the intercept.
    """

    weights: np.ndarray

    def score(self, block: Block, *, offset: bool) -> np.ndarray:
        """See `Scorer.score`."""
        return LinearEngine.score(block, self.weights, offset=offset)

    def to_file(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """See `Scorer.to_file`."""
        return {"weights": self.weights}, {}

    @classmethod
    def from_file(cls, tensors: Mapping[str, np.ndarray], document: Mapping[str, Any]) -> Self:  # noqa: ARG003 (see `Scorer`)
        """See `Scorer.from_file`."""
        return cls(tensors["weights"])
