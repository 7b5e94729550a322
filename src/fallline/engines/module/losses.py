"""What is to fall, for modules: a number for a batch, or for a micro-batch its share of one.

The loss of an update is a sum over its rows divided by a count, which for most losses is the number of the rows. A batch that
goes through the module whole needs the quotient only (`mean`); one in micro-batches needs sums and counts, each added up, and
divides once.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fallline.engines.module import cross_entropy
from fallline.engines.module.labels import IGNORED, require_labels, require_tensors
from fallline.engines.module.named import rows_loss
from fallline.engines.module.shapes import require_same, watched
from fallline.errors import FalllineWarning, InputError, ParameterError
from fallline.names import did_you_mean
from fallline.objective.losses import LOSSES, name_of

__all__ = ["Objective", "PerRow", "make_objective", "per_row", "require_all_trained"]

_NAMES = {
    "cross_entropy": nn.CrossEntropyLoss,
    "mse": nn.MSELoss,
    "l1": nn.L1Loss,
    "smooth_l1": nn.SmoothL1Loss,
    "bce": nn.BCELoss,
    "bce_with_logits": nn.BCEWithLogitsLoss,
    "nll": nn.NLLLoss,
    "kl_div": nn.KLDivLoss,
}
# Means of numbers that are each compared with its own; the last do it class by class.
_ELEMENTWISE = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCELoss, nn.BCEWithLogitsLoss, nn.KLDivLoss,
                nn.PoissonNLLLoss, nn.SoftMarginLoss)  # fmt: skip
_BY_ROW = (nn.MultiLabelSoftMarginLoss, nn.MultiMarginLoss, nn.MultiLabelMarginLoss)
_aten = torch.ops.aten
# How PyTorch's own functions number the reduction to a mean.
_MEAN = 1
_COUNTED = (nn.CrossEntropyLoss, nn.NLLLoss)
# How far the loss of some rows may be from the mean over their halves, by rounding.
_CLEARLY = 0.02
_NO_MEAN = (
    "The loss of {rows} rows is {value:.4g}, but the mean over their halves is {mean:.4g}: it is no mean over the rows that it "
    "is given, so that training depends on how batches are cut into micro-batches, or among processes. Give one that is, one "
    "number a row as fallline.torch.per_row(loss), or an instance of a loss of torch.nn, such as CrossEntropyLoss(weight=...), "
    "whose sums and counts are known."
)


class Objective:
    """The loss of a batch. Subclasses say what is added up, and by what it is divided.

    Attributes
    ----------
    function : callable or None
        The user's own, where it is one.
    ignored : int
        The target that counts for nothing, where targets are classes.
    """

    function: Any = None
    ignored: int = IGNORED

    def mean(self, outputs: Any, targets: Any, weight: Tensor | None, rows: int) -> Tensor:
        """The loss of a whole batch of so many rows: a tensor without dimensions."""
        total, count = self.sums(outputs, targets, weight, rows)
        return total / count

    def sums(self, outputs: Any, targets: Any, weight: Tensor | None, rows: int) -> tuple[Tensor, Any]:
        """What a micro-batch adds to the sum, and to the count."""
        raise NotImplementedError

    def derivative(
        self, outputs: Tensor, targets: Any, weight: Tensor | None, rows: int
    ) -> tuple[Tensor, Tensor]:
        """The loss of a whole batch, and its derivative by the outputs."""
        with torch.enable_grad():
            leaf = outputs.detach().requires_grad_()
            value = self.mean(leaf, targets, weight, rows)
            (derivative,) = torch.autograd.grad(value, leaf)
        return value.detach(), derivative

    def by_hand(self, module: Any, piece: Any) -> Tensor | None:
        """The loss of a batch, its gradient written to the parameters' `grad` without autograd; None where nothing was done."""
        return None

    def differentiates(self, module: Any) -> bool:
        """Whether `by_hand` does something for a module."""
        return False

    def first(self, outputs: Any, targets: Any, weight: Tensor | None, rows: int) -> None:
        """Look at the first batch more closely; raise `InputError` or `ParameterError` for what cannot be meant."""
        self.mean(outputs, targets, weight, rows)

    def part(self, outputs: Any, targets: Any, rows: int) -> None:
        """Look at the first part of a batch that is cut; warn if it matters to the loss how."""


class PerRow(Objective):
    """A function that gives the loss of each row.

    Parameters
    ----------
    function : callable
        Takes outputs and targets, and gives a tensor of shape (n,).
    """

    def __init__(self, function: Callable[[Any, Any], Tensor]):
        self.function = function

    def mean(self, outputs: Any, targets: Any, weight: Tensor | None, rows: int) -> Tensor:
        """See `Objective.mean`."""
        values = self.function(outputs, targets)
        return (values if weight is None else values * weight).mean()

    def sums(self, outputs: Any, targets: Any, weight: Tensor | None, rows: int) -> tuple[Tensor, Any]:
        """See `Objective.sums`."""
        values = self.function(outputs, targets)
        return (values if weight is None else values * weight).sum(), rows

    def first(self, outputs: Any, targets: Any, weight: Tensor | None, rows: int) -> None:
        """See `Objective.first`."""
        _require_targets(targets)
        values = watched(self.function, outputs, targets)
        if not isinstance(values, Tensor) or values.shape != (rows,):
            raise ParameterError(
                f"The loss is to give one number a row, of shape ({rows},), but gave {_described(values)}. Sum or average what "
                "belongs to a row."
            )


class _Named(PerRow):
    """One of fallline's own losses."""

    def __init__(self, loss):
        super().__init__(rows_loss(loss))
        self._name = name_of(getattr(loss, "binary", loss))

    def first(self, outputs, targets, weight, rows):
        _require_targets(targets)
        require_tensors(outputs, targets, f"loss={self._name!r}")
        super().first(outputs, targets, weight, rows)


class _Mean(Objective):
    """A function that gives the mean over the rows it is given, or a module that gives its own loss (`function` None)."""

    def __init__(self, function):
        self.function = function

    def mean(self, outputs, targets, weight, rows):
        if weight is not None:
            raise ParameterError(
                "There are sample weights, but the loss gives one number for all rows, which cannot be weighed. Give a loss that "
                "gives one number a row, as fallline.torch.per_row(loss), or a loss by name."
            )
        return self._of(outputs, targets)

    def sums(self, outputs, targets, weight, rows):
        return self.mean(outputs, targets, weight, rows) * rows, rows

    def part(self, outputs, targets, rows):
        both = (outputs, targets)
        if rows < 2 or not all(isinstance(one, Tensor) and one.ndim and len(one) == rows for one in both):
            return
        middle = rows // 2
        parts = slice(0, middle), slice(middle, rows)
        try:
            value = float(self._of(outputs, targets))
            halves = [float(self._of(outputs[part], targets[part])) for part in parts]
        except Exception:  # noqa: BLE001 (a function of the user's)
            return  # training will meet it, if it is an error there too
        mean = (halves[0] * middle + halves[1] * (rows - middle)) / rows
        if abs(mean - value) > _CLEARLY * max(map(abs, (value, *halves))):
            warnings.warn(_NO_MEAN.format(rows=rows, value=value, mean=mean), FalllineWarning, stacklevel=2)

    def first(self, outputs, targets, weight, rows):
        value = self._of(outputs, targets) if self.function is None else watched(self._of, outputs, targets)
        if not isinstance(value, Tensor) or value.ndim:
            whose = "The module, as there is no loss," if self.function is None else "The loss"
            raise ParameterError(
                f"{whose} is to give one number, the mean over the rows, but gave {_described(value)}. Take its .mean(); or if "
                "it gives one number a row, say so: loss=fallline.torch.per_row(loss)."
            )

    def _of(self, outputs, targets):
        if self.function is None:
            return outputs
        return self.function(outputs) if targets is None else self.function(outputs, targets)


class _Elementwise(Objective):
    """A loss of `torch.nn` that is a mean over rows, or over all numbers of all rows."""

    def __init__(self, loss, same_shape):
        self.loss, self.same_shape = loss, same_shape
        self.single = copy.copy(loss)
        self.single.reduction = "none"
        self.summed = loss.reduction == "batchmean"

    def mean(self, outputs, targets, weight, rows):
        targets = self._typed(outputs, targets)
        if weight is None and self.loss.reduction != "none":
            return self.loss(outputs, targets)
        return super().mean(outputs, targets, weight, rows)

    def sums(self, outputs, targets, weight, rows):
        values = self.single(outputs, self._typed(outputs, targets))
        if values.ndim > 1:
            values = values.flatten(1).sum(1) if self.summed else values.flatten(1).mean(1)
        return (values if weight is None else values * weight).sum(), rows

    def derivative(self, outputs, targets, weight, rows):
        if type(self.loss) is not nn.MSELoss or self.loss.reduction != "mean" or weight is not None:
            return super().derivative(outputs, targets, weight, rows)
        targets = self._typed(outputs, targets)
        value = _aten.mse_loss.default(outputs, targets, _MEAN)
        return value, _aten.mse_loss_backward.default(torch.ones_like(value), outputs, targets, _MEAN)

    def first(self, outputs, targets, weight, rows):
        _require_targets(targets)
        require_tensors(outputs, targets, type(self.loss).__name__)
        if self.same_shape:
            require_same(outputs, targets)
        for loss in (self.loss, self.single):
            loss.to(outputs.device)
        super().first(outputs, targets, weight, rows)

    def _typed(self, outputs, targets):
        return targets.to(outputs.dtype) if self.same_shape else targets


class _Counted(Objective):
    """Cross-entropy: a sum over rows and positions, divided by how many count, each as much as its class."""

    def __init__(self, loss):
        self.loss = loss
        self.single = copy.copy(loss)
        self.single.reduction = "none"
        self.ignored = loss.ignore_index

    def mean(self, outputs, targets, weight, rows):
        if weight is None and self.loss.reduction != "none":
            return self.loss(outputs, targets)
        return super().mean(outputs, targets, weight, rows)

    def sums(self, outputs, targets, weight, rows):
        values = self.single(outputs, targets)
        if weight is not None:
            values = values * weight.reshape(-1, *[1] * (values.ndim - 1))
        return values.sum(), self._count(targets, values)

    def derivative(self, outputs, targets, weight, rows):
        own = self.loss
        plain = (
            type(own) is nn.CrossEntropyLoss
            and own.weight is None
            and own.reduction == "mean"
            and not own.label_smoothing
        )
        if plain and weight is None:
            found = cross_entropy.with_derivative(outputs, targets, own.ignore_index, mean=True)
            if found is not None:
                return found
        return super().derivative(outputs, targets, weight, rows)

    def first(self, outputs, targets, weight, rows):
        _require_targets(targets)
        require_tensors(outputs, targets, type(self.loss).__name__)
        require_labels(outputs, targets, shares=type(self.loss) is nn.CrossEntropyLoss)
        for loss in (self.loss, self.single):
            loss.to(outputs.device)
        super().first(outputs, targets, weight, rows)

    def _count(self, targets, values):
        if targets.is_floating_point():
            return values.numel()
        counts = targets != self.loss.ignore_index
        if self.loss.weight is None:
            return counts.sum()
        return self.single.weight[torch.where(counts, targets, 0)][counts].sum()


def per_row(loss: Callable[[Any, Any], Tensor]) -> PerRow:
    """Say of a loss that it gives one number a row, (n,), not one for all: so that sample weights can be applied.

    Parameters
    ----------
    loss : callable
        Takes outputs and targets.

    Examples
    --------
    >>> import fallline.torch
    >>> loss = fallline.torch.per_row(lambda scores, y: (scores - y).abs().sum(1))
    """
    return PerRow(loss)


def make_objective(loss: Any) -> Objective:
    """What is to fall, from what users write.

    Parameters
    ----------
    loss : str, NamedTuple, Module, callable, Objective or None
        A name of fallline's (`fallline.objective.losses.LOSSES`) or of PyTorch's; a typed value; a loss of `torch.nn`; a function
        that gives the mean over the rows it is given; or None where the module gives its loss itself.

    Raises
    ------
    ParameterError
        If it is none of these.
    """
    if isinstance(loss, Objective):
        return loss
    if isinstance(loss, str):
        loss = _named(loss)
    if type(loss) in LOSSES.values() or hasattr(loss, "binary"):
        return _Named(loss)
    if getattr(loss, "reduction", None) == "sum":
        raise ParameterError(
            f"The loss {type(loss).__name__} sums over rows, but an update follows the mean over its batch, however it is cut. "
            "Use reduction='mean', and a learning rate that is larger by the batch size."
        )
    if type(loss) in _COUNTED:
        return _Counted(loss)
    if type(loss) in _ELEMENTWISE + _BY_ROW:
        return _Elementwise(loss, type(loss) in _ELEMENTWISE)
    if loss is None or callable(loss):
        return _Mean(loss)
    raise ParameterError(
        f"loss={loss!r} is neither a name, a loss of torch.nn, nor a function of outputs and targets. Give one of them."
    )


def require_all_trained(loss: Any, module: nn.Module) -> None:
    """Raise `ParameterError` for a loss with parameters that are not the module's: nothing would move them."""
    loss = loss.function if isinstance(loss, Objective) else loss
    if not isinstance(loss, nn.Module):
        return
    known = {id(parameter) for parameter in module.parameters()}
    own = sum(parameter.requires_grad and id(parameter) not in known for parameter in loss.parameters())
    if own:
        raise ParameterError(
            f"The loss {type(loss).__name__} has {own} parameters of its own, which would not be trained: only the module's are. "
            "Give a module that holds the loss too and gives its value, with loss=None; or, if they are to stay what they are, "
            "freeze them: loss.requires_grad_(False)."
        )


def _named(name):
    if name in LOSSES:
        return LOSSES[name]()
    if name in _NAMES:
        return _NAMES[name]()
    names = [*LOSSES, *_NAMES]
    raise ParameterError(
        f"loss={name!r} is not one of {', '.join(map(repr, names))}.{did_you_mean(name, names)} Or give a loss of torch.nn, or a "
        "function of outputs and targets."
    )


def _require_targets(targets):
    if targets is None:
        raise InputError(
            "There are no targets to compare the outputs with. Give (X, y), or target=; or loss=None, if the module gives its "
            "loss itself."
        )


def _described(value):
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
