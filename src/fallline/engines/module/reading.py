"""From rows in memory to tensors, and from tensors to batches. No number is copied before it is in a batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from fallline.data.order import Order
from fallline.data.rows import SparseRows, TrainingSource, rows_of
from fallline.engines.module.blocks import TensorBlock
from fallline.engines.module.trees import rebuilt
from fallline.kernels.blocks import Block, CsrBlock, row_weights
from fallline.kernels.blocks import copy_csr_rows as copy_rows

__all__ = ["SparseInputs", "WindowsRead", "as_tensor", "block_of", "gather", "leaves", "row_numbers"]

# Numbers that PyTorch copies on one thread.
_SMALL = 2**15


def gather(values: Any, rows: torch.Tensor) -> Any:
    """A copy of some rows of a tensor, of `SparseInputs`, or of each in a tuple or dict of them; None stays None.

    Parameters
    ----------
    values : tensor of shape (n, ...), SparseInputs, tuple, dict or None
    rows : int64 tensor of shape (rows,), on the same device
        Which rows, in this order.
    """
    if isinstance(values, torch.Tensor):
        return _taken(values, rows)
    if values is None:
        return None
    if isinstance(values, tuple):
        return rebuilt(values, [gather(value, rows) for value in values])
    if isinstance(values, dict):
        return {name: gather(value, rows) for name, value in values.items()}
    return values.take(rows)


def _taken(tensor, rows):
    """Larger batches are copied by NumPy, on one thread: others, whom PyTorch would wake up, are late where cores are busy."""
    if torch.get_num_threads() > 1 and len(rows) * tensor[0].numel() > _SMALL and _plain(tensor):
        return torch.from_numpy(tensor.numpy().take(rows.numpy(), axis=0))
    return tensor.index_select(0, rows)


def _plain(tensor):
    """Whether NumPy takes rows of a tensor as it is."""
    return tensor.device.type == "cpu" and tensor.dtype is not torch.bfloat16 and tensor.is_contiguous()


def leaves(values: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every tensor of a tuple or dict, however nested, with its name: such as "inputs[1]"; nothing of None."""
    if isinstance(values, (tuple, list)):
        for place, value in enumerate(values):
            yield from leaves(value, f"{name}[{place}]")
    elif isinstance(values, Mapping):
        for key, value in values.items():
            yield from leaves(value, f"{name}[{key!r}]")
    elif values is not None:
        yield name, values


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """The same memory as a tensor, which nobody may write to: arrays that are read-only, such as mapped files, may be too."""
    return torch.from_numpy(array if array.flags.writeable else np.asarray(_Memory(array)))


class _Memory:
    """The memory of an array without the note that it is read-only, of which PyTorch would warn."""

    def __init__(self, array):
        self._array = array
        interface = array.__array_interface__
        self.__array_interface__ = interface | {"data": (interface["data"][0], False)}


def row_numbers(rows: np.ndarray) -> torch.Tensor:
    """Row numbers (uint64) as tensors are indexed with (int64): the same memory."""
    return torch.from_numpy(rows.view(np.int64))


class SparseInputs:
    """Compressed sparse rows, of which batches become tensors.

    Parameters
    ----------
    block : CsrBlock
        Its rows, in their own order, are what is taken from; those it selects do not matter.
    sparse : bool
        Whether batches are sparse CSR tensors; otherwise they are dense.
    """

    def __init__(self, block: CsrBlock, sparse: bool = False):
        self._block = block
        self._lengths = np.diff(block.indptr).view(np.int64)
        self._sparse = sparse
        self.shape = (len(self._lengths), block.columns)
        self.dtype = as_tensor(block.data[:0]).dtype
        self.device = torch.device("cpu")
        _introduce_sparse()

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """These rows, (rows, columns), on the device of `rows`."""
        numbers = rows.cpu().numpy()
        indptr = np.zeros(len(numbers) + 1, np.int64)
        np.cumsum(self._lengths[numbers], out=indptr[1:])
        indices = np.empty(indptr[-1], self._block.indices.dtype)
        data = np.empty(indptr[-1], self._block.data.dtype)
        copy_rows(self._block._replace(rows=numbers.view(np.uint64)), indices, data)
        signed = indices.view(f"i{indices.itemsize}").astype(np.int64, copy=False)
        batch = torch.sparse_csr_tensor(
            torch.from_numpy(indptr), torch.from_numpy(signed), torch.from_numpy(data),
            (len(numbers), self._block.columns), check_invariants=False,
        )  # fmt: skip
        return (batch if self._sparse else batch.to_dense()).to(rows.device)

    def copied(self, rows: torch.Tensor) -> SparseInputs:
        """A copy of these rows."""
        return self._of(rows_of(self._block._replace(rows=rows.cpu().numpy().view(np.uint64))))

    @staticmethod
    def joined(parts: Sequence[SparseInputs]) -> SparseInputs:
        """All rows of the parts, one part after the other."""
        every = [np.arange(len(part), dtype=np.uint64) for part in parts]
        rows: list[Any] = [
            rows_of(part._block._replace(rows=numbers)) for part, numbers in zip(parts, every, strict=True)
        ]
        return parts[0]._of(SparseRows.concatenate(rows))

    def _of(self, rows):
        return SparseInputs(rows.block(np.empty(0, np.uint64)), self._sparse)


@cache
def _introduce_sparse():
    """PyTorch says once that sparse CSR tensors are in beta; what is used of them here has long been stable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor([0, 0], [], torch.zeros(0), (1, 1))


def block_of(
    block: Block, classes: int | None = None, *, weighted: bool = True, sparse: bool = False
) -> TensorBlock:
    """A block of encoded rows as one of tensors.

    Parameters
    ----------
    block : DenseBlock or CsrBlock
    classes : int, optional
        How many classes the targets stand for: of two, those above 0 are the second. By default they are numbers.
    weighted : bool
        Whether the weights matter.
    sparse : bool
        Whether batches of a `CsrBlock` are sparse tensors.

    Returns
    -------
    TensorBlock
        Its targets are classes, int64 of shape (n,), or numbers of shape (n, targets).
    """
    inputs = SparseInputs(block, sparse) if isinstance(block, CsrBlock) else as_tensor(block.X)
    weight = as_tensor(row_weights(block)) if weighted else None
    return TensorBlock(inputs, _targets(block.y, classes), weight, row_numbers(block.rows))


def _targets(y, classes):
    if classes is None:
        return as_tensor(y)
    return torch.from_numpy((y[:, 0] > 0 if classes == 2 else y[:, 0]).astype(np.int64))


class WindowsRead:
    """Windows of encoded rows as blocks of tensors: see `TrainingSource`.

    Parameters
    ----------
    source : TrainingSource
        Of `DenseBlock` or `CsrBlock`, each of which selects from a window of rows.
    classes, weighted, sparse
        See `block_of`.
    """

    def __init__(
        self,
        source: TrainingSource,
        classes: int | None = None,
        *,
        weighted: bool = True,
        sparse: bool = False,
    ):
        self._source = source
        self._how: dict[str, Any] = {"classes": classes, "weighted": weighted, "sparse": sparse}
        self.n_rows, self.n_columns, self.n_targets = source.n_rows, source.n_columns, source.n_targets
        self.numbers_a_row, self.dtype = source.numbers_a_row, source.dtype

    def blocks(
        self, order: Order, epoch: int, position: int, size: Callable[[], int]
    ) -> Iterator[tuple[TensorBlock, int]]:
        """See `TrainingSource.blocks`. A block's tensors are written over when the next is asked for."""
        for block, stop in self._source.blocks(order, epoch, position, size):
            yield block_of(block, **self._how), stop

    def targets(self) -> tuple[np.ndarray, np.ndarray]:
        """See `TrainingSource.targets`."""
        return self._source.targets()

    def require_finite(self, rows: Any) -> None:
        """See `TrainingSource.require_finite`."""
        self._source.require_finite(rows.numpy().view(np.uint64))
