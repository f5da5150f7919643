"""Residuals that are not independent normals: on a scale with ends and steps, and one after another in time.

Densities and draws as PyTensor expressions, for the families of `outcomes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi, sqrt
from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    from slopeshift.trial import Outcome

SHORTEST = 0.5
"""Months that values count as apart at the least. A residual that only fades would have to be the same in values of one
day, and a single pair of values from days apart that differ, as two ratings do, would rule any correlation out."""


def log_density_on_scale(
    value: TensorVariable, mean: TensorVariable, sigma: TensorVariable, scale: Outcome
) -> TensorVariable:
    """Evaluate the log probability of what is recorded of a latent Normal(mean, sigma), value by value.

    A value at an end of the scale stands for all that lies beyond it, a whole number for all that is rounded to it.
    Of an outcome that is no whole number, a value between the ends has a density instead.
    """
    half = 0.5 if scale.integer else 0.0
    low, high = (value - half - mean) / sigma, (value + half - mean) / sigma
    if scale.integer:
        between = _log_probability_between(low, high)
    else:
        between = -0.5 * low**2 - pt.log(sigma) - 0.5 * log(2 * pi)
    if scale.minimum is not None:
        between = pt.switch(value <= scale.minimum, log_normal_cdf(high), between)
    if scale.maximum is not None:
        between = pt.switch(value >= scale.maximum, log_normal_cdf(-low), between)
    return between


def on_scale(latent: TensorVariable, scale: Outcome) -> TensorVariable:
    """Write latent values down: rounded where the outcome is a whole number, and kept within its ends."""
    shown = pt.round(latent) if scale.integer else latent
    low = -np.inf if scale.minimum is None else scale.minimum
    high = np.inf if scale.maximum is None else scale.maximum
    return pt.clip(shown, low, high)


def within(value: TensorVariable, scale: Outcome) -> TensorVariable:
    """Say which values lie between the ends of the scale: 1 there, 0 at an end."""
    low = -np.inf if scale.minimum is None else scale.minimum
    high = np.inf if scale.maximum is None else scale.maximum
    return pt.cast((value > low) & (value < high), "float64")


def sd_on_scale(sigma: TensorVariable, scale: Outcome) -> TensorVariable:
    """Standard deviation of what is recorded of a latent Normal(mean, sigma), far from the ends of the scale.

    Rounding to whole numbers adds the variance of a uniform of width 1, nearly (Sheppard's correction).
    """
    return pt.sqrt(sigma**2 + 1.0 / 12.0) if scale.integer else sigma


def log_normal_cdf(z: TensorVariable) -> TensorVariable:
    """Evaluate log Phi(z) so that value and gradient are finite and exact in both tails.

    Either branch is only ever evaluated on its own side of 0: a gradient that is not finite, in the branch that is not
    taken, would still spoil the one that is.
    """
    below, above = pt.minimum(z, 0.0), pt.maximum(z, 0.0)
    left = pt.log(0.5 * pt.erfcx(-below / sqrt(2))) - 0.5 * below**2
    return pt.switch(z < 0, left, pt.log1p(-0.5 * pt.erfc(above / sqrt(2))))


def _log_probability_between(low: TensorVariable, high: TensorVariable) -> TensorVariable:
    """Evaluate log(Phi(high) - Phi(low)), low < high, in whichever tail both differ: the left one, by reflection."""
    reflected = low + high > 0
    outer, inner = pt.switch(reflected, -high, low), pt.switch(reflected, -low, high)
    larger = log_normal_cdf(inner)
    return larger + pt.log(-pt.expm1(log_normal_cdf(outer) - larger))


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
    months = pt.as_tensor(order.months)
    left = pt.switch(order.first, 0.0, correlation**months)
    # 1 - f^2 by its logarithm, exact also where f is near 1.
    new = pt.switch(order.first, 1.0, -pt.expm1(2.0 * months * pt.log(correlation)))
    return left, sigma * pt.sqrt(new)
