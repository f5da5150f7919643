"""The densities of a model, compiled once as functions of what it samples and of its data.

What a model samples is handed in as it is, not transformed; data are handed in by name, so that the values of any trial
of the same design can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.engine.exact import integrated_out
from slopeshift.engine.foreign import observe_data, random_generator_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    Floats = NDArray[np.float64]
    Data = Mapping[str, Floats]

RECORDED = "recorded"
"""The name of the data that hold the values of an outcome, in models that sample their coefficients."""


def with_exchangeable_values(model: pm.Model, outcome: str) -> pm.Model:
    """Hold the observed values of an outcome as data of the model, where they are a constant of it, and return it.

    Where coefficients are integrated out the values enter through `statistics`, and are left alone.
    """
    if not integrated_out(model) and RECORDED not in model.named_vars:
        observe_data(model, model[outcome], RECORDED)
    return model


def data_of(model: pm.Model) -> dict[str, Floats]:
    """Take the data out of a model, by name."""
    return {variable.name: variable.get_value() for variable in model.data_vars}


@dataclass(frozen=True, eq=False)
class Graph:
    """Compiled densities of a model. `free` and `data` name what the functions take, in their order.

    `density` returns the log prior density of what is sampled, as NUTS sees it (Jacobians of transformations included),
    and the log likelihood of everything observed whose coefficients are not integrated out. `others` draws what is
    observed besides the outcome, given all else.
    """

    free: tuple[str, ...]
    data: tuple[str, ...]
    density: Callable[..., Any]
    others: Mapping[str, Callable[..., Any]]

    def log_densities(self, draws: xr.Dataset, data: Data) -> tuple[Floats, Floats]:
        """Evaluate log prior density and log likelihood at every draw of one chain: (draw,) each."""
        both = np.array([self.density(*inputs) for inputs in self._inputs(draws, data)])
        return both[:, 0], both[:, 1]

    def draw_others(self, draws: xr.Dataset, data: Data, rng: np.random.Generator) -> dict[str, Floats]:
        """Draw what is observed besides the outcome, given the only draw: values by the name of the data of theirs."""
        (inputs,) = self._inputs(draws, data)
        return {name: draw(rng, *inputs) for name, draw in self.others.items()}

    def _inputs(self, draws: xr.Dataset, data: Data) -> list[list[Floats]]:
        sampled = [draws[name].transpose("chain", "draw", ...).to_numpy()[0] for name in self.free]
        known = [data[name] for name in self.data]
        return [[*(values[d] for values in sampled), *known] for d in range(draws.sizes["draw"])]


def compile_graph(model: pm.Model, outcome: str) -> Graph:
    """Compile the densities of a model whose values are data (see `with_exchangeable_values`)."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    free = list(model.free_RVs)
    held = {variable: variable.type(name=variable.name) for variable in model.data_vars}
    inputs = [*free, *held.values()]
    given = list(held.items())
    prior = sum((_density(model, variable) for variable in free), pt.constant(0.0))
    others = [variable for variable in model.observed_RVs if variable.name != outcome]
    written_out = others if integrated_out(model) else [model[outcome], *others]
    likelihood = sum(
        (pm.logp(rv, model.rvs_to_values[rv]).sum() for rv in written_out), sum(model.potentials, pt.constant(0.0))
    )
    density = pytensor.function(inputs, [prior, likelihood], givens=given, on_unused_input="ignore")
    rng = random_generator_type()
    draws = {
        model.rvs_to_values[rv].name: pytensor.function(
            [rng, *inputs], rv, givens=[*given, (rv.owner.inputs[0], rng)], on_unused_input="ignore"
        )
        for rv in others
    }
    names = tuple(variable.name for variable in free), tuple(variable.name for variable in held)
    return Graph(*names, density, draws)


def _density(model: pm.Model, variable: TensorVariable) -> TensorVariable:
    """Log density of a sampled variable on the scale that NUTS moves on."""
    import pymc as pm

    density = pm.logp(variable, variable).sum()
    transform = model.rvs_to_transforms[variable]
    if transform is None:
        return density
    moved = transform.forward(variable, *variable.owner.inputs)
    return density + transform.log_jac_det(moved, *variable.owner.inputs).sum()
