"""The losses. To add one: a page like its neighbours, and a row in the table.

With s the score (linear prediction) and y the target, a loss states its `value` and its `derivative` by s, the `domain` of
its targets, and the `link` from scores to predictions. Losses of margins take targets -1 and 1.
"""

from __future__ import annotations

from fallline.objective.losses.epsilon_insensitive import EpsilonInsensitive
from fallline.objective.losses.gamma import Gamma
from fallline.objective.losses.hinge import Hinge
from fallline.objective.losses.huber import Huber
from fallline.objective.losses.log_loss import LogLoss
from fallline.objective.losses.modified_huber import ModifiedHuber
from fallline.objective.losses.multinomial import Multinomial
from fallline.objective.losses.one_versus_rest import OneVersusRest
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
