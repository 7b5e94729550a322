"""What is in memory already becomes columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from fallline.data.sources import open_source
from fallline.errors import InputError


def read(data, **options):
    source = open_source(data, **options)
    return pa.Table.from_batches([batch.rows for batch in source.batches()], source.schema)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([1, 2], ">i4"), pa.array([1, 2], pa.int32())),
        (np.array([1.5, np.nan], np.float16), pa.array([1.5, np.nan], pa.float32())),
        (np.array([True, False]), pa.array([True, False])),
        (np.array(["a", "Å"]), pa.array(["a", "Å"])),
        (np.array([b"a", "Å".encode()]), pa.array(["a", "Å"])),
        (np.array(["2020-02", "NaT"], "M8[M]"), pa.array([1_580_515_200, None], pa.timestamp("s"))),
        (np.array([1, 2], "m8[h]"), pa.array([3_600, 7_200], pa.duration("s"))),
        (np.ma.masked_array([1.0, 2.0], [False, True]), pa.array([1.0, None])),
        (np.array([1, None], object), pa.array([1, None])),
        (np.zeros((2, 3), np.float32)[::-1, 1:2], pa.array([0.0, 0.0], pa.float32())),
    ],
    ids=lambda values: str(getattr(values, "dtype", "")),
)
def test_arrays_of_all_types_are_columns(array, expected):
    """Byte order, width and layout do not matter; masked values and NaT are missing, NaN stays what it is."""
    column = read(array)["x0"].combine_chunks()
    assert column.type == expected.type
    assert repr(column.to_pylist()) == repr(expected.to_pylist())


def test_records_are_columns_by_their_names():
    """Each field of an array of records is a column."""
    records = np.array([(1, "a"), (2, "b")], dtype=[("n", "i8"), ("s", "U1")])
    assert read(records).to_pydict() == {"n": [1, 2], "s": ["a", "b"]}


def test_categories_stay_categories_and_indices_are_left_out():
    """Pandas' and Polars' categories come as dictionaries of text; a pandas index is no column."""
    frame = pd.DataFrame({"c": pd.Categorical(["u", None, "u"]), 3: ["x", None, "y"]}, index=[5, 6, 7])
    for data in (
        frame,
        pl.DataFrame({"c": pl.Series(["u", None, "u"], dtype=pl.Categorical), "3": ["x", None, "y"]}),
    ):
        table = read(data)
        assert table.to_pydict() == {"c": ["u", None, "u"], "3": ["x", None, "y"]}
        assert pa.types.is_dictionary(table.schema.field("c").type)


def test_sparse_matrices_are_one_column_of_maps():
    """Each row maps columns to values, ascending, repeated ones added up; how wide it is stands in the field."""
    matrix = sp.csr_matrix((np.array([1.0, 2.0, 4.0]), np.array([7, 2, 7]), np.array([0, 3, 3])), (2, 9))
    table = read(matrix)
    assert table["features"].to_pylist() == [[(2, 2.0), (7, 5.0)], []]
    assert table.schema.field("features").metadata == {b"columns": b"9"}
    assert read(matrix.tocoo()).equals(table)


def test_a_target_apart_is_one_more_column():
    """Target values stand beside the rows, under a name that is free."""
    target = np.arange(3)
    assert read(np.zeros((3, 2)), target_values=target).column_names == ["x0", "x1", "target"]
    assert read({"target": [1, 2, 3]}, target_values=pd.Series(target))["y"].to_pylist() == [0, 1, 2]
    assert read(sp.eye(3, format="csr"), target_values=list("abc"))["target"].to_pylist() == ["a", "b", "c"]
    with pytest.raises(InputError, match="There are 3 rows, but 2 values of the target"):
        open_source(np.zeros((3, 2)), target_values=[1, 2])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pa.table({"a": [1]}).to_reader(), "RecordBatchReader can be read only once"),
        (pl.LazyFrame({"a": [1]}), r"LazyFrame cannot be read.*call collect\(\) first"),
        (3, "Data of type int cannot be read"),
        (np.zeros(3, complex), "complex numbers"),
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        (np.zeros((0, 2)), "columns but no rows"),
        (np.zeros((2, 0)), "no columns"),
        ({"a": [1], "b": [1, 2]}, "different numbers of rows"),
        ({"a": [1, "x"]}, "values of one type"),
        (pd.DataFrame({"a": [1, "x"]}), "values of one type"),
        (sp.eye(2, dtype=complex, format="csr"), "rows of numbers are wanted"),
    ],
)
def test_what_is_no_data_is_said(data, message):
    """Each error says what it got and what to give instead."""
    with pytest.raises(InputError, match=message):
        open_source(data)


@pytest.mark.parametrize(
    "make",
    [pd.DataFrame, pl.DataFrame, pa.table, pa.RecordBatch.from_pydict],
    ids=["pandas", "polars", "table", "batch"],
)
def test_tables_in_a_list_are_one_below_the_other(make):
    """A list of data frames or tables is one table."""
    found = read([make({"a": [1, 2], "c": ["x", "y"]}), make({"a": [3], "c": ["z"]})])
    assert found.to_pydict() == {"a": [1, 2, 3], "c": ["x", "y", "z"]}


def test_categories_of_several_tables_meet():
    """So do types, as they do in files."""
    frames = [pd.DataFrame({"c": pd.Categorical(values)}) for values in (["a", "b"], ["c", "a"])]
    assert read(frames)["c"].to_pylist() == ["a", "b", "c", "a"]
    assert read([pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [0.5]})])["a"].to_pylist() == [1.0, 0.5]


def test_rows_may_be_dictionaries():
    """What a row does not have is missing there, wherever it comes first."""
    found = read([{"a": 1}, {"a": 2, "b": "x"}, {"b": "y"}]).to_pydict()
    assert found == {"a": [1, 2, None], "b": [None, "x", "y"]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([pd.DataFrame({"a": [1]}), pd.DataFrame({"A": [2]})], r"'table 2' lacks the column 'a'.*it has 'A'"),
        ([pd.DataFrame({"a": [1]}), np.zeros(3)], "holds tables, but also a ndarray"),
    ],
)
def test_lists_that_are_no_table_are_said(data, message):
    """Tables in a list need the same columns."""
    with pytest.raises(InputError, match=message):
        open_source(data)


def test_a_stream_that_gives_other_rows_each_time_is_an_error():
    """Training takes several passes over the same rows: fewer in the second are noticed."""

    class Dwindling:
        rows = 3

        def __arrow_c_stream__(self, requested_schema=None):
            self.rows -= 1
            return pa.table({"a": range(self.rows + 1)}).__arrow_c_stream__(requested_schema)

    source = open_source(Dwindling())
    with pytest.raises(InputError, match="had 2 rows when they were read first, and 1 now"):
        list(source.batches())
