"""A known part of the score, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.descent import DescentEngine
from fallline.errors import StateError
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.objective.losses import LOSSES
from fallline.objective.losses.offset import Offset
from fallline.optim.optimizers import OPTIMIZERS
from fallline.optim.schedules.constant import Constant
from reference import LAYOUTS, data_for


def trained(loss, X, y, batch_size, epochs, rate=0.1):
    engine = DescentEngine(loss, OPTIMIZERS["sgd"](), Constant(rate), batch_size)
    state = engine.start(X.shape[1], 1, X.dtype)
    train(Run(engine, ArraySource(as_rows(X, y)), Order(0), state, epochs))
    return state.memory.weights[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_squared_error_with_an_offset_is_that_of_the_difference(layout):
    """To fit y with an offset is to fit y minus the offset."""
    X, y = data_for("squared_error", n=101)
    offset = np.random.default_rng(1).standard_normal(101)
    loss, X = LOSSES["squared_error"](), LAYOUTS[layout](X)
    given = trained(Offset(loss), X, np.column_stack([y, offset]), 8, 3)
    np.testing.assert_allclose(given, trained(loss, X, y - offset, 8, 3), rtol=1e-12)


def test_counts_over_different_times_are_fitted_by_the_log_of_the_time():
    """Poisson regression with log(exposure) as offset ends where SciPy finds the minimum of its deviance."""
    generator = np.random.default_rng(2)
    X, exposure = generator.standard_normal((400, 3)), generator.uniform(0.2, 4.0, 400)
    counts = generator.poisson(exposure * np.exp(X @ [0.3, -0.2, 0.1] + 0.4)).astype(float)
    y = np.column_stack([counts, np.log(exposure)])
    weights = trained(Offset(LOSSES["poisson"]()), X, y, 400, 2000)

    def deviance(w):
        score = X @ w[:3] + w[3] + y[:, 1]
        return (np.exp(score) - counts * score).mean()

    np.testing.assert_allclose(weights, minimize(deviance, np.zeros(4), tol=1e-10).x, atol=1e-5)


def test_predictions_have_their_offset_added():
    """Scores are X w + b plus the offset, for every output."""
    X, y = data_for("squared_error")
    weights, source = (
        np.random.default_rng(3).standard_normal((2, 6)),
        ArraySource(as_rows(X, np.column_stack([y, y, 7 * y]))),
    )
    without = X @ weights[:, :-1].T + weights[:, -1]
    np.testing.assert_allclose(DescentEngine.predict(source, weights), without)
    np.testing.assert_allclose(
        DescentEngine.predict(source, weights, offset=True), without + 7 * y[:, np.newaxis]
    )


def test_an_offset_passes_on_what_its_loss_is():
    """Domain and link are those of the loss inside."""
    for make in LOSSES.values():
        assert (Offset(make()).domain, Offset(make()).link) == (make().domain, make().link)


def test_data_without_the_offset_are_refused():
    """Targets of which the offset is missing are an error before training, not a wrong model."""
    X, y = data_for("poisson")
    with pytest.raises(StateError, match="The data have 1 targets, but 2 belong to Offset"):
        trained(Offset(LOSSES["poisson"]()), X, y, 8, 1)
