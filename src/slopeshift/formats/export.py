"""A trial written in the formats it could have come in: examples of each, made without anybody's data.

What a format has no place for is not written and is named. PRO-ACT and CDISC count whole days, so months are rounded
to days; a trial in which two records of a patient would then fall on one day is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slopeshift.formats import export_cdisc, export_proact, export_rows
from slopeshift.formats.contents import Contents, contents_of
from slopeshift.formats.reading import filled
from slopeshift.formats.write import refusal, refuse_destination
from slopeshift.keep.atomic import replacing_folder
from slopeshift.trial import read_trial
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def export_trial(form: str, trial: Path, destination: Path) -> tuple[str, ...]:
    """Write a trial in another format into a new folder; return the columns that the format has no place for.

    Raises TrialError where the trial does not pass the door, KeyError for an unknown format.
    """
    writer, carried, in_days = _WRITERS[form]
    refuse_destination(destination, replace=False)
    read_trial(trial)
    contents = contents_of(trial)
    if in_days and (problems := _same_day(contents, carried)):
        raise refusal(trial.name, problems)
    with replacing_folder(destination) as folder:
        writer(contents, folder)
    return tuple(
        f"{name}.{column}"
        for name, table in contents.tables.items()
        for column in table.columns
        if filled(table[column]).any() and not carried(name, column)
    )


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
