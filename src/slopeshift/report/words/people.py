"""What became of the patients of a trial: who was injected, seen and lost, as tables of the report."""

from __future__ import annotations

import numpy as np
import pandas as pd

from slopeshift.design.visits import Visits
from slopeshift.trial import Arms, Trial

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


def deaths(trial: Trial) -> int:
    """Count the deaths recorded as the end of follow-up."""
    return int((trial.patients["end_reason"] == "death").sum()) if "end_reason" in trial.patients else 0


def short_lead_in(visits: Visits) -> list[str]:
    """Name the injected patients with fewer than two values up to the first injection."""
    injected = ~np.isnan(visits.injection_month).all(axis=1)
    return [p for p, n, was in zip(visits.patients, visits.visits_in_lead_in, injected, strict=True) if was and n < 2]


def lacking(visits: Visits) -> str:
    """Say of an outcome where the answer is the prior's, for want of values before or after injections; else empty."""
    injected = ~np.isnan(visits.injection_month).all(axis=1)
    if not injected.any():
        return ""
    if not visits.visits_in_cycle.any():
        return "No value after an injection: nothing is said of a change."
    if visits.visits_in_lead_in.max() < 2:
        return (
            "No patient has two values before the first injection: the slope before it, and so every change, rests on "
            "the prior."
        )
    if not visits.visits_in_lead_in[injected].any():
        return "No injected patient has a value before the first injection: this slope is that of the others."
    return ""


def cannot_show(trial: Trial) -> list[str]:
    """List what the design leaves open, whichever way the numbers point."""
    if trial.injections.empty:
        return []
    if trial.compares and trial.arms is not None:
        return _of_arms(trial.arms)
    control = (
        "Whether patients without injections are comparable with the others: who was injected may not have been left "
        "to chance."
        if has_control_group(trial)
        else "What would have happened without injections: there was no control group. A change does not "
        "prove that the injections did something, nor does its absence prove that they did nothing."
    )
    return [
        control,
        "Whether expectation, care or rating changed the scores, or decline was not linear to begin with: any of "
        "these can hide an effect or imitate one.",
        "Whether later injections did more, or went to patients who were doing better anyway; and which of the "
        "patients named as slowed are named correctly.",
    ]


def _of_arms(arms: Arms) -> list[str]:
    """List what a comparison of arms leaves open."""
    first = (
        "Whether patients and raters were blind to what was injected: those who know may hope, and rate "
        "differently, even in a randomised trial."
        if arms.randomised
        else "Whether the arms would have declined alike without treatment: they were not randomised, and may differ "
        "in age, site of onset, pace, care and who chose to take part. A difference is no proof of an effect."
    )
    return [
        first,
        "Whether those who left would have gone on like the others in their arm: leaving may depend on the treatment.",
        "Whether patients of another kind, dose or duration would differ as much; and how many must be treated for one "
        "to benefit, which a difference of slopes does not say.",
    ]


def cannot_show_in_short(trial: Trial) -> str:
    """Say in one line of at most 100 characters what the design leaves open before all else."""
    if trial.injections.empty:
        return "Natural history: no injection was given, so nothing is said of a change."
    if trial.compares and trial.arms is not None:
        if trial.arms.randomised:
            return "A randomised comparison: what it shows holds for these patients, doses and months."
        return "Association, not effect: arms were not randomised, and may differ in more than the treatment."
    if has_control_group(trial):
        return "Not shown by this design: whether patients without injections are comparable with the others."
    return "Association, not effect: without a control group, nothing shows what would have happened anyway."
