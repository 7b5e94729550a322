"""One call in place of a training loop."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from fallline.data.order import Order
from fallline.engines.module.engine import ModuleEngine
from fallline.engines.module.optimizers import make_optimizer
from fallline.engines.module.work import work_a_row
from fallline.errors import ParameterError
from fallline.files import require_writable
from fallline.history import History
from fallline.loop import train
from fallline.monitors.base import Monitor, Run
from fallline.monitors.checkpoint import mark_of
from fallline.monitors.time_limit import TimeLimit
from fallline.names import did_you_mean
from fallline.optim.schedules import SCHEDULES
from fallline.parallel import find, told_by_first
from fallline.settings import flag, integer, is_auto, make_schedule, number, seed_from
from fallline.torch.data import Data, as_source
from fallline.torch.encoders import trained_on
from fallline.torch.looking import dtype_of, materialise, require_enough
from fallline.torch.marks import marks_of_data, marks_of_engine
from fallline.torch.running import ended, trained, watching
from fallline.torch.sources.kinds import kind_of
from fallline.torch.together import in_turn, reading_alike, require_alike, require_same_settings
from fallline.tuning import train_tuned

__all__ = ["fit"]

# What `as_source` is told as well, of what users give.
_READING = ("workers", "collate", "memory", "task", "plan", "cache", "dtype", "sparse", "encoder")
# Schedules that ask a linear model's loss, or follow its curvature.
_LINEAR_ONLY = ("optimal", "adaptive")


def fit(
    module: torch.nn.Module,
    data: Any,
    *,
    target: Any = None,
    loss: Any,
    optimizer: Any = "adamw",
    learning_rate: float | str | None = None,
    scheduler: Any = None,
    batch_size: float | str | None = None,
    micro_batch: int | str = "auto",
    epochs: int = 10,
    shuffle: bool = True,
    sample_weight: Any = None,
    validation: Any = None,
    metric: str | Callable[[Any, Any], float] | None = None,
    patience: int | None = None,
    device: Any = "auto",
    precision: str = "float32",
    compile: bool = False,  # noqa: A002 (PyTorch's word)
    clip_norm: float | None = None,
    seed: int = 0,
    time_limit: float | None = None,
    checkpoint: str | os.PathLike | None = None,
    monitors: Sequence[Monitor] = (),
    progress: bool | Callable[[float, str], None] | None = None,
    **reading: Any,
) -> History:
    """Train a PyTorch module, in place.

    An update follows the gradient of the mean of weight times loss over a batch: the sum over its rows, divided once by their
    number, however the batch is cut into micro-batches. The same seed gives the same bits; training that is stopped at any update
    and gone on with gives the same bits, too. Where many processes train together, as under torchrun, each has a part of the rows
    of every batch, and they come to the weights that one process comes to.

    Parameters
    ----------
    module : Module
        It is moved to the device and trained there; afterwards it and its parts are in the mode that they were in.
    data : tuple (X, y) or (X, y, weight), tensor, array, frame, dict, Dataset, DataLoader, path or list of paths
        X and y may be tuples or dicts of tensors or arrays: the module is called as `module(x)`, `module(*x)` or `module(**x)`.
        Arrays of floating point numbers become what the module's parameters are. A `DataLoader` is used as it is. Files, and
        tables with a named target, are encoded as `fallline.train` does.
    target : str, tensor or array, optional
        The column or key to predict; or y itself, where `data` is X alone.
    loss : str, Module, callable, NamedTuple or None
        The name of a loss of fallline's ("squared_error", "multinomial", ...) or PyTorch's ("cross_entropy", "mse", "l1",
        "smooth_l1", "bce", "bce_with_logits", "nll", "kl_div"), a loss of `torch.nn`, a function of outputs and targets that
        gives the mean over the rows it is given (or one number a row: `per_row`); or None, where the module gives its loss.
    optimizer : str, class, callable or Optimizer
        The name of a class in `torch.optim` ("adamw", "sgd", "nadam", ...), the class, a function of parameters such as
        `functools.partial(torch.optim.SGD, momentum=0.9)`, or an optimizer built for this module's parameters.
    learning_rate : float or "auto", optional
        By default the optimizer's own. "auto" finds one by short runs of a copy of the module, which visit a twentieth as many
        rows as training does; should training diverge all the same, it begins anew with a tenth.
    scheduler : str, NamedTuple, callable or LRScheduler, optional
        A name or schedule of fallline's ("cosine", "one_cycle", ...), which sets the rate of every update; or one of
        `torch.optim.lr_scheduler`: a function of the optimizer, or an instance with the optimizer it was built for. PyTorch's are
        stepped after every epoch, `OneCycleLR` and `CyclicLR` after every update, and `ReduceLROnPlateau` on the validation loss
        of the epoch, or else the training loss.
    batch_size : int, float, "full" or "auto", optional
        Rows that an update sees, a fraction of all, or all; by default 128. "auto" tries powers of two, and takes the one that
        comes as far with the least work. A `DataLoader` has its own.
    micro_batch : int or "auto"
        Rows that go through the module together. "auto" begins with whole batches, halves them where memory does not suffice,
        and goes on. The result does not change, unless the module mixes rows (batch normalisation) or draws at random (dropout).
    epochs : int
        Passes over the rows.
    shuffle : bool
        Visit the rows in another order in every epoch.
    sample_weight : str, tensor or array, optional
        How much each row counts. The loss has to be one that gives one number a row: any by name, those of `torch.nn`, or
        `per_row`.
    validation : float or data, optional
        A fraction of the rows to hold out, or data of the same kind, to measure on after every epoch: "validation_loss" in the
        history.
    metric : {"accuracy", "r2"} or callable, optional
        A function of outputs and targets, the higher the better: "validation_score" in the history.
    patience : int, optional
        Stop when so many epochs running have not improved the score, or else the loss on validation data, or else the objective;
        the module then has the weights of the best epoch, however training ended.
    device : str or device
        "auto" takes CUDA, then MPS, then the processor. Data stay on the device where they fit into half of its free memory;
        otherwise batches are brought there while it computes.
    precision : {"float32", "bf16"}
        "bf16" multiplies in 16 bits and sums in 32 (`torch.autocast`).
    compile : bool
        Compile the module with `torch.compile`; on CUDA with CUDA graphs.
    clip_norm : float, optional
        A longer gradient is shortened to this norm.
    seed : int
        Chooses the orders, the rows held out and what dropout draws. PyTorch's own generators stay as they are.
    time_limit : float, optional
        Seconds after which training ends.
    checkpoint : path, optional
        A file in which the state is saved now and then. If it is there, training goes on from it.
    monitors : sequence of Monitor
        Asked after every block and every epoch, after fallline's own.
    progress : bool or callable, optional
        Whether to show a progress bar, by default on a terminal; or a function that is told the share of the work that is done,
        and what is being done.
    **reading
        More on data, each where it applies: `workers` and `collate` of a `Dataset`; `memory`, `task`, `plan` and `cache` of files
        and tables, and `encoder` of further ones, to go on with the same numbers; `dtype` of arrays; `sparse` rows. See
        `fallline.torch.data.as_source`.

    Returns
    -------
    History
        One record an epoch; its `stop` says why training ended, its `encoder` what was made of columns of files and tables.

    Raises
    ------
    InputError
        If the data cannot be used.
    ParameterError
        If a setting cannot be used, or does not fit the module.
    DivergenceError
        If the loss or a weight is no longer finite, though the data are.
    StateError
        If the checkpoint is of another module, other data or other settings.

    Examples
    --------
    >>> import torch, fallline.torch
    >>> X, y = torch.randn(1000, 20), torch.randint(0, 3, (1000,))
    >>> module = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))
    >>> history = fallline.torch.fit(module, (X, y), loss="cross_entropy", epochs=3)
    >>> [record["epoch"] for record in history]
    [1, 2, 3]
    """
    _require_known(reading, monitors)
    epochs, order = integer("epochs", epochs), Order(seed_from(seed), flag("shuffle", shuffle))
    if patience is not None:
        integer("patience", patience)
    if metric is not None and validation is None:
        raise ParameterError(
            "metric= scores validation data, but there are none. Give validation=0.1, or other data."
        )
    limits = [] if time_limit is None else [TimeLimit(number("time_limit", time_limit, above=0))]
    told = {"dtype": dtype_of(module)} | reading | {"shuffle": order.shuffle}
    processes = find()
    told_by_first(processes, lambda: _require_file(checkpoint))
    progress = progress if processes.rank == 0 else False
    told |= {"tell": progress} if callable(progress) else {}
    told = dict(reading_alike(processes, data, target, told))
    told |= {"batch_size": None if is_auto(batch_size) else batch_size}
    source = in_turn(processes, lambda: as_source(data, target, sample_weight=sample_weight, **told))
    judging = None
    try:
        require_alike(processes, source, data, target)
        del told["batch_size"]
        named = target, sample_weight
        source, judging = in_turn(processes, lambda: _held_out(source, validation, named, order.seed, told))
        materialise(module, source)
        usual = _rate(learning_rate, optimizer, module)

        def engine_for(rate, batch_size, updates):
            return ModuleEngine(
                module,
                loss,
                optimizer,
                batch_size,
                learning_rate=rate,
                micro_batch=micro_batch,
                scheduler=_schedule(scheduler, usual if rate is None else rate, epochs, updates / epochs),
                device=device,
                precision=precision,
                compile=compile,
                clip_norm=clip_norm,
                seed=order.seed,
            )

        rows = source.batch_size or source.n_rows
        given = usual if is_auto(learning_rate) else learning_rate
        engine = engine_for(given, rows, epochs * source.updates)
        if judging is not None:
            judging = judging.on(engine.device)
        if not is_auto(batch_size):
            require_enough(engine, source, epochs, processes)
        watchers = watching(engine, judging, metric, patience, limits, progress)
        settings = {
            "batch size": str(batch_size if is_auto(batch_size) else engine.batch_size),
            "learning rate": str(learning_rate),
            **marks_of_engine(engine),
            "scheduler": mark_of(scheduler)
            + (f" over {epochs} epochs" if isinstance(scheduler, str) else ""),
            "metric": mark_of(metric),
            "patience": str(patience),
            "seed": str(order.seed),
            "shuffle": str(order.shuffle),
        }
        more = {
            "epochs": epochs,
            "micro_batch": micro_batch,
            "lack of a checkpoint": checkpoint is None,
            "lack of validation data": judging is None,
        }
        require_same_settings(processes, settings | {name: str(value) for name, value in more.items()})
        marks = {} if checkpoint is None else marks_of_data(source, judging, validation) | settings
        run = Run(
            engine.joined(processes),
            source.on(engine.device),
            order,
            engine.start(),
            epochs,
            processes=processes,
        )
        descend: Any = train
        if is_auto(learning_rate) or is_auto(batch_size):
            descend = partial(
                train_tuned,
                engine_for=engine_for,
                rate=None if is_auto(learning_rate) else usual,
                batch_size=None if is_auto(batch_size) else rows,
                cost=work_a_row(engine, run.source) if is_auto(batch_size) else None,
                joined=lambda engine: engine.joined(processes),
            )
        stop = trained(run, descend, [*watchers, *monitors], checkpoint, marks)
    finally:
        for used in (source, judging):
            if used is not None:
                used.close()
    trained_on(module, source.encoder)
    run.state.history = processes.broadcast(run.state.history)
    return ended(run, stop, patience, source.encoder)


def _require_known(reading, monitors):
    """Raise `ParameterError` for what is no parameter, or no monitor."""
    if not (isinstance(monitors, Sequence) and all(isinstance(monitor, Monitor) for monitor in monitors)):
        raise ParameterError(
            f"monitors={monitors!r} is no sequence of fallline's monitors. Give a list of instances of Monitor's subclasses."
        )
    for name, value in reading.items():
        if name not in _READING:
            names = [*inspect.signature(fit).parameters, *_READING]
            raise ParameterError(
                f"{name}={value!r} is not a parameter of fit.{did_you_mean(name, names)} On reading data, there are "
                f"{', '.join(_READING)}."
            )


def _require_file(checkpoint):
    """Raise `ParameterError` if a checkpoint cannot be written."""
    if checkpoint is not None:
        require_writable(checkpoint, "checkpoint")


def _held_out(
    source: Data, validation: Any, named: tuple[Any, Any], seed: int, told: dict[str, Any]
) -> tuple[Data, Data | None]:
    """Rows to train on, and rows to measure on, if any."""
    if validation is None:
        return source, None
    if isinstance(validation, (int, float)):
        return source.split(number("validation", validation, above=0, below=1), seed)
    target, weight = (value if isinstance(value, str) else None for value in named)
    told = told | {"encoder": None}
    if source.encoder is not None and kind_of(validation, target) == "table":
        told |= {"encoder": source.encoder, "plan": None}
    return source, as_source(validation, target, sample_weight=weight, **(told | {"shuffle": False}))


def _rate(learning_rate, optimizer, module):
    """The rate that was given, or else the optimizer's own; 1 where one is looked for."""
    if is_auto(learning_rate):
        if isinstance(optimizer, torch.optim.Optimizer):
            raise ParameterError(
                "learning_rate='auto' looks for a rate, but the optimizer is built already and has its own. Give its class or "
                "its name, or leave learning_rate out."
            )
        return 1.0
    if learning_rate is not None:
        return number("learning_rate", learning_rate, at_least=0)
    return float(make_optimizer(optimizer, module, None).param_groups[0]["lr"])


def _schedule(scheduler, rate, epochs, updates):
    """A schedule of fallline's from its name, to begin with or to reach a rate; all else as it is."""
    if not isinstance(scheduler, str):
        return scheduler
    names = [name for name in SCHEDULES if name not in _LINEAR_ONLY]
    if scheduler not in names:
        what = "is not for modules; those that are:" if scheduler in _LINEAR_ONLY else "is not one of"
        raise ParameterError(
            f"scheduler={scheduler!r} {what} {', '.join(map(repr, names))}.{did_you_mean(scheduler, names)} Or give one of "
            "torch.optim.lr_scheduler, such as functools.partial(StepLR, step_size=10)."
        )
    return make_schedule(scheduler, None, {"eta0": rate}, epochs, updates, name="scheduler")
