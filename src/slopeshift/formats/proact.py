"""PRO-ACT: pooled trials in ALS as tables of one natural-history cohort, without injections.

Times are days from the start of each trial. Records of the ALSFRS of 40 points are not ALSFRS-R totals and are left
out; so is a total that its items contradict. FVC is the best of up to three trials in per cent of predicted, computed
from litres and the predicted litres where no per cent is given.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from slopeshift.formats import notation
from slopeshift.formats.conflicts import agreed, in_range, not_after, once_a_time
from slopeshift.formats.ledger import LEFT_OUT, USED, marked
from slopeshift.formats.reading import (
    Choices,
    Collected,
    Reading,
    beside,
    cell_problems,
    empty_table,
    filled,
    find_column,
    months_of_days,
    numbers,
)
from slopeshift.formats.source import ENDINGS, read_source
from slopeshift.trial.columns import DAYS_PER_MONTH, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slopeshift.formats.source import Source

TITLE = "PRO-ACT tables"
MAPPED = False
TABLES = ("alsfrs", "fvc", "deathdata", "demographics", "alshistory", "riluzole", "treatment")
UNREAD = {
    "svc": "slow vital capacity is another measurement than FVC",
    "adverseevents": "these adverse events do not say whether they were serious",
}
OLD_SCALE = "a record of the original ALSFRS (10 items, at most 40 points), which is not an ALSFRS-R"
FARTHEST_DAYS = 600 * DAYS_PER_MONTH
# The items of the ALSFRS-R; its last three take the place of Q10 of the original scale.
ITEM_COLUMNS = {
    "1": ("Q1_Speech", "Q1"),
    "2": ("Q2_Salivation", "Q2"),
    "3": ("Q3_Swallowing", "Q3"),
    "4": ("Q4_Handwriting", "Q4"),
    "5": ("Q5_Cutting", "Q5"),
    "6": ("Q6_Dressing_and_Hygiene", "Q6"),
    "7": ("Q7_Turning_in_Bed", "Q7"),
    "8": ("Q8_Walking", "Q8"),
    "9": ("Q9_Climbing_Stairs", "Q9"),
    "10": ("R_1_Dyspnea", "R1"),
    "11": ("R_2_Orthopnea", "R2"),
    "12": ("R_3_Respiratory_Insufficiency", "R3"),
}
TUBE = (("Q5a_Cutting_without_Gastrostomy", "Q5a"), ("Q5b_Cutting_with_Gastrostomy", "Q5b"))
SAID = {
    "age": "age",
    "sex": "sex",
    "onset_month": "Onset_Delta",
    "onset_site": "site of onset",
    "study_arm": "Study_Arm",
    "riluzole": "use of riluzole",
}
SITES = ("Bulbar", "Limb", "Limb_and_Bulbar", "Spine", "Other")


def collect(path: Path, sheet: str | None) -> Collected:
    """Read the tables that are used from a folder; names with and without PROACT_ and F_ are known."""
    if not path.is_dir():
        return Collected((), problems=(Problem(str(path), None, None, "no such folder", "give the folder of tables"),))
    found: dict[str, Path] = {}
    unread, problems, sources = {}, [], []
    for file in sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")):
        name = _table_name(file.stem)
        if name not in TABLES or file.suffix.casefold() not in ENDINGS:
            unread[file.name] = UNREAD.get(name, "nothing in a trial's tables is made of this file")
        elif name in found:
            remedy = "keep one of them in the folder"
            problems.append(Problem(file.name, None, None, f"the same table as {found[name].name}", remedy))
        else:
            found[name] = file
    for file in found.values():
        source, in_file = read_source(file, sheet)
        problems += in_file
        sources += [source] if source else []
    if not {"alsfrs", "fvc"} & set(found):
        remedy = "give the folder with PROACT_ALSFRS.csv or PROACT_FVC.csv"
        problems.append(Problem(str(path), None, None, "neither a table ALSFRS nor a table FVC", remedy))
    return Collected(tuple(sources), unread, tuple(problems))


def native(sources: Sequence[Source], choices: Choices) -> Reading:
    """Return patients and visits; every time in months from the start of the patient's trial."""
    by_name = {_table_name(source.file.rpartition(".")[0]): source for source in sources}
    parts = {name: _of_table(name, source, choices) for name, source in by_name.items()}
    fates = [fate for part in parts.values() for fate in part.fates]
    problems = tuple(problem for part in parts.values() for problem in part.problems)
    if problems:
        return Reading({}, problems=problems)
    ends, in_ends = _said(parts, "deathdata", "time", "day of death")
    everyone = sorted({p for part in parts.values() for p in part.seen}, key=lambda name: (len(name), name))
    kept: dict[str, pd.DataFrame] = {}
    for name, label in (("alsfrs", "ALSFRS-R"), ("fvc", "FVC")):
        kept[name], late = not_after(
            parts[name].records if name in parts else _NO_RECORDS, ends.astype("float64"), "death"
        )
        kept[name], again = once_a_time(kept[name], "value", label)
        fates += [*late, *again, marked(kept[name], USED, "visit")]
    visits = _visits(kept["alsfrs"], kept["fvc"])
    first_day = pd.concat(list(kept.values())).groupby("patient")["time"].min()
    patients, in_patients = _patients(parts, everyone, ends, first_day)
    tables = {"patients": patients, "visits": visits}
    tables |= {name: empty_table(name, "month") for name in ("injections", "events")}
    return Reading(tables, (*fates, *in_ends, *in_patients))


class _Part(NamedTuple):
    """What one table says: records with file, row, patient, and the columns made of them; the fates of other rows."""

    records: pd.DataFrame
    fates: list[pd.DataFrame]
    problems: list[Problem]
    seen: set[str]


_NO_RECORDS = pd.DataFrame(
    {"file": pd.Series(dtype="str"), "row": pd.Series(dtype="int64"), "patient": pd.Series(dtype="str"),
     "time": pd.Series(dtype="float64"), "value": pd.Series(dtype="float64")}
)  # fmt: skip


def _table_name(stem: str) -> str:
    return re.sub(r"^(f_)?(proact_)?|[^a-z]", "", stem.casefold())


def _of_table(name: str, source: Source, choices: Choices) -> _Part:
    table = source.table
    subject = find_column(table, "subject_id")
    if subject is None:
        remedy = "name the column of subjects subject_id"
        return _Part(_NO_RECORDS, [], [Problem(source.file, 1, "subject_id", "no such column", remedy)], set())
    known = filled(table[subject])
    records = pd.DataFrame({"file": source.file, "row": table.index, "patient": table[subject]}, index=table.index)
    fates = [marked(records[~known], LEFT_OUT, "no subject_id")]
    read = {"alsfrs": _alsfrs, "fvc": _fvc, "deathdata": _deaths}.get(name, _history)
    part = read(_Table(source, choices, []), records[known])
    return part._replace(fates=[*fates, *part.fates], seen=set(records.loc[known, "patient"]))


class _Table(NamedTuple):
    """One source table, how it is written, and the problems met while its columns are read."""

    source: Source
    choices: Choices
    problems: list[Problem]

    def number(self, *names: str, needed: bool = False) -> pd.Series[float]:
        """Read a column of numbers by any of its names: NaN where missing; a problem where it is no number."""
        table = self.source.table
        column = find_column(table, *names)
        if column is None:
            if needed:
                remedy = f"add the column {names[0]}"
                self.problems.append(Problem(self.source.file, 1, names[0], "no such column", remedy))
            return pd.Series(np.nan, index=table.index)
        cells, wrong = notation.points(table[column], self.choices.notation)
        read = numbers(cells)
        wrong = wrong.mask(
            filled(cells) & read.isna() & (wrong == ""), "write a number, or an empty cell where missing"
        )
        self.problems.extend(cell_problems(self.source.file, column, table[column], wrong))
        return read

    def text(self, *names: str) -> pd.Series[str]:
        """Read a column of text by any of its names; empty where there is none."""
        column = find_column(self.source.table, *names)
        if column is None:
            return pd.Series("", index=self.source.table.index, dtype="str")
        return self.source.table[column].replace("NA", "")

    def placed(self, records: pd.DataFrame, *names: str) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
        """Give records their day; those without one, or at an impossible one, are left out."""
        timed = beside(records, time=self.number(*names, needed=True))
        missing = timed["time"].isna()
        far = timed["time"].abs() > FARTHEST_DAYS
        fates = [marked(timed[missing], LEFT_OUT, f"no {names[0]}")]
        fates.append(marked(timed[far], LEFT_OUT, f"{names[0]} is more than 50 years from the start of the trial"))
        return timed[~missing & ~far], fates


def _alsfrs(table: _Table, records: pd.DataFrame) -> _Part:
    timed, fates = table.placed(records, "ALSFRS_Delta")
    items = {item: table.number(*names) for item, names in ITEM_COLUMNS.items()}
    with_tube, without = table.number(*TUBE[1]), table.number(*TUBE[0])
    total = table.number("ALSFRS_R_Total", "ALSFRSR_Total")
    others = pd.DataFrame(items)
    fifth = items["5"].fillna(without).fillna(with_tube)
    two = without.notna() & with_tube.notna() & (without != with_tube)
    whole = others.drop(columns="5").notna().all(axis=1) & fifth.notna()
    sums = others.drop(columns="5").sum(axis=1) + fifth
    other_sums = sums - fifth + with_tube.where(two, fifth)
    agrees = total.isna() | ~whole | (total == sums) | (total == other_sums)
    impossible = others.assign(a=without, b=with_tube).lt(0).any(axis=1) | others.assign(a=without, b=with_tube).gt(
        4
    ).any(axis=1)
    reasons = pd.Series("", index=others.index, dtype="str")
    for wrong, reason in (
        (total.isna() & ~whole & others[["10", "11", "12"]].isna().any(axis=1), OLD_SCALE),
        (total.isna() & ~whole, "no ALSFRS_R_Total, and not all of its twelve items"),
        (total.isna() & two, "Q5a and Q5b are both filled and differ, and there is no ALSFRS_R_Total"),
        (~agrees & ~impossible, "ALSFRS_R_Total is not the sum of its items"),
        (impossible, "an item is not a number from 0 to 4"),
    ):
        reasons = reasons.mask(wrong & (reasons == ""), reason)
    timed = beside(timed, value=total.fillna(sums), reason=reasons)
    refused = timed["reason"] != ""
    fates.append(marked(timed[refused], LEFT_OUT, timed["reason"][refused]))
    kept, beyond = in_range(timed[~refused], "value", 0, 48, whole=True, label="ALSFRS_R_Total")
    return _Part(kept, [*fates, *beyond], table.problems, set())


def _fvc(table: _Table, records: pd.DataFrame) -> _Part:
    timed, fates = table.placed(records, "Forced_Vital_Capacity_Delta", "FVC_Delta")
    percent = pd.concat([table.number(f"pct_of_Normal_Trial_{i}") for i in (1, 2, 3)], axis=1).max(axis=1)
    litres = pd.concat([table.number(f"Subject_Liters_Trial_{i}") for i in (1, 2, 3)], axis=1).max(axis=1)
    normal = table.number("subject_normal")
    computed = (100 * litres / normal.where(normal > 0)).round(1)
    timed = beside(timed, value=percent.fillna(computed))
    missing = timed["value"].isna()
    fates.append(marked(timed[missing], LEFT_OUT, "no FVC in per cent, nor litres with subject_normal"))
    kept, beyond = in_range(timed[~missing], "value", 0, 200, whole=False, label="FVC in per cent")
    return _Part(kept, [*fates, *beyond], table.problems, set())


def _deaths(table: _Table, records: pd.DataFrame) -> _Part:
    died = table.text("Subject_Died").str.casefold().isin(["yes", "y", "1"])[records.index]
    fates = [marked(records[~died], LEFT_OUT, "Subject_Died is not Yes, and no other end is recorded")]
    timed, undated = table.placed(records[died], "Death_Days")
    return _Part(timed, [*fates, *undated], table.problems, set())


def _history(table: _Table, records: pd.DataFrame) -> _Part:
    """Return what a table says of its subjects once: age, sex, onset and its site, arm, riluzole."""
    said = beside(
        records,
        age=table.text("Age").where(table.number("Age").between(0, 130), ""),
        sex=table.text("Sex"),
        onset_day=table.number("Onset_Delta"),
        onset_site=_site(table),
        study_arm=table.text("Study_Arm"),
        riluzole=table.text("Subject_used_Riluzole"),
    )
    return _Part(said, [], table.problems, set())


def _site(table: _Table) -> pd.Series[str]:
    site = table.text("Site_of_Onset").str.removeprefix("Onset: ")
    for name in SITES:
        flagged = table.text(f"Site_of_Onset___{name}") == "1"
        site = site.mask(flagged & (site == ""), name.replace("_", " "))
    return site


def _said(parts: Mapping[str, _Part], name: str, value: str, label: str) -> tuple[pd.Series[Any], list[pd.DataFrame]]:
    if name not in parts:
        return pd.Series(dtype="float64"), []
    told, fates = agreed(parts[name].records, value, label)
    return told, [*fates, marked(parts[name].records, USED, "patient")] if not fates else [
        *fates,
        marked(parts[name].records[parts[name].records["patient"].isin(told.index)], USED, "patient"),
    ]


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
    )
    return (
        visits.astype("object")
        .fillna("")
        .astype("str")
        .set_index(pd.MultiIndex.from_arrays(where, names=["file", "row"]))
    )


def _patients(
    parts: Mapping[str, _Part], everyone: list[str], ends: pd.Series[float], first_day: pd.Series[float]
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    patients = pd.DataFrame({"patient": everyone}, dtype="str").set_index("patient", drop=False)
    fates = []
    for name in (name for name in ("demographics", "alshistory", "treatment", "riluzole") if name in parts):
        records = parts[name].records
        late = records["onset_day"] > records["patient"].map(first_day)
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
    patients["end_reason"] = patients["end_month"].map(lambda end: "death" if end else "")
    rows = pd.MultiIndex.from_arrays(
        [["(all tables)"] * len(patients), range(2, len(patients) + 2)], names=["file", "row"]
    )
    return patients.set_axis(rows), fates
