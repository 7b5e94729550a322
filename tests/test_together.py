"""Linear models on many processes: every update over all of them, or weights averaged every so many."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.data.shared import Shared, divided
from fallline.engines.descent import DescentEngine
from fallline.engines.together import Averaging, Synchronous, joining
from fallline.errors import DivergenceError, NonFiniteError
from fallline.loop import train
from fallline.monitors.base import Monitor, Run
from fallline.monitors.time_limit import TimeLimit
from fallline.objective.losses import LOSSES
from fallline.objective.penalties import L1, L2, ElasticNet, NoPenalty
from fallline.optim.averaging import NoAveraging, Polyak
from fallline.optim.optimizers import OPTIMIZERS
from fallline.optim.schedules.constant import Constant
from fallline.optim.schedules.cosine import Cosine
from fallline.state import State, Stop
from ranks import on_ranks

N = 203
SQUARED = LOSSES["squared_error"]()


def rows_for(n=N, columns=5, outputs=1, dtype=np.float64, sparse=False):
    generator = np.random.default_rng(n)
    X = generator.standard_normal((n, columns)).astype(dtype)
    y = (X @ generator.standard_normal((columns, outputs)) + 1).astype(dtype)
    weight = generator.uniform(0.5, 2, n).astype(dtype)
    if sparse:
        X[generator.random(X.shape) < 0.5] = 0
        X = csr_array(X)
    return as_rows(X, y, weight)


def own_part(rows, processes):
    """The rows that are a process's, and how many each has."""
    numbers = np.arange(rows.n_rows, dtype=np.uint64)[processes.rank :: processes.size]
    own = ArraySource(rows, subset=numbers)
    return Shared(own, divided(rows.n_rows, processes.size), rows.numbers_a_row, processes)


def descended(descent, rows, processes, every=1, epochs=3, monitors=(), state=None, **limits):
    """The run that processes make together, and why it ended."""
    source = ArraySource(rows) if every == 1 else own_part(rows, processes)
    engine = joining(source, rows.y.shape[1], processes, every)(descent)
    if processes.size == 1 and every > 1:
        engine = Averaging(descent, processes, every)
    begin = state or engine.start(rows.n_columns, rows.y.shape[1], rows.dtype)
    run = Run(engine, source, Order(3), begin, epochs, processes=processes, **limits)
    return run, train(run, monitors)


def weights_of(results):
    """The weights that all ranks have, the same to the last bit."""
    for result in results:
        if isinstance(result, Exception):
            raise result
    first, *others = [run.weights for run, _ in results]
    for other in others:
        np.testing.assert_array_equal(first, other)
    return first


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_comes_to_the_weights_of_one_process(optimizer):
    """Whatever the optimizer, every update over all processes is the update of one."""
    descent = DescentEngine(SQUARED, OPTIMIZERS[optimizer](), Constant(0.02), 32, L2(0.01))
    alone = weights_of(on_ranks(1, lambda processes: descended(descent, rows_for(), processes)))
    for size in (2, 3):
        together = weights_of(on_ranks(size, lambda processes: descended(descent, rows_for(), processes)))
        np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 100, N, 1000])
@pytest.mark.parametrize(
    ("sparse", "penalty", "averaging"),
    [
        (False, NoPenalty(), NoAveraging()),
        (False, L1(0.01), Polyak(5)),
        (True, ElasticNet(0.02, 0.3), NoAveraging()),
        (True, L1(0.01), Polyak(5)),
    ],
)
def test_rows_weights_and_ragged_ends_come_to_the_weights_of_one_process(
    sparse, penalty, averaging, batch_size
):
    """Dense or sparse, whatever the batch, the penalty and the averaging, with weights and a short last batch."""
    rows = rows_for(sparse=sparse)
    descent = DescentEngine(
        SQUARED, OPTIMIZERS["momentum"](), Cosine(0.02, 2, 500), batch_size, penalty, averaging
    )
    alone = weights_of(on_ranks(1, lambda processes: descended(descent, rows, processes)))
    together = weights_of(on_ranks(3, lambda processes: descended(descent, rows, processes)))
    np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", ["log_loss", "huber", "multinomial", "poisson"])
def test_float32_comes_to_the_weights_of_one_process_within_1e_5(loss):
    """In the precision of files, losses of several kinds come to the same weights to 1e-5 of their size."""
    kind = LOSSES[loss]
    rows = rows_for(dtype=np.float32)
    outputs = 3 if loss == "multinomial" else 1
    y = {"log_loss": np.sign(rows.y), "multinomial": np.digitize(rows.y, [-1, 1]), "poisson": np.abs(rows.y)}
    rows = rows._replace(y=y.get(loss, rows.y).astype(np.float32))
    descent = DescentEngine(kind(), OPTIMIZERS["adam"](), Constant(0.01), 32, L2(0.01))

    def on(processes):
        engine = joining(ArraySource(rows), outputs, processes)(descent)
        run = Run(
            engine, ArraySource(rows), Order(0), engine.start(5, outputs, np.float32), 5, processes=processes
        )
        return run, train(run)

    alone, together = weights_of(on_ranks(1, on)), weights_of(on_ranks(2, on))
    assert np.abs(together - alone).max() < 1e-5 * np.abs(alone).max()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_ranks_without_rows_take_part(n):
    """With fewer rows than processes, some of which have none, all go on and come to the same."""
    rows = rows_for(n)
    descent = DescentEngine(SQUARED, OPTIMIZERS["adam"](), Constant(0.05), 2)
    alone = weights_of(on_ranks(1, lambda processes: descended(descent, rows, processes)))
    together = weights_of(on_ranks(3, lambda processes: descended(descent, rows, processes)))
    np.testing.assert_allclose(together, alone, rtol=1e-9)
    results = on_ranks(3, lambda processes: descended(descent, rows, processes, every=2))
    assert np.isfinite(weights_of(results)).all()
    assert {run.state.rows for run, _ in results} == {3 * n}


def test_history_and_clock_are_those_of_one_process():
    """Losses, rows and updates are counted over all processes, and are the same on each."""
    descent = DescentEngine(SQUARED, OPTIMIZERS["sgd"](), Constant(0.02), 32)
    ((alone, _),) = on_ranks(1, lambda processes: descended(descent, rows_for(), processes))
    for run, stop in on_ranks(2, lambda processes: descended(descent, rows_for(), processes)):
        assert stop.reason == "epochs"
        for there, here in zip(alone.state.history, run.state.history, strict=True):
            for name in ("epoch", "rows", "updates", "learning_rate"):
                assert here[name] == there[name]
            for name in ("loss", "objective", "gradient_norm"):
                assert here[name] == pytest.approx(there[name], rel=1e-9)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_averaging_over_one_process_is_descent(sparse, optimizer):
    """With one process, the mean of the weights is the weights."""
    rows = rows_for(sparse=sparse)
    descent = DescentEngine(SQUARED, OPTIMIZERS[optimizer](), Constant(0.02), 8, L2(0.01))
    ((alone, _),) = on_ranks(1, lambda processes: descended(descent, rows, processes))
    ((mean, _),) = on_ranks(1, lambda processes: descended(descent, rows, processes, every=3))
    np.testing.assert_allclose(mean.weights, alone.weights, rtol=1e-9)
    assert mean.state.updates == alone.state.updates
    assert mean.state.history[-1]["loss"] == pytest.approx(alone.state.history[-1]["loss"])


def test_averaged_weights_are_the_mean_by_rows():
    """After a turn, the weights are the mean of those that each process came to alone, each counting by its rows."""
    rows = rows_for(11)
    descent = DescentEngine(SQUARED, OPTIMIZERS["sgd"](), Constant(0.02), 4)
    results = on_ranks(2, lambda processes: descended(descent, rows, processes, every=100, epochs=1))
    parts = []
    for rank in range(2):
        numbers = np.arange(11, dtype=np.uint64)[rank::2]
        state = descent.start(5, 1, np.float64)
        train(Run(descent, ArraySource(rows, subset=numbers), Order(3), state, 1))
        parts.append(len(numbers) * state.memory.weights)
    np.testing.assert_allclose(weights_of(results), sum(parts) / 11, rtol=1e-12)


@pytest.mark.parametrize("every", [2, 5, 1000])
@pytest.mark.parametrize("sparse", [False, True])
def test_averaging_is_the_same_every_time_and_visits_each_row_once(every, sparse):
    """Repeated, averaged descent gives the same bits; an epoch visits every row once."""
    rows = rows_for(sparse=sparse)
    descent = DescentEngine(SQUARED, OPTIMIZERS["adam"](), Constant(0.02), 4, L2(0.01))
    first, again = (
        on_ranks(3, lambda processes: descended(descent, rows, processes, every=every)) for _ in range(2)
    )
    np.testing.assert_array_equal(weights_of(first), weights_of(again))
    assert [run.state.rows for run, _ in first] == [3 * N] * 3
    assert first[0][0].state.updates == 3 * -(-68 // 4)


@pytest.mark.parametrize("every", [1, 3])
def test_a_state_saved_between_two_blocks_leads_to_the_same_bits(tmp_path, every):
    """What the first process saves is all that is needed: all go on from it as if never stopped."""
    descent = DescentEngine(SQUARED, OPTIMIZERS["adam"](), Constant(0.02), 4, L2(0.01))
    whole = weights_of(on_ranks(2, lambda processes: descended(descent, rows_for(), processes, every)))

    class Halt(Monitor):
        def after_block(self, run):
            if run.state.epoch == 1:
                if run.processes.rank == 0:
                    run.state.save(tmp_path / "state")
                return Stop("halted", "a test wants it")
            return None

    on_ranks(2, lambda processes: descended(descent, rows_for(), processes, every, monitors=[Halt()]))

    def resumed(processes):
        state = State.load(tmp_path / "state")
        assert 0 < state.rows < 3 * N
        return descended(descent, rows_for(), processes, every, state=state)

    np.testing.assert_array_equal(weights_of(on_ranks(2, resumed)), whole)


class OnlyOn(Monitor):
    """Says stop on one rank, after some blocks."""

    def __init__(self, rank):
        self.rank = rank

    def after_block(self, run):
        return Stop("wanted", "one of them wants it") if run.processes.rank == self.rank else None


@pytest.mark.parametrize("every", [1, 5])
def test_what_one_process_wants_all_do(every):
    """A stop on one process, of whatever monitor, ends the run on all at the same place, for the same reason."""
    descent = DescentEngine(SQUARED, OPTIMIZERS["sgd"](), Constant(0.02), 4)
    for monitors in ([OnlyOn(1)], [TimeLimit(1e-9)]):
        results = on_ranks(
            3, lambda processes, m=monitors: descended(descent, rows_for(), processes, every, 1000, m)
        )
        weights_of(results)
        assert len({stop for _, stop in results}) == 1
        assert len({(run.state.epoch, run.state.position) for run, _ in results}) == 1


@pytest.mark.parametrize("every", [1, 4])
def test_max_updates_ends_at_the_same_update(every):
    """Updates can be counted out on many processes, too."""
    descent = DescentEngine(SQUARED, OPTIMIZERS["sgd"](), Constant(0.02), 4)
    results = on_ranks(
        2, lambda processes: descended(descent, rows_for(), processes, every, 100, max_updates=30)
    )
    weights_of(results)
    assert {run.state.updates for run, _ in results} == {30}


@pytest.mark.parametrize("every", [1, 4])
def test_a_number_that_is_none_is_every_processs_error(every):
    """NaN in the rows of one process: all raise the error that names it."""
    rows = rows_for()
    rows.X[77, 2] = np.nan
    descent = DescentEngine(SQUARED, OPTIMIZERS["sgd"](), Constant(0.02), 4)
    results = on_ranks(3, lambda processes: descended(descent, rows, processes, every))
    assert {type(error) for error in results} == {NonFiniteError}
    assert {str(error) for error in results if "row 77, column 2" in str(error)} == {str(results[0])}


@pytest.mark.parametrize("every", [1, 4])
def test_divergence_is_every_processs_error(every):
    """A rate that is too high raises the same error on all."""
    descent = DescentEngine(SQUARED, OPTIMIZERS["sgd"](), Constant(50.0), 4)
    results = on_ranks(3, lambda processes: descended(descent, rows_for(), processes, every, 50))
    assert {type(error) for error in results} == {DivergenceError}
    assert len({str(error) for error in results}) == 1


def test_fixed_weights_are_measured_over_all():
    """The mean loss over shared rows is that over all of them."""
    rows, weights = rows_for(), np.full((1, 6), 0.3)
    descent = DescentEngine(SQUARED, OPTIMIZERS["sgd"](), Constant(0.02), 4)
    wanted = descent.measure(ArraySource(rows), weights)
    for found in on_ranks(
        3, lambda processes: Averaging(descent, processes, 4).measure(own_part(rows, processes), weights)
    ):
        assert found == pytest.approx(wanted, rel=1e-12)
    for found in on_ranks(
        2, lambda processes: Synchronous(descent, processes).measure(ArraySource(rows), weights)
    ):
        assert found == wanted
