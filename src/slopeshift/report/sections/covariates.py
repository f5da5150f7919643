"""Covariates: what level, slope and change go with, in one table and its sentences, which speak of association."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.answers.covariates import COLUMNS
from slopeshift.report.sections.interval import others
from slopeshift.report.words.numbers import Table, between, counted, number, probability

if TYPE_CHECKING:
    from slopeshift.report.analysis import Report

ASSOCIATION = (
    "These are associations: patients who differ in a covariate differ in much else, and nobody was assigned to one. "
    "The answers elsewhere are those of a patient at whom every covariate counts as 0: at the stated centre or the "
    "reference level."
)
_ON = {"level": "the level at the first injection", "slope": "the slope before treatment", "change": "the change"}


def table(report: Report) -> pd.DataFrame:
    """Put the coefficients of columns of patients.csv of all models under each other: the table `covariates`."""
    parts = [a.answered.tables["covariates"] for a in report.analyses]
    filled = [part for part in parts if not part.empty]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))


def of_cycles(report: Report) -> pd.DataFrame:
    """Take the coefficients of other values of cycles than the interval, as rows of the table `covariates`.

    They stand in the table `interval`, whose `prob_shorter_better` is of less of the covariate.
    """
    found = others(report)
    step = [f"a {unit.partition(' per ')[2]} more" if " per " in unit else "1 more" for unit in found["unit"]]
    found = found.assign(label=found["quantity"], step=step, on="change")
    return found.assign(prob_better=1 - found["prob_shorter_better"]).reindex(columns=list(COLUMNS))


def printed(found: pd.DataFrame) -> Table:
    """Print the table `covariates`."""
    rows = [
        [
            f"{row.label}: {row.step}",
            _ON[row.on],
            row.model,
            number(row.mean, sign=True),
            "" if row.mean != row.mean else between(row.lower, row.upper, row.unit, sign=True),
            "" if row.mean != row.mean else probability(row.prob_better),
            row.unit,
            row.note,
        ]
        for row in found.itertuples()
    ]
    heads = "Covariate|Of|Model|Estimate|95 % interval|Pr(better)|Unit|Note".split("|")
    return Table("What level, slope and change go with", "lllrrrll", heads, rows)


def sentences(found: pd.DataFrame) -> list[str]:
    """Say what goes with each covariate, and how that may be read: empty without a covariate."""
    return [*map(_finding, found.itertuples()), ASSOCIATION] if len(found) else []


def context(report: Report) -> dict[str, Any]:
    """Show what level, slope and change go with; nothing where no model has a covariate."""
    parts = [part for part in (table(report), of_cycles(report)) if not part.empty]
    if not parts:
        return {"sentences": [], "table": None}
    found = pd.concat(parts, ignore_index=True)
    return {"sentences": sentences(found), "table": printed(found)}


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
