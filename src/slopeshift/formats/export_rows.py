"""A trial as one long spreadsheet, or as a flat export of REDCap, each with the mapping that reads it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats.mapping import SECTIONS
from slopeshift.formats.reading import filled, write_csv

if TYPE_CHECKING:
    from pathlib import Path

    from slopeshift.formats.contents import Contents

_PREFIX = {"patients": "", "visits": "", "injections": "inj_", "events": "ae_"}
_SERIOUS = {"1": "yes", "0": "no"}


def carries(name: str, column: str) -> bool:
    """Say whether the format has a place for a column: it has one for every column."""
    return bool(name and column)


def write_table(contents: Contents, folder: Path) -> None:
    """Write table.csv, one row for each patient, visit, injection and event, and mapping.yaml."""
    parts, mapping = [], {"patient": "patient"}
    for name in SECTIONS:
        table = contents.tables[name]
        shared = {contents.clock, "patient"}
        columns = {column: column if column in shared else f"{_PREFIX[name]}{column}" for column in table.columns}
        parts.append(table.rename(columns=columns))
        mapping |= _section(name, table, columns)
    write_csv(folder / "table.csv", pd.concat(parts, ignore_index=True).fillna(""))
    _yaml(folder / "mapping.yaml", mapping)


def write_redcap(contents: Contents, folder: Path) -> None:
    """Write redcap.csv, patients and visits by event, injections and events as repeating instruments; mapping.yaml."""
    parts, mapping = [], {"patient": "record_id"}
    for name, instrument in (
        ("patients", ""),
        ("visits", ""),
        ("injections", "injection"),
        ("events", "adverse_event"),
    ):
        table = contents.tables[name]
        columns = {column: f"{_PREFIX[name]}{column}" for column in table.columns}
        columns |= {"patient": "record_id"} | ({contents.clock: f"visit_{contents.clock}"} if name == "visits" else {})
        number = table.groupby("patient").cumcount().add(1).astype("str")
        rows = table.assign(serious=table["serious"].map({"yes": "1", "no": "0"})) if "serious" in table else table
        head = {
            "redcap_event_name": "visit_" + number + "_arm_1" if name == "visits" else "baseline_arm_1",
            "redcap_repeat_instrument": instrument,
            "redcap_repeat_instance": number if instrument else "",
        }
        parts.append(rows.rename(columns=columns).assign(**head))
        if len(table):
            mapping |= _section(name, table, columns, instrument)
    every = pd.concat(parts, ignore_index=True).fillna("")
    first = ["record_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"]
    write_csv(folder / "redcap.csv", every[[*first, *(column for column in every if column not in first)]])
    _yaml(folder / "mapping.yaml", mapping | ({"codes": {"serious": _SERIOUS}} if "events" in mapping else {}))


def _section(name: str, table: pd.DataFrame, columns: dict[str, str], instrument: str = "") -> dict[str, Any]:
    held = [
        column
        for column in table.columns
        if column != "patient" and (filled(table[column]).any() or name == "patients")
    ]
    section = {column: columns[column] for column in held}
    return {name: ({"instrument": instrument} if instrument else {}) | section} if section else {}


def _yaml(path: Path, document: dict[str, Any]) -> None:
    import yaml

    path.write_bytes(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=200).encode())
