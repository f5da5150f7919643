"""Power-scaling: which prior matters for which result, without a refit.

Every prior in turn, and the likelihood, is raised to a power near 1, the draws are weighted accordingly, and how fast a
quantity's distribution moves is its sensitivity (Kallioinen et al. 2023, doi 10.1007/s11222-023-10366-5). How patients
scatter around the population is part of the model, not of the priors, and is not scaled; so the likelihood is that of
each patient's values given the population.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from slopeshift.answers import quantities
from slopeshift.engine.draws import flat
from slopeshift.fit.posterior import SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

SENSITIVE = 0.05
"""Sensitivity from which on a quantity is called sensitive, in the paper and in ArviZ."""

LESS = 0.8
"""Power at which a prior's weaker version is told: it then counts for four fifths."""

MAIN = (
    *("lead_in_slope", *quantities.CLAIMED, "sd_slope", "sd_response", "sd_cycle", "sigma"),
    "correlation_slope_response",
)
LIKELIHOOD = "likelihood"
COLUMNS = "prior quantity injection unit sensitivity sensitivity_to_data mean mean_with_weaker_prior sd finding"


def prior_sensitivity(posterior: Posterior) -> pd.DataFrame:
    """Say for every prior and main population quantity how much the one moves the other: the table `prior_sensitivity`.

    A row per prior and quantity, columns as in COLUMNS: sensitivity to this prior and to the likelihood (CJS distance
    per doubling), the posterior mean as it is and with the prior to the power 0.8, the posterior SD, and a finding in
    words where the sensitivity is 0.05 or more. Empty where the fit stores no `log_prior` or log likelihood.
    """
    priors, data = _priors(posterior), _of_data(posterior)
    if not priors or data is None:
        return pd.DataFrame(columns=COLUMNS.split())
    draws = _quantities(posterior)
    to_data = sensitivity(draws, data)
    labels = pd.DataFrame({name: draws[name].to_numpy() for name in ("quantity", "injection", "unit")})
    values = draws.transpose(*SAMPLES, "row")
    mean, sd = values.mean(SAMPLES).to_numpy(), values.std(SAMPLES).to_numpy()
    tables = [
        labels.assign(
            prior=name,
            sensitivity=(found := sensitivity(draws, density)),
            sensitivity_to_data=to_data,
            mean=mean,
            mean_with_weaker_prior=_weaker(flat(values), flat(density)),
            sd=sd,
            finding=[_finding(to_prior, other) for to_prior, other in zip(found, to_data, strict=True)],
        )
        for name, density in priors.items()
    ]
    return pd.concat(tables, ignore_index=True)[COLUMNS.split()]


def _quantities(posterior: Posterior) -> xr.DataArray:
    rows, regression = quantities.population(posterior), quantities.informed_regression(posterior)
    return rows.sel(row=rows["quantity"].isin([*MAIN, *regression]))


def _priors(posterior: Posterior) -> dict[str, xr.DataArray]:
    """Take the log density of every prior at the draws; that of the population apart for what is independent."""
    stored = posterior.groups.get("log_prior", xr.Dataset())
    densities = {str(name): values for name, values in stored.data_vars.items()}
    if "population" in densities and "term_mean" in posterior.design:
        del densities["population"]
        densities |= of_population(posterior)
    return densities


def of_population(posterior: Posterior) -> dict[str, xr.DataArray]:
    """Split the normal prior of the population's coefficients into what is independent: level, slope, changes.

    The posterior's design has the terms of its model. Returns log densities by name, (chain, draw) each.
    """
    population, design = posterior.draws["population"], posterior.design
    mean, sd, terms = (design[f"term_{part}"].to_numpy() for part in ("mean", "sd", "design"))
    names = [str(name) for name in population["coefficient"].to_numpy()]
    covariance = terms @ np.diag(sd**2) @ terms.T
    centre = terms @ mean
    densities, left = {}, list(range(len(names)))
    while left:
        # A prior of changes is one: they share a term, and so does all that is correlated with the first of the rest.
        group = [i for i in left if covariance[left[0], i] != 0]
        left = [i for i in left if i not in group]
        away = population.isel(coefficient=group) - xr.DataArray(centre[group], dims="coefficient")
        inverse = np.linalg.inv(covariance[np.ix_(group, group)])
        z = away.transpose(*SAMPLES, "coefficient").to_numpy()
        density = -0.5 * np.einsum("cdi,ij,cdj->cd", z, inverse, z)
        densities[names[group[0]].split(" ")[0]] = xr.DataArray(density, dims=SAMPLES)
    return densities


def _of_data(posterior: Posterior) -> xr.DataArray | None:
    """Sum up the log density of the data given the population, or given the patients where it is not known."""
    by_patient, pointwise = posterior.stored("log_likelihood_of_patient"), posterior.stored("log_likelihood")
    if by_patient is not None:
        return by_patient.sum("patient")
    return None if pointwise is None else pointwise.astype(float).sum("visit")


def sensitivity(draws: xr.DataArray, density: xr.DataArray) -> Floats:
    """Have ArviZ measure how fast each row's distribution moves with the power of one density: (row,)."""
    import arviz as az

    values = draws.transpose(*SAMPLES, "row").to_numpy()
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"x": ((*SAMPLES, "row"), values)}),
            "log_prior": xr.Dataset({"density": (SAMPLES, density.transpose(*SAMPLES).to_numpy())}),
        }
    )
    found: Floats = az.psense(tree, group="prior")["x"].to_numpy()
    return found


def _weaker(values: Floats, density: Floats) -> Floats:
    """Mean of draws (draw, row) with one density to the power LESS, by Pareto-smoothed weights: (row,)."""
    from scipy.special import softmax

    from slopeshift.answers.arviz_stats import array_stats

    log_weights = array_stats.power_scale_lw(density, alpha=LESS)  # type: ignore[no-untyped-call]
    mean: Floats = softmax(log_weights) @ values
    return mean


def _finding(prior: float, data: float) -> str:
    if not prior >= SENSITIVE:
        return ""
    return "prior and data both move it" if data >= SENSITIVE else "the prior moves it, the data hardly"
