"""Descent on sparse rows: at the cost of their non-zeros, with the weights that dense rows give."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pytest
from scipy.sparse import csr_array

from fallline.data.order import Order
from fallline.data.rows import ArraySource, as_rows
from fallline.engines import sparse
from fallline.engines.descent import DescentEngine
from fallline.loop import train
from fallline.monitors.base import Run
from fallline.objective.losses import LOSSES, OneVersusRest
from fallline.objective.penalties import L1, L2, ElasticNet, NoPenalty
from fallline.optim.averaging import NoAveraging, Polyak
from fallline.optim.optimizers import OPTIMIZERS
from fallline.optim.schedules.constant import Constant
from fallline.optim.schedules.cosine import Cosine
from fallline.optim.schedules.inverse_scaling import InverseScaling
from fallline.optim.schedules.one_cycle import OneCycle
from fallline.optim.schedules.optimal import Optimal
from fallline.state import State
from reference import data_for

N, COLUMNS = 103, 3000
BATCHES = (1, 7, 32, N)
PENALTIES = [NoPenalty(), L2(0.03), L1(0.003), ElasticNet(0.02, 0.3)]
# Rates come to a sweep as numbers, which are tested of every schedule: some are enough here.
SCHEDULES = [Optimal(0.05, 3.0), Cosine(0.2, 5, 60), OneCycle(0.2, 15, 60)]
FALLING = InverseScaling(0.05, 0.3)


def rows_for(loss, dtype=np.float64, seed=0):
    """Rows with up to three non-zeros, in columns of which a few come often, many once and most never; some rows are empty."""
    _, y = data_for(loss, n=N)
    generator = np.random.default_rng(seed)
    X = np.zeros((N, COLUMNS), dtype)
    for row in X[:]:
        columns = (COLUMNS * generator.random(generator.integers(0, 4)) ** 6).astype(int)
        row[columns] = generator.standard_normal(len(columns))
    return X, y.astype(dtype)


def trained(engine, X, y, epochs=3, outputs=1, **limits):
    state = engine.start(X.shape[1], outputs, X.dtype)
    train(Run(engine, ArraySource(as_rows(X, y)), Order(0), state, epochs, **limits))
    return state


def require_equal(engine, X, y, tolerance=1e-12, **settings):
    dense, sparse_ = (engine.weights(trained(engine, to(X), y, **settings)) for to in (np.array, csr_array))
    np.testing.assert_allclose(sparse_, dense, rtol=0, atol=tolerance * max(1.0, abs(dense).max()))
    assert dense[:, :-1].any()


# An elastic net is the other penalties at once, and meets every optimizer; they meet every fourth one.
MET = [
    (penalty, optimizer)
    for i, penalty in enumerate(PENALTIES)
    for j, optimizer in enumerate(OPTIMIZERS)
    if isinstance(penalty, ElasticNet) or (i + j) % 4 == 0
]
# A loss knows nothing of optimizers: each is compiled with one, one of several scores with one of each kind; squared error meets
# all below.
PAIRS = [(loss, "sgd") for loss in LOSSES] + [("multinomial", "momentum"), ("multinomial", "adam")]


@pytest.mark.parametrize(("loss", "optimizer"), PAIRS)
def test_every_loss_and_optimizer_agree_with_dense_rows(loss, optimizer):
    """Rare columns end where dense updates take them, whatever the loss, the optimizer and the batch size."""
    X, y = rows_for(loss)
    outputs = 3 if loss == "multinomial" else 1
    for batch_size in BATCHES:
        engine = DescentEngine(LOSSES[loss](), OPTIMIZERS[optimizer](), Constant(0.01), batch_size, L2(0.01))
        require_equal(engine, X, y, outputs=outputs)


@pytest.mark.parametrize(("penalty", "optimizer"), MET, ids=str)
def test_every_penalty_and_optimizer_agree_with_dense_rows(penalty, optimizer):
    """So they do under every penalty, while the rate changes with every update."""
    X, y = rows_for("squared_error")
    for batch_size in BATCHES:
        engine = DescentEngine(
            LOSSES["squared_error"](), OPTIMIZERS[optimizer](), FALLING, batch_size, penalty
        )
        require_equal(engine, X, y)


@pytest.mark.parametrize(
    ("schedule", "optimizer"), list(zip(SCHEDULES, cycle(["sgd", "momentum"]), strict=False))
)
def test_schedules_agree_with_dense_rows(schedule, optimizer):
    """Rates that rise, fall and end at zero are made up for as they were."""
    X, y = rows_for("squared_error")
    engine = DescentEngine(
        LOSSES["squared_error"](), OPTIMIZERS[optimizer](), schedule, 7, ElasticNet(0.02, 0.3)
    )
    require_equal(engine, X, y, epochs=5)


@pytest.mark.parametrize(
    ("optimizer", "penalty"), [("sgd", L1(0.003)), ("momentum", PENALTIES[3]), ("adam", PENALTIES[3])]
)
def test_float32_agrees_with_dense_rows(optimizer, penalty):
    """In float32 they agree to 1e-5."""
    X, y = rows_for("squared_error", np.float32)
    engine = DescentEngine(LOSSES["squared_error"](), OPTIMIZERS[optimizer](), Constant(0.01), 1, penalty)
    require_equal(engine, X, y, 1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("outputs", ["one a target", "one class against the rest"])
def test_several_outputs_agree_with_dense_rows(outputs, optimizer):
    """Several targets, and one model a class, share their rows' columns."""
    loss, (X, y) = LOSSES["squared_error"](), rows_for("squared_error")
    targets = np.column_stack([y, -2 * y, y**2])
    if outputs != "one a target":
        X, targets = rows_for("multinomial")
        loss = OneVersusRest(LOSSES["log_loss"](), np.ones(3))
    for penalty in PENALTIES[1:3] if outputs == "one a target" else PENALTIES[1:2]:
        engine = DescentEngine(loss, OPTIMIZERS[optimizer](), Constant(0.01), 7, penalty)
        require_equal(engine, X, targets, outputs=3)


@pytest.mark.parametrize(
    ("optimizer", "penalty"), [("sgd", L2(0.03)), ("momentum", L1(0.003)), ("adam", L2(0.03))]
)
def test_averages_agree_with_dense_rows(optimizer, penalty):
    """Each update's weights have their part in the average, those of columns left behind, too."""
    X, y = rows_for("squared_error")
    for batch_size in BATCHES:
        averaging = Polyak(max(1, 20 // batch_size))
        engine = DescentEngine(
            LOSSES["squared_error"](), OPTIMIZERS[optimizer](), FALLING, batch_size, penalty, averaging
        )
        require_equal(engine, X, y)


@pytest.mark.parametrize(
    ("optimizer", "averaging"), [("sgd", NoAveraging()), ("adam", NoAveraging()), ("adam", Polyak(2))]
)
def test_weights_are_up_to_date_within_an_epoch(optimizer, averaging):
    """Asked for in the midst of an epoch, the weights are those of dense rows; asking changes nothing."""
    X, y = rows_for("squared_error")
    engine = DescentEngine(
        LOSSES["squared_error"](), OPTIMIZERS[optimizer](), FALLING, 7, PENALTIES[3], averaging
    )
    require_equal(engine, X, y, max_updates=18)
    state = trained(engine, csr_array(X), y, max_updates=18)
    before = [array.tobytes() for array in state.memory]
    engine.weights(state)
    assert [array.tobytes() for array in state.memory] == before


RESUMED = [("sgd", 7), ("sgd", 300), ("adagrad", 7), ("adam", 1), ("adam", 32)]


def everything(state):
    return [array.tobytes() for array in state.memory], state.loss_sum, state.gradient_norm


@pytest.mark.parametrize(("optimizer", "batch_size"), RESUMED)
@pytest.mark.parametrize("penalty", [L2(0.03), L1(0.003)])
def test_blocks_and_resuming_change_no_bit(optimizer, batch_size, penalty, tmp_path, monkeypatch):
    """Wherever blocks end, and wherever training is saved and resumed, weights and memory are the same to the last bit."""
    X, y = rows_for("squared_error")
    engine = DescentEngine(LOSSES["squared_error"](), OPTIMIZERS[optimizer](), FALLING, batch_size, penalty)
    source = ArraySource(as_rows(csr_array(X), y))
    expected = trained(engine, csr_array(X), y, epochs=2)
    for rows in (1, 3, 50):
        monkeypatch.setattr(DescentEngine, "block_rows", lambda *_, rows=rows: rows)
        assert everything(trained(engine, csr_array(X), y, epochs=2)) == everything(expected)
    state = engine.start(COLUMNS, 1, X.dtype)
    for position in (5, 20, 100, 40):
        while state.position < position:
            block, stop = next(source.blocks(Order(0), state.epoch, state.position, lambda: 5))
            state.advance(engine.sweep(block, state, False), stop, 0.0)
        state.save(tmp_path / "state")
        state = State.load(tmp_path / "state")
        if position == 100:
            train(Run(engine, source, Order(0), state, 1))
    train(Run(engine, source, Order(0), state, 2))
    assert everything(state) == everything(expected)


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_batches_so_large_that_all_columns_are_visited(optimizer, monkeypatch):
    """Sums put together in parts, and columns no longer listed: the weights of dense rows, and the same bits for any block."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((1500, 200)) * (generator.random((1500, 200)) < 0.02)
    y = generator.standard_normal(1500)
    engine = DescentEngine(LOSSES["squared_error"](), OPTIMIZERS[optimizer](), FALLING, 700, PENALTIES[1])
    require_equal(engine, X, y)
    expected = everything(trained(engine, csr_array(X), y))
    for rows in (7, 400):
        monkeypatch.setattr(DescentEngine, "block_rows", lambda *_, rows=rows: rows)
        assert everything(trained(engine, csr_array(X), y)) == expected


@pytest.mark.parametrize("batch_size", [1, 7])
def test_an_epoch_left_in_its_midst_leaves_the_weights_of_its_updates(batch_size):
    """Leaving an epoch forgets the unfinished batch only; going on with other rows, sparse or dense, is as with dense rows."""
    X, y = rows_for("squared_error")
    for optimizer in ("sgd", "adam"):
        engine = DescentEngine(
            LOSSES["squared_error"](), OPTIMIZERS[optimizer](), FALLING, batch_size, L1(0.003)
        )
        found = []
        for first, then in (
            (np.array, np.array),
            (csr_array, csr_array),
            (csr_array, np.array),
            (np.array, csr_array),
        ):
            state = engine.start(COLUMNS, 1, X.dtype)
            block, stop = next(ArraySource(as_rows(first(X), y)).blocks(Order(0), 0, 0, lambda: 40))
            state.advance(engine.sweep(block, state, False), stop, 0.0)
            engine.leave_epoch(state)
            train(Run(engine, ArraySource(as_rows(then(X), y)), Order(1), state, 1))
            found.append(engine.weights(state))
        for weights in found[1:]:
            np.testing.assert_allclose(weights, found[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("penalty", "optimizer"), MET, ids=str)
def test_columns_are_caught_up_when_there_is_no_room_for_another_rate(penalty, optimizer, monkeypatch):
    """However seldom or often all columns are brought up to date, the weights are the same to rounding."""
    X, y = rows_for("squared_error")
    engine = DescentEngine(LOSSES["squared_error"](), OPTIMIZERS[optimizer](), FALLING, 1, penalty)
    expected = trained(engine, csr_array(X), y).memory.weights
    monkeypatch.setattr(sparse, "_UPDATES", 5)
    weights = trained(engine, csr_array(X), y).memory.weights
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("alpha", [0.9, 3.0, 9.99, 10.0, 30.0])
def test_strong_penalties_agree_with_dense_rows(alpha):
    """The common scale neither underflows nor hides a penalty that sets all weights to zero at once."""
    X, y = rows_for("squared_error")
    for dtype in (np.float32, np.float64):
        engine = DescentEngine(LOSSES["squared_error"](), OPTIMIZERS["sgd"](), Constant(0.1), 1, L2(alpha))
        dense, sparse_ = (
            trained(engine, to(X.astype(dtype)), y.astype(dtype), 20).memory.weights
            for to in (np.array, csr_array)
        )
        np.testing.assert_allclose(sparse_, dense, rtol=0, atol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [1, 7])
def test_indices_in_any_order_repeated_and_of_zeros(optimizer, batch_size):
    """Non-zeros of one column in a row count together; zeros that are held count as those that are not; 64-bit indices, too."""
    X, y = rows_for("squared_error")
    plain = csr_array(X)
    dtype = np.int64 if optimizer in {"sgd", "adam"} else np.int32
    generator = np.random.default_rng(1)
    data, indices, indptr = [], [], [0]
    for row in range(N):
        columns = plain.indices[plain.indptr[row] : plain.indptr[row + 1]]
        values = plain.data[plain.indptr[row] : plain.indptr[row + 1]]
        many = generator.integers(0, COLUMNS, 2)
        held = np.concatenate([columns, columns, many])
        parts = np.concatenate([0.25 * values, 0.75 * values, np.zeros(2)])
        order = generator.permutation(len(held))
        indices.append(held[order].astype(dtype))
        data.append(parts[order])
        indptr.append(indptr[-1] + len(held))
    mixed = csr_array((np.concatenate(data), np.concatenate(indices), np.array(indptr)), shape=X.shape)
    engine = DescentEngine(
        LOSSES["squared_error"](), OPTIMIZERS[optimizer](), FALLING, batch_size, PENALTIES[3]
    )
    weights = trained(engine, mixed, y).memory.weights
    np.testing.assert_allclose(weights, trained(engine, X, y).memory.weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
def test_ten_million_columns(optimizer):
    """Columns that no row holds change nothing: the others' weights are those of a model without them."""
    X, y = rows_for("squared_error")
    few = csr_array(X[:, X.any(axis=0)])
    places = np.linspace(0, 10**7 - 1, few.shape[1]).astype(np.int32)
    many = csr_array((few.data, places[few.indices], few.indptr), shape=(N, 10**7))
    engine = DescentEngine(LOSSES["squared_error"](), OPTIMIZERS[optimizer](), FALLING, 7, L1(0.003))
    weights, expected = (engine.weights(trained(engine, rows, y, 1)) for rows in (many, few))
    np.testing.assert_allclose(weights[:, places], expected[:, :-1], rtol=0, atol=1e-12)
    assert np.count_nonzero(weights) == np.count_nonzero(expected)


def test_columns_without_a_gradient_are_left_behind():
    """Within an epoch a column is where it was last touched, and of the state only what was touched is written."""
    X, y = rows_for("squared_error")
    source = ArraySource(as_rows(csr_array(X), y))
    for optimizer in OPTIMIZERS:
        engine = DescentEngine(LOSSES["squared_error"](), OPTIMIZERS[optimizer](), FALLING, 1, L2(0.03))
        state = engine.start(COLUMNS, 1, X.dtype, np.ones((1, COLUMNS + 1)))
        block, _ = next(source.blocks(Order(0), 0, 0, lambda: 20))
        engine.sweep(block, state, False)
        held = np.zeros(COLUMNS, bool)
        held[csr_array(X)[block.rows.astype(int)].indices] = True
        assert (state.memory.weights[0, :-1][~held] == 1).all()
        assert (engine.weights(state)[0, :-1] != 1).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(("optimizer", "batch_size"), [("sgd", 8), ("sgd", 300), ("adam", 8)])
def test_a_score_that_is_not_finite_ends_the_walk(optimizer, batch_size, bad):
    """The walk ends at the rows that hold what is no number, before their update."""
    X, y = rows_for("squared_error")
    X[50, 0] = bad
    engine = DescentEngine(LOSSES["squared_error"](), OPTIMIZERS[optimizer](), FALLING, batch_size)
    state = engine.start(COLUMNS, 1, X.dtype)
    rows = np.arange(N, dtype=np.uint64)
    sums = engine.sweep(as_rows(csr_array(X), y).block(rows), state, True)
    assert not sums.finite
    assert sums.rows <= 50
