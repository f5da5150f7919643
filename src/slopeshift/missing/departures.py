"""Who left a trial, when and why: counted by cycle, and listed with what was planned for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.design.visits import visits_of

if TYPE_CHECKING:
    from slopeshift.design.visits import Visits
    from slopeshift.trial import Trial

LEFT = ("death", "withdrawal", "lost")
"""Reasons for which a patient's follow-up ended before it was planned to."""

UNKNOWN = "not recorded"
REASONS = ("completed", "ongoing", *LEFT, UNKNOWN)


def endings(trial: Trial) -> pd.DataFrame:
    """List the patients of a trial with the last injection they had and how their follow-up ended.

    Index: patient. Columns: injections (number), last_injection (month; NaN for none), reason (one of REASONS),
    end (month; NaN where the tables do not give it).
    """
    patients = trial.patients.set_index("patient")
    given = trial.injections.groupby("patient")
    number = given["injection"].max().reindex(patients.index, fill_value=0).astype(int)
    reason = patients["end_reason"] if "end_reason" in patients else pd.Series(np.nan, patients.index)
    end = patients["end_month"] if "end_month" in patients else pd.Series(np.nan, patients.index)
    return pd.DataFrame(
        {
            "injections": number,
            "last_injection": given["month"].max().reindex(patients.index),
            "reason": reason.astype(object).where(reason.notna(), UNKNOWN).astype(str),
            "end": end.astype(float),
        }
    )


def departures(trial: Trial) -> pd.DataFrame:
    """Count by outcome and cycle who was there, what was recorded, and why patients did not go on: `missing`.

    A row per outcome and stage: cycle 0 is the lead-in, cycle k follows injection k. Columns: outcome, cycle,
    n_at_risk (patients who reached it), n_with_values, n_values, n_went_on (had the next injection), and for those who
    did not, how their follow-up ended: n_completed, n_ongoing, n_death, n_withdrawal, n_lost, n_not_recorded.
    """
    ended = endings(trial)
    rows = [row for name in trial.outcomes for row in _by_cycle(visits_of(trial, name), ended)]
    columns = ["outcome", "cycle", "n_at_risk", "n_with_values", "n_values", "n_went_on", *map(_count, REASONS)]
    return pd.DataFrame(rows, columns=columns)


def _by_cycle(visits: Visits, ended: pd.DataFrame) -> list[list[object]]:
    number, reason = ended["injections"].to_numpy(), ended["reason"].to_numpy()
    counts = np.column_stack([visits.visits_in_lead_in, visits.visits_in_cycle])
    rows = []
    for cycle in range(counts.shape[1]):
        here, stopped = number >= cycle, number == cycle
        values = counts[here, cycle]
        why = [int((stopped & (reason == each)).sum()) for each in REASONS]
        seen = [int(here.sum()), int((values > 0).sum()), int(values.sum()), int((number > cycle).sum())]
        rows.append([visits.outcome.name, cycle, *seen, *why])
    return rows


def _count(reason: str) -> str:
    return "n_" + reason.replace(" ", "_")


def planned_follow_up(trial: Trial) -> float:
    """Take how many months patients were to be followed after their last injection: what completers usually were.

    The median over injected patients who completed; where nobody did, the longest of all that are recorded. NaN where
    no injected patient's end is recorded.
    """
    ended = endings(trial)
    months = (ended["end"] - ended["last_injection"]).dropna()
    completed = months[ended.loc[months.index, "reason"] == "completed"]
    return float(completed.median() if len(completed) else months.max())


def left_early(trial: Trial) -> pd.DataFrame:
    """List the injected patients who left before their planned end: index patient; columns reason, end, planned.

    Planned is the last injection and `planned_follow_up` after it. Months are from the first injection. Who left at a
    time that is not known is taken to have left at the last visit.
    """
    ended = endings(trial)
    last = trial.visits.groupby("patient")["month"].max().reindex(ended.index)
    ended = ended.assign(end=ended["end"].fillna(last))
    planned = ended["last_injection"] + planned_follow_up(trial)
    early = ended["reason"].isin(LEFT) & (ended["injections"] > 0) & (ended["end"] < planned)
    return ended.assign(planned=planned).loc[early, ["reason", "end", "planned"]]
