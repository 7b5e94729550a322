"""Sparse rows in the estimators."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from fallline import SGDClassifier, SGDOneClassSVM, SGDRegressor, mini_batch_gradient_descent
from fallline.errors import InputError, NonFiniteError

generator = np.random.default_rng(0)
X = sp.random_array((120, 9), density=0.3, format="csr", rng=generator).toarray()
Y = X @ np.arange(9.0) + 0.1 * generator.standard_normal(120)
CLASSES = np.digitize(Y, np.quantile(Y, [0.3, 0.7]))
TWO = CLASSES > 0

FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]
SHORT = {
    "learning_rate": "constant",
    "eta0": 0.05,
    "batch_size": 8,
    "max_iter": 3,
    "tol": None,
    "random_state": 0,
}
ESTIMATORS = {
    "two classes": (SGDClassifier(loss="log_loss", **SHORT), TWO),
    "one against the rest": (SGDClassifier(loss="squared_hinge", class_weight="balanced", **SHORT), CLASSES),
    "softmax": (SGDClassifier(loss="multinomial", penalty="elasticnet", **SHORT), CLASSES),
    "regression": (SGDRegressor(penalty="l1", alpha=0.01, **SHORT), Y),
    "several targets": (SGDRegressor(optimizer="adam", **SHORT), np.column_stack([Y, -Y])),
    "averaged": (SGDRegressor(average=True, early_stopping=True, **SHORT), Y),
    "one class": (SGDOneClassSVM(**SHORT), None),
}


def _scores(model, rows):
    return model.decision_function(rows) if hasattr(model, "decision_function") else model.predict(rows)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_sparse_rows_give_what_dense_rows_give(name):
    """Every estimator trains and predicts on sparse rows as on the same rows written out."""
    model, y = ESTIMATORS[name]
    dense, sparse = pickle.loads(pickle.dumps((model, model)))
    dense.fit(X, y)
    sparse.fit(sp.csr_array(X), y)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(_scores(sparse, sp.csr_array(X)), _scores(dense, X), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sparse.predict(sp.csr_array(X)), dense.predict(X), rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format(form, kind):
    """All formats of SciPy, as arrays and as matrices, give the same bits, and stay as they are."""
    rows, expected = getattr(sp, f"{form}_{kind}")(X), SGDRegressor(**SHORT).fit(sp.csr_array(X), Y)
    model = SGDRegressor(**SHORT).fit(rows, Y)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    np.testing.assert_array_equal(model.predict(rows), expected.predict(sp.csr_array(X)))
    np.testing.assert_array_equal(SGDRegressor(**SHORT).partial_fit(rows, Y).coef_.shape, (9,))
    assert rows.format == form
    assert (rows != sp.csr_array(X)).nnz == 0


@pytest.mark.parametrize("solver", ["newton", "descent"])
def test_every_solver_takes_sparse_rows(solver):
    """Whatever looks for the optimum finds it on sparse rows, too."""
    given = {"loss": "log_loss", "alpha": 0.1, "random_state": 0, "solver": solver}
    dense, sparse = SGDClassifier(**given).fit(X, TWO), SGDClassifier(**given).fit(sp.csr_array(X), TWO)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("width", [np.int32, np.int64])
def test_indices_of_either_width_in_any_order_more_than_once_and_of_zeros(width):
    """Unsorted and repeated entries and explicit zeros mean what SciPy means by them, and the caller's matrix is not sorted."""
    indptr = np.array([0, 3, 3, 7], width)
    indices = np.array([4, 1, 1, 8, 0, 8, 2], width)
    data = np.array([1.0, 2.0, -0.5, 3.0, 4.0, 0.25, 0.0])
    rows = sp.csr_array((data, indices, indptr), shape=(3, 9))
    y = [1.0, -1.0, 2.0]
    sparse = SGDRegressor(**SHORT).fit(rows, y)
    dense = SGDRegressor(**SHORT).fit(rows.toarray(), y)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sparse.predict(rows), dense.predict(rows.toarray()), rtol=1e-9)
    np.testing.assert_array_equal(rows.indices, indices)
    np.testing.assert_array_equal(rows.data, data)


@pytest.mark.parametrize(
    ("given", "kept"),
    [(np.float32, np.float32), (np.float64, np.float64), (np.int8, np.float64), (bool, np.float64)],
)
def test_dtype(given, kept):
    """float32 in, float32 out; all other numbers are float64."""
    rows = sp.csr_array((2 * X).astype(given))
    model = SGDClassifier(**{**SHORT, "loss": "log_loss"}).fit(rows, CLASSES)
    assert {model.coef_.dtype, model.intercept_.dtype, model.decision_function(rows).dtype} == {
        np.dtype(kept)
    }


def test_partial_fit_mixes_sparse_and_dense_parts():
    """Parts may come in different formats; a float64 part of a float32 model is taken as float32."""
    mixed, dense = SGDRegressor(**SHORT), SGDRegressor(**SHORT)
    for part in (slice(0, 40), slice(40, 80), slice(80, 120)):
        mixed.partial_fit(X[part] if part.start == 40 else sp.csc_array(X[part]), Y[part])
        dense.partial_fit(X[part], Y[part])
    np.testing.assert_allclose(mixed.coef_, dense.coef_, rtol=1e-9)
    small = SGDRegressor(**SHORT).partial_fit(sp.csr_array(X.astype(np.float32)), Y)
    assert small.partial_fit(sp.csr_array(X), Y).coef_.dtype == np.float32


def test_frames_of_sparse_columns_stay_sparse():
    """A pandas DataFrame of sparse columns is a sparse matrix with names."""
    frame = pd.DataFrame.sparse.from_spmatrix(sp.csr_matrix(X), columns=list("abcdefghi"))
    model = SGDRegressor(**SHORT).fit(frame, Y)
    np.testing.assert_array_equal(model.coef_, SGDRegressor(**SHORT).fit(sp.csr_array(X), Y).coef_)
    assert list(model.feature_names_in_) == list("abcdefghi")
    bad = frame.astype(pd.SparseDtype(float, fill_value=1.0))
    with pytest.raises(InputError, match="fill value is 0"):
        SGDRegressor().fit(bad, Y)


def test_nothing_is_written_out():
    """Ten million columns fit in memory, which they would not if rows were written out."""
    rows = sp.csr_array(
        (np.ones(60), generator.integers(0, 10**7, 60), np.arange(0, 61, 3)), shape=(20, 10**7)
    )
    model = SGDRegressor(learning_rate="constant", batch_size=5, max_iter=1, tol=None, random_state=0)
    model.fit(rows.astype(np.float32), np.arange(20.0))
    assert model.predict(rows.astype(np.float32)).shape == (20,)
    assert model.sparsify().coef_.nnz <= 60


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_named(value):
    """Row and column are those of the matrix, in training, in parts and in prediction."""
    bad = sp.lil_array(X)
    bad[17, 3] = value
    model = SGDRegressor(**SHORT).fit(X, Y)
    for use in (
        lambda: SGDRegressor(**SHORT).fit(bad, Y),
        lambda: model.partial_fit(bad, Y),
        lambda: model.predict(bad),
    ):
        with pytest.raises(NonFiniteError, match="row 17, column 3"):
            use()


@pytest.mark.parametrize("name", ["two classes", "softmax", "regression", "one class"])
def test_coefficients_can_be_held_sparse(name):
    """sparsify changes no prediction, survives pickling and warm starts, and densify undoes it."""
    model, y = ESTIMATORS[name]
    model = pickle.loads(pickle.dumps(model)).fit(X, y)
    before, shape = _scores(model, X), model.coef_.shape
    model = pickle.loads(pickle.dumps(model.sparsify()))
    assert sp.issparse(model.coef_)
    assert model.sparsify() is model
    np.testing.assert_array_equal(_scores(model, X), before)
    np.testing.assert_allclose(_scores(model, sp.csr_array(X)), before, rtol=1e-9)
    model.densify()
    assert model.coef_.shape == shape
    model.sparsify().set_params(warm_start=True).fit(X, y)
    assert model.coef_.shape == shape


def test_the_textbook_function_takes_sparse_rows():
    """mini_batch_gradient_descent gives the same weights for sparse rows."""
    w, b = mini_batch_gradient_descent(X, Y, batch_size=10, num_epochs=3, random_state=0)
    sparse_w, sparse_b = mini_batch_gradient_descent(
        sp.coo_array(X), Y, batch_size=10, num_epochs=3, random_state=0
    )
    np.testing.assert_allclose(sparse_w, w, rtol=1e-9, atol=1e-12)
    assert sparse_b == pytest.approx(b)
