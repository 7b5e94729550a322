"""Weights in the units of the original columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fallline.data.encoder.layout import Layout

__all__ = ["Effect", "Effects", "effects_of"]


class Effect(NamedTuple):
    """What a feature does to the score.

    Parameters
    ----------
    feature, column : str
        Their names.
    original : float
        By how much the score rises with one unit of the column; of a feature that is 0 or 1, with that.
    standardised : float
        By how much it rises with one standard deviation: the weight as trained, comparable among numbers.
    """

    feature: str
    column: str
    original: float
    standardised: float


class Effects(NamedTuple):
    """The effects on one output.

    Parameters
    ----------
    effects : list of Effect
        In the order of the features.
    intercept : float
        The score where every number is 0, in its own units, and no other feature is set.
    """

    effects: list[Effect]
    intercept: float


def effects_of(layout: Layout, weights: np.ndarray, mean: float, scale: float) -> list[Effects]:
    r"""Effects of each row of weights (outputs, features + 1).

    A number enters as :math:`(x - m) / s`, so a weight :math:`w` is :math:`w / s` a unit, and the intercept loses
    :math:`w m / s`. Targets that were standardised, too, give everything their scale, and the intercept their mean.
    """
    features = list(layout.features())
    means = np.array([number.mean if number else 0.0 for _, _, number in features])
    deviations = np.array([number.deviation if number else 1.0 for _, _, number in features])
    found = []
    for row in np.atleast_2d(np.asarray(weights, np.float64)):
        standardised = row[:-1] * scale
        original = standardised / deviations
        effects = [
            Effect(name, column.name, float(original[j]), float(standardised[j]))
            for j, (name, column, _) in enumerate(features)
        ]
        found.append(Effects(effects, float(row[-1] * scale + mean - original @ means)))
    return found
