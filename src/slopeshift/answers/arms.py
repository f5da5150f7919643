"""The difference of two arms: what is compared in a controlled trial, from the draws of a model with arms.

The difference after injection k is that of the changes of slope in the cycle, treated less control, in outcome units a
month; overall it is the mean over the informed cycles of the treated. By month T it amounts to

    sum_k difference_k b_k(T),   b_k(T) = months spent by time T while injection k was the latest,

at the planned times of injections: the medians of the trial's. Where courses bend, both arms bend alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.design.arms import EFFECT
from slopeshift.design.cycles import OVERALL
from slopeshift.engine.draws import flat

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from slopeshift.fit.posterior import Posterior

HORIZON = 12.0
"""Months at which the expected scores of the arms are compared, or the last month that half of the treated are seen."""


def compares(design: xr.Dataset) -> bool:
    """Say whether a model compares two arms; `design` is the `constant_data` of its fit."""
    return EFFECT in design.indexes.get("covariate", ())


def treated_cycles(design: xr.Dataset) -> xr.DataArray:
    """Say which cycles are treated and informed: bool (patient, injection)."""
    of = design["covariates"].sel(covariate=EFFECT, drop=True)
    numbers = design["injection"].to_numpy()
    in_arm = of.sel(coefficient=[f"change {k}" for k in numbers]).rename(coefficient="injection")
    return (in_arm.assign_coords(injection=numbers) != 0) & (design["visits_in_cycle"] > 0)


def shares(design: xr.Dataset) -> dict[str, float]:
    """Weigh the effects for the overall difference, by the names of their terms: shares of the treated's cycles."""
    number = treated_cycles(design).sum("patient").to_series()
    return {EFFECT: 1.0} | {f"{EFFECT} {k}": share for k, share in (number / number.sum()).items()}


def differences(draws: xr.Dataset, design: xr.Dataset) -> dict[str, xr.DataArray]:
    """Take the difference of the arms after each injection that informs it, and overall: (chain, draw) each."""
    number = treated_cycles(design).sum("patient").to_series()
    number = number[number > 0]
    effect = draws["regression"].sel(covariate=EFFECT, drop=True)
    found = {str(k): effect + draws["regression"].sel(covariate=f"{EFFECT} {k}", drop=True) for k in number.index}
    weighted = [share * found[str(k)] for k, share in (number / number.sum()).items()]
    return found | ({OVERALL: sum(weighted[1:], weighted[0])} if weighted else {})


def by_horizon(posterior: Posterior, found: Mapping[str, xr.DataArray]) -> tuple[float, xr.DataArray] | None:
    """Add up what the difference amounts to by a month, in outcome units: the month, and the draws (chain, draw).

    None where no difference is informed.
    """
    if not found:
        return None
    month, visits = horizon(posterior), posterior.visits
    planned = np.nanmedian(visits.injection_month, axis=0)
    spent = dict(zip(visits.coefficients, visits.shape.columns(np.array([month]), planned[None])[0], strict=True))
    parts = [spent[f"change {k}"] * of for k, of in found.items() if k != OVERALL]
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
    """Give the month at which expected scores are compared."""
    seen = treated_cycles(posterior.design).any("injection").to_numpy()
    visits = posterior.visits
    last = [visits.month[visits.patient_index == i].max() for i in np.flatnonzero(seen)]
    return float(min(HORIZON, np.floor(np.median(last))))
