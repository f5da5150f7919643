"""Figures of one fit with the words that belong to them: inputs for `plots`, captions, descriptions read aloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import quantities
from slopeshift.answers.quantities import CLAIM
from slopeshift.design.cycles import OVERALL
from slopeshift.fit.posterior import SAMPLES
from slopeshift.report import courses, glossary, plots
from slopeshift.report.courses import sampled
from slopeshift.report.sections import injection_rank, missing_cycles
from slopeshift.report.vector import svg
from slopeshift.report.wording import counted, number, probability

if TYPE_CHECKING:
    import xarray as xr
    from markupsafe import Markup
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from slopeshift.report.analysis import Analysis

    Floats = NDArray[np.float64]

PREDICTED_DRAWS = 500
RANKED = ("lead_in_slope", "change", "sd_slope", "sd_response", "sd_cycle", "sigma")


@dataclass(frozen=True)
class Picture:
    """A figure as it stands in the page. `name` is unique there; `figure` is what `element` was drawn from."""

    element: Markup
    caption: str
    name: str
    figure: Figure


def rank_plots(analysis: Analysis) -> list[Picture]:
    """Show how well the chains of the main population quantities mix; needs no passed gate."""
    draws = quantities.population(analysis.posterior)
    chosen = draws.sel(row=draws["quantity"].isin(RANKED)).transpose("row", *SAMPLES)
    pictures = []
    for i, (quantity, injection) in enumerate(
        zip(chosen["quantity"].to_numpy(), chosen["injection"].to_numpy(), strict=True)
    ):
        title = glossary.label(quantity, injection)
        pictures.append(
            picture(
                plots.ranks(chosen[i].to_numpy()), f"{analysis.anchor}-rank-{i}", title, f"Ranks of chains: {title}."
            )
        )
    return pictures


def population(analysis: Analysis) -> list[Picture]:
    """Show the change of slope of an average patient: prior, posterior, and the probability of exceeding any value."""
    posterior = _changes(quantities.population(analysis.posterior))
    prior = _changes(quantities.population(analysis.posterior.prior))
    means = ", ".join(f"{_after(k)} {number(draws.mean())}" for k, draws in posterior.items())
    density = plots.densities(posterior, prior, analysis.rate, analysis.sign)
    curve = plots.exceedance(analysis.results.change_curve, analysis.rate, analysis.sign)
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
            + ", ".join(f"{_after(k)} {probability((draws > 0).mean())}" for k, draws in posterior.items())
            + ".",
        ),
    ]


def forests(analysis: Analysis) -> list[Picture]:
    """Show every patient's change after each injection that any patient informs."""
    table = analysis.results.patients.assign(called=lambda t: t["prob_slowing_25"] > CLAIM)
    missing = missing_cycles(analysis)
    span = (min(0.0, table["lower"].min()) - 0.05, max(0.0, table["upper"].max()) + 0.05)
    whole = analysis.results.population.query("quantity == 'change'").set_index("injection")["mean"]
    pictures = []
    for injection in sorted(table["injection"].unique(), key=injection_rank):
        rows = table[table["injection"] == injection]
        words = missing[missing["injection"] == injection].set_index("patient")["words"].to_dict()
        of = (span, analysis.rate, whole.get(injection), analysis.sign)
        figure = plots.forest(rows, analysis.visits.patients, words, *of)
        description = (
            f"Change of slope by patient, {_after(injection)}: {counted(len(rows), 'estimate')} with 95 % intervals, "
            f"from {number(rows['mean'].min(), sign=True)} to {number(rows['mean'].max(), sign=True)} {analysis.rate}; "
            f"{rows['called'].sum()} filled."
        )
        pictures.append(
            picture(figure, f"{analysis.anchor}-forest-{injection}", _after(injection).capitalize(), description)
        )
    return pictures


def slowed(analysis: Analysis) -> Picture:
    """Show the distribution of the number of patients who slowed by 25 % or more, before and after the data."""
    posterior = _counts(quantities.patients(analysis.posterior))
    patients = analysis.results.responders.groupby("injection")["n_patients"].first().to_dict()
    means = ", ".join(f"{_after(k)} {number(n.mean(), 1)} of {patients[k]}" for k, n in posterior.items())
    figure = plots.counts(posterior, _counts(analysis.prior_patients), patients)
    caption = "How probable each number of slowed patients is (bars); dashed: before seeing the data."
    return picture(
        figure, f"{analysis.anchor}-counts", caption, f"Expected number of patients slowed by 25 % or more: {means}."
    )


def trajectories(analysis: Analysis) -> list[Picture]:
    """Show every patient's record, with the fitted line up to the last value where the gate was passed."""
    outcome = analysis.visits.outcome
    limits = (courses.months_range(analysis), courses.padded(analysis.visits.value))
    labels = ("months", outcome.unit)
    pictures = []
    for i, course in enumerate(courses.courses(analysis)):
        values = pd.DataFrame({"month": course.month, "value": course.value})
        injections = list(course.injections)
        figure = plots.trajectory(values, course.line, injections, course.ending, limits, labels)
        words = f"{counted(len(values), 'value')}, {counted(len(injections), 'injection')}"
        description = f"{outcome.label} of patient {course.patient}: {words}{courses.ended(course.ending)}."
        pictures.append(picture(figure, f"{analysis.anchor}-patient-{i}", course.patient, description))
    return pictures


def checks(analysis: Analysis) -> list[Picture]:
    """Show recorded against predicted values, and residuals against time."""
    visits, name = analysis.visits, analysis.record["outcome"]
    prior, posterior = (
        sampled(analysis.fit.tree[group].to_dataset()[name], PREDICTED_DRAWS, "visit")
        for group in ("prior_predictive", "posterior_predictive")
    )
    mean = analysis.posterior.draws["coefficients"].mean(SAMPLES).transpose("patient", "coefficient").to_numpy()
    residual = visits.value - (visits.basis * mean[visits.patient_index]).sum(axis=1)
    sd = float(analysis.posterior.draws["sigma"].mean())
    label = f"{visits.outcome.label}, {visits.outcome.unit}"
    return [
        picture(
            plots.predictive(visits.value, prior, posterior, label),
            f"{analysis.anchor}-predictive",
            "Dots should lie in the band: the recorded values look like those the fitted model would produce.",
            f"Distribution of {visits.value.size} recorded values of {visits.outcome.label} against model predictions.",
        ),
        picture(
            plots.residuals(visits.month, residual, sd, visits.outcome.unit),
            f"{analysis.anchor}-residuals",
            "No trend should remain: where the mean leaves 0, lines do not follow the data. Dotted: two residual SDs.",
            f"Residuals against months since the first injection; residual SD {number(sd)} {visits.outcome.unit}.",
        ),
    ]


def picture(figure: Figure, name: str, caption: str, description: str) -> Picture:
    """Make a picture of a figure; `name` is unique in the page, `description` is read aloud."""
    return Picture(svg(figure, name, description), caption, name, figure)


def _changes(draws: xr.DataArray) -> dict[str, Floats]:
    chosen = draws.sel(row=draws["quantity"] == "change").transpose("row", *SAMPLES)
    return {str(k): chosen[i].to_numpy().ravel() for i, k in enumerate(chosen["injection"].to_numpy())}


def _counts(patients: xr.Dataset) -> dict[str, NDArray[np.intp]]:
    slowed = quantities.slows(patients["change"], patients["slope"], float(patients["sign"]))
    return {str(k): group.sum("row").to_numpy().ravel().astype(np.intp) for k, group in slowed.groupby("injection")}


def _after(injection: str) -> str:
    return "all injections" if injection == OVERALL else f"injection {injection}"
