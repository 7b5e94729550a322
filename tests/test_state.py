"""Stopping, saving, loading and going on change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.descent import DescentEngine
from fallline.errors import StateError
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.monitors.keep_best import KeepBest
from fallline.monitors.no_improvement import NoImprovement
from fallline.objective.losses.log_loss import LogLoss
from fallline.objective.penalties import L2
from fallline.optim.averaging import Polyak
from fallline.optim.optimizers.adam import Adam
from fallline.optim.schedules.inverse_scaling import InverseScaling
from fallline.state import State
from reference import LAYOUTS, data_for

X, Y = data_for("log_loss", n=103)
ENGINE = DescentEngine(LogLoss(), Adam(), InverseScaling(0.1, 0.3), 8, L2(0.01), Polyak(5))


def go_on(state, layout, **limits):
    source = ArraySource(as_rows(LAYOUTS[layout](X), Y))
    monitors = [KeepBest("objective"), NoImprovement("objective", 1e-3, 2, lower_rate=True)]
    return train(Run(ENGINE, source, Order(7), state, epochs=6, **limits), monitors)


def everything(state):
    """All of a state except how long it took."""
    history = [{k: v for k, v in record.items() if k != "seconds"} for record in state.history]
    arrays = [*state.memory, state.best]
    scalars = (
        state.epoch,
        state.position,
        state.rows,
        state.rate_factor,
        state.loss_sum,
        state.notes,
        history,
    )
    return [a.tobytes() for a in arrays], scalars


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request):
    return request.param


@pytest.fixture(scope="module")
def uninterrupted(layout):
    state = ENGINE.start(5, 1, X.dtype)
    go_on(state, layout)
    return state


@pytest.mark.parametrize("update", [1, 12, 13, 14, 30, 77])
def test_resuming_at_any_update_gives_the_same_bits(update, layout, uninterrupted, tmp_path):
    """A run stopped at any update, saved, loaded and resumed ends in the very state of one that was never stopped."""
    state = ENGINE.start(5, 1, X.dtype)
    stop = go_on(state, layout, max_updates=update)
    assert (stop.reason, state.updates) == ("updates", update)
    state.save(tmp_path / "state")
    resumed = State.load(tmp_path / "state")
    go_on(resumed, layout)
    assert everything(resumed) == everything(uninterrupted)


def test_block_size_changes_no_bit(layout, uninterrupted, monkeypatch):
    """Blocks of any size, smaller than a batch too, give the same bits."""
    for rows in (1, 3, 8, 50):
        monkeypatch.setattr(DescentEngine, "block_rows", lambda *_, rows=rows: rows)
        state = ENGINE.start(5, 1, X.dtype)
        go_on(state, layout)
        assert everything(state) == everything(uninterrupted)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    """A state is written whole or not at all."""
    state = ENGINE.start(5, 1, X.dtype)
    state.save(tmp_path / "state")
    before = (tmp_path / "state").read_bytes()

    def disk_full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        state.save(tmp_path / "state")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert (tmp_path / "state").read_bytes() == before


def test_what_is_not_a_state_is_refused(tmp_path):
    """A missing, damaged or foreign file is an error that says so."""
    from safetensors.numpy import save_file

    with pytest.raises(StateError, match="no file"):
        State.load(tmp_path / "missing")
    state = ENGINE.start(5, 1, X.dtype)
    state.save(tmp_path / "state")
    (tmp_path / "cut").write_bytes((tmp_path / "state").read_bytes()[:-100])
    with pytest.raises(StateError, match="damaged"):
        State.load(tmp_path / "cut")
    save_file({"weights": np.zeros(3)}, tmp_path / "foreign")
    with pytest.raises(StateError, match="format None"):
        State.load(tmp_path / "foreign")
    save_file({"weights": np.zeros(3)}, tmp_path / "part", {"format": "fallline-state-6", "scalars": "{}"})
    with pytest.raises(StateError, match="not a whole state"):
        State.load(tmp_path / "part")


def test_a_state_of_another_run_is_refused():
    """A state is only gone on with by the engine and on the data that it belongs to."""
    state = ENGINE.start(5, 1, X.dtype)
    with pytest.raises(StateError, match="weights has shape"):
        train(Run(ENGINE, ArraySource(as_rows(X[:, :4].copy(), Y)), Order(7), state, 1))


def test_a_damaged_state_is_refused(tmp_path):
    """Wherever a bit of a saved state flips, loading says that it is damaged; nothing goes on from wrong numbers."""
    path = tmp_path / "run.state"
    ENGINE.start(2, 1, np.float64).save(path)
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, 8 * len(whole), 300):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with pytest.raises(StateError):
            State.load(path)
