"""From what users give to rows of numbers, or to an error that says what to do."""

import gzip

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

import fallline
from fallline.comparison.table import read
from fallline.errors import InputError, ParameterError

CSV = "a,b,label\n1,0.5,x\n2,1.5,y\n3,2.5,x\n"


@pytest.fixture
def write(tmp_path):
    """Write a file; return its path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


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
    assert table.columns == ["a", "b"]
    np.testing.assert_array_equal(table.X, [[1, 0.5], [2, 1.5], [3, 2.5]])
    assert list(table.y) == ["x", "y", "x"]


def test_frames_and_parquet_give_the_same(tmp_path):
    """A data frame of pandas or polars, an Arrow table and a Parquet file are all the same."""
    columns = {"a": [1, 2, 3], "flag": [True, False, True], "t": [0.5, 1.5, 2.5]}
    parquet.write_table(pa.table(columns), tmp_path / "d.parquet")
    frames = [pa.table(columns), pd.DataFrame(columns), pl.DataFrame(columns), tmp_path / "d.parquet"]
    for frame in frames:
        table = read(frame, target="t")
        np.testing.assert_array_equal(table.X, [[1, 1], [2, 0], [3, 1]])
        np.testing.assert_array_equal(table.y, [0.5, 1.5, 2.5])


def test_arrays_need_no_names():
    """Arrays get names of their own."""
    table = read(np.eye(3), [1, 2, 3])
    assert (table.columns, table.target) == (["column 1", "column 2", "column 3"], "y")


@pytest.mark.parametrize("name", ["breast cancer", "Breast-Cancer", "breast_cancer"])
def test_demos_are_found_however_they_are_written(name):
    """Spaces, dashes and capitals in a demo's name do not matter."""
    table = read(None, demo=name)
    assert table.X.shape == (569, 30)
    assert set(table.y) == {"malignant", "benign"}


@pytest.mark.parametrize(
    ("content", "target", "ignore", "message"),
    [
        (CSV, "labl", (), "Did you mean 'label'"),
        (CSV, None, (), "Which column is to be predicted"),
        (CSV, "a", (), r"'label' \(string\).*--ignore label"),
        (CSV, "label", ("c",), r"no column 'c' \(given as ignore\)"),
        (CSV, "label", ("label",), "can only be one of both"),
        (CSV, "label", ("a", "b"), "no column left"),
        ("a,b,t\n1,,x\n,,y\n", "t", (), r"'a' \(1 of 2\), 'b' \(2 of 2\)"),
        ("a,t\n1,x\n2,\n", "t", (), r"missing in 't' \(1 of 2\)"),
        ("a,t\ninf,1\n2,3\n", "t", (), "infinite values: 'a'"),
        ("a,a,t\n1,2,3\n", "t", (), "more than once: 'a'"),
        ("a,t\n", "t", (), "no rows"),
        ("", "t", (), "is empty"),
        ("a,t\n1,2,3\n", "t", (), "cannot be read as text in columns"),
        (b"a,t\n\xff\xfe,2\n1,3\n", "t", (), "do not hold numbers"),
    ],
)
def test_bad_tables_are_explained(write, content, target, ignore, message):
    """Each error names what was found and what to do."""
    with pytest.raises((InputError, ParameterError), match=message):
        read(write("d.csv", content), target=target, ignore=ignore)


def test_bad_paths_are_explained(write, tmp_path):
    """A file that is missing, misspelt, of another kind or damaged."""
    write("data.csv", CSV)
    for path, message in [
        (tmp_path / "dta.csv", "Did you mean '.*data.csv'"),
        (tmp_path / "data.xlsx", "ending that is not known"),
        (write("bad.parquet", "no parquet"), "cannot be read as Parquet"),
        (tmp_path / "none" / "d.csv", "There is no file"),
    ]:
        with pytest.raises(InputError, match=message):
            read(path, target="label")


def test_either_a_demo_or_data():
    """Nothing, or two things at once, is an error."""
    for given, message in [
        ({"data": None}, "nothing to compare"),
        ({"data": np.eye(2), "demo": "wine"}, "not both"),
    ]:
        with pytest.raises(ParameterError, match=message):
            read(**given)
    with pytest.raises(ParameterError, match="values to predict"):
        read(np.eye(2))
    with pytest.raises(InputError, match="y has shape"):
        read(np.eye(2), [1, 2, 3])


@pytest.mark.parametrize("size", [1e300, 1e-310])
def test_numbers_whose_squares_are_none_are_refused(size):
    """Columns so large or so small that they cannot be standardised are named."""
    frame = pd.DataFrame({"a": size * np.arange(1.0, 41), "b": np.arange(40.0) % 7, "t": np.arange(40) % 2})
    with pytest.raises(InputError, match="beyond 1e100, or all below 1e-100: 'a'"):
        fallline.compare(frame, target="t")


def test_another_encoding_is_named(tmp_path):
    """A header that is not UTF-8 is an error that says so."""
    (tmp_path / "t.csv").write_bytes("größe,t\n1,0\n2,1\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"(?i)utf-8"):
        fallline.compare(tmp_path / "t.csv", target="t")
