"""A comparison on a small table with a hostile name in it, made once."""

import numpy as np
import pyarrow as pa
import pytest

import fallline
from fallline.comparison import draw

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


@pytest.fixture(scope="session")
def told():
    """The comparison on a part of a table with much to be said about it."""
    n = 400
    data = {
        "number": [None if i % 10 == 3 else i * 0.37 % 1 for i in range(n)],
        "word": ["abc"[i % 3] for i in range(n)],
        "constant": [1] * n,
        "id": [f"<b>{i}</b>" for i in range(n)],
        "target": [None if i % 100 == 0 else i * 0.61 % 1 for i in range(n)],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draw, "_MOST_PRODUCTS", 1)
        patch.setattr(draw, "_FEW_ROWS", 100)
        return fallline.compare(data, "target", batch_sizes=[16], epochs=2, seeds=1)
