"""The columns of a trial's tables: which there are, what their cells may say, and the values they stand for.

`layout` is the dictionary of the tables. `column_problems` and `cell_problems` hold one table of text to it, and
`values` turns the table into numbers, texts and times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from slopeshift.trial.cells import (
    DATE,
    MONTH,
    PATIENT,
    TEXT,
    YES_NO,
    Kind,
    choice,
    failures,
    has_control_character,
    quantity,
    required,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from slopeshift.trial.roles import Outcome

DAYS_PER_MONTH = 30.4375
SAME_DAY = 0.5 / DAYS_PER_MONTH
"""Months within which two times are on one day."""

EXEMPT = "entry_exempt"
"""The column of patients.csv that says who entered although an entry rule was broken."""

END_REASONS = ("completed", "death", "withdrawal", "lost", "ongoing")
ITEMS = tuple(f"alsfrsr_{item}" for item in range(1, 13))
HIGHEST_ITEM = 4
TIMED = ("visits", "injections", "events")

_TIMES = ("onset", "end", "planned", "earliest", "latest")
_CLOCKS = {"month": (MONTH, 1.0), "date": (DATE, DAYS_PER_MONTH)}


class Problem(NamedTuple):
    """One thing that is wrong, or worth a look: where it is, what was found, what to do.

    Row 1 is the header; there is none for a whole file. The patient is that of the row, where it names one.
    """

    file: str
    row: int | None
    column: str | None
    found: str
    remedy: str
    patient: str | None = None


LISTED = ("file", "row", "patient", "column", "found", "remedy")
"""Columns of a table of problems."""


def as_frame(problems: Iterable[Problem]) -> pd.DataFrame:
    """List problems as a table with the columns LISTED."""
    listed = pd.DataFrame(list(problems), columns=list(Problem._fields))
    return listed[list(LISTED)].astype({"row": "Int64"})


@dataclass(frozen=True)
class Records:
    """The values of a trial's tables on its own clock (`month`, or `date` in days); index: row in the file."""

    clock: str
    tables: Mapping[str, pd.DataFrame]
    screening: Collection[str] = ()

    @property
    def times(self) -> tuple[str, ...]:
        """Names of the columns that hold a time, in whatever table; `screening` names values with a time of theirs."""
        return (self.clock, *(f"{what}_{self.clock}" for what in (*_TIMES, *self.screening)))

    @cached_property
    def origin(self) -> pd.Series[float]:
        """Time of month 0 by patient: the first injection; without one, month 0 of the tables or the first visit.

        A patient with neither injection nor visit in a trial of dates starts at the first event, else end, else onset.
        """
        patients = self.tables["patients"].dropna(subset=["patient"]).drop_duplicates("patient").set_index("patient")
        first = {name: self.tables[name].groupby("patient")[self.clock].min() for name in TIMED}
        if self.clock == "month":
            return first["injections"].reindex(patients.index).fillna(0.0)
        origin = first["injections"].reindex(patients.index)
        for later in (first["visits"], first["events"], patients[f"end_{self.clock}"], patients[f"onset_{self.clock}"]):
            origin = origin.fillna(later)
        return origin

    def months(self, table: pd.DataFrame, time: str) -> pd.Series[float]:
        """Return one column of times in months from each patient's origin; NaN for an unknown patient."""
        origin = table["patient"].map(self.origin).astype("float64")
        return (table[time] - origin) / _CLOCKS[self.clock][1]


def layout(clock: str, outcomes: Mapping[str, Outcome], screening: Mapping[str, Outcome]) -> dict[str, dict[str, Kind]]:
    """Return the kind of cell of every column of every table.

    Events need the column of their time, whose cells may be missing: an event must not be lost for want of a date.
    `screening` names the values in the patients' table that entry rules use, each with the outcome that it is of.
    """
    time = _CLOCKS[clock][0]
    patient, occasion = {"patient": required(PATIENT)}, {clock: required(time)}
    return {
        "patients": patient
        | {"age": quantity(0, 130), "sex": TEXT, "arm": TEXT, f"onset_{clock}": time, "onset_site": TEXT}
        | {f"end_{clock}": time, "end_reason": choice(*END_REASONS), EXEMPT: choice("yes", "no")}
        | _measured(screening)
        | {f"{name}_{clock}": time for name in screening},
        "visits": patient
        | occasion
        | _measured(outcomes)
        | {item: quantity(0, HIGHEST_ITEM, integer=True) for item in ITEMS},
        "injections": patient
        | {"injection": required(quantity(1, integer=True))}
        | occasion
        | {"agent": TEXT, "dose": quantity(positive=True), "route": TEXT, f"planned_{clock}": time},
        "events": patient
        | {clock: replace(time, needed=True), f"earliest_{clock}": time, f"latest_{clock}": time}
        | {"term": required(TEXT), "serious": required(YES_NO), "grade": TEXT, "related": TEXT},
    }


def _measured(columns: Mapping[str, Outcome]) -> dict[str, Kind]:
    return {name: quantity(o.minimum, o.maximum, integer=o.integer) for name, o in columns.items()}


def clock_of(tables: Iterable[pd.DataFrame]) -> str:
    """Return the clock of a trial, `month` or `date`: that of the first table that has exactly one of them."""
    counted = [clocks.pop() for table in tables if len(clocks := set(_CLOCKS) & set(table.columns)) == 1]
    return counted[0] if counted else "month"


def column_problems(
    name: str, table: pd.DataFrame, columns: Mapping[str, Kind], clock: str, *, declared: bool
) -> Iterator[Problem]:
    """Yield what is wrong with the header of one table.

    `declared` is False where the trial's own outcomes are not known: unknown columns of visits then go unmentioned.
    """
    file, header = f"{name}.csv", list(table.columns)
    for column in dict.fromkeys(column for column in header if header.count(column) > 1):
        found = f"{header.count(column)} columns of this name"
        yield Problem(file, 1, column, found, "keep one of them, or rename the others")
    for column, kind in columns.items():
        if kind.needed and column not in header and _other_clock(column) not in header:
            yield Problem(file, 1, column, "no such column", f"add the column {column}" + _instead(column, header))
    for column in dict.fromkeys(header):
        if has_control_character(column):
            yield Problem(file, 1, column, f"control characters in {column!r}", "remove them from the column name")
        elif column not in columns:
            yield from _unknown_column(name, column, columns, clock, declared)
    items = [item for item in ITEMS if item not in header]
    if name == "visits" and 0 < len(items) < len(ITEMS):
        yield Problem(file, 1, items[0], f"no {', '.join(items)}", "give all twelve items, or the total alsfrsr alone")


def _unknown_column(
    name: str, column: str, columns: Mapping[str, Kind], clock: str, declared: bool
) -> Iterator[Problem]:
    found, remedy = f"unknown column {column!r}", None
    if not column:
        found, remedy = "a column without a name", "give the column a name in the first row, or delete it"
    elif (ours := _other_clock(column)) in columns:
        found = f"{column} in a trial that counts in {clock}s"
        remedy = f"use {ours}: every table of a trial counts in {clock}s, or every table in {_other_clock(clock)}s"
    elif meant := _closest(column, list(columns)):
        remedy = f"write it as {meant}, or choose a more distinct name"
    elif name == "visits" and declared:
        remedy = f"declare it under [outcomes.{column}] in trial.toml, or delete the column"
    elif name in ("injections", "events"):
        remedy = f"delete the column; known are {', '.join(columns)}"
    if remedy:
        yield Problem(f"{name}.csv", 1, column, found, remedy)


def _other_clock(column: str) -> str:
    for here, there in (("month", "date"), ("date", "month")):
        if column.endswith(here):
            return column.removesuffix(here) + there
    return column


def _closest(column: str, known: list[str]) -> str | None:
    plain = re.sub(r"[\s-]+", "_", column.casefold())
    if plain in known:
        return plain
    # Near misses only: alsfrs is another scale than alsfrsr, alsfrsr_13 is no misspelling of alsfrsr_1.
    return next(iter(get_close_matches(plain, [name for name in known if name not in ITEMS], n=1, cutoff=0.93)), None)


def _instead(column: str, header: list[str]) -> str:
    found = [other for other in header if _closest(other, [column])]
    return f" (rename {found[0]!r})" if found else ""


def cell_problems(name: str, table: pd.DataFrame, columns: Mapping[str, Kind]) -> Iterator[Problem]:
    """Yield the cells of one table that break a rule of their kind."""
    broken = failures(table, {column: columns.get(column, TEXT) for column in table.columns})
    for row, column, cell, remedy in broken.itertuples(index=False):
        yield Problem(f"{name}.csv", int(row), column, repr(cell) if cell else "an empty cell", remedy)


def values(table: pd.DataFrame, columns: Mapping[str, Kind]) -> pd.DataFrame:
    """Return what a table of text stands for, with every known column: missing throughout where the table lacks it."""
    blank = pd.Series("", index=table.index, dtype="str")
    kinds = dict(columns) | {column: TEXT for column in table.columns if column not in columns}
    read = {column: kind.values(table.get(column, blank)) for column, kind in kinds.items()}
    return pd.DataFrame(read, index=table.index)
