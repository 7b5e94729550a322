"""Which files are read, under which schema, and what is said about those that cannot be."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather, fs

from fallline.data.encoder import fit, make_plan
from fallline.data.further import warn_of_skipped
from fallline.data.sources import ReadOptions, find, open_source
from fallline.data.sources.agree import agreed_type, as_type
from fallline.errors import FalllineWarning, InputError, ParameterError

N = 1_000


def write(path, table=None, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns or {"a": np.arange(N)}) if table is None else table
    pq.write_table(table, path, row_group_size=400)
    return path


def read(data, columns=None, **options):
    source = open_source(data, options=ReadOptions(**options))
    return pa.Table.from_batches([batch.rows for batch in source.batches(columns)])


def names(data):
    return [Path(file.name).name for file in find.find_files(data)]


def test_files_come_in_natural_order_without_hidden_ones(tmp_path):
    """Numbers in names count as numbers; names that begin with a dot or an underscore are left out of folders and patterns."""
    for name in (
        "p-10.parquet",
        "p-9.parquet",
        "_SUCCESS",
        ".p.crc",
        "sub/p-1.parquet",
        "_temporary/p-2.parquet",
    ):
        write(tmp_path / name)
    assert names(tmp_path) == ["p-9.parquet", "p-10.parquet", "p-1.parquet"]
    assert names(f"{tmp_path}/*.parquet") == ["p-9.parquet", "p-10.parquet"]
    assert names(f"{tmp_path}/**/*.parquet") == ["p-9.parquet", "p-10.parquet", "p-1.parquet"]
    assert names([tmp_path / "p-10.parquet", tmp_path / "_SUCCESS"]) == ["p-10.parquet", "_SUCCESS"]


def test_patterns_mean_the_same_afar(tmp_path, monkeypatch):
    """On a filesystem that is not this machine's, paths, patterns and folders find the same files."""
    for name in ("p-10.parquet", "p-9.parquet", "_SUCCESS", "k=1/p-1.parquet", "k=1/deep/p-2.parquet"):
        write(tmp_path / "bucket" / name)
    remote = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    monkeypatch.setattr(
        find, "filesystem_of", lambda uri: (remote, uri.partition("://")[2].partition("?")[0])
    )
    for pattern in ("p-9.parquet", "*.parquet", "**/*.parquet", "k=*/*.parquet", "p-[0-9].parquet", "**", ""):
        assert names(f"s3://bucket/{pattern}") == names(f"{tmp_path}/bucket/{pattern}"), pattern
    source = open_source("s3://bucket/k=1/*.parquet")
    assert source.name == "s3://bucket/k=1/*.parquet"
    assert next(source.batches()).file == "s3://bucket/k=1/p-1.parquet"
    with pytest.raises(InputError, match=r"no file 's3://bucket/none.parquet'"):
        names("s3://bucket/none.parquet")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("*.csv", r"pattern .*\*\.csv' matches no file"),
        ("fligths.parquet", r"no file .*Did you mean .*flights\.parquet'"),
        ("nothing/at/all", "There is no file"),
        ("empty", "folder .* holds no files"),
    ],
)
def test_what_is_not_there_is_said(place, message, tmp_path):
    """A path, pattern or folder that finds nothing is an error that says which, with the nearest name."""
    write(tmp_path / "flights.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        open_source(tmp_path / place)


@pytest.mark.parametrize("place", ["", "sub", "*.parquet"])
def test_a_folder_that_cannot_be_read_is_said(place, tmp_path, monkeypatch):
    """It is an OSError with its name, be it the one given or one in it; a hidden one is no matter."""
    write(tmp_path / "a.parquet")
    write(tmp_path / "sub" / "b.parquet")
    write(tmp_path / ".hidden" / "c.parquet")
    scandir, refused = os.scandir, {str(tmp_path / ".hidden")}

    def refusing(path="."):
        if str(path) in refused:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert names(tmp_path) == ["a.parquet", "b.parquet"]
    refused.add(str(tmp_path) if "*" in place else str(tmp_path / "sub"))
    with pytest.raises(PermissionError) as raised:
        find.find_files(tmp_path / place)
    assert raised.value.filename in refused


def test_a_tilde_is_a_home_folder(tmp_path, monkeypatch):
    """Of a user that there is; otherwise it is a name like any other."""
    write(tmp_path / "a.parquet")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names("~/a.parquet") == names("~/*.parquet") == names(["~/a.parquet"]) == ["a.parquet"]
    with pytest.raises(InputError, match=r"There is no file '~nobody-of-this-name/a.csv'"):
        names("~nobody-of-this-name/a.csv")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no such names")
def test_names_need_not_be_utf8(tmp_path):
    """A file is read whatever bytes its name is of, given itself or found."""
    path = tmp_path / os.fsdecode(b"\xff\xfe.parquet")
    path.write_bytes(write(tmp_path / "_a.parquet").read_bytes())
    for place in (path, tmp_path, f"{tmp_path}/*.parquet"):
        assert read(place).num_rows == N
        assert open_source(place).fingerprint


def test_what_can_be_read_once_is_said(tmp_path):
    """A pipe or a device is no empty file."""
    os.mkfifo(tmp_path / "pipe.csv")
    for place in (tmp_path / "pipe.csv", tmp_path, "/dev/null"):
        with pytest.raises(InputError, match=r"no regular file.*read only once.*Save"):
            open_source(place)


def test_a_file_put_in_the_place_of_another_is_another(tmp_path):
    """Even if it has the same size and time; new permissions do not stop reading."""
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    source = open_source(path)
    facts = path.stat()
    path.chmod(0o600)
    assert sum(batch.rows.num_rows for batch in source.batches()) == 1
    path.write_text("a,b\n3,4\n")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert open_source(path).fingerprint != source.fingerprint


def test_names_that_differ_in_case_are_said(tmp_path):
    """A file that lacks a column may have it with other letters."""
    write(tmp_path / "a.parquet", Age=[1])
    write(tmp_path / "b.parquet", age=[1])
    with pytest.raises(
        InputError, match=r"lacks the column 'Age', which .*\(it has 'age': capitals and small"
    ):
        open_source(tmp_path)


def test_a_column_not_found_without_a_header_is_explained(tmp_path):
    """Where names are x0, x1 and so on, as nothing was taken for a header, the message says how to have one."""
    path = tmp_path / "a.csv"
    path.write_text("2019,2020,y\n1.5,2.5,yes\n3.5,4.5,no\n")
    source = open_source(path)
    assert source.schema.names == ["x0", "x1", "x2"]
    for asked in ({"target": "y"}, {"target": "x2", "weight": "w"}, {"target": "x2", "ignore": ["2019"]}):
        with pytest.raises(
            ParameterError, match=r"no such column\. The file was read as one without a header; --header says"
        ):
            make_plan(source, **asked)
    source = open_source(write(tmp_path / "b.parquet", x0=[1, 2]))
    with pytest.raises(ParameterError, match=r"no such column\. There are"):
        make_plan(source, target="y")


def test_the_same_file_twice_is_an_error(tmp_path):
    """A file that two places find would count double."""
    write(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet' is given twice"):
        open_source([tmp_path / "a.parquet", f"{tmp_path}/*.parquet"])


def test_keys_in_the_names_of_folders_are_columns(tmp_path):
    """Hive's key=value folders give columns: whole numbers where all values are, else categories; missing where Hive says so."""
    for year, city in (
        ("2013", "Oslo"),
        ("2014", "S%C3%A3o%20Paulo"),
        ("2014", "__HIVE_DEFAULT_PARTITION__"),
    ):
        write(tmp_path / f"year={year}/city={city}/part.parquet", a=[1, 2])
    table = read(tmp_path)
    assert table["year"].to_pylist() == [2013] * 2 + [2014] * 4
    assert sorted(map(str, table["city"].unique().to_pylist())) == ["None", "Oslo", "São Paulo"]
    assert read(tmp_path, ["year"])["year"].equals(table["year"])
    assert open_source(tmp_path).sample().num_rows == 6
    write(tmp_path / "year=2015/part.parquet")
    with pytest.raises(InputError, match=r"year=2015.*same keys"):
        open_source(tmp_path)


def test_types_of_all_files_meet(tmp_path):
    """A whole number and a float meet in float, a number and a text in text, nothing but missing values in anything."""
    write(
        tmp_path / "1.parquet",
        number=[1, 2],
        code=[1, 2],
        empty=pa.nulls(2),
        day=pa.array([0, 1], pa.date32()),
    )
    write(
        tmp_path / "2.parquet",
        day=pa.array([0, 1], pa.timestamp("s")),
        empty=["x", "y"],
        code=["a", None],
        number=[0.5, None],
    )
    with pytest.warns(FalllineWarning, match="'code' of .* is string, but int64 before it"):
        table = read(tmp_path)
    assert table.column_names == ["number", "code", "empty", "day"]
    assert table["number"].to_pylist() == [1.0, 2.0, 0.5, None]
    assert table["code"].to_pylist() == ["1", "2", "a", None]
    assert table["empty"].to_pylist() == [None, None, "x", "y"]
    assert table["day"].type == pa.timestamp("ms")


TYPES = [
    *(
        pa.null(),
        pa.bool_(),
        pa.int8(),
        pa.int64(),
        pa.uint64(),
        pa.float32(),
        pa.float64(),
        pa.decimal128(9, 2),
    ),
    *(
        pa.string(),
        pa.large_string(),
        pa.binary(),
        pa.date32(),
        pa.timestamp("ms"),
        pa.timestamp("us", "UTC"),
    ),
    *(pa.time32("s"), pa.duration("s"), pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.float32())),
]


@pytest.mark.parametrize("a", TYPES, ids=str)
def test_agreement_has_no_order_and_can_be_read(a):
    """Which file comes first does not matter, and what a type agreed on can hold can be turned into it."""
    for b in TYPES:
        agreed = agreed_type(a, b)
        assert agreed == agreed_type(b, a)
        for type_ in (a, b) if agreed is not None else ():
            assert as_type(pa.nulls(3, type_), agreed).type == agreed


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1]}, r"3\.parquet' lacks the column 'b', which .*1\.parquet' has"),
        (
            {"a": [1], "b": [1], "c": [1], "d": [1]},
            r"3\.parquet' has the columns 'c', 'd', which .*1\.parquet' lacks",
        ),
        ({"a": [1], "b": [[1]]}, r"Column 'b' of .*3\.parquet' is list<.*int64"),
    ],
)
def test_a_third_file_with_other_columns_is_an_error(columns, message, tmp_path):
    """Columns that are missing, or too many, are said with the file's name, before anything is read."""
    write(tmp_path / "1.parquet", a=[1], b=[2])
    write(tmp_path / "2.parquet", b=[1], a=[2])
    write(tmp_path / "3.parquet", **columns)
    with pytest.raises(InputError, match=message):
        open_source(tmp_path)


def test_numbers_that_are_text_in_a_further_file_are_told(tmp_path):
    """All of the column is read as text then, which nobody may expect; what is missing in a file has no say."""
    write(tmp_path / "1.parquet", a=[1.5], b=["x"], c=["p"])
    write(tmp_path / "2.parquet", a=["2.5"], b=[None], c=["q"])
    write(tmp_path / "3.parquet", a=[3.5], b=["x"], c=["r"])
    with pytest.warns(FalllineWarning) as told:
        schema = open_source(tmp_path).schema
    assert schema.types == [pa.string()] * 3
    (warning,) = told
    assert re.search(r"Column 'a' of .*2\.parquet' is string, but double before it", str(warning.message))


def test_formats_are_found_by_how_files_begin(tmp_path):
    """A file of any name is read as what its first bytes say; several formats together are an error."""
    write(tmp_path / "one").rename(tmp_path / "parquet-without-ending")
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    (tmp_path / "x.npy").rename(tmp_path / "array.bin")
    assert read(tmp_path / "parquet-without-ending").num_rows == N
    assert read(tmp_path / "array.bin").shape == (3, 2)
    with pytest.raises(InputError, match=r"several formats: .*array.bin' is npy, .*ending' is parquet"):
        open_source(tmp_path)
    with pytest.raises(ParameterError, match="format is 'parket', but it takes one of 'parquet'"):
        open_source(tmp_path, options=ReadOptions(format="parket"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"", "is empty: it has 0 bytes"),
        ("a.parquet", b"PAR1 and no more", "not a Parquet file, or was cut off"),
        ("a.arrow", b"ARROW1\0\0 and no more", "no Arrow file, or was cut off"),
        ("a.feather", b"FEA1", "Feather of version 1"),
        ("a.npy", b"\x93NUMPY\x01\x00\x10\x00{nonsense", "not an .npy file, or is damaged"),
        ("a.parquet.gz", b"\x1f\x8b", "compressed as a whole"),
        ("a.xlsx", b"PK\x03\x04\0\0", "Excel kind, which cannot be read"),
        ("a.bin", bytes(range(256)), r"no format that is known .* Known are \.parquet,"),
    ],
)
def test_files_that_are_none_are_said(name, content, message, tmp_path):
    """An empty, cut off or foreign file is an error with its name."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        open_source(tmp_path / name)
    assert name in str(raised.value)


def test_no_rows_at_all_is_an_error(tmp_path):
    """A file without rows is fine beside one that has some, not alone."""
    empty = write(tmp_path / "1.parquet", pa.table({"a": pa.array([], pa.int64())}))
    with pytest.raises(InputError, match="columns but no rows"):
        open_source(empty)
    write(tmp_path / "2.parquet")
    assert read(tmp_path).num_rows == N
    assert open_source(tmp_path).sample().num_rows > 0


def damaged(path, group, column=0):
    """A file whose row group cannot be decoded."""
    chunk = pq.read_metadata(path).row_group(group).column(column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * 24)
    return path


@pytest.mark.parametrize("in_flight", [1, 4])
def test_a_damaged_row_group_is_said_or_skipped(tmp_path, in_flight):
    """A row group that cannot be decoded is an error with its rows; with on_error="skip" it is left out, and counted once."""
    path = damaged(write(tmp_path / "a.parquet", a=np.arange(N), b=np.arange(N) % 7), 1)
    with pytest.raises(
        InputError, match=r"a\.parquet', row group 2 \(rows 401 to 800\) is damaged: .*--on-error skip"
    ):
        read(path)
    source = open_source(path, options=ReadOptions(on_error="skip"))
    batches = list(source.batches(in_flight=in_flight))
    assert [value for batch in batches for value in batch.rows["a"].to_pylist()] == [
        *range(400),
        *range(800, N),
    ]
    (skipped,) = [skipped for batch in batches for skipped in batch.skipped]
    assert (Path(skipped.file).name, skipped.row) == ("a.parquet", 401)
    assert "row group 2" in skipped.reason
    assert "400 rows left out" in skipped.reason
    assert skipped.rows == 400
    with pytest.warns(FalllineWarning, match="^400 rows were left out"):
        warn_of_skipped([skipped])
    encoder = fit(make_plan(source, target="a", task="regression"), source)
    assert encoder.counts.skipped == 400
    number = next(number for number, batch in enumerate(batches) if batch.skipped)
    rest = list(source.batches(start=batches[number].cursor, in_flight=in_flight))
    assert [batch[1:] for batch in rest] == [batch[1:] for batch in batches[number + 1 :]]
    assert open_source(path, options=ReadOptions(on_error="skip")).sample().num_rows > 0


def test_a_damaged_page_in_the_middle_loses_what_comes_after_it(tmp_path):
    """How many rows before the damage are kept does not depend on how many batches are decoded together."""
    path = tmp_path / "a.parquet"
    rng = np.random.default_rng(0)
    table = pa.table({f"x{j}": rng.standard_normal(300_000) for j in range(8)})
    pq.write_table(
        table,
        path,
        use_dictionary=False,
        compression="none",
        write_page_checksum=True,
        data_page_size=100_000,
    )
    chunk = pq.read_metadata(path).row_group(0).column(3)
    with path.open("r+b") as file:
        file.seek(chunk.data_page_offset + chunk.total_compressed_size // 2)
        file.write(b"\xff" * 5_000)
    source = open_source(path, options=ReadOptions(on_error="skip"))
    each = [list(source.batches(in_flight=in_flight)) for in_flight in (1, 2, 4, 8)]
    counts = [sum(batch.rows.num_rows for batch in batches) for batches in each]
    assert len(set(counts)) == 1
    assert 65_000 < counts[0] < 150_000
    assert all(sum(len(batch.skipped) for batch in batches) == 1 for batches in each)


def test_columns_that_are_not_asked_for_do_not_matter(tmp_path):
    """Nested columns, names with dots and damage elsewhere are no obstacle to reading the others; types stay what they are."""
    table = pa.table(
        {
            "a": pa.array(range(N), pa.decimal128(9, 2)),
            "a.b": pa.array(["x", "y"] * (N // 2)).dictionary_encode(),
            "nested": [{"b": [1, 2]}] * N,
            "when": pa.array(range(N), pa.time64("us")),
            "nothing": pa.nulls(N),
            "half": pa.array(np.arange(N, dtype=np.float16)),
            "bytes": [b"\xff"] * N,
        }
    )
    path = damaged(write(tmp_path / "a.parquet", table), 0, column=table.column_names.index("nested"))
    columns = ["half", "nothing", "when", "a.b", "a", "bytes"]
    expected = table.select(columns).cast(
        pa.schema([(name, pa.float32() if name == "half" else table[name].type) for name in columns])
    )
    assert read(path, columns).equals(expected)
    assert read(path, ["a"]).equals(table.select(["a"]))


def test_two_columns_of_one_name_are_an_error(tmp_path):
    """Which of the two is meant could not be said."""
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(InputError, match="several columns called 'a'"):
        open_source(table)
    with pytest.raises(InputError, match=r"b\.parquet' has several columns called 'a'"):
        open_source(write(tmp_path / "b.parquet", table))


def test_the_row_numbers_of_pandas_are_no_column(tmp_path):
    """What pandas writes for the index of rows that were picked is no feature, and files with and without it go together."""
    frame = pd.DataFrame({"a": np.arange(N), "b": 1.5})
    picked = pa.Table.from_pandas(frame.loc[[1, 2, 5]])
    assert "__index_level_0__" in picked.column_names
    named = pa.Table.from_pandas(frame.loc[[3, 1, 7]].rename_axis("row"))
    for write_, ending in ((pq.write_table, "parquet"), (feather.write_feather, "feather")):
        write_(picked, tmp_path / f"a.{ending}")
        write_(pa.Table.from_pandas(frame), tmp_path / f"b.{ending}")
        assert read(f"{tmp_path}/*.{ending}").num_rows == N + 3
        assert read(f"{tmp_path}/*.{ending}").column_names == ["a", "b"]
        write_(named, tmp_path / f"named.{ending}")
        assert read(tmp_path / f"named.{ending}").column_names == ["a", "b", "row"]
    assert read(picked).column_names == ["a", "b"]
