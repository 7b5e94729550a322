"""Networks: a multi-layer perceptron, or a module that a function of the user's own makes; by descent."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from fallline.data.encoder import Encoder
from fallline.data.rows import TrainingSource
from fallline.errors import ParameterError
from fallline.monitors.base import Run
from fallline.networks.factories import (
    build,
    factory_named,
    name_of_factory,
    require_shape,
    require_torch,
    takes_sparse,
)
from fallline.objective.losses import LOSSES
from fallline.objective.losses.offset import Offset
from fallline.parallel.alone import Alone
from fallline.scorers import NetworkScorer
from fallline.scorers.network import Described, described
from fallline.settings import (
    choose,
    flag,
    integer,
    is_auto,
    make_schedule,
    number,
    rows_per_batch,
    takes_rate,
)
from fallline.training.losses import n_outputs
from fallline.training.recipes.base import Begun
from fallline.tuning import ALPHA, LEARNING_RATE, rated

__all__ = ["NetworkRecipe"]

_HIDDEN = (128, 64)
# Rows that an update sees; fewer, down to the second number, where an epoch would not have as many updates as the third.
_BATCH, _SMALLEST_BATCH, _BATCHES_AN_EPOCH = 128, 32, 1024
# Visits to rows, passes and updates: what was enough on the tables of `docs/tables.md`.
_VISITS, _FEWEST, _MANY, _MOST, _UPDATES = 4_000_000, 5, 10, 200, 2000
# Weights that all updates together may move: with some ten thousand words, an update moves millions of them.
_MOVES = 5_000_000_000
# Rows beyond which alpha is not looked for, since they speak for themselves; and what training may move.
_MOST_SEARCHED, _SEARCHED_MOVES = 100_000, _MOVES / 4
# Groups of fewer features stay as they are: an embedding would hardly be smaller.
_EMBEDDED = 5
_CHOICE = {"solver": "descent", "reason": "a network has no other"}


class NetworkRecipe(NamedTuple):
    """What was given for a network; see `fallline.train`, and `Recipe` for what can be done with it."""

    model: str | Callable
    hidden: Any
    dropout: float | None
    batch_norm: bool | None
    device: Any
    precision: str | None
    penalty: str | None
    alpha: float | None
    optimizer: Any
    learning_rate: float | str
    schedule: Any
    batch_size: float | str
    epochs: int | None
    processes: Alone = Alone()

    def check(self) -> None:
        """See `Recipe.check`. A function of the user's own is imported here."""
        require_torch()
        from torch import nn

        if self._is_mlp:
            self._mlp_arguments()
        else:
            self._factory()
        penalised = self._penalised(nn.Linear(2, 1), LOSSES["squared_error"](), 1000, 0)
        penalised(self._alpha_for(1000))(self._rate() or 1.0, 1, 1)
        self._batch_size_for(1000)

    def divides(self, rows: int) -> bool:  # noqa: ARG002 (see `Recipe`)
        """See `Recipe.divides`."""
        return False

    def begin(self, loss: Any, encoder: Encoder, source: TrainingSource, seed: int) -> Begun:
        """See `Recipe.begin`."""
        from fallline.engines.module.tensors import tensors_of

        outputs = n_outputs(encoder)
        module = self._module(encoder, outputs, seed)
        names = [name for name, _, _ in _embedded(encoder)] if self._is_mlp else []
        network = described(self._name(), module, encoder.n_columns, outputs, names)
        rows_in_all = source.n_rows
        penalised = self._penalised(module, _objective(loss, outputs), rows_in_all, seed)
        method = rated(
            penalised(self._alpha_for(rows_in_all, encoder.mean_weight)),
            self._epochs_for(rows_in_all, module),
            _CHOICE,
            self._rate(),
            self._batch_size_for(rows_in_all),
            self.processes,
            penalised if self._seeks_alpha(rows_in_all, module) else None,
            encoder.mean_weight,
        )
        rows = partial(
            tensors_of,
            classes=outputs if outputs > 1 and not isinstance(loss, Offset) else None,
            weighted=encoder.plan.weight is not None,
            sparse=takes_sparse(module, encoder.n_columns),
        )
        return Begun(
            method,
            method.engine.start(),
            rows,
            scorer=lambda run, weights: _scorer(run.engine, weights, network),
            told=lambda run: self._told(run, network, encoder.mean_weight),
            keeps_best=True,
        )

    def _told(self, run: Run, network: Described, mean_weight: float) -> dict[str, Any]:
        """See `Begun`."""
        engine: Any = run.engine
        found = {name: run.state.notes[name] for name in (LEARNING_RATE, ALPHA) if name in run.state.notes}
        rate = found[LEARNING_RATE]["value"] if LEARNING_RATE in found else self._rate()
        return {
            "penalty": self.penalty or "none",
            "alpha": found[ALPHA]["value"]
            if ALPHA in found
            else self._alpha_for(run.source.n_rows, mean_weight),
            "solver": _CHOICE["solver"],
            "why_solver": _CHOICE["reason"],
            "optimality": None,
            "network": network._asdict(),
            **({"processes": self.processes.size, "sync_every": 1} if self.processes.size > 1 else {}),
            "device": str(engine.device),
            "precision": engine.settings["precision"],
            "optimizer": type(engine.optimizer).__name__,
            "schedule": type(engine.settings["scheduler"]).__name__,
            "learning_rate": rate if takes_rate(self._schedule) else None,
            "batch_size": engine.batch_size,
            "found": found,
            "kept": _best_epoch(run.state.history),
        }

    # ------------------------------------------------------------------------------------------------ the module

    @property
    def _is_mlp(self):
        return isinstance(self.model, str) and self.model == "mlp"

    def _name(self):
        return self.model if isinstance(self.model, str) else name_of_factory(self.model)

    def _factory(self):
        """The function of the user's own. What only a perceptron has may not be given beside it."""
        for name in ("hidden", "dropout", "batch_norm"):
            if getattr(self, name) is not None:
                raise ParameterError(
                    f"{name}={getattr(self, name)!r} is of model='mlp', but {self._name()!r} makes its network by itself. Leave "
                    "it out."
                )
        return factory_named(self.model) if isinstance(self.model, str) else self.model

    def _mlp_arguments(self):
        """What a perceptron has beside its inputs and outputs."""
        given = _HIDDEN if self.hidden is None else self.hidden
        if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
            raise ParameterError(
                f"hidden={given!r} is not a sequence of layer sizes. Give whole numbers, such as (128, 64); --hidden 128,64 on "
                "the command line."
            )
        return {
            "hidden": [integer("hidden", units) for units in given],
            "dropout": 0.0 if self.dropout is None else number("dropout", self.dropout, at_least=0, below=1),
            "batch_norm": False if self.batch_norm is None else flag("batch_norm", self.batch_norm),
        }

    def _module(self, encoder, outputs, seed):
        """The network, the same for the same seed."""
        if self._is_mlp:
            from fallline.networks.mlp import MLP

            groups = [(start, stop) for _, start, stop in _embedded(encoder)]
            return MLP(encoder.n_columns, outputs, **self._mlp_arguments(), groups=groups, seed=seed % 2**32)
        module = build(self._factory(), self._name(), encoder, outputs, seed)
        require_shape(module, encoder.n_columns, outputs, self._name())
        return module

    # --------------------------------------------------------------------------------------------- how it is trained

    def _penalised(self, module, loss, rows, seed):
        """What makes the engines for a module and so many rows: from alpha; and then from rate, size and updates."""
        from fallline.engines.module.engine import ModuleEngine
        from fallline.engines.module.penalties import SquaredWeights

        choose("penalty", self.penalty or "none", ("l2", "none"))
        heavy = [weight for weight in module.parameters() if weight.requires_grad and weight.ndim > 1]
        epochs = self._epochs_for(rows, module)

        def engine(alpha, rate, batch_size, updates):
            alpha = alpha if self.penalty == "l2" else 0.0
            given = {"alpha": alpha, "eta0": rate}
            return ModuleEngine(
                module,
                loss,
                _optimizer(self.optimizer),
                batch_size,
                learning_rate=rate,
                scheduler=make_schedule(
                    self._schedule, None, given, epochs, updates / epochs, name="schedule"
                ),
                device="auto" if self.device is None else self.device,
                precision="float32" if self.precision is None else self.precision,
                penalty=SquaredWeights(heavy, alpha) if alpha else None,
                seed=seed,
            )

        return lambda alpha: partial(engine, alpha)

    def _seeks_alpha(self, rows, module):
        """Whether alpha is looked for, which takes several runs on some of the rows."""
        if not self._is_mlp or self.penalty != "l2" or self.alpha is not None:
            return False
        moves = self._moves(rows, module) * self._epochs_for(rows, module)
        return rows <= _MOST_SEARCHED and moves <= _SEARCHED_MOVES

    @property
    def _schedule(self):
        return "cosine" if self.schedule is None else self.schedule

    def _alpha_for(self, rows, mean_weight=1.0):
        """Strength of the penalty for so many rows of such a mean weight, unless it is found out."""
        return mean_weight / rows if self.alpha is None else number("alpha", self.alpha, at_least=0)

    def _rate(self):
        """The highest rate; None where that is to be found out."""
        if is_auto(self.learning_rate):
            return None if takes_rate(self._schedule) else 1.0
        return number("learning_rate", self.learning_rate, above=0)

    def _batch_size_for(self, rows):
        """Rows an update sees."""
        if not is_auto(self.batch_size):
            return rows_per_batch(self.batch_size, rows)
        return min(rows, _BATCH, max(_SMALLEST_BATCH, 2 ** int(math.log2(max(rows // _BATCHES_AN_EPOCH, 1)))))

    def _epochs_for(self, rows, module):
        """Passes over so many rows: of few rows more, so that there are updates enough; but not more than take long."""
        if self.epochs is not None:
            return integer("epochs", self.epochs)
        passes = min(max(math.ceil(_VISITS / rows), _FEWEST), _MANY)
        updates = self._updates_for(rows)
        affordable = _MOVES / self._moves(rows, module)
        return max(_FEWEST, min(max(passes, math.ceil(_UPDATES / updates)), _MOST, math.ceil(affordable)))

    def _moves(self, rows, module):
        """How many weights the updates of a pass move, each as often as it is moved."""
        return self._updates_for(rows) * sum(weight.numel() for weight in module.parameters())

    def _updates_for(self, rows):
        """Updates of a pass."""
        return math.ceil(rows / self._batch_size_for(rows))


def _embedded(encoder):
    """The groups of features that go through embeddings."""
    return [group for group in encoder.layout.groups if group[2] - group[1] >= _EMBEDDED]


def _optimizer(optimizer):
    """PyTorch's, also by the names that linear models know them by."""
    if optimizer in ("momentum", "nesterov"):
        from torch.optim import SGD

        return partial(SGD, momentum=0.9, nesterov=optimizer == "nesterov")
    return "adam" if optimizer is None else optimizer


def _objective(loss, outputs):
    """The loss for modules; with an offset, that is a column of the targets beside the first."""
    from fallline.engines.module.losses import PerRow, make_objective

    if not isinstance(loss, Offset):
        return make_objective(loss)
    own: Any = make_objective(loss.loss)
    if outputs == 1:
        return PerRow(lambda scores, targets: own.function(scores + targets[:, 1:], targets[:, :1]))
    return PerRow(lambda scores, targets: own.function(scores + targets[:, 1:], targets[:, 0].long()))


def _best_epoch(history):
    """The epoch with the lowest loss on rows held out, whose weights are kept; None where there are no such rows."""
    judged = [record for record in history if "validation_loss" in record]
    return min(judged, key=lambda record: record["validation_loss"])["epoch"] if judged else None


def _scorer(engine, weights, network):
    """What scores rows with the weights to keep."""
    engine.put(weights)
    return NetworkScorer(engine.module, network)
