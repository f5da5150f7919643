"""The test that randomisation itself gives: how often arms drawn anew differ as much as the trial's did.

Where the treatment does nothing to anybody, values, visits and times of injections are what they are whatever a
patient's arm, and every allocation within the strata was as likely as the trial's. The p value is the share of
allocations, the trial's among them, whose statistic is at least as far from that of the others' mean: exact, whatever
courses do, how patients were chosen, or how the scale ends. The statistic is the posterior mean of the difference at
fixed spreads, which is linear in the values: with M_i and h_i of a patient (see `engine.kernel`), D_i its columns of
all terms but the effect, E those of the effect and A_i = 1 of the treated,

    Q = sum_i [D_i, A_i E]' M_i [D_i, A_i E] + C^-1,     statistic = v' Q^-1 sum_i [D_i, A_i E]' h_i
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import arms
from slopeshift.answers.operating import in_closed_form
from slopeshift.design.arms import LATE, is_effect
from slopeshift.design.visits import patient_sums
from slopeshift.engine.draws import flat
from slopeshift.trial.arms import PATIENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

ALLOCATIONS = 10_000
BLOCK = 500
"""Allocations that are evaluated at a time."""

COLUMNS = ("statistic", "mean_of_allocations", "sd_of_allocations", "p", "allocations")


def table(posterior: Posterior, allocations: int = ALLOCATIONS, seed: int = 0) -> pd.DataFrame:
    """Test the difference of two randomised arms: a row, as COLUMNS; statistics in outcome units a month.

    Empty where patients were not randomised, or the model is not linear in the values given the spreads; and where
    patients of the control go over, since what they would have been given in the other arm is not known.
    """
    stated, over = posterior.trial.arms, LATE in posterior.design.indexes.get("covariate", ())
    randomised = stated is not None and stated.randomised and stated.unit == PATIENT and not over
    if not (randomised and arms.compares(posterior.design) and in_closed_form(posterior)):
        return pd.DataFrame(columns=list(COLUMNS))
    tested = _Tested(posterior)
    rng = np.random.default_rng(seed)
    drawn = tested.arm[np.stack([_within(tested.strata, rng) for _ in range(allocations)])]
    found = tested.statistics(tested.arm[None])[0]
    others = np.concatenate([tested.statistics(drawn[at : at + BLOCK]) for at in range(0, allocations, BLOCK)])
    as_far = np.abs(others - others.mean()) >= np.abs(found - others.mean()) - 1e-12
    p = (1 + as_far.sum()) / (1 + allocations)
    return pd.DataFrame([(found, others.mean(), others.std(), p, allocations)], columns=list(COLUMNS))


def _within(strata: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw an order of patients that leaves everybody in their stratum: (patient,)."""
    order = np.arange(len(strata))
    for stratum in np.unique(strata):
        places = np.flatnonzero(strata == stratum)
        order[places] = rng.permutation(places)
    return order


class _Tested:
    """What the statistic of any allocation is made of: sums over patients, at the means of the spreads."""

    def __init__(self, posterior: Posterior) -> None:
        from slopeshift.engine.terms import terms_from

        trial, visits, design = posterior.trial, posterior.visits, posterior.design
        assert trial.arms is not None
        about = trial.patients.set_index("patient").reindex(list(visits.patients))
        self.arm = (about["arm"] != trial.arms.control).to_numpy(float)
        self.strata = about.groupby(list(trial.arms.strata)).ngroup().to_numpy() if trial.arms.strata else 0 * self.arm
        known, number = terms_from(design, visits), len(visits.patients)
        self.is_effect = np.array([is_effect(name) for name in known.names])
        shift = np.zeros((number, len(visits.coefficients), len(known.names)))
        shift[:] = known.design
        first = len(known.names) - len(known.covariates)
        shift[..., first:] += known.shift.transpose(1, 2, 0)
        self.rest = shift[..., ~self.is_effect]
        self.effect = np.abs(known.shift[self.is_effect[first:]]).max(axis=1).T
        self.precision = known.sd**-2.0
        loading = flat(posterior.draws["loading"]).mean(axis=0)
        variance = float((flat(posterior.draws["sigma"]) ** 2).mean())
        grams, moments, *_ = patient_sums(visits.basis, visits.value, visits.patient_index, number)
        centred = moments - np.einsum("ipq,iqm,m->ip", grams, self.rest, known.mean[~self.is_effect])
        spread = loading @ loading.T
        gain = np.linalg.inv(variance * np.eye(len(spread)) + grams @ spread)
        self.info, self.score = gain @ grams, np.einsum("ipq,iq->ip", gain, centred)
        self.informed = (design["visits_in_cycle"] > 0).transpose("patient", "injection").to_numpy().astype(float)

    def statistics(self, arm: Floats) -> Floats:
        """Take the posterior mean of the overall difference for allocations (allocation, patient): (allocation,)."""
        number, e = len(arm), self.effect
        inside = np.einsum("iam,iab,ibn->mn", self.rest, self.info, self.rest)
        cross = np.einsum("di,iam,iab,bk->dmk", arm, self.rest, self.info, e, optimize=True)
        own = np.einsum("di,ak,iab,bl->dkl", arm, e, self.info, e, optimize=True)
        m = inside.shape[0]
        whole = np.empty((number, m + e.shape[1], m + e.shape[1]))
        whole[:, :m, :m] = inside
        whole[:, :m, m:], whole[:, m:, :m] = cross, cross.transpose(0, 2, 1)
        whole[:, m:, m:] = own
        precision = np.concatenate([self.precision[~self.is_effect], self.precision[self.is_effect]])
        whole += np.diag(precision)
        right = np.concatenate(
            [
                np.tile(np.einsum("iam,ia->m", self.rest, self.score), (number, 1)),
                np.einsum("di,ak,ia->dk", arm, e, self.score, optimize=True),
            ],
            axis=1,
        )
        weight = (arm @ self.informed) * ((1 - arm) @ self.informed > 0)
        # Where an allocation leaves no cycle that both arms inform, its difference is the common effect.
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1.0)
        share = np.concatenate([np.ones((number, 1)), weight], axis=1)
        found: Floats = (np.linalg.solve(whole, right[..., None])[:, m:, 0] * share).sum(axis=1)
        return found
