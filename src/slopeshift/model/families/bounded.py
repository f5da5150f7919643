"""The bounded family: a latent normal value that is rounded and kept within the ends of the outcome's scale."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi, sqrt
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from slopeshift.engine.families import BOUNDED
from slopeshift.model.families.family import Family
from slopeshift.model.families.normal import NormalResidual
from slopeshift.model.stated import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    from slopeshift.design.visits import Visits
    from slopeshift.model.families.family import Floats, Tensors
    from slopeshift.trial import Outcome


@dataclass(frozen=True, eq=False)
class BoundedResidual:
    """A latent normal residual, `sigma` (draw,), written down on a scale: rounded if that is whole, within its ends."""

    sigma: Floats
    scale: Outcome

    def log_density(self, value: Floats, mean: Floats) -> Floats:
        """See `family.Residual`."""
        from scipy.special import log_ndtr

        low, high = self._limits(value, mean)
        # In the tail where both limits lie on the left: there the logarithms differ.
        turned = low + high > 0
        outer, inner = np.where(turned, -high, low), np.where(turned, -low, high)
        larger = log_ndtr(inner)
        with np.errstate(divide="ignore"):  # a single point, of a scale that is not whole
            found: Floats = larger + np.log(-np.expm1(log_ndtr(outer) - larger))
        if self.scale.integer:
            return found
        between = ~(self._at_minimum(value) | self._at_maximum(value))
        return np.where(between, NormalResidual(self.sigma).log_density(value, mean), found)

    def draw(self, mean: Floats, rng: np.random.Generator) -> Floats:
        """See `family.IndependentResidual`."""
        latent = NormalResidual(self.sigma).draw(mean, rng)
        return np.clip(np.round(latent) if self.scale.integer else latent, *self.scale.ends)

    def lower(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `family.IndependentResidual`."""
        from scipy.special import ndtr

        low, high = self._limits(value, mean)
        return ndtr(low), ndtr(high) - ndtr(low)

    def working(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `family.IndependentResidual`.

        By Sheppard's correction for rounding, and by slope and curvature at an end of the scale.
        """
        low, high = (each[:, 0] for each in self._limits(value, mean[:, None]))
        sigma = self.sigma[:, None]
        left, sd = value - mean, np.sqrt(sigma**2 + (1 / 12 if self.scale.integer else 0.0))
        at_minimum, at_maximum = self._at_minimum(value), self._at_maximum(value)
        edge = np.where(at_minimum, -high, np.where(at_maximum, low, 0.0))  # SDs that the mean is short of the end
        pull, curvature = _beyond(edge)
        toward = np.where(at_minimum, -1.0, 1.0) * sigma * pull / curvature
        ends = at_minimum | at_maximum
        return np.where(ends, toward, left), np.where(ends, sigma / np.sqrt(curvature), sd)

    def _limits(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """Between which latent values a recorded one lies, in SDs from the mean: as `mean` each."""
        half, sigma = 0.5 if self.scale.integer else 0.0, self.sigma[:, None, None]
        low = np.where(self._at_minimum(value), -np.inf, (value - half - mean) / sigma)
        high = np.where(self._at_maximum(value), np.inf, (value + half - mean) / sigma)
        return low, high

    def _at_minimum(self, value: Floats) -> NDArray[np.bool_]:
        return value <= self.scale.ends[0]

    def _at_maximum(self, value: Floats) -> NDArray[np.bool_]:
        return value >= self.scale.ends[1]


def _beyond(edge: Floats) -> tuple[Floats, Floats]:
    """First derivative, and second with its sign turned, of log Phi(mean - edge) in the mean, at a mean of 0."""
    from scipy.special import erfcx

    ratio = np.sqrt(2 / np.pi) / erfcx(edge / np.sqrt(2))
    # Far inside the scale nothing is said, and all of it underflows.
    return np.maximum(ratio, 1e-9), np.maximum(ratio * (ratio - edge), 1e-9)


@dataclass(frozen=True)
class Bounded(Family):
    """Values are a latent Normal(mean, sigma) that is written down on the outcome's scale.

    Where the outcome is a whole number the latent value is rounded, and beyond an end of its scale it is recorded as
    that end; the trial says which (`trial.Outcome`). `sigma` is the prior of the latent residual standard deviation,
    rounding apart, and the coefficients are those of the latent line, in outcome units.
    """

    name: ClassVar[str] = "bounded"
    kernel: ClassVar[int | None] = BOUNDED
    parameters: ClassVar[Mapping[str, Parameter]] = {"sigma": Parameter("SD of the latent residual", "{unit}")}

    @staticmethod
    def standardise(rows: TensorVariable, value: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`; a value at an end of the scale counts for nothing, since it bounds the line on one side."""
        scale = visits.outcome
        return rows * (within(value, scale) / sd_on_scale(parameters[0], scale))[:, None]

    @staticmethod
    def log_density(value: TensorVariable, mean: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`."""
        return log_density_on_scale(value, mean, parameters[0], visits.outcome)

    @staticmethod
    def simulate(mean: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`."""
        import pymc as pm

        return on_scale(pm.Normal.dist(mean, parameters[0]), visits.outcome)

    @staticmethod
    def limits(scale: Outcome) -> tuple[float, tuple[float, float]]:
        """See `Family`."""
        return 0.5 if scale.integer else 0.0, scale.ends

    @staticmethod
    def residual(parameters: Mapping[str, Floats], visits: Visits) -> BoundedResidual:
        """See `Family`."""
        return BoundedResidual(parameters["sigma"], visits.outcome)


def log_density_on_scale(
    value: TensorVariable, mean: TensorVariable, sigma: TensorVariable, scale: Outcome
) -> TensorVariable:
    """Evaluate the log probability of what is recorded of a latent Normal(mean, sigma), value by value.

    A value at an end of the scale stands for all that lies beyond it, a whole number for all that is rounded to it.
    Of an outcome that is no whole number, a value between the ends has a density instead.
    """
    import pytensor.tensor as pt

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
    import pytensor.tensor as pt

    shown = pt.round(latent) if scale.integer else latent
    return pt.clip(shown, *scale.ends)


def within(value: TensorVariable, scale: Outcome) -> TensorVariable:
    """Say which values lie between the ends of the scale: 1 there, 0 at an end."""
    import pytensor.tensor as pt

    low, high = scale.ends
    return pt.cast((value > low) & (value < high), "float64")


def sd_on_scale(sigma: TensorVariable, scale: Outcome) -> TensorVariable:
    """Standard deviation of what is recorded of a latent Normal(mean, sigma), far from the ends of the scale.

    Rounding to whole numbers adds the variance of a uniform of width 1, nearly (Sheppard's correction).
    """
    import pytensor.tensor as pt

    return pt.sqrt(sigma**2 + 1.0 / 12.0) if scale.integer else sigma


def log_normal_cdf(z: TensorVariable) -> TensorVariable:
    """Evaluate log Phi(z) so that value and gradient are finite and exact in both tails.

    Either branch is only ever evaluated on its own side of 0: a gradient that is not finite, in the branch that is not
    taken, would still spoil the one that is.
    """
    import pytensor.tensor as pt

    below, above = pt.minimum(z, 0.0), pt.maximum(z, 0.0)
    left = pt.log(0.5 * pt.erfcx(-below / sqrt(2))) - 0.5 * below**2
    return pt.switch(z < 0, left, pt.log1p(-0.5 * pt.erfc(above / sqrt(2))))


def _log_probability_between(low: TensorVariable, high: TensorVariable) -> TensorVariable:
    """Evaluate log(Phi(high) - Phi(low)), low < high, in whichever tail both differ: the left one, by reflection."""
    import pytensor.tensor as pt

    reflected = low + high > 0
    outer, inner = pt.switch(reflected, -high, low), pt.switch(reflected, -low, high)
    larger = log_normal_cdf(inner)
    return larger + pt.log(-pt.expm1(log_normal_cdf(outer) - larger))
