"""Growing-batch stochastic Newton: the optimum of whatever is asked for, with nothing to tune."""

from __future__ import annotations

import itertools
from contextlib import nullcontext

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import linear_model
from sklearn.exceptions import ConvergenceWarning

import optima
from fallline import SGDClassifier, SGDRegressor
from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.newton import NewtonEngine
from fallline.errors import NonFiniteError
from fallline.kernels.verbs import (
    antiderivative,
    curvature,
    curve,
    derivative,
    differentiate,
    distance,
    value,
)
from fallline.loop import train
from fallline.monitors.base import Monitor, Run
from fallline.objective.losses import LOSSES, OneVersusRest
from fallline.objective.losses.huber import Huber
from fallline.objective.losses.offset import Offset
from fallline.objective.losses.smoothed import Smoothed, bends
from fallline.objective.penalties import L1, L2, ElasticNet, NoPenalty
from fallline.state import State, Stop
from reference import LAYOUTS, data_for, with_zeros

SINGLE = [name for name in LOSSES if name != "multinomial"]
KINKED = sorted(optima.PIECES)
# Penalties with the coefficients of their square and of their absolute value.
PENALTIES = {
    "none": (NoPenalty(), 0.0, 0.0),
    "l2": (L2(0.01), 0.01, 0.0),
    "l1": (L1(0.03), 0.0, 0.03),
    "elasticnet": (ElasticNet(0.04, 0.75), 0.01, 0.03),
}


class StopAt(Monitor):
    """Ends training after so many blocks."""

    def __init__(self, blocks):
        self._left = blocks

    def after_block(self, run):
        self._left -= 1
        return Stop("time_limit", "that many blocks were asked for") if self._left == 0 else None


def fitted(loss, X, y, penalty=NoPenalty(), weight=None, *, outputs=1, start=None, epochs=100, **settings):
    """Train to the end; the weights in float64, and the state."""
    order = Order(0, shuffle=settings.pop("shuffle", True))
    engine = NewtonEngine(loss, penalty, X.shape[0], **settings)
    source = ArraySource(as_rows(X, y, weight))
    state = engine.start(X.shape[1], outputs, X.dtype, start)
    state.stop = train(Run(engine, source, order, state, epochs))
    return engine.weights(state).astype(np.float64), state


def with_noise(loss, n=300):
    """Rows of four columns that matter and three that do not."""
    X, y = data_for(loss, n=n, columns=4)
    return np.hstack([X, np.random.default_rng(1).standard_normal((n, 3))]), y


def outputs_of(loss):
    return 3 if loss == "multinomial" else 1


def gap(loss, X, y, w, decay=0.0, absolute=0.0, weight=None, *, intercept=True, best=None):
    """How far an objective is from the least, relative to what intercepts alone lose."""
    options = {"weight": weight, "outputs": len(w), "intercept": intercept}
    if best is None:
        best = optima.optimum(loss, X, y, decay, absolute, **options)
    null = optima.optimum(loss, X[:, :0], y, **options)
    return (optima.objective(loss, X, y, w, decay, absolute, weight) - best) / max(null - best, 1e-6)


def allowed(loss):
    return 1e-4 if loss in KINKED else 1e-6


# -------------------------------------------------------------------------------------------------- the verbs


@pytest.mark.parametrize("name", SINGLE)
def test_curvature_is_the_derivative_of_the_derivative(name):
    """Away from kinks every loss's curvature is the central difference of its derivative, and nowhere negative."""
    loss, h = LOSSES[name](), 1e-6
    targets = (-1.0, 1.0) if loss.domain.classes else (0.5, 2.0)
    for s, y in itertools.product((-2.345, -0.456, 0.0123, 0.789, 1.234, 3.21), targets):
        bend = (derivative(loss, s + h, y) - derivative(loss, s - h, y)) / (2 * h)
        assert curvature(loss, s, y) == pytest.approx(bend, rel=1e-6, abs=1e-8)
        assert curvature(loss, s, y) >= 0


@pytest.mark.parametrize("name", [name for name in LOSSES if bends(LOSSES[name]())])
def test_antiderivative_and_distance(name):
    """A loss that bends sharply is the slope of its antiderivative, and bends at the distance that it states, not nearer."""
    loss, h = LOSSES[name](), 1e-6
    targets = (-1.0, 1.0) if loss.domain.classes else (0.5, 2.0)
    for s, y in itertools.product((-2.345, -0.456, 0.0123, 0.789, 1.234, 3.21), targets):
        slope = (antiderivative(loss, s + h, y) - antiderivative(loss, s - h, y)) / (2 * h)
        assert value(loss, s, y) == pytest.approx(slope, rel=1e-6, abs=1e-8)
        far = distance(loss, s, y)
        near, beyond = 0.999 * far, 1.001 * far + 1e-9
        bent = [curvature(Smoothed(loss, 2 * reach), s, y) for reach in (near, beyond)]
        if far > 0:
            assert bent[0] == pytest.approx(0.0, abs=1e-12)
            assert bent[1] > 0


@pytest.mark.parametrize("band", [0.3, 0.01])
@pytest.mark.parametrize("name", [name for name in LOSSES if bends(LOSSES[name]())])
def test_smoothed_losses(name, band):
    """A smoothed loss has the slope and the curvature that it states, and lies above the loss by no more than band / 8 a jump."""
    loss, h = Smoothed(LOSSES[name](), band), 1e-4 * band
    targets = (-1.0, 1.0) if loss.loss.domain.classes else (0.5, 2.0)
    for s, y in itertools.product(np.linspace(-2.5, 2.5, 101) + 0.00123, targets):
        values = [value(loss, s + step, y) for step in (-h, 0.0, h)]
        slopes = [derivative(loss, s + step, y) for step in (-h, h)]
        assert derivative(loss, s, y) == pytest.approx((values[2] - values[0]) / (2 * h), abs=1e-5)
        assert curvature(loss, s, y) == pytest.approx((slopes[1] - slopes[0]) / (2 * h), rel=1e-4, abs=1e-4)
        assert -1e-12 <= values[1] - value(loss.loss, s, y) <= band / 4


def test_curvature_of_several_scores():
    """The probabilities p that the multinomial loss fills in are those of which its second derivatives diag(p) - pp' are made."""
    loss, h = LOSSES["multinomial"](), 1e-6
    scores, targets = np.random.default_rng(0).standard_normal((3, 4)), np.array([[0.0, 1.0, 2.0, 1.0]])
    p, values = np.empty((3, 4)), np.empty((1, 4))
    curve(loss, 4, scores.copy(), targets, p)
    for k in range(3):
        above, below, nudge = np.empty((3, 4)), np.empty((3, 4)), h * (np.arange(3) == k)[:, np.newaxis]
        differentiate(loss, 4, scores + nudge, targets, values, above)
        differentiate(loss, 4, scores - nudge, targets, values, below)
        expected = p * (np.arange(3) == k)[:, np.newaxis] - p * p[k]
        np.testing.assert_allclose((above - below) / (2 * h), expected, atol=1e-8)


# ----------------------------------------------------------------------------------------------- the optimum


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("name", LOSSES)
def test_it_finds_the_optimum(name, penalty):
    """Every loss with every penalty ends where SciPy finds the least objective, and L1 leaves exact zeros."""
    X, y = with_noise(name)
    value, decay, absolute = PENALTIES[penalty]
    w, state = fitted(LOSSES[name](), X, y, value, outputs=outputs_of(name))
    assert state.stop.reason == "converged"
    assert abs(gap(name, X, y, w, decay, absolute)) < allowed(name)
    assert (w[:, 4:7] == 0).any() == (absolute > 0) or name == "perceptron"


@pytest.mark.parametrize("name", ["log_loss", "quantile", "multinomial"])
def test_weights_of_rows(name):
    """A row of weight k counts k times; of weight 0 not at all."""
    X, y = with_noise(name)
    weight = np.arange(len(X)) % 4 * 1.0
    w, _ = fitted(LOSSES[name](), X, y, L2(0.01), weight, outputs=outputs_of(name))
    assert abs(gap(name, X, y, w, 0.01, weight=weight)) < allowed(name)


@pytest.mark.parametrize("name", ["squared_error", "epsilon_insensitive", "poisson"])
def test_several_targets(name):
    """Targets of different scales are fitted side by side, each as if it were alone."""
    X, y = with_noise(name)
    y = np.column_stack([y, 100 * y[::-1], y + 1])
    w, _ = fitted(LOSSES[name](), X, y, L2(0.01), outputs=3)
    assert abs(gap(name, X, y, w, 0.01)) < allowed(name)


@pytest.mark.parametrize("name", ["log_loss", "squared_hinge", "hinge"])
def test_one_class_against_the_rest(name):
    """Each class has the optimum of its own two-class problem, weights of classes included."""
    X, y = data_for("multinomial", n=300, columns=6)
    positive = np.array([1.0, 2.0, 0.5])
    w, _ = fitted(OneVersusRest(LOSSES[name](), positive), X, y, L2(0.01), outputs=3)
    found, best, null = np.zeros(3)
    for k in range(3):
        weight, own = np.where(y == k, positive[k], 1.0), np.where(y == k, 1.0, -1.0)
        found += optima.objective(name, X, own, w[k : k + 1], 0.01, weight=weight)
        best += optima.optimum(name, X, own, 0.01, weight=weight)
        null += optima.optimum(name, X[:, :0], own, weight=weight)
    assert abs(found - best) < allowed(name) * (null - best)


def test_offsets():
    """An offset in the score of counts is an exposure; in that of the squared error, it is taken off the target."""
    X, y = with_noise("poisson")
    offset = np.linspace(-2.0, 2.0, len(X))
    exposure = np.exp(offset)
    w, _ = fitted(Offset(LOSSES["poisson"]()), X, np.column_stack([y, offset]), L2(0.01))
    assert abs(gap("poisson", X, y / exposure, w, 0.01, weight=exposure)) < 1e-6
    w, _ = fitted(Offset(LOSSES["quantile"]()), X, np.column_stack([y, offset]), L2(0.01))
    assert abs(gap("quantile", X, y - offset, w, 0.01)) < 1e-4


@pytest.mark.parametrize("name", ["squared_error", "log_loss", "hinge", "multinomial"])
def test_no_intercept(name):
    """Without an intercept it stays zero, and the coefficients are the best without it."""
    X, y = with_noise(name)
    w, _ = fitted(LOSSES[name](), X + 1.0, y, L2(0.01), outputs=outputs_of(name), fit_intercept=False)
    assert not w[:, -1].any()
    assert abs(gap(name, X + 1.0, y, w, 0.01, intercept=False)) < allowed(name)


AWKWARD = {
    "scales from 1e-6 to 1e6": lambda X: X * 10.0 ** np.linspace(-6, 6, X.shape[1]),
    "1e-12": lambda X: X * 1e-12,
    "1e12": lambda X: X * 1e12,
    "far from zero": lambda X: X + 1e6,
    "constant": lambda X: np.hstack([X, np.full((len(X), 1), 7.0), np.zeros((len(X), 1))]),
    "constant but for its last digits": lambda X: np.hstack([X, 7.0 + 1e-15 * X[:, :1]]),
    "duplicate": lambda X: np.hstack([X, X[:, :2], 5.0 * X[:, 2:3]]),
    "collinear": lambda X: np.hstack([X, X[:, :3] @ [[1.0], [2.0], [-3.0]] + 4.0]),
}


@pytest.mark.parametrize("columns", AWKWARD)
@pytest.mark.parametrize("name", ["squared_error", "log_loss", "poisson", "hinge"])
def test_columns_of_any_kind(name, columns):
    """Scales, shifts, constants and repetitions change what the coefficients are, not how near the optimum they come."""
    X, y = with_noise(name, 600)
    awkward = AWKWARD[columns](X)
    w, state = fitted(LOSSES[name](), awkward, y)
    best = optima.optimum(name, X, y)
    assert state.stop.reason == "converged"
    assert np.isfinite(w).all()
    assert abs(gap(name, awkward, y, w, best=best)) < allowed(name)


@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
def test_penalties_are_of_the_columns_as_they_come(penalty):
    """A penalty means what it says of columns that are not standardised."""
    X, y = with_noise("log_loss")
    value, decay, absolute = PENALTIES[penalty]
    scales = 10.0 ** np.linspace(-1, 2, X.shape[1])
    w, _ = fitted(LOSSES["log_loss"](), X * scales + 3.0, y, value)
    # In columns of scale 1 the same penalty is weaker by the scale, or its square.
    best = optima.optimum("log_loss", X, y, decay / scales**2, absolute / scales)
    assert abs(gap("log_loss", X * scales + 3.0, y, w, decay, absolute, best=best)) < 1e-6


def test_as_scikit_learn():
    """By default, and on columns as they come, the estimators find the coefficients of scikit-learn's exact solvers."""
    generator, n = np.random.default_rng(0), 500
    scales = 10.0 ** np.arange(-2, 4)
    X = (generator.standard_normal((n, 6)) + generator.uniform(-1, 1, 6)) * scales
    score = (X / scales) @ generator.uniform(-1, 1, 6)
    y, counts = score + generator.standard_normal(n), generator.poisson(np.exp(0.3 * score))
    classes, two = np.digitize(y, [-1, 1]), y > 0
    exact = {"tol": 1e-12, "max_iter": 100_000}
    pairs = [
        (SGDRegressor(alpha=1e-3), linear_model.Ridge(alpha=1e-3 * n), y),
        (SGDRegressor(penalty="l1", alpha=0.1), linear_model.Lasso(alpha=0.1, **exact), y),
        (
            SGDRegressor(penalty="elasticnet", alpha=0.1, l1_ratio=0.5),
            linear_model.ElasticNet(alpha=0.1, l1_ratio=0.5, **exact),
            y,
        ),
        (
            SGDRegressor("poisson", alpha=1e-3),
            linear_model.PoissonRegressor(alpha=1e-3, solver="newton-cholesky", tol=1e-12),
            counts,
        ),
        (
            SGDClassifier("log_loss", alpha=1e-3),
            linear_model.LogisticRegression(C=1e3 / n, solver="newton-cholesky", tol=1e-12),
            two,
        ),
        (
            SGDClassifier("multinomial", alpha=1e-3),
            linear_model.LogisticRegression(C=1e3 / n, solver="newton-cholesky", tol=1e-12),
            classes,
        ),
    ]
    for ours, theirs, target in pairs:
        ours.set_params(tol=1e-12, random_state=0).fit(X, target)
        theirs.fit(X, target)
        found, expected = (np.atleast_2d(model.coef_) * scales for model in (ours, theirs))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("quantile", [0.1, 0.95])
def test_quantiles_as_scikit_learn(quantile):
    """Quantiles far from the median are as near the optimum as the median is."""
    X, y = with_noise("quantile", 400)
    theirs = linear_model.QuantileRegressor(quantile=quantile, alpha=0.01, solver="highs").fit(X, y)
    ours = SGDRegressor(
        "quantile", quantile=quantile, penalty="l1", alpha=0.01, tol=1e-5, random_state=0
    ).fit(X, y)

    def objective(prediction, coefficients):
        error = y - prediction
        return np.maximum(quantile * error, (quantile - 1) * error).mean() + 0.01 * abs(coefficients).sum()

    best = objective(theirs.predict(X), theirs.coef_)
    null = objective(np.quantile(y, quantile), np.zeros(1))
    assert abs(objective(ours.predict(X), ours.coef_) - best) < 3e-4 * (null - best)


def test_a_band_without_rows_is_not_taken_for_the_optimum():
    """Where no row is within the band any more, nothing is known of what is left, and training goes on."""
    X, y = with_noise("quantile", 400)
    settings = {"quantile": 0.1, "penalty": "l1", "alpha": 0.01}
    best = optima.pinball(X, y, 0.1, 0.01)
    null = optima.pinball(X[:, :0], y, 0.1, 0.01)
    for seed in (0, 7, 11):
        model = SGDRegressor("quantile", **settings, random_state=seed).fit(X, y)
        error = y - model.predict(X)
        found = np.maximum(0.1 * error, -0.9 * error).mean() + 0.01 * abs(model.coef_).sum()
        assert 0 < model.optimality_ < 1e-3
        assert found - best < 3 * model.optimality_ * (null - best)


def test_float32():
    """Rows in float32 give weights in float32, nearly as good; columns far from zero, too."""
    for name, shift in itertools.product(("squared_error", "log_loss"), (0.0, 100.0)):
        X, y = with_noise(name, 2000)
        X, y = (X + shift).astype(np.float32), y.astype(np.float32)
        w, state = fitted(LOSSES[name](), X, y, L2(1e-3))
        assert state.memory.weights.dtype == np.float32
        assert state.stop.reason == "converged"
        assert abs(gap(name, X.astype(float), y.astype(float), w, 1e-3)) < 1e-5


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("name", ["log_loss", "multinomial", "quantile"])
def test_sparse_rows_agree_with_dense_ones(name, penalty):
    """Sparse rows come to the same optimum as the same rows with their zeros, whatever the scales of columns."""
    X, y = with_noise(name, 1000)
    X = with_zeros(X) * 10.0 ** np.arange(-3, 4)
    value, decay, absolute = PENALTIES[penalty]
    found = [
        optima.objective(
            name,
            X,
            y,
            fitted(LOSSES[name](), layout(X), y, value, outputs=outputs_of(name))[0],
            decay,
            absolute,
        )
        for layout in (np.ascontiguousarray, sp.csr_array)
    ]
    assert found[0] == pytest.approx(found[1], rel=allowed(name))


def test_from_where_it_is_told_to_start():
    """From the optimum it takes a look and ends; from far away it comes back."""
    X, y = with_noise("log_loss", 3000)
    w, state = fitted(LOSSES["log_loss"](), X, y, L2(1e-3))
    again, warm = fitted(LOSSES["log_loss"](), X, y, L2(1e-3), start=w)
    assert warm.epoch <= state.epoch
    np.testing.assert_allclose(again, w, atol=1e-5)
    far, state = fitted(LOSSES["log_loss"](), X, y, L2(1e-3), start=100 * np.ones_like(w))
    assert state.stop.reason == "converged"
    assert abs(gap("log_loss", X, y, far, 1e-3)) < 1e-6


# ---------------------------------------------------------------------------------------------- many rows


@pytest.fixture(scope="module")
def many():
    """20,000 rows of two noisy classes."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((20_000, 8))
    return X, np.where(X.sum(axis=1) + 2 * generator.standard_normal(20_000) > 0, 1.0, -1.0)


def test_batches_grow(many):
    """The first pass makes many updates in batches of which each is half as large as all before it; then come full ones."""
    X, y = many
    w, state = fitted(LOSSES["log_loss"](), X, y)
    sizes = [record["batch_size"] for record in state.history]
    first = sizes[: sizes.index(20_000)]
    assert first[0] == 256
    assert len(first) >= 8
    assert sum(first) == 20_000
    for k in range(1, len(first) - 1):
        assert first[k] == max(256, sum(first[:k]) // 2)
    assert set(sizes[len(first) :]) == {20_000}
    assert state.epoch <= 4
    assert abs(gap("log_loss", X, y, w)) < 1e-6


def test_the_first_pass_comes_near(many):
    """After a single pass over the rows, and before any full one, less than a thousandth is left to gain."""
    X, y = many
    w, state = fitted(LOSSES["log_loss"](), X, y, epochs=1)
    assert state.epoch == 1
    assert gap("log_loss", X, y, w) < 1e-3


@pytest.mark.parametrize("name", ["log_loss", "multinomial", "hinge", "squared_error"])
def test_sorted_rows(name):
    """Rows that come sorted by their target and are not shuffled lead to the same optimum."""
    X, y = with_noise(name, 2000)
    rows = np.argsort(y, kind="stable")
    # What is left is compared with what was gained over the intercepts of the first rows, which here are poor.
    settings = {"outputs": outputs_of(name), "shuffle": False, "tolerance": 1e-7}
    w, state = fitted(LOSSES[name](), X[rows], y[rows], L2(0.01), **settings)
    assert state.stop.reason == "converged"
    assert abs(gap(name, X, y, w, 0.01)) < allowed(name)


@pytest.mark.parametrize("penalty", [L1(1e-3), L2(1e-3), L2(1e-2)], ids=str)
@pytest.mark.parametrize("rows", [40, 100, 400])
def test_what_is_left_of_a_loss_that_bends_by_itself(rows, penalty):
    """Of Huber's loss, with more columns than rows and with fewer, it is no less than half of what more passes gain."""
    for seed in range(3):
        generator = np.random.default_rng(seed)
        X = generator.standard_normal((rows, 60 if rows == 40 else 20))
        y = X @ generator.standard_normal(X.shape[1]) / 4 + generator.standard_t(3, rows)
        best = fitted(Huber(0.1), X, y, penalty, tolerance=1e-10)[1].notes["solver"]["lowest"]
        for tolerance in (0.1, 1e-2, 1e-4):
            note = fitted(Huber(0.1), X, y, penalty, tolerance=tolerance)[1].notes["solver"]
            gained = note["null_objective"] - best
            assert (note["lowest"] - best) / gained < 2 * note["left"] + 1e-8


@pytest.mark.parametrize("name", ["log_loss", "poisson", "multinomial", "hinge"])
@pytest.mark.parametrize("tolerance", [0.1, 1e-3, 1e-4])
def test_optimality_says_how_far_the_optimum_is(name, tolerance):
    """What is left to gain, relative to what was gained, is at least a third of what is really left."""
    X, y = with_noise(name, 1000)
    w, state = fitted(LOSSES[name](), X, y, L2(1e-3), outputs=outputs_of(name), tolerance=tolerance)
    left = state.notes["solver"]["left"]
    assert state.stop.reason == "converged"
    assert 0 <= left <= tolerance
    assert gap(name, X, y, w, 1e-3) < 3 * left + 1e-8


# ---------------------------------------------------------------------------------------------- interruptions


@pytest.mark.parametrize("decades", [0, 3])
@pytest.mark.parametrize("loss", ["squared_epsilon_insensitive", "squared_hinge", "modified_huber", "huber"])
def test_where_curvature_jumps_a_model_is_looked_at_before_it_is_published(loss, decades):
    """More columns than rows, hardly a penalty: rows that did not bend before do so after a step, which then leads too far."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(20, 40)) * 10.0 ** rng.uniform(-decades, decades, 40)
        y = np.sign(rng.normal(size=20))
        w, state = fitted(LOSSES[loss](), X, y, L2(1e-8))
        met = state.history[-1]["objective"]
        assert optima.objective(loss, X, y, w, 1e-8) == pytest.approx(met, rel=1e-3, abs=1e-9)


def test_rows_that_lie_at_a_kink_are_no_optimum():
    """Of ten rows, eight have the same target: the band that holds some of them holds nothing else, and knows nothing beyond."""
    for seed in (3, 7, 33):
        rng = np.random.default_rng(seed)
        X = rng.random((10, 5))
        score = X @ rng.normal(size=5)
        y = np.where(score > np.quantile(score, 0.8), 1.0, -1.0)
        w, _ = fitted(LOSSES["epsilon_insensitive"](), X, y, L1(0.01), tolerance=1e-4)
        assert abs(gap("epsilon_insensitive", X, y, w, absolute=0.01)) < 1e-3


def everything(state):
    """All of a state except how long it took, and rows that wait no more."""
    history = [{k: v for k, v in record.items() if k != "seconds"} for record in state.history]
    scalars = state.epoch, state.position, state.rows, state.loss_sum, state.notes, history
    waiting, memory = state.notes["solver"]["filled"], state.memory
    kept = memory._replace(
        rows=memory.rows[:waiting],
        targets=memory.targets[:, :waiting],
        row_weight=memory.row_weight[:waiting],
    )
    return [array.tobytes() for array in kept], scalars


RUNS = {
    # name: loss, rows, outputs, layout
    "few rows": ("log_loss", 300, 1, "dense"),
    "many rows": ("log_loss", 3000, 1, "dense"),
    "kinks": ("hinge", 3000, 1, "dense"),
    "sparse, coupled": ("multinomial", 3000, 3, "csr"),
}


@pytest.mark.parametrize("run", RUNS)
def test_stopping_saving_loading_and_going_on_changes_no_bit(run, tmp_path, monkeypatch):
    """A run stopped after any block, saved, loaded and resumed, in blocks of any size, ends in the state of one never stopped."""
    name, n, outputs, layout = RUNS[run]
    X, y = data_for(name, n=n, columns=5)
    source = ArraySource(as_rows(LAYOUTS[layout](X), y))
    engine = NewtonEngine(LOSSES[name](), ElasticNet(1e-3, 0.5), n)

    def go_on(state, *monitors):
        return train(Run(engine, source, Order(7), state, epochs=6), monitors)

    whole = engine.start(5, outputs, X.dtype)
    go_on(whole)
    assert whole.epoch > 1
    for rows, blocks in (
        (10**6, 1),
        (10**6, 2),
        (37, 3),
        (37, 7),
        (37, 11),
        (1, 280),
        (1, 600),
        (256, 4),
        (2100, 2),
    ):
        monkeypatch.setattr(NewtonEngine, "block_rows", lambda *_, rows=rows: rows)
        state = engine.start(5, outputs, X.dtype)
        assert go_on(state, StopAt(blocks)).reason == "time_limit"
        state.save(tmp_path / "state")
        resumed = State.load(tmp_path / "state")
        go_on(resumed)
        assert everything(resumed) == everything(whole)


# ------------------------------------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge", "hinge"])
def test_classes_that_a_plane_separates(loss):
    """Without a penalty the log loss of separable classes falls for ever, which is said; coefficients are finite, and right."""
    X = np.random.default_rng(0).standard_normal((500, 3))
    X = X[abs(X[:, 0] - X[:, 1]) > 0.1]
    y = X[:, 0] > X[:, 1]
    model = SGDClassifier(loss, penalty=None, random_state=0)
    if loss == "log_loss":
        with pytest.warns(ConvergenceWarning, match="separates the classes"):
            model.fit(X, y)
    else:
        model.fit(X, y)  # a warning would be an error
    assert np.isfinite(model.coef_).all()
    assert model.score(X, y) == 1.0


def test_rows_that_are_let_go_by_have_to_be_finite():
    """Of sorted rows, most of a first pass that was given up are not used: what is wrong with them is told all the same."""
    X, y = data_for("log_loss", n=20_000, columns=5)
    X, y = X[np.argsort(y, kind="stable")], np.sort(y)
    engine = NewtonEngine(LOSSES["log_loss"](), L2(1e-3), rows=len(X))
    for bad, error in ((None, nullcontext()), (15_000, pytest.raises(NonFiniteError, match=r"row 15000\b"))):
        state = engine.start(5, 1, X.dtype)
        if bad is not None:
            X[bad, 3] = np.nan
        with error:
            train(Run(engine, ArraySource(as_rows(X, y)), Order(0, shuffle=False), state, epochs=1), [])
            assert state.notes["solver"]["seen"] < 15_000


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [5, 700, 2999])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_numbers_that_are_not_finite(layout, row, bad):
    """NaN and infinity are an error that names row and column, wherever they are."""
    X, y = data_for("squared_error", n=3000, columns=5)
    X[row, 3] = bad
    engine = NewtonEngine(LOSSES["squared_error"](), rows=3000)
    source = ArraySource(as_rows(LAYOUTS[layout](X), y))
    with pytest.raises(NonFiniteError, match=rf"row {row}\b.*column 3\b"):
        train(Run(engine, source, Order(0), engine.start(5, 1, X.dtype), 3))


def test_sparse_rows_far_from_zero_are_as_good_as_dense_ones():
    """Columns of 1,000 and a little, in float32: what is near the mean counts, and sparse rows give the same bits."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((2000, 20)) + 1000).astype(np.float32)
    y = X[:, 0] - 1000.0 + rng.standard_normal(2000)
    for penalty in ("l1", "l2"):
        dense, sparse = (
            SGDRegressor(penalty=penalty, random_state=0).fit(rows, y) for rows in (X, sp.csr_array(X))
        )
        assert np.array_equal(dense.coef_, sparse.coef_)
        assert dense.coef_[0] == pytest.approx(1.0, abs=0.1)
        assert sparse.optimality_ < 1e-6


@pytest.mark.parametrize("loss", ["gamma", "poisson"])
@pytest.mark.parametrize("seed", range(4, 6))
def test_one_huge_row_does_not_drown_the_others(loss, seed):
    """In float32, too, the optimum is that of float64, and what is left is no more than is claimed."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((30, 5))
    y = np.exp(0.5 * X[:, 0] + 0.3 * rng.standard_normal(30)).astype(np.float32).astype(float)
    X[3] *= 1e4
    X = X.astype(np.float32).astype(float)

    def objective(model):
        scores = X @ model.coef_ + model.intercept_
        losses = scores + y * np.exp(-scores) if loss == "gamma" else np.exp(scores) - y * scores
        return losses.mean() + model.alpha * np.abs(model.coef_).sum()

    def fitted(rows, alpha=1e-4):
        return SGDRegressor(loss=loss, penalty="l1", alpha=alpha, random_state=0).fit(rows, y)

    narrow, wide, alone = fitted(X.astype(np.float32)), fitted(X), fitted(X, alpha=1e6)
    best, gained = objective(wide), objective(alone) - objective(wide)
    assert objective(narrow) - best < (narrow.optimality_ + wide.optimality_ + 1e-7) * gained
    assert narrow.optimality_ < 1e-6
