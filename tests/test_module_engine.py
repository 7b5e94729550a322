"""The module engine: any module, the same updates however its batches are cut, and every mistake named."""

from __future__ import annotations

import copy
import math
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.optim import lr_scheduler  # noqa: E402

from fallline.data.order import Order  # noqa: E402
from fallline.engines.module.blocks import LoadedBatch, TensorBlock  # noqa: E402
from fallline.engines.module.cross_entropy import with_derivative  # noqa: E402
from fallline.engines.module.dense import DenseNetwork  # noqa: E402
from fallline.engines.module.engine import ModuleEngine  # noqa: E402
from fallline.engines.module.evaluating import predict  # noqa: E402
from fallline.engines.module.losses import make_objective, per_row  # noqa: E402
from fallline.engines.module.named import rows_loss  # noqa: E402
from fallline.engines.module.penalties import SquaredWeights  # noqa: E402
from fallline.engines.module.pieces import Ahead, Gatherer  # noqa: E402
from fallline.engines.module.steps import bare_step  # noqa: E402
from fallline.engines.module.tensors import TensorSource  # noqa: E402
from fallline.errors import (  # noqa: E402
    DivergenceError,
    FalllineError,
    FalllineWarning,
    InputError,
    NonFiniteError,
    ParameterError,
    StateError,
)
from fallline.kernels.verbs import differentiate  # noqa: E402
from fallline.loop import train  # noqa: E402
from fallline.monitors.base import Run  # noqa: E402
from fallline.monitors.keep_best import KeepBest  # noqa: E402
from fallline.objective.domains import CLASSES, TWO_CLASSES  # noqa: E402
from fallline.objective.losses import LOSSES, OneVersusRest  # noqa: E402
from fallline.optim.schedules import Cosine  # noqa: E402
from fallline.state import State  # noqa: E402

ROWS = 203
DRAWN = torch.Generator().manual_seed(0)
X = torch.randn(ROWS, 7, generator=DRAWN)
CLASS = torch.randint(0, 3, (ROWS,), generator=DRAWN)
NUMBERS = torch.randn(ROWS, 3, generator=DRAWN)
WEIGHT = torch.rand(ROWS, generator=DRAWN)


def network(*, dropout=0.0, seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(7, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 3))


def trained(
    loss, target, *, weight=None, module=None, epochs=2, batch_size=64, inputs=X, monitors=(), **settings
):
    """A module trained on all rows, its engine and its state."""
    module = network() if module is None else module
    engine = ModuleEngine(module, loss, settings.pop("optimizer", "adamw"), batch_size, **settings)
    state = engine.start()
    train(Run(engine, TensorSource(inputs, target, weight), Order(3), state, epochs), monitors)
    return module, engine, state


def parameters(module):
    return torch.cat([tensor.detach().flatten().float() for tensor in module.state_dict().values()])


def bits(state):
    """All of a state except how long it took."""
    history = [{k: v for k, v in record.items() if k != "seconds"} for record in state.history]
    arrays = state.memory.to_arrays(state.best)
    plain = (state.memory.clock.tolist(), state.epoch, state.position, state.rows, state.loss_sum, history)
    return {name: array.tobytes() for name, array in arrays.items()}, plain


# --- micro-batches ---------------------------------------------------------------------------------------------------

WITH_CLASSES = {
    "cross_entropy": "cross_entropy",
    "multinomial": "multinomial",
    "class weights": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.5])),
    "ignored class": nn.CrossEntropyLoss(ignore_index=1),
    "smoothed": nn.CrossEntropyLoss(
        weight=torch.tensor([1.0, 2.0, 3.0]), ignore_index=2, label_smoothing=0.1
    ),
    "one against the rest": OneVersusRest(LOSSES["log_loss"](), np.array([1.0, 2.0, 3.0])),
    "margins": nn.MultiMarginLoss(),
    "own": lambda scores, y: nn.functional.nll_loss(scores.log_softmax(1), y),
    "per row": per_row(lambda scores, y: nn.functional.cross_entropy(scores, y, reduction="none")),
}
WITH_NUMBERS = {
    "squared_error": "squared_error", "mse": "mse", "huber": nn.HuberLoss(delta=0.3), "quantile": "quantile",
    "kl": nn.KLDivLoss(reduction="batchmean"),
}  # fmt: skip
SHARES = {"kl": NUMBERS.softmax(1)}
TASKS = [(loss, CLASS) for loss in WITH_CLASSES.values()] + [
    (loss, SHARES.get(name, NUMBERS)) for name, loss in WITH_NUMBERS.items()
]


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize(("loss", "target"), TASKS, ids=[*WITH_CLASSES, *WITH_NUMBERS])
def test_micro_batches_change_nothing(loss, target, weighted):
    """64 rows at once, 16 four times, one 64 times, and 7 with a rest give the same weights, the short last batch included."""
    if weighted and loss is WITH_CLASSES["own"]:
        pytest.skip("one number for all rows cannot be weighed")
    weight = WEIGHT if weighted else None
    whole, _, whole_state = trained(loss, target, weight=weight)
    for micro in (16, 1, 7):
        module, _, state = trained(loss, target, weight=weight, micro_batch=micro)
        torch.testing.assert_close(parameters(module), parameters(whole), rtol=1e-6, atol=1e-6)
        assert state.history[-1]["loss"] == pytest.approx(whole_state.history[-1]["loss"], rel=1e-5)


@pytest.mark.parametrize(
    "settings", [{"weight": torch.tensor([1.0, 10.0, 100.0])}, {"reduction": "sum"}], ids=["weight", "sum"]
)
def test_a_loss_that_is_no_mean_is_told_of_where_batches_are_cut(settings):
    """Whole batches take it as it is; in micro-batches it would count rows in another way."""
    loss = partial(nn.functional.cross_entropy, **settings)
    trained(loss, CLASS, epochs=1)
    with pytest.warns(FalllineWarning, match="no mean over the rows"):
        trained(loss, CLASS, epochs=1, micro_batch=16)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("kind", [nn.CrossEntropyLoss, nn.NLLLoss])
def test_positions_count_as_in_pytorch(kind, weight):
    """Classes at many positions of a row, some ignored: micro-batches add up to PyTorch's own loss and gradient."""
    generator = torch.Generator().manual_seed(2)
    scores = torch.randn(12, 4, 5, generator=generator).log_softmax(1).requires_grad_()
    y = torch.randint(0, 4, (12, 5), generator=generator)
    own = kind(weight=torch.tensor([1.0, 2.0, 0.5, 3.0]), ignore_index=2)
    objective = make_objective(own)
    rows = None if weight is None else weight[:12]
    whole = objective.mean(scores, y, rows, 12)
    if rows is None:
        torch.testing.assert_close(whole, own(scores, y))
    parts = [
        objective.sums(scores[part], y[part], None if rows is None else rows[part], 3)
        for part in torch.arange(12).split(3)
    ]
    torch.testing.assert_close(sum(total for total, _ in parts) / sum(count for _, count in parts), whole)


def test_weights_count_rows_as_in_the_linear_engine():
    """The loss of an update is the sum of weight times loss over the number of its rows, not over the sum of weights."""
    module = network()
    engine = ModuleEngine(module, "mse", "sgd", ROWS, learning_rate=0.0)
    state = engine.start()
    source = TensorSource(X, NUMBERS, WEIGHT)
    train(Run(engine, source, Order(0), state, 1))
    wanted = ((module(X) - NUMBERS).square().mean(1) * WEIGHT).sum() / ROWS
    assert state.history[0]["loss"] == pytest.approx(float(wanted.detach()), rel=1e-6)
    assert engine.measure(source, engine.weights(state)) == pytest.approx(float(wanted.detach()), rel=1e-6)


class Fits(nn.Module):
    """A module for which memory suffices for so many rows only."""

    def __init__(self, most, inside=False):
        super().__init__()
        self.layers, self.most, self.seen, self.inside = network(), most, [], inside

    def forward(self, x):
        self.seen.append(len(x))
        if self.inside and len(x) > self.most:
            x = Fails.apply(x.requires_grad_())
        elif len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
        return self.layers(x)


class Fails(torch.autograd.Function):
    """Runs out of memory on the way back, when other gradients are there already."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.parametrize("inside", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_where_memory_does_not_suffice_batches_are_halved(inside, weight):
    """Micro-batches become as small as memory wants, and stay so; the weights are those of whole batches."""
    module, _, state = trained("cross_entropy", CLASS, weight=weight, module=Fits(17, inside))
    whole, _, _ = trained("cross_entropy", CLASS, weight=weight, module=Fits(1000))
    torch.testing.assert_close(parameters(module), parameters(whole), rtol=1e-6, atol=1e-6)
    assert module.seen[:5] == [64, 32, 16, 16, 16]
    assert max(module.seen[5:]) == 16
    assert state.memory.clock[2] == 16


def test_memory_that_does_not_suffice_for_a_row_or_as_told_is_an_error():
    """Nothing is smaller than a row; and rows that were asked for by number are not divided."""
    for settings in ({"module": Fits(0)}, {"module": Fits(17), "micro_batch": 32}):
        with pytest.raises(torch.OutOfMemoryError):
            trained("cross_entropy", CLASS, **settings)


def test_an_error_that_is_not_about_memory_is_not_tried_again():
    """What the module raises is told, and it is called once."""

    class Broken(Fits):
        def forward(self, x):
            self.seen.append(len(x))
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    module = Broken(1)
    with pytest.raises(InputError, match="mat1 and mat2"):
        trained("cross_entropy", CLASS, module=module)
    assert module.seen == [64]
    assert module.training


# --- the same updates as a loop written by hand ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["AdamW", "adam", "SGD", "nadam", "RMSprop", "adagrad"])
def test_the_updates_are_those_of_a_hand_written_loop(name):
    """Bit for bit what a PyTorch loop over the same batches does, by optimizers of any name."""
    module, _, state = trained("cross_entropy", CLASS, optimizer=name, learning_rate=0.01)
    by_hand = network()
    kind = next(kind for key, kind in vars(torch.optim).items() if key.lower() == name.lower())
    fused = {"fused": True} if name.lower() in ("adamw", "adam", "sgd", "adagrad") else {}
    optimizer = kind(by_hand.parameters(), lr=0.01, **fused)
    for epoch in range(2):
        order = torch.from_numpy(Order(3).rows(ROWS, epoch, 0, ROWS).astype(np.int64))
        total = 0.0
        for rows in order.split(64):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(by_hand(X[rows]), CLASS[rows])
            loss.backward()
            optimizer.step()
            total += len(rows) * float(loss.detach())
        assert state.history[epoch]["loss"] == pytest.approx(total / ROWS, rel=1e-12)
    assert parameters(module).equal(parameters(by_hand))


def test_whole_batches_by_lbfgs():
    """An optimizer that evaluates a batch several times an update gets there in a few; in micro-batches too."""
    found = [
        trained("squared_error", NUMBERS, optimizer=partial(torch.optim.LBFGS, line_search_fn="strong_wolfe"),
                module=nn.Linear(7, 3), batch_size=ROWS, epochs=5, micro_batch=micro, penalty=None)
        for micro in ("auto", 50)
    ]  # fmt: skip
    A = torch.cat([X, torch.ones(ROWS, 1)], 1).double()
    optimum = torch.linalg.lstsq(A, NUMBERS.double()).solution
    for module, _, state in found:
        torch.testing.assert_close(module.weight.detach().double(), optimum[:-1].T, rtol=1e-3, atol=1e-3)
        assert state.updates == 5


def test_long_gradients_are_shortened():
    """With clip_norm, an update of plain descent is no longer than rate times norm, and the history tells the norm before."""
    module = network()
    before = parameters(module).clone()
    _, _, state = trained("mse", 100 * NUMBERS, module=module, optimizer="sgd", learning_rate=1.0, clip_norm=0.5,
                          batch_size=ROWS, epochs=1)  # fmt: skip
    assert torch.linalg.vector_norm(parameters(module) - before) == pytest.approx(0.5, rel=1e-4)
    assert state.gradient_norm > 5


@pytest.mark.parametrize("micro", ["auto", 10])
@pytest.mark.parametrize("by_rows", [False, True])
def test_a_penalty_is_added_once_an_update(micro, by_rows):
    """Weights follow the gradient of loss and penalty, the objective is their sum."""
    module, by_hand = nn.Linear(7, 3), None
    by_hand = copy.deepcopy(module)
    penalty = SquaredWeights([module.weight], 0.3, by_rows=by_rows)
    _, _, state = trained("mse", NUMBERS, module=module, optimizer="sgd", learning_rate=0.1, penalty=penalty,
                          batch_size=ROWS, epochs=1, micro_batch=micro)  # fmt: skip
    strength = 0.3 / ROWS if by_rows else 0.3
    loss = nn.functional.mse_loss(by_hand(X), NUMBERS)
    (loss + 0.5 * strength * by_hand.weight.square().sum()).backward()
    torch.testing.assert_close(module.weight.detach(), (by_hand.weight - 0.1 * by_hand.weight.grad).detach())
    now = 0.5 * strength * float(module.weight.detach().square().sum())
    assert state.history[0]["objective"] - state.history[0]["loss"] == pytest.approx(now, rel=1e-5)


@pytest.mark.parametrize("micro", ["auto", 5])
def test_sparse_gradients(micro):
    """Embeddings with sparse gradients are trained as dense ones are."""
    words = torch.randint(0, 50, (ROWS, 6), generator=torch.Generator().manual_seed(4))

    def bag(sparse):
        torch.manual_seed(0)
        return nn.Sequential(nn.EmbeddingBag(50, 8, sparse=sparse), nn.Linear(8, 3))

    found = [
        trained(
            "cross_entropy",
            CLASS,
            module=bag(sparse),
            inputs=words,
            optimizer="sgd",
            learning_rate=0.5,
            micro_batch=micro,
        )[0]
        for sparse in (False, True)
    ]
    torch.testing.assert_close(parameters(found[0]), parameters(found[1]), rtol=1e-6, atol=1e-6)


class Pair(nn.Module):
    """Several inputs, several outputs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.first, self.second = nn.Linear(7, 3), nn.Linear(3, 3)

    def forward(self, x, extra):
        return {"scores": self.first(x), "numbers": self.second(extra)}


@pytest.mark.parametrize("inputs", [(X, NUMBERS), {"extra": NUMBERS, "x": X}], ids=["tuple", "dict"])
def test_several_inputs_and_outputs(inputs):
    """A tuple or dict of inputs goes to the module by place or by name; all outputs and targets to the loss."""

    def loss(outputs, targets):
        return (
            nn.functional.cross_entropy(outputs["scores"], targets[0])
            + (outputs["numbers"] - targets[1]).square().mean()
        )

    module, _, state = trained(
        loss, (CLASS, NUMBERS), module=Pair(), inputs=inputs, micro_batch=20, epochs=20, learning_rate=0.05
    )
    assert state.history[-1]["loss"] < 0.8 * state.history[0]["loss"]
    outputs = predict(module, TensorSource(inputs, None), rows=50)
    torch.testing.assert_close(outputs["scores"], module(X, NUMBERS)["scores"].detach())


def test_a_module_that_gives_its_loss():
    """Without a loss, the module's own output is what falls."""

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = network()

        def forward(self, x, y):
            return nn.functional.cross_entropy(self.layers(x), y)

    module, _, _ = trained(None, None, module=Own(), inputs=(X, CLASS), micro_batch=16)
    usual, _, _ = trained("cross_entropy", CLASS)
    torch.testing.assert_close(parameters(module), parameters(usual), rtol=1e-6, atol=1e-6)


def dense(activation=nn.ReLU, *, flatten=False, **first):
    """A network that is differentiated by hand."""
    torch.manual_seed(1)
    layers = nn.Linear(7, 16, **first), activation(), nn.Linear(16, 8), activation(), nn.Linear(8, 3)
    return nn.Sequential(*([nn.Flatten()] if flatten else []), *layers)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize(("loss", "target"), TASKS, ids=[*WITH_CLASSES, *WITH_NUMBERS])
def test_dense_networks_by_hand(loss, target, weight, monkeypatch):
    """Plain networks are differentiated without autograd, to the same weights but for rounding, whatever the loss."""
    if weight is not None and loss is WITH_CLASSES["own"]:
        pytest.skip("one number for all rows cannot be weighed")
    batches = []
    usual = DenseNetwork.differentiate
    monkeypatch.setattr(DenseNetwork, "differentiate", lambda *args: (batches.append(1), usual(*args))[1])
    by_hand, _, _ = trained(loss, target, module=dense(), weight=weight)
    assert len(batches) == 8
    watched = dense()
    seen = []
    watched[1].register_forward_hook(lambda *_: seen.append(1))
    by_autograd, _, _ = trained(loss, target, module=watched, weight=weight)
    assert len(batches) == 8
    assert len(seen) == 8
    torch.testing.assert_close(parameters(by_hand), parameters(by_autograd), rtol=1e-5, atol=1e-5)


WIDE = torch.randn(ROWS, 400, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_dense_networks_of_any_activation(activation, optimizer):
    """Every activation and optimizer; rows of several dimensions are flattened; large layers too."""
    wide = nn.Sequential(nn.Linear(400, 100), activation(), nn.Linear(100, 3))
    for rows, module in (
        (X, dense(activation)),
        (X.reshape(ROWS, 7, 1), dense(activation, flatten=True)),
        (WIDE, wide),
    ):
        other = copy.deepcopy(module)
        other.register_forward_pre_hook(lambda *_: None)
        for one in (module, other):
            trained("cross_entropy", CLASS, module=one, inputs=rows, optimizer=optimizer, learning_rate=1e-3)
        # RMSprop's first steps are as long where a gradient is mere rounding.
        near = 1e-4 if optimizer == "rmsprop" else 2e-5
        torch.testing.assert_close(parameters(module), parameters(other), rtol=1e-4, atol=near)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cross_entropy_is_pytorch_s(dtype):
    """The kernel's losses and derivatives, of ignored rows, huge scores and scores of minus infinity too."""
    scores = 10 * torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(4), dtype=dtype)
    scores[3], scores[4, 0], scores[5] = 1e4, -torch.inf, torch.tensor([800.0, -800, 0])
    classes = CLASS.clone()
    classes[::7], classes[4] = -100, 1
    losses, derivative = with_derivative(scores, classes)
    mean, shares = with_derivative(scores, classes, mean=True)
    scores.requires_grad_()
    expected = nn.functional.cross_entropy(scores, classes, reduction="none")
    expected.sum().backward()
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(derivative, scores.grad)
    counted = (classes != -100).sum()
    torch.testing.assert_close(mean, expected.detach().sum() / counted)
    torch.testing.assert_close(shares, scores.grad / counted)
    assert torch.isnan(with_derivative(scores.detach(), torch.full((ROWS,), -100), mean=True)[0])


def test_cross_entropy_of_what_is_no_number_or_no_class():
    """NaN stays NaN, and classes that there are no scores for are left to PyTorch, which names them."""
    scores = torch.zeros(4, 3)
    scores[1, 2] = torch.nan
    losses, _ = with_derivative(scores, torch.zeros(4, dtype=torch.int64))
    assert torch.isnan(losses).tolist() == [False, True, False, False]
    for classes in ([0, 1, 2, 3], [0, 1, 2, -1]):
        assert with_derivative(scores, torch.tensor(classes)) is None
    late = CLASS.clone()
    late[-1] = 3
    with pytest.raises(InputError, match="3"):
        trained("cross_entropy", late, module=dense(), learning_rate=1e-3)


class Sometimes(nn.Module):
    """A network of which a part is used in every other batch only."""

    def __init__(self):
        super().__init__()
        self.always, self.rarely, self.calls = nn.Linear(7, 3), nn.Linear(7, 3), 0

    def forward(self, x):
        self.calls += 1
        return self.always(x) + (self.rarely(x) if self.calls % 2 else 0.0)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_fused_steps_where_a_parameter_has_no_gradient(name):
    """Adam leaves alone what a batch did not use, and counts its steps apart; here as there."""
    kind = partial(getattr(torch.optim, name), weight_decay=0.1, fused=True)
    torch.manual_seed(0)
    module = Sometimes()
    other = copy.deepcopy(module)
    ours, theirs = kind(module.parameters(), lr=0.01), kind(other.parameters(), lr=0.01)
    for _ in range(3):
        step = bare_step(ours)
        for rows in torch.arange(ROWS).split(64):
            for one, follow in ((module, step), (other, theirs.step)):
                one.zero_grad()
                nn.functional.cross_entropy(one(X[rows]), CLASS[rows]).backward()
                follow()
    assert step.__class__.__name__ == "_FusedAdam"
    assert parameters(module).equal(parameters(other))
    counts = [{float(state["step"]) for state in optimizer.state.values()} for optimizer in (ours, theirs)]
    assert counts[0] == counts[1]
    assert len(counts[0]) == 2


class Own(nn.Sequential):
    """It could do anything."""


def frozen_first():
    module = dense()
    module[0].weight.requires_grad_(False)
    return module


def hooked():
    module = dense()
    module[0].weight.register_hook(lambda gradient: 0 * gradient)
    return module


def patched():
    module = dense()
    module[1].forward = torch.tanh
    return module


MORE_THAN_DENSE = {
    "frozen": frozen_first,
    "hook of a gradient": hooked,
    "patched": patched,
    "no bias": lambda: dense(bias=False),
    "float64": lambda: dense().double(),
    "two activations": lambda: nn.Sequential(
        nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, 3)
    ),
    "ends in an activation": lambda: nn.Sequential(nn.Linear(7, 3), nn.Tanh()),
    "class of its own": lambda: Own(nn.Linear(7, 3)),
    "weight norm": lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(7, 3))),
}


@pytest.mark.parametrize("make", MORE_THAN_DENSE.values(), ids=MORE_THAN_DENSE)
def test_what_is_more_than_dense_layers_is_left_to_autograd(make):
    """Whatever somebody has changed or wants to see keeps a network from being differentiated by hand."""
    module, plain = make(), dense()
    assert DenseNetwork.of(plain, list(plain.parameters())) is not None
    assert DenseNetwork.of(module, [p for p in module.parameters() if p.requires_grad]) is None


# --- schedules --------------------------------------------------------------------------------------------------------


def rates_met(monkeypatch, **settings):
    """The learning rates of all updates of three epochs of four batches."""
    rates = []
    usual = torch.optim.SGD.step

    def step(self, *args):
        rates.append(self.param_groups[0]["lr"])
        return usual(self, *args)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    trained("cross_entropy", CLASS, optimizer="sgd", learning_rate=0.1, epochs=3, **settings)
    return rates


def test_schedules_are_stepped_when_it_is_the_custom(monkeypatch):
    """fallline's and OneCycleLR update by update, StepLR epoch by epoch."""
    cosine = Cosine(0.1, 2, 12)
    wanted = [0.05, 0.1] + [0.05 * (1 + math.cos(math.pi * t / 10)) for t in range(10)]
    assert rates_met(monkeypatch, scheduler=cosine) == pytest.approx(wanted)
    steps = partial(lr_scheduler.StepLR, step_size=1, gamma=0.5)
    assert rates_met(monkeypatch, scheduler=steps) == pytest.approx([0.1] * 4 + [0.05] * 4 + [0.025] * 4)
    cycle = rates_met(monkeypatch, scheduler=partial(lr_scheduler.OneCycleLR, max_lr=1.0, total_steps=13))
    assert len(set(cycle)) == 12
    assert max(cycle) == pytest.approx(1.0, rel=0.2)


def test_a_plateau_is_told_how_the_epoch_went(monkeypatch):
    """ReduceLROnPlateau sees each epoch's loss, and lowers the rate when it has not fallen."""
    seen = []
    usual = lr_scheduler.ReduceLROnPlateau.step
    monkeypatch.setattr(
        lr_scheduler.ReduceLROnPlateau, "step", lambda self, loss: (seen.append(loss), usual(self, loss))
    )
    plateau = partial(lr_scheduler.ReduceLROnPlateau, patience=0, threshold=10.0, threshold_mode="abs")
    rates = rates_met(monkeypatch, scheduler=plateau)
    assert len(seen) == 2
    assert rates == pytest.approx([0.1] * 8 + [0.01] * 4)


def test_groups_of_parameters_keep_their_relation():
    """A schedule gives the rate of the first group; one at a tenth of it stays at a tenth."""
    module = network()
    groups = [{"params": module[0].parameters(), "lr": 0.1}, {"params": module[3].parameters(), "lr": 0.01}]
    optimizer = torch.optim.SGD(groups)
    _, engine, state = trained(
        "cross_entropy", CLASS, module=module, optimizer=optimizer, scheduler=Cosine(0.1, 0, 100)
    )
    now = [group["lr"] for group in engine.optimizer.param_groups]
    assert now[0] < 0.1
    assert now[1] == pytest.approx(now[0] / 10)
    assert state.rate == now[0]


# --- stopping and going on -------------------------------------------------------------------------------------------

RESUMED = {
    "adamw, cosine": {"scheduler": Cosine(0.01, 2, 12)},
    "sgd, steps": {
        "optimizer": partial(torch.optim.SGD, lr=0.1, momentum=0.9), "scheduler": partial(lr_scheduler.StepLR, step_size=1),
    },
    "one cycle": {"scheduler": partial(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=100)},
    "plateau": {"scheduler": partial(lr_scheduler.ReduceLROnPlateau, patience=0, threshold=10.0)},
    "micro-batches": {"micro_batch": 10, "clip_norm": 0.1},
    "class weights": {"micro_batch": 10, "loss": WITH_CLASSES["smoothed"]},
    "lbfgs": {"optimizer": partial(torch.optim.LBFGS, max_iter=3)},
    "dense": {"module": dense}, "dense, sgd": {"module": dense, "optimizer": "sgd", "learning_rate": 0.1, "clip_norm": 1.0},
}  # fmt: skip


def go_on(state, settings, seed=1, rows=None, **limits):
    """Train, from a state on or from the beginning, on blocks of so many rows."""
    settings = {"loss": "cross_entropy", "batch_size": 64} | settings
    make = settings.pop("module", partial(network, dropout=0.3))
    module = make()
    if seed != 1:
        with torch.no_grad():
            module[0].weight.add_(seed)
    engine = ModuleEngine(module, **settings)
    if rows is not None:
        engine.block_rows = lambda *_: rows
    state = engine.start() if state is None else state
    train(Run(engine, TensorSource(X, CLASS, WEIGHT if limits.pop("weighted", False) else None), Order(7), state, 3, **limits),
          [KeepBest("objective")])  # fmt: skip
    return state


@pytest.mark.parametrize("settings", RESUMED.values(), ids=RESUMED)
def test_resuming_at_any_update_gives_the_same_bits(settings, tmp_path):
    """A run stopped anywhere, saved, loaded into a module of other weights and resumed ends in the state of one never stopped."""
    whole = bits(go_on(None, settings))
    for update in (1, 3, 4, 5, 9):
        stopped = go_on(None, settings, max_updates=update)
        assert stopped.updates == update
        stopped.save(tmp_path / "state")
        # What the program does in between with PyTorch's generators does not matter.
        torch.rand(5)
        assert bits(go_on(State.load(tmp_path / "state"), settings, seed=99)) == whole


@pytest.mark.parametrize("settings", RESUMED.values(), ids=RESUMED)
def test_blocks_change_no_bit(settings):
    """Blocks of any size, smaller than a micro-batch too, give the same bits: rows are carried over until one is whole."""
    for weighted in (False, True):
        whole = bits(go_on(None, settings, weighted=weighted))
        for rows in (1, 7, 64, 100):
            assert bits(go_on(None, settings, rows=rows, weighted=weighted)) == whole


@pytest.mark.parametrize("rows", [7, 30])
def test_a_state_in_the_middle_of_a_batch_is_saved_whole(rows, tmp_path):
    """Rows carried over and gradients of an unfinished batch are in the file."""
    settings = RESUMED["micro-batches"]

    class Stops(KeepBest):
        def after_block(self, run):
            if run.state.rows >= 100:
                raise KeyboardInterrupt

    engine = ModuleEngine(network(dropout=0.3), "cross_entropy", batch_size=64, **settings)
    engine.block_rows = lambda *_: rows
    state = engine.start()
    with pytest.raises(KeyboardInterrupt):
        train(Run(engine, TensorSource(X, CLASS), Order(7), state, 3), [Stops("objective")])
    assert state.pending > 0
    state.save(tmp_path / "state")
    resumed = go_on(State.load(tmp_path / "state"), settings, seed=4, rows=rows)
    assert bits(resumed)[1][:4] == bits(go_on(None, settings))[1][:4]
    assert parameters(resumed.memory.module).equal(parameters(go_on(None, settings).memory.module))


def test_modules_of_16_bits_are_saved(tmp_path):
    """Numbers of a type that NumPy does not have come back the same."""
    module = network().to(torch.bfloat16)
    _, engine, state = trained("cross_entropy", CLASS, module=module, inputs=X.to(torch.bfloat16))
    state.save(tmp_path / "state")
    other = ModuleEngine(network(seed=3).to(torch.bfloat16), "cross_entropy", batch_size=64)
    loaded = State.load(tmp_path / "state")
    other.require(loaded, TensorSource(X, CLASS))
    assert parameters(other.module).equal(parameters(engine.module))


def test_a_state_of_another_module_is_refused(tmp_path):
    """A state is only gone on with by the module, the optimizer and the kind of engine that it belongs to."""
    _, _, state = trained("cross_entropy", CLASS)
    state.save(tmp_path / "state")
    source = TensorSource(X, CLASS)
    for other, words in (
        (ModuleEngine(nn.Linear(7, 3), "cross_entropy"), "another module's"),
        (ModuleEngine(network(), "cross_entropy", "lbfgs", 64), "optimizer is AdamW.*LBFGS"),
        (
            ModuleEngine(network(), "cross_entropy", scheduler=partial(lr_scheduler.StepLR, step_size=1)),
            "scheduler",
        ),
    ):
        with pytest.raises(StateError, match=words):
            other.require(State.load(tmp_path / "state"), source)
    with pytest.raises(StateError, match="not this module's"):
        ModuleEngine(network(), "cross_entropy").require(state, source)


def test_a_damaged_state_is_named(tmp_path):
    """A byte that is another than was written, in what is not numbers, is an error of the project."""
    _, engine, state = trained("cross_entropy", CLASS)
    state.save(tmp_path / "run.state")
    content = bytearray((tmp_path / "run.state").read_bytes())
    place = content.index(b'{"dict"')
    content[place + 2] = 0xFF
    (tmp_path / "run.state").write_bytes(content)
    with pytest.raises(StateError, match="damaged"):
        engine.require(State.load(tmp_path / "run.state"), TensorSource(X, CLASS))


def test_what_cannot_be_written_is_named(tmp_path):
    """A state that holds more than numbers and text is refused with the place of it."""
    _, engine, state = trained("cross_entropy", CLASS)
    engine.optimizer.param_groups[0]["tag"] = object()
    with pytest.raises(StateError, match=r"optimizer.param_groups.0.tag"):
        state.save(tmp_path / "state")


def test_training_leaves_no_trace_but_itself():
    """Modes of the module's parts and PyTorch's generators and threads are as they were, after an error too."""
    module = network(dropout=0.5)
    module.eval()
    module[0].train()
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    trained("cross_entropy", CLASS, module=module, epochs=1)
    with pytest.raises(DivergenceError):
        trained("mse", NUMBERS, module=module, optimizer="sgd", learning_rate=1e30)
    assert [part.training for part in module.modules()] == [False, True, False, False, False]
    assert torch.get_rng_state().equal(before)
    assert torch.get_num_threads() == threads
    assert all(parameter.grad is None for parameter in module.parameters())


def test_the_seed_decides_what_dropout_draws():
    """The same seed gives the same bits, another others."""
    found = [
        parameters(trained("cross_entropy", CLASS, module=network(dropout=0.5), seed=seed)[0])
        for seed in (0, 0, 1)
    ]
    assert found[0].equal(found[1])
    assert not found[0].equal(found[2])


# --- measuring -------------------------------------------------------------------------------------------------------


def test_fixed_weights_are_measured_without_training():
    """Weights of before are measured as they were, batch normalisation by its running means; the module stays as it is."""
    module = nn.Sequential(nn.Linear(7, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 3))
    engine = ModuleEngine(module, "cross_entropy", batch_size=64)
    state, source = engine.start(), TensorSource(X, CLASS)
    train(Run(engine, source, Order(0), state, 1))
    earlier = engine.copied(engine.weights(state))
    first = engine.measure(source, engine.weights(state))
    module.eval()
    assert first == pytest.approx(float(nn.functional.cross_entropy(module(X), CLASS).detach()), rel=1e-6)
    module.train()
    train(Run(engine, source, Order(0), state, 3))
    now = parameters(module).clone()
    assert engine.measure(source, engine.weights(state)) != first
    assert engine.measure(source, earlier) == pytest.approx(first, rel=1e-6)
    assert parameters(module).equal(now)
    engine.put(earlier)
    assert engine.measure(source, engine.weights(state)) == pytest.approx(first, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_by_name_are_those_of_the_kernels(name):
    """Every loss of fallline's gives modules the value and the derivative that it gives linear models."""
    loss, outputs = LOSSES[name](), 3
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(20, outputs))
    if loss.domain == CLASSES:
        kernel_targets = generator.integers(0, outputs, (1, 20)).astype(float)
        targets = torch.from_numpy(kernel_targets[0].astype(np.int64))
    elif loss.domain == TWO_CLASSES:
        kernel_targets = generator.choice([-1.0, 1.0], (outputs, 20))
        targets = torch.from_numpy(kernel_targets.T > 0)
    else:
        kernel_targets = generator.uniform(0.1, 2.0, (outputs, 20))
        targets = torch.from_numpy(kernel_targets.T.copy())
    values, slopes = np.empty((1, 20)), np.empty((outputs, 20))
    differentiate(loss, 20, scores.T.copy(), kernel_targets, values, slopes)
    inputs = torch.from_numpy(scores).requires_grad_()
    found = rows_loss(loss)(inputs, targets)
    found.sum().backward()
    np.testing.assert_allclose(found.detach().numpy(), values[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(inputs.grad.numpy(), slopes.T, rtol=1e-9, atol=1e-12)


# --- precision, compilation, threads ---------------------------------------------------------------------------------


def test_16_bits_come_to_about_the_same():
    """bf16 computes in 16 bits, keeps weights and sums in 32, and learns as well."""
    module, _, state = trained("cross_entropy", CLASS, precision="bf16", epochs=20, learning_rate=0.01)
    usual, _, wanted = trained("cross_entropy", CLASS, epochs=20, learning_rate=0.01)
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert not parameters(module).equal(parameters(usual))
    assert state.history[-1]["loss"] == pytest.approx(wanted.history[-1]["loss"], rel=0.02)


def test_modules_are_compiled(monkeypatch):
    """What is trained goes through `torch.compile`, to the same weights; the module itself is the one that was given."""
    compiled = []

    def compile_without_compiler(module, mode=None):
        compiled.append(mode)
        return torch._dynamo.optimize("eager")(module)

    monkeypatch.setattr(torch, "compile", compile_without_compiler)
    module, _, _ = trained("cross_entropy", CLASS, compile=True)
    usual, _, _ = trained("cross_entropy", CLASS)
    assert compiled == [None]
    torch.testing.assert_close(parameters(module), parameters(usual), rtol=1e-6, atol=1e-6)


def test_small_networks_are_trained_by_one_thread(monkeypatch):
    """Where an update is over before a second thread wakes up there is one, whatever else the program uses."""
    seen = []

    class Counts(nn.Linear):
        def forward(self, x):
            seen.append(torch.get_num_threads())
            return super().forward(x)

    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        trained("mse", NUMBERS, module=Counts(7, 3), epochs=1)
        trained("mse", torch.randn(ROWS, 4000), module=Counts(7, 4000), epochs=1, batch_size=ROWS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(usual)
    assert seen == [1, 1, 1, 1, 2]


# --- mistakes --------------------------------------------------------------------------------------------------------


def broadcasting(scores, y):
    return (scores - y).square().mean()


@pytest.mark.parametrize(
    "loss",
    [
        "mse",
        "squared_error",
        nn.L1Loss(),
        nn.functional.mse_loss,
        broadcasting,
        per_row(lambda s, y: (s - y).abs().mean(1)),
    ],
)
def test_outputs_and_targets_that_would_broadcast(loss):
    """(n,) against (n, 1) is an error that tells both shapes, whoever wrote the loss; not n x n numbers."""
    for module, target in (
        (nn.Linear(7, 1), NUMBERS[:, 0]),
        (nn.Sequential(nn.Linear(7, 1), nn.Flatten(0)), NUMBERS[:, :1]),
    ):
        with pytest.raises(InputError, match=r"outputs of shape \(64.*targets.*\(64"):
            trained(loss, target, module=module)


def test_losses_that_compare_all_rows_with_all_are_not_mistaken_for_that():
    """A loss over pairs of rows, and one that squeezes its scores itself, are as good as any."""

    def pairs(scores, y):
        return ((scores @ scores.T) - (y[:, None] == y[None, :]).float()).square().mean()

    trained(pairs, CLASS, epochs=1)
    squeezed = lambda scores, y: (scores.squeeze(1) - y).square().mean()  # noqa: E731
    trained(squeezed, NUMBERS[:, 0], module=nn.Linear(7, 1), epochs=1)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (
            lambda s, y: (s - y).square(),
            r"one number, the mean over the rows, but gave a tensor of shape \(64, 3\).*per_row",
        ),
        (lambda s, y: 3.0, "gave a float"),
        (
            per_row(lambda s, y: (s - y).square()),
            r"one number a row, of shape \(64,\), but gave a tensor of shape \(64, 3\)",
        ),
        (nn.MSELoss(reduction="sum"), "sums over rows"),
        ("mes", "Did you mean 'mse'"),
        (3, "neither a name"),
    ],
)
def test_losses_that_cannot_be_meant(loss, words):
    """A loss that gives anything but a number for all rows, or a number a row where it says so, is an error."""
    with pytest.raises(ParameterError, match=words):
        trained(loss, NUMBERS)


def test_weights_need_a_loss_of_each_row():
    """Sample weights with a loss that gives one number for all rows are an error that says how to give it."""
    with pytest.raises(ParameterError, match="per_row"):
        trained(lambda s, y: (s - y).square().mean(), NUMBERS, weight=WEIGHT)


def frozen():
    return network().requires_grad_(False)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"module": nn.Flatten()}, "it has none"),
        ({"module": frozen()}, "frozen"),
        ({"module": nn.LazyLinear(3)}, "not known yet"),
        ({"module": lambda x: x}, "a torch.nn.Module is wanted"),
        ({"module": network().to("meta")}, "'meta'"),
        ({"optimizer": torch.optim.Adam(network().parameters())}, "built for other parameters: 4 of its 4"),
        ({"optimizer": "rmspop"}, "Did you mean 'rmsprop'"),
        ({"optimizer": 3}, "neither a name, a class nor an optimizer"),
        ({"optimizer": "adam", "learning_rate": -1.0}, "Invalid learning rate"),
        (
            {"scheduler": partial(lr_scheduler.StepLR, torch.optim.SGD(network().parameters()), 3)},
            "built for another|optimizer",
        ),
        (
            {"scheduler": lr_scheduler.StepLR(torch.optim.SGD(network().parameters()), 3)},
            "built for another optimizer",
        ),
        ({"scheduler": lr_scheduler.StepLR}, "functools.partial"),
        ({"scheduler": 0.1}, "neither a scheduler"),
        ({"batch_size": 0}, "batch_size"),
        ({"micro_batch": 0}, "micro_batch"),
        ({"clip_norm": 0}, "clip_norm"),
        ({"precision": "fp8"}, "precision"),
        ({"device": "cuda:99"}, "cuda:99"),
        ({"device": "nonsense"}, "nonsense"),
    ],
)
def test_settings_that_cannot_be_used(settings, words):
    """Each is an error of the project, before anything is trained."""
    settings = {"module": network()} | settings
    with pytest.raises(ParameterError, match=words):
        ModuleEngine(loss="cross_entropy", **settings)


def test_targets_are_asked_for():
    """A loss that compares has to be given something to compare with."""
    for loss in ("mse", "cross_entropy", "squared_error"):
        with pytest.raises(InputError, match="no targets"):
            trained(loss, None)


def test_errors_of_modules_and_losses_tell_the_batch():
    """What a module or a loss raises says which shapes and types it was given."""
    for loss, target in (("mse", NUMBERS), ("cross_entropy", CLASS + 3)):
        inputs = X[:, :6] if loss == "mse" else X
        with pytest.raises(InputError) as caught:
            trained(loss, target, inputs=inputs)
        told = f"inputs of shape (64, {inputs.shape[1]}) and dtype float32; targets of shape (64"
        assert told in str(caught.value) or "The target in row" in str(caught.value)


def test_loaded_batches_are_not_divided():
    """Micro-batches of what a loader made are refused, for where its rows lie is not known; by default they are whole."""
    engine = ModuleEngine(network(), "cross_entropy", batch_size=32, micro_batch=8)
    with pytest.raises(ParameterError, match="micro_batch=8"):
        engine.sweep(LoadedBatch(X[:32], CLASS[:32], None, 32), engine.start(), last=False)
    module = Fits(17)
    engine = ModuleEngine(module, "cross_entropy", batch_size=32)
    with pytest.raises(torch.OutOfMemoryError):
        engine.sweep(LoadedBatch(X[:32], CLASS[:32], None, 32), engine.start(), last=False)
    assert module.seen == [32]


def test_an_optimizer_with_its_own_rate():
    """A rate and an optimizer that has one are one too many."""
    module = network()
    with pytest.raises(ParameterError, match="learning_rate"):
        ModuleEngine(module, "mse", torch.optim.SGD(module.parameters(), lr=0.1), learning_rate=0.2)


def test_data_on_another_device():
    """Rows on a device that is neither the processor nor the module's are an error that names both."""
    with pytest.raises(InputError, match=r"'meta'.*'cpu'"):
        trained("mse", NUMBERS, inputs=X.to("meta"))


def test_divergence_says_when_and_of_what():
    """A loss beyond all numbers ends training with the update, and that the rows were finite; rows that are not are named."""
    with pytest.raises(
        DivergenceError, match=r"At update \d+ \(epoch 1\) the loss is (inf|nan).*were finite"
    ):
        trained("mse", NUMBERS, optimizer="sgd", learning_rate=1e10, epochs=3)
    bad = X.clone()
    bad[100, 3] = math.nan
    with pytest.raises(NonFiniteError, match="row 100"):
        trained("mse", NUMBERS, inputs=bad)


def test_outputs_that_are_not_numbers_from_the_beginning():
    """A module that gives NaN before anything is learnt is told so."""

    class Roots(nn.Linear):
        def forward(self, x):
            return super().forward(x).sqrt()

    with pytest.raises(DivergenceError, match="before anything was learnt"):
        trained("mse", NUMBERS, module=Roots(7, 3))


def test_the_last_update_is_looked_at_too():
    """Weights that became NaN by the very last update do not pass for trained."""
    module = network()
    module[0].weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(DivergenceError, match="weights are not"):
        trained("mse", NUMBERS, module=module, batch_size=ROWS, epochs=1)


def test_outputs_that_do_not_depend_on_the_parameters():
    """A module that detaches its outputs is told so, not left as it is."""

    class Detached(nn.Linear):
        def forward(self, x):
            return super().forward(x).detach()

    with pytest.raises(ParameterError, match="do not depend on the parameters"):
        trained("mse", NUMBERS, module=Detached(7, 3))


def test_every_mistake_is_of_the_project():
    """The errors above share one base class."""
    assert issubclass(ParameterError, FalllineError)
    assert issubclass(InputError, FalllineError)


@pytest.mark.parametrize("batch_size", [7, 25, 32])
@pytest.mark.parametrize("norm", [torch.nn.BatchNorm1d, torch.nn.LayerNorm])
def test_where_blocks_end_changes_no_bit_of_rows_of_odd_sizes(norm, batch_size):
    """Where blocks end depends on the clock, and how PyTorch rounds on where memory begins: that changes no bit all the same."""
    generator = torch.Generator().manual_seed(0)
    X, y = torch.randn(403, 6, generator=generator), torch.randint(0, 3, (403,), generator=generator)
    found = []
    for blocks in (1, 3, 50):
        torch.manual_seed(1)
        module = torch.nn.Sequential(torch.nn.Linear(6, 9), norm(9), torch.nn.ReLU(), torch.nn.Linear(9, 3))
        engine = ModuleEngine(module, torch.nn.CrossEntropyLoss(), "adam", batch_size)
        engine.block_rows = lambda state, source, rows=blocks * batch_size: rows
        train(Run(engine, TensorSource(X, y), Order(3), engine.start(), 3))
        found.append(torch.cat([parameter.detach().flatten() for parameter in module.parameters()]))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("micro_batch", [60, 50, 63])
def test_pieces_of_unequal_sizes_are_the_rows_asked_for(micro_batch):
    """A large piece, taken alone, does not spoil small ones that were gathered together."""
    block = TensorBlock(torch.arange(4000.0).reshape(1000, 4), torch.arange(1000), None, torch.arange(1000))
    ahead = Ahead(Gatherer(torch.device("cpu")), block)
    place = 0
    for size in [micro_batch, 64 - micro_batch] * 15:
        piece = ahead.take(place, place + size)
        assert torch.equal(piece.targets, torch.arange(place, place + size))
        assert torch.equal(piece.inputs[:, 0], 4.0 * torch.arange(place, place + size))
        place += size
