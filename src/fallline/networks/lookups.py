"""Groups of one-hot columns in sparse rows: which category each row has, without a product with all that it does not have."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Lookups"]


class Lookups:
    """Takes sparse rows apart: columns outside groups as dense ones, and for each group the embedding of the column that is set.

    Parameters
    ----------
    features : int
        Columns of the rows.
    groups : sequence of (start, stop, size)
        In order and apart.
    """

    def __init__(self, features: int, groups: Sequence[tuple[int, int, int]]):
        inside = torch.zeros(features, dtype=torch.bool)
        places = torch.zeros(features, dtype=torch.int64)
        for start, stop, _ in groups:
            inside[start:stop] = True
            places[start:stop] = torch.arange(stop - start)
        self.plain = int((~inside).sum())
        slots = torch.cumsum(~inside, 0) - 1
        for number, (start, stop, _) in enumerate(groups):
            slots[start:stop] = self.plain + number
        self._slots, self._places, self._groups = slots, places, len(groups)

    def embedded(self, x: Tensor, tables: Sequence[Tensor]) -> Tensor:
        """The columns outside groups, then the embeddings; zeros for a group of which a row has no column.

        Parameters
        ----------
        x : sparse CSR tensor of shape (n, features)
            With one column of each group in a row at most.
        tables : sequence of tensors (stop - start, size)
        """
        self._slots, self._places = self._slots.to(x.device), self._places.to(x.device)
        columns, values, n = x.col_indices(), x.values(), x.shape[0]
        numbers = torch.arange(n, device=x.device)
        rows = torch.repeat_interleave(numbers, x.crow_indices().diff(), output_size=len(columns))
        cells = rows * (self.plain + self._groups) + self._slots[columns]
        wide = values.new_zeros(n * (self.plain + self._groups))
        wide = wide.index_copy(0, cells, values).view(n, -1)
        codes = torch.zeros_like(wide, dtype=torch.int64).view(-1)
        codes = codes.index_copy(0, cells, self._places[columns]).view(n, -1)
        found = [
            functional.embedding(codes[:, slot], table) * wide[:, slot : slot + 1]
            for slot, table in enumerate(tables, self.plain)
        ]
        return torch.cat([wide[:, : self.plain], *found], dim=1)
