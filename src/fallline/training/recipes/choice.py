"""Which recipe: what was given says what kind of model, and nothing that was given is ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallline.errors import ParameterError
from fallline.names import did_you_mean
from fallline.training.recipes.base import Recipe
from fallline.training.recipes.linear import LinearRecipe
from fallline.training.recipes.network import NetworkRecipe

__all__ = ["recipe_for"]

# What is not None when nobody gives it.
_USUAL = {"solver": "auto", "l1_ratio": 0.15}
_HINTS = {"solver": " Networks are trained by descent: choose an optimizer."}


def recipe_for(model: Any, given: Mapping[str, Any]) -> Recipe:
    """The recipe of a model, made of what was given for any kind.

    Parameters
    ----------
    model : str or callable
        "linear", "mlp", "package.module:function", or a function that makes a module.
    given : mapping
        Every setting by name, those left as they usually are included.

    Raises
    ------
    ParameterError
        If there is no such model, or a setting was given that means nothing to it.
    """
    linear = _is_linear(model)
    own, other = (LinearRecipe, NetworkRecipe) if linear else (NetworkRecipe, LinearRecipe)
    for name in other._fields:
        if name not in own._fields and name in given and given[name] != _USUAL.get(name):
            kind, instead = ("networks", "model='mlp'") if linear else ("linear models", "model='linear'")
            raise ParameterError(
                f"{name}={given[name]!r} is of {kind}, but model={model!r}. Leave it out, or choose {instead}."
                f"{_HINTS.get(name, '')}"
            )
    settings = {"model": model, **given}
    return own(**{name: settings[name] for name in own._fields if name in settings})


def _is_linear(model):
    if isinstance(model, str):
        if model not in ("linear", "mlp") and ":" not in model:
            raise ParameterError(
                f"model={model!r} is not a kind of model.{did_you_mean(model, ('linear', 'mlp'))} Choose 'linear', 'mlp', or a "
                "function that makes a torch.nn.Module, as 'package.module:function'."
            )
        return model == "linear"
    if not isinstance(model, type) and hasattr(model, "state_dict"):
        raise ParameterError(
            f"model= is a module already ({type(model).__name__}), but how many features rows have is known only once they are "
            "encoded. Give a function of (n_features, n_outputs) that makes it; or train it with fallline.torch.fit."
        )
    if not callable(model):
        raise ParameterError(
            f"model={model!r} is a {type(model).__name__}. Choose 'linear', 'mlp', or a function that makes a torch.nn.Module."
        )
    return False
