"""From scikit-learn's linear models to ours: the same objective, the same coefficients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fallline.errors import ParameterError
from fallline.estimators.base import LinearSGD
from fallline.estimators.classifier import SGDClassifier
from fallline.estimators.coefficients import copy_attributes, dense
from fallline.estimators.one_class import SGDOneClassSVM
from fallline.estimators.regressor import SGDRegressor
from fallline.settings import integer, number

__all__ = ["from_sklearn"]

# Parameters of the same name and meaning, of models that are not trained by gradient descent.
_COMMON = ("fit_intercept", "class_weight", "random_state", "warm_start")


def from_sklearn(estimator: Any, n_samples: int | None = None) -> LinearSGD:
    """One of our estimators with the objective of one of scikit-learn's, and with its coefficients if it is fitted.

    - `SGDClassifier`, `SGDRegressor`, `SGDOneClassSVM`, `Perceptron` and the passive-aggressive estimators keep all parameters
      and get ``batch_size=1``, with which ours takes their steps. `partial_fit` goes on where they were.
    - `LogisticRegression`, `LinearRegression`, `Ridge`, `RidgeClassifier`, `Lasso`, `ElasticNet`, `LinearSVC`, `LinearSVR`,
      `PoissonRegressor`, `GammaRegressor`, `TweedieRegressor`, `QuantileRegressor` and `HuberRegressor` keep what belongs to the
      objective (and random_state and warm_start); how it is minimised is left at our defaults.

    Parameters
    ----------
    estimator : estimator of scikit-learn
        Fitted or not.
    n_samples : int, optional
        How many rows are trained on. Needed where the strength of a penalty weighs a sum over the rows, as the C of
        `LogisticRegression` and the alpha of `Ridge` do, and ours the mean.

    Returns
    -------
    SGDClassifier, SGDRegressor or SGDOneClassSVM

    Raises
    ------
    ParameterError
        If ours has no such objective: an intercept that is penalised (`LinearSVC`), coefficients held positive, estimators
        that are not listed.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from fallline import from_sklearn
    >>> from_sklearn(LogisticRegression(C=0.1), n_samples=1000).alpha
    0.01
    """
    kind = type(estimator)
    if not kind.__module__.startswith("sklearn.") or kind.__name__ not in _READERS:
        raise ParameterError(
            f"{kind.__name__} has no counterpart here. Give an estimator of scikit-learn's own, one of "
            f"{', '.join(sorted(_READERS))}."
        )
    model = _READERS[kind.__name__](_Given(estimator, estimator.get_params(deep=False), n_samples))
    if hasattr(estimator, "coef_"):
        intercepts = 1 - estimator.offset_ if hasattr(estimator, "offset_") else estimator.intercept_
        model._adopt(dense(estimator.coef_), intercepts, int(getattr(estimator, "t_", 1)))
        copy_attributes(estimator, model)
    return model


class _Given(NamedTuple):
    """An estimator of scikit-learn, its parameters, and how many rows it is for."""

    estimator: Any
    parameters: dict[str, Any]
    n_samples: int | None

    def __getitem__(self, name: Any) -> Any:
        return self.parameters[name]

    @property
    def name(self) -> str:
        """Of the estimator's class."""
        return type(self.estimator).__name__

    def common(self) -> dict[str, Any]:
        """Parameters that have the same name and meaning in ours."""
        return {name: self.parameters[name] for name in _COMMON if name in self.parameters}

    def of_the_mean(self, strength: float) -> float:
        """A strength beside a sum over the rows as one beside their mean."""
        if strength == 0:
            return 0.0
        if self.n_samples is None:
            raise ParameterError(
                f"{self.name} weighs its penalty against a sum over the rows, fallline against their mean: how many rows there "
                "are has to be known. Pass n_samples, the number of rows to train on (or that it was trained on)."
            )
        return strength / integer("n_samples", self.n_samples)

    def refuse(self, refused: bool, what: str) -> None:
        """Raise `ParameterError` for what our objectives do not have."""
        if refused:
            raise ParameterError(
                f"{self.name} {what}, for which fallline has no objective. Choose otherwise, or stay."
            )


def _same_steps(kind: type[LinearSGD], **changed: Any) -> Callable[[_Given], LinearSGD]:
    """A reader for estimators that are trained one row at a time, as ours are with batch_size=1."""

    def read(given):
        known = kind().get_params()
        parameters = {name: value for name, value in given.parameters.items() if name in known}
        return kind(**{**parameters, "batch_size": 1, "optimizer": "sgd", **changed})

    return read


def _perceptron(given):
    return _same_steps(SGDClassifier, loss="perceptron", learning_rate="constant")(given)


def _passive_aggressive(kind, loss):
    def read(given):
        rate = "pa1" if given["loss"] == loss else "pa2"
        return _same_steps(kind, loss=loss, penalty=None, learning_rate=rate, eta0=given["C"])(given)

    return read


def _logistic(given):
    given.refuse(
        given["solver"] == "liblinear" and given["fit_intercept"],
        "penalises the intercept with solver='liblinear'",
    )
    ratio = given["l1_ratio"] or 0.0
    kinds = {0.0: "l2", 1.0: "l1"}
    # Up to version 1.7 the penalty was named; since then C and l1_ratio say it all.
    named = given["penalty"]
    penalty = kinds.get(ratio, "elasticnet") if named == "deprecated" else named
    if math.isinf(given["C"]):
        penalty = None
    alpha = {} if penalty is None else {"alpha": given.of_the_mean(1 / number("C", given["C"], above=0))}
    return SGDClassifier(loss="multinomial", penalty=penalty, l1_ratio=ratio, **alpha, **given.common())


def _least_squares(given):
    given.refuse(given["positive"], "holds coefficients positive")
    return SGDRegressor(penalty=None, **given.common())


def _ridge(given):
    given.refuse(given["positive"], "holds coefficients positive")
    given.refuse(np.ndim(given["alpha"]) > 0, "has a penalty of its own for each target")
    return SGDRegressor(penalty="l2", alpha=given.of_the_mean(given["alpha"]), **given.common())


def _ridge_classifier(given):
    given.refuse(given["positive"], "holds coefficients positive")
    given.refuse(
        given["class_weight"] is not None and len(getattr(given.estimator, "classes_", ())) != 2,
        "with class_weight weighs a class's rows in the models of the other classes too, if there are more than two",
    )
    return SGDClassifier(
        loss="squared_error", penalty="l2", alpha=given.of_the_mean(given["alpha"]), **given.common()
    )


def _lasso(given):
    given.refuse(given["positive"], "holds coefficients positive")
    return SGDRegressor(penalty="l1", alpha=given["alpha"], **given.common())


def _elastic_net(given):
    given.refuse(given["positive"], "holds coefficients positive")
    return SGDRegressor(
        penalty="elasticnet", alpha=given["alpha"], l1_ratio=given["l1_ratio"], **given.common()
    )


def _linear_svc(given):
    given.refuse(given["fit_intercept"], "penalises the intercept (unless fit_intercept=False)")
    given.refuse(given["multi_class"] != "ovr", "couples its classes with multi_class='crammer_singer'")
    alpha = given.of_the_mean(1 / number("C", given["C"], above=0))
    return SGDClassifier(loss=given["loss"], penalty=given["penalty"], alpha=alpha, **given.common())


def _linear_svr(given):
    given.refuse(given["fit_intercept"], "penalises the intercept (unless fit_intercept=False)")
    names = {"squared_epsilon_insensitive": "squared_epsilon_insensitive"}
    return SGDRegressor(
        loss=names.get(given["loss"], "epsilon_insensitive"),
        epsilon=given["epsilon"],
        alpha=given.of_the_mean(1 / number("C", given["C"], above=0)),
        **given.common(),
    )


def _poisson(given):
    return SGDRegressor(loss="poisson", alpha=given["alpha"], **given.common())


def _gamma(given):
    return SGDRegressor(loss="gamma", alpha=given["alpha"], **given.common())


def _tweedie(given):
    power, link = given["power"], given["link"]
    if link == "log" or (link == "auto" and power > 0):
        return SGDRegressor(loss="tweedie", power=power, alpha=given["alpha"], **given.common())
    given.refuse(power != 0, f"has no other link than the identity with power={power:g} and link={link!r}")
    return SGDRegressor(loss="squared_error", alpha=given["alpha"], **given.common())


def _quantile(given):
    return SGDRegressor(
        loss="quantile", quantile=given["quantile"], penalty="l1", alpha=given["alpha"], **given.common()
    )


def _huber(given):
    r"""With the scale that it found held fast: its :math:`\sigma + \sigma H_\epsilon(r / \sigma)` is then
    :math:`\tfrac{2}{\sigma}` times our loss at :math:`\epsilon \sigma`, up to a constant."""  # noqa: D205, D209 (a formula)
    scale = getattr(given.estimator, "scale_", None)
    given.refuse(
        scale is None, "fits a scale beside the coefficients (unless it is fitted: then its scale is kept)"
    )
    return SGDRegressor(
        loss="huber",
        epsilon=float(given["epsilon"] * scale),
        alpha=float(given.of_the_mean(given["alpha"] * scale)),
        **given.common(),
    )


_READERS = {
    "SGDClassifier": _same_steps(SGDClassifier),
    "SGDRegressor": _same_steps(SGDRegressor),
    "SGDOneClassSVM": _same_steps(SGDOneClassSVM),
    "Perceptron": _perceptron,
    "PassiveAggressiveClassifier": _passive_aggressive(SGDClassifier, "hinge"),
    "PassiveAggressiveRegressor": _passive_aggressive(SGDRegressor, "epsilon_insensitive"),
    "LogisticRegression": _logistic,
    "LinearRegression": _least_squares,
    "Ridge": _ridge,
    "RidgeClassifier": _ridge_classifier,
    "Lasso": _lasso,
    "ElasticNet": _elastic_net,
    "LinearSVC": _linear_svc,
    "LinearSVR": _linear_svr,
    "PoissonRegressor": _poisson,
    "GammaRegressor": _gamma,
    "TweedieRegressor": _tweedie,
    "QuantileRegressor": _quantile,
    "HuberRegressor": _huber,
}
