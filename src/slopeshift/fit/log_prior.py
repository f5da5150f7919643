"""The log density of a model's top-level priors, draw by draw: what power-scaling raises to a power.

Top-level are the priors that a model file states: of the population, of standard deviations and correlations, of
residuals. How patients scatter around the population is part of the model, not of these, and is left out: to scale both
would say more of the shrinkage than of the priors (Kallioinen et al. 2023, doi 10.1007/s11222-023-10366-5).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr

from slopeshift.engine.spread import log_densities
from slopeshift.engine.terms import sampled_name
from slopeshift.model.description import UnknownError, priors_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGNED = "_signed"
"""How names end of standard deviations that are sampled with a sign: |x| has twice the density of x."""

PARTIAL = re.compile(r"partial_correlation_(\d)(\d)")
"""Partial correlations, which together are one prior, that of the correlation matrix."""


def log_prior(model: pm.Model, draws: xr.Dataset, terms: xr.Dataset) -> xr.Dataset:
    """Evaluate the log density of every top-level prior at the draws, up to a constant: a variable (chain, draw) each.

    `draws` are those of a fit of `model`, and `terms` the `constant_data` of it. The densities are over the quantities
    that are reported, on their own scale: `sigma`, `sd_level` and the other standard deviations by their names (that of
    |x|, where x was sampled with a sign), `correlation` over the correlation matrix, `population` over the population's
    coefficients jointly, and `regression` over those of covariates. A model whose terms are not recorded, as that of a
    formula that is compiled, has a variable for every parameter of its population instead.
    """
    stated = [v for v in model.free_RVs if v.ndim == 0 and v.name not in _of_terms(terms)]
    density = _with_correlation(_densities(model, stated, draws), draws)
    density = {name: values + np.log(2.0) * name.endswith(SIGNED) for name, values in density.items()}
    density |= _of_population(draws, terms) if "term_mean" in terms else {}
    return xr.Dataset({name.removesuffix(SIGNED): values for name, values in density.items()})


def _of_terms(terms: xr.Dataset) -> set[str]:
    """Name the variables that terms may be sampled as: their priors are those of the population."""
    return {sampled_name(str(term)) for term in terms.indexes.get("term", ())}


def _densities(model: pm.Model, variables: list[pt.TensorVariable], draws: xr.Dataset) -> dict[str, xr.DataArray]:
    """Evaluate the log density of scalar variables whose parameters are constants."""
    values = [draws[variable.name] for variable in variables]
    try:
        table = priors_of(model, variables)
        x = np.column_stack([value.to_numpy().ravel() for value in values])
        evaluated = [each.reshape(value.shape) for each, value in zip(log_densities(table, x).T, values, strict=True)]
    except UnknownError:
        logp = [pm.logp(variable, value.to_numpy()) for variable, value in zip(variables, values, strict=True)]
        # Evaluated once: to compile it would take longer.
        evaluated = pytensor.function([], logp, mode="FAST_COMPILE")()
    return {
        variable.name: value.copy(data=density).reset_coords(drop=True)
        for variable, value, density in zip(variables, values, evaluated, strict=True)
    }


def _with_correlation(density: dict[str, xr.DataArray], draws: xr.Dataset) -> dict[str, xr.DataArray]:
    """Put the density of the correlation matrix in the place of those of its partial correlations.

    Its Jacobian is the product of (1 - p_ij^2)^((size - 2 - j) / 2) over the partial correlations p_ij in column j
    (Lewandowski, Kurowicka and Joe 2009, doi 10.1016/j.jmva.2009.04.008, section 2.4).
    """
    places = {name: int(found[1]) for name in density if (found := PARTIAL.fullmatch(name))}
    if not places:
        return density
    size = round((1 + np.sqrt(1 + 8 * len(places))) / 2)
    of_matrix = sum(
        density[name] - (size - 2 - column) / 2 * np.log(1 - (2 * draws[name] - 1) ** 2)
        for name, column in places.items()
    )
    return {name: values for name, values in density.items() if name not in places} | {"correlation": of_matrix}


def _of_population(draws: xr.Dataset, terms: xr.Dataset) -> dict[str, xr.DataArray]:
    """Evaluate the normal priors of the population's coefficients, and of the covariates' where there are any."""
    mean, sd, design = (terms[f"term_{part}"].to_numpy() for part in ("mean", "sd", "design"))
    population = draws["population"].transpose("chain", "draw", "coefficient")
    root = np.linalg.cholesky(design @ np.diag(sd**2) @ design.T)
    density = {"population": _normal(population, design @ mean, root)}
    if "regression" in draws:
        own = slice(len(mean) - draws.sizes["covariate"], None)
        regression = draws["regression"].transpose("chain", "draw", "covariate")
        density["regression"] = _normal(regression, mean[own], np.diag(sd[own]))
    return density


def _normal(values: xr.DataArray, mean: NDArray[np.float64], root: NDArray[np.float64]) -> xr.DataArray:
    """Evaluate the density of Normal(mean, root root') over the last dimension of `values`."""
    z = np.linalg.solve(root, (values.to_numpy() - mean)[..., None])[..., 0]
    log_density = -0.5 * ((z**2).sum(axis=-1) + len(mean) * np.log(2 * np.pi)) - np.log(np.diag(root)).sum()
    return xr.DataArray(log_density, dims=values.dims[:2], coords={d: values[d] for d in values.dims[:2]})
