"""The autocorrelated family: normal residuals whose correlation fades with the months between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from slopeshift.engine.sequence import left_and_new, sequence
from slopeshift.model.families.family import IntegratedOut
from slopeshift.model.families.normal import NormalResidual
from slopeshift.model.stated import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slopeshift.design.visits import Visits
    from slopeshift.engine.sequence import Sequence
    from slopeshift.model.families.family import Floats
    from slopeshift.model.priors import Beta


@dataclass(frozen=True, eq=False)
class AutocorrelatedResidual:
    """A residual correlated in time: `sigma` and `correlation` at one month, (draw,) each, and the visits' order."""

    sigma: Floats
    correlation: Floats
    order: Sequence

    def log_density(self, value: Floats, mean: Floats) -> Floats:
        """Evaluate the log density of each value given the patient's value before it; `mean` must have every visit.

        The first is Normal(mean, sigma); one m months after a residual r is Normal(mean + f r, sigma sqrt(1 - f^2)),
        where f = correlation^m.
        """
        kept, new = left_and_new(self.correlation[:, None, None], self.order)
        left = value - mean
        innovation = (left - kept * left[..., self.order.previous]) / np.sqrt(new)
        density: Floats = NormalResidual(self.sigma).log_density(innovation, np.zeros_like(mean)) - 0.5 * np.log(new)
        return density

    def draw(self, mean: Floats, rng: np.random.Generator) -> Floats:
        """See `family.DrawnResidual`."""
        kept, new = left_and_new(self.correlation[:, None], self.order)
        residual = self.sigma[:, None] * np.sqrt(new) * rng.standard_normal(mean.shape)
        for here in self.order.steps[1:]:
            residual[:, here] += kept[:, here] * residual[:, self.order.previous[here]]
        return mean + residual


@dataclass(frozen=True)
class Autocorrelated(IntegratedOut):
    """Values have residuals whose correlation is `autocorrelation` at one month, and fades in time.

    Residuals m months apart have correlation autocorrelation**m (a continuous-time autoregression of order 1), and each
    alone has standard deviation `sigma`, in outcome units. Values that follow each other within `sequence.SHORTEST`
    months count as so far apart. The log likelihood of a value is that given the one before it, so that it is not that
    of a value left out.
    """

    autocorrelation: Beta | None = None

    name: ClassVar[str] = "autocorrelated"
    independent: ClassVar[bool] = False
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "sigma": Parameter("residual SD", "{unit}"),
        "autocorrelation": Parameter("correlation of residuals one month apart", "correlation"),
    }

    @staticmethod
    def residual(parameters: Mapping[str, Floats], visits: Visits) -> AutocorrelatedResidual:
        """See `Family`."""
        order = sequence(visits.patient_index, visits.month)
        return AutocorrelatedResidual(parameters["sigma"], parameters["autocorrelation"], order)
