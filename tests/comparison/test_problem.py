"""Split, objective and optimum."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import check_grad

from fallline.comparison.contenders import line_up
from fallline.comparison.objective import LOG_LOSS, SQUARED_ERROR, Objective
from fallline.comparison.optimum import find_optimum
from fallline.comparison.problem import Test, split
from fallline.comparison.table import read
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.descent import DescentEngine
from fallline.errors import InputError
from fallline.objective.penalties import L2
from fallline.optim.optimizers.sgd import SGD
from fallline.optim.schedules.constant import Constant


def _problem(name):
    return split(read(None, demo=name), 0.2, 1e-3, 0)


def test_the_split_keeps_classes_and_standardises_by_the_training_rows():
    """Every class is on both sides; training numbers have mean 0 and deviation 1, test rows the same scale."""
    problem, test = _problem("wine")
    assert set(problem.y) == set(test.y) == {0, 1, 2}
    np.testing.assert_allclose(problem.X.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(problem.X.std(axis=0), 1, atol=1e-5)
    assert (problem.n, len(test.y)) == (142, 36)
    assert np.abs(test.X.mean(axis=0)).max() > 0.01


def test_amounts_are_standardised_by_the_training_rows():
    """So is the target of a regression."""
    problem, test = _problem("diabetes")
    assert (problem.n, len(test.y)) == (354, 88)
    assert problem.y.mean(dtype=float) == pytest.approx(0, abs=1e-6)
    assert problem.y.std(dtype=float) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["diabetes", "breast_cancer", "wine"])
def test_the_constant_is_the_mean_or_the_most_frequent_class(name):
    """It scores as a prediction that is always the same; the optimum is clearly better than it, and it not than itself."""
    problem, test = _problem(name)
    values, counts = np.unique(problem.y, return_counts=True)
    score = 0.0 if problem.task == "regression" else np.mean(test.y == values[counts.argmax()])
    assert test.score(problem.constant) == pytest.approx(
        score, abs=0.05 if problem.task == "regression" else 0
    )
    optimum = find_optimum(problem.objective, problem.constant).weights
    assert test.clearly_better(optimum, problem.constant)
    assert not test.clearly_better(problem.constant, optimum)
    assert not test.clearly_better(problem.constant, problem.constant)


def test_a_few_rows_right_by_chance_are_not_clearly_better():
    """Three rows of a hundred that only one model gets right may be chance; ten are not."""
    few, many = (np.where(np.arange(100) < right, 1.0, -1.0) for right in (3, 10))
    never, sometimes = np.array([[0.0, -1.0]]), np.array([[1.0, 0.0]])
    for y, clear in ((few, False), (many, True)):
        test = Test(y[:, np.newaxis], y, "binary")
        assert test.score(sometimes) == 1
        assert test.clearly_better(sometimes, never) is clear


def test_ones_and_zeros_stay_what_they_are():
    """Features of categories are not brought to deviation 1: rare ones would become huge."""
    word = np.where(np.arange(200) < 4, "rare", "usual")
    word[50:] = np.where(np.arange(150) % 2, "a", "b")
    data = {"word": word, "number": np.arange(200.0), "t": np.arange(200) % 2}
    problem, test = split(read(data, "t"), 0.2, 0.0, 0)
    assert set(np.unique(problem.X[:, 1:])) == set(np.unique(test.X[:, 1:])) == {0, 1}
    assert problem.X[:, 0].std(dtype=float) == pytest.approx(1, abs=1e-5)


def test_columns_that_are_constant_in_training_become_zero():
    """A column that varies in no training row does no harm, whatever its value."""
    y = np.arange(40) % 2
    X = np.column_stack([np.zeros(40), np.arange(40.0)])
    # One row is odd, each in its turn: some of them are among those that are tested on.
    for odd in range(40):
        X[:, 0] = 1e6 + (np.arange(40) == odd)
        problem, test = split(read(X, y), 0.2, 0.0, 0)
        if not problem.X[:, 0].any():
            assert not test.X[:, 0].any()
            break
    else:
        pytest.fail("no row is tested on")


def test_a_class_of_a_single_row_is_trained_on():
    """It is in no test row, the result says so, and contenders know all classes even where a part of the rows has not."""
    y = np.array(["a", "b", "c"])[[2, *(np.arange(60) % 2)]]
    table = read(np.random.default_rng(0).normal(size=(61, 2)), y)
    assert table.notes == ["Classes of a single row are trained on, and never tested: 'c'."]
    problem, test = split(table, 0.2, 1e-3, 0)
    assert set(problem.y) == {0, 1, 2}
    assert set(test.y) == {0, 1}
    few = replace(problem, X=problem.X[problem.y < 2], y=problem.y[problem.y < 2])
    for contender in line_up(few.n, [8])[0]:
        [end] = contender.trace(few, 0.01, 0, 2, 1)
        assert end.weights.shape == (3, 3)


def test_too_few_rows():
    """Nineteen rows are too few to say anything."""
    table = read(np.arange(19.0)[:, np.newaxis], np.arange(19) % 2)
    with pytest.raises(InputError, match="19 rows with a target, but at least 20"):
        split(table, 0.2, 0.0, 0)


@pytest.mark.parametrize("loss", [LOG_LOSS, SQUARED_ERROR])
def test_the_judge_knows_its_derivatives(loss):
    """Gradient and Hessian agree with differences of the value and the gradient."""
    generator = np.random.default_rng(0)
    objective = Objective(generator.normal(size=(50, 3)), np.sign(generator.normal(size=(50, 2))), loss, 0.1)
    w = generator.normal(size=objective.shape)

    def value(flat):
        return objective.value(flat.reshape(w.shape))

    def gradient(flat):
        return objective.value_and_gradient(flat.reshape(w.shape))[1].ravel()

    assert check_grad(value, gradient, w.ravel()) < 1e-5
    step = np.zeros_like(w)
    step[1, 2] = 1e-6
    difference = (gradient((w + step).ravel()) - gradient((w - step).ravel())).reshape(w.shape)[1] / 2e-6
    np.testing.assert_allclose(objective.hessian(w, 1)[2], difference, atol=1e-6)
    np.testing.assert_allclose(
        objective.batch_gradient(w, np.arange(50)), gradient(w.ravel()).reshape(w.shape)
    )


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "diabetes"])
def test_the_judge_and_the_engine_mean_the_same_objective(name):
    """fallline's kernels and the judge's NumPy give the same value at the same weights."""
    problem, _ = _problem(name)
    w = np.random.default_rng(1).normal(size=problem.objective.shape).astype(np.float32)
    engine = DescentEngine(problem.loss, SGD(), Constant(0.1), 1, L2(problem.alpha))
    mean = engine.measure(ArraySource(as_rows(problem.X, problem.y)), w)
    assert mean + engine.penalise(w) == pytest.approx(problem.objective.value(w.astype(float)), rel=1e-4)


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_the_optimum_is_exact(name):
    """Newton's method from zero ends where the gradient vanishes."""
    problem, _ = _problem(name)
    optimum = find_optimum(problem.objective, np.zeros(problem.objective.shape))
    assert optimum.gradient_norm < 1e-9
    assert optimum.gap(optimum.objective) == 0
    assert optimum.gap(optimum.start) == 1
