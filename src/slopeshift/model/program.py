"""A model as a value: priors, family, shape and covariates, which build it on a trial and print it without one."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pandas.api.types import is_numeric_dtype

from slopeshift.design.arms import CARRY_OVER, EFFECT, LATE, treated
from slopeshift.design.shape import PLAIN
from slopeshift.model.control import FromControl, from_control
from slopeshift.model.covariates import CHANGE, Covariate, regressors_of
from slopeshift.model.line import COVARIATE, LABELS, POPULATION, piecewise_line, terms_of_priors
from slopeshift.model.stated import row, sampled
from slopeshift.trial.arms import ARM, PATIENT
from slopeshift.trial.roles import levels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pymc as pm
    from numpy.typing import NDArray

    from slopeshift.design.arms import Treated
    from slopeshift.design.shape import Shape
    from slopeshift.design.visits import Visits
    from slopeshift.engine.terms import Terms
    from slopeshift.model.families.family import Family
    from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal, Prior
    from slopeshift.trial import Trial
    from slopeshift.trial.arms import Arms


@dataclass(frozen=True)
class ByInterval:
    """A covariate of the change in a cycle: `part` of the months to the next injection, `within` or `between` patients.

    See `cycles.split`. `prior` is in outcome units per month, per month of interval.
    """

    part: str
    prior: Normal

    @property
    def name(self) -> str:
        """What the coefficient is called."""
        return f"interval_{self.part}"

    title = name

    def of(self, trial: Trial, visits: Visits) -> Covariate:
        """Take the covariate's values from a trial."""
        from slopeshift.design.cycles import split

        months = getattr(split(trial, visits), self.part)
        return Covariate(self.name, on=CHANGE, by_cycle=months, unit="month", prior=self.prior)


@dataclass(frozen=True)
class ByArm:
    """How the arms of a controlled trial differ: change_ik += A_ik (effect + effect_k), A_ik = 1 in treated cycles.

    `effect` is common to all injections and `effect_by_injection` the deviation of each, in outcome units a month.
    Level and slope are common to both arms where patients were randomised; else `level` and `slope` are of how the arm
    that is not the control differs. `carry_over` is what an agent leaves in the next cycle of the control, where
    injections are compared. Strata of the randomisation, by which both arms differ alike, have priors `level`, `slope`.
    """

    effect: Normal
    effect_by_injection: Normal
    level: Normal
    slope: Normal
    carry_over: Normal

    @property
    def labelled(self) -> tuple[tuple[str, Normal, str], ...]:
        """Name, prior and label of each, in the order of the prior table."""
        return (
            (EFFECT, self.effect, "difference of the arms' changes, common to all injections"),
            (f"{EFFECT}_by_injection", self.effect_by_injection, "deviation of each injection's difference from it"),
            ("arm_level", self.level, "levels between arms that were not randomised, and between strata"),
            ("arm_slope", self.slope, "slopes between arms that were not randomised, and between strata"),
            (CARRY_OVER, self.carry_over, "change that an agent leaves in the control's next cycle"),
        )

    def of(self, trial: Trial, visits: Visits) -> tuple[Covariate, ...]:
        """Take from a trial what is compared. Raises ValueError where it compares nothing."""
        cycles, arms = treated(trial, visits), trial.arms
        assert arms is not None
        return self.covariates(cycles, arms, visits)

    def covariates(self, cycles: Treated, arms: Arms, visits: Visits) -> tuple[Covariate, ...]:
        """Lay out what is compared, of a trial or a plan: which cycles are treated, and how arms came about."""
        versus = f"treated vs {arms.control}"
        found = [_by_cycle(EFFECT, cycles.effect, self.effect, versus)]
        for k, injection in enumerate(visits.injections):
            only = np.where(np.arange(cycles.effect.shape[1]) == k, cycles.effect, 0.0)
            found.append(_by_cycle(f"{EFFECT} {injection}", only, self.effect_by_injection, versus))
        for name, values, prior in ((LATE, cycles.late, self.effect), (CARRY_OVER, cycles.carried, self.carry_over)):
            found += [_by_cycle(name, values, prior, "after it vs before")] if values.any() else []
        groups = [*arms.strata, *(() if arms.randomised or arms.unit != PATIENT else (ARM,))]
        priors = {"level": self.level, "slope": self.slope}
        return (*found, *(c for name in groups for c in _differing(name, arms.control, visits, priors)))


def _by_cycle(name: str, values: NDArray[np.float64], prior: Normal, step: str) -> Covariate:
    return Covariate(name, on=CHANGE, by_cycle=values, unit="", step=step, prior=prior)


def _differing(name: str, control: str, visits: Visits, priors: Mapping[str, Normal]) -> list[Covariate]:
    """Let level and slope differ between the levels of a column of patients: from the control, or the most frequent."""
    column = visits.about[name]
    levels = None if is_numeric_dtype(column) else levels_of(column).index
    reference = None if levels is None else control if name == ARM else str(levels[0])
    return [Covariate(name, on=on, prior=prior, reference=reference) for on, prior in priors.items()]


@dataclass(frozen=True)
class Beside:
    """Something else that a model observes, with the priors of its parameters.

    `observe(trial, visits, **parameters)` adds it to the current PyMC model, the parameters being sampled scalars.
    `priors` has for each the prior and what it is of, in print.
    """

    observe: Callable[..., None]
    priors: Mapping[str, tuple[Prior, str]]


@dataclass(frozen=True)
class LineModel:
    """A line per patient whose slope may change at each injection, as a value that builds a PyMC model on a trial.

    Priors are those of `piecewise_line`; those of slope and curvature may come from the trial's control. `family` says
    how values scatter around the line, `shape` how changes act in time. `entry` takes the trial's entry rules into the
    likelihood, where the family knows how; with `given_lead_in` it is that of later values given those up to the first
    injection, whatever the rules were. Raises ValueError, when called, as `piecewise_line` does, and LookupError
    where the trial does not record the outcome. With `arms` it is for trials that compare two.
    """

    outcome: str
    _: KW_ONLY
    level: Normal
    slope: Normal | FromControl
    change: Normal
    change_by_injection: Normal
    sd_level: HalfNormal | Gamma
    sd_slope: HalfNormal | Gamma
    sd_response: HalfNormal | Gamma
    sd_cycle: HalfNormal | Gamma
    correlation: LKJ
    family: Family
    curvature: Normal | FromControl | None = None
    sd_curvature: HalfNormal | Gamma | None = None
    curvature_by_level: Normal | None = None
    curvature_by_slope: Normal | None = None
    covariates: tuple[Covariate | ByInterval, ...] = ()
    arms: ByArm | None = None
    shape: Shape = PLAIN
    beside: Beside | None = None
    entry: bool = True
    given_lead_in: bool = False

    def __call__(self, trial: Trial) -> pm.Model:
        """Build the model on a trial, without compiling anything."""
        import pymc as pm

        from slopeshift.design.entry import selection
        from slopeshift.design.visits import visits_of

        visits = visits_of(trial, self.outcome, self.shape)
        priors: dict[str, Any] = {name: getattr(self, name) for name in LABELS}
        for name, prior in priors.items():
            if isinstance(prior, FromControl):
                priors[name] = from_control(trial, self.outcome, prior.otherwise, name, curved=self.shape.curved)
        covariates = tuple(c.of(trial, visits) if isinstance(c, ByInterval) else c for c in self.covariates)
        covariates += () if self.arms is None else self.arms.of(trial, visits)
        given = self.given_lead_in
        if given and not (self.family.integrated_out and self.family.independent):
            raise ValueError(
                "given_lead_in: only with residuals that are normal and independent; choose another family"
            )
        selected = selection(trial, visits) if self.entry and not given else None
        with pm.Model(coords=visits.coords) as model:
            self.family.observe(
                piecewise_line(visits, **priors, covariates=covariates, selection=selected, given=given)
            )
            if self.beside is not None:
                variables = {name: sampled(name, *stated) for name, stated in self.beside.priors.items()}
                self.beside.observe(trial, visits, **variables)
        return model

    def terms(self, visits: Visits, covariates: tuple[Covariate, ...], known: Mapping[str, Normal]) -> Terms:
        """Lay the population's priors out on visits that are only planned, without building a model.

        `covariates` are those of what is compared; `known` are priors that take the place of the model's own, as a
        control gives them. Raises CovariateError as `regressors_of` does.
        """
        priors: dict[str, Any] = {name: getattr(self, name) for name in POPULATION} | dict(known)
        stated = {name: prior.otherwise if isinstance(prior, FromControl) else prior for name, prior in priors.items()}
        return terms_of_priors(visits, stated, regressors_of(covariates, visits))

    def varied(self, **changes: Any) -> LineModel:
        """Return this model with other fields; a family's priors that are not stated stay.

        Raises TypeError for a field that a model of this kind does not have, which it names.
        """
        known = [each.name for each in fields(self)]
        if wrong := [name for name in changes if name not in known]:
            raise TypeError(f"no such part of the model: {', '.join(wrong)}; there are {', '.join(known)}")
        if "family" in changes:
            family = changes["family"]
            ours = {each.name for each in fields(family) if getattr(family, each.name) is None}
            kept = {name: getattr(self.family, name, None) for name in ours}
            changes["family"] = replace(family, **kept)
        return replace(self, **changes)

    def stated(self) -> list[dict[str, Any]]:
        """List the priors as rows of the prior table (see `stated.row`), as they are without a control."""
        priors: dict[str, Any] = {name: getattr(self, name) for name in LABELS}
        for name, prior in priors.items():
            if isinstance(prior, FromControl):
                priors[name] = replace(prior.otherwise, source="model file, unless the trial's control gives one")
        rows = [row(name, prior, LABELS[name]) for name, prior in priors.items() if prior is not None]
        rows += [row(each.title, each.prior, COVARIATE) for each in self.covariates]
        rows += [] if self.arms is None else [row(*each) for each in self.arms.labelled]
        family = self.family
        rows += [row(name, prior, family.parameters[name].label) for name, prior in family.priors.items()]
        beside = self.beside.priors if self.beside is not None else {}
        return rows + [row(name, *stated) for name, stated in beside.items()]
