"""Metrics that are added up part by part are those that scikit-learn computes at once."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from fallline.metrics import ClassMetrics, NumberMetrics


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def _parts(n, count):
    """Stretches of unequal lengths, an empty one among them."""
    borders = [0, 0, *np.sort(np.random.default_rng(1).integers(0, n, count - 1)), n]
    return [slice(start, stop) for start, stop in itertools.pairwise(borders)]


def _added(metrics, parts, *arrays):
    for part in parts:
        metrics.add(*(None if array is None else array[part] for array in arrays))
    return metrics.results()


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("weighted", [False, True])
def test_numbers_agree_with_scikit_learn(rng, count, weighted):
    """Errors and the share of variance explained, in one part or many, weighted or not, far from zero too."""
    truth = rng.normal(1e6, 3, size=1000)
    predicted = truth + rng.normal(size=1000)
    weight = rng.uniform(0, 3, size=1000) if weighted else np.ones(1000)
    found = _added(NumberMetrics(), _parts(1000, count), truth, predicted, weight)
    given = {"sample_weight": weight}
    assert found["rows"] == 1000
    assert found["rmse"] == pytest.approx(root_mean_squared_error(truth, predicted, **given))
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, predicted, **given))
    assert found["r2"] == pytest.approx(r2_score(truth, predicted, **given))


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_classes_agree_with_scikit_learn(rng, classes, weighted):
    """Accuracy and log loss, in one part or many, weighted or not."""
    truth = rng.integers(0, classes, 2000)
    probabilities = rng.dirichlet(np.ones(classes), 2000).astype(np.float32)
    predicted = probabilities.argmax(axis=1)
    weight = rng.uniform(0, 3, size=2000) if weighted else np.ones(2000)
    for count in (1, 7):
        parts = _parts(2000, count)
        found = _added(ClassMetrics(classes), parts, truth, predicted, probabilities, weight)
        assert found["accuracy"] == pytest.approx(accuracy_score(truth, predicted, sample_weight=weight))
        exact = probabilities / probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
        expected = log_loss(truth, exact, sample_weight=weight, labels=range(classes))
        assert found["log_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("share", [0.5, 0.01, 2e-4])
def test_the_area_under_the_roc_curve_agrees(rng, share):
    """With ties and weights, also when probabilities crowd near 0 because one class is rare."""
    truth = (rng.random(50_000) < share).astype(int)
    score = np.round(rng.normal(size=50_000) + 2 * truth + np.log(share), 2)
    probability = (1 / (1 + np.exp(-score))).astype(np.float32)
    weight = rng.uniform(0, 3, size=50_000)
    probabilities = np.column_stack([1 - probability, probability])
    found = _added(ClassMetrics(2), _parts(50_000, 5), truth, (score > 0) * 1, probabilities, weight)
    expected = roc_auc_score(truth, probability, sample_weight=weight)
    assert found["roc_auc"] == pytest.approx(expected, abs=2e-5)


def test_a_certain_mistake_costs_a_finite_amount():
    """A probability of 0 for what happened is clipped as scikit-learn clips it, in the probabilities' own precision."""
    metrics = ClassMetrics(2)
    metrics.add(np.array([0]), np.array([1]), np.array([[0.0, 1.0]], np.float32), np.ones(1))
    expected = log_loss([0], np.array([[0.0, 1.0]], np.float32), labels=[0, 1])
    assert metrics.results()["log_loss"] == pytest.approx(expected, rel=1e-5)


def test_unknown_classes_count_as_wrong_and_are_reported(rng):
    """They lower the accuracy, and are left out of what needs their probability."""
    probabilities = rng.dirichlet(np.ones(3), 100).astype(np.float32)
    truth = rng.integers(0, 3, 100)
    predicted = truth.copy()
    known, half = ClassMetrics(3), ClassMetrics(3)
    known.add(truth, predicted, probabilities, np.ones(100))
    half.add(truth, predicted, probabilities, np.ones(100))
    half.add(np.full(100, -1), predicted, probabilities, np.ones(100))
    found = half.results()
    assert found["rows"] == 200
    assert found["rows_of_unknown_classes"] == 100
    assert found["accuracy"] == 0.5
    assert found["log_loss"] == known.results()["log_loss"]
    assert "rows_of_unknown_classes" not in known.results()


def test_what_cannot_be_known_is_left_out():
    """Without probabilities no log loss, with one class only no area, without rows nothing: never NaN."""
    metrics = ClassMetrics(2)
    assert metrics.results() == {"rows": 0}
    metrics.add(np.array([1, 1]), np.array([1, 0]), None, np.ones(2))
    assert metrics.results() == {"rows": 2, "accuracy": 0.5}
    one = ClassMetrics(2)
    one.add(np.array([1]), np.array([1]), np.array([[0.2, 0.8]], np.float32), np.ones(1))
    assert "roc_auc" not in one.results()
    assert NumberMetrics().results() == {"rows": 0}
    same = NumberMetrics()
    same.add(np.ones(2), np.array([1.0, 2.0]), np.ones(2))
    assert same.results().keys() == {"rows", "rmse", "mae"}


def test_a_row_that_weighs_nothing_changes_nothing(rng):
    """Only how many rows there are."""
    truth, predicted = rng.normal(size=10), rng.normal(size=10)
    one, other = NumberMetrics(), NumberMetrics()
    one.add(truth, predicted, np.ones(10))
    other.add(truth, predicted, np.ones(10))
    other.add(truth, predicted + 1, np.zeros(10))
    first, second = one.results(), other.results()
    assert second.pop("rows") == 20
    assert first.pop("rows") == 10
    assert first == second
