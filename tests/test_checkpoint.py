"""Checkpoints: training that was ended by anything goes on to the same bits."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

import fallline
import fallline.tuning.training
from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.descent import DescentEngine
from fallline.engines.newton import NewtonEngine
from fallline.engines.saga import SagaEngine
from fallline.errors import ParameterError, StateError
from fallline.loop import train
from fallline.monitors.base import Monitor, Run
from fallline.monitors.checkpoint import Checkpoint, gone_on_from, mark_of
from fallline.monitors.keep_best import KeepBest
from fallline.monitors.no_improvement import NoImprovement
from fallline.objective.losses import LOSSES
from fallline.objective.penalties import L2
from fallline.optim.optimizers import OPTIMIZERS
from fallline.optim.schedules.constant import Constant
from fallline.state import State, Stop
from fallline.tuning import Found

N = 500
LOG_LOSS, ALPHA = LOSSES["log_loss"](), 1 / N
ENGINES = {
    "descent": DescentEngine(LOG_LOSS, OPTIMIZERS["adam"](), Constant(0.01), 7, L2(ALPHA)),
    "newton": NewtonEngine(LOG_LOSS, L2(ALPHA), N),
    "saga": SagaEngine(LOG_LOSS, L2(ALPHA), N),
}


def people(n):
    """A table of numbers, categories and missing values."""
    generator = np.random.default_rng(0)
    age, job = generator.integers(18, 80, n).astype(float), generator.choice(list("abcd"), n)
    rich = age / 40 + (job == "a") + generator.standard_normal(n) > 2
    age[::17] = np.nan
    return pd.DataFrame(
        {"age": age, "job": job, "hours": generator.random(n), "income": np.where(rich, "high", "low")}
    )


class KilledError(Exception):
    """What ends a run in these tests as kill -9 would: nobody is asked."""


class Kill(Monitor):
    """Ends a run at its n-th block."""

    def __init__(self, blocks):
        self.left = blocks

    def after_block(self, run):
        self.left -= 1
        if self.left < 0:
            raise KilledError


class SmallBlocks(ArraySource):
    """Rows in blocks of at most 37, so that a run has many places to end at."""

    def blocks(self, order, epoch, position, size):
        return super().blocks(order, epoch, position, lambda: min(size(), 37))


def source_of(sparse=False):
    generator = np.random.default_rng(0)
    X = generator.standard_normal((N, 6)) * (generator.random((N, 6)) < 0.5)
    y = np.where(X[:, :1] + generator.standard_normal((N, 1)) > 0, 1.0, -1.0)
    return SmallBlocks(as_rows(csr_array(X) if sparse else X, y))


def run_of(engine, sparse=False, epochs=4):
    return Run(engine, source_of(sparse), Order(5), engine.start(6, 1, np.float64), epochs)


def gone_on(engine, path, sparse, kills):
    """The state of a run that is ended at each of some blocks, and goes on from its checkpoint in between."""
    for blocks in kills:
        run = run_of(engine, sparse)
        saved = gone_on_from(path, {"a": "1"})
        if saved is not None:
            run.state, run.ended = saved
        try:
            train(run, [KeepBest("objective"), Checkpoint(path, {"a": "1"}, seconds=0), Kill(blocks)])
        except KilledError:
            continue
        return run.state
    raise AssertionError("It did not come to an end.")


def without_seconds(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", ENGINES)
def test_killed_anywhere_and_gone_on_it_comes_to_the_same_bits(tmp_path, name, sparse):
    """Every solver, dense and sparse: a run that is killed again and again ends with the bits of one that was not."""
    engine = ENGINES[name]
    whole = run_of(engine, sparse)
    train(whole, [KeepBest("objective")])
    state = gone_on(engine, tmp_path / "state", sparse, [0, 3, 1, 12, 7, math.inf])
    np.testing.assert_array_equal(engine.weights(state), engine.weights(whole.state))
    np.testing.assert_array_equal(state.best, whole.state.best)
    assert without_seconds(state.history) == without_seconds(whole.state.history)


def test_a_stop_is_not_missed_by_one_killed_after_it(tmp_path):
    """A run that would have stopped early does so too if it is killed before it could write that."""
    engine = ENGINES["descent"]

    def monitors():
        return [NoImprovement("objective", 0.5, 1)]

    whole = run_of(engine, epochs=50)
    train(whole, monitors())
    assert 1 < whole.state.epoch < 50

    class KilledAtTheEnd(Monitor):
        def finish(self, run, stop):
            raise KilledError

    path = tmp_path / "state"
    with pytest.raises(KilledError):
        train(run_of(engine, epochs=50), [*monitors(), KilledAtTheEnd(), Checkpoint(path, {}, seconds=0)])
    run = run_of(engine, epochs=50)
    run.state, run.ended = gone_on_from(path, {})
    assert run.ended is None
    assert train(run, monitors()).reason == "converged"
    assert without_seconds(run.state.history) == without_seconds(whole.state.history)


def test_a_run_that_has_ended_is_not_made_twice(tmp_path):
    """From the checkpoint of a run that has come to its end, training ends at once, for the same reason."""
    engine, path = ENGINES["newton"], tmp_path / "state"
    first = run_of(engine, epochs=100)
    stop = train(first, [Checkpoint(path, {})])
    assert stop.reason == "converged"
    again = run_of(engine, epochs=100)
    again.state, again.ended = gone_on_from(path, {})
    assert train(again) == stop
    assert again.state.rows == first.state.rows


@pytest.mark.parametrize("reason", ["interrupted", "time_limit"])
def test_a_run_that_was_cut_short_goes_on(tmp_path, reason):
    """After Ctrl-C or a time limit, there is no end to keep to."""
    engine, path = ENGINES["descent"], tmp_path / "state"

    class Cut(Monitor):
        def after_block(self, run):
            return Stop(reason, "a test wants it") if run.state.epoch == 1 else None

    train(run_of(engine), [Cut(), Checkpoint(path, {})])
    state, ended = gone_on_from(path, {})
    assert ended is None
    assert state.epoch == 1


class Clock(Monitor):
    """A clock by which every block takes a second and every state written takes `writing`."""

    def __init__(self, monkeypatch, writing):
        self.now, self.writing, self.written = 0.0, writing, []
        monkeypatch.setattr("fallline.monitors.checkpoint.time.monotonic", lambda: self.now)
        monkeypatch.setattr(State, "save", lambda state, path: self.save(state))

    def after_block(self, run):
        self.now += 1

    def save(self, state):
        self.written.append((self.now, state.rows))
        self.now += self.writing


@pytest.mark.parametrize(
    ("seconds", "writing", "times"),
    [
        (3600, 0, [14, 28, 42, 56, 56]),  # at the end of each epoch, of 14 blocks, and at the end of training
        (5, 0, [5, 10, 14, 19, 24, 28, 33, 38, 42, 47, 52, 56, 56]),
        (0, 0.25, [1, 6.25, 11.5, 16.75, 22, 27.25, 32.5, 37.75, 43, 48.25, 53.5, 58.75, 59]),
        (0, 10, [1, 66]),  # as a twentieth of the time goes into writing
    ],
)
def test_it_is_written_every_so_often_and_at_the_ends(tmp_path, monkeypatch, seconds, writing, times):
    """Within epochs when its time has come, between them every second, at the end always; never most of the time."""
    clock = Clock(monkeypatch, writing)
    train(run_of(ENGINES["descent"]), [clock, Checkpoint(tmp_path / "state", {}, seconds)])
    assert [now for now, _ in clock.written] == times
    assert clock.written[-1][1] == 4 * N


def test_marks_that_differ_are_named(tmp_path):
    """Another setting or other data: the error says which, what is there and what is here."""
    path = tmp_path / "state"
    train(run_of(ENGINES["descent"]), [Checkpoint(path, {"rate": "0.1", "seed": "0"})])
    with pytest.raises(StateError, match="its seed is 0, but here it is 1"):
        gone_on_from(path, {"rate": "0.1", "seed": "1"})
    with pytest.raises(StateError, match="its loss is not there, but here it is x"):
        gone_on_from(path, {"rate": "0.1", "seed": "0", "loss": "x"})
    assert gone_on_from(tmp_path / "other", {}) is None


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    """Damaged files, others, and states that are no checkpoints are errors."""
    path = tmp_path / "state"
    run_of(ENGINES["descent"]).state.save(path)
    with pytest.raises(StateError, match="not a checkpoint"):
        gone_on_from(path, {})
    path.write_bytes(b"something else")
    with pytest.raises(StateError, match="damaged or another kind"):
        gone_on_from(path, {})


def test_marks_of_settings_are_the_same_in_every_process():
    """A setting is told by its value, or by its name where it is code; never by where it lies in memory."""
    assert mark_of(0.5) == "0.5"
    assert mark_of(("a", 1)) == "['a', 1]"
    assert mark_of(L2(0.5)) == "L2(alpha=0.5)"
    assert mark_of(np.mean) == "numpy:mean"


SETTINGS = {"target": "income", "seed": 3, "cache": False}
WAYS = {
    "everything found": {"solver": "descent", "epochs": 8, "validation": 0.2},
    "newton": {"solver": "newton"},
    "saga": {"solver": "saga"},
    "diverging": {"optimizer": "sgd", "penalty": "none", "epochs": 3, "loss": "squared_hinge"},
}


@pytest.mark.parametrize("way", WAYS)
def test_training_goes_on_from_a_checkpoint(tmp_path, monkeypatch, way):
    """`fallline.train` killed in the middle, and called again with the same arguments: the model of a run that was not."""
    table, path, given = people(3000), tmp_path / "state", {**SETTINGS, **WAYS[way]}
    if way == "diverging":
        found = Found(64.0, "a test says so", 1.0, 0, ())
        monkeypatch.setattr(fallline.tuning.training, "probe_rate", lambda *given, **more: found)
    whole = fallline.train(table, **given)
    usual = Checkpoint.__init__
    monkeypatch.setattr(Checkpoint, "__init__", lambda self, *rest: usual(self, *rest, seconds=0))
    killed = 0
    write = Checkpoint._write

    def write_and_die(self, run, stop=None):
        nonlocal killed
        write(self, run, stop)
        killed += 1
        if killed in (1, 4, 5) and stop is None:
            raise KilledError

    monkeypatch.setattr(Checkpoint, "_write", write_and_die)
    for _ in range(10):
        try:
            model = fallline.train(table, **given, checkpoint=path)
            break
        except KilledError:
            continue
    assert killed > 2
    if way == "diverging":
        assert model.summary["training"]["found"]["learning_rate"]["restarts"]
    np.testing.assert_array_equal(model.scorer.weights, whole.scorer.weights)
    assert model.summary["stop"] == whole.summary["stop"]
    assert model.summary["training"]["updates"] == whole.summary["training"]["updates"]
    again = fallline.train(table, **given, checkpoint=path)
    np.testing.assert_array_equal(again.scorer.weights, whole.scorer.weights)
    with pytest.raises(StateError, match="seed is 3, but here it is 4"):
        fallline.train(table, **{**given, "seed": 4}, checkpoint=path)
    with pytest.raises(StateError, match="data and encoding"):
        fallline.train(people(2999), **given, checkpoint=path)


def test_a_checkpoint_that_cannot_be_written_is_an_error_at_once(tmp_path):
    """A folder that is not there is said before any work is done."""
    with pytest.raises(ParameterError, match="There is no folder"):
        fallline.train(people(50), "income", checkpoint=tmp_path / "nowhere" / "state")


def test_a_checkpoint_is_no_pickle(tmp_path):
    """The file is safetensors and JSON: nothing in it is code."""
    path = tmp_path / "state"
    train(run_of(ENGINES["descent"]), [Checkpoint(path, {"a": "1"})])
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"]["memory"] == "descent"
