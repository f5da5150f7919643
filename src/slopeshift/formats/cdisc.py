"""What SDTM and ADaM share: a folder of datasets, study days without a day 0, scores by code, one row a patient.

A record that cannot be placed in time, or that another of the same day contradicts, is left out and listed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.formats import notation
from slopeshift.formats.conflicts import agreed, not_after
from slopeshift.formats.folder import NOTHING_MADE, Collected, collect_tables
from slopeshift.formats.ledger import LEFT_OUT, USED, marked
from slopeshift.formats.reading import (
    Choices,
    Reading,
    as_text,
    cell_problems,
    filled,
    months_of_days,
    noted_numbers,
    numbers,
)
from slopeshift.formats.source import Source
from slopeshift.trial.columns import ITEMS, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

SUBJECT = "USUBJID"
_IMPUTED = {level: level for level in "DMY"}  # what an ADaM date's flag says was not known: day, month, year
TOGETHER = "where they are parts of one injection, write `same_day: add` under injections: in a code map"


def collect_datasets(
    path: Path,
    sheet: str | None,
    wanted: Callable[[str], bool],
    needs: str,
    name_of: Callable[[Path], str],
) -> Collected:
    """Read the datasets of a folder that are wanted, by what `name_of` calls a file; `needs` is one that must be there.

    A dataset may be split over several files.
    """
    remedy = f"add {needs.lower()}.xpt, .sas7bdat, .json or .csv"
    lacking = Problem(str(path), None, None, f"no dataset {needs}", remedy)

    def unread(name: str) -> str:
        if wanted(name):
            return ""
        return f"{name}: supplementary qualifiers that nothing is made of" if name.startswith("SUPP") else NOTHING_MADE

    collected = collect_tables(path, sheet, "dataset", name_of, unread, ({needs}, lacking), joined=True)
    collected = replace(collected, sources=tuple(map(_in_capitals, collected.sources)))
    nobody = [
        Problem(source.file, 1, SUBJECT, "no such column", "export the dataset with USUBJID")
        for source in collected.sources
        if SUBJECT not in source.table
    ]
    return replace(collected, problems=(*collected.problems, *nobody))


def _in_capitals(source: Source) -> Source:
    """Write the names of variables in capitals, as CDISC does and other programs do not."""
    names = source.table.columns.str.upper()
    return source if names.has_duplicates else replace(source, table=source.table.set_axis(names, axis=1))


def by_name(sources: Sequence[Source]) -> dict[str, list[Source]]:
    """Return the files of every dataset, by its name."""
    named: dict[str, list[Source]] = {}
    for source in sources:
        named.setdefault(source.dataset, []).append(source)
    return named


@dataclass
class Desk:
    """Where datasets are worked through: fates and problems gather here while records are taken.

    `clock` is `date` where any of the times looked at is a full date, else `month`, from study days.
    """

    choices: Choices
    clock: str = "month"
    fates: list[pd.DataFrame] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    places: dict[tuple[str, int, str], tuple[str, int, str]] = field(default_factory=dict)

    def set_clock(self, cells: list[pd.Series[str]]) -> None:
        """Count in dates if any of these cells is a date."""
        self.clock = "date" if any(filled(column).any() for column in cells) else "month"

    def records(self, sources: Sequence[Source]) -> pd.DataFrame:
        """Return file, row, patient and every column of a dataset; rows without a patient are left out."""
        parts = [
            source.table.assign(file=source.file, row=source.table.index, patient=source.table[SUBJECT])
            for source in sources
        ]
        table = pd.concat(parts, ignore_index=True)
        texts = table.columns.difference(["row"])
        table[texts] = table[texts].fillna("").astype("str")
        return self.without(table, ~filled(table["patient"]), "no USUBJID")

    def placed_in(self, sources: Sequence[Source]) -> pd.DataFrame:
        """Return the records of a dataset without a word in the ledger: for a second look at it."""
        fates = list(self.fates)
        records = self.records(sources)
        self.fates = fates
        return records

    def reading(self, tables: dict[str, pd.DataFrame], times: Mapping[str, tuple[str, str, str]], end: str) -> Reading:
        """Return what was read; `times` names the variables of a file's time, score and dose, `end` that of ends."""
        named: dict[tuple[str, str], str] = {}
        for file, (time, score, dose) in times.items():
            named |= {(file, self.clock): time, (file, "dose"): dose}
            named |= dict.fromkeys([(file, "alsfrsr"), (file, "fvc"), *((file, item) for item in ITEMS)], score)
        named |= {(name, "patient"): SUBJECT for name in tables}
        named[("patients", f"end_{self.clock}")] = end
        return Reading(
            tables, tuple(self.fates), named={key: column for key, column in named.items() if column},
            problems=tuple(dict.fromkeys(self.problems)), subject=SUBJECT, together=TOGETHER,
            notes=tuple(dict.fromkeys(self.notes)), places=self.places,
        )  # fmt: skip

    def note(self, record: pd.Series[Any], column: str | None, found: str, remedy: str) -> None:
        """Say something of a record that the user should see."""
        self.notes.append(Problem(record["file"], int(record["row"]), column, found, remedy, record["patient"]))

    def leave_out(self, records: pd.DataFrame, reason: str | pd.Series[str]) -> None:
        """Write into the ledger that nothing is made of these records."""
        self.fates.append(marked(records, LEFT_OUT, reason))

    def without(self, records: pd.DataFrame, wrong: pd.Series[bool], reason: str | pd.Series[str]) -> pd.DataFrame:
        """Leave out the records that are wrong, and return the others; a series of reasons has one for each record."""
        self.leave_out(records[wrong], reason if isinstance(reason, str) else reason[wrong])
        return records[~wrong]

    def use(self, records: pd.DataFrame, what: str) -> None:
        """Write into the ledger what is made of these records."""
        self.fates.append(marked(records, USED, what))

    def day(self, records: pd.DataFrame, dated: str, counted: str) -> pd.DataFrame:
        """Give records their `time` in days; NaN, with what is wrong in `untimed`, where they have none.

        `earliest` and `latest` bound it, where a date says the month or the year alone.
        """
        column = dated if self.clock == "date" else counted
        cells = column_of(records, column)
        imputed = column_of(records, f"{column}F").map(_IMPUTED).fillna("").astype("str")
        if self.clock == "date":
            texts, wrong = notation.days(_sas_days(records, cells), self.choices.notation)
            time = notation.by_distinct(
                texts, lambda text: float(date.fromisoformat(text).toordinal()) if text else None
            )
            time = time.astype("float64")
            time = time.mask(imputed != "")
            known = cells.where(imputed != "M", cells.str[:4]).where(imputed != "D", cells.str[:7])
            first, last = (bound.where(time.isna(), time) for bound in notation.bounds(known.mask(imputed == "Y", "")))
        else:
            time, wrong = numbers(cells), pd.Series("", index=cells.index, dtype="str")
            wrong = wrong.mask(filled(cells) & time.isna(), "write the study day as a number")
            time = time - (time > 0)
            first = last = time
        said = (f"{column} is not a full date (" + wrong + ")").where(wrong != "", f"no {column}")
        said = said.mask(imputed != "", f"{column} was imputed ({column}F " + imputed + ")")
        return records.assign(time=time, untimed=said, earliest=first, latest=last, said=cells, time_column=column)

    def timed(self, records: pd.DataFrame, dated: str, counted: str) -> pd.DataFrame:
        """Return the records that have a time; the others are left out."""
        known = self.day(records, dated, counted)
        return self.without(known, known["time"].isna(), known["untimed"])

    def number(self, records: pd.DataFrame, column: str) -> pd.Series[float]:
        """Read a column of numbers; a problem where a cell is none."""
        read, wrong = noted_numbers(column_of(records, column), self.choices.notation)
        for file, rows in records.groupby("file"):
            by_row = rows.set_index("row")
            at = pd.Series(wrong[rows.index].to_numpy(), index=by_row.index)
            self.problems += cell_problems(str(file), column, column_of(by_row, column), at)
        return read

    def time_text(self, days: pd.Series[float]) -> pd.Series[str]:
        """Write days as the trial's clock does: ISO dates, or months."""
        if self.clock == "month":
            return months_of_days(days)
        return as_text(days.map(lambda day: date.fromordinal(int(day)).isoformat(), na_action="ignore"))

    def before_end(self, records: pd.DataFrame, ends: pd.Series[float], what: str) -> pd.DataFrame:
        """Return the records that are not after their patient's end; say of whom some are."""
        kept, fates = not_after(records, ends, what)
        self.fates += fates
        late = records.loc[records.index.difference(kept.index)]
        for _, of_file in late.groupby(["patient", "file"], sort=False):
            found = f"{len(of_file)} records after the patient's {what}: left out"
            self.note(of_file.iloc[0], None, found, f"correct the {what}, or the times of the records")
        return kept

    def said(self, records: pd.DataFrame, value: pd.Series[str], label: str) -> pd.Series[str]:
        """Return one text a patient; contradictions are left out."""
        told, fates = agreed(records.assign(value=value)[filled(value)], "value", label)
        self.fates += fates
        return told


def column_of(records: pd.DataFrame, column: str) -> pd.Series[str]:
    """Return a column, empty where there is none."""
    return records[column] if column in records else pd.Series("", index=records.index, dtype="str")


def _sas_days(records: pd.DataFrame, cells: pd.Series[str]) -> pd.Series[str]:
    """Write the unformatted numbers of a SAS file as dates: days since 1960-01-01."""
    ours = records["file"].str.casefold().str.endswith((".xpt", ".sas7bdat")) & cells.str.fullmatch(r"-?\d{1,5}")
    dates = notation.by_distinct(cells[ours], lambda cell: (notation.SAS_ZERO + timedelta(days=int(cell))).isoformat())
    return pd.concat([cells[~ours], dates.astype("str")]).reindex(cells.index)
