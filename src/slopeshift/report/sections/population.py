"""An average patient: the quantities of the population, by injection."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from slopeshift.answers import arms, quantities
from slopeshift.design.cycles import OVERALL
from slopeshift.fit.posterior import SAMPLES
from slopeshift.report.analysis import Analysis, Report
from slopeshift.report.figures import population as population_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.words.numbers import (
    Table,
    after,
    between,
    course,
    in_unit,
    number,
    pieces,
    point,
    probability,
    slower_where,
)
from slopeshift.trial.arms import ARM, PATIENT

Floats = NDArray[np.float64]


def population(analysis: Analysis) -> Table:
    """Print the quantities of an average patient: a row per quantity, a column per injection."""
    cells: dict[str, dict[str, str]] = {}
    for row in analysis.results.population.itertuples():
        if row.quantity == "prob_slowing_25_of_control":
            cells.setdefault("Pr(25 % slower than the control)", {})[row.injection] = probability(row.mean)
        elif row.quantity == "prob_minimal_difference":
            cells.setdefault("Pr(the difference that matters)", {})[row.injection] = probability(row.mean)
        elif row.quantity == "prob_slowing_25":
            cells.setdefault("Pr(slowing ≥ 25 %)", {})[row.injection] = probability(row.mean)
        elif row.quantity in _AVERAGE_PATIENT:
            unit = "" if row.unit == "ratio" else f", {row.unit}"
            value = f"{in_unit(point(row), row.unit)} ({between(row.lower, row.upper, row.unit)})"
            label = _AVERAGE_PATIENT[row.quantity].replace("decline", course(analysis.sign))
            cells.setdefault(label + unit, {})[row.injection] = value
        if row.quantity == analysis.results.claimed:
            better = f"{slower_where(analysis.sign)}: slower {course(analysis.sign)}"
            cells.setdefault(better, {})[row.injection] = probability(row.prob_better)
    injections = list(dict.fromkeys(injection for cell in cells.values() for injection in cell))
    rows = [[label, *(cell.get(k, "") for k in injections)] for label, cell in cells.items()]
    heads = [{"": "Before", OVERALL: "Overall"}.get(k, f"Injection {k}") for k in injections]
    return Table(
        "An average patient: estimate (95 % interval)",
        "l" + "r" * len(heads),
        ["Quantity", *heads],
        rows,
    )


_AVERAGE_PATIENT = {
    "level": "Level at month 0",
    "lead_in_slope": "Slope",
    "level_of_enrolled": "Level at month 0, of those who met the entry rules",
    "lead_in_slope_of_enrolled": "Slope, of those who met the entry rules",
    "natural_slope": "Slope without injections",
    "segment_slope": "Slope",
    "change": "Change of slope from before",
    "increment": "Change of slope from the previous cycle",
    "percent_slowing": "Slowing of the decline",
    "rate_ratio": "Rate ratio (slope / slope without injections)",
    "control_slope": "Slope, control",
    "control_change": "Change of slope from before, control",
    "difference": "Difference of the arms, treated less control",
    "treated_change": "Change of slope from before, treated",
    "ratio_of_slopes": "Ratio of slopes, treated to control",
    "percent_slowing_of_control": "Slowing of the decline against the control",
}


def drawn(analysis: Analysis) -> list[Picture]:
    """Show the change of slope of an average patient: prior, posterior, and the probability of exceeding any value."""
    posterior = _changes(quantities.population(analysis.posterior))
    prior = _changes(quantities.population(analysis.posterior.prior))
    means = ", ".join(f"{after(k)} {number(draws.mean())}" for k, draws in posterior.items())
    density = population_figures.densities(posterior, prior, analysis.rate, analysis.sign)
    curve = population_figures.exceedance(analysis.results.change_curve, analysis.rate, analysis.sign)
    return [
        picture(
            density,
            f"{analysis.anchor}-density",
            "What is believed of the change of slope before (dashed) and after the data (filled; bar: 95 % interval).",
            f"Posterior densities of the change of slope in {analysis.rate}, means: {means}.",
        ),
        picture(
            curve,
            f"{analysis.anchor}-exceedance",
            "Probability that the change of slope is larger than any value x you may care about.",
            "Probability that the change of slope exceeds x, falling from 1 to 0, one line per injection; at 0: "
            + ", ".join(f"{after(k)} {probability((draws > 0).mean())}" for k, draws in posterior.items())
            + ".",
        ),
    ]


def threshold(analysis: Analysis) -> dict[str, Any] | None:
    """Say how probable a change is above each value of the curve, for a reader who chooses one: `held`, and places.

    `held` is JSON with `values` and what is `said` of each; `start` is the place nearest to no change, `last` the last.
    None where no value informs a change.
    """
    curve = analysis.results.change_curve
    if curve.empty:
        return None
    x = curve["x"].unique()
    values = [f"{number(each, sign=True)} {analysis.rate}" for each in x]
    said = [
        f"Pr(change > {words}): "
        + "; ".join(f"{after(row.injection)}: {probability(row.probability)}" for row in rows.itertuples())
        + "."
        for words, (_, rows) in zip(values, curve.groupby("x", sort=False), strict=True)
    ]
    held = json.dumps({"values": values, "said": said}, ensure_ascii=False, separators=(",", ":"))
    return {"held": held, "start": int(np.abs(x).argmin()), "last": len(x) - 1}


def by_arm(analysis: Analysis) -> list[Picture]:
    """Show the courses that the arms are expected to take, where arms of patients are compared."""
    stated = analysis.trial.arms
    if stated is None or stated.unit != PATIENT or not arms.compares(analysis.posterior.design):
        return []
    visits = analysis.visits
    control = (visits.about[ARM] == stated.control).to_numpy()
    other = visits.about[ARM][~control].iloc[0]
    values = pd.DataFrame({"patient": visits.patient_index, "month": visits.month, "value": visits.value})
    values["treated"] = ~control[visits.patient_index]
    names = {False: f"{stated.control} (control)", True: str(other)}
    return [
        picture(
            population_figures.arms(arms.courses(analysis.posterior), values, names, analysis.posterior.unit),
            f"{analysis.anchor}-arms",
            "Expected course of an average patient of each arm, with its 95 % band, if injected at the median months; "
            "thin: every patient as recorded.",
            f"Expected courses of {visits.outcome.label} in the arms {names[True]} and {names[False]}.",
        )
    ]


def _changes(draws: xr.DataArray) -> dict[str, Floats]:
    chosen = quantities.of_claim(draws).transpose("row", *SAMPLES)
    return {str(k): chosen[i].to_numpy().ravel() for i, k in enumerate(chosen["injection"].to_numpy())}


def context(report: Report) -> dict[str, Any]:
    """Show the quantities of an average patient by the models that answer the question."""

    def of_fit(a: Analysis) -> dict[str, Any]:
        return {
            "drawn": [*by_arm(a), *drawn(a)] if report.treated else [],
            "threshold": threshold(a) if report.treated else None,
            "tables": pieces(population(a)),
        }

    return {"shown": report.of_each(report.primary, of_fit)}
