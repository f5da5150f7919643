"""Another prior without sampling anew: what was sampled is weighed, and the population drawn back under the new prior.

Given the standard deviations and correlations that NUTS drew, the data are a normal likelihood of the population's
terms mu, with information J and score j (in the notation of `kernel`: J = B'(sum M_i)B, j = B'sum h_i). So, for any
normal prior Normal(m, C) of the terms,

    Q = J + C^-1,  b = j + C^-1 m,   mu | y, draw ~ Normal(Q^-1 b, Q^-1)
    log p(y | draw, prior) = (-log|C| - log|Q| + b'Q^-1 b - m'C^-1 m) / 2  + what does not depend on the prior

A draw under the old prior stands for the new one with weight p(y | draw, new) / p(y | draw, old), times the ratio of
new to old prior density where the prior of a standard deviation changes too. The weights are Pareto-smoothed, and
trusted where the shape k of their tail is below 0.7 and they are worth 400 draws (Vehtari, Simpson, Gelman, Yao, Gabry
2024, J Mach Learn Res 25:72).

Where entry rules are part of the likelihood, NUTS draws the terms that they act on too. These are then given: they keep
their values, J and j are those of the others given them, and their prior density is part of p(y | draw, prior). What
the rules divide by depends on nothing else, and is the same under every prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.answers.convergence import ESS_MIN
from slopeshift.answers.weights import LARGEST_K, smoothed
from slopeshift.design.visits import patient_sums
from slopeshift.engine.draws import flat
from slopeshift.engine.exact import sampled_apart, widened
from slopeshift.engine.terms import terms_from

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

BLOCK = 200_000
"""Patients times draws whose information is formed at a time, which bounds the memory that a large cohort takes."""


@dataclass(frozen=True, eq=False)
class NormalPrior:
    """Independent normal priors of the population's terms: `mean` and `sd` (term,)."""

    mean: Floats
    sd: Floats


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the data say of the population's terms at each draw: `information` (draw, m, m), `score` (draw, m).

    They are of the m terms that were integrated out; `sampled` (term,) says which were not, and `given` (draw, sampled)
    how far these lie from `origin` (term,), which all terms are counted from. `design` (coefficient, term) makes
    coefficients of them. `z` (draw, m) are the standard normals that terms are drawn with, the same under every prior,
    so that priors differ by themselves and not by chance.
    """

    information: Floats
    score: Floats
    origin: Floats
    design: Floats
    z: Floats
    sampled: NDArray[np.bool_]
    given: Floats


@dataclass(frozen=True, eq=False)
class Weighed:
    """Draws under another prior: `terms` (draw, term) with their `weight` (draw,), which sum to 1.

    `k` is the Pareto shape of the weights' tail (-inf where all are equal), `ess` the number of draws they are worth.
    """

    terms: Floats
    weight: Floats
    k: float
    ess: float

    @property
    def reliable(self) -> bool:
        """Whether anything may be said from these draws."""
        return self.k < LARGEST_K and self.ess >= ESS_MIN


def evidence_of(posterior: Posterior, seed: int, extra: Floats | None = None) -> Evidence:
    """Form the likelihood of the terms at each draw of `loading` and `sigma` of a model that integrates out.

    `extra` (visit, column) adds columns to the basis, each with a term of its own, of the population alone, after the
    others and counted from 0.
    """
    loading, sigma = flat(posterior.draws["loading"]), flat(posterior.draws["sigma"])
    terms, visits = posterior.design, posterior.visits
    mean, (basis, design) = terms["term_mean"].to_numpy(), widened(visits, terms)
    loading = np.pad(loading, ((0, 0), (0, len(design) - loading.shape[1]), (0, 0)))
    value = visits.value - basis @ (design @ mean)
    if extra is not None:
        p, more = design.shape[0], extra.shape[1]
        basis = np.column_stack([basis, extra])
        loading = np.concatenate([loading, np.zeros((len(loading), more, loading.shape[2]))], axis=1)
        design = np.block([[design, np.zeros((p, more))], [np.zeros((more, len(mean))), np.eye(more)]])
        mean = np.append(mean, np.zeros(more))
    grams, moments, _, counts = patient_sums(basis, value, visits.patient_index, len(visits.patients))
    grams, moments = grams[counts > 0], moments[counts > 0]
    step = max(BLOCK // max(len(grams), 1), 1)
    blocks = [
        _information(grams, moments, loading[i : i + step], sigma[i : i + step]) for i in range(0, len(sigma), step)
    ]
    information, score = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    z = np.random.default_rng(seed).standard_normal((len(sigma), len(mean)))
    return _given_what_was_sampled(posterior, design.T @ information @ design, score @ design, (mean, design, z))


def _given_what_was_sampled(
    posterior: Posterior, information: Floats, score: Floats, rest: tuple[Floats, Floats, Floats]
) -> Evidence:
    """Keep what is said of the terms that were integrated out, given those that were sampled, which come first."""
    mean, design, z = rest
    apart, moved = sampled_apart(posterior.draws, terms_from(posterior.design, posterior.visits))
    sampled = np.pad(apart, (0, len(mean) - len(apart)))
    given, inside = moved[:, apart], ~sampled
    among, across = information[:, inside][:, :, inside], information[:, inside][:, :, sampled]
    left = score[:, inside] - np.einsum("dms,ds->dm", across, given)
    return Evidence(among, left, mean, design, z[:, inside], sampled, given)


def _information(grams: Floats, moments: Floats, loading: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """Add up M_i = (I + S_i V)^-1 S_i and h_i = (I + S_i V)^-1 s_i over patients: (draw, p, p) and (draw, p)."""
    V = loading @ loading.transpose(0, 2, 1)
    S, s = (each[None] / (sigma**2).reshape(-1, *(1,) * each.ndim) for each in (grams, moments))
    both = np.concatenate([S, s[..., None]], axis=3)
    solved = np.linalg.solve(np.eye(V.shape[1]) + S @ V[:, None], both).sum(axis=1)
    return solved[..., :-1], solved[..., -1]


def under(evidence: Evidence, new: NormalPrior, old: NormalPrior, log_ratio: Floats | float = 0.0) -> Weighed:
    """Draw the terms under another prior; `log_ratio` (draw,) is that of new to old density of what was sampled."""
    known, half, chol = _solved(evidence, new)
    weight, k = smoothed(known - _solved(evidence, old)[0] + log_ratio)
    from_origin = np.empty((len(weight), len(evidence.origin)))
    from_origin[:, evidence.sampled] = evidence.given
    drawn = np.linalg.solve(chol.transpose(0, 2, 1), (half + evidence.z)[..., None])[..., 0]
    from_origin[:, ~evidence.sampled] = drawn
    return Weighed(evidence.origin + from_origin, weight, k, float(1 / (weight**2).sum()))


def log_evidence(evidence: Evidence, prior: NormalPrior) -> Floats:
    """Take log p(y | draw, prior), but for what does not depend on the prior: (draw,)."""
    return _solved(evidence, prior)[0]


def _solved(evidence: Evidence, prior: NormalPrior) -> tuple[Floats, Floats, Floats]:
    """Return the log evidence (draw,), the root L of Q (draw, m, m), and L^-1 b (draw, m)."""
    inside, all_shift = ~evidence.sampled, prior.mean - evidence.origin
    precision, shift = prior.sd[inside] ** -2.0, all_shift[inside]
    chol = np.linalg.cholesky(evidence.information + np.diag(precision))
    half = np.linalg.solve(chol, (evidence.score + precision * shift)[..., None])[..., 0]
    log_det = np.log(np.diagonal(chol, axis1=1, axis2=2)).sum(axis=1)
    known = 0.5 * (half**2).sum(axis=1) - log_det - np.log(prior.sd).sum() - 0.5 * (precision * shift**2).sum()
    away = (evidence.given - all_shift[evidence.sampled]) / prior.sd[evidence.sampled]
    return known - 0.5 * (away**2).sum(axis=1), half, chol
