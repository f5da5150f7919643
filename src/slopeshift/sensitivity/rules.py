"""When a sensitivity check fires: rules fixed before any data are seen, each callable on a trial, a model and a fit.

A check that fires says that the answer leans on something that could be otherwise, not that it is wrong; one that is
silent says only that it saw nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.answers import quantities
from slopeshift.answers.interval import MOVED_SDS, MOVED_Z
from slopeshift.checks.rules import FIRES, Rule
from slopeshift.design.cycles import OVERALL
from slopeshift.missing.leaving import leaving
from slopeshift.missing.survivors import WARNED, survivors
from slopeshift.sensitivity import curves, variations
from slopeshift.sensitivity.refits import Variation, fitted
from slopeshift.sensitivity.rows import labelled
from slopeshift.sensitivity.weighed import bend_evidence
from slopeshift.trial.roles import chance_of_better, improvement

if TYPE_CHECKING:
    import pandas as pd

    from slopeshift.fit.compiled import Compiled
    from slopeshift.sensitivity.subject import Subject

INFLUENTIAL_SDS = 1.0
"""Posterior SDs by which leaving one patient out moves the overall change of a trial that hangs on one patient."""

TEN_TIMES = 10.0
"""Ratio of densities of the data from which a bend is taken to be there at all."""

FRAGILE_DELTA = 0.25
"""Share of the decline: where those who left need to decline faster by no more than this to undo the claim."""

FRAGILE_PRIOR = 0.5
"""Share of the prior's SD: where a prior no narrower than this undoes the claim."""


def moved(check: str, main: pd.DataFrame, other: pd.DataFrame) -> Rule:
    """Fire where an analysis of part of the data has moved the overall change, by size and beyond chance.

    The estimate from part of the data differs from that of all of them with variance sd_part^2 - sd_all^2 (Hausman
    1978, Econometrica 46:1251-1271, doi 10.2307/1913827). `value` is the smaller of both criteria, as a share of its
    limit: it fires above 1. Both tables have a row `overall`.
    """
    one, part = (table.set_index("injection").loc[OVERALL] for table in (main, other))
    distance, extra = abs(part["mean"] - one["mean"]), part["sd"] ** 2 - one["sd"] ** 2
    by_size, by_chance = distance / (MOVED_SDS * one["sd"]), distance / (MOVED_Z * np.sqrt(max(extra, 1e-12)))
    value = float(min(by_size, by_chance))
    return Rule(check, value, 1.0, value > 1.0)


def influential(differences: pd.Series[float]) -> Rule:
    """Fire where leaving any one patient out moves the overall change by more than INFLUENTIAL_SDS posterior SDs."""
    value = float(differences.abs().max())
    return Rule(variations.ONE_LEFT_OUT, value, INFLUENTIAL_SDS, value > INFLUENTIAL_SDS)


def boundary_visit(subject: Subject, compiled: Compiled) -> Rule:
    """Refit without the values on injection days, and fire by the rule of `moved`."""
    refits, _ = variations.subsets(subject)
    chosen = [each for each in refits if each.analysis == variations.BOUNDARY]
    if not chosen:
        return Rule(variations.BOUNDARY, float("nan"), 1.0, False)
    return moved(variations.BOUNDARY, subject.main, _fit(subject, compiled, chosen[0]))


def leave_one_out_influence(subject: Subject, compiled: Compiled) -> Rule:
    """Refit without each patient in turn, and fire by the rule of `influential`."""
    import pandas as pd

    refits, _ = variations.subsets(subject)
    main = subject.main.set_index("injection").loc[OVERALL]
    means = [
        _fit(subject, compiled, each).set_index("injection").loc[OVERALL, "mean"]
        for each in refits
        if each.analysis == variations.ONE_LEFT_OUT
    ]
    return influential((pd.Series(means, dtype=float) - main["mean"]) / main["sd"])


def _fit(subject: Subject, compiled: Compiled, variation: Variation) -> pd.DataFrame:
    return labelled(fitted(compiled, subject.posterior.trial, variation, subject.seed))


def curvature(subject: Subject) -> Rule:
    """Fire where a bend of all courses explains the values better than changes do, and ten times better than neither.

    `value` is the smaller of log(p(y | bend, no change) / p(y | change, no bend)) and
    log(p(y | bend, no change) / p(y | neither)) - log 10, each from the weights of the draws (`weighed.bend_evidence`);
    it fires above 0. NaN where the weights cannot be relied on.
    """
    than_change, than_neither = bend_evidence(subject)
    value = min(than_change, than_neither - np.log(TEN_TIMES))
    return Rule("courses that bend by themselves", float(value), 0.0, bool(value > 0))


def survivor(subject: Subject) -> Rule:
    """Fire where those who reached a later cycle had declined more slowly before treatment (`missing.survivors`)."""
    table = survivors(subject.posterior)
    slopes = table.loc[table["quantity"] == "lead_in_slope", "prob_higher"]
    flatter = chance_of_better(slopes, subject.posterior.visits.outcome.sign)
    value = float(flatter.max()) if len(flatter) else float("nan")
    return Rule("survivors in later cycles", value, WARNED, bool(value > WARNED))


def leavers(subject: Subject) -> Rule:
    """Fire where those who were declining fast left earlier (`missing.leaving`): `value` is its probability."""
    found = leaving(subject.posterior)
    return Rule("leaving by the rate of decline", found.probability, FIRES, found.fires)


def prior_tipping(subject: Subject) -> Rule:
    """Fire where a claim (probability of 0.8) is lost under a prior of at least half the model's own SD.

    `value` is the SD at which it is lost, as a share of the model's own; 0 where it is not lost, NaN without a claim.
    """
    check = "claim lost under a narrower prior"
    curve = curves.prior_sd_curve(subject)
    at = float(curve["x"].iloc[int(np.argmin(np.abs(curves.FACTORS - 1)))])
    point = curves.tipping(curve, at, subject.posterior.visits.outcome.sign)
    if not point["prob_better"] >= curves.HEADLINE:
        return Rule(check, float("nan"), FRAGILE_PRIOR, False)
    value = 0.0 if np.isnan(point["tips_below"]) else point["tips_below"] / at
    return Rule(check, value, FRAGILE_PRIOR, value >= FRAGILE_PRIOR)


def dropout_tipping(subject: Subject, compiled: Compiled) -> Rule:
    """Fire where a claim is lost once those who left decline faster by a quarter of the decline, or by less.

    `value` is the probability overall at that delta; it fires below 0.8. NaN without a claim, or where nobody left.
    """
    check = "claim lost if those who left did worse"
    sign = subject.posterior.visits.outcome.sign
    claimed = float((improvement(quantities.change(subject.posterior), sign) > 0).mean()) >= curves.HEADLINE
    refits, _ = variations.after_leaving(subject)
    if not (claimed and refits):
        return Rule(check, float("nan"), curves.HEADLINE, False)
    which = variations.DELTAS.index(FRAGILE_DELTA)
    table = _fit(subject, compiled, refits[which])
    value = chance_of_better(float(table.set_index("injection").loc[OVERALL, "prob_positive"]), sign)
    return Rule(check, value, curves.HEADLINE, value < curves.HEADLINE)
