"""From arrays to a network, and back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from fallline.errors import ParameterError
from fallline.networks.mlp import BLANK, MLP

__all__ = ["Shape", "arrays_of", "made", "restored"]


class Shape(NamedTuple):
    """What a network is built from.

    Parameters
    ----------
    features, outputs : int
    hidden : tuple of int
    activation : str
    dropout : float
    batch_norm : bool
    groups : list of tuple
        See `MLP`.
    """

    features: int
    outputs: int
    hidden: tuple[int, ...]
    activation: str
    dropout: float
    batch_norm: bool
    groups: list[tuple[int, ...]]


def made(shape: Shape, seed: Any, dtype: np.dtype) -> MLP:
    """A new network."""
    kind = torch.float32 if dtype == np.float32 else torch.float64
    return MLP(
        shape.features, shape.outputs, shape.hidden, shape.activation, dropout=shape.dropout, batch_norm=shape.batch_norm,
        groups=shape.groups, seed=seed, dtype=kind,
    )  # fmt: skip


def restored(
    shape: Shape,
    coefs: list[np.ndarray],
    intercepts: list[np.ndarray],
    rest: dict[str, np.ndarray],
    *,
    copy: bool,
) -> MLP:
    """A network with these weights.

    Parameters
    ----------
    shape : Shape
    coefs, intercepts : list of ndarray
        Of each layer, (inputs, units) and (units,): as scikit-learn has them.
    rest : dict of str to ndarray
        All else that the network holds, by its names there.
    copy : bool
        Whether it is to be trained: otherwise it shares the arrays' memory.

    Raises
    ------
    ParameterError
        If they are of other shapes.
    """
    network = made(shape, BLANK, coefs[0].dtype)
    arrays = dict(rest)
    for place, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
        arrays |= {f"layers.{place}.weight": coef.T, f"layers.{place}.bias": intercept}
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: array.shape for name, array in arrays.items()}
    if given != wanted:
        layers = [coefs[0].shape[0], *(coef.shape[1] for coef in coefs)]
        raise ParameterError(
            f"The network that was trained so far has layers of {layers} units, and hidden_layer_sizes={shape.hidden} with "
            f"{shape.features} features and {shape.outputs} outputs asks for another. Keep the parameters and the data as they "
            "were, or train a new network: warm_start=False."
        )
    tensors = {
        name: torch.from_numpy(np.array(array) if copy or not array.flags.writeable else array)
        for name, array in arrays.items()
    }
    network.load_state_dict(tensors, assign=not copy)
    return network


def arrays_of(network: MLP) -> tuple[list[np.ndarray], list[np.ndarray], dict[str, np.ndarray]]:
    """Coefficients, intercepts and the rest of a network: see `restored`. They share its memory, if it is on the processor."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    layers = range(len(network.layers))
    coefs = [arrays.pop(f"layers.{place}.weight").T for place in layers]
    intercepts = [arrays.pop(f"layers.{place}.bias") for place in layers]
    return coefs, intercepts, arrays
