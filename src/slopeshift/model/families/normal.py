"""The normal family: independent Normal(0, sigma) residuals, whose patients are integrated out exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from slopeshift.model.families.family import Family
from slopeshift.model.stated import statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from pytensor.tensor import TensorVariable

    from slopeshift.design.visits import Visits
    from slopeshift.model.families.family import Floats, Tensors
    from slopeshift.model.line import PiecewiseLine


@dataclass(frozen=True, eq=False)
class NormalResidual:
    """A normal residual: `sigma` (draw,). See `family.IndependentResidual`."""

    sigma: Floats

    def log_density(self, value: Floats, mean: Floats) -> Floats:
        """See `family.Residual`."""
        sigma = self.sigma[:, None, None]
        density: Floats = -0.5 * (((value - mean) / sigma) ** 2 + np.log(2 * np.pi)) - np.log(sigma)
        return density

    def lower(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `family.IndependentResidual`."""
        from scipy.special import ndtr

        return ndtr((value - mean) / self.sigma[:, None, None]), np.zeros_like(mean)

    def working(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `family.IndependentResidual`."""
        return value - mean, np.repeat(self.sigma[:, None], len(value), axis=1)


@dataclass(frozen=True)
class WrittenOut(Family):
    """Values are Normal(mean, sigma), with the coefficients sampled: the slow and obvious version of `Normal`."""

    name: ClassVar[str] = "normal"

    @staticmethod
    def standardise(rows: TensorVariable, value: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`."""
        return rows / parameters[0]

    @staticmethod
    def log_density(value: TensorVariable, mean: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`."""
        import pymc as pm

        return pm.logp(pm.Normal.dist(mean, parameters[0]), value)

    @staticmethod
    def simulate(mean: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`."""
        import pymc as pm

        return pm.Normal.dist(mean, parameters[0])

    @staticmethod
    def residual(parameters: Mapping[str, Floats], visits: Visits) -> NormalResidual:
        """See `Family`."""
        return NormalResidual(parameters["sigma"])


@dataclass(frozen=True)
class Normal(WrittenOut):
    """Values are Normal(mean, sigma); `sigma` is the prior of the residual standard deviation, in outcome units."""

    integrated_out: ClassVar[bool] = True

    def observe(self, curve: PiecewiseLine) -> None:
        """Observe every value with the coefficients integrated out, to be drawn back after sampling.

        Adds `sigma` and what `exact.observe` adds, in the current PyMC model.
        """
        from slopeshift.engine import exact
        from slopeshift.engine.admitted import rules_of
        from slopeshift.model.line import loading, population_terms

        rules = rules_of(curve.selection)
        statement().entry = bool(rules)
        scale, *_ = self.variables()
        exact.observe(curve.visits, population_terms(curve), loading(curve), scale, rules)


def predicted(draws: xr.Dataset, visits: Visits, seed: int, terms: xr.Dataset | None = None) -> xr.DataArray:
    """Draw a new value at every visit of every patient: (chain, draw, visit), outcome units.

    Where `terms`, the record of the model's, has entry rules, the new values meet them again.
    """
    from slopeshift.engine.admitted import admit_values, rules_from

    mean, sigma, rng = _means(draws, visits), _flat(draws["sigma"]), np.random.default_rng(seed)
    value = mean + sigma[:, None] * rng.standard_normal(mean.shape)
    if terms is not None and (rules := rules_from(terms)) is not None:
        admit_values(rules, visits, value, mean, sigma, rng)
    return _by_visit(draws, visits, value)


def log_likelihood(draws: xr.Dataset, visits: Visits) -> xr.DataArray:
    """Evaluate the log density of every value given its patient's coefficients: (chain, draw, visit)."""
    residual = NormalResidual(_flat(draws["sigma"]))
    return _by_visit(draws, visits, residual.log_density(visits.value, _means(draws, visits)[:, None])[:, 0])


def _means(draws: xr.Dataset, visits: Visits) -> Floats:
    """Expected value at every visit: (draw, visit)."""
    theta = _flat(draws["coefficients"])
    mean = np.zeros((len(theta), len(visits.value)))
    for a in range(visits.basis.shape[1]):
        mean += visits.basis[:, a] * theta[:, visits.patient_index, a]
    return mean


def _flat(values: xr.DataArray) -> Floats:
    from slopeshift.engine.exact import flat

    return flat(values)


def _by_visit(draws: xr.Dataset, visits: Visits, values: Floats) -> xr.DataArray:
    import xarray as xr

    shape = (draws.sizes["chain"], draws.sizes["draw"], -1)
    coords = {"chain": draws["chain"], "draw": draws["draw"], "visit": range(len(visits.value))}
    # Single precision, as it is stored: these are the largest arrays of a large cohort.
    single = values.reshape(shape).astype(np.float32)
    return xr.DataArray(single, coords, ("chain", "draw", "visit"), name=visits.outcome.name)
