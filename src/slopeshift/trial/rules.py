"""The rules that need more than one cell: repeated rows, unknown patients, the order of times, totals of items.

Each rule takes the records of a trial and yields its problems; `RULES` lists them all. What is missing or cannot be
read is NaN here and was reported before, so a rule speaks only of what it can see.
"""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.trial.columns import END_REASONS, HIGHEST_ITEM, ITEMS, TIMED, Problem, Records
from slopeshift.trial.units import UNITS

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_MONTHS = 600


def _one_row_a_patient(records: Records) -> Iterator[Problem]:
    yield from _repeated(records, "patients", ["patient"], "keep one row a patient")


def _one_spelling(records: Records) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for row, patient in records.tables["patients"]["patient"].dropna().items():
        first = seen.setdefault(_likeness(patient), patient)
        if first != patient:
            remedy = f"spell it as {first!r} everywhere, or give the patients more distinct names"
            yield Problem("patients.csv", int(row), "patient", f"{patient!r}, nearly the same as {first!r}", remedy)


def _known_patients(records: Records) -> Iterator[Problem]:
    known = {_likeness(patient): patient for patient in records.tables["patients"]["patient"].dropna()}
    for name in TIMED:
        patients = records.tables[name]["patient"].dropna()
        strangers = patients[~patients.isin(records.tables["patients"]["patient"])]
        for patient, rows in strangers.groupby(strangers, sort=False):
            like = known.get(_likeness(str(patient)))
            remedy = f"spell it as in patients.csv: {like!r}" if like else "add it to patients.csv, or correct the name"
            found = f"{patient!r}, not in patients.csv" + (f" ({len(rows)} rows)" if len(rows) > 1 else "")
            yield Problem(f"{name}.csv", int(rows.index[0]), "patient", found, remedy)


def _one_record_at_a_time(records: Records) -> Iterator[Problem]:
    key = ["patient", records.clock]
    yield from _repeated(records, "visits", key, "give one visit a time: join the rows, or correct one")
    yield from _repeated(records, "injections", key, "correct the time, or delete one of the rows")


def _numbered_in_time_order(records: Records) -> Iterator[Problem]:
    yield from _repeated(records, "injections", ["patient", "injection"], "number a patient's injections 1, 2, 3, ...")
    every = records.tables["injections"]
    unclear = every[["patient", "injection", records.clock]].isna().any(axis=1) | every.duplicated(
        ["patient", "injection"], keep=False
    )
    rows = every[~every["patient"].isin(every.loc[unclear, "patient"])].sort_values(["patient", "injection"])
    expected = rows.groupby("patient").cumcount() + 1
    for row, at in rows[rows["injection"] != expected].drop_duplicates("patient").iterrows():
        remedy = f"number this patient's injections 1, 2, 3, ...: here {expected[row]} was expected"
        yield Problem("injections.csv", int(row), "injection", f"{at['injection']:g}", remedy)
    back = rows[rows.groupby("patient")[records.clock].diff() < 0].drop_duplicates("patient")
    for row, at in back.iterrows():
        found = f"injection {at['injection']:g} before injection {at['injection'] - 1:g}"
        yield Problem("injections.csv", int(row), records.clock, found, "number injections in the order of their times")


def _ends_have_reasons(records: Records) -> Iterator[Problem]:
    end, patients = f"end_{records.clock}", records.tables["patients"]
    has_end, has_reason = patients[end].notna(), patients["end_reason"].notna()
    for row in patients.index[has_end & ~has_reason]:
        remedy = f"fill in end_reason ({', '.join(END_REASONS)}), or empty {end}"
        yield Problem("patients.csv", int(row), "end_reason", "no reason for the end", remedy)


def _nothing_after_the_end(records: Records) -> Iterator[Problem]:
    end, patients = f"end_{records.clock}", records.tables["patients"].drop_duplicates("patient")
    for name, ending in (("visits", END_REASONS), ("injections", END_REASONS), ("events", ("death",))):
        ends = patients.loc[patients["end_reason"].isin(ending), ["patient", end, "end_reason"]]
        rows = _numbered(records.tables[name]).merge(_numbered(ends), on="patient", suffixes=("", "_of_end"))
        for late in rows[rows[records.clock] > rows[end]].to_dict("records"):
            found = f"{_shown(late[records.clock], records.clock)}, after the patient's end ({late['end_reason']})"
            remedy = f"correct it, or {end} {_shown(late[end], end)} in row {late['row_of_end']} of patients.csv"
            yield Problem(f"{name}.csv", int(late["row"]), records.clock, found, remedy)


def _bounds_in_order(records: Records) -> Iterator[Problem]:
    events, clock = records.tables["events"], records.clock
    earliest, latest = f"earliest_{clock}", f"latest_{clock}"
    for row, event in events[events[earliest] > events[latest]].iterrows():
        found = f"{_shown(event[earliest], clock)}, after the latest time {_shown(event[latest], clock)}"
        yield Problem("events.csv", int(row), earliest, found, "correct one of the two")
    bounded = events[clock].notna() & events[[earliest, latest]].notna().any(axis=1)
    for row in events.index[bounded]:
        remedy = f"delete {earliest} and {latest}: they bound a time that is not known"
        yield Problem("events.csv", int(row), clock, "a time, and bounds of it", remedy)


def _onset_comes_first(records: Records) -> Iterator[Problem]:
    onset, patients = f"onset_{records.clock}", records.tables["patients"]
    records_seen = pd.concat([records.tables["visits"], records.tables["injections"]])
    first = patients["patient"].map(records_seen.groupby("patient")[records.clock].min()).astype("float64")
    for row, patient in patients[patients[onset] > first].iterrows():
        found = f"onset at {_shown(patient[onset], records.clock)}, after the patient's first visit or injection"
        yield Problem("patients.csv", int(row), onset, found, "correct it; in months, onset before month 0 is negative")


def _within_a_lifetime(records: Records) -> Iterator[Problem]:
    for name, table in records.tables.items():
        for column in table.columns.intersection(records.times):
            months = records.months(table, column)
            for row in table.index[months.abs() > LONGEST_MONTHS]:
                found = f"{_shown(table[column][row], column)}, {months[row]:.0f} months from the first injection"
                hint = "; a month column counts months, not days" if records.clock == "month" else ""
                remedy = f"correct it: at most {LONGEST_MONTHS} months can be right{hint}"
                yield Problem(f"{name}.csv", int(row), column, found, remedy)


def _totals_agree(records: Records) -> Iterator[Problem]:
    visits = records.tables["visits"]
    items, total = visits[list(ITEMS)], visits["alsfrsr"]
    lowest, given = items.sum(axis=1), items.notna().sum(axis=1)
    highest = lowest + HIGHEST_ITEM * (len(ITEMS) - given)
    for row in visits.index[total.isna() & given.between(1, len(ITEMS) - 1)]:
        remedy = "fill in the missing items, or the total alsfrsr, or empty all twelve"
        yield Problem("visits.csv", int(row), "alsfrsr", f"{given[row]} of the 12 items and no total", remedy)
    for row in visits.index[(given > 0) & ((total < lowest) | (total > highest))]:
        found = f"a total of {total[row]:g}, where the items given add up to {lowest[row]:g}"
        remedy = "correct the total or the items, or delete the column alsfrsr"
        yield Problem("visits.csv", int(row), "alsfrsr", found, remedy)


RULES = (
    _one_row_a_patient,
    _one_spelling,
    _known_patients,
    _one_record_at_a_time,
    _numbered_in_time_order,
    _ends_have_reasons,
    _nothing_after_the_end,
    _bounds_in_order,
    _onset_comes_first,
    _within_a_lifetime,
    _totals_agree,
    *UNITS,
)


def _repeated(records: Records, name: str, key: list[str], remedy: str) -> Iterator[Problem]:
    rows = _numbered(records.tables[name].dropna(subset=key))
    rows["first"] = rows.groupby(key)["row"].transform("min")
    for again in rows[rows["row"] != rows["first"]].to_dict("records"):
        found = f"{_shown(again[key[-1]], key[-1])} again, as in row {again['first']}"
        yield Problem(f"{name}.csv", int(again["row"]), key[-1], found, remedy)


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename_axis("row").reset_index()


def _likeness(patient: str) -> str:
    seen = "".join(letter for letter in patient if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFKC", seen).casefold()


def _shown(value: Any, column: str) -> str:
    if column.endswith("date"):
        return date.fromordinal(int(value)).isoformat()
    return repr(value) if isinstance(value, str) else repr(float(value)).removesuffix(".0")
