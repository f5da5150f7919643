"""How much of a fit is borrowed from the trial's control, and whether the trial contradicts it.

The control gives the population's slope before treatment, and its curvature, a normal prior Normal(m, v). With
posterior mean b and variance w, what the trial alone says of either has, as for normal means,

    precision 1/w - 1/v,     estimate (b/w - m/v) / (1/w - 1/v),     share of the prior in what is known w/v

The distance of the estimate from m, over its SD under the prior, is Box's check (Evans and Moshonov 2006, doi
10.1214/06-BA129). The prior is worth (1/v) / i patients of this design, i being what an average one of them tells: the
effective sample size of Neuenschwander et al. 2020 (doi 10.1111/biom.13252) for a normal prior.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.engine.draws import evenly, flat
from slopeshift.engine.terms import CORRELATED
from slopeshift.fit.posterior import NORMAL
from slopeshift.model.control import from_control
from slopeshift.model.priors import Normal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

COLUMNS = (
    *("quantity", "prior_mean", "prior_sd", "estimate", "standard_error", "conflict", "conflict_probability"),
    *("share_of_prior", "patients", "effective_patients"),
)
LEAST_LEARNT = 0.1
"""Share of the prior's variance that the trial must have taken away: below it, Monte Carlo error passes for data."""

DRAWS, WORK = 200, 40_000
"""Draws that are averaged over: DRAWS, or fewer where draws times patients would be more than WORK."""


def table(posterior: Posterior) -> pd.DataFrame:
    """Say of the slope, and of the curvature, how much is borrowed: a row for each that the control gives, as COLUMNS.

    In outcome units a month, or those per month: `estimate` and `standard_error` of the trial without the prior,
    `conflict` their distance in SDs and its two-sided probability under the prior, NaN where the trial took away less
    than LEAST_LEARNT of the prior's variance. `share_of_prior` is of the precision; `effective_patients` is what the
    prior is worth in patients like these `patients`, NaN where residuals are not normal and independent. Empty without
    a control, or where the model does not take its prior from it.
    """
    rows = []
    for quantity in ("slope", "curvature"):
        prior = prior_taken(posterior, quantity)
        if prior is None:
            continue
        patients = len(np.unique(posterior.visits.patient_index))
        worth = prior.sd**-2.0 / (_information(posterior, quantity) / patients)
        rows.append((quantity, prior.mean, prior.sd, *_beside(posterior, quantity, prior), patients, worth))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def prior_taken(posterior: Posterior, quantity: str) -> Normal | None:
    """Take the prior of `slope` or `curvature` that the control gave a fit's model: None where it did not."""
    control, design = posterior.trial.control, posterior.design
    if control is None or posterior.outcome not in control.spreads(quantity):
        return None
    if "term_mean" not in design or quantity not in design.indexes["term"]:
        return None
    curved = posterior.visits.shape.curved
    prior = from_control(posterior.trial, posterior.outcome, Normal(0, 1), quantity, curved=curved)
    stated = [float(design[f"term_{part}"].sel(term=quantity)) for part in ("mean", "sd")]
    return prior if np.allclose(stated, (prior.mean, prior.sd), rtol=1e-9, atol=0) else None


def _beside(posterior: Posterior, quantity: str, prior: Normal) -> tuple[float, float, float, float, float]:
    """Give estimate and standard error without the prior, the conflict, its probability, and the share of the prior."""
    from scipy.stats import norm

    draws = posterior.draws["population"].sel(coefficient=quantity)
    mean, share = float(draws.mean()), float(draws.var()) / prior.sd**2
    learnt = 1 - share
    if not learnt >= LEAST_LEARNT:
        return np.nan, np.nan, np.nan, np.nan, min(share, 1.0)
    moved = (mean - prior.mean) / prior.sd
    z = float(conflict(np.array(moved), np.array(learnt)))
    error = prior.sd * float(np.sqrt(share / learnt))
    return prior.mean + moved * prior.sd / learnt, error, z, float(2 * norm.sf(abs(z))), share


def conflict(moved: Floats, contraction: Floats) -> Floats:
    """Say how far the prior mean lies from what the data alone say, in SDs of what the prior expects of that distance.

    That is Box's check of the prior for a normal mean (Evans and Moshonov 2006, doi 10.1214/06-BA129). With prior
    variance v and posterior variance w, the data's estimate differs from the prior mean with variance v^2 / (v - w),
    and the posterior mean with v - w: the ratio is moved / sqrt(contraction). NaN where nothing was learnt.
    """
    learnt = np.where(contraction > 0, contraction, np.nan)
    return np.asarray(moved / np.sqrt(learnt))


def _information(posterior: Posterior, quantity: str) -> float:
    """Average over draws of the spreads what the values tell of a term, the others known as their priors have them."""
    from slopeshift.engine import linear
    from slopeshift.engine.exact import widened
    from slopeshift.engine.terms import terms_from

    design, visits = posterior.design, posterior.visits
    if CORRELATED in design or posterior.family not in (None, NORMAL):
        return float("nan")
    basis, picked = widened(visits, design)
    known = terms_from(design, visits)
    place = evenly(posterior.draws, max(min(DRAWS, WORK // len(visits.patients)), 1))
    loading = np.pad(flat(posterior.draws["loading"])[place], ((0, 0), (0, len(known.covariates)), (0, 0)))
    measured = linear.measured(visits, basis, np.empty((len(basis), 0)))
    wanted = (design.indexes["coefficient"] == quantity).astype(float)
    wanted = np.pad(wanted, (0, len(picked) - len(wanted)))[None]
    terms = (known.mean, known.sd, picked)
    found = linear.answer(measured, loading, flat(posterior.draws["sigma"])[place], terms, wanted)
    return float((found.sd[:, 0] ** -2.0).mean() - known.sd[known.names.index(quantity)] ** -2.0)
