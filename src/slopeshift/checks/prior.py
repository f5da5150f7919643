"""What a model's priors say before any data, in clinical words, and how far the data narrowed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import quantities
from slopeshift.answers.borrowed import conflict
from slopeshift.answers.natural import natural_slope
from slopeshift.design.cycles import OVERALL
from slopeshift.engine.draws import flat
from slopeshift.fit.posterior import SAMPLES
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

CONFLICT = "prior that contradicts the data"
HELD_AGAINST_DATA = (("level", ""), ("lead_in_slope", ""), *((name, OVERALL) for name in quantities.CLAIMED))

YEAR = 12.0
"""Months after the first injection at which the prior's scores are told, no injection having changed anything."""


def prior_in_words(posterior: Posterior, seed: int) -> pd.DataFrame:
    """Tell what the priors expect of the trial's own visits: columns statement, value, lower, upper, unit.

    Shares are over patients and prior draws. `lower` and `upper` are the ends of a 95 % range, and NaN for a share.
    Raises LookupError where no draws of the prior are stored.
    """
    prior, visits = posterior.prior, posterior.visits
    values = flat(posterior.groups["prior_predictive"][posterior.outcome])
    rows = [*_outside(values, visits), *_slopes(prior), _after_a_year(prior, seed)]
    return pd.DataFrame(rows, columns=["statement", "value", "lower", "upper", "unit"])


def contraction(posterior: Posterior) -> pd.DataFrame:
    """Say how far the data narrowed and moved the prior of every population quantity, a row each.

    Columns quantity, injection, unit; prior_mean, prior_sd; contraction (1 - posterior over prior variance: 1 where the
    data say everything, 0 where they say nothing); moved (posterior minus prior mean, in prior SDs); and conflict
    (see `borrowed.conflict`). Indicators, percentages and ratios are left out: their prior has no usable variance.
    """
    before, after = (quantities.population(each).to_dataset(name="x") for each in (posterior.prior, posterior))
    tables = [
        pd.DataFrame(
            {
                **{name: draws[name].to_numpy() for name in ("quantity", "injection", "unit")},
                "mean": draws["x"].mean(SAMPLES).to_numpy(),
                "sd": draws["x"].std(SAMPLES).to_numpy(),
            }
        )
        for draws in (before, after)
    ]
    both = tables[0].merge(tables[1], on=["quantity", "injection", "unit"], suffixes=("_prior", "_posterior"))
    both = both[~both["unit"].isin(["probability", "%", "ratio"])]
    found = pd.DataFrame(
        {
            "quantity": both["quantity"],
            "injection": both["injection"],
            "unit": both["unit"],
            "prior_mean": both["mean_prior"],
            "prior_sd": both["sd_prior"],
            "contraction": 1 - (both["sd_posterior"] / both["sd_prior"]) ** 2,
            "moved": (both["mean_posterior"] - both["mean_prior"]) / both["sd_prior"],
        }
    ).reset_index(drop=True)
    return found.assign(conflict=conflict(found["moved"].to_numpy(), found["contraction"].to_numpy()))


def conflict_probability(table: pd.DataFrame) -> float:
    """Give the probability, under the priors, of data as far from any of them: level, lead-in slope and mean change.

    `table` is that of `contraction`. Bonferroni's bound for the three; NaN where none of them was learnt about.
    """
    from scipy.stats import norm

    named = list(zip(table["quantity"], table["injection"], strict=True))
    chosen = table["conflict"].abs()[[pair in HELD_AGAINST_DATA for pair in named]].dropna()
    if chosen.empty:
        return float("nan")
    return float(min(len(chosen) * 2 * norm.sf(chosen.max()), 1.0))


def _outside(values: Floats, visits: Visits) -> Iterator[tuple[str, float, float, float, str]]:
    """Tell how many values, and how many patients at any visit, leave the scale."""
    low, high = visits.outcome.ends
    if np.isinf(low) and np.isinf(high):
        return
    out = (values < low) | (values > high)
    seen = np.unique(visits.patient_index)
    ever = np.stack([out[:, visits.patient_index == patient].any(axis=1) for patient in seen])
    yield "Values outside the scale", float(out.mean()), np.nan, np.nan, "share"
    yield "Patients who leave the scale at any visit", float(ever.mean()), np.nan, np.nan, "share"


def _slopes(prior: Posterior) -> Iterator[tuple[str, float, float, float, str]]:
    population = flat(prior.draws["population"].sel(coefficient="slope"))
    each = flat(prior.draws["coefficients"].sel(coefficient="slope")).ravel()
    rate = prior.rate
    yield ("Slope of an average patient before injections", *_range(population), rate)
    yield ("Slope of a patient before injections", *_range(each), rate)
    improve = improvement(each, sign := quantities.sign_of(prior.design)) > 0
    words = f"Patients whose values {'rise' if sign > 0 else 'fall'} before injections"
    yield words, float(improve.mean()), np.nan, np.nan, "share"
    changes = quantities.patients(prior)
    cycle = (changes["injection"] != OVERALL).to_numpy()
    if cycle.any():
        change = changes.isel(row=np.flatnonzero(cycle))
        slowed = quantities.slows(change["change"], change["slope"], sign=float(change["sign"]))
        yield ("Change of a patient's slope after an injection", *_range(change["change"].to_numpy().ravel()), rate)
        yield "Cycles with a slowing of 25 % or more", float(slowed.mean()), np.nan, np.nan, "share"


def _after_a_year(prior: Posterior, seed: int) -> tuple[str, float, float, float, str]:
    """Follow the course before injections for a year: the value that would be recorded then."""
    level = flat(prior.draws["coefficients"].sel(coefficient="level"))
    slope = flat(natural_slope(prior.draws["coefficients"], YEAR / 2))  # on average over the year
    noise = np.random.default_rng(seed).standard_normal(level.shape) * flat(prior.draws["sigma"])[:, None]
    words = "Value 12 months after the first injection, nothing having changed"
    return (words, *_range((level + YEAR * slope + noise).ravel()), prior.unit)


def _range(draws: Floats) -> tuple[float, float, float]:
    lower, upper = np.quantile(draws, quantities.INTERVAL)
    return float(draws.mean()), float(lower), float(upper)
