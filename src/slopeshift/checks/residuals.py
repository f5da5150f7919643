"""Residuals that recorded and predicted values are compared by: what a fixed smoother leaves of a patient's values.

The same smoother is applied to the recorded values and to every set of predicted ones, so that what it does to the
residuals, such as making neighbours look opposed, is in both. It is the best linear prediction of a patient's line at
the posterior means, W mu + W V W' (W V W' + s2 I)^-1 (y - W mu), with V the patients' covariance about the population.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.answers.quantities import near_ends
from slopeshift.checks.thinned import fitted
from slopeshift.engine.draws import flat
from slopeshift.fit.posterior import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

SINCE = (0.0, 1.0, 2.0, 3.0, 4.5)
"""Months since the latest injection at which the bins of time begin; values up to the first one are the lead-in."""

MIDDLE_BANDS = 3
FEWEST = 5
"""Values that a bin needs: fewer are put to the next one."""

NEIGHBOURS = 1.5
"""Two values of a patient are neighbours within so many times the usual spacing of the trial's visits."""


def residuals(posterior: Posterior, values: Floats) -> Floats:
    """Take from values (draw, visit) of the trial's patients what the smoother explains: (draw, visit)."""
    visits, draws = posterior.visits, posterior.draws
    centre = flat(draws["population"]).mean(axis=0)
    variance = float((draws["sigma"] ** 2).mean())
    covariance = spread_of_patients(posterior)
    left = values - posterior.visits.basis @ centre
    for patient in range(len(visits.patients)):
        mine = np.flatnonzero(visits.patient_index == patient)
        rows = posterior.visits.basis[mine]
        within = rows @ covariance @ rows.T
        # Omega^-1 times s2 is what is left of the values once the smoothed line is taken off.
        kept = variance * np.linalg.inv(within + variance * np.eye(len(mine)))
        left[:, mine] = left[:, mine] @ kept
    return left


def spread_of_patients(posterior: Posterior) -> Floats:
    """Posterior mean of the covariance of patients' coefficients about the population: (coefficient, coefficient)."""
    draws = posterior.draws
    away = (draws["coefficients"] - draws["population"]).transpose(*SAMPLES, "patient", "coefficient").to_numpy()
    rows = away.reshape(-1, away.shape[-1])
    spread: Floats = rows.T @ rows / len(rows)
    return spread


def time_bins(posterior: Posterior) -> tuple[Places, list[str]]:
    """Put every visit into a bin of time since the latest injection: bin (visit,), and what each is called."""
    latest = latest_injection(posterior)
    bins = np.where(np.isinf(latest), 0, np.searchsorted(SINCE, latest, side="left"))
    upper = [f"to {month:g}" for month in SINCE[1:]]
    labels = ["before injections", *(f"{a:g} {b} months after" for a, b in zip(SINCE, upper, strict=False))]
    return _merged(bins, [*labels, f"over {SINCE[-1]:g} months after"])


def latest_injection(posterior: Posterior) -> Floats:
    """Months since the latest injection before each visit: (visit,), infinite where there is none."""
    since = posterior.visits.since_injections
    return np.where(since > 0, since, np.inf).min(axis=1, initial=np.inf)


def score_bands(posterior: Posterior) -> tuple[Places, list[str]]:
    """Put every visit into a band of the expected value: near either end of the scale, and thirds of the others."""
    expected = fitted(posterior)
    low, high = near_ends(posterior, expected)
    middle = expected[~low & ~high]
    cuts = np.unique(np.quantile(middle, np.linspace(0, 1, MIDDLE_BANDS + 1)[1:-1])) if len(middle) else np.empty(0)
    bins = np.where(low, 0, np.where(high, len(cuts) + 2, 1 + np.searchsorted(cuts, expected)))
    edges = [f"{cut:.0f}" for cut in cuts]
    inner = [f"{a} to {b}" for a, b in zip(["", *edges], [*edges, ""], strict=True)]
    named = ["near the lower end", *(_open(text) for text in inner), "near the upper end"]
    return _merged(bins, named)


def lag_pairs(posterior: Posterior) -> tuple[Places, Places]:
    """Find neighbouring values of the same patient: places of the earlier and of the later one."""
    visits = posterior.visits
    order = np.lexsort((visits.month, visits.patient_index))
    first, second = order[:-1], order[1:]
    gap = visits.month[second] - visits.month[first]
    same = visits.patient_index[second] == visits.patient_index[first]
    if not same.any():
        return first[:0], second[:0]
    near = same & (gap <= NEIGHBOURS * np.median(gap[same]))
    return first[near], second[near]


def by_bin(values: Floats, bins: Places, number: int) -> tuple[Floats, Floats]:
    """Mean and SD of values (draw, visit) in every bin: (draw, bin) each; the SD is about 0."""
    member = (bins[:, None] == np.arange(number)).astype(float)
    count = member.sum(axis=0)
    return values @ member / count, np.sqrt(values**2 @ member / count)


def autocorrelation(values: Floats, pairs: tuple[Places, Places]) -> Floats:
    """Correlate residuals (draw, visit) with their neighbours': (draw,)."""
    first, second = (values[:, place] for place in pairs)
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    product: Floats = (first * second).sum(axis=1) / np.where(scale > 0, scale, 1.0)
    return product


def heaviest(values: Floats) -> Floats:
    """Largest residual, in multiples of the median one: (draw, visit) to (draw,)."""
    size = np.abs(values)
    median = np.median(size, axis=1)
    largest: Floats = size.max(axis=1) / np.where(median > 0, median, 1.0)
    return largest


def _open(text: str) -> str:
    if text.startswith(" to"):
        return f"up to {text.removeprefix(' to ')}" if text.strip() != "to" else "all"
    return f"above {text.removesuffix(' to ')}" if text.endswith(" to ") else text


def _merged(bins: Places, labels: Sequence[str]) -> tuple[Places, list[str]]:
    """Drop empty bins, and put those of fewer than FEWEST values to the next one, or at the end to the one before."""
    groups: list[list[int]] = []
    waiting: list[int] = []
    for place in range(len(labels)):
        number = int((bins == place).sum())
        if number:
            waiting.append(place)
        if sum(int((bins == w).sum()) for w in waiting) >= FEWEST:
            groups.append(waiting)
            waiting = []
    if waiting:
        groups = [*groups[:-1], [*groups[-1], *waiting]] if groups else [waiting]
    place_of = {old: new for new, group in enumerate(groups) for old in group}
    return np.array([place_of[b] for b in bins], dtype=np.intp), [_span(labels, g, len(groups)) for g in groups]


def _span(labels: Sequence[str], group: Sequence[int], groups: int) -> str:
    """Name bins that were put together by the first and the last of them."""
    if groups == 1 and len(group) > 1:
        return "all values"
    return labels[group[0]] if len(group) == 1 else f"{labels[group[0]]} – {labels[group[-1]]}"
