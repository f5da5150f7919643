"""The analyses that need no new sampling: other priors, a bend, expectation bias, and the curves to a tipping point."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import quantities
from slopeshift.answers.convergence import ESS_MIN
from slopeshift.answers.weights import LARGEST_K, smoothed
from slopeshift.design.entry import known_to
from slopeshift.engine.draws import flat
from slopeshift.fit.posterior import SAMPLES
from slopeshift.sensitivity import curves
from slopeshift.sensitivity.alternatives import (
    QUARTER,
    alternatives,
    expected_decline,
    is_change,
    log_ratio_of,
    overall_sd,
    own_prior,
)
from slopeshift.sensitivity.evidence import NormalPrior, evidence_of, log_evidence, under
from slopeshift.sensitivity.rows import labelled, moments, of_weighed, refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior
    from slopeshift.sensitivity.alternatives import Alternative
    from slopeshift.sensitivity.evidence import Evidence
    from slopeshift.sensitivity.subject import Subject

    Floats = NDArray[np.float64]

BENT = "courses may bend alike"
CURVATURE_SD = 0.02
"""Prior SD of a common curvature, as a share of the decline that the prior expects, per month: a course that falls by
one point a month bends, over a year, by a quarter of its slope."""

HELD = 1e-5
"""Share of a prior's SD that holds a term at its mean."""

OUT_OF_REACH = "the posterior is too far from this prior to be weighed: edit the prior in the model file, and fit that"
CHOSEN = "entry rules act on a bend too: take a model with curved courses"
BIASES = (0.1, QUARTER, 0.5)
"""SDs of the expectation bias that get a row, as shares of the decline that the prior expects."""


def prior_rows(subject: Subject) -> pd.DataFrame:
    """Look at the changes under every other prior: the rows of the sensitivity table."""
    listed = alternatives(subject.file, subject.posterior, subject.weights)
    return pd.concat([_under(subject, each) for each in listed], ignore_index=True)


def _under(subject: Subject, other: Alternative) -> pd.DataFrame:
    labels = {"analysis": other.analysis, "detail": other.detail, **subject.posterior.labels, **subject.counts}
    ratio = log_ratio_of(subject.model, subject.posterior, other.scaled)
    found = under(subject.evidence, other.prior, own_prior(subject.posterior.design), ratio)
    if not found.reliable:
        return refused(OUT_OF_REACH, pareto_k=found.k, ess=found.ess, **labels)
    table = of_weighed(population_from(subject, found.terms), found.weight)
    return labelled(table, pareto_k=found.k, ess=found.ess, **labels)


def population_from(subject: Subject, terms: Floats) -> Posterior:
    """Put the population that terms (draw, term) make in the place of the subject's draws; patients have none."""
    sizes, design = subject.posterior.draws.sizes, subject.posterior.design
    values = terms @ design["term_design"].transpose("term", "coefficient").to_numpy()
    values = values.reshape(sizes["chain"], sizes["draw"], -1)
    found = subject.posterior.draws[["loading", "sigma"]].assign(population=((*SAMPLES, "coefficient"), values))
    if number := design.sizes.get("covariate", 0):
        regression = terms[:, len(terms[0]) - number :].reshape(sizes["chain"], sizes["draw"], -1)
        found = found.assign_coords(covariate=design["covariate"].to_numpy())
        found["regression"] = (*SAMPLES, "covariate"), regression
    return subject.posterior.with_draws(found)


def bent(subject: Subject) -> tuple[float, pd.DataFrame | None]:
    """Let all patients' courses bend by a common curvature with the prior Normal(0, CURVATURE_SD x decline).

    A term of the population with the column month^2 / 2 is added to a straight model, and the draws are weighed.
    Returns the probability that courses bend upwards, and the changes from what the slope would then be; NaN and None
    where the weights cannot be relied on, or entry rules act on the bend, whose effect is then not known here.
    """
    if known_to(subject.posterior.design):
        return float("nan"), None
    found = under(_with_bend(subject), _bending(subject, bend=True), _bending(subject, bend=False))
    if not found.reliable:
        return float("nan"), None
    table = of_weighed(population_from(subject, found.terms[:, :-1]), found.weight)
    return float(found.weight @ (found.terms[:, -1] > 0)), table.assign(pareto_k=found.k, ess=found.ess)


def bend_evidence(subject: Subject) -> tuple[float, float]:
    """Compare a common bend without any change with changes without a bend, and with neither.

    The bend is that of `bent`, or of a curved model its mean curvature under its own prior. Returns the
    logs of two ratios of densities of the data (Bayes factors), each the logarithm of the mean, over the draws, of the
    ratio given the draw; NaN where a mean hangs on few draws, or entry rules act on a bend that the model has not.
    """
    if known_to(subject.posterior.design) and not curved(subject):
        return float("nan"), float("nan")
    evidence = subject.evidence if curved(subject) else _with_bend(subject)
    own = log_evidence(evidence, _bending(subject, bend=False))
    alone = log_evidence(evidence, _bending(subject, bend=True, change=False)) - own
    neither = log_evidence(evidence, _bending(subject, bend=False, change=False)) - own
    bend, nothing = _log_mean(alone), _log_mean(neither)
    return bend, bend - nothing


def _log_mean(log_ratio: Floats) -> float:
    weight, k = smoothed(log_ratio)
    if not (k < LARGEST_K and 1 / (weight**2).sum() >= ESS_MIN):
        return float("nan")
    return float(np.logaddexp.reduce(log_ratio) - np.log(len(log_ratio)))


def curved(subject: Subject) -> bool:
    """Say whether the model's own natural history has a curvature."""
    return subject.file.shape.curved


@cache
def _with_bend(subject: Subject) -> Evidence:
    bend = subject.posterior.visits.month[:, None] ** 2 / 2
    return evidence_of(subject.posterior, subject.seed, extra=bend)


def _bending(subject: Subject, *, bend: bool, change: bool = True) -> NormalPrior:
    """The model's own prior with a curvature, or with changes, let free or held at zero."""
    own, sd = own_prior(subject.posterior.design), CURVATURE_SD * abs(expected_decline(subject.posterior.design))
    sds = own.sd if change else np.where(is_change(subject.posterior.design), HELD * own.sd, own.sd)
    if curved(subject):
        bends = subject.posterior.design["term"].to_numpy() == "curvature"
        return NormalPrior(own.mean, sds if bend else np.where(bends, HELD * sds, sds))
    return NormalPrior(np.append(own.mean, 0.0), np.append(sds, sd if bend else HELD * sd))


def bent_rows(subject: Subject) -> pd.DataFrame:
    """Make the rows of the sensitivity table in which the natural history of a straight model may have a curvature."""
    upwards, table = bent(subject)
    sd = CURVATURE_SD * abs(expected_decline(subject.posterior.design))
    detail = f"one curvature for all, Normal(0, {sd:.2g}) {subject.posterior.rate} a month"
    labels = {"analysis": BENT, "detail": detail, **subject.posterior.labels, **subject.counts}
    if table is None:
        return refused(CHOSEN if known_to(subject.posterior.design) else OUT_OF_REACH, **labels)
    return labelled(table, note=f"probability that courses bend upwards {upwards:.2f}", **labels)


def bias_rows(subject: Subject) -> pd.DataFrame:
    """Take an expectation bias b ~ Normal(0, s) off the change of every injection, for a few s."""
    changes = subject.main
    tables = []
    for share in BIASES:
        s = share * abs(expected_decline(subject.posterior.design))
        rows = [_less_bias(subject, str(injection), s) for injection in changes["injection"]]
        tables.append(
            labelled(
                pd.DataFrame(rows, columns=["injection", "mean", "sd", "lower", "upper", "prob_positive"]),
                analysis="expectation bias",
                detail=f"change less b, b ~ Normal(0, {s:.3g}) {subject.posterior.rate}",
                **subject.posterior.labels,
                **subject.counts,
            )
        )
    return pd.concat(tables, ignore_index=True)


def _less_bias(subject: Subject, injection: str, s: float) -> list[object]:
    change = flat(quantities.change(subject.posterior, injection))
    bias = s * np.random.default_rng([subject.seed, 15]).standard_normal(len(change))
    return [injection, *moments(change - bias, np.full(len(change), 1 / len(change)))]


def curve_tables(subject: Subject) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trace the headline probability against each assumption, and find where it crosses 0.8: curves and tipping."""
    decline = expected_decline(subject.posterior.design)
    own = own_prior(subject.posterior.design)
    sign = subject.posterior.visits.outcome.sign
    traced = {
        curves.PRIOR_SD: (curves.prior_sd_curve(subject), overall_sd(own, subject.weights)),
        curves.NATURAL_HISTORY: (curves.natural_history_curve(subject), 0.0),
        curves.EXPECTATION: (curves.expectation_curve(flat(quantities.change(subject.posterior)), decline), 0.0),
    }
    labels, unit = subject.posterior.labels, subject.posterior.rate
    lines = [curve.assign(kind=kind, **labels) for kind, (curve, _) in traced.items()]
    points = [
        {**curves.tipping(curve, at, sign), "kind": kind, "unit": unit, **labels}
        for kind, (curve, at) in traced.items()
    ]
    return (
        pd.concat(lines, ignore_index=True).reindex(columns=curves.CURVE),
        pd.DataFrame(points).reindex(columns=curves.TIPPING),
    )
