"""A patient's coefficients integrated out draw by draw where no formula does it: by importance sampling.

Patients differ by L z, z standard normal. Given the population's draw, z is drawn from a normal at the mode of its
posterior, somewhat wider than its curvature there says, and weighted by what it is instead. What is left to reweight
over draws are the few parameters of the population, as in the exact engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.checks.left_out import centres
from slopeshift.engine.draws import flat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior
    from slopeshift.model.families.family import IndependentResidual

    Floats = NDArray[np.float64]

POINTS, MORE = 64, 256
"""Points z for a draw: where every patient is integrated out, and where a few values are left out one by one."""

WIDER = 1.25
"""How many times as wide as that normal the points are drawn, so that no tail is missed."""

STEPS = 5
"""Newton's steps to the mode; where residuals are normal, the first one is there."""

SEED = 77


@dataclass(frozen=True, eq=False)
class Points:
    """Means of a patient's visits at points of his coefficients, and their log weights: (draw, point, ...)."""

    mean: Floats
    log_weight: Floats


def by_patient(posterior: Posterior, family: IndependentResidual) -> Floats:
    """Log density of all values of each patient given the population's draw: (draw, patient), 0 without values."""
    visits, centre = posterior.visits, centres(posterior)
    found = np.zeros(centre.shape[:2])
    for patient in range(len(visits.patients)):
        mine = np.flatnonzero(visits.patient_index == patient)
        if len(mine):
            points = _points(posterior, family, mine, centre[:, patient], POINTS, np.ones(len(mine), dtype=bool))
            density = family.log_density(visits.value[mine], points.mean).sum(axis=2)
            found[:, patient] = _log_mean(points.log_weight + density)
    return found


def given_others(
    posterior: Posterior, family: IndependentResidual, places: Sequence[int]
) -> tuple[Floats, Floats, Floats]:
    """Leave values out one by one: log density, and the probabilities of a lower and the same one, (draw, place) each.

    Given the patient's other values and the population's draw.
    """
    visits, centre = posterior.visits, centres(posterior)
    found = np.empty((3, len(centre), len(places)))
    for column, place in enumerate(places):
        patient = visits.patient_index[place]
        mine = np.flatnonzero(visits.patient_index == patient)
        others = mine != place
        points = _points(posterior, family, mine, centre[:, patient], MORE, others)
        density = family.log_density(visits.value[mine], points.mean)
        weight = points.log_weight + density[:, :, others].sum(axis=2)
        norm = _log_mean(weight)
        value, mean = visits.value[[place]], points.mean[:, :, ~others]
        found[0, :, column] = _log_mean(weight + density[:, :, ~others][:, :, 0]) - norm
        for row, share in enumerate(family.lower(value, mean), start=1):
            found[row, :, column] = (np.exp(weight - norm[:, None]) * share[:, :, 0]).mean(axis=1)
    return found[0], found[1], found[2]


def _points(
    posterior: Posterior,
    family: IndependentResidual,
    mine: NDArray[np.intp],
    centre: Floats,
    number: int,
    used: NDArray[np.bool_],
) -> Points:
    """Draw points of one patient's coefficients, near what the values that are `used` say of them.

    `mine` are the places of the patient's visits, `centre` (draw, coefficient) what is expected of the patient.
    """
    rows, value = posterior.visits.basis[mine], posterior.visits.value[mine]
    spread, middle = rows @ flat(posterior.draws["loading"]), centre @ rows.T
    one, mode = np.eye(spread.shape[2]), np.zeros((len(middle), spread.shape[2], 1))
    for _ in range(STEPS):
        away = (spread @ mode)[:, :, 0]
        left, sd = family.working(value, middle + away)
        design = np.where(used, 1.0, 0.0)[:, None] * spread / sd[:, :, None]
        across = design.transpose(0, 2, 1)
        precision = one + across @ design
        mode = np.linalg.solve(precision, across @ ((left + away) / sd)[:, :, None])
    factor = np.linalg.cholesky(precision)
    inverse = np.linalg.inv(factor)
    rng = np.random.default_rng([SEED, int(mine[0])])
    u = rng.standard_normal((len(middle), spread.shape[2], number))
    z = mode + WIDER * (inverse.transpose(0, 2, 1) @ u)
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1) - spread.shape[2] * np.log(WIDER)
    log_weight = 0.5 * (u**2 - z**2).sum(axis=1) - log_det[:, None]
    return Points(middle[:, None] + (spread @ z).transpose(0, 2, 1), log_weight)


def _log_mean(values: Floats) -> Floats:
    from scipy.special import logsumexp

    found: Floats = logsumexp(values, axis=1) - np.log(values.shape[1])
    return found
