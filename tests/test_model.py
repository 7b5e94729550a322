"""Models predict, evaluate, save and load: the same numbers wherever the rows come from."""

import io
import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

import fallline
from fallline.errors import FalllineWarning, InputError, ModelError, ParameterError
from fallline.modelfile import is_model
from fallline.objective.losses import LOSSES, Quantile

QUICK = {"epochs": 3, "cache": False}


@pytest.fixture(scope="module")
def frame():
    """Rows with every kind of column and targets for every loss."""
    rng = np.random.default_rng(0)
    n = 500
    x = rng.normal(5, 3, n)
    colour = rng.choice(["red", "green", "blue"], n)
    score = (x - 5) / 3 + (colour == "red")
    frame = pd.DataFrame({"id": np.arange(n), "x": x, "colour": colour})
    frame["on"] = rng.random(n) > 0.5
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**6, n), unit="min")
    frame.loc[::13, "colour"] = None
    frame["number"] = 300 * score + 2000 + 30 * rng.normal(size=n)
    frame["positive"] = np.exp(score / 3) * rng.gamma(4, 0.25, n)
    frame["two"] = np.where(score + rng.logistic(size=n) / 3 > 0, "yes", "no")
    frame["three"] = np.array(["low", "middle", "high"])[
        np.digitize(score + rng.normal(size=n) / 3, [-1, 0.5])
    ]
    return frame


def _only(frame, target):
    return frame[["x", "colour", "on", "day", target]]


@pytest.fixture(scope="module")
def two(frame):
    """A model of two classes."""
    return fallline.train(_only(frame, "two"), "two", **QUICK)


@pytest.fixture(scope="module")
def three(frame):
    """A model of three classes."""
    return fallline.train(_only(frame, "three"), "three", **QUICK)


@pytest.fixture(scope="module")
def numbers(frame):
    """A regression."""
    return fallline.train(_only(frame, "number"), "number", epochs=30, cache=False)


def _target(loss):
    """A column that the loss can take."""
    domain = LOSSES[loss]().domain
    return "three" if domain.classes else "positive" if domain.lowest >= 0 else "number"


# ------------------------------------------------------------------------------------------------------- save and load


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_and_comes_back_from_a_file(frame, tmp_path, loss):
    """To the same bits of predictions and probabilities."""
    data = _only(frame, _target(loss))
    model = fallline.train(data, data.columns[-1], loss=loss, **QUICK)
    model.save(tmp_path / "m.fall")
    loaded = fallline.load(tmp_path / "m.fall")
    assert np.array_equal(model.predict(data), loaded.predict(data))
    assert repr(loaded.loss) == repr(model.loss)
    assert loaded.history == model.history
    assert loaded.classes == model.classes
    assert loaded.report() == model.report()
    if loss in {"log_loss", "multinomial", "modified_huber"}:
        assert np.array_equal(model.predict_proba(data), loaded.predict_proba(data))
        assert loaded.predict_proba(data).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_the_parameters_of_a_loss_come_back(frame, tmp_path):
    """Not only its name."""
    model = fallline.train(_only(frame, "number"), "number", loss=Quantile(0.9), **QUICK)
    model.save(tmp_path / "m.fall")
    assert fallline.load(tmp_path / "m.fall").loss == Quantile(0.9)


def test_the_same_model_makes_the_same_file(two, tmp_path):
    """Bit for bit."""
    two.save(tmp_path / "a.fall")
    two.save(tmp_path / "b.fall")
    fallline.load(tmp_path / "a.fall").save(tmp_path / "c.fall")
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(contents) == 1


def test_a_file_is_replaced_whole_or_not_at_all(two, tmp_path, monkeypatch):
    """A disk that fills up while a model is written leaves the old one, and nothing else."""
    path = tmp_path / "m.fall"
    two.save(path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fallline.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        two.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_every_flipped_byte_is_noticed(two, tmp_path):
    """Wherever it is: in the header, in the document, in a tensor."""
    path = tmp_path / "m.fall"
    two.save(path)
    whole = path.read_bytes()
    for place in [*range(64), *range(64, len(whole), 97)]:
        content = bytearray(whole)
        content[place] ^= 0x10
        path.write_bytes(content)
        with pytest.raises(ModelError):
            fallline.load(path)


def test_every_truncation_is_noticed(two, tmp_path):
    """However much is missing."""
    path = tmp_path / "m.fall"
    two.save(path)
    whole = path.read_bytes()
    for size in (0, 1, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"m\.fall"):
            fallline.load(path)


def test_what_is_no_model_is_told_from_what_is(two, tmp_path):
    """Other files, safetensors files of others, and formats to come: each with its own sentence."""
    from safetensors.numpy import save

    path = tmp_path / "m.fall"
    with pytest.raises(ModelError, match="There is no file"):
        fallline.load(path)
    with pytest.raises(ModelError, match="cannot be read as a model"):
        fallline.load(tmp_path)
    path.write_bytes(save({"weights": np.ones(3, np.float32)}))
    with pytest.raises(ModelError, match="not one of fallline's"):
        fallline.load(path)
    assert not is_model(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ModelError, match="cannot be read as a model"):
        fallline.load(path)
    two.save(path)
    assert is_model(path)
    later = json.dumps({"format": "fallline-model-9", "version": "9.0"})
    path.write_bytes(save({"what": np.ones(1)}, {"fallline": f"00000000 {later}"}))
    assert is_model(path)
    with pytest.raises(
        ModelError, match=r"format 'fallline-model-9', written by fallline 9\.0, but this version"
    ):
        fallline.load(path)


def test_nothing_is_pickled(two, tmp_path, monkeypatch):
    """Neither when a model is saved nor when it is loaded."""

    def refuse(*_, **__):
        raise AssertionError("pickled")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    two.save(tmp_path / "m.fall")
    fallline.load(tmp_path / "m.fall")
    assert b"sklearn" not in (tmp_path / "m.fall").read_bytes()


# ------------------------------------------------------------------------------------------------------------- predict

WRITERS = {
    ".parquet": parquet.write_table,
    ".arrow": feather.write_feather,
    ".csv": csv.write_csv,
    ".jsonl": lambda table, path: table.to_pandas().to_json(
        path, orient="records", lines=True, date_format="iso"
    ),
}
READERS = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".tsv": lambda path: pd.read_csv(path, sep="\t"),
    ".jsonl": lambda path: pd.read_json(path, lines=True),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_files_and_memory_predict_the_same(frame, two, numbers, tmp_path, ending):
    """Row for row, whatever the rows come from."""
    path = tmp_path / f"d{ending}"
    WRITERS[ending](pa.Table.from_pandas(frame, preserve_index=False), path)
    assert np.array_equal(two.predict(path), two.predict(frame))
    assert two.predict_proba(path) == pytest.approx(two.predict_proba(frame), abs=1e-6)
    assert numbers.predict(path) == pytest.approx(numbers.predict(frame), rel=1e-6)


@pytest.mark.parametrize("ending", READERS)
def test_predictions_are_written_row_for_row(frame, three, tmp_path, ending):
    """In the order of the data, beside the columns that are kept, with a probability for each class."""
    path = tmp_path / f"p{ending}"
    assert three.predict(frame, path, keep=["id", "colour"]) == len(frame)
    found = READERS[ending](path)
    names = [f"probability_{label}" for label in three.classes]
    assert list(found.columns) == ["id", "colour", "prediction", *names]
    assert found["id"].tolist() == frame["id"].tolist()
    assert found["colour"].isna().tolist() == frame["colour"].isna().tolist()
    assert found["prediction"].tolist() == three.predict(frame).tolist()
    assert found[names].to_numpy() == pytest.approx(three.predict_proba(frame), abs=1e-6)


@pytest.mark.parametrize(
    ("type_", "classes", "written"),
    [
        (np.uint64, [2**63, 2**64 - 1], [2**63, 2**64 - 1]),
        (np.float64, [-1, 10**20], ["-1", "100000000000000000000"]),
    ],
)
def test_large_whole_classes_are_predicted(type_, classes, written, tmp_path):
    """Exactly, in memory and in files, though int64 does not hold them."""
    data = pa.table({"x": [-1.0, 1.0] * 50, "y": np.array(classes * 50, type_)})
    model = fallline.train(data, "y", **QUICK)
    assert model.predict(data).tolist() == classes * 50
    model.predict(data, tmp_path / "p.parquet")
    assert parquet.read_table(tmp_path / "p.parquet")["prediction"].to_pylist() == written * 50


@pytest.mark.parametrize("ending", READERS)
def test_numbers_are_written(frame, numbers, tmp_path, ending):
    """In the units of the target, without probabilities."""
    path = tmp_path / f"p{ending}"
    numbers.predict(frame, path)
    found = READERS[ending](path)
    assert list(found.columns) == ["prediction"]
    assert found["prediction"].to_numpy() == pytest.approx(numbers.predict(frame), rel=1e-6)


def test_one_folder_of_many_is_predicted(tmp_path):
    """What its name says of its rows was a column in training, and is one when that folder alone is given, or a file in it."""
    rng = np.random.default_rng(0)
    for month in (1, 2, 3):
        folder = tmp_path / "sales" / f"month={month}"
        folder.mkdir(parents=True)
        pd.DataFrame({"x": rng.normal(size=60), "y": 10.0 * month}).to_parquet(folder / "part.parquet")
    model = fallline.train(tmp_path / "sales", target="y", cache=False)
    for place in ("sales/month=2", "sales/month=2/part.parquet", "sales/month=2/*.parquet"):
        assert model.predict(str(tmp_path / place)) == pytest.approx(20.0, abs=0.2)


def test_many_parts_keep_their_order(two, tmp_path):
    """Also with several batches under way."""
    n = 400_000
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "id": np.arange(n),
            "x": rng.normal(size=n),
            "colour": pa.array(["red", None] * (n // 2)),
            "on": rng.random(n) > 0.5,
            "day": pa.array(np.full(n, "2024-01-01", "datetime64[us]")),
        }
    )
    parquet.write_table(table, tmp_path / "d.parquet", row_group_size=30_000)
    two.predict(tmp_path / "d.parquet", tmp_path / "p.parquet", keep=["id"], memory="128MB")
    found = parquet.read_table(tmp_path / "p.parquet")
    assert found["id"].to_numpy().tolist() == list(range(n))
    assert np.array_equal(found["prediction"].to_numpy(zero_copy_only=False), two.predict(table))


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.dictionary(pa.int32(), pa.string()), ["a", "b", None]),
        (pa.list_(pa.int64()), [[1, 2], [], None]),
        (pa.decimal128(10, 2), [None, 1, 2]),
        (pa.date32(), [None, 1, 2]),
        (pa.binary(), [b"\xff", b"", None]),
    ],
)
@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_columns_of_any_type_are_kept_or_refused(frame, two, tmp_path, type_, values, ending):
    """A format that cannot hold a type says so; nothing is left."""
    table = pa.Table.from_pandas(frame[:300], preserve_index=False)
    table = table.append_column("odd", pa.array(values * 100, type_))
    path = tmp_path / f"p{ending}"
    nested, binary = pa.types.is_nested(type_), pa.types.is_binary(type_)
    if ending != ".parquet" and (binary or (nested and ending == ".csv")):
        with pytest.raises(ParameterError, match=r"'odd' holds .*, which a file of text does not"):
            two.predict(table, path, keep=["odd"])
        assert list(tmp_path.iterdir()) == []
        return
    two.predict(table, path, keep=["odd"])
    found = READERS[ending](path) if ending != ".parquet" else parquet.read_table(path).to_pandas()
    assert found["odd"].isna().tolist() == table["odd"].is_null().to_pylist()
    if ending == ".parquet":
        assert parquet.read_table(path)["odd"].to_pylist() == table["odd"].to_pylist()


def test_missing_and_unknown_things_predict(frame, two):
    """Categories not seen in training, missing values everywhere, columns in another order, columns of no concern."""
    data = frame[["day", "on", "colour", "x", "id"]].astype({"on": "boolean"})
    data["colour"] = "violet"
    data.loc[:4, ["x", "on", "day"]] = None
    with pytest.warns(
        FalllineWarning, match=r"'colour': no value .* \('violet'\) was met in training \('green'"
    ):
        found = two.predict_proba(data)
    assert np.isfinite(found).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a few rows say nothing
        two.predict_proba(data[:20])


def test_a_column_that_is_missing_is_named(frame, two, tmp_path):
    """With the nearest name; nothing is written."""
    data = frame.rename(columns={"colour": "color"})
    with pytest.raises(
        InputError, match=r"no column 'colour', which the model was trained on\. Did you mean 'color'"
    ):
        two.predict(data, tmp_path / "p.csv")
    with pytest.raises(InputError, match="no column 'nothing', which is to be kept"):
        two.predict(frame, tmp_path / "p.csv", keep=["nothing"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "message"),
    [("p.txt", "does not end in"), ("nowhere/p.csv", "There is no folder"), ("p", "does not end in")],
)
def test_impossible_outputs_are_refused(frame, two, tmp_path, output, message):
    """Before any row is read."""
    with pytest.raises(ParameterError, match=message):
        two.predict(frame, tmp_path / output)


def test_kept_columns_do_not_clash_with_predictions(frame, two, tmp_path):
    """One of them would be lost."""
    for name in ("prediction", "probability_yes"):
        with pytest.raises(ParameterError, match=f"'{name}' cannot be kept"):
            two.predict(frame.assign(**{name: 1}), tmp_path / "p.csv", keep=[name])
    two.predict(frame, tmp_path / "p.csv", keep=["x", "x"])
    assert pd.read_csv(tmp_path / "p.csv").columns.tolist()[:2] == ["x", "prediction"]


def test_no_probabilities_where_there_are_none(frame, numbers, tmp_path):
    """For numbers, and for losses of margins: an error, and no columns."""
    hinge = fallline.train(_only(frame, "two"), "two", loss="hinge", **QUICK)
    for model in (numbers, hinge):
        with pytest.raises(ParameterError, match="has no probabilities"):
            model.predict_proba(frame)
    hinge.predict(frame, tmp_path / "p.csv")
    assert pd.read_csv(tmp_path / "p.csv").columns.tolist() == ["prediction"]


def test_rows_that_cannot_be_read_are_left_out_and_reported(frame, two, tmp_path):
    """If asked for; otherwise they are an error that names file and row."""
    path = tmp_path / "d.csv"
    lines = frame.to_csv(index=False).splitlines()
    lines[100] += ",,,"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"d\.csv', row 100"):
        two.predict(path)
    with pytest.warns(FalllineWarning, match=r"1 row was left out that could not be read: .*row 100"):
        assert len(two.predict(path, options=fallline_options(on_error="skip"))) == len(frame) - 1


def fallline_options(**given):
    from fallline.data.sources.options import ReadOptions

    return ReadOptions(**given)


# ----------------------------------------------------------------------------------------------- evaluate and effects


def test_evaluation_agrees_with_predictions(frame, two, three, numbers):
    """For two classes, three, and numbers."""
    for model, target in ((two, "two"), (three, "three")):
        found = model.evaluate(frame)
        assert found["accuracy"] == pytest.approx((model.predict(frame) == frame[target]).mean())
        assert found["rows"] == len(frame)
    error = numbers.predict(frame) - frame["number"]
    assert numbers.evaluate(frame)["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)


def test_evaluation_needs_the_target(frame, two):
    """And says so; rows without one are left out."""
    with pytest.raises(InputError, match="no column 'two', the target"):
        two.evaluate(frame.drop(columns="two"))
    data = frame.copy()
    data.loc[:99, "two"] = None
    assert two.evaluate(data)["rows"] == len(frame) - 100
    with pytest.raises(InputError, match="nothing to evaluate"):
        two.evaluate(data[:100])


def test_classes_that_training_did_not_see_are_counted(frame, three):
    """As wrong, and by themselves."""
    data = frame.copy()
    data.loc[:49, "three"] = "immense"
    found = three.evaluate(data)
    assert found["rows_of_unknown_classes"] == 50
    assert found["accuracy"] <= 0.9
    data["three"] = "immense"
    with pytest.raises(
        InputError, match=r"\('immense'\) is one that was trained on \('high', 'low', 'middle'\)"
    ):
        three.evaluate(data)


def test_effects_in_units_of_the_columns_predict_by_hand(frame, numbers):
    """Each number times its effect, and the effects of what is set, and the intercept."""
    (found,) = numbers.effects()
    effects = {effect.feature: effect.original for effect in found.effects}
    data = frame[frame["colour"].notna()]
    by_hand = (
        found.intercept
        + effects["x"] * data["x"]
        + data["colour"].map(lambda name: effects[f"colour={name}"])
    )
    rest = numbers.predict(data) - by_hand
    # What is left depends on the other columns only.
    again = data.assign(x=data["x"] + 7, colour="red")
    moved = numbers.predict(again) - numbers.predict(data)
    steps = (
        7 * effects["x"] + effects["colour=red"] - data["colour"].map(lambda name: effects[f"colour={name}"])
    )
    assert moved == pytest.approx(steps.to_numpy(), abs=0.05)
    assert np.isfinite(rest).all()
    sizes = [abs(effect.standardised) for effect in found.effects]
    assert sizes == sorted(sizes, reverse=True)


def test_effects_of_plain_numbers_are_all_of_the_model():
    """Columns of numbers only: a scalar product makes the prediction."""
    rng = np.random.default_rng(0)
    X = rng.normal(100, [1, 20, 300], (400, 3))
    y = X @ [5, 0.5, -0.01] + 1000
    model = fallline.train(X, y, epochs=20, cache=False)
    (found,) = model.effects()
    by_name = {effect.column: effect.original for effect in found.effects}
    by_hand = found.intercept + X @ [by_name[f"x{j}"] for j in range(3)]
    assert model.predict(X) == pytest.approx(by_hand, rel=1e-4)


def test_a_report_is_text(two):
    """Every line of it, and short."""
    text = two.report()
    assert len(text.splitlines()) < 15
    assert "'two' taken as binary" in text
    assert io.StringIO(text).readline().startswith("your data")
