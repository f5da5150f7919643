"""The trial's own kind of analysis, as tables of the report: what it counts here, and what others published."""

from __future__ import annotations

from typing import Any

import pandas as pd

from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Report
from slopeshift.report.words.numbers import Table, in_columns, known, number, pieces
from slopeshift.trial import Outcome

LABELS = {
    "patients": "Patients with both slopes",
    "undefined_percent": "Patients without a percentage",
    "improved": "Slope improved by more than 25 %, patients",
    "improved_of_defined": "Share improved, of those with a percentage",
    "mean_percent": "Mean improvement, %",
    "median_percent": "Median improvement, %",
    "mean_change": "Mean change of slope, {unit}/month",
    "sd_change": "SD of the changes of slope, {unit}/month",
    "wilcoxon_p": "Signed-rank test, p",
    "rose": "Value rose over the cycle, patients",
    "largest_rise": "Largest rise, {unit}",
    "interval_correlation": "Rank correlation of change and interval",
}
"""Statistics in the order of the table, `{unit}` that of the outcome; those that count how many are behind another are
left to the CSV file."""


def named(statistic: str, unit: str) -> str:
    """Name a statistic with the unit that its numbers have."""
    return LABELS[statistic].format(unit=unit)


WHOLE_NUMBERS = ("patients", "undefined_percent", "improved", "mean_percent", "median_percent", "rose", "largest_rise")

_PUBLISHED = {"improved": "improved by more than 25 %", "mean_percent": "mean improvement", "rose": "score rose"}


def statistics(classical: pd.DataFrame, outcome: Outcome) -> Table:
    """Print the statistics of one outcome: a row each, a column per period. `classical` is `classical.model_free`."""
    mine = classical[classical["outcome"] == outcome.name]
    periods = list(dict.fromkeys(mine["injection"]))
    found = mine.set_index(["statistic", "injection"])["value"]
    rows = [
        [named(name, outcome.unit), *(statistic(name, found.get((name, k), float("nan"))) for k in periods)]
        for name in LABELS
    ]
    heads = ["Statistic", *map(period_name, periods)]
    return Table("Least-squares slopes and what is counted of them", "l" + "r" * len(periods), heads, rows)


def published(table: pd.DataFrame) -> Table:
    """Print what the seed trial published of the same statistics."""
    rows = []
    for name, quantity in _PUBLISHED.items():
        for row in table[table["quantity"] == quantity].itertuples():
            of = f" of {row.n:.0f}" if row.n == row.n else ""
            value = f"{row.value:g}{of}" + ("" if row.unit == "patients" else f" {row.unit}")
            rows.append([LABELS[name], period_name(row.period), value, row.source, row.note])
    heads = ["Statistic", "Period", "Published", "Source", "Note"]
    return Table("Published by Petrou et al. 2021, not this trial", "lllll", heads, rows)


def relatives(table: pd.DataFrame) -> Table:
    """Print published figures of untreated patients and of placebo groups, and of the treated beside them."""
    return in_columns(
        "Published figures of other patients",
        table,
        ("Patients", "l", lambda row: f"{row.study}, {row.population}"),
        ("Quantity", "l", "quantity"),
        ("Period", "l", "period"),
        ("n", "r", lambda row: known(row.n, f"{row.n:.0f}")),
        ("Value", "r", lambda row: f"{row.value:g}" + known(row.sd, f" (SD {row.sd:g})")),
        ("Unit", "l", "unit"),
        ("Source", "l", "source"),
    )


def statistic(name: str, value: float) -> str:
    """Write the value of a statistic with the decimals it can carry."""
    if name == "wilcoxon_p" and value < 0.001:
        return "< 0.001"
    decimals = 0 if name in WHOLE_NUMBERS else 3 if name == "wilcoxon_p" else 2
    return number(value, decimals)


def period_name(period: str) -> str:
    """Name a period in print."""
    return {OVERALL: "All cycles", "whole": "First to last injection"}.get(period, f"Injection {period}")


def context(report: Report) -> dict[str, Any]:
    """Show the trial's own kind of analysis of every outcome, and published figures to read it beside."""
    outcomes = report.trial.outcomes.values()
    return {
        "outcomes": [(o.label, pieces(statistics(report.own["classical"], o))) for o in outcomes],
        "published": [published(report.own["published_trial"]), relatives(report.own["published_relatives"])],
    }
