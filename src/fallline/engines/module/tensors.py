"""Tensors in memory to train on, visited where they lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from fallline.data.order import NO_EPOCH, Order
from fallline.data.rows import ArraySource, TrainingSource
from fallline.engines.base import IN_ORDER
from fallline.engines.module.blocks import TensorBlock
from fallline.engines.module.reading import WindowsRead, block_of, gather, leaves, row_numbers
from fallline.engines.module.trees import mapped
from fallline.errors import NonFiniteError
from fallline.kernels.order import select

__all__ = ["TensorSource", "held_out", "in_rows", "numbers_of", "require_finite_values", "tensors_of"]

# Rows that are looked at together when a number that is not finite is searched for.
_LOOK = 4096


class TensorSource:
    """Rows of tensors; nothing is copied. See `TrainingSource`.

    Parameters
    ----------
    inputs : tensor, SparseInputs, or tuple or dict of such, rows along the first dimension
    targets : the same, or None
    weight : tensor of shape (n,) or None
    subset : ndarray of row numbers, uint64, optional
        The rows that belong to this source; by default all.
    """

    def __init__(self, inputs: Any, targets: Any, weight: Any = None, subset: np.ndarray | None = None):
        self._tensors = {"inputs": inputs, "targets": targets, "sample_weight": weight}
        self._block = TensorBlock(inputs, targets, weight, None, numbered=True)
        self._subset = subset
        found = [tensor for _, tensor in leaves(inputs, "")]
        self.n_rows = found[0].shape[0] if subset is None else len(subset)
        self.n_columns, self.n_targets = numbers_of(inputs), numbers_of(targets)
        self.numbers_a_row = float(self.n_columns)
        self.dtype = next(
            (_numpy_dtype(tensor) for tensor in found if tensor.dtype.is_floating_point), np.dtype(np.float32)
        )

    def blocks(
        self, order: Order, epoch: int, position: int, size: Callable[[], int]
    ) -> Iterator[tuple[TensorBlock, int]]:
        """See `TrainingSource.blocks`."""
        while position < self.n_rows:
            stop = min(position + size(), self.n_rows)
            rows = order.rows(self.n_rows, epoch, position, stop)
            if self._subset is not None:
                select(self._subset, rows)
            yield self._block._replace(rows=row_numbers(rows)), stop
            position = stop

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSource.targets`."""
        rows = slice(None) if self._subset is None else row_numbers(self._subset)
        targets, weight = (
            mapped(lambda tensor: tensor[rows], self._tensors[name]) for name in ("targets", "sample_weight")
        )
        return in_rows(targets, self.n_rows), np.ones(self.n_rows) if weight is None else weight.cpu().numpy()

    def require_finite(self, rows: Any) -> None:
        """See `TrainingSource.require_finite`; the error names the row."""
        rows = rows.cpu().sort().values
        for name, values in self._tensors.items():
            for place, tensor in leaves(values, name):
                for start in range(0, len(rows), _LOOK):
                    numbers = rows[start : start + _LOOK]
                    require_finite_values(gather(tensor, numbers.to(tensor.device)), numbers, place)

    def on(self, device: torch.device, share: float) -> TensorSource:
        """The same with all tensors on a device, if they take no more than a share of its free memory; otherwise as they are."""
        found = [tensor for values in self._tensors.values() for _, tensor in leaves(values, "")]
        wanted = [tensor for tensor in found if tensor.device != device]
        sparse = any(not isinstance(tensor, torch.Tensor) for tensor in found)
        if not wanted or sparse or sum(tensor.nbytes for tensor in wanted) > share * _free(device):
            return self
        inputs, targets, weight = mapped(lambda tensor: tensor.to(device), tuple(self._tensors.values()))
        return TensorSource(inputs, targets, weight, self._subset)

    def part(self, begin: int, end: int) -> TensorSource:
        """The rows from one position to another, in order, as a source."""
        inputs, targets, weight = self._tensors.values()
        rows = np.arange(begin, end, dtype=np.uint64) if self._subset is None else self._subset[begin:end]
        return TensorSource(inputs, targets, weight, rows)

    def split(self, fraction: float, seed: int) -> tuple[TensorSource, TensorSource]:
        """Rows to train on, and rows held out: a fraction of all, chosen at random by the seed."""
        inputs, targets, weight = self._tensors.values()
        rest, held = held_out(self.n_rows, self._subset, fraction, seed)
        return TensorSource(inputs, targets, weight, rest), TensorSource(inputs, targets, weight, held)


def tensors_of(
    source: TrainingSource, classes: int | None = None, *, weighted: bool = True, sparse: bool = False
) -> TrainingSource:
    """Encoded rows as something to train modules on.

    Parameters
    ----------
    source : TrainingSource
        Of rows in memory, or of windows.
    classes, weighted, sparse
        See `fallline.engines.module.reading.block_of`.
    """
    if not isinstance(source, ArraySource):
        return WindowsRead(source, classes, weighted=weighted, sparse=sparse)
    block, _ = next(source.blocks(IN_ORDER, 0, 0, lambda: source.n_rows))
    inputs, targets, weight, *_ = block_of(block, classes, weighted=weighted, sparse=sparse)
    whole = len(block.rows) == len(block.y)
    return TensorSource(inputs, targets, weight, None if whole else block.rows)


def held_out(n: int, subset: np.ndarray | None, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (uint64) of the rows to train on and of those held out: a fraction of n, or of a subset of so many."""
    n_held = round(fraction * n)
    numbers = Order(seed).rows(n, NO_EPOCH, 0, n)
    parts = np.sort(numbers[n_held:]), np.sort(numbers[:n_held])
    if subset is not None:
        for part in parts:
            select(subset, part)
    return parts


def numbers_of(values: Any) -> int:
    """How many numbers a row of some tensors holds."""
    return sum(math.prod(tensor.shape[1:]) for _, tensor in leaves(values, ""))


def in_rows(values: Any, n: int) -> np.ndarray:
    """All numbers of some tensors, (n, numbers)."""
    found = [tensor.cpu().reshape(n, -1) for _, tensor in leaves(values, "")]
    return torch.cat(found, 1).numpy() if found else np.empty((n, 0), np.float32)


def require_finite_values(values: torch.Tensor, rows: Any, name: str, where: str = "") -> None:
    """Raise `NonFiniteError` if a tensor holds NaN or infinity.

    Parameters
    ----------
    values : tensor
    rows : sequence of int or None
        The number of each of its rows; None if they have none.
    name : str
        What it is called.
    where : str
        Where it is, for rows without numbers.
    """
    if not values.dtype.is_floating_point:
        return
    if values.layout == torch.sparse_csr:
        if torch.isfinite(values.values()).all():
            return
        values = values.to_dense()
    bad = ~torch.isfinite(values).reshape(len(values), -1)
    if not bad.any():
        return
    place = int(bad.any(1).nonzero()[0])
    column = int(bad[place].nonzero()[0])
    found = "NaN" if torch.isnan(values.reshape(bad.shape)[place, column]) else "infinity (inf)"
    at = f"row {int(rows[place])}" if rows is not None else f"row {place} of {where}"
    at += f", number {column} of it" if bad.shape[1] > 1 else ""
    raise NonFiniteError(
        f"{name} holds {found} in {at}; every value has to be a finite number. Correct it or leave the row out."
    )


def _free(device):
    """Bytes of memory that are free on a device; where it shares the processor's, as much as is asked for."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return math.inf


def _numpy_dtype(tensor):
    return np.dtype(str(tensor.dtype).removeprefix("torch.").replace("bfloat16", "float32"))
