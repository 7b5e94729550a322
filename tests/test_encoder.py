"""The encoder: from tables of any kind to rows, and what is said of what cannot be encoded."""

from __future__ import annotations

import datetime as dt
import json
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.utils import murmurhash3_32

from fallline.data.encoder import Encoder, Plan, describe, fit, make_plan
from fallline.data.encoder.planning import aimed
from fallline.data.rows import SparseRows
from fallline.data.sources import open_source
from fallline.errors import FalllineWarning, InputError, ParameterError, StateError, TargetError
from tables import TableSource, batch_of


def table(n=600, seed=0):
    """A column of every kind, with missing values in most, rare values in one and many in another."""
    generator = np.random.default_rng(seed)

    def holed(values, type_=None):
        return pa.array(values, type_, mask=generator.random(n) < 0.1)

    hours = generator.integers(0, 20_000, n)
    jobs = np.where(generator.random(n) < 0.005, "king", generator.choice(["nurse", "cook"], n))
    return pa.table(
        {
            "age": holed(generator.normal(40, 10, n)),
            "size": pa.array(generator.normal(1e6, 1, n), pa.float32()),
            "rooms": generator.integers(0, 9, n),
            "job": holed(jobs.tolist(), pa.string()),
            "tail": [f"N{k}" for k in generator.integers(0, 290, n)],
            "colour": pa.array(generator.choice(["red", "blue"], n)).dictionary_encode(),
            "when": holed(
                ((1_300_000_000 + 3600 * hours) * 10**6).tolist(), pa.timestamp("us", "Europe/Berlin")
            ),
            "ok": holed((generator.random(n) < 0.5).tolist()),
            "said": [f"the {k} cats, the {k % 3} dogs" for k in generator.integers(0, 9, n)],
            "features": pa.array(
                [
                    [(int(k), float(k) + 1) for k in sorted(generator.choice(30, 2, replace=False))]
                    for _ in range(n)
                ],
                pa.map_(pa.int32(), pa.float32()),
            ),
            "y": holed(generator.choice(["a", "b", "c"], n).tolist()),
        }
    )


def fitted(data, size=100, *, target="y", **settings_):
    source = TableSource(data, size)
    names = {"standardise_target", "threads", "in_flight"}
    how = {name: settings_.pop(name) for name in names & set(settings_)}
    return fit(make_plan(source, target=target, **settings_), source, **how)


def dense(rows):
    """Encoded features as a dense array."""
    if not isinstance(rows, SparseRows):
        return rows.X
    X = np.zeros((rows.n_rows, rows.n_columns), np.float32)
    X[np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr)), rows.indices.astype(np.int64)] = rows.data
    return X


def named(encoder, data):
    """Encoded features by name."""
    X = dense(encoder.encode_features(batch_of(data)))
    return dict(zip(encoder.feature_names, X.T, strict=True))


def same(a, b):
    """Equal to the bit."""
    for left, right in zip(a, b, strict=True):
        np.testing.assert_array_equal(left, right)


@cache
def fitted_once(narrow):
    """A table, sparse once encoded unless it is narrow, and its encoder."""
    data = table().select(NARROW) if narrow else table()
    return data, fitted(data)


NARROW = ["age", "size", "rooms", "job", "colour", "ok", "y"]


@pytest.mark.parametrize("columns", [None, NARROW])
def test_tensors_keep_everything(columns):
    """An encoder taken apart, through JSON, and put together again encodes to the bit as before."""
    data = table() if columns is None else table().select(columns)
    encoder = fitted(data, text=[] if columns else ["said"])
    assert encoder.sparse == (columns is None)
    tensors, meta = encoder.to_tensors()
    again = Encoder.from_tensors(tensors, json.loads(json.dumps(meta)))
    same(again.encode(batch_of(data)), encoder.encode(batch_of(data)))
    assert again.feature_names == encoder.feature_names
    assert (again.plan, again.counts, again.warnings) == (encoder.plan, encoder.counts, encoder.warnings)
    assert describe(again) == describe(encoder)
    with pytest.raises(StateError, match="format 99"):
        Encoder.from_tensors(tensors, meta | {"format": 99})
    with pytest.raises(StateError, match="damaged"):
        Encoder.from_tensors({}, meta)


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(size=st.integers(1, 700), narrow=st.booleans())
def test_batches_do_not_change_rows(size, narrow):
    """However a table is cut, its rows are encoded to the same bits."""
    data, encoder = fitted_once(narrow)
    parts = [encoder.encode(batch) for batch in TableSource(data, size).batches()]
    same(type(parts[0]).concatenate(parts), encoder.encode(batch_of(data)))


@pytest.mark.parametrize(("threads", "in_flight"), [(1, 1), (2, 4), (5, 20)])
def test_threads_do_not_change_the_fit(threads, in_flight):
    """The fit gives the same bits whatever the threads and the batches in flight."""
    tensors, meta = fitted(table(), 37, text=["said"], threads=threads, in_flight=in_flight).to_tensors()
    expected, expected_meta = fitted(table(), 37, text=["said"], threads=2, in_flight=2).to_tensors()
    assert meta == expected_meta
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, expected[name])


def test_sparse_rows_ascend():
    """Indices of a sparse row ascend and stay within the columns."""
    _, encoder = fitted_once(narrow=False)
    rows = encoder.encode(batch_of(table()))
    for start, stop in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
        assert (np.diff(rows.indices[start:stop]) > 0).all()
    assert rows.indices.max() < rows.n_columns
    assert rows.nbytes / rows.n_rows == pytest.approx(encoder.bytes_a_row, rel=0.02)


def test_numbers_are_standardised_and_imputed():
    """Numbers have mean 0 and deviation 1, missing ones 0 and a flag; nothing is flagged that was never missing."""
    data = table().select(["age", "size", "rooms"]).append_column("y", pa.array(np.arange(600) % 2))
    encoder = fitted(data)
    X = named(encoder, data)
    assert list(X) == ["age", "size", "rooms", "age is missing"]
    absent = data["age"].is_null().to_numpy()
    np.testing.assert_array_equal(X["age is missing"], absent)
    assert (X["age"][absent] == 0).all()
    for column in (X["age"][~absent], X["size"], X["rooms"]):
        assert column.mean() == pytest.approx(0, abs=1e-5)
        assert column.std() == pytest.approx(1, abs=1e-5)
    later = pa.table({"age": [None, 40.0], "size": pa.array([None, 1e6], pa.float64()), "rooms": ["x", "x"]})
    later = later.set_column(2, "rooms", pa.array([None, None]))
    assert named(encoder, later)["size"][0] == 0


def test_categories_have_buckets_for_rare_missing_and_unseen():
    """Frequent values have features, rare and unseen ones share one, missing ones have their own."""
    data = table()
    plan = make_plan(TableSource(data), target="y", overrides={"job": {"kind": "category", "rare_below": 50}})
    encoder = fit(plan, TableSource(data))
    assert {name for name in encoder.feature_names if name.startswith("job")} == {
        "job=nurse", "job=cook", "job (rare)", "job (missing)"
    }  # fmt: skip
    later = pa.table({name: table(5)[name] for name in data.column_names})
    later = later.set_column(3, "job", pa.array(["king", "emperor", None, "nurse", "cook"]))
    later = later.set_column(5, "colour", pa.array(["red", "green", None, "blue", "red"]))
    X = named(encoder, later)
    assert X["job (rare)"].tolist() == [1, 1, 0, 0, 0]
    assert X["job (missing)"].tolist() == [0, 0, 1, 0, 0]
    assert X["job=nurse"].tolist() == [0, 0, 0, 1, 0]
    assert (X["colour=red"] + X["colour=blue"]).tolist() == [1, 0, 0, 1, 1]


def test_numbers_with_a_mark_for_missing_ones_are_pointed_out():
    """Taken as the categories that they are, but not without a word."""
    marked = [str(i % 40) for i in range(200)] + ["unknown"] * 10
    encoder = fitted(pa.table({"x": marked, "y": [0, 1, 1] * 70}))
    assert "holds numbers but for 'unknown'" in " ".join(encoder.warnings)
    named = fitted(pa.table({"x": marked, "y": [0, 1, 1] * 70}), categorical=["x"])
    assert named.warnings == []


def test_values_without_a_feature_are_hashed_behind_the_column_s_name():
    """Of many values, the frequent ones have features and the others fall into the buckets that their hashes say."""
    data = pa.table({"tail": [f"N{k % 290}" for k in range(600)], "y": np.arange(600) % 2})
    plan = make_plan(
        TableSource(data), target="y", overrides={"tail": {"kind": "category", "most_values": 5}}
    )
    encoder = fit(plan, TableSource(data))
    assert encoder.n_columns == 5 + 512
    X = named(encoder, data)
    kept = {name.split("=")[1] for name in X if "=" in name}
    for row in (0, 100, 599):
        value = data["tail"][row].as_py()
        bucket = murmurhash3_32(f"tail={value}".encode(), positive=True) % 512
        name = f"tail={value}" if value in kept else f"tail #{bucket}"
        assert [feature for feature, column in X.items() if column[row]] == [name]


def test_dates_have_the_parts_that_vary():
    """Time zones count; parts that never vary are left out; names say month, weekday and hour."""
    when = [dt.datetime(2013, 1, 6, 23, 30, tzinfo=dt.UTC), dt.datetime(2013, 1, 7, 11, tzinfo=dt.UTC), None]
    data = pa.table({"when": pa.array(when * 20, pa.timestamp("ms", "Europe/Berlin")), "y": [0, 1, 1] * 20})
    encoder = fitted(data)
    X = named(encoder, data)
    assert list(X) == ["when", "when is missing", "when hour=0", "when hour=12"]
    assert X["when hour=0"][:3].tolist() == [1, 0, 0]
    assert X["when is missing"][:3].tolist() == [0, 0, 1]


def test_days_that_many_rows_share_are_categories_too():
    """Ten rows make a day one; a day of fewer, and one that comes later, has no feature of its own."""
    days = [dt.date(2024, 1, 1)] * 20 + [dt.date(2024, 1, 2)] * 20 + [dt.date(2024, 2, 1)] * 5
    data = pa.table({"day": pa.array(days, pa.date32()), "y": [0, 1, 0, 1, 1] * 9})
    X = named(fitted(data), data)
    assert X["day day=2024-01-01"].tolist() == [1] * 20 + [0] * 25
    assert X["day day=2024-01-02"].tolist() == [0] * 20 + [1] * 20 + [0] * 5
    assert "day day=2024-02-01" not in X
    rare = data.take([0, 21, 40])
    assert not [name for name in named(fitted(pa.concat_tables([rare] * 3)), rare) if " day=" in name]


def test_sparse_features_are_scaled_and_later_ones_left_out():
    """Each feature is divided by its largest magnitude, and those that the pass did not see are ignored."""
    kind = pa.map_(pa.int32(), pa.float32())
    data = pa.table(
        {"features": pa.array([[(1, 4.0)], [(1, -8.0), (3, 0.5)], None, []] * 5, kind), "y": [0, 1] * 10}
    )
    encoder = fitted(data)
    assert encoder.feature_names == [f"features[{j}]" for j in range(4)]
    later = pa.table({"features": pa.array([[], [(1, 2.0), (2, 9.0), (700, 1.0)]], kind)[1:]})
    assert dense(encoder.encode_features(batch_of(later))).tolist() == [[0, 0.25, 0, 0]]
    twice = pa.table({"features": pa.array([[(1, 1.0)], [(3, 1.0), (3, 2.0)]], kind), "y": [0, 1]})
    with pytest.raises(InputError, match="'table', row 2: features are not in ascending order"):
        fitted(twice)


def test_what_says_nothing_is_left_out_with_a_warning():
    """Constant, empty and nearly unique columns are named in warnings; one that was asked for stays."""
    n = 100
    data = pa.table(
        {
            "one": [1] * n,
            "none": pa.nulls(n),
            "id": [f"u{i}" for i in range(n)],
            "x": np.arange(n),
            "y": [0, 1] * 50,
        }
    )
    encoder = fitted(data)
    assert encoder.feature_names == ["x"]
    assert len(encoder.warnings) == 3
    assert "'one' is 1 in every row" in encoder.warnings[0]
    assert "100 distinct values in 100 rows" in encoder.warnings[1]
    assert fitted(data, categorical=["id"]).n_columns > 1
    with pytest.raises(InputError, match="no column to learn from"):
        fitted(data.select(["one", "y"]))


@pytest.mark.parametrize(
    ("y", "task", "classes", "encoded"),
    [
        (["no", "yes", None] * 10, "binary", ["no", "yes"], [-1, 1]),
        ([True, False, None] * 10, "binary", [False, True], [1, -1]),
        ([1.0, -1.0, np.nan] * 10, "binary", [-1, 1], [1, -1]),
        ([10, 2, 3] * 10, "multiclass", [2, 3, 10], [2, 0, 1]),
        ([0.5, 2.5, None] * 10, "regression", None, [-1, 1]),
        (list(range(30)), "regression", None, None),
    ],
)  # fmt: skip
def test_tasks_and_targets(y, task, classes, encoded):
    """Text, booleans and few whole numbers are classes, in their own order; other numbers are standardised."""
    data = pa.table({"x": np.arange(30.0), "y": y})
    encoder = fitted(data)
    assert (encoder.task, encoder.classes) == (task, classes)
    rows = encoder.encode(batch_of(data))
    missing = sum(value is None or value != value for value in y)  # noqa: PLR0124 (NaN)
    assert (encoder.counts.read, encoder.counts.without_target) == (30, missing)
    assert rows.n_rows == 30 - missing
    if encoded is not None:
        assert rows.y[: len(encoded), 0].tolist() == encoded


def test_targets_can_stay_as_they_are():
    """Without standardising, numbers are targets as they come; with it, mean and scale undo it."""
    data = pa.table({"x": np.arange(30.0), "y": np.arange(30) + 0.5})
    plain = fitted(data, standardise_target=False)
    np.testing.assert_array_equal(plain.encode(batch_of(data)).y[:, 0], np.arange(30) + 0.5)
    assert (plain.target_mean, plain.target_scale) == (0, 1)
    encoder = fitted(data)
    undone = encoder.encode(batch_of(data)).y[:, 0] * encoder.target_scale + encoder.target_mean
    np.testing.assert_allclose(undone, np.arange(30) + 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("y", "settings_", "message"),
    [
        ([1] * 30, {}, "is '1' in every row"),
        ([0.5] * 30, {}, "is 0.5 in every row"),
        (["a", "b", "c"] * 10, {"task": "binary"}, "3 distinct values"),
        (["a", "b", "c"] * 10, {"task": "regression"}, "takes numbers"),
        ([0.5, 1.5] * 15, {"task": "binary"}, "not whole"),
        ([None] * 30, {}, "missing in every row"),
    ],
)
def test_targets_that_cannot_be_learned(y, settings_, message):
    """One value, the wrong task, no values: each says so."""
    with pytest.raises(TargetError, match=message):
        fitted(pa.table({"x": np.arange(30.0), "y": pa.array(y)}), **settings_)


def test_all_rows_have_the_last_word_about_an_inferred_task():
    """Where the sample misleads, the task follows all rows, with a warning; one that was asked for stays."""
    y = np.concatenate([np.arange(2000) % 2, np.arange(3000) / 7])
    data = pa.table({"x": np.arange(5000.0), "y": y})
    encoder = fitted(data)
    assert encoder.task == "regression"
    assert "looked like binary in a sample" in encoder.warnings[0]
    with pytest.raises(TargetError, match="not whole"):
        fitted(data, task="binary")


def test_classes_that_differ_in_case_only_are_said():
    """They stay apart, and a warning names them."""
    data = pa.table({"x": np.arange(60.0), "y": ["yes", "no", "Yes ", "yes", "no", "no"] * 10})
    encoder = fitted(data)
    assert encoder.classes == ["Yes ", "no", "yes"]
    assert any("capital letters or blanks only ('Yes ', 'yes')" in warning for warning in encoder.warnings)
    assert not any(
        "capital" in warning for warning in fitted(data.filter(pc.not_equal(data["y"], "Yes "))).warnings
    )


def test_large_whole_classes_stay_apart():
    """Beyond 2**53, where float64 would join them."""
    classes = [2**53 + 1, 2**53 + 2]
    encoder = fitted(pa.table({"x": np.arange(20.0), "y": classes * 10}))
    assert encoder.classes == classes


def test_unseen_classes():
    """A class that was not trained on is an error with its row, or NaN where that is asked for."""
    encoder = fitted(pa.table({"x": np.arange(30.0), "y": ["a", "b"] * 15}))
    later = batch_of(pa.table({"x": [1.0, 2.0], "y": ["b", "z"]}), "later.csv")
    with pytest.raises(
        InputError, match=r"'later.csv', row 2: the class 'z' in 'y' is none of those trained on \(a, b\)"
    ):
        encoder.encode(later)
    assert np.isnan(encoder.encode(later, unseen="nan").y[1, 0])


def test_columns_that_nothing_can_be_made_of():
    """Lists, objects and calendar intervals are left out, and the plan says why."""
    values = {
        "list": [[1]] * 30,
        "struct": [{"a": 1}] * 30,
        "interval": pa.array([(1, 2, 3)] * 30, pa.month_day_nano_interval()),
    }
    encoder = fitted(pa.table({"x": np.arange(30.0), "y": ["a", "b"] * 15, **values}))
    assert encoder.feature_names == ["x"]
    assert {column.note.partition(" of ")[0] for column in encoder.plan.columns[1:]} == {
        "nothing can be made"
    }


def test_a_time_zone_that_is_not_known():
    """It is named, where the parts of the clock cannot be told."""
    times = pa.array(np.arange(30) * 10**6, pa.timestamp("s", "Mars/Olympus"))
    with pytest.raises(
        InputError, match=r"time zone 'Mars/Olympus' is not known here .* Convert such times to UTC"
    ):
        fitted(pa.table({"t": times, "y": ["a", "b"] * 15}))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.inf, "column 'x' is infinite"),
        (-np.inf, "column 'x' is infinite"),
        (1e300, r"column 'x' is 1e\+300, too large"),
    ],
)
def test_numbers_that_cannot_be_standardised(value, message):
    """Infinite and absurd numbers are refused with file and row, in the pass and later; rows without targets count."""
    x = np.arange(3000.0)
    data = pa.table({"x": x, "y": pa.array(np.arange(3000) % 2, mask=x < 10)})
    bad = data.set_column(0, "x", pa.array(np.where(x == 2500, value, x)))
    with pytest.raises(InputError, match=f"'table', row 2,501: {message}"):
        fitted(bad)
    for use in (fitted(data).encode, fitted(data).encode_features):
        with pytest.raises(InputError, match=f"'table', row 2,501: {message}"):
            use(batch_of(bad))


def test_weights_and_offsets():
    """A weight column weighs, an offset is the last column of y, and neither may be missing."""
    data = pa.table({"x": np.arange(30.0), "w": [0.5, 2.0] * 15, "o": [1, 2, 3] * 10, "y": ["a", "b"] * 15})
    encoder = fitted(data, weight="w", offset="o")
    rows = encoder.encode(batch_of(data))
    assert rows.weight[:2].tolist() == [0.5, 2.0]
    assert rows.y[:2].tolist() == [[-1, 1], [1, 2]]
    assert encoder.n_targets == 2
    assert encoder.reads_features == ["x", "o"]
    amounts = fitted(data.set_column(3, "y", [np.arange(30.0)]), offset="o")
    assert amounts.encode_features(batch_of(data)).y[:, 1] * amounts.target_scale == pytest.approx(
        [1, 2, 3] * 10
    )
    later = encoder.encode_features(batch_of(data.select(["x", "o"])))
    assert (later.y[:2].tolist(), later.weight[0]) == ([[0, 1], [0, 2]], 1)
    for name, value, message in (
        ("w", -1.0, "is -1. Give 0 or more"),
        ("w", None, "missing"),
        ("o", None, "missing"),
    ):
        wrong = data.set_column(data.column_names.index(name), name, pa.array([1.0] * 29 + [value]))
        with pytest.raises(InputError, match=f"row 30: .*{message}"):
            encoder.encode(batch_of(wrong))


def test_effects_in_original_units():
    """Predictions from effects in units of columns and target equal those from encoded rows."""
    data = pa.table({"a": np.arange(50.0) ** 2, "b": ["x", "y"] * 25, "y": np.arange(50) * 3.5})
    encoder = fitted(data)
    weights = np.random.default_rng(0).standard_normal((1, encoder.n_columns + 1))
    rows = encoder.encode(batch_of(data))
    expected = (rows.X @ weights[0, :-1] + weights[0, -1]) * encoder.target_scale + encoder.target_mean
    ((effects, intercept),) = encoder.original_units(weights)
    assert [effect.feature for effect in effects] == ["a", "b=x", "b=y"]
    assert [effect.column for effect in effects] == ["a", "b", "b"]
    raw = np.stack([data["a"].to_numpy(), rows.X[:, 1], rows.X[:, 2]])
    found = np.array([effect.original for effect in effects]) @ raw + intercept
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_later_data_of_other_types():
    """Columns that come as another type of the same kind are taken; others, and missing columns, are named."""
    data = table()
    encoder = fitted(data.select(NARROW))
    later = data.select(NARROW)
    later = later.set_column(2, "rooms", later["rooms"].cast(pa.float64()))
    later = later.set_column(4, "colour", later["colour"].cast(pa.large_string()))
    same(encoder.encode(batch_of(later)), encoder.encode(batch_of(data.select(NARROW))))
    with pytest.raises(InputError, match="holds string, but a number was trained on"):
        encoder.encode_features(batch_of(later.set_column(2, "rooms", later["rooms"].cast(pa.string()))))
    with pytest.raises(InputError, match=r"no column 'rooms'.*Did you mean 'room'"):
        encoder.encode_features(
            batch_of(later.rename_columns(["age", "size", "room", "job", "colour", "ok", "y"]))
        )


def test_nothing_to_read():
    """No rows, and no rows with a target, each have their message; an empty batch encodes to no rows."""
    data = table().select(NARROW)
    plan = make_plan(TableSource(data), target="y")
    with pytest.raises(InputError, match="has no rows"):
        fit(plan, TableSource(data[:0]))
    with pytest.raises(TargetError, match="missing in all 5 rows"):
        fit(plan, TableSource(data[:5].set_column(6, "y", pa.nulls(5, pa.string()))))
    encoder = fit(plan, TableSource(data))
    empty = batch_of(data[:1])
    assert encoder.encode(empty._replace(rows=empty.rows[:0])).n_rows == 0


def test_a_feature_named_as_a_second_target_is_said(tmp_path):
    """Of two columns of the target's name, one would give it away; nothing is said of one that is left out."""
    path = tmp_path / "twice.csv"
    path.write_text("x,y,y\n" + "".join(f"{x},{x % 2},{x % 2}\n" for x in range(30)))
    with pytest.warns(
        FalllineWarning, match=r"twice.csv': the target is 'y', and 'y.1' is a feature.*--ignore y.1"
    ):
        make_plan(open_source(path), target="y")
    with pytest.warns(FalllineWarning, match=r"'y.1' is a feature"):
        aimed(make_plan(open_source(path)), open_source(path), "y", None)
    make_plan(open_source(path), target="y", ignore=["y.1"])


def test_plans_go_through_json():
    """A plan written and read again is the same; a column taken out of it is ignored."""
    source = TableSource(table())
    plan = make_plan(source, target="y", text=["said"], ignore=["age"], categorical=["rooms"])
    assert Plan.from_json(plan.to_json()) == plan
    edited = json.loads(plan.to_json())
    edited["columns"] = [column for column in edited["columns"] if column["name"] == "rooms"]
    encoder = fit(Plan.from_json(json.dumps(edited)), source)
    assert {effect.split("=")[0] for effect in encoder.feature_names} == {"rooms"}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda plan: plan.update(tarket="y"), "'tarket', which means nothing. Did you mean 'target'"),
        (lambda plan: plan.update(task="binery"), "Did you mean 'binary'"),
        (lambda plan: plan.pop("target"), "has no 'target'"),
        (lambda plan: plan.update(format=7), "format 7"),
        (
            lambda plan: plan["columns"][0].update(kind="numbr"),
            "column 'age' is 'numbr'.*Did you mean 'number'",
        ),
        (lambda plan: plan["columns"][3].update(most_value=1), "'most_value'.*Did you mean 'most_values'"),
        (lambda plan: plan["columns"][3].update(most_values=0), "whole number from 1"),
        (lambda plan: plan["columns"][3].update(drop_if_unique="no"), "true or false"),
        (lambda plan: plan["columns"][0].update(name="job"), "'job' more than once"),
        (lambda plan: plan["columns"][0].update(name="agee"), "column 'agee'.*Did you mean 'age'"),
        (lambda plan: plan["columns"][0].update(kind="date"), "type double, which cannot be of kind 'date'"),
    ],
)
def test_edited_plans_are_checked(edit, message):
    """What is misspelled or misplaced in an edited plan is named, with the nearest right name."""
    source = TableSource(table())
    plan = json.loads(make_plan(source, target="y").to_json())
    edit(plan)
    with pytest.raises(ParameterError, match=message):
        fit(Plan.from_json(json.dumps(plan)), source)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"target": "z"}, "target='z'"),
        ({"target": "tial"}, "Did you mean 'tail'"),
        ({"ignore": ["agee"]}, "Did you mean 'age'"),
        ({"categorical": ["job"], "text": ["job"]}, "named for two kinds"),
        ({"weight": "y"}, "more than once"),
        ({"ignore": ["y"]}, "is the target"),
        ({"task": "clusters"}, "is not one of"),
    ],
)
def test_settings_are_checked(settings_, message):
    """Columns that are not there, and roles that exclude each other, are named."""
    with pytest.raises(ParameterError, match=message):
        make_plan(TableSource(table()), **{"target": "y", **settings_})


def test_a_plan_and_an_encoder_can_be_looked_at():
    """The table has a row for each column, the target first, with what becomes of it and how much is missing."""
    source = TableSource(table())
    plan = make_plan(source, target="y")
    encoder = fit(plan, source)
    for rows in (describe(plan), describe(encoder)):
        assert [row.column for row in rows] == ["y", *table().column_names[:-1]]
        assert rows[0].becomes == "predicted: multiclass"
        assert rows[1].missing == pytest.approx(0.1, abs=0.03)
    assert sum(row.features for row in describe(encoder)[1:]) == encoder.n_columns


def test_all_missing_later():
    """Columns without a value in a later batch, of no type even, are encoded as missing, whatever their kind."""
    data = table()
    encoder = fitted(data, text=["said"])
    names = [name for name in data.column_names if name != "y"]
    X = named(encoder, pa.table({name: pa.nulls(3) for name in names}))
    assert {name for name, column in X.items() if column.any()} == {
        "age is missing", "job (missing)", "when is missing", "ok is missing"
    }  # fmt: skip


def test_missing_values_of_a_dictionary():
    """A missing value is one, whether the index or what it points to is missing."""
    indices, values = pa.array([0, 1, None, 2] * 20, pa.int32()), pa.array(["a", None, "b"])
    data = pa.table({"x": pa.DictionaryArray.from_arrays(indices, values), "y": [0, 1] * 40})
    X = named(fitted(data), data)
    assert X["x (missing)"][:4].tolist() == [0, 1, 1, 0]
    assert (sum(X.values()) == 1).all()


def test_long_texts_are_shown_in_short():
    """A column of long texts, all alike, does not fill the screen."""
    table = pa.table({"a": ["x" * 10_000] * 50, "b": list(range(50)), "y": list(range(50))})
    source = open_source(table)
    plan = make_plan(source, target="y")
    assert max(map(len, plan.columns[0].glance.examples)) <= 60
    [warning] = fit(plan, source).warnings
    assert "… in every row" in warning
    assert len(warning) < 200
