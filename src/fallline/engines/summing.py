"""Sums over rows that Newton's method needs: losses, slopes, curvatures, and losses along a line.

Rows are summed in chunks, each by itself; the sums of the chunks are then added one after the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fallline.kernels.curvature import accumulate, enlarge, examine, measure_bends, search

__all__ = [
    "STEPS",
    "Chunk",
    "Question",
    "Sum",
    "ask",
    "curvature_of",
    "distances",
    "examined",
    "loss_of",
    "losses_along",
    "lowest_along",
]

STEPS = np.array([0.0, *2.0 ** -np.arange(10.0, 0.0, -1.0), 0.75, 1.0])
"""The points of a line where losses are summed: from its beginning to its end."""


class Chunk(NamedTuple):
    """Rows in memory.

    Parameters
    ----------
    z : ndarray of shape (rows, columns + 1)
        Standardised, with a last column of ones.
    targets : ndarray of shape (targets, rows)
    weight : ndarray of shape (rows,)
    """

    z: np.ndarray
    targets: np.ndarray
    weight: np.ndarray

    def scores(self, model: np.ndarray) -> np.ndarray:
        """Linear predictions (outputs, rows) of a model (outputs, columns + 1)."""
        return model.astype(self.z.dtype) @ self.z.T


class Question(NamedTuple):
    """What is to be summed over chunks.

    Parameters
    ----------
    loss : NamedTuple
        Smoothed where it bends sharply.
    coupled : bool
        Whether the curvatures of the outputs depend on each other.
    model : ndarray of shape (outputs, columns + 1)
        Where slopes and curvatures are taken.
    begin : ndarray, optional
        The model where a line to `model` begins, along which losses are summed too.
    plain : NamedTuple, optional
        The loss itself, if `loss` is a smoothed one.
    null : ndarray, optional
        A model whose loss is summed, too.
    exact : bool
        Whether curvatures are summed in float64, whatever the rows' type.
    reach : bool
        Whether the largest magnitudes of the columns are wanted with the curvature.
    """

    loss: Any
    coupled: bool
    model: np.ndarray
    begin: np.ndarray | None = None
    plain: Any = None
    null: np.ndarray | None = None
    exact: bool = False
    reach: bool = False


class Sum(NamedTuple):
    """The answer for one chunk.

    Parameters
    ----------
    loss, plain, null : float
        Of the loss asked for; of the loss itself; of the null model, 0 if it was not asked for.
    slopes : ndarray of shape (outputs, columns + 1)
    bent : ndarray of shape (groups, Q, Q), or None
        The curvature; or where it was not wanted,
    diagonal : ndarray of shape (outputs, columns + 1), or None
        its diagonal only.
    bend : float
        The curvatures by the score.
    slack : float
        Of slopes of a smoothed loss, taken for slopes at the kinks nearest to the scores: what the loss itself is above the
        tangents there; 0 of one that is not smoothed.
    apart : ndarray of shape (outputs, rows), or None
        Of a smoothed loss, how far the scores are from its kinks.
    held : int
        How many scores lie where the loss bends.
    line : ndarray of shape (steps,)
        Losses along the line; all those at its end if it has no length.
    largest : ndarray of shape (columns + 1,), or None
        The largest magnitudes of the columns, if they were wanted; 0 for the intercept.
    """

    loss: float
    plain: float
    null: float
    slopes: np.ndarray
    bent: np.ndarray | None
    diagonal: np.ndarray | None
    bend: float
    slack: float
    apart: np.ndarray | None
    held: int
    line: np.ndarray
    largest: np.ndarray | None


def ask(question: Question, chunk: Chunk, *, curve: bool) -> Sum:
    """The sums over the rows of a chunk; with or without their curvature."""
    scores = chunk.scores(question.model)
    total, _, slopes, curvatures = examined(question.loss, scores, chunk)
    line, plain, null, slack, apart = np.full(len(STEPS), total), total, 0.0, 0.0, None
    if question.begin is not None and not np.array_equal(question.begin, question.model):
        line = losses_along(question.loss, chunk.scores(question.begin), scores, chunk)
    if question.plain is not None:
        plain, _, themselves, _ = examined(question.plain, scores, chunk)
        apart = distances(question.plain, scores, chunk)
        slack = float((np.abs(themselves - slopes) * apart).sum())
    if question.null is not None:
        loss = question.loss if question.plain is None else question.plain
        null = loss_of(loss, chunk.scores(question.null), chunk)
    own = curvatures
    if question.coupled and not curve:
        own = curvatures - np.where(chunk.weight > 0, curvatures**2 / chunk.weight, 0.0)
    gradient, diagonal = np.zeros(question.model.shape), np.zeros(question.model.shape)
    accumulate(chunk.z, slopes, own, gradient, diagonal)
    rows = chunk._replace(z=chunk.z.astype(np.float64)) if question.exact and curve else chunk
    largest = np.zeros(chunk.z.shape[1]) if question.reach and curve else None
    if largest is not None:
        enlarge(largest, chunk.z)
    return Sum(
        total,
        plain,
        null,
        gradient,
        curvature_of(rows, curvatures, coupled=question.coupled) if curve else None,
        None if curve else diagonal,
        float(curvatures.sum(dtype=np.float64)),
        slack,
        apart,
        int(np.count_nonzero(curvatures)),
        line,
        largest,
    )


def examined(loss: Any, scores: np.ndarray, chunk: Chunk) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Sum of the losses; losses (rows,), slopes and curvatures (outputs, rows)."""
    values, slopes, curvatures = np.empty(scores.shape[1]), np.empty_like(scores), np.empty_like(scores)
    total = examine(loss, scores, chunk.targets, chunk.weight, values, slopes, curvatures)
    return float(total), values, slopes, curvatures


def loss_of(loss: Any, scores: np.ndarray, chunk: Chunk) -> float:
    """Sum of the losses."""
    total = np.zeros(1)
    search(loss, scores, scores, chunk.targets, chunk.weight, np.ones(1), total)
    return float(total[0])


def losses_along(loss: Any, first: np.ndarray, last: np.ndarray, chunk: Chunk) -> np.ndarray:
    """Sums of the losses at the `STEPS` from the scores of one model to those of another."""
    totals = np.zeros(len(STEPS))
    search(loss, first, last, chunk.targets, chunk.weight, STEPS, totals)
    return totals


def lowest_along(
    loss: Any, first: np.ndarray, last: np.ndarray, chunk: Chunk, penalties: np.ndarray
) -> np.ndarray:
    """Mean losses and the penalties (steps,) at the `STEPS` from the scores of one model to those of another.

    Looked at are the beginning, and points from the end back as long as the objective falls, as a convex one does down to its
    lowest; it is infinite at the others. Of one that is not convex, a lower point before may be missed.
    """
    totals, found = np.zeros(len(STEPS)), np.full(len(STEPS), np.inf)
    for place in (0, *reversed(range(1, len(STEPS)))):
        one = slice(place, place + 1)
        search(loss, first, last, chunk.targets, chunk.weight, STEPS[one], totals[one])
        found[place] = totals[place] / len(chunk.weight) + penalties[place]
        if 0 < place < len(STEPS) - 1 and found[place] > found[place + 1]:
            break
    return found


def distances(loss: Any, scores: np.ndarray, chunk: Chunk) -> np.ndarray:
    """How far each score is from where the loss bends."""
    out = np.empty(scores.shape)
    measure_bends(loss, scores, chunk.targets, out)
    return out


def curvature_of(chunk: Chunk, curvatures: np.ndarray, *, coupled: bool) -> np.ndarray:
    """For each output its own; or one for all together, of class probabilities p: the sum of s (diag(p) - p p') times z z'."""
    roots = np.sqrt(np.maximum(curvatures, 0.0))[:, :, np.newaxis]
    own = np.empty((len(roots), chunk.z.shape[1], chunk.z.shape[1]), chunk.z.dtype)
    for out, root in zip(own, roots, strict=True):
        out[:] = _square(chunk.z * root)
    if not coupled:
        return own
    outputs, width = len(roots), chunk.z.shape[1]
    share = np.where(chunk.weight > 0, curvatures / np.sqrt(chunk.weight), 0.0)
    products = share.T[:, :, np.newaxis] * chunk.z[:, np.newaxis, :]  # a Kronecker product a row
    together = -_square(products.reshape(len(chunk.z), -1))
    for k, part in enumerate(own):
        together[k * width : (k + 1) * width, k * width : (k + 1) * width] += part
    return together.reshape(1, outputs * width, -1)


def _square(rows):
    return rows.T @ rows
