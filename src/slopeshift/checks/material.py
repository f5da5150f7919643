"""What the checks of one model look at: its data, some of its draws, and what it predicts from them.

A stored fit and the draws of a refit give the same material, so that a check means the same for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from slopeshift.answers.quantities import SAMPLES
from slopeshift.design.visits import visits_of
from slopeshift.fit.store import FitError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.fit.store import Fit
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

KEPT = 2000
"""Draws that the checks use, evenly spaced: more would not be seen in any of their numbers."""


@dataclass(frozen=True, eq=False)
class Material:
    """One model's data and draws, for its checks.

    `visits` are the values with their times; `basis` (visit, coefficient) is that of the model, which may have columns
    of its own. `posterior` has `coefficients` and the other draws, about KEPT of them; `predicted` (chain, draw, visit)
    are new values at the same visits from the same draws. `log_likelihood` (chain, draw, visit) is that of a value
    given its patient's coefficients, `by_patient` (chain, draw, patient) that of all of a patient's values given the
    population; None where the model has none. `shift` are its covariates, as the fit records them. `family` is the name
    of its residual's family.
    """

    trial: Trial
    visits: Visits
    basis: Floats
    shift: xr.DataArray | None
    posterior: xr.Dataset
    predicted: xr.DataArray
    log_likelihood: xr.DataArray | None
    by_patient: xr.DataArray | None
    family: str

    @property
    def replicates(self) -> Floats:
        """The predicted values, chains after each other: (draw, visit), whole where the outcome is."""
        values = flat(self.predicted).astype(float)
        return np.round(values) if self.visits.outcome.integer else values

    @property
    def fitted(self) -> Floats:
        """Posterior mean of what is expected at every visit: (visit,)."""
        mean = self.posterior["coefficients"].mean(SAMPLES).transpose("patient", "coefficient").to_numpy()
        expected: Floats = (self.basis * mean[self.visits.patient_index]).sum(axis=1)
        return expected


def material_of(trial: Trial, fit: Fit) -> Material:
    """Take what the checks need out of a stored fit.

    Raises FitError where the fit is of other values than the trial's.
    """
    name, tree = fit.record["outcome"], fit.tree
    design = tree["constant_data"].to_dataset()
    visits = visits_of(trial, name)
    if not np.array_equal(design["month"], visits.month):
        raise FitError(f"{fit.record['model']}: this fit was made from other visits than the trial has; fit it again")
    predicted = tree["posterior_predictive"].to_dataset()[name]
    step = max(-(-predicted.sizes["chain"] * predicted.sizes["draw"] // KEPT), 1)
    kept = predicted.isel(draw=slice(None, None, step))
    groups = ("log_likelihood", "log_likelihood_of_patient")
    pointwise, by_patient = (
        _draws_of(tree[group].to_dataset()[[name]], kept)[name] if group in tree.children else None for group in groups
    )
    return Material(
        trial=trial,
        visits=visits,
        basis=design["basis"].transpose("visit", "coefficient").to_numpy(),
        shift=design.get("covariates"),
        posterior=_draws_of(tree["posterior"].to_dataset(), kept),
        predicted=kept,
        log_likelihood=pointwise,
        by_patient=by_patient,
        family=fit.record["family"],
    )


def material_of_draws(trial: Trial, visits: Visits, draws: xr.Dataset, seed: int) -> Material:
    """Take what the checks need from the draws of a refit (`refit.Compiled.fit`) to the values of `visits`.

    Of `trial` only the patients' months of onset are used, so that it may hold other values. Raises ValueError where
    the draws are not those of a model whose coefficients are integrated out.
    """
    from slopeshift.model.families.normal import log_likelihood
    from slopeshift.model.families.normal import predicted as predict

    step = max(-(-draws.sizes["chain"] * draws.sizes["draw"] // KEPT), 1)
    some = draws.isel(draw=slice(None, None, step))
    # Densities and predictions are those of a normal residual, which only such a model is known to have.
    if "loading" not in draws:
        raise ValueError("these draws have no `loading`: give those of a model whose coefficients are integrated out")
    predicted = predict(some, visits, seed)
    pointwise = log_likelihood(some, visits)
    return Material(trial, visits, visits.basis, None, some, predicted, pointwise, None, family="normal")


def flat(values: xr.DataArray) -> NDArray[np.float64]:
    """Put chains after each other: (chain, draw, ...) becomes (draw, ...)."""
    array = values.transpose(*SAMPLES, ...).to_numpy()
    return np.ascontiguousarray(array.reshape(-1, *array.shape[2:]))


def _draws_of(values: xr.Dataset, kept: xr.DataArray) -> xr.Dataset:
    """Take the draws that are kept; those that are numbered alike belong together."""
    if "draw" in values.coords and "draw" in kept.coords:
        return values.sel(draw=kept["draw"])
    step = max(-(-values.sizes["draw"] // kept.sizes["draw"]), 1)
    return values.isel(draw=slice(None, None, step))
