"""The priors of every model: as stated, what they imply, and what the data made of them."""

from __future__ import annotations

from typing import Any

from slopeshift.model.described import distribution
from slopeshift.report.analysis import Analysis, Report
from slopeshift.report.words.glossary import POPULATION, SPREAD, label
from slopeshift.report.words.numbers import Table, between, in_unit, probability, share


def stated(analysis: Analysis) -> Table:
    """Print every prior that the fit records: what it is of, its numbers, unit, reason and class of justification."""
    rows = [
        [row["name"], row["label"], distribution(row), row["unit"], row["why"], row["basis"], row["source"]]
        for row in analysis.record["priors"]
    ]
    columns = ["Parameter", "Of", "Prior", "Unit", "Why", "Class of justification", "Source"]
    return Table("Priors, as stated in the model file", "lllllll", columns, rows)


def prior_posterior(analysis: Analysis) -> Table:
    """Print what was assumed before the data and what is believed after them, side by side."""
    prior = analysis.answered.tables["prior"]
    before = prior.rename(columns={name: f"prior_{name}" for name in ("mean", "lower", "upper")})
    before = before[before["quantity"].isin([*POPULATION, *SPREAD])]
    both = before.merge(analysis.results.population, on=["quantity", "injection", "unit"], how="left")
    rows = [
        [
            label(row.quantity, row.injection),
            row.unit,
            in_unit(row.prior_mean, row.unit),
            between(row.prior_lower, row.prior_upper, row.unit),
            in_unit(row.mean, row.unit) if analysis.passed else "withheld",
            between(row.lower, row.upper, row.unit) if analysis.passed else "withheld",
        ]
        for row in both.itertuples()
    ]
    columns = ["Quantity", "Unit", "Prior mean", "Prior 95 % range", "Posterior mean", "Posterior 95 % interval"]
    return Table("Before and after the data", "llrrrr", columns, rows)


def implied(analysis: Analysis) -> Table:
    """Print what the priors say of patients before any data: of slopes, of slowing, and of values beyond the scale."""
    number, outcome = analysis.answered.number, analysis.visits.outcome
    rows = [["A patient’s slope before treatment is above 0", probability(number("prior_prob_slope_positive"))]]
    for percent in (25, 50):
        if (slowing := number(f"prior_prob_slowing_{percent}")) == slowing:
            rows.append([f"A patient slows by {percent} % or more after an injection", probability(slowing)])
    for side, end in (("below", outcome.minimum), ("above", outcome.maximum)):
        if end is not None:
            rows.append([f"A predicted value lies {side} {end:g}", share(number(f"prior_{side}"))])
    return Table("What the priors imply, before any data", "lr", ["Statement", "Probability or share"], rows)


def context(report: Report) -> dict[str, Any]:
    """Show of every model what it assumed, what that implies, and what the data made of it."""

    def of_fit(a: Analysis) -> dict[str, Any]:
        base = a.answered.number("prior_prob_slowing_25") if report.treated and a.passed else None
        return {
            "tables": [stated(a), implied(a), prior_posterior(a)],
            "base": None if base is None else probability(base),
        }

    return {
        "shown": report.of_each(report.primary, of_fit, failed=True),
        "beside": report.of_each(report.others, of_fit, failed=True),
    }
