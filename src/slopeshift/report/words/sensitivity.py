"""What moves the answer and what does not, in sentences that follow the numbers of the sensitivity table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from slopeshift.answers.interval import MOVED_SDS
from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Analysis, Tables, rows_of
from slopeshift.report.words.numbers import course, listed, number, probability
from slopeshift.sensitivity import curves, variations
from slopeshift.sensitivity.rows import MAIN
from slopeshift.sensitivity.rules import INFLUENTIAL_SDS, influential

OTHER_MODEL, MOVED = "another model", "injections moved to where nothing happened"

_APART = (
    *(MAIN, MOVED, variations.ONE_LEFT_OUT, variations.AFTER_LEAVING, variations.WANING),
    *("expectation bias", "enthusiastic prior"),
)
"""What has sentences of its own, or is meant to move the answer: not counted among what should leave it in place."""

LEAST_TOLD = 4.0
"""Difference of log predictive densities below which no model is told from another (Sivula et al. 2025,
doi 10.48550/arXiv.2008.10296)."""


def of_outcome(rows: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Take the overall rows of one outcome."""
    return rows[(rows["outcome"] == outcome) & (rows["injection"] == OVERALL)]


def sentences(rows: pd.DataFrame, varied: Tables, main: Analysis) -> list[str]:
    """Say what moves the answer for an outcome, and what does not."""
    mine = of_outcome(rows, main.record["outcome"])
    own = mine[mine["analysis"] == MAIN]
    if own.empty or own["mean"].isna().all():
        return ["The main analysis gave no change that could be varied."]
    return [
        text
        for text in (
            *_analyses(mine, own.iloc[0], main),
            _shapes(mine, varied, main),
            _patients(mine),
            *_tipping(varied, main),
        )
        if text
    ]


def _analyses(mine: pd.DataFrame, own: pd.Series, main: Analysis) -> list[str]:
    counted_rows = mine[~mine["analysis"].isin(_APART)]
    known, silent = counted_rows.dropna(subset="mean"), counted_rows[counted_rows["mean"].isna()]
    if known.empty:
        return []
    # A change that means something else may differ without moving anything.
    same = (known["note"] == "") | (known["analysis"] != OTHER_MODEL)
    far = known[same & (known["difference"].abs() >= MOVED_SDS)]
    side = known["prob_better"] >= curves.HEADLINE
    claimed = own["prob_better"] >= curves.HEADLINE
    crossed = known[side != claimed]
    said = [
        f"The main analysis gives a probability of slower {course(main.sign)} overall of "
        f"{probability(own['prob_better'])}. {_elsewhere(known['prob_better'])}"
    ]
    if len(far):
        moves = [f"{_called(row)} ({number(row.difference, 1, sign=True)} SDs)" for row in far.itertuples()]
        said.append(f"The change moves by half a posterior SD or more with {listed(moves)}.")
    else:
        said.append("None moves the change by as much as half a posterior SD.")
    if len(crossed):
        names = [f"{_called(row)} ({probability(row.prob_better)})" for row in crossed.itertuples()]
        way = "falls below 0.8" if claimed else "reaches 0.8"
        said.append(f"The probability {way} with {listed(names)}.")
    else:
        said.append(f"None {'lowers the probability below' if claimed else 'raises the probability to'} 0.8.")
    if len(silent):
        said.append(f"No number could be given for {listed([_called(row) for row in silent.itertuples()])}.")
    return said


def _elsewhere(probabilities: pd.Series[float]) -> str:
    """Say what probability the other analyses give."""
    low, high = probability(probabilities.min()), probability(probabilities.max())
    if len(probabilities) == 1:
        return f"The one other analysis gives {low}."
    where = f"is {low} in all" if low == high else f"lies between {low} and {high}"
    return (
        f"Over {len(probabilities)} other analyses, with other models, other priors or parts of the data, it {where}."
    )


def _called(row: Any) -> str:
    if row.analysis == OTHER_MODEL:
        return f"model {row.model}"
    return f"{row.analysis}, {row.detail}" if row.analysis == variations.WANING else str(row.analysis)


def _shapes(mine: pd.DataFrame, varied: Tables, main: Analysis) -> str:
    """Say what effects that set in late or wear off make of the answer, and whether the data tell them apart."""
    rows = mine[mine["analysis"] == variations.WANING].dropna(subset="mean")
    if rows.empty:
        return ""
    compared = rows_of(varied, "waning", model=rows["model"].iloc[0]).drop_duplicates(["lag", "half_life"])
    longest = float(compared["lag"].max())
    months = "month" if longest == 1 else "months"
    gain, error = compared["difference_from_at_once"], compared["standard_error_of_difference"]
    better = ((gain > LEAST_TOLD) & (gain > 2 * error)).any()
    told = (
        "at least one of them predicts the values better than" if better else "the data distinguish none of them from"
    )
    return (
        f"If effects set in up to {longest:g} {months} late or wore off ({len(rows)} shapes), the "
        f"probability of slower {course(main.sign)} would lie between {probability(rows['prob_better'].min())} and "
        f"{probability(rows['prob_better'].max())}; {told} an effect that sets in at once and lasts."
    )


def _patients(mine: pd.DataFrame) -> str:
    """Say how far the answer hangs on any one patient."""
    rows = mine[mine["analysis"] == variations.ONE_LEFT_OUT].dropna(subset="mean")
    if rows.empty:
        return ""
    low, high = rows.loc[rows["mean"].idxmin()], rows.loc[rows["mean"].idxmax()]
    verdict = influential(rows["difference"])
    hangs = "depends on single patients" if verdict.fired else "does not depend on any one patient"
    return (
        f"With each patient left out in turn, the change lies between {number(low['mean'], sign=True)} (without "
        f"{low['detail']}) and {number(high['mean'], sign=True)} (without {high['detail']}), and the probability "
        f"between {probability(rows['prob_better'].min())} and {probability(rows['prob_better'].max())}: by the rule "
        f"that no patient should move the change by more than {INFLUENTIAL_SDS:g} posterior SD, the answer {hangs}."
    )


def tips(point: pd.Series, side: str) -> float:
    """Where the probability crosses 0.8 on one side, `tips_below` or `tips_above`; NaN where it was not reached."""
    return float(point[side])


def _tipping(varied: Tables, main: Analysis) -> list[str]:
    mine = rows_of(varied, "sensitivity_tipping", model=main.record["model"])
    if mine.empty:
        return []
    mine = mine.set_index("kind")
    words = {
        curves.PRIOR_SD: _prior,
        curves.EXPECTATION: _expectation,
        curves.NATURAL_HISTORY: _natural_history,
    }
    return [say(mine.loc[kind]) for kind, say in words.items() if kind in mine.index]


def _prior(point: pd.Series) -> str:
    unit, own = point["unit"], number(point["at"])
    if point["prob_better"] < curves.HEADLINE:
        above = tips(point, "tips_above")
        wider = (
            f"It stays below 0.8 for every SD up to {number(point['searched_to'])}."
            if np.isnan(above)
            else f"It reaches 0.8 only where the SD is above {number(above)}."
        )
        return (
            "Under a prior centred at no change, the probability is already below 0.8 at the model's SD of "
            f"{own} {unit}. {wider}"
        )
    below = tips(point, "tips_below")
    if np.isnan(below):
        return (
            f"No prior centred at no change brings the probability below 0.8, down to an SD of "
            f"{number(point['searched_from'])} {unit} (the model's own: {own})."
        )
    return (
        "Tipping prior: anyone who believes, before the data, that the mean change over the injections is 0 with an SD "
        f"below {number(below)} {unit} is left with a probability below 0.8; the model's own SD is {own}."
    )


def _expectation(point: pd.Series) -> str:
    unit, above = point["unit"], tips(point, "tips_above")
    if point["prob_better"] < curves.HEADLINE:
        return ""
    if np.isnan(above):
        return f"Expectation would have to add more than {number(point['searched_to'])} {unit} (SD) to undo the claim."
    return (
        "In an open trial, patients and raters have expectations. If expectation alone may change the slope by an "
        f"unknown amount around zero with an SD of {number(above)} {unit}, the probability that more than expectation "
        "slowed the decline falls below 0.8; the data cannot tell the two apart."
    )


def _natural_history(point: pd.Series) -> str:
    unit, below, above = point["unit"], tips(point, "tips_below"), tips(point, "tips_above")
    if point["prob_better"] < curves.HEADLINE:
        return ""
    found = [shift for shift in (below, above) if not np.isnan(shift)]
    if not found:
        return (
            f"Moving the expected slope before treatment by up to {number(point['searched_to'])} {unit} either way "
            "does not bring the probability below 0.8."
        )
    nearest = min(found, key=abs)
    return (
        f"The expected natural history would have to be moved by {number(nearest, sign=True)} {unit} before the "
        "probability falls below 0.8."
    )
