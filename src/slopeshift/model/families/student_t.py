"""The Student-t family: heavier tails than the normal, so that a value far from its line moves it little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from slopeshift.engine.families import STUDENT_T
from slopeshift.model.families.family import Family
from slopeshift.model.stated import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.tensor import TensorVariable

    from slopeshift.design.visits import Visits
    from slopeshift.model.families.family import Floats, Tensors
    from slopeshift.model.priors import Gamma


@dataclass(frozen=True, eq=False)
class StudentTResidual:
    """A Student-t residual: its scale `sigma` and degrees of freedom `nu`, (draw,) each."""

    sigma: Floats
    nu: Floats

    def log_density(self, value: Floats, mean: Floats) -> Floats:
        """See `family.Residual`."""
        from scipy.special import gammaln

        sigma, nu = self.sigma[:, None, None], self.nu[:, None, None]
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi) - np.log(sigma)
        density: Floats = constant - (nu + 1) / 2 * np.log1p(((value - mean) / sigma) ** 2 / nu)
        return density

    def draw(self, mean: Floats, rng: np.random.Generator) -> Floats:
        """See `family.IndependentResidual`."""
        return mean + self.sigma[:, None] * rng.standard_t(self.nu[:, None], mean.shape)

    def lower(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `family.IndependentResidual`."""
        from scipy.special import stdtr

        return stdtr(self.nu[:, None, None], (value - mean) / self.sigma[:, None, None]), np.zeros_like(mean)

    def working(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """See `family.IndependentResidual`.

        A Student-t is a normal whose precision is unknown: here that is its mean given the value.
        """
        left, sigma, nu = value - mean, self.sigma[:, None], self.nu[:, None]
        return left, sigma * np.sqrt((nu + (left / sigma) ** 2) / (nu + 1))


@dataclass(frozen=True)
class StudentT(Family):
    """Values are Student-t with `nu` degrees of freedom around the mean, scaled by sigma.

    `sigma` is the prior of the scale, in outcome units: with few degrees of freedom less than the standard deviation,
    which is sigma sqrt(nu / (nu - 2)).
    """

    nu: Gamma | None = None

    name: ClassVar[str] = "student_t"
    kernel: ClassVar[int | None] = STUDENT_T
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "sigma": Parameter("residual scale", "{unit}"),
        "nu": Parameter("degrees of freedom of the residual", "degrees of freedom"),
    }

    @staticmethod
    def standardise(rows: TensorVariable, value: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`; by Fisher's information about the mean, (nu + 1) / ((nu + 3) sigma^2)."""
        import pytensor.tensor as pt

        sigma, nu = parameters
        return rows / (sigma * pt.sqrt((nu + 3.0) / (nu + 1.0)))

    @staticmethod
    def log_density(value: TensorVariable, mean: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`."""
        import pymc as pm

        sigma, nu = parameters
        return pm.logp(pm.StudentT.dist(nu=nu, mu=mean, sigma=sigma), value)

    @staticmethod
    def simulate(mean: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """See `Family`."""
        import pymc as pm

        sigma, nu = parameters
        return pm.StudentT.dist(nu=nu, mu=mean, sigma=sigma)

    @staticmethod
    def residual(parameters: Mapping[str, Floats], visits: Visits) -> StudentTResidual:
        """See `Family`."""
        return StudentTResidual(parameters["sigma"], parameters["nu"])
