"""Safety: which events occurred, after which injection, and what risk the number of patients leaves open.

An event belongs to the latest injection before it or on its day; until then, and for a patient without an injection, it
belongs to the time `before` treatment. An event whose time is not known belongs where its bounds leave no other place,
or else to an `unknown` time, and counts among those of treated patients: a serious event must not look like none. Only
arms that are compared (`safety_by_arm`) say anything of what caused an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.design.cycles import OVERALL
from slopeshift.trial.arms import ARM, PATIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slopeshift.trial import Trial

COLUMNS = (
    "term serious related injection n_patients n_events n_with_event risk_mean risk_lower risk_upper "
    "upper_bound_of_none rule_of_three"
)
ARM_COLUMNS = (
    "term serious n_treated n_events_treated n_with_treated n_control n_events_control n_with_control "
    "difference_mean difference_lower difference_upper prob_more"
)
BEFORE, UNKNOWN, ANY = "before", "unknown", "any"
PRIOR = (1.0, 1.0)
"""Beta prior of the risk per patient: uniform."""

LEVEL = 0.95

GRID = 1000
"""Equally probable values of each of two risks whose difference is formed."""


def safety_table(trial: Trial) -> pd.DataFrame:
    """Count events and state the risk per patient: the table `safety`.

    A row per kind of event and period. Kinds are any event, any serious event, and every combination of term, serious
    and related that occurs (`any` where a column is not what the row is about). Periods are the time before treatment,
    of all patients; 1..K, of the patients who had that injection; unknown, of all treated patients, where the time of
    an event is not known; and overall, from the first injection on and at an unknown time, of all treated patients.
    Columns: n_patients at risk; n_events; n_with_event, the patients with one or more; mean and 95 % interval of the
    risk that a patient has one, with a uniform prior, Beta(1 + with, 1 + without); and, where nobody had one, the
    one-sided 95 % upper bound that this allows, exact and by the rule of three (3 / patients; Hanley and Lippman-Hand
    1983, doi 10.1001/jama.1983.03330370053031).

    A trial without events, in whose files there is no table of events either, has no row: nothing is known then.
    Events before treatment that were not recorded are counted as none.
    """
    if trial.events.empty and "events.csv" not in trial.files:
        return pd.DataFrame(columns=COLUMNS.split())
    events = _placed(trial)
    at_risk = _at_risk(trial, events)
    rows = [
        _row(kind, period, chosen[_within(chosen, period)], patients)
        for kind, chosen in _kinds(events)
        for period, patients in at_risk.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS.split())


def safety_by_arm(trial: Trial) -> pd.DataFrame:
    """Compare the risks of two arms, treated less control: the table `safety_arms`, empty where none are compared.

    A row for any event, any serious event, and every term, from the first injection on and at an unknown time, among
    the patients of either arm who were injected. Risks are those of `safety_table`, independent of each other:
    `difference_*` are the mean and the 95 % interval of their difference, and `prob_more` that it is above 0.
    """
    known = not trial.events.empty or "events.csv" in trial.files
    if trial.arms is None or trial.arms.unit != PATIENT or not (trial.compares and known):
        return pd.DataFrame(columns=ARM_COLUMNS.split())
    arm = trial.patients.set_index("patient")[ARM]
    injected = arm[arm.index.isin(trial.injections["patient"])]
    events = _placed(trial)
    events = events[(events["injection"] != BEFORE) & events["patient"].isin(injected.index)]
    kinds = [(ANY, ANY, events), (ANY, "yes", events[events["serious"]])]
    kinds += [(str(term), ANY, found) for term, found in events.groupby("term", sort=True)]
    rows = []
    for term, serious, found in kinds:
        counts = []
        for mine in (injected != trial.arms.control, injected == trial.arms.control):
            of_arm = found[found["patient"].isin(injected.index[mine])]
            counts.append((int(mine.sum()), len(of_arm), of_arm["patient"].nunique()))
        rows.append((term, serious, *counts[0], *counts[1], *_difference(*(each[::2] for each in counts))))
    return pd.DataFrame(rows, columns=ARM_COLUMNS.split())


def _difference(treated: tuple[int, int], control: tuple[int, int]) -> tuple[float, ...]:
    """Return the mean and the interval of the difference of two risks, and Pr(> 0); each of (patients, with one)."""
    from scipy.stats import beta

    risks = [beta(PRIOR[0] + affected, PRIOR[1] + patients - affected) for patients, affected in (treated, control)]
    middles = (np.arange(GRID) + 0.5) / GRID
    differences = np.subtract.outer(*(risk.ppf(middles) for risk in risks))
    lower, upper = np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(risks[0].mean() - risks[1].mean()), float(lower), float(upper), float((differences > 0).mean())


def events_by_patient(trial: Trial) -> pd.DataFrame:
    """Count events and serious events of every patient, at any time and from injection 1 on (`_treated`).

    An event at an unknown time counts as one from injection 1 on.
    """
    events = _placed(trial)
    treated = events["injection"] != BEFORE
    counts = {
        "n_events": events,
        "n_serious": events[events["serious"]],
        "n_events_treated": events[treated],
        "n_serious_treated": events[treated & events["serious"]],
    }
    patients = trial.patients["patient"]
    number = {name: patients.map(chosen["patient"].value_counts()) for name, chosen in counts.items()}
    injections = patients.map(trial.injections["patient"].value_counts())
    table = pd.DataFrame({"patient": patients, "injections": injections, **number})
    return table.fillna(dict.fromkeys(table.columns[1:], 0)).astype(dict.fromkeys(table.columns[1:], int))


def upper_bound_of_none(patients: int, level: float = LEVEL) -> float:
    """Give the largest risk per patient under which nobody of `patients` has an event with probability 1 - `level`.

    Exact (Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404); 1 where there are no patients.
    """
    return 1.0 - (1.0 - level) ** (1.0 / patients) if patients else 1.0


def _placed(trial: Trial) -> pd.DataFrame:
    """Add to every event the injection it belongs to, as text; a column `related` is there in any case."""
    events = trial.events
    given = trial.injections.groupby("patient")["month"].apply(np.asarray).to_dict()
    related = events["related"].fillna("") if "related" in events else pd.Series("", index=events.index)
    after = [
        {int((given.get(patient, np.empty(0)) <= month).sum()) for month in bounds}
        for patient, *bounds in zip(events["patient"], *_bounds(events), strict=True)
    ]
    injection = [UNKNOWN if len(places) > 1 else str(max(places) or BEFORE) for places in after]
    return events.assign(injection=pd.Series(injection, index=events.index, dtype=object), related=related)


def _bounds(events: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[float]]:
    """Return the earliest and the latest month at which each event may have begun."""
    bounds = [events["month"].fillna(events.get(name, np.nan)) for name in ("earliest_month", "latest_month")]
    return bounds[0].fillna(-np.inf), bounds[1].fillna(np.inf)


def _at_risk(trial: Trial, events: pd.DataFrame) -> dict[str, int]:
    by_injection = trial.injections["injection"].value_counts().sort_index()
    treated = trial.injections["patient"].nunique()
    unknown = {UNKNOWN: treated} if (events["injection"] == UNKNOWN).any() else {}
    return {
        BEFORE: len(trial.patients),
        **{str(k): int(number) for k, number in by_injection.items()},
        **unknown,
        OVERALL: treated,
    }


def _kinds(events: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Yield the kinds of events, as (term, serious, related), with the events of each."""
    yield (ANY, ANY, ANY), events
    yield (ANY, "yes", ANY), events[events["serious"]]
    for (term, serious, related), group in events.groupby(["term", "serious", "related"], sort=True):
        yield (str(term), "yes" if serious else "no", str(related)), group


def _within(events: pd.DataFrame, period: str) -> pd.Series:
    return events["injection"] != BEFORE if period == OVERALL else events["injection"] == period


def _row(kind: tuple[str, str, str], period: str, events: pd.DataFrame, patients: int) -> tuple[object, ...]:
    from scipy.stats import beta

    affected = events["patient"].nunique()
    risk = beta(PRIOR[0] + affected, PRIOR[1] + patients - affected)
    lower, upper = risk.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    none = (upper_bound_of_none(patients), min(3 / patients, 1.0) if patients else 1.0)
    bounds = (np.nan, np.nan) if affected else none
    return (*kind, period, patients, len(events), affected, risk.mean(), lower, upper, *bounds)
