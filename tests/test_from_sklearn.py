"""From scikit-learn's linear models and back."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import linear_model, svm
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import scale

from fallline import SGDClassifier, SGDOneClassSVM, SGDRegressor, from_sklearn
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.descent import DescentEngine
from fallline.errors import ParameterError
from fallline.objective.losses import Huber
from fallline.optim.optimizers import SGD
from fallline.optim.schedules import Constant
from fallline.settings import make_penalty

DIABETES_X, DIABETES_Y = map(scale, load_diabetes(return_X_y=True))
IRIS = load_iris()
IRIS_X = scale(IRIS.data)
TWO = IRIS.target < 2
COUNTS = np.random.default_rng(0).poisson(np.exp(0.3 * DIABETES_X[:, 2])) + 1.0

# Estimators of scikit-learn, fitted to their optimum.
CLASSIFIERS = [
    linear_model.LogisticRegression(C=0.05, tol=1e-10, max_iter=10_000),
    linear_model.LogisticRegression(C=0.05, l1_ratio=1.0, solver="saga", tol=1e-10, max_iter=10_000),
    linear_model.LogisticRegression(C=0.05, l1_ratio=0.3, solver="saga", tol=1e-10, max_iter=10_000),
    linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000, fit_intercept=False),
    linear_model.LogisticRegression(C=0.05, class_weight={0: 1, 1: 3, 2: 0.5}, tol=1e-10, max_iter=10_000),
    linear_model.RidgeClassifier(alpha=3.0),
    svm.LinearSVC(C=0.05, fit_intercept=False, tol=1e-10, max_iter=100_000),
    svm.LinearSVC(C=0.05, fit_intercept=False, loss="hinge", tol=1e-10, max_iter=1_000_000),
]
REGRESSORS = [
    linear_model.LinearRegression(),
    linear_model.Ridge(alpha=30.0),
    linear_model.Ridge(alpha=30.0, fit_intercept=False),
    linear_model.Lasso(alpha=0.05, tol=1e-10),
    linear_model.ElasticNet(alpha=0.05, l1_ratio=0.4, tol=1e-10),
    svm.LinearSVR(C=0.05, fit_intercept=False, tol=1e-10, max_iter=1_000_000),
    linear_model.PoissonRegressor(alpha=0.05, tol=1e-10, max_iter=1000),
    linear_model.GammaRegressor(alpha=0.05, tol=1e-10, max_iter=1000),
    linear_model.TweedieRegressor(power=1.5, alpha=0.05, tol=1e-10, max_iter=1000),
    linear_model.TweedieRegressor(power=0, alpha=0.05, tol=1e-10, max_iter=1000),
    linear_model.QuantileRegressor(quantile=0.3, alpha=0.01),
    linear_model.HuberRegressor(alpha=0.5, tol=1e-10, max_iter=10_000),
]
POSITIVE = (linear_model.PoissonRegressor, linear_model.GammaRegressor, linear_model.TweedieRegressor)


def _id(estimator):
    return str(estimator)


def _objective(model, X, y):
    """Of weights, as an engine measures it."""
    loss, targets, _, weight = model._read_targets(y, len(X), X.dtype, new=True)
    source = ArraySource(as_rows(X, targets, weight))
    penalty = make_penalty(model.penalty, model.alpha, model.l1_ratio)
    engine = DescentEngine(loss, SGD(), Constant(1.0), 1, penalty)
    return lambda weights: engine.measure(source, weights) + engine.penalise(weights)


def _weights(model):
    return np.column_stack([np.atleast_2d(model.coef_), model.intercept_])


@pytest.mark.parametrize("estimator", CLASSIFIERS + REGRESSORS, ids=_id)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_objective_is_the_same(estimator):
    """What minimises scikit-learn's objective minimises ours: no step in any direction goes lower."""
    if estimator in CLASSIFIERS:
        X, y = IRIS_X, IRIS.target
    else:
        X, y = DIABETES_X, COUNTS if isinstance(estimator, POSITIVE) else DIABETES_Y
    theirs = clone(estimator).fit(X, y)
    ours = from_sklearn(theirs, n_samples=len(X))
    objective, lowest = _objective(ours, X, y), _weights(ours)
    best, generator = objective(lowest), np.random.default_rng(0)
    for size in (1e-3, 3e-2):
        steps = [*generator.standard_normal((50, *lowest.shape)), lowest, -lowest]
        for step in steps:
            if not ours.fit_intercept:
                step[:, -1] = 0
            assert objective(lowest + size * step) >= best - 1e-7 * size


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=_id)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_classifiers_predict_the_same_there_and_back(estimator, classes):
    """A fitted classifier gives the same scores, classes and probabilities here, and there again."""
    X, y = IRIS_X[IRIS.target < classes], np.array(["a", "b", "c"])[IRIS.target[IRIS.target < classes]]
    theirs = clone(estimator)
    if "class_weight" in theirs.get_params():
        theirs.set_params(class_weight="balanced" if classes == 2 else None)
    theirs.fit(X, y)
    ours = from_sklearn(theirs, n_samples=len(X))
    back = ours.to_sklearn(n_samples=len(X))
    for model in (ours, back):
        np.testing.assert_allclose(model.decision_function(X), theirs.decision_function(X), atol=1e-9)
        np.testing.assert_array_equal(model.predict(X), theirs.predict(X))
        np.testing.assert_array_equal(model.classes_, theirs.classes_)
        assert model.n_features_in_ == 4
        if hasattr(theirs, "predict_proba"):
            np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("estimator", REGRESSORS, ids=_id)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_regressors_predict_the_same_there_and_back(estimator):
    """A fitted regressor gives the same predictions here, and there again."""
    theirs = clone(estimator).fit(DIABETES_X, COUNTS)
    ours = from_sklearn(theirs, n_samples=len(COUNTS))
    np.testing.assert_allclose(ours.predict(DIABETES_X), theirs.predict(DIABETES_X), rtol=1e-9)
    back = ours.to_sklearn(n_samples=len(COUNTS))
    np.testing.assert_allclose(back.predict(DIABETES_X), theirs.predict(DIABETES_X), rtol=1e-9)


def test_parameters_go_there_and_back():
    """Estimators of gradient descent keep all parameters."""
    for theirs in (
        linear_model.SGDClassifier(
            loss="log_loss", alpha=0.1, learning_rate="adaptive", class_weight="balanced"
        ),
        linear_model.SGDRegressor(penalty=None, eta0=0.5, average=7, tol=None),
        linear_model.SGDOneClassSVM(nu=0.2, shuffle=False, random_state=3),
    ):
        assert from_sklearn(theirs).to_sklearn().get_params() == theirs.get_params()


@pytest.mark.parametrize(
    ("theirs", "X", "y"),
    [
        (linear_model.SGDClassifier(shuffle=False), IRIS_X, IRIS.target),
        (linear_model.SGDClassifier(loss="log_loss", shuffle=False), IRIS_X[TWO], IRIS.target[TWO]),
        (linear_model.Perceptron(shuffle=False), IRIS_X, IRIS.target),
        (linear_model.SGDRegressor(shuffle=False), DIABETES_X, DIABETES_Y),
        (
            linear_model.SGDRegressor(loss="epsilon_insensitive", learning_rate="pa2", shuffle=False),
            DIABETES_X,
            DIABETES_Y,
        ),
        (linear_model.SGDOneClassSVM(shuffle=False), DIABETES_X, None),
    ],
    ids=_id,
)
def test_partial_fit_goes_on(theirs, X, y):
    """An estimator taken over half-way takes the steps that it would have taken."""
    theirs.set_params(max_iter=1, tol=None).fit(X, y)
    ours = from_sklearn(theirs).partial_fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.partial_fit(X, y).coef_, rtol=1e-9)
    assert ours.t_ == theirs.t_


@pytest.mark.filterwarnings("ignore:Class PassiveAggressive:FutureWarning")
def test_passive_aggressive_estimators():
    """They are passive-aggressive steps of SGD, which scikit-learn names so, too."""
    given = {"C": 0.5, "shuffle": False, "tol": None, "max_iter": 2}
    classifier = linear_model.PassiveAggressiveClassifier(loss="squared_hinge", **given)
    regressor = linear_model.PassiveAggressiveRegressor(**given)
    for theirs, X, y in ((classifier, IRIS_X, IRIS.target), (regressor, DIABETES_X, DIABETES_Y)):
        np.testing.assert_allclose(from_sklearn(theirs).fit(X, y).coef_, theirs.fit(X, y).coef_, rtol=1e-9)


def test_several_targets():
    """Models of several targets come over; scikit-learn's SGDRegressor has one."""
    y = np.column_stack([DIABETES_Y, -DIABETES_Y])
    theirs = linear_model.Ridge().fit(DIABETES_X, y)
    ours = from_sklearn(theirs, n_samples=len(y))
    np.testing.assert_allclose(ours.predict(DIABETES_X), theirs.predict(DIABETES_X), rtol=1e-9)
    with pytest.raises(ParameterError, match="2 targets"):
        ours.to_sklearn()


@pytest.mark.parametrize(
    "model",
    [
        SGDClassifier(loss="modified_huber", penalty="none", random_state=0),
        SGDClassifier(loss=Huber(epsilon=0.3), random_state=0),
        SGDClassifier(loss="multinomial", random_state=0),
        SGDOneClassSVM(random_state=0),
        SGDRegressor(loss="quantile", penalty="l1", random_state=0),
        SGDRegressor(loss="poisson", random_state=0),
    ],
    ids=_id,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ours_predict_the_same_there(model):
    """A model trained here predicts the same as an estimator of scikit-learn's, which can be trained again."""
    y = IRIS.target if isinstance(model, SGDClassifier) else IRIS_X[:, 0] ** 2
    ours = model.fit(IRIS_X, y)
    theirs = ours.to_sklearn(n_samples=len(y))
    assert type(theirs).__module__.startswith("sklearn.")
    np.testing.assert_allclose(theirs.predict(IRIS_X), ours.predict(IRIS_X), rtol=1e-9)
    theirs.fit(IRIS_X, y)


def test_what_is_not_known_is_asked_for_or_refused():
    """No strength is guessed, and no other objective put in the place of one that there is not."""
    for theirs, message in (
        (linear_model.LogisticRegression(), "Pass n_samples"),
        (linear_model.Ridge(), "Pass n_samples"),
        (linear_model.LogisticRegression(solver="liblinear"), "penalises the intercept"),
        (svm.LinearSVC(), "penalises the intercept"),
        (linear_model.Lasso(positive=True), "positive"),
        (linear_model.HuberRegressor(), "scale"),
        (linear_model.RidgeClassifier(class_weight="balanced"), "class_weight"),
        (linear_model.TweedieRegressor(power=1.5, link="identity"), "link"),
        (linear_model.LassoCV(), "no counterpart"),
        (SGDClassifier(), "no counterpart"),
    ):
        with pytest.raises(ParameterError, match=message):
            from_sklearn(theirs)
    with pytest.raises(ParameterError, match="'l1' or none"):
        SGDRegressor(loss="quantile").to_sklearn()
    with pytest.raises(ParameterError, match="Pass n_samples"):
        SGDClassifier(loss="multinomial").to_sklearn()
