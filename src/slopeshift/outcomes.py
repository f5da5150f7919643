"""Outcome families: how a recorded score scatters around a patient's curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymc as pm

from slopeshift import marginal
from slopeshift.curves import coefficients, loading, population_terms

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

    from slopeshift.basis import Visits
    from slopeshift.curves import PiecewiseLine
    from slopeshift.priors import Gamma, HalfNormal


def normal(curve: PiecewiseLine, *, sigma: HalfNormal | Gamma) -> None:
    """Observe every value as Normal(mean, sigma), in the current PyMC model.

    `sigma` is the prior of the residual standard deviation, in outcome units. Adds `sigma`, `loading` and an observed
    variable (visit,) named after the outcome. The coefficients are integrated out, and drawn back after sampling.
    """
    marginal.observe(curve.visits, population_terms(curve), loading(curve), sigma.variable("sigma"))


def normal_written_out(curve: PiecewiseLine, *, sigma: HalfNormal | Gamma) -> None:
    """Observe every value as Normal(mean, sigma) as `normal` does, but with the coefficients sampled.

    The slow and obvious version of `normal`, and the path of families whose coefficients cannot be integrated out.
    """
    scatter = sigma.variable("sigma")
    mean = _mean(curve.visits, coefficients(curve))
    pm.Normal(curve.visits.outcome.name, mean, scatter, observed=_recorded(curve.visits), dims="visit")


def _recorded(visits: Visits) -> TensorVariable:
    """Hold the values as data of the model, so that once it is compiled it takes others: (visit,)."""
    return pm.Data("recorded", visits.value, dims="visit")


def _mean(visits: Visits, theta: TensorVariable) -> TensorVariable:
    """Expected value at every visit, basis times coefficients: (visit,)."""
    return (visits.basis * theta[visits.patient_index]).sum(axis=1)
