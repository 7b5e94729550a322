"""The engine of large linear models: the optimum of what was asked for, and the same bits however it comes there."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import QuantileRegressor
from sklearn.svm import SVC, SVR
from threadpoolctl import threadpool_limits

from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.saga import SagaEngine, active, turns
from fallline.kernels.implicit import settle, settled
from fallline.kernels.verbs import differentiate, value
from fallline.loop import train
from fallline.monitors.base import Monitor, Run
from fallline.objective import losses
from fallline.objective.domains import CLASSES, TWO_CLASSES
from fallline.objective.losses.offset import Offset
from fallline.objective.penalties import L1, L2, ElasticNet, NoPenalty, penalty_value
from fallline.state import State, Stop
from optima import optimum

ANY_ORDER = Order(0)
LOG, SOFTMAX = losses.LogLoss(), losses.Multinomial()
ONE_CLASS_EACH = losses.OneVersusRest(LOG, np.array([1.0, 2.0, 0.5]))
OF_ONE_SCORE = [
    losses.SquaredError(),
    losses.Huber(0.5),
    losses.SquaredEpsilonInsensitive(0.1),
    losses.Poisson(),
    losses.Gamma(),
    losses.Tweedie(1.5),
    LOG,
    losses.SquaredHinge(),
    losses.ModifiedHuber(),
    losses.EpsilonInsensitive(0.1),
    losses.Quantile(0.7),
    losses.Hinge(),
    losses.Perceptron(),
]
# Passes know a loss by its verbs only, which are tested of every loss: they are compiled for some of each kind.
SMOOTH = [
    losses.SquaredError(),
    losses.Huber(0.5),
    losses.Poisson(),
    LOG,
    SOFTMAX,
    ONE_CLASS_EACH,
]
KINKED = [losses.EpsilonInsensitive(0.1), losses.Quantile(0.7), losses.Hinge()]
PENALTIES = [L1(0.02), ElasticNet(0.04, 0.5), NoPenalty()]
CASES = [(loss, L2(0.02)) for loss in SMOOTH] + [
    *((losses.SquaredError(), penalty) for penalty in PENALTIES),
    (SOFTMAX, PENALTIES[1]),
]
PULLS = [(0.0, 1.0), (1e-6, 1.0), (0.5, 2.0), (1e4, 0.3), (3.0, 0.0)]


def name(thing):
    return type(thing).__name__


def targets_for(loss, score, rng):
    """Targets that suit a loss, around a score."""
    noisy = score + rng.standard_normal(len(score))
    if loss.domain == CLASSES:
        return np.digitize(noisy, [-0.5, 0.8]).astype(float)
    if loss.domain == TWO_CLASSES:
        return np.where(noisy > 0, 1.0, -1.0)
    if np.isfinite(loss.domain.lowest):
        return rng.poisson(np.exp(np.minimum(score, 3.0))) + (0.5 if loss.domain.lowest > 0 else 0.0)
    return noisy


def problem(loss, n=250, d=6, seed=0, density=1.0):
    """Columns, targets and weights of rows from a noisy linear model."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < density)
    return X, targets_for(loss, X @ rng.standard_normal(d) * 0.5 + 0.3, rng), rng.uniform(0.5, 2.0, n)


def prepared(loss, penalty, X, y, weight=None, **options):
    """An engine, a source, and a state to train."""
    rows = as_rows(X, np.asarray(y, X.dtype), None if weight is None else np.asarray(weight, X.dtype))
    source = ArraySource(rows)
    engine = SagaEngine(loss, penalty, rows=source.n_rows, **options)
    outputs = int(rows.y[:, 0].max()) + 1 if loss.domain == CLASSES else 1
    return engine, source, engine.start(source.n_columns, outputs, source.dtype)


def fitted(loss, penalty, X, y, weight=None, epochs=300, order=ANY_ORDER, **options):
    engine, source, state = prepared(loss, penalty, X, y, weight, **options)
    stop = train(Run(engine, source, order, state, epochs))
    return engine, source, state, stop


def objective(engine, source, weights):
    return engine.measure(source, weights) + engine.penalise(weights)


def imbalance(engine, source, w):
    """How far the slope of each weight is from what the penalty balances: 0 at the optimum."""
    slope = np.zeros_like(w)
    for place in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[place] = 1e-5
        slope[place] = (engine.measure(source, w + step) - engine.measure(source, w - step)) / 2e-5
    match engine.penalty:
        case L2(alpha):
            smooth, corner = alpha, 0.0
        case L1(alpha):
            smooth, corner = 0.0, alpha
        case ElasticNet(alpha, ratio):
            smooth, corner = alpha * (1 - ratio), alpha * ratio
        case _:
            smooth, corner = 0.0, 0.0
    c = w[:, :-1]
    pull = slope[:, :-1] + smooth * c
    at_zero = np.maximum(np.abs(pull) - corner, 0.0)
    return max(
        np.abs(np.where(c == 0.0, at_zero, pull + corner * np.sign(c))).max(), np.abs(slope[:, -1]).max()
    )


class EndAt(Monitor):
    """Says stop after a block that reaches a position of an epoch."""

    def __init__(self, epoch, position):
        self._at = epoch, position

    def after_block(self, run):
        at = run.state.epoch, run.state.position
        return Stop("interrupted", "a test wants it") if at >= self._at else None


@pytest.mark.parametrize(("pull", "weight"), PULLS)
@pytest.mark.parametrize("loss", OF_ONE_SCORE, ids=name)
def test_a_settled_slope_belongs_to_the_score_that_it_leads_to(loss, pull, weight):
    """That score minimises weight times loss plus its squared distance from where the row would be without its own slope."""
    rng = np.random.default_rng(1)
    for score, target in zip(rng.normal(0, 3, 40), targets_for(loss, rng.normal(0, 2, 40), rng), strict=True):
        with np.errstate(all="ignore"):
            slope = settled(loss, pull, weight, score, target, 0.3)
        assert np.isfinite(slope)
        if pull > 0:
            found, centre = score - pull * (slope - 0.3), score + pull * 0.3

            def cost(s, target=target, centre=centre):
                return weight * value(loss, s, target) + (s - centre) ** 2 / (2 * pull)

            for off in (1e-3, -1e-3, 0.1, -0.1):
                assert cost(found) <= cost(found + off) + 1e-9 * abs(cost(found + off))


@pytest.mark.parametrize(("pull", "weight"), PULLS)
def test_settled_slopes_of_classes_belong_to_the_scores_that_they_lead_to(pull, weight):
    """Classes share one loss: the slopes solve all their equations at once, however strong the pull."""
    rng = np.random.default_rng(2)
    for _ in range(30):
        scores, before = rng.normal(0, 4, (5, 1)), rng.normal(0, 0.3, (5, 1))
        target, slopes = np.array([[float(rng.integers(5))]]), before.copy()
        settle(SOFTMAX, pull, weight, scores.copy(), target, slopes)
        fitting = np.zeros((5, 1))
        differentiate(SOFTMAX, 1, scores - pull * (slopes - before), target, np.zeros((1, 1)), fitting)
        assert np.abs(slopes - weight * fitting).max() < 1e-6


@pytest.mark.parametrize(("loss", "penalty"), CASES, ids=name)
def test_nothing_is_left_to_gain(loss, penalty):
    """Every weight's slope is balanced by the penalty, in the caller's coordinates, whose scales differ, and rows weigh."""
    X, y, weight = problem(loss)
    X[:, 0] = 10.0 + 3.0 * X[:, 0]
    engine, source, state, stop = fitted(loss, penalty, X, y, weight, tolerance=1e-9)
    assert stop.reason == "converged"
    assert imbalance(engine, source, engine.weights(state)) < 1e-3
    assert state.history[-1]["optimality"] <= 1e-9


@pytest.mark.parametrize(
    ("loss", "penalty", "rival"),
    [
        (losses.Hinge(), L2(0.02), lambda n: SVC(kernel="linear", C=1 / (0.02 * n), tol=1e-6)),
        (
            losses.EpsilonInsensitive(0.1),
            L2(0.02),
            lambda n: SVR(kernel="linear", C=1 / (0.02 * n), tol=1e-6),
        ),
        (losses.Quantile(0.7), L1(0.02), lambda n: QuantileRegressor(quantile=0.7, alpha=0.02)),
    ],
    ids=lambda thing: name(thing) if isinstance(thing, tuple) else "",
)
def test_losses_with_kinks_need_no_smoothing(loss, penalty, rival):
    """The objective comes within a thousandth of that of solvers of quadratic and linear programs."""
    X, y, _ = problem(loss)
    engine, source, state, _ = fitted(loss, penalty, X, y)
    known = rival(len(X)).fit(X, y)
    best = objective(engine, source, np.append(known.coef_, known.intercept_)[np.newaxis])
    start = objective(engine, source, np.zeros((1, X.shape[1] + 1)))
    assert objective(engine, source, engine.weights(state)) - best < 1e-3 * (start - best)


@pytest.mark.parametrize("loss", [LOG, SOFTMAX], ids=name)
def test_dense_and_sparse_rows_give_the_same(loss):
    """They come to the same optimum, whose zeros are the same; rows without entries and entries of zero do no harm."""
    X, y, weight = problem(loss, d=12, density=0.3)
    X[:5] = 0.0
    rows = sp.csr_matrix(X)
    rows.data[::17] = 0.0
    X = rows.toarray()
    weights, objectives = [], []
    for kind in (X, rows):
        engine, source, state, _ = fitted(loss, L1(0.02), kind, y, weight, tolerance=1e-10)
        weights.append(engine.weights(state).copy())
        objectives.append(objective(engine, source, weights[-1]))
        # What is added to the scores of all classes alike changes nothing.
        weights[-1][:, -1] -= weights[-1][0, -1] if loss is SOFTMAX else 0.0
    np.testing.assert_allclose(*objectives, rtol=1e-6)
    np.testing.assert_allclose(*weights, atol=5e-3)
    zeros = weights[0][:, :-1] == 0.0
    assert 0 < zeros.sum() < zeros.size
    assert (zeros == (weights[1][:, :-1] == 0.0)).mean() > 0.95


@pytest.mark.parametrize(
    ("penalty", "stage"), [(L2(0.001), "full"), (L2(0.001), "dual"), (L1(0.001), "active")], ids=str
)
@pytest.mark.parametrize("numbered", [True, False], ids=["by number", "by place"])
@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "dense"])
def test_resumed_anywhere_training_gives_the_same_bits(
    sparse, numbered, penalty, stage, tmp_path, monkeypatch
):
    """Saved within an epoch, loaded, and gone on with in blocks of another size."""
    monkeypatch.setattr(turns, "_PATIENCE", (5, 1e9 if stage == "dual" else 0.0, 5))
    monkeypatch.setattr(turns, "_ACTIVE_PATIENCE", (5, 0.0, 5))
    monkeypatch.setattr(turns, "_LONG", 2)
    monkeypatch.setattr(active, "_TOGETHER", 48)
    X, y, weight = problem(LOG, density=0.5)
    X = sp.csr_matrix(X).astype(np.float32) if sparse else X

    def begun():
        return prepared(LOG, penalty, X, y, weight, tolerance=0.0, numbered=numbered)

    engine, source, state = begun()
    train(Run(engine, source, Order(3), state, epochs=9))
    for epoch, position, size in [(0, 7, 7), (0, 90, 45), (3, 130, 65), (7, 64, 32), (8, 240, 80)]:
        engine, source, resumed = begun()
        run = Run(engine, source, Order(3), resumed, epochs=9)
        run.block_rows = lambda size=size: size
        train(run, [EndAt(epoch, position)])
        assert resumed.position == position
        resumed.save(tmp_path / "state")
        resumed = State.load(tmp_path / "state")
        train(Run(engine, source, Order(3), resumed, epochs=9))
        for field, here, there in zip(state.memory._fields, resumed.memory, state.memory, strict=True):
            np.testing.assert_array_equal(here, there, field)
        assert [record["objective"] for record in resumed.history] == [
            record["objective"] for record in state.history
        ]
    assert state.notes["solver"]["stage"] == stage


def test_full_passes_reach_the_optimum(monkeypatch):
    """Quasi-Newton passes come to where dual ones come to, of several outputs, too."""
    X, y, weight = problem(SOFTMAX, density=0.5)
    X = sp.csr_matrix(X)
    objectives = []
    for slow in (0.0, 1e9):
        monkeypatch.setattr(turns, "_PATIENCE", (5, slow, 5))
        engine, source, state, stop = fitted(SOFTMAX, L2(0.001), X, y, weight, tolerance=1e-9)
        assert stop.reason == "converged"
        assert state.notes["solver"]["stage"] == ("check" if slow else "full")
        objectives.append(objective(engine, source, engine.weights(state)))
    np.testing.assert_allclose(*objectives, rtol=1e-7)


# Few rows and many columns, of which few count; several outputs; and more columns that count than can be active at once.
WIDE = {
    "log_loss": (LOG, 1, L1(0.01), 3000),
    "squared_error": (losses.SquaredError(), 1, L1(0.1), 3000),
    "elastic net": (losses.SquaredError(), 1, ElasticNet(0.1, 0.7), 3000),
    "multinomial": (SOFTMAX, 3, L1(0.01), 3000),
    "one against the rest": (ONE_CLASS_EACH, 3, L1(0.005), 3000),
    "too many columns": (LOG, 1, L1(0.002), 80),
    "too many columns at first": (LOG, 1, L1(0.005), 150),
}


@pytest.mark.parametrize(
    ("case", "sparse"),
    [(case, False) for case in WIDE]
    + [(case, True) for case in ("log_loss", "multinomial", "too many columns")],
)
def test_wide_tables_with_an_l1_penalty(case, sparse, monkeypatch):
    """Few passes lead to where no slope is left, with exact zeros, whichever passes make the end of it."""
    loss, outputs, penalty, coefficients = WIDE[case]
    monkeypatch.setattr(turns, "_COEFFICIENTS", coefficients)
    rng = np.random.default_rng(5)
    n, d = 120, 400
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < (0.3 if sparse else 1.0))
    scores = X[:, :12].reshape(n, 3, 4).sum(axis=2)
    y = scores.argmax(axis=1) if outputs > 1 else np.where(scores[:, 0] > 0, 1.0, -1.0)
    engine, source, _ = prepared(loss, penalty, sp.csr_matrix(X) if sparse else X, y, tolerance=1e-8)
    state = engine.start(d, outputs, np.float64)
    stop = train(Run(engine, source, ANY_ORDER, state, 500))
    weights = engine.weights(state)
    assert stop.reason == "converged"
    assert state.epoch < (40 if coefficients == 3000 else 500)
    assert state.notes["solver"]["stage"] == ("full" if case == "too many columns" else "active")
    assert imbalance(engine, source, weights) < 1e-4
    zeros = (weights[:, :-1] == 0.0).sum()
    assert 0.5 * outputs * d < zeros < outputs * (d - 2)


def least_squares(X, y, alpha):
    """The least objective of the squared error, by the normal equations in columns of one size."""
    X = X - X.mean(axis=0)
    size = X.std(axis=0)
    n, d = X.shape
    rows = np.vstack([X / size / np.sqrt(n), np.diag(np.sqrt(alpha) / size)])
    targets = np.append((y - y.mean()) / np.sqrt(n), np.zeros(d))
    v = np.linalg.lstsq(rows, targets, rcond=1e-15)[0]
    return 0.5 * np.sum((rows @ v - targets) ** 2)


def hard():
    """Problems on which estimates are far off: name, loss, penalty, columns, targets, least objective, passes, why they end."""
    rng = np.random.default_rng(11)
    n, squared = 2000, losses.SquaredError()
    X = rng.standard_normal((n, 8))
    y = X @ rng.standard_normal(8) + rng.standard_normal(n)
    one, some = X.copy(), X.copy()
    one[7], some[rng.choice(n, 10, replace=False)] = 99999.0, 1e6
    common = rng.standard_normal((n, 1))
    alike = common + 1e-3 * rng.standard_normal((n, 20))
    between = 1e3 * (alike - common) @ rng.standard_normal(20) + rng.standard_normal(n)
    walk = np.cumsum(rng.standard_normal((n, 30)), axis=1)
    walked = walk @ rng.standard_normal(30) * 0.3 + rng.standard_normal(n)
    yield "one row", squared, L2(1e-4), one, y, least_squares(one, y, 1e-4), 200, "converged"
    yield "some rows", squared, L2(1e-4), some, y, least_squares(some, y, 1e-4), 60, "epochs"
    best = optimum("squared_error", some, y, absolute=1e-3)
    yield "some rows, L1", squared, L1(1e-3), some, y, best, 40, "converged"
    best = least_squares(alike, between, 0.0)
    yield "columns alike", squared, NoPenalty(), alike, between, best, 400, "converged"
    best = least_squares(walk, walked, 0.0)
    yield "random walks", squared, NoPenalty(), walk, walked, best, 200, "converged"
    heavy = rng.standard_t(1.5, (300, 5))
    sides = np.where(heavy.clip(-2, 2) @ rng.standard_normal(5) + rng.logistic(size=300) > 0, 1.0, -1.0)
    for penalty, best in (
        (L1(0.01), optimum("hinge", heavy, sides, absolute=0.01)),
        (L2(1.0), optimum("hinge", heavy, sides, decay=1.0)),
    ):
        yield f"heavy tails, {name(penalty)}", losses.Hinge(), penalty, heavy, sides, best, 1000, "converged"
    levels = np.hstack([np.eye(k)[rng.zipf(1.5, n).clip(1, k) - 1] for k in (3, 10, 40)])
    counts = rng.poisson(np.exp(0.5 * levels @ rng.standard_normal(53))).astype(float)
    best = optimum("poisson", levels, counts, decay=1e-6)
    yield "one-hot columns", losses.Poisson(), L2(1e-6), levels, counts, best, 300, "converged"


@pytest.mark.parametrize("case", list(hard()), ids=lambda case: case[0])
def test_converged_is_said_of_what_is(case):
    """What is said to be left is at least a third of the truth, where training was cut short, too."""
    _, loss, penalty, X, y, best, epochs, why = case
    engine, source, state, stop = fitted(loss, penalty, X, y, epochs=epochs, tolerance=1e-4)
    reached = objective(engine, source, engine.weights(state))
    alone = np.zeros((1, X.shape[1] + 1))
    nulls = []
    for alone[0, -1] in [np.mean(y), np.log(max(np.mean(y), 1e-9)), -1.0, 1.0]:
        nulls.append(objective(engine, source, alone))
    left = (reached - best) / max(min(nulls) - reached, 1e-6)
    said = state.history[-1]["optimality"]
    assert min(left, 1.0) <= 3.0 * said + 1e-9
    assert stop.reason == why
    assert (said <= 1e-4) == (why == "converged")


@pytest.mark.parametrize("loss", [*SMOOTH[:5], *KINKED], ids=name)
def test_a_check_finds_about_what_is_left(loss, monkeypatch):
    """One pass that moves nothing bounds how far the objective is from its optimum, and not from afar."""
    monkeypatch.setattr(turns, "_LONG", 3)
    X, y, weight = problem(loss)
    engine, source, state, _ = fitted(loss, L2(0.02), X, y, weight, epochs=4, tolerance=1e-12)
    note, reached = state.notes["solver"], objective(engine, source, engine.weights(state))
    assert note["checks"] == 1
    best, there, ended, _ = fitted(loss, L2(0.02), X, y, weight, epochs=1000, tolerance=1e-9)
    least = objective(best, there, best.weights(ended))
    assert 0.5 * (reached - least) <= note["found"] <= 20 * (reached - least) + 1e-6


@pytest.mark.parametrize("alike", [0, 12], ids=["", "the first alike"])
@pytest.mark.parametrize("n", [2, 3, 9, 31])
@pytest.mark.parametrize("penalty", [NoPenalty(), L1(0.01)], ids=name)
def test_few_rows(penalty, n, alike):
    """The metric is measured on the first rows; without a squared penalty, nothing else would do where they show no spread."""
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, 4))
    X[:alike] = X[0]
    y = np.where(np.arange(n) % 2, 1.0, -1.0)
    engine, source, state, _ = fitted(LOG, penalty, X, y, order=Order(0, shuffle=False))
    weights = engine.weights(state)
    assert np.isfinite(weights).all()
    assert objective(engine, source, weights) <= np.log(2.0) + 1e-6


def test_to_ask_whether_a_state_fits_does_not_change_it():
    """`require` reads; what begins training is done by its first sweep."""
    X, y, weight = problem(losses.Poisson())
    engine, source, state = prepared(losses.Poisson(), L2(0.01), X, y, weight)
    before = [array.copy() for array in state.memory]
    engine.require(state, source)
    for here, there in zip(state.memory, before, strict=True):
        np.testing.assert_array_equal(here, there)


def test_columns_of_any_scale_do_no_harm():
    """Columns from 1e-12 to 1e12, one constant, one of zeros: without a penalty, predictions are those of columns alike."""
    X, y, _ = problem(LOG)
    scales = np.array([1e-12, 1e-6, 1.0, 1e3, 1e8, 1e12])
    scaled = np.hstack([X * scales, np.full((len(X), 1), 7.0), np.zeros((len(X), 1))])
    for kind in (np.asarray, sp.csr_matrix):
        engine, source, state, _ = fitted(LOG, NoPenalty(), kind(X), y, tolerance=1e-9)
        best = objective(engine, source, engine.weights(state))
        engine, source, state, _ = fitted(LOG, NoPenalty(), kind(scaled), y, tolerance=1e-9)
        assert objective(engine, source, engine.weights(state)) < best + 1e-4


def test_threads_of_blas_change_no_bit():
    """Sums over more than 10,000 coefficients are divided among its threads, were it let."""
    rng = np.random.default_rng(0)
    X = sp.random_array((1000, 12_000), density=0.003, format="csr", rng=rng)
    y = np.where(X[:, :2000].sum(axis=1) > X[:, 2000:4000].sum(axis=1), 1.0, -1.0)
    found = []
    for number in (1, 2):
        with threadpool_limits(number, user_api="blas"):
            engine, _, state, _ = fitted(losses.LogLoss(), L1(1e-4), X, y)
            weights = engine.weights(state).copy()
            found.append(
                [weights, *(penalty_value(kind, weights + 0.1) for kind in (L2(0.1), ElasticNet(0.1, 0.5)))]
            )
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_separable_classes_without_a_penalty_end_in_finite_weights():
    """There is no optimum; the loss is small all the same."""
    X, _, _ = problem(LOG)
    y = np.where(X[:, 0] > 0.1, 1.0, -1.0)
    engine, source, state, _ = fitted(LOG, NoPenalty(), X, y, epochs=60)
    w = engine.weights(state)
    assert np.isfinite(w).all()
    assert engine.measure(source, w) < 0.05


def test_classes_that_come_late_are_learned():
    """Rows sorted by class and visited in order come to the same optimum as in any order."""
    X, y, _ = problem(SOFTMAX)
    order = np.argsort(y)
    results = []
    for visits in (Order(0, shuffle=False), ANY_ORDER):
        engine, source, state, _ = fitted(SOFTMAX, L2(0.01), X[order], y[order], order=visits)
        results.append(objective(engine, source, engine.weights(state)))
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_offsets_and_parts_of_rows():
    """An offset joins the score, and rows outside the source count for nothing."""
    X, _, _ = problem(losses.Poisson())
    rng = np.random.default_rng(5)
    exposure = rng.uniform(0.5, 3.0, len(X))
    y = rng.poisson(exposure * np.exp(X @ np.linspace(-0.4, 0.4, X.shape[1])))
    part = np.arange(0, len(X), 2, dtype=np.uint64)
    rows = as_rows(X, np.column_stack([y, np.log(exposure)]).astype(float))
    source = ArraySource(rows, subset=part)
    engine = SagaEngine(Offset(losses.Poisson()), L2(0.01), rows=len(part), tolerance=1e-9)
    state = engine.start(X.shape[1], 1, np.float64)
    assert train(Run(engine, source, ANY_ORDER, state, epochs=300)).reason == "converged"
    assert imbalance(engine, source, engine.weights(state)) < 1e-3


def test_without_an_intercept_there_is_none():
    """It stays at zero, and nothing else is left to gain."""
    X, y, weight = problem(LOG)
    engine, source, state, _ = fitted(LOG, L2(0.01), X, y, weight, fit_intercept=False, tolerance=1e-9)
    w = engine.weights(state)
    assert (w[:, -1] == 0.0).all()
    slopes = imbalance(engine, source, np.hstack([w[:, :-1], w[:, -1:]]))
    train(Run(engine, source, ANY_ORDER, state, epochs=state.epoch + 1))
    assert slopes < 1.0
    np.testing.assert_allclose(engine.weights(state), w, atol=1e-4)


def test_training_goes_on_from_given_weights():
    """Begun elsewhere, it comes to the same optimum."""
    X, y, weight = problem(LOG)
    engine, source, state, _ = fitted(LOG, L2(0.01), X, y, weight, tolerance=1e-10)
    w = engine.weights(state)
    again = engine.start(X.shape[1], 1, np.float64, w + 0.5)
    stop = train(Run(engine, source, Order(1), again, epochs=100))
    assert stop.reason == "converged"
    np.testing.assert_allclose(engine.weights(again), w, atol=1e-2)


def test_what_was_done_is_recorded():
    """Every record has the batch size and the step, which the last pass, a check, does not take; the note says why it ended."""
    X, y, weight = problem(LOG)
    _, _, state, stop = fitted(LOG, L2(0.01), X, y, weight)
    *before, last = state.history
    assert all(record["batch_size"] == 1 and record["step"] == 1.0 for record in before)
    assert last["step"] == 0.0
    assert state.notes["solver"]["ended"] == stop.message
    assert 0 <= last["optimality"] <= 1e-6
