"""The difference of two arms: what is compared in a controlled trial, from the draws of a model with arms.

The difference after injection k is that of the changes of slope in the cycle, treated less control, in outcome units a
month. It is given where both arms inform the cycle: without a control that did, its sum with the control's change would
be known, and the prior would decide how to share it out. Overall it is the mean of these differences, by the number of
treated patients who inform each. By month T it amounts to

    sum_k difference_k b_k(T),   b_k(T) = months spent by time T while injection k was the latest,

at the planned times of injections: the medians of the trial's. Where courses bend, both arms bend alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from slopeshift.design.arms import EFFECT, LATE
from slopeshift.design.cycles import OVERALL
from slopeshift.engine.draws import flat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slopeshift.fit.posterior import Posterior

HORIZON = 12.0
"""Months at which the expected scores of the arms are compared, or the last month that half of the treated are seen."""


def compares(design: xr.Dataset) -> bool:
    """Say whether a model compares two arms; `design` is the `constant_data` of its fit."""
    return EFFECT in design.indexes.get("covariate", ())


def treated_cycles(design: xr.Dataset) -> xr.DataArray:
    """Say which cycles are treated and informed: bool (patient, injection)."""
    return _in_cycles(design, EFFECT) & (design["visits_in_cycle"] > 0)


def control_cycles(design: xr.Dataset) -> xr.DataArray:
    """Say which cycles are those of the control, informed, and before it went over: bool (patient, injection)."""
    informed = (design["visits_in_cycle"] > 0) & ~_in_cycles(design, EFFECT)
    return informed & ~_in_cycles(design, LATE) if LATE in design.indexes["covariate"] else informed


def _in_cycles(design: xr.Dataset, covariate: str) -> xr.DataArray:
    """Say in which cycles a covariate acts: bool (patient, injection)."""
    of = design["covariates"].sel(covariate=covariate, drop=True)
    numbers = design["injection"].to_numpy()
    acts = of.sel(coefficient=[f"change {k}" for k in numbers]).rename(coefficient="injection")
    return acts.assign_coords(injection=numbers) != 0


def comparisons(design: xr.Dataset) -> dict[str, dict[str, float]]:
    """Weigh the coefficients of the effect for the difference after every injection that both arms inform, and overall.

    By injection ("1".."K", then "overall") and name of the coefficient; empty where no cycle is informed by both.
    """
    number = (treated_cycles(design) & control_cycles(design).any("patient")).sum("patient").to_series()
    number = number[number > 0]
    if number.empty:
        return {}
    shares = {f"{EFFECT} {k}": float(share) for k, share in (number / number.sum()).items()}
    return {str(k): {EFFECT: 1.0, f"{EFFECT} {k}": 1.0} for k in number.index} | {OVERALL: {EFFECT: 1.0} | shares}


def differences(draws: xr.Dataset, design: xr.Dataset) -> dict[str, xr.DataArray]:
    """Take the differences of `comparisons`, by injection: (chain, draw) each."""
    found = {}
    for injection, weights in comparisons(design).items():
        names = list(weights)
        weight = xr.DataArray(list(weights.values()), dims="covariate")
        found[injection] = xr.dot(draws["regression"].sel(covariate=names).drop_vars("covariate"), weight)
    return found


def by_horizon(posterior: Posterior, found: Mapping[str, xr.DataArray]) -> tuple[float, xr.DataArray] | None:
    """Add up what the difference amounts to by a month, in outcome units: the month, and the draws (chain, draw).

    None where the difference after the first injection is not informed, nor what follows.
    """
    month, visits = horizon(posterior), posterior.visits
    if not found or month <= 0:
        return None
    planned = np.nanmedian(visits.injection_month, axis=0)
    spent = dict(zip(visits.coefficients, visits.shape.columns(np.array([month]), planned[None])[0], strict=True))
    parts = [spent[f"change {k}"] * of for k, of in found.items() if k != OVERALL and spent[f"change {k}"]]
    return month, sum(parts[1:], parts[0])


def courses(posterior: Posterior, months: int = 61) -> pd.DataFrame:
    """Trace the course that each arm is expected to take at the planned times of injections.

    Columns treated (bool), month, median, lower and upper (95 %, outcome units), from the first visit to the horizon.
    """
    draws, visits = posterior.draws, posterior.visits
    at = np.linspace(visits.month.min(), horizon(posterior), months)
    planned = np.nanmedian(visits.injection_month, axis=0)
    basis = visits.shape.columns(at, np.tile(planned, (months, 1)))
    control = flat(draws["population"])
    found = []
    for treated, effect in ((False, {}), (True, differences(draws, posterior.design))):
        coefficients = control.copy()
        for k, of in effect.items():
            if k != OVERALL:
                coefficients[:, visits.coefficients.index(f"change {k}")] += flat(of)
        lower, median, upper = np.quantile(coefficients @ basis.T, (0.025, 0.5, 0.975), axis=0)
        found.append(pd.DataFrame({"treated": treated, "month": at, "median": median, "lower": lower, "upper": upper}))
    return pd.concat(found, ignore_index=True)


def horizon(posterior: Posterior) -> float:
    """Give the month at which expected scores are compared: before the first injection that is not compared."""
    seen = treated_cycles(posterior.design).any("injection").to_numpy()
    visits, known = posterior.visits, comparisons(posterior.design)
    last = [visits.month[visits.patient_index == i].max() for i in np.flatnonzero(seen)]
    planned = np.nanmedian(visits.injection_month, axis=0)
    unknown = [month for k, month in zip(visits.injections, planned, strict=True) if str(k) not in known]
    return float(np.floor(min([HORIZON, np.median(last), *unknown])))
