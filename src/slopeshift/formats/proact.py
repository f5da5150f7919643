"""PRO-ACT: pooled trials in ALS as tables of one natural-history cohort, without injections.

Times are days from the start of each trial. Records of the ALSFRS of 40 points are not ALSFRS-R totals and are left
out; so is a total that its items contradict. FVC is the best of up to three trials in per cent of predicted, computed
from litres and the predicted litres where no per cent is given.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.formats.conflicts import NO_RECORDS, agreed, not_after, once_a_time
from slopeshift.formats.folder import NOTHING_MADE, collect_tables
from slopeshift.formats.ledger import LEFT_OUT, USED, marked
from slopeshift.formats.proact_tables import Part, of_table
from slopeshift.formats.reading import (
    Choices,
    Reading,
    as_text,
    empty_table,
    filled,
    find_column,
    months_of_days,
    numbers,
)
from slopeshift.trial.columns import ITEMS, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slopeshift.formats.folder import Collected
    from slopeshift.formats.source import Source

TITLE = "PRO-ACT tables"
MAPPED = False
TABLES = ("alsfrs", "fvc", "deathdata", "demographics", "alshistory", "riluzole", "treatment")
UNREAD = {
    "svc": "slow vital capacity is another measurement than FVC",
    "adverseevents": "these adverse events do not say whether they were serious",
}
SAID = {
    "age": "age",
    "sex": "sex",
    "onset_month": "Onset_Delta",
    "onset_site": "site of onset",
    "arm": "Study_Arm",
    "riluzole": "use of riluzole",
}


def collect(path: Path, sheet: str | None) -> Collected:
    """Read the tables that are used from a folder; names with and without PROACT_ and F_ are known."""
    remedy = "give the folder with PROACT_ALSFRS.csv or PROACT_FVC.csv"
    lacking = Problem(str(path), None, None, "neither a table ALSFRS nor a table FVC", remedy)

    def unread(name: str) -> str:
        return "" if name in TABLES else UNREAD.get(name, NOTHING_MADE)

    collected = collect_tables(path, sheet, "table", _table_name, unread, ({"alsfrs", "fvc"}, lacking))
    return replace(collected, sources=tuple(map(_without_days_of_birth, collected.sources)))


def _without_days_of_birth(source: Source) -> Source:
    """Leave out a column Date_of_Birth of the releases that have days in it, which identify nobody."""
    column = find_column(source.table, "Date_of_Birth")
    if column is None or not (days := numbers(source.table[column])[filled(source.table[column])].abs()).gt(2100).all():
        return source
    note = f"column {column}: days" if len(days) else f"column {column}: empty"
    return replace(source, table=source.table.drop(columns=column), notes=(*source.notes, f"{note}, not read"))


def native(sources: Sequence[Source], choices: Choices) -> Reading:
    """Return patients and visits; every time in months from the start of the patient's trial."""
    by_name = {source.dataset: source for source in sources}
    parts = {name: of_table(name, source, choices) for name, source in by_name.items()}
    fates = [fate for part in parts.values() for fate in part.fates]
    problems = tuple(problem for part in parts.values() for problem in part.problems) + _of_two_arms(parts)
    if problems:
        return Reading({}, problems=problems, subject="subject_id")
    died = parts["deathdata"].records if "deathdata" in parts else NO_RECORDS
    ends, in_ends = agreed(died.dropna(subset=["time"]), "time", "day of death")
    fates += [*in_ends, marked(died, USED, "patient")]
    everyone = sorted({p for part in parts.values() for p in part.seen}, key=lambda name: (len(name), name))
    kept: dict[str, pd.DataFrame] = {}
    for name, label in (("alsfrs", "ALSFRS-R"), ("fvc", "FVC")):
        kept[name], late = not_after(
            parts[name].records if name in parts else NO_RECORDS, ends.astype("float64"), "death"
        )
        kept[name], again = once_a_time(kept[name], "value", label)
        fates += [*late, *again, marked(kept[name], USED, "visit")]
    visits = _visits(kept["alsfrs"], kept["fvc"])
    first_day = pd.concat(list(kept.values())).groupby("patient")["time"].min()
    patients, in_patients = _patients(parts, everyone, ends, set(died["patient"]), first_day)
    tables = {"patients": patients, "visits": visits}
    tables |= {name: empty_table(name, "month") for name in ("injections", "events")}
    return Reading(tables, (*fates, *in_patients), subject="subject_id")


def _of_two_arms(parts: Mapping[str, Part]) -> tuple[Problem, ...]:
    """Refuse subjects whose records name several arms: neither of them could be taken."""
    told = [part.records[part.records["arm"] != ""] for part in parts.values() if "arm" in part.records]
    problems = []
    every = pd.concat(told) if told else NO_RECORDS
    for subject, rows in every[every.duplicated("patient", keep=False)].groupby("patient", sort=False):
        if len(arms := sorted(set(rows["arm"]))) > 1:
            first, found = rows.iloc[0], f"{' and '.join(map(repr, arms))} of one patient"
            remedy = "give every patient one arm"
            problems.append(Problem(first["file"], int(first["row"]), "Study_Arm", found, remedy, str(subject)))
    return tuple(problems)


def _table_name(file: Path) -> str:
    return re.sub(r"^(f_)?(proact_)?|[^a-z]", "", file.stem.casefold())


def _visits(alsfrs: pd.DataFrame, fvc: pd.DataFrame) -> pd.DataFrame:
    """Join the two scores of a patient's day into one visit, in the order of patients and days."""
    keys = ["patient", "time"]
    both = alsfrs.merge(fvc, on=keys, how="outer", suffixes=("", "_fvc"))
    both = both.assign(length=both["patient"].str.len()).sort_values(["length", *keys], ignore_index=True)
    where = [both["file"].fillna(both["file_fvc"]), both["row"].fillna(both["row_fvc"]).astype("int64")]
    visits = pd.DataFrame(
        {
            "patient": both["patient"],
            "month": months_of_days(both["time"]),
            "alsfrsr": both["value"].map(lambda value: f"{value:.0f}", na_action="ignore"),
            "fvc": both["value_fvc"].map(lambda value: f"{value:g}", na_action="ignore"),
        }
        | {item: both[item].map(lambda value: f"{value:.0f}", na_action="ignore") for item in ITEMS if item in both}
    )
    return as_text(visits).set_index(pd.MultiIndex.from_arrays(where, names=["file", "row"]))


def _patients(
    parts: Mapping[str, Part],
    everyone: list[str],
    ends: pd.Series[float],
    died: set[str],
    first_day: pd.Series[float],
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    patients = pd.DataFrame({"patient": everyone}, dtype="str").set_index("patient", drop=False)
    fates = []
    for name in (name for name in ("demographics", "alshistory", "treatment", "riluzole") if name in parts):
        records = parts[name].records
        late = records["onset_day"] > records["patient"].map(first_day).astype("float64")
        fates.append(marked(records[late], LEFT_OUT, "Onset_Delta is after the first visit"))
        records = records.assign(onset_month=months_of_days(records["onset_day"].mask(late)))
        used = pd.Series(False, index=records.index)
        for value, label in SAID.items():
            told, again = agreed(records[records[value] != ""], value, label)
            fates += again
            used |= (records[value] != "") & records["patient"].isin(told.index)
            if len(told) and not (value in patients and filled(patients[value]).any()):
                patients[value] = patients["patient"].map(told).fillna("").astype("str")
        fates.append(marked(records[used], USED, "patient"))
        fates.append(marked(records[~used & ~late], LEFT_OUT, "nothing in it that a trial's tables hold"))
    patients["end_month"] = months_of_days(patients["patient"].map(ends).astype("float64"))
    patients["end_reason"] = patients["patient"].map(lambda patient: "death" if patient in died else "")
    rows = pd.MultiIndex.from_arrays(
        [["(all tables)"] * len(patients), range(2, len(patients) + 2)], names=["file", "row"]
    )
    return patients.set_axis(rows), fates
