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
COLUMNS = ["file", "row", "patient", "time", "earliest", "latest", "untimed", "said", "reason", "source", "own"]
"""Of a claim: where it stands, when (NaN: not known; bounds), why not, as written, reason, by whom, on a row of DM."""

_TREATMENT = re.compile(
    r"treatment|\bdrug|medicat|dosing|\bproduct|therap|injection|infusion|intervention|\bIMP\b", re.IGNORECASE
)
_STUDY = re.compile(r"participation|\bend of (study|trial)\s*$|(study|trial) completion", re.IGNORECASE)
_DIED = re.compile(r"\b(death|died|dead|deceased|fatal)\b", re.IGNORECASE)
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


def deaths_of_subjects(
    desk: Desk, subjects: pd.DataFrame, dates: tuple[str, ...], times: tuple[str, str]
) -> pd.DataFrame:
    """Return the deaths that DM or ADSL claims, by DTHFL or by any of the columns of `dates`."""
    flag = column_of(subjects, "DTHFL")
    dated = pd.concat([filled(column_of(subjects, column)) for column in dates], axis=1).any(axis=1)
    for _, record in subjects[dated & (flag == "N")].iterrows():
        desk.note(record, "DTHFL", "N, beside a date of death: taken as a death", "correct one of the two")
    died = subjects[(flag == "Y") | dated]
    return claims(desk, died.assign(reason=DEATH), times, "DTHFL", own=True)


def deaths_of_events(desk: Desk, events: pd.DataFrame, times: tuple[str, str]) -> pd.DataFrame:
    """Return the deaths that adverse events claim: an outcome FATAL, or AESDTH; at the end of the event."""
    fatal = (column_of(events, "AEOUT").str.upper() == "FATAL") | (column_of(events, "AESDTH") == "Y")
    return claims(desk, events[fatal].assign(reason=DEATH), times, "a fatal adverse event", own=True)


def dispositions(
    desk: Desk, records: pd.DataFrame, codes: Mapping[str, str], scopes: Mapping[str, str]
) -> pd.DataFrame:
    """Return the records of DS that end a patient's follow-up, with their `reason`; the others are left out.

    `scopes` says of a DSSCAT whether it is of the study or of a treatment; a death ends both.
    """
    code, about = column_of(records, "DSDECOD"), column_of(records, "DSSCAT")
    records = records.assign(reason=decoded(desk, code, codes))
    scope = about.map(scopes)
    by_name = (about + " " + column_of(records, "DSCAT")).map(
        lambda text: bool(_TREATMENT.search(text)) and not _STUDY.search(text)
    )
    of_treatment = (scope == "treatment") | (scope.isna() & by_name)
    milestone = ~column_of(records, "DSCAT").str.upper().isin(_WHOLE) & scope.isna() & ~about.map(bool)
    milestone &= column_of(records, "DSCAT").str.upper().isin(["PROTOCOL MILESTONE", "OTHER EVENT"])
    epoch = column_of(records, "EPOCH").map(lambda text: _BEFORE_THE_LAST.search(text) is not None)
    of_epoch = (about == "") & epoch & (records["reason"] == "completed")
    _refuse_unknown(desk, records, code, ~of_treatment & ~milestone)
    other = pd.Series("", index=records.index, dtype="str")
    for wrong, why in (
        (records["reason"] == "", "DSDECOD is no end in the code map: " + code),
        (of_treatment, "the end of a treatment, not of the patient: DSSCAT " + about),
        (milestone, "a milestone, not an end"),
        (of_epoch, "the end of an epoch, not of the patient: EPOCH " + column_of(records, "EPOCH")),
    ):
        wrong &= (other == "") & (records["reason"] != DEATH)
        other = other.mask(wrong, why)
    return desk.without(records, other != "", other)


def _refuse_unknown(desk: Desk, records: pd.DataFrame, code: pd.Series[str], of_study: pd.Series[bool]) -> None:
    """Refuse a code that may be an end, and would be lost: one that speaks of a death, or of a disposition."""
    unknown = (records["reason"] == "") & filled(code)
    disposed = of_study & (column_of(records, "DSCAT").str.upper() == "DISPOSITION EVENT")
    looks = code.map(lambda text: _DIED.search(text) is not None) | disposed
    for _, record in records[unknown & looks].drop_duplicates("DSDECOD").iterrows():
        remedy = f"add it under ends: in a code map: {record['DSDECOD']}: completed, death, withdrawal, lost or ongoing"
        desk.problems.append(
            Problem(record["file"], int(record["row"]), "DSDECOD", repr(record["DSDECOD"]), remedy, record["patient"])
        )


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
    for _, of_patient in ordered.groupby("patient", sort=False):
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
    return chosen.assign(limit=chosen["time"].fillna(limit))[["file", "row", "patient", "time", "reason", "limit"]]


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
