"""What each table of PRO-ACT says of its subjects, row by row, before the rows are held against each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from slopeshift.formats.conflicts import NO_RECORDS, in_range
from slopeshift.formats.ledger import LEFT_OUT, marked
from slopeshift.formats.reading import Choices, beside, cell_problems, filled, find_column, noted_numbers
from slopeshift.trial.columns import DAYS_PER_MONTH, Problem

if TYPE_CHECKING:
    from slopeshift.formats.source import Source

OLD_SCALE = "a record of the original ALSFRS (10 items, at most 40 points), which is not an ALSFRS-R"
OLDEST = 130
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
_PERCENT = re.compile(r"percent|%", re.IGNORECASE)  # a unit that some trials state for the columns of litres
TUBE = (("Q5a_Cutting_without_Gastrostomy", "Q5a"), ("Q5b_Cutting_with_Gastrostomy", "Q5b"))
SITES = ("Bulbar", "Limb", "Limb_and_Bulbar", "Spine", "Other")


class Part(NamedTuple):
    """What one table says: records with file, row, patient, and the columns made of them; the fates of other rows."""

    records: pd.DataFrame
    fates: list[pd.DataFrame]
    problems: list[Problem]
    seen: set[str]


def of_table(name: str, source: Source, choices: Choices) -> Part:
    """Read one table by its name (`alsfrs`, `fvc`, `deathdata`, or one of history)."""
    table = source.table
    subject = find_column(table, "subject_id")
    if subject is None:
        remedy = "name the column of subjects subject_id"
        return Part(NO_RECORDS, [], [Problem(source.file, 1, "subject_id", "no such column", remedy)], set())
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
        read, wrong = noted_numbers(table[column], self.choices.notation)
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


def _alsfrs(table: _Table, records: pd.DataFrame) -> Part:
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
    others["5"] = fifth.where(total.isna() | (total == sums), with_tube)
    kept_items = {f"alsfrsr_{item}": others[item].where(whole) for item in ITEM_COLUMNS}
    timed = beside(timed, value=total.fillna(sums), reason=reasons, **kept_items)
    refused = timed["reason"] != ""
    fates.append(marked(timed[refused], LEFT_OUT, timed["reason"][refused]))
    kept, beyond = in_range(timed[~refused], "value", 0, 48, whole=True, label="ALSFRS_R_Total")
    return Part(kept, [*fates, *beyond], table.problems, set())


def _fvc(table: _Table, records: pd.DataFrame) -> Part:
    timed, fates = table.placed(records, "Forced_Vital_Capacity_Delta", "FVC_Delta")
    percent = pd.concat([table.number(f"pct_of_Normal_Trial_{i}") for i in (1, 2, 3)], axis=1).max(axis=1)
    litres = pd.concat([table.number(f"Subject_Liters_Trial_{i}") for i in (1, 2, 3)], axis=1).max(axis=1)
    normal = table.number("subject_normal")
    in_percent = table.text("Forced_Vital_Capacity_Units").str.contains(_PERCENT)
    percent, litres = percent.fillna(litres.where(in_percent)), litres.mask(in_percent)
    computed = (100 * litres / normal.where(normal > 0)).round(1)
    timed = beside(timed, value=percent.fillna(computed))
    missing = timed["value"].isna()
    fates.append(marked(timed[missing], LEFT_OUT, "no FVC in per cent, nor litres with subject_normal"))
    kept, beyond = in_range(timed[~missing], "value", 0, 200, whole=False, label="FVC in per cent")
    return Part(kept, [*fates, *beyond], table.problems, set())


def _deaths(table: _Table, records: pd.DataFrame) -> Part:
    died = table.text("Subject_Died").str.casefold().isin(["yes", "y", "1"])[records.index]
    fates = [marked(records[~died], LEFT_OUT, "Subject_Died is not Yes, and no other end is recorded")]
    # A death whose day is missing or impossible is a death all the same.
    timed, undated = table.placed(records[died], "Death_Days")
    unplaced = records[died].drop(index=timed.index).assign(time=float("nan"))
    return Part(pd.concat([timed, unplaced]).sort_index(), [*fates, *undated], table.problems, set())


def _history(table: _Table, records: pd.DataFrame) -> Part:
    """Return what a table says of its subjects once: age, sex, onset and its site, arm, riluzole."""
    age = table.number("Age")
    possible = age.between(0, OLDEST)
    strange = records[(age.notna() & ~possible)[records.index]]
    said = beside(
        records,
        age=table.text("Age").where(possible, ""),
        sex=table.text("Sex"),
        onset_day=table.number("Onset_Delta"),
        onset_site=_site(table),
        arm=table.text("Study_Arm"),
        riluzole=table.text("Subject_used_Riluzole"),
    )
    fates = [marked(strange, LEFT_OUT, f"Age is not from 0 to {OLDEST}")]
    return Part(said, fates, table.problems, set())


def _site(table: _Table) -> pd.Series[str]:
    site = table.text("Site_of_Onset").str.removeprefix("Onset: ")
    for name in SITES:
        flagged = table.text(f"Site_of_Onset___{name}") == "1"
        site = site.mask(flagged & (site == ""), name.replace("_", " "))
    return site
