"""Networks in `fallline.train`: trained on tables, kept in files, and refused in a sentence where they cannot be."""

import json
import signal
import sys

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

import fallline  # noqa: E402 (after what may be missing)
from fallline.errors import DivergenceError, MissingDependencyError, ModelError, ParameterError  # noqa: E402
from fallline.objective.losses import LOSSES  # noqa: E402
from fallline.scorers import NetworkScorer  # noqa: E402

QUICK = {
    "model": "mlp",
    "hidden": (16,),
    "epochs": 3,
    "learning_rate": 0.003,
    "cache": False,
    "device": "cpu",
}
FACTORY = "network_factories:two_layers"


@pytest.fixture(scope="module")
def frame():
    """Numbers and categories whose effects no linear model can have, and a target of every sort."""
    rng = np.random.default_rng(0)
    n = 2000
    x, z = rng.normal(size=n), rng.normal(size=n)
    place = rng.integers(0, 30, n)
    score = 2 * np.sign(x * z) + rng.normal(size=30)[place]
    frame = pd.DataFrame({"x": x, "z": z, "place": [f"p{p}" for p in place], "on": rng.random(n) > 0.5})
    frame.loc[::17, "z"] = np.nan
    frame["number"] = 300 * score + 2000 + 30 * rng.normal(size=n)
    frame["positive"] = np.exp(score / 3) * rng.gamma(4, 0.25, n)
    frame["two"] = np.where(score + rng.logistic(size=n) / 3 > 0, "yes", "no")
    frame["three"] = np.array(["low", "middle", "high"])[np.digitize(score + rng.normal(size=n) / 3, [-1, 1])]
    return frame


@pytest.fixture
def factories(tmp_path, monkeypatch):
    """A package of the user's own, in the current folder."""
    (tmp_path / "network_factories.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def two_layers(n, k):\n"
        "    return nn.Sequential(nn.Linear(n, 8), nn.ReLU(), nn.Linear(8, k))\n"
        "def told(n, k, encoder):\n"
        "    assert encoder.n_columns == n\n"
        "    return nn.Linear(len(encoder.feature_names), k)\n"
        "def other(n, k):\n"
        "    return nn.Sequential(nn.Linear(n, 9), nn.ReLU(), nn.Linear(9, k))\n"
        "def fails(n, k):\n"
        "    raise RuntimeError('out of ideas')\n"
        "def number(n, k):\n"
        "    return 3\n"
        "def narrow(n, k):\n"
        "    return nn.Linear(n, k + 1)\n"
        "def flat(n, k):\n"
        "    return nn.Sequential(nn.Linear(n, k), nn.Flatten(0))\n"
        "def empty(n, k):\n"
        "    return nn.ReLU()\n"
        "def deaf(n, k):\n"
        "    return nn.Linear(n + 1, k)\n"
        "def lazy(n, k):\n"
        "    return nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(k))\n"
        "value = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("network_factories", None)


def _only(frame, target):
    return frame[["x", "z", "place", "on", target]]


def _target(loss):
    domain = LOSSES[loss]().domain
    return "three" if domain.classes else "positive" if domain.lowest >= 0 else "number"


def _parameters(model):
    return {name: tensor.numpy().tobytes() for name, tensor in model.scorer.module.state_dict().items()}


# ------------------------------------------------------------------------------------------------------------ training


def test_what_no_linear_model_can_do(frame):
    """A product of columns is learned, by default settings, and categories help through embeddings."""
    data = _only(frame, "number").iloc[:1000]
    linear = fallline.train(data, "number", cache=False, validation=0.25)
    network = fallline.train(data, "number", cache=False, validation=0.25, model="mlp", device="cpu")
    assert network.summary["validation"]["r2"] - linear.summary["validation"]["r2"] > 0.15
    assert len(network.scorer.network.arguments["groups"]) == 1


@pytest.mark.parametrize("target", ["two", "three"])
def test_classes_that_no_linear_model_can_tell(frame, target):
    """Their probabilities are better, too."""
    data = _only(frame, target)
    settings = QUICK | {"epochs": 15, "validation": 0.25}
    linear = fallline.train(data, target, cache=False, validation=0.25).summary["validation"]
    network = fallline.train(data, target, **settings).summary["validation"]
    assert network["accuracy"] - linear["accuracy"] > 0.1
    assert network["log_loss"] < linear["log_loss"]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_and_comes_back_from_a_file(frame, tmp_path, loss):
    """To the same bits of predictions, and lower than it began."""
    data = _only(frame, _target(loss))
    model = fallline.train(data, data.columns[-1], loss=loss, **QUICK)
    losses = [record["loss"] for record in model.history]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "m.fall")
    loaded = fallline.load(tmp_path / "m.fall")
    assert np.array_equal(model.predict(data), loaded.predict(data))
    assert loaded.report() == model.report()
    assert loaded.scorer.network == model.scorer.network
    assert repr(loaded.loss) == repr(model.loss)


def test_the_same_seed_makes_the_same_bits(frame, tmp_path):
    """From a file or from memory; another seed makes others."""
    data = _only(frame, "two")
    data.to_parquet(tmp_path / "d.parquet")
    first = fallline.train(data, "two", dropout=0.2, seed=3, **QUICK)
    assert _parameters(first) == _parameters(
        fallline.train(tmp_path / "d.parquet", "two", dropout=0.2, seed=3, **QUICK)
    )
    assert _parameters(first) != _parameters(fallline.train(data, "two", dropout=0.2, seed=4, **QUICK))


def test_rows_in_windows_make_the_model_that_rows_in_memory_make(frame, tmp_path, monkeypatch):
    """The same order, and so the same bits, where a window holds all."""
    data = _only(frame, "three")
    first = fallline.train(data, "three", validation=0.2, **QUICK)
    monkeypatch.setattr("fallline.data.budget.Budget.holds", lambda self, size: False)
    windowed = fallline.train(data, "three", validation=0.2, **QUICK)
    assert _parameters(first).keys() == _parameters(windowed).keys()
    assert windowed.summary["validation"]["accuracy"] == pytest.approx(
        first.summary["validation"]["accuracy"], abs=0.1
    )


@pytest.mark.parametrize("target", ["two", "three"])
def test_weights_count(frame, target):
    """A class whose rows weigh nothing is never predicted."""
    data = _only(frame, target).assign(w=(frame[target] != frame[target].iloc[0]).astype(float))
    model = fallline.train(data, target, weight="w", **(QUICK | {"learning_rate": 0.01}))
    assert (model.predict(data) == frame[target].iloc[0]).mean() < 0.01


@pytest.mark.parametrize(("target", "loss"), [("positive", "poisson"), ("number", None), ("two", None)])
def test_an_offset_is_added_to_the_score(frame, target, loss):
    """In training, where it takes the place of what the network would have to learn, and at prediction."""
    data = _only(frame, target).assign(o=3.0 if target != "number" else 3000.0)
    model = fallline.train(data, target, offset="o", loss=loss, **(QUICK | {"learning_rate": 0.01}))
    moved = model.predict_proba if target == "two" else model.predict
    before, after = moved(data), moved(data.assign(o=data["o"] + 1))
    if target == "two":
        odds = [np.log(p[:, 1].astype(float)) - np.log(p[:, 0].astype(float)) for p in (before, after)]
        assert np.median(odds[1] - odds[0]) == pytest.approx(1, abs=0.05)
    elif loss == "poisson":
        np.testing.assert_allclose(after / before, np.e, rtol=1e-4)
    else:
        np.testing.assert_allclose(after - before, 1, rtol=0.01)


def test_the_best_weights_are_kept(frame):
    """With rows held out, those of the epoch with the lowest loss on them."""
    data = _only(frame, "two").iloc[:200]
    model = fallline.train(
        data, "two", validation=0.3, model="mlp", epochs=60, learning_rate=0.02, cache=False, device="cpu"
    )
    losses = [record["validation_loss"] for record in model.history]
    kept = model.summary["training"]["kept"]
    assert kept == np.argmin(losses) + 1 < 60
    assert model.summary["validation"]["log_loss"] == pytest.approx(min(losses), rel=1e-4)
    assert f"epoch {kept}" in model.report()


def test_what_the_network_is_is_said(frame):
    """In the summary and in the report: layers, embeddings, parameters."""
    model = fallline.train(_only(frame, "three"), "three", batch_norm=True, dropout=0.1, **QUICK)
    told = model.summary["training"]["network"]
    assert told["parameters"] == sum(p.numel() for p in model.scorer.module.parameters())
    assert told["arguments"]["hidden"] == [16]
    assert any("BatchNorm" in layer for layer in told["layers"])
    assert told["layers"][0] == "tables.0: 'place', 30 features -> 15 numbers"
    report = model.report()
    assert f"{told['parameters']:,} parameters" in report
    assert "1 embedding" in report
    json.dumps(model.summary)
    with pytest.raises(ParameterError, match="Only a linear model has weights"):
        model.effects()


def test_sparse_rows_train(frame):
    """Words become sparse rows, whose first layer reads no zeros."""
    rng = np.random.default_rng(0)
    words = [" ".join(rng.choice(["good", "bad", "so", "and", "the"], 6)) for _ in range(600)]
    happy = [text.count("good") > text.count("bad") for text in words]
    data = pd.DataFrame({"text": words, "happy": happy})
    model = fallline.train(data, "happy", text=["text"], validation=0.2, **(QUICK | {"learning_rate": 0.01}))
    assert model.encoder.sparse
    assert model.summary["validation"]["accuracy"] > 0.9


@pytest.mark.parametrize(
    "optimizer", ["sgd", "momentum", "nesterov", "rmsprop", "adamw", "nadam", torch.optim.Adagrad]
)
def test_optimizers_by_name(frame, optimizer):
    """Fallline's names and PyTorch's, and classes."""
    model = fallline.train(
        _only(frame, "number"), "number", optimizer=optimizer, **(QUICK | {"learning_rate": 0.01})
    )
    losses = [record["loss"] for record in model.history]
    assert losses[-1] < losses[0]


def test_many_categories_train(frame):
    """Rows of so many features that they come to the network sparse; a rate is found on them, too."""
    rng = np.random.default_rng(0)
    place = rng.integers(0, 600, 6000)
    data = pd.DataFrame({"place": [f"p{p}" for p in place], "y": rng.normal(size=600)[place]})
    settings = QUICK | {"learning_rate": "auto", "epochs": 4, "validation": 0.2}
    model = fallline.train(data, "y", **settings)
    assert model.encoder.n_columns > 512
    assert model.summary["validation"]["r2"] > 0.5


def test_a_rate_is_found(frame):
    """By short runs, the same each time; a rate that is far too high begins anew with a tenth."""
    data = _only(frame, "three")
    found = [fallline.train(data, "three", **(QUICK | {"learning_rate": "auto"})) for _ in range(2)]
    assert _parameters(found[0]) == _parameters(found[1])
    note = found[0].summary["training"]["found"]["learning_rate"]
    assert note["value"] == found[0].summary["training"]["learning_rate"]
    assert "Found: learning rate" in found[0].report()
    given = fallline.train(data, "three", **(QUICK | {"learning_rate": note["value"]}))
    assert _parameters(given) == _parameters(found[0])


def test_a_strength_is_found():
    """Of targets that have nothing to do with the columns, a penalty that says so; to give it gives the same bits."""
    data, settings = _noise(800), {"model": "mlp", "epochs": 8, "cache": False, "device": "cpu"}
    models = [fallline.train(data, "y", **settings) for _ in range(2)]
    assert _parameters(models[0]) == _parameters(models[1])
    told = models[0].summary["training"]
    note = told["found"]["alpha"]
    assert told["alpha"] == note["value"] > 10 / 800
    losses = {one["alpha"]: one["loss"] for one in note["tried"]}
    assert losses[note["value"]] == min(losses.values()) < losses[1 / 800]
    assert "Found: alpha" in models[0].report()
    given = fallline.train(
        data, "y", learning_rate=told["found"]["learning_rate"]["value"], alpha=note["value"], **settings
    )
    assert _parameters(given) == _parameters(models[0])
    assert "alpha" not in given.summary["training"]["found"]


def _noise(n):
    """Twenty columns, and a target that has nothing to do with them."""
    rng = np.random.default_rng(0)
    return {**{f"x{place}": rng.normal(size=n) for place in range(20)}, "y": rng.integers(0, 2, n)}


@pytest.mark.parametrize(
    "setting", [{"penalty": "none"}, {"alpha": 0.0}, {"time_limit": 60.0}, {"model": FACTORY, "hidden": None}]
)
@pytest.mark.usefixtures("factories")
def test_no_strength_is_looked_for(frame, setting):
    """Where there is no penalty, where its strength is given, where time is short, and for networks of other people's making."""
    model = fallline.train(_only(frame, "number"), "number", **(QUICK | setting))
    assert model.summary["training"]["found"] == {}


@pytest.mark.parametrize("n", [2, 3, 5, 99])
def test_few_rows_say_nothing_of_a_strength(n):
    """They train with the usual one."""
    model = fallline.train({"x": np.arange(n), "y": np.arange(n) % 2}, "y", **QUICK)
    assert model.summary["training"]["alpha"] == 1 / n


def test_a_quarter_of_the_rows_judges_strengths():
    """Also where rows are so wide that few of them are taken; of few rows, two divisions do."""
    generator = np.random.default_rng(0)
    for rows, columns, judging in ((400, 3, 200), (2400, 3, 600), (4200, 2100, 1024)):
        X = generator.normal(size=(rows, columns)).astype(np.float32)
        settings = {"hidden": (2,), "epochs": 1, "learning_rate": 0.003, "cache": False, "device": "cpu"}
        model = fallline.train(X, X[:, 0], model="mlp", **settings)
        assert f" {judging:,} of them" in model.summary["training"]["found"]["alpha"]["reason"]


def test_strengths_at_which_training_diverges_are_left_out():
    """Such are infinitely bad; if all are, the weakest is taken, and training begins anew with a lower rate or says so."""
    data = _noise(300)
    settings = QUICK | {"learning_rate": 1e20, "optimizer": "sgd", "hidden": (16, 16)}
    with pytest.raises(DivergenceError):
        fallline.train(data, "y", **settings)


def test_training_goes_on_from_a_checkpoint(frame, tmp_path):
    """To the same bits, with what was found."""
    data = _only(frame, "two")
    settings = QUICK | {"learning_rate": "auto", "epochs": 6}
    whole = fallline.train(data, "two", **settings)
    path = tmp_path / "state"
    with pytest.warns(fallline.errors.InterruptedWarning):
        fallline.train(data, "two", checkpoint=path, progress=_interrupt_at(0.8), **settings)
    again = fallline.train(data, "two", checkpoint=path, **settings)
    assert _parameters(again) == _parameters(whole)


def _interrupt_at(share):
    """A listener that presses Ctrl-C once training is so far."""
    pressed = []

    def listen(done, what):
        if done > share and not pressed and what.startswith("training"):
            pressed.append(done)
            signal.raise_signal(signal.SIGINT)

    return listen


# -------------------------------------------------------------------------------------------------- the user's own module


def test_a_function_makes_the_network(frame, tmp_path, factories):
    """By its name or itself; the file names it, and it is imported only when that is asked for."""
    data = _only(frame, "three")
    model = fallline.train(data, "three", **{**QUICK, "model": FACTORY, "hidden": None})
    model.save(tmp_path / "m.fall")
    sys.modules.pop("network_factories")
    loaded = fallline.load(tmp_path / "m.fall")
    assert "network_factories" not in sys.modules
    assert FACTORY in loaded.report()
    with pytest.raises(ParameterError, match=f"made by '{FACTORY}'.*--model {FACTORY}"):
        loaded.predict(data)
    again = fallline.load(tmp_path / "m.fall", model=FACTORY)
    assert np.array_equal(again.predict(data), model.predict(data))
    import network_factories

    given = fallline.train(data, "three", **{**QUICK, "model": network_factories.two_layers, "hidden": None})
    assert _parameters(given) == _parameters(model)
    loaded.save(tmp_path / "n.fall")
    assert (tmp_path / "n.fall").read_bytes() == (tmp_path / "m.fall").read_bytes()


def test_lazy_layers(frame, tmp_path, factories):
    """They know their shapes before training and where a file is loaded, and draw what the seed says."""
    data, settings = _only(frame, "three"), {**QUICK, "model": "network_factories:lazy", "hidden": None}
    model = fallline.train(data, "three", **settings)
    model.save(tmp_path / "m.fall")
    loaded = fallline.load(tmp_path / "m.fall", model="network_factories:lazy")
    assert np.array_equal(loaded.predict(data), model.predict(data))
    torch.rand(3)
    assert _parameters(fallline.train(data, "three", **settings)) == _parameters(model)


def test_a_function_may_ask_for_the_encoder(frame, factories):
    """By a parameter of that name."""
    model = fallline.train(
        _only(frame, "two"), "two", **{**QUICK, "model": "network_factories:told", "hidden": None}
    )
    assert isinstance(model.scorer, NetworkScorer)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nosuch.module:thing", "cannot be imported .ModuleNotFoundError"),
        ("network_factories:gone", "has no attribute 'gone'"),
        ("network_factories:value", "is a int, not a function"),
        ("network_factories:fails", "failed when it was called with .*out of ideas"),
        ("network_factories:number", "gave a int, not a module"),
        ("network_factories:narrow", r"gives outputs of shape \(3, 4\).*\(3, 3\) is wanted"),
        ("network_factories:flat", r"gives outputs of shape \(9,\)"),
        ("network_factories:empty", "no parameters"),
        ("network_factories:deaf", "failed on rows of shape"),
        ("mpl", "Did you mean 'mlp'"),
        ("a:", "is not the name of a network"),
        (3, "is a int"),
        (torch.nn.Linear(2, 2), "is a module already"),
    ],
)
def test_networks_that_cannot_be_made(frame, factories, model, message):
    """Each in a sentence, and before any update."""
    with pytest.raises(ParameterError, match=message):
        fallline.train(_only(frame, "three"), "three", **{**QUICK, "model": model, "hidden": None})


@pytest.mark.parametrize(
    "setting",
    [
        {"solver": "newton"},
        {"penalty": "l1"},
        {"l1_ratio": 0.5},
        {"hidden": (0,)},
        {"hidden": "64"},
        {"hidden": 64},
        {"dropout": 1.0},
        {"batch_norm": 3},
        {"device": "abacus"},
        {"precision": "int4"},
        {"optimizer": "adamm"},
        {"learning_rate": 0},
        {"schedule": "cosin"},
        {"batch_size": 0},
        {"epochs": 0},
        {"model": FACTORY, "hidden": (3,)},
        {"model": FACTORY, "hidden": None, "dropout": 0.1},
        {"model": "linear"},
        {"model": "linear", "hidden": None, "dropout": 0.1},
        {"model": "linear", "hidden": None, "batch_norm": True},
        {"model": "linear", "hidden": None, "device": "cpu"},
        {"model": "linear", "hidden": None, "device": None, "precision": "bf16"},
    ],
)
def test_settings_are_refused_before_any_work(tmp_path, factories, setting):
    """Also those that mean nothing to the kind of model; the data, which are not there, are not looked for."""
    with pytest.raises(ParameterError, match=next(reversed(setting))):
        fallline.train(tmp_path / "none.csv", "y", **{**QUICK, **setting})


# ----------------------------------------------------------------------------------------------------------- the file


@pytest.fixture(scope="module")
def kept(frame, tmp_path_factory):
    """A network's file."""
    path = tmp_path_factory.mktemp("kept") / "m.fall"
    fallline.train(_only(frame, "two"), "two", batch_norm=True, **QUICK).save(path)
    return path


def test_every_flipped_bit_is_noticed(kept, tmp_path):
    """Whether it is a parameter, the encoder, or what the network is."""
    content = kept.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "d.fall"
    for place in rng.integers(0, 8 * len(content), 300):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << int(place % 8)
        path.write_bytes(damaged)
        with pytest.raises(ModelError):
            fallline.load(path)


@pytest.mark.parametrize(
    "more", [{"hidden": [10**9]}, {"features": 10**12}, {"outputs": 10**12}, {"groups": [[2, 33, 10**12]]}]
)
def test_a_network_is_no_larger_than_its_file(kept, tmp_path, more):
    """A description that asks for more than there is, its checksum right, is refused before anything is made."""
    from fallline.modelfile import reading_model, write_model

    with reading_model(kept) as (tensors, document):
        document["network"]["arguments"] |= more
        write_model(tmp_path / "h.fall", tensors, document)
    with pytest.raises(ModelError, match="its layers are not of the sizes"):
        fallline.load(tmp_path / "h.fall")


def test_without_pytorch_the_extra_is_named(kept, frame, tmp_path, monkeypatch):
    """By loading a network and by training one."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r"fallline\[torch\]"):
        fallline.load(kept)
    with pytest.raises(MissingDependencyError, match=r"fallline\[torch\]"):
        fallline.train(tmp_path / "none.csv", "y", **QUICK)


def test_a_file_that_holds_all_takes_no_function(kept, two_linear):
    """Neither a perceptron's nor a linear model's."""
    for path in (kept, two_linear):
        with pytest.raises(ParameterError, match="Leave it out"):
            fallline.load(path, model=FACTORY)


@pytest.fixture
def two_linear(frame, tmp_path):
    """A linear model's file."""
    fallline.train(_only(frame, "two"), "two", cache=False).save(tmp_path / "l.fall")
    return tmp_path / "l.fall"


def test_another_module_is_refused(frame, tmp_path, factories):
    """One whose parameters have other shapes, by name."""
    model = fallline.train(_only(frame, "two"), "two", **{**QUICK, "model": FACTORY, "hidden": None})
    model.save(tmp_path / "m.fall")
    with pytest.raises(ParameterError, match=r"'0.bias' has shape .8,. in the file"):
        fallline.load(tmp_path / "m.fall", model="network_factories:other")


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_with_sparse_rows(dtype):
    """The first layer over sparse rows and its derivative are those of dense rows; repeated and empty rows included."""
    torch = pytest.importorskip("torch")
    from fallline.networks.sparse_layer import sparse_product

    kind = getattr(torch, dtype)
    dense = torch.zeros(5, 40, dtype=kind)
    dense[0, [3, 39]], dense[2, 0], dense[3, 5:30], dense[4, 39] = (
        torch.tensor([1.5, -2.0], dtype=kind),
        3.0,
        0.25,
        1.0,
    )
    weight = torch.linspace(-1, 1, 7 * 40, dtype=kind).reshape(7, 40).requires_grad_()
    slopes = torch.linspace(0, 1, 5 * 7, dtype=kind).reshape(5, 7)
    found, wanted = sparse_product(dense.to_sparse_csr(), weight), dense @ weight.T
    torch.testing.assert_close(found, wanted)
    (gradient,) = torch.autograd.grad(found, weight, slopes)
    torch.testing.assert_close(gradient, slopes.T @ dense)
