"""The multi-layer perceptron, as a module."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fallline.networks.by_hand import IN_PLACE, DenseLayers
from fallline.networks.lookups import Lookups
from fallline.networks.sparse_layer import sparse_product

__all__ = ["ACTIVATIONS", "BLANK", "MLP", "embedding_size"]

# Columns outside groups that a batch of sparse rows may hold as dense ones.
_MOST_DENSE = 2048


def _identity(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": _identity,
    "logistic": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
}
"""What a hidden layer does to its sums, by name."""


def embedding_size(categories: int) -> int:
    """How many numbers stand for a category by default: half as many as there are categories, and 50 at most."""
    return min(50, (categories + 1) // 2)


class MLP(nn.Module):
    """Layers of sums, each followed by an activation; the last gives scores as they are.

    Rows are (n, features), dense or sparse (CSR). Of a hidden layer the sums go through batch normalisation, then the activation,
    then dropout.

    Parameters
    ----------
    features, outputs : int
        Columns of the rows, and scores of each.
    hidden : sequence of int
        Units of each hidden layer; none makes a linear model.
    activation : {'identity', 'logistic', 'tanh', 'relu', 'gelu', 'silu'}
    dropout : float
        Share of hidden units left out of each row while training, in [0, 1).
    batch_norm : bool
        Normalise the sums of hidden layers by the means and variances of the batch. A batch of a single row, which has no
        variance, is normalised by those met so far.
    groups : sequence of (start, stop) or (start, stop, size), optional
        Columns that together are one category, one-hot: they go through an embedding of `size` numbers (by default
        `embedding_size`) before the first layer. A row of zeros there, a category never seen, becomes zeros. Ranges are in order
        and apart.
    seed : int, RandomState, Generator or None
        Of the weights to begin with, uniform after Glorot and Bengio (2010), biases included, as scikit-learn draws them: with
        the same integer they are its own. By default PyTorch's generator chooses.
    dtype : torch.dtype, optional
        float32 by default.

    Attributes
    ----------
    tables : ParameterList of tensors (stop - start, size)
        One a group.
    layers : ModuleList of Linear
        Their input is the columns outside groups, then the embeddings.
    norms : ModuleList of BatchNorm1d
        One a hidden layer with `batch_norm`, otherwise none.
    """

    takes_sparse = True

    def __init__(
        self,
        features: int,
        outputs: int,
        hidden: Sequence[int] = (256,),
        activation: str = "relu",
        *,
        dropout: float = 0.0,
        batch_norm: bool = False,
        groups: Sequence[Sequence[int]] | None = None,
        seed: Any = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        self.features, self.outputs = features, outputs
        self.activation, self.dropout = activation, dropout
        self.groups = [
            (g[0], g[1], g[2] if len(g) > 2 else embedding_size(g[1] - g[0])) for g in groups or ()
        ]
        draw = _uniform(seed)
        factor = 2.0 if activation == "logistic" else 6.0
        self.tables = nn.ParameterList(
            [
                nn.Parameter(draw(math.sqrt(6.0 / (stop - start + size)), (stop - start, size), dtype))
                for start, stop, size in self.groups
            ]
        )
        lookups = Lookups(features, self.groups) if self.groups else None
        self._lookups = lookups if lookups is not None and lookups.plain <= _MOST_DENSE else None
        widths = [self._width(), *hidden, outputs]
        self.layers = nn.ModuleList()
        for inputs, units in itertools.pairwise(widths):
            layer = Dense(inputs, units, dtype=dtype)
            bound = math.sqrt(factor / (inputs + units))
            if seed is not BLANK:
                with torch.no_grad():
                    layer.weight.copy_(draw(bound, (inputs, units), dtype).T)
                    layer.bias.copy_(draw(bound, (units,), dtype))
            self.layers.append(layer)
        self.norms = nn.ModuleList(BatchNorm(units, dtype=dtype) for units in hidden if batch_norm)

    def _width(self):
        """How many numbers the first layer sees of a row."""
        return self.features + sum(size - (stop - start) for start, stop, size in self.groups)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, outputs) of rows (n, features)."""
        if x.layout == torch.sparse_csr and self._lookups is not None:
            return self._dense(self._lookups.embedded(x, list(self.tables)), 0)
        if x.layout == torch.sparse_csr:
            first: Any = self.layers[0]
            h = sparse_product(x, self._through_groups(first.weight.T).T) + first.bias
            return self._dense(self._activated(h, 0), 1) if len(self.layers) > 1 else h
        return self._dense(self._embedded(x) if self.groups else x, 0)

    def _dense(self, h, start):
        """Scores, given what the layer of number `start` sees."""
        by_hand, layers = _suits(h, self.activation), list(self.layers)[start:]
        if by_hand and not self.norms and not (self.dropout and self.training):
            return _through(h, self.activation, layers)
        for place, layer in enumerate(layers, start):
            h = _through(h, self.activation, [layer]) if by_hand else layer(h)
            if place < len(self.layers) - 1:
                h = self._activated(h, place)
        return h

    def _activated(self, h, place):
        """What a hidden layer makes of its sums."""
        h = ACTIVATIONS[self.activation](self.norms[place](h) if self.norms else h)
        return functional.dropout(h, self.dropout, self.training) if self.dropout else h

    def _embedded(self, x):
        """The columns outside groups, then the embeddings."""
        embedded = [
            x[:, start:stop] @ table for (start, stop, _), table in zip(self.groups, self.tables, strict=True)
        ]
        return torch.cat([*(x[:, a:b] for a, b in self._plain()), *embedded], dim=1)

    def _through_groups(self, weight):
        """The first layer's weights (features, units) as seen from the rows: those of a group are its table times what it meets.

        Sparse rows need not be cut into columns then: x @ [A; T B] = [x_A, x_B T] @ [A; B].
        """
        if not self.groups:
            return weight
        place, parts = 0, {}
        for a, b in self._plain():
            parts[a] = weight[place : place + b - a]
            place += b - a
        for (start, _, size), table in zip(self.groups, self.tables, strict=True):
            parts[start] = table @ weight[place : place + size]
            place += size
        return torch.cat([parts[start] for start in sorted(parts)])

    def _plain(self):
        """The ranges of columns outside groups."""
        stops = [0, *(stop for _, stop, _ in self.groups)]
        starts = [*(start for start, _, _ in self.groups), self.features]
        return [(a, b) for a, b in zip(stops, starts, strict=True) if a < b]


class Dense(nn.Linear):
    """A layer that leaves it to others to choose its first weights."""

    def reset_parameters(self) -> None:
        """Do nothing."""


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that lets a batch of a single row pass, by the means and variances met so far."""

    def forward(self, x: Tensor) -> Tensor:
        """See `torch.nn.BatchNorm1d`."""
        if len(x) > 1 or not self.training:
            return super().forward(x)
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )


def _suits(h, activation):
    """Whether layers can be written out by hand for these rows."""
    return (
        h.device.type == "cpu"
        and activation in IN_PLACE
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def _through(h, activation, layers):
    """Scores after some layers, of which the last is not activated."""
    return DenseLayers.apply(
        h, activation, *(tensor for layer in layers for tensor in (layer.weight, layer.bias))
    )


BLANK = object()
"""The seed of a network whose weights are to be replaced."""


def _uniform(seed):
    """What draws from (-bound, bound)."""
    if seed is None:
        seed = np.random.default_rng(int(torch.randint(2**62, ())))
    generator = np.random.RandomState(seed % 2**32) if isinstance(seed, (int, np.integer)) else seed

    def draw(bound, shape, dtype):
        if seed is BLANK:
            return torch.empty(shape, dtype=dtype)
        return torch.from_numpy(np.asarray(generator.uniform(-bound, bound, shape))).to(
            dtype or torch.float32
        )

    return draw
