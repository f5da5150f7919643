"""The null reference: where a trial's own statistics lie among those of trials in which nothing changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from slopeshift.classical import STATISTICS, Rules, layout_of, statistics
from slopeshift.design.visits import visits_of
from slopeshift.null.population import entry_of, entry_words
from slopeshift.null.trials import NullError, null_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.null.population import Population
    from slopeshift.trial import Trial

COLUMNS = (
    "outcome source lead_in entry statistic injection observed n_trials n_defined mean sd lower median upper "
    "share_at_or_above share_at_or_below mc_error"
)
BINS = 40
INTERVAL = (0.025, 0.5, 0.975)


@dataclass(frozen=True)
class Reference:
    """Statistics of one outcome, recorded and under the null.

    `observed` holds every statistic by injection; `null` the same of simulated trials (draw, injection), drawn from
    `source`, chosen as `entry` says in words (empty: not chosen), and analysed under `rules`.
    """

    outcome: str
    source: str
    rules: Rules
    entry: str
    observed: xr.Dataset
    null: xr.Dataset


def reference(
    trial: Trial,
    outcome: str,
    population: Population,
    rules: Rules,
    *,
    trials: int,
    seed: int,
) -> Reference:
    """Analyse a trial and simulated null trials of the same visits, injection times and entry rules in the same way.

    Raises LookupError where the trial does not record the outcome, and NullError where it has no injection, `trials`
    is not 1 or more, or the entry rules are almost never met.
    """
    visits = visits_of(trial, outcome)
    if not visits.injections:
        raise NullError(f"trial {trial.name} has no injection, so there is no statistic to place among null trials")
    if trials < 1:
        raise NullError(f"{trials} null trials asked for; give 1 or more")
    plan = layout_of(trial, visits, rules)
    entry = entry_of(trial, visits, population)
    blocks = [statistics(plan, values) for values in null_values(visits, population, trials, seed, entry)]
    observed = statistics(plan, visits.value[None]).isel(draw=0)
    words = entry_words(entry, visits.outcome)
    return Reference(outcome, population.name, rules, words, observed, xr.concat(blocks, "draw"))


def reference_table(found: Reference) -> pd.DataFrame:
    """Place every observed statistic in its null distribution: the table `null_reference`.

    A row per statistic and period. mean, sd, lower, median and upper (2.5, 50, 97.5 %) are of the `n_defined` of
    `n_trials` simulated trials in which the statistic is defined, and so are the shares of them at or above and at or
    below the observed value; `mc_error` is the Monte Carlo standard error of the first share. Shares are NaN where the
    observed value is not defined.
    """
    rows = [
        _row(found.null[name].sel(injection=period).to_numpy(), float(found.observed[name].sel(injection=period)))
        | {"statistic": name, "injection": str(period)}
        for period in found.null["injection"].to_numpy()
        for name in STATISTICS
    ]
    return pd.DataFrame(rows).assign(**_labels(found))[COLUMNS.split()]


def distribution_table(found: Reference) -> pd.DataFrame:
    """Bin the null distribution of every statistic and period: the table `null_distribution`, for figures.

    A row per bin: left, right and the share of simulated trials in it, of those in which the statistic is defined. A
    statistic of up to 40 different values has a bin for each, from value to the same value; otherwise 40 bins of equal
    width hold the central 99 %, and the outermost also what lies beyond.
    """
    tables = [
        _bins(found.null[name].sel(injection=period).to_numpy()).assign(statistic=name, injection=str(period))
        for period in found.null["injection"].to_numpy()
        for name in STATISTICS
    ]
    labels = _labels(found)
    return pd.concat(tables, ignore_index=True).assign(**labels)[
        [*labels, "statistic", "injection", "left", "right", "share"]
    ]


def _labels(found: Reference) -> dict[str, object]:
    return {
        "outcome": found.outcome,
        "source": found.source,
        "lead_in": found.rules.lead_in,
        "entry": found.entry,
    }


def _row(null: NDArray[np.float64], observed: float) -> dict[str, float]:
    known = null[~np.isnan(null)]
    row = {"observed": observed, "n_trials": len(null), "n_defined": len(known)}
    if not len(known):
        return row | dict.fromkeys(
            ("mean", "sd", "lower", "median", "upper", "share_at_or_above", "share_at_or_below", "mc_error"), np.nan
        )
    lower, median, upper = np.quantile(known, INTERVAL)
    above, below = (np.nan if np.isnan(observed) else side.mean() for side in (known >= observed, known <= observed))
    return row | {
        "mean": known.mean(),
        "sd": known.std(ddof=1) if len(known) > 1 else np.nan,
        "lower": lower,
        "median": median,
        "upper": upper,
        "share_at_or_above": above,
        "share_at_or_below": below,
        "mc_error": np.sqrt(above * (1 - above) / len(known)),
    }


def _bins(null: NDArray[np.float64]) -> pd.DataFrame:
    known = null[~np.isnan(null)]
    different, counts = np.unique(known, return_counts=True)
    if len(different) <= BINS:
        return pd.DataFrame({"left": different, "right": different, "share": counts / max(len(known), 1)})
    low, high = np.quantile(known, (0.005, 0.995))
    edges = np.linspace(low, high, BINS + 1)
    counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "share": counts / len(known)})
