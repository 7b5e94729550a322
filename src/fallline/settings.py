"""From what users write to typed values: names, numbers and their checks.

Each function takes a setting as a user gives it, returns what the engine needs, and raises `ParameterError` otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from fallline.errors import ParameterError
from fallline.kernels.verbs import differentiate, rate, step, value
from fallline.names import did_you_mean
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
    "is_auto",
    "make_averaging",
    "make_loss",
    "make_optimizer",
    "make_penalty",
    "make_schedule",
    "number",
    "rows_per_batch",
    "rows_per_batch_or_auto",
    "seed_from",
    "split_seed",
    "takes_rate",
]


# Counts of rows, epochs and updates stay below this, where float64 still holds every whole number.
_HIGHEST = 2**53
# What schedules do where nothing else is said; scikit-learn's, where it has them.
_SCHEDULE_PARAMETERS = {"power_t": 0.25, "decay": 0.1, "decay_epochs": 10, "warmup": None}


def choose(name: str, given: Any, choices: Iterable[str]) -> str:
    """One of the choices, or an error that names them and the nearest."""
    choices = list(choices)
    if isinstance(given, str) and given in choices:
        return given
    raise ParameterError(
        f"{name}={given!r} is not one of {', '.join(map(repr, choices))}.{did_you_mean(given, choices)}"
    )


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
    limits = ((above, "above"), (at_least, "of at least"), (below, "below"), (at_most, "of at most"))
    given = [f"{words} {limit:g}" for limit, words in limits if math.isfinite(limit)]
    return " ".join(["a number", " and ".join(given)]).strip()


def integer(name: str, value: Any, *, at_least: int = 1) -> int:
    """A whole number of at least so much, and no more than can be counted."""
    if (
        isinstance(value, (bool, np.bool_))
        or not isinstance(value, Integral)
        or not at_least <= int(value) <= _HIGHEST
    ):
        raise ParameterError(f"{name}={value!r} is not a whole number from {at_least} to 2**53. Give one.")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ParameterError(f"{name}={value!r} is neither True nor False. Give one of them.")
    return bool(value)


def is_auto(value: Any) -> bool:
    """Whether a value is to be found out."""
    return isinstance(value, str) and value == "auto"


def rows_per_batch_or_auto(batch_size: Any, n: int) -> int | None:
    """The same as `rows_per_batch`, but None for "auto": the number is to be found out."""
    return None if is_auto(batch_size) else _rows_per_batch(batch_size, n, "'full', or 'auto'")


def rows_per_batch(batch_size: Any, n: int) -> int:
    """The number of rows an update sees, between 1 and n.

    Parameters
    ----------
    batch_size : int, float or str
        A whole number of rows; a fraction of all rows in (0, 1); or "full". More than n means n.
    n : int
        Rows there are.
    """
    return _rows_per_batch(batch_size, n, "or 'full'")


def _rows_per_batch(batch_size, n, words):
    if isinstance(batch_size, str) and batch_size == "full":
        return n
    if isinstance(batch_size, Real) and not isinstance(batch_size, (bool, np.bool_)):
        if isinstance(batch_size, Integral) and int(batch_size) >= 1:
            return min(int(batch_size), n)
        if 0 < float(batch_size) < 1:
            return max(1, round(float(batch_size) * n))
    raise ParameterError(
        f"batch_size={batch_size!r} is not a batch size. Give a whole number of at least 1, a fraction between 0 and 1 "
        f"(of all rows), {words}."
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


def split_seed(random_state: Any) -> Any:
    """The same for scikit-learn's splitters, which take integers below 2**32 and generators of the older kind."""
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return random_state
    return seed_from(random_state) % 2**32


def make_loss(loss: Any, given: Mapping[str, Any], suits: Callable[[Any], bool] | None = None) -> Any:
    """A loss from its name, its parameters taken from those given; or a typed value, with the same checks.

    Parameters
    ----------
    loss : str or NamedTuple
        A name in `LOSSES`, or a loss.
    given : mapping
        Where the parameters of a named loss are found.
    suits : callable, optional
        Which losses may be chosen here; by default all.
    """
    if not _implements(loss, value, differentiate):
        kind = LOSSES[
            choose("loss", loss, [name for name, kind in LOSSES.items() if suits is None or suits(kind())])
        ]
        loss = kind(**{name: given[name] for name in kind._fields if name in given})
    _check_fields(loss)
    if suits is not None and not suits(loss):
        raise ParameterError(f"loss={loss!r} does not fit here. Use a loss for this kind of target.")
    return loss


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
    if not _implements(optimizer, step):
        kind = OPTIMIZERS[choose("optimizer", optimizer, OPTIMIZERS)]
        optimizer = kind(momentum=momentum) if "momentum" in kind._fields else kind()
    return _check_fields(optimizer)


def takes_rate(schedule: Any) -> bool:
    """Whether a schedule, given by its name, begins with a rate that has to be known or found out."""
    return "eta0" in getattr(SCHEDULES.get(str(schedule)), "_fields", ())


def make_schedule(
    schedule: Any,
    loss: Any,
    given: Mapping[str, Any],
    epochs: int,
    updates: float,
    *,
    name: str = "learning_rate",
) -> Any:
    """A schedule from its name; or a typed value as it is.

    Parameters
    ----------
    schedule : str or NamedTuple
        A name in `SCHEDULES`, or a schedule.
    loss : NamedTuple
        What "optimal" looks at for its first rate.
    given : mapping
        Values of `eta0` and `alpha`, and of `power_t`, `decay`, `decay_epochs` and `warmup` where they are not the usual ones.
        Only those needed are looked at.
    epochs : int
    updates : float
        Epochs to come, and updates an epoch: how long schedules with an end are.
    name : str
        What the parameter is called, for messages.
    """
    if _implements(schedule, rate):
        return _check_fields(schedule)
    given = {**_SCHEDULE_PARAMETERS, **given}
    if isinstance(schedule, Real) and not isinstance(schedule, bool):
        its_name = "eta0" if name == "learning_rate" else "learning_rate"
        raise ParameterError(
            f"{name}={schedule!r} is a number, but says how the rate develops. Give the rate as {its_name}={schedule!r}, and "
            f"{name}='constant' or another of {', '.join(map(repr, SCHEDULES))}."
        )
    kind = SCHEDULES[choose(name, schedule, SCHEDULES)]
    if kind is Optimal:
        alpha = number("alpha", given["alpha"], at_least=0)
        if alpha == 0:
            raise ParameterError(
                "learning_rate='optimal' divides by alpha, but alpha is 0. Give an alpha above 0, or another schedule."
            )
        return Optimal.for_loss(getattr(loss, "binary", loss), alpha)
    parameters: dict[str, float] = {"eta0": number("eta0", given["eta0"], above=0)}
    if "power_t" in kind._fields:
        parameters["power_t"] = number("power_t", given["power_t"], at_least=0)
    if "gamma" in kind._fields:
        parameters["gamma"] = number("decay", given["decay"], above=0, at_most=1)
        decay_epochs = number("decay_epochs", given["decay_epochs"], above=0, at_most=_HIGHEST)
        parameters["length"] = min(max(1, round(decay_epochs * updates)), _HIGHEST)
    elif "length" in kind._fields:
        parameters["length"] = min(max(1, round(epochs * updates)), _HIGHEST)
    if "warmup" in kind._fields:
        share = kind.usual_warmup if given["warmup"] is None else given["warmup"]
        parameters["warmup"] = round(number("warmup", share, at_least=0, below=1) * parameters["length"])
    return kind(**parameters)


def make_averaging(average: Any, batch_size: int) -> Any:
    """Averaging from False, True, or the number of rows after which it begins."""
    if isinstance(average, (bool, np.bool_)):
        return Polyak(1) if average else NoAveraging()
    return Polyak(math.ceil(integer("average", average) / batch_size))


def _check_fields(typed):
    """A typed value whose fields are all finite numbers within the limits that its type states."""
    for name in typed._fields:
        number(name, getattr(typed, name), **getattr(typed, "limits", {}).get(name, {}))
    return typed


def _implements(given, *verbs):
    """Whether a typed value implements any of these verbs."""
    return any(type(given) in verb.implementations for verb in verbs)
