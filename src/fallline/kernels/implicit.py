r"""Implicit slopes: where a row's loss balances the pull of everything else.

A row whose slope was a scores z. If its slope becomes a', its own score moves by the row's `pull` q times the change, to

    (1)  s = z - q (a' - a)

and the slope that fits the score it leads to solves

    (2)  a' = w dl(s, y)                                         with w the row's weight

This is the proximal operator of the loss: s minimises w l(s, y) + (s - z - q a)**2 / (2 q). For convex losses the solution is the
only one, whatever q, and at a kink (2) reads "a' is an element of the subdifferential": nothing has to be smooth.
"""

from __future__ import annotations

import math

import numpy as np

from fallline.kernels.compile import generic, inlined
from fallline.kernels.verbs import curvature, curve, derivative

__all__ = ["bend", "settle", "settled"]

_STEPS = 100
_ACCURACY = 1e-9


@generic
def settle(loss, pull, weight, scores, targets, slopes):
    """Replace the `slopes` (outputs, 1) of a row by the solution of (2).

    `scores` (outputs, 1) may be overwritten, `targets` are (target columns, 1). What stands here is for losses that are a
    sum over outputs, each with a target of its own.
    """
    for k in range(scores.shape[0]):
        y = np.float64(targets[k, 0])
        slopes[k, 0] = settled(loss, pull, weight, np.float64(scores[k, 0]), y, slopes[k, 0])


@generic
def bend(loss, scores, targets, out):
    """Fill `out` (outputs, 1) with the second derivatives of a row's loss by each of its scores; arguments as in `settle`."""
    curve(loss, 1, scores, targets, out)


@inlined
def settled(loss, pull, weight, score, target, slope):
    """The solution of (2) for one score: Newton's method, kept inside a bracket.

    The unknown is the move m = q (a' - a). It lies between 0 and what the slope at z asks for, since the slope falls as m
    grows. Where a derivative overflows, the bracket is open and m is doubled until it closes.
    """
    if pull == 0.0:
        return weight * derivative(loss, score, target)
    wanted = pull * (weight * derivative(loss, score, target) - slope)
    low, high = min(wanted, 0.0), max(wanted, 0.0)
    move = wanted / (1.0 + pull * weight * curvature(loss, score, target))
    if not math.isfinite(move):
        move = math.copysign(1.0, wanted)
    last = math.inf
    for _ in range(_STEPS):
        error = pull * (weight * derivative(loss, score - move, target) - slope) - move
        if error > 0.0:
            low = move
        else:
            high = move
        step = error / (1.0 + pull * weight * curvature(loss, score - move, target))
        if abs(step) <= _ACCURACY * min(abs(wanted), 1.0 + abs(score)) or high - low <= 1e-16 * abs(score):
            break
        # Where exponentials are large, Newton's steps are all of a length.
        if not (low < move + step < high and abs(step) < 0.5 * last):
            middle = 0.5 * (low + high)
            step = middle - move if math.isfinite(middle) else move
        last = abs(step)
        move += step
    return slope + move / pull
