"""Sources of text: where records end, what types columns have, and what happens to what cannot be read."""

from __future__ import annotations

import bz2
import csv
import datetime as dt
import gzip
import io
import json
import os
import threading
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_svmlight_file

from fallline.data.sources import ReadOptions, open_source, text
from fallline.data.sources.dialect import Dialect, cut_records, find_records, texts
from fallline.data.sources.options import Known
from fallline.data.sources.typed import convert, guess_type
from fallline.errors import FalllineWarning, InputError, ParameterError

UTC = dt.UTC


def naive(*numbers):
    """A time without a zone."""
    return dt.datetime(*numbers)  # noqa: DTZ001


def rows_of(source, **settings):
    return pa.Table.from_batches([batch.rows for batch in source.batches(**settings)], source.schema)


@pytest.fixture
def opened(tmp_path):
    """To be called with the content of a file: what is read from it."""

    def open_(content, name="table.csv", **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return open_source(str(path), options=ReadOptions(**options))

    return open_


def read(opened, content, name="table.csv", **options):
    return rows_of(opened(content, name, **options)).to_pydict()


def late(header, row, strange):
    """A table of many rows, of which one that no sample shows, row 100,001, is like no other."""
    rows = [row.format(i) for i in range(300_000)]
    rows[100_000] = strange
    return "\n".join([header, *rows, ""])


def error(opened, content, name="table.csv", **options):
    with pytest.raises(InputError) as caught:
        rows_of(opened(content, name, **options))
    return str(caught.value)


def skipped(opened, content, name="table.csv", **options):
    """What is read, and the numbers of the rows left out."""
    source = opened(content, name, on_error="skip", **options)
    batches = list(source.batches())
    table = pa.Table.from_batches([batch.rows for batch in batches], source.schema)
    return table.to_pydict(), [row.row for batch in batches for row in batch.skipped]


# Where records end


MARKS = st.lists(st.sampled_from([*'a";, ', "\n", "\r", "\r\n", '""', ',"', '",']), max_size=60).map("".join)


def python_rows(content):
    """The records as Python's csv module has them; empty lines are none."""
    return [row for row in csv.reader(io.StringIO(content, newline=""), strict=False) if row]


def our_rows(content):
    records = find_records(Dialect(), content.encode(), 1)
    rows = []
    for number, count in enumerate(records.fields.tolist()):
        names = [str(column) for column in range(count)]
        row = texts(Dialect(), records.take(np.array([number])), names, names)
        rows.append([column[0].as_py() if row.num_rows else "" for column in row.columns])
    return rows


@settings(deadline=None, max_examples=500)
@given(content=MARKS)
@example('a,"b\n""c",d\r\n"",x"y"z\n')
def test_records_are_those_of_the_csv_module(content):
    """Quotes, doubled quotes, line breaks within them and line ends of every kind: as Python's own reader understands them."""
    if not closes(content):
        return
    assert our_rows(content) == python_rows(content)


def closes(content):
    """Whether every quote that opens a field closes again."""
    return len(python_rows(content + "\nend")) == len(python_rows(content)) + 1


@settings(deadline=None, max_examples=500)
@given(content=MARKS)
def test_a_cut_is_between_records(content):
    """The records before a cut and after it are those of the whole, whether the text goes on or not."""
    data = content.encode()
    after, open_at = cut_records(Dialect(), memoryview(data))
    assert our_rows(content[:after]) + our_rows(content[after:]) == our_rows(content)
    assert (open_at < 0) == closes(content)
    assert after <= len(data) if open_at < 0 else after <= open_at
    assert after == 0 or data[after - 1 : after] == b"\n"


@settings(deadline=None)
@given(
    rows=st.lists(st.lists(st.text('a,"\n ', max_size=20), min_size=2, max_size=2), min_size=1, max_size=40),
    size=st.integers(1, 300),
)
def test_chunks_hold_whole_records_and_can_be_come_back_to(rows, size, tmp_path_factory):
    """Whatever the size of chunks: together they are the file, each begins with a record, and each can be begun with."""
    path = tmp_path_factory.mktemp("chunks") / "a.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    stream = pa.OSFile(str(path))
    found = list(chunks_of(stream, path, 0, size))
    assert b"".join(bytes(chunk.data) for chunk in found) == path.read_bytes()
    assert [row for chunk in found for row in our_rows(bytes(chunk.data).decode())] == python_rows(
        path.read_bytes().decode()
    )
    for before, chunk in pairwise(found):
        again = next(chunks_of(stream, path, before.after, size))
        assert (again.offset, bytes(again.data)) == (chunk.offset, bytes(chunk.data))


def chunks_of(stream, path, start, size):
    whole = text.Text(stream, None, None, 0, path.stat().st_size)
    return text.chunks(whole, lambda data: cut_records(Dialect(), data), start, size)


# What a table is


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("a,b\n1,x\n2,y\n", ["a", "b"]),
        ("1,x\n2,y\n", ["x0", "x1"]),
        ("a\tb\n1\tx,y\n2\ty\n", ["a", "b"]),
        ("a;b\n1,5;x\n2,5;y\n", ["a", "b"]),
        ("a|b\n1|x\n2|y\n", ["a", "b"]),
        ("name,city\nAnna,Oslo\nBo,Bergen\n", ["name", "city"]),
        ("p,x,s,p\ne,x,s,y\np,b,s,w\n", ["x0", "x1", "x2", "x3"]),
        ("a, b\n1, 2\n", ["a", "b"]),
        ("a,,a\n1,2,3\n", ["a", "x1", "a.1"]),
        ('"a"\t"b"\n"1"\t2\n', ["a", "b"]),
        ("a,b\n1,2\n", ["a", "b"]),
        ("x y\n1 2\n3 4\n", ["x", "y"]),
        ("  18.0   8   307.0\n  15.0   10  350.0\n", ["x0", "x1", "x2"]),
        ("a,b\n1,2,\n3,4,\n", ["a", "b"]),
        ("only\n1\n2\n", ["only"]),
        ("0,1,2\n0.5,1,7\n1,2,3.5\n", ["0", "1", "2"]),
        ("name,1960,1961,1962\na,4,5,7\nb,8,9,2\n", ["name", "1960", "1961", "1962"]),
        ("name,1960,1961,1962\na,4,5,6\nb,8,9,2\n", ["name", "1960", "1961", "1962"]),
        (
            ",".join(map(str, range(12))) + "\n" + ",".join("531453145314") + "\n",
            [str(place) for place in range(12)],
        ),
        ("1,2,3\n25,167,1\n9,1,7\n", ["x0", "x1", "x2"]),
        ("5.1,1,2,3,0.5,x\n4.2,2,2,1,0.7,y\n", [f"x{place}" for place in range(6)]),
        ("a,1,2,3,0.5\nb,7,1,3,0.5\n", [f"x{place}" for place in range(5)]),
        ("1960,1961,1962\n1970,1971,1972\n9,1,7\n", ["x0", "x1", "x2"]),
        ("31,32,33\n9.5,1,7\n", ["x0", "x1", "x2"]),
        ("1," + "2" * 5000 + ",3\n9,1,7\n", ["x0", "x1", "x2"]),
        ("k1,,,,\nk2,,,,\nk3,a,b,c,d\nk4,e,f,g,h\n", [f"x{place}" for place in range(5)]),
        ("\ufeffa,b\n1,2\n", ["a", "b"]),
        ("a,b\r1,2\r3,4\r", ["a", "b"]),
    ],
)
def test_delimiter_and_header_are_found(opened, content, columns):
    """What is between columns, and whether the first line names them, is seen from the file."""
    source = opened(content)
    assert source.schema.names == columns
    lines = [line for line in content.replace("\r", "\n").split("\n") if line]
    assert len(rows_of(source)) == len(lines) - (not columns[0].startswith("x0"))


@pytest.mark.parametrize(
    ("line", "mark"), [("sep=;\n", ";"), ("\ufeffSEP=,\r\n", ","), ('"sep=\t"\r', "\t"), ("sep=:\n", ":")]
)
def test_a_first_line_may_say_the_delimiter(line, mark, opened):
    """As Excel has it: it is no header and no row."""
    source = opened(f"{line}a{mark}b\n1.5{mark}x\n2{mark}y\n")
    assert source.schema.names == ["a", "b"]
    assert rows_of(source)["a"].to_pylist() == [1.5, 2]
    assert "row 2: it has 1 field" in error(opened, f"{line}a{mark}b\n1.5{mark}x\n2\n3{mark}z\n")


def test_what_is_said_is_not_guessed(opened):
    """Header and delimiter can be given where the guess is wrong."""
    assert read(opened, "1990,1991\n1,2\n", header=True) == {"1990": [1], "1991": [2]}
    assert read(opened, "a,b\nc,d\n", header=False) == {"x0": ["a", "c"], "x1": ["b", "d"]}
    content = "name,,,\nn,1960,1961,1962\na,4,5,6\nb,8,9,2\nc,1,2,2\n"
    assert len(read(opened, content, header=False)["x0"]) == 5
    assert list(read(opened, content, header=True)) == ["name", "x1", "x2", "x3"]
    assert read(opened, "a,b;c\n1,2;3\n", delimiter=",") == {"a": [1], "b;c": ["2;3"]}
    assert read(opened, 'a,b\n"x,1\n"y,2\n', quotes=False) == {"a": ['"x', '"y'], "b": [1, 2]}
    assert read(opened, "zip,b\n01234,1\n00001,2\n", text_columns=("zip",))["zip"] == ["01234", "00001"]
    assert read(opened, "a,b\n-9,x\n1,missing\n", missing=("-9", "missing")) == {
        "a": [None, 1],
        "b": ["x", None],
    }


@pytest.mark.parametrize(
    ("texts_", "type_", "values"),
    [
        (["1", "-2", "+3", ""], pa.int64(), [1, -2, 3, None]),
        (["1", "2.5", "1e3", "NA"], pa.float64(), [1, 2.5, 1000, None]),
        ([" 1", "2 ", " ? ", "-"], pa.int64(), [1, 2, None, None]),
        (["true", "False", "TRUE", "nan"], pa.bool_(), [True, False, True, None]),
        (["2020-01-31", "NULL"], pa.date32(), [dt.date(2020, 1, 31), None]),
        (
            ["2020-01-31 10:30:00.5", "2020-01-31"],
            pa.timestamp("us"),
            [naive(2020, 1, 31, 10, 30, 0, 500000), naive(2020, 1, 31)],
        ),
        (
            ["2020-01-31T10:30:00Z", "2020-01-31T10:30:00+02:00"],
            pa.timestamp("us", "UTC"),
            [
                dt.datetime(2020, 1, 31, 10, 30, tzinfo=UTC),
                dt.datetime(2020, 1, 31, 8, 30, tzinfo=UTC),
            ],
        ),
        (
            ["2020-01-31 10:30:00 UTC", "2019-12-01 00:00:01 UTC"],
            pa.timestamp("us"),
            [naive(2020, 1, 31, 10, 30), naive(2019, 12, 1, 0, 0, 1)],
        ),
        (
            ["31/Jan/2020:10:30:00", "01/Dec/2019:00:00:01"],
            pa.timestamp("us"),
            [naive(2020, 1, 31, 10, 30), naive(2019, 12, 1, 0, 0, 1)],
        ),
        (
            ["20200131T000000", "20191201T000001"],
            pa.timestamp("us"),
            [naive(2020, 1, 31), naive(2019, 12, 1, 0, 0, 1)],
        ),
        (
            ["1/31/2020 1:02:03 PM", "12/1/2020 12:00:00 AM"],
            pa.timestamp("us"),
            [naive(2020, 1, 31, 13, 2, 3), naive(2020, 12, 1)],
        ),
        (
            ["31/1/20", "1/2/20"],
            pa.timestamp("us"),
            [naive(2020, 1, 31), naive(2020, 2, 1)],
        ),
        (["10:30", "23:59:59"], pa.time32("s"), [dt.time(10, 30), dt.time(23, 59, 59)]),
        (["1", "x"], pa.string(), ["1", "x"]),
        (["+", "-", "?"], pa.string(), ["+", "-", None]),
        (["2020-01-31", "soon"], pa.string(), ["2020-01-31", "soon"]),
        (["9" * 18, "1"], pa.int64(), [10**18 - 1, 1]),
        (["9" * 30, "1"], pa.float64(), [1e30, 1]),
    ],
)
def test_types_are_found(opened, texts_, type_, values):
    """Numbers, booleans, dates and times in the usual notations, with what stands for a missing value; all else is text."""
    source = opened("a,b\n" + "".join(f"{value},z\n" for value in texts_))
    assert source.schema.field("a").type == type_
    assert rows_of(source)["a"].to_pylist() == values


def test_decimal_commas(opened):
    """Where a comma is not between columns, it may be in numbers."""
    assert read(opened, "a;b;c\n1,5;x,y;1\n-0,25;z;2\n3;;3\n") == {
        "a": [1.5, -0.25, 3],
        "b": ["x,y", "z", None],
        "c": [1, 2, 3],
    }
    assert read(opened, "a;b;c\n1.5;1.2.3;x\n2.5;2.123.456;y\n")["a"] == [1.5, 2.5]


@pytest.mark.parametrize("nothing", ["0000-00-00", "0000-00-00 00:00:00", "\\N"])
def test_days_that_databases_write_for_none(nothing, opened):
    """They are missing among dates; among texts they stay what they are."""
    days = ["2020-02-03", nothing, "2020-02-04"]
    found = read(
        opened, "day,word\n" + "".join(f"{day},{word}\n" for day, word in zip(days, "abc", strict=True))
    )
    assert found["day"] == [dt.date(2020, 2, 3), None, dt.date(2020, 2, 4)]
    assert read(opened, f"a,word\n1,x\n2,{nothing}\n3,y\n")["word"] == ["x", nothing, "y"]


@pytest.mark.parametrize("header", [";a;b", "c;a;b", "a;b;b"], ids=["unnamed", "as-a-value", "twice"])
def test_a_header_over_decimal_commas(header, opened):
    """As pandas writes its index, named like a value, or double: columns of numbers tell it with either mark."""
    source = opened(header + "\n" + "".join(f"{'cd'[i % 2]};{i},5;-0,{i}\n" for i in range(9)))
    assert source.schema.types == [pa.string(), pa.float64(), pa.float64()]
    assert source.schema.names[1] in {"a", "b"}


def test_dots_set_thousands_apart_where_commas_are_decimal(opened):
    """A dot beside decimal commas parts groups of three digits, seen in the sample or not; elsewhere it is a mistake."""
    assert read(opened, "a;b;c\n6.864;2,81;-1.234.567,5\n864;,5;3708,57\n1.000;3;-\n") == {
        "a": [6864, 864, 1000],
        "b": [2.81, 0.5, 3],
        "c": [-1234567.5, 3708.57, None],
    }
    assert rows_of(opened(late("a;b", "{},5;t", "1.234;t")))["a"][100_000].as_py() == 1234
    found = error(opened, late("a;b", "{},5;t", "1.5;t"))
    assert "row 100,001: column 'a': '1.5' is not a number" in found


@pytest.mark.parametrize(
    ("delimiter", "written", "numbers"),
    [
        (",", ["$1,200.00", "$85.5", "-$3", "0", "$ 7"], [1200, 85.5, -3, 0, 7]),
        (";", ["1.200,50 €", "85,5 €", "-3", "7€"], [1200.5, 85.5, -3, 7]),
        (",", ["13.56%", "7 %", "NA", "-1,000%"], [13.56, 7, None, -1000]),
        (",", ["1,234", "987", "12,345,678.5", "1e3"], [1234, 987, 12345678.5, 1000]),
        (";", ["1 234,5", "1\xa0000\u202f000,5", "12"], [1234.5, 1000000.5, 12]),
        (";", ["1,459", "1,5", "12,304"], [1.459, 1.5, 12.304]),
        (",", ["1'234.5", "-1'000'000", "12"], [1234.5, -1e6, 12]),
        (",", ["13%", "0.05", "7%"], None),
        (",", ["$13", "€5", "$7"], None),
        (",", ["1,2", "12,3", "1,234"], None),
        (",", ["01,234", "1,23,456"], None),
    ],
)
def test_numbers_with_marks(delimiter, written, numbers, opened):
    """Currencies, percent signs and marks between thousands are no part of a number; where units are mixed, it is text."""
    content = f"a{delimiter}b\n" + "".join(f'"{value}"{delimiter}x\n' for value in written)
    expected = written if numbers is None else numbers
    assert read(opened, content)["a"] == expected
    if delimiter == ",":
        lines = "".join(json.dumps({"a": value}) + "\n" for value in written)
        assert read(opened, lines, "a.jsonl") == {"a": expected}


@pytest.mark.parametrize(
    ("written", "numbers"),
    [
        (["($1,234.50)", "$3"], [-1234.5, 3]),
        (["₹1,25,000", "₹12,34,567"], [125000, 1234567]),
        (["EUR 1200", "CHF 7"], None),
        (["EUR 1'200.50", "EUR 7"], [1200.5, 7]),
        (["−300", "1’234"], [-300, 1234]),
        (["$3.459", "$2.999"], [3.459, 2.999]),
        (["(1)", "(2)"], None),
        (["1 234,500", "5"], None),
        (["555 123 456", "555 123 457", "212 555 123", "917 555 222", "646 111 222"], None),
        (["02134", "90210"], None),
        (["0930", "1200"], [930, 1200]),
    ],
)
def test_what_is_a_number_and_what_is_not(written, numbers, opened):
    """Brackets mean a loss beside a currency; telephones, codes with leading zeros and mixed marks are text."""
    content = "a,b\n" + "".join(f'"{value}",x\n' for value in written)
    assert read(opened, content)["a"] == (written if numbers is None else numbers)


def test_numbers_and_dates_beside_each_other(opened):
    """A column's notation is its own."""
    found = read(opened, "x,when,y\n0.5,31.12.2015,1.5%\n1.5,30.12.2015,2%\n")
    assert found == {"x": [0.5, 1.5], "when": [naive(2015, 12, 31), naive(2015, 12, 30)], "y": [1.5, 2]}


PRICES = "m;price\na;901 €\nb;1.101 €\n"


def test_thousands_without_decimals(opened):
    """Beside 901 € and between semicolons, 1.101 € is more than a thousand, unless a plan knows better."""
    assert read(opened, PRICES)["price"] == [901, 1101]
    assert read(opened, PRICES, decimal=".")["price"] == ["901 €", "1.101 €"]
    assert read(opened, "m;km\na;1.500\nb;2.000\n")["km"] == [1.5, 2]
    assert read(opened, "m;km\na;1.500\nb;2.000\n", decimal=",")["km"] == [1500, 2000]


def test_files_that_tell_the_decimal_mark_decide_for_others(folder):
    """One file of a set has decimal commas; in the others, 1.500 is more than a thousand."""
    source = open_source(folder(a_csv="m;km\na;1.500\nb;2.000\n", b_csv="m;km\na;1.500,5\nb;2.000\n"))
    assert rows_of(source)["km"].to_pylist() == [1500, 2000, 1500.5, 2000]
    assert source.decimal == ","


def test_a_percent_sign_in_one_file_only(folder):
    """A number without one is another number."""
    with pytest.raises(
        InputError, match=r"'a' of '.*b.csv' is written as '%', and of '.*a.csv' as '1 000' or"
    ):
        open_source(folder(a_csv="a\n0.05\n0.07\n", b_csv="a\n5%\n7%\n"))


def test_years_of_two_digits(opened):
    """They are those from 1950 to 2049; in a column of four digits, they are mistakes."""
    found = read(opened, "a\n25/12/50\n24/12/49\n23/12/68\n")["a"]
    assert [when.year for when in found] == [1950, 2049, 1968]
    rows = "".join(f"12/{day:02}/2015\n" for day in range(1, 29)) * 4
    assert "row 113: column 'a': '12/25/15' is not a date" in error(opened, f"a\n{rows}12/25/15\n")


def test_notations_that_there_are_not(opened):
    """A plan may be edited."""
    with pytest.raises(ParameterError, match="notation 'dollars', which is none of numbers"):
        opened("a\n$5\n", known=(Known("a", "double", "dollars"),))


def test_marks_of_numbers_seen_late(opened):
    """Marks between thousands are read where the sample has none; a percent sign there is another unit, and a mistake."""
    assert rows_of(opened(late("a", "{}.5", '"1,234"')))["a"][100_000].as_py() == 1234
    assert "row 100,001: column 'a': '5%' is not a number" in error(opened, late("a", "{}.5", "5%"))


@pytest.mark.parametrize(
    "written", ["Dec-2015 Jan-2003", "Dec-15 Jan-03", "2015-12 2003-01", "12/2015 01/2003"]
)
def test_months(written, opened):
    """A month and a year are the first of the month."""
    content = "a\n" + "".join(f"{value}\n" for value in written.split())
    assert read(opened, content)["a"] == [naive(2015, 12, 1), naive(2003, 1, 1)]


@pytest.mark.parametrize(
    ("row", "read_", "text"),
    [("1,5;0.125;t", "1,5", "0.125"), ("1,5;1.5;2.5", "1.5", "1,5"), ("1,5;1.5;2,5", "1,5", "1.5")],
)
def test_commas_beside_points_are_said(row, read_, text, opened):
    """Where some columns have decimal commas and others points, those that are more are numbers, and the others are named."""
    with pytest.warns(FalllineWarning, match=f"as in '{read_}'; '[abc]' and others like it are read as text"):
        found = read(opened, f"a;b;c\n{row}\n{row}\n")
    assert [text] * 2 in found.values()
    assert [float(read_.replace(",", "."))] * 2 in found.values()


def test_blanks_and_missing_values_of_text(opened):
    """Blanks around text go where the file has them everywhere; texts that mean "missing" are missing then, too."""
    assert read(opened, "a, b\nx, ?\ny , z\n1,  NA\n") == {"a": ["x", "y", "1"], "b": [None, "z", None]}
    assert read(opened, "a,b\nx,?\n,\n") == {"a": ["x", None], "b": [None, None]}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_encodings(opened, encoding, name):
    """A byte order mark says it, or the user does."""
    content = "näme,value\nÅse,1\nZoë,2\n".encode(encoding)
    given = None if encoding in {"utf-8-sig", "utf-16"} else encoding
    found = read(opened, gzip.compress(content) if name.endswith("gz") else content, name, encoding=given)
    assert found == {"näme": ["Åse", "Zoë"], "value": [1, 2]}


def test_types_are_seen_at_the_end_of_a_file(opened):
    """A column that turns out to hold fractions or text late in the file has that type from the start."""
    n = 200_000
    lines = [f"{i % 10},{i},a{i}" for i in range(n)]
    lines[-9000:] = [f"{i}.5,x,3" for i in range(9000)]
    source = opened("a,b,c\n" + "\n".join(lines) + "\n")
    assert source.schema.types == [pa.float64(), pa.string(), pa.string()]
    assert len(rows_of(source)) == n


def test_quoted_lines_do_not_confuse_the_sample(opened):
    """A look into the middle of a file finds rows, even if it begins within quotes that hold what looks like rows."""
    rows = "".join(f'{i},"text\n{i},b,c\n{i},d,e",{i}.5\n' for i in range(60_000))
    source = opened("a,b,c\n" + rows)
    assert source.schema.types == [pa.float64(), pa.string(), pa.float64()]
    table = rows_of(source)
    assert len(table) == 60_000
    assert table["b"][59_999].as_py() == "text\n59999,b,c\n59999,d,e"
    assert set(source.sample()["b"].to_pylist()) <= set(table["b"].to_pylist())


def test_codes_stay_whole_and_measurements_may_have_fractions(opened):
    """In a large file, whole numbers that repeat are whole; those that do not may have a fraction where nobody looked."""
    n = 300_000
    lines = [f"{i % 7},{i}" for i in range(n)]
    lines[n // 20] = "3.0,0.5"
    source = opened("a,b\n" + "\n".join(lines) + "\n")
    assert source.schema.types == [pa.int64(), pa.float64()]
    table = rows_of(source)
    assert (table["a"][n // 20].as_py(), table["b"][n // 20].as_py()) == (3, 0.5)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.one_of(
            st.integers(-(2**62), 2**62).map(str),
            st.floats(allow_nan=False).map(repr),
            st.sampled_from(["", "x", "1.", "+7", " 8 ", "1e2", "-", "true", "2020-01-01", "0x1", "1_0"]),
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("us")]),
)
def test_conversion_leaves_no_value_behind(values, type_):
    """A text becomes a value of the type or is told to be none; the others are what they are alone."""
    array = pa.array([value.strip() or None for value in values], pa.string())
    found, bad = convert(array, type_)
    for i in range(len(array)):
        alone, is_bad = convert(array[i : i + 1], type_)
        assert alone.equals(found[i : i + 1])
        assert is_bad[0] == bad[i] == (array[i].is_valid and not found[i].is_valid)
    if not bad.any() and type_ == guess_type(array.drop_null(), ".", whole=True).type:
        assert found.null_count == array.null_count


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("%d/%m/%Y", "30/02/2013"),
        ("%d/%b/%Y:%H:%M:%S", "31/Apr/2013:10:30:00"),
        ("%Y-%m-%d %H:%M:%S UTC", "2013-02-29 17:26:21 UTC"),
        ("%Y-%m-%d", "2013-02-29"),
    ],
    ids=["slashes", "server", "UTC", "ISO"],
)
def test_days_that_there_are_not(opened, good, bad):
    """They are errors in every notation, and no days of the month after."""
    days = [dt.datetime(2012, 2, 1) + dt.timedelta(days=day, seconds=29) for day in range(300)]  # noqa: DTZ001
    values = [day.strftime(good) for day in days]
    content = "\n".join(["when,x", *(f"{value},{row}" for row, value in enumerate(values)), ""])
    found = read(opened, content)["when"]
    assert [(day.month, day.day) for day in found] == [(day.month, day.day) for day in days]
    said = error(opened, f"{content}{bad},300\n")
    assert f"row 301: column 'when': {bad!r}" in said


def test_each_column_of_dates_has_a_notation_of_its_own(opened):
    """Month before day in one column and day before month in the next do not mix; a date in a third way is an error."""
    rows = "".join(f"1/{day}/2020,{day}/1/2020,{day}-Jan-2020,t{day}\n" for day in range(1, 29))
    found = read(opened, "a,b,c,d\n" + rows)
    days = [naive(2020, 1, day) for day in range(1, 29)]
    assert found == {"a": days, "b": days, "c": days, "d": [f"t{day}" for day in range(1, 29)]}
    lines = [f"1/{1 + i % 28}/2020,{1 + i % 28}/1/2020\n" for i in range(300_000)]
    lines[100_000] = "1/1/2020,1/31/2020\n"
    said = error(opened, "a,b\n" + "".join(lines))
    assert "row 100,001: column 'b': '1/31/2020' is not a date and time" in said


@pytest.fixture
def folder(tmp_path):
    """To be called with the contents of files by their names: the folder that they lie in."""

    def folder_(**contents):
        for name, content in contents.items():
            (tmp_path / name.replace("_", ".")).write_text(content)
        return str(tmp_path)

    return folder_


DAY_FIRST = {
    f"day{day:02}_csv": f"when,x\n{day:02}/03/2023,{day}\n{day:02}/03/2023,1\n" for day in range(1, 32)
}


@pytest.mark.parametrize(
    "files",
    [
        DAY_FIRST,
        {
            name.replace("csv", "jsonl"): json.dumps({"when": text[7:17]}) + "\n"
            for name, text in DAY_FIRST.items()
        },
        {
            "a_csv": "when,x\n05/03/2023,1\n",
            "b_csv": "when,x\n2023-03-05,1\n",
            "c_csv": "when,x\n,1\n",
            "d_csv": "when,x\n25/03/2023,1\n",
        },
    ],
)
def test_dates_are_written_alike_in_all_files(files, folder):
    """A file whose days may be months is read as the others are, by which it is told; what was found holds for further files."""
    source = open_source(folder(**files))
    assert source.notations == {"when": "%d/%m/%Y"}
    for found in (rows_of(source), source.sample()):
        assert {each.month for each in found["when"].to_pylist() if each} == {3}


def test_dates_that_contradict_each_other(folder):
    """Files of which one has the month first and another the day are named; as text they can be read; years keep their digits."""
    place = folder(a_csv="d\n01/02/2023\n", b_csv="d\n13/02/2023\n", c_csv="d\n02/13/2023\n")
    with pytest.raises(
        InputError, match=r"'d' of '.*c.csv' is written as '%m/%d/%Y', and of '.*b.csv' as '%d/%m/%Y'. Write"
    ):
        open_source(place)
    assert len(rows_of(open_source(place, options=ReadOptions(text_columns=("d",))))) == 3
    with pytest.raises(InputError, match="is written as '%Y/%m/%d', and of"):
        open_source(folder(a_csv="d\n01/02/23\n", b_csv="d\n2001/02/03\n", c_csv="d\n2001/02/03\n"))


# What cannot be read


def numbers(n):
    return [f"{i}.5,{i % 5},t{i % 3}" for i in range(n)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("abc,1,t", r"row 70,001: column 'x': 'abc' is not a number, as in the rows sampled"),
        ("1,2.5,t", r"row 70,001: column 'k': '2.5' is not a whole number"),
        ("1,2", r"row 70,001: it has 2 fields, where the table has 3 columns"),
        ("1,2,3,4", r"row 70,001: it has 4 fields, where the table has 3 columns"),
    ],
)
def test_a_row_that_does_not_fit_is_named(opened, line, message):
    """A late value of another type, or a row of another length, is an error with file and row; or left out alone."""
    lines = numbers(200_000)
    lines[70_000] = line
    content = "x,k,t\n\n" + "\n".join(lines) + "\n\n"
    said = error(opened, content)
    assert "table.csv', row 70,001: " in said
    assert message.partition(": ")[2] in said
    assert "--on-error skip" in said
    rows, left_out = skipped(opened, content)
    assert left_out == [70_001]
    assert rows["x"] == [i + 0.5 for i in range(200_000) if i != 70_000]


def test_a_few_mistakes_do_not_make_numbers_text(opened):
    """Of a column of numbers with a mistake the mistake is told, though the look at the file has seen it."""
    lines = [str(i) + ",a" for i in range(500)]
    lines[300] = "oops,a"
    assert "row 301: column 'x': 'oops' is not" in error(opened, "x,y\n" + "\n".join(lines))
    assert skipped(opened, "x,y\n" + "\n".join(lines))[1] == [301]


def test_a_quote_that_never_closes(opened, monkeypatch):
    """The row where it opens is told, however long the file; left out, it is the only row that is."""
    monkeypatch.setattr(text, "LONGEST_RECORD", 1 << 18)
    lines = [f'{i},"t{i}"' for i in range(50_000)]
    lines[40_000] = '40000,"open'
    lines[40_001:] = [f"{i},t{i}" for i in range(40_001, 50_000)]
    content = "a,b\n" + "\n".join(lines) + "\n"
    said = error(opened, content)
    assert "row 40,001: a quote opens at character 7 that does not close" in said
    rows, left_out = skipped(opened, content)
    assert left_out == [40_001]
    assert len(rows["a"]) == 49_999


def test_a_line_without_an_end(opened, monkeypatch):
    """What is too long for a row is not read into memory in the hope of its end."""
    monkeypatch.setattr(text, "LONGEST_RECORD", 1 << 18)
    content = "a,b\n" + "1,x\n" * 100_000 + "x" * (1 << 20) + "\n"
    for options in ({}, {"on_error": "skip"}):
        assert "row 100,001: a line of more than" in error(opened, content, **options)


def test_bytes_that_are_not_utf8(opened):
    """The row is told, and what may help; given that, it is read."""
    content = b"a,b\n" + b"1,x\n" * 100_000 + b"2,\xe9t\xe9\n" + b"3,z\n"
    said = error(opened, content)
    assert "row 100,001: the byte 0xe9 at character 3 is not UTF-8" in said
    assert "--encoding latin-1" in said
    assert read(opened, content, encoding="latin-1")["b"][-2:] == ["été", "z"]
    assert skipped(opened, content)[1] == [100_001]
    assert "header: the text is not UTF-8" in error(opened, b"\xe9,b\n1,2\n")
    assert "perhaps 'utf-16-le'" in error(opened, "a,b\n1,2\n".encode("utf-16-le"))
    assert "is not utf-16" in error(opened, "a,b\n1,2\n".encode("utf-16")[:-1])


@pytest.mark.parametrize(("name", "compress"), [("a.csv.gz", gzip.compress), ("a.csv.bz2", bz2.compress)])
@pytest.mark.parametrize("options", [{}, {"on_error": "skip"}])
def test_a_compressed_file_that_was_cut_off(opened, name, compress, options):
    """What comes before the place is read; then the error says after which row. No rows are made up, nor left out."""
    rng = np.random.default_rng(0)
    content = compress("".join(f"{x},{i}\n" for i, x in enumerate(rng.random(200_000))).encode())
    said = error(opened, content[: len(content) // 2], name, **options)
    row = int(said.partition("row ")[2].partition(":")[0].replace(",", ""))
    assert 50_000 < row < 110_000
    assert "damaged or cut off" in said
    assert error(opened, content[: len(content) // 2] + b"x" * 1000, name, **options)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.svm"])
def test_files_without_rows(opened, name):
    """Nothing, or nothing but empty lines, or a header alone, is an error that says so."""
    for content in (b"", b"\n\n  \n"):
        said = error(opened, gzip.compress(content) if name.endswith("gz") else content, name)
        assert "empty" in said or "holds nothing" in said
    if ".csv" in name:
        content = b"a,b\n"
        said = error(opened, gzip.compress(content) if name.endswith("gz") else content, name)
        assert "columns but no rows" in said


def test_empty_lines_are_no_rows(opened):
    """At the end or between rows, with blanks or without: empty lines are not counted."""
    assert read(opened, "a,b\n\n1,2\n   \n3,4\n\n\n") == {"a": [1, 3], "b": [2, 4]}
    assert read(opened, 'a\n1\n\n""\n3\n') == {"a": [1, None, 3]}


def test_a_title_before_the_table(opened):
    """A line that is none of the table's is left out, and said to be."""
    with pytest.warns(FalllineWarning, match="not part of the table"):
        found = read(opened, "A table of things\na,b,c\n1,2,3\n4,5,6\n7,8,9\n")
    assert found == {"a": [1, 4, 7], "b": [2, 5, 8], "c": [3, 6, 9]}


@pytest.mark.parametrize(
    "before",
    [
        '"Source","Indicators",\n\n"Updated","2023-07-25",\n\n',
        "A table of things,,,,\n,,,,\n",
        "By:,someone,,,\nA line\n",
    ],
    ids=["office", "spreadsheet", "mixed"],
)
def test_lines_of_few_fields_before_a_header(opened, before):
    """As spreadsheets and statistical offices write them: they are left out, and said to be, if a header comes after them."""
    with pytest.warns(FalllineWarning, match="and 1 more.*left out"):
        found = read(opened, f"{before}name,n,1960,1961,1962\nx,1,2.5,3,9\ny,4,5.5,6,8\nz,7,1.5,2,1\n")
    assert list(found) == ["name", "n", "1960", "1961", "1962"]
    assert found["1960"] == [2.5, 5.5, 1.5]
    assert read(opened, "1,,,,\n2,5,6,,\n3,5,6,7,8\n4,5,6,7,9\n")["x0"] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("before", "after"), [("y,kg\n", ""), ("", "Source: an office,\n")], ids=["units", "footer"]
)
def test_a_first_or_last_value_that_makes_a_column_text_is_said(opened, before, after):
    """In files too small to tell a mistake, one of units or of a footer would otherwise go unseen; others are no mistakes."""
    rows = "".join(f"{2000 + i},{i}.5\n" for i in range(40))
    with pytest.warns(
        FalllineWarning, match="column 'year' is text because of '(y|Source: an office)'; .* int64"
    ):
        assert opened(f"year,weight\n{before}{rows}{after}").schema.field("year").type == pa.string()
    assert opened(f"year,weight\n2000,x\n{rows}2001,y\n").schema.field("weight").type == pa.string()


def test_a_header_that_comes_again(opened):
    """Where files were put together: no name of a column is a value of it, so types are those of the rows, and the row is bad."""
    content = "a,b,c\n1,x,2.5\n3,y,1.5\na,b,c\n4,z,1\n"
    assert "row 3: column 'a': 'a' is not a whole number" in error(opened, content)
    assert skipped(opened, content)[1] == [3]
    content = "a,b\n" + "x,y\nu,y\n" * 100 + "a,b\nx,z\n"
    assert "row 201: it is the header once more" in error(opened, content)
    assert skipped(opened, content)[1] == [201]
    assert read(opened, "word\nsome\nword\nmore\n")["word"] == ["some", "word", "more"]


def test_a_header_that_is_not_of_the_table(opened):
    """More names than fields, or far fewer, is an error at once."""
    assert "names 4 columns in its header, but its rows have 2 fields" in error(
        opened, "a,b,c,d\n1,2\n3,4\n", header=True
    )


def test_names_of_rows_are_said(opened):
    """One field more than the header has is the name of the row, and a warning says so."""
    with pytest.warns(
        FalllineWarning, match="names 2 columns in its header, but its rows have 3 fields.*'x0'"
    ):
        assert read(opened, "a,b\n1,2,3\n4,5,6\n") == {"x0": [1, 4], "a": [2, 5], "b": [3, 6]}


@pytest.mark.parametrize("bad", ["yes,1.5,0,7", 'yes,1.5,0,"7"'])
def test_a_delimiter_after_the_last_field_is_no_column(opened, bad):
    """Rows that end with a delimiter, as the header does not, keep their columns; a value behind it is a bad row."""
    rows = ["yes,1.2,0,", "no,1.3,1,"] * 50_000
    content = "\n".join(["y,x,z", *rows, ""])
    assert read(opened, 'y,x,z\nyes,1.2,0,\n"n,\no",1.3,1,') == {
        "y": ["yes", "n,\no"],
        "x": [1.2, 1.3],
        "z": [0, 1],
    }
    assert list(read(opened, content)) == ["y", "x", "z"]
    rows[60_000] = bad
    content = "\n".join(["y,x,z", *rows, ""])
    assert "row 60,001: it has a value after its last delimiter" in error(opened, content)
    assert skipped(opened, content)[1] == [60_001]


# JSON lines


def test_json_columns(opened):
    """Types as in JSON, dates and numbers found in text, missing keys missing, objects one level flat."""
    rows = [
        {"i": 1, "x": 1, "s": "a", "d": "2020-01-02", "p": "1.50", "in": {"a": 1, "b": None}, "ok": True},
        {"i": None, "x": 2.5, "s": "", "in": {"a": 2, "b": "c"}, "ok": False},
        {"i": 3, "in": None, "more": "m", "p": "NA"},
    ]
    table = rows_of(opened("".join(json.dumps(row) + "\n" for row in rows), "a.jsonl"))
    assert table.to_pydict() == {
        "i": [1, None, 3],
        "x": [1.0, 2.5, None],
        "s": ["a", "", None],
        "d": [dt.date(2020, 1, 2), None, None],
        "p": [1.5, None, None],
        "in.a": [1, 2, None],
        "in.b": [None, "c", None],
        "ok": [True, False, None],
        "more": [None, None, "m"],
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": "abc", "b": "x"}', "column 'a': 'abc' is not a number"),
        (b'{"a": 1, "b": ', "the line is not JSON"),
        (b"[1, 2]", "[1, 2] is not a JSON object"),
        (rb'{"a": 1, "b": "\ud83d"}', r"'\ud83d' is half of a character"),
        (rb'{"a": 1, "b": "x\uDC3d"}', r"'\udc3d' is half of a character"),
        (b'{"a": 1, "b": "\xed\xa0\xbd"}', r"'\ud83d' is half of a character"),
        (b'{"a": 1, "b": "\xe9"}', "the byte 0xe9 at character 16 is not UTF-8"),
        (b'{"a": true, "b": "x"}', "column 'a': 'true' is not a number"),
    ],
)
def test_json_that_cannot_be_read(opened, line, message):
    """A line that is not JSON, or not like the others, is named, or left out alone."""
    lines = [rb'{"a": %d.5, "b": "\ud83d\uDE00"}' % i for i in range(3000)]
    lines[2500] = line
    content = b"\n".join(lines)
    assert f"row 2,501: {message}" in error(opened, content, "a.jsonl")
    rows, left_out = skipped(opened, content, "a.jsonl")
    assert left_out == [2501]
    assert len(rows["a"]) == 2999


def test_json_that_is_no_lines(opened):
    """A list of objects is told apart, with what makes lines of it."""
    assert "one object a line; `jq" in error(opened, '[\n{"a": 1},\n{"a": 2}\n]\n', "a.json")


def test_json_of_mixed_types_is_text(opened):
    """A key that holds text here and numbers there is text; one that turns so later is read as text, too."""
    assert read(opened, '{"a": 1}\n{"a": "x"}\n{"a": null}\n{"a": true}\n', "a.jsonl") == {
        "a": ["1", "x", None, "true"]
    }


@pytest.mark.parametrize("list_", [["q", 1], [1, "q"], [2**70], [[1], {}]])
def test_json_lists_of_mixed_types_are_no_matter_for_other_columns(list_, opened):
    """A list that no type of Arrow holds is text, and its rows are looked at as any others."""
    line = json.dumps({"a": 1, "b": list_})
    source = opened(f"{line}\n" * 3, "a.jsonl")
    assert source.sample().to_pydict() == {"a": [1] * 3, "b": [json.dumps(list_)] * 3}
    assert rows_of(source).equals(source.sample())


# libsvm


def test_libsvm_lines(opened):
    """Blanks, comments, signs, queries and explicit zeros as they come; indices as they stand in the file."""
    content = "+1 1:0.5  3:-2 \n-1.0\t2:1e-3 # said 3:4\n\n# all of it\n2 qid:7 0:0 5:.5\r\n0\n"
    assert read(opened, content, "a.svm") == {
        "label": [1, -1, 2, 0],
        "features": [[(1, 0.5), (3, -2.0)], [(2, float(np.float32(1e-3)))], [(0, 0.0), (5, 0.5)], []],
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("spam 1:2", "'spam' is not a label"),
        ("1,2 1:3", "'1,2' are several labels"),
        ("nan 1:3", "'nan' is not a finite number"),
        ("1 x:3", "the index in 'x:3' is not a whole number"),
        ("1 2.5:3", "the index in '2.5:3' is not a whole number"),
        ("1 -3:4", "the index in '-3:4' is negative"),
        ("1 1000000000000:1", "the index in '1000000000000:1' is larger than 2,147,483,646"),
        ("1 " + "9" * 40 + ":1", "is larger than 2,147,483,646"),
        ("1 1:2 1:3", "the index in '1:3' stands twice in the row"),
        ("1 2:1 1:1", "the index in '1:1' is smaller than the one before it"),
        ("1 1:x", "the value in '1:x' is not a number"),
        ("1 1:", "the value in '1:' is not a number"),
        ("1 1: 2:3", "the value in '1:' is not a number"),
        ("1 1:2:3", "the value in '1:2:3' is not a number"),
        ("1 1:nan", "'1:nan' is not a finite number"),
        ("1 1:-inf", "'1:-inf' is not a finite number"),
        ("1 1:1e39", "'1:1e39' is not a finite number"),
        ("1 1:0x10", "the value in '1:0x10' is not a number"),
        ("1 5", "'5' is not an entry"),
        ("1 \xff", "is not an entry"),
    ],
)
def test_libsvm_that_cannot_be_read(opened, line, message):
    """Each thing that a line can have wrong is named with its row; or the row left out alone."""
    lines = [f"{i % 2} 1:{i} 3:0.5" for i in range(300)]
    lines[200] = line
    content = "\n\n".join(lines).encode("latin-1")
    said = error(opened, content, "a.svm")
    assert "row 201: " in said
    assert message in said
    rows, left_out = skipped(opened, content, "a.svm")
    assert left_out == [201]
    assert [row[0][1] for row in rows["features"]] == [i for i in range(300) if i != 200]
    said = error(opened, line.encode("latin-1") + b"\n", "a.svm")  # where no row can be read
    assert "row 1: " in said
    assert message in said


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "a,b\n" + "1,2\n" * 20_000 + "1\n"),
        ("a.jsonl", '{"a": 1}\n' * 20_000 + "{\n"),
        ("a.svm", "1 1:1\n" * 20_000 + "1 x\n"),
    ],
)
def test_an_error_leaves_no_thread_waiting(opened, name, content):
    """Threads that work ahead end with the error, not when the collector finds them: that could be in a thread that starts."""
    source = opened(content, name)
    with pytest.raises(InputError) as caught:
        rows_of(source)
    assert "row 20,001: " in str(caught.value)
    # What was caught keeps every frame alive, and so whatever nobody closed.
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fallline")]


@settings(deadline=None)
@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=40), st.data()
)
def test_libsvm_numbers(values, data):
    """Numbers in any notation are those that Python reads, to within rounding to 32 bits."""
    from fallline.data.sources.libsvm import parse_chunk

    formats = st.sampled_from(["{!r}", "{:.17e}", "{:+.3f}", "{:g}", "{:.30f}", "{:E}"])
    written = [data.draw(formats).format(value) for value in values]
    line = "1 " + " ".join(f"{i}:{word}" for i, word in enumerate(written)) + "\n"
    parsed = parse_chunk(text.Chunk(memoryview(line.encode()), 0, len(line), len(line)))
    assert parsed.bad == {}
    found = parsed.rows["features"].items.to_numpy()
    with np.errstate(over="ignore"):
        expected = np.array([float(word) for word in written]).astype(np.float32)
    np.testing.assert_array_max_ulp(found, expected, 1)


def test_libsvm_is_recognised(opened):
    """A file without an ending is known for libsvm by its lines."""
    assert read(opened, "-1 3:1 11:1 \n+1 5:1 7:1 \n", "a9a")["label"] == [-1, 1]
    assert read(opened, "\ufeff-1 3:1\n", "a.svm")["label"] == [-1]


# Real files


@pytest.fixture(scope="module")
def real():
    folder = os.environ.get("FALLLINE_DATA")
    if not folder:
        pytest.skip("FALLLINE_DATA does not say where the real data sets are")
    return Path(folder)


def test_adult(real):
    """No header, a blank after each comma, `?` for missing, empty lines at the end, a title in the test file."""
    source = open_source(str(real / "adult/adult.data"))
    table = rows_of(source)
    assert (table.num_rows, table.num_columns) == (32_561, 15)
    assert table["x1"].null_count == 1_836
    assert set(table["x14"].to_pylist()) == {"<=50K", ">50K"}
    with pytest.warns(FalllineWarning, match="1x3 Cross validator"):
        test = rows_of(open_source(str(real / "adult/adult.test")))
    assert test.num_rows == 16_281
    assert set(test["x14"].to_pylist()) == {"<=50K.", ">50K."}


def test_flights(real):
    """`NA` among numbers is missing; so are empty texts; nothing is lost."""
    table = rows_of(open_source(str(real / "nycflights13/flights.csv.gz")))
    assert table.num_rows == 336_776
    assert table["arr_delay"].null_count == 9_430
    assert table["tailnum"].null_count == 2_512
    assert pa.types.is_integer(table["arr_delay"].type)


def test_kdd_cup(real):
    """Two files without headers and with classes of their own have one schema."""
    files = [str(real / "kddcup99_10pct" / name) for name in ("kddcup.data_10_percent.gz", "corrected.gz")]
    source = open_source(files)
    table = rows_of(source)
    assert (table.num_rows, table.num_columns) == (494_021 + 311_029, 42)
    assert len(table["x41"].unique()) == 40
    assert source.schema.field("x1").type == pa.string()


def test_bike_sharing(real, tmp_path):
    """Lines may end in CRLF, and dates are dates."""
    with zipfile.ZipFile(real / "bike_sharing/Bike-Sharing-Dataset.zip") as archive:
        archive.extract("hour.csv", tmp_path)
    table = rows_of(open_source(str(tmp_path / "hour.csv")))
    assert (table.num_rows, table.num_columns) == (17_379, 17)
    assert table["dteday"].type == pa.date32()
    assert table["cnt"].null_count == 0


def test_higgs_and_covertype(real):
    """Tabs without a header, and a compressed file with one."""
    assert rows_of(open_source(str(real / "higgs_sample/binary.train"))).shape == (7_000, 29)
    assert rows_of(open_source(str(real / "covertype/covtype_sample_unscaled.csv.gz"))).shape == (92_962, 55)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("a9a/a9a", 32_561),
        ("a9a/a9a.t", 16_281),
        ("heart_scale/heart_scale", 270),
        ("ijcnn1/ijcnn1.trn.bz2", 49_990),
    ],
)
def test_libsvm_files(real, name, rows):
    """As scikit-learn reads them, but for the numbering of features, which is the file's."""
    table = rows_of(open_source(str(real / name))).combine_chunks()
    X, y = load_svmlight_file(str(real / name), zero_based=True)
    features = table["features"].combine_chunks()
    assert table.num_rows == rows
    np.testing.assert_array_equal(table["label"], y)
    np.testing.assert_array_equal(features.keys, X.indices)
    np.testing.assert_array_equal(features.items, X.data.astype(np.float32))
