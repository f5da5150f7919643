"""Patients who may not have changed at all: the model beside a mixture in which each of them may be untouched.

In the mixture a patient's changes of slope are all zero with probability q, the same for all, and else what the model
says; q ~ Uniform(0, 1). With l_i = log p(y_i | mu, phi) and l_i0 the same without changes, given the population mu and
the spreads phi, a draw of the model stands for the mixture with weight

    w = integral over q of prod_i [(1 - q) + q exp(l_i0 - l_i)]

and patient i is unchanged in it with probability E[q exp(l_i0) / ((1 - q) exp(l_i) + q exp(l_i0))]. A patient who did
change has the changes that the model drew. Weights are Pareto-smoothed (Vehtari et al. 2024, J Mach Learn Res 25:72).
Whom one calls slowed is then rarer, and in trials in which nothing changed nearly nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import arms
from slopeshift.answers.operating import in_closed_form
from slopeshift.answers.quantities import CLAIM, patients, slows
from slopeshift.answers.weights import LARGEST_K, smoothed
from slopeshift.design.cycles import OVERALL
from slopeshift.design.shape import NATURAL
from slopeshift.design.visits import patient_sums
from slopeshift.engine.draws import evenly, flat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

DRAWS, WORK = 2000, 400_000
"""Draws that are weighed: DRAWS, or fewer where draws times patients would be more than WORK."""

NODES = 24
"""Points of Gauss-Legendre's rule for the integral over q: exact for up to 47 patients."""

COLUMNS = ("patient", "prob_changed", "prob_slowing_25", "share_changed", "pareto_k")


def table(posterior: Posterior) -> pd.DataFrame:
    """Say of every patient with an informed cycle whether anything changed: a row each, as COLUMNS.

    `prob_changed`, and `prob_slowing_25` of slowing by 25 % or more over all cycles, are those of the mixture;
    `share_changed` is the mean of 1 - q. NaN where `pareto_k` is above LARGEST_K: draws of the model do not stand for
    the mixture then. Empty where the model is not linear given the spreads, or no value informs a change; and where
    arms are compared, as patients of both may change.
    """
    if not in_closed_form(posterior) or arms.compares(posterior.design):
        return pd.DataFrame(columns=list(COLUMNS))
    place = evenly(posterior.draws, min(DRAWS, WORK // len(posterior.visits.patients)))
    ratio = _densities(posterior, place, changed=False) - _densities(posterior, place, changed=True)
    weight, k, unchanged, share = _mixed(ratio)
    rows = _overall(posterior, place)
    names, slowed = rows
    index = pd.Index(posterior.visits.patients).get_indexer(names)
    changed = 1.0 - unchanged[:, index]
    found = pd.DataFrame(
        {
            "patient": names,
            "prob_changed": weight @ changed,
            "prob_slowing_25": weight @ (changed * slowed),
            "share_changed": float(weight @ share),
            "pareto_k": k,
        }
    )
    if k > LARGEST_K:
        found[["prob_changed", "prob_slowing_25", "share_changed"]] = np.nan
    return found


def called(found: pd.DataFrame) -> tuple[int, float]:
    """Count whom the mixture calls slowed, with a probability above CLAIM, and how many of them it expects wrongly."""
    probability = found.loc[found["prob_slowing_25"] > CLAIM, "prob_slowing_25"]
    return len(probability), float((1 - probability).sum())


def _mixed(ratio: Floats) -> tuple[Floats, float, Floats, Floats]:
    """Weigh draws by log ratios, none to changed, (draw, patient): weights, Pareto shape, Pr(unchanged), E(1 - q)."""
    from scipy.special import logsumexp

    node, mass = np.polynomial.legendre.leggauss(NODES)
    q, mass = 0.5 * (node + 1.0), 0.5 * mass
    # (draw, patient, q): each patient's density relative to that of having changed.
    mixed = np.logaddexp(np.log1p(-q), np.log(q) + ratio[..., None])
    joint = mixed.sum(axis=1) + np.log(mass)
    log_weight = logsumexp(joint, axis=1)
    of_q = np.exp(joint - log_weight[:, None])
    unchanged = np.einsum("dq,dpq->dp", of_q, np.exp(np.log(q) + ratio[..., None] - mixed))
    weight, k = smoothed(log_weight)
    return weight, k, unchanged, of_q @ (1.0 - q)


def _overall(posterior: Posterior, place: Places) -> tuple[NDArray[np.object_], Floats]:
    """Name the patients with an informed cycle, and say in which draws each slowed over all: (draw, patient)."""
    rows = patients(posterior)
    rows = rows.isel(row=np.flatnonzero(rows["injection"].to_numpy() == OVERALL))
    slowed = slows(rows["change"], rows["slope"], sign=float(rows["sign"]))
    return rows["patient"].to_numpy(), flat(slowed)[place].astype(float)


def _densities(posterior: Posterior, place: Places, *, changed: bool) -> Floats:
    """Take log p(y_i | mu, phi) of every patient at each draw, with changes or without: (draw, patient)."""
    names, visits = posterior.design.indexes["coefficient"], posterior.visits
    kept = [k for k, name in enumerate(names) if changed or name in NATURAL]
    mean = np.repeat(flat(posterior.draws["population"])[place][:, None], len(visits.patients), axis=1)
    for name in posterior.design.indexes.get("covariate", ()):
        shift = posterior.design["covariates"].sel(covariate=name).transpose("patient", "coefficient").to_numpy()
        mean += flat(posterior.draws["regression"].sel(covariate=name))[place][:, None, None] * shift
    loading = flat(posterior.draws["loading"])[place][:, kept]
    sums = patient_sums(visits.basis[:, kept], visits.value, visits.patient_index, len(visits.patients))
    return _log_density(
        sums, mean[..., kept], loading @ loading.transpose(0, 2, 1), flat(posterior.draws["sigma"])[place]
    )


def _log_density(sums: tuple[Floats, ...], mean: Floats, spread: Floats, sigma: Floats) -> Floats:
    """Take log Normal(y_i; W_i m, W_i V W_i' + sigma^2 I) from sums over values, by the matrix inversion lemma.

    `mean` is (draw, patient, p), `spread` (draw, p, p) and `sigma` (draw,).
    """
    S, s, yy, n = sums
    variance = sigma[:, None] ** 2
    left = s - np.einsum("ipq,diq->dip", S, mean)
    square = yy - np.einsum("dip,dip->di", mean, s + left)
    inner = variance[..., None, None] * np.eye(spread.shape[1]) + S @ spread[:, None]
    solved = np.linalg.solve(inner, left[..., None])[..., 0]
    square = square - np.einsum("dip,dpq,diq->di", left, spread, solved, optimize=True)
    log_det = np.linalg.slogdet(inner)[1] - spread.shape[1] * np.log(variance)
    found: Floats = -0.5 * (n * np.log(2 * np.pi * variance) + log_det + square / variance)
    return found
