"""Scores of a network: a PyTorch module, and what it takes to make it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from fallline.errors import ParameterError
from fallline.kernels.blocks import Block, CsrBlock
from fallline.names import listed
from fallline.networks.factories import build, require_torch, takes_sparse

__all__ = ["Described", "NetworkScorer", "described"]

_PREFIX = "network."
# Numbers of inputs and outputs that are held at once, about.
_HELD = 2**23


class Described(NamedTuple):
    """A network in plain values, from which it can be made again.

    Parameters
    ----------
    model : str
        "mlp", or the name of the function that made it.
    arguments : dict
        Of `fallline.networks.mlp.MLP`; of others "features" and "outputs".
    layers : list of str
        A line each, for people.
    parameters : int
        How many numbers were trained.
    """

    model: str
    arguments: dict[str, Any]
    layers: list[str]
    parameters: int


class NetworkScorer:
    """A module that scores rows, in evaluation mode, where it lies.

    Parameters
    ----------
    module : torch.nn.Module or None
        None where the model file names a function of the user's own, which nothing imports unasked.
    network : Described
    tensors : mapping
        The parameters and buffers, where there is no module yet.
    """

    def __init__(self, module: Any, network: Described, tensors: Mapping[str, np.ndarray] | None = None):
        self.network, self._tensors = network, tensors
        self._module = None if module is None else module.eval()

    @property
    def module(self) -> Any:
        """The module; `ParameterError` where it still has to be made."""
        if self._module is None:
            name = self.network.model
            raise ParameterError(
                f"The model was made by {name!r}, which is not in the file, and nothing is imported unasked. Say that it may be: "
                f'fallline.load(path, model="{name}"), or --model {name} on the command line.'
            )
        return self._module

    def made_by(self, factory: Callable, name: str, encoder: Any) -> Self:
        """The same, its module made by a function of the user's own."""
        module = build(factory, name, encoder, self.network.arguments["outputs"])
        tensors = self._tensors if self._tensors is not None else _arrays(self._module)
        return type(self)(_filled(module, tensors, name), self.network, None)

    def score(self, block: Block, *, offset: bool) -> np.ndarray:
        """See `Scorer.score`."""
        import torch

        device = next(self.module.parameters()).device
        found = np.empty((len(block.rows), self.network.arguments["outputs"]), np.float32)
        with torch.inference_mode():
            for place, inputs in _batches(block, self.module):
                found[place : place + len(inputs)] = self.module(inputs.to(device)).float().cpu().numpy()
        return found + block.y[block.rows, -1:] if offset else found

    def to_file(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """See `Scorer.to_file`."""
        tensors = self._tensors if self._module is None else _arrays(self._module)
        named = {_PREFIX + name: tensor for name, tensor in (tensors or {}).items()}
        return named, {"network": self.network._asdict()}

    @classmethod
    def from_file(cls, tensors: Mapping[str, np.ndarray], document: Mapping[str, Any]) -> Self:
        """See `Scorer.from_file`.

        Raises
        ------
        MissingDependencyError
            If PyTorch is not installed.
        """
        require_torch()
        network = Described(**document["network"])
        own = {
            name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items() if name.startswith(_PREFIX)
        }
        if network.model != "mlp":
            return cls(None, network, own)
        from fallline.networks.mlp import BLANK, MLP

        _require_size(network.arguments, own)
        return cls(_filled(MLP(**network.arguments, seed=BLANK), own, "mlp"), network)


def described(
    model: str, module: Any, features: int, outputs: int, embedded: Sequence[str] = ()
) -> Described:
    """A module in plain values; `embedded` are the columns of a perceptron's embeddings."""
    parts = [(name, part) for name, part in module.named_modules() if name and not [*part.children()]]
    layers = [
        f"tables.{place}: {column!r}, {len(table)} features -> {table.shape[1]} numbers"
        for place, (column, table) in enumerate(zip(embedded, module.tables if embedded else (), strict=True))
    ]
    layers += [f"{name}: {part}" for name, part in parts if not (embedded and name == "tables")]
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    arguments = _mlp_arguments(module) if model == "mlp" else {"features": features, "outputs": outputs}
    return Described(model, arguments, layers, trained)


def _mlp_arguments(mlp):
    return {
        "features": mlp.features,
        "outputs": mlp.outputs,
        "hidden": [layer.out_features for layer in mlp.layers[:-1]],
        "activation": mlp.activation,
        "dropout": mlp.dropout,
        "batch_norm": len(mlp.norms) > 0,
        "groups": [list(group) for group in mlp.groups],
    }


def _require_size(arguments: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Raise `ValueError` where a perceptron is said to be of another size than its parameters are: nothing larger is made."""
    groups = [(stop - start, size) for start, stop, size in arguments["groups"]]
    inputs = arguments["features"] + sum(size - features for features, size in groups)
    said = [*groups, inputs, *arguments["hidden"], arguments["outputs"]]
    tables = [tensors[f"tables.{place}"].shape for place in range(len(groups))]
    layers = [len(tensors[f"layers.{place}.bias"]) for place in range(len(arguments["hidden"]) + 1)]
    if said != [*tables, tensors["layers.0.weight"].shape[1], *layers]:
        raise ValueError(f"its layers are not of the sizes {said}")


def _batches(block: Block, module: Any) -> Iterator[tuple[int, Any]]:
    """The rows of a block as tensors that a module takes, part by part, each with the place where it begins."""
    from fallline.engines.module.reading import block_of, gather

    columns = block.columns if isinstance(block, CsrBlock) else block.X.shape[1]
    read = block_of(block, weighted=False, sparse=takes_sparse(module, columns))
    size = max(1, _HELD // max(columns, 1))
    for place in range(0, len(read.rows), size):
        yield place, gather(read.inputs, read.rows[place : place + size])


def _arrays(module: Any) -> dict[str, np.ndarray]:
    """Parameters and buffers, as a model file keeps them: 16-bit numbers as 32-bit ones, which hold the same."""
    import torch

    short = (torch.bfloat16, torch.float16)
    return {
        name: (tensor.float() if tensor.dtype in short else tensor).cpu().numpy()
        for name, tensor in module.state_dict().items()
    }


def _filled(module: Any, tensors: Mapping[str, np.ndarray], name: str) -> Any:
    """A module with these parameters and buffers; `ParameterError` where they are another's."""
    import torch

    own = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    kept = {key: tensor.shape for key, tensor in tensors.items()}
    if own != kept:
        different = [key for key in {**kept, **own} if own.get(key) != kept.get(key)]
        first = different[0]
        raise ParameterError(
            f"The module that {name!r} makes is not the one that was trained: {listed(different, 3)} differ; {first!r} has shape "
            f"{kept.get(first)} in the file, and {own.get(first)} in the module. Make it as it was in training."
        )
    module.load_state_dict({key: torch.from_numpy(np.array(tensor)) for key, tensor in tensors.items()})
    return module
