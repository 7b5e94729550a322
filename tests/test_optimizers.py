"""Updates agree with torch.optim's; every optimizer works with every loss."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pytest

from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.descent import DescentEngine
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.objective.losses import LOSSES
from fallline.objective.penalties import L1, L2, ElasticNet
from fallline.optim.averaging import Polyak
from fallline.optim.optimizers import OPTIMIZERS
from fallline.optim.schedules.constant import Constant
from reference import data_for, with_zeros


def engine_for(loss="squared_error", optimizer="sgd", rate=0.01, batch_size=8, **settings):
    return DescentEngine(LOSSES[loss](), OPTIMIZERS[optimizer](), Constant(rate), batch_size, **settings)


def trained(engine, X, y, epochs=1, shuffle=True, **limits):
    outputs = len(np.unique(y)) if isinstance(engine.loss, LOSSES["multinomial"]) else 1
    state = engine.start(X.shape[1], outputs, X.dtype)
    train(Run(engine, ArraySource(as_rows(X, y)), Order(0, shuffle), state, epochs, **limits))
    return state


def torch_optimizer(torch, name, parameters, decay):
    settings = {"lr": 0.01, "weight_decay": decay}
    return {
        "sgd": lambda: torch.optim.SGD(parameters, **settings),
        "momentum": lambda: torch.optim.SGD(parameters, momentum=0.9, **settings),
        "nesterov": lambda: torch.optim.SGD(parameters, momentum=0.9, nesterov=True, **settings),
        "adagrad": lambda: torch.optim.Adagrad(parameters, **settings),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, **settings),
        "adam": lambda: torch.optim.Adam(parameters, **settings),
        "adamw": lambda: torch.optim.AdamW(parameters, **settings),
    }[name]()


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_agree_with_torch(name, decay):
    """After 100 updates on the same batches the weights are those of torch.optim, to 1e-5."""
    torch = pytest.importorskip(
        "torch", reason="agreement with torch.optim is tested where torch is installed"
    )
    X, y = data_for("squared_error", n=80)
    state = trained(engine_for(optimizer=name, penalty=L2(decay)), X, y, epochs=10, shuffle=False)
    assert state.updates == 100
    w = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    b = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    groups = [{"params": [w]}, {"params": [b], "weight_decay": 0.0}]
    optimizer = torch_optimizer(torch, name, groups, decay)
    for step in range(100):
        rows = slice(8 * (step % 10), 8 * (step % 10) + 8)
        optimizer.zero_grad()
        error = torch.tensor(X[rows]) @ w + b - torch.tensor(y[rows])
        (0.5 * error**2).mean().backward()
        optimizer.step()
    expected = np.append(w.detach().numpy(), b.detach().numpy())
    np.testing.assert_allclose(state.memory.weights[0], expected, rtol=1e-5, atol=1e-9)


# Kernels know an optimizer and a loss by their verbs only, so that not all pairs have to be compiled.
PAIRS = [(loss, "sgd") for loss in LOSSES] + list(zip(LOSSES, cycle(list(OPTIMIZERS)[1:]), strict=False))


@pytest.mark.parametrize(("loss", "optimizer"), PAIRS)
def test_optimizers_lower_losses(loss, optimizer):
    """Each loss is lowered by two optimizers, and each optimizer lowers some losses. Sparse rows have tests of their own."""
    X, y = data_for(loss)
    X = with_zeros(X)
    engine = engine_for(loss, optimizer, penalty=L2(1e-3))
    state = trained(engine, X, y, epochs=20)
    source = ArraySource(as_rows(X, y))
    start = engine.measure(source, np.full_like(state.memory.weights, 0.01))
    assert engine.measure(source, state.memory.weights) + engine.penalise(state.memory.weights) < start


@pytest.mark.parametrize("penalty", [L1(0.2), ElasticNet(0.3, 0.7)])
def test_l1_gives_exact_zeros_at_the_optimum(penalty):
    """Batch descent with L1 ends where the optimality conditions of the lasso hold, with exact zeros."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((200, 10))
    y = 3 * X[:, 0] - 2 * X[:, 1] + 0.1 * generator.standard_normal(200)
    state = trained(engine_for(rate=0.1, batch_size=200, penalty=penalty), X, y, epochs=500)
    w, b = state.memory.weights[0, :-1], state.memory.weights[0, -1]
    assert np.count_nonzero(w) == 2
    l1 = penalty.alpha * getattr(penalty, "l1_ratio", 1.0)
    l2 = penalty.alpha - l1
    gradient = X.T @ (X @ w + b - y) / 200 + l2 * w
    np.testing.assert_allclose(gradient[:2], -l1 * np.sign(w[:2]), atol=1e-9)
    assert (abs(gradient[2:]) <= l1).all()


@pytest.mark.parametrize("optimizer", ["adagrad", "rmsprop", "adam", "adamw"])
def test_l1_gives_exact_zeros_with_a_rate_a_coordinate(optimizer):
    """The proximal step uses each coordinate's own rate, so adaptive optimizers give exact zeros too."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((200, 10))
    state = trained(
        engine_for(optimizer=optimizer, rate=0.05, batch_size=200, penalty=L1(0.2)),
        X,
        3 * X[:, 0],
        epochs=500,
    )
    assert np.count_nonzero(state.memory.weights[0, :-1]) == 1


def test_full_batch_is_the_closed_form_step():
    """One update on the full batch is w - rate * X'(Xw - y)/n, to 1e-10."""
    X, y = data_for("squared_error", n=1000)
    state = trained(engine_for(rate=0.1, batch_size=1000), X, y, epochs=2)
    rows = np.column_stack([X, np.ones(1000)])
    w = np.zeros(6)
    for _ in range(2):
        w = w - 0.1 * rows.T @ (rows @ w - y) / 1000
    np.testing.assert_allclose(state.memory.weights[0], w, rtol=1e-10)


def test_float32_sums_over_huge_batches_do_not_stall():
    """A million equal rows have the gradient of one, to a few float32 units."""
    X = np.ones((2**20, 1), np.float32)
    y = np.full(2**20, 0.1, np.float32)
    state = trained(engine_for(rate=1.0, batch_size=2**20, fit_intercept=False), X, y, shuffle=False)
    assert state.memory.weights[0, 0] == pytest.approx(0.1, rel=4e-6)


def test_without_an_intercept_it_stays_at_zero():
    """fit_intercept=False leaves the intercept alone and the other weights unaffected by it."""
    X, y = data_for("squared_error")
    assert trained(engine_for(fit_intercept=False), X, y + 5).memory.weights[0, -1] == 0


def test_average_is_the_mean_of_the_iterates():
    """Averaged weights are the mean over the updates from the chosen one on."""
    X, y = data_for("squared_error", n=40)
    iterates = [trained(engine_for(), X, y, epochs=2, max_updates=k).memory.weights for k in range(1, 11)]
    engine = engine_for(averaging=Polyak(4))
    np.testing.assert_allclose(
        engine.weights(trained(engine, X, y, epochs=2)), np.mean(iterates[3:], axis=0), rtol=1e-12
    )
    early = trained(engine, X, y, epochs=2, max_updates=2)
    np.testing.assert_array_equal(engine.weights(early), iterates[1])
