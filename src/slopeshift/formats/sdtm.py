"""CDISC SDTM: DM, EX or PR, QS or RS, RE, DS, DD, SS, AE and SUPPDM, as XPT, SAS7BDAT, Dataset-JSON or CSV.

Codes are the sponsor's, so a code map says what they mean. Dates count where there are any, study days otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats import cdisc, cdisc_ends, cdisc_tables, codemap, notation
from slopeshift.formats.cdisc import Desk, column_of
from slopeshift.formats.cdisc_tables import NO_SCORES
from slopeshift.formats.reading import (
    Choices,
    Reading,
    filled,
    months_of_days,
    numbered,
    numbers,
    stacked,
)
from slopeshift.formats.source import first_record
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slopeshift.formats.folder import Collected
    from slopeshift.formats.source import Source

TITLE = "CDISC SDTM datasets"
MAPPED = False
CODEMAP = "sdtm"
DOMAINS = ("DM", "SUPPDM", "EX", "PR", "QS", "RS", "RE", "DS", "DD", "SS", "AE")
# What a domain without the variable DOMAIN is known by.
_OWN = {
    f"{name}{column}": name
    for column, names in (
        ("TESTCD", ("QS", "RS", "RE", "DD", "SS")),
        ("TRT", ("EX", "PR")),
        ("DECOD", ("DS", "AE")),
        ("TERM", ("DS", "AE")),
    )
    for name in names
}
SCORED, INJECTED = ("QS", "RS", "RE"), ("EX", "PR")
EVENT_COLUMNS = {"grade": ("AETOXGR", "AESEV"), "related": ("AEREL",)}


def collect(path: Path, sheet: str | None) -> Collected:
    """Read the domains that are used from a folder of datasets."""
    return cdisc.collect_datasets(path, sheet, lambda name: name in DOMAINS, "DM", _domain)


def _domain(path: Path) -> str:
    """Return the domain of a file: what its DOMAIN says (RDOMAIN of SUPP--), or else its name, or a variable of it."""
    inner, first_row = first_record(path)
    first = {variable.upper(): cell for variable, cell in first_row.items()}
    stem = path.stem.upper()
    if stem in DOMAINS and stem in {_OWN.get(column) for column in first}:
        return stem
    if first.get("RDOMAIN") and "QNAM" in first:
        return f"SUPP{first['RDOMAIN'].upper()}"
    if first.get("DOMAIN"):
        return first["DOMAIN"].upper()
    known = next((_OWN[column] for column in first if column in _OWN), stem)
    return next((name for name in (stem, inner) if name in DOMAINS), known)


def native(sources: Sequence[Source], choices: Choices) -> Reading:
    """Return the tables that the code map finds in the domains."""
    document = {**codemap.default(CODEMAP), **choices.document}
    if problems := tuple(codemap.codemap_problems(choices.document_file, choices.document)):
        return Reading({}, problems=problems)
    domains, desk = cdisc.by_name(sources), Desk(choices)
    dated = [(name, f"{name}DTC") for name in SCORED] + [(name, f"{name}STDTC") for name in INJECTED]
    desk.set_clock([column_of(part.table, column) for name, column in dated for part in domains.get(name, ())])
    subjects = desk.records(domains["DM"])
    ends = _ends(desk, domains, document, subjects)
    last = ends.set_index("patient")["limit"]
    deaths = ends[ends["reason"] == "death"].set_index("patient")["limit"]
    scores = pd.concat(
        [NO_SCORES, *(_scores(desk, name, domains[name], document) for name in SCORED if name in domains)]
    )
    arms = cdisc_tables.arm_of(desk, subjects, ("ARM", "ACTARM"))
    compared = len(set(arms[filled(arms)])) > 1
    injections = [
        _injections(desk, domains, name, document["injections"], compared=compared)
        for name in INJECTED
        if name in domains
    ]
    tables = {
        "patients": _patients(desk, domains, subjects.assign(arm=arms), document["patients"], ends),
        "visits": cdisc_tables.visits_of(desk, scores, last),
        "injections": numbered(stacked("injections", desk.clock, injections), desk.clock),
        "events": cdisc_tables.events_of(desk, domains.get("AE", []), ("AESTDTC", "AESTDY"), EVENT_COLUMNS, deaths),
    }
    return desk.reading(
        tables, _times(desk, domains), "DTHDTC or DSSTDTC" if desk.clock == "date" else "DTHDY or DSSTDY"
    )


def _times(desk: Desk, domains: Mapping[str, list[Source]]) -> dict[str, tuple[str, str, str]]:
    """Name the variables of a file's times and values, for messages."""
    suffix = "DTC" if desk.clock == "date" else "DY"
    return {
        part.file: (
            f"{name}ST{suffix}" if name in (*INJECTED, "DS", "AE") else f"{name}{suffix}",
            f"{name}STRESN",
            f"{name}DOSE",
        )
        for name, parts in domains.items()
        for part in parts
    }


def _ends(
    desk: Desk, domains: Mapping[str, list[Source]], document: Mapping[str, Any], subjects: pd.DataFrame
) -> pd.DataFrame:
    """Return one end a patient, from DM, DS, DD, SS and AE."""
    found = []
    if "DS" in domains:
        ends = cdisc_ends.dispositions(
            desk, desk.records(domains["DS"]), document["ends"], document.get("dispositions", {}), _seen(desk, domains)
        )
        found.append(cdisc_ends.claims(desk, ends, ("DSSTDTC", "DSSTDY"), "DS"))
    found.append(cdisc_ends.deaths_of_subjects(desk, subjects, ("DTHDTC", "DTHDY"), ("DTHDTC", "DTHDY")))
    if "DD" in domains:
        details = desk.records(domains["DD"])
        desk.use(details, "patient")
        found.append(cdisc_ends.claims(desk, details.assign(reason="death"), ("DTHDTC", "DTHDY"), "DD", own=True))
    if "SS" in domains:
        found.append(cdisc_ends.deaths_by_status(desk, desk.records(domains["SS"])))
    if "AE" in domains:
        events = desk.placed_in(domains["AE"])
        found.append(cdisc_ends.deaths_of_events(desk, events, ("AEENDTC", "AEENDY")))
    return cdisc_ends.one_end(desk, found)


def _seen(desk: Desk, domains: Mapping[str, list[Source]]) -> pd.Series[float]:
    """Return the day of the last score or injection of every patient, whatever the code map makes of it."""
    dated = {name: f"{name}DTC" for name in SCORED} | {name: f"{name}STDTC" for name in INJECTED}
    found = [
        desk.day(desk.placed_in(domains[name]), column, column.replace("DTC", "DY"))[["patient", "time"]]
        for name, column in dated.items()
        if name in domains
    ]
    return pd.concat(found).groupby("patient")["time"].max() if found else pd.Series(dtype="float64")


def _scores(desk: Desk, domain: str, sources: list[Source], document: Mapping[str, Any]) -> pd.DataFrame:
    meaning = cdisc_tables.codes_of(codemap.score_codes(document))
    records = desk.records(sources)
    code = column_of(records, f"{domain}TESTCD")
    records = desk.without(records, ~code.isin(meaning), f"{domain}TESTCD is not in the code map: " + code)
    not_done = column_of(records, f"{domain}STAT") == "NOT DONE"
    records = desk.without(records, not_done, f"{domain}STAT is NOT DONE")
    stored = next((f"{domain}{name}" for name in ("STRESN", "STRESC", "ORRES") if f"{domain}{name}" in records), None)
    if stored is None:
        remedy = f"export the dataset with {domain}STRESN"
        desk.problems.append(Problem(sources[0].file, 1, f"{domain}STRESN", "no such column", remedy))
        return NO_SCORES
    records = records.assign(
        value=desk.number(records, stored), column=column_of(records, f"{domain}TESTCD").map(meaning)
    )
    records = desk.without(records, records["value"].isna(), f"no {stored}")
    unit = f"{domain}{'ORRESU' if stored.endswith('ORRES') else 'STRESU'}"
    cdisc_tables.refuse_other_units(desk, records, unit)
    timed = desk.timed(records, f"{domain}DTC", f"{domain}DY")
    return timed[list(NO_SCORES.columns)]


def _injections(
    desk: Desk, domains: Mapping[str, list[Source]], domain: str, codes: Mapping[str, Any], *, compared: bool
) -> pd.DataFrame:
    """Return the injections of EX or PR: those given, of the treatments and routes that are named.

    Where arms are `compared`, those of a placebo or sham are injections of an agent of their own.
    """
    records = desk.records(domains[domain])
    if domain == "PR" and not codes.get("treatments"):
        if "EX" not in domains:
            remedy = "name the PRTRT that are injections under injections: treatments: in a code map"
            desk.problems.append(Problem(domains[domain][0].file, None, "PRTRT", "procedures, and no EX", remedy))
        desk.leave_out(records, "a procedure, and the code map names no treatment")
        return pd.DataFrame({"patient": []}, dtype="str")
    for column, key in ((f"{domain}TRT", "treatments"), (f"{domain}ROUTE", "routes")):
        cells, named = column_of(records, column), codes.get(key, [])
        if named:
            records = desk.without(records, ~cells.isin(named), f"{column} is not in the code map")
        elif len(several := _competing(cells, compared=compared)) > 1 and not _selected(codes):
            remedy = "name those that are injections under injections: treatments: or routes: in a code map"
            desk.problems.append(Problem(domains[domain][0].file, None, column, ", ".join(several)[:200], remedy))
    not_given = column_of(records, f"{domain}OCCUR") == "N"
    records = desk.without(records, not_given, f"{domain}OCCUR is N: not given")
    dose = desk.number(records, f"{domain}DOSE")
    factors = _factors(desk, records[dose.notna() & (dose != 0)], f"{domain}DOSU", codes.get("dose_units", {}))
    scaled = dose.where(dose == 0, dose * factors.reindex(dose.index))
    agent = cdisc_tables.agents_of(column_of(records, f"{domain}TRT"), scaled)
    records = records.assign(dose=scaled, route=column_of(records, f"{domain}ROUTE"), agent=agent)
    return cdisc_tables.injections_of(desk, records, (f"{domain}STDTC", f"{domain}STDY"), codes, compared=compared)


def _competing(cells: pd.Series[str], *, compared: bool) -> list[str]:
    """List the treatments or routes of which it is not known whether all are injections: not those of a sham."""
    return [cell for cell in sorted({*cells[filled(cells)]}) if not (compared and cdisc_tables.SHAM.search(cell))]


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
    domains: Mapping[str, list[Source]],
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
        "arm": desk.said(subjects, subjects["arm"], "ARM"),
    }
    if "SUPPDM" in domains:
        said |= _supplementary(desk, domains["SUPPDM"], names)
    return cdisc_tables.patients_of(desk, subjects, said, ends)


def _supplementary(desk: Desk, sources: list[Source], names: Mapping[str, str]) -> dict[str, pd.Series[Any]]:
    records = desk.records(sources)
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
