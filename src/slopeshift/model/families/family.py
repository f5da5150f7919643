"""The contract of a residual family: how a recorded value scatters around its patient's line.

A family is a value with the priors of its parameters. It has its density in NumPy, for the checks of stored draws. One
whose patients are sampled has it a second time, as a PyTensor expression that NUTS evaluates; one test holds the two
together for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from slopeshift.model.priors import Gamma, HalfNormal, Prior
from slopeshift.model.stated import Parameter, sampled, statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    from slopeshift.design.visits import Visits
    from slopeshift.engine.admitted import Rules
    from slopeshift.model.line import PiecewiseLine
    from slopeshift.trial import Outcome

    Floats = NDArray[np.float64]
    Tensors = Sequence[TensorVariable]


class Residual(Protocol):
    """A residual whose parameters are given draw by draw. Values are (visit,), means (draw, any, visit)."""

    def log_density(self, value: Floats, mean: Floats) -> Floats:
        """Evaluate the log density of values: as `mean`."""


class DrawnResidual(Residual, Protocol):
    """A residual of which values can be drawn."""

    def draw(self, mean: Floats, rng: np.random.Generator) -> Floats:
        """Draw a value at every visit around the means (draw, visit): as `mean`."""


class IndependentResidual(Residual, Protocol):
    """A residual that is independent of the patient's others given the mean, which a value can be left out with."""

    def lower(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """Evaluate the probability of a lower value, and of the same one: as `mean` each."""

    def draw(self, mean: Floats, rng: np.random.Generator) -> Floats:
        """Draw values at means (draw, visit): as `mean`."""

    def working(self, value: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """Residual and SD of the normal value that pulls at these means (draw, visit) as each value does: as `mean`."""


@dataclass(frozen=True)
class Family:
    """A family with the priors of its parameters, in outcome units. A variation that states none takes those varied.

    `name` is what a fit records, `title` and `equation` are for people. `parameters` gives unit and label of each.
    `integrated_out` says that patients' coefficients are not sampled but drawn back; `independent` that values are
    independent given their patient's coefficients; `kernel` which family of `engine.residual_kernel` it is, None where
    it is none and its models are compiled one by one.
    """

    sigma: HalfNormal | Gamma | None = None

    name: ClassVar[str]
    parameters: ClassVar[Mapping[str, Parameter]] = {"sigma": Parameter("residual SD", "{unit}")}
    integrated_out: ClassVar[bool] = False
    independent: ClassVar[bool] = True
    kernel: ClassVar[int | None] = None

    @property
    def priors(self) -> dict[str, Prior]:
        """The priors of the parameters, by name. Raises ValueError where one is not stated."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        if missing := [name for name, prior in found.items() if prior is None]:
            raise ValueError(f"the family {self.name} has no prior for {', '.join(missing)}; state one")
        return found

    def observe(self, curve: PiecewiseLine) -> None:
        """Observe every value of the curve's visits, the coefficients sampled, in the current PyMC model.

        Adds the parameters by their names, `recorded` (visit,), which a compiled model exchanges for other values, what
        `line.coefficients` adds, and an observed variable (visit,) named after the outcome, which has a density and a
        generative graph.
        """
        import pymc as pm

        from slopeshift.model.line import coefficients

        visits, parameters = curve.visits, self.variables()
        value = pm.Data("recorded", visits.value, dims="visit")
        theta = coefficients(curve, value, lambda rows: self.standardise(rows, value, parameters, visits))
        mean = (visits.basis * theta[visits.patient_index]).sum(axis=1)

        def log_density(value: TensorVariable, mean: TensorVariable, *parameters: TensorVariable) -> TensorVariable:
            return self.log_density(value, mean, parameters, visits)

        def generate(mean: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
            return self.simulate(mean, inputs[:-1], visits)  # the last is the size, which is that of the mean

        how = {"dist": generate, "logp": log_density}
        pm.CustomDist(visits.outcome.name, mean, *parameters, **how, observed=value, dims="visit")

    def variables(self) -> list[TensorVariable]:
        """Sample the parameters in the current PyMC model, and record the family and their priors."""
        statement().family = self.name
        return [sampled(name, prior, self.parameters[name].label) for name, prior in self.priors.items()]

    @staticmethod
    def standardise(rows: TensorVariable, value: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """Map rows (visit, column) linearly, so that residuals of `value` become nearly standard normal."""
        raise NotImplementedError

    @staticmethod
    def log_density(value: TensorVariable, mean: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """Evaluate the log density of values given their means: (visit,)."""
        raise NotImplementedError

    @staticmethod
    def simulate(mean: TensorVariable, parameters: Tensors, visits: Visits) -> TensorVariable:
        """Draw values given their means: (visit,)."""
        raise NotImplementedError

    @staticmethod
    def limits(scale: Outcome) -> tuple[float, tuple[float, float]]:
        """Say how far a latent value may lie from the recorded one, and where the scale ends, if the family knows."""
        return 0.0, (-inf, inf)

    @staticmethod
    def residual(parameters: Mapping[str, Floats], visits: Visits) -> Residual:
        """Take the same family in NumPy, its parameters (draw,) by name."""
        raise NotImplementedError


@dataclass(frozen=True)
class IntegratedOut(Family):
    """A family of normal residuals, whose patients' coefficients are integrated out; its `residual` can draw."""

    integrated_out: ClassVar[bool] = True

    def observe(self, curve: PiecewiseLine) -> None:
        """Observe every value with the coefficients integrated out, to be drawn back after sampling.

        Adds the parameters by their names and what `exact.observe` adds, in the current PyMC model.
        """
        self.observe_with(curve)

    def observe_with(self, curve: PiecewiseLine, rules: Rules | None = None) -> None:
        """Observe values of patients who entered by `rules`, which only independent residuals may have."""
        from slopeshift.engine import exact
        from slopeshift.model.line import loading, population_terms

        sigma, *more = self.variables()
        known = {"correlation": more[0]} if more else {"rules": rules, "given": curve.given}
        exact.observe(curve.visits, population_terms(curve), loading(curve), sigma, **known)
