"""The months from one injection to the next, as the covariate that a patient's response is regressed on.

A cycle is *closed* where the next injection was given: only then has it a length. A length that was planned before the
cycle began cannot have been chosen from how the patient then did; one that merely came about can. Hence planned lengths
are taken where they differ at all, and `source` says which were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

SAME = 0.25
"""Planned lengths within this many months of each other are one plan: calendar months and visit days differ so much."""

OVERALL = "overall"
"""What stands in the place of an injection's number where all informed cycles are taken together."""

PLANNED, ACTUAL = "planned", "actual"


def injection_rank(injection: str) -> float:
    """Order injections by number, the mean over them last: as text, 10 would come before 2."""
    return np.inf if injection == OVERALL else int(injection)


def cycle_lengths(trial: Trial) -> pd.DataFrame:
    """List the length of every closed cycle, a row each: patient, injection (the cycle k), months, source.

    `months` runs from injection k to k + 1: to the planned month of k + 1 (`source` is "planned") where every closed
    cycle has one and they vary, else to the actual month ("actual"). Empty where no patient had two injections.
    """
    table = _closed(trial)
    source = PLANNED if not _why_not_planned(table) else ACTUAL
    return table.assign(months=table[source], source=source)[["patient", "injection", "months", "source"]]


class Split(NamedTuple):
    """Intervals, in months from the mean, split into what differs within and between patients: (patient, injection)."""

    within: Floats
    between: Floats


def mean_interval(lengths: pd.DataFrame) -> float:
    """Average the intervals over the patients who have any, each by its own mean: NaN where nobody has."""
    return float(lengths.groupby("patient")["months"].mean().mean())


def split(trial: Trial, visits: Visits) -> Split:
    """Split the intervals into x_ik - xbar_i and xbar_i - xbar, with xbar the mean over patients of xbar_i.

    A cycle without a next injection stands at its patient's mean, a patient without any closed cycle at the trial's.
    Differences of less than a thousandth of a month, which only arithmetic makes, are none.
    """
    lengths = cycle_lengths(trial)
    months = np.full((len(visits.patients), len(visits.injections)), np.nan)
    row = pd.Index(visits.patients).get_indexer(lengths["patient"])
    months[row, lengths["injection"].to_numpy(dtype=int) - 1] = lengths["months"]
    own = lengths.groupby("patient")["months"].mean().reindex(visits.patients).to_numpy()[:, None]
    within = np.nan_to_num(np.round(months - own, 3))
    between = np.nan_to_num(np.round(own - mean_interval(lengths), 3)) * np.ones_like(within)
    return Split(within, between)


def seen_changes(trial: Trial, visits: Visits, window: float) -> pd.DataFrame:
    """Take what could be seen of the change of slope before the next injection, for every closed cycle that shows it.

    Columns patient, patient_index (in `visits`), injection, months, and seen: the least-squares slope of the values
    from the injection until `window` months after it, before the next one, less that of the values up to the first
    injection, in outcome units per month. A cycle with fewer than two values in either has no row.
    Equal intervals tell nothing: where they are all the same, no cycle has.
    """
    lengths = _unless_equal(cycle_lengths(trial))
    index = pd.Index(visits.patients).get_indexer(lengths["patient"])
    month = visits.injection_month[index, lengths["injection"].to_numpy(dtype=int) - 1]
    following = visits.injection_month[index, lengths["injection"].to_numpy(dtype=int)] if len(index) else month
    seen = [
        _slope(visits, i, start, min(start + window, end)) - _slope(visits, i, -np.inf, np.nextafter(0, 1))
        for i, start, end in zip(index, month, following, strict=True)
    ]
    table = lengths.assign(patient_index=index, seen=np.array(seen, dtype=float)).dropna(subset=["seen"])
    return table[["patient", "patient_index", "injection", "months", "seen"]].reset_index(drop=True)


def _unless_equal(lengths: pd.DataFrame) -> pd.DataFrame:
    return lengths if lengths["months"].max() > lengths["months"].min() else lengths[:0]


def _slope(visits: Visits, patient: int, start: float, end: float) -> float:
    """Fit a least-squares slope to a patient's values from `start` until before `end`: NaN for fewer than two."""
    mine = (visits.patient_index == patient) & (visits.month >= start) & (visits.month < end)
    if mine.sum() < 2:
        return np.nan
    away = visits.month[mine] - visits.month[mine].mean()
    return float(away @ visits.value[mine] / (away @ away))


def source_words(trial: Trial) -> str:
    """Say in a sentence which lengths are used and why it matters: empty where no cycle is closed."""
    table = _closed(trial)
    if table.empty:
        return ""
    reason = _why_not_planned(table)
    if reason:
        return (
            f"Intervals are the actual ones, because {reason}; how a patient is doing may have decided when the next "
            "injection was given, and then the response goes with the interval without being its effect."
        )
    return (
        "Intervals are the planned ones, fixed before the cycle began, so that how the patient then did cannot have "
        "decided them."
    )


def _closed(trial: Trial) -> pd.DataFrame:
    """Lay the closed cycles out: patient, injection, actual and planned length in months (NaN: no plan recorded)."""
    table = trial.injections.sort_values(["patient", "injection"], kind="stable")
    following = table.groupby("patient", sort=False).shift(-1)
    planned = following["planned_month"] if "planned_month" in table else float("nan")
    lengths = table.assign(actual=following["month"] - table["month"], planned=planned - table["month"])
    closed = lengths.dropna(subset=["actual"]).sort_index()
    return closed[["patient", "injection", ACTUAL, PLANNED]].reset_index(drop=True)


def _why_not_planned(closed: pd.DataFrame) -> str:
    """Say why the planned lengths cannot be used: empty where they can."""
    planned = closed[PLANNED]
    if planned.isna().all():
        return "no planned month is recorded"
    if planned.isna().any():
        return f"the planned month is missing for {planned.isna().sum()} of {len(planned)} closed cycles"
    if (planned <= 0).any():
        return "some injections were given after the next one was planned"
    if planned.max() - planned.min() <= SAME:
        return f"the same interval of {planned.mean():.1f} months was planned for everyone, which cannot inform a slope"
    return ""
