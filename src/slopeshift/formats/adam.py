"""CDISC ADaM: ADSL, datasets of the BDS shape (PARAMCD, AVAL, ADT or ADY) and ADAE, in any form SDTM may have.

Injections are the records of an exposure dataset of that shape or, where the code map says so, the starts of the
periods of ADSL. Imputed values (DTYPE) are no measurements and are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats import cdisc, cdisc_ends, cdisc_tables, codemap
from slopeshift.formats.cdisc import Desk, column_of
from slopeshift.formats.cdisc_tables import NO_SCORES
from slopeshift.formats.reading import Choices, Reading, filled, numbered, stacked
from slopeshift.formats.source import first_record
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slopeshift.formats.folder import Collected
    from slopeshift.formats.source import Source

TITLE = "CDISC ADaM datasets"
MAPPED = False
CODEMAP = "adam"
EVENT_COLUMNS = {"grade": ("ATOXGR", "AETOXGR", "AESEV"), "related": ("AREL", "AEREL")}
_PERIOD = re.compile(r"AP(\d\d)SDT")


def collect(path: Path, sheet: str | None) -> Collected:
    """Read the datasets whose names begin with AD from a folder."""
    return cdisc.collect_datasets(path, sheet, lambda name: name.startswith("AD"), "ADSL", _dataset)


def _dataset(path: Path) -> str:
    """Return the name of a dataset: that of its file, or what the file calls it."""
    stem = path.stem.upper()
    return stem if stem.startswith("AD") else first_record(path)[0] or stem


def native(sources: Sequence[Source], choices: Choices) -> Reading:
    """Return the tables that the code map finds in the datasets."""
    document = {**codemap.default(CODEMAP), **choices.document}
    if problems := tuple(codemap.codemap_problems(choices.document_file, choices.document)):
        return Reading({}, problems=problems)
    named, desk = cdisc.by_name(sources), Desk(choices)
    basic = [source for name, parts in named.items() if name not in ("ADSL", "ADAE") for source in parts]
    desk.set_clock([column_of(source.table, "ADT") for source in basic])
    subjects = desk.records(named["ADSL"])
    ends = _ends(desk, named, subjects, document["ends"])
    scores, injections = [], [_periods(desk, subjects, document["injections"])]
    arms = cdisc_tables.arm_of(desk, subjects, *ARMS)
    compared = len(set(arms[filled(arms)])) > 1
    for source in basic:
        scored, injected = _basic(desk, source, document, compared=compared)
        scores.append(scored)
        injections.append(injected)
    deaths = ends[ends["reason"] == "death"].set_index("patient")["limit"]
    found = pd.concat([NO_SCORES, *scores])
    tables = {
        "patients": _patients(desk, subjects.assign(arm=arms), document["patients"], ends),
        "visits": cdisc_tables.visits_of(desk, found, ends.set_index("patient")["limit"]),
        "injections": numbered(stacked("injections", desk.clock, injections), desk.clock),
        "events": cdisc_tables.events_of(desk, named.get("ADAE", []), ("ASTDT", "ASTDY"), EVENT_COLUMNS, deaths),
    }
    date = "DT" if desk.clock == "date" else "DY"
    times = {source.file: (f"A{date}", "AVAL", "AVAL") for source in basic}
    times |= {source.file: (f"AST{date}", "", "") for source in named.get("ADAE", ())}
    return desk.reading(tables, times, f"DTH{date} or EOS{date}")


ARMS = (("TRT01P", "TRT01A"), ("ARM", "ACTARM"))
"""Where ADSL says the arm: as planned, and as treated."""


def _basic(
    desk: Desk, source: Source, document: Mapping[str, Any], *, compared: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the scores and the injections of a dataset of the BDS shape.

    Where arms are `compared`, a dose of 0 is an injection too; TRTA names what was injected.
    """
    records = desk.records([source])
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
    scored = desk.without(scored, scored["value"].isna(), "no AVAL")
    cdisc_tables.refuse_other_units(desk, scored, "AVALU")
    timed = desk.timed(scored, "ADT", "ADY")
    given = records[injecting & ~imputed]
    given = given.assign(dose=desk.number(given, "AVAL"), route=column_of(given, "ROUTE"))
    given = given.assign(agent=cdisc_tables.agents_of(column_of(given, "TRTA"), given["dose"]))
    chosen = cdisc_tables.recorded_choice(desk, given, ("ADT", "ADY"))
    return cdisc_tables.recorded_choice(desk, timed)[list(NO_SCORES.columns)], cdisc_tables.injections_of(
        desk, chosen, ("ADT", "ADY"), document["injections"], compared=compared
    )


def _periods(desk: Desk, subjects: pd.DataFrame, codes: Mapping[str, Any]) -> pd.DataFrame:
    """Return an injection at every start of a period in ADSL, where the code map asks for it."""
    wanted = codes.get("periods", "no").casefold() in ("yes", "true")
    found = []
    for column in [name for name in subjects if wanted and _PERIOD.fullmatch(name)]:
        rows = subjects[filled(subjects[column])]
        rows = rows.assign(dose=float("nan"), route="")
        found.append(cdisc_tables.injections_of(desk, rows, (column, column.replace("SDT", "SDY")), codes))
    return stacked("injections", desk.clock, found)


def _ends(
    desk: Desk, named: Mapping[str, list[Source]], subjects: pd.DataFrame, codes: Mapping[str, str]
) -> pd.DataFrame:
    """Return one end a patient: death by ADSL or a fatal event, otherwise EOSDT with DCSREAS or EOSSTT."""
    dates = ("DTHDT", "DTHDY", "DTHDTC", "DTHCAUS")
    time = next((name for name in ("DTHDT", "DTHDTC") if filled(column_of(subjects, name)).any()), "DTHDT")
    found = [
        cdisc_ends.deaths_of_subjects(desk, subjects, dates, (time, "DTHDY")),
        _treated_to_death(desk, subjects, codes),
    ]
    cause, status = column_of(subjects, "DCSREAS"), column_of(subjects, "EOSSTT")
    said = cause.where(filled(cause), status)
    ended = subjects.assign(reason=cdisc_ends.decoded(desk, said, codes))[filled(said)]
    for _, record in ended.assign(code=said[ended.index])[ended["reason"] == ""].drop_duplicates("code").iterrows():
        code, column = record["code"], "DCSREAS" if filled(cause)[record.name] else "EOSSTT"
        remedy = f"add it under ends: in the code map: {code}: completed, death, withdrawal, lost or ongoing"
        where = (record["file"], int(record["row"]), column)
        desk.problems.append(Problem(*where, repr(code), remedy, record["patient"]))
    for _, record in subjects[filled(cause) & status.isin(["COMPLETED", "ONGOING"])].iterrows():
        found_both = f"EOSSTT {record['EOSSTT']}, beside DCSREAS {record['DCSREAS']}: DCSREAS is taken"
        desk.note(record, "EOSSTT", found_both, "check which is right")
    found.append(cdisc_ends.claims(desk, ended[ended["reason"] != ""], ("EOSDT", "EOSDY"), "EOSSTT", own=True))
    if "ADAE" in named:
        events = desk.placed_in(named["ADAE"])
        found.append(cdisc_ends.deaths_of_events(desk, events, ("AENDT", "AENDY")))
    return cdisc_ends.one_end(desk, found)


def _treated_to_death(desk: Desk, subjects: pd.DataFrame, codes: Mapping[str, str]) -> pd.DataFrame:
    """Return the deaths that ended a treatment; any other end of a treatment is not the end of a patient."""
    cause, status = column_of(subjects, "DCTREAS"), column_of(subjects, "EOTSTT")
    died = (
        pd.concat([cdisc_ends.decoded(desk, cells, codes) for cells in (cause, status)], axis=1).eq("death").any(axis=1)
    )
    alone = (filled(cause) | filled(status)) & ~died & ~filled(column_of(subjects, "EOSSTT"))
    desk.leave_out(subjects[alone], "EOTSTT: the end of a treatment is not that of the patient, and there is no EOSSTT")
    return cdisc_ends.claims(desk, subjects[died].assign(reason="death"), ("DTHDT", "DTHDY"), "DCTREAS", own=True)


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
        elif filled(cells).any() and column != "arm":
            said[column] = desk.said(subjects, cells, source_column)
    if filled(subjects["arm"]).any():
        said["arm"] = desk.said(subjects, subjects["arm"], "arm")
    return cdisc_tables.patients_of(desk, subjects, said, ends)


def _onset(desk: Desk, subjects: pd.DataFrame, column: str) -> pd.Series[str]:
    placed = desk.day(subjects, column, column)
    wrong = filled(subjects[column]) & placed["time"].isna()
    desk.leave_out(subjects[wrong], "an onset, because of: " + placed["untimed"][wrong])
    return desk.time_text(placed["time"])
