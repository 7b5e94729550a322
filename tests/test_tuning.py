"""What is found by itself: rates that work, batch sizes for a reason, the same bits every time."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fallline
from fallline import SGDClassifier
from fallline.data.order import NO_EPOCH, Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines.descent import DescentEngine
from fallline.engines.work import work_a_row
from fallline.errors import DivergenceError
from fallline.monitors.base import Run
from fallline.objective.losses import LOSSES
from fallline.objective.penalties import L2
from fallline.optim.optimizers import OPTIMIZERS
from fallline.optim.schedules import Cosine
from fallline.state import State
from fallline.tuning import BATCH_SIZE, LEARNING_RATE, choose_batch_size, passes_for, probe_rate, train_tuned
from fallline.tuning.trials import most_visits
from reference import LAYOUTS, data_for

ROWS, EPOCHS = 4000, 20


def engine_for(loss="log_loss", optimizer="sgd"):
    def engine(rate, batch_size, updates):
        schedule = Cosine(rate, round(0.05 * updates), updates)
        return DescentEngine(LOSSES[loss](), OPTIMIZERS[optimizer](), schedule, batch_size, L2(1e-4))

    return engine


def problem(loss="log_loss", n=ROWS, layout="dense"):
    X, y = data_for(loss, n=n)
    return ArraySource(as_rows(LAYOUTS[layout](X), y))


def fresh(make, source, outputs=1):
    return make(1.0, 1, 1).start(source.n_columns, outputs, source.dtype)


def outputs_of(loss):
    return 3 if loss == "multinomial" else 1


def probed(make, source, batch_size=32, outputs=1):
    updates = EPOCHS * math.ceil(source.n_rows / batch_size)
    return probe_rate(make, fresh(make, source, outputs), source, 0, batch_size=batch_size, updates=updates)


def sized(make, source, epochs=EPOCHS):
    work = work_a_row(source, 1, make(1.0, 1, 1).optimizer)
    return choose_batch_size(make, fresh(make, source), source, 0, cost=work, visits=epochs * source.n_rows)


def tuned(make, source, state=None, *, rate=None, batch_size=None, **limits):
    """A run to its end; (its state, why it stopped)."""
    state = fresh(make, source) if state is None else state
    run = Run(make(1.0, 1, 1), source, Order(0), state, limits.pop("epochs", EPOCHS), **limits)
    work = work_a_row(source, 1, run.engine.optimizer)
    stop = train_tuned(run, engine_for=make, rate=rate, batch_size=batch_size, cost=work)
    return run, stop


def everything(state):
    """All of a state except how long it took."""
    history = [{k: v for k, v in record.items() if k != "seconds"} for record in state.history]
    return [a.tobytes() for a in state.memory], state.rows, state.notes, history


class Counting(ArraySource):
    """A source that counts the rows it has been asked for."""

    def __init__(self, rows):
        super().__init__(rows)
        self.visits = 0

    def blocks(self, *arguments):
        for block, position in super().blocks(*arguments):
            self.visits += len(block.rows)
            yield block, position


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [("log_loss", name) for name in OPTIMIZERS]
    + [
        (name, optimizer)
        for name in ("squared_error", "poisson", "multinomial")
        for optimizer in ("sgd", "adam")
    ],
)
def test_the_rate_found_comes_within_a_percent_of_the_best_of_a_grid(loss, optimizer):
    """With the rate found, training ends at an objective as low as with the best of twelve rates, for every optimizer."""
    make, source = engine_for(loss, optimizer), problem(loss)
    outputs = outputs_of(loss)

    def objective(rate):
        state = fresh(make, source, outputs)
        run, _ = tuned(make, source, state, rate=rate, batch_size=32)
        weights = run.engine.weights(run.state)
        return run.engine.measure(source, weights) + run.engine.penalise(weights)

    grid = []
    for exponent in range(-10, 2):
        try:
            grid.append(objective(2.0**exponent))
        except DivergenceError:
            continue
    found = objective(probed(make, source, outputs=outputs).value)
    assert found <= min(grid) + 0.01 * abs(min(grid))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_seed_gives_the_same_bits(layout):
    """Whatever is found by itself is found again: two runs end in the same state, notes of what was found included."""
    (one, _), (two, _) = (tuned(engine_for(), problem(layout=layout), epochs=3) for _ in range(2))
    assert everything(one.state) == everything(two.state)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_what_was_found_given_back_gives_the_same_bits(optimizer):
    """The values in the notes, given as rate and batch size, lead to the same weights: what was tried leaves no trace."""
    make, source = engine_for("log_loss", optimizer), problem()
    run, _ = tuned(make, source)
    rate, size = run.state.notes[LEARNING_RATE]["value"], run.state.notes[BATCH_SIZE]["value"]
    again, _ = tuned(make, source, rate=rate, batch_size=size)
    assert everything(again.state)[0] == everything(run.state)[0]
    assert again.state.rows == run.state.rows == EPOCHS * ROWS


def test_probing_leaves_the_state_as_it_was():
    """Rate and batch size are looked for on copies of the state."""
    make, source = engine_for("log_loss", "adam"), problem()
    state = fresh(make, source)
    before = everything(state)
    probe_rate(make, state, source, 0, batch_size=32, updates=1000)
    choose_batch_size(make, state, source, 0, cost=float, visits=10**5)
    assert everything(state) == before


def test_a_search_is_short_however_long_training_may_be():
    """Where epochs without end are asked for, a share of them would be without end, too."""
    assert most_visits(10**7) == 10**7 // 20
    assert most_visits(10**15) == 2**24
    assert most_visits(10**15, few=2**30) == 2**30


@pytest.mark.parametrize(
    ("rows", "batch_size"), [(40, 8), (4000, 1), (4000, 32), (4000, 4000), (50_000, 256)]
)
def test_the_work_of_a_probe_is_bounded(rows, batch_size):
    """A probe visits no more than a twentieth of the rows that training visits, or 65,536, and reads each once."""
    X, y = data_for("log_loss", n=rows)
    source, make = Counting(as_rows(X, y)), engine_for()
    visits = passes_for(rows) * rows
    found = probe_rate(
        make, fresh(make, source), source, 0, batch_size=batch_size, updates=visits // batch_size
    )
    assert source.visits <= min(rows, most_visits(visits))
    assert found.visits <= most_visits(visits) == max(visits // 20, 2**16)


def test_rates_that_diverge_are_tried_and_left_alone():
    """Rows of large numbers make most rates diverge; the one found is among those that do not, with room to spare."""
    X, y = data_for("squared_error", n=ROWS)
    source, make = ArraySource(as_rows(100 * X, y)), engine_for("squared_error")
    found = probed(make, source)
    diverged = [trial.rate for trial in found.trials if not trial.objective < 1e3 * found.start]
    assert diverged
    assert 2 * found.value < min(diverged)
    for rate in (found.value, 2 * found.value):
        tuned(make, source, rate=rate, batch_size=32)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_columns_of_scales_over_six_decades_are_trained_on(loss, optimizer):
    """From 1e-3 to 1e3: slow for SGD, but no rate diverges, and the objective falls by much of what one column explains."""
    X, y = data_for(loss, n=ROWS)
    source, make = ArraySource(as_rows(X * np.geomspace(1e-3, 1e3, 5), y)), engine_for(loss, optimizer)
    run, _ = tuned(make, source)
    note = run.state.notes[LEARNING_RATE]
    assert not note["restarts"]
    weights = run.engine.weights(run.state)
    largest = ArraySource(as_rows(np.ascontiguousarray(X[:, 4:]), y))
    alone, _ = tuned(engine_for(loss), largest, rate=0.1, batch_size=32)
    reached, start = run.engine.measure(source, weights), note["start"]
    assert reached < start
    assert start - reached > 0.9 * (start - alone.engine.measure(largest, alone.weights))


def with_outliers():
    """Rows of which two, that short runs do not see, are a thousand times as large as the others."""
    X, y = data_for("squared_error", n=20_000)
    unseen = Order(0).rows(20_000, NO_EPOCH, 17_000, 17_002)
    X[unseen] *= 1000
    return ArraySource(as_rows(X, y))


def test_training_that_diverges_begins_anew_with_a_tenth():
    """Rows that the probe did not see make its rate diverge: training recovers, says so, and loses no rows."""
    source, make = with_outliers(), engine_for("squared_error")
    run, stop = tuned(make, source, batch_size=32, epochs=3)
    note = run.state.notes[LEARNING_RATE]
    assert note["restarts"]
    assert note["value"] == pytest.approx(note["restarts"][0]["rate"] * 0.1 ** len(note["restarts"]))
    assert "began anew with a tenth" in note["reason"]
    assert stop.reason == "epochs"
    assert run.state.rows == 3 * 20_000
    again, _ = tuned(make, source, rate=note["value"], batch_size=32, epochs=3)
    assert everything(again.state)[0] == everything(run.state)[0]


def test_heavy_rows_are_not_taken_for_divergence():
    """Where the rows that the probe saw weigh less than the others, nothing begins anew: the losses of all rows decide."""
    X, y = data_for("squared_error", n=20_000)
    y[Order(0).rows(20_000, NO_EPOCH, 17_000, 17_100)] *= 1000
    run, _ = tuned(engine_for("squared_error"), ArraySource(as_rows(X, y)), batch_size=32, epochs=3)
    note = run.state.notes[LEARNING_RATE]
    assert run.state.history[-1]["loss"] > 2 * note["start"]
    assert not note["restarts"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_targets_of_any_scale_are_reached(optimizer, scale):
    """A rate of Adam is a step of the weights: it is found where they have far to go, too."""
    X, y = data_for("squared_error", n=ROWS)
    source, make = ArraySource(as_rows(X, scale * y)), engine_for("squared_error", optimizer)
    run, _ = tuned(make, source)
    reached = run.engine.measure(source, run.weights)
    residual = np.linalg.lstsq(np.column_stack([X, np.ones(ROWS)]), scale * y, rcond=None)[1][0]
    assert reached < 1.02 * residual / (2 * ROWS)


def test_where_nothing_can_be_gained_the_rate_is_an_ordinary_one():
    """A start at the optimum says nothing about rates; parts of the data that come later are to be learnt from all the same."""
    X, y = data_for("squared_error", n=ROWS)
    found = probed(engine_for("squared_error"), ArraySource(as_rows(X, np.zeros_like(y))))
    assert 1e-3 < found.value < 1


def test_estimators_say_what_was_found():
    """History tells rate, batch size and why; a rate of one's own is not looked for."""
    X, y = data_for("log_loss", n=500)
    model = SGDClassifier(loss="log_loss", optimizer="sgd", max_iter=5, random_state=0).fit(X, y)
    choices = model.history_.choices
    assert choices["learning_rate"]["value"] == pytest.approx(
        max(record["learning_rate"] for record in model.history_), rel=0.2
    )
    assert "visits to rows" in choices["learning_rate"]["reason"]
    assert choices["batch_size"]["value"] in {run["batch_size"] for run in choices["batch_size"]["tried"]}
    given = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.1, batch_size=8).fit(X, y)
    assert not {"learning_rate", "batch_size"} & set(given.history_.choices)


def test_the_summary_and_the_report_of_train_say_what_was_found():
    """What `fallline train` prints, and `fallline inspect` of its model, names rate and batch size and why."""
    X, y = data_for("log_loss", n=500)
    model = fallline.train(X, y, optimizer="adam", epochs=3, cache=False)
    found = model.summary["training"]["found"]
    assert model.summary["training"]["learning_rate"] == found["learning_rate"]["value"]
    assert model.summary["training"]["batch_size"] == found["batch_size"]["value"]
    for note in found.values():
        assert note["reason"] in model.report()
    again = fallline.train(
        X, y, optimizer="adam", epochs=3, cache=False,
        learning_rate=found["learning_rate"]["value"], batch_size=found["batch_size"]["value"],
    )  # fmt: skip
    assert again.weights.tobytes() == model.weights.tobytes()


def test_a_rate_that_was_given_is_kept():
    """Only rates found by itself are lowered by itself."""
    with pytest.raises(DivergenceError):
        tuned(engine_for("squared_error"), with_outliers(), rate=8.0, batch_size=32)


@pytest.mark.parametrize("update", [1, 130, 700])
def test_resuming_looks_for_nothing_again(update, tmp_path):
    """Stopped at any update, saved, loaded and gone on with, a run ends in the bits of one that was never stopped."""
    make, source = engine_for("log_loss", "adam"), problem()
    whole, _ = tuned(make, source)
    stopped, _ = tuned(make, source, max_updates=update)
    stopped.state.save(tmp_path / "state")
    counting = Counting(source._rows)
    resumed, _ = tuned(make, counting, State.load(tmp_path / "state"))
    assert everything(resumed.state) == everything(whole.state)
    assert counting.visits == EPOCHS * ROWS - stopped.state.rows


def test_a_batch_size_is_one_that_was_tried():
    """Among the sizes tried, and with the least of work times 1 + size / noise scale; the reason names both."""
    found = sized(engine_for(), problem(), epochs=100)
    assert found.value in {trial.batch_size for trial in found.trials}
    assert "updates take" in found.reason
    assert found.visits <= most_visits(100 * ROWS)


def test_dear_updates_make_batches_larger():
    """The more an update costs beside a row, the larger the batch."""
    make, source = engine_for(), problem(n=20_000)
    sizes = [
        choose_batch_size(
            make, fresh(make, source), source, 0, cost=lambda size, dear=dear: 1 + dear / size, visits=10**7
        ).value
        for dear in (0.1, 10, 1000)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_what_memory_does_not_hold_is_out():
    """A size whose trial runs out of memory ends the search, and the reason says so."""
    plain = engine_for()

    def make(rate, batch_size, updates):
        if batch_size > 64:
            raise MemoryError
        return plain(rate, batch_size, updates)

    source = problem(n=20_000)
    found = choose_batch_size(
        make, fresh(make, source), source, 0, cost=lambda size: 1 + 1000 / size, visits=10**7
    )
    assert found.value <= 64
    assert "memory" in found.reason


def test_few_rows_get_small_batches():
    """An epoch makes 32 updates at least, so long as there are rows for them."""
    assert sized(engine_for(), problem(n=200)).value <= 200 // 32
    assert sized(engine_for(), problem(n=7)).value == 1


def test_the_perceptron_is_trained_by_its_steps():
    """Its loss is least where all coefficients are zero: by default it descends, in steps that no rate has to be found for."""
    X, y = data_for("perceptron", n=300, columns=4)
    model = SGDClassifier("perceptron", random_state=0).fit(X, y)
    assert model.history_.choices["solver"]["solver"] == "descent"
    assert model.history_.choices["learning_rate"]["value"] == 1.0
    assert model.score(X, y) > 0.9
    assert model.optimality_ is None
