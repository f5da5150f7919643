"""Whether those who worsen fast leave: does the hazard of leaving depend on a patient's slope before treatment?

The score test, at no dependence, of a proportional-hazards model of leaving (Cox 1972, doi
10.1111/j.2517-6161.1972.tb00899.x). Whenever somebody leaves, the one who left is compared with everybody who was then
still followed; if leaving has nothing to do with the slope, it could have been any of them. With x_j(t) the slope of
patient j, R the patients at risk when i leaves at t, and mean and variance those over R,

    z = sum (mean_R x(t) - x_i(t)) / sqrt(sum var_R x(t))

is then standard normal, and, times the sign of the outcome, above 0 where those who worsen fast leave first. x_j(t) is
what the values up to t say of the slope of j before treatment: its best linear prediction, population and variances at
their posterior means. So nobody's slope is known from more of the course than that of the one who left, and those who
left early are drawn towards the others no more than the others themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.checks.left_out import centres
from slopeshift.checks.rules import FIRES
from slopeshift.engine.draws import flat
from slopeshift.missing.departures import LEFT, endings
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.fit.posterior import Posterior
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

FEWEST = 3
"""Patients who left while others were followed, below which nothing is tested."""


@dataclass(frozen=True)
class Leaving:
    """How those who left differed from those who were then still followed.

    `n_left` patients left while others were followed; `faster` is by how much faster, in outcome units a month, they
    had declined before treatment, on average. `score` is the test's z, and `probability` that of one as high, or
    higher, where leaving has nothing to do with the slope. All but the number are NaN where it could not be computed.
    """

    n_left: int
    faster: float
    score: float
    probability: float

    @property
    def fires(self) -> bool:
        """Whether fast decliners left earlier, beyond chance."""
        return self.probability < FIRES


def leaving(posterior: Posterior) -> Leaving:
    """Test whether injected patients who had declined faster before treatment died or left earlier.

    It cannot be computed where fewer than FEWEST left, where those at risk do not differ, or without a residual SD.
    """
    from scipy.stats import norm

    until, left = followed(posterior.trial, posterior.visits)
    if "sigma" not in posterior.draws or not len(posterior.draws.indexes["coefficient"]):
        return Leaving(int(left.sum()), np.nan, np.nan, np.nan)
    away, variance = np.array(list(_departures(until, left, known_slopes(posterior)))).reshape(-1, 2).T
    away = improvement(away, posterior.visits.outcome.sign)
    if len(away) < FEWEST or not variance.sum() > 0:
        return Leaving(len(away), np.nan, np.nan, np.nan)
    score = float(away.sum() / np.sqrt(variance.sum()))
    return Leaving(len(away), float(away.mean()), score, float(norm.sf(score)))


def followed(trial: Trial, visits: Visits) -> tuple[Floats, NDArray[np.bool_]]:
    """Say until which month after the first injection each patient was followed, and who then left: (patient,) each.

    Until the recorded end, or else the last value; -inf without an injection, so that they are never at risk.
    """
    ended = endings(trial).loc[list(visits.patients)]
    first = trial.injections.groupby("patient")["month"].min().reindex(ended.index).to_numpy()
    last = np.full(len(ended), -np.inf)
    np.maximum.at(last, visits.patient_index, visits.month)
    end = ended["end"].to_numpy() - first
    until = np.where(np.isnan(first), -np.inf, np.where(np.isnan(end), last, end))
    return until, (ended["reason"].isin(LEFT) & np.isfinite(until)).to_numpy()


def known_slopes(posterior: Posterior) -> Callable[[NDArray[np.intp], float], Floats]:
    """Make the function that predicts patients' slopes before treatment from their values up to a month.

    It takes patients, by place, and the month; a patient without values by then stands at the slope that the population
    and the patient's covariates give.
    """
    visits, draws = posterior.visits, posterior.draws
    expected = centres(posterior)
    away_from_it = (flat(draws["coefficients"]) - expected).reshape(-1, expected.shape[-1])
    centre, spread = expected.mean(axis=0), away_from_it.T @ away_from_it / len(away_from_it)
    variance = float((draws["sigma"] ** 2).mean())
    slope = list(draws["coefficient"].to_numpy()).index("slope")
    of_patient = [np.flatnonzero(visits.patient_index == place) for place in range(len(visits.patients))]
    in_time = [mine[np.argsort(visits.month[mine], kind="stable")] for mine in of_patient]

    @cache
    def predicted(patient: int, number: int) -> float:
        """From the first so many of a patient's values."""
        mine = in_time[patient][:number]
        rows, away = visits.basis[mine], visits.value[mine] - visits.basis[mine] @ centre[patient]
        weights = np.linalg.solve(rows @ spread @ rows.T + variance * np.eye(number), away)
        return float(centre[patient, slope] + spread[slope] @ rows.T @ weights)

    def slopes(patients: NDArray[np.intp], month: float) -> Floats:
        numbers = (np.searchsorted(visits.month[in_time[each]], month, side="right") for each in patients)
        return np.array([predicted(int(each), int(number)) for each, number in zip(patients, numbers, strict=True)])

    return slopes


def _departures(
    until: Floats, left: NDArray[np.bool_], slopes: Callable[[NDArray[np.intp], float], Floats]
) -> Iterator[tuple[float, float]]:
    """Give for everyone who left while others were followed how far below their mean slope, and their variance."""
    for patient in np.flatnonzero(left):
        at_risk = np.flatnonzero(until >= until[patient])
        if len(at_risk) > 1:
            x = slopes(at_risk, until[patient])
            yield float(x.mean() - x[at_risk == patient][0]), float(x.var())
