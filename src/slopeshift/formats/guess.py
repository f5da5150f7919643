"""A first guess at a mapping, from the names of columns and what their cells look like, for the user to confirm."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from slopeshift.formats.reading import filled
from slopeshift.trial.columns import ITEMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from slopeshift.formats.source import Source

# Letters and digits alone, in small letters. ALSFRS without the R is another scale, and litres are not per cent:
# neither is here.
_PATIENT = "patient patientid subject subjectid subjid usubjid id participant participantid recordid record studyid"
_PATIENTS = {
    "age": "age ageyears ageatbaseline ageatentry",
    "sex": "sex gender",
    "onset": "onset onsetdate dateofonset symptomonset onsetmonth onsetday diseaseonset",
    "onset_site": "onsetsite siteofonset",
    "end": "end enddate endmonth endday exitdate dateofexit studyend lastcontact",
    "end_reason": "endreason reasonforend exitreason",
    "riluzole": "riluzole",
    "edaravone": "edaravone",
    "arm": "arm studyarm treatmentarm group",
}
_VISITS = {
    "time": "date visitdate dateofvisit month visitmonth months day visitday days time visittime assessmentdate",
    "alsfrsr": "alsfrsr alsfrsrtotal alsfrsrtotalscore alsfrsrscore totalalsfrsr alsfrsrsum",
    "fvc": "fvc fvcpct fvcpercent fvcpred fvcpredicted fvcpp fvcpercentpredicted fvcpercentpred percentfvc fvcperc",
}
_INJECTIONS = {
    "injection": "injection injectionnumber injectionno injno cycle injnumber injinjection",
    "time": "injectiondate dateofinjection injdate injectionmonth injmonth injectionday injday",
    "agent": "agent injectionagent injagent injectedagent studyproduct",
    "dose": "dose injectiondose injdose cells dosecells",
    "route": "route injectionroute injroute",
    "planned": "planned planneddate plannedmonth plannedday injplanned",
}
_EVENTS = {
    "time": "eventdate aedate adverseeventdate eventmonth aemonth eventday aeday aestart aestartdate",
    "term": "term event adverseevent aeterm aename eventterm",
    "serious": "serious aeserious sae eventserious",
    "grade": "grade aegrade severity aeseverity",
    "related": "related aerelated relatedness aerelatedness",
}
_ITEM_NAMES = (
    "speech salivation swallowing handwriting cutting dressing turning walking climbing dyspnea orthopnea respiratory"
).split()
_WIDE_VISIT = re.compile(r"(alsfrsr|fvc)(?:total|score|pct|percent|pred|predicted)*(month|mo|m|day|d)(\d+)")
_WIDE_INJECTION = re.compile(r"(?:injection|inj)(?:date|month|day)?(\d+)(?:date|month|day)?")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?.*|\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}.*|\d{1,2}[- ]?[A-Za-z]{3}[a-z]*[- ]?\d{4}")
_YES_NO = {"y": "yes", "n": "no", "1": "yes", "0": "no", "true": "yes", "false": "no", "yes": "yes", "no": "no"}


def guess(source: Source, instruments: Iterable[str] = (), patient: str | None = None) -> dict[str, Any]:
    """Return a mapping document for a source; what cannot be guessed is left away."""
    plain = {_plain(column): column for column in reversed(list(source.table.columns))}
    found = {
        "patients": _section(source, plain, _PATIENTS),
        "visits": _section(source, plain, _VISITS) | _items(plain),
        "injections": _section(source, plain, _INJECTIONS),
        "events": _section(source, plain, _EVENTS),
    }
    _share_time(found)
    wide = _wide(source, plain)
    if wide.get("visits"):
        found["visits"] = {}
    document: dict[str, Any] = {"patient": patient or _first(plain, _PATIENT) or ""} | {
        name: part for name, part in found.items() if part
    }
    for name, pattern in (
        ("visits", r"visit|alsfrs|assess"),
        ("injections", r"inj|infus"),
        ("events", r"adverse|^ae|event"),
    ):
        named = [instrument for instrument in instruments if re.search(pattern, instrument.casefold())]
        if named and name in document:
            document[name] = {"instrument": named[0]} | document[name]
    return document | ({"wide": wide} if wide else {}) | _codes(source, found)


def as_yaml(document: dict[str, Any], source: Source) -> str:
    """Write a mapping document as YAML, with the columns it does not name in a comment at its top."""
    import yaml

    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=200)
    rest = [
        column for column in source.table.columns if not re.search(rf"[:{{ ]{re.escape(column)}['\"]?[\n,}}]", text)
    ]
    lines = [
        f"# Which column of {source.file} holds what. Correct it, then give it with --mapping.",
        f"# Not named, and left out: {', '.join(rest) or 'none'}",
    ]
    return "\n".join(line.replace("\n", " ") for line in lines) + "\n" + text


def _plain(column: str) -> str:
    return re.sub(r"[^a-z0-9]", "", column.casefold().replace("%", "percent"))


def _first(plain: dict[str, str], names: str) -> str | None:
    return next((plain[name] for name in names.split() if name in plain), None)


def _section(source: Source, plain: dict[str, str], names: dict[str, str]) -> dict[str, str]:
    section = {}
    for key, known in names.items():
        if column := _first(plain, known):
            timed = key in ("time", "onset", "end", "planned")
            clock = _clock(column, source.table[column]) if timed else ""
            section[("" if key == "time" else f"{key}_") + clock if timed else key] = column
    return section


def _clock(column: str, cells: pd.Series[str]) -> str:
    given = cells[filled(cells)]
    if "date" in column.casefold() or given.str.fullmatch(_DATE).any():
        return "date"
    return "day" if "day" in column.casefold() else "month"


def _items(plain: dict[str, str]) -> dict[str, str]:
    for names in (ITEMS, [f"alsfrs{i}" for i in range(1, 13)], _ITEM_NAMES):
        found = [plain.get(_plain(name)) for name in names]
        if all(found):
            return {item: str(column) for item, column in zip(ITEMS, found, strict=True)}
    return {}


def _share_time(found: dict[str, dict[str, str]]) -> None:
    """Let injections and events stand at the time of the row where they have no time of their own."""
    time = {key: found["visits"][key] for key in ("date", "month", "day") if key in found["visits"]}
    for name, mark in (("injections", "injection"), ("events", "term")):
        section = found[name]
        if not {"date", "month", "day"} & set(section):
            found[name] = time | section if mark in section and time else {}
        if name == "events" and not {"term", "serious"} <= set(section):
            found[name] = {}
    if set(found["visits"]) <= {"date", "month", "day"}:
        found["visits"] = {}


def _wide(source: Source, plain: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    visits, injections = [], []
    for name, column in reversed(plain.items()):
        if match := _WIDE_VISIT.fullmatch(name):
            clock = "day" if match[2].startswith("d") else "month"
            visits.append({"column": column, "outcome": match[1], clock: match[3]})
        elif _WIDE_INJECTION.fullmatch(name):
            injections.append({"column": column, "holds": _clock(column, source.table[column])})
    return ({"visits": visits} if visits else {}) | ({"injections": injections} if injections else {})


def _codes(source: Source, found: dict[str, dict[str, str]]) -> dict[str, Any]:
    if "serious" not in found["events"]:
        return {}
    cells = source.table[found["events"]["serious"]]
    codes = {cell: _YES_NO[cell.casefold()] for cell in sorted({*cells[filled(cells)]}) if cell.casefold() in _YES_NO}
    codes = {cell: word for cell, word in codes.items() if cell != word}
    return {"codes": {"serious": codes}} if codes else {}
