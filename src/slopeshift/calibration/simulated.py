"""Trials of one design, drawn from a model's own prior: parameters first, then the values that they make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.calibration.graph import compile_graph, data_of, with_exchangeable_values
from slopeshift.engine import exact
from slopeshift.engine.terms import terms_of
from slopeshift.fit.posterior import Posterior
from slopeshift.fit.sample import prior_draws

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.calibration.graph import Graph
    from slopeshift.design.visits import Visits
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

BLOCK = 50
"""Draws of the prior that are made together, because calling PyMC costs more than drawing."""


@dataclass(frozen=True, eq=False)
class Simulated:
    """One draw from a model's prior.

    `truth` is laid out as a posterior of a single draw, whose visits have the values that were drawn; `data` holds all
    that a compiled model of this design must be given for its values to be these.
    """

    truth: Posterior
    data: Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class Prior:
    """A model file's prior on the design of a trial: its patients, visit times and injections, not its values."""

    file: ModelFile
    trial: Trial
    visits: Visits
    model: pm.Model
    graph: Graph

    @cached_property
    def built_on(self) -> dict[str, Floats]:
        """The data of the model as built on the trial itself."""
        return data_of(self.model)

    @cached_property
    def terms(self) -> xr.Dataset | None:
        """What the exact engine draws population and patients from; None where a model samples its coefficients."""
        return terms_of(self.model) if exact.integrated_out(self.model) else None

    @cached_property
    def design(self) -> xr.Dataset:
        """What a stored fit has as `constant_data`, but for what depends on values."""
        known = self.visits.dataset()
        return known if self.terms is None else known.merge(self.terms, join="exact")

    def draw(self, seed: int, replicate: int) -> Simulated:
        """Draw parameters and values: the same for a seed and replicate, whatever else is drawn.

        What a model computes from values (a slope that was seen, say) is taken from the model as built on the values
        drawn, and what it observes besides the outcome is drawn given these.
        """
        block = self._block(seed, replicate // BLOCK)
        place = {"chain": slice(0, 1), "draw": slice(replicate % BLOCK, replicate % BLOCK + 1)}
        parameters = block["prior"].to_dataset().isel(place)
        values = block["prior_predictive"][self.file.outcome].isel(place).to_numpy()[0, 0].astype(float)
        visits = replace(self.visits, value=values)
        truth = self._posterior(parameters, visits)
        if self.terms is not None and not self.graph.others:
            return Simulated(truth, self.built_on | {"statistics": exact.statistics_of(visits, self.terms)})
        data = data_of(self._with(values))
        rng = np.random.default_rng([seed, replicate, 1])
        return Simulated(truth, data | self.graph.draw_others(parameters, data, rng))

    def draws(self, seed: int, block: int) -> Posterior:
        """Draw BLOCK sets of parameters, laid out as a posterior on the trial's own values."""
        return self._posterior(self._block(seed, block)["prior"].to_dataset(), self.visits)

    def _posterior(self, draws: xr.Dataset, visits: Visits) -> Posterior:
        return Posterior(self.trial, visits, self.design, draws, self.file.name)

    @lru_cache(maxsize=4)  # noqa: B019 - a process keeps one prior for as long as it works
    def _block(self, seed: int, block: int) -> xr.DataTree:
        state = int(np.random.SeedSequence([seed, block]).generate_state(1)[0])
        return prior_draws(self.model, self.visits, BLOCK, state)

    def _with(self, values: Floats) -> pm.Model:
        """Build the model on the same trial with other values, which need not lie on the outcome's scale."""
        table = self.trial.visits
        table[self.file.outcome] = table[self.file.outcome].astype(float)
        table.loc[table[self.file.outcome].notna(), self.file.outcome] = values
        tables = {
            "patients": self.trial.patients,
            "injections": self.trial.injections,
            "events": self.trial.events,
            "visits": table,
        }
        return with_exchangeable_values(self.file.build(replace(self.trial, _tables=tables)), self.file.outcome)


def prior_of(file: ModelFile, trial: Trial) -> Prior:
    """Build a model on a trial, to draw from its prior. Raises LookupError where the trial lacks its outcome."""
    visits = file.visits(trial)
    model = with_exchangeable_values(file.build(trial), file.outcome)
    return Prior(file, trial, visits, model, compile_graph(model, file.outcome))
