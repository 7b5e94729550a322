"""The scikit-learn surface."""

from __future__ import annotations

import pickle
import signal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from sklearn import linear_model
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.estimator_checks import parametrize_with_checks

from fallline import SGDClassifier, SGDRegressor
from fallline.engines import threads
from fallline.errors import InterruptedWarning, ParameterError
from fallline.monitors.long_epochs import LongEpochs
from fallline.objective.losses import LOSSES
from fallline.optim.optimizers import Adam
from fallline.optim.schedules.cosine import Cosine

ONE_PASS = {
    "max_iter": 1,
    "tol": None,
    "shuffle": False,
    "learning_rate": "constant",
    "eta0": 0.01,
    "alpha": 0.01,
}
IRIS = load_iris()
IRIS_X = scale(IRIS.data)

# Why these checks fail, and are meant to.
_WEIGHTS = (
    "a row of weight 2 makes one update of twice the length, a row given twice makes two: batches of other rows give other "
    "iterates, and training ends within 1e-6 of the optimum, not at the check's 1e-7. scikit-learn's own SGD estimators are "
    "excused for the same reason"
)


def _expected_failures(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": _WEIGHTS,
        "check_sample_weight_equivalence_on_sparse_data": _WEIGHTS,
    }


@parametrize_with_checks([SGDClassifier(), SGDRegressor()], expected_failed_checks=_expected_failures)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_s_checks(estimator, check):
    """scikit-learn's own contract for estimators."""
    check(estimator)


@pytest.mark.parametrize("theirs", [linear_model.SGDClassifier, linear_model.SGDRegressor])
def test_all_of_scikit_learn_s_parameters_with_its_defaults(theirs):
    """Changing the import is enough: every parameter is there, with the same default where training is not left to itself."""
    ours = {"SGDClassifier": SGDClassifier, "SGDRegressor": SGDRegressor}[theirs.__name__]
    by_itself = {"learning_rate": "auto", "tol": "auto"}
    assert (theirs().get_params() | by_itself).items() <= ours().get_params().items()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("loss", "penalty", "classes"),
    [(loss, "l2", 2) for loss in linear_model.SGDClassifier.loss_functions]
    + [(loss, None, 3) for loss in ("hinge", "log_loss", "modified_huber", "squared_error")],
)
def test_classifier_takes_scikit_learn_s_steps(loss, penalty, weighted, classes):
    """With batch_size=1, one pass in order gives scikit-learn's coefficients, weights of rows and classes included."""
    X, y = IRIS_X[IRIS.target < classes], IRIS.target[IRIS.target < classes]
    settings = {
        **ONE_PASS,
        "loss": loss,
        "penalty": penalty,
        "class_weight": {0: 2.0, 1: 0.5} if weighted else None,
    }
    weight = np.linspace(0, 2, len(y)) if weighted else None
    theirs = linear_model.SGDClassifier(**settings).fit(X, y, sample_weight=weight)
    ours = SGDClassifier(batch_size=1, **settings).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6, atol=1e-12)
    assert ours.t_ == theirs.t_


@pytest.mark.filterwarnings("ignore:Training diverged:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("loss", [name for name, kind in LOSSES.items() if kind().domain.classes])
@pytest.mark.parametrize("classes", [2, 3])
def test_every_loss_of_classes_works_by_default(loss, classes):
    """With nothing else set, every loss trains on two and three classes."""
    X, y = IRIS_X[IRIS.target < classes], IRIS.target[IRIS.target < classes]
    model = SGDClassifier(loss=loss, random_state=0).fit(X, y)
    assert np.isfinite(model.coef_).all()
    assert model.predict(X).shape == y.shape


@pytest.mark.parametrize("average", [False, True, 30])
@pytest.mark.parametrize(
    ("loss", "learning_rate"),
    [
        ("squared_error", "constant"),
        ("squared_error", "invscaling"),
        ("huber", "invscaling"),
        ("epsilon_insensitive", "constant"),
        ("squared_epsilon_insensitive", "invscaling"),
    ],
)
def test_regressor_takes_scikit_learn_s_steps(loss, learning_rate, average):
    """With batch_size=1, one pass in order gives scikit-learn's coefficients, schedules and averages included."""
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X), scale(y)
    settings = {**ONE_PASS, "loss": loss, "learning_rate": learning_rate, "average": average}
    theirs = linear_model.SGDRegressor(**settings).fit(X, y)
    ours = SGDRegressor(batch_size=1, **settings).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("eta0", [0.001, 1.0])
@pytest.mark.parametrize("learning_rate", ["pa1", "pa2"])
@pytest.mark.parametrize("classes", [2, 3])
def test_classifier_takes_passive_aggressive_steps(classes, learning_rate, eta0, make):
    """With batch_size=1 they are scikit-learn's for dense rows, and those of sparse rows are the same."""
    X, y = IRIS_X[IRIS.target < classes], IRIS.target[IRIS.target < classes]
    settings = {**ONE_PASS, "learning_rate": learning_rate, "eta0": eta0, "class_weight": {0: 2.0, 1: 0.5}}
    theirs = linear_model.SGDClassifier(**settings).fit(X, y)
    ours = SGDClassifier(batch_size=1, **settings).fit(make(X), y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("learning_rate", ["pa1", "pa2"])
def test_regressor_takes_passive_aggressive_steps(learning_rate):
    """With batch_size=1 they are scikit-learn's, and a part at a time is as good as all at once."""
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X), scale(y)
    settings = {**ONE_PASS, "loss": "epsilon_insensitive", "learning_rate": learning_rate, "eta0": 0.1}
    theirs = linear_model.SGDRegressor(**settings).fit(X, y)
    ours = SGDRegressor(batch_size=1, **settings).partial_fit(X[:200], y[:200]).partial_fit(X[200:], y[200:])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6, atol=1e-12)


def test_passive_aggressive_mini_batches_take_the_mean_of_their_steps():
    """A batch of all rows moves by the mean of what each row would have moved by alone."""
    X, y = IRIS_X[:100], IRIS.target[:100]
    settings = {**ONE_PASS, "learning_rate": "pa1", "alpha": 0.0, "eta0": 0.1}
    alone = [
        SGDClassifier(batch_size=1, **settings).partial_fit(X[[i]], y[[i]], classes=[0, 1]).coef_
        for i in range(100)
    ]
    whole = SGDClassifier(batch_size="full", **settings).fit(X, y)
    np.testing.assert_allclose(whole.coef_, np.mean(alone, axis=0), rtol=1e-9)


def test_early_stopping_with_passive_aggressive_steps():
    """What the steps need to know of each row does not get into the score on the rows held out."""
    X, y = load_diabetes(return_X_y=True)
    model = SGDRegressor(
        loss="epsilon_insensitive", learning_rate="pa1", eta0=0.1, early_stopping=True, random_state=0, max_iter=3,
        tol=None, shuffle=False,
    ).fit(scale(X), scale(y))  # fmt: skip
    held_out = np.sort(next(ShuffleSplit(1, test_size=0.1, random_state=0).split(X))[1])
    score = model.score(scale(X)[held_out], scale(y)[held_out])
    assert model.history_.column("validation_score")[-1] == pytest.approx(score)
    errors = np.abs(model.predict(scale(X)[held_out]) - scale(y)[held_out])
    assert model.history_.column("validation_loss")[-1] == pytest.approx(np.maximum(errors - 0.1, 0).mean())


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"loss": "squared_error"}, "'epsilon_insensitive' only"), ({"optimizer": "adam"}, "optimizer='sgd'")],
)
def test_passive_aggressive_steps_need_a_loss_that_ends_and_no_other_optimizer(settings, message):
    """What they are not defined for is refused."""
    given = {"loss": "epsilon_insensitive", "learning_rate": "pa1", **settings}
    with pytest.raises(ParameterError, match=message):
        SGDRegressor(**given).fit(IRIS_X, IRIS.target)


def test_optimal_schedule_is_scikit_learn_s():
    """The default schedule of classifiers takes scikit-learn's steps too."""
    settings = {
        "loss": "log_loss", "learning_rate": "optimal", "max_iter": 1, "tol": None, "shuffle": False,
    }  # fmt: skip
    theirs = linear_model.SGDClassifier(**settings).fit(IRIS_X, IRIS.target)
    ours = SGDClassifier(batch_size=1, **settings).fit(IRIS_X, IRIS.target)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "arrow"])
def test_data_frames_are_taken(make):
    """pandas, polars and Arrow tables give the result of the array, and their column names are kept."""
    names = ["a", "b", "c", "d"]
    frame = make({name: IRIS_X[:, j] for j, name in enumerate(names)})
    settings = {"random_state": 0, "max_iter": 20, "tol": None}
    expected = SGDClassifier(**settings).fit(IRIS_X, IRIS.target)
    model = SGDClassifier(**settings).fit(frame, IRIS.target)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    np.testing.assert_array_equal(model.predict(frame), expected.predict(IRIS_X))
    if make is not pa.table:
        assert list(model.feature_names_in_) == names


@pytest.mark.parametrize("series", [pd.Series, pl.Series, pa.array], ids=["pandas", "polars", "arrow"])
def test_targets_may_be_series(series):
    """Targets come as pandas, polars or Arrow columns too."""
    model = SGDClassifier(random_state=0).fit(IRIS_X, series(IRIS.target.tolist()))
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    """float32 in, float32 out."""
    model = SGDClassifier(loss="log_loss", max_iter=5, tol=None).fit(IRIS_X.astype(dtype), IRIS.target)
    assert {model.coef_.dtype, model.intercept_.dtype} == {np.dtype(dtype)}
    assert model.decision_function(IRIS_X.astype(dtype)).dtype == dtype
    assert model.predict_proba(IRIS_X.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber", "multinomial"])
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities(loss, classes):
    """Probabilities lie in [0, 1], sum to 1, and are highest for the predicted class; logarithms agree."""
    X, y = IRIS_X[IRIS.target < classes], IRIS.target[IRIS.target < classes]
    model = SGDClassifier(
        loss=loss, random_state=0, max_iter=50, tol=None, eta0=0.1, learning_rate="constant"
    ).fit(X, y)
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (len(y), classes)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(model.predict_log_proba(X), np.log(probabilities))
    assert model.score(X, y) > 0.85


def test_multinomial_reaches_the_softmax_optimum():
    """Batch descent on the multinomial loss ends at scikit-learn's softmax regression of the same penalty."""
    X, y = IRIS_X, IRIS.target
    model = SGDClassifier(
        loss="multinomial", alpha=0.01, batch_size="full", optimizer="nesterov", learning_rate="constant", eta0=0.5,
        max_iter=3000, tol=None,
    ).fit(X, y)  # fmt: skip
    exact = linear_model.LogisticRegression(C=1 / (0.01 * len(y)), tol=1e-12, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X), exact.predict_proba(X), atol=1e-6)


def test_hinge_has_no_probabilities():
    """Losses without probabilities have no predict_proba at all."""
    assert not hasattr(SGDClassifier(), "predict_proba")
    with pytest.raises(AttributeError, match="predict_proba"):
        SGDClassifier().predict_proba(IRIS_X)


def test_labels_may_be_strings_or_booleans():
    """Classes keep the type in which they came."""
    names = np.array(["setosa", "versicolor", "virginica"])[IRIS.target]
    model = SGDClassifier(random_state=0).fit(IRIS_X, names)
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    assert set(model.predict(IRIS_X)) <= set(names)
    assert SGDClassifier(random_state=0).fit(IRIS_X, names == "setosa").predict(IRIS_X).dtype == bool


def test_several_targets():
    """Several targets are fitted side by side, each as if alone."""
    X, y = load_diabetes(return_X_y=True)
    X = scale(X)
    several = SGDRegressor(random_state=0, max_iter=30, tol=None).fit(X, np.column_stack([y, -2 * y]))
    alone = SGDRegressor(random_state=0, max_iter=30, tol=None).fit(X, y)
    assert several.coef_.shape == (2, 10)
    assert several.predict(X).shape == (len(y), 2)
    np.testing.assert_allclose(several.coef_[0], alone.coef_)
    np.testing.assert_allclose(several.predict(X)[:, 0], alone.predict(X))


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_losses_with_a_logarithmic_link_predict_means(loss):
    """Predictions of counts and amounts are positive and in the units of the target."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((2000, 3))
    mean = np.exp(X @ [0.5, -0.3, 0.2] + 1)
    y = generator.poisson(mean) + (loss == "gamma")
    model = SGDRegressor(loss=loss, learning_rate="constant", random_state=0, max_iter=50).fit(X, y)
    predicted = model.predict(X)
    assert (predicted > 0).all()
    assert predicted.mean() == pytest.approx(y.mean(), rel=0.05)


def test_partial_fit_takes_mini_batches():
    """partial_fit makes the updates of one epoch over the rows given, the short last batch included."""
    model = SGDClassifier(batch_size=32, **{k: v for k, v in ONE_PASS.items() if k != "max_iter"})
    for part in np.array_split(np.arange(150), 3):
        model.partial_fit(IRIS_X[part], IRIS.target[part], classes=[0, 1, 2])
    assert model.t_ == 1 + 3 * 2
    whole = SGDClassifier(batch_size=25, **ONE_PASS).fit(IRIS_X, IRIS.target)
    parts = SGDClassifier(batch_size=25, **{k: v for k, v in ONE_PASS.items() if k != "max_iter"})
    for part in np.array_split(np.arange(150), 3):
        parts.partial_fit(IRIS_X[part], IRIS.target[part], classes=[0, 1, 2])
    np.testing.assert_array_equal(parts.coef_, whole.coef_)


def test_partial_fit_after_a_stop_reads_all_new_rows():
    """Rows left over by a time limit are not held against those of the next call."""
    X = np.random.default_rng(0).standard_normal((100_000, 3))
    model = SGDRegressor(max_iter=10**9, tol=None, time_limit=1e-9).fit(X, X[:, 0])
    assert model.history_.stop.reason == "time_limit"
    updates = model.t_
    model.set_params(time_limit=None).partial_fit(X[:200], X[:200, 0])
    assert model.t_ == updates + 7


def test_a_failed_partial_fit_changes_nothing():
    """If the rows of a partial_fit cannot be used, the model is as it was before."""
    model = SGDClassifier(random_state=0).partial_fit(IRIS_X, IRIS.target, classes=[0, 1, 2])
    before = model.coef_.copy(), model.t_
    bad = IRIS_X.copy()
    bad[120, 2] = np.nan
    with pytest.raises(ValueError, match="row 120, column 2"):
        model.partial_fit(bad, IRIS.target)
    np.testing.assert_array_equal(model.coef_, before[0])
    assert model.t_ == before[1]


def test_warm_start_goes_on_from_the_coefficients():
    """With warm_start a second fit begins where the first ended; without, it begins anew."""
    settings = {"batch_size": "full", **ONE_PASS}
    warm = SGDRegressor(warm_start=True, **settings)
    for _ in range(3):
        warm.fit(IRIS_X, IRIS.target)
    once = SGDRegressor(**{**settings, "max_iter": 3}).fit(IRIS_X, IRIS.target)
    np.testing.assert_allclose(warm.coef_, once.coef_)
    given = SGDRegressor(**settings).fit(IRIS_X, IRIS.target, coef_init=np.ones(4), intercept_init=[1.0])
    assert (given.coef_ > 0.5).all()


def test_early_stopping_keeps_the_best_weights():
    """Training stops on the held-out score and goes back to the weights that scored best."""
    X, y = load_digits(return_X_y=True)
    model = SGDClassifier(
        early_stopping=True, random_state=0, loss="log_loss", learning_rate="optimal", batch_size=32
    ).fit(X / 16, y)
    scores = model.history_.column("validation_score")
    assert model.history_.stop.reason == "early_stopping"
    assert model.n_iter_ == len(scores)
    assert scores.max() > scores[-1]
    held_out = np.sort(next(StratifiedShuffleSplit(1, test_size=0.1, random_state=0).split(X, y))[1])
    assert model.score(X[held_out] / 16, y[held_out]) == scores.max()
    before = model.coef_.copy()
    model.set_params(early_stopping=False, learning_rate="constant", eta0=1e-12, alpha=0).partial_fit(
        X / 16, y
    )
    np.testing.assert_allclose(model.coef_, before, atol=1e-9)


def test_class_weight_balanced_counters_imbalance_in_mini_batches():
    """Balanced weights move predictions towards the rare class, at every batch size."""
    generator = np.random.default_rng(0)
    y = (np.arange(5000) % 50 == 0).astype(int)
    X = generator.standard_normal((5000, 2)) + 1.5 * y[:, np.newaxis]
    exact = linear_model.LogisticRegression(class_weight="balanced").fit(X, y).predict(X).mean()
    for batch_size, rate in ((1, 0.1), (8, 0.1), (32, 0.3), ("full", 1.0)):
        model = SGDClassifier(
            loss="log_loss", class_weight="balanced", learning_rate="constant", eta0=rate, batch_size=batch_size,
            max_iter=500 if batch_size == "full" else 20, tol=None, random_state=0, average=batch_size != "full",
        ).fit(X, y)  # fmt: skip
        assert model.predict(X).mean() == pytest.approx(exact, rel=0.15)


def test_optimizers_and_schedules_by_name_and_by_value():
    """Names and typed values give the same; an optimizer's own parameters count."""
    settings = {
        "random_state": 0, "max_iter": 20, "tol": None, "eta0": 0.01, "loss": "log_loss", "batch_size": 32,
    }  # fmt: skip
    named = SGDClassifier(optimizer="adam", learning_rate="cosine", warmup=0.1, **settings).fit(
        IRIS_X, IRIS.target
    )
    updates = 20 * 5
    typed = SGDClassifier(optimizer=Adam(), learning_rate=Cosine(0.01, updates // 10, updates), **settings)
    other = SGDClassifier(optimizer=Adam(beta_1=0.5), learning_rate="cosine", warmup=0.1, **settings)
    np.testing.assert_array_equal(typed.fit(IRIS_X, IRIS.target).coef_, named.coef_)
    assert (other.fit(IRIS_X, IRIS.target).coef_ != named.coef_).any()
    assert named.history_.column("learning_rate")[-1] < 1e-5


def test_works_in_pipelines_and_survives_cloning_and_pickling():
    """Estimators behave in scikit-learn's machinery."""
    pipeline = make_pipeline(
        StandardScaler(), SGDClassifier(random_state=0, optimizer=Adam(), learning_rate="constant")
    )
    fitted = clone(pipeline).fit(IRIS.data, IRIS.target)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(IRIS.data), fitted.predict(IRIS.data))
    again[-1].partial_fit(IRIS_X, IRIS.target)


def test_not_converging_warns():
    """Running out of epochs while still improving is a warning that says what to do."""
    with pytest.warns(ConvergenceWarning, match="Raise max_iter"):
        SGDRegressor(max_iter=2, learning_rate="invscaling", eta0=1e-4).fit(IRIS_X, IRIS.target)


def test_ctrl_c_leaves_a_fitted_model(monkeypatch):
    """Ctrl-C during fit warns and leaves a model with the best weights so far."""

    def press(monitor, run):
        if run.state.epoch == 5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(LongEpochs, "after_epoch", press)
    with pytest.warns(InterruptedWarning, match="best weights so far"):
        model = SGDClassifier(max_iter=10**9, tol=None, random_state=0, learning_rate="constant").fit(
            IRIS_X, IRIS.target
        )
    assert model.history_.stop.reason == "interrupted"
    monkeypatch.undo()
    best = int(np.argmin(model.history_.column("objective"))) + 1
    expected = SGDClassifier(max_iter=best, tol=None, random_state=0, learning_rate="constant").fit(
        IRIS_X, IRIS.target
    )
    np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_verbose_speaks_and_default_is_silent(capsys):
    """Nothing is printed by default; verbose=1 tells how training ended."""
    SGDClassifier(random_state=0).fit(IRIS_X, IRIS.target)
    assert capsys.readouterr() == ("", "")
    SGDClassifier(random_state=0, verbose=1).fit(IRIS_X, IRIS.target)
    assert "Training stopped because" in " ".join(capsys.readouterr().err.split())


def test_history_becomes_a_data_frame():
    """The history is a list of records that pandas understands."""
    model = SGDRegressor(max_iter=4, tol=None, learning_rate="invscaling").fit(IRIS_X, IRIS.target)
    frame = pd.DataFrame(model.history_)
    assert frame["epoch"].tolist() == [1, 2, 3, 4]
    assert {"rows", "updates", "seconds", "loss", "objective", "gradient_norm", "learning_rate"} <= set(
        frame.columns
    )
    assert model.history_.stop.reason == "epochs"


def test_r2_is_that_of_the_held_out_rows():
    """The validation score of a regressor is R2 on the rows held out."""
    X, y = load_diabetes(return_X_y=True)
    X = scale(X)
    model = SGDRegressor(early_stopping=True, random_state=0, max_iter=3, tol=None, shuffle=False).fit(X, y)
    held_out = np.sort(next(ShuffleSplit(1, test_size=0.1, random_state=0).split(X))[1])
    assert model.history_.column("validation_score")[-1] == pytest.approx(
        r2_score(y[held_out], model.predict(X[held_out]))
    )


@pytest.mark.parametrize("schedule", ["optimal", "invscaling"])
def test_time_limit(schedule):
    """A fit with a time limit ends in time and says so, however many epochs it may take: no search takes a share of all these."""
    settings = {"max_iter": 10**9, "tol": None, "learning_rate": schedule, "time_limit": 0.1}
    model = SGDClassifier(**settings, random_state=0).fit(IRIS_X, IRIS.target)
    assert model.history_.stop.reason == "time_limit"


@pytest.mark.parametrize("name", ["cosine", "one_cycle"])
def test_schedules_with_an_end_need_fit(name):
    """partial_fit refuses schedules that need to know where training ends."""
    with pytest.raises(ParameterError, match="where training ends"):
        SGDRegressor(learning_rate=name).partial_fit(IRIS_X, IRIS.target)


def test_an_explosion_that_stays_finite_warns():
    """Weights that are far worse than none are not passed off as converged."""
    X = 80 * np.abs(np.random.default_rng(0).standard_normal((60, 3)))
    with pytest.warns(ConvergenceWarning, match=r"Training diverged.*Columns reach.*Try a learning rate"):
        SGDRegressor(learning_rate="invscaling", batch_size=32, random_state=0).fit(X, X[:, 0])


def test_a_failed_fit_changes_nothing():
    """If a second fit cannot be made, the model of the first still predicts."""
    model = SGDClassifier(random_state=0).fit(IRIS_X, IRIS.target)
    before = model.predict(IRIS_X)
    with pytest.raises(ParameterError):
        model.set_params(learning_rate="constant", eta0=-1).fit(IRIS_X[:, :2], IRIS.target == 0)
    np.testing.assert_array_equal(model.predict(IRIS_X), before)


@pytest.mark.parametrize("classes", [2, 20])
def test_classes_that_the_optimum_tells_nothing_about_are_warned_of(classes):
    """Of classes this rare, and hardly apart, the hinge loss is least with intercepts alone: that is found, and said."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((4_000, 5))
    y = generator.integers(0, 20, 4_000)
    with pytest.warns(ConvergenceWarning) as warned:
        model = SGDClassifier(random_state=0).fit(X, np.minimum(y, classes - 1))
    (told,) = (str(one.message) for one in warned)
    assert "no column is of use" in told
    assert model.optimality_ < 1e-3
    assert not model.coef_.any()


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    """n_jobs is how many threads sum, and the model is the same for any number of them."""
    generator, pool, taken = np.random.default_rng(0), threads._pool, []
    X = generator.standard_normal((30_000, 80))
    y = (X @ generator.standard_normal((80, 4))).argmax(axis=1)
    monkeypatch.setattr(threads, "_pool", lambda number: taken.append(number) or pool(number))
    one, three = (
        SGDClassifier(loss="log_loss", n_jobs=n_jobs, random_state=0, solver="newton").fit(X, y)
        for n_jobs in (1, 3)
    )
    np.testing.assert_array_equal(three.coef_, one.coef_)
    assert set(taken) == {2}  # beside the one that asks
    with pytest.raises(ParameterError, match="n_jobs=0"):
        SGDClassifier(n_jobs=0).fit(IRIS_X, IRIS.target)


@pytest.mark.parametrize("weights", [{0: -1, 1: 1, 2: 1}, {7: 1.0}, {0: "a"}, {0: np.nan}])
def test_bad_class_weights(weights):
    """Weights of classes are numbers of at least 0, for classes that there are."""
    with pytest.raises(ParameterError, match="class_weight"):
        SGDClassifier(class_weight=weights).fit(IRIS_X, IRIS.target)


def test_no_l1_ratio_is_needed_where_none_is_used():
    """As in scikit-learn, None is a value of it, but for the elastic net."""
    X, y = np.eye(6), np.arange(6) % 2
    assert SGDClassifier(l1_ratio=None).fit(X, y).coef_.shape == (1, 6)
    with pytest.raises(ParameterError, match="l1_ratio must be set"):
        SGDClassifier(penalty="elasticnet", l1_ratio=None).fit(X, y)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "Arrow"])
def test_labels_in_a_frame_of_one_column(frame):
    """They may be text, and are said to be a column, as scikit-learn says it."""
    labels = np.array(["a", "b"] * 20)
    X = np.where(labels == "a", 1.0, -1.0)[:, np.newaxis]
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model = SGDClassifier(random_state=0).fit(X, frame({"label": labels}))
    assert model.predict(X).tolist() == labels.tolist()
