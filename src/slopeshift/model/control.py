"""The natural history of an outcome in another trial, as the prior of the slope before treatment.

Patients' values before any injection follow a line each, with level and slope normal between patients (the linear
mixed model of Laird and Ware 1982, Biometrics 38:963-974), fitted by restricted maximum likelihood. The mean slope
has a standard error within that study; that another study's may differ is for the user to say, as a between-study
standard deviation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.design.visits import patient_sums
from slopeshift.model.priors import Normal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MeanSlope:
    """The mean slope of a natural history, in outcome units a month: estimate, standard error, and of how many."""

    mean: float
    standard_error: float
    patients: int
    values: int


@dataclass(frozen=True)
class FromControl:
    """The prior of the slope before treatment that a trial's control gives, and `otherwise` where there is none."""

    otherwise: Normal


def lead_in_slope(trial: Trial, outcome: str, otherwise: Normal) -> Normal:
    """Return the prior of the mean slope before treatment: from the trial's control, or `otherwise` without one.

    Normal(mean, sqrt(SE^2 + between-study SD^2)), in outcome units a month, which says so itself. Outcomes for which
    trial.toml gives no between-study SD keep `otherwise`. Raises ValueError as `mean_slope` does.
    """
    control = trial.control
    if control is None or outcome not in control.between_study_sd:
        return otherwise
    slope = mean_slope(control.trial, outcome)
    spread = control.between_study_sd[outcome]
    return Normal(
        slope.mean,
        math.hypot(slope.standard_error, spread),
        unit=otherwise.unit,
        why=f"{slope.patients} patients of {control.source}: mean {slope.mean:.3g}, standard error "
        f"{slope.standard_error:.2g}; between-study SD {spread:g}, chosen",
        basis="historical",
        source="the trial's control",
    )


def mean_slope(trial: Trial, outcome: str) -> MeanSlope:
    """Estimate the mean slope before any injection, over all patients of a trial.

    Patients with a single value count, for the level. Raises ValueError where the estimate does not converge.
    """
    sums = _sums(trial, outcome)
    mean, covariance = _restricted_maximum(sums)
    return MeanSlope(float(mean[1]), math.sqrt(covariance[1, 1]), len(sums.n), int(sums.n.sum()))


@dataclass(frozen=True)
class _Sums:
    """Sums over each patient's values: `n` and `yy` (patient,), `s` = Z'y (patient, 2), `S` = Z'Z (patient, 2, 2)."""

    n: Floats
    yy: Floats
    s: Floats
    S: Floats


def _sums(trial: Trial, outcome: str) -> _Sums:
    rows = trial.natural_history(outcome)
    _, patient = np.unique(rows["patient"].to_numpy(), return_inverse=True)
    design = np.column_stack([np.ones(len(rows)), rows["month"].to_numpy()])
    S, s, yy, n = patient_sums(design, rows[outcome].to_numpy(), patient, int(patient.max()) + 1)
    return _Sums(n, yy, s, S)


def _restricted_maximum(sums: _Sums) -> tuple[Floats, Floats]:
    """Return mean and covariance of (level, slope) at the maximum of the restricted likelihood."""
    from scipy.optimize import minimize

    pooled = np.linalg.solve(sums.S.sum(axis=0), sums.s.sum(axis=0))
    variance = max(float((sums.yy.sum() - pooled @ sums.s.sum(axis=0)) / sums.n.sum()), 1e-6)
    start = np.array([0.5 * math.log(variance) - 1, 0.5 * math.log(variance), 0.5 * math.log(variance) - 2, 0.0])
    simplex = minimize(lambda at: _criterion(at, sums)[0], start, method="Nelder-Mead", options=_SEARCH)
    found = minimize(lambda at: _criterion(at, sums)[0], simplex.x, method="BFGS", options=_POLISH)
    _, mean, information = _criterion(found.x, sums)
    stuck = simplex.success and found.status == _PRECISION_LOSS
    around = [_criterion(found.x + step, sums)[0] for step in (*_STEP * np.eye(4), *-_STEP * np.eye(4))]
    at_maximum = found.success or (stuck and found.fun - min(around) < _GAIN)
    if not (at_maximum and np.isfinite(found.fun) and np.isfinite(mean).all()):
        raise ValueError(
            f"the mean slope of the control could not be estimated: the search over {len(sums.n)} patients and "
            f"{int(sums.n.sum())} values did not converge ({found.message}); give a control with more values, or none"
        )
    return mean, np.linalg.inv(information)


_SEARCH = {"xatol": 1e-4, "fatol": 1e-6, "maxiter": 2000}
_POLISH = {"gtol": 1e-6, "maxiter": 800}

_PRECISION_LOSS = 2
"""BFGS's status where it cannot improve further in double precision: at the maximum, or stuck short of it."""

_STEP, _GAIN = 0.05, 1e-3
"""A point is taken for the maximum where no SD that is 5 % larger or smaller gains as much of twice a log likelihood.
Gradients by differences are noise where an SD is nearly 0."""


def _criterion(at: Floats, sums: _Sums) -> tuple[float, Floats, Floats]:
    """Return minus twice the restricted log likelihood, the mean it is largest at, and its information.

    `at` holds the logs of residual, level and slope SD, and the inverse hyperbolic tangent of their correlation. With
    V = s2 I + Z G Z' and K = (s2 I + G S)^-1 G, V^-1 = (I - Z K Z') / s2, patient by patient.
    """
    sigma, *sds = np.exp(np.clip(at[:3], -12, 12))
    r = math.tanh(at[3])
    G = np.outer(sds, sds) * np.array([[1, r], [r, 1]])
    inner = sigma**2 * np.eye(2) + G @ sums.S
    K = np.linalg.solve(inner, np.broadcast_to(G, inner.shape))
    SK = sums.S @ K
    information = (sums.S - SK @ sums.S).sum(axis=0) / sigma**2
    score = (sums.s - np.einsum("pij,pj->pi", SK, sums.s)).sum(axis=0) / sigma**2
    squares = (sums.yy - np.einsum("pi,pij,pj->p", sums.s, K, sums.s)).sum() / sigma**2
    mean = np.linalg.solve(information, score)
    log_v = ((sums.n - 2) * 2 * math.log(sigma) + np.linalg.slogdet(inner)[1]).sum()
    return float(log_v + np.linalg.slogdet(information)[1] + squares - score @ mean), mean, information
