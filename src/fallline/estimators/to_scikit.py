"""From our linear models to scikit-learn's: the same objective, the same predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn import linear_model

from fallline.errors import ParameterError
from fallline.estimators.base import LinearSGD
from fallline.estimators.coefficients import copy_attributes, dense
from fallline.objective.losses import name_of
from fallline.settings import integer

__all__ = ["to_sklearn"]

_RATES = ("constant", "optimal", "invscaling", "adaptive", "pa1", "pa2")


def to_sklearn(model: LinearSGD, n_samples: int | None = None) -> Any:
    """See `LinearSGD.to_sklearn`."""
    estimator = _counterpart(model, n_samples)
    if not hasattr(model, "coef_"):
        return estimator
    estimator.coef_ = dense(model.coef_).copy()
    if hasattr(model, "offset_"):
        estimator.offset_ = model.offset_
    else:
        estimator.intercept_ = model.intercept_.copy()
    if hasattr(estimator, "eta0"):
        estimator.t_ = float(model.t_)
    if hasattr(estimator, "_get_loss"):
        # Generalised linear models keep the link that they were fitted with.
        estimator._base_loss = estimator._get_loss()
    copy_attributes(model, estimator)
    return estimator


def _counterpart(model, n_samples):
    """The estimator of scikit-learn with the objective of one of ours, not fitted."""
    if not hasattr(model, "loss"):
        return linear_model.SGDOneClassSVM(**_shared(model, linear_model.SGDOneClassSVM))
    if getattr(model, "_several", False):
        raise ParameterError(
            f"The model has {len(model.coef_)} targets, and scikit-learn's SGDRegressor one. Train one model a target."
        )
    loss = model.loss if isinstance(model.loss, str) else name_of(model.loss)
    if loss == "multinomial" and len(getattr(model, "classes_", ())) == 2:
        loss = "log_loss"
    if loss == "multinomial":
        return _logistic(model, n_samples)
    if loss in _ELSEWHERE:
        return _elsewhere(model, *_ELSEWHERE[loss])
    theirs = linear_model.SGDClassifier if hasattr(model, "class_weight") else linear_model.SGDRegressor
    return theirs(**{**_shared(model, theirs), "loss": loss})


def _shared(model, theirs):
    """Those parameters of a model that an estimator of scikit-learn knows, with values that it knows."""
    given = model.get_params(deep=False)
    if not isinstance(model.loss if "loss" in given else "", str):
        given.update(model.loss._asdict())
    if given.get("penalty") == "none":
        given["penalty"] = None
    unknown = {
        "learning_rate": given["learning_rate"] not in _RATES,
        "tol": isinstance(given["tol"], str),
        "random_state": isinstance(given["random_state"], np.random.Generator),
    }
    known = theirs().get_params()
    return {name: value for name, value in given.items() if name in known and not unknown.get(name)}


# Losses of regression that scikit-learn's SGDRegressor does not have: who has, with which penalty, and with which parameters
# beside `alpha`.
_ELSEWHERE = {
    "poisson": (linear_model.PoissonRegressor, "l2", ("fit_intercept", "warm_start")),
    "gamma": (linear_model.GammaRegressor, "l2", ("fit_intercept", "warm_start")),
    "tweedie": (linear_model.TweedieRegressor, "l2", ("fit_intercept", "warm_start", "power")),
    "quantile": (linear_model.QuantileRegressor, "l1", ("fit_intercept", "quantile")),
}


def _elsewhere(model, theirs, penalty, names):
    alpha = model.alpha if model.penalty == penalty else 0.0
    if model.penalty not in (penalty, "none", None):
        raise ParameterError(
            f"scikit-learn minimises loss={model.loss!r} with the penalty {penalty!r} or none, but penalty is "
            f"{model.penalty!r}. Choose one of them."
        )
    shared = _shared(model, theirs)
    estimator = theirs(alpha=alpha, **{name: shared[name] for name in names})
    return estimator.set_params(link="log") if "power" in names else estimator


def _logistic(model, n_samples):
    penalty = None if model.penalty == "none" or model.alpha == 0 else model.penalty
    if penalty is not None and n_samples is None:
        raise ParameterError(
            "scikit-learn's LogisticRegression weighs its penalty against a sum over the rows, fallline against their mean: how "
            "many rows there are has to be known. Pass n_samples, the number of rows to train on (or that it was trained on)."
        )
    ratio = {"l1": 1.0, "elasticnet": model.l1_ratio}.get(str(penalty), 0.0)
    shared = _shared(model, linear_model.LogisticRegression)
    given = {
        name: shared[name]
        for name in ("fit_intercept", "class_weight", "random_state", "warm_start")
        if name in shared
    }
    # Up to version 1.7 the penalty was named; since then C and l1_ratio say it all.
    if linear_model.LogisticRegression().penalty != "deprecated":
        given["penalty"] = penalty
    return linear_model.LogisticRegression(
        C=math.inf if penalty is None else 1 / (model.alpha * integer("n_samples", n_samples)),
        l1_ratio=ratio,
        solver="saga" if ratio > 0 else "lbfgs",
        **given,
    )
