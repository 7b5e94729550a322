"""What linear estimators do with coefficients, wherever they were trained."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from fallline.data.arrays import as_matrix, column_names
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.linear import LinearEngine
from fallline.errors import InputError

__all__ = ["Coefficients", "copy_attributes", "dense", "initial_values"]


class Coefficients(BaseEstimator):
    """An estimator with `coef_` and `intercept_`, which predicts by them."""

    coef_: Any
    intercept_: np.ndarray
    t_: int

    def sparsify(self) -> Self:
        """Hold `coef_` as a sparse array, which takes less memory where most coefficients are zero.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        if not sp.issparse(self.coef_):
            self.coef_ = sp.csr_array(self.coef_)
        return self

    def densify(self) -> Self:
        """Hold `coef_` as an array again, as before `sparsify`.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        self.coef_ = dense(self.coef_)
        return self

    def to_sklearn(self, n_samples: int | None = None) -> Any:
        """The estimator of scikit-learn with the same objective, fitted if this one is, and predicting the same numbers.

        That is its estimator of the same name where it knows the loss, and otherwise `LogisticRegression` ('multinomial' with
        more than two classes), `PoissonRegressor`, `GammaRegressor`, `TweedieRegressor` or `QuantileRegressor`. Parameters of
        training are kept where it has them, with values that it knows.

        Parameters
        ----------
        n_samples : int, optional
            How many rows it is trained on: what `LogisticRegression` needs to know for the strength of its penalty.

        Returns
        -------
        estimator of scikit-learn

        Raises
        ------
        ParameterError
            If it has no such objective.
        """
        from fallline.estimators.to_scikit import to_sklearn

        return to_sklearn(self, n_samples)

    def _adopt(self, coefficients, intercepts, t):
        """Take coefficients that were trained elsewhere, in `t` - 1 updates."""
        dtype = coefficients.dtype if coefficients.dtype == np.float32 else np.float64
        outputs = len(coefficients) if coefficients.ndim == 2 else 1
        self.coef_ = coefficients.astype(dtype)
        self.intercept_ = np.broadcast_to(np.ravel(intercepts), outputs).astype(dtype)
        self.t_ = t

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _scores(self, X, intercepts=None):
        """Linear predictions, (rows, outputs); with other `intercepts` than the model's, if given."""
        check_is_fitted(self)
        outputs = np.atleast_1d(self.intercept_ if intercepts is None else intercepts)
        weights = np.column_stack([np.reshape(dense(self.coef_), (len(outputs), -1)), outputs])
        if weights.dtype not in (np.float32, np.float64):
            weights = weights.astype(np.float64)
        matrix = as_matrix(X, weights.dtype)
        validate_data(self, X if hasattr(X, "shape") else matrix, skip_check_array=True, reset=False)
        return LinearEngine.predict(ArraySource(as_rows(matrix), columns=column_names(X)), weights)


def dense(coefficients: Any) -> np.ndarray:
    """Coefficients as an array, also after `sparsify`."""
    return coefficients.toarray() if sp.issparse(coefficients) else coefficients


def copy_attributes(source: Any, target: Any) -> None:
    """Copy what training leaves behind beside coefficients, where scikit-learn and fallline mean the same by it."""
    for name in ("classes_", "n_features_in_", "feature_names_in_"):
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))
    if getattr(source, "n_iter_", None) is not None:
        target.n_iter_ = int(np.max(source.n_iter_))


def initial_values(name: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers to start from, float64, in the shape wanted; of a single output the shape may differ where the size is right."""
    try:
        values = np.asarray(given, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} does not hold numbers ({error}). Give numbers, or leave it out.") from error
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds NaN or infinity. Give finite numbers, or leave it out.")
    if values.size != np.prod(shape) or (shape[0] > 1 and values.shape != shape):
        raise InputError(
            f"Provided {name} does not match dataset: its shape is {values.shape}, and the data ask for {shape}. "
            "Leave it out to start from zero."
        )
    return values.reshape(shape)
