"""How many rows are taken together."""

from __future__ import annotations

__all__ = ["chunk_size", "chunks_together", "first_batch"]

# Numbers of all curvatures that wait to be added up.
_WAITING = 2**22


def first_batch(size: int) -> int:
    """Rows of the first batch, given how many coefficients share a curvature."""
    return max(2 * size, 256)


def chunk_size(width: int) -> int:
    """Rows that are summed together: few enough to stay in the second-level cache."""
    return min(2048, max(256, 2**17 // width // 64 * 64))


def chunks_together(curvature: int) -> int:
    """Chunks that are summed before they are added up, given how many numbers the curvature of one takes; enough for threads."""
    return max(12, _WAITING // curvature)
