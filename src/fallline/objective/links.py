"""Links: from scores to what a model predicts.

A link is a small value with two verbs: `mean`, the expected target, and `probabilities`, one column a class. A link
that has no probabilities says so with None, and the estimator then has no `predict_proba`.
"""

from __future__ import annotations

import numpy as np

__all__ = ["ClippedMargin", "Identity", "Log", "Logit", "Margin", "Softmax", "highest"]


class Identity:
    """The score is the prediction."""

    probabilities = None

    def mean(self, scores):
        """The scores themselves."""
        return scores


class Log(Identity):
    """The score is the logarithm of the prediction."""

    def mean(self, scores):
        """e to the scores."""
        return np.exp(scores)


class Margin(Identity):
    """The score is a signed distance, without a probability."""


class Logit(Identity):
    """The score is the logarithm of the odds."""

    def probabilities(self, scores):
        """Logistic function of the scores; with several columns, one against the rest, scaled to sum to 1."""
        with np.errstate(over="ignore"):
            return _normalised(1 / (1 + np.exp(-scores)))


class ClippedMargin(Identity):
    """The score, cut off at -1 and 1, is linear in the probability (Zhang, 2004)."""

    def probabilities(self, scores):
        """(score + 1) / 2 within [0, 1]; with several columns scaled to sum to 1, or equal where all are 0."""
        return _normalised((np.clip(scores, -1, 1) + 1) / 2)


class Softmax(Identity):
    """The scores are the logarithms of the probabilities, up to a constant a row."""

    def probabilities(self, scores):
        """Softmax along the rows."""
        from scipy.special import softmax  # whose import takes as long as predicting a small file

        return softmax(scores, axis=1)


def highest(scores):
    """The number of the class with the highest score; one column is that of the second of two classes."""
    return (scores[:, 0] > 0).astype(np.intp) if scores.shape[1] == 1 else scores.argmax(axis=1)


def _normalised(positive):
    """Probabilities of both classes from one column, or of all from one column a class."""
    if positive.shape[1] == 1:
        return np.hstack([1 - positive, positive])
    total = positive.sum(axis=1, keepdims=True)
    return np.where(total > 0, positive / np.where(total > 0, total, 1), 1 / positive.shape[1]).astype(
        positive.dtype
    )
