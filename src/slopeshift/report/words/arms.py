"""What is said of two arms beside their difference: the test that randomisation gives, and their usual analyses."""

from __future__ import annotations

from typing import Any

from slopeshift.design.arms import LATE
from slopeshift.report.analysis import Tables, rows_of
from slopeshift.report.words.numbers import between, estimate, number, probability


def tested_by_permutation(answer: Tables) -> str:
    """Say how the trial's allocation compares with others that might have been, from the tables of a fit.

    Empty where patients were not randomised.
    """
    rows = rows_of(answer, "permutation")
    if rows.empty:
        return ""
    row = rows.iloc[0]
    return (
        f"Had the treatment done nothing to anybody, {of_allocations(row['p'])} allocations would give arms that "
        f"differ as much ({p_value(row['p'])}, two-sided, {row['allocations']:,.0f} drawn). This holds however "
        "courses bend and patients were chosen."
    )


def usual_analyses(answer: Tables) -> str:
    """Say what usual analyses find, in one sentence each; empty where none could be made."""
    rows = rows_of(answer, "arms")
    return " ".join(
        f"{row.method.capitalize()}{'' if row.month != row.month else f' at month {row.month:g}'}: "
        f"{number(row.estimate, sign=True)} ({between(row.lower, row.upper, row.unit, sign=True)}) {row.unit}, "
        f"{p_value(row.p)}, {row.patients} patients."
        for row in rows.itertuples()
    )


def delayed_start(answer: Tables) -> str:
    """Say what became of the control's patients who went over to the treatment: empty where none did, or none informs.

    It is a comparison within patients, with all that the difference of the arms is free of.
    """
    rows = rows_of(answer, "covariates", quantity=LATE)
    rows = rows[rows["mean"].notna()] if "mean" in rows else rows
    if rows.empty:
        return ""
    row: Any = next(rows.itertuples())
    return (
        "After patients of the control went over to the treatment, their slopes differed from those in the same cycles "
        f"under the control by {estimate(row)} {row.unit}, probability {probability(row.prob_better)} for the better. "
        "When they went over, and whether they knew, was not left to chance, so this is no part of the difference."
    )


def p_value(p: float) -> str:
    """Write a p value: two decimals, three below a tenth, none below 0.001."""
    return "p < 0.001" if p < 0.001 else f"p = {number(p, 3 if p < 0.1 else 2)}"


def of_allocations(p: float) -> str:
    """Write a share of allocations."""
    return "fewer than 1 in 1,000" if p < 0.001 else f"{1000 * p:.0f} in 1,000"
