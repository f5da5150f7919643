"""Figures of one fit with the words that belong to them: inputs for `plots`, captions, descriptions read aloud."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from slopeshift import effects
from slopeshift.effects import CLAIM, OVERALL, SAMPLES
from slopeshift.report import glossary, plots
from slopeshift.report.sections import injection_rank, missing_cycles
from slopeshift.report.wording import counted, number

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from slopeshift.report.analysis import Analysis

    Floats = NDArray[np.float64]

LINE_DRAWS, PREDICTED_DRAWS, GRID_POINTS = 2000, 500, 40
RANKED = ("lead_in_slope", "change", "sd_slope", "sd_response", "sd_cycle", "sigma")
_ENDED = {
    "death": "died",
    "withdrawal": "withdrew",
    "lost": "lost to follow-up",
    "completed": "completed",
    "ongoing": "ongoing",
}


@dataclass(frozen=True)
class Picture:
    """A figure as it stands in the page."""

    element: Markup
    caption: str


@plots.styled
def svg(figure: Figure, name: str, description: str) -> Markup:
    """Write a figure as an SVG element for a page; `name` makes its ids unique there, `description` is read aloud."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The browser has glyphs that Matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    body = buffer.getvalue()
    box = re.search(r'viewBox="[^"]*"', body)
    assert box is not None
    body = body[body.index(">", box.end()) + 1 :]
    body = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    body = re.sub(r"<defs>\s*<style.*?</defs>", "", body, count=1, flags=re.DOTALL)
    return Markup(f'<svg {box[0]} role="img" aria-label="{escape(description)}">{body}')


def rank_plots(analysis: Analysis) -> list[Picture]:
    """Show how well the chains of the main population quantities mix; needs no passed gate."""
    draws = effects.population(analysis.posterior, analysis.design, analysis.record["unit"])
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
    posterior = _changes(effects.population(analysis.posterior, analysis.design, analysis.record["unit"]))
    prior = _changes(analysis.prior_population)
    means = ", ".join(f"{_after(k)} {number(draws.mean())}" for k, draws in posterior.items())
    density = plots.densities(posterior, prior, analysis.rate)
    curve = plots.exceedance(analysis.results.change_curve, analysis.rate)
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
            "Probability that the change of slope exceeds x, falling from 1 to 0, one line per injection.",
        ),
    ]


def forests(analysis: Analysis) -> list[Picture]:
    """Show every patient's change after each injection that any patient informs."""
    table = analysis.results.patients.assign(called=lambda t: t["prob_slowing_25"] > CLAIM)
    missing = missing_cycles(analysis)
    span = (min(0.0, table["lower"].min()) - 0.05, max(0.0, table["upper"].max()) + 0.05)
    pictures = []
    for injection in sorted(table["injection"].unique(), key=injection_rank):
        rows = table[table["injection"] == injection]
        words = missing[missing["injection"] == injection].set_index("patient")["words"].to_dict()
        figure = plots.forest(rows, analysis.visits.patients, words, span, analysis.rate)
        description = (
            f"Change of slope by patient, {_after(injection)}: {counted(len(rows), 'estimate')} with 95 % intervals."
        )
        pictures.append(
            picture(figure, f"{analysis.anchor}-forest-{injection}", _after(injection).capitalize(), description)
        )
    return pictures


def slowed(analysis: Analysis) -> Picture:
    """Show the distribution of the number of patients who slowed by 25 % or more, before and after the data."""
    posterior = _counts(effects.patients(analysis.posterior, analysis.design))
    patients = analysis.results.responders.groupby("injection")["n_patients"].first().to_dict()
    means = ", ".join(f"{_after(k)} {number(n.mean(), 1)} of {patients[k]}" for k, n in posterior.items())
    figure = plots.counts(posterior, _counts(analysis.prior_patients), patients)
    caption = "How probable each number of slowed patients is (bars); dashed: before seeing the data."
    return picture(
        figure, f"{analysis.anchor}-counts", caption, f"Expected number of patients slowed by 25 % or more: {means}."
    )


def trajectories(analysis: Analysis) -> list[Picture]:
    """Show every patient's record, with the fitted line up to the last value where the gate was passed."""
    visits, outcome = analysis.visits, analysis.visits.outcome
    limits = (_months_range(analysis), _padded(visits.value))
    labels = ("months", outcome.unit)
    endings = _endings(analysis)
    coefficients = (
        _sampled(analysis.posterior["coefficients"], LINE_DRAWS, "patient", "coefficient") if analysis.passed else None
    )
    pictures = []
    for i, patient in enumerate(visits.patients):
        mine = visits.patient_index == i
        values = pd.DataFrame({"month": visits.month[mine], "value": visits.value[mine]})
        injections = visits.injection_month[i][~np.isnan(visits.injection_month[i])]
        line = _line(
            values["month"].to_numpy(),
            visits.segment_month[i],
            partial(visits.basis_of, i),
            None if coefficients is None else coefficients[:, i],
        )
        figure = plots.trajectory(values, line, list(injections), endings.get(patient), limits, labels)
        words = (
            f"{counted(len(values), 'value')}, {counted(len(injections), 'injection')}{_ended(endings.get(patient))}"
        )
        pictures.append(
            picture(
                figure, f"{analysis.anchor}-patient-{i}", patient, f"{outcome.label} of patient {patient}: {words}."
            )
        )
    return pictures


def checks(analysis: Analysis) -> list[Picture]:
    """Show recorded against predicted values, and residuals against time."""
    visits, name = analysis.visits, analysis.record["outcome"]
    prior, posterior = (
        _sampled(analysis.fit.tree[group].to_dataset()[name], PREDICTED_DRAWS, "visit")
        for group in ("prior_predictive", "posterior_predictive")
    )
    mean = analysis.posterior["coefficients"].mean(SAMPLES).transpose("patient", "coefficient").to_numpy()
    residual = visits.value - (visits.basis * mean[visits.patient_index]).sum(axis=1)
    sd = float(analysis.posterior["sigma"].mean())
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
    return Picture(svg(figure, name, description), caption)


def _changes(draws: xr.DataArray) -> dict[str, Floats]:
    chosen = draws.sel(row=draws["quantity"] == "change").transpose("row", *SAMPLES)
    return {str(k): chosen[i].to_numpy().ravel() for i, k in enumerate(chosen["injection"].to_numpy())}


def _counts(patients: xr.Dataset) -> dict[str, NDArray[np.intp]]:
    slowed = effects.slows(patients["change"], patients["slope"])
    return {str(k): group.sum("row").to_numpy().ravel().astype(np.intp) for k, group in slowed.groupby("injection")}


def _after(injection: str) -> str:
    return "all injections" if injection == OVERALL else f"injection {injection}"


def _sampled(draws: xr.DataArray, n: int, *dims: str) -> Floats:
    """Take about n evenly spaced draws: (draw, *dims)."""
    values = draws.transpose(*SAMPLES, *dims).to_numpy().astype(float)
    flat = values.reshape(-1, *values.shape[2:])
    return flat[:: max(1, len(flat) // n)]


def _line(
    months: Floats, bends: Floats, basis: Callable[[Floats], Floats], coefficients: Floats | None
) -> pd.DataFrame:
    """Follow a patient's mean from first to last value: columns month, median, lower, upper.

    `bends` (segment,) are the months at which the slope may change, NaN where it did not; `basis` gives the patient's
    at any months; `coefficients` is (draw, coefficient), None where nothing may be shown.
    """
    if coefficients is None or not months.size:
        return pd.DataFrame(columns=["month", "median", "lower", "upper"], dtype=float)
    inside = bends[(bends > months.min()) & (bends < months.max())]
    grid = np.union1d(np.linspace(months.min(), months.max(), GRID_POINTS), inside)
    mean = coefficients @ basis(grid).T
    lower, median, upper = np.quantile(mean, (0.025, 0.5, 0.975), axis=0)
    return pd.DataFrame({"month": grid, "median": median, "lower": lower, "upper": upper})


def _endings(analysis: Analysis) -> dict[str, plots.Ending]:
    table = analysis.trial.patients
    if not {"end_month", "end_reason"} <= set(table):
        return {}
    known = table.dropna(subset=["end_month", "end_reason"])
    return {row.patient: plots.Ending(row.end_month, str(row.end_reason)) for row in known.itertuples()}


def _ended(ending: plots.Ending | None) -> str:
    return f", {_ENDED.get(ending.reason, ending.reason)} at month {ending.month:.1f}" if ending else ""


def _months_range(analysis: Analysis) -> tuple[float, float]:
    months = [analysis.visits.month, analysis.trial.injections["month"].to_numpy(dtype=float)]
    if "end_month" in analysis.trial.patients:
        months.append(analysis.trial.patients["end_month"].dropna().to_numpy(dtype=float))
    return _padded(np.concatenate(months))


def _padded(values: Floats) -> tuple[float, float]:
    margin = max(0.05 * float(np.ptp(values)), 0.5)
    return float(values.min() - margin), float(values.max() + margin)
