"""Which solver is taken, and that it is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fallline
from fallline import SGDClassifier, SGDRegressor
from fallline.cli import main
from fallline.engines.choice import choose_solver
from fallline.errors import ParameterError
from fallline.objective.losses import LOSSES, OneVersusRest
from reference import data_for

OVR = OneVersusRest(LOSSES["log_loss"](), np.ones(10))


@pytest.mark.parametrize(
    ("solver", "optimizer", "given", "loss", "columns", "outputs", "expected"),
    [
        ("auto", None, [], "log_loss", 1499, 1, "newton"),
        ("auto", None, [], "log_loss", 1500, 1, "saga"),
        ("auto", None, [], "multinomial", 149, 10, "newton"),
        ("auto", None, [], "multinomial", 150, 10, "saga"),
        ("auto", None, [], OVR, 150, 10, "newton"),
        ("auto", None, [], "perceptron", 10, 1, "descent"),
        ("auto", "sgd", [], "log_loss", 10, 1, "descent"),
        ("auto", None, ["batch_size"], "log_loss", 10, 1, "descent"),
        ("adam", None, [], "log_loss", 10, 1, "descent"),
        ("descent", None, [], "log_loss", 10, 1, "descent"),
        ("newton", None, [], "log_loss", 10**4, 1, "newton"),
        ("saga", None, [], "log_loss", 10, 1, "saga"),
    ],
)
def test_which_one(solver, optimizer, given, loss, columns, outputs, expected):
    """What is asked for is taken; otherwise descent if any of its parameters is given, and else what the size suggests."""
    loss = LOSSES[loss]() if isinstance(loss, str) else loss
    chosen = choose_solver(solver, optimizer, given, loss, columns, outputs)
    assert chosen.name == expected
    assert chosen.reason


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "newtn"}, "not a solver. Did you mean 'newton'"),
        ({"solver": "newton", "batch_size": 32}, "batch_size was given"),
        ({"solver": "saga", "optimizer": "adam"}, "optimizer was given"),
        ({"solver": "adam", "optimizer": "sgd"}, "adam.*not a solver"),
    ],
)
def test_what_does_not_go_together(settings, message):
    """A setting that the solver would ignore is an error."""
    X, y = data_for("log_loss")
    with pytest.raises(ParameterError, match=message):
        SGDClassifier("log_loss", **settings).fit(X, y)
    with pytest.raises(ParameterError, match=message):
        fallline.train(pd.DataFrame(X).assign(y=y).rename(columns=str), "y", cache=False, **settings)


@pytest.mark.parametrize("solver", ["newton", "saga", "descent", "adam"])
def test_estimators_come_to_the_same_model(solver):
    """Every solver has the same optimum, and says which it was and how near it came."""
    X, y = data_for("squared_error", n=500)
    model = SGDRegressor(alpha=0.01, solver=solver, random_state=0).fit(X, y)
    exact = SGDRegressor(alpha=0.01, tol=1e-12, random_state=0).fit(X, y)
    assert model.history_.choices["solver"]["solver"] == ("descent" if solver == "adam" else solver)
    assert 0 <= model.optimality_ < {"newton": 1e-6, "saga": 1e-5}.get(solver, 1e-2)
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=2e-2)


def test_nothing_is_cut_short_in_silence():
    """If the passes allowed do not suffice, a warning says how far away the optimum is."""
    X, y = data_for("log_loss", n=2000)
    with pytest.warns(UserWarning, match="After 1 passes the objective .* at its optimum"):
        SGDClassifier("log_loss", solver="saga", max_iter=1, random_state=0).fit(X, y)


def test_train_and_the_command_line(tmp_path, monkeypatch, capsys):
    """`train` and `fallline train` take a solver, by default what suits the size, and report what it came to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    X, y = data_for("log_loss", n=2000)
    frame = pd.DataFrame(X * 10.0 ** np.arange(5), columns=list("abcde")).assign(
        y=np.where(y > 0, "yes", "no")
    )
    model = fallline.train(frame, "y")
    training = model.summary["training"]
    assert training["solver"] == "newton"
    assert training["optimality"] < 1e-6
    assert len(training["batch_sizes"]) > 3
    assert "solver newton (the curvature of 6 coefficients fits), batches of" in model.report()
    assert model.evaluate(frame)["accuracy"] > 0.9
    frame.to_csv(tmp_path / "d.csv", index=False)
    command = ["train", str(tmp_path / "d.csv"), "--target", "y", "--solver", "saga"]
    assert main([*command, "-o", str(tmp_path / "m.fall")]) == 0
    assert "solver saga (asked for)" in capsys.readouterr().out
    assert fallline.load(tmp_path / "m.fall").summary["training"]["solver"] == "saga"
