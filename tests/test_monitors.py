"""What monitors see, say and remember."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest
from numba.core.event import trigger_event

from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.descent import DescentEngine
from fallline.loop import train
from fallline.monitors.base import Monitor, Run
from fallline.monitors.interrupt import Interrupt
from fallline.monitors.keep_best import KeepBest
from fallline.monitors.long_epochs import LongEpochs
from fallline.monitors.no_improvement import NoImprovement
from fallline.monitors.progress import Progress
from fallline.monitors.time_limit import TimeLimit
from fallline.monitors.validation import Validation
from fallline.objective.losses.squared_error import SquaredError
from fallline.objective.penalties import L2
from fallline.optim.optimizers.sgd import SGD
from fallline.optim.schedules.constant import Constant
from reference import data_for

X, Y = data_for("squared_error", n=200)


def run_for(epochs=5, rate=0.1, batch_size=8, source=None, **settings):
    engine = DescentEngine(SquaredError(), SGD(), Constant(rate), batch_size, **settings)
    return Run(engine, source or ArraySource(as_rows(X, Y)), Order(0), engine.start(5, 1, X.dtype), epochs)


class At(Monitor):
    """Does something after a given epoch."""

    def __init__(self, epoch, action):
        self.epoch, self.action = epoch, action

    def after_epoch(self, run):
        if run.state.epoch == self.epoch:
            self.action()


def test_history_counts_rows_updates_and_the_objective():
    """Each epoch's record counts what was done and states loss plus penalty."""
    run = run_for(epochs=3, penalty=L2(0.5))
    stop = train(run)
    assert stop.reason == "epochs"
    assert [(r["epoch"], r["rows"], r["updates"]) for r in run.state.history] == [
        (1, 200, 25),
        (2, 400, 50),
        (3, 600, 75),
    ]
    last = run.state.history[-1]
    w = run.weights[0, :-1]
    assert last["objective"] - last["loss"] == pytest.approx(0.25 * w @ w)
    assert last["learning_rate"] == 0.1
    assert last["gradient_norm"] > 0


def test_loss_is_the_mean_over_rows_as_met():
    """The training loss of an epoch at rate (almost) zero is the loss at the starting weights."""
    run = run_for(epochs=1, rate=1e-300)
    train(run)
    assert run.record["loss"] == pytest.approx(np.mean(Y**2) / 2)


def test_gradient_norm_is_that_of_the_last_update():
    """With the full batch the recorded norm is the norm of the full gradient, intercept included."""
    run = run_for(epochs=1, batch_size=200)
    train(run)
    gradient = np.append(X.T @ -Y, -Y.sum()) / 200
    assert run.record["gradient_norm"] == pytest.approx(np.linalg.norm(gradient))


def test_long_epochs_are_recorded_within():
    """Within an epoch a record is added whenever so many rows were visited, but not next to the epoch's own."""
    run = run_for(epochs=2)
    run.block_rows = lambda: 10
    train(run, [LongEpochs(rows=60)])
    assert [(r["epoch"], r["rows"]) for r in run.state.history] == [
        (0, 60),
        (0, 120),
        (1, 200),
        (1, 260),
        (1, 320),
        (2, 400),
    ]


def test_validation_measures_other_rows():
    """Validation loss is the mean loss of the held-out rows at the weights of the epoch's end."""
    training, held_out = np.arange(150, dtype=np.uint64), np.arange(150, 200, dtype=np.uint64)
    run = run_for(source=ArraySource(as_rows(X, Y), subset=training))
    train(run, [Validation(ArraySource(as_rows(X, Y), subset=held_out), score=lambda weights: 42.0)])
    error = X[150:] @ run.weights[0, :-1] + run.weights[0, -1] - Y[150:]
    assert run.record["validation_loss"] == pytest.approx(np.mean(error**2) / 2)
    assert run.record["validation_score"] == 42.0
    assert run.record["rows"] == 5 * 150


def test_no_improvement_stops_after_its_patience():
    """With batch descent at its optimum, training stops exactly `epochs` epochs after the last improvement."""
    run = run_for(epochs=1000, batch_size=200)
    stop = train(run, [NoImprovement("objective", 1e-3, 4)])
    assert stop.reason == "converged"
    assert "objective improved by less than 0.001 in each of 4 epochs" in stop.message
    objective = [r["objective"] for r in run.state.history]
    best = np.minimum.accumulate(objective)
    improved = [k for k in range(1, len(best)) if objective[k] <= best[k - 1] - 1e-3]
    assert len(objective) - 1 - improved[-1] == 4


def test_scores_are_to_rise():
    """A quantity that ends in "score" improves when it rises."""
    scores = iter([0.1, 0.2, 0.3, 0.3, 0.3])
    run = run_for(epochs=100)
    validation = Validation(ArraySource(as_rows(X, Y)), score=lambda weights: next(scores))
    stop = train(run, [validation, NoImprovement("validation_score", 0.01, 2), KeepBest("validation_score")])
    assert (stop.reason, run.state.epoch) == ("early_stopping", 5)
    again = run_for(epochs=3)
    train(again)
    np.testing.assert_array_equal(run.state.best, again.weights)


def test_adaptive_lowers_the_rate_before_it_stops():
    """With lower_rate the rate is divided by 5 whenever nothing improves, until it is below 1e-6."""
    run = run_for(epochs=10_000)
    stop = train(run, [NoImprovement("objective", 1e-4, 2, lower_rate=True)])
    assert stop.reason == "converged"
    rates = list(dict.fromkeys(r["learning_rate"] for r in run.state.history))
    np.testing.assert_allclose(rates, 0.1 / 5.0 ** np.arange(len(rates)))
    assert rates[-1] <= 1e-6 < rates[-2]


def test_time_limit_ends_the_run():
    """A run without an end stops soon after its time limit."""
    began = time.perf_counter()
    stop = train(run_for(epochs=10**9), [TimeLimit(0.2)])
    assert stop.reason == "time_limit"
    assert 0.2 <= time.perf_counter() - began < 5


def test_time_limit_does_not_count_compiling():
    """A first fit has its time for training, whatever is compiled before and between."""

    def compile_():
        with trigger_event("numba:compile"):
            time.sleep(0.4)

    began = time.perf_counter()
    assert train(run_for(epochs=10**9), [At(1, compile_), TimeLimit(0.2)]).reason == "time_limit"
    assert time.perf_counter() - began >= 0.6


def test_time_limit_holds_for_all_attempts():
    """Training that begins anew has what is left of the time."""
    limit = TimeLimit(0.2)
    train(run_for(epochs=10**9), [limit])
    again = run_for(epochs=10**9)
    assert train(again, [limit]).reason == "time_limit"
    assert again.state.epoch <= 1


def test_ctrl_c_ends_the_run_cleanly():
    """The first Ctrl-C ends training with a reason; afterwards Ctrl-C works as before."""
    run = run_for(epochs=10**9)
    stop = train(run, [At(3, lambda: signal.raise_signal(signal.SIGINT)), Interrupt()])
    assert stop.reason == "interrupted"
    assert run.state.epoch in (3, 4)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_second_ctrl_c_interrupts_at_once():
    """Whoever presses Ctrl-C twice gets a KeyboardInterrupt."""

    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(run_for(epochs=10**9), [At(1, twice), Interrupt()])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_interrupt_does_nothing_in_other_threads():
    """Training in a thread works: signals are left alone there."""
    stops = []
    thread = threading.Thread(target=lambda: stops.append(train(run_for(epochs=2), [Interrupt()])))
    thread.start()
    thread.join()
    assert stops[0].reason == "epochs"


def test_progress_is_silent_off_a_terminal_and_speaks_when_asked(capsys):
    """Without a terminal nothing is shown, unless asked for; then the end is told with its reason."""
    train(run_for(), [Progress()])
    assert capsys.readouterr() == ("", "")
    train(run_for(), [Progress(show=True)])
    shown = " ".join(capsys.readouterr().err.split())
    assert "5 epochs, 125 updates in" in shown
    assert "rows/s" in shown
    assert "Training stopped because all epochs asked for were made." in shown


def test_monitors_are_told_the_end():
    """Every monitor hears why the run ended."""
    heard = []

    class Listener(Monitor):
        def finish(self, run, stop):
            heard.append(stop.reason)

    train(run_for(), [Listener(), Listener()])
    assert heard == ["epochs", "epochs"]
