"""A module's outputs for rows of any kind."""

from __future__ import annotations

from typing import Any

import torch

from fallline.data.budget import memory_budget
from fallline.data.encoder import Encoder
from fallline.data.further import encoded_ahead
from fallline.data.rows import ArraySource
from fallline.engines.module.evaluating import predict as predict_source
from fallline.engines.module.optimizers import require_module
from fallline.engines.module.tensors import tensors_of
from fallline.engines.module.trees import joined
from fallline.errors import ParameterError
from fallline.settings import integer
from fallline.torch.data import as_source
from fallline.torch.encoders import encoder_of, require_encoder
from fallline.torch.looking import dtype_of
from fallline.torch.sources.kinds import kind_of

__all__ = ["predict"]


def predict(
    module: torch.nn.Module,
    data: Any,
    *,
    device: Any = None,
    batch_size: int = 1024,
    encoder: Encoder | None = None,
    sparse: bool = False,
) -> Any:
    """What a module gives for rows, in their order, when it is not trained.

    Parameters
    ----------
    module : Module
    data : tensor, array, tuple or dict of such, Dataset, DataLoader, path, list of paths or table
        As for `fit`; if there are targets, they are not looked at.
    device : str or device, optional
        Where to compute; by default where the module is. The module stays there.
    batch_size : int
        Rows that go through the module together. A `DataLoader` has its own.
    encoder : Encoder, optional
        What made numbers of the columns of the files or the table trained on, `history.encoder`; needed wherever `fit` was given
        the name of a target; see `save_encoder`. Without it, a data frame is taken as the numbers that it holds, as `fit` takes
        one without a name; unless the module was trained on encoded columns in this process.
    sparse : bool
        As for `fit`: whether the module takes sparse rows as sparse CSR tensors.

    Returns
    -------
    tensor, or tuple, list or dict of tensors
        On the processor, rows along the first dimension. Of files, too, all outputs are in memory.

    Raises
    ------
    InputError
        If the data cannot be read, or lack a column.
    ParameterError
        If files are given, or a table to a module that was trained on one, but no encoder; or an encoder, but neither files nor a
        table.
    """
    batch_size = integer("batch_size", batch_size)
    require_module(module)
    if encoder is not None:
        require_encoder(encoder)
        if kind_of(data, "") != "table":
            raise ParameterError(
                "encoder= is for files and tables, whose columns have names, but data are neither. Leave it out."
            )

        def tensors(rows):
            source = ArraySource(rows, columns=encoder.feature_names)
            return tensors_of(source, weighted=False, sparse=sparse)

        parts = [
            predict_source(module, rows, device=device, rows=batch_size)
            for _, rows in encoded_ahead(data, encoder, tensors, budget=memory_budget())
        ]
        return joined(parts)
    named = hasattr(data, "columns") or hasattr(data, "__arrow_c_stream__")
    if (named and encoder_of(module) is not None) or kind_of(data, None) == "table":
        raise ParameterError(
            "The columns of files and tables are to become the numbers that the module was trained on. Give "
            "encoder=history.encoder, from what fit returned."
        )
    size = None if isinstance(data, torch.utils.data.DataLoader) else batch_size
    source = as_source(data, batch_size=size, shuffle=False, dtype=dtype_of(module), sparse=sparse)
    try:
        return predict_source(module, source, device=device, rows=batch_size)
    finally:
        source.close()
