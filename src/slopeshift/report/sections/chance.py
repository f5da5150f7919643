"""What chance alone gives, as the report shows it: tables, sentences and figures of the null study of a trial.

The study is made apart from the report; each of its tables may be missing, and then says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Analysis, Report, Tables, rows_of
from slopeshift.report.figures import chance as chance_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.sections.own import named, period_name, statistic
from slopeshift.report.words.numbers import Table, in_columns, known, number, percent, share, stacked

PLACED = (
    "improved",
    "improved_of_defined",
    "mean_percent",
    "mean_change",
    "sd_change",
    "wilcoxon_p",
    "rose",
    "interval_correlation",
)
"""Statistics that are placed among those of null trials in print; `null_reference.csv` has all."""

DRAWN = ("improved", "mean_change")
IN_SHORT = (OVERALL, "whole")
"""Statistics, and their periods, that are drawn in the shorter page; the longer one has all statistics and periods."""

PERIODS = 8
"""Periods that one figure holds; of more, there are several figures."""


def sources(study: Tables, outcome: str) -> list[str]:
    """Name what null trials of an outcome were drawn from, the fit of its own model first."""
    found = list(dict.fromkeys(rows_of(study, "null_reference", outcome=outcome).get("source", ())))
    return sorted(found, key=lambda source: (source != f"fit of {outcome}", not source.startswith("fit of")))


def headline(study: Tables, outcome: str) -> str:
    """Say what the trial's own count of improved patients would be had nothing changed; empty where it is not known."""
    row = _counted(study, outcome)
    if row is None:
        return ""
    return (
        f"{row['observed']:.0f} improved by more than 25 %; with no change at all, {number(row['mean'], 1)} "
        f"(95 % range {row['lower']:.0f} to {row['upper']:.0f}) would."
    )


def placed(study: Tables, outcome: str, source: str, unit: str) -> Table:
    """Place the statistics of an outcome, in `unit`, among those of null trials from one source."""
    mine = rows_of(study, "null_reference", outcome=outcome, source=source)
    order = {name: i for i, name in enumerate(PLACED)}
    mine = mine[mine["statistic"].isin(PLACED)].sort_values(
        "statistic", key=lambda names: names.map(order), kind="stable"
    )
    trials = int(mine["n_trials"].max()) if len(mine) else 0
    return in_columns(
        f"{trials:,} trials without any change, drawn from: {source}",
        mine,
        ("Statistic", "l", lambda row: named(row.statistic, unit)),
        ("Period", "l", lambda row: period_name(row.injection)),
        ("This trial", "r", lambda row: statistic(row.statistic, row.observed)),
        ("Null mean", "r", lambda row: number(row.mean, 0 if row.statistic == "mean_percent" else 2)),
        ("Null 95 % range", "r", _range),
        ("Null at or above", "r", lambda row: known(row.share_at_or_above, share(row.share_at_or_above)) or "–"),
    )


def distributions(
    study: Tables, analysis: Analysis, names: Sequence[str], periods: Sequence[str] | None = None
) -> list[Picture]:
    """Draw the null distributions of statistics, from the fit of the outcome's model where there is one.

    `periods` chooses some of them; without it all are drawn, PERIODS in a figure.
    """
    outcome, unit = analysis.record["outcome"], analysis.visits.outcome.unit
    if "null_distribution" not in study or not sources(study, outcome):
        return []
    source = sources(study, outcome)[0]
    bins, observed = (
        rows_of(study, name, outcome=outcome, source=source) for name in ("null_distribution", "null_reference")
    )
    every = list(dict.fromkeys(observed["injection"].astype(str)))
    pages = [list(periods)] if periods else [every[i : i + PERIODS] for i in range(0, len(every), PERIODS)]
    return [
        picture(
            chance_figures.null_distribution(bins, observed, name, unit, shown),
            f"{analysis.anchor}-null-{name}" + ("" if periods else f"-{page}"),
            f"{analysis.visits.outcome.label}. {named(name, unit)}: null trials (bars) and this one (line).",
            _aloud(observed[observed["injection"].isin(shown)], name, unit),
        )
        for name in names
        for page, shown in enumerate(pages, 1)
        if (bins.loc[bins["injection"].isin(shown), "statistic"] == name).any()
    ]


def _aloud(observed: pd.DataFrame, name: str, unit: str) -> str:
    """Say what a figure of null distributions shows."""
    said = [
        f"{period_name(row.injection)}: {statistic(name, row.observed)} in this trial, null 95 % {_range(row)}"
        for row in observed[observed["statistic"] == name].itertuples()
    ]
    return f"Null distribution of: {named(name, unit)}. {'; '.join(said)}."


def of_answers(analyses: Sequence[Analysis], name: str) -> pd.DataFrame:
    """Put a table of every fit's answers under each other, with columns model and outcome before the others."""
    parts = []
    for a in analyses:
        table = a.answered.tables[name].copy()
        table.insert(0, "model", a.record["model"])
        table.insert(1, "outcome", a.record["outcome"])
        parts.append(table)
    return stacked(parts)


def closed_form(analyses: Sequence[Analysis], *injections: str) -> Table | None:
    """Print what each model shows of this design where nothing changed; None where no model has a closed form.

    `injections` chooses some; without it, all are printed.
    """
    table = of_answers(analyses, "operating")
    table = table[table["injection"].isin(injections)] if injections and len(table) else table
    if table.empty:
        return None
    return in_columns(
        "What each model says of this design where nothing changed",
        table,
        ("Model", "l", lambda row: f"{row.model}, {period_name(row.injection).lower()}"),
        ("Courses", "l", "course"),
        ("Estimate: mean (SD)", "r", lambda row: f"{number(row.null_mean, sign=True)} ({number(row.null_sd)})"),
        ("Called a claim", "r", lambda row: percent(row.prob_claim)),
        ("At least as much", "r", lambda row: percent(row.prob_at_least)),
        ("Cut for 2.5 %", "r", lambda row: number(row.cut, 3)),
        ("Tipping bend", "r", lambda row: number(row.tipping_bend, 3)),
    )


def _counted(study: Tables, outcome: str) -> pd.Series | None:
    of = {"outcome": outcome, "source": next(iter(sources(study, outcome)), "")}
    rows = rows_of(study, "null_reference", **of, statistic="improved", injection=OVERALL)
    return rows.iloc[0] if len(rows) and rows["observed"].notna().all() else None


def context(report: Report) -> dict[str, Any]:
    """Show what the models and the trial's own statistics give by chance alone."""
    study = report.study

    def of_outcome(a: Analysis) -> dict[str, Any]:
        return {"label": a.visits.outcome.label, "drawn": distributions(study, a, DRAWN, IN_SHORT)}

    return {
        "shown": report.of_each(report.primary, of_outcome, failed=True) if study else [],
        "closed_form": closed_form(report.primary, OVERALL),
    }


def details(report: Report) -> dict[str, Any]:
    """Show all statistics of null trials, from every source that they were drawn from."""
    study = report.study

    def of_outcome(a: Analysis) -> dict[str, Any]:
        outcome = a.record["outcome"]
        return {
            "label": a.visits.outcome.label,
            "drawn": distributions(study, a, PLACED),
            "placed": [
                (source, placed(study, outcome, source, a.visits.outcome.unit)) for source in sources(study, outcome)
            ],
        }

    return {
        "shown": report.of_each(report.primary, of_outcome, failed=True) if study else [],
        "closed_form": closed_form(report.analyses),
    }


def _range(row: Any) -> str:
    return f"{statistic(row.statistic, row.lower)} to {statistic(row.statistic, row.upper)}"
