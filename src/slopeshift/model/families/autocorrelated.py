"""The autocorrelated family: normal residuals whose correlation fades with the months between them."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from slopeshift.model.families.family import Family
from slopeshift.model.families.normal import NormalResidual
from slopeshift.model.stated import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    from slopeshift.design.visits import Visits
    from slopeshift.model.families.family import Floats, Tensors
    from slopeshift.model.priors import Beta

SHORTEST = 0.5
"""Months that values count as apart at the least. A residual that only fades would have to be the same in values of one
day, and a single pair of values from days apart that differ, as two ratings do, would rule any correlation out."""


@dataclass(frozen=True, eq=False)
class AutocorrelatedResidual:
    """A residual correlated in time: `sigma` and `correlation` at one month, (draw,) each, and the visits' order."""

    sigma: Floats
    correlation: Floats
    order: Sequence

    def log_density(self, value: Floats, mean: Floats) -> Floats:
        """Evaluate the log density of each value given the patient's value before it; `mean` must have every visit."""
        order, correlation = self.order, self.correlation[:, None, None]
        kept = np.where(order.first, 0.0, correlation**order.months)
        new = np.where(order.first, 1.0, -np.expm1(2.0 * order.months * np.log(correlation)))
        left = value - mean
        innovation = (left - kept * left[..., order.previous]) / np.sqrt(new)
        density: Floats = NormalResidual(self.sigma).log_density(innovation, np.zeros_like(mean)) - 0.5 * np.log(new)
        return density


@dataclass(frozen=True)
class Autocorrelated(Family):
    """Values have residuals whose correlation is `autocorrelation` at one month, and fades in time.

    Residuals m months apart have correlation autocorrelation**m (a continuous-time autoregression of order 1), and each
    alone has standard deviation `sigma`, in outcome units. Values that follow each other within SHORTEST months count
    as so far apart. The log likelihood of a value is that given the one before it, so that it is not that of a value
    left out.
    """

    autocorrelation: Beta | None = None

    name: ClassVar[str] = "autocorrelated"
    independent: ClassVar[bool] = False
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "sigma": Parameter("residual SD", "{unit}"),
        "autocorrelation": Parameter("correlation of residuals one month apart", "correlation"),
    }

    @staticmethod
    def standardise(rows: TensorVariable, value: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`."""
        sigma, correlation = parameters
        return innovations(rows, sigma, correlation, sequence(visits.patient_index, visits.month))

    @staticmethod
    def log_density(value: TensorVariable, mean: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`; each value given the one before it."""
        sigma, correlation = parameters
        order = sequence(visits.patient_index, visits.month)
        return log_density_after_previous(value - mean, sigma, correlation, order)

    @staticmethod
    def simulate(mean: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`."""
        import pymc as pm

        sigma, correlation = parameters
        z = pm.Normal.dist(0.0, 1.0, shape=mean.shape)
        return mean + fading(z, sigma, correlation, sequence(visits.patient_index, visits.month))

    @staticmethod
    def residual(parameters: Mapping[str, Floats], visits: Visits) -> AutocorrelatedResidual:
        """See `Family`."""
        order = sequence(visits.patient_index, visits.month)
        return AutocorrelatedResidual(parameters["sigma"], parameters["autocorrelation"], order)


@dataclass(frozen=True, eq=False)
class Sequence:
    """What comes before what: places of visits, whatever the order of rows.

    `previous` (visit,): the place of the same patient's value before, its own where there is none, as `first` (visit,)
    says. `months` (visit,): since that value, at least SHORTEST; 1 for first values. `number` (visit,): how many come
    before it.
    """

    previous: NDArray[np.intp]
    first: NDArray[np.bool_]
    months: NDArray[np.float64]
    number: NDArray[np.intp]


def sequence(patient: NDArray[np.intp], month: NDArray[np.float64]) -> Sequence:
    """Put the visits of each patient in the order of time; `patient` and `month` are (visit,)."""
    order = np.lexsort((month, patient))
    first, previous = np.ones(len(order), dtype=bool), np.arange(len(order))
    later = patient[order][1:] == patient[order][:-1]
    first[order[1:]] = ~later
    previous[order[1:]] = np.where(later, order[:-1], order[1:])
    months = np.where(first, 1.0, np.maximum(month - month[previous], SHORTEST))
    number = np.zeros(len(order), dtype=np.intp)
    for place in order:
        number[place] = 0 if first[place] else number[previous[place]] + 1
    return Sequence(previous, first, months, number)


def log_density_after_previous(
    residual: TensorVariable, sigma: TensorVariable, correlation: TensorVariable, order: Sequence
) -> TensorVariable:
    """Evaluate the log density of each residual given the one before it: (visit,).

    The first is Normal(0, sigma); one m months after r is Normal(f r, sigma sqrt(1 - f^2)) with f = correlation^m.
    """
    import pytensor.tensor as pt

    z = innovations(residual[:, None], sigma, correlation, order)[:, 0]
    spread = _kept(sigma, correlation, order)[1]
    return -0.5 * z**2 - pt.log(spread) - 0.5 * log(2 * pi)


def innovations(
    rows: TensorVariable, sigma: TensorVariable, correlation: TensorVariable, order: Sequence
) -> TensorVariable:
    """Take from each row (visit, column) what the one before it explains, in standard deviations of what is new.

    Of residuals this leaves independent standard normals.
    """
    left, spread = _kept(sigma, correlation, order)
    return (rows - left[:, None] * rows[order.previous]) / spread[:, None]


def fading(z: TensorVariable, sigma: TensorVariable, correlation: TensorVariable, order: Sequence) -> TensorVariable:
    """Turn independent standard normals (visit,) into residuals of the same law: (visit,)."""
    left, spread = _kept(sigma, correlation, order)
    residual = spread * z
    for number in range(1, int(order.number.max(initial=0)) + 1):
        here = np.flatnonzero(order.number == number)
        residual = residual[here].inc(left[here] * residual[order.previous[here]])
    return residual


def _kept(sigma: TensorVariable, correlation: TensorVariable, order: Sequence) -> tuple[TensorVariable, TensorVariable]:
    """Find how much of the residual before is left, and the standard deviation of what is new: (visit,) each."""
    import pytensor.tensor as pt

    months = pt.as_tensor(order.months)
    left = pt.switch(order.first, 0.0, correlation**months)
    # 1 - f^2 by its logarithm, exact also where f is near 1.
    new = pt.switch(order.first, 1.0, -pt.expm1(2.0 * months * pt.log(correlation)))
    return left, sigma * pt.sqrt(new)


def apart(month: Floats) -> Floats:
    """Count the months between each two of a patient's values, as the residuals do: (visit, visit)."""
    order = np.argsort(month, kind="stable")
    since = np.empty(len(month))
    since[order] = np.concatenate([[0.0], np.cumsum(np.maximum(np.diff(month[order]), SHORTEST))])
    return np.abs(since[:, None] - since)
