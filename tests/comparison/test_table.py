"""From what users give to encoded rows in memory, or to an error that says what to do."""

import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import feather, parquet
from scipy.sparse import csr_array

import fallline
from fallline.comparison.table import read
from fallline.data.sources.options import ReadOptions
from fallline.errors import InputError, ParameterError, TargetError

CSV = "a,b,label\n" + "".join(f"{i % 7},{i}.5,{'xy'[i % 2]}\n" for i in range(40))


@pytest.fixture
def write(tmp_path):
    """Write a file; return its path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def _columns():
    """Twenty-four rows: numbers, one of them missing, categories, dates, and numbers to predict."""
    generator = np.random.default_rng(0)
    return {
        "number": [None, *generator.normal(size=23).tolist()],
        "word": ["red", "green", "blue"] * 8,
        "day": np.arange("2024-01-01", "2024-01-25", dtype="datetime64[D]"),
        "price": generator.normal(size=24),
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", CSV),
        ("d.csv.gz", gzip.compress(CSV.encode())),
        ("D.CSV", CSV.replace("\n", "\r\n")),
        ("d.tsv", CSV.replace(",", "\t")),
        ("d.csv", CSV.replace(",", ";")),
        ("bom.csv", "\ufeff" + CSV),
    ],
)
def test_text_files_are_read(write, name, content):
    """Commas, semicolons, tabs, gzip and CRLF all give the same table."""
    table = read(write(name, content), target="label")
    assert (table.name, table.encoder.feature_names, table.classes) == (name, ["a", "b"], ["x", "y"])
    np.testing.assert_array_equal(table.y, [-1, 1] * 20)
    np.testing.assert_array_equal(np.argsort(table.X[:, 1]), np.arange(40))


def test_frames_and_files_give_the_same(tmp_path):
    """A data frame of pandas or polars, an Arrow table, a dictionary and files, whole or in parts, are all the same."""
    columns = _columns()
    table = pa.table(columns)
    parquet.write_table(table, tmp_path / "d.parquet")
    feather.write_feather(table, tmp_path / "d.arrow", compression="uncompressed")
    (tmp_path / "parts").mkdir()
    for start in (0, 12):
        parquet.write_table(table.slice(start, 12), tmp_path / "parts" / f"{start:02}.parquet")
    given = [
        *(pd.DataFrame(columns), pl.DataFrame(columns), columns),
        *(tmp_path / "d.parquet", tmp_path / "d.arrow", tmp_path / "parts"),
        *(str(tmp_path / "parts" / "*.parquet"), sorted((tmp_path / "parts").iterdir())),
    ]
    wanted = read(table, target="price")
    assert wanted.encoder.feature_names[:2] == ["number", "day"]
    for data in given:
        found = read(data, target="price")
        np.testing.assert_allclose(found.X, wanted.X, rtol=1e-6)
        np.testing.assert_allclose(found.y, wanted.y, rtol=1e-6)


def test_arrays_dense_and_sparse(tmp_path):
    """Arrays and sparse matrices come with their targets apart; libsvm files are sparse matrices."""
    X = np.where(np.random.default_rng(0).random((40, 6)) < 0.3, 2.0, 0.0).astype(np.float32)
    X[0] = 2.0
    y = np.arange(40) % 2
    dense, sparse = read(X, y), read(csr_array(X), y)
    assert dense.encoder.feature_names == [f"x{j}" for j in range(6)]
    np.testing.assert_array_equal(sparse.X, X / 2)
    np.testing.assert_array_equal(dense.y, sparse.y)
    lines = [
        f"{label} " + " ".join(f"{j}:{row[j]:g}" for j in np.flatnonzero(row))
        for label, row in zip(y, X, strict=True)
    ]
    (tmp_path / "d.svm").write_text("\n".join(lines) + "\n")
    np.testing.assert_array_equal(read(tmp_path / "d.svm").X, X / 2)
    np.testing.assert_array_equal(read(pd.DataFrame({"a": y, "b": X[:, 0]}), "a").y, 2 * y - 1)


@pytest.mark.parametrize("name", ["breast cancer", "Breast-Cancer", "breast_cancer"])
def test_demos_are_found_however_they_are_written(name):
    """Spaces, dashes and capitals in a demo's name do not matter."""
    table = read(None, demo=name)
    assert table.X.shape == (569, 30)
    assert table.classes == ["benign", "malignant"]


def test_words_and_missing_values_are_encoded(write):
    """Categories become ones and zeros, missing numbers are imputed and flagged, rows without a target left out."""
    rows = "".join(
        f"{i if i % 5 else ''},{'red' if i % 3 else 'blue'},{i % 2 if i != 7 else ''}\n" for i in range(40)
    )
    table = read(write("d.csv", "a,b,t\n" + rows), target="t")
    assert table.encoder.feature_names == ["a", "a is missing", "b=red", "b=blue"]
    assert len(table.X) == 39
    assert table.notes == ["Left out: 1 row without a target."]
    np.testing.assert_array_equal(table.X[:, 2] + table.X[:, 3], 1)
    assert (table.X[table.X[:, 1] == 1, 0] == 0).all()


def test_columns_can_be_taken_otherwise(write):
    """Columns are left out, taken as categories and as text, and files read, as asked for."""
    path = write("d.csv", "".join(f"{i % 3}|{i}|good day {i % 4}|-9|{i % 2}\n" for i in range(60)))
    found = read(
        path,
        target="x4",
        ignore=["x1"],
        categorical=["x0"],
        text=["x2"],
        options=ReadOptions(delimiter="|", header=False, missing=("-9",)),
    )
    kinds = {column.name: column.kind for column in found.encoder.plan.columns}
    assert (kinds["x0"], kinds["x1"], kinds["x2"]) == ("category", "ignore", "text")
    assert "'x3'" in " ".join(found.notes)


def test_rows_that_cannot_be_read_are_skipped_where_asked(write):
    """With on_error="skip" they are counted and told; otherwise they are an error with file and row."""
    path = write("d.csv", CSV + "1,2,3,4\n" + CSV.partition("\n")[2])
    with pytest.raises(InputError, match="row 41"):
        read(path, target="label")
    table = read(path, target="label", options=ReadOptions(on_error="skip"))
    assert len(table.X) == 80
    assert table.notes == ["Left out: 1 row that could not be read."]


@pytest.mark.parametrize(
    ("content", "target", "ignore", "message"),
    [
        (CSV, "labl", (), "Did you mean 'label'"),
        (CSV, None, (), "Which column is to be predicted.*'label'"),
        (CSV, "label", ("c",), "ignore='c'"),
        (CSV, "label", ("label",), "'label'"),
        (CSV, "label", ("a", "b"), "no column to learn from"),
        ("a,t\ninf,1\n" + "2,3\n" * 9, "t", (), "d.csv', row 1: .*'a'"),
        ("a,t\n", "t", (), "no rows"),
        ("", "t", (), "is empty"),
    ],
)
def test_bad_tables_are_explained(write, content, target, ignore, message):
    """Sources and encoder say what was found and what to do."""
    with pytest.raises((InputError, ParameterError), match=message):
        read(write("d.csv", content), target=target, ignore=ignore)


def test_either_a_demo_or_data():
    """Nothing, or two things at once, is an error."""
    for given, message in [
        ({"data": None}, "nothing to compare"),
        ({"data": np.eye(2), "demo": "wine"}, "not both"),
        ({"data": np.eye(2), "y": [1, 2], "target": "x0"}, "both say"),
        ({"data": np.eye(2)}, "Which column is to be predicted"),
        ({"data": np.eye(2), "target": "x0", "task": "both"}, "task='both' is not one of"),
        ({"data": np.eye(2), "target": "x0", "memory": "1kB"}, "memory='1kB'"),
    ]:
        with pytest.raises(ParameterError, match=message):
            read(**given)
    with pytest.raises(InputError, match="2 rows, but 3 values"):
        read(np.eye(2), [1, 2, 3])


@pytest.mark.parametrize(
    ("y", "given", "task"),
    [
        (["a", "b"] * 20, None, "binary"),
        ([True, False] * 20, None, "binary"),
        ([0, 1, 2, 3] * 10, None, "multiclass"),
        ([0.0, 1.0] * 20, None, "binary"),
        ([0.5, 1.0] * 20, None, "regression"),
        (list(range(40)), None, "regression"),
        ([0, 1] * 20, "regression", "regression"),
        ([0, 1] * 20, "classification", "binary"),
        (list(range(20)) * 2, "classification", "multiclass"),
        (list(range(20)) * 2, "multiclass", "multiclass"),
    ],
)
def test_the_task_is_inferred_or_told(y, given, task):
    """What the encoder finds, unless told; "classification" is of two classes or more."""
    table = read(np.arange(40.0)[:, np.newaxis], y, task=given)
    assert table.task == task
    assert (len(table.classes) > 0) == (task != "regression")
    assert (table.encoder.target.reason == "as asked for") == (given is not None)


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (["a"] * 40, None, "nothing to tell apart"),
        ([2.5] * 40, None, "nothing to learn"),
        (list(range(60)) * 2, "classification", "60 classes.*task='regression'"),
        ([f"w{i}" for i in range(60)] * 2, None, "60 classes.*fewer values"),
        (["a", "b"] * 20, "regression", "text"),
    ],
)
def test_targets_that_cannot_be_used(y, task, message):
    """A constant target, words as amounts, too many classes: each is explained."""
    with pytest.raises(TargetError if "60" not in message else InputError, match=message):
        read(np.arange(float(len(y)))[:, np.newaxis], y, task=task)


def test_another_encoding_is_named(tmp_path):
    """A file that is not UTF-8 is an error that says so; and is read when told."""
    rows = "".join(f"{i},{i % 2}\n" for i in range(40))
    (tmp_path / "t.csv").write_bytes(f"größe,t\n{rows}".encode("latin-1"))
    with pytest.raises(InputError, match=r"(?i)utf-8"):
        fallline.compare(tmp_path / "t.csv", target="t")
    assert read(
        tmp_path / "t.csv", target="t", options=ReadOptions(encoding="latin-1")
    ).encoder.feature_names == ["größe"]


@pytest.mark.parametrize(
    ("path", "target", "features"),
    [("adult/adult.data", "x14", 108), ("a9a/a9a", "label", 124), ("ijcnn1/ijcnn1.trn.bz2", "label", 23)],
)
def test_real_data_are_read(path, target, features):
    """Files without a header, and sparse ones, give as many features as they should, and no row is lost."""
    folder = os.environ.get("FALLLINE_DATA")
    if folder is None:
        pytest.skip("FALLLINE_DATA does not say where the real data sets are")
    table = read(Path(folder, path), target=target)
    assert table.X.shape == (table.encoder.counts.read, features)
    assert np.isfinite(table.X).all()
