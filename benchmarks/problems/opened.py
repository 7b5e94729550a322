"""The data sets of the folder that FALLLINE_DATA names, as arrays; nothing is scaled."""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.datasets import load_svmlight_file

# Categories that fewer rows have get no column.
_RARE = 20


def path(*parts):
    """A file of the folder."""
    return Path(os.environ["FALLLINE_DATA"]).joinpath(*parts)


def encode(frame, categories):
    """Numbers as they are, followed by a column of zeros and ones for each category that is not rare."""
    import pandas as pd

    wide = pd.get_dummies(frame[categories].astype(str), dtype=float)
    wide = wide.loc[:, wide.sum() >= _RARE]
    return np.hstack([frame.drop(columns=categories).to_numpy(float), wide.to_numpy()])


def adult():
    """Incomes above 50,000 dollars; 48,842 rows."""
    import pandas as pd

    read = {"header": None, "skipinitialspace": True}
    frame = pd.concat(
        [
            pd.read_csv(path("adult", "adult.data"), **read),
            pd.read_csv(path("adult", "adult.test"), skiprows=1, **read),
        ]
    )
    y = frame.pop(14).str.startswith(">50K").to_numpy(float)
    return encode(frame, [1, 3, 5, 6, 7, 8, 9, 13]), y


def bikes():
    """Bicycles rented in an hour, in order of time; 17,379 rows."""
    import pandas as pd

    with (
        zipfile.ZipFile(path("bike_sharing", "Bike-Sharing-Dataset.zip")) as archive,
        archive.open("hour.csv") as file,
    ):
        frame = pd.read_csv(file)
    y = frame["cnt"].to_numpy(float)
    categories = ["season", "mnth", "hr", "weekday", "weathersit", "workingday", "holiday"]
    return encode(frame[["yr", "temp", "atemp", "hum", "windspeed", *categories]], categories), y


def flights():
    """Delays on arrival in minutes; 327,346 rows."""
    import pandas as pd

    frame = pd.read_csv(path("nycflights13", "flights.csv.gz"))
    frame = frame.dropna(subset=["arr_delay", "dep_delay", "air_time"])
    categories = ["month", "carrier", "origin", "dest", "hour"]
    columns = ["dep_time", "dep_delay", "distance", "air_time", "day", *categories]
    return encode(frame[columns], categories), frame["arr_delay"].to_numpy(float)


def forests():
    """Kinds of forest, 0 to 6; 92,961 rows."""
    import pandas as pd

    frame = pd.read_csv(path("covertype", "covtype_sample_unscaled.csv.gz"))
    y = frame.pop("Cover_Type").to_numpy(float) - 1
    return frame.to_numpy(float), y


def connections(rows=200_000):
    """Connections that are attacks; some of the rows."""
    import pandas as pd

    frame = pd.read_csv(path("kddcup99_10pct", "kddcup.data_10_percent.gz"), header=None)
    frame = frame.sample(rows, random_state=0)
    y = (frame.pop(41) != "normal.").to_numpy(float)
    return encode(frame, [1, 2, 3]), y


def collisions():
    """Higgs bosons; 7,500 rows."""
    rows = np.vstack([np.loadtxt(path("higgs_sample", f"binary.{part}")) for part in ("train", "test")])
    return rows[:, 1:], rows[:, 0]


def libsvm(columns, *parts):
    """A file in libsvm's format: CSR, and y of 0 and 1."""
    X, y = load_svmlight_file(str(path(*parts)), n_features=columns, zero_based=False)
    return X, (y > 0).astype(float)


def digits():
    """Handwritten digits, black 0 and white 1: X, y, X_test, y_test."""
    import gzip

    def numbers(name, header):
        with gzip.open(path("mnist", name)) as file:
            return np.frombuffer(file.read(), np.uint8, offset=header).astype(float)

    return (
        numbers("train-images-idx3-ubyte.gz", 16).reshape(-1, 784) / 255,
        numbers("train-labels-idx1-ubyte.gz", 8),
        numbers("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784) / 255,
        numbers("t10k-labels-idx1-ubyte.gz", 8),
    )


@cache
def posts():
    """Posts in 20 newsgroups: texts and names of groups to train on, texts and names to test on."""
    found = {"train": ([], []), "test": ([], [])}
    with tarfile.open(path("newsgroups20", "20news-bydate.tar.gz")) as archive:
        for member in archive:
            if member.isfile():
                part, group, _ = Path(member.name).parts[-3:]
                texts, groups = found["train" if part.endswith("train") else "test"]
                texts.append(archive.extractfile(member).read().decode("latin-1"))
                groups.append(group)
    return *found["train"], *found["test"]


def snippets(lines=6):
    """The posts in pieces of a few lines, headers left out: texts and names of groups."""
    texts, groups = [], []
    for post, group in zip(*posts()[:2], strict=True):
        body = re.sub(r"^[>:|\s]+", "", post.partition("\n\n")[2], flags=re.MULTILINE).split("\n")
        for start in range(0, len(body), lines):
            piece = "\n".join(body[start : start + lines])
            if len(piece) > 80:
                texts.append(piece)
                groups.append(group)
    return texts, groups
