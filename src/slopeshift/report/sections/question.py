"""The question of a report as an estimand: its attributes, and what is done about each intercurrent event.

Attributes and strategies are those of ICH E9(R1), said in our own words.
"""

from __future__ import annotations

from typing import Any

from slopeshift.report.analysis import Report
from slopeshift.report.words import entry
from slopeshift.report.words.numbers import Table, counted, listed
from slopeshift.report.words.people import deaths, injections_given
from slopeshift.trial import Trial


def attributes(trial: Trial) -> Table:
    """Print the attributes of the estimand."""
    outcomes = [f"{o.label} ({o.unit})" for o in trial.outcomes.values()]
    rows = [
        ["Treatment", _treatment(trial)],
        [
            "Compared with",
            _compared_with(trial),
        ],
        ["Population", f"all {counted(len(trial.patients), 'patient')} enrolled, those without an injection included"],
        ["Entry rules", "; ".join(entry.stated(trial)) or "none stated in trial.toml"],
        ["Variable", f"{listed(outcomes)}: every recorded value, as a line per patient"],
        ["Intercurrent events", "see the next table"],
        [
            "Summary",
            _summary(trial),
        ],
    ]
    return Table("The estimand", "ll", ["Attribute", "Here"], rows)


def _compared_with(trial: Trial) -> str:
    if trial.injections.empty:
        return "nothing"
    if trial.arms is None or not trial.compares:
        return "the same patients before their first injection: a change within patients"
    how = "randomised" if trial.arms.randomised else "not randomised"
    within = f" within strata of {listed(list(trial.arms.strata))}" if trial.arms.strata else ""
    return f"{trial.arms.control}, {how} by {trial.arms.unit}{within}: a difference of changes between arms"


def _summary(trial: Trial) -> str:
    if trial.injections.empty:
        return "mean slope in units a month"
    if trial.compares:
        return (
            "difference of the arms in the mean change of slope in each cycle, treated less control, in units a month "
            "and in percent of the control's slope; the probability that it exceeds any value"
        )
    return (
        "mean change of slope in each cycle from what it would have been without injections, in units a month and in "
        "percent; the probability that it exceeds any value"
    )


def intercurrent_events(trial: Trial) -> Table:
    """Print every intercurrent event that the field knows, the strategy, and what this trial recorded of it."""
    known = "end_reason" in trial.patients
    left = int(trial.patients["end_reason"].isin(["withdrawal", "lost"]).sum()) if known else 0
    rows = [
        [
            "Death",
            "hypothetical: values after it are as if missing at random",
            str(deaths(trial)) if known else "not recorded",
        ],
        ["Withdrawal, loss to follow-up", "hypothetical, in the same way", str(left) if known else "not recorded"],
    ]
    if not trial.injections.empty:
        missed = int((injections_given(trial) < injections_given(trial).max()).sum())
        rows += [
            ["Next injection", "while on treatment: it ends a cycle and begins another", str(len(trial.injections))],
            [
                "Injection not given or delayed",
                "treatment policy: values count in the cycle of the last injection given",
                f"{counted(missed, 'patient')} with fewer than the most",
            ],
        ]
    rows += [
        [name, "treatment policy: values count, whatever was given", _column(trial, column)]
        for name, column in _OTHERS.items()
    ]
    return Table("Intercurrent events", "lll", ["Event", "Strategy", "Recorded in this trial"], rows)


_OTHERS = {
    "Start of riluzole": "riluzole",
    "Start of edaravone": "edaravone",
    "Non-invasive ventilation": "niv",
    "Permanent assisted ventilation, tracheostomy": "ventilation",
    "Gastrostomy": "peg",
}


def _column(trial: Trial, name: str) -> str:
    found = [column for column in trial.patients if column.lower().startswith(name)]
    return f"use as column {listed(found)}, not its start" if found else "not recorded"


def _treatment(trial: Trial) -> str:
    if trial.injections.empty:
        return "none: natural history"
    most = int(trial.injections["injection"].max())
    text = f"repeated injections, at most {most}; cycle k runs from injection k to the next, or to the last value"
    if "dose" in trial.injections and len(doses := trial.injections["dose"].dropna()):
        span = f"{doses.min():g}" if doses.min() == doses.max() else f"{doses.min():g} to {doses.max():g}"
        text += f"; dose {span} × 10⁶ cells"
    if "route" in trial.injections and len(routes := sorted(set(trial.injections["route"].dropna()))):
        text += f"; route {listed([str(route) for route in routes])}"
    return text


def context(report: Report) -> dict[str, Any]:
    """Show the question as an estimand, and why it is answered so."""
    correlated = bool(report.primary) and "correlation" in report.primary[0].posterior.draws
    tables = {"attributes": attributes(report.trial), "events": intercurrent_events(report.trial)}
    return {**tables, "correlated": correlated}
