"""How a value scatters around its patient's line, in the families whose coefficients are sampled.

Which of them a fit is of, its stored densities tell: they must be those of this arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from slopeshift.fit.posterior import flat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior
    from slopeshift.trial import Outcome

    Floats = NDArray[np.float64]

SAME_DENSITY = 1e-4
"""Difference from the stored log densities, which are in single precision, up to which a family is the fit's."""


class Family(Protocol):
    """A residual, its parameters given draw by draw. Values are (visit,), means (draw, any, visit)."""

    def log_density(self, value: Floats, mean: Floats) -> Floats:
        """Evaluate the log density of values: as `mean`."""

    def lower(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """Evaluate the probability of a lower value, and of the same one: as `mean` each."""

    def working(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """Residual and SD of the normal value that pulls at these means (draw, visit) as each value does: as `mean`."""


@dataclass(frozen=True, eq=False)
class Normal:
    """A normal residual: `sigma` (draw,)."""

    sigma: Floats

    def log_density(self, value: Floats, mean: Floats) -> Floats:
        """See `Family`."""
        sigma = self.sigma[:, None, None]
        density: Floats = -0.5 * (((value - mean) / sigma) ** 2 + np.log(2 * np.pi)) - np.log(sigma)
        return density

    def lower(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `Family`."""
        from scipy.special import ndtr

        return ndtr((value - mean) / self.sigma[:, None, None]), np.zeros_like(mean)

    def working(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `Family`."""
        return value - mean, np.repeat(self.sigma[:, None], len(value), axis=1)


@dataclass(frozen=True, eq=False)
class StudentT:
    """A Student-t residual: its scale `sigma` and degrees of freedom `nu`, (draw,) each."""

    sigma: Floats
    nu: Floats

    def log_density(self, value: Floats, mean: Floats) -> Floats:
        """See `Family`."""
        from scipy.special import gammaln

        sigma, nu = self.sigma[:, None, None], self.nu[:, None, None]
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi) - np.log(sigma)
        density: Floats = constant - (nu + 1) / 2 * np.log1p(((value - mean) / sigma) ** 2 / nu)
        return density

    def lower(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `Family`."""
        from scipy.special import stdtr

        return stdtr(self.nu[:, None, None], (value - mean) / self.sigma[:, None, None]), np.zeros_like(mean)

    def working(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `Family`; a Student-t is a normal whose precision is unknown, here its mean given the value."""
        left, sigma, nu = value - mean, self.sigma[:, None], self.nu[:, None]
        return left, sigma * np.sqrt((nu + (left / sigma) ** 2) / (nu + 1))


@dataclass(frozen=True, eq=False)
class OnScale:
    """A latent normal residual, `sigma` (draw,), written down on a scale: rounded if that is whole, within its ends."""

    sigma: Floats
    scale: Outcome

    def log_density(self, value: Floats, mean: Floats) -> Floats:
        """See `Family`."""
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
        return np.where(between, Normal(self.sigma).log_density(value, mean), found)

    def lower(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `Family`."""
        from scipy.special import ndtr

        low, high = self._limits(value, mean)
        return ndtr(low), ndtr(high) - ndtr(low)

    def working(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `Family`; by Sheppard's correction for rounding, and by slope and curvature at an end of the scale."""
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
        return value <= (-np.inf if self.scale.minimum is None else self.scale.minimum)

    def _at_maximum(self, value: Floats) -> NDArray[np.bool_]:
        return value >= (np.inf if self.scale.maximum is None else self.scale.maximum)


def _beyond(edge: Floats) -> tuple[Floats, Floats]:
    """First derivative, and second with its sign turned, of log Phi(mean - edge) in the mean, at a mean of 0."""
    from scipy.special import erfcx

    ratio = np.sqrt(2 / np.pi) / erfcx(edge / np.sqrt(2))
    # Far inside the scale nothing is said, and all of it underflows.
    return np.maximum(ratio, 1e-9), np.maximum(ratio * (ratio - edge), 1e-9)


def family_of(posterior: Posterior) -> Family | None:
    """Find the family of a fit: that which gives its stored densities. None where none does, or none are stored."""
    stored, draws, visits = posterior.stored("log_likelihood"), posterior.draws, posterior.visits
    if stored is None or "sigma" not in draws:
        return None
    sigma = flat(draws["sigma"])
    candidates: list[Family] = [Normal(sigma), OnScale(sigma, visits.outcome)]
    if "nu" in draws:
        candidates.append(StudentT(sigma, flat(draws["nu"])))
    theta = flat(draws["coefficients"].transpose(..., "patient", "coefficient"))
    mean = (visits.basis * theta[:, visits.patient_index]).sum(axis=-1)
    known = flat(stored)
    for family in candidates:
        found = family.log_density(visits.value, mean[:, None])[:, 0]
        if np.allclose(found, known, rtol=SAME_DENSITY, atol=SAME_DENSITY):
            return family
    return None
