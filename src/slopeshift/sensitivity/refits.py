"""The same model fitted anew to other values: some left out, some imputed, or the same ones on another basis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.answers.convergence import ESS_MIN, RHAT_MAX
from slopeshift.fit.compiled import Compiled, ModelJob, Sampling, compile_once, trial_content
from slopeshift.keep.replicates import rows_of
from slopeshift.sensitivity.rows import of_draws

if TYPE_CHECKING:
    import pandas as pd

    from slopeshift.design.visits import Visits
    from slopeshift.fit.posterior import Posterior
    from slopeshift.trial import Trial

ONE = Sampling(chains=4, draws=750, tune=500)
"""How a refit to one set of values is sampled."""

OF_MANY = Sampling(chains=2, draws=250, tune=300)
"""How each of several refits is sampled whose draws are put together."""

LARGEST_RHAT_OF_MANY = 1.05
"""Of each of these: 500 draws cannot show an R-hat below 1.01 reliably."""


@dataclass(frozen=True, eq=False)
class Variation:
    """One analysis: the values to fit to, several sets where they were imputed, and what it is called.

    `compared` asks how well every value is predicted from the others. `varied` is code that is added to the model file,
    and `trial` stands for the trial itself, with other rules of entry or patients; None where it is this one.
    """

    analysis: str
    detail: str
    data: tuple[Visits, ...]
    compared: bool = False
    varied: str = ""
    trial: Trial | None = None


@dataclass(frozen=True, eq=False)
class VariationJob(ModelJob):
    """Variations of the analysis of one outcome with one model, given by the text of its file.

    Variation v and imputation i depend on `seed`, v and i alone, the random numbers of NUTS on `seed` and i.
    """

    trial: Trial
    outcome: str
    model: str
    source: str
    seed: int
    variations: tuple[Variation, ...]

    @property
    def settings(self) -> tuple[object, ...]:
        """See `ModelJob`."""
        return self.outcome, self.model, self.seed, ONE, OF_MANY, *map(_content, self.variations)

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Fit one variation: a row per informed cycle and overall, as in `rows.of_draws`, with `passed`."""
        variation = self.variations[replicate]
        trial = variation.trial or self.trial
        return rows_of(fitted(_prepared(self, variation.varied, trial), trial, variation, self.seed))


def _content(variation: Variation) -> str:
    arrays: list[np.ndarray[Any, Any]] = [
        array for each in variation.data for array in (each.value, each.basis, each.patient_index, each.visits_in_cycle)
    ]
    stated = [variation.analysis, variation.detail, variation.varied]
    stated += [] if variation.trial is None else [trial_content(variation.trial)]
    return "\0".join([*stated, *(array.tobytes().hex() for array in arrays)])


@lru_cache(maxsize=2)
def _prepared(job: VariationJob, varied: str, trial: Trial) -> Compiled:
    return compile_once(job.model, f"{job.source}\n{varied}", trial, ONE)


def fitted(compiled: Compiled, trial: Trial, variation: Variation, seed: int) -> pd.DataFrame:
    """Fit a variation and summarise it: columns of `rows.of_draws`, n_patients, n_values and `passed`.

    Draws of several sets of values are put together; R-hat is then the largest of them, and ESS their sum. Where the
    variation is compared, `by_value` lists every value's log predictive density given the others, and `unreliable`
    counts those whose Pareto k is too high.
    """
    many = len(variation.data) > 1
    program = replace(compiled, sampling=OF_MANY) if many else compiled
    found = [program.fit(trial, visits, _seed(seed, i)) for i, visits in enumerate(variation.data)]
    tables = [of_draws(each) for each in found]
    table = of_draws(_together(found)) if many else tables[0]
    rhat = np.max([each["rhat"] for each in tables], axis=0)
    ess = np.sum([each["ess"] for each in tables], axis=0)
    passed = (rhat <= (LARGEST_RHAT_OF_MANY if many else RHAT_MAX)) & (ess >= ESS_MIN)
    first = variation.data[0]
    table = table.assign(
        rhat=rhat, ess=ess, passed=passed, n_patients=len(np.unique(first.patient_index)), n_values=len(first.value)
    )
    return _compared(table, found[0], seed) if variation.compared else table


def _seed(seed: int, imputation: int) -> int:
    return int(np.random.SeedSequence([seed, imputation]).generate_state(1)[0])


def _together(found: list[Posterior]) -> Posterior:
    """Put the draws of the population of several refits together, chains beside chains."""
    import xarray as xr

    kept = [name for name in ("population", "regression", "loading", "sigma") if name in found[0].draws]
    draws = [each.draws[kept] for each in found]
    number = draws[0].sizes["chain"]
    numbered = [each.assign_coords(chain=np.arange(number) + i * number) for i, each in enumerate(draws)]
    return found[0].with_draws(xr.concat(numbered, dim="chain"))


def _compared(table: pd.DataFrame, posterior: Posterior, seed: int) -> pd.DataFrame:
    from slopeshift.checks.loo import leave_one_out
    from slopeshift.checks.thinned import with_predictions

    loo = leave_one_out(with_predictions(posterior, seed))
    assert loo is not None
    by_value = [float(value) for value in loo.by_visit.elpd_i.to_numpy()]
    return table.assign(by_value=[by_value] * len(table), unreliable=loo.unreliable)
