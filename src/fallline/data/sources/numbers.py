"""Numbers as people write them: thousands set apart, with a currency, or with a percent sign.

A column has one *notation*: `THOUSANDS`, a currency, or the percent sign. Digits alone need none. A currency may stand before or
after its number; a loss may stand in brackets, as in books.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "PERCENT",
    "THOUSANDS",
    "example",
    "has_thousandths",
    "in_digits",
    "is_code",
    "looks_grouped",
    "notations",
    "notations_that_fit",
    "plain",
]

THOUSANDS = "1 000"
"""The notation of numbers that have no unit."""

PERCENT = "%"
"""The notation of numbers that all have a percent sign: to leave it out would mean another number."""

_CURRENCIES = ("$", "€", "£", "¥", "₹", "US$", "R$", "USD", "EUR", "GBP", "CHF", "JPY", "INR", "zł", "kr")

_SIGN = r"[+\x{2212}-]?"
_DIGITS = {
    ".": r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?",
    ",": r"(\d+,?\d*|,\d+)([eE][+-]?\d+)?",
}
# One mark sets all thousands of a number apart; 0.125 has none beside a decimal comma. In India, groups of two come before.
_BY_BLANKS, _BY_APOSTROPHES = r"([ \x{a0}\x{202f}]\d{3})+", r"(['\x{2019}]\d{3})+"
_GROUPS = {
    ".": rf"([1-9]\d{{0,2}}((,\d{{3}})+|{_BY_BLANKS}|{_BY_APOSTROPHES})|[1-9]\d?(,\d\d)+,\d{{3}})(\.\d*)?",
    ",": rf"[1-9]\d{{0,2}}((\.\d{{3}})+|{_BY_BLANKS}|{_BY_APOSTROPHES})(,\d*)?",
}
_WORDS = "(?i:inf|infinity|nan)"

# Of so many different numbers, not all are like 555 123 456: telephones are, and lists of numbers.
_VARIED = 5


def example(notation: str) -> str:
    """A number in one of the notations; nothing for another."""
    if notation not in notations("."):
        return ""
    return {THOUSANDS: "1234", PERCENT: "12%"}.get(notation, f"{notation} 1234")


@cache
def plain(decimal: str) -> str:
    """What a number in digits alone looks like: a regular expression."""
    return f"^[+-]?{_DIGITS[decimal]}$" + (f"|^[+-]?{_WORDS}$" if decimal == "." else "")


@cache
def notations(decimal: str) -> dict[str, str]:
    """From each notation to what its numbers look like."""
    number = f"({_DIGITS[decimal]}|{_GROUPS[decimal]})"

    def money(mark):
        mark = re.escape(mark)
        loss = rf"\(({mark} ?{number}|{number} ?{mark})\)"
        return rf"^({_SIGN}({mark} ?)?{_SIGN}{number}( ?{mark})?|{loss})$"

    currencies = {mark: money(mark) for mark in _CURRENCIES}
    return {THOUSANDS: f"^{_SIGN}{number}$", **currencies, PERCENT: f"^{_SIGN}{number} ?%$"}


def notations_that_fit(distinct: pa.Array, decimal: str, usual: Callable[[str], bool]) -> tuple[str, ...]:
    """The notations of a column, the likeliest first; none where it is more likely to hold something else.

    Parameters
    ----------
    distinct : Array of strings
        Its values, each once.
    decimal : str
        The decimal point.
    usual : callable
        Whether nearly all values match a regular expression.
    """
    fitting = tuple(notation for notation, pattern in notations(decimal).items() if usual(pattern))
    if fitting[:1] == (THOUSANDS,) and _are_alike(distinct):
        return ()
    # 1.101 € is more than 901 €.
    if fitting and fitting[0] in _CURRENCIES and looks_grouped(distinct, decimal):
        return ()
    return fitting


def looks_grouped(values: pa.Array, mark: str) -> bool:
    """Whether thousands are more likely than decimals behind a mark: after it come three digits, without it are up to three."""
    bare = pc.replace_substring_regex(values, r"[^0-9.,]", "")
    marked = pc.match_substring(bare, mark)
    if not (pc.any(marked).as_py() and pc.any(pc.invert(marked)).as_py()):
        return False
    grouped = rf"^([1-9]\d{{0,2}}({re.escape(mark)}\d{{3}})+|\d{{1,3}})$"
    return bool(pc.all(pc.match_substring_regex(bare, grouped)).as_py())


def has_thousandths(values: pa.Array, mark: str) -> bool:
    """Whether there are prices, all with three digits behind a mark: decimals would be thousandths."""
    fits = pc.match_substring_regex(values, rf"(^|\D)[1-9]\d{{0,2}}({re.escape(mark)}\d{{3}})+(\D|$)")
    return bool(len(values) and pc.all(fits).as_py())


def is_code(distinct: pa.Array) -> bool:
    """Whether digits are a code, such as 02134: all have the same length, five or more, and some begin with a zero."""
    lengths = pc.utf8_length(distinct)
    alike = pc.min(lengths).as_py() == pc.max(lengths).as_py() >= 5
    return bool(
        alike
        and pc.all(pc.match_substring_regex(distinct, r"^\d+$")).as_py()
        and pc.any(pc.match_substring_regex(distinct, r"^0\d*[1-9]")).as_py()
    )


def in_digits(values: pa.Array, decimal: str, notation: str) -> pa.Array:
    """Numbers of a notation in digits and with a decimal point alone; null for what is none."""
    fits = pc.match_substring_regex(values, notations(decimal)[notation])
    values = pc.replace_substring_regex(pc.if_else(fits, values, None), r"\x{2212}|^\(", "-")
    values = pc.replace_substring_regex(values, f"[^0-9eE+{decimal}-]", "")
    # An E of EUR, say, is none of an exponent.
    values = pc.replace_substring_regex(values, r"^([+-]*)[eE]+|[eE]+$", r"\1")
    return pc.replace_substring(values, ",", ".")


def _are_alike(distinct):
    shapes = pc.unique(pc.replace_substring_regex(distinct, r"\d", "0"))
    telephone = len(shapes) == 1 and re.fullmatch(r"000(\D000){2,}", shapes[0].as_py())
    return bool(len(distinct) >= _VARIED and telephone)
