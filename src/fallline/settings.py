"""From what users write to typed values: names, numbers and their checks.

Each function takes a setting as a user gives it, returns what the engine needs, and raises `ParameterError` otherwise.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from fallline.errors import ParameterError
from fallline.objective.losses import LOSSES
from fallline.objective.penalties import PENALTIES
from fallline.optim.averaging import NoAveraging, Polyak
from fallline.optim.optimizers import OPTIMIZERS
from fallline.optim.schedules import SCHEDULES
from fallline.optim.schedules.optimal import Optimal

__all__ = [
    "choose",
    "flag",
    "integer",
    "make_averaging",
    "make_loss",
    "make_optimizer",
    "make_penalty",
    "make_schedule",
    "number",
    "rows_per_batch",
    "seed_from",
]


def choose(name: str, value: Any, choices: Iterable[str]) -> str:
    """One of the choices, or an error that names them and the nearest."""
    choices = list(choices)
    if isinstance(value, str) and value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ParameterError(f"{name}={value!r} is not one of {', '.join(map(repr, choices))}.{hint}")


def number(name: str, value: Any, *, above: float = -math.inf, at_least: float = -math.inf, below: float = math.inf,
           at_most: float = math.inf) -> float:  # fmt: skip
    """A finite number within bounds."""
    wanted = _range(above, at_least, below, at_most)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real) or not math.isfinite(value):
        raise ParameterError(f"{name}={value!r} is not a finite number. Give {wanted}.")
    given = float(value)
    if not (above < given < below and at_least <= given <= at_most):
        raise ParameterError(f"{name}={value!r} is out of range. Give {wanted}.")
    return given


def _range(above, at_least, below, at_most):
    limits = (
        [f"above {above:g}"]
        if above > -math.inf
        else [f"of at least {at_least:g}"]
        if at_least > -math.inf
        else []
    )
    limits += (
        [f"below {below:g}"]
        if below < math.inf
        else [f"of at most {at_most:g}"]
        if at_most < math.inf
        else []
    )
    return " and ".join(["a number " + limits[0], *limits[1:]] if limits else ["a number"])


def integer(name: str, value: Any, *, at_least: int = 1) -> int:
    """A whole number of at least so much."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral) or int(value) < at_least:
        raise ParameterError(f"{name}={value!r} is not a whole number of at least {at_least}. Give one.")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ParameterError(f"{name}={value!r} is neither True nor False. Give one of them.")
    return bool(value)


def rows_per_batch(batch_size: Any, n: int) -> int:
    """The number of rows an update sees, between 1 and n.

    Parameters
    ----------
    batch_size : int, float or str
        A whole number of rows; a fraction of all rows in (0, 1); or "full". More than n means n.
    n : int
        Rows there are.
    """
    if isinstance(batch_size, str) and batch_size == "full":
        return n
    if isinstance(batch_size, Real) and not isinstance(batch_size, (bool, np.bool_)):
        if isinstance(batch_size, Integral) and int(batch_size) >= 1:
            return min(int(batch_size), n)
        if 0 < float(batch_size) < 1:
            return max(1, round(float(batch_size) * n))
    raise ParameterError(
        f"batch_size={batch_size!r} is not a batch size. Give a whole number of at least 1, a fraction between 0 and 1 "
        "(of all rows), or 'full'."
    )


def seed_from(random_state: Any) -> int:
    """A seed in [0, 2**63) from an integer, a generator of either NumPy kind (which is advanced), or None (NumPy's own)."""
    if (
        isinstance(random_state, (int, np.integer))
        and not isinstance(random_state, bool)
        and random_state >= 0
    ):
        return int(random_state) % 2**63
    if random_state is None:
        return int(np.random.randint(2**63, dtype=np.int64))  # noqa: NPY002 (so that numpy.random.seed decides)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**63, dtype=np.int64))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    raise ParameterError(
        f"random_state={random_state!r} cannot be used as a seed. Give a whole number of at least 0, a numpy RandomState or "
        "Generator, or None."
    )


def make_loss(loss: Any, given: Mapping[str, Any], choices: Iterable[str] = LOSSES) -> Any:
    """A loss from its name, its parameters taken from those given; or a typed value as it is."""
    if _is_typed(loss):
        return loss
    kind = LOSSES[choose("loss", loss, choices)]
    checks = {"epsilon": {"at_least": 0}, "quantile": {"above": 0, "below": 1}, "power": {}}
    parameters = {name: number(name, given[name], **checks[name]) for name in kind._fields if name in given}
    if 0 < parameters.get("power", 0) < 1:
        raise ParameterError(
            f"power={given['power']!r}: no Tweedie distribution has a power between 0 and 1."
        )
    return kind(**parameters)


def make_penalty(penalty: str | None, alpha: Any, l1_ratio: Any) -> Any:
    """A penalty from its name and strength."""
    kind = PENALTIES[choose("penalty", "none" if penalty is None else penalty, PENALTIES)]
    given = {"alpha": number("alpha", alpha, at_least=0)}
    if kind is PENALTIES["elasticnet"]:
        if l1_ratio is None:
            raise ParameterError(
                "l1_ratio must be set when penalty is 'elasticnet', but it is None. Give a number from 0 to 1."
            )
        given["l1_ratio"] = number("l1_ratio", l1_ratio, at_least=0, at_most=1)
    return kind(**{name: given[name] for name in kind._fields})


def make_optimizer(optimizer: Any, momentum: Any = 0.9) -> Any:
    """An optimizer from its name; or a typed value as it is."""
    if _is_typed(optimizer):
        return optimizer
    kind = OPTIMIZERS[choose("optimizer", optimizer, OPTIMIZERS)]
    if "momentum" in kind._fields:
        return kind(momentum=number("momentum", momentum, at_least=0, below=1))
    return kind()


def make_schedule(learning_rate: Any, loss: Any, given: Mapping[str, Any], epochs: int, updates: int) -> Any:
    """A schedule from its name; or a typed value as it is.

    Parameters
    ----------
    learning_rate : str or NamedTuple
        A name in `SCHEDULES`, or a schedule.
    loss : NamedTuple
        What "optimal" looks at for its first rate.
    given : mapping
        Values of `eta0`, `power_t`, `alpha`, `decay`, `decay_epochs` and `warmup`; only those needed are looked at.
    epochs, updates : int
        Epochs to come, and updates an epoch: how long schedules with an end are.
    """
    if _is_typed(learning_rate):
        return learning_rate
    name = choose("learning_rate", learning_rate, SCHEDULES)
    if name == "optimal":
        alpha = number("alpha", given["alpha"], at_least=0)
        if alpha == 0:
            raise ParameterError(
                "learning_rate='optimal' divides by alpha, but alpha is 0. Give an alpha above 0, or another schedule."
            )
        return Optimal.for_loss(getattr(loss, "binary", loss), alpha)
    kind = SCHEDULES[name]
    parameters: dict[str, float] = {"eta0": number("eta0", given["eta0"], above=0)}
    if "power_t" in kind._fields:
        parameters["power_t"] = number("power_t", given["power_t"], at_least=0)
    if "gamma" in kind._fields:
        parameters["gamma"] = number("decay", given["decay"], above=0, at_most=1)
        parameters["length"] = max(1, round(number("decay_epochs", given["decay_epochs"], above=0) * updates))
    elif "length" in kind._fields:
        share = {"cosine": 0.05, "one_cycle": 0.3}[name] if given["warmup"] is None else given["warmup"]
        parameters["length"] = epochs * updates
        parameters["warmup"] = round(number("warmup", share, at_least=0, below=1) * parameters["length"])
    return kind(**parameters)


def make_averaging(average: Any, batch_size: int) -> Any:
    """Averaging from False, True, or the number of rows after which it begins."""
    if isinstance(average, (bool, np.bool_)):
        return Polyak(1) if average else NoAveraging()
    return Polyak(math.ceil(integer("average", average) / batch_size))


def _is_typed(value):
    return isinstance(value, tuple) and hasattr(value, "_fields")
