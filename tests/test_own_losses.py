"""Losses that are not in the table, chosen by value."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from fallline import SGDClassifier, SGDRegressor
from fallline.errors import ParameterError
from fallline.kernels.verbs import curvature, derivative, value
from fallline.objective.domains import ANY_NUMBER, TWO_CLASSES
from fallline.objective.links import Identity, Margin
from reference import data_for


class LogCosh(NamedTuple):
    """States a value, a derivative and a curvature."""

    domain = ANY_NUMBER
    link = Identity()


@value.of(LogCosh)
def _(loss, score, target):
    return np.log(np.cosh(score - target))


@derivative.of(LogCosh)
def _(loss, score, target):
    return np.tanh(score - target)


@curvature.of(LogCosh)
def _(loss, score, target):
    return 1.0 - np.tanh(score - target) ** 2


class Exponential(NamedTuple):
    """States a value and a derivative, and no curvature."""

    domain = TWO_CLASSES
    link = Margin()


@value.of(Exponential)
def _(loss, score, target):
    return np.exp(-target * score)


@derivative.of(Exponential)
def _(loss, score, target):
    return -target * np.exp(-target * score)


def test_a_loss_with_a_curvature_is_trained_to_its_optimum():
    """What a loss states of itself is all that the usual solver needs: the gradient ends at zero."""
    X, y = data_for("squared_error", n=500)
    model = SGDRegressor(LogCosh(), alpha=0.01, tol=1e-10, random_state=0).fit(X, y)
    assert model.history_.choices["solver"]["solver"] == "newton"
    slopes = np.tanh(model.predict(X) - y)
    np.testing.assert_allclose(slopes @ X / len(X) + 0.01 * model.coef_, 0.0, atol=1e-5)


def test_a_loss_without_a_curvature_is_trained_by_descent():
    """By default the solver is one that can do without; one that cannot says what is missing."""
    X, y = data_for("log_loss", n=500)
    classes = (y > 0) + (X[:, 0] > 1)
    for targets in (y, classes):
        model = SGDClassifier(Exponential(), random_state=0).fit(X, targets)
        choice = model.history_.choices["solver"]
        assert choice == {"solver": "descent", "reason": "the loss does not state its curvature"}
        assert model.optimality_ is None
    with pytest.raises(ParameterError, match="curvature of the loss, which Exponential does not state"):
        SGDClassifier(Exponential(), solver="newton").fit(X, y)
