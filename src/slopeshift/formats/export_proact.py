"""A trial as tables of PRO-ACT: visits, death, demographics, onset, arm and riluzole; no injections and no events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.formats import proact_tables
from slopeshift.formats.reading import as_text, filled, write_csv
from slopeshift.trial.columns import ITEMS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slopeshift.formats.contents import Contents

ITEM_COLUMNS = tuple(names[0] for names in (proact_tables.ITEM_COLUMNS | {"5": proact_tables.TUBE[0]}).values())
_CARRIED = {
    "patients": ("patient", "age", "sex", "onset_month", "onset_date", "onset_site", "arm", "riluzole"),
    "visits": ("patient", "month", "date", "alsfrsr", "fvc", *ITEMS),
}


def carries(name: str, column: str) -> bool:
    """Say whether PRO-ACT has a place for a column of a trial."""
    return column in _CARRIED.get(name, ())


def write(contents: Contents, folder: Path) -> None:
    """Write the tables of PRO-ACT that a trial fills."""
    visits, patients = contents.tables["visits"], contents.tables["patients"]
    day = _from_start(contents, "visits", "day")
    if "alsfrsr" in visits or ITEMS[0] in visits:
        columns = {"ALSFRS_Delta": day, "ALSFRS_R_Total": visits.get("alsfrsr", "")}
        columns |= {theirs: visits.get(ours, "") for theirs, ours in zip(ITEM_COLUMNS, ITEMS, strict=True)}
        scored = [column for column in ("alsfrsr", *ITEMS) if column in visits]
        _write(folder / "PROACT_ALSFRS.csv", visits["patient"], columns, filled(visits[scored]).any(axis=1))
    if "fvc" in visits:
        columns = {"Forced_Vital_Capacity_Delta": day, "pct_of_Normal_Trial_1": visits["fvc"]}
        _write(folder / "PROACT_FVC.csv", visits["patient"], columns, filled(visits["fvc"]))
    names = patients["patient"]
    dead = patients.get("end_reason", pd.Series("", index=names.index)) == "death"
    died = {"Subject_Died": dead.map({True: "Yes", False: "No"})}
    died["Death_Days"] = _from_start(contents, "patients", "end").where(dead, "")
    _write(folder / "PROACT_DEATHDATA.csv", names, died)
    _write(folder / "PROACT_DEMOGRAPHICS.csv", names, {"Age": patients.get("age", ""), "Sex": patients.get("sex", "")})
    onset = {"Onset_Delta": _from_start(contents, "patients", "onset"), "Site_of_Onset": patients.get("onset_site", "")}
    _write(folder / "PROACT_ALSHISTORY.csv", names, onset)
    for column, table, theirs in (
        ("riluzole", "RILUZOLE", "Subject_used_Riluzole"),
        ("arm", "TREATMENT", "Study_Arm"),
    ):
        if column in patients:
            _write(folder / f"PROACT_{table}.csv", names, {theirs: patients[column]})


def _from_start(contents: Contents, name: str, column: str) -> pd.Series[str]:
    """Write days from the patient's month 0: of the tables, or, where they give dates, of the patient."""
    days = contents.days[name][column]
    if contents.clock == "date":
        days = days - contents.tables[name]["patient"].map(contents.origin)
    return as_text(days.map(lambda day: f"{day:.0f}", na_action="ignore"))


def _write(
    path: Path,
    patients: pd.Series[str],
    columns: Mapping[str, pd.Series[str] | str],
    rows: pd.Series[bool] | None = None,
) -> None:
    table = pd.DataFrame({"subject_id": patients, **columns})
    write_csv(path, table if rows is None else table[rows])
