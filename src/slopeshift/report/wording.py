"""How the report puts numbers, probabilities and findings into words.

Numbers are rounded to what they can carry: two decimals for slopes, none for percentages. Findings follow one fixed
verbal scale (VERBAL_SCALE), applied to the probability as it is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slopeshift.answers.quantities import CLAIM, SLOWING_PERCENT
from slopeshift.design.cycles import OVERALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from slopeshift.answers.tables import Results

VERBAL_SCALE = ((0.99, "almost certainly"), (0.95, "very probably"), (0.80, "probably"))
"""Least probability for each word; below the last it is unclear."""

_NOT_A_NUMBER = "–"


@dataclass(frozen=True)
class Table:
    """A table as printed. `align` has a letter per column: l for text, r for numbers.

    A row may be short: its last cell then fills it.
    """

    caption: str
    align: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def number(value: float, decimals: int = 2, sign: bool = False) -> str:
    """Write a number with a true minus sign, and a plus sign where `sign` is asked for."""
    if value != value:
        return _NOT_A_NUMBER
    rounded = round(value, decimals) + 0.0
    return f"{rounded:{'+' if sign and rounded else ''}.{decimals}f}".replace("-", "−")


def probability(value: float) -> str:
    """Write a probability with two decimals, and never as 0 or 1."""
    if value != value:
        return _NOT_A_NUMBER
    if value > 0.99:
        return "> 0.99"
    return "< 0.01" if value < 0.01 else f"{value:.2f}"


def count(value: float) -> str:
    """Write an expected number of patients: whole from ten on, else with one decimal."""
    return number(value, 0 if value >= 9.95 else 1)


def share(value: float) -> str:
    """Write a share as a percentage, and never a small one as none."""
    return "< 1 %" if 0 < value < 0.005 else f"{100 * value:.0f} %"


def in_unit(value: float, unit: str, sign: bool = False) -> str:
    """Write a value with the decimals that its unit can carry, without the unit."""
    if unit == "probability":
        return probability(value)
    return number(value, 0 if unit == "%" else 2, sign)


def between(lower: float, upper: float, unit: str, sign: bool = False) -> str:
    """Write an interval."""
    return f"{in_unit(lower, unit, sign)} to {in_unit(upper, unit, sign)}"


def listed(items: Sequence[str]) -> str:
    """Write items as a list in a sentence."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def counted(n: int, noun: str) -> str:
    """Write a number with its noun, the plural ending in s."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def course(sign: float) -> str:
    """Name what the values do as patients worsen: decline, or rise where `sign` of the outcome is -1."""
    return "decline" if sign > 0 else "rise"


def arrows(sign: float) -> str:
    """Say below an axis of changes which way patients worsen more slowly."""
    left, right = ("faster", "slower")[:: int(sign)]
    return f"← {left} {course(sign)} | {right} {course(sign)} →"


def certainty(prob_better: float, worsening: bool = True, sign: float = 1) -> str:
    """Put the probability that patients worsen more slowly into words by VERBAL_SCALE, in either direction.

    `worsening` says whether they worsened before, of which to say that it became slower; `sign` is the outcome's.
    """
    better, worse, neither = (f"slower {course(sign)}", f"faster {course(sign)}", course(sign))
    if not worsening:
        better, worse, neither = (*("higher slope", "lower slope")[:: int(sign)], "slope")
    printed = round(max(prob_better, 1 - prob_better), 2)
    for least, words in VERBAL_SCALE:
        if printed >= least:
            return f"{words} {better if prob_better >= 0.5 else worse}"
    return f"unclear whether the {neither} changed"


def point(row: Any) -> float:
    """Take the number to print of a summarised quantity: its mean, or the median of a percentage or ratio."""
    return float(row.median if row.unit in ("%", "ratio") else row.mean)


@dataclass(frozen=True)
class Finding:
    """What happened after one injection: the verdict in words, and the numbers it rests on, each with its interval.

    `slowing` is empty where the population does not clearly decline before treatment.
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
        f"{count(row['expected'])} (95 % interval {row['lower']} to {row['upper']}) expected of "
        f"{counted(row['n_patients'], 'patient')} with values after an injection; before the data, "
        f"{count(prior_expected)}."
    )


def named_patients(results: Results) -> str:
    """Say how many patients can be called slowed, and how many of these claims would be wrong."""
    row = _overall_responders(results)
    if row is None:
        return ""
    if not row["n_called"]:
        return f"No patient has a probability above {CLAIM:g} of it."
    have = "patient has" if row["n_called"] == 1 else "patients have"
    return (
        f"{row['n_called']} {have} a probability above {CLAIM:g} of it, of which claims "
        f"{number(row['expected_false_claims'], 1)} are expected to be false."
    )


def _overall_responders(results: Results) -> pd.Series[Any] | None:
    table = results.responders
    overall = table[(table["injection"] == OVERALL) & (table["threshold"] == SLOWING_PERCENT)]
    return None if overall.empty else overall.iloc[0]


def _finding(results: Results, injection: str) -> Finding:
    population = results.population
    change = _row(population, "change", injection)
    declining = bool((population["quantity"] == "percent_slowing").any())
    slowing = _row(population, "percent_slowing", injection) if declining else None
    return Finding(
        injection=injection,
        after="All injections together" if injection == OVERALL else f"Injection {injection}",
        verdict=certainty(change["prob_better"], declining, results.sign),
        change=f"{number(change['mean'], sign=True)} {change['unit']}",
        change_interval=between(change["lower"], change["upper"], change["unit"], sign=True),
        slowing="" if slowing is None else f"slowing {number(slowing['median'], 0)} %",
        slowing_interval="" if slowing is None else f"{between(slowing['lower'], slowing['upper'], '%')} %",
        probability=probability(change["prob_better"]),
    )


def _injections(results: Results) -> list[str]:
    return [str(k) for k in results.population.loc[results.population["quantity"] == "change", "injection"]]


def _row(population: pd.DataFrame, quantity: str, injection: str) -> pd.Series[Any]:
    row: pd.Series[Any] = population[
        (population["quantity"] == quantity) & (population["injection"] == injection)
    ].iloc[0]
    return row
