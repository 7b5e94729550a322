"""The optimizers: how a gradient becomes a step. To add one: a page like its neighbours, and a row in the table.

An optimizer states how many `slots` (numbers a coordinate) it remembers and what a `step` does to one coordinate, given the
mean gradient, the penalty and the rate. Updates agree with those of `torch.optim`.
"""

from __future__ import annotations

from fallline.optim.optimizers.adagrad import Adagrad
from fallline.optim.optimizers.adam import Adam
from fallline.optim.optimizers.adamw import AdamW
from fallline.optim.optimizers.momentum import Momentum
from fallline.optim.optimizers.nesterov import Nesterov
from fallline.optim.optimizers.rmsprop import RMSprop
from fallline.optim.optimizers.sgd import SGD

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Momentum", "Nesterov", "RMSprop"]

OPTIMIZERS = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}
