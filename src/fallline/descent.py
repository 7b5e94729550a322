"""The textbook function."""

from __future__ import annotations

from typing import Any

import numpy as np

from fallline.data.arrays import as_matrix, as_numbers, column_names
from fallline.data.classes import as_labels, class_numbers, find_classes, signs
from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.descent import DescentEngine
from fallline.errors import TargetError
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.objective.domains import CLASSES
from fallline.optim.optimizers.sgd import SGD
from fallline.optim.schedules.constant import Constant
from fallline.settings import flag, integer, make_loss, number, rows_per_batch, seed_from

__all__ = ["mini_batch_gradient_descent"]

_DEFAULTS = {"epsilon": 0.1, "quantile": 0.5, "power": 1.5}


def mini_batch_gradient_descent(
    X: Any,
    y: Any,
    batch_size: float | str = 32,
    learning_rate: float = 0.01,
    num_epochs: int = 100,
    *,
    loss: Any = "squared_error",
    shuffle: bool = True,
    random_state: Any = None,
) -> tuple[np.ndarray, Any]:
    r"""Fit a linear model by mini-batch gradient descent, exactly as textbooks define it.

    Weights start at zero. For every mini-batch B, in every epoch,

    .. math:: w \leftarrow w - \eta \frac{1}{|B|} \sum_{i \in B} \nabla_w \ell(x_i \cdot w + b, y_i)

    and likewise for b, where :math:`|B|` is the number of rows really in the batch: the last one of an epoch may be short.

    Parameters
    ----------
    X : array-like or data frame of shape (n, columns)
        One row a sample. float32 is computed in float32, everything else in float64.
    y : array-like of shape (n,) or (n, targets)
        Targets: numbers for losses of regression (several columns are fitted side by side); two classes, of which the larger
        is the positive one, for losses of margins; any classes for "multinomial".
    batch_size : int, float or "full", default=32
        Rows in a mini-batch: 1 is stochastic gradient descent, a whole number or a fraction of the rows mini-batch, and
        "full" (or n and more) batch gradient descent.
    learning_rate : float, default=0.01
        The factor :math:`\eta`.
    num_epochs : int, default=100
        Passes over the data.
    loss : str, default="squared_error"
        A name in `fallline.objective.losses.LOSSES`, or a loss such as ``Huber(epsilon=1.35)``. The squared error is
        :math:`\tfrac12 (x \cdot w + b - y)^2`.
    shuffle : bool, default=True
        Visit the rows in a new random order in every epoch; otherwise in the order given.
    random_state : int, RandomState, Generator or None, default=None
        Chooses the orders: the same integer gives the same result, bit for bit.

    Returns
    -------
    w : ndarray of shape (columns,), or (columns, outputs) for several targets or "multinomial"
        The weights.
    b : float, or ndarray of shape (outputs,)
        The intercept.

    Raises
    ------
    InputError
        If the data cannot be used, `TargetError` and `NonFiniteError` among them.
    ParameterError
        If a setting is out of its range.
    DivergenceError
        If the loss grows beyond all bounds: the rate is too large for the data.

    Examples
    --------
    >>> import numpy as np
    >>> from fallline import mini_batch_gradient_descent
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> w, b = mini_batch_gradient_descent(
    ...     X, 2 * X[:, 0] + 1, batch_size=2, learning_rate=0.1, random_state=0
    ... )
    >>> w.round(3), round(b, 3)
    (array([2.]), 1.0)
    """
    matrix = as_matrix(X)
    n, columns = matrix.shape
    typed_loss = make_loss(loss, _DEFAULTS)
    targets, outputs = _targets(y, n, typed_loss, matrix.dtype)
    engine = DescentEngine(
        loss=typed_loss,
        optimizer=SGD(),
        schedule=Constant(number("learning_rate", learning_rate, above=0)),
        batch_size=rows_per_batch(batch_size, n),
    )
    state = engine.start(columns, outputs, matrix.dtype)
    source = ArraySource(as_rows(matrix, targets), columns=column_names(X))
    order = Order(seed_from(random_state), flag("shuffle", shuffle))
    train(Run(engine, source, order, state, epochs=integer("num_epochs", num_epochs)))
    if engine.exploded(source, state):
        raise engine.divergence(source, state)
    w, b = state.memory.weights[:, :-1], state.memory.weights[:, -1]
    if targets.ndim == 1 and outputs == 1:
        return w[0].copy(), b[0].item()
    return np.ascontiguousarray(w.T), b.copy()


def _targets(y, n, loss, dtype):
    """Targets as the loss takes them, and how many scores it takes."""
    if not loss.domain.classes:
        numbers = as_numbers(y, n, dtype)
        loss.domain.check(numbers, type(loss).__name__)
        return numbers, 1 if numbers.ndim == 1 else numbers.shape[1]
    labels = as_labels(y, n)
    classes = find_classes(labels)
    numbers = class_numbers(labels, classes)
    if loss.domain == CLASSES:
        return numbers.astype(dtype), len(classes)
    if len(classes) > 2:
        raise TargetError(
            f"{type(loss).__name__} takes two classes, but y holds {len(classes)}: {classes[:5]!r}... Use loss='multinomial', "
            "or SGDClassifier, which fits one model a class."
        )
    return signs(numbers, dtype), 1
