"""How many passes over the rows."""

from __future__ import annotations

import math

__all__ = ["passes_for"]

_ROW_VISITS = 4_000_000
_FEWEST, _MOST = 5, 100


def passes_for(rows: int) -> int:
    """As many as make four million visits to rows, from 5 to 100: small data need many passes, large ones few."""
    return min(max(math.ceil(_ROW_VISITS / rows), _FEWEST), _MOST)
