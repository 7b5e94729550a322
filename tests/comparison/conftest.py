"""A comparison on a small table with a hostile name in it, made once."""

import numpy as np
import pyarrow as pa
import pytest

import fallline

HOSTILE = '</script><img src=x onerror=alert(1)> & "q"'


@pytest.fixture(scope="session")
def frame():
    """A hundred rows, two columns, three classes; names that are HTML."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(100, 2))
    labels = np.array([HOSTILE, "b", "<b>c</b>"])[np.digitize(X[:, 0] + 0.3 * X[:, 1], [-0.5, 0.5])]
    return pa.table({HOSTILE: X[:, 0], "plain": X[:, 1], "<i>target</i>": labels})


@pytest.fixture(scope="session")
def comparison(frame):
    """The comparison of that table."""
    return fallline.compare(frame, target="<i>target</i>", batch_sizes=[1, 16, "full"], epochs=6, seeds=2)
