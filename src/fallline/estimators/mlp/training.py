"""From a network and rows to a training run by the module engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fallline.data.order import Order
from fallline.data.rows import ArraySource, Rows
from fallline.errors import DivergenceError
from fallline.estimators.mlp.following import Course, Following, Iterations
from fallline.estimators.mlp.settings import STOCHASTIC, Settings, batch_rows
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.monitors.interrupt import Interrupt
from fallline.monitors.time_limit import TimeLimit
from fallline.state import Stop

__all__ = ["Carried", "Outcome", "Task", "predicted", "sources", "train_network"]

# A product with a dense row takes no longer than one with a sparse row that has an eighth of its numbers.
_SPARSE = 8


@dataclass(frozen=True)
class Task:
    """What is to be trained.

    Parameters
    ----------
    settings : Settings
    network : MLP
    loss : str
        A name in `fallline.engines.module.scikit.losses.LOSSES`.
    outputs : int
    """

    settings: Settings
    network: Any
    loss: str
    outputs: int


@dataclass(frozen=True)
class Carried:
    """What an optimizer remembers from one call of `partial_fit` to the next.

    Parameters
    ----------
    learning_rate : float
        That of the next update.
    arrays : dict of str to ndarray
        Everything else.
    """

    learning_rate: float
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """What came of training.

    Parameters
    ----------
    network : MLP
    optimizer : Carried or None
    stop : Stop
    records : list of dict
    iterations : int
        Epochs made, or iterations of L-BFGS.
    loss : float
        The latest, the penalty included.
    diverged : bool
        Whether it became infinite, and earlier weights were taken.
    """

    network: Any
    optimizer: Carried | None
    stop: Stop
    records: list[dict[str, Any]]
    iterations: int
    loss: float
    diverged: bool


def sources(
    task: Task, rows: Rows, training: np.ndarray | None, held_out: np.ndarray | None, *, weighted: bool
) -> tuple[Any, Any]:
    """Rows to train on, and rows held out or None, as tensors."""
    from fallline.engines.module.tensors import tensors_of

    classes = task.outputs if task.loss == "softmax" else None
    train_on = tensors_of(
        ArraySource(rows, subset=training), classes, weighted=weighted, sparse=_stays_sparse(rows)
    )
    if held_out is None:
        return train_on, None
    judged = tensors_of(ArraySource(rows, subset=held_out), classes, sparse=_stays_sparse(rows))
    return train_on, judged


def predicted(network: Any, rows: Rows, device: Any) -> np.ndarray:
    """What a network gives for rows, (rows, outputs)."""
    from fallline.engines.module.evaluating import predict
    from fallline.engines.module.tensors import tensors_of

    source = tensors_of(ArraySource(rows), weighted=False, sparse=_stays_sparse(rows))
    return predict(network, source, device=device).numpy()


def _stays_sparse(rows):
    return rows.numbers_a_row * _SPARSE < rows.n_columns


def train_network(
    task: Task,
    source: Any,
    held_out: Any,
    course: Course,
    *,
    batch_size: Any,
    device: Any,
    seed: int,
    before: Carried | None,
    part: bool,
    score: Callable[[np.ndarray], float] | None,
) -> Outcome:
    """Train a network in place.

    Parameters
    ----------
    task : Task
    source, held_out : TrainingSource
        See `sources`.
    course : Course
        What is added to.
    batch_size, device
        The estimators' parameters.
    seed : int
        Of the orders, and of dropout.
    before : Carried, optional
        The optimizer that is gone on with.
    part : bool
        Whether to make a single epoch, the next of several.
    score : callable, optional
        The score of what the network gives for the rows held out.

    Raises
    ------
    DivergenceError
        If the loss or the weights became non-finite, and there are no better ones.
    """
    from fallline.engines.module.evaluating import predict

    settings, made_before = task.settings, len(course.losses) if part else 0
    stochastic = settings.solver in STOCHASTIC
    batch = batch_rows(batch_size, source.n_rows) if stochastic else source.n_rows
    engine = _engine(task, source, batch, device, seed + made_before, before)
    state = engine.start()
    state.epoch = made_before
    run = Run(
        engine,
        source,
        Order(seed, settings.shuffle and stochastic),
        state,
        1 + made_before if part else settings.max_iter,
    )
    judge = _judge(
        task,
        course,
        before,
        None if score is None else lambda: score(predict(task.network, held_out).numpy()),
    )
    stop, diverged = _run(run, judge, settings)
    if stochastic and settings.early_stopping and state.best is not None:
        engine.put(state.best)
    carried = _carried(engine, judge) if stochastic else None
    iterations = state.epoch - made_before if stochastic else judge.made
    loss = course.losses[-1] if stochastic else _objective(task, engine, source, state)
    return Outcome(task.network, carried, stop, state.history, iterations, loss, diverged)


def _judge(task, course, before, score):
    """What stops training."""
    if task.settings.solver not in STOCHASTIC:
        return Iterations(task.settings)
    rate = task.settings.learning_rate_init if before is None else before.learning_rate
    return Following(course, task.settings, outputs=_averaged(task), rate=rate, score=score)


def _run(run, judge, settings):
    """Why training ended, and whether it diverged."""
    limits = [] if settings.time_limit is None else [TimeLimit(settings.time_limit)]
    try:
        return train(run, [judge, *limits, Interrupt()]), False
    except DivergenceError as error:
        if run.state.best is None:
            raise DivergenceError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                f"preprocessed. {error}"
            ) from error
        judge.note(float("nan"))
        return Stop("early_stopping", str(error)), True


def _engine(task, source, batch, device, seed, before):
    from fallline.engines.module.engine import ModuleEngine
    from fallline.engines.module.scikit.objective import Penalty, WeightedMean

    network, alpha = task.network, task.settings.alpha
    objective = WeightedMean(task.loss, float(source.targets()[1].mean()), alpha)
    weights = [*network.tables, *(layer.weight for layer in network.layers)]
    engine = ModuleEngine(
        network,
        objective,
        lambda parameters: _optimizer(task.settings, parameters),
        batch,
        device=device,
        penalty=Penalty(weights, objective) if alpha > 0 else None,
        seed=seed % 2**63,
    )
    optimizer: Any = engine.optimizer
    if task.settings.solver in STOCHASTIC:
        objective.write_out(network, optimizer.flat)
    if before is not None:
        _take_up(optimizer, before)
    return engine


def _optimizer(settings, parameters):
    from fallline.engines.module.scikit import optimizers

    if settings.solver == "lbfgs":
        return optimizers.LBFGS(parameters, settings.tol)
    if settings.solver == "adam":
        return optimizers.Adam(parameters, settings.learning_rate_init, settings.betas, settings.epsilon)
    return optimizers.Momentum(parameters, settings.learning_rate_init, settings.momentum, settings.nesterov)


def _take_up(optimizer, before):
    from fallline.engines.module.trees import from_arrays

    optimizer.load_state_dict(from_arrays(before.arrays))
    for group in optimizer.param_groups:
        group["lr"] = before.learning_rate


def _carried(engine, judge):
    from fallline.engines.module.trees import to_arrays

    return Carried(judge.rate, to_arrays(engine.optimizer.state_dict()))


def _objective(task, engine, source, state):
    """Loss and penalty at the weights that training has come to."""
    return engine.measure(source, engine.weights(state)) / _averaged(task) + engine.penalty_met(state)


def _averaged(task):
    """Over how many outputs scikit-learn takes the mean of the losses that it notes."""
    return task.outputs if task.loss == "squared_error" else 1
