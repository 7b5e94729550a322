"""What scikit-learn's networks note of each epoch, and when they stop."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field

from fallline.estimators.mlp.settings import Settings
from fallline.monitors.base import Monitor
from fallline.state import Stop

__all__ = ["Course", "Following", "Iterations"]

_LOWEST_RATE = 1e-6
# Iterations of L-BFGS after which monitors are asked.
_AT_ONCE = 10


@dataclass
class Course:
    """How training has gone, in one or several calls of `fit` and `partial_fit`.

    Parameters
    ----------
    losses : list of float
        One an epoch, the penalty included.
    scores : list of float
        One an epoch, of the rows held out, where there are any.
    best_loss, best_score : float
        The best of either, whichever is judged by.
    idle : int
        Epochs in a row without improvement.
    rows : int
        Rows seen.
    """

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best_loss: float = math.inf
    best_score: float = -math.inf
    idle: int = 0
    rows: int = 0


class Following(Monitor):
    """Notes each epoch's loss and score, lowers the rate, and stops when nothing improves any more, as scikit-learn does.

    Parameters
    ----------
    course : Course
        What is added to.
    settings : Settings
    outputs : int
        What losses are divided by: of several outputs, scikit-learn notes the mean.
    rate : float
        The learning rate that training begins with.
    score : callable, optional
        The score of rows held out; `course.scores` is judged by then, and the best weights are kept.
    """

    def __init__(
        self,
        course: Course,
        settings: Settings,
        *,
        outputs: int,
        rate: float,
        score: Callable[[], float] | None = None,
    ):
        self.course, self.settings = course, settings
        self.outputs, self.score = outputs, score
        self.first_rate = self.rate = rate

    def after_epoch(self, run):
        record, course = run.record, self.course
        loss = record["loss"] / self.outputs + record["objective"] - record["loss"]
        course.losses.append(loss)
        course.rows += run.source.n_rows
        self._say(f"Iteration {run.state.epoch}, loss = {loss:.8f}")
        if self.score is None:
            worse = loss > course.best_loss - self.settings.tol
            course.best_loss = min(course.best_loss, loss)
        else:
            worse = self._judge(run, self.score())
        course.idle = course.idle + 1 if worse else 0
        if self.settings.solver == "sgd" and self.settings.learning_rate == "invscaling":
            self._lower(run, self.settings.learning_rate_init / (course.rows + 1) ** self.settings.power_t)
        return self._patience(run) if course.idle > self.settings.n_iter_no_change else None

    def _judge(self, run, score):
        """Whether a score is no better; the best weights are kept."""
        course = self.course
        run.record["validation_score"] = score
        self.note(score)
        worse = score < course.best_score + self.settings.tol
        if score > course.best_score:
            course.best_score, run.state.best = score, run.engine.copied(run.weights)
        return worse

    def note(self, score: float) -> None:
        """Take a score down."""
        self.course.scores.append(score)
        self._say(f"Validation score: {score:f}")

    def _patience(self, run):
        """What to do when nothing has improved for long: lower the rate, or stop."""
        judged = "training loss" if self.score is None else "validation score"
        message = (
            f"the {judged} did not improve by more than tol={self.settings.tol:g} for {self.settings.n_iter_no_change} epochs "
            "running"
        )
        adaptive = self.settings.solver == "sgd" and self.settings.learning_rate == "adaptive"
        if adaptive and self.rate > _LOWEST_RATE:
            self._lower(run, self.rate / 5)
            self._say(f"{message[0].upper()}{message[1:]}. Setting learning rate to {self.rate:f}")
            self.course.idle = 0
            return None
        self._say(f"{message[0].upper()}{message[1:]}. Stopping.")
        return Stop("converged" if self.score is None else "early_stopping", message)

    def _lower(self, run, rate):
        self.rate = rate
        run.state.rate_factor = rate / self.first_rate

    def _say(self, line):
        if self.settings.verbose:
            sys.stdout.write(line + "\n")


class Iterations(Monitor):
    """Lets L-BFGS make some of its iterations in each epoch, and stops when it has made all, or goes no further.

    Parameters
    ----------
    settings : Settings

    Attributes
    ----------
    made : int
        Iterations so far.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.made = 0

    @contextmanager
    def watching(self, run):
        self._asked = self._ask(run, 0)
        yield

    def after_epoch(self, run):
        made, calls = run.engine.optimizer.so_far
        fresh, self.made = made - self.made, made
        if self.settings.verbose:
            sys.stdout.write(f"Iteration {made}, loss = {run.record['objective']:.8f}\n")
        if made >= self.settings.max_iter:
            return Stop("epochs", f"all {made} iterations asked for were made")
        if calls >= self.settings.max_fun:
            return Stop(
                "updates", f"the loss was evaluated {calls} times, and max_fun={self.settings.max_fun}"
            )
        if fresh < self._asked:
            return Stop("converged", f"nothing was to be gained any more after {made} iterations")
        self._asked = self._ask(run, calls)
        return None

    def _ask(self, run, calls):
        """Say how many iterations and evaluations the next epoch may make."""
        iterations = min(_AT_ONCE, self.settings.max_iter - self.made)
        run.engine.optimizer.allow(iterations, self.settings.max_fun - calls)
        return iterations
