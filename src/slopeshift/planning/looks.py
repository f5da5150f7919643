"""Looks during a trial: when it stops, for a claim or for futility, how large it then is, and how often it errs.

The estimates at all looks are one linear function of the values, so that they are jointly normal given the spreads
(the canonical joint distribution of group sequential trials, Jennison and Turnbull 1999, chapter 3, but with the prior
and the patients of a hierarchical model). Trials are drawn from it and led through the rules: stopping probabilities
are simulated, without refitting anything. The predictive probability of a claim at the end is, given what is seen,

    PP = Phi((m_l - margin - z s_L) / sqrt(s_l^2 - s_L^2)),

as the posterior mean at the end is Normal(m_l, s_l^2 - s_L^2) by the model (Spiegelhalter, Freedman and Blackburn
1986).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.planning.closed_form import columns_of, course_of
from slopeshift.planning.plan import Rule
from slopeshift.planning.schedule import layout, one_by_one
from slopeshift.planning.tables import z_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.engine.linear import Answer
    from slopeshift.planning.closed_form import Columns, Model
    from slopeshift.planning.plan import Design, Looks, Scenario
    from slopeshift.planning.spreads import Spreads
    from slopeshift.planning.tables import Study

    Floats = NDArray[np.float64]

DRAWS = 20
"""Draws of the spreads that are averaged over: looks need the covariance of every patient at every look."""


@dataclass(frozen=True, eq=False)
class Sequence:
    """The looks of one design by one model, the last of which is the end.

    `months` (look,) count from the first injection of all, `enrolled` (look,) the patients injected by then. `answers`
    are those of `overall` at each look, `columns` those of the design.
    """

    months: Floats
    enrolled: NDArray[np.intp]
    answers: tuple[Answer, ...]
    columns: Columns
    spreads: Spreads

    @property
    def posterior_sd(self) -> Floats:
        """Posterior SD at each look: (draw, look)."""
        return np.stack([answer.sd[:, 0] for answer in self.answers], axis=1)

    def joint(self, scenario: Scenario) -> tuple[Floats, Floats]:
        """Give mean (draw, look) and covariance (draw, look, look) of the estimates over trials of a scenario.

        Values seen at a look are among those of the next, so that two looks share the residuals of the earlier one.
        """
        course = course_of(scenario, self.spreads, self.columns.spread.shape[1])
        moved = [np.einsum("dip,ipe->die", a.gain[:, 0], a.design.cross) for a in self.answers]
        mean = np.stack(
            [a.constant[:, 0] + np.einsum("die,de->d", m, course) for a, m in zip(self.answers, moved, strict=True)],
            axis=1,
        )
        number = len(self.answers)
        covariance = np.empty((len(self.spreads), number, number))
        for i in range(number):
            for j in range(i + 1):
                between = np.einsum("die,deg,dig->d", moved[i], self.columns.spread, moved[j], optimize=True)
                earlier = self.answers[j].design.grams
                gains = self.answers[i].gain[:, 0], self.answers[j].gain[:, 0]
                within = np.einsum("dip,ipq,diq->d", gains[0], earlier, gains[1], optimize=True)
                bends = [m[..., 2].sum(axis=1) * scenario.bend_sd for m in (moved[i], moved[j])]
                value = between + self.spreads.sigma**2 * within + bends[0] * bends[1]
                covariance[:, i, j] = covariance[:, j, i] = value
        return mean, covariance


def sequence(design: Design, model: Model, spreads: Spreads, looks: Looks, seed: int) -> Sequence:
    """Lay out what is seen at every look, and at the end: patients come in a random order, at a steady rate."""
    order = np.random.default_rng([seed, 3]).permutation(design.patients)
    planned = one_by_one(layout(design, model.outcome), order)
    columns = columns_of(planned, model, spreads)
    start = np.arange(design.patients) / looks.recruitment
    visits = planned.visits
    calendar = start[visits.patient_index] + visits.month
    end = float(calendar.max())
    months = np.array([*(month for month in looks.months if month < end), end])
    begun = [start[visits.patient_index] <= month for month in months]
    seen = [(calendar <= month) & some for month, some in zip(months, begun, strict=True)]
    answers = tuple(columns.answer(columns.measured(planned, each), spreads) for each in seen)
    enrolled = np.array([(start <= month).sum() for month in months])
    return Sequence(months, enrolled, answers, columns, spreads)


def stopped(
    mean: Floats, covariance: Floats, sd: Floats, rules: tuple[Rule, ...], futility: float, trials: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Draw trials and lead them through their looks: the look at which each ends, from 0, and whether with a claim.

    `mean` and `sd`, the posterior SD, are (draw, look), `covariance` (draw, look, look); there is a rule for each look,
    the last for the end. Draws take turns. Raises ValueError where rules and looks differ in number.
    """
    from scipy.special import ndtr

    if len(rules) != mean.shape[1]:
        raise ValueError(f"{len(rules)} rules for {mean.shape[1]} looks; give one for each, the end included")
    rng, draw = np.random.default_rng([seed, 4]), np.arange(trials) % len(mean)
    root = np.linalg.cholesky(covariance + 1e-14 * np.eye(mean.shape[1]))
    found = mean[draw] + np.einsum("tij,tj->ti", root[draw], rng.standard_normal((trials, mean.shape[1])))
    ends, claims = np.full(trials, mean.shape[1] - 1), np.zeros(trials, dtype=bool)
    going = np.ones(trials, dtype=bool)
    last = sd[draw, -1]
    for look, rule in enumerate(rules):
        at = sd[draw, look]
        claimed = going & (found[:, look] > rule.margin + z_of(rule) * at)
        futile = np.zeros(trials, dtype=bool)
        if look < len(rules) - 1 and futility > 0:
            left = np.sqrt(np.maximum(at**2 - last**2, 1e-300))
            predicted = ndtr((found[:, look] - rules[-1].margin - z_of(rules[-1]) * last) / left)
            futile = going & ~claimed & (predicted < futility)
        ends[claimed | futile], claims[claimed] = look, True
        going &= ~(claimed | futile)
    return ends, claims


def table(study: Study) -> pd.DataFrame:
    """Say for every design, model, rule and scenario what its looks do: a row per look, the end included.

    Columns: `month` and `enrolled` at the look, its `probability`; the shares of trials that end there, with a `claim`
    or `without`, before the end for futility; and of the whole: `claims` with its Monte Carlo standard error
    `mc_error`, `claims_without` of the end alone, `expected_patients` and `expected_months`. Empty without looks. Looks
    after the end are left out.
    """
    looks, rows = study.plan.looks, []
    if looks is None:
        return pd.DataFrame()
    of = study.spreads.first(DRAWS)
    for place, design in enumerate(study.plan.designs, start=1):
        for model in study.models:
            seen = sequence(design, model, of, looks, study.plan.seed)
            for rule in study.plan.rules:
                for scenario in study.plan.scenarios:
                    labels = {"design": place, "patients": design.patients, "model": model.name}
                    labels |= {"scenario": scenario.name, "expected": scenario.expected}
                    rows += [labels | each for each in _of_scenario(seen, looks, rule, scenario, study.plan.seed)]
    return pd.DataFrame(rows)


def _of_scenario(seen: Sequence, looks: Looks, end: Rule, scenario: Scenario, seed: int) -> list[dict[str, Any]]:
    used = len(seen.months) - 1
    rules = (*(Rule(probability, end.margin) for probability in looks.probability[:used]), end)
    mean, covariance = seen.joint(scenario)
    trials = looks.replicates
    ends, claims = stopped(mean, covariance, seen.posterior_sd, rules, looks.futility, trials, seed)
    _, alone = stopped(mean[:, -1:], covariance[:, -1:, -1:], seen.posterior_sd[:, -1:], (end,), 0.0, trials, seed)
    share = claims.mean()
    whole = {
        **{"claims": share, "mc_error": float(np.sqrt(max(share * (1 - share), 1 / trials) / trials))},
        **{"claims_without": alone.mean(), "expected_patients": seen.enrolled[ends].mean()},
        "expected_months": seen.months[ends].mean(),
    }
    return [
        {
            **{"look": look + 1, "month": seen.months[look], "enrolled": int(seen.enrolled[look])},
            **{"probability": rule.probability, "margin": rule.margin},
            **{"claim": (claims & (ends == look)).mean(), "without": (~claims & (ends == look)).mean(), **whole},
        }
        for look, rule in enumerate(rules)
    ]
