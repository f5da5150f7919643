"""What is said of one fit, as the tables that are kept beside it: made once, and read by whatever prints.

A fit that failed its gate has its diagnostics, and what was believed before the data; its other tables are empty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import (
    any_change,
    arms_beside,
    borrowed,
    convergence,
    covariates,
    interval,
    operating,
    permutation,
    quantities,
    unchanged,
)
from slopeshift.answers.mixing import FEWEST, mixing
from slopeshift.answers.quantities import INTERVAL
from slopeshift.answers.tables import Results, results_of
from slopeshift.design.cycles import OVERALL
from slopeshift.fit.posterior import SAMPLES, posterior_of
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    import xarray as xr

    from slopeshift.fit.posterior import Posterior
    from slopeshift.fit.store import Fit
    from slopeshift.trial import Trial

OF_RESULTS = ("population", "patients", "responders", "diagnostics", "change_curve")
NAMES = (
    *(*OF_RESULTS, "prior", "intervals", "growth", "interval", "covariates"),
    *("operating", "any_change", "unchanged", "permutation", "arms", "borrowed", "numbers"),
)
"""Every table of a fit: those of `tables.Results`; `prior`, the rows of `population` before the data; `intervals`, the
changes with their 50 % intervals; `growth`, ESS by the number of draws; `interval`; `covariates`; `operating`, what
the design shows where nothing changed; `any_change`, whether anything did; `unchanged`, in which patients;
`permutation`, the test of two arms that randomisation gives; `arms`, their usual analyses; `borrowed`, how much of the
course before treatment is from the control; and `numbers`, what is said in single numbers."""

QUARTILES = (0.25, 0.75)
FRACTIONS = (0.1, 0.25, 0.5, 0.75, 1.0)
GROWN = (("lead_in_slope", ""), *((name, OVERALL) for name in quantities.CLAIMED), ("sd_response", ""))
"""Quantities whose effective sample size is followed, over these shares of the draws."""


@dataclass(frozen=True, eq=False)
class Answered:
    """The posterior of a stored fit with the record of its making and its tables, by name as in NAMES."""

    posterior: Posterior
    record: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]

    @cached_property
    def results(self) -> Results:
        """The tables that are published."""
        tables = {name: self.tables[name] for name in OF_RESULTS}
        failures = convergence.failures(tables["diagnostics"])
        return Results(**tables, failures=failures, sign=quantities.sign_of(self.posterior.design))

    def number(self, name: str) -> float:
        """Look one number of `numbers` up. Raises KeyError where there is none of that name."""
        return float(self.tables["numbers"].set_index("name")["value"][name])


def answered(trial: Trial, fit: Fit, tables: Mapping[str, pd.DataFrame] | None = None) -> Answered:
    """Put the posterior of a fit and its tables together; without `tables` they are made now.

    Raises FitError where the model was skipped, or the fit was made from other data than the trial's.
    """
    posterior = posterior_of(trial, fit)
    return Answered(posterior, fit.record, tables_of(posterior) if tables is None else tables)


def tables_of(posterior: Posterior) -> dict[str, pd.DataFrame]:
    """Make every table of a stored fit's posterior, by name as in NAMES."""
    results = results_of(posterior)
    judged, show = replace(posterior, passed=results.passed), slice(None) if results.passed else slice(0)
    population = quantities.population(posterior)
    return {name: getattr(results, name) for name in OF_RESULTS} | {
        "prior": before(quantities.population(posterior.prior)),
        "intervals": intervals(population, results.sign)[show],
        "growth": growth(population),
        "interval": interval.table([judged]),
        "covariates": covariates.table([judged]),
        "operating": operating.table(posterior)[show],
        "any_change": any_change.table(posterior)[show],
        "unchanged": unchanged.table(posterior)[show],
        "permutation": permutation.table(posterior)[show],
        "arms": arms_beside.table(posterior)[show],
        "borrowed": borrowed.table(posterior)[show],
        "numbers": pd.DataFrame(_numbers(judged), columns=["name", "value"]),
    }


def before(prior: xr.DataArray) -> pd.DataFrame:
    """Summarise what was believed before the data: columns quantity, injection, unit, mean, lower, upper.

    `prior` is `quantities.population` of prior draws.
    """
    lower, upper = prior.quantile(INTERVAL, dim=SAMPLES).transpose("quantile", "row").to_numpy()
    labels = {name: prior[name].to_numpy() for name in ("quantity", "injection", "unit")}
    return pd.DataFrame({**labels, "mean": prior.mean(SAMPLES).to_numpy(), "lower": lower, "upper": upper})


def intervals(population: xr.DataArray, sign: float) -> pd.DataFrame:
    """Summarise what is claimed after every injection.

    Columns injection, mean, lower, inner_lower, inner_upper, upper, probability. The inner interval holds 50 % and the
    outer one 95 %; `probability` is that patients worsen more slowly.
    `population` is `quantities.population`, and `sign` that of the outcome.
    """
    change = quantities.of_claim(population)
    draws = change.sizes["chain"] * change.sizes["draw"]
    values = change.transpose("row", *SAMPLES).to_numpy().reshape(change.sizes["row"], draws)
    low, inner_low, inner_high, high = np.quantile(values, (INTERVAL[0], *QUARTILES, INTERVAL[1]), axis=1)
    rows = pd.DataFrame({"injection": change["injection"].to_numpy(), "mean": values.mean(axis=1)})
    rows = rows.assign(lower=low, inner_lower=inner_low, inner_upper=inner_high, upper=high)
    return rows.assign(probability=(improvement(values, sign) > 0).mean(axis=1))


def growth(population: xr.DataArray) -> pd.DataFrame:
    """Compute the bulk ESS of GROWN from the first part of the draws: quantity, injection, draws, ess.

    `draws` counts those of all chains that were used, a row for every share of FRACTIONS.
    """
    names = list(zip(population["quantity"].to_numpy(), population["injection"].to_numpy(), strict=True))
    chosen = [name for name in GROWN if name in names]
    values = population.transpose(*SAMPLES, "row").to_numpy()[..., [names.index(name) for name in chosen]]
    rows = []
    for part in FRACTIONS:
        ess = mixing(values[:, : max(int(part * values.shape[1]), FEWEST)])["ess_bulk"]
        rows += [(*name, part * values[..., 0].size, n) for name, n in zip(chosen, ess, strict=True)]
    return pd.DataFrame(rows, columns=["quantity", "injection", "draws", "ess"])


def _numbers(posterior: Posterior) -> Iterator[tuple[str, float]]:
    """Yield what is said in single numbers: of the prior, of the ends of the scale, and of the values near them."""
    slope = posterior.prior.draws["coefficients"].sel(coefficient="slope")
    yield "prior_prob_slope_positive", float((slope > 0).mean())
    yield from _slowing(quantities.patients(posterior.prior))
    yield from _beyond(posterior)
    yield "share_near_end", _near_end(posterior) if posterior.passed else float("nan")


def _slowing(patients: xr.Dataset) -> Iterator[tuple[str, float]]:
    """Yield prior probabilities that a patient slows by 25 and 50 % after an injection, NaN without any, and a count.

    The count is that of patients expected to slow by 25 % or more on average over their cycles.
    """
    cycles = patients.isel(row=np.flatnonzero(patients["injection"].to_numpy() != OVERALL))
    for percent in (quantities.SLOWING_PERCENT, 50.0):
        slows = quantities.slows(cycles["change"], cycles["slope"], sign=float(cycles["sign"]), percent=percent)
        yield f"prior_prob_slowing_{percent:.0f}", float(slows.mean()) if slows.size else float("nan")
    table = quantities.responders(patients)
    overall = (table["injection"] == OVERALL) & (table["threshold"] == quantities.SLOWING_PERCENT)
    yield "prior_expected_slowed", float(table.loc[overall, "expected"].sum())


def _beyond(posterior: Posterior) -> Iterator[tuple[str, float]]:
    """Yield the shares of recorded and predicted values below and above the ends of the scale that there are."""
    outcome = posterior.visits.outcome
    values = {"recorded": posterior.visits.value} | {
        name: posterior.groups[f"{name}_predictive"][outcome.name].to_numpy() for name in ("posterior", "prior")
    }
    for name, value in values.items():
        if outcome.minimum is not None:
            yield f"{name}_below", float((value < outcome.minimum).mean())
        if outcome.maximum is not None:
            yield f"{name}_above", float((value > outcome.maximum).mean())


def _near_end(posterior: Posterior) -> float:
    """Share of the values that lie within NEAR_END_SDS residual SDs of an end of the scale."""
    near_minimum, near_maximum = quantities.near_ends(posterior, posterior.visits.value)
    return float((near_minimum | near_maximum).mean())
