"""CDISC ADaM: ADSL, datasets of the BDS shape (PARAMCD, AVAL, ADT or ADY) and ADAE, in any form SDTM may have.

Injections are the records of an exposure dataset of that shape or, where the code map says so, the starts of the
periods of ADSL. Imputed values (DTYPE) are no measurements and are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats import cdisc, cdisc_tables, codemap
from slopeshift.formats.cdisc import Desk, column_of
from slopeshift.formats.cdisc_tables import NO_SCORES
from slopeshift.formats.reading import Choices, Reading, filled, numbered, stacked
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slopeshift.formats.source import Collected, Source

TITLE = "CDISC ADaM datasets"
MAPPED = False
CODEMAP = "adam"
EVENT_COLUMNS = {"grade": ("ATOXGR", "AETOXGR", "AESEV"), "related": ("AREL", "AEREL")}
_PERIOD = re.compile(r"AP(\d\d)SDT")


def collect(path: Path, sheet: str | None) -> Collected:
    """Read the datasets whose names begin with AD from a folder."""
    return cdisc.collect_datasets(path, sheet, lambda name: name.startswith("AD"), "ADSL")


def native(sources: Sequence[Source], choices: Choices) -> Reading:
    """Return the tables that the code map finds in the datasets."""
    document = {**codemap.default(CODEMAP), **choices.document}
    if problems := tuple(codemap.codemap_problems(choices.document_file, choices.document)):
        return Reading({}, problems=problems)
    named, desk = {cdisc.name_of(source): source for source in sources}, Desk(choices)
    basic = {name: source for name, source in named.items() if name not in ("ADSL", "ADAE")}
    desk.set_clock([column_of(source.table, "ADT") for source in basic.values()])
    subjects = desk.records(named["ADSL"])
    ends = _ends(desk, subjects, document["ends"], choices.document_file)
    scores, injections = [], [_periods(desk, subjects, document["injections"])]
    for source in basic.values():
        scored, injected = _basic(desk, source, document)
        scores.append(scored)
        injections.append(injected)
    deaths = ends[ends["reason"] == "death"].set_index("patient")["time"]
    found = pd.concat([NO_SCORES, *scores])
    tables = {
        "patients": _patients(desk, subjects, document["patients"], ends),
        "visits": cdisc_tables.visits_of(desk, found, ends.set_index("patient")["time"]),
        "injections": numbered(stacked("injections", desk.clock, injections), desk.clock),
        "events": cdisc_tables.events_of(desk, named.get("ADAE"), ("ASTDT", "ASTDY"), EVENT_COLUMNS, deaths),
    }
    return Reading(tables, tuple(desk.fates), problems=tuple(dict.fromkeys(desk.problems)))


def _basic(desk: Desk, source: Source, document: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the scores and the injections of a dataset of the BDS shape."""
    records = desk.records(source)
    nothing = pd.DataFrame({"patient": []}, dtype="str")
    if not {"PARAMCD", "AVAL"} <= set(source.table.columns):
        desk.leave_out(records, "a dataset without PARAMCD and AVAL")
        return NO_SCORES, nothing
    code, meaning = records["PARAMCD"], cdisc_tables.codes_of(codemap.score_codes(document))
    injecting = code.isin(document["injections"].get("codes", []))
    unknown = ~code.isin(meaning) & ~injecting
    desk.leave_out(records[unknown], "PARAMCD is not in the code map: " + code[unknown])
    imputed = filled(column_of(records, "DTYPE")) & ~unknown
    desk.leave_out(records[imputed], "an imputed or derived value: DTYPE " + column_of(records, "DTYPE")[imputed])
    scored = records[code.isin(meaning) & ~imputed]
    scored = scored.assign(value=desk.number(scored, "AVAL"), column=scored["PARAMCD"].map(meaning))
    timed = desk.timed(desk.without(scored, scored["value"].isna(), "no AVAL"), "ADT", "ADY")
    given = records[injecting & ~imputed]
    given = given.assign(dose=desk.number(given, "AVAL"), route=column_of(given, "ROUTE"))
    return timed[list(NO_SCORES.columns)], cdisc_tables.injections_of(desk, given, "ADT", "ADY")


def _periods(desk: Desk, subjects: pd.DataFrame, codes: Mapping[str, Any]) -> pd.DataFrame:
    """Return an injection at every start of a period in ADSL, where the code map asks for it."""
    wanted = codes.get("periods", "no").casefold() in ("yes", "true")
    found = []
    for column in [name for name in subjects if wanted and _PERIOD.fullmatch(name)]:
        rows = subjects[filled(subjects[column])]
        rows = rows.assign(dose=float("nan"), route="")
        found.append(cdisc_tables.injections_of(desk, rows, column, column.replace("SDT", "SDY")))
    return stacked("injections", desk.clock, found)


def _ends(desk: Desk, subjects: pd.DataFrame, codes: Mapping[str, str], file: str) -> pd.DataFrame:
    """Return one end a patient: death at DTHDT, otherwise EOSDT with DCSREAS or EOSSTT."""
    died = desk.day(
        subjects[filled(column_of(subjects, "DTHDT" if desk.clock == "date" else "DTHDY"))], "DTHDT", "DTHDY"
    )
    cause, status = column_of(subjects, "DCSREAS"), column_of(subjects, "EOSSTT")
    said = cause.where(filled(cause), status)
    ended = desk.day(subjects[filled(said)].assign(said=said[filled(said)]), "EOSDT", "EOSDY")
    for code in sorted({*ended.loc[~ended["said"].isin(codes), "said"]}):
        remedy = f"add it under ends: in the code map: {code}: completed, death, withdrawal, lost or ongoing"
        desk.problems.append(Problem(subjects["file"].iloc[0], None, "DCSREAS or EOSSTT", repr(code), remedy))
    ended = ended.assign(reason=ended["said"].map(codes))
    timeless = ended["time"].isna() & (ended["reason"] != "ongoing")
    desk.leave_out(ended[timeless], "an end, because of: " + ended["untimed"][timeless])
    died = desk.without(died, died["time"].isna(), "a death, because of: " + died["untimed"])
    ended = ended[ended["reason"].notna() & ~timeless]
    every = pd.concat([died.assign(reason="death"), ended])
    return every.drop_duplicates("patient")[["file", "row", "patient", "time", "reason"]]


def _patients(desk: Desk, subjects: pd.DataFrame, names: Mapping[str, str], ends: pd.DataFrame) -> pd.DataFrame:
    desk.use(subjects, "patient")
    said: dict[str, pd.Series[Any]] = {
        "age": desk.said(subjects, column_of(subjects, "AGE"), "AGE"),
        "sex": desk.said(subjects, column_of(subjects, "SEX"), "SEX"),
    }
    for source_column, column in names.items():
        cells = column_of(subjects, source_column)
        if filled(cells).any() and column == "onset":
            if source_column.endswith("DY") == (desk.clock == "month"):
                texts = _onset(desk, subjects, source_column)
                said[f"onset_{desk.clock}"] = desk.said(subjects, texts, source_column)
            else:
                desk.leave_out(subjects[filled(cells)], f"{source_column}, in a trial that counts in {desk.clock}s")
        elif filled(cells).any():
            said[column] = desk.said(subjects, cells, source_column)
    return cdisc_tables.patients_of(desk, subjects, said, ends)


def _onset(desk: Desk, subjects: pd.DataFrame, column: str) -> pd.Series[str]:
    placed = desk.day(subjects, column, column)
    wrong = filled(subjects[column]) & placed["time"].isna()
    desk.leave_out(subjects[wrong], "an onset, because of: " + placed["untimed"][wrong])
    return desk.time_text(placed["time"])
