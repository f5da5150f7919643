"""What the table of the interval says, in sentences, and what must be read before them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from slopeshift.answers.interval import NEGATIVE_CONTROL, WHOLE, WINDOW, by_window, control_fires, window_fires
from slopeshift.answers.quantities import BETWEEN
from slopeshift.report.words.numbers import between, counted, listed, number, probability

OUTCOME_DEPENDENT = (
    "Where the next injection is delayed while a patient does well, or brought forward when not, the response goes "
    "with the interval although the interval does nothing: in simulated trials without any effect the slope change "
    "measured in the first three months of a cycle correlated with its length by 0.26, 0.43 and 0.58 under weak, "
    "moderate and strong dependence."
)

NOT_AN_EFFECT = (
    "The negative control found it: how late the next injection was goes with the slope seen before it, in the first "
    "months of the cycle. The interval was probably chosen from the response, or both have one cause, and the result "
    "on the interval is not to be read as an effect of the interval."
)

CONTROL_SILENT = (
    "The negative control found no sign of it. In simulated trials with 22 closed cycles of 12 patients it finds "
    "strong dependence in four of five trials and moderate dependence in half: its silence is evidence, but no proof."
)

NO_CONTROL = "The negative control could not be informed, so nothing speaks against it."

ONLY_WHEN_SEEN = (
    "So the dependence on the interval comes from when in a cycle the change is seen, not from the length of the "
    "cycle: an effect that wanes looks smaller in a longer cycle, one that sets in late looks larger, and a longer "
    "cycle is better known. It is not to be read as what another interval would do."
)

WINDOW_SILENT = "Whole cycles and their first months give coefficients that differ by no more than chance makes them."

NO_WINDOW = (
    "Whole cycles and their first months could not be compared: that needs both models of the interval, informed by "
    "the data. An effect that wanes or sets in late may look like an effect of the interval."
)

WINDOW_RATES = (
    "In simulated trials with cycles of 2 to 10 months, whose length does nothing, it finds an effect of 2 points a "
    "month that is halved every month in 60 % of trials of 60 patients and in 26 % of trials of 20 patients, and fires "
    "in at most 3 % of trials where the effect lasts (in 90 others of 20 patients in 8 %: there an alarm is weak); the "
    "less cycles differ in length, the less it finds."
)


def sentences(table: pd.DataFrame, source: str) -> list[str]:
    """Say what the regression on the interval found and how it may be read: empty without a row of it.

    `table` is that of `response_by_interval.table`, `source` the words on which intervals were used.
    """
    main = table[table["analysis"].isin((WHOLE, WINDOW))]
    if main.empty:
        return []
    several = main.duplicated(["analysis", "quantity"]).any()
    found = [(f"By {row.model}.py: " if several else "") + _finding(row) for row in main.itertuples()]
    if not main["mean"].notna().any():
        return [*found, *([source] if source else [])]
    control = table[table["analysis"] == NEGATIVE_CONTROL]
    heard = CONTROL_SILENT if control["mean"].notna().any() else NO_CONTROL
    first = NOT_AN_EFFECT if control_fires(table) else heard
    return [*found, source, OUTCOME_DEPENDENT, first, _compared(table)]


def _compared(table: pd.DataFrame) -> str:
    """Say what the fixed window made of the coefficients from whole cycles."""
    both = by_window(table)
    if both.empty:
        return NO_WINDOW
    if not window_fires(table):
        return f"{WINDOW_SILENT} {WINDOW_RATES}"
    parts = [
        f"{_where(row.quantity)} {number(row.whole, sign=True)} from whole cycles and {number(row.window, sign=True)} "
        f"from their first months ({row.unit})"
        for row in both.itertuples()
    ]
    return f"What goes with the interval is another in the first months of a cycle: {listed(parts)}. {ONLY_WHEN_SEEN}"


def _where(quantity: str) -> str:
    return "between patients" if quantity == BETWEEN else "within a patient"


def _finding(row: Any) -> str:
    where = _where(row.quantity)
    when = " in the first months of a cycle" if row.analysis == WINDOW else ""
    if row.mean != row.mean:
        return f"Interval, {where}{when}: {row.note}."
    sentence = (
        f"A month more to the next injection goes, {where}, with a change of slope{when} of "
        f"{number(row.mean, sign=True)} {row.unit.split(' per month')[0]} "
        f"(95 % interval {between(row.lower, row.upper, row.unit, sign=True)}; probability that shorter is better "
        f"{probability(row.prob_shorter_better)}; {counted(row.n_cycles, 'cycle')} of "
        f"{counted(row.n_patients, 'patient')})"
    )
    return f"{sentence}; {row.note}." if row.note else f"{sentence}."
