"""`fallline.torch.fit`: one call in place of a training loop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.optim import lr_scheduler  # noqa: E402
from torch.utils.data import DataLoader, Subset, TensorDataset  # noqa: E402

import fallline.torch  # noqa: E402
from fallline.errors import (  # noqa: E402
    DivergenceError,
    InputError,
    InterruptedWarning,
    ModelError,
    ParameterError,
    StateError,
)
from fallline.monitors.base import Monitor, Stop  # noqa: E402

ROWS = 600
DRAWN = torch.Generator().manual_seed(0)
X = torch.randn(ROWS, 10, generator=DRAWN)
Y = (X[:, :3] + 0.3 * torch.randn(ROWS, 3, generator=DRAWN)).argmax(1)


def network(dropout=0.0):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Dropout(dropout), nn.Linear(24, 3))


def parameters(module):
    return torch.cat([tensor.detach().flatten().float() for tensor in module.state_dict().values()])


def fit(module, data=(X, Y), **settings):
    settings = {"loss": "cross_entropy", "learning_rate": 0.01, "device": "cpu"} | settings
    return fallline.torch.fit(module, data, **settings)


def test_a_module_learns_in_place():
    """The module itself is trained, in the mode it had, and the history tells each epoch."""
    module = network(dropout=0.1).eval()
    history = fit(module, validation=0.2, metric="accuracy", epochs=15)
    assert not module.training
    assert [record["epoch"] for record in history] == list(range(1, 16))
    assert history.stop.reason == "epochs"
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert history[-1]["validation_score"] > 0.75
    right = fallline.torch.predict(module, X).argmax(1) == Y
    assert float(right.float().mean()) > 0.75


@pytest.mark.parametrize(
    "data",
    [(X.numpy(), Y.numpy()), (X.double().numpy(), Y.numpy()), TensorDataset(X, Y), {"X": X, "y": Y}],
    ids=["arrays", "float64", "data set", "dict"],
)
def test_data_of_any_kind_give_the_same_module(data):
    """Arrays, a TensorDataset, or a dict by its keys: the same rows in the same order, and the same bits."""
    usual, other = network(), network()
    fit(usual, epochs=2)
    if isinstance(data, dict):
        fit(other, data["X"], target=data["y"], epochs=2)
    else:
        fit(other, data, epochs=2)
    assert parameters(other).equal(parameters(usual))


def test_a_loader_is_used_as_it_is():
    """The batches of a DataLoader are those of the updates, in its order."""
    loader = DataLoader(TensorDataset(X, Y), batch_size=50)
    module = network()
    with pytest.warns(fallline.errors.FalllineWarning, match="shuffl"):
        history = fit(module, loader, epochs=2, optimizer="sgd")
    assert history[-1]["updates"] == 24
    by_hand = network()
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.01, fused=True)
    for _ in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(by_hand(x), y).backward()
            optimizer.step()
    assert parameters(module).equal(parameters(by_hand))
    fit(network(), DataLoader(TensorDataset(X, Y), batch_size=50, shuffle=True), epochs=1, validation=loader)


def test_a_table_with_a_target_is_encoded(tmp_path):
    """A data frame, or a file of it, and the name of a column; the first layer learns how many columns there come to be."""
    frame = pd.DataFrame(X.numpy(), columns=[f"x{j}" for j in range(10)])
    frame["kind"] = np.where(frame["x0"] > 0, "a", "b")
    frame["y"] = np.array(["one", "two", "three"])[Y.numpy()]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    torch.manual_seed(1)
    module = nn.Sequential(nn.LazyLinear(24), nn.ReLU(), nn.Linear(24, 3))
    history = fit(
        module,
        tmp_path / "rows.csv",
        target="y",
        epochs=10,
        validation=frame,
        metric="accuracy",
        cache=tmp_path,
    )
    assert module[0].in_features > 10
    assert history[-1]["validation_score"] > 0.7


def test_the_seed_decides_all():
    """The same seed gives the same bits, whatever else PyTorch draws; another gives others."""
    found = []
    for seed in (0, 0, 1):
        module = network(dropout=0.3)
        torch.rand(len(found) + 1)
        fit(module, epochs=2, seed=seed, validation=0.1)
        found.append(parameters(module))
    assert found[0].equal(found[1])
    assert not found[0].equal(found[2])


def test_schedules_by_name_end_with_the_epochs():
    """The schedule "cosine" begins at the optimizer's rate and has come down by the last update; by default it is constant."""
    history = fit(network(), epochs=5, scheduler="cosine")
    assert history[0]["learning_rate"] > 0.008
    assert history[-1]["learning_rate"] < 1e-3
    assert {record["learning_rate"] for record in fit(network(), epochs=2)} == {0.01}


def test_patience_ends_training_with_the_best_weights():
    """When the validation loss has stopped falling, training stops, and the module is that of the best epoch."""
    module = network()
    noise = torch.randint(0, 3, (ROWS,), generator=torch.Generator().manual_seed(1))
    held = (X[:200], noise[:200])
    history = fit(module, (X[200:], noise[200:]), validation=held, epochs=200, patience=3)
    assert history.stop.reason == "early_stopping"
    losses = history.column("validation_loss")
    assert len(losses) < 200
    assert np.argmin(losses) == len(losses) - 4
    loss = nn.functional.cross_entropy(module(held[0]), held[1])
    assert float(loss.detach()) == pytest.approx(losses.min(), rel=1e-6)


def test_scores_are_to_rise():
    """With a metric of the user's own, patience waits for that to rise."""
    seen = []

    def metric(outputs, targets):
        seen.append((outputs.shape, targets.shape))
        return -len(seen)

    history = fit(network(), validation=0.25, metric=metric, patience=2, epochs=50)
    assert history.stop.reason == "early_stopping"
    assert len(history) == 3
    assert set(seen) == {((150, 3), (150,))}


def test_weights_of_rows():
    """A row of weight 0 is as if it had another target; weights come as values or with the data."""
    wrong = torch.where(torch.arange(ROWS) < 300, Y, (Y + 1) % 3)
    weight = (torch.arange(ROWS) < 300).float()
    found = []
    for data, given in (((X, Y), weight), ((X, wrong), weight), ((X, wrong, weight), None)):
        module = network()
        fit(module, data, sample_weight=given, epochs=2)
        found.append(parameters(module))
    assert found[0].equal(found[1])
    assert found[0].equal(found[2])


class StopsAt(Monitor):
    """Breaks training off, in a way that nothing is prepared for."""

    def __init__(self, update):
        self.update = update

    def after_block(self, run):
        if run.state.updates >= self.update:
            raise ZeroDivisionError


@pytest.mark.parametrize("scheduler", ["cosine", partial(lr_scheduler.StepLR, step_size=1)])
def test_a_checkpoint_is_gone_on_with(scheduler, tmp_path):
    """Training that broke off goes on from the file, to the bits of training that never did; and what is done is done."""
    settings = {"scheduler": scheduler, "epochs": 4, "batch_size": 32, "validation": 0.1, "patience": 10}
    whole = network(dropout=0.2)
    wanted = fit(whole, **settings)
    path = tmp_path / "run.state"
    with pytest.raises(ZeroDivisionError):
        fit(network(dropout=0.2), **settings, checkpoint=path, monitors=[Slowly(), StopsAt(20)])
    assert path.exists()
    module = network(dropout=0.2)
    with torch.no_grad():
        module[0].weight.zero_()
    history = fit(module, **settings, checkpoint=path)
    assert parameters(module).equal(parameters(whole))
    assert history.column("loss").tolist() == wanted.column("loss").tolist()
    again = network(dropout=0.2)
    assert fit(again, **settings, checkpoint=path).column("loss").tolist() == wanted.column("loss").tolist()
    assert parameters(again).equal(parameters(whole))


class Counts(nn.Linear):
    """Grows with every batch that it has seen, and says so to whoever saves it."""

    seen = 0

    def forward(self, x):
        self.seen += self.training
        return super().forward(x) * (1 + 0.1 * self.seen)

    def get_extra_state(self):
        return {"seen": self.seen, "kinds": {0: [torch.ones(2), None]}}

    def set_extra_state(self, state):
        assert state["kinds"][0][0].equal(torch.ones(2))
        self.seen = state["seen"]


def test_what_parts_save_beside_their_weights_is_in_the_checkpoint(tmp_path):
    """Training goes on with what `get_extra_state` gave; what cannot be written is told."""

    def module():
        torch.manual_seed(1)
        return nn.Sequential(Counts(10, 3))

    whole, parted = module(), module()
    settings = {"batch_size": 100, "checkpoint": tmp_path / "run.state"}
    fit(whole, epochs=4, batch_size=100)
    fit(module(), epochs=2, **settings)
    fit(parted, epochs=4, **settings)
    assert parted[0].seen == whole[0].seen == 24
    assert parted[0].weight.equal(whole[0].weight)
    Odd = type("Odd", (Counts,), {"get_extra_state": lambda self: object()})
    with pytest.raises(StateError, match=r"'extra\.0' there is a object"):
        fit(nn.Sequential(Odd(10, 3)), epochs=1, checkpoint=tmp_path / "other.state")


class Slowly(Monitor):
    """Makes every epoch last long enough for a checkpoint to be written after it."""

    def after_epoch(self, run):
        time.sleep(1.1)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    """Going on with another batch size, loss or module would give neither the one result nor the other."""
    path = tmp_path / "run.state"
    fit(network(), epochs=1, checkpoint=path)
    for settings in ({"batch_size": 7}, {"loss": "multinomial"}, {"optimizer": "sgd"}, {"seed": 5}):
        with pytest.raises(StateError, match="another training run"):
            fit(network(), epochs=2, checkpoint=path, **settings)
    with pytest.raises(StateError, match="another module"):
        fit(nn.Linear(10, 3), epochs=2, checkpoint=path)


def test_time_limits_and_monitors_of_the_users_own():
    """A limit ends training after so many seconds, a monitor whenever it likes."""
    history = fit(network(), epochs=10**6, time_limit=0.2)
    assert history.stop.reason == "time_limit"

    class Enough(Monitor):
        def after_epoch(self, run):
            return Stop("converged", "it is enough") if run.record["epoch"] == 3 else None

    assert len(fit(network(), epochs=10, monitors=[Enough()])) == 3


class Unfreezes(Monitor):
    """Lets a frozen layer be trained after the first epoch; and perhaps tells the optimizer."""

    def __init__(self, layer, optimizer=None):
        self.layer, self.optimizer = layer, optimizer

    def after_epoch(self, run):
        if run.record["epoch"] == 1:
            self.layer.requires_grad_(True)
            if self.optimizer is not None:
                self.optimizer.add_param_group({"params": list(self.layer.parameters()), "lr": 0.01})


def frozen_first():
    module = network()
    module[0].requires_grad_(False)
    return module


@pytest.mark.parametrize("added", [False, True], ids=["built for all", "added"])
@pytest.mark.parametrize("settings", [{}, {"clip_norm": 0.1}, {"micro_batch": 7}], ids=str)
def test_layers_are_unfrozen_during_training(added, settings):
    """What `requires_grad` says is what is trained: the updates are those of a loop that clears all gradients."""
    module, by_hand = frozen_first(), frozen_first()

    def optimizer_of(module):
        return torch.optim.SGD((module[3] if added else module).parameters(), lr=0.05)

    own = optimizer_of(module)
    fit(
        module,
        optimizer=own,
        learning_rate=None,
        epochs=3,
        batch_size=32,
        shuffle=False,
        monitors=[Unfreezes(module[0], own if added else None)],
        **settings,
    )
    optimizer = optimizer_of(by_hand)
    for epoch in range(3):
        for x, y in zip(X.split(32), Y.split(32), strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(by_hand(x), y).backward()
            if "clip_norm" in settings:
                nn.utils.clip_grad_norm_(by_hand.parameters(), settings["clip_norm"])
            optimizer.step()
        if epoch == 0:
            by_hand[0].requires_grad_(True)
            if added:
                optimizer.add_param_group({"params": list(by_hand[0].parameters()), "lr": 0.01})
    torch.testing.assert_close(parameters(module), parameters(by_hand), rtol=1e-5, atol=1e-6)


def test_unfrozen_layers_that_the_optimizer_does_not_know():
    """An optimizer that was built for the others would leave them as they are, which is told; added, they follow a schedule."""
    module = frozen_first()
    with pytest.raises(ParameterError, match=r"2 of its parameters were unfrozen.*add_param_group"):
        fit(module, epochs=2, monitors=[Unfreezes(module[0])])
    module = frozen_first()
    own = torch.optim.AdamW(module[3].parameters())
    monitors = [Unfreezes(module[0], own)]
    fit(module, epochs=2, optimizer=own, learning_rate=None, scheduler="cosine", monitors=monitors)
    assert not module[0].weight.equal(frozen_first()[0].weight)


@pytest.mark.parametrize("batch_size", [32, "full"])
def test_slow_modules_are_asked_often(batch_size):
    """A limit of time holds where an epoch takes for ever, in the middle of a batch too if that is all the rows."""

    class Slow(nn.Linear):
        def forward(self, x):
            time.sleep(0.02)
            return super().forward(x)

    module = Slow(10, 3)
    X = torch.zeros(10**6, 10)
    began = time.monotonic()
    data = (X, torch.zeros(10**6, dtype=torch.int64))
    history = fit(module, data, batch_size=batch_size, micro_batch=32, time_limit=0.2)
    assert history.stop.reason == "time_limit"
    assert time.monotonic() - began < 20


def test_ctrl_c_keeps_what_was_learnt():
    """An interrupted training ends with a warning that says where, and the module as trained so far."""

    class Interrupts(Monitor):
        def after_epoch(self, run):
            if run.record["epoch"] == 2:
                os.kill(os.getpid(), signal.SIGINT)

    module = network()
    before = parameters(module).clone()
    with pytest.warns(InterruptedWarning, match=r"epoch \d of 50; the module has the weights of update \d+"):
        history = fit(module, epochs=50, monitors=[Interrupts()])
    assert history.stop.reason == "interrupted"
    assert not parameters(module).equal(before)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data": (X.flip(0), Y)}, "data"),
        ({"data": (X, Y.flip(0))}, "data"),
        ({"sample_weight": torch.linspace(0, 1, ROWS)}, "data"),
        ({"validation": 0.2}, "validation"),
        ({"validation": (X[:60], Y[:60])}, "validation"),
        ({"metric": "accuracy"}, "metric"),
        ({"optimizer": partial(torch.optim.SGD, momentum=0.5)}, "optimizer"),
        ({"learning_rate": 0.02}, "optimizer|learning rate"),
        ({"loss": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))}, "loss"),
        ({"loss": nn.CrossEntropyLoss(label_smoothing=0.1)}, "loss"),
        ({"clip_norm": 1.0}, "clip_norm"),
        ({"precision": "bf16"}, "precision"),
        ({"batch_size": 50}, "batch size"),
        ({"scheduler": "cosine"}, "scheduler"),
        ({"seed": 1}, "seed|data"),
        ({"shuffle": False}, "shuffle"),
    ],
    ids=[
        "inputs",
        "targets",
        "weights",
        "fraction",
        "held",
        "metric",
        "momentum",
        "rate",
        "classes",
        "smoothing",
        "clip",
        "precision",
        "batch",
        "scheduler",
        "seed",
        "shuffle",
    ],
)
def test_a_checkpoint_of_anything_else_is_refused(changed, words, tmp_path):
    """Other data, or any setting that the weights depend on: the error names it. With the same, training goes on."""
    weight = torch.tensor([1.0, 2.0, 2.0])
    settings = {
        "loss": nn.CrossEntropyLoss(weight=weight), "optimizer": partial(torch.optim.SGD, momentum=0.9),
        "validation": 0.1, "checkpoint": tmp_path / "run.state",
    }  # fmt: skip
    fit(network(), epochs=1, **settings)
    same = settings | {"loss": nn.CrossEntropyLoss(weight=weight.clone())}
    assert len(fit(network(), epochs=2, **same)) == 2
    with pytest.raises(StateError, match=f"its ({words}) is "):
        fit(network(), epochs=3, **(same | changed))


def test_progress_is_told():
    """A function hears the share of the work that is done, up to all of it."""
    told = []
    fit(network(), epochs=3, progress=lambda share, what: told.append((share, what)))
    assert told[-1][0] == 1.0
    assert "epoch 3 of 3" in told[-1][1]
    assert sorted(told) == told


def test_a_fit_that_fails_says_so_and_leaves_the_module_usable():
    """Divergence is an error; the module is in its mode, and PyTorch's generators are where they were."""
    module = network().eval()
    random = torch.get_rng_state()
    with pytest.raises(DivergenceError, match="learning rate"):
        fit(module, (1e30 * X, Y), optimizer="sgd", learning_rate=1e10)
    assert not module.training
    assert torch.get_rng_state().equal(random)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": 0}, "epochs"),
        ({"patience": 0}, "patience"),
        ({"metric": "accuracy"}, "validation"),
        ({"metric": "acuracy", "validation": 0.1}, "Did you mean 'accuracy'"),
        ({"validation": 1.5}, "validation"),
        ({"scheduler": "cosin"}, "Did you mean 'cosine'"),
        ({"scheduler": "adaptive"}, "not for modules"),
        ({"time_limit": -1}, "time_limit"),
        ({"batch_size": 0}, "batch_size"),
        ({"shuffle": 3}, "shuffle"),
        ({"workers": 2}, "workers"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_cannot_be_used(settings, words):
    """Each is an error of the project that names it."""
    with pytest.raises(ParameterError, match=words):
        fit(network(), **settings)


def test_metrics_of_other_shapes():
    """A score compares what can be compared."""
    with pytest.raises(InputError, match="R2 compares"):
        fit(network(), validation=0.1, metric="r2", epochs=1)


def test_importing_is_cheap_and_torch_missing_is_said():
    """`import fallline.torch` loads no PyTorch; without it, using it says what to install."""
    code = """
import sys, fallline.torch
assert "torch" not in sys.modules
sys.modules["torch"] = None
import importlib.util
try:
    fallline.torch.fit
except fallline.errors.MissingDependencyError as error:
    assert 'pip install "fallline[torch]"' in str(error), error
else:
    sys.exit("no error")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fallline_torch_need_not_be_imported_first():
    """`import fallline` is enough to call `fallline.torch.fit`, and loads no PyTorch by itself."""
    code = "import sys, fallline; assert 'torch' not in sys.modules; fallline.torch.fit"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_further_files_are_predicted_with_what_encoded_those_trained_on(tmp_path):
    """A file, a table, and the rows trained on without their target: the same columns, the same outputs."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"number": rng.normal(size=300), "word": rng.choice(list("abc"), 300)})
    target = np.where(frame.number + (frame.word == "a") > 0, "yes", "no")
    module = torch.nn.Sequential(torch.nn.LazyLinear(8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    settings = {"loss": "cross_entropy", "learning_rate": 0.01, "batch_size": 32, "epochs": 10}
    history = fallline.torch.fit(module, frame.assign(y=target), target="y", **settings)
    frame.to_csv(tmp_path / "new.csv", index=False)
    outputs = fallline.torch.predict(module, tmp_path / "new.csv", encoder=history.encoder)
    assert outputs.shape == (300, 2)
    assert (np.array(history.encoder.classes)[outputs.argmax(1)] == target).mean() > 0.9
    torch.testing.assert_close(fallline.torch.predict(module, frame, encoder=history.encoder), outputs)
    with pytest.raises(InputError, match="no column 'word'"):
        fallline.torch.predict(module, frame[["number"]], encoder=history.encoder)
    with pytest.raises(ParameterError, match="Give encoder="):
        fallline.torch.predict(module, tmp_path / "new.csv")
    with pytest.raises(ParameterError, match="for files and tables"):
        fallline.torch.predict(module, torch.ones(3, 4), encoder=history.encoder)


def test_an_encoder_comes_back_from_a_file(tmp_path):
    """By itself, from a model file, and not from what is damaged; a model is not made of it."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"number": rng.normal(size=300), "word": rng.choice(list("abc"), 300)})
    frame["y"] = frame.number + (frame.word == "a")
    module = torch.nn.LazyLinear(1)
    history = fallline.torch.fit(module, frame, target="y", loss="mse", epochs=2)
    outputs = fallline.torch.predict(module, frame, encoder=history.encoder)
    path = tmp_path / "columns.enc"
    fallline.torch.save_encoder(history.encoder, path)
    again = fallline.torch.load_encoder(path)
    assert fallline.torch.predict(module, frame, encoder=again).equal(outputs)
    further = fallline.torch.fit(module, frame[:50], target="y", loss="mse", epochs=1, encoder=again)
    assert further.encoder is again
    with pytest.raises(ParameterError, match="plan= and encoder="):
        fallline.torch.fit(module, frame, target="y", loss="mse", epochs=1, encoder=again, plan=again.plan)
    with pytest.raises(ModelError, match=r"an encoder alone.*load_encoder"):
        fallline.load(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        fallline.torch.load_encoder(path)
    model = fallline.train(frame, "y", cache=False, epochs=1)
    model.save(tmp_path / "model.fall")
    assert fallline.torch.load_encoder(tmp_path / "model.fall").plan == model.encoder.plan
    with pytest.raises(ParameterError, match=r"history\.encoder"):
        fallline.torch.save_encoder(history, path)


def test_numbers_are_not_taken_raw_by_a_module_that_was_trained_on_encoded_ones():
    """Of a table of numbers only, nothing but the module's own past tells that they were standardised."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(5, 3, (300, 3)), columns=list("abc"))
    module = torch.nn.Linear(3, 1)
    history = fallline.torch.fit(module, frame.assign(y=frame.a), target="y", loss="mse", epochs=1)
    with pytest.raises(ParameterError, match="Give encoder="):
        fallline.torch.predict(module, frame)
    assert fallline.torch.predict(module, frame, encoder=history.encoder).shape == (300, 1)
    fallline.torch.fit(module, (frame.to_numpy("f4"), frame[["a"]].to_numpy("f4")), loss="mse", epochs=1)
    assert fallline.torch.predict(module, frame).shape == (300, 1)


def test_rows_are_predicted_as_those_trained_on_were_given():
    """Sparse ones as sparse ones, and arrays as numbers of the module's own type."""
    seen = []

    class Layer(nn.Linear):
        def forward(self, x):
            seen.append((x.layout, x.dtype))
            return super().forward(x.to_dense() if x.layout == torch.sparse_csr else x)

    rows = csr_array(np.eye(6, dtype=np.float32))
    fallline.torch.fit(Layer(6, 1), (rows, np.ones((6, 1), np.float32)), loss="mse", epochs=1, sparse=True)
    fallline.torch.predict(Layer(6, 1), rows, sparse=True)
    assert {layout for layout, _ in seen} == {torch.sparse_csr}
    fallline.torch.predict(Layer(6, 1, dtype=torch.float64), np.eye(6))
    assert seen[-1][1] == torch.float64
    with pytest.raises(ParameterError, match="batch_size=0"):
        fallline.torch.predict(Layer(6, 1), np.eye(6), batch_size=0)


class Two(NamedTuple):
    """A number and a class for each row."""

    number: Any
    kind: Any


class Named(OrderedDict):
    """A dict whose values are attributes, as those of the transformers library are."""

    __getattr__ = OrderedDict.__getitem__


@dataclass
class Record:
    """A number and a class for each row, as one of the user's own objects."""

    number: Any
    kind: Any


class Gives(nn.Module):
    """Two outputs, in a container of some kind."""

    def __init__(self, container):
        super().__init__()
        self.own, self.container = network(), container

    def forward(self, x):
        kind = self.own(x)
        return self.container(kind[:, 0], kind)


CONTAINERS = {
    "tuple": lambda *parts: parts,
    "list": lambda *parts: [*parts],
    "named tuple": Two,
    "dict": lambda number, kind: {"number": number, "kind": kind},
    "dict with attributes": lambda number, kind: Named(number=number, kind=kind),
    "data class": Record,
}


def kind_of(outputs):
    if hasattr(outputs, "kind"):
        return outputs.kind
    return outputs["kind"] if isinstance(outputs, dict) else outputs[1]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_outputs_in_containers_of_any_kind(container, precision):
    """Losses, metrics and predictions get what the module gives, names and all; of other classes, there are no predictions."""
    module, usual = Gives(container), network()
    settings = {
        "loss": lambda o, y: nn.functional.cross_entropy(kind_of(o).float(), y),
        "metric": lambda o, y: float((kind_of(o).argmax(1) == y).float().mean()),
        "validation": 0.2,
        "epochs": 1,
        "batch_size": 32,
        "precision": precision,
    }
    if container is Record:
        assert len(fit(module, **(settings | {"metric": None}))) == 1
        for predicted in (lambda: fallline.torch.predict(module, X), lambda: fit(module, **settings)):
            with pytest.raises(InputError, match=r"outputs of type Record.*tuples, lists or dicts"):
                predicted()
        return
    history = fit(module, **settings)
    wanted = fit(usual, **(settings | {"loss": "cross_entropy", "metric": "accuracy"}))
    assert history[-1]["validation_score"] == pytest.approx(wanted[-1]["validation_score"], abs=0.02)
    found = fallline.torch.predict(module, X, batch_size=100)
    assert type(found) is type(module(X))
    assert kind_of(found).shape == (ROWS, 3)


@pytest.mark.parametrize("loader", [False, True])
def test_targets_with_names(loader):
    """Tuples with names, in memory or from a DataLoader, reach the loss with their names, in validation as well."""

    def loss(outputs, targets):
        return nn.functional.cross_entropy(outputs, targets.kind) + targets.number.mean()

    data = (X, Two(X[:, 0], Y))
    if loader:
        samples = [(x, Two(x[0], y)) for x, y in zip(X, Y, strict=True)]
        data = DataLoader(samples, batch_size=50, shuffle=True)
    history = fit(network(), data, loss=loss, epochs=1, validation=data, metric=lambda o, t: -loss(o, t))
    assert history[-1]["validation_score"] == pytest.approx(-history[-1]["validation_loss"], rel=1e-5)


class Last(nn.Module):
    """A recurrent network's last state, of packed sequences or of padded ones."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.own, self.out = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x, lengths=None):
        if lengths is not None:
            x = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.out(self.own(x)[1][0])


def packed(samples):
    sequences, labels = zip(*samples, strict=True)
    return nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False), torch.stack(labels)


def padded(samples):
    sequences, labels = zip(*samples, strict=True)
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return (nn.utils.rnn.pad_sequence(sequences, batch_first=True), lengths), torch.stack(labels)


def test_packed_sequences_go_to_the_module_as_they_are():
    """What a function that collates packs is one input; the weights are those of the same sequences packed by the module."""
    samples = [(torch.randn(1 + place % 4, 4, generator=DRAWN), Y[place]) for place in range(40)]
    modules = [Last(), Last(), Last()]
    settings = {"epochs": 2, "shuffle": False}
    fit(modules[0], DataLoader(samples, 8, collate_fn=packed), **settings)
    fit(modules[1], DataLoader(samples, 8, collate_fn=padded), **settings)
    fit(modules[2], samples_of(samples), batch_size=8, collate=packed, **settings)
    assert parameters(modules[0]).equal(parameters(modules[1]))
    assert parameters(modules[0]).equal(parameters(modules[2]))
    inputs = DataLoader(samples, 8, collate_fn=lambda some: packed(some)[0])
    assert fallline.torch.predict(modules[0], inputs).shape == (40, 3)


def samples_of(samples):
    """They as a Dataset."""
    return Subset(samples, range(len(samples)))


class States(nn.Module):
    """Gives its last states as well, whose rows lie along the second dimension."""

    def __init__(self):
        super().__init__()
        self.own = nn.GRU(10, 3, batch_first=True)

    def forward(self, x):
        outputs, states = self.own(x[:, None])
        return outputs[:, 0], states


@pytest.mark.parametrize("batch_size", [200, 128], ids=["equal batches", "a short last one"])
def test_outputs_whose_rows_lie_elsewhere(batch_size):
    """They would be put together along the wrong dimension: predictions and metrics say so; to train, they do not matter."""
    words = r"outputs\[1\] of shape \(1, \d+, 3\) for \d+ rows.*first dimension"
    with pytest.raises(InputError, match=words):
        fallline.torch.predict(States(), X, batch_size=batch_size)
    settings = {"loss": lambda o, y: nn.functional.cross_entropy(o[0], y), "epochs": 1, "validation": 0.5}
    with pytest.raises(InputError, match=words):
        fit(States(), metric=lambda o, y: float((o[0].argmax(1) == y).float().mean()), **settings)
    assert len(fit(States(), **settings)) == 1


def test_outputs_of_unequal_shapes():
    """What differs from batch to batch within a row cannot be one tensor."""
    loader = DataLoader([torch.zeros(length, 10) for length in (2, 3)], batch_size=1)
    with pytest.raises(InputError, match=r"shapes \(1, 2, 3\) and \(1, 3, 3\) cannot be put together"):
        fallline.torch.predict(nn.Linear(10, 3), loader)


def test_what_cannot_predict():
    """A function, a module that gives one number for all rows, and the history in the place of its encoder."""
    for module, settings, error in (
        (abs, {}, ParameterError),
        (type("Mean", (nn.Linear,), {"forward": lambda self, x: x.mean()})(4, 1), {}, InputError),
        (nn.Linear(4, 1), {"encoder": fallline.history.History([], Stop("epochs", ""))}, ParameterError),
    ):
        with pytest.raises(error):
            fallline.torch.predict(module, torch.ones(5, 4), **settings)
