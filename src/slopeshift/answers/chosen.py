"""What a design shows of patients whom entry rules chose, by trials simulated and answered without refitting.

The answer of a model that knows the rules is not linear in the values: its natural history has the factor of entry in
its density. Given the spreads it has a mode and a curvature there (`engine.chosen`), in less than a millisecond. So the
trials of a stated truth are drawn, their patients chosen by the rules, and answered as this one is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slopeshift.engine import admitted, linear
from slopeshift.engine.chosen import Entered, mode, mode_near
from slopeshift.engine.draws import flat
from slopeshift.engine.entry import mean_shifts
from slopeshift.engine.exact import with_columns
from slopeshift.engine.terms import terms_from

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

TRIALS = 10
"""Trials that are drawn for every draw of the spreads."""

DRAWS, WORK = 100, 40_000
"""Draws of the spreads: DRAWS, or fewer where draws times patients would be more than WORK."""

SEED = 0
"""Of the simulated trials: the same fit gives the same table."""


class Truth(NamedTuple):
    """What trials are drawn from, by draw: mean course (draw, e), spread between patients (draw, e, e), `bend` (draw,).

    The coefficients are those of `columns` (visit, e) at every visit; `bend` is the SD between trials of that in place
    `bent`.
    """

    columns: Floats
    course: Floats
    spread: Floats
    bend: Floats
    bent: int


class Estimated(NamedTuple):
    """Estimates of trials (draw, trial, functional), posterior SDs (draw, 1, functional), and bends (draw, trial)."""

    mean: Floats
    sd: Floats
    bend: Floats


class Asked(NamedTuple):
    """What is asked: weights of the columns (functional, column), and of the patients whose mean each is.

    `patients` (column, patient) has 0 for a column that is asked of the screened; see `enrolled`.
    """

    functionals: Floats
    patients: Floats


def estimates(posterior: Posterior, place: NDArray[np.intp], asked: Asked, truth: Truth) -> list[Estimated]:
    """Answer this trial, and simulated ones: itself first, then without a bend, then with bends.

    `place` are the draws of the spreads. The fit knows the rules. Posterior SDs are taken at the mode of this trial,
    since among trials they differ by less than 1 %. Raises ValueError where hardly anybody would meet the rules.
    """
    model = _Model.of(posterior, place, asked)
    own = model.moments(posterior.visits.value[None])
    kinds: list[list[tuple[Floats, Floats, Floats]]] = [[], [], []]
    for d in range(len(place)):
        given = _Given.of(model, d, own[0])
        kinds[0].append((given.answer(given.near), given.sd, np.zeros(1)))
        for kind, size in zip(kinds[1:], (0.0, truth.bend[d]), strict=True):
            rng = np.random.default_rng([SEED, d])  # the same patients, with bends and without
            bend = size * rng.standard_normal(TRIALS)
            moments = model.moments(_values(model, d, truth, bend, rng))
            kind.append((given.answers(moments), given.sd, bend))
    return [Estimated(*map(np.array, zip(*kind, strict=True))) for kind in kinds]


def _values(model: _Model, d: int, truth: Truth, bend: Floats, rng: np.random.Generator) -> Floats:
    """Draw the values of trials whose patients met the rules: (trial, visit)."""
    visits = replace(model.visits, basis=truth.columns)
    size, root = (len(bend), len(visits.patients), truth.columns.shape[1]), _root(truth.spread[d])
    mean = np.broadcast_to(truth.course[d], size).copy()
    mean[..., truth.bent] += bend[:, None]
    theta = mean + rng.standard_normal(size) @ root.T
    sigma = np.full(len(bend), model.sigma[d])
    admitted.admit(model.rules, visits, theta, mean, np.broadcast_to(root, (len(bend), *root.shape)), sigma, rng)
    expected = np.einsum("tve,ve->tv", theta[:, visits.patient_index], visits.basis)
    value = expected + sigma[:, None] * rng.standard_normal(expected.shape)
    admitted.admit_values(model.rules, visits, value, expected, sigma, rng)
    return np.asarray(value)


def _root(spread: Floats) -> Floats:
    """Take a root R of a covariance that may be singular: R R' is it."""
    size, vectors = np.linalg.eigh(spread)
    return np.asarray(vectors * np.sqrt(np.maximum(size, 0.0)))


@dataclass(frozen=True, eq=False)
class _Model:
    """A fit's model, to answer values of its design: by draw of loading (draw, p, q) and sigma (draw,).

    `shares` (column, group) are the weights of the patients, by their `groups` of the same rules (group, column).
    """

    visits: Visits
    rules: admitted.Rules
    pooled: Floats
    mean: Floats
    term_sd: Floats
    design: Floats
    touched: NDArray[np.bool_]
    grams: Floats
    loading: Floats
    sigma: Floats
    asked: Asked
    groups: Floats
    shares: Floats

    @classmethod
    def of(cls, posterior: Posterior, place: NDArray[np.intp], asked: Asked) -> _Model:
        known = terms_from(posterior.design, posterior.visits)
        visits, design = with_columns(posterior.visits, known)
        rules = admitted.rules_from(posterior.design)
        assert rules is not None
        loading = flat(posterior.draws["loading"])[place]
        packed = admitted.by_patient(rules, visits, np.zeros(len(design)))
        groups, group = np.unique(packed, axis=0, return_inverse=True)
        shares = np.zeros((len(groups), len(asked.patients)))
        np.add.at(shares, group.ravel(), np.where(rules.judged, asked.patients, 0.0).T)
        return cls(
            visits=visits,
            rules=rules,
            pooled=admitted.pooled(rules, visits, design @ known.mean),
            mean=known.mean,
            term_sd=known.sd,
            design=design,
            touched=admitted.touched(rules, visits, design),
            grams=linear.measured(visits, visits.basis, np.empty((len(visits.value), 0))).grams,
            loading=np.pad(loading, ((0, 0), (0, len(known.covariates)), (0, 0))),
            sigma=flat(posterior.draws["sigma"])[place],
            asked=asked,
            groups=groups,
            shares=np.ascontiguousarray(shares.T),
        )

    def moments(self, values: Floats) -> Floats:
        """Sum the columns times the values, less their prior mean, of each patient: (trial, patient, column)."""
        found = np.zeros((len(self.visits.patients), len(values), self.visits.basis.shape[1]))
        rest = values - self.visits.basis @ (self.design @ self.mean)
        np.add.at(found, self.visits.patient_index, rest.T[..., None] * self.visits.basis[:, None])
        return found.swapaxes(0, 1)


@dataclass(frozen=True, eq=False)
class _Given:
    """The model given one draw of the spreads: how values pull its terms, and where they do so in this trial.

    `near` (m,) is the mode there, and `pull` (m,) what led to it.
    """

    model: _Model
    entered: Entered
    information: Floats
    weight: Floats
    pull: Floats
    near: Floats
    covariance: Floats

    @classmethod
    def of(cls, model: _Model, d: int, own: Floats) -> _Given:
        variance, loading, design = float(model.sigma[d] ** 2), np.ascontiguousarray(model.loading[d]), model.design
        weight = np.linalg.inv(variance * np.eye(len(design)) + model.grams @ (loading @ loading.T))
        information = design.T @ (weight @ model.grams).sum(axis=0) @ design + np.diag(model.term_sd**-2.0)
        entered = Entered(loading, variance, model.pooled, design, model.term_sd, model.touched)
        pull = np.einsum("nab,nb->a", weight, own) @ design
        near, covariance = mode(entered, information, pull)
        return cls(model, entered, information, weight, pull, near, covariance)

    @property
    def sd(self) -> Floats:
        """Posterior SDs of the functionals, in a row: (1, functional)."""
        wanted = self.model.asked.functionals @ self.model.design
        return np.asarray(np.sqrt(np.einsum("fm,mk,fk->f", wanted, self.covariance, wanted))[None])

    def answer(self, moved: Floats) -> Floats:
        """Take the functionals at a mode, of those who met the rules, in a row: (1, functional)."""
        model, entered = self.model, self.entered
        centre = model.design @ (model.mean + moved)
        if model.shares.any():
            one = entered.loading[None], np.array([entered.variance]), centre[None]
            centre = centre + np.diagonal(mean_shifts(*one, model.groups, model.shares)[0])
        return np.asarray((model.asked.functionals @ centre)[None])

    def answers(self, moments: Floats) -> Floats:
        """Answer trials by their `moments` (trial, patient, column): (trial, functional)."""
        pulls = np.einsum("nab,tnb->ta", self.weight, moments, optimize=True) @ self.entered.design
        there = self.near, self.covariance, self.pull
        modes = [mode_near(self.entered, self.information, pull, *there) for pull in pulls]
        return np.concatenate([self.answer(moved) for moved in modes])
