"""Sparse data, and dense data with more coefficients than a matrix of curvature should have."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import scipy.sparse

from problems import opened
from problems.problem import Problem, split

_LEVELS = (2, 5, 10, 50, 100, 500, 2000, 5000)


def one_hot(loss, rows, seed, alpha):
    """Eight categorical columns, of 2 to 5,000 levels whose frequencies fall as 1 / rank ** 1.1."""
    generator = np.random.default_rng(seed)
    columns, scores = [], np.zeros(rows)
    for levels, first in zip(_LEVELS, np.cumsum([0, *_LEVELS[:-1]]), strict=True):
        frequency = np.arange(1, levels + 1) ** -1.1
        found = generator.choice(levels, rows, p=frequency / frequency.sum())
        scores += 0.6 * generator.standard_normal(levels)[found]
        columns.append(first + found)
    width = len(columns)
    indices = np.stack(columns, axis=1).ravel()
    X = scipy.sparse.csr_matrix(
        (np.ones(rows * width), indices, np.arange(0, rows * width + 1, width)), (rows, sum(_LEVELS))
    )
    if loss == "log_loss":
        y = (generator.random(rows) < 1 / (1 + np.exp(1.5 - scores))).astype(float)
    elif loss == "poisson":
        y = generator.poisson(np.exp(np.clip(0.5 * scores, -10, 6))).astype(float)
    else:
        y = scores + generator.standard_normal(rows)
    return Problem(*split(X, y), loss, alpha)


def words(rows=50_000, columns=100_000, in_a_row=60, seed=4):
    """Rows like texts: frequencies fall as 1 / rank ** 1.05, and all rows have norm 1."""
    generator = np.random.default_rng(seed)
    frequency = (np.arange(1, columns + 1) + 5) ** -1.05
    drawn = generator.choice(columns, rows * in_a_row, p=frequency / frequency.sum())
    size = np.exp(0.5 * generator.standard_normal(rows * in_a_row))
    X = scipy.sparse.csr_matrix((size, drawn, np.arange(0, rows * in_a_row + 1, in_a_row)), (rows, columns))
    X.sum_duplicates()
    norms = np.sqrt(X.multiply(X).sum(axis=1)).A1
    X = (scipy.sparse.diags(1 / norms) @ X).tocsr()
    scores = X @ (4 * generator.standard_normal(columns))
    y = (generator.random(rows) < 1 / (1 + np.exp(-scores))).astype(float)
    return Problem(*split(X, y), "log_loss", 1 / 40_000)


@cache
def _snippets(count, columns):
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts, groups = opened.snippets()
    picked = np.random.default_rng(0).permutation(len(texts))[:count]
    settings = {"ngram_range": (1, 2), "min_df": 2, "max_features": columns, "sublinear_tf": True}
    X = TfidfVectorizer(**settings).fit_transform([texts[i] for i in picked])
    return X, np.array([groups[i] for i in picked])


def snippets(loss):
    """Whether six lines of a newsgroup's post, as single words and pairs, are about computers."""
    X, groups = _snippets(40_000, 100_000)
    y = np.char.startswith(groups, "comp.").astype(float)
    X, y, X_test, y_test = split(X, 2 * y - 1 if loss == "squared_error" else y)
    if loss == "hinge":  # liblinear's own problem: what serves as the intercept is penalised
        X, X_test = (scipy.sparse.hstack([part, np.ones((part.shape[0], 1))]).tocsr() for part in (X, X_test))
    return Problem(X, y, X_test, y_test, loss, 1 / len(y), intercept=loss != "hinge")


def snippets_by_field():
    """Which of seven fields six lines of a post are from."""
    X, groups = _snippets(24_000, 30_000)
    fields, y = np.unique([group.partition(".")[0] for group in groups], return_inverse=True)
    return Problem(*split(X, y.astype(float)), "multinomial", 1 / len(y), outputs=len(fields))


def newsgroups():
    """Which of 20 groups a whole post is from, by TF-IDF of single words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts, groups, texts_test, groups_test = opened.posts()
    vectorizer = TfidfVectorizer(min_df=3, sublinear_tf=True)
    X, X_test = vectorizer.fit_transform(texts), vectorizer.transform(texts_test)
    names = sorted(set(groups))
    y, y_test = (np.searchsorted(names, part).astype(float) for part in (groups, groups_test))
    return Problem(X, y, X_test, y_test, "multinomial", 1e-5, outputs=len(names))


def a9a():
    """Adult's columns as zeros and ones."""
    (X, y), (X_test, y_test) = (opened.libsvm(123, "a9a", name) for name in ("a9a", "a9a.t"))
    return Problem(X, y, X_test, y_test, "log_loss", 1 / len(y))


def mnist():
    """Handwritten digits by softmax: 7,840 coefficients."""
    return Problem(*opened.digits(), "multinomial", 1e-4, outputs=10)


_GENERATED = {
    "oh_log": partial(one_hot, "log_loss", 100_000, 1, 1e-5),
    "oh_poi": partial(one_hot, "poisson", 60_000, 2, 1e-5),
    "oh_sq": partial(one_hot, "squared_error", 60_000, 3, 1e-6),
    "sp1e5_log": words,
}

OPENED = {
    "txt_log": partial(snippets, "log_loss"),
    "txt_hin": partial(snippets, "hinge"),
    "txt_sq": partial(snippets, "squared_error"),
    "txt_soft": snippets_by_field,
    "a9a_log": a9a,
    "news_soft": newsgroups,
    "mnist_soft": mnist,
}

PROBLEMS = _GENERATED | OPENED
