"""What every reader of a format returns: the tables of a trial as text, with the source row that each row came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats.notation import Notation, points
from slopeshift.trial.cells import MISSING
from slopeshift.trial.columns import DAYS_PER_MONTH, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

FIRST_COLUMNS = {
    "patients": ["patient"],
    "visits": ["patient", "month", "date"],
    "injections": ["patient", "injection", "month", "date"],
    "events": ["patient", "month", "date", "term", "serious"],
}


@dataclass(frozen=True)
class Choices:
    """What the user said about the source: its notation, and the mapping or code map as a document, with its file."""

    notation: Notation = field(default_factory=Notation)
    document: Mapping[str, Any] = field(default_factory=dict)
    document_file: str = "mapping.yaml"


@dataclass(frozen=True)
class Reading:
    """A trial as a reader found it: tables of text whose index (file, row) is where each row came from.

    `fates` are marks for the ledger, `heads` its lines (file, fate, reason) on whole files and columns, `outcomes` the
    settings of outcomes that are not built in, and `named` the source column of a column, by (table, column) or, before
    that, by (file, column). `subject` is the column of the sources that names the patient, and `who` the patient of a
    row, by file and row. `notes` are for the user to see: contradictions, and what is kept with less than was wanted.
    `places` says where a cell came from that is not of its row: by file, row and column of the table.
    `together` is the remedy that the format has for two injections of one time; `mapped` says that a mapping was used.
    """

    tables: Mapping[str, pd.DataFrame]
    fates: tuple[pd.DataFrame, ...] = ()
    heads: tuple[tuple[str, str, str], ...] = ()
    outcomes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    named: Mapping[tuple[str, str], str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    subject: str = "patient"
    who: Mapping[tuple[str, int], str] = field(default_factory=dict)
    notes: tuple[Problem, ...] = ()
    together: str = ""
    places: Mapping[tuple[str, int, str], tuple[str, int, str]] = field(default_factory=dict)
    mapped: bool = False


def placed(file: str, rows: pd.Index) -> pd.MultiIndex:
    """Return the index (file, row) of rows that came from one file."""
    return pd.MultiIndex.from_arrays([[file] * len(rows), rows.astype("int64")], names=["file", "row"])


def filled(cells: pd.Series[str]) -> pd.Series[bool]:
    """Say which cells are not missing."""
    return ~cells.isin(MISSING)


def blank_missing(table: pd.DataFrame) -> pd.DataFrame:
    """Write missing cells as empty."""
    return table.mask(table.isin(MISSING) | table.isna(), "").astype("str")


def months_of_days(days: pd.Series[float]) -> pd.Series[str]:
    """Write days as months of 30.4375 days, to a millionth; nothing where there is no day."""
    texts = (days / DAYS_PER_MONTH).map(lambda month: f"{month:.6f}".rstrip("0").rstrip("."), na_action="ignore")
    return as_text(texts).replace("-0", "0")


def numbers(cells: pd.Series[str]) -> pd.Series[float]:
    """Read numbers; NaN where a cell is missing or says something else."""
    values = pd.to_numeric(cells.where(filled(cells), ""), errors="coerce").astype("float64")
    return values.where(values.abs() < float("inf"))


def noted_numbers(cells: pd.Series[str], how: Notation) -> tuple[pd.Series[float], pd.Series[str]]:
    """Read numbers in a notation; the second series says what is wrong with a cell, or ''."""
    texts, wrong = points(cells, how)
    read = numbers(texts)
    return read, wrong.mask(filled(texts) & read.isna() & (wrong == ""), "write a number, or leave the cell empty")


def as_text[Cells: (pd.DataFrame, pd.Series[Any])](cells: Cells) -> Cells:
    """Write cells as text, empty where there is nothing."""
    return cells.astype("object").fillna("").astype("str")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV: the same table gives the same bytes."""
    path.write_bytes(table.to_csv(index=False, lineterminator="\n").encode())


def numbered(injections: pd.DataFrame, clock: str) -> pd.DataFrame:
    """Number each patient's injections in the order of their times (ISO dates or months as text)."""
    time = injections[clock]
    order = numbers(time) if clock == "month" else pd.Series(pd.factorize(time, sort=True)[0], index=time.index)
    ranked = order.fillna(float("inf")).groupby(injections["patient"].to_numpy()).rank(method="first")
    return injections.assign(injection=ranked.astype("int64").astype("str"))


def in_order(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Put the columns of each table in the usual order, and leave out those without a filled cell but the first."""
    ordered = {}
    for name, table in tables.items():
        first = [column for column in FIRST_COLUMNS[name] if column in table]
        others = [column for column in table if column not in first and filled(table[column]).any()]
        ordered[name] = blank_missing(table[[*first, *others]])
    return ordered


def cell_problems(file: str, column: str, cells: pd.Series[str], wrong: pd.Series[str]) -> list[Problem]:
    """Make a problem of every cell that has a fault, the fault being its remedy."""
    at_fault = wrong[wrong != ""]
    return [Problem(file, int(row), column, repr(cells[row]), remedy) for row, remedy in at_fault.items()]


def empty_table(name: str, clock: str) -> pd.DataFrame:
    """Return a table of a trial without rows."""
    other = "date" if clock == "month" else "month"
    columns = [column for column in FIRST_COLUMNS[name] if column != other]
    index = pd.MultiIndex.from_arrays([[], pd.Index([], dtype="int64")], names=["file", "row"])
    return pd.DataFrame(columns=columns, index=index, dtype="str")


def stacked(name: str, clock: str, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put tables of the same kind below each other; columns that one lacks are empty there."""
    return pd.concat([empty_table(name, clock), *tables]).fillna("").astype("str")


def beside(records: pd.DataFrame, **columns: pd.Series[Any]) -> pd.DataFrame:
    """Add columns to records by their index, for no more rows than there are: pandas would give an empty frame rows."""
    return records.assign(**{name: column.reindex(records.index) for name, column in columns.items()})


def find_column(table: pd.DataFrame, *names: str) -> str | None:
    """Return the first column that has one of these names, letters and digits compared without case."""
    plain = {_plain(column): column for column in reversed(list(table.columns))}
    return next((plain[_plain(name)] for name in names if _plain(name) in plain), None)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def all_problems(parts: Iterable[Iterable[Problem]]) -> tuple[Problem, ...]:
    """Join problems, each kept once, in their order."""
    return tuple(dict.fromkeys(problem for part in parts for problem in part))
