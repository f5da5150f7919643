"""Outcome families: how a recorded score scatters around a patient's curve.

`normal` is exact and fast; the others sample the coefficients. Each adds `sigma`, what else it samples by its own name,
and an observed variable (visit,) named after the outcome, which has a density and a generative graph. Those that are
written out observe `recorded`, which a compiled model exchanges for other values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymc as pm
import pytensor.tensor as pt

from slopeshift.engine import exact
from slopeshift.model import residuals
from slopeshift.model.line import coefficients, loading, population_terms

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

    from slopeshift.design.visits import Visits
    from slopeshift.model.line import PiecewiseLine
    from slopeshift.model.priors import Beta, Gamma, HalfNormal


def normal(curve: PiecewiseLine, *, sigma: HalfNormal | Gamma) -> None:
    """Observe every value as Normal(mean, sigma), in the current PyMC model.

    `sigma` is the prior of the residual standard deviation, in outcome units. Adds `sigma`, `loading` and an observed
    variable (visit,) named after the outcome. The coefficients are integrated out, and drawn back after sampling.
    """
    exact.observe(curve.visits, population_terms(curve), loading(curve), sigma.variable("sigma"))


def normal_written_out(curve: PiecewiseLine, *, sigma: HalfNormal | Gamma) -> None:
    """Observe every value as Normal(mean, sigma) as `normal` does, but with the coefficients sampled.

    The slow and obvious version of `normal`, and the path of families whose coefficients cannot be integrated out.
    """
    scatter, value = sigma.variable("sigma"), _recorded(curve.visits)
    mean = _mean(curve.visits, coefficients(curve, value, lambda rows: rows / scatter))
    pm.Normal(curve.visits.outcome.name, mean, scatter, observed=value, dims="visit")


def bounded(curve: PiecewiseLine, *, sigma: HalfNormal | Gamma) -> None:
    """Observe every value as a latent Normal(mean, sigma) that is written down on the outcome's scale.

    Where the outcome is a whole number the latent value is rounded, and beyond an end of its scale it is recorded as
    that end; the trial says which (`trial.Outcome`). `sigma` is the prior of the latent residual standard deviation,
    rounding apart, and the coefficients are those of the latent line, in outcome units.
    """
    scale, scatter, value = curve.visits.outcome, sigma.variable("sigma"), _recorded(curve.visits)
    weight = residuals.within(value, scale) / residuals.sd_on_scale(scatter, scale)
    mean = _mean(curve.visits, coefficients(curve, value, lambda rows: rows * weight[:, None]))

    def log_density(value: TensorVariable, mean: TensorVariable, sigma: TensorVariable) -> TensorVariable:
        return residuals.log_density_on_scale(value, mean, sigma, scale)

    def generate(mean: TensorVariable, sigma: TensorVariable, size: TensorVariable) -> TensorVariable:
        return residuals.on_scale(pm.Normal.dist(mean, sigma, size=size), scale)

    _observe(curve.visits, value, mean, scatter, dist=generate, logp=log_density)


def student_t(curve: PiecewiseLine, *, sigma: HalfNormal | Gamma, nu: Gamma) -> None:
    """Observe every value as Student-t with `nu` degrees of freedom around the mean, scaled by sigma.

    `sigma` is the prior of the scale, in outcome units: with few degrees of freedom less than the standard deviation,
    which is sigma sqrt(nu / (nu - 2)). A value far from its line then moves the line little.
    """
    scatter, freedom, value = sigma.variable("sigma"), nu.variable("nu"), _recorded(curve.visits)
    # What a value says of its mean: Fisher's information of a Student-t is (nu + 1) / ((nu + 3) sigma^2).
    alike = scatter * pt.sqrt((freedom + 3.0) / (freedom + 1.0))
    mean = _mean(curve.visits, coefficients(curve, value, lambda rows: rows / alike))
    pm.StudentT(
        curve.visits.outcome.name,
        nu=freedom,
        mu=mean,
        sigma=scatter,
        observed=value,
        dims="visit",
    )


def autocorrelated(curve: PiecewiseLine, *, sigma: HalfNormal | Gamma, autocorrelation: Beta) -> None:
    """Observe a patient's values with residuals whose correlation is `autocorrelation` at one month, and fades in time.

    Residuals m months apart have correlation autocorrelation**m (a continuous-time autoregression of order 1), and each
    alone has standard deviation `sigma`, in outcome units. Values that follow each other within `residuals.SHORTEST`
    months count as so far apart. The log likelihood of a value is that given the one before it, so that it is not that
    of a value left out.
    """
    scatter, correlation = sigma.variable("sigma"), autocorrelation.variable("autocorrelation")
    value, order = _recorded(curve.visits), residuals.sequence(curve.visits.patient_index, curve.visits.month)

    def innovations(rows: TensorVariable) -> TensorVariable:
        return residuals.innovations(rows, scatter, correlation, order)

    mean = _mean(curve.visits, coefficients(curve, value, innovations))

    def log_density(
        value: TensorVariable, mean: TensorVariable, sigma: TensorVariable, correlation: TensorVariable
    ) -> TensorVariable:
        return residuals.log_density_after_previous(value - mean, sigma, correlation, order)

    def generate(
        mean: TensorVariable, sigma: TensorVariable, correlation: TensorVariable, _: TensorVariable
    ) -> TensorVariable:
        return mean + residuals.fading(pm.Normal.dist(pt.zeros_like(mean)), sigma, correlation, order)

    _observe(curve.visits, value, mean, scatter, correlation, dist=generate, logp=log_density)


def _observe(visits: Visits, value: TensorVariable, *parameters: TensorVariable, **how: object) -> None:
    pm.CustomDist(visits.outcome.name, *parameters, **how, observed=value, dims="visit")


def _recorded(visits: Visits) -> TensorVariable:
    """Hold the values as data of the model, so that once it is compiled it takes others: (visit,)."""
    return pm.Data("recorded", visits.value, dims="visit")


def _mean(visits: Visits, theta: TensorVariable) -> TensorVariable:
    """Expected value at every visit, basis times coefficients: (visit,)."""
    return (visits.basis * theta[visits.patient_index]).sum(axis=1)
