"""One replicate of a calibration: draw parameters and values, fit the values, rank the parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift import effects, refit
from slopeshift.calibration import graph, posterior, quantities, simulated
from slopeshift.calibration import ranks as ranking
from slopeshift.fit import engine_sha256

if TYPE_CHECKING:
    import xarray as xr

    from slopeshift.calibration.posterior import Compiled
    from slopeshift.calibration.simulated import Prior, Simulated
    from slopeshift.refit import Sampling
    from slopeshift.trial import Trial

SHORT = refit.Sampling(chains=2, draws=500, tune=500)
"""How a replicate is sampled: enough for ranks among 99 draws."""

LONGER = 4
"""How many times as many draws are taken where the first ones do not do, after twice the warm-up."""

LARGEST_RHAT, SMALLEST_ESS = 1.02, 200
"""What is asked of every quantity of a replicate: twice as many effective draws as it is ranked among."""

DECIDING = (graph, posterior, quantities, ranking, simulated, effects)
"""Modules that, besides the engine and this one, decide what the ranks are."""


@dataclass(frozen=True, eq=False)
class CalibrationJob:
    """Trials of a trial's design, drawn from the prior of a model given by its file's text, and fitted with it.

    Replicate r depends on `seed` and r alone. With `simulated_from`, the text of another file, trials are drawn from
    that one, and what then is found wrong is what a calibration is for; `checked` says whether to refuse it at once.
    """

    trial: Trial
    model: str
    source: str
    seed: int
    sampling: Sampling = SHORT
    simulated_from: str | None = None
    checked: bool = True

    @cached_property
    def key(self) -> str:
        """Hash of everything that decides the results."""
        settings = repr((self.model, self.seed, self.sampling, self.simulated_from, self.checked))
        return self._hash("calibration", settings)

    @cached_property
    def program(self) -> str:
        """Hash of what is compiled."""
        return self._hash("calibrated program", repr(self.simulated_from))

    def _hash(self, *parts: str) -> str:
        texts = [Path(str(module.__file__)).read_text() for module in DECIDING] + [Path(__file__).read_text()]
        everything = [*parts, self.source, refit.trial_content(self.trial), engine_sha256(), *texts]
        return sha256("\0".join(everything).encode()).hexdigest()[:24]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CalibrationJob) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Do one replicate: a row of its ranks, and of how well its chains did.

        Where they did not mix, longer ones are run. Where these do not either, `passed` is false, and the ranks stand.
        Raises CalibrationError where the model that was fitted is not the one simulated from.
        """
        prior, compiled, extra = _prepared(self)
        drawn = prior.draw(self.seed, replicate)
        state = np.random.SeedSequence([self.seed, replicate, 2]).generate_state(3)
        draws, found, said = _sampled(self, prior, compiled, drawn, extra, int(state[0]))
        longer = not said["passed"]
        if longer:
            draws, found, said = _sampled(self, prior, compiled, drawn, extra, int(state[1]), longer=True)
        true = quantities.quantities(drawn.parameters, drawn.visits, extra)
        true = true.assign(_log_likelihood(prior, drawn, drawn.parameters))
        among = ranking.thinned(found).assign(_log_likelihood(prior, drawn, ranking.thinned(draws)))
        rng = np.random.default_rng(int(state[2]))
        return [{**said, "longer": longer, **ranking.ranks(true, among, rng)}]


@lru_cache(maxsize=2)
def _prepared(job: CalibrationJob) -> tuple[Prior, Compiled, tuple[str, ...]]:
    """Build and compile, once per process: what is drawn from, what is fitted, and the names of its extra scalars."""
    file = simulated.loaded(job.model, job.source)
    other = file if job.simulated_from is None else simulated.loaded(job.model, job.simulated_from)
    prior = simulated.prior_of(other, job.trial)
    extra = quantities.extra_scalars(prior.draws(job.seed, 0))
    return prior, posterior.compile_model(file, job.trial), extra


def _sampled(
    job: CalibrationJob,
    prior: Prior,
    compiled: Compiled,
    drawn: Simulated,
    extra: tuple[str, ...],
    seed: int,
    *,
    longer: bool = False,
) -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    """Sample the posterior: the draws, what is ranked of them, and whether the chains mixed."""
    sampling = job.sampling
    if longer:
        sampling = replace(sampling, draws=LONGER * sampling.draws, tune=2 * sampling.tune)
    draws, stats = compiled.sample(drawn, sampling, seed)
    if job.checked:
        posterior.check_same_density(prior, drawn, draws, stats)
    found = quantities.quantities(draws, drawn.visits, extra)
    rhat, ess = _mixing(found)
    passed = bool(rhat <= LARGEST_RHAT and ess >= SMALLEST_ESS)
    return draws, found, {"passed": passed, "rhat": rhat, "ess": ess, "divergences": int(stats["diverging"].sum())}


def _mixing(found: xr.Dataset) -> tuple[float, float]:
    """The largest R-hat and the smallest effective sample size, bulk or tail, of any quantity."""
    import arviz as az

    table = found.to_dataarray("quantity").astype(float).to_dataset(name="x")
    sizes = [float(az.ess(table, method=method)["x"].min()) for method in ("bulk", "tail")]
    return round(float(az.rhat(table)["x"].max()), 4), round(min(sizes), 1)


def _log_likelihood(prior: Prior, drawn: Simulated, draws: xr.Dataset) -> dict[str, xr.DataArray]:
    return {quantities.LOG_LIKELIHOOD: quantities.log_likelihood(prior, drawn, draws)}
