"""A model as a value: priors, family, shape and covariates, which build it on a trial and print it without one."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from slopeshift.design.shape import PLAIN
from slopeshift.model.control import FromControl, lead_in_slope
from slopeshift.model.covariates import CHANGE, Covariate
from slopeshift.model.line import COVARIATE, LABELS, piecewise_line
from slopeshift.model.stated import row, sampled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pymc as pm

    from slopeshift.design.shape import Shape
    from slopeshift.design.visits import Visits
    from slopeshift.model.families.family import Family
    from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal, Prior
    from slopeshift.trial import Trial


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

    Priors are those of `piecewise_line`; that of the slope may come from the trial's control. `family` says how values
    scatter around the line, `shape` how changes act in time. `entry` takes the trial's entry rules into the likelihood,
    where the family knows how. Raises ValueError, when called, as `piecewise_line` does,
    and LookupError where the trial does not record the outcome.
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
    curvature: Normal | None = None
    sd_curvature: HalfNormal | Gamma | None = None
    covariates: tuple[Covariate | ByInterval, ...] = ()
    shape: Shape = PLAIN
    beside: Beside | None = None
    entry: bool = True

    def __call__(self, trial: Trial) -> pm.Model:
        """Build the model on a trial, without compiling anything."""
        import pymc as pm

        from slopeshift.design.entry import selection
        from slopeshift.design.visits import visits_of

        visits = visits_of(trial, self.outcome, self.shape)
        priors: dict[str, Any] = {name: getattr(self, name) for name in LABELS}
        if isinstance(self.slope, FromControl):
            priors["slope"] = lead_in_slope(trial, self.outcome, self.slope.otherwise)
        covariates = tuple(c.of(trial, visits) if isinstance(c, ByInterval) else c for c in self.covariates)
        selected = selection(trial, visits) if self.entry else None
        with pm.Model(coords=visits.coords) as model:
            self.family.observe(piecewise_line(visits, **priors, covariates=covariates, selection=selected))
            if self.beside is not None:
                variables = {name: sampled(name, *stated) for name, stated in self.beside.priors.items()}
                self.beside.observe(trial, visits, **variables)
        return model

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
        """List the priors as rows of the prior table (see `stated.row`), that of the slope as without a control."""
        priors = {name: getattr(self, name) for name in LABELS}
        if isinstance(self.slope, FromControl):
            priors["slope"] = replace(self.slope.otherwise, source="model file, unless the trial's control gives one")
        rows = [row(name, prior, LABELS[name]) for name, prior in priors.items() if prior is not None]
        rows += [row(each.title, each.prior, COVARIATE) for each in self.covariates]
        family = self.family
        rows += [row(name, prior, family.parameters[name].label) for name, prior in family.priors.items()]
        beside = self.beside.priors if self.beside is not None else {}
        return rows + [row(name, *stated) for name, stated in beside.items()]
