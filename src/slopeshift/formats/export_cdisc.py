"""A trial as SDTM and as ADaM datasets in XPT, with the codes of the shipped code maps.

A trial of dates has dates, a trial of months has study days, which have no day 0: day 1 is that of month 0.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats.cdisc_tables import SHAM
from slopeshift.formats.reading import filled, numbers
from slopeshift.trial.columns import ITEMS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slopeshift.formats.contents import Contents

CELLS = "10^6 Therapeutic Cells"
CODES = (
    {"alsfrsr": "ALSFRSR"}
    | {item: f"ALSFRS{place:02d}" for place, item in enumerate(ITEMS, start=1)}
    | {"fvc": "FVCPP"}
)
DECODED = {
    "completed": "COMPLETED",
    "death": "DEATH",
    "withdrawal": "WITHDRAWAL BY SUBJECT",
    "lost": "LOST TO FOLLOW-UP",
    "ongoing": "ONGOING",
}
_CARRIED = {
    "patients": "patient age sex arm onset_month onset_date onset_site end_month end_date end_reason riluzole".split(),
    "visits": ["patient", "month", "date", *CODES],
    "injections": "patient injection month date agent dose route".split(),
    "events": "patient month date term serious grade related".split(),
}


def carries(name: str, column: str) -> bool:
    """Say whether the datasets that are written have a place for a column of a trial."""
    return column in _CARRIED[name]


def write_sdtm(contents: Contents, folder: Path) -> None:
    """Write DM, QS, RE, EX, DS, AE and SUPPDM."""
    tables, dated = contents.tables, contents.clock == "date"
    patients = tables["patients"]
    time = "DTC" if dated else "DY"
    _sdtm(
        folder,
        "DM",
        patients["patient"],
        AGE=numbers(_of(patients, "age")),
        SEX=_of(patients, "sex"),
        ARM=_of(patients, "arm"),
    )
    for domain, columns in (("QS", ["alsfrsr", *ITEMS]), ("RE", ["fvc"])):
        scores = _scores(contents, columns)
        values = {f"{domain}TESTCD": scores["code"], f"{domain}STRESN": scores["value"]}
        _sdtm(folder, domain, scores["patient"], **values, **{f"{domain}{time}": _times(contents, scores["day"])})
    given = tables["injections"]
    dose, agent = _doses(given), _of(given, "agent")
    unit = dose.map(lambda _: CELLS, na_action="ignore").astype("object").fillna("")
    what = {"EXTRT": agent.where(filled(agent), "CELLS"), "EXDOSE": dose, "EXDOSU": unit}
    when = {f"EXST{time}": _times(contents, contents.days["injections"]["day"])}
    _sdtm(folder, "EX", given["patient"], **what, EXROUTE=_of(given, "route"), **when)
    reason = _of(patients, "end_reason")
    ended = filled(reason) & (reason != "ongoing")
    when = {f"DSST{time}": _times(contents, contents.days["patients"]["end"])[ended]}
    _sdtm(folder, "DS", patients["patient"][ended], DSDECOD=reason[ended].map(DECODED), **when)
    _events(
        contents, folder, "AE", {f"AEST{time}": _times(contents, contents.days["events"]["day"])}, "AETOXGR", "AEREL"
    )
    onset = _times(contents, contents.days["patients"]["onset"]).map(_shown)
    extra = {f"ONSET{time}": onset, "ONSETSIT": _of(patients, "onset_site"), "RILUZOLE": _of(patients, "riluzole")}
    long = pd.concat([pd.DataFrame({"p": patients["patient"], "n": name, "v": cells}) for name, cells in extra.items()])
    long = long[filled(long["v"])].reset_index(drop=True)
    _sdtm(folder, "SUPPDM", long["p"], RDOMAIN="DM", QNAM=long["n"], QVAL=long["v"])


def write_adam(contents: Contents, folder: Path) -> None:
    """Write ADSL, ADQS, ADPF, ADEX and ADAE."""
    tables, time = contents.tables, "DT" if contents.clock == "date" else "DY"
    patients, reason = tables["patients"], _of(tables["patients"], "end_reason")
    end = _times(contents, contents.days["patients"]["end"], numeric=True)
    stated = (
        reason.map({"completed": "COMPLETED", "ongoing": "ONGOING"}).fillna("DISCONTINUED").where(filled(reason), "")
    )
    cause = reason.map(DECODED).where(filled(reason) & ~reason.isin(["completed", "ongoing"]), "")
    subject = {
        "AGE": numbers(_of(patients, "age")),
        "SEX": _of(patients, "sex"),
        "ARM": _of(patients, "arm"),
        "EOSSTT": stated,
        "DCSREAS": cause,
        f"EOS{time}": end,
        f"DTH{time}": end.where(reason == "death"),
        f"ONSET{time}": _times(contents, contents.days["patients"]["onset"], numeric=True),
        "ONSETSIT": _of(patients, "onset_site"),
        "RILUZOLE": _of(patients, "riluzole"),
    }
    _xpt(folder, "ADSL", patients["patient"], subject)
    for name, columns in (("ADQS", ["alsfrsr", *ITEMS]), ("ADPF", ["fvc"])):
        scores = _scores(contents, columns)
        basic = {"PARAMCD": scores["code"], "AVAL": scores["value"]}
        _xpt(folder, name, scores["patient"], basic | {f"A{time}": _times(contents, scores["day"], numeric=True)})
    given = tables["injections"]
    basic = {"PARAMCD": "INJDOSE", "AVAL": _doses(given), "ROUTE": _of(given, "route"), "TRTA": _of(given, "agent")}
    when = {f"A{time}": _times(contents, contents.days["injections"]["day"], numeric=True)}
    _xpt(folder, "ADEX", given["patient"], basic | when)
    started = {f"AST{time}": _times(contents, contents.days["events"]["day"], numeric=True)}
    _events(contents, folder, "ADAE", started, "ATOXGR", "AREL")


def _doses(given: pd.DataFrame) -> pd.Series[float]:
    """Take the doses of injections; that of a sham, which has none, is 0."""
    dose, agent = numbers(_of(given, "dose")), _of(given, "agent")
    return dose.mask(dose.isna() & agent.str.contains(SHAM), 0.0)


def _scores(contents: Contents, columns: list[str]) -> pd.DataFrame:
    visits = contents.tables["visits"]
    parts = [
        pd.DataFrame(
            {"patient": visits["patient"], "day": contents.days["visits"]["day"], "code": CODES[column]}
        ).assign(value=numbers(visits[column]))
        for column in columns
        if column in visits
    ]
    empty = pd.DataFrame({"patient": [], "day": [], "code": [], "value": []})
    return pd.concat(parts).dropna(subset="value").reset_index(drop=True) if parts else empty


def _times(contents: Contents, days: pd.Series[float], *, numeric: bool = False) -> pd.Series[Any]:
    """Write times as datasets do: ISO dates as text, or dates for a numeric variable; study days without a day 0."""
    if contents.clock == "month":
        return days + (days >= 0)
    dates = days.map(lambda day: date.fromordinal(int(day)), na_action="ignore")
    if numeric:
        return (days - date(1960, 1, 1).toordinal()).astype("float64")
    return dates.map(lambda day: day.isoformat(), na_action="ignore").astype("object").fillna("")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "" if pd.isna(value) else f"{value:.0f}"


def _of(table: pd.DataFrame, column: str) -> pd.Series[str]:
    return table[column] if column in table else pd.Series("", index=table.index, dtype="str")


def _events(
    contents: Contents, folder: Path, name: str, when: Mapping[str, pd.Series[Any]], grade: str, related: str
) -> None:
    events = contents.tables["events"]
    columns = {
        "AETERM": _of(events, "term"),
        "AEDECOD": _of(events, "term"),
        "AESER": _of(events, "serious").map({"yes": "Y", "no": "N"}).fillna(""),
        grade: _of(events, "grade"),
        related: _of(events, "related"),
    }
    _xpt(folder, name, events["patient"], columns | dict(when))


def _sdtm(folder: Path, domain: str, patients: pd.Series[str], **columns: Any) -> None:
    _xpt(folder, domain, patients, {"DOMAIN": domain, **columns})


def _xpt(folder: Path, name: str, patients: pd.Series[str], columns: Mapping[str, Any]) -> None:
    import pyreadstat

    frame = pd.DataFrame({"STUDYID": "EXPORT", "USUBJID": patients, **columns}, index=patients.index)
    if frame.empty:
        return
    typed = frame.astype({column: "object" for column in frame if frame[column].dtype != "float64"})
    dates = {column: "DATE9." for column in typed if column.endswith("DT") and typed[column].dtype == "float64"}
    pyreadstat.write_xport(
        typed.reset_index(drop=True), str(folder / f"{name.lower()}.xpt"), table_name=name, variable_format=dates
    )
