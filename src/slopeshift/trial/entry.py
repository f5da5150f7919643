"""Entry rules: which patients a trial let in, as its settings state it, and the values that decided.

A rule is about a quantity of values up to injection 1. `score` is a value; `loss` what was lost between two of them, as
patients worsen; `slope` the difference of the two per month, below 0 where values fall; `slope_from_onset` the points
lost from the best end of the scale, per month since onset; `decline_percent` the loss in percent of the earlier value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.trial.columns import SAME_DAY
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slopeshift.trial.roles import Outcome

    Floats = NDArray[np.float64]

FIRST, LAST, INJECTION, MONTH, COLUMN = "first", "last", "injection", "month:", "column:"
OF_TWO = ("loss", "slope", "decline_percent")
QUANTITIES = ("loss", "score", "slope", "slope_from_onset", "decline_percent")
LIMITS = ("at_least", "above", "at_most", "below")
NEAR = 0.5
"""Months that a value may lie from the month at which a rule asks for it."""

SAME = 1e-9
"""Months, points or percent within which numbers count as equal."""


@dataclass(frozen=True)
class EntryRule:
    """One condition that every patient met to enter, but those who are exempt.

    `outcome` and `quantity` say of what. `start` and `end` are the two occasions, or the one, at which values count:
    `first` or `last` up to injection 1, on the day of the `injection`, within half a month of `month:M`, or a
    screening value in `column:NAME` of the patients' table. Limits are in units of the outcome (`score`, `loss`), a
    month (`slope`, `slope_from_onset`) or percent. `spread` is the SD in outcome units with which the quantity was
    judged; 0 is a rule that was applied to the letter. `refused` of `screened` patients were refused by this rule.
    """

    outcome: str
    quantity: str
    start: str
    source: str
    end: str | None = None
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    spread: float = 0.0
    screened: int | None = None
    refused: int | None = None

    @property
    def occasions(self) -> tuple[str, ...]:
        """The occasions at which values count: the one, or the earlier and the later."""
        return (self.start,) if self.end is None else (self.start, self.end)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the screening values that the rule uses, as columns of the patients' table."""
        return tuple(each.removeprefix(COLUMN) for each in self.occasions if each.startswith(COLUMN))

    @property
    def lower(self) -> tuple[float, bool] | None:
        """The lower limit, in the rule's own units, and whether it is itself excluded: None where there is none."""
        return (self.above, True) if self.above is not None else _limit(self.at_least)

    @property
    def upper(self) -> tuple[float, bool] | None:
        """The upper limit, in the rule's own units, and whether it is itself excluded: None where there is none."""
        return (self.below, True) if self.below is not None else _limit(self.at_most)

    def meets(self, quantity: Floats) -> NDArray[np.bool_]:
        """Say which quantities, of any shape and in the rule's own units, lie within the limits."""
        met = np.ones(np.shape(quantity), dtype=bool)
        if (lower := self.lower) is not None:
            met &= quantity > lower[0] + SAME if lower[1] else quantity >= lower[0] - SAME
        if (upper := self.upper) is not None:
            met &= quantity < upper[0] - SAME if upper[1] else quantity <= upper[0] + SAME
        return met

    def limits_in_words(self) -> str:
        """Say the limits as they are written in the settings: "at_least 3", "above 20 and at_most 40"."""
        return " and ".join(f"{name} {value:g}" for name in LIMITS if (value := getattr(self, name)) is not None)

    def words(self, outcome: Outcome) -> str:
        """Say the rule in words, with its source: "an ALSFRS-R loss of at least 3 points from ... (protocol 4.1)"."""
        what, unit = _IN_WORDS[self.quantity].format(label=outcome.label), outcome.unit
        unit = {"slope": f"{unit} a month", "slope_from_onset": f"{unit} a month", "decline_percent": "%"}.get(
            self.quantity, unit
        )
        limits = self.limits_in_words().replace("_", " ")
        when = " to ".join(map(_occasion_in_words, self.occasions))
        judged = f", as judged (SD {self.spread:g} {outcome.unit})" if self.spread else ""
        return f"{what} {limits} {unit}, {'from' if self.end else 'at'} {when}{judged} ({self.source.strip()})"


_IN_WORDS = {
    "loss": "{label} loss",
    "score": "{label}",
    "slope": "{label} slope",
    "slope_from_onset": "{label} loss since onset",
    "decline_percent": "{label} decline",
}


def _occasion_in_words(occasion: str) -> str:
    if occasion.startswith(COLUMN):
        return f"the screening value {occasion.removeprefix(COLUMN)}"
    named = {FIRST: "the first value", LAST: "the last value up to injection 1", INJECTION: "the day of injection 1"}
    return named.get(occasion) or f"month {float(occasion.removeprefix(MONTH)):g}"


def _limit(value: float | None) -> tuple[float, bool] | None:
    return None if value is None else (value, False)


@dataclass(frozen=True, eq=False)
class Used:
    """The values that a rule was applied to, by patient and occasion: (patient, occasion), NaN where there is none.

    `month` counts from injection 1.
    """

    month: Floats
    value: Floats

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which patients have every value, the earlier one before the later: (patient,)."""
        there: NDArray[np.bool_] = ~np.isnan(self.value).any(axis=1) & ~np.isnan(self.month).any(axis=1)
        return there & (np.diff(np.nan_to_num(self.month), axis=1) > SAME).all(axis=1)


def used(rule: EntryRule, patients: pd.DataFrame, visits: pd.DataFrame) -> Used:
    """Find the values that a rule was applied to.

    `patients` has a row each: `patient`, and NAME and `NAME_month` for screening values; `visits` has `patient`,
    `month` and the outcome. Month 0 is injection 1, and stands in for it where a patient had none.
    """
    early = visits[["patient", "month", rule.outcome]].dropna()
    early = early[early["month"] <= SAME].sort_values("month", kind="stable")
    found = [_at(occasion, rule.outcome, patients, early) for occasion in rule.occasions]
    month, value = (np.column_stack([each[name] for each in found]).astype(float) for name in ("month", "value"))
    return Used(month, value)


def screening(rules: Sequence[EntryRule], outcome: str, patients: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Take the screening values that rules on an outcome name and that no visit has: columns patient, month, OUTCOME.

    Tables are as of `used`. A value is that of a visit where one has it on the same day.
    """
    early = visits[["patient", "month", outcome]].dropna()
    names = dict.fromkeys(name for rule in rules if rule.outcome == outcome for name in rule.columns)
    found = []
    for name in names:
        taken = _screened(name, outcome, patients, early)
        alone = taken[~taken["of_visit"]].dropna()
        found.append(alone.assign(patient=patients["patient"]).rename(columns={"value": outcome}))
    columns = ["patient", "month", outcome]
    return pd.concat(found)[columns] if found else pd.DataFrame(columns=columns)


def _at(occasion: str, outcome: str, patients: pd.DataFrame, early: pd.DataFrame) -> pd.DataFrame:
    """Take one value a patient: columns month and value, in the order of `patients`."""
    if occasion.startswith(COLUMN):
        return _screened(occasion.removeprefix(COLUMN), outcome, patients, early)
    if occasion == FIRST:
        rows = early.groupby("patient").head(1)
    elif occasion.startswith(MONTH):
        away = (early["month"] - float(occasion.removeprefix(MONTH))).abs()
        near = early.assign(away=away)[away <= NEAR + SAME]
        rows = near.sort_values("away", kind="stable").groupby("patient").head(1)
    else:
        on_day = early["month"] > -SAME_DAY
        rows = (early[on_day] if occasion == INJECTION else early).groupby("patient").tail(1)
    taken = rows.set_index("patient").reindex(patients["patient"]).rename(columns={outcome: "value"})
    return taken[["month", "value"]]


def _screened(name: str, outcome: str, patients: pd.DataFrame, early: pd.DataFrame) -> pd.DataFrame:
    """Take a screening value: columns month, value and of_visit, True where a visit has the same value on the day."""
    own = patients[["patient", name, f"{name}_month"]].set_axis(["patient", "month_value", "at"], axis=1)
    both = own.reset_index().merge(early, on="patient")
    same = (both["month"] - both["at"]).abs().lt(SAME_DAY) & (both[outcome] - both["month_value"]).abs().lt(SAME)
    of_visit = both[same].groupby("index")["month"].last().reindex(own.index)
    month = of_visit.fillna(own["at"])
    return pd.DataFrame({"month": month, "value": own["month_value"], "of_visit": of_visit.notna()})


def quantity(rule: EntryRule, values: Used, outcome: Outcome, onset: Floats) -> Floats:
    """Compute a rule's quantity in its own units: (patient,), NaN where values are missing.

    `onset` (patient,) is in months from injection 1.
    """
    first, last = values.value[:, 0], values.value[:, -1]
    apart = values.month[:, -1] - values.month[:, 0]
    best = np.nan if outcome.best is None else outcome.best
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = {
            "score": first,
            "loss": improvement(first - last, outcome.sign),
            "slope": (last - first) / apart,
            "slope_from_onset": improvement(best - first, outcome.sign) / (values.month[:, 0] - onset),
            "decline_percent": 100 * improvement(first - last, outcome.sign) / first,
        }[rule.quantity]
    return found
