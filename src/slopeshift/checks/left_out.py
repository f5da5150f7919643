"""The distribution of every value given the patient's other values, with the patient's coefficients integrated out.

Given loading L, residual variance s2 and the population's coefficients mu, a patient's values are
y ~ Normal(W mu, Omega) with Omega = W L L' W' + s2 I. With r = Omega^-1 (y - W mu) and c = diag(Omega^-1), the value j
given the others is Normal(y_j - r_j / c_j, 1 / c_j) (Sundararajan and Keerthi 2001, doi 10.1162/08997660151134343).
Omega is inverted by way of A = s2 I + L'W'W L, which is as large as the sources of variation, whatever the visits.

Where a patient's residuals go with each other in time, the same holds given the patient's own coefficients, with Omega
the covariance of the residuals (Bürkner, Gabry and Vehtari 2020, doi 10.1007/s00180-020-01045-4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.checks.material import flat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.checks.material import Material

    Floats = NDArray[np.float64]

SAME_DENSITY = 1e-6
"""Relative difference at which a patient's stored log density is no longer that of this arithmetic."""


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


def given_others(material: Material) -> GivenOthers | None:
    """Derive what every value is expected to be from its patient's others, for each draw of the population.

    None where the model is not a normal residual around coefficients that were integrated out. Whether it is, the
    stored log density of the patients tells: it must be that of this arithmetic.
    """
    if not {"loading", "sigma"} <= set(material.posterior):
        return None
    if material.integrated_out:
        return _given_others(material)
    if material.by_patient is None:
        return None
    found, stored = _given_others(material), flat(material.by_patient)
    same = np.allclose(found.by_patient, stored, rtol=SAME_DENSITY, atol=SAME_DENSITY)
    return found if same else None


def given_neighbours(material: Material) -> GivenOthers | None:
    """Derive what every value is expected to be from its patient's coefficients and other residuals, draw by draw.

    None where the model's residuals are independent. `by_patient` is then given the patient's coefficients too.
    """
    draws, visits = material.posterior, material.visits
    if "autocorrelation" not in draws:
        return None
    correlation, sigma = flat(draws["autocorrelation"]), flat(draws["sigma"])
    theta = flat(draws["coefficients"].transpose(..., "patient", "coefficient"))
    mean, sd = np.empty((2, len(sigma), len(visits.value)))
    by_patient = np.zeros((len(sigma), len(visits.patients)))
    for patient in range(len(visits.patients)):
        mine = np.flatnonzero(visits.patient_index == patient)
        if not len(mine):
            continue
        left = visits.value[mine] - theta[:, patient] @ material.basis[mine].T
        covariance = correlation[:, None, None] ** _apart(visits.month[mine]) * sigma[:, None, None] ** 2
        inverse = np.linalg.inv(covariance)
        scaled, precision = np.einsum("dij,dj->di", inverse, left), np.einsum("dii->di", inverse)
        mean[:, mine] = visits.value[mine] - scaled / precision
        sd[:, mine] = precision**-0.5
        log_det = np.linalg.slogdet(covariance)[1]
        by_patient[:, patient] = -0.5 * (len(mine) * np.log(2 * np.pi) + log_det + (left * scaled).sum(axis=1))
    return GivenOthers(mean, sd, by_patient)


def _apart(month: Floats) -> Floats:
    """Count the months between each two of a patient's values, as the residuals do: (visit, visit)."""
    from slopeshift.residuals import SHORTEST

    order = np.argsort(month, kind="stable")
    since = np.empty(len(month))
    since[order] = np.concatenate([[0.0], np.cumsum(np.maximum(np.diff(month[order]), SHORTEST))])
    return np.abs(since[:, None] - since)


def _given_others(material: Material) -> GivenOthers:
    visits, draws = material.visits, material.posterior
    loading, variance = flat(draws["loading"]), flat(draws["sigma"]) ** 2
    centre = _centres(material)
    mean, sd = np.empty((2, len(loading), len(visits.value)))
    by_patient = np.zeros((len(loading), len(visits.patients)))
    for patient in range(len(visits.patients)):
        mine = np.flatnonzero(visits.patient_index == patient)
        if not len(mine):
            continue
        rows = material.basis[mine]
        left = visits.value[mine] - centre[:, patient] @ rows.T
        scaled, precision, density = _inverted(rows @ loading, left, variance)
        mean[:, mine] = visits.value[mine] - scaled / precision
        sd[:, mine] = precision**-0.5
        by_patient[:, patient] = density
    return GivenOthers(mean, sd, by_patient)


def _centres(material: Material) -> Floats:
    """What the population says of every patient's coefficients, covariates included: (draw, patient, coefficient)."""
    draws = material.posterior
    centre = flat(draws["population"])[:, None, :]
    if material.shift is None:
        return np.repeat(centre, len(material.visits.patients), axis=1)
    shift = material.shift.transpose("covariate", "patient", "coefficient").to_numpy()
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
