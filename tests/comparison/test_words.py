"""Numbers as people read them."""

import pytest

from fallline.comparison import words


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (words.amount, 1437, "1,437"),
        (words.amount, 2_400_000, "2.4 million"),
        (words.amount, 0.001, "0.001"),
        (words.amount, 2.5, "2.5"),
        (words.amount, 1e-5, "0.00001"),
        (words.time, 4.1e-4, "410 µs"),
        (words.time, 0.0123, "12.3 ms"),
        (words.time, 2.345, "2.35 s"),
        (words.time, 200.0, "3 min 20 s"),
        (words.share, 1.0, "100%"),
        (words.share, 0.0123, "1.2%"),
        (words.share, 0.0003, "0.03%"),
        (words.share, 1e-12, "<0.0001%"),
        (words.share, 0.0, "0%"),
        (words.percent, 0.95, "95.0%"),
        (words.multiple, 1.337, "1.3"),
        (words.multiple, 1234, "1,200"),
        (words.megabytes, 204800, "0.2 MB"),
        (words.megabytes, 19_440, "0.019 MB"),
        (words.megabytes, 0, "0 MB"),
        (words.short, 1_650_000, "1.6M"),
        (words.short, 260_123, "260k"),
    ],
)
def test_numbers_are_written_for_people(write, value, text):
    """Few digits, units that fit."""
    assert write(value) == text


def test_nouns_are_counted():
    """One column, several columns."""
    assert words.counted(1, "column") == "1 column"
    assert words.counted(1_234, "row") == "1,234 rows"


def test_lists_read_as_sentences():
    """a, b and c."""
    assert words.joined(["a"]) == "a"
    assert words.joined(["a", "b", "c"]) == "a, b and c"
