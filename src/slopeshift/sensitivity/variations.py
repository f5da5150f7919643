"""The analyses that refit the model: values left out or imputed, and effects that set in late or wane."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.design.entry import conditions, known_to
from slopeshift.missing.departures import LEFT, endings, planned_follow_up
from slopeshift.missing.imputed import completed, lines_of, share_below, unseen
from slopeshift.model.program import LineModel
from slopeshift.sensitivity.alternatives import expected_decline
from slopeshift.sensitivity.refits import Variation
from slopeshift.sensitivity.rows import refused
from slopeshift.sensitivity.subsets import (
    not_completers,
    not_fully_injected,
    of_patients,
    patients_with_values,
    without,
)
from slopeshift.trial.entry import LIMITS

if TYPE_CHECKING:
    from slopeshift.design.visits import Visits
    from slopeshift.model.files import ModelFile
    from slopeshift.sensitivity.subject import Subject
    from slopeshift.sensitivity.subsets import Mask
    from slopeshift.trial import Outcome
    from slopeshift.trial.entry import EntryRule

BOUNDARY, ONE_LEFT_OUT = "values on injection days left out", "one patient left out"
COMPLETERS, FULLY_INJECTED = "completers only", "patients with all injections only"
AFTER_LEAVING, WANING = "values after leaving imputed", "lag and half-life"
ENTRY = "entry rules"

FEWEST_PATIENTS = 3
MOST_LEFT_OUT = 100
"""Patients up to which each is left out in turn: in a larger trial one of them cannot move the answer by much."""

IMPUTATIONS = 10
DELTAS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""By how much faster than expected those who left decline, as multiples of the decline that the prior expects."""

Listed = tuple[list[Variation], list[pd.DataFrame]]


def subsets(subject: Subject) -> Listed:
    """List the analyses that do without some values, and the rows of those that cannot be made, with the reason."""
    visits, trial = subject.posterior.visits, subject.posterior.trial
    most = visits.injection_month.shape[1]
    whole: list[tuple[str, str, Mask]] = [
        (BOUNDARY, "visits that belong to two slopes at once", visits.on_injection_days),
        (COMPLETERS, "reason for the end of follow-up: completed", of_patients(visits, not_completers(trial))),
        (FULLY_INJECTED, f"those with {most} injections", of_patients(visits, not_fully_injected(visits))),
    ]
    names = patients_with_values(visits)
    if len(names) <= MOST_LEFT_OUT:
        whole += [(ONE_LEFT_OUT, name, of_patients(visits, [name])) for name in names]
    refits, notes = [], []
    for analysis, detail, dropped in whole:
        left = without(visits, dropped)
        reason = _unusable(visits, left) or _undecided(subject, left)
        if reason:
            notes.append(refused(reason, analysis=analysis, detail=detail, **subject.posterior.labels))
        else:
            refits.append(Variation(analysis, detail, (left,)))
    if len(names) > MOST_LEFT_OUT:
        reason = f"not refitted: with {len(names)} patients, one of them cannot move the answer by much"
        notes.append(refused(reason, analysis=ONE_LEFT_OUT, detail="", **subject.posterior.labels))
    return refits, notes


def _unusable(visits: Visits, left: Visits) -> str:
    if len(left.value) == len(visits.value):
        return "nothing is left out: the main analysis is this one"
    if len(patients_with_values(left)) < FEWEST_PATIENTS:
        return f"fewer than {FEWEST_PATIENTS} patients have values left"
    return "" if (left.visits_in_cycle > 0).any() else "no cycle has a value left"


def _undecided(subject: Subject, left: Visits) -> str:
    """Say that values are left out by which patients were chosen: what is left is then chosen in no known way."""
    rules = conditions(subject.posterior.trial, left) if known_to(subject.posterior.design) else None
    before = conditions(subject.posterior.trial, subject.posterior.visits)
    if rules is None or before is None or rules.recorded.sum() == before.recorded.sum():
        return ""
    return "an entry rule chose by values that are left out"


def entry_rules(subject: Subject) -> list[Variation]:
    """List the analyses under other entry rules, of a fit that knows its trial's: under none, moved and judged ones."""
    visits, trial = subject.posterior.visits, subject.posterior.trial
    if not known_to(subject.posterior.design):
        return []
    outcome, sigma = visits.outcome, float(subject.posterior.draws["sigma"].mean())
    others = {
        "not taken into account": (),
        "every limit one step lower": tuple(moved(rule, -1, outcome) for rule in trial.entry),
        "every limit one step higher": tuple(moved(rule, 1, outcome) for rule in trial.entry),
        f"judged, with the residual SD of {sigma:.2g} {outcome.unit}": tuple(
            replace(rule, spread=max(rule.spread, sigma)) for rule in trial.entry
        ),
    }
    return [Variation(ENTRY, detail, (visits,), trial=replace(trial, entry=rules)) for detail, rules in others.items()]


def given_lead_in(subject: Subject) -> list[Variation]:
    """List the analysis of later values given those up to the first injection, where the model's family knows it.

    Whatever chose patients by these values drops out of it, whether anybody stated it or not.
    """
    build = subject.file.build
    if not (isinstance(build, LineModel) and build.family.integrated_out and build.family.independent):
        return []
    detail = "values up to the first injection taken as given, whatever the rule was"
    varied = "build = build.varied(given_lead_in=True)\n"
    return [Variation(ENTRY, detail, (subject.posterior.visits,), varied=varied)]


def moved(rule: EntryRule, steps: int, outcome: Outcome) -> EntryRule:
    """Move the limits of a rule on `outcome` by a unit of a score or loss, or by 10 % of a slope or percentage."""
    if rule.outcome != outcome.name:
        return rule
    limits = {name: value for name in LIMITS if (value := getattr(rule, name)) is not None}
    step = (lambda _: 1.0) if rule.quantity in ("score", "loss") else (lambda limit: 0.1 * abs(limit))
    return replace(rule, **{name: value + steps * step(value) for name, value in limits.items()})


def after_leaving(subject: Subject) -> tuple[list[Variation], pd.DataFrame]:
    """Impute what was not recorded of those who left, for every delta; and say of each delta what was imputed.

    The table has a row per delta: detail, delta (outcome units a month), n_left, n_imputed (values), n_imputations,
    share_below_scale. Both are empty where nobody left before the planned end, or the tables do not say.
    """
    posterior, visits = subject.posterior, subject.posterior.visits
    decline, after = abs(expected_decline(posterior.design)), unseen(posterior.trial, visits)
    if not len(after.month):
        return [], pd.DataFrame(columns=["detail", "delta"])
    lines = lines_of(posterior, IMPUTATIONS)
    refits, about = [], []
    for multiple in DELTAS:
        delta = multiple * decline
        data = completed(visits, after, lines, delta, subject.seed)
        detail = f"{visits.outcome.worsening} faster by {delta:.3g} {posterior.rate} than expected"
        refits.append(Variation(AFTER_LEAVING, detail, data))
        about.append(
            {
                "detail": detail,
                "delta": delta,
                "n_left": len(after.patients),
                "n_imputed": len(after.month),
                "n_imputations": IMPUTATIONS,
                "share_below_scale": share_below(visits, data),
            }
        )
    return refits, pd.DataFrame(about)


def why_nothing_imputed(subject: Subject) -> str:
    """Say why no value after leaving was imputed."""
    reasons = endings(subject.posterior.trial)["reason"]
    if not reasons.isin(LEFT).any():
        return "the tables name nobody who left (death, withdrawal, lost)"
    months = planned_follow_up(subject.posterior.trial)
    return f"nobody left a month or more before {months:.1f} months after the last injection, as completers did"


def waning(subject: Subject, grid: ModelFile) -> tuple[list[Variation], pd.DataFrame]:
    """List the shapes of the effect of an injection that a model file compares: the same coefficients on other bases.

    The table says of each `detail` its lag and half_life, in months.
    """
    from slopeshift.design.visits import visits_of

    refits, about = [], []
    for shape in grid.grid:
        visits = visits_of(subject.posterior.trial, subject.file.outcome, shape)
        detail = f"lag {shape.lag:g} months, half-life {_months(shape.half_life)}"
        refits.append(Variation(WANING, detail, (visits,), compared=True))
        about.append({"detail": detail, "lag": shape.lag, "half_life": shape.half_life})
    return refits, pd.DataFrame(about, columns=["detail", "lag", "half_life"])


def _months(half_life: float) -> str:
    return "infinite" if half_life == float("inf") else f"{half_life:g} months"
