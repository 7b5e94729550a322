"""How far any weights are from the optimum, by one pass."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from fallline import SGDClassifier, SGDRegressor
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.newton import NewtonEngine
from fallline.objective.losses import LOSSES
from fallline.objective.penalties import L2
from reference import data_for

NAMES = [name for name in LOSSES if name not in {"multinomial", "perceptron"}]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_is_about_what_the_optimum_gains(name):
    """Of weights some way off, what is said to be left agrees with the objective there and at the optimum, kinks or not."""
    X, y = data_for(name, n=4000)
    loss = LOSSES[name]()
    kind = SGDClassifier if loss.domain.classes else SGDRegressor
    best = kind(name, alpha=0.01, tol=1e-7, random_state=0).fit(X, y)
    optimum = np.column_stack([best.coef_.reshape(1, -1), best.intercept_])
    targets = np.where(y == np.max(y), 1.0, -1.0) if loss.domain.classes else np.asarray(y, float)
    source = ArraySource(as_rows(X, targets.reshape(-1, 1)))
    engine = NewtonEngine(loss, L2(0.01), source.n_rows)

    def objective(weights):
        return engine.measure(source, weights) + engine.penalise(weights)

    alone = minimize_scalar(
        lambda b: objective(np.append(np.zeros(X.shape[1]), b)[np.newaxis]), bounds=(-5, 5)
    )
    off = optimum * np.where(np.arange(optimum.size) == 0, 0.7, 1.0)
    true = (objective(off) - objective(optimum)) / (alone.fun - objective(off))
    assert 1e-3 < true < 0.5
    assert 0.5 * true < engine.left_to_gain(source, off) < 2.0 * true + 0.02
    assert engine.left_to_gain(source, optimum) < 0.02
