"""CDISC SDTM: DM, EX or PR, QS or RS, RE, DS, AE and SUPPDM, as XPT, SAS7BDAT, Dataset-JSON or CSV.

Codes are the sponsor's, so a code map says what they mean. Dates count where there are any, study days otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats import cdisc, cdisc_tables, codemap, notation
from slopeshift.formats.cdisc import Desk, column_of
from slopeshift.formats.cdisc_tables import NO_SCORES
from slopeshift.formats.reading import (
    Choices,
    Reading,
    beside,
    filled,
    months_of_days,
    numbered,
    numbers,
    stacked,
)
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slopeshift.formats.source import Collected, Source

TITLE = "CDISC SDTM datasets"
MAPPED = False
CODEMAP = "sdtm"
DOMAINS = ("DM", "SUPPDM", "EX", "PR", "QS", "RS", "RE", "DS", "AE")
SCORED, INJECTED = ("QS", "RS", "RE"), ("EX", "PR")
EVENT_COLUMNS = {"grade": ("AETOXGR", "AESEV"), "related": ("AEREL",)}


def collect(path: Path, sheet: str | None) -> Collected:
    """Read the domains that are used from a folder of datasets."""
    return cdisc.collect_datasets(path, sheet, lambda name: name in DOMAINS, "DM")


def native(sources: Sequence[Source], choices: Choices) -> Reading:
    """Return the tables that the code map finds in the domains."""
    document = {**codemap.default(CODEMAP), **choices.document}
    if problems := tuple(codemap.codemap_problems(choices.document_file, choices.document)):
        return Reading({}, problems=problems)
    domains, desk = {cdisc.name_of(source): source for source in sources}, Desk(choices)
    dated = [(name, f"{name}DTC") for name in SCORED] + [(name, f"{name}STDTC") for name in INJECTED]
    desk.set_clock([column_of(domains[name].table, column) for name, column in dated if name in domains])
    subjects = desk.records(domains["DM"])
    ends = _ends(desk, domains, document["ends"], subjects)
    last = ends.set_index("patient")["time"]
    deaths = ends[ends["reason"] == "death"].set_index("patient")["time"]
    scores = pd.concat([NO_SCORES, *(_scores(desk, domains[name], document) for name in SCORED if name in domains)])
    injections = [_injections(desk, domains, name, document["injections"]) for name in INJECTED if name in domains]
    tables = {
        "patients": _patients(desk, domains, subjects, document["patients"], ends),
        "visits": cdisc_tables.visits_of(desk, scores, last),
        "injections": numbered(stacked("injections", desk.clock, injections), desk.clock),
        "events": cdisc_tables.events_of(desk, domains.get("AE"), ("AESTDTC", "AESTDY"), EVENT_COLUMNS, deaths),
    }
    return Reading(tables, tuple(desk.fates), problems=tuple(dict.fromkeys(desk.problems)))


def _ends(desk: Desk, domains: Mapping[str, Source], codes: Mapping[str, str], subjects: pd.DataFrame) -> pd.DataFrame:
    """Return one end a patient: death where there is one, otherwise the latest."""
    died = desk.day(subjects[column_of(subjects, "DTHFL") == "Y"], "DTHDTC", "DTHDY")
    died = desk.without(died, died["time"].isna(), "a death, because of: " + died["untimed"])
    found = [died.assign(reason="death", own=True)]
    if "DS" in domains:
        records = desk.records(domains["DS"])
        decoded = column_of(records, "DSDECOD")
        ends = desk.without(records, ~decoded.isin(codes), "DSDECOD is no end in the code map: " + decoded)
        timed = desk.timed(ends, "DSSTDTC", "DSSTDY")
        found.append(beside(timed, reason=decoded.map(codes)).assign(own=False))
    every = pd.concat(found)[["file", "row", "patient", "time", "reason", "own"]]
    every["last"] = (every["reason"] != "death").astype(int)
    ordered = every.sort_values(["last", "own", "time"], ascending=[True, True, False], kind="stable")
    chosen = ~ordered.duplicated("patient")
    desk.use(ordered[chosen & ~ordered["own"]], "patient")
    desk.leave_out(ordered[~chosen & ~ordered["own"]], "another end of the patient is taken: death, or the latest")
    return ordered[chosen]


def _scores(desk: Desk, source: Source, document: Mapping[str, Any]) -> pd.DataFrame:
    domain = cdisc.name_of(source)
    meaning = cdisc_tables.codes_of(codemap.score_codes(document))
    records = desk.records(source)
    code = column_of(records, f"{domain}TESTCD")
    records = desk.without(records, ~code.isin(meaning), f"{domain}TESTCD is not in the code map: " + code)
    not_done = column_of(records, f"{domain}STAT") == "NOT DONE"
    records = desk.without(records, not_done, f"{domain}STAT is NOT DONE")
    stored = next((f"{domain}{name}" for name in ("STRESN", "STRESC", "ORRES") if f"{domain}{name}" in records), None)
    if stored is None:
        remedy = f"export the dataset with {domain}STRESN"
        desk.problems.append(Problem(source.file, 1, f"{domain}STRESN", "no such column", remedy))
        return NO_SCORES
    records = records.assign(
        value=desk.number(records, stored), column=column_of(records, f"{domain}TESTCD").map(meaning)
    )
    records = desk.without(records, records["value"].isna(), f"no {stored}")
    timed = desk.timed(records, f"{domain}DTC", f"{domain}DY")
    return timed[list(NO_SCORES.columns)]


def _injections(desk: Desk, domains: Mapping[str, Source], domain: str, codes: Mapping[str, Any]) -> pd.DataFrame:
    """Return the injections of EX or PR: those given, of the treatments and routes that are named."""
    records = desk.records(domains[domain])
    if domain == "PR" and not codes.get("treatments"):
        if "EX" not in domains:
            remedy = "name the PRTRT that are injections under injections: treatments: in a code map"
            desk.problems.append(Problem(domains[domain].file, None, "PRTRT", "procedures, and no EX", remedy))
        desk.leave_out(records, "a procedure, and the code map names no treatment")
        return pd.DataFrame({"patient": []}, dtype="str")
    for column, key in ((f"{domain}TRT", "treatments"), (f"{domain}ROUTE", "routes")):
        cells, named = column_of(records, column), codes.get(key, [])
        if named:
            records = desk.without(records, ~cells.isin(named), f"{column} is not in the code map")
        elif (several := sorted({*cells[filled(cells)]})) and len(several) > 1 and not _selected(codes):
            remedy = "name those that are injections under injections: treatments: or routes: in a code map"
            desk.problems.append(Problem(domains[domain].file, None, column, ", ".join(several)[:200], remedy))
    not_given = column_of(records, f"{domain}OCCUR") == "N"
    records = desk.without(records, not_given, f"{domain}OCCUR is N: not given")
    dose = desk.number(records, f"{domain}DOSE")
    factors = _factors(desk, records[dose.notna() & (dose != 0)], f"{domain}DOSU", codes.get("dose_units", {}))
    scaled = dose.where(dose == 0, dose * factors.reindex(dose.index))
    records = records.assign(dose=scaled, route=column_of(records, f"{domain}ROUTE"))
    return cdisc_tables.injections_of(desk, records, f"{domain}STDTC", f"{domain}STDY")


def _selected(codes: Mapping[str, Any]) -> bool:
    return bool(codes.get("treatments") or codes.get("routes"))


def _factors(desk: Desk, records: pd.DataFrame, column: str, units: Mapping[str, str]) -> pd.Series[float]:
    cells = column_of(records, column)
    for _, record in records[~cells.isin(units)].drop_duplicates(column if column in records else "file").iterrows():
        remedy = "add the unit to injections: dose_units: in a code map, with how many 10^6 cells it is"
        desk.problems.append(Problem(record["file"], int(record["row"]), column, repr(cells[record.name]), remedy))
    return cells.map({unit: float(factor) for unit, factor in units.items()}).astype("float64")


def _patients(
    desk: Desk,
    domains: Mapping[str, Source],
    subjects: pd.DataFrame,
    names: Mapping[str, str],
    ends: pd.DataFrame,
) -> pd.DataFrame:
    desk.use(subjects, "patient")
    units = column_of(subjects, "AGEU")
    for _, record in subjects[filled(units) & (units != "YEARS")].iterrows():
        desk.problems.append(
            Problem(record["file"], int(record["row"]), "AGEU", repr(record["AGEU"]), "give ages in YEARS")
        )
    said = {
        "age": desk.said(subjects, column_of(subjects, "AGE"), "AGE"),
        "sex": desk.said(subjects, column_of(subjects, "SEX"), "SEX"),
        "arm": desk.said(subjects, column_of(subjects, "ARM"), "ARM"),
    }
    if "SUPPDM" in domains:
        said |= _supplementary(desk, domains["SUPPDM"], names)
    return cdisc_tables.patients_of(desk, subjects, said, ends)


def _supplementary(desk: Desk, source: Source, names: Mapping[str, str]) -> dict[str, pd.Series[Any]]:
    records = desk.records(source)
    name, value = column_of(records, "QNAM"), column_of(records, "QVAL")
    known = name.isin(names) & filled(value)
    desk.leave_out(records[~known], "QNAM is not in the code map, or QVAL is empty")
    desk.use(records[known], "patient")
    said: dict[str, pd.Series[Any]] = {}
    for qualifier, column in names.items():
        chosen = records[known & (name == qualifier)]
        if len(chosen) and column == "onset":
            said[f"onset_{desk.clock}"] = desk.said(chosen, onset_text(desk, chosen, value[chosen.index]), qualifier)
        elif len(chosen):
            said[column] = desk.said(chosen, value[chosen.index], qualifier)
    return said


def onset_text(desk: Desk, records: pd.DataFrame, cells: pd.Series[str]) -> pd.Series[str]:
    """Write an onset, a date or a study day, on the trial's clock; what is neither is left out."""
    if desk.clock == "date":
        texts, wrong = notation.days(cells, desk.choices.notation)
    else:
        days = numbers(cells)
        texts, wrong = months_of_days(days - (days > 0)), days.isna().map({True: "not a study day", False: ""})
    bad = filled(cells) & (wrong != "")
    desk.leave_out(records[bad], "the onset is not a full date or study day")
    return texts.mask(bad, "")
