"""The priors that a fit was made with, as it records them, and what they imply before any data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slopeshift.answers import quantities
from slopeshift.design.cycles import OVERALL
from slopeshift.fit.posterior import SAMPLES
from slopeshift.model.described import distribution
from slopeshift.report.analysis import prior_base_rate
from slopeshift.report.wording import Table, probability, share

if TYPE_CHECKING:
    from slopeshift.report.analysis import Analysis


def stated(analysis: Analysis) -> Table:
    """Print every prior that the fit records: what it is of, its numbers, unit, reason and class of justification."""
    rows = [
        [row["name"], row["label"], distribution(row), row["unit"], row["why"], row["basis"], row["source"]]
        for row in analysis.record["priors"]
    ]
    columns = ["Parameter", "Of", "Prior", "Unit", "Why", "Class of justification", "Source"]
    return Table("Priors, as stated in the model file", "lllllll", columns, rows)


def implied(analysis: Analysis) -> Table:
    """Print what the priors say of patients before any data: of slopes, of slowing, and of values beyond the scale."""
    prior = analysis.prior_patients
    slope = analysis.posterior.prior.draws["coefficients"].sel(coefficient="slope")
    rows = [["A patient’s slope before treatment is above 0", probability(float((slope > 0).mean()))]]
    if analysis.posterior.design.sizes.get("injection", 0) and prior.sizes["row"]:
        cycles = prior.sel(row=(prior["injection"] != OVERALL).to_numpy())
        half = quantities.slows(cycles["change"], cycles["slope"], 50.0).mean((*SAMPLES, "row"))
        rows += [
            ["A patient slows by 25 % or more after an injection", probability(prior_base_rate(analysis))],
            ["A patient slows by 50 % or more after an injection", probability(float(half))],
        ]
    outcome = analysis.visits.outcome
    predicted = analysis.fit.tree["prior_predictive"][analysis.record["outcome"]]
    for end, beyond in (
        (outcome.minimum, predicted < (outcome.minimum or 0.0)),
        (outcome.maximum, predicted > (outcome.maximum or 0.0)),
    ):
        if end is not None:
            side = "below" if end == outcome.minimum else "above"
            rows.append([f"A predicted value lies {side} {end:g}", share(float(beyond.mean()))])
    return Table("What the priors imply, before any data", "lr", ["Statement", "Probability or share"], rows)
