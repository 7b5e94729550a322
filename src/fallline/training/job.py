"""The function behind `fallline train`."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.data.encoder import Plan
from fallline.data.order import Order
from fallline.data.prepared import Preparing
from fallline.data.preparing_together import budget_together, prepare_together
from fallline.data.sources.base import Source
from fallline.data.sources.options import ReadOptions
from fallline.errors import DamagedCacheError, FalllineWarning, InterruptedWarning, ParameterError
from fallline.files import require_writable
from fallline.model import Model
from fallline.monitors.base import Monitor
from fallline.monitors.interrupt import Interrupt
from fallline.monitors.keep_best import KeepBest
from fallline.monitors.long_epochs import LongEpochs
from fallline.monitors.tell import Tell
from fallline.monitors.time_limit import TimeLimit
from fallline.monitors.validation import Validation
from fallline.objective.domains import ANY_NUMBER
from fallline.objective.links import Identity
from fallline.objective.losses import name_of
from fallline.objective.losses.offset import Offset
from fallline.parallel import find
from fallline.parallel.agreeing import together, told_by_first
from fallline.parallel.alone import Alone
from fallline.settings import number, seed_from
from fallline.training.held_out import HeldOut
from fallline.training.losses import class_loss, loss_for, regression_loss
from fallline.training.opening import cache_folder, opened
from fallline.training.recipes import Recipe, recipe_for
from fallline.training.saving import Saving
from fallline.training.summary import judged, summarised, trained
from fallline.tuning import solve

__all__ = ["train"]


def train(
    data: Any,
    target: Any = None,
    *,
    weight: str | None = None,
    offset: str | None = None,
    ignore: Sequence[str] = (),
    categorical: Sequence[str] = (),
    text: Sequence[str] = (),
    plan: str | Plan | None = None,
    task: str | None = None,
    model: str | Callable = "linear",
    hidden: Sequence[int] | None = None,
    dropout: float | None = None,
    batch_norm: bool | None = None,
    device: Any = None,
    precision: str | None = None,
    loss: Any = None,
    penalty: str | None = "l2",
    alpha: float | None = None,
    l1_ratio: float = 0.15,
    solver: Any = "auto",
    optimizer: Any = None,
    learning_rate: float | str = "auto",
    schedule: Any = None,
    batch_size: float | str = "auto",
    epochs: int | None = None,
    validation: Any = None,
    seed: int = 0,
    time_limit: float | None = None,
    memory: str | int | None = None,
    cache: str | os.PathLike | bool = True,
    sync_every: int | None = None,
    checkpoint: str | os.PathLike | None = None,
    options: ReadOptions = ReadOptions(),
    progress: Callable[[float, str], None] | None = None,
) -> Model:
    """Train a linear model or a network on data of any size and any kind of columns.

    Numbers are standardised, categories become columns of zeros and ones, dates are taken apart, missing values are filled in
    and flagged; see the guide on encoding. Files are read once to learn what their columns hold, and once more to encode them
    where that does not fit in memory; encoded rows are kept in a cache, so that later epochs and later runs read no file again.

    Parameters
    ----------
    data : path, list of paths, data frame, table, array or sparse matrix
        Files (Parquet, CSV, Arrow, JSON lines, NPY, libsvm), patterns or folders, local or on object storage; or rows in memory.
    target : str, int or array of shape (n,)
        The column to predict; or the values themselves, where `data` are in memory.
    weight : str, optional
        The column that says how much a row counts.
    offset : str, optional
        A column that is added to the score as it is, such as the logarithm of an exposure.
    ignore : sequence of str
        Columns to leave out.
    categorical : sequence of str
        Columns of numbers to take as categories.
    text : sequence of str
        Columns to take as text, word by word.
    plan : str or Plan, optional
        What becomes of each column, in JSON as `fallline inspect` writes it; then the five before may not be given.
    task : {"classification", "binary", "multiclass", "regression"}, optional
        By default what the loss asks for, or else by what the target looks like.
    model : str or callable
        "linear"; "mlp", a multi-layer perceptron, in which categories go through embeddings; or a function of
        (n_features, n_outputs), and of `encoder` if it has a parameter of that name, that makes a `torch.nn.Module` from encoded
        rows (n, n_features) to scores (n, n_outputs): itself, or by its name as "package.module:function".
    hidden : sequence of int, optional
        Of "mlp": the units of each hidden layer; by default 128 and 64.
    dropout : float, optional
        Of "mlp": the share of hidden units left out of each row while training; by default none.
    batch_norm : bool, optional
        Of "mlp": whether the sums of hidden layers are normalised batch by batch; by default not.
    device : str, optional
        Of networks, where they are trained, such as "cpu" or "cuda"; by default "auto", the best there is.
    precision : {"float32", "bf16"}, optional
        Of networks: "bf16" multiplies in 16 bits.
    loss : str or NamedTuple, optional
        By default "squared_error" for regression, "log_loss" for two classes and "multinomial" for more. A loss of margins with
        more than two classes is trained one class against the rest.
    penalty : {"l2", "l1", "elasticnet", "none"} or None
        What keeps the weights small; intercepts go free. Networks take "l2" and "none".
    alpha : float, optional
        Strength of the penalty; by default the mean weight of a row / rows, which is C=1 in scikit-learn. Of "mlp" on 100 to
        100,000 rows, and of "linear" with L2 on 100 rows and more, fewer than ten a coefficient, by default the best of some from
        there up: runs on some of the rows say which, by the loss on others of them; not if there is a `time_limit`, nor for more
        than 1,000 epochs.
    l1_ratio : float
        Share of L1 in "elasticnet".
    solver : str
        How the optimum is looked for: "newton" (growing-batch stochastic Newton, for models of up to some 1,500 coefficients),
        "saga" (variance-reduced mini-batches and then a quasi-Newton method, for larger ones), "descent" (mini-batch gradient
        descent), or "auto": descent, if an optimizer, a rate, a schedule or a batch size is given, otherwise by the model's size.
    optimizer : str or NamedTuple, optional
        Of descent: a name in `fallline.optim.optimizers`, or an optimizer; by default "adam". Of networks: one of these names or
        one in `torch.optim`, or a function of parameters that gives an optimizer of PyTorch's.
    learning_rate : float or "auto"
        Of descent, and of networks: the first, or highest, rate of the schedule. "auto" finds one by short runs, which visit a
        twentieth as many rows as training does, or 65,536 where that is more; should training diverge all the same, it begins
        anew with a tenth.
    schedule : str or NamedTuple, optional
        Of descent, how the rate develops: a name in `fallline.optim.schedules`, or a schedule; by default "cosine".
    batch_size : int, float, "full" or "auto"
        Of descent, the rows that an update sees: 1 is stochastic, a whole number or a fraction of the rows mini-batch, "full"
        batch gradient descent.
        "auto" tries powers of two, and takes the one that comes as far with the least work; of networks it is 128, of fewer than
        131,072 rows 64, and of fewer than 65,536 rows 32.
    epochs : int, optional
        Passes over the rows; by default, in descent as many as make four million visits to rows, from 5 to 100; otherwise as many
        as the optimum takes, but no more than 100. Of networks by default from 5 to 10, and more where there are few rows, up to
        200, so that there are 2,000 updates.
    validation : float, path or table, optional
        A fraction of the rows to hold out, or other data, target included, to measure on after every epoch and at the end.
        Of a network, the weights with the lowest loss on them are kept.
    seed : int
        Chooses the orders and the rows held out. The same seed gives the same bits.
    time_limit : float, optional
        Seconds after which training ends; those that compiling takes, once on a machine, left out.
    memory : str or int, optional
        How much to use beyond the interpreter's own, such as "1GB"; by default half of what is free.
    cache : path or bool
        The folder where encoded rows are kept; True for the user's cache folder, False to keep none.
    sync_every : int, optional
        Where many processes train together, as under torchrun: after how many updates they average their weights, which each of
        them makes on rows of its own; 1 to make every update together, as one process would. By default as many as make it
        cheap. See the guide on clusters.
    checkpoint : path, optional
        A file that training is saved to from time to time, and goes on from if it is there: however training was ended, it comes
        to the same bits. The file stays; if training had come to its end, what came of it is given at once.
    options : ReadOptions
        How to read files.
    progress : callable, optional
        Told from time to time the share of the work that is done, and what is being done.

    Returns
    -------
    Model
        It predicts, evaluates and saves itself; `summary` says what was done.

    Raises
    ------
    InputError
        If the data cannot be used: the message says where, and what to do.
    ParameterError
        If a setting cannot be used.
    DivergenceError
        If the loss grows beyond all bounds.
    ProcessError
        If another of many processes ends.
    StateError
        If the checkpoint is of another training run.

    Examples
    --------
    >>> import fallline, pandas
    >>> from sklearn.datasets import load_wine
    >>> wine = load_wine(as_frame=True).frame
    >>> model = fallline.train(wine, "target", epochs=20)
    >>> model.evaluate(wine)["accuracy"] > 0.95
    True
    """
    began = time.perf_counter()
    if not (progress is None or callable(progress)):
        raise ParameterError(
            f"progress={progress!r} is no function. Give one that is told a share and what is done, or leave it out."
        )
    processes = find()
    settings = {
        "penalty": penalty,
        "alpha": alpha,
        "l1_ratio": l1_ratio,
        "solver": solver,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "batch_size": batch_size,
        "epochs": epochs,
        "hidden": hidden,
        "dropout": dropout,
        "batch_norm": batch_norm,
        "device": device,
        "precision": precision,
        "sync_every": sync_every,
    }
    recipe = recipe_for(model, {**settings, "processes": processes})
    asked = {
        "weight": weight,
        "offset": offset,
        "ignore": ignore,
        "categorical": categorical,
        "text": text,
        "task": task,
    }

    budget = budget_together(memory, processes)

    def known() -> _Job:
        recipe.check()
        limits = [] if time_limit is None else [TimeLimit(number("time_limit", time_limit, above=0))]
        order = Order(seed_from(seed))
        source, made, reading = opened(data, target, plan, asked, loss, options)
        held_out = HeldOut.of(validation, order.seed, made, reading)
        how = _preparing(made, loss, budget, cache_folder(cache))
        if checkpoint is not None and processes.rank == 0:
            require_writable(checkpoint, "checkpoint")
        determining = {"model": model, "loss": loss, "seed": order.seed, **settings}
        saving = None if checkpoint is None else Saving(Path(checkpoint), determining)
        return _Job(source, made, how, held_out, recipe, loss, order, limits, progress, processes, saving)

    job = together(processes, known)
    opening = time.perf_counter() - began
    try:
        trained_model = job.done()
    except DamagedCacheError as error:
        if processes.size > 1:
            raise  # the others cannot begin anew with this one
        warnings.warn(f"{error} Training begins anew.", FalllineWarning, stacklevel=2)
        trained_model = job.done()
    trained_model.summary["seconds"] |= {"opening": opening, "total": time.perf_counter() - began}
    return trained_model


@dataclass(frozen=True)
class _Job:
    """All that is known before the long work."""

    source: Source
    plan: Plan
    how: Preparing
    held_out: HeldOut
    recipe: Recipe
    loss: Any
    order: Order
    limits: Sequence[Monitor]
    progress: Callable[[float, str], None] | None
    processes: Alone
    saving: Saving | None

    def done(self) -> Model:
        """The model, from encoding to the summary."""
        processes = self.processes
        how = self.how._replace(tell=_scaled(self.progress, 0.0, 0.5))
        prepared = prepare_together(self.source, self.plan, how, processes, self.recipe.divides)
        divided = self.recipe.divides(prepared.n_rows)
        training, judging = together(
            processes, lambda: self.held_out.parts(prepared, self.how, processes if divided else None)
        )
        loss = loss_for(self.loss, prepared.encoder)
        objective = Offset(loss) if self.plan.offset is not None else loss
        begun = self.recipe.begin(objective, prepared.encoder, training, self.order.seed)
        tell = _scaled(self.progress, 0.5 * (not prepared.found), 1.0)
        monitors, saved = self._monitors(None if judging is None else begun.rows(judging), tell), None
        if self.saving is not None:
            window_bytes = self.how.budget.window_bytes
            saver, saved = self.saving.begin(prepared, training, self.held_out, window_bytes, processes)
            monitors.append(saver)
        rows = begun.rows(training)
        run, stop = solve(begun.method, begun.state, rows, self.order, monitors, processes, saved)
        if run.engine.exploded(run.source, run.state):
            raise run.engine.divergence(run.source, run.state)
        run.state.history = processes.broadcast(run.state.history)
        weights = _final(run, stop, best=begun.keeps_best and judging is not None)
        model = Model(prepared.encoder, begun.scorer(run, weights), loss, {}, run.state.history)
        if judging is not None:
            measured = self.held_out.whole(judging, prepared, self.how)
            model.summary["validation"] = told_by_first(processes, lambda: judged(model, measured))
        model.summary.update(summarised(self.source, prepared, run, stop, self.how.budget))
        model.summary["training"] = {"loss": name_of(objective), **begun.told(run), **trained(run)}
        return model

    def _monitors(self, judging, tell):
        judges = [] if judging is None else [Validation(judging)]
        quantity = "objective" if judging is None else "validation_loss"
        return [LongEpochs(), *judges, KeepBest(quantity), *self.limits, Interrupt(), Tell(tell)]


def _final(run, stop, *, best):
    """The weights to keep: the last; or the best, where these are wanted, or training ended before its schedule did."""
    best = (best or stop.reason in {"interrupted", "time_limit"}) and run.state.best is not None
    if stop.reason == "interrupted":
        warnings.warn(
            f"Training was interrupted in epoch {run.state.epoch + 1}; the model holds the best weights so far.",
            InterruptedWarning,
            stacklevel=4,
        )
    return run.engine.copied(run.state.best if best else run.weights)


def _preparing(plan, loss, budget, folder):
    """How rows are prepared for a loss, which is checked here, before they are read."""
    classes = plan.task != "regression"
    usual = class_loss(loss, 2) if classes else regression_loss(loss)
    return Preparing(
        budget,
        folder,
        # Where classes turn out to be numbers, the usual loss is taken, which is of the score itself.
        standardise_target=classes or type(usual.link) is Identity,
        domain=ANY_NUMBER if classes else usual.domain,
        loss=name_of(usual),
        tell=_nobody,
    )


def _nobody(share, what):
    """Listens to progress where nobody else does."""


def _scaled(progress, begin, end):
    """The same listener, for a stretch of the work."""
    if progress is None:
        return _nobody
    return lambda share, what: progress(begin + share * (end - begin), what)
