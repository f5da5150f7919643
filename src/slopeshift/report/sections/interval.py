"""The regression on the interval between injections, as the report shows it: one table, its sentences, one figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from slopeshift.answers import interval
from slopeshift.design.cycles import cycle_lengths, source_words
from slopeshift.design.shape import PLAIN
from slopeshift.report.analysis import Analysis, Report
from slopeshift.report.figures import interval as interval_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.words.interval import sentences as in_words
from slopeshift.report.words.numbers import Table, between, in_columns, known, number, probability, stacked
from slopeshift.trial import Trial


def table(report: Report) -> pd.DataFrame:
    """Put every answer on the interval under each other: the table `interval`."""
    second = [] if report.second_stage is None else [report.second_stage]
    return stacked([*(a.answered.tables["interval"] for a in report.analyses), *second], interval.COLUMNS)


def printed(found: pd.DataFrame) -> Table:
    """Print the table `interval`."""
    return in_columns(
        "Change of slope against the months to the next injection",
        found,
        (
            "Analysis",
            "l",
            lambda row: f"{row.analysis}, {row.quantity.removeprefix('interval_').replace('interval', 'all cycles')}",
        ),
        ("Model", "l", "model"),
        ("Estimate", "r", lambda row: number(row.mean, sign=True)),
        ("95 % interval", "r", lambda row: known(row.mean, between(row.lower, row.upper, row.unit, sign=True))),
        ("Pr(shorter better)", "r", lambda row: known(row.prob_shorter_better, probability(row.prob_shorter_better))),
        ("Unit", "l", "unit"),
        ("Cycles of patients", "r", lambda row: f"{row.n_cycles:.0f} of {row.n_patients:.0f}"),
        ("Note", "l", "note"),
    )


def sentences(found: pd.DataFrame, trial: Trial) -> list[str]:
    """Say what was found, and what it may mean; where models ask the same, that one speaks which is there to ask it."""
    own = found["model"].str.startswith("interval")
    said = found.loc[own.sort_values(ascending=False, kind="stable").index].drop_duplicates(["analysis", "quantity"])
    return in_words(said.sort_index(), source_words(trial))


def figure(analyses: Sequence[Analysis]) -> Picture | None:
    """Draw the patients' changes against their intervals with the fitted lines; None without a model of it."""
    regressed = [a for a in analyses if a.passed and "regression" in a.posterior.draws and a.visits.shape == PLAIN]
    chosen = [a for a in regressed if "interval_within" in a.posterior.draws["covariate"].to_numpy()]
    own = [a for a in chosen if a.record["model"] == "interval"] or chosen
    if not own:
        return None
    a = own[0]
    lengths = cycle_lengths(a.trial)
    changes = interval.changes(a.posterior, lengths)
    curve = interval.curve(a.posterior, lengths)
    return picture(
        interval_figures.response_against_interval(changes, curve, a.rate),
        f"{a.anchor}-interval",
        "Each dot is a patient’s cycle (line: 95 % interval); coloured: the fitted line with its 95 % band.",
        f"Change of slope against the months to the next injection, {len(changes)} cycles.",
    )


def context(report: Report) -> dict[str, Any]:
    """Show how the response goes with the interval between injections, and how that may be read."""
    found = table(report)
    if found.empty:
        return {"sentences": [], "drawn": None, "table": None}
    said = sentences(found, report.trial)
    return {"sentences": said, "drawn": figure(report.analyses), "table": printed(found)}
