"""One replicate of a calibration: draw parameters and values, fit the values, rank the parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.calibration import posterior, quantities, simulated
from slopeshift.calibration import ranks as ranking
from slopeshift.fit.compiled import ModelJob, Sampling
from slopeshift.model.files import loaded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.calibration.posterior import Compiled
    from slopeshift.calibration.quantities import Asked
    from slopeshift.calibration.simulated import Prior, Simulated
    from slopeshift.fit.posterior import Posterior
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

SHORT = Sampling(chains=2, draws=500, tune=500, target_accept=0.9)
"""How a replicate is sampled: enough for ranks among 99 draws."""

LONGER = 4
"""How many times as many draws are taken where the first ones do not do, after twice the warm-up."""

LARGEST_RHAT, SMALLEST_ESS = 1.02, 200
"""What is asked of every quantity of a replicate: twice as many effective draws as it is ranked among."""


@dataclass(frozen=True, eq=False)
class CalibrationJob(ModelJob):
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

    @property
    def settings(self) -> tuple[object, ...]:
        """See `ModelJob`."""
        return self.model, self.seed, self.sampling, self.simulated_from, self.checked

    @cached_property
    def program(self) -> str:
        """Hash of what is compiled."""
        return self._hashed("calibration.job", self.simulated_from)

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Do one replicate: a row of its ranks, and of how well its chains did.

        Where they did not mix, longer ones are run. Where these do not either, `passed` is false, and the ranks stand.
        Raises CalibrationError where the model that was fitted is not the one simulated from.
        """
        prior, compiled, asked = _prepared(self)
        drawn = prior.draw(self.seed, replicate)
        state = np.random.SeedSequence([self.seed, replicate, 2]).generate_state(3)
        fitted, found, said = _sampled(self, prior, compiled, drawn, asked, int(state[0]))
        longer = not said["passed"]
        if longer:
            fitted, found, said = _sampled(self, prior, compiled, drawn, asked, int(state[1]), longer=True)
        chain, draw = ranking.places(fitted.draws.sizes["chain"], fitted.draws.sizes["draw"])
        among = {name: values[chain, draw] for name, values in found.items()}
        among |= _log_likelihood(prior, drawn, ranking.thinned(fitted))
        true = quantities.quantities(drawn.truth, asked) | _log_likelihood(prior, drawn, drawn.truth)
        rng = np.random.default_rng(int(state[2]))
        ranks = ranking.ranks({name: value.item() for name, value in true.items()}, among, rng)
        return [{**said, "longer": longer, **ranks}]


@lru_cache(maxsize=2)
def _prepared(job: CalibrationJob) -> tuple[Prior, Compiled, Asked]:
    """Build and compile, once per process: what is drawn from, what is fitted, and what is asked of it."""
    file = loaded(job.model, job.source)
    other = file if job.simulated_from is None else loaded(job.model, job.simulated_from)
    prior = simulated.prior_of(other, job.trial)
    asked = quantities.asked(prior.draws(job.seed, 0))
    return prior, posterior.compile_model(file, job.trial), asked


def _sampled(
    job: CalibrationJob,
    prior: Prior,
    compiled: Compiled,
    drawn: Simulated,
    asked: Asked,
    seed: int,
    *,
    longer: bool = False,
) -> tuple[Posterior, dict[str, Floats], dict[str, Any]]:
    """Sample the posterior: itself, what is ranked of it, and whether the chains mixed."""
    sampling = job.sampling
    if longer:
        sampling = replace(sampling, draws=LONGER * sampling.draws, tune=2 * sampling.tune)
    fitted = compiled.sample(drawn, sampling, seed)
    if job.checked:
        posterior.check_same_density(prior, drawn, fitted)
    found = quantities.quantities(fitted, asked)
    rhat, ess = _mixing(found)
    passed = bool(rhat <= LARGEST_RHAT and ess >= SMALLEST_ESS)
    divergences = int(fitted.groups["sample_stats"]["diverging"].sum())
    return fitted, found, {"passed": passed, "rhat": rhat, "ess": ess, "divergences": divergences}


def _mixing(found: dict[str, Floats]) -> tuple[float, float]:
    """The largest R-hat and the smallest effective sample size, bulk or tail, of any quantity."""
    from slopeshift.answers.mixing import mixing

    worst = mixing(np.stack([values.astype(float) for values in found.values()], axis=-1))
    return round(float(worst["rhat"].max()), 4), round(float(min(worst["ess_bulk"].min(), worst["ess_tail"].min())), 1)


def _log_likelihood(prior: Prior, drawn: Simulated, of: Posterior) -> dict[str, Floats]:
    return {quantities.LOG_LIKELIHOOD: quantities.log_likelihood(prior, drawn.data, of)}
