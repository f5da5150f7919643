"""The course of a patient: what was recorded, how follow-up ended, and the lines that the model draws through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from slopeshift.design.visits import Visits
from slopeshift.fit.posterior import SAMPLES
from slopeshift.report.analysis import Analysis

Floats = NDArray[np.float64]


LINE_DRAWS, GRID_POINTS = 2000, 40

_QUANTILES = (0.025, 0.5, 0.975)

_ENDED = {
    "death": "died",
    "withdrawal": "withdrew",
    "lost": "lost to follow-up",
    "completed": "completed",
    "ongoing": "ongoing",
}


@dataclass(frozen=True)
class Course:
    """One patient's record of one outcome, and the model's lines through it, empty where the gate was failed.

    `month` and `value` (visit,) are what was recorded; `injections` the months of the injections that were given.
    `line` follows the patient's mean from the first to the last value. `without` continues the course before treatment
    from the first injection to the last value, as if no injection had changed it: a counterfactual of the model, which
    nobody observed. Both have columns month, median, lower, upper. `gap` holds, at the last value, the draws of `line`
    less those of `without`: none where the two are one.
    """

    patient: str
    month: Floats
    value: Floats
    injections: Floats
    ending: Ending | None
    line: pd.DataFrame
    without: pd.DataFrame
    gap: Floats


def courses(analysis: Analysis, most: int | None = None) -> Iterator[Course]:
    """Follow every patient of a trial, in its order; the first `most` of them where it is given."""
    visits, endings = analysis.visits, endings_of(analysis)
    drawn = (
        sampled(analysis.posterior.draws["coefficients"], LINE_DRAWS, "patient", "coefficient")
        if analysis.passed
        else None
    )
    for i, patient in enumerate(visits.patients[:most]):
        mine = visits.patient_index == i
        month, given = visits.month[mine], visits.injection_month[i][~np.isnan(visits.injection_month[i])]
        coefficients = None if drawn is None else drawn[:, i]
        after = np.concatenate([given[:1], month[month > given[0]]]) if given.size else np.empty(0)
        treated = None if after.size < 2 else coefficients
        untreated = partial(_without_changes, visits, i)
        yield Course(
            patient=patient,
            month=month,
            value=visits.value[mine],
            injections=given,
            ending=endings.get(patient),
            line=line(month, visits.segment_month[i], partial(visits.basis_of, i), coefficients),
            without=line(after, np.empty(0), untreated, treated),
            gap=np.empty(0) if treated is None else _gap(visits, i, after.max(), treated),
        )


def line(months: Floats, bends: Floats, basis: Callable[[Floats], Floats], coefficients: Floats | None) -> pd.DataFrame:
    """Follow a patient's mean from first to last value: columns month, median, lower, upper.

    `bends` (segment,) are the months at which the slope may change, NaN where it did not; `basis` gives the patient's
    columns at any months (month, coefficient); `coefficients` is (draw, coefficient), None where nothing may be shown.
    """
    if coefficients is None or not months.size:
        return pd.DataFrame(columns=["month", "median", "lower", "upper"], dtype=float)
    inside = bends[(bends > months.min()) & (bends < months.max())]
    grid = np.union1d(np.linspace(months.min(), months.max(), GRID_POINTS), inside)
    lower, median, upper = np.quantile(coefficients @ basis(grid).T, _QUANTILES, axis=0)
    return pd.DataFrame({"month": grid, "median": median, "lower": lower, "upper": upper})


def _without_changes(visits: Visits, patient: int, month: Floats) -> Floats:
    """Evaluate a patient's basis as natural history alone has it: the columns of the changes are 0."""
    basis = visits.basis_of(patient, month).copy()
    basis[:, len(visits.shape.natural) :] = 0.0
    return basis


def _gap(visits: Visits, patient: int, month: float, coefficients: Floats) -> Floats:
    """Take, draw by draw, what the changes add to the mean by one month: (draw,)."""
    at = np.array([month])
    gap: Floats = coefficients @ (visits.basis_of(patient, at) - _without_changes(visits, patient, at))[0]
    return gap


def sampled(draws: xr.DataArray, n: int, *dims: str) -> Floats:
    """Take about n evenly spaced draws: (draw, *dims)."""
    values = draws.transpose(*SAMPLES, *dims).to_numpy().astype(float)
    flat: Floats = values.reshape(-1, *values.shape[2:])
    return flat[:: max(1, len(flat) // n)]


def endings_of(analysis: Analysis) -> dict[str, Ending]:
    """Say when and why follow-up ended, of every patient whose tables say so."""
    table = analysis.trial.patients
    if not {"end_month", "end_reason"} <= set(table):
        return {}
    known = table.dropna(subset=["end_month", "end_reason"])
    return {row.patient: Ending(row.end_month, str(row.end_reason)) for row in known.itertuples()}


def ended(ending: Ending | None) -> str:
    """Say how follow-up ended, as the end of a list: ", died at month 8.0"; nothing where it is not known."""
    return f", {_ENDED.get(ending.reason, ending.reason)} at month {ending.month:.1f}" if ending else ""


def months_range(analysis: Analysis) -> tuple[float, float]:
    """Cover every visit, injection and end of follow-up, with a margin: months."""
    months = [analysis.visits.month, analysis.trial.injections["month"].to_numpy(dtype=float)]
    if "end_month" in analysis.trial.patients:
        months.append(analysis.trial.patients["end_month"].dropna().to_numpy(dtype=float))
    return padded(np.concatenate(months))


def padded(values: Floats) -> tuple[float, float]:
    """Cover values, with a margin."""
    margin = max(0.05 * float(np.ptp(values)), 0.5)
    return float(values.min() - margin), float(values.max() + margin)


class Ending(NamedTuple):
    """When and why a patient's follow-up ended; `reason` is one of the trial's end reasons."""

    month: float
    reason: str
