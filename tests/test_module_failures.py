"""What goes wrong in the middle of training: in the words of who gave the module, the data and the loss."""

from __future__ import annotations

import threading
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.optim import lr_scheduler  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

import fallline.torch  # noqa: E402
from fallline.engines.module.shapes import watched  # noqa: E402
from fallline.errors import DivergenceError, InputError, ParameterError, TargetError  # noqa: E402
from fallline.monitors.base import Monitor, Stop  # noqa: E402

ROWS = 131
DRAWN = torch.Generator().manual_seed(0)
X = torch.randn(ROWS, 5, generator=DRAWN)
NUMBERS = 2 * X[:, :1]
CLASS = (X[:, 0] > 0).long()


def network(outputs=1):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, outputs))


def plain(outputs=1):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, outputs))


def fit(module, data, **settings):
    settings = {"epochs": 2, "progress": False, "device": "cpu", "batch_size": 32, "loss": "mse"} | settings
    return fallline.torch.fit(module, data, **settings)


class Parts(nn.Module):
    """Gives a dict, or a tuple, of two outputs."""

    def __init__(self, kind=dict):
        super().__init__()
        self.own, self.kind = network(2), kind

    def forward(self, x):
        first, second = self.own(x).split(1, 1)
        return {"y": first, "z": second} if self.kind is dict else (first, second)


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [network, plain], ids=["autograd", "by hand"])
@pytest.mark.parametrize(
    "loss", ["cross_entropy", "multinomial", functional.cross_entropy], ids=["torch", "own", "function"]
)
@pytest.mark.parametrize("label", [3, -1])
def test_a_label_that_is_no_class_is_named_with_its_row(make, loss, label):
    """Whatever the loss, and however late the row comes."""
    target = CLASS.clone()
    target[77] = label
    with pytest.raises(TargetError, match=rf"target in row 77 is {label}, .*3 outputs.*0 to 2"):
        fit(make(3), (X, target), loss=loss)
    with pytest.raises(TargetError, match=rf"target in row \d+ of a batch is {label}"):
        fit(make(3), DataLoader(TensorDataset(X, target), 32, shuffle=True), loss=loss, batch_size=None)


def test_a_label_to_validate_on_that_is_no_class_is_named():
    """Rows that are measured on only are no exception."""
    target = CLASS.clone()
    target[7] = 9
    with pytest.raises(TargetError, match="target in row 7 is 9"):
        fit(network(3), (X, CLASS), loss="cross_entropy", validation=(X, target))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (CLASS.float(), r"dtype float32.*int64 of shape \(32,\).*y\.long\(\)"),
        (CLASS.int(), r"dtype int32.*y\.long\(\)"),
        (CLASS[:, None], r"shape \(32, 1\).*y\.squeeze\(-1\)"),
        (functional.one_hot(CLASS, 3), r"argmax\(1\).*y\.float\(\)"),
    ],
    ids=["float", "int32", "column", "one-hot"],
)
def test_labels_of_another_form(target, words):
    """What is no vector of whole numbers is told how to become one; shares of classes are."""
    with pytest.raises(InputError, match=words):
        fit(network(3), (X, target), loss="cross_entropy")
    fit(network(3), (X, functional.one_hot(CLASS, 3).float()), loss="cross_entropy")


def test_numbers_that_an_embedding_has_no_row_for():
    """They are named with the size that there is."""
    words = torch.randint(0, 50, (ROWS, 4), generator=DRAWN)
    words[100, 2] = 50
    with pytest.raises(InputError, match="holds numbers from 0 to 50, but an embedding of 50 rows"):
        fit(nn.EmbeddingBag(50, 1), (words, NUMBERS))
    with pytest.raises(InputError, match=r"whole numbers.*float32.*long\(\)"):
        fit(nn.EmbeddingBag(50, 1), (words.float(), NUMBERS))


# --- shapes ----------------------------------------------------------------------------------------------------------

BROADCASTING = {
    "converted": lambda o, t: ((o - t.float()) ** 2).mean(),
    "scaled": lambda o, t: ((o * 1.0 - t) ** 2).mean(),
    "sliced": lambda o, t: ((o[:] - t) ** 2).mean(),
    "both": lambda o, t: functional.l1_loss(o.sigmoid(), t.double()),
    "reversed": lambda o, t: (t.float() - 1 - o.tanh()).abs().mean(),
    "stacked": lambda o, t: torch.stack([(o.exp() - t) ** 2]).mean(),
}


@pytest.mark.parametrize("loss", BROADCASTING.values(), ids=BROADCASTING)
def test_broadcasting_of_what_was_computed_of_outputs_and_targets(loss):
    """(n,) against (n, 1) is an error, though neither is the outputs or the targets themselves any more."""
    with pytest.raises(InputError, match=r"outputs of shape \(32, 1\), but the targets have shape \(32,\)"):
        fit(network(), (X, NUMBERS[:, 0]), loss=loss)
    fit(network(), (X, NUMBERS), loss=loss, epochs=1)


@pytest.mark.parametrize("kind", [dict, tuple])
def test_broadcasting_of_parts(kind):
    """Each output of several is watched, and each target."""
    first = "y" if kind is dict else 0
    with pytest.raises(InputError, match=r"outputs of shape \(32, 1\), but the targets have shape \(32,\)"):
        fit(Parts(kind), (X, NUMBERS[:, 0]), loss=lambda o, t: ((o[first] - t) ** 2).mean())
    twice = NUMBERS[:, 0], NUMBERS
    with pytest.raises(InputError, match=r"outputs of shape \(32, 1\), but the targets have shape \(32,\)"):
        fit(Parts(kind), (X, twice), loss=lambda o, t: ((o[first] - t[0]) ** 2).mean())
    fit(Parts(kind), (X, twice), loss=lambda o, t: ((o[first] - t[1]) ** 2).mean())


def test_all_pairs_that_are_meant():
    """Outputs and targets that are alike, of which the loss itself makes all pairs, are no mistake."""
    o, t = torch.randn(9), torch.randn(9)
    losses = (
        lambda o, t: (o[:, None] - t).abs().mean(),
        lambda o, t: (o - t[:, None]).abs().mean(),
        lambda o, t: ((o[:, None] - o) * (t[:, None] - t)).mean(),
    )
    for loss in losses:
        assert torch.equal(watched(loss, o, t), loss(o, t))
    labels = torch.randint(0, 3, (9,))
    alike = lambda o, t: (o @ o.T * (t[:, None] == t)).mean()  # noqa: E731
    assert torch.equal(watched(alike, o[:, None], labels), alike(o[:, None], labels))


@pytest.mark.parametrize(
    ("loss", "target"), [("mse", NUMBERS), ("squared_error", NUMBERS), ("cross_entropy", CLASS)]
)
def test_outputs_that_are_no_tensor_need_a_function(loss, target):
    """A loss or a metric by name compares one tensor with one; of a dict or a tuple, it is said what to give."""
    with pytest.raises(InputError, match=r"gives a dict of 'y', 'z'.*function.*outputs\['y'\]"):
        fit(Parts(), (X, target), loss=loss)
    with pytest.raises(InputError, match=r"gives a tuple.*outputs\[0\]"):
        fit(Parts(tuple), (X, target), loss=loss)


@pytest.mark.parametrize("metric", ["r2", "accuracy"])
def test_metrics_by_name_compare_one_tensor_with_one(metric):
    """A dict of outputs is an error that says to give a function."""
    loss = lambda o, t: functional.mse_loss(o["y"], t)  # noqa: E731
    with pytest.raises(InputError, match=r"gives a dict of 'y', 'z'.*metric='" + metric):
        fit(Parts(), (X, NUMBERS), loss=loss, validation=0.2, metric=metric)


# --- types, calls, rows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "data", "words"),
    [
        (network().double(), (X, NUMBERS), r"inputs have dtype float32.*weights have float64.*module\.to"),
        (network(), (X.double(), NUMBERS), r"inputs have dtype float64.*weights have float32"),
        (network(), ((10 * X).long(), NUMBERS), r"inputs have dtype int64.*Convert"),
        (network(), (X[:, :3], NUMBERS), r"Sequential cannot take these rows: mat1 and mat2.*\(32, 3\)"),
        (network(), ({"colour": X}, NUMBERS), r"cannot be called.*'colour'"),
        (network(), ((X, X), NUMBERS), r"cannot be called.*too many positional"),
    ],
    ids=["double module", "double rows", "whole numbers", "columns", "keys", "two inputs"],
)
def test_inputs_that_a_module_is_not_made_for(module, data, words):
    """Shapes, types and names of inputs are told beside what the module wants."""
    with pytest.raises(InputError, match=words):
        fit(module, data)


def test_losses_that_fail():
    """Of a loss that cannot be called or computed, it is said what it was given; a user's own mistake stays as it is."""
    with pytest.raises(InputError, match=r"The loss cannot be called.*too many positional"):
        fit(network(), (X, NUMBERS), loss=lambda outputs: outputs.mean())
    with pytest.raises(InputError, match=r"The loss cannot be called.*'negative'"):
        fit(network(), (X, NUMBERS), loss=nn.TripletMarginLoss())
    with pytest.raises(
        InputError,
        match=r"The loss cannot be computed.*outputs of shape \(32, 2\).*targets of shape \(32, 1\)",
    ):
        fit(network(2), (X, NUMBERS), loss=lambda o, t: (o.T @ t.T).mean())
    with pytest.raises(ParameterError, match="does not depend on the module's outputs"):
        fit(network(), (X, NUMBERS), loss=lambda o, t: ((o.detach() - t) ** 2).mean())
    with pytest.raises(KeyError) as caught:
        fit(network(), (X, NUMBERS), loss=lambda o, t: {}["no such"])
    assert "inputs of shape (32, 5)" in caught.value.__notes__[0]


class Uncertain(nn.Module):
    """A loss that learns how sure it is, of its own numbers or another's."""

    def __init__(self, scale=None):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1)) if scale is None else scale

    def forward(self, outputs, targets):
        return functional.mse_loss(outputs, targets) * (-self.scale[0]).exp() + self.scale[0]


@pytest.mark.parametrize("wrap", [lambda loss: loss, fallline.torch.per_row], ids=["mean", "per row"])
def test_losses_that_learn_need_a_module_that_holds_them(wrap):
    """Parameters of the loss alone would stay as they are, which is told; frozen, or the module's own, they may."""
    with pytest.raises(
        ParameterError, match=r"Uncertain has 1 parameters.*loss=None.*requires_grad_\(False\)"
    ):
        fit(network(), (X, NUMBERS), loss=wrap(Uncertain()))
    module = network()
    for loss in (Uncertain().requires_grad_(False), Uncertain(module[0].bias)):
        fit(module, (X, NUMBERS), loss=loss, epochs=1)


def test_predictions_of_rows_that_a_module_is_not_made_for():
    """`predict` says the same."""
    with pytest.raises(InputError, match=r"cannot take these rows.*\(131, 3\)"):
        fallline.torch.predict(network(), X[:, :3])


def test_labels_that_are_all_ignored():
    """A batch of which nothing counts is no matter of the learning rate."""
    ignored = torch.full((ROWS,), -100)
    with pytest.raises(DivergenceError, match="ignore"):
        fit(network(3), (X, ignored), loss="cross_entropy")


# --- optimizers and schedulers ---------------------------------------------------------------------------------------


class Complex(nn.Module):
    """Turns its inputs by angles that are learnt."""

    def __init__(self):
        super().__init__()
        self.own, self.turn = network(), nn.Parameter(torch.ones(5, dtype=torch.cfloat))

    def forward(self, x):
        return self.own((x * self.turn).real)


def test_complex_parameters_are_trained(tmp_path):
    """Optimizers that have no fused kernel for them take the other; a state with them is saved and gone on with."""
    modules = [Complex(), Complex()]
    fit(modules[0], (X, NUMBERS), epochs=2, validation=0.2, patience=5)
    fit(modules[1], (X, NUMBERS), epochs=1, validation=0.2, patience=5, checkpoint=tmp_path / "run.state")
    fit(modules[1], (X, NUMBERS), epochs=2, validation=0.2, patience=5, checkpoint=tmp_path / "run.state")
    assert not modules[0].turn.detach().equal(torch.ones(5, dtype=torch.cfloat))
    assert modules[0].turn.equal(modules[1].turn)


def test_sparse_gradients_are_shortened_as_dense_ones():
    """`clip_norm` comes to the same weights, whether a bag's gradient is sparse or not."""
    words = torch.randint(0, 50, (ROWS, 4), generator=DRAWN)
    found = []
    for sparse in (True, False):
        torch.manual_seed(0)
        module = nn.EmbeddingBag(50, 1, sparse=sparse)
        fit(module, (words, NUMBERS), optimizer="sgd", learning_rate=1.0, clip_norm=0.01)
        found.append(module.weight.detach())
    torch.testing.assert_close(found[0], found[1])


def test_optimizers_that_cannot_be_meant():
    """What builds no optimizer, and one that is not for these gradients."""
    with pytest.raises(ParameterError, match=r"gives a int, but a torch.optim.Optimizer"):
        fit(network(), (X, NUMBERS), optimizer=lambda parameters: 3)
    with pytest.raises(ParameterError, match=r"SparseAdam cannot make its step.*dense gradients.*'adamw'"):
        fit(network(), (X, NUMBERS), optimizer="sparseadam")
    words = torch.zeros(ROWS, 1, dtype=torch.int64)
    with pytest.raises(ParameterError, match=r"AdamW cannot make its step.*Choose one .*'adagrad'\.$"):
        fit(nn.EmbeddingBag(3, 1, sparse=True), (words, NUMBERS))


def test_a_schedule_that_ends_too_early_is_told_before_training():
    """`OneCycleLR` of fewer steps than updates are to be made would stop in the middle."""
    short = partial(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=9)
    module = network()
    before = module[0].weight.clone()
    with pytest.raises(ParameterError, match=r"OneCycleLR.*9 steps.*10 updates"):
        fit(module, (X, NUMBERS), optimizer="sgd", scheduler=short)
    assert module[0].weight.equal(before)
    fit(
        module,
        (X, NUMBERS),
        optimizer="sgd",
        scheduler=partial(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=10),
    )


# --- batch normalisation ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [{"batch_size": 130}, {"batch_size": 64, "micro_batch": 21}, {"batch_size": 1}]
)
def test_a_single_row_cannot_be_normalised(settings):
    """That one row would be left over is told before anything is trained, with what to change."""
    module = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    before = module[0].weight.clone(), module[1].running_mean.clone()
    with pytest.raises(ParameterError, match=r"Batch normalisation.*batch_size"):
        fit(module, (X, NUMBERS), **settings)
    assert module[0].weight.equal(before[0])
    assert module[1].running_mean.equal(before[1])
    assert module[1].num_batches_tracked == 0


def test_a_single_image_is_normalised():
    """Where a row has many numbers a channel, it has a variance."""
    module = nn.Sequential(nn.Unflatten(1, (1, 5)), nn.BatchNorm1d(1), nn.Flatten(), nn.Linear(5, 1))
    fit(module, (X, NUMBERS), batch_size=130, epochs=1)
    assert module[1].num_batches_tracked == 2


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"scheduler": "steplr"},
            r"scheduler='steplr' is not one of 'constant'(?!.*'optimal').*torch.optim.lr_scheduler",
        ),
        ({"foo": 3}, "foo=3 is not a parameter of fit"),
        ({"epoch": 3}, "Did you mean 'epochs'"),
        ({"encoder": 3}, "encoder is a int"),
    ],
)
def test_settings_that_there_are_not(settings, words):
    """They are named as they were given, with what there is."""
    with pytest.raises(ParameterError, match=words):
        fit(network(), (X, NUMBERS), **settings)


def test_a_checkpoint_that_cannot_be_written_is_told_before_training(tmp_path):
    """Not when the first epoch has been trained."""
    module = network()
    before = module[0].weight.clone()
    for path in (tmp_path / "missing" / "run.state", tmp_path):
        with pytest.raises(ParameterError, match=r"folder"):
            fit(module, (X, NUMBERS), checkpoint=path)
    assert module[0].weight.equal(before)


# --- what is measured, and by hand -----------------------------------------------------------------------------------


def test_rows_that_are_measured_are_looked_at_too():
    """Validation data of shape (n, 1) against outputs of (n,) are an error, not n x n numbers."""
    module = nn.Sequential(nn.Linear(5, 1), nn.Flatten(0))
    squares = lambda o, t: (o - t).square().mean()  # noqa: E731
    with pytest.raises(InputError, match=r"outputs of shape \(131,\), but the targets have shape \(131, 1\)"):
        fit(module, (X, NUMBERS[:, 0]), loss=squares, validation=(X, NUMBERS))


class Narrow(nn.Linear):
    """Has no memory for many rows at once."""

    most = 20

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(x)


def test_measuring_goes_on_in_halves():
    """Where memory does not suffice to measure or to predict, fewer rows go through the module; the result is the same."""
    found = []
    for most in (20, 1000):
        torch.manual_seed(0)
        module = Narrow(5, 1)
        module.most = most
        history = fit(module, (X, NUMBERS), batch_size=16, validation=(X, NUMBERS), metric="r2")
        found.append((history[-1]["validation_loss"], history[-1]["validation_score"]))
        assert fallline.torch.predict(module, X).shape == (ROWS, 1)
    assert found[0] == pytest.approx(found[1], rel=1e-6)


@pytest.mark.parametrize(
    "shape", [(ROWS, 5), (ROWS, 4, 5), (ROWS, 2, 3, 5)], ids=["rows", "sequences", "planes"]
)
def test_dense_networks_of_rows_of_any_shape(shape):
    """What is differentiated by hand is that which a copy with a hook is by autograd, which is not."""
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    weights = []
    for hooked in (False, True):
        module = plain()
        if hooked:
            module.register_forward_hook(lambda *_: None)
        fit(module, (inputs, inputs[..., :1]))
        weights.append(module[0].weight.detach())
    torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-6)


def test_hooks_of_all_modules_are_heard():
    """One that is registered for every module sees every forward pass."""
    heard = []
    handle = nn.modules.module.register_module_forward_hook(lambda part, *_: heard.append(type(part)))
    try:
        fit(plain(), (X, NUMBERS), epochs=2)
    finally:
        handle.remove()
    assert heard.count(nn.Sequential) == 10


class Ends(Monitor):
    """Ends training after some updates."""

    def after_block(self, run):
        return Stop("time_limit", "it was told to") if run.state.updates >= 5 else None


def test_dense_networks_are_gone_on_with_to_the_same_bits(tmp_path):
    """The first batch of training that goes on is differentiated as it would have been in the middle."""
    inputs = torch.randn(800, 300, generator=torch.Generator().manual_seed(4))
    labels = torch.randint(0, 3, (800,), generator=torch.Generator().manual_seed(5))

    def made():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(300, 128), nn.ReLU(), nn.Linear(128, 3))

    settings = {"loss": "cross_entropy", "batch_size": 128, "epochs": 3, "optimizer": "adam"}
    whole, parted = made(), made()
    fit(whole, (inputs, labels), **settings)
    path = tmp_path / "run.state"
    stopped = fit(parted, (inputs, labels), checkpoint=path, monitors=[Ends()], **settings)
    assert stopped.stop.reason == "time_limit"
    parted = made()
    fit(parted, (inputs, labels), checkpoint=path, **settings)
    assert all(one.equal(other) for one, other in zip(whole.parameters(), parted.parameters(), strict=True))


def test_parts_that_are_not_to_be_trained_stay_so():
    """A normalisation in eval mode inside a module in training mode keeps its means; a whole module in eval mode is trained."""
    for frozen in (True, False):
        module = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
        if frozen:
            module[1].eval()
        else:
            module.eval()
        before = module[1].running_mean.clone()
        fit(module, (X, NUMBERS))
        assert module[1].running_mean.equal(before) == frozen
        assert not module[1].training


def test_modules_that_sum_gradients_by_themselves(tmp_path):
    """A wrapped module would wait for processes that have no rows; it is told to be unwrapped, the outermost part or not."""
    store = f"file://{tmp_path / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(network())
    finally:
        torch.distributed.destroy_process_group()
    for module in (wrapped, nn.Sequential(wrapped, nn.Linear(1, 1))):
        with pytest.raises(ParameterError, match=r"a DistributedDataParallel.*module\.module"):
            fit(module, (X, NUMBERS))


class Locked(nn.Linear):
    """Cannot be copied."""

    def __init__(self):
        super().__init__(5, 1)
        self.lock = threading.Lock()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*deprecated:DeprecationWarning")
def test_searches_that_cannot_be_made():
    """What cannot be copied, or has its rate already, is told so."""
    with pytest.raises(ParameterError, match="Locked cannot be copied"):
        fit(Locked(), (X, NUMBERS), learning_rate="auto")
    with pytest.raises(ParameterError, match=r"scripted module.*cannot be copied.*Give the learning rate"):
        fit(torch.jit.script(network()), (X, NUMBERS), learning_rate="auto")
    module = network()
    with pytest.raises(ParameterError, match=r"learning_rate=.auto.*built already"):
        fit(
            module, (X, NUMBERS), learning_rate="auto", optimizer=torch.optim.SGD(module.parameters(), lr=0.1)
        )
    with pytest.raises(ParameterError, match="monitors=3"):
        fit(module, (X, NUMBERS), monitors=3)
