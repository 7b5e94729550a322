"""The compiled loops and the values that choose their code."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numba import njit
from scipy.stats import chisquare

import fallline
from fallline.data.rows import as_rows
from fallline.engines.sparse import sweep_sparse
from fallline.kernels.blocks import CsrBlock
from fallline.kernels.elementary import exp, log1p_unit, sigmoid, softplus
from fallline.kernels.order import ROUNDS, permute
from fallline.kernels.sweep import Descent, Memory, Rule, Sums, measure, predict, sweep
from fallline.kernels.verbs import derivative, differentiate, value
from fallline.objective.losses import LOSSES, OneVersusRest
from fallline.objective.losses.offset import Offset
from fallline.objective.penalties import L2
from fallline.optim.averaging import NoAveraging
from fallline.optim.optimizers import OPTIMIZERS
from reference import LAYOUTS, data_for, with_zeros

SINGLE = [name for name in LOSSES if name != "multinomial"]


def descent_for(loss, batch_size):
    rule = Rule(L2(1e-3), L2(0.0), OPTIMIZERS["sgd"](), NoAveraging(), fit_intercept=True)
    return Descent(loss, rule, batch_size)


def swept(loss, X, y, batch_size, cuts=(), outputs=1, weight=None):
    """Weights and sums after one epoch in blocks that end at the cuts."""
    n, columns = X.shape
    shape, dtype = (outputs, columns + 1), X.dtype
    memory = Memory(
        weights=np.zeros(shape, dtype),
        slots=np.zeros((0, *shape), dtype),
        mean=np.zeros((0, 0)),
        gradient=np.zeros(shape, dtype),
        folded=np.zeros(shape),
        clock=np.zeros(5, np.int64),
    )
    data, rows = as_rows(X, y, weight), np.arange(n, dtype=np.uint64)
    sums = Sums(0.0, 0, math.nan, math.nan, True)
    for start, stop in itertools.pairwise([0, *cuts, n]):
        block, descent = data.block(rows[start:stop]), descent_for(loss, batch_size)
        rates = np.full(stop - start + 1, 0.05)
        if isinstance(block, CsrBlock):
            memory, sums = sweep_sparse(block, memory, descent, rates, stop == n, sums.loss)
        else:
            sums = Sums(*sweep(block, memory, descent, rates, stop == n, sums.loss))
    return memory.weights, sums


def permutation(keys, n):
    out = np.empty(n, np.uint64)
    permute(keys, n, 0, out)
    return out


def keys_from(generator):
    return generator.integers(0, 2**64, ROUNDS, dtype=np.uint64)


@pytest.mark.parametrize("name", SINGLE)
def test_derivative_is_that_of_the_value(name):
    """Away from kinks every loss's derivative is the central difference of its value, in plain Python."""
    loss, h = LOSSES[name](), 1e-6
    targets = (-1.0, 1.0) if loss.domain.classes else (0.5, 2.0)
    for s, y in itertools.product((-2.345, -0.456, 0.0123, 0.789, 1.234, 3.21), targets):
        slope = (value(loss, s + h, y) - value(loss, s - h, y)) / (2 * h)
        assert derivative(loss, s, y) == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    "loss",
    [
        LOSSES["multinomial"](),
        OneVersusRest(LOSSES["log_loss"](), np.array([1.0, 2.0, 0.5])),
        Offset(LOSSES["multinomial"]()),
        Offset(LOSSES["poisson"]()),
    ],
)
def test_slopes_of_many_scores_are_those_of_the_value(loss):
    """A loss of several scores has the slopes that central differences of its value give, in plain Python."""
    generator, h = np.random.default_rng(0), 1e-6
    scores, targets = generator.standard_normal((3, 4)), np.array([[0.0, 1.0, 2.0, 1.0]] * 4)
    values, slopes, unused = np.empty((1, 4)), np.empty((3, 4)), np.empty((3, 4))
    differentiate(loss, 4, scores.copy(), targets, values, slopes)
    for k in range(3):
        above, below = np.empty((1, 4)), np.empty((1, 4))
        nudge = h * (np.arange(3) == k)[:, np.newaxis]
        differentiate(loss, 4, scores + nudge, targets, above, unused)
        differentiate(loss, 4, scores - nudge, targets, below, unused)
        np.testing.assert_allclose(slopes[k], (above - below)[0] / (2 * h), rtol=1e-6, atol=1e-8)


def test_elementary_functions_agree_with_numpy():
    """Compiled or not, exp and log1p_unit are NumPy's to three units in the last place, and exp keeps inf and NaN."""

    @njit
    def compiled(x, u, out):
        for i in range(x.size):
            out[0, i] = exp(x[i])
            out[1, i] = log1p_unit(u[i])
            out[2, i] = softplus(x[i])
            out[3, i] = sigmoid(x[i])

    x, u = np.linspace(-700, 700, 10_001), np.linspace(0, 1, 10_001)
    out = np.empty((4, x.size))
    compiled(x, u, out)
    np.testing.assert_allclose(out[0], np.exp(x), rtol=7e-16)
    np.testing.assert_allclose(out[1], np.log1p(u), rtol=7e-16)
    np.testing.assert_allclose(out[2], np.logaddexp(0, x), rtol=1e-15)
    np.testing.assert_allclose(out[3], np.exp(-np.logaddexp(0, -x)), rtol=1e-13)
    np.testing.assert_allclose([exp(v) for v in x[::100]], out[0, ::100], rtol=1e-15)
    special = np.array([math.inf, 710.0, math.nan])
    compiled(special, special, out[:, :3])
    for results in (out[0, :3], [exp(v) for v in special]):
        np.testing.assert_array_equal(results, [math.inf, math.inf, math.nan])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch_size", [1, 7, 32, 300, 700, 10_000])
def test_where_blocks_end_changes_no_bit(batch_size, layout, dtype):
    """Weights and loss are the same to the last bit however the rows are cut into blocks."""
    for columns in (3, 37, 64):
        X, y = data_for("log_loss", n=700, columns=columns)
        X, y = LAYOUTS[layout](with_zeros(X).astype(dtype)), y.astype(dtype)
        weights, sums = swept(LOSSES["log_loss"](), X, y, batch_size)
        assert weights.any()
        for cuts in ((1, 2, 3), (5, 41, 300), (33,), range(10, 700, 13)):
            again, sums_again = swept(LOSSES["log_loss"](), X, y, batch_size, cuts)
            np.testing.assert_array_equal(again, weights)
            assert sums_again.loss == sums.loss
            assert sums_again.gradient_norm == sums.gradient_norm


@pytest.mark.parametrize("indices", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_rows_train_as_dense_ones_do(dtype, indices):
    """The same rows give the same weights whether zeros are held or not, whatever the integers that say where."""
    X, y = data_for("squared_error", n=300, columns=70)
    X, targets = with_zeros(X).astype(dtype), np.column_stack([y, -2 * y]).astype(dtype)
    sparse = LAYOUTS["csr"](X)
    sparse.indices, sparse.indptr = sparse.indices.astype(indices), sparse.indptr.astype(indices)
    dense, _ = swept(LOSSES["squared_error"](), X, targets, 8, outputs=2)
    weights, _ = swept(LOSSES["squared_error"](), sparse, targets, 8, outputs=2)
    np.testing.assert_allclose(weights, dense, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-10)
    assert abs(dense).max() > 0.1


def test_indices_of_sparse_rows_may_come_in_any_order_and_repeat():
    """Non-zeros are added up: their order in a row does not matter, and those of one column count together."""
    _, y = data_for("log_loss", n=2)
    plain = LAYOUTS["csr"](np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]]))
    mixed = LAYOUTS["csr"](
        (np.array([1.0, 1.0, 2.0, 2.0]), np.array([2, 0, 2, 1]), np.array([0, 3, 4])), shape=(2, 3)
    )
    np.testing.assert_allclose(
        swept(LOSSES["log_loss"](), mixed, y, 1)[0],
        swept(LOSSES["log_loss"](), plain, y, 1)[0],
        rtol=1e-14,
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_read_only_rows_and_real_weights(layout):
    """X may be read-only; a row of weight 2 in its batch moves the weights twice as far as one of weight 1."""
    X, y = data_for("log_loss", n=1)
    X = LAYOUTS[layout](X)
    (X.data if layout == "csr" else X).flags.writeable = False
    once, _ = swept(LOSSES["log_loss"](), X, y, 1, weight=np.ones(1))
    twice, _ = swept(LOSSES["log_loss"](), X, y, 1, weight=np.full(1, 2.0))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-15)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("row", [150, 151, 152, 153, 154, 155])
def test_a_score_that_is_not_finite_ends_the_walk(row, bad, layout):
    """Even a loss whose comparisons swallow NaN and infinity stops at the batch that holds one, before its update."""
    X, y = data_for("hinge", n=200)
    X[row, 2] = bad
    _, sums = swept(LOSSES["hinge"](), LAYOUTS[layout](X), y, 8)
    assert not sums.finite
    assert sums.rows == row // 8 * 8


@pytest.mark.parametrize("layout", LAYOUTS)
def test_measure_and_predict_agree_with_numpy(layout):
    """`predict` gives X w + b, and `measure` the sum of weight times loss."""
    X, y = data_for("log_loss", n=75)
    generator = np.random.default_rng(1)
    weights, weight = generator.standard_normal((1, 6)), generator.random(75)
    block = as_rows(LAYOUTS[layout](X), y, weight).block(np.arange(75, dtype=np.uint64))
    scores = np.empty((75, 1))
    predict(block, weights, scores)
    expected = X @ weights[0, :-1] + weights[0, -1]
    np.testing.assert_allclose(scores[:, 0], expected, rtol=1e-12)
    sums = Sums(*measure(block, weights, LOSSES["log_loss"](), 0.0))
    assert sums.loss == pytest.approx(weight @ np.logaddexp(0, -y * expected), rel=1e-12)
    assert (sums.rows, sums.finite) == (75, True)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 63, 64, 65, 1000, 4095, 4096, 4097, 100_003])
def test_permute_is_a_permutation(n):
    """Every row comes once, whatever the number of rows."""
    rows = permutation(keys_from(np.random.default_rng(n)), n)
    np.testing.assert_array_equal(np.sort(rows), np.arange(n))


@pytest.mark.parametrize("n", [10, 5000, 2**40 - 3])
def test_permute_gives_any_stretch_alone(n):
    """The rows of a stretch depend on the keys and its positions only, up to 2**40 rows."""
    keys, size = keys_from(np.random.default_rng(0)), min(n, 1000)
    whole, part = np.empty(size, np.uint64), np.empty(size - 5, np.uint64)
    permute(keys, n, n - size, whole)
    permute(keys, n, n - size + 5, part)
    np.testing.assert_array_equal(part, whole[5:])
    assert len(set(whole.tolist())) == size
    assert whole.max() < n


def test_permute_never_changes():
    """The order is part of what a saved state means: these rows, on every machine, for good."""
    keys = np.arange(1, ROUNDS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert permutation(keys, 10).tolist() == [7, 8, 9, 5, 3, 2, 0, 4, 6, 1]
    large = np.empty(3, np.uint64)
    permute(keys, 10**9, 500_000_000, large)
    assert large.tolist() == [614577659, 220214004, 938864708]


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_all_orders_of_few_rows_are_equally_likely(n):
    """Over random keys, no permutation of a few rows is favoured."""
    generator = np.random.default_rng(7)
    counts = Counter(tuple(permutation(keys_from(generator), n).tolist()) for _ in range(24_000))
    assert chisquare([counts[order] for order in itertools.permutations(range(n))]).pvalue > 1e-3


@pytest.mark.parametrize("n", [1000, 5000])
def test_rows_are_independent_of_position_and_neighbour(n):
    """Over random keys, neither the position nor the row before tells anything of a row."""
    generator, grid, follows, position = np.random.default_rng(3), np.zeros((10, 10)), [], []
    for _ in range(1000):
        rows = permutation(keys_from(generator), n).astype(float)
        follows.append(np.corrcoef(rows[:-1], rows[1:])[0, 1])
        position.append(np.corrcoef(np.arange(n), rows)[0, 1])
        grid += np.histogram2d(np.arange(n), rows, 10, [[0, n], [0, n]])[0]
    for correlations in (follows, position):
        z = np.array(correlations) * math.sqrt(n)
        assert abs(z.mean() * math.sqrt(1000)) < 4
        assert 0.9 < z.std() < 1.1
    # In a grid of counts whose rows and columns have fixed sums, 81 of 100 cells are free.
    assert (((grid - grid.mean()) ** 2).sum() / grid.mean()) / 81 < 1.5


def test_a_user_s_own_loss_is_compiled_cached_and_compiled_again_when_edited(tmp_path):
    """A loss of any module trains; later processes read its code from disk, until its source changes."""
    loss = tmp_path / "own.py"
    page = textwrap.dedent(
        """
        from typing import NamedTuple
        from fallline.kernels.verbs import derivative, value

        class Own(NamedTuple):
            factor: float

        @value.of(Own)
        def _(loss, score, target):
            return loss.factor * (score - target) ** 2

        @derivative.of(Own)
        def _(loss, score, target):
            return 2.0 * loss.factor * (score - target)
        """
    )
    script = textwrap.dedent(
        """
        import numpy as np
        from own import Own
        from fallline.kernels.blocks import DenseBlock
        from fallline.kernels.sweep import measure
        rows = np.arange(3, dtype=np.uint64)
        block = DenseBlock(np.ones((3, 1)), np.zeros((3, 1)), np.ones(3), rows)
        loss_sum = measure(block, np.ones((1, 2)), Own(1.0), 0.0)[0]
        stats = measure.stats
        print(loss_sum, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
        """
    )

    def run(source):
        loss.write_text(source)
        package = str(Path(fallline.__file__).parents[1])
        settings = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        path = {"PYTHONPATH": os.pathsep.join([str(tmp_path), package])}
        command = [sys.executable, "-c", script]
        result = subprocess.run(
            command, env=os.environ | settings | path, capture_output=True, text=True, check=True
        )
        return [float(word) for word in result.stdout.split()]

    assert run(page) == [12, 0, 1]
    assert run(page) == [12, 1, 0]
    assert run(page.replace("loss.factor *", "3.0 * loss.factor *")) == [36, 0, 1]
