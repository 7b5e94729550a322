"""The textbook function against the textbook."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fallline import mini_batch_gradient_descent
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.base import IN_ORDER
from fallline.engines.descent import DescentEngine
from fallline.errors import DivergenceError, TargetError
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.objective.losses import LOSSES
from fallline.objective.losses.huber import Huber
from fallline.optim.optimizers import OPTIMIZERS
from fallline.optim.schedules.inverse_scaling import InverseScaling
from reference import DERIVATIVES, LAYOUTS, data_for, plain_descent

N = 53


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("block", [1, 5, 32, N])
def test_every_update_has_its_own_rate(block, layout, monkeypatch):
    """Wherever blocks end, under a rate that falls: also in batches larger than a block, and in the short last one."""
    X, y = data_for("squared_error", N)
    monkeypatch.setattr(DescentEngine, "block_rows", lambda *_: block)
    for batch_size in (1, 7, N, N + 1):
        schedule = InverseScaling(0.05, 0.5)
        engine = DescentEngine(LOSSES["squared_error"](), OPTIMIZERS["sgd"](), schedule, batch_size)
        state = engine.start(X.shape[1], 1, X.dtype)
        state.rate_factor = 0.5
        train(Run(engine, ArraySource(as_rows(LAYOUTS[layout](X), y)), IN_ORDER, state, epochs=3), [])
        expected, _ = plain_descent("squared_error", X, y, min(batch_size, N), lambda t: 0.025 / t**0.5, 3)
        np.testing.assert_allclose(state.memory.weights[0, :-1], expected[:, 0], rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSSES)
def test_agrees_with_the_plain_loop(loss, dtype):
    """For every loss and batch size, in order, the result is that of a float64 NumPy loop to the precision of the input."""
    X, y = data_for(loss, N)
    X, y = X.astype(dtype), y.astype(dtype)
    for batch_size in (1, 7, 32, N, N + 1):
        w, b = mini_batch_gradient_descent(X, y, batch_size, 0.01, 3, loss=loss, shuffle=False)
        expected_w, expected_b = plain_descent(loss, X, y, min(batch_size, N), 0.01, 3)
        tolerance = 1e-4 if dtype == np.float32 else 1e-10
        np.testing.assert_allclose(
            np.reshape(w, expected_w.shape), expected_w, rtol=tolerance, atol=tolerance
        )
        np.testing.assert_allclose(
            np.reshape(b, expected_b.shape), expected_b, rtol=tolerance, atol=tolerance
        )


def test_every_loss_has_a_reference():
    """A loss that joins the table is tested like the others or fails here."""
    assert set(DERIVATIVES) == set(LOSSES)


def test_shapes():
    """One target gives a vector and a float; several targets or classes give a column each."""
    X, y = data_for("squared_error")
    w, b = mini_batch_gradient_descent(X, y, num_epochs=1)
    assert w.shape == (5,)
    assert isinstance(b, float)
    w, b = mini_batch_gradient_descent(X, np.column_stack([y, -y]), num_epochs=1)
    assert w.shape == (5, 2)
    assert b.shape == (2,)
    np.testing.assert_allclose(w[:, 0], -w[:, 1])


def test_dtype_follows_the_input():
    """float32 data give float32 weights; integers and lists are computed in float64."""
    X, y = data_for("squared_error")
    assert mini_batch_gradient_descent(X.astype(np.float32), y, num_epochs=1)[0].dtype == np.float32
    assert mini_batch_gradient_descent(X.astype(np.float16), y, num_epochs=1)[0].dtype == np.float32
    assert mini_batch_gradient_descent(np.round(X).astype(int), y, num_epochs=1)[0].dtype == np.float64
    assert mini_batch_gradient_descent(X.tolist(), y.tolist(), num_epochs=1)[0].dtype == np.float64


def test_same_seed_same_bits_another_seed_others():
    """The seed decides the order, and so every bit of the result."""
    X, y = data_for("squared_error")
    first, again, other = (
        mini_batch_gradient_descent(X, y, 7, num_epochs=3, random_state=s)[0] for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_numpy_seed_is_used_when_none_is_given():
    """Without a random_state, NumPy's global generator decides, so numpy.random.seed makes runs repeatable."""
    X, y = data_for("squared_error")
    results = []
    for _ in range(2):
        np.random.seed(3)  # noqa: NPY002 (the global generator is what is tested)
        results.append(mini_batch_gradient_descent(X, y, 7, num_epochs=3)[0])
    np.testing.assert_array_equal(*results)


def test_any_two_labels_will_do():
    """Losses of margins take any two labels; the larger is the positive class."""
    X, y = data_for("log_loss")
    signs, names = (
        mini_batch_gradient_descent(X, labels, loss="log_loss", num_epochs=2, shuffle=False)[0]
        for labels in (y, np.where(y > 0, "yes", "no"))
    )
    np.testing.assert_array_equal(signs, names)


def test_a_loss_may_be_a_value():
    """A typed loss is taken with its parameters."""
    X, y = data_for("huber")
    narrow, wide = (
        mini_batch_gradient_descent(X, y, loss=Huber(e), num_epochs=2, shuffle=False)[0] for e in (0.1, 1e6)
    )
    squared = mini_batch_gradient_descent(X, y, num_epochs=2, shuffle=False)[0]
    np.testing.assert_allclose(wide, squared)
    assert (narrow != wide).any()


def test_arrays_of_all_layouts_give_the_same():
    """Read-only, column-major, strided and float-converted arrays change nothing, and the caller's array stays as it was."""
    X, y = data_for("squared_error")
    expected = mini_batch_gradient_descent(X, y, num_epochs=2, shuffle=False)[0]
    wide = np.zeros((N, 10))
    wide[:, ::2] = X
    frozen = X.copy()
    frozen.flags.writeable = False
    for layout in (frozen, np.asfortranarray(X), wide[:, ::2], X[::-1][::-1], X.astype(">f8")):
        before = layout.copy()
        np.testing.assert_array_equal(
            mini_batch_gradient_descent(layout, y, num_epochs=2, shuffle=False)[0], expected
        )
        np.testing.assert_array_equal(layout, before)


def test_divergence_says_where_and_what_to_do():
    """Too large a rate is an error that names update, rate and scale, not a vector of NaN."""
    X, y = data_for("squared_error")
    with pytest.raises(
        DivergenceError, match=r"by update \d+ .*learning rate of 100.*standard deviations.*Try"
    ):
        mini_batch_gradient_descent(1e3 * X, y, learning_rate=100.0)


def test_three_classes_need_a_loss_for_three():
    """A loss of margins does not guess what three classes mean."""
    X, y = data_for("multinomial")
    with pytest.raises(TargetError, match="takes two classes, but y holds 3"):
        mini_batch_gradient_descent(X, y, loss="log_loss")


_ENDLESS = """
import numpy as np, fallline
X = np.random.default_rng(0).standard_normal((50_000, 20))
fallline.mini_batch_gradient_descent(X, X[:, 0], num_epochs=1)
print("ready", flush=True)
fallline.mini_batch_gradient_descent(X, X[:, 0], num_epochs=10**9)
"""


@pytest.mark.parametrize("seconds", [0.1, 0.123, 0.15])
def test_ctrl_c_interrupts_the_function(seconds):
    """Ctrl-C while kernels run is an ordinary KeyboardInterrupt, wherever it comes."""
    with subprocess.Popen(
        [sys.executable, "-c", _ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1].decode()
    assert errors.strip().endswith("KeyboardInterrupt")
    assert process.returncode != -signal.SIGSEGV
