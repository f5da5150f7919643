"""How often a model's own rules fire where nothing changed: null trials, refitted.

A rule that fires in more null trials than it says it does is not calibrated for this design. Null trials are of this
trial's own patients, visits and injection times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.answers import quantities
from slopeshift.answers.tables import population_changes
from slopeshift.classical import Rules, improvements, layout_of
from slopeshift.design.visits import visits_of
from slopeshift.fit.compiled import CLAIMED, SMALL, Compiled, ModelJob, Sampling, compile_once
from slopeshift.keep.replicates import rows_of
from slopeshift.null.population import described, entry_of, entry_words
from slopeshift.null.trials import null_trial

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.classical import Layout
    from slopeshift.design.entry import Conditions
    from slopeshift.design.visits import Visits
    from slopeshift.null.population import Population
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

DRAWS_ALONE = 1000
"""Draws of each patient's own slopes."""

COLUMNS = (
    "model outcome source entry sampling injection n_refits n_failed share_positive share_negative mc_error "
    "share_covering_zero mean_change sd_change mean_called expected_false_claims share_any_called "
    "mean_called_alone expected_false_alone"
)


@dataclass(frozen=True, eq=False)
class RefitJob(ModelJob):
    """Null trials of a trial, drawn from `population`, each refitted with a model given by the text of its file.

    Patients enter by the trial's rules, unless the population describes those who did. Replicate r depends on `seed`
    and r alone.
    """

    trial: Trial
    outcome: str
    model: str
    source: str
    population: Population
    seed: int
    sampling: Sampling = SMALL

    @property
    def settings(self) -> tuple[object, ...]:
        """See `ModelJob`."""
        stated = (self.outcome, self.model, self.seed, self.sampling)
        return *stated, described(self.population)

    @property
    def entry(self) -> str:
        """The rules by which patients enter, in words: empty where by none."""
        visits = visits_of(self.trial, self.outcome)
        return entry_words(entry_of(self.trial, visits, self.population), visits.outcome)

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Simulate and refit one null trial: a row per informed injection and overall."""
        compiled, visits, plan, entry = _prepared(self)
        for_values, for_fit, for_slopes = np.random.SeedSequence([self.seed, replicate]).spawn(3)
        values = null_trial(visits, self.population, np.random.default_rng(for_values), entry)
        simulated = replace(visits, value=values)
        posterior = compiled.fit(self.trial, simulated, int(for_fit.generate_state(1)[0]))
        changes = population_changes(posterior)
        claims = quantities.responders(quantities.patients(posterior), [quantities.SLOWING_PERCENT])
        alone = claims_alone(plan, values, float(posterior.draws["sigma"].mean()), np.random.default_rng(for_slopes))
        table = changes.merge(claims[["injection", "n_called", "expected_false_claims"]], on="injection")
        table = table.merge(alone, on="injection", how="left")
        kept = (
            "injection mean lower upper prob_positive rhat ess_bulk passed n_called expected_false_claims "
            "n_called_alone expected_false_alone"
        )
        return rows_of(table[kept.split()])


@lru_cache(maxsize=2)
def _prepared(job: RefitJob) -> tuple[Compiled, Visits, Layout, Conditions | None]:
    """Compile the model, and lay the trial's segments and conditions of entry out, once per process."""
    visits = visits_of(job.trial, job.outcome)
    compiled = compile_once(job.model, job.source, job.trial, job.sampling)
    return compiled, visits, layout_of(job.trial, visits, Rules()), entry_of(job.trial, visits, job.population)


def claims_alone(plan: Layout, values: Floats, sigma: float, rng: np.random.Generator) -> pd.DataFrame:
    """Count whom one would call slowed by each patient's own slopes alone: no prior, nobody drawn towards the others.

    A flat prior of a patient's slopes and residuals Normal(0, sigma) make their posterior the least-squares slopes of
    `values` (visit,) with new residuals added. Columns injection, n_called_alone (patients with Pr(slowing of 25 % or
    more) above 0.8) and expected_false_alone (the sum over them of one minus it).
    """
    drawn = values + sigma * rng.standard_normal((DRAWS_ALONE, len(values)))
    probability = (improvements(plan, drawn) >= quantities.SLOWING_PERCENT).mean(axis=0)
    called = probability > quantities.CLAIM
    false = np.where(called, 1 - probability, 0.0).sum(axis=0)
    return pd.DataFrame(
        {"injection": plan.periods, "n_called_alone": called.sum(axis=0), "expected_false_alone": false}
    )


def rates_table(job: RefitJob, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Report how often the rules fired: the table `null_refits`, a row per injection and overall.

    Of `n_refits`, `n_failed` did not meet the gate's bounds and are left out of everything else: share_positive, with
    Pr(change > 0) above 0.975, which should be near 0.025, with its Monte Carlo standard error; share_negative, the
    same of Pr(change < 0); share_covering_zero, whose 95 % interval covers zero, which should be near 0.95; mean and
    SD of the posterior mean change; mean_called, the patients per trial with Pr(slowing of 25 % or more) above 0.8, all
    of them false; expected_false_claims, how many of these the model itself expects to be; share_any_called; and
    mean_called_alone and expected_false_alone, the same where every patient is judged alone (`claims_alone`).
    """
    empty = pd.DataFrame(columns=["injection"])
    table = pd.DataFrame(rows) if rows else empty
    labels = {"model": job.model, "outcome": job.outcome, "source": job.population.name, "sampling": str(job.sampling)}
    found = [_rate(group) | {"injection": injection} for injection, group in table.groupby("injection", sort=False)]
    return pd.DataFrame(found, columns=COLUMNS.split()).assign(**labels, entry=job.entry)[COLUMNS.split()]


def _rate(group: pd.DataFrame) -> dict[str, float]:
    found, good = frequencies(group), group[group["passed"].astype(bool)]
    positive = found["share_positive"]
    return found | {
        "n_refits": len(group),
        "mc_error": np.sqrt(positive * (1 - positive) / len(good)) if len(good) else np.nan,
        "mean_called": good["n_called"].mean(),
        "expected_false_claims": good["expected_false_claims"].mean(),
        "share_any_called": (good["n_called"] > 0).mean(),
        "mean_called_alone": good["n_called_alone"].mean(),
        "expected_false_alone": good["expected_false_alone"].mean(),
    }


def frequencies(refits: pd.DataFrame) -> dict[str, float]:
    """Count the refits that failed, `n_failed`, and how often the rest find what is not there, with mean and SD of it.

    A row per refit: mean, lower, upper and prob_positive of the change, and whether it `passed`.
    """
    good = refits[refits["passed"].astype(bool)]
    return {
        "n_failed": len(refits) - len(good),
        "share_positive": (good["prob_positive"] > CLAIMED).mean(),
        "share_negative": (good["prob_positive"] < 1 - CLAIMED).mean(),
        "share_covering_zero": ((good["lower"] <= 0) & (good["upper"] >= 0)).mean(),
        "mean_change": good["mean"].mean(),
        "sd_change": good["mean"].std(),
    }
