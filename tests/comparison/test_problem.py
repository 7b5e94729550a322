"""Task, split, objective and optimum."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from fallline.comparison.objective import LOG_LOSS, SQUARED_ERROR, Objective
from fallline.comparison.optimum import find_optimum
from fallline.comparison.problem import split
from fallline.comparison.table import Table, read
from fallline.comparison.task import understand
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.linear import LinearEngine
from fallline.errors import InputError, ParameterError
from fallline.objective.penalties import L2
from fallline.optim.optimizers.sgd import SGD
from fallline.optim.schedules.constant import Constant


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.array(["a", "b"] * 5), "binary"),
        (np.array([True, False] * 5), "binary"),
        (np.array([0, 1, 2] * 5), "multiclass"),
        (np.array([0.0, 1.0] * 5), "binary"),
        (np.array([0.5, 1.0] * 5), "regression"),
        (np.arange(30), "regression"),
    ],
)
def test_the_task_is_inferred(y, task):
    """Words, booleans and few whole numbers are classes; all else is an amount."""
    assert understand(y, "t", None).task == task


def test_the_task_can_be_told():
    """`task` overrides what the target looks like."""
    assert understand(np.array([0, 1] * 5), "t", "regression").task == "regression"
    assert understand(np.arange(60) % 30, "t", "classification").task == "multiclass"


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (np.full(9, "a"), None, "nothing to learn"),
        (np.full(9, 2.5), None, "nothing to learn"),
        (np.array(["a"] * 9 + ["b"]), None, "Class 'b'.*single row"),
        (np.arange(200) % 60, "classification", "60 classes.*task='regression'"),
        (np.array(["a", "b"]), "regression", "holds words"),
        (np.array([1, 2]), "clustering", "not one of"),
    ],
)
def test_targets_that_cannot_be_used(y, task, message):
    """A constant target, lone classes, too many of them: each is explained."""
    with pytest.raises((InputError, ParameterError), match=message):
        understand(y, "t", task)


def _problem(name):
    table = read(None, demo=name)
    return split(table, understand(table.y, table.target, None), 0.2, 1e-3, 0)


def test_the_split_keeps_classes_and_standardises_by_the_training_rows():
    """Every class is on both sides; training columns have mean 0 and deviation 1."""
    problem, test = _problem("wine")
    assert set(problem.y) == set(test.y) == {0, 1, 2}
    np.testing.assert_allclose(problem.X.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(problem.X.std(axis=0), 1, atol=1e-5)


def test_constant_columns_become_zero():
    """A column that says nothing does no harm, whatever its value."""
    X = np.column_stack([np.full(40, 1e6 + 0.1), np.arange(40.0)])
    table = Table("t", X, np.arange(40) % 2, ["a", "b"], "y")
    problem, _ = split(table, understand(table.y, "y", None), 0.2, 0.0, 0)
    assert not problem.X[:, 0].any()


def test_too_few_rows():
    """Nineteen rows are too few to say anything."""
    table = Table("t", np.eye(19), np.arange(19) % 2, list("abcdefghijklmnopqrs"), "y")
    with pytest.raises(InputError, match="19 rows, but at least 20"):
        split(table, understand(table.y, "y", None), 0.2, 0.0, 0)


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
    engine = LinearEngine(problem.loss, SGD(), Constant(0.1), 1, L2(problem.alpha))
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
