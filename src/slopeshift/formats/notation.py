"""How numbers and days are written elsewhere: decimal commas, days first or months first, serial numbers.

What can be read in one way only is read; what could mean two things is refused unless an option says which it is. Day
numbers count from a day 0 that the file states (a workbook of 1904) or an option does (`excel`: 1900, `sas`: 1960).
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

DATE_ORDERS = ("iso", "dmy", "mdy", "excel", "sas")
DECIMALS = ("auto", "point", "comma")
EXCEL_ZERO = date(1899, 12, 30)  # serial 1 is 1900-01-01, with the 29 February 1900 that spreadsheets believe in
MAC_ZERO = date(1904, 1, 1)
SAS_ZERO = date(1960, 1, 1)
NUMBERED_YEARS = range(1990, 2061)  # of day numbers: those of SAS, read as a spreadsheet's, are 60 years earlier

_MONTHS = {name: place for place, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)}
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})([T ].*)?")
_PARTIAL = re.compile(r"\d{4}(-\d{2})?|\d{4}-(\d{2})?-(-|\d{2})?.*")
_KNOWN_PART = re.compile(r"(\d{4})(?:-(\d{2}))?(?!\d)")
_NAMED = re.compile(r"(\d{1,2})[- ]?([A-Za-z]{3})[a-z]*[- ]?(\d{4})")
_NUMERIC = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})( .*)?")
_COMMA = re.compile(r"[+-]?\d*,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_POINT = re.compile(r"[+-]?\d*\.\d+")


@dataclass(frozen=True)
class Notation:
    """How the source writes days (`iso`, `dmy`, `mdy`, `excel`, `sas`) and decimals (`auto`, `point`, `comma`).

    `zero` is the day 0 of a spreadsheet's day numbers. Raises ValueError for another word.
    """

    dates: str = "iso"
    decimal: str = "auto"
    zero: date = EXCEL_ZERO

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
    read = by_distinct(cells, lambda cell: _day(cell, notation))
    return read.map(lambda pair: pair[0]).astype("str"), read.map(lambda pair: pair[1]).astype("str")


def bounds(cells: pd.Series[str]) -> tuple[pd.Series[float], pd.Series[float]]:
    """Return the first and the last day (numbers, as `date.toordinal`) that a date without day or month may be."""
    read = by_distinct(cells, _bounds)
    return read.map(lambda pair: pair[0]).astype("float64"), read.map(lambda pair: pair[1]).astype("float64")


def iso(day: float) -> str:
    """Write the number of a day as an ISO date."""
    return date.fromordinal(int(day)).isoformat()


def _bounds(cell: str) -> tuple[float, float]:
    found = _KNOWN_PART.match(cell)
    month = int(found[2]) if found and found[2] else None
    if not found or int(found[1]) == 0 or (month is not None and not 1 <= month <= 12):
        return float("nan"), float("nan")
    first, last = date(int(found[1]), month or 1, 1), date(int(found[1]), month or 12, 1)
    after = last.replace(day=28) + timedelta(days=4)
    return float(first.toordinal()), float((after - timedelta(days=after.day)).toordinal())


def _day(cell: str, notation: Notation) -> tuple[str, str]:
    order = notation.dates
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
        return _numbered(int(float(cell)), notation)
    if _PARTIAL.fullmatch(cell):
        return "", "complete the date: year, month and day"
    return "", "write the date as year-month-day: 2024-03-15"


def _numbered(number: int, notation: Notation) -> tuple[str, str]:
    zeros = {"excel": notation.zero, "sas": SAS_ZERO}
    if notation.dates not in zeros:
        return (
            "",
            "say where day numbers count from, --dates excel or --dates sas (1960), or write the date: 2024-03-15",
        )
    read = zeros[notation.dates] + timedelta(days=number)
    if read.year not in NUMBERED_YEARS:
        other = "sas" if notation.dates == "excel" else "excel"
        return "", f"with --dates {notation.dates} it is {read.isoformat()}: say --dates {other}, or write the date"
    return read.isoformat(), ""


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
