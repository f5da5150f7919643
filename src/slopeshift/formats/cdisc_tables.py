"""The tables of a trial made of CDISC records: visits, injections, events and patients."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats.cdisc import Desk, column_of
from slopeshift.formats.cdisc_ends import fatal, flags
from slopeshift.formats.conflicts import NO_RECORDS, RECORD, in_range, once_a_time
from slopeshift.formats.reading import as_text, filled, stacked
from slopeshift.trial.columns import HIGHEST_ITEM, ITEMS, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slopeshift.formats.source import Source

LIMITS = {"alsfrsr": (0, 48, True), "fvc": (0, 200, False)} | dict.fromkeys(ITEMS, (0, HIGHEST_ITEM, True))
ADD = "add"
"""Of the key `same_day` of a code map: doses of one day add up."""
_PER_CENT = re.compile(r"%|per ?cent|pct", re.IGNORECASE)
_LITRES = re.compile(r"\((?:m?l|lit(?:er|re)s?)\)", re.IGNORECASE)
_FLAG = re.compile(r"ANL\d\dFL")
_SERIOUS = ("AESDTH", "AESLIFE", "AESHOSP", "AESDISAB", "AESCONG", "AESMIE")
NO_SCORES = NO_RECORDS.assign(column=pd.Series(dtype="str"))[[*RECORD, "column", "value"]]


def visits_of(desk: Desk, scores: pd.DataFrame, ends: pd.Series[float]) -> pd.DataFrame:
    """Make visits of scores (file, row, patient, time, column, value), one a patient and day."""
    kept = []
    for column, records in desk.before_end(scores, ends, "end").groupby("column", sort=False):
        low, high, whole = LIMITS[str(column)]
        possible, out = in_range(records, "value", low, high, whole=whole, label=str(column))
        single, again = once_a_time(possible, "value", str(column))
        desk.fates += [*out, *again]
        kept.append(single)
    every = _whole_scales(desk, pd.concat([scores.iloc[:0], *kept]))
    desk.use(every, "visit")
    where = every.groupby(["patient", "time"], sort=True)[["file", "row"]].first()
    wide = every.set_index(["patient", "time", "column"])["value"].unstack().reindex(where.index)  # noqa: PD010
    texts = {column: wide[column].map(lambda value: f"{value:.10g}", na_action="ignore") for column in wide}
    visits = pd.DataFrame(texts, index=wide.index).reset_index()
    visits.insert(1, desk.clock, desk.time_text(visits["time"]))
    index = pd.MultiIndex.from_frame(where)
    return as_text(visits.drop(columns="time")).set_axis(index)


def refuse_other_units(desk: Desk, scores: pd.DataFrame, unit: str) -> None:
    """Refuse values of FVC whose unit, or parameter in words, is stated and is not per cent."""
    cells, words = column_of(scores, unit), column_of(scores, "PARAM")
    other = filled(cells) & ~cells.str.contains(_PER_CENT)
    litres = words.str.contains(_LITRES)
    for wrong, column in ((other, unit), (litres & ~other, "PARAM")):
        for _, record in scores[wrong & (scores["column"] == "fvc")].iterrows():
            where = (record["file"], int(record["row"]), column)
            remedy = "give FVC in % of predicted, or name its code under fvc: codes: in a code map"
            desk.problems.append(Problem(*where, repr(record[column]), remedy, record["patient"]))


def _whole_scales(desk: Desk, scores: pd.DataFrame) -> pd.DataFrame:
    """Leave out the items of a day that has not all twelve of them."""
    item = scores["column"].isin(ITEMS)
    counts = item.groupby([scores["patient"], scores["time"]]).transform("sum")
    part = item & (counts < len(ITEMS))
    return desk.without(scores, part, "an item of a day on which not all twelve items are there")


def codes_of(pairs: list[tuple[str, list[str]]]) -> dict[str, str]:
    """Return the column of visits that each code stands for."""
    return {code: column for column, codes in pairs for code in codes}


def patients_of(
    desk: Desk, records: pd.DataFrame, said: Mapping[str, pd.Series[Any]], ends: pd.DataFrame
) -> pd.DataFrame:
    """Make one row a patient of what was said of each, and its end; records give the order and the source rows."""
    last = ends.assign(text=desk.time_text(ends["time"])).set_index("patient")
    first = records.drop_duplicates("patient").set_index("patient", drop=False)
    patients = pd.DataFrame({"patient": first["patient"]})
    for end in ends[ends["patient"].isin(first.index)].itertuples():
        subject = first.loc[end.patient]
        key = (str(subject["file"]), int(subject["row"]), f"end_{desk.clock}")
        desk.places[key] = (str(end.file), int(end.row), str(end.time_column))
    for column, told in {**said, f"end_{desk.clock}": last["text"], "end_reason": last["reason"]}.items():
        patients[column] = as_text(patients["patient"].map(told))
    return patients.set_axis(pd.MultiIndex.from_frame(first[["file", "row"]]))


def recorded_choice(desk: Desk, records: pd.DataFrame, times: tuple[str, str] | None = None) -> pd.DataFrame:
    """Follow the sponsor where records of one day compete: keep those that an analysis flag (ANL01FL, ...) chooses."""
    timed = desk.day(records, *times) if times else records
    keys = [timed["patient"], timed["time"], *([timed["column"]] if "column" in timed else [])]
    for flag in sorted(column for column in records if _FLAG.fullmatch(column)):
        chosen = timed[flag] == "Y"
        passed = ~chosen & chosen.groupby(keys).transform("any")
        timed = desk.without(timed, passed, f"another record of the same day is chosen by {flag}")
        keys = [key[timed.index] for key in keys]
    return records.loc[timed.index]


NO_CELLS = "a dose of 0: a placebo, which is no injection of cells in a trial of one arm"


def _added_up(injections: pd.DataFrame, clock: str) -> pd.DataFrame:
    """Add up a patient's doses of one time; the dose is unknown where one of them is."""
    keys = ["patient", clock]
    doses = injections.groupby(keys)["dose"].transform(lambda doses: doses.sum(skipna=False))
    routes = injections.groupby(keys)["route"].transform(lambda routes: ", ".join(dict.fromkeys(routes)))
    return injections.assign(dose=doses, route=routes)[~injections.duplicated(keys)]


SHAM = re.compile(r"placebo|sham|vehicle", re.IGNORECASE)
"""What a treatment is called that is injected for comparison: an injection of its own in a trial of several arms."""


UNASSIGNED = ("screen failure", "not assigned", "not treated", "unplanned treatment")
UNASSIGNED_CODES = ("SCRNFAIL", "NOTASSGN", "NOTTRT", "UNPLAN")
"""What is written in place of an arm where a subject has none: as text, and as ARMCD."""


def arm_of(desk: Desk, subjects: pd.DataFrame, *pairs: tuple[str, str]) -> pd.Series[str]:
    """Take the arm of subjects as planned, from the first of these pairs (planned, actual) that is filled.

    Empty for who was not assigned to any. Where a patient was treated in another arm, that is noted; one who is in two
    arms is a problem.
    """
    planned, actual = next((p for p in pairs if any(filled(column_of(subjects, c)).any() for c in p)), pairs[0])
    one, other = column_of(subjects, planned), column_of(subjects, actual)
    for _, record in subjects[filled(one) & filled(other) & (one != other)].iterrows():
        found = f"{actual} {record[actual]!r}, beside {planned} {record[planned]!r}: the patient counts as planned"
        desk.note(record, actual, found, "say in the protocol how such patients count")
    cells = one.where(filled(one), other)
    none = cells.str.casefold().isin(UNASSIGNED) | cells.isin(UNASSIGNED_CODES)
    none |= column_of(subjects, "ARMCD").isin(UNASSIGNED_CODES)
    cells = cells.mask(none, "")
    told = subjects[filled(cells)]
    for patient, rows in told[told.duplicated("patient", keep=False)].groupby("patient", sort=False):
        if len(arms := sorted(set(cells[rows.index]))) > 1:
            record, remedy = rows.iloc[0], "give every patient one arm"
            found = f"{' and '.join(map(repr, arms))} of one patient"
            desk.problems.append(Problem(record["file"], int(record["row"]), planned, found, remedy, str(patient)))
    return cells


def agents_of(treatment: pd.Series[str], dose: pd.Series[float]) -> pd.Series[str]:
    """Name what was injected: a dose of 0 is another agent than the same treatment at a dose.

    Where the treatment is not named, the dose decides; where that is not known either, the agent is empty.
    """
    named, active = filled(treatment), set(treatment[dose != 0])
    blank = (dose == 0) & (treatment.isin(active) | ~named)
    unnamed = pd.Series("", index=treatment.index, dtype="str").mask(dose > 0, "treatment")
    return treatment.where(named, unnamed).mask(blank, "placebo")


def _contradictions(desk: Desk, records: pd.DataFrame) -> None:
    """Report injections that are called a sham and have a dose of cells."""
    for _, record in records[records["agent"].str.contains(SHAM) & (records["dose"] > 0)].iterrows():
        found = f"{record['agent']!r} with a dose of {record['dose']:g} x 10^6 cells"
        remedy = "correct the treatment or its dose: a sham has none"
        desk.problems.append(Problem(record["file"], int(record["row"]), "dose", found, remedy, str(record["patient"])))


def _one_agent_a_day(desk: Desk, placed: pd.DataFrame, *, compared: bool) -> None:
    """Report several agents of one day, whose doses the code map asks to be added up."""
    for (patient, _), rows in placed.groupby(["patient", "time"]) if compared else ():
        if len(agents := sorted(set(rows["agent"]))) > 1:
            record, remedy = rows.iloc[0], "correct the dates or the treatments: a sham and cells do not add up"
            found = f"{' and '.join(map(repr, agents))} on one day"
            desk.problems.append(Problem(record["file"], int(record["row"]), "agent", found, remedy, str(patient)))


def injections_of(
    desk: Desk, records: pd.DataFrame, times: tuple[str, str], codes: Mapping[str, Any], *, compared: bool = False
) -> pd.DataFrame:
    """Make injections of records with a `dose` in 10^6 cells (NaN: unknown), a `route` and, if `compared`, an `agent`.

    Those of dose 0 are a placebo: an injection where arms are `compared`, and left out else. One without a time is a
    problem. Several of one day are added up where the code map says so.
    """
    dated, counted = times
    sham = records["dose"] == 0
    if compared:
        _contradictions(desk, records)
    given = records.assign(dose=records["dose"].mask(sham)) if compared else desk.without(records, sham, NO_CELLS)
    placed = desk.day(given, dated, counted)
    for _, record in placed[placed["time"].isna()].iterrows():
        column = dated if desk.clock == "date" else counted
        remedy = "complete it, or take the record out: an injection must not be lost"
        desk.problems.append(Problem(record["file"], int(record["row"]), column, str(record["untimed"]), remedy))
    desk.use(placed, "injection")
    if codes.get("same_day") == ADD:
        _one_agent_a_day(desk, placed, compared=compared)
        placed = _added_up(placed, "time")
    texts = placed["dose"].map(lambda value: f"{value:.10g}", na_action="ignore")
    table = pd.DataFrame({"patient": placed["patient"], desk.clock: desk.time_text(placed["time"])})
    if compared:
        table["agent"] = placed["agent"]
    return as_text(table.assign(dose=texts, route=placed["route"])).set_axis(
        pd.MultiIndex.from_frame(placed[["file", "row"]])
    )


def events_of(
    desk: Desk,
    sources: list[Source],
    times: tuple[str, str],
    others: Mapping[str, tuple[str, ...]],
    deaths: pd.Series[float],
) -> pd.DataFrame:
    """Make events of a dataset of adverse events; `others` names the columns, the first there, of grade and related.

    An event is kept whatever its date says: where no day is known, between the bounds that are.
    """
    if not sources:
        return stacked("events", desk.clock, [])
    records = desk.records(sources)
    term = column_of(records, "AEDECOD").where(filled(column_of(records, "AEDECOD")), column_of(records, "AETERM"))
    records = records.assign(serious=_seriousness(desk, records), term=term)
    records["term"] = records["term"].where(filled(term) | (records["serious"] != "yes"), "not stated")
    lacking = (records["serious"] == "") | ~filled(records["term"])
    whole = desk.without(records, lacking, "AESER is empty, or there is no AEDECOD and no AETERM")
    timed = _as_recorded(desk, desk.day(whole, *times))
    kept = desk.before_end(timed, deaths, "death")
    unknown = kept["time"].isna()
    desk.leave_out(kept[unknown], "the time of an event, because of: " + kept["untimed"][unknown])
    desk.use(kept, "event")
    table = pd.DataFrame({"patient": kept["patient"], desk.clock: desk.time_text(kept["time"])})
    table = table.assign(term=kept["term"], serious=kept["serious"])
    for bound in ("earliest", "latest"):
        table[f"{bound}_{desk.clock}"] = desk.time_text(kept[bound].where(unknown))
    for column, names in others.items():
        table[column] = column_of(kept, next((name for name in names if name in kept), names[0]))
    located = table.astype("str").set_axis(pd.MultiIndex.from_frame(kept[["file", "row"]]))
    return stacked("events", desk.clock, [located])


def _seriousness(desk: Desk, records: pd.DataFrame) -> pd.Series[str]:
    """Say whether events were serious, `yes`, `no` or nothing: by AESER, or by any of the criteria of seriousness."""
    yes, no = flags(desk, records, "AESER")
    said = pd.Series("", index=records.index, dtype="str").mask(yes, "yes").mask(no, "no")
    criteria = pd.concat([flags(desk, records, name)[0] for name in _SERIOUS], axis=1).any(axis=1)
    criteria |= fatal(desk, records)
    for _, record in records[criteria & (said != "yes")].iterrows():
        desk.note(record, "AESER", f"{column_of(records, 'AESER')[record.name]!r}, beside a criterion of seriousness: "
                  "taken as serious", "check which is right")  # fmt: skip
    return said.mask(criteria, "yes")


def _as_recorded(desk: Desk, timed: pd.DataFrame) -> pd.DataFrame:
    """Bound the time of an ADaM event without a day by the date as it was recorded, AESTDTC."""
    if desk.clock != "date" or "AESTDTC" not in timed:
        return timed
    recorded = desk.day(timed, "AESTDTC", "AESTDTC")
    bounds = {bound: timed[bound].fillna(recorded[bound]) for bound in ("earliest", "latest")}
    return timed.assign(time=timed["time"].fillna(recorded["time"]), **bounds)
