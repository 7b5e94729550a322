"""Whatever is passed gets the right answer or an error of the project's own that says what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from fallline import SGDClassifier, SGDRegressor, mini_batch_gradient_descent
from fallline.errors import (
    FalllineError,
    InputError,
    NonFiniteError,
    NotNumbersError,
    ParameterError,
    StateError,
    TargetError,
)
from fallline.objective.losses import LOSSES, Huber, LogLoss, Multinomial, Poisson, Quantile, Tweedie
from fallline.optim.optimizers import SGD

X = np.random.default_rng(0).standard_normal((40, 3))
Y = X @ [1.0, 2.0, 3.0]
CLASSES = (Y > 0).astype(int)


def textbook(X=X, y=Y, **settings):
    return mini_batch_gradient_descent(X, y, **{"num_epochs": 2, **settings})


def regressor(X=X, y=Y, sample_weight=None, **settings):
    return SGDRegressor(**{"max_iter": 2, "tol": None, **settings}).fit(X, y, sample_weight=sample_weight)


def classifier(X=X, y=CLASSES, sample_weight=None, **settings):
    return SGDClassifier(**{"max_iter": 2, "tol": None, **settings}).fit(X, y, sample_weight=sample_weight)


def changed(array, row, value):
    array = np.array(array, dtype=float)
    array[row] = value
    return array


# A column number beyond the columns, which SciPy does not look for.
UNSOUND = sp.csr_array(X)
UNSOUND.indices[5] = 7

FRAME = pd.DataFrame({"age": X[:, 0], "city": ["Rome"] * 40, "when": pd.Timestamp("2020-01-01")})


@pytest.mark.parametrize("use", [textbook, regressor, classifier])
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"X": changed(X, (7, 2), np.nan)}, NonFiniteError, "X holds NaN in row 7, column 2"),
        ({"X": changed(X, (7, 2), np.inf)}, NonFiniteError, r"X holds infinity \(inf\) in row 7, column 2"),
        ({"X": changed(X, (7, 2), -np.inf)}, NonFiniteError, r"X holds infinity"),
        ({"X": pd.DataFrame(changed(X, (7, 2), np.nan), columns=list("abc"))}, NonFiniteError, r"column 2 \('c'\)"),
        ({"X": X[:, 0]}, InputError, "Expected 2D array"),
        ({"X": X[:30]}, InputError, "X has 30 rows, but y has 40"),
        ({"X": X[:0], "y": Y[:0]}, InputError, "X is empty"),
        ({"X": X[:, :0]}, InputError, "X is empty"),
        ({"X": [], "y": []}, InputError, "Expected 2D array"),
        ({"X": X.astype(str)}, NotNumbersError, "dtype <U"),
        ({"X": np.array([[{}, 1, 2]] * 40)}, NotNumbersError, "Python objects"),
        ({"X": FRAME}, NotNumbersError, r"do not hold numbers: 'city' .*, 'when'"),
        ({"X": sp.csc_array(changed(X, (7, 2), np.nan))}, NonFiniteError, "X holds NaN in row 7, column 2"),
        ({"X": sp.coo_array(X[:, 0])}, InputError, "Expected 2D array"),
        ({"X": sp.csr_array((40, 0))}, InputError, "X is empty"),
        ({"X": sp.csr_array(X.astype(complex))}, InputError, "Complex data not supported"),
        ({"X": UNSOUND}, InputError, "not a sound sparse matrix"),
        ({"X": (row for row in X)}, InputError, "X is a generator"),
        ({"X": X + 1j}, InputError, "Complex"),
        ({"X": [[1, 2], [3]]}, InputError, "Every row needs the same number"),
        ({"y": None}, InputError, "y is None"),
        ({"y": (t for t in Y)}, InputError, "y is a generator"),
        ({"batch_size": 0}, ParameterError, "batch_size=0"),
        ({"batch_size": -1}, ParameterError, "batch_size=-1"),
        ({"batch_size": 1.5}, ParameterError, "batch_size=1.5"),
        ({"batch_size": 0.0}, ParameterError, "batch_size=0.0"),
        ({"batch_size": "ful"}, ParameterError, "batch_size='ful'"),
        ({"batch_size": True}, ParameterError, "batch_size=True"),
        ({"batch_size": None}, ParameterError, "batch_size=None"),
        ({"batch_size": float("nan")}, ParameterError, "batch_size=nan"),
        ({"loss": "hinj"}, ParameterError, "Did you mean 'hinge'|is not one of"),
        ({"loss": SGD()}, ParameterError, "is not one of"),
        ({"loss": Huber(-1)}, ParameterError, "epsilon=-1 is out of range"),
        ({"loss": Quantile(2)}, ParameterError, "quantile=2 is out of range"),
        ({"loss": Tweedie(0.5)}, ParameterError, "power=0.5"),
        ({"X": None}, InputError, "X is None"),
        ({"X": pd.DataFrame(X, columns=list("aab"))}, InputError, "several columns called 'a'"),
        ({"shuffle": "yes"}, ParameterError, "shuffle='yes'"),
        ({"random_state": "seed"}, ParameterError, "random_state='seed'"),
    ],
)  # fmt: skip
def test_bad_data_and_settings(use, settings, error, message):
    """Data and settings that cannot be used are named, with what was found and what is wanted."""
    with pytest.raises(error, match=message):
        use(**settings)


@pytest.mark.parametrize("use", [textbook, regressor])
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"y": changed(Y, 5, np.nan)}, NonFiniteError, "y contains NaN in row 5"),
        ({"y": changed(Y, 5, np.inf)}, NonFiniteError, r"y contains infinity \(inf\) in row 5"),
        ({"y": ["a"] * 40}, NotNumbersError, "For classes use a classifier"),
        ({"loss": "poisson"}, TargetError, "numbers of at least 0, but the target in row"),
        ({"loss": "gamma", "y": np.zeros(40)}, TargetError, "numbers above 0, but the target in row 0 is 0"),
        ({"loss": "tweedie", "y": -np.ones(40)}, TargetError, "at least 0"),
        ({"y": np.zeros((40, 0))}, InputError, "no column to predict"),
        ({"X": X.astype(np.float32), "y": 1e300 * Y}, InputError, "float32 cannot hold"),
    ],
)
def test_bad_numbers(use, settings, error, message):
    """Targets outside what the loss can take are named by row."""
    with pytest.raises(error, match=message):
        use(**settings)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"y": np.ones(40)}, TargetError, "1 class only"),
        ({"y": Y}, TargetError, "continuous.*use SGDRegressor"),
        ({"y": changed(CLASSES, 5, np.nan)}, NonFiniteError, "NaN"),
        ({"y": np.array([None, *["a"] * 39], dtype=object)}, InputError, "missing label"),
        ({"y": np.array([1, *["a"] * 39], dtype=object)}, TargetError, "mix strings and numbers"),
        ({"class_weight": "even"}, ParameterError, "class_weight='even'"),
        ({"loss": "poisson"}, ParameterError, "loss='poisson' is not one of"),
        ({"loss": Poisson()}, ParameterError, "does not fit here"),
    ],
)
def test_bad_labels(settings, error, message):
    """Labels that are no classes are refused, with what to do instead."""
    with pytest.raises(error, match=message):
        classifier(**settings)


@pytest.mark.parametrize("use", [regressor, classifier])
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"sample_weight": changed(np.ones(40), 3, np.nan)},
            NonFiniteError,
            "sample_weight contains NaN in row 3",
        ),
        ({"sample_weight": changed(np.ones(40), 3, -1)}, InputError, "sample_weight is -1 in row 3"),
        ({"sample_weight": np.ones(39)}, InputError, "sample_weight has 39"),
        ({"sample_weight": np.zeros(40)}, InputError, "zero in every row"),
        ({"eta0": 0, "learning_rate": "constant"}, ParameterError, "eta0=0 is out of range"),
        ({"eta0": float("nan"), "learning_rate": "constant"}, ParameterError, "eta0=nan"),
        ({"learning_rate": "optimal", "alpha": 0}, ParameterError, "alpha is 0"),
        ({"alpha": -1}, ParameterError, "alpha=-1"),
        ({"penalty": "l3"}, ParameterError, "penalty='l3'"),
        ({"penalty": "elasticnet", "l1_ratio": 2}, ParameterError, "l1_ratio=2"),
        ({"optimizer": Huber()}, ParameterError, "is not one of"),
        ({"learning_rate": Huber()}, ParameterError, "is not one of"),
        ({"optimizer": "adm"}, ParameterError, "Did you mean 'adam'"),
        ({"optimizer": "momentum", "momentum": 1}, ParameterError, "momentum=1"),
        ({"max_iter": 0}, ParameterError, "max_iter=0"),
        ({"tol": -1}, ParameterError, "tol=-1"),
        (
            {"n_iter_no_change": 0, "tol": 1e-3, "learning_rate": "optimal"},
            ParameterError,
            "n_iter_no_change=0",
        ),
        ({"validation_fraction": 1.0, "early_stopping": True}, ParameterError, "validation_fraction=1.0"),
        ({"validation_fraction": 1.5}, ParameterError, "validation_fraction=1.5"),
        ({"l1_ratio": 2}, ParameterError, "l1_ratio=2"),
        ({"epsilon": -1}, ParameterError, "epsilon=-1"),
        ({"n_iter_no_change": 0}, ParameterError, "n_iter_no_change=0"),
        ({"average": -1}, ParameterError, "average=-1"),
        ({"time_limit": 0}, ParameterError, "time_limit=0"),
        ({"fit_intercept": "no"}, ParameterError, "fit_intercept='no'"),
    ],
)
def test_bad_weights_and_settings_of_estimators(use, settings, error, message):
    """Weights and parameters out of range are named."""
    with pytest.raises(error, match=message):
        use(**settings)


def test_all_errors_are_value_errors_of_the_project():
    """Whoever catches ValueError, or FalllineError, catches them all."""
    for error in (InputError, NonFiniteError, NotNumbersError, ParameterError, TargetError):
        assert issubclass(error, ValueError)
        assert issubclass(error, FalllineError)


@pytest.mark.parametrize("use", [regressor, classifier])
def test_constant_columns_are_harmless(use):
    """A column that never changes, even an all-zero one, leaves a finite model."""
    constant = X.copy()
    constant[:, 1] = 3.0
    constant[:, 2] = 0.0
    assert np.isfinite(use(X=constant).coef_).all()


def test_nan_is_found_by_every_loss_and_at_prediction():
    """Losses whose comparisons swallow NaN notice it all the same, and so does predict."""
    bad = changed(X, (33, 1), np.nan)
    for loss in [name for name, kind in LOSSES.items() if kind().domain.classes]:
        with pytest.raises(NonFiniteError, match="row 33, column 1"):
            classifier(X=bad, loss=loss)
    with pytest.raises(NonFiniteError, match="row 33, column 1"):
        classifier().predict(bad)


def test_nan_in_a_row_without_weight_is_an_error_too():
    """Nothing is silently skipped: a NaN counts even where its row weighs nothing."""
    weight = np.ones(40)
    weight[33] = 0
    with pytest.raises(NonFiniteError):
        regressor(X=changed(X, (33, 1), np.nan), sample_weight=weight)


@pytest.mark.parametrize("loss", [Multinomial(), LogLoss()])
def test_losses_of_classes_do_not_fit_numbers(loss):
    """A typed loss is held to what a named one is."""
    with pytest.raises(ParameterError, match="does not fit here"):
        regressor(loss=loss)


@pytest.mark.parametrize("given", [["a", "b", "c"], [np.nan, 0, 0], [1.0, 2.0]])
def test_bad_coefficients_to_start_from(given):
    """Coefficients that are no finite numbers, or not one a column, are refused."""
    with pytest.raises(InputError, match="coef_init"):
        SGDRegressor().fit(X, Y, coef_init=given)


def test_early_stopping_needs_rows_to_hold_out():
    """One row cannot be split."""
    with pytest.raises(InputError, match="cannot hold out"):
        regressor(X=X[:1], y=Y[:1], early_stopping=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, {"optimizer": "adam"}), ({}, {"average": True}), ({"optimizer": "adam"}, {"optimizer": "sgd"})],
)
def test_partial_fit_refuses_what_does_not_go_on(before, after):
    """An optimizer or averaging that changes between two calls is an error, and the model stays as it was."""
    model = SGDRegressor(**before).partial_fit(X, Y)
    kept = model.coef_.copy()
    with pytest.raises(StateError, match="have changed since training began"):
        model.set_params(**{"average": False, **after}).partial_fit(X, Y)
    np.testing.assert_array_equal(model.coef_, kept)


def test_partial_fit_refuses_another_number_of_targets():
    """One target first and two later cannot be the same model."""
    with pytest.raises(StateError, match="2 targets"):
        SGDRegressor().partial_fit(X, Y).partial_fit(X, np.column_stack([Y, Y]))
