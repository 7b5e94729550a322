"""The script people write: pandas in chunks, StandardScaler and OneHotEncoder, SGDClassifier.partial_fit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from columns import DATE, FEW, MANY, NUMBERS, TARGET
from pipelines import PASSES, Stages, main

NAME = "pandas chunks + scikit-learn"

_CHUNK = 100_000
_FEWEST = 10  # a category seen less often is not worth a column
_CATEGORIES = [*FEW, *MANY, "month", "weekday"]
_NUMBERS = [*NUMBERS, "day"]


def _chunks(path):
    """Chunks with the date taken apart."""
    types = dict.fromkeys((*FEW, *MANY), "str") | dict.fromkeys(NUMBERS, "float64")
    for chunk in pd.read_csv(path, chunksize=_CHUNK, dtype=types, parse_dates=[DATE]):
        date = chunk[DATE].dt
        yield chunk.assign(
            day=(chunk[DATE] - pd.Timestamp("2015-01-01")).dt.days,
            month=date.month.astype(str),
            weekday=date.day_of_week.astype(str),
        )


def _fitted(path):
    """Means and scales, and the categories that are common enough."""
    scaler, counts = StandardScaler(), {name: Counter() for name in _CATEGORIES}
    for chunk in _chunks(path):
        scaler.partial_fit(chunk[_NUMBERS].to_numpy())
        for name in _CATEGORIES:
            counts[name].update(chunk[name].fillna("missing").value_counts().to_dict())
    categories = [sorted(level for level, n in counts[name].items() if n >= _FEWEST) for name in _CATEGORIES]
    encoder = OneHotEncoder(
        categories=[np.array(c, object) for c in categories], handle_unknown="ignore", dtype=np.float32
    )
    return scaler, encoder.fit(np.array([[c[0] for c in categories]], object))


def _encoded(chunk, scaler, encoder):
    """Standardised numbers, a flag where one was missing (its mean takes the place), and one-hot categories."""
    X = scaler.transform(chunk[_NUMBERS].to_numpy())
    missing = np.isnan(X)
    X[missing] = 0
    one_hot = encoder.transform(chunk[_CATEGORIES].fillna("missing").to_numpy(object))
    return sparse.hstack([sparse.csr_matrix(np.hstack([X, missing])), one_hot], format="csr")


def run(train, test, predictions, folder):
    """One pass to fit the encoders, five to train, one to predict."""
    stages = Stages()
    scaler, encoder = _fitted(train)
    stages.done("fit encoders")
    model = SGDClassifier(loss="log_loss", random_state=0)
    for _ in range(PASSES):
        for chunk in _chunks(train):
            model.partial_fit(_encoded(chunk, scaler, encoder), chunk[TARGET], classes=[0, 1])
    stages.done("train")
    for number, chunk in enumerate(_chunks(test)):
        probability = model.predict_proba(_encoded(chunk, scaler, encoder))[:, 1]
        table = pd.DataFrame({"prediction": (probability > 0.5).astype(int), "probability_1": probability})
        table.to_csv(predictions, mode="a" if number else "w", header=not number, index=False)
    stages.done("predict")
    return stages


if __name__ == "__main__":
    main(NAME, run)
