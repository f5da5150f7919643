"""A trial written in the formats it could have come in: examples of each, made without anybody's data.

What a format has no place for is not written and is named. PRO-ACT and CDISC count whole days, so months are rounded
to days; a trial in which two records of a patient would then fall on one day is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats import export_cdisc, export_proact, export_rows
from slopeshift.formats.reading import filled
from slopeshift.formats.write import refusal, refuse_destination, whole_folder
from slopeshift.trial import read_trial
from slopeshift.trial.columns import DAYS_PER_MONTH, Problem
from slopeshift.trial.door import from_folder, inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Contents:
    """A trial to be exported: its tables as text, and every time in whole days on the trial's clock.

    Days are ordinals of dates where the trial counts in dates, else days from its month 0. `days` has the columns
    `day` (and `onset`, `end`) beside the table's rows.
    """

    clock: str
    tables: Mapping[str, pd.DataFrame]
    days: Mapping[str, pd.DataFrame]
    origin: pd.Series[float]


def export_trial(form: str, trial: Path, destination: Path) -> tuple[str, ...]:
    """Write a trial in another format into a new folder; return the columns that the format has no place for.

    Raises TrialError where the trial does not pass the door, KeyError for an unknown format.
    """
    writer, carried, in_days = _WRITERS[form]
    refuse_destination(destination, replace=False)
    read_trial(trial)
    contents = _contents(trial)
    if in_days and (problems := _same_day(contents, carried)):
        raise refusal(trial.name, problems)
    with whole_folder(destination) as folder:
        writer(contents, folder)
    return tuple(
        f"{name}.{column}"
        for name, table in contents.tables.items()
        for column in table.columns
        if filled(table[column]).any() and not carried(name, column)
    )


def _contents(trial: Path) -> Contents:
    delivery = from_folder(trial)
    records, _, _ = inspect(delivery)
    clock = records.clock
    scale = 1.0 if clock == "date" else DAYS_PER_MONTH
    days = {}
    for name, table in records.tables.items():
        times = {"day": clock, "onset": f"onset_{clock}", "end": f"end_{clock}"}
        days[name] = pd.DataFrame({day: (table[time] * scale).round() for day, time in times.items() if time in table})
    empty = pd.DataFrame({"patient": []}, dtype="str")
    tables = {name: delivery.tables.get(name, empty) for name in records.tables}
    return Contents(clock, tables, days, records.origin.fillna(0.0) * scale)


def _same_day(contents: Contents, carried: Callable[[str, str], bool]) -> list[Problem]:
    problems = []
    for name in ("visits", "injections"):
        table = contents.tables[name][["patient"]].join(contents.days[name]["day"])
        for row in table.index[table.duplicated()] if carried(name, "patient") else ():
            remedy = "join the two, or export in a format that counts in parts of a day: redcap or table"
            problems.append(Problem(f"{name}.csv", int(row), contents.clock, "two records on one whole day", remedy))
    return problems


_WRITERS: Mapping[str, tuple[Any, Callable[[str, str], bool], bool]] = {
    "proact": (export_proact.write, export_proact.carries, True),
    "sdtm": (export_cdisc.write_sdtm, export_cdisc.carries, True),
    "adam": (export_cdisc.write_adam, export_cdisc.carries, True),
    "redcap": (export_rows.write_redcap, export_rows.carries, False),
    "table": (export_rows.write_table, export_rows.carries, False),
}
