"""The function behind `fallline compare`."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from fallline.comparison.contenders import line_up
from fallline.comparison.contenders.lbfgs import lbfgs
from fallline.comparison.experiment import RATES, SEARCH_ROWS, observe, warm_up
from fallline.comparison.machine import describe_machine
from fallline.comparison.memory import measure_memory
from fallline.comparison.noise import measure_noise
from fallline.comparison.optimum import find_optimum
from fallline.comparison.problem import split
from fallline.comparison.results import Comparison, Encoding, Facts, Settings
from fallline.comparison.table import read
from fallline.comparison.throughput import measure_throughput
from fallline.comparison.verdict import find_winners, judge
from fallline.data.encoder import describe
from fallline.data.sources import ReadOptions
from fallline.errors import ParameterError
from fallline.settings import integer, number, rows_per_batch

__all__ = ["compare"]

_BATCH_SIZES = (8, 32, 128, 512)
_ROW_VISITS = 120_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 15, 150


def compare(
    data: Any = None,
    y: Any = None,
    *,
    target: str | None = None,
    demo: str | None = None,
    ignore: Sequence[str] = (),
    categorical: Sequence[str] = (),
    text: Sequence[str] = (),
    task: str | None = None,
    batch_sizes: Sequence[int | float | str] | None = None,
    epochs: int | None = None,
    seeds: int = 3,
    alpha: float = 1e-4,
    time_limit: float = 300.0,
    test_fraction: float = 0.2,
    seed: int = 0,
    memory: str | int | None = None,
    options: ReadOptions = ReadOptions(),
    progress: Callable[[float, str], None] | None = None,
) -> Comparison:
    """Train batch, stochastic and mini-batch gradient descent side by side on your data, and say which serves best.

    All minimise the same convex objective, a linear model's mean loss plus an L2 penalty, on the same encoded training rows,
    from zero weights, at a constant rate; each chooses its rate from the same list, with the same number of row visits to
    try each. scikit-learn's SGD, a plain PyTorch loop (where PyTorch is installed) and L-BFGS run beside.

    What `train` takes is taken, and encoded as there. The contenders want all rows in memory, with a number for each feature:
    where that is too much, they are compared on a random part of the rows, and the result says so.

    Parameters
    ----------
    data : path, list of paths, data frame, table, array or sparse matrix
        Files (Parquet, CSV, Arrow, JSON lines, NPY, libsvm), patterns or folders, local or on object storage; or rows in memory.
    y : array of shape (n,), optional
        The values to predict, where `data` are in memory and do not hold them.
    target : str, optional
        The column to predict.
    demo : {"digits", "breast_cancer", "diabetes", "wine"}, optional
        A data set that comes with scikit-learn, instead of `data`.
    ignore : sequence of str
        Columns to leave out.
    categorical : sequence of str
        Columns of numbers to take as categories.
    text : sequence of str
        Columns to take as text, word by word.
    task : {"binary", "multiclass", "classification", "regression"}, optional
        By default by what the target looks like. "classification" is either of the two before it.
    batch_sizes : sequence of int, float or "full", optional
        By default 1, 8, 32, 128 and 512 (those below half of the rows) and "full".
    epochs : int, optional
        Passes over the training rows; by default as many as make 120,000 row visits, from 15 to 150.
    seeds : int
        Runs of each contender; each visits the rows in another order.
    alpha : float
        Strength of the L2 penalty; intercepts go free.
    time_limit : float
        Seconds for all training together, shared out evenly. Who needs more is cut short, and the result says so.
    test_fraction : float
        Share of the rows kept aside to test on.
    seed : int
        Chooses the rows, where there are too many, the split and the orders. The same seed gives the same numbers, timings and
        memory apart.
    memory : str or int, optional
        How much to use beyond the interpreter's own, such as "1GB"; by default half of what is free.
    options : ReadOptions
        How to read files.
    progress : callable, optional
        Told from time to time the share of the work that is done, and what is being done.

    Returns
    -------
    Comparison
        All numbers; `verdict` in words; `save(path)` writes the page and a JSON file.

    Raises
    ------
    InputError
        If the data cannot be used: the message says which column, and what to do.
    ParameterError
        If a setting cannot be used.

    Examples
    --------
    >>> import fallline
    >>> found = fallline.compare(demo="wine", epochs=20, seeds=1)  # doctest: +SKIP
    >>> print(found.verdict[0])  # doctest: +SKIP
    >>> found.save("wine.html")  # doctest: +SKIP
    """
    settings = _checked(epochs, seeds, alpha, time_limit, test_fraction, seed)
    tell = progress or (lambda *_: None)
    tell(0.0, "reading: what the data are")
    table = read(
        data, y, target=target, demo=demo, ignore=ignore, categorical=categorical, text=text, task=task, options=options,
        memory=memory, seed=seed, tell=_within(tell, 0.0, 0.1),
    )  # fmt: skip
    problem, test = split(table, settings.test_fraction, settings.alpha, seed)
    facts = _facts(table, problem.n, len(test.y))
    # It would be one more copy of all rows.
    del table
    _complete(settings, problem, batch_sizes)
    return _experiment(facts, settings, problem, test, tell)


def _facts(table, train_rows, test_rows):
    """What is told about the data, without the data."""
    encoder = table.encoder
    target, *others = describe(encoder)
    encoding = [
        Encoding(one.column, one.type, one.kind, one.becomes, one.features or 0, one.missing)
        for one in others
    ]
    return Facts(
        name=table.name,
        target=target.column,
        task=table.task,
        why_task=encoder.target.reason,
        rows=train_rows + test_rows,
        rows_found=encoder.counts.used,
        rows_without_target=encoder.counts.without_target,
        rows_skipped=encoder.counts.skipped,
        columns=[one.column for one in encoding if one.features],
        features=encoder.feature_names,
        standardised=encoder.layout.n_numbers,
        encoding=encoding,
        classes=table.classes,
        train_rows=train_rows,
        test_rows=test_rows,
        notes=table.notes,
    )


def _checked(epochs, seeds, alpha, time_limit, test_fraction, seed):
    seed = integer("seed", seed, at_least=0)
    return Settings(
        epochs=0 if epochs is None else integer("epochs", epochs),
        seeds=[seed + 1 + i for i in range(integer("seeds", seeds))],
        alpha=number("alpha", alpha, at_least=0),
        test_fraction=number("test_fraction", test_fraction, above=0, below=1),
        split_seed=seed,
        batch_sizes=[],
        rates=RATES,
        search_rows=0,
        search_visits=0,
        time_limit=number("time_limit", time_limit, above=0),
    )


def _complete(settings, problem, batch_sizes):
    """What depends on how many rows there are."""
    if batch_sizes is None:
        batch_sizes = [1, *(size for size in _BATCH_SIZES if size < problem.n / 2), "full"]
    elif isinstance(batch_sizes, str) or len(batch_sizes) == 0:
        raise ParameterError(
            f"batch_sizes={batch_sizes!r} is not a list of batch sizes. Give one such as [1, 32, 'full']."
        )
    settings.batch_sizes = sorted({rows_per_batch(size, problem.n) for size in batch_sizes})
    settings.epochs = settings.epochs or int(np.clip(_ROW_VISITS // problem.n, _FEWEST_EPOCHS, _MOST_EPOCHS))
    settings.search_rows = min(problem.n, SEARCH_ROWS)
    settings.search_visits = settings.epochs * settings.search_rows


def _experiment(facts, settings, problem, test, tell):
    contenders, absent = line_up(problem.n, settings.batch_sizes)
    for i, contender in enumerate(contenders):
        tell(0.1 + 0.05 * i / len(contenders), f"compiling for {contender.label}")
        warm_up(contender, problem)
    # One thread for everyone: what is compared are methods; and threads that wait for each other spoil small problems.
    with threadpool_limits(1):
        tell(0.15, "finding the exact optimum")
        [end] = lbfgs().trace(problem, rate=0.0, seed=0, epochs=0, records=1)
        optimum = find_optimum(problem.objective, end.weights)
        results = _observe_all(contenders, problem, test, optimum, settings, tell)
        tell(0.85, "measuring throughput")
        throughput = measure_throughput(problem)
        tell(0.9, "measuring gradient noise")
        noise = measure_noise(problem.objective, 0.5 * optimum.weights, settings.split_seed)
    tell(0.93, "measuring memory, each contender in its own process")
    for result, memory in zip(results, measure_memory(contenders, problem), strict=True):
        result.memory_bytes = memory
    tell(1.0, "done")
    comparison = Comparison(
        data=facts,
        settings=settings,
        machine=describe_machine(),
        made=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        command="fallline.compare(...), from Python",
        start=optimum.start,
        optimum=optimum.objective,
        optimum_gradient_norm=optimum.gradient_norm,
        optimum_test_score=test.score(optimum.weights),
        constant_test_score=test.score(problem.constant),
        contenders=results,
        absent=absent,
        throughput=throughput,
        noise=noise,
        winners=find_winners(results),
    )
    comparison.verdict = judge(comparison)
    return comparison


def _observe_all(contenders, problem, test, optimum, settings, tell):
    """One after the other; each may use its share of the time that is left."""
    results, deadline = [], time.perf_counter() + settings.time_limit
    for i, contender in enumerate(contenders):
        share = (deadline - time.perf_counter()) / (len(contenders) - i)
        within = _within(tell, 0.2 + 0.65 * i / len(contenders), 0.65 / len(contenders))
        results.append(observe(contender, problem, test, optimum, settings, share, within))
    return results


def _within(tell, begin, share):
    return lambda done, what: tell(begin + share * done, what)
