"""One fit turned into the tables that are published.

A fit that failed its gate yields its diagnostics and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import convergence, enrolled, quantities
from slopeshift.fit.posterior import SAMPLES
from slopeshift.trial.roles import chance_of_better

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

POPULATION = (
    "model outcome quantity injection unit mean sd lower upper prob_positive prob_better rhat ess_bulk ess_tail mcse "
    "median"
)
PATIENTS = (
    "model outcome patient injection n_visits mean sd lower upper prob_positive prob_better prob_slowing_25 "
    "prior_prob_slowing_25 contraction flag"
)


CHANGES = ("change", "increment", "difference", "control_change", "treated_change")
"""Quantities of which one direction is better for patients."""


@dataclass(frozen=True)
class Results:
    """The tables of one fit. All but `diagnostics` are empty where the gate was failed.

    `population`: a row per quantity and injection. `patients`: a row per patient and informed cycle. `responders`: a
    row per injection and threshold. `change_curve`: Pr(change > x). `diagnostics`: a row per quantity and diagnostic.
    `prob_better` is the probability that patients worsen more slowly, beside prob_positive of the number; `sign` is
    that of the outcome.
    """

    population: pd.DataFrame
    patients: pd.DataFrame
    responders: pd.DataFrame
    change_curve: pd.DataFrame
    diagnostics: pd.DataFrame
    failures: list[str]
    sign: float

    @property
    def claimed(self) -> str:
        """Name the quantity that answers: the change or, where arms are compared, their difference."""
        claimed = self.population["quantity"][self.population["quantity"].isin(quantities.CLAIMED)]
        return quantities.CHANGE if claimed.empty else str(claimed.iloc[0])

    @property
    def passed(self) -> bool:
        """Whether the gate let this fit through."""
        return not self.failures


def results_of(posterior: Posterior) -> Results:
    """Derive every table of a stored fit's posterior and hold it to the gate."""
    sign = quantities.sign_of(posterior.design)
    population = _without_spread_of_indicators(quantities.summarise(quantities.population(posterior)))
    better = chance_of_better(population["prob_positive"], sign).where(population["quantity"].isin(CHANGES))
    patient_draws = quantities.patients(posterior)
    patients = quantities.summarise(patient_draws["change"])
    diagnostics = convergence.diagnose(
        posterior.groups["sample_stats"], population, patients, enrolled.share(posterior)
    )
    failures = convergence.failures(diagnostics)
    show = slice(None) if not failures else slice(0)
    who = posterior.labels
    patients = _beside_prior(patients, patient_draws, quantities.patients(posterior.prior)).assign(
        flag=quantities.flags(patient_draws, posterior),
        prob_better=chance_of_better(patients["prob_positive"], sign),
    )
    return Results(
        population=population.assign(**who, prob_better=better)[POPULATION.split()][show],
        patients=patients.assign(**who)[PATIENTS.split()][show],
        responders=_named(quantities.responders(patient_draws), who)[show],
        change_curve=_named(quantities.change_curve(posterior), who)[show],
        diagnostics=_named(diagnostics, who),
        failures=failures,
        sign=sign,
    )


def population_changes(posterior: Posterior) -> pd.DataFrame:
    """Summarise what is claimed of every informed cycle and overall: a row each, as `quantities.summarise` does.

    `ess` is the smaller effective sample size, bulk or tail. `passed` says whether it and R-hat are what the gate asks
    for.
    """
    table = quantities.summarise(quantities.claims(posterior))
    ess = table[["ess_bulk", "ess_tail"]].min(axis=1)
    return table.assign(ess=ess, passed=(table["rhat"] <= convergence.RHAT_MAX) & (ess >= convergence.ESS_MIN))


def _without_spread_of_indicators(table: pd.DataFrame) -> pd.DataFrame:
    """Leave only the mean, with its error, of quantities whose draws are 0 or 1: the others would mislead."""
    indicator = table["quantity"].str.startswith("prob_")
    spread = ["sd", "lower", "upper", "prob_positive", "median"]
    return table.assign(**{name: table[name].mask(indicator) for name in spread})


def _named(table: pd.DataFrame, who: dict[str, str]) -> pd.DataFrame:
    return table.assign(**who)[[*who, *table.columns]]


def _beside_prior(table: pd.DataFrame, posterior: xr.Dataset, prior: xr.Dataset) -> pd.DataFrame:
    """Add what only the comparison with the prior shows: the base rate of slowing, and how far the data narrowed."""
    (after, narrowed), (before, wide) = (_slowing_and_variance(draws) for draws in (posterior, prior))
    return table.assign(prob_slowing_25=after, prior_prob_slowing_25=before, contraction=1 - narrowed / wide)


def _slowing_and_variance(draws: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take Pr(slowing) and the variance of the change of every row, a block of rows at a time to spare memory."""
    starts = range(0, draws.sizes["row"], quantities.BLOCK)
    blocks = [draws.isel(row=slice(start, start + quantities.BLOCK)) for start in starts]
    slowed = [quantities.slows(block["change"], block["slope"], sign=float(block["sign"])) for block in blocks]
    slowing = [each.mean(SAMPLES) for each in slowed]
    variance = [block["change"].var(SAMPLES) for block in blocks]
    return np.concatenate([np.empty(0), *slowing]), np.concatenate([np.empty(0), *variance])
