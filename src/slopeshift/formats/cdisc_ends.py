"""How a patient's follow-up ended, from every dataset that says something of it: one end a patient, and contradictions.

A death is never lost: it is kept at a time that is not known where no source has a full date. The end of a treatment
is not the end of a patient.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.formats.cdisc import column_of
from slopeshift.formats.reading import filled
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slopeshift.formats.cdisc import Desk

DEATH = "death"
COLUMNS = [
    *(
        "file",
        "row",
        "patient",
        "time",
        "earliest",
        "latest",
        "untimed",
        "said",
        "time_column",
        "reason",
        "source",
        "own",
    ),
]
"""Of a claim: where it stands, when (NaN: not known; bounds), why not, as written and in which column, reason, by whom,
on a row of DM."""

_TREATMENT = re.compile(
    r"treatment|\bdrug|medicat|dosing|\bproduct|therap|injection|infusion|intervention|\bIMP\b", re.IGNORECASE
)
_STUDY = re.compile(r"participation|\bend of (?:study|trial)\s*$|(?:study|trial) completion", re.IGNORECASE)
_KNOWN_STUDY = re.compile(r"participation|study|trial|follow|completion|disposition", re.IGNORECASE)
_DIED = re.compile(r"\b(?:death|died|dead|deceased|fatal)\b", re.IGNORECASE)
_BEFORE_THE_LAST = re.compile(r"screen|run.?in|lead.?in|baseline|treatment", re.IGNORECASE)
_WHOLE = ("", "DISPOSITION EVENT")


def claims(
    desk: Desk, records: pd.DataFrame, times: tuple[str, str], source: str, *, own: bool = False
) -> pd.DataFrame:
    """Return what records with a `reason` claim of their patients' ends, at times of these columns."""
    return desk.day(records, *times).assign(source=source, own=own)[COLUMNS]


def decoded(desk: Desk, cells: pd.Series[str], codes: Mapping[str, str]) -> pd.Series[str]:
    """Translate codes of ends, in any case of letters; empty where one is not in the code map."""
    plain = {code.casefold(): reason for code, reason in codes.items()}
    return cells.str.casefold().map(plain).fillna("").astype("str")


def flags(desk: Desk, records: pd.DataFrame, column: str) -> tuple[pd.Series[bool], pd.Series[bool]]:
    """Say which cells of a flag are yes and which are no, in any case of letters; another word is a problem."""
    cells = column_of(records, column)
    plain = cells.str.casefold()
    yes, no = plain.isin(YES), plain.isin(NO)
    for _, record in records[filled(cells) & ~yes & ~no].iterrows():
        where = (record["file"], int(record["row"]), column)
        desk.problems.append(Problem(*where, repr(record[column]), "write Y, N, or nothing", record["patient"]))
    return yes, no


def fatal(desk: Desk, events: pd.DataFrame) -> pd.Series[bool]:
    """Say which adverse events a patient died of: an outcome FATAL, AESDTH, or grade 5 of CTCAE, which is death."""
    ended = (column_of(events, "AEOUT").str.upper() == "FATAL") | flags(desk, events, "AESDTH")[0]
    return ended | column_of(events, "AETOXGR").str.fullmatch(r"(?:GRADE )?5(?:\.0*)?", case=False)


YES, NO = ("y", "yes", "1", "true"), ("n", "no", "0", "false")


def deaths_by_status(desk: Desk, records: pd.DataFrame) -> pd.DataFrame:
    """Return the deaths that a survival status (SS, SURVSTAT) claims, up to the day on which it was recorded."""
    said = column_of(records, "SSSTRESC").where(filled(column_of(records, "SSSTRESC")), column_of(records, "SSORRES"))
    status = column_of(records, "SSTESTCD") == "SURVSTAT"
    died = records[status & said.str.contains(_DIED)]
    desk.leave_out(records.drop(index=died.index), "no death: SSTESTCD SURVSTAT is not DEAD")
    found = claims(desk, died.assign(reason=DEATH), ("SSDTC", "SSDY"), "SS")
    why = found["untimed"].where(found["time"].isna(), "SSDTC is the day on which the status was recorded")
    unknown = float("nan")
    return found.assign(time=unknown, earliest=unknown, latest=found["latest"].fillna(found["time"]), untimed=why)


def deaths_of_subjects(
    desk: Desk, subjects: pd.DataFrame, dates: tuple[str, ...], times: tuple[str, str]
) -> pd.DataFrame:
    """Return the deaths that DM or ADSL claims, by DTHFL or by any of the columns of `dates`."""
    flag = column_of(subjects, "DTHFL")
    yes, no = flags(desk, subjects, "DTHFL")
    dated = pd.concat([filled(column_of(subjects, column)) for column in dates], axis=1).any(axis=1)
    for _, record in subjects[dated & no].iterrows():
        found = f"{flag[record.name]}, beside a date of death: taken as a death"
        desk.note(record, "DTHFL", found, "correct one of the two")
    died = subjects[yes | dated]
    return claims(desk, died.assign(reason=DEATH), times, "DTHFL", own=True)


def _said_of(records: pd.DataFrame, about: pd.Series[str]) -> pd.Series[str]:
    """Say by which category a record of DS is of what it is."""
    return ("DSSCAT " + about).where(filled(about), "DSCAT " + column_of(records, "DSCAT"))


def deaths_of_events(desk: Desk, events: pd.DataFrame, times: tuple[str, str]) -> pd.DataFrame:
    """Return the deaths that adverse events claim, at the end of the event."""
    return claims(desk, events[fatal(desk, events)].assign(reason=DEATH), times, "a fatal adverse event", own=True)


def dispositions(
    desk: Desk, records: pd.DataFrame, codes: Mapping[str, str], scopes: Mapping[str, str], seen: pd.Series[float]
) -> pd.DataFrame:
    """Return the records of DS that end a patient's follow-up, with their `reason`; the others are left out.

    `scopes` says of a DSSCAT whether it is of the study or of a treatment; a death ends both. `seen` is the day of the
    last score or injection, by patient: the end of an epoch before it is not that of the patient.
    """
    code, about = column_of(records, "DSDECOD"), column_of(records, "DSSCAT")
    code = code.where(filled(code), column_of(records, "DSTERM"))
    records = records.assign(reason=decoded(desk, code, codes))
    scope = about.map(scopes)
    words = about + " " + column_of(records, "DSCAT")
    by_name = words.str.contains(_TREATMENT) & ~words.str.contains(_STUDY)
    of_treatment = (scope == "treatment") | (scope.isna() & by_name)
    milestone = ~column_of(records, "DSCAT").str.upper().isin(_WHOLE) & scope.isna() & (about == "")
    milestone &= column_of(records, "DSCAT").str.upper().isin(["PROTOCOL MILESTONE", "OTHER EVENT"])
    epoch = column_of(records, "EPOCH").str.contains(_BEFORE_THE_LAST)
    at = desk.day(records, "DSSTDTC", "DSSTDY")["latest"]
    gone_on = at < records["patient"].map(seen).astype("float64")
    of_epoch = (about == "") & epoch & ((records["reason"] == "completed") | gone_on)
    _refuse_unknown(desk, records, code, ~of_treatment & ~milestone)
    _refuse_unclear(desk, records, scope.isna() & ~of_treatment & ~milestone)
    _note_deaths_in_words(desk, records)
    other = pd.Series("", index=records.index, dtype="str")
    for wrong, why in (
        (records["reason"] == "", "DSDECOD is no end in the code map: " + code),
        (of_treatment, "the end of a treatment, not of the patient: " + _said_of(records, about)),
        (milestone, "a milestone, not an end"),
        (of_epoch, "the end of an epoch, not of the patient: EPOCH " + column_of(records, "EPOCH")),
    ):
        wrong &= (other == "") & (records["reason"] != DEATH)
        other = other.mask(wrong, why)
    return desk.without(records, other != "", other)


def _refuse_unclear(desk: Desk, records: pd.DataFrame, open_: pd.Series[bool]) -> None:
    """Refuse an end of which it is not known whether it is of the study or of a treatment."""
    about = column_of(records, "DSSCAT")
    unclear = open_ & filled(about) & ~about.str.contains(_KNOWN_STUDY)
    unclear &= ~records["reason"].isin(["", DEATH])
    for _, record in records[unclear].drop_duplicates("DSSCAT").iterrows():
        remedy = f"say which it ends under dispositions: in a code map: `{record['DSSCAT']}: study` or `treatment`"
        where = (record["file"], int(record["row"]), "DSSCAT")
        desk.problems.append(Problem(*where, repr(record["DSSCAT"]), remedy, record["patient"]))


def _note_deaths_in_words(desk: Desk, records: pd.DataFrame) -> None:
    """Note a record whose term speaks of a death, and whose code does not."""
    died = column_of(records, "DSTERM").str.contains(_DIED)
    for _, record in records[died & (records["reason"] != DEATH)].iterrows():
        found = f"{record['DSTERM']!r}, beside DSDECOD {column_of(records, 'DSDECOD')[record.name]!r}"
        desk.note(record, "DSTERM", found, "correct DSDECOD to DEATH if the patient died")


def _refuse_unknown(desk: Desk, records: pd.DataFrame, code: pd.Series[str], of_study: pd.Series[bool]) -> None:
    """Refuse a code that may be an end, and would be lost: one that speaks of a death, or of a disposition."""
    unknown = (records["reason"] == "") & filled(code)
    disposed = of_study & (column_of(records, "DSCAT").str.upper() == "DISPOSITION EVENT")
    looks = code.str.contains(_DIED) | disposed
    for _, record in records.assign(code=code)[unknown & looks].drop_duplicates("code").iterrows():
        remedy = f"add it under ends: in a code map: {record['code']}: completed, death, withdrawal, lost or ongoing"
        column = "DSDECOD" if filled(column_of(records, "DSDECOD"))[record.name] else "DSTERM"
        where = (record["file"], int(record["row"]), column)
        desk.problems.append(Problem(*where, repr(record["code"]), remedy, record["patient"]))


def one_end(desk: Desk, found: list[pd.DataFrame]) -> pd.DataFrame:
    """Return one end a patient: a death where any source claims one, otherwise the latest; note contradictions.

    Earlier sources go before later ones of the same kind; one with a full date goes before one without.
    """
    every = pd.concat(found, ignore_index=True)
    every["order"] = (every["reason"] != DEATH).astype(int)
    every["undated"] = every["time"].isna().astype(int)
    ordered = every.sort_values(["order", "undated"], kind="stable")
    alive = ordered["reason"] != DEATH
    latest = ordered[alive].sort_values(["undated", "time"], ascending=[True, False], kind="stable")
    ordered = pd.concat([ordered[~alive], latest])
    chosen = ~ordered.duplicated("patient")
    for _, of_patient in ordered[ordered.duplicated("patient", keep=False)].groupby("patient", sort=False):
        _note_contradictions(desk, of_patient)
    desk.use(ordered[chosen & ~ordered["own"]], "patient")
    desk.leave_out(ordered[~chosen & ~ordered["own"]], "another end of the patient is taken: death, or the latest")
    _say_undated(desk, ordered[ordered["time"].isna() & (ordered["reason"] != "ongoing")])
    return _bounded(ordered, ordered[chosen])


def _say_undated(desk: Desk, claimed: pd.DataFrame) -> None:
    what = claimed["reason"].map(lambda reason: "a death" if reason == DEATH else "an end")
    desk.leave_out(claimed, "the time of " + what + ", because of: " + claimed["untimed"])


def _bounded(every: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Give an end without a time the bounds that any claim of the same reason has."""
    latest = every.groupby(["patient", "reason"])["latest"].min()
    keys = pd.MultiIndex.from_frame(chosen[["patient", "reason"]])
    limit = pd.Series(latest.reindex(keys).to_numpy(), index=chosen.index)
    wanted = ["file", "row", "patient", "time", "time_column", "reason", "limit"]
    return chosen.assign(limit=chosen["time"].fillna(limit))[wanted]


def _note_contradictions(desk: Desk, claimed: pd.DataFrame) -> None:
    """Note where the claims of one patient cannot all be right, or are of two kinds."""
    deaths = claimed[claimed["reason"] == DEATH]
    same_time = deaths["earliest"].max() <= deaths["latest"].min() or deaths[["earliest", "latest"]].isna().all(
        axis=None
    )
    if claimed["reason"].nunique() < 2 and same_time:
        return
    taken = claimed.iloc[0]
    said = "; ".join(f"{file}: {text}" for file, text in dict.fromkeys(_worded(claimed)))
    when = "" if pd.notna(taken["time"]) else ", at a time that is not known"
    desk.note(taken, None, f"{said}: {taken['reason']} is taken{when}", "check which is right")


def _worded(claimed: pd.DataFrame) -> Iterator[tuple[str, str]]:
    for _, claim in claimed.iterrows():
        yield claim["file"], f"{claim['reason']}, {claim['said'] or 'no date'}"
