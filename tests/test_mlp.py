"""MLPClassifier and MLPRegressor: what they add to scikit-learn's, and what they refuse. See also `test_mlp_scikit.py`."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from fallline import MLPClassifier, MLPRegressor
from fallline.engines.module.scikit.losses import LOSSES
from fallline.engines.module.scikit.optimizers import Adam, Momentum
from fallline.errors import DivergenceError, InputError, MissingDependencyError, ParameterError, TargetError
from fallline.networks.by_hand import IN_PLACE, DenseLayers
from fallline.networks.mlp import ACTIVATIONS, MLP, embedding_size

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = load_iris()
IRIS_X = scale(IRIS.data)
SMALL = {"hidden_layer_sizes": (8,), "random_state": 0, "max_iter": 5}


def _same(one, other):
    return all(
        np.array_equal(a, b)
        for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    )


# ------------------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("activation", IN_PLACE)
def test_layers_written_out_have_the_right_derivatives(activation):
    """The gradients of rows and parameters are those that differences of the scores give."""
    network = MLP(7, 3, (5, 4), activation, seed=0, dtype=torch.float64)
    x = torch.rand(6, 7, dtype=torch.float64, requires_grad=True)
    parameters = [tensor for layer in network.layers for tensor in (layer.weight, layer.bias)]
    assert torch.autograd.gradcheck(
        lambda x, *others: DenseLayers.apply(x, activation, *others), (x, *parameters)
    )


def test_large_products_are_the_same_products():
    """Layers that are large enough for other kernels give what PyTorch's own layers give, gradients included."""
    network = MLP(300, 10, (200,), seed=0)
    plain = torch.nn.Sequential(network.layers[0], torch.nn.ReLU(), network.layers[1])
    x, found = torch.randn(128, 300), []
    for module in (network, plain):
        network.zero_grad()
        scores = module(x)
        scores.square().sum().backward()
        found.append([scores.detach(), *(parameter.grad.clone() for parameter in network.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-2)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_sparse_rows_and_embeddings_of_sparse_rows(activation, batch_norm):
    """A network gives the same scores and gradients for sparse rows as for dense ones, groups of columns included."""
    network = MLP(
        12,
        3,
        (5, 4),
        activation,
        groups=[(2, 5), (7, 12, 2)],
        batch_norm=batch_norm,
        seed=0,
        dtype=torch.float64,
    )
    x, found = torch.zeros(9, 12, dtype=torch.float64), []
    x[:, :2], x[::2, 5:7] = 0.5, -1.5
    x[range(8), torch.arange(8) % 3 + 2] = 1
    x[range(1, 9), torch.arange(8) % 5 + 7] = 1
    for rows in (x, x.to_sparse_csr()):
        network.zero_grad()
        scores = network(rows)
        scores.square().sum().backward()
        found.append([scores.detach(), *(parameter.grad.clone() for parameter in network.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_unknown_categories_are_zeros():
    """A row of zeros in a group of one-hot columns adds nothing, whatever the group's table holds."""
    network = MLP(5, 1, (), "identity", groups=[(2, 5, 2)], seed=0)
    x = torch.tensor([[1.0, 2.0, 0.0, 0.0, 0.0]])
    expected = x[:, :2] @ network.layers[0].weight[:, :2].T + network.layers[0].bias
    torch.testing.assert_close(network(x), expected)


def test_a_single_row_passes_batch_normalisation():
    """The last batch of an epoch may have one row, which has no variance."""
    network = MLP(3, 1, (4,), batch_norm=True, seed=0)
    network(torch.randn(10, 3))
    assert torch.isfinite(network.train()(torch.randn(1, 3))).all()


@pytest.mark.parametrize(("categories", "size"), [(1, 1), (2, 1), (3, 2), (10, 5), (99, 50), (5000, 50)])
def test_sizes_of_embeddings(categories, size):
    """Half as many numbers as categories, and 50 at most."""
    assert embedding_size(categories) == size


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_derivatives(name):
    """Each loss is the same with its derivative as without, and the derivative is autograd's."""
    scores = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 4, (7,)) if name == "softmax" else torch.randint(0, 2, (7, 4)).double()
    rows = LOSSES[name].rows(scores, targets)
    rows.sum().backward()
    losses, derivative = LOSSES[name].with_derivative(scores.detach().clone(), targets)
    torch.testing.assert_close(losses.reshape(7, -1).sum(1), rows.detach())
    torch.testing.assert_close(derivative, scores.grad)


@pytest.mark.parametrize("make", [Adam, Momentum])
def test_optimizers_take_gradients_from_wherever_they_are(make):
    """Gradients that autograd made, and none at all, are gathered before a step; the parameters are views of one vector."""
    parameters = [torch.nn.Parameter(torch.ones(3, 2)), torch.nn.Parameter(torch.ones(5))]
    optimizer = make(parameters, 0.1)
    parameters[0].grad = torch.full((3, 2), 2.0)
    optimizer.step()
    assert (parameters[0] < 1).all()
    assert (parameters[1] == 1).all()
    assert torch.equal(optimizer.flat.values[:6].view(3, 2), parameters[0].detach())


# ---------------------------------------------------------------------------------------------------- the estimators


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dropout": 0.3},
        {"batch_norm": True},
        {"solver": "sgd"},
        {"solver": "lbfgs"},
        {"early_stopping": True},
    ],
    ids=str,
)
def test_the_same_seed_gives_the_same_bits(estimator, settings):
    """Twice the same integer, twice the same network; another integer, another one."""
    first, second, other = (
        estimator(**SMALL | {"random_state": seed} | settings).fit(IRIS_X, IRIS.target) for seed in (3, 3, 4)
    )
    assert _same(first, second)
    assert not _same(first, other)


def test_float32_stays_float32():
    """The network has the type of the data, and so have its predictions."""
    for dtype in (np.float32, np.float64):
        model = MLPRegressor(**SMALL).fit(IRIS_X.astype(dtype), IRIS.target)
        assert {array.dtype for array in model.coefs_ + model.intercepts_} == {np.dtype(dtype)}
        assert model.predict(IRIS_X.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_each_solver_learns(solver):
    """Every solver finds a network that is right about most digits."""
    X, y = load_digits(return_X_y=True)
    settings = {"adam": {}, "sgd": {"learning_rate_init": 0.1}, "lbfgs": {}}[solver]
    model = MLPClassifier(solver=solver, random_state=0, max_iter=40, **settings).fit(X[:1200] / 16, y[:1200])
    assert model.score(X[1200:] / 16, y[1200:]) > 0.9


@pytest.mark.parametrize("batch_size", [0.25, "full", 1000])
def test_batches_in_fractions(batch_size):
    """A batch is a fraction of the rows, all of them, or no more than there are."""
    model = MLPClassifier(**SMALL, batch_size=batch_size).fit(IRIS_X, IRIS.target)
    updates = 4 if batch_size == 0.25 else 1
    assert model.history_[-1]["updates"] == 5 * updates


@pytest.mark.parametrize("batch_size", [37, "full"])
def test_large_batches_go_through_in_parts(batch_size, monkeypatch):
    """A batch that is cut, as where memory is short, gives the same network."""
    from fallline.engines.module import engine

    settings = {**SMALL, "batch_size": batch_size, "alpha": 0.5}
    weight = np.linspace(0.1, 2, 150)
    whole = MLPClassifier(**settings).fit(IRIS_X, IRIS.target, sample_weight=weight)
    monkeypatch.setattr(engine, "_MOST_ROWS", 10)
    cut = MLPClassifier(**settings).fit(IRIS_X, IRIS.target, sample_weight=weight)
    for one, other in zip(whole.coefs_, cut.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_dropout_is_for_training_only():
    """Predictions of a network with dropout are the same each time, and training with it differs."""
    plain, dropped = (MLPRegressor(**SMALL, dropout=share).fit(IRIS_X, IRIS.target) for share in (0.0, 0.5))
    assert np.array_equal(dropped.predict(IRIS_X), dropped.predict(IRIS_X))
    assert not _same(plain, dropped)


def test_batch_normalisation_goes_on():
    """What batch normalisation has met is part of the model: kept, pickled, and gone on from."""
    model = MLPClassifier(
        **{**SMALL, "max_iter": 30, "batch_size": 16}, batch_norm=True, learning_rate_init=0.01
    ).fit(IRIS_X * 100 + 7, IRIS.target)
    assert model.score(IRIS_X * 100 + 7, IRIS.target) > 0.9
    before = model.predict_proba(IRIS_X)
    model.partial_fit(IRIS_X * 100 + 7, IRIS.target)
    assert not np.array_equal(before, model.predict_proba(IRIS_X))


def test_several_labels_a_row():
    """Of several labels each is told by itself, sparse targets included."""
    X, y = make_multilabel_classification(200, random_state=0)
    model = MLPClassifier(max_iter=100, random_state=0, learning_rate_init=0.01).fit(scale(X), y)
    assert model.predict(scale(X)).shape == y.shape
    assert (model.predict(scale(X)) == y).mean() > 0.9
    assert not np.allclose(model.predict_proba(scale(X)).sum(1), 1)


@pytest.mark.parametrize(
    "labels", [np.array(["no", "yes", "perhaps"]), np.array([3, 5, 11]), np.array([False, True])]
)
def test_labels_come_back_as_they_were(labels):
    """Strings, numbers and booleans are told apart by their own names."""
    y = labels[IRIS.target % len(labels)]
    model = MLPClassifier(**SMALL).fit(IRIS_X, y)
    assert set(model.predict(IRIS_X)) <= set(labels)
    np.testing.assert_allclose(model.predict_proba(IRIS_X).sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(IRIS_X)), model.predict_proba(IRIS_X))


def test_one_class_is_the_only_answer():
    """As in scikit-learn, a single class can be learnt: it is always the answer."""
    model = MLPClassifier(**SMALL).fit(IRIS_X, np.full(150, "only"))
    assert set(model.predict(IRIS_X)) == {"only"}
    assert (model.predict_proba(IRIS_X) == 1).all()


def test_several_targets():
    """Several numbers are predicted together."""
    X, y = (scale(part) for part in load_diabetes(return_X_y=True))
    both = np.column_stack([y, X[:, 0]])
    model = MLPRegressor(max_iter=60, random_state=0, learning_rate_init=0.01).fit(X, both)
    assert model.predict(X).shape == both.shape
    assert model.score(X, both) > 0.6


def test_early_stopping_takes_the_best_weights():
    """With rows held out, the network is that of the epoch with the best score."""
    X, y = load_digits(return_X_y=True)
    model = MLPClassifier(early_stopping=True, max_iter=300, random_state=0, n_iter_no_change=3).fit(
        X / 16, y
    )
    assert model.n_iter_ == len(model.validation_scores_) < 300
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None
    assert model.history_.stop.reason == "early_stopping"


def test_divergence_is_an_error_unless_there_are_better_weights():
    """Without early stopping a network that explodes is no model; with it, the best one so far is."""
    settings = {"solver": "sgd", "learning_rate_init": 10.0, "activation": "identity", "random_state": 0}
    with pytest.raises(DivergenceError, match="Solver produced non-finite parameter weights"):
        MLPRegressor(**settings).fit(IRIS_X, IRIS.target)
    model = MLPRegressor(**settings, early_stopping=True, learning_rate="constant")
    try:
        with pytest.warns(ConvergenceWarning, match="diverged"):
            model.fit(IRIS_X, IRIS.target)
    except DivergenceError:
        assert not hasattr(model, "coefs_")
    else:
        assert np.isfinite(model.predict(IRIS_X)).all()


def test_time_limit():
    """Training ends when its time is over."""
    model = MLPClassifier(max_iter=10**6, tol=0.0, n_iter_no_change=np.inf, time_limit=0.3).fit(
        IRIS_X, IRIS.target
    )
    assert model.history_.stop.reason == "time_limit"


# ------------------------------------------------------------------------------------------------------- data frames

_ROWS = 300
_PLACES = np.array(["here", "there", "nowhere"])
_RNG = np.random.default_rng(0)
_NUMBER, _PLACE, _KIND = _RNG.standard_normal(_ROWS), _RNG.integers(0, 3, _ROWS), _RNG.integers(0, 40, _ROWS)
_Y = (_PLACE == 1) * 2.0 - (_KIND % 2) + 0.1 * _NUMBER
FRAME = pd.DataFrame({"place": _PLACES[_PLACE], "number": _NUMBER, "kind": pd.Categorical(_KIND)})


def _as_polars(frame):
    return pl.DataFrame(
        {
            "place": list(frame["place"]),
            "number": frame["number"].to_numpy(),
            "kind": [*map(str, frame["kind"])],
        }
    )


def _as_arrow(frame):
    kind = pa.array([*map(str, frame["kind"])]).dictionary_encode()
    return pa.table({"place": list(frame["place"]), "number": frame["number"].to_numpy(), "kind": kind})


@pytest.mark.parametrize(
    "make",
    [
        pd.DataFrame,
        lambda frame: frame.astype({"place": "category"}),
        lambda frame: frame.astype({"place": object}),
        _as_polars,
        _as_arrow,
    ],
    ids=["text", "category", "object", "polars", "arrow"],
)
def test_categories_go_through_embeddings(make):
    """Columns of text and of categories are learnt from, in every kind of frame."""
    model = MLPRegressor(hidden_layer_sizes=(32,), learning_rate_init=0.02, max_iter=60, random_state=0).fit(
        make(FRAME), _Y
    )
    assert model.score(make(FRAME), _Y) > 0.95
    assert {name: table.shape for name, table in model.embeddings_.items()} == {
        "place": (3, 2),
        "kind": (40, 20),
    }
    assert model.coefs_[0].shape == (1 + 2 + 20, 32)
    assert list(model.feature_names_in_) == ["place", "number", "kind"]


def test_unknown_and_missing_categories_predict():
    """A category that was not there in training predicts as a missing one does."""
    model = MLPRegressor(**SMALL).fit(FRAME, _Y)
    strange, missing = FRAME.head(4).copy(), FRAME.head(4).copy()
    strange["place"], missing["place"] = ["moon"] * 4, [None] * 4
    np.testing.assert_array_equal(model.predict(strange), model.predict(missing))
    assert not np.array_equal(model.predict(strange), model.predict(FRAME.head(4)))


def test_columns_may_be_in_another_order_by_name():
    """Predictions go by the names of columns, which scikit-learn's contract wants in the same order."""
    model = MLPRegressor(**SMALL).fit(FRAME, _Y)
    with pytest.raises((InputError, ValueError), match=r"order|feature names"):
        model.predict(FRAME[["number", "place", "kind"]])


@pytest.mark.parametrize(
    ("embeddings", "sizes"),
    [
        (3, {"place": 3, "kind": 3}),
        ({"kind": 7}, {"place": 2, "kind": 7}),
        ({"number": 4}, {"place": 2, "number": 4, "kind": 20}),
    ],
)
def test_sizes_of_embeddings_can_be_given(embeddings, sizes):
    """For all categories, or by column, which makes a category of a column of numbers, too."""
    model = MLPRegressor(**SMALL, embeddings=embeddings).fit(FRAME.round(0), _Y)
    assert {name: table.shape[1] for name, table in model.embeddings_.items()} == sizes


def test_frames_go_on_part_by_part():
    """`partial_fit` goes on with the categories of its first part."""
    model = MLPRegressor(**SMALL)
    for start in range(0, _ROWS, 100):
        model.partial_fit(FRAME[start : start + 100], _Y[start : start + 100])
    assert model.predict(FRAME).shape == (_ROWS,)


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_layer_sizes": (10, 0)}, "must be > 0"),
        ({"hidden_layer_sizes": "wide"}, "hidden_layer_sizes"),
        ({"activation": "rleu"}, "Did you mean 'relu'"),
        ({"solver": "rmsprop"}, "'sgd', 'adam', 'lbfgs'"),
        ({"alpha": -1}, "alpha=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": "cosine"}, "learning_rate='cosine'"),
        ({"learning_rate_init": 0}, "learning_rate_init=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"beta_2": 1.0}, "beta_2=1.0"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"early_stopping": "yes"}, "early_stopping='yes'"),
        ({"device": "tpu9"}, "device='tpu9'"),
        ({"embeddings": {"colour": 3}}, "embeddings names a column 'colour'"),
        ({"embeddings": "three"}, "embeddings='three'"),
        ({"random_state": "luck"}, "random_state='luck'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_parameters_are_checked(settings, message):
    """Every parameter that cannot be used is an error that names it, and nothing is left behind."""
    model = MLPClassifier(**settings)
    with pytest.raises(ParameterError, match=message):
        model.fit(IRIS_X, IRIS.target)
    assert not hasattr(model, "coefs_")


def test_data_are_checked():
    """Targets and rows that cannot be learnt from are errors that say where."""
    X = IRIS_X.copy()
    X[7, 2] = np.nan
    with pytest.raises(InputError, match="NaN in row 7, column 2"):
        MLPClassifier(**SMALL).fit(X, IRIS.target)
    with pytest.raises(TargetError, match=r"continuous.*For numbers use MLPRegressor"):
        MLPClassifier(**SMALL).fit(IRIS_X, IRIS.target + 0.5)
    with pytest.raises(InputError, match=r"trained with columns that have names, .*'place'.*data frame"):
        MLPRegressor(**SMALL).fit(FRAME, _Y).predict(FRAME.to_numpy())
    with pytest.raises(TargetError, match="columns that are not all 0 and 1"):
        MLPClassifier(**SMALL).fit(IRIS_X, np.column_stack([IRIS.target, IRIS.target]))
    with pytest.raises(TargetError, match="loss='poisson' takes counts"):
        MLPRegressor(**SMALL, loss="poisson").fit(IRIS_X, IRIS.target - 1)
    with pytest.raises(InputError, match="'place' holds no value"):
        MLPRegressor(**SMALL).fit(FRAME.assign(place=pd.Series([None] * _ROWS, dtype="str")), _Y)
    with pytest.raises(InputError, match="mixes text with other values"):
        MLPRegressor(**SMALL).fit(pd.DataFrame({"mixed": ["text"] * 1001 + [3]}), np.ones(1002))
    with pytest.raises(InputError, match="do not hold numbers"):
        MLPRegressor(**SMALL, embeddings=None).fit(FRAME, _Y)
    with pytest.raises(ParameterError, match="partial_fit does not support early_stopping"):
        MLPClassifier(early_stopping=True).partial_fit(IRIS_X, IRIS.target, classes=[0, 1, 2])
    with pytest.raises(InputError, match="needs all classes"):
        MLPClassifier().partial_fit(IRIS_X, IRIS.target)


def test_a_network_of_another_shape_is_not_gone_on_from():
    """With `warm_start`, layers that do not fit are an error, not a surprise."""
    model = MLPClassifier(**SMALL, warm_start=True).fit(IRIS_X, IRIS.target)
    with pytest.raises(ParameterError, match="warm_start=False"):
        model.set_params(hidden_layer_sizes=(9,)).fit(IRIS_X, IRIS.target)
    assert model.predict(IRIS_X).shape == (150,)


def test_without_pytorch(monkeypatch):
    """Where PyTorch is missing, training says how to install it."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "fallline\[torch\]"'):
        MLPClassifier().fit(IRIS_X, IRIS.target)


def test_importing_the_estimators_loads_no_pytorch():
    """It is loaded when a network is trained."""
    code = "import sys; from fallline import MLPClassifier; MLPClassifier(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
