"""Rates against their formulas and PyTorch's schedulers."""

from __future__ import annotations

import numpy as np
import pytest

from fallline.errors import ParameterError
from fallline.kernels.rates import rates_after
from fallline.kernels.verbs import rate
from fallline.objective.losses.log_loss import LogLoss
from fallline.objective.losses.squared_error import SquaredError
from fallline.optim.schedules import SCHEDULES
from fallline.settings import make_schedule

GIVEN = {"eta0": 0.5, "power_t": 0.25, "alpha": 0.01, "decay": 0.1, "decay_epochs": 2, "warmup": None}


def rates(name, epochs=10, updates=20, **changes):
    schedule = make_schedule(name, LogLoss(), {**GIVEN, **changes}, epochs, updates)
    return np.array([rate(schedule, t) for t in range(1, epochs * updates + 1)])


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_finite_and_not_negative(name):
    """Every schedule gives a usable rate for every update, and for those after its end."""
    values = rates(name, epochs=20)
    assert np.isfinite(values).all()
    assert (values >= 0).all()


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_ahead_are_those_of_the_updates_they_are_for(name):
    """After any number of updates, and times a factor."""
    schedule = make_schedule(name, LogLoss(), GIVEN, 10, 20)
    expected = [0.3 * rate(schedule, t) for t in range(8, 13)]
    np.testing.assert_allclose(rates_after(schedule, 0.3, 7, 5), expected, rtol=1e-12)


def test_formulas():
    """Constant, inverse scaling, steps and exponential decay are what their pages say."""
    t = np.arange(1, 201)
    np.testing.assert_allclose(rates("constant"), 0.5)
    np.testing.assert_allclose(rates("adaptive"), 0.5)
    np.testing.assert_allclose(rates("invscaling"), 0.5 / t**0.25)
    np.testing.assert_allclose(rates("step"), 0.5 * 0.1 ** ((t - 1) // 40))
    np.testing.assert_allclose(rates("exponential"), 0.5 * 0.1 ** ((t - 1) / 40))


def test_optimal_starts_at_bottou_s_rate():
    """The first rate of "optimal" is the typical weight over the loss's slope there; later ones fall as 1/(alpha t)."""
    values = rates("optimal")
    assert values[0] == pytest.approx(0.01**-0.25)
    assert 1 / values[10] - 1 / values[0] == pytest.approx(0.01 * 10)
    steep = make_schedule("optimal", SquaredError(), GIVEN, 1, 1)
    assert rate(steep, 1) <= values[0]


def test_cosine_warms_up_and_ends_at_zero():
    """Warm-up is linear over its share of the updates; then the rate falls along a half cosine to almost 0."""
    values = rates("cosine", warmup=0.1)
    np.testing.assert_allclose(values[:20], 0.5 * np.arange(1, 21) / 20)
    np.testing.assert_allclose(values[20:], 0.25 * (1 + np.cos(np.pi * np.arange(180) / 180)))


def test_one_cycle_is_pytorch_s():
    """One-cycle agrees with torch.optim.lr_scheduler.OneCycleLR."""
    torch = pytest.importorskip(
        "torch", reason="agreement with torch's schedulers is tested where torch is installed"
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.5, total_steps=200, cycle_momentum=False
    )
    expected = []
    for _ in range(200):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates("one_cycle"), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eta0": 0}, "eta0=0 is out of range. Give a number above 0"),
        ({"eta0": float("nan")}, "eta0=nan is not a finite number"),
        ({"decay": 2}, "decay=2 is out of range"),
        ({"decay_epochs": -1}, "decay_epochs=-1 is out of range"),
    ],
)
def test_bad_settings_are_named(changes, message):
    """A setting out of range is named with what it may be."""
    with pytest.raises(ParameterError, match=message):
        rates("step", **changes)


def test_unknown_names_get_a_suggestion():
    """A misspelt schedule is an error that suggests the nearest."""
    with pytest.raises(ParameterError, match="Did you mean 'cosine'"):
        rates("cosin")
