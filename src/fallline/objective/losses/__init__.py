"""The losses. To add one: a page like its neighbours, and a row in the table.

With s the score (linear prediction) and y the target, a loss states its `value` and its `derivative` by s, the `domain` of
its targets, and the `link` from scores to predictions. Losses of margins take targets -1 and 1. For solvers without a rate it
also states its `curvature`; and if it has kinks, its `antiderivative` and the `distance` from the nearest one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.kernels.verbs import curvature, curve
from fallline.objective.domains import CLASSES
from fallline.objective.losses.epsilon_insensitive import EpsilonInsensitive
from fallline.objective.losses.gamma import Gamma
from fallline.objective.losses.hinge import Hinge
from fallline.objective.losses.huber import Huber
from fallline.objective.losses.log_loss import LogLoss
from fallline.objective.losses.modified_huber import ModifiedHuber
from fallline.objective.losses.multinomial import Multinomial
from fallline.objective.losses.offset import Offset
from fallline.objective.losses.one_versus_rest import OneVersusRest
from fallline.objective.losses.passive_aggressive import PassiveAggressive1, PassiveAggressive2
from fallline.objective.losses.perceptron import Perceptron
from fallline.objective.losses.poisson import Poisson
from fallline.objective.losses.quantile import Quantile
from fallline.objective.losses.squared_epsilon_insensitive import SquaredEpsilonInsensitive
from fallline.objective.losses.squared_error import SquaredError
from fallline.objective.losses.squared_hinge import SquaredHinge
from fallline.objective.losses.tweedie import Tweedie

__all__ = [
    "LOSSES",
    "EpsilonInsensitive",
    "Gamma",
    "Hinge",
    "Huber",
    "LogLoss",
    "ModifiedHuber",
    "Multinomial",
    "OneVersusRest",
    "Perceptron",
    "Poisson",
    "Quantile",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "SquaredHinge",
    "Tweedie",
    "has_curvature",
    "innermost",
    "innermost_of_one",
    "is_coupled",
    "is_least_at_zero",
    "is_pieced",
    "loss_from_json",
    "loss_to_json",
    "n_targets",
    "name_of",
]

LOSSES = {
    "squared_error": SquaredError,
    "huber": Huber,
    "epsilon_insensitive": EpsilonInsensitive,
    "squared_epsilon_insensitive": SquaredEpsilonInsensitive,
    "quantile": Quantile,
    "poisson": Poisson,
    "gamma": Gamma,
    "tweedie": Tweedie,
    "log_loss": LogLoss,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "modified_huber": ModifiedHuber,
    "perceptron": Perceptron,
    "multinomial": Multinomial,
}


def innermost(loss: Any) -> Any:
    """A loss without its offset."""
    return loss.loss if isinstance(loss, Offset) else loss


def innermost_of_one(loss: Any) -> Any:
    """The loss of a single score: without its offset, and the binary one where each class is taken against the rest."""
    loss = innermost(loss)
    return loss.binary if isinstance(loss, OneVersusRest) else loss


def n_targets(loss: Any, outputs: int) -> int:
    """How many target columns a loss of so many scores reads: its own, and what it wants to know of each row beside."""
    more = isinstance(loss, (Offset, PassiveAggressive1, PassiveAggressive2))
    return (1 if loss.domain == CLASSES else outputs) + more


def has_curvature(loss: Any) -> bool:
    """Whether a loss states its curvature, as solvers without a rate need to know it."""
    kind = type(innermost_of_one(loss))
    return kind in curvature.implementations or kind in curve.implementations


def is_coupled(loss: Any) -> bool:
    """Whether the curvature by the score of one output depends on those of the others."""
    return getattr(innermost(loss), "coupled", False)


def is_pieced(loss: Any) -> bool:
    """Whether a loss is made of parabolas and lines: where they meet, its curvature jumps."""
    return isinstance(innermost_of_one(loss), (Huber, ModifiedHuber, SquaredEpsilonInsensitive, SquaredHinge))


def is_least_at_zero(loss: Any) -> bool:
    """Whether a loss is least where all scores are zero, whatever the targets: what such a loss is good for is its steps."""
    return isinstance(innermost_of_one(loss), Perceptron)


def name_of(loss: Any) -> str:
    """What to call a loss: its name in the table."""
    if isinstance(loss, OneVersusRest):
        return f"{name_of(loss.binary)}, one class against the rest"
    if hasattr(loss, "loss"):
        return f"{name_of(loss.loss)} with an offset"
    return next(name for name, kind in LOSSES.items() if kind is type(loss))


def loss_to_json(loss: Any) -> dict[str, Any]:
    """A loss as plain values: its name in the table, and its parameters."""
    if isinstance(loss, OneVersusRest):
        return {
            "one_versus_rest": loss_to_json(loss.binary),
            "positive_weight": [float(weight) for weight in loss.positive_weight],
        }
    return {"name": name_of(loss), **loss._asdict()}


def loss_from_json(plain: dict[str, Any]) -> Any:
    """The loss that `loss_to_json` made plain."""
    if "one_versus_rest" in plain:
        weight = np.array(plain["positive_weight"], dtype=np.float64)
        return OneVersusRest(loss_from_json(plain["one_versus_rest"]), weight)
    parameters = {name: value for name, value in plain.items() if name != "name"}
    return LOSSES[plain["name"]](**parameters)
