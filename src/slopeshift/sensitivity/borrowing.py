"""How far the answer hangs on the trial's control: the control counted for less, down to nothing.

A robust prior is a mixture: with weight w the control's, with 1 - w a vague one, as if this trial's patients were of
another kind (Schmidli et al. 2014, doi 10.1111/biom.12242). With marginal likelihoods p_c and p_v of the values under
each, the posterior is the mixture of both posteriors in which the control's has the weight

    w p_c / (w p_c + (1 - w) p_v),     p_v / p_c = E[p(y | draw, vague) / p(y | draw, control)]

A power prior counts every patient of the control for a share a: the variance of the control's mean is divided by a,
and what studies differ by stays (Ibrahim and Chen 2000, doi 10.1214/ss/1009212673, with the share fixed).
The vague prior is that which the model has for a trial without control, with ROBUST times its SDs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers.borrowed import prior_taken
from slopeshift.answers.quantities import change
from slopeshift.engine.draws import flat
from slopeshift.model.control import mean_of
from slopeshift.sensitivity import curves
from slopeshift.sensitivity.alternatives import own_prior, without_control
from slopeshift.sensitivity.evidence import NormalPrior, log_evidence, under
from slopeshift.sensitivity.rows import moments
from slopeshift.sensitivity.weighed import OUT_OF_REACH
from slopeshift.trial.roles import chance_of_better

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.sensitivity.evidence import Weighed
    from slopeshift.sensitivity.subject import Subject

    Floats = NDArray[np.float64]

WEIGHTS = (0.0, 0.2, 0.5, 0.8, 1.0)
"""Weights of the control in a robust prior. None of them is right: the table is what is to be looked at."""

POWERS = (0.1, 0.25, 0.5, 1.0)
"""Shares for which the control's patients count."""

ROBUST = 1.5
"""Factor of the vague prior's SDs: of ALSFRS-R, that makes Normal(-1, 0.6) points a month of the slope."""

FINE = np.linspace(0, 1, 201)
"""Weights among which the one is searched at which the claim is lost."""

MIXED, POWER = "robust", "power"
COLUMNS = tuple(
    "outcome model prior share posterior_share mean sd lower upper prob_positive prob_better tips_below pareto_k ess "
    "note".split()
)
"""`share`: weight of the control before the data (robust), or for how much its patients count (power);
`posterior_share`: the weight after the data. mean, sd, lower and upper (95 %) are of what is claimed overall, the
change or the difference of arms, in outcome units a month. `tips_below`: weight before the data below which the
probability of slower worsening crosses 0.8, empty where it does not."""


def borrowing_rows(subject: Subject) -> pd.DataFrame:
    """Look at what is claimed overall under less of the control: the table `borrowing`, a row for each prior and share.

    Where the posterior is too far from a prior to be weighed, its rows have no number and say so. Empty where the trial
    has no control, or the model does not take its prior from it.
    """
    vague = vague_prior(subject)
    if vague is None:
        return pd.DataFrame(columns=list(COLUMNS))
    rows = [*_Mixture(subject, vague).rows(), *(_powered(subject, share) for share in POWERS)]
    sign = subject.posterior.visits.outcome.sign
    table = pd.DataFrame(rows).assign(**subject.posterior.labels)
    return table.assign(prob_better=chance_of_better(table["prob_positive"], sign)).reindex(columns=list(COLUMNS))


def vague_prior(subject: Subject) -> NormalPrior | None:
    """Put in the place of what the control gives what the model has without it, ROBUST times as wide; None without."""
    own = own_prior(subject.posterior.design)
    without = without_control(subject.file, subject.posterior.trial, own)
    if without is None:
        return None
    taken = (without.mean != own.mean) | (without.sd != own.sd)
    return NormalPrior(without.mean, np.where(taken, ROBUST * without.sd, without.sd))


@dataclass(frozen=True, eq=False)
class _Mixture:
    """A robust prior: the control's own, which the subject was sampled under, and a vague one."""

    subject: Subject
    vague: NormalPrior

    @cached_property
    def weighed(self) -> Weighed:
        """Draws under the vague prior alone."""
        return under(self.subject.evidence, self.vague, own_prior(self.subject.posterior.design))

    @cached_property
    def factor(self) -> float:
        """The values' density under the vague prior, over that under the control's; NaN where no draws tell."""
        if not self.weighed.reliable:
            return float("nan")
        evidence, own = self.subject.evidence, own_prior(self.subject.posterior.design)
        return float(np.exp(log_evidence(evidence, self.vague) - log_evidence(evidence, own)).mean())

    @cached_property
    def changes(self) -> tuple[Floats, Floats]:
        """What is claimed overall under the control's prior, and under the vague one: (draw,) each."""
        return flat(change(self.subject.posterior)), self.weighed.terms @ self.subject.weights

    def rows(self) -> list[dict[str, object]]:
        """Sum the posterior up for each of WEIGHTS."""
        controls, vagues = self.changes
        equal = np.full(len(controls), 1 / len(controls))
        both, tips, found = np.concatenate([controls, vagues]), self.tipping(), []
        for weight in WEIGHTS:
            share = float(after_data(np.array(weight), self.factor)) if weight < 1 else 1.0
            known = weight == 1 or self.weighed.reliable
            mixed = np.concatenate([share * equal, (1 - share) * self.weighed.weight])
            k, ess = (-np.inf, float(len(controls))) if weight == 1 else (self.weighed.k, self.weighed.ess)
            row = _row(MIXED, weight, moments(both, mixed) if known else None, k, ess)
            found.append({**row, "posterior_share": share, "tips_below": tips})
        return found

    def tipping(self) -> float:
        """Find the weight before the data below which the claim is lost: see `tipping_weight`."""
        controls, vagues = self.changes
        alone = np.array([(controls > 0).mean(), self.weighed.weight @ (vagues > 0)])
        sign = self.subject.posterior.visits.outcome.sign
        with_control, without = np.asarray(chance_of_better(alone, sign))
        return tipping_weight(float(with_control), float(without), self.factor)


def after_data(weight: Floats, factor: float) -> Floats:
    """Give the weights of the control after the data, for those before; `factor` is p_v / p_c."""
    return np.asarray(weight / (weight + (1 - weight) * factor))


def tipping_weight(with_control: float, without: float, factor: float) -> float:
    """Find the control's weight before the data below which a probability first crosses 0.8, going down from 1.

    The probability is `with_control` under the control's prior alone and `without` under the vague one; NaN where it
    does not cross.
    """
    after = after_data(FINE, factor)
    return curves.crossings(FINE, after * with_control + (1 - after) * without, 1.0)[0]


def _powered(subject: Subject, share: float) -> dict[str, object]:
    """Sum the posterior up with the control's patients counted for a share of themselves."""
    if share == 1:
        own = flat(change(subject.posterior))
        return _row(POWER, share, moments(own, np.full(len(own), 1 / len(own))), -np.inf, float(len(own)))
    found = under(subject.evidence, _less(subject, share), own_prior(subject.posterior.design))
    numbers = moments(found.terms @ subject.weights, found.weight) if found.reliable else None
    return _row(POWER, share, numbers, found.k, found.ess)


def _less(subject: Subject, share: float) -> NormalPrior:
    """Divide the variance of the control's means by a share; between-study SDs stay."""
    posterior, own = subject.posterior, own_prior(subject.posterior.design)
    trial, outcome, sd = posterior.trial, posterior.outcome, own.sd.copy()
    for quantity in ("slope", "curvature"):
        if trial.control is not None and prior_taken(posterior, quantity) is not None:
            error = mean_of(trial, outcome, quantity, curved=posterior.visits.shape.curved).standard_error
            spread = trial.control.spreads(quantity)[outcome]
            sd[posterior.design.indexes["term"].get_loc(quantity)] = np.hypot(error / np.sqrt(share), spread)
    return replace(own, sd=sd)


def _row(prior: str, share: float, numbers: list[float] | None, k: float, ess: float) -> dict[str, object]:
    names = ("mean", "sd", "lower", "upper", "prob_positive")
    note = "" if numbers is not None else OUT_OF_REACH
    values = dict(zip(names, numbers if numbers is not None else [np.nan] * len(names), strict=True))
    return {"prior": prior, "share": share, **values, "pareto_k": k, "ess": ess, "note": note}
