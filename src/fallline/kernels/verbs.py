"""The verbs that typed values implement: what a kernel may ask of a loss, a penalty, an optimizer, ...

Each is declared once, here, and implemented beside the type it belongs to (`@derivative.of(Huber)` in
`objective/losses/huber.py`). A kernel calls the verb; the compiler puts the implementation in its place.
"""

from __future__ import annotations

import numpy as np

from fallline.kernels.compile import generic, inlined

__all__ = [
    "antiderivative",
    "average",
    "catch_up",
    "curvature",
    "curve",
    "decay",
    "derivative",
    "differentiate",
    "distance",
    "distances",
    "lean",
    "prepare",
    "rate",
    "reach",
    "repeat",
    "shrink",
    "shrinks",
    "step",
    "value",
]


@generic
def value(loss, score, target):
    """The loss of one row at a score (a linear prediction), in float64."""
    raise NotImplementedError


@generic
def derivative(loss, score, target):
    """The derivative of `value` by the score; at a kink, an element of the subdifferential."""
    raise NotImplementedError


@generic
def differentiate(loss, rows, scores, targets, values, slopes):
    """Fill `values` (1, rows) with each row's loss and `slopes` (outputs, rows) with its derivatives.

    `scores` is (outputs, rows) and may be overwritten, `targets` is (target columns, rows); of both the first `rows` columns
    count. What stands here is for losses that are a sum over outputs, each with a target of its own.
    """
    for i in range(rows):
        values[0, i] = 0.0
    for k in range(scores.shape[0]):
        for i in range(rows):
            s, y = np.float64(scores[k, i]), np.float64(targets[k, i])
            values[0, i] += value(loss, s, y)
            slopes[k, i] = derivative(loss, s, y)


@generic
def curvature(loss, score, target):
    """The second derivative of `value` by the score, at least 0; of a loss that is not convex, what is expected of it."""
    raise NotImplementedError


@generic
def curve(loss, rows, scores, targets, curvatures):
    """Fill `curvatures` (outputs, rows) with each row's second derivatives; arguments as in `differentiate`.

    What stands here is for losses that are a sum over outputs. Those of which it is not true say so by their attribute
    `coupled`, and what they fill in.
    """
    for k in range(scores.shape[0]):
        for i in range(rows):
            curvatures[k, i] = curvature(loss, np.float64(scores[k, i]), np.float64(targets[k, i]))


@generic
def antiderivative(loss, score, target):
    """An integral of `value` by the score: what a loss states that bends too sharply for its curvature to be of use."""
    raise NotImplementedError


@generic
def distance(loss, score, target):
    """How far a score is from the nearest at which such a loss bends."""
    raise NotImplementedError


@generic
def lean(loss):
    """The share of a band of scores that lies above the score that it is for, so that smoothing leaves a minimum where it is."""
    return 0.5


@generic
def distances(loss, rows, scores, targets, out):
    """Fill `out` (outputs, rows) with the `distance` of each row; arguments as in `differentiate`."""
    for k in range(scores.shape[0]):
        for i in range(rows):
            out[k, i] = distance(loss, np.float64(scores[k, i]), np.float64(targets[k, i]))


@generic
def decay(penalty):
    """The coefficient a of the penalty's smooth part, a/2 w**2."""
    return 0.0


@generic
def shrink(penalty, weight, rate):
    """The proximal operator of the penalty's non-smooth part: argmin_v (v - weight)**2 / (2 rate) + penalty(v)."""
    return weight


@generic
def shrinks(penalty):
    """Whether `shrink` does anything."""
    return False


@generic
def rate(schedule, update):
    """The learning rate of an update; updates count from 1."""
    raise NotImplementedError


@generic
def prepare(optimizer, update):
    """What the optimizer needs once an update, for all coordinates; by default nothing."""
    return 0.0


@generic
def step(optimizer, prepared, k, j, weights, gradient, slots, penalty, rate):
    """Move `weights[k, j]` down its mean gradient, a number. `slots[:, k, j]` is the optimizer's memory."""
    raise NotImplementedError


@inlined
def repeat(optimizer, first, rates, k, j, weights, slots, penalty):
    """Make up for missed updates one by one: a `step` at each of the rates, the gradient being zero."""
    for i in range(rates.size):
        step(optimizer, prepare(optimizer, first + i), k, j, weights, 0.0, slots, penalty, rates[i])


@generic
def catch_up(optimizer, first, rates, k, j, weights, slots, penalty):
    """Make up for the updates from number `first` on, whose `rates` these are, that found a gradient of zero at `weights[k, j]`.

    The result is that of `repeat`, which stands here; optimizers that know a shorter way say so.
    """
    repeat(optimizer, first, rates, k, j, weights, slots, penalty)


@generic
def reach(optimizer, penalty):
    """About how many times a `step` it costs to catch up, however many updates were missed."""
    return 64


@generic
def average(averaging, update, weights, mean):
    """Take the weights after an update into their running mean; by default there is none."""
