"""The flow of patients: how many came how far, how many values each stage holds, and why others did not go on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slopeshift.design.visits import Visits, visits_of
from slopeshift.report.analysis import Report
from slopeshift.report.figures import data as data_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.words.numbers import Table, listed, number, pieces, share
from slopeshift.report.words.people import injections_given, short_lead_in
from slopeshift.trial import Trial
from slopeshift.trial.arms import ARM, PATIENT


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


def by_arm(trial: Trial) -> Table | None:
    """Tell of each arm how many were allocated, came how far, and how follow-up ended; None where none are compared."""
    if trial.arms is None or trial.arms.unit != PATIENT:
        return None
    control = trial.arms.control
    given, arm = injections_given(trial).to_numpy(), trial.patients[ARM]
    most = int(given.max(initial=0))
    ended = trial.patients.get("end_reason", pd.Series("", index=trial.patients.index)).fillna("")
    how = [reason for reason in _ENDED if (ended == reason).any()]
    rows = [
        [
            f"{name}{' (control)' if name == control else ''}",
            str((arm == name).sum()),
            *(str(((arm == name) & (given >= k)).sum()) for k in range(1, most + 1)),
            *(str(((arm == name) & (ended == reason)).sum()) for reason in how),
        ]
        for name in sorted(arm.unique(), key=lambda each: each == control)
    ]
    heads = [
        "Arm",
        "Allocated",
        *(f"Injection {k}" for k in range(1, most + 1)),
        *(_ENDED[r].capitalize() for r in how),
    ]
    title = "Patients by arm" + (", as randomised" if trial.arms.randomised else "; not randomised")
    return Table(title, "l" + "r" * (len(heads) - 1), heads, rows)


def baseline(found: pd.DataFrame, control: str) -> Table | None:
    """Print the patients of every arm at baseline; None where no arms are compared. `found` is `classical.baseline`."""
    if found.empty:
        return None
    arms = list(dict.fromkeys(found["arm"]))
    rows = [
        [_characteristic(of_arms.iloc[0]), *(_described(row) for row in of_arms.itertuples())]
        for _, of_arms in found.groupby(["quantity", "level"], sort=False)
    ]
    size = found.groupby("arm")["n_patients"].first()
    heads = [f"{arm}{' (control)' if arm == control else ''}, n = {size[arm]}" for arm in arms]
    return Table("Patients at baseline, by arm", "l" + "r" * len(arms), ["Characteristic", *heads], rows)


def _characteristic(row: pd.Series) -> str:
    if row["level"]:
        return f"{row['quantity']}: {row['level']}"
    return f"{row['quantity']}, {row['unit']}" if row["unit"] else str(row["quantity"])


def _described(row: Any) -> str:
    """Write a level's share, or mean (SD) and median (quartiles), and how many patients have no value."""
    unknown = row.n_patients - row.n_known
    missing = f"; {unknown} not known" if unknown else ""
    if not row.n_known:
        return "not known"
    if row.level:
        return f"{row.n} ({share(row.n / row.n_known)}){missing}"
    mean, *spread = (number(x, 1) for x in (row.mean, row.sd, row.median, row.lower_quartile, row.upper_quartile))
    return f"{mean} ({spread[0]}); {spread[1]} ({spread[2]} to {spread[3]}){missing}"


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


_ENDED = {"death": "died", "withdrawal": "withdrew", "lost": "lost", "completed": "completed", "ongoing": "ongoing"}


def drawn(trial: Trial) -> Picture:
    """Show the number of patients enrolled and at each injection, and what became of those who went no further."""
    rows = steps(trial)
    said = "; ".join(f"{name} {n}" + (f" ({ended})" if ended else "") for name, n, ended in rows)
    return picture(
        data_figures.bars(rows),
        "flow",
        "Patients who came so far; in words, how follow-up ended for those who went no further.",
        f"Flow of patients. {said}.",
    )


def steps(trial: Trial) -> list[tuple[str, int, str]]:
    """Count the patients who were enrolled, and had injection k; say how it ended for those who went no further."""
    given = injections_given(trial).to_numpy()
    rows = []
    for k in range(int(given.max()) + 1):
        last = trial.patients[given == k]
        ended = last["end_reason"].fillna("not recorded").value_counts() if "end_reason" in last else {}
        words = listed([f"{n} {_ENDED.get(str(reason), str(reason))}" for reason, n in dict(ended).items()])
        rows.append((f"Injection {k}" if k else "Enrolled", int((given >= k).sum()), words))
    return rows


def context(report: Report) -> dict[str, Any]:
    """Show how many patients came how far, and why follow-up ended."""
    primary = report.primary if report.treated else []
    return {
        "drawn": drawn(report.trial),
        "by_arm": pieces(arms) if (arms := by_arm(report.trial)) else [],
        "short": [(a.visits.outcome.label, listed(short_lead_in(a.visits))) for a in primary],
    }


def details(report: Report) -> dict[str, Any]:
    """Show who was compared, how many values each stage holds, and why follow-up ended."""
    arms, found = report.trial.arms, report.own["baseline"]
    at_baseline = baseline(found, arms.control) if arms is not None else None
    return {"stages": stages(report.trial), "stops": stops(report.trial), "at_baseline": at_baseline}
