"""Safety: deaths and events as the tables list them, and the risk that they leave open."""

from __future__ import annotations

from typing import Any

import pandas as pd

from slopeshift.answers.safety import ANY, BEFORE, UNKNOWN, events_by_patient
from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Report
from slopeshift.report.words.numbers import Table, in_columns, known, number, probability, share
from slopeshift.report.words.people import deaths
from slopeshift.trial import Trial


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
    periods = {BEFORE: "before treatment", UNKNOWN: "at an unknown time", OVERALL: "from injection 1 on"}
    found = safety[(safety["term"] == ANY) & (safety["related"] == ANY)]
    if found.empty:
        return None

    def risk(row: Any) -> str:
        return f"{share(row.risk_mean)} ({share(row.risk_lower)} to {share(row.risk_upper)})"

    def allowed(row: Any) -> str:
        return known(row.upper_bound_of_none, f"at most {share(row.upper_bound_of_none)}")

    return in_columns(
        "Risk that a patient has an event",
        found,
        ("Kind", "l", lambda row: kinds[row.serious]),
        ("Period", "l", lambda row: periods.get(row.injection, f"injection {row.injection}")),
        ("Patients with one", "r", lambda row: f"{row.n_with_event} of {row.n_patients}"),
        ("Events", "r", "n_events"),
        ("Risk per patient (95 % interval)", "r", risk),
        ("None seen allows", "r", allowed),
    )


def by_arm(found: pd.DataFrame) -> Table | None:
    """Print the risks of two arms and their difference, frequent terms first; None where no arms are compared.

    `found` is `safety.safety_by_arm`.
    """
    if found.empty:
        return None
    kinds, terms = found[found["term"] == ANY], found[found["term"] != ANY]
    most = terms.assign(n=terms["n_with_treated"] + terms["n_with_control"]).sort_values(
        ["n", "term"], ascending=[False, True]
    )
    names = {ANY: "Any event", "yes": "Any serious event"}

    def difference(row: Any) -> str:
        mean, lower, upper = (
            number(100 * x, 0, sign=True) for x in (row.difference_mean, row.difference_lower, row.difference_upper)
        )
        return f"{mean} ({lower} to {upper})"

    return in_columns(
        "Events from injection 1 on, by arm",
        pd.concat([kinds, most]),
        ("Event", "l", lambda row: names[row.serious] if row.term == ANY else row.term),
        ("Treated, patients with one", "r", lambda row: f"{row.n_with_treated} of {row.n_treated}"),
        ("Control, patients with one", "r", lambda row: f"{row.n_with_control} of {row.n_control}"),
        ("Difference of risks (95 % interval), percentage points", "r", difference),
        ("Pr(risk higher)", "r", lambda row: probability(row.prob_more)),
    )


def events_of_patients(trial: Trial) -> Table | None:
    """Count the events of every patient; None where none is recorded."""
    if trial.events.empty:
        return None
    rows = [[str(cell) for cell in row] for row in events_by_patient(trial).itertuples(index=False)]
    heads = ["Patient", "Injections", "Events", "Serious", "Events from injection 1 on", "Serious from injection 1 on"]
    return Table("Events by patient", "lrrrrr", heads, rows)


def context(report: Report) -> dict[str, Any]:
    """Show the deaths and events of a trial."""
    trial = report.trial
    return {
        "deaths": deaths(trial) if "end_reason" in trial.patients else None,
        "events": adverse_events(trial),
        "risks": risks(report.own["safety"]),
        "by_arm": by_arm(report.own["safety_arms"]),
        "compares": trial.compares,
    }


def details(report: Report) -> dict[str, Any]:
    """Count the events of every patient."""
    return {"by_patient": events_of_patients(report.trial)}
