"""How far an assumption must be moved before the headline probability falls below 0.8.

Three assumptions are moved: how strongly the prior holds the mean change to be near zero (SD of a zero-mean prior),
where the prior puts the natural history (mean of the lead-in slope), and how much expectation of patients and raters
adds to the change of an open-label trial. All without sampling anew.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers.quantities import CLAIM
from slopeshift.sensitivity.alternatives import expected_decline, overall_sd, own_prior, scaled_changes
from slopeshift.sensitivity.evidence import NormalPrior, under
from slopeshift.sensitivity.rows import moments
from slopeshift.trial.roles import chance_of_better

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.sensitivity.subject import Subject

    Floats = NDArray[np.float64]

HEADLINE = CLAIM
"""The probability that patients worsen more slowly, overall, below which the answer is no longer `probably`."""

PRIOR_SD, NATURAL_HISTORY, EXPECTATION = "prior_sd", "natural_history", "expectation"
FACTORS = np.geomspace(1 / 32, 8, 33)
"""SDs of the mean change's prior that are tried, as multiples of the model's own."""

SHIFTS = np.linspace(-1, 1, 41)
"""Shifts of the mean lead-in slope that are tried, as shares of the decline that the prior expects."""

BIASES = np.linspace(0, 2, 81)
"""SDs of the expectation bias that are tried, as shares of the same decline."""

CURVE = tuple("outcome model kind x mean lower upper prob_positive prob_better pareto_k ess".split())
TIPPING = tuple("outcome model kind at prob_better tips_below tips_above searched_from searched_to unit".split())
"""`at`: where the main analysis stands; tips_below and tips_above: where, on either side of it, the probability that
patients worsen more slowly crosses 0.8 first (empty: not within what was searched)."""


def prior_sd_curve(subject: Subject) -> pd.DataFrame:
    """Trace the overall change against the SD of a zero-mean prior of it: columns x and as in CURVE."""
    terms, weights = subject.posterior.design, subject.weights
    own = own_prior(terms)
    sds = FACTORS * overall_sd(own, weights)
    return _traced(subject, sds, [scaled_changes(own, terms, weights, sd) for sd in sds])


def natural_history_curve(subject: Subject) -> pd.DataFrame:
    """Trace the overall change against the prior mean of the lead-in slope, moved by x; its SD stays."""
    terms = subject.posterior.design
    own, names = own_prior(terms), terms["term"].to_numpy()
    shifts = SHIFTS * abs(expected_decline(terms))
    return _traced(subject, shifts, [NormalPrior(own.mean + x * (names == "slope"), own.sd) for x in shifts])


def expectation_curve(change: Floats, decline: float) -> pd.DataFrame:
    """Trace Pr(change - b > 0) against s, where b ~ Normal(0, s) is what expectation alone adds to the change.

    `change` are draws of the overall change (draw,). The bias is not in the data: what is left of the claim is its
    average over b.
    """
    from scipy.stats import norm

    s = BIASES * abs(decline)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = change[:, None] / s
    probability = np.where(s > 0, norm.cdf(ratio).mean(axis=0), (change > 0).mean())
    return pd.DataFrame({"x": s, "mean": change.mean(), "prob_positive": probability})


def _traced(subject: Subject, x: Floats, priors: list[NormalPrior]) -> pd.DataFrame:
    own = own_prior(subject.posterior.design)
    rows = []
    for at, prior in zip(x, priors, strict=True):
        found = under(subject.evidence, prior, own)
        mean, _, lower, upper, positive = moments(found.terms @ subject.weights, found.weight)
        numbers = [mean, lower, upper, positive] if found.reliable else [np.nan] * 4
        rows.append([at, *numbers, found.k, found.ess])
    return pd.DataFrame(rows, columns=["x", "mean", "lower", "upper", "prob_positive", "pareto_k", "ess"])


def crossings(x: Floats, probability: Floats, at: float, level: float = HEADLINE) -> tuple[float, float]:
    """Find where a probability first crosses `level` below and above `at`, by straight lines; NaN where it does not.

    Points without a probability end the search.
    """
    return _first(x, probability, at, level, -1), _first(x, probability, at, level, 1)


def _first(x: Floats, probability: Floats, at: float, level: float, direction: int) -> float:
    side = np.flatnonzero(direction * (x - at) >= -1e-12)
    order = side[np.argsort(direction * x[side], kind="stable")]
    for one, other in pairwise(order):
        before, after = probability[one] - level, probability[other] - level
        if not np.isfinite([before, after]).all():
            return float("nan")
        if (before >= 0) != (after >= 0):
            return float(x[one] + (x[other] - x[one]) * before / (before - after))
    return float("nan")


def tipping(curve: pd.DataFrame, at: float, sign: float) -> dict[str, float]:
    """Say of one curve where the headline probability crosses 0.8 on either side of the main analysis, at x = `at`.

    `curve` has columns x and prob_positive, of the change; `sign` is that of the outcome.
    """
    x, probability = curve["x"].to_numpy(), chance_of_better(curve["prob_positive"].to_numpy(), sign)
    known = np.isfinite(probability)
    below, above = crossings(x, probability, at)
    return {
        "at": at,
        "prob_better": float(np.interp(at, x[known], probability[known])) if known.any() else np.nan,
        "tips_below": below,
        "tips_above": above,
        "searched_from": float(x[known].min()) if known.any() else np.nan,
        "searched_to": float(x[known].max()) if known.any() else np.nan,
    }
