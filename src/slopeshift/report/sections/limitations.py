"""What weakens the results, told from the trial and the fit rather than from a fixed list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from slopeshift.answers.interval import control_fires, window_fires
from slopeshift.design.cycles import OVERALL, injection_rank
from slopeshift.report.analysis import NEAR_END_SHARE, Analysis, Report, Tables
from slopeshift.report.sections.interval import table as interval_table
from slopeshift.report.words import entry
from slopeshift.report.words.numbers import counted, listed, share
from slopeshift.report.words.people import controls, deaths, has_control_group, short_lead_in
from slopeshift.trial import Trial

WEAK_CONTRACTION = 0.5
"""Where the data remove less of the prior variance of a patient's change, it is largely borrowed."""


def of_trial(trial: Trial, control: pd.DataFrame) -> list[str]:
    """List what weakens every result of a trial. `control` is `answers.control.control_table`."""
    found = ["Synthetic data: nothing here concerns any patient or any treatment."] if trial.synthetic else []
    if not trial.injections.empty:
        found.append(_control(trial))
        found.append(
            "Those who received a later injection had stayed in the trial: cycles are compared within one model of all "
            "patients, but the reasons for stopping are not modelled."
        )
    found += _borrowed(trial, control)
    found.append(_dropout(trial))
    if trial.injections.empty:
        found.append("Natural courses can bend; a straight model takes decline to be linear.")
    else:
        found.append(
            "A course that bends without treatment looks like a change of slope. A straight model mistakes it for one; "
            "a curved model allows for as much bending as its prior expects, and is less certain in return. With few "
            "visits before the first injection, checks of the trial alone often miss a bend; injections moved to times "
            "without treatment show it."
        )
        found += _entry(trial)
    return found


def of_report(trial: Trial, analyses: Sequence[Analysis], study: Tables, interval: pd.DataFrame) -> list[str]:
    """List what this report lacks, or what a check of it found."""
    found = []
    if failed := [a.record["model"] for a in analyses if not a.passed]:
        found.append(f"No result of {listed(failed)} is shown: the diagnostics gate was not passed.")
    if trial.injections.empty:
        return found
    if "null_reference" not in study and not trial.compares:
        found.append(
            "What chance alone gives in this design was not computed, so there is nothing to measure counts of "
            "improved patients against."
        )
    if "null_refits" not in study and not trial.compares:
        found.append("How often the models' own rules fire where nothing changed was not computed for these fits.")
    if bool(study.get("pseudo_injection", pd.DataFrame({"finds_change": []}))["finds_change"].astype(bool).any()):
        found.append(
            "The model found a change in values that no injection had touched: after the real injections a change may "
            "be no more than that."
        )
    if control_fires(interval):
        found.append(
            "The negative control found that intervals are associated with the slope seen before them: the result on "
            "the interval must not be read as an effect of the interval."
        )
    if window_fires(interval):
        found.append(
            "The coefficient of the interval is different in the first months of a cycle: the result on the interval "
            "comes from when the change is seen, and must not be read as an effect of the interval."
        )
    if "dose" in trial.injections and len(trial.injections["dose"].dropna().unique()) > 1:
        found.append("Doses differed between injections; no model here takes the dose into account.")
    if not has_control_group(trial) and not trial.compares:
        found.append(
            "Open label: in a single arm, patients and raters know of the treatment, and hope may raise scores."
        )
    return found


def of_fit(analysis: Analysis) -> list[str]:
    """List what weakens the results of one fit that passed its gate."""
    table, visits = analysis.results.patients, analysis.visits
    found = [told] if (told := entry.taken_into_account(analysis.trial, analysis.posterior)) else []
    cycles = table[table["injection"] != OVERALL].groupby("injection")["patient"].nunique()
    if len(cycles):
        found.append(f"Few patients: {listed(_in_cycles(cycles))} have values after the injection.")
    if short := short_lead_in(visits):
        found.append(
            f"Fewer than two values before treatment in {counted(len(short), 'injected patient')}: {listed(short)}."
        )
    if undefined := len({row.patient for row in table.itertuples() if "percent undefined" in row.flag}):
        found.append(
            f"In {counted(undefined, 'patient')} the slope without injections may be near zero: a percentage of it "
            "means little."
        )
    weak = table[(table["injection"] != OVERALL) & (table["contraction"] < WEAK_CONTRACTION)]
    if len(weak):
        found.append(
            f"In {len(weak)} of {counted(len(table[table['injection'] != OVERALL]), 'cycle')} the data removed less "
            "than half of the prior variance of a patient's change, which then largely reflects the other patients."
        )
    if analysis.tables is not None and analysis.checks["leaving"]["fires"].any():
        found.append(
            "Those who declined fast before treatment left earlier: what is seen late is seen in slower patients, and "
            "the model is right about the others only if their recorded values show how they would have gone on."
        )
    near = analysis.answered.number("share_near_end")
    found.append(
        f"{share(near) if near else 'None'} of the values lie within two residual SDs of an end of the scale, which "
        "the normal residual ignores" + ("; prefer a bounded model." if near > NEAR_END_SHARE else ".")
    )
    return found


def _entry(trial: Trial) -> list[str]:
    """Say by which rules patients entered, or that none is stated, and what is not made of them."""
    if not trial.entry:
        return [
            "No rule of entry is stated in trial.toml. If entry required a prior loss, decline appears to slow by "
            "regression to the mean alone; a check of the losses before the first injection detects it in most trials."
        ]
    missing = [sentence for outcome in trial.outcomes.values() for sentence in entry.unmodelled(trial, outcome)]
    return [f"Patients were chosen by their values: {'; '.join(entry.stated(trial))}.", *missing]


def _in_cycles(number: pd.Series[int]) -> list[str]:
    """Say how many patients were in each cycle, in the order of cycles, those of equal number together."""
    ordered = number.loc[sorted(number.index, key=injection_rank)]
    runs = [
        (n, list(part.index))
        for (n, _), part in ordered.groupby([ordered, (ordered != ordered.shift()).cumsum()], sort=False)
    ]
    return [f"{n} in cycle {k[0]}" if len(k) == 1 else f"{n} in cycles {k[0]} to {k[-1]}" for n, k in runs]


def _dropout(trial: Trial) -> str:
    known = f"Deaths recorded: {deaths(trial)}" if "end_reason" in trial.patients else "Deaths are not recorded"
    return f"Death and dropout: values are taken to be missing at random; there is no survival model. {known}."


def _borrowed(trial: Trial, control: pd.DataFrame) -> list[str]:
    """Say which prior a control gives the slope before treatment, with every number that goes into it."""
    if trial.control is None:
        return []
    found = []
    for row in control.itertuples():
        label = trial.control.trial.outcomes[row.outcome].label
        what, unit, digits = {"slope": ("slope before treatment", "a month", 2)}.get(
            row.quantity, ("curvature", "a month, per month", 3)
        )
        course = "" if row.course == "any" else f" of models with {row.course} courses"
        found.append(
            f"The prior of the {label} {what}{course} is taken from {trial.control.source} "
            f"({counted(row.patients, 'patient')}, {row.mean:.{digits}f} {unit}, standard error "
            f"{row.standard_error:.{digits}f}), widened by a between-study SD of {row.between_study_sd:g} that was "
            f"chosen, not estimated: mean {row.prior_mean:.{digits}f}, SD {row.prior_sd:.{digits}f}. It is right only "
            "if that cohort declines as this one would."
        )
    return found


def _control(trial: Trial) -> str:
    if trial.compares and trial.arms is not None:
        if trial.arms.randomised:
            return "Arms were randomised: at the start, only chance makes their patients differ."
        return "Arms were not randomised: a difference between them is an association, not an effect."
    n = controls(trial)
    if has_control_group(trial):
        who = f"{counted(n, 'patient')} without injections were followed"
        return f"{who}; the tables cannot tell whether they are comparable."
    return (
        "Single arm: no control group. A change of slope after an injection is an association, not proof of an effect."
    )


def context(report: Report) -> dict[str, Any]:
    """List what weakens the results: of the trial, of this report, and of every fit that answers the question."""
    passed = [a for a in report.primary if a.passed]
    of_all = of_report(report.trial, report.analyses, report.study, interval_table(report))
    return {
        "found": of_trial(report.trial, report.own["control"]) + of_all,
        "shown": report.of_each(passed, lambda a: {"found": of_fit(a)}),
    }
