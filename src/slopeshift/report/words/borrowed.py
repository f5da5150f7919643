"""How much of an answer is borrowed from the trial's control, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slopeshift.checks.rules import FIRES
from slopeshift.report.analysis import rows_of
from slopeshift.report.words.numbers import count, counted, course, known, listed, number, probability, share
from slopeshift.sensitivity.borrowing import MIXED

if TYPE_CHECKING:
    import pandas as pd

CALLED = {"slope": "the slope before treatment", "curvature": "its curvature"}


def sentence(borrowed: pd.DataFrame, source: str, sign: float, varied: pd.DataFrame | None = None) -> str:
    """Say how much is borrowed from the control `source`, whether the trial contradicts it, and what is left without.

    `borrowed` is `answers.borrowed.table` of the fit, `varied` its rows of the sensitivity study's table `borrowing`,
    where there are any, and `sign` that of the outcome. Empty where nothing is borrowed.
    """
    if borrowed.empty:
        return ""
    parts = [f"{share(row.share_of_prior)} of what is known of {CALLED[row.quantity]}" for row in borrowed.itertuples()]
    worth = [known(row.effective_patients, count(row.effective_patients)) for row in borrowed.itertuples()]
    patients = counted(int(borrowed["patients"].iloc[0]), "patient")
    like = f", worth {listed(worth)} patients of this design, which has {patients}" if all(worth) else ""
    told = [_conflict(row) for row in borrowed.itertuples()]
    without = "" if varied is None or varied.empty else _without(varied, sign)
    return f"Borrowed from {source}: {listed(parts)}{like}; {listed(told)}{without}."


def _conflict(row: Any) -> str:
    """Say whether the trial alone contradicts the control about one quantity."""
    if row.conflict != row.conflict:
        return f"of {CALLED[row.quantity]} the trial alone says too little to contradict it"
    digits = 3 if row.quantity == "curvature" else 2
    verdict = "contradicts" if row.conflict_probability < FIRES else "does not contradict"
    return (
        f"of {CALLED[row.quantity]} the trial alone says {number(row.estimate, digits)} and the control "
        f"{number(row.prior_mean, digits)}, which {verdict} it (two-sided probability "
        f"{probability(row.conflict_probability)})"
    )


def _without(varied: pd.DataFrame, sign: float) -> str:
    """Say what the answer would be under a vague prior in the place of the control's, and where the claim is lost."""
    mixed = rows_of({"borrowing": varied}, "borrowing", prior=MIXED).set_index("share")
    none, full, tips = mixed.loc[0.0], mixed.loc[1.0], float(mixed["tips_below"].iloc[0])
    if none["prob_better"] != none["prob_better"]:
        return "; what is left without it could not be weighed"
    lost = known(tips, f", and crosses 0.8 where the control has a weight of {number(tips)}")
    return (
        f"; without it the probability of slower {course(sign)} would be {probability(none['prob_better'])} instead of "
        f"{probability(full['prob_better'])}{lost}"
    )
