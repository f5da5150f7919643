"""The distribution of every value given the patient's other values, with the patient's coefficients integrated out.

Given loading L, residual variance s2 and the population's coefficients mu, a patient's values are
y ~ Normal(W mu, Omega) with Omega = W L L' W' + s2 I. With r = Omega^-1 (y - W mu) and c = diag(Omega^-1), the value j
given the others is Normal(y_j - r_j / c_j, 1 / c_j) (Sundararajan and Keerthi 2001, doi 10.1162/08997660151134343).
Omega is inverted by way of A = s2 I + L'W'W L, which is as large as the sources of variation, whatever the visits.

Where a patient's residuals go with each other in time, their covariance takes the place of s2 I, and Omega is inverted
as it is (Bürkner, Gabry and Vehtari 2020, doi 10.1007/s00180-020-01045-4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.engine.draws import flat
from slopeshift.engine.sequence import apart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GivenOthers:
    """Mean and SD of every value given its patient's other values: (draw, visit), outcome units.

    `by_patient` (draw, patient) is the log density of all of a patient's values.
    """

    mean: Floats
    sd: Floats
    by_patient: Floats

    def log_density(self, value: Floats) -> Floats:
        """Evaluate the log density of the values (visit,) left out one by one: (draw, visit)."""
        z = (value - self.mean) / self.sd
        density: Floats = -0.5 * (z**2 + np.log(2 * np.pi)) - np.log(self.sd)
        return density


def given_others(posterior: Posterior) -> GivenOthers | None:
    """Derive what every value is expected to be from its patient's others, for each draw of the population.

    None where the residual is not normal, one by one or one after another in time, around coefficients that are normal
    given the population, as they are not known to be in the model of a formula that is compiled.
    """
    draws, visits, family = posterior.draws, posterior.visits, posterior.family
    if "loading" not in draws or family not in ("normal", "autocorrelated"):
        return None
    loading, variance, centre = flat(draws["loading"]), flat(draws["sigma"]) ** 2, centres(posterior)
    correlation = flat(draws["autocorrelation"]) if family == "autocorrelated" else None
    mean, sd = np.empty((2, len(variance), len(visits.value)))
    by_patient = np.zeros((len(variance), len(visits.patients)))
    for patient in np.unique(visits.patient_index):
        mine = np.flatnonzero(visits.patient_index == patient)
        rows, value = visits.basis[mine], visits.value[mine]
        spread, left = rows @ loading, value - centre[:, patient] @ rows.T
        if correlation is None:
            scaled, precision, by_patient[:, patient] = _inverted(spread, left, variance)
        else:
            own = correlation[:, None, None] ** apart(visits.month[mine]) * variance[:, None, None]
            scaled, precision, by_patient[:, patient] = _dense(own + spread @ spread.transpose(0, 2, 1), left)
        mean[:, mine], sd[:, mine] = value - scaled / precision, precision**-0.5
    return GivenOthers(mean, sd, by_patient)


def _dense(covariance: Floats, left: Floats) -> tuple[Floats, Floats, Floats]:
    """Form r = Omega^-1 left, c = diag(Omega^-1) and the log density of `left` ~ Normal(0, Omega), (draw, ...) each."""
    inverse = np.linalg.inv(covariance)
    scaled = np.einsum("dij,dj->di", inverse, left)
    log_det = np.linalg.slogdet(covariance)[1]
    density = -0.5 * (left.shape[1] * np.log(2 * np.pi) + log_det + (left * scaled).sum(axis=1))
    return scaled, np.einsum("dii->di", inverse), density


def centres(posterior: Posterior) -> Floats:
    """Tell what the population says of every patient's coefficients, covariates too: (draw, patient, coefficient)."""
    draws = posterior.draws
    centre = flat(draws["population"])[:, None, :]
    if "covariates" not in posterior.design:
        return np.repeat(centre, len(posterior.visits.patients), axis=1)
    shift = posterior.design["covariates"].transpose("covariate", "patient", "coefficient").to_numpy()
    return centre + np.tensordot(flat(draws["regression"]), shift, axes=1)


def _inverted(spread: Floats, left: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
    """Form r = Omega^-1 left, c = diag(Omega^-1) and the log density of `left` ~ Normal(0, Omega).

    `spread` is W L (draw, visit, source), `left` (draw, visit), `variance` (draw,).
    """
    number, sources = spread.shape[1:]
    across = spread.transpose(0, 2, 1)
    inner = across @ spread + variance[:, None, None] * np.eye(sources)
    solved = np.linalg.solve(inner, across)
    s2 = variance[:, None]
    scaled = (left - (spread @ (solved @ left[..., None]))[..., 0]) / s2
    precision = (1 - np.einsum("dnq,dqn->dn", spread, solved)) / s2
    log_det = np.linalg.slogdet(inner)[1] + (number - sources) * np.log(variance)
    density = -0.5 * (number * np.log(2 * np.pi) + log_det + (left * scaled).sum(axis=1))
    return scaled, precision, density
