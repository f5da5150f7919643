"""Problems of a trial's tables, said of the source that they were made from: its file, row, column and value.

Whoever brings an export never sees the tables, so nothing that is said may be about them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.formats.notation import finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slopeshift.formats.reading import Reading
    from slopeshift.formats.source import Source
    from slopeshift.trial.columns import Problem

_SAME_TABLE = re.compile(r"as in row (\d+)")
_OTHER_TABLE = re.compile(r"(?:(\w+) (\S+) )?in row (\d+) of (\w+)\.csv")
_TWICE = re.compile(r" again, as in row ")
_DELETE = ", or delete one of the rows"


class Trace:
    """The way back from the tables of a reading to its sources."""

    def __init__(self, reading: Reading, tables: Mapping[str, pd.DataFrame], sources: Sequence[Source]) -> None:
        self._reading, self._tables = reading, tables
        self._cells = {source.file: source.table for source in sources}

    def back(self, problem: Problem) -> Problem:
        """Return a problem of a table as one of the source."""
        name = problem.file.removesuffix(".csv")
        row = None if problem.row is None or pd.isna(problem.row) else int(problem.row)
        if (origin := self._origin(name, row)) is None:
            column = self._reading.named.get((name, str(problem.column)), problem.column)
            return problem._replace(row=row, column=column)
        column = self._column(name, origin[0], problem.column)
        file, row_there, column = self._reading.places.get((*origin, str(problem.column)), (*origin, column))
        found = self._in_source_terms(name, row, problem.column, problem.found)
        remedy = self._in_source_terms(name, row, problem.column, problem.remedy).replace(_DELETE, " at its source")
        if name == "injections" and _TWICE.search(found) and self._reading.together:
            remedy += f"; {self._reading.together}"
        return problem._replace(file=file, row=row_there, column=column, found=found, remedy=remedy)

    def _origin(self, name: str, row: int | None) -> tuple[str, int] | None:
        if name not in self._tables or row is None or not 2 <= row <= len(self._tables[name]) + 1:
            return None
        file, origin = self._tables[name].index[row - 2]
        return str(file), int(origin)

    def _column(self, name: str, file: str, column: str | None) -> str | None:
        named = self._reading.named
        return named.get((file, str(column)), named.get((name, str(column)), column))

    def _in_source_terms(self, name: str, row: int | None, column: str | None, text: str) -> str:
        """Give a text the rows, columns and values of the source."""

        def same(match: re.Match[str]) -> str:
            origin = self._origin(name, int(match[1]))
            mine = self._origin(name, row)
            if origin is None or mine is None:
                return match[0]
            return f"as in row {origin[1]}" + ("" if origin[0] == mine[0] else f" of {origin[0]}")

        def other(match: re.Match[str]) -> str:
            origin = self._origin(match[4], int(match[3]))
            if origin is None:
                return match[0]
            if found := self._reading.places.get((*origin, str(match[1]))):
                file, there, column_there = found
                return f"{column_there} {self._cells[file].loc[there, column_there]} in row {there} of {file}"
            place = f"in row {origin[1]} of {origin[0]}"
            if match[1] is None:
                return place
            cell = self._cell(match[4], int(match[3]), match[1])
            return f"{self._column(match[4], origin[0], match[1])} {match[2] if cell is None else cell} {place}"

        text = _OTHER_TABLE.sub(other, _SAME_TABLE.sub(same, text))
        return self._with_own_value(name, row, column, self._with_own_columns(name, row, text))

    def _with_own_columns(self, name: str, row: int | None, text: str) -> str:
        """Call columns such as `end_date` what the source calls them; shorter names are words of any text."""
        if (mine := self._origin(name, row)) is None:
            return text
        for known in (column for column in self._tables[name] if "_" in column):
            ours = self._column(name, mine[0], known) or known
            text = re.sub(rf"\b{re.escape(known)}\b", ours.replace("\\", "\\\\"), text)
        return text

    def _cell(self, name: str, row: int, column: str) -> str | None:
        """Return the source's cell of a table's cell; None where there is no such column."""
        origin = self._origin(name, row)
        source = self._column(name, origin[0], column) if origin else None
        if origin is None or source is None or source not in self._cells.get(origin[0], {}):
            return None
        return str(self._cells[origin[0]].loc[origin[1], source])

    def _with_own_value(self, name: str, row: int | None, column: str | None, text: str) -> str:
        if (
            row is None
            or column is None
            or column not in self._tables[name]
            or (cell := self._cell(name, row, column)) is None
        ):
            return text
        written = str(self._tables[name][column].iloc[row - 2])
        number = repr(finite(written)).removesuffix(".0")
        shown = next((each for each in (written, number) if each and text.startswith((each, repr(each)))), None)
        if shown is None or cell == written:
            return text
        start = len(shown) if text.startswith(shown) else len(repr(shown))
        return f"{cell if text.startswith(shown) else repr(cell)}{text[start:]}"
