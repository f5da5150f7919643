"""What a model leaves out, added to it as one column: would the population's coefficient of that column be zero?

Given loading and residual variance, a patient's values are Normal(W mu, V) with V = W C W' + s2 I, C the covariance of
patients about the population. For a column x that is added to W, the score test (Rao 1948, doi
10.1017/S0305004100023987) is

    z = x'P y / sqrt(x'P x),     P = V^-1 - V^-1 W (W'V^-1 W)^-1 W'V^-1

which is standard normal where the coefficient is zero, whatever mu is: nothing is fitted again, no prior enters but
through C and s2, taken at their posterior means, and what mu can imitate is taken off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.checks.residuals import latest_injection, spread_of_patients
from slopeshift.design.shape import Shape
from slopeshift.model.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

DAYS = "values on the days of injections"
AFTER = "values shortly after injections"
FADING = "changes that wear off"
LATE = "changes that set in late"
BENDING = "a bend that all courses share"

SHORTLY = 1.5
"""Months after an injection that count as shortly after it: a monthly visit and its delays."""

HALF_LIFE, LAG = 2.0, 1.0
"""Months in which an added change is halved, and after which it sets in: a column only has to be like what is there."""

IMITATED = 1e-6
"""Share of a column's information that the model's own columns must leave, lest they imitate it."""


def columns(posterior: Posterior) -> Mapping[str, Floats]:
    """Lay out what is added, by check: (visit,) each. Without injections, the course may bend and that is all."""
    visits = posterior.visits
    given = visits.injection_month[visits.patient_index]
    added = {BENDING: visits.month**2 / 2}
    if not given.shape[1]:
        return added
    since = latest_injection(posterior)
    return {
        DAYS: visits.on_injection_days.astype(float),
        AFTER: ((since > 0) & (since <= SHORTLY)).astype(float),
        FADING: _gained(Shape(half_life=HALF_LIFE), visits.month, given),
        LATE: _gained(Shape(lag=LAG), visits.month, given),
        **added,
    }


def _gained(shape: Shape, month: Floats, injection_month: Floats) -> Floats:
    """What a change of 1 after every injection would have gained by every visit: (visit,)."""
    gained: Floats = shape.columns(month, injection_month)[:, len(shape.natural) :].sum(axis=1)
    return gained


def probabilities(posterior: Posterior) -> dict[str, float]:
    """Give for every added column the probability of a score as far from zero, where its coefficient is zero.

    NaN where the model has such a column, or can imitate it. Empty where the model has no residual SD, or residuals
    that depend on each other.
    """
    from scipy.stats import norm

    if "sigma" not in posterior.draws or posterior.family is None or not FAMILIES[posterior.family].independent:
        return {}
    return {check: float(2 * norm.sf(abs(score(posterior, column)))) for check, column in columns(posterior).items()}


def score(posterior: Posterior, column: Floats) -> float:
    """Test one column: the score over its standard error, > 0 where the values lie higher with it."""
    visits, basis = posterior.visits, posterior.visits.basis
    covariance, variance = spread_of_patients(posterior), float((posterior.draws["sigma"] ** 2).mean())
    all_columns = np.column_stack([basis, column, visits.value])
    cross = np.zeros((all_columns.shape[1],) * 2)
    for patient in range(len(visits.patients)):
        mine = all_columns[visits.patient_index == patient]
        rows = mine[:, : basis.shape[1]]
        cross += mine.T @ np.linalg.solve(rows @ covariance @ rows.T + variance * np.eye(len(mine)), mine)
    own, x, y = slice(basis.shape[1]), -2, -1
    taken = cross[x, own] @ np.linalg.pinv(cross[own, own], hermitian=True)
    information = cross[x, x] - taken @ cross[own, x]
    if not information > IMITATED * cross[x, x]:
        return float("nan")
    return float((cross[x, y] - taken @ cross[own, y]) / np.sqrt(information))
