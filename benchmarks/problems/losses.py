"""The losses in NumPy.

Each takes scores (rows, outputs) and targets (rows,), and returns the rows' losses (rows,) and their first and second derivatives
by the scores (rows, outputs); for "multinomial" the probabilities of the classes stand for the second.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_softmax, softmax


def squared_error(scores, y, epsilon):
    """½ (s - y)²."""
    error = scores - y[:, None]
    return 0.5 * error[:, 0] ** 2, error, np.ones_like(error)


def huber(scores, y, epsilon):
    """½ e² up to epsilon, and linear beyond."""
    error = scores - y[:, None]
    near = np.clip(error, -epsilon, epsilon)
    return (near * (error - 0.5 * near))[:, 0], near, (np.abs(error) <= epsilon).astype(float)


def poisson(scores, y, epsilon):
    """exp(s) - y s."""
    mean = np.exp(np.minimum(scores, 500.0))
    return mean[:, 0] - y * scores[:, 0], mean - y[:, None], mean


def log_loss(scores, y, epsilon):
    """log(1 + exp(s)) - y s, for y of 0 and 1."""
    chance = expit(scores)
    values = np.maximum(scores[:, 0], 0) + np.log1p(np.exp(-np.abs(scores[:, 0]))) - y * scores[:, 0]
    return values, chance - y[:, None], chance * (1 - chance)


def multinomial(scores, y, epsilon):
    """-log of the softmax of the class."""
    rows, classes = np.arange(len(y)), y.astype(np.int64)
    chances = softmax(scores, axis=1)
    slopes = chances.copy()
    slopes[rows, classes] -= 1
    return -log_softmax(scores, axis=1)[rows, classes], slopes, chances


def hinge(scores, y, epsilon, band=0.0):
    """max(0, 1 - z s) with z = 2 y - 1; with a band, the kink is a parabola so wide."""
    sign = 2 * y[:, None] - 1
    short = 1 - sign * scores
    if band == 0:
        return np.maximum(0, short)[:, 0], -sign * (short > 0), np.zeros_like(short)
    inside = np.clip(short, 0, band)
    values = inside**2 / (2 * band) + np.maximum(0, short - band)
    return values[:, 0], -sign * inside / band, ((short > 0) & (short < band)) / band


LOSSES = {
    "squared_error": squared_error,
    "huber": huber,
    "poisson": poisson,
    "log_loss": log_loss,
    "multinomial": multinomial,
    "hinge": hinge,
}
