"""The scikit-learn surface: estimators that take the parameters of scikit-learn's classes of the same names."""

from __future__ import annotations

from fallline.estimators.classifier import SGDClassifier
from fallline.estimators.from_scikit import from_sklearn
from fallline.estimators.mlp.classifier import MLPClassifier
from fallline.estimators.mlp.regressor import MLPRegressor
from fallline.estimators.one_class import SGDOneClassSVM
from fallline.estimators.regressor import SGDRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "SGDClassifier", "SGDOneClassSVM", "SGDRegressor", "from_sklearn"]
