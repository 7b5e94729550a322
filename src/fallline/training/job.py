"""The function behind `fallline train`."""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fallline.data.arrays import as_array
from fallline.data.budget import memory_budget
from fallline.data.cache import default_folder
from fallline.data.encoder import Plan, aimed, make_plan
from fallline.data.further import known_columns, text_columns
from fallline.data.order import Order
from fallline.data.prepared import Preparing, prepare
from fallline.data.sources import open_source
from fallline.data.sources.options import ReadOptions
from fallline.engines.work import work_a_row
from fallline.errors import CacheError, DamagedCacheError, FalllineWarning, InterruptedWarning, ParameterError
from fallline.loop import train as run_loop
from fallline.model import Model
from fallline.monitors.base import Run
from fallline.monitors.interrupt import Interrupt
from fallline.monitors.keep_best import KeepBest
from fallline.monitors.long_epochs import LongEpochs
from fallline.monitors.tell import Tell
from fallline.monitors.time_limit import TimeLimit
from fallline.monitors.validation import Validation
from fallline.names import listed
from fallline.objective.domains import ANY_NUMBER
from fallline.objective.links import Identity
from fallline.objective.losses import name_of
from fallline.objective.losses.offset import Offset
from fallline.scorers import LinearScorer
from fallline.settings import number, seed_from
from fallline.training.held_out import HeldOut
from fallline.training.recipe import Recipe, class_loss, regression_loss, task_for
from fallline.training.summary import judged, summarised
from fallline.tuning import train_tuned

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
    options: ReadOptions = ReadOptions(),
    progress: Callable[[float, str], None] | None = None,
) -> Model:
    """Train a linear model on data of any size and any kind of columns.

    Numbers are standardised, categories become columns of zeros and ones, dates are taken apart, missing values are filled in
    and flagged; see the guide on encoding. Files are read once to learn what their columns hold and once to encode them; encoded
    rows are kept in a cache, so that later epochs and later runs read no file again.

    Parameters
    ----------
    data : path, list of paths, data frame, table, array or sparse matrix
        Files (Parquet, CSV, Arrow, JSON lines, NPY, libsvm), patterns or folders, local or on object storage; or rows in memory.
    target : str or array of shape (n,)
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
    loss : str or NamedTuple, optional
        By default "squared_error" for regression, "log_loss" for two classes and "multinomial" for more. A loss of margins with
        more than two classes is trained one class against the rest.
    penalty : {"l2", "l1", "elasticnet", "none"} or None
        What keeps the weights small; intercepts go free.
    alpha : float, optional
        Strength of the penalty; by default 1 / rows, which is C=1 in scikit-learn.
    l1_ratio : float
        Share of L1 in "elasticnet".
    solver : str
        How the optimum is looked for: "newton" (growing-batch stochastic Newton, for models of up to some 1,500 coefficients),
        "saga" (variance-reduced mini-batches and then a quasi-Newton method, for larger ones), "descent" (mini-batch gradient
        descent), or "auto": descent, if an optimizer, a rate, a schedule or a batch size is given, otherwise by the model's size.
    optimizer : str or NamedTuple, optional
        Of descent: a name in `fallline.optim.optimizers`, or an optimizer; by default "adam".
    learning_rate : float or "auto"
        Of descent: the first, or highest, rate of the schedule. "auto" finds one by short runs, which visit a twentieth as many
        rows as training does; should training diverge all the same, it begins anew with a tenth.
    schedule : str or NamedTuple, optional
        Of descent, how the rate develops: a name in `fallline.optim.schedules`, or a schedule; by default "cosine".
    batch_size : int, float, "full" or "auto"
        Of descent, the rows that an update sees: 1 is stochastic, a whole number or a fraction of the rows mini-batch, "full"
        batch gradient descent.
        "auto" tries powers of two, and takes the one that comes as far with the least work.
    epochs : int, optional
        Passes over the rows; by default, in descent as many as make four million visits to rows, from 5 to 100; otherwise as many
        as the optimum takes, but no more than 100.
    validation : float, path or table, optional
        A fraction of the rows to hold out, or other data, target included, to measure on after every epoch and at the end.
    seed : int
        Chooses the orders and the rows held out. The same seed gives the same bits.
    time_limit : float, optional
        Seconds after which training ends.
    memory : str or int, optional
        How much to use beyond the interpreter's own, such as "1GB"; by default half of what is free.
    cache : path or bool
        The folder where encoded rows are kept; True for the user's cache folder, False to keep none.
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
    recipe = Recipe(penalty, alpha, l1_ratio, solver, optimizer, learning_rate, schedule, batch_size, epochs)
    recipe.check()
    limits = [] if time_limit is None else [TimeLimit(number("time_limit", time_limit, above=0))]
    order, budget = Order(seed_from(seed)), memory_budget(memory)
    asked = {
        "weight": weight,
        "offset": offset,
        "ignore": ignore,
        "categorical": categorical,
        "text": text,
        "task": task,
    }
    if plan is not None and not isinstance(plan, Plan):
        plan = Plan.from_json(plan)
    if plan is None:
        options = options.as_text([*categorical, *text])
    else:
        options = options.as_text(text_columns(plan)).with_known(known_columns(plan))
    source, target = _opened(data, target, options)
    made = _planned(source, plan, target, asked, loss)
    held_out = HeldOut.of(validation, order.seed, made, options)
    opening = time.perf_counter() - began
    how = _preparing(made, loss, budget, _folder(cache))

    def attempt():
        return _trained(source, made, how, held_out, recipe, order, loss, limits, progress)

    try:
        model = attempt()
    except DamagedCacheError as error:
        warnings.warn(f"{error} Training begins anew.", FalllineWarning, stacklevel=2)
        model = attempt()
    model.summary["seconds"] |= {"opening": opening, "total": time.perf_counter() - began}
    return model


def _trained(source, plan, how, held_out, recipe, order, loss, limits, progress):
    """The model that comes of a source, from encoding to the summary."""
    prepared = prepare(source, plan, how._replace(tell=_scaled(progress, 0.0, 0.5)))
    training, judging = held_out.parts(prepared, how)
    encoder = prepared.encoder
    chosen = class_loss(loss, len(encoder.classes)) if encoder.classes else regression_loss(loss)
    objective = Offset(chosen) if plan.offset is not None else chosen
    solver = recipe.solver_for(objective, training.n_columns, _outputs(encoder))
    monitors = _monitors(judging, limits, _scaled(progress, 0.5 * (not prepared.found), 1.0))
    run, stop = _solved(recipe, solver, objective, training, _outputs(encoder), order, monitors)
    engine, state = run.engine, run.state
    if engine.exploded(training, state):
        raise engine.divergence(training, state)
    model = Model(encoder, LinearScorer(_final(run, stop)), chosen, {}, state.history)
    if judging is not None:
        model.summary["validation"] = judged(model, judging)
    model.summary.update(summarised(source, prepared, recipe, run, stop, how.budget))
    return model


def _solved(recipe, solver, loss, training, outputs, order, monitors):
    """Train; the run, and why it ended."""
    size, most = (training.n_columns, outputs, np.float32), recipe.epochs_for(training.n_rows, solver)
    if solver.name != "descent":
        engine = recipe.solving(loss, training, solver)
        run = Run(engine, training, order, engine.start(*size), most)
        run.state.notes["choice"] = solver.note()
        return run, run_loop(run, monitors)
    engine_for = recipe.engine_for(loss, training.n_rows, solver)
    begin = engine_for(1.0, 1, 1)
    run = Run(begin, training, order, begin.start(*size), most)
    run.state.notes["choice"] = solver.note()
    stop = train_tuned(
        run,
        engine_for,
        monitors,
        rate=recipe.rate,
        batch_size=recipe.batch_size_for(training.n_rows),
        cost=work_a_row(training, outputs, begin.optimizer),
    )
    return run, stop


def _opened(data, target, options):
    """The source, and the name of the target in it."""
    if target is None or isinstance(target, str):
        return open_source(data, options=options), target
    source = open_source(data, target_values=as_array(target, "target"), options=options)
    return source, source.schema.names[-1]


def _planned(source, plan, target, asked, loss):
    """The plan that was given; or one from a look at the data."""
    if plan is None:
        if target is None:
            names = listed(source.schema.names)
            raise ParameterError(f"Which column is to be predicted? Give a target, one of: {names}.")
        return make_plan(source, target=target, **{**asked, "task": task_for(asked["task"], loss)})
    given = [name for name, value in asked.items() if value not in (None, (), [])]
    if given:
        raise ParameterError(
            f"{given[0]}= and plan= both say what becomes of columns. Change it in the plan."
        )
    if plan.target is None and target is not None:
        return aimed(plan, source, target, task_for(None, loss))
    if target not in (None, plan.target):
        raise ParameterError(
            f"target={target!r} is not the plan's ({plan.target!r}). Leave it out, or change the plan."
        )
    return plan


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


def _folder(cache):
    """Where encoded rows are kept; None for nowhere."""
    if cache is False:
        return None
    folder = default_folder() if cache is True else Path(cache)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        found = f"Encoded rows cannot be kept in the folder {str(folder)!r} ({error.strerror})."
        if cache is not True:
            raise CacheError(f"{found} Choose another one, or do without with --no-cache.") from error
        warnings.warn(
            f"{found} They are not kept; choose another folder with --cache DIR.",
            FalllineWarning,
            stacklevel=3,
        )
        return None
    return folder


def _outputs(encoder):
    """How many scores a row has."""
    return len(encoder.classes) if encoder.task == "multiclass" else 1


def _nobody(share, what):
    """Listens to progress where nobody else does."""


def _scaled(progress, begin, end):
    """The same listener, for a stretch of the work."""
    if progress is None:
        return _nobody
    return lambda share, what: progress(begin + share * (end - begin), what)


def _monitors(judging, limits, tell):
    judges = [] if judging is None else [Validation(judging)]
    quantity = "objective" if judging is None else "validation_loss"
    return [LongEpochs(), *judges, KeepBest(quantity), *limits, Interrupt(), Tell(tell)]


def _final(run, stop):
    """The weights to keep: the last; or the best, where training ended before its schedule did."""
    early = stop.reason in {"interrupted", "time_limit"} and run.state.best is not None
    if stop.reason == "interrupted":
        warnings.warn(
            f"Training was interrupted in epoch {run.state.epoch + 1}; the model holds the best weights so far.",
            InterruptedWarning,
            stacklevel=3,
        )
    return np.array(run.state.best if early else run.weights)
