"""How many rows are compared on, and which."""

import numpy as np
import pytest

from fallline.comparison import draw as page
from fallline.comparison.draw import draw
from fallline.comparison.table import read
from fallline.data.budget import Budget
from fallline.errors import InputError, TargetError

GIGABYTE = Budget(10**9)


def test_all_rows_where_they_fit():
    """Nothing is drawn, and nothing said."""
    drawn = draw(1_000, 100, 1, GIGABYTE, 0)
    np.testing.assert_array_equal(drawn.rows, np.arange(1_000))
    assert drawn.why == []


def test_a_part_where_memory_is_short():
    """As many rows as take a twelfth of the budget; which, follows from the seed alone; and a sentence says it."""
    drawn = draw(1_000_000, 100, 1, GIGABYTE, 0)
    assert len(drawn.rows) == 10**9 // (12 * 4 * 102)
    assert (np.diff(drawn.rows) > 0).all()
    assert 0 <= drawn.rows[0] < drawn.rows[-1] < 1_000_000
    [why] = drawn.why
    assert why.startswith("Compared on 204,248 rows, drawn at random from 1,000,000: ")
    assert "1/12 of the 1,000 MB" in why
    np.testing.assert_array_equal(drawn.rows, draw(1_000_000, 100, 1, GIGABYTE, 0).rows)
    other = draw(1_000_000, 100, 1, GIGABYTE, 1).rows
    assert len(np.intersect1d(drawn.rows, other)) < 0.25 * len(drawn.rows)
    # From all over the data, not from some part of them.
    counts, _ = np.histogram(drawn.rows, bins=10, range=(0, 1_000_000))
    assert counts.min() > 0.95 * len(drawn.rows) / 10


def test_a_part_where_it_would_take_too_long():
    """Features times classes say how long; with memory for more, the sentence gives this reason."""
    drawn = draw(1_000_000, 500, 20, Budget(10**12), 0)
    assert len(drawn.rows) == 100_000_000 // (500 * 20)
    assert "500 features for each of 20 classes, more would take too long" in drawn.why[0]


@pytest.mark.parametrize("features", [10**6, 10**8])
def test_too_many_features(features):
    """Where hardly a row fits, or the weights do not, it is said what to do."""
    with pytest.raises(
        InputError, match=r"features, too many to be compared on within 128 MB.*Leave columns out"
    ):
        draw(1_000, features, 1, Budget(128 * 10**6), 0)


@pytest.fixture
def few(monkeypatch):
    """As if a hundred rows were as many as anyone waits for."""
    monkeypatch.setattr(page, "_MOST_PRODUCTS", 1)
    monkeypatch.setattr(page, "_FEW_ROWS", 100)


def _data(classes):
    """A thousand rows whose number is their own."""
    return {"row": np.arange(1_000.0), "word": [f"w{i % 40}" for i in range(1_000)], "t": classes}


@pytest.mark.usefixtures("few")
def test_the_rows_drawn_are_those_encoded():
    """The same rows with and without others that have no target between them; numbers and targets belong together."""
    t = [None if i % 4 == 1 else i / 7 for i in range(1_000)]
    table = read(_data(t), "t", seed=3)
    encoder = table.encoder
    assert len(table.X) == len(table.y) == 100
    assert encoder.counts.used == 750
    assert table.notes[0].startswith("Compared on 100 rows, drawn at random from 750")
    [row] = [column for column in encoder.columns if column.name == "row"]
    found = table.X[:, 0].astype(float) * row.deviation + row.mean
    wanted = np.array([i for i in range(1_000) if i % 4 != 1])[draw(750, 1, 1, GIGABYTE, 3).rows]
    np.testing.assert_allclose(found, wanted, atol=1e-2)
    np.testing.assert_allclose(table.y * encoder.target_scale + encoder.target_mean, found / 7, atol=1e-2)
    words = [encoder.feature_names[j] for j in 1 + table.X[:, 1:].argmax(axis=1)]
    assert words == [f"word=w{round(number) % 40}" for number in found]


@pytest.mark.usefixtures("few")
def test_classes_that_are_not_drawn_are_left_out():
    """A class of which no row is drawn is named; where two are left, they are two classes; one is an error."""
    rare = np.where(np.isin(np.arange(1_000), draw(1_000, 1, 1, GIGABYTE, 0).rows), "b", "c")
    table = read(_data(np.where(np.arange(1_000) % 2, rare, "a")), "t")
    assert (table.task, table.classes) == ("binary", ["a", "b"])
    assert set(table.y) == {-1, 1}
    assert "Classes that no row drawn is of were left out: 'c'." in table.notes
    with pytest.raises(TargetError, match="'b' in all 100 rows that were drawn"):
        read(_data(rare), "t")
