"""What makes a network: named on the command line and in model files, or given as a function."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from fallline.errors import MissingDependencyError, ParameterError

__all__ = [
    "build",
    "factory_named",
    "has_lazy_layers",
    "name_of_factory",
    "require_shape",
    "require_torch",
    "takes_sparse",
]

# Sparse rows of up to so many columns come to networks as dense batches, which are faster.
_DENSE = 512
_HOW = "Give package.module:function, importable from here, that takes (n_features, n_outputs) and gives a torch.nn.Module"


def require_torch() -> None:
    """Raise `MissingDependencyError` unless PyTorch can be imported."""
    try:
        importlib.import_module("torch")
    except ImportError as error:
        raise MissingDependencyError(
            f'Networks need PyTorch, which cannot be imported ({error}). Install it: pip install "fallline[torch]".'
        ) from error


def factory_named(name: str) -> Callable:
    """The function that a name such as "package.module:function" stands for, imported.

    Raises
    ------
    ParameterError
        If there is no such module or function, or importing it fails.
    """
    module, colon, attribute = name.partition(":")
    if not (colon and module and attribute):
        raise ParameterError(f"model={name!r} is not the name of a network. {_HOW}; or 'mlp', or 'linear'.")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise ParameterError(
            f"model={name!r} cannot be imported ({type(error).__name__}: {error}). {_HOW}."
        ) from error
    if not callable(found):
        raise ParameterError(f"model={name!r} is a {type(found).__name__}, not a function. {_HOW}.")
    return found


def name_of_factory(factory: Callable) -> str:
    """By which it can be imported again; or what it is called, where it cannot."""
    return f"{getattr(factory, '__module__', '?')}:{getattr(factory, '__qualname__', repr(factory))}"


def build(factory: Callable, name: str, encoder: Any, outputs: int, seed: int = 0) -> Any:
    """The module that a factory makes for rows of an encoder.

    Parameters
    ----------
    factory : callable
        Takes (n_features, n_outputs), and `encoder=` if it has a parameter of that name.
    name : str
        What it is called in messages.
    encoder : Encoder
    outputs : int
    seed : int
        Of PyTorch's generator while the factory runs, which afterwards is as it was.

    Raises
    ------
    ParameterError
        If it fails, or gives something else than a module with parameters.
    """
    import torch
    from torch import nn

    given = {"encoder": encoder} if _takes_encoder(factory) else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            module = factory(encoder.n_columns, outputs, **given)
        except Exception as error:
            raise ParameterError(
                f"model={name!r} failed when it was called with ({encoder.n_columns}, {outputs}): {type(error).__name__}: "
                f"{error}. {_HOW}."
            ) from error
        if has_lazy_layers(module):
            # Rows show lazy layers how large they are; only then do they draw their parameters.
            require_shape(module, encoder.n_columns, outputs, name)
    if not isinstance(module, nn.Module):
        raise ParameterError(f"model={name!r} gave a {type(module).__name__}, not a module. {_HOW}.")
    if next(module.parameters(), None) is None:
        raise ParameterError(
            f"The module of model={name!r} has no parameters, so there is nothing to train. {_HOW}."
        )
    return module


def require_shape(module: Any, features: int, outputs: int, name: str) -> None:
    """Raise `ParameterError` unless a module gives (rows, outputs) for rows of so many features, here zeros."""
    import torch

    inputs, wanted, training = torch.zeros(3, features), (3, outputs), module.training
    module.eval()
    try:
        with torch.no_grad():
            found = module(inputs.to_sparse_csr() if takes_sparse(module, features) else inputs)
    except Exception as error:
        raise ParameterError(
            f"The module of model={name!r} failed on rows of shape {tuple(inputs.shape)}: {type(error).__name__}: {error}. "
            f"{_HOW}."
        ) from error
    finally:
        module.train(training)
    shape = tuple(found.shape) if isinstance(found, torch.Tensor) else None
    if shape != wanted:
        what = f"outputs of shape {shape}" if shape else f"a {type(found).__name__}, not a tensor,"
        raise ParameterError(
            f"The module of model={name!r} gives {what} for rows of shape {tuple(inputs.shape)}, but {wanted} is wanted: "
            f"{outputs} score{'s' * (outputs > 1)} a row. Change its last layer."
        )


def has_lazy_layers(module: Any) -> bool:
    """Whether a module, if it is one, has parameters whose shapes the first rows will tell."""
    from torch import nn

    return isinstance(module, nn.Module) and any(map(nn.parameter.is_lazy, module.parameters()))


def takes_sparse(module: Any, columns: int) -> bool:
    """Whether a module is to be given sparse rows as sparse CSR tensors: it says so, and not to multiply by zeros is faster."""
    return columns > _DENSE and getattr(module, "takes_sparse", False) is True


def _takes_encoder(factory):
    try:
        return "encoder" in inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return False
