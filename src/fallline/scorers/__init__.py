"""Scorers: from encoded rows to the scores that a loss or its link makes predictions of.

A model has one, whatever was trained. To add a kind: a page with the members of `Scorer`.
"""

from __future__ import annotations

from fallline.scorers.base import Scorer
from fallline.scorers.linear import LinearScorer
from fallline.scorers.network import NetworkScorer

__all__ = ["LinearScorer", "NetworkScorer", "Scorer"]
