"""The trial's own analysis: a slope per patient and segment, and what is counted of them.

This is how such trials are usually analysed, reproduced so that it can be held against the null reference. It is
model-free, and answers less than it seems to: a slope of few values is mostly noise, the value on the day of an
injection is a part of two slopes, and a ratio of two noisy slopes has no mean.

Periods are compared with the lead-in: each cycle, from one injection to the next, both days included; `overall`, where
a patient's slope is the mean of the slopes of their cycles; and `whole`, one slope from the first injection to the
last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from slopeshift.classical.ranks import rank_correlation, signed_rank_p
from slopeshift.classical.segments import (
    END_TO_END,
    FROM_ONSET,
    LEAD_IN_RULES,
    LEAST_SQUARES,
    WHOLE,
    Layout,
    Rules,
    layout,
    layout_of,
    lead_in_ends,
)
from slopeshift.design.cycles import OVERALL
from slopeshift.design.visits import visits_of
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

__all__ = [
    "END_TO_END",
    "FROM_ONSET",
    "LEAD_IN_RULES",
    "LEAST_SQUARES",
    "STATISTICS",
    "WHOLE",
    "Layout",
    "Rules",
    "improvements",
    "layout",
    "layout_of",
    "lead_in_ends",
    "model_free",
    "statistics",
]

TIES = 9
"""Decimals that changes and lengths are rounded to, so that equal ones are ties."""

PERCENT_TIES = 6
"""Decimals that percentages are rounded to, so that one of exactly the threshold is not above it."""

STATISTICS = {
    "patients": "patients",
    "falling_lead_in": "patients",
    "undefined_percent": "patients",
    "improved": "patients",
    "improved_of_defined": "falling_lead_in",
    "improved_of_all": "patients",
    "mean_percent": "falling_lead_in",
    "median_percent": "falling_lead_in",
    "mean_change": "patients",
    "sd_change": "patients",
    "wilcoxon_p": "patients",
    "compared": "compared",
    "rose": "compared",
    "smallest_rise": "rose",
    "largest_rise": "rose",
    "intervals": "intervals",
    "interval_correlation": "intervals",
}
"""Every statistic, and the one that is the number of patients behind it.

`patients` have both slopes; the lead-in of `falling_lead_in` worsens, which a percentage needs, and that of
`undefined_percent` does not. `improved` are more than the threshold slower than their lead-in, as a share of those with
a percentage and of all. Percentages are improvements where above 0; changes are in units a month, with the sign of the
outcome. `wilcoxon_p` is of the changes. `rose` is the number whose value improved over the period (it rose, or fell
where lower is better), of those `compared`, and the rises are by how much. `interval_correlation` is
Spearman's of change and length of the cycle, over the cycles that a next injection closed.
"""


def model_free(trial: Trial, outcomes: Sequence[str] | None = None, rules: Rules | None = None) -> pd.DataFrame:
    """Analyse the recorded values as the trial itself would: the table `model-free`.

    Returns a row per outcome (default: all of the trial), period and statistic, with columns outcome, statistic,
    injection (1..K, overall, whole), value, and n, the number of patients behind it. A value that is not defined, such
    as a correlation with equal intervals, is NaN. A trial without injections has no row.
    Raises LookupError where the trial does not record an outcome.
    """
    tables = [_table(trial, name, rules or Rules()) for name in (trial.outcomes if outcomes is None else outcomes)]
    empty = pd.DataFrame(columns=["outcome", "statistic", "injection", "value", "n"])
    return pd.concat(tables, ignore_index=True) if tables else empty


def _table(trial: Trial, outcome: str, rules: Rules) -> pd.DataFrame:
    visits = visits_of(trial, outcome)
    found = statistics(layout_of(trial, visits, rules), visits.value[None]).isel(draw=0)
    rows = [
        (outcome, name, str(period), float(found[name].sel(injection=period)), int(found[of].sel(injection=period)))
        for period in found["injection"].to_numpy()
        for name, of in STATISTICS.items()
    ]
    return pd.DataFrame(rows, columns=["outcome", "statistic", "injection", "value", "n"])


def statistics(plan: Layout, values: Floats) -> xr.Dataset:
    """Compute every statistic of many data sets at the same times: values (draw, visit) to (draw, injection) each.

    The coordinate `injection` holds the periods: 1..K, overall, whole.
    """
    slopes, rises = plan.slopes(values), improvement(plan.rises(values), plan.sign) if plan.periods else None
    columns = []
    for place, period in enumerate(plan.periods):
        change, lead_in = _compared(plan, slopes, period)
        found = _of_changes(change, lead_in, plan)
        found |= _of_rises(rises[:, :, place] if rises is not None else np.empty((len(values), 0)))
        columns.append(found | _of_intervals(plan, slopes, period))
    data = {name: (("draw", "injection"), _stacked([c[name] for c in columns], len(values))) for name in STATISTICS}
    return xr.Dataset(data, coords={"injection": list(plan.periods)})


def improvements(plan: Layout, values: Floats) -> Floats:
    """Compute percent improvement on the lead-in slope: values (draw, visit) to (draw, patient, period).

    NaN where a slope is undefined or the lead-in does not worsen, so that no percentage has a meaning.
    """
    slopes = plan.slopes(values)
    lead_in = slopes[:, :, :1]
    segment = np.stack([_segment(plan, slopes, period) for period in plan.periods], axis=2)
    return _percent(segment - lead_in, lead_in, plan.sign)


def _segment(plan: Layout, slopes: Floats, period: str) -> Floats:
    """Take the slopes that a period is judged by: (draw, patient)."""
    if period != OVERALL:
        return slopes[:, :, -1 if period == WHOLE else int(period)]
    cycles = slopes[:, :, 1:-1]
    number = plan.defined[:, 1:-1].sum(axis=1)
    mean: Floats = np.where(number > 0, np.nansum(cycles, axis=2) / np.maximum(number, 1), np.nan)
    return mean


def _compared(plan: Layout, slopes: Floats, period: str) -> tuple[Floats, Floats]:
    """Take change and lead-in slope of the patients who have both: (draw, those patients)."""
    lead_in = slopes[:, :, 0]
    change = _segment(plan, slopes, period) - lead_in
    # Which slopes are defined depends on times alone: it is the same in every draw.
    both = ~np.isnan(change[:1]).any(axis=0) if len(change) else np.zeros(change.shape[1], dtype=bool)
    return np.round(change[:, both], TIES), lead_in[:, both]


def _percent(change: Floats, lead_in: Floats, sign: float) -> Floats:
    worse = improvement(lead_in, sign) < 0
    return np.where(worse, np.round(-100 * change / np.where(worse, lead_in, 1.0), PERCENT_TIES), np.nan)


def _of_changes(change: Floats, lead_in: Floats, plan: Layout) -> dict[str, Floats]:
    draws, patients = change.shape
    percent = _percent(change, lead_in, plan.sign)
    falling = (~np.isnan(percent)).sum(axis=1).astype(float)
    improved = (percent > plan.rules.threshold).sum(axis=1).astype(float)
    return {
        "patients": np.full(draws, float(patients)),
        "falling_lead_in": falling,
        "undefined_percent": patients - falling,
        "improved": improved,
        "improved_of_defined": _divided(improved, falling),
        "improved_of_all": _divided(improved, np.full(draws, float(patients))),
        "mean_percent": _divided(np.nansum(percent, axis=1), falling),
        "median_percent": _median(percent, falling.astype(int)),
        "mean_change": change.mean(axis=1) if patients else np.full(draws, np.nan),
        "sd_change": change.std(axis=1, ddof=1) if patients > 1 else np.full(draws, np.nan),
        "wilcoxon_p": signed_rank_p(change),
    }


def _of_rises(rise: Floats) -> dict[str, Floats]:
    rose = rise > 0
    number = rose.sum(axis=1).astype(float)
    smallest = np.where(rose, rise, np.inf).min(axis=1, initial=np.inf)
    largest = np.where(rose, rise, -np.inf).max(axis=1, initial=-np.inf)
    return {
        "compared": (~np.isnan(rise)).sum(axis=1).astype(float),
        "rose": number,
        "smallest_rise": np.where(number > 0, smallest, np.nan),
        "largest_rise": np.where(number > 0, largest, np.nan),
    }


def _of_intervals(plan: Layout, slopes: Floats, period: str) -> dict[str, Floats]:
    """Correlate change and length over closed cycles; overall, the means over a patient's closed cycles."""
    draws = len(slopes)
    usable = ~np.isnan(plan.interval) & plan.defined[:, 1:-1] & plan.defined[:, :1]
    if period == WHOLE:
        usable = np.zeros_like(usable)
    elif period != OVERALL:
        usable = usable & (np.arange(usable.shape[1]) == int(period) - 1)
    number = usable.sum(axis=1)
    chosen = number > 0
    weight = usable[chosen] / number[chosen, None]
    length = (weight * np.nan_to_num(plan.interval[chosen])).sum(axis=1)
    change = (weight * np.nan_to_num(slopes[:, chosen, 1:-1])).sum(axis=2) - slopes[:, chosen, 0]
    return {
        "intervals": np.full(draws, float(chosen.sum())),
        "interval_correlation": rank_correlation(np.round(change, TIES), np.round(length, TIES)),
    }


def _divided(top: Floats, bottom: Floats) -> Floats:
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)


def _median(values: Floats, number: NDArray[np.intp]) -> Floats:
    """Take the median of each row's first `number` values once sorted, NaN being sorted last; NaN where none."""
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    ordered = np.sort(values, axis=1)
    low, high = (np.maximum(number - 1, 0) // 2, number // 2)
    high = np.minimum(high, values.shape[1] - 1)
    rows = np.arange(len(values))
    middle: Floats = (ordered[rows, low] + ordered[rows, high]) / 2
    return np.where(number > 0, middle, np.nan)


def _stacked(columns: list[Floats], draws: int) -> Floats:
    return np.stack(columns, axis=1) if columns else np.empty((draws, 0))
