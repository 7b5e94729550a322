"""Generated data sets, made in chunks: the same bytes for the same arguments, however large.

python benchmarks/data.py numbers.parquet --rows 30000000      100 float32 columns and a target; 12 GB
python benchmarks/data.py numbers.csv --rows 3400000           the same as text; 4 GB
python benchmarks/data.py mixed.csv --mixed --rows 1500000     what tables really hold; 0.3 GB
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from columns import DATE, FEW, MANY, NUMBERS, TARGET

COLUMNS = 100
ROW_GROUP = 2**20
_CHUNK = 2**16

_MISSING = {"balance": 0.05, "income": 0.12, "score_3": 0.2, "device": 0.03}
_LEVELS = {"country": 30, "channel": 5, "device": 4, "segment": 12, "contract": 3,
           "merchant": 20_000, "customer": 200_000}  # fmt: skip
_FIRST_DAY, _DAYS = np.datetime64("2015-01-01"), 2500


def numbers(rows, seed=0):
    """Tables of 100 normal columns and a target drawn from a logistic model of them."""
    coefficients = np.random.default_rng([seed, 1]).standard_normal(COLUMNS, np.float32) / 5
    names = [f"x{column}" for column in range(COLUMNS)] + [TARGET]
    for chunk, start in enumerate(range(0, rows, _CHUNK)):
        generator = np.random.default_rng([seed, 2, chunk])
        X = generator.standard_normal((COLUMNS, min(_CHUNK, rows - start)), np.float32)
        chances = 1 / (1 + np.exp(-coefficients @ X))
        y = generator.random(X.shape[1]) < chances
        yield pa.table([*map(pa.array, X), pa.array(y.astype(np.int8))], names)


def mixed(rows, seed=0, draw=0):
    """Tables of numbers, some missing, categories of few and of many levels, a date, and a target that all of them bear on.

    Another `draw` from the same `seed` is another sample of the same population: a test set.
    """
    model = np.random.default_rng([seed, 3])
    slopes = dict(zip(NUMBERS, model.normal(0, 0.35, len(NUMBERS)), strict=True))
    effects = {name: model.normal(0, 0.5, levels) for name, levels in _LEVELS.items()}
    popularity = {name: _popularity(levels) for name, levels in _LEVELS.items()}
    for chunk, start in enumerate(range(0, rows, _CHUNK)):
        generator = np.random.default_rng([seed, 4, draw, chunk])
        yield _mixed_chunk(generator, min(_CHUNK, rows - start), slopes, effects, popularity)


def _popularity(levels):
    shares = 1 / (10 + np.arange(levels))
    return np.cumsum(shares) / shares.sum()


def _mixed_chunk(generator, rows, slopes, effects, popularity):
    score = np.full(rows, -0.7)
    columns = {}
    for name in NUMBERS:
        normal = generator.standard_normal(rows)
        missing = generator.random(rows) < _MISSING.get(name, 0)
        score += np.where(missing, 0.4, slopes[name] * normal)
        columns[name] = pa.array(_as_recorded(name, normal), mask=missing)
    for name in (*FEW, *MANY):
        codes = np.searchsorted(popularity[name], generator.random(rows)).clip(max=_LEVELS[name] - 1)
        missing = generator.random(rows) < _MISSING.get(name, 0)
        score += np.where(missing, 0.4, effects[name][codes])
        levels = pa.array([f"{name[:2]}{level}" for level in range(_LEVELS[name])])
        codes = pa.array(codes.astype(np.int32), mask=missing)
        columns[name] = pa.DictionaryArray.from_arrays(codes, levels).cast(pa.string())
    days = generator.integers(0, _DAYS, rows)
    score += 0.5 * (days / _DAYS - 0.5) + 0.4 * (days % 7 < 2)
    columns[DATE] = pa.array((_FIRST_DAY + days).astype("datetime64[D]"))
    columns[TARGET] = pa.array((generator.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int8))
    return pa.table(columns)


def _as_recorded(name, normal):
    """Such scales, skews and digits as tables have."""
    if name in {"amount", "income"}:
        return np.round(np.exp(0.5 * normal + 7), 2)
    if name in {"age", "visits"}:
        return np.round(12 * normal + 45).clip(0, 99).astype(np.int64)
    return np.round(normal * 250 + 1000, 1) if name in {"balance", "duration"} else np.round(normal, 4)


def sorted_by_target(make):
    """Rows of the first class, then those of the second; `make` is called once for each."""
    for value in (0, 1):
        for table in make():
            yield table.filter(pc.equal(table[TARGET], value))


def write_parquet(path, tables, row_group=ROW_GROUP):
    """A Parquet file as pyarrow writes it by default, but for the size of its row groups."""
    writer, waiting = None, []
    for table in tables:
        writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
        waiting.append(table)
        if sum(map(len, waiting)) >= row_group:
            joined = pa.concat_tables(waiting)
            writer.write_table(joined[:row_group], row_group_size=row_group)
            waiting = [joined[row_group:]]
    writer.write_table(pa.concat_tables(waiting), row_group_size=row_group)
    writer.close()


def write_csv(path, tables):
    """A CSV file with a header and no quotes, which nothing here needs."""
    options = pyarrow.csv.WriteOptions(quoting_style="none", quoting_header="none")
    writer = None
    for table in tables:
        writer = writer or pyarrow.csv.CSVWriter(path, table.schema, write_options=options)
        writer.write_table(table)
    writer.close()


def made(path, make, row_group=ROW_GROUP):
    """The path of a file, written first where there is none yet; whole or not at all."""
    path = Path(path)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}")
        if path.suffix == ".parquet":
            write_parquet(unfinished, make(), row_group)
        else:
            write_csv(unfinished, make())
        unfinished.rename(path)
    return path


def main():
    """Write one file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("path", help="ending in .parquet or .csv")
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--mixed", action="store_true", help="numbers, categories and a date")
    parser.add_argument("--sorted", action="store_true", help="by target")
    parser.add_argument("--row-group", type=int, default=ROW_GROUP, help="rows of a Parquet row group")
    parser.add_argument("--draw", type=int, default=0, help="of a mixed table: 1 for a test set")
    options = parser.parse_args()

    def make():
        return mixed(options.rows, draw=options.draw) if options.mixed else numbers(options.rows)

    made(options.path, (lambda: sorted_by_target(make)) if options.sorted else make, options.row_group)


if __name__ == "__main__":
    main()
