"""What PyTorch complains of in the middle of training, in the words of who gave the module, the data and the loss.

::

    an exception of a module, a loss or an optimizer
      ├── out of memory, an error of fallline's, an exception of the user's own: as it is, with a note of shapes and types
      ├── one whose cause is known (a table below): an error that names it, with the row where there is one
      └── any other of PyTorch's: an `InputError` with its first line, and the shapes and types that it met

Nothing here runs as long as all goes well.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from fallline.engines.module.blocks import TensorBlock
from fallline.engines.module.devices import is_out_of_memory
from fallline.engines.module.labels import IGNORED, wrong_label
from fallline.engines.module.reading import leaves
from fallline.errors import FalllineError, InputError, ParameterError, TargetError

__all__ = ["Call", "described", "explained", "explaining", "raise_explained"]

# What PyTorch raises of what it is given. An exception of any other type is the user's own and stays as it is.
_PYTORCHS = (RuntimeError, IndexError, ValueError, NotImplementedError)


class Call(NamedTuple):
    """What was being done when it failed.

    Parameters
    ----------
    module : callable
    piece : Piece
        The rows it was called with.
    block : TensorBlock, LoadedBatch or None
        What the rows are from.
    outputs : tensor, tuple or dict of tensors, or None
        What the module gave; None where it was the module that failed.
    loss : callable or None
        The user's function of outputs and targets, where the loss is one.
    ignored : int
        The target that counts for nothing, where targets are classes.
    what : {"loss", "gradient"}
        What was to be computed.
    """

    module: Callable[..., Any]
    piece: Any
    block: Any = None
    outputs: Any = None
    loss: Any = None
    ignored: int = IGNORED
    what: str = "loss"


@contextmanager
def explaining(call: Call) -> Iterator[None]:
    """Let exceptions say what they are about."""
    try:
        yield
    except Exception as error:
        found = explained(error, call)
        if found is error:
            raise
        raise found from error


def explained(error: Exception, call: Call) -> Exception:
    """The error to raise for one that was caught: perhaps the same."""
    found = None
    if not (isinstance(error, FalllineError) or is_out_of_memory(error)):
        # On a device that has failed, nothing can be looked at any more.
        with suppress(RuntimeError, TypeError, ValueError):
            found = next(filter(None, (known(error, call) for known in _KNOWN)), None)
        if found is None and type(error) in _PYTORCHS:
            found = _any_other(error, call)
    if found is None:
        error.add_note(f"This was on {_rows(call)}.")
        return error
    return found


def raise_explained(error: Exception, optimizer: torch.optim.Optimizer) -> NoReturn:
    """Raise what an optimizer's step raised; where it is PyTorch's complaint of the gradients, as an error that says so."""
    if type(error) not in _PYTORCHS or is_out_of_memory(error):
        raise error
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    sparse = any(weight.grad is not None and weight.grad.is_sparse for weight in weights)
    others = (
        "one that takes sparse gradients: 'sgd' or 'adagrad'"
        if sparse
        else "another, such as optimizer='adamw'"
    )
    raise ParameterError(
        f"The optimizer {type(optimizer).__name__} cannot make its step: {_first_line(error)}. Choose {others}."
    ) from error


def described(name: str, values: Any) -> str:
    """Shapes and types of all tensors."""
    found = [
        f"{place} of shape {tuple(tensor.shape)} and dtype {str(tensor.dtype).removeprefix('torch.')}"
        if isinstance(tensor, Tensor)
        else f"{place}, a {type(tensor).__name__}"
        for place, tensor in leaves(values, name)
    ]
    return ", ".join(found) or f"no {name}"


def _rows(call):
    rows = f"{call.piece.rows} row{'s' if call.piece.rows > 1 else ''}"
    return f"{rows}: {described('inputs', call.piece.inputs)}; {described('targets', call.piece.targets)}"


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _any_other(error, call):
    if call.what != "loss":
        return InputError(
            f"The {call.what} of this batch cannot be computed: {_first_line(error)}. There were {_rows(call)}. Look at the "
            "module's and the loss's own functions, and at their types."
        )
    if call.outputs is None:
        return InputError(
            f"The module {_name(call.module)} cannot take these rows: {_first_line(error)}. It was given {_rows(call)}. Compare "
            "shapes and types with what its layers are made for."
        )
    return InputError(
        f"The loss cannot be computed: {_first_line(error)}. It was given {described('outputs', call.outputs)}, of "
        f"{_rows(call)}. Reshape or convert one of them, or choose another loss."
    )


def _name(module):
    return type(getattr(module, "_orig_mod", module)).__name__


def _signature(error, call):
    """Inputs or a pair that a module or a loss has no parameters for."""
    if not isinstance(error, TypeError):
        return None
    if call.outputs is None:
        function, inputs = getattr(call.module, "forward", call.module), call.piece.inputs
        given, named = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
        several = isinstance(given, tuple) and not isinstance(given, PackedSequence)
        given = given if several else (given,)
        what = f"The module {_name(call.module)}"
        how = "module(x), module(*x) for a tuple, module(**x) for a dict"
    elif call.loss is not None:
        given = (call.outputs,) if call.piece.targets is None else (call.outputs, call.piece.targets)
        named, function = {}, getattr(call.loss, "forward", call.loss)
        what, how = "The loss", "loss(outputs, targets), or loss(outputs) where there are no targets"
    else:
        return None
    try:
        inspect.signature(function).bind(*given, **named)
    except TypeError as reason:
        return InputError(
            f"{what} cannot be called with what it is given ({reason}). It is called as {how}; there were {_rows(call)}."
        )
    return None


def _single_row(error, call):
    """Batch normalisation over one number."""
    if "more than 1 value per channel" not in str(error):
        return None
    return ParameterError(
        f"Batch normalisation cannot be trained on {call.piece.rows} row, which has no variance; but a batch or micro-batch has "
        "no more: what is left over at the end of an epoch, perhaps. Choose another batch_size or micro_batch, so that one row "
        "is never left over."
    )


def _detached(error, _call):
    """A loss that says nothing of the outputs."""
    if "does not require grad" not in str(error):
        return None
    return ParameterError(
        "The loss does not depend on the module's outputs, so that there is nothing to learn from: something detaches it "
        "(detach, item, numpy, argmax), or it does not use them. Compute it of the outputs by PyTorch's functions."
    )


def _lookup(error, call):
    """A number beyond an embedding's rows."""
    if "range" not in str(error) or call.outputs is not None or not isinstance(call.module, nn.Module):
        return None
    sizes = {
        m.num_embeddings for m in call.module.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))
    }
    if not sizes:
        return None
    for place, tensor in leaves(call.piece.inputs, "inputs"):
        if isinstance(tensor, Tensor) and not tensor.is_floating_point() and tensor.numel():
            low, high = int(tensor.min()), int(tensor.max())
            if low < 0 or high >= min(sizes):
                there = " or ".join(f"{size:,}" for size in sorted(sizes))
                return InputError(
                    f"{place} holds numbers from {low} to {high}, but an embedding of {there} rows takes 0 to one less. Make the "
                    "embedding larger, or correct the numbers."
                )
    return None


def _types(error, call):
    """Inputs of another type than the weights they meet; outputs of another than the targets."""
    text = str(error)
    if type(error) is not RuntimeError or not any(word in text for word in ("dtype", "type ", "Tensor")):
        return None
    if call.outputs is not None:
        return _types_of_targets(call)
    if not isinstance(call.module, nn.Module):
        return None
    wanted = next((p.dtype for p in call.module.parameters() if p.is_floating_point()), None)
    for place, tensor in leaves(call.piece.inputs, "inputs"):
        if not isinstance(tensor, Tensor) or tensor.dtype == wanted or wanted is None:
            continue
        if "indices" not in text:
            return InputError(
                f"{place} have dtype {_short(tensor.dtype)}, but the module's weights have {_short(wanted)}. Convert one of "
                f"them: tensor.to({wanted}), or module.to({tensor.dtype})."
                if tensor.is_floating_point()
                else f"{place} have dtype {_short(tensor.dtype)}, but the module's weights, which they meet, "
                f"{_short(wanted)}. Convert them: tensor.to({wanted})."
            )
    if "indices" in text:
        return InputError(
            f"The module looks up whole numbers (nn.Embedding), but was given {described('inputs', call.piece.inputs)}. Convert "
            "them: tensor.long()."
        )
    return None


def _types_of_targets(call):
    outputs, targets = call.outputs, call.piece.targets
    if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor)) or outputs.dtype == targets.dtype:
        return None
    return InputError(
        f"The outputs have dtype {_short(outputs.dtype)}, but the targets {_short(targets.dtype)}, and the loss cannot take "
        f"both. Convert the targets: whole numbers for classes (y.long()), y.to({outputs.dtype}) for numbers."
    )


def _short(dtype):
    return str(dtype).removeprefix("torch.")


def _labels(error, call):
    """A class that is none."""
    if not (isinstance(error, (IndexError, RuntimeError)) and isinstance(call.outputs, Tensor)):
        return None
    found = wrong_label(call.outputs, call.piece.targets, call.ignored)
    if found is None:
        return None
    return TargetError(_about_label(found, call))


def _about_label(found, call):
    place, label, classes = found
    where = f"row {place} of a batch"
    block = call.block
    if isinstance(block, TensorBlock) and block.numbered:
        rows = block.rows.to(block.targets.device)
        of_block = wrong_label(call.outputs, block.targets[rows], call.ignored)
        if of_block is not None:
            place, label, _ = of_block
            where = f"row {int(rows[place])}"
    return (
        f"The target in {where} is {label}, but the module gives {classes} outputs, which stand for the classes 0 to "
        f"{classes - 1}. Number the classes so, or give the module as many outputs as there are classes."
    )


_KNOWN: tuple[Callable[[Exception, Call], Exception | None], ...] = (
    _single_row, _detached, _lookup, _labels, _types, _signature,
)  # fmt: skip
