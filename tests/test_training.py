"""`fallline.train`: from data to a model, the same one however it gets there."""

import json
import os
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy import sparse

import fallline
from fallline.data import prepared as preparing
from fallline.data.encoder import make_plan
from fallline.data.sources import open_source
from fallline.errors import FalllineWarning, InputError, ParameterError, TargetError

QUICK = {"epochs": 3, "cache": False}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Caches go to a folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fallline"


@pytest.fixture(scope="module")
def frame():
    """Numbers, categories, missing values, and targets of every sort."""
    rng = np.random.default_rng(0)
    n = 600
    x, z = rng.normal(5, 3, n), rng.exponential(size=n)
    colour = rng.choice(["red", "green", "blue"], n)
    score = (x - 5) / 3 + (colour == "red") - z
    frame = pd.DataFrame({"x": x, "z": z, "colour": colour})
    frame["price"] = 300 * score + 2000 + 30 * rng.normal(size=n)
    frame["count"] = rng.poisson(np.exp(score / 3))
    frame["amount"] = np.exp(score / 3) * rng.gamma(4, 0.25, n)
    frame["sold"] = np.where(score + rng.logistic(size=n) / 3 > 0, "yes", "no")
    frame["grade"] = np.digitize(score + rng.normal(size=n) / 3, [-1, 0.5])
    frame.loc[::17, "z"] = np.nan
    return frame


def _only(frame, target, *more):
    return frame[["x", "z", "colour", target, *more]]


def _same(one, other):
    """Whether two models hold the same bits."""
    return one.weights.tobytes() == other.weights.tobytes()


# ------------------------------------------------------------------------------------------------- same seed, same bits


def test_the_same_seed_makes_the_same_bits(frame, tmp_path, folder, monkeypatch):
    """Whatever the memory, the threads, and whether rows come from files, from memory, or from the cache."""
    data = _only(frame, "sold")
    path = tmp_path / "d.parquet"
    data.to_parquet(path)
    settings = {"target": "sold", "epochs": 2, "seed": 3, "validation": 0.25}
    first = fallline.train(path, **settings)
    assert not first.summary["cache"]["found"]
    again = fallline.train(path, **settings, memory="128MB")
    assert again.summary["cache"]["found"]
    elsewhere = fallline.train(path, **settings, cache=tmp_path / "other")
    without = fallline.train(path, **settings, cache=False)
    in_memory = fallline.train(data, **settings)
    monkeypatch.setattr(preparing, "THREADS", 1)
    one_thread = fallline.train(path, **settings, cache=False)
    for other in (again, elsewhere, without, in_memory, one_thread):
        assert _same(first, other)
        assert first.summary["validation"] == other.summary["validation"]
    assert not _same(first, fallline.train(path, **{**settings, "seed": 4}))


def test_sparse_rows_make_the_same_bits_too(tmp_path):
    """With and without a cache, for a libsvm file."""
    path = tmp_path / "d.libsvm"
    rng = np.random.default_rng(0)
    lines = [
        f"{i % 2} {' '.join(f'{j}:{rng.random():.3f}' for j in (i % 5 + 1, 50 + i % 7))}" for i in range(300)
    ]
    path.write_text("\n".join(lines) + "\n")
    found = [
        fallline.train(path, "label", epochs=2, validation=0.2, cache=cache) for cache in (True, True, False)
    ]
    assert found[0].encoder.sparse
    assert _same(found[0], found[1])
    assert _same(found[0], found[2])


# ------------------------------------------------------------------------------------------------------------ the cache


def test_the_cache_is_found_again(frame, tmp_path, folder):
    """By the next run on the same files, whatever it trains; not by one that encodes otherwise."""
    path = tmp_path / "d.csv"
    _only(frame, "price").to_csv(path, index=False)
    fallline.train(path, "price", epochs=1)
    assert len(list(folder.iterdir())) == 1
    assert fallline.train(path, "price", epochs=2, penalty="l1", seed=1).summary["cache"]["found"]
    assert not fallline.train(path, "price", epochs=1, ignore=["x"]).summary["cache"]["found"]


def test_a_file_that_has_changed_is_read_anew(frame, tmp_path):
    """What was cached of the old one is not used."""
    path = tmp_path / "d.csv"
    data = _only(frame, "price")
    data.to_csv(path, index=False)
    before = fallline.train(path, "price", epochs=1)
    data.iloc[::-1].assign(price=-data["price"]).to_csv(path, index=False)
    os.utime(path, (1, 1))
    after = fallline.train(path, "price", epochs=1)
    assert not after.summary["cache"]["found"]
    assert not _same(before, after)


@pytest.mark.parametrize("place", [100, -5000])
def test_a_damaged_cache_is_made_anew_with_a_warning(frame, tmp_path, folder, place):
    """Nothing of it is used, whether its header is damaged or a block, which is noticed later."""
    path = tmp_path / "d.csv"
    _only(frame, "price").to_csv(path, index=False)
    first = fallline.train(path, "price", epochs=1)
    (cache,) = folder.iterdir()
    content = bytearray(cache.read_bytes())
    content[place] ^= 1
    cache.write_bytes(content)
    with pytest.warns(FalllineWarning, match="written anew"):
        again = fallline.train(path, "price", epochs=1)
    assert not again.summary["cache"]["found"]
    assert _same(first, again)


def test_a_loss_checks_the_targets_of_a_cache_that_another_loss_made(frame, tmp_path):
    """A loss that takes positive numbers only does not train on zeros that a cache brings."""
    path = tmp_path / "d.csv"
    _only(frame, "count").to_csv(path, index=False)
    fallline.train(path, "count", loss="poisson", epochs=1)
    with pytest.raises(TargetError, match="numbers above 0"):
        fallline.train(path, "count", loss="gamma", epochs=1)


# ------------------------------------------------------------------------------------------------------------- the plan


def test_a_plan_goes_out_and_comes_back(frame):
    """Unchanged it makes the same model; edited, another."""
    data = _only(frame, "price")
    plan = make_plan(open_source(data), target="price")
    assert _same(fallline.train(data, "price", **QUICK), fallline.train(data, plan=plan.to_json(), **QUICK))
    edited = json.loads(plan.to_json())
    edited["columns"][0]["kind"] = "ignore"
    edited["columns"][0] = {key: edited["columns"][0][key] for key in ("name", "type", "kind")}
    model = fallline.train(data, plan=json.dumps(edited), **QUICK)
    assert not any(name.startswith("x") for name in model.encoder.feature_names)


def test_a_plan_and_what_contradicts_it_are_refused(frame):
    """Rather than one of them being passed over."""
    data = _only(frame, "price")
    plan = make_plan(open_source(data), target="price").to_json()
    with pytest.raises(ParameterError, match="ignore= and plan="):
        fallline.train(data, plan=plan, ignore=["x"], **QUICK)
    with pytest.raises(ParameterError, match="not the plan's"):
        fallline.train(data, "x", plan=plan, **QUICK)


# --------------------------------------------------------------------------------------------- weights, offsets, losses


def test_what_weights_add_up_to_does_not_matter(frame):
    """Those of a survey may add up to 1: the penalty is by default as much weaker as they are."""
    times = np.random.default_rng(0).integers(1, 4, len(frame))
    one, other = (
        fallline.train(frame.assign(times=times * factor), "price", weight="times", cache=False, seed=0)
        for factor in (1.0, 1.0 / times.sum())
    )
    assert other.weights == pytest.approx(one.weights, rel=1e-3, abs=1e-4)
    assert other.summary["training"]["alpha"] == pytest.approx(1.0 / len(frame) ** 2)


def _wide(n=120, columns=40):
    """Of these columns, one says something."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, columns))
    return {
        **{f"x{place}": X[:, place] for place in range(columns)},
        "y": X[:, 0] + 2 * rng.normal(size=n) > 0,
    }


@pytest.mark.parametrize("solver", ["newton", "saga", "descent"])
def test_a_strength_is_found_where_columns_are_many(solver):
    """By rows held out, for any solver: models are better for new rows than with the usual one; to give it gives the same."""
    settings = {"solver": solver, "cache": False}
    if solver == "descent":
        settings |= {"learning_rate": 0.01, "batch_size": 16, "epochs": 50}
    model = fallline.train(_wide(), "y", **settings)
    note = model.summary["training"]["found"]["alpha"]
    assert model.summary["training"]["alpha"] == note["value"] >= 5 / 120
    assert "Found: alpha" in model.report()
    given = fallline.train(_wide(), "y", alpha=note["value"], **settings)
    np.testing.assert_array_equal(model.weights, given.weights)
    assert "alpha" not in given.summary["training"]["found"]
    usual = fallline.train(_wide(), "y", alpha=1 / 120, **settings)
    new = {name: values[120:] for name, values in _wide(1000).items()}
    assert model.evaluate(new)["log_loss"] < usual.evaluate(new)["log_loss"]


@pytest.mark.parametrize("solver", ["newton", "saga", "descent"])
def test_training_goes_on_with_the_strength_that_it_began_with(solver, tmp_path):
    """One that was found is found in the checkpoint, too; where time was limited, it is the usual one to the end."""
    settings = {"solver": solver, "cache": False, "checkpoint": tmp_path / "checkpoint"}
    model = fallline.train(_wide(), "y", **settings)
    again = fallline.train(_wide(), "y", **settings)
    assert again.summary["training"]["alpha"] == model.summary["training"]["alpha"] > 1 / 120
    np.testing.assert_array_equal(again.weights, model.weights)
    settings["checkpoint"] = tmp_path / "another"
    model = fallline.train(_wide(), "y", time_limit=60.0, **settings)
    again = fallline.train(_wide(), "y", **settings)
    assert again.summary["training"]["alpha"] == model.summary["training"]["alpha"] == 1 / 120
    np.testing.assert_array_equal(again.weights, model.weights)


def test_a_strength_is_found_for_rows_of_any_weight():
    """Rows that weigh a tenth are trained on with a tenth of the penalty."""
    found = []
    for weight in (1.0, 0.1):
        model = fallline.train({**_wide(), "weight": np.full(120, weight)}, "y", weight="weight", cache=False)
        found.append(model.summary["training"]["alpha"])
    assert found[0] >= 5 / 120
    assert found[1] == pytest.approx(0.1 * found[0])


@pytest.mark.parametrize(
    "setting",
    [{"penalty": "none"}, {"penalty": "l1"}, {"alpha": 0.001}, {"time_limit": 60.0}, {"loss": "perceptron"}],
)
def test_no_strength_is_found_where_none_is_asked_for(setting):
    """No penalty, one that also chooses columns, one that is given, no time for it, or a loss that only says to shrink."""
    assert "alpha" not in fallline.train(_wide(), "y", cache=False, **setting).summary["training"]["found"]


def test_no_strength_is_found_where_it_says_nothing():
    """Where columns are few for the rows, or rows are few."""
    for data in (_wide(columns=12), _wide(n=99)):
        assert fallline.train(data, "y", cache=False).summary["training"]["found"] == {}


def test_a_schedule_that_needs_a_strength_gets_the_one_that_is_found():
    """Also while it is being looked for."""
    model = fallline.train(_wide(), "y", schedule="optimal", batch_size=16, epochs=5, cache=False)
    assert model.summary["training"]["alpha"] == model.summary["training"]["found"]["alpha"]["value"]


def test_weights_are_rows_that_repeat(frame):
    """Full batches, so that an update sees the same either way."""
    data = _only(frame, "price").assign(times=np.arange(len(frame)) % 3)
    repeated = data.loc[data.index.repeat(data["times"])].drop(columns="times")
    # Columns are standardised by rows, whatever they weigh, so the ways differ; without a penalty they end in one place.
    settings = {"epochs": 1000, "batch_size": "full", "alpha": 0.0, "cache": False}
    weighted = fallline.train(data, "price", weight="times", **settings)
    rows = fallline.train(repeated, "price", **settings)
    assert weighted.predict(data) == pytest.approx(rows.predict(data), abs=0.01 * data["price"].std())
    assert weighted.evaluate(data)["rmse"] == pytest.approx(rows.evaluate(repeated)["rmse"], rel=1e-3)


@pytest.mark.parametrize("offset", [False, True])
def test_poisson_with_an_offset_is_a_rate_times_an_exposure(offset):
    """Coefficients agree with those of scikit-learn, which takes the exposure as a weight of rates."""
    from sklearn.linear_model import PoissonRegressor

    rng = np.random.default_rng(0)
    x, exposure = rng.normal(size=3000), rng.uniform(0.2, 5, 3000)
    if not offset:
        exposure[:] = 1
    count = rng.poisson(exposure * np.exp(0.3 + 0.5 * x))
    data = pd.DataFrame({"x": x, "count": count} | ({"log": np.log(exposure)} if offset else {}))
    named = {"offset": "log"} if offset else {}
    model = fallline.train(data, "count", loss="poisson", penalty="none", epochs=60, cache=False, **named)
    exact = PoissonRegressor(alpha=0).fit(x[:, None], count / exposure, sample_weight=exposure)
    (found,) = model.effects()
    assert found.effects[0].original == pytest.approx(exact.coef_[0], abs=5e-3)
    assert found.intercept == pytest.approx(exact.intercept_, abs=5e-3)
    assert model.predict(data) == pytest.approx(exact.predict(x[:, None]) * exposure, rel=1e-2)


def test_an_offset_is_in_the_units_of_the_target(frame):
    """A column that is known to be part of a price is added to it as it is."""
    data = _only(frame, "price").assign(known=1000 * np.sin(np.arange(len(frame))))
    data["price"] += data["known"]
    model = fallline.train(data, "price", offset="known", epochs=30, cache=False)
    assert model.evaluate(data)["r2"] > 0.95


@pytest.mark.parametrize(
    ("target", "loss", "task"),
    [
        ("count", None, "multiclass"),
        ("count", "poisson", "regression"),
        ("count", "squared_error", "regression"),
        ("grade", "hinge", "multiclass"),
        ("sold", "hinge", "binary"),
        ("price", None, "regression"),
    ],
)
def test_the_loss_that_is_asked_for_says_the_task(frame, target, loss, task):
    """Otherwise the looks of the target do."""
    data = _only(frame, target)
    data = data.assign(count=data["count"].clip(upper=4)) if target == "count" else data
    assert fallline.train(data, target, loss=loss, epochs=1, cache=False).task == task


def test_classification_is_a_task(frame):
    """Of as many classes as there are."""
    data = _only(frame, "grade")
    assert fallline.train(data, "grade", task="classification", **QUICK).task == "multiclass"
    two = data[data["grade"] > 0]
    assert fallline.train(two, "grade", task="classification", **QUICK).task == "binary"


def test_targets_that_the_loss_cannot_take_are_refused_with_their_row(frame, tmp_path):
    """The number counts rows of the file, those without a target included."""
    path = tmp_path / "d.csv"
    data = _only(frame, "amount").copy()
    data.loc[[3, 5], "amount"] = np.nan
    data.loc[77, "amount"] = -1
    data.to_csv(path, index=False)
    with pytest.raises(
        TargetError, match=r"d\.csv', row 78: the target 'amount' is -1, but loss='gamma' takes"
    ):
        fallline.train(path, "amount", loss="gamma", **QUICK)


def test_a_negative_offset_is_no_negative_target():
    """Only targets have to lie where the loss is defined."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": rng.normal(size=200), "count": rng.poisson(1, 200), "log": -np.ones(200)})
    fallline.train(data, "count", loss="poisson", offset="log", **QUICK)


# ----------------------------------------------------------------------------------------------------------- validation


def test_a_fraction_is_held_out(frame):
    """So many rows, measured after every epoch and at the end, and not trained on."""
    model = fallline.train(_only(frame, "sold"), "sold", validation=0.25, **QUICK)
    assert model.summary["data"]["rows"] == 450
    assert model.summary["validation"]["rows"] == 150
    assert all("validation_loss" in record for record in model.history[-3:])


@pytest.mark.parametrize("larger", [False, True])
def test_other_data_validate(frame, tmp_path, larger):
    """A file, with fewer rows or more than there are to train on: its metrics are those of `evaluate`."""
    data = _only(frame, "sold")
    parts = (data[:200], data[200:])
    training, judging = parts if larger else parts[::-1]
    for name, part in (("a.csv", training), ("b.csv", judging)):
        part.to_csv(tmp_path / name, index=False)
    model = fallline.train(tmp_path / "a.csv", "sold", validation=tmp_path / "b.csv", **QUICK)
    assert model.summary["validation"] == pytest.approx(model.evaluate(judging), rel=1e-5)
    model = fallline.train(training, "sold", validation=judging, **QUICK)
    assert model.summary["validation"] == pytest.approx(model.evaluate(judging), rel=1e-5)


def test_validation_data_are_looked_at_before_the_work(frame, tmp_path):
    """A column that they lack is named at once."""
    with pytest.raises(InputError, match=r"no column 'sold', which validation needs"):
        fallline.train(_only(frame, "sold"), "sold", validation=frame[["x", "z", "colour"]], **QUICK)
    with pytest.raises(InputError, match=r"no column 'colour', which the model is trained on"):
        fallline.train(_only(frame, "sold"), "sold", validation=frame[["x", "z", "sold"]], **QUICK)


def test_classes_that_only_validation_has_are_left_out(frame):
    """With a warning; the others are measured."""
    data = _only(frame, "grade")
    with pytest.warns(FalllineWarning, match="rows of .* were left out: their classes"):
        model = fallline.train(data[data["grade"] > 0], "grade", validation=data, **QUICK)
    assert model.summary["validation"]["rows"] == (data["grade"] > 0).sum()


def test_text_stays_text_in_validation(frame, tmp_path):
    """Codes that look like numbers in the second file are the categories that they were in the first."""
    rows = [f"{'AB' if i % 10 == 0 else '01'},{i % 2}" for i in range(300)]
    (tmp_path / "a.csv").write_text("\n".join(["code,y", *rows]) + "\n")
    (tmp_path / "b.csv").write_text("\n".join(["code,y", *(["01,1", "01,0"] * 20)]) + "\n")
    model = fallline.train(tmp_path / "a.csv", "y", validation=tmp_path / "b.csv", **QUICK)
    assert model.summary["validation"]["rows"] == 40


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5, "nothing.csv", True])
def test_impossible_validation_is_refused(frame, fraction):
    """A share outside of (0, 1), or a file that is not there."""
    with pytest.raises((ParameterError, InputError)):
        fallline.train(_only(frame, "sold"), "sold", validation=fraction, **QUICK)


# ------------------------------------------------------------------------------------------------------ other promises


def test_a_time_limit_ends_training(frame):
    """And the summary says so."""
    model = fallline.train(
        _only(frame, "sold"), "sold", solver="descent", epochs=10**6, time_limit=0.3, cache=False
    )
    assert model.summary["stop"]["reason"] == "time_limit"
    assert "0.3 s" in model.report()


def test_progress_is_a_function(frame):
    """A bar is the command's and that of `fallline.torch.fit`."""
    with pytest.raises(ParameterError, match="progress=False"):
        fallline.train(frame, "sold", progress=False)


def test_progress_rises_from_nothing_to_all(frame, tmp_path):
    """Through reading, encoding and training."""
    path = tmp_path / "d.csv"
    _only(frame, "sold").to_csv(path, index=False)
    told = []
    fallline.train(path, "sold", epochs=3, progress=lambda share, what: told.append((share, what)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    stages = list(dict.fromkeys(what.split(":")[0] for _, what in told))
    assert stages == ["reading", "encoding", "training"]


@pytest.mark.parametrize("kind", ["frame", "table", "arrays", "sparse", "polars"])
def test_rows_in_memory_train(frame, kind):
    """Whatever holds them."""
    data = _only(frame, "sold")
    X, y = frame[["x", "price"]].to_numpy(), frame["sold"]
    given = {
        "frame": lambda: (data, "sold"),
        "table": lambda: (pa.Table.from_pandas(data), "sold"),
        "arrays": lambda: (X, y),
        "sparse": lambda: (sparse.csr_matrix(X), y),
        "polars": lambda: (pl.from_pandas(data), "sold"),
    }
    model = fallline.train(*given[kind](), **QUICK)
    assert model.classes == ["no", "yes"]


def test_rows_without_a_target_are_left_out_and_counted(frame):
    """In the summary, too."""
    data = _only(frame, "sold").copy()
    data.loc[:9, "sold"] = None
    model = fallline.train(data, "sold", **QUICK)
    assert model.summary["data"]["rows_without_target"] == 10
    assert "10 rows without a target" in model.report()


def test_a_target_is_asked_for(frame):
    """With the columns that there are."""
    with pytest.raises(ParameterError, match="one of: 'x', 'z', 'colour', 'sold'"):
        fallline.train(_only(frame, "sold"))
    with pytest.raises(ParameterError, match="Did you mean 'sold'"):
        fallline.train(_only(frame, "sold"), "solt")


@pytest.mark.parametrize(
    "setting",
    [
        {"epochs": 0},
        {"epochs": "many"},
        {"batch_size": 0},
        {"batch_size": "ful"},
        {"alpha": -1},
        {"learning_rate": 0},
        {"optimizer": "adem"},
        {"schedule": "cosin"},
        {"penalty": "l3"},
        {"loss": "log_los"},
        {"loss": "poisson"},
        {"task": "regresion"},
        {"memory": "1MB"},
        {"memory": "lots"},
        {"seed": -1},
        {"time_limit": 0},
        {"l1_ratio": 2, "penalty": "elasticnet"},
        {"weight": "nothing"},
        {"offset": "nothing"},
        {"ignore": ["nothing"]},
    ],
)
def test_settings_are_refused_before_any_work(frame, tmp_path, folder, setting):
    """Nothing is read, and no cache is made."""
    path = tmp_path / "d.csv"
    _only(frame, "sold").to_csv(path, index=False)
    with pytest.raises((ParameterError, TargetError)):
        fallline.train(path, "sold", **setting)
    assert not folder.exists() or not list(folder.iterdir())


def test_larger_than_memory_trains(tmp_path, folder):
    """Rows that do not fit the budget are read in windows, from the cache or from a file that nobody sees."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_000_000, 20)).astype(np.float32)
    y = X[:, 0] > rng.logistic(size=len(X))
    table = pa.table({**{f"x{j}": X[:, j] for j in range(20)}, "y": y})
    parquet.write_table(table, tmp_path / "d.parquet")
    settings = {"epochs": 1, "memory": "160MB", "validation": 0.1}
    model = fallline.train(tmp_path / "d.parquet", "y", **settings)
    assert "windows" in model.summary["memory"]["shuffle"]
    assert model.summary["validation"]["accuracy"] > 0.6
    assert _same(model, fallline.train(tmp_path / "d.parquet", "y", **settings))
    assert _same(model, fallline.train(tmp_path / "d.parquet", "y", **settings, cache=False))
    assert len(list(folder.iterdir())) == 1


def test_a_target_whose_name_is_a_number(frame):
    """As pandas calls the columns of an array."""
    numbered = _only(frame, "price").set_axis(range(len(_only(frame, "price").columns)), axis=1)
    last = numbered.columns[-1]
    assert _same(fallline.train(numbered, last, **QUICK), fallline.train(numbered, str(last), **QUICK))
    with pytest.raises(ParameterError, match="'99'"):
        fallline.train(numbered, 99, **QUICK)


def test_no_warning_without_a_reason(frame):
    """Plain data train in silence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fallline.train(_only(frame, "price"), "price", **QUICK)


def test_further_files_are_read_as_those_trained_on(tmp_path):
    """Days before months where training showed it, missing columns of any type, and numbers with decimals where none had any."""
    rng = np.random.default_rng(0)
    days, months = rng.integers(1, 29, 400), rng.integers(1, 13, 400)
    lines = [f"{d:02}/{m:02}/2020,{d},true,{'ab'[int(m > 6)]}" for d, m in zip(days, months, strict=True)]
    (tmp_path / "d.csv").write_text("\n".join(["when,x,on,y", *lines]) + "\n")
    model = fallline.train(tmp_path / "d.csv", "y", epochs=30, cache=False)
    (tmp_path / "new.csv").write_text("when,x,on\n03/11/2020,1.5,true\n11/03/2020,2,\n")
    assert model.predict(tmp_path / "new.csv").tolist() == ["b", "a"]
    (tmp_path / "none.csv").write_text("when,x,on\n,,\n")
    assert len(model.predict(tmp_path / "none.csv")) == 1
    (tmp_path / "text.csv").write_text("when,x,on\n03/11/2020,many,true\n")
    with pytest.raises(InputError, match=r"text\.csv', row 1: column 'x': 'many' is not a number"):
        model.predict(tmp_path / "text.csv")
