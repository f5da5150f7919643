"""How the report puts numbers, probabilities and findings into words.

Numbers are rounded to what they can carry: two decimals for slopes, none for percentages. Findings follow one fixed
verbal scale (VERBAL_SCALE), applied to the probability as it is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from slopeshift.answers.quantities import CLAIM, DIFFERENCE, SLOWING_PERCENT
from slopeshift.answers.tables import Results
from slopeshift.design.cycles import OVERALL
from slopeshift.report.words.numbers import between, certainty, count, counted, number, probability


@dataclass(frozen=True)
class Finding:
    """What happened after one injection: the verdict in words, and the numbers it rests on, each with its interval.

    `slowing` is empty where the population does not clearly decline before treatment. Where arms are compared, `change`
    is their difference, and `slowing` against the control.
    """

    injection: str
    after: str
    verdict: str
    change: str
    change_interval: str
    slowing: str
    slowing_interval: str
    probability: str


def baseline(results: Results) -> str:
    """Say how the outcome changed a month before the first injection."""
    slope = _row(results.population, "lead_in_slope", "")
    when = "before injection 1" if _injections(results) else "over the whole follow-up"
    value, interval = (
        number(slope["mean"], sign=True),
        between(slope["lower"], slope["upper"], slope["unit"], sign=True),
    )
    return f"Slope {when}: {value} {slope['unit']} (95 % interval {interval})."


def findings(results: Results) -> list[Finding]:
    """Say for the mean over all injections, then for each, how the slope changed."""
    return [_finding(results, injection) for injection in sorted(_injections(results), key=lambda k: k != OVERALL)]


def slowed_patients(results: Results, prior_expected: float) -> str:
    """Say how many patients slowed on average over their cycles, and how many the prior alone expected."""
    row = _overall_responders(results)
    if row is None:
        return ""
    return (
        f"{count(row['expected'])} (95 % interval {row['lower']} to {row['upper']}) of "
        f"{counted(row['n_patients'], 'patient')} with values after an injection are expected to have slowed so much; "
        f"before the data, {count(prior_expected)}."
    )


def named_patients(results: Results) -> str:
    """Say how many patients can be called slowed, and how many of these claims would be wrong."""
    row = _overall_responders(results)
    if row is None:
        return ""
    if not row["n_called"]:
        return f"No patient has a probability above {CLAIM:g} of this."
    have = "patient has" if row["n_called"] == 1 else "patients have"
    return (
        f"{row['n_called']} {have} a probability above {CLAIM:g} of this; naming them would be wrong for "
        f"{number(row['expected_false_claims'], 1)} of them on average."
    )


def _overall_responders(results: Results) -> pd.Series[Any] | None:
    table = results.responders
    overall = table[(table["injection"] == OVERALL) & (table["threshold"] == SLOWING_PERCENT)]
    return None if overall.empty else overall.iloc[0]


def _finding(results: Results, injection: str) -> Finding:
    population, compared = results.population, results.claimed == DIFFERENCE
    change = _row(population, results.claimed, injection)
    slows = "percent_slowing_of_control" if compared else "percent_slowing"
    percents = population[population["quantity"] == slows]
    declining, given = not percents.empty, injection in set(percents["injection"])
    slowing = _row(population, slows, injection) if given else None
    return Finding(
        injection=injection,
        after="All injections together" if injection == OVERALL else f"Injection {injection}",
        verdict=certainty(change["prob_better"], declining, results.sign, compared=compared),
        change=f"{number(change['mean'], sign=True)} {change['unit']}",
        change_interval=between(change["lower"], change["upper"], change["unit"], sign=True),
        slowing="" if slowing is None else f"slowing {number(slowing['median'], 0)} %",
        slowing_interval="" if slowing is None else f"{between(slowing['lower'], slowing['upper'], '%')} %",
        probability=probability(change["prob_better"]),
    )


def _injections(results: Results) -> list[str]:
    return [str(k) for k in results.population.loc[results.population["quantity"] == results.claimed, "injection"]]


def _row(population: pd.DataFrame, quantity: str, injection: str) -> pd.Series[Any]:
    row: pd.Series[Any] = population[
        (population["quantity"] == quantity) & (population["injection"] == injection)
    ].iloc[0]
    return row
