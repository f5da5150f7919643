"""Entry rules as a model has them: their record, what `entry` takes of them, and draws of patients who meet them.

Those who are admitted are drawn without rejection, as far as one rule goes: x = c'u from its truncated normal, and what
depends on it by its regression on x, which is exact for normal variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.design.visits import patient_sums
from slopeshift.engine import entry
from slopeshift.engine.later import later
from slopeshift.engine.terms import ENTRY

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.design.entry import Selection
    from slopeshift.design.visits import Visits

    Floats = NDArray[np.float64]
else:
    pm = later("pymc")

DIMS: dict[str, tuple[str, ...]] = dict(
    zip(
        ENTRY,
        (("entry_rule", "visit"), ("patient", "entry_rule"), ("patient", "entry_rule"), ("entry_rule",), ()),
        strict=True,
    )
)
"""What is recorded of the rules that a model knows, with its dims."""

UNKNOWN = -1
"""In the place of the number refused where it is not known: data of a PyMC model cannot be missing."""

TOUCHED = 1e-9
"""Effect of a term on what a rule asks for, in outcome units per unit of the term, below which it has none."""

TRIES = 10_000
"""Draws of a patient after which meeting two rules together is given up."""


@dataclass(frozen=True, eq=False)
class Rules:
    """Rules that a patient met to enter: lower <= weight . values <= upper, in outcome units, infinite where open.

    `weight` (rule, visit) is that of each value in its patient's rule, `lower` and `upper` are (patient, rule), both
    open for who is exempt, and `spread` (rule,) is the SD of a judgement beside the values. `refused` counts the
    patients refused by these rules; UNKNOWN where nobody said.
    """

    weight: Floats
    lower: Floats
    upper: Floats
    spread: Floats
    refused: int

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Who had to meet the rules: (patient,)."""
        return np.asarray((np.isfinite(self.lower) | np.isfinite(self.upper)).any(axis=1))

    def recorded(self) -> dict[str, Floats]:
        """Lay the rules out as they are recorded, by the names of DIMS."""
        return {name: np.asarray(getattr(self, name.removeprefix("entry_"))) for name in DIMS}

    def by_patient(self, visits: Visits) -> tuple[Floats, Floats]:
        """Give each patient's a = U'c (patient, rule, column) over the basis of `visits`, and c_r'c_s of the rules."""
        weight, n = self.weight.T, len(visits.patients)
        grams, _, _, _ = patient_sums(weight, visits.value, visits.patient_index, n)
        rows = np.zeros((n, weight.shape[1], visits.basis.shape[1]))
        np.add.at(rows, visits.patient_index, weight[:, :, None] * visits.basis[:, None, :])
        return rows, grams


def rules_of(selection: Selection | None) -> Rules | None:
    """Take the rules on recorded values from a selection: None where there is none.

    A rule on a value that was not recorded has no place here: to divide by its probability alone would correct for more
    than the rule did.
    """
    if selection is None or not selection.recorded.any():
        return None
    known, group = selection.recorded, selection.group_of
    lower, upper = (
        np.where(group[:, None] >= 0, limits[group][:, known], end)
        for limits, end in ((selection.lower, -np.inf), (selection.upper, np.inf))
    )
    refused = UNKNOWN if selection.refused is None else selection.refused
    return Rules(selection.weight[known], lower, upper, selection.spread[known], refused)


def record_rules(rules: Rules) -> None:
    """Keep the rules as data of the current PyMC model: a record, as that of the terms."""
    pm.modelcontext(None).add_coord("entry_rule", range(len(rules.spread)))
    for name, values in rules.recorded().items():
        pm.Data(name, values, dims=DIMS[name] or None)


def rules_from(data: xr.Dataset) -> Rules | None:
    """Read the rules back from their record: None where a model has none."""
    if "entry_weight" not in data:
        return None
    weight, lower, upper, spread, refused = (data[name].transpose(*dims).to_numpy() for name, dims in DIMS.items())
    return Rules(weight, lower, upper, spread, int(refused))


def by_patient(rules: Rules, visits: Visits, centre: Floats) -> Floats:
    """Lay the rules out for `entry.log_probabilities`, a row each patient: (patient, column).

    The basis of `visits` has the columns of the kernel, whose prior mean is `centre` (p,).
    """
    rows, grams = rules.by_patient(visits)
    limits = np.stack([rules.lower, rules.upper], axis=1) - (rows @ centre)[:, None, :]
    weights = np.column_stack([rules.judged, np.zeros(len(rows))])
    return entry.pack(weights, limits, rules.spread, grams, rows)


def pooled(rules: Rules, visits: Visits, centre: Floats) -> Floats:
    """Lay the rules out for `entry.log_factor`, equal patients together: (patient, column), rows of 0 at the end.

    As many rows as patients, so that a compiled model takes other visits. The refused are shared out as the enrolled.
    """
    alone = by_patient(rules, visits, centre)
    found = np.zeros_like(alone)
    judged = alone[rules.judged]
    _, first, count = np.unique(np.round(judged, 9), axis=0, return_index=True, return_counts=True)
    found[: len(first)] = judged[first]
    found[: len(first), 0] = count if rules.refused == UNKNOWN else 0.0
    found[: len(first), 1] = 0.0 if rules.refused == UNKNOWN else rules.refused * count / count.sum()
    return found


def touched(rules: Rules, visits: Visits, design: Floats) -> NDArray[np.bool_]:
    """Say which terms act on what the rules ask for: (term,). `design` is (column, term), columns of the basis."""
    rows = rules.by_patient(visits)[0][rules.judged]
    return np.asarray((np.abs(rows @ design) > TOUCHED).any(axis=(0, 1)))


def admit(
    rules: Rules, visits: Visits, theta: Floats, mean: Floats, loading: Floats, sigma: Floats, rng: np.random.Generator
) -> None:
    """Turn coefficients of anybody into coefficients of those who met the rules, in place: theta (d, n, p).

    They were drawn around `mean` (d, n, p) with `loading` (d, p, q); `sigma` (d,) is the residual SD.
    """
    who = rules.judged
    rows, grams = (each[who] for each in rules.by_patient(visits))
    along = np.einsum("jrp,dpq->djrq", rows, loading)
    noise = _noise(rules, grams, sigma)
    tau = along @ np.swapaxes(along, -1, -2) + noise
    own = np.einsum("jrp,djp->djr", rows, theta[:, who])
    own += _normals(noise, rng)
    x = within(np.einsum("jrp,djp->djr", rows, mean[:, who]), tau, rules.lower[who], rules.upper[who], rng)
    pull = np.linalg.solve(tau, (x - own)[..., None])[..., 0]
    theta[:, who] += np.einsum("djr,djrq,dpq->djp", pull, along, loading)


def admit_values(
    rules: Rules, visits: Visits, value: Floats, mean: Floats, sigma: Floats, rng: np.random.Generator
) -> None:
    """Turn values at the visits (d, visit), drawn around `mean`, into values that meet the rules, in place."""
    who, index = np.flatnonzero(rules.judged), visits.patient_index
    noise = _noise(rules, rules.by_patient(visits)[1][who], sigma)
    centre, own = (_combined(rules, visits, each)[:, who] for each in (mean, value))
    own += rules.spread * rng.standard_normal(own.shape)
    x = within(centre, noise, rules.lower[who], rules.upper[who], rng)
    pull = np.zeros((len(value), len(visits.patients), len(rules.spread)))
    pull[:, who] = np.linalg.solve(noise, (x - own)[..., None])[..., 0]
    value += sigma[:, None] ** 2 * sum(pull[:, index, r] * weight for r, weight in enumerate(rules.weight))


def _combined(rules: Rules, visits: Visits, value: Floats) -> Floats:
    """Combine each patient's values (d, visit) as the rules do: (d, patient, rule)."""
    found = np.zeros((len(visits.patients), len(value), len(rules.spread)))
    np.add.at(found, visits.patient_index, value.T[..., None] * rules.weight.T[:, None])
    return found.swapaxes(0, 1)


def _noise(rules: Rules, grams: Floats, sigma: Floats) -> Floats:
    """Covariance of what the rules ask for, given the coefficients: (d, patient, rule, rule)."""
    return np.asarray(sigma[:, None, None, None] ** 2 * grams + np.diag(rules.spread**2))


def _normals(covariance: Floats, rng: np.random.Generator) -> Floats:
    root = np.linalg.cholesky(covariance)
    return np.asarray((root @ rng.standard_normal((*covariance.shape[:-1], 1)))[..., 0])


def within(mean: Floats, tau: Floats, lower: Floats, upper: Floats, rng: np.random.Generator) -> Floats:
    """Draw x ~ Normal(mean, tau) given lower <= x <= upper: mean (d, j, rule), limits (j, rule).

    One rule is drawn by the inverse of its distribution function. Of two, the one that is met more rarely is, and the
    other given it until it is met; raises ValueError where that takes more than TRIES draws.
    """
    lower, upper = np.broadcast_to(lower, mean.shape), np.broadcast_to(upper, mean.shape)
    if mean.shape[-1] == 1:
        return _one(mean[..., 0], np.sqrt(tau[..., 0, 0]), lower[..., 0], upper[..., 0], rng)[..., None]
    sd = np.sqrt(np.diagonal(tau, axis1=-2, axis2=-1))
    rho = tau[..., 0, 1] / sd.prod(axis=-1)
    order = np.argsort(_share((lower - mean) / sd, (upper - mean) / sd), axis=-1)
    low, high = (np.take_along_axis((limit - mean) / sd, order, axis=-1) for limit in (lower, upper))
    z = np.empty_like(low)
    left = np.ones(low.shape[:-1], dtype=bool)
    for _ in range(TRIES):
        at = np.nonzero(left)
        first = _one(0.0, 1.0, low[left][:, 0], high[left][:, 0], rng)
        second = rho[left] * first + np.sqrt(1 - rho[left] ** 2) * rng.standard_normal(first.shape)
        z[left] = np.column_stack([first, second])
        left[at] = (second < low[left][:, 1]) | (second > high[left][:, 1])
        if not left.any():
            return np.asarray(mean + sd * np.take_along_axis(z, np.argsort(order, axis=-1), axis=-1))
    raise ValueError(
        f"both entry rules are met in fewer than one of {TRIES} patients under {left.sum()} of {left.size} draws: the "
        "model and the rules contradict each other; check the limits of the rules, or the priors of level and slope"
    )


def _share(low: Floats, high: Floats) -> Floats:
    from scipy.special import ndtr

    return np.asarray(np.where(low > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low)))


def _one(mean: Floats | float, sd: Floats | float, lower: Floats, upper: Floats, rng: np.random.Generator) -> Floats:
    """Draw from normals truncated to lower..upper."""
    from scipy.stats import truncnorm

    u = rng.uniform(size=np.shape(lower))
    return np.asarray(truncnorm.ppf(u, (lower - mean) / sd, (upper - mean) / sd, loc=mean, scale=sd))
