"""The normal family: independent Normal(0, sigma) residuals, whose patients are integrated out exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from slopeshift.engine.families import NORMAL
from slopeshift.model.families.family import Family, IntegratedOut

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    def draw(self, mean: Floats, rng: np.random.Generator) -> Floats:
        """See `family.IndependentResidual`."""
        return mean + self.sigma[:, None] * rng.standard_normal(mean.shape)

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
    kernel: ClassVar[int | None] = NORMAL

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
class Normal(IntegratedOut, WrittenOut):
    """Values are Normal(mean, sigma); `sigma` is the prior of the residual standard deviation, in outcome units."""

    def observe(self, curve: PiecewiseLine) -> None:
        """See `IntegratedOut`; what is known of how patients entered is part of the likelihood."""
        from slopeshift.engine.admitted import rules_of
        from slopeshift.model.stated import statement

        rules = rules_of(curve.selection)
        statement().entry = bool(rules)
        self.observe_with(curve, rules)
