"""Real data, dense, columns as they come."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn import datasets

from problems import opened
from problems.problem import Problem, split


def bundled(load, loss, alpha=None, unit=1.0, **settings):
    """A data set that comes with scikit-learn; targets in units of `unit`."""
    X, y = load(return_X_y=True)
    y = y.astype(float) if unit == 1 else np.round(y / unit)
    return Problem(*split(X, y), loss, 1 / len(y) if alpha is None else alpha, **settings)


def pixels(name, loss):
    """The green of a photograph's pixel, or whether it is above its surroundings', from the 24 pixels around it."""
    image = datasets.load_sample_image(name).astype(float)
    generator = np.random.default_rng(1)
    row, column = (generator.integers(2, size - 2, 50_000) for size in image.shape[:2])
    around = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if (i, j) != (0, 0)]
    X = np.hstack([image[row + i, column + j] for i, j in around])
    green = image[row, column, 1]
    y = green / 50 if loss == "squared_error" else (green > X[:, 1::3].mean(axis=1)).astype(float)
    return Problem(*split(X, y), loss, 1e-8)


def from_folder(read, loss, alpha, target=None, shuffle=True, **settings):
    """A data set of the folder; `target` makes of what it holds what is to be predicted."""
    X, y = read()
    if target is not None:
        y = target(y)
    return Problem(*split(X, y, keep_order=not shuffle), loss, alpha, shuffle=shuffle, **settings)


def a9a():
    """Adult's columns as zeros and ones, dense."""
    (X, y), (X_test, y_test) = (opened.libsvm(123, "a9a", name) for name in ("a9a", "a9a.t"))
    return Problem(X.toarray(), y, X_test.toarray(), y_test, "log_loss", 1 / len(y))


def _dense_libsvm(columns, *parts):
    X, y = opened.libsvm(columns, *parts)
    return X.toarray(), y


_BUNDLED = {
    "bc_log": partial(bundled, datasets.load_breast_cancer, "log_loss"),
    "bc_hin": partial(bundled, datasets.load_breast_cancer, "hinge", 1e-3),
    "digits_soft": partial(bundled, datasets.load_digits, "multinomial", 1e-3, outputs=10),
    "wine_soft": partial(bundled, datasets.load_wine, "multinomial", 1e-3, outputs=3),
    "diab_sq": partial(bundled, datasets.load_diabetes, "squared_error", 1e-6),
    "diab_poi": partial(bundled, datasets.load_diabetes, "poisson", 1e-6, unit=10.0),
    "diab_hub": partial(bundled, datasets.load_diabetes, "huber", 1e-6, epsilon=30.0),
    "china_sq": partial(pixels, "china.jpg", "squared_error"),
    "china_log": partial(pixels, "china.jpg", "log_loss"),
    "flower_sq": partial(pixels, "flower.jpg", "squared_error"),
    "flower_log": partial(pixels, "flower.jpg", "log_loss"),
}

OPENED = {
    "adult_log": partial(from_folder, opened.adult, "log_loss", 1e-8),
    "adult_hin": partial(from_folder, opened.adult, "hinge", 1e-6),
    "cov_soft": partial(from_folder, opened.forests, "multinomial", 1e-8, outputs=7),
    "cov_log": partial(from_folder, opened.forests, "log_loss", 1e-8, lambda kind: (kind == 1).astype(float)),
    "bike_poi": partial(from_folder, opened.bikes, "poisson", 1e-6, shuffle=False),
    "bike_sq": partial(from_folder, opened.bikes, "squared_error", 1e-6),
    "fl_sq": partial(from_folder, opened.flights, "squared_error", 1e-8),
    "fl_hub": partial(from_folder, opened.flights, "huber", 1e-8, epsilon=10.0),
    "fl_log": partial(
        from_folder, opened.flights, "log_loss", 1e-8, lambda delay: (delay > 15).astype(float)
    ),
    "kdd_log": partial(from_folder, opened.connections, "log_loss", 1e-6),
    "a9ad_log": a9a,
    "ijcnn_log": partial(
        from_folder, partial(_dense_libsvm, 22, "ijcnn1", "ijcnn1.trn.bz2"), "log_loss", 1e-6
    ),
    "higgs_log": partial(from_folder, opened.collisions, "log_loss", 1e-6),
    "heart_log": partial(
        from_folder, partial(_dense_libsvm, 13, "heart_scale", "heart_scale"), "log_loss", 1e-3
    ),
}

PROBLEMS = _BUNDLED | OPENED
