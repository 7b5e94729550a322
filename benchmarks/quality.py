"""Quality on real data, defaults only: fallline's command beside scikit-learn's linear models fitted in memory.

Part of `files.py`. The data sets are those of the folder that FALLLINE_DATA names; each is split into a training and a test file,
headers and all, as a user would have them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

import measuring
from measuring import table

_ADULT = (
    "age workclass fnlwgt education education_num marital_status occupation relationship race sex "
    "capital_gain capital_loss hours_per_week native_country income"
)


class DataSet(NamedTuple):
    """A data set to be compared on.

    Parameters
    ----------
    name : str
        For the table.
    target : str
        The column to predict.
    read : callable
        From the folder of data sets to one frame of texts, or to a training and a test frame.
    """

    name: str
    target: str
    read: object


def _frame(path, **settings):
    import pandas as pd

    return pd.read_csv(path, dtype=str, keep_default_na=False, **settings)


def _adult(folder):
    named = {"names": _ADULT.split(), "header": None, "skipinitialspace": True}
    test = _frame(folder / "adult" / "adult.test", skiprows=1, **named)
    test["income"] = test["income"].str.removesuffix(".")
    return _frame(folder / "adult" / "adult.data", **named), test


def _bikes(folder):
    with (
        zipfile.ZipFile(folder / "bike_sharing" / "Bike-Sharing-Dataset.zip") as archive,
        archive.open("hour.csv") as file,
    ):
        return _frame(file).drop(columns=["instant", "casual", "registered"])


def _flights(folder):
    frame = _frame(folder / "nycflights13" / "flights.csv.gz")
    return frame[frame["arr_delay"] != "NA"]


def _connections(folder):
    path = folder / "kddcup99_10pct" / "kddcup.data_10_percent.gz"
    return _frame(path, header=None, names=[f"c{column}" for column in range(41)] + ["label"])


def _forests(folder):
    return _frame(folder / "covertype" / "covtype_sample_unscaled.csv.gz")


SETS = (
    DataSet("adult", "income", _adult),
    DataSet("bike sharing", "cnt", _bikes),
    DataSet("nycflights13", "arr_delay", _flights),
    DataSet("covertype", "Cover_Type", _forests),
    DataSet("KDD Cup 10%", "label", _connections),
)


def compare(options):
    """Train both on each data set; print their metrics side by side."""
    if not os.environ.get("FALLLINE_DATA"):
        print("\nLeft out: quality on real data. Name the folder of data sets in FALLLINE_DATA.")
        return
    lines = []
    print("\n### Quality, defaults only\n")
    for one in SETS:
        if options.only and not one.name.startswith(tuple(options.only)):
            continue
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            train, test = written(one, Path(os.environ["FALLLINE_DATA"]), Path(folder))
            ours, our_seconds = _fallline(train, test, one.target, Path(folder))
            theirs, their_seconds = _scikit_learn(train, test, one.target)
        lines += [[one.name, metric, f"{ours[metric]:.5g}", f"{theirs[metric]:.5g}", f"{ours[metric] - theirs[metric]:+.2g}",
                   f"{our_seconds:.1f}", f"{their_seconds:.1f}"] for metric in ours]  # fmt: skip
        print(*lines[-2:], sep="\n", file=sys.stderr, flush=True)
    table(
        ["data set", "metric", "fallline", "scikit-learn", "difference", "fallline, s", "scikit-learn, s"],
        lines,
    )


def written(one, source, folder, most=None):
    """A training and a test file of a data set, of at most so many rows each, which are then drawn."""
    found = one.read(source)
    if not isinstance(found, tuple):
        held_out = np.random.default_rng(0).random(len(found)) < 0.2
        found = found[~held_out], found[held_out]
    paths = folder / "train.csv", folder / "test.csv"
    for frame, path in zip(found, paths, strict=True):
        few = frame if most is None or len(frame) <= most else frame.sample(most, random_state=0)
        few.to_csv(path, index=False)
    return paths


def _fallline(train, test, target, folder):
    model, predictions = folder / "model.fall", folder / "predictions.csv"
    command = [sys.executable, "-m", "fallline"]
    took = measuring.run([*command, "train", train, "--target", target, "-o", model, "--no-cache"]).seconds
    took += measuring.run([*command, "predict", model, test, "-o", predictions]).seconds
    truth, guess = _frame(test)[target], _frame(predictions)
    if "probability_" not in "".join(guess.columns):
        return _errors(truth, guess["prediction"].astype(float)), took
    columns = {
        name.removeprefix("probability_"): guess[name].astype(float).to_numpy()
        for name in guess
        if name != "prediction"
    }
    return _hits(truth, guess["prediction"], columns), took


def _scikit_learn(train, test, target):
    """Numbers standardised, missing ones filled with the mean and flagged; texts one-hot; default strength of the penalty."""
    import pandas as pd
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    began = time.perf_counter()
    frame, new = pd.read_csv(train), pd.read_csv(test)
    classes = frame[target].dtype.kind not in "if" or frame[target].nunique() < 20
    encode = make_column_transformer(
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )  # fmt: skip
    model = make_pipeline(encode, LogisticRegression(max_iter=300) if classes else Ridge())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(frame.drop(columns=target), frame[target])
        X = new.drop(columns=target)
        if not classes:
            return _errors(new[target], model.predict(X)), time.perf_counter() - began
        chances = model.predict_proba(X)
    columns = dict(zip(map(str, model.classes_), chances.T, strict=True))
    return _hits(new[target].astype(str), model.predict(X).astype(str), columns), time.perf_counter() - began


def _errors(truth, guess):
    truth, guess = np.asarray(truth, float), np.asarray(guess)
    square = np.mean((truth - guess) ** 2)
    return {"R2": 1 - square / truth.var(), "RMSE": np.sqrt(square)}


def _hits(truth, guess, chances):
    truth = np.asarray(truth, str)
    given = np.zeros(len(truth))
    for name, chance in chances.items():
        given[truth == name] = chance[truth == name]
    hits = np.mean(truth == np.asarray(guess, str))
    return {"accuracy": hits, "log loss": -np.mean(np.log(np.maximum(given, 1e-15)))}
