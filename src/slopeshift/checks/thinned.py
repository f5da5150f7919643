"""What the checks of a posterior are computed from: some of its draws, and what is predicted from them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.engine.draws import flat
from slopeshift.fit.posterior import PRIOR, SAMPLES, Posterior

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

KEPT = 2000
"""Draws that the checks use, evenly spaced: more would not be seen in any of their numbers."""


def thinned(posterior: Posterior) -> Posterior:
    """Keep about KEPT draws, evenly spaced, the same ones in all that is stored; the prior's draws stay as they are."""
    predicted = posterior.stored("posterior_predictive")
    some = posterior.draws if predicted is None else predicted
    step = max(-(-some.sizes["chain"] * some.sizes["draw"] // KEPT), 1)
    kept = some.isel(draw=slice(None, None, step))
    groups = {
        name: group if name in PRIOR or "draw" not in group.dims else _draws_of(group, kept)
        for name, group in posterior.groups.items()
    }
    return replace(posterior, draws=_draws_of(posterior.draws, kept), groups=groups)


def with_predictions(posterior: Posterior, seed: int) -> Posterior:
    """Thin the posterior of a refit, and add what a stored fit has: new values, and every value's log density.

    Raises ValueError where it is not of a model whose coefficients are integrated out.
    """
    from slopeshift.model.families import FAMILIES, log_likelihood, predicted

    family = posterior.family
    if "loading" not in posterior.draws or family is None or not FAMILIES[family].integrated_out:
        raise ValueError(
            "these draws have no `loading`, or no exact family: give those of a model that integrates coefficients out"
        )
    some = thinned(posterior)
    groups = {
        "posterior_predictive": predicted(family, some.draws, some.visits, seed, some.design).to_dataset(),
        "log_likelihood": log_likelihood(family, some.draws, some.visits).to_dataset(),
    }
    return replace(some, groups={**some.groups, **groups})


def values_predicted(posterior: Posterior) -> Floats:
    """Take the predicted values, chains after each other: (draw, visit).

    Raises LookupError where nothing is predicted (see `with_predictions`).
    """
    predicted = posterior.stored("posterior_predictive")
    if predicted is None:
        raise LookupError(f"{posterior.model}: nothing is predicted from these draws; add it by `with_predictions`")
    return flat(predicted)


def replicates(posterior: Posterior) -> Floats:
    """Take the same as they would be written down: whole where the outcome is. Raises LookupError likewise."""
    values = values_predicted(posterior).astype(float)
    return np.round(values) if posterior.visits.outcome.integer else values


def fitted(posterior: Posterior) -> Floats:
    """Average what is expected at every visit over the draws: (visit,)."""
    visits = posterior.visits
    mean = posterior.draws["coefficients"].mean(SAMPLES).transpose("patient", "coefficient").to_numpy()
    expected: Floats = (visits.basis * mean[visits.patient_index]).sum(axis=1)
    return expected


def _draws_of(values: xr.Dataset, kept: xr.DataArray | xr.Dataset) -> xr.Dataset:
    """Take the draws that are kept; those that are numbered alike belong together."""
    if "draw" in values.coords and "draw" in kept.coords:
        return values.sel(draw=kept["draw"])
    step = max(-(-values.sizes["draw"] // kept.sizes["draw"]), 1)
    return values.isel(draw=slice(None, None, step))
