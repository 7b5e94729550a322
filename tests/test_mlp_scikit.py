"""MLPClassifier and MLPRegressor against scikit-learn's contract, and against its own."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.preprocessing import scale
from sklearn.utils.estimator_checks import parametrize_with_checks

from fallline import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PAIRS = [
    (MLPClassifier, neural_network.MLPClassifier),
    (MLPRegressor, neural_network.MLPRegressor),
]
IRIS = load_iris()
IRIS_X = scale(IRIS.data)
DIABETES_X, DIABETES_Y = (scale(part) for part in load_diabetes(return_X_y=True))
SETTINGS = {"hidden_layer_sizes": (8, 5), "random_state": 0, "max_iter": 2, "alpha": 0.5, "shuffle": False}


@parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_s_checks(estimator, check):
    """scikit-learn's own contract for estimators."""
    check(estimator)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_all_of_scikit_learn_s_parameters_with_its_defaults(ours, theirs):
    """Changing the import is enough: every parameter is there, those by position in the same order; all defaults but a width."""
    usual = theirs().get_params() | {"hidden_layer_sizes": (256,)}
    assert usual.items() <= ours().get_params().items()
    first = list(theirs.__init__.__code__.co_varnames[1:4])
    assert list(ours.__init__.__code__.co_varnames[1:4]) == first


def _agree(ours, theirs):
    for mine, its in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [7, "auto"])
@pytest.mark.parametrize(
    "solver",
    [
        {"solver": "adam", "epsilon": 1e-3},
        {"solver": "sgd", "learning_rate_init": 0.05},
        {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False},
        {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0},
        {"solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "invscaling", "power_t": 0.3},
    ],
    ids=lambda solver: "-".join(map(str, solver.values())),
)
@pytest.mark.parametrize("kind", ["softmax", "logistic", "labels", "numbers", "several numbers", "poisson"])
def test_takes_scikit_learn_s_steps(kind, solver, batch_size, weighted):
    """From the same integer, and with rows in order, two epochs give scikit-learn's weights, with ragged batches and weights."""
    settings = {**SETTINGS, **solver, "batch_size": batch_size}
    pair, X, y = PAIRS[kind in ("numbers", "several numbers", "poisson")], IRIS_X, IRIS.target
    if kind == "logistic":
        X, y = X[y < 2], y[y < 2]
    elif kind == "labels":
        X, y = make_multilabel_classification(100, random_state=0)
        X = scale(X)
    elif kind == "poisson":
        settings["loss"] = "poisson"
    elif kind != "softmax":
        X, y = DIABETES_X[:100], DIABETES_Y[:100]
        y = np.column_stack([y, -y, y**2]) if kind == "several numbers" else y
    weight = np.linspace(0.1, 2, len(X)) if weighted else None
    ours, theirs = (estimator(**settings).fit(X, y, sample_weight=weight) for estimator in pair)
    _agree(ours, theirs)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_has_scikit_learn_s_activations(activation):
    """Every activation gives scikit-learn's weights and probabilities."""
    settings = {**SETTINGS, "activation": activation}
    ours, theirs = (estimator(**settings).fit(IRIS_X, IRIS.target) for estimator in PAIRS[0])
    _agree(ours, theirs)
    np.testing.assert_allclose(ours.predict_proba(IRIS_X), theirs.predict_proba(IRIS_X), rtol=1e-6)


def test_notes_what_scikit_learn_notes():
    """Losses, counts and names agree with scikit-learn's."""
    ours, theirs = (
        estimator(**{**SETTINGS, "alpha": 1e-4, "max_iter": 20}).fit(IRIS_X, IRIS.target)
        for estimator in PAIRS[0]
    )
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-4)
    for name in ("loss_", "best_loss_"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-4)
    for name in (
        "n_iter_",
        "t_",
        "n_layers_",
        "n_outputs_",
        "out_activation_",
        "n_features_in_",
        "validation_scores_",
    ):
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
def test_stops_when_scikit_learn_does(learning_rate):
    """With the same losses, training stops after the same epoch, rates lowered on the way."""
    settings = {**SETTINGS, "solver": "sgd", "learning_rate": learning_rate, "max_iter": 300, "tol": 5e-3}
    settings |= {"learning_rate_init": 0.05, "alpha": 1e-4, "n_iter_no_change": 3}
    ours, theirs = (estimator(**settings).fit(IRIS_X, IRIS.target) for estimator in PAIRS[0])
    assert ours.n_iter_ == theirs.n_iter_ < 300
    _agree(ours, theirs)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_goes_on_as_scikit_learn_does(solver):
    """Calls of `partial_fit` carry the optimizer along, as scikit-learn's do."""
    ours, theirs = (
        estimator(**{**SETTINGS, "solver": solver, "learning_rate": "invscaling"}) for estimator in PAIRS[0]
    )
    for part in np.array_split(np.arange(150), 4):
        for model in (ours, theirs):
            model.partial_fit(IRIS_X[part], IRIS.target[part], classes=[0, 1, 2])
    _agree(ours, theirs)
    assert ours.t_ == theirs.t_ == 150


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_sparse_rows_are_the_same_rows(make, ours, theirs):
    """Sparse and dense rows give the same network, whether batches stay sparse or not."""
    generator = np.random.default_rng(0)
    for density in (0.02, 0.9):
        X = sp.random(80, 60, density, random_state=0).toarray()
        y = generator.integers(0, 3, 80)
        dense, sparse = (ours(**SETTINGS).fit(rows, y) for rows in (X, make(X)))
        _agree(sparse, dense)
        np.testing.assert_allclose(sparse.predict(make(X)), dense.predict(X), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [pickle.dumps, clone, joblib.hash])
def test_can_be_copied_and_saved(make):
    """Pickle, clone and joblib take a trained network, and a copy goes on as the original does."""
    model = MLPClassifier(**SETTINGS).fit(IRIS_X, IRIS.target)
    if make is clone:
        assert not hasattr(clone(model), "coefs_")
        return
    if make is joblib.hash:
        assert make(model) == make(pickle.loads(pickle.dumps(model)))
        return
    copied = pickle.loads(make(model))
    for each in (copied, model):
        each.partial_fit(IRIS_X, IRIS.target)
    assert all(np.array_equal(a, b) for a, b in zip(copied.coefs_, model.coefs_, strict=True))


def test_weights_can_be_set():
    """Predictions follow `coefs_`, also where a user has replaced or changed them."""
    model = MLPRegressor(**SETTINGS).fit(DIABETES_X, DIABETES_Y)
    expected = model.predict(DIABETES_X)
    model.intercepts_[-1] = model.intercepts_[-1] + 1
    np.testing.assert_allclose(model.predict(DIABETES_X), expected + 1)
    model.coefs_[-1][:] = 0
    np.testing.assert_allclose(model.predict(DIABETES_X), np.full(len(expected), model.intercepts_[-1][0]))
