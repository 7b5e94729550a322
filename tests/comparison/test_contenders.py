"""Every contender minimises the same objective, and can be watched."""

from importlib.util import find_spec

import numpy as np
import pytest

from fallline.comparison.contenders import line_up
from fallline.comparison.contenders.base import marks
from fallline.comparison.contenders.pytorch import pytorch
from fallline.comparison.optimum import find_optimum
from fallline.comparison.problem import split
from fallline.comparison.table import read

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")


@pytest.fixture(scope="module", params=["wine", "breast_cancer", "diabetes"])
def problem(request):
    """Several classes, two classes, regression; a penalty large enough to converge quickly."""
    return split(read(None, demo=request.param), 0.2, 0.1, 0)[0]


def _key(contender):
    return contender.key


@pytest.mark.parametrize(
    "key",
    [
        "stochastic",
        "mini-batch-8",
        "batch",
        "scikit-learn",
        "l-bfgs",
        pytest.param("pytorch", marks=needs_torch),
    ],
)
def test_each_comes_close_to_the_same_optimum(problem, key):
    """Whoever it is, enough epochs at a small rate end near the exact optimum; snapshots count up to what was asked for."""
    contender = {c.key: c for c in line_up(problem.n, [1, 8, problem.n])[0]}[key]
    rate, epochs = {"batch": (0.3, 300)}.get(key, (0.002 if contender.batch_size == 1 else 0.02, 60))
    optimum = find_optimum(problem.objective, np.zeros(problem.objective.shape))
    snapshots = list(contender.trace(problem, rate, 1, epochs, 10))
    gaps = [optimum.gap(problem.objective.value(snapshot.weights)) for snapshot in snapshots]
    assert gaps[-1] < 0.02
    assert gaps[-1] < gaps[0]
    assert np.all(np.diff([(s.updates, s.rows, s.seconds) for s in snapshots], axis=0) > 0)
    if key != "l-bfgs":
        assert snapshots[-1].rows == epochs * problem.n


def test_the_same_seed_gives_the_same_steps(problem):
    """Looking on more or less often changes nothing."""
    contender = line_up(problem.n, [8])[0][0]
    often, once = (list(contender.trace(problem, 0.01, 3, 4, records))[-1] for records in (20, 1))
    np.testing.assert_array_equal(often.weights, once.weights)


def test_absence_of_torch_is_said():
    """Who is left out is named, with the reason."""
    contenders, absent = line_up(100, [1, 100])
    assert ("pytorch" in map(_key, contenders)) == (not absent) == (find_spec("torch") is not None)


def test_torch_takes_the_usual_batch():
    """The PyTorch loop runs at the batch size nearest to 32."""
    assert pytorch(32).batch_size == 32


def test_marks_are_spread_and_end_at_the_end():
    """Looks are logarithmically spread, unique, multiples of the grain, and the last is at the end."""
    assert marks(1000, 4) == [1, 10, 100, 1000]
    assert marks(1000, 1) == [1000]
    assert marks(40, 5, grain=10) == [10, 20, 40]
