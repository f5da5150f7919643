"""What speaks for and against an answer, in a sentence or two for each doubt that a reader should have."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from slopeshift.answers.quantities import DIFFERENCE
from slopeshift.checks import PRIOR
from slopeshift.checks.predictive import ENTRY
from slopeshift.design.cycles import OVERALL
from slopeshift.design.entry import known_to
from slopeshift.report.analysis import Analysis, Report, rows_of
from slopeshift.report.words.chance import of_hundred
from slopeshift.report.words.checks import ABOUT_TOOLS, UNCHECKED, missed_by
from slopeshift.report.words.numbers import counted, listed, number, probability
from slopeshift.sensitivity import variations
from slopeshift.sensitivity.rules import influential
from slopeshift.trial.arms import PATIENT


class Said(NamedTuple):
    """An answer to a doubt; `alarm` says that it weakens the result."""

    text: str
    alarm: bool = False


def sampled(a: Analysis) -> Said:
    """Say whether the draws can be trusted."""
    if a.passed:
        return Said("Yes: every reported quantity meets every limit.")
    return Said(f"No: {counted(len(a.results.failures), 'limit')} not met. No result is shown.", True)


def fits(a: Analysis) -> Said:
    """Say how many checks of the model against its data fired, and which."""
    if a.tables is None:
        return Said(UNCHECKED, True)
    rules = a.tables["rules"]
    made = int((~rules["check"].isin(ABOUT_TOOLS) & rules["value"].notna()).sum())
    if missed := missed_by(rules):
        return Said(f"Not fully: {len(missed)} of {counted(made, 'check')} fired ({listed(missed)}).", True)
    return Said(f"None of {counted(made, 'check')} fired. In a small trial, silence proves little.")


def chance(a: Analysis) -> Said:
    """Say how often trials of this design without a change show as much."""
    rows = rows_of(a.answered.tables, "operating", injection=OVERALL)
    if rows.empty:
        return Said("Not known in closed form for this model.")
    straight, bent = (float(rows.loc[rows["course"] == kind, "prob_at_least"].iloc[0]) for kind in ("straight", "bent"))
    nothing = "in which the arms did not differ" if a.results.claimed == DIFFERENCE else "without any change"
    return Said(
        f"Of 100 such trials {nothing}, {of_hundred(straight)} would show at least as much. Of 100 whose courses "
        f"bend by themselves, {of_hundred(bent)} would."
    )


def entry(report: Report, a: Analysis) -> Said:
    """Say whether choosing patients by their values could have made the answer."""
    if shared := _in_both_arms(report):
        return shared
    outcome = a.visits.outcome
    if any(rule.outcome == outcome.name for rule in report.trial.entry):
        if known_to(a.posterior.design):
            return Said("A rule of entry is stated, and is part of the model.")
        return Said("A rule of entry is stated, but this model does not know it.", True)
    if a.tables is None:
        return Said("No rule of entry is stated, and its trace was not looked for.", True)
    if rows_of(a.tables, "rules", check=ENTRY)["fired"].any():
        return Said("No rule of entry is stated, but the check for its trace fired: was there one?", True)
    return Said("No rule of entry is stated. The check for its trace is silent, as it would be if a rule kept few out.")


def bends(report: Report, a: Analysis) -> Said:
    """Say whether courses that bend by themselves could have made the answer."""
    if shared := _in_both_arms(report):
        return shared
    curved = bool(a.posterior.design.get("curved", False))
    said = ["The model allows for bending." if curved else "The model takes courses for straight."]
    rows = rows_of(a.answered.tables, "operating", injection=OVERALL, course="straight")
    if len(rows) and (tipping := abs(float(rows["tipping_bend"].iloc[0]))) == tipping:
        said.append(f"A bend of {number(tipping, 3)} {a.rate} every month would be enough to produce this.")
    moved = rows_of(report.study, "pseudo_injection", model=a.record["model"])
    found = bool(moved["finds_change"].astype(bool).any()) if len(moved) else False
    if len(moved):
        said.append(f"Injections moved to where none was given found {'a change' if found else 'none'}.")
    return Said(" ".join(said), found or not curved)


def other_models(report: Report, a: Analysis) -> Said:
    """Say between what the other models of the same outcome lie."""
    rows = [overall(b) for b in report.others if b.record["outcome"] == a.record["outcome"] and b.passed]
    found = pd.concat(rows) if rows else pd.DataFrame()
    if found.empty or overall(a).empty:
        return Said("No other model of this outcome was fitted.")
    means = _span(*(number(v, sign=True) for v in (found["mean"].min(), found["mean"].max())))
    chances = _span(*(probability(p) for p in (found["prob_better"].min(), found["prob_better"].max())))
    own = next(overall(a).itertuples())
    return Said(
        f"{counted(len(found), 'other model')}: change {means} {a.rate}, probability {chances}. This one: "
        f"{number(own.mean, sign=True)} and {probability(own.prob_better)}."
    )


def prior(a: Analysis) -> Said:
    """Say whether a prior moves the answer."""
    rules = pd.DataFrame() if a.tables is None else rows_of(a.tables, "rules", check=PRIOR)
    if rules.empty or rules["value"].isna().all():
        return Said("Not computed.")
    row = rules.iloc[0]
    size = f"sensitivity {number(row['value'])}, which counts from {row['limit']:g}"
    return Said(f"It moves the change ({size}).", True) if row["fired"] else Said(f"No single prior does ({size}).")


def one_patient(report: Report, a: Analysis) -> Said:
    """Say whether the answer hangs on any one patient."""
    mine = rows_of(report.varied, "sensitivity", model=a.record["model"], analysis=variations.ONE_LEFT_OUT)
    mine = mine[mine["injection"] == OVERALL].dropna(subset="mean") if len(mine) else mine
    if mine.empty:
        return Said("Not examined yet: run make sensitivity.")
    span = f"{probability(mine['prob_better'].min())} and {probability(mine['prob_better'].max())}"
    if influential(mine["difference"]).fired:
        return Said(f"Yes. Without one patient the probability lies between {span}.", True)
    return Said(f"No. Without any one patient the probability lies between {span}.")


def leaving(a: Analysis) -> Said:
    """Say whether those who decline fast left."""
    if a.tables is None:
        return Said(UNCHECKED, True)
    found = next(a.checks["leaving"].itertuples())
    if found.probability != found.probability:
        return Said("Not tested: too few left while others were followed.")
    chance = f"probability by chance {probability(found.probability)}"
    if found.fires:
        return Said(f"Those who declined fast left earlier ({chance}).", True)
    return Said(f"Those who left are not shown to have declined faster ({chance}).")


def overall(a: Analysis) -> pd.DataFrame:
    """Take the row of what is claimed over all injections: none where nothing is."""
    table = a.results.population
    return table[(table["quantity"] == a.results.claimed) & (table["injection"] == OVERALL)]


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _in_both_arms(report: Report) -> Said | None:
    arms = report.trial.arms
    if arms is None or not report.trial.compares or arms.unit != PATIENT:
        return None
    if arms.randomised:
        return Said("It acts on both arms alike, so it is not in their difference.")
    return Said("It may act differently in the two arms: they were not randomised.", True)
