"""What is checked of a trial's tables, and what is found in them: refused at the door, or taken in and told here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from slopeshift.design.visits import Visits, visits_of
from slopeshift.report.analysis import NEAR_END_SHARE, Report
from slopeshift.report.words.numbers import Table, counted, listed, number, share
from slopeshift.trial import Trial

OLD_SCALE_TOP = 40.0
"""Largest total of the ALSFRS before its revision; the ALSFRS-R goes to 48."""


def table(trial: Trial) -> Table:
    """Print every check, what it asks of the tables, and what was found."""
    rows = [*_refused(trial), *(row for name in trial.outcomes for row in _told(trial, name))]
    columns = ["Check", "What is asked", "Found"]
    return Table("Checks of the data", "lll", columns, rows)


def _refused(trial: Trial) -> Iterator[list[str]]:
    """What the door refuses: of a trial that came in, every one of these holds."""
    passed = "none: a trial with one is refused"
    for outcome in trial.outcomes.values():
        low = "no lower end" if outcome.minimum is None else f"{outcome.minimum:g}"
        high = "no upper end" if outcome.maximum is None else f"{outcome.maximum:g}"
        values = trial.visits[outcome.name].dropna()
        yield [
            f"Range of {outcome.label}",
            f"{low} to {high}{', whole numbers' if outcome.integer else ''}",
            f"none beyond it; recorded {number(values.min(), 0)} to {number(values.max(), 0)}",
        ]
    if "alsfrsr" in trial.outcomes:
        yield ["Items and total of ALSFRS-R", "where both are given, items sum to the total", "no contradiction"]
    yield ["Visits twice at one time", "one visit a patient and time", passed]
    yield ["Values after death or the end", "none", passed]
    yield ["Injections", "numbered 1, 2, 3, … in the order of their times", "as asked"]
    yield ["Patients", "one row each; no two names that differ in capitals or unseen marks alone", "as asked"]
    yield ["Times", "months or dates throughout, within 600 months; onset before the first visit", "as asked"]


def _told(trial: Trial, name: str) -> Iterator[list[str]]:
    """What is taken in, but worth knowing."""
    visits, outcome = visits_of(trial, name), trial.outcomes[name]
    label = outcome.label
    missing = int(trial.visits[name].isna().sum())
    yield [
        f"{label} not measured",
        "missing values are told, not filled in",
        f"{missing} of {counted(len(trial.visits), 'visit')} ({share(missing / len(trial.visits))})",
    ]
    silent = [p for i, p in enumerate(visits.patients) if not (visits.patient_index == i).any()]
    yield [f"Patients without {label}", "kept, and without a result", listed(silent) if silent else "none"]
    if not trial.injections.empty:
        same = int(visits.on_injection_days.sum())
        yield [
            f"{label} on the day of an injection",
            "one value that ends one cycle and begins the next; the model uses it once",
            counted(same, "value"),
        ]
    yield _jump(visits, label, outcome.unit)
    if name == "alsfrsr":
        top = float(visits.value.max())
        yield [
            "ALSFRS among ALSFRS-R",
            "the old scale ends at 40, the revised one at 48; a mixture cannot be proved from totals",
            f"largest total {top:g}: "
            + (
                "above 40, so not all are of the old scale"
                if top > OLD_SCALE_TOP
                else "not above 40: ask which scale was used"
            ),
        ]
    if name == "fvc":
        yield [
            "Reference of FVC",
            "equations, posture and device should be one throughout",
            "not recorded in the tables",
        ]


def _jump(visits: Visits, label: str, unit: str) -> list[str]:
    """Name the largest change between two values of one patient that follow each other."""
    index, value, month = visits.patient_index, visits.value, visits.month
    order = np.lexsort((month, index))
    step = np.where(np.diff(index[order]) == 0, np.diff(value[order]), 0.0)
    text = "no patient with two values"
    if step.size and np.any(np.diff(index[order]) == 0):
        at = int(np.abs(step).argmax())
        patient = visits.patients[index[order][at]]
        months = f"{number(month[order][at], 1)} to {number(month[order][at + 1], 1)}"
        text = f"{number(step[at], 0, sign=True)} {unit}, {patient}, months {months}"
    return [f"Largest step of {label}", "between neighbouring values of a patient: look whether it is an error", text]


def context(report: Report) -> dict[str, Any]:
    """Show what was checked of the tables, and how near the values are to the ends of the scale."""
    near = [(a.visits.outcome.label, a.answered.number("share_near_end")) for a in report.primary if a.passed]
    return {"table": table(report.trial), "near": [(label, share(n), n > NEAR_END_SHARE) for label, n in near]}
