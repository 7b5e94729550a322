"""How far any weights are from the optimum, by one pass."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.exceptions import ConvergenceWarning

import optima
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


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("name", ["hinge", "quantile", "epsilon_insensitive"])
def test_kinks_with_fewer_rows_than_columns(name, penalty):
    """Where rows can be predicted exactly, training comes to the optimum, and does not say that it is nearer than it is."""
    X, y = data_for(name, n=40, columns=80)
    loss, alpha = LOSSES[name](), 3e-3
    kind = SGDClassifier if loss.domain.classes else SGDRegressor
    given = {"quantile": loss.quantile} if name == "quantile" else {}
    model = kind(name, penalty=penalty, alpha=alpha, random_state=0, **given).fit(X, y)
    w = np.column_stack([model.coef_.reshape(1, -1), model.intercept_])
    decay, absolute = (0.0, alpha) if penalty == "l1" else (alpha, 0.0)
    best, alone = (optima.optimum(name, rows, y, decay, absolute) for rows in (X, X[:, :0]))
    true = (optima.objective(name, X, y, w, decay, absolute) - best) / (alone - best)
    assert model.optimality_ < 2e-4
    assert -1e-6 < true < 1.5 * model.optimality_ + 1e-6


def test_heavy_rows_do_not_hide_that_intercepts_do_as_well():
    """Five rows weigh a million times the others, which most models of the first rows miss."""
    generator = np.random.default_rng(7)
    X = generator.standard_normal((3000, 8))
    y = generator.poisson(np.exp(X[:, 0] - 2)).astype(float)
    weight = generator.exponential(size=3000)
    weight[:1000], weight[-5:] = 0.0, 1e6 * weight[-5:]
    model = SGDRegressor("quantile", quantile=0.9, alpha=0.01, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y, sample_weight=weight)

    def objective(coef, intercept):
        over = y - X @ coef - intercept
        return (weight * np.where(over > 0, 0.9 * over, -0.1 * over)).mean() + 0.005 * coef @ coef

    alone = min(objective(np.zeros(8), value) for value in np.unique(y))
    assert objective(model.coef_, model.intercept_) <= alone * (1 + 1e-6)


@pytest.mark.parametrize("seed", [0, 2])
def test_a_class_so_rare_that_no_row_bends_at_first(seed):
    """With intercepts alone, the loss of all rows is flat or straight: it bends further on."""
    generator = np.random.default_rng(seed)
    X = generator.standard_normal((50_000, 5))
    score = X[:, 0] + generator.standard_normal(50_000)
    y = np.where(score > np.sort(score)[-6], 1, -1)

    def fitted(loss):
        model = SGDClassifier(loss, alpha=1e-6, random_state=0).fit(X, y)
        w = np.column_stack([model.coef_, model.intercept_])
        return optima.objective("modified_huber", X, y, w, 1e-6), model.optimality_

    found, left = fitted("modified_huber")
    assert left < 1e-6
    assert found <= (1 + 1e-6) * fitted("squared_hinge")[0]
