"""The parameters of the estimators, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fallline.errors import ParameterError
from fallline.settings import choose, flag, integer, is_auto, number, rows_per_batch

__all__ = ["STOCHASTIC", "Settings", "batch_rows", "check", "stochastic_only"]

STOCHASTIC = ("sgd", "adam")
_ACTIVATIONS = ("identity", "logistic", "tanh", "relu", "gelu", "silu")
_RATES = ("constant", "invscaling", "adaptive")
_USUAL_BATCH = 200


@dataclass(frozen=True)
class Settings:
    """What the parameters say, in the types that are computed with; see the estimators."""

    hidden: tuple[int, ...]
    activation: str
    solver: str
    alpha: float
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    tol: float
    warm_start: bool
    momentum: float
    nesterov: bool
    early_stopping: bool
    betas: tuple[float, float]
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    dropout: float
    batch_norm: bool
    time_limit: float | None
    verbose: bool


def check(model: Any) -> Settings:
    """The parameters of an estimator.

    Raises
    ------
    ParameterError
        For one that cannot be used.
    """
    patience = model.n_iter_no_change
    return Settings(
        hidden=_hidden(model.hidden_layer_sizes),
        activation=choose("activation", model.activation, _ACTIVATIONS),
        solver=choose("solver", model.solver, (*STOCHASTIC, "lbfgs")),
        alpha=number("alpha", model.alpha, at_least=0),
        learning_rate=choose("learning_rate", model.learning_rate, _RATES),
        learning_rate_init=number("learning_rate_init", model.learning_rate_init, above=0),
        power_t=number("power_t", model.power_t, at_least=0),
        max_iter=integer("max_iter", model.max_iter),
        shuffle=flag("shuffle", model.shuffle),
        tol=number("tol", model.tol, at_least=0),
        warm_start=flag("warm_start", model.warm_start),
        momentum=number("momentum", model.momentum, at_least=0, at_most=1),
        nesterov=flag("nesterovs_momentum", model.nesterovs_momentum),
        early_stopping=flag("early_stopping", model.early_stopping),
        betas=(
            number("beta_1", model.beta_1, at_least=0, below=1),
            number("beta_2", model.beta_2, at_least=0, below=1),
        ),
        epsilon=number("epsilon", model.epsilon, above=0),
        n_iter_no_change=patience if patience == math.inf else integer("n_iter_no_change", patience),
        max_fun=integer("max_fun", model.max_fun),
        dropout=number("dropout", model.dropout, at_least=0, below=1),
        batch_norm=flag("batch_norm", model.batch_norm),
        time_limit=None if model.time_limit is None else number("time_limit", model.time_limit, above=0),
        verbose=bool(model.verbose),
    )


def batch_rows(batch_size: Any, n: int) -> int:
    """How many of n rows an update sees."""
    return min(_USUAL_BATCH, n) if is_auto(batch_size) else rows_per_batch(batch_size, n)


def stochastic_only(model: Any) -> bool:
    """Whether `partial_fit` is there."""
    if model.solver in STOCHASTIC:
        return True
    raise AttributeError(
        f"partial_fit is only available for the solvers 'sgd' and 'adam', but solver is {model.solver!r}."
    )


def _hidden(sizes):
    """Units of each hidden layer."""
    if not isinstance(sizes, Iterable) or isinstance(sizes, (str, bytes)):
        sizes = [sizes]
    try:
        return tuple(integer("hidden_layer_sizes", size) for size in sizes)
    except ParameterError as error:
        raise ParameterError(
            f"hidden_layer_sizes={sizes!r} are not sizes of layers, which must be > 0. Give a whole number of units, or one for "
            "each hidden layer, such as (100, 50)."
        ) from error
