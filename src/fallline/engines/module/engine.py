"""Mini-batch gradient descent on any PyTorch module."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from fallline.data.rows import TrainingSource
from fallline.engines.module import devices, rates
from fallline.engines.module.batches import Batches, SharedBatches
from fallline.engines.module.blocks import LoadedBatch
from fallline.engines.module.evaluating import Evaluator, in_mode
from fallline.engines.module.gradient import Gradient
from fallline.engines.module.labels import none_counts
from fallline.engines.module.losses import Objective, make_objective, require_all_trained
from fallline.engines.module.memory import ModuleMemory, saved_weights
from fallline.engines.module.optimizers import make_optimizer, make_scheduler, trainable
from fallline.engines.module.pieces import loaded
from fallline.engines.module.replicas import Replicated
from fallline.engines.module.tally import Tally
from fallline.engines.module.updating import Updates
from fallline.engines.module.weights import put_into
from fallline.errors import DivergenceError, ParameterError, StateError
from fallline.kernels.sweep import Sums
from fallline.kernels.verbs import rate
from fallline.parallel.alone import Alone
from fallline.settings import integer, is_auto, number
from fallline.state import SavedMemory, State, Stop

__all__ = ["ModuleEngine"]

# With "auto", micro-batches begin no larger than this: on the processor, memory that does not suffice ends the program.
_MOST_ROWS = 2**15
# A block has at most as many updates as come to about so many rows, and take so many seconds: monitors are asked often, and calls
# cost nothing.
_BLOCK_ROWS = 4096
_BLOCK_SECONDS = 0.1


class ModuleEngine(Replicated):
    """Trains a module in place.

    An update follows the gradient of the batch's loss: the sum over its rows of weight times loss, divided once by the number of
    the rows, however the batch is cut into micro-batches. (A loss that counts in its own way, as cross-entropy with class
    weights does, is divided by its own sum of counts.) What a module computes across the rows it sees together, such as batch
    normalisation, and what it draws at random, such as dropout, follow the micro-batches.

    Parameters
    ----------
    module : Module
        It is moved to the device, and trained there.
    loss : str, NamedTuple, Module, callable or None
        See `make_objective`.
    optimizer : str, class, callable or Optimizer
        See `make_optimizer`.
    batch_size : int
        Rows an update sees.
    micro_batch : int or "auto"
        Rows that go through the module together. "auto" begins with whole batches, halves them whenever memory does not suffice,
        and goes on.
    learning_rate : float, optional
        By default the optimizer's own.
    scheduler : NamedTuple, callable or LRScheduler, optional
        One of fallline's schedules, which gives the rate of each update; or one of `torch.optim.lr_scheduler`, stepped after
        every epoch, or after every update if that is the custom (`OneCycleLR`, `CyclicLR`).
    device : str or device
        "auto" takes CUDA, then MPS, then the processor.
    precision : {"float32", "bf16"}
        "bf16" multiplies in 16 bits and sums in 32.
    compile : bool
        Compile the module with `torch.compile`; on CUDA with CUDA graphs.
    clip_norm : float, optional
        A longer gradient is shortened to this norm.
    penalty : SquaredWeights, optional
        Added to the loss.
    seed : int
        What dropout begins with. PyTorch's own generators are as they were after each sweep.

    Raises
    ------
    ParameterError
        If any of these cannot be used.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        loss: Any,
        optimizer: Any = "adamw",
        batch_size: int = 128,
        *,
        micro_batch: int | str = "auto",
        learning_rate: float | None = None,
        scheduler: Any = None,
        device: Any = "cpu",
        precision: str = "float32",
        compile: bool = False,  # noqa: A002 (PyTorch's word)
        clip_norm: float | None = None,
        penalty: Any = None,
        seed: int = 0,
    ):
        trainable(module)
        self.settings = {
            "loss": loss,
            "optimizer": optimizer,
            "batch_size": batch_size,
            "micro_batch": micro_batch,
            "learning_rate": learning_rate,
            "scheduler": scheduler,
            "device": device,
            "precision": precision,
            "compile": compile,
            "clip_norm": clip_norm,
            "penalty": penalty,
            "seed": seed,
        }
        self.loss = loss
        self.objective: Objective = make_objective(loss)
        require_all_trained(loss, module)
        self.batch_size = integer("batch_size", batch_size)
        self._auto = auto = is_auto(micro_batch)
        self.micro_batch = min(self.batch_size, _MOST_ROWS if auto else integer("micro_batch", micro_batch))
        self.device = devices.find_device(device)
        devices.autocast(self.device, precision)
        self.precision = precision
        self.penalty = penalty
        self.seed = seed
        self.module = _moved(module, self.device)
        self.optimizer = make_optimizer(optimizer, module, learning_rate)
        self.schedule = scheduler if type(scheduler) in rate.implementations else None
        torchs = scheduler is not None and self.schedule is None
        self.scheduler = make_scheduler(scheduler, self.optimizer) if torchs else None
        self.parameters = trainable(module)
        self._every = list(module.parameters())
        self._trained = [parameter.requires_grad for parameter in self._every]
        called = _compiled(module, self.device) if compile else module
        self._gradient = Gradient(called, self.objective, self.parameters, self.device, precision, auto)
        clip_norm = None if clip_norm is None else number("clip_norm", clip_norm, above=0)
        self._updates = Updates(
            self._gradient, self.optimizer, self.parameters, self.schedule, penalty, clip_norm
        )
        self._batches = Batches(self._gradient, self._updates, self.batch_size, self.device)
        self._threads = devices.threads(module, self.micro_batch)
        self._evaluator = Evaluator(
            module, self.objective, self.device, precision, self._threads, max(self.batch_size, 1024)
        )
        self._failed = "not finite"
        # Seconds that a row took lately; as long as nothing is known, blocks are as small as can be.
        self._pace = math.inf

    def joined(self, processes: Alone) -> ModuleEngine:
        """Let the engine train together with other processes from now on: every update is over the rows of all."""
        self._gradient.processes = processes
        kind = Batches if processes.size == 1 else SharedBatches
        self._batches = kind(self._gradient, self._updates, self.batch_size, self.device)
        return self

    @classmethod
    def of(cls, module: torch.nn.Module, **settings: Any) -> ModuleEngine:
        """See `Replicated.of`."""
        return cls(module, **settings)

    def start(self) -> State:
        """A state to train from: the module as it is."""
        clock = np.array([0, 0, self.micro_batch, 0])
        base = [float(group["lr"]) for group in self.optimizer.param_groups]
        random = devices.seeded(self.seed, self.device)
        return State(ModuleMemory(self.module, self.optimizer, self.scheduler, random, base, clock))

    def require(self, state: State, source: TrainingSource) -> None:
        """See `Engine.require`. What was read from a file is taken up: module, optimizer and scheduler become what they were."""
        memory, begins = state.memory, not (state.rows or state.updates)
        if isinstance(memory, SavedMemory) and memory.kind == ModuleMemory.kind:
            state.memory = self.start().memory
            if begins:
                # Perhaps with another rate than was saved: only the weights matter.
                state.memory.take_weights(saved_weights(memory.arrays))
            else:
                state.best = state.memory.take_up(memory.clock, memory.arrays)
        elif isinstance(memory, ModuleMemory) and memory.module is self.module and begins:
            state.memory = self.start().memory
        if not isinstance(state.memory, ModuleMemory) or state.memory.module is not self.module:
            raise StateError(
                "The state is not this module's: it was made by another engine. Use the state that engine.start() gives, or one "
                "that was saved."
            )
        self._batches.agree(self.module)

    def block_rows(self, state: State, source: TrainingSource) -> int:
        """See `Engine.block_rows`: whole batches; or of large ones, which take long, whole micro-batches."""
        rows = _BLOCK_ROWS
        if self._batches.timed:
            rows = min(rows, int(_BLOCK_SECONDS / self._pace))
            if rows < self.batch_size and not self._updates.whole_batches:
                micro = int(state.memory.clock[2])
                return min(max(1, rows // micro) * micro, self.batch_size - state.pending)
        return max(1, rows // self.batch_size) * self.batch_size - state.pending

    def rows_left(self, updates: int, state: State) -> int:
        """See `Engine.rows_left`."""
        return updates * self.batch_size - state.pending

    def weights(self, state: State) -> dict[str, torch.Tensor]:
        """Every parameter and buffer by name, as it is: they change when training goes on."""
        if isinstance(state.memory, SavedMemory):
            return saved_weights(state.memory.arrays)
        return state.memory.weights()

    def copied(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """See `Engine.copied`."""
        return {name: tensor.clone() for name, tensor in weights.items()}

    def put(self, weights: dict[str, torch.Tensor]) -> None:
        """Give the module these weights, such as the best ones."""
        put_into(self.module, weights)

    def sweep(self, block: Any, state: State, last: bool) -> Sums:
        """See `Engine.sweep`."""
        memory = state.memory
        self._see_what_is_trained(memory)
        rates.before_epoch(memory, state.epoch, state.history[-1] if state.history else {})
        tally, began = Tally(state.rate_factor), time.perf_counter()
        self._batches.begin(memory, self.seed, state.updates)
        with self._training(memory, block):
            if isinstance(block, LoadedBatch):
                rows = self._learn_loaded(block, memory, tally)
            else:
                rows = self._batches.learn(block, memory, tally, last)
        self._batches.end(self.module)
        sums = self._sums(memory, tally, state.loss_sum, rows, last)
        self._pace = max((time.perf_counter() - began) / rows, 1e-9) if rows else self._pace
        return sums

    def _see_what_is_trained(self, memory):
        """Parameters may have been frozen or unfrozen since the last sweep, and the optimizer given more of them."""
        groups = self.optimizer.param_groups
        memory.rates += [float(group["lr"]) for group in groups[len(memory.rates) :]]
        trained = [parameter.requires_grad for parameter in self._every]
        if trained == self._trained:
            return
        sums = dict(zip(map(id, self.parameters), memory.gradients, strict=False))
        held = {id(parameter) for group in groups for parameter in group["params"]} | {
            *map(id, self.parameters)
        }
        self.parameters[:], self._trained = trainable(self.module), trained
        lacking = sum(id(parameter) not in held for parameter in self.parameters)
        if lacking:
            raise ParameterError(
                f"While {type(self.module).__name__} was trained, {lacking} of its parameters were unfrozen that the optimizer "
                "was not built for. Give an optimizer built for module.parameters(), or add them by its add_param_group."
            )
        if sums:
            memory.gradients = [sums.get(id(parameter)) for parameter in self.parameters]

    def _learn_loaded(self, batch, memory, tally):
        """One update of a batch as it was loaded, which cannot be divided."""
        if not self._auto and self.micro_batch < min(batch.n_rows, self.batch_size):
            raise ParameterError(
                f"micro_batch={self.micro_batch}, but batches of a Dataset or DataLoader are taken as they come: where their "
                "rows lie is not known. Lower the batch size, or give tensors or arrays."
            )
        memory.clock[0], memory.clock[2], tally.last = batch.n_rows, batch.n_rows, True
        devices.require_on(self.device, batch.inputs, "inputs")
        self._updates.learn(memory, loaded(batch, self.device), tally, complete=True)
        return batch.n_rows

    def _sums(self, memory, tally, before, rows, last):
        """What the sweep found, and whether all is well."""
        loss, failed = tally.sum(before)
        if failed is not None:
            updates_since, value = failed
            memory.clock[1] -= updates_since - 1
            self._failed = f"the loss is {value:g}"
        finite = failed is None
        if finite and last and not all(bool(torch.isfinite(p).all()) for p in self.parameters):
            self._failed, finite = "the loss was finite, but weights are not", False
        return Sums(loss, rows, tally.norm, tally.rate, finite)

    @contextmanager
    def _training(self, memory: ModuleMemory, block: Any) -> Iterator[None]:
        """A sweep begins where the last one ended, whatever else the program does with PyTorch; and it leaves no other trace."""
        others = devices.random_state(self.device)
        devices.set_random_state(memory.random, self.device)
        try:
            with in_mode(self.module, training=True), torch.enable_grad(), devices.using(self._threads):
                self._gradient.begin(block)
                self._updates.begin()
                yield
        finally:
            memory.random = devices.random_state(self.device)
            devices.set_random_state(others, self.device)

    def finished(self, state: State) -> Stop | None:
        """See `Engine.finished`."""
        rates.after_epoch(state.memory)
        return None

    def measure(self, source: TrainingSource, weights: dict[str, torch.Tensor]) -> float:
        """See `Engine.measure`. What the module computes is what it gives when it is not trained."""
        return self._evaluator.mean_loss(source, weights)

    def outputs(self, source: TrainingSource, weights: dict[str, torch.Tensor]) -> tuple[Any, Any]:
        """See `Evaluator.outputs`."""
        return self._evaluator.outputs(source, weights)

    def penalise(self, weights: dict[str, torch.Tensor]) -> float:
        """See `Engine.penalise`."""
        if self.penalty is None:
            return 0.0
        names = {id(parameter): name for name, parameter in self.module.named_parameters()}
        held = [weights[names[id(parameter)]] for parameter in self.penalty.parameters]
        return self.penalty.value(self.batch_size, held)

    def penalty_met(self, state: State) -> float:
        """See `Engine.penalty_met`."""
        return 0.0 if self.penalty is None else self.penalty.value(self.batch_size)

    def divergence(self, source: TrainingSource, state: State) -> DivergenceError:
        """See `Engine.divergence`."""
        if not self._gradient.first_finite:
            return DivergenceError(
                "The module's outputs held NaN or infinity at the first batch that it was given, before anything was learnt; its "
                "inputs and targets were finite. Look for what it divides by, or takes the root or logarithm of."
            )
        if none_counts(self._gradient.block, self.batch_size, self.objective.ignored):
            return DivergenceError(
                f"At update {state.updates} (epoch {state.epoch + 1}) {self._failed}, a mean over no rows: all targets of a "
                f"batch were {self.objective.ignored}, which the loss ignores. Leave such rows out, or choose larger batches."
            )
        return DivergenceError(
            f"At update {state.updates} (epoch {state.epoch + 1}) {self._failed}; the inputs and targets of its rows were "
            "finite. Lower the learning rate, give clip_norm=1.0, scale inputs and targets, or look in the module and the "
            "loss for roots and logarithms of 0."
        )


def _moved(module, device):
    """The module on the device, its parameters still the same objects."""
    here = {parameter.device for parameter in module.parameters()}
    if torch.device("meta") in here:
        raise ParameterError(
            f"{type(module).__name__} has parameters on the device 'meta', which hold no numbers. Build it on a real device, or "
            "load its weights first."
        )
    return module.to(device)


def _compiled(module, device):
    """The module compiled; on CUDA, what it does is recorded once and replayed (CUDA graphs)."""
    return torch.compile(module, mode="reduce-overhead" if device.type == "cuda" else None)
