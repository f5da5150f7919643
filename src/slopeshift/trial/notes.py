"""What a trial may say and what is worth a look all the same: notes, which no model reads and no import stops at.

Each takes the records of a trial that passed the door, and its outcomes, and yields problems in the same form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from slopeshift.trial.columns import Records
    from slopeshift.trial.roles import Outcome

    Outcomes = Mapping[str, Outcome]

LONG_BEFORE = 12.0
"""Months from an injection to the patient's first visit, from which a date may be of another year or calendar."""
TIMES_LONGER = 10.0
"""A follow-up so many times as long as the others' may be in another unit."""
SPARSE = 0.5
"""An outcome at less than this part of the visits of the most frequent one."""
WIDE_APART = 18.0
"""Months between a patient's visits, in the median, from which they may be days."""
FEWEST = 3
"""Values that are all the same, below which nobody wonders."""


def notes_of(records: Records, outcomes: Outcomes) -> list[Problem]:
    """List what is worth a look in a trial's records; `outcomes` are those with at least one value."""
    return [note for rule in _NOTES for note in rule(records, outcomes)]


def _times_unknown(records: Records, _: Outcomes) -> Iterator[Problem]:
    patients, events, clock = records.tables["patients"], records.tables["events"], records.clock
    end = f"end_{clock}"
    timeless = patients["end_reason"].notna() & patients[end].isna() & (patients["end_reason"] != "ongoing")
    for row, reason in patients.loc[timeless, "end_reason"].items():
        remedy = f"fill in {end} if it is known; it counts, as after the last visit"
        yield Problem("patients.csv", int(row), end, f"no time for the end {reason!r}", remedy)
    for row, term in events.loc[events[clock].isna(), "term"].items():
        remedy = f"fill in {clock} if it is known; it counts, after an injection only where its bounds leave no other"
        yield Problem("events.csv", int(row), clock, f"no time for the event {term!r}", remedy)


def _nobody_before_or_after(records: Records, outcomes: Outcomes) -> Iterator[Problem]:
    visits, first = records.tables["visits"], records.tables["injections"].groupby("patient")[records.clock].min()
    start = visits["patient"].map(first).astype("float64")
    for name, outcome in outcomes.items() if len(first) else ():
        treated = visits[name].notna() & start.notna()
        for side, seen, remedy in (
            (
                "before",
                visits[records.clock] <= start,
                "the slope before treatment, and so every change, is the prior's",
            ),
            ("after", visits[records.clock] > start, "nothing can be said of a change of this outcome"),
        ):
            if not (treated & seen).any():
                found = f"no value of {outcome.label} {side} a first injection"
                yield Problem("visits.csv", None, name, found, remedy)


def _injected_long_before_seen(records: Records, _: Outcomes) -> Iterator[Problem]:
    injections, clock = records.tables["injections"], records.clock
    seen = (
        records.tables["visits"]
        .assign(at=records.months(records.tables["visits"], clock))
        .groupby("patient")["at"]
        .min()
    )
    wait = injections["patient"].map(seen).astype("float64") - records.months(injections, clock)
    for row, months in wait[wait >= LONG_BEFORE].items():
        found = f"{months:.0f} months before the patient's first visit"
        yield Problem("injections.csv", int(row), clock, found, "check the year, and where day numbers count from")


def _all_the_same(records: Records, outcomes: Outcomes) -> Iterator[Problem]:
    for name, outcome in outcomes.items():
        values = records.tables["visits"][name].dropna()
        if len(values) >= FEWEST and values.min() == values.max():
            found = f"{outcome.label} is {values.iloc[0]:g} at all {len(values)} visits"
            yield Problem("visits.csv", None, name, found, "check that the column holds what was measured")


def _much_longer(records: Records, _: Outcomes) -> Iterator[Problem]:
    visits = records.tables["visits"].dropna(subset=["patient"])
    months = pd.DataFrame({"patient": visits["patient"], "at": records.months(visits, records.clock)})
    at = months.groupby("patient")["at"]
    spans = (at.max() - at.min()).sort_values()
    usual = spans.iloc[:-1].median()  # of the others: one site may be wrong, and most are right
    for patient, span in spans[(spans > TIMES_LONGER * usual) & (usual > 0)].items():
        row = visits.index[visits["patient"] == patient][0]
        found = f"followed for {span:.0f} months, others usually for {usual:.1f}"
        remedy = "check the unit and the years of this patient's visits"
        yield Problem("visits.csv", int(row), records.clock, found, remedy)


def _wide_apart(records: Records, _: Outcomes) -> Iterator[Problem]:
    visits = records.tables["visits"].sort_values(["patient", records.clock])
    gaps = records.months(visits, records.clock).groupby(visits["patient"]).diff()
    if gaps.count() >= FEWEST and gaps.median() >= WIDE_APART:
        found = f"visits usually {gaps.median():.0f} months apart"
        yield Problem("visits.csv", None, records.clock, found, "check that these are months, not days or weeks")


def _at_fewer_visits(records: Records, outcomes: Outcomes) -> Iterator[Problem]:
    counts = {name: int(records.tables["visits"][name].count()) for name in outcomes}
    for name, count in counts.items():
        if count < SPARSE * max(counts.values()):
            found = f"{outcomes[name].label} at {count} visits, others at {max(counts.values())}"
            yield Problem("visits.csv", None, name, found, "check that nothing was left out; its answer will be wider")


_NOTES = (
    _times_unknown,
    _nobody_before_or_after,
    _injected_long_before_seen,
    _all_the_same,
    _much_longer,
    _wide_apart,
    _at_fewer_visits,
)
