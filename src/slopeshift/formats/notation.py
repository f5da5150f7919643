"""How numbers and days are written elsewhere: decimal commas, days first or months first, serial numbers.

What can be read in one way only is read; what could mean two things is refused unless an option says which it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.trial.cells import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

DATE_ORDERS = ("iso", "dmy", "mdy", "excel")
DECIMALS = ("auto", "point", "comma")
EXCEL_ZERO = date(1899, 12, 30)  # serial 1 is 1900-01-01, with the 29 February 1900 that spreadsheets believe in
SAS_ZERO = date(1960, 1, 1)

_MONTHS = {name: place for place, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)}
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})([T ].*)?")
_PARTIAL = re.compile(r"\d{4}(-\d{2})?|\d{4}-(\d{2})?-(-|\d{2})?.*")
_NAMED = re.compile(r"(\d{1,2})[- ]?([A-Za-z]{3})[a-z]*[- ]?(\d{4})")
_NUMERIC = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})( .*)?")
_COMMA = re.compile(r"[+-]?\d*,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_POINT = re.compile(r"[+-]?\d*\.\d+")


@dataclass(frozen=True)
class Notation:
    """How the source writes days (`iso`, `dmy`, `mdy`, `excel`) and decimals (`auto`, `point`, `comma`).

    Raises ValueError for another word.
    """

    dates: str = "iso"
    decimal: str = "auto"

    def __post_init__(self) -> None:
        for name, value, known in (("dates", self.dates, DATE_ORDERS), ("decimal", self.decimal, DECIMALS)):
            if value not in known:
                raise ValueError(f"--{name} {value}: choose one of {', '.join(known)}")


def finite(text: str) -> float:
    """Read one number; NaN where the text is none, or an infinite one."""
    try:
        return number if abs(number := float(text)) < float("inf") else float("nan")
    except ValueError:
        return float("nan")


def by_distinct(cells: pd.Series[str], read: Callable[[str], object]) -> pd.Series[object]:
    """Apply a function to each distinct cell once."""
    codes, distinct = pd.factorize(cells)
    results = pd.Series([read(cell) for cell in distinct], dtype="object")
    return pd.Series(results.to_numpy()[codes], index=cells.index, dtype="object")


def days(cells: pd.Series[str], notation: Notation) -> tuple[pd.Series[str], pd.Series[str]]:
    """Write days as ISO dates; a time of day is left away. The second series says what is wrong with a cell, or ''."""
    read = by_distinct(cells, lambda cell: _day(cell, notation.dates))
    return read.map(lambda pair: pair[0]).astype("str"), read.map(lambda pair: pair[1]).astype("str")


def _day(cell: str, order: str) -> tuple[str, str]:
    if cell in MISSING:
        return "", ""
    if found := _ISO.fullmatch(cell):
        return _calendar(found[1], found[2], found[3])
    if (found := _NAMED.fullmatch(cell)) and found[2].casefold() in _MONTHS:
        return _calendar(found[3], _MONTHS[found[2].casefold()], found[1])
    if found := _NUMERIC.fullmatch(cell):
        if len(found[4]) == 2:
            return "", "write the year in four digits"
        if order not in ("dmy", "mdy"):
            return "", "say with --dates dmy or --dates mdy whether day or month comes first"
        first, second = (found[3], found[1]) if order == "dmy" else (found[1], found[3])
        return _calendar(found[4], first, second)
    if re.fullmatch(r"\d{1,6}(\.0*)?", cell) and not re.fullmatch(r"(19|20)\d\d", cell):
        if order == "excel":
            return (EXCEL_ZERO + timedelta(days=int(float(cell)))).isoformat(), ""
        return "", "say with --dates excel that numbers are a spreadsheet's days, or write the date: 2024-03-15"
    if _PARTIAL.fullmatch(cell):
        return "", "complete the date: year, month and day"
    return "", "write the date as year-month-day: 2024-03-15"


def _calendar(year: str | int, month: str | int, day: str | int) -> tuple[str, str]:
    try:
        return date(int(year), int(month), int(day)).isoformat(), ""
    except ValueError:
        return "", "check the month and the day: the calendar has no such day"


def points(cells: pd.Series[str], notation: Notation) -> tuple[pd.Series[str], pd.Series[str]]:
    """Write decimals with a point, a column at a time; the second series says what is wrong with a cell, or ''."""
    wrong = pd.Series("", index=cells.index, dtype="str")
    with_comma = by_distinct(cells, lambda cell: _COMMA.fullmatch(cell) is not None).astype(bool)
    with_point = by_distinct(cells, lambda cell: _POINT.fullmatch(cell) is not None).astype(bool)
    if notation.decimal == "point" or not (with_comma.any() or notation.decimal == "comma"):
        return cells, wrong
    if notation.decimal == "auto":
        thousands = by_distinct(cells[with_comma], lambda cell: _THOUSANDS.fullmatch(cell) is not None).astype(bool)
        if with_point.any():
            wrong[with_comma] = "say with --decimal comma or --decimal point which of the two marks decimals"
        elif thousands.all():
            wrong[with_comma] = "say with --decimal comma or --decimal point: the comma may mark decimals or thousands"
    elif with_point.any():
        wrong[with_point] = "write decimals with a comma, as --decimal comma says, or leave the option away"
    return cells.where(~with_comma, cells.str.replace(",", ".")), wrong
