"""Covariates: what level, slope and change go with, in one table and its sentences, which speak of association."""

from __future__ import annotations

from typing import Any

import pandas as pd

from slopeshift.answers.covariates import COLUMNS
from slopeshift.report.analysis import Report
from slopeshift.report.words.numbers import Table, between, counted, in_columns, known, number, probability, stacked

ASSOCIATION = (
    "These are associations: patients who differ in a covariate differ in much else, and nobody was assigned to one. "
    "The answers elsewhere are those of a patient at whom every covariate counts as 0: at the stated centre or the "
    "reference level."
)
_ON = {
    "level": "the level at the first injection",
    "slope": "the slope before treatment",
    "curvature": "the curvature",
    "change": "the change",
}


def table(report: Report) -> pd.DataFrame:
    """Put the coefficients of all models, but for those of the interval, under each other: the table `covariates`."""
    return stacked([a.answered.tables["covariates"] for a in report.analyses], COLUMNS)


def sentences(found: pd.DataFrame) -> list[str]:
    """Say what goes with each covariate, and how that may be read: empty without a covariate."""
    return [*map(_finding, found.itertuples()), ASSOCIATION] if len(found) else []


def context(report: Report) -> dict[str, Any]:
    """Show what level, slope and change go with; nothing where no model has a covariate."""
    found = table(report)
    return {"sentences": sentences(found), "table": None if found.empty else printed(found)}


def _finding(row: Any) -> str:
    what = f"{row.label}, {row.step}, and {_ON[row.on]} ({row.model})"
    if row.mean != row.mean:
        return f"{what}: {row.note}."
    sentence = (
        f"{what}: associated with a difference of {number(row.mean, sign=True)} {row.unit} (95 % interval "
        f"{between(row.lower, row.upper, row.unit, sign=True)}; probability of an association with what is better "
        f"{probability(row.prob_better)}; {counted(row.n_patients, 'patient')})"
    )
    return f"{sentence}; {row.note}." if row.note else f"{sentence}."


def printed(found: pd.DataFrame) -> Table:
    """Print the table `covariates`."""
    return in_columns(
        "What level, slope and change go with",
        found,
        ("Covariate", "l", lambda row: f"{row.label}: {row.step}"),
        ("Of", "l", lambda row: _ON[row.on]),
        ("Model", "l", "model"),
        ("Estimate", "r", lambda row: number(row.mean, sign=True)),
        ("95 % interval", "r", lambda row: known(row.mean, between(row.lower, row.upper, row.unit, sign=True))),
        ("Pr(better)", "r", lambda row: known(row.mean, probability(row.prob_better))),
        ("Unit", "l", "unit"),
        ("Note", "l", "note"),
    )
