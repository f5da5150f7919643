"""What became of the patients of a trial: who was injected, seen and lost, as tables of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.answers.safety import ANY, BEFORE, events_by_patient
from slopeshift.design.cycles import OVERALL
from slopeshift.design.visits import visits_of
from slopeshift.report.wording import Table, number, share

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.trial import Trial

CONTROL_PATIENTS, CONTROL_MONTHS = 5, 3.0
"""A trial has a control group where so many patients without injection were followed for so many months."""


def injections_given(trial: Trial) -> pd.Series[int]:
    """Count the injections of every patient of a trial, in the trial's order of patients."""
    given = trial.injections.groupby("patient")["injection"].max()
    return given.reindex(trial.patients["patient"], fill_value=0).astype(int)


def controls(trial: Trial) -> int:
    """Count the patients without injection whose visits span CONTROL_MONTHS."""
    given = injections_given(trial)
    months = trial.visits.groupby("patient")["month"].agg(np.ptp)
    return int((months[months.index.isin(given.index[given == 0])] >= CONTROL_MONTHS).sum())


def has_control_group(trial: Trial) -> bool:
    """Say whether there is anyone to compare the injected patients with."""
    return controls(trial) >= CONTROL_PATIENTS


def stages(trial: Trial) -> Table:
    """Tell how many patients came how far, and how many values each stage holds."""
    given = injections_given(trial).to_numpy()
    rows: list[tuple[str, NDArray[np.bool_], list[int] | slice]] = [("Enrolled", given >= 0, slice(None))]
    if (given == 0).any():
        rows.append(("No injection", given == 0, [0]))
    if (given > 0).any():
        rows.append(("Lead-in", given > 0, [0]))
    rows += [(f"Cycle {k}", given >= k, [k]) for k in range(1, given.max(initial=0) + 1)]
    outcomes = [visits_of(trial, name) for name in trial.outcomes]
    months = _months(trial)
    columns = ["Stage", "Patients", "Person-months"]
    for visits in outcomes:
        label = visits.outcome.label
        columns += [f"Patients with {label}", f"{label} values", "Median per patient"]
    cells = [
        [
            name,
            str(who.sum()),
            f"{months[who][:, stage].sum():.0f}",
            *(cell for visits in outcomes for cell in _values(visits, who, stage)),
        ]
        for name, who, stage in rows
    ]
    return Table(
        "Patients and recorded values by stage (cycle k: after injection k)",
        "l" + "r" * (len(columns) - 1),
        columns,
        cells,
    )


def stops(trial: Trial) -> Table | None:
    """Tell why follow-up ended, by the number of injections received; None where the trial does not say."""
    if "end_reason" not in trial.patients:
        return None
    given = injections_given(trial).to_numpy()
    reason = trial.patients["end_reason"].fillna("not recorded").astype(str)
    reasons = sorted(reason.unique())
    rows = [
        [f"{k} received", str((given == k).sum()), *(str(((given == k) & (reason == r)).sum()) for r in reasons)]
        for k in np.unique(given)
    ]
    return Table(
        "Why follow-up ended, by injections received",
        "l" + "r" * (len(reasons) + 1),
        ["Injections", "Patients", *reasons],
        rows,
    )


def deaths(trial: Trial) -> int:
    """Count the deaths recorded as the end of follow-up."""
    return int((trial.patients["end_reason"] == "death").sum()) if "end_reason" in trial.patients else 0


def adverse_events(trial: Trial) -> Table | None:
    """Count events by term, relation to treatment and seriousness, most frequent first; None where there is none."""
    if trial.events.empty:
        return None
    related = trial.events["related"].fillna("") if "related" in trial.events else ""
    events = trial.events.assign(related=related)
    rows = []
    for (term, kind), found in events.groupby(["term", "related"]):
        serious = found[found["serious"].astype(bool)]
        figures = (len(found), found["patient"].nunique(), len(serious), serious["patient"].nunique())
        rows.append((str(term), str(kind) or "not said", figures))
    rows.sort(key=lambda row: (-row[2][0], row[0]))
    columns = ["Term", "Related", "Events", "Patients", "Serious events", "Patients with a serious event"]
    return Table("Events by term", "llrrrr", columns, [[term, kind, *map(str, f)] for term, kind, f in rows])


def risks(safety: pd.DataFrame) -> Table | None:
    """Print what the events say of the risk per patient; None where nothing of events is known.

    `safety` is `safety.safety_table`; events of every kind together, and the serious ones, by injection.
    """
    kinds = {"any": "Any event", "yes": "Serious event"}
    periods = {BEFORE: "before treatment", OVERALL: "from injection 1 on"}
    rows = [
        [
            kinds[row.serious],
            periods.get(row.injection, f"injection {row.injection}"),
            f"{row.n_with_event} of {row.n_patients}",
            str(row.n_events),
            f"{share(row.risk_mean)} ({share(row.risk_lower)} to {share(row.risk_upper)})",
            "" if row.upper_bound_of_none != row.upper_bound_of_none else f"at most {share(row.upper_bound_of_none)}",
        ]
        for row in safety[(safety["term"] == ANY) & (safety["related"] == ANY)].itertuples()
    ]
    heads = ["Kind", "Period", "Patients with one", "Events", "Risk per patient (95 % interval)", "None seen allows"]
    return Table("Risk that a patient has an event", "llrrrr", heads, rows) if rows else None


def events_of_patients(trial: Trial) -> Table | None:
    """Count the events of every patient; None where none is recorded."""
    if trial.events.empty:
        return None
    rows = [[str(cell) for cell in row] for row in events_by_patient(trial).itertuples(index=False)]
    heads = ["Patient", "Injections", "Events", "Serious", "Events from injection 1 on", "Serious from injection 1 on"]
    return Table("Events by patient", "lrrrrr", heads, rows)


def short_lead_in(visits: Visits) -> list[str]:
    """Name the injected patients with fewer than two values up to the first injection."""
    injected = ~np.isnan(visits.injection_month).all(axis=1)
    return [p for p, n, was in zip(visits.patients, visits.visits_in_lead_in, injected, strict=True) if was and n < 2]


def _months(trial: Trial) -> NDArray[np.float64]:
    """Count the months from first to last visit that each patient spent before injection 1 and in every cycle.

    Returns (patient, stage), stage 0 the lead-in, or the whole follow-up of a patient without injection.
    """
    most = int(injections_given(trial).max())
    given = trial.injections.sort_values("injection").groupby("patient")["month"].apply(np.asarray)
    spans = trial.visits.groupby("patient")["month"].agg(["min", "max"])
    out = np.zeros((len(trial.patients), most + 1))
    for i, patient in enumerate(trial.patients["patient"]):
        if patient in spans.index:
            first, last = spans.loc[patient]
            starts = given.get(patient, np.empty(0))
            edges = np.clip([first, *starts, last], first, last)
            out[i, : len(edges) - 1] = np.maximum(np.diff(edges), 0)
    return out


def _values(visits: Visits, who: NDArray[np.bool_], stage: list[int] | slice) -> list[str]:
    """Write how many of the patients `who` have values in a stage, how many values, and the median per patient."""
    by_stage = np.column_stack([visits.visits_in_lead_in, visits.visits_in_cycle])
    n = by_stage[who][:, stage].sum(axis=1)
    return [str((n > 0).sum()), str(n.sum()), number(float(np.median(n)), 1) if len(n) else "–"]
