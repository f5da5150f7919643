"""The natural history of an outcome in another trial, as the prior of the slope before treatment and its curvature.

Patients' values before any injection follow a line each, with level and slope normal between patients (the linear
mixed model of Laird and Ware 1982, Biometrics 38:963-974), fitted by restricted maximum likelihood; or a parabola, with
a curvature besides. A mean has a standard error within that study; that another study's may differ is for the user to
say, as a between-study standard deviation.

The slope of a parabola is another one at every time. It is taken where the trial's own is: as many months after a
patient's first value as the first injection came in the trial, on average.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.design.shape import NATURAL
from slopeshift.design.visits import patient_sums
from slopeshift.model.priors import Normal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mean:
    """The mean slope or curvature of a natural history: estimate, standard error, and of how many.

    In outcome units a month, and those per month.
    """

    mean: float
    standard_error: float
    patients: int
    values: int


@dataclass(frozen=True)
class FromControl:
    """The prior of slope or curvature that a trial's control gives, and `otherwise` where it gives none."""

    otherwise: Normal


def from_control(trial: Trial, outcome: str, otherwise: Normal, of: str = "slope", *, curved: bool = False) -> Normal:
    """Return the prior of the mean slope before treatment, or `of` the curvature: from the trial's control, if it can.

    Normal(mean, sqrt(SE^2 + between-study SD^2)), in the units of `otherwise`, which says so itself. Where trial.toml
    gives no between-study SD of it, `otherwise` stays. On a `curved` course whose curvature the control gives, the
    slope is that of the same parabolas. Raises ValueError as `means` does.
    """
    control = trial.control
    spreads = {} if control is None else control.spreads(of)
    if control is None or outcome not in spreads:
        return otherwise
    mean = mean_of(trial, outcome, of, curved=curved)
    return Normal(
        mean.mean,
        math.hypot(mean.standard_error, spreads[outcome]),
        unit=otherwise.unit,
        why=f"{mean.patients} patients of {control.source}: mean {mean.mean:.3g}, standard error "
        f"{mean.standard_error:.2g}; between-study SD {spreads[outcome]:g}, chosen",
        basis="historical",
        source="the trial's control",
    )


def mean_of(trial: Trial, outcome: str, of: str, *, curved: bool) -> Mean:
    """Return what the control of a trial says of its slope or curvature, as `from_control` takes it."""
    control = trial.control
    if control is None:
        raise LookupError(f"trial {trial.name} names no control")
    bends = curved and outcome in control.spreads("curvature")
    return means(control.trial, outcome, lead_in_of(trial, outcome) if bends else None)[of]


def lead_in_of(trial: Trial, outcome: str) -> float:
    """Months from the first value of an injected patient to the first injection, on average; 0 without injections."""
    visits = trial.visits.dropna(subset=outcome)
    first = visits[visits["patient"].isin(trial.injections["patient"])].groupby("patient")["month"].min()
    return float(-first.clip(upper=0).mean()) if len(first) else 0.0


@lru_cache(maxsize=8)
def means(trial: Trial, outcome: str, lead_in: float | None = None) -> dict[str, Mean]:
    """Estimate the mean `slope` before any injection, over all patients of a trial.

    With a `lead_in`, courses are parabolas, whose `curvature` is returned besides, and whose slope is that so many
    months after a patient's first value. Patients with a single value count, for the level. Raises ValueError where the
    estimate does not converge.
    """
    sums = _sums(trial, outcome, lead_in)
    mean, covariance = _restricted_maximum(sums)
    errors, size = np.sqrt(np.diag(covariance)), (len(sums.n), int(sums.n.sum()))
    names = NATURAL[: len(mean)]
    return {name: Mean(float(mean[i]), float(errors[i]), *size) for i, name in enumerate(names)}


@dataclass(frozen=True)
class _Sums:
    """Sums over each patient's values: `n` and `yy` (patient,), `s` = Z'y (patient, p), `S` = Z'Z (patient, p, p)."""

    n: Floats
    yy: Floats
    s: Floats
    S: Floats


def _sums(trial: Trial, outcome: str, lead_in: float | None) -> _Sums:
    rows = trial.natural_history(outcome)
    _, patient = np.unique(rows["patient"].to_numpy(), return_inverse=True)
    month = rows["month"].to_numpy(dtype=float)
    if lead_in is not None:
        month = month - rows.groupby("patient")["month"].transform("min").to_numpy() - lead_in
    powers = [np.ones(len(rows)), month, *([month**2 / 2] if lead_in is not None else [])]
    S, s, yy, n = patient_sums(np.column_stack(powers), rows[outcome].to_numpy(), patient, int(patient.max()) + 1)
    return _Sums(n, yy, s, S)


def _restricted_maximum(sums: _Sums) -> tuple[Floats, Floats]:
    """Return mean and covariance of level, slope and, of parabolas, curvature where the restricted likelihood peaks."""
    from scipy.optimize import minimize

    pooled = np.linalg.solve(sums.S.sum(axis=0), sums.s.sum(axis=0))
    variance = max(float((sums.yy.sum() - pooled @ sums.s.sum(axis=0)) / sums.n.sum()), 1e-6)
    p = len(pooled)
    start = np.append(0.5 * math.log(variance) - np.array([1, 0, 2, 4])[: 1 + p], np.zeros(p * (p - 1) // 2))
    simplex = minimize(lambda at: _criterion(at, sums)[0], start, method="Nelder-Mead", options=_SEARCH)
    found = minimize(lambda at: _criterion(at, sums)[0], simplex.x, method="BFGS", options=_POLISH)
    _, mean, information = _criterion(found.x, sums)
    stuck = simplex.success and found.status == _PRECISION_LOSS
    steps = _STEP * np.eye(len(start))
    around = [_criterion(found.x + step, sums)[0] for step in (*steps, *-steps)]
    at_maximum = found.success or (stuck and found.fun - min(around) < _GAIN)
    if not (at_maximum and np.isfinite(found.fun) and np.isfinite(mean).all()):
        raise ValueError(
            f"the mean {'slope' if p == 2 else 'curvature'} of the control could not be estimated: the search over "
            f"{len(sums.n)} patients and {int(sums.n.sum())} values did not converge ({found.message}); give a control "
            "with more values, or none"
        )
    return mean, np.linalg.inv(information)


_SEARCH = {"xatol": 1e-4, "fatol": 1e-6, "maxiter": 4000}
_POLISH = {"gtol": 1e-6, "maxiter": 800}

_PRECISION_LOSS = 2
"""BFGS's status where it cannot improve further in double precision: at the maximum, or stuck short of it."""

_STEP, _GAIN = 0.05, 1e-3
"""A point is taken for the maximum where no SD that is 5 % larger or smaller gains as much of twice a log likelihood.
Gradients by differences are noise where an SD is nearly 0."""


def _criterion(at: Floats, sums: _Sums) -> tuple[float, Floats, Floats]:
    """Return minus twice the restricted log likelihood, the mean it is largest at, and its information.

    `at` holds the logs of the SDs of residual, level, slope and curvature, and the inverse hyperbolic tangents of their
    partial correlations, row by row. With V = s2 I + Z G Z' and K = (s2 I + G S)^-1 G, V^-1 = (I - Z K Z') / s2,
    patient by patient.
    """
    p = sums.s.shape[1]
    sigma, *sds = np.exp(np.clip(at[: 1 + p], -12, 12))
    rows = np.array(sds)[:, None] * _factor(np.tanh(at[1 + p :]), p)
    G = rows @ rows.T
    inner = sigma**2 * np.eye(p) + G @ sums.S
    K = np.linalg.solve(inner, np.broadcast_to(G, inner.shape))
    SK = sums.S @ K
    information = (sums.S - SK @ sums.S).sum(axis=0) / sigma**2
    score = (sums.s - np.einsum("pij,pj->pi", SK, sums.s)).sum(axis=0) / sigma**2
    squares = (sums.yy - np.einsum("pi,pij,pj->p", sums.s, K, sums.s)).sum() / sigma**2
    mean = np.linalg.solve(information, score)
    log_v = ((sums.n - p) * 2 * math.log(sigma) + np.linalg.slogdet(inner)[1]).sum()
    return float(log_v + np.linalg.slogdet(information)[1] + squares - score @ mean), mean, information


def _factor(partial: Floats, size: int) -> Floats:
    """Write the Cholesky factor of a correlation matrix from its partial correlations, row by row."""
    factor, remaining = np.zeros((size, size)), iter(partial)
    for i in range(size):
        left = 1.0
        for j in range(i):
            factor[i, j] = left * (c := next(remaining))
            left *= math.sqrt(1 - c * c)
        factor[i, i] = left
    return factor
