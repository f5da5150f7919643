"""Posterior predictive checks: whether the recorded values look like values that the fitted model would produce.

Every check is one or several test quantities, computed from the recorded values and from each set of predicted ones in
the same way. Where a check has several quantities, they are judged together: by how far the one that is farthest out
lies from what is predicted of it, in SDs, against the same of each predicted set. Predictions that come from the data
they are compared with lie nearer to them than they should, so that such probabilities err towards silence (Gelman, Meng
and Stern 1996, Statistica Sinica 6:733-807).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers.quantities import INTERVAL
from slopeshift.checks import residuals as left
from slopeshift.checks.thinned import replicates
from slopeshift.classical import Rules, layout_of, lead_in_ends, statistics
from slopeshift.design.cycles import OVERALL
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

ENDS = "values at the ends of the scale"
MEAN_BY_TIME, SD_BY_TIME = "mean residual by time since injection", "SD of residuals by time since injection"
MEAN_BY_SCORE, SD_BY_SCORE = "mean residual by score band", "SD of residuals by score band"
ENTRY = "smallest loss before the first injection"
NEIGHBOURS, HEAVIEST = "correlation of neighbouring residuals", "heaviest residual"
RESPONDERS, SD_OF_CHANGES = "classical count of improved patients", "SD of classical slope changes"
NO_DECLINE = "share of patients without decline at 6 months"

ANALYSED = 500
"""Predicted trials that are analysed as the trial itself was."""

FEWEST_ENTERED = 2
"""Patients with a lead-in whom the smallest loss needs."""

SIX, TOLERANCE = 6.0, 1.5
"""Months after a patient's first value at which a decline is asked for, and how far from it a value may be."""

COLUMNS = "check quantity where n_values observed predicted_mean predicted_lower predicted_upper tail_probability"


@dataclass(frozen=True, eq=False)
class Quantity:
    """One test quantity: its value in the recorded data, and in each predicted set (draw,).

    `check` is what it belongs to, `where` the part of the data it is about, `n_values` the number of values behind it.
    """

    check: str
    name: str
    where: str
    n_values: int
    observed: float
    predicted: Floats


def quantities(posterior: Posterior) -> list[Quantity]:
    """Compute every test quantity of a model's fit."""
    recorded, predicted = posterior.visits.value[None], replicates(posterior)
    observed_left, predicted_left = (left.residuals(posterior, values.copy()) for values in (recorded, predicted))
    return [
        *_at_ends(posterior, recorded, predicted),
        *_binned(posterior, observed_left, predicted_left),
        *_shape(posterior, observed_left, predicted_left),
        *_entry(posterior, recorded, predicted),
        *_classical(posterior, recorded, predicted),
        *_no_decline(posterior, recorded, predicted),
    ]


def table(found: list[Quantity]) -> pd.DataFrame:
    """Lay test quantities out, a row each: the table `predictive_checks`.

    Columns as in COLUMNS: observed; mean and 95 % range of what is predicted; and the two-sided tail probability of the
    quantity by itself. A check is judged by `tail_probabilities`.
    """
    rows = []
    for q in found:
        lower, upper = np.quantile(q.predicted, INTERVAL)
        tail = two_sided(q.observed, q.predicted)
        rows.append((q.check, q.name, q.where, q.n_values, q.observed, q.predicted.mean(), lower, upper, tail))
    return pd.DataFrame(rows, columns=COLUMNS.split())


def tail_probabilities(found: list[Quantity]) -> dict[str, float]:
    """Give every check one probability of data as far out as these, in either direction."""
    checks: dict[str, list[Quantity]] = {}
    for q in found:
        checks.setdefault(q.check, []).append(q)
    return {check: _together(group) for check, group in checks.items()}


def two_sided(observed: float, predicted: Floats) -> float:
    """Twice the smaller share of predictions at least, or at most, as large, the recorded one counted in; at most 1."""
    above, below = ((side.sum() + 1) / (len(predicted) + 1) for side in (predicted >= observed, predicted <= observed))
    return float(min(2 * min(above, below), 1.0))


def _together(group: list[Quantity]) -> float:
    if len(group) == 1:
        return two_sided(group[0].observed, group[0].predicted)
    predicted = np.stack([q.predicted for q in group])
    observed = np.array([q.observed for q in group])
    centre, sd = predicted.mean(axis=1), predicted.std(axis=1)
    farthest = _far(np.abs(predicted - centre[:, None]), sd[:, None]).max(axis=0)
    own = _far(np.abs(observed - centre), sd).max()
    return float(((farthest >= own * (1 - 1e-9)).sum() + 1) / (len(farthest) + 1))


def _far(distance: Floats, sd: Floats) -> Floats:
    """Measure distances in SDs; of what never varies in predictions, anything else is infinitely far."""
    unvarying = np.where(distance > 0, np.inf, 0.0)
    return np.divide(distance, sd, out=unvarying, where=np.broadcast_to(sd, distance.shape) > 0)


def _at_ends(posterior: Posterior, recorded: Floats, predicted: Floats) -> Iterator[Quantity]:
    """Count values at either end of the scale, and beyond it, where no recorded value can be."""
    outcome, n = posterior.visits.outcome, len(posterior.visits.value)
    sides = {"lower": (outcome.minimum, np.less), "upper": (outcome.maximum, np.greater)}
    for side, (end, beyond) in sides.items():
        if end is None:
            continue
        counts = [[of(values, end).sum(axis=1) for of in (np.equal, beyond)] for values in (recorded, predicted)]
        names = (f"values at {end:g}", f"values beyond {end:g}")
        for name, own, others in zip(names, *counts, strict=True):
            yield Quantity(ENDS, name, f"{side} end", n, float(own[0]), others.astype(float))


def _binned(posterior: Posterior, recorded: Floats, predicted: Floats) -> Iterator[Quantity]:
    for of_mean, of_sd, (bins, labels) in (
        (MEAN_BY_TIME, SD_BY_TIME, left.time_bins(posterior)),
        (MEAN_BY_SCORE, SD_BY_SCORE, left.score_bands(posterior)),
    ):
        own, others = (left.by_bin(values, bins, len(labels)) for values in (recorded, predicted))
        sizes = np.bincount(bins, minlength=len(labels))
        for part, check in enumerate((of_mean, of_sd)):
            name = ("mean residual", "SD of residuals")[part]
            for b, label in enumerate(labels):
                yield Quantity(check, name, label, int(sizes[b]), float(own[part][0, b]), others[part][:, b])


def _shape(posterior: Posterior, recorded: Floats, predicted: Floats) -> Iterator[Quantity]:
    pairs, n = left.lag_pairs(posterior), len(posterior.visits.value)
    if len(pairs[0]) >= left.FEWEST:
        own, others = (left.autocorrelation(values, pairs) for values in (recorded, predicted))
        yield Quantity(NEIGHBOURS, "correlation", "all", len(pairs[0]), float(own[0]), others)
    own, others = (left.heaviest(values) for values in (recorded, predicted))
    yield Quantity(HEAVIEST, "largest residual over the median one", "all", n, float(own[0]), others)


def _entry(posterior: Posterior, recorded: Floats, predicted: Floats) -> Iterator[Quantity]:
    """Take the loss, over the lead-in, of the patient who lost least: an entry rule leaves nobody below it."""
    visits = posterior.visits
    first, last = lead_in_ends(visits.patient_index, visits.month, visits.injection_month)
    judged = (first >= 0) & (first != last)
    if judged.sum() < FEWEST_ENTERED:
        return
    lost = (v[:, first[judged]] - v[:, last[judged]] for v in (recorded, predicted))
    own, others = (improvement(each, visits.outcome.sign).min(axis=1) for each in lost)
    yield Quantity(
        ENTRY, "smallest loss", "first to last value before injections", int(judged.sum()), float(own[0]), others
    )


def _classical(posterior: Posterior, recorded: Floats, predicted: Floats) -> Iterator[Quantity]:
    """Analyse predicted trials as the trial itself would be: how many improve, and how much slopes change."""
    plan = layout_of(posterior.trial, posterior.visits, Rules())
    if not plan.periods:
        return
    some = predicted[:: max(-(-len(predicted) // ANALYSED), 1)]
    own, others = (statistics(plan, values) for values in (recorded, some))
    names = {"improved": (RESPONDERS, "patients improved by more than 25 %"), "sd_change": (SD_OF_CHANGES, "SD")}
    for period in plan.periods:
        if period not in (OVERALL, *map(str, posterior.visits.injections)):
            continue
        for name, (check, words) in names.items():
            one = float(own[name].sel(injection=period)[0])
            many = others[name].sel(injection=period).to_numpy()
            patients = int(own["patients"].sel(injection=period)[0])
            where = "overall" if period == OVERALL else f"after injection {period}"
            if not np.isnan(one) and not np.isnan(many).any() and patients > 1:
                yield Quantity(check, words, where, patients, one, many)


def _no_decline(posterior: Posterior, recorded: Floats, predicted: Floats) -> Iterator[Quantity]:
    visits, pairs = posterior.visits, []
    for patient in range(len(visits.patients)):
        mine = np.flatnonzero(visits.patient_index == patient)
        if not len(mine):
            continue
        first = mine[visits.month[mine].argmin()]
        distance = np.abs(visits.month[mine] - visits.month[first] - SIX)
        if distance.min() <= TOLERANCE:
            pairs.append((first, mine[distance.argmin()]))
    if not pairs:
        return
    first, later = np.array(pairs).T
    gained = (improvement(v[:, later] - v[:, first], visits.outcome.sign) for v in (recorded, predicted))
    own, others = ((each >= 0).mean(axis=1) for each in gained)
    yield Quantity(NO_DECLINE, "share", "six months after the first value", len(pairs), float(own[0]), others)
