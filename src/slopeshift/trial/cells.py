"""What one cell of a trial's tables may say, and the value it stands for.

A `Kind` of cell is a chain of rules, each one way to be wrong with the remedy for it, and a function from the text to
the value. Rules see the text as it was written, so that a message can quote it. An empty cell and `NA` mean "missing",
and so does `NaN` where a number or a date belongs.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MISSING = ("", "NA")
NOT_A_NUMBER = "nan"  # in any case of letters: what other programs write for a missing number
LONGEST_PATIENT = 80
YEARS = range(1950, 2101)

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_BEYOND_LIMIT = re.compile(r"[<>≤≥].*")
_MISSING_WORDS = re.compile(r"[-–—.?*]+|#?n/?a\.?|n\.a\.?|null|none|missing|unknown|not done|nd", re.IGNORECASE)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ].*")
# Controls, line separators, lone surrogates, and marks that turn the order of letters on a page.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Rule:
    """One way for a cell to be wrong, and what to do about it."""

    wrong: Callable[[str], bool]
    remedy: str


@dataclass(frozen=True)
class Kind:
    """One kind of cell: its rules (the first broken speaks), its text's value, whether its column must be there."""

    rules: tuple[Rule, ...]
    value: Callable[[str], Any]
    dtype: str
    needed: bool = False

    def values(self, cells: pd.Series[str]) -> pd.Series[Any]:
        """Return what the cells stand for; NaN where missing or wrong."""
        codes, distinct = pd.factorize(cells)
        read = pd.Series([self.value(cell) for cell in distinct], dtype=self.dtype)
        return read.take(codes).set_axis(cells.index)


def number(cell: str) -> float:
    """Return the finite number a cell says, NaN where it is missing or says something else."""
    value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    return value if math.isfinite(value) else math.nan


def day(cell: str) -> float:
    """Return the day number of an ISO date of our time (0001-01-01 is 1), NaN where it is missing or something else."""
    try:
        read = date.fromisoformat(cell) if _DAY.fullmatch(cell) else None
    except ValueError:
        return math.nan
    return float(read.toordinal()) if read and read.year in YEARS else math.nan


def words(cell: str) -> str | float:
    """Return the text of a cell, NaN where it is missing."""
    return math.nan if cell in MISSING else cell


def is_missing(cell: str) -> bool:
    """Say whether the cell of a number or a date is missing."""
    return cell in MISSING or cell.casefold() == NOT_A_NUMBER


def has_control_character(text: str) -> bool:
    """Say whether a text holds a character that cannot be seen or printed."""
    return _CONTROL.search(text) is not None


def required(kind: Kind) -> Kind:
    """Return the same kind of cell where it may not be missing."""
    empty = is_missing if kind.dtype == "float64" else MISSING.__contains__
    filled = Rule(empty, "fill in this cell: it is required")
    return replace(kind, needed=True, rules=(filled, *kind.rules))


def quantity(
    minimum: float | None = None, maximum: float | None = None, *, integer: bool = False, positive: bool = False
) -> Kind:
    """Describe a numeric cell: its limits (included), and whether it must be a whole number or above zero."""
    low = -math.inf if minimum is None else minimum
    high = math.inf if maximum is None else maximum
    limits = (
        Rule(lambda cell: number(cell) < low, f"correct it: the lowest possible value is {low:g}"),
        Rule(lambda cell: number(cell) > high, f"correct it: the highest possible value is {high:g}"),
    )
    whole = (Rule(lambda cell: number(cell) % 1 > 0, "write a whole number"),) if integer else ()
    above = (Rule(lambda cell: number(cell) <= 0, "write a number above zero"),) if positive else ()
    return Kind((*_NUMERIC, *limits, *whole, *above), number, "float64")


def choice(*options: str) -> Kind:
    """Describe a cell that says one of a few words."""
    listed = ", ".join(options)
    return Kind((Rule(lambda cell: cell not in (*MISSING, *options), f"write one of: {listed}"),), words, "str")


def failures(table: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """Find the cells of a table of text that break a rule of their kind: columns `row`, `column`, `cell`, `remedy`.

    `row` is the index label of the table. A cell is reported once, for the first rule it breaks.
    """
    import pandera.pandas as pa  # slow to import, and needed only here

    checks = {
        column: [pa.Check(partial(_obeys, rule), error=rule.remedy) for rule in kinds[column].rules]
        for column in table.columns
    }
    try:
        pa.DataFrameSchema({column: pa.Column(checks=checks[column]) for column in checks}).validate(table, lazy=True)
    except pa.errors.SchemaErrors as errors:
        broken = errors.failure_cases.sort_values("check_number", kind="stable").drop_duplicates(["column", "index"])
        names = {"index": "row", "failure_case": "cell", "check": "remedy"}
        return broken.rename(columns=names)[["row", "column", "cell", "remedy"]]
    return pd.DataFrame(columns=["row", "column", "cell", "remedy"])


def _obeys(rule: Rule, cells: pd.Series[str]) -> pd.Series[bool]:
    # Each distinct text is looked at once: a large trial has few of them.
    codes, distinct = pd.factorize(cells)
    obeyed = pd.Series([not rule.wrong(cell) for cell in distinct], dtype=bool)
    return obeyed.take(codes).set_axis(cells.index)


def _not_a_number(cell: str) -> bool:
    return not is_missing(cell) and _NUMBER.fullmatch(cell) is None


def _no_such_day(cell: str) -> bool:
    return _DAY.fullmatch(cell) is not None and math.isnan(day(cell))


def _not_a_day(cell: str) -> bool:
    return not is_missing(cell) and _DAY.fullmatch(cell) is None


def _in_another_time(cell: str) -> bool:
    return _DAY.fullmatch(cell) is not None and int(cell[:4]) not in YEARS


def _full_match(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda cell: cell not in MISSING and pattern.fullmatch(cell) is not None


_NUMERIC = (
    Rule(_full_match(_DECIMAL_COMMA), "write a decimal point, not a decimal comma: 12.5"),
    Rule(_full_match(_BEYOND_LIMIT), "write what was measured; a limit alone is a missing value: an empty cell or NA"),
    Rule(_full_match(_MISSING_WORDS), "write a missing value as an empty cell or NA"),
    Rule(_full_match(_INFINITE), "write a finite number"),
    Rule(_not_a_number, "write a number in digits, with a point for decimals"),
    Rule(lambda cell: not is_missing(cell) and math.isnan(number(cell)), "write a finite number"),
)
_PRINTABLE = Rule(has_control_character, "remove the control characters (line breaks, tabs, unseen characters)")

TEXT = Kind((_PRINTABLE,), words, "str")
_SHORT = Rule(lambda cell: len(cell) > LONGEST_PATIENT, f"use at most {LONGEST_PATIENT} characters")
PATIENT = replace(TEXT, rules=(_PRINTABLE, _SHORT))
YES_NO = replace(choice("yes", "no"), value=lambda cell: cell == "yes", dtype="bool")
_NO_DAY = Rule(_full_match(_DAY), "write months as a number; a trial of dates names its columns date, not month")
MONTH = replace(quantity(), rules=(_NO_DAY, *quantity().rules))
DATE = Kind(
    (
        Rule(_full_match(_DAY_AND_TIME), "write the day alone, without a time: 2024-03-15"),
        Rule(_not_a_day, "write the date as year-month-day: 2024-03-15 (ISO 8601)"),
        Rule(_in_another_time, f"check the year: it should lie between {YEARS[0]} and {YEARS[-1]}"),
        Rule(_no_such_day, "check the month and the day: the calendar has no such day"),
    ),
    day,
    "float64",
)
