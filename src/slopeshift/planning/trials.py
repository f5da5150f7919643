"""One trial of a plan, simulated and refitted: what the closed form cannot have, and whether it holds where it can.

The simulator shares no code with the models. A replicate depends on its seed and number alone, and is kept as soon as
it is done (see `keep.replicates`). Beside what a refit claims stands what the closed form says of such a trial at the
refit's own posterior of the spreads; it treats spreads as learnt, that of the plan as known.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property, lru_cache
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.answers import operating, quantities
from slopeshift.design.visits import visits_of
from slopeshift.fit.compiled import Compiled, Sampling, compile_once
from slopeshift.keep import made_from
from slopeshift.planning.plan import Design, Scenario, Simulation
from slopeshift.planning.schedule import CURVED
from slopeshift.planning.spreads import Spreads
from slopeshift.simulate import Simulated, simulate
from slopeshift.simulate.arms import CONTROL, TREATED, joined, seeds_of
from slopeshift.simulate.cohort import Truth
from slopeshift.simulate.planned import PlannedDesign, PlannedTruth
from slopeshift.trial import trial_from_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

SAMPLING = Sampling(chains=2, draws=500, tune=300)
"""How a refit is sampled: enough for a probability to within 0.01 or so."""

ROUNDED = {"alsfrsr": 1 / 12, "fvc": 0.01 / 12}
"""Variance that rounding adds to a residual, in squared outcome units."""

QUANTILES = tuple(round(1 - p, 6) for p in (0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999))
"""Quantiles of the posterior that are kept of every trial: those of the probabilities of usual rules."""

SETTINGS = {"title": "simulated from a plan", "synthetic": True, "source": "SYNTHETIC: simulated from a plan"}
NEEDED = {
    "patients": ["patient", "end_month", "end_reason"],
    "injections": ["patient", "injection", "month"],
}


@dataclass(frozen=True)
class PlanJob:
    """Trials of one design and scenario, each refitted by one model: a `keep.replicates.Job`.

    `population` is a text that tells the draws of the spreads; replicate r takes them in turn.
    """

    model: str
    source: str
    outcome: str
    design: Design
    scenario: Scenario
    simulation: Simulation
    population: str
    seed: int

    @cached_property
    def key(self) -> str:
        """Hash of everything that decides the results."""
        told = (self.outcome, self.design, self.scenario, _settings(self.simulation), self.population, self.seed)
        return self._hashed("planning.trials", repr(told), repr(SAMPLING))

    @cached_property
    def program(self) -> str:
        """Hash of what is compiled."""
        return self._hashed("fit.compiled")

    def _hashed(self, module: str, *more: str) -> str:
        texts = (made_from.without_docstrings(self.source), *more)
        return made_from.key("plan", *texts, modules=(module, *made_from.imported(self.source)))

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Simulate and refit one trial: a row of its estimate, and of how many such trials would be above it."""
        trial = self.trial(replicate)
        compiled = _compiled(self) if trial.arms is None else self.compiled(trial)
        visits = visits_of(trial, self.outcome, compiled.shape)
        seed = int(np.random.SeedSequence([self.seed, replicate, 1]).generate_state(1)[0])
        posterior = compiled.fit(trial, visits, seed)
        change = quantities.change(posterior).to_numpy().ravel()
        return [
            {
                "mean": float(change.mean()),
                "sd": float(change.std()),
                "values": len(visits.value),
                **{f"above {quantile}": float(np.quantile(change, quantile)) for quantile in QUANTILES},
                "learnt": self._expected(posterior, replicate),
            }
        ]

    def compiled(self, trial: Trial) -> Compiled:
        """Have the model ready for a trial; it is compiled once for all trials."""
        return compile_once(self.model, self.source, trial, SAMPLING)

    def trial(self, replicate: int) -> Trial:
        """Simulate one trial, with what `trial.toml` would say of its arms and of its entry rule."""
        simulated, design = self.simulated(replicate)
        controlled = self.design.control_share is not None
        named = {**NEEDED, "visits": ["patient", "month", self.outcome]}
        tables = {name: simulated.tables[name] for name in named}
        more: dict[str, Any] = {}
        if controlled:
            named = named | {"patients": [*named["patients"], "arm"], "injections": [*named["injections"], "agent"]}
            more["arms"] = self.arms
        if design.entry:
            more["entry"] = design.entry
        visits = tables["visits"].dropna(subset=[self.outcome])
        tables = {name: (visits if name == "visits" else tables[name])[wanted] for name, wanted in named.items()}
        return trial_from_tables("simulated", tables, SETTINGS | more)

    @property
    def arms(self) -> dict[str, Any]:
        """What `trial.toml` says of the arms of a controlled trial."""
        return {"control": CONTROL, "randomised": True}

    def simulated(self, replicate: int) -> tuple[Simulated, PlannedDesign]:
        """Simulate the tables of one trial, with every true value; and the design of an arm."""
        seed, bend, spreads = self._seed(replicate), self.bend(replicate), self.spreads(replicate)
        arms = self.design.arms
        treated = self.truth(spreads, bend, treated=True)
        if len(arms) == 1:
            design = self._arm(arms[True])
            return simulate(design, treated, seed), design
        control = self._arm(arms[False])
        seeds = seeds_of(seed)
        parts = {
            CONTROL: simulate(control, self.truth(spreads, bend, treated=False), seeds[0]),
            TREATED: simulate(self._arm(arms[True]), treated, seeds[1]),
        }
        return joined(parts, {self.outcome: self.scenario.effect}, seed), control

    def _seed(self, replicate: int) -> int:
        return int(np.random.SeedSequence([self.seed, replicate, 0]).generate_state(1)[0])

    def bend(self, replicate: int) -> float:
        """Draw by how much the courses of one trial bend on average, in outcome units a month, per month."""
        z = np.random.default_rng([self._seed(replicate), 7]).standard_normal()
        return float(self.scenario.bend + self.scenario.bend_sd * z)

    def spreads(self, replicate: int) -> Spreads:
        """Take the draw of the spreads that a replicate is simulated from."""
        drawn = {name: np.array(values) for name, values in json.loads(self.population).items()}
        return Spreads(**drawn).one(replicate % len(drawn["sigma"]))

    def _arm(self, patients: int) -> PlannedDesign:
        planned, more = self.design, self.simulation
        return PlannedDesign(
            enrolled=patients,
            patients_per_cycle=tuple(round(patients * share) for share in planned.reach),
            lead_in=planned.lead_in,
            lead_in_visits=planned.lead_in_visits,
            visit_spacing=planned.visit_spacing,
            interval=(min(planned.interval), max(planned.interval)),
            intervals=planned.interval,
            follow_up=planned.follow_up,
            dropout_hazard=more.dropout,
            death_hazard=more.death,
            interval_on_response=more.interval_on_response,
            minimum_loss=-inf if more.minimum_loss is None else more.minimum_loss,
        )

    def truth(self, spreads: Spreads, bend: float, *, treated: bool) -> Truth:
        """State what is true of an arm; the outcome that is not looked at is an unchanging one."""
        scenario, alone = self.scenario, self.design.control_share is None
        other = treated or alone
        drawn: dict[str, Any] = {each.name: getattr(spreads, each.name)[0] for each in fields(Spreads)}
        correlation = drawn.pop("correlation")
        drawn["sigma"] = float(np.sqrt(max(drawn["sigma"] ** 2 - ROUNDED[self.outcome], 0.0)))
        drawn["slope"] = drawn["slope"] + (scenario.mismatch if other else 0.0)
        ours = PlannedTruth(
            **drawn,
            change=(scenario.effect if treated else 0.0,) * self.design.injections,
            curvature=bend + (scenario.mismatch_bend if other else 0.0),
            correlation_level_slope=float(correlation[0, 1]),
            correlation_level_response=float(correlation[0, 2]),
            correlation_slope_response=float(correlation[1, 2]),
        )
        # Hazards of death are stated at an ALSFRS-R of 35, and go with it.
        none = PlannedTruth(35.0, 0.0, (0.0,) * self.design.injections, 0.0, 0.0, 0.0, 0.0, 0.0)
        found = {"alsfrsr": none, "fvc": none} | {self.outcome: ours}
        return Truth(**found, correlation_levels=0.0, correlation_slopes=0.0)

    def _expected(self, posterior: Posterior, replicate: int) -> float:
        """Work out the share of such trials with a claim at 0.975, at this posterior of the spreads and its own bend.

        NaN where it cannot: where the closed form does not apply, and of arms that differ by a mismatch.
        """
        scenario = self.scenario
        apart = self.design.control_share is not None and (scenario.mismatch or scenario.mismatch_bend)
        if apart or not self.simulation.as_planned:
            return float("nan")
        true = replace(scenario, bend=self.bend(replicate))
        course, spread = _stated(posterior, self.spreads(replicate), true)
        return operating.claims(posterior, course, spread)


@lru_cache(maxsize=1)
def _compiled(job: PlanJob) -> Compiled:
    """Compile a model of one arm on the first trial; whatever trial is refitted then, it is the same model."""
    return job.compiled(job.trial(0))


def _settings(simulation: Simulation) -> dict[str, Any]:
    """What of a simulation decides its trials, but not how many of which."""
    left_out = ("replicates", "designs", "scenarios")
    return {name: value for name, value in asdict(simulation).items() if name not in left_out}


def _stated(posterior: Posterior, spreads: Spreads, scenario: Scenario) -> tuple[Floats, Floats]:
    """Lay a truth out in the order of a posterior's columns: mean and covariance, as `operating.claims` takes them."""
    visits = posterior.visits
    names = [*visits.coefficients, *posterior.design.indexes.get("covariate", ())]
    if "curvature" not in names:
        names.append("curvature")
    cycles = tuple(f"cycle {k}" for k in visits.injections)
    loading = spreads.loading(replace(visits, shape=CURVED), ("level", "slope", "response", "curvature", *cycles))[0]
    known = ["level", "slope", "curvature", *(f"change {k}" for k in visits.injections)]
    place = [names.index(name) for name in known]
    course, spread = np.zeros(len(names)), np.zeros((len(names), len(names)))
    alone = "effect" not in names
    natural = [spreads.level[0], spreads.slope[0] + scenario.mismatch, scenario.bend + scenario.mismatch_bend]
    course[place] = [*natural, *[scenario.effect if alone else 0.0] * len(cycles)]
    if not alone:
        course[names.index("effect")] = scenario.effect
    spread[np.ix_(place, place)] = loading @ loading.T
    return course, spread
