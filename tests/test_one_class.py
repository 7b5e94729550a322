"""One-class models."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import linear_model
from sklearn.svm import OneClassSVM
from sklearn.utils.estimator_checks import parametrize_with_checks

from fallline import SGDOneClassSVM
from fallline.errors import InputError, NonFiniteError, ParameterError

X = np.random.default_rng(0).standard_normal((200, 3)) + np.array([2.0, 1.0, 0.0])
ONE_PASS = {"batch_size": 1, "learning_rate": "optimal", "max_iter": 1, "tol": None, "shuffle": False}

_WEIGHTS = (
    "a row of weight 2 makes one update of twice the length, a row given twice makes two. scikit-learn's own estimator is "
    "excused for the same reason"
)


def _expected_failures(_):
    return {
        "check_sample_weight_equivalence_on_dense_data": _WEIGHTS,
        "check_sample_weight_equivalence_on_sparse_data": _WEIGHTS,
    }


@parametrize_with_checks([SGDOneClassSVM()], expected_failed_checks=_expected_failures)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_s_checks(estimator, check):
    """scikit-learn's own contract for outlier detectors."""
    check(estimator)


def test_all_of_scikit_learn_s_parameters():
    """Changing the import is enough: every parameter is there."""
    assert set(linear_model.SGDOneClassSVM().get_params()) <= set(SGDOneClassSVM().get_params())


@pytest.mark.parametrize("average", [False, True, 30])
@pytest.mark.parametrize("learning_rate", ["constant", "optimal", "invscaling"])
def test_takes_scikit_learn_s_steps(learning_rate, average):
    """With batch_size=1, one pass in order gives scikit-learn's coefficients and offset."""
    given = {"nu": 0.3, "learning_rate": learning_rate, "average": average, "eta0": 0.05}
    theirs = linear_model.SGDOneClassSVM(max_iter=1, tol=None, shuffle=False, **given).fit(X)
    ours = SGDOneClassSVM(**{**ONE_PASS, **given}).fit(X)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9)
    np.testing.assert_allclose(ours.offset_, theirs.offset_, rtol=1e-9)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


DESCENT = {"batch_size": "full", "learning_rate": "invscaling", "eta0": 0.3, "max_iter": 4000, "tol": None}


@pytest.mark.parametrize(
    ("settings", "within"), [({}, 1e-4), ({**DESCENT, "average": 3000 * 200}, 0.015)], ids=["auto", "descent"]
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("nu", [0.3, 0.5])
def test_minimises_the_objective_of_the_exact_machine(nu, weighted, settings, within):
    """It comes as near as it should to the objective of libsvm's machine, which counts rows where ours takes their mean."""

    def objective(coef, offset):
        return nu / 2 * coef @ coef - nu * offset + np.mean(weight * np.maximum(0, offset - X @ coef))

    weight = np.linspace(0.5, 1.5, len(X)) if weighted else np.ones(len(X))
    exact = OneClassSVM(kernel="linear", nu=nu, tol=1e-10).fit(X, sample_weight=weight)
    lowest = objective(exact.coef_[0] / (nu * len(X)), exact.offset_[0] / (nu * len(X)))
    ours = SGDOneClassSVM(nu, random_state=0, **settings).fit(X, sample_weight=weight)
    assert lowest - 1e-9 <= objective(ours.coef_, ours.offset_[0]) < (1 - within) * lowest < 0


@pytest.mark.parametrize(
    "given", [{}, {"learning_rate": "constant", "max_iter": 3, "tol": None}], ids=["auto", "descent"]
)
@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_matrix])
def test_sparse_rows(make, given):
    """Sparse rows give the machine of the same rows written out."""
    rows = np.where(np.abs(X) < 1, 0, X)
    settings = {"nu": 0.3, "random_state": 0, **given}
    dense = SGDOneClassSVM(**settings).fit(rows)
    sparse = SGDOneClassSVM(**settings).fit(make(rows))
    tolerance = 1e-9 if given else 0.02
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        sparse.decision_function(make(rows)), dense.decision_function(rows), atol=5 * tolerance
    )


def test_parts_and_epochs_agree():
    """Two calls of partial_fit make the updates of two epochs."""
    settings = {"batch_size": 20, "shuffle": False, "learning_rate": "constant"}
    whole = SGDOneClassSVM(max_iter=2, tol=None, **settings).fit(X)
    parts = SGDOneClassSVM(**settings).partial_fit(X).partial_fit(X)
    np.testing.assert_array_equal(parts.coef_, whole.coef_)
    np.testing.assert_array_equal(parts.offset_, whole.offset_)
    assert parts.t_ == whole.t_


def test_starts_from_what_is_given():
    """Given coefficients and an offset, and with warm_start those of the last fit, are where training begins."""
    first = SGDOneClassSVM(**ONE_PASS, warm_start=True).fit(X)
    given = SGDOneClassSVM(**ONE_PASS).fit(X, coef_init=first.coef_, offset_init=first.offset_)
    again = first.fit(X)
    np.testing.assert_allclose(again.coef_, given.coef_, rtol=1e-12)
    np.testing.assert_allclose(again.offset_, given.offset_, rtol=1e-12)


def test_without_an_intercept_the_offset_stays():
    """fit_intercept=False leaves the offset at 0, where it begins."""
    assert SGDOneClassSVM(fit_intercept=False, **ONE_PASS).fit(X).offset_ == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    """float32 in, float32 out."""
    model = SGDOneClassSVM().fit(X.astype(dtype))
    assert {model.coef_.dtype, model.offset_.dtype, model.decision_function(X.astype(dtype)).dtype} == {
        np.dtype(dtype)
    }


@pytest.mark.parametrize("nu", [0, 1.1, "half"])
def test_nu_is_a_share(nu):
    """The share of outliers lies above 0 and is at most 1."""
    with pytest.raises(ParameterError, match="nu="):
        SGDOneClassSVM(nu).fit(X)


def test_all_rows_outside_is_left_to_descent():
    """With nu=1 the offset has no upper end, which descent does not mind and other solvers refuse."""
    assert np.isfinite(SGDOneClassSVM(1.0, random_state=0).fit(X).offset_)
    with pytest.raises(ParameterError, match="nu=1"):
        SGDOneClassSVM(1.0, solver="newton").fit(X)


def test_parts_follow_a_fit_by_another_solver():
    """partial_fit goes on from the coefficients, whatever found them."""
    model = SGDOneClassSVM(0.3, random_state=0, learning_rate="auto").fit(X)
    before = model.coef_.copy()
    model.set_params(learning_rate="constant", eta0=1e-9).partial_fit(X)
    np.testing.assert_allclose(model.coef_, before, atol=1e-6)


def test_bad_input():
    """What cannot be used is named."""
    bad = np.vstack([X] * 30)
    bad[5007, 1] = np.nan
    for given in ({}, ONE_PASS):
        with pytest.raises(NonFiniteError, match="X holds NaN in row 5007, column 1"):
            SGDOneClassSVM(**given).fit(bad)
    with pytest.raises(InputError, match="offset_init does not match"):
        SGDOneClassSVM().fit(X, offset_init=[0.0, 1.0])
