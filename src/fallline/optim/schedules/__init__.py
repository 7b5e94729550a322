"""The learning-rate schedules. To add one: a page like its neighbours, and a row in the table.

A schedule gives the `rate` of update number t, which counts from 1. Lengths are in updates; `make_schedule` derives them
from the number of epochs and of updates an epoch, which is how users state them.
"""

from __future__ import annotations

from fallline.optim.schedules.constant import Constant
from fallline.optim.schedules.cosine import Cosine
from fallline.optim.schedules.exponential import Exponential
from fallline.optim.schedules.inverse_scaling import InverseScaling
from fallline.optim.schedules.one_cycle import OneCycle
from fallline.optim.schedules.optimal import Optimal
from fallline.optim.schedules.step import Step

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Exponential",
    "InverseScaling",
    "OneCycle",
    "Optimal",
    "Step",
]

# "adaptive" is a constant rate that a monitor lowers when progress stops (`monitors/no_improvement.py`).
SCHEDULES = {
    "constant": Constant,
    "optimal": Optimal,
    "invscaling": InverseScaling,
    "adaptive": Constant,
    "step": Step,
    "exponential": Exponential,
    "cosine": Cosine,
    "one_cycle": OneCycle,
}
