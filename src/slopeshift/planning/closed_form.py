"""What a design shows, in closed form: estimates of the change, of a coefficient on the interval, and on the dose.

Given the spreads, the posterior mean is linear in the values and its SD does not depend on them (see `engine.linear`),
so that all shares of claims are known without simulation. Spreads are taken as known to the analysis; those of the
truth and of the analysis are the same draw. Residuals are normal and nobody leaves but as planned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.answers.estimates import Estimates
from slopeshift.design.arms import EFFECT
from slopeshift.design.shape import PLAIN
from slopeshift.engine import linear
from slopeshift.engine.exact import with_columns
from slopeshift.model.covariates import CHANGE, Covariate
from slopeshift.model.priors import Normal
from slopeshift.planning.plan import PlanError
from slopeshift.planning.schedule import CONTROL, Layout, layout
from slopeshift.trial.arms import Arms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from slopeshift.engine.terms import Terms
    from slopeshift.model.program import LineModel
    from slopeshift.planning.plan import Design, Regression, Scenario
    from slopeshift.planning.spreads import Spreads
    from slopeshift.trial import Outcome

    Floats = NDArray[np.float64]

OVERALL, INTERVAL, DOSE = "overall", "interval_within", "dose"
"""What is estimated: the change over all injections, and the coefficients on interval and dose."""

NATURAL = 3
"""Columns of a truth that are natural history: level, slope, curvature; changes, and what is below, follow."""

AFTER = ("effect", "mismatch", "mismatch_bend", INTERVAL, DOSE)
"""Columns of a truth after those of patients: what all treated have in common."""


@dataclass(frozen=True, eq=False)
class Model:
    """A model to plan with: its name, its value, the outcome, and the priors that a control gives in place of its own.

    Raises PlanError where a plan cannot be made with it.
    """

    name: str
    line: LineModel
    outcome: Outcome
    control: Mapping[str, Normal]

    def __post_init__(self) -> None:
        wrong = []
        if self.line.family.name != "normal":
            wrong.append(f"its residuals are {self.line.family.name}, and only with normal ones is there a closed form")
        if replace(self.line.shape, curved=False) != PLAIN:
            wrong.append("its changes do not last for the whole cycle")
        if self.line.covariates or self.line.beside is not None:
            wrong.append("it has covariates, or observes more than one outcome")
        if self.line.given_lead_in:
            wrong.append("its likelihood is that of later values given those of the lead-in")
        if wrong:
            raise PlanError(f"model {self.name}: {'; '.join(wrong)}; plan with alsfrsr, fvc or one of their variations")


@dataclass(frozen=True, eq=False)
class Expected:
    """What a design shows by a model: the linear answer, and the columns of a truth (see `expected`).

    `names` are the functionals, in the order of the answer.
    """

    design: Design
    model: Model
    layout: Layout
    answer: linear.Answer
    names: tuple[str, ...]
    spreads: Spreads
    spread: Floats

    def estimates(
        self, scenario: Scenario, of: str = OVERALL, *, effect_sd: float = 0.0, moved: Mapping[str, float] | None = None
    ) -> Estimates:
        """Give the estimates over trials of a scenario, in outcome units a month.

        `effect_sd` is the SD of the effect between trials, over which assurance is taken. `moved` are true coefficients
        on the interval and the dose.
        """
        f = self.names.index(of)
        stated = course_of(scenario, self.spreads, self.spread.shape[1])
        course = np.einsum("de,de->d", self._responses[:, f], stated)
        for name, value in (moved or {}).items():
            course = course + value * self._response(name, f)
        between = [scenario.bend_sd * self._response("curvature", f), effect_sd * self._response("effect", f)]
        sd = np.sqrt(self._scatter[:, f] ** 2 + between[0] ** 2 + between[1] ** 2)
        return Estimates(self.answer.constant[:, f] + course, sd, self.answer.sd[:, f])

    def bend_gain(self, of: str = OVERALL) -> float:
        """What a bend of 1 a month, per month, adds to the estimate: months, on average over draws."""
        return float(self._response("curvature", self.names.index(of)).mean())

    def posterior_sd(self, of: str = OVERALL) -> float:
        """Posterior SD, on average over draws, in outcome units a month."""
        return float(self.answer.sd[:, self.names.index(of)].mean())

    @cached_property
    def _scatter(self) -> Floats:
        return self.answer.scatter(self.spread)

    @cached_property
    def _responses(self) -> Floats:
        return self.answer.response

    def _response(self, column: str, f: int) -> Floats:
        place = {"curvature": 2} | {name: place - len(AFTER) for place, name in enumerate(AFTER)}
        return self._responses[:, f, place[column]]


def course_of(scenario: Scenario, spreads: Spreads, columns: int) -> Floats:
    """Lay the mean of a truth out over its columns: (draw, column)."""
    course = np.zeros((len(spreads), columns))
    course[:, 0], course[:, 1], course[:, 2] = spreads.level, spreads.slope, scenario.bend
    course[:, -len(AFTER) :] = (scenario.effect, scenario.mismatch, scenario.mismatch_bend, 0.0, 0.0)
    return course


def expected(
    design: Design,
    model: Model,
    spreads: Spreads,
    *,
    interval: Regression | None = None,
    dose: Regression | None = None,
) -> Expected:
    """Work out what a design shows by a model, for every draw of the spreads.

    `interval` and `dose` add their coefficients to the model. Raises PlanError where the model is for two arms and the
    design has one, or the other way round.
    """
    if (model.line.arms is None) != (design.control_share is None):
        what = "compares two arms: state control_share" if model.line.arms else "is of one arm: leave control_share out"
        raise PlanError(f"model {model.name} {what} in [design]")
    planned = layout(design, model.outcome, dose.levels if dose else ())
    columns = columns_of(planned, model, spreads, interval=interval, dose=dose)
    answer = columns.answer(columns.measured(planned), spreads)
    return Expected(design, model, planned, answer, columns.names, spreads, columns.spread)


@dataclass(frozen=True, eq=False)
class Columns:
    """What is multiplied by what at every visit of a layout: by a model, and in a truth.

    `basis` (visit, p) and `picked` (p, m) are those of a model with its covariates, `terms` its population; `truth`
    (visit, e) has the columns of a truth and `spread` (draw, e, e) the covariance of patients over them. `loading` is
    (draw, p, source), `functionals` (functional, p) by `names`.
    """

    basis: Floats
    picked: Floats
    terms: Terms
    truth: Floats
    spread: Floats
    loading: Floats
    functionals: Floats
    names: tuple[str, ...]

    def measured(self, planned: Layout, seen: NDArray[np.bool_] | None = None) -> linear.Measured:
        """Measure a layout, or those of its visits that are seen by a look: (visit,)."""
        weight = np.ones((len(self.basis), 1)) if seen is None else seen[:, None].astype(float)
        return linear.measured(planned.visits, self.basis * weight, self.truth * weight, planned.number)

    def answer(self, design: linear.Measured, spreads: Spreads) -> linear.Answer:
        """Work the linear answer out for every draw of the spreads."""
        terms = self.terms.mean, self.terms.sd, self.picked
        return linear.answer(design, self.loading, spreads.sigma, terms, self.functionals)


def columns_of(
    planned: Layout,
    model: Model,
    spreads: Spreads,
    *,
    interval: Regression | None = None,
    dose: Regression | None = None,
) -> Columns:
    """Lay out the columns of a model and of a truth on a layout (see `Columns`)."""
    visits = planned.on(model.line.shape)
    terms = model.line.terms(visits, _covariates(planned, model, interval, dose), model.control)
    functionals = _functionals(planned, terms, visits.coefficients)
    wide, picked = with_columns(visits, terms)
    loading, truth = spreads.loading(visits, terms.sources), _truth(planned)
    return Columns(
        basis=wide.basis,
        picked=picked,
        terms=terms,
        truth=truth,
        spread=_between(planned, spreads, truth.shape[1]),
        loading=np.pad(loading, ((0, 0), (0, len(terms.covariates)), (0, 0))),
        functionals=np.array(list(functionals.values())),
        names=tuple(functionals),
    )


def _covariates(
    planned: Layout, model: Model, interval: Regression | None, dose: Regression | None
) -> tuple[Covariate, ...]:
    visits = planned.on(model.line.shape)
    found: tuple[Covariate, ...] = ()
    if model.line.arms is not None:
        found = model.line.arms.covariates(planned.cycles, Arms(CONTROL, randomised=True), visits)
    for name, regression, values in (
        (INTERVAL, interval, planned.within),
        (DOSE, dose, np.tile(planned.doublings[:, None], (1, len(visits.injections)))),
    ):
        if regression is not None:
            prior = Normal(0.0, regression.prior_sd)
            found += (Covariate(name, on=CHANGE, by_cycle=values, unit="", prior=prior),)
    return found


def _functionals(planned: Layout, terms: Terms, coefficients: tuple[str, ...]) -> dict[str, Floats]:
    """Weigh the columns for what is estimated: over all injections as `arms.comparisons` and `operating` do."""
    names = [*coefficients, *terms.covariates]
    informed, treated = planned.informed, planned.treated
    if EFFECT in terms.covariates:
        both = informed[treated].any(axis=0) & informed[~treated].any(axis=0)
        weight = {EFFECT: 1.0} | _shares(informed[treated].sum(axis=0) * both, EFFECT)
    else:
        weight = _shares(informed.sum(axis=0), "change")
    found = {OVERALL: np.array([weight.get(name, 0.0) for name in names])}
    for name in (INTERVAL, DOSE):
        if name in names:
            found[name] = np.array([float(name == each) for each in names])
    return found


def _shares(number: Floats, name: str) -> dict[str, float]:
    return {f"{name} {k}": float(share) for k, share in enumerate(number / number.sum(), start=1)}


def _truth(planned: Layout) -> Floats:
    """Lay out the columns of a truth at every visit: natural history, change by injection, then AFTER."""
    visits, index = planned.visits, planned.visits.patient_index
    treated = planned.treated[index].astype(float)
    changes = visits.basis[:, NATURAL:]
    one_arm = 1.0 if planned.treated.all() else treated
    after = (
        treated * changes.sum(axis=1),
        one_arm * visits.month,
        one_arm * visits.month**2 / 2,
        (changes * planned.within[index]).sum(axis=1),
        changes.sum(axis=1) * planned.doublings[index],
    )
    return np.column_stack([visits.basis, *after])


def _between(planned: Layout, spreads: Spreads, columns: int) -> Floats:
    """Lay out the covariance of patients over the columns of a truth, always on a curved course: (draw, e, e)."""
    visits = planned.visits
    cycles = tuple(f"cycle {k}" for k in visits.injections)
    loading = spreads.loading(visits, ("level", "slope", "response", "curvature", *cycles))
    found = np.zeros((len(spreads), columns, columns))
    size = loading.shape[1]
    found[:, :size, :size] = loading @ loading.transpose(0, 2, 1)
    return found
