"""Modules on many processes: every update is over the rows of all."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fallline.data.order import Order  # noqa: E402
from fallline.engines.module.engine import ModuleEngine  # noqa: E402
from fallline.engines.module.tensors import TensorSource  # noqa: E402
from fallline.engines.module.together import require_same_rows  # noqa: E402
from fallline.errors import InputError, ParameterError  # noqa: E402
from fallline.loop import train  # noqa: E402
from fallline.monitors.base import Monitor, Run  # noqa: E402
from fallline.state import State, Stop  # noqa: E402
from fallline.torch.data import as_source  # noqa: E402
from fallline.torch.looking import require_enough  # noqa: E402
from ranks import on_ranks  # noqa: E402

N = 101


def source_of(n=N, classes=None, weight=False):
    generator = torch.Generator().manual_seed(n)
    X = torch.randn(n, 6, generator=generator)
    y = X[:, :3].argmax(1) if classes else (X[:, :1] - X[:, 1:2] ** 2)
    return TensorSource(X, y, torch.rand(n, generator=generator) + 0.5 if weight else None)


def network(outputs=1):
    """The same weights every time: ranks are threads here, and would draw from PyTorch's generator in turns."""
    generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, outputs))
    for parameter in module.parameters():
        torch.nn.init.uniform_(parameter.data, -0.25, 0.25, generator=generator)
    return module


def descended(processes, module, source, epochs=3, monitors=(), state=None, **settings):
    """The run that processes make together."""
    settings = {"loss": "mse", "optimizer": "sgd", "learning_rate": 0.05, "batch_size": 16} | settings
    engine = ModuleEngine(copy.deepcopy(module), **settings).joined(processes)
    run = Run(engine, source, Order(1), state or engine.start(), epochs, processes=processes)
    train(run, monitors)
    return run


def weights_of(runs):
    """The weights of all parameters, the same to the last bit on every rank."""
    for run in runs:
        if isinstance(run, Exception):
            raise run
    first, *others = [
        torch.cat([t.reshape(-1).to(torch.cdouble) for t in run.weights.values()]).numpy() for run in runs
    ]
    for other in others:
        np.testing.assert_array_equal(first, other)
    return first


def agree(module, source, size, tolerance=1e-5, **settings):
    alone = weights_of(on_ranks(1, lambda processes: descended(processes, module, source, **settings)))
    together = weights_of(on_ranks(size, lambda processes: descended(processes, module, source, **settings)))
    assert np.abs(together - alone).max() < tolerance * np.abs(alone).max()


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("batch_size", [1, 16, 50, 64, N, 1000])
@pytest.mark.parametrize("weight", [False, True])
def test_modules_come_to_the_weights_of_one_process(size, batch_size, weight):
    """Whatever the batch, with weights and a short last batch: the weights of one process, to 1e-5 of their size."""
    agree(network(), source_of(weight=weight), size, batch_size=batch_size)


@pytest.mark.parametrize("n", [1, 2, 5, 63, 65])
def test_awkward_sizes(n):
    """Fewer rows than processes, and just beside what divides: some have none, and nothing is lost."""
    agree(network(), source_of(n), 3, batch_size=4)


@pytest.mark.parametrize("micro_batch", [1, 3, "auto"])
def test_micro_batches_change_nothing(micro_batch):
    """However a process cuts its part, the update is the same."""
    agree(network(), source_of(), 2, batch_size=40, micro_batch=micro_batch)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_any_optimizer(optimizer):
    """Optimizers of several kinds, with gradients shortened."""
    agree(network(), source_of(), 2, optimizer=optimizer, learning_rate=0.01, batch_size=50, clip_norm=1.0)


def test_an_optimizer_that_evaluates_a_batch_several_times():
    """L-BFGS asks for the loss and gradient of a batch as often as it likes: over all processes."""
    agree(network(), source_of(), 3, 1e-4, optimizer=partial(torch.optim.LBFGS, max_iter=4), batch_size=N)


@pytest.mark.parametrize("given", [{}, {"weight": torch.tensor([0.2, 1.0, 3.0])}, {"ignore_index": 1}])
def test_losses_that_count_in_their_own_way(given):
    """Cross-entropy with class weights or classes left out is divided by the counts of all processes."""
    loss = torch.nn.CrossEntropyLoss(**given)
    agree(network(3), source_of(classes=3), 3, loss=loss)


def test_a_function_of_a_batch_is_the_mean_over_all():
    """A loss that gives the mean over the rows it is given: the mean over those of all processes."""
    agree(network(), source_of(), 3, loss=lambda scores, y: (scores - y).abs().mean())


class Unused(torch.nn.Module):
    """Uses a table row by row, and one part not at all."""

    def __init__(self, sparse):
        super().__init__()
        self.table = torch.nn.Embedding(10, 1, sparse=sparse)
        self.unused = torch.nn.Linear(3, 3)

    def forward(self, X):
        return self.table((X[:, 0].abs() * 3).long().clamp(max=9))


@pytest.mark.parametrize("sparse", [False, True])
def test_unused_parameters_and_sparse_gradients(sparse):
    """What no row uses stays as it is, and what a few rows use moves for these alone."""
    torch.manual_seed(0)
    agree(Unused(sparse), source_of(), 2, optimizer="sparseadam" if sparse else "adamw")


class Turned(torch.nn.Module):
    """Complex numbers between real ones."""

    def __init__(self):
        super().__init__()
        self.own, self.turn = network(), torch.nn.Parameter(torch.full((6,), 1 + 0.5j))
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, X):
        return self.own((X * self.turn).real) + self.bias


def test_complex_parameters():
    """Their gradients are summed as those of real ones are."""
    agree(Turned(), source_of(), 3)


def test_histories_are_the_same_everywhere():
    """Losses, rows and updates are over all processes."""
    (alone,) = on_ranks(1, lambda processes: descended(processes, network(), source_of()))
    for run in on_ranks(3, lambda processes: descended(processes, network(), source_of())):
        for here, there in zip(run.state.history, alone.state.history, strict=True):
            assert (here["rows"], here["updates"]) == (there["rows"], there["updates"])
            assert here["loss"] == pytest.approx(there["loss"], rel=1e-5)


def test_a_state_saved_between_two_blocks_leads_to_the_same_bits(tmp_path):
    """What the first process saves is all that is needed: all go on from it as if never stopped."""

    class Halt(Monitor):
        def after_block(self, run):
            if run.state.epoch < 1:
                return None
            if run.processes.rank == 0:
                run.state.save(tmp_path / "state")
            return Stop("halted", "a test wants it")

    given = {"optimizer": "adamw", "batch_size": 16}
    source = source_of(9000)
    whole = weights_of(on_ranks(2, lambda processes: descended(processes, network(), source, **given)))
    on_ranks(2, lambda processes: descended(processes, network(), source, monitors=[Halt()], **given))

    def resumed(processes):
        state = State.load(tmp_path / "state")
        assert 9000 < state.rows < 18000
        return descended(processes, network(), source, state=state, **given)

    np.testing.assert_array_equal(weights_of(on_ranks(2, resumed)), whole)


def test_modules_begin_with_the_weights_of_the_first():
    """However each process draws its weights, all begin with those of the first."""

    def begin(processes):
        module = network()
        with torch.no_grad():
            module[0].weight.add_(processes.rank)
        return descended(processes, module, source_of())

    np.testing.assert_array_equal(
        weights_of(on_ranks(2, begin)),
        weights_of(on_ranks(2, lambda processes: descended(processes, network(), source_of()))),
    )


def test_what_batch_normalisation_gathers_is_the_mean_over_all():
    """Beside the parameters, means and variances are the same on all processes."""
    module = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    weights_of(on_ranks(2, lambda processes: descended(processes, module, source_of(100), batch_size=20)))


@pytest.mark.parametrize(
    ("settings", "enough"),
    [
        ({"batch_size": 8}, False),  # of the last 5 rows, the third process has one
        ({"batch_size": 3}, False),
        ({"batch_size": 16}, False),
        ({"batch_size": 47}, True),
        ({"batch_size": 23, "micro_batch": 4}, True),
        ({"batch_size": 18, "micro_batch": 5}, True),
        ({"batch_size": 9, "micro_batch": 2}, False),  # 3 rows are halved
    ],
    ids=str,
)
def test_rows_to_normalise_are_those_of_a_process(settings, enough):
    """That some process would be left with a single row is told before training; with more, all train to the end."""
    source = as_source((torch.randn(53, 6), torch.randn(53, 1)))

    def looked_at(processes):
        module = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
        require_enough(ModuleEngine(module, "mse", **settings), source, 1, processes)
        return descended(processes, module, source, epochs=1, **settings)

    for found in on_ranks(3, looked_at):
        if enough:
            assert isinstance(found, Run), found
        else:
            assert isinstance(found, ParameterError)
            assert "Each of the 3 processes" in str(found)


def test_different_modules_are_an_error_everywhere():
    """A process whose module has other parameters: all say so."""

    def begin(processes):
        return descended(processes, network(1 + processes.rank), source_of())

    for error in on_ranks(2, begin):
        assert isinstance(error, ParameterError)
        assert "different modules" in str(error)


def test_a_module_that_cannot_be_trained_is_an_error_everywhere():
    """Shapes that would broadcast are found on all processes, those without rows in the first batch included."""
    bad = TensorSource(torch.randn(N, 6), torch.randn(N))
    for error in on_ranks(3, lambda processes: descended(processes, network(), bad, batch_size=2)):
        assert isinstance(error, (ParameterError, InputError)), error


def test_different_data_are_an_error_everywhere():
    """Another number of rows, or other numbers: all processes say so."""
    for change in (
        lambda rank: source_of(N - rank),
        lambda rank: TensorSource(torch.full((N, 2), float(rank)), None),
    ):
        for error in on_ranks(2, lambda processes, c=change: require_same_rows(processes, c(processes.rank))):
            assert isinstance(error, InputError)
            assert "different data" in str(error)
    assert on_ranks(2, lambda processes: require_same_rows(processes, source_of())) == [None, None]
