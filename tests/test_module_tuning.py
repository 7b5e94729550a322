"""Learning rates and batch sizes that are looked for, for modules."""

import numpy as np
import pytest
import scipy.sparse as sp

torch = pytest.importorskip("torch")

from fallline.data.order import Order  # noqa: E402
from fallline.data.rows import ArraySource, as_rows  # noqa: E402
from fallline.engines.module.engine import ModuleEngine  # noqa: E402
from fallline.engines.module.penalties import SquaredWeights  # noqa: E402
from fallline.engines.module.tensors import TensorSource, tensors_of  # noqa: E402
from fallline.errors import InterruptedWarning, ParameterError  # noqa: E402
from fallline.monitors.base import Monitor, Run, Stop  # noqa: E402
from fallline.torch import fit  # noqa: E402
from fallline.tuning import train_tuned  # noqa: E402


def network(inputs=10, outputs=2):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(inputs, 16), torch.nn.ReLU(), torch.nn.Linear(16, outputs))


def rows(n=3000):
    generator = torch.Generator().manual_seed(1)
    X = torch.randn(n, 10, generator=generator)
    return X, (X[:, 0] * X[:, 1] > 0).long()


def tuned(
    module, source, optimizer="sgd", loss=None, epochs=4, rate=None, batch_size=32, penalty=None, found=None
):
    """Train with what is None looked for; the run."""
    loss = torch.nn.CrossEntropyLoss() if loss is None else loss

    def engine_for(rate, batch_size, updates):
        return ModuleEngine(module, loss, optimizer, batch_size, learning_rate=rate, penalty=penalty)

    begin = engine_for(1.0, 1, 1)
    run = Run(begin, source, Order(0), begin.start(), epochs)
    if found is not None:
        run.state.notes["learning_rate"] = found
    train_tuned(
        run, engine_for=engine_for, rate=rate, batch_size=batch_size, cost=lambda size: 1.0 + 50 / size
    )
    return run


def weights(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def test_the_rate_found_learns_and_is_found_again():
    """The rate that short runs find lowers the loss clearly, and the same seed finds the same bits."""
    first, second = network(), network()
    run, again = (tuned(module, TensorSource(*rows()), "sgd") for module in (first, second))
    assert run.state.history[-1]["loss"] < 0.8 * run.state.notes["learning_rate"]["start"]
    assert run.state.notes["learning_rate"] == again.state.notes["learning_rate"]
    assert all(map(torch.equal, weights(first), weights(second)))


def test_looking_for_a_rate_uses_nothing_up():
    """Training with the rate and the batch size that were found is training with them given: to the bit."""
    first, second = network(), network()
    run = tuned(first, TensorSource(*rows()), "adam", batch_size=None)
    rate, size = (run.state.notes[name]["value"] for name in ("learning_rate", "batch_size"))
    tuned(second, TensorSource(*rows()), "adam", rate=rate, batch_size=size)
    assert all(map(torch.equal, weights(first), weights(second)))


def test_what_diverges_begins_anew():
    """At a rate that was found and is too high after all, training begins anew with a tenth, from the first weights."""
    X, _ = rows()
    source, module, same = TensorSource(X, X @ torch.ones(10, 1)), network(outputs=1), network(outputs=1)
    found = {"value": 20.0, "reason": "found", "start": 10.0, "restarts": []}
    run = tuned(module, source, loss=torch.nn.MSELoss(), found=found)
    note = run.state.notes["learning_rate"]
    assert note["restarts"]
    assert note["value"] == pytest.approx(20.0 / 10 ** len(note["restarts"]))
    assert run.state.memory.module is module
    tuned(same, source, loss=torch.nn.MSELoss(), rate=note["value"])
    assert all(map(torch.equal, weights(module), weights(same)))


def test_sparse_rows():
    """Rates are found on sparse rows, too."""
    X, y = rows()
    matrix = sp.csr_matrix(np.where(X.numpy() > 0.5, X.numpy(), 0).astype(np.float32))
    source = tensors_of(ArraySource(as_rows(matrix, y.numpy().astype(np.float32))), 2)
    run = tuned(network(), source, "adam", batch_size=None)
    assert run.state.history[-1]["loss"] < run.state.notes["learning_rate"]["start"]


def test_penalties_count():
    """What trials are judged by has the penalty in it: a strong one keeps the rate below where it alone would diverge."""
    module = network()
    penalty = SquaredWeights([module[0].weight, module[2].weight], 100.0)
    run = tuned(module, TensorSource(*rows()), penalty=penalty)
    assert run.state.notes["learning_rate"]["value"] < 2 / 100
    assert float(module[0].weight.detach().abs().max()) < 0.05


def test_an_optimizer_that_is_built_has_its_rate():
    """With an optimizer built before there is nothing to look for, and the error says what to give."""
    module = network()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)

    def engine_for(rate, batch_size, updates):
        return ModuleEngine(module, torch.nn.CrossEntropyLoss(), optimizer, batch_size)

    begin = engine_for(1.0, 1, 1)
    run = Run(begin, TensorSource(*rows()), Order(0), begin.start(), 1)
    with pytest.raises(ParameterError, match="Give its class"):
        train_tuned(run, engine_for=engine_for, rate=None, batch_size=32, cost=float)


def test_fit_finds_rate_and_batch_size():
    """`fit` looks for what is "auto", says what it found, and comes to the weights that the same values give."""
    first, second = network(), network()
    X, y = rows()
    history = fit(
        first, (X, y), loss="cross_entropy", learning_rate="auto", batch_size="auto", epochs=4, device="cpu"
    )
    rate, size = (history.choices[name]["value"] for name in ("learning_rate", "batch_size"))
    assert history[-1]["loss"] < 0.8 * history.choices["learning_rate"]["start"]
    fit(second, (X, y), loss="cross_entropy", learning_rate=rate, batch_size=size, epochs=4, device="cpu")
    assert all(map(torch.equal, weights(first), weights(second)))


def test_fit_goes_on_from_a_checkpoint_with_the_rate_that_was_found(tmp_path):
    """A run that looked for its rate and was stopped goes on with that rate, to the same bits."""
    asked = {
        "loss": "cross_entropy",
        "learning_rate": "auto",
        "scheduler": "cosine",
        "epochs": 4,
        "device": "cpu",
    }
    whole, stopped, resumed = network(), network(), network()
    fit(whole, rows(), **asked)

    class Once(Monitor):
        def after_epoch(self, run):
            return Stop("interrupted", "the test says so") if run.state.epoch == 2 else None

    with pytest.warns(InterruptedWarning):
        fit(stopped, rows(), **asked, checkpoint=tmp_path / "run.state", monitors=[Once()])
    fit(resumed, rows(), **asked, checkpoint=tmp_path / "run.state")
    assert all(map(torch.equal, weights(whole), weights(resumed)))


def test_a_loaders_rows_are_its_own():
    """A DataLoader decides which rows come together: nothing can be looked for on them, and the error says what to give."""
    dataset = torch.utils.data.TensorDataset(*rows())
    loader = torch.utils.data.DataLoader(dataset, 32, shuffle=True)
    with pytest.raises(ParameterError, match="taken as they come"):
        fit(network(), loader, loss="cross_entropy", learning_rate="auto", device="cpu")


@pytest.mark.parametrize("n", [5, 33, 49, 50, 65, 97])
def test_batches_that_are_tried_have_a_variance(n):
    """However few rows there are, batch normalisation can be tried: no batch is of a single row, and none is left over."""
    X = torch.randn(n, 5)
    module = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))
    history = fit(module, (X, X[:, :1]), loss="mse", batch_size="auto", learning_rate="auto", epochs=2)
    assert all(trial["batch_size"] > 1 for trial in history.choices["batch_size"]["tried"])
